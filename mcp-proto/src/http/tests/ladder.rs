//! What a POST is: the ladder that tells the eras apart (specification 2026-07-28: basic/versioning, Servers of either era; until
//! 2025-11-25: basic/transports, Protocol Version Header, Session Management).

use super::*;

/// What a POST was taken for, in a word or two; of a refusal its status, id and code.
fn is(server: &Server, head: &Parts, body: &str) -> String {
    use std::format;
    match server.classify(head, body) {
        Ok(Classified::Modern { version, .. }) => format!("modern {version}"),
        Ok(Classified::Legacy(LegacyCall::Initialize(_))) => "initialize".into(),
        Ok(Classified::Legacy(LegacyCall::InSession { session, version, .. })) => {
            format!("in {} {}", session.as_str(), version.map_or("-", ProtocolVersion::as_str))
        }
        Ok(Classified::Legacy(LegacyCall::Sessionless { version, .. })) => format!("sessionless {version}"),
        Err(refused) => {
            let body = refused.json();
            format!(
                "{} {} {}",
                refused.status,
                body.get("id").map_or("-".into(), Value::to_string),
                body["error"]["code"]
            )
        }
    }
}

const VERSION: &str = "mcp-protocol-version";
const IN_SESSION: (&str, &str) = ("mcp-session-id", "s");
const NOTIFICATION: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
const RESPONSE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

/// The rungs of the ladder, one after the other, on a server of both eras with sessions.
#[test]
fn a_server_of_both_eras_tells_them_apart() {
    let server = Server::dual();
    let without_meta = legacy("tools/list");
    let old = initialize("2025-06-18");
    for (headers, body, expected) in [
        // The body names a modern revision: modern, whatever the method.
        (
            &[(VERSION, "2026-07-28"), ("mcp-method", "tools/list")][..],
            &modern("tools/list", &json!({})),
            "modern 2026-07-28",
        ),
        (
            &[(VERSION, "2026-07-28"), ("mcp-method", "initialize")],
            &modern("initialize", &json!({})),
            "modern 2026-07-28",
        ),
        (
            &[(VERSION, "2026-07-28"), ("mcp-method", "tools/list"), IN_SESSION],
            &modern("tools/list", &json!({})),
            "modern 2026-07-28",
        ),
        // Only the header does: modern, and lacking what the connection will miss.
        (&[(VERSION, "2026-07-28")], &without_meta, "modern 2026-07-28"),
        (&[(VERSION, "2026-07-28"), IN_SESSION], &without_meta, "modern 2026-07-28"),
        (&[(VERSION, "2099-01-01")], &without_meta, "modern 2026-07-28"),
        (&[(VERSION, "2026-07-28")], &old, "modern 2026-07-28"),
        // Legacy.
        (&[], &old, "initialize"),
        (&[(VERSION, "2025-06-18")], &old, "initialize"),
        (&[IN_SESSION], &old, "in s -"),
        (&[IN_SESSION], &without_meta, "in s -"),
        (&[IN_SESSION, (VERSION, "2025-06-18")], &without_meta, "in s 2025-06-18"),
        (&[IN_SESSION, (VERSION, "2099-01-01")], &without_meta, "400 7 -32600"),
        (&[IN_SESSION, IN_SESSION], &without_meta, "400 7 -32600"),
        (&[("mcp-session-id", "no id")], &without_meta, "404 7 -32600"),
        (&[], &without_meta, "400 7 -32600"),
        (&[(VERSION, "2025-11-25")], &without_meta, "400 7 -32600"),
        (&[(VERSION, "2025-11-25"), (VERSION, "2025-11-25")], &without_meta, "400 7 -32600"),
        (&[(VERSION, "2099-01-01")], &old, "400 7 -32600"),
    ] {
        assert_eq!(is(&server, &post_head(headers), body), expected, "{headers:?} {body}");
    }
}

/// What is no request has no id to answer with.
#[test]
fn notifications_and_answers_go_where_their_headers_say() {
    let server = Server::dual();
    for (headers, body, expected) in [
        (&[(VERSION, "2026-07-28")][..], NOTIFICATION, "modern 2026-07-28"),
        (&[(VERSION, "2026-07-28"), ("mcp-method", "notifications/cancelled")], NOTIFICATION, "modern 2026-07-28"),
        (&[(VERSION, "2026-07-28"), ("mcp-method", "tools/list")], NOTIFICATION, "400 - -32020"),
        (&[(VERSION, "2099-01-01")], NOTIFICATION, "400 - -32600"),
        (&[IN_SESSION], NOTIFICATION, "in s -"),
        (&[IN_SESSION, (VERSION, "2099-01-01")], NOTIFICATION, "400 - -32600"),
        (&[], NOTIFICATION, "400 - -32600"),
        (&[IN_SESSION], RESPONSE, "in s -"),
        (&[], RESPONSE, "400 - -32600"),
        (&[(VERSION, "2026-07-28")], RESPONSE, "400 - -32600"),
        (&[(VERSION, "2099-01-01"), IN_SESSION], RESPONSE, "400 - -32600"),
    ] {
        assert_eq!(is(&server, &post_head(headers), body), expected, "{headers:?} {body}");
    }
    for body in [NOTIFICATION, RESPONSE] {
        let expected = if body == RESPONSE { "400 - -32600" } else { "400 - -32020" };
        assert_eq!(is(&Server::modern_only(), &post_head(&[]), body), expected, "{body}");
    }
}

/// Where there is only one era, everything is of that one.
#[test]
fn a_server_of_one_era_takes_everything_for_its_own() {
    let modern_only = Server::modern_only();
    for (headers, body) in [
        (&[][..], legacy("tools/list")),
        (&[(VERSION, "2026-07-28")], legacy("tools/list")),
        (&[(VERSION, "2025-06-18")], legacy("tools/list")),
        (&[IN_SESSION], legacy("tools/list")),
        (&[], initialize("2025-06-18")),
    ] {
        assert_eq!(is(&modern_only, &post_head(headers), &body), "modern 2026-07-28", "{headers:?}");
    }
    let legacy_only = Server::legacy_only();
    let probe = modern("server/discover", &json!({}));
    for (headers, body, expected) in [
        (&[(VERSION, "2026-07-28"), ("mcp-method", "server/discover")][..], &probe, "400 7 -32600"),
        (&[], &probe, "400 7 -32600"),
        (&[(VERSION, "2026-07-28")], &initialize("2025-06-18"), "400 7 -32600"),
        (&[], &initialize("2025-06-18"), "initialize"),
        (&[IN_SESSION, (VERSION, "2026-07-28")], &legacy("ping"), "400 7 -32600"),
    ] {
        assert_eq!(is(&legacy_only, &post_head(headers), body), expected, "{headers:?}");
    }
}

/// "If the server does not receive an `MCP-Protocol-Version` header … the server SHOULD assume protocol version 2025-03-26";
/// "…with an invalid or unsupported `MCP-Protocol-Version`, it MUST respond with `400 Bad Request`".
#[test]
fn without_sessions_the_header_names_the_revision() {
    let server = Server::sessionless();
    for (headers, body, expected) in [
        (&[][..], &legacy("tools/list")[..], "sessionless 2025-03-26"),
        (&[IN_SESSION], &legacy("tools/list"), "sessionless 2025-03-26"),
        (&[(VERSION, "2025-11-25")], &legacy("tools/list"), "sessionless 2025-11-25"),
        (&[(VERSION, "2024-11-05")], NOTIFICATION, "sessionless 2024-11-05"),
        (&[], RESPONSE, "sessionless 2025-03-26"),
        (&[(VERSION, "1999-01-01")], NOTIFICATION, "400 - -32600"),
        (&[], &initialize("2025-11-25"), "initialize"),
    ] {
        assert_eq!(is(&server, &post_head(headers), body), expected, "{headers:?} {body}");
    }
    let newer = Server::new(&[ProtocolVersion::V2025_06_18, ProtocolVersion::V2025_11_25], Keeping::Nothing);
    assert_eq!(is(&newer, &post_head(&[]), &legacy("ping")), "400 7 -32600");
    assert_eq!(is(&newer, &post_head(&[(VERSION, "2025-03-26")]), &legacy("ping")), "400 7 -32600");
    assert_eq!(is(&newer, &post_head(&[]), &initialize("2025-06-18")), "initialize");
}

/// An `initialize` whose header named another revision than its body was accepted, and nobody knew which one held.
#[test]
fn pain_27_a_header_that_contradicts_the_body_is_refused() {
    for server in [Server::dual(), Server::legacy_only(), Server::sessionless()] {
        for (header, body, expected) in [
            ("2025-06-18", "2025-06-18", "initialize"),
            ("", "2024-11-05", "initialize"),
            ("2025-06-18", "2024-11-05", "400 7 -32600"),
            ("2024-11-05", "2025-11-25", "400 7 -32600"),
            ("2025-06-18", "2099-01-01", "400 7 -32600"),
        ] {
            assert_eq!(is(&server, &post_head(&[(VERSION, header)]), &initialize(body)), expected, "{header} {body}");
        }
    }
    let server = Server::dual();
    let list = modern("tools/list", &json!({}));
    let right = [(VERSION, "2026-07-28"), ("mcp-method", "tools/list")];
    assert_eq!(is(&server, &post_head(&right), &list), "modern 2026-07-28");
    for wrong in [
        &[][..],
        &right[..1],
        &right[1..],
        &[(VERSION, "2025-11-25"), right[1]],
        &[(VERSION, "2099-01-01"), right[1]],
        &[right[0], ("mcp-method", "Tools/List")],
        &[right[0], right[0], right[1]],
        &[right[0], right[1], right[1]],
    ] {
        assert_eq!(is(&server, &post_head(wrong), &list), "400 7 -32020", "{wrong:?}");
    }
}

/// "…MUST be processed … reject" in this order: the required keys, the headers against the body, whether the revision is served.
#[test]
fn what_is_wrong_first_is_told_first() {
    let server = Server::dual();
    let with_meta = |meta: Value| {
        json!({ "jsonrpc": "2.0", "id": 7, "method": "nobody/knows", "params": { "_meta": meta } }).to_string()
    };
    let (version, capabilities) =
        ("io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities");
    for (headers, meta, expected) in [
        // A key is missing or wrong; the headers are, too.
        (&[(VERSION, "2025-06-18")][..], json!({ version: "2099-01-01" }), (400, -32602)),
        (&[], json!({ version: "2099-01-01", capabilities: 1 }), (400, -32602)),
        (&[], json!({ version: 1, capabilities: {} }), (400, -32602)),
        // The keys are there; the headers say something else, and the revision is unknown.
        (&[(VERSION, "2026-07-28")], json!({ version: "2099-01-01", capabilities: {} }), (400, -32020)),
        (&[(VERSION, "2099-01-01")], json!({ version: "2099-01-01", capabilities: {} }), (400, -32020)),
        // The headers are right; the revision is unknown, or none of the modern era, and so is the method.
        (
            &[(VERSION, "2099-01-01"), ("mcp-method", "nobody/knows")],
            json!({ version: "2099-01-01", capabilities: {} }),
            (400, -32022),
        ),
        (
            &[(VERSION, "2025-06-18"), ("mcp-method", "nobody/knows")],
            json!({ version: "2025-06-18", capabilities: {} }),
            (400, -32022),
        ),
        // All but the method is right.
        (
            &[(VERSION, "2026-07-28"), ("mcp-method", "nobody/knows")],
            json!({ version: "2026-07-28", capabilities: {} }),
            (404, -32601),
        ),
    ] {
        let response = server.post(&post_head(headers), &with_meta(meta.clone()));
        let (status, id, code) = response.refusal();
        assert_eq!((id, (status, code)), (json!(7), expected), "{headers:?} {meta}");
    }
    let twice = with_meta(json!({ version: "2026-07-28", capabilities: {} }))
        .replace("\"_meta\":{", &std::format!("\"_meta\":{{\"{version}\":\"2025-06-18\","));
    let right = post_head(&[(VERSION, "2026-07-28"), ("mcp-method", "nobody/knows")]);
    assert_eq!(server.post(&right, &twice).refusal(), (400, json!(7), -32602), "{twice}");
}

/// Batches exist in 2025-03-26 only: there a receiver MUST take them, elsewhere an array is no message.
#[test]
fn batches_are_taken_where_there_are_any() {
    let batch = std::format!("[{},{NOTIFICATION}]", legacy("ping"));
    let dual = Server::dual();
    for (server, headers, expected) in [
        (&dual, &[IN_SESSION][..], "in s -"),
        (&dual, &[IN_SESSION, (VERSION, "2025-03-26")], "in s 2025-03-26"),
        (&dual, &[IN_SESSION, (VERSION, "2025-06-18")], "400 null -32600"),
        (&dual, &[], "400 null -32600"),
        (&dual, &[(VERSION, "2026-07-28")], "400 - -32600"),
        (&Server::modern_only(), &[], "400 - -32600"),
        (&Server::sessionless(), &[], "sessionless 2025-03-26"),
        (&Server::sessionless(), &[(VERSION, "2025-03-26")], "sessionless 2025-03-26"),
        (&Server::sessionless(), &[(VERSION, "2025-11-25")], "400 - -32600"),
        (&Server::new(&[ProtocolVersion::V2025_06_18], Keeping::Sessions), &[IN_SESSION], "400 null -32600"),
    ] {
        assert_eq!(is(server, &post_head(headers), &batch), expected, "{headers:?}");
    }
    // Nothing of the modern era comes in past the check of its headers.
    let smuggled = std::format!("[{}]", call("x"));
    assert_eq!(is(&dual, &post_head(&[IN_SESSION]), &smuggled), "400 null -32600");
}

/// What is no message is answered with its id, if one can be read; a notification never is.
#[test]
fn what_is_no_message_is_refused_with_its_id() {
    let head = modern_head("tools/list", "");
    for (body, expected) in [
        ("{", (400, Value::Null, -32700)),
        ("\"text\"", (400, Value::Null, -32600)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"x","params":[]}"#, (400, json!(7), -32602)),
        (r#"{"jsonrpc":"1.0","id":"x","method":"x"}"#, (400, json!("x"), -32600)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"x","method":"y"}"#, (400, json!(7), -32600)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, (400, Value::Null, -32600)),
        (r#"{"jsonrpc":"2.0","method":"x","params":[]}"#, (400, Value::Null, -32602)),
        (r#"{"jsonrpc":"2.0","id":7,"result":1}"#, (400, Value::Null, -32600)),
    ] {
        for server in [Server::dual(), Server::modern_only()] {
            assert_eq!(server.post(&head, body).refusal(), expected, "{body}");
        }
    }
    let unknown_id = Server::dual().post(&post_head(&[]), "{").json();
    assert_eq!(unknown_id.get("id"), Some(&Value::Null), "no revision is known, so as JSON-RPC says");
    let notification = Server::dual().post(&post_head(&[]), r#"{"jsonrpc":"2.0","method":"x","params":[]}"#).json();
    assert_eq!(notification.get("id"), None);
}
