//! How a request of the peer becomes an answer: the contract between the driver and a server's or client's handlers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mcp_proto::model::SubscriptionFilter;
use mcp_proto::{Body, EncodeError, ErrorObject, InboundId, InputRequired, Message, Meta, RespondError, ResultKind};
use serde::Serialize;
use serde_json::Value;

use super::budget::refused;
use super::driver::Parts;
use super::routing::Routers;
use super::shared::{Cancel, Inbound, Shared, State};
use crate::Timestamp;
use crate::runtime::Spawn;
use crate::trace::{Known, Operation, Outcome};

/// A boxed future that may move between threads.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What answers the peer's requests: a server's tools, a client's callbacks.
pub(crate) trait Service: Send + Sync + 'static {
    /// Prepares the answer. Runs outside the lock; must not block.
    fn handle(&self, shared: &Arc<Shared>, request: Inbound) -> Handling;

    /// Whether what a message of the peer is about exists here: its method, and the tool or prompt that it names.
    fn knows(&self, message: &Message) -> Known;

    /// Prepares the answer to a question that came instead of an answer to a request of ours.
    fn answer(&self, question: &Message) -> Result<BoxFuture<Reply>, ErrorObject>;

    /// Who is offered the peer's answers first.
    fn routers(&self) -> &Routers;

    /// Whether notifications are to be shown to somebody before the connection hears of them.
    fn intercepts(&self) -> bool;

    /// Shows a notification to whoever wants to see it first: what is left of it for the connection.
    fn arrived(&self, notification: Message) -> Option<Message>;

    /// Prepares what a notification leads to, if anything. They run one after the other.
    fn notified(&self, shared: &Arc<Shared>, message: Message) -> Option<BoxFuture<()>>;

    /// Prepares what the end of a request leads to that its peer has given up, or that was a subscription; if anything.
    fn gone(&self, request: InboundId) -> Option<BoxFuture<()>>;

    /// Prepares what the end of the connection leads to, if anything.
    fn ended(&self) -> Option<BoxFuture<()>>;
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

impl Answer {
    /// A result that may bring its `_meta` with it.
    pub(crate) fn of(result: &impl Serialize) -> Result<Self, EncodeError> {
        let with_meta = || {
            let Ok(Value::Object(mut members)) = serde_json::to_value(result) else { return None };
            let Value::Object(meta) = members.remove("_meta")? else { return None };
            Some(Self::Result { body: Body::result(&members).ok()?, meta: Some(meta) })
        };
        Body::result(result).map(Self::from).or_else(|error| with_meta().ok_or(error))
    }
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
        let sent = match reply {
            Ok(Answer::Result { body, meta }) => self.connection.respond(now, id, ResultKind::Complete, body, meta),
            Ok(Answer::Grant(granted)) => self.connection.grant(now, id, &granted),
            Ok(Answer::Question(input)) => self.connection.require_input(now, id, &input),
            Err(error) => self.connection.reject(now, id, &error),
        };
        // Gone: cancelled or closed meanwhile. Too large, or the client cannot be asked: it has an error in its place.
        if let Err(error @ (RespondError::NotInThisRevision | RespondError::NotAResult)) = sent {
            // Nobody else answers it, and whoever asked must not wait for ever.
            let error = ErrorObject::internal(format!("the answer cannot be given: {error}"));
            let _ = self.connection.reject(now, id, &error);
        }
        self.handler_ended(id, now)
    }
}

/// Bytes of memory that an answer holds, roughly.
pub(crate) fn size(reply: &Reply) -> usize {
    match reply {
        Ok(Answer::Result { body, .. }) => body.size(),
        Ok(Answer::Question(_) | Answer::Grant(_)) => size_of::<Reply>(),
        Err(error) => error.message.len(),
    }
}

/// What has become of a request that was given to its handler.
pub(crate) enum Begun {
    /// Its answer is there.
    Answered(Reply),
    /// Its handler is to be polled: wherever what waits for the answer lives.
    Work(Work),
    /// The same, on a thread of its own, since it blocks.
    Blocking(Work),
}

/// Gives a request to its handler, unless there is no more memory for it. Nothing of the handler has run yet, but what it does before
/// its first await in a function that is not async.
pub(crate) fn begin<R: Spawn>(parts: &Parts<R>, mut request: Inbound) -> Begun {
    let Parts { shared, service, account, .. } = parts;
    let (message, version) = (&request.message, request.meta.version);
    let operation = Operation::serve(shared, message, version, || service.knows(message));
    request.operation = operation.clone();
    let (id, cancel) = (request.id, Arc::clone(&request.cancel));
    let work = |future| Work::new(id, Arc::clone(shared), cancel, operation.clone(), future);
    let handling = if account.refuses() {
        Err(refused(&request.message))
    } else {
        // Decoding arguments and calling the handler is user code as well.
        operation.span().in_scope(|| contain(|| service.handle(shared, request)))
    };
    match handling.unwrap_or_else(|error| Handling::Now(Err(error))) {
        Handling::Now(reply) => {
            operation.replied(shared.now(), &reply);
            Begun::Answered(reply)
        }
        Handling::InPlace(future) => Begun::Work(work(future)),
        Handling::Blocking(future) => Begun::Blocking(work(future)),
    }
}

/// Where a handler begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// In the driver's own task, for as long as it does not wait.
    Here,
    /// In a task of its own.
    Elsewhere,
}

/// Starts the handler of a request that goes on whatever its driver does. Its answer, if it is there at once.
pub(crate) fn start<R: Spawn>(
    parts: &Parts<R>,
    request: Inbound,
    place: Begins,
    cx: &mut Context<'_>,
) -> Option<Reply> {
    match begin(parts, request) {
        Begun::Answered(reply) => return Some(reply),
        Begun::Work(mut work) => {
            if place == Begins::Here
                && let Poll::Ready(reply) = work.poll_handler(cx)
            {
                return Some(reply);
            }
            parts.runtime.spawn(work);
        }
        Begun::Blocking(work) => work.block(&parts.runtime),
    }
    None
}

/// A handler at work on one request: contains its panic, ends with its cancellation, and sends its answer.
pub(crate) struct Work {
    id: InboundId,
    shared: Arc<Shared>,
    cancel: Arc<Cancel>,
    operation: Operation,
    /// `None` once it has ended and only the answer waits for room.
    future: Option<BoxFuture<Reply>>,
    reply: Option<Reply>,
}

impl Work {
    fn new(
        id: InboundId,
        shared: Arc<Shared>,
        cancel: Arc<Cancel>,
        operation: Operation,
        future: BoxFuture<Reply>,
    ) -> Self {
        Self { id, shared, cancel, operation, future: Some(future), reply: None }
    }

    /// Runs it on a thread that may block.
    pub(crate) fn block(self, runtime: &impl Spawn) {
        runtime.spawn_blocking(Box::new(move || futures_lite::future::block_on(self)));
    }

    /// Whose request it is.
    #[cfg(feature = "http")]
    pub(crate) fn id(&self) -> InboundId {
        self.id
    }

    /// Polls the handler once. Its answer is for the caller to hand in; `None` if its request was cancelled and it never asked to be
    /// told of that: then it ends here, at one of its awaits.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        if self.cancel.poll_cancelled(cx).is_ready() && !self.cancel.is_watched() {
            self.drop_handler();
            self.operation.end(self.shared.now(), &Outcome::Cancelled);
            return Poll::Ready(None);
        }
        self.poll_handler(cx).map(Some)
    }

    /// Polls the handler once, panic contained.
    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Reply> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(Err(ErrorObject::internal("the handler has ended")));
        };
        let reply = match self.operation.span().in_scope(|| contain(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reply)) => reply,
            Err(error) => Err(error),
        };
        self.drop_handler();
        if self.cancel.is_cancelled() {
            self.operation.end(self.shared.now(), &Outcome::Cancelled);
        } else {
            self.operation.replied(self.shared.now(), &reply);
        }
        Poll::Ready(reply)
    }

    fn drop_handler(&mut self) {
        let future = self.future.take();
        self.operation.span().in_scope(|| drop_contained(future));
    }
}

/// As a task: polls the handler, then waits until there is room for the answer, so that many large answers at once do not
/// look like a peer that reads nothing.
impl Future for Work {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let (reply, waited) = match this.reply.take() {
            Some(_) if this.cancel.poll_cancelled(cx).is_ready() => (None, true),
            Some(reply) => (Some(reply), true),
            None => match this.poll_reply(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(reply) => (reply, false),
            },
        };
        let Some(reply) = reply else {
            drop(this.shared.command(|state, now| state.handler_ended(this.id, now)));
            return Poll::Ready(());
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
            self.drop_handler();
            let gone = ErrorObject::internal("the handler was dropped before it answered");
            let outcome = if self.cancel.is_cancelled() { Outcome::Cancelled } else { Outcome::Rpc(&gone) };
            self.operation.end(self.shared.now(), &outcome);
            drop(self.shared.command(|state, now| state.answer(now, self.id, Err(gone))));
        }
    }
}

/// −32603 for a panic. Its text stays on this side: it may hold what the peer must not see.
fn panicked(panic: &(dyn Any + Send)) -> ErrorObject {
    tracing::error!(panic = text_of(panic), "a handler panicked");
    ErrorObject::internal("the handler panicked")
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("not a text")
}

/// Dropping a handler runs user code, which may panic as well.
pub(crate) fn drop_contained<T>(value: T) {
    drop(contain(|| drop(value)));
}

/// Runs user code, its panic contained.
pub(crate) fn contain<T>(run: impl FnOnce() -> T) -> Result<T, ErrorObject> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panicked(&*panic))
}

/// Runs what only hears of something: a panic is logged with what it was about, and nobody else is the worse for it.
/// `None` if it panicked.
pub(crate) fn contain_callback<T>(method: &str, id: Option<i64>, run: impl FnOnce() -> T) -> Option<T> {
    let told =
        |panic: Box<dyn Any + Send>| tracing::error!(method, id, panic = text_of(&*panic), "a callback panicked");
    catch_unwind(AssertUnwindSafe(run)).map_err(told).ok()
}

/// Polls a notification's handling to its end, its panic contained. `None` if it panicked.
pub(crate) async fn handle_contained(method: &str, mut future: BoxFuture<()>) -> Option<()> {
    let mut poll = |cx: &mut Context<'_>| contain_callback(method, None, || future.as_mut().poll(cx));
    let handled = std::future::poll_fn(|cx| poll(cx).map_or(Poll::Ready(None), |polled| polled.map(Some))).await;
    drop_contained(future);
    handled
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcp_proto::model::Implementation;
    use mcp_proto::{Connection, Limits, Origin, ProtocolVersion, ServerConfig, Start};
    use serde_json::json;

    use super::super::shared::Turn;
    use super::*;
    use crate::trace::Tracer;

    /// An answer that does not exist where it was given left its request open for ever.
    #[test]
    fn an_answer_that_cannot_be_given_is_an_error() {
        for (version, answer) in [
            (ProtocolVersion::V2025_11_25, Answer::Question(InputRequired::default())),
            (ProtocolVersion::V2026_07_28, Answer::Question(InputRequired::default())),
            (ProtocolVersion::V2026_07_28, Answer::Grant(SubscriptionFilter::new())),
            (ProtocolVersion::V2025_11_25, Answer::from(Body::empty("ping").unwrap())),
        ] {
            let now = Timestamp::EPOCH;
            let mut config = ServerConfig::new(Implementation::new("s", "1"));
            config.versions = ProtocolVersion::ALL.to_vec();
            let connection = Connection::server(Arc::new(config), Start::Assume(version), now);
            let shared = Shared::new(connection, Tracer::default(), || Timestamp::EPOCH);
            let mut asked = json!({ "jsonrpc": "2.0", "id": 1, "method": "vendor/x", "params": {} });
            if version.era() == mcp_proto::Era::Modern {
                asked["params"]["_meta"] = json!({
                    "io.modelcontextprotocol/protocolVersion": version.as_str(),
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
            }
            let message = Message::scan(asked.to_string().as_bytes(), &Limits::default());
            let (mut turn, mut out) = (Turn::default(), Vec::new());
            shared.with(|state| {
                state.connection.handle_message(now, Origin::STREAM, message);
                state.take_events(&mut turn);
                let [request] = &turn.requests[..] else { panic!("one request: {version}") };
                drop(state.answer(now, request.id, Ok(answer)));
                state.connection.drain_lines(&mut out, usize::MAX);
            });
            let answer: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32603)), "{answer}");
        }
    }
}
