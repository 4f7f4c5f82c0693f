//! The types of another project, made from the official schemas, read every sample and write it again, and nothing that they
//! know is lost on the way.

use std::collections::BTreeSet;

use mcp_proto::ProtocolVersion;
use mcp_samples::{Sample, samples};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a value as a `T` and writes it again.
fn again<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    // By way of the text: so strangers get their messages.
    let read = serde_json::from_str::<T>(&value.to_string()).map_err(|error| error.to_string())?;
    serde_json::to_value(read).map_err(|error| error.to_string())
}

type Again = fn(&Value) -> Result<Value, String>;

/// Finds out how strangers of one revision read what belongs to a method: its request and result, or its notification.
macro_rules! readers {
    (
        $name:ident by $schema:ident::$module:ident;
        $($method:literal: $request:ident $result:ident,)*
        notifications: $($notification:literal: $type:ident,)*
    ) => {
        fn $name(method: &str, form: &str) -> Option<Again> {
            use $schema::$module as schema;
            Some(match (method, form) {
                ("", "message") => again::<schema::JsonrpcMessage>,
                $(
                    ($method, "request") => again::<schema::$request>,
                    ($method, "result") => again::<schema::$result>,
                )*
                $(($notification, "notification") => again::<schema::$type>,)*
                _ => return None,
            })
        }
    };
}

readers! {
    of_2024_11_05 by schema_2024_11_05::mcp_2024_11_05;
    "initialize": InitializeRequest InitializeResult,
    "ping": PingRequest Result,
    "tools/list": ListToolsRequest ListToolsResult,
    "tools/call": CallToolRequest CallToolResult,
    "resources/list": ListResourcesRequest ListResourcesResult,
    "resources/templates/list": ListResourceTemplatesRequest ListResourceTemplatesResult,
    "resources/read": ReadResourceRequest ReadResourceResult,
    "resources/subscribe": SubscribeRequest Result,
    "resources/unsubscribe": UnsubscribeRequest Result,
    "prompts/list": ListPromptsRequest ListPromptsResult,
    "prompts/get": GetPromptRequest GetPromptResult,
    "completion/complete": CompleteRequest CompleteResult,
    "logging/setLevel": SetLevelRequest Result,
    "sampling/createMessage": CreateMessageRequest CreateMessageResult,
    "roots/list": ListRootsRequest ListRootsResult,
    notifications:
    "notifications/initialized": InitializedNotification,
    "notifications/cancelled": CancelledNotification,
    "notifications/progress": ProgressNotification,
    "notifications/message": LoggingMessageNotification,
    "notifications/tools/list_changed": ToolListChangedNotification,
    "notifications/prompts/list_changed": PromptListChangedNotification,
    "notifications/resources/list_changed": ResourceListChangedNotification,
    "notifications/resources/updated": ResourceUpdatedNotification,
    "notifications/roots/list_changed": RootsListChangedNotification,
}

readers! {
    of_2025_03_26 by schema_2025_03_26::mcp_2025_03_26;
    "initialize": InitializeRequest InitializeResult,
    "ping": PingRequest Result,
    "tools/list": ListToolsRequest ListToolsResult,
    "tools/call": CallToolRequest CallToolResult,
    "resources/list": ListResourcesRequest ListResourcesResult,
    "resources/templates/list": ListResourceTemplatesRequest ListResourceTemplatesResult,
    "resources/read": ReadResourceRequest ReadResourceResult,
    "resources/subscribe": SubscribeRequest Result,
    "resources/unsubscribe": UnsubscribeRequest Result,
    "prompts/list": ListPromptsRequest ListPromptsResult,
    "prompts/get": GetPromptRequest GetPromptResult,
    "completion/complete": CompleteRequest CompleteResult,
    "logging/setLevel": SetLevelRequest Result,
    "sampling/createMessage": CreateMessageRequest CreateMessageResult,
    "roots/list": ListRootsRequest ListRootsResult,
    notifications:
    "notifications/initialized": InitializedNotification,
    "notifications/cancelled": CancelledNotification,
    "notifications/progress": ProgressNotification,
    "notifications/message": LoggingMessageNotification,
    "notifications/tools/list_changed": ToolListChangedNotification,
    "notifications/prompts/list_changed": PromptListChangedNotification,
    "notifications/resources/list_changed": ResourceListChangedNotification,
    "notifications/resources/updated": ResourceUpdatedNotification,
    "notifications/roots/list_changed": RootsListChangedNotification,
}

readers! {
    of_2025_06_18 by schema_2025_06_18::mcp_2025_06_18;
    "initialize": InitializeRequest InitializeResult,
    "ping": PingRequest Result,
    "tools/list": ListToolsRequest ListToolsResult,
    "tools/call": CallToolRequest CallToolResult,
    "resources/list": ListResourcesRequest ListResourcesResult,
    "resources/templates/list": ListResourceTemplatesRequest ListResourceTemplatesResult,
    "resources/read": ReadResourceRequest ReadResourceResult,
    "resources/subscribe": SubscribeRequest Result,
    "resources/unsubscribe": UnsubscribeRequest Result,
    "prompts/list": ListPromptsRequest ListPromptsResult,
    "prompts/get": GetPromptRequest GetPromptResult,
    "completion/complete": CompleteRequest CompleteResult,
    "logging/setLevel": SetLevelRequest Result,
    "sampling/createMessage": CreateMessageRequest CreateMessageResult,
    "roots/list": ListRootsRequest ListRootsResult,
    "elicitation/create": ElicitRequest ElicitResult,
    notifications:
    "notifications/initialized": InitializedNotification,
    "notifications/cancelled": CancelledNotification,
    "notifications/progress": ProgressNotification,
    "notifications/message": LoggingMessageNotification,
    "notifications/tools/list_changed": ToolListChangedNotification,
    "notifications/prompts/list_changed": PromptListChangedNotification,
    "notifications/resources/list_changed": ResourceListChangedNotification,
    "notifications/resources/updated": ResourceUpdatedNotification,
    "notifications/roots/list_changed": RootsListChangedNotification,
}

readers! {
    of_2025_11_25 by schema_2025_11_25::mcp_2025_11_25;
    "initialize": InitializeRequest InitializeResult,
    "ping": PingRequest Result,
    "tools/list": ListToolsRequest ListToolsResult,
    "tools/call": CallToolRequest CallToolResult,
    "resources/list": ListResourcesRequest ListResourcesResult,
    "resources/templates/list": ListResourceTemplatesRequest ListResourceTemplatesResult,
    "resources/read": ReadResourceRequest ReadResourceResult,
    "resources/subscribe": SubscribeRequest Result,
    "resources/unsubscribe": UnsubscribeRequest Result,
    "prompts/list": ListPromptsRequest ListPromptsResult,
    "prompts/get": GetPromptRequest GetPromptResult,
    "completion/complete": CompleteRequest CompleteResult,
    "logging/setLevel": SetLevelRequest Result,
    "sampling/createMessage": CreateMessageRequest CreateMessageResult,
    "roots/list": ListRootsRequest ListRootsResult,
    "elicitation/create": ElicitRequest ElicitResult,
    "tasks/get": GetTaskRequest GetTaskResult,
    "tasks/result": GetTaskPayloadRequest GetTaskPayloadResult,
    "tasks/list": ListTasksRequest ListTasksResult,
    "tasks/cancel": CancelTaskRequest CancelTaskResult,
    "task": CreateMessageRequest CreateTaskResult,
    notifications:
    "notifications/initialized": InitializedNotification,
    "notifications/cancelled": CancelledNotification,
    "notifications/progress": ProgressNotification,
    "notifications/message": LoggingMessageNotification,
    "notifications/tools/list_changed": ToolListChangedNotification,
    "notifications/prompts/list_changed": PromptListChangedNotification,
    "notifications/resources/list_changed": ResourceListChangedNotification,
    "notifications/resources/updated": ResourceUpdatedNotification,
    "notifications/roots/list_changed": RootsListChangedNotification,
    "notifications/elicitation/complete": ElicitationCompleteNotification,
    "notifications/tasks/status": TaskStatusNotification,
}

readers! {
    of_2026_07_28 by schema_2026_07_28::mcp_2026_07_28;
    "server/discover": DiscoverRequest DiscoverResult,
    "tools/list": ListToolsRequest ListToolsResult,
    "tools/call": CallToolRequest CallToolResult,
    "resources/list": ListResourcesRequest ListResourcesResult,
    "resources/templates/list": ListResourceTemplatesRequest ListResourceTemplatesResult,
    "resources/read": ReadResourceRequest ReadResourceResult,
    "prompts/list": ListPromptsRequest ListPromptsResult,
    "prompts/get": GetPromptRequest GetPromptResult,
    "completion/complete": CompleteRequest CompleteResult,
    "subscriptions/listen": SubscriptionsListenRequest SubscriptionsListenResult,
    "input_required": InputRequest InputRequiredResult,
    notifications:
    "notifications/cancelled": CancelledNotification,
    "notifications/progress": ProgressNotification,
    "notifications/message": LoggingMessageNotification,
    "notifications/tools/list_changed": ToolListChangedNotification,
    "notifications/prompts/list_changed": PromptListChangedNotification,
    "notifications/resources/list_changed": ResourceListChangedNotification,
    "notifications/resources/updated": ResourceUpdatedNotification,
    "notifications/subscriptions/acknowledged": SubscriptionsAcknowledgedNotification,
}

/// The strangers' reader of a sample, and the part of the message that it reads. `None` if they have no type for it.
fn reader(sample: &Sample, message: &Value) -> Option<(Again, Value)> {
    let (method, form) = sample.kind.rsplit_once(' ')?;
    let result = message.get("result");
    let by_kind = |name: &str| result.is_some_and(|result| result["resultType"] == name);
    let method = if by_kind("input_required") {
        "input_required"
    } else if by_kind("task") {
        "task"
    } else if sample.revision == ProtocolVersion::V2025_11_25 && result.is_some_and(|it| it.get("task").is_some()) {
        "task"
    } else {
        method
    };
    let part = result.unwrap_or(message).clone();
    Some((readers(sample.revision)(method, form)?, part))
}

fn readers(revision: ProtocolVersion) -> fn(&str, &str) -> Option<Again> {
    match revision {
        ProtocolVersion::V2024_11_05 => of_2024_11_05,
        ProtocolVersion::V2025_03_26 => of_2025_03_26,
        ProtocolVersion::V2025_06_18 => of_2025_06_18,
        ProtocolVersion::V2025_11_25 => of_2025_11_25,
        ProtocolVersion::V2026_07_28 => of_2026_07_28,
        other => panic!("nobody reads {other}"),
    }
}

/// Where two values differ: `-path` for what is gone, `+path` for what has come, `!path` for what has changed. Numbers in
/// paths are left out, as a whole array shares its fate.
fn differences(path: &str, before: &Value, after: &Value, found: &mut BTreeSet<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                let path = format!("{path}/{key}");
                match after.get(key) {
                    Some(other) => differences(&path, value, other, found),
                    None => drop(found.insert(format!("-{path}"))),
                }
            }
            let new = after.keys().filter(|key| !before.contains_key(*key));
            found.extend(new.map(|key| format!("+{path}/{key}")));
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).for_each(|(before, after)| differences(path, before, after, found));
        }
        // 1 and 1.0 are one number.
        (Value::Number(before), Value::Number(after)) if before.as_f64() == after.as_f64() => {}
        _ if before == after => {}
        _ => drop(found.insert(format!("!{path}"))),
    }
}

//KNOWN

#[test]
fn strangers_read_what_we_send() {
    let mut found = BTreeSet::new();
    let mut unread = BTreeSet::new();
    for sample in samples() {
        let message: Value = serde_json::from_str(&sample.message).expect("samples are JSON");
        let mut check = |reader: Again, part: &Value, what: &str| match reader(part) {
            Ok(again) => {
                let mut differing = BTreeSet::new();
                differences("", part, &again, &mut differing);
                found.extend(differing.into_iter().map(|at| format!("{} {what} {at}", sample.revision)));
            }
            Err(error) => drop(found.insert(format!("{} {what} refused: {error}", sample.revision))),
        };
        let envelope = readers(sample.revision)("", "message").expect("every revision has messages");
        check(envelope, &message, &format!("envelope of {}", sample.kind));
        match reader(&sample, &message) {
            Some((reader, part)) => check(reader, &part, &sample.kind),
            None if sample.kind.ends_with(" error") => {}
            None => drop(unread.insert(format!("{} {}", sample.revision, sample.kind))),
        }
    }
    println!("{}", found.into_iter().collect::<Vec<_>>().join("\n"));
    println!("UNREAD\n{}", unread.into_iter().collect::<Vec<_>>().join("\n"));
}
