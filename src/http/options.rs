//! What a server over HTTP is told about how to serve.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::http::{CancelledPost, HttpLimits, Keeping};

use super::caller::Caller;
use super::denied::Denied;
use crate::stream::BoxFuture;

/// Finds out who a caller is.
pub(super) type Authenticate = Arc<dyn Fn(Caller) -> BoxFuture<Result<Caller, Denied>> + Send + Sync>;

/// How a server is served over HTTP.
///
/// ```
/// use std::time::Duration;
/// use mcp::http::HttpOptions;
///
/// let options = HttpOptions::default().path("/tools").health().connections(100).silence(Duration::from_secs(10));
/// # drop(options);
/// ```
#[derive(Clone)]
pub struct HttpOptions {
    pub(super) path: String,
    pub(super) allowed: Vec<Allowed>,
    pub(super) limits: HttpLimits,
    pub(super) sessions: Keeping,
    pub(super) cancelled: CancelledPost,
    /// The paths of HTTP with SSE: of the stream, and for messages.
    pub(super) sse: Option<(String, String)>,
    pub(super) cors: Cors,
    pub(super) health: Health,
    pub(super) authenticate: Option<Authenticate>,
    pub(super) connections: usize,
    pub(super) exchanges: usize,
    pub(super) silence: Duration,
    pub(super) body_within: Duration,
    pub(super) stalled: Duration,
    pub(super) head: usize,
}

/// Who is let in beside those who are by default.
#[derive(Clone, Debug)]
pub(super) enum Allowed {
    Host(String),
    Origin(String),
    AnyHost,
    AnyOrigin,
}

/// Whether web pages of other origins that are let in may hear answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cors {
    Off,
    On,
}

/// Whether there are paths for those who look after the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Hidden,
    Shown,
}

impl HttpOptions {
    /// The path of the endpoint: `/mcp` by default. Any other path is not found.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Lets a host in, with any port, or with the one that is given: `mcp.example.com`, `192.0.2.1:8000`.
    ///
    /// By default a server that only this machine reaches lets in the names of this machine, so that no web page can use it by a name that
    /// it has pointed here; one that others reach lets in every host, until one is named.
    #[must_use]
    pub fn allow_host(self, host: impl Into<String>) -> Self {
        self.allow(Allowed::Host(host.into()))
    }

    /// Lets the pages of an origin in: `https://app.example.com`.
    ///
    /// By default a server that only this machine reaches lets in the pages of this machine, and one that others reach none. A request that
    /// comes from no page is let in.
    #[must_use]
    pub fn allow_origin(self, origin: impl Into<String>) -> Self {
        self.allow(Allowed::Origin(origin.into()))
    }

    /// Lets every host in: for servers behind a proxy that has checked it, or that writes its own.
    #[must_use]
    pub fn allow_any_host(self) -> Self {
        self.allow(Allowed::AnyHost)
    }

    /// Lets the pages of every origin in: for servers that hold nothing worth protecting, or that know their users by something that no
    /// browser sends on its own.
    #[must_use]
    pub fn allow_any_origin(self) -> Self {
        self.allow(Allowed::AnyOrigin)
    }

    /// Tells browsers that the pages of the origins that are let in may ask, and hear the answers (CORS). Without this, browsers let pages
    /// of other origins do neither.
    #[must_use]
    pub fn cors(mut self) -> Self {
        self.cors = Cors::On;
        self
    }

    fn allow(mut self, allowed: Allowed) -> Self {
        self.allowed.push(allowed);
        self
    }

    /// The bounds of the protocol over HTTP: of bodies, sessions, streams. Those of messages are the server's
    /// ([`Server::limits`](crate::Server::limits)).
    #[must_use]
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether clients of the revisions until 2025-11-25 have sessions. They do by default.
    #[must_use]
    pub fn sessions(mut self, sessions: Keeping) -> Self {
        self.sessions = sessions;
        self
    }

    /// What becomes of a POST in a session whose request was cancelled before anything was said: an error by default.
    #[must_use]
    pub fn cancelled(mut self, post: CancelledPost) -> Self {
        self.cancelled = post;
        self
    }

    /// Also serves clients of 2024-11-05, which know nothing of the endpoint (HTTP with SSE). They open a stream of events with GET at
    /// `stream`, `/sse` for instance, and are told there to post their messages to `messages`, `/messages/` for instance: a path on this
    /// server, without a query. Off by default, since no newer client needs it.
    ///
    /// ```
    /// let options = mcp::http::HttpOptions::default().sse("/sse", "/messages/");
    /// # drop(options);
    /// ```
    #[must_use]
    pub fn sse(mut self, stream: impl Into<String>, messages: impl Into<String>) -> Self {
        self.sse = Some((stream.into(), messages.into()));
        self
    }

    /// Answers `GET /livez` as long as the process runs, and `GET /readyz` as long as it takes new work: not once it is shutting down, and not
    /// while its connections hold too much in memory. Both cost nothing, are outside of any session, and ask nobody who they are.
    #[must_use]
    pub fn health(mut self) -> Self {
        self.health = Health::Shown;
        self
    }

    /// Asked about every request before its body is read: a hook that finds out who is behind it, or turns it away.
    ///
    /// It is given what is known of the [`Caller`], and gives it back with a principal and whatever handlers should know. A panic is
    /// contained: the request is answered with 500. `Host` and `Origin` have been checked before, so that web pages cannot even try.
    ///
    /// ```
    /// use mcp::http::{Caller, Denied, HttpOptions};
    ///
    /// let options = HttpOptions::default().authenticate(async |caller: Caller| {
    ///     match caller.headers().get("authorization").map(|value| value.as_bytes()) {
    ///         Some(b"Bearer sesame") => Ok(caller.with_principal("ann")),
    ///         Some(_) => Err(Denied::forbidden()),
    ///         None => Err(Denied::unauthorized("Bearer")),
    ///     }
    /// });
    /// # drop(options);
    /// ```
    #[must_use]
    pub fn authenticate<Fut>(mut self, hook: impl Fn(Caller) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Result<Caller, Denied>> + Send + 'static,
    {
        self.authenticate = Some(Arc::new(move |caller| Box::pin(hook(caller))));
        self
    }

    /// How many connections there may be at once: 4096 by default. Whoever comes then is disconnected at once; the others notice nothing.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// How many requests may be in work at once, open streams included: 4096 by default. Others are answered with 503, and may be sent again.
    #[must_use]
    pub fn exchanges(mut self, most: usize) -> Self {
        self.exchanges = most;
        self
    }

    /// How long the server waits for a request: from when a client connects, or from the end of the response before, until the request's
    /// head is there. 60 seconds by default. Then the connection is closed, an idle one, too.
    #[must_use]
    pub fn silence(mut self, longest: Duration) -> Self {
        self.silence = longest;
        self
    }

    /// How long a request's body may take to come: 30 seconds by default. Then it is answered with 408.
    #[must_use]
    pub fn body_within(mut self, longest: Duration) -> Self {
        self.body_within = longest;
        self
    }

    /// How long a client may take nothing of a response while there is something to take: 60 seconds by default. Then its connection is
    /// closed.
    #[must_use]
    pub fn stalled(mut self, longest: Duration) -> Self {
        self.stalled = longest;
        self
    }

    /// The largest head of a request, in bytes: 64 KiB by default, of at most 100 headers. A larger one is answered with 431.
    #[must_use]
    pub fn head(mut self, most: usize) -> Self {
        self.head = most;
        self
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            path: "/mcp".to_owned(),
            allowed: Vec::new(),
            limits: HttpLimits::default(),
            sessions: Keeping::default(),
            cancelled: CancelledPost::default(),
            sse: None,
            cors: Cors::Off,
            health: Health::Hidden,
            authenticate: None,
            connections: 4096,
            exchanges: 4096,
            silence: Duration::from_secs(60),
            body_within: Duration::from_secs(30),
            stalled: Duration::from_secs(60),
            head: 64 * 1024,
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("path", &self.path)
            .field("connections", &self.connections)
            .field("exchanges", &self.exchanges)
            .finish_non_exhaustive()
    }
}
