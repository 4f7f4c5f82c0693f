//! Tools that are run to their end, whether or not their calls become tasks on the way.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::scripted::{Scripted, note, result};
use common::{soon, until};
use mcp::model::{ElicitParams, ElicitResult};
use mcp::{Client, Error, ProtocolVersion, RequestError, TimedOut};
use serde_json::{Map, Value, json};

use ProtocolVersion::{V2025_06_18 as C, V2025_11_25 as D, V2026_07_28 as E};

fn client() -> mcp::ClientBuilder {
    Client::builder("runs", "1").tasks().on_elicit(async |question: ElicitParams| {
        ElicitResult::accept(Map::from_iter([("said".to_owned(), json!(question.message))]))
    })
}

fn task(status: &str) -> Value {
    json!({ "taskId": "t", "status": status, "createdAt": "c", "lastUpdatedAt": "u", "ttl": null, "ttlMs": null,
        "pollInterval": 1, "pollIntervalMs": 1 })
}

fn done() -> Value {
    json!({ "content": [{ "type": "text", "text": "done" }] })
}

fn question(message: &str) -> Value {
    json!({ "message": message, "requestedSchema": { "type": "object", "properties": {} } })
}

/// basic/utilities/tasks (2025-11-25): the token of a call lives as long as its task, so its progress reaches the caller until
/// then, and what the server has to ask meanwhile is answered.
#[tokio::test]
async fn the_progress_of_a_task_goes_on_until_its_end() {
    let token = Arc::new(Mutex::new(Value::Null));
    let waiting = Arc::new(Mutex::new(Value::Null));
    let (tokens, waits) = (Arc::clone(&token), Arc::clone(&waiting));
    let (client, stage) = Scripted::new(D)
        .connect(client(), move |message| match message["method"].as_str() {
            Some("tools/call") => {
                assert_eq!(message["params"]["task"], json!({ "ttl": 60 }));
                *tokens.lock().unwrap() = message["params"]["_meta"]["progressToken"].clone();
                let first = json!({ "progressToken": *tokens.lock().unwrap(), "progress": 1 });
                vec![note("notifications/progress", first), result(message, json!({ "task": task("working") }))]
            }
            Some("tasks/result") => {
                *waits.lock().unwrap() = message.clone();
                Vec::new()
            }
            Some("ping") => vec![result(message, json!({}))],
            _ => Vec::new(),
        })
        .await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let run = client.run_tool("t", (), 60).on_progress(move |it| sees.lock().unwrap().push(it.progress));
    let running = tokio::spawn(run.into_future());
    stage.hears("tasks/result", 1).await;
    let progress =
        |n: u32| note("notifications/progress", json!({ "progressToken": *token.lock().unwrap(), "progress": n }));
    stage.say(progress(2));
    until(|| seen.lock().unwrap().len() == 2).await;
    stage.say(json!({ "jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": question("which?") }));
    until(|| stage.heard().iter().any(|it| it["id"] == 9)).await;
    let answer = stage.heard().into_iter().find(|it| it["id"] == 9).unwrap();
    assert_eq!(answer["result"]["content"]["said"], "which?");
    stage.say(progress(3));
    stage.say(result(&waiting.lock().unwrap(), done()));
    assert_eq!(soon(running).await.unwrap().unwrap().joined_text(), "done");
    assert_eq!(*seen.lock().unwrap(), [1.0, 2.0, 3.0]);
    // Nobody is told any more, and nothing was cancelled.
    stage.say(progress(4));
    soon(client.ping().into_future()).await.unwrap();
    assert_eq!((seen.lock().unwrap().len(), stage.heard_of("tasks/cancel").len()), (3, 0));
}

/// Where there are no tasks, it is a call.
#[tokio::test]
async fn without_tasks_it_is_a_call() {
    for (version, capabilities) in
        [(C, json!({ "tools": {} })), (D, json!({ "tools": {} })), (E, json!({ "tools": {} }))]
    {
        let (client, stage) = Scripted::new(version)
            .capabilities(capabilities)
            .connect(client(), |message| vec![result(message, done())])
            .await;
        let run = client.run_tool("t", json!({ "a": 1 }), None).into_future();
        assert_eq!(soon(run).await.unwrap().joined_text(), "done", "{version}");
        let call = &stage.heard_of("tools/call")[0]["params"];
        assert_eq!((&call["arguments"], call.get("task")), (&json!({ "a": 1 }), None), "{version}");
        assert_eq!(stage.heard().len(), 1, "{version}: {:?}", stage.heard());
    }
}

/// A server whose calls become tasks of the extension, which go through these states, one at each question.
fn going_through(states: Vec<Value>) -> impl FnMut(&Value) -> Vec<Value> + Send {
    let mut states = states.into_iter();
    move |message| {
        let mut answer = match message["method"].as_str() {
            Some("tools/call") => {
                let mut created = task("working");
                created["resultType"] = json!("task");
                return vec![result(message, created)];
            }
            // The last state stays.
            Some("tasks/get") => states.next().unwrap_or_else(|| task("working")),
            _ => json!({}),
        };
        answer["resultType"] = json!("complete");
        vec![result(message, answer)]
    }
}

fn with(status: &str, member: &str, value: Value) -> Value {
    let mut task = task(status);
    task[member] = value;
    task
}

/// The extension for tasks (2026-07-28): asked for until it has ended; each of its questions is answered once.
#[tokio::test]
async fn a_task_of_the_extension_is_asked_for_until_its_end() {
    let asks = |keys: &[&str]| {
        let ask = |key: &&str| ((*key).to_owned(), json!({ "method": "elicitation/create", "params": question(key) }));
        with("input_required", "inputRequests", Value::Object(keys.iter().map(ask).collect()))
    };
    let states =
        vec![task("working"), asks(&["a"]), asks(&["a", "b"]), task("vendor"), with("completed", "result", done())];
    let (client, stage) = Scripted::new(E).connect(client(), going_through(states)).await;
    let ran = soon(client.run_tool("t", (), None).into_future()).await.unwrap();
    assert_eq!(ran.joined_text(), "done");
    let updates = stage.heard_of("tasks/update");
    let answers = updates.iter().map(|it| it["params"]["inputResponses"].clone()).collect::<Vec<_>>();
    let said = |text: &str| json!({ "action": "accept", "content": { "said": text } });
    assert_eq!(answers, [json!({ "a": said("a") }), json!({ "b": said("b") })]);
    assert_eq!((stage.heard_of("tasks/get").len(), stage.heard_of("tasks/cancel").len()), (5, 0));
}

/// Every way in which a task ends without a result is an error that says how.
#[tokio::test]
async fn a_task_that_ends_otherwise_is_an_error() {
    let error = json!({ "code": -5, "message": "broken" });
    for (state, expected) in [
        (with("failed", "error", error), "broken"),
        (task("failed"), "without an error"),
        (task("completed"), "without a result"),
        (with("completed", "result", json!({ "content": 7 })), "content"),
        (task("cancelled"), "cancelled"),
    ] {
        let (client, stage) = Scripted::new(E).connect(client(), going_through(vec![state.clone()])).await;
        let error = soon(client.run_tool("t", (), None).into_future()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{state}: {error}");
        assert!(stage.heard_of("tasks/cancel").is_empty(), "{state}: it has ended by itself");
    }
}

/// A task that nobody waits for any more is cancelled: given up, out of time, or with a question that cannot be answered.
#[tokio::test]
async fn a_task_that_is_not_wanted_any_more_is_cancelled() {
    for version in [D, E] {
        let answer = move |message: &Value| match (version, message["method"].as_str()) {
            (D, Some("tools/call")) => vec![result(message, json!({ "task": task("working") }))],
            (D, Some("tasks/result")) => Vec::new(),
            _ => going_through(Vec::new())(message),
        };
        let (client, stage) = Scripted::new(version).connect(client(), answer).await;
        let run = tokio::spawn(client.run_tool("t", (), None).into_future());
        let begun = if version == D { "tasks/result" } else { "tasks/get" };
        stage.hears(begun, 1).await;
        run.abort();
        assert_eq!(stage.hears("tasks/cancel", 1).await[0]["params"]["taskId"], "t");
        let cap = Duration::from_millis(30);
        let error = soon(client.run_tool("t", (), None).cap(cap).into_future()).await.unwrap_err();
        let is_out_of_time = matches!(&error, Error::Request { error: RequestError::TimedOut(TimedOut::Cap(after)), .. } if *after == cap);
        assert!(is_out_of_time && error.is_timeout(), "{error:?}");
        stage.hears("tasks/cancel", 2).await;
    }
    let roots = with("input_required", "inputRequests", json!({ "k": { "method": "roots/list" } }));
    let panics = with(
        "input_required",
        "inputRequests",
        json!({ "k": { "method": "elicitation/create", "params": question("panic") } }),
    );
    for state in [roots, panics] {
        let builder = Client::builder("c", "1")
            .tasks()
            .on_elicit(|_: ElicitParams| -> std::future::Ready<ElicitResult> { panic!("as announced") });
        let (client, stage) = Scripted::new(E).connect(builder, going_through(vec![state])).await;
        let error = soon(client.run_tool("t", (), None).into_future()).await.unwrap_err();
        assert!(matches!(error, Error::Request { error: RequestError::Cancelled, .. }), "{error:?}");
        stage.hears("tasks/cancel", 1).await;
    }
}
