//! A runtime for this room's unit tests: time passes when the test says so, and tasks run when it lets them.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::Timestamp;
use crate::runtime::{Runtime, Spawn};
use crate::stream::BoxFuture;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Paused(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: AtomicU64,
    sleepers: Mutex<Vec<Waker>>,
    tasks: Mutex<Vec<BoxFuture<()>>>,
    woken: AtomicBool,
}

impl Paused {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Lets so much time pass, then everybody do what is due.
    pub(super) fn pass(&self, time: Duration) {
        self.0.now.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.0.sleepers.lock().unwrap());
        sleepers.into_iter().for_each(Waker::wake);
        self.settle();
    }

    /// Lets the tasks run until none of them has anything to do.
    pub(super) fn settle(&self) {
        let waker = Waker::from(Arc::clone(&self.0));
        let mut cx = Context::from_waker(&waker);
        let mut tasks = Vec::new();
        loop {
            self.0.woken.store(false, Ordering::SeqCst);
            tasks.append(&mut self.0.tasks.lock().unwrap());
            tasks.retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
            if !self.0.woken.load(Ordering::SeqCst) && self.0.tasks.lock().unwrap().is_empty() {
                break;
            }
        }
        *self.0.tasks.lock().unwrap() = tasks;
    }

    /// How many tasks have not ended.
    pub(super) fn tasks(&self) -> usize {
        self.0.tasks.lock().unwrap().len()
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
    }
}

impl Runtime for Paused {
    type Sleep = Sleep;

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Sleep { runtime: self.clone(), deadline }
    }
}

impl Spawn for Paused {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.lock().unwrap().push(Box::pin(task));
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

pub(super) struct Sleep {
    runtime: Paused,
    deadline: Timestamp,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.runtime.now() >= self.deadline {
            return Poll::Ready(());
        }
        self.runtime.0.sleepers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }
}
