//! Credentials, redirections and servers that are busy: what is sent once more, and to whom.

use std::format;
use std::string::String;
use std::time::Duration;

use http::HeaderValue;
use serde_json::json;

use super::harness::*;
use crate::connection::{CloseReason, Lost};
use crate::http::client::Unauthorized;
use crate::model::ProtocolVersion;

use ProtocolVersion::V2025_11_25;

const CHALLENGE: (&str, &str) = ("www-authenticate", "Bearer resource_metadata=\"http://server.test:8080/x\"");

fn asking() -> World {
    World::modern_with(|config| config.unauthorized = Unauthorized::Asks)
}

fn bearer(token: &str) -> Option<HeaderValue> {
    Some(HeaderValue::from_str(&format!("Bearer {token}")).unwrap())
}

impl World {
    fn credentials(&mut self, credentials: Option<HeaderValue>) {
        self.http.handle_credentials(self.now, credentials);
        self.turn();
    }
}

/// However many requests are refused at once, somebody is asked once, and everything else waits for that.
#[test]
fn one_is_asked_for_credentials_and_all_wait_for_it() {
    let mut world = asking();
    let calls = [0, 1, 2].map(|_| world.ask("tools/list", &json!({})));
    let posts = [0, 1, 2].map(|_| world.next_post("tools/list"));
    world.respond(posts[0].id, 401, &[CHALLENGE], "who are you?");
    assert_eq!(world.challenges.len(), 1);
    assert_eq!((world.challenges[0].status.as_u16(), &*world.challenges[0].challenges[0]), (401, CHALLENGE.1));
    world.respond(posts[1].id, 401, &[CHALLENGE], "");
    let late = world.ask("prompts/list", &json!({}));
    world.sent_nothing();
    world.credentials(bearer("one"));
    for _ in 0..3 {
        let sent = world.next();
        assert_eq!(sent.header("authorization"), Some("Bearer one"));
        world.answer(&sent, &done());
    }
    // This one was sent before there were any, so nobody is asked once more.
    world.respond(posts[2].id, 401, &[CHALLENGE], "");
    assert_eq!(world.challenges.len(), 1);
    let sent = world.next_post("tools/list");
    world.answer(&sent, &done());
    let ends = world.ends();
    assert!(ends.len() == 4 && ends.contains_key(&late) && calls.iter().all(|call| ends[call].is_ok()), "{ends:?}");
}

#[test]
fn so_often_and_no_more() {
    let mut world = asking();
    let call = world.ask("tools/list", &json!({}));
    for token in ["one", "two", "three"] {
        let post = world.next_post("tools/list");
        world.respond(post.id, 403, &[("www-authenticate", "Bearer error=\"insufficient_scope\"")], "");
        world.credentials(bearer(token));
    }
    let post = world.next_post("tools/list");
    world.respond(post.id, 403, &[CHALLENGE], "");
    assert!(matches!(world.lost(call), Lost::Refused { status: 403, .. }));
    assert_eq!(world.challenges.len(), 3);
}

#[test]
fn without_credentials_the_request_fails_with_what_the_server_said() {
    for gives_up in [true, false] {
        let mut world = asking();
        // Its own deadlines are shorter than a person may take.
        let call = world.ask("tools/list", &json!({}));
        let post = world.next_post("tools/list");
        world.respond(post.id, 401, &[CHALLENGE], "");
        if gives_up {
            world.credentials(None);
        } else {
            world.wait(secs(600));
        }
        let Lost::Refused { status: 401, detail, .. } = world.lost(call) else { panic!("401") };
        assert!(detail.contains("resource_metadata"), "{detail}");
        world.ask("tools/list", &json!({}));
        world.next_post("tools/list");
    }
}

/// Whoever has no way to ask fails at once; during the handshake that ends it, with no verdict on the era.
#[test]
fn whoever_cannot_ask_fails_at_once() {
    let mut world = World::of(&ProtocolVersion::ALL);
    let probe = world.next_post("server/discover");
    world.respond(probe.id, 401, &[CHALLENGE], "");
    assert!(matches!(world.closed_by(), Some(CloseReason::HandshakeLost(Lost::Refused { status: 401, .. }))));
    assert!(world.challenges.is_empty());

    let mut world = World::with(&ProtocolVersion::ALL, |config| config.unauthorized = Unauthorized::Asks);
    let probe = world.next_post("server/discover");
    world.respond(probe.id, 401, &[CHALLENGE], "");
    world.credentials(bearer("t"));
    let probe = world.next_post("server/discover");
    assert_eq!(probe.header("authorization"), Some("Bearer t"));
    world.answer(&probe, &discovered());
    assert!(world.is_ready());
}

/// Within the origin a redirection is followed, with method, body and credentials.
#[test]
fn redirections_within_the_origin_are_followed() {
    for status in [307, 308] {
        let mut world = asking();
        world.credentials(bearer("secret"));
        let call = world.ask("tools/list", &json!({}));
        let post = world.next_post("tools/list");
        world.respond(post.id, status, &[("location", "/elsewhere/?x")], "");
        let again = world.next_post("tools/list");
        assert_eq!(again.request.uri(), "http://server.test:8080/elsewhere/?x");
        assert_eq!((again.body.clone(), again.header("authorization")), (post.body.clone(), Some("Bearer secret")));
        world.answer(&again, &done());
        assert_eq!(world.end_of(call), Ok(done()));
    }
    let mut world = World::of(&ProtocolVersion::LEGACY);
    world.initialize(V2025_11_25, None);
    let get = world.next_get();
    world.respond(get.id, 302, &[("location", "stream")], "");
    assert_eq!(world.next_get().request.uri().path(), "/stream");
}

/// Nothing goes anywhere else, whatever a server says: the harness checks the origin of every request.
#[test]
fn no_secret_leaves_the_origin() {
    for (status, location) in [
        (307, "http://evil.test/mcp"),
        (308, "https://server.test:8080/mcp"),
        (307, "http://server.test/mcp"),
        (307, "//evil.test/mcp"),
        (307, "http://server.test:8080@evil.test/mcp"),
        (307, "\\\\evil.test"),
        (307, ""),
        (301, "/mcp2"),
        (302, "/mcp2"),
        (303, "/mcp2"),
    ] {
        let mut world = asking();
        world.credentials(bearer("secret"));
        let call = world.ask("tools/list", &json!({}));
        let mut post = world.next_post("tools/list");
        world.respond(post.id, status, &[("location", location)], "");
        if location.is_empty() {
            // To itself, for ever.
            for _ in 0..5 {
                post = world.next_post("tools/list");
                world.respond(post.id, status, &[("location", location)], "");
            }
        }
        let Lost::Refused { detail, .. } = world.lost(call) else { panic!("{location}") };
        assert!(detail.contains("leads to"), "{detail}");
        world.sent_nothing();
    }
}

#[test]
fn secrets_are_not_shown() {
    let mut world =
        World::session_with(V2025_11_25, Some("session-secret"), |config| config.unauthorized = Unauthorized::Asks);
    world.credentials(bearer("token-secret"));
    world.ask("tools/list", &json!({}));
    let post = world.next_post("tools/list");
    assert_eq!(post.header("authorization"), Some("Bearer token-secret"));
    let shown: String = format!("{:?}{:?}", world.http, post.request);
    assert!(!shown.contains("token-secret") && !shown.contains("session-secret"), "{shown}");
}

/// A server that is busy says when to come back, in seconds or by a date; that is kept to, so often and so long.
#[test]
fn busy_servers_are_asked_again_when_they_say() {
    for status in [429, 503] {
        let mut world = World::modern();
        let call = world.ask("tools/list", &json!({}));
        for _ in 0..3 {
            let post = world.next_post("tools/list");
            world.respond(post.id, status, &[("retry-after", "7")], "");
            world.wait(Duration::from_millis(6999));
            world.sent_nothing();
            world.wait(Duration::from_millis(1));
        }
        let post = world.next_post("tools/list");
        world.respond(post.id, status, &[("retry-after", "7")], "");
        assert!(matches!(world.lost(call), Lost::Refused { .. }));
    }
    for wait in ["61", "99999999999999999999", "soon", "-1"] {
        let mut world = World::modern();
        let call = world.ask("tools/list", &json!({}));
        let post = world.next_post("tools/list");
        world.respond(post.id, 429, &[("retry-after", wait)], "");
        assert!(matches!(world.lost(call), Lost::Refused { status: 429, .. }), "{wait}");
    }
}
