//! A client's requests of the modern era, and what it makes of the answers (specification 2026-07-28: basic, `_meta`; basic,
//! Results).

use super::*;
use crate::connection::{Extension, Rule, Wanted, Why};
use crate::model::{LoggingLevel, ResourceNotFoundData};
use std::string::ToString;

/// "Every request MUST include …": the version, the capabilities; and who we are, and the level of logs if any are wanted. The
/// user's keys stand beside them and do not replace them.
#[test]
fn every_request_of_a_client_is_stamped() {
    let mut client = modern_client(|_| {});
    for method in [
        "tools/list",
        "tools/call",
        "prompts/get",
        "resources/read",
        "subscriptions/listen",
        "server/discover",
        "completion/complete",
        "vendor/any",
    ] {
        let Value::Object(meta) = json!({"com.example/k": [1], meta_key::PROTOCOL_VERSION: "1.0",
            meta_key::CLIENT_CAPABILITIES: {"fake": {}}, meta_key::CLIENT_INFO: 1, meta_key::LOG_LEVEL: "debug",
            meta_key::PROGRESS_TOKEN: "mine"})
        else {
            panic!()
        };
        let options = CallOptions {
            meta: Some(meta),
            log_level: Some(LoggingLevel::Error),
            progress: Wanted::Yes,
            ..CallOptions::default()
        };
        client.request(&body(method, &json!({"a": 1})), &options).unwrap();
        let frame = answer(&mut client);
        assert_eq!(frame["params"]["a"], 1);
        assert_eq!(
            frame["params"]["_meta"],
            json!({
                meta_key::PROTOCOL_VERSION: "2026-07-28",
                meta_key::CLIENT_CAPABILITIES: {"roots": {}, "sampling": {}, "elicitation": {}},
                meta_key::CLIENT_INFO: {"name": "client", "version": "1"},
                meta_key::LOG_LEVEL: "error",
                meta_key::PROGRESS_TOKEN: frame["id"],
                "com.example/k": [1],
            }),
            "{method}"
        );
        client.ask(method, &json!({}));
        let meta = answer(&mut client)["params"]["_meta"].clone();
        assert_eq!((meta.get(meta_key::LOG_LEVEL), meta.get(meta_key::PROGRESS_TOKEN)), (None, None), "not wanted");
        assert!(meta.get(meta_key::CLIENT_CAPABILITIES).is_some());
    }
    for method in ["ping", "logging/setLevel", "resources/subscribe", "initialize"] {
        let sent = client.request(&body(method, &json!({})), &CallOptions::default());
        assert!(sent.is_err(), "{method} is not of this era");
    }
}

/// "Servers … send no requests": one that does is told to the application, and not answered.
#[test]
fn a_request_from_a_modern_server_is_surfaced_and_not_answered() {
    let mut client = modern_client(|_| {});
    for method in ["ping", "roots/list", "elicitation/create", "vendor/any"] {
        client.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}));
        assert_eq!(client.broken_rules(), [Rule::RequestFromServer], "{method}");
        assert!(client.frames().is_empty(), "{method}");
    }
}

/// "If `resultType` is absent … `complete`. … An unrecognized value … MUST be treated as an invalid response".
#[test]
fn the_type_of_a_result_decides_what_it_is() {
    let cases = [
        (json!({}), Ok(ResultKind::Complete)),
        (json!({"resultType": "complete"}), Ok(ResultKind::Complete)),
        (json!({"resultType": "task"}), Ok(ResultKind::Task)),
        (json!({"resultType": "other"}), Err(())),
        (json!({"resultType": ""}), Err(())),
        (json!({"resultType": 1}), Err(())),
        (json!({"resultType": "Complete"}), Err(())),
    ];
    for (result, expected) in cases {
        let mut client = modern_client(|config| *config = config.clone().with_extension(Extension::tasks()));
        let call = client.ask("tools/call", &json!({"name": "t"}));
        let id = answer(&mut client)["id"].clone();
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        let (id, end) = take_end(&mut client);
        assert_eq!(id, call);
        match (end, expected) {
            (Ok((kind, _)), Ok(wanted)) => assert_eq!(kind, wanted, "{result}"),
            (Err(RequestError::InvalidResult(_)), Err(())) => {}
            (end, _) => panic!("{result}: {end:?}"),
        }
    }
    let mut client = modern_client(|_| {});
    client.ask("tools/call", &json!({"name": "t"}));
    let id = answer(&mut client)["id"].clone();
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "task"}}));
    assert!(matches!(take_end(&mut client).1, Err(RequestError::InvalidResult(_))), "not declared");
}

/// Errors of servers that are older than the era: −32002 is still a resource that is not there; the other codes below −32000 mean
/// nothing, and arrive as they are.
#[test]
fn codes_of_older_servers_arrive_as_they_are() {
    let mut client = modern_client(|_| {});
    for (code, name) in
        [(-32002, Some("resource not found")), (-32000, None), (-32001, None), (-32019, None), (-32099, None)]
    {
        let call = client.ask("resources/read", &json!({"uri": "x:y"}));
        let id = answer(&mut client)["id"].clone();
        let error = json!({"code": code, "message": "no", "data": {"uri": "x:y"}});
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
        let (ended, end) = take_end(&mut client);
        let Err(RequestError::Rpc(error)) = end else { panic!("{end:?}") };
        assert_eq!((ended, error.code.0, error.code.name()), (call, code, name));
        assert_eq!(error.typed_data::<ResourceNotFoundData>().unwrap().uri, "x:y");
    }
}

/// basic, Requests: no two requests in flight have one id, and none of ours is ever used again, also not by a retry.
#[test]
fn a_clients_ids_differ() {
    let mut client = modern_client(|_| {});
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        client.ask("tools/call", &json!({"name": "t"}));
        let id = answer(&mut client)["id"].clone();
        assert!(seen.insert(id.to_string()), "{id}");
        let result = json!({"resultType": "input_required", "requestState": "s"});
        client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        client.wait(secs(1));
        let again = answer(&mut client)["id"].clone();
        assert!(seen.insert(again.to_string()), "{again}");
    }
}

/// A capability that the server has not told of in its discovery is not asked for.
#[test]
fn what_the_server_lacks_is_not_asked() {
    let mut client = Node::client(dual_client());
    let id = answer(&mut client)["id"].clone();
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"supportedVersions": ["2026-07-28"],
        "resultType": "complete", "capabilities": {"tools": {}}}}));
    client.events();
    client.ask("tools/list", &json!({}));
    let sent = client.request(&body("prompts/list", &json!({})), &CallOptions::default());
    assert_eq!(sent.unwrap_err().why, Why::PeerLacks);
}

/// "The sender SHOULD … ignore … a response that arrives" late; on a stream the server is told by `notifications/cancelled`.
#[test]
fn a_client_cancels_by_notification() {
    let mut client = modern_client(|_| {});
    let call = client.ask("tools/call", &json!({"name": "t"}));
    let id = answer(&mut client)["id"].clone();
    client.cancel(call, "enough");
    assert_eq!(take_end(&mut client), (call, Err(RequestError::Cancelled)));
    let told = answer(&mut client);
    assert_eq!(told["method"], "notifications/cancelled");
    assert_eq!(told["params"]["requestId"], id);
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "content": []}}));
    assert_eq!(kinds(&client.events()), ["stray"]);
}

/// What goes with the requests of the handshake stands beside what the core writes, in both of them.
#[test]
fn the_handshake_carries_the_users_keys() {
    let mut config = dual_client();
    config.handshake_meta = json!({"traceparent": "t", meta_key::CLIENT_INFO: "fake"}).as_object().cloned();
    let mut client = Node::client(config);
    let asked = answer(&mut client);
    assert_eq!((&asked["method"], &asked["params"]["_meta"]["traceparent"]), (&json!("server/discover"), &json!("t")));
    assert_eq!(asked["params"]["_meta"][meta_key::CLIENT_INFO]["name"], "client");
    client.tell(&json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "what?"}}));
    let asked = answer(&mut client);
    assert_eq!((&asked["method"], &asked["params"]["_meta"]), (&json!("initialize"), &json!({"traceparent": "t"})));
}
