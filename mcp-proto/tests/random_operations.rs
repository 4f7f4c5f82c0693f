//! Random operations on a client and a server, and hostile bytes between them: what always holds must hold after each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::jsonrpc::{Fault, Kind, Message};
use mcp_proto::model::{
    ClientCapabilities, ElicitationCapability, Implementation, LogParams, LoggingLevel, RootsCapability,
    ServerCapabilities, Supported, ToolsCapability,
};
use mcp_proto::{
    Body, CallOptions, ClientConfig, Connection, Deadlines, ErrorObject, Event, InboundId, Limits, OutboundId,
    RespondError, ResultKind, Scope, ServerConfig, Start, Timestamp, Wanted,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

/// The same cases every time.
const SEED: RngSeed = RngSeed::Fixed(1);

/// Something that happens to one of the two sides.
#[derive(Clone, Debug)]
enum Operation {
    /// So many bytes of what the other side has sent arrive.
    Carry(usize),
    /// A line that the other side did not send arrives.
    Hostile(Vec<u8>),
    /// The application asks for something; perhaps on behalf of a request in work.
    Request {
        method: &'static str,
        size: usize,
        progress: bool,
        nested: bool,
        seconds: u64,
    },
    Notify {
        method: &'static str,
        size: usize,
        within: bool,
    },
    Log(usize),
    Progress(prop::sample::Index, f64),
    Respond(prop::sample::Index, usize),
    Reject(prop::sample::Index),
    Release(prop::sample::Index),
    Cancel(prop::sample::Index),
    /// The driver takes some of the output, and all or none of the events.
    Drain(usize),
    Events(usize),
    Wait(u64),
    Eof,
    Broken,
    Close(u64),
}

use Operation::*;

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof![
        4 => (0..6i64).prop_map(|id| id.to_string()),
        1 => prop::sample::select(&["null", "1.5", "\"1\"", "\"x\"", "9223372036854775808", "{}", "true"][..]).prop_map(String::from),
    ];
    let method = prop::sample::select(
        &[
            "ping",
            "initialize",
            "tools/call",
            "tools/list",
            "logging/setLevel",
            "roots/list",
            "elicitation/create",
            "vendor/x",
            "notifications/cancelled",
            "notifications/initialized",
            "notifications/progress",
        ][..],
    );
    let params = prop::sample::select(
        &[
            "{}",
            "[]",
            "null",
            "{\"name\":\"t\"}",
            "{\"level\":\"debug\"}",
            "{\"_meta\":{\"progressToken\":1}}",
            "{\"_meta\":3}",
            "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"roots\":{}},\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}}",
            "{\"requestId\":1}",
            "{\"requestId\":2,\"reason\":\"r\"}",
            "{\"requestId\":null}",
            "{\"progressToken\":1,\"progress\":1}",
            "{\"progressToken\":2,\"progress\":2.5}",
        ][..],
    );
    let outcome = prop::sample::select(
        &[
            "\"result\":{}",
            "\"result\":[]",
            "\"error\":{\"code\":-1,\"message\":\"m\"}",
            "\"error\":null",
            "\"result\":{},\"error\":{}",
            "\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"s\",\"version\":\"1\"}}",
        ][..],
    );
    let message = prop_oneof![
        4 => (id.clone(), method.clone(), params.clone())
            .prop_map(|(id, method, params)| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)),
        2 => (method, params).prop_map(|(method, params)| format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)),
        3 => (id.clone(), outcome).prop_map(|(id, outcome)| format!(r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#)),
        1 => (id, 500..6000usize)
            .prop_map(|(id, size)| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":{{"a":"{}"}}}}"#, "x".repeat(size))),
        1 => Just("[]".into()), 1 => Just("noise".into()), 1 => Just("{\"a\":".repeat(200)),
    ];
    let whole = message.prop_map(|line| format!("{line}\n").into_bytes());
    prop_oneof![6 => whole, 1 => proptest::collection::vec(any::<u8>(), 0..30)]
}

fn operation() -> impl Strategy<Value = Operation> {
    let index = any::<prop::sample::Index>;
    let size = prop_oneof![6 => 0..200usize, 2 => 200..1500usize, 1 => 1500..6000usize];
    let method = prop::sample::select(
        &["tools/call", "ping", "roots/list", "elicitation/create", "vendor/x", "prompts/get"][..],
    );
    let notification = prop::sample::select(&["notifications/x", "notifications/tools/list_changed"][..]);
    prop_oneof![
        20 => prop_oneof![1 => 0..50usize, 3 => Just(100_000)].prop_map(Carry),
        4 => hostile().prop_map(Hostile),
        10 => (method, size.clone(), any::<bool>(), any::<bool>(), 0..400u64)
            .prop_map(|(method, size, progress, nested, seconds)| Request { method, size, progress, nested, seconds }),
        4 => (notification, size.clone(), any::<bool>()).prop_map(|(method, size, within)| Notify { method, size, within }),
        3 => (0..8usize).prop_map(Log),
        5 => (index(), prop_oneof![5 => 0.0..100.0f64, 1 => any::<f64>()]).prop_map(|(at, to)| Progress(at, to)),
        8 => (index(), size).prop_map(|(at, size)| Respond(at, size)),
        3 => index().prop_map(Reject),
        3 => index().prop_map(Release),
        4 => index().prop_map(Cancel),
        15 => prop_oneof![1 => 1..500usize, 3 => Just(100_000)].prop_map(Drain),
        15 => prop_oneof![1 => 1..3usize, 3 => Just(1000)].prop_map(Events),
        6 => (0..70_000u64).prop_map(Wait),
        1 => prop_oneof![Just(Eof), Just(Broken), (0..20u64).prop_map(Close)],
    ]
}

/// One side, what its application knows, and what the wire holds for the other.
struct Side {
    conn: Connection,
    config: Config,
    now: Timestamp,
    limits: Limits,
    calls: Vec<OutboundId>,
    open: BTreeSet<OutboundId>,
    requests: Vec<InboundId>,
    live: BTreeSet<InboundId>,
    wire_ids: BTreeSet<String>,
    wire: Vec<u8>,
    closed: bool,
}

enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.frame, limits.output, limits.events) = (4000, 3000, 3000);
    (limits.inbound_requests, limits.outbound_requests, limits.strikes) = (4, 5, 10);
    limits
}

impl Side {
    fn new(conn: Connection, config: Config) -> Self {
        let (now, limits) = (Timestamp::EPOCH, limits());
        let (calls, requests, wire) = (Vec::new(), Vec::new(), Vec::new());
        let (open, live, wire_ids) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { conn, config, now, limits, calls, open, requests, live, wire_ids, wire, closed: false }
    }

    fn body(method: &str, size: usize) -> Body {
        Body::new(method, &json!({ "text": "x".repeat(size) })).expect("an object")
    }

    fn pick<T: Copy>(from: &[T], at: prop::sample::Index) -> Option<T> {
        (!from.is_empty()).then(|| from[at.index(from.len())])
    }

    /// Does it, on a clone as well, and compares.
    fn perform(&mut self, operation: &Operation, incoming: &mut Vec<u8>) {
        let mut twin = self.conn.clone();
        let mut arrived = incoming.clone();
        Self::act(&mut twin, self.now, operation, &self.requests, &self.calls, &mut arrived);
        let (taken, call, answered) =
            Self::act(&mut self.conn, self.now, operation, &self.requests, &self.calls, incoming);
        assert_eq!(format!("{twin:?}"), format!("{:?}", self.conn), "a clone behaves like the original");
        assert_eq!(&arrived, incoming);
        self.move_to_another_node();
        if let Carry(_) | Hostile(_) = operation {
            assert!(taken || !self.conn.wants_input(), "input is left only for backpressure");
        }
        if let Some(call) = call {
            assert!(self.calls.last().is_none_or(|last| *last < call), "handles are never reused");
            self.calls.push(call);
            self.open.insert(call);
        }
        if let Some(answered) = answered {
            self.live.remove(&answered);
        }
    }

    /// At a drained point the connection is frozen and goes on as what was thawed.
    fn move_to_another_node(&mut self) {
        let Ok(frozen) = self.conn.freeze() else { return };
        let thawed = match &self.config {
            Config::Client(config) => Connection::thaw_client(Arc::clone(config), &frozen, Timestamp::EPOCH),
            Config::Server(config) => Connection::thaw_server(Arc::clone(config), &frozen, Timestamp::EPOCH),
        };
        let thawed = thawed.expect("what was frozen is thawed");
        assert_eq!(thawed.freeze().as_ref(), Ok(&frozen), "nothing is lost on the way");
        self.conn = thawed;
    }

    #[allow(clippy::type_complexity, reason = "what came of it, in one place")]
    fn act(
        conn: &mut Connection,
        now: Timestamp,
        operation: &Operation,
        requests: &[InboundId],
        calls: &[OutboundId],
        incoming: &mut Vec<u8>,
    ) -> (bool, Option<OutboundId>, Option<InboundId>) {
        let (mut taken, mut call, mut answered) = (true, None, None);
        match operation {
            Carry(bytes) => {
                let offered = incoming.len().min(*bytes);
                let used = conn.handle_input(now, &incoming[..offered]);
                incoming.drain(..used);
                taken = used == offered;
            }
            Hostile(line) => taken = conn.handle_input(now, line) == line.len(),
            Request { method, size, progress, nested, seconds } => {
                let mut options = CallOptions::default();
                options.progress = if *progress { Wanted::Yes } else { Wanted::No };
                options.within = requests.last().copied().filter(|_| *nested);
                let seconds = Duration::from_secs(*seconds);
                options.deadlines = Deadlines::Call { idle: seconds, cap: seconds * 2 };
                call = conn.request(now, Self::body(method, *size), options).ok();
            }
            Notify { method, size, within } => {
                let scope = requests.last().filter(|_| *within).map_or(Scope::Connection, |id| Scope::Within(*id));
                let _ = conn.notify(now, Self::body(method, *size), scope, None);
            }
            Log(level) => {
                let log = LogParams::new(LoggingLevel::ALL[*level], json!("x"));
                let _ = conn.notify(now, Body::log(&log).expect("a log"), Scope::Connection, None);
            }
            Progress(at, to) => {
                if let Some(id) = Self::pick(requests, *at) {
                    let _ = conn.progress(now, id, mcp_proto::model::Progress::new(*to));
                }
            }
            Respond(at, size) => {
                if let Some(id) = Self::pick(requests, *at) {
                    let body = Body::result(&json!({ "text": "x".repeat(*size) })).expect("an object");
                    let sent = conn.respond(now, id, ResultKind::Complete, body, None);
                    answered = (sent != Err(RespondError::Gone)).then_some(id);
                }
            }
            Reject(at) => {
                if let Some(id) = Self::pick(requests, *at) {
                    let sent = conn.reject(now, id, &ErrorObject::internal("no"));
                    answered = sent.is_ok().then_some(id);
                }
            }
            Release(at) => {
                if let Some(id) = Self::pick(requests, *at) {
                    conn.release(now, id);
                }
            }
            Cancel(at) => {
                if let Some(id) = Self::pick(calls, *at) {
                    conn.cancel(now, id, "why not");
                }
            }
            Wait(_) => conn.handle_timeout(now),
            Eof => conn.handle_eof(now),
            Broken => conn.handle_broken(now, "broken"),
            Close(seconds) => conn.close(now, Duration::from_secs(*seconds)),
            Drain(_) | Events(_) => {}
        }
        (taken, call, answered)
    }

    fn drain(&mut self, at_most: usize) {
        let mut out = Vec::new();
        let drained = self.conn.drain_lines(&mut out, at_most);
        assert_eq!(drained, !out.is_empty());
        for line in out.split_inclusive(|byte| *byte == b'\n') {
            let frame = line.strip_suffix(b"\n").expect("a line end");
            let message = Message::scan(frame, &Limits::default());
            // An integer beyond 64 bits is echoed as it came, although we could not read it ourselves.
            let echoes =
                message.fault() == Some(Fault::BadId) && message.text().contains("\"id\":9223372036854775808,");
            assert!(message.kind() != Kind::Malformed || echoes, "{message:?}");
            assert!(frame.len() <= self.limits.frame, "{} bytes", frame.len());
            if message.kind() == Kind::Request {
                let id = message.id().expect("an id").to_string();
                assert!(self.wire_ids.insert(id), "an id is used once: {message:?}");
            }
        }
        self.wire.extend(out);
    }

    fn events(&mut self, at_most: usize) {
        for _ in 0..at_most {
            let Some(event) = self.conn.poll_event() else { break };
            assert!(!self.closed, "nothing after Closed: {event:?}");
            match event {
                Event::Request { id, .. } => {
                    assert!(self.requests.last().is_none_or(|last| *last < id), "handles are never reused");
                    self.requests.push(id);
                    self.live.insert(id);
                }
                Event::Cancelled { id, .. } => assert!(self.live.remove(&id), "cancelled once, and only what is open"),
                Event::Progress { id, progress, .. } => {
                    assert!(self.open.contains(&id) && progress.progress.is_finite());
                }
                Event::Response { id, .. } => assert!(self.open.remove(&id), "exactly one Response"),
                Event::Closed { .. } => {
                    self.closed = true;
                    assert!(self.open.is_empty() && self.live.is_empty(), "all ends before Closed");
                }
                _ => {}
            }
        }
    }

    fn check(&self) {
        let limits = &self.limits;
        // One message more in each queue, an unfinished line, and the last words about what was open.
        let last_words = 1000 * (limits.inbound_requests + limits.outbound_requests + 5);
        let bound = 3 * (limits.frame + 1000) + limits.events + 2 * limits.output + last_words;
        assert!(self.conn.buffered_bytes() <= bound, "{} bytes", self.conn.buffered_bytes());
        if self.conn.is_drained() {
            assert!(self.conn.poll_timeout().is_none() && !self.conn.wants_input());
        }
    }
}

fn pair() -> [Side; 2] {
    let mut config = ClientConfig::new(Implementation::new("client", "1"));
    config.capabilities = ClientCapabilities::default()
        .with_roots(RootsCapability::default())
        .with_elicitation(ElicitationCapability::default());
    config.limits = limits();
    let client_config = Arc::new(config);
    let client = Connection::client(Arc::clone(&client_config), Timestamp::EPOCH);
    let mut config = ServerConfig::new(Implementation::new("server", "1"));
    config.capabilities =
        ServerCapabilities::default().with_tools(ToolsCapability::default()).with_logging(Supported::default());
    config.limits = limits();
    let config = Arc::new(config);
    let server = Connection::server(Arc::clone(&config), Start::Handshake, Timestamp::EPOCH);
    [Side::new(client, Config::Client(client_config)), Side::new(server, Config::Server(config))]
}

fn run(operations: &[(usize, Operation)]) {
    let mut sides = pair();
    // Most sequences begin with a handshake, so that they come to something.
    let handshake: Vec<(usize, Operation)> = [0, 1, 0, 1]
        .into_iter()
        .flat_map(|side| [(side, Carry(100_000)), (side, Drain(100_000)), (side, Events(1000))])
        .collect();
    let begin = if operations.len().is_multiple_of(8) { &[][..] } else { &handshake[..] };
    for (side, operation) in begin.iter().chain(operations) {
        let [client, server] = &mut sides;
        let (this, other) = if *side == 0 { (client, server) } else { (server, client) };
        match operation {
            Drain(at_most) => this.drain(*at_most),
            Events(at_most) => this.events(*at_most),
            operation => {
                if let Wait(millis) = operation {
                    // Both clocks go on; only one of them is looked at now.
                    this.now = this.now + Duration::from_millis(*millis);
                    other.now = this.now.max(other.now);
                }
                this.perform(operation, &mut other.wire);
                if matches!(operation, Wait(_)) {
                    assert!(this.conn.poll_timeout().is_none_or(|at| at > this.now), "the next deadline is ahead");
                }
            }
        }
        this.check();
    }
    finish(sides);
}

/// Whatever has happened: after a close with grace, once the time is over and the outputs are taken, both are drained, and
/// every call has had its answer.
fn finish(mut sides: [Side; 2]) {
    for side in &mut sides {
        side.conn.close(side.now, Duration::from_secs(10));
        side.now = side.now + Duration::from_secs(10_000);
        side.conn.handle_timeout(side.now);
        side.drain(usize::MAX);
        side.events(usize::MAX);
        assert!(side.conn.is_drained() && side.closed, "{:?}", side.conn);
        assert!(side.open.is_empty(), "{:?}", side.open);
        assert_eq!(side.conn.buffered_bytes(), 0, "nothing is held after the end");
        side.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: SEED, ..ProptestConfig::with_cases(256) })]

    /// The invariants of the documentation of `Connection` and `Limits`, whatever happens in whatever order.
    #[test]
    fn what_always_holds_always_holds(operations in proptest::collection::vec((0..2usize, operation()), 0..120)) {
        run(&operations);
    }
}
