//! What a client's calls go over: one connection, or several, one after the other.

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::future;
use mcp_proto::model::LoggingLevel;
use mcp_proto::{CloseReason, Timestamp};

use super::shared::{Shared, State};
use super::waiting::Waiting;
use crate::Error;
use crate::process::Child;
use crate::runtime::Runtime;

/// See the module. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// Its end is the client's.
    One(Arc<Shared>, Option<Child>),
    /// Another follows when one has ended.
    Many(Arc<Succession>),
}

/// Connections that follow each other. Its lock comes before that of a connection; nobody is woken under either.
pub(crate) struct Succession(Mutex<Inner>);

struct Inner {
    current: Arc<Shared>,
    child: Option<Child>,
    phase: Phase,
    /// Why there is no next one, if the supervisor has given up.
    failure: Option<NotRestarted>,
    restarts: u64,
    memory: Memory,
    /// Who waits for the next phase, and until when.
    waiting: Waiting,
    supervisor: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Calls go over the current connection.
    Up,
    /// Calls wait for the next one.
    Down,
    /// The client ends; there is no next one.
    Closing,
    /// Nothing comes after the current one.
    Over,
}

/// Why a server is not started or connected to once more.
#[derive(Clone, Debug)]
pub(crate) struct NotRestarted {
    pub(crate) restarts: usize,
    pub(crate) within: Duration,
    pub(crate) last: Arc<Error>,
}

/// What a client has asked of a server for as long as the session lives, to be asked in the next one (legacy era).
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// What [`Client::subscribe`](crate::Client::subscribe) has subscribed to.
    pub(crate) uris: BTreeSet<String>,
    pub(crate) log_level: Option<LoggingLevel>,
}

impl Memory {
    fn learn(&mut self, lesson: &Lesson) {
        match lesson {
            Lesson::Subscribed(uri) => {
                self.uris.insert(uri.clone());
            }
            Lesson::Unsubscribed(uri) => {
                self.uris.remove(uri);
            }
            Lesson::LogLevel(level) => self.log_level = Some(*level),
        }
    }

    fn forget<'a>(&mut self, uris: impl Iterator<Item = &'a String>) {
        uris.for_each(|uri| {
            self.uris.remove(uri);
        });
    }
}

/// What a call leaves in the [`Memory`].
#[derive(Clone, Debug)]
pub(crate) enum Lesson {
    Subscribed(String),
    Unsubscribed(String),
    LogLevel(LoggingLevel),
}

/// Where a call may go.
pub(super) enum Route {
    Over(Arc<Shared>),
    /// Nowhere yet; it will be woken.
    Waits,
    /// It has waited as long as it may.
    TooLate,
    Nowhere(NotRestarted),
}

impl Link {
    /// The connection of now, or the last one.
    pub(crate) fn current(&self) -> Arc<Shared> {
        match self {
            Self::One(shared, _) => Arc::clone(shared),
            Self::Many(succession) => Arc::clone(&succession.lock().current),
        }
    }

    pub(crate) fn child(&self) -> Option<Child> {
        match self {
            Self::One(_, child) => child.clone(),
            Self::Many(succession) => succession.lock().child.clone(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.current().now()
    }

    /// As [`Shared::with`], on the connection of now: it is not followed by another meanwhile.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        match self {
            Self::One(shared, _) => shared.with(look),
            Self::Many(succession) => succession.lock().current.with(look),
        }
    }

    /// As [`Shared::command`], likewise.
    pub(crate) fn command<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        match self {
            Self::One(shared, _) => shared.command(change),
            Self::Many(succession) => {
                let (changed, driver) = succession.lock().current.change(change);
                if let Some(driver) = driver {
                    driver.wake();
                }
                changed
            }
        }
    }

    /// How often a connection was followed by another.
    pub(crate) fn restarts(&self) -> u64 {
        match self {
            Self::One(..) => 0,
            Self::Many(succession) => succession.lock().restarts,
        }
    }

    /// Whether what ends may be followed by another.
    pub(crate) fn goes_on(&self) -> bool {
        match self {
            Self::One(..) => false,
            Self::Many(succession) => matches!(succession.lock().phase, Phase::Up | Phase::Down),
        }
    }

    /// Whether the end has come, and nothing follows.
    pub(crate) fn is_over(&self) -> bool {
        !self.goes_on() && self.with(|state| state.closed.is_some())
    }

    /// Waits until the end has come and nothing follows.
    pub(crate) async fn over(&self) -> CloseReason {
        if let Self::Many(succession) = self {
            succession.wait(|inner| (inner.phase == Phase::Over).then_some(())).await;
        }
        self.current().ended().await
    }

    /// Waits until a connection was followed by another more often than `known` times; `None` once nothing follows.
    pub(crate) async fn next_restart(&self, known: u64) -> Option<u64> {
        match self {
            Self::One(shared, _) => {
                shared.ended().await;
                None
            }
            Self::Many(succession) => {
                let next = |inner: &Inner| match inner.phase {
                    Phase::Over => Some(None),
                    _ => (inner.restarts > known).then_some(Some(inner.restarts)),
                };
                succession.wait(next).await
            }
        }
    }

    /// Begins the end: nothing follows.
    pub(crate) fn close(&self, grace: Duration) {
        if let Self::Many(succession) = self {
            succession.turn_to(|phase| matches!(phase, Phase::Up | Phase::Down).then_some(Phase::Closing));
        }
        self.command(|state, now| state.connection.close(now, grace));
    }

    /// Keeps something in mind for the connection that follows.
    pub(super) fn learn(&self, lesson: Option<&Lesson>) {
        let Some(lesson) = lesson else { return };
        match self {
            Self::One(shared, _) => shared.with(|state| state.memory.learn(lesson)),
            Self::Many(succession) => succession.lock().memory.learn(lesson),
        }
    }

    /// What was learned.
    pub(crate) fn memory(&self) -> Memory {
        match self {
            Self::One(shared, _) => shared.with(|state| state.memory.clone()),
            Self::Many(succession) => succession.lock().memory.clone(),
        }
    }

    /// The server has refused it.
    pub(super) fn unlearn(&self, lesson: Option<&Lesson>) {
        if let Some(Lesson::Subscribed(uri)) = lesson {
            self.learn(Some(&Lesson::Unsubscribed(uri.clone())));
        }
    }

    /// Nobody wants to hear of these resources any more.
    pub(crate) fn forget<'a>(&self, uris: impl Iterator<Item = &'a String>) {
        match self {
            Self::One(shared, _) => shared.with(|state| state.memory.forget(uris)),
            Self::Many(succession) => succession.lock().memory.forget(uris),
        }
    }

    /// Where a call may go now. If nowhere, `cx` is woken when that changes, at the latest at `until`.
    pub(super) fn route(&self, cx: &Context<'_>, until: Option<Timestamp>) -> Route {
        let succession = match self {
            Self::One(shared, _) => return Route::Over(Arc::clone(shared)),
            Self::Many(succession) => succession,
        };
        let waker = cx.waker().clone();
        let mut inner = succession.lock();
        match (inner.phase, &inner.failure) {
            (Phase::Over, Some(failure)) => return Route::Nowhere(failure.clone()),
            (Phase::Up | Phase::Closing | Phase::Over, _) => return Route::Over(Arc::clone(&inner.current)),
            (Phase::Down, _) => {}
        }
        let now = inner.current.now();
        if until.is_some_and(|until| until <= now) {
            return Route::TooLate;
        }
        let (unused, supervisor) = (inner.waiting.add(until, waker), inner.supervisor.take());
        drop(inner);
        drop(unused);
        if let Some(supervisor) = supervisor {
            supervisor.wake();
        }
        Route::Waits
    }

    /// A connection turned out to have ended: whether whoever found that should ask for a route again.
    pub(super) fn is_followed(&self, ended: &Arc<Shared>) -> bool {
        let Self::Many(succession) = self else { return false };
        let is_current = Arc::ptr_eq(&succession.lock().current, ended);
        if is_current {
            succession.turn_to(|phase| (phase == Phase::Up).then_some(Phase::Down));
        }
        self.goes_on()
    }
}

impl Succession {
    pub(crate) fn new(first: Arc<Shared>, child: Option<Child>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            current: first,
            child,
            phase: Phase::Up,
            failure: None,
            restarts: 0,
            memory: Memory::default(),
            waiting: Waiting::default(),
            supervisor: None,
        })))
    }

    /// The current connection has ended.
    pub(crate) fn down(&self) {
        self.turn_to(|phase| (phase == Phase::Up).then_some(Phase::Down));
    }

    /// The process of a connection under way.
    pub(crate) fn set_child(&self, child: Option<Child>) {
        // Dropping the last handle of the one before begins its shutdown: without the lock.
        let before = std::mem::replace(&mut self.lock().child, child);
        drop(before);
    }

    /// Calls go over `next` from now on, and who listens for changes hears of them there. Returns how often that was done.
    pub(crate) fn up(&self, next: Arc<Shared>) -> u64 {
        let mut inner = self.lock();
        let listeners = inner.current.with(|state| std::mem::take(&mut state.listeners));
        // A fresh connection has no listeners; should it have, they go without their lock.
        let replaced = next.with(|state| std::mem::replace(&mut state.listeners, listeners.taken_over()));
        let before = std::mem::replace(&mut inner.current, next);
        inner.restarts += 1;
        let restarts = inner.restarts;
        drop(inner);
        drop((replaced, before));
        self.turn_to(|phase| (phase == Phase::Down).then_some(Phase::Up));
        restarts
    }

    /// Nothing follows any more.
    pub(crate) fn end(&self, failure: Option<NotRestarted>) {
        let mut inner = self.lock();
        if inner.phase != Phase::Over {
            inner.failure = failure;
        }
        drop(inner);
        self.turn_to(|_| Some(Phase::Over));
        let current = Arc::clone(&self.lock().current);
        let listening = current.with(|state| state.listeners.wakers());
        listening.into_iter().for_each(Waker::wake);
    }

    /// Does `work` and meanwhile wakes those who have waited long enough; `None` if the client is closed first.
    pub(crate) async fn unless_closed<T>(&self, runtime: &impl Runtime, work: impl Future<Output = T>) -> Option<T> {
        future::or(async { Some(work.await) }, async {
            self.tend(runtime).await;
            None
        })
        .await
    }

    /// Wakes those who have waited long enough, until the client is closed.
    async fn tend<R: Runtime>(&self, runtime: &R) {
        let mut sleep: Option<(Timestamp, std::pin::Pin<Box<R::Sleep>>)> = None;
        poll_fn(|cx| {
            loop {
                let waker = cx.waker().clone();
                let now = runtime.now();
                let mut inner = self.lock();
                if matches!(inner.phase, Phase::Closing | Phase::Over) {
                    return Poll::Ready(());
                }
                let replaced = inner.supervisor.replace(waker);
                let expired = inner.waiting.expired(now);
                let next = inner.waiting.next();
                drop(inner);
                drop(replaced);
                expired.for_each(Waker::wake);
                let Some(next) = next else { return Poll::Pending };
                if sleep.as_ref().is_none_or(|(until, _)| next < *until) {
                    sleep = Some((next, Box::pin(runtime.sleep_until(next))));
                }
                let Some((_, armed)) = &mut sleep else { return Poll::Pending };
                if armed.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                sleep = None;
            }
        })
        .await;
    }

    async fn wait<T>(&self, look: impl Fn(&Inner) -> Option<T>) -> T {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut inner = self.lock();
            let found = look(&inner);
            let unused = if found.is_none() { inner.waiting.add(None, waker) } else { Some(waker) };
            drop(inner);
            drop(unused);
            found.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn turn_to(&self, next: impl FnOnce(Phase) -> Option<Phase>) {
        let mut inner = self.lock();
        let Some(next) = next(inner.phase) else { return };
        inner.phase = next;
        let waiting = inner.waiting.take();
        let supervisor = inner.supervisor.take();
        drop(inner);
        waiting.chain(supervisor).for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Changed by single steps only, so it is right in any state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Succession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("Succession")
            .field("phase", &inner.phase)
            .field("restarts", &inner.restarts)
            .finish_non_exhaustive()
    }
}
