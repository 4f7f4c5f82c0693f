//! What a request is, and whether it is let in: decided from its head before the body is read, and from both after that.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

use super::accept::{EVENTS, JSON, accepts, encoding, is_json};
use super::headers::{self, LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID, check_routing};
use super::ids::{EventId, SessionId};
use super::limits::HttpLimits;
use super::security::Security;
use super::status::{Reason, Refusal};
use crate::jsonrpc::{Fault, Kind, Message, members};
use crate::model::{Era, ProtocolVersion, meta_key};
use crate::{Limits, ServerConfig};

/// The place to which clients send their requests: what is let in, and what each request is.
///
/// It never changes and needs no lock. A driver asks it twice: [`screen`](Self::screen) as soon as it has the head of a request,
/// and [`classify`](Self::classify) once it has the body of a POST and has scanned it.
///
/// ```
/// use mcp_proto::http::{Classified, Endpoint, EndpointConfig, Screened, security::Security};
/// use mcp_proto::{Limits, Message, ProtocolVersion};
///
/// let config = EndpointConfig::new(Security::of("127.0.0.1:8080".parse()?));
/// let endpoint = Endpoint::new(config);
///
/// let (head, ()) = http::Request::post("/mcp")
///     .header("Host", "localhost:8080")
///     .header("Accept", "application/json, text/event-stream")
///     .header("Content-Type", "application/json")
///     .header("MCP-Protocol-Version", "2026-07-28")
///     .header("Mcp-Method", "server/discover")
///     .body(())?
///     .into_parts();
/// assert!(matches!(endpoint.screen(&head), Ok(Screened::Post { .. })));
///
/// let body = br#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{
///     "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
/// let message = Message::scan(body, &Limits::default());
/// assert!(matches!(endpoint.classify(&head, message)?, Classified::Modern { version: ProtocolVersion::V2026_07_28, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    /// The newest revision of the modern era that is served.
    modern: Option<ProtocolVersion>,
    serves_legacy: bool,
    /// Whether a revision with batches is served.
    serves_batches: bool,
}

/// What an [`Endpoint`] is told at its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Which hosts and origins are let in.
    pub security: Security,
    /// The bounds.
    pub limits: HttpLimits,
    /// The revisions that are served: those of the server ([`ServerConfig::versions`]). All of them unless set.
    pub versions: Vec<ProtocolVersion>,
    /// Whether the legacy era is served with sessions.
    pub sessions: Keeping,
}

impl EndpointConfig {
    /// Every revision, with sessions in the legacy era.
    #[must_use]
    pub fn new(security: Security) -> Self {
        Self {
            security,
            limits: HttpLimits::default(),
            versions: ProtocolVersion::ALL.to_vec(),
            sessions: Keeping::Sessions,
        }
    }

    /// The same for the revisions that a server serves.
    #[must_use]
    pub fn serving(mut self, server: &ServerConfig) -> Self {
        self.versions.clone_from(&server.versions);
        self
    }
}

/// Whether something is kept between two requests of a client of the legacy era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeping {
    /// A session, from `initialize` on.
    #[default]
    Sessions,
    /// Nothing: each request stands alone. There are no streams beside those of requests, and the client cannot be asked.
    Nothing,
}

/// One of the two places of HTTP with SSE (2024-11-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SsePart {
    /// Where a client opens its stream, with GET.
    Stream,
    /// Where it posts messages.
    Messages,
}

/// What a request is, as far as its head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screened {
    /// Its body is one message, or a batch: read it, up to so many bytes, scan it, and ask for [`Endpoint::classify`].
    Post {
        /// In bytes. A longer body is refused with [`Reason::BodyTooLarge`].
        body_limit: usize,
    },
    /// The stream of a session is asked for.
    Get(Get),
    /// A session shall end.
    Delete(SessionId),
}

/// A stream of a session is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Get {
    /// Which session.
    pub session: SessionId,
    /// The event after which a broken stream shall go on; without it, the session's own stream is meant.
    pub last_event_id: Option<EventId>,
    /// The revision that the header names.
    pub version: Option<ProtocolVersion>,
}

/// What a POST is.
#[derive(Clone, Debug)]
pub enum Classified {
    /// A message of the modern era, for a connection that begins with [`Start::Assume`](crate::Start::Assume).
    Modern {
        /// The revision to assume. Whether it is what the message names is for the connection to say.
        version: ProtocolVersion,
        /// The message.
        message: Message,
    },
    /// One of the legacy era.
    Legacy(LegacyCall),
}

/// What a POST of the legacy era is.
#[derive(Clone, Debug)]
pub enum LegacyCall {
    /// Begins a session, where sessions are kept.
    Initialize(Message),
    /// Belongs to a session.
    InSession {
        /// Which one. Whether it exists, and is the sender's, is not known here.
        session: SessionId,
        /// The revision that the header names.
        version: Option<ProtocolVersion>,
        /// The message, or the batch.
        message: Message,
    },
    /// Stands alone, since no sessions are kept: for a connection that begins with [`Start::Assume`](crate::Start::Assume).
    Sessionless {
        /// The revision to assume.
        version: ProtocolVersion,
        /// The message, or the batch.
        message: Message,
    },
}

/// What the header `MCP-Protocol-Version` names.
enum Named {
    Nothing,
    Served(ProtocolVersion),
    /// A revision that nobody knows, or that is not served.
    Unserved(String),
}

/// Where a message goes.
enum Way {
    Modern(ProtocolVersion),
    Initialize,
    InSession(SessionId, Option<ProtocolVersion>),
    Sessionless(ProtocolVersion),
}

/// What is assumed without a header (specification: basic/transports, Protocol Version Header, from 2025-06-18 on).
const ASSUMED: ProtocolVersion = ProtocolVersion::V2025_03_26;

impl Endpoint {
    /// An endpoint.
    #[must_use]
    pub fn new(config: EndpointConfig) -> Self {
        let of_era =
            |era| config.versions.iter().copied().filter(move |version: &ProtocolVersion| version.era() == era);
        Self {
            modern: of_era(Era::Modern).max(),
            serves_legacy: of_era(Era::Legacy).next().is_some(),
            serves_batches: config.versions.iter().any(|version| version.rules().batches),
            config,
        }
    }

    /// What it was told at its start.
    #[must_use]
    pub fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// Judges a request by its head: whether it may come from there, what it wants, and whether its body is worth reading.
    ///
    /// # Errors
    ///
    /// When it is refused; the body need not be read then.
    pub fn screen(&self, head: &Parts) -> Result<Screened, Refusal> {
        let screened = self.config.security.check(head).map_err(Reason::Forbidden).and_then(|()| match head.method {
            Method::POST => self.screen_post(&head.headers),
            Method::GET => self.screen_get(&head.headers).map(Screened::Get),
            Method::DELETE => self.screen_delete(&head.headers).map(Screened::Delete),
            _ => Err(Reason::Method { allow: self.methods() }),
        });
        screened.map_err(|reason| self.refusal(&head.headers, reason))
    }

    /// Judges a request of HTTP with SSE (2024-11-05) by its head, before anything else is done with it: as [`screen`](Self::screen) does,
    /// but for headers that those clients do not know. How long the body may be, in bytes.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub fn screen_sse(&self, part: SsePart, head: &Parts) -> Result<usize, Refusal> {
        let screened = self.config.security.check(head).map_err(Reason::Forbidden).and_then(|()| match part {
            SsePart::Stream if head.method != Method::GET => Err(Reason::Method { allow: "GET" }),
            SsePart::Stream if !accepts(&head.headers, EVENTS) => Err(Reason::NotAcceptable { wanted: EVENTS }),
            SsePart::Stream => Ok(0),
            SsePart::Messages if head.method != Method::POST => Err(Reason::Method { allow: "POST" }),
            SsePart::Messages => self.screen_body(&head.headers),
        });
        screened.map_err(|reason| self.refusal(&head.headers, reason))
    }

    /// Judges a POST by its head and its body: which era it belongs to, and what serves it.
    ///
    /// The body decides, and the headers have to agree. What is left to the connection that serves it: the keys of a modern
    /// `_meta`, whether its revision is served, the method, and the parameters. It judges them in that order, as the
    /// specification wants, and answers with the codes whose statuses an [`Exchange`](super::Exchange) knows.
    ///
    /// # Errors
    ///
    /// When it is refused: the refusal has the id of the message, where it has one.
    pub fn classify(&self, head: &Parts, message: Message) -> Result<Classified, Refusal> {
        match self.way(&head.headers, &message) {
            Ok(Way::Modern(version)) => Ok(Classified::Modern { version, message }),
            Ok(Way::Initialize) => Ok(Classified::Legacy(LegacyCall::Initialize(message))),
            Ok(Way::InSession(session, version)) => {
                Ok(Classified::Legacy(LegacyCall::InSession { session, version, message }))
            }
            Ok(Way::Sessionless(version)) => Ok(Classified::Legacy(LegacyCall::Sessionless { version, message })),
            Err(reason) => Err(self.refusal(&head.headers, reason).of(&message)),
        }
    }

    /// A refusal for this reason, written as in the revision that the headers name. For what a driver refuses itself.
    pub fn refusal(&self, headers: &HeaderMap, reason: Reason) -> Refusal {
        let refusal = Refusal::new(reason).retry_after(self.config.limits.retry_after);
        let named = match self.named(headers) {
            Ok(Named::Served(version)) => Some(version),
            _ => self.modern.filter(|_| !self.serves_legacy),
        };
        match named {
            Some(version) => refusal.written_in(version),
            None => refusal,
        }
    }

    fn keeps_sessions(&self) -> bool {
        self.serves_legacy && self.config.sessions == Keeping::Sessions
    }

    /// For the header `Allow`.
    fn methods(&self) -> &'static str {
        if self.keeps_sessions() { "GET, POST, DELETE" } else { "POST" }
    }
}

/// By the head.
impl Endpoint {
    fn screen_post(&self, headers: &HeaderMap) -> Result<Screened, Reason> {
        // Which of the two the answer will be is not known before there is one.
        if !accepts(headers, JSON) || !accepts(headers, EVENTS) {
            return Err(Reason::NotAcceptable { wanted: "application/json and text/event-stream" });
        }
        self.screen_body(headers).map(|body_limit| Screened::Post { body_limit })
    }

    /// What the headers say of a body, and how long it may be.
    fn screen_body(&self, headers: &HeaderMap) -> Result<usize, Reason> {
        let told = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        is_json(headers).map_err(|found| Reason::ContentType { found: found.map(told) })?;
        if let Some(found) = encoding(headers) {
            return Err(Reason::ContentEncoding { found: told(found) });
        }
        let limit = self.config.limits.body;
        let length = only(headers, &CONTENT_LENGTH, "Content-Length")?;
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match length.map(|text| text.parse::<u64>().ok().filter(|_| is_number(&text))) {
            // More digits than fit are as good as too many bytes.
            Some(None) if length.as_ref().is_some_and(is_number) => Err(Reason::BodyTooLarge { limit }),
            Some(None) => Err(Reason::BadHeader { name: "Content-Length" }),
            Some(Some(length)) if length > limit as u64 => Err(Reason::BodyTooLarge { limit }),
            _ => Ok(limit),
        }
    }

    fn screen_get(&self, headers: &HeaderMap) -> Result<Get, Reason> {
        let version = self.screen_kept(headers)?;
        if !accepts(headers, EVENTS) {
            return Err(Reason::NotAcceptable { wanted: EVENTS });
        }
        let session = session_of(headers)?.ok_or(Reason::SessionMissing)?;
        let last_event_id = only(headers, &LAST_EVENT_ID, "Last-Event-ID")?;
        let last_event_id = last_event_id.map(|id| EventId::parse(id).ok_or(Reason::EventUnknown)).transpose()?;
        Ok(Get { session, last_event_id, version })
    }

    fn screen_delete(&self, headers: &HeaderMap) -> Result<SessionId, Reason> {
        self.screen_kept(headers)?;
        session_of(headers)?.ok_or(Reason::SessionMissing)
    }

    /// What only exists for clients of the legacy era, and for them only where something is kept. The revision that the
    /// header names.
    fn screen_kept(&self, headers: &HeaderMap) -> Result<Option<ProtocolVersion>, Reason> {
        if !self.keeps_sessions() {
            return Err(Reason::Method { allow: self.methods() });
        }
        match self.named(headers)? {
            Named::Nothing => Ok(None),
            Named::Served(version) if version.era() == Era::Legacy => Ok(Some(version)),
            Named::Served(_) => Err(Reason::Method { allow: "POST" }),
            Named::Unserved(named) => Err(self.unserved(named)),
        }
    }

    fn named(&self, headers: &HeaderMap) -> Result<Named, Reason> {
        let Some(text) = only(headers, &PROTOCOL_VERSION, "MCP-Protocol-Version")? else { return Ok(Named::Nothing) };
        match text.parse() {
            Ok(version) if self.config.versions.contains(&version) => Ok(Named::Served(version)),
            _ => Ok(Named::Unserved(text.into())),
        }
    }

    fn unserved(&self, named: String) -> Reason {
        Reason::Version { named, served: self.config.versions.clone() }
    }
}

/// By both.
impl Endpoint {
    fn way(&self, headers: &HeaderMap, message: &Message) -> Result<Way, Reason> {
        if let Some(fault) = message.fault() {
            return if is_array(message) { self.way_of_batch(headers, message) } else { Err(Reason::Malformed(fault)) };
        }
        if let Some(newest) = self.modern
            && let Some(said) = Said::of(message)
        {
            return self.way_of_modern(headers, message, newest, &said);
        }
        match (self.named(headers)?, self.modern) {
            (Named::Served(version), _) if version.era() == Era::Modern => lacking_meta(headers, message, version),
            (Named::Nothing | Named::Served(_), Some(newest)) if !self.serves_legacy => {
                lacking_meta(headers, message, newest)
            }
            (Named::Unserved(_), Some(newest)) if self.is_rather_modern(headers, message) => {
                lacking_meta(headers, message, newest)
            }
            (Named::Unserved(named), _) => Err(self.unserved(named)),
            (Named::Served(version), _) => self.way_of_legacy(headers, Some(version), message),
            (Named::Nothing, _) => self.way_of_legacy(headers, None, message),
        }
    }

    /// Who names a revision in `_meta` is of the modern era, whatever the method. The order is the specification's: the keys
    /// that every request must have, then headers against body, then the rest. So what lacks a key goes on to the connection,
    /// which refuses it for that.
    fn way_of_modern(
        &self,
        headers: &HeaderMap,
        message: &Message,
        newest: ProtocolVersion,
        said: &Said<'_>,
    ) -> Result<Way, Reason> {
        if message.kind() == Kind::Request && !said.is_complete {
            return Ok(Way::Modern(newest));
        }
        check_routing(headers, message).map_err(Reason::Rpc)?;
        let named = said.version.as_deref().and_then(|named| named.parse().ok());
        let served = named
            .filter(|version: &ProtocolVersion| version.era() == Era::Modern && self.config.versions.contains(version));
        Ok(Way::Modern(served.unwrap_or(newest)))
    }

    /// Whether a message with an unknown revision in its header, and none in its body, is rather a request of the modern era
    /// that lacks it than anything of the legacy era.
    fn is_rather_modern(&self, headers: &HeaderMap, message: &Message) -> bool {
        let is_legacy = is_initialize(message) || self.keeps_sessions() && headers.contains_key(&SESSION_ID);
        message.kind() == Kind::Request && !is_legacy
    }

    fn way_of_legacy(
        &self,
        headers: &HeaderMap,
        named: Option<ProtocolVersion>,
        message: &Message,
    ) -> Result<Way, Reason> {
        if is_initialize(message) {
            agree(named, message)?;
        }
        if self.keeps_sessions() {
            return match session_of(headers)? {
                // Also an `initialize`: a session has one, and whoever names a dead one has to hear of that.
                Some(session) => Ok(Way::InSession(session, named)),
                None if is_initialize(message) => Ok(Way::Initialize),
                None => Err(Reason::SessionMissing),
            };
        }
        match named.or_else(|| self.config.versions.iter().copied().find(|version| *version == ASSUMED)) {
            _ if is_initialize(message) => Ok(Way::Initialize),
            Some(version) => Ok(Way::Sessionless(version)),
            None => Err(Reason::VersionMissing { served: self.config.versions.clone() }),
        }
    }

    /// Whether the session's revision has batches is for its connection to say.
    fn way_of_batch(&self, headers: &HeaderMap, message: &Message) -> Result<Way, Reason> {
        let named = match self.named(headers)? {
            _ if !self.serves_batches => return Err(Reason::Batch),
            Named::Unserved(named) => return Err(self.unserved(named)),
            Named::Served(version) if !version.rules().batches => return Err(Reason::Batch),
            Named::Served(version) => Some(version),
            Named::Nothing => None,
        };
        // Nothing of the modern era may come past the headers in the company of others.
        let limits = Limits::default();
        let mut batch = message.batch(&limits).into_iter().flatten();
        if self.modern.is_some() && batch.any(|message| Said::of(&message).is_some()) {
            return Err(Reason::Batch);
        }
        self.way_of_legacy(headers, named, message)
    }
}

/// What the `_meta` of a message says about its era.
struct Said<'a> {
    /// `None` if it is no string, or stands there twice.
    version: Option<Cow<'a, str>>,
    /// Whether the keys that every request of the modern era must have are there, once and of the right type.
    is_complete: bool,
}

impl<'a> Said<'a> {
    /// `None` if it names no revision at all.
    fn of(message: &'a Message) -> Option<Self> {
        let mut version = None;
        let (mut versions, mut capabilities) = (0, 0);
        // A `_meta` was read as an object before.
        let _ = members(message.meta()?.as_str(), |key, value| match key {
            meta_key::PROTOCOL_VERSION if value != "null" => {
                versions += 1;
                version = headers::string(value);
            }
            meta_key::CLIENT_CAPABILITIES => capabilities += if value.starts_with('{') { 1 } else { 2 },
            _ => {}
        });
        let version = version.filter(|_| versions == 1);
        (versions > 0).then(|| Self { is_complete: version.is_some() && capabilities == 1, version })
    }
}

/// A message that says by its header alone, or by coming here, that it is of the modern era: what it lacks the connection
/// tells. Notifications need no `_meta`.
fn lacking_meta(headers: &HeaderMap, message: &Message, version: ProtocolVersion) -> Result<Way, Reason> {
    match message.kind() {
        Kind::Request => {}
        Kind::Notification => check_routing(headers, message).map_err(Reason::Rpc)?,
        // Nobody is asked in the modern era.
        _ => return Err(Reason::Response),
    }
    Ok(Way::Modern(version))
}

/// An `initialize` whose header names another revision than its body would leave the two sides, and whoever stands between
/// them, with different ideas.
fn agree(header: Option<ProtocolVersion>, message: &Message) -> Result<(), Reason> {
    let Some(header) = header else { return Ok(()) };
    let mut body = None;
    let _ = members(message.params().as_str(), |key, value| {
        if key == "protocolVersion" {
            body = headers::string(value);
        }
    });
    match body {
        Some(body) if body != header.as_str() => {
            Err(Reason::VersionMismatch { header, body: body.chars().take(100).collect() })
        }
        _ => Ok(()),
    }
}

fn is_initialize(message: &Message) -> bool {
    message.kind() == Kind::Request && message.method() == "initialize"
}

/// Whether it may be a batch: of such a text all is kept.
fn is_array(message: &Message) -> bool {
    message.fault() == Some(Fault::NotAnObject) && message.text().trim_ascii_start().starts_with('[')
}

fn session_of(headers: &HeaderMap) -> Result<Option<SessionId>, Reason> {
    let session = only(headers, &SESSION_ID, "Mcp-Session-Id")?;
    // What cannot be an id is none that was ever given.
    session.map(|id| SessionId::parse(id).ok_or(Reason::SessionUnknown)).transpose()
}

/// The one value of a header, as text without the space around it.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName, shown: &'static str) -> Result<Option<&'a str>, Reason> {
    let bad = || Reason::BadHeader { name: shown };
    let value = headers::single(headers, name).map_err(|_| bad())?;
    value.map(|value| value.to_str().map(|text| text.trim_matches([' ', '\t'])).map_err(|_| bad())).transpose()
}
