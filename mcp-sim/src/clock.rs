//! Virtual time: what happens when, and in which order what happens at the same moment.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_proto::Timestamp;

use crate::Prng;

/// A virtual clock and what is due on it. Taking the next thing moves the clock to its moment; nothing else does.
///
/// Things of the same moment come in an order drawn from the seed, so that many runs try many orders.
///
/// ```
/// use mcp_sim::Schedule;
/// use std::time::Duration;
///
/// let mut schedule = Schedule::new(1);
/// schedule.after(Duration::from_secs(3600), "late");
/// schedule.after(Duration::from_millis(1), "soon");
/// assert_eq!(schedule.next(), Some("soon"));
/// assert_eq!(schedule.next(), Some("late"));
/// assert_eq!(schedule.now().as_nanos(), 3_600_000_000_000);
/// ```
#[derive(Clone, Debug)]
pub struct Schedule<T> {
    now: Timestamp,
    due: BTreeMap<Place, T>,
    order: Prng,
    serial: u64,
}

/// The moment of a thing, its drawn place among those of that moment, and a serial that makes it unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Timestamp, u32, u64);

impl<T> Schedule<T> {
    /// An empty one at the epoch.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { now: Timestamp::EPOCH, due: BTreeMap::new(), order: Prng::of(seed, "order"), serial: 0 }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Puts a thing at its moment; one of the past is due now. The place is for [`remove`](Self::remove).
    pub fn at(&mut self, moment: Timestamp, thing: T) -> Place {
        let place = Place(moment.max(self.now), self.order.any() as u32, self.serial);
        self.serial += 1;
        self.due.insert(place, thing);
        place
    }

    /// Puts a thing so long after now.
    pub fn after(&mut self, delay: Duration, thing: T) -> Place {
        self.at(self.now + delay, thing)
    }

    /// Takes a thing back, if it has not come yet.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        self.due.remove(&place)
    }

    /// When the next thing comes.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|(Place(moment, ..), _)| *moment)
    }

    /// Takes the next thing and moves the clock to its moment.
    #[allow(clippy::should_implement_trait, reason = "things are put in while it is used, which no iterator allows")]
    pub fn next(&mut self) -> Option<T> {
        let (Place(moment, ..), thing) = self.due.pop_first()?;
        self.now = moment;
        Some(thing)
    }

    /// Whether nothing is due, ever.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_only_goes_on() {
        let mut schedule = Schedule::new(3);
        schedule.after(Duration::from_secs(2), 2);
        assert_eq!(schedule.next(), Some(2));
        schedule.at(Timestamp::EPOCH, 1);
        assert_eq!(schedule.next(), Some(1));
        assert_eq!(schedule.now(), Timestamp::EPOCH + Duration::from_secs(2));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn the_order_of_one_moment_depends_on_the_seed_alone() {
        let order = |seed| {
            let mut schedule = Schedule::new(seed);
            for thing in 0..8 {
                schedule.after(Duration::ZERO, thing);
            }
            std::iter::from_fn(|| schedule.next()).collect::<Vec<i32>>()
        };
        assert_eq!(order(1), order(1));
        assert!((2..10).any(|seed| order(seed) != order(1)));
    }

    #[test]
    fn what_is_taken_back_does_not_come() {
        let mut schedule = Schedule::new(1);
        let place = schedule.after(Duration::ZERO, "a");
        assert_eq!(schedule.remove(place), Some("a"));
        assert!(schedule.remove(place).is_none() && schedule.is_empty() && schedule.next_at().is_none());
    }
}
