//! Requests that the connection answers by itself: at once, or once the application has seen them.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::event::{Event, InboundId, Peer, PeerCapabilities};
use super::lifecycle::Phase;
use super::requests::{Effect, Parked};
use super::timer::Timer;
use super::{Connection, OwnAnswers, Side};
use crate::jsonrpc::{Body, ErrorObject, Message};
use crate::model::{DiscoverResult, Era, InitializeParams, InitializeResult, ProtocolVersion};

impl Connection {
    /// The connection's own answer to a request, and what giving it changes here; `None` for a request to the application.
    pub(super) fn own_answer(
        &self,
        message: &Message,
        version: ProtocolVersion,
    ) -> Result<Option<(Body, Effect)>, ErrorObject> {
        Ok(Some(match (message.method(), version.era()) {
            ("ping", Era::Legacy) => (Body::empty_result(), Effect::None),
            ("initialize", Era::Legacy) if self.is_server() => self.on_initialize(message)?,
            ("logging/setLevel", Era::Legacy) if self.is_server() => self.on_set_level(message)?,
            ("server/discover", Era::Modern) => (self.on_discover()?, Effect::None),
            _ => return Ok(None),
        }))
    }

    fn on_discover(&self) -> Result<Body, ErrorObject> {
        let Side::Server(config) = &self.side else { return Err(ErrorObject::method_not_found("server/discover")) };
        let versions = self.versions().iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut result = DiscoverResult::new(versions, config.capabilities.clone());
        result.instructions.clone_from(&config.instructions);
        // Fresh for no time: what a server offers may change with its next request.
        let result = result.with_ttl_ms(0).with_cache_scope("private");
        Body::result(&result).map_err(|error| ErrorObject::internal(error.to_string()))
    }

    fn on_initialize(&self, message: &Message) -> Result<(Body, Effect), ErrorObject> {
        let Side::Server(config) = &self.side else { return Err(ErrorObject::method_not_found("initialize")) };
        let params: InitializeParams =
            message.params().decode().map_err(|error| ErrorObject::invalid_params(format!("initialize: {error}")))?;
        let version = match params.protocol_version.parse::<ProtocolVersion>() {
            Ok(version) if version.era() == Era::Legacy && config.versions.contains(&version) => version,
            _ => self.newest(Era::Legacy).ok_or_else(|| self.unsupported(&params.protocol_version))?,
        };
        let mut result = InitializeResult::new(version.as_str(), config.capabilities.clone(), config.info.clone());
        result.instructions.clone_from(&config.instructions);
        let body = Body::result(&result).map_err(|error| ErrorObject::internal(error.to_string()))?;
        let capabilities = PeerCapabilities::Client(params.capabilities);
        let peer = Peer { info: params.client_info, capabilities, instructions: None };
        Ok((body, Effect::Initialize(version, Some(Arc::new(peer)))))
    }

    /// The result of `initialize` was given.
    pub(super) fn begin_session(&mut self, version: ProtocolVersion, peer: Option<Arc<Peer>>) {
        self.operate(version, peer);
        self.lifecycle.phase = Phase::AwaitingInitialized;
    }
}

/// What the application is shown first.
impl Connection {
    pub(super) fn shows(&self, effect: &Effect) -> bool {
        let own_answers = match &self.side {
            Side::Client(config) => config.own_answers,
            Side::Server(config) => config.own_answers,
        };
        // Pings and the like are answered in any case; nobody becomes a session's client unseen.
        let has_place = !self.requests.has_no_place() || matches!(effect, Effect::Initialize(..));
        own_answers == OwnAnswers::Shown && has_place
    }

    /// Hands a request to the application, with the answer to it.
    pub(super) fn show(&mut self, mut asked: Parked, effect: Effect, answer: Body) {
        if let Effect::Initialize(version, peer) = &effect {
            (asked.terms.version, asked.terms.peer) = (*version, peer.clone());
            self.lifecycle.phase = Phase::AwaitingVerdict;
            self.timers.set(Timer::Verdict, self.now + self.limits.verdict);
        }
        self.hand_over(asked, effect, Some(answer));
    }

    /// Whether this is the `initialize` about which the application decides.
    pub(super) fn is_handshake(&self, id: InboundId) -> bool {
        self.requests.live(id).is_some_and(|request| matches!(request.effect, Effect::Initialize(..)))
    }

    /// `initialize` is answered; with a result the session begins after this.
    pub(super) fn end_verdict(&mut self) {
        self.timers.stop(Timer::Verdict);
        self.lifecycle.phase = Phase::AwaitingInitialize;
    }

    /// The application has taken too long over `initialize`.
    pub(super) fn overdue_verdict(&mut self) {
        let Some(id) = self.requests.open.keys().copied().find(|id| self.is_handshake(*id)) else { return };
        let error = ErrorObject::internal("the server took too long over this client; it may try again");
        if self.send_error(id, &error).is_ok() {
            self.events.push(Event::Cancelled { id, reason: Some("it took too long".into()) });
        }
    }
}
