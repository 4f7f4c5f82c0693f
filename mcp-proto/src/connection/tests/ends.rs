//! How connections end (specification: basic/lifecycle, Shutdown): end of input, failure, close, with work under way.

use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use serde_json::json;

use super::harness::*;
use crate::connection::{CallOptions, CloseReason, Event, RequestError, RespondError, Rule, Scope, Why};
use crate::model::Progress;
use crate::model::ProtocolVersion::V2025_06_18;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// "For the stdio transport, the client SHOULD initiate shutdown by … closing the input stream": what is in work is still
/// answered, what the server has asked itself fails at once, and then the connection closes.
#[test]
fn calls_in_flight_at_the_end_of_input_are_still_answered() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "t", "_meta": {"progressToken": 1}}}));
    let (id, ..) = server.take_request();
    let asked = server.ask("roots/list", &json!({}));
    server.frames();
    server.eof();
    let failed = server.take_response();
    assert_eq!(failed, (asked, Err(RequestError::Closed(CloseReason::PeerClosed))));
    assert!(!server.conn.wants_input());
    let within = CallOptions { within: Some(id), ..CallOptions::default() };
    let refused = server.request(&body("roots/list", &json!({})), &within).unwrap_err();
    assert_eq!(refused.why, Why::Closed, "nobody is left to answer");
    server.wait(secs(29));
    server.progress(id, &Progress::new(1)).unwrap();
    server.notify(&super::capabilities::log("error"), Scope::Within(id)).unwrap();
    server.respond(id, &json!({"done": true})).unwrap();
    assert!(server.events().is_empty(), "not before it has left");
    assert!(!server.conn.is_drained());
    assert_eq!(server.methods(), ["notifications/progress", "notifications/message", ""]);
    assert_eq!(server.closed_by(), Some(CloseReason::PeerClosed));
    assert!(server.conn.is_drained());
}

/// Whoever does not finish in time is cancelled; nothing waits without a bound.
#[test]
fn the_drain_after_the_end_of_input_is_bounded() {
    let mut server = Node::server_in(V2025_06_18, |config| config.limits.drain = secs(7));
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    server.eof();
    server.wait(secs(7) - Duration::from_millis(1));
    assert!(server.events().is_empty());
    server.wait(Duration::from_millis(2));
    assert_eq!(kinds(&server.events()), ["cancelled", "closed"]);
    assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone));
    assert!(server.conn.is_drained() && server.frames().is_empty());
}

/// An idle server has nothing to wait for.
#[test]
fn an_idle_connection_closes_with_the_input() {
    for mut node in
        [Node::server_in(V2025_06_18, |_| {}), Node::client_in(V2025_06_18, |_| {}), Node::server(server_config())]
    {
        node.eof();
        assert_eq!(node.closed_by(), Some(CloseReason::PeerClosed));
        assert!(node.conn.is_drained());
        node.eof();
        node.line("x");
        node.wait(secs(100));
        node.close(Duration::ZERO);
        node.step(|conn, now| conn.handle_broken(now, "late"));
        assert!(node.events().is_empty() && node.frames().is_empty(), "late calls do nothing");
    }
}

/// A client whose server is gone has nobody left to answer: everything open ends at once, each call once.
#[test]
fn a_client_whose_server_ends_fails_its_calls() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let calls = [client.ask("tools/list", &json!({})), client.ask("ping", &json!({}))];
    client.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}));
    client.eof();
    let mut ended = Vec::new();
    for event in client.events() {
        if let Event::Response { id, result } = event {
            assert_eq!(result.unwrap_err(), RequestError::Closed(CloseReason::PeerClosed));
            ended.push(id);
        }
    }
    assert_eq!(ended, calls);
    assert!(client.conn.is_drained());
    let refused = client.request(&body("ping", &json!({})), &CallOptions::default()).unwrap_err();
    assert_eq!(refused.why, Why::Closed);
    assert_eq!(client.notify(&body("notifications/x", &json!({})), Scope::Connection).unwrap_err().why, Why::Closed);
}

/// stdio: "Messages are delimited by newlines"; a last one that lacks its own is served all the same.
#[test]
fn a_last_line_without_its_line_end_is_served() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.bytes(call(&json!(1)).to_string().as_bytes());
    assert!(server.events().is_empty());
    server.eof();
    let (id, ..) = server.take_request();
    server.respond(id, &json!({})).unwrap();
    assert_eq!(server.frames()[0]["id"], 1);
    assert_eq!(server.closed_by(), Some(CloseReason::PeerClosed));

    let mut client = Node::client_in(V2025_06_18, |_| {});
    let asked = client.ask("ping", &json!({}));
    let id = client.frames()[0]["id"].clone();
    client.bytes(json!({"jsonrpc": "2.0", "id": id, "result": {}}).to_string().as_bytes());
    client.eof();
    assert_eq!(client.take_response(), (asked, Ok(json!({}))));
}

/// A stream that ends inside a message is surfaced. If that message's id can be read, its sender is told.
#[test]
fn a_stream_that_ends_inside_a_message_is_surfaced() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.bytes(br#"{"jsonrpc":"2.0","id":1,"meth"#);
    server.eof();
    let events = server.events();
    assert!(matches!(&events[0], Event::Misbehaved { rule: Rule::EndedInMessage(_), .. }), "{events:?}");

    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.bytes(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#);
    server.eof();
    let frames = server.frames();
    assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(1), &json!(-32602)));
    assert!(server.closed_by().is_some());
}

/// A transport that has failed ends everything at once, in the driver's words.
#[test]
fn a_broken_transport_ends_everything_at_once() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    server.events();
    let asked = server.ask("roots/list", &json!({}));
    server.step(|conn, now| conn.handle_broken(now, "ECONNRESET"));
    let events = server.events();
    assert_eq!(kinds(&events), ["response", "cancelled", "closed"]);
    let broken = CloseReason::Broken("ECONNRESET".into());
    let Event::Response { id, result: Err(error) } = &events[0] else { panic!() };
    assert_eq!((*id, error), (asked, &RequestError::Closed(broken.clone())));
    assert!(matches!(&events[2], Event::Closed { reason, while_probing: false } if *reason == broken));
    assert!(server.frames().is_empty() && server.conn.is_drained());
}

/// `close` with a grace takes nothing new in either direction and lets what is open finish.
#[test]
fn a_graceful_close_finishes_what_is_open() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    let open = pair.client.ask("tools/call", &json!({"name": "slow"}));
    let mut request = None;
    pair.run(
        |_, _| {},
        |_, event| {
            if let Event::Request { id, .. } = event {
                request = Some(id);
            }
        },
    );
    pair.client.close(secs(10));
    let refused = pair.client.request(&body("ping", &json!({})), &CallOptions::default()).unwrap_err();
    assert_eq!(refused.why, Why::Closed);
    let nested = pair.server.ask("roots/list", &json!({}));
    let mut ended = Outcomes::default();
    pair.run(|_, event| panic!("{event:?}"), |_, event| ended.take(event));
    let Err(RequestError::Rpc(error)) = &ended.0[&nested] else { panic!("{:?}", ended.0) };
    assert_eq!((error.code.0, &error.data), (-32603, &Some(json!({"retryable": true}))));
    pair.server.respond(request.unwrap(), &json!({"late": true})).unwrap();
    let mut seen = Vec::new();
    pair.run(|_, event| seen.push(event), |_, _| {});
    assert_eq!(kinds(&seen), ["response", "closed"]);
    assert!(matches!(&seen[0], Event::Response { id, result: Ok(_) } if *id == open));
    assert!(matches!(&seen[1], Event::Closed { reason: CloseReason::LocallyClosed, .. }));
    assert!(pair.client.conn.is_drained());
}

/// The grace is a bound; a second close may only shorten it, and the first reason is the true one.
#[test]
fn the_grace_of_a_close_is_bounded() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let open = client.ask("tools/call", &json!({"name": "slow"}));
    client.frames();
    client.close(secs(10));
    client.close(secs(1000));
    client.wait(secs(10));
    let events = client.events();
    assert_eq!(kinds(&events), ["response", "closed"]);
    assert!(matches!(&events[0], Event::Response { id, result: Err(RequestError::Closed(CloseReason::LocallyClosed)) }
        if *id == open));

    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    server.events();
    server.close(secs(10));
    server.close(secs(1));
    server.eof();
    server.wait(secs(1));
    let events = server.events();
    assert_eq!(kinds(&events), ["cancelled", "closed"]);
    assert!(matches!(&events[1], Event::Closed { reason: CloseReason::LocallyClosed, .. }));
}

/// Without a grace everything ends now, what is queued included.
#[test]
fn a_close_without_grace_is_immediate() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    server.events();
    let asked = server.ask("roots/list", &json!({}));
    server.close(Duration::ZERO);
    let events = server.events();
    assert_eq!(kinds(&events), ["response", "cancelled", "closed"]);
    assert!(matches!(&events[0], Event::Response { id, result: Err(_) } if *id == asked));
    assert!(server.frames().is_empty() && server.conn.is_drained());
}

/// Both sides of a link that is cut hear of it, and what was under way before the cut still arrives.
#[test]
fn a_cut_link_ends_both_sides() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    let asked = pair.client.ask("tools/call", &json!({"name": "t"}));
    pair.run(|_, _| {}, |_, _| {});
    (pair.up.cut, pair.down.cut) = (true, true);
    let (mut at_client, mut at_server) = (Outcomes::default(), Vec::new());
    pair.run(|_, event| at_client.take(event), |_, event| at_server.push(event));
    assert_eq!(at_client.0[&asked], Err(RequestError::Closed(CloseReason::PeerClosed)));
    assert!(pair.client.conn.is_drained());
    pair.wait(secs(31));
    pair.run(|_, _| {}, |_, event| at_server.push(event));
    assert_eq!(kinds(&at_server), ["cancelled", "closed"]);
    assert!(pair.server.conn.is_drained());
}

/// A request that was cancelled still counts as work: the connection waits for its handler, within the bound.
#[test]
fn the_drain_waits_for_the_handlers_of_cancelled_requests() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    server.tell(&cancelled(&json!(1)));
    server.eof();
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    server.release(id);
    assert_eq!(server.closed_by(), Some(CloseReason::PeerClosed));
}
