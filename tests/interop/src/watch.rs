//! Stands between a client and its server, to tell how the server ended: `watch FILE COMMAND ARGS...`.
//!
//! The server has this process's own input and output. FILE gets the line `started` and, if the server ends before somebody
//! ends us, the line `ended CODE`; a server that a signal has ended has no code, and gets `ended by signal`.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, ExitCode};

pub(crate) fn run(record: &str, command: &[String]) -> ExitCode {
    match watch(record, command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mcp-interop watch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn watch(record: &str, command: &[String]) -> std::io::Result<ExitCode> {
    let mut record = OpenOptions::new().create(true).append(true).open(record)?;
    let (program, arguments) = command.split_first().ok_or_else(|| std::io::Error::other("no command"))?;
    let mut child = Command::new(program).args(arguments).spawn()?;
    writeln!(record, "started")?;
    let status = child.wait()?;
    match status.code() {
        Some(code) => writeln!(record, "ended {code}")?,
        None => writeln!(record, "ended by signal")?,
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
