//! The peer's requests: what is in work, what may still be said about it, and when its slot is free.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::json;

use super::error::{RequestError, RespondError, Rule};
use super::event::{About, Event, InboundId, Meta, Origin, Peer, RequestMeta, ResultKind};
use super::lifecycle::{Phase, Terms};
use super::{Connection, Limits, Side};
use crate::jsonrpc::{Body, ErrorCode, ErrorObject, Fault, Message, ProgressToken, RequestId, Tail, refusal};
use crate::model::{
    CancelledParams, Era, ListenParams, LoggingLevel, MAY_REQUIRE_INPUT, Progress, ProgressParams, ProtocolVersion,
    RequestMetaObject, SubscriptionFilter, meta_key,
};

/// The table of the peer's requests in work.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    /// Cancelled ones included, until their handler has ended; and subscriptions, until they end.
    open: BTreeMap<InboundId, Request>,
    /// Only those that can still be answered. The exchange is part of the key: over HTTP two POSTs may use one id.
    by_wire: BTreeMap<(Origin, RequestId), InboundId>,
    /// How many of `open` are subscriptions, which have a limit of their own.
    subscriptions: usize,
    /// Admitted, but waiting for a place; in the order in which they came.
    parked: VecDeque<Parked>,
    parked_bytes: usize,
    next: u64,
    limit: usize,
    subscription_limit: usize,
    parked_limit: usize,
}

/// A request that waits for a place.
#[derive(Clone, Debug)]
struct Parked {
    origin: Origin,
    message: Message,
    terms: Terms,
    token: Option<ProgressToken>,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) origin: Origin,
    pub(super) wire: RequestId,
    /// The revision it is served in.
    pub(super) version: ProtocolVersion,
    pub(super) peer: Option<Arc<Peer>>,
    /// From which severity on its sender wants log messages about it.
    log_level: Option<LoggingLevel>,
    token: Option<ProgressToken>,
    last_progress: Option<f64>,
    /// How many calls of ours were made within it and are open.
    nested: u32,
    /// Whether it was cancelled: nothing more is said about it.
    cancelled: bool,
    /// What its answer changes here.
    pub(super) effect: Effect,
}

/// What a request means to the connection itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// It may be answered with a question.
    MayRequireInput,
    /// Its result subscribes to a resource.
    Subscribe(String),
    /// Its result ends such a subscription.
    Unsubscribe(String),
    /// It is a subscription itself.
    Listen(SubscriptionFilter),
}

impl Request {
    pub(super) fn may_require_input(&self) -> bool {
        self.version.era() == Era::Modern && self.effect == Effect::MayRequireInput
    }
}

impl Requests {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            open: BTreeMap::new(),
            by_wire: BTreeMap::new(),
            subscriptions: 0,
            parked: VecDeque::new(),
            parked_bytes: 0,
            next: 0,
            limit: limits.inbound_requests,
            subscription_limit: limits.subscriptions,
            parked_limit: limits.events,
        }
    }

    /// Whether nothing is in work. A subscription is no work.
    pub(super) fn is_idle(&self) -> bool {
        self.open.len() == self.subscriptions && self.parked.is_empty()
    }

    /// Whether no further request can be taken, not even to wait for a place.
    pub(super) fn is_full(&self) -> bool {
        self.has_no_place() && self.parked_bytes > self.parked_limit
    }

    pub(super) fn bytes(&self) -> usize {
        self.parked_bytes
    }

    fn has_no_place(&self) -> bool {
        self.open.len() - self.subscriptions >= self.limit
    }

    /// One that can still be answered.
    pub(super) fn live(&self, id: InboundId) -> Option<&Request> {
        self.open.get(&id).filter(|request| !request.cancelled)
    }

    /// Whether it can still be answered.
    pub(super) fn is_live(&self, id: InboundId) -> bool {
        self.live(id).is_some()
    }

    pub(super) fn origin(&self, id: InboundId) -> Origin {
        self.open.get(&id).map_or(Origin::STREAM, |request| request.origin)
    }

    pub(super) fn version(&self, id: InboundId) -> Option<ProtocolVersion> {
        self.open.get(&id).map(|request| request.version)
    }

    pub(super) fn log_level(&self, id: InboundId) -> Option<LoggingLevel> {
        self.open.get(&id)?.log_level
    }

    pub(super) fn nest(&mut self, id: InboundId) {
        if let Some(request) = self.open.get_mut(&id) {
            request.nested += 1;
        }
    }

    pub(super) fn unnest(&mut self, id: InboundId) {
        if let Some(request) = self.open.get_mut(&id) {
            request.nested = request.nested.saturating_sub(1);
        }
    }

    pub(super) fn release(&mut self, id: InboundId) {
        if self.open.get(&id).is_some_and(|request| request.cancelled) {
            self.remove(id);
        }
    }

    /// Forgets everything; returns those that somebody still works on, oldest first.
    pub(super) fn end_all(&mut self) -> Vec<InboundId> {
        self.by_wire.clear();
        self.parked.clear();
        self.parked_bytes = 0;
        self.subscriptions = 0;
        let open = core::mem::take(&mut self.open);
        open.into_iter().filter(|(_, request)| !request.cancelled).map(|(id, _)| id).collect()
    }

    fn uses(&self, key: &(Origin, RequestId)) -> bool {
        self.by_wire.contains_key(key) || self.parked_at(key.0, &key.1).is_some()
    }

    fn parked_at(&self, origin: Origin, wire: &RequestId) -> Option<usize> {
        self.parked.iter().position(|parked| parked.origin == origin && parked.message.id() == Some(wire))
    }

    fn unpark(&mut self, at: usize) -> Option<Parked> {
        let parked = self.parked.remove(at)?;
        self.parked_bytes -= parked.message.size();
        Some(parked)
    }

    fn add(&mut self, request: Request) -> InboundId {
        let id = InboundId(self.next);
        self.next += 1;
        self.subscriptions += usize::from(matches!(request.effect, Effect::Listen(_)));
        self.by_wire.insert((request.origin, request.wire.clone()), id);
        self.open.insert(id, request);
        id
    }

    fn remove(&mut self, id: InboundId) -> Option<Request> {
        let request = self.open.remove(&id)?;
        self.subscriptions -= usize::from(matches!(request.effect, Effect::Listen(_)));
        Some(request)
    }

    /// Whether at least one of them waits for an answer.
    fn any_live(&self) -> bool {
        !self.by_wire.is_empty()
    }
}

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
        let own = match (asked, version.era()) {
            ("ping", Era::Legacy) => Some(Body::empty_result()),
            ("initialize", Era::Legacy) if self.is_server() => Some(self.on_initialize(&message)?),
            ("logging/setLevel", Era::Legacy) if self.is_server() => Some(self.on_set_level(&message)?),
            ("server/discover", Era::Modern) => Some(self.on_discover()?),
            _ => None,
        };
        if let Some(body) = own {
            return Ok(Some((version, body)));
        }
        if self.ending.is_some() && !self.input_ended {
            return Err(retryable(format!("{asked:.100} came too late: this side is closing the connection")));
        }
        let must_wait = self.requests.has_no_place() && asked != "subscriptions/listen";
        if must_wait && (self.requests.is_full() || !self.calls.is_empty()) {
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
        let Parked { origin, message, terms: Terms { version, peer, log_level }, token } = parked;
        let Some(wire) = message.id().cloned() else { return Ok(()) };
        let effect = self.effect_of(&message, version)?;
        let meta = Box::new(RequestMeta {
            era: version.era(),
            version,
            peer: peer.clone(),
            wire_id: wire.clone(),
            token: token.clone(),
            log_level,
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
            nested: 0,
            cancelled: false,
            effect,
        };
        let id = self.requests.add(request);
        if !self.is_server() {
            // Our call may wait for exactly this answer, and a person may be giving it.
            self.calls.pause(self.now);
        }
        self.events.push(Event::Request { id, message, meta });
        Ok(())
    }

    fn effect_of(&self, message: &Message, version: ProtocolVersion) -> Result<Effect, ErrorObject> {
        let uri = || message.uri().map(String::from);
        Ok(match message.method() {
            method if MAY_REQUIRE_INPUT.contains(&method) => Effect::MayRequireInput,
            "resources/subscribe" => uri().map_or(Effect::None, Effect::Subscribe),
            "resources/unsubscribe" => uri().map_or(Effect::None, Effect::Unsubscribe),
            "subscriptions/listen" if version.era() == Era::Modern => {
                let params: ListenParams = message
                    .params()
                    .decode()
                    .map_err(|error| ErrorObject::invalid_params(format!("subscriptions/listen: {error}")))?;
                let uris = params.notifications.resource_subscriptions.as_ref().map_or(0, Vec::len);
                if self.requests.subscriptions >= self.requests.subscription_limit || uris > self.limits.subscribed_uris
                {
                    return Err(retryable("too many subscriptions, or too many URIs in one".into()));
                }
                Effect::Listen(params.notifications)
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
        // Streams have one exchange. Unknown ids are a race that both sides must tolerate; an answer that has not left yet
        // stays here.
        let key = (Origin::STREAM, wire);
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
        let Some(id) = self.requests.by_wire.remove(&key) else {
            self.stats.dropped += self.output.drop_reply_to(key.0, &json_text(&key.1)) as u64;
            return;
        };
        let Some(request) = self.requests.open.get_mut(&id) else { return };
        request.cancelled = true;
        let (nested, is_subscription) = (request.nested, matches!(request.effect, Effect::Listen(_)));
        self.stats.dropped += self.output.drop_within(id) as u64;
        self.changes.end(id);
        if nested > 0 {
            self.end_nested(id);
        }
        self.events.push(Event::Cancelled { id, reason });
        if is_subscription {
            // Nobody works on it, so nobody releases it.
            self.requests.remove(id);
        }
        self.resume_clocks();
    }
}

/// What goes out.
impl Connection {
    pub(super) fn send_progress(&mut self, id: InboundId, progress: Progress) -> Result<(), RespondError> {
        let is_full = self.output.is_full();
        let request = self.requests.open.get_mut(&id).filter(|request| !request.cancelled).ok_or(RespondError::Gone)?;
        if !progress.progress.is_finite() || request.last_progress.is_some_and(|last| progress.progress <= last) {
            return Err(RespondError::ProgressNotRising);
        }
        request.last_progress = Some(progress.progress);
        let Some(token) = request.token.clone() else { return Ok(()) };
        let (origin, rules) = (request.origin, request.version.rules());
        if is_full {
            self.stats.dropped += 1;
            return Ok(());
        }
        let mut params = ProgressParams::new(token, progress.progress);
        params.total = progress.total.filter(|total| total.is_finite());
        params.message = progress.message.filter(|_| rules.progress_message);
        let fits = |body: &Body| body.finished_len(&Tail::default(), None) <= self.limits.frame;
        let mut body = Body::new("notifications/progress", &params).ok();
        if !body.as_ref().is_some_and(fits) {
            params.message = None;
            body = Body::new("notifications/progress", &params).ok().filter(fits);
        }
        match body {
            Some(body) => self.transmit(origin, About::Within(id), body.finish(&Tail::default(), None)),
            None => self.stats.dropped += 1,
        }
        Ok(())
    }

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
            (ResultKind::Other(kind), true) => kind,
            (ResultKind::InputRequired, _) if request.may_require_input() => "input_required",
            _ => return Err(RespondError::NotInThisRevision),
        };
        self.send_finished(id, kind, body, Tail::default(), meta)
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
        if let Some(version) = version.filter(|version| !version.may_send_error(error.code)) {
            // Of a code that another revision had, the meaning stays; of any other, only that it was an error.
            let is_missing = error.code == ErrorCode::RESOURCE_NOT_FOUND;
            error.code = if is_missing { version.rules().resource_not_found } else { ErrorCode::INTERNAL_ERROR };
        }
        let mut frame = refusal(Some(&wire), &error);
        if frame.len() > self.limits.frame {
            let short = ErrorObject::new(error.code, "an error whose text is longer than the frame limit");
            frame = refusal(Some(&wire), &short);
        }
        self.transmit(origin, About::Reply(id), frame);
        Ok(())
    }

    /// Frees the slot of a request that is answered now. A cancelled one only gives its slot back.
    fn take_request(&mut self, id: InboundId) -> Result<(Origin, RequestId), RespondError> {
        let request = self.requests.remove(id).ok_or(RespondError::Gone)?;
        self.changes.end(id);
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

    fn resume_clocks(&mut self) {
        if !self.requests.any_live() {
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
