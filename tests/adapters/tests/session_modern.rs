//! The stateless era (2026-07-28) between our own client and server: no handshake, questions instead of requests of the server.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::soon;
use mcp::model::{ElicitParams, ElicitResult, LoggingLevel};
use mcp::process::Command;
use mcp::{Client, ClientBuilder, Context, ErrorCode, Form, ProtocolVersion, Server, Tool, Why};
use serde_json::{Map, Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

/// A client of both eras whose person answers every question with the question itself.
fn modern() -> ClientBuilder {
    Client::builder("modern", "1").versions(ProtocolVersion::ALL).on_elicit(async |question: ElicitParams| {
        match question.message.as_str() {
            "decline" => ElicitResult::decline(),
            text => ElicitResult::accept(Map::from_iter([("name".to_owned(), Value::from(text))])),
        }
    })
}

async fn ask(ctx: &Context, key: &str, question: &str) -> mcp::Result<String> {
    let answer = ctx.elicit(key, Form::of::<Name>(question)).await?;
    Ok(mcp::accepted::<Name>(&answer)?.map_or_else(|| "nobody".to_owned(), |form| form.name))
}

async fn connect(server: Server) -> Client {
    let client = soon(mcp_tokio::pair_with(server, modern())).await.unwrap();
    assert_eq!(client.version(), ProtocolVersion::V2026_07_28);
    client
}

/// basic/patterns (2026-07-28), multi round-trip requests: the same handler body as in the older era; it is run again with
/// the answer at hand.
#[tokio::test]
async fn a_question_is_answered_in_a_second_round() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&runs);
    let tool = Tool::new("greet", "", move |ctx: Context| {
        counts.fetch_add(1, Ordering::SeqCst);
        async move { ask(&ctx, "who", "Ada").await.map(|name| format!("Hello, {name}!")) }
    });
    let client = connect(Server::new("s", "1").tool(tool)).await;
    let result = soon(client.call_tool("greet", ()).into_future()).await.unwrap();
    assert_eq!(result.joined_text(), "Hello, Ada!");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

/// Questions asked one after the other take a round each; what was answered before travels along.
#[tokio::test]
async fn answers_of_earlier_rounds_are_kept() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&runs);
    let tool = Tool::new("three", "", move |ctx: Context| {
        counts.fetch_add(1, Ordering::SeqCst);
        async move {
            let (a, b) = (ask(&ctx, "a", "one").await?, ask(&ctx, "b", "decline").await?);
            Ok::<_, mcp::Error>(format!("{a} {b} {}", ask(&ctx, "c", "three").await?))
        }
    });
    let client = connect(Server::new("s", "1").tool(tool)).await;
    let result = soon(client.call_tool("three", ()).into_future()).await.unwrap();
    assert_eq!(result.joined_text(), "one nobody three");
    assert_eq!(runs.load(Ordering::SeqCst), 4);
}

/// All questions of a round go out together.
#[tokio::test]
async fn questions_asked_side_by_side_take_one_round() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&runs);
    let tool = Tool::new("both", "", move |ctx: Context| {
        counts.fetch_add(1, Ordering::SeqCst);
        async move {
            let (a, b) = tokio::join!(ask(&ctx, "a", "left"), ask(&ctx, "b", "right"));
            Ok::<_, mcp::Error>(format!("{} {}", a?, b?))
        }
    });
    let client = connect(Server::new("s", "1").tool(tool.blocking())).await;
    let result = soon(client.call_tool("both", ()).into_future()).await.unwrap();
    assert_eq!(result.joined_text(), "left right");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

/// A client that did not declare elicitation is not asked: -32021 tells what is missing.
#[tokio::test]
async fn a_client_that_cannot_be_asked_is_told_what_it_lacks() {
    let tool = Tool::new("greet", "", async |ctx: Context| ask(&ctx, "who", "Ada").await);
    let plain = Client::builder("plain", "1").versions(ProtocolVersion::ALL);
    let client = soon(mcp_tokio::pair_with(Server::new("s", "1").tool(tool), plain)).await.unwrap();
    let error = soon(client.call_tool("greet", ()).into_future()).await.unwrap_err();
    let error = error.rpc().expect("an error of the server");
    assert_eq!(error.code, ErrorCode::MISSING_CLIENT_CAPABILITY);
    assert_eq!(error.data.as_ref().unwrap()["requiredCapabilities"]["elicitation"], json!({ "form": {} }));
}

/// server/utilities/logging (2026-07-28): nothing is logged for a request that did not ask.
#[tokio::test]
async fn logs_come_only_for_requests_that_ask() {
    let (heard, mut entries) = tokio::sync::mpsc::unbounded_channel();
    let tool = Tool::new("log", "", async |ctx: Context| {
        ctx.log(LoggingLevel::Info, "info")?;
        ctx.log(LoggingLevel::Error, "error")?;
        Ok::<_, mcp::Error>("done")
    });
    let builder = modern().on_log(move |entry| heard.send(entry.data).unwrap());
    let client = soon(mcp_tokio::pair_with(Server::new("s", "1").logging().tool(tool), builder)).await.unwrap();
    soon(client.call_tool("log", ()).into_future()).await.unwrap();
    soon(client.call_tool("log", ()).log_level(LoggingLevel::Error).into_future()).await.unwrap();
    assert_eq!(soon(entries.recv()).await, Some(json!("error")));
    soon(client.close()).await;
    assert!(entries.try_recv().is_err());
}

/// basic (2026-07-28): there is no ping, and no level of a session.
#[tokio::test]
async fn what_the_era_does_not_have_is_an_error_on_this_side() {
    let client = connect(Server::new("s", "1").tool(Tool::new("t", "", async || "t"))).await;
    for error in [
        soon(client.ping().into_future()).await.unwrap_err(),
        soon(client.set_log_level(LoggingLevel::Info).into_future()).await.unwrap_err(),
    ] {
        assert!(matches!(error, mcp::Error::Send { why: Why::NotInThisRevision, .. }), "{error:?}");
    }
    assert_eq!(soon(client.call_tool("t", ()).into_future()).await.unwrap().joined_text(), "t");
}

/// A server that does not survive the question which era it speaks is started once more, and not asked.
#[tokio::test]
async fn a_server_that_dies_of_the_probe_is_started_again() {
    let command = Command::new(env!("CARGO_BIN_EXE_peer")).arg("touchy");
    let client = soon(mcp_tokio::spawn_with(command, modern())).await.unwrap();
    assert_eq!(client.version(), ProtocolVersion::V2025_11_25);
    soon(client.call_tool("echo", json!({ "text": "hi" })).into_future()).await.unwrap();
    soon(client.close()).await.unwrap();
}
