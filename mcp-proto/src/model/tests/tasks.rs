//! Tasks, in the shapes of 2025-11-25 and of the extension.

use serde_json::json;

use super::{decode, encode, keeps, refusal, survives};
use crate::jsonrpc::ErrorObject;
use crate::model::{
    CancelTaskParams, ClientCapabilities, CreateTaskResult, DetailedTask, ExtTask, GetTaskParams, ListTasksParams,
    ListTasksResult, RelatedTask, ServerCapabilities, Task, TaskMetadata, TaskResultParams, TaskStatus,
    TasksCapability, ToolExecution, UpdateTaskParams,
};

#[test]
fn in_2025_11_25() {
    let full = r#"{"taskId":"1","status":"working","createdAt":"c","lastUpdatedAt":"u","ttl":60000,"statusMessage":"m","pollInterval":500}"#;
    let least = r#"{"taskId":"1","status":"working","createdAt":"c","lastUpdatedAt":"u","ttl":null}"#;
    keeps::<Task>(full, least);
    keeps::<TaskMetadata>(r#"{"ttl":60000}"#, "{}");
    let nested = |task: &str| [r#"{"task":"#, task, "}"].concat();
    keeps::<CreateTaskResult>(&nested(full), &nested(least));
    for json in [full, least] {
        survives::<ListTasksResult>(&[r#"{"tasks":["#, json, r#"],"nextCursor":"c"}"#].concat());
    }
    keeps::<ListTasksResult>(r#"{"tasks":[],"nextCursor":"c"}"#, r#"{"tasks":[]}"#);
    keeps::<ListTasksParams>(r#"{"cursor":"c"}"#, "{}");
    keeps::<GetTaskParams>(r#"{"taskId":"1"}"#, r#"{"taskId":"1"}"#);
    keeps::<TaskResultParams>(r#"{"taskId":"1"}"#, r#"{"taskId":"1"}"#);
    keeps::<CancelTaskParams>(r#"{"taskId":"1"}"#, r#"{"taskId":"1"}"#);
    keeps::<RelatedTask>(r#"{"taskId":"1"}"#, r#"{"taskId":"1"}"#);
    keeps::<ToolExecution>(r#"{"taskSupport":"required"}"#, "{}");
}

/// A lifetime that is `null` has no limit; one that is absent is a fault. Both shapes.
#[test]
fn no_limit_is_not_nothing() {
    let task = Task::new("1", TaskStatus::Working, "c", "u", None);
    assert_eq!(encode(&task)["ttl"], json!(null));
    assert_eq!(Task::new("1", "working", "c", "u", 5), Task { ttl: Some(5), ..task });
    let task: Task = decode(r#"{"taskId":"1","status":"new","createdAt":"c","lastUpdatedAt":"u","ttl":5e3}"#);
    assert_eq!((task.ttl, task.status), (Some(5000), TaskStatus::Other("new".into())));
    let without = r#"{"taskId":"1","status":"working","createdAt":"c","lastUpdatedAt":"u"}"#;
    assert_eq!(refusal::<Task>(without), "missing field `ttl`");
    assert_eq!(refusal::<ExtTask>(without), "missing field `ttlMs`");
    assert_eq!(refusal::<DetailedTask>(without), "missing field `ttlMs`");
    assert_eq!(refusal::<Task>(r#"{"ttl":"long"}"#), "ttl: invalid type: string \"long\", expected an integer");
}

#[test]
fn in_the_extension() {
    let full = r#"{"taskId":"1","status":"working","createdAt":"c","lastUpdatedAt":"u","ttlMs":60000,"statusMessage":"m","pollIntervalMs":500}"#;
    let least = r#"{"taskId":"1","status":"working","createdAt":"c","lastUpdatedAt":"u","ttlMs":null}"#;
    keeps::<ExtTask>(full, least);
    keeps::<DetailedTask>(full, least);
    let detailed = full.replace(
        r#""pollIntervalMs""#,
        r#""result":{"content":[]},"error":{"code":-32603,"message":"m"},"inputRequests":{"k":{"method":"roots/list"}},"pollIntervalMs""#,
    );
    keeps::<DetailedTask>(&detailed, least);
    keeps::<UpdateTaskParams>(
        r#"{"taskId":"1","inputResponses":{"k":{"action":"accept","content":{}}}}"#,
        r#"{"taskId":"1","inputResponses":{}}"#,
    );
    let task: ExtTask = decode(&full.replace(r#""taskId""#, r#""resultType":"task","x":1,"taskId""#));
    assert_eq!(task.extra.len(), 1);
    let failed =
        DetailedTask { status: TaskStatus::Failed, ..task.clone().into() }.with_error(ErrorObject::internal("m"));
    assert_eq!((&failed.ttl_ms, &failed.extra), (&task.ttl_ms, &task.extra));
    assert_eq!(encode(&failed)["error"], json!({"code": -32603, "message": "m"}));
}

#[test]
fn some_states_are_the_last() {
    for (status, last) in
        [("working", false), ("input_required", false), ("completed", true), ("failed", true), ("cancelled", true)]
    {
        let status = TaskStatus::from(status);
        assert_eq!(status.is_terminal(), last, "{status}");
        assert!(!matches!(status, TaskStatus::Other(_)));
    }
}

#[test]
fn capabilities() {
    let server = r#"{"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{},"x":1},"x":1},"x":1}}"#;
    let server: ServerCapabilities = survives(server);
    let client = r#"{"tasks":{"requests":{"sampling":{"createMessage":{}},"elicitation":{"create":{}}}}}"#;
    let client: ClientCapabilities = survives(client);
    let supported = |tasks: Option<TasksCapability>| {
        let tasks = tasks.expect("they are there");
        ["tools/call", "sampling/createMessage", "elicitation/create", "prompts/get"].map(|it| tasks.supports(it))
    };
    assert_eq!(supported(server.tasks), [true, false, false, false]);
    assert_eq!(supported(client.tasks), [false, true, true, false]);
    assert_eq!(supported(Some(TasksCapability::new())), [false; 4]);
}
