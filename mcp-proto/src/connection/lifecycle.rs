//! The handshake, and which era a request belongs to: the only file that knows both.
//!
//! The legacy era (specification up to 2025-11-25: basic/lifecycle), `->` being the client's message, `<-` the server's:
//!
//! ```text
//!            client                                            server
//!   Connection::client                                Connection::server(Handshake)
//!           |                                                    |
//!     [Initializing]  -------- initialize ------------->  [AwaitingInitialize]
//!           |                                                    | answers ping, refuses everything else
//!           |                                             [AwaitingVerdict]       if the application is shown it first
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
//! The modern era (2026-07-28) has no handshake: each request says in its `_meta` in which revision it is written and what
//! its sender can do. A server judges each by itself, in whatever phase the connection is; both eras may use one stream.
//!
//! A client that speaks both eras first asks `server/discover`:
//!
//! ```text
//!     [Probing]  -- server/discover -->
//!        | result with a modern revision that we speak            -> [Operating], modern
//!        | an error that only the modern era has                  -> modern: another revision, or closed; no fallback
//!        | anything else, or nothing within the deadline          -> [Initializing]
//!     [Initializing]
//!        | result                                                 -> [Operating], legacy
//!        | error, but a late answer to the probe was modern       -> [Operating], modern
//!        | unsupported protocol version, without such an answer   -> [Probing] once more
//! ```
//!
//! `probe.rs` draws the first verdict, `lost.rs` has what becomes of both where a transport answers in its own way; over HTTP a session
//! that the server has forgotten leads from [Operating] back to [Initializing].

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calls::Purpose;
use super::error::{CloseReason, RequestError, Rule};
use super::event::{About, CallOptions, Deadlines, Event, Origin, Peer, PeerCapabilities};
use super::mismatch::handshake_failed;
use super::probe::{PROBES, Probe};
use super::{Connection, Side};
use crate::Timestamp;
use crate::jsonrpc::{Body, ErrorCode, ErrorObject, Message, Tail};
use crate::model::{
    Era, Implementation, InitializeParams, InitializeResult, LoggingLevel, ProtocolVersion, RequestMetaObject, Sender,
    meta_key, method_rule,
};

/// Where the connection stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Lifecycle {
    pub(super) phase: Phase,
    /// Set when the phase reaches `AwaitingInitialized` or `Operating`.
    pub(super) version: Option<ProtocolVersion>,
    #[serde(with = "super::freeze::peer")]
    pub(super) peer: Option<Arc<Peer>>,
    /// What the client chose by `logging/setLevel`.
    pub(super) log_level: Option<LoggingLevel>,
    pub(super) probe: Probe,
    /// The leaky bucket of forgotten sessions: the moment at which it will be empty again.
    pub(super) forgotten_until: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Client: `server/discover` is under way.
    Probing,
    /// Client: `initialize` is under way.
    Initializing,
    /// Server: no handshake yet.
    #[default]
    AwaitingInitialize,
    /// Server: the application is shown `initialize` and has not answered it yet.
    AwaitingVerdict,
    /// Server: `initialize` is answered.
    AwaitingInitialized,
    /// Both: ready.
    Operating,
}

/// Whose terms a request of the peer is served on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) version: ProtocolVersion,
    #[serde(with = "super::freeze::peer")]
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) log_level: Option<LoggingLevel>,
}

/// The client's half.
impl Connection {
    pub(super) fn initialize(&mut self) {
        let Side::Client(config) = &self.side else { return };
        self.lifecycle.phase = Phase::Initializing;
        // An empty list of versions is our caller's mistake; the newest is the best guess at what was meant.
        let version = self.newest(Era::Legacy).unwrap_or(ProtocolVersion::V2025_11_25);
        let params = InitializeParams::new(version.as_str(), config.capabilities.clone(), config.info.clone());
        let deadlines = Deadlines::Call { idle: config.initialize_deadline, cap: config.initialize_deadline };
        let Ok(body) = Body::new("initialize", &params) else {
            return self.die(CloseReason::Incompatible("our own capabilities cannot be encoded".into()));
        };
        let meta = config.handshake_meta.clone();
        self.open_call(body, Purpose::Initialize, CallOptions { deadlines, meta, ..<_>::default() });
    }

    pub(super) fn on_initialize_answer(&mut self, answer: Result<&Message, RequestError>) {
        let unreadable =
            |why: &str| CloseReason::Incompatible(format!("the answer to initialize cannot be read: {why}"));
        let reason = match answer {
            Ok(message) => match message.result().map(|result| result.decode::<InitializeResult>()) {
                Some(Ok(result)) => return self.on_initialized_by(result),
                Some(Err(error)) => unreadable(&error.to_string()),
                None => unreadable("it has no result"),
            },
            Err(error) => {
                if let Some((version, peer)) = self.lifecycle.probe.kept.take() {
                    return self.operate(version, Some(peer));
                }
                let is_modern =
                    matches!(&error, RequestError::Rpc(error) if error.code == ErrorCode::UNSUPPORTED_PROTOCOL_VERSION);
                if let Some(version) = self.newest(Era::Modern)
                    && is_modern
                    && self.lifecycle.probe.sent < PROBES
                {
                    return self.discover(version);
                }
                handshake_failed("initialize", error)
            }
        };
        self.die(reason);
    }

    fn on_initialized_by(&mut self, result: InitializeResult) {
        let Side::Client(config) = &self.side else { return };
        let version = match result.protocol_version.parse::<ProtocolVersion>() {
            Ok(version) if version.era() == Era::Legacy && config.versions.contains(&version) => version,
            _ => return self.die(self.incompatible(&format!("the server chose {:?}", result.protocol_version))),
        };
        let peer = Peer {
            info: result.server_info,
            capabilities: PeerCapabilities::Server(result.capabilities),
            instructions: result.instructions,
        };
        if let Ok(body) = Body::empty("notifications/initialized") {
            self.transmit(Origin::STREAM, About::Notice, body.finish(&Tail::default(), None));
        }
        self.operate(version, Some(Arc::new(peer)));
    }
}

/// The server's half.
impl Connection {
    pub(super) fn assume(&mut self, version: ProtocolVersion) {
        self.operate(version, None);
    }

    /// On whose terms a request is to be served, or the error that answers it.
    pub(super) fn terms(&mut self, message: &Message, meta: &mut RequestMetaObject<'_>) -> Result<Terms, ErrorObject> {
        let says_version = meta.protocol_version.is_some() || meta.fault(meta_key::PROTOCOL_VERSION).is_some();
        if says_version && self.is_server() {
            return self.modern_terms(message, meta);
        }
        let is_handshake = self.lifecycle.phase != Phase::AwaitingInitialize || message.method() == "initialize";
        if !is_handshake && meta.client_capabilities.is_some() {
            // Only requests of the modern era say this.
            return Err(self.not_modern(message));
        }
        self.legacy_terms(message)
    }

    /// A request of the modern era brings its own terms (specification 2026-07-28: basic). Judged in this order: the
    /// required keys, the revision, the method.
    fn modern_terms(&self, message: &Message, meta: &mut RequestMetaObject<'_>) -> Result<Terms, ErrorObject> {
        if let Some(fault) = meta.malformed.iter().find(|fault| !meta_key::OF_THE_TRACE.contains(&fault.key)) {
            return Err(ErrorObject::invalid_params(fault.to_string()));
        }
        let (Some(asked), Some(capabilities)) = (&meta.protocol_version, meta.client_capabilities.take()) else {
            let missing = meta_key::CLIENT_CAPABILITIES;
            return Err(ErrorObject::invalid_params(format!("_meta lacks {missing:?}")));
        };
        let ours = self.versions();
        let version = asked.parse::<ProtocolVersion>();
        let Some(version) = version.ok().filter(|version| version.era() == Era::Modern && ours.contains(version))
        else {
            return Err(self.unsupported(asked));
        };
        self.check_method(message.method(), version)?;
        let info = meta.client_info.take().unwrap_or_else(|| Implementation::new("", ""));
        let capabilities = PeerCapabilities::Client(capabilities);
        let peer = Arc::new(Peer { info, capabilities, instructions: None });
        Ok(Terms { version, peer: Some(peer), log_level: meta.log_level })
    }

    fn legacy_terms(&mut self, message: &Message) -> Result<Terms, ErrorObject> {
        let method = message.method();
        if self.is_modern_only() {
            return Err(self.not_modern(message));
        }
        let broken = match (self.lifecycle.phase, method) {
            (Phase::Operating | Phase::AwaitingInitialized | Phase::AwaitingVerdict, "initialize")
                if self.is_server() =>
            {
                Rule::SecondInitialize
            }
            (Phase::Operating | Phase::AwaitingInitialized, _) => {
                let version = self.version().unwrap_or(ProtocolVersion::V2025_11_25);
                self.check_method(method, version)?;
                let log_level = self.is_server().then(|| self.log_level());
                return Ok(Terms { version, peer: self.lifecycle.peer.clone(), log_level });
            }
            (_, "ping") | (Phase::AwaitingInitialize, "initialize") => {
                return Ok(Terms { version: ProtocolVersion::V2024_11_05, peer: None, log_level: None });
            }
            _ => Rule::NotInitialized,
        };
        let error = match broken {
            Rule::SecondInitialize => "already initialized: a connection has one handshake".into(),
            _ => format!("not initialized: {method:.100} must wait for the handshake, which begins with initialize"),
        };
        self.misbehaved(broken, message.text());
        Err(ErrorObject::new(ErrorCode::INVALID_REQUEST, error))
    }

    /// Whether the revision has this method in this direction, and we declared what it needs.
    fn check_method(&self, method: &str, version: ProtocolVersion) -> Result<(), ErrorObject> {
        let Some(rule) = method_rule(method, version) else { return Ok(()) };
        let offered = rule.is_ok_and(|rule| match &self.side {
            Side::Client(config) => rule.sender != Sender::Client && config.capabilities.offers(rule.needs),
            Side::Server(config) => rule.sender != Sender::Server && config.capabilities.offers(rule.needs),
        });
        if offered { Ok(()) } else { Err(ErrorObject::method_not_found(method)) }
    }

    /// Takes `notifications/initialized`, or its absence from a client that asks for something all the same.
    pub(super) fn on_initialized(&mut self) {
        if self.lifecycle.phase == Phase::AwaitingInitialized {
            self.lifecycle.phase = Phase::Operating;
        }
    }

    /// Whether this is a server to which nothing but the modern era can be spoken.
    pub(super) fn is_modern_only(&self) -> bool {
        let is_modern = self.version().map_or(self.newest(Era::Legacy).is_none(), |it| it.era() == Era::Modern);
        self.is_server() && is_modern
    }

    /// Whether a handshake may never come.
    pub(super) fn speaks_modern(&self) -> bool {
        self.newest(Era::Modern).is_some()
    }
}

impl Connection {
    pub(super) fn operate(&mut self, version: ProtocolVersion, peer: Option<Arc<Peer>>) {
        self.lifecycle.phase = Phase::Operating;
        self.lifecycle.version = Some(version);
        self.lifecycle.peer.clone_from(&peer);
        self.events.push(Event::Ready { era: version.era(), version, peer });
    }

    pub(super) fn versions(&self) -> &[ProtocolVersion] {
        match &self.side {
            Side::Client(config) => &config.versions,
            Side::Server(config) => &config.versions,
        }
    }

    pub(super) fn newest(&self, era: Era) -> Option<ProtocolVersion> {
        self.versions().iter().copied().filter(|version| version.era() == era).max()
    }
}
