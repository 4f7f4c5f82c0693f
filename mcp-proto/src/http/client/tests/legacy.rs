//! Sessions of the legacy era (specification, 2025-03-26 to 2025-11-25: basic/transports, Streamable HTTP).

use std::collections::BTreeSet;
use std::format;
use std::time::Duration;
use std::vec::Vec;

use http::Method;
use serde_json::json;

use super::harness::*;
use crate::connection::{CallOptions, CloseReason, Event, Lost, Scope, Wanted};
use crate::http::client::{Failure, Standalone};
use crate::jsonrpc::Body;
use crate::model::ProtocolVersion;

use ProtocolVersion::{V2025_03_26, V2025_06_18, V2025_11_25};

/// "The client MUST include the `Mcp-Session-Id` header on all of its subsequent HTTP requests", and "MUST include the
/// `MCP-Protocol-Version` header on all subsequent requests".
#[test]
fn the_session_and_the_revision_go_with_everything_that_follows() {
    for as_events in [false, true] {
        let mut world = World::of(&ProtocolVersion::LEGACY);
        let asked = world.next_post("initialize");
        assert_eq!((asked.header("mcp-session-id"), asked.header("mcp-protocol-version")), (None, None));
        let result = answer(&asked, &initialized(V2025_06_18));
        if as_events {
            world.head(asked.id, 200, &[("content-type", "text/event-stream"), ("mcp-session-id", "s-1")]);
            world.event(asked.id, "", &result);
            world.end(asked.id);
        } else {
            let headers = [("content-type", "application/json"), ("mcp-session-id", "s-1")];
            world.respond(asked.id, 200, &headers, &text(&result));
        }
        let first = world.next_post("notifications/initialized");
        world.accept(&first);
        let get = world.next_get();
        world.stream(get.id);
        world.ask("tools/list", &json!({}));
        let call = world.next_post("tools/list");
        world.stream(call.id);
        world.event(call.id, "", &json!({"jsonrpc": "2.0", "id": 9, "method": "ping"}));
        let pong = world.next();
        assert_eq!(pong.body, json!({"jsonrpc": "2.0", "id": 9, "result": {}}), "an answer is a POST of its own");
        world.connection.close(world.now, Duration::ZERO);
        let end = world.next();
        assert_eq!(end.method(), Method::DELETE);
        for sent in [&first, &get, &call, &pong, &end] {
            assert_eq!(sent.header("mcp-session-id"), Some("s-1"), "{sent:?}");
            assert_eq!(sent.header("mcp-protocol-version"), Some("2025-06-18"), "{sent:?}");
            assert_eq!(sent.header("mcp-method"), None, "{sent:?}");
        }
        assert_eq!(world.aborted.iter().copied().collect::<BTreeSet<_>>(), [get.id, call.id, pong.id].into());
        assert!(!world.http.is_over());
        world.respond(end.id, 405, &[], "");
        assert!(world.http.is_over());
    }
}

/// A server that gives no session gets none back, and is told nothing at the end.
#[test]
fn a_server_without_sessions_is_served_without_one() {
    let mut world = World::session(V2025_03_26, None);
    world.ask("tools/list", &json!({}));
    let call = world.next_post("tools/list");
    assert_eq!(call.header("mcp-session-id"), None);
    world.connection.close(world.now, Duration::ZERO);
    world.sent_nothing();
    assert!(world.http.is_over());
}

/// Some servers lose what they ask on the stream of the session before there is one, so calls wait for its head, whatever that is; but
/// not for long, and nothing else waits.
#[test]
fn calls_wait_for_the_stream_of_the_session() {
    for (status, patience) in [(Some(200), 0), (Some(405), 0), (Some(500), 0), (Some(409), 0), (None, 0), (None, 1)] {
        let mut world = World::of(&ProtocolVersion::LEGACY);
        world.initialize(V2025_11_25, Some("s"));
        let get = world.next_get();
        assert!(world.is_ready());
        let call = world.ask("tools/list", &json!({}));
        let changed = Body::new("notifications/roots/list_changed", &json!({})).unwrap();
        world.connection.notify(world.now, changed, Scope::Connection, None).unwrap();
        let notice = world.next_post("notifications/roots/list_changed");
        world.accept(&notice);
        world.sent_nothing();
        match (status, patience) {
            (Some(200), _) => world.stream(get.id),
            (Some(status), _) => world.respond(get.id, status, &[], ""),
            (None, 0) => world.breaks(get.id),
            (None, patience) => world.wait(secs(patience)),
        }
        let asked = world.next_post("tools/list");
        world.answer(&asked, &done());
        assert!(world.end_of(call).is_ok(), "{status:?}");
    }
}

#[test]
fn an_id_that_is_none_ends_the_handshake() {
    for id in ["with space", "", "caf\u{e9}", &"x".repeat(5000)] {
        let mut world = World::of(&ProtocolVersion::LEGACY);
        let asked = world.next_post("initialize");
        world.respond(asked.id, 200, &[("content-type", "application/json"), ("mcp-session-id", id)], "{}");
        let reason = format!("{}", world.closed_by().unwrap());
        assert!(reason.contains("mcp-session-id"), "{reason}");
    }
}

/// Nothing that follows may overtake the end of the handshake; it is waited for, but not for ever, and whatever its status.
#[test]
fn what_follows_waits_for_initialized() {
    for (status, patience) in [(Some(202), 0), (Some(200), 0), (Some(204), 0), (Some(400), 0), (None, 30)] {
        let mut world = World::of(&ProtocolVersion::LEGACY);
        let asked = world.next_post("initialize");
        world.answer(&asked, &initialized(V2025_11_25));
        let first = world.next_post("notifications/initialized");
        assert!(world.is_ready());
        world.ask("tools/list", &json!({}));
        world.sent_nothing();
        match status {
            Some(status) => world.respond(first.id, status, &[], "thanks"),
            None => world.wait(secs(patience)),
        }
        let get = world.next_get();
        world.respond(get.id, 405, &[], "");
        world.next_post("tools/list");
    }
}

/// 405 is how most servers say that there is no such stream.
#[test]
fn a_server_may_have_no_stream_of_its_own() {
    for status in [405, 404, 400, 406, 501, 500] {
        let mut world = World::of(&ProtocolVersion::LEGACY);
        world.initialize(V2025_11_25, Some("s"));
        let get = world.next_get();
        world.respond(get.id, status, &[], "");
        assert!(world.is_ready());
        world.wait(secs(300));
        world.sent_nothing();
        world.ask("tools/list", &json!({}));
        let call = world.next_post("tools/list");
        world.answer(&call, &done());
        assert_eq!(world.ends().len(), 1);
    }
    let mut world = World::with(&ProtocolVersion::LEGACY, |config| config.stream = Standalone::Never);
    world.initialize(V2025_11_25, Some("s"));
    world.sent_nothing();
}

/// What belongs to no request comes by that stream, which is opened again when it ends.
#[test]
fn the_stream_of_a_session_is_heard_and_opened_again() {
    let mut world = World::of(&ProtocolVersion::LEGACY);
    world.initialize(V2025_11_25, Some("s"));
    assert!(world.is_ready());
    let mut get = world.next_get();
    assert_eq!(get.header("last-event-id"), None);
    for turn in 0..20 {
        world.stream(get.id);
        let change = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        world.event(get.id, &format!("id: e{turn}\nretry: 250\n"), &change);
        assert!(matches!(world.events()[..], [Event::Notification { .. }]));
        world.end(get.id);
        world.wait(Duration::from_millis(249));
        world.sent_nothing();
        world.wait(Duration::from_millis(1));
        get = world.next_get();
        assert_eq!(get.header("last-event-id"), Some(&*format!("e{turn}")));
    }
    // One that brings nothing is given up after a while.
    let mut tries = 0;
    let mut next = Some(get);
    while let Some(get) = next {
        tries += 1;
        world.stream(get.id);
        world.end(get.id);
        if tries < 10 {
            while world.wait_next().is_some() {}
        }
        next = world.take_sent();
    }
    assert_eq!(tries, 5);
    world.ask("tools/list", &json!({}));
    world.next_post("tools/list");
}

/// "After any disconnect the client resumes with GET and `Last-Event-ID`, regardless of how the stream started", "MUST respect the `retry`
/// field".
#[test]
fn a_call_goes_on_where_its_stream_broke() {
    for ends_well in [true, false] {
        let mut world = World::session(V2025_11_25, Some("s"));
        let call = world.ask("tools/call", &json!({"name": "t"}));
        let post = world.next_post("tools/call");
        world.stream(post.id);
        world.data(post.id, b"id: p1\nretry: 1500\ndata:\n\n");
        if ends_well {
            world.end(post.id);
        } else {
            world.breaks(post.id);
        }
        world.wait(Duration::from_millis(1499));
        world.sent_nothing();
        world.wait(Duration::from_millis(1));
        let get = world.next_get();
        assert_eq!(get.header("last-event-id"), Some("p1"));
        assert_eq!(get.header("mcp-session-id"), Some("s"));
        world.stream(get.id);
        world.event(get.id, "id: p2\n", &answer(&post, &done()));
        assert_eq!(world.end_of(call), Ok(done()));
        world.end(get.id);
        world.wait(secs(100));
        world.sent_nothing();
    }
}

#[test]
fn without_an_id_a_broken_stream_is_a_lost_call() {
    for ends_well in [true, false] {
        let mut world = World::session(V2025_11_25, Some("s"));
        let call = world.ask("tools/call", &json!({"name": "t"}));
        let post = world.next_post("tools/call");
        world.stream(post.id);
        world.data(post.id, b": nothing yet\n\nretry: 10\n\n");
        if ends_well {
            world.end(post.id);
        } else {
            world.breaks(post.id);
        }
        assert!(world.lost(call).may_have_been_executed());
        world.sent_nothing();
    }
}

/// Each try that brings nothing costs one of five, and a place further on gives them back: it ends, and it does not give up early.
#[test]
fn pain_16_resuming_ends_when_nothing_moves_and_loses_no_place() {
    let mut world = World::session_with(V2025_11_25, Some("s"), |_| {});
    let call = world.ask_with("tools/call", &json!({"name": "t"}), unhurried());
    let post = world.next_post("tools/call");
    world.stream(post.id);
    world.data(post.id, b"id: 0\ndata:\n\n");
    world.end(post.id);
    // A hundred cuts, each after one step.
    for step in 1..100 {
        world.wait_next();
        let get = world.next_get();
        assert_eq!(get.header("last-event-id"), Some(&*format!("{}", step - 1)));
        world.stream(get.id);
        world.data(get.id, format!("id: {step}\ndata:\n\n").as_bytes());
        world.breaks(get.id);
    }
    // The next ones bring nothing: no answer, an error, an open stream without an event; the place is kept all along.
    let begun = world.now;
    for step in 0..5 {
        while world.take_sent_get().is_none_or(|get| {
            assert_eq!(get.header("last-event-id"), Some("99"));
            match step {
                0 => world.fail(get.id, &Failure::NotSent("refused".into())),
                1 => world.respond(get.id, 503, &[], ""),
                2 => {
                    world.stream(get.id);
                    world.data(get.id, b"id: 99\ndata:\n\n");
                    world.end(get.id);
                }
                3 => world.wait(secs(60)),
                _ => {
                    world.stream(get.id);
                    world.breaks(get.id);
                }
            }
            false
        }) {
            world.wait_next();
        }
    }
    assert!(world.lost(call).may_have_been_executed());
    assert!(world.now.saturating_since(begun) < secs(200));
    world.wait(secs(300));
    world.sent_nothing();
}

impl World {
    fn take_sent_get(&mut self) -> Option<Sent> {
        self.turn();
        self.take_sent()
    }
}

fn unhurried() -> CallOptions {
    CallOptions {
        deadlines: crate::connection::Deadlines::Call { idle: secs(3000), cap: secs(3000) },
        ..<_>::default()
    }
}

/// Cut anywhere and resumed, a stream brings everything once and in order, also where a server sends the last event again.
#[test]
fn pain_16_nothing_is_missed_and_nothing_comes_twice_whatever_is_cut() {
    let notes: Vec<_> = (0..6)
        .map(|at| {
            let log =
                json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": at}});
            format!("id: {at}\ndata: {log}\n\n")
        })
        .collect();
    let all: alloc::string::String = notes.concat();
    for replays_last in [false, true] {
        for cut in 0..=all.len() {
            let mut world = World::session(V2025_11_25, Some("s"));
            let call = world.ask_with("tools/call", &json!({"name": "t"}), unhurried());
            let post = world.next_post("tools/call");
            world.stream(post.id);
            world.data(post.id, b"id: start\ndata:\n\n");
            world.data(post.id, &all.as_bytes()[..cut]);
            world.breaks(post.id);
            world.wait_next();
            let get = world.next_get();
            let from = match get.header("last-event-id").unwrap() {
                "start" => 0,
                last => last.parse::<usize>().unwrap() + usize::from(!replays_last),
            };
            world.stream(get.id);
            for note in &notes[from..] {
                world.data(get.id, note.as_bytes());
            }
            world.event(get.id, "id: end\n", &answer(&post, &done()));
            let mut heard = Vec::new();
            for event in world.events() {
                match event {
                    Event::Notification { message, .. } => {
                        heard.push(message.params().decode::<serde_json::Value>().unwrap()["data"].clone());
                    }
                    Event::Response { id, result: Ok(_) } => assert_eq!(id, call),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(json!(heard), json!([0, 1, 2, 3, 4, 5]), "cut at {cut}");
        }
    }
}

/// "When a client receives HTTP 404 in response to a request containing an `Mcp-Session-Id`, it MUST start a new session by sending a
/// new `InitializeRequest` without a session ID attached." What was refused is sent again in it; what was being answered is lost.
#[test]
fn a_session_that_is_gone_is_begun_anew() {
    let mut world = World::session(V2025_11_25, Some("old"));
    let calls = [0, 1, 2].map(|at| world.ask("tools/call", &json!({"name": format!("t{at}")})));
    let posts = [0, 1, 2].map(|_| world.next_post("tools/call"));
    world.stream(posts[0].id);
    world.respond(posts[1].id, 404, &[("content-type", "text/plain")], "Session not found");
    assert!(world.lost(calls[0]).may_have_been_executed());
    assert!(world.aborted.contains(&posts[0].id));
    let asked = world.next_post("initialize");
    assert_eq!((asked.header("mcp-session-id"), asked.header("mcp-protocol-version")), (None, None));
    // Another hears of it only now, and one answers all the same.
    world.respond(posts[2].id, 404, &[], "");
    world.sent_nothing();
    let headers = [("content-type", "application/json"), ("mcp-session-id", "new")];
    world.respond(asked.id, 200, &headers, &text(&answer(&asked, &initialized(V2025_11_25))));
    let first = world.next_post("notifications/initialized");
    assert_eq!(first.header("mcp-session-id"), Some("new"));
    world.accept(&first);
    assert!(world.is_ready());
    let mut again = BTreeSet::new();
    for _ in 0..3 {
        let sent = world.next();
        assert_eq!(sent.header("mcp-session-id"), Some("new"));
        again.insert(sent.body["params"]["name"].as_str().map_or("GET".into(), std::string::String::from));
        match sent.rpc() {
            "tools/call" => world.answer(&sent, &done()),
            _ => world.stream(sent.id),
        }
    }
    assert_eq!(again, ["GET", "t1", "t2"].map(std::string::String::from).into());
    let ends = world.ends();
    assert!(ends.len() == 2 && ends.values().all(Result::is_ok), "{ends:?}");
}

/// A server that does not know the sessions which it has just given is not asked for ever.
#[test]
fn a_server_that_forgets_every_session_is_given_up() {
    let mut world = World::session(V2025_11_25, Some("s"));
    let call = world.ask("tools/list", &json!({}));
    let mut asked = 0;
    let mut ends = Vec::new();
    loop {
        for event in world.events() {
            match event {
                Event::Ready { .. } => {}
                other => ends.push(other),
            }
        }
        let Some(sent) = world.take_sent() else { break };
        match (sent.method(), sent.rpc()) {
            (&Method::POST, "initialize") => {
                asked += 1;
                let headers = [("content-type", "application/json"), ("mcp-session-id", "s")];
                world.respond(sent.id, 200, &headers, &text(&answer(&sent, &initialized(V2025_11_25))));
            }
            (&Method::DELETE, _) => world.respond(sent.id, 404, &[], ""),
            _ => world.respond(sent.id, 404, &[], ""),
        }
    }
    assert!(asked <= 5, "{asked}");
    assert!(matches!(ends.first(), Some(Event::Response { id, result: Err(_) }) if *id == call), "{ends:?}");
}

/// A call in a session without an id: 404 is an error like any other.
#[test]
fn without_a_session_404_is_no_news_of_it() {
    let mut world = World::session(V2025_11_25, None);
    let call = world.ask("tools/list", &json!({}));
    let post = world.next_post("tools/list");
    world.respond(post.id, 404, &[("content-type", "text/plain")], "not  here");
    assert_eq!(world.lost(call), Lost::Refused { status: 404, error: None, detail: "not here".into() });
    world.sent_nothing();
}

/// A request of the server is answered while the call that it belongs to is open, progress first and in order.
#[test]
fn a_slow_call_delays_neither_others_nor_what_belongs_to_it() {
    let mut world = World::session(V2025_11_25, Some("s"));
    let slow = world.ask("tools/call", &json!({"name": "slow"}));
    let slow_post = world.next_post("tools/call");
    // Its head has not come, and everything else goes on.
    for _ in 0..10 {
        let fast = world.ask("tools/call", &json!({"name": "fast"}));
        let post = world.next_post("tools/call");
        world.answer(&post, &done());
        assert_eq!(world.end_of(fast), Ok(done()));
    }
    world.stream(slow_post.id);
    let question = json!({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage",
        "params": {"messages": [], "maxTokens": 1, "_meta": {"progressToken": "p"}}});
    world.event(slow_post.id, "", &question);
    let [Event::Request { id, .. }] = &world.events()[..] else { panic!("the question") };
    let (id, now) = (*id, world.now);
    let progress = |at: f64| crate::model::Progress::new(at);
    world.connection.progress(now, id, progress(1.0)).unwrap();
    world.connection.progress(now, id, progress(2.0)).unwrap();
    let result =
        Body::result(&json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "x"}})).unwrap();
    world.connection.respond(now, id, crate::connection::ResultKind::Complete, result, None).unwrap();
    for expected in [json!(1.0), json!(2.0), json!(null)] {
        let sent = world.next();
        assert_eq!(sent.body["params"]["progress"], expected, "one after the other");
        world.sent_nothing();
        world.accept(&sent);
    }
    world.event(slow_post.id, "", &answer(&slow_post, &done()));
    assert_eq!(world.end_of(slow), Ok(done()));
}

/// "Disconnection SHOULD NOT be interpreted as the client cancelling its request. To cancel, the client SHOULD explicitly send an MCP
/// `CancelledNotification`."
#[test]
fn a_call_is_cancelled_by_a_message() {
    let mut world = World::session(V2025_11_25, Some("s"));
    let call = world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    world.cancel(call);
    let told = world.next_post("notifications/cancelled");
    assert_eq!(told.body["params"]["requestId"], post.body["id"]);
    assert_eq!(world.aborted, [post.id]);
}

/// Calls beyond the limit wait for their turn; what they may be waiting for does not.
#[test]
fn so_many_calls_are_under_way_and_no_more() {
    let mut world = World::session_with(V2025_11_25, Some("s"), |config| config.limits.calls = 2);
    let calls: Vec<_> = (0..5).map(|_| world.ask("tools/call", &json!({"name": "t"}))).collect();
    let posts = [world.next_post("tools/call"), world.next_post("tools/call")];
    world.sent_nothing();
    world.stream(posts[0].id);
    world.event(posts[0].id, "", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    let pong = world.next();
    assert_eq!(pong.body["id"], 1);
    // One that has not left yet is given up without a word.
    world.cancel(calls[4]);
    world.sent_nothing();
    world.answer(&posts[1], &done());
    let third = world.next_post("tools/call");
    world.sent_nothing();
    world.breaks(third.id);
    world.next_post("tools/call");
    world.sent_nothing();
}

/// The session is ended in good order, and nobody waits long for that.
#[test]
fn the_end_is_told_and_not_waited_for() {
    let mut world = World::session(V2025_11_25, Some("s"));
    world.connection.close(world.now, Duration::ZERO);
    assert_eq!(world.closed_by(), Some(CloseReason::LocallyClosed));
    let end = world.next();
    assert_eq!(end.method(), Method::DELETE);
    world.wait(secs(2));
    assert!(world.http.is_over());
    assert_eq!(world.aborted, [end.id]);
    assert_eq!(world.http.poll_timeout(), None);
}

/// Batches came to 2025-03-26 and went again; a server of that revision may answer with one.
#[test]
fn a_body_may_be_a_batch() {
    let mut world = World::session(V2025_03_26, None);
    let options = CallOptions { progress: Wanted::Yes, ..<_>::default() };
    let call = world.ask_with("tools/call", &json!({"name": "t"}), options);
    let post = world.next_post("tools/call");
    let token = post.body["params"]["_meta"]["progressToken"].clone();
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}});
    world.respond_json(post.id, 200, &json!([progress, answer(&post, &done())]));
    let events = world.events();
    assert!(matches!(&events[..], [Event::Progress { .. }, Event::Response { id, .. }] if *id == call), "{events:?}");
}
