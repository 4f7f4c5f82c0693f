//! The tests of the workspace, found by reading its sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Every Rust file of the workspace: its path from the root with slashes, and its text.
#[derive(Debug, Default)]
pub struct Sources(pub BTreeMap<String, String>);

/// A test function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Its doc comment.
    pub doc: String,
}

impl Sources {
    /// Reads the workspace.
    ///
    /// # Errors
    ///
    /// When a folder or file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        find(root, &mut files)?;
        let name = |path: &Path| {
            let parts = path.strip_prefix(root).unwrap_or(path).iter().map(|part| part.to_string_lossy());
            parts.collect::<Vec<_>>().join("/")
        };
        files.iter().map(|path| Ok((name(path), fs::read_to_string(path)?))).collect::<io::Result<_>>().map(Self)
    }

    /// The tests of a file; `None` if there is no such file.
    pub fn tests(&self, file: &str) -> Option<Vec<Test>> {
        self.0.get(file).map(|text| tests(text))
    }

    /// Whether a file is compiled: the root of a target, or a module that one which is compiled declares.
    pub fn is_compiled(&self, file: &str) -> bool {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let Some(stem) = name.strip_suffix(".rs") else { return false };
        // Cargo finds these by itself.
        let is_target = |folder: &str| ["tests", "benches", "examples"].iter().any(|kind| folder.ends_with(kind));
        let is_root = folder.ends_with("src") && (stem == "lib" || stem == "main")
            || is_target(folder) && !folder.contains("/src/")
            || is_target(parent(folder)) && stem == "main";
        if is_root {
            return true;
        }
        let (home, module) = if stem == "mod" { (parent(folder), last(folder)) } else { (folder, stem) };
        let declaration = format!("mod {module};");
        let declares =
            |text: &str| text.lines().any(|line| line == declaration || line.ends_with(&format!(" {declaration}")));
        let by_name = self.0.iter().any(|(other, text)| {
            let other_folder = parent(other);
            let is_above = other_folder == home || other.strip_suffix(".rs") == Some(home);
            other != file && is_above && declares(text) && self.is_compiled(other)
        });
        // A path is taken from the folder of the file that names it.
        let by_path = |(other, text): (&String, &String)| {
            let path = file.strip_prefix(parent(other)).and_then(|path| path.strip_prefix('/'));
            path.is_some_and(|path| text.contains(&format!("#[path = \"{path}\"]")))
        };
        by_name || self.0.iter().any(by_path)
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
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

/// What tells a scenario of the adapters' suite: its table makes tests of each, and a scenario that the table lacks is dead code.
const SCENARIO: &str = "pub(crate) async fn ";
const PLAYED_ON: &str = "on: &'static dyn Adapter,";

/// The functions under `#[test]` or `#[tokio::test]`, and scenarios, as rustfmt writes them.
fn tests(text: &str) -> Vec<Test> {
    let (mut found, mut doc, mut is_test, mut in_attribute, mut in_comment) =
        (Vec::new(), String::new(), false, false, false);
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if in_comment || line.starts_with("/*") {
            in_comment = !line.ends_with("*/");
        } else if in_attribute || line.starts_with("#[") {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
            in_attribute = !line.ends_with(']');
        } else if let Some(words) = line.strip_prefix("///") {
            doc.push_str(words);
        } else if !line.starts_with("//") {
            let mut name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let Some(rest) = line.strip_prefix(SCENARIO) {
                let arguments =
                    if line.ends_with('(') { lines.peek().copied() } else { rest.split_once('(').map(|it| it.1) };
                is_test = arguments.is_some_and(|it| it.starts_with(PLAYED_ON));
                name = Some(rest);
            }
            if let (true, Some(name)) = (is_test, name.and_then(|rest| rest.split('(').next())) {
                found.push(Test { name: name.into(), doc: doc.trim().into() });
            }
            doc.clear();
            is_test = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn tests_are_found_by_their_attribute() {
        let text = "/// One MUST\n/// be.\n#[test]\nfn one() {\n    let x = 1;\n}\n\nfn helper() {}\n\n#[cfg(unix)]\n#[tokio::test(\n    flavor = \"multi_thread\"\n)]\nasync fn two() {}\n//#[test]\nfn three() {}\n/* \n#[test]\nfn four() {}\n*/\nmod inner {\n    /// Five.\n    #[test]\n    // Why.\n    fn five(\n        x in any(),\n    ) {}\n}\n/// Six.\npub(crate) async fn six(on: &'static dyn Adapter, over: Transport) {}\npub(crate) async fn seven(\n    on: &'static dyn Adapter,\n    over: Transport,\n) {}\npub(crate) async fn helper(on: &dyn Adapter, over: Transport) {}\n";
        let found = tests(text);
        let names: Vec<_> = found.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["one", "two", "five", "six", "seven"]);
        let docs: Vec<_> = found.iter().map(|test| test.doc.as_str()).collect();
        assert_eq!(docs, ["One MUST be.", "", "Five.", "Six.", ""]);
    }

    #[test]
    fn a_file_that_nobody_declares_is_not_compiled() {
        let sources = sources(&[
            ("a/src/lib.rs", "mod one;\npub mod two;\n"),
            ("a/src/one.rs", "#[cfg(test)]\nmod tests;\n"),
            ("a/src/one/tests.rs", "mod deep;\n"),
            ("a/src/one/tests/deep.rs", ""),
            ("a/src/two/mod.rs", "mod three;\n"),
            ("a/src/two/three.rs", ""),
            ("a/src/two/stray.rs", "mod child;\n"),
            ("a/src/two/child.rs", ""),
            ("tests/whole.rs", "mod common;\n#[path = \"first/test.rs\"]\nmod first_test;\n"),
            ("tests/common/mod.rs", ""),
            ("tests/first/test.rs", ""),
            ("tests/golden/main.rs", "mod player;\n"),
            ("tests/golden/player.rs", ""),
        ]);
        let idle: Vec<_> = sources.0.keys().filter(|file| !sources.is_compiled(file)).collect();
        assert_eq!(idle, ["a/src/two/child.rs", "a/src/two/stray.rs"]);
    }
}
