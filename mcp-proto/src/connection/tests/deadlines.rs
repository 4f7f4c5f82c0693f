//! How long calls may take (specification: basic/lifecycle, Timeouts).

use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CallOptions, Deadlines, Event, OutboundId, RequestError, TimedOut, Wanted};
use crate::model::ProtocolVersion::{V2025_06_18, V2025_11_25};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Deadlines may be rounded up by as much as this.
const SLACK: Duration = Duration::from_millis(65);
const MILLI: Duration = Duration::from_millis(1);

fn asked(node: &mut Node, deadlines: Deadlines) -> (OutboundId, Value) {
    let options = CallOptions { deadlines, progress: Wanted::Yes, ..CallOptions::default() };
    let call = node.request(&body("vendor/slow", &json!({})), &options).unwrap();
    (call, node.frames().pop().unwrap()["id"].clone())
}

fn progressed(token: &Value, progress: u32) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": token, "progress": progress}})
}

fn timed_out(node: &mut Node, call: OutboundId, which: TimedOut) {
    assert_eq!(node.take_response(), (call, Err(RequestError::TimedOut(which))));
    assert_eq!(node.methods(), ["notifications/cancelled"]);
    assert_eq!(node.conn.poll_timeout(), None, "nothing waits any more");
}

/// "Implementations SHOULD establish timeouts for all sent requests … When the request has not received a success or
/// error response within the timeout period, the sender SHOULD issue a cancellation notification".
#[test]
fn silence_ends_a_call_after_its_idle_deadline_and_not_before() {
    let (idle, cap) = (secs(5), secs(60));
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let (call, _) = asked(&mut client, Deadlines::Call { idle, cap });
    let at = client.conn.poll_timeout().unwrap();
    assert!(at >= client.now + idle && at <= client.now + idle + SLACK);
    client.wait(idle - MILLI);
    assert!(client.events().is_empty());
    client.wait(MILLI + SLACK);
    timed_out(&mut client, call, TimedOut::Idle(idle));
}

/// Whoever reads of it has to know which clock it was and how long it ran; and it does not look like an error of the peer.
#[test]
fn a_time_out_says_after_how_long() {
    let (idle, cap) = (TimedOut::Idle(secs(5)), TimedOut::Cap(secs(90)));
    assert_eq!(RequestError::TimedOut(idle).to_string(), "timed out: nothing heard for 5s");
    assert_eq!(RequestError::TimedOut(cap).to_string(), "timed out: not finished after 90s");
}

/// By default a call has 60 s of silence and 10 min in all, whatever it is, on both sides.
#[test]
fn every_call_has_a_deadline_by_default() {
    for mut node in [Node::client_in(V2025_11_25, |_| {}), Node::server_in(V2025_11_25, |_| {})] {
        let call = node.ask("ping", &json!({}));
        node.frames();
        node.wait(secs(60) - MILLI);
        assert!(node.events().is_empty());
        node.wait(MILLI + SLACK);
        timed_out(&mut node, call, TimedOut::Idle(secs(60)));
    }
}

/// "Implementations MAY choose to reset the timeout clock when receiving a progress notification … However,
/// implementations SHOULD always enforce a maximum timeout, regardless of progress notifications".
#[test]
fn progress_winds_up_the_idle_clock_but_never_the_cap() {
    let (idle, cap) = (secs(5), secs(22));
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let (call, token) = asked(&mut client, Deadlines::Call { idle, cap });
    for step in 1..=5 {
        client.wait(secs(4));
        client.tell(&progressed(&token, step));
        assert_eq!(kinds(&client.events()), ["progress"]);
    }
    client.wait(secs(2) - MILLI);
    assert!(client.events().is_empty());
    client.wait(MILLI + SLACK);
    timed_out(&mut client, call, TimedOut::Cap(cap));
}

/// Progress that breaks the rules is no sign of life.
#[test]
fn progress_that_does_not_rise_winds_nothing_up() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let (call, token) = asked(&mut client, Deadlines::Call { idle: secs(5), cap: secs(60) });
    client.tell(&progressed(&token, 1));
    client.wait(secs(4));
    client.tell(&progressed(&token, 1));
    client.tell(&progressed(&json!(999), 2));
    client.events();
    client.wait(secs(1) + SLACK);
    timed_out(&mut client, call, TimedOut::Idle(secs(5)));
}

/// A call that stays open on purpose has a deadline only until its first sign of life.
#[test]
fn a_stream_waits_for_its_first_sign_of_life_only() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let (silent, _) = asked(&mut client, Deadlines::Stream { first: secs(5) });
    client.wait(secs(5) + SLACK);
    timed_out(&mut client, silent, TimedOut::Idle(secs(5)));
    let (alive, token) = asked(&mut client, Deadlines::Stream { first: secs(5) });
    client.tell(&progressed(&token, 1));
    client.events();
    client.wait(secs(10 * 365 * 24 * 3600));
    assert!(client.events().is_empty());
    client.tell(&json!({"jsonrpc": "2.0", "id": token, "result": {}}));
    assert_eq!(client.take_response(), (alive, Ok(json!({}))));
}

/// While a person answers a server's question, the call that the question came from does not run out: both clocks stand
/// still until the last answer is given, and then go on where they stood.
#[test]
fn clocks_stand_still_while_the_client_owes_an_answer() {
    let (idle, cap) = (secs(5), secs(8));
    for end in ["respond", "cancel"] {
        let mut client = Node::client_in(V2025_11_25, |_| {});
        let (call, token) = asked(&mut client, Deadlines::Call { idle, cap });
        client.wait(secs(2));
        for id in ["a", "b"] {
            client
                .tell(&json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": {"message": id}}));
        }
        let mut questions = Vec::new();
        for event in client.events() {
            let Event::Request { id, .. } = event else { panic!() };
            questions.push(id);
        }
        client.wait(secs(3000));
        client.respond(questions[0], &json!({"action": "decline"})).unwrap();
        client.wait(secs(500));
        assert!(client.events().is_empty(), "one is still open");
        if end == "respond" {
            client.respond(questions[1], &json!({"action": "decline"})).unwrap();
        } else {
            client.tell(&cancelled(&json!("b")));
            assert_eq!(kinds(&client.events()), ["cancelled"]);
        }
        client.frames();
        client.wait(secs(3) - MILLI);
        assert!(client.events().is_empty(), "2 s of 5 had passed before");
        client.tell(&progressed(&token, 1));
        client.events();
        client.wait(secs(3) - MILLI);
        assert!(client.events().is_empty(), "5 s of 8 had passed before");
        client.wait(MILLI * 2 + SLACK);
        timed_out(&mut client, call, TimedOut::Cap(cap));
    }
}

/// Found by simulation: the clocks of all calls stood still for ever once a question was never answered, and a call whose answer did not
/// come never ended. A person has an hour; then they go on, and no further question stops them until the overdue one is answered.
#[test]
fn a_question_that_is_never_answered_stops_the_clocks_for_an_hour_only() {
    let (idle, cap, hour) = (secs(5), secs(8), secs(3600));
    let question =
        |id: &str| json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": {"message": id}});
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let (call, _) = asked(&mut client, Deadlines::Call { idle, cap });
    client.wait(secs(2));
    client.tell(&question("never"));
    let (never, ..) = client.take_request();
    client.wait(hour + secs(3) - MILLI);
    assert!(client.events().is_empty(), "2 s of 5 had passed before");
    client.wait(MILLI + SLACK * 2);
    timed_out(&mut client, call, TimedOut::Idle(idle));

    client.tell(&question("more"));
    let (more, ..) = client.take_request();
    let (call, _) = asked(&mut client, Deadlines::Call { idle, cap });
    client.wait(idle + SLACK);
    timed_out(&mut client, call, TimedOut::Idle(idle));
    for id in [never, more] {
        client.respond(id, &json!({"action": "cancel"})).unwrap();
    }
    client.frames();

    client.tell(&question("again"));
    let (again, ..) = client.take_request();
    let (call, _) = asked(&mut client, Deadlines::Call { idle, cap });
    client.wait(secs(3000));
    assert!(client.events().is_empty(), "nothing is overdue any more");
    client.respond(again, &json!({"action": "cancel"})).unwrap();
    client.frames();
    client.wait(idle + SLACK);
    timed_out(&mut client, call, TimedOut::Idle(idle));
}

/// A call that begins while the clocks stand still has its whole time once they go on.
#[test]
fn a_call_made_while_the_clocks_stand_still_loses_nothing() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    client.tell(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "m"}}));
    let (question, ..) = client.take_request();
    client.wait(secs(100));
    let (call, _) = asked(&mut client, Deadlines::Call { idle: secs(5), cap: secs(8) });
    client.wait(secs(100));
    client.respond(question, &json!({"action": "cancel"})).unwrap();
    client.frames();
    client.wait(secs(5) - MILLI);
    assert!(client.events().is_empty());
    client.wait(MILLI + SLACK);
    timed_out(&mut client, call, TimedOut::Idle(secs(5)));
}

/// A server's handler may ask its client while a call of the client is open: its own question has its own clock.
#[test]
fn a_server_that_works_on_a_request_still_times_its_own_calls_out() {
    let mut server = Node::server_in(V2025_11_25, |_| {});
    server.tell(&call(&json!(1)));
    let (parent, ..) = server.take_request();
    let deadlines = Deadlines::Call { idle: secs(5), cap: secs(8) };
    let options = CallOptions { within: Some(parent), deadlines, ..CallOptions::default() };
    let nested = server.request(&body("roots/list", &json!({})), &options).unwrap();
    server.frames();
    server.wait(secs(5) + SLACK);
    timed_out(&mut server, nested, TimedOut::Idle(secs(5)));
    server.respond(parent, &json!({})).unwrap();
}

/// Expiry is judged by `now`: whoever wakes late finds everything that is due, whoever wakes early finds nothing, and
/// time never goes back.
#[test]
fn deadlines_are_judged_by_the_time_that_is_given() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let mut calls = Vec::new();
    for seconds in [3, 1, 2, 50] {
        calls.push(asked(&mut client, Deadlines::Call { idle: secs(seconds), cap: secs(seconds) }).0);
    }
    for _ in 0..10 {
        client.wait(Duration::ZERO);
    }
    assert!(client.events().is_empty());
    client.wait(secs(10));
    let mut ended = Vec::new();
    for event in client.events() {
        let Event::Response { id, result: Err(RequestError::TimedOut(TimedOut::Cap(_))) } = event else {
            panic!("{event:?}")
        };
        ended.push(id);
    }
    ended.sort();
    assert_eq!(ended, calls[..3]);
    let before = client.now;
    client.now = crate::Timestamp::EPOCH;
    client.step(|conn, now| conn.handle_timeout(now));
    client.ask("ping", &json!({}));
    client.now = before;
    client.wait(secs(39));
    assert!(client.events().is_empty(), "a call made at an earlier moment than was seen begins at the later one");
}

/// A call that may take no time at all ends at the next look at the clock; one that may take for ever overflows nothing.
#[test]
fn extreme_deadlines_are_harmless() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let (at_once, _) = asked(&mut client, Deadlines::Call { idle: Duration::ZERO, cap: Duration::ZERO });
    client.wait(SLACK);
    timed_out(&mut client, at_once, TimedOut::Cap(Duration::ZERO));
    let (forever, id) = asked(&mut client, Deadlines::Call { idle: Duration::MAX, cap: Duration::MAX });
    client.wait(secs(365 * 24 * 3600));
    client.tell(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "m"}}));
    let (question, ..) = client.take_request();
    client.wait(secs(365 * 24 * 3600));
    client.respond(question, &json!({})).unwrap();
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    assert_eq!(client.take_response(), (forever, Ok(json!({}))));
}

/// A call that was answered leaves no deadline behind.
#[test]
fn an_answered_call_wakes_nobody() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    let (call, id) = asked(&mut client, Deadlines::default());
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    assert_eq!(client.take_response(), (call, Ok(json!({}))));
    assert_eq!(client.conn.poll_timeout(), None);
    client.wait(secs(100_000));
    assert!(client.events().is_empty() && client.frames().is_empty());
}
