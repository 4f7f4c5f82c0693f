//! The revisions of the protocol and the two eras they fall into.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::Text;

/// A revision of the protocol, named by its date; newer ones are greater.
///
/// What differs is asked for, and not derived from the date:
///
/// ```
/// use mcp_proto::model::{ArgumentFaults, Union};
/// use mcp_proto::{Era, ProtocolVersion};
///
/// let version: ProtocolVersion = "2025-06-18".parse()?;
/// assert_eq!(version.era(), Era::Legacy);
/// assert_eq!(version.has_method("ping"), Some(true));
/// assert_eq!(version.has_method("server/discover"), Some(false));
/// assert_eq!(version.has_variant(Union::ElicitMode, "url"), Some(false));
/// assert_eq!(version.rules().argument_faults, ArgumentFaults::ProtocolError);
/// # Ok::<(), mcp_proto::model::UnknownVersion>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// 2024-11-05, the first.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP, audio, completions as a capability, batches.
    V2025_03_26,
    /// 2025-06-18: structured output, elicitation, resource links, no batches.
    V2025_06_18,
    /// 2025-11-25: icons, URL elicitation, tools in sampling, tasks.
    V2025_11_25,
    /// 2026-07-28: stateless requests, no handshake.
    V2026_07_28,
}

/// How a connection is managed: the one difference between revisions that is not a detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// Up to 2025-11-25: an `initialize` handshake opens a session.
    Legacy,
    /// From 2026-07-28: every request stands alone and says what it needs in `_meta`.
    Modern,
}

impl ProtocolVersion {
    /// All revisions, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// The revisions of the legacy era, oldest first.
    pub const LEGACY: [Self; 4] = [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era it belongs to.
    pub const fn era(self) -> Era {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Legacy,
            Self::V2026_07_28 => Era::Modern,
        }
    }
}

impl Serialize for ProtocolVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProtocolVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer)?.0.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no revision that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVersion;

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a known protocol revision")
    }
}

impl core::error::Error for UnknownVersion {}

impl FromStr for ProtocolVersion {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        Self::ALL.into_iter().find(|version| version.as_str() == text).ok_or(UnknownVersion)
    }
}
