//! The table: who can talk to whom in which revision, which steps that makes, and what is left out, with the reason.

use std::fmt;

use mcp::ProtocolVersion;

use crate::http;
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

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The client starts the server.
    Stdio,
    /// Both are started, with a relay between them.
    Http,
    /// The same, by the HTTP of the first revision: one stream for all that the server says.
    Sse,
}

/// In which revisions each peer's server serves.
const SERVES: [(Party, &[ProtocolVersion]); 4] = [
    (Party::Python, &ProtocolVersion::ALL),
    (Party::TypeScript, &ProtocolVersion::ALL),
    (Party::Sdk, &ProtocolVersion::LEGACY),
    (Party::Rmcp, &ProtocolVersion::ALL),
];

/// Whose servers lack the HTTP of the first revision.
const NO_SSE_SERVER: [Party; 2] = [Party::TypeScript, Party::Rmcp];

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

/// The steps, in the order in which clients take them.
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

/// The steps that HTTP adds, where there are streams to take up again; taken after the others.
const HTTP_STEPS: [Step; 2] = [
    Step { name: "resume", since: V2025_03_26, until: V2025_11_25 },
    Step { name: "resume_call", since: V2025_11_25, until: V2025_11_25 },
];

/// The end of each cell: the server ends by itself, with success, when the client is done, or when it is told to.
pub(crate) const SHUTDOWN: &str = "shutdown";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// A step that is left out.
struct Absence {
    party: Party,
    role: Role,
    step: &'static str,
    /// Over this one, or all.
    over: Option<Transport>,
    /// With this one, or all.
    with: Option<Party>,
    since: ProtocolVersion,
    why: &'static str,
}

const fn absent(party: Party, role: Role, step: &'static str, why: &'static str) -> Absence {
    Absence { party, role, step, over: None, with: None, since: V2024_11_05, why }
}

const fn over_http(party: Party, role: Role, step: &'static str, with: Option<Party>, why: &'static str) -> Absence {
    Absence { over: Some(Transport::Http), with, ..absent(party, role, step, why) }
}

const NO_METHOD: &str = "refuses a cancellation without Mcp-Method, with which the client ends a listen";
const BACK: &str = "takes streams up again that ended with an error, in place of its own";
const AGAIN: &str = "tells a client again that comes back what that had been told";

/// All that are left out.
const ABSENT: [Absence; 13] = [
    absent(Party::Python, Role::Server, "unknown_tool", "answers with a failed result instead of an error"),
    absent(Party::Python, Role::Server, "unknown_prompt", "answers with the code 0, or -32603 in 2026-07-28"),
    absent(Party::Sdk, Role::Server, "unknown_tool", "answers with a failed result instead of an error"),
    absent(Party::Rmcp, Role::Client, "clean", "does not tell of lines that are no message"),
    absent(Party::Rmcp, Role::Server, "resume_call", "loses the answer whose stream was cut, or repeats the progress"),
    Absence {
        since: V2026_07_28,
        ..over_http(
            Party::TypeScript,
            Role::Client,
            "unknown_method",
            None,
            "does not read the error that comes with status 404",
        )
    },
    // Those two stream errors, too.
    over_http(Party::Sdk, Role::Client, "resume", Some(Party::TypeScript), BACK),
    over_http(Party::Sdk, Role::Client, "resume", Some(Party::Sdk), BACK),
    over_http(Party::Sdk, Role::Client, "clean", Some(Party::TypeScript), BACK),
    over_http(Party::Rmcp, Role::Server, "resume", Some(Party::Sdk), AGAIN),
    // In the handshake era because of the former, too.
    over_http(Party::Rmcp, Role::Server, "clean", Some(Party::TypeScript), NO_METHOD),
    over_http(Party::Rmcp, Role::Server, "clean", Some(Party::Sdk), AGAIN),
    Absence {
        since: V2026_07_28,
        ..over_http(Party::Rmcp, Role::Server, "status", Some(Party::TypeScript), NO_METHOD)
    },
];

/// One client and one server, and a revision that they are to speak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) client: Party,
    pub(crate) server: Party,
    pub(crate) revision: ProtocolVersion,
    pub(crate) how: How,
    pub(crate) transport: Transport,
    /// Of our side.
    pub(crate) runtime: Runtime,
}

/// What has to run: our client against each server, and each client against our server. Our side plays all of that on tokio, and on the
/// other runtimes, for each peer, role and transport, the newest revision that is agreed on by each means.
pub(crate) fn cells() -> Vec<Cell> {
    let (runtime, mut cells) = (Runtime::Tokio, Vec::new());
    for transport in Transport::ALL {
        for (server, revisions) in SERVES {
            let pinned = revisions.iter().map(|revision| (*revision, How::Pinned));
            let default = revisions.last().map(|newest| (*newest, How::Default));
            let cell = |(revision, how)| Cell { client: Party::Ours, server, revision, how, transport, runtime };
            cells.extend(pinned.chain(default).map(cell).filter(Cell::exists));
        }
    }
    for transport in Transport::ALL {
        for (client, how, revisions) in SPEAKS {
            let cell =
                |revision: &_| Cell { client, server: Party::Ours, revision: *revision, how, transport, runtime };
            cells.extend(revisions.iter().map(cell).filter(Cell::exists));
        }
    }
    let elsewhere = Runtime::ALL.into_iter().filter(|runtime| *runtime != Runtime::Tokio);
    let elsewhere =
        elsewhere.flat_map(|runtime| newest(&cells).map(move |cell| Cell { runtime, ..cell })).collect::<Vec<_>>();
    cells.extend(elsewhere);
    cells
}

/// The last that is pinned, and the last that is not, of each peer in each role over each transport.
fn newest(cells: &[Cell]) -> impl Iterator<Item = Cell> {
    let kind = |cell: &Cell| (cell.client, cell.server, cell.transport, matches!(cell.how, How::Pinned | How::Only));
    let all = cells.iter().filter(|cell| cell.how != How::Auto).copied().collect::<Vec<_>>();
    let is_last = |at: usize| !all[at + 1..].iter().any(|later| kind(later) == kind(&all[at]));
    let last = (0..all.len()).filter(|at| is_last(*at)).map(|at| all[at]).collect::<Vec<_>>();
    last.into_iter()
}

/// The peers among themselves: shows that the steps and the fixture are right without us.
pub(crate) fn pairs() -> Vec<Cell> {
    let mut pairs = Vec::new();
    for transport in Transport::ALL {
        for (client, how, revisions) in SPEAKS.into_iter().filter(|(_, how, _)| *how != How::Only) {
            for (server, served) in SERVES {
                let shared = revisions.iter().filter(|revision| served.contains(revision));
                let runtime = Runtime::Tokio;
                let cell = |revision: &_| Cell { client, server, revision: *revision, how, transport, runtime };
                pairs.extend(shared.map(cell).filter(Cell::exists));
            }
        }
    }
    pairs
}

impl Cell {
    /// What the client is to do, in order.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        let more = if self.transport == Transport::Http { &HTTP_STEPS[..] } else { &[] };
        let fits = |step: &&Step| step.since <= self.revision && self.revision <= step.until;
        let steps = STEPS.iter().chain(more).filter(fits).map(|step| step.name);
        steps.filter(|name| !self.lacks(name)).collect()
    }

    /// What is looked for in all that was said, when the client is done.
    pub(crate) fn wire_steps(&self) -> Vec<&'static str> {
        let steps = http::STEPS.into_iter().filter(|name| *name != "delete" || !self.is_modern());
        match self.transport {
            Transport::Stdio => Vec::new(),
            Transport::Sse => vec!["status"],
            Transport::Http => steps.filter(|name| !self.lacks(name)).collect(),
        }
    }

    /// How many steps it has, the shutdown included.
    pub(crate) fn length(&self) -> usize {
        self.steps().len() + self.wire_steps().len() + 1
    }

    /// Whether it has this step.
    pub(crate) fn checks(&self, step: &str) -> bool {
        step == SHUTDOWN || self.steps().contains(&step) || self.wire_steps().contains(&step)
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.revision == V2026_07_28
    }

    /// Whether the step is one that a party does not have.
    fn lacks(&self, name: &str) -> bool {
        ABSENT.iter().any(|absence| absence.step == name && absence.is_of(self))
    }

    /// The first revision has another HTTP than those after it, which not every peer has.
    fn exists(&self) -> bool {
        match self.transport {
            Transport::Stdio => true,
            Transport::Http => self.revision > V2024_11_05,
            Transport::Sse => {
                self.revision == V2024_11_05 && self.client != Party::Rmcp && !NO_SSE_SERVER.contains(&self.server)
            }
        }
    }

    /// How many servers the client starts. The TypeScript client, where it probes, does so on a process of its own, which it
    /// then kills.
    pub(crate) fn servers(&self) -> usize {
        let probes = self.how == How::Auto || self.is_modern();
        if self.client == Party::TypeScript && probes { 2 } else { 1 }
    }
}

impl Absence {
    /// Whether it is the step of this cell that is left out.
    fn is_of(&self, cell: &Cell) -> bool {
        let (here, there) = match self.role {
            Role::Client => (cell.client, cell.server),
            Role::Server => (cell.server, cell.client),
        };
        here == self.party
            && self.with.is_none_or(|party| party == there)
            && self.over.is_none_or(|transport| transport == cell.transport)
            && self.since <= cell.revision
    }
}

/// The steps that are left out of these cells, each with its reason.
pub(crate) fn absences(cells: &[Cell]) -> impl Iterator<Item = String> {
    let told = |absence: &Absence| cells.iter().any(|cell| absence.is_of(cell));
    ABSENT.into_iter().filter(told).map(|Absence { party, role, step, over, with, since, why }| {
        let role = if role == Role::Client { "client" } else { "server" };
        let over = over.map(|transport| format!(" over {}", transport.name())).unwrap_or_default();
        let since = if since > V2024_11_05 { format!(" in {since}") } else { String::new() };
        let with = with.map(|party| format!(" with {}", party.name())).unwrap_or_default();
        format!("the {} {role} lacks {step}{over}{with}{since}: it {why}", party.name())
    })
}

impl fmt::Display for Cell {
    /// Our role, the peer, the revision, how they come to it, the transport, and our runtime.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.client, self.server) {
            (Party::Ours, peer) => write!(f, "client {}", peer.name())?,
            (peer, Party::Ours) => write!(f, "server {}", peer.name())?,
            (client, server) => write!(f, "pair {}-{}", client.name(), server.name())?,
        }
        write!(f, " {} {} {}", self.revision, self.how.name(), self.transport.name())?;
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

impl Transport {
    const ALL: [Self; 3] = [Self::Stdio, Self::Http, Self::Sse];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
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
        let made = cells().iter().map(|cell| format!("{cell} {}", cell.length())).collect::<BTreeSet<_>>();
        assert_eq!(committed.map(str::to_owned).collect::<BTreeSet<_>>(), made);
        assert!(made.len() >= 124 && made.len() == cells().len());
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
        for Absence { party, role, step, why, .. } in ABSENT {
            let mut known = STEPS.iter().chain(&HTTP_STEPS).map(|step| step.name).chain(http::STEPS);
            assert!(known.any(|known| known == step), "there is no step {step}");
            assert!(party != Party::Ours && !why.is_empty(), "{} {role:?} {step}", party.name());
        }
    }

    /// Each wrong answer is called as a step that some cell has, over each transport that can go wrong.
    #[test]
    fn wrong_answers_are_looked_for() {
        for answer in prove::SERVER.iter().chain(&prove::CLIENT) {
            assert!(cells().iter().any(|cell| cell.checks(answer)), "nothing looks for {answer}");
        }
        for answer in prove::WIRE {
            let mut over_http = cells().into_iter().filter(|cell| cell.transport == Transport::Http);
            assert!(over_http.any(|cell| cell.checks(answer)), "nothing looks for {answer} over HTTP");
        }
    }
}
