//! The headers of MCP: their names, what their values look like, and whether they say what the body says.
//!
//! Whoever stands between client and server, such as a gateway, reads the headers and not the body. So the modern era has what
//! matters for that in both places, and a server refuses whoever says two different things
//! (specification: basic/transports/streamable-http, 2026-07-28).

mod params;
mod value;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

pub use self::params::{Annotation, ParamHeaders, SchemaFault, Unmirrorable};
pub use self::value::{HeaderFault, decode_value, encode_value};
use crate::jsonrpc::{ErrorCode, ErrorObject, Kind, Message, members};
use crate::model::meta_key;

/// The revision that the message is written in; from 2025-06-18 on. Never encoded.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The method of a request, as it stands in the body; modern. Never encoded.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// What the method is about: the name of a tool or prompt, the URI of a resource, the id of a task; modern. See [`encode_value`].
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The session; from 2025-03-26 to 2025-11-25.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The last event of a stream that broke, on the GET that resumes it; from 2025-03-26 to 2025-11-25.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps proxies from holding back the events of a stream.
pub const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// In front of the name that a tool's schema gives to a mirrored argument; see [`ParamHeaders`].
pub const PARAM_PREFIX: &str = "mcp-param-";

/// The methods that have an [`NAME`], and the member of `params` that it mirrors.
const NAMED: [(&str, &str); 6] = [
    ("tools/call", "name"),
    ("prompts/get", "name"),
    ("resources/read", "uri"),
    ("tasks/get", "taskId"),
    ("tasks/update", "taskId"),
    ("tasks/cancel", "taskId"),
];

/// The member of `params` that [`NAME`] mirrors in requests of this method, if it has one.
///
/// ```
/// use mcp_proto::http::headers;
///
/// assert_eq!(headers::name_member("resources/read"), Some("uri"));
/// assert_eq!(headers::name_member("tools/list"), None);
/// ```
pub fn name_member(method: &str) -> Option<&'static str> {
    NAMED.iter().find(|(named, _)| *named == method).map(|(_, member)| *member)
}

/// The only value of a header.
///
/// # Errors
///
/// When it stands there more than once: two readers would take two different ones.
///
/// ```
/// use mcp_proto::http::headers::{self, HeaderFault};
///
/// let mut map = http::HeaderMap::new();
/// assert_eq!(headers::single(&map, &headers::METHOD), Ok(None));
/// map.append(headers::METHOD, "ping".parse()?);
/// assert_eq!(headers::single(&map, &headers::METHOD)?.map(|value| value.as_bytes()), Some(&b"ping"[..]));
/// map.append(headers::METHOD, "ping".parse()?);
/// assert_eq!(headers::single(&map, &headers::METHOD), Err(HeaderFault::Repeated));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, HeaderFault> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(HeaderFault::Repeated) } else { Ok(first) }
}

/// Whether the headers of a modern POST say what its body says: the revision, the method, and the name if the method has one.
///
/// A notification needs no method in its headers; if one is there, it has to be the right one. Which revisions the server
/// speaks is not judged here, and has to be asked later.
///
/// Specification: basic/transports/streamable-http, Server Validation.
///
/// ```
/// use mcp_proto::http::headers;
/// use mcp_proto::{ErrorCode, Limits, Message};
///
/// let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"caf\u00e9",
///     "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
/// let message = Message::scan(body, &Limits::default());
/// let mut map = http::HeaderMap::new();
/// map.insert(headers::PROTOCOL_VERSION, "2026-07-28".parse()?);
/// map.insert(headers::METHOD, "tools/call".parse()?);
/// map.insert(headers::NAME, headers::encode_value("café"));
/// assert_eq!(headers::check_routing(&map, &message), Ok(()));
///
/// map.insert(headers::NAME, headers::encode_value("tea"));
/// assert_eq!(headers::check_routing(&map, &message).unwrap_err().code, ErrorCode::HEADER_MISMATCH);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// −32020, which goes with status 400: a header that is missing, that stands there twice, that has characters which no header may
/// have, or that says something else than the body.
pub fn check_routing(headers: &HeaderMap, message: &Message) -> Result<(), ErrorObject> {
    let version = message.meta().map_or(Member::Absent, |meta| Member::find(meta.as_str(), meta_key::PROTOCOL_VERSION));
    // A body without a revision is refused for that, by whoever reads its `_meta`; but it is no reason to say nothing in the header.
    let found = single(headers, &PROTOCOL_VERSION).and_then(|value| value.map(value::plain).transpose());
    compare(&PROTOCOL_VERSION, "params._meta", Needed::Always, found.map(|it| it.map(Cow::Borrowed)), version)?;

    let needed = if message.kind() == Kind::Request { Needed::Always } else { Needed::Never };
    let found = single(headers, &METHOD).and_then(|value| value.map(value::plain).transpose());
    let method = Member::Text(Cow::Borrowed(message.method()));
    compare(&METHOD, "method", needed, found.map(|it| it.map(Cow::Borrowed)), method)?;

    let Some(member) = name_member(message.method()) else { return Ok(()) };
    let name = match member {
        "name" => message.name().map_or(Member::Absent, |name| Member::Text(Cow::Borrowed(name))),
        "uri" => message.uri().map_or(Member::Absent, |uri| Member::Text(Cow::Borrowed(uri))),
        _ => Member::find(message.params().as_str(), member),
    };
    let found = single(headers, &NAME).and_then(|value| value.map(decode_value).transpose());
    compare(&NAME, &format!("params.{member}"), Needed::WithTheMember, found, name)
}

/// What the body says in the place that a header mirrors.
enum Member<'a> {
    /// Nothing, or what is no string and so is refused by whoever decodes it.
    Absent,
    Text(Cow<'a, str>),
    /// Two things.
    Twice,
}

impl<'a> Member<'a> {
    /// In the object `text`.
    fn find(text: &'a str, name: &str) -> Self {
        let mut found = Self::Absent;
        let mut seen = false;
        let read = members(text, |key, value| {
            if key == name {
                found = match string(value) {
                    _ if seen => Self::Twice,
                    Some(text) => Self::Text(text),
                    None => Self::Absent,
                };
                seen = true;
            }
        });
        if read.is_ok() { found } else { Self::Absent }
    }
}

/// When a header has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Always,
    /// Where the body has what it mirrors; and only there may it be.
    WithTheMember,
    Never,
}

fn compare(
    header: &HeaderName,
    place: &str,
    needed: Needed,
    found: Result<Option<Cow<'_, str>>, HeaderFault>,
    member: Member<'_>,
) -> Result<(), ErrorObject> {
    let found = found.map_err(|fault| mismatch(format_args!("{header}: {fault}")))?;
    match (found, member) {
        (_, Member::Twice) => Err(mismatch(format_args!("{header}: {place} says it twice"))),
        (None, Member::Text(text)) if needed != Needed::Never => {
            Err(mismatch(format_args!("{header}: the header is missing; {place} is {}", Quoted(&text))))
        }
        (None, Member::Absent) if needed == Needed::Always => {
            Err(mismatch(format_args!("{header}: the header is missing")))
        }
        (Some(_), Member::Absent) if needed == Needed::WithTheMember => {
            Err(mismatch(format_args!("{header}: the header is there, but there is no string {place}")))
        }
        (Some(found), Member::Text(text)) if found != text => {
            let (found, text) = (Quoted(&found), Quoted(&text));
            Err(mismatch(format_args!("{header}: the header says {found}, {place} says {text}")))
        }
        _ => Ok(()),
    }
}

/// What the string `quoted` says; `None` if it is no string, or spells no Unicode text.
pub(super) fn string(quoted: &str) -> Option<Cow<'_, str>> {
    let plain = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if plain.contains('\\') {
        serde_json::from_str::<String>(quoted).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(plain))
    }
}

fn mismatch(message: fmt::Arguments<'_>) -> ErrorObject {
    ErrorObject::new(ErrorCode::HEADER_MISMATCH, format!("{message}"))
}

/// Words of a peer, in quotes and cut.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
        }
    }
}

#[cfg(test)]
mod tests;
