//! Clients: calls to a server, and the end of the connection.

mod builder;
mod request;

use std::sync::Arc;
use std::time::Duration;

use mcp_proto::model::{
    CallToolResult, Implementation, ListToolsParams, ListToolsResult, LoggingLevel, SetLevelParams, Tool,
};
use mcp_proto::{Body, CloseReason, Meta, Peer, PeerCapabilities, ProtocolVersion, Scope};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub use self::builder::{ClientBuilder, Notification};
pub use self::request::{Pending, Request};
use crate::process::{Child, Exit};
use crate::stream::{Call, Facts, Shared, notify};
use crate::{Error, Result};

/// A connection to a server. A cheap handle: clones share the connection, and calls may run side by side.
///
/// Adapters open one (`mcp_tokio::spawn`, `mcp_tokio::pair`); [`ClientBuilder`] says who the client is and what the server
/// may ask of it. When the last clone is dropped the connection closes, and a child process that is the server is shut
/// down; [`close`](Self::close) does the same and waits for it.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    child: Option<Child>,
}

/// Pages that [`Client::list_tools`] follows before it gives up.
const PAGES: usize = 64;
/// How long open calls may take to end in [`Client::close`].
const GRACE: Duration = Duration::from_secs(2);

impl Client {
    /// Says who this client is, before it is connected.
    pub fn builder(name: impl Into<String>, version: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(Implementation::new(name, version))
    }

    pub(crate) fn new(shared: Arc<Shared>, child: Option<Child>) -> Self {
        Self { inner: Arc::new(Inner { shared, child }) }
    }

    pub(crate) async fn ready(&self) -> Result<Facts> {
        self.inner.shared.ready().await
    }

    /// All tools of the server, page after page.
    ///
    /// # Errors
    ///
    /// When a request fails, or the pages do not end.
    pub async fn list_tools(&self) -> Result<Vec<Tool>> {
        let (mut tools, mut seen) = (Vec::new(), Vec::new());
        loop {
            let page = self.list_tools_page(seen.last().cloned()).await?;
            tools.extend(page.tools);
            match page.next_cursor {
                None => return Ok(tools),
                Some(cursor) if seen.contains(&cursor) || seen.len() + 1 >= PAGES => {
                    return Err(Error::Pages { what: "tools/list", read: seen.len() + 1 });
                }
                Some(cursor) => seen.push(cursor),
            }
        }
    }

    /// One page of the server's tools: the first, or the one that an earlier page's `next_cursor` leads to.
    pub fn list_tools_page(&self, cursor: Option<String>) -> Request<ListToolsResult> {
        let mut params = ListToolsParams::new();
        params.cursor = cursor;
        self.request("tools/list", &params)
    }

    /// Calls a tool. `arguments` is anything that serializes to a JSON object; `()` and null are no arguments.
    ///
    /// A tool that fails is not an error here: the result says so ([`CallToolResult::is_error`]), for the model to read.
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// use serde_json::json;
    ///
    /// let sum: i64 = client.call_tool("add", json!({ "a": 1, "b": 2 })).await?.structured()?;
    /// # drop(sum);
    /// # Ok(()) }
    /// ```
    pub fn call_tool(&self, name: impl AsRef<str>, arguments: impl Serialize) -> Request<CallToolResult> {
        #[derive(Serialize)]
        struct Params<'a, A> {
            name: &'a str,
            #[serde(skip_serializing_if = "is_nothing")]
            arguments: &'a A,
        }
        let name = name.as_ref();
        let body = Body::new("tools/call", &Params { name, arguments: &arguments });
        self.call(format!("tools/call {name}"), body)
    }

    /// Asks whether the server is still there.
    pub fn ping(&self) -> Request<IgnoredAny> {
        self.call("ping".to_owned(), Body::empty("ping"))
    }

    /// Tells the server from which severity on it shall send log messages.
    pub fn set_log_level(&self, level: LoggingLevel) -> Request<IgnoredAny> {
        self.request("logging/setLevel", &SetLevelParams::new(level))
    }

    /// Any request, also one that this crate does not know.
    pub fn request<T: DeserializeOwned>(&self, method: &str, params: &impl Serialize) -> Request<T> {
        self.call(method.to_owned(), Body::new(method, params))
    }

    /// Any notification, also one that this crate does not know.
    ///
    /// # Errors
    ///
    /// When it cannot be sent now or at all.
    pub fn notify(&self, method: &str, params: &impl Serialize, meta: Meta) -> Result<()> {
        notify(&self.inner.shared, Body::new(method, params)?, Scope::Connection, meta)
    }

    /// The negotiated revision.
    pub fn version(&self) -> ProtocolVersion {
        self.facts().map_or(ProtocolVersion::V2024_11_05, |facts| facts.version)
    }

    /// Who the server is, as it says of itself: for display, never for decisions about trust.
    pub fn server(&self) -> Option<Arc<Peer>> {
        self.facts()?.peer
    }

    /// Whether the server offers tools.
    pub fn has_tools(&self) -> bool {
        self.server().is_some_and(
            |server| matches!(&server.capabilities, PeerCapabilities::Server(offered) if offered.tools.is_some()),
        )
    }

    /// The process that is the server, if it is one that was started for this client.
    pub fn child(&self) -> Option<&Child> {
        self.inner.child.as_ref()
    }

    /// Closes the connection: open calls may end within 2 s, then they fail; what is written then may take 2 s more. A child
    /// process is shut down, at most by force, and its exit returned; see [`process::Shutdown`](crate::process::Shutdown)
    /// for how long that takes.
    pub async fn close(self) -> Option<Exit> {
        self.inner.shared.command(|state, now| state.connection.close(now, GRACE));
        self.inner.shared.ended().await;
        match &self.inner.child {
            Some(child) => Some(child.shutdown().await),
            None => None,
        }
    }

    /// Waits until the connection has ended, and says why.
    pub async fn closed(&self) -> CloseReason {
        self.inner.shared.ended().await
    }

    fn facts(&self) -> Option<Facts> {
        self.inner.shared.with(|state| state.facts.clone())
    }

    fn call<T>(&self, what: String, body: Result<Body, mcp_proto::EncodeError>) -> Request<T> {
        Request::new(body.map(|body| Call::new(Arc::clone(&self.inner.shared), what, body)).map_err(Error::from))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.command(|state, now| state.connection.close(now, Duration::ZERO));
        if let Some(child) = &self.child {
            child.begin_shutdown();
        }
    }
}

/// Whether a value serializes to null, and so is no arguments at all.
fn is_nothing(value: &impl Serialize) -> bool {
    // Only `()` and null have a text this short and these letters; a larger value is given up on after a few bytes.
    struct Null(usize);
    impl std::io::Write for Null {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let fits = b"null".get(self.0..).is_some_and(|rest| rest.starts_with(bytes));
            self.0 += bytes.len();
            if fits { Ok(bytes.len()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    serde_json::to_writer(Null(0), value).is_ok()
}
