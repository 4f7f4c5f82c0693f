//! The modern era over HTTP (specification 2026-07-28: basic/transports/streamable-http; server/tools, x-mcp-header).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CallOptions, Deadlines, Event, Lost, RequestError};
use crate::http::client::Remark;
use crate::http::headers::decode_value;
use crate::jsonrpc::{Body, ErrorCode};

fn tool(name: &str, properties: &Value) -> Value {
    json!({"name": name, "inputSchema": {"type": "object", "properties": properties}})
}

fn tools(tools: &Value) -> Value {
    json!({"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private"})
}

/// "Clients MUST include the `MCP-Protocol-Version`, `Mcp-Method` … `Mcp-Name` headers".
#[test]
fn every_request_says_in_headers_what_it_is() {
    let mut world = World::modern();
    for (method, params, name) in [
        ("tools/list", json!({}), None),
        ("tools/call", json!({"name": "add"}), Some("add")),
        ("prompts/get", json!({"name": "greet"}), Some("greet")),
        ("resources/read", json!({"uri": "file:///a b"}), Some("file:///a b")),
        ("tools/call", json!({"name": "caf\u{e9}"}), Some("caf\u{e9}")),
        ("tools/call", json!({"name": " padded"}), Some(" padded")),
        ("tools/call", json!({"name": "=?base64?eA==?="}), Some("=?base64?eA==?=")),
        ("tools/call", json!({"name": "line\nbreak"}), Some("line\nbreak")),
    ] {
        world.ask(method, &params);
        let sent = world.next_post(method);
        assert_eq!(sent.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(sent.body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(sent.header("mcp-method"), Some(method));
        let value = sent.request.headers().get("mcp-name").map(|value| decode_value(value).unwrap());
        assert_eq!(value.as_deref(), name);
        assert_eq!(sent.header("mcp-session-id"), None);
    }
    world
        .connection
        .notify(world.now, Body::empty("vendor/news").unwrap(), crate::connection::Scope::Connection, None)
        .unwrap();
    let sent = world.next_post("vendor/news");
    assert_eq!(sent.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(sent.header("mcp-method"), Some("vendor/news"));
}

/// "the client MUST mirror", "MUST omit the header" for null and absent, "MUST drop" tools whose annotations break a rule.
#[test]
fn arguments_are_mirrored_as_the_tools_want_it() {
    let mut world = World::modern();
    let list = world.ask("tools/list", &json!({}));
    let sent = world.next_post("tools/list");
    let annotated =
        json!({"region": {"type": "string", "x-mcp-header": "Region"}, "n": {"type": "integer", "x-mcp-header": "N"}});
    let bad = json!({"x": {"type": "number", "x-mcp-header": "X"}});
    world.answer(&sent, &tools(&json!([tool("good", &annotated), tool("bad", &bad), tool("plain", &json!({}))])));
    let listed = world.end_of(list).unwrap();
    let names: std::vec::Vec<_> = listed["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["good", "plain"]);
    let [Remark::InvalidTool(invalid)] = &world.remarks[..] else { panic!("{:?}", world.remarks) };
    assert_eq!(invalid.name, "bad");

    for (arguments, region, n) in [
        (json!({"region": "eu", "n": 7}), Some("eu"), Some("7")),
        (json!({"region": null}), None, None),
        (json!({}), None, None),
        (json!({"region": ""}), Some(""), None),
    ] {
        world.ask("tools/call", &json!({"name": "good", "arguments": arguments}));
        let sent = world.next_post("tools/call");
        assert_eq!((sent.header("mcp-param-region"), sent.header("mcp-param-n")), (region, n), "{arguments}");
    }
    world.ask("tools/call", &json!({"name": "plain", "arguments": {"region": "eu"}}));
    assert_eq!(world.next_post("tools/call").header("mcp-param-region"), None);

    // What no header can say is not sent at all.
    let call = world.ask("tools/call", &json!({"name": "good", "arguments": {"n": "seven"}}));
    let lost = world.lost(call);
    assert!(matches!(&lost, Lost::NotSent(why) if why.contains("params.arguments.n")), "{lost}");
    world.sent_nothing();
}

/// "the client SHOULD refresh … `tools/list` and retry … once".
#[test]
fn a_mismatch_lists_the_tools_anew_and_tries_once_more() {
    let annotated = json!({"region": {"type": "string", "x-mcp-header": "Region"}});
    // On the second page.
    let mut world = World::modern();
    let call = world.ask("tools/call", &json!({"name": "t", "arguments": {"region": "eu"}}));
    let sent = world.next_post("tools/call");
    assert_eq!(sent.header("mcp-param-region"), None, "nobody has listed it");
    world.respond_json(sent.id, 400, &error(&sent, -32020));
    let list = world.next_post("tools/list");
    assert_eq!(list.header("mcp-method"), Some("tools/list"));
    assert_eq!(list.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(list.body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    let mut page = tools(&json!([tool("other", &json!({}))]));
    page["nextCursor"] = json!("p\"2");
    world.answer(&list, &page);
    let list = world.next_post("tools/list");
    assert_eq!(list.body["params"]["cursor"], "p\"2");
    world.answer(&list, &tools(&json!([tool("t", &annotated)])));
    let again = world.next_post("tools/call");
    assert_eq!(again.header("mcp-param-region"), Some("eu"));
    world.answer(&again, &done());
    assert_eq!(world.end_of(call), Ok(done()));

    // Not twice, and not if the list says nothing new, or says nothing at all.
    type Play = fn(&mut World, &Sent);
    let plays: [(Play, bool); 4] = [
        (
            |world, list| {
                world.answer(
                    list,
                    &tools(&json!([tool("t", &json!({"region": {"type": "string", "x-mcp-header": "R"}}))])),
                );
            },
            true,
        ),
        (|world, list| world.answer(list, &tools(&json!([]))), false),
        (|world, list| world.respond(list.id, 500, &[], ""), false),
        (|world, _| world.wait(secs(30)), false),
    ];
    for (play, is_sent_again) in plays {
        let mut world = World::modern();
        let call = world.ask("tools/call", &json!({"name": "t", "arguments": {"region": "eu"}}));
        let sent = world.next_post("tools/call");
        world.respond_json(sent.id, 400, &error(&sent, -32020));
        let list = world.next_post("tools/list");
        play(&mut world, &list);
        if is_sent_again {
            let again = world.next_post("tools/call");
            world.respond_json(again.id, 400, &error(&again, -32020));
        }
        let Err(RequestError::Rpc(error)) = world.end_of(call) else { panic!("what the server said") };
        assert_eq!(error.code, ErrorCode::HEADER_MISMATCH);
        world.sent_nothing();
    }
}

/// "closing the response stream" is how a client cancels; nothing else is said.
#[test]
fn a_call_is_cancelled_by_closing_its_response() {
    for begun in [false, true] {
        let mut world = World::modern();
        let call = world.ask("tools/call", &json!({"name": "t"}));
        let sent = world.next_post("tools/call");
        if begun {
            world.stream(sent.id);
        }
        world.cancel(call);
        assert_eq!(world.aborted, [sent.id]);
        assert_eq!(world.end_of(call), Err(RequestError::Cancelled));
        world.sent_nothing();
        world.data(sent.id, b"data: late\n\n");
        assert!(world.events().is_empty());
    }
    // So does a deadline.
    let mut world = World::modern();
    let call = world.ask("tools/call", &json!({"name": "t"}));
    let sent = world.next_post("tools/call");
    world.wait(secs(61));
    assert!(matches!(world.end_of(call), Err(RequestError::TimedOut(_))));
    assert_eq!(world.aborted, [sent.id]);
}

/// A request whose stream broke is lost: "resumption is not supported".
#[test]
fn a_broken_stream_is_a_lost_call_and_nothing_is_resumed() {
    for ends_well in [true, false] {
        let mut world = World::modern();
        let call = world.ask("tools/call", &json!({"name": "t"}));
        let sent = world.next_post("tools/call");
        world.stream(sent.id);
        world.data(sent.id, b"id: 1\ndata:\n\n");
        if ends_well {
            world.end(sent.id);
        } else {
            world.breaks(sent.id);
        }
        assert!(world.lost(call).may_have_been_executed());
        world.wait(secs(100));
        world.sent_nothing();
        // Whoever asks again does so under a new id.
        world.ask("tools/call", &json!({"name": "t"}));
        assert_ne!(world.next_post("tools/call").body["id"], sent.body["id"]);
    }
}

/// Errors come with statuses of their own, and are read before the status is judged.
#[test]
fn the_body_of_a_refusal_is_the_answer() {
    for (status, code) in
        [(400, -32602), (404, -32601), (400, -32021), (500, -32603), (503, -32603), (401, -32001), (418, 7)]
    {
        let mut world = World::modern();
        let call = world.ask("prompts/list", &json!({}));
        let sent = world.next_post("prompts/list");
        world.respond_json(sent.id, status, &error(&sent, code));
        let Err(RequestError::Rpc(error)) = world.end_of(call) else { panic!("{status}: an error of the server") };
        assert_eq!(error.code, ErrorCode(code));
    }
    // Also one that names no request, or that comes without the right type.
    for body in [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"m"}}"#,
    ] {
        let mut world = World::modern();
        let call = world.ask("prompts/list", &json!({}));
        let sent = world.next_post("prompts/list");
        world.respond(sent.id, 400, &[("content-type", "text/plain")], body);
        assert!(matches!(world.end_of(call), Err(RequestError::Rpc(_))));
    }
}

/// A subscription is open for as long as somebody listens, and takes nobody's place.
#[test]
fn a_subscription_stays_open_beside_the_calls() {
    let mut world = World::modern_with(|config| config.limits.calls = 1);
    let options = CallOptions { deadlines: Deadlines::Stream { first: secs(10) }, ..<_>::default() };
    let listens: std::vec::Vec<_> = (0..3)
        .map(|_| {
            world.ask_with(
                "subscriptions/listen",
                &json!({"notifications": {"toolsListChanged": true}}),
                options.clone(),
            )
        })
        .collect();
    let streams = [0, 1, 2].map(|_| world.next_post("subscriptions/listen"));
    let meta = |sent: &Sent| json!({"io.modelcontextprotocol/subscriptionId": sent.body["id"]});
    for sent in &streams {
        world.stream(sent.id);
        let granted = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": {"toolsListChanged": true}, "_meta": meta(sent)}});
        world.event(sent.id, "", &granted);
    }
    world.events();
    let call = world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    world.answer(&post, &done());
    assert_eq!(world.end_of(call), Ok(done()));
    world.wait(secs(100_000));
    let changed =
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": meta(&streams[1])}});
    world.event(streams[1].id, "", &changed);
    assert!(matches!(&world.events()[..], [Event::Notification { related: Some(id), .. }] if *id == listens[1]));
    world.cancel(listens[0]);
    assert_eq!(world.aborted, [streams[0].id]);
}

/// A question instead of an answer: the same call is sent once more, by an exchange of its own.
#[test]
fn a_call_that_is_answered_with_a_question_is_sent_again() {
    let mut world = World::modern();
    let call = world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    world.stream(post.id);
    world.event(
        post.id,
        "",
        &answer(
            &post,
            &json!({"resultType": "input_required", "requestState": "s",
        "inputRequests": {"k": {"method": "roots/list"}}}),
        ),
    );
    assert!(matches!(&world.events()[..], [Event::InputRequired { id, .. }] if *id == call));
    let answers = BTreeMap::from([("k".into(), Body::result(&json!({"roots": []})).unwrap())]);
    world.connection.supply_input(world.now, call, &answers).unwrap();
    let again = world.next_post("tools/call");
    assert_eq!(again.body["params"]["requestState"], "s");
    assert_ne!(again.body["id"], post.body["id"]);
    world.end(post.id);
    world.answer(&again, &done());
    assert_eq!(world.end_of(call), Ok(done()));
}

/// After the answer a stream should end; one that does not is ended, so that its connection does not stay busy for nothing.
#[test]
fn a_response_ends_soon_after_its_answer() {
    let mut world = World::modern();
    let call = world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    world.stream(post.id);
    world.event(post.id, "", &answer(&post, &done()));
    assert_eq!(world.end_of(call), Ok(done()));
    world.wait(Duration::from_millis(1999));
    assert!(world.aborted.is_empty());
    world.wait(Duration::from_millis(1));
    assert_eq!(world.aborted, [post.id]);
    assert_eq!(world.http.poll_timeout(), None);
    assert_eq!(world.http.buffered(), 0);
}

/// "the server MUST NOT send requests": nobody answers them, and a client sends no answers.
#[test]
fn a_server_of_the_modern_era_asks_nothing() {
    let mut world = World::modern();
    world.ask("tools/call", &json!({"name": "t"}));
    let post = world.next_post("tools/call");
    world.stream(post.id);
    world.event(post.id, "", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    assert!(matches!(world.events()[..], [Event::Misbehaved { .. }]));
    world.sent_nothing();
    world.connection.close(world.now, Duration::ZERO);
    world.sent_nothing();
    assert_eq!(world.aborted, [post.id]);
    assert!(world.http.is_over(), "there is no session to end");
}
