//! How a request of the peer becomes an answer: the contract between the driver and a server's or client's handlers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mcp_proto::model::SubscriptionFilter;
use mcp_proto::{Body, ErrorObject, InboundId, InputRequired, Message, Meta, ResultKind};

use super::routing::Routers;
use super::shared::{Cancel, Inbound, Shared, State};
use crate::Timestamp;

/// A boxed future that may move between threads.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What answers the peer's requests: a server's tools, a client's callbacks.
pub(crate) trait Service: Send + Sync + 'static {
    /// Prepares the answer. Runs outside the lock; must not block.
    fn handle(&self, shared: &Arc<Shared>, request: Inbound) -> Handling;

    /// Prepares the answer to a question that came instead of an answer to a request of ours.
    fn answer(&self, question: &Message) -> Result<BoxFuture<Reply>, ErrorObject>;

    /// Who is offered the peer's answers first.
    fn routers(&self) -> &Routers;

    /// Prepares what a notification leads to, if anything. They run one after the other.
    fn notified(&self, shared: &Arc<Shared>, message: Message) -> Option<BoxFuture<()>>;
}

/// How an answer comes about.
pub(crate) enum Handling {
    /// It is there.
    Now(Reply),
    /// Polled once in place; becomes a task only if it is pending.
    InPlace(BoxFuture<Reply>),
    /// Blocks: runs on a thread of its own.
    Blocking(BoxFuture<Reply>),
}

/// The answer to a request.
pub(crate) type Reply = Result<Answer, ErrorObject>;

/// What a handler has to say.
pub(crate) enum Answer {
    /// A result and the keys of its `_meta`.
    Result { body: Body, meta: Meta },
    /// It needs to know more first.
    Question(InputRequired),
    /// It is a subscription, opened for this much: its answer comes with its end.
    Grant(SubscriptionFilter),
}

impl From<Body> for Answer {
    fn from(body: Body) -> Self {
        Self::Result { body, meta: None }
    }
}

impl State {
    /// Sends an answer. One that nobody wants any more is dropped. See `handler_ended` for what it returns.
    #[must_use]
    pub(crate) fn answer(&mut self, now: Timestamp, id: InboundId, reply: Reply) -> Option<Arc<Cancel>> {
        // Gone: cancelled or closed meanwhile. Too large, or the client cannot be asked: it has an error in its place.
        let _ = match reply {
            Ok(Answer::Result { body, meta }) => self.connection.respond(now, id, ResultKind::Complete, body, meta),
            Ok(Answer::Grant(granted)) => self.connection.grant(now, id, &granted),
            Ok(Answer::Question(input)) => self.connection.require_input(now, id, &input),
            Err(error) => self.connection.reject(now, id, &error),
        };
        self.handler_ended(id, now)
    }
}

/// Bytes of memory that an answer holds, roughly.
pub(super) fn size(reply: &Reply) -> usize {
    match reply {
        Ok(Answer::Result { body, .. }) => body.size(),
        Ok(Answer::Question(_) | Answer::Grant(_)) => size_of::<Reply>(),
        Err(error) => error.message.len(),
    }
}

/// A handler at work on one request: contains its panic, ends with its cancellation, and sends its answer.
pub(crate) struct Work {
    id: InboundId,
    shared: Arc<Shared>,
    cancel: Arc<Cancel>,
    /// `None` once it has ended and only the answer waits for room.
    future: Option<BoxFuture<Reply>>,
    reply: Option<Reply>,
}

impl Work {
    pub(crate) fn new(id: InboundId, shared: Arc<Shared>, cancel: Arc<Cancel>, future: BoxFuture<Reply>) -> Self {
        Self { id, shared, cancel, future: Some(future), reply: None }
    }

    /// Polls the handler once, panic contained.
    pub(crate) fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(Err(ErrorObject::internal("the handler has ended")));
        };
        let reply = match contain(|| future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reply)) => reply,
            Err(error) => Err(error),
        };
        drop_contained(self.future.take());
        Poll::Ready(reply)
    }
}

/// As a task: polls the handler, then waits until there is room for the answer, so that many large answers at once do not
/// look like a peer that reads nothing.
impl Future for Work {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // A handler that never asked to be told of a cancellation ends here, at one of its awaits.
        if this.cancel.poll_cancelled(cx).is_ready() && (this.reply.is_some() || !this.cancel.is_watched()) {
            drop_contained(this.future.take());
            this.reply = None;
            drop(this.shared.command(|state, now| state.handler_ended(this.id, now)));
            return Poll::Ready(());
        }
        let (reply, waited) = match this.reply.take() {
            Some(reply) => (reply, true),
            None => match this.poll_handler(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(reply) => (reply, false),
            },
        };
        let waker = cx.waker().clone();
        let refused = this.shared.command(|state, now| {
            if state.connection.is_output_full() && !this.cancel.is_cancelled() {
                if !waited {
                    state.hold_reply(this.id, size(&reply));
                }
                return Err((reply, state.wait_for_room(None, waker)));
            }
            Ok((state.answer(now, this.id, reply), waker))
        });
        this.reply = refused.err().map(|(reply, _)| reply);
        if this.reply.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// A handler that goes away unfinished (its runtime shut down) still gives its slot back, and its caller an answer.
impl Drop for Work {
    fn drop(&mut self) {
        if self.future.is_some() || self.reply.is_some() {
            drop_contained(self.future.take());
            let gone = ErrorObject::internal("the handler was dropped before it answered");
            drop(self.shared.command(|state, now| state.answer(now, self.id, Err(gone))));
        }
    }
}

/// −32603 for a panic. Its text stays on this side: it may hold what the peer must not see.
fn panicked(panic: &(dyn Any + Send)) -> ErrorObject {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("not a text"), "a handler panicked");
    ErrorObject::internal("the handler panicked")
}

/// Dropping a handler runs user code, which may panic as well.
pub(crate) fn drop_contained<T>(value: T) {
    drop(contain(|| drop(value)));
}

/// Runs user code, its panic contained.
pub(crate) fn contain<T>(run: impl FnOnce() -> T) -> Result<T, ErrorObject> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panicked(&*panic))
}

/// Polls a notification's handling to its end, its panic contained.
pub(crate) async fn handle_contained(mut future: BoxFuture<()>) {
    std::future::poll_fn(|cx| contain(|| future.as_mut().poll(cx)).unwrap_or(Poll::Ready(()))).await;
    drop_contained(future);
}
