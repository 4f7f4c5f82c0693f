//! With which status an answer leaves (specification 2026-07-28: basic/transports/streamable-http, Response statuses).

use super::*;

/// Results are 200, whatever they are; that includes questions and tools that failed.
#[test]
fn results_are_200_and_json() {
    for (name, kind) in [("fast", "complete"), ("asks", "input_required")] {
        let response = call_tool(name);
        assert_eq!(response.status, 200);
        let body = response.json();
        assert_eq!((&body["id"], &body["result"]["resultType"]), (&json!(7), &json!(kind)));
    }
}

/// "…the server MUST return HTTP 404" for −32601, and 400 for missing capabilities, unsupported revisions and mismatched headers;
/// what follows from these for others; and every error has the id of its request.
#[test]
fn errors_of_the_modern_era_have_their_status() {
    for (code, status) in [
        (-32700, 400),
        (-32600, 400),
        (-32601, 404),
        (-32602, 400),
        (-32603, 200),
        (-32020, 400),
        (-32021, 400),
        (-32022, 400),
        (12345, 200),
    ] {
        assert_eq!(call_tool(&code.to_string()).refusal(), (status, json!(7), code));
    }
    let server = Server::dual();
    for (method, status, code) in [
        ("tools/list", 200, None),
        ("prompts/list", 404, Some(-32601)),
        ("ping", 404, Some(-32601)),
        ("initialize", 404, Some(-32601)),
        ("no/such", 404, Some(-32601)),
    ] {
        let response = server.post(&modern_head(method, ""), &modern(method, &json!({})));
        assert_eq!((response.status, response.json()["error"]["code"].as_i64()), (status, code), "{method}");
    }
}

/// Who may try again is told when.
#[test]
fn a_refusal_that_may_be_tried_again_is_503() {
    let response = call_tool("busy");
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    assert_eq!(response.json()["id"], 7);
    for reason in [Reason::TooManyExchanges, Reason::ShuttingDown] {
        let refusal = Refusal::new(reason).retry_after(core::time::Duration::from_millis(1500));
        let response = refused(refusal.of(&message(&call("x"))));
        assert_eq!((response.status, response.header("retry-after")), (503, Some("2")));
        let body = response.json();
        assert_eq!((&body["id"], &body["error"]["data"]["retryable"]), (&json!(7), &json!(true)));
    }
}

/// "…the server MUST return … 202 Accepted with no body" for a notification; whatever it says, if it can be read.
#[test]
fn notifications_and_answers_are_202_and_empty() {
    let is_202 = |response: Response| {
        assert_eq!((response.status, response.body.as_str(), response.header("content-type")), (202, "", None));
    };
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/anything","params":{}}"#;
    is_202(Server::dual().post(&post_head(&[("mcp-protocol-version", "2026-07-28")]), notification));
    for body in [
        notification,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#,
    ] {
        is_202(Server::sessionless().post(&post_head(&[]), body));
    }
    is_202(Server::sessionless().post(&post_head(&[]), &std::format!("[{notification},{notification}]")));
}

/// "…a modern-only server SHOULD name the versions it supports" to a client that begins with `initialize`.
#[test]
fn a_server_of_the_modern_era_says_so_to_older_clients() {
    let server = Server::modern_only();
    let response = server.post(&post_head(&[]), &initialize("2025-06-18"));
    assert_eq!(response.refusal(), (400, json!(7), -32022));
    assert_eq!(response.json()["error"]["data"]["supported"], json!(["2026-07-28"]));
    assert_eq!(server.post(&post_head(&[]), &legacy("tools/list")).refusal(), (400, json!(7), -32602));
}

/// In the legacy era errors are answers like others; only what never became a request has a status of its own.
#[test]
fn errors_of_the_legacy_era_ride_on_200() {
    let server = Server::sessionless();
    let answer = |body: &str| server.post(&post_head(&[]), body);
    assert_eq!(answer(&legacy("no/such")).refusal(), (200, json!(7), -32601));
    assert_eq!(answer(&legacy("prompts/list")).refusal(), (200, json!(7), -32601));
    for (name, status) in [("-32602", 200), ("-32603", 200), ("-32600", 200), ("busy", 200)] {
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": name } });
        assert_eq!(answer(&call.to_string()).status, status, "{name}");
    }
    assert_eq!(answer(&legacy("ping")).json(), json!({ "jsonrpc": "2.0", "id": 7, "result": {} }));
    assert_eq!(answer("{").refusal(), (400, Value::Null, -32700));
    assert_eq!(answer("[]").refusal(), (400, Value::Null, -32600));
}

/// A server that keeps no sessions answers `initialize` all the same, and gives no id.
#[test]
fn initialize_is_answered_without_a_session() {
    let response = Server::sessionless().post(&post_head(&[]), &initialize("2025-06-18"));
    assert_eq!((response.status, response.header("mcp-session-id")), (200, None));
    assert_eq!(response.json()["result"]["protocolVersion"], "2025-06-18");
}
