//! Connections that many exchanges carry, as over HTTP: where answers leave, when an exchange is over, and what reaches the client
//! outside of them (specification: basic/transports, Streamable HTTP).

use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{
    About, CallOptions, Change, Channel, Connection, Event, InboundId, Origin, Scope, Start, Transmit, Wanted, Why,
};
use crate::jsonrpc::{Body, ErrorCode, ErrorObject, Message};
use crate::model::ProtocolVersion::{V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};
use crate::model::{LogParams, LoggingLevel, Progress, ProtocolVersion, TasksCapability};

const GET: Origin = Origin::STREAM;

/// A session over HTTP: no GET stream is open.
fn session(version: ProtocolVersion) -> Node {
    let mut server = Node::server_in(version, |_| {});
    server.step(|conn, now| conn.handle_channel(now, Channel::Closed));
    server
}

/// The server's side of one exchange of the modern era.
fn exchange() -> Node {
    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    let mut server = Node::server_from(config, Start::Assume(V2026_07_28));
    assert!(matches!(server.events()[..], [Event::Ready { .. }]));
    server
}

fn post(server: &mut Node, origin: u64, message: &Value) {
    let message = Message::scan(message.to_string().as_bytes(), &<_>::default());
    server.step(|conn, now| conn.handle_message(now, Origin::new(origin), message.clone()));
}

/// What leaves, each with its exchange.
fn sent(server: &mut Node) -> Vec<(Transmit, Value)> {
    let next = |server: &mut Node| server.step(|conn, _| Connection::poll_transmit(conn));
    let mut sent = Vec::new();
    while let Some(transmit) = next(server) {
        let frame = server.check_frame(&transmit.frame);
        sent.push((transmit, frame));
    }
    sent
}

/// The exchange of each frame, what it is (its method, or its id), and whether it is the last there.
fn ways(server: &mut Node) -> Vec<(Origin, Value, bool)> {
    let what = |frame: &Value| frame.get("method").or(frame.get("id")).cloned().unwrap_or_default();
    sent(server).into_iter().map(|(transmit, frame)| (transmit.origin, what(&frame), transmit.last)).collect()
}

fn call_with(id: u64, meta: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "t", "arguments": {}, "_meta": meta}})
}

fn modern(id: u64, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"name": "t", "notifications": {"toolsListChanged": true}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}})
}

fn log(text: &str) -> Body {
    Body::log(&LogParams::new(LoggingLevel::Error, json!(text))).unwrap()
}

/// "The server MUST NOT send a JSON-RPC response on \[another\] stream": two requests of one session may have the same id, since
/// some clients number anew with every request; each is answered where it came from, in whatever order.
#[test]
fn pain_1_one_id_on_two_exchanges_is_answered_on_each() {
    for order in [[0, 1], [1, 0]] {
        let mut server = session(V2025_06_18);
        post(&mut server, 7, &call(&json!(1)));
        post(&mut server, 8, &call(&json!(1)));
        let ids = server.take_requests(2);
        for at in order {
            server.respond(ids[at], &json!({ "n": at })).unwrap();
            let sent = sent(&mut server);
            let [(transmit, frame)] = &sent[..] else { panic!("{sent:?}") };
            assert_eq!((transmit.origin, transmit.last), (Origin::new(7 + at as u64), true));
            assert_eq!((&frame["id"], &frame["result"]["n"]), (&json!(1), &json!(at)));
        }
    }
}

/// The same id twice on one exchange is refused there, and the first is untouched.
#[test]
fn one_id_twice_on_one_exchange_is_refused() {
    let mut server = session(V2025_03_26);
    post(&mut server, 7, &json!([call(&json!(1)), call(&json!(1))]));
    let sent = sent(&mut server);
    let [(transmit, _)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(
        (transmit.about, transmit.error, transmit.last),
        (About::Refusal, Some(ErrorCode::INVALID_REQUEST), false)
    );
    let id = server.events().into_iter().find_map(|event| match event {
        Event::Request { id, .. } => Some(id),
        _ => None,
    });
    server.respond(id.unwrap(), &json!({})).unwrap();
    assert_eq!(ways(&mut server), [(Origin::new(7), json!(1), true)]);
}

/// "`last`" says when everything that came by an exchange is answered: a batch has several answers.
#[test]
fn the_last_frame_of_an_exchange_says_so() {
    let mut server = session(V2025_03_26);
    post(&mut server, 7, &json!([call(&json!(1)), call(&json!(2)), {"jsonrpc": "2.0", "id": 3, "method": "ping"}]));
    let ids = server.take_requests(2);
    assert_eq!(ways(&mut server), [(Origin::new(7), json!(3), false)]);
    server.reject(ids[1], &ErrorObject::internal("no")).unwrap();
    server.respond(ids[0], &json!({})).unwrap();
    assert!(server.conn.is_open(Origin::new(7)));
    assert_eq!(ways(&mut server), [(Origin::new(7), json!(2), false), (Origin::new(7), json!(1), true)]);
    assert!(!server.conn.is_open(Origin::new(7)));
}

/// "…notifications … SHOULD relate to the originating client request": progress, logs and questions leave where it came from.
#[test]
fn what_is_said_within_a_request_leaves_by_its_exchange() {
    let mut server = session(V2025_11_25);
    post(&mut server, 7, &call_with(1, &json!({"progressToken": "t"})));
    let (id, ..) = server.take_request();
    let options = CallOptions { within: Some(id), ..CallOptions::default() };
    server.progress(id, &Progress::new(1.0)).unwrap();
    server.notify(&log("text"), Scope::Within(id)).unwrap();
    let asked = server.request(&body("roots/list", &json!({})), &options).unwrap();
    let methods = ["notifications/progress", "notifications/message", "roots/list"];
    assert_eq!(ways(&mut server), methods.map(|method| (Origin::new(7), json!(method), false)));
    server.cancel(asked, "never mind");
    assert_eq!(ways(&mut server), [(Origin::new(7), json!("notifications/cancelled"), false)]);
    server.request(&body("roots/list", &json!({})), &options).unwrap();
    assert_eq!(ways(&mut server), [(Origin::new(7), json!("roots/list"), false)]);
    server.respond(id, &json!({})).unwrap();
    // The question ends with the request, before the answer, which is the last thing.
    let ways = ways(&mut server);
    assert_eq!(ways, [(Origin::new(7), json!("notifications/cancelled"), false), (Origin::new(7), json!(1), true)]);
}

/// basic/utilities/cancellation: the notification has an exchange of its own. It finds its request, whose exchange is over then.
#[test]
fn a_cancel_comes_by_another_exchange() {
    let mut server = session(V2025_11_25);
    post(&mut server, 7, &call(&json!(1)));
    let (id, ..) = server.take_request();
    post(&mut server, 8, &cancelled(&json!(1)));
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    assert!(!server.conn.is_open(Origin::new(7)) && !server.conn.is_open(Origin::new(8)));
    assert!(server.respond(id, &json!({})).is_err());
    assert_eq!(ways(&mut server), []);
}

/// Which of two requests with one id a cancel means nobody can tell; "the receiver MAY ignore" it.
#[test]
fn an_ambiguous_cancel_is_ignored() {
    let mut server = session(V2025_11_25);
    post(&mut server, 7, &call(&json!(1)));
    post(&mut server, 8, &call(&json!(1)));
    let ids = server.take_requests(2);
    post(&mut server, 9, &cancelled(&json!(1)));
    assert!(server.events().is_empty());
    for id in ids {
        server.respond(id, &json!({})).unwrap();
    }
    assert_eq!(ways(&mut server), [(Origin::new(7), json!(1), true), (Origin::new(8), json!(1), true)]);
}

/// 2025-11-25, basic/transports: "Disconnection … SHOULD NOT be interpreted as the client cancelling its request".
#[test]
fn a_disconnect_is_no_cancellation_in_the_legacy_era() {
    let mut server = session(V2025_11_25);
    post(&mut server, 7, &call(&json!(1)));
    let (id, ..) = server.take_request();
    server.step(|conn, now| conn.handle_disconnect(now, Origin::new(7)));
    assert!(server.events().is_empty());
    server.respond(id, &json!({})).unwrap();
    assert_eq!(ways(&mut server), [(Origin::new(7), json!(1), true)]);
}

/// 2026-07-28, basic/transports: closing the response MUST be treated as cancellation. Of a call in work, of a subscription, of one
/// that waits for a place, and of what was said and not sent.
#[test]
fn a_disconnect_cancels_in_the_modern_era() {
    let mut server = exchange();
    post(&mut server, 1, &modern(1, "tools/call"));
    let (id, ..) = server.take_request();
    post(&mut server, 2, &modern(1, "subscriptions/listen"));
    let (listen, ..) = server.take_request();
    server.step(|conn, now| conn.grant(now, listen, &<_>::default())).unwrap();
    post(&mut server, 3, &modern(1, "tools/call"));
    let (other, ..) = server.take_request();
    for origin in [1, 1, 2, 5] {
        server.step(|conn, now| conn.handle_disconnect(now, Origin::new(origin)));
    }
    let events = server.events();
    let ids: Vec<InboundId> = events
        .iter()
        .map(|event| if let Event::Cancelled { id, .. } = event { *id } else { panic!("{event:?}") })
        .collect();
    assert_eq!(ids, [id, listen]);
    assert!(server.respond(id, &json!({})).is_err());
    server.respond(other, &json!({})).unwrap();
    assert_eq!(ways(&mut server), [(Origin::new(3), json!(1), true)]);

    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    config.limits.inbound_requests = 1;
    let mut server = Node::server_from(config, Start::Assume(V2026_07_28));
    post(&mut server, 1, &modern(1, "tools/call"));
    post(&mut server, 2, &modern(1, "tools/call"));
    server.step(|conn, now| conn.handle_disconnect(now, Origin::new(2)));
    let (id, ..) = server.take_request();
    server.respond(id, &json!({})).unwrap();
    assert!(server.events().is_empty(), "nobody wants what has waited");
}

/// Without a GET stream changes are kept until there is one, logs are dropped and counted, and all else is refused.
#[test]
fn without_a_channel_nothing_unrelated_is_sent() {
    let mut server = session(V2025_06_18);
    server.step(|conn, now| conn.changed(now, &Change::Tools));
    server.step(|conn, now| conn.changed(now, &Change::Tools));
    server.notify(&log("lost"), Scope::Connection).unwrap();
    let dropped = server.conn.stats().dropped;
    assert_eq!(dropped, 1);
    for method in ["notifications/tools/list_changed", "notifications/vendor"] {
        let refused = server.notify(&body(method, &json!({})), Scope::Connection).unwrap_err();
        assert_eq!(refused.why, Why::NoChannel, "{method}");
    }
    for method in ["ping", "roots/list"] {
        let refused = server.request(&body(method, &json!({})), &CallOptions::default()).unwrap_err();
        assert_eq!(refused.why, Why::NoChannel, "{method}");
    }
    assert_eq!(ways(&mut server), []);
    server.step(|conn, now| conn.handle_channel(now, Channel::Open));
    assert_eq!(ways(&mut server), [(GET, json!("notifications/tools/list_changed"), false)]);
    server.request(&body("ping", &json!({})), &CallOptions::default()).unwrap();
    assert_eq!(ways(&mut server), [(GET, json!("ping"), false)]);
}

/// A cancellation whose request went where nobody is any more is not sent, and nothing waits for it.
#[test]
fn without_a_channel_a_call_of_ours_just_ends() {
    let mut server = session(V2025_06_18);
    server.step(|conn, now| conn.handle_channel(now, Channel::Open));
    let asked = server.ask("roots/list", &json!({}));
    assert_eq!(ways(&mut server).len(), 1);
    server.step(|conn, now| conn.handle_channel(now, Channel::Closed));
    server.cancel(asked, "");
    assert_eq!(kinds(&server.events()), ["response"]);
    assert_eq!(ways(&mut server), []);
    server.wait(Duration::from_secs(3600));
    assert_eq!(ways(&mut server), []);
}

/// A task of 2025-11-25 reports on after its answer, which was the last frame of its exchange: by the GET stream, if there is one.
#[test]
fn a_task_reports_outside_of_its_exchange() {
    let mut server = Node::server_in(V2025_11_25, |config| {
        config.capabilities = config.capabilities.clone().with_tasks(
            serde_json::from_value::<TasksCapability>(json!({"requests": {"tools": {"call": {}}}})).unwrap(),
        );
    });
    server.step(|conn, now| conn.handle_channel(now, Channel::Closed));
    let mut asked = call_with(1, &json!({"progressToken": "t"}));
    asked["params"]["task"] = json!({});
    post(&mut server, 7, &asked);
    let (id, ..) = server.take_request();
    let task = result(&json!({"task": {"taskId": "1", "status": "working", "createdAt": "2025-11-25T00:00:00Z",
        "lastUpdatedAt": "2025-11-25T00:00:00Z", "ttl": null}}));
    let sent = server.step(|conn, now| conn.respond(now, id, crate::ResultKind::Task, task.clone(), None));
    server.answered(id, sent).unwrap();
    assert_eq!(ways(&mut server), [(Origin::new(7), json!(1), true)]);
    server.progress(id, &Progress::new(1.0)).unwrap();
    assert_eq!(ways(&mut server), []);
    server.step(|conn, now| conn.handle_channel(now, Channel::Open));
    server.progress(id, &Progress::new(2.0)).unwrap();
    assert_eq!(ways(&mut server), [(GET, json!("notifications/progress"), false)]);
}

/// A server that keeps no sessions cannot ask: the answer would come to another connection.
#[test]
fn a_server_without_sessions_asks_nothing() {
    let mut server = Node::server_from(server_config(), Start::Assume(V2025_11_25));
    post(&mut server, 1, &call_with(1, &json!({"progressToken": 1})));
    let (id, ..) = server.take_request();
    let options = CallOptions { within: Some(id), progress: Wanted::No, ..CallOptions::default() };
    let refused = server.request(&body("roots/list", &json!({})), &options).unwrap_err();
    assert_eq!(refused.why, Why::NoChannel);
    server.progress(id, &Progress::new(1.0)).unwrap();
    server.respond(id, &json!({})).unwrap();
    let ways = ways(&mut server);
    assert_eq!(ways, [(Origin::new(1), json!("notifications/progress"), false), (Origin::new(1), json!(1), true)]);
}
