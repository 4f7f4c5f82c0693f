//! Checks of how calls and connections end: in time, for a reason, and without a peer being accused of nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcp_proto::{About, CloseReason, Event, InboundId, OutboundId, RequestError, Rule, TimedOut, Timestamp};
use serde_json::Value;

use super::{Check, PerNode, require};
use crate::seen::{Deed, End, Facts, Milestone, Seen};
use crate::workload::Call;
use crate::{Cast, Side};

/// Every call ends within its deadlines, and not before.
#[derive(Default)]
pub(crate) struct Deadlines(PerNode<Clocks>);

#[derive(Default)]
struct Clocks {
    calls: BTreeMap<OutboundId, Clock>,
    tokens: BTreeMap<String, OutboundId>,
    /// What the client owes its server: while it does, all clocks stand still.
    owed: BTreeSet<InboundId>,
    since: Timestamp,
    /// How long they have stood still so far.
    stood: Duration,
}

struct Clock {
    started: Timestamp,
    heard: Timestamp,
    deadlines: (Duration, Duration),
    progress: Option<f64>,
    /// Since when its questions are with the application, and for how long they were.
    asked: Option<Timestamp>,
    stood: Duration,
}

/// Deadlines are rounded up, and a person has an hour.
const SLACK: Duration = Duration::from_millis(100);

impl Check for Deadlines {
    fn name(&self) -> &'static str {
        "deadlines"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if facts.side == Side::Server {
            return Ok(());
        }
        let clocks = self.0.at(facts);
        let now = facts.now;
        match seen {
            Seen::Did(Deed::Called(id, _, Call { deadlines, .. })) => {
                let stood = Duration::ZERO;
                let clock =
                    Clock { started: now, heard: now, deadlines: *deadlines, progress: None, asked: None, stood };
                clocks.calls.insert(*id, clock);
            }
            Seen::Sent { transmit, value } => {
                let token = &value["params"]["_meta"]["progressToken"];
                if let (About::Call(id), false) = (transmit.about, token.is_null()) {
                    clocks.tokens.insert(token.to_string(), id);
                    if let Some(clock) = clocks.calls.get_mut(&id) {
                        clock.progress = None;
                    }
                }
            }
            Seen::Took { value: Some(value), .. } => clocks.hear(value, now),
            Seen::Told(Event::Request { id, .. }) => {
                if clocks.owed.is_empty() {
                    clocks.since = now;
                }
                clocks.owed.insert(*id);
            }
            Seen::Told(Event::Cancelled { id, .. }) | Seen::Did(Deed::Answered(id, _)) => clocks.settle(*id, now),
            Seen::Told(Event::InputRequired { id, .. }) => {
                if let Some(clock) = clocks.calls.get_mut(id) {
                    clock.asked = Some(now);
                }
            }
            Seen::Did(Deed::Supplied(id)) => {
                if let Some(clock) = clocks.calls.get_mut(id)
                    && let Some(asked) = clock.asked.take()
                {
                    clock.stood += now.saturating_since(asked);
                    clock.heard = now;
                }
            }
            Seen::Told(Event::Response { id, result }) => {
                let standing = if clocks.owed.is_empty() { Duration::ZERO } else { now.saturating_since(clocks.since) };
                let stood = clocks.stood + standing;
                let Some(clock) = clocks.calls.remove(id) else { return Ok(()) };
                return clock.judge(facts, result.as_ref().err(), stood);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Clocks {
    fn hear(&mut self, value: &Value, now: Timestamp) {
        let token = &value["params"]["progressToken"];
        if value["method"] == "notifications/progress"
            && let Some(clock) = self.tokens.get(&token.to_string()).and_then(|id| self.calls.get_mut(id))
            && let Some(progress) = value["params"]["progress"].as_f64()
            && clock.progress.is_none_or(|last| last < progress)
            // After that it is given up, which is told when the application looks.
            && now.saturating_since(clock.heard) < clock.deadlines.0
        {
            clock.progress = Some(progress);
            clock.heard = now;
        }
    }

    fn settle(&mut self, id: InboundId, now: Timestamp) {
        if self.owed.remove(&id) && self.owed.is_empty() {
            self.stood += now.saturating_since(self.since);
        }
    }
}

impl Clock {
    fn judge(&self, facts: &Facts, error: Option<&RequestError>, stood: Duration) -> Result<(), String> {
        // What is told late was not late.
        if !facts.honest || !facts.calm {
            return Ok(());
        }
        let Facts { now, .. } = facts;
        let (idle, cap) = self.deadlines;
        let took = now.saturating_since(self.started);
        let asked = self.asked.map_or(Duration::ZERO, |since| now.saturating_since(since));
        let most = cap + stood + self.stood + asked + SLACK;
        require!(took <= most, "a call of at most {cap:?} took {took:?}");
        let silent = now.saturating_since(self.heard);
        match error {
            Some(RequestError::TimedOut(TimedOut::Idle(_))) if self.asked.is_none() => {
                require!(silent >= idle, "given up after a silence of {silent:?}, not {idle:?}");
            }
            Some(RequestError::TimedOut(TimedOut::Cap(_))) => {
                require!(took >= cap, "given up after {took:?}, not {cap:?}");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Without faults everything that was begun ends.
#[derive(Default)]
pub(crate) struct Settled(PerNode<(BTreeMap<OutboundId, Timestamp>, usize)>);

impl Check for Settled {
    fn name(&self) -> &'static str {
        "settled"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let (open, waits) = self.0.at(facts);
        match seen {
            Seen::Did(Deed::Called(id, ..) | Deed::Asked(id, _)) => {
                open.insert(*id, facts.now);
            }
            Seen::Told(Event::Response { id, .. }) => {
                open.remove(id);
            }
            Seen::Did(Deed::Waits(count)) => *waits = *count,
            Seen::Reached(Milestone::Settled | Milestone::Judged) => {
                require!(open.is_empty(), "never ended: {open:?}");
                require!(*waits == 0, "{waits} still wait for room, and there is some");
            }
            Seen::Reached(_) => *waits = 0,
            _ => {}
        }
        Ok(())
    }
}

/// Every end has its cause.
#[derive(Default)]
pub(crate) struct Reasons {
    ended: PerNode<(Option<End>, bool)>,
    /// What is in work at the server of each pair: one that has as much as it takes may stop reading for as long as that lasts.
    work: BTreeMap<usize, BTreeSet<InboundId>>,
}

impl Check for Reasons {
    fn name(&self) -> &'static str {
        "reasons"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let (ended, closed) = self.ended.at(facts);
        let work = self.work.entry(facts.pair).or_default();
        match seen {
            Seen::Told(Event::Request { id, .. }) if facts.side == Side::Server => {
                work.insert(*id);
            }
            Seen::Did(Deed::Answered(id, _) | Deed::Granted(id, _) | Deed::Released(id))
                if facts.side == Side::Server =>
            {
                work.remove(id);
            }
            Seen::Ended(end) => *ended = Some(*end),
            Seen::Did(Deed::Closed(_)) => *closed = true,
            Seen::Told(Event::Closed { reason, .. }) => {
                let disturbed = !facts.honest || !facts.calm;
                let busy = facts.side == Side::Client && work.len() >= facts.peer_limits.inbound_requests;
                let explained = match reason {
                    CloseReason::PeerClosed => ended.is_some(),
                    CloseReason::LocallyClosed => *closed,
                    CloseReason::Broken(_) => *ended == Some(End::Broken),
                    CloseReason::NotReading => !facts.fresh && (disturbed || busy),
                    // Messages that are longer than ours may be count as well.
                    CloseReason::Misbehaved => !facts.honest || facts.peer_limits.frame > facts.limits.frame,
                    CloseReason::HandshakeTimedOut(_) => disturbed,
                    CloseReason::HandshakeRefused(_) | CloseReason::Incompatible(_) => !facts.honest || !facts.agree,
                    _ => false,
                };
                require!(explained, "closed without a cause: {reason}");
            }
            _ => {}
        }
        Ok(())
    }
}

/// A peer that keeps the rules is accused of nothing.
#[derive(Default)]
pub(crate) struct GoodPeers(PerNode<bool>);

impl Check for GoodPeers {
    fn name(&self) -> &'static str {
        "good peers"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let ended = self.0.at(facts);
        match seen {
            Seen::Ended(_) => *ended = true,
            Seen::Told(Event::Misbehaved { rule, detail }) if facts.honest || facts.cast == Cast::Ours => {
                let cut_off = *ended && matches!(rule, Rule::EndedInMessage(_));
                // A peer that may send larger messages than we take is told so.
                let too_long = matches!(rule, Rule::Malformed(fault) | Rule::Noise(fault)
                    if facts.peer_limits.frame > facts.limits.frame && matches!(fault, mcp_proto::jsonrpc::Fault::TooLong(_)));
                require!(cut_off || too_long, "accused: {rule}: {detail}");
            }
            _ => {}
        }
        Ok(())
    }
}
