//! smol as [`mcp`] sees it: a clock, a timer, tasks, and threads for what blocks.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, thread};

use mcp::Timestamp;
use mcp::runtime::{Clock, Runtime, Spawn};
use smol::Timer;

/// smol's global executor, for everything in [`mcp`] that is generic over [`Runtime`].
///
/// It is a handle: what runs on it ends with the process.
#[derive(Clone, Debug)]
pub struct Smol {
    clock: Clock,
}

impl Smol {
    /// The runtime that this is called in: there is one in a process.
    ///
    /// # Errors
    ///
    /// None today. The other adapters need a runtime around them.
    pub fn current() -> io::Result<Self> {
        Ok(Self { clock: Clock::new() })
    }
}

impl Runtime for Smol {
    type Sleep = Sleep;

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Sleep(Timer::at(self.clock.instant_of(deadline)))
    }
}

impl Spawn for Smol {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }

    /// A thread of its own, not smol's pool: that has a limit, and tools that block for long would hold up all others and whatever else
    /// needs the pool.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        // Without a thread the work is dropped, which whoever waits for it sees.
        let _ = thread::Builder::new().name("mcp-blocking".into()).spawn(work);
    }
}

/// A sleep until a deadline.
#[derive(Debug)]
pub struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_connection_may_be_polled_by_anything() {
        let runtime = Smol::current().unwrap();
        let deadline = runtime.now() + Duration::from_millis(5);
        let sleep = runtime.sleep_until(deadline);
        let (tell, told) = mpsc::channel();
        let other = runtime.clone();
        // This thread knows nothing of the runtime.
        runtime.spawn(async move {
            sleep.await;
            tell.send(other.now()).unwrap();
        });
        assert!(told.recv().unwrap() >= deadline);
    }

    #[test]
    fn work_that_blocks_holds_up_no_task_however_much_there_is() {
        // More than any pool has threads.
        const MANY: usize = 600;

        let runtime = Smol::current().unwrap();
        let (tell, told) = mpsc::channel();
        let gates = (0..MANY).map(|_| {
            let (open, gate) = mpsc::channel::<()>();
            let tell = tell.clone();
            runtime.spawn_blocking(Box::new(move || {
                tell.send(()).unwrap();
                let _ = gate.recv();
            }));
            open
        });
        let gates = gates.collect::<Vec<_>>();
        for _ in 0..MANY {
            told.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        runtime.spawn(async move { tell.send(()).unwrap() });
        told.recv_timeout(Duration::from_secs(20)).unwrap();
        drop(gates);
    }
}
