//! Tasks that wait for something to change, some of them not for ever.

use std::task::Waker;

use mcp_proto::Timestamp;

/// Who waits, and until when. It lives under a lock, so wakers that leave it are handed out, to be woken or dropped outside.
#[derive(Default)]
pub(super) struct Waiting(Vec<(Option<Timestamp>, Waker)>);

impl Waiting {
    /// One entry for each task, however often it looks and however many of its calls wait. What it returns is to be dropped
    /// outside the lock.
    #[must_use]
    pub(super) fn add(&mut self, until: Option<Timestamp>, waker: Waker) -> Option<Waker> {
        match self.0.iter_mut().find(|(_, known)| known.will_wake(&waker)) {
            Some((known, _)) => {
                *known = [*known, until].into_iter().flatten().min();
                Some(waker)
            }
            None => {
                self.0.push((until, waker));
                None
            }
        }
    }

    /// When the first of them has waited long enough.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|(until, _)| *until).min()
    }

    /// Those who have waited long enough.
    pub(super) fn expired(&mut self, now: Timestamp) -> impl Iterator<Item = Waker> + use<> {
        let is_over = |(until, _): &mut (Option<Timestamp>, Waker)| until.is_some_and(|until| until <= now);
        self.0.extract_if(.., is_over).map(|(_, waker)| waker).collect::<Vec<_>>().into_iter()
    }

    /// All of them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(_, waker)| waker)
    }
}
