//! The rows: what is required, of whom, in which revisions, and what proves it.

use std::fmt;
use std::str::FromStr;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, which it keeps for good.
    pub id: Id,
    /// What proves it.
    pub proofs: Vec<Proof>,
    /// What it waits for, if it is not proven or not in all parts.
    pub open: Option<Batch>,
}

/// The number of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// An obligation of the specification: `P-17`.
    Protocol(u32),
    /// Something that users of other SDKs have: `A-3.101`, by group and number.
    Acceptance(u32, u32),
    /// A fault that users of other SDKs suffered from: `pain-32`.
    Pain(u32),
}

/// What proves a requirement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// A test function: the file's path from the root, and the function's name.
    Test(String, String),
    /// A step of `cargo xtask test`.
    Step(String),
}

/// What open requirements wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Batch {
    /// Everything over HTTP, and other network transports.
    Http,
    /// OAuth.
    Authorization,
    /// The command line tool.
    CommandLine,
    /// Macros and comfort on top of the plain interface.
    Macros,
    /// Tasks that run.
    TasksRuntime,
    /// Pages to read.
    Documentation,
}

impl Batch {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 6] =
        [Self::Http, Self::Authorization, Self::CommandLine, Self::Macros, Self::TasksRuntime, Self::Documentation];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Authorization => "authorization",
            Self::CommandLine => "command-line",
            Self::Macros => "macros",
            Self::TasksRuntime => "tasks-runtime",
            Self::Documentation => "documentation",
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(number) => write!(f, "P-{number}"),
            Self::Acceptance(group, number) => write!(f, "A-{group}.{number}"),
            Self::Pain(number) => write!(f, "pain-{number}"),
        }
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = if let Some(number) = text.strip_prefix("P-") {
            number.parse().ok().map(Self::Protocol)
        } else if let Some(number) = text.strip_prefix("pain-") {
            number.parse().ok().map(Self::Pain)
        } else {
            text.strip_prefix("A-")
                .and_then(|numbers| numbers.split_once('.'))
                .and_then(|(group, number)| Some(Self::Acceptance(group.parse().ok()?, number.parse().ok()?)))
        };
        // What reads as a number in another spelling is another id.
        id.filter(|id| id.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no id such as P-17, A-3.101 or pain-32"))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(file, function) => write!(f, "{file}::{function}"),
            Self::Step(name) => write!(f, "step {name}"),
        }
    }
}

const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// The longest requirement, in characters: one line to read.
const LONGEST: usize = 160;

/// Reads a table; every line that is not as it must be is told, with its number.
pub fn read(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut complaints) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        let mut body = Vec::new();
        while let Some((number, line)) = lines.next_if(|(_, line)| line.starts_with(' ')) {
            body.push((number, line));
        }
        match row(line, &body) {
            Ok(row) => rows.push(row),
            Err(complaint) => complaints.push(format!("{number}: {complaint}")),
        }
    }
    (rows, complaints)
}

fn row(head: &str, body: &[(usize, &str)]) -> Result<Row, String> {
    let fields: Vec<&str> = head.split(" | ").collect();
    let [id, revisions, side, source] = fields[..] else {
        return Err(format!("{head:?} is no `ID | REVISIONS | SIDE | SOURCE`"));
    };
    let id: Id = id.parse()?;
    check_revisions(revisions).map_err(|complaint| format!("{id}: {complaint}"))?;
    if !["client", "server", "both"].contains(&side) {
        return Err(format!("{id}: {side:?} is no side: client, server or both"));
    }
    if source.trim() != source || source.is_empty() {
        return Err(format!("{id}: no source"));
    }
    let mut texts = Vec::new();
    for (number, line) in body {
        match line.strip_prefix("    ").filter(|text| text.trim() == *text && !text.is_empty()) {
            Some(text) => texts.push(text),
            None => return Err(format!("{id}: line {number} is not indented by four")),
        }
    }
    let [requirement, rest @ ..] = &texts[..] else { return Err(format!("{id}: it says nothing")) };
    if requirement.chars().count() > LONGEST || proof(requirement).is_some() || requirement.starts_with("open: ") {
        return Err(format!("{id}: the requirement is one line of at most {LONGEST} characters"));
    }
    let mut row = Row { id, proofs: Vec::new(), open: None };
    for text in rest {
        if row.open.is_some() {
            return Err(format!("{id}: what is open comes last"));
        } else if let Some(open) = text.strip_prefix("open: ") {
            let name = open.split_once(": ").map_or(open, |(name, _)| name);
            let batch = Batch::ALL.into_iter().find(|batch| batch.name() == name);
            row.open = Some(batch.ok_or_else(|| format!("{id}: {name:?} is no batch"))?);
        } else {
            let proof = proof(text).ok_or_else(|| format!("{id}: {text:?} is neither a test nor a step"))?;
            if row.proofs.contains(&proof) {
                return Err(format!("{id}: {proof} stands twice"));
            }
            row.proofs.push(proof);
        }
    }
    if row.proofs.is_empty() && row.open.is_none() {
        return Err(format!("{id}: neither proven nor open"));
    }
    Ok(row)
}

fn proof(text: &str) -> Option<Proof> {
    let is_plain = |text: &str| !text.is_empty() && !text.contains([' ', ':']);
    if let Some(name) = text.strip_prefix("step ") {
        return is_plain(name).then(|| Proof::Step(name.into()));
    }
    let (file, function) = text.split_once("::")?;
    (is_plain(file) && file.ends_with(".rs") && is_plain(function)).then(|| Proof::Test(file.into(), function.into()))
}

fn check_revisions(text: &str) -> Result<(), String> {
    if ["all", "legacy", "modern"].contains(&text) {
        return Ok(());
    }
    let place = |revision: &str| REVISIONS.iter().position(|known| *known == revision);
    let mut last = None;
    for part in text.split(", ") {
        let (first, until) = part.split_once("..").unwrap_or((part, part));
        let (Some(first), Some(until)) = (place(first), place(until)) else {
            return Err(format!("{part:?} is no revision and no range of them"));
        };
        if first > until || last.is_some_and(|last| last >= first) {
            return Err(format!("{text:?} is not in order"));
        }
        last = Some(until);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str =
        "P-17 | legacy | client | basic/lifecycle\n    It begins.\n    a/b.rs::c\n    step fmt\n    open: http: D\n";

    #[test]
    fn a_row_is_read() {
        let proofs = vec![Proof::Test("a/b.rs".into(), "c".into()), Proof::Step("fmt".into())];
        let row = Row { id: Id::Protocol(17), proofs, open: Some(Batch::Http) };
        assert_eq!(read(&format!("# Heading\n\n{ROW}\n")), (vec![row], vec![]));
        let (rows, complaints) =
            read("A-3.101 | all | both | x\n    R.\n    step a\n\npain-2 | all | both | x\n    R.\n    step a\n");
        assert_eq!((rows.len(), complaints), (2, vec![]));
    }

    #[test]
    fn whatever_is_not_as_it_must_be_is_told() {
        for (from, to) in [
            ("P-17", "P-017"),
            ("P-17", "P17"),
            ("P-17", "A-1"),
            ("legacy", "old"),
            ("legacy", "2025-06-18..2025-03-26"),
            ("legacy", "2025-06-18, 2025-03-26"),
            ("legacy", "2025-06-18,2025-11-25"),
            ("client", "peer"),
            (" | basic/lifecycle", ""),
            ("    It begins.\n", ""),
            ("    It", "  It"),
            ("It begins.", &"x".repeat(LONGEST + 1)),
            ("a/b.rs::c", "a/b::c"),
            ("a/b.rs::c", "a/b.rs::c d"),
            ("step fmt", "a/b.rs::c"),
            ("step fmt", "another line of words"),
            ("open: http: D", "open: later"),
            ("open: http: D", "open: http\n    step late"),
        ] {
            let text = ROW.replacen(from, to, 1);
            assert_ne!(text, ROW);
            assert_eq!(read(&text).1.len(), 1, "{text}");
        }
        assert_eq!(read("P-1 | all | both | x\n    R.\n").1, ["1: P-1: neither proven nor open"]);
        for good in ["2025-06-18", "2024-11-05, 2025-06-18..2026-07-28"] {
            assert_eq!(read(&ROW.replacen("legacy", good, 1)).1, Vec::<String>::new());
        }
    }
}
