//! Answers that belong to somebody else than the connection.

mod common;

use std::sync::{Arc, Mutex};

use common::{serve, soon};
use mcp::{Context, Message, Routed, Server, Session, Tool, ToolError};
use serde_json::{Value, json};

type Seen = Arc<Mutex<Vec<(&'static str, Value)>>>;

fn note(seen: &Seen, router: &'static str, response: &Message) {
    let response = serde_json::from_str(response.text()).expect("JSON");
    seen.lock().expect("no panic under it").push((router, response));
}

/// Routers are asked in order, before the connection; what one takes, nobody else sees, result or error. What none takes is
/// matched as ever, and what belongs to nobody ends no session.
#[tokio::test]
async fn answers_are_offered_to_routers_first() {
    let seen = Seen::default();
    let (first, second) = (Arc::clone(&seen), Arc::clone(&seen));
    let server = Server::new("s", "1")
        .route_responses(move |response: &Message| {
            note(&first, "first", response);
            assert!(!response.text().contains("panic"), "one that panics has not taken it");
            Routed::PassedOn
        })
        .route_responses(move |response: &Message| {
            note(&second, "second", response);
            if response.text().contains("mine") { Routed::Taken } else { Routed::PassedOn }
        })
        .on_notification("vendor/reserve", async |session: Session, _: Value| {
            let id = session.reserve_id().expect("an id");
            session.notify("vendor/reserved", &json!({ "id": id })).expect("room");
        })
        .tool(Tool::new("asks", "", async |ctx: Context| -> Result<String, ToolError> {
            Ok(ctx.roots("roots").await?.len().to_string())
        }));
    let mut raw = serve(&server);
    raw.initialize_with("2025-11-25", json!({ "roots": {} })).await;
    raw.send(json!({ "jsonrpc": "2.0", "method": "vendor/reserve" })).await;
    let reserved = soon(raw.heard()).await["params"]["id"].clone();
    raw.send(json!({ "jsonrpc": "2.0", "id": reserved, "result": { "mine": true } })).await;
    raw.send(json!({ "jsonrpc": "2.0", "id": 77, "error": { "code": 1, "message": "mine" } })).await;
    raw.send(json!({ "jsonrpc": "2.0", "id": 78, "result": { "panic": 1 } })).await;
    raw.send(common::call(1, "asks", json!({}))).await;
    let asked = soon(raw.heard()).await;
    assert_eq!(asked["method"], "roots/list");
    assert_ne!(asked["id"], reserved, "a reserved id is nobody else's");
    raw.send(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "roots": [{ "uri": "file:///a" }] } })).await;
    let answer = soon(raw.heard()).await;
    assert_eq!(answer["result"]["content"][0]["text"], "1", "{answer}");
    let seen = seen.lock().expect("no panic under it").clone();
    let routers: Vec<_> = seen.iter().map(|(router, _)| *router).collect();
    assert_eq!(routers, ["first", "second", "first", "second", "first", "second", "first", "second"]);
    assert_eq!(seen[1].1["id"], reserved);
}
