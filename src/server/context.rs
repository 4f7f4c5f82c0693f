//! What a handler can see and do while it works on a request.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, OnceLock};
#[cfg(feature = "http")]
use std::time::Duration;

use mcp_proto::model::{LogParams, LoggingLevel, Progress};
use mcp_proto::{Body, InboundId, Message, Meta, Peer, ProtocolVersion, RequestMeta, Scope, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Server;
use super::once::Kept;
use super::rounds::Round;
use crate::stream::{Cancel, Inbound, Shared, notify};
use crate::trace::{Operation, TraceContext, Within};
use crate::{Error, Result};

/// One request at work: what is known about it, and what its handler may say to the peer meanwhile.
///
/// Cheap to clone; a clone may move into tasks of the handler. Once the request is answered or cancelled, whatever is said
/// through it is an error.
///
/// ```
/// use mcp::model::LoggingLevel;
/// use mcp::{Context, Server, Tool};
///
/// struct Shelf(Vec<&'static str>);
///
/// async fn read_all(ctx: Context) -> mcp::Result<String> {
///     let shelf = ctx.state::<Shelf>();
///     let mut steps = ctx.steps(u32::try_from(shelf.0.len()).unwrap_or(u32::MAX));
///     for book in &shelf.0 {
///         steps.advance(1, format!("read {book}"))?;
///     }
///     ctx.log(LoggingLevel::Info, format!("{} has had it all read", ctx.version()))?;
///     Ok(shelf.0.join(", "))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mcp::Result<()> {
/// let tool = Tool::new("read_all", "Read all books", read_all);
/// let server = Server::new("library", "1.0.0").state(Shelf(vec!["Walden", "Emma"])).logging().tool(tool);
/// let client = mcp_tokio::pair(server).await?;
/// assert_eq!(client.call_tool("read_all", ()).await?.joined_text(), "Walden, Emma");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    id: InboundId,
    message: Message,
    meta: Box<RequestMeta>,
    cancel: Arc<Cancel>,
    operation: Operation,
    #[cfg(feature = "http")]
    caller: Option<Arc<crate::http::Caller>>,
    #[cfg(feature = "http")]
    stream: Option<crate::http::PostStream>,
    /// The trace that came with it, once somebody has asked.
    trace: OnceLock<TraceContext>,
    server: Server,
    /// Where questions go in the era in which the client cannot be asked directly.
    round: Option<Round>,
    /// What was done once, unless the round keeps it.
    kept: Kept,
    /// What was answered, unless the round knows it.
    answers: Kept,
}

impl Context {
    pub(super) fn new(shared: &Arc<Shared>, request: Inbound, server: Server, round: Option<Round>) -> Self {
        let inner = Inner {
            shared: Arc::clone(shared),
            id: request.id,
            message: request.message,
            meta: request.meta,
            cancel: request.cancel,
            operation: request.operation,
            #[cfg(feature = "http")]
            caller: request.caller,
            #[cfg(feature = "http")]
            stream: request.stream,
            trace: OnceLock::new(),
            server,
            round,
            kept: Kept::default(),
            answers: Kept::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(super) fn id(&self) -> InboundId {
        self.inner.id
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inner.shared.now()
    }

    /// The round of the request, in the era in which the client cannot be asked directly.
    pub(super) fn round(&self) -> Option<&Round> {
        self.inner.round.as_ref()
    }

    /// What was done once.
    pub(super) fn kept(&self) -> &Kept {
        self.round().map_or(&self.inner.kept, Round::kept)
    }

    /// What was answered so far where the client is asked directly.
    pub(super) fn answers(&self) -> &Kept {
        &self.inner.answers
    }

    /// The server's state of type `T`: what was given to [`Server::state`](crate::Server::state) or came from its start
    /// hook.
    ///
    /// # Panics
    ///
    /// If the server has no such state: a mistake in the program, which the first call of the tool shows. The peer gets
    /// −32603 and the connection lives.
    pub fn state<T: Send + Sync + 'static>(&self) -> Arc<T> {
        self.inner
            .server
            .states()
            .find()
            .unwrap_or_else(|| panic!("the server has no state of type {}", type_name::<T>()))
    }

    /// The server that serves it: to [update](Server::update) what it offers, or to tell what has changed.
    pub fn server(&self) -> &Server {
        &self.inner.server
    }

    /// Reports how far the work has come. Costs nothing if the peer does not want to know.
    ///
    /// # Errors
    ///
    /// When the request is over, or `progress` is not greater than before.
    pub fn progress(&self, progress: impl Into<f64>, total: impl Into<f64>) -> Result<()> {
        self.report(Progress::new(progress).with_total(total))
    }

    /// The same with everything that progress can say.
    ///
    /// # Errors
    ///
    /// When the request is over, or the progress does not rise.
    pub fn report(&self, progress: Progress) -> Result<()> {
        let id = self.inner.id;
        self.inner.shared.command(|state, now| state.connection.progress(now, id, progress)).map_err(Error::Respond)
    }

    /// Counts steps towards a total and reports each.
    ///
    /// ```
    /// # async fn example(ctx: mcp::Context) -> mcp::Result<()> {
    /// let mut steps = ctx.steps(3);
    /// for file in ["a", "b", "c"] {
    ///     steps.advance(1, format!("read {file}"))?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn steps(&self, total: impl Into<f64>) -> Steps {
        Steps { context: self.clone(), done: 0.0, total: total.into() }
    }

    /// Sends a log message to the client. Dropped if it is below the level that the client wants, or the client does not
    /// keep up. Any JSON value may be the data; a text is the usual one.
    ///
    /// # Errors
    ///
    /// When the request is over, the server does not offer logging ([`Server::logging`](crate::Server::logging)), or the
    /// data is no JSON.
    pub fn log(&self, level: LoggingLevel, data: impl Serialize) -> Result<()> {
        let data = serde_json::to_value(data).map_err(|error| Error::Result { what: "a log message".into(), error })?;
        self.log_entry(&LogParams::new(level, data))
    }

    /// The same with everything that a log message can say: also which part of the server says it.
    ///
    /// ```
    /// # fn example(ctx: mcp::Context) -> mcp::Result<()> {
    /// use mcp::model::{LogParams, LoggingLevel};
    ///
    /// ctx.log_entry(&LogParams::new(LoggingLevel::Warning, "slow").with_logger("database"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the request is over, or the server does not offer logging.
    pub fn log_entry(&self, entry: &LogParams) -> Result<()> {
        let body = Body::log(entry)?;
        notify(&self.inner.shared, body, Scope::Within(self.inner.id), self.traced(None))
    }

    /// Waits until the request is cancelled, by the peer or by the end of the connection.
    ///
    /// A handler that never calls this is dropped at one of its awaits when its request is cancelled. One that does
    /// decides itself how to end; until then it occupies one of the peer's places for requests in work.
    ///
    /// ```
    /// # struct Copy;
    /// # impl Copy { async fn run(&self) {} async fn remove_what_is_there(&self) {} }
    /// # async fn first(_: impl Future, _: impl Future) -> bool { true }
    /// async fn copy(ctx: mcp::Context) -> &'static str {
    ///     let copy = Copy;
    ///     // `first` stands for `select!` or the like of your runtime: whether the copy was done first.
    ///     if first(copy.run(), ctx.cancelled()).await {
    ///         return "copied";
    ///     }
    ///     copy.remove_what_is_there().await;
    ///     "nobody hears this"
    /// }
    /// # drop(mcp::Tool::new("copy", "Copy", copy));
    /// ```
    pub async fn cancelled(&self) {
        self.inner.cancel.watch();
        poll_fn(|cx| self.inner.cancel.poll_cancelled(cx)).await;
    }

    /// Whether the request was cancelled. For handlers that block.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancel.is_cancelled()
    }

    /// Who asks, as it says of itself: for display, never for decisions about trust.
    pub fn peer(&self) -> Option<&Arc<Peer>> {
        self.inner.meta.peer.as_ref()
    }

    /// Who has sent the request, as far as HTTP knows: its principal, address, headers. `None` over other transports.
    #[cfg(feature = "http")]
    pub fn caller(&self) -> Option<&crate::http::Caller> {
        self.inner.caller.as_deref()
    }

    /// Closes the response that waits for this request over HTTP. The client is told to come back after `retry`, and then hears whatever was
    /// said meanwhile and in the end the answer; so a call that takes long need not hold a connection, nor a proxy's patience. The request
    /// itself goes on as if nothing had happened.
    ///
    /// Returns whether there was a response to close: only clients of 2025-11-25 with a session come back (specification 2025-11-25:
    /// basic/transports, Sending Messages to the Server). For all others this does nothing.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// async fn report(ctx: mcp::Context) -> &'static str {
    ///     ctx.suspend_stream(Duration::from_secs(30));
    ///     // A minute's work.
    ///     "done"
    /// }
    /// # drop(mcp::Tool::new("report", "Takes a minute", report));
    /// ```
    #[cfg(feature = "http")]
    pub fn suspend_stream(&self, retry: Duration) -> bool {
        self.inner.stream.as_ref().is_some_and(|stream| stream.suspend(retry))
    }

    /// The revision in which it asks.
    pub fn version(&self) -> ProtocolVersion {
        self.inner.meta.version
    }

    /// The request's `_meta`, if it has one.
    ///
    /// ```
    /// #[derive(Default, serde::Deserialize)]
    /// struct Meta {
    ///     #[serde(rename = "com.example/tenant")]
    ///     tenant: Option<String>,
    /// }
    ///
    /// async fn tenant(ctx: mcp::Context) -> mcp::Result<String> {
    ///     Ok(ctx.meta::<Meta>()?.unwrap_or_default().tenant.unwrap_or_default())
    /// }
    /// # drop(mcp::Tool::new("tenant", "Whose it is", tenant));
    /// ```
    ///
    /// # Errors
    ///
    /// When it is no `T`.
    pub fn meta<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let meta = self.inner.message.meta().map(|meta| serde_json::from_str(meta.as_str())).transpose();
        meta.map_err(|error| Error::Result { what: "_meta".into(), error })
    }

    /// The request as it came.
    pub fn message(&self) -> &Message {
        &self.inner.message
    }

    /// Sends a notification that belongs to this request.
    ///
    /// # Errors
    ///
    /// When the request is over, or the notification cannot be sent now or at all.
    pub fn notify(&self, method: &str, params: &impl Serialize, meta: Meta) -> Result<()> {
        notify(&self.inner.shared, Body::new(method, params)?, Scope::Within(self.inner.id), self.traced(meta))
    }

    /// The trace that the request belongs to, as it came; empty if it came with none, or a malformed one. What the handler sends
    /// through this context is part of it by itself: see [`trace`](crate::trace).
    pub fn trace(&self) -> &TraceContext {
        self.inner.trace.get_or_init(|| TraceContext::of(&self.inner.message).0)
    }

    /// The request's span, for what the handler starts beside itself; within the handler it is the current one. Disabled if
    /// nobody looks.
    ///
    /// ```
    /// use tracing::Instrument;
    ///
    /// let tool = mcp::Tool::new("import", "Import in the background", async |ctx: mcp::Context| {
    ///     let importing = async { tracing::info!("imported") };
    ///     tokio::spawn(importing.instrument(ctx.span().clone()));
    ///     "begun"
    /// });
    /// # drop(tool);
    /// ```
    pub fn span(&self) -> &tracing::Span {
        self.inner.operation.span()
    }

    /// The request as what is sent during it sees it.
    pub(super) fn as_within(&self) -> Within {
        Within { operation: self.inner.operation.clone(), trace: self.trace().clone() }
    }

    /// The keys of a notification within it.
    fn traced(&self, mut meta: Meta) -> Meta {
        let Inner { shared, operation, .. } = &*self.inner;
        shared.tracer().write(|| operation.around(), || self.trace(), &mut meta);
        meta
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("message", &self.inner.message).finish_non_exhaustive()
    }
}

/// A running total; see [`Context::steps`].
#[derive(Debug)]
pub struct Steps {
    context: Context,
    done: f64,
    total: f64,
}

impl Steps {
    /// So much more is done.
    ///
    /// # Errors
    ///
    /// When the request is over, or `amount` is not positive.
    pub fn advance(&mut self, amount: impl Into<f64>, message: impl Into<String>) -> Result<()> {
        self.done += amount.into();
        self.context.report(Progress::new(self.done).with_total(self.total).with_message(message))
    }

    /// How much is done.
    pub fn done(&self) -> f64 {
        self.done
    }
}

/// The typed state of a server, one value of each type.
#[derive(Default)]
pub(crate) struct States(Mutex<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl States {
    /// Puts a value in; the one of the same type that was there before is dropped by the caller.
    pub(crate) fn insert<T: Send + Sync + 'static>(&self, value: Arc<T>) -> Option<Arc<dyn Any + Send + Sync>> {
        self.map().insert(TypeId::of::<T>(), value)
    }

    pub(crate) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.map().get(&TypeId::of::<T>()).cloned()?;
        value.downcast().ok()
    }

    /// The same values for another server.
    pub(crate) fn fork(&self) -> Self {
        Self(Mutex::new(self.map().clone()))
    }

    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
