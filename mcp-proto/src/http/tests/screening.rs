//! What is refused by its head alone (specification: basic/transports; RFC 9110).

use super::*;

/// "Servers MUST validate the `Origin` header on all incoming connections … MUST respond with HTTP 403": whatever the method, and
/// before anything else is looked at. Likewise the host.
#[test]
fn forged_hosts_and_origins_are_refused_on_every_method() {
    let methods = [Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::HEAD, Method::OPTIONS];
    for server in [Server::dual(), Server::modern_only(), Server::legacy_only(), Server::sessionless()] {
        for method in &methods {
            for (name, value, status) in [("host", "evil.example", 421), ("origin", "http://evil.example", 403)] {
                let spoiled = [(name, value), ("accept", "text/html"), ("content-type", "text/plain")];
                let refused = server.screen(&head(method.clone(), &spoiled)).unwrap_err();
                assert_eq!(refused.status, status, "{method} {name}");
                assert_eq!(refused.json()["error"]["code"], -32600);
            }
        }
        let own = [("origin", "http://localhost:5173"), ("host", "127.0.0.1:8080")];
        assert!(server.screen(&post_head(&own)).is_ok());
    }
}

/// "…the server MUST … return HTTP 405 Method Not Allowed, indicating that the server does not offer an SSE stream at this
/// endpoint": where there is nothing but the modern era, or nothing is kept. What there is, is told.
#[test]
fn methods_that_are_not_there_are_405_and_those_that_are_are_told() {
    let of_session = [("mcp-session-id", "s")];
    for (server, method, extra, allow) in [
        (Server::modern_only(), Method::GET, &of_session[..], "POST"),
        (Server::modern_only(), Method::DELETE, &of_session, "POST"),
        (Server::sessionless(), Method::GET, &of_session, "POST"),
        (Server::sessionless(), Method::DELETE, &of_session, "POST"),
        (Server::dual(), Method::GET, &[("mcp-protocol-version", "2026-07-28")], "POST"),
        (Server::dual(), Method::DELETE, &[("mcp-protocol-version", "2026-07-28")], "POST"),
        (Server::dual(), Method::PUT, &[], "GET, POST, DELETE"),
        (Server::dual(), Method::HEAD, &[], "GET, POST, DELETE"),
        (Server::dual(), Method::OPTIONS, &[], "GET, POST, DELETE"),
        (Server::modern_only(), Method::PATCH, &[], "POST"),
    ] {
        let refused = server.screen(&head(method.clone(), extra)).unwrap_err();
        assert_eq!((refused.status, refused.header("allow")), (405, Some(allow)), "{method}");
    }
}

/// "The client MUST include an `Accept` header, listing both". Which of the two it will be is decided late, so both are needed.
#[test]
fn both_types_have_to_be_accepted() {
    let server = Server::dual();
    for good in ["application/json, text/event-stream", "*/*", "text/*;q=0.1, Application/Json;charset=utf-8", ""] {
        assert!(server.screen(&post_head(&[("accept", good)])).is_ok(), "{good}");
    }
    for bad in ["application/json", "text/event-stream", "text/html", "*/*, text/event-stream;q=0"] {
        let refused = server.screen(&post_head(&[("accept", bad)])).unwrap_err();
        assert_eq!(refused.refusal(), (406, Value::Null, -32600), "{bad}");
    }
    let get = |accept| server.screen(&head(Method::GET, &[("mcp-session-id", "s"), ("accept", accept)]));
    assert!(get("text/event-stream").is_ok());
    assert_eq!(get("application/json").unwrap_err().status, 406);
}

#[test]
fn the_body_has_to_be_json() {
    let server = Server::dual();
    for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;x=y"] {
        assert!(server.screen(&post_head(&[("content-type", good)])).is_ok(), "{good}");
    }
    for bad in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""] {
        let refused = server.screen(&post_head(&[("content-type", bad)])).unwrap_err();
        assert_eq!(refused.refusal(), (415, Value::Null, -32600), "{bad}");
        assert!(refused.body.contains(bad.split(';').next().unwrap()), "what was found is told: {}", refused.body);
    }
}

/// A compressed body was taken for broken JSON, and nobody knew why.
#[test]
fn pain_22_a_compressed_body_is_refused_by_the_name_of_its_encoding() {
    let server = Server::dual();
    for encoding in ["gzip", "br", "zstd", "identity, deflate"] {
        let refused = server.screen(&post_head(&[("content-encoding", encoding)])).unwrap_err();
        assert_eq!((refused.status, refused.header("accept-encoding")), (415, Some("identity")));
        assert!(refused.body.contains(encoding), "{}", refused.body);
    }
    assert!(server.screen(&post_head(&[("content-encoding", "identity")])).is_ok());
}

#[test]
fn a_body_over_the_limit_is_not_read() {
    let server = Server::dual();
    for (length, status) in [
        ("0", None),
        ("1000", None),
        ("1001", Some(413)),
        ("99999999999999999999999", Some(413)),
        ("-1", Some(400)),
        ("+5", Some(400)),
        ("1e3", Some(400)),
        ("5, 5", Some(400)),
    ] {
        let screened = server.screen(&post_head(&[("content-length", length)]));
        assert_eq!(screened.as_ref().err().map(|refused| refused.status), status, "{length}");
        assert!(screened.is_err() || screened.is_ok_and(|it| it == Screened::Post { body_limit: 1000 }));
    }
    let twice = post_head(&[("content-length", "5"), ("content-length", "6")]);
    assert_eq!(server.screen(&twice).unwrap_err().status, 400);
}

/// "Servers that require a session ID SHOULD respond to requests without … with HTTP 400 Bad Request"; of an invalid
/// `MCP-Protocol-Version` "it MUST respond with `400 Bad Request`"; an id that cannot be one was never given.
#[test]
fn streams_and_ends_of_sessions_name_the_session() {
    let server = Server::dual();
    let session = ("mcp-session-id", "s-1");
    for method in [Method::GET, Method::DELETE] {
        for (headers, status) in [
            (&[][..], 400),
            (&[("mcp-session-id", "a b")], 404),
            (&[session, ("mcp-session-id", "s-2")], 400),
            (&[session, ("mcp-protocol-version", "1999-01-01")], 400),
            (&[session, ("mcp-protocol-version", "2025-06-18"), ("mcp-protocol-version", "2025-06-18")], 400),
        ] {
            let refused = server.screen(&head(method.clone(), headers)).unwrap_err();
            assert_eq!(refused.status, status, "{method} {headers:?}");
        }
    }
    assert_eq!(
        server.screen(&head(Method::DELETE, &[session])).unwrap(),
        Screened::Delete(SessionId::parse("s-1").unwrap())
    );
    let Ok(Screened::Get(get)) = server.screen(&head(Method::GET, &[session, ("mcp-protocol-version", "2025-06-18")]))
    else {
        panic!("let in");
    };
    assert_eq!((get.session.as_str(), get.last_event_id), ("s-1", None));
    assert_eq!(get.version, Some(ProtocolVersion::V2025_06_18));
    let Ok(Screened::Get(get)) = server.screen(&head(Method::GET, &[session, ("last-event-id", "3-17")])) else {
        panic!("let in");
    };
    assert_eq!(get.last_event_id, EventId::parse("3-17"));
    let refused = server.screen(&head(Method::GET, &[session, ("last-event-id", "a b")])).unwrap_err();
    assert_eq!(refused.status, 400);
}

/// How an unreadable id is written follows the revision, where one is known.
#[test]
fn an_error_without_an_id_is_written_as_its_revision_wants() {
    let id = |server: Server, version: &str| {
        let headers = [("mcp-protocol-version", version), ("content-type", "text/plain")];
        server.screen(&post_head(&headers)).unwrap_err().json().get("id").cloned()
    };
    assert_eq!(id(Server::dual(), ""), Some(Value::Null));
    assert_eq!(id(Server::dual(), "2025-06-18"), Some(Value::Null));
    assert_eq!(id(Server::dual(), "2025-11-25"), None);
    assert_eq!(id(Server::dual(), "2026-07-28"), None);
    assert_eq!(id(Server::modern_only(), ""), None);
}
