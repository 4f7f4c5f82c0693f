//! The transport of 2024-11-05 (specification 2024-11-05: basic/transports, HTTP with SSE; 2025-11-25: Backwards Compatibility).

use std::format;
use std::time::Duration;

use serde_json::json;

use super::harness::*;
use crate::connection::CloseReason;
use crate::http::client::OldTransport;
use crate::model::ProtocolVersion;

use ProtocolVersion::V2024_11_05;

/// A client that was refused as by an old server, and opens the stream of one; and that GET.
fn opening(status: u16) -> (World, Sent) {
    let mut world = World::of(&ProtocolVersion::LEGACY);
    let asked = world.next_post("initialize");
    world.respond(asked.id, status, &[], "");
    let get = world.next_get();
    (world, get)
}

fn session() -> (World, Sent) {
    let (mut world, get) = opening(405);
    world.stream(get.id);
    world.data(get.id, b"event: endpoint\ndata: /messages?sessionId=1\n\n");
    let asked = world.next_post("initialize");
    world.accept(&asked);
    world.event(get.id, "event: message\n", &answer(&asked, &initialized(V2024_11_05)));
    let first = world.next_post("notifications/initialized");
    world.accept(&first);
    assert!(world.is_ready());
    world.sent_nothing();
    (world, get)
}

/// "The server MUST send an `endpoint` event containing a URI for the client to use for sending messages. All subsequent client messages
/// MUST be sent as HTTP POST requests to this endpoint."
#[test]
fn everything_goes_to_the_endpoint_and_answers_come_by_the_stream() {
    for status in [400, 404, 405] {
        let (mut world, get) = opening(status);
        assert_eq!(get.request.uri().path(), "/mcp");
        world.stream(get.id);
        world.data(get.id, b"event: endpoint\r\ndata: messages?sessionId=1\r\n\r\n");
        let asked = world.next_post("initialize");
        world.accept(&asked);
        assert_eq!(asked.request.uri(), "http://server.test:8080/messages?sessionId=1");
        world.event(get.id, "event: message\n", &answer(&asked, &initialized(V2024_11_05)));
        let first = world.next_post("notifications/initialized");
        assert_eq!(first.request.uri().path(), "/messages");
        world.accept(&first);
        assert!(world.is_ready());
        let calls = [0, 1].map(|_| world.ask("tools/list", &json!({})));
        let posts = [0, 1].map(|_| world.next_post("tools/list"));
        // Accepted with whatever status of success, before or after the answer.
        world.respond(posts[0].id, 200, &[("content-type", "text/plain")], "Accepted");
        world.event(get.id, "", &answer(&posts[1], &done()));
        world.event(get.id, "", &answer(&posts[0], &done()));
        world.accept(&posts[1]);
        let ends = world.ends();
        assert!(calls.iter().all(|call| ends[call] == Ok(done())), "{ends:?}");
    }
}

/// Some servers do not look at the method, and begin a stream for a POST as well.
#[test]
fn a_post_that_is_answered_like_a_get_leads_there_too() {
    let mut world = World::of(&ProtocolVersion::ALL);
    for rpc in ["server/discover", "initialize"] {
        let asked = world.next_post(rpc);
        world.stream(asked.id);
        world.data(asked.id, b"event: endpoint\ndata: /messages?sessionId=1\n\n");
        assert!(world.aborted.contains(&asked.id));
    }
    let get = world.next_get();
    world.stream(get.id);
    world.data(get.id, b"event: endpoint\ndata: /messages?sessionId=2\n\n");
    let asked = world.next_post("initialize");
    assert_eq!(asked.request.uri(), "http://server.test:8080/messages?sessionId=2");
}

/// Only the origin that the user named gets what is said: "clients SHOULD check".
#[test]
fn an_endpoint_elsewhere_is_refused() {
    for endpoint in [
        "http://evil.test/messages",
        "//evil.test/m",
        "https://server.test:8080/m",
        "http://server.test/m",
        "",
        "javascript:x",
    ] {
        let (mut world, get) = opening(405);
        world.stream(get.id);
        world.data(get.id, format!("event: endpoint\ndata: {endpoint} \n\n").as_bytes());
        if endpoint.is_empty() {
            // The URL itself is as good as any.
            world.next_post("initialize");
            continue;
        }
        let reason = format!("{}", world.closed_by().unwrap());
        assert!(reason.contains("status 405") && reason.contains("2024-11-05"), "{reason}");
        assert!(world.open.is_empty());
    }
}

/// What is no such stream is no such server, and the reason tells both things that were tried.
#[test]
fn what_does_not_begin_with_an_endpoint_is_no_such_server() {
    type Play = fn(&mut World, &Sent);
    let plays: [Play; 7] = [
        |world, get| world.respond(get.id, 404, &[], ""),
        |world, get| world.respond(get.id, 200, &[("content-type", "text/html")], "<html>"),
        |world, get| world.breaks(get.id),
        |world, get| {
            world.stream(get.id);
            world.end(get.id);
        },
        |world, get| {
            world.stream(get.id);
            world.event(get.id, "", &json!({"jsonrpc": "2.0", "method": "notifications/x"}));
        },
        |world, get| {
            world.stream(get.id);
            world.data(get.id, b": ping\n\n");
            world.wait(secs(60));
        },
        |world, _| world.wait(secs(60)),
    ];
    for (at, play) in plays.iter().enumerate() {
        let (mut world, get) = opening(404);
        play(&mut world, &get);
        let reason = format!("{}", world.closed_by().unwrap());
        assert!(reason.contains("status 404") || reason.contains("initialize within"), "{at}: {reason}");
    }
}

#[test]
fn the_end_of_the_stream_is_the_end_of_the_session() {
    for ends_well in [true, false] {
        let (mut world, get) = session();
        world.ask("tools/list", &json!({}));
        let post = world.next_post("tools/list");
        world.accept(&post);
        if ends_well {
            world.end(get.id);
        } else {
            world.breaks(get.id);
        }
        assert!(matches!(world.closed_by(), Some(CloseReason::Broken(_))));
        world.sent_nothing();
        assert!(world.http.is_over());
    }
}

#[test]
fn a_refused_post_is_a_refused_call_and_a_cancelled_one_is_told() {
    let (mut world, get) = session();
    let call = world.ask("tools/list", &json!({}));
    let post = world.next_post("tools/list");
    world.respond(post.id, 503, &[], "busy");
    assert!(format!("{}", world.lost(call)).contains("503"));
    let call = world.ask("tools/list", &json!({}));
    let post = world.next_post("tools/list");
    world.accept(&post);
    world.cancel(call);
    let told = world.next_post("notifications/cancelled");
    assert_eq!(told.body["params"]["requestId"], post.body["id"]);
    world.connection.close(world.now, Duration::ZERO);
    world.sent_nothing();
    assert!(world.aborted.contains(&get.id));
}

#[test]
fn whoever_does_not_want_it_does_not_try_it() {
    let mut world = World::with(&ProtocolVersion::LEGACY, |config| config.old_transport = OldTransport::Never);
    let asked = world.next_post("initialize");
    world.respond(asked.id, 405, &[], "");
    assert!(world.closed_by().is_some());
    world.sent_nothing();
}
