//! What a client makes of questions that its server may not ask, or asks in odd ways.

mod common;

use common::{Raw, soon};
use mcp::model::{ElicitParams, ElicitResult};
use mcp::{Client, ClientBuilder};
use serde_json::{Map, Value, json};

/// A client of 2025-11-25 and a server by hand.
async fn by_hand(builder: ClientBuilder) -> (Client, Raw) {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    let mut raw = Raw::memory(there);
    let handshake = async {
        let request = raw.heard().await;
        let info = json!({ "name": "raw", "version": "1" });
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": info });
        raw.send(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
        assert_eq!(raw.heard().await["method"], "notifications/initialized");
    };
    let builder = builder.versions([mcp::ProtocolVersion::V2025_11_25]);
    let client = mcp_tokio::connect_stream(reader, writer, builder);
    let (client, ()) = soon(async { tokio::join!(client, handshake) }).await;
    (client.expect("connected"), raw)
}

fn elicit(id: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params })
}

/// client/elicitation (2025-11-25): a client MUST answer a mode that it has not declared with −32602, and take a request without a
/// mode for a form.
#[tokio::test]
async fn only_the_declared_mode_is_answered_and_without_one_it_is_a_form() {
    let builder = Client::builder("forms", "1").on_elicit(async |question: ElicitParams| {
        assert!(question.requested_schema.is_some(), "nobody is asked by URL");
        ElicitResult::accept(Map::from_iter([("said".to_owned(), Value::from(question.message))]))
    });
    let (_client, mut raw) = by_hand(builder).await;
    let form = json!({ "message": "m", "requestedSchema": { "type": "object", "properties": {} } });
    let mut with_mode = form.clone();
    with_mode["mode"] = json!("form");
    for params in [form.clone(), with_mode] {
        let answer = raw.ask(elicit("form", params)).await;
        assert_eq!(answer["result"], json!({ "action": "accept", "content": { "said": "m" } }));
    }
    for mode in ["url", "voice"] {
        let mut params = form.clone();
        (params["mode"], params["url"], params["elicitationId"]) =
            (json!(mode), json!("https://x.example"), json!("e"));
        let answer = raw.ask(elicit(mode, params)).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(mode), "{answer}");
    }
    raw.is_served().await;
}

/// client/elicitation (2025-11-25): a client MUST ignore that an elicitation is complete of which it knows nothing.
#[tokio::test]
async fn an_unknown_completion_is_ignored() {
    let (_client, mut raw) = by_hand(Client::builder("c", "1").on_elicit(async |_| ElicitResult::decline())).await;
    for params in [json!({ "elicitationId": "unknown" }), json!({ "elicitationId": 7 }), json!({})] {
        raw.send(json!({ "jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": params })).await;
        raw.is_served().await;
    }
}

/// client/roots, client/sampling: what was not declared does not exist, and is refused by itself.
#[tokio::test]
async fn what_was_not_declared_is_no_method() {
    let (_client, mut raw) = by_hand(Client::builder("bare", "1")).await;
    for method in ["roots/list", "sampling/createMessage", "elicitation/create", "vendor/any"] {
        let answer = raw.ask(json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": {} })).await;
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
    }
    raw.is_served().await;
}
