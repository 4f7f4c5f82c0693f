//! What can be seen of a world of exchanges, for its checks and for its hash.

use std::fmt;

use mcp_proto::{Origin, Timestamp};

use super::host::{Holds, Number};
use super::path::Part;
use super::work::Plan;
use crate::Hash;

/// A stream: of which connection, and which of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) served: usize,
    pub(crate) origin: Origin,
}

/// One thing that was seen.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "what no check reads is shown in the transcript all the same")]
pub(crate) enum Seen {
    /// A client asks for a tool to be called.
    Asked { client: usize, tag: String, number: Number, plan: Plan, modern: bool },
    /// The request has reached the server.
    Arrived { number: Number },
    /// The response to a request reads this stream; anew, if its client named no event after which it wants to go on.
    Opened { number: Number, place: Place, anew: bool },
    /// A handler has begun.
    Began { tag: String },
    /// A handler has answered.
    Answered { tag: String },
    /// A handler was told that nobody waits for it.
    Cancelled { tag: String },
    /// The client answered a handler's question.
    Supplied { tag: String, answer: String },
    /// A connection wants this to leave by that stream.
    Said { place: Place, frame: Vec<u8> },
    /// A session was ended by its client or its server.
    SessionOver { served: usize },
    /// A response was told this.
    Told { number: Number, part: Part },
    /// The server is told that the client of a response is gone ...
    Gone { number: Number },
    /// ... and has done what it does then.
    HeardOfIt { number: Number },
    /// A proxy has cut a response, since nothing came.
    Impatient { number: Number },
    /// A client has read a message, or another event.
    Heard { number: Number, status: u16, name: Option<String>, data: Vec<u8> },
    /// A client wants a call to be cancelled ...
    Cancels { tag: String },
    /// ... or waits for it no longer, and says nothing.
    GaveUp { tag: String },
    /// A call has come to its end, for its client.
    Finished { tag: String, outcome: Outcome },
    /// Somebody has shown the session of another; what he was told.
    Stolen { status: u16 },
    /// All calls must have ended; these have not.
    Settled { waiting: Vec<String> },
    /// A step is over.
    Stepped { holds: Holds },
    /// Nothing is due any more.
    Quiet { holds: Holds },
}

/// What a client was told about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A result with this tag, and so many bytes with it.
    Result(String, usize),
    Error(i64, String),
    /// Another status than 200, and not even an error.
    Status(u16),
    /// The response broke, and there was no way back.
    Broken,
}

impl Seen {
    pub(crate) fn digest(&self, now: Timestamp, hash: &mut Hash) {
        hash.add(1, &now.as_nanos().to_le_bytes());
        hash.add(2, format!("{self}").as_bytes());
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            Self::Said { place, frame } => write!(f, "said on {place:?}: {}", text(frame)),
            Self::Told { number, part: Part::Bytes(bytes) } => write!(f, "response {number} is told {}", text(bytes)),
            Self::Told { number, part } => write!(f, "response {number} is told {part:?}"),
            Self::Heard { number, status, name, data } => {
                write!(f, "of response {number} ({status}) is heard: {name:?} {}", text(data))
            }
            other => write!(f, "{other:?}"),
        }
    }
}
