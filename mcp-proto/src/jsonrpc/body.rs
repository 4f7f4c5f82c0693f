//! One outbound message, encoded by the caller up to the last brace of its parameters or result.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ErrorObject;
use super::id::RequestId;
use super::message::{Json, Kind, Message};
use super::scan::members;
use super::tail::Tail;
use crate::connection::Meta;
use crate::model::{LoggingLevel, meta_key};

/// One outbound message without its id and without the members that belong to the core.
///
/// Built by the caller, outside any lock: encoding is the expensive part of sending. The
/// [`Connection`](crate::Connection) appends what it owns (`_meta`, the id) and nothing is encoded twice.
///
/// `params` and `result` must be JSON objects, and must not have a member `_meta`: that one is written from the options
/// that go with the message.
///
/// ```
/// use mcp_proto::Body;
/// use mcp_proto::model::{CallToolResult, ReadResourceParams};
///
/// let request = Body::new("resources/read", &ReadResourceParams::new("file:///notes.txt"))?;
/// let result = Body::result(&CallToolResult::text("done"))?;
/// assert_eq!((request.method(), result.method()), ("resources/read", ""));
/// assert!(Body::result(&"no object").is_err());
/// # Ok::<(), mcp_proto::EncodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// JSON up to the closing brace of `params`, `result`.
    open: Vec<u8>,
    /// Where the method stands in `open`; empty for a result.
    method: Range<usize>,
    /// The severity of a log message: the peer chooses from which on it wants them.
    level: Option<LoggingLevel>,
}

impl Body {
    /// A request or a notification; which of the two is decided by what it is given to.
    ///
    /// # Errors
    ///
    /// When `params` does not serialize to an object, has a member `_meta`, `method` needs escaping in JSON, or it is a log
    /// message, which [`log`](Self::log) makes.
    pub fn new(method: &str, params: &impl Serialize) -> Result<Self, EncodeError> {
        if method.bytes().any(|byte| matches!(byte, 0..=0x1F | b'"' | b'\\' | 0x7F..)) {
            return Err(EncodeError::new(method, Why::Method));
        }
        if method == LOG {
            return Err(EncodeError::new(method, Why::Log));
        }
        Self::message(method, params)
    }

    fn message(method: &str, params: &impl Serialize) -> Result<Self, EncodeError> {
        #[derive(Serialize)]
        struct Head<'a, P> {
            jsonrpc: &'a str,
            method: &'a str,
            params: &'a P,
        }
        let start = r#"{"jsonrpc":"2.0","method":""#.len();
        let open = encode(&Head { jsonrpc: "2.0", method, params }).map_err(|why| EncodeError::new(method, why))?;
        Ok(Self { open, method: start..start + method.len(), level: None })
    }

    /// A request or notification without parameters.
    ///
    /// # Errors
    ///
    /// When `method` needs escaping in JSON.
    pub fn empty(method: &str) -> Result<Self, EncodeError> {
        Self::new(method, &Empty {})
    }

    /// A result.
    ///
    /// # Errors
    ///
    /// When it does not serialize to an object or has a member `_meta`.
    pub fn result(result: &impl Serialize) -> Result<Self, EncodeError> {
        #[derive(Serialize)]
        struct Head<'a, R> {
            jsonrpc: &'a str,
            result: &'a R,
        }
        let open = encode(&Head { jsonrpc: "2.0", result }).map_err(|why| EncodeError::new("the result", why))?;
        Ok(Self { open, method: 0..0, level: None })
    }

    /// The result `{}`.
    pub fn empty_result() -> Self {
        // With room for what closes it.
        let mut open = Vec::with_capacity(64);
        open.extend_from_slice(br#"{"jsonrpc":"2.0","result":{"#);
        Self { open, method: 0..0, level: None }
    }

    /// A message passed on as it came, and the keys of its `_meta`: for gateways. Its parameters or result are not decoded,
    /// and no member is lost; what belongs to a connection (the id, `resultType`, the core's keys of `_meta`) is left to the
    /// connection that sends it.
    ///
    /// # Errors
    ///
    /// When it is malformed, an error, or has a `_meta` that cannot be read.
    pub fn forward(message: &Message) -> Result<(Self, Meta), EncodeError> {
        let failed = |why: &str| EncodeError::new(message.method(), Why::Serde(serde_json::Error::custom(why)));
        let (head, content, skip) = match message.kind() {
            Kind::Request | Kind::Notification => ("params", message.params(), "_meta"),
            Kind::Result => ("result", message.result().unwrap_or(Json("{}")), "resultType"),
            Kind::Error | Kind::Malformed => {
                return Err(failed("only requests, notifications and results are passed on"));
            }
        };
        let mut open = br#"{"jsonrpc":"2.0","#.to_vec();
        if message.kind() != Kind::Result {
            open.extend_from_slice(br#""method":"#);
            write_text(&mut open, message.method());
            open.push(b',');
        }
        let method = r#"{"jsonrpc":"2.0","method":""#.len()..open.len().saturating_sub(2);
        open.extend_from_slice(format!("\"{head}\":{{").as_bytes());
        let mut any = false;
        let read = members(content.as_str(), |key, value| {
            if key == "_meta" || key == skip {
                return;
            }
            if core::mem::replace(&mut any, true) {
                open.push(b',');
            }
            write_text(&mut open, key);
            open.push(b':');
            open.extend_from_slice(value.as_bytes());
        });
        read.map_err(|_| failed("cannot be read"))?;
        let meta: Option<Map<String, Value>> = match message.meta() {
            Some(meta) => Some(meta.decode().map_err(|_| failed("its _meta cannot be read"))?),
            None => None,
        };
        let meta = meta.map(|meta| {
            meta.into_iter().filter(|(key, _)| !meta_key::OF_THE_CONNECTION.contains(&key.as_str())).collect()
        });
        #[derive(serde::Deserialize)]
        struct Level {
            level: LoggingLevel,
        }
        let level = match message.method() {
            LOG => Some(content.decode::<Level>().map_err(|_| failed("its level cannot be read"))?.level),
            _ => None,
        };
        let method = if message.kind() == Kind::Result { 0..0 } else { method };
        Ok((Self { open: escape_line_ends(open), method, level }, meta))
    }

    /// A log message of this severity, as `notifications/message`.
    ///
    /// # Errors
    ///
    /// When `params` does not serialize to an object or has a member `_meta`.
    pub fn log(params: &crate::model::LogParams) -> Result<Self, EncodeError> {
        Ok(Self { level: Some(params.level), ..Self::message(LOG, params)? })
    }

    /// The method of a request or notification; empty for a result.
    pub fn method(&self) -> &str {
        self.open.get(self.method.clone()).and_then(|method| core::str::from_utf8(method).ok()).unwrap_or_default()
    }

    /// The result as JSON, without what the core will add; `None` for what is no result.
    pub fn result_json(&self) -> Option<String> {
        self.method.is_empty().then(|| self.as_input_response())
    }

    /// Bytes of memory that it holds.
    pub fn size(&self) -> usize {
        self.open.capacity() + size_of::<Self>()
    }

    /// The parameters as JSON, without what the core will add; `None` for a result.
    pub fn params_json(&self) -> Option<String> {
        let head = self.method.end + r#"","params":"#.len();
        (!self.method.is_empty())
            .then(|| format!("{}}}", String::from_utf8_lossy(self.open.get(head..).unwrap_or_default())))
    }

    pub(crate) fn level(&self) -> Option<LoggingLevel> {
        self.level
    }

    /// What it is made of, for freezing: the text so far, where the method stands in it, and the severity of a log message.
    pub(crate) fn parts(&self) -> (&str, (usize, usize), Option<LoggingLevel>) {
        // It is JSON, and so UTF-8.
        let open = core::str::from_utf8(&self.open).unwrap_or_default();
        (open, (self.method.start, self.method.end), self.level)
    }

    /// The same again.
    pub(crate) fn from_parts((open, (start, end), level): (String, (usize, usize), Option<LoggingLevel>)) -> Self {
        Self { open: open.into_bytes(), method: start..end, level }
    }

    /// Whether the text so far has this in it, wherever.
    pub(crate) fn contains(&self, needle: &str) -> bool {
        memchr::memmem::find(&self.open, needle.as_bytes()).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// The parameters, if they are such.
    pub(crate) fn params<T: DeserializeOwned>(&self) -> Option<T> {
        #[derive(Deserialize)]
        struct Params<T> {
            params: T,
        }
        serde_json::from_str::<Params<T>>(&self.as_input_request()).ok().map(|message| message.params)
    }

    /// A request as it stands in `inputRequests`: its method and parameters, without envelope.
    pub(crate) fn as_input_request(&self) -> String {
        let head = r#"{"jsonrpc":"2.0","#.len();
        // What is behind the head is the JSON of the two members, up to the braces that are still open.
        format!("{{{}}}}}", String::from_utf8_lossy(self.open.get(head..).unwrap_or_default()))
    }

    /// A result as it stands in `inputResponses`: the bare object.
    pub(crate) fn as_input_response(&self) -> String {
        let head = r#"{"jsonrpc":"2.0","result":"#.len();
        format!("{}}}", String::from_utf8_lossy(self.open.get(head..).unwrap_or_default()))
    }

    /// Like `finish`, unless the message would be longer than `limit`; then the body comes back.
    pub(crate) fn finish_within(self, limit: usize, tail: &Tail, id: Option<&RequestId>) -> Result<Vec<u8>, Self> {
        let Self { open, method, level } = self;
        let length = open.len();
        let mut frame = Self { open, method: method.clone(), level }.finish(tail, id);
        if frame.len() <= limit {
            return Ok(frame);
        }
        frame.truncate(length);
        Err(Self { open: frame, method, level })
    }

    /// How long the message will be once it is closed with these.
    pub(crate) fn finished_len(&self, tail: &Tail, id: Option<&RequestId>) -> usize {
        let tail =
            if tail.bytes().is_empty() { 0 } else { tail.bytes().len() + usize::from(self.open.last() != Some(&b'{')) };
        self.open.len() + tail + 2 + id.map_or(0, |id| r#","id":"#.len() + id_len(id))
    }

    /// Closes the message with the members of the core: those inside `params` or `result`, and the id.
    pub(crate) fn finish(mut self, tail: &Tail, id: Option<&RequestId>) -> Vec<u8> {
        // Grown at most once, and not to twice the size; with room for the line end.
        self.open.reserve_exact(self.finished_len(tail, id) - self.open.len() + 1);
        if !tail.bytes().is_empty() {
            if self.open.last() != Some(&b'{') {
                self.open.push(b',');
            }
            self.open.extend_from_slice(tail.bytes());
        }
        self.open.push(b'}');
        if let Some(id) = id {
            self.open.extend_from_slice(br#","id":"#);
            write_id(&mut self.open, id);
        }
        self.open.push(b'}');
        self.open
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", String::from_utf8_lossy(&self.open))
    }
}

/// A complete error response. `id` is JSON text; `None` leaves the member out, `"null"` says that none was readable.
pub(crate) fn refusal(id: Option<&str>, error: &ErrorObject) -> Vec<u8> {
    let mut frame = br#"{"jsonrpc":"2.0","#.to_vec();
    if let Some(id) = id {
        frame.extend_from_slice(br#""id":"#);
        frame.extend_from_slice(id.as_bytes());
        frame.push(b',');
    }
    frame.extend_from_slice(br#""error":"#);
    write_json(&mut frame, error);
    frame.push(b'}');
    escape_line_ends(frame)
}

/// The one notification that is filtered by what it says.
const LOG: &str = "notifications/message";

#[derive(Serialize)]
struct Empty {}

/// Encodes a head and takes its last two closing braces off again.
fn encode(head: &impl Serialize) -> Result<Vec<u8>, Why> {
    let mut open = serde_json::to_vec(head).map_err(Why::Serde)?;
    if !open.ends_with(b"}}") {
        return Err(Why::Serde(serde_json::Error::custom("params and result must be objects")));
    }
    open.truncate(open.len() - 2);
    if has_meta(&open) {
        return Err(Why::Meta);
    }
    Ok(escape_line_ends(open))
}

/// Whether the object that ends `open` has a member `_meta` of its own.
fn has_meta(open: &[u8]) -> bool {
    let needle = br#""_meta":"#;
    if memchr::memmem::find(open, needle).is_none() {
        return false;
    }
    // Somewhere it stands; at depth 2 it is ours. Rare enough to be looked at byte by byte.
    let (mut depth, mut in_string, mut escaped) = (0u32, false, false);
    for (at, byte) in open.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => {
                if !in_string && depth == 2 && open[at..].starts_with(needle) {
                    return true;
                }
                in_string = !in_string;
            }
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    false
}

/// Escapes U+0085, U+2028 and U+2029, legal in JSON, at which some peers' line readers split a message.
pub(super) fn escape_line_ends(json: Vec<u8>) -> Vec<u8> {
    let rewrite = |at: usize| match json[at..] {
        [0xC2, 0x85, ..] => Some((2, &b"\\u0085"[..])),
        [0xE2, 0x80, 0xA8, ..] => Some((3, &b"\\u2028"[..])),
        [0xE2, 0x80, 0xA9, ..] => Some((3, &b"\\u2029"[..])),
        _ => None,
    };
    if !memchr::memchr2_iter(0xC2, 0xE2, &json).any(|at| rewrite(at).is_some()) {
        return json;
    }
    let mut escaped = Vec::with_capacity(json.len() + 16);
    let mut copied = 0;
    for at in memchr::memchr2_iter(0xC2, 0xE2, &json) {
        if let Some((len, escape)) = rewrite(at) {
            escaped.extend_from_slice(&json[copied..at]);
            escaped.extend_from_slice(escape);
            copied = at + len;
        }
    }
    escaped.extend_from_slice(&json[copied..]);
    escaped
}

/// Writes an id; without a detour, as the ids of all known peers allow.
pub(super) fn write_id(out: &mut Vec<u8>, id: &RequestId) {
    match id {
        RequestId::Number(number) => {
            // Never fails: a vector takes what it is given.
            let _ = fmt::Write::write_fmt(&mut Digits(out), format_args!("{number}"));
        }
        RequestId::String(text) if text.is_ascii() => write_text(out, text),
        RequestId::String(text) => {
            let mut quoted = Vec::new();
            write_text(&mut quoted, text);
            out.extend_from_slice(&escape_line_ends(quoted));
        }
    }
}

/// How long `write_id` writes it.
fn id_len(id: &RequestId) -> usize {
    match id {
        RequestId::Number(number) => {
            number.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1) + usize::from(*number < 0)
        }
        RequestId::String(text) if is_plain(text) && text.is_ascii() => text.len() + 2,
        RequestId::String(_) => {
            let mut written = Vec::new();
            write_id(&mut written, id);
            written.len()
        }
    }
}

struct Digits<'a>(&'a mut Vec<u8>);

impl fmt::Write for Digits<'_> {
    fn write_str(&mut self, digits: &str) -> fmt::Result {
        self.0.extend_from_slice(digits.as_bytes());
        Ok(())
    }
}

/// Writes a string. Most need no escapes, and so no detour through a buffer of their own.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    if !is_plain(text) {
        return write_json(out, &text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn is_plain(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, 0..=0x1F | b'"' | b'\\'))
}

pub(super) fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Ids, errors and JSON values always serialize: they have string keys and hold nothing that refuses.
    if let Ok(text) = serde_json::to_vec(value) {
        out.extend_from_slice(&text);
    }
}

/// Why a value could not become a message. Our caller's mistake, never the peer's.
#[derive(Debug)]
pub struct EncodeError {
    what: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Serde(serde_json::Error),
    Method,
    Meta,
    Log,
}

impl EncodeError {
    fn new(what: &str, why: Why) -> Self {
        Self { what: what.into(), why }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Serde(error) => write!(f, "{} cannot be encoded: {error}", self.what),
            Why::Method => write!(f, "{:?} is no method name: it must be printable ASCII without quotes", self.what),
            Why::Log => write!(f, "{} has a severity that counts: make it with Body::log", self.what),
            Why::Meta => write!(f, "{} has a member _meta: pass those keys in the options instead", self.what),
        }
    }
}

impl core::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.why {
            Why::Serde(error) => Some(error),
            Why::Method | Why::Meta | Why::Log => None,
        }
    }
}
