//! A whole executor: one thread, tasks and timers. It is all that `mcp` asks of a runtime.

use std::collections::{BTreeMap, VecDeque};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use mcp::Timestamp;
use mcp::runtime::{Clock, Runtime, Spawn};

/// A handle on it, as cheap as a runtime's handle should be. It may be used from any thread.
#[derive(Clone)]
pub(crate) struct Executor {
    clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    agenda: Mutex<Agenda>,
    news: Condvar,
}

/// What there is to do now, and later.
#[derive(Default)]
struct Agenda {
    ready: VecDeque<Arc<Task>>,
    main_is_ready: bool,
    /// Who is to be woken when; the number tells those apart that are due at the same moment.
    timers: BTreeMap<(Timestamp, u64), Waker>,
    next_timer: u64,
}

/// A task, which is its own waker. The future is taken out while it is polled and once it has ended.
struct Task {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    shared: Arc<Shared>,
}

impl Executor {
    pub(crate) fn new() -> Self {
        Self { clock: Clock::new(), shared: Arc::default() }
    }

    /// Runs `main` and all tasks beside it, until `main` has ended.
    pub(crate) fn block_on<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let main_waker = Waker::from(Arc::new(Main(Arc::clone(&self.shared))));
        main_waker.wake_by_ref();
        loop {
            let (ready, main_is_ready) = self.wait();
            if main_is_ready && let Poll::Ready(value) = main.as_mut().poll(&mut Context::from_waker(&main_waker)) {
                return value;
            }
            ready.into_iter().for_each(Task::run);
        }
    }

    /// What is ready, once something is.
    fn wait(&self) -> (VecDeque<Arc<Task>>, bool) {
        let mut agenda = self.shared.lock();
        loop {
            let later = agenda.timers.split_off(&(self.clock.now(), u64::MAX));
            let due = std::mem::replace(&mut agenda.timers, later);
            if !due.is_empty() {
                drop(agenda);
                due.into_values().for_each(Waker::wake);
                agenda = self.shared.lock();
            }
            if agenda.main_is_ready || !agenda.ready.is_empty() {
                return (std::mem::take(&mut agenda.ready), std::mem::take(&mut agenda.main_is_ready));
            }
            let next = agenda.timers.keys().next().map(|(at, _)| at.saturating_since(self.clock.now()));
            agenda = match next {
                Some(patience) => {
                    self.shared.news.wait_timeout(agenda, patience).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.news.wait(agenda).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Agenda> {
        // No code of anybody else's runs under it.
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    fn run(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut slot = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(future) = &mut *slot
            && future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            *slot = None;
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let shared = Arc::clone(&self.shared);
        let mut agenda = shared.lock();
        if !agenda.ready.iter().any(|task| Arc::ptr_eq(task, &self)) {
            agenda.ready.push_back(self);
        }
        shared.news.notify_one();
    }
}

/// Wakes what `block_on` was given.
struct Main(Arc<Shared>);

impl Wake for Main {
    fn wake(self: Arc<Self>) {
        self.0.lock().main_is_ready = true;
        self.0.news.notify_one();
    }
}

/// What `mcp` asks of a runtime for one connection ...
impl Runtime for Executor {
    type Sleep = Sleep;

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Sleep { executor: self.clone(), deadline, number: None }
    }
}

/// ... and for handlers that run beside each other.
impl Spawn for Executor {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        Arc::new(Task { future: Mutex::new(Some(Box::pin(task))), shared: Arc::clone(&self.shared) }).wake();
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        // Without a thread the work is dropped, which whoever waits for it sees.
        let _ = thread::Builder::new().spawn(work);
    }
}

/// A place among the timers, given back on drop.
pub(crate) struct Sleep {
    executor: Executor,
    deadline: Timestamp,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.deadline {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let shared = Arc::clone(&self.executor.shared);
        let mut agenda = shared.lock();
        let number = *self.number.get_or_insert_with(|| {
            agenda.next_timer += 1;
            agenda.next_timer
        });
        let replaced = agenda.timers.insert((self.deadline, number), waker);
        drop(agenda);
        drop(replaced);
        // The executor may be waiting for a later moment, if this was called on another thread.
        shared.news.notify_one();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.executor.shared.lock().timers.remove(&(self.deadline, number));
            drop(waker);
        }
    }
}
