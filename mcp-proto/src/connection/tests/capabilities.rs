//! What may be asked of whom (specification: basic/lifecycle, Operation), and log levels (server/utilities/logging).

use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CallOptions, Deadlines, Event, Scope, Why};
use crate::jsonrpc::Body;
use crate::model::{
    Capability, ClientCapabilities, LogParams, LoggingLevel, METHODS, ProtocolVersion, ResourcesCapability, Sender,
    ServerCapabilities, ToolsCapability,
};

use ProtocolVersion::{V2024_11_05, V2025_03_26, V2025_06_18};

/// A log message of this severity.
pub(super) fn log(level: &str) -> Body {
    Body::log(&LogParams::new(level.parse::<LoggingLevel>().unwrap(), json!("said"))).unwrap()
}

const REQUESTS: [&str; 2] = ["ping", "initialize"];

/// basic/lifecycle, Operation: "Both parties MUST … only use capabilities that were successfully negotiated." Everything
/// that a method table lists is refused to a peer that was offered nothing, in both directions and in every revision.
#[test]
fn nothing_is_served_that_was_not_offered() {
    for version in ProtocolVersion::LEGACY {
        let mut server = Node::server_in(version, |config| config.capabilities = ServerCapabilities::default());
        let mut client = Node::client_in(version, |config| config.capabilities = ClientCapabilities::default());
        for rule in METHODS {
            if REQUESTS.contains(&rule.method) || rule.method.starts_with("notifications/") {
                continue;
            }
            let in_revision = (rule.since..=rule.until).contains(&version);
            for (node, wrong) in [(&mut server, Sender::Server), (&mut client, Sender::Client)] {
                let served = in_revision && rule.sender != wrong && rule.needs == Capability::None;
                let known = METHODS.iter().any(|other| {
                    other.method == rule.method
                        && other.needs == Capability::None
                        && other.sender != wrong
                        && (other.since..=other.until).contains(&version)
                });
                node.tell(&json!({"jsonrpc": "2.0", "id": rule.method, "method": rule.method, "params": {}}));
                if served || known {
                    let (id, ..) = node.take_request();
                    node.respond(id, &json!({})).unwrap();
                    assert!(node.frames()[0]["result"].is_object(), "{} {version}", rule.method);
                } else {
                    assert!(node.events().is_empty(), "{} {version}", rule.method);
                    assert_eq!(node.frames()[0]["error"]["code"], -32601, "{} {version}", rule.method);
                }
            }
        }
    }
}

/// A capability object says yes by its presence, however empty it is; `subscribe` is a choice within one.
#[test]
fn an_empty_capability_is_one_and_subscribing_is_another() {
    let mut server = Node::server_in(V2025_06_18, |config| {
        config.capabilities = ServerCapabilities::default()
            .with_tools(ToolsCapability::default())
            .with_resources(ResourcesCapability::default());
    });
    for (method, served) in
        [("tools/list", true), ("resources/read", true), ("resources/subscribe", false), ("prompts/get", false)]
    {
        server.tell(&json!({"jsonrpc": "2.0", "id": method, "method": method, "params": {"uri": "a:b"}}));
        assert_eq!(kinds(&server.events()).contains(&"request"), served, "{method}");
    }
}

/// basic/lifecycle, Operation: what the peer did not declare is not asked of it; its user is told why.
#[test]
fn nothing_is_asked_that_the_peer_did_not_offer() {
    let mut client = Node::client(client_config());
    client.frames();
    client.tell(&json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}, "resources": {"subscribe": false}}, "serverInfo": {"name": "s", "version": "1"}}}));
    client.events();
    client.frames();
    for (method, why) in [
        ("prompts/list", Some(Why::PeerLacks)),
        ("resources/subscribe", Some(Why::PeerLacks)),
        ("logging/setLevel", Some(Why::PeerLacks)),
        ("completion/complete", Some(Why::PeerLacks)),
        ("tasks/list", Some(Why::PeerLacks)),
        ("sampling/createMessage", Some(Why::NotInThisRevision)),
        ("server/discover", Some(Why::NotInThisRevision)),
        ("tools/list", None),
        ("resources/read", None),
        ("vendor/thing", None),
        ("ping", None),
    ] {
        let sent = client.request(&body(method, &json!({})), &CallOptions::default());
        assert_eq!(sent.err().map(|error| error.why), why, "{method}");
    }
    assert_eq!(client.methods(), ["tools/list", "resources/read", "vendor/thing", "ping"]);
}

/// The same from a server to its client: MUST NOT ask for what was not declared.
#[test]
fn a_server_asks_only_what_its_client_offers() {
    let mut server = Node::server(server_config());
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
        "capabilities": {"roots": {}}, "clientInfo": {"name": "c", "version": "1"}}}));
    server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    server.events();
    for (method, why) in [
        ("sampling/createMessage", Some(Why::PeerLacks)),
        ("elicitation/create", Some(Why::PeerLacks)),
        ("tools/list", Some(Why::NotInThisRevision)),
        ("roots/list", None),
    ] {
        let sent = server.request(&body(method, &json!({})), &CallOptions::default());
        assert_eq!(sent.err().map(|error| error.why), why, "{method}");
    }
}

/// Elicitation came with 2025-06-18: earlier it is neither asked nor served, whatever was declared.
#[test]
fn a_method_that_the_revision_does_not_have_does_not_exist() {
    for version in [V2024_11_05, V2025_03_26] {
        let mut server = Node::server_in(version, |_| {});
        let sent = server.request(&body("elicitation/create", &json!({})), &CallOptions::default());
        assert_eq!(sent.unwrap_err().why, Why::NotInThisRevision);
        let mut client = Node::client_in(version, |_| {});
        client.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}}));
        assert_eq!(client.frames()[0]["error"]["code"], -32601);
    }
    // Completions became a capability with 2025-03-26; before that they could be asked for without one.
    for (version, code) in [(V2024_11_05, None), (V2025_03_26, Some(-32601))] {
        let mut server = Node::server_in(version, |config| config.capabilities = ServerCapabilities::default());
        server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "completion/complete", "params": {}}));
        assert_eq!(server.frames().first().and_then(|frame| frame["error"]["code"].as_i64()), code, "{version}");
    }
}

fn logged(frames: &[Value]) -> Vec<&str> {
    let logs = frames.iter().filter(|frame| frame["method"] == "notifications/message");
    logs.map(|frame| frame["params"]["level"].as_str().unwrap()).collect()
}

/// server/utilities/logging: the server sends what is at or above the level that the client has set, in the order of
/// RFC 5424; before that, what the server chooses.
#[test]
fn only_logs_at_or_above_the_level_are_sent() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    let all: Vec<_> = LoggingLevel::ALL.iter().map(|level| level.as_str()).collect();
    for (at, level) in [(1, None), (0, Some("debug")), (4, Some("error")), (7, Some("emergency"))] {
        if let Some(level) = level {
            server.tell(&json!({"jsonrpc": "2.0", "id": 5, "method": "logging/setLevel", "params": {"level": level}}));
            assert_eq!(server.frames(), [json!({"jsonrpc": "2.0", "id": 5, "result": {}})]);
        }
        for level in &all {
            server.notify(&log(level), Scope::Connection).unwrap();
        }
        let frames = server.frames();
        assert_eq!(logged(&frames), all[at..], "{level:?}");
    }
    assert_eq!(server.conn.stats().dropped, 1 + 4 + 7);
    assert!(server.events().is_empty(), "the application has nothing to do with it");
    server.tell(&call(&json!(1)));
    assert_eq!(server.take_request().2.log_level, Some(LoggingLevel::Emergency));
}

/// server/utilities/logging, Error Handling: an invalid level is answered with -32602, and the old one holds.
#[test]
fn an_invalid_level_is_refused() {
    let mut server = Node::server_in(V2025_06_18, |config| config.log_level = LoggingLevel::Warning);
    for params in [json!({"level": "loud"}), json!({"level": 3}), json!({}), json!({"level": "ERROR"})] {
        server.tell(&json!({"jsonrpc": "2.0", "id": "l", "method": "logging/setLevel", "params": params}));
        let frames = server.frames();
        assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!("l"), &json!(-32602)));
    }
    server.notify(&log("notice"), Scope::Connection).unwrap();
    server.notify(&log("warning"), Scope::Connection).unwrap();
    assert_eq!(logged(&server.frames()), ["warning"]);
}

/// server/utilities/logging: "Servers that emit log message notifications MUST declare the logging capability".
#[test]
fn a_server_without_the_capability_does_not_log() {
    let mut server = Node::server_in(V2025_06_18, |config| config.capabilities.logging = None);
    assert_eq!(server.notify(&log("error"), Scope::Connection).unwrap_err().why, Why::WeLack);
    let mut client = Node::client_in(V2025_06_18, |_| {});
    assert_eq!(client.notify(&log("error"), Scope::Connection).unwrap_err().why, Why::NotInThisRevision);
}

/// Whatever a peer notifies is handed on; it never needs an answer.
#[test]
fn notifications_are_handed_on_in_order() {
    let mut pair = Pair::new(client_config(), server_config()).ready();
    for number in 0..10 {
        let params = json!({"uri": "a:b", "n": number});
        pair.server.notify(&body("notifications/resources/updated", &params), Scope::Connection).unwrap();
    }
    let mut numbers = Vec::new();
    pair.run(
        |_, event| {
            let Event::Notification { message, related: None } = event else { panic!("{event:?}") };
            numbers.push(message.params().decode::<Value>().unwrap()["n"].as_u64().unwrap());
        },
        |_, event| panic!("{event:?}"),
    );
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

/// A call without a deadline in its stream form stays open once it has shown life.
#[test]
fn the_defaults_of_deadlines_are_the_documented_ones() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(Deadlines::default(), Deadlines::Call { idle: minutes(1), cap: minutes(10) });
    assert_eq!(Deadlines::PERSON, Deadlines::Call { idle: minutes(60), cap: minutes(60) });
}

/// "Servers MUST NOT send … a mode that the client has not declared", nor tools to a client without `sampling.tools`: also where
/// the question is a request of its own.
#[test]
fn a_question_needs_its_part_of_the_capability() {
    let by_url = json!({"mode": "url", "message": "m", "url": "https://x.example", "elicitationId": "e"});
    let form = json!({"message": "m", "requestedSchema": {"type": "object", "properties": {}}});
    let plain = json!({"messages": [], "maxTokens": 1});
    let with_tools = json!({"messages": [], "maxTokens": 1, "tools": []});
    for (method, params, capabilities, may) in [
        ("elicitation/create", &by_url, json!({"elicitation": {}}), false),
        ("elicitation/create", &by_url, json!({"elicitation": {"url": {}}}), true),
        ("elicitation/create", &form, json!({"elicitation": {"url": {}}}), false),
        ("elicitation/create", &form, json!({"elicitation": {}}), true),
        ("sampling/createMessage", &with_tools, json!({"sampling": {}}), false),
        ("sampling/createMessage", &with_tools, json!({"sampling": {"tools": {}}}), true),
        ("sampling/createMessage", &plain, json!({"sampling": {}}), true),
    ] {
        let mut server = Node::server(server_config());
        server.tell(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "c", "version": "1"}}}));
        server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server.frames();
        server.events();
        let sent = server.request(&body(method, params), &CallOptions::default());
        assert_eq!(
            sent.map_err(|error| error.why).map(drop),
            if may { Ok(()) } else { Err(Why::PeerLacks) },
            "{method} {params}"
        );
    }
}
