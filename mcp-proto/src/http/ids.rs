//! What clients are given to show again: the id of a session, the id of an event.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use http::HeaderValue;

/// The id of a session, as it stands in the header `Mcp-Session-Id`: visible ASCII, at most [`LONGEST`](Self::LONGEST) bytes.
///
/// Specification: basic/transports, Session Management (2025-03-26 to 2025-11-25).
///
/// ```
/// use mcp_proto::http::SessionId;
///
/// let id = SessionId::from_entropy([0xAB; 16]);
/// assert_eq!(SessionId::parse(id.as_str()), Some(id));
/// assert_eq!(SessionId::parse("with a space"), None);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// The longest id that is taken from a client, in bytes. Ours have 32.
    pub const LONGEST: usize = 128;

    /// A new id. `entropy` must be random, since nobody may guess it: 128 bits.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 16]) -> Self {
        Self(alloc::format!("{:032x}", u128::from_be_bytes(entropy)).into())
    }

    /// What a client shows; `None` if that cannot be an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_visible(text, Self::LONGEST).then(|| Self(text.into()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text, for the header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        // Visible ASCII always is a value.
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// Whoever knows an id has the session, so logs show only its start.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.len().min(4);
        write!(f, "SessionId({}..)", &self.0[..shown])
    }
}

/// The id of an event, as it stands in the header `Last-Event-ID`: visible ASCII, at most [`LONGEST`](Self::LONGEST) bytes.
/// What it says is known to the session that gave it.
///
/// Specification: basic/transports, Resumability and Redelivery (2025-03-26 to 2025-11-25).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Box<str>);

impl EventId {
    /// The longest id that is taken from a client, in bytes.
    pub const LONGEST: usize = 128;

    /// What a client shows; `None` if that cannot be an id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_visible(text, Self::LONGEST).then(|| Self(text.into()))
    }

    /// The id of an event of a session's stream.
    pub(super) fn of(stream: u64, number: u64) -> Self {
        Self(alloc::format!("{stream}-{number}").into_boxed_str())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_visible(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, 0x21..=0x7E))
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    /// An id MUST be visible ASCII (specification: basic/transports, Session Management), also one that a client made up.
    #[test]
    fn ids_are_visible_ascii_and_bounded() {
        let longest = "x".repeat(SessionId::LONGEST);
        for good in ["!", "~", "a-b", &longest] {
            assert_eq!(SessionId::parse(good).unwrap().header(), good);
            assert_eq!(EventId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "\u{7F}", "é", "a\n", "a\0", &format!("{longest}x")] {
            assert_eq!((SessionId::parse(bad), EventId::parse(bad)), (None, None), "{bad:?}");
        }
        let ours = SessionId::from_entropy([0x0F; 16]);
        assert_eq!(ours.as_str(), "0f".repeat(16));
        assert!(!format!("{ours:?}").contains("0f0f0f"), "it is as good as a password: {ours:?}");
    }
}
