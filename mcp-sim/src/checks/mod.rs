//! What must hold in every world: one check for each invariant, each with its source.

mod answers;
mod bounds;
mod ends;
mod eras;
mod handles;
mod replies;
mod talk;
mod wire;

use std::fmt;

use crate::Side;
use crate::seen::{Facts, Seen};

/// One thing that must hold. It sees everything, keeps what it needs, and says what is wrong.
pub(crate) trait Check {
    /// Its name, which a failure tells.
    fn name(&self) -> &'static str;

    /// Where the rule comes from.
    fn source(&self) -> &'static str {
        source_of(self.name())
    }

    /// Looks at one thing that was seen at one node.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String>;
}

/// What a check has found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The check.
    pub check: &'static str,
    /// Where its rule comes from.
    pub source: &'static str,
    /// In which pair.
    pub pair: usize,
    /// On which side.
    pub side: Side,
    /// What.
    pub why: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, source, pair, side, why } = self;
        write!(f, "{check}, {side:?} of pair {pair}: {why}\n  rule: {source}")
    }
}

/// Every check, and the rule that it watches over. The numbers are the invariants of the design, `pain` the recurring faults of
/// other SDKs.
pub const RULES: [(&str, &str); 30] = [
    ("one response", "1: each call gets exactly one response, none after the end"),
    ("closed last", "1: the end is told once, as the last event"),
    ("one answer", "1: each request is answered at most once, and not after it was cancelled (pain 10)"),
    ("fresh handles", "2: handles are never reused"),
    ("wire ids", "2: the ids that we mint are unique (basic, Requests)"),
    ("replies", "2: an answer is for a request then open, and every request gets one (pain 10, 19)"),
    ("reused ids", "2: an id in flight is not taken a second time (basic, Requests; pain 1)"),
    ("frames", "3: every frame is one valid message on one line, within its limit (basic, Messages; pain 30)"),
    (
        "recoverable",
        "3: whatever has a readable id is answered with it, and nothing else is (JSON-RPC 2.0; pain 19, 28)",
    ),
    ("handshake", "4: before the handshake only what the specification allows (basic/lifecycle)"),
    ("handshake in time", "4: a handshake ends, one way or the other (pain 14)"),
    ("modern", "4: no requests by servers, required _meta, a resultType (2026-07-28: basic)"),
    ("one handshake", "4: a connection has one handshake (basic/lifecycle; pain 26)"),
    ("eager requests", "4: requests after the initialize result are served (pain 18)"),
    (
        "progress",
        "5: progress rises, only for open requests with a token, before the reply (basic/utilities/progress; pain 29)",
    ),
    ("logs", "5: logs only if asked for, from the level asked for (server/utilities/logging)"),
    ("subscriptions", "6: acknowledged first, only what was granted, nothing after the end, no change lost"),
    ("rounds", "7: a retry has a new id and the same state (2026-07-28: multi round-trip requests)"),
    ("timeouts", "8: after it was told the time it wants to be woken later"),
    ("bounds", "9: memory stays within the limits, whatever the peer does (pain 23)"),
    ("chunking", "10: how input is cut changes nothing (pain 6)"),
    ("deadlines", "12: every call ends within its deadlines, and not before (pain 25)"),
    ("settled", "12: without faults everything that was begun ends (pain 8)"),
    ("quiet", "12, 14: a silent world is over, and holds nothing (pain 24)"),
    ("livelock", "12: a world comes to rest"),
    ("liveness", "12: without faults every call succeeds (pain 8, 14)"),
    ("reasons", "every end has its cause (pain 9)"),
    ("good peers", "a peer that keeps the rules is accused of nothing (pain 6)"),
    ("repeats", "16, and determinism: a seed gives one run, also when connections are replaced by their clones"),
    ("answers", "13: everybody gets the answer to his own question (pain 2)"),
];

/// The rule that a check watches over.
pub(crate) fn source_of(check: &str) -> &'static str {
    RULES.iter().find(|(name, _)| *name == check).map_or("", |(_, source)| source)
}

/// All checks, or the one of this name.
pub(crate) fn all(only: Option<&str>) -> Vec<Box<dyn Check>> {
    let checks: [Box<dyn Check>; 26] = [
        Box::<handles::OneResponse>::default(),
        Box::<handles::ClosedLast>::default(),
        Box::<handles::OneAnswer>::default(),
        Box::<handles::FreshHandles>::default(),
        Box::<wire::WireIds>::default(),
        Box::<replies::Replies>::default(),
        Box::<replies::ReusedIds>::default(),
        Box::<wire::Frames>::default(),
        Box::<replies::Recoverable>::default(),
        Box::<eras::Handshake>::default(),
        Box::<eras::Modern>::default(),
        Box::<eras::OneHandshake>::default(),
        Box::<eras::EagerRequests>::default(),
        Box::<talk::ProgressRises>::default(),
        Box::<talk::Logs>::default(),
        Box::<talk::Subscriptions>::default(),
        Box::<talk::Rounds>::default(),
        Box::<bounds::Timeouts>::default(),
        Box::<bounds::Bounds>::default(),
        Box::<ends::Deadlines>::default(),
        Box::<ends::Settled>::default(),
        Box::<ends::Reasons>::default(),
        Box::<answers::Answers>::default(),
        Box::<eras::HandshakeInTime>::default(),
        Box::<ends::GoodPeers>::default(),
        Box::<bounds::Quiet>::default(),
    ];
    let mut checks = Vec::from(checks);
    checks.retain(|check| only.is_none_or(|only| only == check.name()));
    checks
}

/// What a check keeps for each node.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerNode<T>(Vec<T>);

impl<T: Default> PerNode<T> {
    pub(crate) fn at(&mut self, facts: &Facts) -> &mut T {
        while self.0.len() <= facts.node {
            self.0.push(T::default());
        }
        &mut self.0[facts.node]
    }
}

/// Fails with these words unless the condition holds.
macro_rules! require {
    ($holds:expr, $($words:tt)+) => {
        match $holds {
            true => {}
            false => return Err(format!($($words)+)),
        }
    };
}
pub(crate) use require;
