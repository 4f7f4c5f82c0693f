//! How the sources lie: short files that say what they are for, tests that wait for nothing, a short way in, no unsafe.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{Failure, Outcome};
use crate::workspace::{self, Workspace};

/// A longer file holds more than one thing.
const MOST_LINES: usize = 600;

/// What a newcomer reads to know how the project works, in this order.
const WAY_IN: [&str; 5] = [
    "ARCHITECTURE.md",
    "mcp-proto/src/lib.rs",
    "mcp-proto/src/connection/mod.rs",
    "mcp-proto/src/connection/lifecycle.rs",
    "src/stream/driver.rs",
];

/// An hour's reading.
const WAY_IN_LINES: usize = 1500;

/// What no test may do: wait for time to pass, or not run.
const BARRED: [(&str, &str); 4] = [
    ("thread::sleep", "sleeps: wait for the thing itself, or use virtual time"),
    ("time::sleep(", "sleeps: wait for the thing itself, or use virtual time"),
    ("Timer::after(", "sleeps: wait for the thing itself, or use virtual time"),
    ("#[ignore", "is skipped: make it a command of its own, or delete it"),
];

/// A comment on the same line that lets a sleep through: the peer under test is slow, and nothing waits by it.
const ON_PURPOSE: &str = "// slow on purpose";

pub(crate) fn step() -> Result<Outcome, Failure> {
    let workspace = Workspace::read()?;
    let root = workspace::root();
    let mut files = Vec::new();
    find(root, &mut files)?;
    files.sort();

    let mut complaints = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file).display();
        let in_library = workspace.libraries().any(|library| file.starts_with(library.folder().join("src")));
        let found = review(file.strip_prefix(root).unwrap_or(file), &text, in_library);
        complaints.extend(found.into_iter().map(|complaint| format!("{name}{complaint}")));
    }
    let way_in = way_in(root, &mut complaints);
    let manifest = |folder: &Path| fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let forbidden = forbids_unsafe(&manifest(root), "[workspace.lints.rust]");
    for library in workspace.libraries() {
        let own = fs::read_to_string(library.folder().join("src/lib.rs")).unwrap_or_default();
        let inherits = inherits_lints(&manifest(library.folder())) && forbidden;
        if !inherits && !own.lines().any(|line| line == "#![forbid(unsafe_code)]") {
            complaints.push(format!("{} does not forbid unsafe code", library.name));
        }
    }
    Outcome::of_complaints(&complaints, format!("{} files; {way_in} lines on the way in", files.len()))
}

/// What is wrong with one file, each complaint to be read after its name.
fn review(path: &Path, text: &str, in_library: bool) -> Vec<String> {
    let mut complaints = Vec::new();
    let is_test = is_test(path);
    let lines = text.lines().count();
    if lines > MOST_LINES && !is_test && !path.starts_with("xtask") {
        complaints.push(format!(": {lines} lines, at most {MOST_LINES}: split it"));
    }
    if in_library && !text.starts_with("//!") {
        complaints.push(": does not open with `//!` and what it is for".to_owned());
    }
    let mut testing = is_test;
    for (number, line) in text.lines().enumerate().filter(|_| !path.starts_with("xtask")) {
        testing |= line.trim_start().starts_with("#[cfg(test)]");
        if testing && !line.contains(ON_PURPOSE) {
            let barred = BARRED.iter().filter(|(words, _)| line.contains(words));
            complaints.extend(barred.map(|(_, reason)| format!(":{}: {reason}", number + 1)));
        }
    }
    complaints
}

/// Whether a whole file is test code.
fn is_test(path: &Path) -> bool {
    let in_folder = path.iter().any(|part| part == "tests" || part == "benches" || part == "examples");
    in_folder || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// Every Rust file under a folder, except what is built or hidden.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The length of the way in.
fn way_in(root: &Path, complaints: &mut Vec<String>) -> usize {
    let mut total = 0;
    for name in WAY_IN {
        match fs::read_to_string(root.join(name)) {
            Ok(text) => total += text.lines().count(),
            Err(error) => complaints.push(format!("{name}, on a newcomer's way in: {error}")),
        }
    }
    if total > WAY_IN_LINES {
        complaints.push(format!("{total} lines on a newcomer's way in, at most {WAY_IN_LINES}: {}", WAY_IN.join(", ")));
    }
    total
}

/// Whether the table of that name says so. Reads as much of TOML as the manifests here have.
fn forbids_unsafe(manifest: &str, table: &str) -> bool {
    in_table(manifest, table).any(|line| line == "unsafe_code = \"forbid\"")
}

fn inherits_lints(manifest: &str) -> bool {
    in_table(manifest, "[lints]").any(|line| line == "workspace = true")
}

fn in_table<'a>(manifest: &'a str, table: &'a str) -> impl Iterator<Item = &'a str> {
    let after = manifest.lines().map(str::trim).skip_while(move |line| *line != table).skip(1);
    after.take_while(|line| !line.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str, in_library: bool) -> usize {
        review(Path::new(path), text, in_library).len()
    }

    #[test]
    fn long_and_silent_files() {
        let long = "//! Doc.\n".to_owned() + &"x\n".repeat(MOST_LINES);
        assert_eq!(complaints("src/a.rs", &long, true), 1);
        assert_eq!(complaints("tests/a.rs", &long, false), 0);
        assert_eq!(complaints("mcp-proto/src/line/tests.rs", &long, true), 0);
        assert_eq!(complaints("src/a.rs", "use std;\n", true), 1);
        assert_eq!(complaints("examples/a.rs", "fn main() {}\n", false), 0);
    }

    #[test]
    fn idle_tests() {
        let sleeps = "//! Doc.\nstd::thread::sleep(x);\n";
        assert_eq!(complaints("tests/a.rs", sleeps, false), 1);
        assert_eq!(complaints("src/a.rs", sleeps, true), 0);
        assert_eq!(complaints("src/a.rs", "//! Doc.\n#[cfg(test)]\nmod tests {\n#[ignore]\n", true), 1);
        assert_eq!(complaints("tests/a.rs", "sleep_until(x);\n", false), 0);
        assert_eq!(complaints("tests/a.rs", "tokio::time::sleep(x).await; // slow on purpose\n", false), 0);
    }

    #[test]
    fn manifests() {
        let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n\n[lints]\nworkspace = true\n";
        assert!(forbids_unsafe(root, "[workspace.lints.rust]") && inherits_lints(root));
        assert!(!forbids_unsafe(
            "[workspace.lints.rust]\n[other]\nunsafe_code = \"forbid\"\n",
            "[workspace.lints.rust]"
        ));
        assert!(!inherits_lints("[package]\nedition.workspace = true\n[dependencies]\n"));
    }
}
