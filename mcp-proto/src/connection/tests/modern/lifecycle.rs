//! Which era a server is of (specification 2026-07-28: basic/versioning, Negotiation with servers of either era;
//! server/discover).

use super::*;
use crate::connection::{CloseReason, Event, Rule};
use ProtocolVersion::{V2024_11_05, V2025_11_25};

/// Where the client stands after an answer.
#[derive(Debug, PartialEq)]
enum Verdict {
    Modern,
    /// `initialize` is under way.
    Legacy,
    Closed(CloseReason),
}

/// A client after its probe was answered with this `result` or `error`.
fn probed(config: ClientConfig, member: &str, value: &Value) -> (Verdict, Node) {
    let mut node = Node::client(config);
    let id = answer(&mut node)["id"].clone();
    node.tell(&json!({"jsonrpc": "2.0", "id": id, member: value}));
    let verdict = match &node.events()[..] {
        [Event::Ready { era: Era::Modern, version: V2026_07_28, peer: Some(_) }] => Verdict::Modern,
        [Event::Closed { reason, .. }] => Verdict::Closed(reason.clone()),
        [] => Verdict::Legacy,
        other => panic!("{other:?}"),
    };
    (verdict, node)
}

fn listing(versions: &Value) -> Value {
    json!({"resultType": "complete", "supportedVersions": versions, "capabilities": {}, "ttlMs": 0,
        "cacheScope": "private"})
}

/// "Clients that support both eras … send `server/discover` first". It is a request of the modern era like any other:
/// "`io.modelcontextprotocol/protocolVersion` … `io.modelcontextprotocol/clientCapabilities` … required".
#[test]
fn the_probe_is_a_request_of_the_modern_era() {
    for config in [dual_client(), modern_client_config()] {
        let probe = answer(&mut Node::client(config));
        assert_eq!(probe["method"], "server/discover");
        let meta = &probe["params"]["_meta"];
        assert_eq!(meta[meta_key::PROTOCOL_VERSION], "2026-07-28");
        assert_eq!(meta[meta_key::CLIENT_INFO]["name"], "client");
        assert_eq!(meta[meta_key::CLIENT_CAPABILITIES], json!({"roots": {}, "sampling": {}, "elicitation": {}}));
        assert_eq!(probe["params"].as_object().unwrap().len(), 1, "{probe}");
    }
}

/// A client of the legacy era has no reason to ask.
#[test]
fn a_legacy_client_never_probes() {
    for version in ProtocolVersion::LEGACY {
        let mut config = client_config();
        config.versions = [version].to_vec();
        let first = answer(&mut Node::client(config));
        assert_eq!(first["method"], "initialize");
        assert_eq!(first["params"]["protocolVersion"], version.as_str());
        assert_eq!(first["params"].get("_meta"), None, "nothing of the modern era in it");
    }
}

/// A result that lists a modern revision which we speak is a modern server, whatever else it lists.
#[test]
fn a_result_with_a_mutual_modern_revision_is_modern() {
    let lists = [
        json!(["2026-07-28"]),
        json!(["2025-11-25", "2026-07-28"]),
        json!(["2099-01-01", "2026-07-28", "x", "2024-11-05"]),
    ];
    for list in lists {
        for config in [dual_client(), modern_client_config()] {
            let (verdict, mut node) = probed(config, "result", &listing(&list));
            assert_eq!(verdict, Verdict::Modern, "{list}");
            assert!(node.frames().is_empty(), "no handshake");
            assert_eq!(node.conn.version(), Some(V2026_07_28));
            node.ask("vendor/any", &json!({}));
            assert_eq!(answer(&mut node)["params"]["_meta"][meta_key::PROTOCOL_VERSION], "2026-07-28");
        }
    }
}

/// "The server's identity is in `_meta` (`io.modelcontextprotocol/serverInfo`)"; a server need not tell it.
#[test]
fn who_the_server_is_stands_in_the_meta_of_the_result() {
    let mut result = listing(&json!(["2026-07-28"]));
    let (_, node) = probed(dual_client(), "result", &result);
    assert!(node.conn.peer().is_some(), "anonymous");
    result["_meta"] = json!({meta_key::SERVER_INFO: {"name": "me", "version": "7"}});
    result["instructions"] = json!("be kind");
    let (_, node) = probed(dual_client(), "result", &result);
    let peer = node.conn.peer().unwrap();
    assert_eq!((peer.info.name.as_str(), peer.info.version.as_str()), ("me", "7"));
    assert_eq!(peer.instructions.as_deref(), Some("be kind"));
}

/// A result that offers no modern revision that we speak, or is no `DiscoverResult` at all, sends us to `initialize`.
#[test]
fn a_result_without_a_mutual_modern_revision_leads_to_initialize() {
    let results = [
        listing(&json!(["2025-11-25"])),
        listing(&json!(["2024-11-05", "2025-06-18"])),
        listing(&json!(["2099-01-01"])),
        listing(&json!([])),
        listing(&json!("2026-07-28")),
        json!({}),
        json!({"supportedVersions": ["2026-07-28"]}),
    ];
    for result in results {
        let (verdict, mut node) = probed(dual_client(), "result", &result);
        assert_eq!(verdict, Verdict::Legacy, "{result}");
        assert_eq!(answer(&mut node)["method"], "initialize", "{result}");
    }
    for result in [json!([1]), json!("ok"), json!(null), json!({"resultType": 1})] {
        let mut node = Node::client(dual_client());
        let id = answer(&mut node)["id"].clone();
        node.tell(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        assert_eq!(answer(&mut node)["method"], "initialize", "{result}");
    }
}

/// "Clients MUST NOT key the fallback to one specific error code": whatever a legacy server says to a method that it does not
/// know, `initialize` follows.
#[test]
fn every_error_that_is_not_modern_leads_to_initialize() {
    for code in [-32601, -32602, -32600, -32603, -32700, -32000, -32001, -32002, -32019, -32023, -32099, -1, 0, 1, 404]
    {
        let error = json!({"code": code, "message": "no", "data": {"supported": ["2026-07-28"], "requested": "x"}});
        let (verdict, mut node) = probed(dual_client(), "error", &error);
        assert_eq!(verdict, Verdict::Legacy, "{code}");
        let request = answer(&mut node);
        assert_eq!(request["method"], "initialize", "{code}");
        assert_eq!(request["params"]["protocolVersion"], "2025-11-25");
        assert_eq!(request["params"].get("_meta"), None, "nothing of the modern era in it: {request}");
        node.tell(&json!({"jsonrpc": "2.0", "id": request["id"], "result": {"protocolVersion": "2025-06-18",
            "serverInfo": {"name": "s", "version": "1"}, "capabilities": {}}}));
        assert!(matches!(node.events()[..], [Event::Ready { era: Era::Legacy, .. }]));
        assert_eq!(node.methods(), ["notifications/initialized"]);
    }
}

/// An error that is none is no verdict for the modern era either.
#[test]
fn an_unreadable_error_leads_to_initialize() {
    for error in [json!({"code": "x"}), json!(null), json!({"message": "no"}), json!({"code": 1.5, "message": "no"})] {
        let mut node = Node::client(dual_client());
        let id = answer(&mut node)["id"].clone();
        node.tell(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
        assert_eq!(answer(&mut node)["method"], "initialize", "{error}");
    }
}

/// "a recognized modern error … clients MUST NOT fall back to `initialize`".
#[test]
fn a_modern_error_is_never_answered_with_initialize() {
    for code in [-32020, -32021] {
        let error = json!({"code": code, "message": "no"});
        for config in [dual_client(), modern_client_config()] {
            let (verdict, mut node) = probed(config, "error", &error);
            assert!(
                matches!(&verdict, Verdict::Closed(CloseReason::HandshakeRefused(error)) if error.code.0 == code),
                "{verdict:?}"
            );
            assert!(node.frames().is_empty());
        }
    }
}

/// "−32022 … the client SHOULD select a mutually supported version": a legacy one is reached by `initialize` only.
#[test]
fn an_unsupported_version_error_is_judged_by_what_it_lists() {
    let error = |data: Value| json!({"code": -32022, "message": "no", "data": data});
    let listing = |versions: Value| error(json!({"supported": versions, "requested": "2026-07-28"}));
    let (verdict, mut node) = probed(dual_client(), "error", &listing(json!(["2024-11-05", "2025-11-25"])));
    assert_eq!(verdict, Verdict::Legacy);
    assert_eq!(answer(&mut node)["params"]["protocolVersion"], "2025-11-25");

    let hopeless = [
        listing(json!(["2099-01-01"])),
        listing(json!([])),
        listing(json!("2025-11-25")),
        error(json!({"requested": "2026-07-28"})),
        error(json!(null)),
        error(json!([1, 2])),
        json!({"code": -32022, "message": "no"}),
    ];
    for error in hopeless {
        let (verdict, mut node) = probed(dual_client(), "error", &error);
        assert!(matches!(verdict, Verdict::Closed(_)), "{error}: {verdict:?}");
        assert!(node.frames().is_empty(), "no fallback: {error}");
    }
    let (verdict, _) = probed(modern_client_config(), "error", &listing(json!(["2025-11-25"])));
    assert!(matches!(verdict, Verdict::Closed(CloseReason::Incompatible(_))), "{verdict:?}");
}

/// A server that lists the revision that it has just refused is asked once more, as the conformance suite's does; and not for ever.
#[test]
fn a_server_that_lists_what_it_refused_is_asked_again() {
    let refusal = |id: &Value| {
        json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32022, "message": "no",
            "data": {"supported": ["2026-07-28"], "requested": "2026-07-28"}}})
    };
    for config in [dual_client(), modern_client_config()] {
        let mut node = Node::client(config.clone());
        let first = answer(&mut node)["id"].clone();
        node.tell(&refusal(&first));
        let second = answer(&mut node);
        assert_eq!(second["method"], "server/discover");
        assert_ne!(second["id"], first);
        node.tell(&discovered(&second["id"], &["2026-07-28"]));
        assert!(matches!(node.events()[..], [Event::Ready { era: Era::Modern, .. }]));

        let mut node = Node::client(config);
        for _ in 0..3 {
            let id = answer(&mut node)["id"].clone();
            node.tell(&refusal(&id));
        }
        assert!(node.frames().is_empty());
        assert!(matches!(node.closed_by(), Some(CloseReason::Incompatible(_))));
    }
}

/// A client without the legacy era has nothing to fall back to.
#[test]
fn a_modern_client_closes_where_another_falls_back() {
    for code in [-32601, -32600, -32000, 0] {
        let (verdict, mut node) = probed(modern_client_config(), "error", &json!({"code": code, "message": "no"}));
        assert!(
            matches!(&verdict, Verdict::Closed(CloseReason::HandshakeRefused(error)) if error.code.0 == code),
            "{verdict:?}"
        );
        assert!(node.frames().is_empty());
    }
    for result in [listing(&json!(["2025-11-25"])), json!({})] {
        let (verdict, mut node) = probed(modern_client_config(), "result", &result);
        assert!(matches!(verdict, Verdict::Closed(CloseReason::Incompatible(_))), "{verdict:?}");
        assert!(node.frames().is_empty());
    }
    let mut node = Node::client(modern_client_config());
    node.frames();
    node.wait(secs(30) - MILLI);
    assert!(node.events().is_empty(), "it has as long as a handshake");
    node.wait(MILLI + SLACK);
    assert_eq!(node.closed_by(), Some(CloseReason::HandshakeTimedOut(secs(30))));
}

/// A client whose probe was not answered in time; its `initialize` is under way. With the ids of both.
fn silent_server() -> (Node, Value, Value) {
    let mut node = Node::client(dual_client());
    let probe = answer(&mut node)["id"].clone();
    node.wait(secs(5) - MILLI);
    assert!(node.frames().is_empty(), "the server has 5 s");
    node.wait(MILLI + SLACK);
    assert!(node.events().is_empty());
    let initialize = node.frames().pop().unwrap();
    assert_eq!(initialize["method"], "initialize");
    (node, probe, initialize["id"].clone())
}

fn initialized(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2025-11-25",
        "serverInfo": {"name": "s", "version": "1"}, "capabilities": {}}})
}

fn error(id: &Value, code: i64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no"}})
}

/// "If no response … within a reasonable timeout, … fall back to `initialize`".
#[test]
fn silence_leads_to_initialize() {
    let (mut node, _, id) = silent_server();
    node.tell(&initialized(&id));
    assert!(matches!(node.events()[..], [Event::Ready { era: Era::Legacy, version: V2025_11_25, .. }]));
}

/// The answer to `initialize` decides: a late modern answer is kept, and counts only if `initialize` fails.
#[test]
fn a_late_modern_answer_counts_if_initialize_fails() {
    for code in [-32022, -32601, -32600] {
        let (mut node, probe, id) = silent_server();
        node.tell(&discovered(&probe, &["2026-07-28"]));
        assert!(node.events().is_empty(), "kept");
        assert!(node.frames().is_empty());
        node.tell(&error(&id, code));
        assert!(matches!(node.events()[..], [Event::Ready { era: Era::Modern, .. }]));
        assert!(node.frames().is_empty(), "nothing more is asked");
    }
    // Nor does the silence of a server that has answered the probe.
    let (mut node, probe, _) = silent_server();
    node.tell(&discovered(&probe, &["2026-07-28"]));
    node.wait(secs(31));
    assert!(matches!(node.events()[..], [Event::Ready { era: Era::Modern, .. }]));
}

/// The same, if `initialize` succeeds; whether the late answer comes before or after.
#[test]
fn a_late_modern_answer_does_not_count_if_initialize_succeeds() {
    let (mut node, probe, id) = silent_server();
    node.tell(&discovered(&probe, &["2026-07-28"]));
    node.tell(&initialized(&id));
    assert!(matches!(node.events()[..], [Event::Ready { era: Era::Legacy, .. }]));

    let (mut node, probe, id) = silent_server();
    node.tell(&initialized(&id));
    assert!(matches!(node.events()[..], [Event::Ready { era: Era::Legacy, .. }]));
    node.tell(&discovered(&probe, &["2026-07-28"]));
    let events = node.events();
    assert!(events.iter().all(|event| matches!(event, Event::Stray { .. })), "not fatal: {events:?}");
    assert_eq!(node.conn.era(), Some(Era::Legacy));
}

/// A late answer that is not modern proves nothing.
#[test]
fn a_late_answer_that_is_not_modern_does_not_count() {
    for late in ["result", "error"] {
        let (mut node, probe, id) = silent_server();
        match late {
            "result" => node.tell(&discovered(&probe, &["2025-11-25"])),
            _ => node.tell(&error(&probe, -32601)),
        }
        node.events();
        node.tell(&error(&id, -32601));
        assert!(matches!(node.closed_by(), Some(CloseReason::HandshakeRefused(_))));
    }
}

/// A slow server of the modern era refuses `initialize` with −32022: it is asked once more, and not for ever.
#[test]
fn a_modern_refusal_of_initialize_leads_to_one_more_probe() {
    let (mut node, _, id) = silent_server();
    node.tell(&error(&id, -32022));
    assert!(node.events().is_empty());
    let probe = answer(&mut node);
    assert_eq!(probe["method"], "server/discover");
    assert_eq!(probe["params"]["_meta"][meta_key::PROTOCOL_VERSION], "2026-07-28");
    node.tell(&discovered(&probe["id"], &["2026-07-28"]));
    assert!(matches!(node.events()[..], [Event::Ready { era: Era::Modern, .. }]));

    let (mut node, _, id) = silent_server();
    node.tell(&error(&id, -32022));
    let probe = answer(&mut node);
    node.tell(&error(&probe["id"], -32601));
    assert!(node.closed_by().is_some(), "neither era");
    assert!(node.frames().is_empty());

    // Two servers behind one pipe, each of which sends us to the other, do not keep us busy.
    let (mut node, _, mut id) = silent_server();
    for _ in 0..8 {
        node.tell(&error(&id, -32022));
        let Some(frame) = node.frames().pop() else { break };
        node.tell(&discovered(&frame["id"], &["2025-11-25"]));
        let Some(frame) = node.frames().pop() else { break };
        id = frame["id"].clone();
    }
    assert!(node.closed_by().is_some());
}

/// A process that ends while it is probed may have died of the probe: whoever started it is told.
#[test]
fn an_end_while_probing_is_told_as_such() {
    let mut node = Node::client(dual_client());
    node.frames();
    node.eof();
    let events = node.events();
    assert!(
        matches!(events[..], [Event::Closed { reason: CloseReason::PeerClosed, while_probing: true }]),
        "{events:?}"
    );

    let mut node = Node::client(dual_client());
    node.step(|conn, now| conn.handle_broken(now, "pipe"));
    assert!(matches!(node.events()[..], [Event::Closed { while_probing: true, .. }]));

    let (mut node, ..) = silent_server();
    node.eof();
    assert!(matches!(node.events()[..], [Event::Closed { while_probing: false, .. }]));
    let mut node = modern_client(|_| {});
    node.eof();
    assert!(matches!(node.events()[..], [Event::Closed { while_probing: false, .. }]));
}

/// Before the era is known nothing else is sent: it could be stamped for neither.
#[test]
fn nothing_is_sent_while_the_era_is_unknown() {
    for method in ["ping", "tools/list", "vendor/any"] {
        let mut node = Node::client(dual_client());
        node.frames();
        let sent = node.request(&body(method, &json!({})), &CallOptions::default());
        assert_eq!(sent.unwrap_err().why, crate::connection::Why::NotReady, "{method}");
    }
}

/// What a server of the legacy era does before the handshake does not disturb the probe.
#[test]
fn a_legacy_server_that_pings_while_it_is_probed_is_answered() {
    let mut node = Node::client(dual_client());
    let probe = answer(&mut node)["id"].clone();
    node.tell(&json!({"jsonrpc": "2.0", "id": "p", "method": "ping"}));
    assert_eq!(answer(&mut node), json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
    node.tell(&error(&probe, -32601));
    assert_eq!(answer(&mut node)["method"], "initialize");
}

/// Found by fuzzing: a server of both eras pinged a client that had just found out that it speaks the modern one, which has
/// no ping, and where servers send no requests.
#[test]
fn a_server_of_both_eras_does_not_ping_before_it_knows_which_one_is_spoken() {
    let mut server = Node::server(dual_server());
    let ping = body("ping", &json!({}));
    let why = |refused: Result<_, crate::connection::SendError>| refused.map(drop).unwrap_err().why;
    assert_eq!(why(server.request(&ping, &CallOptions::default())), crate::connection::Why::NotReady);
    server.tell(&modern(1, "server/discover", json!({})));
    assert_eq!(why(server.request(&ping, &CallOptions::default())), crate::connection::Why::NotReady);
    server.tell(&initialize(&json!(2), "2025-11-25"));
    server.frames();
    server.request(&ping, &CallOptions::default()).unwrap();
    assert_eq!(answer(&mut server)["method"], "ping");
}

/// Found by fuzzing: a client that had asked for `initialize` pinged, and was of the modern era after all when that left.
#[test]
fn a_client_of_both_eras_does_not_ping_before_it_knows_which_one_is_spoken() {
    let mut node = Node::client(dual_client());
    let probe = answer(&mut node)["id"].clone();
    node.tell(&error(&probe, -32601));
    let asked = answer(&mut node);
    assert_eq!(asked["method"], "initialize");
    let refused = node.request(&body("ping", &json!({})), &CallOptions::default());
    assert_eq!(refused.unwrap_err().why, crate::connection::Why::NotReady);
}

/// Found by fuzzing: an `initialize` that had not left when its time was up went to a server that was modern after all.
#[test]
fn an_initialize_that_has_not_left_is_not_sent_when_its_time_is_up() {
    let mut node = Node::client(dual_client());
    let probe = answer(&mut node)["id"].clone();
    node.wait(secs(5) + SLACK);
    node.tell(&discovered(&probe, &["2026-07-28"]));
    node.wait(secs(30) + SLACK);
    assert_eq!(kinds(&node.events()), ["ready"]);
    assert_eq!(node.conn.era(), Some(Era::Modern));
    assert!(node.frames().is_empty(), "initialize is of no use any more");
}

/// The table of the specification: which client gets on with which server.
#[test]
fn the_compatibility_matrix_holds() {
    let clients = [modern_client_config(), client_config(), dual_client()];
    let legacy_client = |config: &mut ClientConfig| config.versions = ProtocolVersion::LEGACY.to_vec();
    let mut legacy_server = server_config();
    legacy_server.versions = [V2024_11_05, V2025_11_25].to_vec();
    let servers = [modern_server(), legacy_server, dual_server()];
    let (modern, legacy) = (Some(Era::Modern), Some(Era::Legacy));
    let expected = [[modern, None, modern], [None, legacy, legacy], [modern, legacy, modern]];
    for (row, mut client) in clients.into_iter().enumerate() {
        if row == 1 {
            legacy_client(&mut client);
        }
        for (column, server) in servers.iter().enumerate() {
            let mut pair = Pair::new(client.clone(), server.clone());
            let (mut ready, mut closed) = (None, false);
            let on_client = |_: &mut Node, event| match event {
                Event::Ready { era, .. } => ready = Some(era),
                Event::Closed { .. } => closed = true,
                other => panic!("{other:?}"),
            };
            let on_server = |_: &mut Node, event| {
                let harmless =
                    matches!(event, Event::Ready { .. } | Event::Misbehaved { rule: Rule::NotInitialized, .. });
                assert!(harmless, "{event:?}");
            };
            pair.run(on_client, on_server);
            assert_eq!(ready, expected[row][column], "client {row}, server {column}");
            assert_eq!(closed, ready.is_none(), "client {row}, server {column}");
        }
    }
}
