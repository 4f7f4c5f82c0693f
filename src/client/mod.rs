//! Clients: calls to a server, what it asks and tells, and the end of the connection.

mod builder;
mod cached;
mod callbacks;
mod facts;
mod group;
mod listen;
mod lists;
mod request;
mod restart;
mod run;
mod tasks;
mod verbs;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use mcp_proto::jsonrpc::RequestId;
use mcp_proto::model::{Implementation, LoggingLevel};
use mcp_proto::{Body, CloseReason, Deadlines, EncodeError, Meta, ProtocolVersion, Scope, Stats};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::builder::ClientBuilder;
pub(crate) use self::builder::Setup;
pub use self::cached::Caching;
pub(crate) use self::cached::Kept;
use self::cached::{Freshness, OneAnswer};
use self::callbacks::Callbacks;
pub use self::callbacks::{Asked, Callback, CallbackOutput, NoParams, Notification};
pub use self::group::{ClientGroup, GroupError, Grouped};
pub use self::listen::{Changes, Ended, Listen};
pub use self::lists::{List, Page};
use self::request::decode_any;
pub use self::request::{Pending, Request};
#[cfg(feature = "http")]
pub(crate) use self::restart::ask_again;
pub use self::restart::{Restart, Restarted, connect_restarting, spawn_restarting};
pub use self::run::Run;
pub use self::tasks::{Started, TaskState};
pub use self::watch::Watch;
use crate::Result;
use crate::process::{Child, Exit};
use crate::stream::{Call, Facts, Link, notify, reserve_id};

/// A connection to a server. A cheap handle: clones share the connection, and calls may run side by side.
///
/// Adapters open one (`mcp_tokio::spawn`, `mcp_tokio::pair`); [`ClientBuilder`] says who the client is and what the server
/// may ask of it. When the last clone is dropped the connection closes, and a child process that is the server is shut
/// down; [`close`](Self::close) does the same and waits for it.
///
/// Every method of the protocol has its verb here, which gives a [`Request`] with options of its own. A verb that the
/// negotiated revision does not have, or whose capability the server did not declare, is [`Error::Send`] and nothing is
/// sent.
///
/// ```
/// use mcp::{Server, Tool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mcp::Result<()> {
/// let server = Server::new("door", "1.0.0").tool(Tool::new("open", "Open the door", async || "open"));
/// let client = mcp_tokio::pair(server).await?;
/// assert!(client.has_tools() && !client.has_prompts());
///
/// // Calls may run side by side, on clones as well.
/// let (one, other) = (client.clone(), client.clone());
/// let (one, other) = tokio::join!(one.call_tool("open", ()), other.call_tool("open", ()));
/// assert_eq!(one?.joined_text(), other?.joined_text());
///
/// client.close().await;
/// # Ok(()) }
/// ```
///
/// [`Error::Send`]: crate::Error::Send
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
    /// Keeps the connection open. The handles that callbacks are given have none.
    _lease: Option<Arc<Lease>>,
}

#[derive(Debug)]
struct Inner {
    link: Link,
    /// What requests have unless they say otherwise.
    deadlines: Deadlines,
    log_level: Option<LoggingLevel>,
    kept: Option<Kept>,
    /// What answers the server, for questions that come in ways of their own.
    callbacks: Arc<Callbacks>,
}

/// Closes the connection when the last is dropped.
#[derive(Debug)]
struct Lease(Arc<Inner>);

/// How long open calls may take to end in [`Client::close`].
const GRACE: Duration = Duration::from_secs(2);

impl Client {
    /// Says who this client is, before it is connected.
    pub fn builder(name: impl Into<String>, version: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(Implementation::new(name, version))
    }

    pub(crate) fn new(link: Link, setup: &Setup) -> Self {
        let kept = setup.caching.map(Kept::new);
        link.with(|state| state.kept.clone_from(&kept));
        let (deadlines, log_level, callbacks) = (setup.deadlines, setup.log_level, Arc::clone(&setup.callbacks));
        let inner = Arc::new(Inner { link, deadlines, log_level, kept, callbacks });
        Self { _lease: Some(Arc::new(Lease(Arc::clone(&inner)))), inner }
    }

    /// A handle that does not keep the connection open.
    pub(crate) fn without_lease(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), _lease: None }
    }

    /// Any request, also one that this crate does not know.
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// let answer: serde_json::Value = client.request("vendor/thing", &serde_json::json!({ "n": 1 })).await?;
    /// # drop(answer);
    /// # Ok(()) }
    /// ```
    pub fn request<T: DeserializeOwned>(&self, method: &str, params: &impl Serialize) -> Request<T> {
        Request::decoded(self.call(method.to_owned(), Body::new(method, params)), decode_any)
    }

    /// An id for a request that reaches the server by other means than [`request`](Self::request); its answer goes to a
    /// [`ResponseRouter`](crate::ResponseRouter).
    ///
    /// # Errors
    ///
    /// When too many are in use, or the connection is over.
    pub fn reserve_id(&self) -> Result<RequestId> {
        reserve_id(&self.inner.link.current())
    }

    /// Any notification, also one that this crate does not know.
    ///
    /// # Errors
    ///
    /// When it cannot be sent now or at all.
    pub fn notify(&self, method: &str, params: &impl Serialize, meta: Meta) -> Result<()> {
        notify(&self.inner.link.current(), Body::new(method, params)?, Scope::Connection, meta)
    }

    /// The process that is the server, if it is one that was started for this client; of several in a row, the latest.
    pub fn child(&self) -> Option<Child> {
        self.inner.link.child()
    }

    /// Closes the connection: open calls may end within 2 s, then they fail; what is written then may take 2 s more. A child
    /// process is shut down, at most by force, and its exit returned; see [`process::Shutdown`](crate::process::Shutdown)
    /// for how long that takes.
    ///
    /// ```no_run
    /// # async fn example() -> mcp::Result<()> {
    /// use mcp::process::How;
    ///
    /// let client = mcp_tokio::spawn(["python3", "server.py"]).await?;
    /// if let Some(exit) = client.close().await
    ///     && exit.how != How::ByItself
    /// {
    ///     eprintln!("the server had to be ended: {exit}");
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn close(self) -> Option<Exit> {
        self.inner.link.close(GRACE);
        self.inner.link.over().await;
        match self.inner.link.child() {
            Some(child) => Some(child.shutdown().await),
            None => None,
        }
    }

    /// Waits until the connection has ended, and says why. One that is [restarted](crate::Restart) has ended only when that was
    /// given up.
    pub async fn closed(&self) -> CloseReason {
        self.inner.link.over().await
    }

    /// Whether the connection has ended, likewise.
    pub fn is_closed(&self) -> bool {
        self.inner.link.is_over()
    }

    /// How often the connection was [restarted](crate::Restart).
    pub fn restarts(&self) -> u64 {
        self.inner.link.restarts()
    }

    /// What was counted since the connection began, such as rules that the server broke: for operators and tests.
    pub fn stats(&self) -> Stats {
        self.inner.link.with(|state| state.connection.stats())
    }

    fn facts(&self) -> Option<Facts> {
        self.inner.link.with(|state| state.facts.clone())
    }

    /// A call with this client's options.
    fn call(&self, what: String, body: Result<Body, EncodeError>) -> Result<Call> {
        let mut call = Call::new(self.inner.link.clone(), what, body?);
        call.options().deadlines = self.inner.deadlines;
        call.options().log_level = self.inner.log_level;
        Ok(call)
    }

    /// A request of a method that the protocol knows, about something or nothing in particular.
    fn verb<T: DeserializeOwned>(&self, method: &str, about: &str, params: &impl Serialize) -> Request<T> {
        Request::new(self.call(what(method, about), Body::new(method, params)))
    }

    /// The same for one whose answer may be kept.
    fn kept_verb<T: DeserializeOwned>(&self, method: &'static str, about: &str, params: &impl Serialize) -> Request<T> {
        let kept = self.inner.kept.as_ref().and_then(|kept| self.one_answer(kept, method, params));
        self.verb(method, about, params).kept(kept)
    }

    fn one_answer(&self, kept: &Kept, method: &'static str, params: &impl Serialize) -> Option<OneAnswer> {
        let says = if self.version().rules().result_type { Freshness::Said } else { Freshness::Unsaid };
        Some(kept.one(method, serde_json::to_string(params).ok()?, says))
    }
}

/// How errors call a request.
fn what(method: &str, about: &str) -> String {
    if about.is_empty() { method.to_owned() } else { format!("{method} {about}") }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.link.close(Duration::ZERO);
        if let Some(child) = self.0.link.child() {
            child.begin_shutdown();
        }
    }
}

/// The revision before the handshake, which nobody outside ever sees.
const UNKNOWN: ProtocolVersion = ProtocolVersion::V2024_11_05;
