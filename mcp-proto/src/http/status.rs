//! Which status goes with what: with a request that is refused before anything serves it, and with an answer.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::security::Forbidden;
use crate::jsonrpc::{ErrorCode, ErrorObject, Fault, Kind, Message, refusal};
use crate::model::{Era, ProtocolVersion, UnreadableId};
use crate::{About, Transmit};

/// Why a request is refused before anything serves it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Its `Host` or `Origin` is not let in: 421, 403.
    Forbidden(Forbidden),
    /// Nothing is at this path: 404.
    NotFound,
    /// The endpoint does not have this method of HTTP: 405.
    Method {
        /// Those that it has, for the header `Allow`.
        allow: &'static str,
    },
    /// The client does not accept what may have to be sent: 406.
    NotAcceptable {
        /// What it must accept.
        wanted: &'static str,
    },
    /// The body is not said to be JSON in UTF-8: 415.
    ContentType {
        /// What it is said to be; `None` if nothing is said, or several things.
        found: Option<String>,
    },
    /// The body is encoded, compressed for instance: 415.
    ContentEncoding {
        /// How.
        found: String,
    },
    /// The body is longer than the limit: 413.
    BodyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body did not come in time: 408.
    BodyTooSlow,
    /// The body broke off, or is not framed as HTTP wants: 400.
    BodyBroken,
    /// A header stands there twice, or cannot be read: 400.
    BadHeader {
        /// Its name.
        name: &'static str,
    },
    /// The body is no message: 400.
    Malformed(Fault),
    /// The body is an array where the revision has no batches: 400.
    Batch,
    /// The body is an answer where nobody has asked: 400.
    Response,
    /// The header names a revision that the server does not serve here: 400.
    Version {
        /// What it names.
        named: String,
        /// What is served.
        served: Vec<ProtocolVersion>,
    },
    /// The header that names the revision is missing, and what is assumed then is not served: 400.
    VersionMissing {
        /// What is served.
        served: Vec<ProtocolVersion>,
    },
    /// The header of an `initialize` names another revision than its body: 400.
    VersionMismatch {
        /// The header's.
        header: ProtocolVersion,
        /// The body's.
        body: String,
    },
    /// The request lacks the id of its session: 400.
    SessionMissing,
    /// There is no such session (any more), or it is somebody else's: 404.
    SessionUnknown,
    /// The session's stream is open already: 409.
    StreamTaken,
    /// Nothing comes after the event after which a stream shall go on: 204, which tells a client that there is nothing to come back for.
    StreamOver,
    /// The event after which a stream shall go on is not known (any more): 400.
    EventUnknown,
    /// As many requests are in work as there may be: 503.
    TooManyExchanges,
    /// All connections together hold too much: 503.
    NoRoom,
    /// The server is ending: 503.
    ShuttingDown,
    /// The server has failed: 500.
    Failed,
    /// What the protocol answers with an error whose status it prescribes.
    Rpc(ErrorObject),
}

impl Reason {
    /// The status of a response that says so.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(forbidden) => forbidden.status(),
            Self::NotFound | Self::SessionUnknown => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable { .. } => StatusCode::NOT_ACCEPTABLE,
            Self::ContentType { .. } | Self::ContentEncoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge { .. } | Self::Malformed(Fault::TooLong(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BadHeader { .. }
            | Self::BodyBroken
            | Self::Malformed(_)
            | Self::Batch
            | Self::Response
            | Self::Version { .. }
            | Self::VersionMissing { .. }
            | Self::VersionMismatch { .. }
            | Self::SessionMissing
            | Self::EventUnknown => StatusCode::BAD_REQUEST,
            Self::StreamTaken => StatusCode::CONFLICT,
            Self::StreamOver => StatusCode::NO_CONTENT,
            Self::TooManyExchanges | Self::NoRoom | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            // Whatever refuses a request as a whole is an error of the exchange, also where the table says nothing.
            Self::Rpc(error) => prescribed(error.code).unwrap_or(StatusCode::BAD_REQUEST),
        }
    }

    fn error(self) -> ErrorObject {
        let text = self.to_string();
        match self {
            Self::Rpc(error) => error,
            Self::Malformed(fault) => ErrorObject::new(fault.code(), text),
            Self::TooManyExchanges | Self::NoRoom | Self::ShuttingDown => {
                ErrorObject::internal(text).with_data(json!({ "retryable": true }))
            }
            Self::Failed => ErrorObject::internal(text),
            _ => ErrorObject::new(ErrorCode::INVALID_REQUEST, text),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NotFound => f.write_str("nothing is at this path"),
            Self::Method { allow } => write!(f, "the methods of this endpoint are {allow}"),
            Self::NotAcceptable { wanted } => write!(f, "the header Accept must allow {wanted}"),
            Self::ContentType { found: Some(found) } => {
                write!(f, "the header Content-Type must be application/json (in UTF-8), not {found:.100}")
            }
            Self::ContentType { found: None } => f.write_str("the header Content-Type must be application/json, once"),
            Self::ContentEncoding { found } => {
                write!(f, "the body is encoded as {found:.100}, which is not decoded here: send it as it is")
            }
            Self::BodyTooLarge { limit } => write!(f, "the body is longer than the limit of {limit} bytes"),
            Self::BodyTooSlow => f.write_str("the body did not come in time"),
            Self::BodyBroken => f.write_str("the body broke off"),
            Self::BadHeader { name } => write!(f, "the header {name} stands there twice, or cannot be read"),
            Self::Malformed(fault) => fault.fmt(f),
            Self::Batch => f.write_str("the body is an array: batches exist only in 2025-03-26"),
            Self::Response => f.write_str("the body is an answer, and nothing was asked that it could answer"),
            Self::Version { named, served } => {
                write!(f, "the header MCP-Protocol-Version names {named:.100}; served are {}", listed(served))
            }
            Self::VersionMissing { served } => {
                write!(f, "the header MCP-Protocol-Version is missing; served are {}", listed(served))
            }
            Self::VersionMismatch { header, body } => {
                write!(f, "the header MCP-Protocol-Version names {header}, and params.protocolVersion {body:.100}")
            }
            Self::SessionMissing => f.write_str("the header Mcp-Session-Id is missing; initialize begins a session"),
            Self::SessionUnknown => f.write_str("there is no such session; initialize begins one"),
            Self::StreamTaken => f.write_str("the session has a stream that is open already"),
            Self::StreamOver => f.write_str("nothing comes after the event that the header Last-Event-ID names"),
            Self::EventUnknown => f.write_str("the header Last-Event-ID names no event that is known here"),
            Self::TooManyExchanges => f.write_str("too many requests are in work; try again later"),
            Self::NoRoom => f.write_str("all connections together hold too much; try again later"),
            Self::ShuttingDown => f.write_str("the server is ending; try again later"),
            Self::Failed => f.write_str("the server has failed"),
            Self::Rpc(error) => f.write_str(&error.message),
        }
    }
}

fn listed(versions: &[ProtocolVersion]) -> String {
    versions.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(", ")
}

/// A request that is refused before anything serves it: what is answered, and with which status and headers.
///
/// The body is a JSON-RPC error with the id of the request, where it has one that was read.
///
/// ```
/// use mcp_proto::http::{Reason, Refusal};
/// use mcp_proto::{Limits, Message};
///
/// let request = Message::scan(br#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, &Limits::default());
/// let response = Refusal::new(Reason::SessionUnknown).of(&request).into_response();
/// assert_eq!(response.status(), 404);
/// assert!(String::from_utf8_lossy(response.body()).contains(r#""id":7"#));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Refusal(Box<Refused>);

#[derive(Clone, Debug)]
struct Refused {
    reason: Reason,
    /// JSON text.
    id: Option<Box<str>>,
    unreadable: UnreadableId,
    retry_after: Duration,
}

impl Refusal {
    /// For this reason, of a request whose id is not known.
    pub fn new(reason: Reason) -> Self {
        let (unreadable, retry_after) = (UnreadableId::Null, Duration::from_secs(1));
        Self(Box::new(Refused { reason, id: None, unreadable, retry_after }))
    }

    /// Of this message: its id goes into the error. Notifications have none, and those of answers are our own.
    pub fn of(mut self, message: &Message) -> Self {
        self.0.id = echo_of(message);
        if self.0.id.is_none() && is_silent(message) {
            // Nobody waits for an answer with an id, not even null.
            self.0.unreadable = UnreadableId::Omitted;
        }
        self
    }

    /// How an id is written that is not known: as in this revision.
    pub fn written_in(mut self, version: ProtocolVersion) -> Self {
        self.0.unreadable = version.rules().unreadable_id;
        self
    }

    /// How long the client is asked to wait, where it may try again. 1 s unless set.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.reason.status()
    }

    /// The response that says so.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let status = self.status();
        let Refused { reason, id, unreadable, retry_after } = *self.0;
        if status == StatusCode::NO_CONTENT {
            let mut response = Response::default();
            *response.status_mut() = status;
            return response;
        }
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match &reason {
            Reason::Method { allow } => drop(headers.insert(ALLOW, HeaderValue::from_static(allow))),
            // So a client knows that the encoding is the matter, and not the type (RFC 9110, 15.5.16).
            Reason::ContentEncoding { .. } => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, seconds(retry_after));
            }
            _ => {}
        }
        let unreadable = (unreadable == UnreadableId::Null).then_some("null");
        let body = refusal(id.as_deref().or(unreadable), &reason.error());
        let mut response = Response::new(Bytes::from(body));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.reason, self.status())
    }
}

impl core::error::Error for Refusal {}

/// Whether nobody waits for an answer to this.
fn is_silent(message: &Message) -> bool {
    match message.kind() {
        Kind::Request => false,
        Kind::Malformed => !message.may_be_answered(),
        _ => true,
    }
}

/// The id of a message as JSON text, if there is one to be echoed.
pub(super) fn echo_of(message: &Message) -> Option<Box<str>> {
    if is_silent(message) {
        return None;
    }
    let of_request = || message.id().and_then(|id| serde_json::to_string(id).ok()).map(String::into_boxed_str);
    message.echo().map(Into::into).or_else(of_request)
}

/// The statuses that the modern era prescribes for errors, and those that follow from them
/// (specification: basic/transports/streamable-http, 2026-07-28).
const PRESCRIBED: [(ErrorCode, StatusCode); 7] = [
    (ErrorCode::PARSE_ERROR, StatusCode::BAD_REQUEST),
    (ErrorCode::INVALID_REQUEST, StatusCode::BAD_REQUEST),
    (ErrorCode::INVALID_PARAMS, StatusCode::BAD_REQUEST),
    (ErrorCode::HEADER_MISMATCH, StatusCode::BAD_REQUEST),
    (ErrorCode::MISSING_CLIENT_CAPABILITY, StatusCode::BAD_REQUEST),
    (ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, StatusCode::BAD_REQUEST),
    (ErrorCode::METHOD_NOT_FOUND, StatusCode::NOT_FOUND),
];

fn prescribed(code: ErrorCode) -> Option<StatusCode> {
    PRESCRIBED.iter().find(|(known, _)| *known == code).map(|(_, status)| *status)
}

/// The status of an answer that is the whole body of its response. Once a stream is committed, errors are events like others.
///
/// In the modern era it follows from the error. In the legacy era errors ride on 200, but what never became a request is 400.
pub(super) fn of_answer(era: Era, answer: &Transmit) -> StatusCode {
    let Some(code) = answer.error else { return StatusCode::OK };
    match era {
        Era::Modern => match prescribed(code) {
            Some(status) => status,
            None if code == ErrorCode::INTERNAL_ERROR && may_try_again(&answer.frame) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            None => StatusCode::OK,
        },
        Era::Legacy => {
            let is_no_request = matches!(code, ErrorCode::PARSE_ERROR | ErrorCode::INVALID_REQUEST);
            if is_no_request && answer.about == About::Refusal { StatusCode::BAD_REQUEST } else { StatusCode::OK }
        }
    }
}

/// Whether an error says that nothing was begun, so that the request may be sent again.
fn may_try_again(frame: &[u8]) -> bool {
    let message = Message::scan(frame, &crate::Limits::default());
    let error = message.error().and_then(|error| error.decode::<ErrorObject>().ok());
    error.and_then(|error| error.data).is_some_and(|data| data["retryable"] == json!(true))
}

/// The value of `Retry-After`: whole seconds, at least one.
pub(super) fn seconds(wait: Duration) -> HeaderValue {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(whole.max(1))
}
