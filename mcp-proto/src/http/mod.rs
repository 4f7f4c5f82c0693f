//! MCP over HTTP, without I/O: which requests are let in, what is answered with which status, which stream carries which message.
//!
//! Specification: basic/transports (2025-03-26 to 2025-11-25: Streamable HTTP with sessions; 2026-07-28: without), and HTTP with SSE of
//! 2024-11-05. Nothing here knows an HTTP library beyond the types of the crate `http`: a driver shows heads and bodies of requests, and
//! is told heads, data and ends of responses.
//!
//! A request's way, as a driver leads it:
//!
//! 1. [`Endpoint::screen`] judges its head before its body is read, [`Endpoint::classify`] the message in the body: what it is, and who
//!    serves it. Either may answer with a [`Refusal`].
//! 2. What stands alone gets a [`Connection`](crate::Connection) of its own, and an [`Exchange`] makes the response of what that sends:
//!    JSON or a stream of events, whichever suits what comes first.
//! 3. What belongs to a session is found in [`Sessions`], and served by the connection of that one; its [`Session`] makes the responses and
//!    keeps what may have to be sent again.
//! 4. Both yield [`Output`] for as long as there is any, and say when they want to be woken.

pub mod client;
pub mod headers;
pub mod security;
pub mod sse;

mod accept;
mod endpoint;
mod exchange;
mod ids;
mod legacy_sse;
mod limits;
mod replay;
mod session;
mod sessions;
mod shape;
mod status;
mod stream;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

pub use accept::Preference;
pub use endpoint::{Classified, Endpoint, EndpointConfig, Get, Keeping, LegacyCall, Screened, SsePart};
pub use exchange::Exchange;
pub use ids::{EventId, SessionId};
pub use legacy_sse::{MessagePath, PathFault, SseStream};
pub use limits::HttpLimits;
pub use replay::{EventPlace, Replay, StoreCommand, Stored, Weight};
pub use session::{CancelledPost, NotSuspended, ReplayIn, Session, SessionConfig, StreamKey};
pub use sessions::{Activity, Sessions};
pub use status::{Reason, Refusal};

/// What a response is made of, in this order: a head, data any number of times, the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Comes first, once.
    Head(Head),
    /// A part of the body.
    Data(Bytes),
    /// Comes last, once.
    End,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers that the protocol wants.
    pub headers: HeaderMap,
}

#[cfg(test)]
mod tests;
