//! Faults planted on purpose, each with the check that must catch it: a check that cannot fail is worthless.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mcp_proto::{
    About, ClientConfig, Connection, Era, ErrorCode, ErrorObject, Event, InboundId, Limits, RequestError, ServerConfig,
    Start, Timestamp, Transmit,
};
use serde_json::{Value, json};

use crate::Side;
use crate::node::{App, Config};
use crate::seen::Facts;

/// A fault that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    DoubledResponse,
    DoubledEnd,
    DoubledCancel,
    DoubledRequest,
    ReusedWireId,
    LostReply,
    LateReply,
    IdTakenTwice,
    BrokenFrame,
    RawLineEnd,
    NoRefusals,
    LenientParser,
    EarlyCall,
    EndlessProbe,
    BareRequest,
    NoResultType,
    SecondHandshake,
    StrictInitialized,
    RepeatedProgress,
    ProgressAfterReply,
    UnwantedLogs,
    NoAcknowledgement,
    LostChange,
    LostState,
    StandingTimer,
    BusyTimer,
    NoLimits,
    DroppedTail,
    DroppedHalfLine,
    NoDeadlines,
    UnheardProgress,
    DeafWhileAtWork,
    LostWritable,
    IgnoredEnd,
    OneFailsAll,
    CrossedAnswers,
    Chance,
    ForgetfulClone,
}

/// Every mutant: what is planted, which invariant or pain it is about, and the check that must turn red.
pub(crate) const MUTANTS: [(Mutant, &str, &str, &str); 38] = [
    (Mutant::DoubledResponse, "every response is told twice", "invariant 1", "one response"),
    (Mutant::DoubledEnd, "the end is told twice", "invariant 1", "closed last"),
    (Mutant::DoubledCancel, "a request is cancelled twice", "invariant 1", "one answer"),
    (Mutant::DoubledRequest, "a request is told twice, with one handle", "invariant 2", "fresh handles"),
    (Mutant::ReusedWireId, "a request goes out with the id of the one before", "invariant 2", "wire ids"),
    (Mutant::LostReply, "an answer in three is lost", "invariant 2", "replies"),
    (Mutant::LateReply, "a cancelled request is answered", "invariant 1, pain 10", "replies"),
    (Mutant::IdTakenTwice, "a request with an id in flight is taken", "invariant 2, pain 1", "reused ids"),
    (Mutant::BrokenFrame, "a frame lacks its last byte", "invariant 3", "frames"),
    (Mutant::RawLineEnd, "U+2028 is written as it is", "invariant 3, pain 30", "frames"),
    (Mutant::NoRefusals, "what cannot be read is not answered", "invariant 3, pain 19", "recoverable"),
    (Mutant::LenientParser, "of a doubled member the last counts", "invariant 3, pain 28", "recoverable"),
    (Mutant::EarlyCall, "a client asks before the handshake", "invariant 4", "handshake"),
    (
        Mutant::EndlessProbe,
        "a client waits for the answer to its probe for ever",
        "invariant 4, pain 14",
        "handshake in time",
    ),
    (Mutant::BareRequest, "modern requests without `_meta`", "invariant 4", "modern"),
    (Mutant::NoResultType, "modern results without `resultType`", "invariant 4", "modern"),
    (Mutant::SecondHandshake, "a second initialize begins the session anew", "invariant 4, pain 26", "one handshake"),
    (Mutant::StrictInitialized, "requests before `initialized` are refused", "invariant 4, pain 18", "eager requests"),
    (Mutant::RepeatedProgress, "progress is sent twice", "invariant 5", "progress"),
    (Mutant::ProgressAfterReply, "progress comes after its reply", "invariant 5, pain 29", "progress"),
    (Mutant::UnwantedLogs, "logs of all levels for everybody", "invariant 5", "logs"),
    (Mutant::NoAcknowledgement, "subscriptions are not acknowledged", "invariant 6", "subscriptions"),
    (Mutant::LostChange, "changes are not told", "invariant 6", "subscriptions"),
    (Mutant::LostState, "a retry without its state", "invariant 7", "rounds"),
    (Mutant::StandingTimer, "the next deadline is now", "invariant 8", "timeouts"),
    (Mutant::BusyTimer, "it is woken all the time", "invariant 12", "livelock"),
    (Mutant::NoLimits, "limits a thousand times as large", "invariant 9, pain 23", "bounds"),
    (Mutant::DroppedTail, "an unfinished line is forgotten", "invariant 10", "chunking"),
    (Mutant::DroppedHalfLine, "half of a line is lost now and then", "invariant 10, pain 6", "good peers"),
    (Mutant::NoDeadlines, "no call runs out of time", "invariant 12, pain 25", "deadlines"),
    (Mutant::UnheardProgress, "progress does not keep a call alive", "invariant 12, pain 25", "deadlines"),
    (Mutant::DeafWhileAtWork, "a server reads nothing while a handler works", "invariant 12, pain 8", "liveness"),
    (Mutant::LostWritable, "nobody is told that there is room", "invariant 12", "settled"),
    (Mutant::IgnoredEnd, "the end of input is ignored", "invariants 12 and 14, pain 24", "quiet"),
    (Mutant::OneFailsAll, "an error ends the session", "pain 9", "reasons"),
    (Mutant::CrossedAnswers, "answers of two sessions are exchanged", "invariant 13, pain 2", "answers"),
    (Mutant::Chance, "something that is not in the seed", "determinism", "repeats"),
    (Mutant::ForgetfulClone, "a clone loses an event", "invariant 16", "repeats"),
];

impl Mutant {
    /// The check that must turn red.
    pub(crate) fn caught_by(self) -> &'static str {
        MUTANTS.iter().find(|(mutant, ..)| *mutant == self).map_or("", |(.., check)| check)
    }

    /// What it changes at the start.
    pub(crate) fn configure(self, client: &mut ClientConfig, server: &mut ServerConfig) {
        if self == Self::NoLimits {
            for Limits { frame, output, events, .. } in [&mut client.limits, &mut server.limits] {
                (*frame, *output, *events) = (*frame * 1000, *output * 1000, *events * 1000);
            }
        }
    }
}

/// Plants a fault.
pub(crate) struct Saboteur {
    mutant: Mutant,
    count: u64,
    /// What is kept back for later.
    kept: Vec<(usize, Transmit)>,
    last_id: Value,
    /// Ids of requests in work, by node; and ids that were changed on their way in.
    in_work: BTreeSet<(usize, String)>,
    renamed: BTreeMap<(usize, String), Value>,
    wire_ids: BTreeMap<(usize, InboundId), Value>,
    initialized: BTreeSet<usize>,
}

/// So that [`Mutant::Chance`] differs from run to run.
static CHANCE: AtomicU64 = AtomicU64::new(0);

impl Saboteur {
    pub(crate) fn new(mutant: Mutant) -> Self {
        Self {
            mutant,
            count: 0,
            kept: Vec::new(),
            last_id: Value::Null,
            in_work: BTreeSet::new(),
            renamed: BTreeMap::new(),
            wire_ids: BTreeMap::new(),
            initialized: BTreeSet::new(),
        }
    }

    /// What leaves instead of a frame.
    pub(crate) fn transmits(&mut self, facts: &Facts, mut transmit: Transmit) -> Vec<(usize, Transmit)> {
        let node = facts.node;
        let value: Value = serde_json::from_slice(&transmit.frame).unwrap_or_default();
        let is = |method: &str| value["method"] == method;
        let is_reply = matches!(transmit.about, About::Reply(_));
        let is_request = value["method"].is_string() && !value["id"].is_null();
        self.count += 1;
        match self.mutant {
            Mutant::ReusedWireId if is_request => {
                let last = std::mem::replace(&mut self.last_id, value["id"].clone());
                edit(&mut transmit, |value| value["id"] = if last.is_null() { value["id"].take() } else { last });
            }
            Mutant::LostReply if is_reply && self.count.is_multiple_of(3) => return Vec::new(),
            Mutant::LateReply => {
                return std::iter::once((node, transmit)).chain(std::mem::take(&mut self.kept)).collect();
            }
            Mutant::IdTakenTwice if value["method"].is_null() => {
                let id = value["id"].to_string();
                self.in_work.remove(&(node, id.clone()));
                if let Some(original) = self.renamed.remove(&(node, id)) {
                    edit(&mut transmit, |value| value["id"] = original);
                }
            }
            Mutant::BrokenFrame if self.count.is_multiple_of(9) => {
                transmit.frame.pop();
            }
            Mutant::RawLineEnd => {
                let text = String::from_utf8_lossy(&transmit.frame).replace("\\u2028", "\u{2028}");
                transmit.frame = text.into_bytes();
            }
            Mutant::NoRefusals if transmit.about == About::Refusal && value["error"].is_object() => return Vec::new(),
            Mutant::EarlyCall if self.count == 1 => {
                let mut early = transmit.clone();
                edit(&mut early, |value| value["method"] = "tools/list".into());
                return vec![(node, early), (node, transmit)];
            }
            Mutant::BareRequest if is_request && facts.side == Side::Client => {
                edit(&mut transmit, |value| {
                    drop(value["params"].as_object_mut().and_then(|params| params.remove("_meta")));
                });
            }
            Mutant::NoResultType => {
                edit(&mut transmit, |value| {
                    drop(value["result"].as_object_mut().and_then(|result| result.remove("resultType")));
                });
            }
            Mutant::RepeatedProgress if is("notifications/progress") => {
                return vec![(node, transmit.clone()), (node, transmit)];
            }
            Mutant::ProgressAfterReply if is("notifications/progress") => {
                self.kept.push((node, transmit));
                return Vec::new();
            }
            Mutant::ProgressAfterReply if is_reply => {
                let late: Vec<_> = self.kept.extract_if(.., |(of, _)| *of == node).collect();
                return std::iter::once((node, transmit)).chain(late).collect();
            }
            Mutant::UnwantedLogs if is_reply && facts.side == Side::Server => {
                let mut log = transmit.clone();
                let params = json!({ "level": "debug", "data": "said" });
                edit(&mut log, |value| {
                    *value = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params });
                });
                return vec![(node, log), (node, transmit)];
            }
            Mutant::NoAcknowledgement if is("notifications/subscriptions/acknowledged") => return Vec::new(),
            Mutant::LostChange if is("notifications/tools/list_changed") || is("notifications/resources/updated") => {
                return Vec::new();
            }
            Mutant::LostState => {
                edit(&mut transmit, |value| {
                    drop(value["params"].as_object_mut().and_then(|params| params.remove("requestState")));
                });
            }
            Mutant::CrossedAnswers if is_reply => return self.cross(node, &value, transmit),
            Mutant::Chance if is_reply && CHANCE.fetch_add(1, Ordering::Relaxed).is_multiple_of(7) => {
                return Vec::new();
            }
            _ => {}
        }
        vec![(node, transmit)]
    }

    /// Exchanges this answer with one of another session that has the same id.
    fn cross(&mut self, node: usize, value: &Value, transmit: Transmit) -> Vec<(usize, Transmit)> {
        let same = |(of, kept): &(usize, Transmit)| {
            let kept: Value = serde_json::from_slice(&kept.frame).unwrap_or_default();
            *of != node && kept["id"] == value["id"] && kept["result"].is_object()
        };
        if let Some(at) = self.kept.iter().position(same) {
            let (other, kept) = self.kept.swap_remove(at);
            return vec![(other, transmit), (node, kept)];
        }
        // One is held for a partner; then answers go on as they are.
        if self.kept.iter().any(|(of, _)| *of == node) {
            return vec![(node, transmit)];
        }
        self.kept.push((node, transmit));
        Vec::new()
    }

    /// What the application is told instead of an event.
    pub(crate) fn events(&mut self, facts: &Facts, conn: &mut Connection, event: Event) -> Vec<Event> {
        let twice = match (self.mutant, &event) {
            (Mutant::DoubledResponse, Event::Response { .. })
            | (Mutant::DoubledEnd, Event::Closed { .. })
            | (Mutant::DoubledCancel, Event::Cancelled { .. })
            | (Mutant::DoubledRequest, Event::Request { .. }) => true,
            (Mutant::LostWritable, Event::Writable) => return Vec::new(),
            (
                Mutant::OneFailsAll,
                Event::Response { result: Err(RequestError::Rpc(_)), .. } | Event::Misbehaved { .. },
            ) => {
                conn.handle_broken(facts.now, "an error");
                false
            }
            (Mutant::StrictInitialized, Event::Request { id, meta, .. })
                if meta.era == Era::Legacy && facts.side == Side::Server && !self.initialized.contains(&facts.node) =>
            {
                let error = ErrorObject::new(ErrorCode::INVALID_REQUEST, "not initialized");
                let _ = conn.reject(facts.now, *id, &error);
                return Vec::new();
            }
            (Mutant::LateReply, Event::Request { id, meta, .. }) => {
                let id = (facts.node, *id);
                self.wire_ids.insert(id, serde_json::to_value(&meta.wire_id).unwrap_or_default());
                false
            }
            (Mutant::LateReply, Event::Cancelled { id, .. }) => {
                self.answer_late(facts, conn, *id);
                false
            }
            _ => false,
        };
        if twice { vec![event.clone(), event] } else { vec![event] }
    }

    /// Answers a request that was cancelled, by a frame of the connection's own kind.
    fn answer_late(&mut self, facts: &Facts, conn: &Connection, id: InboundId) {
        let Some(wire) = self.wire_ids.remove(&(facts.node, id)) else { return };
        // Frames are made by connections alone: a clone makes one, which is then written over.
        let mut twin = conn.clone();
        let probe = json!({ "jsonrpc": "2.0", "id": wire, "method": "ping" }).to_string() + "\n";
        twin.handle_input(facts.now, probe.as_bytes());
        while let Some(mut transmit) = twin.poll_transmit() {
            let frame = json!({ "jsonrpc": "2.0", "id": wire, "result": {} }).to_string().into_bytes();
            (transmit.about, transmit.frame) = (About::Reply(id), frame);
            self.kept = vec![(facts.node, transmit)];
        }
    }

    /// What arrives instead of these bytes.
    pub(crate) fn bytes(
        &mut self,
        facts: &Facts,
        conn: &mut Connection,
        config: &Config,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        self.count += 1;
        let whole = bytes.ends_with(b"\n");
        match self.mutant {
            Mutant::DroppedTail | Mutant::DroppedHalfLine if !whole => {
                let dropped = self.mutant == Mutant::DroppedTail || self.count.is_multiple_of(5);
                let line_end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                dropped.then(|| bytes[..line_end].to_vec())
            }
            Mutant::StrictInitialized => {
                if String::from_utf8_lossy(bytes).contains("notifications/initialized") {
                    self.initialized.insert(facts.node);
                }
                None
            }
            Mutant::SecondHandshake if String::from_utf8_lossy(bytes).contains("\"initialize\"") => {
                if let (Config::Server(config), Some(_)) = (config, conn.version()) {
                    *conn = Connection::server(Arc::clone(config), Start::Handshake, facts.now);
                }
                None
            }
            Mutant::IdTakenTwice | Mutant::LenientParser | Mutant::UnheardProgress if whole => {
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                let lines: Vec<Vec<u8>> = lines.map(|line| self.line(facts, line)).collect();
                let lines: Vec<u8> =
                    lines.iter().filter(|line| !line.is_empty()).flat_map(|line| [line, &b"\n"[..]].concat()).collect();
                (lines != bytes).then_some(lines)
            }
            _ => None,
        }
    }

    fn line(&mut self, facts: &Facts, line: &[u8]) -> Vec<u8> {
        let Ok(mut value) = serde_json::from_slice::<Value>(line) else { return line.to_vec() };
        match self.mutant {
            Mutant::LenientParser => value.to_string().into_bytes(),
            Mutant::UnheardProgress if value["method"] == "notifications/progress" => Vec::new(),
            Mutant::IdTakenTwice if value["method"] == "tools/call" => {
                let key = (facts.node, value["id"].to_string());
                if self.in_work.insert(key) {
                    return line.to_vec();
                }
                let fresh = Value::from(9_000_000 + self.count);
                self.count += 1;
                self.renamed.insert((facts.node, fresh.to_string()), value["id"].take());
                value["id"] = fresh;
                value.to_string().into_bytes()
            }
            _ => line.to_vec(),
        }
    }

    /// Whether a node reads nothing now.
    pub(crate) fn stops_reading(&self, app: &App) -> bool {
        self.mutant == Mutant::DeafWhileAtWork && matches!(app, App::Server(app) if app.in_work() > 0)
    }

    /// Whether a node is not told the time.
    fn stops_clocks(&self, facts: &Facts, conn: &Connection) -> bool {
        let is_client = facts.side == Side::Client;
        match self.mutant {
            Mutant::NoDeadlines => is_client,
            Mutant::EndlessProbe => is_client && conn.version().is_none(),
            _ => false,
        }
    }

    /// Whether a node does not hear that its input is over.
    pub(crate) fn ignores_end(&self) -> bool {
        self.mutant == Mutant::IgnoredEnd
    }

    /// When a connection says that it wants to be woken.
    pub(crate) fn wakes(&self, next: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        if self.mutant == Mutant::StandingTimer { Some(now) } else { next }
    }

    /// When it is woken.
    pub(crate) fn arms(&self, facts: &Facts, conn: &Connection, now: Timestamp) -> Option<Timestamp> {
        let next = if self.mutant == Mutant::BusyTimer { Some(now) } else { conn.poll_timeout() };
        next.filter(|_| !self.stops_clocks(facts, conn))
    }

    /// What a clone forgets.
    pub(crate) fn forgets(&self, conn: &mut Connection) {
        if self.mutant == Mutant::ForgetfulClone {
            let _ = conn.poll_event();
        }
    }
}

fn edit(transmit: &mut Transmit, change: impl FnOnce(&mut Value)) {
    if let Ok(mut value) = serde_json::from_slice(&transmit.frame) {
        change(&mut value);
        transmit.frame = value.to_string().into_bytes();
    }
}
