//! Subscriptions of both eras: who is told of what, once they asked and the server agreed.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::{Arc, Mutex};

use common::{Raw, modern, request, serve, until};
use mcp::{Change, HandlerError, LocalBus, Prompt, Resource, ResourceTemplate, Server, Tool};
use serde_json::{Value, json};

fn server() -> Server {
    Server::new("s", "1")
        .tool(Tool::new("t", "", async || "t"))
        .resource(Resource::text("a://1", "1", "one"))
        .resource(Resource::text("a://2", "2", "two"))
        .resource_template(ResourceTemplate::new("b://{x}", "b", async || "b"))
}

async fn session(server: &Server) -> Raw {
    let mut raw = serve(server);
    raw.initialize("2025-11-25").await;
    raw
}

async fn ask(raw: &mut Raw, method: &str, uri: &str) -> Value {
    raw.ask(request(uri, method, json!({ "uri": uri }))).await
}

fn updated(uri: &str) -> Change {
    Change::Resource(uri.to_owned())
}

/// server/resources, subscriptions: updates come for what was subscribed to, until that ends.
#[tokio::test]
async fn a_session_hears_of_what_it_subscribed_to() {
    let server = server();
    let mut raw = session(&server).await;
    for uri in ["a://1", "b://x"] {
        assert_eq!(ask(&mut raw, "resources/subscribe", uri).await["result"], json!({}));
    }
    let answer = ask(&mut raw, "resources/subscribe", "c://none").await;
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    server.changed(updated("a://2"));
    raw.is_served().await;
    for uri in ["a://1", "b://x"] {
        server.changed(updated(uri));
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } });
        assert_eq!(raw.heard().await, told);
    }
    assert_eq!(ask(&mut raw, "resources/unsubscribe", "a://1").await["result"], json!({}));
    server.changed(updated("a://1"));
    raw.is_served().await;
}

/// basic/patterns/subscriptions (2026-07-28): the acknowledgement is first and says what of it this server offers; what
/// follows carries the subscription's id.
#[tokio::test]
async fn a_listen_is_granted_what_is_offered() {
    let server = server();
    let mut raw = serve(&server);
    let asked = json!({
        "toolsListChanged": true, "promptsListChanged": true,
        "resourceSubscriptions": ["a://1", "c://none", "b://y"],
    });
    raw.send(modern("sub", "subscriptions/listen", json!({ "notifications": asked }))).await;
    let told = |method: &str, mut params: Value| {
        params["_meta"] = json!({ "io.modelcontextprotocol/subscriptionId": "sub" });
        json!({ "jsonrpc": "2.0", "method": method, "params": params })
    };
    let granted = json!({ "toolsListChanged": true, "resourceSubscriptions": ["a://1", "b://y"] });
    let acknowledged = told("notifications/subscriptions/acknowledged", json!({ "notifications": granted }));
    assert_eq!(raw.heard().await, acknowledged);
    server
        .update(|edit| {
            edit.tool(Tool::new("u", "", async || "u")).prompt(Prompt::new("p", "", async || "p"));
            edit.resource(Resource::text("a://3", "3", ""));
        })
        .unwrap();
    assert_eq!(raw.heard().await, told("notifications/tools/list_changed", json!({})));
    server.changed(updated("a://2"));
    server.changed(updated("b://y"));
    assert_eq!(raw.heard().await, told("notifications/resources/updated", json!({ "uri": "b://y" })));
    let cancelled = json!({ "requestId": "sub" });
    raw.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled })).await;
    let answer = raw.ask(modern(2, "tools/list", json!({}))).await;
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 2, "{answer}");
    server.changed(Change::Tools);
    assert!(raw.ask(modern(3, "tools/list", json!({}))).await["result"].is_object());
}

/// The application decides who may subscribe to what, in both eras.
#[tokio::test]
async fn the_application_may_refuse_a_subscription() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&ended);
    let server = server()
        .on_subscribe(async |_, uri| match &*uri {
            "a://1" => Err(HandlerError::rpc(-7, "not for you")),
            _ => Ok(()),
        })
        .on_unsubscribe(move |_, uri| {
            told.lock().unwrap().push(uri);
            std::future::ready(Ok::<_, HandlerError>(()))
        });
    let mut raw = session(&server).await;
    assert_eq!(ask(&mut raw, "resources/subscribe", "a://1").await["error"]["code"], -7);
    assert_eq!(ask(&mut raw, "resources/subscribe", "a://2").await["result"], json!({}));
    assert_eq!(ask(&mut raw, "resources/unsubscribe", "a://2").await["result"], json!({}));
    assert_eq!(*ended.lock().unwrap(), ["a://2"]);
    server.changed(updated("a://1"));
    raw.is_served().await;

    let mut raw = serve(&server);
    let asked = json!({ "resourceSubscriptions": ["a://1", "a://2"] });
    raw.send(modern("sub", "subscriptions/listen", json!({ "notifications": asked }))).await;
    let granted = json!({ "resourceSubscriptions": ["a://2"] });
    assert_eq!(raw.heard().await["params"]["notifications"], granted);
}

/// What changed at one node is heard at another, by sessions and by subscriptions.
#[tokio::test]
async fn a_bus_carries_updates_of_resources() {
    let bus = LocalBus::default();
    let (one, two) = (server().bus(bus.clone()), server().bus(bus));
    let mut raw = session(&two).await;
    ask(&mut raw, "resources/subscribe", "a://1").await;
    one.changed(updated("a://1"));
    assert_eq!(raw.heard().await["params"], json!({ "uri": "a://1" }));
    raw.is_served().await;
}

/// A prompt that came by an update is told to sessions, but only if prompts were declared when they began.
#[tokio::test]
async fn kinds_that_were_not_declared_are_not_told() {
    let server = server();
    let mut raw = session(&server).await;
    server.update(|edit| _ = edit.prompt(Prompt::new("p", "", async || "p"))).unwrap();
    raw.is_served().await;
    let mut raw = session(&server).await;
    let listed = raw.ask(request(1, "prompts/list", json!({}))).await;
    assert_eq!(listed["result"]["prompts"][0]["name"], "p", "{listed}");
}

/// However a subscription ends, the application is told, once: by the client's wish, with its listen, with its connection.
#[tokio::test]
async fn the_end_of_a_subscription_is_told_once() {
    type Told = Arc<Mutex<Vec<(String, String)>>>;
    let told = Told::default();
    let (ends, begun) = (Arc::clone(&told), Arc::new(Mutex::new(0)));
    let (begins, stopped) = (Arc::clone(&begun), Arc::new(Mutex::new(false)));
    let (stops, at_stop) = (Arc::clone(&stopped), Arc::clone(&stopped));
    let server = server()
        .on_start(async || Ok::<_, String>(7u8))
        .on_stop(move |_: Arc<u8>| {
            *stops.lock().unwrap() = true;
            std::future::ready(())
        })
        .on_subscribe(move |_, _| {
            *begins.lock().unwrap() += 1;
            std::future::ready(Ok::<_, HandlerError>(()))
        })
        .on_unsubscribe(move |ctx, uri| {
            let (ends, at_stop) = (Arc::clone(&ends), Arc::clone(&at_stop));
            async move {
                tokio::task::yield_now().await;
                assert!(!*at_stop.lock().unwrap(), "the server has not stopped yet");
                ends.lock().unwrap().push((ctx.message().id().unwrap().to_string().replace('"', ""), uri.clone()));
                assert_ne!(uri, "b://panics", "as announced");
                if uri == "b://stays" { Err(HandlerError::rpc(-7, "stay")) } else { Ok(()) }
            }
        });
    let take = || {
        let mut told = std::mem::take(&mut *told.lock().unwrap());
        told.sort();
        told.into_iter().map(|(id, uri)| format!("{id} {uri}")).collect::<Vec<_>>()
    };
    let mut raw = session(&server).await;
    for uri in ["a://1", "a://2", "b://panics", "b://stays"] {
        assert_eq!(ask(&mut raw, "resources/subscribe", uri).await["result"], json!({}));
    }
    let unsubscribe = |uri: &str| request("un", "resources/unsubscribe", json!({ "uri": uri }));
    assert_eq!(raw.ask(unsubscribe("a://1")).await["result"], json!({}));
    assert_eq!(raw.ask(unsubscribe("b://stays")).await["error"]["code"], -7);
    assert_eq!(take(), ["un a://1", "un b://stays"]);
    drop(raw);
    until(|| *stopped.lock().unwrap()).await;
    assert_eq!(take(), ["a://2 a://2", "b://panics b://panics", "b://stays b://stays"]);
    *stopped.lock().unwrap() = false;

    let mut raw = serve(&server);
    let listen = |id: &str, uris: &[&str]| {
        modern(id, "subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": uris } }))
    };
    for (id, uris) in [("one", ["a://1", "a://2"]), ("two", ["a://1", "b://x"])] {
        raw.send(listen(id, &uris)).await;
        assert_eq!(raw.heard().await["params"]["notifications"]["resourceSubscriptions"], json!(uris));
    }
    let cancel =
        |id: &str| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    raw.send(cancel("one")).await;
    until(|| told.lock().unwrap().len() == 2).await;
    assert_eq!(take(), ["one a://1", "one a://2"]);
    // Cancelled as soon as it is asked for, with the same bytes.
    let before = *begun.lock().unwrap();
    raw.bytes(format!("{}\n{}\n", listen("three", &["a://1"]), cancel("three")).as_bytes()).await;
    assert!(raw.ask(modern("x", "tools/list", json!({}))).await["result"].is_object());
    let asked = *begun.lock().unwrap() - before;
    until(|| told.lock().unwrap().len() == asked).await;
    take();
    drop(raw);
    until(|| *stopped.lock().unwrap()).await;
    assert_eq!(take(), ["two a://1", "two b://x"]);
}
