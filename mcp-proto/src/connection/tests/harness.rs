//! One side, or two with links between them, in virtual time, with the invariants checked after every step.

use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::String;
use std::string::ToString;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use crate::connection::{
    About, CallOptions, ClientConfig, CloseReason, Connection, Event, InboundId, Limits, OutboundId, RequestError,
    RequestMeta, RespondError, ResultKind, Rule, Scope, SendError, ServerConfig, Side, Start,
};
use crate::jsonrpc::{Body, ErrorObject, Kind, Message};
use crate::model::{
    ClientCapabilities, ElicitationCapability, Implementation, Progress, PromptsCapability, ProtocolVersion,
    ResourcesCapability, RootsCapability, SamplingCapability, ServerCapabilities, Supported, ToolsCapability,
};
use crate::time::Timestamp;

/// What an application sees of a call's end.
pub(super) type Outcome = Result<Value, RequestError>;

/// The result decoded.
fn outcome(result: Result<(ResultKind, Message), RequestError>) -> Outcome {
    result.map(|(kind, message)| {
        assert_eq!(kind, ResultKind::Complete, "in the legacy era every result is complete");
        message.result().unwrap().decode().unwrap()
    })
}

/// One connection, its clock, and what has to hold of it.
pub(super) struct Node {
    pub(super) conn: Connection,
    pub(super) now: Timestamp,
    limits: Limits,
    calls: BTreeSet<OutboundId>,
    last_call: Option<OutboundId>,
    /// The requests that may still be answered.
    pub(super) working: BTreeSet<InboundId>,
    last_request: Option<InboundId>,
    wire_ids: BTreeSet<String>,
    replied: BTreeSet<InboundId>,
    closed: bool,
}

pub(super) fn body(method: &str, params: &Value) -> Body {
    Body::new(method, params).unwrap()
}

pub(super) fn result(value: &Value) -> Body {
    Body::result(value).unwrap()
}

/// A server that offers everything the legacy era has.
pub(super) fn server_config() -> ServerConfig {
    let mut config = ServerConfig::new(Implementation::new("server", "1"));
    config.capabilities = ServerCapabilities::default()
        .with_tools(ToolsCapability::default().with_list_changed(true))
        .with_prompts(PromptsCapability::default().with_list_changed(true))
        .with_resources(ResourcesCapability::default().with_subscribe(true).with_list_changed(true))
        .with_logging(Supported::default())
        .with_completions(Supported::default());
    config
}

/// A client that offers everything the legacy era has.
pub(super) fn client_config() -> ClientConfig {
    let mut config = ClientConfig::new(Implementation::new("client", "1"));
    config.capabilities = ClientCapabilities::default()
        .with_roots(RootsCapability::default())
        .with_sampling(SamplingCapability::default())
        .with_elicitation(ElicitationCapability::default());
    config
}

/// A moment at which no deadline's rounding is hidden by a round number.
const BEGIN: Timestamp = Timestamp::from_nanos(1_000_000_000_000_000_007);

impl Node {
    pub(super) fn client(config: ClientConfig) -> Self {
        let limits = config.limits.clone();
        Self::new(Connection::client(Arc::new(config), BEGIN), limits)
    }

    pub(super) fn server(config: ServerConfig) -> Self {
        Self::server_from(config, Start::Handshake)
    }

    pub(super) fn server_from(config: ServerConfig, start: Start) -> Self {
        let limits = config.limits.clone();
        Self::new(Connection::server(Arc::new(config), start, BEGIN), limits)
    }

    fn new(conn: Connection, limits: Limits) -> Self {
        Self {
            conn,
            now: BEGIN,
            limits,
            calls: BTreeSet::new(),
            last_call: None,
            working: BTreeSet::new(),
            last_request: None,
            wire_ids: BTreeSet::new(),
            replied: BTreeSet::new(),
            closed: false,
        }
    }

    /// A client whose handshake is done in `version`; the server offers everything.
    pub(super) fn client_in(version: ProtocolVersion, tweak: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = client_config();
        tweak(&mut config);
        let mut node = Self::client(config);
        let asked = node.frames();
        node.tell(&json!({"jsonrpc": "2.0", "id": asked[0]["id"], "result": {
            "protocolVersion": version.as_str(), "serverInfo": {"name": "s", "version": "1"},
            "capabilities": {"tools": {}, "prompts": {}, "logging": {}, "completions": {},
                "resources": {"subscribe": true}},
        }}));
        assert!(matches!(node.events()[..], [Event::Ready { .. }]));
        assert_eq!(node.methods(), ["notifications/initialized"]);
        node
    }

    /// A server whose handshake is done in `version`; the client offers everything.
    pub(super) fn server_in(version: ProtocolVersion, tweak: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = server_config();
        tweak(&mut config);
        let mut node = Self::server(config);
        node.tell(&initialize(&json!("init"), version.as_str()));
        node.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert!(matches!(node.events()[..], [Event::Ready { .. }]));
        assert_eq!(node.frames()[0]["result"]["protocolVersion"], version.as_str());
        node
    }

    /// Does something to the connection and to its clone, which must not differ afterwards.
    pub(super) fn step<R>(&mut self, act: impl Fn(&mut Connection, Timestamp) -> R) -> R {
        let twin = (self.conn.buffered_bytes() < 8192).then(|| self.conn.clone());
        let answer = act(&mut self.conn, self.now);
        if let Some(mut twin) = twin
            && self.conn.buffered_bytes() < 8192
        {
            let _ = act(&mut twin, self.now);
            assert_eq!(format!("{twin:?}"), format!("{:?}", self.conn), "a clone behaves like the original");
        }
        self.move_to_another_node();
        self.check();
        answer
    }

    /// Freezes and thaws the connection if this is a drained point, so that whatever a test does, it does to a moved one.
    fn move_to_another_node(&mut self) {
        let Ok(frozen) = self.conn.freeze() else { return };
        let thawed = match &self.conn.side {
            Side::Client(config) => Connection::thaw_client(Arc::clone(config), &frozen, self.now),
            Side::Server(config) => Connection::thaw_server(Arc::clone(config), &frozen, self.now),
        };
        let thawed = thawed.unwrap();
        // A line that was read keeps its storage; its bytes mean nothing any more.
        self.conn.lines.begin_anew(self.conn.lines.at_start_if_between_lines().unwrap());
        assert_eq!(format!("{thawed:?}"), format!("{:?}", self.conn), "nothing is lost on the way");
        self.conn = thawed;
    }

    /// The bound of `Limits`: an unfinished line, the events, twice the output, and one message more in each queue.
    fn check(&self) {
        let Limits { frame, output, events, inbound_requests, outbound_requests, .. } = self.limits;
        // When the end comes, every open request gets its last event.
        let last_words = 1024 * (inbound_requests + outbound_requests + 8);
        let bound = 3 * (frame + 1024) + events + 2 * output + last_words;
        assert!(self.conn.buffered_bytes() <= bound, "{} bytes are over {bound}", self.conn.buffered_bytes());
        if self.conn.is_drained() {
            assert_eq!(self.conn.buffered_bytes(), 0);
            assert_eq!(self.conn.poll_timeout(), None);
        }
    }

    /// One message and its line end.
    pub(super) fn tell(&mut self, message: &Value) {
        self.line(&message.to_string());
    }

    pub(super) fn line(&mut self, line: &str) {
        self.bytes(format!("{line}\n").as_bytes());
    }

    /// Bytes that must all be taken.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        assert_eq!(self.offer(bytes), bytes.len(), "all is read while input is wanted");
    }

    pub(super) fn offer(&mut self, bytes: &[u8]) -> usize {
        let taken = self.step(|conn, now| conn.handle_input(now, bytes));
        assert!(taken == bytes.len() || !self.conn.wants_input(), "input is left only for backpressure");
        taken
    }

    pub(super) fn eof(&mut self) {
        self.step(|conn, now| conn.handle_eof(now));
    }

    pub(super) fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.step(|conn, now| conn.handle_timeout(now));
        assert!(self.conn.poll_timeout().is_none_or(|at| at > self.now), "the next deadline is in the future");
    }

    pub(super) fn request(&mut self, body: &Body, options: &CallOptions) -> Result<OutboundId, SendError> {
        let sent = self.step(|conn, now| conn.request(now, body.clone(), options.clone()));
        match &sent {
            Ok(id) => {
                assert!(self.last_call.is_none_or(|last| last < *id), "handles are never reused");
                self.last_call = Some(*id);
                self.calls.insert(*id);
            }
            Err(error) => assert_eq!(&error.body, body, "what is refused comes back unchanged"),
        }
        sent
    }

    /// Asks for something and gets the handle.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> OutboundId {
        self.request(&body(method, params), &CallOptions::default()).unwrap()
    }

    pub(super) fn cancel(&mut self, id: OutboundId, reason: &str) {
        self.step(|conn, now| conn.cancel(now, id, reason));
    }

    pub(super) fn notify(&mut self, body: &Body, scope: Scope) -> Result<(), SendError> {
        let sent = self.step(|conn, now| conn.notify(now, body.clone(), scope, None));
        if let Err(error) = &sent {
            assert_eq!(&error.body, body, "what is refused comes back unchanged");
        }
        sent
    }

    pub(super) fn progress(&mut self, id: InboundId, progress: &Progress) -> Result<(), RespondError> {
        self.step(|conn, now| conn.progress(now, id, progress.clone()))
    }

    pub(super) fn respond(&mut self, id: InboundId, value: &Value) -> Result<(), RespondError> {
        let body = result(value);
        let sent = self.step(|conn, now| conn.respond(now, id, ResultKind::Complete, body.clone(), None));
        self.answered(id, sent)
    }

    pub(super) fn reject(&mut self, id: InboundId, error: &ErrorObject) -> Result<(), RespondError> {
        let sent = self.step(|conn, now| conn.reject(now, id, error));
        self.answered(id, sent)
    }

    pub(super) fn answered(&mut self, id: InboundId, sent: Result<(), RespondError>) -> Result<(), RespondError> {
        if matches!(sent, Ok(()) | Err(RespondError::TooLarge)) {
            self.working.remove(&id);
        }
        sent
    }

    pub(super) fn release(&mut self, id: InboundId) {
        self.step(|conn, now| conn.release(now, id));
    }

    pub(super) fn close(&mut self, grace: Duration) {
        self.step(|conn, now| conn.close(now, grace));
    }

    /// Everything that is to be sent; each one a message of JSON-RPC on one line.
    pub(super) fn frames(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        while let Some(transmit) = self.step(|conn, _| conn.poll_transmit()) {
            assert!(!transmit.last, "a stream has one exchange that never ends");
            if let About::Reply(id) = transmit.about {
                assert!(self.replied.insert(id), "each request is answered at most once");
            }
            frames.push(self.check_frame(&transmit.frame));
        }
        assert_eq!(self.step(|conn, _| conn.poll_transmit()), None);
        frames
    }

    pub(super) fn check_frame(&mut self, frame: &[u8]) -> Value {
        let text = std::str::from_utf8(frame).unwrap();
        assert!(frame.len() <= self.limits.frame, "{} bytes are over the frame limit: {text:.200}", frame.len());
        assert!(!text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "one line: {text}");
        let message = Message::scan(frame, &Limits::default());
        assert_ne!(message.kind(), Kind::Malformed, "{text}");
        if message.kind() == Kind::Request {
            let id = message.id().unwrap().to_string();
            assert!(self.wire_ids.insert(id), "basic, Requests: the id MUST NOT have been used before: {text}");
        }
        serde_json::from_str(text).unwrap()
    }

    /// The methods of everything that is to be sent; empty for answers.
    pub(super) fn methods(&mut self) -> Vec<String> {
        self.frames().iter().map(|frame| frame["method"].as_str().unwrap_or_default().into()).collect()
    }

    /// Everything that the application has to know.
    pub(super) fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.step(|conn, _| conn.poll_event()) {
            self.check_event(&event);
            events.push(event);
        }
        assert!(self.step(|conn, _| conn.poll_event()).is_none());
        events
    }

    fn check_event(&mut self, event: &Event) {
        assert!(!self.closed, "nothing comes after Closed: {event:?}");
        match event {
            Event::Response { id, .. } => assert!(self.calls.remove(id), "exactly one Response: {event:?}"),
            Event::Request { id, .. } => {
                assert!(self.last_request.is_none_or(|last| last < *id), "handles are never reused");
                self.last_request = Some(*id);
                self.working.insert(*id);
            }
            Event::Cancelled { id, .. } => assert!(self.working.remove(id), "only what is in work: {event:?}"),
            Event::Closed { .. } => {
                self.closed = true;
                assert!(self.calls.is_empty(), "every call has had its Response before Closed");
                assert!(self.working.is_empty(), "every request in work was cancelled before Closed");
                assert!(!self.conn.wants_input());
            }
            _ => {}
        }
    }

    /// The one request that has come.
    pub(super) fn take_request(&mut self) -> (InboundId, Message, Box<RequestMeta>) {
        let mut found = None;
        for event in self.events() {
            if let Event::Request { id, message, meta } = event {
                assert!(found.replace((id, message, meta)).is_none(), "one request");
            }
        }
        found.expect("a request")
    }

    /// The requests that have come, and nothing else.
    pub(super) fn take_requests(&mut self, count: usize) -> Vec<InboundId> {
        let events = self.events();
        assert_eq!(events.len(), count, "{events:?}");
        let id = |event| match event {
            Event::Request { id, .. } => id,
            other => panic!("{other:?}"),
        };
        events.into_iter().map(id).collect()
    }

    /// How the one call that has ended ended.
    pub(super) fn take_response(&mut self) -> (OutboundId, Outcome) {
        let mut found = None;
        for event in self.events() {
            if let Event::Response { id, result } = event {
                assert!(found.replace((id, outcome(result))).is_none(), "one response");
            }
        }
        found.expect("a response")
    }

    pub(super) fn closed_by(&mut self) -> Option<CloseReason> {
        self.events().into_iter().find_map(|event| match event {
            Event::Closed { reason, .. } => Some(reason),
            _ => None,
        })
    }

    /// The rules that the peer broke, by the events taken now.
    pub(super) fn broken_rules(&mut self) -> Vec<Rule> {
        let rule = |event| if let Event::Misbehaved { rule, .. } = event { Some(rule) } else { None };
        self.events().into_iter().filter_map(rule).collect()
    }
}

/// An `initialize` of a client that offers everything.
pub(super) fn initialize(id: &Value, version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": {
        "protocolVersion": version, "clientInfo": {"name": "c", "version": "1"},
        "capabilities": {"roots": {}, "sampling": {}, "elicitation": {}},
    }})
}

/// A `tools/call` as a client writes it.
pub(super) fn call(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "t", "arguments": {}}})
}

pub(super) fn cancelled(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id, "reason": "why not"}})
}

pub(super) fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::Ready { .. } => "ready",
        Event::Request { .. } => "request",
        Event::Cancelled { .. } => "cancelled",
        Event::Notification { .. } => "notification",
        Event::Progress { .. } => "progress",
        Event::InputRequired { .. } => "input required",
        Event::Response { .. } => "response",
        Event::Routed { .. } => "routed",
        Event::Stray { .. } => "stray",
        Event::Misbehaved { .. } => "misbehaved",
        Event::Writable => "writable",
        Event::Closed { .. } => "closed",
    }
}

pub(super) fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(kind_of).collect()
}

/// One direction of a byte stream.
#[derive(Default)]
pub(super) struct Link {
    bytes: VecDeque<u8>,
    /// While set, nothing moves.
    pub(super) stalled: bool,
    /// Once set, what is under way still arrives, and then the end.
    pub(super) cut: bool,
    ended: bool,
    /// Bytes that move at once; all if `None`.
    pub(super) chunk: Option<usize>,
}

/// A client and a server with a stream between them.
pub(super) struct Pair {
    pub(super) client: Node,
    pub(super) server: Node,
    pub(super) up: Link,
    pub(super) down: Link,
}

impl Pair {
    pub(super) fn new(client: ClientConfig, server: ServerConfig) -> Self {
        let (client, server) = (Node::client(client), Node::server(server));
        Self { client, server, up: Link::default(), down: Link::default() }
    }

    /// Moves bytes until nothing moves any more. Each side's events go to its application, which may use its node.
    pub(super) fn run(
        &mut self,
        mut client_app: impl FnMut(&mut Node, Event),
        mut server_app: impl FnMut(&mut Node, Event),
    ) {
        loop {
            let mut moved = self.up.carry(&mut self.client, &mut self.server);
            moved |= self.down.carry(&mut self.server, &mut self.client);
            for event in self.client.events() {
                moved = true;
                client_app(&mut self.client, event);
            }
            for event in self.server.events() {
                moved = true;
                server_app(&mut self.server, event);
            }
            if !moved {
                break;
            }
        }
    }

    /// Runs until the handshake is done.
    pub(super) fn ready(mut self) -> Self {
        let mut ready = 0;
        let counts = std::cell::RefCell::new(&mut ready);
        let count = |_: &mut Node, event| {
            assert!(matches!(event, Event::Ready { .. }), "{event:?}");
            **counts.borrow_mut() += 1;
        };
        self.run(count, count);
        assert_eq!(ready, 2);
        self
    }

    pub(super) fn wait(&mut self, duration: Duration) {
        self.client.wait(duration);
        self.server.wait(duration);
    }
}

impl Link {
    fn carry(&mut self, from: &mut Node, to: &mut Node) -> bool {
        if self.stalled {
            return false;
        }
        let mut moved = false;
        let mut out = Vec::new();
        while from.conn.drain_lines(&mut out, self.chunk.unwrap_or(usize::MAX)) {
            from.check();
            for line in out.split_inclusive(|byte| *byte == b'\n') {
                from.check_frame(line.strip_suffix(b"\n").expect("frames end with a line end"));
            }
            if !self.cut {
                self.bytes.extend(&out);
            }
            out.clear();
            moved = true;
        }
        while !self.bytes.is_empty() && to.conn.wants_input() {
            let chunk: Vec<u8> = self.bytes.iter().copied().take(self.chunk.unwrap_or(usize::MAX)).collect();
            let taken = to.offer(&chunk);
            self.bytes.drain(..taken);
            moved |= taken > 0;
        }
        if self.cut && self.bytes.is_empty() && !self.ended {
            self.ended = true;
            to.eof();
            moved = true;
        }
        moved
    }
}

/// Answers with what it was asked.
pub(super) fn echo(node: &mut Node, event: Event) {
    if let Event::Request { id, message, .. } = event {
        let params: Value = message.params().decode().unwrap();
        node.respond(id, &json!({ "echo": params })).unwrap();
    }
}

/// Collects how calls ended.
#[derive(Default)]
pub(super) struct Outcomes(pub(super) BTreeMap<OutboundId, Outcome>);

impl Outcomes {
    pub(super) fn take(&mut self, event: Event) {
        if let Event::Response { id, result } = event {
            self.0.insert(id, outcome(result));
        }
    }
}
