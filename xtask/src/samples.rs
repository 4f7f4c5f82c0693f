//! Prints what we send, for checks with means that the project does not carry.

use std::process::{Command, ExitCode};

/// Nothing but the samples goes to stdout, so that they can be piped.
pub(crate) fn print() -> ExitCode {
    let status = Command::new("cargo").args("run --quiet --package mcp-samples --locked".split(' ')).status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            eprintln!("mcp-samples ended with {status}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cannot run cargo: {error}");
            ExitCode::FAILURE
        }
    }
}
