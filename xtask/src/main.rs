//! The project's commands: `cargo xtask test` is all that must hold on every commit.
//!
//! One file per concern: [`report`] keeps the tally, [`command`] runs programs, [`toolchain`] brings what rustup can
//! bring; the other files are the steps.

mod command;
mod compile;
mod conformance;
mod dependencies;
mod fuzz;
mod interop;
mod layout;
mod licence;
mod manifest;
mod miri;
mod purity;
mod report;
mod samples;
mod sim;
mod toolchain;
mod workspace;

use std::env;
use std::process::ExitCode;

use report::{Report, Step};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test             all that must hold on every commit; prints a table and, as its last line, the tally
  test STEP...     only these of its steps
  adapters         only the tests of the adapters, on their three runtimes, and how long they take
  conformance      only the step conformance: our server and our client before the official conformance suite, on each runtime
  interop          only the step interop: our client and server against the official SDKs for Python, TypeScript and Rust
  interop-pairs    those SDKs among themselves, by the same steps: what fails here is not our fault
  fuzz [--seconds N] [TARGET...]
                   looks for inputs that break something, on nightly Rust: N seconds (60) for each target, or for these
  miri             the tests of what handles bytes and queues, interpreted by Miri on nightly Rust
  sim [--runs N]   simulated worlds, from the seed MCP_SIM_SEED on (without it, the commit's); 1000 if no number is given
  sim --mutants    plants a fault for each check of these worlds, and shows that it turns red
  samples          prints what we send, of every method in every revision, as one JSON object per line

It needs Rust with rustup, Python 3 with venv, and Node with npm. It installs the rest itself.
";

/// Every step of `cargo xtask test`, in order: cheap and telling first.
const STEPS: [Step; 17] = [
    Step { name: "fmt", run: compile::fmt },
    Step { name: "layout", run: layout::step },
    Step { name: "manifest", run: manifest::step },
    Step { name: "dependencies", run: dependencies::step },
    Step { name: "clippy", run: compile::clippy },
    Step { name: "docs", run: compile::docs },
    Step { name: "tests", run: compile::tests },
    Step { name: "corpus", run: fuzz::corpus },
    Step { name: "sim", run: sim::step },
    Step { name: "serde-features", run: compile::serde_features },
    Step { name: "bare-features", run: compile::bare_features },
    Step { name: "msrv", run: compile::msrv },
    Step { name: "purity", run: purity::step },
    Step { name: "cross-windows", run: compile::cross_windows },
    Step { name: "cross-macos", run: compile::cross_macos },
    Step { name: "conformance", run: conformance::step },
    Step { name: "interop", run: interop::step },
];

/// Not part of `cargo xtask test`: it says nothing about this project.
static PAIRS: Step = Step { name: "interop-pairs", run: interop::pairs };

/// A part of the step `tests`.
static ADAPTERS: Step = Step { name: "adapters", run: compile::adapters };

/// Apart as well: it needs nightly Rust and takes its time.
static MIRI: Step = Step { name: "miri", run: miri::step };

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments == ["samples"] {
        return samples::print();
    }
    if let [command, rest @ ..] = &arguments[..]
        && command == "sim"
    {
        return sim::command(rest);
    }
    let task = match select(&arguments) {
        Ok(task) => task,
        Err(complaint) => {
            eprint!("{complaint}{USAGE}\nSteps: {}\n", STEPS.map(|step| step.name).join(", "));
            return ExitCode::from(2);
        }
    };
    if let Err(error) = env::set_current_dir(workspace::root()) {
        eprintln!("cannot enter {}: {error}", workspace::root().display());
        return ExitCode::FAILURE;
    }
    let mut report = Report::default();
    match task {
        Task::Steps(steps) => steps.into_iter().for_each(|step| report.run(step)),
        Task::Fuzz(plan) => plan.run(&mut report),
    }
    report.finish()
}

/// What a command line asks for.
#[derive(Debug)]
enum Task {
    Steps(Vec<&'static Step>),
    Fuzz(fuzz::Plan),
}

/// What a command line asks for, or what is wrong with it.
fn select(arguments: &[String]) -> Result<Task, String> {
    let (names, all): (&[String], bool) = match arguments {
        [command] if command == PAIRS.name => return Ok(Task::Steps(vec![&PAIRS])),
        [command] if command == ADAPTERS.name => return Ok(Task::Steps(vec![&ADAPTERS])),
        [command] if command == MIRI.name => return Ok(Task::Steps(vec![&MIRI])),
        [command, arguments @ ..] if command == "fuzz" => return fuzz::Plan::read(arguments).map(Task::Fuzz),
        [command] if command == "test" => (&[], true),
        [command, names @ ..] if command == "test" => (names, false),
        [command] if command == "conformance" || command == "interop" => (arguments, false),
        [] => return Err(String::new()),
        [command, ..] => return Err(format!("no such command: {command}\n\n")),
    };
    if let Some(stranger) = names.iter().find(|name| STEPS.iter().all(|step| step.name != name.as_str())) {
        return Err(format!("no such step: {stranger}\n\n"));
    }
    Ok(Task::Steps(STEPS.iter().filter(|step| all || names.iter().any(|name| name == step.name)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Result<Vec<&'static str>, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        select(&arguments).map(|task| match task {
            Task::Steps(steps) => steps.iter().map(|step| step.name).collect(),
            Task::Fuzz(_) => vec!["fuzz"],
        })
    }

    #[test]
    fn command_lines() {
        assert_eq!(names("test").map(|all| all.len()), Ok(STEPS.len()));
        assert_eq!(names("test docs fmt"), Ok(vec!["fmt", "docs"]));
        assert_eq!(names("conformance"), Ok(vec!["conformance"]));
        assert_eq!(names("interop"), Ok(vec!["interop"]));
        assert_eq!(names("interop-pairs"), Ok(vec!["interop-pairs"]));
        assert_eq!(names("adapters"), Ok(vec!["adapters"]));
        assert_eq!(names("miri"), Ok(vec!["miri"]));
        assert_eq!(names("fuzz --seconds 3 ops"), Ok(vec!["fuzz"]));
        assert!(
            names("").is_err()
                && names("test nonsense").is_err()
                && names("fmt").is_err()
                && names("fuzz fmt").is_err()
        );
    }
}
