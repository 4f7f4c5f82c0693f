//! What the server asks in the middle of a request, by requests of its own or instead of an answer: here it is all the same.

use mcp::model::StringArguments;
use mcp::{Client, ProtocolVersion};
use serde_json::{Value, json};

use super::Walk;
use super::tools::{text, told};
use crate::connect::Outcome;
use crate::transcript::{Transcript, check, same};

pub(super) async fn take(walk: Walk<'_>, transcript: &mut Transcript) {
    let client = walk.client;
    transcript.step("the model is asked", sampling(walk)).await;
    if client.version() >= ProtocolVersion::V2025_06_18 {
        transcript.step("the person is asked", elicitation(client)).await;
        transcript.step("the person declines", declined(client)).await;
        transcript.step("a form with defaults", defaults(client)).await;
        transcript.step("a form with choices", choices(client)).await;
        rounds(client, transcript).await;
    }
    if client.version() >= ProtocolVersion::V2025_11_25 {
        transcript.step("the person is sent to a page", page(walk)).await;
    }
    if !walk.is_modern() {
        transcript.step("the roots have changed", moved(walk)).await;
        transcript.step("a question of the server's own", custom(client)).await;
    }
}

/// Those that the conformance suite plays round by round.
async fn rounds(client: &Client, transcript: &mut Transcript) {
    let fixtures = [
        ("a name", "elicitation", "Hello, Ada!"),
        ("a capital", "sampling", "Sampling result: You said: What is the capital of France?"),
        ("the roots", "list_roots", "Found 1 root(s)"),
        ("with a state", "request_state", "state-ok: requestState validated"),
        ("three at once", "multiple_inputs", "Name: Ada; Greeting: You said: Generate a greeting; Roots: 1"),
        ("round after round", "multi_round", "Multi-round complete for Ada who likes blue"),
        ("with a state that must be whole", "tampered_state", "integrity-ok: state verified"),
        ("what we have declared", "capabilities", "capabilities-ok: received elicit_input,sample_input"),
    ];
    for (what, fixture, wanted) in fixtures {
        let name = format!("a question first, {what}");
        transcript.step(&name, text(client, &format!("test_input_required_result_{fixture}"), wanted)).await;
    }
    transcript.step("what the server needs is declared", text(client, "test_missing_capability", "Success")).await;
    transcript.step("a question amid progress", text(client, "test_streaming_elicitation", "Streaming complete")).await;
    transcript.step("a prompt that asks", prompt(client)).await;
}

async fn sampling(walk: Walk<'_>) -> Outcome<String> {
    let found = told(walk.client, "test_sampling", json!({ "prompt": "How are you?" })).await?;
    same(found.as_str(), "LLM response: You said: How are you?")?;
    check(walk.heard.now().prompts.iter().any(|prompt| prompt == "How are you?"), "the callback was not called")?;
    Ok(found)
}

async fn elicitation(client: &Client) -> Outcome<String> {
    let found = told(client, "test_elicitation", json!({ "message": "How is it?" })).await?;
    same(found.as_str(), r#"User response: action=accept, content={"response":"fine"}"#)?;
    Ok(found)
}

async fn declined(client: &Client) -> Outcome<String> {
    let found = told(client, "test_elicitation", json!({ "message": "Please decline" })).await?;
    same(found.as_str(), "User response: action=decline, content={}")?;
    Ok(found)
}

/// What a tool tells about the form that was sent to it.
async fn form(client: &Client, tool: &str) -> Outcome<Value> {
    let found = told(client, tool, json!({})).await?;
    let content = found.strip_prefix("Elicitation completed: action=accept, content=").ok_or(found.as_str())?;
    Ok(serde_json::from_str(content)?)
}

async fn defaults(client: &Client) -> Outcome<String> {
    let found = form(client, "test_elicitation_sep1034_defaults").await?;
    let wanted = json!({ "name": "John Doe", "age": 30, "score": 95.5, "status": "active", "verified": true });
    same(&found, &wanted)?;
    Ok(found.to_string())
}

async fn choices(client: &Client) -> Outcome<String> {
    let found = form(client, "test_elicitation_sep1330_enums").await?;
    let wanted = json!({
        "untitledSingle": "option1",
        "titledSingle": "value1",
        "legacyEnum": "opt1",
        "untitledMulti": ["option1"],
        "titledMulti": ["value1"],
    });
    same(&found, &wanted)?;
    Ok(found.to_string())
}

async fn prompt(client: &Client) -> Outcome<String> {
    let prompt = client.get_prompt("test_input_required_result_prompt", StringArguments::new()).await?;
    let message = prompt.messages.first().and_then(|message| message.content.as_text()).unwrap_or_default();
    same(message, "Prompt with context: fine")?;
    Ok(message.to_owned())
}

async fn page(walk: Walk<'_>) -> Outcome<String> {
    let url = "https://example.com/sign-in";
    let found = told(walk.client, "test_elicitation_url", json!({ "url": url })).await?;
    same(found.as_str(), "The person said accept")?;
    check(walk.heard.now().pages.iter().any(|page| page == url), "the callback was not called")?;
    if walk.is_modern() {
        return Ok(found);
    }
    walk.heard.until(|notes| notes.completed.iter().any(|id| id == "everything-page")).await?;
    Ok(format!("{found}, and is done"))
}

async fn moved(walk: Walk<'_>) -> Outcome<String> {
    let root = "file:///everything/two";
    walk.heard.move_to(root);
    walk.client.roots_changed()?;
    // The server asks for them beside the requests that follow.
    while told(walk.client, "test_known_roots", json!({})).await? != root {}
    Ok(format!("the server knows {root}"))
}

async fn custom(client: &Client) -> Outcome<String> {
    let found: Value = serde_json::from_str(&told(client, "test_custom_question", json!({})).await?)?;
    same(&found, &json!({ "of": "window", "width": 80, "height": 24 }))?;
    Ok(found.to_string())
}
