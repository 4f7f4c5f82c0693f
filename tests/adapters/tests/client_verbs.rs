//! The client's verbs against a server that the test plays: what is on the wire, what comes back, what a revision lacks.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::time::Duration;

use common::scripted::{Scripted, error, result};
use common::soon;
use mcp::model::{Capability, CompletionRef, InputResponses, LoggingLevel, StringArguments, Tool, ToolAnnotations};
use mcp::{Client, Error, ProtocolVersion, RequestError, Started, TimedOut, Why};
use serde_json::{Map, Value, json};

use ProtocolVersion::{V2024_11_05 as A, V2025_03_26 as B, V2025_06_18 as C, V2025_11_25 as D, V2026_07_28 as E};

fn client() -> mcp::ClientBuilder {
    Client::builder("verbs", "1").tasks()
}

/// Answers every request of the protocol as some server might.
fn answer(message: &Value) -> Vec<Value> {
    let task = json!({ "taskId": "t", "status": "working", "createdAt": "c", "lastUpdatedAt": "u",
        "ttl": 5, "ttlMs": 5, "pollInterval": 7, "pollIntervalMs": 7 });
    let answer = match message["method"].as_str().unwrap() {
        "tools/call" if message["params"]["task"].is_object() => json!({ "task": task }),
        "tools/call" if message["params"]["name"] == "long" => {
            let mut created = task;
            created["resultType"] = json!("task");
            created
        }
        "tools/call" => json!({ "content": [{ "type": "text", "text": "called" }], "structuredContent": { "n": 3 } }),
        "resources/read" => json!({ "contents": [{ "uri": message["params"]["uri"], "text": "read" }] }),
        "prompts/get" => json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": "got" } }] }),
        "completion/complete" => json!({ "completion": { "values": ["Rust"], "total": 1, "hasMore": false } }),
        "server/discover" => json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} }),
        "tasks/get" | "tasks/cancel" => task,
        "tasks/result" => json!({ "content": [{ "type": "text", "text": "done" }] }),
        method if method.starts_with("notifications/") => return Vec::new(),
        _ => json!({}),
    };
    vec![result(message, answer)]
}

/// Makes a call and tells what of it was on the wire: `None` if nothing was, and then why.
macro_rules! wire {
    ($version:expr, $client:ident => $call:expr) => {{
        let ($client, stage) = Scripted::new($version).connect(client(), answer).await;
        let done = soon($call.into_future()).await.map(|_| ());
        // Everything before this was heard by now.
        soon($client.request::<Value>("vendor/last", &json!({})).into_future()).await.unwrap();
        let mut heard = stage.heard();
        heard.pop();
        match (heard.pop(), done) {
            (Some(message), Ok(())) => {
                let mut params = message["params"].clone();
                params.as_object_mut().unwrap().remove("_meta");
                Ok((message["method"].as_str().unwrap().to_owned(), params))
            }
            (None, Err(Error::Send { what, why })) => {
                assert!(what.contains('/') || what == "ping", "{what}");
                Err(why)
            }
            (heard, done) => panic!("{heard:?} {done:?}"),
        }
    }};
}

/// Every verb: its method and parameters, and in which revisions it exists.
#[tokio::test]
async fn each_verb_sends_its_method_where_the_revision_has_it() {
    let none = StringArguments::new;
    for version in ProtocolVersion::ALL {
        let everywhere = [
            (
                wire!(version, c => c.call_tool("add", json!({ "a": 1 }))),
                "tools/call",
                json!({ "name": "add", "arguments": { "a": 1 } }),
            ),
            (wire!(version, c => c.call_tool("add", ())), "tools/call", json!({ "name": "add" })),
            (wire!(version, c => c.list_tools_page(None)), "tools/list", json!({})),
            (wire!(version, c => c.list_tools_page(Some(String::new()))), "tools/list", json!({ "cursor": "" })),
            (wire!(version, c => c.list_resources_page(None)), "resources/list", json!({})),
            (wire!(version, c => c.list_resource_templates_page(None)), "resources/templates/list", json!({})),
            (wire!(version, c => c.list_prompts_page(None)), "prompts/list", json!({})),
            (wire!(version, c => c.read_resource("file:///a")), "resources/read", json!({ "uri": "file:///a" })),
            (wire!(version, c => c.get_prompt("p", none())), "prompts/get", json!({ "name": "p" })),
            (
                wire!(version, c => c.get_prompt("p", [("a", "1")])),
                "prompts/get",
                json!({ "name": "p", "arguments": { "a": "1" } }),
            ),
            (
                wire!(version, c => c.complete(CompletionRef::prompt("p"), "a", "R", none())),
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "R" } }),
            ),
            (
                wire!(version, c => c.complete(CompletionRef::resource("f://{a}"), "a", "R", [("b", "1")])),
                "completion/complete",
                json!({ "ref": { "type": "ref/resource", "uri": "f://{a}" }, "argument": { "name": "a", "value": "R" },
                    "context": { "arguments": { "b": "1" } } }),
            ),
        ];
        for (heard, method, params) in everywhere {
            assert_eq!(heard, Ok((method.to_owned(), params)), "{version}");
        }
        let somewhere = [
            (wire!(version, c => c.ping()), &[A, B, C, D][..], "ping", json!({})),
            (
                wire!(version, c => c.set_log_level(LoggingLevel::Error)),
                &[A, B, C, D],
                "logging/setLevel",
                json!({ "level": "error" }),
            ),
            (wire!(version, c => c.subscribe("f")), &[A, B, C, D], "resources/subscribe", json!({ "uri": "f" })),
            (wire!(version, c => c.unsubscribe("f")), &[A, B, C, D], "resources/unsubscribe", json!({ "uri": "f" })),
            (wire!(version, c => c.get_task("t")), &[D, E], "tasks/get", json!({ "taskId": "t" })),
            (wire!(version, c => c.task_result("t")), &[D], "tasks/result", json!({ "taskId": "t" })),
            (wire!(version, c => c.list_tasks_page(None)), &[D], "tasks/list", json!({})),
            (wire!(version, c => c.cancel_task("t")), &[D, E], "tasks/cancel", json!({ "taskId": "t" })),
            (
                wire!(version, c => c.update_task("t", InputResponses::from([("k", json!({ "roots": [] }))]))),
                &[E],
                "tasks/update",
                json!({ "taskId": "t", "inputResponses": { "k": { "roots": [] } } }),
            ),
        ];
        for (heard, versions, method, params) in somewhere {
            let has = versions.contains(&version);
            let expected = if has { Ok((method.to_owned(), params)) } else { Err(Why::NotInThisRevision) };
            assert_eq!(heard, expected, "{version} {method}");
        }
        // A task is wished for in one revision only; later any call may become one.
        let wished = json!({ "name": "add", "arguments": { "a": 1 }, "task": { "ttl": 60 } });
        let plain = json!({ "name": "add", "arguments": { "a": 1 } });
        let expected = match version {
            D => Ok(("tools/call".to_owned(), wished)),
            E => Ok(("tools/call".to_owned(), plain)),
            _ => Err(Why::NotInThisRevision),
        };
        assert_eq!(wire!(version, c => c.start_tool("add", json!({ "a": 1 }), 60)), expected, "{version}");
    }
    assert_eq!(wire!(A, c => c.discover()), Err(Why::NotInThisRevision));
}

/// server/discover (2026-07-28): may be asked again at any time.
#[tokio::test]
async fn what_a_server_says_of_itself_is_known_and_can_be_asked_again() {
    let (client, _) = Scripted::new(E).instructions("Be kind.").connect(client(), answer).await;
    assert_eq!(soon(client.discover().into_future()).await.unwrap().supported_versions, ["2026-07-28"]);
    for version in ProtocolVersion::ALL {
        let scripted = Scripted::new(version).instructions("Be kind.");
        let (client, _) = scripted.connect(Client::builder("facts", "1"), answer).await;
        assert_eq!((client.version(), client.era()), (version, version.era()));
        let info = client.server_info().unwrap();
        assert_eq!((info.name.as_str(), info.version.as_str()), ("scripted", "7"));
        assert_eq!(client.instructions().as_deref(), Some("Be kind."));
        assert!(client.capabilities().unwrap().tools.is_some() && !client.is_closed());
        assert!(client.has_tools() && client.has_resources() && client.has_prompts());
        assert!(client.has_completions() && client.has_logging() && client.offers(Capability::ToolsListChanged));
        let (client, _) =
            Scripted::new(version).capabilities(json!({})).connect(Client::builder("facts", "1"), answer).await;
        assert!(!(client.has_tools() || client.has_resources() || client.has_prompts()));
        assert!(!(client.has_completions() || client.has_logging() || client.offers(Capability::ToolsListChanged)));
        assert_eq!(client.instructions(), None);
    }
}

/// basic/lifecycle: only what was negotiated is used. Nothing is sent for the rest.
#[tokio::test]
async fn what_the_server_did_not_declare_is_an_error_on_this_side() {
    for version in [D, E] {
        let (client, stage) = Scripted::new(version).capabilities(json!({})).connect(client(), answer).await;
        let none = StringArguments::new;
        for error in [
            soon(client.list_tools().into_future()).await.unwrap_err(),
            soon(client.call_tool("t", ()).into_future()).await.unwrap_err(),
            soon(client.read_resource("f").into_future()).await.unwrap_err(),
            soon(client.get_prompt("p", none()).into_future()).await.unwrap_err(),
            soon(client.complete(CompletionRef::prompt("p"), "a", "", none()).into_future()).await.unwrap_err(),
            soon(client.get_task("t").into_future()).await.unwrap_err(),
        ] {
            assert!(matches!(&error, Error::Send { why: Why::PeerLacks, .. }), "{version}: {error:?}");
            assert!(error.rpc().is_none() && error.to_string().contains("did not declare"), "{error}");
        }
        if version == D {
            let error = soon(client.start_tool("t", (), None).into_future()).await.unwrap_err();
            assert!(matches!(&error, Error::Send { why: Why::PeerLacks, .. }), "{error:?}");
        }
        soon(client.request::<Value>("vendor/last", &json!({})).into_future()).await.unwrap();
        assert_eq!(stage.heard().len(), 1);
    }
}

/// Tasks of both shapes: one wished for (2025-11-25), one that the server decided on (the extension).
#[tokio::test]
async fn a_call_may_become_a_task() {
    for (version, tool) in [(D, "any"), (E, "long")] {
        let (client, _) = Scripted::new(version).connect(client(), answer).await;
        let Started::Task(task) = soon(client.start_tool(tool, (), None).into_future()).await.unwrap() else {
            panic!("{version}: a task");
        };
        assert_eq!((task.id(), task.status().as_str()), ("t", "working"));
        assert_eq!(task.poll_interval(), Some(Duration::from_millis(7)));
        assert_eq!(soon(client.get_task("t").into_future()).await.unwrap(), task, "{version}");
        assert_eq!(soon(client.cancel_task("t").into_future()).await.unwrap().is_some(), version == D);
    }
    // A server that answers at once, in either.
    let (client, _) = Scripted::new(E).connect(client(), answer).await;
    let Started::Done(done) = soon(client.start_tool("quick", (), None).into_future()).await.unwrap() else {
        panic!("a result");
    };
    assert_eq!(done.joined_text(), "called");
    // Who does not expect a task is told, and is not given an empty result.
    let error = soon(client.call_tool("long", ()).into_future()).await.unwrap_err();
    assert!(matches!(&error, Error::Result { what, .. } if what == "tools/call long"), "{error:?}");
    assert!(error.to_string().contains("task"), "{error}");
}

/// server/tools: the display name is the title, else that of the annotations, else the name.
#[test]
fn names_for_people_have_an_order() {
    let named = Tool::new("name", Map::new());
    let annotated = named.clone().with_annotations(ToolAnnotations::new().with_title("annotated"));
    let titled = annotated.clone().with_title("titled");
    assert_eq!([&named, &annotated, &titled].map(Tool::display_name), ["name", "annotated", "titled"]);
}

/// Errors say which request, about what, with which id; and whose they are.
#[tokio::test]
async fn errors_name_the_request_and_whose_they_are() {
    let silent_or = |message: &Value| match message["params"]["name"].as_str() {
        Some("refused") => vec![error(message, -32602, "no such tool")],
        Some("odd") => vec![result(message, json!({ "content": [{ "type": "text" }] }))],
        _ => Vec::new(),
    };
    let (client, stage) = Scripted::new(D).connect(client(), silent_or).await;
    let refused = soon(client.call_tool("refused", ()).into_future()).await.unwrap_err();
    let id = &stage.heard()[0]["id"];
    assert_eq!(refused.rpc().unwrap().code.0, -32602);
    assert_eq!(
        refused.to_string(),
        format!("tools/call refused (id {id}): the peer answered with an error: {}", refused.rpc().unwrap())
    );
    let odd = soon(client.call_tool("odd", ()).into_future()).await.unwrap_err();
    assert!(odd.rpc().is_none() && odd.to_string().contains("tools/call odd"), "{odd}");
    assert!(odd.to_string().contains("result.content[0]"), "{odd}");
    let slow =
        soon(client.read_resource("file:///slow").idle(Duration::from_millis(30)).into_future()).await.unwrap_err();
    assert!(slow.is_timeout() && slow.rpc().is_none());
    assert!(
        slow.to_string().contains("resources/read file:///slow (id ") && slow.to_string().contains("30ms"),
        "{slow}"
    );
}

/// Deadlines: of the call, else of the client; zero and none are honoured.
#[tokio::test]
async fn deadlines_of_the_call_win_over_those_of_the_client() {
    let short = Duration::from_millis(20);
    let silent = |_: &Value| Vec::new();
    let hung = async |builder: mcp::ClientBuilder, change: fn(mcp::Request<()>) -> mcp::Request<()>| {
        let (client, _) = Scripted::new(D).connect(builder, silent).await;
        let error = soon(change(client.ping()).into_future()).await.unwrap_err();
        let Error::Request { error: RequestError::TimedOut(which), id, .. } = error else { panic!("{error:?}") };
        (which, id.is_some())
    };
    assert_eq!(hung(client().idle(short), |ping| ping).await, (TimedOut::Idle(short), true));
    assert_eq!(hung(client().cap(short), |ping| ping).await, (TimedOut::Cap(short), true));
    assert_eq!(
        hung(client().idle(None).cap(None), |ping| ping.idle(Duration::from_millis(20))).await,
        (TimedOut::Idle(short), true)
    );
    assert_eq!(
        hung(client().idle(Duration::ZERO), |ping| ping.idle(None).cap(Duration::from_millis(20))).await,
        (TimedOut::Cap(short), true)
    );
    // Zero: it was not even sent.
    assert_eq!(hung(client(), |ping| ping.idle(Duration::ZERO)).await, (TimedOut::Idle(Duration::ZERO), false));
    assert_eq!(hung(client().idle(Duration::ZERO), |ping| ping).await, (TimedOut::Idle(Duration::ZERO), false));
    // None: not within any time that a test could wait for, but an answer still comes through.
    let (client, _) = Scripted::new(D).connect(client().idle(None).cap(None), answer).await;
    soon(client.ping().into_future()).await.unwrap();
}

/// What goes with a call: its `_meta`, its token, and in the stateless era the level of logs wanted.
#[tokio::test]
async fn options_of_a_call_are_on_the_wire() {
    for version in [D, E] {
        let (client, stage) = Scripted::new(version).connect(client(), answer).await;
        let meta = Map::from_iter([("vendor/key".to_owned(), json!("v"))]);
        let call = client.read_resource("f").meta(meta).log_level(LoggingLevel::Error).on_progress(|_| {});
        soon(call.into_future()).await.unwrap();
        let heard = &stage.heard()[0];
        let meta = &heard["params"]["_meta"];
        assert_eq!((&meta["vendor/key"], &meta["progressToken"]), (&json!("v"), &heard["id"]));
        let level = if version == E { json!("error") } else { Value::Null };
        assert_eq!(meta["io.modelcontextprotocol/logLevel"], level);
    }
}

/// basic: custom methods and notifications pass in both directions, whatever they carry.
#[tokio::test]
async fn methods_that_nobody_knows_pass() {
    for version in ProtocolVersion::ALL {
        let odd = |message: &Value| match message["method"].as_str().unwrap() {
            "vendor/ask" => vec![result(message, json!({ "odd": [1, null], "resultType": "complete" }))],
            _ => Vec::new(),
        };
        let (client, stage) = Scripted::new(version).connect(client(), odd).await;
        client.notify("notifications/vendor", &json!({ "n": 1 }), None).unwrap();
        let answer: Value = soon(client.request("vendor/ask", &json!({ "n": 2 })).into_future()).await.unwrap();
        assert_eq!(answer["odd"], json!([1, null]));
        assert_eq!(stage.heard()[0]["params"]["n"], 1);
        assert_eq!(stage.heard()[1]["params"]["n"], 2);
    }
}

/// server/utilities/logging: one wish for log messages, which each revision says in its own way.
#[tokio::test]
async fn log_messages_are_wished_for_once_whatever_the_revision() {
    for (version, declares) in [(D, true), (D, false), (E, true)] {
        let capabilities = if declares { json!({ "logging": {} }) } else { json!({}) };
        let builder = client().log_level(LoggingLevel::Warning);
        let (client, stage) = Scripted::new(version).capabilities(capabilities).connect(builder, answer).await;
        soon(client.request::<Value>("vendor/x", &json!({}))).await.unwrap();
        soon(client.request::<Value>("vendor/x", &json!({})).log_level(LoggingLevel::Debug)).await.unwrap();
        let levels = stage.heard().into_iter().map(|message| match message["method"].as_str().unwrap() {
            "logging/setLevel" => message["params"]["level"].clone(),
            _ => message["params"]["_meta"]["io.modelcontextprotocol/logLevel"].clone(),
        });
        let expected = match (version, declares) {
            (D, true) => vec![json!("warning"), Value::Null, Value::Null],
            (D, false) => vec![Value::Null, Value::Null],
            _ => vec![json!("warning"), json!("debug")],
        };
        assert_eq!(levels.collect::<Vec<_>>(), expected, "{version} {declares}");
    }
}
