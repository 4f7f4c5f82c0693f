//! Slow readers, full queues, and that two full sides always go on.

use std::collections::BTreeMap;
use std::time::Duration;
use std::vec::Vec;

use serde_json::json;

use super::harness::*;
use crate::connection::{CallOptions, Event, InboundId, OutboundId, RequestError, Scope, Why};
use crate::jsonrpc::ErrorObject;
use crate::model::ProtocolVersion::V2025_11_25;

/// 256 handlers of a server all ask their client's user, whose side takes fewer questions at once than that. Every
/// question and every call is answered, and pings and cancels are served meanwhile (basic/utilities/ping: "promptly").
#[test]
fn two_sides_that_ask_each_other_at_their_limits_go_on() {
    let (mut client, mut server) = (client_config(), server_config());
    client.limits.inbound_requests = 16;
    server.limits.inbound_requests = 256;
    let mut pair = Pair::new(client, server).ready();
    let calls: Vec<OutboundId> =
        (0..256).map(|n| pair.client.ask("tools/call", &json!({"name": "ask", "n": n}))).collect();

    let mut parents: BTreeMap<OutboundId, InboundId> = BTreeMap::new();
    let mut questions: Vec<InboundId> = Vec::new();
    let ask = |node: &mut Node, parent: InboundId, parents: &mut BTreeMap<_, _>| {
        let options = CallOptions { within: Some(parent), ..CallOptions::default() };
        parents.insert(node.request(&body("elicitation/create", &json!({"message": "m"})), &options).unwrap(), parent);
    };
    let mut answered = Outcomes::default();
    let mut refused = Vec::new();
    let mut on_client = |questions: &mut Vec<InboundId>, event: Event| match event {
        Event::Request { id, .. } => questions.push(id),
        event => answered.take(event),
    };
    pair.run(
        |_, event| on_client(&mut questions, event),
        |node, event| match event {
            Event::Request { id, .. } => ask(node, id, &mut parents),
            Event::Response { id, result: Err(RequestError::Rpc(error)) } => {
                assert_eq!((error.code.0, error.data), (-32603, Some(json!({"retryable": true}))));
                refused.push(parents[&id]);
            }
            event => panic!("{event:?}"),
        },
    );
    assert_eq!((questions.len(), refused.len()), (16, 240), "as many as the client takes; the others know at once");

    // Both sides are at their limits and wait for each other. A ping and a cancel still get through, both ways.
    let ping = pair.client.ask("ping", &json!({}));
    pair.client.cancel(calls[255], "enough");
    let pong = pair.server.ask("ping", &json!({}));
    let (mut seen_client, mut seen_server) = (Outcomes::default(), Outcomes::default());
    let mut over = Vec::new();
    pair.run(
        |_, event| seen_client.take(event),
        |_, event| match event {
            Event::Cancelled { id, .. } => over.push(id),
            event => seen_server.take(event),
        },
    );
    assert_eq!((&seen_client.0[&ping], &seen_server.0[&pong]), (&Ok(json!({})), &Ok(json!({}))));
    assert_eq!(over.len(), 1);
    pair.server.release(over[0]);
    refused.retain(|parent| *parent != over[0]);

    // The users answer; whoever was refused asks again.
    let mut rounds = 0;
    while !questions.is_empty() {
        rounds += 1;
        assert!(rounds < 1000, "no progress");
        for id in core::mem::take(&mut questions) {
            pair.client.respond(id, &json!({"action": "accept"})).unwrap();
        }
        for parent in core::mem::take(&mut refused) {
            ask(&mut pair.server, parent, &mut parents);
        }
        pair.run(
            |_, event| on_client(&mut questions, event),
            |node, event| match event {
                Event::Response { id, result: Ok(_) } => node.respond(parents[&id], &json!({"asked": true})).unwrap(),
                Event::Response { id, result: Err(_) } => refused.push(parents[&id]),
                event => panic!("{event:?}"),
            },
        );
    }
    let done = calls.iter().filter(|call| answered.0.get(call) == Some(&Ok(json!({"asked": true})))).count();
    assert_eq!(done, 255);
    assert!(pair.server.working.is_empty() && pair.client.working.is_empty());
}

/// At its limit of requests a side lets further ones wait, reads on for pings, cancels and answers, and stops when too many
/// wait. None may wait while it waits for the peer itself.
#[test]
fn reading_goes_on_at_the_limit_while_we_wait_for_the_peer() {
    let mut client = Node::client_in(V2025_11_25, |config| config.limits.inbound_requests = 2);
    for id in [1, 2] {
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "method": "roots/list"}));
    }
    let events = client.events();
    assert!(client.conn.wants_input());
    let asked = client.ask("tools/list", &json!({}));
    assert!(client.conn.wants_input());
    let wire = client.frames()[0]["id"].clone();
    client.tell(&json!({"jsonrpc": "2.0", "id": 3, "method": "roots/list"}));
    assert_eq!(client.frames()[0]["error"]["data"]["retryable"], true);
    client.tell(&json!({"jsonrpc": "2.0", "id": wire, "result": {}}));
    assert_eq!(client.take_response().0, asked);
    assert!(client.conn.wants_input());
    let Event::Request { id, .. } = events[0] else { panic!() };
    client.reject(id, &ErrorObject::internal("no")).unwrap();
    assert!(client.conn.wants_input());
}

/// A client reads on although its own output is stuck: a server that waits until it is read would wait for ever
/// otherwise. A server does not, so one of the two always gives way.
#[test]
fn a_client_reads_on_while_its_output_is_stuck_and_a_server_does_not() {
    let big = body("notifications/x", &json!({"a": "x".repeat(1000)}));
    let mut client = Node::client_in(V2025_11_25, |config| config.limits.output = 2000);
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.output = 2000);
    while client.notify(&big, Scope::Connection).is_ok() {}
    while server.notify(&big, Scope::Connection).is_ok() {}
    assert!(client.conn.wants_input());
    assert!(!server.conn.wants_input());
    assert_eq!(server.offer(b"{\n"), 0);
}

/// Both sides write as fast as they may through links that carry little at a time, and neither loses anything.
#[test]
fn floods_both_ways_through_narrow_links_arrive_whole_and_in_order() {
    let (mut client, mut server) = (client_config(), server_config());
    for limits in [&mut client.limits, &mut server.limits] {
        (limits.output, limits.events) = (3000, 3000);
    }
    let mut pair = Pair::new(client, server).ready();
    (pair.up.chunk, pair.down.chunk) = (Some(700), Some(333));
    let notify = |node: &mut Node, next: &mut u64, waits: &mut bool| {
        while *next < 200 && !*waits {
            let params = json!({"n": *next, "a": "x".repeat(300)});
            match node.notify(&body("notifications/x", &params), Scope::Connection) {
                Ok(()) => *next += 1,
                Err(error) => {
                    assert_eq!(error.why, Why::Full);
                    *waits = true;
                }
            }
        }
    };
    let (mut up, mut down) = ((0, false), (0, false));
    let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
    let take = |node: &mut Node, event, seen: &mut Vec<u64>, sends: &mut (u64, bool)| match event {
        Event::Notification { message, .. } => {
            let params: serde_json::Value = message.params().decode().unwrap();
            seen.push(params["n"].as_u64().unwrap());
        }
        Event::Writable => {
            sends.1 = false;
            notify(node, &mut sends.0, &mut sends.1);
        }
        event => panic!("{event:?}"),
    };
    notify(&mut pair.client, &mut up.0, &mut up.1);
    notify(&mut pair.server, &mut down.0, &mut down.1);
    assert!(up.1 && down.1, "both are full at first");
    pair.run(
        |node, event| take(node, event, &mut at_client, &mut up),
        |node, event| take(node, event, &mut at_server, &mut down),
    );
    let all: Vec<u64> = (0..200).collect();
    assert_eq!((&at_client, &at_server), (&all, &all));
}

/// `Full`, then `Writable`, then it is taken: nobody waits for nothing, and nobody is told without having asked.
#[test]
fn writable_comes_once_after_full() {
    let mut client = Node::client_in(V2025_11_25, |config| config.limits.outbound_requests = 1);
    let first = client.ask("ping", &json!({}));
    client.frames();
    for _ in 0..3 {
        let refused = client.request(&body("ping", &json!({})), &CallOptions::default()).unwrap_err();
        assert_eq!(refused.why, Why::Full);
    }
    assert!(client.events().is_empty());
    client.cancel(first, "");
    let mut seen = kinds(&client.events());
    client.frames();
    seen.extend(kinds(&client.events()));
    assert_eq!(seen, ["response", "writable"]);
    let second = client.ask("ping", &json!({}));
    client.frames();
    client.wait(Duration::from_secs(61));
    let events = client.events();
    assert_eq!(kinds(&events), ["response"], "nobody was refused since");
    assert!(matches!(events[0], Event::Response { id, .. } if id == second));
    assert!(!client.conn.is_output_full());
}

/// A link that stands still for a while costs nothing but time.
#[test]
fn a_stalled_link_goes_on_where_it_stood() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    pair.up.stalled = true;
    let asked = pair.client.ask("tools/call", &json!({"name": "t"}));
    pair.run(|_, event| panic!("{event:?}"), |_, event| panic!("{event:?}"));
    pair.wait(Duration::from_secs(59));
    pair.up.stalled = false;
    let mut answered = Outcomes::default();
    pair.run(|_, event| answered.take(event), echo);
    assert!(answered.0[&asked].is_ok());
}

/// The bytes behind the message at which reading stops stay with the driver, to be offered again.
#[test]
fn what_is_not_taken_is_offered_again() {
    let mut server = Node::server_in(V2025_11_25, |config| {
        config.limits.inbound_requests = 1;
        // Few may wait for a place.
        config.limits.events = 2000;
    });
    let mut wire: Vec<u8> = Vec::new();
    for id in 0..20 {
        wire.extend(std::format!("{}\r\n", call(&json!(id))).as_bytes());
    }
    let mut rest = &wire[..];
    let mut served = Vec::new();
    let mut stops = 0;
    while served.len() < 20 {
        if server.conn.wants_input() {
            let taken = server.offer(rest);
            rest = &rest[taken..];
            stops += usize::from(!rest.is_empty());
        }
        let (id, ..) = server.take_request();
        served.push(id);
        server.respond(id, &json!({})).unwrap();
    }
    assert!(stops >= 2, "what came behind the limit stayed with the driver");
    assert_eq!(served.len(), 20);
    let ids: Vec<_> = server.frames().iter().map(|frame| frame["id"].as_i64().unwrap()).collect();
    assert!(ids.into_iter().eq(0..20));
}
