//! One thing to be sent, and what has become of it: a message of the connection, a stream to be opened, the end of a session.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::cursor::Cursor;
use super::{ExchangeId, JobId};
use crate::Timestamp;
use crate::connection::{InboundId, Lost, OutboundId};
use crate::http::sse::Decoder;

/// See the module.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) what: What,
    /// The body, until nothing can make it be sent once more.
    pub(super) frame: Bytes,
    pub(super) target: Uri,
    pub(super) step: Step,
    /// Not sent before.
    pub(super) not_before: Timestamp,
    /// When patience with this step ends. The deadlines of calls are the connection's.
    pub(super) deadline: Option<Timestamp>,
    pub(super) tries: Tries,
    pub(super) sent: Sent,
    /// What it fails with if nothing comes of trying once more.
    pub(super) refusal: Option<Lost>,
}

/// What it is.
#[derive(Debug)]
pub(super) enum What {
    /// A request of the connection.
    Call(Call),
    /// Anything else that the connection sends, which is accepted and not answered.
    Notice(Notice),
    /// The stream of a session for what belongs to no request.
    Listen(Cursor),
    /// The stream of the transport of 2024-11-05.
    Endpoint,
    /// A list of tools, since those of this call have turned out to be others.
    Refresh { call: JobId, pages: u32 },
    /// The end of a session.
    Delete,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: OutboundId,
    /// Its id on the wire.
    pub(super) wire: Option<i64>,
    pub(super) kind: CallKind,
    /// Set in the modern era: the header of its revision.
    pub(super) modern: Option<HeaderValue>,
    pub(super) headers: HeaderMap,
    /// The name of the tool that it calls, and its arguments, as long as they may have to be mirrored anew.
    pub(super) tool: Option<String>,
    pub(super) is_answered: bool,
    /// Where its stream goes on if it breaks.
    pub(super) cursor: Cursor,
}

/// What of a request makes a difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Discover,
    Initialize,
    /// Its stream is open for as long as somebody listens.
    Listen,
    ToolsList,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The end of the handshake: what follows waits for it.
    Initialized,
    /// About a request of the server: one after the other.
    About(InboundId),
    /// Neither.
    Other,
}

/// Where it stands.
#[derive(Debug)]
pub(super) enum Step {
    /// It is to be sent as soon as that may be.
    Waiting,
    /// It waits for a list of tools.
    Refreshing,
    /// It was sent.
    Sent(ExchangeId),
    /// Its response is being read.
    Reading(ExchangeId, Reader),
    /// It waits for the transport of 2024-11-05.
    Opening,
}

/// How a body is read.
#[derive(Debug)]
pub(super) enum Reader {
    /// As one message, or as a batch.
    Answer(Body),
    /// As events.
    Events(Decoder),
    /// As the reasons for a status.
    Refusal(StatusCode, Body),
    /// As nothing: it may have so many bytes more.
    Nothing(usize),
}

/// A body that is read whole.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) limit: usize,
    /// What the head says of its length.
    pub(super) announced: Option<u64>,
}

/// How often it was sent once more, and why.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    pub(super) unauthorized: u32,
    pub(super) busy: u32,
    pub(super) redirects: u32,
    pub(super) mismatches: u32,
    pub(super) sessions: u32,
}

/// With what it was sent last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// Which credentials.
    pub(super) credentials: u32,
    /// Which session, if any.
    pub(super) session: Option<u32>,
}

impl Job {
    pub(super) fn new(what: What, frame: Bytes, target: Uri) -> Self {
        Self {
            what,
            frame,
            target,
            step: Step::Waiting,
            not_before: Timestamp::EPOCH,
            deadline: None,
            tries: Tries::default(),
            sent: Sent::default(),
            refusal: None,
        }
    }

    pub(super) fn call(&self) -> Option<&Call> {
        match &self.what {
            What::Call(call) => Some(call),
            _ => None,
        }
    }

    pub(super) fn call_mut(&mut self) -> Option<&mut Call> {
        match &mut self.what {
            What::Call(call) => Some(call),
            _ => None,
        }
    }

    /// Where its stream goes on, if it is one that can.
    pub(super) fn cursor_mut(&mut self) -> Option<&mut Cursor> {
        match &mut self.what {
            What::Call(Call { modern: None, cursor, .. }) | What::Listen(cursor) => Some(cursor),
            _ => None,
        }
    }

    /// The exchange that it is under way in.
    pub(super) fn exchange(&self) -> Option<ExchangeId> {
        match &self.step {
            Step::Sent(exchange) | Step::Reading(exchange, _) => Some(*exchange),
            Step::Waiting | Step::Refreshing | Step::Opening => None,
        }
    }

    /// Whether it is a stream that is opened again where it broke.
    pub(super) fn is_resumed(&self) -> bool {
        self.call().is_some_and(|call| call.cursor.is_resuming())
    }

    /// Whether it has left in any way.
    pub(super) fn was_sent(&self) -> bool {
        self.exchange().is_some() || self.is_resumed() || matches!(self.step, Step::Refreshing)
    }

    /// Bytes that it holds.
    pub(super) fn held(&self) -> usize {
        let read = match &self.step {
            Step::Reading(_, Reader::Answer(body) | Reader::Refusal(_, body)) => body.bytes.len(),
            Step::Reading(_, Reader::Events(decoder)) => decoder.buffered(),
            _ => 0,
        };
        self.frame.len() + read
    }
}

impl Body {
    pub(super) fn new(headers: &HeaderMap, limit: usize) -> Self {
        let announced = headers.get(http::header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.trim().parse().ok());
        Self { bytes: Vec::new(), limit, announced }
    }

    /// Takes a part in; false if that makes it too long.
    #[must_use]
    pub(super) fn push(&mut self, part: &[u8]) -> bool {
        let fits = part.len() <= self.limit - self.bytes.len();
        if fits {
            self.bytes.extend_from_slice(part);
        }
        fits
    }

    /// Whether it was announced longer than it may be.
    pub(super) fn is_too_long(&self) -> bool {
        self.announced.is_some_and(|announced| announced > self.limit as u64)
    }

    /// Whether as much has come as was announced.
    pub(super) fn is_whole(&self) -> bool {
        self.announced.is_none_or(|announced| announced == self.bytes.len() as u64)
    }
}
