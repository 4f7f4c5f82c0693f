//! Tools that ask the client: its language model, and the person in front of it.

use mcp::model::{ContentBlock, CreateMessageParams, CreateMessageResult, ElicitResult, SamplingMessage};
use mcp::{Context, Form, Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize, JsonSchema)]
struct Prompted {
    /// The prompt to send to the LLM
    prompt: String,
}

#[derive(Deserialize, JsonSchema)]
struct Shown {
    /// The message to show the user
    message: String,
}

pub(crate) fn offer(server: Server) -> Server {
    server
        .tool(Tool::new("test_sampling", "Tests server-initiated sampling (LLM completion request)", sampling))
        .tool(Tool::new("test_elicitation", "Tests server-initiated elicitation (user input request)", elicitation))
        .tool(Tool::new(
            "test_elicitation_sep1034_defaults",
            "Tests elicitation with default values per SEP-1034",
            async |ctx: Context| {
                let message = "Please review and update the form fields with defaults";
                completed(ctx.elicit("defaults", form(message, defaults(), &[])).await)
            },
        ))
        .tool(Tool::new(
            "test_elicitation_sep1330_enums",
            "Tests elicitation with enum schema improvements per SEP-1330",
            async |ctx: Context| {
                let message = "Please select options from the enum fields";
                completed(ctx.elicit("enums", form(message, enums(), &[])).await)
            },
        ))
}

async fn sampling(ctx: Context, args: Prompted) -> String {
    match ctx.sample("prompt", question(args.prompt, 100)).await {
        Ok(answer) => format!("LLM response: {}", said(&answer).unwrap_or("No response")),
        Err(error) => format!("Sampling not supported or error: {error}"),
    }
}

async fn elicitation(ctx: Context, args: Shown) -> String {
    let response = json!({ "response": { "type": "string", "description": "User's response" } });
    match ctx.elicit("response", form(args.message, response, &["response"])).await {
        Ok(answer) => format!("User response: {}", told(&answer)),
        Err(error) => refused(&error),
    }
}

fn completed(answer: mcp::Result<ElicitResult>) -> String {
    answer.map_or_else(|error| refused(&error), |answer| format!("Elicitation completed: {}", told(&answer)))
}

fn refused(error: &mcp::Error) -> String {
    format!("Elicitation not supported or error: {error}")
}

fn told(answer: &ElicitResult) -> String {
    let content = Value::Object(answer.content.clone().unwrap_or_default());
    format!("action={}, content={content}", answer.action)
}

/// One thing that the user says to the model.
pub(crate) fn question(text: impl Into<String>, tokens: i64) -> CreateMessageParams {
    CreateMessageParams::new([SamplingMessage::user(ContentBlock::text(text))], tokens)
}

/// What the model has said, if it is a text.
pub(crate) fn said(answer: &CreateMessageResult) -> Option<&str> {
    answer.content.iter().find_map(ContentBlock::as_text)
}

/// A form by its properties, as the wire has them.
pub(crate) fn form(message: impl Into<String>, properties: Value, required: &[&str]) -> Form {
    let members = [("type", json!("object")), ("properties", properties), ("required", json!(required))];
    Form::with_schema(message, members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

/// A field of each primitive type, each with a default.
fn defaults() -> Value {
    json!({
        "name": { "type": "string", "description": "User name", "default": "John Doe" },
        "age": { "type": "integer", "description": "User age", "default": 30 },
        "score": { "type": "number", "description": "User score", "default": 95.5 },
        "status": {
            "type": "string",
            "description": "User status",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": { "type": "boolean", "description": "Verification status", "default": true },
    })
}

/// A choice of each of the five shapes that the wire knows.
fn enums() -> Value {
    let options = ["option1", "option2", "option3"];
    let titled = |titles: [&str; 3]| {
        let values = ["value1", "value2", "value3"].into_iter().zip(titles);
        values.map(|(value, title)| json!({ "const": value, "title": title })).collect::<Vec<_>>()
    };
    json!({
        "untitledSingle": { "type": "string", "description": "Select one option", "enum": options },
        "titledSingle": {
            "type": "string",
            "description": "Select one option with titles",
            "oneOf": titled(["First Option", "Second Option", "Third Option"]),
        },
        "legacyEnum": {
            "type": "string",
            "description": "Select one option (legacy)",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "description": "Select multiple options",
            "minItems": 1,
            "maxItems": 3,
            "items": { "type": "string", "enum": options },
        },
        "titledMulti": {
            "type": "array",
            "description": "Select multiple options with titles",
            "minItems": 1,
            "maxItems": 3,
            "items": { "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]) },
        },
    })
}
