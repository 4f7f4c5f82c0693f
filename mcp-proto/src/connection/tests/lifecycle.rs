//! The handshake of the legacy era (specification: basic/lifecycle).

use std::time::Duration;
use std::vec::Vec;

use serde_json::json;

use super::harness::*;
use crate::connection::{CallOptions, CloseReason, Event, PeerCapabilities, Rule, Why};
use crate::jsonrpc::{ErrorCode, ErrorObject};
use crate::model::{Era, ProtocolVersion};

use ProtocolVersion::{V2024_11_05, V2025_06_18, V2025_11_25, V2026_07_28};

fn subsets() -> Vec<Vec<ProtocolVersion>> {
    let pick = |bits: u32| move |(at, _): &(usize, ProtocolVersion)| bits >> at & 1 == 1;
    let all = || ProtocolVersion::LEGACY.into_iter().enumerate();
    (1..16).map(|bits| all().filter(pick(bits)).map(|(_, version)| version).collect()).collect()
}

/// basic/lifecycle, Version Negotiation: "If the server supports the requested protocol version, it MUST respond with the
/// same version. Otherwise, the server MUST respond with another protocol version it supports. This SHOULD be the latest
/// version supported by the server." "If the client does not support the version in the server's response, it SHOULD
/// disconnect."
#[test]
fn every_pair_of_version_sets_agrees_or_closes() {
    for client in subsets() {
        for server in subsets() {
            let (mut config, mut other) = (client_config(), server_config());
            config.versions.clone_from(&client);
            other.versions.clone_from(&server);
            let mut pair = Pair::new(config, other);
            let (mut ready, mut closed) = (Vec::new(), None);
            pair.run(
                |_, event| match event {
                    Event::Ready { version, era: Era::Legacy, .. } => ready.push(version),
                    Event::Closed { reason, .. } => closed = Some(reason),
                    _ => panic!("{event:?}"),
                },
                |_, _| {},
            );
            let (newest, offered) = (*client.last().unwrap(), *server.last().unwrap());
            let chosen = if server.contains(&newest) { newest } else { offered };
            if client.contains(&chosen) {
                assert_eq!((ready, closed), ([chosen].to_vec(), None), "{client:?} {server:?}");
                assert_eq!(pair.client.conn.version(), Some(chosen));
                assert_eq!(pair.server.conn.version(), Some(chosen));
            } else {
                assert!(ready.is_empty(), "{client:?} {server:?}");
                assert!(matches!(closed, Some(CloseReason::Incompatible(_))), "{closed:?}");
                assert!(pair.client.frames().is_empty(), "nothing is sent to a server of another revision");
            }
        }
    }
}

/// basic/lifecycle, Initialization: the client "MUST send an initialize request containing: protocol version supported,
/// client capabilities, client implementation information", and it is the first interaction.
#[test]
fn initialize_is_the_first_and_only_thing_that_a_client_sends() {
    let mut client = Node::client(client_config());
    let frames = client.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["method"], "initialize");
    assert_eq!(frames[0]["params"]["protocolVersion"], "2025-11-25");
    assert_eq!(frames[0]["params"]["clientInfo"], json!({"name": "client", "version": "1"}));
    assert_eq!(frames[0]["params"]["capabilities"], json!({"roots": {}, "sampling": {}, "elicitation": {}}));
    let refused = client.request(&body("tools/list", &json!({})), &CallOptions::default());
    assert_eq!(refused.unwrap_err().why, Why::NotReady);
    assert!(client.frames().is_empty());
}

/// basic/lifecycle: "After successful initialization, the client MUST send an initialized notification".
#[test]
fn initialized_follows_the_result_before_anything_else() {
    let mut client = Node::client(client_config());
    let id = client.frames()[0]["id"].clone();
    client.tell(
        &json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2025-11-25", "instructions": "be kind",
        "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "2"}}}),
    );
    client.ask("tools/list", &json!({}));
    assert_eq!(client.methods(), ["notifications/initialized", "tools/list"]);
    let peer = client.conn.peer().unwrap();
    assert_eq!((peer.info.name.as_str(), peer.instructions.as_deref()), ("s", Some("be kind")));
    assert!(matches!(&peer.capabilities, PeerCapabilities::Server(offered) if offered.tools.is_some()));
}

/// basic/lifecycle, Version Negotiation: a version that is unknown, and one that has no `initialize`, are not supported.
#[test]
fn a_client_closes_on_a_revision_that_it_cannot_speak() {
    for chosen in ["1.0", "2026-07-28", "2025-11-25 ", ""] {
        let mut config = client_config();
        config.versions = ProtocolVersion::LEGACY.to_vec();
        let mut client = Node::client(config);
        assert_eq!(client.frames()[0]["params"]["protocolVersion"], "2025-11-25", "the newest with a handshake");
        client.tell(&json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": chosen, "capabilities": {},
            "serverInfo": {"name": "s", "version": "2"}}}));
        assert!(matches!(client.closed_by(), Some(CloseReason::Incompatible(_))), "{chosen:?}");
        assert!(client.frames().is_empty());
        assert!(client.conn.is_drained());
    }
}

/// basic/lifecycle: the server answers a version that it does not know with its own, as a result and not as an error; and
/// never with one that has no `initialize`.
#[test]
fn a_server_answers_unknown_revisions_with_its_newest_legacy_one() {
    for asked in ["2026-07-28", "2099-01-01", "", "2024-11-05\u{0}"] {
        let mut config = server_config();
        config.versions = [V2024_11_05, V2025_06_18, V2026_07_28].to_vec();
        let mut server = Node::server(config);
        server.tell(&initialize(&json!(0), asked));
        let frames = server.frames();
        assert_eq!(frames[0]["result"]["protocolVersion"], "2025-06-18", "{asked:?}");
        assert_eq!(frames[0]["id"], 0);
    }
}

/// basic/lifecycle: the client "SHOULD NOT send requests other than pings before the server has responded". Such a request
/// is answered with its id, and the connection lives.
#[test]
fn requests_before_initialize_are_refused_and_the_connection_lives() {
    let mut server = Node::server(server_config());
    server.tell(&call(&json!("early")));
    server.tell(&json!({"jsonrpc": "2.0", "id": 2, "method": "logging/setLevel", "params": {"level": "debug"}}));
    server.tell(&json!({"jsonrpc": "2.0", "id": 3, "method": "no/such"}));
    let frames = server.frames();
    let ids: Vec<_> = frames.iter().map(|frame| frame["id"].clone()).collect();
    assert_eq!(ids, [json!("early"), json!(2), json!(3)]);
    assert!(frames.iter().all(|frame| frame["error"]["code"] == -32600), "{frames:?}");
    assert_eq!(server.broken_rules(), [Rule::NotInitialized, Rule::NotInitialized, Rule::NotInitialized]);
    server.tell(&initialize(&json!(1), "2025-06-18"));
    assert_eq!(server.frames()[0]["result"]["protocolVersion"], "2025-06-18");
}

/// basic/utilities/ping: "The receiver MUST respond promptly with an empty response", also before initialization.
#[test]
fn ping_is_answered_at_any_time_by_both_sides() {
    let ping = json!({"jsonrpc": "2.0", "id": "p", "method": "ping"});
    let pong = [json!({"jsonrpc": "2.0", "id": "p", "result": {}})];
    let mut server = Node::server(server_config());
    server.tell(&ping);
    assert_eq!(server.frames(), pong);
    server.tell(&initialize(&json!(1), "2025-06-18"));
    server.frames();
    server.tell(&ping);
    assert_eq!(server.frames(), pong);
    assert_eq!(kinds(&server.events()), ["ready"], "the application has nothing to do with it");

    let mut client = Node::client(client_config());
    client.frames();
    client.tell(&ping);
    assert_eq!(client.frames(), pong);
    assert!(client.events().is_empty());
}

/// basic: "The receiver MUST NOT send a response" to a notification, whatever it is and whenever it comes.
#[test]
fn notifications_before_initialize_are_never_answered() {
    for method in ["notifications/initialized", "notifications/cancelled", "notifications/no-such", "tools/call"] {
        let mut server = Node::server(server_config());
        server.tell(&json!({"jsonrpc": "2.0", "method": method, "params": {}}));
        assert!(server.frames().is_empty(), "{method}");
        server.tell(&initialize(&json!(1), "2025-06-18"));
        assert!(server.frames()[0]["result"].is_object(), "{method}");
    }
}

/// A second `initialize` is refused with -32600 and changes nothing: not the revision, not who the peer is, not the log
/// level, not the calls in work.
#[test]
fn a_second_initialize_is_refused_and_the_session_is_untouched() {
    for initialized in [false, true] {
        let mut server = Node::server(server_config());
        server.tell(&initialize(&json!(1), "2025-06-18"));
        if initialized {
            server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        server.tell(&call(&json!(2)));
        let peer = server.conn.peer().cloned();
        let (id, ..) = server.take_request();
        server.frames();
        server.tell(
            &json!({"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {"protocolVersion": "2024-11-05",
            "capabilities": {}, "clientInfo": {"name": "other", "version": "9"}}}),
        );
        let frames = server.frames();
        assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(3), &json!(-32600)));
        assert_eq!(server.broken_rules(), [Rule::SecondInitialize]);
        assert_eq!(server.conn.version(), Some(V2025_06_18));
        assert_eq!(server.conn.peer(), peer.as_ref());
        server.respond(id, &json!({})).unwrap();
        assert_eq!(server.frames()[0]["id"], 2);
    }
}

/// A request behind `initialize` is only a SHOULD NOT of the client, so it is served once the result is out.
#[test]
fn a_request_pipelined_behind_initialize_is_served_after_its_result() {
    let mut server = Node::server(server_config());
    server.bytes(std::format!("{}\n{}\n", initialize(&json!(1), "2025-06-18"), call(&json!(2))).as_bytes());
    let events = server.events();
    assert_eq!(kinds(&events), ["ready", "request"]);
    let Event::Request { id, meta, .. } = &events[1] else { panic!() };
    assert_eq!((meta.version, meta.era), (V2025_06_18, Era::Legacy));
    server.respond(*id, &json!({})).unwrap();
    let ids: Vec<_> = server.frames().iter().map(|frame| frame["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(2)]);
}

/// basic/lifecycle: the server "SHOULD NOT send requests other than pings and logging before receiving the initialized
/// notification".
#[test]
fn a_server_sends_only_ping_and_logs_before_initialized() {
    let mut server = Node::server(server_config());
    let roots = body("roots/list", &json!({}));
    server.ask("ping", &json!({}));
    let refused = server.request(&roots, &CallOptions::default());
    assert_eq!(refused.unwrap_err().why, Why::NotReady);
    assert_eq!(server.methods(), ["ping"]);
    server.tell(&initialize(&json!(1), "2025-06-18"));
    server.frames();
    let refused = server.request(&roots, &CallOptions::default());
    assert_eq!(refused.unwrap_err().why, Why::NotReady);
    let changed = body("notifications/tools/list_changed", &json!({}));
    let refused = server.notify(&changed, crate::connection::Scope::Connection);
    assert_eq!(refused.unwrap_err().why, Why::NotReady);
    server.notify(&super::capabilities::log("error"), crate::connection::Scope::Connection).unwrap();
    server.ask("ping", &json!({}));
    assert_eq!(server.methods(), ["notifications/message", "ping"]);
    server.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    server.request(&roots, &CallOptions::default()).unwrap();
    assert_eq!(server.methods(), ["roots/list"]);
}

/// A client that asks for something has evidently initialized, whether or not its notification came.
#[test]
fn a_missing_initialized_is_made_up_for_by_the_first_request() {
    let mut server = Node::server(server_config());
    server.tell(&initialize(&json!(1), "2025-06-18"));
    server.tell(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    let (id, ..) = server.take_request();
    server.ask("roots/list", &json!({}));
    server.respond(id, &json!({"tools": []})).unwrap();
    assert_eq!(server.methods(), ["", "roots/list", ""]);
}

/// Parameters of `initialize` that do not fit are answered with -32602; a better one is still served.
#[test]
fn an_initialize_that_cannot_be_read_is_answered_and_may_be_repeated() {
    let mut server = Node::server(server_config());
    for (id, params) in [
        (1, json!({})),
        (2, json!({"protocolVersion": 7, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}})),
        (3, json!({"protocolVersion": "2025-06-18", "capabilities": {}})),
    ] {
        server.tell(&json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params}));
        let frames = server.frames();
        assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(id), &json!(-32602)));
        assert_eq!(server.conn.version(), None);
    }
    server.tell(&initialize(&json!(4), "2025-06-18"));
    assert!(server.frames()[0]["result"].is_object());
}

/// basic/lifecycle, Error Handling: an error instead of a result ends the connection, with the server's own words.
#[test]
fn an_error_to_initialize_closes_the_client() {
    let mut client = Node::client(client_config());
    client.frames();
    client
        .tell(&json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Unsupported protocol version",
        "data": {"supported": ["1.0"], "requested": "2025-11-25"}}}));
    let Some(CloseReason::HandshakeRefused(error)) = client.closed_by() else { panic!() };
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    assert_eq!(error.data.unwrap()["supported"][0], "1.0");
    assert!(client.frames().is_empty());
}

/// What this side makes up must not look as if the peer had sent it: a result that cannot be read is no refusal.
#[test]
fn an_unreadable_answer_to_initialize_is_incompatible_and_no_refusal() {
    let ok = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}});
    let mut without_info = ok.clone();
    without_info.as_object_mut().unwrap().remove("serverInfo");
    for answer in [
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 1, "result": without_info}),
        json!({"jsonrpc": "2.0", "id": 1, "result": []}),
        json!({"jsonrpc": "2.0", "id": 1, "result": ok, "error": {"code": 1, "message": "both"}}),
        json!({"jsonrpc": "2.0", "id": 1, "error": "text"}),
    ] {
        let mut client = Node::client(client_config());
        client.frames();
        client.tell(&answer);
        let reason = client.closed_by();
        assert!(matches!(reason, Some(CloseReason::Incompatible(_))), "{answer} {reason:?}");
    }
}

/// basic/utilities/cancellation: "The initialize request MUST NOT be cancelled by clients". Not by a deadline either: the
/// connection closes instead.
#[test]
fn a_handshake_that_takes_too_long_closes_without_a_cancel() {
    for drained in [true, false] {
        let mut config = client_config();
        config.initialize_deadline = Duration::from_secs(5);
        let mut client = Node::client(config);
        if drained {
            assert_eq!(client.methods(), ["initialize"]);
        }
        client.wait(Duration::from_millis(4999));
        assert!(client.events().is_empty());
        client.tell(
            &json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}),
        );
        client.wait(Duration::from_millis(65));
        assert_eq!(client.closed_by(), Some(CloseReason::HandshakeTimedOut(Duration::from_secs(5))));
        assert!(client.frames().is_empty(), "a late answer finds nobody");
        client.tell(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
        assert!(client.events().is_empty());
    }
}

/// The default deadline of the handshake is 30 s.
#[test]
fn the_handshake_has_thirty_seconds() {
    let mut client = Node::client(client_config());
    client.frames();
    client.wait(Duration::from_millis(29_999));
    assert!(client.conn.poll_timeout().is_some());
    client.wait(Duration::from_millis(65));
    assert!(matches!(client.closed_by(), Some(CloseReason::HandshakeTimedOut(_))));
}

/// basic/utilities/cancellation: nothing that happens to a client before the result cancels `initialize`.
#[test]
fn initialize_is_never_cancelled_by_close_or_the_end_of_input() {
    for end in [|node: &mut Node| node.close(Duration::ZERO), Node::eof] {
        let mut client = Node::client(client_config());
        client.frames();
        end(&mut client);
        assert!(client.frames().is_empty());
        assert!(client.closed_by().is_some());
    }
}

/// A client's half of the handshake refuses requests of the server except ping, and asks nobody to answer them.
#[test]
fn a_server_that_asks_before_its_result_is_refused() {
    let mut client = Node::client(client_config());
    client.frames();
    client.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}));
    let frames = client.frames();
    assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(1), &json!(-32600)));
    assert_eq!(client.broken_rules(), [Rule::NotInitialized]);
}

/// `initialize` is not a server's to send, and a server has nobody to send it to.
#[test]
fn initialize_in_the_wrong_direction_is_no_method() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    client.tell(&initialize(&json!(5), "2025-11-25"));
    let frames = client.frames();
    assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!(5), &json!(-32601)));
    assert!(client.events().is_empty());
}

/// A server that starts without a handshake serves at once, in the revision that it was told.
#[test]
fn a_server_may_assume_a_revision() {
    use crate::connection::{Connection, Start};
    let mut conn =
        Connection::server(std::sync::Arc::new(server_config()), Start::Assume(V2025_06_18), crate::Timestamp::EPOCH);
    assert!(matches!(conn.poll_event(), Some(Event::Ready { version: V2025_06_18, peer: None, .. })));
    conn.handle_input(crate::Timestamp::EPOCH, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n");
    assert!(matches!(conn.poll_event(), Some(Event::Request { .. })));
}

/// basic: the id of the answer is the id of the request, of the same type and value, whatever it was.
#[test]
fn the_answer_to_initialize_echoes_the_id_verbatim() {
    for id in [json!(0), json!(-7), json!(i64::MAX), json!(""), json!("1"), json!("\u{2028}\"\\")] {
        let mut server = Node::server(server_config());
        server.tell(&initialize(&id, "2025-06-18"));
        assert_eq!(server.frames()[0]["id"], id);
    }
}

/// Without a revision that has `initialize` there is nothing to negotiate: an error, which a client reports as it is.
#[test]
fn a_server_without_legacy_revisions_refuses() {
    let mut config = server_config();
    config.versions = [V2026_07_28].to_vec();
    let mut pair = Pair::new(client_config(), config);
    let mut closed = None;
    pair.run(
        |_, event| {
            if let Event::Closed { reason, .. } = event {
                closed = Some(reason);
            }
        },
        |_, _| {},
    );
    let Some(CloseReason::HandshakeRefused(ErrorObject { code, .. })) = closed else { panic!("{closed:?}") };
    assert_eq!(code, ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, "a modern-only server names its versions");
}
