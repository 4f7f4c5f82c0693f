//! tokio as [`mcp`] sees it: a clock, a timer, tasks, and threads for what blocks.

use std::{io, thread};

use mcp::Timestamp;
use mcp::runtime::{Clock, Runtime, Spawn};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

/// A tokio runtime, for everything in [`mcp`] that is generic over [`Runtime`].
///
/// It is a handle: what runs on it ends with the runtime. A paused clock (`tokio::time::pause`) is followed.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: Handle,
    clock: Clock,
}

impl Tokio {
    /// The runtime that this is called in.
    ///
    /// # Errors
    ///
    /// Outside of one.
    pub fn current() -> io::Result<Self> {
        match Handle::try_current() {
            Ok(handle) => Ok(Self::from(handle)),
            Err(error) => {
                let text =
                    format!("mcp-tokio needs a tokio runtime around it, such as `#[tokio::main]` makes: {error}");
                Err(io::Error::other(text))
            }
        }
    }
}

impl From<Handle> for Tokio {
    fn from(handle: Handle) -> Self {
        Self { handle, clock: Clock::new() }
    }
}

impl Runtime for Tokio {
    type Sleep = Sleep;

    fn now(&self) -> Timestamp {
        // tokio's clock, not the system's: the timer below goes by it, and a test may have paused it.
        self.clock.timestamp_of(Instant::now().into_std())
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        // A connection may be polled by anything, a plain `block_on` for one, but a timer belongs to a runtime.
        let _entered = self.handle.enter();
        tokio::time::sleep_until(Instant::from_std(self.clock.instant_of(deadline)))
    }
}

impl Spawn for Tokio {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    /// A thread of its own, not tokio's pool: the end of a runtime waits for the pool, so that one slow tool would keep a server alive whose
    /// client is long gone.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        let handle = self.handle.clone();
        // Without a thread the work is dropped, which whoever waits for it sees.
        let _ = thread::Builder::new().name("mcp-blocking".into()).spawn(move || {
            // So that the tool may use what belongs to the runtime: `Handle::current().block_on(..)`, say.
            let _entered = handle.enter();
            work();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn after(now: Timestamp, time: Duration) -> Timestamp {
        Timestamp::from_nanos(now.as_nanos() + u64::try_from(time.as_nanos()).unwrap())
    }

    #[test]
    fn outside_of_a_runtime_is_an_error_that_says_so() {
        let error = Tokio::current().unwrap_err();
        assert!(error.to_string().contains("tokio::main"), "{error}");
    }

    #[test]
    fn a_connection_may_be_polled_by_anything() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tokio = Tokio::from(runtime.handle().clone());
        let deadline = after(tokio.now(), Duration::from_millis(5));
        let sleep = tokio.sleep_until(deadline);
        let (tell, told) = mpsc::channel();
        let other = tokio.clone();
        // This thread knows nothing of the runtime.
        tokio.spawn(async move {
            sleep.await;
            tell.send(other.now()).unwrap();
        });
        assert!(told.recv().unwrap() >= deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_is_followed() {
        let tokio = Tokio::current().unwrap();
        let deadline = after(tokio.now(), Duration::from_secs(1_000_000));
        tokio.sleep_until(deadline).await;
        assert!(tokio.now() >= deadline);
    }

    #[test]
    fn work_that_blocks_does_not_hold_up_the_end_of_the_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        Tokio::from(runtime.handle().clone()).spawn_blocking(Box::new(move || {
            tell.send(Handle::try_current().is_ok()).unwrap();
            let _ = wait.recv();
            tell.send(false).unwrap();
        }));
        assert!(told.recv().unwrap());
        drop(runtime);
        drop(go);
        assert!(!told.recv().unwrap());
    }
}
