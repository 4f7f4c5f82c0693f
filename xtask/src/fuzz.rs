//! The fuzzers: `cargo xtask fuzz` looks for new inputs on nightly Rust, the step `corpus` replays the committed ones on stable.

use std::fs;

use crate::command::Run;
use crate::report::{Failure, Outcome, Report};
use crate::toolchain;

/// The targets, in the order in which they run, each with the longest input that is tried, in bytes.
const TARGETS: [(&str, u32); 10] = [
    ("line", 2000),
    ("message", 2000),
    ("uri_template", 500),
    ("bytes", 4000),
    ("ops", 600),
    ("pair", 600),
    ("sse", 1000),
    ("headers", 1000),
    ("security", 400),
    ("endpoint", 1000),
];

/// How long each target runs unless told otherwise, and at most, in seconds.
const SECONDS: u32 = 60;
const MOST_SECONDS: u32 = 2000;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    seconds: u32,
    targets: Vec<(&'static str, u32)>,
}

impl Plan {
    /// `[--seconds N] [TARGET...]`, or what is wrong with it.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, String> {
        let (seconds, names) = match arguments {
            [flag, seconds, names @ ..] if flag == "--seconds" => {
                let number = seconds.parse().ok().filter(|number| (1..=MOST_SECONDS).contains(number));
                (number.ok_or(format!("--seconds {seconds}: a number from 1 to {MOST_SECONDS} is wanted\n\n"))?, names)
            }
            names => (SECONDS, names),
        };
        let find = |name: &String| TARGETS.into_iter().find(|(target, _)| target == name);
        let chosen = names.iter().map(|name| find(name).ok_or(format!("no such target: {name}\n\n")));
        let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { seconds, targets: if chosen.is_empty() { TARGETS.to_vec() } else { chosen } })
    }

    /// Runs the targets one after the other.
    pub(crate) fn run(&self, report: &mut Report) {
        let mut ready = false;
        report.note("fuzz tools", || {
            tools()?;
            ready = true;
            Ok(Outcome::held("nightly Rust and cargo-fuzz"))
        });
        for (target, longest) in self.targets.iter().filter(|_| ready) {
            report.note(target, || fuzz(target, *longest, self.seconds));
        }
    }
}

/// Brings what is missing.
fn tools() -> Result<(), Failure> {
    toolchain::toolchain("nightly")?;
    let installed = Run::new("cargo install --list").stdout()?;
    if !installed.lines().any(|line| line.starts_with("cargo-fuzz ")) {
        Run::new("cargo install cargo-fuzz --locked").stdout()?;
    }
    Ok(())
}

fn fuzz(target: &str, longest: u32, seconds: u32) -> Result<Outcome, Failure> {
    let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
    fs::create_dir_all(&corpus).map_err(|error| format!("{corpus}: {error}"))?;
    // There is no unsafe code of ours, in which the address sanitizer could find something; without it twice as much is tried.
    let finished = Run::new("rustup run nightly cargo fuzz run --fuzz-dir fuzz --sanitizer none")
        .args([target, &corpus, &seeds, "--", "-timeout=20", "-rss_limit_mb=2048", "-len_control=0"])
        .args(["-dict=fuzz/words.dict", "-print_final_stats=1"])
        .arg(format!("-max_len={longest}"))
        .arg(format!("-max_total_time={seconds}"))
        .show(|line| line.contains("panicked at"))
        .finish()?;
    match finished.fault {
        None => Ok(Outcome::held(summary(&finished.output).ok_or("the fuzzer tells no figures")?)),
        Some(fault) => {
            let replay = format!("cargo run --package mcp-fuzz-bodies -- {target} fuzz/artifacts/{target}/FILE");
            Err(Failure { detail: format!("{fault}; see it again with `{replay}`"), output: finished.output })
        }
    }
}

/// What the fuzzer says of its run: how many inputs, how fast, and how much of the code they reach.
fn summary(output: &str) -> Option<String> {
    let number = |name: &str| output.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let runs = number("stat::number_of_executed_units:")?;
    let speed = number("stat::average_exec_per_sec:")?;
    let last = output.lines().rfind(|line| line.contains(" cov: "))?;
    let coverage = last.split(" cov: ").nth(1)?.split_whitespace().next()?;
    Some(format!("{runs} inputs, {speed} a second, coverage {coverage}"))
}

/// The committed seeds, on stable Rust.
pub(crate) fn corpus() -> Result<Outcome, Failure> {
    let finished = Run::new("cargo run --quiet --package mcp-fuzz-bodies --locked").finish()?;
    let summary = finished.stdout.lines().rev().find_map(|line| line.strip_prefix("corpus: "));
    match (finished.fault, summary) {
        (None, Some(summary)) => Ok(Outcome::held(summary)),
        (None, None) => Err("the replay tells no figures".into()),
        (Some(fault), _) => Err(Failure { detail: fault, output: finished.output }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn plan(line: &str) -> Result<Plan, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Plan::read(&arguments)
    }

    #[test]
    fn command_lines() {
        assert_eq!(plan(""), Ok(Plan { seconds: SECONDS, targets: TARGETS.to_vec() }));
        assert_eq!(plan("--seconds 5 ops").map(|plan| (plan.seconds, plan.targets)), Ok((5, vec![("ops", 600)])));
        for wrong in ["--seconds", "--seconds x", "--seconds 0", "--seconds 9999", "none", "ops none"] {
            assert!(plan(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_target_has_its_shell_and_its_seeds() {
        for (target, _) in TARGETS {
            let folder = workspace::root().join("fuzz");
            assert!(folder.join(format!("fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(folder.join("seeds").join(target).is_dir(), "{target}");
        }
    }

    #[test]
    fn figures_are_found() {
        let output = "\
#490886	REDUCE cov: 950 ft: 4117 corp: 1007/72Kb lim: 483 exec/s: 19635 rss: 534Mb
#491041	DONE   cov: 955 ft: 4126 corp: 1008/73Kb lim: 483 exec/s: 18886 rss: 534Mb
stat::number_of_executed_units: 491041
stat::average_exec_per_sec:     18886
";
        assert_eq!(summary(output).as_deref(), Some("491041 inputs, 18886 a second, coverage 955"));
        assert_eq!(summary("error: could not compile"), None);
    }
}
