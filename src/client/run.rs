//! Running a tool to its end, also when its call becomes a task on the way.

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::FutureExt;
use mcp_proto::model::{
    CallToolResult, CancelTaskParams, DetailedTask, InputRequests, InputResponses, Progress, TaskStatus,
};
use mcp_proto::{Body, CallOptions, Era, ErrorObject, Limits, Message, RequestError, SendError, TimedOut};
use serde::Serialize;
use serde::de::Error as _;
use serde_json::{Map, Value, json};

use super::callbacks::Answerer;
use super::request::decode;
use super::{Client, Request, Started, TaskState, what};
use crate::stream::{Answer, Answered, Call, Reply, Service, Shared, contain};
use crate::trace::Outcome;
use crate::{Error, Result};

/// A call of a tool that is awaited to its end, whether or not it becomes a task; see [`Client::run_tool`].
#[must_use = "it is sent when it is awaited"]
pub struct Run {
    client: Client,
    what: String,
    request: Request<Started>,
    cap: Option<Duration>,
}

/// How long to wait before a task is asked for again whose server does not say.
const USUAL_PAUSE: Duration = Duration::from_secs(1);
/// A server may ask for less or more than this, and is not heard.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(60);

impl Client {
    /// Calls a tool and waits for its result, also if the call becomes a task: in 2025-11-25, where the server has declared
    /// tasks, and later, where both sides have declared the extension ([`ClientBuilder::tasks`](super::ClientBuilder::tasks)).
    /// Otherwise it is [`call_tool`](Self::call_tool).
    ///
    /// Progress goes on while the task is at work (2025-11-25), and what the server has to ask then is answered by the client's
    /// callbacks. `ttl` is for how many milliseconds the server should keep the task (2025-11-25). Dropping the future
    /// cancels the task.
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// use std::time::Duration;
    ///
    /// let report = client
    ///     .run_tool("index", serde_json::json!({ "path": "/srv" }), None)
    ///     .on_progress(|progress| println!("{}", progress.progress))
    ///     .cap(Duration::from_secs(3600))
    ///     .await?;
    /// println!("{}", report.joined_text());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As a call of a tool, and when the task fails by an error, is cancelled, or asks for what cannot be answered.
    pub fn run_tool(&self, name: impl AsRef<str>, arguments: impl Serialize, ttl: impl Into<Option<i64>>) -> Run {
        let name = name.as_ref();
        let has_tasks = self.era() == Era::Modern || self.runs_tasks_of("tools/call").is_ok();
        let request = match has_tasks {
            true => self.start_tool(name, arguments, ttl),
            false => self.call_tool(name, arguments).read_as(|kind, message| decode(kind, message).map(Started::Done)),
        };
        Run { client: self.clone(), what: what("tools/call", name), request, cap: None }
    }
}

impl Run {
    /// Asks for progress, and calls this with each; as [`Request::on_progress`].
    pub fn on_progress(mut self, on_progress: impl FnMut(Progress) + Send + 'static) -> Self {
        self.request = self.request.on_progress(on_progress);
        self
    }

    /// Keys for the call's `_meta`.
    pub fn meta(mut self, meta: Map<String, Value>) -> Self {
        self.request = self.request.meta(meta);
        self
    }

    /// How long it may take in all. Unless set, a task takes as long as its server lets it.
    pub fn cap(mut self, cap: impl Into<Option<Duration>>) -> Self {
        self.cap = cap.into();
        self
    }

    async fn drive(self) -> Result<CallToolResult> {
        let Self { client, what, request, cap } = self;
        let Some(cap) = cap else { return run(&client, &what, request).await };
        let out_of_time = async {
            elapsed(&client, cap).await;
            Err(Error::Request { what: what.clone(), id: None, error: RequestError::TimedOut(TimedOut::Cap(cap)) })
        };
        // The work first: at the end of the connection, its error says more.
        run(&client, &what, request).or(out_of_time).await
    }
}

impl IntoFuture for Run {
    type Output = Result<CallToolResult>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<CallToolResult>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.drive())
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Ready once so much time has passed, unless the client ends before.
async fn elapsed(client: &Client, time: Duration) {
    let link = &client.inner.link;
    let until = link.now() + time;
    loop {
        let (session, restarts) = (link.current(), link.restarts());
        session.sleep(until.saturating_since(session.now())).await;
        if session.now() >= until {
            return;
        }
        // The connection has ended; calls wait for the next one with deadlines of their own.
        if link.next_restart(restarts).await.is_none() {
            return std::future::pending().await;
        }
    }
}

async fn run(client: &Client, what: &str, request: Request<Started>) -> Result<CallToolResult> {
    let (call, decode) = request.into_parts();
    let mut call = call?.reporting_as_task();
    let Answered { operation, kind, message, .. } = poll_fn(|cx| Pin::new(&mut call).poll(cx)).await?;
    let started = decode(&kind, &message).map_err(|error| Error::Result { what: what.to_owned(), error });
    match &started {
        Ok(_) => operation.answered(call.now(), &message),
        Err(error) => operation.end(call.now(), &Outcome::of(error)),
    }
    match started? {
        Started::Done(result) => Ok(result),
        Started::Task(task) => {
            let session = call.shared().cloned().unwrap_or_else(|| client.inner.link.current());
            let mut running = Running { session, id: Some(task.id().to_owned()) };
            let result = match task {
                TaskState::Legacy(task) => wait(client, &task.task_id, &mut call).await,
                TaskState::Extension(task) => ask_until_done(client, what, *task).await,
            };
            if !matches!(&result, Err(Given::Up(_))) {
                running.id = None;
            }
            result.map_err(|given| given.error())
        }
    }
}

/// Why there is no result.
enum Given {
    /// The task has ended so, or nobody can know any more.
    Ended(Error),
    /// It is still at work, and not wanted any more.
    Up(Error),
}

impl Given {
    fn error(self) -> Error {
        match self {
            Self::Ended(error) | Self::Up(error) => error,
        }
    }
}

/// Cancels the task if nobody waits for it any more.
struct Running {
    session: Arc<Shared>,
    id: Option<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let Ok(body) = Body::new("tasks/cancel", &CancelTaskParams::new(id)) else { return };
        let why = |refused: SendError| refused.why;
        let sent =
            self.session.command(|state, now| state.connection.request(now, body, CallOptions::default()).map_err(why));
        if let Err(why) = sent {
            tracing::debug!(%why, "a task that is not wanted any more could not be cancelled");
        }
    }
}

/// Waits for a task of 2025-11-25, whose progress goes on under the token of its call.
async fn wait(client: &Client, id: &str, call: &mut Call) -> Result<CallToolResult, Given> {
    let mut result = client.task_result(id).into_future();
    let waited = poll_fn(|cx| {
        call.poll_progress(cx);
        let polled = Pin::new(&mut result).poll(cx);
        if polled.is_ready() {
            // What came with the result came before it.
            call.poll_progress(cx);
        }
        polled
    });
    waited.await.map_err(Given::Ended)
}

/// Asks for a task of the extension until it has ended, and answers what it asks.
async fn ask_until_done(client: &Client, what: &str, mut task: DetailedTask) -> Result<CallToolResult, Given> {
    let ended = |error| Given::Ended(Error::Request { what: what.to_owned(), id: None, error });
    let unreadable =
        |why: &str| Given::Ended(Error::Result { what: what.to_owned(), error: serde_json::Error::custom(why) });
    let mut answered = BTreeSet::new();
    loop {
        match &task.status {
            TaskStatus::Completed => {
                let result = TaskState::Extension(Box::new(task)).result();
                return result.ok_or_else(|| unreadable("a completed task without a result"))?.map_err(Given::Ended);
            }
            TaskStatus::Failed => {
                return Err(match task.error {
                    Some(error) => ended(RequestError::Rpc(error)),
                    None => unreadable("a failed task without an error"),
                });
            }
            TaskStatus::Cancelled => return Err(ended(RequestError::Cancelled)),
            TaskStatus::InputRequired => {
                let asked = task.input_requests.take().unwrap_or_default();
                answer(client, what, &task.task_id, asked, &mut answered).await?;
            }
            _ => {}
        }
        let id = task.task_id.clone();
        let state = TaskState::Extension(Box::new(task));
        let pause = state.poll_interval().unwrap_or(USUAL_PAUSE).clamp(*PAUSES.start(), *PAUSES.end());
        client.inner.link.current().sleep(pause).await;
        task = match client.get_task(&id).await.map_err(Given::Ended)? {
            TaskState::Extension(task) => *task,
            TaskState::Legacy(_) => return Err(unreadable("a task of another era")),
        };
    }
}

/// Answers those questions of a task that are new.
async fn answer(
    client: &Client,
    what: &str,
    id: &str,
    asked: InputRequests,
    answered: &mut BTreeSet<String>,
) -> Result<(), Given> {
    answered.retain(|key| asked.contains_key(key));
    let service = Answerer { callbacks: Arc::clone(&client.inner.callbacks), client: client.without_lease() };
    let mut answers = InputResponses::new();
    for (key, question) in asked.into_iter().filter(|(key, _)| !answered.contains(key)) {
        let refused = |error: ErrorObject| {
            tracing::debug!(%error, key, what, "a question of a task could not be answered");
            Given::Up(Error::Request { what: what.to_owned(), id: None, error: RequestError::Cancelled })
        };
        let mut message = json!({ "jsonrpc": "2.0", "id": 0 });
        if let (Ok(Value::Object(question)), Value::Object(members)) = (serde_json::to_value(&question), &mut message) {
            members.extend(question);
        }
        let question = Message::scan(message.to_string().as_bytes(), &Limits::default());
        match ask(&service, &question).await {
            Ok(Answer::Result { body, .. }) => {
                let result = body.result_json().and_then(|text| serde_json::from_str(&text).ok());
                answers.insert(key, result.unwrap_or_else(|| json!({})));
            }
            Ok(_) => return Err(refused(ErrorObject::internal("a question cannot be answered with a question"))),
            Err(error) => return Err(refused(error)),
        }
    }
    if answers.is_empty() {
        return Ok(());
    }
    answered.extend(answers.keys().cloned());
    client.update_task(id, answers).await.map_err(Given::Ended)
}

/// Has a callback answer, its panic contained.
async fn ask(service: &Answerer, question: &Message) -> Reply {
    let mut answering = contain(|| service.answer(question)).and_then(|begun| begun)?;
    poll_fn(|cx| contain(|| answering.as_mut().poll(cx)).unwrap_or_else(|error| Poll::Ready(Err(error)))).await
}
