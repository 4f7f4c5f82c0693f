//! Giving up requests, and the races of it (specification: basic/utilities/cancellation).

use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CallOptions, CloseReason, Deadlines, Event, RequestError, RespondError, Scope, Wanted, Why};
use crate::jsonrpc::ErrorObject;
use crate::model::Progress;
use crate::model::ProtocolVersion::{V2025_06_18, V2025_11_25};

/// "The sender of the cancellation notification SHOULD ignore any response to the request that arrives afterward"; it may
/// only cancel what was "previously issued in the same direction" and is "believed to still be in-progress".
#[test]
fn a_cancelled_call_ends_at_once_and_its_late_answer_is_a_stray() {
    for answer in [json!({"result": {}}), json!({"error": {"code": -32800, "message": "m"}})] {
        let mut client = Node::client_in(V2025_06_18, |_| {});
        let call = client.ask("tools/call", &json!({"name": "t"}));
        let wire = client.frames()[0]["id"].clone();
        client.cancel(call, "changed my mind");
        assert_eq!(client.take_response(), (call, Err(RequestError::Cancelled)));
        let frames = client.frames();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0]["method"], "notifications/cancelled");
        assert_eq!(frames[0]["params"], json!({"requestId": wire, "reason": "changed my mind"}));
        let mut late = answer;
        (late["jsonrpc"], late["id"]) = (json!("2.0"), wire);
        client.tell(&late);
        assert_eq!(kinds(&client.events()), ["stray"]);
        client.cancel(call, "again");
        client.cancel(call, "and again");
        assert!(client.frames().is_empty() && client.events().is_empty(), "a handle that is over is ignored");
    }
}

/// "Cancellation notifications MUST only reference requests that … are believed to still be in-progress": one that has
/// not left is taken back, and nothing is said about it.
#[test]
fn a_request_that_has_not_left_is_taken_back() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let first = client.ask("tools/call", &json!({"name": "a"}));
    let second = client.ask("tools/call", &json!({"name": "b"}));
    client.cancel(first, "");
    assert_eq!(client.take_response(), (first, Err(RequestError::Cancelled)));
    let frames = client.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["params"]["name"], "b");
    client.cancel(second, "");
    let frames = client.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["method"], "notifications/cancelled");
    assert_eq!(frames[0]["params"].as_object().unwrap().keys().collect::<Vec<_>>(), ["requestId"], "no reason is none");
}

/// "The receiver … MAY ignore … if the referenced request is unknown, processing has already completed"; invalid
/// cancellation notifications "SHOULD be ignored". None of them is answered, none harms the session.
#[test]
fn cancels_of_nothing_are_ignored() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    for nothing in [json!(2), json!("1"), json!(-1), json!("")] {
        server.tell(&cancelled(&nothing));
        assert!(server.events().is_empty(), "{nothing}");
    }
    for invalid in [json!(null), json!(1.5), json!({}), json!([1]), json!(true)] {
        server.tell(&cancelled(&invalid));
        assert_eq!(kinds(&server.events()), ["misbehaved"], "{invalid}");
    }
    server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled"}));
    assert_eq!(kinds(&server.events()), ["misbehaved"]);
    assert!(server.frames().is_empty());
    server.respond(id, &json!({})).unwrap();
    assert_eq!(server.frames().len(), 1);
    server.tell(&cancelled(&json!(1)));
    assert!(server.events().is_empty(), "already completed");
}

/// The id 0 is an id, and so is the empty string.
#[test]
fn falsy_ids_are_cancelled_like_others() {
    for id in [json!(0), json!("")] {
        let mut server = Node::server_in(V2025_06_18, |_| {});
        server.tell(&call(&id));
        let (handle, ..) = server.take_request();
        server.tell(&cancelled(&id));
        let events = server.events();
        let [Event::Cancelled { id, reason }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((*id, reason.as_deref()), (handle, Some("why not")));
    }
}

/// "Receivers of cancellation notifications SHOULD … not send a response for the cancelled request."
#[test]
fn nothing_is_said_about_a_cancelled_request() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "t", "_meta": {"progressToken": "t"}}}));
    let (id, ..) = server.take_request();
    server.progress(id, &Progress::new(1)).unwrap();
    server.notify(&super::capabilities::log("error"), Scope::Within(id)).unwrap();
    server.notify(&body("notifications/resources/list_changed", &json!({})), Scope::Connection).unwrap();
    server.tell(&cancelled(&json!(1)));
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    assert_eq!(server.methods(), ["notifications/resources/list_changed"], "what was queued about it is dropped");
    assert_eq!(server.progress(id, &Progress::new(2)), Err(RespondError::Gone));
    let refused = server.notify(&super::capabilities::log("error"), Scope::Within(id)).unwrap_err();
    assert_eq!(refused.why, Why::Gone);
    assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone));
    assert_eq!(server.reject(id, &ErrorObject::internal("x")), Err(RespondError::Gone));
    server.release(id);
    assert!(server.frames().is_empty());
    assert!(server.events().is_empty());
}

/// Cancelled and asked again at once, and again, and again: the work goes on, so the slots stay taken and reading stops.
/// Only `release` or an attempt to answer frees them; the id is free at once.
#[test]
fn a_cancelled_request_keeps_its_slot_until_its_handler_has_ended() {
    let mut server = Node::server_in(V2025_06_18, |config| config.limits.inbound_requests = 3);
    let mut handles = Vec::new();
    for _ in 0..3 {
        server.tell(&call(&json!(1)));
        let (id, ..) = server.take_request();
        handles.push(id);
        if handles.len() < 3 {
            server.tell(&cancelled(&json!(1)));
            assert_eq!(kinds(&server.events()), ["cancelled"]);
        }
    }
    server.tell(&call(&json!(2)));
    assert!(server.events().is_empty(), "three are in work although only one can be answered");
    server.release(handles[2]);
    assert!(server.events().is_empty(), "what is still to be answered is not released");
    server.release(handles[0]);
    handles.push(server.take_request().0);
    assert_eq!(server.respond(handles[1], &json!({})), Err(RespondError::Gone));
    server.release(handles[1]);
    server.respond(handles[2], &json!({"third": 3})).unwrap();
    let replies: Vec<Value> = server.frames().into_iter().filter(|frame| frame["id"] == 1).collect();
    assert_eq!(replies, [json!({"jsonrpc": "2.0", "id": 1, "result": {"third": 3}})]);
}

/// The id of a cancelled request is free: the answer goes to the new one, never to the old one.
#[test]
fn the_answer_of_a_cancelled_request_never_reaches_its_successor() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (old, ..) = server.take_request();
    server.tell(&cancelled(&json!(1)));
    server.tell(&call(&json!(1)));
    let (new, ..) = server.take_request();
    assert_eq!(server.respond(old, &json!({"from": "old"})), Err(RespondError::Gone));
    server.tell(&cancelled(&json!(1)));
    assert!(matches!(server.events()[..], [Event::Cancelled { id, .. }] if id == new), "still in work");
    server.release(new);
    assert!(server.frames().is_empty());
}

/// Both cross: the answer is there as the cancel arrives. Neither side minds.
#[test]
fn an_answer_and_a_cancel_that_cross_harm_nobody() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    let asked = pair.client.ask("tools/call", &json!({"name": "t"}));
    pair.run(
        |_, _| {},
        |node, event| {
            echo(node, event);
        },
    );
    // The answer has arrived already; the application cancels all the same.
    pair.client.cancel(asked, "late");
    assert!(pair.client.frames().is_empty());

    let asked = pair.client.ask("tools/call", &json!({"name": "t"}));
    pair.down.stalled = true;
    pair.run(|_, _| panic!("stalled"), echo);
    pair.client.cancel(asked, "while the answer is under way");
    pair.down.stalled = false;
    let mut seen = Vec::new();
    pair.run(|_, event| seen.push(kind_of(&event)), |_, event| panic!("{event:?}"));
    assert_eq!(seen, ["response"], "one Response; the answer had not left, and is dropped");
    let last = pair.client.ask("tools/call", &json!({"name": "t"}));
    let mut ended = Outcomes::default();
    pair.run(|_, event| ended.take(event), echo);
    assert!(ended.0[&last].is_ok(), "the session goes on");
}

/// What was asked on behalf of a cancelled request is cancelled with it, each with its own notification.
#[test]
fn nested_requests_are_cancelled_with_their_parent() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&call(&json!(1)));
    let (parent, ..) = server.take_request();
    let options = CallOptions { within: Some(parent), deadlines: Deadlines::PERSON, ..CallOptions::default() };
    let sent = server.request(&body("elicitation/create", &json!({"message": "m"})), &options).unwrap();
    let wire = server.frames()[0]["id"].clone();
    let unsent = server.request(&body("roots/list", &json!({})), &options).unwrap();
    let other = server.ask("sampling/createMessage", &json!({}));
    server.tell(&cancelled(&json!(1)));
    let mut ended = Vec::new();
    for event in server.events() {
        match event {
            Event::Response { id, result } => {
                assert_eq!(result.unwrap_err(), RequestError::Cancelled);
                ended.push(id);
            }
            Event::Cancelled { id, .. } => assert_eq!(id, parent),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended, [sent, unsent]);
    let frames = server.frames();
    let methods: Vec<_> = frames.iter().map(|frame| frame["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["sampling/createMessage", "notifications/cancelled"], "one had not left");
    assert_eq!(frames[1]["params"]["requestId"], wire);
    server.close(Duration::ZERO);
    let events = server.events();
    assert!(matches!(&events[0], Event::Response { id, .. } if *id == other));
}

/// Timeouts: "the sender SHOULD issue a cancellation notification for that request and stop waiting for a response".
#[test]
fn an_expired_call_is_cancelled_on_the_wire_unless_it_never_left() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    client.ask("tools/call", &json!({"name": "a"}));
    let wire = client.frames()[0]["id"].clone();
    client.ask("tools/call", &json!({"name": "b"}));
    client.wait(Duration::from_secs(61));
    assert_eq!(kinds(&client.events()), ["response", "response"]);
    let frames = client.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["params"]["requestId"], wire);
}

/// Either side may cancel; a client that is cancelled hears of it the same way.
#[test]
fn a_server_cancels_what_it_asked_of_its_client() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    let asked = pair.server.ask("elicitation/create", &json!({"message": "m"}));
    let mut at_client = Vec::new();
    pair.run(|_, event| at_client.push(event), |_, _| {});
    let [Event::Request { id, .. }] = at_client[..] else { panic!("{at_client:?}") };
    pair.server.cancel(asked, "never mind");
    at_client.clear();
    let mut ended = Outcomes::default();
    pair.run(|_, event| at_client.push(event), |_, event| ended.take(event));
    assert_eq!(ended.0[&asked], Err(RequestError::Cancelled));
    assert!(
        matches!(&at_client[..], [Event::Cancelled { id: over, reason: Some(why) }] if *over == id && why == "never mind")
    );
    pair.client.release(id);
}

/// What was cancelled by the end of the connection is reported once, with why, before `Closed`.
#[test]
fn the_end_of_the_connection_cancels_what_is_in_work() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    for id in [1, 2] {
        server.tell(&call(&json!(id)));
    }
    server.events();
    server.tell(&cancelled(&json!(1)));
    server.events();
    server.close(Duration::ZERO);
    let events = server.events();
    assert!(
        matches!(
            &events[..],
            [Event::Cancelled { reason: Some(_), .. }, Event::Closed { reason: CloseReason::LocallyClosed, .. }]
        ),
        "{events:?}"
    );
}

/// Progress of a call that was given up is an answer to nobody.
#[test]
fn progress_of_a_cancelled_call_is_a_stray() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
    let call = client.request(&body("tools/call", &json!({"name": "t"})), &options).unwrap();
    let token = client.frames()[0]["params"]["_meta"]["progressToken"].clone();
    client.cancel(call, "");
    client.events();
    client.tell(&json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": token, "progress": 1}}));
    assert_eq!(kinds(&client.events()), ["stray"]);
}

/// Found by simulation: the answer was queued with progress before it, and the cancel took back the answer alone. Nothing is said
/// about a cancelled request any more.
#[test]
fn a_cancel_takes_back_a_queued_answer_and_what_was_to_be_said_before_it() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "t", "_meta": {"progressToken": "t"}}}));
    let (id, ..) = server.take_request();
    server.progress(id, &Progress::new(1)).unwrap();
    server.respond(id, &json!({})).unwrap();
    server.tell(&cancelled(&json!(1)));
    assert!(server.frames().is_empty());
}
