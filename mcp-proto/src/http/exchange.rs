//! The response to one POST that stands alone: in the modern era, and in the legacy era where no sessions are kept.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::RETRY_AFTER;

use super::limits::HttpLimits;
use super::shape::{Becomes, Due, Shape, events_head, json_head};
use super::sse::{self, Event};
use super::status::{echo_of, of_answer, seconds};
use super::{Head, Output, Preference};
use crate::jsonrpc::{ErrorObject, Kind, Message, refusal};
use crate::model::Era;
use crate::{Timestamp, Transmit};

/// The response to one POST, from what its connection sends: a head, data, the end.
///
/// The response is JSON if the answer comes first. It becomes a stream of events at the first other message, or when the answer
/// takes long ([`HttpLimits::late_commit`]). Until then nothing is said, so that an error can have its own status. A batch is
/// answered by events; what is not to be answered, by 202.
///
/// The connection is one of its own ([`Start::Assume`](crate::Start::Assume)). Whether its peer is gone is for the driver to
/// notice: then it drops the exchange and tells [`Connection::handle_disconnect`](crate::Connection::handle_disconnect).
///
/// ```
/// use std::sync::Arc;
/// use mcp_proto::http::{Exchange, HttpLimits, Output};
/// use mcp_proto::model::Implementation;
/// use mcp_proto::{Connection, Era, Limits, Message, Origin, ProtocolVersion, ServerConfig, Start, Timestamp};
///
/// let mut config = ServerConfig::new(Implementation::new("echo", "1.0.0"));
/// config.versions = vec![ProtocolVersion::V2026_07_28];
/// let now = Timestamp::EPOCH;
/// let request = Message::scan(br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{
///     "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#, &Limits::default());
///
/// let mut exchange = Exchange::new(Era::Modern, &request, &HttpLimits::default(), now);
/// let mut connection = Connection::server(Arc::new(config), Start::Assume(ProtocolVersion::V2026_07_28), now);
/// connection.handle_message(now, Origin::new(1), request);
/// while exchange.has_room() && let Some(transmit) = connection.poll_transmit() {
///     exchange.push(now, transmit);
/// }
/// let Some(Output::Head(head)) = exchange.poll_output() else { panic!("the head comes first") };
/// assert_eq!(head.status, 404); // What the specification wants for −32601.
/// assert!(matches!(exchange.poll_output(), Some(Output::Data(_))));
/// assert_eq!(exchange.poll_output(), Some(Output::End));
/// ```
#[derive(Clone, Debug)]
pub struct Exchange {
    era: Era,
    awaits: Awaits,
    shape: Shape,
    output: VecDeque<Output>,
    /// Bytes of data in `output`, and how many there may be.
    buffered: usize,
    limit: usize,
    retry_after: Duration,
    /// Whether the end stands in `output` or has left it.
    ended: bool,
}

/// What the message is to be answered with.
#[derive(Clone, Debug)]
enum Awaits {
    /// One reply, with this id, which is JSON text.
    Reply(Option<Box<str>>),
    /// Any number of them, each by itself.
    Replies,
    /// None.
    Nothing,
}

impl Exchange {
    /// The response to this message of that era.
    #[must_use]
    pub fn new(era: Era, message: &Message, limits: &HttpLimits, now: Timestamp) -> Self {
        let awaits = match message.kind() {
            Kind::Request => Awaits::Reply(echo_of(message)),
            // A batch; nothing else that is malformed comes this far.
            Kind::Malformed => Awaits::Replies,
            _ => Awaits::Nothing,
        };
        let mut exchange = Self {
            era,
            awaits,
            shape: Shape::open(now, limits.late_commit, limits.keep_alive),
            output: VecDeque::new(),
            buffered: 0,
            limit: limits.stream_output,
            retry_after: limits.retry_after,
            ended: false,
        };
        if matches!(exchange.awaits, Awaits::Nothing) {
            exchange.accept();
        }
        exchange
    }

    /// For a client that would rather have a result as this.
    #[must_use]
    pub fn preferring(mut self, preference: Preference) -> Self {
        self.shape = self.shape.preferring(preference);
        self
    }

    /// Takes what the connection sends. What comes after the last of it is dropped.
    pub fn push(&mut self, now: Timestamp, transmit: Transmit) {
        if self.ended {
            return;
        }
        let is_refused = || transmit.last && of_answer(self.era, &transmit) != StatusCode::OK;
        if matches!(self.awaits, Awaits::Replies) && self.shape.is_open() && !is_refused() {
            self.open_events(now);
        }
        match self.shape.take(now, &transmit) {
            Becomes::Body => {
                let status = of_answer(self.era, &transmit);
                return self.answer(status, transmit.frame);
            }
            Becomes::FirstEvent => self.open_events(now),
            Becomes::Event => {}
        }
        // The one copy that is made of it.
        let mut event = Vec::with_capacity(transmit.frame.len() + AROUND);
        sse::event(&mut event, &Event::new(&transmit.frame));
        self.put(event);
        if transmit.last {
            self.end();
        }
    }

    /// Nothing more comes from the connection: it is over, or what came is not to be answered. A stream of events just ends.
    pub fn finish(&mut self) {
        if self.ended {
            return;
        }
        match &self.awaits {
            _ if self.shape.is_events() => self.end(),
            Awaits::Reply(id) => {
                let error = ErrorObject::internal("the server has ended the exchange before the request was answered");
                let frame = refusal(id.as_deref(), &error);
                self.answer(StatusCode::INTERNAL_SERVER_ERROR, frame);
            }
            Awaits::Replies | Awaits::Nothing => self.accept(),
        }
    }

    /// The next part of the response.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.output.pop_front()?;
        if let Output::Data(data) = &output {
            self.buffered -= data.len();
        }
        Some(output)
    }

    /// All that is left of the response, if that is one piece, so that its length can be told: with JSON it is, right after the head.
    /// It is over then.
    pub fn take_rest(&mut self) -> Option<Bytes> {
        let rest = match (self.output.front(), self.output.len()) {
            (Some(Output::Data(data)), 2) if self.ended => data.clone(),
            (Some(Output::End), 1) => Bytes::new(),
            _ => return None,
        };
        self.output.clear();
        self.buffered = 0;
        Some(rest)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` once it is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.ended { None } else { self.shape.poll_timeout() }
    }

    /// Time has passed. A spurious or early call does nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.ended {
            return;
        }
        match self.shape.take_due(now) {
            Some(Due::Events) => self.open_events(now),
            // For a client that does not read, what waits says that the stream is alive.
            Some(Due::Comment) if self.output.is_empty() => self.comment(),
            Some(Due::Comment) | None => {}
        }
    }

    /// Whether more is to be taken from the connection. What is not taken stays there, where it counts against its limits, and
    /// ends it if the client reads nothing.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.buffered < self.limit
    }

    /// Bytes that wait to be taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Whether its end is known: nothing more is taken from the connection.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether its end was taken: there is nothing more to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended && self.output.is_empty()
    }

    /// 202, without a body: taken, and not to be answered.
    fn accept(&mut self) {
        let headers = http::HeaderMap::new();
        self.output.push_back(Output::Head(Head { status: StatusCode::ACCEPTED, headers }));
        self.end();
    }

    /// The whole body.
    fn answer(&mut self, status: StatusCode, frame: Vec<u8>) {
        let mut head = json_head(status);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            head.headers.insert(RETRY_AFTER, seconds(self.retry_after));
        }
        self.output.push_back(Output::Head(head));
        self.put(frame);
        self.end();
    }

    /// The head of a stream of events, and a comment: some proxies hold the head back until the first byte of the body.
    fn open_events(&mut self, now: Timestamp) {
        self.shape.commit(now);
        self.output.push_back(Output::Head(events_head()));
        self.comment();
    }

    fn comment(&mut self) {
        let mut comment = Vec::new();
        sse::comment(&mut comment, "");
        self.put(comment);
    }

    fn put(&mut self, data: Vec<u8>) {
        self.buffered += data.len();
        self.output.push_back(Output::Data(Bytes::from(data)));
    }

    fn end(&mut self) {
        self.ended = true;
        self.output.push_back(Output::End);
    }
}

/// What stands around the data of an event.
const AROUND: usize = "data: \n\n".len();
