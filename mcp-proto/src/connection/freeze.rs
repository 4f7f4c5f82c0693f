//! Moving a session to another node: a connection between two of its steps as bytes, and back.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::calls::Calls;
use super::error::CloseReason;
use super::event::Channel;
use super::lifecycle::Lifecycle;
use super::requests::Requests;
use super::stats::Stats;
use super::subscription::Changes;
use super::timer::Timers;
use super::{ClientConfig, Connection, Limits, ServerConfig, Side};
use crate::Timestamp;

/// What the frozen bytes look like. A change of the state's shape is a new number, and no other is thawed.
const FORMAT: u32 = 6;

/// Freezing.
impl Connection {
    /// The state of the connection as bytes, for another node to go on with: what is open in both directions, who the peer
    /// is, deadlines, subscriptions, counters. The configuration is not in it; the other node brings its own.
    ///
    /// Only at a drained point: everything to be sent was taken, every event was taken, and no part of a message waits for
    /// its rest. Attachments are not in it, since they mean something to one driver only. The handles stay the same.
    ///
    /// The bytes hold what the peers have said to each other and are trusted when they are thawed: keep them as the session
    /// itself.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use mcp_proto::{ClientConfig, Connection, Timestamp, model::Implementation};
    ///
    /// let config = Arc::new(ClientConfig::new(Implementation::new("client", "1")));
    /// let mut client = Connection::client(config.clone(), Timestamp::EPOCH);
    /// client.drain_lines(&mut Vec::new(), usize::MAX);
    /// let frozen = client.freeze()?;
    /// let moved = Connection::thaw_client(config, &frozen, Timestamp::EPOCH)?;
    /// assert_eq!(moved.poll_timeout(), client.poll_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When this is no drained point, or the connection has ended.
    pub fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        if self.closed {
            return Err(FreezeError::Ended);
        }
        if !self.output.is_empty() || !self.events.is_empty() {
            return Err(FreezeError::NotDrained);
        }
        let at_start = self.lines.at_start_if_between_lines().ok_or(FreezeError::InsideMessage)?;
        let mut requests = self.requests.clone();
        requests.strip();
        let frozen = Frozen {
            format: FORMAT,
            role: Role::of(&self.side),
            now: self.now,
            lifecycle: self.lifecycle.clone(),
            calls: self.calls.clone(),
            requests,
            changes: self.changes.clone(),
            timers: self.timers.clone(),
            channel: self.channel,
            wants_writable: self.wants_writable,
            wants_room: self.wants_room,
            is_held: self.is_held,
            ending: self.ending.clone(),
            input_ended: self.input_ended,
            at_start,
            strikes_until: self.strikes_until,
            stats: self.stats,
        };
        serde_json::to_vec(&frozen).map_err(|error| FreezeError::NotEncoded(error.to_string()))
    }

    /// A frozen client connection, to go on at `now`, which must not be before the moment of its freezing: time stands still
    /// until then. Call [`handle_timeout`](Self::handle_timeout) next.
    ///
    /// # Errors
    ///
    /// When the bytes are none that this version of this crate has frozen, or a server's.
    pub fn thaw_client(config: Arc<ClientConfig>, frozen: &[u8], now: Timestamp) -> Result<Self, ThawError> {
        let limits = config.limits.clone();
        Self::thaw(Side::Client(config), limits, frozen, now)
    }

    /// A frozen server connection, likewise.
    ///
    /// # Errors
    ///
    /// When the bytes are none that this version of this crate has frozen, or a client's.
    pub fn thaw_server(config: Arc<ServerConfig>, frozen: &[u8], now: Timestamp) -> Result<Self, ThawError> {
        let limits = config.limits.clone();
        Self::thaw(Side::Server(config), limits, frozen, now)
    }

    fn thaw(side: Side, limits: Limits, frozen: &[u8], now: Timestamp) -> Result<Self, ThawError> {
        let Head { format } = read(frozen)?;
        if format != FORMAT {
            return Err(ThawError::OtherFormat(format));
        }
        let frozen: Frozen = read(frozen)?;
        if frozen.role != Role::of(&side) {
            return Err(ThawError::OtherRole);
        }
        let mut connection = Self::new(side, limits, now.max(frozen.now));
        connection.lifecycle = frozen.lifecycle;
        connection.calls = frozen.calls;
        connection.calls.restore(&connection.limits);
        connection.requests = frozen.requests;
        connection.requests.restore(&connection.limits, connection.lifecycle.peer.as_ref());
        connection.changes = frozen.changes;
        (connection.timers, connection.channel) = (frozen.timers, frozen.channel);
        (connection.wants_writable, connection.wants_room) = (frozen.wants_writable, frozen.wants_room);
        connection.is_held = frozen.is_held;
        connection.ending = frozen.ending;
        connection.input_ended = frozen.input_ended;
        connection.lines.begin_anew(frozen.at_start);
        connection.strikes_until = frozen.strikes_until;
        connection.stats = frozen.stats;
        Ok(connection)
    }
}

fn read<'a, T: Deserialize<'a>>(frozen: &'a [u8]) -> Result<T, ThawError> {
    serde_json::from_slice(frozen).map_err(|error| ThawError::Unreadable(error.to_string()))
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct Frozen {
    format: u32,
    role: Role,
    now: Timestamp,
    lifecycle: Lifecycle,
    calls: Calls,
    requests: Requests,
    changes: Changes,
    timers: Timers,
    channel: Channel,
    wants_writable: bool,
    wants_room: bool,
    is_held: bool,
    ending: Option<CloseReason>,
    input_ended: bool,
    at_start: bool,
    strikes_until: Timestamp,
    stats: Stats,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Role {
    Client,
    Server,
}

impl Role {
    fn of(side: &Side) -> Self {
        match side {
            Side::Client(_) => Self::Client,
            Side::Server(_) => Self::Server,
        }
    }
}

/// Why a connection could not be frozen now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FreezeError {
    /// There is output or an event that nobody has taken yet.
    NotDrained,
    /// A part of a message has been read.
    InsideMessage,
    /// The connection has ended: there is nothing to go on with.
    Ended,
    /// A value of the caller's does not encode.
    NotEncoded(String),
}

impl fmt::Display for FreezeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDrained => f.write_str("output and events have to be taken first"),
            Self::InsideMessage => f.write_str("a part of a message has been read; feed the rest first"),
            Self::Ended => f.write_str("the connection has ended"),
            Self::NotEncoded(why) => write!(f, "the state cannot be encoded: {why}"),
        }
    }
}

impl core::error::Error for FreezeError {}

/// Why bytes could not be thawed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThawError {
    /// They were frozen by another version of this crate, in this format.
    OtherFormat(u32),
    /// They are of a connection of the other role.
    OtherRole,
    /// They are no frozen connection.
    Unreadable(String),
}

impl fmt::Display for ThawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherFormat(format) => write!(f, "the state is of format {format}, this version reads {FORMAT}"),
            Self::OtherRole => f.write_str("the state is of a connection of the other role"),
            Self::Unreadable(why) => write!(f, "this is no frozen connection: {why}"),
        }
    }
}

impl core::error::Error for ThawError {}

/// A peer, which several parts of a connection share.
pub(super) mod peer {
    use alloc::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::connection::Peer;

    pub(in crate::connection) fn serialize<S: Serializer>(
        peer: &Option<Arc<Peer>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        peer.as_deref().serialize(serializer)
    }

    pub(in crate::connection) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<Peer>>, D::Error> {
        Ok(Option::<Peer>::deserialize(deserializer)?.map(Arc::new))
    }
}

/// A peer with its revision.
pub(super) mod kept {
    use alloc::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::connection::Peer;
    use crate::model::ProtocolVersion;

    pub(in crate::connection) fn serialize<S: Serializer>(
        kept: &Option<(ProtocolVersion, Arc<Peer>)>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        kept.as_ref().map(|(version, peer)| (version, &**peer)).serialize(serializer)
    }

    pub(in crate::connection) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<(ProtocolVersion, Arc<Peer>)>, D::Error> {
        let kept = Option::<(ProtocolVersion, Peer)>::deserialize(deserializer)?;
        Ok(kept.map(|(version, peer)| (version, Arc::new(peer))))
    }
}

/// A value that may nest as deep as its sender liked: as a text of its own, since the state around it would make it deeper
/// than JSON is read.
pub(super) mod text {
    use alloc::string::String;

    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::connection) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde_json::to_string(value).map_err(S::Error::custom)?.serialize(serializer)
    }

    pub(in crate::connection) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A number that must come back to the bit, which the text of a fraction does not promise.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::connection) fn serialize<S: Serializer>(
        number: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        number.map(f64::to_bits).serialize(serializer)
    }

    pub(in crate::connection) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(f64::from_bits))
    }
}

/// A request as its text, which is scanned again.
pub(super) mod message {
    use alloc::string::String;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::connection::Limits;
    use crate::jsonrpc::{Kind, Message};

    pub(in crate::connection) fn serialize<S: Serializer>(message: &Message, serializer: S) -> Result<S::Ok, S::Error> {
        message.text().serialize(serializer)
    }

    pub(in crate::connection) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Message, D::Error> {
        let text = String::deserialize(deserializer)?;
        let limits = Limits { frame: usize::MAX, ..Limits::default() };
        let message = Message::scan(text.as_bytes(), &limits);
        if message.kind() == Kind::Request { Ok(message) } else { Err(D::Error::custom("a request was expected")) }
    }
}

/// A message of ours, as far as it is encoded.
pub(super) mod body {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::jsonrpc::Body;

    pub(in crate::connection) fn serialize<S: Serializer>(body: &Body, serializer: S) -> Result<S::Ok, S::Error> {
        body.parts().serialize(serializer)
    }

    pub(in crate::connection) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
        Deserialize::deserialize(deserializer).map(Body::from_parts)
    }
}
