//! Lists are the same for everybody, and whatever was called before.

mod common;

use common::{Raw, soon};
use mcp::model::{Icon, ToolAnnotations};
use mcp::{Client, Prompt, ProtocolVersion, Resource, ResourceTemplate, Server, Tool};
use serde_json::{Map, Value, json};

fn stamped(id: u32, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn open(server: &Server) -> Raw {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server.clone()));
    Raw::memory(there)
}

/// basic (2026-07-28): what is listed MUST NOT depend on the connection or on earlier calls; server/tools: tools SHOULD come in an
/// order that does not change.
#[tokio::test]
async fn tools_are_listed_alike_on_every_connection_and_after_every_call() {
    let names = ["zebra", "ant", "mule", "bee", "yak"];
    let server =
        names.iter().fold(Server::new("s", "1"), |server, name| server.tool(Tool::new(*name, "", async || "x")));
    let mut lists = Vec::new();
    for _ in 0..3 {
        let mut raw = open(&server);
        for (round, name) in names.iter().enumerate() {
            let id = u32::try_from(2 * round).unwrap();
            lists.push(raw.ask(stamped(id, "tools/list", json!({}))).await["result"].clone());
            let called = raw.ask(stamped(id + 1, "tools/call", json!({ "name": name }))).await;
            assert_eq!(called["result"]["content"][0]["text"], "x", "{called}");
        }
        // Nor does the other era on the same connection change anything.
        raw.initialize("2025-11-25").await;
        lists.push(raw.ask(stamped(99, "tools/list", json!({}))).await["result"].clone());
    }
    let listed: Vec<_> =
        lists[0]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:#?}");
}

/// basic (2026-07-28): the same of prompts, resources and templates, which MUST NOT depend on the connection or on earlier calls either.
#[tokio::test]
async fn the_other_lists_are_alike_on_every_connection_and_after_every_use() {
    let names = ["zebra", "ant", "mule", "bee"];
    let server = names.iter().fold(Server::new("s", "1"), |server, name| {
        server
            .prompt(Prompt::new(*name, "", async || "x"))
            .resource(Resource::text(format!("a://{name}"), *name, "x"))
            .resource_template(ResourceTemplate::new(format!("{name}://{{x}}"), *name, async || "x"))
    });
    for (list, member, name_in, using) in [
        ("prompts/list", "prompts", "name", "prompts/get"),
        ("resources/list", "resources", "uri", "resources/read"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", "resources/read"),
    ] {
        let mut lists = Vec::new();
        for _ in 0..3 {
            let mut raw = open(&server);
            for round in 0..4 {
                lists.push(raw.ask(stamped(2 * round, list, json!({}))).await["result"].clone());
                let key = lists[0][member][round as usize][name_in].as_str().unwrap().replace("{x}", "y");
                let params = if using == "prompts/get" { json!({ "name": key }) } else { json!({ "uri": key }) };
                let used = raw.ask(stamped(2 * round + 1, using, params)).await;
                assert!(used["result"].is_object(), "{used}");
            }
            raw.initialize("2025-11-25").await;
            lists.push(raw.ask(stamped(99, list, json!({}))).await["result"].clone());
        }
        let listed: Vec<_> =
            lists[0][member].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(listed, names, "{list}");
        assert!(lists.iter().all(|it| *it == lists[0]), "{lists:#?}");
    }
}

/// server/utilities/caching (2026-07-28): a list MUST say for how long it is fresh and who may keep it; before, nobody knows of that.
#[tokio::test]
async fn a_list_says_how_long_it_is_fresh() {
    let mut raw = open(&Server::new("s", "1").tool(Tool::new("t", "", async || "x")));
    for request in [stamped(1, "tools/list", json!({})), stamped(2, "server/discover", json!({}))] {
        let result = raw.ask(request).await["result"].clone();
        assert!(result["ttlMs"].as_i64().is_some_and(|ttl| ttl >= 0), "{result}");
        assert!(["public", "private"].map(Value::from).contains(&result["cacheScope"]), "{result}");
    }
    raw.initialize("2025-11-25").await;
    let result = raw.ask(json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" })).await["result"].clone();
    assert_eq!(result.as_object().unwrap().len(), 1, "{result}");
}

/// What a tool says of itself besides its name reaches the client, and so does what the server says of itself; in both eras.
#[tokio::test]
async fn a_tool_and_a_server_are_told_with_all_they_say_of_themselves() {
    let hints = ToolAnnotations::new().with_title("hint").with_read_only_hint(true).with_destructive_hint(false);
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let Value::Object(schema) = schema else { panic!("an object") };
    let icons = vec![Icon::new("https://example.com/i.svg").with_mime_type("image/svg+xml")];
    let meta = Map::from_iter([("example.com/note".to_owned(), json!({ "n": 1 }))]);
    let tool = Tool::new("t", "what it does", async || "x")
        .title("T")
        .annotations(hints.clone())
        .icons(icons.clone())
        .meta(meta.clone())
        .input_schema(schema.clone());
    let server = Server::new("s", "2")
        .title("S")
        .description("what it is")
        .website_url("https://example.com")
        .icons(icons.clone())
        .instructions("be kind")
        .tool(tool);
    for version in ProtocolVersion::ALL {
        let builder = Client::builder("c", "1").versions([version]);
        let client = soon(mcp_tokio::pair_with(server.clone(), builder)).await.unwrap();
        let told = client.server().expect("who it is");
        assert_eq!((told.info.name.as_str(), told.info.version.as_str()), ("s", "2"), "{version}");
        assert_eq!(
            (told.info.title.as_deref(), told.instructions.as_deref()),
            (Some("S"), Some("be kind")),
            "{version}"
        );
        assert_eq!(
            (told.info.description.as_deref(), told.info.website_url.as_deref(), told.info.icons.as_ref()),
            (Some("what it is"), Some("https://example.com"), Some(&icons)),
            "{version}"
        );
        let tool = soon(client.list_tools().into_future()).await.unwrap().remove(0);
        assert_eq!(
            (tool.title.as_deref(), tool.description.as_deref()),
            (Some("T"), Some("what it does")),
            "{version}"
        );
        assert_eq!((tool.icons.as_ref(), tool.meta.as_ref()), (Some(&icons), Some(&meta)), "{version}");
        assert_eq!((tool.annotations, tool.input_schema), (Some(hints.clone()), schema.clone()), "{version}");
    }
}

/// server/tools, data types: an input schema MUST be an object schema. One by hand that is none is a fault of the definition, which no
/// client ever sees.
#[tokio::test]
async fn an_input_schema_by_hand_says_that_it_is_an_object() {
    for schema in
        [json!({}), json!({ "type": "string" }), json!({ "type": ["object", "null"] }), json!({ "type": null })]
    {
        let Value::Object(schema) = schema else { panic!("an object") };
        let by_hand = || Tool::new("by_hand", "", async |_: Value| "x").input_schema(schema.clone());
        let error = soon(mcp_tokio::pair(Server::new("s", "1").tool(by_hand()))).await.unwrap_err().to_string();
        assert!(error.contains("\"by_hand\"") && error.contains("\"type\": \"object\""), "{error}");
        let server = Server::new("s", "1").tool(Tool::new("good", "", async || "x"));
        let error = server.update(|edit| _ = edit.tool(by_hand())).unwrap_err().to_string();
        assert!(error.contains("\"by_hand\""), "{error}");
    }
}

/// basic, JSON Schema: what a `$ref` leads to on a network MUST NOT be fetched by itself. Both sides hand schemas on as they are.
#[tokio::test]
async fn a_reference_in_a_schema_is_never_followed() {
    let network = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    network.set_nonblocking(true).unwrap();
    let url = format!("http://{}/schema.json", network.local_addr().unwrap());
    let schema = json!({ "type": "object", "properties": { "a": { "$ref": url } }, "$defs": { "b": { "$ref": url } } });
    let Value::Object(schema) = schema else { panic!("an object") };
    let tool = Tool::new("t", "", async |_: Value| "x").input_schema(schema.clone());
    let server = Server::new("s", "1").tool(tool);
    for version in ProtocolVersion::ALL {
        let builder = Client::builder("c", "1").versions([version]);
        let client = soon(mcp_tokio::pair_with(server.clone(), builder)).await.unwrap();
        assert_eq!(soon(client.list_tools().into_future()).await.unwrap()[0].input_schema, schema);
        let called = soon(client.call_tool("t", json!({ "a": { "$ref": url } })).into_future()).await.unwrap();
        assert_eq!(called.joined_text(), "x");
        soon(client.close()).await;
    }
    let nobody = network.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "nobody has connected");
}

/// Tasks extension: a server MUST ignore the wish for a task of the older revision; a call is a call.
#[tokio::test]
async fn the_older_wish_for_a_task_is_ignored() {
    let mut raw = open(&Server::new("s", "1").tool(Tool::new("t", "", async || "x")));
    let answer = raw.ask(stamped(1, "tools/call", json!({ "name": "t", "task": { "ttl": 60_000 } }))).await;
    assert_eq!(
        (&answer["result"]["resultType"], &answer["result"]["content"][0]["text"]),
        (&json!("complete"), &json!("x"))
    );
}
