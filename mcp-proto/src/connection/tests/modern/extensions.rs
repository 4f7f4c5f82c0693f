//! Extensions: off unless both sides declare them (specification 2026-07-28: basic, Extensions; the extension for tasks).

use super::*;
use crate::connection::{Event, Extension, Scope, Why};
use crate::model::{Sender, SubscriptionFilter, TASKS_EXTENSION};
use std::string::ToString;

const SKILLS: &str = "com.example/skills";

fn skills() -> Extension {
    Extension::new(SKILLS)
        .setting("directoryRead", true)
        .method("skills/list", Sender::Client)
        .method("skills/push", Sender::Server)
        .method("notifications/skills/changed", Sender::Server)
        .result_type("skill")
        .filter_field("skillNames")
}

fn server() -> Node {
    Node::server(dual_server().with_extension(skills()).with_extension(Extension::tasks()))
}

fn declares(id: &str) -> Value {
    json!({"extensions": {id: {}}})
}

/// "−32021 … `requiredCapabilities`": a method of an extension is served only to who has declared it on the request itself.
#[test]
fn a_method_of_an_extension_needs_both_sides() {
    let mut server = server();
    for (method, id) in [
        ("skills/list", SKILLS),
        ("tasks/get", TASKS_EXTENSION),
        ("tasks/update", TASKS_EXTENSION),
        ("tasks/cancel", TASKS_EXTENSION),
    ] {
        server.tell(&modern(1, method, json!({})));
        let frame = answer(&mut server);
        assert_eq!(frame["error"]["code"], -32021, "{method}");
        assert_eq!(frame["error"]["data"]["requiredCapabilities"], declares(id), "{method}");
        server.tell(&modern_with(&json!(2), method, json!({}), &declares(id)));
        let (id, ..) = server.take_request();
        server.respond(id, &json!({})).unwrap();
        server.frames();
    }
    // Those that only the other direction has, and those that no extension has in this era.
    for method in ["skills/push", "tasks/result", "tasks/list"] {
        let both = json!({"extensions": {SKILLS: {}, TASKS_EXTENSION: {}}});
        server.tell(&modern_with(&json!(3), method, json!({}), &both));
        assert_eq!(refused(&mut server, &json!(3)), -32601, "{method}");
    }
}

/// In a legacy session it was declared in the handshake, or there is no such method.
#[test]
fn in_a_legacy_session_the_handshake_decides() {
    for (extensions, served) in [(json!({}), false), (json!({SKILLS: {}}), true)] {
        let mut server = server();
        server.tell(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {"extensions": extensions},
            "clientInfo": {"name": "c", "version": "1"}}}));
        let declared = answer(&mut server)["result"]["capabilities"]["extensions"][SKILLS].clone();
        assert_eq!(declared, json!({"directoryRead": true}));
        server.events();
        server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "skills/list"}));
        if served {
            server.take_request();
        } else {
            assert_eq!(refused(&mut server, &json!(1)), -32601);
        }
    }
}

/// A client does not send what its server has not declared, and what is not its to send.
#[test]
fn a_client_asks_only_for_extensions_of_its_server() {
    let mut client = modern_client(|config| *config = config.clone().with_extension(skills()));
    let sent = client.request(&body("skills/list", &json!({})), &CallOptions::default());
    assert_eq!(sent.unwrap_err().why, Why::PeerLacks);
    let sent = client.request(&body("skills/push", &json!({})), &CallOptions::default());
    assert_eq!(sent.unwrap_err().why, Why::NotInThisRevision);

    let mut client = Node::client(dual_client().with_extension(skills()));
    let id = answer(&mut client)["id"].clone();
    let mut found = discovered(&id, &["2026-07-28"]);
    found["result"]["capabilities"]["extensions"] = json!({SKILLS: {}});
    client.tell(&found);
    client.events();
    client.ask("skills/list", &json!({}));
    let frame = answer(&mut client);
    let declared = &frame["params"]["_meta"][meta_key::CLIENT_CAPABILITIES]["extensions"][SKILLS];
    assert_eq!(declared, &json!({"directoryRead": true}), "on every request");
    client.tell(&json!({"jsonrpc": "2.0", "id": frame["id"], "result": {"resultType": "skill", "name": "s"}}));
    assert_eq!(take_end(&mut client).1.unwrap().0, ResultKind::Other("skill".to_string()));
}

/// "A `CreateTaskResult` in answer to another method is invalid"; and only a client that declares it is answered with one.
#[test]
fn only_a_tool_call_becomes_a_task() {
    let mut client = modern_client(|config| *config = config.clone().with_extension(Extension::tasks()));
    client.ask("prompts/get", &json!({"name": "p"}));
    let id = answer(&mut client)["id"].clone();
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "task"}}));
    assert!(matches!(take_end(&mut client).1, Err(RequestError::InvalidResult(_))));

    for (method, capabilities, may) in [
        ("tools/call", declares(TASKS_EXTENSION), true),
        ("tools/call", json!({}), false),
        ("prompts/get", declares(TASKS_EXTENSION), false),
    ] {
        let mut server = server();
        server.tell(&modern_with(&json!(1), method, json!({"name": "x"}), &capabilities));
        let (id, ..) = server.take_request();
        let body = result(&json!({"taskId": "t", "status": "working"}));
        let sent = server.step(|conn, now| conn.respond(now, id, ResultKind::Task, body.clone(), None));
        assert_eq!(server.answered(id, sent).is_ok(), may, "{method} {capabilities}");
        if may {
            assert_eq!(answer(&mut server)["result"]["resultType"], "task");
            assert_eq!(server.progress(id, &crate::model::Progress::new(1)), Err(RespondError::Gone));
        }
    }
}

/// A member of the filter that an extension adds is granted as far as the application allows, only to who declares the
/// extension; what is told on the subscription carries its id, and nothing is told before the acknowledgement.
#[test]
fn a_subscription_of_an_extension() {
    let filter = json!({"toolsListChanged": true, "skillNames": ["a", "b"], "taskIds": ["t1", "t2"], "unknown": 1});
    let mut server = server();
    for lacking in [declares(SKILLS), declares(TASKS_EXTENSION)] {
        server.tell(&modern_with(&json!(1), "subscriptions/listen", json!({"notifications": filter}), &lacking));
        assert_eq!(refused(&mut server, &json!(1)), -32021);
    }
    let both = json!({"extensions": {SKILLS: {}, TASKS_EXTENSION: {}}});
    server.tell(&modern_with(&json!("w"), "subscriptions/listen", json!({"notifications": filter}), &both));
    let (id, ..) = server.take_request();
    let changed = body("notifications/skills/changed", &json!({"name": "b"}));
    assert_eq!(server.notify(&changed, Scope::Within(id)).unwrap_err().why, Why::NotReady);
    let granted: SubscriptionFilter = serde_json::from_value(
        json!({"toolsListChanged": true, "skillNames": ["b", "c"], "taskIds": ["t2"], "unknown": 1}),
    )
    .unwrap();
    server.step(|conn, now| conn.grant(now, id, &granted)).unwrap();
    let acknowledged = answer(&mut server)["params"]["notifications"].clone();
    assert_eq!(acknowledged, json!({"toolsListChanged": true, "skillNames": ["b"], "taskIds": ["t2"]}));
    server.notify(&changed, Scope::Within(id)).unwrap();
    let told = answer(&mut server);
    assert_eq!(told["params"], json!({"name": "b", "_meta": {meta_key::SUBSCRIPTION_ID: "w"}}));
    server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "w"}}));
    assert!(matches!(server.events()[..], [Event::Cancelled { .. }]));
    assert_eq!(server.notify(&changed, Scope::Within(id)).unwrap_err().why, Why::Gone);
}
