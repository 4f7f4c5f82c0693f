//! Resources and their templates: reading, listing, and what a client is told when it cannot be.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Raw, modern, request, serve};
use mcp::model::{Annotations, CacheScope, Icon, ReadResourceResult, ResourceContents, Role};
use mcp::{Cached, Context, Form, HandlerError, Prompt, Resource, ResourceTemplate, Server};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Issue {
    owner: String,
    number: u32,
}

fn server() -> Server {
    Server::new("s", "1")
        .resource(Resource::text("config://app", "app", "debug = false").mime_type("text/plain").title("App"))
        .resource(Resource::blob("blob://b", "b", vec![0, 255]))
        .resource(Resource::new("ctx://version", "version", async |ctx: Context| ctx.version().to_string()))
        .resource(Resource::new("dir://d", "d", async || {
            vec![ResourceContents::text("dir://d/a", "A"), ResourceContents::text("dir://d/b", "B")]
        }))
        .resource(Resource::new("fail://io", "io", async || -> std::io::Result<String> {
            Err(std::io::Error::other("/secret/path is locked"))
        }))
        .resource(Resource::new("fail://gone", "gone", async || -> Result<String, HandlerError> {
            Err(HandlerError::not_found("nothing today"))
        }))
        .resource(Resource::new("fail://rpc", "rpc", async || -> Result<String, HandlerError> {
            Err(HandlerError::rpc(-5, "busy").with_data(json!({ "after": 3 })))
        }))
        .resource_template(ResourceTemplate::new("issue://{owner}/{number}", "issue", async |issue: Issue| {
            format!("{} {}", issue.owner, issue.number + 1)
        }))
        .resource_template(ResourceTemplate::new("{+any}", "any", async |any: BTreeMap<String, String>| {
            if any["any"].starts_with("none") {
                Err(HandlerError::not_found("no such"))
            } else {
                Ok(any["any"].clone())
            }
        }))
}

async fn session() -> Raw {
    let mut raw = serve(&server());
    raw.initialize("2025-11-25").await;
    raw
}

async fn read(raw: &mut Raw, uri: &str) -> Value {
    raw.ask(request(uri, "resources/read", json!({ "uri": uri }))).await
}

/// server/resources, resource contents: text or base64, each with its URI.
#[tokio::test]
async fn contents_are_text_bytes_or_several() {
    let mut raw = session().await;
    for (uri, contents) in [
        ("config://app", json!([{ "uri": "config://app", "text": "debug = false", "mimeType": "text/plain" }])),
        ("blob://b", json!([{ "uri": "blob://b", "blob": "AP8=" }])),
        ("ctx://version", json!([{ "uri": "ctx://version", "text": "2025-11-25" }])),
        ("dir://d", json!([{ "uri": "dir://d/a", "text": "A" }, { "uri": "dir://d/b", "text": "B" }])),
        ("issue://ann/7", json!([{ "uri": "issue://ann/7", "text": "ann 8" }])),
        ("file:///x%20y/z", json!([{ "uri": "file:///x%20y/z", "text": "file:///x y/z" }])),
    ] {
        let answer = read(&mut raw, uri).await;
        assert_eq!(answer["result"], json!({ "contents": contents }), "{answer}");
    }
}

/// server/resources, error handling: -32002 with the URI.
#[tokio::test]
async fn what_is_not_there_is_an_error_of_the_revision() {
    let mut raw = session().await;
    for uri in ["file:///../x", "none://x", "fail://gone"] {
        let error = read(&mut raw, uri).await["error"].clone();
        assert_eq!((&error["code"], &error["data"]), (&json!(-32002), &json!({ "uri": uri })), "{error}");
    }
    let mut raw = serve(&server());
    let answer = raw.ask(modern(1, "resources/read", json!({ "uri": "file:///../x" }))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(answer["error"]["data"], json!({ "uri": "file:///../x" }), "{answer}");
}

/// What failed inside is for the log; what the handler chose is for the client.
#[tokio::test]
async fn the_client_sees_only_what_the_handler_chose() {
    let mut raw = session().await;
    let answer = read(&mut raw, "fail://io").await;
    assert_eq!(answer["error"], json!({ "code": -32603, "message": "Error reading resource fail://io" }));
    let answer = read(&mut raw, "fail://rpc").await;
    assert_eq!(answer["error"], json!({ "code": -5, "message": "busy", "data": { "after": 3 } }));
    let answer = raw.ask(request(1, "resources/read", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    // A variable that is not what the handler takes names nothing that is there.
    assert_eq!(read(&mut raw, "issue://ann/x").await["error"]["code"], -32002);
}

/// server/resources, listing: both lists, with what was said of each.
#[tokio::test]
async fn lists_tell_what_was_defined() {
    let mut raw = session().await;
    let answer = raw.ask(request(1, "resources/list", json!({}))).await;
    let first = json!({ "uri": "config://app", "name": "app", "title": "App", "mimeType": "text/plain", "size": 13 });
    assert_eq!(answer["result"]["resources"][0], first, "{answer}");
    assert_eq!(answer["result"]["resources"].as_array().unwrap().len(), 7);
    let answer = raw.ask(request(2, "resources/templates/list", json!({}))).await;
    assert_eq!(answer["result"]["resourceTemplates"][0]["uriTemplate"], "issue://{owner}/{number}", "{answer}");
}

/// server/resources, data types: a resource and a template with all that can be said of them, and with nothing.
#[tokio::test]
async fn all_that_is_said_of_a_resource_is_listed() {
    let hints = || Annotations::new().with_audience(vec![Role::User]).with_priority(0.5);
    let icon = || Icon::new("https://example.com/i.png").with_mime_type("image/png");
    let meta = || serde_json::Map::from_iter([("example.com/m".to_owned(), json!(1))]);
    let server = Server::new("s", "1")
        .resource(
            Resource::new("a://all", "all", async || "x")
                .title("T")
                .description("D")
                .mime_type("text/plain")
                .size(1)
                .annotations(hints())
                .icons([icon()])
                .meta(meta()),
        )
        .resource(Resource::new("a://least", "least", async || "x"))
        .resource_template(
            ResourceTemplate::new("b://{all}", "all", async || "x")
                .title("T")
                .description("D")
                .mime_type("text/plain")
                .annotations(hints())
                .icons([icon()])
                .meta(meta()),
        )
        .resource_template(ResourceTemplate::new("c://{least}", "least", async || "x"));
    let whole = |key: &str, uri: &str| {
        let mut whole = json!({
            "name": "all", "title": "T", "description": "D", "mimeType": "text/plain",
            "annotations": { "audience": ["user"], "priority": 0.5 },
            "icons": [{ "src": "https://example.com/i.png", "mimeType": "image/png" }],
            "_meta": { "example.com/m": 1 },
        });
        whole[key] = json!(uri);
        whole
    };
    let mut first = whole("uri", "a://all");
    first["size"] = json!(1);
    let mut raw = serve(&server);
    let answer = raw.ask(modern(1, "resources/list", json!({}))).await;
    assert_eq!(answer["result"]["resources"], json!([first, { "uri": "a://least", "name": "least" }]), "{answer}");
    let answer = raw.ask(modern(2, "resources/templates/list", json!({}))).await;
    let templates = json!([whole("uriTemplate", "b://{all}"), { "uriTemplate": "c://{least}", "name": "least" }]);
    assert_eq!(answer["result"]["resourceTemplates"], templates, "{answer}");
}

/// The handler of a template has the context of its request beside the variables, and so has one without variables.
#[tokio::test]
async fn handlers_of_resources_have_their_context() {
    let server = Server::new("s", "1")
        .state(7u8)
        .resource(Resource::new("a://1", "1", async |ctx: Context| format!("{} {}", ctx.state::<u8>(), ctx.version())))
        .resource_template(ResourceTemplate::new("b://{owner}/{number}", "b", async |ctx: Context, issue: Issue| {
            format!("{} {} {} {:?}", issue.owner, issue.number, ctx.state::<u8>(), ctx.message().id())
        }));
    let mut raw = serve(&server);
    raw.initialize("2025-06-18").await;
    assert_eq!(read(&mut raw, "a://1").await["result"]["contents"][0]["text"], "7 2025-06-18");
    let answer = read(&mut raw, "b://ann/3").await;
    let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("ann 3 7 ") && text.contains("b://ann/3"), "{answer}");
}

/// server/utilities/caching (2026-07-28): how long results may be kept, by kind, resource or result.
#[tokio::test]
async fn results_say_how_long_they_may_be_kept() {
    let minute = Duration::from_secs(60);
    let server = Server::new("s", "1")
        .cache(Cached::Resources, minute, CacheScope::Public)
        .cache(Cached::Reads, minute * 2, CacheScope::Public)
        .resource(Resource::text("a://1", "1", ""))
        .resource(Resource::text("a://2", "2", "").cache(minute * 3, CacheScope::Private))
        .resource(Resource::new("a://3", "3", async || {
            ReadResourceResult::new().cached(Duration::from_secs(1), CacheScope::Private)
        }))
        .resource(Resource::new("a://4", "4", async |ctx: Context| -> Result<&str, HandlerError> {
            ctx.elicit("who", Form::with_schema("Who?", serde_json::Map::new())).await?;
            Ok("somebody")
        }))
        .prompt(Prompt::new("p", "", async || "p"));
    let mut raw = serve(&server);
    for (method, uri, ttl, scope) in [
        ("prompts/list", "", 0, "private"),
        ("resources/list", "", 60_000, "public"),
        ("resources/templates/list", "", 0, "private"),
        ("resources/read", "a://1", 120_000, "public"),
        ("resources/read", "a://2", 180_000, "private"),
        ("resources/read", "a://3", 1000, "private"),
    ] {
        let answer = raw.ask(modern(1, method, json!({ "uri": uri }))).await;
        let result = &answer["result"];
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(ttl), &json!(scope)), "{answer}");
    }
    // What a question says is for nobody else and no later time.
    let mut asking = modern(1, "resources/read", json!({ "uri": "a://4" }));
    asking["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": { "form": {} } });
    let answer = raw.ask(asking).await;
    let result = answer["result"].as_object().unwrap();
    assert_eq!(result["resultType"], "input_required", "{answer}");
    assert!(!result.contains_key("ttlMs") && !result.contains_key("cacheScope"), "{answer}");
}

/// A template that cannot be used is a fault of the definition, told when it is served.
#[tokio::test]
async fn bad_templates_are_faults() {
    let template = |text: &str| ResourceTemplate::new(text, "t", async || "x");
    let server = Server::new("s", "1").resource_template(template("a://{b")).resource_template(template("{x*}"));
    let error = mcp_tokio::pair(server).await.unwrap_err().to_string();
    assert!(error.contains("the brace at byte 4") && error.contains("level 4"), "{error}");
}
