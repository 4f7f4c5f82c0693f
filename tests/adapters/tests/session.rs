//! A client and a server in one process: what tools return, what they are given, and what happens when they fail.

mod common;

use std::time::Duration;

use common::{Raw, call, soon};
use mcp::model::{CallToolResult, ContentBlock};
use mcp::{Client, Json, ProtocolVersion, Server, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
struct Place {
    /// Where it is.
    city: City,
    #[serde(default)]
    days: Vec<u8>,
}

#[derive(Deserialize, JsonSchema)]
struct City {
    name: String,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
struct Weather {
    celsius: f64,
    sunny: bool,
}

fn outputs() -> Server {
    Server::new("outputs", "1")
        .tool(Tool::new("text", "", async || "a text"))
        .tool(Tool::new("string", "", async || "a \u{2028} \"string\"\n".to_owned()))
        .tool(Tool::new("nothing", "", async || ()))
        .tool(Tool::new("truth", "", async || true))
        .tool(Tool::new("integer", "", async || i64::MIN))
        .tool(Tool::new("unsigned", "", async || u64::MAX))
        .tool(Tool::new("float", "", async || 0.1f64))
        .tool(Tool::new("object", "", async || Json(Weather { celsius: 21.5, sunny: true })))
        .tool(Tool::new("list", "", async || Json(vec![1u8, 2, 3])))
        .tool(Tool::new("block", "", async || ContentBlock::image("AAAA", "image/png")))
        .tool(Tool::new("blocks", "", async || {
            vec![ContentBlock::text("one"), ContentBlock::resource_link("file:///x", "x"), ContentBlock::text("two")]
        }))
        .tool(Tool::new("whole", "", async || CallToolResult::text("said").with_structured_content(json!({ "k": 1 }))))
        .tool(Tool::new("good", "", async || Ok::<_, ToolError>(Json(Weather { celsius: 0.0, sunny: false }))))
        .tool(Tool::new("bad", "", async || Err::<String, _>(std::io::Error::other("the disk is gone"))))
        .tool(Tool::new("shown", "", async || Err::<String, _>(ToolError::new("try again"))))
        .tool(Tool::new("refused", "", async || Err::<String, _>(ToolError::rpc(-32099, "not for you"))))
}

async fn result(client: &Client, tool: &str) -> CallToolResult {
    soon(client.call_tool(tool, ()).into_future()).await.expect(tool)
}

/// Specification: server/tools (tool result, structured content).
#[tokio::test]
async fn every_kind_of_output_arrives() {
    let client = soon(common::pair(outputs())).await.unwrap();
    assert_eq!(result(&client, "text").await.joined_text(), "a text");
    assert_eq!(result(&client, "string").await.joined_text(), "a \u{2028} \"string\"\n");
    assert_eq!(result(&client, "nothing").await.content, []);
    assert!(result(&client, "truth").await.structured::<bool>().unwrap());
    assert_eq!(result(&client, "integer").await.structured::<i64>().unwrap(), i64::MIN);
    assert_eq!(result(&client, "unsigned").await.structured::<u64>().unwrap(), u64::MAX);
    assert_eq!(result(&client, "float").await.structured::<f64>().unwrap(), 0.1);
    assert_eq!(result(&client, "list").await.structured::<Vec<u8>>().unwrap(), [1, 2, 3]);

    let object = result(&client, "object").await;
    assert_eq!(object.structured::<Weather>().unwrap(), Weather { celsius: 21.5, sunny: true });
    // For clients that do not know structured content the same stands in the text.
    assert_eq!(serde_json::from_str::<Weather>(&object.joined_text()).unwrap(), Weather { celsius: 21.5, sunny: true });

    let block = result(&client, "block").await;
    assert_eq!(block.content, [ContentBlock::image("AAAA", "image/png")]);
    let kinds = result(&client, "blocks").await.content.iter().map(|block| block.kind().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds, ["text", "resource_link", "text"]);
    let whole = result(&client, "whole").await;
    assert_eq!((whole.joined_text().as_str(), whole.structured_content), ("said", Some(json!({ "k": 1 }))));
    assert!(!result(&client, "good").await.structured::<Weather>().unwrap().sunny);
}

/// Specification: server/tools (error handling): failures of a tool are results that the model reads.
#[tokio::test]
async fn a_tool_that_fails_says_so_in_its_result() {
    let client = soon(common::pair(outputs())).await.unwrap();
    for (tool, text) in [("bad", "the disk is gone"), ("shown", "try again")] {
        let failed = result(&client, tool).await;
        assert!(failed.is_error(), "{tool}");
        assert_eq!(failed.joined_text(), text);
        assert!(failed.structured::<Value>().unwrap_err().to_string().contains(text));
    }
    let error = soon(client.call_tool("refused", ()).into_future()).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32099, "{error}");
    assert!(error.to_string().contains("tools/call refused") && error.to_string().contains("not for you"), "{error}");
}

/// Specification: server/tools (listing, tool): `inputSchema` and `outputSchema` are objects of type object.
#[tokio::test]
async fn the_list_has_all_tools_in_order_with_their_schemas() {
    let place = Tool::new("place", "Where", async |place: Place| place.city.name).title("Place");
    let client = soon(common::pair(outputs().tool(place))).await.unwrap();
    assert!(client.has_tools());
    let tools = soon(client.list_tools().into_future()).await.unwrap();
    let names = tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>();
    let expected = [
        "text", "string", "nothing", "truth", "integer", "unsigned", "float", "object", "list", "block", "blocks",
        "whole", "good", "bad", "shown", "refused", "place",
    ];
    assert_eq!(names, expected);
    for tool in &tools {
        assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
        if let Some(schema) = &tool.output_schema {
            assert_eq!(schema["type"], "object", "{}", tool.name);
        }
    }
    let of = |name: &str| tools.iter().find(|tool| tool.name == name).unwrap();
    let structured = tools.iter().filter(|tool| tool.output_schema.is_some()).map(|tool| tool.name.as_str());
    let structured = structured.collect::<Vec<_>>();
    assert_eq!(structured, ["truth", "integer", "unsigned", "float", "object", "list", "good"]);
    assert_eq!(of("truth").output_schema.as_ref().unwrap()["properties"]["result"]["type"], "boolean");
    assert_eq!(of("list").output_schema.as_ref().unwrap()["properties"]["result"]["type"], "array");
    assert_eq!(of("object").output_schema.as_ref().unwrap()["properties"]["celsius"]["type"], "number");
    let place = of("place");
    assert_eq!((place.title.as_deref(), place.description.as_deref()), (Some("Place"), Some("Where")));
    assert_eq!(place.input_schema["properties"]["city"]["description"], "Where it is.");
    assert_eq!(place.input_schema["required"], json!(["city"]));
}

async fn pair_in(version: ProtocolVersion, server: Server) -> Client {
    let client = common::legacy("old").versions([version]);
    let client = soon(mcp_tokio::pair_with(server, client)).await.expect("a common revision");
    assert_eq!(client.version(), version);
    client
}

/// Specification: server/tools (error handling): from 2025-11-25 on input validation errors are tool errors.
#[tokio::test]
async fn arguments_that_do_not_fit_name_the_path() {
    let server = || Server::new("places", "1").tool(Tool::new("place", "", async |place: Place| place.days.len()));
    let faults = [
        (json!({ "city": { "name": 7 } }), "city.name"),
        (json!({ "city": {} }), "city"),
        (json!({}), "city"),
        (Value::Null, "city"),
        (json!({ "city": { "name": "x" }, "days": [1, 256] }), "days[1]"),
        (json!([1]), "arguments"),
        (json!("text"), "arguments"),
    ];
    for version in ProtocolVersion::LEGACY {
        let client = pair_in(version, server()).await;
        for (arguments, path) in &faults {
            let answer = soon(client.call_tool("place", arguments).into_future()).await;
            let text = if version == ProtocolVersion::V2025_11_25 {
                let result = answer.unwrap();
                assert!(result.is_error(), "{arguments}");
                result.joined_text()
            } else {
                let error = answer.unwrap_err();
                assert_eq!(error.rpc().unwrap().code.0, -32602, "{arguments}: {error}");
                error.to_string()
            };
            assert!(text.contains(path), "{version}: {arguments}: {text}");
        }
        let good = soon(client.call_tool("place", json!({ "city": { "name": "x", "more": 1 } })).into_future()).await;
        assert_eq!(good.unwrap().joined_text(), "0");
    }
}

/// Specification: server/tools (error handling): unknown tools are protocol errors.
#[tokio::test]
async fn an_unknown_tool_is_minus_32602() {
    for version in ProtocolVersion::LEGACY {
        let client = pair_in(version, outputs()).await;
        for tool in ["nope", "", "TEXT", "text "] {
            let error = soon(client.call_tool(tool, ()).into_future()).await.unwrap_err();
            assert_eq!(error.rpc().unwrap().code.0, -32602, "{error}");
            assert!(error.to_string().contains(&format!("tools/call {tool}")), "{error}");
        }
    }
}

/// Specification: basic (responses, error codes): an unknown method is −32601.
#[tokio::test]
async fn an_unknown_method_is_minus_32601_and_the_error_names_it() {
    let client = soon(common::pair(outputs())).await.unwrap();
    for method in ["no/such", "resources/list", "prompts/get"] {
        let error = soon(client.request::<Value>(method, &json!({})).into_future()).await.unwrap_err();
        assert!(error.to_string().contains(method), "{error}");
        if let Some(rpc) = error.rpc() {
            assert_eq!(rpc.code.0, -32601, "{error}");
        }
    }
    soon(client.ping().into_future()).await.unwrap();
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("in a drop");
    }
}

struct PanicsWhenDecoded;

impl<'de> Deserialize<'de> for PanicsWhenDecoded {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("in the decoding")
    }
}

impl JsonSchema for PanicsWhenDecoded {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PanicsWhenDecoded".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

fn panicking() -> Server {
    async fn later() -> &'static str {
        tokio::task::yield_now().await;
        panic!("secret")
    }
    Server::new("panics", "1")
        .tool(Tool::new("at_once", "", async || -> &'static str { panic!("secret") }))
        .tool(Tool::new("later", "", later))
        .tool(Tool::new("blocking", "", async || -> &'static str { panic!("secret") }).blocking())
        .tool(Tool::new("decoding", "", async |_: PanicsWhenDecoded| "?"))
        .tool(Tool::new("decoding_blocking", "", async |_: PanicsWhenDecoded| "?").blocking())
        .tool(Tool::new("state", "", async |ctx: mcp::Context| ctx.state::<String>().len()))
        .tool(Tool::new("fine", "", async || "fine"))
}

/// Specification: basic (error codes): −32603 is the internal error.
async fn panics() {
    let client = soon(common::pair(panicking())).await.expect("a pair");
    for tool in ["at_once", "later", "blocking", "decoding", "decoding_blocking", "state"] {
        let error = soon(client.call_tool(tool, ()).into_future()).await.expect_err(tool);
        assert_eq!(error.rpc().expect("an answer").code.0, -32603, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(result(&client, "fine").await.joined_text(), "fine");
    }
    // Many at once, among others that do not panic.
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..60 {
        let client = client.clone();
        let tool = ["at_once", "later", "fine"][n % 3];
        calls.spawn(async move { (tool, client.call_tool(tool, ()).await) });
    }
    while let Some(done) = soon(calls.join_next()).await {
        let (tool, answer) = done.expect("no panic on this side");
        assert_eq!(answer.is_ok(), tool == "fine");
    }
}

#[tokio::test]
async fn a_panicking_tool_is_an_internal_error_and_the_connection_lives() {
    panics().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_panicking_tool_is_an_internal_error_also_on_many_threads() {
    panics().await;
}

/// The future of a handler panics when it is dropped: after its end, and when its call is cancelled.
#[tokio::test]
async fn a_panic_in_a_drop_is_contained() {
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::new("drops", "1")
        .tool(Tool::new("ends", "", async || {
            let guard = PanicsWhenDropped;
            tokio::task::yield_now().await;
            drop(guard);
            "never"
        }))
        .tool(Tool::new("waits", "", move || {
            let started = started.clone();
            async move {
                let _guard = PanicsWhenDropped;
                started.send(()).expect("the test listens");
                std::future::pending::<()>().await;
            }
        }));
    let client = soon(common::pair(server)).await.unwrap();
    let error = soon(client.call_tool("ends", ()).into_future()).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32603);
    tokio::select! {
        _ = client.call_tool("waits", ()).into_future() => panic!("it waits"),
        start = soon(starts.recv()) => start.unwrap(),
    }
    // That dropped the call, and so its handler.
    soon(client.ping().into_future()).await.unwrap();
    let error = soon(client.call_tool("ends", ()).into_future()).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32603);
    soon(client.close()).await;
}

/// Specification: server/tools (listing), server/utilities/pagination: a cursor that is not ours is −32602.
#[tokio::test]
async fn a_foreign_cursor_is_refused() {
    let client = soon(common::pair(outputs())).await.unwrap();
    let error = soon(client.list_tools_page(Some("made up".into())).into_future()).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32602, "{error}");
    assert!(error.to_string().contains("tools/list"), "{error}");
}

/// A server by hand whose pages lead to each other.
async fn pages(next: impl Fn(u64) -> Value) -> (mcp::Result<Vec<mcp::model::Tool>>, u64) {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    let mut raw = Raw::memory(there);
    let serving = async {
        let mut asked = 0;
        while let Some(message) = raw.hear().await {
            let result = match message["method"].as_str() {
                Some("initialize") => json!({
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": { "tools": {} },
                    "serverInfo": { "name": "raw", "version": "1" },
                }),
                Some("tools/list") => {
                    asked += 1;
                    let tool = json!({ "name": format!("t{asked}"), "inputSchema": { "type": "object" } });
                    json!({ "tools": [tool], "nextCursor": next(asked) })
                }
                _ => continue,
            };
            raw.send(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).await;
        }
        asked
    };
    let listing = async {
        let client = mcp_tokio::connect_stream(reader, writer, common::legacy("pages")).await?;
        let listed = client.list_tools().await;
        client.close().await;
        listed
    };
    soon(async { tokio::join!(listing, serving) }).await
}

/// Specification: server/utilities/pagination.
#[tokio::test]
async fn pages_are_followed_to_their_end_and_loops_are_not() {
    let (tools, asked) = pages(|asked| if asked < 5 { json!(format!("page {asked}")) } else { Value::Null }).await;
    assert_eq!((tools.unwrap().len(), asked), (5, 5));
    // An empty cursor is a cursor.
    let (tools, asked) = pages(|asked| if asked == 1 { json!("") } else { Value::Null }).await;
    assert_eq!((tools.unwrap().len(), asked), (2, 2));
    let (error, asked) = pages(|_| json!("again")).await;
    assert!(matches!(error, Err(mcp::Error::Pages { .. })), "{error:?}");
    assert!(error.unwrap_err().to_string().contains("tools/list"));
    assert_eq!(asked, 2);
    let (error, asked) = pages(|asked| json!(["a", "b", "c"][asked as usize % 3])).await;
    assert!(matches!(error, Err(mcp::Error::Pages { .. })), "{error:?}");
    assert_eq!(asked, 4);
    let (error, asked) = pages(|asked| json!(asked.to_string())).await;
    assert!(matches!(error, Err(mcp::Error::Pages { fault: mcp::PageFault::TooMany { read: 64 }, .. })), "{error:?}");
    assert_eq!(asked, 64);
}

/// 64 calls at once, answered in another order than asked.
async fn own_answers() {
    #[derive(Deserialize, JsonSchema)]
    struct Number {
        n: u64,
    }
    let delayed = Tool::new("delayed", "", async |number: Number| {
        tokio::time::sleep(Duration::from_millis((64 - number.n) % 7 * 5)).await; // slow on purpose
        number.n
    });
    let blocked = Tool::new("blocked", "", async |number: Number| number.n).blocking();
    let client = soon(common::pair(Server::new("numbers", "1").tool(delayed).tool(blocked))).await.expect("a pair");
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..64u64 {
        let client = client.clone();
        let tool = if n % 4 == 0 { "blocked" } else { "delayed" };
        calls.spawn(async move { (n, client.call_tool(tool, json!({ "n": n })).await) });
    }
    while let Some(done) = soon(calls.join_next()).await {
        let (n, answer) = done.expect("no panic");
        assert_eq!(answer.expect("an answer").structured::<u64>().expect("a number"), n);
    }
}

#[tokio::test]
async fn calls_at_once_get_their_own_answers() {
    own_answers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_get_their_own_answers_on_many_threads() {
    own_answers().await;
}

/// Specification: basic/utilities/ping: answered promptly, whatever the tools do.
#[tokio::test]
async fn a_blocking_tool_stalls_nothing() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let tool = Tool::new("block", "", move || {
        started.send(()).expect("the test listens");
        let waited = gate.lock().expect("once").recv().is_ok();
        async move { waited }
    });
    let (here, there) = mcp::memory::duplex(1024);
    let (reader, writer) = here.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, Server::new("blocks", "1").tool(tool.blocking())));
    let mut raw = Raw::memory(there);
    raw.initialize("2025-11-25").await;
    raw.send(call(1, "block", json!({}))).await;
    soon(starts.recv()).await.unwrap();
    for _ in 0..10 {
        raw.is_served().await;
    }
    go.send(()).unwrap();
    assert_eq!(raw.heard().await["result"]["structuredContent"]["result"], true);
}

/// basic/lifecycle, version negotiation: a server that serves fewer revisions answers with one of its own; clients that know
/// it go on, others part.
#[tokio::test]
async fn a_server_serves_the_revisions_that_it_is_given() {
    for version in ProtocolVersion::ALL {
        let server = outputs().versions([version]);
        let client = soon(mcp_tokio::pair(server.clone())).await.unwrap();
        assert_eq!(client.version(), version);
        assert_eq!(soon(client.call_tool("text", ()).into_future()).await.unwrap().joined_text(), "a text");
        let others = ProtocolVersion::ALL.into_iter().filter(|other| *other != version);
        let refused = soon(mcp_tokio::pair_with(server, Client::builder("others", "1").versions(others))).await;
        assert!(refused.is_err(), "{version}: {refused:?}");
    }
}
