//! The types of another project, made from the official schemas, read every sample and write it again, and nothing that they
//! know is lost on the way.

use std::collections::BTreeSet;

use mcp_proto::ProtocolVersion;
use mcp_proto::model::{METHODS, Sender};
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
    let says = |key: &str| result.and_then(|result| result.get(key));
    let makes_task = match sample.revision {
        ProtocolVersion::V2025_11_25 => says("task").is_some(),
        _ => says("resultType").is_some_and(|it| it == "task"),
    };
    let method = if makes_task {
        "task"
    } else if says("resultType").is_some_and(|it| it == "input_required") {
        "input_required"
    } else {
        method
    };
    let mut part = result.unwrap_or(message).clone();
    let is_bare = result.is_none() && sample.revision <= ProtocolVersion::V2025_06_18;
    if let (true, Some(members)) = (is_bare, part.as_object_mut()) {
        // Until then the schema of a request or notification leaves these two to the envelope.
        members.remove("jsonrpc");
        members.remove("id");
    }
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

/// What strangers lose or refuse for reasons of their own: the revisions, a part of the complaint, the reason. Each row has
/// to be needed.
const GAPS: &[(&str, &str, &str)] = &[
    ("2024-11-05 2025-03-26 2025-06-18", " -/params/_meta", "their schema has no _meta there, or knows the token only"),
    ("2024-11-05 2025-03-26 2025-06-18", "unreadable error refused", "a null id is JSON-RPC's, not their schema's"),
    ("2025-06-18 2025-11-25 2026-07-28", "/requestedSchema/properties/", "they take each choice for any string"),
    ("2025-11-25", "notifications/elicitation/complete notification -/params/_meta", "their schema has no _meta there"),
    ("2025-11-25", "tasks/get request -/params/_meta", "their schema has no _meta there"),
    ("2025-11-25", "tasks/result request -/params/_meta", "their schema has no _meta there"),
    ("2025-11-25", "tasks/cancel request -/params/_meta", "their schema has no _meta there"),
    ("2025-11-25", "tasks/get result refused: invalid type: null", "a ttl may be null; later releases know"),
    ("2025-11-25", "tasks/cancel result refused: invalid type: null", "a ttl may be null; later releases know"),
    // Ours: a server that speaks nothing older should leave the id out.
    ("2026-07-28", "/notifications/taskIds", "it belongs to the extension for tasks"),
    ("2026-07-28", "tools/call result -/structuredContent", "they take null for absence"),
];

/// What strangers have no types for: the extension for tasks.
const UNREAD: [&str; 8] = [
    "2026-07-28 notifications/tasks notification",
    "2026-07-28 tasks/cancel request",
    "2026-07-28 tasks/cancel result",
    "2026-07-28 tasks/get request",
    "2026-07-28 tasks/get result",
    "2026-07-28 tasks/update request",
    "2026-07-28 tasks/update result",
    "2026-07-28 tools/call result",
];

#[test]
fn strangers_read_what_we_send() {
    let (mut complaints, mut unread) = (BTreeSet::new(), BTreeSet::new());
    for sample in samples() {
        let message: Value = serde_json::from_str(&sample.message).expect("samples are JSON");
        let mut check = |reader: Again, part: &Value, what: &str| match reader(part) {
            Ok(again) => {
                let mut found = BTreeSet::new();
                differences("", part, &again, &mut found);
                complaints.extend(found.into_iter().map(|at| format!("{} {what} {at}", sample.revision)));
            }
            Err(error) => drop(complaints.insert(format!("{} {what} refused: {error}", sample.revision))),
        };
        let envelope = readers(sample.revision)("", "message").expect("every revision has messages");
        check(envelope, &message, &format!("envelope of {}", sample.kind));
        match reader(&sample, &message) {
            Some((reader, part)) => check(reader, &part, &sample.kind),
            // An error is all envelope.
            None if sample.kind.ends_with(" error") => {}
            None => drop(unread.insert(format!("{} {}", sample.revision, sample.kind))),
        }
    }
    let mut needed = BTreeSet::new();
    complaints.retain(|complaint| {
        let excuse = GAPS.iter().position(|(revisions, part, _)| {
            revisions.split(' ').any(|revision| complaint.starts_with(revision)) && complaint.contains(part)
        });
        needed.extend(excuse);
        excuse.is_none()
    });
    assert!(complaints.is_empty(), "{}", complaints.into_iter().collect::<Vec<_>>().join("\n"));
    let idle: Vec<_> = (0..GAPS.len()).filter(|row| !needed.contains(row)).map(|row| GAPS[row]).collect();
    assert!(idle.is_empty(), "no longer needed: {idle:?}");
    assert_eq!(unread.iter().map(String::as_str).collect::<Vec<_>>(), UNREAD);
}

#[test]
fn every_message_of_every_method_is_there() {
    let kinds: BTreeSet<_> =
        samples().into_iter().map(|sample| (sample.revision, sample.sender == Sender::Client, sample.kind)).collect();
    for rule in METHODS {
        for revision in ProtocolVersion::ALL.into_iter().filter(|it| (rule.since..=rule.until).contains(it)) {
            for by_client in [true, false] {
                let other = if by_client { Sender::Server } else { Sender::Client };
                let is_ours_to_send = rule.sender != other && !NEVER_SENT.contains(&(revision, by_client, rule.method));
                let forms: &[(&str, bool)] = if rule.is_notification() {
                    &[("notification", by_client)]
                } else {
                    &[("request", by_client), ("result", !by_client), ("error", !by_client)]
                };
                for (form, sender) in forms.iter().filter(|_| is_ours_to_send) {
                    let kind = (revision, *sender, format!("{} {form}", rule.method));
                    assert!(kinds.contains(&kind), "no sample: {kind:?}");
                }
            }
        }
    }
}

/// What the tables allow and we never send, `true` being the client.
const NEVER_SENT: [(ProtocolVersion, bool, &str); 1] =
    // A server ends a subscription by its result.
    [(ProtocolVersion::V2026_07_28, false, "notifications/cancelled")];
