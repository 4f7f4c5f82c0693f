//! One direction of a byte stream in virtual time, with faults.

use std::collections::VecDeque;
use std::time::Duration;

use mcp_proto::Timestamp;

use crate::{Faults, Pieces, Prng};

/// One direction of a byte stream: bytes go in, and come out in order, later and in other pieces.
///
/// It does nothing by itself: whoever simulates puts bytes in, asks when the next are due, and takes them then.
///
/// ```
/// use mcp_sim::{Faults, Link, Prng};
/// use mcp_proto::Timestamp;
///
/// let mut prng = Prng::new(1);
/// let mut link = Link::new(Faults::none());
/// link.send(Timestamp::EPOCH, b"hello", &mut prng);
/// assert_eq!(link.due(), Some(Timestamp::EPOCH));
/// assert_eq!(link.piece(Timestamp::EPOCH, &mut prng), b"hello");
/// link.take(5);
/// assert_eq!(link.due(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Link {
    faults: Faults,
    /// What is on the way: each send with the moment at which it arrives. Moments never fall.
    sends: VecDeque<(Timestamp, Vec<u8>)>,
    /// How much of the first send was taken.
    taken: usize,
    bytes: usize,
    /// The link stands still until then.
    stalled: Timestamp,
    cut: Option<Cut>,
    /// Faults that have happened: bytes in other pieces than sent, delays, stalls, cuts.
    injected: u64,
}

/// How a direction ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What is on the way still arrives, and then the end.
    Closed,
    /// So many bytes of what is on the way still arrive, and then the end: often inside a message, or a character.
    Truncated(u64),
    /// Nothing more arrives, and the transport fails.
    Reset,
}

impl Link {
    /// An empty link.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        let (sends, stalled) = (VecDeque::new(), Timestamp::EPOCH);
        Self { faults, sends, taken: 0, bytes: 0, stalled, cut: None, injected: 0 }
    }

    /// How it behaves.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether it takes more: it is not full, or empty. After a cut it takes everything, and nothing of it arrives.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes < self.faults.capacity || self.cut.is_some()
    }

    /// Bytes on the way.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How often it did something to the bytes.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.injected
    }

    /// How it was cut, if it was.
    #[must_use]
    pub fn was_cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Puts bytes in, all of them: a link that is nearly full takes one send more.
    pub fn send(&mut self, now: Timestamp, bytes: &[u8], prng: &mut Prng) {
        if self.cut.is_some() || bytes.is_empty() {
            return;
        }
        if prng.percent(self.faults.stalls) {
            self.injected += 1;
            let stall = prng.below(nanos(self.faults.stall));
            self.stalled = self.stalled.max(now + Duration::from_nanos(stall));
        }
        let (least, most) = self.faults.latency;
        let latency = Duration::from_nanos(prng.within(nanos(least)..=nanos(most)));
        self.injected += u64::from(!latency.is_zero());
        let arrives = self.sends.back().map_or(now + latency, |(last, _)| (now + latency).max(*last));
        self.bytes += bytes.len();
        self.sends.push_back((arrives, bytes.to_vec()));
    }

    /// When something arrives next; `None` while nothing is on the way.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.sends.front().map(|(arrives, _)| (*arrives).max(self.stalled))
    }

    /// Whether all has arrived, and then the end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.cut.is_some() && self.sends.is_empty()
    }

    /// What has arrived: the next piece, empty if there is none. [`take`](Self::take) takes it, or the front of it.
    pub fn piece(&mut self, now: Timestamp, prng: &mut Prng) -> &[u8] {
        if self.due().is_none_or(|due| due > now) {
            return &[];
        }
        if self.faults.pieces == Pieces::Merged {
            self.merge(now);
        }
        let Some((_, first)) = self.sends.front() else { return &[] };
        let there = &first[self.taken..];
        let piece = match self.faults.pieces {
            Pieces::Whole | Pieces::Merged => there.len(),
            Pieces::Small(most) => 1 + prng.below(most) as usize,
            Pieces::Single => 1,
            Pieces::SplitUtf8 => match there.iter().position(|byte| *byte >= 0xC0) {
                // The first byte of a character, and not the rest of it.
                Some(at) => at + 1,
                None => 1 + prng.below(there.len() as u64) as usize,
            },
        };
        self.injected += u64::from(self.taken == 0 && piece < there.len());
        &there[..piece.min(there.len())]
    }

    /// Takes so many bytes of the piece.
    pub fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.bytes -= bytes;
        if self.sends.front().is_some_and(|(_, first)| first.len() <= self.taken) {
            self.sends.pop_front();
            self.taken = 0;
        }
    }

    /// Cuts it. A link is cut once.
    pub fn cut(&mut self, cut: Cut) {
        if self.cut.is_some() {
            return;
        }
        self.injected += 1;
        self.cut = Some(cut);
        let keep = match cut {
            Cut::Closed => return,
            Cut::Truncated(bytes) => self.bytes.min(bytes as usize),
            Cut::Reset => 0,
        };
        let mut surplus = self.bytes - keep;
        self.bytes = keep;
        while surplus > 0
            && let Some((_, last)) = self.sends.back_mut()
        {
            let dropped = surplus.min(last.len());
            last.truncate(last.len() - dropped);
            surplus -= dropped;
            let is_empty = last.len() <= if self.sends.len() == 1 { self.taken } else { 0 };
            if is_empty {
                self.sends.pop_back();
            }
        }
        if self.sends.is_empty() {
            self.taken = 0;
        }
    }

    /// From now on it has no faults, and what stood still moves on.
    pub fn heal(&mut self, now: Timestamp) {
        self.faults = Faults { capacity: self.faults.capacity.max(64 * 1024), ..Faults::none() };
        self.stalled = self.stalled.min(now);
        for (arrives, _) in &mut self.sends {
            *arrives = (*arrives).min(now);
        }
    }

    fn merge(&mut self, now: Timestamp) {
        while self.sends.len() > 1 && self.sends[1].0 <= now {
            let Some((arrives, mut first)) = self.sends.pop_front() else { return };
            let Some((_, second)) = self.sends.pop_front() else { return };
            first.extend(second);
            self.sends.push_front((arrives, first));
            self.injected += 1;
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(link: &mut Link, prng: &mut Prng) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(due) = link.due() {
            let piece = link.piece(due, prng).to_vec();
            assert!(!piece.is_empty(), "what is due arrives");
            link.take(piece.len());
            all.extend(piece);
        }
        assert_eq!(link.bytes(), 0);
        all
    }

    #[test]
    fn whatever_the_faults_all_bytes_arrive_in_order() {
        for seed in 0..200 {
            let mut prng = Prng::new(seed);
            let mut link = Link::new(Faults::draw(&mut prng));
            let sent: Vec<Vec<u8>> = (0..20).map(|n| format!("line {n} äöü \u{1F600}\n").into_bytes()).collect();
            for (at, bytes) in sent.iter().enumerate() {
                link.send(Timestamp::from_nanos(at as u64 * 1000), bytes, &mut prng);
            }
            assert_eq!(arrived(&mut link, &mut prng), sent.concat(), "seed {seed}");
        }
    }

    #[test]
    fn a_cut_ends_it_where_it_says() {
        let now = Timestamp::EPOCH;
        for (cut, left) in [
            (Cut::Closed, 10),
            (Cut::Truncated(7), 7),
            (Cut::Truncated(5), 5),
            (Cut::Truncated(99), 10),
            (Cut::Reset, 0),
        ] {
            let mut prng = Prng::new(1);
            let mut link = Link::new(Faults::none());
            link.send(now, b"01234", &mut prng);
            link.send(now, b"56789", &mut prng);
            assert_eq!(link.piece(now, &mut prng).len(), 5);
            link.cut(cut);
            link.send(now, b"lost", &mut prng);
            assert_eq!(arrived(&mut link, &mut prng).len(), left, "{cut:?}");
            assert!(link.has_ended());
        }
    }

    #[test]
    fn a_cut_inside_what_was_partly_taken() {
        let mut prng = Prng::new(1);
        let mut link = Link::new(Faults::none());
        link.send(Timestamp::EPOCH, b"0123456789", &mut prng);
        link.take(4);
        link.cut(Cut::Truncated(3));
        assert_eq!(arrived(&mut link, &mut prng), b"456");
    }

    #[test]
    fn characters_are_split() {
        let mut prng = Prng::new(1);
        let mut link = Link::new(Faults { pieces: Pieces::SplitUtf8, ..Faults::none() });
        link.send(Timestamp::EPOCH, "aé".as_bytes(), &mut prng);
        assert_eq!(link.piece(Timestamp::EPOCH, &mut prng), [b'a', 0xC3]);
    }
}
