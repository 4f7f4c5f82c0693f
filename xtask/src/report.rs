//! The tally: what each step found, the table of them, and the last line.

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// One thing that must hold.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Result<Outcome, Failure>,
}

/// What a step found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Single checks that held: tests, cells, or the step itself.
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// A few words for the table.
    pub(crate) detail: String,
    /// Shown if anything failed.
    pub(crate) output: String,
}

impl Outcome {
    /// The step held, as one check.
    pub(crate) fn held(detail: impl Into<String>) -> Self {
        Self { passed: 1, failed: 0, detail: detail.into(), output: String::new() }
    }

    /// The step held if no complaint came up; the whole counts as one check.
    pub(crate) fn of_complaints(complaints: &[String], otherwise: impl Into<String>) -> Result<Self, Failure> {
        match complaints {
            [] => Ok(Self::held(otherwise)),
            [only] => Err(Failure::from(only.clone())),
            many => Err(Failure { detail: format!("{} complaints", many.len()), output: many.join("\n") }),
        }
    }
}

/// Why a step failed as a whole: one check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// A few words for the table.
    pub(crate) detail: String,
    /// What the tools said.
    pub(crate) output: String,
}

impl<T: Into<String>> From<T> for Failure {
    fn from(detail: T) -> Self {
        Self { detail: detail.into(), output: String::new() }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self { passed: 0, failed: 1, detail: failure.detail, output: failure.output }
    }
}

/// Runs steps and remembers what came of them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Runs a step, whatever came of those before it.
    pub(crate) fn run(&mut self, step: &Step) {
        self.note(step.name, step.run);
    }

    /// The same with what is no fixed step.
    pub(crate) fn note(&mut self, name: &'static str, run: impl FnOnce() -> Result<Outcome, Failure>) {
        println!("== {name}");
        let start = Instant::now();
        let outcome = run().unwrap_or_else(Outcome::from);
        if outcome.failed > 0 {
            println!("{}\n== {name} FAILED: {}\n", outcome.output.trim_end(), outcome.detail);
        }
        self.rows.push((name, outcome, start.elapsed()));
    }

    /// Prints the table and the tally; fails if anything failed or nothing ran.
    pub(crate) fn finish(&self) -> ExitCode {
        println!("\n{:<16} {:<6} {:>8}  detail", "step", "result", "seconds");
        for (name, outcome, took) in &self.rows {
            let result = if outcome.failed == 0 { "ok" } else { "FAILED" };
            let detail = outcome.detail.lines().next().unwrap_or_default();
            println!("{name:<16} {result:<6} {:>8.1}  {detail}", took.as_secs_f64());
        }
        let (passed, failed) = self.tally();
        println!("\n{passed} passed, {failed} failed");
        if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn tally(&self) -> (usize, usize) {
        self.rows
            .iter()
            .fold((0, 0), |(passed, failed), (_, outcome, _)| (passed + outcome.passed, failed + outcome.failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_counts_once_and_stops_nothing() {
        let mut report = Report::default();
        report.run(&Step { name: "bad", run: || Err("no".into()) });
        report.run(&Step {
            name: "tests",
            run: || Ok(Outcome { passed: 7, failed: 2, detail: String::new(), output: String::new() }),
        });
        report.run(&Step { name: "good", run: || Ok(Outcome::held("yes")) });
        assert_eq!(report.tally(), (8, 3));
    }

    #[test]
    fn complaints() {
        assert_eq!(Outcome::of_complaints(&[], "fine"), Ok(Outcome::held("fine")));
        assert_eq!(Outcome::of_complaints(&["a".into()], "fine"), Err("a".into()));
        let both = Outcome::of_complaints(&["a".into(), "b".into()], "fine");
        assert_eq!(both.map_err(|failure| failure.output), Err("a\nb".into()));
    }
}
