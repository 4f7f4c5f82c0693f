//! The id of a request, and the token that ties progress to it.

use alloc::string::{String, ToString};
use core::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// The id of a request as it stands on the wire: an integer or a string. `1` and `"1"` are different ids.
///
/// Specification: basic, Requests. `null`, fractions, integers beyond 64 bits and strings over [`LONGEST`](Self::LONGEST)
/// are not ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestId {
    /// An integer.
    Number(i64),
    /// A string.
    String(String),
}

impl RequestId {
    /// The longest id, in bytes of JSON: ids are kept in tables, and echoed. No known peer comes near.
    pub const LONGEST: usize = 1024;

    /// The integer that it is, or that a peer means when it answers a numeric id with a string, as some do.
    pub fn as_number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            // Only the spelling that we wrote: "+1" and "01" are somebody else's.
            Self::String(text) => text.parse().ok().filter(|number: &i64| number.to_string() == *text),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(text) => fmt::Debug::fmt(text, f),
        }
    }
}

impl From<i64> for RequestId {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::String(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = RequestId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an integer of at most 64 bits")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<RequestId, E> {
        Ok(RequestId::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<RequestId, E> {
        let signed = i64::try_from(number);
        signed.map(RequestId::Number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RequestId, E> {
        Ok(RequestId::String(text.into()))
    }

    /// With its feature `arbitrary_precision` on, serde_json hands over every number as a map.
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RequestId, A::Error> {
        let number = serde_json::Number::deserialize(de::value::MapAccessDeserializer::new(map))?;
        number.as_i64().map(RequestId::Number).ok_or_else(|| de::Error::custom("not an integer of at most 64 bits"))
    }
}

/// What ties `notifications/progress` to the request that asked for it: an integer or a string chosen by the requester.
///
/// Specification: basic/utilities/progress.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgressToken(pub RequestId);

impl Serialize for ProgressToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProgressToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RequestId::deserialize(deserializer).map(Self)
    }
}
