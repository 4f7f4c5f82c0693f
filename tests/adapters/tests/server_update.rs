//! Changing what a server offers while it serves: who sees it, who is told, and what stays as it was.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use common::{Raw, call, modern, request, serve, soon, until};
use mcp::{Change, Item, LocalBus, Prompt, Resource, ResourceTemplate, Server, Tool};
use serde_json::{Value, json};

fn tool(name: &'static str) -> Tool {
    Tool::new(name, "", move || async move { name })
}

async fn open(server: &Server) -> Raw {
    let mut raw = serve(server);
    raw.initialize("2025-11-25").await;
    raw
}

async fn names(raw: &mut Raw) -> Vec<String> {
    let answer = raw.ask(json!({ "jsonrpc": "2.0", "id": "list", "method": "tools/list" })).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn changed() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {} })
}

/// server/tools, list changed notification: a server that declared `listChanged` tells it.
#[tokio::test]
async fn every_connection_sees_an_update_and_is_told() {
    let server = Server::new("s", "1").tool(tool("a"));
    let (mut one, mut two) = (open(&server).await, open(&server).await);
    server.update(|edit| _ = edit.tool(tool("b"))).unwrap();
    for raw in [&mut one, &mut two] {
        assert_eq!(raw.heard().await, changed());
        assert_eq!(names(raw).await, ["a", "b"]);
    }
    server.update(|edit| _ = edit.remove(Item::Tool("a"))).unwrap();
    assert_eq!(one.heard().await, changed());
    let answer = one.ask(call(1, "a", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

/// server/resources and server/prompts, list changed notifications: whatever comes or goes at run time is told, in both eras, and is
/// there.
#[tokio::test]
async fn every_kind_of_change_is_told() {
    let server = Server::new("s", "1")
        .tool(tool("a"))
        .prompt(Prompt::new("p", "", async || "p"))
        .resource(Resource::text("a://1", "1", "one"));
    let (mut old, mut new) = (open(&server).await, serve(&server));
    let all = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true });
    new.send(modern("sub", "subscriptions/listen", json!({ "notifications": all }))).await;
    assert_eq!(new.heard().await["params"]["notifications"], all);
    type Update = fn(&mut mcp::Edit);
    let updates: [(&str, Update); 5] = [
        ("tools", |edit| _ = edit.tool(tool("b"))),
        ("prompts", |edit| _ = edit.prompt(Prompt::new("q", "", async || "q"))),
        ("resources", |edit| _ = edit.resource(Resource::text("a://2", "2", "two"))),
        ("resources", |edit| _ = edit.resource_template(ResourceTemplate::new("b://{x}", "b", async || "b"))),
        ("resources", |edit| _ = edit.remove(Item::Resource("a://1"))),
    ];
    for (kind, update) in updates {
        server.update(update).unwrap();
        for raw in [&mut old, &mut new] {
            assert_eq!(raw.heard().await["method"], format!("notifications/{kind}/list_changed"));
        }
    }
    for (uri, there) in [("a://1", false), ("a://2", true), ("b://x", true)] {
        let answer = old.ask(request(1, "resources/read", json!({ "uri": uri }))).await;
        assert_eq!(answer.get("result").is_some(), there, "{answer}");
    }
    old.is_served().await;
}

/// Who hides a tool hides it from lists and calls; who shows it again gets it back where it stood.
#[tokio::test]
async fn what_is_disabled_is_as_unknown() {
    let server = Server::new("s", "1").tool(tool("a")).tool(tool("b"));
    let mut raw = open(&server).await;
    server.update(|edit| _ = edit.disable(Item::Tool("a"))).unwrap();
    assert_eq!(raw.heard().await, changed());
    assert_eq!(names(&mut raw).await, ["b"]);
    let answer = raw.ask(call(1, "a", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    server.update(|edit| _ = edit.enable(Item::Tool("a"))).unwrap();
    assert_eq!(raw.heard().await, changed());
    assert_eq!(names(&mut raw).await, ["a", "b"]);
    assert_eq!(raw.ask(call(2, "a", json!({}))).await["result"]["content"][0]["text"], "a");
}

/// An update with a fault changes nothing, and one that clients cannot see tells nothing.
#[tokio::test]
async fn only_real_changes_are_told() {
    let server = Server::new("s", "1").tool(tool("a"));
    let mut raw = open(&server).await;
    let error = server.update(|edit| _ = edit.tool(tool("b")).remove(Item::Tool("c"))).unwrap_err();
    assert!(error.to_string().contains("there is no tool \"c\""), "{error}");
    server.update(|edit| _ = edit.tool(tool("a")).disable(Item::Tool("a")).enable(Item::Tool("a"))).unwrap();
    assert_eq!(names(&mut raw).await, ["a"]);
    raw.is_served().await;
}

/// Building on from a clone makes another server.
#[tokio::test]
async fn a_clone_that_is_built_on_leaves_the_original() {
    let server = Server::new("s", "1").tool(tool("a"));
    let more = server.clone().tool(tool("b"));
    let (mut old, mut new) = (open(&server).await, open(&more).await);
    assert_eq!(names(&mut old).await, ["a"]);
    assert_eq!(names(&mut new).await, ["a", "b"]);
    more.update(|edit| _ = edit.tool(tool("c"))).unwrap();
    assert_eq!(new.heard().await, changed());
    old.is_served().await;
}

/// A change reaches the clients of the other server on the bus, and does not come back.
#[tokio::test]
async fn a_bus_joins_two_servers() {
    let bus = LocalBus::default();
    let one = Server::new("one", "1").tool(tool("a")).bus(bus.clone());
    let two = Server::new("two", "1").tool(tool("a")).bus(bus);
    let (mut here, mut there) = (open(&one).await, open(&two).await);
    one.changed(Change::Tools);
    for raw in [&mut here, &mut there] {
        assert_eq!(raw.heard().await, changed());
        raw.is_served().await;
    }
}

/// The hub holds no more than the connections that are open.
#[tokio::test]
async fn ended_connections_leave_no_trace() {
    let server = Server::new("s", "1").tool(tool("a"));
    let kept = open(&server).await;
    for _ in 0..10_000 {
        let (ours, theirs) = mcp::memory::duplex(1024);
        drop(ours);
        let (reader, writer) = theirs.into_split();
        soon(mcp_tokio::serve_stream(reader, writer, server.clone())).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    drop(kept);
    until(|| server.connections() == 0).await;
}

/// A tool can change the server that serves it.
#[tokio::test]
async fn a_handler_reaches_its_server() {
    let grow = Tool::new("grow", "", async |ctx: mcp::Context| {
        ctx.server().update(|edit| _ = edit.tool(tool("grown"))).map(|()| "grown")
    });
    let server = Server::new("s", "1").tool(grow);
    let (mut raw, mut other) = (open(&server).await, open(&server).await);
    raw.send(call(1, "grow", json!({}))).await;
    let heard = [raw.heard().await, raw.heard().await];
    assert!(heard.contains(&changed()), "{heard:?}");
    assert_eq!(other.heard().await, changed());
    assert_eq!(names(&mut other).await, ["grow", "grown"]);
}
