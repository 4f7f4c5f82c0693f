//! Our client and our server against the real Python SDK, each in a process of its own.
//!
//! The peers live in `tests/interop/python`; the package `mcp-interop` runs them and prints a line for each cell.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Run;
use crate::report::{Failure, Outcome};
use crate::workspace::Workspace;

const REQUIREMENTS: &str = "tests/interop/python/requirements.txt";

pub(crate) fn step() -> Result<Outcome, Failure> {
    let workspace = Workspace::read()?;
    let python = python(&workspace.target.join("interop-venv"))?;
    println!("   interop python: {}", python.display());
    if !workspace.has("mcp-interop") {
        return Err("the workspace has no package mcp-interop".into());
    }
    let finished = Run::new("cargo run --package mcp-interop --locked -- --python")
        .arg(&python)
        .show(|line| line.starts_with("cell "))
        .finish()?;
    let (passed, mut failed) = count(&finished.stdout);
    let mut detail = format!("{passed} cells passed, {failed} failed");
    if let (Some(fault), 0) = (finished.fault, failed) {
        (detail, failed) = (fault, 1);
    }
    if passed + failed == 0 {
        return Err("no cell ran".into());
    }
    Ok(Outcome { passed, failed, detail, output: finished.output })
}

/// The interpreter of a virtual environment with just what the peers require. Made anew when that changes.
fn python(venv: &Path) -> Result<PathBuf, Failure> {
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let required = fs::read_to_string(REQUIREMENTS).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    let version = Run::new("python3 --version").stdout()?;
    let (wanted, stamp) = (version + &required, venv.join("installed.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    Run::new("python3 -m venv --clear").arg(venv).stdout()?;
    Run::program(&python.display().to_string())
        .args("-m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r".split(' '))
        .arg(REQUIREMENTS)
        .stdout()?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}

/// Counts lines such as `cell python-client/echo ok` and `cell rust-client/ping FAILED: no answer`.
fn count(stdout: &str) -> (usize, usize) {
    let mut counts = (0, 0);
    for line in stdout.lines().filter_map(|line| line.strip_prefix("cell ")) {
        match line.split_once(' ') {
            Some((_, "ok")) => counts.0 += 1,
            _ => counts.1 += 1,
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        let stdout = "interop python: x\ncell a/b ok\ncell a/c FAILED: not ok\ncell a/d\ncell a/e ok\n";
        assert_eq!(count(stdout), (2, 2));
    }
}
