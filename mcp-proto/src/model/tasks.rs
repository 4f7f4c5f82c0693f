//! Requests that outlive their response; mirrors the specification's Tasks page (2025-11-25 only; for later revisions see the
//! [extension](ExtTask)).

use alloc::string::String;
use alloc::vec::Vec;

use super::lifecycle::Supported;
use super::wire::{Integer, Nullable, wire_enum, wire_struct};

wire_struct! {
    /// The wish that a request become a task.
    #[derive(Default)]
    pub struct TaskMetadata {
        /// For how many milliseconds the task should be kept.
        optional(with_ttl) ttl: i64 as Integer = "ttl",
    }
}

wire_struct! {
    /// The state of a task.
    pub struct Task {
        /// By what the task is referred to.
        required task_id: String = "taskId",
        /// How it is going.
        required status: TaskStatus = "status",
        /// When it began, in ISO 8601.
        required created_at: String = "createdAt",
        /// When its state changed last, in ISO 8601.
        required last_updated_at: String = "lastUpdatedAt",
        /// For how many milliseconds from its beginning it is kept. `None` is `null` on the wire and means without limit; a
        /// task without the member is refused.
        required ttl: Option<i64> as Nullable = "ttl",
        /// How it is going, for people.
        optional(with_status_message) status_message: String = "statusMessage",
        /// How many milliseconds to wait between two questions about it.
        optional(with_poll_interval) poll_interval: i64 as Integer = "pollInterval",
    }
}

wire_enum! {
    /// How a task is going.
    pub enum TaskStatus {
        /// It is at work.
        Working = "working",
        /// It waits for an answer.
        InputRequired = "input_required",
        /// It has its result.
        Completed = "completed",
        /// It has failed.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
    }
}

impl TaskStatus {
    /// Whether the task stays as it is.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

wire_struct! {
    /// The result of a request that has become a task.
    pub struct CreateTaskResult {
        /// The task.
        required task: Task = "task",
    }
}

wire_struct! {
    /// The parameters of `tasks/get`, whose result is a [`Task`], or a [`DetailedTask`](super::DetailedTask) in the
    /// extension.
    pub struct GetTaskParams {
        /// The task to tell of.
        required task_id: String = "taskId",
    }
}

wire_struct! {
    /// The parameters of `tasks/result`, whose result is that of the request that has become the task.
    pub struct TaskResultParams {
        /// The task whose result is wanted.
        required task_id: String = "taskId",
    }
}

wire_struct! {
    /// The parameters of `tasks/cancel`, whose result is a [`Task`], or an [`EmptyResult`](super::EmptyResult) in the
    /// extension.
    pub struct CancelTaskParams {
        /// The task to cancel.
        required task_id: String = "taskId",
    }
}

wire_struct! {
    /// The parameters of `tasks/list`.
    #[derive(Default)]
    pub struct ListTasksParams {
        /// The page to give; the first if absent.
        optional(with_cursor) cursor: String = "cursor",
    }
}

wire_struct! {
    /// The result of `tasks/list`.
    #[derive(Default)]
    pub struct ListTasksResult {
        /// The tasks of this page.
        defaulted(with_tasks) tasks: Vec<Task> = "tasks",
        /// The next page, if there is one.
        optional(with_next_cursor) next_cursor: String = "nextCursor",
    }
}

/// The result of `tasks/get`.
pub type GetTaskResult = Task;

/// The result of `tasks/cancel`.
pub type CancelTaskResult = Task;

/// The parameters of `notifications/tasks/status`.
pub type TaskStatusParams = Task;

wire_struct! {
    /// The task that a message belongs to; stands in its `_meta`.
    pub struct RelatedTask {
        /// The task.
        required task_id: String = "taskId",
    }
}

wire_struct! {
    /// Which requests to a peer may become tasks.
    #[derive(Default)]
    pub struct TasksCapability {
        /// The peer lists its tasks.
        optional(with_list) list: Supported = "list",
        /// The peer cancels tasks.
        optional(with_cancel) cancel: Supported = "cancel",
        /// The requests.
        optional(with_requests) requests: TaskRequests = "requests",
    }
}

impl TasksCapability {
    /// Whether requests of this method may become tasks.
    #[must_use]
    pub fn supports(&self, method: &str) -> bool {
        self.requests.as_ref().is_some_and(|requests| match method {
            "tools/call" => requests.tools.as_ref().is_some_and(|it| it.call.is_some()),
            "sampling/createMessage" => requests.sampling.as_ref().is_some_and(|it| it.create_message.is_some()),
            "elicitation/create" => requests.elicitation.as_ref().is_some_and(|it| it.create.is_some()),
            _ => false,
        })
    }
}

wire_struct! {
    /// The requests that may become tasks, by the first part of their methods.
    #[derive(Default)]
    pub struct TaskRequests {
        /// Those to a server.
        optional(with_tools) tools: ToolsTaskRequests = "tools",
        /// Those to a client's language model.
        optional(with_sampling) sampling: SamplingTaskRequests = "sampling",
        /// Those to a client's user.
        optional(with_elicitation) elicitation: ElicitationTaskRequests = "elicitation",
    }
}

wire_struct! {
    /// The requests about tools that may become tasks.
    #[derive(Default)]
    pub struct ToolsTaskRequests {
        /// `tools/call`, as far as the tool allows.
        optional(with_call) call: Supported = "call",
    }
}

wire_struct! {
    /// The requests about sampling that may become tasks.
    #[derive(Default)]
    pub struct SamplingTaskRequests {
        /// `sampling/createMessage`.
        optional(with_create_message) create_message: Supported = "createMessage",
    }
}

wire_struct! {
    /// The requests about elicitation that may become tasks.
    #[derive(Default)]
    pub struct ElicitationTaskRequests {
        /// `elicitation/create`.
        optional(with_create) create: Supported = "create",
    }
}
