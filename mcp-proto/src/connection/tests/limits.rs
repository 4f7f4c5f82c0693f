//! Every number of `Limits`, reached.

use std::format;
use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CallOptions, CloseReason, Event, Limits, RequestError, RespondError, Rule, Scope, Why};
use crate::jsonrpc::{ErrorObject, Fault};
use crate::model::Progress;
use crate::model::ProtocolVersion::{V2025_06_18, V2025_11_25};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A call whose line has exactly so many bytes.
fn call_of(id: i64, bytes: usize) -> std::string::String {
    let base =
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "t", "arguments": {"a": ""}}});
    let padding = "x".repeat(bytes - base.to_string().len());
    let mut padded = base;
    padded["params"]["arguments"]["a"] = padding.into();
    padded.to_string()
}

/// The numbers that the documentation of this crate promises.
#[test]
fn the_defaults_are_the_documented_ones() {
    let Limits {
        frame,
        depth,
        inbound_requests,
        outbound_requests,
        subscriptions,
        subscribed_uris,
        tasks,
        output,
        events,
        stall,
        drain,
        verdict,
        strikes,
    } = Limits::default();
    assert_eq!((subscriptions, subscribed_uris, tasks), (1024, 1024, 1024));
    assert_eq!((frame, depth, inbound_requests, outbound_requests), (16 << 20, 128, 256, 1024));
    assert_eq!((output, events, strikes), (8 << 20, 8 << 20, 100));
    assert_eq!((stall, drain, verdict), (secs(60), secs(30), secs(30)));
}

/// `frame`, inwards: one byte over it, the message is answered and not served; its neighbours are.
#[test]
fn a_message_over_the_frame_limit_is_answered_with_its_id() {
    let mut server = Node::server_in(V2025_06_18, |config| config.limits.frame = 2000);
    server.line(&call_of(1, 2000));
    server.take_request();
    for (id, bytes) in [(2, 2001), (3, 100_000)] {
        server.line(&call_of(id, bytes));
        let frames = server.frames();
        assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(id), &json!(-32600)));
        assert_eq!(server.broken_rules(), [Rule::Malformed(Fault::TooLong(bytes as u64))]);
    }
    server.line(&call_of(4, 2000));
    server.take_request();
    // With the id behind what is too long, and byte by byte.
    let line =
        format!(r#"{{"jsonrpc":"2.0","params":{{"id":6,"a":"{}"}},"method":"tools/call","id":5}}"#, "x".repeat(5000));
    for byte in line.bytes().chain([b'\n']) {
        server.bytes(&[byte]);
        assert!(server.conn.buffered_bytes() <= 2000);
    }
    assert_eq!(server.frames()[0]["id"], 5);
    // A notification and a response of that length are never answered.
    server.line(&format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"a":"{}"}}}}"#, "x".repeat(5000)));
    server.line(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":"{}"}}}}"#, "x".repeat(5000)));
    assert!(server.frames().is_empty());
}

/// `frame`, inwards: an answer that is too long fails its call at once instead of leaving it to its deadline.
#[test]
fn an_answer_over_the_frame_limit_fails_its_call() {
    let mut client = Node::client_in(V2025_06_18, |config| config.limits.frame = 2000);
    let asked = client.ask("tools/call", &json!({"name": "t"}));
    let id = client.frames()[0]["id"].clone();
    client.line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"a":"{}"}}}}"#, "x".repeat(5000)));
    let (ended, outcome) = client.take_response();
    assert!(ended == asked && matches!(outcome, Err(RequestError::InvalidResult(Fault::TooLong(_)))), "{outcome:?}");
}

/// `frame`, outwards: nothing longer is sent, whatever the application hands over; a peer that waits for an answer gets a
/// short error.
#[test]
fn nothing_over_the_frame_limit_is_sent() {
    for filler in 1750..2060 {
        let mut server = Node::server_in(V2025_06_18, |config| config.limits.frame = 2000);
        let text = json!({"text": "x".repeat(filler)});
        server.tell(&json!({"jsonrpc": "2.0", "id": "an id of some length", "method": "tools/call",
            "params": {"name": "t", "_meta": {"progressToken": "token"}}}));
        let (id, ..) = server.take_request();
        // `frames` checks the length of each.
        let asked = server.request(&body("roots/list", &text), &CallOptions::default());
        assert!(asked.as_ref().err().is_none_or(|error| error.why == Why::TooLarge), "{asked:?}");
        let told = server.notify(&body("notifications/x", &text), Scope::Connection);
        assert!(told.as_ref().err().is_none_or(|error| error.why == Why::TooLarge), "{told:?}");
        server.progress(id, &Progress::new(1).with_message("x".repeat(filler))).unwrap();
        server.frames();
        if filler % 2 == 0 {
            let sent = server.respond(id, &text);
            assert!(matches!(sent, Ok(()) | Err(RespondError::TooLarge)));
            let frames = server.frames();
            assert_eq!(frames[0]["id"], "an id of some length");
            assert_eq!(frames[0]["error"]["code"] == -32603, sent.is_err(), "{filler}");
        } else {
            server.reject(id, &ErrorObject::new(-5, "x".repeat(filler))).unwrap();
            assert_eq!(server.frames()[0]["error"]["code"], -5);
        }
    }
}

/// `frame`, outwards: the user's keys of `_meta` and the words of a cancel count as well.
#[test]
fn metadata_and_reasons_count_as_part_of_the_frame() {
    let long = "x".repeat(3000);
    let meta = json!({"k": long}).as_object().cloned();
    let mut client = Node::client_in(V2025_06_18, |config| config.limits.frame = 2000);
    let options = CallOptions { meta: meta.clone(), ..CallOptions::default() };
    let refused = client.request(&body("tools/list", &json!({})), &options);
    assert_eq!(refused.unwrap_err().why, Why::TooLarge);
    let asked = client.ask("tools/list", &json!({}));
    client.frames();
    client.cancel(asked, &long);
    assert_eq!(client.frames()[0]["method"], "notifications/cancelled", "still told, in fewer words");

    let mut server = Node::server_in(V2025_06_18, |config| config.limits.frame = 2000);
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    let sent =
        server.step(|conn, now| conn.respond(now, id, crate::ResultKind::Complete, result(&json!({})), meta.clone()));
    assert_eq!(sent, Err(RespondError::TooLarge));
    server.working.clear();
    assert_eq!(server.frames()[0]["error"]["code"], -32603);
}

/// `frame`, outwards: a refusal does not repeat what it refuses.
#[test]
fn a_refusal_is_short_however_long_the_request_was() {
    let method = "m".repeat(1900);
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method});
    let mut server = Node::server(server_config_with(|limits| limits.frame = 2000));
    server.tell(&request);
    assert_eq!(server.frames()[0]["error"]["code"], -32600);

    let mut server = Node::server_in(V2025_06_18, |config| config.limits = small(2000));
    server.tell(&call(&json!(1)));
    server.take_request();
    server.ask("ping", &json!({}));
    server.frames();
    server.tell(&json!({"jsonrpc": "2.0", "id": 2, "method": method}));
    server.close(secs(1));
    server.tell(&json!({"jsonrpc": "2.0", "id": 3, "method": method}));
    let codes: Vec<_> = server.frames().iter().map(|frame| frame["error"]["code"].clone()).collect();
    assert_eq!(codes, [-32603, -32603]);
}

fn server_config_with(tweak: impl FnOnce(&mut Limits)) -> crate::ServerConfig {
    let mut config = server_config();
    tweak(&mut config.limits);
    config
}

fn small(frame: usize) -> Limits {
    Limits { frame, inbound_requests: 1, ..Limits::default() }
}

/// `depth`: as deep as it says is served, one deeper is answered; the limit cannot be set beyond 128.
#[test]
fn nesting_is_bounded() {
    for (depth, served) in [(5, 5), (128, 128), (200, 128)] {
        let mut server = Node::server_in(V2025_06_18, |config| config.limits.depth = depth);
        let nested = |levels: usize| {
            // The message and its parameters are two levels.
            let inner = levels - 2;
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{{"a":{}1{}}}}}"#,
                "[".repeat(inner),
                "]".repeat(inner)
            )
        };
        server.line(&nested(served + 1));
        assert_eq!(server.frames()[0]["error"]["code"], -32600);
        assert_eq!(server.broken_rules(), [Rule::Malformed(Fault::TooDeep)]);
        server.line(&nested(served));
        let (id, message, _) = server.take_request();
        message.params().decode::<Value>().unwrap();
        server.respond(id, &json!({})).unwrap();
    }
}

/// `inbound_requests`: at the limit reading stops; what comes while we wait for the peer ourselves is refused and may be
/// sent again.
#[test]
fn requests_in_work_are_bounded() {
    let mut server = Node::server_in(V2025_11_25, |_| {});
    let mut ids = Vec::new();
    for id in 0..256 {
        assert!(server.conn.wants_input());
        server.tell(&call(&json!(id)));
        ids.push(server.take_request().0);
    }
    server.tell(&call(&json!(999)));
    assert!(server.events().is_empty(), "it waits for a place");
    assert!(server.conn.wants_input(), "pings and cancels are read on");
    server.tell(&cancelled(&json!(999)));
    let options = CallOptions { within: Some(ids[0]), ..CallOptions::default() };
    server.request(&body("roots/list", &json!({})), &options).unwrap();
    server.frames();
    assert!(server.conn.wants_input(), "its answer has to be read");
    server.tell(&call(&json!(1000)));
    let frames = server.frames();
    assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(1000), &json!(-32603)));
    assert_eq!(frames[0]["error"]["data"], json!({"retryable": true}));
    assert_eq!(server.conn.stats().refused, 1);
    assert!(server.events().is_empty(), "too many requests are no broken rule");
    server.tell(&json!({"jsonrpc": "2.0", "id": 1001, "method": "ping"}));
    assert_eq!(server.frames()[0]["result"], json!({}));
    server.respond(ids[255], &json!({})).unwrap();
    server.tell(&call(&json!(1000)));
    server.take_request();
}

/// `outbound_requests`: `Full`, then `Writable` when one has ended, then room again.
#[test]
fn our_own_requests_are_bounded() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    for _ in 0..1024 {
        client.ask("tools/list", &json!({}));
    }
    let refused = client.request(&body("ping", &json!({})), &CallOptions::default()).unwrap_err();
    assert_eq!(refused.why, Why::Full);
    let frames = client.frames();
    assert_eq!(frames.len(), 1024);
    assert!(client.events().is_empty(), "room for bytes is no room for calls");
    client.tell(&json!({"jsonrpc": "2.0", "id": frames[7]["id"], "result": {}}));
    assert_eq!(kinds(&client.events()), ["response", "writable"]);
    client.ask("ping", &json!({}));
}

/// `output`, once over: requests and notifications are `Full`; replies are not, logs are dropped, progress waits.
#[test]
fn queued_output_is_bounded() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.output = 4000);
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "t", "_meta": {"progressToken": "p"}}}));
    let (id, ..) = server.take_request();
    let big = body("notifications/x", &json!({"text": "x".repeat(1000)}));
    let mut taken = 0;
    let refused = loop {
        match server.notify(&big, Scope::Connection) {
            Ok(()) => taken += 1,
            Err(error) => break error.why,
        }
    };
    assert_eq!((taken, refused), (4, Why::Full));
    assert!(!server.conn.wants_input(), "whoever does not read is not read");
    assert!(server.conn.is_output_full());
    let asked = server.request(&body("ping", &json!({})), &CallOptions::default()).unwrap_err();
    assert_eq!(asked.why, Why::Full);
    server.progress(id, &Progress::new(1)).unwrap();
    server.notify(&super::capabilities::log("emergency"), Scope::Connection).unwrap();
    assert_eq!(server.conn.stats().dropped, 1, "the progress waits");
    server.respond(id, &json!({})).unwrap();
    assert_eq!(server.conn.stats().dropped, 2, "and goes with its request");
    assert!(server.events().is_empty());
    let first = server.step(|conn, _| conn.poll_transmit()).unwrap();
    server.check_frame(&first.frame);
    assert!(server.events().is_empty(), "not yet: still more than half is queued");
    assert_eq!(server.methods(), ["notifications/x", "notifications/x", "notifications/x", ""]);
    assert_eq!(kinds(&server.events()), ["writable"], "once, however many were refused");
    assert!(server.conn.wants_input());
    server.notify(&big, Scope::Connection).unwrap();
}

/// "An empty queue always admits one message", however small the limit is.
#[test]
fn an_empty_queue_admits_one_message() {
    for size in [1, 10_000] {
        let mut client = Node::client_in(V2025_11_25, |config| config.limits.output = 100);
        let big = body("notifications/x", &json!({"text": "x".repeat(size)}));
        for _ in 0..5 {
            client.notify(&big, Scope::Connection).unwrap();
            assert_eq!(client.frames().len(), 1);
        }
    }
}

/// `output`, twice over: replies cannot be refused, so a peer that does not read them is given up.
#[test]
fn output_at_twice_its_limit_closes() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.output = 4000);
    let mut ids = Vec::new();
    for id in 0..20 {
        server.tell(&call(&json!(id)));
        ids.push(server.take_request().0);
    }
    for (sent, id) in ids.into_iter().enumerate() {
        server.respond(id, &json!({"text": "x".repeat(900)})).unwrap();
        if let Some(reason) = server.closed_by() {
            assert_eq!((sent, reason), (9, CloseReason::NotReading), "the ninth has passed twice the limit");
            break;
        }
    }
    assert!(server.frames().is_empty() && server.conn.is_drained());
}

/// `events`: over it reading stops, so that a peer cannot fill the memory of an application that does not look.
#[test]
fn events_that_nobody_takes_stop_reading() {
    let mut client = Node::client_in(V2025_11_25, |config| config.limits.events = 10_000);
    let line =
        format!("{}\n", json!({"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": "x".repeat(500)}}));
    let flood = line.repeat(1000);
    let taken = client.offer(flood.as_bytes());
    assert!(taken > 5 * line.len() && taken < 40 * line.len(), "{taken}");
    assert!(!client.conn.wants_input());
    assert_eq!(client.offer(&flood.as_bytes()[taken..]), 0);
    assert_eq!(client.events().len(), taken.div_ceil(line.len()));
    assert!(client.conn.wants_input());
}

/// `events`: an error is as large as a result, and counts like one.
#[test]
fn errors_of_the_peer_count_as_events() {
    let mut client = Node::client_in(V2025_11_25, |config| config.limits.events = 100_000);
    for _ in 0..100 {
        client.ask("tools/list", &json!({}));
    }
    let mut taken = 0;
    for frame in client.frames() {
        if !client.conn.wants_input() {
            break;
        }
        let (long, many) = ("x".repeat(5000), [0].repeat(1000));
        client.tell(&json!({"jsonrpc": "2.0", "id": frame["id"], "error": {"code": 1, "message": long,
            "data": {"text": long, "list": many, "more": {"k": {"k": long}}}}}));
        taken += 1;
    }
    assert!(taken < 20, "{taken} errors of more than 15 kB are over the limit of 100 kB");
}

/// `stall`: output over its limit without a byte of progress for so long closes; any progress winds it up again.
#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.output = 2000);
    let big = body("notifications/x", &json!({"text": "x".repeat(500)}));
    while server.notify(&big, Scope::Connection).is_ok() {}
    server.wait(secs(59));
    let taken = server.step(|conn, _| conn.poll_transmit());
    assert!(taken.is_some());
    while server.notify(&big, Scope::Connection).is_ok() {}
    server.wait(secs(59));
    assert!(server.closed_by().is_none());
    server.wait(secs(1));
    assert_eq!(server.closed_by(), Some(CloseReason::NotReading));
    assert!(server.conn.is_drained());

    // At its limit or below, output may wait for as long as it likes.
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.output = 2000);
    server.notify(&big, Scope::Connection).unwrap();
    server.wait(secs(100_000));
    assert!(server.events().is_empty());
}

/// `strikes`: so many broken rules in a minute are borne, more are not; the bucket leaks.
#[test]
fn broken_rules_are_borne_up_to_a_limit() {
    let closed_after = |pause: Duration| {
        let mut server = Node::server_in(V2025_11_25, |_| {});
        for count in 1..=1000 {
            server.line("no json");
            server.frames();
            server.wait(pause);
            if let Some(reason) = server.closed_by() {
                assert_eq!(reason, CloseReason::Misbehaved);
                assert!(server.conn.is_drained());
                return Some(count);
            }
        }
        None
    };
    assert!(matches!(closed_after(Duration::ZERO), Some(100 | 101)));
    assert!(closed_after(Duration::from_millis(300)).is_some_and(|count| (150..260).contains(&count)));
    assert_eq!(closed_after(Duration::from_millis(600)), None, "100 a minute for ever");
}

/// What ends the connection by breaking a rule too often is the last thing that is said about it, whatever rule it was.
#[test]
fn the_last_straw_is_not_answered_after_the_end() {
    let straws = [
        "no json".to_string(),
        call(&json!(1)).to_string(),
        initialize(&json!(5), "2025-06-18").to_string(),
        json!({"jsonrpc": "2.0", "id": 1, "result": []}).to_string(),
        cancelled(&json!(null)).to_string(),
    ];
    for straw in straws {
        let mut server = Node::server_in(V2025_11_25, |config| config.limits.strikes = 2);
        server.tell(&call(&json!(1)));
        server.ask("roots/list", &json!({}));
        for _ in 0..5 {
            server.line(&straw);
        }
        let events = server.events();
        let Some(Event::Closed { reason: CloseReason::Misbehaved, .. }) = events.last() else { panic!("{events:?}") };
        assert!(server.frames().is_empty() && server.conn.is_drained());
    }
}

/// `subscribed_uris`, and `events` for their bytes: what has no room is refused and may be tried again, not taken and forgotten.
#[test]
fn subscriptions_of_the_legacy_era_are_bounded() {
    let subscribe = |id: i64, uri: &str| json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe", "params": {"uri": uri}});
    let mut server =
        Node::server_in(V2025_11_25, |config| (config.limits.subscribed_uris, config.limits.events) = (2, 8000));
    let long = format!("x:{}", "y".repeat(7000));
    for (id, uri, taken) in [(1, "x:a", true), (2, &*long, true), (3, "x:c", false), (4, "x:a", true)] {
        server.tell(&subscribe(id, uri));
        if taken {
            let (request, ..) = server.take_request();
            server.respond(request, &json!({})).unwrap();
            server.frames();
        } else {
            let frame = &server.frames()[0];
            assert_eq!((&frame["error"]["code"], &frame["error"]["data"]["retryable"]), (&json!(-32603), &json!(true)));
        }
    }
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.events = 8000);
    for (id, taken) in [(1, true), (2, false)] {
        server.tell(&subscribe(id, &format!("{long}{id}")));
        assert_eq!(server.frames().is_empty(), taken, "{id}");
        for event in server.events() {
            if let Event::Request { id, .. } = event {
                server.respond(id, &json!({})).unwrap();
                server.frames();
            }
        }
    }
}

/// Found by simulation: an answer of more than twice `output` behind a small message looked like a peer that reads nothing. One
/// message more than the limit is always let through.
#[test]
fn a_large_answer_behind_a_small_message_does_not_close() {
    let mut server = Node::server_in(V2025_11_25, |config| config.limits.output = 4000);
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    server.notify(&body("notifications/tools/list_changed", &json!({})), Scope::Connection).unwrap();
    server.respond(id, &json!({"text": "x".repeat(9000)})).unwrap();
    assert_eq!(server.closed_by(), None);
    assert_eq!(server.frames().len(), 2);
}
