//! A connection that is looked at after every step, in words that an oracle can say as well.

use std::collections::{BTreeMap, BTreeSet};

use mcp_proto::jsonrpc::{Kind, Message};
use mcp_proto::{Connection, Event, InboundId, Limits, OutboundId, RequestError, Timestamp};
use serde_json::Value;

/// What a step brought, in the order in which it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What was sent.
    pub(crate) frames: Vec<String>,
    /// What the application was told.
    pub(crate) events: Vec<String>,
}

impl Seen {
    pub(crate) fn send(&mut self, frame: impl Into<String>) {
        self.frames.push(frame.into());
    }

    pub(crate) fn tell(&mut self, event: impl Into<String>) {
        self.events.push(event.into());
    }
}

pub(crate) struct Watched {
    pub(crate) conn: Connection,
    pub(crate) now: Timestamp,
    pub(crate) calls: Vec<OutboundId>,
    pub(crate) requests: Vec<InboundId>,
    wire_ids: BTreeSet<i64>,
    ended: BTreeSet<OutboundId>,
    closed: bool,
}

impl Watched {
    pub(crate) fn new(conn: Connection) -> Self {
        Self {
            conn,
            now: Timestamp::EPOCH,
            calls: Vec::new(),
            requests: Vec::new(),
            wire_ids: BTreeSet::new(),
            ended: BTreeSet::new(),
            closed: false,
        }
    }

    pub(crate) fn read(&mut self, message: &Value) {
        let line = format!("{message}\n");
        // After the end of its input nobody reads.
        let taken = self.conn.handle_input(self.now, line.as_bytes());
        assert!(taken == line.len() || !self.conn.wants_input(), "input is left for backpressure only");
    }

    /// Takes everything there is. Asking again yields nothing (10), and the next deadline is ahead (8).
    pub(crate) fn look(&mut self) -> Seen {
        let mut seen = Seen::default();
        loop {
            let mut any = false;
            while let Some(transmit) = self.conn.poll_transmit() {
                any = true;
                seen.send(self.frame(&transmit.frame));
            }
            while let Some(event) = self.conn.poll_event() {
                any = true;
                assert!(!self.closed, "1: nothing after Closed: {event:?}");
                seen.events.extend(self.event(event));
            }
            if !any {
                break;
            }
        }
        let next = self.conn.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "8: the next deadline is ahead");
        assert!(!self.closed || self.conn.is_drained() && self.conn.buffered_bytes() == 0, "9: nothing is held");
        seen
    }

    fn frame(&mut self, frame: &[u8]) -> String {
        let message = Message::scan(frame, &Limits::default());
        let params: Value = message.params().decode().expect("an object");
        let id = message.id().map(ToString::to_string).unwrap_or_default();
        match (message.kind(), message.method()) {
            (Kind::Request, method) => {
                let wire = message.id().and_then(|id| id.as_number()).expect("ids of ours are numbers");
                assert!(self.wire_ids.insert(wire), "2: an id is used once: {wire}");
                let state = params.get("requestState").map(|state| format!(" with {state}")).unwrap_or_default();
                let answers = params.get("inputResponses").and_then(Value::as_object);
                let answers = answers.map(|all| format!(" answering {}", all.len())).unwrap_or_default();
                format!("ask {id} {method}{state}{answers}")
            }
            (Kind::Notification, "notifications/cancelled") => format!("cancel {}", params["requestId"]),
            (Kind::Notification, "notifications/progress") => {
                format!("progress {} {}", params["progressToken"], params["progress"])
            }
            (Kind::Notification, method) => format!("tell {method}"),
            (Kind::Result, _) => format!("answer {id}"),
            (Kind::Error, _) => {
                let error: Value = message.error().expect("an error").decode().expect("an object");
                format!("refuse {id} {}", error["code"])
            }
            _ => panic!("3: {message:?}"),
        }
    }

    fn event(&mut self, event: Event) -> Option<String> {
        let call = |id: OutboundId| self.calls.iter().position(|known| *known == id);
        Some(match event {
            Event::Ready { era, .. } => format!("ready {era:?}"),
            Event::Request { id, message, .. } => {
                assert!(self.requests.last().is_none_or(|last| *last < id), "2: handles are never reused");
                self.requests.push(id);
                format!("asked {} {}", message.id().expect("an id"), message.method())
            }
            Event::Cancelled { id, .. } => {
                format!("cancelled {:?}", self.requests.iter().position(|known| *known == id).expect("2: a request"))
            }
            Event::Progress { id, progress, .. } => format!("progress {} {:?}", call(id)?, progress.progress),
            Event::InputRequired { id, requests } => format!("question {} {}", call(id)?, requests.len()),
            Event::Response { id, result } => {
                let call = call(id).expect("1: the end of a call");
                assert!(self.ended.insert(id), "1: one Response for each call");
                let outcome = match result {
                    Ok(_) => "ok",
                    Err(RequestError::Rpc(_)) => "error",
                    Err(RequestError::Cancelled) => "cancelled",
                    Err(RequestError::TimedOut(_)) => "timed out",
                    Err(RequestError::Closed(_)) => "closed",
                    Err(RequestError::InvalidResult(_)) => "invalid",
                    Err(RequestError::TooManyRounds(_)) => "too many rounds",
                    Err(other) => panic!("{other:?}"),
                };
                format!("response {call} {outcome}")
            }
            Event::Stray { .. } => "stray".into(),
            Event::Misbehaved { rule, .. } => format!("misbehaved {rule:?}"),
            Event::Closed { reason, .. } => {
                self.closed = true;
                let reason = format!("{reason:?}");
                format!("closed {}", reason.split(['(', ' ']).next().unwrap_or_default())
            }
            Event::Notification { .. } | Event::Writable | Event::Routed { .. } => return None,
            other => panic!("{other:?}"),
        })
    }
}

/// A moment in tenths of a second.
pub(crate) const TENTH: std::time::Duration = std::time::Duration::from_millis(100);
/// What deadlines have beyond whole tenths, so that what they are rounded up by decides nothing.
pub(crate) const HALF: std::time::Duration = std::time::Duration::from_millis(50);

/// What a test says when the two differ: the steps up to there.
pub(crate) fn compare<S: std::fmt::Debug>(steps: &[S], at: usize, connection: &Seen, oracle: &Seen) {
    assert_eq!(connection, oracle, "the connection (left) and the oracle after the last of {:#?}", &steps[..=at]);
}

/// What was counted by name, so that a test can say that it met everything.
#[derive(Debug, Default)]
pub(crate) struct Met(BTreeMap<String, usize>);

impl Met {
    pub(crate) fn note(&mut self, seen: &Seen) {
        for word in seen.frames.iter().chain(&seen.events) {
            let shape: String = word
                .split(' ')
                .filter(|word| !word.starts_with(|c: char| c.is_ascii_digit()))
                .collect::<Vec<_>>()
                .join(" ");
            *self.0.entry(shape).or_default() += 1;
        }
    }

    pub(crate) fn has(&self, all: &[&str]) {
        for wanted in all {
            assert!(self.0.contains_key(*wanted), "{wanted:?} never happened: {:?}", self.0);
        }
    }
}
