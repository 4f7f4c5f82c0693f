//! The table: who can talk to whom in which revision, which steps that makes, and what is left out, with the reason.

use std::fmt;

use mcp::ProtocolVersion;

use crate::runtime::Runtime;

use ProtocolVersion::{V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

/// One of those who can be a client or a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    /// This project.
    Ours,
    /// `mcp` 2.3.0 of PyPI.
    Python,
    /// `@modelcontextprotocol/client` and `server` 2.4.0 of npm.
    TypeScript,
    /// `@modelcontextprotocol/sdk` 1.32.2 of npm.
    Sdk,
    /// `rmcp` 3.9.0 of crates.io.
    Rmcp,
}

/// How the two come to their revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The client offers that one.
    Pinned,
    /// The server serves that one only: the client can offer its newest only, or counts on the server.
    Only,
    /// Both are as they are by default.
    Default,
    /// The client probes, which is not what it does by default.
    Auto,
}

/// In which revisions each peer's server serves.
const SERVES: [(Party, &[ProtocolVersion]); 4] = [
    (Party::Python, &ProtocolVersion::ALL),
    (Party::TypeScript, &ProtocolVersion::ALL),
    (Party::Sdk, &ProtocolVersion::LEGACY),
    (Party::Rmcp, &ProtocolVersion::ALL),
];

/// In which revisions each peer's client speaks, and how it comes to do so.
const SPEAKS: [(Party, How, &[ProtocolVersion]); 11] = [
    (Party::Python, How::Only, &[V2024_11_05, V2025_03_26, V2025_06_18]),
    (Party::Python, How::Pinned, &[V2025_11_25, V2026_07_28]),
    (Party::Python, How::Default, &[V2026_07_28]),
    (Party::TypeScript, How::Pinned, &ProtocolVersion::ALL),
    (Party::TypeScript, How::Default, &[V2025_11_25]),
    (Party::TypeScript, How::Auto, &[V2026_07_28]),
    (Party::Sdk, How::Only, &[V2024_11_05, V2025_03_26, V2025_06_18]),
    (Party::Sdk, How::Default, &[V2025_11_25]),
    (Party::Rmcp, How::Pinned, &ProtocolVersion::ALL),
    (Party::Rmcp, How::Default, &[V2025_11_25]),
    (Party::Rmcp, How::Auto, &[V2026_07_28]),
];

/// A thing that two peers do with each other; `README.md` tells what.
struct Step {
    name: &'static str,
    since: ProtocolVersion,
    until: ProtocolVersion,
}

const fn step(name: &'static str) -> Step {
    Step { name, since: V2024_11_05, until: V2026_07_28 }
}

const fn since(since: ProtocolVersion, name: &'static str) -> Step {
    Step { name, since, until: V2026_07_28 }
}

/// All steps but the last, in the order in which clients take them; the last is the shutdown, which the runner sees to.
const STEPS: [Step; 33] = [
    step("negotiate"),
    step("list"),
    step("bad_cursor"),
    step("call"),
    step("content"),
    step("structured"),
    step("tool_error"),
    step("bad_arguments"),
    step("unknown_tool"),
    step("unknown_method"),
    step("progress"),
    step("cancel"),
    step("timeout"),
    step("concurrent"),
    Step { name: "ping", since: V2024_11_05, until: V2025_11_25 },
    step("read"),
    step("missing_resource"),
    step("template"),
    step("prompt"),
    step("unknown_prompt"),
    step("completion"),
    since(V2025_06_18, "completion_context"),
    since(V2025_06_18, "elicitation"),
    since(V2025_11_25, "elicitation_url"),
    step("sampling"),
    step("roots"),
    since(V2025_06_18, "interview"),
    since(V2025_06_18, "prompt_asks"),
    since(V2025_06_18, "read_asks"),
    step("logging"),
    step("subscription"),
    step("list_changed"),
    step("clean"),
];

/// The end of each cell: the server ends by itself, with success, when the client is done.
pub(crate) const SHUTDOWN: &str = "shutdown";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// Steps that are left out, and why.
const ABSENT: [(Party, Role, &str, &str); 4] = [
    (Party::Python, Role::Server, "unknown_tool", "answers with a failed result instead of an error"),
    (Party::Python, Role::Server, "unknown_prompt", "answers with the code 0, or -32603 in 2026-07-28"),
    (Party::Sdk, Role::Server, "unknown_tool", "answers with a failed result instead of an error"),
    (Party::Rmcp, Role::Client, "clean", "does not tell of lines that are no message"),
];

/// One client and one server, and a revision that they are to speak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) client: Party,
    pub(crate) server: Party,
    pub(crate) revision: ProtocolVersion,
    pub(crate) how: How,
    /// Of our side.
    pub(crate) runtime: Runtime,
}

/// What has to run: our client against each server, and each client against our server. Our side plays all of that on tokio, and on the
/// other runtimes, for each peer and role, the newest revision that is agreed on by each means.
pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (server, revisions) in SERVES {
        let pinned = revisions.iter().map(|revision| (*revision, How::Pinned));
        let default = revisions.last().map(|newest| (*newest, How::Default));
        let cell = |(revision, how)| Cell { client: Party::Ours, server, revision, how, runtime: Runtime::Tokio };
        cells.extend(pinned.chain(default).map(cell));
    }
    for (client, how, revisions) in SPEAKS {
        let (server, runtime) = (Party::Ours, Runtime::Tokio);
        cells.extend(revisions.iter().map(|revision| Cell { client, server, revision: *revision, how, runtime }));
    }
    let elsewhere = Runtime::ALL.into_iter().filter(|runtime| *runtime != Runtime::Tokio);
    let elsewhere =
        elsewhere.flat_map(|runtime| newest(&cells).map(move |cell| Cell { runtime, ..cell })).collect::<Vec<_>>();
    cells.extend(elsewhere);
    cells
}

/// The last that is pinned, and the last that is not, of each peer in each role.
fn newest(cells: &[Cell]) -> impl Iterator<Item = Cell> {
    let kind = |cell: &Cell| (cell.client, cell.server, matches!(cell.how, How::Pinned | How::Only));
    let all = cells.iter().filter(|cell| cell.how != How::Auto).copied().collect::<Vec<_>>();
    let is_last = |at: usize| !all[at + 1..].iter().any(|later| kind(later) == kind(&all[at]));
    let last = (0..all.len()).filter(|at| is_last(*at)).map(|at| all[at]).collect::<Vec<_>>();
    last.into_iter()
}

/// The peers among themselves: shows that the steps and the fixture are right without us.
pub(crate) fn pairs() -> Vec<Cell> {
    let mut pairs = Vec::new();
    for (client, how, revisions) in SPEAKS.into_iter().filter(|(_, how, _)| *how != How::Only) {
        for (server, served) in SERVES {
            let shared = revisions.iter().filter(|revision| served.contains(revision));
            pairs.extend(shared.map(|revision| Cell {
                client,
                server,
                revision: *revision,
                how,
                runtime: Runtime::Tokio,
            }));
        }
    }
    pairs
}

impl Cell {
    /// What the client is to do, in order.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        let fits = |step: &&Step| step.since <= self.revision && self.revision <= step.until;
        let absent = |name: &str| {
            ABSENT.iter().any(|(party, role, step, _)| {
                let here = if *role == Role::Client { self.client } else { self.server };
                here == *party && *step == name
            })
        };
        STEPS.iter().filter(fits).map(|step| step.name).filter(|name| !absent(name)).collect()
    }
}

/// The steps that are left out, each with its reason.
pub(crate) fn absences() -> impl Iterator<Item = String> {
    ABSENT.into_iter().map(|(party, role, step, reason)| {
        let role = if role == Role::Client { "client" } else { "server" };
        format!("the {} {role} lacks {step}: it {reason}", party.name())
    })
}

impl Cell {
    /// Whether it has this step.
    pub(crate) fn checks(&self, step: &str) -> bool {
        step == SHUTDOWN || self.steps().contains(&step)
    }

    /// How many servers the client starts. The TypeScript client, where it probes, does so on a process of its own, which it
    /// then kills.
    pub(crate) fn servers(&self) -> usize {
        let probes = self.how == How::Auto || self.revision == V2026_07_28;
        if self.client == Party::TypeScript && probes { 2 } else { 1 }
    }
}

impl fmt::Display for Cell {
    /// Our role, the peer, the revision, how they come to it, and our runtime.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.client, self.server) {
            (Party::Ours, peer) => write!(f, "client {}", peer.name())?,
            (peer, Party::Ours) => write!(f, "server {}", peer.name())?,
            (client, server) => write!(f, "pair {}-{}", client.name(), server.name())?,
        }
        write!(f, " {} {}", self.revision, self.how.name())?;
        let is_ours = self.client == Party::Ours || self.server == Party::Ours;
        if is_ours { write!(f, " {}", self.runtime.name()) } else { Ok(()) }
    }
}

impl Party {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Python => "python",
            Self::TypeScript => "typescript",
            Self::Sdk => "sdk",
            Self::Rmcp => "rmcp",
        }
    }
}

impl How {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Only => "only",
            Self::Default => "default",
            Self::Auto => "auto",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::prove;

    /// The committed table, which `cargo xtask interop` compares with what ran, is the one that this makes.
    #[test]
    fn cells_are_the_committed_ones() {
        let committed = include_str!("../cells.txt").lines().filter(|line| !line.starts_with('#'));
        let made = cells().iter().map(|cell| format!("{cell} {}", cell.steps().len() + 1)).collect::<BTreeSet<_>>();
        assert_eq!(committed.map(str::to_owned).collect::<BTreeSet<_>>(), made);
        assert!(made.len() >= 71 && made.len() == cells().len());
    }

    /// Every peer in both roles, in every revision that it has there.
    #[test]
    fn every_peer_plays_both_roles() {
        for (server, revisions) in SERVES {
            for revision in revisions {
                assert!(cells().iter().any(|cell| (cell.server, cell.revision) == (server, *revision)));
            }
            assert!(cells().iter().any(|cell| cell.client == server));
        }
    }

    #[test]
    fn what_is_left_out_exists_and_has_a_reason() {
        for (party, role, name, reason) in ABSENT {
            assert!(STEPS.iter().any(|step| step.name == name), "there is no step {name}");
            assert!(party != Party::Ours && !reason.is_empty(), "{} {role:?} {name}", party.name());
        }
    }

    /// Each wrong answer is called as a step that some cell has.
    #[test]
    fn wrong_answers_are_looked_for() {
        for answer in prove::SERVER.iter().chain(&prove::CLIENT) {
            assert!(cells().iter().any(|cell| cell.checks(answer)), "nothing looks for {answer}");
        }
    }
}
