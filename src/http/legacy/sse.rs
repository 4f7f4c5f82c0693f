//! HTTP with SSE of 2024-11-05: a GET opens a session and reads all of it, POSTs to another path bring its messages.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use mcp_proto::http::{
    Activity, HttpLimits, MessagePath, Output, PathFault, Reason, SessionId, Sessions, SsePart, SseStream,
};
use mcp_proto::{Channel, Message, Origin, Timestamp};

use super::front::{Came, Delivery, Front, Next, Outlook};
use super::{fresh_id, refuse, task};
use crate::http::body::{Body, Source};
use crate::http::caller::Caller;
use crate::http::service::Web;
use crate::runtime::Spawn;
use crate::stream::Shared;

/// Messages that wait for the session's task.
const INBOX: usize = 256;
/// Bytes that are taken from the connection at once.
const PIECE: usize = 64 * 1024;

/// The two paths, and the sessions.
pub(in crate::http) struct Door {
    path: String,
    messages: MessagePath,
    limits: HttpLimits,
    sessions: Arc<Mutex<Sessions<Arc<Single>>>>,
}

impl Door {
    /// # Errors
    ///
    /// When the path for messages would lead a client elsewhere.
    pub(in crate::http) fn new(path: &str, messages: &str, limits: &HttpLimits) -> Result<Self, PathFault> {
        Ok(Self {
            path: path.to_owned(),
            messages: MessagePath::new(messages)?,
            limits: limits.clone(),
            sessions: Arc::new(Mutex::new(Sessions::new(limits))),
        })
    }

    /// What is at a path.
    pub(in crate::http) fn at(&self, path: &str) -> Option<SsePart> {
        match path {
            path if path == self.path => Some(SsePart::Stream),
            path if path == self.messages.as_str() => Some(SsePart::Messages),
            _ => None,
        }
    }
}

/// Opens a session, and answers with its stream.
pub(in crate::http) async fn open<R: Spawn>(web: &Arc<Web<R>>, door: &Door, caller: Arc<Caller>) -> Response<Body> {
    if web.open.is_ending() {
        return refuse(web, &caller, Reason::ShuttingDown, None);
    }
    let id = match fresh_id() {
        Ok(id) => id,
        Err(reason) => return refuse(web, &caller, reason, None),
    };
    let now = web.runtime.now();
    let single = Arc::new(Single {
        id: id.clone(),
        shared: task::shared(web),
        sessions: Arc::downgrade(&door.sessions),
        state: Mutex::new(State {
            stream: SseStream::new(now, &id, &door.messages, &door.limits),
            inbox: Vec::new(),
            next: 0,
            waiting: None,
        }),
    });
    let inserted = {
        let mut sessions = lock(&door.sessions);
        let inserted = sessions.insert(now, id.clone(), caller.principal(), Arc::clone(&single));
        // Its client is there for as long as it is, so none of them ever is idle.
        sessions.set_activity(now, &id, Activity::Busy);
        inserted
    };
    if let Err(reason) = inserted {
        return refuse(web, &caller, reason, None);
    }
    web.runtime.spawn(task::run(web, Arc::clone(&single)));
    let reading = Reading(single);
    let head = poll_fn(|cx| reading.0.poll_output(cx)).await;
    let mut response = Response::new(Body::from_source(reading));
    if let Output::Head(head) = head {
        (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
    }
    response
}

/// Takes a message for the session that the query names.
pub(in crate::http) fn post<R: Spawn>(
    web: &Web<R>,
    door: &Door,
    message: Message,
    caller: Arc<Caller>,
) -> Response<Body> {
    if let Some(fault) = message.fault().filter(|_| message.batch(&web.server.config().limits).is_none()) {
        return refuse(web, &caller, Reason::Malformed(fault), Some(&message));
    }
    let Some(id) = MessagePath::session_in(caller.head().uri.query()) else {
        return refuse(web, &caller, Reason::SessionMissing, Some(&message));
    };
    let found = lock(&door.sessions).find(web.runtime.now(), &id, caller.principal()).map(|single| Arc::clone(single));
    let single = match found {
        Ok(single) => single,
        Err(reason) => return refuse(web, &caller, reason, Some(&message)),
    };
    let busy = web.endpoint.refusal(caller.headers(), Reason::TooManyExchanges).of(&message);
    if single.take(message, caller) == Taken::No {
        return busy.into_response().map(Body::full);
    }
    let mut accepted = Response::new(Body::full("Accepted"));
    *accepted.status_mut() = StatusCode::ACCEPTED;
    accepted
}

/// A session with one stream.
struct Single {
    id: SessionId,
    shared: Arc<Shared>,
    sessions: Weak<Mutex<Sessions<Arc<Self>>>>,
    state: Mutex<State>,
}

struct State {
    stream: SseStream,
    inbox: Vec<Came>,
    next: u64,
    /// The response, if it has to wait.
    waiting: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

impl Single {
    fn take(&self, message: Message, caller: Arc<Caller>) -> Taken {
        let mut came = Some((message, caller));
        {
            let mut state = lock(&self.state);
            if state.inbox.len() < INBOX
                && let Some((message, caller)) = came.take()
            {
                state.next += 1;
                let number = state.next;
                state.inbox.push(Came { origin: Origin::STREAM, number, message, caller, stream: None });
            }
        }
        if came.is_some() {
            return Taken::No;
        }
        self.wake_task();
        Taken::Yes
    }

    fn poll_output(&self, cx: &Context<'_>) -> Poll<Output> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.state);
        let wanted = state.stream.wants_frames();
        let output = state.stream.poll_output();
        let has_room = state.stream.wants_frames() && !wanted;
        let replaced = if output.is_none() { state.waiting.replace(waker) } else { None };
        drop(state);
        drop(replaced);
        if has_room {
            self.wake_task();
        }
        output.map_or(Poll::Pending, Poll::Ready)
    }

    /// Has the task look at what has changed.
    fn wake_task(&self) {
        let driver = self.shared.with(|state| state.driver.take());
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl Front for Single {
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn take_came(&self) -> Vec<Came> {
        std::mem::take(&mut lock(&self.state).inbox)
    }

    fn outlook(&self) -> Outlook {
        // What the response does not take waits in the connection, which gives up if it never does.
        let room = if lock(&self.state).stream.wants_frames() { PIECE } else { 0 };
        Outlook { room, channel: Channel::Open }
    }

    fn deliver(&self, now: Timestamp, delivery: Delivery) -> Next {
        let (next, waiting) = {
            let mut state = lock(&self.state);
            for frame in &delivery.frames {
                state.stream.push(now, frame);
            }
            state.stream.handle_timeout(now);
            let next = Next { timeout: state.stream.poll_timeout(), bytes: state.stream.buffered() };
            let waiting = if state.stream.buffered() > 0 { state.waiting.take() } else { None };
            (next, waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        next
    }

    fn begin_end(&self, _: Timestamp) {}

    fn over(&self, _: Timestamp) {
        let (waiting, inbox) = {
            let mut state = lock(&self.state);
            state.stream.end();
            (state.waiting.take(), std::mem::take(&mut state.inbox))
        };
        waiting.into_iter().for_each(Waker::wake);
        drop(inbox);
        if let Some(sessions) = self.sessions.upgrade() {
            let forgotten = lock(&sessions).forget(&self.id);
            drop(forgotten);
        }
    }
}

/// The response that reads it. Its end is the end of the session.
struct Reading(Arc<Single>);

impl Source for Reading {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.poll_output(cx).map(|output| match output {
            Output::Data(data) => Some(data),
            Output::Head(_) | Output::End => None,
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.shared.command(|state, now| state.connection.close(now, Duration::ZERO));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Only our own code runs under it, in steps that leave it right.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
