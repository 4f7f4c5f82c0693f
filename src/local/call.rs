//! One call of a function that stays: asked for here or there, worked on at home, awaited wherever.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::stream::drop_contained;

/// What became of the work: its value, or with what it panicked.
type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// What both ends share. As elsewhere, nothing of the user's runs, wakes or drops under its lock.
struct Slot<T>(Mutex<State<T>>);

struct State<T> {
    outcome: Option<Outcome<T>>,
    /// Nobody works on it any more.
    is_given_up: bool,
    /// Nobody waits for it any more.
    is_unwanted: bool,
    waiting: Option<Waker>,
    working: Option<Waker>,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of those who work on it.
pub(super) struct Asked<T>(Arc<Slot<T>>);

impl<T> Asked<T> {
    pub(super) fn new() -> (Self, Away<T>) {
        let state = State { outcome: None, is_given_up: false, is_unwanted: false, waiting: None, working: None };
        let slot = Arc::new(Slot(Mutex::new(state)));
        (Self(Arc::clone(&slot)), Away(slot))
    }

    /// Whether nobody waits any more; if somebody does, `cx` is woken once that changes.
    fn is_unwanted(&self, cx: &Context<'_>) -> bool {
        let fresh = cx.waker().clone();
        let (is_unwanted, replaced) = {
            let mut state = self.0.lock();
            (state.is_unwanted, state.working.replace(fresh))
        };
        drop(replaced);
        is_unwanted
    }

    fn give(&self, outcome: Outcome<T>) {
        let (unwanted, waiting) = {
            let mut state = self.0.lock();
            let unwanted = if state.is_unwanted { Some(outcome) } else { state.outcome.replace(outcome) };
            (unwanted, state.waiting.take())
        };
        drop_contained(unwanted);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for Asked<T> {
    fn drop(&mut self) {
        let (waiting, working) = {
            let mut state = self.0.lock();
            state.is_given_up = true;
            (state.waiting.take(), state.working.take())
        };
        drop(working);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The work, at home.
pub(super) struct Call<T, F> {
    asked: Asked<T>,
    /// `None` once it has ended.
    future: Option<Pin<Box<F>>>,
}

impl<T, F: Future<Output = T>> Call<T, F> {
    pub(super) fn new(asked: Asked<T>, future: F) -> Self {
        Self { asked, future: Some(Box::pin(future)) }
    }
}

impl<T, F: Future<Output = T>> Future for Call<T, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { asked, future: slot } = &mut *self;
        let Some(future) = slot else { return Poll::Ready(()) };
        if asked.is_unwanted(cx) {
            drop_contained(slot.take());
            return Poll::Ready(());
        }
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(panic) => Err(panic),
        };
        drop_contained(slot.take());
        asked.give(outcome);
        Poll::Ready(())
    }
}

/// The future of a function that stays elsewhere, in a [`Local`](super::Local). Dropping it ends the work there.
///
/// It panics if the function does, or if the place where it stays is gone; a server answers that with an error (−32603).
#[must_use = "a call that is dropped is not worked on"]
pub struct Away<T>(Arc<Slot<T>>);

impl<T> Future for Away<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let fresh = cx.waker().clone();
        let (outcome, is_given_up, replaced) = {
            let mut state = self.0.lock();
            (state.outcome.take(), state.is_given_up, state.waiting.replace(fresh))
        };
        drop(replaced);
        match outcome {
            Some(Ok(value)) => Poll::Ready(value),
            Some(Err(panic)) => resume_unwind(panic),
            None if is_given_up => panic!("the place where this function stays is gone"),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Away<T> {
    fn drop(&mut self) {
        let (outcome, waiting, working) = {
            let mut state = self.0.lock();
            state.is_unwanted = true;
            (state.outcome.take(), state.waiting.take(), state.working.take())
        };
        drop((outcome, waiting));
        working.into_iter().for_each(Waker::wake);
    }
}

impl<T> fmt::Debug for Away<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Away").finish_non_exhaustive()
    }
}
