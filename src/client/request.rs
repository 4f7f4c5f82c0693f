//! A request of the client: its options, and what its result is decoded into.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_proto::model::{LoggingLevel, Progress};
use mcp_proto::{CallOptions, Deadlines, Message, ResultKind};
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

use super::cached::OneAnswer;
use crate::stream::{Answered, Call, Lesson};
use crate::trace::{Operation, Outcome, TraceContext, Within};
use crate::{Error, Result};

/// A request that is sent when it is awaited, with a result of type `T`.
///
/// Dropping the future before it is ready cancels the request: the server is told.
///
/// ```
/// # async fn example(client: mcp::Client) -> mcp::Result<()> {
/// use std::time::Duration;
///
/// let result = client
///     .call_tool("index", serde_json::json!({ "path": "/srv" }))
///     .idle(Duration::from_secs(5))
///     .on_progress(|progress| println!("{} of {:?}", progress.progress, progress.total))
///     .await?;
/// # drop(result);
/// # Ok(()) }
/// ```
#[must_use = "a request is sent when it is awaited"]
pub struct Request<T> {
    call: Result<Call>,
    decode: Decode<T>,
    /// How the cache is asked, if it may be.
    kept: Option<OneAnswer>,
}

/// How a result is read.
pub(crate) type Decode<T> = fn(&ResultKind, &Message) -> Result<T, serde_json::Error>;

impl<T> Request<T> {
    pub(crate) fn new(call: Result<Call>) -> Self
    where
        T: DeserializeOwned,
    {
        Self::decoded(call, decode)
    }

    /// One whose result is read in a way of its own.
    pub(crate) fn decoded(call: Result<Call>, decode: Decode<T>) -> Self {
        Self { call, decode, kept: None }
    }

    /// The same request, its result read in another way.
    pub(crate) fn read_as<U>(self, decode: Decode<U>) -> Request<U> {
        Request { call: self.call, decode, kept: None }
    }

    /// What it is made of, for who polls the call itself.
    pub(crate) fn into_parts(self) -> (Result<Call>, Decode<T>) {
        (self.call, self.decode)
    }

    pub(crate) fn kept(mut self, kept: Option<OneAnswer>) -> Self {
        self.kept = kept;
        self
    }

    /// How long nothing may be heard of it; progress counts as a sign of life. What the client was built with unless set,
    /// which is 60 s unless set. `None` is for ever. With zero it times out without having been sent.
    pub fn idle(mut self, idle: impl Into<Option<Duration>>) -> Self {
        let idle = idle.into();
        self.options(|options| set_idle(&mut options.deadlines, idle));
        self
    }

    /// How long it may take in all, progress or not. What the client was built with unless set, which is 10 min unless set.
    /// `None` is for ever.
    pub fn cap(mut self, cap: impl Into<Option<Duration>>) -> Self {
        let cap = cap.into();
        self.options(|options| set_cap(&mut options.deadlines, cap));
        self
    }

    /// Asks for progress, and calls this with each; in order, before the result, by the task that awaits it. If it panics, that
    /// is logged, and the request goes on.
    pub fn on_progress(mut self, on_progress: impl FnMut(Progress) + Send + 'static) -> Self {
        if let Ok(call) = &mut self.call {
            call.on_progress(Box::new(on_progress));
        }
        self
    }

    /// Asks for log messages about this request, from this severity on. In the stateless era (2026-07-28) there are none
    /// without; before, [`Client::set_log_level`](crate::Client::set_log_level) asks for them once.
    pub fn log_level(mut self, level: LoggingLevel) -> Self {
        self.options(|options| options.log_level = Some(level));
        self
    }

    /// Keys for the request's `_meta`.
    pub fn meta(mut self, meta: Map<String, Value>) -> Self {
        self.options(|options| options.meta = Some(meta));
        self
    }

    /// Asks the server even if the [cache](crate::ClientBuilder::cache) has an answer. The new one is kept all the same.
    pub fn fresh(mut self) -> Self {
        if let Some(kept) = &mut self.kept {
            kept.insist();
        }
        self
    }

    /// What the client is to remember of it once it is answered.
    pub(super) fn teaches(mut self, lesson: Lesson) -> Self {
        if let Ok(call) = &mut self.call {
            call.teaches(lesson);
        }
        self
    }

    /// Sends it as part of this trace, where nothing else says which one it belongs to. For what is sent outside of the
    /// handler that the trace came to: there it goes on by itself ([`trace`](crate::trace)).
    pub fn trace(mut self, trace: TraceContext) -> Self {
        if let Ok(call) = self.call {
            self.call = Ok(call.within(Within { operation: Operation::default(), trace }));
        }
        self
    }

    pub(crate) fn options(&mut self, change: impl FnOnce(&mut CallOptions)) {
        if let Ok(call) = &mut self.call {
            change(call.options());
        }
    }
}

pub(crate) fn set_idle(deadlines: &mut Deadlines, idle: Option<Duration>) {
    let (Deadlines::Call { idle: set, .. } | Deadlines::Stream { first: set }) = deadlines;
    *set = idle.unwrap_or(Duration::MAX);
}

pub(crate) fn set_cap(deadlines: &mut Deadlines, cap: Option<Duration>) {
    let unlimited = Duration::MAX;
    match (deadlines, cap) {
        (Deadlines::Call { cap: set, .. }, cap) => *set = cap.unwrap_or(unlimited),
        // What stays open on purpose may be silent all that time.
        (deadlines, Some(cap)) => *deadlines = Deadlines::Call { idle: unlimited, cap },
        (Deadlines::Stream { .. }, None) => {}
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("call", &self.call).finish_non_exhaustive()
    }
}

impl<T> IntoFuture for Request<T> {
    type Output = Result<T>;
    type IntoFuture = Pending<T>;

    fn into_future(self) -> Pending<T> {
        Pending { call: Some(self.call), decode: self.decode, kept: self.kept }
    }
}

/// A [`Request`] under way.
pub struct Pending<T> {
    /// `None` once it has ended.
    call: Option<Result<Call>>,
    decode: Decode<T>,
    kept: Option<OneAnswer>,
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        let Some(Ok(call)) = &mut this.call else {
            return Poll::Ready(Err(match this.call.take() {
                Some(Err(error)) => error,
                // Asked again after its end: what an ended call says.
                _ => Error::Closed(mcp_proto::CloseReason::LocallyClosed),
            }));
        };
        if let Some(kept) = &mut this.kept
            && let Some(message) = kept.look(call.now())
            && let Ok(result) = (this.decode)(&ResultKind::Complete, &message)
        {
            this.call = None;
            return Poll::Ready(Ok(result));
        }
        let Poll::Ready(answer) = Pin::new(&mut *call).poll(cx) else { return Poll::Pending };
        let (what, now) = (call.what().to_owned(), call.now());
        this.call = None;
        Poll::Ready(match answer {
            Ok(Answered { operation, kind, message, sent }) => match (this.decode)(&kind, &message) {
                Ok(result) => {
                    operation.answered(now, &message);
                    if let Some(kept) = this.kept.take() {
                        kept.keep(now, message, sent);
                    }
                    Ok(result)
                }
                Err(error) => {
                    let error = Error::Result { what, error };
                    operation.end(now, &Outcome::of(&error));
                    Err(error)
                }
            },
            Err(error) => match this.kept.take().and_then(|kept| kept.stand_in(&error)) {
                Some(message) => {
                    tracing::debug!(%error, what, "an answer that is not fresh any more stands in");
                    (this.decode)(&ResultKind::Complete, &message).map_err(|error| Error::Result { what, error })
                }
                None => Err(error),
            },
        })
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("call", &self.call).finish_non_exhaustive()
    }
}

/// Reads a complete result.
pub(crate) fn decode<T: DeserializeOwned>(kind: &ResultKind, message: &Message) -> Result<T, serde_json::Error> {
    match kind {
        ResultKind::Complete => decode_any(kind, message),
        ResultKind::Task => Err(serde_json::Error::custom("the call has become a task, which start_tool reads")),
        kind => Err(serde_json::Error::custom(format!("a result of another kind than was asked for: {kind:?}"))),
    }
}

/// Reads a result of any kind. Only one that does not fit is read a second time, for where the fault is.
pub(crate) fn decode_any<T: DeserializeOwned>(_: &ResultKind, message: &Message) -> Result<T, serde_json::Error> {
    let text = message.result().map_or("{}", |result| result.as_str());
    serde_json::from_str(text).map_err(|error| {
        match serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text)) {
            Err(located) => serde_json::Error::custom(format!("result.{}: {}", located.path(), located.inner())),
            Ok(_) => error,
        }
    })
}
