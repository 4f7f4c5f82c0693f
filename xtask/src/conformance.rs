//! Our server over HTTP before the official conformance suite, on each runtime.
//!
//! The suite is installed as `tests/conformance/package-lock.json` pins it. It plays four sets of its scenarios against the example
//! `everything_server` and leaves its verdicts in files. What failed is compared with `tests/conformance/baseline.txt`, what was
//! skipped with `skipped.txt` there, both ways, and how much passed with the least that must.

mod fixture;
mod listed;
mod played;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::Run;
use crate::interop;
use crate::report::{Failure, Outcome};
use crate::workspace::{self, Workspace};

use fixture::Fixture;
use listed::Listed;
use played::Played;

const FOLDER: &str = "tests/conformance";
const BASELINE: &str = "tests/conformance/baseline.txt";
const SKIPPED: &str = "tests/conformance/skipped.txt";

const RUNTIMES: [&str; 3] = ["tokio", "async-std", "smol"];

/// What the suite may take, all in all.
const LIMIT: Duration = Duration::from_secs(8 * 60);

/// Scenarios of the extensions that we do not serve yet: the only ones that may stand in the baseline.
const EXTENSIONS: [&str; 2] = ["tasks-", "sep-2640-"];

/// One call of the suite.
struct Set {
    /// The revision that is spoken.
    revision: &'static str,
    arguments: &'static str,
    /// So many checks pass at least, those of [`EXTENSIONS`] not counted.
    least: usize,
}

/// The two frozen sets of requirements, with what they run without scoring it; and all that the suite has for the revisions before.
const SETS: [Set; 4] = [
    Set { revision: "2025-03-26", arguments: "--suite all --spec-version 2025-03-26", least: 3 },
    Set { revision: "2025-06-18", arguments: "--suite all --spec-version 2025-06-18", least: 56 },
    Set { revision: "2025-11-25", arguments: "--requirements 2025-11-25", least: 84 },
    Set { revision: "2026-07-28", arguments: "--requirements 2026-07-28", least: 153 },
];

/// All sets on all runtimes.
pub(crate) fn step() -> Result<Outcome, Failure> {
    let suite = Suite::prepare()?;
    let (baseline, skipped) = (Listed::read(BASELINE)?, Listed::read(SKIPPED)?);
    let mut complaints = baseline.misplaced(&EXTENSIONS);
    let deadline = Instant::now() + LIMIT;
    let (mut passed, mut table) = (0, vec![heading()]);
    for runtime in RUNTIMES {
        let mut fixture = Fixture::start(&suite.server, runtime)?;
        for set in &SETS {
            let played = suite.play(runtime, set, &fixture, deadline)?;
            let who = format!("{runtime} {}", set.revision);
            complaints.extend(baseline.compare(&who, set.revision, &played.failed()));
            complaints.extend(skipped.compare(&who, set.revision, &played.skipped()));
            let counts = played.counts(|scenario| !is_extension(scenario));
            if counts.passed < set.least {
                complaints.push(format!("{who}: {} checks passed, and {} is the least", counts.passed, set.least));
            }
            passed += counts.passed;
            table.push(row(runtime, set, &played));
        }
        complaints.extend(fixture.complaint());
    }
    let table = table.join("\n");
    println!("{table}");
    let sets = RUNTIMES.len() * SETS.len();
    let detail = format!("{sets} sets, {passed} checks passed, {} complaints", complaints.len());
    Ok(Outcome { passed, failed: complaints.len(), detail, output: complaints.join("\n") })
}

fn is_extension(scenario: &str) -> bool {
    EXTENSIONS.iter().any(|start| scenario.starts_with(start))
}

fn heading() -> String {
    format!(
        "   {:<10} {:<11} {:>6} {:>6} {:>8} {:>7}   extensions: {:>6} {:>6} {:>7}",
        "runtime", "set", "passed", "failed", "warnings", "skipped", "passed", "failed", "skipped"
    )
}

fn row(runtime: &str, set: &Set, played: &Played) -> String {
    let core = played.counts(|scenario| !is_extension(scenario));
    let extra = played.counts(is_extension);
    format!(
        "   {runtime:<10} {:<11} {:>6} {:>6} {:>8} {:>7}               {:>6} {:>6} {:>7}",
        set.revision,
        core.passed,
        core.failed,
        core.warnings,
        core.skipped,
        extra.passed,
        extra.failed + extra.warnings,
        extra.skipped
    )
}

/// The suite and our server, ready to run.
struct Suite {
    node: PathBuf,
    server: PathBuf,
    results: PathBuf,
}

impl Suite {
    fn prepare() -> Result<Self, Failure> {
        let target = Workspace::read()?.target;
        // From the workspace on, where we are, so that the lines that tell what runs can be read.
        let target = target.strip_prefix(workspace::root()).unwrap_or(&target);
        interop::npm(FOLDER, &target.join("conformance-npm.txt"))?;
        let node = Path::new(FOLDER).join("node_modules/.bin").join(if cfg!(windows) { "node.cmd" } else { "node" });
        if !node.exists() {
            return Err(format!("{FOLDER}/package.json has no package with Node 22 for this platform: add it").into());
        }
        Run::new("cargo build --quiet --locked --package mcp --example everything_server").stdout()?;
        let server = if cfg!(windows) { "everything_server.exe" } else { "everything_server" };
        Ok(Self { node, server: target.join("debug/examples").join(server), results: target.join("conformance") })
    }

    /// Plays a set, and reads what came of it.
    fn play(&self, runtime: &str, set: &Set, fixture: &Fixture, deadline: Instant) -> Result<Played, Failure> {
        let results = self.results.join(runtime).join(set.revision);
        if results.exists() {
            fs::remove_dir_all(&results).map_err(|error| format!("{}: {error}", results.display()))?;
        }
        let finished = Run::program(&self.node.display().to_string())
            .arg(Path::new(FOLDER).join("node_modules/@modelcontextprotocol/conformance/dist/index.js"))
            .args(["server", "--url", fixture.url()])
            .args(set.arguments.split(' '))
            .arg("--output-dir")
            .arg(&results)
            .within(deadline.saturating_duration_since(Instant::now()))
            .finish()?;
        // Its exit status says less than its verdicts: a failure of the baseline is a failure there as well.
        Played::read(&results, &finished.stdout).map_err(|complaint| Failure {
            detail: format!("{runtime} {}: {complaint}", set.revision),
            output: format!("{}\n{}", finished.output, finished.fault.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_extensions_are_told_apart() {
        assert!(is_extension("tasks-lifecycle") && is_extension("sep-2640-skills-manifest"));
        assert!(!is_extension("sep-2164-resource-not-found") && !is_extension("server-stateless"));
    }

    /// What the lists say is about sets that are run, and only extensions are excused.
    #[test]
    fn the_committed_lists_are_in_order() {
        let read = |list: &str| Listed::read(&workspace::root().join(list).display().to_string());
        let (baseline, skipped) = (read(BASELINE).expect("a baseline"), read(SKIPPED).expect("a list"));
        assert_eq!(baseline.misplaced(&EXTENSIONS), Vec::<String>::new());
        for list in [&baseline, &skipped] {
            assert!(list.sets().all(|revision| SETS.iter().any(|set| set.revision == revision)));
        }
    }
}
