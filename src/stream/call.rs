//! A request of ours as a future: sent when first polled, cancelled on the wire when dropped.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroI64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mcp_proto::jsonrpc::RequestId;
use mcp_proto::model::Progress;
use mcp_proto::{
    Body, CallOptions, Deadlines, Message, Meta, OutboundId, RequestError, ResultKind, Scope, TimedOut, Timestamp,
    Wanted, Why,
};

use super::handling::contain_callback;
use super::link::{Lesson, Link, Route};
use super::listeners::Key;
use super::shared::{Come, Lasts, Shared, Waiter};
use crate::trace::{Operation, Outcome, Within};
use crate::{Error, Result};

/// Called with each progress notification of a call, in order and before its result, by the task that awaits the call. If it
/// panics, that is logged, and the call goes on.
pub(crate) type OnProgress = Box<dyn FnMut(Progress) + Send>;

/// See the module.
pub(crate) struct Call {
    link: Link,
    /// For error messages.
    what: String,
    options: CallOptions,
    on_progress: Option<OnProgress>,
    step: Step,
    /// Since when it waits to be sent.
    waits_since: Option<Timestamp>,
    patience: Patience,
    /// What it means for the connection that follows.
    lesson: Option<Lesson>,
    /// The id with which it was first sent.
    wire: Option<NonZeroI64>,
    /// Who hears what the server tells on it, if it is a subscription.
    listener: Option<Key>,
    /// The request during whose handling it is sent.
    within: Option<Box<Within>>,
    /// Begun when it is first polled.
    operation: Operation,
    lasts: Lasts,
}

/// What came of a call.
pub(crate) struct Answered {
    /// To be ended by whoever knows what is in the answer.
    pub(crate) operation: Operation,
    pub(crate) kind: ResultKind,
    pub(crate) message: Message,
    /// How often it was sent.
    pub(crate) sent: Sent,
}

/// How often a call was sent until its answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Once,
    /// More than once, with answers to questions of the server.
    Again,
}

/// How long a call waits for the connection that follows one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// As long as it may wait for its answer.
    OfTheCall,
    /// Until there is one, or there will be none.
    Unlimited,
}

enum Step {
    /// The body, until a connection has taken it.
    Unsent(Body),
    Open(Arc<Shared>, OutboundId),
    /// Answered with a task of 2025-11-25, which reports under the same handle.
    Task(Arc<Shared>, OutboundId),
    Ended,
}

impl Call {
    pub(crate) fn new(link: Link, what: String, body: Body) -> Self {
        Self {
            link,
            what,
            options: CallOptions::default(),
            on_progress: None,
            step: Step::Unsent(body),
            waits_since: None,
            patience: Patience::OfTheCall,
            lesson: None,
            wire: None,
            listener: None,
            within: None,
            operation: Operation::default(),
            lasts: Lasts::UntilItsResult,
        }
    }

    /// Makes it part of what a request of the peer leads to.
    pub(crate) fn within(mut self, within: Within) -> Self {
        self.within = Some(Box::new(within));
        self
    }

    /// Makes it a subscription whose changes go there.
    pub(crate) fn heard_by(mut self, listener: Key) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Makes it wait for the connection that follows, however long that takes.
    pub(crate) fn patient(mut self) -> Self {
        self.patience = Patience::Unlimited;
        self
    }

    /// Has the client remember this for the connection that follows.
    pub(crate) fn teaches(&mut self, lesson: Lesson) {
        self.lesson = Some(lesson);
    }

    pub(crate) fn options(&mut self) -> &mut CallOptions {
        &mut self.options
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The connection to which it was sent, as long as it is open there or has become a task there.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        match &self.step {
            Step::Open(shared, _) | Step::Task(shared, _) => Some(shared),
            Step::Unsent(_) | Step::Ended => None,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        match &self.step {
            Step::Open(shared, _) | Step::Task(shared, _) => shared.now(),
            Step::Unsent(_) | Step::Ended => self.link.now(),
        }
    }

    /// The subscription is open: what follows is not part of the operation.
    pub(crate) fn granted(&mut self) {
        std::mem::take(&mut self.operation).end(self.now(), &Outcome::Done);
    }

    fn failed(&self, error: RequestError) -> Error {
        Error::Request { what: self.what.clone(), id: self.wire, error }
    }

    pub(crate) fn on_progress(&mut self, call: OnProgress) {
        self.options.progress = Wanted::Yes;
        self.on_progress = Some(call);
    }

    /// Has it report on after its result, if that is a task; see [`poll_progress`](Self::poll_progress).
    pub(crate) fn reporting_as_task(mut self) -> Self {
        self.lasts = Lasts::WithItsTask;
        self
    }

    /// Tells the progress of the task that it has become, as the call itself does before; and has `cx` woken for the next.
    pub(crate) fn poll_progress(&mut self, cx: &Context<'_>) {
        let Step::Task(shared, id) = &self.step else { return };
        let waker = cx.waker().clone();
        let Come { progress, driver, dropped, .. } = shared.with(|state| state.take_come(*id, waker, self.lasts));
        drop(dropped);
        if let Some(driver) = driver {
            driver.wake();
        }
        self.tell(progress);
    }

    fn tell(&mut self, progress: VecDeque<Progress>) {
        let Some(on_progress) = &mut self.on_progress else { return };
        let (what, id) = (&self.what, self.wire.map(NonZeroI64::get));
        for progress in progress {
            contain_callback(what, id, || on_progress(progress));
        }
    }

    fn send(&mut self, mut body: Body, cx: &Context<'_>) -> Poll<Result<()>> {
        let since = *self.waits_since.get_or_insert_with(|| {
            let (shared, meta) = (self.link.current(), &mut self.options.meta);
            self.operation = Operation::request(&shared, &body, self.within.as_deref(), meta);
            shared.now()
        });
        let (patience, timed_out) = match self.options.deadlines {
            Deadlines::Call { idle, cap } if cap < idle => (cap, TimedOut::Cap(cap)),
            Deadlines::Call { idle: patience, .. } | Deadlines::Stream { first: patience } => {
                (patience, TimedOut::Idle(patience))
            }
        };
        let until = (self.patience == Patience::OfTheCall).then(|| since + patience);
        loop {
            let shared = match self.link.route(cx, until) {
                Route::Over(shared) => shared,
                Route::Waits => {
                    self.step = Step::Unsent(body);
                    return Poll::Pending;
                }
                Route::TooLate => return Poll::Ready(Err(self.failed(RequestError::TimedOut(timed_out)))),
                Route::Nowhere(why) => return Poll::Ready(Err(Error::not_restarted(&self.what, why))),
            };
            if until.is_some_and(|until| shared.now() >= until) {
                // The queue was full for as long as it may be silent.
                return Poll::Ready(Err(self.failed(RequestError::TimedOut(timed_out))));
            }
            let mut waker = Some(cx.waker().clone());
            let (options, listener) = (self.options.clone(), self.listener);
            // A subscription is asked nothing.
            let operation = if listener.is_none() { self.operation.clone() } else { Operation::default() };
            let sent = shared.command(|state, now| match state.connection.request(now, body, options) {
                Ok(id) => {
                    state.waiters.insert(id, Waiter::new(waker.take(), operation));
                    if let Some(listener) = listener {
                        state.listeners.hear_on(listener, id);
                    }
                    Ok((id, state.connection.wire_id(id).and_then(|wire| NonZeroI64::new(wire.as_number()?))))
                }
                Err(refused) => {
                    // The session that was is gone, and the next one has not begun.
                    let waits = refused.why == Why::Full || refused.why == Why::NotReady && state.renews;
                    if waits {
                        waker = waker.take().and_then(|waker| state.wait_for_room(until, waker));
                    }
                    Err((refused, waits))
                }
            });
            drop(waker);
            match sent {
                Ok((id, wire)) => {
                    // Now, and not when it is answered: what follows may come before that is looked at.
                    self.link.learn(self.lesson.as_ref());
                    self.step = Step::Open(shared, id);
                    self.wire = wire;
                    if let Some(wire) = wire {
                        self.operation.has_id(wire);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err((refused, true)) => {
                    self.step = Step::Unsent(refused.body);
                    return Poll::Pending;
                }
                // Nothing was sent, so nothing can be done twice.
                Err((refused, _)) if refused.why == Why::Closed && self.link.is_followed(&shared) => {
                    body = refused.body;
                }
                Err((refused, _)) => {
                    return Poll::Ready(Err(Error::Send { what: self.what.clone(), why: refused.why }));
                }
            }
        }
    }
}

impl Future for Call {
    type Output = Result<Answered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Answered>> {
        let polled = self.poll_answer(cx);
        if let Poll::Ready(Err(error)) = &polled {
            self.operation.end(self.now(), &Outcome::of(error));
        }
        polled
    }
}

impl Call {
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answered>> {
        let this = self;
        let (shared, id) = match std::mem::replace(&mut this.step, Step::Ended) {
            Step::Unsent(body) => match this.send(body, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => return Poll::Pending,
            },
            Step::Open(shared, id) => (shared, id),
            Step::Task(..) | Step::Ended => {
                return Poll::Ready(Err(Error::Send { what: this.what.clone(), why: Why::Gone }));
            }
        };
        let waker = cx.waker().clone();
        let Come { progress, result, driver, dropped } = shared.with(|state| state.take_come(id, waker, this.lasts));
        drop(dropped);
        if let Some(driver) = driver {
            driver.wake();
        }
        match &result {
            // Before the callback: whatever that does, the drop finds what to cancel.
            None => this.step = Step::Open(shared, id),
            Some(Ok((ResultKind::Task, _))) if this.lasts == Lasts::WithItsTask => this.step = Step::Task(shared, id),
            Some(_) => {}
        }
        this.tell(progress);
        match result {
            None => Poll::Pending,
            Some(Ok((kind, message))) => {
                // Each time it is sent it has another id, and the answer has the last. One that a peer spells differently
                // counts as another, which costs no more than a place in a cache.
                let sent = if message.id().and_then(RequestId::as_number) == this.wire.map(NonZeroI64::get) {
                    Sent::Once
                } else {
                    Sent::Again
                };
                let operation = std::mem::take(&mut this.operation);
                Poll::Ready(Ok(Answered { operation, kind, message, sent }))
            }
            Some(Err(error)) => {
                if let RequestError::Rpc(_) = error {
                    this.link.unlearn(this.lesson.as_ref());
                }
                Poll::Ready(Err(this.failed(error)))
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Step::Open(shared, id) | Step::Task(shared, id) = &self.step {
            let waiter = shared.command(|state, now| {
                state.connection.cancel(now, *id, "the caller does not want it any more");
                state.forget_waiter(*id)
            });
            drop(waiter);
        }
        self.operation.end(self.now(), &Outcome::Cancelled);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("what", &self.what).finish_non_exhaustive()
    }
}

/// Sends a notification.
pub(crate) fn notify(shared: &Shared, body: Body, scope: Scope, mut meta: Meta) -> Result<()> {
    let operation = match scope {
        Scope::Connection => Operation::notification(shared, &body, &mut meta),
        // Part of that request's operation.
        Scope::Within(_) => Operation::default(),
    };
    let sent = shared
        .command(|state, now| state.connection.notify(now, body, scope, meta))
        .map_err(|refused| Error::Send { what: refused.body.method().to_owned(), why: refused.why });
    operation.end(shared.now(), &sent.as_ref().map_or_else(Outcome::of, |()| Outcome::Done));
    sent
}

/// Reserves the id of a request that is sent by other means.
pub(crate) fn reserve_id(shared: &Shared) -> Result<RequestId> {
    let reserved = shared.with(|state| state.connection.reserve_id());
    reserved.map_err(|why| Error::Send { what: "a reserved id".to_owned(), why })
}
