//! A server by hand: two tools, one answered in the loop and one by a thread, which reports how far it is.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mcp_proto::model::{
    CallToolResult, Implementation, ListToolsResult, Progress, ServerCapabilities, Tool, ToolsCapability,
};
use mcp_proto::{
    Body, Connection, ErrorObject, Event, InboundId, Message, ProtocolVersion, RequestMeta, ResultKind, ServerConfig,
    Start,
};
use serde_json::{Map, Value, json};

use crate::wire::{Heard, Next, Wire};

/// What a thread says about the request that it works on.
enum Work {
    At(InboundId, u32, u32),
    Done(InboundId, String),
}

#[derive(serde::Deserialize)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(serde::Deserialize)]
struct Count {
    to: u32,
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let mut config = ServerConfig::new(Implementation::new("blocking", "1.0.0"));
    config.versions = ProtocolVersion::ALL.to_vec();
    config.capabilities = ServerCapabilities::default().with_tools(ToolsCapability::default());
    let mut wire = Wire::new(std::io::stdin(), std::io::stdout(), |now| {
        Connection::server(Arc::new(config), Start::Handshake, now)
    });
    // Which requests threads are at work on, and how each is told that nobody wants its answer any more.
    let mut at_work = BTreeMap::<InboundId, Arc<AtomicBool>>::new();
    loop {
        match wire.next() {
            Next::Event(Event::Request { id, message, meta }) => serve(&mut wire, &mut at_work, id, &message, &meta)?,
            Next::Event(Event::Cancelled { id, .. }) => {
                if let Some(is_cancelled) = at_work.get(&id) {
                    is_cancelled.store(true, Ordering::Relaxed);
                }
            }
            Next::Work(Work::At(id, done, total)) => {
                // Too late is no fault: the request may be over by now.
                let progress = Progress::new(done).with_total(total);
                let _ = wire.connection.progress(wire.now(), id, progress);
            }
            Next::Work(Work::Done(id, text)) => {
                at_work.remove(&id);
                let now = wire.now();
                let body = Body::result(&CallToolResult::text(text))?;
                let _ = wire.connection.respond(now, id, ResultKind::Complete, body, None);
                // Of a cancelled request, which is not answered, this is what frees its place.
                wire.connection.release(now, id);
            }
            Next::Event(_) => {}
            Next::Over => return Ok(()),
        }
    }
}

fn serve(
    wire: &mut Wire<Work>,
    at_work: &mut BTreeMap<InboundId, Arc<AtomicBool>>,
    id: InboundId,
    message: &Message,
    meta: &RequestMeta,
) -> Result<(), Box<dyn Error>> {
    let arguments = message.arguments().map_or("{}", |arguments| arguments.as_str());
    let answer = match (message.method(), message.name()) {
        ("tools/list", _) => {
            let listed = ListToolsResult::new().with_tools(tools());
            // In 2026-07-28 a list says for how long it is fresh.
            if meta.version.rules().result_type {
                Body::result(&listed.cached(Duration::from_secs(60), mcp_proto::model::CacheScope::Public))?
            } else {
                Body::result(&listed)?
            }
        }
        ("tools/call", Some("add")) => match serde_json::from_str(arguments) {
            Ok(Add { a, b }) => Body::result(&CallToolResult::text(a.saturating_add(b).to_string()))?,
            Err(error) => Body::result(&CallToolResult::error(error.to_string()))?,
        },
        ("tools/call", Some("count")) => match serde_json::from_str(arguments) {
            Ok(Count { to }) => {
                let is_cancelled = Arc::new(AtomicBool::new(false));
                at_work.insert(id, Arc::clone(&is_cancelled));
                let sender = wire.sender();
                thread::spawn(move || {
                    for done in 1..=to {
                        thread::sleep(Duration::from_millis(10)); // slow on purpose
                        if is_cancelled.load(Ordering::Relaxed)
                            || sender.send(Heard::Work(Work::At(id, done, to))).is_err()
                        {
                            break;
                        }
                    }
                    // Said in any case, since a cancelled request keeps its place until then.
                    let _ = sender.send(Heard::Work(Work::Done(id, format!("counted to {to}"))));
                });
                return Ok(());
            }
            Err(error) => Body::result(&CallToolResult::error(error.to_string()))?,
        },
        ("tools/call", name) => {
            let error = ErrorObject::invalid_params(format!("unknown tool: {:.200}", name.unwrap_or_default()));
            let _ = wire.connection.reject(wire.now(), id, &error);
            return Ok(());
        }
        (method, _) => {
            let _ = wire.connection.reject(wire.now(), id, &ErrorObject::method_not_found(method));
            return Ok(());
        }
    };
    // Gone meanwhile is no fault, and one that is too large was answered with an error.
    let _ = wire.connection.respond(wire.now(), id, ResultKind::Complete, answer, None);
    Ok(())
}

fn tools() -> Vec<Tool> {
    let schema = |properties: Value, required: Value| {
        Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("properties".to_owned(), properties),
            ("required".to_owned(), required),
        ])
    };
    let integer = || json!({ "type": "integer" });
    let add = schema(json!({ "a": integer(), "b": integer() }), json!(["a", "b"]));
    let count = schema(json!({ "to": integer() }), json!(["to"]));
    vec![
        Tool::new("add", add).with_description("Add two numbers"),
        Tool::new("count", count).with_description("Count, and tell how far"),
    ]
}
