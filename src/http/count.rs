//! How many requests are in work: on a connection, and on all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts requests from their head to the end of their response.
#[derive(Debug, Default)]
pub(super) struct Count {
    here: AtomicUsize,
    /// What this is a part of.
    whole: Option<Arc<Count>>,
}

impl Count {
    /// A part of `whole`, which counts there as well.
    pub(super) fn part_of(whole: &Arc<Self>) -> Self {
        Self { here: AtomicUsize::new(0), whole: Some(Arc::clone(whole)) }
    }

    pub(super) fn get(&self) -> usize {
        self.here.load(Ordering::Relaxed)
    }

    /// One more, until the place is dropped.
    pub(super) fn take(self: &Arc<Self>) -> Place {
        self.each(|here| _ = here.fetch_add(1, Ordering::Relaxed));
        Place(Arc::clone(self))
    }

    fn each(&self, change: impl Fn(&AtomicUsize)) {
        let mut count = Some(self);
        while let Some(here) = count {
            change(&here.here);
            count = here.whole.as_deref();
        }
    }
}

/// A request in work.
#[derive(Debug)]
pub(super) struct Place(Arc<Count>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.each(|here| _ = here.fetch_sub(1, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_work_counts_on_the_connection_and_on_all() {
        let all = Arc::new(Count::default());
        let (one, other) = (Arc::new(Count::part_of(&all)), Arc::new(Count::part_of(&all)));
        let places = [one.take(), one.take(), other.take()];
        assert_eq!((one.get(), other.get(), all.get()), (2, 1, 3));
        drop(places);
        assert_eq!((one.get(), other.get(), all.get()), (0, 0, 0));
    }
}
