//! Tools: what they give, how they tell of their work, and how they end.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_lite::future::or;
use mcp::model::{CallToolResult, ListToolsResult, LoggingLevel};
use mcp::{Client, ErrorCode};
use serde_json::{Value, json};

use super::Walk;
use crate::connect::Outcome;
use crate::transcript::{Transcript, check, same};

pub(super) async fn take(walk: Walk<'_>, transcript: &mut Transcript) {
    let client = walk.client;
    transcript.step("tools/list", list(client)).await;
    transcript.step("a text", text(client, "test_simple_text", "This is a simple text response for testing.")).await;
    transcript.step("an image", content(client, "test_image_content", &["image"])).await;
    transcript.step("a sound", content(client, "test_audio_content", &["audio"])).await;
    transcript.step("an embedded resource", content(client, "test_embedded_resource", &["resource"])).await;
    let mixed = ["text", "image", "resource"];
    transcript.step("several blocks", content(client, "test_multiple_content_types", &mixed)).await;
    transcript.step("a link", content(client, "test_resource_link", &["resource_link"])).await;
    transcript.step("structured content", structured(client)).await;
    transcript.step("a tool that fails", failing(client)).await;
    transcript.step("a tool that nobody has", unknown(client)).await;
    transcript.step("wrong arguments", wrong_arguments(client)).await;
    transcript.step("a schema of 2020-12", schema(client)).await;
    transcript.step("progress", progress(client)).await;
    transcript.step("log messages", logs(walk)).await;
    transcript.step("a tool that blocks its thread", blocking(client)).await;
    transcript.step("twenty calls side by side", side_by_side(client)).await;
    transcript.step("a call that is dropped", dropped(client)).await;
    transcript.step("a call that takes too long", too_long(client)).await;
    let back = "Reconnection test completed successfully. If you received this, the client properly reconnected after \
                stream closure.";
    transcript.step("a stream that may be cut", text(client, "test_reconnection", back)).await;
}

async fn list(client: &Client) -> Outcome<String> {
    let page: ListToolsResult = client.list_tools_page(None).await?;
    let tools = client.list_tools().await?;
    check(tools.len() >= page.tools.len() && !page.tools.is_empty(), "fewer than on the first page")?;
    check(tools.iter().all(|tool| tool.description.is_some()), "a tool has no description")?;
    Ok(format!("{} tools", tools.len()))
}

/// The text that a tool gives.
pub(super) async fn told(client: &Client, tool: &str, arguments: Value) -> Outcome<String> {
    let result = client.call_tool(tool, arguments).await?;
    check(!result.is_error(), &format!("{tool} has failed: {}", result.joined_text()))?;
    Ok(result.joined_text())
}

/// A tool without arguments that gives this text.
pub(super) async fn text(client: &Client, tool: &str, wanted: &str) -> Outcome<String> {
    let found = told(client, tool, json!({})).await?;
    same(found.as_str(), wanted)?;
    Ok(found)
}

async fn content(client: &Client, tool: &str, kinds: &[&str]) -> Outcome<String> {
    let result = client.call_tool(tool, ()).await?;
    same(result.content.iter().map(|block| block.kind()).collect::<Vec<_>>(), kinds.to_vec())?;
    Ok(kinds.join(", "))
}

async fn structured(client: &Client) -> Outcome<String> {
    let result = client.call_tool("test_structured_content", json!({ "a": 1, "b": 2 })).await?;
    let sum: Value = result.structured()?;
    same(sum, json!({ "sum": 3 }))?;
    Ok(result.joined_text())
}

async fn failing(client: &Client) -> Outcome<String> {
    let result = client.call_tool("test_error_handling", ()).await?;
    check(result.is_error(), "it has not failed")?;
    same(result.joined_text().as_str(), "This tool intentionally returns an error for testing")?;
    Ok("a result that says so".to_owned())
}

async fn unknown(client: &Client) -> Outcome<String> {
    let error = client.call_tool("test_no_such_tool", ()).await.err().ok_or("it exists")?;
    same(error.rpc().map(|error| error.code), Some(ErrorCode::INVALID_PARAMS))?;
    Ok(error.to_string())
}

/// Shown to the model from 2025-11-25 on, an error of the protocol before.
async fn wrong_arguments(client: &Client) -> Outcome<String> {
    match client.call_tool("test_structured_content", json!({ "a": "one", "b": 2 })).await {
        Ok(result) => {
            check(result.is_error(), "they are fine with it")?;
            Ok(result.joined_text())
        }
        Err(error) => {
            same(error.rpc().map(|error| error.code), Some(ErrorCode::INVALID_PARAMS))?;
            Ok(error.to_string())
        }
    }
}

async fn schema(client: &Client) -> Outcome<String> {
    let tools = client.list_tools().await?;
    let tool = tools.iter().find(|tool| tool.name == "json_schema_2020_12_tool").ok_or("no such tool")?;
    let keys = ["$schema", "$defs", "allOf", "if", "then", "else", "additionalProperties"];
    check(keys.iter().all(|key| tool.input_schema.contains_key(*key)), "something is lost of its schema")?;
    let located = tools.iter().find(|tool| tool.name == "test_header_parameter").ok_or("no such tool")?;
    same(&located.input_schema["properties"]["region"]["x-mcp-header"], &json!("Region"))?;
    same(told(client, "test_header_parameter", json!({ "region": "here" })).await?.as_str(), "Run in here")?;
    let arguments = json!({ "name": "Ada", "email": "ada@example.com" });
    told(client, "json_schema_2020_12_tool", arguments).await
}

async fn progress(client: &Client) -> Outcome<String> {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let call = client.call_tool("test_tool_with_progress", ()).on_progress(move |progress| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((progress.progress, progress.total));
    });
    let result = call.await?;
    let steps = steps.lock().unwrap_or_else(PoisonError::into_inner).clone();
    same(steps, vec![(0.0, Some(100.0)), (50.0, Some(100.0)), (100.0, Some(100.0))])?;
    Ok(format!("0, 50 and 100 of 100 by the token {}", result.joined_text()))
}

/// In 2026-07-28 asked for with the call; before, by the level of the session.
async fn logs(walk: Walk<'_>) -> Outcome<String> {
    let before = walk.heard.now().logs.len();
    let call = walk.client.call_tool("test_tool_with_logging", ());
    let call = if walk.is_modern() { call.log_level(LoggingLevel::Info) } else { call };
    call.await?;
    let notes = walk.heard.until(|notes| notes.logs.len() >= before + 3).await?;
    let said = notes.logs[before..].iter().map(|entry| entry.data.clone()).collect::<Vec<_>>();
    same(
        said,
        vec![json!("Tool execution started"), json!("Tool processing data"), json!("Tool execution completed")],
    )?;
    let quiet = walk.client.call_tool("test_logging_tool", ()).await?;
    same(quiet.joined_text().as_str(), "Logging evaluated")?;
    if walk.is_modern() {
        same(walk.heard.now().logs.len(), before + 3)?;
        return Ok("three where asked for, none where not".to_owned());
    }
    walk.heard.until(|notes| notes.logs.len() > before + 3).await?;
    Ok("four".to_owned())
}

async fn blocking(client: &Client) -> Outcome<String> {
    let result = client.call_tool("test_blocking", json!({ "n": 1000 })).await?;
    same(result.structured::<u32>()?, 168)?;
    Ok("168 primes up to 1000".to_owned())
}

async fn side_by_side(client: &Client) -> Outcome<String> {
    let mut calls = Vec::new();
    for number in 0..20_i64 {
        let call = client.call_tool("test_structured_content", json!({ "a": number, "b": number })).into_future();
        calls.push(async move {
            let sum: Value = call.await?.structured()?;
            same(sum, json!({ "sum": number * 2 }))
        });
    }
    all(calls).await?;
    Ok("each has its own answer".to_owned())
}

/// Polls all of them until each has ended; the first error ends it.
async fn all(futures: Vec<impl Future<Output = Outcome>>) -> Outcome {
    let mut open = futures.into_iter().map(Box::pin).collect::<Vec<_>>();
    std::future::poll_fn(|cx| {
        let mut fault = Ok(());
        open.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(Ok(())) => false,
            std::task::Poll::Ready(error) => {
                fault = error;
                false
            }
        });
        if open.is_empty() || fault.is_err() { std::task::Poll::Ready(fault) } else { std::task::Poll::Pending }
    })
    .await
}

/// Dropping a call cancels it on the server.
async fn dropped(client: &Client) -> Outcome<String> {
    let (begins, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let call = client.call_tool("test_cancellation", ()).on_progress(move |_| {
        let _ = begins.send(());
    });
    let call: Pin<Box<dyn Future<Output = mcp::Result<CallToolResult>>>> = Box::pin(call.into_future());
    let ended = async { Some(call.await) };
    // It is at work once it says so; then the call is dropped.
    let at_work = async {
        begun.recv().await;
        None
    };
    if let Some(ended) = or(ended, at_work).await {
        return Err(format!("it ended by itself: {ended:?}").into());
    }
    let cancelled = client.call_tool("test_cancelled_calls", json!({ "at_least": 1 })).await?;
    check(cancelled.structured::<u32>()? >= 1, "the server was not told")?;
    Ok("the server has heard of it".to_owned())
}

async fn too_long(client: &Client) -> Outcome<String> {
    let call = client.call_tool("test_cancellation", ()).idle(Duration::from_millis(200));
    let error = call.await.err().ok_or("it ended by itself")?;
    check(error.is_timeout(), &error.to_string())?;
    let cancelled = client.call_tool("test_cancelled_calls", json!({ "at_least": 2 })).await?;
    check(cancelled.structured::<u32>()? >= 2, "the server was not told")?;
    Ok(error.to_string())
}
