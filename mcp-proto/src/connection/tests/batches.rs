//! Batches, which only 2025-03-26 has: each message is judged by itself, each reply is a line of its own.

use serde_json::{Value, json};

use super::harness::{Node, initialize, result, server_config};
use crate::connection::ResultKind;
use crate::model::ProtocolVersion::{self, V2025_03_26};

/// basic (2025-03-26), Batching: "MCP implementations MUST support receiving JSON-RPC batches". Requests and notifications
/// may be mixed; a notification gets no reply.
#[test]
fn each_request_of_a_batch_is_answered_by_itself() {
    let mut server = Node::server_in(V2025_03_26, |_| {});
    server.tell(&json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": {"name": "t"}},
        17,
        {"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {}},
        [{"jsonrpc": "2.0", "id": 4, "method": "ping"}],
    ]));
    let (id, ..) = server.take_request();
    let now = server.now;
    server.conn.respond(now, id, ResultKind::Complete, result(&json!({"content": []})), None).unwrap();
    let seen = server
        .frames()
        .iter()
        .map(|frame| (frame["id"].clone(), frame["error"]["code"].clone()))
        .collect::<std::vec::Vec<_>>();
    let expected = [
        (json!(1), Value::Null),
        (Value::Null, json!(-32600)),
        (json!(3), json!(-32600)),
        (Value::Null, json!(-32600)),
        (json!("b"), Value::Null),
    ];
    assert_eq!(seen, expected);
    server.events();
}

/// basic/lifecycle (2025-03-26), Initialization: `initialize` MUST NOT be in a batch. Such an array is refused as a whole, and
/// begins no session.
#[test]
fn a_batch_begins_no_session() {
    let mut server = Node::server(server_config());
    server.tell(&json!([initialize(&json!(1), "2025-03-26"), {"jsonrpc": "2.0", "id": 2, "method": "ping"}]));
    let frames = server.frames();
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&Value::Null, &json!(-32600)));
    assert_eq!(server.conn.version(), None);
    server.tell(&initialize(&json!(1), "2025-03-26"));
    assert_eq!(server.frames()[0]["result"]["protocolVersion"], "2025-03-26");
}

/// JSON-RPC 2.0, section 6: an empty array is an invalid request, answered once; a batch of notifications not at all.
#[test]
fn empty_batches_are_refused_and_silent_ones_are_not_answered() {
    let mut server = Node::server_in(V2025_03_26, |_| {});
    server.tell(&json!([]));
    assert_eq!(server.frames()[0]["error"]["code"], -32600);
    server.tell(&json!([{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}]));
    assert!(server.frames().is_empty());
    server.events();
}

/// basic (2025-06-18 and all others): an array is no message.
#[test]
fn other_revisions_have_no_batches() {
    for version in ProtocolVersion::LEGACY.into_iter().filter(|version| *version != V2025_03_26) {
        let mut server = Node::server_in(version, |_| {});
        server.tell(&json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]));
        let frames = server.frames();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0]["error"]["code"], -32600, "{version}");
        server.events();
    }
}

/// A hostile array of a million messages is read one by one, and ends with the connection when it breaks the rules too often.
#[test]
fn a_huge_batch_stays_within_the_limits() {
    let mut server = Node::server_in(V2025_03_26, |_| {});
    let line = std::format!("[{}0]\n", "0,".repeat(1_000_000));
    server.bytes(line.as_bytes());
    assert!(server.conn.stats().broken_rules <= 101);
    server.events();
    server.frames();
}
