//! A string inside a JSON text: where it stands, and what it says once its escapes are undone.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::ops::Range;

/// Where something stands in a message's text; empty when it is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(range: Range<usize>) -> Self {
        // Frames are limited to less than 4 GiB (`Limits::frame`), so positions fit.
        Self {
            start: u32::try_from(range.start).unwrap_or(u32::MAX),
            end: u32::try_from(range.end).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn of(self, text: &str) -> Option<&str> {
        if self.start == self.end { None } else { text.get(self.start as usize..self.end as usize) }
    }
}

/// A string member: read in place when it has no escapes, kept decoded when it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Text {
    #[default]
    Absent,
    /// Between the quotes; possibly empty.
    Plain(Range<u32>),
    Decoded(Box<str>),
}

impl Text {
    /// From the place of a string with its quotes; `None` if its escapes do not spell Unicode text.
    pub(super) fn new(text: &str, quoted: Span) -> Option<Self> {
        let inner = quoted.start + 1..quoted.end.saturating_sub(1);
        let plain = text.get(inner.start as usize..inner.end as usize)?;
        if plain.contains('\\') {
            let decoded: String = serde_json::from_str(quoted.of(text)?).ok()?;
            return Some(Self::Decoded(decoded.into()));
        }
        Some(Self::Plain(inner))
    }

    /// What stands there, whatever it is.
    pub(super) fn as_it_stands(span: Span) -> Self {
        Self::Plain(span.start..span.end)
    }

    pub(super) fn of<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        match self {
            Self::Absent => None,
            Self::Plain(range) => text.get(range.start as usize..range.end as usize),
            Self::Decoded(decoded) => Some(decoded),
        }
    }
}

/// What a member's quoted key says; a key that spells no Unicode text stays as it stands, and so matches nothing.
pub(super) fn key(quoted: &str) -> Cow<'_, str> {
    if quoted.contains('\\') {
        serde_json::from_str::<String>(quoted).map_or(Cow::Borrowed(quoted), Cow::Owned)
    } else {
        Cow::Borrowed(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or(quoted))
    }
}
