//! Requests on their own terms (specification 2026-07-28: basic, `_meta`; basic/versioning; server/utilities/logging).

use super::*;
use crate::connection::{Change, Event, Extension, Limits, Rule, Scope, Start, Why};
use crate::jsonrpc::{ErrorCode, ErrorObject};
use crate::model::{LogParams, LoggingLevel, Progress, PromptsCapability, ServerCapabilities, ToolsCapability};
use ProtocolVersion::V2025_11_25;

fn log(level: LoggingLevel) -> Body {
    Body::log(&LogParams::new(level, json!("text"))).unwrap()
}

/// "Each request … is self-contained": no handshake comes first, and the result says what it is and who answers.
#[test]
fn a_request_is_served_without_a_handshake() {
    for config in [modern_server(), dual_server()] {
        let mut server = Node::server(config);
        server.tell(&modern_with(&json!("a"), "tools/call", json!({"name": "t"}), &json!({"roots": {}})));
        let (id, message, meta) = server.take_request();
        assert_eq!(message.name(), Some("t"));
        assert_eq!((meta.era, meta.version, meta.log_level), (Era::Modern, V2026_07_28, None));
        let peer = meta.peer.unwrap();
        assert_eq!(peer.info.name, "c");
        assert!(matches!(&peer.capabilities,
            crate::connection::PeerCapabilities::Client(offered) if offered.offers(Capability::Roots)
                && !offered.offers(Capability::Sampling)));
        server.respond(id, &json!({"content": []})).unwrap();
        assert_eq!(
            answer(&mut server),
            json!({"jsonrpc": "2.0", "id": "a", "result": {"content": [], "resultType": "complete",
                "_meta": {meta_key::SERVER_INFO: {"name": "server", "version": "1"}}}})
        );
    }
}

/// "`io.modelcontextprotocol/protocolVersion`, `io.modelcontextprotocol/clientCapabilities` … required. … If a required field
/// is missing … −32602". Who the client is need not be said.
#[test]
fn what_a_request_must_say() {
    let mut server = Node::server(dual_server());
    let mut request = modern(1, "tools/list", json!({}));
    request["params"]["_meta"].as_object_mut().unwrap().remove(meta_key::CLIENT_INFO);
    server.tell(&request);
    let (id, ..) = server.take_request();
    server.respond(id, &json!({"tools": []})).unwrap();
    server.frames();

    request["params"]["_meta"].as_object_mut().unwrap().remove(meta_key::CLIENT_CAPABILITIES);
    server.tell(&request);
    let error = answer(&mut server);
    assert_eq!(error["error"]["code"], -32602);
    assert!(error["error"]["message"].as_str().unwrap().contains(meta_key::CLIENT_CAPABILITIES), "{error}");
    request["params"]["_meta"][meta_key::CLIENT_CAPABILITIES] = json!(null);
    server.tell(&request);
    assert_eq!(refused(&mut server, &json!(1)), -32602);

    let mut request = modern(1, "tools/list", json!({}));
    request["params"]["_meta"].as_object_mut().unwrap().remove(meta_key::PROTOCOL_VERSION);
    server.tell(&request);
    let error = answer(&mut server);
    assert_eq!(error["error"]["code"], -32602);
    assert!(error["error"]["message"].as_str().unwrap().contains(meta_key::PROTOCOL_VERSION), "{error}");
    assert!(server.events().is_empty());
}

/// The same, where there is no other era that the request could be of.
#[test]
fn a_request_without_a_version_is_malformed_where_there_is_only_the_modern_era() {
    let assumed = || {
        let mut node = Node::server_from(modern_server(), Start::Assume(V2026_07_28));
        assert_eq!(kinds(&node.events()), ["ready"]);
        node
    };
    for mut server in [Node::server(modern_server()), assumed()] {
        for method in ["tools/list", "server/discover", "vendor/any"] {
            for meta in [
                json!(null),
                json!({}),
                json!({meta_key::CLIENT_CAPABILITIES: {}}),
                json!({meta_key::PROTOCOL_VERSION: null, meta_key::CLIENT_CAPABILITIES: {}}),
            ] {
                let params = if meta.is_null() { json!({}) } else { json!({"_meta": meta}) };
                server.tell(&json!({"jsonrpc": "2.0", "id": 4, "method": method, "params": params}));
                let error = answer(&mut server);
                assert_eq!((&error["id"], &error["error"]["code"]), (&json!(4), &json!(-32602)), "{method} {meta}");
                assert!(error["error"]["message"].as_str().unwrap().contains(meta_key::PROTOCOL_VERSION), "{error}");
            }
        }
        assert!(server.events().is_empty(), "nothing of it reaches the application");
    }
}

/// A reserved key that is not what it must be is told by name.
#[test]
fn a_malformed_reserved_key_is_named() {
    let cases = [
        (meta_key::PROTOCOL_VERSION, json!(20_260_728)),
        (meta_key::PROTOCOL_VERSION, json!({})),
        (meta_key::CLIENT_CAPABILITIES, json!([])),
        (meta_key::CLIENT_CAPABILITIES, json!("none")),
        (meta_key::CLIENT_INFO, json!({"name": 1})),
        (meta_key::CLIENT_INFO, json!("c")),
        (meta_key::LOG_LEVEL, json!("loud")),
        (meta_key::LOG_LEVEL, json!(3)),
        (meta_key::PROGRESS_TOKEN, json!(1.5)),
        (meta_key::PROGRESS_TOKEN, json!({})),
    ];
    let mut server = Node::server(dual_server());
    for (key, value) in cases {
        let mut request = modern(1, "tools/list", json!({}));
        request["params"]["_meta"][key] = value;
        server.tell(&request);
        let error = answer(&mut server);
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!(-32602)), "{request}");
        assert!(error["error"]["message"].as_str().unwrap().contains(key), "{error}");
        assert!(server.events().is_empty(), "{request}");
    }
}

/// A trace says nothing about the request: one that is malformed is left out, and the request is served.
#[test]
fn a_malformed_trace_is_no_reason_to_refuse() {
    let mut server = Node::server(dual_server());
    for (id, key) in (1..).zip(meta_key::OF_THE_TRACE) {
        for value in [json!(1), json!({}), json!("garbage")] {
            let mut request = modern(id, "tools/list", json!({}));
            request["params"]["_meta"][key] = value;
            server.tell(&request);
            assert_eq!(kinds(&server.events()), ["request"], "{request}");
            server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
            assert_eq!(kinds(&server.events()), ["cancelled"]);
        }
    }
}

/// "UnsupportedProtocolVersionError … `supported` … `requested`", also for a revision that exists but is not of this era.
#[test]
fn an_unsupported_version_is_answered_with_those_that_are() {
    for (config, ours) in [
        (modern_server(), json!(["2026-07-28"])),
        (dual_server(), json!(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])),
    ] {
        let mut server = Node::server(config);
        for asked in ["2099-01-01", "2025-11-25", "1.0", ""] {
            for method in ["tools/list", "server/discover", "vendor/any", "initialize"] {
                let mut request = modern(1, method, json!({}));
                request["params"]["_meta"][meta_key::PROTOCOL_VERSION] = json!(asked);
                server.tell(&request);
                let error = answer(&mut server);
                assert_eq!(error["error"]["code"], -32022, "{method} in {asked}");
                assert_eq!(error["error"]["data"], json!({"supported": ours, "requested": asked}));
            }
        }
        assert!(server.events().is_empty());
    }
}

/// "A modern-only server SHOULD name its supported versions in the error it returns to `initialize`".
#[test]
fn a_modern_server_refuses_the_handshake_and_names_its_versions() {
    let mut assumed = Node::server_from(modern_server(), Start::Assume(V2026_07_28));
    assumed.events();
    for mut server in [Node::server(modern_server()), assumed] {
        server.tell(&initialize(&json!("i"), "2025-11-25"));
        let error = answer(&mut server);
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!("i"), &json!(-32022)));
        assert_eq!(error["error"]["data"], json!({"supported": ["2026-07-28"], "requested": "2025-11-25"}));
        assert!(server.events().is_empty());
        server.tell(&modern(2, "tools/list", json!({})));
        server.take_request();
    }
}

/// The methods that the era does not have, `initialize` first of all: whoever stamps a request so wants no handshake.
#[test]
fn methods_of_the_legacy_era_do_not_exist() {
    let gone = [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "sampling/createMessage",
        "roots/list",
        "elicitation/create",
        "tasks/list",
        "tasks/result",
    ];
    let shaken = || Node::server_in(V2025_11_25, |config| config.versions = ProtocolVersion::ALL.to_vec());
    for mut server in [Node::server(modern_server()), Node::server(dual_server()), shaken()] {
        for method in gone {
            let mut request = modern(
                7,
                method,
                json!({"uri": "x:y", "level": "info", "protocolVersion": "2025-11-25",
                "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}),
            );
            server.tell(&request);
            assert_eq!(refused(&mut server, &json!(7)), -32601, "{method}");
            assert!(server.events().is_empty(), "{method}");
            request["id"] = json!(8);
        }
    }
}

/// "servers MUST … −32601 for … a capability that it has not declared"; methods that nobody knows are the application's.
#[test]
fn methods_whose_capability_is_not_declared_do_not_exist() {
    let mut config = modern_server();
    config.capabilities = ServerCapabilities::default().with_prompts(PromptsCapability::default());
    let mut server = Node::server(config);
    for method in ["tools/list", "tools/call", "resources/read", "resources/list", "completion/complete"] {
        server.tell(&modern(1, method, json!({"name": "t", "uri": "x:y"})));
        assert_eq!(refused(&mut server, &json!(1)), -32601, "{method}");
    }
    for (id, method) in ["prompts/list", "prompts/get", "vendor/any"].into_iter().enumerate() {
        server.tell(&modern(id as i64, method, json!({"name": "t"})));
        server.take_request();
    }
    assert!(server.frames().is_empty());
}

/// basic, Messages: an array is no message in this era, whatever is in it; it is answered once, without an id.
#[test]
fn an_array_is_no_message() {
    for config in [modern_server(), dual_server()] {
        let mut server = Node::server(config);
        for array in [json!([modern(1, "tools/list", json!({}))]), json!([])] {
            server.tell(&array);
            let error = answer(&mut server);
            assert_eq!((&error["id"], &error["error"]["code"]), (&json!(null), &json!(-32600)), "{array}");
            assert!(server.events().iter().all(|event| matches!(event, Event::Misbehaved { .. })));
        }
    }
    let mut client = modern_client(|_| {});
    client.ask("tools/list", &json!({}));
    let id = answer(&mut client)["id"].clone();
    client.tell(&json!([{"jsonrpc": "2.0", "id": id, "result": {"tools": []}}]));
    assert!(matches!(client.events()[..], [Event::Misbehaved { .. }]), "the call is still open");
    assert!(client.frames().is_empty());
}

/// basic, Extensions: they MUST be off by default. Without a declaration the methods of one do not exist, are not asked for, and
/// its type of result is no valid one.
#[test]
fn an_extension_is_off_unless_declared() {
    let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let methods = ["tasks/get", "tasks/cancel", "tasks/update"];
    let mut server = Node::server(modern_server());
    for method in methods {
        server.tell(&modern_with(&json!(1), method, json!({"taskId": "t"}), &tasks));
        assert_eq!(refused(&mut server, &json!(1)), -32601, "{method}: the server has not declared it");
    }
    let mut config = modern_server();
    config.capabilities = serde_json::from_value(tasks.clone()).unwrap();
    let mut server = Node::server(config);
    for method in methods {
        server.tell(&modern_with(&json!(1), method, json!({"taskId": "t"}), &tasks));
        let (id, ..) = server.take_request();
        server.respond(id, &json!({})).unwrap();
        server.frames();
    }

    let mut client = modern_client(|_| {});
    for method in methods {
        let sent = client.request(&body(method, &json!({"taskId": "t"})), &CallOptions::default());
        assert_eq!(sent.unwrap_err().why, Why::PeerLacks, "{method}");
    }
    client.ask("tools/call", &json!({"name": "t"}));
    let call = answer(&mut client);
    assert_eq!(call["params"]["_meta"][meta_key::CLIENT_CAPABILITIES].get("extensions"), None);
    client.tell(&json!({"jsonrpc": "2.0", "id": call["id"], "result": {"resultType": "task", "taskId": "t"}}));
    assert!(matches!(take_end(&mut client).1, Err(RequestError::InvalidResult(_))));
}

/// "Servers MUST implement `server/discover`", and answer it to anybody. It says nothing about the era of what follows.
#[test]
fn discover_does_not_lock_the_era() {
    let mut config = dual_server();
    config.instructions = Some("be kind".into());
    let mut server = Node::server(config);
    server.tell(&modern(1, "server/discover", json!({})));
    let reply = answer(&mut server);
    let result = &reply["result"];
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["instructions"], "be kind");
    assert_eq!(result["capabilities"]["resources"], json!({"subscribe": true, "listChanged": true}));
    assert!(result["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    assert!(result["ttlMs"].as_i64().unwrap() >= 0 && result["cacheScope"].is_string(), "{result}");
    assert_eq!(result["_meta"], json!({meta_key::SERVER_INFO: {"name": "server", "version": "1"}}));
    assert_eq!(result.get("serverInfo"), None);
    assert!(server.events().is_empty(), "the core answers");

    server.tell(&initialize(&json!(2), "2025-11-25"));
    assert_eq!(answer(&mut server)["result"]["protocolVersion"], "2025-11-25");
    server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert!(matches!(server.events()[..], [Event::Ready { era: Era::Legacy, .. }]));
    server.tell(&modern(3, "server/discover", json!({})));
    assert_eq!(answer(&mut server)["result"]["resultType"], "complete");
}

/// Both eras on one connection, each answered in its own way, whatever came before.
#[test]
fn both_eras_share_a_connection() {
    let mut server = Node::server_in(V2025_11_25, |config| config.versions = ProtocolVersion::ALL.to_vec());
    for round in 0..3 {
        let (old, new) = (2 * round, 2 * round + 1);
        server.tell(&call(&json!(old)));
        server.tell(&modern(new, "tools/call", json!({"name": "t"})));
        let mut eras = Vec::new();
        for event in server.events() {
            let Event::Request { id, meta, .. } = event else { panic!("{event:?}") };
            eras.push(meta.era);
            server.respond(id, &json!({"content": []})).unwrap();
        }
        assert_eq!(eras, [Era::Legacy, Era::Modern]);
        let replies = server.frames();
        assert_eq!(replies[0]["result"], json!({"content": []}), "as it was written");
        assert_eq!(replies[1]["result"]["resultType"], "complete");
    }
    server.tell(&json!({"jsonrpc": "2.0", "id": 50, "method": "ping"}));
    assert_eq!(answer(&mut server)["result"], json!({}));
    assert_eq!(server.conn.era(), Some(Era::Legacy), "the session is what it was");
}

/// "servers MUST NOT rely on … prior requests": capabilities, log level and version are those of the request.
#[test]
fn nothing_is_carried_over_between_requests() {
    let mut server = Node::server_in(V2025_11_25, |config| config.versions = ProtocolVersion::ALL.to_vec());
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "debug"}}));
    server.frames();
    let mut rich = modern_with(&json!(2), "tools/call", json!({"name": "t"}), &json!({"roots": {}, "sampling": {}}));
    rich["params"]["_meta"][meta_key::LOG_LEVEL] = json!("debug");
    server.tell(&rich);
    let (_, _, meta) = server.take_request();
    assert_eq!(meta.log_level, Some(LoggingLevel::Debug));

    let mut poor = modern(3, "tools/call", json!({"name": "t"}));
    poor["params"]["_meta"].as_object_mut().unwrap().remove(meta_key::CLIENT_INFO);
    server.tell(&poor);
    let (id, _, meta) = server.take_request();
    assert_eq!(meta.log_level, None, "neither the request's before nor the session's");
    let peer = meta.peer.unwrap();
    assert_eq!(peer.info.name, "", "neither the request's before nor the session's");
    assert_eq!(peer.capabilities, crate::connection::PeerCapabilities::Client(ClientCapabilities::default()));
    server.notify(&log(LoggingLevel::Emergency), Scope::Within(id)).unwrap();
    assert!(server.frames().is_empty());

    // Nor does a request of the modern era change the session.
    server.tell(&call(&json!(4)));
    let (_, _, meta) = server.take_request();
    assert_eq!((meta.version, meta.log_level), (V2025_11_25, Some(LoggingLevel::Debug)));
    assert_eq!(meta.peer.unwrap().info.name, "c");
}

/// What "only requests that ask for it are logged about" means: at their level, about them, before their reply.
#[test]
fn logs_come_only_to_whom_they_were_promised() {
    let mut server = Node::server(dual_server());
    let mut wants = modern(1, "tools/call", json!({"name": "t"}));
    wants["params"]["_meta"][meta_key::LOG_LEVEL] = json!("warning");
    server.tell(&wants);
    let (loud, ..) = server.take_request();
    server.tell(&modern(2, "tools/call", json!({"name": "t"})));
    let (quiet, ..) = server.take_request();

    for level in [LoggingLevel::Debug, LoggingLevel::Info, LoggingLevel::Notice] {
        server.notify(&log(level), Scope::Within(loud)).unwrap();
    }
    server.notify(&log(LoggingLevel::Emergency), Scope::Within(quiet)).unwrap();
    assert!(server.frames().is_empty());
    for level in [LoggingLevel::Warning, LoggingLevel::Error] {
        server.notify(&log(level), Scope::Within(loud)).unwrap();
        assert_eq!(server.methods(), ["notifications/message"]);
    }
    let _ = server.notify(&log(LoggingLevel::Emergency), Scope::Connection);
    assert!(server.frames().is_empty(), "no request asked for that");

    server.respond(loud, &json!({"content": []})).unwrap();
    assert_eq!(server.notify(&log(LoggingLevel::Error), Scope::Within(loud)).unwrap_err().why, Why::Gone);
    assert_eq!(server.frames().len(), 1);
}

/// The same on a connection that never had another era: there is no level for the connection as a whole.
#[test]
fn nothing_is_logged_to_the_connection_as_a_whole() {
    let mut server = Node::server_from(modern_server(), Start::Assume(V2026_07_28));
    server.events();
    let _ = server.notify(&log(LoggingLevel::Emergency), Scope::Connection);
    assert!(server.frames().is_empty());
}

/// The legacy era's level is the session's: a request in work hears of a change at once.
#[test]
fn a_change_of_the_session_level_reaches_requests_in_work() {
    let mut server = Node::server_in(V2025_11_25, |config| config.versions = ProtocolVersion::ALL.to_vec());
    server.tell(&call(&json!(1)));
    let (id, ..) = server.take_request();
    for (level, sent) in [("error", 0), ("debug", 1)] {
        server.tell(&json!({"jsonrpc": "2.0", "id": level, "method": "logging/setLevel", "params": {"level": level}}));
        server.frames();
        server.notify(&log(LoggingLevel::Info), Scope::Within(id)).unwrap();
        assert_eq!(server.frames().len(), sent, "{level}");
    }
}

/// "The `progress` value MUST increase", only for a request with a token, and not after its reply.
#[test]
fn progress_is_told_to_whoever_wants_it() {
    let mut server = Node::server(dual_server());
    let mut wants = modern(1, "tools/call", json!({"name": "t"}));
    wants["params"]["_meta"][meta_key::PROGRESS_TOKEN] = json!("p");
    server.tell(&wants);
    let (id, ..) = server.take_request();
    server.tell(&modern(2, "tools/call", json!({"name": "t"})));
    let (other, ..) = server.take_request();
    server.progress(id, &Progress { progress: 1.0, total: Some(2.0), message: Some("half".into()) }).unwrap();
    server.progress(other, &Progress { progress: 1.0, total: None, message: None }).unwrap();
    assert_eq!(
        answer(&mut server),
        json!({"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": "p", "progress": 1.0, "total": 2.0, "message": "half"}})
    );
    let again = server.progress(id, &Progress { progress: 1.0, total: None, message: None });
    assert_eq!(again, Err(RespondError::ProgressNotRising));
    server.respond(id, &json!({"content": []})).unwrap();
    let late = server.progress(id, &Progress { progress: 2.0, total: None, message: None });
    assert_eq!(late, Err(RespondError::Gone));
}

/// "MUST NOT send any further messages for the cancelled request".
#[test]
fn a_cancelled_request_is_not_answered() {
    let mut server = Node::server(dual_server());
    server.tell(&modern_with(&json!("x"), "tools/call", json!({"name": "t"}), &json!({})));
    let (id, ..) = server.take_request();
    server.tell(&cancelled(&json!("x")));
    assert_eq!(kinds(&server.events()), ["cancelled"]);
    assert_eq!(server.respond(id, &json!({"content": []})), Err(RespondError::Gone));
    assert!(server.frames().is_empty());
    server.tell(&cancelled(&json!("unknown")));
    assert!(server.events().is_empty(), "a race that is tolerated");
}

/// "In this revision servers send no requests".
#[test]
fn a_server_sends_no_requests() {
    let mut assumed = Node::server_from(modern_server(), Start::Assume(V2026_07_28));
    assumed.events();
    let shaken = Node::server_in(V2025_11_25, |config| config.versions = ProtocolVersion::ALL.to_vec());
    for mut server in [Node::server(modern_server()), Node::server(dual_server()), assumed, shaken] {
        let capabilities = json!({"roots": {}, "sampling": {}, "elicitation": {}});
        server.tell(&modern_with(&json!(1), "tools/call", json!({"name": "t"}), &capabilities));
        let (id, ..) = server.take_request();
        for method in ["ping", "roots/list", "sampling/createMessage", "elicitation/create", "vendor/any"] {
            let options = CallOptions { within: Some(id), ..CallOptions::default() };
            let sent = server.request(&body(method, &json!({})), &options);
            assert_eq!(sent.unwrap_err().why, Why::NotInThisRevision, "{method}");
        }
    }
    let mut server = Node::server(modern_server());
    for method in ["ping", "vendor/any"] {
        assert!(server.request(&body(method, &json!({})), &CallOptions::default()).is_err(), "{method}");
    }
}

/// "Servers MUST NOT emit −32002": in this era a resource that is not there is −32602. Codes that are reserved and have no
/// meaning are not sent either; those of the application are.
#[test]
fn errors_are_those_of_the_era() {
    let mut server = Node::server_in(V2025_11_25, |config| config.versions = ProtocolVersion::ALL.to_vec());
    for (code, sent) in
        [(-32002, -32602), (-32042, -32603), (-32000, -32603), (-32602, -32602), (-32021, -32021), (7, 7)]
    {
        let error = ErrorObject::new(ErrorCode(code), "no").with_data(json!({"uri": "x:y"}));
        server.tell(&modern(1, "resources/read", json!({"uri": "x:y"})));
        let (id, ..) = server.take_request();
        server.reject(id, &error).unwrap();
        let reply = answer(&mut server);
        assert_eq!(reply["error"]["code"], sent, "{code}");
        assert_eq!(reply["error"]["data"], json!({"uri": "x:y"}));
    }
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "x:y"}}));
    let (id, ..) = server.take_request();
    server.reject(id, &ErrorObject::new(ErrorCode(-32002), "no")).unwrap();
    assert_eq!(refused(&mut server, &json!(1)), -32002);
}

/// The user's keys of a result's `_meta` stay, but the core's win; an extension's type of result is written as it is.
#[test]
fn results_carry_the_keys_of_the_core() {
    let extension = Extension::new("com.example/x").result_type("com.example/kind");
    let mut server = Node::server(dual_server().with_extension(extension));
    let declared = json!({"extensions": {"com.example/x": {}}});
    server.tell(&modern_with(&json!(1), "tools/call", json!({"name": "t"}), &declared));
    let (id, ..) = server.take_request();
    let Value::Object(meta) = json!({"com.example/k": 1, meta_key::SERVER_INFO: {"name": "fake"}}) else { panic!() };
    let kind = ResultKind::Other("com.example/kind".into());
    let sent = server.step(|conn, now| conn.respond(now, id, kind.clone(), result(&json!({})), Some(meta.clone())));
    server.answered(id, sent).unwrap();
    let reply = answer(&mut server);
    assert_eq!(reply["result"]["resultType"], "com.example/kind");
    assert_eq!(
        reply["result"]["_meta"],
        json!({"com.example/k": 1, meta_key::SERVER_INFO: {"name": "server", "version": "1"}})
    );
}

/// A notification about a change goes by a subscription, or not at all.
#[test]
fn changes_are_not_told_without_a_subscription() {
    let mut server = Node::server(dual_server());
    server.tell(&modern(1, "tools/call", json!({"name": "t"})));
    let (id, ..) = server.take_request();
    server.step(|conn, now| conn.changed(now, &Change::Tools));
    for method in [
        "notifications/tools/list_changed",
        "notifications/resources/updated",
        "notifications/subscriptions/acknowledged",
        "notifications/cancelled",
    ] {
        for scope in [Scope::Connection, Scope::Within(id)] {
            assert!(server.notify(&body(method, &json!({"uri": "x:y"})), scope).is_err(), "{method} {scope:?}");
        }
    }
    assert!(server.frames().is_empty());
}

/// An id is free again once it is answered, and not before.
#[test]
fn an_id_may_be_used_again_after_its_answer() {
    let mut config = dual_server();
    config.capabilities = ServerCapabilities::default().with_tools(ToolsCapability::default());
    config.limits = Limits { inbound_requests: 4, ..Limits::default() };
    let mut server = Node::server(config);
    for _ in 0..3 {
        server.tell(&modern(1, "tools/call", json!({"name": "t"})));
        let (id, ..) = server.take_request();
        server.tell(&modern(1, "tools/list", json!({})));
        assert_eq!(refused(&mut server, &json!(1)), -32600);
        assert_eq!(server.broken_rules(), [Rule::ReusedId]);
        server.respond(id, &json!({"content": []})).unwrap();
        assert_eq!(answer(&mut server)["result"]["resultType"], "complete");
    }
}

/// A notification needs no `_meta`, and no handshake where there may never be one: an unknown one is no fault.
#[test]
fn notifications_need_no_handshake() {
    for config in [modern_server(), dual_server()] {
        let mut server = Node::server(config);
        server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/vendor/any", "params": {}}));
        assert_eq!(kinds(&server.events()), ["notification"]);
        assert!(server.frames().is_empty());
    }
}
