//! Traces and metrics: what happens on a connection as `tracing` spans with the names of OpenTelemetry, and the trace that goes
//! along in `_meta`.
//!
//! Whoever installs a `tracing` subscriber sees them; without one they cost next to nothing. This crate installs none and prints
//! nothing.
//!
//! # Spans
//!
//! All have the target `mcp::trace`. Names and attributes are those of the OpenTelemetry [conventions for MCP][conventions], and the
//! fields `otel.name`, `otel.kind`, `otel.status_code` and `otel.status_description` are as `tracing-opentelemetry` reads them.
//!
//! | span | level | from, to | `otel.name` |
//! |---|---|---|---|
//! | `mcp.client` | info | a request of ours is sent, its result is read or its subscription is granted | `tools/call add` |
//! | `mcp.server` | info | a request of the peer is here, its handler has ended | `tools/call add` |
//! | `mcp.client`, `mcp.server` | debug | the same of a notification that does not belong to a request | `notifications/roots/list_changed` |
//! | `mcp.client.session`, `mcp.server.session` | info | a connection begins, it has ended | the same |
//!
//! "Client" and "server" tell who sends: what a server asks of its client is an `mcp.client` span on the server and an `mcp.server`
//! span on the client. The client's handshake is one `mcp.client` span, named after the request that settled it (`initialize` or
//! `server/discover`). What a connection answers by itself (that, `ping`, `logging/setLevel`) is an `mcp.server` span only where
//! there is an [`Interceptor`](crate::Interceptor) to see it.
//!
//! - **Parents.** A span of a request that we send is a child of the span in which it is first polled, or else of the request whose
//!   [`Context`](crate::Context) it was sent through. One of the peer's requests is a child of the span that its `_meta` names, if
//!   there is a [`Propagator`], and otherwise a root; it links to (`follows_from`) its connection's. What a handler logs stands in
//!   its request's span, whatever thread it runs on; for tasks of its own there is [`Context::span`](crate::Context::span).
//! - **Rounds.** Where a server asks instead of answering (2026-07-28), the client's span lives through all rounds. Each round has a
//!   span on the server, and each question one on the client, all children of the client's.
//! - **Outcome.** `error.type` says how it failed, and `otel.status_code` is `ERROR` then: the code of a JSON-RPC error (also in
//!   `rpc.response.status_code`), `tool_error` for a result with `isError`, or one of `timeout`, `cancelled`, `closed` (the
//!   connection was lost), `not_sent`, `invalid_result`, `too_many_rounds`, `too_large`, and for a notification `panic` and `dropped`. For a connection: `broken`, `not_reading`,
//!   `misbehaved`, `overloaded`, `timeout`, `incompatible`, or a code.
//! - **Attributes.** `mcp.method.name`, `mcp.protocol.version`, `jsonrpc.request.id` (of the first round), `gen_ai.tool.name` with
//!   `gen_ai.operation.name`, `gen_ai.prompt.name`, `mcp.resource.uri`, and `network.transport` where it is [known](Transport).
//!   What a peer chooses is cut to a bounded length, and is part of a span's name only if it is offered here, so that nobody can make
//!   up names. Arguments and results are not recorded.
//!
//! # The trace in `_meta`
//!
//! A trace goes on at the peer by the keys `traceparent`, `tracestate` and `baggage` of `_meta` (specification: basic, `_meta`).
//! `tracing` knows nothing of the ids of such a trace, so a [`Propagator`] of a few lines ties the two together; give it to
//! [`Server::propagation`](crate::Server::propagation) and [`ClientBuilder::propagation`](crate::ClientBuilder::propagation). For
//! OpenTelemetry it is, with `TraceContextPropagator` of `opentelemetry_sdk` (`examples/opentelemetry` is a whole program):
//!
//! ```text
//! impl mcp::trace::Propagator for Otel {
//!     fn inject(&self, span: &Span) -> TraceContext {
//!         let mut carrier = HashMap::new();
//!         TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
//!         carrier.into_iter().collect()
//!     }
//!
//!     fn extract(&self, span: &Span, context: &TraceContext) {
//!         let carrier = context.iter().map(|(key, value)| (key.as_str().into(), value.into()));
//!         let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier.collect::<HashMap<String, String>>()));
//!     }
//! }
//! ```
//!
//! Without one, the trace that came with a request is passed on with what its handler sends through its
//! [`Context`](crate::Context); see [`Propagation`]. Keys that the application sets itself stay as they are. A malformed value of the
//! peer is left out, with an event of level debug.
//!
//! # Metrics
//!
//! The metrics of the conventions are events of level trace and of the target `mcp::metrics`, in the form that `MetricsLayer` of
//! `tracing-opentelemetry` takes: `histogram.mcp.client.operation.duration`, `histogram.mcp.server.operation.duration`,
//! `histogram.mcp.client.session.duration` and `histogram.mcp.server.session.duration`, each in seconds, with the attributes that the
//! conventions give them. Installing that layer is all there is to do; where a filter stands before it, let `mcp::metrics=trace`
//! through.
//!
//! What is counted besides is asked for: [`Server::stats`](crate::Server::stats),
//! [`Server::connections`](crate::Server::connections) and [`Client::stats`](crate::Client::stats) are made for observable
//! instruments, which look when they are collected.
//!
//! [conventions]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md

mod about;
mod metrics;
mod operation;
mod session;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use mcp_proto::Meta;
pub use mcp_proto::model::{TraceContext, TraceFault, TraceKey};
use tracing::Span;

pub(crate) use self::about::{Known, is_method};
pub(crate) use self::operation::{Operation, Outcome, Within};
pub(crate) use self::session::Session;
use crate::stream::contain_callback;

/// Where all spans are to be found by filters.
const TARGET: &str = "mcp::trace";

/// Ties spans to the ids of a trace that crosses processes; see the [module](self).
///
/// ```
/// use mcp::trace::{Propagator, TraceContext};
///
/// /// Every message belongs to the one trace that this process was started in.
/// struct OfTheProcess(TraceContext);
///
/// impl Propagator for OfTheProcess {
///     fn inject(&self, _: &tracing::Span) -> TraceContext {
///         self.0.clone()
///     }
///
///     fn extract(&self, _: &tracing::Span, context: &TraceContext) {
///         tracing::debug!(trace = context.trace_id(), "served for");
///     }
/// }
///
/// let trace = std::env::var("TRACEPARENT").map(|parent| ("traceparent", parent));
/// let client = mcp::Client::builder("job", "1.0.0").propagation(OfTheProcess(trace.into_iter().collect()));
/// # drop(client);
/// ```
pub trait Propagator: Send + Sync + 'static {
    /// What tells the receiver of a message that it was sent in `span`. An empty context if there is no trace.
    ///
    /// The span may be disabled, also where there is no other.
    fn inject(&self, span: &Span) -> TraceContext;

    /// Makes what the sender told the parent of `span`, in which its message is handled. The span is new: it was not entered yet.
    fn extract(&self, span: &Span, context: &TraceContext);
}

/// How traces go on from message to message.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Propagation {
    /// Not at all: nothing is written to `_meta` or read from it.
    Off,
    /// What came with a request goes on with what its handler sends through its [`Context`](crate::Context), unchanged. In the
    /// stateless era (2026-07-28) that is its notifications only: a question returns to the client, which knows its own trace.
    #[default]
    PassOn,
    /// As the propagator says; and as with [`PassOn`](Self::PassOn) where it has no trace.
    By(Arc<dyn Propagator>),
}

impl<P: Propagator> From<P> for Propagation {
    fn from(propagator: P) -> Self {
        Self::By(Arc::new(propagator))
    }
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::PassOn => "PassOn",
            Self::By(_) => "By(..)",
        })
    }
}

/// What a connection runs over, for the attribute `network.transport` of its spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Standard input and output, or other pipes.
    Pipe,
    /// TCP, whatever runs over it.
    Tcp,
    /// A Unix socket.
    Unix,
}

impl Transport {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        }
    }
}

/// How one connection takes part in traces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracer {
    pub(crate) propagation: Propagation,
    pub(crate) transport: Option<Transport>,
}

impl Tracer {
    /// Writes the trace into the keys of a message that is sent in a span; `incoming` is what is passed on where there is none.
    pub(crate) fn write<'a>(
        &self,
        span: impl FnOnce() -> Span,
        incoming: impl FnOnce() -> &'a TraceContext,
        meta: &mut Meta,
    ) {
        let context = match &self.propagation {
            Propagation::Off => return,
            Propagation::PassOn => None,
            Propagation::By(propagator) => contain_callback("a propagator", None, || propagator.inject(&span())),
        };
        match context.filter(|context| !context.is_empty()) {
            Some(context) => context.write(meta),
            None => incoming().write(meta),
        }
    }

    fn transport(&self) -> Option<&'static str> {
        self.transport.map(Transport::as_str)
    }
}
