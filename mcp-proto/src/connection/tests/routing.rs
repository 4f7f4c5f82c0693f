//! What ties a message to those who know more about it: reserved ids, and attachments.

use std::string::ToString;

use serde_json::json;

use super::harness::*;
use crate::connection::{Attachment, CallOptions, Event, Origin, Rule, Why};
use crate::jsonrpc::{Fault, Message, RequestId};
use crate::model::ProtocolVersion::V2025_11_25;

/// A request that somebody else sends in our name has an id that no other request gets, and its answer, result or error, is
/// handed out as such; a second one is a stray.
#[test]
fn answers_to_reserved_ids_are_routed() {
    let mut server = Node::server_in(V2025_11_25, |_| {});
    let id = server.step(|conn, _| conn.reserve_id()).unwrap();
    server.ask("roots/list", &json!({}));
    let ours = server.frames()[0]["id"].clone();
    assert_ne!(serde_json::to_value(&id).unwrap(), ours);
    for answer in [json!({"result": {"roots": []}}), json!({"error": {"code": -1, "message": "no"}})] {
        let reserved = server.step(|conn, _| conn.reserve_id()).unwrap();
        let mut line = json!({"jsonrpc": "2.0", "id": reserved});
        line.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        server.tell(&line);
        let events = server.events();
        let [Event::Routed { message }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(message.id(), Some(&reserved));
        server.tell(&line);
        assert_eq!(kinds(&server.events()), ["stray"], "once");
    }
    server.step(|conn, _| conn.release_id(&id));
    server.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    assert_eq!(kinds(&server.events()), ["stray"], "given back");
    server.tell(&json!({"jsonrpc": "2.0", "id": ours, "result": {"roots": []}}));
    assert_eq!(kinds(&server.events()), ["response"]);
}

/// `Limits::outbound_requests` bounds them.
#[test]
fn reserved_ids_are_bounded() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.outbound_requests = 3);
    let ids: std::vec::Vec<RequestId> = (0..3).map(|_| server.step(|conn, _| conn.reserve_id()).unwrap()).collect();
    assert_eq!(server.step(|conn, _| conn.reserve_id()), Err(Why::Full));
    server.step(|conn, _| conn.release_id(&ids[1]));
    assert!(server.step(|conn, _| conn.reserve_id()).is_ok());
    server.eof();
    server.events();
    assert_eq!(server.step(|conn, _| conn.reserve_id()), Err(Why::Closed));
}

/// The requests in work may all wait for exactly that answer, so it is read even if no further request has a place.
#[test]
fn answers_to_reserved_ids_are_read_whatever_is_in_work() {
    let mut server = Node::server_in(V2025_11_25, |config| {
        config.limits.inbound_requests = 1;
        config.limits.events = 1000;
    });
    server.tell(&call(&json!(1)));
    server.take_request();
    let mut long = call(&json!(2));
    long["params"]["arguments"] = json!({"text": "x".repeat(1000)});
    server.tell(&long);
    assert!(!server.conn.wants_input(), "nothing is asked yet");
    let id = server.step(|conn, _| conn.reserve_id()).unwrap();
    assert!(server.conn.wants_input());
    server.tell(&call(&json!(3)));
    assert_eq!(server.frames()[0]["error"]["data"]["retryable"], true, "two that wait for each other wait for ever");
    server.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    assert_eq!(kinds(&server.events()), ["routed"]);
    assert!(!server.conn.wants_input());
}

/// What waits to be taken counts, whatever its kind: reading stops over `Limits::events`.
#[test]
fn answers_to_reserved_ids_count_as_events() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.events = 2000);
    let id = server.step(|conn, _| conn.reserve_id()).unwrap();
    server.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"text": "x".repeat(3000)}}));
    assert!(server.conn.buffered_bytes() > 3000);
    assert!(!server.conn.wants_input());
    assert_eq!(kinds(&server.events()), ["routed"]);
    assert_eq!(server.conn.buffered_bytes(), 0);
    assert!(server.conn.wants_input());
}

/// What a driver knows of a message comes out with it, and what a caller gives to a request comes out with its frame.
#[test]
fn attachments_travel_with_their_messages_and_not_on_the_wire() {
    let mut server = Node::server_in(V2025_11_25, |_| {});
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t"}}).to_string();
    let message = Message::scan(line.as_bytes(), &crate::connection::Limits::default()).attach(Attachment(77));
    server.step(|conn, now| conn.handle_message(now, Origin::STREAM, message.clone()));
    let (_, message, _) = server.take_request();
    assert_eq!(message.attachment(), Some(Attachment(77)));

    let options = CallOptions { attachment: Some(Attachment(9)), ..CallOptions::default() };
    server.request(&body("roots/list", &json!({})), &options).unwrap();
    let transmit = server.step(|conn, _| conn.poll_transmit()).unwrap();
    assert_eq!(transmit.attachment, Some(Attachment(9)));
    assert!(!std::string::String::from_utf8(transmit.frame).unwrap().contains('9'));
    server.ask("roots/list", &json!({}));
    assert_eq!(server.step(|conn, _| conn.poll_transmit()).unwrap().attachment, None);
}

/// An answer that cannot be read is one all the same: the id is free, and nothing waits for the peer on its behalf.
#[test]
fn a_malformed_answer_frees_its_reserved_id() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.outbound_requests = 1);
    let id = server.step(|conn, _| conn.reserve_id()).unwrap();
    server.tell(&json!({"jsonrpc": "2.0", "id": id, "result": "no object"}));
    assert_eq!(server.broken_rules(), [Rule::Malformed(Fault::BadResult)]);
    let again = server.step(|conn, _| conn.reserve_id()).unwrap();
    assert_ne!(again, id);
    server.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    assert_eq!(kinds(&server.events()), ["stray"], "it had its answer");
}
