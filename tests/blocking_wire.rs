//! The loop of the example without async under load: two of them, joined by pipes that hold less than what both write.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use mcp_proto::model::{Implementation, ServerCapabilities, ToolsCapability};
use mcp_proto::{Body, CallOptions, ClientConfig, Connection, Event, ResultKind, ServerConfig, Start};
use serde_json::json;

#[allow(dead_code, reason = "these two have no threads of their own that say something")]
#[path = "../examples/blocking/wire.rs"]
mod wire;

use wire::{Next, Wire};

/// Together several times what the pipes and one piece ahead on each side hold.
const CALLS: usize = 40;
const LENGTH: usize = 128 * 1024;

enum Nothing {}

fn serve(mut wire: Wire<Nothing>) {
    loop {
        match wire.next() {
            Next::Event(Event::Request { id, message, .. }) => {
                let text = message.arguments().map(|arguments| arguments.as_str().len());
                let result = Body::result(&json!({ "content": [], "text": "x".repeat(text.unwrap_or(0)) }));
                let result = result.expect("an object");
                wire.connection.respond(wire.now(), id, ResultKind::Complete, result, None).expect("still wanted");
            }
            Next::Event(_) => {}
            Next::Work(nothing) => match nothing {},
            Next::Over => return,
        }
    }
}

/// Sends everything at once, then looks at the answers.
fn flood(mut wire: Wire<Nothing>) -> usize {
    let mut answered = 0;
    loop {
        match wire.next() {
            Next::Event(Event::Ready { .. }) => {
                for _ in 0..CALLS {
                    let arguments = json!({ "text": "x".repeat(LENGTH) });
                    let body = Body::new("tools/call", &json!({ "name": "echo", "arguments": arguments }));
                    let now = wire.now();
                    wire.connection.request(now, body.expect("JSON"), CallOptions::default()).expect("there is room");
                }
            }
            Next::Event(Event::Response { result, .. }) => {
                let (_, message) = result.expect("an answer");
                assert!(message.size() > LENGTH);
                answered += 1;
                if answered == CALLS {
                    wire.connection.close(wire.now(), Duration::from_secs(2));
                }
            }
            Next::Event(_) => {}
            Next::Work(nothing) => match nothing {},
            Next::Over => return answered,
        }
    }
}

#[test]
fn two_that_both_write_more_than_the_pipes_hold_make_progress() {
    let (from_client, to_server) = std::io::pipe().expect("a pipe");
    let (from_server, to_client) = std::io::pipe().expect("a pipe");
    let mut config = ServerConfig::new(Implementation::new("s", "1"));
    config.capabilities = ServerCapabilities::default().with_tools(ToolsCapability::default());
    let server = thread::spawn(move || {
        let server = |now| Connection::server(Arc::new(config), Start::Handshake, now);
        serve(Wire::new(from_client, to_client, server));
    });
    let (tell, told) = channel();
    thread::spawn(move || {
        let config = ClientConfig::new(Implementation::new("c", "1"));
        let client = |now| Connection::client(Arc::new(config), now);
        tell.send(flood(Wire::new(from_server, to_server, client))).expect("the test waits");
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(CALLS), "they wait for each other");
    server.join().expect("the server ends with its client");
}
