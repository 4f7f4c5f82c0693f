//! Prompts and completion: typed arguments out of strings, and suggestions while they are typed.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::collections::BTreeMap;

use common::{Raw, modern, request, serve};
use mcp::model::{ContentBlock, ElicitResult, GetPromptResult, PromptArgument, PromptMessage, ResourceContents};
use mcp::{
    Audio, Client, Context, Form, HandlerError, Image, Partial, Prompt, ProtocolVersion, ResourceTemplate, Server,
};
use serde_json::{Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Review {
    /// The language of the code.
    language: String,
    most: Option<u32>,
}

fn cities(typed: &str) -> Vec<&'static str> {
    ["Paris", "Pisa", "Rome"].into_iter().filter(|city| city.starts_with(typed)).collect()
}

fn server() -> Server {
    let map = async |args: BTreeMap<String, String>| {
        vec![PromptMessage::user(format!("{args:?}")), PromptMessage::assistant("ok")]
    };
    Server::new("s", "1")
        .prompt(Prompt::new("review", "Review", async |args: Review| {
            format!("{} {}", args.language, args.most.map_or(0, |most| most + 1))
        }))
        .prompt(
            Prompt::new("map", "By hand", map)
                .argument(PromptArgument::new("city").with_required(true))
                .argument(PromptArgument::new("street"))
                .argument(PromptArgument::new("house"))
                .complete("city", async |typed: String| cities(&typed))
                .complete("street", async |ctx: Context, partial: Partial| {
                    vec![format!("{} {} {}", ctx.version(), partial.arguments["city"], partial.value)]
                }),
        )
        .prompt(Prompt::new("fail", "", async || -> Result<String, HandlerError> {
            std::fs::read_to_string("/no/such/file").map_err(Into::into)
        }))
        .resource_template(
            ResourceTemplate::new("a://{many}", "a", async || "x")
                .complete("many", async || (0..250).map(|n| n.to_string()).collect::<Vec<_>>()),
        )
}

async fn session() -> Raw {
    let mut raw = serve(&server());
    raw.initialize("2025-11-25").await;
    raw
}

async fn get(raw: &mut Raw, name: &str, arguments: Value) -> Value {
    raw.ask(request(1, "prompts/get", json!({ "name": name, "arguments": arguments }))).await
}

/// server/prompts, getting: messages, each of one block.
#[tokio::test]
async fn a_prompt_is_filled_in() {
    let mut raw = session().await;
    let answer = get(&mut raw, "review", json!({ "language": "Rust", "most": "3" })).await;
    let message = json!({ "role": "user", "content": { "type": "text", "text": "Rust 4" } });
    assert_eq!(answer["result"], json!({ "messages": [message] }), "{answer}");
    let answer = get(&mut raw, "map", json!({ "city": "Rome" })).await;
    assert_eq!(answer["result"]["messages"][1]["role"], "assistant", "{answer}");
}

/// server/prompts, data types: whatever a message may be made of, and a whole result with its description.
#[tokio::test]
async fn messages_are_of_every_kind() {
    let server = Server::new("s", "1")
        .prompt(Prompt::new("image", "", async || Image::new(vec![1, 2, 3], "image/png")))
        .prompt(Prompt::new("mixed", "", async || {
            let inside = ContentBlock::resource(ResourceContents::text("a://1", "one"));
            vec![
                PromptMessage::user(inside),
                PromptMessage::assistant(ContentBlock::resource_link("a://2", "two")),
                PromptMessage::user(ContentBlock::from(Audio::new(vec![255], "audio/wav"))),
            ]
        }))
        .prompt(Prompt::new("whole", "", async || {
            GetPromptResult::new().with_description("all of it").with_messages(vec![PromptMessage::assistant("hi")])
        }));
    let mut raw = serve(&server);
    raw.initialize("2025-06-18").await;
    let mut message = async |name: &str| get(&mut raw, name, json!({})).await["result"].clone();
    let image = json!({ "type": "image", "data": "AQID", "mimeType": "image/png" });
    assert_eq!(message("image").await, json!({ "messages": [{ "role": "user", "content": image }] }));
    let inside = json!({ "type": "resource", "resource": { "uri": "a://1", "text": "one" } });
    let link = json!({ "type": "resource_link", "uri": "a://2", "name": "two" });
    let sound = json!({ "type": "audio", "data": "/w==", "mimeType": "audio/wav" });
    let messages = json!([
        { "role": "user", "content": inside },
        { "role": "assistant", "content": link },
        { "role": "user", "content": sound },
    ]);
    assert_eq!(message("mixed").await, json!({ "messages": messages }));
    let said = json!([{ "role": "assistant", "content": { "type": "text", "text": "hi" } }]);
    assert_eq!(message("whole").await, json!({ "description": "all of it", "messages": said }));
}

/// server/prompts, error handling: -32602 for unknown names and arguments that are missing, -32603 for failures.
#[tokio::test]
async fn faults_name_what_is_wrong() {
    let mut raw = session().await;
    for (name, arguments, code, text) in [
        ("nobody", json!({}), -32602, "unknown prompt: nobody"),
        ("review", json!({}), -32602, "needs the argument \"language\""),
        ("map", json!({}), -32602, "needs the argument \"city\""),
        (
            "review",
            json!({ "language": "C", "most": "many" }),
            -32602,
            "arguments.most: \"many\" is not a whole number",
        ),
        ("review", json!({ "language": 3 }), -32602, "prompts/get"),
        ("fail", json!({}), -32603, "Error rendering prompt fail"),
    ] {
        let error = get(&mut raw, name, arguments).await["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(text), "{error}");
        assert!(!error.to_string().contains("/no/such"), "{error}");
    }
}

/// server/prompts, listing: arguments from the type, with descriptions and whether they must be given.
#[tokio::test]
async fn arguments_are_listed() {
    let mut raw = session().await;
    let answer = raw.ask(request(1, "prompts/list", json!({}))).await;
    let arguments = json!([
        { "name": "language", "description": "The language of the code.", "required": true },
        { "name": "most", "required": false },
    ]);
    assert_eq!(answer["result"]["prompts"][0]["arguments"], arguments, "{answer}");
    assert!(answer["result"]["prompts"][2].get("arguments").is_none(), "{answer}");
}

async fn complete(raw: &mut Raw, reference: Value, name: &str, value: &str) -> Value {
    let params = json!({
        "ref": reference,
        "argument": { "name": name, "value": value },
        "context": { "arguments": { "city": "Pisa" } },
    });
    raw.ask(request(1, "completion/complete", params)).await
}

/// server/utilities/completion: at most 100 values, and how many there are.
#[tokio::test]
async fn arguments_are_completed() {
    let mut raw = session().await;
    let prompt = || json!({ "type": "ref/prompt", "name": "map" });
    let answer = complete(&mut raw, prompt(), "city", "P").await;
    assert_eq!(answer["result"]["completion"], json!({ "values": ["Paris", "Pisa"], "total": 2, "hasMore": false }));
    let answer = complete(&mut raw, prompt(), "street", "Via").await;
    assert_eq!(answer["result"]["completion"]["values"], json!(["2025-11-25 Pisa Via"]), "{answer}");
    let answer = complete(&mut raw, prompt(), "house", "").await;
    assert_eq!(answer["result"]["completion"]["values"], json!([]), "{answer}");
    let answer = complete(&mut raw, json!({ "type": "ref/resource", "uri": "a://{many}" }), "many", "").await;
    let completion = &answer["result"]["completion"];
    assert_eq!(completion["values"].as_array().unwrap().len(), 100);
    assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(250), &json!(true)));
    for (reference, name) in [
        (json!({ "type": "ref/prompt", "name": "nobody" }), "city"),
        (json!({ "type": "ref/resource", "uri": "b://{x}" }), "x"),
        (json!({ "type": "ref/tool", "name": "map" }), "x"),
        (prompt(), "country"),
    ] {
        let answer = complete(&mut raw, reference, name, "").await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

/// Capabilities follow from what is registered.
#[tokio::test]
async fn capabilities_are_derived() {
    let mut raw = serve(&server());
    let declared = raw.initialize("2025-11-25").await["result"]["capabilities"].clone();
    let resources = json!({ "listChanged": true, "subscribe": true });
    assert_eq!(declared, json!({ "prompts": { "listChanged": true }, "resources": resources, "completions": {} }));
    let mut raw = serve(&Server::new("s", "1").capabilities(|declared| declared.prompts = Some(Default::default())));
    assert_eq!(raw.initialize("2025-11-25").await["result"]["capabilities"], json!({ "prompts": {} }));
    let answer = raw.ask(request(1, "prompts/list", json!({}))).await;
    assert_eq!(answer["result"], json!({ "prompts": [] }));
    let answer = raw.ask(request(1, "resources/list", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
}

/// basic/patterns (2026-07-28), multi round-trip requests: prompts may ask, too.
#[tokio::test]
async fn a_prompt_asks_the_person() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Name {
        name: String,
    }
    let server =
        Server::new("s", "1").prompt(Prompt::new("hello", "", async |ctx: Context| -> Result<String, HandlerError> {
            let answer = ctx.elicit("who", Form::of::<Name>("Who?")).await?;
            Ok(format!("Hello, {}!", mcp::accepted::<Name>(&answer)?.map_or_else(String::new, |form| form.name)))
        }));
    for versions in [&ProtocolVersion::ALL[..4], &ProtocolVersion::ALL[4..]] {
        let client =
            Client::builder("c", "1").versions(versions.to_vec()).on_elicit(async |_: mcp::model::ElicitParams| {
                ElicitResult::accept(serde_json::Map::from_iter([("name".to_owned(), json!("Ada"))]))
            });
        let client = common::soon(mcp_tokio::pair_with(server.clone(), client)).await.unwrap();
        let params = json!({ "name": "hello" });
        let result = common::soon(client.request::<Value>("prompts/get", &params).into_future()).await.unwrap();
        assert_eq!(result["messages"][0]["content"]["text"], "Hello, Ada!", "{result}");
    }
    let answer = serve(&server).ask(modern(1, "prompts/get", json!({ "name": "hello" }))).await;
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
}
