//! The life of a server: its start hook, its state, its stop hook, each once however many connections there are.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::context::States;
use crate::stream::BoxFuture;
use crate::{Error, Result};

type Start = Arc<dyn Fn(Arc<States>) -> BoxFuture<Result<(), String>> + Send + Sync>;
type Stop = Arc<dyn Fn(Arc<States>) -> BoxFuture<()> + Send + Sync>;

/// Shared by all clones of a server.
#[derive(Clone, Default)]
pub(super) struct Life {
    start: Option<Start>,
    stop: Option<Stop>,
    states: Arc<States>,
    phase: Arc<Mutex<Phase>>,
}

#[derive(Default)]
struct Phase {
    leases: usize,
    step: Step,
    waiting: Vec<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Stopped,
    /// A hook is running; whoever comes meanwhile waits.
    Changing,
    Started,
}

impl Life {
    /// The same hooks and values for another server, which is not started yet.
    pub(super) fn fork(&self) -> Self {
        let (start, stop) = (self.start.clone(), self.stop.clone());
        Self { start, stop, states: Arc::new(self.states.fork()), phase: Arc::default() }
    }

    pub(super) fn states(&self) -> &Arc<States> {
        &self.states
    }

    pub(super) fn on_start<T, E, Fut>(&mut self, start: impl Fn() -> Fut + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        E: fmt::Display,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.start = Some(Arc::new(move |states| {
            let started = start();
            Box::pin(async move {
                let value = started.await.map_err(|error| format!("{error:#}"))?;
                drop(states.insert(Arc::new(value)));
                Ok(())
            })
        }));
    }

    pub(super) fn on_stop<T, Fut>(&mut self, stop: impl Fn(Arc<T>) -> Fut + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let stop = Arc::new(stop);
        self.stop = Some(Arc::new(move |states| {
            let stop = Arc::clone(&stop);
            Box::pin(async move {
                if let Some(state) = states.find::<T>() {
                    stop(state).await;
                }
            })
        }));
    }

    /// Starts the server, or waits until somebody else has.
    pub(super) async fn enter(&self) -> Result<Lease> {
        let is_first = std::future::poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut phase = self.phase();
            match phase.step {
                Step::Started => {
                    phase.leases += 1;
                    Poll::Ready(false)
                }
                Step::Stopped => {
                    phase.leases += 1;
                    phase.step = Step::Changing;
                    Poll::Ready(true)
                }
                Step::Changing => {
                    phase.waiting.push(waker);
                    Poll::Pending
                }
            }
        })
        .await;
        let mut lease = Lease { life: self.clone(), step: Step::Started, has_left: false };
        if is_first {
            // If this future is dropped in the middle, the lease takes everything back.
            lease.step = Step::Stopped;
            if let Some(start) = &self.start {
                start(Arc::clone(&self.states)).await.map_err(Error::Start)?;
            }
            lease.step = Step::Started;
            self.change(Step::Started);
        }
        Ok(lease)
    }

    fn change(&self, step: Step) {
        let waiting = {
            let mut phase = self.phase();
            phase.step = step;
            std::mem::take(&mut phase.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        // Nothing can panic while it is held.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a server started. A lease that is dropped instead of left gives its place back without running the stop hook,
/// since a drop cannot wait.
pub(crate) struct Lease {
    life: Life,
    /// What the server is in once this lease, as the last one, is dropped.
    step: Step,
    has_left: bool,
}

impl Lease {
    /// Gives the place back; runs the stop hook if it was the last.
    pub(crate) async fn leave(mut self) {
        let is_last = {
            let mut phase = self.life.phase();
            let is_last = phase.leases == 1;
            if is_last {
                phase.step = Step::Changing;
            } else {
                // Here and not in the drop: of two that leave at once one has to see that it is the last.
                phase.leases -= 1;
                self.has_left = true;
            }
            is_last
        };
        if is_last {
            self.step = Step::Stopped;
            if let Some(stop) = &self.life.stop {
                stop(Arc::clone(&self.life.states)).await;
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        let is_last = {
            let mut phase = self.life.phase();
            phase.leases -= 1;
            phase.leases == 0
        };
        if is_last || self.step == Step::Stopped {
            self.life.change(Step::Stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use futures_lite::future::block_on;

    use super::*;

    /// Neither took itself for the last, so that the stop hook never ran.
    #[test]
    fn of_two_that_leave_at_once_one_is_the_last() {
        let stops = Arc::new(AtomicUsize::new(0));
        let mut life = Life::default();
        life.on_start::<_, String, _>(async || Ok(0u8));
        let counts = Arc::clone(&stops);
        life.on_stop(move |_: Arc<u8>| {
            counts.fetch_add(1, Ordering::SeqCst);
            std::future::ready(())
        });
        const ROUNDS: usize = 2000;
        for _ in 0..ROUNDS {
            let leases = [block_on(life.enter()).unwrap(), block_on(life.enter()).unwrap()];
            let barrier = Barrier::new(2);
            thread::scope(|scope| {
                for lease in leases {
                    scope.spawn(|| {
                        barrier.wait();
                        block_on(lease.leave());
                    });
                }
            });
        }
        assert_eq!(stops.load(Ordering::SeqCst), ROUNDS);
    }
}
