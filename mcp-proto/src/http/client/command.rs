//! What a client over HTTP wants done, and what it is told of how that went.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use http::{StatusCode, Uri};

use super::tools::InvalidTool;
use crate::connection::Lost;

/// One request and its response. A local serial: never on the wire, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(super) u64);

/// What a client over HTTP wants done.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub enum Command {
    /// Send this, at once and beside everything else that is under way: an answer may depend on it. Redirections are not to be followed,
    /// and bodies not to be decoded.
    Send {
        /// How the inputs about it name it.
        exchange: ExchangeId,
        /// The request, with all headers that the protocol wants; secrets among them are marked as sensitive.
        request: http::Request<Bytes>,
    },
    /// End this exchange, wherever it stands. Nothing has to be told of it any more.
    Abort(ExchangeId),
    /// Get credentials, and hand them to [`handle_credentials`](super::HttpClient::handle_credentials). Comes once until then, however
    /// many requests wait for it.
    Authorize(Challenge),
}

/// That the server wants to know who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// 401, or 403 for credentials that are not enough.
    pub status: StatusCode,
    /// The values of `WWW-Authenticate`, as far as they are text.
    pub challenges: Vec<String>,
    /// What was asked for.
    pub url: Uri,
}

/// How an exchange has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The request has not left, or only in part: the server cannot have acted on it. Why, for a person.
    NotSent(String),
    /// It has left; nobody knows what the server did with it. Why, for a person.
    Broken(String),
}

impl Failure {
    /// Why, for a person.
    pub fn cause(&self) -> &str {
        match self {
            Self::NotSent(cause) | Self::Broken(cause) => cause,
        }
    }
}

/// Something odd that ends nothing, for logs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Remark {
    /// A tool that breaks a rule of the specification (server/tools, x-mcp-header) was left out of the list.
    InvalidTool(InvalidTool),
    /// The server did not take a notification, or an answer to a request of its own.
    Refused(Lost),
    /// A response came that answers another request than the one whose exchange it came by; or a second one. It was dropped.
    Misplaced,
    /// An event that is longer than messages may be.
    TooLong,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidTool(InvalidTool { name, fault }) => write!(f, "the tool {name:?} is left out: {fault}"),
            Self::Refused(lost) => write!(f, "the server did not take a message that needs no answer: {lost}"),
            Self::Misplaced => f.write_str("a response to another request was dropped"),
            Self::TooLong => f.write_str("an event was longer than messages may be"),
        }
    }
}
