//! Which server a client over HTTP is for, and what its requests say besides what the protocol wants.

use std::fmt;
use std::io;
use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_proto::ClientConfig;
use mcp_proto::http::client::{Challenge, ClientLimits, HttpClientConfig, OldTransport, Standalone, Unauthorized};

use crate::stream::BoxFuture;
use crate::{Error, Result};

/// A server over HTTP, as a client names it: its URL, and what goes along with every request to it.
///
/// ```
/// use mcp::http::HttpTarget;
///
/// let target = HttpTarget::new("http://localhost:8000/mcp").bearer("sesame").header("x-tenant", "acme");
/// # drop(target);
/// ```
///
/// Everything goes to the origin of that URL and nowhere else: redirections within it are followed, others are errors.
#[derive(Clone)]
#[must_use = "hand it to what connects"]
pub struct HttpTarget {
    url: String,
    headers: Vec<(String, String)>,
    bearer: Option<String>,
    authorize: Option<Authorize>,
    stream: Standalone,
    old_transport: OldTransport,
    limits: ClientLimits,
}

pub(super) type Authorize = Arc<dyn Fn(Challenge) -> BoxFuture<Option<String>> + Send + Sync>;

/// What the driver asks, and what it adds.
pub(super) struct Hooks {
    pub(super) authorize: Option<Authorize>,
    pub(super) headers: HeaderMap,
    pub(super) credentials: Option<HeaderValue>,
}

impl HttpTarget {
    /// The server at this URL, which begins with `http://`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            bearer: None,
            authorize: None,
            stream: Standalone::default(),
            old_transport: OldTransport::default(),
            limits: ClientLimits::default(),
        }
    }

    /// A token that is sent with every request, as `Authorization: Bearer`.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(token.into());
        self
    }

    /// Asked for a token when the server wants one, or does not take the one that it has got: with 401, or with 403 and a challenge.
    /// Everything else waits for it meanwhile. With `None` the request fails. So often for one request, and no more:
    /// [`ClientLimits::authorizations`].
    pub fn authorize<Fut>(mut self, ask: impl Fn(Challenge) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Option<String>> + Send + 'static,
    {
        self.authorize = Some(Arc::new(move |challenge| Box::pin(ask(challenge))));
        self
    }

    /// A header that is sent with every request. Those that the protocol needs are not to be set so.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whether the stream is opened on which a server of the legacy era tells what belongs to no request.
    pub fn stream(mut self, stream: Standalone) -> Self {
        self.stream = stream;
        self
    }

    /// Whether a server that refuses the handshake is tried by HTTP with SSE of 2024-11-05.
    pub fn old_transport(mut self, old_transport: OldTransport) -> Self {
        self.old_transport = old_transport;
        self
    }

    /// The bounds.
    pub fn limits(mut self, limits: ClientLimits) -> Self {
        self.limits = limits;
        self
    }

    pub(super) fn into_config(self, client: &ClientConfig) -> Result<(HttpClientConfig, Hooks)> {
        let mut faults = Vec::new();
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), _) if is_ours(&name) => faults.push(format!("the header {name} is set by the protocol")),
                (Ok(name), Ok(mut value)) => {
                    // Whether it is a secret nobody knows here.
                    value.set_sensitive(true);
                    headers.append(name, value);
                }
                _ => faults.push(format!("{name:?} is no header, or has a value that none may have")),
            }
        }
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, user_agent(client));
        }
        let credentials = self.bearer.as_deref().map(credentials);
        if credentials.as_ref().is_some_and(Option::is_none) {
            faults.push("the token has characters that no header may have".into());
        }
        if !faults.is_empty() {
            return Err(Error::Definition(faults));
        }
        let config = HttpClientConfig::new(&self.url);
        let mut config = config.map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
        (config.stream, config.old_transport, config.limits) = (self.stream, self.old_transport, self.limits);
        config.messages = client.limits.clone();
        config.unauthorized = if self.authorize.is_some() { Unauthorized::Asks } else { Unauthorized::Fails };
        Ok((config, Hooks { authorize: self.authorize, headers, credentials: credentials.flatten() }))
    }
}

/// What a token is sent as.
pub(super) fn credentials(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a header is one that requests have for the protocol's sake.
fn is_ours(name: &HeaderName) -> bool {
    [ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST].contains(name)
        || ["connection", "transfer-encoding", "last-event-id"].contains(&name.as_str())
        || name.as_str().starts_with("mcp-")
}

/// Who asks, for logs and for firewalls that turn away the anonymous.
fn user_agent(client: &ClientConfig) -> HeaderValue {
    let token = |text: &str| {
        let allowed = |it: char| if it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it) { it } else { '-' };
        text.chars().map(allowed).take(100).collect::<String>()
    };
    let (name, version) = (token(&client.info.name), token(&client.info.version));
    let ours = concat!("mcp-rust/", env!("CARGO_PKG_VERSION"));
    let text = if name.is_empty() || version.is_empty() { ours.to_owned() } else { format!("{name}/{version} {ours}") };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(ours))
}

impl From<&str> for HttpTarget {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for HttpTarget {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

/// Without what may be secret.
impl fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTarget").field("url", &self.url).finish_non_exhaustive()
    }
}
