//! A session at work: its connection, its streams under a lock of their own, and who waits for them.
//!
//! The lock is held for a few lines, and like that of the connection never while user code runs, or wakers or values of users are dropped
//! or woken. The two are never held at once.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mcp_proto::http::{Activity, EventId, Output, Preference, Reason, Session, SessionConfig, SessionId, StreamKey};
use mcp_proto::jsonrpc::Kind;
use mcp_proto::{Channel, Message, Origin, ProtocolVersion, Timestamp};

use super::front::{Came, Delivery, Front, Next, Outlook};
use super::table::Table;
use super::task;
use crate::http::caller::Caller;
use crate::http::service::Web;
use crate::runtime::Spawn;
use crate::stream::Shared;

/// Messages that wait for the session's task.
const INBOX: usize = 256;

/// See the module.
pub(super) struct Live {
    id: SessionId,
    shared: Arc<Shared>,
    table: Weak<Table<Self>>,
    streams: Mutex<Streams>,
}

struct Streams {
    session: Session,
    inbox: Vec<Came>,
    /// The responses that have to wait.
    waiting: Vec<(StreamKey, Waker)>,
    /// What the table was told last.
    activity: Activity,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Over,
}

impl Live {
    /// A session that has just begun, and its task.
    pub(super) fn new<R: Spawn>(
        web: &Web<R>,
        id: SessionId,
        config: &Arc<SessionConfig>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + use<R>) {
        let live = Arc::new(Self {
            shared: task::shared(web),
            table: Arc::downgrade(&web.sessions.table),
            streams: Mutex::new(Streams {
                session: Session::new(id.clone(), Arc::clone(config)),
                inbox: Vec::new(),
                waiting: Vec::new(),
                activity: Activity::Idle,
                phase: Phase::Open,
            }),
            id,
        });
        let task = task::run(web, Arc::clone(&live));
        (live, task)
    }

    pub(super) fn id(&self) -> &SessionId {
        &self.id
    }

    /// Ends it: what is in work is cancelled.
    pub(super) fn close(&self) {
        self.shared.command(|state, now| state.connection.close(now, Duration::ZERO));
    }

    /// Whether this is a batch, and the revision of the session has none.
    pub(super) fn is_foreign_batch(&self, message: &Message) -> bool {
        message.kind() == Kind::Malformed && !self.version().is_some_and(|version| version.rules().batches)
    }

    /// A POST of the session has brought a message.
    pub(super) fn open_post(self: &Arc<Self>, message: Message, caller: Arc<Caller>) -> Result<StreamKey, Reason> {
        let (now, version) = (self.shared.now(), self.version());
        let preference = Preference::of(caller.headers());
        let (key, begins) = {
            let mut streams = self.lock();
            streams.check_open()?;
            if streams.inbox.len() >= INBOX {
                return Err(Reason::TooManyExchanges);
            }
            let key = streams.session.open_post(now, version, &message, preference)?;
            let stream = Some(PostStream { live: Arc::downgrade(self), origin: key.origin() });
            streams.inbox.push(Came { origin: key.origin(), number: key.number(), message, caller, stream });
            (key, streams.begins_work())
        };
        self.tell_activity(now, begins);
        self.wake_task();
        Ok(key)
    }

    /// A GET asks for the stream of the session, or for what comes after an event.
    pub(super) fn open_get(&self, resume: Option<&EventId>) -> Result<StreamKey, Reason> {
        let (now, version) = (self.shared.now(), self.version());
        let (key, begins, wakers) = {
            let mut streams = self.lock();
            streams.check_open()?;
            let key = streams.session.open_get(now, version, resume)?;
            (key, streams.begins_work(), streams.take_wakers())
        };
        self.tell_activity(now, begins);
        // A former reader may have to hear that it was followed.
        wakers.into_iter().for_each(Waker::wake);
        self.wake_task();
        Ok(key)
    }

    /// What a response is told next.
    pub(super) fn poll_output(&self, key: StreamKey, cx: &Context<'_>) -> Poll<Output> {
        let waker = cx.waker().clone();
        let now = self.shared.now();
        let mut streams = self.lock();
        let wanted = streams.session.wants_notices();
        let Some(output) = streams.session.poll_output(now, key) else {
            let known = streams.waiting.iter_mut().find(|(waiting, _)| *waiting == key);
            let replaced = match known {
                Some((_, known)) => Some(std::mem::replace(known, waker)),
                None => {
                    streams.waiting.push((key, waker));
                    None
                }
            };
            drop(streams);
            drop(replaced);
            return Poll::Pending;
        };
        let has_changed = output == Output::End || streams.session.wants_notices() != wanted;
        drop(streams);
        if has_changed {
            self.wake_task();
        }
        Poll::Ready(output)
    }

    /// A response is gone.
    pub(super) fn detach(&self, key: StreamKey) {
        let now = self.shared.now();
        let waiting = {
            let mut streams = self.lock();
            streams.session.detach(now, key);
            let at = streams.waiting.iter().position(|(waiting, _)| *waiting == key);
            at.map(|at| streams.waiting.swap_remove(at))
        };
        drop(waiting);
        self.wake_task();
    }

    fn suspend(&self, origin: Origin, retry: Duration) -> bool {
        let now = self.shared.now();
        let (suspended, wakers) = {
            let mut streams = self.lock();
            (streams.session.suspend(now, origin, retry), streams.take_wakers())
        };
        wakers.into_iter().for_each(Waker::wake);
        suspended.is_ok()
    }

    fn version(&self) -> Option<ProtocolVersion> {
        self.shared.with(|state| state.connection.version())
    }

    fn tell_activity(&self, now: Timestamp, changed: Option<Activity>) {
        if let (Some(activity), Some(table)) = (changed, self.table.upgrade()) {
            table.set_activity(now, &self.id, activity);
        }
    }

    /// Has the task look at what has changed.
    fn wake_task(&self) {
        let driver = self.shared.with(|state| state.driver.take());
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        // Only our own code runs under it; should that panic, what is there is still the best that is known.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn check_open(&self) -> Result<(), Reason> {
        if self.phase == Phase::Open { Ok(()) } else { Err(Reason::SessionUnknown) }
    }

    /// Something has come that the task has not seen yet: the session must not expire before it does.
    fn begins_work(&mut self) -> Option<Activity> {
        self.change_activity(Activity::Busy)
    }

    /// What the table has to be told, if that is anything new.
    fn change_activity(&mut self, activity: Activity) -> Option<Activity> {
        (std::mem::replace(&mut self.activity, activity) != activity).then_some(activity)
    }

    /// Those who wait for something that is there now.
    fn take_wakers(&mut self) -> Vec<Waker> {
        let Self { session, waiting, .. } = self;
        let woken = waiting.extract_if(.., |(key, _)| session.has_output(*key)).map(|(_, waker)| waker).collect();
        if waiting.is_empty() {
            *waiting = Vec::new();
        }
        woken
    }
}

impl Front for Live {
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn take_came(&self) -> Vec<Came> {
        std::mem::take(&mut self.lock().inbox)
    }

    fn outlook(&self) -> Outlook {
        let wants_notices = self.lock().session.wants_notices();
        let channel = if wants_notices { Channel::Open } else { Channel::Closed };
        // What a response does not take is cut there, so that it holds up no other.
        Outlook { room: usize::MAX, channel }
    }

    fn deliver(&self, now: Timestamp, delivery: Delivery) -> Next {
        let Delivery { frames, ended, activity } = delivery;
        let (next, wakers, changed) = {
            let mut streams = self.lock();
            for frame in frames {
                streams.session.push(now, frame);
            }
            for origin in ended {
                streams.session.ended(now, origin);
            }
            streams.session.handle_timeout(now);
            let activity = if streams.session.is_read() { Activity::Busy } else { activity };
            let changed = streams.change_activity(activity);
            let next = Next { timeout: streams.session.poll_timeout(), bytes: streams.session.buffered() };
            (next, streams.take_wakers(), changed)
        };
        wakers.into_iter().for_each(Waker::wake);
        self.tell_activity(now, changed);
        next
    }

    fn begin_end(&self, now: Timestamp) {
        let wakers = {
            let mut streams = self.lock();
            streams.session.begin_end(now);
            streams.take_wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn over(&self, now: Timestamp) {
        let (wakers, inbox) = {
            let mut streams = self.lock();
            streams.phase = Phase::Over;
            streams.session.close(now);
            (streams.take_wakers(), std::mem::take(&mut streams.inbox))
        };
        wakers.into_iter().for_each(Waker::wake);
        drop(inbox);
        if let Some(table) = self.table.upgrade() {
            table.forget(&self.id);
        }
    }
}

/// The stream of a POST, for the handler of its request.
#[derive(Clone)]
pub(crate) struct PostStream {
    live: Weak<Live>,
    origin: Origin,
}

impl PostStream {
    /// Closes the response on purpose; whether it was.
    pub(crate) fn suspend(&self, retry: Duration) -> bool {
        self.live.upgrade().is_some_and(|live| live.suspend(self.origin, retry))
    }
}

impl fmt::Debug for PostStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostStream").field(&self.origin).finish()
    }
}
