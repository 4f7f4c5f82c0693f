//! The connection as a whole: who the server is, what is there, and what is not.

use std::collections::BTreeMap;

use mcp::model::LoggingLevel;
use mcp::{Client, Error, Started};
use serde_json::{Value, json};

use super::Walk;
use crate::connect::Outcome;
use crate::transcript::{Transcript, check, same};

pub(super) async fn take(walk: Walk<'_>, transcript: &mut Transcript) {
    let client = walk.client;
    transcript.step("who the server is", async { negotiated(client) }).await;
    transcript.step("ping", ping(walk)).await;
    transcript.step("server/discover", discover(walk)).await;
    transcript.step("logging/setLevel", set_level(walk)).await;
    transcript.step("a method of the server's own", custom(client)).await;
    transcript.step("a method that nobody has", unknown(client)).await;
    transcript.step("a notification of our own", note(client)).await;
    transcript.step("a notification of the server's own", told(walk)).await;
    transcript.step("a tool that may become a task", task(walk)).await;
}

/// The last steps.
pub(super) async fn leave(walk: Walk<'_>, transcript: &mut Transcript) {
    transcript.step("what came by on either side", passed(walk)).await;
    let stats = walk.client.stats();
    transcript
        .step("what was counted", async {
            same(stats.broken_rules, 0)?;
            Ok(format!("{} messages sent, {} received, no rule broken", stats.sent, stats.received))
        })
        .await;
}

fn negotiated(client: &Client) -> Outcome<String> {
    let info = client.server_info().ok_or("it does not say who it is")?;
    check(
        client.has_tools() && client.has_resources() && client.has_prompts(),
        "it lacks tools, resources or prompts",
    )?;
    check(client.has_logging() && client.has_completions(), "it lacks logging or completions")?;
    check(client.instructions().is_some(), "it has no instructions")?;
    Ok(format!("{} {} in {}", info.name, info.version, client.version()))
}

/// What the revision does not have is refused here, and never sent.
fn unsent<T>(answer: mcp::Result<T>) -> Outcome<String> {
    match answer {
        Err(Error::Send { why, .. }) => Ok(format!("not sent: {why}")),
        Err(error) => Err(error.into()),
        Ok(_) => Err("it was sent".into()),
    }
}

async fn ping(walk: Walk<'_>) -> Outcome<String> {
    let answer = walk.client.ping().await;
    if walk.is_modern() {
        return unsent(answer);
    }
    answer?;
    Ok("it is there".to_owned())
}

async fn discover(walk: Walk<'_>) -> Outcome<String> {
    let answer = walk.client.discover().await;
    if !walk.is_modern() {
        return unsent(answer);
    }
    let versions = answer?.supported_versions;
    check(!versions.is_empty(), "no revisions")?;
    Ok(format!("it speaks {} revisions", versions.len()))
}

async fn set_level(walk: Walk<'_>) -> Outcome<String> {
    let answer = walk.client.set_log_level(LoggingLevel::Debug).await;
    if walk.is_modern() {
        return unsent(answer);
    }
    answer?;
    Ok("from debug on".to_owned())
}

async fn custom(client: &Client) -> Outcome<String> {
    #[derive(serde::Deserialize)]
    struct Echo {
        text: String,
    }
    let echo: Echo = client.request("everything/echo", &json!({ "text": "hello" })).await?;
    same(echo.text.as_str(), "hello")?;
    Ok("came back".to_owned())
}

async fn unknown(client: &Client) -> Outcome<String> {
    match client.request::<Value>("everything/unknown", &json!({})).await {
        Err(error) if error.rpc().is_some_and(|error| error.code == mcp::ErrorCode::METHOD_NOT_FOUND) => {
            Ok(error.to_string())
        }
        other => Err(format!("{other:?}").into()),
    }
}

async fn note(client: &Client) -> Outcome<String> {
    client.notify("notifications/everything/note", &json!({ "text": "nothing in particular" }), None)?;
    // It is handled beside the requests that follow it.
    while client.call_tool("test_last_note", ()).await?.joined_text() != "nothing in particular" {}
    Ok("the server has heard it".to_owned())
}

async fn told(walk: Walk<'_>) -> Outcome<String> {
    walk.client.call_tool("test_custom_notification", ()).await?;
    let method = "notifications/everything/told";
    walk.heard.until(|notes| notes.told.iter().any(|told| told == method)).await?;
    Ok(format!("heard {method}"))
}

/// This server has no tasks: one of 2025-11-25 had to say so, and later it is the server's choice.
async fn task(walk: Walk<'_>) -> Outcome<String> {
    let answer = walk.client.start_tool("test_simple_text", (), 60_000).await;
    if !walk.is_modern() {
        return unsent(answer);
    }
    match answer? {
        Started::Done(result) => Ok(format!("done at once: {}", result.joined_text())),
        other => Err(format!("{other:?}").into()),
    }
}

/// Interceptors see everything, on the server as here.
async fn passed(walk: Walk<'_>) -> Outcome<String> {
    let counts: BTreeMap<String, u32> = walk.client.call_tool("test_request_counts", ()).await?.structured()?;
    let calls = counts.get("tools/call").copied().unwrap_or_default();
    check(calls > 10, "calls of tools went past the server's interceptor")?;
    let passed = walk.heard.now().passed;
    let has = |method: &str| passed.iter().any(|known| known == method);
    check(has("sampling/createMessage") && has("notifications/message"), "some went past the client's interceptor")?;
    Ok(format!("{calls} calls of tools there, {} questions and notifications here", passed.len()))
}
