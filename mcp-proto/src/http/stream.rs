//! One stream of a session: what its POST asked, which response reads it, and what waits for that response.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::limits::HttpLimits;
use super::replay::EventPlace;
use super::shape::{Due, Shape, events_head, json_head};
use super::sse::{self, Event};
use super::{Head, Output};
use crate::jsonrpc::{Kind, RequestId};
use crate::{Message, Origin, Timestamp};

/// The name of the event that tells of a gap. Clients ignore events that they do not know, so it harms nobody.
const GAP: &str = "gap";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) number: u64,
    pub(super) asked: Asked,
    pub(super) shape: Shape,
    pub(super) primes: Primes,
    pub(super) reader: Reader,
    /// How many readers there were.
    pub(super) readers: u32,
    /// The number of the next event.
    pub(super) next_event: u64,
    /// The number of the newest event that a reader was handed.
    pub(super) given: Option<u64>,
    queue: VecDeque<Item>,
    /// Bytes of events that came while the reader did not take them ...
    queued: usize,
    /// ... and of those that come from the store.
    replayed: usize,
    /// While a store is asked: the first event that does not come from there.
    pub(super) fetching: Option<Fetching>,
    /// Since when nothing more comes.
    pub(super) ended: Option<Timestamp>,
    /// The number of the event that is the answer to its one request.
    pub(super) answer: Option<u64>,
}

/// What a stream was opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To hear what belongs to no request (GET).
    Standalone,
    /// This request.
    Request(RequestId),
    /// The request that opens the session.
    Initialize(RequestId),
    /// Several, or nothing that is answered; then it becomes a bare 202.
    Several,
}

impl Asked {
    pub(super) fn by(message: &Message) -> Self {
        match (message.kind(), message.id()) {
            (Kind::Request, Some(id)) if message.method() == "initialize" => Self::Initialize(id.clone()),
            (Kind::Request, Some(id)) => Self::Request(id.clone()),
            _ => Self::Several,
        }
    }

    pub(super) fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Request(id) | Self::Initialize(id) => Some(id),
            Self::Standalone | Self::Several => None,
        }
    }
}

/// Whether streams begin with an event without data, from which they can be resumed, and may be closed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primes {
    Yes,
    No,
}

/// Whether a response reads the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// One does.
    Attached,
    /// One does, and its end is queued.
    Ending,
    /// None does.
    None,
}

#[derive(Clone, Debug)]
pub(super) struct Fetching {
    /// What the reader has.
    pub(super) after: u64,
    /// The first event that came after the question.
    pub(super) until: u64,
    /// What has come since.
    live: VecDeque<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    output: Output,
    /// The number of the event that it is, if it is one.
    event: Option<u64>,
    from: From,
}

/// Where an item comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// It has just been said.
    Connection,
    /// It was said before, and asked for.
    Store,
}

impl Item {
    fn plain(output: Output) -> Self {
        Self { output, event: None, from: From::Connection }
    }

    fn event(number: u64, text: Bytes, from: From) -> Self {
        Self { output: Output::Data(text), event: Some(number), from }
    }

    /// What it counts, which only events do.
    fn size(&self) -> usize {
        match &self.output {
            Output::Data(bytes) if self.event.is_some() => bytes.len(),
            _ => 0,
        }
    }
}

impl Stream {
    pub(super) fn new(number: u64, asked: Asked, shape: Shape, primes: Primes) -> Self {
        Self {
            number,
            asked,
            shape,
            primes,
            reader: Reader::Attached,
            readers: 1,
            next_event: 1,
            given: None,
            queue: VecDeque::new(),
            queued: 0,
            replayed: 0,
            fetching: None,
            ended: None,
            answer: None,
        }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::new(self.number)
    }

    /// Whether it can never be read again: its response is gone, and showed no event from which it could be resumed.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reader == Reader::None && !self.shape.is_events()
    }

    /// Bytes of events that came while the reader did not take them.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Bytes of all events that wait for the reader.
    pub(super) fn waiting(&self) -> usize {
        self.queued + self.replayed
    }

    /// Whether the reader has not taken what it was offered.
    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether more has come than may wait. What came last does not count, so that one message is always taken.
    pub(super) fn is_over(&self, limit: usize) -> bool {
        let waiting = self.fetching.as_ref().map_or(&self.queue, |fetching| &fetching.live);
        let live = |item: &&Item| item.event.is_some() && item.from == From::Connection;
        let newest = waiting.iter().rev().find(live).map_or(0, Item::size);
        self.queued - newest > limit
    }

    /// When this stream needs to be looked at.
    pub(super) fn poll_timeout(&self, limits: &HttpLimits) -> Option<Timestamp> {
        let shape = if self.reader == Reader::Attached { self.shape.poll_timeout() } else { None };
        let forgotten =
            if self.reader == Reader::None { self.ended.map(|since| since + limits.replay_age) } else { None };
        shape.into_iter().chain(forgotten).min()
    }

    /// A reader begins, or follows another.
    pub(super) fn attach(&mut self) {
        self.reader = Reader::Attached;
        self.readers += 1;
        self.clear();
    }

    /// The reader is gone. What it did not take is with the store, or lost with a response that cannot be resumed.
    pub(super) fn detach(&mut self) {
        self.reader = Reader::None;
        self.fetching = None;
        self.clear();
    }

    fn clear(&mut self) {
        self.queue = VecDeque::new();
        (self.queued, self.replayed) = (0, 0);
    }

    /// The whole response, which is no stream.
    pub(super) fn reply(&mut self, head: Head, body: impl Into<Bytes>) {
        let body = body.into();
        self.queue.push_back(Item::plain(Output::Head(head)));
        if !body.is_empty() {
            self.push(Item::plain(Output::Data(body)));
        }
        self.end_reader();
    }

    /// Accepted, and nothing to say.
    pub(super) fn accept(&mut self) {
        self.reply(Head { status: StatusCode::ACCEPTED, headers: http::HeaderMap::new() }, Bytes::new());
    }

    /// One JSON text.
    pub(super) fn reply_json(&mut self, status: StatusCode, frame: Vec<u8>) {
        self.reply(json_head(status), frame);
    }

    /// Whether a head can go before what is in the queue: only for a response that has not begun.
    pub(super) fn head_mut(&mut self) -> Option<&mut Head> {
        match &mut self.queue.front_mut()?.output {
            Output::Head(head) => Some(head),
            Output::Data(_) | Output::End => None,
        }
    }

    /// The beginning of a stream of events. The comment is there so that proxies which hold the head back until the body begins
    /// let go of it.
    pub(super) fn begin_events(&mut self) {
        self.queue.push_back(Item::plain(Output::Head(events_head())));
        self.push_comment();
    }

    pub(super) fn push_comment(&mut self) {
        let mut text = Vec::with_capacity(4);
        sse::comment(&mut text, "");
        self.push(Item::plain(Output::Data(text.into())));
    }

    /// An event without data, from which the stream can be resumed before anything more is said.
    pub(super) fn prime(&mut self, retry: Duration) {
        let number = self.given.unwrap_or(0);
        let place = EventPlace { stream: self.number, number };
        let (mut text, id) = (Vec::new(), place.id());
        sse::event(&mut text, &Event::new(b"").with_id(id.as_str()).with_retry(retry));
        self.push(Item::event(number, text.into(), From::Connection));
    }

    /// Gives an event its number and its text.
    pub(super) fn number(&mut self, frame: &[u8]) -> (EventPlace, Bytes) {
        let place = EventPlace { stream: self.number, number: self.next_event };
        self.next_event += 1;
        (place, text_of(place, None, frame))
    }

    /// Queues an event for the reader, if there is one.
    pub(super) fn push_event(&mut self, place: EventPlace, text: Bytes) {
        let item = Item::event(place.number, text, From::Connection);
        match (&mut self.fetching, self.reader) {
            (Some(fetching), Reader::Attached) => {
                self.queued += item.size();
                fetching.live.push_back(item);
            }
            (None, Reader::Attached) => self.push(item),
            (_, Reader::Ending | Reader::None) => {}
        }
    }

    /// Queues an event that comes from the store.
    pub(super) fn push_kept(&mut self, place: EventPlace, text: Bytes) {
        self.push(Item::event(place.number, text, From::Store));
    }

    /// Queues something else in the place of an event that is lost.
    pub(super) fn push_instead(&mut self, number: u64, frame: &[u8]) {
        let place = EventPlace { stream: self.number, number };
        self.push_kept(place, text_of(place, None, frame));
    }

    /// Tells the reader that events are missing, from this number up to the one before that.
    pub(super) fn push_gap(&mut self, from: u64, until: u64) {
        let place = EventPlace { stream: self.number, number: until - 1 };
        let text = text_of(place, Some(GAP), format!("{{\"lost\":{}}}", until - from).as_bytes());
        self.push_kept(place, text);
    }

    /// Tells the client when to come back.
    pub(super) fn push_retry(&mut self, retry: Duration) {
        let mut text = Vec::new();
        text.extend_from_slice(format!("retry: {}\n\n", retry.as_millis()).as_bytes());
        self.push(Item::plain(Output::Data(text.into())));
    }

    /// The last thing that the reader is told.
    pub(super) fn end_reader(&mut self) {
        if self.reader == Reader::Attached && self.fetching.is_none() {
            self.queue.push_back(Item::plain(Output::End));
            self.reader = Reader::Ending;
        }
    }

    /// The reader does not keep up: it is told what waits for it, and no more. The rest is with the store.
    pub(super) fn end_early(&mut self) {
        if self.fetching.is_some() {
            return self.cut();
        }
        self.end_reader();
    }

    /// The same of one that cannot be told all that waits for it, either. Its first event stays, so that it has a place to come back to.
    pub(super) fn cut(&mut self) {
        let queue = mem::take(&mut self.queue);
        self.clear();
        self.fetching = None;
        for item in queue {
            let is_event = item.event.is_some();
            self.push(item);
            if is_event {
                break;
            }
        }
        self.end_reader();
    }

    /// The reader is told what comes after this event of the stream, as soon as the store has said what that is.
    pub(super) fn fetch(&mut self, after: u64) {
        self.fetching = Some(Fetching { after, until: self.next_event, live: VecDeque::new() });
    }

    /// The store has answered, and everything of it is queued: what has come meanwhile follows.
    pub(super) fn fetched(&mut self) {
        let Some(fetching) = self.fetching.take() else { return };
        self.queue.extend(fetching.live);
        if self.ended.is_some() {
            self.end_reader();
        }
    }

    /// What the reader is to be told next.
    pub(super) fn pop(&mut self) -> Option<Output> {
        let item = self.queue.pop_front()?;
        match item.from {
            From::Connection => self.queued -= item.size(),
            From::Store => self.replayed -= item.size(),
        }
        if self.queue.is_empty() {
            // An idle stream keeps nothing.
            self.queue = VecDeque::new();
        }
        self.given = self.given.max(item.event);
        Some(item.output)
    }

    /// What is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Due> {
        if self.reader == Reader::Attached { self.shape.take_due(now) } else { None }
    }

    fn push(&mut self, item: Item) {
        match item.from {
            From::Connection => self.queued += item.size(),
            From::Store => self.replayed += item.size(),
        }
        self.queue.push_back(item);
    }
}

/// An event as it is sent.
fn text_of(place: EventPlace, name: Option<&str>, data: &[u8]) -> Bytes {
    let id = place.id();
    let mut text = Vec::with_capacity(data.len() + 48);
    let event = Event { name, ..Event::new(data) };
    sse::event(&mut text, &event.with_id(id.as_str()));
    text.into()
}
