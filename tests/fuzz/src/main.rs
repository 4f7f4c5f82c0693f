//! Replays inputs of the fuzzers: all committed seeds, or the named files of one target.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use mcp_fuzz_bodies::{TARGETS, replay};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let done = match arguments.next() {
        None => all(),
        Some(name) => one(&name, arguments.map(PathBuf::from).collect()),
    };
    match done {
        Ok(summary) => {
            println!("corpus: {summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> io::Result<String> {
    let mut total = 0;
    for target in TARGETS {
        let seeds = replay::seeds(target)?;
        for seed in &seeds {
            // So that the one that breaks something is known.
            println!("{} {}", target.name, seed.display());
            replay::file(target, seed)?;
        }
        total += seeds.len();
    }
    Ok(format!("{total} seeds of {} targets", TARGETS.len()))
}

fn one(name: &str, files: Vec<PathBuf>) -> io::Result<String> {
    let target = replay::target(name).ok_or_else(|| io::Error::other(format!("there is no target {name}")))?;
    for file in &files {
        println!("{name} {}", file.display());
        replay::shown(target, file)?;
    }
    Ok(format!("{} files of {name}", files.len()))
}
