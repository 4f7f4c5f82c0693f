//! Requests that outlive their response, in the modern era; mirrors the specification of the extension
//! `io.modelcontextprotocol/tasks`. Its wire shapes are not those of [2025-11-25](super::Task).

use alloc::string::String;

use serde_json::{Map, Value};

use crate::jsonrpc::ErrorObject;

use super::multi_round_trip::{InputRequests, InputResponses};
use super::tasks::TaskStatus;
use super::wire::{Integer, Nullable, wire_struct};

/// The identifier of the extension, a key of `extensions` in the capabilities of both sides.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

wire_struct! {
    /// The state of a task. As the result of a request that has become a task it stands flat, with `resultType` `task`,
    /// which the core writes.
    pub struct ExtTask except "resultType" {
        /// By what the task is referred to.
        required task_id: String = "taskId",
        /// How it is going.
        required status: TaskStatus = "status",
        /// When it began, in ISO 8601.
        required created_at: String = "createdAt",
        /// When its state changed last, in ISO 8601.
        required last_updated_at: String = "lastUpdatedAt",
        /// For how many milliseconds from its beginning it is kept; may change. `None` is `null` on the wire and means
        /// without limit; a task without the member is refused.
        required ttl_ms: Option<i64> as Nullable = "ttlMs",
        /// How it is going, for people.
        optional(with_status_message) status_message: String = "statusMessage",
        /// How many milliseconds to wait between two questions about it; may change.
        optional(with_poll_interval_ms) poll_interval_ms: i64 as Integer = "pollIntervalMs",
    }
}

/// The result of a request that has become a task.
pub type CreateExtTaskResult = ExtTask;

wire_struct! {
    /// The state of a task with what comes of it: the result of `tasks/get`, and the parameters of `notifications/tasks`.
    pub struct DetailedTask except "resultType" {
        /// By what the task is referred to.
        required task_id: String = "taskId",
        /// How it is going.
        required status: TaskStatus = "status",
        /// When it began, in ISO 8601.
        required created_at: String = "createdAt",
        /// When its state changed last, in ISO 8601.
        required last_updated_at: String = "lastUpdatedAt",
        /// For how many milliseconds from its beginning it is kept; may change. `None` is `null` on the wire and means
        /// without limit; a task without the member is refused.
        required ttl_ms: Option<i64> as Nullable = "ttlMs",
        /// How it is going, for people.
        optional(with_status_message) status_message: String = "statusMessage",
        /// How many milliseconds to wait between two questions about it; may change.
        optional(with_poll_interval_ms) poll_interval_ms: i64 as Integer = "pollIntervalMs",
        /// The result of the request, once the task is completed: what its response would have been.
        optional(with_result) result: Map<String, Value> = "result",
        /// The error of the request, once the task has failed.
        optional(with_error) error: ErrorObject = "error",
        /// What the client must answer by `tasks/update`, while the task waits for it.
        optional(with_input_requests) input_requests: InputRequests = "inputRequests",
    }
}

impl From<ExtTask> for DetailedTask {
    fn from(task: ExtTask) -> Self {
        let ExtTask { task_id, status, created_at, last_updated_at, ttl_ms, status_message, poll_interval_ms, extra } =
            task;
        Self {
            status_message,
            poll_interval_ms,
            extra,
            ..Self::new(task_id, status, created_at, last_updated_at, ttl_ms)
        }
    }
}

wire_struct! {
    /// The parameters of `tasks/update`, whose result is an [`EmptyResult`](super::EmptyResult).
    pub struct UpdateTaskParams {
        /// The task that waits.
        required task_id: String = "taskId",
        /// The answers, or some of them.
        required input_responses: InputResponses = "inputResponses",
    }
}
