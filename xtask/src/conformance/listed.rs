//! A committed list of checks that are no success, each with the reason, against what came of a set.
//!
//! Rows stand below their reason:
//!
//! ```text
//! because: something is not there yet
//!     server-2026-07-28 tasks-lifecycle tasks-lifecycle-create
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::report::Failure;

use super::played::Check;

/// A scenario and the id of a check in it. Ids may repeat in a scenario, and then stand for all of theirs.
type Row = (String, String);

/// The list.
#[derive(Debug)]
pub(super) struct Listed {
    name: String,
    /// By set.
    rows: BTreeMap<String, BTreeSet<Row>>,
}

impl Listed {
    pub(super) fn read(path: &str) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Self::parse(path, &text).map_err(Failure::from)
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut rows: BTreeMap<String, BTreeSet<Row>> = BTreeMap::new();
        let mut reason = "";
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let wrong = |what: &str| format!("{name}:{}: {what}: {line}", at + 1);
            if let Some(because) = line.strip_prefix("because: ") {
                reason = because.trim();
                continue;
            }
            let [set, scenario, check] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                return Err(wrong("a row is a set, a scenario and a check"));
            };
            if reason.is_empty() {
                return Err(wrong("no reason stands above it"));
            }
            if !rows.entry(set.to_owned()).or_default().insert((scenario.to_owned(), check.to_owned())) {
                return Err(wrong("it stands there twice"));
            }
        }
        Ok(Self { name: name.to_owned(), rows })
    }

    /// The sets that it is about.
    #[cfg(test)]
    pub(super) fn sets(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }

    /// Rows whose scenario begins with none of these.
    pub(super) fn misplaced(&self, starts: &[&str]) -> Vec<String> {
        let rows = self.rows.iter().flat_map(|(set, rows)| rows.iter().map(move |row| (set, row)));
        rows.filter(|(_, (scenario, _))| !starts.iter().any(|start| scenario.starts_with(start)))
            .map(|(set, (scenario, check))| format!("{}: {set} {scenario} {check} may not stand there", self.name))
            .collect()
    }

    /// What is listed and was not found, and what was found and is not listed.
    pub(super) fn compare(&self, who: &str, set: &str, found: &[&Check]) -> Vec<String> {
        let none = BTreeSet::new();
        let listed = self.rows.get(set).unwrap_or(&none);
        let row = |check: &Check| (check.scenario.clone(), check.id.clone());
        let seen: BTreeSet<Row> = found.iter().copied().map(row).collect();
        let strangers = found.iter().filter(|check| !listed.contains(&row(check)));
        let mut complaints: Vec<String> = strangers.map(|check| format!("{who}: {check}")).collect();
        let stale = listed.difference(&seen);
        complaints.extend(stale.map(|(scenario, check)| {
            format!("{who}: {scenario} {check} is in {}, and it is not so any more", self.name)
        }));
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::super::played::Verdict;
    use super::*;

    const LIST: &str =
        "# a list\n\nbecause: not yet\n    1 tasks-a one\n    1 tasks-a two\nbecause: never\n    2 b one\n";

    fn check(scenario: &str, id: &str) -> Check {
        let (scenario, id) = (scenario.to_owned(), id.to_owned());
        Check { scenario, id, name: "Name".to_owned(), verdict: Verdict::Failed, message: "broken".to_owned() }
    }

    #[test]
    fn what_is_found_is_what_is_listed() {
        let listed = Listed::parse("list", LIST).expect("a list");
        let (one, two, other) = (check("tasks-a", "one"), check("tasks-a", "two"), check("tasks-a", "three"));
        assert_eq!(listed.compare("x", "1", &[&one, &one, &two]), Vec::<String>::new());
        assert_eq!(listed.compare("x", "3", &[]), Vec::<String>::new());
        let complaints = listed.compare("x", "1", &[&one, &other]);
        assert_eq!(complaints.len(), 2);
        assert!(complaints[0].contains("tasks-a three") && complaints[0].contains("broken"), "{complaints:?}");
        assert!(complaints[1].contains("tasks-a two is in list"), "{complaints:?}");
    }

    #[test]
    fn rows_have_a_reason_and_a_place() {
        for wrong in ["1 a one", "because: x\n1 a", "because: x\n1 a one more", "because: x\n1 a one\n1 a one"] {
            assert!(Listed::parse("list", wrong).is_err(), "{wrong}");
        }
        let listed = Listed::parse("list", LIST).expect("a list");
        assert_eq!(listed.misplaced(&["tasks-"]), ["list: 2 b one may not stand there"]);
    }
}
