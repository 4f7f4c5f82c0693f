//! What came of a set: the verdicts that the suite leaves in files, one folder for each scenario.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::Value;

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
}

impl Played {
    /// Reads the folder of results. `stdout` tells which scenarios began, so that none is missed that ended without verdicts.
    pub(super) fn read(results: &Path, stdout: &str) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        let entries = fs::read_dir(results).map_err(|error| format!("{}: {error}", results.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", results.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let scenario = scenario(&name).ok_or(format!("{name}: a folder of no scenario"))?;
            let file = path.join("checks.json");
            // The folder is made first; a scenario that broke off leaves it empty.
            if let Ok(text) = fs::read_to_string(&file) {
                files.insert(scenario.to_owned(), text);
            }
        }
        Self::parse(&files, stdout)
    }

    fn parse(files: &BTreeMap<String, String>, stdout: &str) -> Result<Self, String> {
        let begun: Vec<&str> = stdout
            .lines()
            .filter_map(|line| line.strip_prefix("=== Running scenario: ")?.strip_suffix(" ==="))
            .collect();
        let mut checks = Vec::new();
        for scenario in &begun {
            let text = files.get(*scenario).ok_or(format!("the scenario {scenario} broke off"))?;
            checks.append(&mut read(scenario, text).map_err(|error| format!("{scenario}: {error}"))?);
        }
        let played = Self { checks };
        let counts = played.counts(|_| true);
        // The suite counts as well: what it says and what it wrote must agree, or one of them was misread.
        let total = format!("Total: {} passed, {} failed", counts.passed, counts.failed);
        match begun.is_empty() || !stdout.lines().any(|line| line == total) {
            true => Err(format!("the suite does not end with `{total}`")),
            false => Ok(played),
        }
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

/// The scenario of a folder such as `server-tools-list-2026-07-28T12-00-00-000Z`.
fn scenario(folder: &str) -> Option<&str> {
    folder.get(..folder.len().checked_sub(STAMP)?)?.strip_prefix("server-")
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

    fn played(stdout: &str) -> Result<Played, String> {
        Played::parse(&BTreeMap::from([("x".to_owned(), CHECKS.to_owned())]), stdout)
    }

    #[test]
    fn verdicts_are_read_and_counted() {
        let played = played("=== Running scenario: x ===\nTotal: 1 passed, 1 failed\n").expect("verdicts");
        let ids = |checks: Vec<&Check>| checks.iter().map(|check| check.id.clone()).collect::<String>();
        assert_eq!((ids(played.failed()), ids(played.skipped())), ("bc".to_owned(), "d".to_owned()));
        assert_eq!(played.counts(|_| true), Counts { passed: 1, failed: 1, warnings: 1, skipped: 1 });
        assert_eq!(played.counts(|scenario| scenario != "x"), Counts::default());
        assert_eq!(played.failed()[0].to_string(), "x b (B) Failed: broken");
        assert_eq!(played.skipped()[0].message, r#"{"note":"no"}"#);
    }

    #[test]
    fn what_broke_off_or_does_not_add_up_is_told() {
        assert!(
            played("=== Running scenario: y ===\nTotal: 0 passed, 0 failed").is_err_and(|e| e.contains("y broke off"))
        );
        assert!(played("=== Running scenario: x ===\nTotal: 2 passed, 0 failed").is_err());
        assert!(played("=== Running scenario: x ===\n").is_err());
        assert!(played("Total: 0 passed, 0 failed").is_err());
        let unknown = BTreeMap::from([("x".to_owned(), r#"[{ "id": "a", "status": "MAYBE" }]"#.to_owned())]);
        assert!(Played::parse(&unknown, "=== Running scenario: x ===").is_err_and(|e| e.contains("MAYBE")));
    }

    #[test]
    fn folders() {
        assert_eq!(scenario("server-tools-list-2026-07-28T12-00-00-000Z"), Some("tools-list"));
        assert_eq!(scenario("server-x"), None);
    }
}
