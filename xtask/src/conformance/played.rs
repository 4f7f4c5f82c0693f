//! What came of a set: the verdicts that the suite leaves in files, one folder for each scenario.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Side;
use crate::command::Finished;

/// Behind the scenario in the name of a folder: `-2026-07-28T12-00-00-000Z`.
const STAMP: usize = "-2026-07-28T12-00-00-000Z".len();

/// What the suite says of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed,
    Warned,
    Skipped,
    /// A remark, such as a frame that went by.
    Told,
}

/// One thing that the suite looked at.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) scenario: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// Why, as the suite says.
    pub(super) message: String,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, id, name, verdict, message } = self;
        write!(f, "{scenario} {id} ({name}) {verdict:?}: {message}")
    }
}

/// How many of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) warnings: usize,
    pub(super) skipped: usize,
}

/// All checks of a set.
#[derive(Debug)]
pub(super) struct Played {
    checks: Vec<Check>,
    /// What our clients said of their own accord, by scenario: that something went wrong.
    said: BTreeMap<String, String>,
}

/// What a scenario left in its folder.
#[derive(Debug, Default)]
struct Left {
    checks: Option<String>,
    stderr: String,
}

impl Played {
    /// Reads the folder of results. The suite tells which scenarios began, so that none is missed that ended without verdicts.
    pub(super) fn read(side: Side, results: &Path, finished: &Finished) -> Result<Self, String> {
        // In this case the verdicts are those of a client that was stopped, and the suite does not tell whose.
        if finished.output.lines().any(|line| line.contains("Client timed out")) {
            return Err("a client was still running when its time was over".to_owned());
        }
        let mut folders = BTreeMap::new();
        collect(results, "", &mut folders).map_err(|error| format!("{}: {error}", results.display()))?;
        let mut left = BTreeMap::new();
        for (name, path) in folders {
            let scenario = scenario(side, &name).ok_or(format!("{name}: a folder of no scenario"))?;
            // The folder is made first; a scenario that broke off leaves it empty.
            let read = |file: &str| fs::read_to_string(path.join(file)).ok();
            let stderr = read("stderr.txt").unwrap_or_default();
            left.insert(scenario.to_owned(), Left { checks: read("checks.json"), stderr });
        }
        Self::parse(side, &left, &finished.stdout)
    }

    fn parse(side: Side, left: &BTreeMap<String, Left>, stdout: &str) -> Result<Self, String> {
        let begun: Vec<&str> = stdout.lines().filter_map(|line| begun(side, line)).collect();
        let (mut checks, mut said) = (Vec::new(), BTreeMap::new());
        for scenario in &begun {
            let left = left.get(*scenario);
            let text = left.and_then(|left| left.checks.as_deref());
            let text = text.ok_or(format!("the scenario {scenario} broke off"))?;
            checks.append(&mut read(scenario, text).map_err(|error| format!("{scenario}: {error}"))?);
            let words = left.map(|left| left.stderr.trim()).filter(|words| !words.is_empty());
            said.extend(words.map(|words| ((*scenario).to_owned(), words.to_owned())));
        }
        let played = Self { checks, said };
        let counts = played.counts(|_| true);
        // The suite counts as well: what it says and what it wrote must agree, or one of them was misread.
        let total = format!("Total: {} passed, {} failed", counts.passed, counts.failed);
        let total = match side {
            Side::Server => total,
            Side::Client => format!("{total}, {} warnings", counts.warnings),
        };
        match begun.is_empty() || !stdout.lines().any(|line| line == total) {
            true => Err(format!("the suite does not end with `{total}`")),
            false => Ok(played),
        }
    }

    /// What our clients said of their own accord, by scenario.
    pub(super) fn said(&self) -> &BTreeMap<String, String> {
        &self.said
    }

    /// What failed, or nearly.
    pub(super) fn failed(&self) -> Vec<&Check> {
        self.of(&[Verdict::Failed, Verdict::Warned])
    }

    pub(super) fn skipped(&self) -> Vec<&Check> {
        self.of(&[Verdict::Skipped])
    }

    fn of(&self, verdicts: &[Verdict]) -> Vec<&Check> {
        self.checks.iter().filter(|check| verdicts.contains(&check.verdict)).collect()
    }

    /// How many of each in these scenarios.
    pub(super) fn counts(&self, of: impl Fn(&str) -> bool) -> Counts {
        let mut counts = Counts::default();
        for check in self.checks.iter().filter(|check| of(&check.scenario)) {
            match check.verdict {
                Verdict::Passed => counts.passed += 1,
                Verdict::Failed => counts.failed += 1,
                Verdict::Warned => counts.warnings += 1,
                Verdict::Skipped => counts.skipped += 1,
                Verdict::Told => {}
            }
        }
        counts
    }
}

/// The folders of scenarios in a folder, and in those whose names are the beginnings of scenarios' names.
fn collect(folder: &Path, start: &str, found: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = format!("{start}{}", path.file_name().unwrap_or_default().to_string_lossy());
        match name.get(name.len().saturating_sub(1)..) {
            Some("Z") => drop(found.insert(name, path)),
            _ => collect(&path, &format!("{name}/"), found)?,
        }
    }
    Ok(())
}

/// The scenario of a folder such as `server-tools-list-2026-07-28T12-00-00-000Z`. Those of clients have nothing before.
fn scenario(side: Side, folder: &str) -> Option<&str> {
    let name = folder.get(..folder.len().checked_sub(STAMP)?)?;
    if side == Side::Server { name.strip_prefix("server-") } else { Some(name) }
}

/// The scenario that a line tells of. Those of clients are all under way at once, and are told of at the end.
fn begun(side: Side, line: &str) -> Option<&str> {
    match side {
        Side::Server => line.strip_prefix("=== Running scenario: ")?.strip_suffix(" ==="),
        Side::Client => {
            let (scenario, counts) = line.strip_prefix(['✓', '✗'])?.split_once(": ")?;
            counts.contains(" passed, ").then_some(scenario.trim())
        }
    }
}

fn read(scenario: &str, text: &str) -> Result<Vec<Check>, String> {
    let checks: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    checks.iter().map(|check| one(scenario, check)).collect()
}

fn one(scenario: &str, check: &Value) -> Result<Check, String> {
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let verdict = match text("status").as_str() {
        "SUCCESS" => Verdict::Passed,
        "FAILURE" => Verdict::Failed,
        "WARNING" => Verdict::Warned,
        "SKIPPED" => Verdict::Skipped,
        "INFO" => Verdict::Told,
        unknown => return Err(format!("{unknown:?} is no status of a check")),
    };
    let message = match check["errorMessage"].as_str() {
        Some(message) => message.to_owned(),
        None => check["details"].to_string(),
    };
    Ok(Check { scenario: scenario.to_owned(), id: text("id"), name: text("name"), verdict, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKS: &str = r#"[
        { "id": "a", "name": "A", "status": "SUCCESS" },
        { "id": "b", "name": "B", "status": "FAILURE", "errorMessage": "broken" },
        { "id": "c", "name": "C", "status": "WARNING" },
        { "id": "d", "name": "D", "status": "SKIPPED", "details": { "note": "no" } },
        { "id": "e", "name": "E", "status": "INFO" }
    ]"#;

    fn played(side: Side, stdout: &str) -> Result<Played, String> {
        let left = Left { checks: Some(CHECKS.to_owned()), stderr: "odd\n".to_owned() };
        Played::parse(side, &BTreeMap::from([("x".to_owned(), left)]), stdout)
    }

    #[test]
    fn verdicts_are_read_and_counted() {
        let stdout = "=== Running scenario: x ===\nTotal: 1 passed, 1 failed\n";
        let played = played(Side::Server, stdout).expect("verdicts");
        let ids = |checks: Vec<&Check>| checks.iter().map(|check| check.id.clone()).collect::<String>();
        assert_eq!((ids(played.failed()), ids(played.skipped())), ("bc".to_owned(), "d".to_owned()));
        assert_eq!(played.counts(|_| true), Counts { passed: 1, failed: 1, warnings: 1, skipped: 1 });
        assert_eq!(played.counts(|scenario| scenario != "x"), Counts::default());
        assert_eq!(played.failed()[0].to_string(), "x b (B) Failed: broken");
        assert_eq!(played.skipped()[0].message, r#"{"note":"no"}"#);
    }

    /// The suite tells of clients in other words, and what these say is kept.
    #[test]
    fn verdicts_on_clients() {
        let stdout = "✗ x: 1 passed, 1 failed, 1 warnings\n\nTotal: 1 passed, 1 failed, 1 warnings\n";
        let played = played(Side::Client, stdout).expect("verdicts");
        assert_eq!(played.counts(|_| true).passed, 1);
        assert_eq!(played.said(), &BTreeMap::from([("x".to_owned(), "odd".to_owned())]));
    }

    #[test]
    fn what_broke_off_or_does_not_add_up_is_told() {
        let broken = played(Side::Server, "=== Running scenario: y ===\nTotal: 0 passed, 0 failed");
        assert!(broken.is_err_and(|error| error.contains("y broke off")));
        let broken = played(Side::Client, "✓ y: 0 passed, 0 failed\nTotal: 0 passed, 0 failed, 0 warnings");
        assert!(broken.is_err_and(|error| error.contains("y broke off")));
        assert!(played(Side::Server, "=== Running scenario: x ===\nTotal: 2 passed, 0 failed").is_err());
        assert!(played(Side::Client, "✗ x: 1 passed, 1 failed\nTotal: 1 passed, 1 failed, 0 warnings").is_err());
        assert!(played(Side::Server, "=== Running scenario: x ===\n").is_err());
        assert!(played(Side::Server, "Total: 0 passed, 0 failed").is_err());
        let left = Left { checks: Some(r#"[{ "id": "a", "status": "MAYBE" }]"#.to_owned()), stderr: String::new() };
        let unknown =
            Played::parse(Side::Server, &BTreeMap::from([("x".to_owned(), left)]), "=== Running scenario: x ===");
        assert!(unknown.is_err_and(|error| error.contains("MAYBE")));
    }

    /// Verdicts on a client that was stopped are none.
    #[test]
    fn a_client_that_takes_too_long_is_told() {
        let output = "Client timed out after 30000ms".to_owned();
        let finished = Finished { output, stdout: String::new(), fault: None };
        let read = Played::read(Side::Client, Path::new("no such folder"), &finished);
        assert!(read.is_err_and(|error| error.contains("still running")));
    }

    #[test]
    fn folders() {
        assert_eq!(scenario(Side::Server, "server-tools-list-2026-07-28T12-00-00-000Z"), Some("tools-list"));
        assert_eq!(scenario(Side::Client, "auth/pre-2026-07-28T12-00-00-000Z"), Some("auth/pre"));
        assert_eq!(scenario(Side::Server, "server-x"), None);
    }
}
