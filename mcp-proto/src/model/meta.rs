//! The member `_meta`: its reserved keys, and what its keys may look like; mirrors `_meta` of the specification's overview.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;

use crate::jsonrpc::{Fault, ProgressToken, RequestId, members};

use super::lifecycle::{ClientCapabilities, Implementation};
use super::logging::LoggingLevel;
use super::tasks::RelatedTask;
use super::wire::Text;

/// The keys of `_meta` to which the specification has given a meaning.
pub mod meta_key {
    /// On a request: the token that its progress notifications carry.
    pub const PROGRESS_TOKEN: &str = "progressToken";
    /// On a request of the modern era: the revision it is written in.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// On a request of the modern era: what the client supports.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// On a request of the modern era: who the client is.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// On a request of the modern era: from which severity on the client wants log messages about it.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// On a result of the modern era: who the server is.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// On a notification of the modern era, and on the result of `subscriptions/listen`: the id of that request.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    /// On any message of 2025-11-25: the task it belongs to.
    pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
    /// On the result of 2025-11-25 that creates a task: what to tell the language model in the meantime.
    pub const MODEL_IMMEDIATE_RESPONSE: &str = "io.modelcontextprotocol/model-immediate-response";
    /// The trace that the message belongs to (W3C Trace Context).
    pub const TRACEPARENT: &str = "traceparent";
    /// What vendors add to the trace (W3C Trace Context).
    pub const TRACESTATE: &str = "tracestate";
    /// What travels with the trace (W3C Baggage).
    pub const BAGGAGE: &str = "baggage";

    /// Those of a trace. They say nothing about the request, so that a malformed one is no reason to refuse it.
    pub const OF_THE_TRACE: [&str; 3] = [TRACEPARENT, TRACESTATE, BAGGAGE];

    /// Those that belong to one connection and its messages, and are not passed on to another.
    pub const OF_THE_CONNECTION: [&str; 7] =
        [PROGRESS_TOKEN, PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, SERVER_INFO, SUBSCRIPTION_ID];

    /// All of them.
    pub const ALL: [&str; 12] = [
        PROGRESS_TOKEN,
        PROTOCOL_VERSION,
        CLIENT_CAPABILITIES,
        CLIENT_INFO,
        LOG_LEVEL,
        SERVER_INFO,
        SUBSCRIPTION_ID,
        RELATED_TASK,
        MODEL_IMMEDIATE_RESPONSE,
        TRACEPARENT,
        TRACESTATE,
        BAGGAGE,
    ];
}

/// What the reserved keys of a `_meta` say, whatever message it stands on.
///
/// Other keys are passed over. A reserved key that is malformed is noted in `malformed` and harms no other: which of them a
/// message must have, and which fault matters, is for whoever judges the message. `null` reads as absence.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the key of that name, explained in `meta_key`")]
pub struct RequestMetaObject<'a> {
    pub progress_token: Option<ProgressToken>,
    pub protocol_version: Option<Cow<'a, str>>,
    pub client_capabilities: Option<ClientCapabilities>,
    pub client_info: Option<Implementation>,
    pub log_level: Option<LoggingLevel>,
    pub server_info: Option<Implementation>,
    pub subscription_id: Option<RequestId>,
    pub related_task: Option<RelatedTask>,
    pub model_immediate_response: Option<Cow<'a, str>>,
    pub traceparent: Option<Cow<'a, str>>,
    pub tracestate: Option<Cow<'a, str>>,
    pub baggage: Option<Cow<'a, str>>,
    /// The reserved keys that could not be read, in the order in which they stand.
    pub malformed: Vec<MalformedMeta>,
}

impl<'a> RequestMetaObject<'a> {
    /// Reads a `_meta` from its JSON text, in one pass and borrowing from it.
    ///
    /// # Errors
    ///
    /// When the text is no JSON object. That of a [`Message`](crate::Message) always is one.
    pub fn read(text: &'a str) -> Result<Self, Fault> {
        let mut meta = Self::default();
        let mut seen = 0u16;
        members(text, |key, value| {
            let Some(place) = meta_key::ALL.iter().position(|reserved| *reserved == key) else { return };
            let key = meta_key::ALL[place];
            let twice = seen & 1 << place != 0;
            seen |= 1 << place;
            let read = if twice {
                Err("it stands twice".into())
            } else if value == "null" {
                Ok(())
            } else {
                meta.read_member(key, value)
            };
            if let Err(detail) = read {
                meta.malformed.push(MalformedMeta { key, detail });
            }
        })?;
        Ok(meta)
    }

    fn read_member(&mut self, key: &'static str, value: &'a str) -> Result<(), String> {
        match key {
            meta_key::PROGRESS_TOKEN => self.progress_token = Some(ProgressToken(id(value)?)),
            meta_key::PROTOCOL_VERSION => self.protocol_version = Some(text(value)?),
            meta_key::CLIENT_CAPABILITIES => self.client_capabilities = Some(decode(value)?),
            meta_key::CLIENT_INFO => self.client_info = Some(decode(value)?),
            meta_key::LOG_LEVEL => self.log_level = Some(decode(value)?),
            meta_key::SERVER_INFO => self.server_info = Some(decode(value)?),
            meta_key::SUBSCRIPTION_ID => self.subscription_id = Some(id(value)?),
            meta_key::RELATED_TASK => self.related_task = Some(decode(value)?),
            meta_key::MODEL_IMMEDIATE_RESPONSE => self.model_immediate_response = Some(text(value)?),
            meta_key::TRACEPARENT => self.traceparent = Some(text(value)?),
            meta_key::TRACESTATE => self.tracestate = Some(text(value)?),
            meta_key::BAGGAGE => self.baggage = Some(text(value)?),
            _ => {}
        }
        Ok(())
    }

    /// What is wrong with this key, if anything is.
    #[must_use]
    pub fn fault(&self, key: &str) -> Option<&MalformedMeta> {
        self.malformed.iter().find(|malformed| malformed.key == key)
    }
}

fn decode<'a, T: Deserialize<'a>>(value: &'a str) -> Result<T, String> {
    serde_json::from_str(value).map_err(|error| {
        // The position is that within the value, which nobody sees.
        let error = error.to_string();
        let told = error.rsplit_once(" at line ").map_or(&*error, |(told, _)| told);
        told.chars().take(MalformedMeta::LONGEST).collect()
    })
}

pub(super) fn text(value: &str) -> Result<Cow<'_, str>, String> {
    decode::<Text<'_>>(value).map(|text| text.0)
}

/// Ids are kept in tables and echoed, so their size is bounded.
fn id(value: &str) -> Result<RequestId, String> {
    if value.len() > RequestId::LONGEST { Err("it is too long".into()) } else { decode(value) }
}

/// A reserved key of `_meta` that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MalformedMeta {
    /// The key.
    pub key: &'static str,
    /// What is wrong with its value.
    pub detail: String,
}

impl MalformedMeta {
    /// The most that is told, in characters: it may quote what a peer sent.
    const LONGEST: usize = 256;
}

impl fmt::Display for MalformedMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "_meta[{:?}]: {}", self.key, self.detail)
    }
}

impl core::error::Error for MalformedMeta {}

/// Whether a key may be used in `_meta` by whoever is not the specification.
///
/// A key is a name of letters, digits, `-`, `_` and `.` that begins and ends with a letter or digit, or is empty. In front of
/// it may stand a prefix and a slash: labels with dots between them, each beginning with a letter, ending with a letter or
/// digit, and with `-` allowed inside. A prefix whose second label is `mcp` or `modelcontextprotocol` is reserved, and so is
/// `progressToken`. The keys of a trace are whoever's who has one.
///
/// # Errors
///
/// When the key is malformed, or reserved.
pub fn check_meta_key(key: &str) -> Result<(), MetaKeyError> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !is_word(name, |byte| byte.is_ascii_alphanumeric(), b"-_.") && !name.is_empty() {
        return Err(MetaKeyError::Name);
    }
    let Some(prefix) = prefix else {
        return if name == meta_key::PROGRESS_TOKEN { Err(MetaKeyError::Reserved) } else { Ok(()) };
    };
    if !prefix.split('.').all(|label| is_word(label, |byte| byte.is_ascii_alphabetic(), b"-")) {
        return Err(MetaKeyError::Prefix);
    }
    match prefix.split('.').nth(1) {
        Some("mcp" | "modelcontextprotocol") => Err(MetaKeyError::Reserved),
        _ => Ok(()),
    }
}

fn is_word(word: &str, first: fn(u8) -> bool, inside: &[u8]) -> bool {
    let bytes = word.as_bytes();
    bytes.first().is_some_and(|byte| first(*byte))
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || inside.contains(byte))
}

/// Why a key may not be used in `_meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetaKeyError {
    /// What stands before the slash is no prefix.
    Prefix,
    /// The name is none.
    Name,
    /// The key belongs to the specification.
    Reserved,
}

impl fmt::Display for MetaKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "the prefix must be labels of letters, digits and hyphens, with dots between them",
            Self::Name => "the name must be letters and digits, with hyphens, underscores and dots inside",
            Self::Reserved => "the key is reserved to the specification",
        })
    }
}

impl core::error::Error for MetaKeyError {}
