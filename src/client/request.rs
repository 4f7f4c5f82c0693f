//! A request of the client: its options, and what its result is decoded into.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_proto::model::{LoggingLevel, Progress};
use mcp_proto::{CallOptions, Deadlines};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::stream::Call;
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
    result: PhantomData<fn() -> T>,
}

impl<T> Request<T> {
    pub(crate) fn new(call: Result<Call>) -> Self {
        Self { call, result: PhantomData }
    }

    /// How long nothing may be heard of it; progress counts as a sign of life. 60 s unless set.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.options(|options| {
            if let Deadlines::Call { idle: set, .. } = &mut options.deadlines {
                *set = idle;
            }
        });
        self
    }

    /// How long it may take in all, progress or not. 10 min unless set.
    pub fn cap(mut self, cap: Duration) -> Self {
        self.options(|options| {
            if let Deadlines::Call { cap: set, .. } = &mut options.deadlines {
                *set = cap;
            }
        });
        self
    }

    /// Asks for progress, and calls this with each; in order, before the result, by the task that awaits it.
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

    pub(crate) fn options(&mut self, change: impl FnOnce(&mut CallOptions)) {
        if let Ok(call) = &mut self.call {
            change(call.options());
        }
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("call", &self.call).finish()
    }
}

impl<T: DeserializeOwned> IntoFuture for Request<T> {
    type Output = Result<T>;
    type IntoFuture = Pending<T>;

    fn into_future(self) -> Pending<T> {
        Pending { call: Some(self.call), result: PhantomData }
    }
}

/// A [`Request`] under way.
pub struct Pending<T> {
    /// `None` once it has ended.
    call: Option<Result<Call>>,
    result: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let message = match self.call.as_mut() {
            Some(Ok(call)) => match Pin::new(&mut *call).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(message) => message,
            },
            // Asked again after its end: what an ended call says.
            Some(Err(_)) | None => match self.call.take() {
                Some(Err(error)) => return Poll::Ready(Err(error)),
                _ => Err(Error::Closed(mcp_proto::CloseReason::LocallyClosed)),
            },
        };
        let what = self.call.take().and_then(|call| call.ok().map(|call| call.what().to_owned())).unwrap_or_default();
        Poll::Ready(message.and_then(|message| {
            let text = message.result().map_or("{}", |result| result.as_str());
            serde_json::from_str(text).map_err(|error| Error::Result { what, error })
        }))
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("call", &self.call).finish()
    }
}
