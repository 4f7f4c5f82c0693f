//! What a header's value may be made of, and how text travels that is made of something else.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// Why a header's value says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderFault {
    /// The header stands there more than once.
    Repeated,
    /// A byte that is neither visible ASCII nor a space or tab inside.
    Character,
    /// Between the marks of base64 is something else.
    Base64,
    /// What was encoded is no UTF-8.
    Utf8,
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeated => "the header stands there more than once",
            Self::Character => "the value has characters that are not printable ASCII; send it as =?base64?...?=",
            Self::Base64 => "what stands in =?base64?...?= is no base64 with padding",
            Self::Utf8 => "what was encoded as base64 is no UTF-8",
        })
    }
}

impl core::error::Error for HeaderFault {}

/// Text as the value of [`NAME`](super::NAME) or of a mirrored argument: as it is if a header can carry it, else as base64 between
/// `=?base64?` and `?=`.
///
/// Encoded is what has characters outside of printable ASCII, a space at one of its ends, or the look of something encoded.
///
/// Specification: basic/transports/streamable-http, Value Encoding.
///
/// ```
/// use mcp_proto::http::headers::encode_value;
///
/// assert_eq!(encode_value("us west"), "us west");
/// assert_eq!(encode_value("é"), "=?base64?w6k=?=");
/// assert_eq!(encode_value(" "), "=?base64?IA==?=");
/// ```
pub fn encode_value(text: &str) -> HeaderValue {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    // Readers that look at both ends on their own take even `=?base64?=` for something encoded.
    let looks_encoded = text.starts_with(PREFIX) && text.ends_with(SUFFIX);
    let is_bare = text.trim_matches(' ') == text;
    if let (true, Ok(value)) = (printable && is_bare && !looks_encoded, HeaderValue::from_str(text)) {
        return value;
    }
    let mut encoded = String::with_capacity(PREFIX.len() + text.len().div_ceil(3) * 4 + SUFFIX.len());
    encoded.push_str(PREFIX);
    STANDARD.encode_string(text, &mut encoded);
    encoded.push_str(SUFFIX);
    // Base64 is made of letters, digits, `+`, `/` and `=`, all of which a header may have: this never fails.
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The text of a value made by [`encode_value`], by whoever.
///
/// Spaces and tabs around it do not belong to it. What comes out of base64 may have any characters, line ends among them.
///
/// ```
/// use mcp_proto::http::headers::{HeaderFault, decode_value};
///
/// assert_eq!(decode_value(&"=?base64?w6k=?=".parse()?)?, "é");
/// assert_eq!(decode_value(&"=?BASE64?w6k=?=".parse()?)?, "=?BASE64?w6k=?=");
/// assert_eq!(decode_value(&"=?base64?w6k?=".parse()?), Err(HeaderFault::Base64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Characters that no value may have, what is no base64 between the marks of base64, and what is no UTF-8 within that.
pub fn decode_value(value: &HeaderValue) -> Result<Cow<'_, str>, HeaderFault> {
    let plain = plain(value)?;
    let Some(encoded) = plain.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return Ok(Cow::Borrowed(plain));
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| HeaderFault::Base64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| HeaderFault::Utf8)
}

/// The value without the space around it, as it stands.
///
/// What is never encoded must not be decoded either: whoever reads headers only would see something else than we do.
pub(super) fn plain(value: &HeaderValue) -> Result<&str, HeaderFault> {
    let text = value.to_str().map_err(|_| HeaderFault::Character)?;
    Ok(text.trim_matches([' ', '\t']))
}
