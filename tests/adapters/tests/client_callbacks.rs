//! What a server may ask of a client, by requests of its own and instead of answers; and callbacks that call the server back.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::{Arc, Mutex};

use common::scripted::{Scripted, Stage, result};
use common::{soon, until};
use mcp::model::{
    ContentBlock, CreateMessageParams, CreateMessageResult, ElicitMode, ElicitParams, ElicitResult, Role, Root,
};
use mcp::{Asked, Client, ClientBuilder, Context, Error, ErrorObject, Form, ProtocolVersion, Server, Tool, Why};
use serde_json::{Map, Value, json};

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

fn client() -> ClientBuilder {
    Client::builder("asked", "1")
}

fn says(text: &str) -> CreateMessageResult {
    CreateMessageResult::new(Role::Assistant, vec![ContentBlock::text(text)], "model-1")
}

/// A client whose every callback answers.
fn answering() -> ClientBuilder {
    client()
        .on_elicit(async |question: ElicitParams| {
            let mut content = question.defaults();
            content.insert("said".into(), question.message.into());
            ElicitResult::accept(content)
        })
        .on_elicit_url(async |question: ElicitParams| {
            // As the server wrote it, for the person to see.
            assert_eq!((question.mode(), question.url.as_deref()), (&ElicitMode::Url, Some("https://example.com/x")));
            ElicitResult::decline()
        })
        .on_sample(async |question: CreateMessageParams| Ok(says(&question.max_tokens.to_string())))
        .sample_tools()
        .on_roots(async || vec![Root::new("file:///a").with_name("a")])
}

/// What a client declares, in its handshake or with a request.
async fn declared(version: ProtocolVersion, builder: ClientBuilder) -> Value {
    let heard = Arc::new(Mutex::new(Value::Null));
    let notes = Arc::clone(&heard);
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let mut raw = common::Raw::memory(there);
    let connecting = tokio::spawn(async move {
        let (reader, writer) = here.into_split();
        mcp_tokio::connect_stream(reader, writer, builder.versions([version])).await
    });
    let hello = raw.heard().await;
    *notes.lock().unwrap() = match version {
        E => hello["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"].clone(),
        _ => hello["params"]["capabilities"].clone(),
    };
    connecting.abort();
    heard.lock().unwrap().clone()
}

/// client/elicitation, client/sampling, client/roots (capabilities): what there is a callback for is declared, and no more.
#[tokio::test]
async fn capabilities_follow_from_callbacks() {
    let elicit = async |_: ElicitParams| ElicitResult::cancel();
    let sample = async |_: CreateMessageParams| says("x");
    for version in [ProtocolVersion::V2025_06_18, D, E] {
        for (builder, expected) in [
            (client(), json!({})),
            (client().on_elicit(elicit), json!({ "elicitation": { "form": {} } })),
            (client().on_elicit_url(elicit), json!({ "elicitation": { "url": {} } })),
            (client().on_elicit(elicit).on_elicit_url(elicit), json!({ "elicitation": { "form": {}, "url": {} } })),
            (client().on_sample(sample), json!({ "sampling": {} })),
            (client().sample_tools().on_sample(sample), json!({ "sampling": { "tools": {} } })),
            (client().on_sample(sample).sample_context(), json!({ "sampling": { "context": {} } })),
            (client().sample_tools(), json!({})),
            (client().root("file:///a", "a"), json!({ "roots": {} })),
            (client().on_roots(async || Vec::<Root>::new()), json!({ "roots": { "listChanged": true } })),
            (client().tasks(), json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } })),
            (
                client().on_elicit(elicit).capabilities(|all| {
                    all.elicitation.as_mut().unwrap().form = None;
                    all.experimental = Some(Map::from_iter([("x".into(), json!({}))]));
                }),
                json!({ "elicitation": {}, "experimental": { "x": {} } }),
            ),
        ] {
            assert_eq!(declared(version, builder).await, expected, "{version}");
        }
    }
}

/// A definition that cannot be is told when it is connected, all of it at once.
#[tokio::test]
async fn a_client_that_is_not_well_defined_does_not_connect() {
    let builder = client()
        .root("/tmp", "no URI")
        .root("http://example.com", "no place in the file system")
        .on_request("roots/list", async |_, _: Value| Ok(json!({})));
    let (refused, _) = Scripted::new(D).try_connect(builder, |_| Vec::new()).await;
    let Error::Definition(faults) = refused.unwrap_err() else { panic!("faults") };
    assert_eq!(faults.len(), 3, "{faults:?}");
}

/// The questions, and what comes of each: the result, or the code of an error.
fn questions() -> Vec<(&'static str, Value, Result<Value, i64>)> {
    let form = |message: &str| {
        let fields = json!({ "n": { "type": "integer", "default": 3 }, "plain": { "type": "string" } });
        json!({ "message": message, "requestedSchema": { "type": "object", "properties": fields } })
    };
    let sample = |more: Value| {
        let mut params = json!({ "messages": [], "maxTokens": 7 });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let url = |url: &str| json!({ "mode": "url", "message": "go", "url": url, "elicitationId": "e" });
    let model = json!({ "role": "assistant", "content": { "type": "text", "text": "7" }, "model": "model-1" });
    vec![
        ("elicitation/create", form("hi"), Ok(json!({ "action": "accept", "content": { "n": 3, "said": "hi" } }))),
        ("elicitation/create", url("https://example.com/x"), Ok(json!({ "action": "decline" }))),
        ("elicitation/create", url("javascript:alert(1)"), Err(-32602)),
        ("elicitation/create", url("file:///etc/passwd"), Err(-32602)),
        ("elicitation/create", url("https://a b"), Err(-32602)),
        ("elicitation/create", json!({ "mode": "url", "message": "go" }), Err(-32602)),
        ("elicitation/create", json!({ "mode": "telepathy", "message": "think" }), Err(-32602)),
        ("elicitation/create", json!({ "requestedSchema": {} }), Err(-32602)),
        ("sampling/createMessage", sample(json!({})), Ok(model.clone())),
        ("sampling/createMessage", sample(json!({ "toolChoice": { "mode": "auto" } })), Ok(model)),
        ("sampling/createMessage", json!({ "messages": [] }), Err(-32602)),
        ("roots/list", json!({}), Ok(json!({ "roots": [{ "uri": "file:///a", "name": "a" }] }))),
    ]
}

/// The same callbacks answer what a server asks by a request, and what it asks instead of answering.
#[tokio::test]
async fn pushed_and_returned_questions_have_the_same_answers() {
    let (_client, stage) = Scripted::new(D).connect(answering(), |_| Vec::new()).await;
    let mut asked = 0;
    for (method, params, expected) in questions() {
        asked += 1;
        stage.say(json!({ "jsonrpc": "2.0", "id": asked, "method": method, "params": params }));
        until(|| stage.heard().len() == asked).await;
        let answer = stage.heard().pop().unwrap();
        let found = if answer["error"].is_null() {
            Ok(answer["result"].clone())
        } else {
            Err(answer["error"]["code"].as_i64().unwrap())
        };
        assert_eq!((&answer["id"], found), (&json!(asked), expected), "{method} {params}");
    }
    for (method, params, expected) in questions() {
        let question = json!({ "method": method, "params": params });
        let answer = move |message: &Value| {
            if message["method"] != "tools/call" {
                return Vec::new();
            }
            let answer = match message["params"].get("inputResponses") {
                None => json!({ "resultType": "input_required", "inputRequests": { "k": question } }),
                Some(answers) => json!({ "resultType": "complete", "content": [], "structuredContent": answers["k"] }),
            };
            vec![result(message, answer)]
        };
        let (client, stage) = Scripted::new(E).connect(answering(), answer).await;
        let called = soon(client.call_tool("t", ()).into_future()).await;
        match expected {
            Ok(expected) => assert_eq!(called.unwrap().structured_content, Some(expected), "{method} {params}"),
            // There is no place for an error: the request is given up, and not sent again.
            Err(_) => {
                assert!(called.is_err(), "{method} {params}");
                assert_eq!(stage.heard_of("tools/call").len(), 1);
            }
        }
    }
}

/// client/sampling: without `sampling.tools` a question with tools MUST be an error.
#[tokio::test]
async fn what_was_not_declared_is_refused() {
    let builder = client()
        .on_sample(async |_: CreateMessageParams| says("x"))
        .on_elicit(async |_: ElicitParams| ElicitResult::cancel());
    let (_client, stage) = Scripted::new(D).connect(builder, |_| Vec::new()).await;
    let tools = json!({ "messages": [], "maxTokens": 1, "tools": [] });
    let url = json!({ "mode": "url", "message": "go", "url": "https://example.com", "elicitationId": "e" });
    for (n, (method, params, code)) in [
        ("sampling/createMessage", tools, -32602),
        ("elicitation/create", url, -32602),
        ("roots/list", json!({}), -32601),
    ]
    .into_iter()
    .enumerate()
    {
        stage.say(json!({ "jsonrpc": "2.0", "id": n, "method": method, "params": params }));
        until(|| stage.heard().len() > n).await;
        assert_eq!(stage.heard()[n]["error"]["code"], code, "{method}");
    }
}

/// Requests of methods that only these two know, and a callback's error as the server sees it.
#[tokio::test]
async fn custom_requests_are_answered() {
    let builder = client()
        .on_request("vendor/add", async |_, n: Map<String, Value>| {
            Ok(json!({ "sum": n["a"].as_i64().unwrap() + n["b"].as_i64().unwrap() }))
        })
        .on_request("vendor/fail", async |asked: Asked, _: Value| {
            let name = asked.server().unwrap().info.name.clone();
            Err::<Value, _>(ErrorObject::new(7, name))
        })
        .on_request("vendor/mine", async |asked: Asked, _: Value| {
            // The error of our own call: nothing of its text reaches the server.
            asked.client().call_tool("missing", ()).idle(std::time::Duration::ZERO).await?;
            Ok(json!({}))
        });
    let (_client, stage) = Scripted::new(D).connect(builder, |_| Vec::new()).await;
    for (n, (method, params, expected)) in [
        ("vendor/add", json!({ "a": 1, "b": 2 }), json!({ "result": { "sum": 3 } })),
        ("vendor/fail", json!({}), json!({ "error": { "code": 7, "message": "scripted" } })),
        ("vendor/mine", json!({}), json!({ "error": { "code": -32603, "message": "the callback failed" } })),
        ("vendor/none", json!({}), json!({ "error": { "code": -32601 } })),
    ]
    .into_iter()
    .enumerate()
    {
        stage.say(json!({ "jsonrpc": "2.0", "id": n, "method": method, "params": params }));
        until(|| stage.heard().len() > n).await;
        let heard = &stage.heard()[n];
        assert_eq!(heard["result"], expected["result"], "{heard}");
        assert_eq!(heard["error"]["code"], expected["error"]["code"], "{heard}");
        if let Some(message) = expected["error"]["message"].as_str() {
            assert_eq!(heard["error"]["message"], message);
        }
    }
}

/// client/roots: a client that declares `listChanged` tells of changes; one that does not must not.
#[tokio::test]
async fn changed_roots_are_told_where_that_was_declared() {
    let roots = Arc::new(Mutex::new(vec![Root::new("file:///a")]));
    let list = Arc::clone(&roots);
    let builder = client().on_roots(move || {
        let roots = list.lock().unwrap().clone();
        async move { roots }
    });
    let (one, stage) = Scripted::new(D).connect(builder, |_| Vec::new()).await;
    roots.lock().unwrap().push(Root::new("file:///b"));
    one.roots_changed().unwrap();
    stage.hears("notifications/roots/list_changed", 1).await;
    stage.say(json!({ "jsonrpc": "2.0", "id": 1, "method": "roots/list" }));
    until(|| stage.heard().len() == 2).await;
    assert_eq!(stage.heard()[1]["result"]["roots"].as_array().unwrap().len(), 2);
    // What is no place is not told to the server.
    roots.lock().unwrap().push(Root::new("http://example.com"));
    stage.say(json!({ "jsonrpc": "2.0", "id": 2, "method": "roots/list" }));
    until(|| stage.heard().len() == 3).await;
    assert_eq!(stage.heard()[2]["error"]["code"], -32603);

    let (fixed, stage) = Scripted::new(D).connect(client().root("file:///a", "a"), |_| Vec::new()).await;
    let error = fixed.roots_changed().unwrap_err();
    assert!(matches!(error, Error::Send { why: Why::WeLack, .. }), "{error:?}");
    let dynamic = client().on_roots(async || vec![Root::new("file:///a")]);
    let (modern, _) = Scripted::new(E).connect(dynamic, |_| Vec::new()).await;
    let error = modern.roots_changed().unwrap_err();
    assert!(matches!(error, Error::Send { why: Why::NotInThisRevision, .. }), "{error:?}");
    assert!(stage.heard().is_empty());
}

/// A question that the server takes back drops its callback; the others go on.
#[tokio::test]
async fn questions_are_answered_beside_each_other_and_given_up_one_by_one() {
    struct Left(Arc<Mutex<Vec<String>>>, String);
    impl Drop for Left {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(self.1.clone());
        }
    }
    let (left, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Semaphore::new(0)));
    let (leaving, opens) = (Arc::clone(&left), Arc::clone(&gate));
    let builder = client().on_elicit(move |question: ElicitParams| {
        let (left, gate) = (Left(Arc::clone(&leaving), question.message), Arc::clone(&opens));
        async move {
            let _left = left;
            gate.acquire().await.unwrap().forget();
            ElicitResult::decline()
        }
    });
    let (_client, stage) = Scripted::new(D).connect(builder, |_| Vec::new()).await;
    let ask = |stage: &Stage, id: i64, message: &str| {
        let params = json!({ "message": message, "requestedSchema": { "type": "object", "properties": {} } });
        stage.say(json!({ "jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params }));
    };
    ask(&stage, 1, "first");
    ask(&stage, 2, "second");
    stage.say(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }));
    until(|| *left.lock().unwrap() == ["first"]).await;
    gate.add_permits(1);
    until(|| stage.heard().len() == 1).await;
    assert_eq!((&stage.heard()[0]["id"], &stage.heard()[0]["result"]["action"]), (&json!(2), &json!("decline")));
}

/// The handle in a callback does not keep the connection open, and fails when that is over.
#[tokio::test]
async fn a_callbacks_handle_does_not_hold_the_connection() {
    let held = Arc::new(Mutex::new(None));
    let hold = Arc::clone(&held);
    let builder = client().on_elicit(move |asked: Asked, _: ElicitParams| {
        *hold.lock().unwrap() = Some(asked.client().clone());
        std::future::pending::<ElicitResult>()
    });
    let (client, stage) = Scripted::new(D).connect(builder, |_| Vec::new()).await;
    let params = json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } });
    stage.say(json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": params }));
    until(|| held.lock().unwrap().is_some()).await;
    let inner = held.lock().unwrap().clone().unwrap();
    drop(client);
    soon(inner.closed()).await;
    assert!(soon(inner.list_tools().into_future()).await.unwrap_err().is_closed());
}

/// A callback that calls the server back, whose tool asks the client again, over pipes that hold one byte.
async fn nested(version: ProtocolVersion) {
    let outer = Tool::new("outer", "", async |ctx: Context| {
        let answer = ctx.elicit("outer", Form::of::<Said>("outer")).await?;
        Ok::<_, Error>(mcp::accepted::<Said>(&answer)?.map_or_else(String::new, |form| form.said))
    });
    let inner = Tool::new("inner", "", async |ctx: Context| {
        let answer = ctx.elicit("inner", Form::of::<Said>("inner")).await?;
        Ok::<_, Error>(mcp::accepted::<Said>(&answer)?.map_or_else(String::new, |form| form.said))
    });
    let server = Server::new("nested", "1").tool(outer).tool(inner);
    let builder = client().versions([version]).on_elicit(async |asked: Asked, question: ElicitParams| {
        let said = match question.message.as_str() {
            "outer" => match asked.client().call_tool("inner", ()).await {
                Ok(result) => format!("heard {}", result.joined_text()),
                Err(error) => error.to_string(),
            },
            _ => "the innermost".to_owned(),
        };
        ElicitResult::accept(Map::from_iter([("said".to_owned(), json!(said))]))
    });
    let (here, there) = mcp::memory::duplex(1);
    let (reader, writer) = there.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server));
    let (reader, writer) = here.into_split();
    let client = soon(mcp_tokio::connect_stream(reader, writer, builder)).await.unwrap();
    assert_eq!(client.version(), version);
    let calls = (0..4).map(|_| client.call_tool("outer", ()).into_future()).map(tokio::spawn).collect::<Vec<_>>();
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap().joined_text(), "heard the innermost", "{version}");
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Said {
    said: String,
}

#[tokio::test]
async fn callbacks_call_back_over_pipes_of_one_byte() {
    nested(D).await;
    nested(E).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callbacks_call_back_over_pipes_of_one_byte_on_many_threads() {
    nested(D).await;
    nested(E).await;
}
