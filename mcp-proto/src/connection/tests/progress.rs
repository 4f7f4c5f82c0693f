//! How far requests have come (specification: basic/utilities/progress).

use std::string::String;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CallOptions, Event, InboundId, Limits, Origin, OutboundId, RespondError, Rule, Scope, Wanted};
use crate::jsonrpc::Message;
use crate::model::ProtocolVersion::{self, V2024_11_05, V2025_03_26, V2025_06_18};
use crate::model::{LoggingLevel, Progress};

fn server_with_token(version: ProtocolVersion, token: &Value) -> (Node, InboundId) {
    let mut server = Node::server_in(version, |_| {});
    server.tell(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "t", "_meta": {"progressToken": token}}}));
    let (id, _, meta) = server.take_request();
    assert_eq!(serde_json::to_value(meta.token.unwrap()).unwrap(), *token);
    assert_eq!(meta.log_level, Some(LoggingLevel::Info));
    (server, id)
}

fn client_with_token(wanted: Wanted) -> (Node, OutboundId, Value) {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let options = CallOptions { progress: wanted, ..CallOptions::default() };
    let call = client.request(&body("tools/call", &json!({"name": "t"})), &options).unwrap();
    let token = client.frames()[0]["params"]["_meta"]["progressToken"].clone();
    (client, call, token)
}

fn progressed(token: &Value, progress: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": token, "progress": progress}})
}

/// "Progress notifications MUST only reference tokens that … were provided in an active request"; "the receiver … MUST
/// include the original progress token".
#[test]
fn progress_carries_the_token_of_its_request() {
    for token in [json!("abc"), json!(0), json!(-5), json!(""), json!("1")] {
        let (mut server, id) = server_with_token(V2025_06_18, &token);
        server.progress(id, &Progress::new(0.5).with_total(2).with_message("half")).unwrap();
        let expected = json!({"progressToken": token, "progress": 0.5, "total": 2.0, "message": "half"});
        assert_eq!(server.frames()[0]["params"], expected);
    }
}

/// "The progress value MUST increase with each notification, even if the total is unknown."
#[test]
fn progress_that_does_not_rise_is_refused_and_not_sent() {
    let (mut server, id) = server_with_token(V2025_06_18, &json!("t"));
    let mut sent = 0;
    for (value, rises) in [
        (f64::NAN, false),
        (f64::INFINITY, false),
        (-1.0, true),
        (-1.0, false),
        (-2.0, false),
        (0.0, true),
        (-0.0, false),
        (f64::NEG_INFINITY, false),
        (1e-9, true),
        (1e300, true),
        (f64::NAN, false),
        (1e299, false),
    ] {
        let told = server.progress(id, &Progress::new(value));
        assert_eq!(told, if rises { Ok(()) } else { Err(RespondError::ProgressNotRising) }, "{value}");
        sent += usize::from(rises);
    }
    assert_eq!(server.frames().len(), sent);
}

/// A total that is no number of JSON is left out; the message stays JSON.
#[test]
fn a_total_that_is_not_finite_is_left_out() {
    let (mut server, id) = server_with_token(V2025_06_18, &json!("t"));
    server.progress(id, &Progress::new(1).with_total(f64::NAN)).unwrap();
    assert_eq!(server.frames()[0]["params"], json!({"progressToken": "t", "progress": 1.0}));
}

/// The receiver "MAY choose not to send any progress notifications": without a token it never does.
#[test]
fn without_a_token_progress_is_taken_and_dropped() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (id, _, meta) = server.take_request();
    assert_eq!(meta.token, None);
    server.progress(id, &Progress::new(1)).unwrap();
    assert_eq!(
        server.progress(id, &Progress::new(1)),
        Err(RespondError::ProgressNotRising),
        "the rules hold all the same"
    );
    assert!(server.frames().is_empty());
}

/// A token is a string or an integer; anything else is answered, so that nobody waits for progress in vain.
#[test]
fn a_token_of_another_type_is_refused() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    for token in [json!(1.5), json!({}), json!([]), json!(true)] {
        server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "t", "_meta": {"progressToken": token}}}));
        let frames = server.frames();
        assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(1), &json!(-32602)), "{token}");
        assert!(server.events().is_empty());
    }
}

/// "Progress notifications MUST stop after completion."
#[test]
fn there_is_no_progress_after_the_reply() {
    let (mut server, id) = server_with_token(V2025_06_18, &json!("t"));
    server.progress(id, &Progress::new(1)).unwrap();
    server.respond(id, &json!({})).unwrap();
    assert_eq!(server.progress(id, &Progress::new(2)), Err(RespondError::Gone));
    assert_eq!(server.methods(), ["notifications/progress", ""], "and what was said before comes before");
}

/// The member `message` came with 2025-03-26; an older peer does not get it.
#[test]
fn the_message_is_dropped_for_2024_11_05() {
    for (version, message) in [(V2024_11_05, Value::Null), (V2025_03_26, json!("m"))] {
        let (mut server, id) = server_with_token(version, &json!("t"));
        server.progress(id, &Progress::new(1).with_total(3).with_message("m")).unwrap();
        let frames = server.frames();
        assert_eq!((&frames[0]["params"]["message"], &frames[0]["params"]["total"]), (&message, &json!(3.0)));
    }
}

/// "Progress tokens … MUST be unique across all active requests"; there is one only if somebody listens.
#[test]
fn a_token_is_given_only_if_progress_is_wanted() {
    let (_, _, token) = client_with_token(Wanted::No);
    assert_eq!(token, Value::Null);
    let (mut client, _, first) = client_with_token(Wanted::Yes);
    assert_ne!(first, Value::Null);
    let options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
    let mut tokens = [first].to_vec();
    for _ in 0..10 {
        client.request(&body("tools/list", &json!({})), &options).unwrap();
        let token = client.frames()[0]["params"]["_meta"]["progressToken"].clone();
        assert!(!tokens.contains(&token));
        tokens.push(token);
    }
}

/// Progress reaches the call that asked for it, integer or fraction, with what goes with it.
#[test]
fn progress_reaches_its_call() {
    let (mut client, call, token) = client_with_token(Wanted::Yes);
    client.tell(&progressed(&token, &json!(1)));
    client.tell(&json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": token, "progress": 1.25, "total": 4, "message": "m", "more": [1]}}));
    let events = client.events();
    let [Event::Progress { id, .. }, Event::Progress { id: again, progress, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*id, *again), (call, call));
    assert_eq!((progress.progress, progress.total, progress.message.as_deref()), (1.25, Some(4.0), Some("m")));
}

/// Progress of a peer that breaks the rules is surfaced, never answered, and never shown as progress.
#[test]
fn progress_of_the_peer_must_rise() {
    let (mut client, _, token) = client_with_token(Wanted::Yes);
    client.tell(&progressed(&token, &json!(5)));
    client.events();
    for stale in [json!(5), json!(4.9), json!(-1)] {
        client.tell(&progressed(&token, &stale));
        assert_eq!(client.broken_rules(), [Rule::ProgressNotRising], "{stale}");
    }
    for bad in ["1e999", "\"6\"", "null", "{}"] {
        client.line(&std::format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{bad}}}}}"#
        ));
        assert_eq!(client.broken_rules().len(), 1, "{bad}");
    }
    assert!(client.frames().is_empty());
    client.tell(&progressed(&token, &json!(6)));
    assert_eq!(kinds(&client.events()), ["progress"], "the call goes on");
}

/// Tokens that are unknown, of a finished call, or of a call that wanted none, are answers to nobody.
#[test]
fn progress_of_nothing_is_a_stray() {
    let (mut client, _, token) = client_with_token(Wanted::Yes);
    client.ask("tools/list", &json!({}));
    let unwanted = client.frames()[0]["id"].clone();
    for nobody in [json!(99), json!("x"), json!(-1), unwanted] {
        client.tell(&progressed(&nobody, &json!(1)));
        assert_eq!(kinds(&client.events()), ["stray"], "{nobody}");
    }
    client.tell(&json!({"jsonrpc": "2.0", "id": token, "result": {}}));
    client.tell(&progressed(&token, &json!(1)));
    assert_eq!(kinds(&client.events()), ["response", "stray"]);
    assert!(client.frames().is_empty());
}

/// Both directions have tokens of their own; a server's call to its client progresses like any other.
#[test]
fn progress_flows_both_ways_before_its_result() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    let options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
    let up = pair.client.request(&body("tools/call", &json!({"name": "t"})), &options).unwrap();
    let down = pair.server.request(&body("sampling/createMessage", &json!({})), &options).unwrap();
    fn work(node: &mut Node, event: &Event) {
        if let Event::Request { id, .. } = event {
            for step in 1..=3 {
                node.progress(*id, &Progress::new(step)).unwrap();
            }
            node.respond(*id, &json!({})).unwrap();
        }
    }
    let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
    let note = |seen: &mut Vec<(OutboundId, String)>, event: Event| match event {
        Event::Progress { id, progress, .. } => seen.push((id, std::format!("{}", progress.progress))),
        Event::Response { id, .. } => seen.push((id, "done".into())),
        _ => {}
    };
    pair.run(
        |node, event| {
            work(node, &event);
            note(&mut at_client, event);
        },
        |node, event| {
            work(node, &event);
            note(&mut at_server, event);
        },
    );
    let expect = |id| ["1", "2", "3", "done"].map(|step| (id, String::from(step))).to_vec();
    assert_eq!((at_client, at_server), (expect(up), expect(down)));
}

/// A peer that does not keep up hears of the latest progress as soon as there is room, and of nothing in between; what was
/// said last comes before the reply, as "progress notifications MUST stop after completion" wants it.
#[test]
fn under_pressure_progress_is_conflated() {
    let mut server = Node::server_in(V2025_06_18, |config| config.limits.output = 2000);
    for id in [1, 2] {
        server.tell(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "t", "_meta": {"progressToken": id}}}));
    }
    let requests: Vec<InboundId> = server.events().into_iter().filter_map(asked).collect();
    let fill = body("notifications/x", &json!({"text": "x".repeat(2000)}));
    server.notify(&fill, Scope::Connection).unwrap();
    let dropped = server.conn.stats().dropped;
    for step in 1..=100 {
        for id in &requests {
            server.progress(*id, &Progress::new(step).with_message(std::format!("step {step}"))).unwrap();
        }
    }
    assert!(server.conn.buffered_bytes() < 3000, "a storm of progress holds no memory");
    assert_eq!(server.conn.stats().dropped - dropped, 2 * 99);
    let frames = server.frames();
    let told: Vec<_> = frames[1..].iter().map(|frame| frame["params"].clone()).collect();
    let last = |token: i64| json!({"progressToken": token, "progress": 100.0, "message": "step 100"});
    assert_eq!(told, [last(1), last(2)]);
    assert_eq!(server.progress(requests[0], &Progress::new(100)), Err(RespondError::ProgressNotRising));
    server.progress(requests[0], &Progress::new(101)).unwrap();
    server.respond(requests[0], &json!({})).unwrap();
    assert_eq!(server.methods(), ["notifications/progress", ""]);
}

/// Progress that still waits when its request is answered or cancelled is not told after that.
#[test]
fn progress_that_waits_goes_with_its_request() {
    for cancelled_instead in [true, false] {
        let mut server = Node::server_in(V2025_06_18, |config| config.limits.output = 2000);
        server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "t", "_meta": {"progressToken": "t"}}}));
        let (id, ..) = server.take_request();
        server.notify(&body("notifications/x", &json!({"text": "x".repeat(2000)})), Scope::Connection).unwrap();
        server.progress(id, &Progress::new(1)).unwrap();
        if cancelled_instead {
            // Read in spite of the full output, as a driver does that had scanned it before.
            let line = std::string::ToString::to_string(&cancelled(&json!(1)));
            let message = Message::scan(line.as_bytes(), &Limits::default());
            server.step(|conn, now| conn.handle_message(now, Origin::STREAM, message.clone()));
            assert_eq!(kinds(&server.events()), ["cancelled"]);
        } else {
            server.respond(id, &json!({})).unwrap();
        }
        let methods = server.methods();
        assert!(!methods.contains(&"notifications/progress".into()), "{methods:?}");
    }
}

/// A text that would make the progress that waits a burden is left out; the number is told all the same.
#[test]
fn a_long_text_does_not_wait() {
    let mut server = Node::server_in(V2025_06_18, |config| config.limits.output = 2000);
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "t", "_meta": {"progressToken": "t"}}}));
    let (id, ..) = server.take_request();
    server.notify(&body("notifications/x", &json!({"text": "x".repeat(2000)})), Scope::Connection).unwrap();
    server.progress(id, &Progress::new(1).with_message("x".repeat(1025))).unwrap();
    assert_eq!(server.frames()[1]["params"], json!({"progressToken": "t", "progress": 1.0}));
}

fn asked(event: Event) -> Option<InboundId> {
    if let Event::Request { id, .. } = event { Some(id) } else { None }
}
