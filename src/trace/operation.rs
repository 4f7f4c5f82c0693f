//! A request or notification as a span: opened where it is sent or arrives, with how it ended written into it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcp_proto::{
    Body, ClientConfig, CloseReason, Era, ErrorObject, Message, Meta, ProtocolVersion, RequestError, Timestamp,
};
use serde::Deserialize;
use tracing::field::Empty;
use tracing::span::Id;
use tracing::{Level, Span};

use super::about::{self, About, Known};
use super::{Propagation, TARGET, TraceContext, Tracer, metrics};
use crate::Error;
use crate::stream::{Answer, Reply, Shared, contain_callback};

/// One request or notification. Nothing at all, and free, while nobody looks.
///
/// Cloning and dropping one runs no code of a subscriber unless it is the last; so a clone may be made under a connection's lock.
#[derive(Clone, Default)]
pub(crate) struct Operation(Option<Arc<Inner>>);

struct Inner {
    span: Span,
    side: Side,
    about: About,
    began: Timestamp,
    is_over: AtomicBool,
}

/// On which side of a message this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Sender,
    Receiver,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Notification,
}

/// How an operation has ended.
pub(crate) enum Outcome<'a> {
    Done,
    /// The result of a tool says that the tool has failed.
    ToolFailed,
    /// With an error on the wire.
    Rpc(&'a ErrorObject),
    /// Nobody wants to know any more.
    Cancelled,
    /// In a way that never came over the wire: its name, which is one of few, and what there is to say about it.
    Failed(&'static str, String),
}

/// The request during whose handling something is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Within {
    pub(crate) operation: Operation,
    /// What came with it.
    pub(crate) trace: TraceContext,
}

/// Where nobody looks.
static NONE: Span = Span::none();
static NOTHING: TraceContext = TraceContext::new();

/// What is sent.
impl Operation {
    /// Begins a request of ours, and writes its trace into the keys that go with it.
    pub(crate) fn request(shared: &Shared, body: &Body, within: Option<&Within>, meta: &mut Meta) -> Self {
        let began = shared.now();
        Self::send(shared.tracer(), Kind::Request, began, within, meta, || About::sent(body).on_connection(shared))
    }

    /// The same for a notification that does not belong to a request.
    pub(crate) fn notification(shared: &Shared, body: &Body, meta: &mut Meta) -> Self {
        let began = shared.now();
        Self::send(shared.tracer(), Kind::Notification, began, None, meta, || About::sent(body).on_connection(shared))
    }

    /// The same for the handshake, which is named by its first request until it is known how it ends.
    pub(crate) fn handshake(now: Timestamp, tracer: &Tracer, config: &mut Arc<ClientConfig>) -> Self {
        let probes = config.versions.iter().any(|version| version.era() == Era::Modern);
        let method = first_request(if probes { Era::Modern } else { Era::Legacy });
        let about = || About::method(method).on(None, tracer.transport());
        let mut meta = config.handshake_meta.clone();
        let operation = Self::send(tracer, Kind::Request, now, None, &mut meta, about);
        if meta != config.handshake_meta {
            Arc::make_mut(config).handshake_meta = meta;
        }
        operation
    }

    fn send(
        tracer: &Tracer,
        kind: Kind,
        now: Timestamp,
        within: Option<&Within>,
        meta: &mut Meta,
        about: impl FnOnce() -> About,
    ) -> Self {
        let around = || within.map_or_else(Span::current, |within| within.operation.around());
        let operation = Self::begin(Side::Sender, kind, now, about, || around().id());
        let span = || if operation.span().is_disabled() { around() } else { operation.span().clone() };
        tracer.write(span, || within.map_or(&NOTHING, |within| &within.trace), meta);
        operation
    }

    /// What it is called on the wire.
    pub(crate) fn has_id(&self, id: impl fmt::Display) {
        if let Some(inner) = &self.0 {
            inner.span.record("jsonrpc.request.id", id.to_string());
        }
    }

    /// The handshake has ended, with a revision if it went well.
    pub(crate) fn shaken(mut self, now: Timestamp, version: Result<ProtocolVersion, &Error>) {
        let version = match version {
            Ok(version) => version,
            Err(error) => return self.end(now, &Outcome::of(error)),
        };
        if let Some(inner) = self.0.as_mut().and_then(Arc::get_mut) {
            let method = first_request(version.era());
            if inner.about.method != method {
                method.clone_into(&mut inner.about.method);
                inner.span.record("otel.name", method);
                inner.span.record("mcp.method.name", method);
            }
            inner.about.version = Some(version);
            inner.span.record("mcp.protocol.version", version.as_str());
        }
        self.end(now, &Outcome::Done);
    }
}

/// What has arrived.
impl Operation {
    /// Begins to serve a request of the peer.
    pub(crate) fn serve(
        shared: &Shared,
        request: &Message,
        version: ProtocolVersion,
        known: impl FnOnce() -> Known,
    ) -> Self {
        let tracer = shared.tracer();
        let about = || About::received(request, known()).on(Some(version), tracer.transport());
        Self::receive(shared, Kind::Request, request, about)
    }

    /// Begins to handle a notification of the peer.
    pub(crate) fn hear(shared: &Shared, notification: &Message, known: impl FnOnce() -> Known) -> Self {
        let about = || About::received(notification, known()).on_connection(shared);
        Self::receive(shared, Kind::Notification, notification, about)
    }

    /// Begins to answer a question that came instead of an answer to `call`.
    pub(crate) fn question(shared: &Shared, question: &Message, known: impl FnOnce() -> Known, call: &Self) -> Self {
        let about = || About::received(question, known()).on_connection(shared);
        Self::begin(Side::Receiver, Kind::Request, shared.now(), about, || call.span().id())
    }

    fn receive(shared: &Shared, kind: Kind, message: &Message, about: impl FnOnce() -> About) -> Self {
        let operation = Self::begin(Side::Receiver, kind, shared.now(), about, || None);
        let span = operation.span();
        if span.is_disabled() {
            return operation;
        }
        // The connection, which the message's own trace knows nothing of.
        span.follows_from(Span::current());
        if let Propagation::By(propagator) = &shared.tracer().propagation {
            let (trace, faults) = TraceContext::of(message);
            for fault in faults {
                tracing::debug!(parent: span, %fault, "a part of a trace was left out");
            }
            if !trace.is_empty() {
                // A panic is logged; the span is a root then.
                let _ = contain_callback("a propagator", None, || propagator.extract(span, &trace));
            }
        }
        operation
    }
}

/// From its begin to its end.
impl Operation {
    fn begin(
        side: Side,
        kind: Kind,
        now: Timestamp,
        about: impl FnOnce() -> About,
        parent: impl FnOnce() -> Option<Id>,
    ) -> Self {
        // Made of what may be large, and only if somebody wants to know.
        let (made, mut make) = (OnceCell::new(), Some(about));
        let mut about = || made.get_or_init(|| make.take().map(|make| make()).unwrap_or_default());
        let span = open(side, kind, parent, &mut about);
        if span.is_disabled() && !metrics::are_wanted(side) {
            return Self(None);
        }
        about();
        let about = made.into_inner().unwrap_or_default();
        Self(Some(Arc::new(Inner { span, side, about, began: now, is_over: AtomicBool::new(false) })))
    }

    /// Its span, which is disabled if nobody looks.
    pub(crate) fn span(&self) -> &Span {
        self.0.as_ref().map_or(&NONE, |inner| &inner.span)
    }

    /// The span in which something is sent during it: the current one, or from a task of its handler's that has none its own.
    pub(crate) fn around(&self) -> Span {
        let current = Span::current();
        if current.is_none() { self.span().clone() } else { current }
    }

    /// It has ended; only the first time counts.
    pub(crate) fn end(&self, now: Timestamp, outcome: &Outcome<'_>) {
        if let Some(inner) = &self.0 {
            inner.end(Some(now), outcome);
        }
    }

    /// A notification was handled; `None` if that panicked.
    pub(crate) fn heard(&self, now: Timestamp, heard: Option<()>) {
        self.end(
            now,
            &heard.map_or_else(|| Outcome::Failed("panic", "the callback panicked".into()), |()| Outcome::Done),
        );
    }

    /// Its handler has an answer.
    pub(crate) fn replied(&self, now: Timestamp, reply: &Reply) {
        let Some(inner) = &self.0 else { return };
        let outcome = match reply {
            Err(error) => Outcome::Rpc(error),
            Ok(Answer::Result { body, .. }) if inner.about.is_tool_call() => {
                of_tool(&body.result_json().unwrap_or_default())
            }
            Ok(_) => Outcome::Done,
        };
        inner.end(Some(now), &outcome);
    }

    /// The peer has answered with a result.
    pub(crate) fn answered(&self, now: Timestamp, answer: &Message) {
        let Some(inner) = &self.0 else { return };
        let outcome = match answer.result() {
            Some(result) if inner.about.is_tool_call() => of_tool(result.as_str()),
            _ => Outcome::Done,
        };
        inner.end(Some(now), &outcome);
    }
}

impl Inner {
    fn end(&self, now: Option<Timestamp>, outcome: &Outcome<'_>) {
        if self.is_over.swap(true, Ordering::Relaxed) {
            return;
        }
        let (error, code, text): (Option<Cow<'_, str>>, _, _) = match outcome {
            Outcome::Done => (None, None, None),
            Outcome::ToolFailed => (Some("tool_error".into()), None, None),
            Outcome::Cancelled => (Some("cancelled".into()), None, None),
            Outcome::Rpc(error) => {
                // As it stands on the wire.
                let sent = self.about.version.filter(|_| self.side == Side::Receiver);
                let code = sent.map_or(error.code, |version| version.error_code(error.code)).0.to_string();
                (Some(code.clone().into()), Some(code), Some(about::text(&error.message)))
            }
            Outcome::Failed(name, text) => (Some((*name).into()), None, Some(about::text(text))),
        };
        if let Some(error) = error.as_deref() {
            fail(&self.span, error, text.as_deref());
        }
        if let Some(code) = code.as_deref() {
            self.span.record("rpc.response.status_code", code);
        }
        if let Some(now) = now {
            let took = now.saturating_since(self.began);
            metrics::operation(self.side, &self.about, took, error.as_deref(), code.as_deref());
        }
    }
}

/// What ends without anybody having seen how was given up.
impl Drop for Inner {
    fn drop(&mut self) {
        self.end(None, &Outcome::Cancelled);
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(self.span()).finish()
    }
}

impl Outcome<'_> {
    /// How a request of ours has failed.
    pub(crate) fn of(error: &Error) -> Outcome<'_> {
        let name = match error {
            Error::Request { error: RequestError::Rpc(error), .. } => return Outcome::Rpc(error),
            Error::Request { error: RequestError::Cancelled, .. } => return Outcome::Cancelled,
            Error::Request { error: RequestError::TimedOut(_), .. } => "timeout",
            Error::Request { error: RequestError::InvalidResult(_), .. } | Error::Result { .. } => "invalid_result",
            Error::Request { error: RequestError::TooManyRounds(_), .. } => "too_many_rounds",
            Error::Request { error: RequestError::TooLarge, .. } => "too_large",
            Error::Request { error: RequestError::Lost(_), .. } | Error::Closed(CloseReason::HandshakeLost(_)) => {
                "lost"
            }
            Error::Closed(CloseReason::HandshakeRefused(error)) => return Outcome::Rpc(error),
            Error::Closed(CloseReason::HandshakeTimedOut(_)) => "timeout",
            Error::Closed(CloseReason::Incompatible(_)) => "incompatible",
            Error::Request { error: RequestError::Closed(_), .. }
            | Error::Closed(_)
            | Error::DiedOfProbe
            | Error::ServerEnded(_) => "closed",
            Error::Send { .. } => "not_sent",
            _ => "_OTHER",
        };
        Outcome::Failed(name, error.to_string())
    }
}

impl About {
    /// With what is known about a connection.
    fn on_connection(self, shared: &Shared) -> Self {
        let version = shared.with(|state| state.facts.as_ref().map(|facts| facts.version));
        self.on(version, shared.tracer().transport())
    }
}

/// What a client asks first in an era.
const fn first_request(era: Era) -> &'static str {
    match era {
        Era::Legacy => "initialize",
        Era::Modern => "server/discover",
    }
}

/// Writes a failure into a span.
pub(super) fn fail(span: &Span, error: &str, text: Option<&str>) {
    span.record("error.type", error);
    span.record("otel.status_code", "ERROR");
    if let Some(text) = text {
        span.record("otel.status_description", text);
    }
}

/// Whether the result of a tool says that it has failed.
fn of_tool(result: &str) -> Outcome<'static> {
    #[derive(Deserialize)]
    struct Result {
        #[serde(rename = "isError")]
        is_error: Option<bool>,
    }
    let failed = serde_json::from_str::<Result>(result).is_ok_and(|result| result.is_error == Some(true));
    if failed { Outcome::ToolFailed } else { Outcome::Done }
}

/// Opens the span. Neither the parent nor what it is about is asked for if nobody looks.
fn open<'a>(
    side: Side,
    kind: Kind,
    parent: impl FnOnce() -> Option<Id>,
    about: &mut impl FnMut() -> &'a About,
) -> Span {
    macro_rules! span {
        ($level:ident, $name:literal, $kind:literal) => {
            tracing::span!(
                target: TARGET,
                parent: parent(),
                Level::$level,
                $name,
                otel.name = about().span_name().as_str(),
                otel.kind = $kind,
                otel.status_code = Empty,
                otel.status_description = Empty,
                mcp.method.name = about().method.as_str(),
                mcp.protocol.version = about().revision(),
                mcp.session.id = Empty,
                mcp.resource.uri = about().uri.as_deref(),
                gen_ai.operation.name = about().tool.is_some().then_some("execute_tool"),
                gen_ai.tool.name = about().tool.as_deref(),
                gen_ai.prompt.name = about().prompt.as_deref(),
                jsonrpc.request.id = about().id.as_deref(),
                network.transport = about().transport,
                error.type = Empty,
                rpc.response.status_code = Empty,
            )
        };
    }
    match (side, kind) {
        (Side::Sender, Kind::Request) => span!(INFO, "mcp.client", "client"),
        (Side::Sender, Kind::Notification) => span!(DEBUG, "mcp.client", "client"),
        (Side::Receiver, Kind::Request) => span!(INFO, "mcp.server", "server"),
        (Side::Receiver, Kind::Notification) => span!(DEBUG, "mcp.server", "server"),
    }
}
