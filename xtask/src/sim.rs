//! Simulated worlds: the step of `cargo xtask test`, and the command `cargo xtask sim`.

use std::env;
use std::process::ExitCode;

use crate::command::Run;
use crate::report::{Failure, Outcome};

/// What every commit is tried with: always the same seeds, so that a commit is not held up by what it has not done.
const BASE: &str = "1";
const RUNS: u64 = 1000;

/// Optimized, since there are many worlds, with all assertions, since those are what is tried.
const PROGRAM: &str = "cargo run --quiet --profile sim --package mcp-sim --locked --";

const SEED: &str = "MCP_SIM_SEED";

/// A thousand seeds, and a fault planted for each check.
pub(crate) fn step() -> Result<Outcome, Failure> {
    let worlds = run(&["--runs", &RUNS.to_string()], BASE)?;
    let mutants = run(&["--mutants"], BASE)?;
    let last = |said: &str| said.lines().last().unwrap_or_default().to_owned();
    Ok(Outcome::held(format!("{}; {}", last(&worlds), last(&mutants))))
}

/// `cargo xtask sim [--runs N] [--mutants]`: what follows the word goes to the program.
pub(crate) fn command(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = match env::var(SEED) {
        Ok(seed) => run(&arguments, &seed),
        Err(_) => commit_seed().and_then(|seed| run(&arguments, &seed)),
    };
    match ran {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.detail);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str], seed: &str) -> Result<String, Failure> {
    Run::new(PROGRAM).args(arguments).env(SEED, seed).show(|_| true).stdout()
}

/// The seed of a commit: other worlds with every one, and the same for everybody who looks at it.
fn commit_seed() -> Result<String, Failure> {
    let commit = Run::new("git rev-parse HEAD").stdout()?;
    let start = commit.get(..16).ok_or("git names no commit")?;
    Ok(format!("0x{start}"))
}
