//! What the official SDKs said to each other (`tests/golden`, 184 recorded sessions), replayed against our core: the lines
//! of each recorded client against a server of ours, those of each recorded server against a client of ours.

#![allow(clippy::unwrap_used, reason = "a recording that cannot be read is a failure")]

use std::collections::BTreeMap;
use std::sync::Arc;

use mcp_proto::model::{
    ClientCapabilities, Era, Implementation, ProtocolVersion, ServerCapabilities, SubscriptionFilter,
};
use mcp_proto::{
    Body, CallOptions, ClientConfig, Connection, Event, Extension, InboundId, OutboundId, RequestError, ResultKind,
    Rounds, Rule, ServerConfig, Start, Timestamp, Wanted,
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);

/// One recorded session.
struct Session {
    name: String,
    is_modern: bool,
    /// Whether the client said it, and what.
    lines: Vec<(bool, String)>,
}

fn sessions() -> Vec<Session> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/sessions");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let header = lines.next().unwrap();
        let line = |line: Value| (line["from"] == "client", line["line"].as_str().unwrap().to_string());
        Session {
            name: header["session"].as_str().unwrap().to_string(),
            is_modern: header["era"] == "modern",
            lines: lines.map(line).collect(),
        }
    };
    paths.iter().map(read).collect()
}

fn drain(conn: &mut Connection) -> Vec<Value> {
    let mut wire = Vec::new();
    conn.drain_lines(&mut wire, usize::MAX);
    String::from_utf8(wire).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn server_config() -> ServerConfig {
    let mut config = ServerConfig::new(Implementation::new("server", "1"));
    config.capabilities = serde_json::from_value::<ServerCapabilities>(json!({
        "tools": {"listChanged": true}, "prompts": {"listChanged": true}, "logging": {}, "completions": {},
        "resources": {"subscribe": true, "listChanged": true},
        "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}},
        "extensions": {"io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/skills": {}},
    }))
    .unwrap();
    config.versions = ProtocolVersion::ALL.to_vec();
    config
}

/// The rules that a recorded client breaks on our server: by the session's name, and why that is as it should be.
const CLIENT_FAULTS: &[(&str, &str)] = &[
    ("2025-11-25-python-python-crossed", "a second `initialize` is what the scenario is about"),
    ("2025-11-25-python-rmcp-crossed", "the same"),
    ("2025-11-25-python-ts-crossed", "the same"),
    ("2026-07-28-python-python-errors", "a request without `_meta`, broken on purpose, looks like the legacy era's"),
    ("2026-07-28-python-rmcp-errors", "the same"),
    ("2026-07-28-python-ts-errors", "the same"),
];

/// Each request of each recorded client is either answered by the core or handed to the application, once; nothing that a
/// well-made client says is taken for a fault.
#[test]
fn recorded_clients_are_served() {
    let mut faults = Vec::new();
    for session in sessions() {
        let mut server = Connection::server(Arc::new(server_config()), Start::Handshake, NOW);
        let mut subscriptions = BTreeMap::new();
        for (_, line) in session.lines.iter().filter(|(from_client, _)| *from_client) {
            let message: Value = serde_json::from_str(line).unwrap();
            let bytes = format!("{line}\n");
            assert_eq!(server.handle_input(NOW, bytes.as_bytes()), bytes.len(), "{}: {line}", session.name);
            let (mut handed, mut answered) = (0, 0);
            let answers = |frames: &[Value]| frames.iter().filter(|frame| frame["id"] == message["id"]).count();
            let is_request = message.get("method").is_some() && message.get("id").is_some();
            if is_request {
                answered += answers(&drain(&mut server));
            }
            while let Some(event) = server.poll_event() {
                match event {
                    Event::Request { id, message: asked, meta } => {
                        handed += 1;
                        assert_eq!(asked.method(), message["method"], "{}", session.name);
                        let stamped = message["params"]["_meta"].get("io.modelcontextprotocol/protocolVersion");
                        assert_eq!(meta.era == Era::Modern, stamped.is_some(), "{}: {line}", session.name);
                        if asked.method() == "subscriptions/listen" {
                            server
                                .grant(NOW, id, &SubscriptionFilter::default().with_tools_list_changed(true))
                                .unwrap();
                            subscriptions.insert(id, message["id"].clone());
                        } else {
                            server.respond(NOW, id, ResultKind::Complete, Body::empty_result(), None).unwrap();
                            let frames = drain(&mut server);
                            assert_eq!(answers(&frames), 1, "{}: {frames:?}", session.name);
                        }
                    }
                    Event::Misbehaved { rule, detail } => faults.push((session.name.clone(), rule, detail)),
                    Event::Cancelled { id, .. } => assert!(subscriptions.remove(&id).is_some(), "{}", session.name),
                    Event::Closed { reason, .. } => panic!("{}: {reason}", session.name),
                    _ => {}
                }
            }
            if is_request {
                assert_eq!(answered + handed, 1, "{}: {line}", session.name);
            }
            drain(&mut server);
        }
        server.handle_eof(NOW);
        // Subscriptions end with a result, which has to leave first.
        drain(&mut server);
        let mut last = None;
        while let Some(event) = server.poll_event() {
            last = Some(event);
        }
        assert!(matches!(last, Some(Event::Closed { .. })), "{}: {last:?}", session.name);
    }
    check_faults(&faults, CLIENT_FAULTS);
}

/// Each fault must be expected, and each expectation must be met.
fn check_faults(faults: &[(String, Rule, String)], expected: &[(&str, &str)]) {
    for (session, rule, detail) in faults {
        let is_expected = expected.iter().any(|(name, _)| session == name);
        assert!(is_expected, "{session}: {rule}: {detail}");
    }
    for (name, why) in expected {
        assert!(faults.iter().any(|(session, ..)| session == name), "{name}: no fault any more: {why}");
    }
}

/// A client of ours in the place of a recorded one.
struct Client {
    conn: Connection,
    /// What was sent and not looked at yet.
    sent: Vec<Value>,
    /// The recorded ids of requests, and ours.
    ids: BTreeMap<String, Value>,
    tokens: BTreeMap<String, Value>,
    calls: BTreeMap<String, OutboundId>,
    ends: BTreeMap<OutboundId, Result<(), RequestError>>,
    /// The requests of the recorded server.
    asked: BTreeMap<String, InboundId>,
    is_closed: bool,
}

impl Client {
    fn new(session: &Session) -> Self {
        let first = session.lines.iter().find(|(from_client, _)| *from_client).map(|(_, line)| line.as_str());
        let probes = first.is_some_and(|line| line.contains("\"server/discover\""));
        let mut config = ClientConfig::new(Implementation::new("client", "1"));
        config.capabilities = serde_json::from_value::<ClientCapabilities>(json!({
            "roots": {"listChanged": true}, "sampling": {"tools": {}, "context": {}},
            "elicitation": {"form": {}, "url": {}},
            "tasks": {"list": {}, "cancel": {}, "requests": {"sampling": {"createMessage": {}}, "elicitation": {"create": {}}}},
            "extensions": {"io.modelcontextprotocol/tasks": {}},
        }))
        .unwrap();
        config.versions = match (probes, session.is_modern) {
            (true, _) => ProtocolVersion::ALL.to_vec(),
            (false, true) => [ProtocolVersion::V2026_07_28].to_vec(),
            (false, false) => ProtocolVersion::LEGACY.to_vec(),
        };
        let config = config.with_extension(Extension::tasks());
        let mut conn = Connection::client(Arc::new(config), NOW);
        let sent = drain(&mut conn);
        Self {
            conn,
            sent,
            ids: BTreeMap::new(),
            tokens: BTreeMap::new(),
            calls: BTreeMap::new(),
            ends: BTreeMap::new(),
            asked: BTreeMap::new(),
            is_closed: false,
        }
    }

    /// Does what the recorded client did.
    fn act(&mut self, message: &Value) {
        let key = message["id"].to_string();
        match (message["method"].as_str(), message.get("id")) {
            (Some(method), Some(_)) => {
                // The handshake is the core's own affair.
                if let Some(at) = self.sent.iter().position(|frame| frame["method"] == method) {
                    self.ids.insert(key, self.sent.remove(at)["id"].clone());
                    return;
                }
                let mut params = message.get("params").cloned().unwrap_or(json!({}));
                let meta = params.as_object_mut().unwrap().remove("_meta").unwrap_or_default();
                let token = meta.get("progressToken");
                let options = {
                    let mut options = CallOptions::default();
                    options.rounds = Rounds::Return;
                    options.progress = if token.is_some() { Wanted::Yes } else { Wanted::No };
                    options
                };
                // What the core does not send at all was recorded to see it refused.
                let Ok(call) = self.conn.request(NOW, Body::new(method, &params).unwrap(), options) else { return };
                let frame = drain(&mut self.conn).pop().unwrap();
                if let Some(token) = token {
                    self.tokens.insert(token.to_string(), frame["id"].clone());
                }
                self.ids.insert(key.clone(), frame["id"].clone());
                self.calls.insert(key, call);
            }
            (Some("notifications/cancelled"), None) => {
                if let Some(call) = self.calls.get(&message["params"]["requestId"].to_string()) {
                    self.conn.cancel(NOW, *call, "as recorded");
                }
            }
            (Some(_), None) => {}
            (None, _) => {
                let Some(id) = self.asked.remove(&key) else { return };
                let mut result = message.get("result").cloned().unwrap_or(json!({}));
                result.as_object_mut().unwrap().remove("_meta");
                let body = Body::result(&result).unwrap();
                // The server may have taken its question back meanwhile.
                let _ = self.conn.respond(NOW, id, ResultKind::Complete, body, None);
            }
        }
    }

    /// Hears what the recorded server said, with the ids that it would have got from us; `None` if it is about something that
    /// we did not ask.
    fn hear(&mut self, message: &Value) -> Option<Vec<(Rule, String)>> {
        let mut message = message.clone();
        if message.get("method").is_none() {
            message["id"] = self.ids.get(&message["id"].to_string())?.clone();
        }
        for (place, ids) in [
            ("/params/progressToken", &self.tokens),
            ("/params/_meta/io.modelcontextprotocol~1subscriptionId", &self.ids),
            ("/result/_meta/io.modelcontextprotocol~1subscriptionId", &self.ids),
        ] {
            if let Some(id) = message.pointer_mut(place)
                && let Some(ours) = ids.get(&id.to_string())
            {
                *id = ours.clone();
            }
        }
        let line = format!("{message}\n");
        self.conn.handle_input(NOW, line.as_bytes());
        let faults = self.events();
        self.sent.extend(drain(&mut self.conn));
        Some(faults)
    }

    fn events(&mut self) -> Vec<(Rule, String)> {
        let mut faults = Vec::new();
        while let Some(event) = self.conn.poll_event() {
            assert!(!self.is_closed);
            match event {
                Event::Request { id, message, .. } => {
                    self.asked.insert(serde_json::to_string(message.id().unwrap()).unwrap(), id);
                }
                Event::Response { id, result } => assert!(self.ends.insert(id, result.map(drop)).is_none()),
                Event::Misbehaved { rule, detail } => faults.push((rule, detail)),
                Event::Closed { .. } => self.is_closed = true,
                _ => {}
            }
        }
        faults
    }
}

/// The rules that a recorded server breaks: by the session's name, and why.
const SERVER_FAULTS: &[(&str, &str)] = &[];

/// Each call of ours ends once and by what the recorded server said; nothing that a well-made server says is taken for a
/// fault or for an invalid result.
#[test]
fn recorded_servers_are_understood() {
    let mut faults = Vec::new();
    let (mut answered, mut ready) = (0, 0);
    for session in sessions() {
        let mut client = Client::new(&session);
        for (from_client, line) in &session.lines {
            let message: Value = serde_json::from_str(line).unwrap();
            if *from_client {
                client.act(&message);
                faults.extend(client.events().into_iter().map(|(rule, what)| (session.name.clone(), rule, what)));
                continue;
            }
            let found = client.hear(&message).unwrap_or_default();
            faults.extend(found.into_iter().map(|(rule, what)| (session.name.clone(), rule, what)));
            let call = client.calls.get(&message["id"].to_string()).copied();
            if let Some(call) = call.filter(|_| message.get("method").is_none()) {
                match (client.ends.get(&call), message.get("error")) {
                    (Some(Ok(())), None) | (Some(Err(RequestError::Rpc(_))), Some(_)) => answered += 1,
                    (Some(Err(RequestError::Cancelled)), _) => {}
                    (end, _) => panic!("{}: {line:.300}: {end:?}", session.name),
                }
            }
        }
        ready += usize::from(client.conn.version().is_some());
        client.conn.handle_eof(NOW);
        client.events();
        assert!(client.is_closed, "{}", session.name);
        for call in client.calls.values() {
            assert!(client.ends.contains_key(call), "{}: {call:?} has no end", session.name);
        }
    }
    check_faults(&faults, SERVER_FAULTS);
    assert!(answered > 1000 && ready > 170, "{answered} answers, {ready} sessions");
}
