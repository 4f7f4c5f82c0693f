//! Time as a plain value: the core is told what time it is and never asks.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in nanoseconds since the Unix epoch as the driver knows it.
///
/// A driver anchors it once to the wall clock and lets it run monotonically from there, so that it can be compared,
/// printed, stored and replayed. A [`Connection`](crate::Connection) that is given an earlier moment than it has
/// already seen goes on with the later one.
///
/// The range ends in the year 2554; arithmetic saturates there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch, which is also where tests and simulations may start.
    pub const EPOCH: Self = Self(0);

    /// The moment `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The next multiple of `step` at or after this moment, so that many close deadlines share one.
    pub(crate) fn round_up(self, step: Duration) -> Self {
        let step = nanos(step).max(1);
        Self(self.0.checked_next_multiple_of(step).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_nanos(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Timestamp::EPOCH + Duration::MAX, end);
        assert_eq!(Timestamp::EPOCH.saturating_since(end), Duration::ZERO);
        assert_eq!(end.round_up(Duration::from_millis(16)), end);
        assert_eq!(Timestamp::from_nanos(17).round_up(Duration::from_nanos(16)), Timestamp::from_nanos(32));
        assert_eq!(Timestamp::from_nanos(32).round_up(Duration::from_nanos(16)), Timestamp::from_nanos(32));
    }
}
