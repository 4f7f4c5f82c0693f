//! Our requests: what is open, which wire id it has, and when its time is up.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::error::{CloseReason, RequestError, Rule, SendError, TimedOut, Why};
use super::event::{
    About, CallOptions, Deadlines, Event, InboundId, Meta, Origin, OutboundId, PeerCapabilities, ResultKind, Rounds,
    Scope, Wanted,
};
use super::lifecycle::Phase;
use super::{Connection, Side};
use crate::Timestamp;
use crate::jsonrpc::{Body, Fault, Kind, Message, RequestId, Tail};
use crate::model::{
    CancelledParams, Era, MAY_REQUIRE_INPUT, Progress, ProgressParams, ProtocolVersion, Sender, meta_key, method_rule,
};

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

/// A request that may have to be sent again with answers to a question of the server.
#[derive(Clone, Debug)]
pub(super) struct Again {
    pub(super) body: Body,
    pub(super) options: CallOptions,
    /// How often it was answered with a question.
    pub(super) rounds: u32,
    /// The server's state, as it stands on the wire.
    pub(super) state: Option<String>,
    pub(super) step: Step,
}

/// Where such a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// With the server.
    Sent,
    /// With our application, since then; its clocks stand still.
    Asked(Timestamp),
    /// Held back until then, since the server had no question and only wants to be asked again.
    HeldBack(Timestamp),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Changes with each time the request is sent again.
    pub(super) wire: i64,
    purpose: Purpose,
    /// What of the request has to be known to send it again.
    pub(super) again: Option<Box<Again>>,
    /// Whether a question is passed on to the application as the response.
    pub(super) returns_questions: bool,
    /// Whether it is a subscription: those alone the server may cancel.
    pub(super) is_listen: bool,
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
    /// The probe asked for it, in this revision.
    Discover(ProtocolVersion),
}

/// What only the core sends.
const OURS: [&str; 4] =
    ["initialize", "notifications/initialized", "notifications/cancelled", "notifications/progress"];

/// What only the core sends in the modern era, through subscriptions: `changed` and `grant` lead to it.
const BY_SUBSCRIPTION: [&str; 5] = [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
];

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
        self.by_wire.insert(call.wire, id);
        Some(RequestId::Number(call.wire))
    }

    /// The calls whose time to be sent again has come.
    pub(super) fn held_back_until(&self, now: Timestamp) -> Vec<OutboundId> {
        let due =
            |call: &Call| matches!(&call.again, Some(again) if matches!(again.step, Step::HeldBack(at) if at <= now));
        self.open.iter().filter(|(_, call)| due(call)).map(|(id, _)| *id).collect()
    }

    fn add(&mut self, purpose: Purpose, options: &CallOptions, now: Timestamp) -> OutboundId {
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
        id
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
            call.shift(paused, now);
        }
        self.find_earliest();
    }

    pub(super) fn find_earliest(&mut self) {
        self.earliest = self.open.values().map(Call::due).min();
    }

    fn take_expired(&mut self, now: Timestamp) -> Vec<(OutboundId, TimedOut)> {
        if self.next_deadline().is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let expired = self.open.iter().filter(|(_, call)| call.is_expired(now));
        expired.map(|(id, call)| (*id, call.time_out(now))).collect()
    }
}

impl Call {
    /// When something has to happen; never while the application is asked.
    fn due(&self) -> Timestamp {
        match self.again.as_ref().map(|again| again.step) {
            Some(Step::Asked(_)) => Timestamp::END,
            Some(Step::HeldBack(until)) => until.min(self.idle_at).min(self.cap_at),
            Some(Step::Sent) | None => self.idle_at.min(self.cap_at),
        }
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        !self.is_asked() && self.idle_at.min(self.cap_at) <= now
    }

    fn is_asked(&self) -> bool {
        self.again.as_ref().is_some_and(|again| matches!(again.step, Step::Asked(_)))
    }

    fn is_on_wire(&self) -> bool {
        self.again.as_ref().is_none_or(|again| again.step == Step::Sent)
    }

    /// Lets the clocks go on that stood still since then.
    pub(super) fn shift(&mut self, since: Timestamp, now: Timestamp) {
        self.idle_at = self.idle_at + now.saturating_since(since.max(self.heard));
        self.cap_at = self.cap_at + now.saturating_since(since.max(self.started));
    }

    fn time_out(&self, now: Timestamp) -> TimedOut {
        match self.deadlines {
            Deadlines::Call { cap, .. } if self.cap_at <= now => TimedOut::Cap(cap),
            Deadlines::Call { idle, .. } => TimedOut::Idle(idle),
            Deadlines::Stream { first } => TimedOut::Idle(first),
        }
    }

    pub(super) fn hear(&mut self, now: Timestamp) {
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
        let may = self.may_send(&body, options.within).and_then(|()| self.may_request(&body, options.within));
        if let Err(why) = may {
            return Err(self.not_sent(why, body));
        }
        let within = options.within;
        let id = self.open_call_within(body, Purpose::Application, options, self.limits.frame)?;
        if let Some(within) = within {
            self.requests.nest(within);
        }
        Ok(id)
    }

    /// A call of the connection's own.
    pub(super) fn open_call(&mut self, body: Body, purpose: Purpose, options: CallOptions) {
        // Nothing of ours is near the limit of a frame that could be negotiated about.
        let _ = self.open_call_within(body, purpose, options, usize::MAX);
    }

    fn open_call_within(
        &mut self,
        body: Body,
        purpose: Purpose,
        options: CallOptions,
        limit: usize,
    ) -> Result<OutboundId, SendError> {
        let version = match purpose {
            Purpose::Discover(version) => Some(version),
            Purpose::Application => self.version(),
            Purpose::Initialize => None,
        };
        let may_be_asked =
            version.is_some_and(|version| version.era() == Era::Modern) && MAY_REQUIRE_INPUT.contains(&body.method());
        let is_listen = body.method() == "subscriptions/listen";
        let returns_questions = may_be_asked && options.rounds == Rounds::Return;
        let again = (may_be_asked && !returns_questions).then(|| {
            let (body, options) = (body.clone(), options.clone());
            Box::new(Again { body, options, rounds: 0, state: None, step: Step::Sent })
        });
        let wire = RequestId::Number(self.calls.next_wire);
        let frame = body
            .finish_within(limit, &self.request_tail(Tail::default(), version, &options, &wire), Some(&wire))
            .map_err(|body| SendError { why: Why::TooLarge, body })?;
        let id = self.calls.add(purpose, &options, self.now);
        if let Some(call) = self.calls.get_mut(id) {
            call.again = again;
            call.returns_questions = returns_questions;
            call.is_listen = is_listen;
        }
        self.transmit(Origin::STREAM, About::Call(id), frame);
        Ok(id)
    }

    /// What the core writes into a request. Its wire id is unique among ours, so it serves as the token as well.
    pub(super) fn request_tail(
        &self,
        tail: Tail,
        version: Option<ProtocolVersion>,
        options: &CallOptions,
        wire: &RequestId,
    ) -> Tail {
        tail.with_meta(options.meta.as_ref(), |meta| {
            if let (Some(version), Side::Client(config)) = (version, &self.side)
                && version.era() == Era::Modern
            {
                meta.put_text(meta_key::PROTOCOL_VERSION, version.as_str());
                meta.put(meta_key::CLIENT_CAPABILITIES, &config.capabilities);
                meta.put(meta_key::CLIENT_INFO, &config.info);
                if let Some(level) = &options.log_level {
                    meta.put(meta_key::LOG_LEVEL, level);
                }
            }
            if options.progress == Wanted::Yes {
                meta.put_id(meta_key::PROGRESS_TOKEN, wire);
            }
        })
    }

    pub(super) fn send_notification(&mut self, body: Body, scope: Scope, meta: &Meta) -> Result<(), SendError> {
        let (within, about) = match scope {
            Scope::Connection => (None, About::Notice),
            Scope::Within(id) => (Some(id), About::Within(id)),
        };
        if let Err(why) = self.may_send(&body, within).and_then(|()| self.may_notify(&body, within)) {
            return Err(self.not_sent(why, body));
        }
        let version = within.and_then(|id| self.requests.version(id)).or(self.version());
        let wanted = if self.is_server() && version.is_some_and(|version| version.era() == Era::Modern) {
            within.and_then(|id| self.requests.log_level(id))
        } else {
            // The session's level, which may have changed since the request came.
            Some(self.log_level())
        };
        if let Some(level) = body.level()
            && (wanted.is_none_or(|wanted| level < wanted) || self.output.is_full())
        {
            self.stats.dropped += 1;
            return Ok(());
        }
        if self.output.is_full() {
            return Err(self.not_sent(Why::Full, body));
        }
        let tail = Tail::meta(meta.as_ref(), None);
        let frame = match body.finish_within(self.limits.frame, &tail, None) {
            Ok(frame) => frame,
            Err(body) => return Err(self.not_sent(Why::TooLarge, body)),
        };
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

    fn may_request(&self, body: &Body, within: Option<InboundId>) -> Result<(), Why> {
        if self.input_ended {
            // Nobody is left to answer it.
            return Err(Why::Closed);
        }
        let asker = within.and_then(|id| self.requests.version(id));
        if self.is_modern_only() || self.is_server() && asker.is_some_and(|version| version.era() == Era::Modern) {
            // Servers of the modern era send no requests; they answer with a question instead.
            return Err(Why::NotInThisRevision);
        }
        // While the era is unknown not even a ping can be written: one of the eras has none.
        let may_ping = self.lifecycle.phase != Phase::Probing && body.method() == "ping";
        if self.lifecycle.phase != Phase::Operating && !may_ping {
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

    fn may_notify(&self, body: &Body, within: Option<InboundId>) -> Result<(), Why> {
        let asker = within.and_then(|id| self.requests.version(id));
        match self.lifecycle.phase {
            Phase::Operating => {}
            _ if asker.is_some_and(|version| version.era() == Era::Modern) => {}
            // Between the two halves of the handshake a server may log, and nothing else.
            Phase::AwaitingInitialized if body.level().is_some() => {}
            _ => return Err(Why::NotReady),
        }
        let Some(version) = asker.or(self.version()) else { return Ok(()) };
        let Some(rule) = method_rule(body.method(), version) else { return Ok(()) };
        let rule = rule.map_err(|_| Why::NotInThisRevision)?;
        let declared = match &self.side {
            Side::Client(config) => config.capabilities.offers(rule.needs),
            Side::Server(config) => config.capabilities.offers(rule.needs),
        };
        if !self.is_ours(rule.sender) {
            Err(Why::NotInThisRevision)
        } else if BY_SUBSCRIPTION.contains(&body.method()) && version.era() == Era::Modern {
            Err(Why::NotYours)
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
            if !self.on_late_discovery(&message) {
                self.stats.strays += 1;
                self.events.push(Event::Stray { message });
            }
            return;
        };
        if matches!(message.id(), Some(RequestId::String(_))) {
            self.stats.coerced_ids += 1;
        }
        if message.kind() == Kind::Error {
            let error = match message.error().map(|error| error.decode()) {
                Some(Ok(error)) => RequestError::Rpc(error),
                _ => RequestError::InvalidResult(Fault::BadError),
            };
            return self.end_call(id, Err(error));
        }
        match self.result_kind(&message) {
            Ok(ResultKind::InputRequired) => self.on_input_required(id, message),
            Ok(kind) => self.end_call(id, Ok((kind, message))),
            Err(fault) => self.end_call(id, Err(RequestError::InvalidResult(fault))),
        }
    }

    /// What a result is. In the legacy era every result is complete, whatever it says of itself.
    fn result_kind(&self, message: &Message) -> Result<ResultKind, Fault> {
        let (Side::Client(config), Some(Era::Modern)) = (&self.side, self.era()) else {
            return Ok(ResultKind::Complete);
        };
        Ok(match message.result_type() {
            None | Some("complete") => ResultKind::Complete,
            Some("input_required") => ResultKind::InputRequired,
            Some(other) if config.result_types.iter().any(|known| known == other) => ResultKind::Other(other.into()),
            Some(_) => return Err(Fault::BadResultMember("resultType")),
        })
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
        for id in self.calls.held_back_until(self.now) {
            self.send_again(id, Tail::default());
        }
        if self.calls.earliest.is_some_and(|earliest| earliest <= self.now) {
            self.calls.find_earliest();
        }
    }

    /// Ends a call from our side: tells the peer, unless the request has not left yet or is `initialize`.
    pub(super) fn abandon_call(&mut self, id: OutboundId, reason: &str, error: RequestError) {
        let Some(call) = self.calls.open.get(&id) else { return };
        if call.purpose != Purpose::Initialize && call.is_on_wire() && !self.output.take_back(id) {
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
            if self.calls.purpose(id) != Some(Purpose::Application) {
                // Whoever closes reports the reason; there is nobody else to tell.
                self.calls.remove(id);
            } else {
                self.end_call(id, Err(RequestError::Closed(reason.clone())));
            }
        }
    }

    pub(super) fn end_call(&mut self, id: OutboundId, result: Result<(ResultKind, Message), RequestError>) {
        let Some(call) = self.calls.remove(id) else { return };
        if let Some(within) = call.within {
            self.requests.unnest(within);
        }
        match call.purpose {
            Purpose::Application => self.events.push(Event::Response { id, result }),
            Purpose::Initialize => {
                self.on_initialize_answer(result.as_ref().map(|(_, message)| message).map_err(Clone::clone));
            }
            Purpose::Discover(version) => {
                let answer = result.as_ref().map(|(_, message)| message).map_err(Clone::clone);
                self.on_discover_answer(version, call.wire, answer);
            }
        }
    }

    /// The open call with this wire id. A numeric id that comes back as a string is still ours.
    pub(super) fn call_of(&self, id: &RequestId) -> Option<OutboundId> {
        self.calls.by_wire.get(&id.as_number()?).copied()
    }
}
