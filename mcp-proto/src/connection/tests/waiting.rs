//! Requests over the limit of those in work: they wait for a place, and everything else goes on.

use serde_json::json;

use super::harness::{Node, call, cancelled, kinds};
use crate::connection::Event;
use crate::model::ProtocolVersion::V2025_11_25;

/// All places taken: pings are answered, cancels reach the work and those who wait, and places are filled in order.
#[test]
fn a_saturated_server_is_not_deaf() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.inbound_requests = 2);
    for id in 1..=5 {
        server.tell(&call(&json!(id)));
    }
    let first = server.take_requests(2);
    server.tell(&json!({"jsonrpc": "2.0", "id": "p", "method": "ping"}));
    assert_eq!(server.frames()[0]["id"], "p");
    server.tell(&cancelled(&json!(1)));
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    server.tell(&cancelled(&json!(4)));
    assert!(server.events().is_empty(), "nobody had begun with it");
    server.release(first[0]);
    let third = server.take_request();
    assert_eq!(third.1.id(), Some(&3.into()));
    server.respond(third.0, &json!({})).unwrap();
    let fifth = server.take_request();
    assert_eq!(fifth.1.id(), Some(&5.into()), "the fourth was cancelled while it waited");
    server.respond(fifth.0, &json!({})).unwrap();
    server.respond(first[1], &json!({})).unwrap();
    let answered = server.frames().iter().map(|frame| frame["id"].clone()).collect::<std::vec::Vec<_>>();
    assert_eq!(answered, [json!(3), json!(5), json!(2)]);
}

/// An id that waits for a place is in use as well.
#[test]
fn the_id_of_a_waiting_request_cannot_be_reused() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.inbound_requests = 1);
    server.tell(&call(&json!(1)));
    server.tell(&call(&json!(2)));
    let (id, ..) = server.take_request();
    server.tell(&call(&json!(2)));
    assert_eq!(server.frames()[0]["error"]["code"], -32600);
    assert!(matches!(server.events()[..], [Event::Misbehaved { .. }]));
    server.respond(id, &json!({})).unwrap();
    server.take_request();
}

/// What waits is bounded like events: then reading stops.
#[test]
fn not_everything_may_wait() {
    let mut server = Node::server_in(V2025_11_25, |config| {
        config.limits.inbound_requests = 1;
        config.limits.events = 4000;
    });
    let mut told = 0;
    while server.conn.wants_input() {
        server.tell(&call(&json!(told)));
        server.take_requests(usize::from(told == 0));
        told += 1;
        assert!(told < 100);
    }
    assert!(server.conn.buffered_bytes() < 4000 + 2 * 1000);
    assert_eq!(server.offer(b"x"), 0);
}
