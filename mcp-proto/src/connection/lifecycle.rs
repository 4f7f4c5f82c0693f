//! The handshake: the only file that knows how a connection becomes ready, in either era.
//!
//! The legacy era (specification: basic/lifecycle), `->` being the client's message and `<-` the server's:
//!
//! ```text
//!            client                                            server
//!   Connection::client                                Connection::server(Handshake)
//!           |                                                    |
//!     [Initializing]  -------- initialize ------------->  [AwaitingInitialize]
//!           |                                                    | answers ping, refuses everything else
//!           |  <-------------- result or error ----------        |
//!           |                                             [AwaitingInitialized]   Event::Ready
//!           |                                                    | serves requests, sends only ping and logs
//!     [Operating]     -------- initialized ------------>         |
//!     Event::Ready                                         [Operating]
//! ```
//!
//! - The server answers with the revision asked for if it speaks it, else with its newest; the client closes if it does
//!   not speak that one.
//! - A client that asks for something has evidently initialized, whether or not its notification came.
//! - `initialize` is never cancelled: when its time is up the connection closes.
//!
//! The modern era has no handshake; a server connection of it begins with [`Start::Assume`](super::Start::Assume), in
//! `Operating`, and its client's probe will live here.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;

use super::error::{CloseReason, RequestError, Rule, TimedOut};
use super::event::{About, Deadlines, Event, Origin, OutboundId, Peer, PeerCapabilities};
use super::outbound::Purpose;
use super::{ClientConfig, Connection, Side};
use crate::jsonrpc::{Body, ErrorCode, ErrorObject, Message, Tail};
use crate::model::{InitializeParams, InitializeResult, LoggingLevel, ProtocolVersion, SetLevelParams, method_rule};

/// Where the connection stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Lifecycle {
    pub(super) phase: Phase,
    /// Set when the phase reaches `AwaitingInitialized` or `Operating`.
    pub(super) version: Option<ProtocolVersion>,
    pub(super) peer: Option<Arc<Peer>>,
    /// What the client chose by `logging/setLevel`.
    pub(super) log_level: Option<LoggingLevel>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Client: `initialize` is under way.
    Initializing,
    /// Server: nothing has come yet.
    #[default]
    AwaitingInitialize,
    /// Server: `initialize` is answered.
    AwaitingInitialized,
    /// Both: ready.
    Operating,
}

/// The client's half.
impl Connection {
    pub(super) fn begin_handshake(&mut self, config: &ClientConfig) {
        self.lifecycle.phase = Phase::Initializing;
        // An empty list of versions is our caller's mistake; the newest is the best guess at what was meant.
        let version = newest(&config.versions).unwrap_or(ProtocolVersion::V2025_11_25);
        let params = InitializeParams::new(version.as_str(), config.capabilities.clone(), config.info.clone());
        let deadlines = Deadlines::Call { idle: config.initialize_deadline, cap: config.initialize_deadline };
        let Ok(body) = Body::new("initialize", &params) else {
            return self.die(CloseReason::Incompatible("our own capabilities cannot be encoded".into()));
        };
        self.open_call(body, Purpose::Initialize, deadlines);
    }

    pub(super) fn on_initialize_answer(&mut self, answer: Result<&Message, RequestError>) {
        let unreadable = |why: &dyn core::fmt::Display| {
            CloseReason::Incompatible(format!("the answer to initialize cannot be read: {why}"))
        };
        let reason = match answer {
            Ok(message) => match message.result().map(|result| result.decode::<InitializeResult>()) {
                Some(Ok(result)) => return self.on_initialized_by(result),
                Some(Err(error)) => unreadable(&error),
                None => unreadable(&"it has no result"),
            },
            Err(RequestError::Rpc(error)) => CloseReason::HandshakeRefused(error),
            Err(RequestError::TimedOut(TimedOut::Idle(after) | TimedOut::Cap(after))) => {
                CloseReason::HandshakeTimedOut(after)
            }
            Err(RequestError::Closed(reason)) => reason,
            Err(error @ (RequestError::InvalidResult(_) | RequestError::Cancelled)) => unreadable(&error),
        };
        self.die(reason);
    }

    fn on_initialized_by(&mut self, result: InitializeResult) {
        let Side::Client(config) = &self.side else { return };
        let version = match result.protocol_version.parse::<ProtocolVersion>() {
            Ok(version) if version.era() == crate::model::Era::Legacy && config.versions.contains(&version) => version,
            _ => {
                let ours = config.versions.iter().map(|version| version.as_str()).collect::<alloc::vec::Vec<_>>();
                let why = format!("the server chose {:?}, we speak {}", result.protocol_version, ours.join(", "));
                return self.die(CloseReason::Incompatible(why));
            }
        };
        let peer = Peer {
            info: result.server_info,
            capabilities: PeerCapabilities::Server(result.capabilities),
            instructions: result.instructions,
        };
        if let Ok(body) = Body::empty("notifications/initialized") {
            self.transmit(Origin::STREAM, About::Notice, body.finish(&Tail::default(), None));
        }
        self.ready(version, Some(Arc::new(peer)));
        self.lifecycle.phase = Phase::Operating;
    }
}

/// The server's half.
impl Connection {
    pub(super) fn assume(&mut self, version: ProtocolVersion) {
        self.ready(version, None);
        self.lifecycle.phase = Phase::Operating;
    }

    /// Whether a request may be served in this phase, or the error that answers it.
    pub(super) fn admit(&mut self, message: &Message) -> Result<(), ErrorObject> {
        let method = message.method();
        let broken = match (self.lifecycle.phase, method) {
            (Phase::AwaitingInitialize | Phase::Initializing, "ping") => return Ok(()),
            (Phase::AwaitingInitialize, "initialize") => return Ok(()),
            (Phase::AwaitingInitialize | Phase::Initializing, _) => Rule::NotInitialized,
            (_, "initialize") if self.is_server() => Rule::SecondInitialize,
            _ => return self.check_method(method),
        };
        let error = match broken {
            Rule::SecondInitialize => "already initialized: a connection has one handshake".into(),
            _ => format!("not initialized: {method:.100} must wait for the handshake, which begins with initialize"),
        };
        self.misbehaved(broken, message.text());
        Err(ErrorObject::new(ErrorCode::INVALID_REQUEST, error))
    }

    /// Whether the negotiated revision has this method in this direction, and we declared what it needs.
    fn check_method(&self, method: &str) -> Result<(), ErrorObject> {
        let Some(rule) = self.version().and_then(|version| method_rule(method, version)) else { return Ok(()) };
        let offered = rule.is_ok_and(|rule| match &self.side {
            Side::Client(config) => {
                rule.sender != crate::model::Sender::Client && config.capabilities.offers(rule.needs)
            }
            Side::Server(config) => {
                rule.sender != crate::model::Sender::Server && config.capabilities.offers(rule.needs)
            }
        });
        if offered { Ok(()) } else { Err(ErrorObject::method_not_found(method)) }
    }

    /// Answers `initialize`.
    pub(super) fn on_initialize(&mut self, message: &Message) -> Result<Body, ErrorObject> {
        let Side::Server(config) = &self.side else { return Err(ErrorObject::method_not_found("initialize")) };
        let params: InitializeParams =
            message.params().decode().map_err(|error| ErrorObject::invalid_params(format!("initialize: {error}")))?;
        let version = match params.protocol_version.parse::<ProtocolVersion>() {
            Ok(version) if version.era() == crate::model::Era::Legacy && config.versions.contains(&version) => version,
            _ => newest(&config.versions).ok_or_else(|| {
                ErrorObject::new(ErrorCode::INVALID_REQUEST, "this server speaks no revision that has initialize")
            })?,
        };
        let mut result = InitializeResult::new(version.as_str(), config.capabilities.clone(), config.info.clone());
        result.instructions.clone_from(&config.instructions);
        let body = Body::result(&result).map_err(|error| ErrorObject::internal(error.to_string()))?;
        let peer = Peer {
            info: params.client_info,
            capabilities: PeerCapabilities::Client(params.capabilities),
            instructions: None,
        };
        self.ready(version, Some(Arc::new(peer)));
        self.lifecycle.phase = Phase::AwaitingInitialized;
        Ok(body)
    }

    /// Takes `notifications/initialized`, or its absence from a client that asks for something all the same.
    pub(super) fn on_initialized(&mut self) {
        if self.lifecycle.phase == Phase::AwaitingInitialized {
            self.lifecycle.phase = Phase::Operating;
        }
    }

    /// Answers `logging/setLevel`.
    pub(super) fn on_set_level(&mut self, message: &Message) -> Result<Body, ErrorObject> {
        let params: SetLevelParams = message
            .params()
            .decode()
            .map_err(|error| ErrorObject::invalid_params(format!("logging/setLevel: {error}")))?;
        self.lifecycle.log_level = Some(params.level);
        Ok(Body::empty_result())
    }
}

impl Connection {
    fn ready(&mut self, version: ProtocolVersion, peer: Option<Arc<Peer>>) {
        self.lifecycle.version = Some(version);
        self.lifecycle.peer.clone_from(&peer);
        self.events.push(Event::Ready { era: version.era(), version, peer });
    }

    /// From which severity on the peer wants log messages.
    pub(super) fn log_level(&self) -> LoggingLevel {
        self.lifecycle.log_level.unwrap_or(match &self.side {
            Side::Server(config) => config.log_level,
            Side::Client(_) => LoggingLevel::Debug,
        })
    }

    /// Whether a call of this purpose ends the connection with it.
    pub(super) fn is_handshake(&self, id: OutboundId) -> bool {
        self.calls.purpose(id) == Some(Purpose::Initialize)
    }
}

/// The newest revision that has `initialize`.
fn newest(versions: &[ProtocolVersion]) -> Option<ProtocolVersion> {
    versions.iter().copied().filter(|version| version.era() == crate::model::Era::Legacy).max()
}
