//! Requests that the connection answers by itself, once the application has seen them.

use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{Event, InboundId, OwnAnswers, RespondError, ResultKind, Rule};
use crate::jsonrpc::{Body, ErrorObject, Fault};
use crate::model::{LoggingLevel, ProtocolVersion};

use ProtocolVersion::{V2025_06_18, V2025_11_25, V2026_07_28};

/// A server whose application is shown everything.
fn shown() -> Node {
    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    config.own_answers = OwnAnswers::Shown;
    Node::server(config)
}

fn note(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": method})
}

impl Node {
    /// Gives the answer that the connection would have given.
    fn agree(&mut self, id: InboundId, answer: &Body) {
        let sent = self.step(|conn, now| conn.respond(now, id, ResultKind::Complete, answer.clone(), None));
        self.answered(id, sent).unwrap();
    }
}

/// What an agreeing application leads to is what happens without it, byte for byte.
#[test]
fn an_agreed_answer_is_the_connections_own() {
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
        initialize(&json!(2), "2025-06-18"),
        note("notifications/initialized"),
        json!({"jsonrpc": "2.0", "id": 3, "method": "logging/setLevel", "params": {"level": "error"}}),
        json!({"jsonrpc": "2.0", "id": 4, "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 5, "method": "server/discover", "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }}}),
    ];
    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    let (mut alone, mut asking) = (Node::server(config), shown());
    let mut seen = Vec::new();
    for message in messages {
        alone.tell(&message);
        asking.tell(&message);
        for event in asking.events() {
            match event {
                Event::Request { id, message, meta } => {
                    seen.push((String::from(message.method()), meta.version));
                    asking.agree(id, meta.own_answer.as_ref().unwrap());
                    assert!(asking.working.is_empty());
                }
                other => panic!("{other:?}"),
            }
        }
        let told = |node: &mut Node| (kinds(&node.events()), node.frames());
        assert_eq!(told(&mut alone), told(&mut asking), "{message}");
        assert_eq!(alone.conn.version(), asking.conn.version());
        assert_eq!(alone.conn.peer(), asking.conn.peer());
    }
    let seen = seen.iter().map(|(method, version)| (method.as_str(), *version)).collect::<Vec<_>>();
    let before = ProtocolVersion::V2024_11_05;
    assert_eq!(
        seen,
        [
            ("ping", before),
            ("initialize", V2025_06_18),
            ("logging/setLevel", V2025_06_18),
            ("ping", V2025_06_18),
            ("server/discover", V2026_07_28),
        ]
    );
    let log = |level| Body::log(&crate::model::LogParams::new(level, json!("x"))).unwrap();
    for (level, sent) in [(LoggingLevel::Warning, 0), (LoggingLevel::Error, 1)] {
        asking.notify(&log(level), crate::connection::Scope::Connection).unwrap();
        assert_eq!(asking.frames().len(), sent, "{level}");
    }
}

/// An error to `initialize` leaves no session behind, and the client may try again.
#[test]
fn a_client_that_is_not_welcome_has_no_session() {
    let mut server = shown();
    server.tell(&initialize(&json!(1), "2025-11-25"));
    let (id, message, meta) = server.take_request();
    assert_eq!((message.method(), meta.peer.as_ref().unwrap().info.name.as_str()), ("initialize", "c"));
    server.reject(id, &ErrorObject::new(-9, "not you")).unwrap();
    assert_eq!(server.frames()[0]["error"]["code"], -9);
    assert_eq!((server.conn.version(), server.conn.peer()), (None, None));
    server.tell(&call(&json!(2)));
    assert_eq!(server.frames()[0]["error"]["code"], -32600, "not initialized");
    assert_eq!(server.broken_rules(), [Rule::NotInitialized]);
    server.tell(&initialize(&json!(3), "2025-11-25"));
    let (id, _, meta) = server.take_request();
    server.agree(id, meta.own_answer.as_ref().unwrap());
    assert!(matches!(server.events()[..], [Event::Ready { .. }]));
    assert_eq!(server.frames()[0]["result"]["protocolVersion"], "2025-11-25");
    // It is one handshake all the same.
    server.tell(&initialize(&json!(4), "2025-11-25"));
    assert_eq!(server.frames()[0]["error"]["code"], -32600);
    assert_eq!(server.broken_rules(), [Rule::SecondInitialize]);
}

/// What comes behind `initialize` waits until it is decided, however the bytes are cut.
#[test]
fn what_follows_waits_for_the_verdict() {
    let mut server = shown();
    let lines = std::format!(
        "{}\n{}\n{}\n",
        initialize(&json!(1), "2025-11-25"),
        note("notifications/initialized"),
        call(&json!(2))
    );
    let taken = server.offer(lines.as_bytes());
    assert!(taken < lines.len() && !server.conn.wants_input());
    let (id, _, meta) = server.take_request();
    server.agree(id, meta.own_answer.as_ref().unwrap());
    assert!(server.conn.wants_input());
    server.bytes(&lines.as_bytes()[taken..]);
    assert_eq!(kinds(&server.events()), ["ready", "request"]);
}

/// A message that a driver hands in all the same is answered, and the handshake goes on. `initialize` MUST NOT be cancelled
/// (specification: basic/utilities/cancellation).
#[test]
fn what_comes_before_the_verdict_is_refused() {
    let mut server = shown();
    server.tell(&initialize(&json!(1), "2025-11-25"));
    let (id, _, meta) = server.take_request();
    let hand_in = |server: &mut Node, message: Value| {
        let limits = crate::connection::Limits::default();
        let message = crate::jsonrpc::Message::scan(message.to_string().as_bytes(), &limits);
        server.step(|conn, now| conn.handle_message(now, crate::connection::Origin::STREAM, message.clone()));
    };
    hand_in(&mut server, initialize(&json!(2), "2025-11-25"));
    hand_in(&mut server, call(&json!(3)));
    hand_in(&mut server, cancelled(&json!(1)));
    let frames = server.frames();
    assert_eq!(frames.iter().map(|frame| &frame["error"]["code"]).collect::<Vec<_>>(), [-32600, -32600]);
    let broken = [Rule::SecondInitialize, Rule::NotInitialized, Rule::BadNotification(Fault::BadParam("requestId"))];
    assert_eq!(server.broken_rules(), broken);
    server.agree(id, meta.own_answer.as_ref().unwrap());
    assert_eq!(server.conn.version(), Some(V2025_11_25));
}

/// An application that never decides does not hold the client for ever.
#[test]
fn a_verdict_has_a_deadline() {
    let mut server = shown();
    server.tell(&initialize(&json!(1), "2025-11-25"));
    let (id, _, meta) = server.take_request();
    server.wait(Duration::from_secs(30) - Duration::from_nanos(1));
    assert!(server.frames().is_empty() && !server.conn.wants_input());
    server.wait(Duration::from_nanos(1));
    assert_eq!(server.frames()[0]["error"]["code"], -32603);
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    assert!(server.conn.wants_input() && server.conn.poll_timeout().is_none());
    let late = meta.own_answer.clone().unwrap();
    let sent = server.step(|conn, now| conn.respond(now, id, ResultKind::Complete, late.clone(), None));
    assert!(matches!(sent, Err(RespondError::Gone)), "{sent:?}");
    assert_eq!(server.conn.version(), None);
    // The end comes while it is not decided.
    server.tell(&initialize(&json!(2), "2025-11-25"));
    assert_eq!(kinds(&server.events()), ["request"]);
    server.close(Duration::ZERO);
    assert_eq!(kinds(&server.events()), ["cancelled", "closed"]);
}

/// Pings are answered whatever is in work, and nobody begins a session unseen.
#[test]
fn without_a_free_place_only_initialize_is_shown() {
    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    config.own_answers = OwnAnswers::Shown;
    config.limits.inbound_requests = 1;
    let mut server = Node::server(config);
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }}}));
    assert_eq!(kinds(&server.events()), ["request"]);
    server.tell(&json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}));
    assert_eq!((server.frames()[0]["id"].clone(), server.events().len()), (json!(2), 0));
    server.tell(&initialize(&json!(3), "2025-11-25"));
    let (id, _, meta) = server.take_request();
    server.agree(id, meta.own_answer.as_ref().unwrap());
    assert_eq!(server.frames()[0]["id"], 3);
}

/// A client is shown the server's pings.
#[test]
fn a_client_is_shown_pings() {
    let mut client = Node::client_in(V2025_11_25, |config| config.own_answers = OwnAnswers::Shown);
    client.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    let (id, _, meta) = client.take_request();
    client.agree(id, meta.own_answer.as_ref().unwrap());
    assert_eq!(client.frames(), [json!({"jsonrpc": "2.0", "id": 1, "result": {}})]);
}
