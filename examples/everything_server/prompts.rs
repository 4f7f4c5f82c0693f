//! Prompts: plain, filled in, with a resource and with a picture; and the completion of their arguments.

use mcp::model::{ContentBlock, PromptMessage};
use mcp::{Partial, Prompt, Server};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::content::{PIXEL, embedded};

#[derive(Deserialize, JsonSchema)]
struct Arguments {
    /// First test argument
    arg1: String,
    /// Second test argument
    arg2: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Embedded {
    /// URI of the resource to embed
    resource_uri: String,
}

pub(crate) fn offer(server: Server) -> Server {
    let simple = Prompt::new(
        "test_simple_prompt",
        "A simple prompt without arguments",
        async || "This is a simple prompt for testing.",
    );
    let arguments =
        Prompt::new("test_prompt_with_arguments", "A prompt with required arguments", async |args: Arguments| {
            format!("Prompt with arguments: arg1='{}', arg2='{}'", args.arg1, args.arg2)
        });
    let resource = Prompt::new(
        "test_prompt_with_embedded_resource",
        "A prompt that includes an embedded resource",
        async |args: Embedded| {
            let text = "Embedded resource content for testing.";
            vec![
                PromptMessage::user(embedded(args.resource_uri, "text/plain", text)),
                PromptMessage::user(ContentBlock::text("Please process the embedded resource above.")),
            ]
        },
    );
    let image = Prompt::new("test_prompt_with_image", "A prompt that includes image content", async || {
        vec![
            PromptMessage::user(ContentBlock::image(PIXEL, "image/png")),
            PromptMessage::user(ContentBlock::text("Please analyze the image above.")),
        ]
    });
    server
        .prompt(simple.title("Simple Test Prompt"))
        .prompt(arguments.title("Prompt With Arguments").complete("arg1", place).complete("arg2", within))
        .prompt(resource.title("Prompt With Embedded Resource"))
        .prompt(image.title("Prompt With Image"))
}

async fn place(partial: Partial) -> Vec<&'static str> {
    starting(&["paris", "park", "party", "rome"], &partial)
}

/// What fits the second argument depends on the first.
async fn within(partial: Partial) -> Vec<&'static str> {
    match partial.arguments.get("arg1").map(String::as_str) {
        Some("paris") => starting(&["bastille", "montmartre", "pigalle"], &partial),
        Some("rome") => starting(&["monti", "trastevere"], &partial),
        _ => Vec::new(),
    }
}

fn starting(known: &[&'static str], partial: &Partial) -> Vec<&'static str> {
    known.iter().copied().filter(|known| known.starts_with(&partial.value)).collect()
}
