//! Which era a server is of, and that every client connects or fails in bounded time
//! (specification 2026-07-28: basic/transports/streamable-http, Backwards Compatibility).

use std::format;
use std::string::String;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CloseReason, Event, Lost};
use crate::http::client::Failure;
use crate::model::{Era, ProtocolVersion};

use ProtocolVersion::V2025_11_25;

/// What a server does with the first POST.
#[derive(Clone, Debug)]
enum Reply {
    Json(u16, Value),
    /// A status with a content type and a body.
    Text(u16, &'static str, &'static str),
    Error(u16, i64),
    NotSent,
    Broken,
    /// Nothing, ever.
    Silence,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Modern,
    Legacy,
    Old,
    /// With what the reason says.
    Closed(String),
}

fn reply(world: &mut World, sent: &Sent, reply: &Reply) {
    match reply {
        Reply::Json(status, result) => world.respond_json(sent.id, *status, &answer(sent, result)),
        Reply::Text(status, kind, body) => world.respond(sent.id, *status, &[("content-type", kind)], body),
        Reply::Error(status, code) => world.respond_json(sent.id, *status, &error(sent, *code)),
        Reply::NotSent => world.fail(sent.id, &Failure::NotSent("connection refused".into())),
        Reply::Broken => world.breaks(sent.id),
        Reply::Silence => {}
    }
}

/// Plays a server that answers `server/discover` and `initialize` so, and GET not at all; in no more than a minute of virtual time.
fn probed(discover: &Reply, initialize: &Reply) -> Verdict {
    let mut world = World::of(&ProtocolVersion::ALL);
    let begun = world.now;
    loop {
        assert!(world.now.saturating_since(begun) <= secs(60), "{discover:?} {initialize:?}: it takes too long");
        if let Some(event) = world.events().pop() {
            match event {
                Event::Ready { era: Era::Modern, .. } => return Verdict::Modern,
                Event::Ready { era: Era::Legacy, .. } => return Verdict::Legacy,
                Event::Closed { reason, .. } => return Verdict::Closed(format!("{reason}")),
                other => panic!("{other:?}"),
            }
        }
        let Some(sent) = world.try_next() else {
            world.wait_next().expect("somebody waits");
            continue;
        };
        match sent.rpc() {
            "server/discover" => reply(&mut world, &sent, discover),
            "initialize" => {
                assert_eq!(sent.header("mcp-protocol-version"), None, "nothing of the modern era");
                assert_eq!(sent.header("mcp-method"), None);
                assert_eq!(sent.body["params"].get("_meta"), None);
                reply(&mut world, &sent, initialize);
            }
            "" => return Verdict::Old,
            other => panic!("{other}"),
        }
    }
}

impl World {
    fn try_next(&mut self) -> Option<Sent> {
        self.turn();
        self.take_sent()
    }
}

/// Every row of the table, for the answer to the first POST of a client that speaks both eras.
#[test]
fn the_table_of_answers_to_the_probe() {
    let ok = Reply::Json(200, initialized(V2025_11_25));
    let html = "<!doctype html><title>Welcome</title>";
    let table: Vec<(Reply, Verdict)> = [
        // 2xx with a valid modern result.
        (Reply::Json(200, discovered()), Verdict::Modern),
        // 4xx with an empty or another body.
        (Reply::Text(400, "", ""), Verdict::Legacy),
        (Reply::Text(400, "text/plain", "Bad Request: no valid session ID provided"), Verdict::Legacy),
        (Reply::Text(404, "text/html", html), Verdict::Legacy),
        (Reply::Text(405, "", ""), Verdict::Legacy),
        (Reply::Text(406, "", ""), Verdict::Legacy),
        (Reply::Text(415, "", ""), Verdict::Legacy),
        (Reply::Text(422, "application/json", "{\"detail\":[]}"), Verdict::Legacy),
        (Reply::Error(400, -32000), Verdict::Legacy),
        (Reply::Error(400, -32600), Verdict::Legacy),
        (Reply::Error(400, -32601), Verdict::Legacy),
        (Reply::Error(400, -32602), Verdict::Legacy),
        (
            Reply::Text(400, "application/json", r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"x"}}"#),
            Verdict::Legacy,
        ),
        (
            Reply::Text(
                400,
                "application/json",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"x"}}"#,
            ),
            Verdict::Legacy,
        ),
        // 404 with −32601: every modern server knows `server/discover`.
        (Reply::Error(404, -32601), Verdict::Legacy),
        // 200 with an error that is not modern.
        (Reply::Error(200, -32601), Verdict::Legacy),
        (Reply::Error(200, -32602), Verdict::Legacy),
        (Reply::Error(200, -32001), Verdict::Legacy),
        // 200 with what is no answer.
        (Reply::Text(200, "text/html", html), Verdict::Legacy),
        (Reply::Text(202, "", ""), Verdict::Legacy),
        (Reply::Json(200, json!({})), Verdict::Legacy),
        // Nothing in time.
        (Reply::Silence, Verdict::Legacy),
        // No verdict.
        (Reply::Text(401, "", ""), Verdict::Closed("status 401".into())),
        (Reply::Text(403, "", ""), Verdict::Closed("status 403".into())),
        (Reply::Error(403, -32600), Verdict::Closed("status 403".into())),
        (Reply::Text(429, "", ""), Verdict::Closed("status 429".into())),
        (Reply::Text(500, "text/html", html), Verdict::Closed("status 500".into())),
        (Reply::Error(500, -32603), Verdict::Closed("status 500".into())),
        (Reply::Text(502, "", ""), Verdict::Closed("status 502".into())),
        (Reply::Text(503, "", ""), Verdict::Closed("status 503".into())),
        (Reply::NotSent, Verdict::Closed("connection refused".into())),
        (Reply::Broken, Verdict::Closed("reset".into())),
        // Only the modern era has these: no fallback.
        (Reply::Error(400, -32020), Verdict::Closed("-32020".into())),
        (Reply::Error(400, -32021), Verdict::Closed("-32021".into())),
        (Reply::Error(400, -32022), Verdict::Closed("-32022".into())),
    ]
    .into();
    for (discover, expected) in table {
        let verdict = probed(&discover, &ok);
        match (&verdict, &expected) {
            (Verdict::Closed(reason), Verdict::Closed(part)) => {
                assert!(reason.contains(&**part), "{discover:?}: {reason}");
            }
            _ => assert_eq!(verdict, expected, "{discover:?}"),
        }
    }
}

/// "on 400, 404 or 405": then the transport of 2024-11-05 is tried, and only then.
#[test]
fn the_table_of_answers_to_initialize() {
    let old = Reply::Text(404, "", "");
    for (initialize, expected) in [
        (Reply::Text(400, "", ""), Verdict::Old),
        (Reply::Text(404, "text/html", "<p>nothing</p>"), Verdict::Old),
        (Reply::Text(405, "", ""), Verdict::Old),
        (Reply::Error(400, -32600), Verdict::Old),
        (Reply::Error(400, -32021), Verdict::Closed("-32021".into())),
        (Reply::Error(400, -32020), Verdict::Closed("-32020".into())),
        (Reply::Text(401, "", ""), Verdict::Closed("status 401".into())),
        (Reply::Text(403, "", ""), Verdict::Closed("status 403".into())),
        (Reply::Text(406, "", ""), Verdict::Closed("status 406".into())),
        (Reply::Text(410, "", ""), Verdict::Closed("status 410".into())),
        (Reply::Text(500, "", ""), Verdict::Closed("status 500".into())),
        (Reply::Text(200, "text/html", "<p>hello</p>"), Verdict::Closed("text/html".into())),
        (Reply::Text(202, "", ""), Verdict::Closed("status 202".into())),
        (Reply::Error(200, -32603), Verdict::Closed("-32603".into())),
        (Reply::Broken, Verdict::Closed("reset".into())),
        (Reply::NotSent, Verdict::Closed("refused".into())),
        (Reply::Silence, Verdict::Closed("30s".into())),
    ] {
        let verdict = probed(&old, &initialize);
        match (&verdict, &expected) {
            (Verdict::Closed(reason), Verdict::Closed(part)) => {
                assert!(reason.contains(&**part), "{initialize:?}: {reason}");
            }
            _ => assert_eq!(verdict, expected, "{initialize:?}"),
        }
    }
}

/// The probe was too slow, and `initialize` is what a modern server does not know: the answer that came late counts.
#[test]
fn a_slow_modern_server_is_modern_all_the_same() {
    for initialize in [Reply::Error(404, -32601), Reply::Error(400, -32022), Reply::Text(500, "", "")] {
        let mut world = World::of(&ProtocolVersion::ALL);
        let probe = world.next_post("server/discover");
        world.wait(secs(6));
        let asked = world.next_post("initialize");
        world.answer(&probe, &discovered());
        assert!(world.events().is_empty(), "initialize decides");
        reply(&mut world, &asked, &initialize);
        if let Some(get) = world.try_next() {
            world.respond(get.id, 405, &[], "");
        }
        assert!(matches!(world.events()[..], [Event::Ready { era: Era::Modern, .. }]), "{initialize:?}");
    }
}

/// A modern server that speaks another revision says which; the probe is sent once more in one of them.
#[test]
fn the_revisions_that_an_error_lists_are_taken() {
    let mut world = World::of(&ProtocolVersion::ALL);
    let probe = world.next_post("server/discover");
    let data = json!({"supported": ["2026-07-28"], "requested": "x"});
    let error =
        json!({"jsonrpc": "2.0", "id": probe.body["id"], "error": {"code": -32022, "message": "no", "data": data}});
    world.respond_json(probe.id, 400, &error);
    let again = world.next_post("server/discover");
    world.answer(&again, &discovered());
    assert!(world.is_ready());
}

/// A client that was told which era to speak asks nothing else.
#[test]
fn one_era_needs_no_probe() {
    let mut world = World::of(&ProtocolVersion::LEGACY);
    let asked = world.next_post("initialize");
    assert_eq!(asked.header("mcp-protocol-version"), None);
    let mut world = World::of(&[ProtocolVersion::V2026_07_28]);
    let asked = world.next_post("server/discover");
    assert_eq!(asked.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(asked.header("mcp-method"), Some("server/discover"));
    world.respond(asked.id, 404, &[], "");
    let Some(CloseReason::HandshakeLost(Lost::Refused { status: 404, .. })) = world.closed_by() else {
        panic!("there is nothing to fall back to")
    };
}

/// Once the era is known nobody waits for the answer to the probe any more.
#[test]
fn the_probe_is_aborted_when_its_answer_is_of_no_use() {
    let mut world = World::of(&ProtocolVersion::ALL);
    let probe = world.next_post("server/discover");
    world.wait(secs(6));
    world.initialize(V2025_11_25, None);
    assert_eq!(world.aborted, [probe.id]);
    assert!(world.is_ready());
}
