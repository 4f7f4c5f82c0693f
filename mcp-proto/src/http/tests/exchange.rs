//! The response to one POST: JSON or a stream of events, decided late (specification: basic/transports, Streamable HTTP).

use core::time::Duration;

use super::*;
use crate::About;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LATE: Duration = Duration::from_secs(5);

fn exchange(body: &str) -> Exchange {
    Exchange::new(Era::Modern, &message(body), &HttpLimits::default(), NOW)
}

/// One of a request in work, and a handle of it.
fn working(body: &str) -> (Exchange, Connection, InboundId) {
    let server = Server::dual();
    let exchange = exchange(body);
    let start = Start::Assume(ProtocolVersion::V2026_07_28);
    let mut connection = Connection::server(Arc::clone(&server.config), start, NOW);
    connection.handle_message(NOW, Origin::new(1), message(body));
    let id = core::iter::from_fn(|| connection.poll_event()).find_map(|event| match event {
        Event::Request { id, .. } => Some(id),
        _ => None,
    });
    (exchange, connection, id.unwrap())
}

fn frame(about: About, frame: Vec<u8>) -> Transmit {
    Transmit { origin: Origin::new(1), about, last: about == About::Refusal, error: None, attachment: None, frame }
}

fn carry(connection: &mut Connection, exchange: &mut Exchange, now: Timestamp) {
    while let Some(transmit) = connection.poll_transmit() {
        exchange.push(now, transmit);
    }
}

/// A reply with nothing before it is the whole body.
#[test]
fn the_reply_alone_is_json() {
    let response = call_tool("fast");
    assert_eq!(response.headers.len(), 1, "{response:?}");
    assert_eq!(response.json()["result"]["content"][0]["text"], "done");
}

/// "…the stream … SHOULD … the response": with anything before it, it is the last of a stream of events, and errors are events too.
#[test]
fn with_anything_before_the_reply_it_is_a_stream() {
    for (name, member) in [("progress", "result"), ("progress, then an error", "error")] {
        let response = call_tool(name);
        assert_eq!(response.status, 200, "committed before the error came");
        assert_eq!(response.header("cache-control"), Some("no-cache"));
        assert_eq!(response.header("x-accel-buffering"), Some("no"));
        let events = response.events();
        let [progress, reply] = &events[..] else { panic!("{response:?}") };
        assert_eq!(progress["method"], "notifications/progress");
        assert_eq!((&reply["id"], reply.get(member).is_some()), (&json!(7), true), "{reply}");
    }
}

/// A client that names events first has a result as the one event of a stream. Errors keep their status.
#[test]
fn a_client_may_prefer_events() {
    for (name, is_stream) in [("fast", true), ("asks", true), ("-32602", false), ("-32603", false)] {
        let (mut exchange, mut connection, id) = working(&call(name));
        exchange = exchange.preferring(Preference::Events);
        serve(&mut connection, id, &message(&call(name)));
        carry(&mut connection, &mut exchange, NOW);
        let response = read(&mut exchange);
        assert!(exchange.is_over());
        let reply = if is_stream { response.events().remove(0) } else { response.json() };
        assert_eq!((&reply["id"], reply.get("result").is_some()), (&json!(7), is_stream), "{name}");
    }
}

/// A subscription stays open, and says at once that it is there.
#[test]
fn a_subscription_is_a_stream() {
    let listen = modern("subscriptions/listen", &json!({ "notifications": { "toolsListChanged": true } }));
    let (mut exchange, mut connection, id) = working(&listen);
    connection.grant(NOW, id, &SubscriptionFilter::new().with_tools_list_changed(true)).unwrap();
    carry(&mut connection, &mut exchange, NOW);
    let events = read(&mut exchange).events();
    assert_eq!(events[0]["method"], "notifications/subscriptions/acknowledged");
    connection.changed(NOW, &crate::Change::Tools);
    carry(&mut connection, &mut exchange, NOW);
    let Some(Output::Data(data)) = exchange.poll_output() else { panic!("{exchange:?}") };
    assert!(data.starts_with(b"data: {") && data.ends_with(b"}\n\n"));
    assert!(!exchange.is_over());
    exchange.finish();
    assert_eq!((exchange.poll_output(), exchange.poll_output()), (Some(Output::End), None));
    assert!(exchange.is_over());
}

/// An answer that takes long must not look like a dead connection: the stream is opened, with a comment at once.
#[test]
fn pain_15_a_slow_answer_becomes_a_stream_with_signs_of_life() {
    let (mut exchange, mut connection, id) = working(&call("slow"));
    assert_eq!(exchange.poll_timeout(), Some(NOW + LATE));
    exchange.handle_timeout(NOW + LATE / 2);
    assert_eq!(exchange.poll_output(), None, "nothing is decided");
    let mut now = NOW + LATE;
    exchange.handle_timeout(now);
    let response = read(&mut exchange);
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
    assert!(response.body.starts_with(':') && response.events().is_empty(), "{response:?}");
    for _ in 0..3 {
        assert_eq!(exchange.poll_timeout(), Some(now + KEEP_ALIVE));
        now = now + KEEP_ALIVE;
        exchange.handle_timeout(now);
        let Some(Output::Data(comment)) = exchange.poll_output() else { panic!("{exchange:?}") };
        assert!(comment.starts_with(b":") && comment.ends_with(b"\n\n"));
        exchange.handle_timeout(now);
        assert_eq!(exchange.poll_output(), None, "a spurious call does nothing");
    }
    connection.respond(now, id, ResultKind::Complete, Body::empty_result(), None).unwrap();
    carry(&mut connection, &mut exchange, now);
    assert!(matches!(exchange.poll_output(), Some(Output::Data(data)) if data.starts_with(b"data: ")));
    assert_eq!((exchange.poll_output(), exchange.poll_timeout()), (Some(Output::End), None));
}

/// Comments do not pile up for a client that does not read; neither does what its connection has to say.
#[test]
fn what_is_not_read_does_not_pile_up() {
    let limits = HttpLimits { stream_output: 1000, ..HttpLimits::default() };
    let body = call("x");
    let mut exchange = Exchange::new(Era::Modern, &message(&body), &limits, NOW);
    let mut now = NOW;
    for _ in 0..100 {
        now = now + KEEP_ALIVE;
        exchange.handle_timeout(now);
    }
    assert!(exchange.buffered() < 10, "one comment: {}", exchange.buffered());
    let said = |n: usize| frame(About::Notice, std::format!("{{\"n\":\"{}\"}}", "x".repeat(n)).into_bytes());
    let mut taken = 0;
    while exchange.has_room() {
        exchange.push(now, said(100));
        taken += 1;
    }
    assert!((9..=10).contains(&taken) && exchange.buffered() < 1200, "{taken}");
    while exchange.poll_output().is_some() {}
    exchange.push(now, said(5000));
    assert!(!exchange.has_room(), "one message is always taken");
}

/// Limits that make no sense do not make a driver turn for ever.
#[test]
fn what_is_due_is_due_later_again() {
    let limits = HttpLimits { keep_alive: Duration::ZERO, late_commit: Duration::ZERO, ..HttpLimits::default() };
    let mut exchange = Exchange::new(Era::Modern, &message(&call("x")), &limits, NOW);
    for _ in 0..3 {
        let due = exchange.poll_timeout().unwrap();
        exchange.handle_timeout(due);
        assert!(exchange.poll_timeout().unwrap() > due);
    }
}

/// A JSON response is one piece right after its head, and says so; a stream never is, and no response is before its head was taken.
#[test]
fn the_rest_is_one_piece_or_a_stream() {
    for (name, is_one_piece) in [("fast", true), ("-32603", true), ("progress", false)] {
        let (mut exchange, mut connection, id) = working(&call(name));
        assert_eq!(exchange.take_rest(), None);
        serve(&mut connection, id, &message(&call(name)));
        carry(&mut connection, &mut exchange, NOW);
        assert_eq!(exchange.take_rest(), None);
        assert!(matches!(exchange.poll_output(), Some(Output::Head(_))));
        assert!(exchange.is_ended() && !exchange.is_over());
        let rest = exchange.take_rest();
        assert_eq!((rest.is_some(), exchange.is_over()), (is_one_piece, is_one_piece), "{name}");
        assert!(rest.is_none_or(|rest| rest.starts_with(b"{") && exchange.buffered() == 0));
    }
    let mut accepted = exchange(r#"{"jsonrpc":"2.0","method":"notifications/anything"}"#);
    assert!(matches!(accepted.poll_output(), Some(Output::Head(_))));
    assert_eq!((accepted.take_rest(), accepted.take_rest()), (Some(Bytes::new()), None));
}

/// A connection that ends before it has answered: 500 while there is a choice, and just the end after that.
#[test]
fn an_exchange_that_ends_unanswered_is_500() {
    let response = call_tool("gone");
    assert_eq!(response.refusal(), (500, json!(7), -32603));
    let (mut exchange, ..) = working(&call("slow"));
    exchange.handle_timeout(NOW + LATE);
    exchange.finish();
    let response = read(&mut exchange);
    assert_eq!((response.status, response.events().len()), (200, 0));
    exchange.finish();
    assert_eq!(exchange.poll_output(), None, "the end comes once");
}

/// Each reply of a batch is an event of its own, in the order in which they come; the last ends the stream.
#[test]
fn a_batch_is_answered_by_events() {
    let server = Server::sessionless();
    let ping = |id: u8| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    for count in [1, 3] {
        let batch = Value::Array((0..count).map(ping).collect()).to_string();
        let response = server.post(&post_head(&[]), &batch);
        let ids: Vec<Value> = response.events().iter().map(|reply| reply["id"].clone()).collect();
        assert_eq!((response.status, ids), (200, (0..count).map(|id| json!(id)).collect()));
    }
    let mixed = server.post(&post_head(&[]), r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},5]"#);
    assert_eq!(mixed.events().len(), 2);
    assert_eq!(server.post(&post_head(&[]), "[5]").refusal(), (400, Value::Null, -32600));
}

/// After the end nothing more is said.
#[test]
fn what_comes_after_the_last_is_dropped() {
    let mut exchange = exchange(&call("x"));
    let last = frame(About::Refusal, b"{}".to_vec());
    exchange.push(NOW, last.clone());
    exchange.push(NOW, last);
    exchange.handle_timeout(NOW + KEEP_ALIVE * 2);
    exchange.finish();
    assert_eq!(read(&mut exchange).json(), json!({}));
}
