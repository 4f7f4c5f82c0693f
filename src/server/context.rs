//! What a handler can see and do while it works on a request.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use mcp_proto::model::{ElicitParams, ElicitResult, LogParams, LoggingLevel, Progress};
use mcp_proto::{
    Body, Deadlines, InboundId, Message, Meta, Peer, PeerCapabilities, ProtocolVersion, RequestMeta, Scope, Why,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Server;
use super::rounds::Round;
use crate::client::Request;
use crate::schema;
use crate::stream::{Call, Cancel, Inbound, Shared, notify};
use crate::{Error, Result};

/// One request at work: what is known about it, and what its handler may say to the peer meanwhile.
///
/// Cheap to clone; a clone may move into tasks of the handler. Once the request is answered or cancelled, whatever is said
/// through it is an error.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    id: InboundId,
    message: Message,
    meta: Box<RequestMeta>,
    cancel: Arc<Cancel>,
    server: Server,
    /// Where questions go in the era in which the client cannot be asked directly.
    round: Option<Arc<Round>>,
}

impl Context {
    pub(super) fn new(shared: &Arc<Shared>, request: Inbound, server: Server, round: Option<Arc<Round>>) -> Self {
        let Inbound { id, message, meta, cancel } = request;
        Self { inner: Arc::new(Inner { shared: Arc::clone(shared), id, message, meta, cancel, server, round }) }
    }

    /// The server's state of type `T`: what was given to [`Server::state`](crate::Server::state) or came from its start
    /// hook.
    ///
    /// # Panics
    ///
    /// If the server has no such state: a mistake in the program, which the first call of the tool shows. The peer gets
    /// −32603 and the connection lives.
    pub fn state<T: Send + Sync + 'static>(&self) -> Arc<T> {
        self.inner
            .server
            .states()
            .find()
            .unwrap_or_else(|| panic!("the server has no state of type {}", type_name::<T>()))
    }

    /// The server that serves it: to [update](Server::update) what it offers, or to tell what has changed.
    pub fn server(&self) -> &Server {
        &self.inner.server
    }

    /// Reports how far the work has come. Costs nothing if the peer does not want to know.
    ///
    /// # Errors
    ///
    /// When the request is over, or `progress` is not greater than before.
    pub fn progress(&self, progress: impl Into<f64>, total: impl Into<f64>) -> Result<()> {
        self.report(Progress::new(progress).with_total(total))
    }

    /// The same with everything that progress can say.
    ///
    /// # Errors
    ///
    /// When the request is over, or the progress does not rise.
    pub fn report(&self, progress: Progress) -> Result<()> {
        let id = self.inner.id;
        self.inner.shared.command(|state, now| state.connection.progress(now, id, progress)).map_err(Error::Respond)
    }

    /// Counts steps towards a total and reports each.
    ///
    /// ```
    /// # async fn example(ctx: mcp::Context) -> mcp::Result<()> {
    /// let mut steps = ctx.steps(3);
    /// for file in ["a", "b", "c"] {
    ///     steps.advance(1, format!("read {file}"))?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn steps(&self, total: impl Into<f64>) -> Steps {
        Steps { context: self.clone(), done: 0.0, total: total.into() }
    }

    /// Sends a log message to the client. Dropped if it is below the level that the client wants, or the client does not
    /// keep up. Any JSON value may be the data; a text is the usual one.
    ///
    /// # Errors
    ///
    /// When the request is over, the server does not offer logging ([`Server::logging`](crate::Server::logging)), or the
    /// data is no JSON.
    pub fn log(&self, level: LoggingLevel, data: impl Serialize) -> Result<()> {
        let data = serde_json::to_value(data).map_err(|error| Error::Result { what: "a log message".into(), error })?;
        let body = Body::log(&LogParams::new(level, data))?;
        notify(&self.inner.shared, body, Scope::Within(self.inner.id), None)
    }

    /// Waits until the request is cancelled, by the peer or by the end of the connection.
    ///
    /// A handler that never calls this is dropped at one of its awaits when its request is cancelled. One that does
    /// decides itself how to end; until then it occupies one of the peer's places for requests in work.
    pub async fn cancelled(&self) {
        self.inner.cancel.watch();
        poll_fn(|cx| self.inner.cancel.poll_cancelled(cx)).await;
    }

    /// Whether the request was cancelled. For handlers that block.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancel.is_cancelled()
    }

    /// Who asks, as it says of itself: for display, never for decisions about trust.
    pub fn peer(&self) -> Option<&Arc<Peer>> {
        self.inner.meta.peer.as_ref()
    }

    /// The revision in which it asks.
    pub fn version(&self) -> ProtocolVersion {
        self.inner.meta.version
    }

    /// The request's `_meta`, if it has one.
    ///
    /// # Errors
    ///
    /// When it is no `T`.
    pub fn meta<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let meta = self.inner.message.meta().map(|meta| serde_json::from_str(meta.as_str())).transpose();
        meta.map_err(|error| Error::Result { what: "_meta".into(), error })
    }

    /// The request as it came.
    pub fn message(&self) -> &Message {
        &self.inner.message
    }

    /// Whether the client can show a form to a person.
    pub fn can_elicit(&self) -> bool {
        self.peer().is_some_and(
            |peer| matches!(&peer.capabilities, PeerCapabilities::Client(offered) if offered.elicitation.is_some()),
        )
    }

    /// Asks the person at the client to fill in a form; waits up to an hour for that.
    ///
    /// `key` names the question within this request; a handler that asks twice uses two keys. With a client of the stateless
    /// era (2026-07-28) the handler ends at the question and is run again from its beginning when the answer is there, so
    /// what it does before asking must bear to be done twice. Questions asked side by side go out together.
    ///
    /// ```
    /// # async fn example(ctx: mcp::Context) -> mcp::Result<String> {
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Confirm {
    ///     /// Really delete it?
    ///     sure: bool,
    /// }
    /// let answer = ctx.elicit("confirm", mcp::Form::of::<Confirm>("Delete the file?")).await?;
    /// Ok(match mcp::accepted::<Confirm>(&answer)? {
    ///     Some(Confirm { sure: true }) => "deleted".into(),
    ///     _ => "kept".into(),
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the client cannot elicit, the request is over, or the answer does not come.
    pub async fn elicit(&self, key: &str, form: impl Into<ElicitParams>) -> Result<ElicitResult> {
        self.ask(key, "elicitation/create", &form.into()).await
    }

    /// Asks the client something, whatever it is: `sampling/createMessage`, `roots/list`, or a method of your own. Waits
    /// up to an hour, since a person may be asked. See [`elicit`](Self::elicit) for `key`.
    ///
    /// # Errors
    ///
    /// When the client did not declare the capability, the request is over, or the answer does not come or is no `T`.
    pub async fn ask<T: DeserializeOwned>(&self, key: &str, method: &str, params: &impl Serialize) -> Result<T> {
        let what = format!("{method} ({key})");
        if let Some(round) = &self.inner.round {
            if let Some(answer) = round.answer(key) {
                return T::deserialize(answer).map_err(|error| Error::Result { what, error });
            }
            // The question goes out in place of an answer, and this run ends here; the client's next try brings the answer.
            round.ask(key, Body::new(method, params)?).await;
            return Err(Error::Send { what, why: Why::Gone });
        }
        let call = Call::new(Arc::clone(&self.inner.shared), what, Body::new(method, params)?);
        let mut request = Request::<T>::new(Ok(call));
        request.options(|options| {
            options.within = Some(self.inner.id);
            options.deadlines = Deadlines::PERSON;
        });
        request.await
    }

    /// Sends a notification that belongs to this request.
    ///
    /// # Errors
    ///
    /// When the request is over, or the notification cannot be sent now or at all.
    pub fn notify(&self, method: &str, params: &impl Serialize, meta: Meta) -> Result<()> {
        notify(&self.inner.shared, Body::new(method, params)?, Scope::Within(self.inner.id), meta)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("message", &self.inner.message).finish_non_exhaustive()
    }
}

/// A running total; see [`Context::steps`].
#[derive(Debug)]
pub struct Steps {
    context: Context,
    done: f64,
    total: f64,
}

impl Steps {
    /// So much more is done.
    ///
    /// # Errors
    ///
    /// When the request is over, or `amount` is not positive.
    pub fn advance(&mut self, amount: impl Into<f64>, message: impl Into<String>) -> Result<()> {
        self.done += amount.into();
        self.context.report(Progress::new(self.done).with_total(self.total).with_message(message))
    }

    /// How much is done.
    pub fn done(&self) -> f64 {
        self.done
    }
}

/// A form for [`Context::elicit`].
#[derive(Clone, Debug, PartialEq)]
pub struct Form(ElicitParams);

impl Form {
    /// A form with a field for each field of `T`, which must be text, numbers, truth values or choices: forms are flat.
    /// Doc comments on the fields are shown to the person.
    pub fn of<T: JsonSchema>(message: impl Into<String>) -> Self {
        Self(ElicitParams::form(message, schema::of_form::<T>()))
    }

    /// A form with a schema written by hand: an object of flat properties.
    pub fn with_schema(message: impl Into<String>, schema: serde_json::Map<String, Value>) -> Self {
        Self(ElicitParams::form(message, schema))
    }
}

impl From<Form> for ElicitParams {
    fn from(form: Form) -> Self {
        form.0
    }
}

/// What the person filled in, `None` if they declined or cancelled.
///
/// # Errors
///
/// When what they filled in is no `T`.
pub fn accepted<T: DeserializeOwned>(answer: &ElicitResult) -> Result<Option<T>> {
    if answer.action != mcp_proto::model::ElicitAction::Accept {
        return Ok(None);
    }
    let content = Value::Object(answer.content.clone().unwrap_or_default());
    let decoded = serde_json::from_value(content);
    decoded.map(Some).map_err(|error| Error::Result { what: "elicitation/create".into(), error })
}

/// The typed state of a server, one value of each type.
#[derive(Default)]
pub(crate) struct States(Mutex<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl States {
    /// Puts a value in; the one of the same type that was there before is dropped by the caller.
    pub(crate) fn insert<T: Send + Sync + 'static>(&self, value: Arc<T>) -> Option<Arc<dyn Any + Send + Sync>> {
        self.map().insert(TypeId::of::<T>(), value)
    }

    pub(crate) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.map().get(&TypeId::of::<T>()).cloned()?;
        value.downcast().ok()
    }

    /// The same values for another server.
    pub(crate) fn fork(&self) -> Self {
        Self(Mutex::new(self.map().clone()))
    }

    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
