//! The trace that a message belongs to: W3C Trace Context and Baggage as they stand in `_meta` (specification: basic, `_meta`).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use super::meta::{meta_key, text};
use crate::jsonrpc::{Message, members};

/// The trace that a message belongs to: the keys `traceparent`, `tracestate` and `baggage` of its `_meta`.
///
/// What it holds is well-formed: each value follows the grammar of W3C Trace Context or W3C Baggage, and is no longer than
/// [`longest`](Self::longest) allows. A `tracestate` counts only beside a `traceparent`.
///
/// ```
/// use mcp_proto::model::TraceContext;
///
/// let mut context = TraceContext::new();
/// context.set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?;
/// assert_eq!(context.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
/// assert!(context.set("traceparent", "anything").is_err());
/// # Ok::<(), mcp_proto::model::TraceFault>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// In the order of `meta_key::OF_THE_TRACE`.
    values: [Option<String>; 3],
}

/// Where the keys of a trace stand in `meta_key::OF_THE_TRACE`.
const PARENT: usize = 0;
const STATE: usize = 1;

impl TraceContext {
    /// An empty one.
    pub const fn new() -> Self {
        Self { values: [const { None }; 3] }
    }

    /// The most bytes that a value of this key may have: 512 for the two keys of a trace, and 8192 for `baggage`. That is as much as
    /// everybody has to pass on who takes part in a trace.
    pub const fn longest(key: TraceKey) -> usize {
        match key {
            TraceKey::Traceparent | TraceKey::Tracestate => 512,
            TraceKey::Baggage => 8192,
        }
    }

    /// What a message brings, and what of it is malformed and left out.
    pub fn of(message: &Message) -> (Self, Vec<TraceFault>) {
        message.meta().map(|meta| Self::read(meta.as_str())).unwrap_or_default()
    }

    /// The same for the JSON text of a `_meta`. One that is no object has nothing in it.
    pub fn read(meta: &str) -> (Self, Vec<TraceFault>) {
        let (mut context, mut faults) = (Self::new(), Vec::new());
        // What makes the text unreadable is for whoever scanned the message.
        let _ = members(meta, |key, value| {
            let Ok(key) = TraceKey::named(key) else { return };
            if value == "null" {
                return;
            }
            let read = if context.values[key.place()].is_some() {
                Err(TraceFault::Twice(key))
            } else if value.len() > 6 * Self::longest(key) + 2 {
                // Too long even if each byte is an escape of six: not worth decoding.
                Err(TraceFault::TooLong(key))
            } else {
                text(value)
                    .map_err(|_| TraceFault::Malformed(key))
                    .and_then(|value| context.put(key, value.into_owned()))
            };
            faults.extend(read.err());
        });
        (context, faults)
    }

    /// Writes it into the keys of a `_meta`. What stands there already stays, and a trace is never mixed of two.
    pub fn write(&self, meta: &mut Option<Map<String, Value>>) {
        if self.is_empty() {
            return;
        }
        let meta = meta.get_or_insert_default();
        let has_trace = meta.contains_key(meta_key::TRACEPARENT) || meta.contains_key(meta_key::TRACESTATE);
        for (key, value) in self.iter() {
            let stays = if key == TraceKey::Baggage { meta.contains_key(key.as_str()) } else { has_trace };
            if !stays {
                meta.insert(key.as_str().to_owned(), value.into());
            }
        }
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    ///
    /// When there is no such key, or the value is malformed or too long; then nothing has changed.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> Result<(), TraceFault> {
        self.put(TraceKey::named(key)?, value.into())
    }

    fn put(&mut self, key: TraceKey, value: String) -> Result<(), TraceFault> {
        if value.len() > Self::longest(key) {
            return Err(TraceFault::TooLong(key));
        }
        let is_well_formed = match key {
            TraceKey::Traceparent => is_traceparent(&value),
            TraceKey::Tracestate => is_tracestate(&value),
            TraceKey::Baggage => is_baggage(&value),
        };
        if !is_well_formed {
            return Err(TraceFault::Malformed(key));
        }
        self.values[key.place()] = Some(value);
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let key = TraceKey::named(key).ok()?;
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// What there is.
    pub fn iter(&self) -> impl Iterator<Item = (TraceKey, &str)> {
        let values = TraceKey::ALL.into_iter().zip(&self.values);
        let counts = |key| key != TraceKey::Tracestate || self.values[PARENT].is_some();
        values.filter_map(|(key, value)| Some((key, value.as_deref()?))).filter(move |(key, _)| counts(*key))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Which trace it is: 32 hexadecimal digits.
    pub fn trace_id(&self) -> Option<&str> {
        self.part(3..35)
    }

    /// Which span of it sent the message: 16 hexadecimal digits.
    pub fn parent_id(&self) -> Option<&str> {
        self.part(36..52)
    }

    /// Whether the sender records the trace; `None` without a trace.
    pub fn is_sampled(&self) -> Option<bool> {
        // The lowest bit of the flags.
        self.part(54..55).map(|digit| matches!(digit, "1" | "3" | "5" | "7" | "9" | "b" | "d" | "f"))
    }

    fn part(&self, at: core::ops::Range<usize>) -> Option<&str> {
        self.values[PARENT].as_deref()?.get(at)
    }
}

/// Keys with their values; what is malformed, and any other key, is left out.
impl<K: AsRef<str>, V: Into<String>> FromIterator<(K, V)> for TraceContext {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut context = Self::new();
        for (key, value) in pairs {
            let _ = context.set(key.as_ref(), value);
        }
        context
    }
}

/// A key of a [`TraceContext`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceKey {
    /// `traceparent`: which trace, and which span of it.
    Traceparent,
    /// `tracestate`: what vendors add to that.
    Tracestate,
    /// `baggage`: what an application sends along with a trace.
    Baggage,
}

impl TraceKey {
    const ALL: [Self; 3] = [Self::Traceparent, Self::Tracestate, Self::Baggage];

    /// How it stands in `_meta`.
    pub const fn as_str(self) -> &'static str {
        meta_key::OF_THE_TRACE[self.place()]
    }

    const fn place(self) -> usize {
        match self {
            Self::Traceparent => PARENT,
            Self::Tracestate => STATE,
            Self::Baggage => 2,
        }
    }

    fn named(name: &str) -> Result<Self, TraceFault> {
        Self::ALL.into_iter().find(|key| key.as_str() == name).ok_or(TraceFault::UnknownKey)
    }
}

/// What is wrong with a value of a trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceFault {
    /// A trace context has no such key.
    UnknownKey,
    /// The value does not follow the grammar of its key, or is no string.
    Malformed(TraceKey),
    /// The value is longer than [`TraceContext::longest`] allows.
    TooLong(TraceKey),
    /// The key stands twice; the first counts.
    Twice(TraceKey),
}

impl fmt::Display for TraceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => write!(f, "a trace context has the keys {} only", meta_key::OF_THE_TRACE.join(", ")),
            Self::Malformed(key) => write!(f, "{} is malformed", key.as_str()),
            Self::TooLong(key) => {
                write!(f, "{} is longer than {} bytes", key.as_str(), TraceContext::longest(*key))
            }
            Self::Twice(key) => write!(f, "{} stands twice", key.as_str()),
        }
    }
}

impl core::error::Error for TraceFault {}

/// W3C Trace Context, `traceparent`: version, trace, span and flags. A version to come may add to what version 00 has.
fn is_traceparent(value: &str) -> bool {
    let bytes = value.as_bytes();
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|byte| *byte != b'0');
    let Some((known, further)) = bytes.split_at_checked(55) else { return false };
    let dashes = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
    let version = &known[..2];
    let ends = further.is_empty() || version != b"00" && further[0] == b'-';
    dashes
        && is_hex(version)
        && version != b"ff"
        && is_id(&known[3..35])
        && is_id(&known[36..52])
        && is_hex(&known[53..])
        && ends
}

/// W3C Trace Context, `tracestate`: at most 32 members `key=value`, each key once.
fn is_tracestate(value: &str) -> bool {
    let is_key = |key: &str| {
        key.len() <= 256
            && key.starts_with(|first: char| matches!(first, 'a'..='z' | '0'..='9'))
            && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'))
    };
    let is_value = |value: &str| {
        let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'='));
        (1..=256).contains(&value.len()) && printable
    };
    let mut keys = Vec::new();
    for member in value.split(',').map(trim).filter(|member| !member.is_empty()) {
        match member.split_once('=') {
            Some((key, value)) if is_key(key) && is_value(value) && !keys.contains(&key) => keys.push(key),
            _ => return false,
        }
    }
    (1..=32).contains(&keys.len())
}

/// W3C Baggage: members `key=value`, with properties behind semicolons.
fn is_baggage(value: &str) -> bool {
    let is_token = |text: &str| {
        let special = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || special(byte))
    };
    let is_value = |text: &str| text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"\",;\\".contains(&byte));
    value.split(',').all(|member| {
        let mut parts = member.split(';').map(|part| match part.split_once('=') {
            Some((key, value)) => (trim(key), Some(trim(value))),
            None => (trim(part), None),
        });
        let is_member = parts.next().is_some_and(|(key, value)| is_token(key) && value.is_some_and(is_value));
        is_member && parts.all(|(key, value)| is_token(key) && value.is_none_or(is_value))
    })
}

/// Without the space that both grammars allow.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
