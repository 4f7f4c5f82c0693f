//! A client, its connection, and a server that a test plays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::string::{String, ToString};
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::connection::{
    CallOptions, ClientConfig, CloseReason, Connection, Event, Lost, OutboundId, RequestError, ResultKind,
};
use crate::http::client::{Challenge, Command, ExchangeId, Failure, HttpClient, HttpClientConfig, Remark};
use crate::jsonrpc::{Body, Message};
use crate::model::{
    ClientCapabilities, ElicitationCapability, Implementation, ProtocolVersion, RootsCapability, SamplingCapability,
};
use crate::time::Timestamp;

pub(super) const URL: &str = "http://server.test:8080/mcp";

/// See the module.
pub(super) struct World {
    pub(super) connection: Connection,
    pub(super) http: HttpClient,
    pub(super) now: Timestamp,
    sent: VecDeque<Sent>,
    /// What the server may still answer.
    pub(super) open: BTreeSet<ExchangeId>,
    pub(super) aborted: Vec<ExchangeId>,
    pub(super) challenges: Vec<Challenge>,
    pub(super) remarks: Vec<Remark>,
    events: Vec<Event>,
}

/// A request that the server has got.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) id: ExchangeId,
    pub(super) request: http::Request<Bytes>,
    /// The message; null if there is none.
    pub(super) body: Value,
}

impl Sent {
    pub(super) fn method(&self) -> &Method {
        self.request.method()
    }

    /// The method of the message.
    pub(super) fn rpc(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        assert!(self.request.headers().get_all(name).iter().count() <= 1, "{name} once");
        self.request.headers().get(name).map(|value| value.to_str().unwrap())
    }
}

/// What came of calls.
pub(super) type Ends = BTreeMap<OutboundId, Result<Value, RequestError>>;

impl World {
    pub(super) fn of(versions: &[ProtocolVersion]) -> Self {
        Self::with(versions, |_| {})
    }

    pub(super) fn with(versions: &[ProtocolVersion], tweak: impl FnOnce(&mut HttpClientConfig)) -> Self {
        let mut config = ClientConfig::new(Implementation::new("client", "1"));
        config.versions = versions.to_vec();
        config.capabilities = ClientCapabilities::default()
            .with_roots(RootsCapability::default().with_list_changed(true))
            .with_sampling(SamplingCapability::default())
            .with_elicitation(ElicitationCapability::default());
        let now = Timestamp::from_nanos(1_700_000_000_000_000_007);
        let mut http = HttpClientConfig::new(URL).unwrap();
        tweak(&mut http);
        let mut world = Self {
            connection: Connection::client(Arc::new(config), now),
            http: HttpClient::new(Arc::new(http), 7),
            now,
            sent: VecDeque::new(),
            open: BTreeSet::new(),
            aborted: Vec::new(),
            challenges: Vec::new(),
            remarks: Vec::new(),
            events: Vec::new(),
        };
        world.turn();
        world
    }

    /// Moves everything that there is to move, and checks what always holds.
    pub(super) fn turn(&mut self) {
        loop {
            self.http.drive(self.now, &mut self.connection);
            let mut moved = false;
            while let Some(command) = self.http.poll_command() {
                moved = true;
                match command {
                    Command::Send { exchange, request } => {
                        self.check_request(&request);
                        assert!(self.open.insert(exchange), "ids are never reused");
                        let body = serde_json::from_slice(request.body()).unwrap_or_default();
                        self.sent.push_back(Sent { id: exchange, request, body });
                    }
                    Command::Abort(exchange) => {
                        assert!(self.open.remove(&exchange), "only what is open is aborted");
                        self.aborted.push(exchange);
                    }
                    Command::Authorize(challenge) => self.challenges.push(challenge),
                }
            }
            while let Some(event) = self.connection.poll_event() {
                moved = true;
                if let Event::Closed { .. } = event {
                    self.http.close(self.now);
                }
                self.events.push(event);
            }
            if !moved {
                break;
            }
        }
        self.remarks.extend(std::iter::from_fn(|| self.http.poll_remark()));
        assert!(self.http.poll_timeout().is_none_or(|at| at > self.now), "the next deadline is in the future");
    }

    /// Whatever is sent stays within the origin, and has what each request has to have.
    fn check_request(&self, request: &http::Request<Bytes>) {
        assert_eq!(request.uri().scheme_str(), Some("http"));
        assert_eq!(request.uri().authority().unwrap(), "server.test:8080");
        let headers = request.headers();
        assert_eq!(headers["accept-encoding"], "identity");
        let accept = headers.get("accept").map(|it| it.to_str().unwrap());
        match *request.method() {
            Method::POST => {
                assert_eq!(accept, Some("application/json, text/event-stream"));
                assert_eq!(headers["content-type"], "application/json");
                let message = Message::scan(request.body(), &<_>::default());
                assert_eq!(message.fault(), None, "one message");
            }
            Method::GET => assert_eq!(accept, Some("text/event-stream")),
            Method::DELETE => assert!(headers.contains_key("mcp-session-id")),
            _ => panic!("{request:?}"),
        }
        assert!(request.method() == Method::POST || request.body().is_empty());
    }

    pub(super) fn next(&mut self) -> Sent {
        self.turn();
        self.sent.pop_front().expect("something was sent")
    }

    pub(super) fn take_sent(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    /// The next request, which is a POST of this message.
    pub(super) fn next_post(&mut self, rpc: &str) -> Sent {
        let sent = self.next();
        assert_eq!((sent.method(), sent.rpc()), (&Method::POST, rpc), "{sent:?}");
        sent
    }

    pub(super) fn next_get(&mut self) -> Sent {
        let sent = self.next();
        assert_eq!(sent.method(), Method::GET, "{sent:?}");
        sent
    }

    pub(super) fn sent_nothing(&mut self) {
        self.turn();
        assert!(self.sent.is_empty(), "{:?}", self.sent);
    }

    pub(super) fn head(&mut self, id: ExchangeId, status: u16, headers: &[(&str, &str)]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        self.http.handle_head(self.now, id, StatusCode::from_u16(status).unwrap(), &map);
        self.turn();
    }

    pub(super) fn data(&mut self, id: ExchangeId, data: &[u8]) {
        self.http.handle_data(self.now, id, data);
        self.turn();
    }

    pub(super) fn end(&mut self, id: ExchangeId) {
        self.open.remove(&id);
        self.http.handle_end(self.now, id);
        self.turn();
    }

    pub(super) fn fail(&mut self, id: ExchangeId, failure: &Failure) {
        self.open.remove(&id);
        self.http.handle_failure(self.now, id, failure);
        self.turn();
    }

    pub(super) fn breaks(&mut self, id: ExchangeId) {
        self.fail(id, &Failure::Broken("reset".into()));
    }

    /// A whole response.
    pub(super) fn respond(&mut self, id: ExchangeId, status: u16, headers: &[(&str, &str)], body: &str) {
        self.head(id, status, headers);
        if !body.is_empty() {
            self.data(id, body.as_bytes());
        }
        self.end(id);
    }

    pub(super) fn respond_json(&mut self, id: ExchangeId, status: u16, body: &Value) {
        self.respond(id, status, &[("content-type", "application/json")], &body.to_string());
    }

    /// The answer to a request, as JSON.
    pub(super) fn answer(&mut self, sent: &Sent, result: &Value) {
        self.respond_json(sent.id, 200, &answer(sent, result));
    }

    pub(super) fn accept(&mut self, sent: &Sent) {
        self.respond(sent.id, 202, &[], "");
    }

    /// A stream of events begins.
    pub(super) fn stream(&mut self, id: ExchangeId) {
        self.head(id, 200, &[("content-type", "text/event-stream; charset=utf-8")]);
    }

    pub(super) fn event(&mut self, id: ExchangeId, event: &str, data: &Value) {
        let text = std::format!("{event}data: {data}\n\n");
        self.data(id, text.as_bytes());
    }

    pub(super) fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.http.handle_timeout(self.now);
        self.connection.handle_timeout(self.now);
        self.turn();
    }

    /// Lets time go by until something is due, and says how long that was; `None` if nothing is.
    pub(super) fn wait_next(&mut self) -> Option<Duration> {
        let next = [self.http.poll_timeout(), self.connection.poll_timeout()].into_iter().flatten().min()?;
        let wait = next.saturating_since(self.now);
        self.wait(wait);
        Some(wait)
    }

    pub(super) fn ask(&mut self, method: &str, params: &Value) -> OutboundId {
        self.ask_with(method, params, CallOptions::default())
    }

    pub(super) fn ask_with(&mut self, method: &str, params: &Value, options: CallOptions) -> OutboundId {
        let id = self.connection.request(self.now, Body::new(method, params).unwrap(), options).unwrap();
        self.turn();
        id
    }

    pub(super) fn cancel(&mut self, id: OutboundId) {
        self.connection.cancel(self.now, id, "enough");
        self.turn();
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        self.turn();
        std::mem::take(&mut self.events)
    }

    /// How the calls ended that have ended, and nothing else happened.
    pub(super) fn ends(&mut self) -> Ends {
        let end = |event| match event {
            Event::Response { id, result } => (id, result.map(|(kind, message)| decoded(&kind, &message))),
            other => panic!("{other:?}"),
        };
        self.events().into_iter().map(end).collect()
    }

    /// How the one call that has ended ended.
    pub(super) fn end_of(&mut self, call: OutboundId) -> Result<Value, RequestError> {
        let mut ends = self.ends();
        assert_eq!(ends.len(), 1, "{ends:?}");
        ends.remove(&call).expect("the end of this call")
    }

    pub(super) fn lost(&mut self, call: OutboundId) -> Lost {
        match self.end_of(call) {
            Err(RequestError::Lost(lost)) => lost,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn is_ready(&mut self) -> bool {
        matches!(self.events()[..], [Event::Ready { .. }])
    }

    pub(super) fn closed_by(&mut self) -> Option<CloseReason> {
        self.events().into_iter().find_map(|event| match event {
            Event::Closed { reason, .. } => Some(reason),
            _ => None,
        })
    }

    /// A session of the legacy era: the server gave it this id, and offers no stream.
    pub(super) fn session(version: ProtocolVersion, id: Option<&str>) -> Self {
        Self::session_with(version, id, |_| {})
    }

    pub(super) fn session_with(
        version: ProtocolVersion,
        id: Option<&str>,
        tweak: impl FnOnce(&mut HttpClientConfig),
    ) -> Self {
        let mut world = Self::with(&ProtocolVersion::LEGACY, tweak);
        world.initialize(version, id);
        assert!(world.is_ready());
        let get = world.next_get();
        world.respond(get.id, 405, &[], "");
        world.sent_nothing();
        world
    }

    /// Plays the server's side of a handshake of the legacy era.
    pub(super) fn initialize(&mut self, version: ProtocolVersion, id: Option<&str>) {
        let asked = self.next_post("initialize");
        let mut headers = std::vec![("content-type", "application/json")];
        headers.extend(id.map(|id| ("Mcp-Session-Id", id)));
        self.respond(asked.id, 200, &headers, &answer(&asked, &initialized(version)).to_string());
        let initialized = self.next_post("notifications/initialized");
        assert_eq!(initialized.header("mcp-session-id"), id);
        self.accept(&initialized);
    }

    pub(super) fn modern() -> Self {
        Self::modern_with(|_| {})
    }

    pub(super) fn modern_with(tweak: impl FnOnce(&mut HttpClientConfig)) -> Self {
        let mut world = Self::with(&ProtocolVersion::ALL, tweak);
        let asked = world.next_post("server/discover");
        world.answer(&asked, &discovered());
        assert!(world.is_ready());
        world.sent_nothing();
        world
    }
}

fn decoded(kind: &ResultKind, message: &Message) -> Value {
    assert_eq!(*kind, ResultKind::Complete);
    message.result().unwrap().decode().unwrap()
}

pub(super) fn answer(sent: &Sent, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": sent.body["id"], "result": result})
}

pub(super) fn error(sent: &Sent, code: i64) -> Value {
    json!({"jsonrpc": "2.0", "id": sent.body["id"], "error": {"code": code, "message": "no"}})
}

pub(super) fn initialized(version: ProtocolVersion) -> Value {
    json!({"protocolVersion": version.to_string(), "serverInfo": {"name": "s", "version": "1"},
        "capabilities": {"tools": {}, "prompts": {}, "logging": {}, "completions": {}, "resources": {"subscribe": true}}})
}

pub(super) fn discovered() -> Value {
    json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
        "capabilities": {"tools": {}, "prompts": {}, "logging": {}, "completions": {}, "resources": {"subscribe": true}}})
}

/// What may be anything, in a result.
pub(super) fn done() -> Value {
    json!({"resultType": "complete", "content": []})
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn text(value: &Value) -> String {
    value.to_string()
}
