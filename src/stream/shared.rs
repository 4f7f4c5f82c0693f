//! What a connection's driver and its handles share: the core under one lock, and who waits for what.
//!
//! The lock rule: it is held for a few lines, never across an await, and **no user code, waker or user value runs, wakes or
//! drops under it**. Wakers are collected inside and woken outside.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use mcp_proto::model::Progress;
use mcp_proto::{
    Change, CloseReason, Connection, Event, InboundId, Message, OutboundId, Peer, ProtocolVersion, RequestError,
    RequestMeta, ResultKind, Stats, Timestamp,
};

use super::budget::{Busy, Load};
use super::link::Memory;
use super::listeners::{Heard, Listeners};
use super::questions::Questions;
use super::waiting::Waiting;
use crate::client::Kept;
use crate::trace::{Operation, Tracer};

/// Shared by the driver and every handle of one connection.
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    tracer: Tracer,
}

/// What the lock protects.
pub(crate) struct State {
    pub(crate) connection: Connection,
    /// Who waits for the end of which call of ours.
    pub(crate) waiters: BTreeMap<OutboundId, Waiter>,
    /// The handlers at work, so that they can be told that their request was cancelled.
    handlers: BTreeMap<InboundId, AtWork>,
    /// Who waits for room in a queue, and until when; without an end it is the connection that gives up.
    waiting: Waiting,
    /// Who waits for the handshake, or for the end, each under a number of its own.
    pub(crate) watchers: BTreeMap<u64, Waker>,
    next_watcher: u64,
    /// Our calls whose questions are being answered, so that whoever answers can be told that they are over.
    asked: BTreeMap<OutboundId, AtWork>,
    /// Bytes of what has left the connection's queues and is still at handlers and callers.
    held: usize,
    /// Bytes that were freed without the driver since it last counted.
    uncounted: usize,
    /// What a client has asked for, for the session that may follow within this connection; and whether one may.
    pub(crate) memory: Memory,
    pub(crate) renews: bool,
    /// Who hears what has changed on the server.
    pub(crate) listeners: Listeners,
    /// What the client tells its own callbacks, in order with what the server tells.
    pub(crate) own_notifications: Vec<Message>,
    /// Answers of the server that need not be asked for again.
    pub(crate) kept: Option<Kept>,
    pub(crate) facts: Option<Facts>,
    pub(crate) closed: Option<CloseReason>,
    /// Whether it ended before the server's era was known.
    pub(crate) died_of_probe: bool,
    /// Whether the transport's output is closed, so that the peer has seen our end.
    pub(crate) output_closed: bool,
    /// Woken by whoever changes the connection.
    pub(crate) driver: Option<Waker>,
    /// How many calls of the peer were in work when the connection ended.
    pub(crate) cut: usize,
}

/// What the handshake brought.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) version: ProtocolVersion,
    pub(crate) peer: Option<Arc<Peer>>,
}

/// One call of ours and what has come for it.
#[derive(Default)]
pub(crate) struct Waiter {
    pub(crate) waker: Option<Waker>,
    pub(crate) progress: VecDeque<Progress>,
    pub(crate) result: Option<Result<(ResultKind, Message), RequestError>>,
    /// What these two hold.
    bytes: usize,
    /// Around the questions that may come first.
    operation: Operation,
}

impl Waiter {
    pub(crate) fn new(waker: Option<Waker>, operation: Operation) -> Self {
        Self { waker, operation, ..Self::default() }
    }
}

/// What somebody is at work on, and how to tell them that it is over.
struct AtWork {
    cancel: Arc<Cancel>,
    /// What it holds.
    bytes: usize,
}

/// What has come for a call since its caller last looked.
#[derive(Default)]
pub(crate) struct Come {
    pub(crate) progress: VecDeque<Progress>,
    pub(crate) result: Option<Result<(ResultKind, Message), RequestError>>,
    /// To be woken outside the lock ...
    pub(crate) driver: Option<Waker>,
    /// ... and to be dropped there.
    pub(crate) dropped: (Option<Waker>, Option<Waiter>),
}

/// How long somebody waits for what comes for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// Until its result.
    UntilItsResult,
    /// If it has become a task (2025-11-25), on after its result: until who waits is gone.
    WithItsTask,
}

/// Progress kept for a caller that does not look; after that only the latest counts.
const PROGRESS_KEPT: usize = 64;

/// As much may be freed before the driver is woken to count anew.
const WORTH_COUNTING: usize = 64 * 1024;

/// What one turn of the driver has to do once the lock is free.
#[derive(Default)]
pub(crate) struct Turn {
    /// Whether the connection wants input again.
    pub(crate) resumed: bool,
    /// Whether another session has begun within the connection.
    pub(crate) renewed: bool,
    pub(crate) wakers: Vec<Waker>,
    pub(crate) requests: Vec<Inbound>,
    pub(crate) notifications: Vec<Message>,
    pub(crate) questions: Vec<Questions>,
    /// Requests of the peer that are over without our answer, unless the connection is over with them.
    pub(crate) gone: Vec<InboundId>,
    /// Worth a line in the log: strays and broken rules.
    pub(crate) remarks: Vec<Event>,
    /// What may hold wakers, to be dropped.
    pub(crate) ended: Vec<Arc<Cancel>>,
    /// What the connection and its handlers hold in memory.
    pub(crate) load: Load,
}

/// A request for the application.
pub(crate) struct Inbound {
    pub(crate) id: InboundId,
    pub(crate) message: Message,
    pub(crate) meta: Box<RequestMeta>,
    pub(crate) cancel: Arc<Cancel>,
    /// Begun where the lock is free.
    pub(crate) operation: Operation,
    /// Who has sent it, if it came over HTTP.
    #[cfg(feature = "http")]
    pub(crate) caller: Option<Arc<crate::http::Caller>>,
    /// Its response, if it came in a session over HTTP.
    #[cfg(feature = "http")]
    pub(crate) stream: Option<crate::http::PostStream>,
}

impl Shared {
    pub(crate) fn new(
        connection: Connection,
        tracer: Tracer,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Arc<Self> {
        let state = State {
            connection,
            waiters: BTreeMap::new(),
            handlers: BTreeMap::new(),
            waiting: Waiting::default(),
            watchers: BTreeMap::new(),
            next_watcher: 0,
            asked: BTreeMap::new(),
            held: 0,
            uncounted: 0,
            memory: Memory::default(),
            renews: false,
            listeners: Listeners::default(),
            own_notifications: Vec::new(),
            kept: None,
            facts: None,
            closed: None,
            died_of_probe: false,
            output_closed: false,
            driver: None,
            cut: 0,
        };
        Arc::new(Self { state: Mutex::new(state), clock: Box::new(clock), tracer })
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What was counted since the connection began.
    pub(crate) fn stats(&self) -> Stats {
        self.with(|state| state.connection.stats())
    }

    /// How this connection takes part in traces.
    pub(crate) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Looks at or changes the state without disturbing the driver.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    /// Changes the connection, then wakes the driver so that it draws the consequences.
    pub(crate) fn command<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let (changed, driver) = self.change(change);
        if let Some(driver) = driver {
            driver.wake();
        }
        changed
    }

    /// The same for who holds a lock: the driver is to be woken without it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> (T, Option<Waker>) {
        let now = self.now();
        let mut state = self.lock();
        (change(&mut state, now), state.driver.take())
    }

    /// Whoever drives the connection goes away: it breaks, and every call fails.
    pub(crate) fn abandon(&self) {
        self.end_by(|connection, now| connection.handle_broken(now, "its driver was dropped"));
    }

    /// The same in another way: `end` is the last that is done to the connection. Whoever waits is woken.
    pub(crate) fn end_by(&self, end: impl FnOnce(&mut Connection, Timestamp)) {
        let (now, mut turn) = (self.now(), Turn::default());
        self.with(|state| {
            end(&mut state.connection, now);
            state.output_closed = true;
            state.take_events(&mut turn);
            turn.wakers.extend(std::mem::take(&mut state.watchers).into_values());
        });
        turn.wakers.into_iter().for_each(Waker::wake);
    }

    /// So many bytes are not held any more, outside of what the lock protects.
    pub(super) fn freed(&self, bytes: usize) {
        let driver = self.with(|state| state.freed(bytes));
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // Only our own code runs under the lock, so this is a bug of ours; nothing can be trusted to go on.
            let mut state = poisoned.into_inner();
            self.state.clear_poison();
            state.connection.handle_broken((self.clock)(), "a panic inside the library");
            state
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl State {
    /// Takes what the connection has to say. Whatever must happen outside the lock goes into `turn`.
    pub(crate) fn take_events(&mut self, turn: &mut Turn) {
        turn.notifications.append(&mut self.own_notifications);
        let mut cut = 0;
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Ready { version, peer, .. } => {
                    if self.facts.replace(Facts { version, peer }).is_some() {
                        turn.renewed = true;
                        self.listeners.begin_anew();
                        if let Some(kept) = &self.kept {
                            kept.forget_all();
                        }
                    }
                    turn.wakers.extend(self.waiting.take());
                    turn.wakers.extend(std::mem::take(&mut self.watchers).into_values());
                }
                Event::Request { id, message, meta } => {
                    let cancel = Arc::new(Cancel::default());
                    let bytes = message.size();
                    self.held += bytes;
                    self.handlers.insert(id, AtWork { cancel: Arc::clone(&cancel), bytes });
                    let operation = Operation::default();
                    turn.requests.push(Inbound {
                        id,
                        message,
                        meta,
                        cancel,
                        operation,
                        #[cfg(feature = "http")]
                        caller: None,
                        #[cfg(feature = "http")]
                        stream: None,
                    });
                }
                Event::Cancelled { id, .. } => {
                    turn.gone.push(id);
                    if let Some(work) = self.handlers.get(&id) {
                        cut += 1;
                        turn.wakers.append(&mut work.cancel.cancel());
                    }
                }
                Event::Notification { related, message } => {
                    if let (Some(kept), Some(change)) = (&self.kept, Change::of(&message)) {
                        kept.changed(&change);
                    }
                    match self.listeners.hear(related, &message, &mut turn.wakers) {
                        Heard::ByListener => {}
                        Heard::ByNobody => turn.notifications.push(message),
                    }
                }
                Event::InputRequired { id, requests } => {
                    let over = Arc::new(Cancel::default());
                    let bytes = requests.values().map(Message::size).sum();
                    turn.ended.extend(self.answered(id));
                    self.held += bytes;
                    self.asked.insert(id, AtWork { cancel: Arc::clone(&over), bytes });
                    let operation = self.waiters.get(&id).map(|waiter| waiter.operation.clone()).unwrap_or_default();
                    turn.questions.push(Questions { call: id, requests, over, operation });
                }
                Event::Progress { id, progress, message } => {
                    turn.notifications.push(message);
                    if let Some(waiter) = self.waiters.get_mut(&id) {
                        let size = |progress: Option<&Progress>| {
                            progress.map_or(0, |it| it.message.as_ref().map_or(0, String::len))
                        };
                        let replaced =
                            if waiter.progress.len() >= PROGRESS_KEPT { waiter.progress.pop_back() } else { None };
                        let (more, less) = (size(Some(&progress)), size(replaced.as_ref()));
                        waiter.bytes = waiter.bytes + more - less;
                        self.held = self.held + more - less;
                        waiter.progress.push_back(progress);
                        turn.wakers.extend(waiter.waker.take());
                    }
                }
                Event::Response { id, result } => {
                    if let Some(over) = self.answered(id) {
                        turn.wakers.append(&mut over.cancel());
                        turn.ended.push(over);
                    }
                    if let Some(waiter) = self.waiters.get_mut(&id) {
                        let bytes = result.as_ref().map_or(0, |(_, message)| message.size());
                        waiter.bytes += bytes;
                        self.held += bytes;
                        waiter.result = Some(result);
                        turn.wakers.extend(waiter.waker.take());
                    }
                }
                Event::Writable => turn.wakers.extend(self.waiting.take()),
                Event::Closed { reason, while_probing } => {
                    turn.gone.clear();
                    self.died_of_probe = while_probing && reason == CloseReason::PeerClosed;
                    self.closed = Some(reason);
                    // What is open at the end is cancelled right before it is told.
                    self.cut = cut;
                    turn.wakers.extend(self.waiting.take());
                    turn.wakers.extend(std::mem::take(&mut self.watchers).into_values());
                    turn.wakers.append(&mut self.listeners.wakers());
                }
                remark => turn.remarks.push(remark),
            }
        }
    }

    /// Remembers who waits for room. What it returns is to be dropped outside the lock.
    #[must_use]
    pub(crate) fn wait_for_room(&mut self, until: Option<Timestamp>, waker: Waker) -> Option<Waker> {
        self.waiting.add(until, waker)
    }

    /// Remembers who waits for the handshake or for the end, under the number that `key` keeps. As above.
    #[must_use]
    pub(crate) fn watch(&mut self, key: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let key = *key.get_or_insert_with(|| {
            self.next_watcher += 1;
            self.next_watcher
        });
        self.watchers.insert(key, waker)
    }

    /// The questions of a call are answered, or its answering was given up. As with `handler_ended`.
    #[must_use]
    pub(super) fn answered(&mut self, call: OutboundId) -> Option<Arc<Cancel>> {
        let work = self.asked.remove(&call)?;
        self.held -= work.bytes;
        Some(work.cancel)
    }

    /// Takes what has come for a call: progress, and the result if it is there, with which its waiter goes, unless the call has
    /// become a task whose progress it waits for. What the waiter held is to be dropped outside the lock.
    pub(crate) fn take_come(&mut self, id: OutboundId, waker: Waker, lasts: Lasts) -> Come {
        let Some(waiter) = self.waiters.get_mut(&id) else { return Come::default() };
        let freed = std::mem::take(&mut waiter.bytes);
        self.held -= freed;
        let progress = std::mem::take(&mut waiter.progress);
        let result = waiter.result.take();
        let replaced = waiter.waker.replace(waker);
        let goes_on = lasts == Lasts::WithItsTask && matches!(result, Some(Ok((ResultKind::Task, _))));
        let waiter = if result.is_some() && !goes_on { self.waiters.remove(&id) } else { None };
        Come { progress, result, driver: self.freed(freed), dropped: (replaced, waiter) }
    }

    /// Forgets who waited for a call. As above.
    #[must_use]
    pub(crate) fn forget_waiter(&mut self, id: OutboundId) -> Option<Waiter> {
        let waiter = self.waiters.remove(&id)?;
        self.held -= waiter.bytes;
        Some(waiter)
    }

    /// The answer of a handler waits for room, and so holds this much more.
    pub(crate) fn hold_reply(&mut self, id: InboundId, bytes: usize) {
        if let Some(work) = self.handlers.get_mut(&id) {
            work.bytes += bytes;
            self.held += bytes;
        }
    }

    /// Something is not held any more. If that makes a difference, the driver is to be woken, so that it counts anew.
    #[must_use]
    fn freed(&mut self, bytes: usize) -> Option<Waker> {
        self.uncounted += bytes;
        if self.uncounted > WORTH_COUNTING { self.driver.take() } else { None }
    }

    /// What the connection holds, and what of it has gone to handlers and callers.
    pub(crate) fn load(&mut self) -> Load {
        self.uncounted = 0;
        let is_idle = self.handlers.is_empty() && self.waiters.is_empty();
        Load { bytes: self.connection.buffered_bytes() + self.held, busy: if is_idle { Busy::No } else { Busy::Yes } }
    }

    /// When the driver has to look again: for the connection, or because somebody has waited long enough for room.
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        [self.connection.poll_timeout(), self.waiting.next()].into_iter().flatten().min()
    }

    /// Sends what waits for room without anybody waiting for it.
    pub(crate) fn send_unsent(&mut self, now: Timestamp) {
        self.listeners.unsubscribe(&mut self.connection, now);
    }

    /// Wakes those who have waited long enough for room.
    pub(crate) fn expire_waiting(&mut self, now: Timestamp, turn: &mut Turn) {
        turn.wakers.extend(self.waiting.expired(now));
    }

    /// The handler of a request has ended, whatever came of it. What it returns may hold wakers: drop it outside the lock.
    #[must_use]
    pub(crate) fn handler_ended(&mut self, id: InboundId, now: Timestamp) -> Option<Arc<Cancel>> {
        self.connection.release(now, id);
        let work = self.handlers.remove(&id)?;
        self.held -= work.bytes;
        Some(work.cancel)
    }

    /// Gives back the memory that is kept for what is not here now.
    #[cfg(feature = "http")]
    pub(crate) fn shrink(&mut self) {
        self.connection.shrink();
        if self.handlers.is_empty() {
            self.handlers = BTreeMap::new();
        }
        if self.waiters.is_empty() {
            self.waiters = BTreeMap::new();
        }
        if self.watchers.is_empty() {
            self.watchers = BTreeMap::new();
        }
    }

    /// How many calls of the peer are in work.
    pub(crate) fn working(&self) -> usize {
        self.handlers.len()
    }
}

/// Tells a handler that its request was cancelled.
#[derive(Default)]
pub(crate) struct Cancel {
    cancelled: AtomicBool,
    /// Set once the handler has asked to be told: then it decides itself how to end.
    watched: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Cancel {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::Release);
    }

    /// Ready once cancelled; else `cx` is woken when that happens.
    pub(crate) fn poll_cancelled(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_cancelled() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut wakers = self.wakers();
        let replaced = wakers.iter().position(|known| known.will_wake(&waker));
        let replaced = match replaced {
            Some(_) => Some(waker),
            None => {
                wakers.push(waker);
                None
            }
        };
        drop(wakers);
        drop(replaced);
        // Looked at again, since the cancellation may have come between the first look and the registration.
        if self.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn cancel(&self) -> Vec<Waker> {
        self.cancelled.store(true, Ordering::Release);
        std::mem::take(&mut *self.wakers())
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        // Nothing can panic while it is held, and a list of wakers is right in any state.
        self.wakers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}
