//! Runs simulated worlds: what `cargo xtask sim` starts.

use std::process::ExitCode;
use std::time::Instant;

use mcp_sim::{
    Counts, ExchangeTally, Items, Tally, run_exchange_mutants, run_exchanges, run_many, run_mutants, run_some,
    seed_of_environment,
};

const USAGE: &str = "\
Usage: mcp-sim [--runs N] [--threads N] [--streams]
       mcp-sim --items 0,3-7,12
       mcp-sim --mutants

--streams leaves out the worlds of exchanges, which take ten times as long.
--items runs the world of the base seed with these of its items only, as a failure names them.

The base seed is in MCP_SIM_SEED, decimal or hexadecimal with 0x; 1 without it.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let base = match seed_of_environment() {
        Ok(seed) => seed.unwrap_or(1),
        Err(complaint) => return usage(&complaint),
    };
    let mut arguments = arguments.iter().map(String::as_str);
    let (mut runs, mut threads, mut kinds) = (1000, 2, Kinds::All);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|number| number.parse().ok());
        match argument {
            "--mutants" => return mutants(base),
            "--runs" => match number() {
                Some(number) => runs = number,
                None => return usage("--runs needs a number"),
            },
            "--threads" => match number() {
                Some(number) => threads = number as usize,
                None => return usage("--threads needs a number"),
            },
            "--streams" => kinds = Kinds::Streams,
            "--items" => match arguments.next().map(str::parse) {
                Some(Ok(items)) => return some(base, &items),
                Some(Err(complaint)) => return usage(&complaint),
                None => return usage("--items needs numbers"),
            },
            other => return usage(&format!("no such option: {other}")),
        }
    }
    worlds(base, runs, threads, kinds)
}

/// Which worlds are run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    All,
    Streams,
}

/// After so many seeds a run tells its figures so far.
const A_PART: u64 = 20_000;

fn worlds(base: u64, runs: u64, threads: usize, kinds: Kinds) -> ExitCode {
    println!("{runs} seeds from {base:#x} on, {threads} threads");
    let start = Instant::now();
    let (mut streams, mut exchanges) = (Tally::default(), ExchangeTally::default());
    let is_fine =
        |streams: &Tally, exchanges: &ExchangeTally| streams.failures.is_empty() && exchanges.failures.is_empty();
    while streams.seeds < runs && is_fine(&streams, &exchanges) {
        let (from, part) = (base.wrapping_add(streams.seeds), (runs - streams.seeds).min(A_PART));
        streams.add(run_many(from, part, threads));
        if kinds == Kinds::All {
            exchanges.add(run_exchanges(from, part, threads));
        }
        for failure in &streams.failures {
            println!("\n{failure}\n");
        }
        for failure in &exchanges.failures {
            println!("\n{failure}\n");
        }
        // A long run says how far it has come: whoever ends it early has that.
        println!("{}", figures(&streams, &exchanges, start.elapsed().as_secs_f64()));
    }
    if is_fine(&streams, &exchanges) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn some(seed: u64, items: &Items) -> ExitCode {
    let start = Instant::now();
    let tally = run_some(seed, items);
    for failure in &tally.failures {
        println!("\n{failure}\n");
    }
    println!("{}", figures(&tally, &ExchangeTally::default(), start.elapsed().as_secs_f64()));
    if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn figures(streams: &Tally, exchanges: &ExchangeTally, took: f64) -> String {
    let told = |worlds: u64, kind: &str, Counts { steps, messages, faults, nanos }: Counts| {
        let hours = nanos / 3_600_000_000_000;
        format!("{worlds} of {kind}: {hours} simulated hours, {messages} messages, {faults} faults, {steps} steps")
    };
    let (seeds, worlds) = (streams.seeds, streams.worlds + exchanges.worlds);
    let speed = worlds as f64 / took;
    let streams = told(streams.worlds, "streams", streams.counts);
    let exchanges = told(exchanges.worlds, "exchanges", exchanges.counts);
    format!("{seeds} seeds, {worlds} worlds; {streams}; {exchanges}; {took:.1} s, {speed:.0} worlds/s")
}

fn mutants(base: u64) -> ExitCode {
    let (mut red, mut green) = (0, 0);
    for caught in run_mutants(base).chain(run_exchange_mutants(base)) {
        println!("{caught}");
        *if caught.red.is_some() { &mut red } else { &mut green } += 1;
    }
    println!("{red} planted faults caught, {green} not");
    if green == 0 && red > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(complaint: &str) -> ExitCode {
    eprint!("{complaint}\n\n{USAGE}");
    ExitCode::from(2)
}
