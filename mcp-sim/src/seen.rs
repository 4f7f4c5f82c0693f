//! What can be seen of a world while it runs: what its checks judge and what its transcript keeps.

use std::fmt;
use std::time::Duration;

use mcp_proto::model::SubscriptionFilter;
use mcp_proto::{Change, Connection, Event, InboundId, Limits, OutboundId, RespondError, Timestamp, Transmit, Why};
use serde_json::Value;

use crate::hostile::Due;
use crate::workload::Call;
use crate::{Cast, Side};

/// One thing that was seen at one node.
#[derive(Clone, Copy, Debug)]

pub(crate) enum Seen<'a> {
    /// The connection took a whole line, cut by our own naive splitter. `value` is what `serde_json` makes of it.
    Took {
        /// Without its end.
        line: &'a [u8],
        /// `None` if it is no JSON.
        value: Option<&'a Value>,
        /// What must come of it, if it was put there on purpose.
        due: Option<&'a Due>,
    },
    /// The connection was told that its input is over.
    Ended(End),
    /// A frame left. `value` is what `serde_json` makes of it, null if it is no JSON.
    Sent {
        /// As the connection gave it.
        transmit: &'a Transmit,
        /// Parsed.
        value: &'a Value,
    },
    /// The application was told something.
    Told(&'a Event),
    /// The application did something.
    Did(&'a Deed),
    /// An input or command, and everything that followed from it, is over.
    Stepped(&'a Connection),
    /// The connection was told the time. When it wants to be woken next.
    Woken(Option<Timestamp>),
    /// The world has come so far.
    Reached(Milestone),
}

/// How an input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed it.
    Eof,
    /// The transport failed.
    Broken,
}

/// What an application did, and what came of it at once.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "what no check reads is shown in the transcript all the same")]
pub(crate) enum Deed {
    /// A client asked for something.
    Called(OutboundId, String, Call),
    /// A client began to listen.
    Listened(OutboundId),
    /// A server asked something, perhaps within a request of its client.
    Asked(OutboundId, Option<InboundId>),
    /// Something was refused at once: what.
    Refused(Why, &'static str),
    /// A call was given up.
    GaveUp(OutboundId),
    /// The questions of a call were answered.
    Supplied(OutboundId),
    /// A request of the peer was answered, with a result, an error or a question.
    Answered(InboundId, Result<(), RespondError>),
    /// Progress was reported.
    Reported(InboundId),
    /// A subscription was opened for this.
    Granted(InboundId, SubscriptionFilter),
    /// The handler of a cancelled request has ended.
    Released(InboundId),
    /// Something changed.
    Changed(Change),
    /// The connection was closed.
    Closed(Duration),
    /// Work still waits, at this milestone, for an event that says that there is room.
    Waits(usize),
}

/// How far a world has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Milestone {
    /// From now on there are no faults.
    Healed,
    /// All work of the phase with faults must have ended.
    Settled,
    /// New work begins, which nothing disturbs.
    Lively,
    /// That work must have ended well.
    Judged,
    /// Nothing is due any more, ever.
    Quiet,
}

/// What a check may know about the node where something was seen.
#[derive(Clone, Debug)]

pub(crate) struct Facts {
    /// The node.
    pub node: usize,
    /// The pair that it belongs to.
    pub pair: usize,
    /// Its side.
    pub side: Side,
    /// The time.
    pub now: Timestamp,
    /// Who plays in its pair.
    pub cast: Cast,
    /// Whether its peer is one of ours and nobody puts lines between.
    pub honest: bool,
    /// Whether everything in its pair is quick and nothing was cut.
    pub calm: bool,
    /// Whether the two sides have a revision in common.
    pub agree: bool,
    /// Whether the server may also be asked in the modern era.
    pub modern_server: bool,
    /// Whether it began after the faults: nothing may go wrong.
    pub fresh: bool,
    /// What it keeps.
    pub limits: Limits,
    /// What its peer keeps, if that is one of ours.
    pub peer_limits: Limits,
}

impl Seen<'_> {
    /// Adds what was seen to a hash of the run.
    pub(crate) fn digest(&self, hash: &mut Hash) {
        match self {
            Self::Took { line, .. } => hash.add(1, line),
            Self::Ended(end) => hash.add(2, &[*end as u8]),
            Self::Sent { transmit, .. } => hash.add(3, &transmit.frame),
            Self::Told(event) => match event {
                Event::Request { message, .. }
                | Event::Notification { message, .. }
                | Event::Stray { message }
                | Event::Response { result: Ok((_, message)), .. } => hash.add(4, message.text().as_bytes()),
                other => hash.add(5, format!("{other:?}").as_bytes()),
            },
            Self::Did(deed) => hash.add(6, format!("{deed:?}").as_bytes()),
            Self::Stepped(conn) => {
                let at = conn.poll_timeout().map_or(0, Timestamp::as_nanos);
                hash.add(7, &(at ^ conn.buffered_bytes() as u64).to_le_bytes());
            }
            Self::Reached(milestone) => hash.add(8, &[*milestone as u8]),
            Self::Woken(next) => hash.add(9, &next.map_or(0, Timestamp::as_nanos).to_le_bytes()),
        }
    }
}

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Took { line, .. } => write!(f, "took {}", short(line)),
            Self::Ended(end) => write!(f, "input ended: {end:?}"),
            Self::Sent { transmit, .. } => write!(f, "sent {}", short(&transmit.frame)),
            Self::Told(event) => write!(f, "told {}", short(format!("{event:?}").as_bytes())),
            Self::Did(deed) => write!(f, "did {}", short(format!("{deed:?}").as_bytes())),
            Self::Stepped(_) => f.write_str("stepped"),
            Self::Woken(_) => f.write_str("woken"),
            Self::Reached(milestone) => write!(f, "reached {milestone:?}"),
        }
    }
}

/// The start of a text that may be long.
pub(crate) fn short(text: &[u8]) -> String {
    const SHOWN: usize = 220;
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]).escape_debug().to_string();
    let shown = shown.replace("\\\"", "\"");
    if text.len() > SHOWN { format!("{shown}... ({} bytes)", text.len()) } else { shown }
}

/// A hash of everything that was seen in a run (FNV-1a, 64 bits): equal hashes, equal runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub u64);

impl Hash {
    pub(crate) const START: Self = Self(0xcbf2_9ce4_8422_2325);

    pub(crate) fn add(&mut self, kind: u8, bytes: &[u8]) {
        let mut hash = self.0;
        hash = (hash ^ u64::from(kind)).wrapping_mul(0x0100_0000_01b3);
        // By words, and the rest by bytes: runs are hashed as they go.
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let word = word.try_into().map(u64::from_le_bytes).unwrap_or_default();
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        for byte in words.remainder() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0 = hash;
    }
}
