//! What a server asks of a client and tells it, and the functions of the user that answer and hear.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mcp_proto::model::{
    CreateMessageParams, ElicitMode, ElicitParams, ElicitationCompleteParams, ListRootsResult, LogParams, Root,
    SamplingCapability,
};
use mcp_proto::{Change, ErrorObject, InboundId, Message, Peer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Client;
use crate::intercept::{self, Incoming, Link};
use crate::stream::{Answer, BoxFuture, Handling, Inbound, Reply, Routers, Service, Shared};
use crate::trace::{Known, is_method};

/// What a callback can see and do while it answers a question of the server: the first argument of those that ask for it.
#[derive(Clone, Debug)]
pub struct Asked {
    client: Client,
    message: Message,
}

impl Asked {
    /// A handle on the connection, to call the server back. It does not keep the connection open.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Who asks, as it says of itself. A person who is asked must be told (specification: client/elicitation).
    pub fn server(&self) -> Option<Arc<Peer>> {
        self.client.server()
    }

    /// The question as it came.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

/// An async function that answers a question of the server: over the parameters `P`, or over [`Asked`] and them. One for
/// questions without parameters ([`NoParams`]) takes nothing, or [`Asked`]. `R` is the answer, or a `Result` of it, whose
/// [`ErrorObject`] the server gets; `?` makes one of an [`Error`](crate::Error). `M` tells the forms apart and is inferred.
///
/// ```
/// use mcp::model::{ElicitParams, ElicitResult, Root};
/// use mcp::{Asked, Client};
///
/// let client = Client::builder("desk", "1.0.0")
///     .on_elicit(async |asked: Asked, question: ElicitParams| {
///         let server = asked.server().map(|server| server.info.name.clone()).unwrap_or_default();
///         println!("{server} asks: {}", question.message);
///         // A callback may call the server back.
///         let Ok(tools) = asked.client().list_tools().await else { return ElicitResult::cancel() };
///         println!("It has {} tools.", tools.len());
///         ElicitResult::decline()
///     })
///     .on_roots(async || std::env::current_dir().map(|path| vec![Root::new(format!("file://{}", path.display()))])
///         .map_err(|error| mcp::ErrorObject::internal(error.to_string())));
/// # drop(client);
/// ```
pub trait Callback<P, R, M>: Send + Sync + 'static {
    /// Calls it.
    fn call(&self, asked: Asked, params: P) -> impl Future<Output = Result<R, ErrorObject>> + Send + 'static;
}

/// The parameters of a question that has none.
#[derive(Clone, Copy, Debug)]
pub struct NoParams;

/// What a [`Callback`] may return for an answer `R`.
pub trait CallbackOutput<R>: Send {
    /// The answer, or the error that the server gets.
    ///
    /// # Errors
    ///
    /// When the callback has none.
    fn into_answer(self) -> Result<R, ErrorObject>;
}

impl<R: Send> CallbackOutput<R> for R {
    fn into_answer(self) -> Result<R, ErrorObject> {
        Ok(self)
    }
}

impl<R: Send> CallbackOutput<R> for Result<R, ErrorObject> {
    fn into_answer(self) -> Result<R, ErrorObject> {
        self
    }
}

/// The form over the parameters.
#[derive(Debug)]
pub struct OfParams;
/// The form over [`Asked`] and the parameters.
#[derive(Debug)]
pub struct OfAskedAndParams;
/// The form over nothing.
#[derive(Debug)]
pub struct OfNothing;
/// The form over [`Asked`].
#[derive(Debug)]
pub struct OfAsked;

impl<F, P, R, Fut> Callback<P, R, OfParams> for F
where
    F: Fn(P) -> Fut + Send + Sync + 'static,
    R: 'static,
    Fut: Future<Output: CallbackOutput<R>> + Send + 'static,
{
    fn call(&self, _: Asked, params: P) -> impl Future<Output = Result<R, ErrorObject>> + Send + 'static {
        answered(self(params))
    }
}

impl<F, P, R, Fut> Callback<P, R, OfAskedAndParams> for F
where
    F: Fn(Asked, P) -> Fut + Send + Sync + 'static,
    R: 'static,
    Fut: Future<Output: CallbackOutput<R>> + Send + 'static,
{
    fn call(&self, asked: Asked, params: P) -> impl Future<Output = Result<R, ErrorObject>> + Send + 'static {
        answered(self(asked, params))
    }
}

impl<F, R, Fut> Callback<NoParams, R, OfNothing> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    R: 'static,
    Fut: Future<Output: CallbackOutput<R>> + Send + 'static,
{
    fn call(&self, _: Asked, _: NoParams) -> impl Future<Output = Result<R, ErrorObject>> + Send + 'static {
        answered(self())
    }
}

impl<F, R, Fut> Callback<NoParams, R, OfAsked> for F
where
    F: Fn(Asked) -> Fut + Send + Sync + 'static,
    R: 'static,
    Fut: Future<Output: CallbackOutput<R>> + Send + 'static,
{
    fn call(&self, asked: Asked, _: NoParams) -> impl Future<Output = Result<R, ErrorObject>> + Send + 'static {
        answered(self(asked))
    }
}

async fn answered<R>(answer: impl Future<Output: CallbackOutput<R>> + Send) -> Result<R, ErrorObject> {
    answer.await.into_answer()
}

/// Something that the server tells.
#[derive(Clone, Debug)]
pub struct Notification {
    client: Client,
    message: Message,
}

impl Notification {
    /// Its method.
    pub fn method(&self) -> &str {
        self.message.method()
    }

    /// Its parameters.
    ///
    /// # Errors
    ///
    /// When they are no `T`.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.message.params().as_str())
    }

    /// A handle on the connection, to call the server back. It does not keep the connection open.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The notification as it came.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

/// A callback for questions, without its type.
pub(super) type Answering = Arc<dyn Fn(Asked) -> Result<BoxFuture<Reply>, ErrorObject> + Send + Sync>;
/// One for notifications of which nothing more need be known.
pub(super) type Hearing = Arc<dyn Fn(Client) -> BoxFuture<()> + Send + Sync>;
/// One for those about something that has a name.
pub(super) type HearingOf = Arc<dyn Fn(Client, String) -> BoxFuture<()> + Send + Sync>;

/// The user's functions.
#[derive(Clone, Default)]
pub(super) struct Callbacks {
    pub(super) routers: Routers,
    pub(super) interceptors: Arc<[Link]>,
    pub(super) elicit: Option<Answering>,
    pub(super) elicit_url: Option<Answering>,
    pub(super) sample: Option<Answering>,
    /// What `sample` can do besides.
    pub(super) sampling: SamplingCapability,
    pub(super) roots: Vec<Root>,
    pub(super) on_roots: Option<Answering>,
    pub(super) requests: BTreeMap<String, Answering>,
    pub(super) log: Option<Arc<dyn Fn(LogParams) + Send + Sync>>,
    pub(super) tools_changed: Option<Hearing>,
    pub(super) prompts_changed: Option<Hearing>,
    pub(super) resources_changed: Option<Hearing>,
    pub(super) resource_updated: Option<HearingOf>,
    pub(super) elicitation_complete: Option<HearingOf>,
    pub(super) notification: Option<Arc<dyn Fn(Notification) -> BoxFuture<()> + Send + Sync>>,
}

/// Makes a typed callback one for messages.
pub(super) fn answering<P, R, M>(callback: impl Callback<P, R, M>) -> Answering
where
    P: DeserializeOwned,
    R: Serialize,
{
    Arc::new(move |asked| {
        let params = params(&asked.message)?;
        let answer = callback.call(asked, params);
        Ok(Box::pin(async move { encode(&answer.await?) }))
    })
}

/// The same for requests of any method, whose answer is of any type.
pub(super) fn answering_any<P, R, Fut>(callback: impl Fn(Asked, P) -> Fut + Send + Sync + 'static) -> Answering
where
    P: DeserializeOwned,
    R: Serialize + Send + 'static,
    Fut: Future<Output = Result<R, ErrorObject>> + Send + 'static,
{
    Arc::new(move |asked| {
        let params = params(&asked.message)?;
        let answer = callback(asked, params);
        Ok(Box::pin(async move { encode(&answer.await?) }))
    })
}

/// The same for questions without parameters.
pub(super) fn answering_roots<M>(callback: impl Callback<NoParams, Vec<Root>, M>) -> Answering {
    Arc::new(move |asked| {
        let roots = callback.call(asked, NoParams);
        Ok(Box::pin(async move {
            let roots = roots.await?;
            if let Some(root) = roots.iter().find(|root| !is_file(&root.uri)) {
                tracing::error!(uri = root.uri, "the URI of a root must begin with file://");
                return Err(ErrorObject::internal("the client's list of roots is not well defined"));
            }
            encode(&ListRootsResult::new().with_roots(roots))
        }))
    })
}

/// Whether a root is a place in the file system, as it must be (specification: client/roots).
pub(super) fn is_file(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://"))
}

/// One connection's callbacks.
pub(super) struct Answerer {
    pub(super) callbacks: Arc<Callbacks>,
    /// Without a lease, so that the connection does not keep itself open.
    pub(super) client: Client,
}

impl Service for Answerer {
    fn routers(&self) -> &Routers {
        &self.callbacks.routers
    }

    fn intercepts(&self) -> bool {
        !self.callbacks.interceptors.is_empty()
    }

    fn arrived(&self, notification: Message) -> Option<Message> {
        intercept::show(&self.callbacks.interceptors, notification)
    }

    fn handle(&self, _: &Arc<Shared>, request: Inbound) -> Handling {
        let Inbound { message, mut meta, .. } = request;
        let handling = match meta.own_answer.take() {
            Some(answer) => self.answer_by(message, move |_| Ok(Box::pin(std::future::ready(Ok(answer.into()))))),
            None => self.answer(&message),
        };
        handling.map_or_else(|error| Handling::Now(Err(error)), Handling::InPlace)
    }

    fn knows(&self, message: &Message) -> Known {
        let method = message.method();
        if is_method(method) || self.callbacks.requests.contains_key(method) { Known::Here } else { Known::Nowhere }
    }

    fn answer(&self, question: &Message) -> Result<BoxFuture<Reply>, ErrorObject> {
        let (callbacks, client) = (Arc::clone(&self.callbacks), self.client.clone());
        self.answer_by(question.clone(), move |question| callbacks.answer(client, question))
    }

    fn gone(&self, _: InboundId) -> Option<BoxFuture<()>> {
        None
    }

    fn ended(&self) -> Option<BoxFuture<()>> {
        None
    }

    fn notified(&self, _: &Arc<Shared>, message: Message) -> Option<BoxFuture<()>> {
        let Self { callbacks, client } = self;
        let client = || client.clone();
        // User code runs when its turn has come, so that what it was told of before its turn is one with what it hears then.
        let hearing = |hear: &Option<Hearing>| hear.clone().map(|hear| in_turn(move |client| hear(client), client()));
        let heard = match (Change::of(&message), message.method()) {
            (Some(Change::Tools), _) => hearing(&callbacks.tools_changed),
            (Some(Change::Prompts), _) => hearing(&callbacks.prompts_changed),
            (Some(Change::Resources), _) => hearing(&callbacks.resources_changed),
            (Some(Change::Resource(uri)), _) => {
                callbacks.resource_updated.clone().map(|hear| in_turn(move |client| hear(client, uri), client()))
            }
            (_, "notifications/message") => callbacks.log.clone().map(|hear| hear_log(hear, &message)),
            (_, "notifications/elicitation/complete") => callbacks.elicitation_complete.clone().and_then(|hear| {
                let params: ElicitationCompleteParams = told(&message)?;
                Some(in_turn(move |client| hear(client, params.elicitation_id), client()))
            }),
            _ => None,
        };
        heard.or_else(|| {
            let hear = callbacks.notification.clone()?;
            Some(in_turn(move |client| hear(Notification { client, message }), client()))
        })
    }
}

impl Answerer {
    /// Answers a question in this way, past the interceptors.
    fn answer_by(
        &self,
        question: Message,
        answer: impl FnOnce(Message) -> Result<BoxFuture<Reply>, ErrorObject> + Send + Sync + 'static,
    ) -> Result<BoxFuture<Reply>, ErrorObject> {
        let chain = &self.callbacks.interceptors;
        if chain.is_empty() {
            return answer(question);
        }
        let asked = Incoming::new(question, self.client.server(), self.client.version());
        Ok(intercept::lead(chain, asked, |question| {
            answer(question).unwrap_or_else(|error| Box::pin(std::future::ready(Err(error))))
        }))
    }
}

impl Callbacks {
    /// Begins to answer a question.
    fn answer(&self, client: Client, question: Message) -> Result<BoxFuture<Reply>, ErrorObject> {
        let answering = match question.method() {
            "elicitation/create" => self.elicitation(&question)?,
            "sampling/createMessage" => self.sampling(&question)?,
            "roots/list" if self.on_roots.is_some() => self.on_roots.as_ref(),
            "roots/list" if !self.roots.is_empty() => {
                let reply = encode(&ListRootsResult::new().with_roots(self.roots.clone()));
                return Ok(Box::pin(std::future::ready(reply)));
            }
            method => self.requests.get(method),
        };
        let answering = answering.ok_or_else(|| ErrorObject::method_not_found(question.method()))?;
        answering(Asked { client, message: question })
    }

    /// Who answers a question to the person.
    fn elicitation(&self, question: &Message) -> Result<Option<&Answering>, ErrorObject> {
        let asked: ElicitParams = params(question)?;
        let answering = match asked.mode() {
            ElicitMode::Form => &self.elicit,
            ElicitMode::Url => &self.elicit_url,
            _ => &None,
        };
        if answering.is_none() {
            // Specification: client/elicitation.
            let mode = asked.mode();
            return Err(ErrorObject::invalid_params(format!("elicitation mode {mode:.64} was not declared")));
        }
        if *asked.mode() == ElicitMode::Url && !asked.url.as_deref().is_some_and(is_web) {
            return Err(ErrorObject::invalid_params(
                "elicitation/create: params.url must begin with https:// or http://",
            ));
        }
        Ok(answering.as_ref())
    }

    /// Who answers a question to the language model.
    fn sampling(&self, question: &Message) -> Result<Option<&Answering>, ErrorObject> {
        let wants_tools =
            || params::<CreateMessageParams>(question).map(|it| it.tools.is_some() || it.tool_choice.is_some());
        if self.sample.is_some() && self.sampling.tools.is_none() && wants_tools()? {
            // Specification: client/sampling.
            return Err(ErrorObject::invalid_params("sampling/createMessage: sampling.tools was not declared"));
        }
        Ok(self.sample.as_ref())
    }
}

/// Whether a URL may be shown to a person to open: nothing that could start a program.
fn is_web(url: &str) -> bool {
    let begins = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    (begins("https://") || begins("http://")) && !url.contains(|c: char| c.is_control() || c.is_whitespace())
}

fn in_turn(hear: impl FnOnce(Client) -> BoxFuture<()> + Send + 'static, client: Client) -> BoxFuture<()> {
    Box::pin(async move { hear(client).await })
}

fn hear_log(hear: Arc<dyn Fn(LogParams) + Send + Sync>, message: &Message) -> BoxFuture<()> {
    let entry = told(message);
    Box::pin(async move {
        if let Some(entry) = entry {
            hear(entry);
        }
    })
}

/// The parameters of a notification; one that cannot be read leads to nothing.
fn told<T: DeserializeOwned>(message: &Message) -> Option<T> {
    let params = serde_json::from_str(message.params().as_str());
    params
        .inspect_err(|error| tracing::debug!(%error, method = message.method(), "a notification that cannot be read"))
        .ok()
}

fn params<T: DeserializeOwned>(message: &Message) -> Result<T, ErrorObject> {
    serde_json::from_str(message.params().as_str())
        .map_err(|error| ErrorObject::invalid_params(format!("{:.64}: {error}", message.method())))
}

fn encode(result: &impl Serialize) -> Reply {
    Answer::of(result).map_err(|error| ErrorObject::internal(error.to_string()))
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}
