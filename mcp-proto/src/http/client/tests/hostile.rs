//! Servers that are broken or malicious: every call ends, nothing is lost silently, and nothing grows.

use std::format;
use std::string::String;
use std::time::Duration;

use serde_json::json;

use super::harness::*;
use crate::connection::{Event, Lost, RequestError, Scope};
use crate::http::client::Remark;
use crate::jsonrpc::Body;
use crate::model::ProtocolVersion;

use ProtocolVersion::V2025_11_25;

/// A world with one call under way.
fn calling() -> (World, crate::connection::OutboundId, Sent) {
    let mut world = World::modern();
    let call = world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    (world, call, post)
}

#[test]
fn a_page_is_no_answer() {
    let (mut world, call, post) = calling();
    world.respond(post.id, 200, &[("content-type", "text/html; charset=utf-8")], "<html><body>Log in</body></html>");
    let lost = world.lost(call);
    assert!(matches!(&lost, Lost::Refused { status: 200, detail, .. } if detail.contains("text/html")), "{lost}");
    assert!(world.open.is_empty());
    let (mut world, call, post) = calling();
    world.respond(post.id, 502, &[("content-type", "text/html")], "<html>\n<h1>Bad \u{0}Gateway</h1>");
    let lost = world.lost(call);
    assert_eq!(lost, Lost::Refused { status: 502, error: None, detail: "<html> <h1>Bad Gateway</h1>".into() });
}

/// The POST of a notification.
fn told(world: &mut World) -> Sent {
    let changed = Body::empty("notifications/roots/list_changed").unwrap();
    world.connection.notify(world.now, changed, Scope::Connection, None).unwrap();
    world.next_post("notifications/roots/list_changed")
}

/// A 200 where 202 belongs, with a body or without.
#[test]
fn a_notification_may_be_accepted_in_any_words() {
    for (status, body) in
        [(200, "ok"), (200, ""), (202, "{}"), (204, ""), (200, "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{}}")]
    {
        let mut world = World::session(V2025_11_25, Some("s"));
        let sent = told(&mut world);
        world.respond(sent.id, status, &[("content-type", "application/json")], body);
        assert!(world.events().is_empty());
        assert!(world.remarks.is_empty());
    }
    let mut world = World::session(V2025_11_25, Some("s"));
    let sent = told(&mut world);
    world.head(sent.id, 200, &[]);
    // A body without an end.
    for _ in 0..100 {
        world.data(sent.id, &[b'x'; 1024]);
    }
    assert_eq!(world.aborted, [sent.id]);
}

/// 202 is no answer to a request.
#[test]
fn a_request_that_is_merely_accepted_is_lost() {
    let (mut world, call, post) = calling();
    world.respond(post.id, 202, &[], "");
    assert!(world.lost(call).may_have_been_executed());
}

#[test]
fn an_event_without_end_is_cut_off() {
    for data in [&[b'x'; 4096][..], b"data: x\n"] {
        let mut world = World::modern_with(|config| config.messages.frame = 100_000);
        let call = world.ask("tools/call", &json!({"name": "t"}));
        let post = world.next_post("tools/call");
        world.stream(post.id);
        let mut bytes = 0;
        while world.open.contains(&post.id) {
            world.data(post.id, data);
            bytes += data.len();
            assert!(world.http.buffered() <= 120_000 && bytes < 1_000_000, "{}", world.http.buffered());
        }
        assert!(world.lost(call).may_have_been_executed());
        assert_eq!(world.http.buffered(), 0);
    }
}

#[test]
fn a_body_without_end_is_cut_off() {
    for status in [200, 400, 500] {
        let mut world = World::modern_with(|config| {
            config.messages.frame = 100_000;
            config.limits.refusal = 50_000;
        });
        let call = world.ask("tools/call", &json!({"name": "t"}));
        let post = world.next_post("tools/call");
        world.head(post.id, status, &[("content-type", "application/json")]);
        let mut bytes = 0;
        while world.open.contains(&post.id) {
            world.data(post.id, &[b' '; 1000]);
            bytes += 1000;
            assert!(bytes < 200_000);
        }
        world.lost(call);
        assert_eq!(world.http.buffered(), 0);
    }
    // One that is announced is not begun.
    let (mut world, call, post) = calling();
    world.head(post.id, 200, &[("content-type", "application/json"), ("content-length", "99999999999")]);
    assert_eq!(world.aborted, [post.id]);
    assert!(world.lost(call).may_have_been_executed());
}

#[test]
fn a_body_that_is_not_as_long_as_announced_is_no_answer() {
    let (mut world, call, post) = calling();
    let body = text(&answer(&post, &done()));
    let length = format!("{}", body.len() + 7);
    world.respond(post.id, 200, &[("content-type", "application/json"), ("content-length", &length)], &body);
    assert!(world.lost(call).may_have_been_executed());
}

/// Nobody asked for an encoding: the error names it, and no bytes are read as JSON that are none.
#[test]
fn pain_22_an_encoding_that_nobody_asked_for_is_named() {
    for coding in ["gzip", "br", "zstd", "deflate", "identity, gzip", "x-unknown"] {
        for (status, kind) in [(200, "application/json"), (200, "text/event-stream"), (400, "application/json")] {
            let (mut world, call, post) = calling();
            world.head(post.id, status, &[("content-type", kind), ("content-encoding", coding)]);
            let lost = world.lost(call);
            let name = coding.rsplit(' ').next().unwrap();
            assert!(matches!(&lost, Lost::Refused { detail, .. } if detail.contains(name)), "{lost}");
            assert_eq!(world.aborted, [post.id]);
        }
    }
    let (mut world, call, post) = calling();
    let body = text(&answer(&post, &done()));
    world.respond(post.id, 200, &[("content-type", "application/json"), ("content-encoding", "identity")], &body);
    assert_eq!(world.end_of(call), Ok(done()));
}

/// Events without data, of other names, comments, and unknown fields are no messages.
#[test]
fn what_is_no_message_in_a_stream_is_passed_over() {
    let (mut world, call, post) = calling();
    world.stream(post.id);
    world.data(
        post.id,
        b"\xEF\xBB\xBF: hello\n\nid: 1\ndata:\n\ndata\n\nevent: ping\ndata: {not json\n\nfoo: bar\nretry: x\n\n\n\n",
    );
    assert!(world.events().is_empty());
    world.event(post.id, "event: message\n", &answer(&post, &done()));
    assert_eq!(world.end_of(call), Ok(done()));
}

#[test]
fn the_first_of_two_answers_counts() {
    let (mut world, call, post) = calling();
    world.stream(post.id);
    world.event(post.id, "", &answer(&post, &done()));
    world.event(post.id, "", &answer(&post, &json!({"resultType": "complete", "content": [7]})));
    world.event(post.id, "", &error(&post, -32603));
    assert_eq!(world.end_of(call), Ok(done()));
    assert_eq!(world.remarks, [Remark::Misplaced, Remark::Misplaced]);
    let (mut world, call, post) = calling();
    world.respond_json(post.id, 200, &json!([answer(&post, &done()), error(&post, -32603)]));
    assert_eq!(world.end_of(call), Ok(done()));
}

/// An answer that comes by the exchange of another call is not taken: no answer crosses over.
#[test]
fn an_answer_to_another_request_is_dropped() {
    for as_events in [true, false] {
        let mut world = World::modern();
        let calls = [0, 1].map(|_| world.ask("tools/call", &json!({"name": "t"})));
        let posts = [0, 1].map(|_| world.next_post("tools/call"));
        let crossed = answer(&posts[1], &done());
        if as_events {
            world.stream(posts[0].id);
            world.event(posts[0].id, "", &crossed);
            world.end(posts[0].id);
        } else {
            world.respond_json(posts[0].id, 200, &crossed);
        }
        assert!(world.lost(calls[0]).may_have_been_executed());
        assert_eq!(world.remarks, [Remark::Misplaced]);
        world.answer(&posts[1], &done());
        assert_eq!(world.end_of(calls[1]), Ok(done()));
    }
}

#[test]
fn what_cannot_be_read_fails_the_call_that_it_came_for() {
    for body in [
        "",
        "{",
        "null",
        "7",
        "[]",
        "[7]",
        "{}",
        "\u{0}",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}",
    ] {
        let (mut world, call, post) = calling();
        world.respond(post.id, 200, &[("content-type", "application/json")], body);
        assert!(world.lost(call).may_have_been_executed(), "{body}");
    }
    for result in [json!(7), json!(null), json!([])] {
        let (mut world, call, post) = calling();
        world.respond_json(post.id, 200, &answer(&post, &result));
        let mut events = world.events();
        events.retain(|event| matches!(event, Event::Response { .. }));
        assert!(
            matches!(&events[..], [Event::Response { id, result: Err(RequestError::InvalidResult(_)) }] if *id == call),
            "{events:?}"
        );
    }
}

/// A head without an end and a server that accepts and says nothing: the call has its own deadline, and the exchange ends with it.
#[test]
fn silence_ends_with_the_calls_own_deadline() {
    let (mut world, call, post) = calling();
    world.wait(Duration::from_millis(60_100));
    assert!(matches!(world.end_of(call), Err(RequestError::TimedOut(_))));
    assert_eq!(world.aborted, [post.id]);
    // A refusal whose body never ends does not take that long.
    let (mut world, call, post) = calling();
    world.head(post.id, 400, &[]);
    world.wait(secs(30));
    assert!(matches!(world.lost(call), Lost::Refused { status: 400, .. }));
    assert_eq!(world.aborted, [post.id]);
    // Neither do messages that need no answer.
    let mut world = World::session(V2025_11_25, Some("s"));
    let sent = told(&mut world);
    world.wait(secs(30));
    assert_eq!(world.aborted, [sent.id]);
    assert!(matches!(world.remarks[..], [Remark::Refused(_)]));
}

#[test]
fn errors_in_a_row_fail_each_its_own_call() {
    let mut world = World::modern();
    for _ in 0..50 {
        let call = world.ask("tools/call", &json!({"name": "t"}));
        let post = world.next_post("tools/call");
        world.respond(post.id, 500, &[], "boom");
        assert!(matches!(world.lost(call), Lost::Refused { status: 500, .. }));
    }
    let call = world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    world.answer(&post, &done());
    assert_eq!(world.end_of(call), Ok(done()));
}

/// Every status with every kind of body, and a failure at every step: exactly that call ends, and the next one works.
#[test]
fn one_bad_exchange_harms_no_other() {
    let bodies = [
        "",
        "{}",
        "<html>",
        "\u{fffd}",
        "data: x\n\n",
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m"}}"#,
    ];
    for world in [World::modern as fn() -> World, || World::session(V2025_11_25, None)] {
        for status in [
            200, 201, 202, 204, 206, 300, 301, 304, 307, 400, 402, 403, 404, 405, 408, 409, 410, 413, 418, 422, 500,
            501, 502, 504, 599,
        ] {
            for kind in ["", "application/json", "text/event-stream", "text/plain", "a/b/c"] {
                for body in bodies {
                    let mut world = world();
                    let (one, other) = (
                        world.ask("tools/call", &json!({"name": "t"})),
                        world.ask("tools/call", &json!({"name": "t"})),
                    );
                    let posts = [0, 1].map(|_| world.next_post("tools/call"));
                    world.respond(posts[0].id, status, &[("content-type", kind)], body);
                    let events = world.events();
                    let ended = |event: &&Event| matches!(event, Event::Response { id, .. } if *id == one);
                    assert_eq!(events.iter().filter(ended).count(), 1, "{status} {kind} {body}: {events:?}");
                    assert!(
                        !events.iter().any(|event| matches!(event, Event::Closed { .. } | Event::Ready { .. })),
                        "{events:?}"
                    );
                    world.answer(&posts[1], &done());
                    assert_eq!(world.end_of(other), Ok(done()));
                }
            }
        }
    }
}

/// A response cut at every byte, in good order or not: the call ends in time, with the answer or lost.
#[test]
fn a_response_that_is_cut_anywhere_ends_its_call() {
    for as_events in [true, false] {
        for is_legacy in [true, false] {
            let start = || if is_legacy { World::session(V2025_11_25, Some("s")) } else { World::modern() };
            let (whole, kind) = {
                let mut world = start();
                world.ask("tools/call", &json!({"name": "t"}));
                let post = world.next_post("tools/call");
                let answer = text(&answer(&post, &done()));
                if as_events {
                    (format!("id: 1\ndata:\n\n: c\r\nid: 2\r\ndata: {answer}\r\n\r\n"), "text/event-stream")
                } else {
                    (answer, "application/json")
                }
            };
            for cut in 0..=whole.len() {
                for ends_well in [true, false] {
                    let mut world = start();
                    let call = world.ask("tools/call", &json!({"name": "t"}));
                    let post = world.next_post("tools/call");
                    world.head(post.id, 200, &[("content-type", kind)]);
                    world.data(post.id, &whole.as_bytes()[..cut]);
                    if ends_well {
                        world.end(post.id);
                    } else {
                        world.breaks(post.id);
                    }
                    let mut tries = 0;
                    let end = loop {
                        if let Some(end) = world.ends().remove(&call) {
                            break end;
                        }
                        if let Some(get) = world.take_sent() {
                            assert!(is_legacy && as_events, "only such a stream is resumed");
                            world.respond(get.id, 500, &[], "");
                        }
                        tries += 1;
                        assert!(tries < 20, "cut at {cut}");
                        world.wait_next();
                    };
                    let is_whole = cut == whole.len() || as_events && cut + 1 == whole.len();
                    let is_answered = is_whole && (as_events || ends_well);
                    assert_eq!(end.is_ok(), is_answered, "cut at {cut}: {end:?}");
                }
            }
        }
    }
}

/// In whatever pieces a response comes, it is the same.
#[test]
fn pieces_make_no_difference() {
    for size in 1..40 {
        let (mut world, call, post) = calling();
        let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "\u{1F980}\u{2028}"}});
        let stream = format!(": \u{1F980}\r\ndata: {log}\r\n\r\nid: 1\rdata: {}\r\r", answer(&post, &done()));
        world.stream(post.id);
        stream.as_bytes().chunks(size).for_each(|piece| world.data(post.id, piece));
        let events = world.events();
        assert!(
            matches!(&events[..], [Event::Notification { .. }, Event::Response { id, result: Ok(_) }] if *id == call),
            "{size}: {events:?}"
        );
    }
}

/// What comes for an exchange that is over, or twice, or out of order, is ignored.
#[test]
fn inputs_in_any_order_do_no_harm() {
    let (mut world, call, post) = calling();
    world.data(post.id, b"early");
    world.head(post.id, 100, &[]);
    world.head(post.id, 200, &[("content-type", "application/json")]);
    world.head(post.id, 500, &[]);
    world.data(post.id, text(&answer(&post, &done())).as_bytes());
    world.end(post.id);
    world.end(post.id);
    world.breaks(post.id);
    world.head(post.id, 200, &[]);
    assert_eq!(world.end_of(call), Ok(done()));
    let (mut world, call, post) = calling();
    world.end(post.id);
    assert!(world.lost(call).may_have_been_executed());
}

/// While the application does not take what has come, nothing more is read.
#[test]
fn a_server_that_floods_is_not_read_on() {
    let mut world = World::session(V2025_11_25, None);
    world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    world.http.handle_head(world.now, post.id, http::StatusCode::OK, &{
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("text/event-stream"));
        headers
    });
    let log: String = format!(
        "data: {}\n\n",
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x".repeat(100_000)}})
    );
    let mut fed = 0;
    while world.http.wants_data() {
        world.http.handle_data(world.now, post.id, log.as_bytes());
        world.http.drive(world.now, &mut world.connection);
        fed += log.len();
        assert!(fed < 20 << 20);
    }
    assert!(world.connection.buffered_bytes() + world.http.buffered() < 10 << 20);
    let heard = world.events().len();
    assert_eq!(heard, fed / log.len(), "nothing is lost");
}
