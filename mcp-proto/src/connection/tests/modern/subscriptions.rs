//! Hearing of changes (specification 2026-07-28: subscriptions/listen; before: list-changed notifications,
//! resources/subscribe).

use super::*;
use crate::connection::{Change, CloseReason, Deadlines, Event, Limits, Scope, TimedOut};
use crate::model::{
    LogParams, LoggingLevel, Progress, ServerCapabilities, SubscriptionFilter, Supported, ToolsCapability,
};
use ProtocolVersion::{V2025_06_18, V2025_11_25};
use std::format;
use std::string::ToString;

fn everything() -> SubscriptionFilter {
    serde_json::from_value(wish()).unwrap()
}

fn wish() -> Value {
    json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": ["x:1", "x:2"]})
}

fn listen(id: &Value, filter: &Value) -> Value {
    modern_with(id, "subscriptions/listen", json!({"notifications": filter}), &json!({}))
}

impl Node {
    fn grant(&mut self, id: InboundId, filter: &SubscriptionFilter) -> Result<(), RespondError> {
        self.step(|conn, now| conn.grant(now, id, filter))
    }

    fn changed(&mut self, change: &Change) {
        self.step(|conn, now| conn.changed(now, change));
    }

    /// Opens a subscription to what it asks for.
    fn listening(&mut self, id: &Value, filter: &Value) -> InboundId {
        self.tell(&listen(id, filter));
        let (handle, ..) = self.take_request();
        self.grant(handle, &everything()).unwrap();
        let ack = answer(self);
        assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(&ack["params"]["_meta"][meta_key::SUBSCRIPTION_ID], id);
        handle
    }
}

fn uri(uri: &str) -> Change {
    Change::Resource(uri.to_string())
}

/// What was told: the method, the URI if there is one, and the id of the subscription.
fn told(node: &mut Node) -> Vec<(String, Value)> {
    let frames = node.frames();
    let tell = |frame: &Value| {
        let method = frame["method"].as_str().unwrap_or("the result");
        let what = frame["params"]["uri"].as_str().unwrap_or(method);
        (
            what.trim_start_matches("notifications/").to_string(),
            frame["params"]["_meta"][meta_key::SUBSCRIPTION_ID].clone(),
        )
    };
    frames.iter().map(tell).collect()
}

/// "The server MUST send `notifications/subscriptions/acknowledged` as the first message", once, with what it grants of what was
/// asked for, and the id of the request in its JSON type.
#[test]
fn a_subscription_begins_with_its_acknowledgement() {
    let cases = [
        (wish(), everything(), wish()),
        (json!({"toolsListChanged": true}), everything(), json!({"toolsListChanged": true})),
        (json!({"toolsListChanged": false}), everything(), json!({})),
        (wish(), SubscriptionFilter::default().with_tools_list_changed(true), json!({"toolsListChanged": true})),
        (wish(), SubscriptionFilter::default(), json!({})),
        (json!({"resourceSubscriptions": ["x:2", "x:3"]}), everything(), json!({"resourceSubscriptions": ["x:2"]})),
        (json!({}), everything(), json!({})),
    ];
    for (asked, allowed, granted) in cases {
        for wire in [json!("listen-1"), json!(1), json!("1"), json!(-3)] {
            let mut server = Node::server(dual_server());
            server.tell(&listen(&wire, &asked));
            let (id, ..) = server.take_request();
            // Nothing of the subscription comes before.
            server.changed(&Change::Tools);
            assert!(server.frames().is_empty());
            server.grant(id, &allowed).unwrap();
            let ack = answer(&mut server);
            assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
            assert_eq!(ack["params"]["notifications"], granted, "{asked}");
            assert_eq!(ack["params"]["_meta"], json!({meta_key::SUBSCRIPTION_ID: wire}));
            assert_eq!(ack.get("id"), None);
            assert!(server.grant(id, &allowed).is_err(), "once");
            assert!(server.frames().is_empty());
        }
    }
}

/// "MUST NOT send notification types that were not requested"; "every notification … carries the subscription id".
#[test]
fn only_what_was_granted_is_told() {
    let mut server = Node::server(dual_server());
    let all = [Change::Tools, Change::Prompts, Change::Resources, uri("x:1"), uri("x:2"), uri("x:9")];
    for change in &all {
        server.changed(change);
    }
    server.listening(&json!("a"), &json!({"toolsListChanged": true, "resourceSubscriptions": ["x:2"]}));
    assert!(server.frames().is_empty(), "what was before is not told");
    for change in &all {
        server.changed(change);
    }
    let a = json!("a");
    assert_eq!(told(&mut server), [("tools/list_changed".into(), a.clone()), ("x:2".into(), a)]);
    assert!(server.frames().is_empty());
}

/// "A client MAY have several"; each hears of a change under its own id.
#[test]
fn a_change_fans_out_to_every_subscription_that_wants_it() {
    let mut server = Node::server(dual_server());
    let tools = json!({"toolsListChanged": true});
    server.listening(&json!(1), &tools);
    server.listening(&json!("1"), &wish());
    server.listening(&json!(2), &json!({"promptsListChanged": true}));
    server.changed(&Change::Tools);
    let tell = "tools/list_changed".to_string();
    assert_eq!(told(&mut server), [(tell.clone(), json!(1)), (tell, json!("1"))]);
    server.changed(&uri("x:1"));
    assert_eq!(told(&mut server), [("x:1".to_string(), json!("1"))]);
}

/// "On stdio … `notifications/cancelled`" ends a subscription, at once and without an answer.
#[test]
fn a_client_ends_its_subscription_by_cancelling() {
    let mut server = Node::server(dual_server());
    let id = server.listening(&json!("a"), &wish());
    server.listening(&json!("b"), &wish());
    server.changed(&Change::Tools);
    server.tell(&cancelled(&json!("a")));
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    let about: Vec<Value> = told(&mut server).into_iter().map(|(_, id)| id).collect();
    assert_eq!(about, [json!("b")], "nothing after the end, not even what had not left yet");
    server.changed(&Change::Prompts);
    assert_eq!(told(&mut server).len(), 1);
    assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone));
    assert!(server.grant(id, &everything()).is_err());
    assert!(server.frames().is_empty());
    server.listening(&json!("a"), &wish());
}

/// "the server SHOULD send the result … with the subscription id in its `_meta`", and nothing afterwards.
#[test]
fn a_server_ends_a_subscription_by_its_result() {
    let mut server = Node::server(dual_server());
    for wire in [json!("a"), json!(7)] {
        let id = server.listening(&wire, &wish());
        server.respond(id, &json!({})).unwrap();
        server.changed(&Change::Tools);
        let reply = answer(&mut server);
        assert_eq!(
            reply,
            json!({"jsonrpc": "2.0", "id": wire, "result": {"resultType": "complete", "_meta": {
                meta_key::SUBSCRIPTION_ID: wire, meta_key::SERVER_INFO: {"name": "server", "version": "1"}}}})
        );
        assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone));
    }
}

/// An application may refuse, and other requests are no subscriptions.
#[test]
fn only_a_listen_can_be_granted() {
    let mut server = Node::server(dual_server());
    server.tell(&modern(1, "tools/call", json!({"name": "t"})));
    let (id, ..) = server.take_request();
    assert_eq!(server.grant(id, &everything()), Err(RespondError::NotInThisRevision));
    server.tell(&listen(&json!(2), &wish()));
    let (id, ..) = server.take_request();
    server.reject(id, &crate::jsonrpc::ErrorObject::invalid_params("no")).unwrap();
    assert_eq!(refused(&mut server, &json!(2)), -32602);
    server.changed(&Change::Tools);
    assert!(server.frames().is_empty());
    for params in [
        json!({}),
        json!({"notifications": 1}),
        json!({"notifications": {"toolsListChanged": "yes"}}),
        json!({"notifications": {"resourceSubscriptions": "x:1"}}),
    ] {
        server.tell(&modern(3, "subscriptions/listen", params.clone()));
        assert_eq!(refused(&mut server, &json!(3)), -32602, "{params}");
    }
    assert!(server.events().is_empty());
}

/// "MUST NOT send progress or log notifications on a listen stream".
#[test]
fn nothing_but_changes_is_told_on_a_subscription() {
    let mut server = Node::server(dual_server());
    let mut request = listen(&json!(1), &wish());
    request["params"]["_meta"][meta_key::LOG_LEVEL] = json!("debug");
    request["params"]["_meta"][meta_key::PROGRESS_TOKEN] = json!("p");
    server.tell(&request);
    let (id, ..) = server.take_request();
    server.grant(id, &everything()).unwrap();
    server.frames();
    let log = Body::log(&LogParams::new(LoggingLevel::Emergency, json!("x"))).unwrap();
    let _ = server.notify(&log, Scope::Within(id));
    let _ = server.progress(id, &Progress { progress: 1.0, total: None, message: None });
    assert!(server.frames().is_empty());
}

/// Subscriptions have a limit of their own: they take no place from requests, and are refused beyond it.
#[test]
fn subscriptions_have_their_own_limit() {
    let mut config = dual_server();
    config.limits = Limits { subscriptions: 3, inbound_requests: 1, subscribed_uris: 2, ..Limits::default() };
    let mut server = Node::server(config);
    let ids: Vec<InboundId> = (0..3).map(|id| server.listening(&json!(id), &wish())).collect();
    server.tell(&listen(&json!(3), &wish()));
    let error = answer(&mut server);
    assert_eq!((&error["error"]["code"], &error["error"]["data"]["retryable"]), (&json!(-32603), &json!(true)));
    assert!(server.conn.wants_input(), "they saturate nothing");

    server.tell(&modern(10, "tools/call", json!({"name": "t"})));
    let (request, ..) = server.take_request();
    server.respond(ids[0], &json!({})).unwrap();
    server.frames();
    server.listening(&json!(4), &wish());
    server.respond(request, &json!({"content": []})).unwrap();
    server.frames();

    server.tell(&cancelled(&json!(4)));
    server.events();
    server.tell(&listen(&json!(5), &json!({"resourceSubscriptions": ["x:1", "x:2", "x:3"]})));
    assert_eq!(refused(&mut server, &json!(5)), -32603, "too many URIs");
}

/// The filters of many subscriptions together are bounded in bytes, too: a few long URIs are as bad as many short ones.
#[test]
fn the_filters_of_all_subscriptions_are_bounded_in_bytes() {
    let mut config = dual_server();
    config.limits = Limits { events: 10_000, ..Limits::default() };
    let mut server = Node::server(config);
    let long = json!({"resourceSubscriptions": ["x".repeat(6000)]});
    server.listening(&json!(1), &long);
    server.listening(&json!(2), &long);
    server.tell(&listen(&json!(3), &long));
    assert_eq!(refused(&mut server, &json!(3)), -32603);
    server.tell(&cancelled(&json!(1)));
    server.events();
    server.listening(&json!(4), &long);
}

/// Changes are a set: however many come while the peer does not read, it is told once, and what it is told is bounded.
#[test]
fn changes_are_conflated_while_the_output_is_stuck() {
    let mut config = dual_server();
    config.limits.output = 2000;
    let mut server = Node::server(config);
    server.listening(&json!("a"), &wish());
    server.tell(&modern(1, "tools/call", json!({"name": "t"})));
    let (id, ..) = server.take_request();
    server.respond(id, &json!({"text": "x".repeat(2500)})).unwrap();
    let before = server.conn.buffered_bytes();
    for _ in 0..500 {
        for change in [Change::Tools, Change::Prompts, uri("x:1"), uri("x:2")] {
            server.changed(&change);
        }
    }
    assert_eq!(server.conn.buffered_bytes(), before, "nothing piles up");
    let told = told(&mut server);
    let what: Vec<&str> = told.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["the result", "tools/list_changed", "prompts/list_changed", "x:1", "x:2"], "once each");
    server.changed(&Change::Tools);
    assert_eq!(server.frames().len(), 1, "and again when it changes again");
}

/// A subscription is no work: neither the end of input nor `close` waits for it. Whoever holds it is told, and so is the
/// client, by the result that ends it in order (basic/utilities/subscriptions).
#[test]
fn a_subscription_does_not_hold_up_the_end() {
    let mut server = Node::server(dual_server());
    server.listening(&json!("a"), &wish());
    server.eof();
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    let frames = server.frames();
    assert_eq!(frames[0]["id"], "a");
    assert_eq!(frames[0]["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "a");
    assert!(matches!(server.events()[..], [Event::Closed { reason: CloseReason::PeerClosed, .. }]));

    let mut server = Node::server(dual_server());
    server.listening(&json!("a"), &wish());
    server.tell(&modern(1, "tools/call", json!({"name": "t"})));
    let (id, ..) = server.take_request();
    server.close(secs(10));
    assert!(server.events().iter().all(|event| !matches!(event, Event::Closed { .. })), "a call is work");
    server.respond(id, &json!({"content": []})).unwrap();
    server.frames();
    assert_eq!(kinds(&server.events()).last(), Some(&"closed"));
    server.changed(&Change::Tools);
    assert!(server.frames().is_empty());
    assert!(server.conn.is_drained());
}

/// Nor does one of ours hold up our own end: it would never end by itself. The server is told.
#[test]
fn a_clients_subscription_does_not_hold_up_its_end() {
    let (mut client, call, wire) = subscribing(secs(5));
    client.tell(&notification("notifications/subscriptions/acknowledged", &wire));
    client.events();
    let other = client.ask("tools/call", &json!({"name": "t"}));
    let other_wire = answer(&mut client)["id"].clone();
    client.close(secs(10));
    let closed = RequestError::Closed(CloseReason::LocallyClosed);
    assert_eq!(take_end(&mut client), (call, Err(closed)));
    let cancelled = answer(&mut client);
    assert_eq!((&cancelled["method"], &cancelled["params"]["requestId"]), (&json!("notifications/cancelled"), &wire));
    client.tell(&json!({"jsonrpc": "2.0", "id": other_wire, "result": {"content": []}}));
    let events = client.events();
    assert_eq!(kinds(&events), ["response", "closed"], "a call is work");
    assert!(matches!(&events[0], Event::Response { id, result: Ok(_) } if *id == other));
}

/// In the legacy era the session is told, if the capability is declared and the handshake is over.
#[test]
fn a_legacy_session_is_told_what_was_declared() {
    let mut config = server_config();
    config.capabilities = ServerCapabilities::default()
        .with_tools(ToolsCapability::default().with_list_changed(true))
        .with_prompts(crate::model::PromptsCapability::default())
        .with_logging(Supported::default());
    let mut server = Node::server(config);
    let all = [Change::Tools, Change::Prompts, Change::Resources, uri("x:1")];
    let change = |server: &mut Node| all.iter().for_each(|change| server.changed(change));
    change(&mut server);
    assert!(server.frames().is_empty(), "nobody is there");
    server.tell(&initialize(&json!(1), V2025_06_18.as_str()));
    server.frames();
    change(&mut server);
    assert!(server.frames().is_empty(), "not before initialized");
    server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(
        answer(&mut server),
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}})
    );
    change(&mut server);
    assert_eq!(server.methods(), ["notifications/tools/list_changed"]);
}

/// "`resources/subscribe` … the server then sends `notifications/resources/updated`": after the application has confirmed it and
/// until `resources/unsubscribe`.
#[test]
fn a_legacy_session_hears_of_resources_that_it_subscribed_to() {
    let mut server = Node::server_in(V2025_11_25, |_| {});
    let ask = |id: i64, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"uri": "x:1"}});
    let updated = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "x:1"}});
    server.changed(&uri("x:1"));
    server.tell(&ask(1, "resources/subscribe"));
    let (id, ..) = server.take_request();
    server.changed(&uri("x:1"));
    assert!(server.frames().is_empty(), "not confirmed");
    server.reject(id, &crate::jsonrpc::ErrorObject::invalid_params("no")).unwrap();
    server.changed(&uri("x:1"));
    assert_eq!(server.frames().len(), 1, "refused");

    server.tell(&ask(2, "resources/subscribe"));
    let (id, ..) = server.take_request();
    server.respond(id, &json!({})).unwrap();
    assert_eq!(answer(&mut server)["result"], json!({}));
    server.changed(&uri("x:2"));
    server.changed(&uri("x:1"));
    assert_eq!(answer(&mut server), updated);
    // The modern era on the same connection is another matter.
    server.tell(&ask(3, "resources/unsubscribe"));
    let (id, ..) = server.take_request();
    server.respond(id, &json!({})).unwrap();
    server.frames();
    server.changed(&uri("x:1"));
    assert!(server.frames().is_empty());
}

/// Both eras on one connection: the session and the subscription are each told in their own way.
#[test]
fn a_session_and_a_subscription_are_told_apart() {
    let mut server = Node::server_in(V2025_11_25, |config| config.versions = ProtocolVersion::ALL.to_vec());
    server.listening(&json!("a"), &wish());
    server.changed(&Change::Tools);
    let mut told = told(&mut server);
    told.sort_by_key(|(_, id)| id.to_string());
    let tell = "tools/list_changed".to_string();
    assert_eq!(told, [(tell.clone(), json!("a")), (tell, json!(null))]);
    server.changed(&uri("x:1"));
    assert_eq!(answer(&mut server)["params"]["_meta"][meta_key::SUBSCRIPTION_ID], "a");
}

fn notification(method: &str, wire: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": {"notifications": {}, "_meta": {meta_key::SUBSCRIPTION_ID: wire}}})
}

fn related(client: &mut Node) -> Option<OutboundId> {
    let events = client.events();
    let [Event::Notification { related, .. }] = &events[..] else { panic!("{events:?}") };
    *related
}

/// A client with a subscription under way.
fn subscribing(first: std::time::Duration) -> (Node, OutboundId, Value) {
    let mut client = modern_client(|_| {});
    let options = CallOptions { deadlines: Deadlines::Stream { first }, ..CallOptions::default() };
    let params = json!({"notifications": {"toolsListChanged": true}});
    let call = client.request(&body("subscriptions/listen", &params), &options).unwrap();
    let wire = answer(&mut client)["id"].clone();
    (client, call, wire)
}

/// "The subscription id … correlates notifications with the `subscriptions/listen`": the application gets its handle with them.
#[test]
fn a_client_knows_which_subscription_a_notification_belongs_to() {
    let (mut client, call, wire) = subscribing(secs(5));
    let other = client.ask("subscriptions/listen", &json!({"notifications": {}}));
    let other_wire = answer(&mut client)["id"].clone();
    client.tell(&notification("notifications/subscriptions/acknowledged", &wire));
    assert_eq!(related(&mut client), Some(call));
    client.tell(&notification("notifications/tools/list_changed", &other_wire));
    assert_eq!(related(&mut client), Some(other));
    client.tell(&notification("notifications/tools/list_changed", &wire));
    assert_eq!(related(&mut client), Some(call));
    client.tell(&notification("notifications/tools/list_changed", &json!("unknown")));
    assert_eq!(related(&mut client), None);
    client.tell(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    assert_eq!(related(&mut client), None);
}

/// "No request timeout applies" to a subscription, once it is acknowledged.
#[test]
fn a_subscription_waits_for_its_first_sign_only() {
    let (mut client, call, _) = subscribing(secs(5));
    client.wait(secs(5) - MILLI);
    assert!(client.events().is_empty());
    client.wait(MILLI + SLACK);
    assert_eq!(take_end(&mut client), (call, Err(RequestError::TimedOut(TimedOut::Idle(secs(5))))));
    assert_eq!(client.methods(), ["notifications/cancelled"]);

    let (mut client, call, wire) = subscribing(secs(5));
    client.wait(secs(4));
    client.tell(&notification("notifications/subscriptions/acknowledged", &wire));
    client.events();
    client.wait(secs(30 * 24 * 3600));
    assert!(client.events().is_empty());
    client.tell(&json!({"jsonrpc": "2.0", "id": wire, "result": {"resultType": "complete", "_meta": {
        meta_key::SUBSCRIPTION_ID: wire}}}));
    let (id, end) = take_end(&mut client);
    assert_eq!((id, end.unwrap().0), (call, ResultKind::Complete));
}

/// A subscription ends by the client's `notifications/cancelled`, or by the server's; and "servers … only to end a listen".
#[test]
fn a_subscription_is_cancelled_by_either_side() {
    let (mut client, call, wire) = subscribing(secs(5));
    client.tell(&notification("notifications/subscriptions/acknowledged", &wire));
    client.events();
    client.cancel(call, "enough");
    assert_eq!(take_end(&mut client), (call, Err(RequestError::Cancelled)));
    let told = answer(&mut client);
    assert_eq!((&told["method"], &told["params"]["requestId"]), (&json!("notifications/cancelled"), &wire));

    let (mut client, call, wire) = subscribing(secs(5));
    client.tell(&cancelled(&wire));
    assert_eq!(take_end(&mut client), (call, Err(RequestError::Cancelled)));
    assert!(client.frames().is_empty());

    let mut client = modern_client(|_| {});
    let call = client.ask("tools/call", &json!({"name": "t"}));
    let wire = answer(&mut client)["id"].clone();
    client.tell(&cancelled(&wire));
    assert!(client.events().iter().all(|event| !matches!(event, Event::Response { .. })), "not the server's to cancel");
    client.tell(&json!({"jsonrpc": "2.0", "id": wire, "result": {"content": []}}));
    assert_eq!(take_end(&mut client).0, call);
}

/// The whole of it, between the two sides of this crate, over a wire that is slow.
#[test]
fn a_slow_reader_is_told_what_changed_and_no_more() {
    let mut config = dual_server();
    config.limits.output = 4096;
    let mut pair = Pair::new(dual_client(), config).run_ready();
    let options = CallOptions { deadlines: Deadlines::Stream { first: secs(5) }, ..CallOptions::default() };
    let call = pair.client.request(&body("subscriptions/listen", &json!({"notifications": wish()})), &options).unwrap();
    let mut heard = Vec::new();
    let grant = |node: &mut Node, event| {
        let Event::Request { id, .. } = event else { panic!("{event:?}") };
        node.grant(id, &everything()).unwrap();
    };
    let hear = |event: Event, heard: &mut Vec<String>| {
        let Event::Notification { related, message } = event else { panic!("{event:?}") };
        assert_eq!(related, Some(call));
        heard.push(message.method().to_string());
    };
    pair.run(|_, event| hear(event, &mut heard), grant);
    assert_eq!(heard, ["notifications/subscriptions/acknowledged"]);
    heard.clear();
    pair.down.stalled = true;
    for round in 0..1000 {
        pair.server.changed(&uri(&format!("x:{}", round % 3)));
        pair.server.changed(&Change::Resources);
    }
    pair.down.stalled = false;
    pair.run(|_, event| hear(event, &mut heard), grant);
    assert!(heard.len() >= 3 && heard.len() < 100, "{}", heard.len());
    assert!(heard.iter().any(|method| method == "notifications/resources/list_changed"));
}

/// `Limits::frame` holds for what is told of changes as well. Line ends of Unicode take twice as much room on the way out, so that what
/// fitted into the request may not fit into what is told of it.
#[test]
fn what_could_not_be_told_of_is_not_subscribed_to() {
    let long = format!("x:{}", "\u{2028}".repeat(1000));
    let mut config = dual_server();
    config.limits.frame = 4000;
    let mut server = Node::server(config.clone());
    server.tell(&listen(&json!(1), &json!({"resourceSubscriptions": [long]})));
    let (id, ..) = server.take_request();
    let granted = serde_json::from_value(json!({"resourceSubscriptions": [long]})).unwrap();
    assert_eq!(server.grant(id, &granted), Err(RespondError::TooLarge));
    assert_eq!(refused(&mut server, &json!(1)), -32603);

    let mut server = Node::server(config);
    server.tell(&initialize(&json!(0), "2025-11-25"));
    server.frames();
    server.events();
    server.tell(&json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": long}}));
    assert_eq!(refused(&mut server, &json!(2)), -32602);
    assert!(server.events().is_empty());
}
