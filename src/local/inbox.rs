//! What reaches a [`Local`](super::Local) from any thread: calls, tasks, and the news that a task can go on.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use super::Home;
use crate::stream::BoxFuture;

/// Something to be begun at home.
pub(super) enum Job {
    Task(BoxFuture<()>),
    /// Makes there what is to be awaited there.
    Call(Box<dyn FnOnce(&Home) -> LocalFuture + Send>),
}

/// What only its own thread polls.
type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// See the module. As elsewhere, nothing of the user's runs, wakes or drops under the lock.
#[derive(Default)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    ready: VecDeque<u64>,
    /// Whoever runs what is in there.
    home: Option<Waker>,
    is_closed: bool,
}

impl Inbox {
    /// Sends something there; if that place is gone, it is dropped.
    pub(super) fn push(&self, job: Job) {
        let mut state = self.lock();
        if state.is_closed {
            drop(state);
            drop(job);
            return;
        }
        state.jobs.push_back(job);
        let home = state.home.clone();
        drop(state);
        home.into_iter().for_each(Waker::wake);
    }

    /// All that has come.
    pub(super) fn jobs(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.lock().jobs)
    }

    pub(super) fn next_ready(&self) -> Option<u64> {
        self.lock().ready.pop_front()
    }

    /// Who is to be woken from now on.
    pub(super) fn wake_by(&self, waker: &Waker) {
        let fresh = waker.clone();
        let replaced = self.lock().home.replace(fresh);
        drop(replaced);
    }

    /// The end; what is left is for the caller to drop.
    pub(super) fn close(&self) -> impl Sized {
        let mut state = self.lock();
        state.is_closed = true;
        (std::mem::take(&mut state.jobs), state.home.take())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing of the user's runs under it, and a list of what has come is right in any state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// Tells that a task can go on: once, until it is polled.
pub(super) struct TaskWaker {
    id: u64,
    inbox: Arc<Inbox>,
    is_told: AtomicBool,
}

impl TaskWaker {
    pub(super) fn new(id: u64, inbox: &Arc<Inbox>) -> Arc<Self> {
        Arc::new(Self { id, inbox: Arc::clone(inbox), is_told: AtomicBool::new(false) })
    }

    /// The task is about to be polled: what is told from now on is news again.
    pub(super) fn polled(&self) {
        self.is_told.store(false, Ordering::Release);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_told.swap(true, Ordering::AcqRel) {
            return;
        }
        let home = {
            let mut state = self.inbox.lock();
            if !state.is_closed {
                state.ready.push_back(self.id);
            }
            state.home.clone()
        };
        home.into_iter().for_each(Waker::wake);
    }
}
