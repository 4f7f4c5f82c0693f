//! hyper's timer: without one its deadlines are silently off.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::Timestamp;
use crate::runtime::Runtime;

/// The timer of a runtime. Its moments are those of the runtime's clock, which may be simulated or paused: told to hyper as instants from
/// the timer's making on.
#[derive(Clone, Copy, Debug)]
pub(super) struct HyperTimer<R> {
    runtime: R,
    start: Timestamp,
    instant: Instant,
}

impl<R: Runtime> HyperTimer<R> {
    pub(super) fn new(runtime: R) -> Self {
        Self { start: runtime.now(), runtime, instant: Instant::now() }
    }
}

impl<R: Runtime> Timer for HyperTimer<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let deadline = self.start + deadline.saturating_duration_since(self.instant);
        Box::pin(Sleeping(Mutex::new(Box::pin(self.runtime.sleep_until(deadline)))))
    }

    fn now(&self) -> Instant {
        let passed = self.runtime.now().as_nanos().saturating_sub(self.start.as_nanos());
        self.instant + Duration::from_nanos(passed)
    }
}

/// hyper wants a sleep that can be shared, which none can be that has to be pinned to be polled. The mutex is never locked.
struct Sleeping<S>(Mutex<Pin<Box<S>>>);

impl<S: Future<Output = ()> + Send + 'static> Sleep for Sleeping<S> {}

impl<S: Future<Output = ()>> Future for Sleeping<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A mutex that was never locked is not poisoned.
        let sleep = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        sleep.as_mut().poll(cx)
    }
}
