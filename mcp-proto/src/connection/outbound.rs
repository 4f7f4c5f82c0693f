//! Our requests and notifications: what may be sent now, and how a request ends.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::calls::{Again, Purpose, Step};
use super::error::{CloseReason, RequestError, SendError, Why};
use super::event::{
    About, CallOptions, Channel, Event, InboundId, Meta, Origin, OutboundId, PeerCapabilities, ResultKind, Rounds,
    Scope, Transmit, Wanted,
};
use super::lifecycle::Phase;
use super::{Connection, Side};
use crate::jsonrpc::{Body, Fault, Kind, Message, RequestId, Tail};
use crate::model::{
    CancelledParams, Capability, Era, INPUT_REQUESTS, InputRequest, MAY_REQUIRE_INPUT, ProtocolVersion, Sender,
    meta_key, method_rule,
};

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
        let may_become_task = match version.map(ProtocolVersion::era) {
            Some(Era::Modern) => body.method() == "tools/call",
            _ => self.may_ask_task(&body),
        };
        let attachment = options.attachment;
        let returns_questions = may_be_asked && options.rounds == Rounds::Return;
        let again = (may_be_asked && !returns_questions).then(|| {
            let (body, options) = (body.clone(), options.clone());
            Box::new(Again { body, options, rounds: 0, state: None, asked: Vec::new(), step: Step::Sent })
        });
        let wire = RequestId::Number(self.calls.next_wire);
        let frame = body
            .finish_within(limit, &self.request_tail(Tail::default(), version, &options, &wire), Some(&wire))
            .map_err(|body| SendError { why: Why::TooLarge, body })?;
        let origin = options.within.map_or(Origin::STREAM, |within| self.requests.origin(within));
        let id = self.calls.add(purpose, origin, &options, self.now);
        if let Some(call) = self.calls.get_mut(id) {
            call.again = again;
            call.returns_questions = returns_questions;
            call.is_listen = is_listen;
            call.may_become_task = may_become_task;
        }
        self.put_out(Transmit { attachment, ..Transmit::new(origin, About::Call(id), frame) });
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
        let is_unheard = within.is_none() && self.channel == Channel::Closed;
        if is_unheard && body.level().is_none() {
            return Err(self.not_sent(Why::NoChannel, body));
        } else if is_unheard {
            self.stats.dropped += 1;
            return Ok(());
        }
        let subscription = within.and_then(|id| self.requests.subscription(id));
        let tail = Tail::default().with_meta(meta.as_ref(), |keys| {
            if let Some(wire) = subscription {
                keys.put_id(meta_key::SUBSCRIPTION_ID, wire);
            }
        });
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
        let is_unknown = match self.lifecycle.phase {
            Phase::AwaitingInitialize | Phase::Initializing => self.speaks_modern(),
            phase => phase == Phase::Probing,
        };
        let may_ping = !is_unknown && body.method() == "ping";
        if self.lifecycle.phase != Phase::Operating && !may_ping {
            return Err(Why::NotReady);
        }
        let is_unheard = within.is_none() && self.channel == Channel::Closed;
        let is_unanswered = self.is_server() && self.version().is_some() && self.peer().is_none();
        if is_unheard || is_unanswered {
            return Err(Why::NoChannel);
        }
        if let Some((extension, sender)) = self.extension_of(body.method()) {
            if !self.is_ours(sender) {
                return Err(Why::NotInThisRevision);
            }
            if !self.declares(&extension.id) {
                return Err(Why::WeLack);
            }
            if self.peer().is_some_and(|peer| !peer.has_extension(&extension.id)) {
                return Err(Why::PeerLacks);
            }
        }
        if let Some(rule) = self.version().and_then(|version| method_rule(body.method(), version)) {
            let rule = rule.map_err(|_| Why::NotInThisRevision)?;
            if !self.is_ours(rule.sender) {
                return Err(Why::NotInThisRevision);
            }
            let offers = self.peer().is_none_or(|peer| match &peer.capabilities {
                PeerCapabilities::Client(offered) => offered.offers(rule.needs) && offered.offers(part_of(body)),
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
        if within.is_some_and(|id| self.requests.subscription(id).is_some() && !self.changes.is_granted(id)) {
            // The acknowledgement is the first thing that is told on a subscription.
            return Err(Why::NotReady);
        }
        match self.lifecycle.phase {
            Phase::Operating => {}
            _ if asker.is_some_and(|version| version.era() == Era::Modern) => {}
            // Between the two halves of the handshake a server may log, and nothing else.
            Phase::AwaitingInitialized if body.level().is_some() => {}
            _ => return Err(Why::NotReady),
        }
        let Some(version) = asker.or(self.version()) else { return Ok(()) };
        let Some(rule) = method_rule(body.method(), version) else { return self.may_tell(body, within) };
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
            self.may_tell(body, within)
        } else {
            Err(Why::WeLack)
        }
    }

    pub(super) fn is_ours(&self, sender: Sender) -> bool {
        match sender {
            Sender::Both => true,
            Sender::Client => !self.is_server(),
            Sender::Server => self.is_server(),
        }
    }
}

/// What a question to a client needs beyond the capability of its method: the mode of an elicitation, the tools of a sampling.
/// One that cannot be read is for the client to refuse.
fn part_of(body: &Body) -> Capability {
    if !INPUT_REQUESTS.iter().any(|(method, _)| *method == body.method()) {
        return Capability::None;
    }
    let question = serde_json::from_str::<InputRequest>(&body.as_input_request());
    question.ok().and_then(|question| question.needs()).unwrap_or(Capability::None)
}

/// Answers, progress, and other ends.
impl Connection {
    pub(super) fn on_response(&mut self, message: Message) {
        let Some(id) = message.id().and_then(|id| self.call_of(id)) else {
            if !self.on_late_discovery(&message)
                && let Some(message) = self.route(message)
            {
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
        match self.result_kind(id, &message) {
            Ok(ResultKind::InputRequired) => self.on_input_required(id, message),
            Ok(kind) => self.end_call(id, Ok((kind, message))),
            Err(fault) => self.end_call(id, Err(RequestError::InvalidResult(fault))),
        }
    }

    /// What a result is. In the legacy era every result is complete, whatever it says of itself.
    fn result_kind(&mut self, id: OutboundId, message: &Message) -> Result<ResultKind, Fault> {
        let (Side::Client(_), Some(Era::Modern)) = (&self.side, self.era()) else {
            let may_be_task = self.calls.open.get(&id).is_some_and(|call| call.may_become_task);
            return Ok(if may_be_task { self.task_result_kind(id, message) } else { ResultKind::Complete });
        };
        let is_known = |name: &str| self.extensions().any(|it| it.result_types.iter().any(|known| known == name));
        Ok(match message.result_type() {
            None | Some("complete") => ResultKind::Complete,
            Some("input_required") => ResultKind::InputRequired,
            Some("task") => return self.extension_task_kind(id),
            Some(other) if is_known(other) => ResultKind::Other(other.into()),
            Some(_) => return Err(Fault::BadResultMember("resultType")),
        })
    }

    pub(super) fn on_malformed_response(&mut self, message: &Message, fault: Fault) {
        if let Some(id) = message.id().and_then(|id| self.call_of(id)) {
            self.end_call(id, Err(RequestError::InvalidResult(fault)));
        } else if let Some(id) = message.id() {
            // Nobody can read it, but whoever reserved the id has its answer with that.
            self.release_id(id);
        }
    }

    pub(super) fn expire_calls(&mut self) {
        for (id, which) in self.calls.take_expired(self.now) {
            self.abandon_call(id, "timed out", RequestError::TimedOut(which));
        }
        for id in self.calls.held_back_until(self.now) {
            self.calls.make_ready(id, Tail::default());
        }
        self.send_ready();
        if self.calls.earliest.is_some_and(|earliest| earliest <= self.now) {
            self.calls.find_earliest();
        }
    }

    /// Ends a call from our side: tells the peer, unless the request has not left yet or is `initialize`.
    pub(super) fn abandon_call(&mut self, id: OutboundId, reason: &str, error: RequestError) {
        let Some(call) = self.calls.open.get(&id) else {
            // Of a call that has become a task only its progress is left.
            return self.calls.tasks.retain(|_, task| task.call != id);
        };
        // `initialize` is never cancelled, and a probe that was given up may still be answered to some use; but neither is sent
        // when it is of no use any more.
        let (is_on_wire, origin) = (call.is_on_wire(), self.way_of(call.origin));
        let has_left = is_on_wire && !self.output.take_back(id);
        if call.purpose == Purpose::Application && has_left {
            let mut params = CancelledParams::new();
            params.request_id = Some(RequestId::Number(call.wire));
            // An overlong reason is our caller's; the peer has to know all the same.
            let tells_why = !reason.is_empty() && reason.len() <= self.limits.frame / 8;
            params.reason = tells_why.then(|| reason.into());
            if let (Some(origin), Ok(body)) = (origin, Body::new("notifications/cancelled", &params)) {
                self.transmit(origin, About::Cancel(id), body.finish(&Tail::default(), None));
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
            Purpose::Discover(_) => {
                let answer = result.as_ref().map(|(_, message)| message).map_err(Clone::clone);
                self.on_discover_answer(call.wire, answer);
            }
        }
    }

    /// The open call with this wire id. A numeric id that comes back as a string is still ours.
    pub(super) fn call_of(&self, id: &RequestId) -> Option<OutboundId> {
        self.calls.by_wire.get(&id.as_number()?).copied()
    }
}
