//! Our requests: what is open, which wire id it has, and when its time is up.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::error::{CloseReason, RequestError, Rule, SendError, TimedOut, Why};
use super::event::{
    About, CallOptions, Deadlines, Event, InboundId, Meta, Origin, OutboundId, PeerCapabilities, ResultKind, Scope,
    Wanted,
};
use super::lifecycle::Phase;
use super::{Connection, Side};
use crate::Timestamp;
use crate::jsonrpc::{Body, Fault, Kind, Message, RequestId, Tail};
use crate::model::{CancelledParams, Progress, ProgressParams, Sender, method_rule};

/// The table of our open requests.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    open: BTreeMap<OutboundId, Call>,
    by_wire: BTreeMap<i64, OutboundId>,
    /// Handles and wire ids count apart: a retry changes the wire id, never the handle.
    next: u64,
    next_wire: i64,
    limit: usize,
    /// No deadline of an open call is before this moment. May be early: then one look at the table corrects it, so that a
    /// call costs no entry in a timer tree.
    earliest: Option<Timestamp>,
    /// Since when all clocks stand still.
    paused: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Call {
    wire: i64,
    purpose: Purpose,
    within: Option<InboundId>,
    wants_progress: Wanted,
    last_progress: Option<f64>,
    deadlines: Deadlines,
    started: Timestamp,
    /// When something was last heard of it.
    heard: Timestamp,
    idle_at: Timestamp,
    cap_at: Timestamp,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The application asked for it and gets the `Response`.
    Application,
    /// The handshake asked for it.
    Initialize,
}

/// What only the core sends.
const OURS: [&str; 4] =
    ["initialize", "notifications/initialized", "notifications/cancelled", "notifications/progress"];

/// Deadlines are rounded up to this, so that many calls share one wake-up.
const ROUNDING: Duration = Duration::from_millis(16);

impl Calls {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            open: BTreeMap::new(),
            by_wire: BTreeMap::new(),
            next: 0,
            next_wire: 1,
            limit,
            earliest: None,
            paused: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= self.limit
    }

    pub(super) fn purpose(&self, id: OutboundId) -> Option<Purpose> {
        self.open.get(&id).map(|call| call.purpose)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        if self.paused.is_some() { None } else { self.earliest }
    }

    /// The `_meta` of the next call. Its wire id is unique among our requests, so it serves as the token as well.
    fn next_tail(&self, options: &CallOptions) -> Tail {
        let token = RequestId::Number(self.next_wire);
        Tail::meta(options.meta.as_ref(), (options.progress == Wanted::Yes).then_some(&token))
    }

    fn add(&mut self, purpose: Purpose, options: &CallOptions, now: Timestamp) -> (OutboundId, RequestId) {
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
            within: options.within,
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
        self.by_wire.insert(wire, id);
        self.open.insert(id, call);
        (id, RequestId::Number(wire))
    }

    fn remove(&mut self, id: OutboundId) -> Option<Call> {
        let call = self.open.remove(&id)?;
        self.by_wire.remove(&call.wire);
        if self.open.is_empty() {
            self.earliest = None;
        }
        Some(call)
    }

    /// Stops all clocks; they stand still while we owe the peer an answer.
    pub(super) fn pause(&mut self, now: Timestamp) {
        self.paused.get_or_insert(now);
    }

    /// Starts them again where they stood.
    pub(super) fn resume(&mut self, now: Timestamp) {
        let Some(paused) = self.paused.take() else { return };
        for call in self.open.values_mut() {
            call.idle_at = call.idle_at + now.saturating_since(paused.max(call.heard));
            call.cap_at = call.cap_at + now.saturating_since(paused.max(call.started));
        }
        self.find_earliest();
    }

    fn find_earliest(&mut self) {
        self.earliest = self.open.values().map(Call::due).min();
    }

    fn take_expired(&mut self, now: Timestamp) -> Vec<(OutboundId, TimedOut)> {
        if self.next_deadline().is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let expired = self.open.iter().filter(|(_, call)| call.due() <= now);
        expired.map(|(id, call)| (*id, call.time_out(now))).collect()
    }
}

impl Call {
    fn due(&self) -> Timestamp {
        self.idle_at.min(self.cap_at)
    }

    fn time_out(&self, now: Timestamp) -> TimedOut {
        match self.deadlines {
            Deadlines::Call { cap, .. } if self.cap_at <= now => TimedOut::Cap(cap),
            Deadlines::Call { idle, .. } => TimedOut::Idle(idle),
            Deadlines::Stream { first } => TimedOut::Idle(first),
        }
    }

    fn hear(&mut self, now: Timestamp) {
        self.heard = now;
        self.idle_at = match self.deadlines {
            Deadlines::Call { idle, .. } => (now + idle).round_up(ROUNDING),
            Deadlines::Stream { .. } => self.cap_at,
        };
    }
}

/// Sending.
impl Connection {
    pub(super) fn send_request(&mut self, body: Body, options: CallOptions) -> Result<OutboundId, SendError> {
        if let Err(why) = self.may_send(&body, options.within).and_then(|()| self.may_request(&body)) {
            return Err(self.not_sent(why, body));
        }
        let tail = self.calls.next_tail(&options);
        if body.finished_len(&tail, Some(&RequestId::Number(self.calls.next_wire))) > self.limits.frame {
            return Err(self.not_sent(Why::TooLarge, body));
        }
        if let Some(id) = options.within {
            self.requests.nest(id);
        }
        Ok(self.open_call_with(body, &tail, Purpose::Application, &options))
    }

    /// A call of the connection's own.
    pub(super) fn open_call(&mut self, body: Body, purpose: Purpose, deadlines: Deadlines) -> OutboundId {
        let options = CallOptions { deadlines, ..CallOptions::default() };
        self.open_call_with(body, &Tail::default(), purpose, &options)
    }

    fn open_call_with(&mut self, body: Body, tail: &Tail, purpose: Purpose, options: &CallOptions) -> OutboundId {
        let (id, wire) = self.calls.add(purpose, options, self.now);
        let frame = body.finish(tail, Some(&wire));
        self.transmit(Origin::STREAM, About::Call(id), frame);
        id
    }

    pub(super) fn send_notification(&mut self, body: Body, scope: Scope, meta: &Meta) -> Result<(), SendError> {
        let (within, about) = match scope {
            Scope::Connection => (None, About::Notice),
            Scope::Within(id) => (Some(id), About::Within(id)),
        };
        if let Err(why) = self.may_send(&body, within).and_then(|()| self.may_notify(&body)) {
            return Err(self.not_sent(why, body));
        }
        if let Some(level) = body.level()
            && (level < self.log_level() || self.output.is_full())
        {
            self.stats.dropped += 1;
            return Ok(());
        }
        if self.output.is_full() {
            return Err(self.not_sent(Why::Full, body));
        }
        let tail = Tail::meta(meta.as_ref(), None);
        if body.finished_len(&tail, None) > self.limits.frame {
            return Err(self.not_sent(Why::TooLarge, body));
        }
        let frame = body.finish(&tail, None);
        self.transmit(within.map_or(Origin::STREAM, |id| self.requests.origin(id)), about, frame);
        Ok(())
    }

    fn not_sent(&mut self, why: Why, body: Body) -> SendError {
        self.wants_writable |= why == Why::Full;
        SendError { why, body }
    }

    /// What holds for requests and notifications alike.
    fn may_send(&self, body: &Body, within: Option<InboundId>) -> Result<(), Why> {
        if body.method().is_empty() || OURS.contains(&body.method()) {
            return Err(Why::NotYours);
        }
        if self.closed || self.ending.is_some() && within.is_none() {
            return Err(Why::Closed);
        }
        if within.is_some_and(|id| !self.requests.is_live(id)) {
            return Err(Why::Gone);
        }
        if body.len() > self.limits.frame {
            return Err(Why::TooLarge);
        }
        Ok(())
    }

    fn may_request(&self, body: &Body) -> Result<(), Why> {
        if self.input_ended {
            // Nobody is left to answer it.
            return Err(Why::Closed);
        }
        if self.lifecycle.phase != Phase::Operating && body.method() != "ping" {
            return Err(Why::NotReady);
        }
        if let Some(rule) = self.version().and_then(|version| method_rule(body.method(), version)) {
            let rule = rule.map_err(|_| Why::NotInThisRevision)?;
            if !self.is_ours(rule.sender) {
                return Err(Why::NotInThisRevision);
            }
            let offers = self.peer().is_none_or(|peer| match &peer.capabilities {
                PeerCapabilities::Client(offered) => offered.offers(rule.needs),
                PeerCapabilities::Server(offered) => offered.offers(rule.needs),
            });
            if !offers {
                return Err(Why::PeerLacks);
            }
        }
        if self.calls.is_full() || self.output.is_full() { Err(Why::Full) } else { Ok(()) }
    }

    fn may_notify(&self, body: &Body) -> Result<(), Why> {
        match self.lifecycle.phase {
            Phase::Operating => {}
            // Between the two halves of the handshake a server may log, and nothing else.
            Phase::AwaitingInitialized if body.level().is_some() => {}
            _ => return Err(Why::NotReady),
        }
        let Some(rule) = self.version().and_then(|version| method_rule(body.method(), version)) else { return Ok(()) };
        let rule = rule.map_err(|_| Why::NotInThisRevision)?;
        let declared = match &self.side {
            Side::Client(config) => config.capabilities.offers(rule.needs),
            Side::Server(config) => config.capabilities.offers(rule.needs),
        };
        if !self.is_ours(rule.sender) {
            Err(Why::NotInThisRevision)
        } else if declared {
            Ok(())
        } else {
            Err(Why::WeLack)
        }
    }

    fn is_ours(&self, sender: Sender) -> bool {
        match sender {
            Sender::Both => true,
            Sender::Client => !self.is_server(),
            Sender::Server => self.is_server(),
        }
    }
}

/// Answers, progress, and other ends.
impl Connection {
    pub(super) fn on_response(&mut self, message: Message) {
        let Some(id) = message.id().and_then(|id| self.call_of(id)) else {
            self.stats.strays += 1;
            self.events.push(Event::Stray { message });
            return;
        };
        if matches!(message.id(), Some(RequestId::String(_))) {
            self.stats.coerced_ids += 1;
        }
        let result = match message.kind() {
            Kind::Error => match message.error().map(|error| error.decode()) {
                Some(Ok(error)) => Err(RequestError::Rpc(error)),
                _ => Err(RequestError::InvalidResult(Fault::BadError)),
            },
            _ => Ok((ResultKind::Complete, message)),
        };
        self.end_call(id, result);
    }

    pub(super) fn on_malformed_response(&mut self, message: &Message, fault: Fault) {
        if let Some(id) = message.id().and_then(|id| self.call_of(id)) {
            self.end_call(id, Err(RequestError::InvalidResult(fault)));
        }
    }

    pub(super) fn on_progress(&mut self, message: Message) {
        let Ok(params) = message.params().decode::<ProgressParams>() else {
            return self.misbehaved(Rule::BadNotification(Fault::BadParams), message.text());
        };
        let call = self.call_of(&params.progress_token.0).and_then(|id| Some((id, self.calls.open.get_mut(&id)?)));
        let Some((id, call)) = call.filter(|(_, call)| call.wants_progress == Wanted::Yes) else {
            self.stats.strays += 1;
            self.events.push(Event::Stray { message });
            return;
        };
        if !params.progress.is_finite() || call.last_progress.is_some_and(|last| params.progress <= last) {
            return self.misbehaved(Rule::ProgressNotRising, message.text());
        }
        call.last_progress = Some(params.progress);
        call.hear(self.now);
        let progress = Progress { progress: params.progress, total: params.total, message: params.message };
        self.events.push(Event::Progress { id, progress });
    }

    pub(super) fn expire_calls(&mut self) {
        for (id, which) in self.calls.take_expired(self.now) {
            self.abandon_call(id, "timed out", RequestError::TimedOut(which));
        }
        if self.calls.earliest.is_some_and(|earliest| earliest <= self.now) {
            self.calls.find_earliest();
        }
    }

    /// Ends a call from our side: tells the peer, unless the request has not left yet or is `initialize`.
    pub(super) fn abandon_call(&mut self, id: OutboundId, reason: &str, error: RequestError) {
        let Some(call) = self.calls.open.get(&id) else { return };
        if call.purpose == Purpose::Application && !self.output.take_back(id) {
            let mut params = CancelledParams::new();
            params.request_id = Some(RequestId::Number(call.wire));
            // An overlong reason is our caller's; the peer has to know all the same.
            params.reason = (reason.len() <= self.limits.frame / 8).then(|| reason.into());
            if let Ok(body) = Body::new("notifications/cancelled", &params) {
                self.transmit(Origin::STREAM, About::Notice, body.finish(&Tail::default(), None));
            }
        }
        self.end_call(id, Err(error));
    }

    /// Ends the calls that were made while a request of the peer was in work that is over now.
    pub(super) fn end_nested(&mut self, within: InboundId) {
        let nested = self.calls.open.iter().filter(|(_, call)| call.within == Some(within));
        for id in nested.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.abandon_call(id, "the request that it belonged to is over", RequestError::Cancelled);
        }
    }

    pub(super) fn fail_calls(&mut self, reason: &CloseReason) {
        for id in self.calls.open.keys().copied().collect::<Vec<_>>() {
            if self.is_handshake(id) {
                // Whoever closes reports the reason; there is nobody else to tell.
                self.calls.remove(id);
            } else {
                self.end_call(id, Err(RequestError::Closed(reason.clone())));
            }
        }
    }

    fn end_call(&mut self, id: OutboundId, result: Result<(ResultKind, Message), RequestError>) {
        let Some(call) = self.calls.remove(id) else { return };
        if let Some(within) = call.within {
            self.requests.unnest(within);
        }
        match call.purpose {
            Purpose::Application => self.events.push(Event::Response { id, result }),
            Purpose::Initialize => {
                self.on_initialize_answer(result.as_ref().map(|(_, message)| message).map_err(Clone::clone));
            }
        }
    }

    /// The open call with this wire id. A numeric id that comes back as a string is still ours.
    fn call_of(&self, id: &RequestId) -> Option<OutboundId> {
        self.calls.by_wire.get(&id.as_number()?).copied()
    }
}
