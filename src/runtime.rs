//! What the library asks of an async runtime: a clock, a timer, and, for servers that run handlers beside each other, a way to start tasks.
//!
//! Bytes are not on the list: every stream is generic over [`futures_io::AsyncRead`] and [`futures_io::AsyncWrite`], so a runtime joins with
//! the few lines of [`Runtime`] and [`Spawn`]. The adapter crates (`mcp-tokio` and its siblings) are such lines plus the functions that open
//! pipes and sockets.
//!
//! Yet another runtime is one small type; `examples/own_runtime` in the repository is a whole executor with it, and the functions that an
//! adapter has. One that has a clock and a timer and nothing else is enough for a [`Local`](crate::local::Local), which also keeps handlers
//! that are not `Send`. Without any runtime there is the crate [`mcp_proto`] (`examples/blocking`).
//!
//! ```
//! use mcp::runtime::{Clock, Runtime, Spawn};
//! use mcp::Timestamp;
//! use std::pin::Pin;
//! use std::time::{Duration, Instant};
//!
//! #[derive(Clone)]
//! struct Threads(Clock);
//!
//! impl Runtime for Threads {
//!     type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;
//!
//!     fn now(&self) -> Timestamp {
//!         self.0.now()
//!     }
//!
//!     fn sleep_until(&self, deadline: Timestamp) -> Self::Sleep {
//!         let deadline = self.0.instant_of(deadline);
//!         let (mut done, alarm) = mcp::memory::pipe(1);
//!         std::thread::spawn(move || {
//!             std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
//!             let _ = futures_lite::future::block_on(futures_lite::AsyncWriteExt::write(&mut done, b"!"));
//!         });
//!         Box::pin(async move {
//!             let mut alarm = alarm;
//!             let _ = futures_lite::AsyncReadExt::read(&mut alarm, &mut [0]).await;
//!         })
//!     }
//! }
//!
//! impl Spawn for Threads {
//!     fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
//!         std::thread::spawn(move || futures_lite::future::block_on(task));
//!     }
//!
//!     fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
//!         std::thread::spawn(work);
//!     }
//! }
//!
//! let runtime = Threads(Clock::new());
//! let soon = mcp::Timestamp::from_nanos(runtime.now().as_nanos() + 1_000_000);
//! futures_lite::future::block_on(runtime.sleep_until(soon));
//! assert!(runtime.now() >= soon);
//! ```

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Timestamp;

/// A clock and a timer, which is all that one connection needs.
///
/// The two must agree: once the sleep until a deadline is over, [`now`](Self::now) has reached that deadline. A simulated or a paused clock
/// is fine as long as both halves follow it.
///
/// A runtime is a cheap handle: it is cloned into every connection, and moves with it between threads.
pub trait Runtime: Clone + Send + Sync + Unpin + 'static {
    /// The future that [`sleep_until`](Self::sleep_until) gives. Dropping it cancels the sleep.
    type Sleep: Future<Output = ()> + Send;

    /// The time now: never smaller than what an earlier call gave. [`Clock`] does it for every runtime that lives in real time.
    fn now(&self) -> Timestamp;

    /// A future that is ready when the clock has reached `deadline`; at once if it is already past.
    ///
    /// It is called on whatever thread polls a connection, also on one that is not the runtime's own, so it must not rely on a runtime
    /// being "entered" there. It must not panic.
    fn sleep_until(&self, deadline: Timestamp) -> Self::Sleep;
}

/// A [`Runtime`] that can also run things beside the connection: servers start handlers with it that do not answer at once.
pub trait Spawn: Runtime {
    /// Runs `task` to its end, detached. Like everything here it may be called from any thread.
    ///
    /// A runtime that is shutting down may drop the task instead: the request it was to answer is then given up.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Runs `work`, which may block for as long as it likes, where it holds up neither tasks nor the end of the program.
    ///
    /// If it cannot be started, drop it: whoever waits for it sees that.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);
}

/// The clock of all adapters: it reads the wall clock once per process, then only counts on.
///
/// A [`Timestamp`] so means the same in every connection of a process and, within the wall clock's error, on every node; and it never jumps,
/// whatever is done to the wall clock later. It is `Copy`, and making one costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The moment when the first clock of the process was made ...
    start: Instant,
    /// ... and what the wall showed at that moment.
    wall: Timestamp,
}

impl Clock {
    /// The clock of this process.
    #[must_use]
    pub fn new() -> Self {
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        *CLOCK.get_or_init(|| {
            // A wall clock before 1970 is broken; zero is as good as anything then.
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Self { start: Instant::now(), wall: Timestamp::from_nanos(nanos(wall)) }
        })
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.timestamp_of(Instant::now())
    }

    /// The timestamp of an instant. One from before the clock was made counts as the moment when it was made.
    #[must_use]
    pub fn timestamp_of(&self, instant: Instant) -> Timestamp {
        let elapsed = instant.saturating_duration_since(self.start);
        Timestamp::from_nanos(self.wall.as_nanos().saturating_add(nanos(elapsed)))
    }

    /// The instant of a timestamp, for a runtime's timer: never earlier than the clock itself, and never too far away for the platform.
    #[must_use]
    pub fn instant_of(&self, timestamp: Timestamp) -> Instant {
        let ahead = Duration::from_nanos(timestamp.as_nanos().saturating_sub(self.wall.as_nanos()));
        self.start.checked_add(ahead).or_else(|| self.start.checked_add(FAR)).unwrap_or(self.start)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// What "never" becomes where an `Instant` cannot hold the whole range of a timestamp.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_timestamps_agree() {
        let clock = Clock::new();
        let now = Instant::now();
        assert_eq!(clock.instant_of(clock.timestamp_of(now)), now);
        assert!(clock.now() >= clock.timestamp_of(now));
    }

    #[test]
    fn all_clocks_of_a_process_agree() {
        let (one, other) = (Clock::new(), Clock::default());
        let now = Instant::now();
        assert_eq!(one.timestamp_of(now), other.timestamp_of(now));
    }

    #[test]
    fn the_extremes_neither_panic_nor_wrap() {
        let clock = Clock::new();
        assert_eq!(clock.instant_of(Timestamp::from_nanos(0)), clock.start);
        assert!(clock.instant_of(Timestamp::from_nanos(u64::MAX)) > Instant::now());
    }
}
