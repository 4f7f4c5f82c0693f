//! Log messages from a server to its client; mirrors the specification's Logging page.

use core::fmt;
use core::str::FromStr;

use alloc::string::String;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::wire::{Text, wire_struct};

/// How severe a log message is, in the order of RFC 5424: `Debug` is the least.
///
/// This enumeration is closed: a level that is not listed has no place in the order, so it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoggingLevel {
    /// Details for debugging.
    Debug,
    /// Events of normal operation.
    Info,
    /// Normal, but worth noting.
    Notice,
    /// Something may go wrong.
    Warning,
    /// An operation has failed.
    Error,
    /// A component has failed.
    Critical,
    /// Someone must act at once.
    Alert,
    /// The system is unusable.
    Emergency,
}

impl LoggingLevel {
    /// All levels, the least severe first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

impl fmt::Display for LoggingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names none of the eight logging levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownLoggingLevel;

impl fmt::Display for UnknownLoggingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown logging level")
    }
}

impl core::error::Error for UnknownLoggingLevel {}

impl FromStr for LoggingLevel {
    type Err = UnknownLoggingLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLoggingLevel> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(UnknownLoggingLevel)
    }
}

impl<'de> Deserialize<'de> for LoggingLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        text.parse().map_err(|unknown| D::Error::custom(format_args!("{unknown} `{:.64}`", &*text)))
    }
}

impl Serialize for LoggingLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

wire_struct! {
    /// The parameters of `logging/setLevel`.
    pub struct SetLevelParams {
        /// The least severe level that the client wants to see.
        required level: LoggingLevel = "level",
    }
}

wire_struct! {
    /// The parameters of `notifications/message`.
    pub struct LogParams {
        /// How severe the message is.
        required level: LoggingLevel = "level",
        /// What is logged: a string, an object, any JSON.
        required data: Value = "data",
        /// Which part of the server logs it.
        optional(with_logger) logger: String = "logger",
    }
}
