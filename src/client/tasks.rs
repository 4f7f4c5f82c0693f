//! Requests that outlive their response, in both of their shapes: the tasks of 2025-11-25, and the extension of later revisions.

use std::time::Duration;

use mcp_proto::model::{
    CallToolResult, CancelTaskParams, CreateTaskResult, DetailedTask, ExtTask, GetTaskParams, InputResponses, Task,
    TaskMetadata, TaskResultParams, TaskStatus, TasksRule, UpdateTaskParams,
};
use mcp_proto::{Body, Deadlines, Era, Message, PeerCapabilities, ResultKind, Why};
use serde::Serialize;
use serde_json::Value;

use super::request::{decode, decode_any};
use super::verbs::ToolCall;
use super::{Client, Request, what};
use crate::{Error, Result};

/// What came of a call that may become a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Started {
    /// The tool has answered at once.
    Done(CallToolResult),
    /// It is at work. Ask [`Client::get_task`] how it is going.
    Task(TaskState),
}

/// The state of a task, in the shape of the negotiated revision.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskState {
    /// Of 2025-11-25. Its result comes by [`Client::task_result`].
    Legacy(Task),
    /// Of the extension `io.modelcontextprotocol/tasks`. Its result, error or questions are part of it.
    Extension(Box<DetailedTask>),
}

impl TaskState {
    /// By what the task is referred to.
    pub fn id(&self) -> &str {
        match self {
            Self::Legacy(task) => &task.task_id,
            Self::Extension(task) => &task.task_id,
        }
    }

    /// How it is going.
    pub fn status(&self) -> &TaskStatus {
        match self {
            Self::Legacy(task) => &task.status,
            Self::Extension(task) => &task.status,
        }
    }

    /// How long to wait before asking again, if the server says.
    pub fn poll_interval(&self) -> Option<Duration> {
        let ms = match self {
            Self::Legacy(task) => task.poll_interval,
            Self::Extension(task) => task.poll_interval_ms,
        };
        Some(Duration::from_millis(ms?.try_into().ok()?))
    }

    /// The result of the tool, if the task has one in it: of the extension, once completed.
    ///
    /// # Errors
    ///
    /// When it is no result of a tool.
    pub fn result(&self) -> Option<Result<CallToolResult>> {
        let Self::Extension(task) = self else { return None };
        let result = serde_json::from_value(Value::Object(task.result.clone()?));
        Some(result.map_err(|error| Error::Result { what: what("tasks/get", &task.task_id), error }))
    }
}

/// Tasks.
impl Client {
    /// Calls a tool that may answer by a task.
    ///
    /// In 2025-11-25 the client asks for that, and the server must have declared it; `ttl` is for how many milliseconds the
    /// task should be kept. From 2026-07-28 on the server decides, if the client [has declared](super::ClientBuilder::tasks)
    /// the extension; `ttl` is its affair then.
    ///
    /// ```
    /// # async fn pause(_: std::time::Duration) {}
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// use std::time::Duration;
    /// use mcp::Started;
    ///
    /// let result = match client.start_tool("index", (), 600_000).await? {
    ///     Started::Task(mut task) => {
    ///         while !task.status().is_terminal() {
    ///             pause(task.poll_interval().unwrap_or(Duration::from_secs(1))).await;
    ///             task = client.get_task(task.id()).await?;
    ///         }
    ///         match task.result() {
    ///             Some(result) => result?,
    ///             None => client.task_result(task.id()).await?,
    ///         }
    ///     }
    ///     Started::Done(result) => result,
    ///     _ => return Ok(()),
    /// };
    /// println!("{}", result.joined_text());
    /// # Ok(()) }
    /// ```
    pub fn start_tool(
        &self,
        name: impl AsRef<str>,
        arguments: impl Serialize,
        ttl: impl Into<Option<i64>>,
    ) -> Request<Started> {
        let (name, arguments) = (name.as_ref(), &arguments);
        let what = what("tools/call", name);
        if self.era() == Era::Modern {
            let body = Body::new("tools/call", &ToolCall { name, arguments, task: None });
            return Request::decoded(self.call(what, body), started_by_server);
        }
        let call = self.runs_tasks_of("tools/call").map_err(|why| Error::Send { what: what.clone(), why });
        let mut wish = TaskMetadata::new();
        wish.ttl = ttl.into();
        let body = Body::new("tools/call", &ToolCall { name, arguments, task: Some(wish) });
        Request::decoded(call.and_then(|()| self.call(what, body)), started_by_wish)
    }

    /// How a task is going.
    pub fn get_task(&self, id: impl AsRef<str>) -> Request<TaskState> {
        let id = id.as_ref();
        let call = self.call(what("tasks/get", id), Body::new("tasks/get", &GetTaskParams::new(id)));
        match self.era() {
            Era::Legacy => Request::decoded(call, |kind, message| decode(kind, message).map(TaskState::Legacy)),
            Era::Modern => Request::decoded(call, |kind, message| {
                decode(kind, message).map(|task| TaskState::Extension(Box::new(task)))
            }),
        }
    }

    /// The result of a task once it has one, which may take its time (2025-11-25 only): there is no deadline unless
    /// [`Request::cap`] sets one. Later it is [part of the task](TaskState::result).
    pub fn task_result(&self, id: impl AsRef<str>) -> Request<CallToolResult> {
        let id = id.as_ref();
        let mut request = self.verb("tasks/result", id, &TaskResultParams::new(id));
        // Specification: it blocks until the task has ended, so silence means nothing.
        request.options(|options| {
            options.deadlines = Deadlines::Call { idle: Duration::MAX, cap: Duration::MAX };
        });
        request
    }

    /// Ends a task that is not wanted any more. In 2025-11-25 it is cancelled then; later the server may still let it end
    /// otherwise. The state is told by the former.
    pub fn cancel_task(&self, id: impl AsRef<str>) -> Request<Option<Task>> {
        let id = id.as_ref();
        let call = self.call(what("tasks/cancel", id), Body::new("tasks/cancel", &CancelTaskParams::new(id)));
        match self.era() {
            Era::Legacy => Request::decoded(call, |kind, message| decode(kind, message).map(Some)),
            Era::Modern => Request::decoded(call, |kind, message| super::verbs::nothing(kind, message).map(|()| None)),
        }
    }

    /// Answers questions of a task, some or all (2026-07-28 and later).
    pub fn update_task(&self, id: impl AsRef<str>, answers: InputResponses) -> Request<()> {
        let id = id.as_ref();
        self.acknowledged("tasks/update", id, &UpdateTaskParams::new(id, answers))
    }

    /// Whether requests of this method to the server may become tasks.
    pub(super) fn runs_tasks_of(&self, method: &str) -> Result<(), Why> {
        if self.version().rules().tasks != TasksRule::Core {
            return Err(Why::NotInThisRevision);
        }
        let offers = self.server().is_some_and(|server| match &server.capabilities {
            PeerCapabilities::Server(offered) => offered.tasks.as_ref().is_some_and(|tasks| tasks.supports(method)),
            PeerCapabilities::Client(_) => false,
        });
        if offers { Ok(()) } else { Err(Why::PeerLacks) }
    }
}

/// Reads the answer to a call that was asked to become a task; a server may disregard that.
fn started_by_wish(kind: &ResultKind, message: &Message) -> Result<Started, serde_json::Error> {
    match kind {
        ResultKind::Task => {
            decode_any::<CreateTaskResult>(kind, message).map(|created| Started::Task(TaskState::Legacy(created.task)))
        }
        kind => decode(kind, message).map(Started::Done),
    }
}

/// Reads the answer to a call that the server may have made a task.
fn started_by_server(kind: &ResultKind, message: &Message) -> Result<Started, serde_json::Error> {
    match kind {
        ResultKind::Task => {
            decode_any::<ExtTask>(kind, message).map(|task| Started::Task(TaskState::Extension(Box::new(task.into()))))
        }
        kind => decode(kind, message).map(Started::Done),
    }
}
