//! Our server and our client over HTTP before the official conformance suite, on each runtime.
//!
//! The suite is installed as `tests/conformance/package-lock.json` pins it. It plays four sets of its scenarios against the example
//! `everything_server`, two with the example `everything_client`, and leaves its verdicts in files. What failed is compared with
//! `tests/conformance/baseline.txt`, what was skipped with `skipped.txt` there, both ways, and how much passed with the least that
//! must.

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

/// Scenarios of what is not there yet, which are extensions and authorization: the only ones that may stand in the baseline.
const LATER: [&str; 3] = ["tasks-", "sep-2640-", "auth/"];

/// One call of the suite.
struct Set {
    /// What is tested, and the revision that is spoken.
    name: &'static str,
    side: Side,
    arguments: &'static str,
    /// So many checks pass at least, those of [`LATER`] not counted.
    least: usize,
}

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The suite is the client of a server that runs all along.
    Server,
    /// The suite starts a server for each scenario, and a client that is told where and what; all at once.
    Client,
}

/// The frozen sets of requirements, with what they run without scoring it; and all that the suite has for servers of the revisions
/// before.
const SETS: [Set; 6] = [
    Set::server("server-2025-03-26", "--suite all --spec-version 2025-03-26", 3),
    Set::server("server-2025-06-18", "--suite all --spec-version 2025-06-18", 56),
    Set::server("server-2025-11-25", "--requirements 2025-11-25", 84),
    Set::server("server-2026-07-28", "--requirements 2026-07-28", 153),
    Set::client("client-2025-11-25", "--requirements 2025-11-25", 20),
    Set::client("client-2026-07-28", "--requirements 2026-07-28", 65),
];

impl Set {
    const fn server(name: &'static str, arguments: &'static str, least: usize) -> Self {
        Self { name, side: Side::Server, arguments, least }
    }

    const fn client(name: &'static str, arguments: &'static str, least: usize) -> Self {
        Self { name, side: Side::Client, arguments, least }
    }
}

/// All sets on all runtimes.
pub(crate) fn step() -> Result<Outcome, Failure> {
    let suite = Suite::prepare()?;
    let (baseline, skipped) = (Listed::read(BASELINE)?, Listed::read(SKIPPED)?);
    let mut complaints = baseline.misplaced(&LATER);
    let deadline = Instant::now() + LIMIT;
    let (mut passed, mut table) = (0, vec![heading()]);
    for runtime in RUNTIMES {
        let mut fixture = Fixture::start(&suite.server, runtime)?;
        for set in &SETS {
            let played = suite.play(runtime, set, &fixture, deadline)?;
            let who = format!("{runtime} {}", set.name);
            complaints.extend(baseline.compare(&who, set.name, &played.failed()));
            complaints.extend(skipped.compare(&who, set.name, &played.skipped()));
            let said = played.said().iter().filter(|(scenario, _)| !is_later(scenario));
            complaints.extend(said.map(|(scenario, words)| format!("{who}: {scenario}: the client says: {words}")));
            let counts = played.counts(|scenario| !is_later(scenario));
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

fn is_later(scenario: &str) -> bool {
    LATER.iter().any(|start| scenario.starts_with(start))
}

fn heading() -> String {
    format!(
        "   {:<10} {:<18} {:>6} {:>6} {:>8} {:>7}   later: {:>6} {:>6} {:>7}",
        "runtime", "set", "passed", "failed", "warnings", "skipped", "passed", "failed", "skipped"
    )
}

fn row(runtime: &str, set: &Set, played: &Played) -> String {
    let core = played.counts(|scenario| !is_later(scenario));
    let extra = played.counts(is_later);
    format!(
        "   {runtime:<10} {:<18} {:>6} {:>6} {:>8} {:>7}          {:>6} {:>6} {:>7}",
        set.name,
        core.passed,
        core.failed,
        core.warnings,
        core.skipped,
        extra.passed,
        extra.failed + extra.warnings,
        extra.skipped
    )
}

/// The suite, our server and our client, ready to run.
struct Suite {
    node: PathBuf,
    server: PathBuf,
    client: PathBuf,
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
        let build =
            "cargo build --quiet --locked --package mcp --example everything_server --example everything_client";
        Run::new(build).stdout()?;
        let example =
            |name: &str| target.join("debug/examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let (server, client) = (example("everything_server"), example("everything_client"));
        Ok(Self { node, server, client, results: target.join("conformance") })
    }

    /// Plays a set, and reads what came of it.
    fn play(&self, runtime: &str, set: &Set, fixture: &Fixture, deadline: Instant) -> Result<Played, Failure> {
        let results = self.results.join(runtime).join(set.name);
        if results.exists() {
            fs::remove_dir_all(&results).map_err(|error| format!("{}: {error}", results.display()))?;
        }
        let suite = Path::new(FOLDER).join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
        let run = Run::program(&self.node.display().to_string()).arg(suite);
        let run = match set.side {
            Side::Server => run.args(["server", "--url", fixture.url()]),
            // The suite adds where its server is.
            Side::Client => {
                run.args(["client", "--command", &format!("{} --runtime {runtime}", self.client.display())])
            }
        };
        let finished = run
            .args(set.arguments.split(' '))
            .arg("--output-dir")
            .arg(&results)
            .within(deadline.saturating_duration_since(Instant::now()))
            .finish()?;
        // Its exit status says less than its verdicts: a failure of the baseline is a failure there as well.
        Played::read(set.side, &results, &finished).map_err(|complaint| Failure {
            detail: format!("{runtime} {}: {complaint}", set.name),
            output: format!("{}\n{}", finished.output, finished.fault.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_later_is_told_apart() {
        assert!(is_later("tasks-lifecycle") && is_later("sep-2640-skills-manifest") && is_later("auth/basic-cimd"));
        assert!(!is_later("sep-2164-resource-not-found") && !is_later("server-stateless"));
    }

    /// What the lists say is about sets that are run, and only what comes later is excused.
    #[test]
    fn the_committed_lists_are_in_order() {
        let read = |list: &str| Listed::read(&workspace::root().join(list).display().to_string());
        let (baseline, skipped) = (read(BASELINE).expect("a baseline"), read(SKIPPED).expect("a list"));
        assert_eq!(baseline.misplaced(&LATER), Vec::<String>::new());
        for list in [&baseline, &skipped] {
            assert!(list.sets().all(|name| SETS.iter().any(|set| set.name == name)));
        }
    }
}
