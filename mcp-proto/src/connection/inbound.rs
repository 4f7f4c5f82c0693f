//! The peer's requests: what is in work, what may still be said about it, and when its slot is free.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use serde_json::json;

use super::error::{RequestError, RespondError, Rule};
use super::event::{About, Event, InboundId, Meta, Origin, Peer, RequestMeta, ResultKind};
use super::extension::longest_list;
use super::lifecycle::{Phase, Terms};
use super::requests::{Effect, Parked, Request};
use super::subscription::Changes;
use super::{Connection, Side};
use crate::jsonrpc::{Body, ErrorCode, ErrorObject, Fault, Message, ProgressToken, RequestId, Tail, refusal};
use crate::model::{
    CancelledParams, Era, ListenParams, MAY_REQUIRE_INPUT, ProtocolVersion, RequestMetaObject, meta_key,
};

/// What comes in.
impl Connection {
    pub(super) fn on_request(&mut self, origin: Origin, message: Message) {
        let Some(id) = message.id().cloned() else { return };
        if !self.is_server() && self.era() == Some(Era::Modern) {
            // Not answered: clients of the modern era send no responses.
            return self.misbehaved(Rule::RequestFromServer, message.text());
        }
        let key = (origin, id);
        let served = self.serve(&key, message);
        let (_, id) = key;
        match served {
            Ok(Some((version, body))) => {
                let frame = body.finish(&self.result_tail(Tail::default(), version, "complete", &None), Some(&id));
                self.transmit(origin, About::Refusal, frame);
            }
            Ok(None) => {}
            Err(error) => self.refuse(origin, Some(&json_text(&id)), &error),
        }
    }

    /// Answers it with a body of the core's own, hands it to the application (`None`), or says why neither.
    fn serve(
        &mut self,
        key: &(Origin, RequestId),
        message: Message,
    ) -> Result<Option<(ProtocolVersion, Body)>, ErrorObject> {
        let (origin, id) = (key.0, &key.1);
        if self.requests.uses(key) {
            self.misbehaved(Rule::ReusedId, message.text());
            let error = format!("the id {id} belongs to a request that is still in work");
            return Err(ErrorObject::new(ErrorCode::INVALID_REQUEST, error));
        }
        let (terms, token) = self.admit(&message)?;
        let (asked, version) = (message.method(), terms.version);
        self.check_extension(asked, version, terms.peer.as_deref())?;
        if let Some((body, effect)) = self.own_answer(&message, version)? {
            if self.shows(&effect) {
                self.show(Parked { origin, message, terms, token }, effect, body);
                return Ok(None);
            }
            self.note_effect(effect);
            return Ok(Some((version, body)));
        }
        if self.ending.is_some() && !self.input_ended {
            return Err(retryable(format!("{asked:.100} came too late: this side is closing the connection")));
        }
        let must_wait = self.requests.has_no_place() && asked != "subscriptions/listen";
        if must_wait && (self.requests.is_full() || self.calls.await_peer()) {
            // While we wait for the peer ourselves, nothing of it may wait for a place: both could wait for ever.
            self.stats.refused += 1;
            return Err(retryable(format!("{asked:.100} was refused: too many requests are in work")));
        }
        if version.era() == Era::Legacy {
            self.on_initialized();
        }
        let admitted = Parked { origin, message, terms, token };
        if must_wait {
            self.requests.parked_bytes += admitted.message.size();
            self.requests.parked.push_back(admitted);
            return Ok(None);
        }
        self.take_on(admitted).map(|()| None)
    }

    /// On whose terms it is served, and the token under which its sender wants progress.
    fn admit(&mut self, message: &Message) -> Result<(Terms, Option<ProgressToken>), ErrorObject> {
        let meta =
            message.meta().map_or(Ok(RequestMetaObject::default()), |meta| RequestMetaObject::read(meta.as_str()));
        let mut meta = meta.map_err(|fault| ErrorObject::invalid_params(format!("params._meta: {fault}")))?;
        let terms = self.terms(message, &mut meta)?;
        if let Some(fault) = meta.fault(meta_key::PROGRESS_TOKEN) {
            return Err(ErrorObject::invalid_params(format!("params.{fault}")));
        }
        Ok((terms, meta.progress_token))
    }

    /// Gives a request a place and hands it to the application.
    fn take_on(&mut self, parked: Parked) -> Result<(), ErrorObject> {
        let effect = self.effect_of(&parked.message, parked.terms.version, parked.terms.peer.as_deref())?;
        self.hand_over(parked, effect, None);
        Ok(())
    }

    /// The same once it is known what its answer changes here, and what the connection would answer itself.
    pub(super) fn hand_over(&mut self, parked: Parked, effect: Effect, own_answer: Option<Body>) {
        let Parked { origin, message, terms: Terms { version, peer, log_level }, token } = parked;
        let Some(wire) = message.id().cloned() else { return };
        let may_be_task = self.may_be_task(&message, version, peer.as_deref());
        let meta = Box::new(RequestMeta {
            era: version.era(),
            version,
            peer: peer.clone(),
            wire_id: wire.clone(),
            token: token.clone(),
            log_level,
            own_answer,
        });
        // On a subscription nothing is told but changes.
        let is_listen = matches!(effect, Effect::Listen(_));
        let request = Request {
            origin,
            wire,
            version,
            peer,
            log_level: log_level.filter(|_| !is_listen),
            token: token.filter(|_| !is_listen),
            last_progress: None,
            waiting_progress: None,
            nested: 0,
            cancelled: false,
            may_be_task,
            effect,
        };
        let id = self.requests.add(request);
        if !self.is_server() {
            // Our call may wait for exactly this answer, and a person may be giving it.
            self.calls.pause(self.now);
        }
        self.events.push(Event::Request { id, message, meta });
    }

    fn effect_of(
        &self,
        message: &Message,
        version: ProtocolVersion,
        peer: Option<&Peer>,
    ) -> Result<Effect, ErrorObject> {
        let uri = || message.uri().map(String::from);
        Ok(match message.method() {
            method if MAY_REQUIRE_INPUT.contains(&method) => Effect::MayRequireInput,
            "resources/subscribe" => match uri() {
                Some(uri) if !self.changes.has_room_for(&uri, &self.limits) => {
                    return Err(retryable("too many resources are subscribed to".into()));
                }
                Some(uri) if !Changes::can_be_told(&uri, &self.limits) => {
                    return Err(ErrorObject::invalid_params("the URI is too long to be told of when it changes"));
                }
                uri => uri.map_or(Effect::None, Effect::Subscribe),
            },
            "resources/unsubscribe" => uri().map_or(Effect::None, Effect::Unsubscribe),
            "subscriptions/listen" if version.era() == Era::Modern => {
                let params: ListenParams = message
                    .params()
                    .decode()
                    .map_err(|error| ErrorObject::invalid_params(format!("subscriptions/listen: {error}")))?;
                let filter = params.notifications;
                self.check_filter(&filter, peer)?;
                let filter = self.known_of(filter);
                let is_long = longest_list(&filter) > self.limits.subscribed_uris;
                if self.requests.has_no_subscription() || is_long {
                    return Err(retryable("too many subscriptions, or too long a list in one".into()));
                }
                Effect::Listen(filter)
            }
            _ => Effect::None,
        })
    }

    /// Fills places that have become free.
    pub(super) fn take_on_parked(&mut self) {
        while !self.requests.has_no_place()
            && let Some(parked) = self.requests.unpark(0)
        {
            let (origin, wire) = (parked.origin, parked.message.id().map(json_text));
            if let Err(error) = self.take_on(parked) {
                self.refuse(origin, wire.as_deref(), &error);
            }
        }
    }

    pub(super) fn on_notification(&mut self, message: Message) {
        match message.method() {
            "notifications/cancelled" => self.on_cancelled(&message),
            "notifications/progress" => self.on_progress(message),
            "notifications/tasks/status" if self.lifecycle.phase == Phase::Operating => {
                self.note_task_status(&message);
                self.events.push(Event::Notification { related: None, message });
            }
            "notifications/initialized" if self.is_server() && self.lifecycle.phase != Phase::AwaitingInitialize => {
                self.on_initialized();
            }
            _ if self.lifecycle.phase == Phase::AwaitingInitialize && !self.speaks_modern() && !is_modern(&message) => {
                self.misbehaved(Rule::NotInitialized, message.text());
            }
            _ => {
                let related = self.subscription_of(&message);
                self.events.push(Event::Notification { related, message });
            }
        }
    }

    fn on_cancelled(&mut self, message: &Message) {
        let Ok(CancelledParams { request_id: Some(wire), reason, .. }) = message.params().decode() else {
            return self.misbehaved(Rule::BadNotification(Fault::BadParam("requestId")), message.text());
        };
        // Over HTTP it comes by an exchange of its own. Which of two requests with one id it means nobody can tell, so neither.
        let Some(origin) = self.exchange_of(&wire) else { return };
        // Unknown ids are a race that both sides must tolerate; an answer that has not left yet stays here.
        let key = (origin, wire);
        if let Some(at) = self.requests.parked_at(key.0, &key.1) {
            // Nobody has begun with it.
            self.requests.unpark(at);
            return;
        }
        if !self.is_server()
            && self.era() == Some(Era::Modern)
            && let Some(call) = self.call_of(&key.1)
            && self.calls.get_mut(call).is_some_and(|call| call.is_listen)
        {
            // So a server ends a subscription.
            return self.end_call(call, Err(RequestError::Cancelled));
        }
        if self.requests.by_wire.get(&key).is_some_and(|id| self.is_handshake(*id)) {
            // Specification: basic/utilities/cancellation.
            return self.misbehaved(Rule::BadNotification(Fault::BadParam("requestId")), message.text());
        }
        let Some(id) = self.requests.by_wire.get(&key).copied() else {
            let dropped = self.output.drop_reply_to(key.0, &json_text(&key.1));
            self.stats.dropped += dropped as u64;
            if dropped > 0 {
                self.requests.forget_task_of(&key);
            }
            return;
        };
        self.cancel_request(id, reason);
    }
}

/// What goes out.
impl Connection {
    pub(super) fn send_result(
        &mut self,
        id: InboundId,
        kind: &ResultKind,
        body: Body,
        meta: &Meta,
    ) -> Result<(), RespondError> {
        let request = match self.requests.live(id) {
            Some(request) => request,
            // A cancelled request gives its place back.
            None => return self.take_request(id).map(drop),
        };
        if !body.method().is_empty() {
            return Err(RespondError::NotAResult);
        }
        let kind = match (kind, request.version.rules().result_type) {
            (ResultKind::Complete, _) => "complete",
            (ResultKind::Other(kind), true) if self.may_answer_with(kind, request.peer.as_deref()) => kind,
            (ResultKind::InputRequired, _) if request.may_require_input() => "input_required",
            (ResultKind::Task, _) if request.may_be_task => "task",
            _ => return Err(RespondError::NotInThisRevision),
        };
        // Taken before it is answered: in 2025-11-25 the progress of a task goes on after this.
        let is_legacy_task = kind == "task" && request.version.era() == Era::Legacy;
        let reporting = self.requests.open.get_mut(&id).filter(|_| is_legacy_task).map(|request| {
            let waiting_progress = request.waiting_progress.take();
            Request { waiting_progress, ..request.clone() }
        });
        self.send_finished(id, kind, body, Tail::default(), meta)?;
        if let Some(task) = reporting {
            self.requests.keep_task(id, task);
        }
        Ok(())
    }

    /// Sends a result of this kind with what the core adds to it.
    pub(super) fn send_finished(
        &mut self,
        id: InboundId,
        kind: &str,
        body: Body,
        tail: Tail,
        meta: &Meta,
    ) -> Result<(), RespondError> {
        let request = self.requests.live(id).ok_or(RespondError::Gone)?;
        let (version, wire, effect) = (request.version, &request.wire, request.effect.clone());
        let subscription = matches!(effect, Effect::Listen(_)).then_some(wire);
        let tail = self.result_tail_of(tail, version, kind, meta, subscription);
        let length = body.len();
        let Ok(frame) = body.finish_within(self.limits.frame, &tail, Some(wire)) else {
            let error = format!("the result of {length} bytes is longer than the limit of {}", self.limits.frame);
            self.send_error(id, &ErrorObject::internal(error))?;
            return Err(RespondError::TooLarge);
        };
        let (origin, _) = self.take_request(id)?;
        self.transmit(origin, About::Reply(id), frame);
        self.note_effect(effect);
        Ok(())
    }

    fn result_tail(&self, tail: Tail, version: ProtocolVersion, kind: &str, meta: &Meta) -> Tail {
        self.result_tail_of(tail, version, kind, meta, None)
    }

    /// What the core writes into a result.
    fn result_tail_of(
        &self,
        tail: Tail,
        version: ProtocolVersion,
        kind: &str,
        meta: &Meta,
        subscription: Option<&RequestId>,
    ) -> Tail {
        if !version.rules().result_type {
            return tail.with_meta(meta.as_ref(), |_| {});
        }
        tail.with("resultType", kind).with_meta(meta.as_ref(), |keys| {
            if let Side::Server(config) = &self.side {
                keys.put(meta_key::SERVER_INFO, &config.info);
            }
            if let Some(id) = subscription {
                keys.put_id(meta_key::SUBSCRIPTION_ID, id);
            }
        })
    }

    pub(super) fn send_error(&mut self, id: InboundId, error: &ErrorObject) -> Result<(), RespondError> {
        let version = self.requests.version(id);
        let (origin, wire) = self.take_request(id)?;
        let wire = json_text(&wire);
        let mut error = error.clone();
        if let Some(version) = version {
            error.code = version.error_code(error.code);
        }
        let mut frame = refusal(Some(&wire), &error);
        if frame.len() > self.limits.frame {
            let short = ErrorObject::new(error.code, "an error whose text is longer than the frame limit");
            frame = refusal(Some(&wire), &short);
        }
        self.transmit_error(origin, About::Reply(id), error.code, frame);
        Ok(())
    }

    /// Frees the slot of a request that is answered now. A cancelled one only gives its slot back.
    pub(super) fn take_request(&mut self, id: InboundId) -> Result<(Origin, RequestId), RespondError> {
        let request = self.requests.remove(id).ok_or(RespondError::Gone)?;
        self.changes.end(id);
        if matches!(request.effect, Effect::Initialize(..)) {
            self.end_verdict();
        }
        self.stats.dropped += u64::from(request.waiting_progress.is_some());
        if request.cancelled {
            return Err(RespondError::Gone);
        }
        let key = (request.origin, request.wire);
        self.requests.by_wire.remove(&key);
        if request.nested > 0 {
            self.end_nested(id);
        }
        self.resume_clocks();
        Ok(key)
    }

    pub(super) fn resume_clocks(&mut self) {
        if !self.requests.any_live() && !self.is_held {
            self.calls.resume(self.now);
        }
    }
}

/// The error for a request that may be sent again.
fn retryable(message: String) -> ErrorObject {
    ErrorObject::internal(message).with_data(json!({ "retryable": true }))
}

/// Whether a notification carries the modern era's `_meta`, as some clients write it there too.
fn is_modern(message: &Message) -> bool {
    let meta = message
        .meta()
        .and_then(|meta| RequestMetaObject::read(meta.as_str()).ok().map(|meta| meta.protocol_version.is_some()));
    meta.unwrap_or(false)
}

pub(super) fn json_text(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_else(|_| id.to_string())
}
