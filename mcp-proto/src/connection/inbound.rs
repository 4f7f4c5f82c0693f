//! The peer's requests: what is in work, what may still be said about it, and when its slot is free.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::json;

use super::Connection;
use super::error::{RespondError, Rule};
use super::event::{About, Event, InboundId, Meta, Origin, RequestMeta, ResultKind};
use super::lifecycle::Phase;
use crate::jsonrpc::{Body, ErrorCode, ErrorObject, Fault, Message, ProgressToken, RequestId, Tail, refusal};
use crate::model::{CancelledParams, Progress, ProgressParams};

/// The table of the peer's requests in work.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    /// Cancelled ones included, until their handler has ended.
    open: BTreeMap<InboundId, Request>,
    /// Only those that can still be answered. The exchange is part of the key: over HTTP two POSTs may use one id.
    by_wire: BTreeMap<(Origin, RequestId), InboundId>,
    next: u64,
    limit: usize,
}

#[derive(Clone, Debug)]
struct Request {
    origin: Origin,
    wire: RequestId,
    token: Option<ProgressToken>,
    last_progress: Option<f64>,
    /// How many calls of ours were made within it and are open.
    nested: u32,
    /// Whether it was cancelled: nothing more is said about it.
    cancelled: bool,
}

impl Requests {
    pub(super) const fn new(limit: usize) -> Self {
        Self { open: BTreeMap::new(), by_wire: BTreeMap::new(), next: 0, limit }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= self.limit
    }

    /// Whether it can still be answered.
    pub(super) fn is_live(&self, id: InboundId) -> bool {
        self.open.get(&id).is_some_and(|request| !request.cancelled)
    }

    pub(super) fn origin(&self, id: InboundId) -> Origin {
        self.open.get(&id).map_or(Origin::STREAM, |request| request.origin)
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
            self.open.remove(&id);
        }
    }

    /// Forgets everything; returns those that somebody still works on, oldest first.
    pub(super) fn end_all(&mut self) -> Vec<InboundId> {
        self.by_wire.clear();
        let open = core::mem::take(&mut self.open);
        open.into_iter().filter(|(_, request)| !request.cancelled).map(|(id, _)| id).collect()
    }

    fn add(&mut self, origin: Origin, wire: RequestId, token: Option<ProgressToken>) -> InboundId {
        let id = InboundId(self.next);
        self.next += 1;
        self.by_wire.insert((origin, wire.clone()), id);
        self.open.insert(id, Request { origin, wire, token, last_progress: None, nested: 0, cancelled: false });
        id
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
        match self.serve(origin, &id, message) {
            Ok(Some(body)) => {
                let frame = body.finish(&Tail::default(), Some(&id));
                self.transmit(origin, About::Refusal, frame);
            }
            Ok(None) => {}
            Err(error) => self.refuse(origin, Some(&json_text(&id)), &error),
        }
    }

    /// Answers it with a body of the core's own, hands it to the application (`None`), or says why neither.
    fn serve(&mut self, origin: Origin, id: &RequestId, message: Message) -> Result<Option<Body>, ErrorObject> {
        if self.requests.by_wire.contains_key(&(origin, id.clone())) {
            self.misbehaved(Rule::ReusedId, message.text());
            let error = format!("the id {id} belongs to a request that is still in work");
            return Err(ErrorObject::new(ErrorCode::INVALID_REQUEST, error));
        }
        self.admit(&message)?;
        let asked = message.method();
        match asked {
            "ping" => return Ok(Some(Body::empty_result())),
            "initialize" if self.is_server() => return self.on_initialize(&message).map(Some),
            "logging/setLevel" if self.is_server() => return self.on_set_level(&message).map(Some),
            _ => {}
        }
        if self.ending.is_some() {
            return Err(retryable(format!("{asked:.100} came too late: this side is closing the connection")));
        }
        if self.requests.is_full() {
            self.stats.refused += 1;
            return Err(retryable(format!("{asked:.100} was refused: too many requests are in work")));
        }
        let token = token_of(&message)?;
        let Some(version) = self.version() else { return Err(ErrorObject::internal("no revision")) };
        self.on_initialized();
        let meta = Box::new(RequestMeta {
            era: version.era(),
            version,
            peer: self.peer().cloned(),
            wire_id: id.clone(),
            token: token.clone(),
            log_level: self.log_level(),
        });
        let id = self.requests.add(origin, id.clone(), token);
        if !self.is_server() {
            // Our call may wait for exactly this answer, and a person may be giving it.
            self.calls.pause(self.now);
        }
        self.events.push(Event::Request { id, message, meta });
        Ok(None)
    }

    pub(super) fn on_notification(&mut self, message: Message) {
        match message.method() {
            "notifications/cancelled" => self.on_cancelled(&message),
            "notifications/progress" => self.on_progress(message),
            _ if self.lifecycle.phase == Phase::AwaitingInitialize => {
                self.misbehaved(Rule::NotInitialized, message.text());
            }
            "notifications/initialized" if self.is_server() => self.on_initialized(),
            _ => self.events.push(Event::Notification { related: None, message }),
        }
    }

    fn on_cancelled(&mut self, message: &Message) {
        let Ok(CancelledParams { request_id: Some(wire), reason, .. }) = message.params().decode() else {
            return self.misbehaved(Rule::BadNotification(Fault::BadParam("requestId")), message.text());
        };
        // Streams have one exchange. Unknown ids are a race that both sides must tolerate; an answer that has not left yet
        // stays here.
        let key = (Origin::STREAM, wire);
        let Some(id) = self.requests.by_wire.remove(&key) else {
            self.stats.dropped += self.output.drop_reply_to(key.0, &json_text(&key.1)) as u64;
            return;
        };
        let Some(request) = self.requests.open.get_mut(&id) else { return };
        request.cancelled = true;
        let nested = request.nested;
        self.stats.dropped += self.output.drop_within(id) as u64;
        if nested > 0 {
            self.end_nested(id);
        }
        self.events.push(Event::Cancelled { id, reason });
        self.resume_clocks();
    }
}

/// What goes out.
impl Connection {
    pub(super) fn send_progress(&mut self, id: InboundId, progress: Progress) -> Result<(), RespondError> {
        let is_full = self.output.is_full();
        let rules = self.version().map(crate::model::ProtocolVersion::rules);
        let request = self.requests.open.get_mut(&id).filter(|request| !request.cancelled).ok_or(RespondError::Gone)?;
        if !progress.progress.is_finite() || request.last_progress.is_some_and(|last| progress.progress <= last) {
            return Err(RespondError::ProgressNotRising);
        }
        request.last_progress = Some(progress.progress);
        let Some(token) = request.token.clone() else { return Ok(()) };
        let origin = request.origin;
        if is_full {
            self.stats.dropped += 1;
            return Ok(());
        }
        let mut params = ProgressParams::new(token, progress.progress);
        params.total = progress.total.filter(|total| total.is_finite());
        params.message = progress.message.filter(|_| rules.is_some_and(|rules| rules.progress_message));
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
        if self.requests.is_live(id) && !body.method().is_empty() {
            return Err(RespondError::NotAResult);
        }
        if self.requests.is_live(id) && *kind != ResultKind::Complete {
            return Err(RespondError::NotInThisRevision);
        }
        let tail = Tail::meta(meta.as_ref(), None);
        let length = self.requests.open.get(&id).map_or(0, |request| body.finished_len(&tail, Some(&request.wire)));
        if length > self.limits.frame {
            let error = format!("the result of {length} bytes is longer than the limit of {}", self.limits.frame);
            self.send_error(id, &ErrorObject::internal(error))?;
            return Err(RespondError::TooLarge);
        }
        let (origin, wire) = self.take_request(id)?;
        let frame = body.finish(&tail, Some(&wire));
        self.transmit(origin, About::Reply(id), frame);
        Ok(())
    }

    pub(super) fn send_error(&mut self, id: InboundId, error: &ErrorObject) -> Result<(), RespondError> {
        let (origin, wire) = self.take_request(id)?;
        let wire = json_text(&wire);
        let mut frame = refusal(Some(&wire), error);
        if frame.len() > self.limits.frame {
            let short = ErrorObject::new(error.code, "an error whose text is longer than the frame limit");
            frame = refusal(Some(&wire), &short);
        }
        self.transmit(origin, About::Reply(id), frame);
        Ok(())
    }

    /// Frees the slot of a request that is answered now. A cancelled one only gives its slot back.
    fn take_request(&mut self, id: InboundId) -> Result<(Origin, RequestId), RespondError> {
        let request = self.requests.open.remove(&id).ok_or(RespondError::Gone)?;
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
fn retryable(message: alloc::string::String) -> ErrorObject {
    ErrorObject::internal(message).with_data(json!({ "retryable": true }))
}

fn token_of(message: &Message) -> Result<Option<ProgressToken>, ErrorObject> {
    #[derive(Deserialize)]
    struct WithToken {
        #[serde(rename = "progressToken")]
        token: Option<ProgressToken>,
    }
    let Some(meta) = message.meta() else { return Ok(None) };
    match meta.decode::<WithToken>() {
        Ok(WithToken { token: Some(ProgressToken(RequestId::String(text))) }) if text.len() > RequestId::LONGEST => {
            Err(ErrorObject::invalid_params("params._meta.progressToken is too long"))
        }
        Ok(meta) => Ok(meta.token),
        Err(error) => Err(ErrorObject::invalid_params(format!("params._meta: {error}"))),
    }
}

fn json_text(id: &RequestId) -> alloc::string::String {
    serde_json::to_string(id).unwrap_or_else(|_| id.to_string())
}
