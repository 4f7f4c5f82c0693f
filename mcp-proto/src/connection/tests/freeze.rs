//! A session moves to another node: frozen at a drained point, thawed, and nobody notices. (The harness does it at every
//! drained point of every other test, too.)

use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{
    CallOptions, Change, ClientConfig, Connection, Event, FreezeError, InboundId, Origin, Scope, ServerConfig, Start,
    ThawError, Wanted,
};
use crate::jsonrpc::{Body, Message, RequestId};
use crate::model::{LogParams, LoggingLevel, Progress, ProtocolVersion, SubscriptionFilter};
use crate::time::Timestamp;

/// What happens to a connection after it was moved, or was not.
type Script<'a> = &'a dyn Fn(&mut Connection, &mut dyn FnMut(&mut Connection));

/// Everything that comes out of a connection.
fn record(conn: &mut Connection, out: &mut Vec<String>) {
    while let Some(event) = conn.poll_event() {
        out.push(std::format!("{event:?}"));
    }
    let mut wire = Vec::new();
    conn.drain_lines(&mut wire, usize::MAX);
    out.push(String::from_utf8(wire).unwrap());
    out.push(std::format!("{:?} {:?} {:?}", conn.poll_timeout(), conn.stats(), conn.wants_input()));
}

/// Plays the script on a connection and on its moved twin; both must say the same.
fn compare(conn: &Connection, thaw: &dyn Fn(&[u8]) -> Connection, script: Script<'_>) {
    let mut moved = thaw(&conn.freeze().unwrap());
    let mut stays = conn.clone();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    script(&mut stays, &mut |conn| record(conn, &mut one));
    script(&mut moved, &mut |conn| record(conn, &mut other));
    assert_eq!(one, other);
    assert!(one.iter().map(String::len).sum::<usize>() > 500, "something happened: {one:?}");
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos((1_000_000 + seconds) * 1_000_000_000)
}

fn line(conn: &mut Connection, now: Timestamp, message: &Value) {
    let text = std::format!("{message}\n");
    assert_eq!(conn.handle_input(now, text.as_bytes()), text.len());
}

/// A server with calls in work (one cancelled, one with progress, one that asks its client back, some that wait for a
/// place), a subscription, a log level, reserved ids, and a client that is being asked.
#[test]
fn a_busy_server_moves() {
    let mut config = server_config();
    config.limits.inbound_requests = 4;
    let config = Arc::new(config);
    let mut server = Connection::server(Arc::clone(&config), Start::Handshake, at(0));
    line(&mut server, at(0), &initialize(&json!("init"), "2025-11-25"));
    line(&mut server, at(0), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    line(
        &mut server,
        at(1),
        &json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "error"}}),
    );
    line(
        &mut server,
        at(1),
        &json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": "x:a"}}),
    );
    let mut ids: Vec<InboundId> = Vec::new();
    let take = |server: &mut Connection, ids: &mut Vec<InboundId>| {
        while let Some(event) = server.poll_event() {
            if let Event::Request { id, .. } = event {
                ids.push(id);
            }
        }
        server.drain_lines(&mut Vec::new(), usize::MAX);
    };
    take(&mut server, &mut ids);
    server.respond(at(1), ids[0], crate::connection::ResultKind::Complete, result(&json!({})), None).unwrap();
    for wire in 10..17 {
        line(
            &mut server,
            at(2),
            &json!({"jsonrpc": "2.0", "id": wire, "method": "tools/call",
            "params": {"name": "t", "arguments": {"text": "ä\u{2028}\u{0}"}, "_meta": {"progressToken": std::format!("p{wire}")}}}),
        );
    }
    line(&mut server, at(2), &cancelled(&json!(10)));
    take(&mut server, &mut ids);
    server.progress(at(3), ids[2], Progress::new(0.1 + 0.2)).unwrap();
    let options = CallOptions { within: Some(ids[3]), progress: Wanted::Yes, ..CallOptions::default() };
    server.request(at(3), body("roots/list", &json!({})), options).unwrap();
    let reserved = server.reserve_id().unwrap();
    take(&mut server, &mut ids);

    let thaw = |frozen: &[u8]| Connection::thaw_server(Arc::clone(&config), frozen, at(3)).unwrap();
    let (ids, reserved) = (&ids, &reserved);
    compare(&server, &thaw, &move |server, record| {
        // The progress that was told stays told, to the bit.
        assert!(server.progress(at(4), ids[2], Progress::new(0.1 + 0.2)).is_err());
        server.progress(at(4), ids[2], Progress::new(f64::from_bits((0.1f64 + 0.2).to_bits() + 1))).unwrap();
        record(server);
        server.changed(at(4), &Change::Resource("x:a".into()));
        server.changed(at(4), &Change::Tools);
        record(server);
        for level in [LoggingLevel::Info, LoggingLevel::Critical] {
            let log = Body::log(&LogParams::new(level, json!("log"))).unwrap();
            server.notify(at(4), log, Scope::Within(ids[2]), None).unwrap();
        }
        record(server);
        // A place becomes free, and the next one that waits takes it.
        server.release(at(5), ids[1]);
        record(server);
        line(server, at(5), &cancelled(&json!(15)));
        line(server, at(5), &json!({"jsonrpc": "2.0", "id": 11, "method": "tools/call", "params": {"name": "reused"}}));
        line(server, at(5), &json!({"jsonrpc": "2.0", "id": reserved, "result": {}}));
        record(server);
        server.respond(at(6), ids[3], crate::connection::ResultKind::Complete, result(&json!({})), None).unwrap();
        record(server);
        server.handle_timeout(at(10_000));
        record(server);
        server.handle_eof(at(10_001));
        record(server);
        server.handle_timeout(at(20_000));
        record(server);
        assert!(server.is_drained());
    });
}

/// A client in the middle of rounds: one call asked, one sent again, one held back, one with progress, a listen, one on its
/// way to a time-out; and a probe that was late.
#[test]
fn a_busy_client_moves() {
    let mut config = client_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    let config = Arc::new(config);
    let mut client = Connection::client(Arc::clone(&config), at(0));
    let drain = |client: &mut Connection| {
        while client.poll_event().is_some() {}
        let mut wire = Vec::new();
        client.drain_lines(&mut wire, usize::MAX);
        let text = String::from_utf8(wire).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let id = drain(&mut client)[0]["id"].clone();
    line(
        &mut client,
        at(0),
        &json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete",
        "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "resources": {"subscribe": true}}}}),
    );
    let mut calls = Vec::new();
    let mut wires = Vec::new();
    for method in ["tools/call", "tools/call", "tools/call", "tools/list", "subscriptions/listen"] {
        let mut options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
        options.meta = json!({"com.example/k": [0.1, "ä"]}).as_object().cloned();
        let sent = client.request(at(1), body(method, &json!({"name": "t", "notifications": {}})), options);
        calls.push(sent.unwrap());
        wires.push(drain(&mut client)[0]["id"].clone());
    }
    let asks = json!({"resultType": "input_required", "inputRequests": {"k": {"method": "roots/list"}},
        "requestState": "st\"ate\u{e4}"});
    line(&mut client, at(2), &json!({"jsonrpc": "2.0", "id": wires[0], "result": asks}));
    line(&mut client, at(2), &json!({"jsonrpc": "2.0", "id": wires[1], "result": asks}));
    line(
        &mut client,
        at(2),
        &json!({"jsonrpc": "2.0", "id": wires[2], "result": {"resultType": "input_required",
        "requestState": "s"}}),
    );
    line(
        &mut client,
        at(2),
        &json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": wires[3], "progress": 0.5}}),
    );
    let answers = [(String::from("k"), result(&json!({"roots": []})))].into_iter().collect();
    client.supply_input(at(3), calls[0], &answers).unwrap();
    wires[0] = drain(&mut client)[0]["id"].clone();

    let thaw = |frozen: &[u8]| Connection::thaw_client(Arc::clone(&config), frozen, at(2)).unwrap();
    let (calls, wires, answers) = (&calls, &wires, &answers);
    compare(&client, &thaw, &move |client, record| {
        client.supply_input(at(4), calls[1], answers).unwrap();
        record(client);
        client.handle_timeout(at(4));
        record(client);
        line(
            client,
            at(5),
            &json!({"jsonrpc": "2.0", "id": wires[0], "result": {"resultType": "complete", "content": []}}),
        );
        line(client, at(5), &json!({"jsonrpc": "2.0", "id": wires[1], "result": {}}));
        record(client);
        for progress in [0.5, 0.75] {
            line(
                client,
                at(5),
                &json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": wires[3], "progress": progress}}),
            );
        }
        line(
            client,
            at(5),
            &json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed",
            "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": wires[4]}}}),
        );
        record(client);
        client.handle_timeout(at(64));
        record(client);
        client.request(at(65), body("tools/list", &json!({})), CallOptions::default()).unwrap();
        record(client);
        client.handle_broken(at(66), "cut");
        record(client);
    });
}

/// Subscriptions of the modern era move with what was granted.
#[test]
fn a_subscription_moves() {
    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    let config = Arc::new(config);
    let mut server = Connection::server(Arc::clone(&config), Start::Handshake, at(0));
    line(
        &mut server,
        at(0),
        &json!({"jsonrpc": "2.0", "id": "w", "method": "subscriptions/listen", "params": {
        "notifications": {"toolsListChanged": true, "resourceSubscriptions": ["x:a"]},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}}}}),
    );
    let Some(Event::Request { id, .. }) = server.poll_event() else { panic!() };
    let granted = SubscriptionFilter::new().with_tools_list_changed(true).with_resource_subscriptions(["x:a".into()]);
    server.grant(at(0), id, &granted).unwrap();
    server.drain_lines(&mut Vec::new(), usize::MAX);
    let thaw = |frozen: &[u8]| Connection::thaw_server(Arc::clone(&config), frozen, at(1)).unwrap();
    compare(&server, &thaw, &move |server, record| {
        for change in [Change::Tools, Change::Prompts, Change::Resource("x:a".into()), Change::Resource("x:b".into())] {
            server.changed(at(2), &change);
        }
        record(server);
        server.close(at(3), std::time::Duration::from_secs(1));
        record(server);
    });
}

/// What a peer sends may nest as deep as messages may; what was taken is also thawed.
#[test]
fn what_nests_deep_is_thawed() {
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!({"x": inner}));
    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    let config = Arc::new(config);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1", "k": deep(123)},
        "io.modelcontextprotocol/clientCapabilities": {"experimental": {"k": deep(122)}}});
    let handshake = json!({"protocolVersion": "2025-11-25", "clientInfo": {"name": "c", "version": "1", "k": deep(124)},
        "capabilities": {"experimental": {"k": deep(123)}}});
    let filter = json!({"toolsListChanged": true, "k": deep(124)});
    for (method, params) in [
        ("initialize", handshake),
        ("tools/call", json!({"name": "t", "_meta": meta})),
        ("subscriptions/listen", json!({"_meta": meta, "notifications": filter})),
    ] {
        let mut server = Connection::server(Arc::clone(&config), Start::Handshake, at(0));
        line(&mut server, at(0), &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        let event = server.poll_event();
        assert!(matches!(event, Some(Event::Ready { .. } | Event::Request { .. })), "{method}: {event:?}");
        server.drain_lines(&mut Vec::new(), usize::MAX);
        let thawed = Connection::thaw_server(Arc::clone(&config), &server.freeze().unwrap(), at(0));
        assert!(thawed.is_ok(), "{method}: {thawed:?}");
    }
}

/// Output and events must be taken first, a line must be whole, and the end leaves nothing to move.
#[test]
fn only_a_drained_point_is_frozen() {
    let mut server = Connection::server(Arc::new(server_config()), Start::Handshake, at(0));
    server.handle_input(at(0), b"{\"jsonrpc\":\"2.0\",");
    assert_eq!(server.freeze(), Err(FreezeError::InsideMessage));
    server.handle_input(at(0), b"\"id\":1,\"method\":\"ping\"}\n");
    assert_eq!(server.freeze(), Err(FreezeError::NotDrained), "output");
    server.drain_lines(&mut Vec::new(), usize::MAX);
    assert!(server.freeze().is_ok());
    line(&mut server, at(0), &initialize(&json!(2), "2025-06-18"));
    server.drain_lines(&mut Vec::new(), usize::MAX);
    assert_eq!(server.freeze(), Err(FreezeError::NotDrained), "an event");
    server.poll_event();
    assert!(server.freeze().is_ok());
    server.handle_eof(at(1));
    while server.poll_event().is_some() {}
    assert_eq!(server.freeze(), Err(FreezeError::Ended));
}

/// Other bytes, another format and the other role are told apart, and none is thawed.
#[test]
fn what_was_not_frozen_is_not_thawed() {
    let (client, server): (Arc<ClientConfig>, Arc<ServerConfig>) =
        (Arc::new(client_config()), Arc::new(server_config()));
    let mut node = Connection::server(Arc::clone(&server), Start::Handshake, at(0));
    let frozen = node.freeze().unwrap();
    assert_eq!(Connection::thaw_client(Arc::clone(&client), &frozen, at(0)).unwrap_err(), ThawError::OtherRole);
    let text = String::from_utf8(frozen).unwrap();
    let other = text.replacen("\"format\":6", "\"format\":1", 1);
    let thawed = Connection::thaw_server(Arc::clone(&server), other.as_bytes(), at(0));
    assert_eq!(thawed.unwrap_err(), ThawError::OtherFormat(1));
    // Cut or damaged at every place: an error or a connection, and never a panic.
    line(&mut node, at(0), &initialize(&json!(2), "2025-06-18"));
    line(&mut node, at(0), &call(&json!(3)));
    while node.poll_event().is_some() {}
    node.drain_lines(&mut Vec::new(), usize::MAX);
    let frozen = node.freeze().unwrap();
    for at_byte in 0..frozen.len() {
        let cut = Connection::thaw_server(Arc::clone(&server), &frozen[..at_byte], at(0));
        assert!(matches!(cut, Err(ThawError::Unreadable(_))), "{at_byte}");
        let mut damaged = frozen.clone();
        damaged[at_byte] ^= 1;
        if let Ok(mut thawed) = Connection::thaw_server(Arc::clone(&server), &damaged, at(0)) {
            thawed.handle_timeout(at(1));
            thawed.handle_eof(at(2));
        }
    }
}

/// Exchanges other than the stream's are part of what moves; attachments are not.
#[test]
fn exchanges_move_and_attachments_stay() {
    let config = Arc::new(server_config());
    let version = ProtocolVersion::V2025_11_25;
    let mut server = Connection::server(Arc::clone(&config), Start::Assume(version), at(0));
    for origin in [7, 8] {
        let message = Message::scan(call(&json!(1)).to_string().as_bytes(), &config.limits);
        server.handle_message(at(0), Origin::new(origin), message);
    }
    let mut ids = Vec::new();
    while let Some(event) = server.poll_event() {
        if let Event::Request { id, meta, .. } = event {
            assert_eq!(meta.wire_id, RequestId::Number(1));
            ids.push(id);
        }
    }
    let mut moved = Connection::thaw_server(config, &server.freeze().unwrap(), at(0)).unwrap();
    for (id, origin) in ids.into_iter().zip([7, 8]).rev() {
        let kind = crate::connection::ResultKind::Complete;
        moved.respond(at(1), id, kind, result(&json!({"n": origin})), None).unwrap();
        assert_eq!(moved.poll_transmit().unwrap().origin, Origin::new(origin));
    }
}
