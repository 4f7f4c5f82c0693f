//! Requests that become tasks (specification 2025-11-25: basic/utilities/tasks).

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{CallOptions, Event, InboundId, OutboundId, RespondError, ResultKind, ServerConfig, Wanted};
use crate::model::ProtocolVersion::{self, V2025_06_18, V2025_11_25};
use crate::model::{Progress, TasksCapability};

fn with_tasks(config: &mut ServerConfig) {
    let tasks = json!({"requests": {"tools": {"call": {}}}});
    config.capabilities.tasks = Some(serde_json::from_value::<TasksCapability>(tasks).unwrap());
}

fn asked(version: ProtocolVersion, params: Value, tweak: impl FnOnce(&mut ServerConfig)) -> (Node, InboundId) {
    let mut server = Node::server_in(version, tweak);
    server.tell(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
    let (id, ..) = server.take_request();
    (server, id)
}

fn task(status: &str) -> Value {
    json!({"taskId": "t1", "status": status, "createdAt": "2025-11-25T00:00:00Z",
        "lastUpdatedAt": "2025-11-25T00:00:00Z", "ttl": null})
}

fn become_task(server: &mut Node, id: InboundId) -> Result<(), RespondError> {
    let body = result(&json!({"task": task("working")}));
    let sent = server.step(|conn, now| conn.respond(now, id, ResultKind::Task, body.clone(), None));
    server.answered(id, sent)
}

/// "The `progressToken` … MUST continue to be used for progress … throughout the task's lifetime": here until the handler
/// says that the task is over, and strictly rising across the reply.
#[test]
fn the_progress_of_a_task_goes_on_after_the_reply() {
    let params = json!({"name": "t", "task": {}, "_meta": {"progressToken": "p"}});
    let (mut server, id) = asked(V2025_11_25, params, with_tasks);
    server.progress(id, &Progress::new(1)).unwrap();
    become_task(&mut server, id).unwrap();
    assert_eq!(server.progress(id, &Progress::new(1)), Err(RespondError::ProgressNotRising));
    server.progress(id, &Progress::new(2)).unwrap();
    let frames = server.frames();
    assert_eq!(frames[1]["result"]["task"]["taskId"], "t1");
    assert_eq!(frames[1]["result"].get("resultType"), None, "the legacy era has no such member");
    assert_eq!(frames[2]["params"], json!({"progressToken": "p", "progress": 2.0}));
    assert_eq!(server.respond(id, &json!({})), Err(RespondError::Gone), "it is answered");
    server.release(id);
    assert_eq!(server.progress(id, &Progress::new(3)), Err(RespondError::Gone));
}

/// Only a request that asks for it, of a revision and a side that have tasks, is answered with one.
#[test]
fn a_task_is_only_for_who_asked_for_one() {
    let plain = json!({"name": "t"});
    let asks = json!({"name": "t", "task": {}});
    let deep = json!({"name": "t", "arguments": {"task": {}}});
    for (version, params, declared, may) in [
        (V2025_11_25, &asks, true, true),
        (V2025_11_25, &plain, true, false),
        (V2025_11_25, &deep, true, false),
        (V2025_11_25, &asks, false, false),
        (V2025_06_18, &asks, true, false),
    ] {
        let (mut server, id) = asked(version, params.clone(), |config| {
            if declared {
                with_tasks(config);
            }
        });
        let expected = if may { Ok(()) } else { Err(RespondError::NotInThisRevision) };
        assert_eq!(become_task(&mut server, id), expected, "{version} {params} {declared}");
        if !may {
            server.respond(id, &json!({"content": []})).unwrap();
        }
    }
}

/// A server that never says that its tasks are over does not grow: the oldest ones report no more.
#[test]
fn tasks_that_report_are_bounded() {
    let mut server = Node::server_in(V2025_11_25, |config| {
        with_tasks(config);
        config.limits.tasks = 2;
    });
    let mut ids = std::vec::Vec::new();
    for wire in 0..4 {
        server.tell(&json!({"jsonrpc": "2.0", "id": wire, "method": "tools/call",
            "params": {"name": "t", "task": {}, "_meta": {"progressToken": wire}}}));
        let (id, ..) = server.take_request();
        become_task(&mut server, id).unwrap();
        ids.push(id);
    }
    server.frames();
    let told = ids.iter().map(|id| server.progress(*id, &Progress::new(1)));
    assert_eq!(told.collect::<std::vec::Vec<_>>(), [Err(RespondError::Gone), Err(RespondError::Gone), Ok(()), Ok(())]);
}

fn call_as_task() -> (Node, OutboundId, Value) {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    let options = CallOptions { progress: Wanted::Yes, ..CallOptions::default() };
    let call = client.request(&body("tools/call", &json!({"name": "t", "task": {"ttl": 1}})), &options).unwrap();
    let token = client.frames()[0]["id"].clone();
    client.tell(&json!({"jsonrpc": "2.0", "id": token, "result": {"task": task("working")}}));
    let events = client.events();
    assert!(matches!(&events[..], [Event::Response { result: Ok((ResultKind::Task, _)), .. }]), "{events:?}");
    (client, call, token)
}

fn progressed(token: &Value, progress: i64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": token, "progress": progress}})
}

/// The side that asked hears of it under the same handle until the task has ended, or it does not want to any more.
#[test]
fn the_progress_of_a_task_reaches_its_call() {
    for forgets in [false, true] {
        let (mut client, call, token) = call_as_task();
        client.tell(&progressed(&token, 1));
        client.tell(&progressed(&token, 2));
        let events = client.events();
        assert!(
            matches!(&events[..], [Event::Progress { id, .. }, Event::Progress { .. }] if *id == call),
            "{events:?}"
        );
        if forgets {
            client.cancel(call, "enough");
            assert!(client.frames().is_empty(), "a task is cancelled by tasks/cancel, not by notifications/cancelled");
        } else {
            client.tell(
                &json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": task("input_required")}),
            );
            client.tell(&progressed(&token, 3));
            assert_eq!(kinds(&client.events()), ["notification", "progress"]);
            client
                .tell(&json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": task("completed")}));
            assert_eq!(kinds(&client.events()), ["notification"]);
        }
        client.tell(&progressed(&token, 4));
        assert_eq!(kinds(&client.events()), ["stray"]);
    }
}

/// A server that answers at once, although a task was asked for, has simply answered.
#[test]
fn an_answer_at_once_is_complete() {
    let mut client = Node::client_in(V2025_11_25, |_| {});
    client.ask("tools/call", &json!({"name": "t", "task": {}}));
    let id = client.frames()[0]["id"].clone();
    client.tell(&json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}}));
    let events = client.events();
    assert!(matches!(&events[..], [Event::Response { result: Ok((ResultKind::Complete, _)), .. }]), "{events:?}");
}
