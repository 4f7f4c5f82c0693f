//! Through the model and back: each `params` and each `result` is decoded as the type that its method names and encoded
//! again, so that whatever the model loses is missed in the frame.

use mcp_proto::Body;
use std::fmt::Debug;

use mcp_proto::model::{
    AcknowledgedParams, CallToolParams, CallToolResult, CancelTaskParams, CompleteParams, CompleteResult,
    CreateMessageParams, CreateMessageResult, CreateTaskResult, DetailedTask, DiscoverResult, ElicitParams,
    ElicitResult, ElicitationCompleteParams, EmptyResult, Era, ExtTask, GetPromptParams, GetPromptResult,
    GetTaskParams, InitializeParams, InitializeResult, ListPromptsParams, ListPromptsResult,
    ListResourceTemplatesParams, ListResourceTemplatesResult, ListResourcesParams, ListResourcesResult,
    ListRootsResult, ListTasksParams, ListTasksResult, ListToolsParams, ListToolsResult, ListenParams, LogParams,
    ReadResourceParams, ReadResourceResult, ResourceUpdatedParams, SetLevelParams, SubscribeParams, Task,
    TaskResultParams, TaskStatusParams, UnsubscribeParams, UpdateTaskParams,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A request or notification as the model knows it. `_meta` is not the model's, so it is left out.
pub(crate) fn message(method: &str, params: &Value, era: Era) -> Recoded {
    let none = Value::Object(Map::new());
    let of = Params { method, params: if params.is_null() { &none } else { params } };
    match method {
        "initialize" => of.typed::<InitializeParams>(),
        "tools/list" => of.typed::<ListToolsParams>(),
        "tools/call" => of.typed::<CallToolParams>(),
        "resources/list" => of.typed::<ListResourcesParams>(),
        "resources/templates/list" => of.typed::<ListResourceTemplatesParams>(),
        "resources/read" => of.typed::<ReadResourceParams>(),
        "resources/subscribe" => of.typed::<SubscribeParams>(),
        "resources/unsubscribe" => of.typed::<UnsubscribeParams>(),
        "prompts/list" => of.typed::<ListPromptsParams>(),
        "prompts/get" => of.typed::<GetPromptParams>(),
        "completion/complete" => of.typed::<CompleteParams>(),
        "logging/setLevel" => of.typed::<SetLevelParams>(),
        "sampling/createMessage" => of.typed::<CreateMessageParams>(),
        "elicitation/create" => of.typed::<ElicitParams>(),
        "tasks/get" => of.typed::<GetTaskParams>(),
        "tasks/result" => of.typed::<TaskResultParams>(),
        "tasks/list" => of.typed::<ListTasksParams>(),
        "tasks/cancel" => of.typed::<CancelTaskParams>(),
        "tasks/update" => of.typed::<UpdateTaskParams>(),
        "subscriptions/listen" => of.typed::<ListenParams>(),
        "notifications/message" => {
            let params: LogParams = decode(method, params);
            Recoded { unknown: unknown(&params), body: Body::log(&params).unwrap() }
        }
        "notifications/resources/updated" => of.typed::<ResourceUpdatedParams>(),
        "notifications/elicitation/complete" => of.typed::<ElicitationCompleteParams>(),
        "notifications/tasks/status" if era == Era::Legacy => of.typed::<TaskStatusParams>(),
        "notifications/tasks" => of.typed::<DetailedTask>(),
        "notifications/subscriptions/acknowledged" => of.typed::<AcknowledgedParams>(),
        // Without parameters of their own, or another extension's.
        _ => of.open(),
    }
}

/// The result of a request of this method.
pub(crate) fn result(method: &str, result: &Value, era: Era) -> Recoded {
    let of = Outcome { method, result };
    match (method, era) {
        // A request that has become a task.
        (_, Era::Legacy) if result.pointer("/task/taskId").is_some() => of.typed::<CreateTaskResult>(),
        (_, Era::Modern) if result["resultType"] == "task" => of.typed::<ExtTask>(),
        (_, Era::Modern) if result.get("resultType").is_some_and(|kind| kind != "complete") => of.open(),
        ("initialize", _) => of.typed::<InitializeResult>(),
        ("server/discover", _) => of.typed::<DiscoverResult>(),
        ("tools/list", _) => of.typed::<ListToolsResult>(),
        ("tools/call", _) => of.typed::<CallToolResult>(),
        ("resources/list", _) => of.typed::<ListResourcesResult>(),
        ("resources/templates/list", _) => of.typed::<ListResourceTemplatesResult>(),
        ("resources/read", _) => of.typed::<ReadResourceResult>(),
        ("prompts/list", _) => of.typed::<ListPromptsResult>(),
        ("prompts/get", _) => of.typed::<GetPromptResult>(),
        ("completion/complete", _) => of.typed::<CompleteResult>(),
        ("sampling/createMessage", _) => of.typed::<CreateMessageResult>(),
        ("elicitation/create", _) => of.typed::<ElicitResult>(),
        ("roots/list", _) => of.typed::<ListRootsResult>(),
        ("tasks/get" | "tasks/cancel", Era::Legacy) => of.typed::<Task>(),
        ("tasks/get", Era::Modern) => of.typed::<DetailedTask>(),
        ("tasks/list", _) => of.typed::<ListTasksResult>(),
        (
            "ping"
            | "logging/setLevel"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "subscriptions/listen"
            | "tasks/cancel"
            | "tasks/update",
            _,
        ) => of.typed::<EmptyResult>(),
        // Another extension's.
        _ => of.open(),
    }
}

/// What has been through the model.
pub(crate) struct Recoded {
    pub(crate) body: Body,
    /// The members that no type of the model has by name.
    pub(crate) unknown: Vec<String>,
}

struct Params<'a> {
    method: &'a str,
    params: &'a Value,
}

impl Params<'_> {
    fn typed<T: DeserializeOwned + Serialize + Debug>(&self) -> Recoded {
        let params: T = decode(self.method, self.params);
        Recoded { unknown: unknown(&params), body: Body::new(self.method, &params).unwrap() }
    }

    fn open(&self) -> Recoded {
        Recoded { unknown: Vec::new(), body: Body::new(self.method, &without_core_members(self.params)).unwrap() }
    }
}

struct Outcome<'a> {
    method: &'a str,
    result: &'a Value,
}

impl Outcome<'_> {
    fn typed<T: DeserializeOwned + Serialize + Debug>(&self) -> Recoded {
        let result: T = decode(self.method, self.result);
        Recoded { unknown: unknown(&result), body: Body::result(&result).unwrap() }
    }

    fn open(&self) -> Recoded {
        Recoded { unknown: Vec::new(), body: Body::result(&without_core_members(self.result)).unwrap() }
    }
}

fn decode<T: DeserializeOwned>(what: &str, value: &Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap_or_else(|error| panic!("{what}: {error}: {value}"))
}

/// The members that ended in the field `extra` of some type: one that a type should know is found in the wrong place so.
fn unknown(value: &impl Debug) -> Vec<String> {
    let text = format!("{value:?}");
    let first_key = |extra: &str| extra.strip_prefix('"')?.split_once('"').map(|(key, _)| key.to_string());
    text.split("extra: {").skip(1).filter_map(first_key).collect()
}

/// What belongs to the core; the types of the model leave it out themselves.
fn without_core_members(value: &Value) -> Map<String, Value> {
    let mut members = value.as_object().cloned().unwrap_or_default();
    members.remove("_meta");
    members.remove("resultType");
    members
}
