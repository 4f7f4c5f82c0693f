//! The deadlines of a connection that are not a call's.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Why a connection wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Output stayed over its limit without progress: the peer is given up.
    Stall,
    /// The time to finish what is in work after the end of input or `close` is over.
    Drain,
    /// The application was shown an `initialize` and has not answered it.
    Verdict,
}

impl Timer {
    pub(super) const ALL: [Self; 3] = [Self::Stall, Self::Drain, Self::Verdict];
}

/// One slot per kind of timer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Timers([Option<Timestamp>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Timestamp) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn set_earlier(&mut self, timer: Timer, at: Timestamp) {
        let slot = &mut self.0[timer as usize];
        *slot = Some(slot.map_or(at, |set| set.min(at)));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one timer that is due. Judged by `now` alone, not by which sleep has fired.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Timer> {
        let due = Timer::ALL.into_iter().find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.stop(due);
        Some(due)
    }
}
