//! Counters: what a connection has seen, for operators and tests.

use core::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Messages read, malformed ones included.
    pub received: u64,
    /// Messages handed to the transport.
    pub sent: u64,
    /// Requests of the peer that were refused because too many were in work.
    pub refused: u64,
    /// Answers to nobody.
    pub strays: u64,
    /// Answers whose numeric id came back as a string.
    pub coerced_ids: u64,
    /// Rules broken by the peer.
    pub broken_rules: u64,
    /// Progress and log messages of ours that were not sent: queue full, below the level, or their request over.
    pub dropped: u64,
}

/// The counts of several connections together.
impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        let Self { received, sent, refused, strays, coerced_ids, broken_rules, dropped } = other;
        self.received += received;
        self.sent += sent;
        self.refused += refused;
        self.strays += strays;
        self.coerced_ids += coerced_ids;
        self.broken_rules += broken_rules;
        self.dropped += dropped;
    }
}
