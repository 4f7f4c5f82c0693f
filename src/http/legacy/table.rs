//! The table of sessions under its lock, and the task that ends those that have expired. It runs while there are any.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mcp_proto::Timestamp;
use mcp_proto::http::{Activity, HttpLimits, Reason, SessionId, Sessions};

use super::live::Live;
use crate::runtime::Spawn;

/// See the module.
pub(super) struct Table<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    sessions: Sessions<Arc<T>>,
    keeper: Keeper,
}

/// The task that ends sessions.
enum Keeper {
    /// There is none.
    Away,
    /// It is at work, and will look again before it rests.
    Awake,
    /// It sleeps until then, if there is such a moment.
    Asleep(Option<Timestamp>, Waker),
}

impl Table<Live> {
    /// None yet.
    pub(super) fn new(limits: &HttpLimits) -> Self {
        Self { state: Mutex::new(State { sessions: Sessions::new(limits), keeper: Keeper::Away }) }
    }

    /// As [`Sessions::insert`].
    pub(super) fn insert<R: Spawn>(
        self: &Arc<Self>,
        runtime: &R,
        id: SessionId,
        principal: Option<&str>,
        session: Arc<Live>,
    ) -> Result<Option<Arc<Live>>, Reason> {
        let now = runtime.now();
        let (inserted, waker, is_away) = {
            let mut state = self.lock();
            let inserted = state.sessions.insert(now, id, principal, session);
            let is_away = matches!(state.keeper, Keeper::Away) && !state.sessions.is_empty();
            if is_away {
                state.keeper = Keeper::Awake;
            }
            (inserted, state.disturb(), is_away)
        };
        waker.into_iter().for_each(Waker::wake);
        if is_away {
            runtime.spawn(Keeping { table: Some(Arc::clone(self)), runtime: runtime.clone(), sleep: None });
        }
        inserted
    }

    /// As [`Sessions::find`].
    pub(super) fn find(&self, now: Timestamp, id: &SessionId, principal: Option<&str>) -> Result<Arc<Live>, Reason> {
        self.lock().sessions.find(now, id, principal).map(|session| Arc::clone(session))
    }

    /// As [`Sessions::remove`].
    pub(super) fn remove(&self, id: &SessionId, principal: Option<&str>) -> Result<Arc<Live>, Reason> {
        let (removed, waker) = {
            let mut state = self.lock();
            (state.sessions.remove(id, principal), state.disturb())
        };
        waker.into_iter().for_each(Waker::wake);
        removed
    }

    /// A session is over by itself.
    pub(super) fn forget(&self, id: &SessionId) {
        let (forgotten, waker) = {
            let mut state = self.lock();
            (state.sessions.forget(id), state.disturb())
        };
        waker.into_iter().for_each(Waker::wake);
        drop(forgotten);
    }

    /// As [`Sessions::set_activity`].
    pub(super) fn set_activity(&self, now: Timestamp, id: &SessionId, activity: Activity) {
        let waker = {
            let mut state = self.lock();
            state.sessions.set_activity(now, id, activity);
            state.disturb()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State<Live>> {
        // Only our own code runs under it, in steps that leave it right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// The keeper's waker, if it has to look sooner than it would.
    fn disturb(&mut self) -> Option<Waker> {
        let due = self.sessions.poll_timeout();
        let Keeper::Asleep(until, _) = &self.keeper else { return None };
        let sooner = match (due, until) {
            (Some(due), Some(until)) => due < *until,
            (Some(_), None) => true,
            (None, _) => self.sessions.is_empty(),
        };
        match std::mem::replace(&mut self.keeper, Keeper::Awake) {
            Keeper::Asleep(_, waker) if sooner => Some(waker),
            other => {
                self.keeper = other;
                None
            }
        }
    }
}

/// See [`Keeper`].
struct Keeping<R: Spawn> {
    /// `None` once it has said goodbye.
    table: Option<Arc<Table<Live>>>,
    runtime: R,
    /// The armed sleep and when it ends. Re-armed only for an earlier moment.
    sleep: Option<(Timestamp, Pin<Box<R::Sleep>>)>,
}

impl<R: Spawn> Future for Keeping<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let (now, waker) = (this.runtime.now(), cx.waker().clone());
            let Some(table) = &this.table else { return Poll::Ready(()) };
            let (expired, due, is_over, replaced) = {
                let mut state = table.lock();
                let expired = state.sessions.expire(now);
                let (due, is_over) = (state.sessions.poll_timeout(), state.sessions.is_empty());
                let next = if is_over { Keeper::Away } else { Keeper::Asleep(due, waker) };
                (expired, due, is_over, std::mem::replace(&mut state.keeper, next))
            };
            drop(replaced);
            for session in expired {
                session.close();
            }
            if is_over {
                this.table = None;
                return Poll::Ready(());
            }
            let Some(due) = due else { return Poll::Pending };
            if this.sleep.as_ref().is_none_or(|(until, _)| due < *until) {
                this.sleep = Some((due, Box::pin(this.runtime.sleep_until(due))));
            }
            let Some((_, sleep)) = &mut this.sleep else { return Poll::Pending };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.sleep = None;
        }
    }
}

/// A keeper that goes away with its runtime is followed by another if a session comes all the same.
impl<R: Spawn> Drop for Keeping<R> {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            let replaced = std::mem::replace(&mut table.lock().keeper, Keeper::Away);
            drop(replaced);
        }
    }
}
