//! A connection as a span.

use mcp_proto::{CloseReason, Timestamp};
use tracing::Span;
use tracing::field::Empty;

use super::operation::{Side, fail};
use super::{TARGET, Tracer, metrics};
use crate::stream::{Role, Shared};

/// One connection, from its begin to its end.
pub(crate) struct Session {
    span: Span,
    side: Side,
    began: Timestamp,
}

impl Session {
    /// Its span is a root that links to the one in which it begins, since it may outlive that by far.
    pub(crate) fn begin(role: Role, tracer: &Tracer, now: Timestamp) -> Self {
        macro_rules! span {
            ($name:literal) => {
                tracing::info_span!(
                    target: TARGET,
                    parent: None,
                    $name,
                    otel.kind = "internal",
                    otel.status_code = Empty,
                    otel.status_description = Empty,
                    mcp.protocol.version = Empty,
                    mcp.session.id = Empty,
                    network.transport = tracer.transport(),
                    error.type = Empty,
                )
            };
        }
        let (side, span) = match role {
            Role::Client => (Side::Sender, span!("mcp.client.session")),
            Role::Server => (Side::Receiver, span!("mcp.server.session")),
        };
        if !span.is_disabled() {
            span.follows_from(Span::current());
        }
        Self { span, side, began: now }
    }

    /// For whoever works for the connection.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// It has ended, as the connection says.
    pub(crate) fn end(&self, shared: &Shared) {
        let (version, reason) =
            shared.with(|state| (state.facts.as_ref().map(|facts| facts.version), state.closed.clone()));
        let version = version.map(|version| version.as_str());
        let error = reason.as_ref().and_then(error_type);
        if let Some(version) = version {
            self.span.record("mcp.protocol.version", version);
        }
        if let (Some(error), Some(reason)) = (&error, reason) {
            fail(&self.span, error, Some(&super::about::text(&reason.to_string())));
        }
        let took = shared.now().saturating_since(self.began);
        metrics::session(self.side, took, version, shared.tracer().transport(), error.as_deref());
    }
}

/// What is not the ordinary end.
fn error_type(reason: &CloseReason) -> Option<String> {
    Some(match reason {
        CloseReason::PeerClosed | CloseReason::LocallyClosed => return None,
        CloseReason::Broken(_) => "broken".to_owned(),
        CloseReason::NotReading => "not_reading".to_owned(),
        CloseReason::Misbehaved => "misbehaved".to_owned(),
        CloseReason::Overloaded => "overloaded".to_owned(),
        CloseReason::HandshakeTimedOut(_) => "timeout".to_owned(),
        CloseReason::HandshakeRefused(error) => error.code.0.to_string(),
        CloseReason::Incompatible(_) => "incompatible".to_owned(),
        CloseReason::HandshakeLost(_) => "lost".to_owned(),
        CloseReason::Forgotten(_) => "forgotten".to_owned(),
        _ => "_OTHER".to_owned(),
    })
}
