//! What a connection is told at its start: who we are, what we offer, and every bound it keeps.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::event::Meta;
use super::extension::Extension;
use crate::model::{ClientCapabilities, Implementation, LoggingLevel, ProtocolVersion, ServerCapabilities};

/// Every bound of a connection. Each says what it costs at worst.
///
/// A connection holds at most about `frame` (an unfinished line) + `events` + twice `output`, and one message more in
/// each of the two queues, whatever its peer does.
///
/// ```
/// use mcp_proto::Limits;
///
/// // For a machine with little memory.
/// let mut limits = Limits::default();
/// (limits.frame, limits.events, limits.output) = (64 << 10, 128 << 10, 128 << 10);
/// limits.inbound_requests = 8;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message, in either direction. Default 16 MiB. A longer line is read past in constant memory and, if
    /// its id can be read, answered.
    pub frame: usize,
    /// Nesting of one message; at most 128, which is the default. Costs nothing.
    pub depth: u8,
    /// Requests of the peer in work at once, cancelled ones included until their handler has ended. Default 256. Each
    /// costs its id and a few hundred bytes.
    pub inbound_requests: usize,
    /// Subscriptions of the peer open at once. Default 1024. Each costs its filter twice, and what has changed since it was last
    /// told; over `events` bytes of filters no further one is taken.
    pub subscriptions: usize,
    /// URIs of one subscription, entries of any other list of its filter, and URIs of all `resources/subscribe` of a connection. Default 1024.
    pub subscribed_uris: usize,
    /// Requests in either direction that have become tasks (2025-11-25) and whose progress still comes. Default 1024. Each costs
    /// its ids and about 200 bytes; beyond it the oldest is forgotten.
    pub tasks: usize,
    /// Our own requests open at once. Default 1024. Each costs about 200 bytes.
    pub outbound_requests: usize,
    /// Bytes queued for the peer. Default 8 MiB. Over it, requests and notifications are refused with `Full` and a server
    /// stops reading; at twice of it the connection closes. An empty queue always admits one message.
    pub output: usize,
    /// Bytes of events that the application has not taken yet. Default 8 MiB. Over it, reading stops.
    pub events: usize,
    /// How long output may stay over its limit without a byte of progress. Default 60 s.
    pub stall: Duration,
    /// How long requests in work may still be answered after the peer's end of input. Default 30 s.
    pub drain: Duration,
    /// How long the application may take over an `initialize` that it is shown ([`OwnAnswers::Shown`]); then it is answered
    /// with an error. Default 30 s. Nothing else is read meanwhile.
    pub verdict: Duration,
    /// Broken rules in a minute after which the connection closes. Default 100.
    pub strikes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: 16 << 20,
            depth: 128,
            inbound_requests: 256,
            subscriptions: 1024,
            subscribed_uris: 1024,
            tasks: 1024,
            outbound_requests: 1024,
            output: 8 << 20,
            events: 8 << 20,
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            verdict: Duration::from_secs(30),
            strikes: 100,
        }
    }
}

/// What happens to the requests that a connection answers by itself: `initialize`, `ping`, `server/discover` and
/// `logging/setLevel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnAnswers {
    /// They are answered at once, and the application hears nothing of them.
    #[default]
    AtOnce,
    /// Each is an [`Event::Request`](super::Event::Request) that has the answer with it
    /// ([`RequestMeta::own_answer`](super::RequestMeta)). The application gives that answer, another one, or an error. What
    /// the request is for (the session, the level of logs) happens when a result is given, and not with an error.
    ///
    /// While as many requests are in work as the limits allow, all but `initialize` are answered at once all the same.
    Shown,
}

/// What a client connection is told at its start. Shared by all connections of one client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Who we are.
    pub info: Implementation,
    /// What the server may ask of us.
    pub capabilities: ClientCapabilities,
    /// The revisions that we accept, of one era or of both. With both, the server is asked which it speaks
    /// (`server/discover`), and `initialize` follows if it does not know that question.
    pub versions: Vec<ProtocolVersion>,
    /// How long the server may take to answer `initialize`. Default 30 s.
    pub initialize_deadline: Duration,
    /// How long it may take to answer `server/discover` before it is taken for a legacy server. Default 5 s. Without a
    /// legacy revision to fall back to, `initialize_deadline` holds.
    pub probe_deadline: Duration,
    /// The extensions that we support; [`with_extension`](Self::with_extension) also declares them. None unless set.
    pub extensions: Vec<Extension>,
    /// How often one request may be answered with a question of the server before it fails. Default 10.
    pub rounds: u32,
    /// Whether the application is shown the server's pings.
    pub own_answers: OwnAnswers,
    /// The user's keys of `_meta` on the requests of the handshake (`server/discover`, `initialize`): the trace that connecting
    /// belongs to, say.
    pub handshake_meta: Meta,
    /// The bounds.
    pub limits: Limits,
}

impl ClientConfig {
    /// A client that offers nothing and accepts every legacy revision.
    pub fn new(info: Implementation) -> Self {
        Self {
            info,
            capabilities: ClientCapabilities::default(),
            versions: ProtocolVersion::LEGACY.to_vec(),
            initialize_deadline: Duration::from_secs(30),
            probe_deadline: Duration::from_secs(5),
            extensions: Vec::new(),
            rounds: 10,
            own_answers: OwnAnswers::AtOnce,
            handshake_meta: None,
            limits: Limits::default(),
        }
    }
}

/// What a server connection is told at its start. Shared by all connections of one server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Who we are.
    pub info: Implementation,
    /// What we offer. A method whose capability is not declared is answered with −32601 by the core.
    pub capabilities: ServerCapabilities,
    /// Hints for the model on how to use this server.
    pub instructions: Option<String>,
    /// The revisions that we accept.
    pub versions: Vec<ProtocolVersion>,
    /// The extensions that we support; [`with_extension`](Self::with_extension) also declares them. None unless set.
    pub extensions: Vec<Extension>,
    /// From which severity on log messages are sent before the client has chosen. Default `info`.
    pub log_level: LoggingLevel,
    /// Whether the application is shown the requests that the connection answers by itself.
    pub own_answers: OwnAnswers,
    /// The bounds.
    pub limits: Limits,
}

impl ServerConfig {
    /// A server that offers nothing and accepts every legacy revision.
    pub fn new(info: Implementation) -> Self {
        Self {
            info,
            capabilities: ServerCapabilities::default(),
            instructions: None,
            versions: ProtocolVersion::LEGACY.to_vec(),
            extensions: Vec::new(),
            log_level: LoggingLevel::Info,
            own_answers: OwnAnswers::AtOnce,
            limits: Limits::default(),
        }
    }
}
