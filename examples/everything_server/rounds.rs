//! Tools and a prompt that cannot answer before they know more: in 2026-07-28 the question is the answer, and the client tries
//! again with what was asked for. Before, the same handlers ask by requests of their own.

use futures_lite::future::zip;
use mcp::model::Capability;
use mcp::{Context, Form, HandlerError, Prompt, Server, Tool, ToolError};
use serde::Deserialize;
use serde_json::json;

use crate::asking::{form, question, said};

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Confirmed {
    ok: bool,
}

#[derive(Deserialize)]
struct Coloured {
    color: String,
}

#[derive(Deserialize)]
struct Told {
    context: String,
}

pub(crate) fn offer(server: Server) -> Server {
    let server = server
        .tool(Tool::new("test_missing_capability", "Test tool requiring sampling", async |ctx: Context| {
            ctx.require([Capability::Sampling])?;
            Ok::<_, ToolError>("Success")
        }))
        .tool(Tool::new(
            "test_input_required_result_elicitation",
            "MRTR: returns InputRequiredResult with elicitation request",
            async |ctx: Context| name(&ctx, "user_name").await.map(|name| format!("Hello, {name}!")),
        ))
        .tool(Tool::new(
            "test_input_required_result_sampling",
            "MRTR: returns InputRequiredResult with sampling request",
            async |ctx: Context| {
                let answer = ctx.sample("sample_request", question("What is the capital of France?", 100)).await?;
                Ok::<_, mcp::Error>(format!("Sampling result: {}", said(&answer).unwrap_or("no response")))
            },
        ))
        .tool(Tool::new(
            "test_input_required_result_list_roots",
            "MRTR: returns InputRequiredResult with roots/list request",
            async |ctx: Context| {
                Ok::<_, mcp::Error>(format!("Found {} root(s)", ctx.roots("roots_request").await?.len()))
            },
        ))
        .tool(Tool::new(
            "test_streaming_elicitation",
            "Diagnostic tool validating response progress streams",
            streaming_elicitation,
        ));
    with_state(server).prompt(Prompt::new(
        "test_input_required_result_prompt",
        "MRTR: prompt that requires elicitation input",
        async |ctx: Context| {
            let schema = json!({ "context": { "type": "string" } });
            let asked = form("What context should the prompt use?", schema, &["context"]);
            let answer = ctx.elicit("user_context", asked).await?;
            let told = mcp::accepted::<Told>(&answer)?.map_or_else(unknown, |told| told.context);
            Ok::<_, HandlerError>(format!("Prompt with context: {told}"))
        },
    ))
}

/// Those that keep something between two rounds. What travels through the client's hands then is sealed: one who changes it is
/// refused.
fn with_state(server: Server) -> Server {
    server
        .tool(Tool::new(
            "test_input_required_result_request_state",
            "MRTR: returns InputRequiredResult with requestState",
            async |ctx: Context| {
                let is_kept = confirmed(&ctx, "request-state").await?;
                Ok::<_, ToolError>(if is_kept { "state-ok: requestState validated" } else { "not confirmed" })
            },
        ))
        .tool(Tool::new(
            "test_input_required_result_multiple_inputs",
            "MRTR: returns InputRequiredResult with multiple input requests",
            multiple_inputs,
        ))
        .tool(Tool::new(
            "test_input_required_result_multi_round",
            "MRTR: multi-round InputRequiredResult workflow",
            async |ctx: Context| {
                let step1 = form("Step 1: What is your name?", json!({ "name": { "type": "string" } }), &["name"]);
                let answer = ctx.elicit("step1", step1).await?;
                let name = mcp::accepted::<Named>(&answer)?.map_or_else(|| "friend".to_owned(), |named| named.name);
                let colour = json!({ "color": { "type": "string" } });
                let step2 = form("Step 2: What is your favorite color?", colour, &["color"]);
                let answer = ctx.elicit("step2", step2).await?;
                let colour = mcp::accepted::<Coloured>(&answer)?.map_or_else(unknown, |coloured| coloured.color);
                Ok::<_, mcp::Error>(format!("Multi-round complete for {name} who likes {colour}"))
            },
        ))
        .tool(Tool::new(
            "test_input_required_result_tampered_state",
            "MRTR: HMAC-signed requestState integrity test",
            async |ctx: Context| {
                let is_kept = confirmed(&ctx, "tamper-test").await?;
                Ok::<_, ToolError>(if is_kept { "integrity-ok: state verified" } else { "not confirmed" })
            },
        ))
        .tool(Tool::new(
            "test_input_required_result_capabilities",
            "MRTR: respects client capabilities in inputRequests",
            what_is_declared,
        ))
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn ask_name() -> Form {
    form("What is your name?", json!({ "name": { "type": "string" } }), &["name"])
}

async fn name(ctx: &Context, key: &str) -> mcp::Result<String> {
    let answer = ctx.elicit(key, ask_name()).await?;
    Ok(mcp::accepted::<Named>(&answer)?.map_or_else(unknown, |named| named.name))
}

/// Keeps `kind` over the round in which the person confirms; whether it was kept and confirmed.
async fn confirmed(ctx: &Context, kind: &'static str) -> mcp::Result<bool> {
    let kept: String = ctx.once("kind", async { kind.to_owned() }).await?;
    let answer = ctx.elicit("confirm", form("Please confirm", json!({ "ok": { "type": "boolean" } }), &["ok"])).await?;
    Ok(kept == kind && mcp::accepted::<Confirmed>(&answer)?.is_some_and(|confirmed| confirmed.ok))
}

/// What is asked side by side goes out together.
async fn multiple_inputs(ctx: Context) -> mcp::Result<String> {
    let kind: String = ctx.once("kind", async { "multiple-inputs".to_owned() }).await?;
    let greeting = ctx.sample("greeting", question("Generate a greeting", 50));
    let ((name, greeting), roots) = zip(zip(name(&ctx, "user_name"), greeting), ctx.roots("client_roots")).await;
    let (name, greeting, roots) = (name?, greeting?, roots?);
    tracing::debug!(kind, "all inputs are there");
    let greeting = said(&greeting).unwrap_or("Hello there!");
    Ok(format!("Name: {name}; Greeting: {greeting}; Roots: {}", roots.len()))
}

/// Asks only for what the client has declared.
async fn what_is_declared(ctx: Context) -> mcp::Result<String> {
    let elicited = async {
        if !ctx.can_elicit() {
            return Ok(None);
        }
        let value = form("Elicitation input", json!({ "value": { "type": "string" } }), &["value"]);
        ctx.elicit("elicit_input", value).await.map(|_| Some("elicit_input"))
    };
    let sampled = async {
        if !ctx.can_sample() {
            return Ok(None);
        }
        ctx.sample("sample_input", question("Sample request", 50)).await.map(|_| Some("sample_input"))
    };
    let (elicited, sampled) = zip(elicited, sampled).await;
    let received = [elicited?, sampled?].into_iter().flatten().collect::<Vec<_>>();
    Ok(match received.as_slice() {
        [] => "No supported capabilities declared".to_owned(),
        received => format!("capabilities-ok: received {}", received.join(",")),
    })
}

/// Something is said while the tool is at work, and something asked; neither is a request of the server's own in 2026-07-28.
async fn streaming_elicitation(ctx: Context) -> mcp::Result<&'static str> {
    ctx.progress(50, 100)?;
    if ctx.can_elicit() {
        ctx.elicit("user_name", ask_name()).await?;
    }
    Ok("Streaming complete")
}
