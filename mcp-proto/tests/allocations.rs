//! How often each kind of message asks for memory, exactly: one more is a change that somebody has to mean.
//!
//! The allocator of this binary counts by thread, so the tests may run side by side. A block that grows counts once more.
//! Whatever is kept from one message to the next (queues, tables, the driver's buffer) is there already when counting begins.

use std::sync::Arc;

use allocation_counter::measure;
use mcp_proto::jsonrpc::{Kind, RequestId};
use mcp_proto::model::{
    CallToolParams, CallToolResult, ClientCapabilities, Implementation, Progress, ServerCapabilities, ToolsCapability,
};
use mcp_proto::{
    Body, CallOptions, ClientConfig, Connection, Event, Limits, Message, Origin, OutboundId, ProtocolVersion,
    ResultKind, ServerConfig, Start, Timestamp, Wanted,
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::EPOCH;

/// What a piece of work has asked of the allocator.
#[derive(Clone, Copy, Debug)]
struct Spent {
    blocks: u64,
    bytes: u64,
}

fn spent<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let mut done = None;
    let info = measure(|| done = Some(work()));
    (done.expect("it ran"), Spent { blocks: info.count_total, bytes: info.bytes_total })
}

/// Blocks that serde_json needs to decode one number: with its feature `arbitrary_precision`, which any crate of the build
/// may switch on, it makes a string of it first.
fn number() -> u64 {
    let (id, spent) = spent(|| serde_json::from_str::<RequestId>("7").expect("a number"));
    assert_eq!(id, RequestId::Number(7));
    assert!(spent.blocks <= 1 && (spent.blocks == 1 || !cfg!(feature = "hostile-serde-features")));
    spent.blocks
}

/// The number of blocks is what it is; of the bytes only that they are not many more.
#[track_caller]
fn pin(what: &str, spent: Spent, blocks: u64, bytes_at_most: u64) {
    assert_eq!(spent.blocks, blocks, "{what}: {spent:?}");
    assert!(spent.bytes <= bytes_at_most, "{what}: {spent:?}");
}

fn scan(text: &str) -> (Message, Spent) {
    let limits = Limits::default();
    spent(|| Message::scan(text.as_bytes(), &limits))
}

#[track_caller]
fn pin_scan(text: &str, kind: Kind, blocks: u64) -> Message {
    let (message, spent) = scan(text);
    assert_eq!(message.kind(), kind, "{text:.200}");
    pin(&format!("{text:.60}"), spent, blocks, text.len() as u64 + 128);
    message
}

/// The text, shared by all clones of the message, is the one block.
#[test]
fn a_scanned_message_is_one_block() {
    let plain = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":1}}}"#;
    let message = pin_scan(plain, Kind::Request, 1);
    let (_, clone) = spent(|| message.clone());
    pin("a clone", clone, 0, 0);
    let (name, read) = spent(|| (message.method().len(), message.name().map(str::len), message.arguments().is_some()));
    assert_eq!(name, (10, Some(3), true));
    pin("looking", read, 0, 0);

    for text in [
        // The order of the members.
        r#"{"params":{"arguments":{"a":1},"name":"add"},"method":"tools/call","id":7,"jsonrpc":"2.0"}"#,
        // Members that nobody knows, at both levels.
        r#"{"x":[1,{"y":2}],"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"z":{"w":[[]]},"name":"add"},"v":"u"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","_meta":{"progressToken":7}}}"#,
        // Escapes in what is not looked at.
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":"\n\u0041"}}}"#,
        r#" {"jsonrpc":"2.0","id":7,"method":"ping"} "#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#,
    ] {
        pin_scan(text, Kind::Request, 1);
    }
    pin_scan(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification, 1);
    pin_scan(
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.5}}"#,
        Kind::Notification,
        1,
    );
    pin_scan(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no","data":{"a":[]}}}"#, Kind::Error, 1);
    pin_scan(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#, Kind::Error, 1);
}

/// Nor does a result cost more, whatever is in it.
#[test]
fn a_scanned_result_is_one_block() {
    let tools: Vec<_> = (0..50)
        .map(|at| json!({ "name": format!("tool-{at}"), "inputSchema": { "type": "object", "properties": { "a": { "type": "string" } } } }))
        .collect();
    for result in [
        json!({}),
        json!({ "tools": tools, "nextCursor": "50" }),
        json!({ "content": [{ "type": "text", "text": "hello" }] }),
        json!({ "content": [], "structuredContent": { "rows": [[1, 2, 3], [4, 5, 6]], "more": { "a": { "b": {} } } } }),
        json!({ "resultType": "complete", "content": [], "_meta": { "a": 1 } }),
        json!({ "resultType": "input_required", "inputRequests": { "q": {} }, "requestState": "s" }),
        json!({ "content": [{ "type": "text", "text": "x".repeat(1 << 20) }] }),
    ] {
        pin_scan(&json!({ "jsonrpc": "2.0", "id": 7, "result": result }).to_string(), Kind::Result, 1);
    }
}

/// The scanner keeps no stack and no list.
#[test]
fn neither_depth_nor_width_costs_memory() {
    for count in [1, 10, 100, 120] {
        let (open, close) = ("[".repeat(count), "]".repeat(count));
        let deep = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"m","params":{{"arguments":{{"a":{open}{close}}}}}}}"#);
        pin_scan(&deep, Kind::Request, 1);
    }
    for count in [1, 100, 10_000] {
        let members: String = (0..count).map(|at| format!(r#""m{at}":{{}},"#)).collect();
        let wide = format!(r#"{{{members}"jsonrpc":"2.0","id":7,"method":"m","params":{{{members}"name":"n"}}}}"#);
        pin_scan(&wide, Kind::Request, 1);
    }
}

/// What is kept apart from the text: an id that is a string, and what had escapes.
#[test]
fn only_strings_that_are_kept_cost_more() {
    // The text, and the id.
    pin_scan(r#"{"jsonrpc":"2.0","id":"seven","method":"ping"}"#, Kind::Request, 2);
    // The text, what the escapes are undone in (it grows once), and the method.
    pin_scan(r#"{"jsonrpc":"2.0","id":7,"method":"tools\/call"}"#, Kind::Request, 4);
    // The text, and twice as much for a key, which is compared and forgotten.
    pin_scan(r#"{"jsonrpc":"2.0","id":7,"m\u0065thod":"ping"}"#, Kind::Request, 3);
    // What is no message is rare: its text, what is wrong with it, and the search for an id to echo.
    pin_scan(r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, Kind::Malformed, 6);
    pin_scan("no json", Kind::Malformed, 2);
}

/// One block, encoded into and later closed in place.
#[test]
fn a_small_body_is_one_block() {
    let params = CallToolParams::new("add");
    let (_, call) = spent(|| Body::new("tools/call", &params));
    pin("Body::new", call, 1, 128);
    let (_, ping) = spent(|| Body::empty("ping"));
    pin("Body::empty", ping, 1, 128);
    let value = CallToolResult::text("hello");
    let (_, result) = spent(|| Body::result(&value));
    pin("Body::result", result, 1, 128);
    let (_, empty) = spent(Body::empty_result);
    pin("Body::empty_result", empty, 1, 64);
    // serde_json begins with 128 bytes, grows to hold the text, and doubles for the quote behind it.
    let params = CallToolParams::new("x".repeat(100_000));
    let (_, large) = spent(|| Body::new("tools/call", &params));
    pin("Body::new of 100 kB", large, 3, 310_000);
}

// A server at work.

fn server_config(version: ProtocolVersion) -> Arc<ServerConfig> {
    let mut config = ServerConfig::new(Implementation::new("server", "1"));
    config.capabilities = ServerCapabilities::default().with_tools(ToolsCapability::default());
    config.versions = vec![version];
    Arc::new(config)
}

fn server(version: ProtocolVersion) -> Connection {
    let mut server = Connection::server(server_config(version), Start::Assume(version), NOW);
    assert!(matches!(server.poll_event(), Some(Event::Ready { .. })));
    server
}

#[test]
fn a_server_s_connection_begins_with_nothing() {
    for version in [ProtocolVersion::V2025_11_25, ProtocolVersion::V2026_07_28] {
        let config = server_config(version);
        let (_, assumed) = spent(|| Connection::server(config.clone(), Start::Assume(version), NOW));
        pin("server, assumed", assumed, 0, 0);
        let (_, fresh) = spent(|| Connection::server(config.clone(), Start::Handshake, NOW));
        pin("server, handshake", fresh, 0, 0);
    }
}

#[derive(Clone, Copy)]
enum MetaIs {
    Absent,
    Token,
    Modern,
}

fn tools_call(id: &Value, meta: MetaIs) -> String {
    let mut params = json!({ "name": "add", "arguments": { "a": 1, "b": 2 } });
    match meta {
        MetaIs::Absent => {}
        MetaIs::Token => params["_meta"] = json!({ "progressToken": id }),
        MetaIs::Modern => {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "client", "version": "1" },
            });
        }
    }
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string()
}

/// The parts of one call, as a driver does them.
#[derive(Debug)]
struct Served {
    scan: Spent,
    handle: Spent,
    decode: Spent,
    encode: Spent,
    respond: Spent,
    drain: Spent,
}

fn serve(server: &mut Connection, text: &str, wire: &mut Vec<u8>) -> Served {
    #[derive(serde::Deserialize)]
    struct Add {
        a: i64,
        b: i64,
    }
    let limits = Limits::default();
    let (message, scan) = spent(|| Message::scan(text.as_bytes(), &limits));
    let (event, handle) = spent(|| {
        server.handle_message(NOW, Origin::STREAM, message);
        server.poll_event()
    });
    let Some(Event::Request { id, message, meta }) = event else { panic!("no request: {event:?}") };
    let (sum, decode) = spent(|| {
        assert_eq!(message.name(), Some("add"));
        let add: Add = message.arguments().expect("arguments").decode().expect("two numbers");
        add.a + add.b
    });
    let result = CallToolResult::text(sum.to_string());
    let (body, encode) = spent(|| Body::result(&result).expect("a result"));
    let (_, respond) = spent(|| {
        drop((message, meta));
        server.respond(NOW, id, ResultKind::Complete, body, None).expect("it is open");
    });
    let (_, drain) = spent(|| {
        wire.clear();
        server.drain_lines(wire, usize::MAX)
    });
    Served { scan, handle, decode, encode, respond, drain }
}

fn serve_warm(version: ProtocolVersion, id: &Value, meta: MetaIs) -> Served {
    let (mut server, mut wire) = (server(version), Vec::with_capacity(4096));
    // The queue and the tables get their first blocks, and then keep them.
    let text = tools_call(id, meta);
    let mut rounds = (0..100).map(|_| serve(&mut server, &text, &mut wire));
    let early = rounds.nth(3).expect("a hundred");
    let late = rounds.last().expect("a hundred");
    assert_eq!(early.blocks(), late.blocks());
    late
}

impl Served {
    fn parts(&self) -> [Spent; 6] {
        [self.scan, self.handle, self.decode, self.encode, self.respond, self.drain]
    }

    fn blocks(&self) -> [u64; 6] {
        self.parts().map(|part| part.blocks)
    }
}

#[track_caller]
fn pin_served(served: &Served, blocks: [u64; 6], bytes_at_most: u64) {
    assert_eq!(served.blocks(), blocks, "{served:?}");
    assert!(served.parts().iter().map(|part| part.bytes).sum::<u64>() <= bytes_at_most, "{served:?}");
}

/// Scan, handle, decode, encode, respond, drain.
#[test]
fn a_call_at_a_server() {
    let legacy = ProtocolVersion::V2025_11_25;
    // The text; the facts that go with the event; the body, which is closed in place and copied to the driver's buffer.
    pin_served(&serve_warm(legacy, &json!(7), MetaIs::Absent), [1, 1, 0, 1, 0, 0], 500);
    // A token costs nothing, where decoding a number does not.
    pin_served(&serve_warm(legacy, &json!(7), MetaIs::Token), [1, 1 + number(), 0, 1, 0, 0], 500);
    // An id that is a string is kept by the message, by the table, by its index and by the facts, and for the refusal.
    pin_served(&serve_warm(legacy, &json!("seven"), MetaIs::Absent), [2, 5, 0, 1, 0, 0], 500);
    // The facts, the peer, and its name and version; what the core adds to the result, our own name as JSON, and the frame,
    // which grows by it.
    let modern = ProtocolVersion::V2026_07_28;
    pin_served(&serve_warm(modern, &json!(7), MetaIs::Modern), [1, 4, 0, 1, 3, 0], 4000);
}

/// A line that comes whole is scanned where it stands.
#[test]
fn a_line_costs_no_more_than_its_message() {
    let (mut server, mut wire) = (server(ProtocolVersion::V2025_11_25), Vec::with_capacity(4096));
    let line = tools_call(&json!(7), MetaIs::Absent);
    serve(&mut server, &line, &mut wire);
    let line = line + "\n";
    let (event, taken) = spent(|| {
        server.handle_input(NOW, line.as_bytes());
        server.poll_event()
    });
    assert!(matches!(event, Some(Event::Request { .. })));
    // The text, and the facts.
    pin("a line", taken, 2, 500);
}

#[test]
fn ping_progress_and_cancel_at_a_server() {
    let (mut server, mut wire) = (server(ProtocolVersion::V2025_11_25), Vec::with_capacity(4096));
    let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    for round in 0..4 {
        let message = scan(ping).0;
        let (_, pinged) = spent(|| {
            server.handle_message(NOW, Origin::STREAM, message);
            wire.clear();
            server.drain_lines(&mut wire, usize::MAX)
        });
        server.handle_message(NOW, Origin::STREAM, scan(&tools_call(&json!(7), MetaIs::Token)).0);
        let Some(Event::Request { id, .. }) = server.poll_event() else { panic!("no request") };
        let (_, progressed) = spent(|| {
            server.progress(NOW, id, Progress::new(0.5).with_total(1)).expect("it rises");
            wire.clear();
            server.drain_lines(&mut wire, usize::MAX)
        });
        assert!(String::from_utf8_lossy(&wire).contains("notifications/progress"));
        let message = scan(cancel).0;
        let (event, cancelled) = spent(|| {
            server.handle_message(NOW, Origin::STREAM, message);
            server.release(NOW, id);
            server.poll_event()
        });
        assert!(matches!(event, Some(Event::Cancelled { .. })));
        if round == 3 {
            // The frame.
            pin("ping", pinged, 1, 200);
            pin("progress", progressed, 1, 200);
            // Nothing but decoding the id.
            pin("cancelled", cancelled, number(), 50);
        }
    }
}

// A client at work.

fn client(version: ProtocolVersion) -> Connection {
    let mut config = ClientConfig::new(Implementation::new("client", "1"));
    config.capabilities = ClientCapabilities::default();
    config.versions = vec![version];
    let mut client = Connection::client(Arc::new(config), NOW);
    let answer = if version == ProtocolVersion::V2026_07_28 {
        json!({ "resultType": "complete", "supportedVersions": [version.as_str()], "capabilities": { "tools": {} },
            "ttlMs": 0, "cacheScope": "private" })
    } else {
        json!({ "protocolVersion": version.as_str(), "capabilities": { "tools": {} }, "serverInfo": { "name": "s", "version": "1" } })
    };
    client.drain_lines(&mut Vec::new(), usize::MAX);
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": answer }).to_string();
    client.handle_message(NOW, Origin::STREAM, scan(&answer).0);
    assert!(matches!(client.poll_event(), Some(Event::Ready { .. })));
    client.drain_lines(&mut Vec::new(), usize::MAX);
    client
}

/// The parts of one call, as a driver does them.
#[derive(Debug)]
struct Called {
    encode: Spent,
    request: Spent,
    drain: Spent,
    scan: Spent,
    handle: Spent,
}

fn start(client: &mut Connection, wire: &mut Vec<u8>, wanted: Wanted) -> (OutboundId, i64, [Spent; 3]) {
    let mut params = CallToolParams::new("add");
    params.arguments = json!({ "a": 1, "b": 2 }).as_object().cloned();
    let (body, encode) = spent(|| Body::new("tools/call", &params).expect("a request"));
    let (id, request) = spent(|| {
        let mut options = CallOptions::default();
        options.progress = wanted;
        client.request(NOW, body, options).expect("room")
    });
    let (_, drain) = spent(|| {
        wire.clear();
        client.drain_lines(wire, usize::MAX)
    });
    let sent: Value = serde_json::from_slice(wire).expect("JSON");
    (id, sent["id"].as_i64().expect("an id"), [encode, request, drain])
}

fn call(client: &mut Connection, wire: &mut Vec<u8>) -> Called {
    let (_, id, [encode, request, drain]) = start(client, wire, Wanted::No);
    let result = json!({ "resultType": "complete", "content": [{ "type": "text", "text": "3" }] });
    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
    let (message, scan) = scan(&answer);
    let (event, handle) = spent(|| {
        client.handle_message(NOW, Origin::STREAM, message);
        client.poll_event()
    });
    assert!(matches!(event, Some(Event::Response { result: Ok(_), .. })), "{event:?}");
    Called { encode, request, drain, scan, handle }
}

impl Called {
    fn parts(&self) -> [Spent; 5] {
        [self.encode, self.request, self.drain, self.scan, self.handle]
    }

    fn blocks(&self) -> [u64; 5] {
        self.parts().map(|part| part.blocks)
    }
}

#[track_caller]
fn pin_called(version: ProtocolVersion, blocks: [u64; 5], bytes_at_most: u64) {
    let (mut client, mut wire) = (client(version), Vec::with_capacity(4096));
    let mut rounds = (0..100).map(|_| call(&mut client, &mut wire));
    let early = rounds.nth(3).expect("a hundred");
    let late = rounds.last().expect("a hundred");
    assert_eq!(early.blocks(), late.blocks());
    assert_eq!(late.blocks(), blocks, "{late:?}");
    assert!(late.parts().iter().map(|part| part.bytes).sum::<u64>() <= bytes_at_most, "{late:?}");
}

/// Encode, request, drain, scan, handle.
#[test]
fn a_call_at_a_client() {
    // The body, which is closed in place; the answer's text.
    pin_called(ProtocolVersion::V2025_11_25, [1, 0, 0, 1, 0], 400);
    // What is kept in case the server asks back (its place, and a copy of the body); what the core adds, our capabilities and
    // our name as JSON; the frame, which grows by it.
    pin_called(ProtocolVersion::V2026_07_28, [1, 6, 0, 1, 0], 2000);
}

#[test]
fn token_progress_and_cancel_at_a_client() {
    let (mut client, mut wire) = (client(ProtocolVersion::V2025_11_25), Vec::with_capacity(4096));
    for round in 0..4 {
        let (id, wire_id, [_, requested, _]) = start(&mut client, &mut wire, Wanted::Yes);
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": wire_id, "progress": 0.5, "total": 1 } })
        .to_string();
        let message = scan(&progress).0;
        let (event, progressed) = spent(|| {
            client.handle_message(NOW, Origin::STREAM, message);
            client.poll_event()
        });
        assert!(matches!(event, Some(Event::Progress { .. })));
        let (event, cancelled) = spent(|| {
            client.cancel(NOW, id, "enough");
            wire.clear();
            client.drain_lines(&mut wire, usize::MAX);
            client.poll_event()
        });
        assert!(matches!(event, Some(Event::Response { .. })));
        assert!(String::from_utf8_lossy(&wire).contains("notifications/cancelled"));
        if round == 3 {
            // What the core adds; it fits into the body's block.
            pin("a request with a token", requested, 1, 300);
            // Nothing but decoding the token.
            pin("progress", progressed, number(), 50);
            // The reason, and the frame.
            pin("cancel", cancelled, 2, 300);
        }
    }
}
