//! Who may come in by `Host` and `Origin` (specification: basic/transports, Security Warning).

use std::string::ToString as _;
use std::vec::Vec;

use http::request::Parts;
use http::{Method, Request, Version};

use super::{Forbidden, Reason, Security};

fn local() -> Security {
    Security::of("127.0.0.1:8000".parse().unwrap())
}

fn public() -> Security {
    Security::of("0.0.0.0:8000".parse().unwrap())
}

/// A POST with these headers, in this order.
fn head(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post("/mcp");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn of_host(host: &str) -> Parts {
    head(&[("host", host)])
}

/// The host of the table, and the status it gets of a server on loopback; none if it is let in.
const HOSTS: &[(&str, Option<u16>)] = &[
    ("localhost", None),
    ("LocalHost", None),
    ("localhost:", None),
    ("localhost:1", None),
    ("localhost:65535", None),
    ("127.0.0.1", None),
    ("127.0.0.1:8000", None),
    ("127.255.255.254", None),
    ("[::1]", None),
    ("[::1]:8000", None),
    ("[0:0:0:0:0:0:0:1]", None),
    ("[::ffff:127.0.0.1]:8000", None),
    (" localhost\t", None),
    // Others.
    ("evil.com", Some(421)),
    ("localhost.evil.com", Some(421)),
    ("127.0.0.1.evil.com", Some(421)),
    ("notlocalhost", Some(421)),
    ("localhost-", Some(421)),
    ("foo.localhost", Some(421)),
    ("localhost_:80", Some(421)),
    ("xn--lcalhost-54a", Some(421)),
    ("0.0.0.0", Some(421)),
    ("128.0.0.1", Some(421)),
    ("10.0.0.1:8000", Some(421)),
    ("[::]", Some(421)),
    ("[::2]", Some(421)),
    ("[fe80::1]", Some(421)),
    ("[::ffff:10.0.0.1]", Some(421)),
    // What some readers take for 127.0.0.1 is a name here.
    ("2130706433", Some(421)),
    ("0x7f000001", Some(421)),
    ("0x7f.1", Some(421)),
    ("127.1", Some(421)),
    ("0177.0.0.1", Some(421)),
    ("127.0.0.01", Some(421)),
    ("127.0.0.1.2", Some(421)),
    // Two readers, two hosts.
    ("", Some(400)),
    (":8000", Some(400)),
    ("localhost.", Some(400)),
    ("127.0.0.1.", Some(400)),
    ("local..host", Some(400)),
    (".localhost", Some(400)),
    ("user@localhost", Some(400)),
    ("localhost@evil.com", Some(400)),
    ("localhost:80@evil.com", Some(400)),
    ("localhost:pass@evil.com", Some(400)),
    ("localhost, evil.com", Some(400)),
    ("evil.com localhost", Some(400)),
    ("localhost evil.com", Some(400)),
    ("localhost/evil", Some(400)),
    ("localhost\\evil", Some(400)),
    ("localhost?", Some(400)),
    ("localhost#", Some(400)),
    ("localhost%00.evil.com", Some(400)),
    ("http://localhost", Some(400)),
    ("localhost:+80", Some(400)),
    ("localhost:-1", Some(400)),
    ("localhost:65536", Some(400)),
    ("localhost:80:80", Some(400)),
    ("localhost:0x50", Some(400)),
    ("localhost: 80", Some(400)),
    ("::1", Some(400)),
    ("[::1", Some(400)),
    ("[::1]8000", Some(400)),
    ("[::1]:", None),
    ("[::1%25lo]", Some(400)),
    ("[::1%lo]:80", Some(400)),
    ("[127.0.0.1]", Some(400)),
    ("[]", Some(400)),
    ("[v1.x]", Some(400)),
    ("ⓛocalhost", Some(400)),
    ("localhost\u{3002}evil.com", Some(400)),
    ("*", Some(400)),
];

/// "Servers MUST validate ... to prevent DNS rebinding attacks": only names of this machine lead to a server that only this machine
/// reaches.
#[test]
fn pain_11_a_local_server_is_reached_by_names_of_this_machine_only() {
    for (host, status) in HOSTS {
        let verdict = local().check(&of_host(host));
        assert_eq!(verdict.as_ref().err().map(|forbidden| forbidden.status().as_u16()), *status, "{host}: {verdict:?}");
        // The same for a server on the other loopback address, and on another port.
        let other = Security::of("[::1]:9".parse().unwrap()).check(&of_host(host));
        assert_eq!(other, verdict, "{host}");
    }
}

/// Elsewhere every name may lead to the server; what is no name still does not.
#[test]
fn a_public_server_takes_every_well_formed_host() {
    for (host, status) in HOSTS {
        let expected = status.filter(|status| *status == 400);
        let verdict = public().check(&of_host(host));
        assert_eq!(
            verdict.as_ref().err().map(|forbidden| forbidden.status().as_u16()),
            expected,
            "{host}: {verdict:?}"
        );
        assert_eq!(local().allow_any_host().check(&of_host(host)), verdict, "{host}");
    }
}

#[test]
fn a_host_is_there_once() {
    let reason = |parts: &Parts| local().check(parts).unwrap_err();
    assert_eq!(reason(&head(&[])), Forbidden::Host(Reason::Missing));
    let twice = head(&[("host", "localhost"), ("host", "localhost")]);
    assert_eq!(reason(&twice), Forbidden::Host(Reason::Repeated));
    assert_eq!(public().check(&twice), Err(Forbidden::Host(Reason::Repeated)));
    let mixed = head(&[("host", "localhost"), ("host", "evil.com")]);
    assert_eq!(reason(&mixed), Forbidden::Host(Reason::Repeated));

    // HTTP/1.1 requires it; other versions do not, and then nothing tells that the request is for this machine.
    assert_eq!(public().check(&head(&[])), Err(Forbidden::Host(Reason::Missing)));
    for version in [Version::HTTP_10, Version::HTTP_2] {
        let mut parts = head(&[]);
        parts.version = version;
        assert_eq!(reason(&parts), Forbidden::Host(Reason::Missing));
        assert_eq!(public().check(&parts), Ok(()));
        assert_eq!(public().allow_host("a.example").unwrap().check(&parts), Err(Forbidden::Host(Reason::Missing)));
    }
}

/// The target of the request, `Host`, and whether that is let in on loopback.
#[test]
fn the_target_of_the_request_is_the_host_and_no_other_may_be_named() {
    let contradictory = Err(Forbidden::Host(Reason::Contradictory));
    let malformed = Err(Forbidden::Host(Reason::Malformed));
    let refused = |host: &str| Err(Forbidden::Host(Reason::NotAllowed(host.into())));
    let table = [
        ("http://localhost/mcp", None, Ok(())),
        ("http://localhost:8000/mcp", Some("localhost:8000"), Ok(())),
        ("http://LOCALHOST:80/mcp", Some("localhost"), Ok(())),
        ("https://localhost/mcp", Some("localhost:443"), Ok(())),
        ("http://[::1]:80/mcp", Some("[0::1]"), Ok(())),
        ("http://localhost/mcp", Some("localhost:8000"), contradictory.clone()),
        ("http://localhost/mcp", Some("evil.com"), contradictory.clone()),
        ("http://evil.com/mcp", Some("localhost"), contradictory.clone()),
        ("http://127.0.0.1/mcp", Some("localhost"), contradictory),
        ("http://evil.com/mcp", None, refused("evil.com")),
        ("http://evil.com/mcp", Some("evil.com"), refused("evil.com")),
        ("http://localhost@evil.com/mcp", None, malformed.clone()),
        ("http://evil.com@localhost/mcp", Some("localhost"), malformed.clone()),
        ("http://localhost./mcp", Some("localhost"), malformed),
        // CONNECT and HTTP/2 without scheme have the authority alone.
        ("localhost:8000", Some("localhost:8000"), Ok(())),
        ("evil.com:8000", None, refused("evil.com:8000")),
    ];
    for (target, host, expected) in table {
        let mut request = Request::builder().method(Method::POST).uri(target).version(Version::HTTP_2);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        assert_eq!(local().check(&parts), expected, "{target} {host:?}");
    }
}

/// "Servers MUST validate the `Origin` header on all incoming connections": the origin, and the status it gets of a server on loopback.
#[test]
fn pain_11_a_local_server_is_used_by_pages_of_this_machine_only() {
    let table: &[(&str, bool)] = &[
        ("http://localhost", true),
        ("http://localhost:5173", true),
        ("https://localhost", true),
        ("https://127.0.0.1:8443", true),
        ("http://[::1]:3000", true),
        ("HTTP://LOCALHOST", true),
        ("null", false),
        ("NULL", false),
        ("", false),
        ("localhost", false),
        ("//localhost", false),
        ("://localhost", false),
        ("http:/localhost", false),
        ("http:localhost", false),
        ("http://", false),
        ("http://localhost/", false),
        ("http://localhost/x", false),
        ("http://localhost?x", false),
        ("http://localhost#x", false),
        ("http://localhost\\x", false),
        ("http://user@localhost", false),
        ("http://user:pass@localhost", false),
        ("http://localhost@evil.com", false),
        ("http://evil.com", false),
        ("http://evil.com:8000", false),
        ("http://localhost.evil.com", false),
        ("http://localhost.", false),
        ("http://127.0.0.1.evil.com", false),
        ("http://2130706433", false),
        ("http://0.0.0.0", false),
        ("http://localhost http://evil.com", false),
        ("http://evil.com http://localhost", false),
        ("http://localhost, http://localhost", false),
        ("http://localhost:0x50", false),
        ("file://", false),
        ("file://localhost", false),
        ("ftp://localhost", false),
        ("ws://localhost", false),
        ("chrome-extension://localhost", false),
        ("1http://localhost", false),
        (" http://localhost ", true),
        ("http ://localhost", false),
        ("http://ⓛocalhost", false),
    ];
    for (origin, fine) in table {
        let parts = head(&[("host", "localhost:8000"), ("origin", origin)]);
        let verdict = local().check(&parts);
        assert_eq!(verdict.is_ok(), *fine, "{origin}: {verdict:?}");
        if let Err(forbidden) = verdict {
            assert_eq!(forbidden.status(), 403, "{origin}");
        }
        assert_eq!(
            local().allow_any_origin().check(&parts).is_ok(),
            super::Origin::read(origin.trim()).is_some(),
            "{origin}"
        );
    }
    // Every method is judged.
    for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD] {
        let mut parts = head(&[("host", "localhost"), ("origin", "http://evil.com")]);
        parts.method = method.clone();
        assert!(local().check(&parts).is_err(), "{method}");
        assert!(public().check(&parts).is_err(), "{method}");
    }
    let twice = head(&[("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")]);
    assert_eq!(local().check(&twice), Err(Forbidden::Origin(Reason::Repeated)));
}

#[test]
fn a_public_server_is_used_by_the_pages_that_are_named() {
    let security =
        public().allow_origin("https://App.Example.com").unwrap().allow_origin("vscode-webview://1ab").unwrap();
    let allowed = |origin: &str| security.check(&head(&[("host", "mcp.example.com"), ("origin", origin)])).is_ok();
    for origin in ["https://app.example.com", "https://app.example.com:443", "vscode-webview://1ab"] {
        assert!(allowed(origin), "{origin}");
    }
    for origin in [
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://example.com",
        "https://x.app.example.com",
        "https://app.example.com.evil.com",
        "http://mcp.example.com",
        "http://localhost",
        "null",
        "vscode-webview://2ab",
    ] {
        assert!(!allowed(origin), "{origin}");
    }
    // Without one it is no page.
    assert_eq!(security.check(&of_host("mcp.example.com")), Ok(()));
    let nowhere = public().allow_origin("null").unwrap();
    assert_eq!(nowhere.check(&head(&[("host", "x"), ("origin", "null")])), Ok(()));
}

#[test]
fn hosts_that_are_named() {
    let table: &[(&[&str], &str, bool)] = &[
        (&["mcp.example.com"], "mcp.example.com", true),
        (&["mcp.example.com"], "MCP.example.com:8443", true),
        (&["mcp.example.com"], "example.com", false),
        (&["mcp.example.com"], "a.mcp.example.com", false),
        (&["mcp.example.com:8443"], "mcp.example.com:8443", true),
        (&["mcp.example.com:8443"], "mcp.example.com", false),
        (&["mcp.example.com:8443"], "mcp.example.com:8444", false),
        (&["mcp.example.com:443"], "mcp.example.com", true),
        (&["mcp.example.com:80"], "mcp.example.com", true),
        (&["a.example", "192.0.2.1", "[2001:db8::1]"], "[2001:db8:0::1]:8000", true),
        (&["a.example", "192.0.2.1", "[2001:db8::1]"], "[::ffff:192.0.2.1]", true),
        (&["a.example", "192.0.2.1", "[2001:db8::1]"], "localhost", false),
    ];
    for (named, host, fine) in table {
        let with = |security: Security| named.iter().try_fold(security, |it, host| it.allow_host(host)).unwrap();
        assert_eq!(with(public()).check(&of_host(host)).is_ok(), *fine, "{named:?} {host}");
        // On loopback the names of this machine are fine as well.
        assert_eq!(with(local()).check(&of_host(host)).is_ok(), *fine || *host == "localhost", "{named:?} {host}");
        assert_eq!(with(local()).allow_any_host().check(&of_host(host)), Ok(()));
    }
}

#[test]
fn what_is_no_address_cannot_be_named() {
    for wrong in ["", "*", "*.example.com", "http://a", "a/", "a b", "a@b", "[::1", "a:99999", "bücher.example", "a."]
    {
        let fault = local().allow_host(wrong).unwrap_err();
        assert!(fault.to_string().contains("is not a host"), "{fault}");
    }
    for wrong in ["", "*", "https://*", "example.com", "https://a/", "https://a b", "https://u@a", "https://", "*://a"]
    {
        let fault = local().allow_origin(wrong).unwrap_err();
        assert!(fault.to_string().contains("is not an origin"), "{fault}");
    }
}

/// Who is refused is told why, with no more than a little of what was said.
#[test]
fn what_is_told_of_a_refusal() {
    let long = Vec::from_iter((0..50).map(|_| "evil")).join(".");
    let forbidden = local().check(&of_host(&long)).unwrap_err();
    assert!(forbidden.to_string().len() < 200, "{forbidden}");
    let table = [
        (
            local().check(&of_host("evil.com:1")),
            "Host: evil.com:1 is not allowed here; the server allows it with `allow_host`",
        ),
        (local().check(&of_host("a@b")), "Host: the header is malformed"),
        (local().check(&head(&[])), "Host: the header is missing"),
        (
            local().check(&head(&[("host", "localhost"), ("origin", "HTTPS://Evil.com:443")])),
            "Origin: https://evil.com is not allowed here; the server allows it with `allow_origin`",
        ),
    ];
    for (verdict, told) in table {
        assert_eq!(verdict.unwrap_err().to_string(), told);
    }
}
