//! What a response says, and when it takes which shape.

use super::*;

/// An accepted notification or answer gets 202 and no body: servers MUST (specification: basic/transports, Sending Messages to the Server).
#[test]
fn what_is_not_answered_is_accepted() {
    let mut host = Host::new(ProtocolVersion::V2025_06_18);
    for body in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 77, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 77, "error": { "code": 1, "message": "no" } }),
    ] {
        let key = host.post(&body);
        let told = host.read(key);
        assert_eq!((told.status, told.body.as_str(), told.ended), (Some(202), "", true), "{body}");
    }
    assert!(!host.session.is_read() && host.session.buffered() == 0);
}

#[test]
fn an_answer_that_comes_first_is_one_json_text() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let key = host.call(1);
    assert_eq!(host.read(key), Told::default(), "nothing is said before something is known");
    let asked = host.asked[0];
    host.answer(asked, &json!({ "content": [] }));
    let told = host.read(key);
    assert_eq!((told.status, told.json()["id"].clone()), (Some(200), json!(1)));
    assert!(!told.headers.contains_key("mcp-session-id"), "only initialize says it");

    // A client that would rather have events gets its answer as one.
    host.prefers = Preference::Events;
    let key = host.call(1);
    host.answer(host.asked[0], &json!({ "content": [] }));
    let told = host.read(key);
    assert_eq!((told.messages().len(), told.ended), (1, true));

    // Errors about requests ride on 200 in this era.
    let key = host.post(&json!({ "jsonrpc": "2.0", "id": "x", "method": "prompts/list" }));
    let told = host.read(key);
    assert_eq!((told.status, &told.json()["error"]["code"]), (Some(200), &json!(-32601)));
}

fn fresh() -> Host {
    let server = Arc::new(ServerConfig::new(Implementation::new("server", "1")));
    let conn = Connection::server(server, Start::Handshake, EPOCH);
    let session = Session::new(SessionId::from_entropy([5; 16]), Arc::default());
    Host { conn, session, now: EPOCH, asked: Vec::new(), prefers: Preference::Json }
}

/// A server that assigns a session id MUST do so in the response that has the InitializeResult (specification: basic/transports, Session
/// Management), also if that is a stream of events.
#[test]
fn the_answer_to_initialize_brings_the_session_id() {
    for late in [false, true] {
        let mut host = fresh();
        let message = Message::scan(initialize("2025-06-18").to_string().as_bytes(), &Limits::default());
        let key = host.session.open_post(EPOCH, None, &message, Preference::Json).unwrap();
        if late {
            host.now = EPOCH + Duration::from_secs(5);
            host.session.handle_timeout(host.now);
        }
        host.conn.handle_message(host.now, key.origin(), message);
        host.settle();
        let told = host.read(key);
        assert_eq!(told.headers["mcp-session-id"], "05".repeat(16));
        assert_eq!(told.headers["content-type"], if late { "text/event-stream" } else { "application/json" });
    }
    // One that was refused has begun no session.
    let mut host = fresh();
    let key = host.post(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {} }));
    let told = host.read(key);
    assert!(told.json()["error"].is_object() && !told.headers.contains_key("mcp-session-id"), "{told:?}");
}

/// What is said before the answer comes on the stream of its request, the answer last, and then the stream ends (specification:
/// basic/transports, Sending Messages to the Server: a server SHOULD).
#[test]
fn another_message_first_makes_it_a_stream_that_ends_with_the_answer() {
    for version in [ProtocolVersion::V2025_03_26, ProtocolVersion::V2025_06_18, ProtocolVersion::V2025_11_25] {
        let mut host = Host::new(version);
        let key = host.call(1);
        let asked = host.asked[0];
        host.progress(asked, 0.5);
        let mut told = host.read(key);
        assert_eq!(told.status, Some(200));
        let header = |name: &str| told.headers[name].as_str();
        assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-cache", "no"));
        assert!(told.body.starts_with(':'), "a comment at once, for proxies that wait for the first byte");
        host.answer(asked, &json!({ "content": [] }));
        host.read_into(&mut told, key, usize::MAX);
        let methods: Vec<Value> = told.messages().iter().map(|it| it["method"].clone()).collect();
        assert_eq!(methods, [json!("notifications/progress"), Value::Null], "{version}");
        assert_eq!(told.messages()[1]["id"], 1);
        assert!(told.ended);
    }
}

/// From 2025-11-25 on a stream begins with an event that has an id and no data, and says how long to wait: a server SHOULD (specification:
/// basic/transports, Sending Messages to the Server). Before there was none of that.
#[test]
fn streams_are_primed_where_the_revision_has_it() {
    for version in [ProtocolVersion::V2025_03_26, ProtocolVersion::V2025_06_18, ProtocolVersion::V2025_11_25] {
        let mut host = Host::new(version);
        let key = host.call(1);
        host.pass(Duration::from_millis(4999));
        assert_eq!(host.read(key), Told::default());
        host.pass(Duration::from_millis(1));
        let on_post = host.read(key);
        assert_eq!(on_post.status, Some(200), "after 5 s there is a sign of life");
        let get = host.get(None).unwrap();
        let on_get = host.read(get);
        for told in [on_post, on_get] {
            let events = told.events();
            if version == ProtocolVersion::V2025_11_25 {
                let [event] = &events[..] else { panic!("{told:?}") };
                assert!(event.id.is_some() && event.data.is_empty() && event.name.is_none(), "{event:?}");
                assert_eq!(event.retry.as_deref(), Some("1000"));
            } else {
                assert!(events.is_empty() && !told.body.contains("retry"), "{version}: {told:?}");
            }
        }
    }
}

#[test]
fn a_silent_stream_shows_a_comment_every_15_seconds() {
    let mut host = Host::new(ProtocolVersion::V2025_06_18);
    let key = host.get(None).unwrap();
    assert_eq!(host.read(key).body.matches(':').count(), 1);
    for _ in 0..3 {
        host.pass(Duration::from_millis(14_999));
        assert_eq!(host.read(key), Told::default());
        host.pass(Duration::from_millis(1));
        let told = host.read(key);
        assert!(told.body.starts_with(':') && told.body.ends_with("\n\n") && told.body.len() < 8, "{told:?}");
    }
    // Not for a client that does not take them: they would only pile up.
    for _ in 0..100 {
        host.pass(Duration::from_secs(15));
    }
    assert!(host.session.buffered() < 8);
}

/// Event ids MUST be unique in the session, and say of which stream they are (specification: basic/transports, Resumability and
/// Redelivery).
#[test]
fn event_ids_are_unique_in_the_session_and_name_their_stream() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let get = host.get(None).unwrap();
    let keys = [host.call(1), host.call(2)];
    let asked = host.asked.clone();
    for step in 1..4 {
        for id in &asked {
            host.progress(*id, f64::from(step));
        }
        host.conn.changed(host.now, &Change::Tools);
        host.settle();
    }
    let mut seen = BTreeSet::new();
    for key in [get, keys[0], keys[1]] {
        for event in host.read(key).events() {
            let id = event.id.expect("every event has one");
            assert!(id.starts_with(&format!("{}-", key.number())), "{id}");
            assert!(seen.insert(id));
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
}

/// Each message leaves by one stream and MUST NOT be broadcast; what belongs to a request leaves by the stream of that request
/// (specification: basic/transports, Multiple Connections).
#[test]
fn a_message_leaves_by_the_one_stream_that_it_belongs_to() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let get = host.get(None).unwrap();
    let keys = [host.call(1), host.call(2)];
    let asked = host.asked.clone();
    host.log(asked[1], "about the second");
    let options = CallOptions { within: Some(asked[0]), ..CallOptions::default() };
    host.conn.request(host.now, Body::empty("ping").unwrap(), options).unwrap();
    host.conn.changed(host.now, &Change::Tools);
    host.settle();
    let methods = |told: &Told| told.messages().iter().map(|it| it["method"].to_string()).collect::<Vec<_>>();
    assert_eq!(methods(&host.read(keys[0])), ["\"ping\""]);
    assert_eq!(methods(&host.read(keys[1])), ["\"notifications/message\""]);
    assert_eq!(methods(&host.read(get)), ["\"notifications/tools/list_changed\""]);
    // Answers never come on the stream of GET.
    host.answer(asked[1], &json!({}));
    assert_eq!(host.read(get), Told::default());
    let told = host.read(keys[1]);
    assert!(told.ended && told.body.contains("\"result\""), "{told:?}");
}

/// Without a stream of GET there is no way to the client: changes wait for one, and requests of ours are refused.
#[test]
fn what_belongs_to_no_request_waits_for_a_stream_of_get() {
    let mut host = Host::new(ProtocolVersion::V2025_06_18);
    assert!(!host.session.wants_notices());
    host.conn.changed(host.now, &Change::Tools);
    host.settle();
    let refused = host.conn.request(host.now, Body::empty("ping").unwrap(), CallOptions::default()).unwrap_err();
    assert_eq!(refused.why, Why::NoChannel);
    let get = host.get(None).unwrap();
    assert_eq!(host.read(get).messages()[0]["method"], "notifications/tools/list_changed");
    assert_eq!(host.session.dropped(), 0);
}

/// One id on two POSTs at once: each is answered on its own.
#[test]
fn two_posts_with_the_same_id_are_told_apart() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let keys = [host.call(1), host.call(1)];
    let asked = host.asked.clone();
    host.answer(asked[1], &json!({ "content": [], "which": "second" }));
    host.answer(asked[0], &json!({ "content": [], "which": "first" }));
    for (key, which) in keys.into_iter().zip(["first", "second"]) {
        assert_eq!(host.read(key).json()["result"]["which"], which);
    }
}

/// A batch is answered by events, one for each request in it; one without requests is only accepted (specification 2025-03-26:
/// basic/transports, Sending Messages to the Server).
#[test]
fn a_batch_is_answered_by_events() {
    let mut host = Host::new(ProtocolVersion::V2025_03_26);
    let request = |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    for batch in [json!([request(1), note, request(2)]), json!([request(1)])] {
        let key = host.post(&batch);
        let expected = core::mem::take(&mut host.asked);
        for id in &expected {
            host.answer(*id, &json!({ "tools": [] }));
        }
        let told = host.read(key);
        assert_eq!(told.messages().len(), expected.len(), "{told:?}");
        assert!(told.ended);
    }
    let key = host.post(&json!([note, note]));
    assert_eq!(host.read(key).status, Some(202));
}

#[test]
fn a_cancelled_request_ends_its_response_without_an_answer() {
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    // Committed: the stream just ends.
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let key = host.call(1);
    host.progress(host.asked[0], 1.0);
    let mut told = host.read(key);
    let note = host.post(&cancel);
    assert_eq!(host.read(note).status, Some(202));
    host.read_into(&mut told, key, usize::MAX);
    assert!(told.ended && told.messages().len() == 1, "{told:?}");
    // Not committed: an error, or a stream without events.
    for cancelled in [CancelledPost::Error, CancelledPost::EmptyStream] {
        let mut host = Host::with(ProtocolVersion::V2025_06_18, |config| config.cancelled = cancelled);
        let key = host.call(1);
        host.post(&cancel);
        let told = host.read(key);
        if cancelled == CancelledPost::EmptyStream {
            assert!(told.ended && told.messages().is_empty(), "{told:?}");
        } else {
            let error = told.json();
            assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!(-32800)));
        }
    }
}

#[test]
fn a_session_that_is_over_ends_every_response() {
    let mut host = Host::new(ProtocolVersion::V2025_11_25);
    let get = host.get(None).unwrap();
    let keys = [host.call(1), host.call(2)];
    host.progress(host.asked[0], 1.0);
    host.session.close(host.now);
    assert!(host.read(get).ended && host.read(keys[0]).ended);
    let told = host.read(keys[1]);
    assert_eq!((told.status, told.json()["id"].clone()), (Some(404), json!(2)));
    assert!(!host.session.is_read());
    assert_eq!(host.session.buffered(), 0);
}

#[test]
fn at_the_end_of_the_server_clients_are_told_to_come_back_and_calls_go_on() {
    for version in [ProtocolVersion::V2025_06_18, ProtocolVersion::V2025_11_25] {
        let mut host = Host::new(version);
        let (get, key) = (host.get(None).unwrap(), host.call(1));
        host.read(get);
        host.session.begin_end(host.now);
        let told = host.read(get);
        assert!(told.ended, "{told:?}");
        assert_eq!(told.body, if version.rules().primed_streams { "retry: 1000\n\n" } else { "" });
        host.answer(host.asked[0], &json!({}));
        assert!(host.read(key).json()["result"].is_object());
    }
}

#[test]
fn streams_are_bounded_and_those_that_have_ended_go_first() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| config.limits.session_streams = 3);
    // Three streams that were read to their end are kept for whoever lost the end of one ...
    let mut last = Vec::new();
    for at in 1..=3 {
        let key = host.call(at);
        let asked = host.asked[0];
        host.progress(asked, 1.0);
        host.answer(asked, &json!({}));
        let told = host.read(key);
        assert!(told.ended);
        last.push(told.last_id());
    }
    // ... and go one by one for new ones.
    let open = [host.call(11), host.call(12), host.call(13)];
    assert!(last.iter().all(|id| host.get(Some(id)) == Err(Reason::EventUnknown)));
    let body = json!({ "jsonrpc": "2.0", "id": 14, "method": "tools/list" });
    assert_eq!(host.try_post(&body), Err(Reason::TooManyExchanges));
    // One that is over makes room.
    host.answer(host.asked[0], &json!({}));
    assert!(host.read(open[0]).ended);
    host.post(&body);
}

/// A stream whose client was handed all of it went after one whose client had still to come back for its answer.
#[test]
fn streams_that_were_handed_out_whole_go_before_those_that_are_waited_for() {
    let mut host = Host::with(ProtocolVersion::V2025_11_25, |config| config.limits.session_streams = 3);
    let (lost, whole) = (host.call(1), host.call(2));
    for asked in host.asked.clone() {
        host.progress(asked, 1.0);
    }
    let last = host.read(lost).last_id();
    host.session.detach(host.now, lost);
    host.answer(host.asked[0], &json!({ "content": [], "of": "lost" }));
    host.answer(host.asked[0], &json!({ "content": [], "of": "whole" }));
    assert!(host.read(whole).ended);

    // There are three with this one, and with the next there are too many.
    host.call(3);
    host.call(4);
    let back = host.get(Some(&last)).expect("it is still known");
    assert_eq!(host.read(back).messages().last().unwrap()["result"]["of"], "lost");
}
