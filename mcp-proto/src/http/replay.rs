//! What is kept of streams of events for whoever lost one: the place of an event, what a store is asked to do, and the bounded
//! store in memory.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::ids::EventId;
use super::limits::HttpLimits;
use super::session::StreamKey;
use crate::Timestamp;

/// Where an event stands: in which stream of its session, and as which one of it. Its [`EventId`] says this in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPlace {
    /// The number of the stream; 0 is the one of GET.
    pub stream: u64,
    /// The number of the event in its stream. Consecutive, so that a gap shows.
    pub number: u64,
}

impl EventPlace {
    /// The place that an id names; `None` if it is none of ours.
    #[must_use]
    pub fn of(id: &EventId) -> Option<Self> {
        let (stream, number) = id.as_str().split_once('-')?;
        let place = Self { stream: digits(stream)?, number: digits(number)? };
        Some(place)
    }

    /// Its id.
    #[must_use]
    pub fn id(self) -> EventId {
        EventId::of(self.stream, self.number)
    }
}

/// Decimal, and written in one way only, so that equal ids are equal texts.
fn digits(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (format!("{number}") == text).then_some(number)
}

/// What an event means to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something on the way to the answer.
    Remark,
    /// The answer: kept longest.
    Answer,
}

/// One event, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands.
    pub place: EventPlace,
    /// What it means.
    pub weight: Weight,
    /// Its text, its id and the empty line at its end included.
    pub text: Bytes,
}

/// What a store is asked to do. In order; only [`Fetch`](Self::Fetch) is answered, with
/// [`Session::handle_fetched`](super::session::Session::handle_fetched).
///
/// A store may lose things: what is missing is told to the client as a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreCommand {
    /// Keep this.
    Persist(Stored),
    /// This stream has ended and all of it was handed to its client: it is the first that may be forgotten.
    Delivered {
        /// Its number.
        stream: u64,
    },
    /// The client has this event and all before it: nobody will ask for them again.
    Discard {
        /// The last of them.
        up_to: EventPlace,
    },
    /// Nobody will ask for anything of this stream again.
    Forget {
        /// Its number.
        stream: u64,
    },
    /// Whoever reads wants what comes after this event in its stream.
    Fetch {
        /// Who.
        reader: StreamKey,
        /// The last event that it has.
        after: EventPlace,
    },
}

/// The store in memory: bounded in bytes and in time.
///
/// Over its limit, first goes what was delivered to its end, then the oldest of what is no answer, then the oldest answer. One
/// answer that is larger than all that is kept alone.
#[derive(Clone, Debug)]
pub struct Replay {
    limit: usize,
    age: Duration,
    bytes: usize,
    kept: BTreeMap<EventPlace, Kept>,
    /// In the order in which they came, for each rank. The first rank goes first.
    order: [BTreeMap<u64, EventPlace>; RANKS],
    delivered: BTreeSet<u64>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    /// Under which number it stands in which order.
    rank: usize,
    turn: u64,
    since: Timestamp,
    weight: Weight,
    text: Bytes,
}

const RANKS: usize = 3;
const DELIVERED: usize = 0;

/// What an event costs beside its text.
const OVERHEAD: usize = 160;

impl Replay {
    /// An empty store, with the limits for one session.
    #[must_use]
    pub fn new(limits: &HttpLimits) -> Self {
        Self {
            limit: limits.replay,
            age: limits.replay_age,
            bytes: 0,
            kept: BTreeMap::new(),
            order: Default::default(),
            delivered: BTreeSet::new(),
            next: 0,
        }
    }

    /// Does what is asked. What was asked for, if it was a question.
    pub fn carry_out(&mut self, now: Timestamp, command: StoreCommand) -> Option<(StreamKey, Vec<Stored>)> {
        self.expire(now);
        match command {
            StoreCommand::Persist(event) => self.persist(now, event),
            StoreCommand::Delivered { stream } => self.delivered(stream),
            StoreCommand::Discard { up_to } => self.remove_range(EventPlace { number: 0, ..up_to }, up_to),
            StoreCommand::Forget { stream } => {
                self.remove_range(EventPlace { stream, number: 0 }, EventPlace { stream, number: u64::MAX });
                self.delivered.remove(&stream);
            }
            StoreCommand::Fetch { reader, after } => return Some((reader, self.after(after))),
        }
        None
    }

    /// When something has been kept long enough.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.oldest().map(|(_, since)| since + self.age)
    }

    /// Forgets what has been kept long enough.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((place, since)) = self.oldest()
            && since + self.age <= now
        {
            self.remove(place);
        }
    }

    /// Bytes that are held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn persist(&mut self, now: Timestamp, event: Stored) {
        let Stored { place, weight, text } = event;
        self.remove(place);
        let rank = if self.delivered.contains(&place.stream) { DELIVERED } else { 1 + weight as usize };
        self.bytes += text.len() + OVERHEAD;
        self.order[rank].insert(self.next, place);
        self.kept.insert(place, Kept { rank, turn: self.next, since: now, weight, text });
        self.next += 1;
        while self.bytes > self.limit
            && let Some(first) = self.first_to_go()
        {
            let is_answer = self.kept.get(&first).is_some_and(|kept| kept.weight == Weight::Answer);
            if self.kept.len() == 1 && is_answer {
                break;
            }
            self.remove(first);
        }
    }

    fn delivered(&mut self, stream: u64) {
        let all = EventPlace { stream, number: 0 }..=EventPlace { stream, number: u64::MAX };
        let mut some = false;
        for (place, kept) in self.kept.range_mut(all) {
            self.order[kept.rank].remove(&kept.turn);
            kept.rank = DELIVERED;
            self.order[DELIVERED].insert(kept.turn, *place);
            some = true;
        }
        if some {
            self.delivered.insert(stream);
        }
    }

    fn after(&self, after: EventPlace) -> Vec<Stored> {
        let rest = EventPlace { number: after.number.saturating_add(1), ..after }..=EventPlace {
            stream: after.stream,
            number: u64::MAX,
        };
        let stored = |(place, kept): (&EventPlace, &Kept)| Stored {
            place: *place,
            weight: kept.weight,
            text: kept.text.clone(),
        };
        self.kept.range(rest).map(stored).collect()
    }

    fn remove_range(&mut self, from: EventPlace, to: EventPlace) {
        while let Some((place, _)) = self.kept.range(from..=to).next() {
            self.remove(*place);
        }
    }

    fn remove(&mut self, place: EventPlace) {
        let Some(kept) = self.kept.remove(&place) else { return };
        self.bytes -= kept.text.len() + OVERHEAD;
        self.order[kept.rank].remove(&kept.turn);
        let all = EventPlace { number: 0, ..place }..=EventPlace { number: u64::MAX, ..place };
        if kept.rank == DELIVERED && self.kept.range(all).next().is_none() {
            self.delivered.remove(&place.stream);
        }
        if self.kept.is_empty() {
            // An empty table keeps its first node, and most sessions keep nothing most of the time.
            (self.kept, self.order) = (BTreeMap::new(), Default::default());
            self.delivered = BTreeSet::new();
        }
    }

    fn first_to_go(&self) -> Option<EventPlace> {
        self.order.iter().find_map(|order| order.values().next().copied())
    }

    /// What came first of all, and when. Of each rank the first is the oldest.
    fn oldest(&self) -> Option<(EventPlace, Timestamp)> {
        let firsts = self.order.iter().filter_map(|order| order.first_key_value());
        let (_, place) = firsts.min_by_key(|(turn, _)| **turn)?;
        self.kept.get(place).map(|kept| (*place, kept.since))
    }
}

#[cfg(test)]
mod tests;
