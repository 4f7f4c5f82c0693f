//! What a client over HTTP is told at its start: where the server is, what may be done on its behalf, and every bound.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use http::Uri;

use super::url;
use crate::connection::Limits;

/// What a client over HTTP is told at its start.
///
/// ```
/// use mcp_proto::http::client::HttpClientConfig;
///
/// let config = HttpClientConfig::new("http://localhost:8080/mcp")?;
/// assert_eq!(config.url().path(), "/mcp");
/// assert!(HttpClientConfig::new("ftp://localhost/mcp").is_err());
/// # Ok::<(), mcp_proto::http::client::UrlFault>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpClientConfig {
    url: Uri,
    /// What happens when the server wants to know first who asks.
    pub unauthorized: Unauthorized,
    /// Whether the stream is opened on which a server of the legacy era says what belongs to no request.
    pub stream: Standalone,
    /// Whether a server that refuses `initialize` is tried by the transport of 2024-11-05.
    pub old_transport: OldTransport,
    /// How messages are read: the longest, and how deep they may nest.
    pub messages: Limits,
    /// The bounds.
    pub limits: ClientLimits,
}

/// What happens when the server answers with 401, or with 403 and a challenge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unauthorized {
    /// The request fails with that status.
    #[default]
    Fails,
    /// [`Command::Authorize`](super::Command::Authorize) asks for credentials, and the request is sent once more with them.
    Asks,
}

/// Whether the stream is opened on which a server of the legacy era says what belongs to no request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standalone {
    /// It is, once the session has begun.
    #[default]
    Opened,
    /// It is not: such a server tells nothing but answers.
    Never,
}

/// Whether a server that refuses `initialize` is tried by HTTP with SSE of 2024-11-05.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldTransport {
    /// It is.
    #[default]
    Tried,
    /// It is not.
    Never,
}

impl HttpClientConfig {
    /// A client of the server at `url`, which begins with `http://` or `https://`.
    ///
    /// # Errors
    ///
    /// When it is no such URL, or has a user or password in it: credentials have no place in what is logged.
    pub fn new(url: &str) -> Result<Self, UrlFault> {
        Ok(Self {
            url: url::parse(url)?,
            unauthorized: Unauthorized::default(),
            stream: Standalone::default(),
            old_transport: OldTransport::default(),
            messages: Limits::default(),
            limits: ClientLimits::default(),
        })
    }

    /// Where the server is.
    pub fn url(&self) -> &Uri {
        &self.url
    }
}

/// Every bound of a client over HTTP. What its [`Connection`](crate::Connection) holds is bounded by [`Limits`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientLimits {
    /// Calls under way at once; others wait. Each has an exchange, which over HTTP/1.1 is a connection. Default 64. Subscriptions,
    /// answers to the server, and the stream of a session come on top.
    pub calls: usize,
    /// Bytes of messages that wait to be sent or may have to be sent once more. Default 8 MiB. Over it, no more are taken from the
    /// connection.
    pub output: usize,
    /// Bytes of the body of a refusal. Default 1 MiB. A longer one is not read to its end.
    pub refusal: usize,
    /// How often in a row a stream is opened again that brings nothing new. Default 5.
    pub reconnects: u32,
    /// The pause before that, doubled each time, unless the server says how long to wait. Default 1 s, and 30 s at most.
    pub pause: Duration,
    /// The longest such pause.
    pub longest_pause: Duration,
    /// How often a request is sent once more to a server that says when to come back (`Retry-After` with 429 or 503). Default 3.
    pub retries: u32,
    /// The longest such wait; who asks for more has refused the request. Default 60 s.
    pub longest_wait: Duration,
    /// How many redirections within the server's origin are followed in a row. Default 5.
    pub redirects: u32,
    /// How often one request is sent with new credentials. Default 3.
    pub authorizations: u32,
    /// How long credentials may take to come. Default 10 min.
    pub authorization: Duration,
    /// How long the server may take to accept what is no request. Default 30 s.
    pub acceptance: Duration,
    /// How long a stream may take to begin. Default 60 s.
    pub opening: Duration,
    /// How long the calls of a new session wait for its own stream to begin, so that nothing is missed that the server tells there.
    /// Default 1 s. A server that has no such stream says so, and is not waited for.
    pub listening: Duration,
    /// How long a response may go on once it has brought the answer. Default 2 s.
    pub ending: Duration,
    /// Tools whose mirrored arguments are kept in mind. Default 1024. Each costs its name and those of the headers.
    pub tools: usize,
    /// Pages of tools that are asked for when a tool's mirrored arguments turn out to be others. Default 32.
    pub pages: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            calls: 64,
            output: 8 << 20,
            refusal: 1 << 20,
            reconnects: 5,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            retries: 3,
            longest_wait: Duration::from_secs(60),
            redirects: 5,
            authorizations: 3,
            authorization: Duration::from_secs(600),
            acceptance: Duration::from_secs(30),
            opening: Duration::from_secs(60),
            listening: Duration::from_secs(1),
            ending: Duration::from_secs(2),
            tools: 1024,
            pages: 32,
        }
    }
}

/// What is wrong with the URL of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlFault {
    /// It is no URL; what the parser says.
    Unreadable(String),
    /// It does not begin with `http://` or `https://`.
    OtherScheme,
    /// It names no host.
    NoHost,
    /// It has a user or a password in it.
    Credentials,
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "it is no URL: {why}"),
            Self::OtherScheme => f.write_str("the URL of a server begins with http:// or https://"),
            Self::NoHost => f.write_str("the URL names no host"),
            Self::Credentials => {
                f.write_str("a URL with a user or password in it is not used: give credentials apart from it")
            }
        }
    }
}

impl core::error::Error for UrlFault {}
