//! Lists in pages: order, cursors, and what happens to them when the list changes in between.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::time::Duration;

use common::{Raw, modern, request, serve};
use mcp::model::CacheScope;
use mcp::{Cached, Item, Lenient, Prompt, Resource, ResourceTemplate, Server, Tool};
use serde_json::{Value, json};

fn tools(names: &[&str]) -> Server {
    let tool = |name: &&str| Tool::new(*name, "", async || "");
    names.iter().map(tool).fold(Server::new("s", "1"), Server::tool)
}

async fn page(raw: &mut Raw, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
    let params = cursor.map_or(json!({}), |cursor| json!({ "cursor": cursor }));
    let answer = raw.ask(request(1, "tools/list", params)).await;
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    (names, answer["result"]["nextCursor"].as_str().map(str::to_owned))
}

/// server/utilities/pagination: every item once, in the order of registration; no cursor after the last page.
#[tokio::test]
async fn pages_follow_each_other() {
    let mut raw = serve(&tools(&["z", "y", "x", "w", "v"]).page_size(2));
    raw.initialize("2025-11-25").await;
    let (mut names, mut next) = page(&mut raw, None).await;
    let mut pages = 1;
    while let Some(cursor) = next {
        let (more, after) = page(&mut raw, Some(&cursor)).await;
        names.extend(more);
        (next, pages) = (after, pages + 1);
    }
    assert_eq!((names.join(""), pages), ("zyxwv".to_owned(), 3));
    let mut raw = serve(&tools(&["z", "y"]).page_size(2));
    raw.initialize("2025-11-25").await;
    assert_eq!(page(&mut raw, None).await.1, None);
}

/// A cursor stays right when what it points at is gone and more has come.
#[tokio::test]
async fn a_cursor_survives_an_update() {
    let server = tools(&["a", "b", "c", "d"]).page_size(2);
    let mut raw = serve(&server);
    raw.initialize("2025-11-25").await;
    let (names, next) = page(&mut raw, None).await;
    assert_eq!(names, ["a", "b"]);
    server
        .update(|edit| {
            edit.remove(Item::Tool("a")).remove(Item::Tool("b")).remove(Item::Tool("c"));
            edit.tool(Tool::new("e", "", async || ""));
        })
        .unwrap();
    raw.heard().await;
    assert_eq!(page(&mut raw, next.as_deref()).await, (vec!["d".to_owned(), "e".to_owned()], None));
}

/// server/utilities/caching (2026-07-28): all pages of a list MUST have the same scope.
#[tokio::test]
async fn all_pages_of_a_list_have_one_scope() {
    let server = tools(&["a", "b", "c"])
        .prompt(Prompt::new("p", "", async || ""))
        .prompt(Prompt::new("q", "", async || ""))
        .page_size(1)
        .cache(Cached::Tools, Duration::from_secs(1), CacheScope::Public)
        .cache(Cached::Prompts, Duration::from_secs(1), CacheScope::Private);
    let mut raw = serve(&server);
    for (method, expected) in [("tools/list", ["public"; 3].as_slice()), ("prompts/list", &["private"; 2])] {
        let (mut scopes, mut params) = (Vec::new(), json!({}));
        loop {
            let result = raw.ask(modern(1, method, params)).await["result"].clone();
            scopes.push(result["cacheScope"].as_str().unwrap().to_owned());
            let Some(next) = result["nextCursor"].as_str() else { break };
            params = json!({ "cursor": next });
        }
        assert_eq!(scopes, expected, "{method}");
    }
}

/// server/utilities/pagination, error handling: -32602 for a cursor that this list never gave.
#[tokio::test]
async fn a_foreign_cursor_is_refused() {
    let server = tools(&["a", "b"]).page_size(1).resource(Resource::text("a://1", "1", ""));
    let mut raw = serve(&server.resource(Resource::text("a://2", "2", "")));
    raw.initialize("2025-11-25").await;
    let foreign = raw.ask(request(1, "resources/list", json!({}))).await["result"]["nextCursor"].clone();
    assert!(foreign.is_string());
    for cursor in [foreign, json!(""), json!("tool.ffff"), json!("tool.+0"), json!("tool.00"), json!(3)] {
        let answer = raw.ask(request(1, "tools/list", json!({ "cursor": cursor }))).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

/// Faults of a definition are told at once, and those that an application is lenient about are none.
#[tokio::test]
async fn rules_are_strict_unless_relaxed() {
    let server = || {
        tools(&["two words", "a", "a"])
            .resource(Resource::text("a://1", "1", ""))
            .resource(Resource::text("a://1", "2", ""))
            .prompt(Prompt::new("p", "first", async || ""))
            .prompt(Prompt::new("p", "second", async || ""))
            .resource_template(ResourceTemplate::new("b://{x}", "1", async || ""))
            .resource_template(ResourceTemplate::new("b://{x}", "2", async || ""))
    };
    let error = mcp_tokio::pair(server()).await.unwrap_err().to_string();
    for fault in [
        "\"two words\"",
        "two of the tool \"a\"",
        "two of the resource \"a://1\"",
        "two of the prompt \"p\"",
        "two of the resource template \"b://{x}\"",
    ] {
        assert!(error.contains(fault), "{error}");
    }
    let mut raw = serve(&server().lenient(Lenient::Names).lenient(Lenient::Duplicates));
    raw.initialize("2025-11-25").await;
    assert_eq!(page(&mut raw, None).await.0, ["two words", "a"]);
    let error = mcp_tokio::pair(tools(&[""]).lenient(Lenient::Names)).await.unwrap_err().to_string();
    assert!(error.contains("the tool name \"\" must not be empty"), "{error}");
    let listed: Value = raw.ask(request(1, "resources/list", json!({}))).await;
    assert_eq!(listed["result"]["resources"][0]["name"], "2", "{listed}");
    let listed: Value = raw.ask(request(1, "prompts/list", json!({}))).await;
    assert_eq!(listed["result"]["prompts"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["result"]["prompts"][0]["description"], "second", "{listed}");
}
