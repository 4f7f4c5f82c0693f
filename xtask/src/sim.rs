//! Simulated worlds: the step of `cargo xtask test`, and the command `cargo xtask sim`.

use std::env;
use std::process::ExitCode;

use crate::command::Run;
use crate::report::{Failure, Outcome};

/// What every commit is tried with.
const RUNS: u64 = 1000;

/// Optimized, since there are many worlds, with all assertions, since those are what is tried.
const PROGRAM: &str = "cargo run --quiet --profile sim --package mcp-sim --locked --";

const SEED: &str = "MCP_SIM_SEED";

/// A thousand seeds from the commit's own on, and a fault planted for each check.
pub(crate) fn step() -> Result<Outcome, Failure> {
    let worlds = run(&["--runs", &RUNS.to_string()])?;
    let mutants = run(&["--mutants"])?;
    let last = |said: &str| said.lines().last().unwrap_or_default().to_owned();
    Ok(Outcome::held(format!("{}; {}", last(&worlds), last(&mutants))))
}

/// `cargo xtask sim [--runs N] [--mutants]`: what follows the word goes to the program.
pub(crate) fn command(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.detail);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<String, Failure> {
    let run = Run::new(PROGRAM).args(arguments).show(|_| true);
    if env::var_os(SEED).is_some() { run.stdout() } else { run.env(SEED, &commit_seed()?).stdout() }
}

/// The seed of a commit: other worlds with every one, and the same for everybody who looks at it.
fn commit_seed() -> Result<String, Failure> {
    let commit = Run::new("git rev-parse HEAD").stdout()?;
    let start = commit.get(..16).ok_or("git names no commit")?;
    Ok(format!("0x{start}"))
}
