//! Input that is no message: answered where an id can be read, counted, surfaced, survived (specification: basic).

use std::format;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{Event, Rule};
use crate::jsonrpc::Fault;
use crate::model::ProtocolVersion::{self, V2025_03_26, V2025_06_18, V2025_11_25};

/// What a fault is answered with.
enum Answer {
    /// With this id and code.
    To(Value, i64),
    /// Without a readable id.
    Unidentified(i64),
    /// Not at all: it was no request.
    Silence,
}

use Answer::{Silence, To, Unidentified};

fn faults() -> Vec<(Vec<u8>, Answer)> {
    let deep = format!(r#"{{"jsonrpc":"2.0","id":31,"method":"a","params":{{"a":{}}}}}"#, "[".repeat(100_000));
    let closed = format!(
        r#"{{"jsonrpc":"2.0","id":32,"method":"a","params":{{"a":{}1{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let line = |text: &str| text.as_bytes().to_vec();
    [
        (line("x"), Unidentified(-32700)),
        (line("{"), Unidentified(-32700)),
        (line("}"), Unidentified(-32700)),
        (line("\"text\""), Unidentified(-32600)),
        (line("17"), Unidentified(-32600)),
        (line("null"), Unidentified(-32600)),
        (line("[]"), Unidentified(-32600)),
        (line(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), Unidentified(-32600)),
        (line("{}"), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","id":1}"#), To(json!(1), -32600)),
        (line(r#"{"id":2,"method":"ping"}"#), To(json!(2), -32600)),
        (line(r#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#), To(json!(3), -32600)),
        (line(r#"{"jsonrpc":2.0,"id":4,"method":"ping"}"#), To(json!(4), -32600)),
        (line(r#"{"jsonrpc":"2.0","id":5,"method":7}"#), To(json!(5), -32600)),
        (line(r#"{"jsonrpc":"2.0","id":6,"METHOD":"ping"}"#), To(json!(6), -32600)),
        (line(r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}"#), To(json!(7), -32600)),
        (line(r#"{"jsonrpc":"2.0","method":"ping","m\u0065thod":"x","id":"8"}"#), To(json!("8"), -32600)),
        (line(r#"{"jsonrpc":"2.0","id":9,"method":"a","params":[1]}"#), To(json!(9), -32602)),
        (line(r#"{"jsonrpc":"2.0","id":10,"method":"a","params":"x"}"#), To(json!(10), -32602)),
        (line(r#"{"jsonrpc":"2.0","id":11,"method":"a","params":{"_meta":[]}}"#), To(json!(11), -32602)),
        (line(r#"{"jsonrpc":"2.0","id":12,"method":"a","result":{}}"#), To(json!(12), -32600)),
        (line(r#"{"jsonrpc":"2.0","id":13,"method":"a","error":{"code":1,"message":"m"}}"#), To(json!(13), -32600)),
        (line(r#"{"jsonrpc":"2.0","id":14,"method":"a","params":{"n":01}}"#), To(json!(14), -32700)),
        (line(r#"{"jsonrpc":"2.0","id":15,"method":"a",}"#), To(json!(15), -32700)),
        (line(r#"{"jsonrpc":"2.0","id":16,"method":"a"} x"#), To(json!(16), -32700)),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":17,\"method\":\"a\",\"params\":{\"t\":\"\xFF\"}}".to_vec(),
            To(json!(17), -32700),
        ),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"\xC3\xA9\",\"method\":\"\xED\xA0\x80\"}".to_vec(), To(json!("é"), -32700)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"\xC3\",\"method\":\"a\"}".to_vec(), Unidentified(-32700)),
        (line(&deep), To(json!(31), -32600)),
        (line(&closed), To(json!(32), -32600)),
        (line(r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","id":1e3,"method":"a"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","id":{"id":1},"method":"a"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","id":[1],"method":"a"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#), Unidentified(-32600)),
        (line(r#"{"jsonrpc":"2.0","method":"a","params":{"id":1,"n":01},"id":null}"#), Unidentified(-32700)),
        (line(r#"{"jsonrpc":"2.0","method":7}"#), Silence),
        (line(r#"{"jsonrpc":"2.0","method":"notifications/x","params":[]}"#), Silence),
        (line(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#), Silence),
        (line(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#), Silence),
        (line(r#"{"jsonrpc":"2.0","result":{}}"#), Silence),
        (line(r#"{"jsonrpc":"2.0","id":null,"result":{}}"#), Silence),
    ]
    .into()
}

/// basic: JSON-RPC 2.0, section 5.1: the error carries the id of the request, or none where it could not be read. A
/// notification and a response are never answered. Nothing of all that harms a request in work.
#[test]
fn every_fault_is_answered_with_its_id_if_there_is_one() {
    for version in ProtocolVersion::LEGACY {
        let mut server = Node::server_in(version, |_| {});
        server.tell(&call(&json!("in work")));
        let (id, ..) = server.take_request();
        for (line, answer) in faults() {
            if version == V2025_03_26 && line.starts_with(b"[{") {
                // The one revision with batches.
                continue;
            }
            let shown = std::string::String::from_utf8_lossy(&line[..line.len().min(100)]).into_owned();
            server.bytes(&[&line[..], b"\n"].concat());
            assert_eq!(kinds(&server.events()), ["misbehaved"], "{shown}");
            let frames = server.frames();
            match answer {
                Silence => assert!(frames.is_empty(), "{shown} {frames:?}"),
                To(id, code) => {
                    assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&id, &json!(code)), "{shown}");
                }
                Unidentified(code) => {
                    assert_eq!(frames[0]["error"]["code"], code, "{shown}");
                    // JSON-RPC 2.0 writes null, the schema of 2025-11-25 leaves the member out.
                    let expected = (version < V2025_11_25).then_some(Value::Null);
                    assert_eq!(frames[0].get("id").cloned(), expected, "{shown} {version}");
                }
            }
            assert!(frames.len() <= 1);
        }
        server.respond(id, &json!({})).unwrap();
        assert_eq!(server.frames()[0]["id"], "in work");
        let served = usize::from(version == V2025_03_26);
        assert_eq!(server.conn.stats().broken_rules as usize, faults().len() - served);
    }
}

/// On a child's stdout anybody may print. A client surfaces what is no JSON, answers none of it, and never holds it
/// against the server, however much it is (server/transports, stdio).
#[test]
fn noise_on_a_clients_input_is_never_fatal_and_never_answered() {
    let mut client = Node::client_in(V2025_06_18, |config| config.limits.strikes = 3);
    for round in 0..500 {
        for noise in
            [&b"Server listening"[..], b"[INFO] x", b"\xFF\xFE", b"{oops", b"\x1B[31mred\x1B[0m", b"{\"a\":1", b"]"]
        {
            client.bytes(&[noise, b"\n"].concat());
        }
        let events = client.events();
        assert_eq!(events.len(), 7);
        for event in events {
            assert!(matches!(event, Event::Misbehaved { rule: Rule::Noise(_), .. }), "{round} {event:?}");
        }
    }
    assert!(client.frames().is_empty());
    client.ask("ping", &json!({}));
    let id = client.frames()[0]["id"].clone();
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    assert!(client.take_response().1.is_ok());
}

/// Before the handshake, too: banners are what servers print first.
#[test]
fn a_banner_before_the_handshake_is_survived() {
    let mut client = Node::client(client_config());
    client.frames();
    client.bytes(b"\xEF\xBB\xBFWelcome!\r\n\r\n   \n");
    assert_eq!(client.broken_rules().len(), 1);
    client.tell(&json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18", "capabilities": {},
        "serverInfo": {"name": "s", "version": "1"}}}));
    assert_eq!(kinds(&client.events()), ["ready"]);
}

/// A request that a client cannot read, but whose id it can, is answered: the server does not have to wait.
#[test]
fn a_client_answers_faults_whose_id_it_can_read() {
    let mut client = Node::client_in(V2025_06_18, |_| {});
    client.line(r#"{"jsonrpc":"2.0","id":"q","method":"roots/list","params":[]}"#);
    client.line(r#"{"jsonrpc":"2.0","id":null,"method":"roots/list"}"#);
    client.line(r#"[1]"#);
    let frames = client.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!((&frames[0]["id"], &frames[0]["error"]["code"]), (&json!("q"), &json!(-32602)));
    assert_eq!(client.broken_rules().len(), 3);
}

/// What is shown of a fault is short, however long the line was.
#[test]
fn the_detail_of_a_fault_is_short() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.line(&"é".repeat(100_000));
    let events = server.events();
    let [Event::Misbehaved { rule: Rule::Malformed(Fault::NotJson(0)), detail }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(detail.starts_with('é') && detail.len() <= 1024);
}

/// An id that is no integer of 64 bits cannot be served, but it can be echoed as it was written.
#[test]
fn an_integer_beyond_64_bits_is_echoed_verbatim() {
    for id in ["9223372036854775808", "-9223372036854775809", "100000000000000000000000"] {
        let mut server = Node::server_in(V2025_06_18, |_| {});
        server.line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
        let frame = server.step(|conn, _| conn.poll_transmit()).unwrap().frame;
        let text = std::str::from_utf8(&frame).unwrap();
        assert!(text.contains(&format!(r#""id":{id},"#)) && text.contains("-32600"), "{text}");
    }
}

/// basic/transports, stdio: messages are lines. A prefix with their length, as other protocols have it, is a line that is no message;
/// what follows it is served.
#[test]
fn a_prefix_with_the_length_is_no_message() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.bytes(b"Content-Length: 39\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
    let frames = server.frames();
    assert_eq!((&frames[0]["error"]["code"], frames.len()), (&json!(-32700), 2));
    assert_eq!(frames[1], json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    assert_eq!(server.broken_rules().len(), 1);
}

/// A line after a bad one is read from its start: the stream finds its way back at the next line end.
#[test]
fn the_stream_goes_on_at_the_next_line() {
    let mut server = Node::server_in(V2025_06_18, |_| {});
    server.bytes(
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\n\"method\":\"ping\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n",
    );
    let frames = server.frames();
    assert_eq!(frames.last().unwrap(), &json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
    assert_eq!(server.broken_rules().len(), 2);
}
