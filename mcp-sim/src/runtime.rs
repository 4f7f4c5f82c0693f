//! A runtime in virtual time: the real driver of `mcp`, and whatever is built on it, on one thread, in an order drawn from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use mcp::runtime::{Runtime, Spawn};
use mcp::{Client, ClientBuilder, Server, Timestamp};

use crate::clock::Place;
use crate::pipe::{self, PipeReader, PipeWriter};
use crate::seen::Hash;
use crate::{Faults, Prng, Schedule};

/// A simulated world for clients and servers of the crate [`mcp`]: its clock stands still while anything can go on, and jumps to the
/// next moment otherwise. What is ready at the same moment goes on in an order drawn from the seed.
///
/// It is a cheap handle, and a [`Runtime`] and [`Spawn`] for all that is generic over them. Blocking handlers run on a thread of their own
/// while the world waits, so that they see no other order than the seed's; one that waits for the world itself (that asks its client, say)
/// would wait for ever, and is ended by a panic.
#[derive(Clone)]
pub struct Sim {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    schedule: Schedule<Waker>,
    prng: Prng,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    ready: BTreeSet<u64>,
    hash: Hash,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The main future among the tasks.
const MAIN: u64 = 0;
/// Real time that a blocking handler may take: only one that hangs takes that long.
const BLOCKED: Duration = Duration::from_secs(20);

/// Nothing can go on any more, and the scenario has not ended: somebody waits for what never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// When that was.
    pub at: Timestamp,
    /// How many tasks beside the scenario wait.
    pub tasks: usize,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stuck at {}: the scenario and {} tasks wait, and nothing is due any more", self.at, self.tasks)
    }
}

impl std::error::Error for Stuck {}

impl Sim {
    /// The world of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let inner = Inner {
            schedule: Schedule::new(seed),
            prng: Prng::of(seed, "runtime"),
            tasks: BTreeMap::new(),
            next_task: MAIN + 1,
            ready: BTreeSet::new(),
            hash: Hash::START,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Runs a scenario to its end, and all that it has started as long as it needs.
    ///
    /// # Errors
    ///
    /// When nothing can go on before it has ended.
    pub fn run<T>(&self, scenario: impl Future<Output = T>) -> Result<T, Stuck> {
        let mut scenario = pin!(scenario);
        self.lock().ready.insert(MAIN);
        loop {
            let Some(next) = self.next_ready() else {
                let due = self.lock().schedule.next();
                match due {
                    Some(waker) => waker.wake(),
                    None => {
                        let inner = self.lock();
                        return Err(Stuck { at: inner.schedule.now(), tasks: inner.tasks.len() });
                    }
                }
                continue;
            };
            let waker = Waker::from(Arc::new(Ready { sim: Arc::clone(&self.inner), task: next }));
            let mut cx = Context::from_waker(&waker);
            if next == MAIN {
                if let Poll::Ready(result) = scenario.as_mut().poll(&mut cx) {
                    self.end();
                    return Ok(result);
                }
                continue;
            }
            // Tasks start tasks and wake each other, so none is polled under the lock.
            let Some(mut task) = self.lock().tasks.remove(&next) else { continue };
            if task.as_mut().poll(&mut cx).is_pending() {
                self.lock().tasks.insert(next, task);
            }
        }
    }

    /// A server and a client of it, joined by two links without faults.
    ///
    /// # Errors
    ///
    /// When the two do not come to terms.
    pub async fn pair(&self, server: &Server) -> mcp::Result<Client> {
        self.pair_with(server, ClientBuilder::default(), &Faults::none()).await
    }

    /// The same with a client of your making, over links that behave like this.
    ///
    /// # Errors
    ///
    /// When the two do not come to terms.
    pub async fn pair_with(&self, server: &Server, client: ClientBuilder, faults: &Faults) -> mcp::Result<Client> {
        let (to_server, from_client) = self.pipe(faults.clone());
        let (to_client, from_server) = self.pipe(faults.clone());
        let serving = mcp::stream::serve(self.clone(), from_client, to_client, None, server.clone());
        self.spawn(async move {
            // Whatever ends the server ends the stream, and so the client, which has somebody to tell.
            let _ = serving.await;
        });
        mcp::stream::connect(self.clone(), from_server, to_server, None, client).await
    }

    /// One direction of a byte stream.
    pub fn pipe(&self, faults: Faults) -> (PipeWriter, PipeReader) {
        let seed = self.lock().prng.any();
        pipe::new(self.clone(), faults, seed)
    }

    /// Waits so long in virtual time, which takes none.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Lets everything else that is ready go first, in some order: where real handlers may be interrupted.
    pub async fn give_way(&self) {
        let wait = self.lock().prng.below(3);
        for _ in 0..wait {
            self.sleep(Duration::from_nanos(1)).await;
        }
    }

    /// A number below `bound`, drawn from the seed.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        self.lock().prng.below(bound)
    }

    /// Faults drawn from the seed.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::draw(&mut self.lock().prng)
    }

    /// A hash of all bytes that went over the pipes, and when: equal hashes, equal runs.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.lock().hash
    }

    pub(crate) fn wake_at(&self, at: Timestamp, waker: Waker) -> Place {
        self.lock().schedule.at(at, waker)
    }

    pub(crate) fn saw(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        let now = inner.schedule.now().as_nanos().to_le_bytes();
        inner.hash.add(0, &now);
        inner.hash.add(1, bytes);
    }

    fn next_ready(&self) -> Option<u64> {
        let mut inner = self.lock();
        let count = inner.ready.len() as u64;
        let at = inner.prng.below(count) as usize;
        let next = inner.ready.iter().nth(at).copied()?;
        inner.ready.remove(&next);
        Some(next)
    }

    /// The scenario has ended: what it has left behind ends as well, outside the lock.
    fn end(&self) {
        loop {
            let tasks = std::mem::take(&mut self.lock().tasks);
            if tasks.is_empty() {
                return;
            }
            drop(tasks);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing of anybody else's runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        let (now, tasks) = (inner.schedule.now(), inner.tasks.len());
        drop(inner);
        f.debug_struct("Sim").field("now", &now).field("tasks", &tasks).finish_non_exhaustive()
    }
}

impl Runtime for Sim {
    type Sleep = Sleep;

    fn now(&self) -> Timestamp {
        self.lock().schedule.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Sleep { sim: self.clone(), deadline, place: None }
    }
}

impl Spawn for Sim {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut inner = self.lock();
        let id = inner.next_task;
        inner.next_task += 1;
        inner.ready.insert(id);
        inner.tasks.insert(id, Box::pin(task));
    }

    /// Runs it at once, on a thread of its own, and waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end: it waits for something that only this world could bring.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        let (done, ended) = mpsc::channel::<()>();
        let started = thread::Builder::new().name("blocking".into()).spawn(move || {
            work();
            drop(done);
        });
        // Without a thread the work is dropped, which whoever waits for it sees.
        let Ok(_) = started else { return };
        let hangs = ended.recv_timeout(BLOCKED) == Err(RecvTimeoutError::Timeout);
        assert!(!hangs, "a blocking handler waits for the simulated world, which waits for it: make it asynchronous");
    }
}

/// A sleep in virtual time.
#[derive(Debug)]
pub struct Sleep {
    sim: Sim,
    deadline: Timestamp,
    place: Option<Place>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.forget();
        if self.sim.now() >= self.deadline {
            return Poll::Ready(());
        }
        let place = self.sim.wake_at(self.deadline, cx.waker().clone());
        self.place = Some(place);
        Poll::Pending
    }
}

impl Sleep {
    fn forget(&mut self) {
        let waker = self.place.take().and_then(|place| self.sim.lock().schedule.remove(place));
        drop(waker);
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

struct Ready {
    sim: Arc<Mutex<Inner>>,
    task: u64,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.sim.lock().unwrap_or_else(PoisonError::into_inner).ready.insert(self.task);
    }
}
