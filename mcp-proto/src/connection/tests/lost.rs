//! What a transport has lost where each request is an exchange of its own: calls, handshakes, and whole sessions
//! (specification: basic/transports, Streamable HTTP).

use std::boxed::Box;
use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{
    About, CallOptions, ClientConfig, CloseReason, Connection, Event, Hold, Lost, OutboundId, RequestError, Why,
};
use crate::jsonrpc::{ErrorCode, ErrorObject};
use crate::model::ProtocolVersion::{V2025_06_18, V2025_11_25, V2026_07_28};
use crate::model::{Era, ProtocolVersion};

fn dual() -> ClientConfig {
    let mut config = client_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    config
}

fn refused(status: u16, code: Option<i64>) -> Lost {
    let error = code.map(|code| ErrorObject::new(ErrorCode(code), "no"));
    Lost::Refused { status, error: error.map(Box::new), detail: String::new() }
}

fn broken() -> Lost {
    Lost::MaybeExecuted("reset".into())
}

fn unsent() -> Lost {
    Lost::NotSent("refused".into())
}

impl Node {
    fn lose(&mut self, id: OutboundId, lost: &Lost) {
        self.step(|conn, now| conn.handle_lost(now, id, lost.clone()));
    }

    fn forget(&mut self, kept: &[OutboundId]) {
        let kept = kept.iter().copied().collect::<BTreeSet<_>>();
        self.step(|conn, now| conn.handle_session_gone(now, &kept));
    }

    /// What leaves next: its handle and its text.
    fn sent(&mut self) -> (About, Value) {
        let transmit = self.step(|conn, _| Connection::poll_transmit(conn)).expect("something leaves");
        let frame = self.check_frame(&transmit.frame);
        (transmit.about, frame)
    }

    /// The call that leaves next.
    fn sent_call(&mut self) -> (OutboundId, Value) {
        let (About::Call(id), frame) = self.sent() else { panic!("a call") };
        (id, frame)
    }

    /// Answers an `initialize`.
    fn initialized(&mut self, asked: &Value) {
        assert_eq!(asked["method"], "initialize");
        self.tell(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}}));
        assert_eq!(kinds(&self.events()), ["ready"]);
        assert_eq!(self.methods(), ["notifications/initialized"]);
    }
}

#[test]
fn a_lost_call_ends_once_and_alone() {
    for lost in [unsent(), broken(), refused(500, None), refused(404, None)] {
        for has_left in [true, false] {
            let mut client = Node::client_in(V2025_11_25, |_| {});
            let (one, other) = (client.ask("tools/list", &json!({})), client.ask("tools/list", &json!({})));
            if has_left {
                client.frames();
            }
            client.lose(one, &lost);
            assert_eq!(client.take_response(), (one, Err(RequestError::Lost(lost.clone()))));
            client.lose(one, &lost);
            assert!(client.events().is_empty(), "late and double news do nothing");
            let left = client.frames();
            assert_eq!(left.len(), usize::from(!has_left), "what is lost is not sent, and nothing is said about it");
            client.lose(other, &lost);
            assert_eq!(client.take_response().0, other);
            assert_eq!(client.conn.poll_timeout(), None);
        }
    }
}

#[test]
fn an_error_that_comes_with_a_status_is_the_answer() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let call = client.ask("tools/list", &json!({}));
    client.lose(call, &refused(503, Some(-32603)));
    let (_, Err(RequestError::Rpc(error))) = client.take_response() else { panic!("the error of the server") };
    assert_eq!(error.code, ErrorCode::INTERNAL_ERROR);
}

#[test]
fn what_may_have_been_executed() {
    for lost in [unsent(), refused(400, None), refused(404, Some(-32601)), refused(429, None)] {
        assert!(!lost.may_have_been_executed(), "{lost}");
    }
    for lost in [broken(), refused(500, None), refused(502, Some(-32603)), refused(200, None)] {
        assert!(lost.may_have_been_executed(), "{lost}");
    }
}

/// basic/transports/streamable-http (2026-07-28), Backwards Compatibility: which era a server is of, by what it answers to the first POST.
#[test]
fn the_answer_to_the_probe_tells_the_era() {
    #[derive(Debug, PartialEq)]
    enum Then {
        Initialize,
        Discover,
        Closed(CloseReason),
    }
    let lost = |status, code| Then::Closed(CloseReason::HandshakeLost(refused(status, code)));
    let table = vec![
        // Statuses of the 400s with nothing of the modern era in them.
        (refused(400, None), Then::Initialize),
        (refused(400, Some(-32600)), Then::Initialize),
        (refused(400, Some(-32000)), Then::Initialize),
        (refused(400, Some(-32602)), Then::Initialize),
        (refused(404, None), Then::Initialize),
        (refused(404, Some(-32601)), Then::Initialize),
        (refused(405, None), Then::Initialize),
        (refused(406, None), Then::Initialize),
        (refused(415, None), Then::Initialize),
        // A page instead of an answer.
        (refused(200, None), Then::Initialize),
        (refused(202, None), Then::Initialize),
        (refused(307, None), Then::Initialize),
        // Errors that only the modern era has.
        (
            refused(400, Some(-32020)),
            Then::Closed(CloseReason::HandshakeRefused(ErrorObject::new(ErrorCode(-32020), "no"))),
        ),
        (
            refused(400, Some(-32021)),
            Then::Closed(CloseReason::HandshakeRefused(ErrorObject::new(ErrorCode(-32021), "no"))),
        ),
        // Nobody can tell.
        (refused(401, None), lost(401, None)),
        (refused(401, Some(-32600)), lost(401, Some(-32600))),
        (refused(403, None), lost(403, None)),
        (refused(429, None), lost(429, None)),
        (refused(500, Some(-32601)), lost(500, Some(-32601))),
        (refused(503, None), lost(503, None)),
        (broken(), Then::Closed(CloseReason::HandshakeLost(broken()))),
        (unsent(), Then::Closed(CloseReason::HandshakeLost(unsent()))),
    ];
    for (lost, then) in table {
        let mut client = Node::client(dual());
        let (id, asked) = client.sent_call();
        assert_eq!(asked["method"], "server/discover");
        client.lose(id, &lost);
        let found = match (&client.events()[..], &client.frames()[..]) {
            ([], [frame]) if frame["method"] == "initialize" => Then::Initialize,
            ([], [frame]) if frame["method"] == "server/discover" => Then::Discover,
            ([Event::Closed { reason, .. }], []) => Then::Closed(reason.clone()),
            other => panic!("{lost}: {other:?}"),
        };
        assert_eq!(found, then, "{lost}");
    }
    let mut client = Node::client(dual());
    let (id, _) = client.sent_call();
    let data = json!({"supported": ["2026-07-28"], "requested": "x"});
    let error = ErrorObject::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, "no").with_data(data);
    client.lose(id, &Lost::Refused { status: 400, error: Some(Box::new(error)), detail: String::new() });
    assert_eq!(client.methods(), ["server/discover"], "once more, in a revision that it lists");
}

/// A client that speaks only one era has nothing to fall back to, and says what came.
#[test]
fn without_another_era_the_reason_is_what_came() {
    let mut config = client_config();
    config.versions = [V2026_07_28].to_vec();
    let mut client = Node::client(config);
    let (id, _) = client.sent_call();
    client.lose(id, &refused(404, None));
    assert_eq!(client.closed_by(), Some(CloseReason::HandshakeLost(refused(404, None))));

    for lost in [refused(400, None), refused(401, None), refused(502, None), broken(), unsent()] {
        let mut client = Node::client(client_config());
        let (id, asked) = client.sent_call();
        assert_eq!(asked["method"], "initialize");
        client.lose(id, &lost);
        let reason = client.closed_by().unwrap();
        assert_eq!(reason, CloseReason::HandshakeLost(lost.clone()));
        assert!(reason.to_string().contains(&lost.to_string()), "{reason}");
    }
}

/// The probe was answered late, when `initialize` was already under way; then that fails, in whatever way.
#[test]
fn a_late_modern_answer_counts_when_initialize_is_lost() {
    for lost in [refused(404, Some(-32601)), refused(500, None), broken()] {
        let mut config = dual();
        config.probe_deadline = Duration::from_secs(5);
        let mut client = Node::client(config);
        let (_, probe) = client.sent_call();
        client.wait(Duration::from_secs(6));
        let (id, asked) = client.sent_call();
        assert_eq!(asked["method"], "initialize");
        client.tell(&json!({"jsonrpc": "2.0", "id": probe["id"], "result": {"resultType": "complete",
            "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private", "capabilities": {}}}));
        client.lose(id, &lost);
        assert!(matches!(client.events()[..], [Event::Ready { era: Era::Modern, .. }]), "{lost}");
    }
}

/// "When a client receives HTTP 404 in response to a request containing an `Mcp-Session-Id`, it MUST start a new session by sending a
/// new `InitializeRequest` without a session ID attached."
#[test]
fn a_session_that_is_gone_is_begun_anew_and_no_call_is_orphaned() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let kept = client.ask("tools/list", &json!({}));
    let wire = client.frames()[0]["id"].clone();
    let open = client.ask("tools/call", &json!({"name": "t"}));
    client.frames();
    client.tell(&json!({"jsonrpc": "2.0", "id": 5, "method": "roots/list"}));
    let (asked, ..) = client.take_request();
    let queued = client.ask("tools/call", &json!({"name": "t"}));
    client.forget(&[kept]);

    let mut ends = Vec::new();
    let mut cancelled = Vec::new();
    for event in client.events() {
        match event {
            Event::Response { id, result: Err(RequestError::Lost(lost)) } => {
                ends.push((id, lost.may_have_been_executed()));
            }
            Event::Cancelled { id, .. } => cancelled.push(id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ends, [(open, true), (queued, false)]);
    assert_eq!(cancelled, [asked]);
    client.release(asked);

    let (_, initialize) = client.sent_call();
    assert!(client.frames().is_empty(), "nothing of the old session is sent");
    assert_eq!(client.conn.version(), None);
    let refused = client.request(&body("tools/list", &json!({})), &CallOptions::default()).unwrap_err();
    assert_eq!(refused.why, Why::NotReady);
    client.initialized(&initialize);
    client.tell(&json!({"jsonrpc": "2.0", "id": wire, "result": {"tools": []}}));
    assert_eq!(client.take_response(), (kept, Ok(json!({"tools": []}))), "the driver has sent it again");
    client.ask("tools/list", &json!({}));
    assert_eq!(client.methods(), ["tools/list"]);
}

#[test]
fn a_server_that_forgets_every_session_is_given_up() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    for _ in 0..5 {
        client.forget(&[]);
        let (_, initialize) = client.sent_call();
        client.initialized(&initialize);
    }
    client.forget(&[]);
    assert_eq!(client.closed_by(), Some(CloseReason::Forgotten(5)));

    let mut client = Node::client_in(V2025_06_18, |_| {});
    for _ in 0..50 {
        client.forget(&[]);
        let (_, initialize) = client.sent_call();
        client.initialized(&initialize);
        client.wait(Duration::from_secs(12));
    }
}

#[test]
fn whoever_closes_begins_no_new_session() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let call = client.ask("tools/list", &json!({}));
    client.frames();
    client.close(Duration::from_secs(5));
    client.forget(&[call]);
    assert_eq!(kinds(&client.events()), ["response", "closed"]);
    assert!(client.frames().is_empty());
}

#[test]
fn without_a_session_there_is_none_to_lose() {
    for mut node in [Node::client(client_config()), Node::server_in(V2025_11_25, |_| {})] {
        node.frames();
        node.forget(&[]);
        assert!(node.frames().is_empty() && node.events().is_empty());
    }
}

/// While a person is asked who asks, no call and no handshake times out; what has passed before counts, and goes on afterwards.
#[test]
fn clocks_stand_still_while_the_transport_waits_for_a_person() {
    let hold = |node: &mut Node, hold: Hold| node.step(|conn, now| conn.handle_hold(now, hold));
    let mut client = Node::client(client_config());
    client.frames();
    client.wait(Duration::from_secs(20));
    hold(&mut client, Hold::Begins);
    client.wait(Duration::from_secs(500));
    assert!(client.events().is_empty());
    hold(&mut client, Hold::Ends);
    client.wait(Duration::from_secs(9));
    assert!(client.events().is_empty());
    client.wait(Duration::from_millis(1100));
    assert!(matches!(client.closed_by(), Some(CloseReason::HandshakeTimedOut(_))));

    // A call that is made meanwhile, and a question of the server that is answered meanwhile, change nothing of that.
    let mut client = Node::client_in(V2025_11_25, |_| {});
    hold(&mut client, Hold::Begins);
    let call = client.ask("tools/list", &json!({}));
    client.tell(&json!({"jsonrpc": "2.0", "id": 5, "method": "roots/list"}));
    let (asked, ..) = client.take_request();
    client.respond(asked, &json!({"roots": []})).unwrap();
    client.wait(Duration::from_secs(500));
    assert!(client.events().is_empty());
    hold(&mut client, Hold::Ends);
    client.wait(Duration::from_millis(60_100));
    assert!(matches!(client.take_response(), (id, Err(RequestError::TimedOut(_))) if id == call));
}

#[test]
fn what_tells_of_a_cancelled_call_names_it() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let call = client.ask("tools/list", &json!({}));
    client.frames();
    client.cancel(call, "enough");
    let (about, frame) = client.sent();
    assert_eq!((about, &frame["method"]), (About::Cancel(call), &json!("notifications/cancelled")));
}
