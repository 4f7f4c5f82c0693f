//! What must hold of the tables: they are whole, what they name exists, and what tests claim is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::sources::Sources;
use crate::table::{Batch, Id, Proof, Row};

/// How many rows there are of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All.
    pub rows: usize,
    /// Those of which nothing is open.
    pub proven: usize,
    /// Those of which something is open, by what they wait for: all, and those that are proven in part.
    pub open: BTreeMap<Batch, (usize, usize)>,
}

impl Summary {
    /// Counts.
    pub fn of(rows: &[Row]) -> Self {
        let mut summary = Self { rows: rows.len(), ..Self::default() };
        for row in rows {
            match row.open {
                None => summary.proven += 1,
                Some(batch) => {
                    let (all, in_part) = summary.open.entry(batch).or_default();
                    *all += 1;
                    *in_part += usize::from(!row.proofs.is_empty());
                }
            }
        }
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open: usize = self.open.values().map(|(all, _)| all).sum();
        write!(f, "{} rows, {} proven, {open} open", self.rows, self.proven)?;
        for (place, (batch, (all, in_part))) in self.open.iter().enumerate() {
            write!(f, "{} {} {all}", if place == 0 { ":" } else { "," }, batch.name())?;
            if *in_part > 0 {
                write!(f, " ({in_part} proven in part)")?;
            }
        }
        Ok(())
    }
}

/// The groups of the acceptance list, and how many rows each has.
const GROUPS: [(u32, u32); 4] = [(0, 53), (1, 43), (3, 104), (4, 16)];

/// The pains that have tests of their name.
const PAINS: [u32; 29] =
    [1, 2, 3, 4, 6, 8, 11, 12, 15, 16, 17, 18, 20, 21, 22, 23, 24, 27, 32, 35, 36, 38, 42, 45, 46, 48, 49, 50, 53];

/// Every number that has a row.
fn expected() -> BTreeSet<Id> {
    let acceptance = GROUPS.into_iter().flat_map(|(group, rows)| (1..=rows).map(move |row| Id::Acceptance(group, row)));
    (1..=185).map(Id::Protocol).chain(acceptance).chain(PAINS.map(Id::Pain)).collect()
}

/// Whether a row may wait for that: the core's obligations must be proven, but for tasks and advice.
fn may_wait_for(id: Id, batch: Batch) -> bool {
    match (id, batch) {
        (Id::Protocol(128 | 161..=170), batch) => batch == Batch::TasksRuntime,
        // What an application asks for, and where it sends a person, can only be advised.
        (Id::Protocol(154 | 156), batch) => batch == Batch::Documentation,
        // Those of them that are faults of HTTP.
        (Id::Pain(1 | 3 | 11 | 12 | 15..=18 | 21..=23 | 27 | 35 | 42 | 53), batch) => batch == Batch::Http,
        (Id::Protocol(1..=52 | 97..=170) | Id::Pain(_), _) => false,
        (Id::Protocol(_) | Id::Acceptance(..), _) => true,
    }
}

/// Everything that does not hold.
pub fn complaints(rows: &[Row], sources: &Sources, steps: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut missing = expected();
    let mut named: BTreeMap<(&str, &str), Vec<Id>> = BTreeMap::new();
    for row in rows {
        let id = row.id;
        if !missing.remove(&id) {
            complaints.push(format!("{id} has no place in the list, or stands twice"));
        }
        if let Some(batch) = row.open.filter(|batch| !may_wait_for(id, *batch)) {
            complaints.push(format!("{id} must be proven, and waits for {}", batch.name()));
        }
        for proof in &row.proofs {
            match proof {
                Proof::Test(file, function) => named.entry((file, function)).or_default().push(id),
                Proof::Step(name) if steps.contains(name) => {}
                Proof::Step(name) => complaints.push(format!("{id}: `cargo xtask test` has no step {name}")),
            }
        }
    }
    complaints.extend(missing.into_iter().map(|id| format!("{id} has no row")));
    for ((file, function), ids) in &named {
        let count = sources.tests(file).map(|tests| tests.iter().filter(|test| test.name == *function).count());
        let fault = match count {
            None => "there is no such file",
            Some(0) => "there is no such test in that file",
            Some(1) if sources.is_compiled(file) => continue,
            Some(1) => "no target has that file",
            Some(_) => "there are several of that name",
        };
        complaints.push(format!("{}: {file}::{function}: {fault}", list(ids)));
    }
    for file in sources.0.keys() {
        for test in sources.tests(file).unwrap_or_default() {
            let rows = named.get(&(file.as_str(), test.name.as_str()));
            if let Some(pain) = pain_of(&test.name) {
                if !rows.is_some_and(|rows| rows.contains(&pain)) {
                    complaints.push(format!("{file}::{}: the row {pain} does not name it", test.name));
                }
            } else if rows.is_none() && test.doc.split(|c: char| !c.is_alphabetic()).any(|word| word == "MUST") {
                complaints.push(format!("{file}::{}: it says MUST, and no row names it", test.name));
            }
        }
    }
    complaints
}

/// The pain that a test is named after.
fn pain_of(name: &str) -> Option<Id> {
    name.strip_prefix("pain_")?.split('_').next()?.parse().ok().map(Id::Pain)
}

fn list(ids: &[Id]) -> String {
    ids.iter().map(Id::to_string).collect::<Vec<_>>().join(", ")
}

/// The steps of `cargo xtask test`, read from its table.
pub fn steps(xtask: &str) -> Vec<String> {
    let names = xtask.lines().filter_map(|line| line.trim().strip_prefix("Step { name: \"")?.split('"').next());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Vec<Row> {
        expected().into_iter().map(|id| Row { id, proofs: vec![Proof::Step("fmt".into())], open: None }).collect()
    }

    fn told(rows: &[Row], files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        complaints(rows, &Sources(files), &["fmt".to_owned()])
    }

    #[test]
    fn there_are_as_many_rows_as_there_must_be() {
        assert_eq!(expected().len(), 185 + 216 + PAINS.len());
        assert_eq!(told(&whole(), &[]), Vec::<String>::new());
        let mut rows = whole();
        let first = rows.remove(0);
        assert_eq!(told(&rows, &[]), ["P-1 has no row"]);
        rows.extend([first.clone(), first, Row { id: Id::Protocol(186), ..rows[0].clone() }]);
        assert_eq!(told(&rows, &[]).len(), 2);
    }

    #[test]
    fn what_must_be_proven_is_not_open() {
        for (id, batch, may) in [
            (Id::Protocol(52), Batch::Http, false),
            (Id::Protocol(53), Batch::Http, true),
            (Id::Protocol(97), Batch::Documentation, false),
            (Id::Protocol(128), Batch::TasksRuntime, true),
            (Id::Protocol(165), Batch::Http, false),
            (Id::Protocol(171), Batch::Authorization, true),
            (Id::Acceptance(0, 1), Batch::Macros, true),
            (Id::Pain(2), Batch::Macros, false),
        ] {
            let mut rows = whole();
            rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.open = Some(batch));
            assert_eq!(told(&rows, &[]).is_empty(), may, "{id} {batch:?}");
        }
    }

    #[test]
    fn what_is_named_exists_once() {
        let test = "#[test]\nfn there() {}\n";
        let files: &[(&str, &str)] = &[
            ("a/src/lib.rs", test),
            ("a/src/twice/mod.rs", "#[test]\nfn there() {}\n#[test]\nfn there() {}\n"),
            ("a/src/idle.rs", test),
        ];
        for (file, function, fits) in [
            ("a/src/lib.rs", "there", true),
            ("a/src/lib.rs", "gone", false),
            ("a/src/none.rs", "there", false),
            ("a/src/twice/mod.rs", "there", false),
            ("a/src/idle.rs", "there", false),
        ] {
            let mut rows = whole();
            rows[0].proofs.push(Proof::Test(file.into(), function.into()));
            let told = told(&rows, files);
            assert_eq!(told.is_empty(), fits, "{told:?}");
        }
        let mut rows = whole();
        rows[0].proofs = vec![Proof::Step("gone".into())];
        assert_eq!(told(&rows, &[]), ["P-1: `cargo xtask test` has no step gone"]);
    }

    #[test]
    fn what_is_claimed_is_named() {
        let files: &[(&str, &str)] = &[(
            "a/src/lib.rs",
            "/// They MUST do it; a MUSTER may not.\n#[test]\nfn claims() {}\n/// It must.\n#[test]\nfn quiet() {}\n#[test]\nfn pain_2_is_gone() {}\n",
        )];
        assert_eq!(told(&whole(), files).len(), 2);
        let mut rows = whole();
        for row in &mut rows {
            let function = match row.id {
                Id::Protocol(5) => "claims",
                Id::Pain(2) => "pain_2_is_gone",
                _ => continue,
            };
            row.proofs.push(Proof::Test("a/src/lib.rs".into(), function.into()));
        }
        assert_eq!(told(&rows, files), Vec::<String>::new());
        // In any other row the pain is not named.
        rows.iter_mut().filter(|row| row.id == Id::Pain(2)).for_each(|row| row.id = Id::Pain(3));
        assert!(told(&rows, files).iter().any(|told| told.contains("the row pain-2 does not name it")));
    }

    #[test]
    fn the_summary_counts_by_batch() {
        let mut rows = whole();
        rows[60].open = Some(Batch::Http);
        rows[61] = Row { proofs: Vec::new(), open: Some(Batch::Http), ..rows[61].clone() };
        rows[180].open = Some(Batch::Authorization);
        rows[180].proofs.clear();
        let text = Summary::of(&rows).to_string();
        assert_eq!(text, "430 rows, 427 proven, 3 open: http 2 (1 proven in part), authorization 1");
    }

    #[test]
    fn steps_are_read_from_their_table() {
        let text = "const STEPS: [Step; 2] = [\n    Step { name: \"fmt\", run: fmt },\n    Step { name: \"docs\", run: docs },\n];\n";
        assert_eq!(steps(text), ["fmt", "docs"]);
    }
}
