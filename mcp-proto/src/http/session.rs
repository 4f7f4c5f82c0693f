//! The streams of one session of the legacy era: which response carries which message, and how a client that lost one comes back.
//!
//! Specification: basic/transports, Streamable HTTP (2025-03-26 to 2025-11-25).
//!
//! A session is a [`Connection`](crate::Connection) that many exchanges carry, and a [`Session`], which is told what leaves the
//! connection. Each POST opens a stream whose number is the [`Origin`] of what came by it; stream 0 is the one of GET.
//!
//! A stream is read by one response at a time, or by none: its events have numbers, and are with a store until a client shows that it has
//! them. A response that breaks off does not disturb the request that it belongs to.

mod resume;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use http::StatusCode;

use super::Output;
use super::accept::Preference;
use super::headers::SESSION_ID;
use super::ids::SessionId;
use super::limits::HttpLimits;
use super::replay::{Replay, StoreCommand, Stored, Weight};
use super::shape::{Becomes, Due, Shape};
use super::status::{Reason, of_answer};
use super::stream::{Asked, Primes, Reader, Stream};
use crate::jsonrpc::refusal;
use crate::model::Era;
use crate::{About, ErrorCode, ErrorObject, Message, Origin, ProtocolVersion, Timestamp, Transmit};

/// What all sessions of a server have in common.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The bounds.
    pub limits: HttpLimits,
    /// Where events are kept for replay.
    pub replay: ReplayIn,
    /// What becomes of a POST whose request was cancelled before anything was said.
    pub cancelled: CancelledPost,
}

/// Where events are kept for replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayIn {
    /// In the session, within its limits.
    #[default]
    Memory,
    /// Elsewhere: [`Session::poll_store`] tells what is to be done.
    Store,
}

/// What becomes of a POST whose request was cancelled before anything was said. A cancelled request is not answered, but a response must
/// be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CancelledPost {
    /// An error: −32800, as the Language Server Protocol has it.
    #[default]
    Error,
    /// A stream of events without any.
    EmptyStream,
}

/// The error about a request that its client has cancelled.
const CANCELLED: ErrorCode = ErrorCode(-32800);

/// Who reads a stream: the response that was given this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    stream: u64,
    /// The how many-th reader of that stream it is, so that one that was followed by another is told apart.
    reader: u32,
}

impl StreamKey {
    /// The exchange whose frames it reads.
    #[must_use]
    pub const fn origin(self) -> Origin {
        Origin::new(self.stream)
    }

    /// The number of its stream.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.stream
    }

    #[cfg(test)]
    pub(super) const fn nobody() -> Self {
        Self { stream: 0, reader: 0 }
    }
}

/// Why a stream was not closed on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSuspended {
    /// Before 2025-11-25 a client would take it for the end of its request.
    NotInThisRevision,
    /// Nobody reads it, or it has ended.
    NotOpen,
}

/// See the module.
///
/// Its methods are of the same kinds as a connection's. After any of them, poll [`poll_output`](Self::poll_output) for every reader,
/// [`poll_store`](Self::poll_store), and then [`poll_timeout`](Self::poll_timeout).
///
/// ```
/// use std::sync::Arc;
/// use mcp_proto::http::{Output, Preference, Session, SessionConfig, SessionId};
/// use mcp_proto::model::Implementation;
/// use mcp_proto::{Connection, Limits, Message, ServerConfig, Start, Timestamp};
///
/// let now = Timestamp::EPOCH;
/// let config = Arc::new(ServerConfig::new(Implementation::new("server", "1")));
/// let mut connection = Connection::server(config, Start::Handshake, now);
/// let mut session = Session::new(SessionId::from_entropy([7; 16]), Arc::new(SessionConfig::default()));
///
/// // The body of a POST:
/// let body = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
///     "capabilities":{},"clientInfo":{"name":"me","version":"1"}}}"#;
/// let message = Message::scan(body, &Limits::default());
/// let response = session.open_post(now, connection.version(), &message, Preference::Json).expect("there is room");
/// connection.handle_message(now, response.origin(), message);
/// while let Some(transmit) = connection.poll_transmit() {
///     session.push(now, transmit);
/// }
/// // It was answered at once, so the response is JSON; and it has the session's id.
/// let Some(Output::Head(head)) = session.poll_output(now, response) else { panic!("a head comes first") };
/// assert_eq!(head.headers["content-type"], "application/json");
/// assert_eq!(head.headers["mcp-session-id"], "07".repeat(16));
/// assert!(matches!(session.poll_output(now, response), Some(Output::Data(_))));
/// assert_eq!(session.poll_output(now, response), Some(Output::End));
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    id: SessionId,
    config: Arc<SessionConfig>,
    /// By their numbers, which rise.
    streams: Vec<Stream>,
    next: u64,
    /// In memory, if that is where; made when there is something to be kept, which is never in most sessions.
    replay: Option<Box<Replay>>,
    /// What a store elsewhere is to do.
    commands: VecDeque<StoreCommand>,
    /// Frames that had no stream to leave by.
    dropped: u64,
}

/// Construction.
impl Session {
    /// A session without streams.
    #[must_use]
    pub fn new(id: SessionId, config: Arc<SessionConfig>) -> Self {
        Self { id, config, streams: Vec::new(), next: 1, replay: None, commands: VecDeque::new(), dropped: 0 }
    }
}

/// Inputs.
impl Session {
    /// A POST has brought this message. Hand it to the connection with [`StreamKey::origin`]. Should nothing be open on that origin
    /// then ([`Connection::is_open`](crate::Connection::is_open)), say so: [`ended`](Self::ended).
    ///
    /// `version` is the connection's, if it is known; `preference` is what the POST accepts.
    ///
    /// # Errors
    ///
    /// [`Reason::TooManyExchanges`], while more streams are open than the limits allow.
    pub fn open_post(
        &mut self,
        now: Timestamp,
        version: Option<ProtocolVersion>,
        message: &Message,
        preference: Preference,
    ) -> Result<StreamKey, Reason> {
        self.make_room(now)?;
        let limits = &self.config.limits;
        let shape = Shape::open(now, limits.late_commit, limits.keep_alive).preferring(preference);
        let number = self.next;
        self.next += 1;
        self.streams.push(Stream::new(number, Asked::by(message), shape, Primes::in_version(version)));
        Ok(StreamKey { stream: number, reader: 1 })
    }

    /// The connection wants this sent. It leaves by the one stream that it belongs to.
    pub fn push(&mut self, now: Timestamp, transmit: Transmit) {
        let Some(at) = self.find(transmit.origin) else {
            self.dropped += 1;
            return;
        };
        let stream = &mut self.streams[at];
        if stream.ended.is_some() || stream.is_abandoned() {
            self.dropped += 1;
            if transmit.last {
                self.forget_abandoned(at);
            }
            return;
        }
        // Several answers do not fit into one JSON text.
        let becomes = match stream.asked {
            Asked::Several if stream.shape.is_open() => Becomes::FirstEvent,
            _ => stream.shape.take(now, &transmit),
        };
        match becomes {
            Becomes::Body => {
                let (is_error, status) = (transmit.error.is_some(), of_answer(Era::Legacy, &transmit));
                stream.reply_json(status, transmit.frame);
                stream.ended = Some(now);
                if !is_error {
                    self.tell_id(at);
                }
                return;
            }
            Becomes::FirstEvent => self.begin_events(now, at),
            Becomes::Event => {}
        }
        self.push_event(now, at, &transmit);
        if transmit.last {
            self.end(now, at);
        }
    }

    /// Nothing more comes by this origin: what came by it was no request, or was cancelled. Ignored if its last frame said so.
    pub fn ended(&mut self, now: Timestamp, origin: Origin) {
        let Some(at) = self.find(origin) else { return };
        let stream = &mut self.streams[at];
        if stream.ended.is_some() {
            return;
        }
        if stream.is_abandoned() {
            self.streams.remove(at);
            return;
        }
        if stream.shape.is_open() {
            match (stream.asked.id(), self.config.cancelled) {
                (None, _) => stream.accept(),
                (Some(id), CancelledPost::Error) => {
                    let error = ErrorObject::new(CANCELLED, "the request was cancelled");
                    let frame = refusal(serde_json::to_string(id).ok().as_deref(), &error);
                    stream.reply_json(StatusCode::OK, frame);
                }
                (Some(_), CancelledPost::EmptyStream) => {
                    self.begin_events(now, at);
                    return self.end(now, at);
                }
            }
            stream.ended = Some(now);
            return;
        }
        self.end(now, at);
    }

    /// A response is gone. That is no cancellation: its stream goes on, and can be resumed if it has shown an event.
    pub fn detach(&mut self, now: Timestamp, reader: StreamKey) {
        let Some(at) = self.reading(reader) else { return };
        let stream = &mut self.streams[at];
        stream.detach();
        if stream.ended.is_some() {
            // What it did not take counts from now on.
            stream.ended = Some(now);
            self.forget_abandoned(at);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        for at in 0..self.streams.len() {
            match self.streams[at].take_due(now) {
                // It was not read since the last one; another would tell nobody anything.
                Some(Due::Comment) if self.streams[at].has_queue() => {}
                Some(Due::Comment) => self.streams[at].push_comment(),
                Some(Due::Events) => self.begin_events(now, at),
                None => {}
            }
        }
        let age = self.config.limits.replay_age;
        let is_over =
            |stream: &Stream| stream.reader == Reader::None && stream.ended.is_some_and(|since| since + age <= now);
        while let Some(at) = self.streams.iter().position(is_over) {
            self.forget(now, at);
        }
        if let Some(replay) = &mut self.replay {
            replay.expire(now);
        }
        self.replay.take_if(|replay| replay.bytes() == 0);
    }
}

/// Commands.
impl Session {
    /// Closes the response of a stream on purpose, after an event from which it can be resumed; the client comes back for the rest, and not
    /// before `retry` has passed (SEP-1699). What is said meanwhile is kept. So no response needs to stay open for a long call.
    ///
    /// # Errors
    ///
    /// When the revision does not have this, or nothing is there to be closed.
    pub fn suspend(&mut self, now: Timestamp, origin: Origin, retry: Duration) -> Result<(), NotSuspended> {
        let at = self.find(origin).ok_or(NotSuspended::NotOpen)?;
        let stream = &self.streams[at];
        if stream.reader != Reader::Attached || stream.ended.is_some() || stream.fetching.is_some() {
            return Err(NotSuspended::NotOpen);
        }
        if stream.primes == Primes::No {
            return Err(NotSuspended::NotInThisRevision);
        }
        if stream.shape.is_open() {
            self.begin_events(now, at);
        }
        let stream = &mut self.streams[at];
        stream.push_retry(retry);
        stream.end_reader();
        Ok(())
    }

    /// The server is going down: readers of what belongs to no request are told to come back later. Calls in work go on.
    pub fn begin_end(&mut self, now: Timestamp) {
        let retry = self.config.limits.retry;
        if self.suspend(now, Origin::STREAM, retry).is_err()
            && let Some(at) = self.find(Origin::STREAM)
        {
            self.streams[at].cut();
        }
    }

    /// The session is over: every response ends. One that has not begun says that the session is gone.
    pub fn close(&mut self, now: Timestamp) {
        for stream in &mut self.streams {
            if stream.reader == Reader::Attached && stream.shape.is_open() {
                let id = stream.asked.id().and_then(|id| serde_json::to_string(id).ok());
                let reason = Reason::SessionUnknown;
                let error = ErrorObject::new(ErrorCode::INVALID_REQUEST, format!("{reason}"));
                stream.reply_json(reason.status(), refusal(id.as_deref(), &error));
            }
            // A store that was asked is not waited for.
            stream.fetched();
            stream.end_reader();
            stream.ended.get_or_insert(now);
        }
        self.streams.retain(|stream| stream.reader != Reader::None);
        self.replay = None;
    }
}

/// Outputs.
impl Session {
    /// What a response is told next: a head, data, the end, as far as it is known. Whoever was told the end does not ask again.
    pub fn poll_output(&mut self, now: Timestamp, reader: StreamKey) -> Option<Output> {
        let Ok(at) = self.streams.binary_search_by_key(&reader.stream, |stream| stream.number) else {
            // Over, so there is nothing but its end.
            return Some(Output::End);
        };
        let stream = &mut self.streams[at];
        if stream.readers != reader.reader || stream.reader == Reader::None {
            return Some(Output::End);
        }
        let output = stream.pop()?;
        if output == Output::End {
            stream.reader = Reader::None;
            if !stream.shape.is_events() {
                self.streams.remove(at);
                self.fit();
            } else if stream.ended.is_some() && stream.given == Some(stream.next_event - 1) {
                let stream = reader.stream;
                self.store(now, StoreCommand::Delivered { stream });
            }
        }
        Some(output)
    }

    /// What a store elsewhere is to do next. Nothing, if events are kept in memory.
    pub fn poll_store(&mut self) -> Option<StoreCommand> {
        self.commands.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let limits = &self.config.limits;
        let streams = self.streams.iter().filter_map(|stream| stream.poll_timeout(limits));
        streams.chain(self.replay.as_ref().and_then(|replay| replay.poll_timeout())).min()
    }
}

/// Getters.
impl Session {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Whether what belongs to no request would reach the client now: the stream of GET is read, and keeps up. Tell the connection:
    /// [`Connection::handle_channel`](crate::Connection::handle_channel).
    #[must_use]
    pub fn wants_notices(&self) -> bool {
        let open = self.find(Origin::STREAM).map(|at| &self.streams[at]);
        open.is_some_and(|it| it.reader == Reader::Attached && it.queued() <= self.config.limits.stream_output / 2)
    }

    /// Whether a response would be told something now.
    #[must_use]
    pub fn has_output(&self, reader: StreamKey) -> bool {
        self.reading(reader).is_none_or(|at| self.streams[at].has_queue())
    }

    /// Whether a response reads one of its streams, so that its client is there.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.streams.iter().any(|stream| stream.reader != Reader::None)
    }

    /// The origins of POSTs of which nothing says yet that they are answered: those to be asked about after the connection has changed. See
    /// [`ended`](Self::ended).
    pub fn open_origins(&self) -> impl Iterator<Item = Origin> {
        let open = self.streams.iter().filter(|stream| stream.ended.is_none() && stream.asked != Asked::Standalone);
        open.map(Stream::origin)
    }

    /// Bytes that wait for responses, or are kept in memory for replay.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.streams.iter().map(Stream::waiting).sum::<usize>()
            + self.replay.as_ref().map_or(0, |replay| replay.bytes())
    }

    /// Frames that had no way to the client: of a POST whose response broke off before it showed an event.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Session {
    fn find(&self, origin: Origin) -> Option<usize> {
        self.streams.binary_search_by_key(&origin, Stream::origin).ok()
    }

    /// The stream that somebody reads, if it was not taken over.
    fn reading(&self, reader: StreamKey) -> Option<usize> {
        let at = self.find(reader.origin())?;
        let stream = &self.streams[at];
        (stream.readers == reader.reader && stream.reader != Reader::None).then_some(at)
    }

    /// A stream of events begins.
    fn begin_events(&mut self, now: Timestamp, at: usize) {
        let stream = &mut self.streams[at];
        stream.shape.commit(now);
        stream.begin_events();
        if stream.primes == Primes::Yes {
            stream.prime(self.config.limits.retry);
        }
        self.tell_id(at);
    }

    /// The response to `initialize` says which session it has begun.
    fn tell_id(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        if let Asked::Initialize(_) = stream.asked
            && let Some(head) = stream.head_mut()
        {
            head.headers.insert(SESSION_ID, self.id.header());
        }
    }

    fn push_event(&mut self, now: Timestamp, at: usize, transmit: &Transmit) {
        let stream = &mut self.streams[at];
        let (place, text) = stream.number(&transmit.frame);
        let weight = match transmit.about {
            About::Reply(_) | About::Refusal => Weight::Answer,
            _ => Weight::Remark,
        };
        if weight == Weight::Answer {
            stream.answer = Some(place.number);
        }
        stream.push_event(place, text.clone());
        self.store(now, StoreCommand::Persist(Stored { place, weight, text }));
        self.bound_output(at);
    }

    /// Ends a response that does not keep up, so that it costs its siblings nothing. If all of them together hold too much, the one that
    /// holds most goes, but for the one that is being told something now: whoever comes back is served.
    fn bound_output(&mut self, at: usize) {
        let limits = &self.config.limits;
        if self.streams[at].is_over(limits.stream_output) {
            self.streams[at].end_early();
        }
        let all = limits.stream_output.max(limits.replay).saturating_mul(STREAMS_AT_THEIR_LIMIT);
        while self.streams.iter().map(Stream::waiting).sum::<usize>() > all {
            let is_other = |(other, it): &(usize, &mut Stream)| *other != at && it.reader == Reader::Attached;
            let others = self.streams.iter_mut().enumerate().filter(is_other);
            let Some((_, largest)) = others.max_by_key(|(_, it)| it.waiting()) else { return };
            largest.cut();
        }
    }

    /// Nothing more comes on a stream of events.
    fn end(&mut self, now: Timestamp, at: usize) {
        let stream = &mut self.streams[at];
        stream.ended = Some(now);
        stream.end_reader();
    }

    /// Drops a stream that can never be read again, once it has ended.
    fn forget_abandoned(&mut self, at: usize) {
        if self.streams[at].is_abandoned() {
            self.streams.remove(at);
            self.fit();
        }
    }

    fn forget(&mut self, now: Timestamp, at: usize) {
        let stream = self.streams.remove(at).number;
        self.store(now, StoreCommand::Forget { stream });
        self.fit();
    }

    /// An idle session keeps no room for streams that it does not have.
    fn fit(&mut self) {
        if self.streams.len() * 4 < self.streams.capacity() {
            self.streams.shrink_to(self.streams.len() * 2);
        }
    }

    /// Makes room for one more stream: of those that have ended and are read by nobody, one goes whose client was handed all of it, or else
    /// the one that ended first.
    fn make_room(&mut self, now: Timestamp) -> Result<(), Reason> {
        if self.streams.len() < self.config.limits.session_streams {
            return Ok(());
        }
        let over = |(at, stream): (usize, &Stream)| match stream.reader {
            Reader::None => stream.ended.map(|since| (stream.given != Some(stream.next_event - 1), since, at)),
            Reader::Attached | Reader::Ending => None,
        };
        let (.., at) = self.streams.iter().enumerate().filter_map(over).min().ok_or(Reason::TooManyExchanges)?;
        self.forget(now, at);
        Ok(())
    }

    fn store(&mut self, now: Timestamp, command: StoreCommand) {
        if self.config.replay == ReplayIn::Store {
            self.commands.push_back(command);
            return;
        }
        let replay = self.replay.get_or_insert_with(|| Box::new(Replay::new(&self.config.limits)));
        let fetched = replay.carry_out(now, command);
        self.replay.take_if(|replay| replay.bytes() == 0);
        if let Some((reader, events)) = fetched {
            self.handle_fetched(now, reader, events);
        }
    }
}

/// How many streams of a session may be at their limit at once.
const STREAMS_AT_THEIR_LIMIT: usize = 8;

impl Primes {
    fn in_version(version: Option<ProtocolVersion>) -> Self {
        if version.is_some_and(|version| version.rules().primed_streams) { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests;
