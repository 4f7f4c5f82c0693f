//! What goes in and out of a connection besides bytes: handles, options, events and transmits.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{CloseReason, RequestError, Rule};
use crate::jsonrpc::{Body, ErrorCode, Message, ProgressToken, RequestId};
use crate::model::{
    ClientCapabilities, Era, Implementation, LoggingLevel, Progress, ProtocolVersion, ServerCapabilities,
};

/// A request of ours. A local serial: never on the wire, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutboundId(pub(super) u64);

/// A request of the peer. A local serial: never on the wire, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InboundId(pub(super) u64);

/// The exchange by which an input came, and by which its answer leaves. A stream has one; over HTTP each POST is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin(u64);

impl Origin {
    /// The one exchange of a stream transport.
    pub const STREAM: Self = Self(0);

    /// The exchange that a driver numbers so; 0 is the stream.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Whether there is a way to the peer for what belongs to none of its requests. On a stream there always is; over HTTP it is
/// the stream that a client opens with GET. See [`handle_channel`](super::Connection::handle_channel).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// There is.
    #[default]
    Open,
    /// There is none now.
    Closed,
}

/// How a server connection begins.
///
/// A server that keeps no sessions makes one for each exchange, which costs next to nothing:
///
/// ```
/// use std::sync::Arc;
/// use mcp_proto::model::Implementation;
/// use mcp_proto::{Connection, Limits, Message, Origin, ProtocolVersion, ServerConfig, Start, Timestamp};
///
/// let mut config = ServerConfig::new(Implementation::new("echo", "1.0.0"));
/// config.versions = vec![ProtocolVersion::V2026_07_28];
/// let (start, now) = (Start::Assume(ProtocolVersion::V2026_07_28), Timestamp::EPOCH);
/// let mut exchange = Connection::server(Arc::new(config), start, now);
///
/// let request = br#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{
///     "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
/// exchange.handle_message(now, Origin::new(1), Message::scan(request, &Limits::default()));
/// let answer = exchange.poll_transmit().expect("the core answers this itself");
/// assert_eq!(answer.origin, Origin::new(1));
/// assert!(String::from_utf8_lossy(&answer.frame).contains("supportedVersions"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the client's `initialize`.
    Handshake,
    /// Without: the revision is known from elsewhere, as on a server that keeps no sessions. Of the legacy era, such a server
    /// cannot ask its client anything: the answer would reach another connection, if any.
    Assume(ProtocolVersion),
}

/// How long a request of ours may take. On a client both clocks stand still while it owes the server an answer to a request
/// of the server's own, since the call may wait for exactly that; but for an hour at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deadlines {
    /// An ordinary call.
    Call {
        /// How long nothing may be heard of it. Progress winds it up again.
        idle: Duration,
        /// How long it may take in all, progress or not.
        cap: Duration,
    },
    /// A call that stays open on purpose.
    Stream {
        /// How long until the first sign of life; after that there is no deadline.
        first: Duration,
    },
}

impl Default for Deadlines {
    /// 60 s of silence, 10 min in all.
    fn default() -> Self {
        Self::Call { idle: Duration::from_secs(60), cap: Duration::from_secs(600) }
    }
}

impl Deadlines {
    /// For a question that a person answers: 1 h.
    pub const PERSON: Self = Self::Call { idle: Duration::from_secs(3600), cap: Duration::from_secs(3600) };
}

/// A number that travels with a message through this side and never on the wire, so that a driver and an application can tie
/// what they know to a message: the HTTP request that it came by, the headers that it shall leave with.
///
/// Goes in with [`Message::attach`] and [`CallOptions::attachment`]; comes out with [`Message::attachment`] and
/// [`Transmit::attachment`]. What is sent about a request of the peer is told apart by its [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment(pub u64);

/// The user's keys of a message's `_meta`. The core adds its own, which win.
pub type Meta = Option<Map<String, Value>>;

/// What goes with a request of ours.
///
/// ```
/// use std::time::Duration;
/// use mcp_proto::{CallOptions, Deadlines, Wanted};
///
/// let mut options = CallOptions::default();
/// options.deadlines = Deadlines::Call { idle: Duration::from_secs(5), cap: Duration::from_secs(30) };
/// options.progress = Wanted::Yes;
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long it may take.
    pub deadlines: Deadlines,
    /// Whether progress is wanted; without it the peer is given no token, so that it does no work for nobody.
    pub progress: Wanted,
    /// The peer's request during whose handling this is asked. It ends with that one.
    pub within: Option<InboundId>,
    /// The user's keys of `_meta`.
    #[serde(with = "super::freeze::text")]
    pub meta: Meta,
    /// From which severity on log messages about this request are wanted; modern era only, where nothing is logged without.
    pub log_level: Option<LoggingLevel>,
    /// What happens when the server answers with a question.
    pub rounds: Rounds,
    /// For the transport: comes out with the frame.
    #[serde(skip)]
    pub attachment: Option<Attachment>,
}

/// What happens when a server of the modern era answers a request with a question (specification: multi round-trip
/// requests).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rounds {
    /// The application is asked ([`Event::InputRequired`]), and the request is sent again with its answers.
    #[default]
    Drive,
    /// The question is the response ([`ResultKind::InputRequired`]): for gateways, which pass it on.
    Return,
}

/// What a server of the modern era needs to know before it can answer; see
/// [`require_input`](super::Connection::require_input).
///
/// ```
/// use mcp_proto::{Body, InputRequired};
///
/// let mut input = InputRequired::default();
/// input.requests.insert("roots".into(), Body::empty("roots/list")?);
/// input.state = Some("sealed".into());
/// # Ok::<(), mcp_proto::EncodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct InputRequired {
    /// Requests for the client, each under a key of the server's choice.
    pub requests: BTreeMap<String, Body>,
    /// What the client sends back unchanged. It comes from the client's hands then: seal what matters.
    pub state: Option<String>,
}

/// Something that clients may have subscribed to has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// The resource of this URI.
    Resource(String),
}

impl Change {
    /// The change that a notification tells of, if it does.
    pub fn of(notification: &Message) -> Option<Self> {
        Some(match notification.method() {
            "notifications/tools/list_changed" => Self::Tools,
            "notifications/prompts/list_changed" => Self::Prompts,
            "notifications/resources/list_changed" => Self::Resources,
            "notifications/resources/updated" => Self::Resource(notification.uri()?.into()),
            _ => return None,
        })
    }
}

/// Whether somebody listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// Nobody does.
    #[default]
    No,
    /// Somebody does.
    Yes,
}

/// What a notification of ours belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To the connection as a whole.
    Connection,
    /// To this request of the peer. Not sent any more once it is answered or cancelled.
    Within(InboundId),
}

/// What a result is: the member `resultType` of the modern era. In the legacy era every result is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResultKind {
    /// The answer.
    Complete,
    /// A question instead of an answer; see [`Rounds::Return`].
    InputRequired,
    /// The request has become a task: of 2025-11-25 if it asked for that, later by the extension for tasks if both sides have
    /// it. In 2025-11-25 its progress goes on after this: until [`release`](super::Connection::release) on the side that
    /// answers, and until [`cancel`](super::Connection::cancel) or the news of the task's end on the side that asked.
    Task,
    /// An extension's.
    Other(String),
}

/// Who the peer is, as it says. Self-reported: for display and logs, never for decisions about trust.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Peer {
    /// Its name and version.
    #[serde(with = "super::freeze::text")]
    pub info: Implementation,
    /// What it offers.
    pub capabilities: PeerCapabilities,
    /// A server's hints for the model.
    pub instructions: Option<String>,
}

/// What the peer offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PeerCapabilities {
    /// It is a client.
    Client(#[serde(with = "super::freeze::text")] ClientCapabilities),
    /// It is a server.
    Server(#[serde(with = "super::freeze::text")] ServerCapabilities),
}

/// The facts that go with a request of the peer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestMeta {
    /// The era it was sent in.
    pub era: Era,
    /// The revision it was sent in.
    pub version: ProtocolVersion,
    /// Who sent it; `None` on a server that was started without a handshake.
    pub peer: Option<Arc<Peer>>,
    /// Its id on the wire, for logs.
    pub wire_id: RequestId,
    /// Its progress token, if it wants progress.
    pub token: Option<ProgressToken>,
    /// From which severity on log messages are wanted; `None` if none are.
    pub log_level: Option<LoggingLevel>,
    /// The result that the connection would give by itself, if it is a request of that kind
    /// ([`OwnAnswers::Shown`](super::OwnAnswers)).
    pub own_answer: Option<Body>,
}

/// Something that the application has to know.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done: for the first time, or once more after
    /// [`handle_session_gone`](super::Connection::handle_session_gone).
    Ready {
        /// The era.
        era: Era,
        /// The negotiated revision.
        version: ProtocolVersion,
        /// Who the peer is; `None` on a server that was started without a handshake.
        peer: Option<Arc<Peer>>,
    },
    /// The peer asks; answer with `respond` or `reject`.
    Request {
        /// Its handle.
        id: InboundId,
        /// The request, its parameters not decoded yet.
        message: Message,
        /// What is known about it.
        meta: Box<RequestMeta>,
    },
    /// The peer, or the connection's end, cancelled its request. It keeps its slot until `release`, or an answer of
    /// whatever kind.
    Cancelled {
        /// Its handle.
        id: InboundId,
        /// The peer's words.
        reason: Option<String>,
    },
    /// The peer tells something.
    Notification {
        /// The request of ours that it belongs to, where the transport tells.
        related: Option<OutboundId>,
        /// The notification, its parameters not decoded yet.
        message: Message,
    },
    /// A request of ours has progressed.
    Progress {
        /// Its handle.
        id: OutboundId,
        /// How far.
        progress: Progress,
        /// The notification as it came.
        message: Message,
    },
    /// The server needs answers to these before it can go on with a request of ours; answer with `supply_input`. The
    /// request's clocks stand still until then.
    InputRequired {
        /// Its handle.
        id: OutboundId,
        /// The questions, each under the server's key: requests without an id of their own.
        requests: BTreeMap<String, Message>,
    },
    /// A request of ours has ended. Exactly one for each handle.
    Response {
        /// Its handle.
        id: OutboundId,
        /// Its result, not decoded yet, or how it failed.
        result: Result<(ResultKind, Message), RequestError>,
    },
    /// An answer to a request that somebody else sends in our name: its id came from
    /// [`reserve_id`](super::Connection::reserve_id).
    Routed {
        /// What came, with that id.
        message: Message,
    },
    /// An answer to nobody: late, unknown, or with a null id. Surfaced, not fatal.
    Stray {
        /// What came.
        message: Message,
    },
    /// The peer broke a rule. Answered where possible, surfaced, not fatal until it happens too often.
    Misbehaved {
        /// The rule.
        rule: Rule,
        /// The start of what came, for a person to look at.
        detail: String,
    },
    /// A request or notification that was refused as `Full` would be taken now.
    Writable,
    /// The end. Comes once, as the last event.
    Closed {
        /// Why.
        reason: CloseReason,
        /// Whether the peer's era was still being probed, so that a child that died of the probe can be started again.
        while_probing: bool,
    },
}

/// One frame to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Transmit {
    /// The exchange it leaves by.
    pub origin: Origin,
    /// What it is.
    pub about: About,
    /// Whether nothing is open on this exchange any more. Never on [`Origin::STREAM`].
    pub last: bool,
    /// Its code, if it is an error.
    pub error: Option<ErrorCode>,
    /// What went with our own request.
    pub attachment: Option<Attachment>,
    /// One JSON text without line ends.
    pub frame: Vec<u8>,
}

impl Transmit {
    pub(crate) fn new(origin: Origin, about: About, frame: Vec<u8>) -> Self {
        Self { origin, about, last: false, error: None, attachment: None, frame }
    }
}

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum About {
    /// A request of ours.
    Call(OutboundId),
    /// The answer to a request of the peer.
    Reply(InboundId),
    /// Something said while a request of the peer is in work: progress, logs.
    Within(InboundId),
    /// An error about something that did not become a request.
    Refusal,
    /// The news that we have given up a request of ours. Where each request is an exchange of its own, closing that says the same in the
    /// modern era.
    Cancel(OutboundId),
    /// Anything else.
    Notice,
}
