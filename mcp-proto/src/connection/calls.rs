//! The table of our open requests: handles, wire ids, and two clocks each.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::error::TimedOut;
use super::event::{About, CallOptions, Deadlines, InboundId, Origin, OutboundId, Wanted};
use crate::Timestamp;
use crate::jsonrpc::{Body, RequestId, Tail};
use crate::model::ProtocolVersion;

/// The table of our open requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Calls {
    pub(super) open: BTreeMap<OutboundId, Call>,
    /// Those whose request has left: nobody else can be answered.
    #[serde(skip)]
    pub(super) by_wire: BTreeMap<i64, OutboundId>,
    /// Calls that have become tasks (2025-11-25) and still report, by the wire id that is their token.
    pub(super) tasks: BTreeMap<i64, TaskCall>,
    /// Those that are to be sent again as there is room, in their order, each with what is added to it.
    #[serde(skip)]
    ready: VecDeque<(OutboundId, Tail)>,
    /// Ids that others use in our name; see `reserve_id`.
    pub(super) reserved: BTreeSet<i64>,
    /// Handles and wire ids count apart: a retry changes the wire id, never the handle.
    next: u64,
    pub(super) next_wire: i64,
    #[serde(skip)]
    limit: usize,
    #[serde(skip)]
    task_limit: usize,
    /// No deadline of an open call is before this moment. May be early: then one look at the table corrects it, so that a
    /// call costs no entry in a timer tree.
    pub(super) earliest: Option<Timestamp>,
    clocks: Clocks,
}

/// Whether the clocks of all calls run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Clocks {
    Running,
    /// Standing still since then, since we owe the peer an answer.
    Standing(Timestamp),
    /// Running although we owe one: it has been owed for longer than a person may take.
    Overdue,
}

/// A request that may have to be sent again with answers to a question of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Again {
    #[serde(with = "super::freeze::body")]
    pub(super) body: Body,
    pub(super) options: CallOptions,
    /// How often it was answered with a question.
    pub(super) rounds: u32,
    /// The server's state, as it stands on the wire.
    pub(super) state: Option<String>,
    /// The keys of the questions that were asked last.
    pub(super) asked: Vec<String>,
    pub(super) step: Step,
}

/// A call that was answered with a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TaskCall {
    pub(super) call: OutboundId,
    pub(super) task: String,
    #[serde(with = "super::freeze::bits")]
    pub(super) last_progress: Option<f64>,
}

/// Where such a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// With the server.
    Sent,
    /// With our application, since then; its clocks stand still, but a person has no more than an hour.
    Asked(Timestamp),
    /// Held back until then, since the server had no question and only wants to be asked again.
    HeldBack(Timestamp),
    /// To be sent again as soon as the output has room.
    Ready,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Call {
    /// Changes with each time the request is sent again.
    pub(super) wire: i64,
    pub(super) purpose: Purpose,
    /// What of the request has to be known to send it again.
    pub(super) again: Option<Box<Again>>,
    /// Whether a question is passed on to the application as the response.
    pub(super) returns_questions: bool,
    /// Whether it is a subscription: those alone the server may cancel.
    pub(super) is_listen: bool,
    /// Whether its result may say that it has become a task.
    pub(super) may_become_task: bool,
    pub(super) within: Option<InboundId>,
    /// The exchange that it left by.
    pub(super) origin: Origin,
    pub(super) wants_progress: Wanted,
    #[serde(with = "super::freeze::bits")]
    pub(super) last_progress: Option<f64>,
    deadlines: Deadlines,
    started: Timestamp,
    /// When something was last heard of it.
    heard: Timestamp,
    idle_at: Timestamp,
    cap_at: Timestamp,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// The application asked for it and gets the `Response`.
    Application,
    /// The handshake asked for it.
    Initialize,
    /// The probe asked for it, in this revision.
    Discover(ProtocolVersion),
}

/// How long our application may take to answer a question of the server before the clocks of our calls no longer wait for it.
const A_PERSONS_TIME: Duration = Duration::from_secs(3600);
/// Deadlines are rounded up to this, so that many calls share one wake-up.
const ROUNDING: Duration = Duration::from_millis(16);

impl Calls {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            open: BTreeMap::new(),
            by_wire: BTreeMap::new(),
            tasks: BTreeMap::new(),
            ready: VecDeque::new(),
            reserved: BTreeSet::new(),
            next: 0,
            next_wire: 1,
            limit: limits.outbound_requests,
            task_limit: limits.tasks,
            earliest: None,
            clocks: Clocks::Running,
        }
    }

    /// As [`Requests::shrink`](super::requests::Requests::shrink).
    pub(super) fn shrink(&mut self) {
        if self.open.is_empty() {
            (self.open, self.by_wire) = (BTreeMap::new(), BTreeMap::new());
        }
        if self.tasks.is_empty() {
            self.tasks = BTreeMap::new();
        }
    }

    /// What is not frozen, but follows from the rest and from the limits.
    pub(super) fn restore(&mut self, limits: &Limits) {
        (self.limit, self.task_limit) = (limits.outbound_requests, limits.tasks);
        let on_wire = self.open.iter().filter(|(_, call)| call.is_on_wire());
        self.by_wire = on_wire.map(|(id, call)| (call.wire, *id)).collect();
        self.forget_old_tasks();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the peer owes us an answer, be it to a request of somebody else's in our name.
    pub(super) fn await_peer(&self) -> bool {
        !self.open.is_empty() || !self.reserved.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= self.limit
    }

    pub(super) fn purpose(&self, id: OutboundId) -> Option<Purpose> {
        self.open.get(&id).map(|call| call.purpose)
    }

    /// Our subscriptions.
    pub(super) fn listens(&self) -> Vec<OutboundId> {
        self.open.iter().filter(|(_, call)| call.is_listen).map(|(id, _)| *id).collect()
    }

    pub(super) fn wire_id(&self, id: OutboundId) -> Option<RequestId> {
        self.open.get(&id).map(|call| RequestId::Number(call.wire))
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        match self.clocks {
            Clocks::Standing(since) => self.earliest.map(|_| overdue_from(since)),
            Clocks::Running | Clocks::Overdue => self.earliest,
        }
    }

    pub(super) fn get_mut(&mut self, id: OutboundId) -> Option<&mut Call> {
        self.open.get_mut(&id)
    }

    /// Takes a call off the wire: its answer, if one came, was a question.
    pub(super) fn take_off_wire(&mut self, wire: i64) {
        self.by_wire.remove(&wire);
    }

    /// Gives a call that is sent again its new wire id.
    pub(super) fn rewire(&mut self, id: OutboundId) -> Option<RequestId> {
        let call = self.open.get_mut(&id)?;
        call.wire = self.next_wire;
        // A new token: its progress begins anew.
        call.last_progress = None;
        self.next_wire += 1;
        Some(RequestId::Number(call.wire))
    }

    /// A frame has left: the request that it may be can be answered from now on.
    pub(super) fn note_left(&mut self, about: About) {
        if let About::Call(id) = about
            && let Some(call) = self.open.get(&id)
        {
            self.by_wire.insert(call.wire, id);
        }
    }

    /// Lets a call wait for room.
    pub(super) fn make_ready(&mut self, id: OutboundId, tail: Tail) {
        let Some(again) = self.open.get_mut(&id).and_then(|call| call.again.as_deref_mut()) else { return };
        again.step = Step::Ready;
        self.ready.push_back((id, tail));
        self.find_earliest();
    }

    /// The next of those that wait for room.
    pub(super) fn take_ready(&mut self) -> Option<(OutboundId, Tail)> {
        self.ready.pop_front()
    }

    /// Bytes of states and keys that are kept of the rounds of all calls but this one.
    pub(super) fn kept_of_rounds(&self, but: OutboundId) -> usize {
        let others = self.open.iter().filter(|(id, _)| **id != but).filter_map(|(_, call)| call.again.as_ref());
        others.map(|again| again.state.as_ref().map_or(0, String::len) + keys_size(&again.asked)).sum()
    }

    /// The calls whose time to be sent again has come.
    pub(super) fn held_back_until(&self, now: Timestamp) -> Vec<OutboundId> {
        let due =
            |call: &Call| matches!(&call.again, Some(again) if matches!(again.step, Step::HeldBack(at) if at <= now));
        self.open.iter().filter(|(_, call)| due(call)).map(|(id, _)| *id).collect()
    }

    pub(super) fn add(
        &mut self,
        purpose: Purpose,
        origin: Origin,
        options: &CallOptions,
        now: Timestamp,
    ) -> OutboundId {
        let id = OutboundId(self.next);
        let wire = self.next_wire;
        self.next += 1;
        self.next_wire += 1;
        let (idle, cap) = match options.deadlines {
            Deadlines::Call { idle, cap } => (idle, cap),
            Deadlines::Stream { first } => (first, Duration::MAX),
        };
        let call = Call {
            wire,
            purpose,
            again: None,
            returns_questions: false,
            is_listen: false,
            may_become_task: false,
            within: options.within,
            origin,
            wants_progress: options.progress,
            last_progress: None,
            deadlines: options.deadlines,
            started: now,
            heard: now,
            idle_at: (now + idle).round_up(ROUNDING),
            cap_at: (now + cap).round_up(ROUNDING),
        };
        let due = call.due();
        self.earliest = Some(self.earliest.map_or(due, |earliest| earliest.min(due)));
        self.open.insert(id, call);
        id
    }

    pub(super) fn remove(&mut self, id: OutboundId) -> Option<Call> {
        let call = self.open.remove(&id)?;
        self.ready.retain(|(ready, _)| *ready != id);
        self.by_wire.remove(&call.wire);
        if self.open.is_empty() {
            self.earliest = None;
        }
        Some(call)
    }

    /// Keeps a call that has become a task, so that its progress still finds it.
    pub(super) fn keep_task(&mut self, wire: i64, task: TaskCall) {
        self.tasks.insert(wire, task);
        self.forget_old_tasks();
    }

    fn forget_old_tasks(&mut self) {
        while self.tasks.len() > self.task_limit {
            self.tasks.pop_first();
        }
    }

    /// Stops all clocks; they stand still while we owe the peer an answer, for as long as a person may take.
    pub(super) fn pause(&mut self, now: Timestamp) {
        if self.clocks == Clocks::Running {
            self.clocks = Clocks::Standing(now);
        }
    }

    /// Starts them again where they stood.
    pub(super) fn resume(&mut self, now: Timestamp) {
        if let Clocks::Standing(since) = core::mem::replace(&mut self.clocks, Clocks::Running) {
            for call in self.open.values_mut() {
                call.shift(since, now);
            }
            self.find_earliest();
        }
    }

    pub(super) fn find_earliest(&mut self) {
        self.earliest = self.open.values().map(Call::due).min();
    }

    pub(super) fn take_expired(&mut self, now: Timestamp) -> Vec<(OutboundId, TimedOut)> {
        if let Clocks::Standing(since) = self.clocks
            && overdue_from(since) <= now
        {
            self.resume(overdue_from(since));
            self.clocks = Clocks::Overdue;
        }
        if self.next_deadline().is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let expired = self.open.iter().filter(|(_, call)| call.is_expired(now));
        expired.map(|(id, call)| (*id, call.time_out(now))).collect()
    }
}

/// When what has been owed since then is overdue.
fn overdue_from(since: Timestamp) -> Timestamp {
    (since + A_PERSONS_TIME).round_up(ROUNDING)
}

/// Bytes of the keys of questions.
pub(super) fn keys_size<'a>(keys: impl IntoIterator<Item = &'a String>) -> usize {
    keys.into_iter().map(|key| key.len() + size_of::<String>()).sum()
}

impl Call {
    /// When something has to happen; never while the application is asked.
    pub(super) fn due(&self) -> Timestamp {
        match self.again.as_ref().map(|again| again.step) {
            Some(Step::Asked(since)) => (since + A_PERSONS_TIME).round_up(ROUNDING),
            Some(Step::HeldBack(until)) => until.min(self.idle_at).min(self.cap_at),
            Some(Step::Sent | Step::Ready) | None => self.idle_at.min(self.cap_at),
        }
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        match self.again.as_ref().map(|again| again.step) {
            Some(Step::Asked(_)) => self.due() <= now,
            _ => self.idle_at.min(self.cap_at) <= now,
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.again.as_ref().is_some_and(|again| matches!(again.step, Step::Asked(_)))
    }

    pub(super) fn is_on_wire(&self) -> bool {
        self.again.as_ref().is_none_or(|again| again.step == Step::Sent)
    }

    /// Lets the clocks go on that stood still since then.
    pub(super) fn shift(&mut self, since: Timestamp, now: Timestamp) {
        self.idle_at = self.idle_at + now.saturating_since(since.max(self.heard));
        self.cap_at = self.cap_at + now.saturating_since(since.max(self.started));
    }

    pub(super) fn time_out(&self, now: Timestamp) -> TimedOut {
        if self.is_asked() {
            return TimedOut::Idle(A_PERSONS_TIME);
        }
        match self.deadlines {
            Deadlines::Call { cap, .. } if self.cap_at <= now => TimedOut::Cap(cap),
            Deadlines::Call { idle, .. } => TimedOut::Idle(idle),
            Deadlines::Stream { first } => TimedOut::Idle(first),
        }
    }

    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard = now;
        self.idle_at = match self.deadlines {
            // In the future: what was heard of, or sent, in this moment is not overdue in it.
            Deadlines::Call { idle, .. } => (now + idle.max(Duration::from_nanos(1))).round_up(ROUNDING),
            Deadlines::Stream { .. } => self.cap_at,
        };
    }
}
