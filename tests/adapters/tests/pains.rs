//! Faults that users of many SDKs have suffered from, each by its number in the manifest (`tests/manifest/pains.txt`).

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use common::soon;
use mcp::model::{CallToolResult, ContentBlock, ElicitParams, ElicitResult, LoggingLevel};
use mcp::{
    Client, Context, ErrorObject, Form, HandlerError, Incoming, Interceptor, Json, Message, Next, Outcome, Prompt,
    ProtocolVersion, Resource, Server, Session, Tool, ToolError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Deserialize, JsonSchema)]
struct Tag {
    tag: String,
}

/// A tool that says a tag in every way that there is: as progress, in the log, in a question, in its result.
fn saying() -> Server {
    let say = Tool::new("say", "", async |ctx: Context, args: Tag| {
        let report = |n: u32| mcp::model::Progress::new(n).with_message(args.tag.clone());
        ctx.report(report(1))?;
        tokio::task::yield_now().await;
        ctx.log(LoggingLevel::Info, &args.tag)?;
        let answer = ctx.elicit("who", Form::of::<Tag>(args.tag.clone())).await?;
        ctx.report(report(2))?;
        let back = mcp::accepted::<Tag>(&answer)?.map(|form| form.tag).unwrap_or_default();
        Ok::<_, mcp::Error>(format!("{} {back}", args.tag))
    });
    Server::new("shared", "1").logging().tool(say)
}

/// One server object, shared by clients, sent the answers of one to another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pain_2_clients_of_one_server_object_hear_nothing_of_each_other() {
    let server = saying();
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..24 {
        let (server, version) =
            (server.clone(), if n % 2 == 0 { ProtocolVersion::V2025_11_25 } else { ProtocolVersion::V2026_07_28 });
        clients.spawn(async move {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let (asked, logged) = (Arc::clone(&heard), Arc::clone(&heard));
            let builder = Client::builder("c", "1")
                .versions([version])
                .on_elicit(move |question: ElicitParams| {
                    asked.lock().expect("no panic").push(question.message.clone());
                    let tag = Map::from_iter([("tag".to_owned(), Value::from(question.message))]);
                    std::future::ready(ElicitResult::accept(tag))
                })
                .on_log(move |entry| {
                    logged.lock().expect("no panic").push(entry.data.as_str().unwrap_or("?").to_owned());
                });
            let client = mcp_tokio::pair_with(server, builder).await.expect("a pair");
            for round in 0..20 {
                let (tag, progress) = (format!("client {n}"), Arc::clone(&heard));
                let call = client.call_tool("say", json!({ "tag": tag })).log_level(LoggingLevel::Info);
                let call =
                    call.on_progress(move |at| progress.lock().expect("no panic").push(at.message.unwrap_or_default()));
                let said = call.await.expect("an answer").joined_text();
                assert_eq!(said, format!("{tag} {tag}"), "round {round}");
            }
            client.close().await;
            let heard = heard.lock().expect("no panic");
            // A question and at least two reports for each call.
            assert!(heard.len() >= 60, "{}", heard.len());
            assert!(heard.iter().all(|tag| *tag == format!("client {n}")), "client {n}: {heard:?}");
        });
    }
    while let Some(done) = soon(clients.join_next()).await {
        done.unwrap();
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Everything {
    unsigned: u8,
    large: u64,
    signed: i32,
    float: f32,
    maybe: Option<u16>,
    maybe_nested: Option<Nested>,
    list: Vec<Nested>,
    lists: Vec<Vec<bool>>,
    fixed: [i16; 3],
    map: BTreeMap<String, Nested>,
    choice: Choice,
    shape: Shape,
    /// What it is.
    any: Value,
    #[serde(default)]
    defaulted: Vec<String>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Nested {
    usize: usize,
    char: char,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is looked at")]
enum Choice {
    A,
    B,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
#[allow(dead_code, reason = "only its schema is looked at")]
enum Shape {
    Circle { radius: f64 },
    Square { side: f64 },
}

/// Everything in a schema that some vendor's model refuses, by its path.
fn refused(at: &str, schema: &Value, found: &mut Vec<String>) {
    const FORMATS: [&str; 6] = ["date-time", "date", "time", "email", "uri", "uuid"];
    match schema {
        Value::Object(members) => {
            for key in ["nullable", "$schema", "$ref", "$defs", "definitions", "title"] {
                // A property may have that name; a keyword may not.
                if members.contains_key(key) && !at.ends_with("/properties") {
                    found.push(format!("{at}/{key}"));
                }
            }
            if let Some(format) = members.get("format").and_then(Value::as_str).filter(|it| !FORMATS.contains(it)) {
                found.push(format!("{at}/format: {format}"));
            }
            let is = |name: &str| {
                members
                    .get("type")
                    .is_some_and(|it| it == name || it.as_array().is_some_and(|all| all.contains(&json!(name))))
            };
            if is("array") && !members.get("items").is_some_and(|items| items.is_object() || items.is_boolean()) {
                found.push(format!("{at}: an array without items"));
            }
            members.iter().for_each(|(key, value)| refused(&format!("{at}/{key}"), value, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| refused(at, part, found)),
        _ => {}
    }
}

/// Schemas made from types had `nullable`, formats that only Rust knows, references, and arrays without items, and vendors refused them.
#[tokio::test]
async fn pain_46_schemas_have_nothing_that_vendors_refuse() {
    let server = Server::new("schemas", "1")
        .tool(Tool::new("everything", "", async |_: Everything| ()))
        .tool(Tool::new("nothing", "", async || ()))
        .tool(Tool::new("unit", "", async |(): ()| ()))
        .tool(Tool::new("map", "", async |_: BTreeMap<String, u32>| ()))
        .tool(Tool::new("structured", "", async || Err::<Json<Everything>, _>("never")))
        .tool(Tool::new("list", "", async || Json(vec![1u32])))
        .tool(Tool::new("maybe", "", async || Json(Some(1u8))))
        .tool(Tool::new("number", "", async || 1.5f32));
    let client = soon(mcp_tokio::pair(server)).await.unwrap();
    let tools = soon(client.list_tools().into_future()).await.unwrap();
    assert_eq!(tools.len(), 8);
    for tool in &tools {
        for schema in [Some(&tool.input_schema), tool.output_schema.as_ref()].into_iter().flatten() {
            let mut found = Vec::new();
            refused(&tool.name, &Value::Object(schema.clone()), &mut found);
            assert!(found.is_empty(), "{found:#?}\n{schema:#?}");
            assert_eq!(schema["type"], "object", "{}: {schema:#?}", tool.name);
            assert!(tool.name == "map" || schema["properties"].is_object(), "{}: {schema:#?}", tool.name);
        }
    }
    let everything = &tools[0].input_schema;
    let optional = ["maybe", "maybe_nested", "defaulted"];
    let required = everything["required"].as_array().unwrap();
    for name in everything["properties"].as_object().unwrap().keys() {
        assert_eq!(required.contains(&json!(name)), !optional.contains(&name.as_str()), "{name}");
    }
    assert_eq!(everything["properties"]["unsigned"]["maximum"], 255);
    assert_eq!(everything["properties"]["any"]["description"], "What it is.");
}

/// Writes down whatever passes; refuses, rewrites and answers what is named so.
struct Around(Arc<Mutex<Vec<String>>>);

impl Interceptor for Around {
    async fn request(&self, mut request: Incoming, next: Next) -> Outcome {
        let method = request.method().to_owned();
        let outcome = match request.message().name() {
            Some("refused") => Outcome::error(ErrorObject::new(7, "refused before its handler")),
            Some("answered") => Outcome::result(&CallToolResult::text("answered before its handler")),
            Some("rewritten") => {
                request.set_params(&json!({ "name": "tag", "arguments": { "tag": "rewritten" } })).expect("an object");
                next.run(request).await
            }
            _ => next.run(request).await,
        };
        let end = if outcome.as_error().is_some() { "refused" } else { "served" };
        self.0.lock().expect("no panic").push(format!("{method} {end}"));
        outcome
    }

    fn notification(&self, message: Message) -> Option<Message> {
        self.0.lock().expect("no panic").push(message.method().to_owned());
        Some(message)
    }
}

/// Authorization, logging, limits and caches had to be written into every handler, or did not see all kinds of requests.
#[tokio::test]
async fn pain_48_one_interceptor_sees_refuses_rewrites_and_answers_all_kinds_of_requests() {
    for version in ProtocolVersion::ALL {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let never = || Tool::new("refused", "", async || -> &'static str { panic!("its handler is not asked") });
        let server = Server::new("s", "1")
            .tool(Tool::new("tag", "", async |args: Tag| args.tag))
            .tool(never())
            .prompt(Prompt::new("p", "", async || "p"))
            .resource(Resource::text("a://1", "1", "one"))
            .method("acme/m", async || Ok::<_, HandlerError>(json!({})))
            .on_notification("acme/n", move |_: Session, _: Value| {
                told.send(()).expect("the test listens");
                std::future::ready(())
            })
            .intercept(Around(Arc::clone(&seen)));
        let builder = Client::builder("c", "1").versions([version]);
        let client = soon(mcp_tokio::pair_with(server, builder)).await.unwrap();
        seen.lock().unwrap().clear();
        let call = async |tool: &str| soon(client.call_tool(tool, json!({ "tag": "sent" })).into_future()).await;
        assert_eq!(call("tag").await.unwrap().joined_text(), "sent");
        assert_eq!(call("rewritten").await.unwrap().joined_text(), "rewritten");
        assert_eq!(call("answered").await.unwrap().joined_text(), "answered before its handler");
        assert_eq!(call("refused").await.unwrap_err().rpc().map(|error| error.code.0), Some(7));
        let ask =
            async |method: &str, params: Value| soon(client.request::<Value>(method, &params).into_future()).await;
        for (method, params, is_served) in [
            ("tools/list", json!({}), true),
            ("prompts/list", json!({}), true),
            ("prompts/get", json!({ "name": "p" }), true),
            ("prompts/get", json!({ "name": "nobody" }), false),
            ("prompts/get", json!({ "name": "refused" }), false),
            ("resources/list", json!({}), true),
            ("resources/templates/list", json!({}), true),
            ("resources/read", json!({ "uri": "a://1" }), true),
            ("acme/m", json!({}), true),
        ] {
            let outcome = ask(method, params).await;
            assert_eq!(outcome.is_ok(), is_served, "{version} {method}: {outcome:?}");
        }
        client.notify("acme/n", &json!({}), None).unwrap();
        soon(heard.recv()).await.unwrap();
        let expected = [
            "tools/call served",
            "tools/call served",
            "tools/call served",
            "tools/call refused",
            "tools/list served",
            "prompts/list served",
            "prompts/get served",
            "prompts/get refused",
            "prompts/get refused",
            "resources/list served",
            "resources/templates/list served",
            "resources/read served",
            "acme/m served",
            "acme/n",
        ];
        // The end of the handshake is a notification, too, and may come by before or after it was cleared.
        let mut seen = seen.lock().unwrap().clone();
        seen.retain(|entry| entry != "notifications/initialized");
        assert_eq!(seen, expected, "{version}");
    }
}

/// A failed result with everything in it.
fn whole() -> CallToolResult {
    CallToolResult::new()
        .with_content(vec![ContentBlock::text("said"), ContentBlock::image("AAAA", "image/png")])
        .with_structured_content(json!({ "k": [1] }))
        .with_is_error(true)
}

/// Whether a failure is the protocol's or the tool's was decided by the SDK, results lost their parts, and lists changed their order.
#[tokio::test]
async fn pain_50_a_tool_decides_what_its_failure_is_and_keeps_its_results_and_its_place() {
    let server = Server::new("failures", "1")
        .tool(Tool::new("z_whole", "", async || whole()))
        .tool(Tool::new("shown", "", async || Err::<(), _>(ToolError::new("for the model"))))
        .tool(Tool::new("any", "", async || Err::<(), _>(std::io::Error::other("also for the model"))))
        .tool(Tool::new("a_protocol", "", async || Err::<(), _>(ToolError::rpc(7, "for the client"))));
    for version in ProtocolVersion::ALL {
        let builder = Client::builder("c", "1").versions([version]);
        let client = soon(mcp_tokio::pair_with(server.clone(), builder)).await.unwrap();
        let call = async |tool: &str| soon(client.call_tool(tool, ()).into_future()).await;
        assert_eq!(call("z_whole").await.unwrap(), whole(), "{version}");
        assert!(call("shown").await.unwrap().is_error());
        assert_eq!(call("any").await.unwrap().joined_text(), "also for the model");
        let error = call("a_protocol").await.unwrap_err();
        assert_eq!(error.rpc().map(|error| (error.code.0, error.message.as_str())), Some((7, "for the client")));
        let names = soon(client.list_tools().into_future())
            .await
            .unwrap()
            .into_iter()
            .map(|tool| tool.name)
            .collect::<Vec<_>>();
        assert_eq!(names, ["z_whole", "shown", "any", "a_protocol"], "{version}");
    }
}
