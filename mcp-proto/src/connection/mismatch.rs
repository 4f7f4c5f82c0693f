//! What is said when the two sides have no revision in common, or cannot tell.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Connection;
use super::error::{CloseReason, RequestError, TimedOut};
use crate::jsonrpc::{ErrorObject, Message};
use crate::model::{InitializeParams, meta_key};

impl Connection {
    pub(super) fn incompatible(&self, why: &str) -> CloseReason {
        let ours = self.versions().iter().map(|version| version.as_str()).collect::<Vec<_>>();
        CloseReason::Incompatible(format!("{why}; we speak {}", ours.join(", ")))
    }

    /// The error for a request without a revision where there is only the modern era.
    pub(super) fn not_modern(&self, message: &Message) -> ErrorObject {
        if message.method() != "initialize" {
            return ErrorObject::invalid_params(format!("_meta lacks {:?}", meta_key::PROTOCOL_VERSION));
        }
        let asked = message.params().decode::<InitializeParams>().map(|params| params.protocol_version);
        self.unsupported(&asked.unwrap_or_default())
    }

    pub(super) fn unsupported(&self, asked: &str) -> ErrorObject {
        let ours = self.versions().iter().map(ToString::to_string).collect::<Vec<_>>();
        ErrorObject::unsupported_protocol_version(ours, asked.chars().take(100).collect::<String>())
    }
}

pub(super) fn handshake_failed(method: &str, error: RequestError) -> CloseReason {
    match error {
        RequestError::Rpc(error) => CloseReason::HandshakeRefused(error),
        RequestError::TimedOut(TimedOut::Idle(after) | TimedOut::Cap(after)) => CloseReason::HandshakeTimedOut(after),
        RequestError::Closed(reason) => reason,
        RequestError::Lost(lost) => CloseReason::HandshakeLost(lost),
        error => CloseReason::Incompatible(format!("the answer to {method} cannot be read: {error}")),
    }
}
