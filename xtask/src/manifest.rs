//! Every requirement has the tests that prove it, and every test that claims one is in the table: `tests/manifest`.

use crate::command::Run;
use crate::report::{Failure, Outcome};

pub(crate) fn step() -> Result<Outcome, Failure> {
    let finished = Run::new("cargo run --quiet --package mcp-manifest --locked").show(is_summary).finish()?;
    let summary = finished.stdout.lines().rfind(|line| is_summary(line)).unwrap_or("it has no summary");
    match finished.fault {
        None => Ok(Outcome::held(summary.trim_start_matches("manifest: "))),
        Some(fault) => Err(Failure { detail: fault, output: finished.output }),
    }
}

fn is_summary(line: &str) -> bool {
    line.starts_with("manifest: ")
}
