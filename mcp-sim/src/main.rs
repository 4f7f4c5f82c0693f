//! Runs simulated worlds: `cargo xtask sim`.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().and_then(|runs| runs.parse().ok()).unwrap_or(100);
    let base = arguments.next().and_then(|runs| runs.parse().ok()).unwrap_or(1);
    let start = Instant::now();
    let tally = mcp_sim::run_many(base, runs, 2);
    for failure in &tally.failures {
        println!("{failure}\n");
    }
    let took = start.elapsed().as_secs_f64();
    println!("{} seeds, {} worlds, {:?}, {took:.1} s", tally.seeds, tally.worlds, tally.counts);
    if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
