//! What a link does to the bytes that go over it.

use std::fmt;
use std::time::Duration;

use crate::Prng;

/// How a link behaves. None of this loses or changes bytes; for that a link is [cut](crate::Link::cut).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    /// In what pieces bytes arrive.
    pub pieces: Pieces,
    /// The shortest and the longest time on the way.
    pub latency: (Duration, Duration),
    /// In how many of a hundred sends the link then stands still.
    pub stalls: u64,
    /// For how long at most.
    pub stall: Duration,
    /// Bytes that fit on the way; a full link takes no more.
    pub capacity: usize,
}

/// In what pieces bytes arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pieces {
    /// As they were sent.
    #[default]
    Whole,
    /// All that is there at once, however often it was sent.
    Merged,
    /// So many bytes at most, the number drawn for each piece.
    Small(u64),
    /// One byte at a time.
    Single,
    /// Cut inside a character that takes several bytes, where there is one; inside a line in any case.
    SplitUtf8,
}

impl Faults {
    /// A link that is quick, and gives back what was put in.
    #[must_use]
    pub fn none() -> Self {
        let latency = (Duration::ZERO, Duration::ZERO);
        Self { pieces: Pieces::Whole, latency, stalls: 0, stall: Duration::ZERO, capacity: 64 * 1024 }
    }

    /// Faults drawn from a seed: each kind is there in some draws and not in others.
    #[must_use]
    pub fn draw(prng: &mut Prng) -> Self {
        let pieces =
            [Pieces::Whole, Pieces::Merged, Pieces::Small(7), Pieces::Small(300), Pieces::Single, Pieces::SplitUtf8];
        let latency = prng.pick(&[(0, 0), (0, 5), (1, 80), (50, 2000)]);
        let (stalls, stall) = prng.pick(&[(0, 0), (0, 0), (2, 3_000), (5, 20_000), (1, 90_000)]);
        let millis = Duration::from_millis;
        Self {
            pieces: prng.pick(&pieces),
            latency: (millis(latency.0), millis(latency.1)),
            stalls,
            stall: millis(stall),
            capacity: prng.pick(&[200, 4 * 1024, 64 * 1024, 64 * 1024]),
        }
    }

    /// Whether what is sent arrives soon: within a second or so.
    #[must_use]
    pub fn are_mild(&self) -> bool {
        self.stalls == 0 && self.latency.1 <= Duration::from_millis(100)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pieces, latency, stalls, stall, capacity } = self;
        write!(f, "{pieces:?}, {latency:?}, {stalls}% stalls of up to {stall:?}, {capacity} bytes")
    }
}
