//! Faults of servers, and of clients towards them, that users of many SDKs have suffered from, each by its number in the manifest
//! (`tests/manifest/pains.txt`): the client's side.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::{Arc, Mutex};

use common::scripted::{Scripted, note, result};
use common::{soon, until};
use mcp::model::{ContentBlock, StringArguments};
use mcp::{Client, ProtocolVersion};
use serde_json::{Value, json};

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

fn client() -> mcp::ClientBuilder {
    Client::builder("lenient", "1")
}

/// Answers every request of a method with this result.
fn always(answer: Value) -> impl FnMut(&Value) -> Vec<Value> + Send + 'static {
    move |message| if message["id"].is_null() { Vec::new() } else { vec![result(message, answer.clone())] }
}

/// A server that echoes numeric ids as texts.
#[tokio::test]
async fn pain_32_an_id_that_comes_back_as_text_is_the_one_that_was_sent() {
    for version in [D, E] {
        let answer = |message: &Value| {
            let token = &message["params"]["_meta"]["progressToken"];
            let mut answer = result(message, json!({ "content": [] }));
            answer["id"] = json!(message["id"].to_string());
            let progress = json!({ "progressToken": token.to_string(), "progress": 1 });
            vec![note("notifications/progress", progress), answer]
        };
        let (client, _) = Scripted::new(version).connect(client(), answer).await;
        let heard = Arc::new(Mutex::new(0));
        let count = Arc::clone(&heard);
        soon(client.call_tool("t", ()).on_progress(move |_| *count.lock().unwrap() += 1)).await.unwrap();
        assert_eq!(*heard.lock().unwrap(), 1);
    }
}

/// Servers that leave out what the specification requires, or write null for it.
#[tokio::test]
async fn pain_32_absent_members_break_nothing() {
    for version in [D, E] {
        for empty in
            [json!({}), json!({ "content": null, "structuredContent": { "a": 1 }, "isError": null, "_meta": null })]
        {
            let (client, _) = Scripted::new(version).connect(client(), always(empty)).await;
            let called = soon(client.call_tool("t", ())).await.unwrap();
            assert!(called.content.is_empty() && !called.is_error());
            assert!(soon(client.list_tools()).await.unwrap().is_empty());
            assert!(soon(client.list_resources()).await.unwrap().is_empty());
            assert!(soon(client.list_resource_templates()).await.unwrap().is_empty());
            assert!(soon(client.list_prompts()).await.unwrap().is_empty());
            assert!(soon(client.read_resource("f")).await.unwrap().contents.is_empty());
            assert!(soon(client.get_prompt("p", StringArguments::new())).await.unwrap().messages.is_empty());
        }
    }
    // Notifications without parameters, and with null for them.
    let changed = Arc::new(Mutex::new(0));
    let count = Arc::clone(&changed);
    let builder = client().on_tools_changed(move |_| {
        *count.lock().unwrap() += 1;
        std::future::ready(())
    });
    let (_client, stage) = Scripted::new(D).connect(builder, always(json!({}))).await;
    stage.say(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    // Two that wait at once would be one.
    until(|| *changed.lock().unwrap() == 1).await;
    stage.say(note("notifications/tools/list_changed", Value::Null));
    until(|| *changed.lock().unwrap() == 2).await;
}

/// Integers written as fractions of nothing, progress in fractions, large and negative numbers.
#[tokio::test]
async fn pain_32_numbers_are_read_however_they_are_written() {
    let answer = |message: &Value| {
        let token = &message["params"]["_meta"]["progressToken"];
        let progress = |at: Value| {
            note("notifications/progress", json!({ "progressToken": token, "progress": at, "total": 10.0 }))
        };
        let resources = json!([
            { "uri": "a", "name": "a", "size": 3.0 },
            { "uri": "b", "name": "b", "size": 9_007_199_254_740_993_i64 },
        ]);
        vec![
            progress(json!(0)),
            progress(json!(0.5)),
            progress(json!(1)),
            progress(json!(1e3)),
            result(message, json!({ "resources": resources, "ttlMs": 5000.0, "cacheScope": "private" })),
        ]
    };
    for version in [D, E] {
        let (client, _) = Scripted::new(version).connect(client(), answer).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let page = client.list_resources_page(None).on_progress(move |it| notes.lock().unwrap().push(it.progress));
        let page = soon(page).await.unwrap();
        let sizes = page.resources.iter().map(|it| it.size).collect::<Vec<_>>();
        assert_eq!(sizes, [Some(3), Some(9_007_199_254_740_993)]);
        assert_eq!(page.ttl_ms, Some(5000));
        assert_eq!(*heard.lock().unwrap(), [0.0, 0.5, 1.0, 1000.0]);
    }
}

/// Values that a later revision may bring: they are kept, and written back as they came.
#[tokio::test]
async fn pain_32_unknown_values_and_members_are_kept() {
    let tool = json!({
        "name": "t",
        "inputSchema": { "type": "object", "x-vendor": { "deep": [1, null] } },
        "execution": { "taskSupport": "sometimes" },
        "icons": [{ "src": "https://example.com", "theme": "sepia", "glow": true }],
        "color": "green",
    });
    let listed = json!({ "tools": [tool], "cacheScope": "family", "shelf": 3 });
    for version in [D, E] {
        let (client, _) = Scripted::new(version).connect(client(), always(listed.clone())).await;
        let page = soon(client.list_tools_page(None)).await.unwrap();
        assert_eq!(serde_json::to_value(&page).unwrap(), listed, "{version}");
        let answer = always(
            json!({ "messages": [{ "role": "oracle", "content": { "type": "text", "text": "t", "tone": 1 } }] }),
        );
        let (client, _) = Scripted::new(version).connect(self::client(), answer).await;
        let prompt = soon(client.get_prompt("p", StringArguments::new())).await.unwrap();
        assert_eq!(prompt.messages[0].role.as_str(), "oracle");
    }
}

/// Methods, notifications, kinds of content and error codes of somebody's own.
#[tokio::test]
async fn pain_45_what_nobody_here_knows_passes_through() {
    for version in [D, E] {
        let hologram = json!({ "type": "hologram", "depth": 3, "mimeType": "x/y" });
        let answer = move |message: &Value| match message["method"].as_str().unwrap() {
            "tools/call" => vec![result(message, json!({ "content": [hologram, { "type": "text", "text": "t" }] }))],
            "vendor/result" => vec![result(message, json!({ "any": [1, { "b": null }] }))],
            "vendor/error" => {
                let error = json!({ "code": 418, "message": "teapot", "data": { "short": true }, "stout": 1 });
                vec![json!({ "jsonrpc": "2.0", "id": message["id"], "error": error })]
            }
            _ => Vec::new(),
        };
        let (heard, mut notes) = tokio::sync::mpsc::unbounded_channel();
        let builder = client().on_notification(move |notification| {
            heard.send((notification.method().to_owned(), notification.params::<Value>().unwrap())).unwrap();
            std::future::ready(())
        });
        let (client, stage) = Scripted::new(version).connect(builder, answer).await;
        let called = soon(client.call_tool("t", ())).await.unwrap();
        let ContentBlock::Other { kind, members } = &called.content[0] else { panic!("{called:?}") };
        assert_eq!((kind.as_str(), &members["depth"]), ("hologram", &json!(3)));
        assert_eq!(called.joined_text(), "t");
        let custom = soon(client.request::<Value>("vendor/result", &json!({}))).await.unwrap();
        assert_eq!(custom["any"], json!([1, { "b": null }]));
        let error = soon(client.request::<Value>("vendor/error", &json!({}))).await.unwrap_err();
        let error = error.rpc().unwrap();
        assert_eq!((error.code.0, error.message.as_str()), (418, "teapot"));
        assert_eq!(error.data, Some(json!({ "short": true })));
        stage.say(note("notifications/vendor/thing", json!({ "n": [1] })));
        assert_eq!(soon(notes.recv()).await.unwrap(), ("notifications/vendor/thing".to_owned(), json!({ "n": [1] })));
    }
}

/// A gateway hands requests and results on as JSON: not a member is lost or changed on the way, whatever it means.
#[tokio::test]
async fn pain_49_requests_and_results_pass_as_they_are() {
    let params = json!({ "name": "t", "arguments": { "b": 1, "a": [null, 1.5, "\u{2028}"] }, "vendor": { "x": null } });
    let answered = json!({ "content": [{ "type": "text", "text": "t", "_meta": { "k": 1 } }], "vendor": [null, { "_meta": 1 }],
        "structuredContent": null });
    for version in [D, E] {
        let (client, stage) = Scripted::new(version).connect(client(), always(answered.clone())).await;
        let passed = soon(client.request::<Value>("tools/call", &params)).await.unwrap();
        assert_eq!(passed, answered, "{version}");
        let mut heard = stage.heard()[0]["params"].clone();
        heard.as_object_mut().unwrap().remove("_meta");
        assert_eq!(heard, params, "{version}");
    }
}
