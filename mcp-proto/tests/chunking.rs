//! A whole session, fed to a fresh server in every possible pair of pieces: the bytes that come out are always the same.

use std::sync::Arc;

use mcp_proto::model::{
    Implementation, LogParams, LoggingLevel, Progress, ServerCapabilities, Supported, ToolsCapability,
};
use mcp_proto::{Body, CallOptions, Connection, ErrorObject, Event, ResultKind, Scope, ServerConfig, Start, Timestamp};
use serde_json::{Value, json};

/// What a client once sent: all kinds of messages, and all kinds of mistakes.
const SESSION: &str = concat!(
    "\u{feff}\r\n",
    r#"{"jsonrpc":"2.0","id":"early","method":"tools/list"}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\r\n",
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":"t"}}}"#,
    "\n\n",
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"reused"}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"fast","arguments":{"text":"é😀\u2028"}}}"#,
    "\n",
    "no json at all\n",
    r#"{"jsonrpc":"2.0","id":3,"method":"prompts/get","params":{"name":"gated"}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"asks"}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":5,"method":"vendor/thing","params":[1]}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"long","arguments":{"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":7,"method":"logging/setLevel","params":{"level":"error"}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"fast"}}"#,
);

fn server() -> Connection {
    let mut config = ServerConfig::new(Implementation::new("server", "1"));
    config.capabilities =
        ServerCapabilities::default().with_tools(ToolsCapability::default()).with_logging(Supported::default());
    config.limits.frame = 200;
    Connection::server(Arc::new(config), Start::Handshake, Timestamp::EPOCH)
}

/// What the application does when it hears of something. It looks after every message, as every driver does that wants
/// to be repeatable.
fn react(server: &mut Connection, event: Event) {
    let now = Timestamp::EPOCH;
    let Event::Request { id, message, .. } = event else { return };
    let log = |level| LogParams::new(level, json!(message.name()));
    for level in [LoggingLevel::Info, LoggingLevel::Error] {
        let body = Body::log(&log(level)).expect("a log message");
        server.notify(now, body, Scope::Within(id), None).expect("room");
    }
    match message.name() {
        Some("slow") => server.progress(now, id, Progress::new(1)).expect("progress"),
        Some("asks") => {
            let mut options = CallOptions::default();
            options.within = Some(id);
            server.request(now, Body::empty("roots/list").expect("a body"), options).expect("the client has roots");
        }
        Some("fast") => {
            let arguments: Value = message.arguments().map_or(Value::Null, |it| it.decode().expect("an object"));
            let body = Body::result(&json!({ "echo": arguments })).expect("a result");
            server.respond(now, id, ResultKind::Complete, body, None).expect("it is open");
        }
        _ => server.reject(now, id, &ErrorObject::method_not_found(message.method())).expect("it is open"),
    }
}

fn output_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut server = server();
    let mut out = Vec::new();
    let mut look = |server: &mut Connection| {
        while let Some(event) = server.poll_event() {
            react(server, event);
        }
        server.drain_lines(&mut out, usize::MAX);
    };
    for piece in pieces {
        // One message at a time, whatever came at once.
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            assert_eq!(server.handle_input(Timestamp::EPOCH, part), part.len());
            look(&mut server);
        }
    }
    server.handle_eof(Timestamp::EPOCH);
    look(&mut server);
    out
}

fn show(output: &[u8]) -> Vec<Value> {
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect()
}

/// The recorded session has the answers that its author had in mind, so that the tests below compare something.
#[test]
fn the_session_is_what_it_looks_like() {
    let frames = show(&output_of([SESSION.as_bytes()]));
    let answered = |id: Value| frames.iter().filter(|frame| frame["id"] == id && frame.get("method").is_none()).count();
    for id in [json!("early"), json!(0), json!(2), json!(3), json!(5), json!(6), json!(7), json!(8)] {
        assert_eq!(answered(id.clone()), 1, "{id} {frames:#?}");
    }
    assert_eq!(answered(json!(1)), 2, "the reused id and the ping; the cancelled call is not answered");
    let methods: Vec<_> = frames.iter().filter_map(|frame| frame["method"].as_str()).collect();
    assert_eq!(methods.iter().filter(|method| **method == "roots/list").count(), 1);
    assert_eq!(methods.iter().filter(|method| **method == "notifications/progress").count(), 1);
    assert_eq!(methods.iter().filter(|method| **method == "notifications/message").count(), 2 + 2 + 2 + 1);
}

/// basic/transports, stdio: messages are delimited by newlines, and by nothing else.
#[test]
fn every_split_in_two_gives_the_same_output() {
    let session = SESSION.as_bytes();
    let expected = output_of([session]);
    for at in 0..=session.len() {
        let (head, tail) = session.split_at(at);
        assert_eq!(output_of([head, tail]), expected, "split at {at}");
    }
}

/// The same, a byte at a time, and a few at a time.
#[test]
fn small_pieces_give_the_same_output() {
    let session = SESSION.as_bytes();
    let expected = output_of([session]);
    for size in [1, 2, 3, 5, 64, 4096] {
        assert_eq!(output_of(session.chunks(size)), expected, "pieces of {size}");
    }
}

/// A driver that looks only after everything was read gets the same core's answers; only its own come later.
#[test]
fn the_split_does_not_matter_to_a_lazy_driver_either() {
    let lazy = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut server = server();
        for piece in pieces {
            assert_eq!(server.handle_input(Timestamp::EPOCH, piece), piece.len());
        }
        let mut out = Vec::new();
        let mut events = Vec::new();
        while let Some(event) = server.poll_event() {
            events.push(format!("{event:?}"));
        }
        server.drain_lines(&mut out, usize::MAX);
        (events, out)
    };
    let session = SESSION.as_bytes();
    let expected = lazy(&mut [session].into_iter());
    for at in 0..=session.len() {
        let (head, tail) = session.split_at(at);
        assert_eq!(lazy(&mut [head, tail].into_iter()), expected, "split at {at}");
    }
    assert_eq!(lazy(&mut session.chunks(1)), expected);
}
