//! Lists of a server: all pages, one page, and servers whose pages do not end.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::scripted::{Scripted, error, note, result};
use common::soon;
use mcp::model::LoggingLevel;
use mcp::{Client, Error, PageFault, ProtocolVersion};
use serde_json::{Map, Value, json};

const METHODS: [&str; 5] = ["tools/list", "resources/list", "resources/templates/list", "prompts/list", "tasks/list"];

/// Names of the items of each list, in `method` order.
async fn list_all(client: &Client) -> Vec<mcp::Result<Vec<String>>> {
    let tools = soon(client.list_tools().into_future()).await;
    let resources = soon(client.list_resources().into_future()).await;
    let templates = soon(client.list_resource_templates().into_future()).await;
    let prompts = soon(client.list_prompts().into_future()).await;
    let tasks = soon(client.list_tasks().into_future()).await;
    vec![
        tools.map(|all| all.into_iter().map(|it| it.name).collect()),
        resources.map(|all| all.into_iter().map(|it| it.name).collect()),
        templates.map(|all| all.into_iter().map(|it| it.name).collect()),
        prompts.map(|all| all.into_iter().map(|it| it.name).collect()),
        tasks.map(|all| all.into_iter().map(|it| it.task_id).collect()),
    ]
}

/// A page with one item of this name.
fn page(message: &Value, name: &str, next: &Value) -> Value {
    let item = json!({ "name": name, "uri": "f", "uriTemplate": "f", "inputSchema": { "type": "object" }, "taskId": name,
        "status": "working", "createdAt": "c", "lastUpdatedAt": "u", "ttl": null });
    let items = match message["method"].as_str().unwrap() {
        "resources/templates/list" => "resourceTemplates",
        method => method.split('/').next().unwrap(),
    };
    result(message, json!({ items: [item], "nextCursor": next }))
}

/// server/utilities/pagination: cursors are opaque; an empty one is a cursor, null and none are the end.
#[tokio::test]
async fn every_list_is_read_to_its_end() {
    let answer = |message: &Value| {
        let page_of = |name, next| vec![page(message, name, &next)];
        match message["params"].get("cursor").and_then(Value::as_str) {
            None => page_of("first", json!("")),
            Some("") => page_of("second", json!("\u{1f980} {\"a\":1}")),
            Some("\u{1f980} {\"a\":1}") => page_of("third", Value::Null),
            Some(other) => panic!("no cursor of ours: {other:?}"),
        }
    };
    let (client, stage) = Scripted::new(ProtocolVersion::V2025_11_25).connect(Client::builder("l", "1"), answer).await;
    for listed in list_all(&client).await {
        assert_eq!(listed.unwrap(), ["first", "second", "third"]);
    }
    for method in METHODS {
        assert_eq!(stage.heard_of(method).len(), 3);
    }
}

/// Pages that lead in circles, and pages without end.
#[tokio::test]
async fn every_list_that_does_not_end_is_an_error_that_names_it() {
    let looping = |message: &Value| vec![page(message, "again", &json!("again"))];
    let (client, _) = Scripted::new(ProtocolVersion::V2025_11_25).connect(Client::builder("l", "1"), looping).await;
    for (listed, method) in list_all(&client).await.into_iter().zip(METHODS) {
        let error = listed.unwrap_err();
        let fault = PageFault::Repeated { read: 2 };
        assert!(
            matches!(&error, Error::Pages { what, fault: found } if *what == method && *found == fault),
            "{error:?}"
        );
        assert!(error.to_string().contains(method), "{error}");
    }
    let count = AtomicUsize::new(0);
    let endless = move |message: &Value| {
        let next = count.fetch_add(1, Ordering::SeqCst).to_string();
        vec![page(message, "more", &json!(next))]
    };
    let (client, stage) = Scripted::new(ProtocolVersion::V2025_11_25).connect(Client::builder("l", "1"), endless).await;
    for (most, read) in [(0, 1), (1, 1), (7, 7)] {
        let before = stage.heard().len();
        let error = soon(client.list_tools().pages(most).into_future()).await.unwrap_err();
        assert!(matches!(error, Error::Pages { fault: PageFault::TooMany { read: found }, .. } if found == read));
        assert_eq!(stage.heard().len() - before, read);
    }
}

/// Options of a list are those of each page.
#[tokio::test]
async fn options_of_a_list_go_with_every_page() {
    let answer = |message: &Value| {
        let next = if message["params"]["cursor"].is_null() { json!("2") } else { Value::Null };
        let token = &message["params"]["_meta"]["progressToken"];
        vec![
            note("notifications/progress", json!({ "progressToken": token, "progress": 1 })),
            page(message, "item", &next),
        ]
    };
    let (client, stage) = Scripted::new(ProtocolVersion::V2026_07_28).connect(Client::builder("l", "1"), answer).await;
    let progressed = Arc::new(Mutex::new(0));
    let count = Arc::clone(&progressed);
    let meta = Map::from_iter([("vendor/key".to_owned(), json!("v"))]);
    let list = client.list_prompts().meta(meta).log_level(LoggingLevel::Error).cap(Duration::from_secs(60));
    let list = list.on_progress(move |_| *count.lock().unwrap() += 1);
    assert_eq!(soon(list.into_future()).await.unwrap().len(), 2);
    assert_eq!(*progressed.lock().unwrap(), 2);
    for message in stage.heard() {
        let meta = &message["params"]["_meta"];
        assert_eq!((&meta["vendor/key"], &meta["io.modelcontextprotocol/logLevel"]), (&json!("v"), &json!("error")));
    }
    let (client, _) = Scripted::new(ProtocolVersion::V2026_07_28).connect(Client::builder("l", "1"), |_| vec![]).await;
    let error = soon(client.list_tools().idle(Duration::from_millis(20)).into_future()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

/// A page that fails is the error of the list, with what it was.
#[tokio::test]
async fn a_cursor_that_leads_nowhere_is_the_servers_error() {
    let answer = |message: &Value| match message["params"]["cursor"].as_str() {
        None => vec![page(message, "first", &json!("stale"))],
        Some(_) => vec![error(message, -32602, "unknown cursor")],
    };
    let (client, _) = Scripted::new(ProtocolVersion::V2025_06_18).connect(Client::builder("l", "1"), answer).await;
    let error = soon(client.list_tools().into_future()).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32602);
    let one = soon(client.list_tools_page(None).into_future()).await.unwrap();
    assert_eq!(one.next_cursor.as_deref(), Some("stale"));
}
