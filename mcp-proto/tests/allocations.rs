//! How often each kind of message asks for memory, exactly: one more is a change that somebody has to mean.
//!
//! The allocator of this binary counts by thread, so the tests may run side by side. A block that grows counts once more.
//! Whatever is kept from one message to the next (queues, tables, the driver's buffer) is there already when counting begins.

use std::sync::Arc;

use allocation_counter::measure;
use mcp_proto::jsonrpc::Kind;
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

/// The number of blocks is what it is; of the bytes only that they are not many more.
#[track_caller]
fn pin(what: &str, spent: Spent, blocks: u64, bytes_at_most: u64) {
    println!("PIN {what}: {} blocks {} bytes", spent.blocks, spent.bytes);
    if std::env::var("SHOW").is_ok() {
        return;
    }
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
    pin(&format!("{text:.60}"), spent, blocks, text.len() as u64 + 96);
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
    // The id.
    pin_scan(r#"{"jsonrpc":"2.0","id":"seven","method":"ping"}"#, Kind::Request, 2);
    // The method: serde_json's scratch, the string, and its box, which drops what the string had to spare.
    pin_scan(r#"{"jsonrpc":"2.0","id":7,"method":"tools\/call"}"#, Kind::Request, 4);
    // A key is decoded to be compared, and forgotten.
    pin_scan(r#"{"jsonrpc":"2.0","id":7,"m\u0065thod":"ping"}"#, Kind::Request, 3);
    // The start of the text, what is wrong, and the id's text, which will be echoed.
    pin_scan(r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, Kind::Malformed, 3);
    pin_scan("no json", Kind::Malformed, 3);
}

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
    let params = CallToolParams::new("x".repeat(100_000));
    let (_, large) = spent(|| Body::new("tools/call", &params));
    pin("Body::new of 100 kB", large, 11, 300_000);
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
fn a_connection_begins_with_nothing() {
    for version in [ProtocolVersion::V2025_11_25, ProtocolVersion::V2026_07_28] {
        let config = server_config(version);
        let (_, assumed) = spent(|| Connection::server(config.clone(), Start::Assume(version), NOW));
        pin("server, assumed", assumed, 0, 0);
        let (_, fresh) = spent(|| Connection::server(config.clone(), Start::Handshake, NOW));
        pin("server, handshake", fresh, 0, 0);
    }
}

#[derive(Clone, Copy, PartialEq)]
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
    // The queues and tables get their first blocks.
    for _ in 0..3 {
        serve(&mut server, &tools_call(id, meta), &mut wire);
    }
    serve(&mut server, &tools_call(id, meta), &mut wire)
}

#[track_caller]
fn pin_served(what: &str, served: &Served, blocks: [u64; 6], bytes_at_most: u64) {
    let Served { scan, handle, decode, encode, respond, drain } = *served;
    let all = [scan, handle, decode, encode, respond, drain];
    println!("PIN {what}: {:?} {}", all.map(|part| part.blocks), all.iter().map(|it| it.bytes).sum::<u64>());
    if std::env::var("SHOW").is_ok() {
        return;
    }
    assert_eq!(all.map(|part| part.blocks), blocks, "{what}: {served:?}");
    assert!(all.iter().map(|part| part.bytes).sum::<u64>() <= bytes_at_most, "{what}: {served:?}");
}

#[test]
fn a_server_s_call() {
    let legacy = ProtocolVersion::V2025_11_25;
    pin_served("legacy", &serve_warm(legacy, &json!(7), MetaIs::Absent), [1, 1, 0, 1, 0, 0], 1000);
    pin_served("token", &serve_warm(legacy, &json!(7), MetaIs::Token), [1, 1, 0, 1, 0, 0], 1000);
    pin_served("string id", &serve_warm(legacy, &json!("seven"), MetaIs::Absent), [1, 1, 0, 1, 0, 0], 1000);
    let modern = ProtocolVersion::V2026_07_28;
    pin_served("modern", &serve_warm(modern, &json!(7), MetaIs::Modern), [1, 1, 0, 1, 0, 0], 1000);
}

#[test]
fn a_server_s_small_change() {
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
            pin("ping", pinged, 1, 200);
            pin("progress", progressed, 1, 200);
            pin("cancelled", cancelled, 0, 200);
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

#[track_caller]
fn pin_called(version: ProtocolVersion, blocks: [u64; 5], bytes_at_most: u64) {
    let (mut client, mut wire) = (client(version), Vec::with_capacity(4096));
    for _ in 0..3 {
        call(&mut client, &mut wire);
    }
    let called = call(&mut client, &mut wire);
    let Called { encode, request, drain, scan, handle } = called;
    let all = [encode, request, drain, scan, handle];
    println!("PIN {version}: {:?} {}", all.map(|part| part.blocks), all.iter().map(|it| it.bytes).sum::<u64>());
    if std::env::var("SHOW").is_ok() {
        return;
    }
    assert_eq!(all.map(|part| part.blocks), blocks, "{version}: {called:?}");
    assert!(all.iter().map(|part| part.bytes).sum::<u64>() <= bytes_at_most, "{version}: {called:?}");
}

#[test]
fn a_client_s_call() {
    pin_called(ProtocolVersion::V2025_11_25, [1, 0, 0, 1, 0], 600);
    pin_called(ProtocolVersion::V2026_07_28, [1, 0, 0, 1, 0], 600);
}

#[test]
fn a_client_s_small_change() {
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
            pin("client request with token", requested, 0, 200);
            pin("client progress", progressed, 0, 200);
            pin("client cancel", cancelled, 2, 400);
        }
    }
}
