//! Our client and our server against the official SDKs, each in a process of its own.
//!
//! The peers live in `tests/interop`; the package `mcp-interop` runs the cells and prints a line for each. What ran is compared
//! with `tests/interop/cells.txt`, both ways. Then it is shown that a wrong answer of ours turns a cell red.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Run;
use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;

const CELLS: &str = "tests/interop/cells.txt";
const PYTHON: &str = "tests/interop/python/requirements.txt";
const NODE: &str = "tests/interop/typescript";
const OLDEST_NODE: u32 = 20;
const RUST: &str = "tests/interop/rust/Cargo.toml";

/// All cells of the table, and the proofs that they can fail.
pub(crate) fn step() -> Result<Outcome, Failure> {
    let peers = Peers::install()?;
    let finished = peers.run("table")?.finish()?;
    let listed = fs::read_to_string(CELLS).map_err(|error| format!("{CELLS}: {error}"))?;
    let mut tally = Tally::default();
    tally.compare(&finished.stdout, &listed);
    let proven = peers.run("prove")?.finish()?;
    tally.proofs(&proven.stdout);
    if tally.complaints.is_empty() {
        tally.complaints.extend([finished.fault, proven.fault].into_iter().flatten());
    }
    let Tally { cells, proofs, complaints } = tally;
    let detail = format!("{cells} cells ok, {proofs} wrong answers caught, {} complaints", complaints.len());
    let output = format!("{}\n{}\n{}", finished.output, proven.output, complaints.join("\n"));
    Ok(Outcome { passed: cells + proofs, failed: complaints.len(), detail, output })
}

/// The peers among themselves: shows that the fixture and its steps are right without us.
pub(crate) fn pairs() -> Result<Outcome, Failure> {
    let finished = Peers::install()?.run("table")?.arg("--pairs").finish()?;
    let passed = results(&finished.stdout).filter(|(_, result)| result.ends_with("ok")).count();
    let failed = results(&finished.stdout).count() - passed;
    let detail = format!("{passed} pairs ok, {failed} failed");
    let failed = failed.max(usize::from(finished.fault.is_some()));
    Ok(Outcome { passed, failed, detail, output: finished.output })
}

/// What the cells are played with, installed as pinned.
struct Peers {
    python: PathBuf,
    rmcp: PathBuf,
}

impl Peers {
    fn install() -> Result<Self, Failure> {
        let workspace = Workspace::read()?;
        if !workspace.has("mcp-interop") {
            return Err("the workspace has no package mcp-interop".into());
        }
        let python = python(&workspace.target.join("interop-venv"))?;
        npm(NODE, &workspace.target.join("interop-npm.txt"))?;
        let rmcp = rmcp(&workspace.target.join("interop-rust"))?;
        Ok(Self { python, rmcp })
    }

    fn run(&self, mode: &str) -> Result<Run, Failure> {
        let run =
            Run::new("cargo run --quiet --package mcp-interop --locked --").arg(mode).arg("--python").arg(&self.python);
        Ok(run.arg("--rmcp").arg(&self.rmcp).show(is_told))
    }
}

/// The interpreter of a virtual environment with just what the peers require. Made anew when that changes.
fn python(venv: &Path) -> Result<PathBuf, Failure> {
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let version = Run::new("python3 --version").stdout()?;
    installed(&venv.join("installed.txt"), PYTHON, &version, || {
        Run::new("python3 -m venv --clear").arg(venv).stdout()?;
        Run::program(&python.display().to_string())
            .args("-m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r".split(' '))
            .arg(PYTHON)
            .stdout()
    })?;
    Ok(python)
}

/// The npm packages of a folder, in it: that is where its scripts look.
pub(crate) fn npm(folder: &str, stamp: &Path) -> Result<(), Failure> {
    let version = Run::new("node --version").stdout()?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST_NODE) {
        return Err(format!("{folder} needs Node {OLDEST_NODE} or later, and this is {}", version.trim()).into());
    }
    if !Path::new(folder).join("node_modules").is_dir() {
        // Somebody cleaned up, so the stamp is not true.
        let _ = fs::remove_file(stamp);
    }
    installed(stamp, &format!("{folder}/package-lock.json"), &version, || {
        Run::new("npm ci --ignore-scripts --no-audit --no-fund --prefix").arg(folder).stdout()
    })
}

/// The program of the Rust peers. Cargo knows by itself when to make it anew.
fn rmcp(target: &Path) -> Result<PathBuf, Failure> {
    Run::new("cargo build --quiet --locked --manifest-path").arg(RUST).arg("--target-dir").arg(target).stdout()?;
    Ok(target.join("debug").join(if cfg!(windows) { "interop-rmcp.exe" } else { "interop-rmcp" }))
}

/// Installs, unless the stamp says that this was done with the same list and the same tool.
fn installed(
    stamp: &Path,
    list: &str,
    tool: &str,
    install: impl FnOnce() -> Result<String, Failure>,
) -> Result<(), Failure> {
    let wanted = fs::read_to_string(list).map_err(|error| format!("{list}: {error}"))? + tool;
    if fs::read_to_string(stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()).into())
}

/// What ran well, and what is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    cells: usize,
    proofs: usize,
    complaints: Vec<String>,
}

impl Tally {
    /// Compares what ran with the table, whose lines are a cell and the number of its steps.
    fn compare(&mut self, stdout: &str, table: &str) {
        let rows = table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let mut rows: BTreeMap<&str, &str> = rows.map(|(cell, steps)| (cell.trim_end(), steps)).collect();
        for (cell, result) in results(stdout) {
            match rows.remove(cell) {
                None => self.complaints.push(format!("{cell} ran but is not in {CELLS}, or ran twice")),
                Some(steps) if result == format!("{steps} steps ok") => self.cells += 1,
                Some(steps) => self.complaints.push(format!("{cell}, of {steps} steps: {result}")),
            }
        }
        self.complaints.extend(rows.keys().map(|cell| format!("{cell} is in {CELLS} but did not run")));
    }

    /// Counts lines such as `proof server echo: call turns red ok`.
    fn proofs(&mut self, stdout: &str) {
        let lines = stdout.lines().filter_map(|line| line.strip_prefix("proof "));
        for line in lines {
            match line.ends_with(" ok") {
                true => self.proofs += 1,
                false => self.complaints.push(format!("proof {line}")),
            }
        }
        if self.proofs == 0 {
            self.complaints.push("no wrong answer was caught".to_owned());
        }
    }
}

/// What is shown while it runs.
fn is_told(line: &str) -> bool {
    ["cell ", "proof ", "left out: "].iter().any(|start| line.starts_with(start))
}

/// Lines such as `cell client python 2025-11-25 pinned: 31 steps ok`: the cell, and what came of it.
fn results(stdout: &str) -> impl Iterator<Item = (&str, &str)> {
    stdout.lines().filter_map(|line| line.strip_prefix("cell ")?.split_once(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# cells\nclient a 1 pinned 3\nserver a 1 only   12\n";

    fn complaints(stdout: &str) -> (usize, Vec<String>) {
        let mut tally = Tally::default();
        tally.compare(stdout, TABLE);
        (tally.cells, tally.complaints)
    }

    #[test]
    fn what_ran_is_the_table() {
        let (cells, faults) =
            complaints("noise\ncell client a 1 pinned: 3 steps ok\n    x\ncell server a 1 only: 12 steps ok\n");
        assert_eq!((cells, faults), (2, vec![]));
    }

    #[test]
    fn what_did_not_run_failed_or_is_not_listed_is_told() {
        let (cells, faults) = complaints("cell client a 1 pinned: 1 of 3 steps FAILED: call: no\n");
        assert_eq!((cells, faults.len()), (0, 2));
        let (cells, faults) = complaints("cell client a 1 pinned: 2 steps ok\ncell server a 1 only: 12 steps ok\n");
        assert_eq!((cells, faults.len()), (1, 1));
        let (cells, faults) = complaints(
            "cell client a 1 pinned: 3 steps ok\ncell client a 1 pinned: 3 steps ok\ncell client b 1 pinned: 3 steps ok\n",
        );
        assert_eq!((cells, faults.len()), (1, 3));
    }

    #[test]
    fn proofs() {
        let mut tally = Tally::default();
        tally.proofs("proof server echo: call turns red ok\nproof client roots: roots FAILED: stayed green\n");
        assert_eq!((tally.proofs, tally.complaints.len()), (1, 1));
        let mut tally = Tally::default();
        tally.proofs("");
        assert_eq!(tally.complaints.len(), 1);
    }
}
