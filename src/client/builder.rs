//! Who a client is, what its server may ask of it, and who hears what the server tells.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use mcp_proto::model::{
    ClientCapabilities, CreateMessageParams, CreateMessageResult, ElicitParams, ElicitResult, ElicitationCapability,
    Implementation, LogParams, LoggingLevel, Root, RootsCapability, SubscriptionFilter, Supported,
};
use mcp_proto::{ClientConfig, Deadlines, Era, ErrorObject, Extension, Limits, OwnAnswers, ProtocolVersion};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::callbacks::{
    Answerer, Answering, Callback, Callbacks, NoParams, Notification, answering, answering_any, answering_roots,
    is_file,
};
use super::listen::{self, Time};
use super::request::{set_cap, set_idle};
use super::{Asked, Caching, Client};
use crate::intercept::{Interceptor, Link};
use crate::runtime::Spawn;
use crate::stream::{Budget, ResponseRouter, Service};
use crate::trace::{Propagation, Tracer, Transport};
use crate::{Error, Result};

/// Says who a client is, what its server may ask of it, and who hears what the server tells.
///
/// What a callback is given for is declared as a capability; a server asks for nothing else. Callbacks run beside each
/// other and beside the client's own calls, and may call the server back; [`Callback`] tells their forms. They answer alike
/// whether the server asks by a request of its own (until 2025-11-25) or instead of answering one of ours (later).
///
/// What hears notifications runs in their order, one after the other; of several that tell of the same change, one is enough.
/// If it panics, that is logged, and everything else goes on.
///
/// ```
/// use mcp::Client;
/// use mcp::model::{ElicitParams, ElicitResult};
///
/// let client = Client::builder("desk", "1.0.0")
///     .on_elicit(async |question: ElicitParams| {
///         println!("{}", question.message);
///         ElicitResult::decline()
///     })
///     .on_log(|entry| eprintln!("{}: {}", entry.level, entry.data))
///     .on_tools_changed(async |client| println!("now {:?}", client.list_tools().await));
/// # drop(client);
/// ```
#[derive(Clone)]
#[must_use = "connect it"]
pub struct ClientBuilder {
    /// These two are boxed, since a builder is handed from function to function, each of which holds a copy.
    config: Box<ClientConfig>,
    callbacks: Box<Callbacks>,
    deadlines: Deadlines,
    log_level: Option<LoggingLevel>,
    caching: Option<Caching>,
    budget: Budget,
    tracer: Tracer,
    declare: Vec<Declare>,
    faults: Vec<String>,
}

/// A change that the application makes to what is declared.
type Declare = Arc<dyn Fn(&mut ClientCapabilities) + Send + Sync>;

impl Default for ClientBuilder {
    /// A client that calls itself by this crate's name.
    fn default() -> Self {
        Self::new(Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")))
    }
}

/// Who it is, and how it goes about things.
impl ClientBuilder {
    /// A client that offers its server nothing and speaks every revision.
    pub fn new(info: Implementation) -> Self {
        let mut config = Box::new(ClientConfig::new(info));
        config.versions = ProtocolVersion::ALL.to_vec();
        let (callbacks, deadlines) = (Box::default(), Deadlines::default());
        let (log_level, caching, declare, faults) = (None, None, Vec::new(), Vec::new());
        let (budget, tracer) = (Budget::process(), Tracer::default());
        Self { config, callbacks, deadlines, log_level, caching, budget, tracer, declare, faults }
    }

    /// The revisions that are acceptable, of one era or of both. With both, a server that does not know the question which it
    /// speaks is taken for a legacy one. All unless set.
    pub fn versions(mut self, versions: impl IntoIterator<Item = ProtocolVersion>) -> Self {
        self.config.versions = versions.into_iter().collect();
        self
    }

    /// Accepts only the revisions of this era, of those acceptable until now. With the legacy era the server is not asked which
    /// it speaks.
    pub fn era(mut self, era: Era) -> Self {
        self.config.versions.retain(|version| version.era() == era);
        self
    }

    /// How long nothing may be heard of a request, unless it [says otherwise](super::Request::idle). 60 s unless set; `None` is
    /// for ever.
    pub fn idle(mut self, idle: impl Into<Option<Duration>>) -> Self {
        set_idle(&mut self.deadlines, idle.into());
        self
    }

    /// How long a request may take in all, unless it [says otherwise](super::Request::cap). 10 min unless set; `None` is for
    /// ever.
    pub fn cap(mut self, cap: impl Into<Option<Duration>>) -> Self {
        set_cap(&mut self.deadlines, cap.into());
        self
    }

    /// From which severity on the server's log messages are wanted, in every revision: asked for at the start of a session (until
    /// 2025-11-25) or with each request that does not [say otherwise](super::Request::log_level) (later, when nothing is logged
    /// without). A server that does not log is not asked.
    pub fn log_level(mut self, level: LoggingLevel) -> Self {
        self.log_level = Some(level);
        self
    }

    /// How long the server may take for the handshake: for `initialize`, and for the question which era it speaks. 30 s and
    /// 5 s unless set.
    pub fn handshake(mut self, initialize: Duration, probe: Duration) -> Self {
        self.config.initialize_deadline = initialize;
        self.config.probe_deadline = probe;
        self
    }

    /// Keeps answers of the server for as long as they are fresh, so that they need not be asked for again: lists, what
    /// resources contain, what the server says of itself. Nothing is kept unless set.
    ///
    /// What the server tells to have changed is asked for again. In the stateless era (2026-07-28) it tells only those who
    /// [listen](Client::listen).
    ///
    /// ```
    /// use std::time::Duration;
    /// use mcp::{Caching, Client};
    ///
    /// let client = Client::builder("desk", "1.0.0").cache(Caching::new().legacy(Duration::from_secs(30)));
    /// # drop(client);
    /// ```
    pub fn cache(mut self, caching: Caching) -> Self {
        self.caching = Some(caching);
        self
    }

    /// Declares that calls of tools may become tasks (extension `io.modelcontextprotocol/tasks`, 2026-07-28 and later): make
    /// them by [`Client::start_tool`].
    pub fn tasks(self) -> Self {
        self.extension(Extension::tasks())
    }

    /// Declares an extension. Its methods may then be used if the server declares it as well.
    pub fn extension(mut self, extension: Extension) -> Self {
        *self.config = self.config.with_extension(extension);
        self
    }

    /// Offers the server's answers to a router before they are matched with requests; routers are asked in the order in which they
    /// are added.
    pub fn route_responses(mut self, router: impl ResponseRouter) -> Self {
        self.callbacks.routers.push(router);
        self
    }

    /// Puts an interceptor around everything that the server asks and tells, inside of those that were added before.
    ///
    /// ```
    /// use mcp::{Client, ErrorObject, Incoming, Interceptor, Next, Outcome};
    ///
    /// /// Lets nobody but one ask a model.
    /// struct OnlyOurs;
    ///
    /// impl Interceptor for OnlyOurs {
    ///     async fn request(&self, request: Incoming, next: Next) -> Outcome {
    ///         let asks = request.peer().map(|server| server.info.name.as_str());
    ///         if request.method() == "sampling/createMessage" && asks != Some("ours") {
    ///             return Outcome::error(ErrorObject::new(-1, "not for you"));
    ///         }
    ///         next.run(request).await
    ///     }
    /// }
    ///
    /// let client = Client::builder("desk", "1.0.0").intercept(OnlyOurs);
    /// # drop(client);
    /// ```
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        let link: Link = Arc::new(interceptor);
        let chain = &mut self.callbacks.interceptors;
        *chain = chain.iter().cloned().chain([link]).collect();
        self.config.own_answers = OwnAnswers::Shown;
        self
    }

    /// How traces go on from message to message, by a [`Propagator`](crate::trace::Propagator) usually.
    /// [`trace`](crate::trace) tells it all.
    pub fn propagation(mut self, propagation: impl Into<Propagation>) -> Self {
        self.tracer.propagation = propagation.into();
        self
    }

    /// What the connection runs over, for its spans. Adapters say so where they know.
    pub fn over(mut self, transport: Transport) -> Self {
        self.tracer.transport = Some(transport);
        self
    }

    /// Changes what is declared, after the callbacks had their say: for capabilities that this crate does not know.
    pub fn capabilities(mut self, change: impl Fn(&mut ClientCapabilities) + Send + Sync + 'static) -> Self {
        self.declare.push(Arc::new(change));
        self
    }

    /// Other bounds than the usual ones.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.config.limits);
        self
    }

    /// The budget that bounds what it buffers together with the connections that share it: [that of the
    /// process](Budget::process) unless set.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

/// What the server may ask.
impl ClientBuilder {
    /// Answers when the server asks the person to fill in a form (specification: client/elicitation).
    pub fn on_elicit<M>(mut self, ask: impl Callback<ElicitParams, ElicitResult, M>) -> Self {
        self.callbacks.elicit = Some(answering(ask));
        self
    }

    /// Answers when the server asks the person to open a URL (2025-11-25 and later; specification: client/elicitation).
    ///
    /// It begins with `https://` or `http://`; any other is refused. The person must see it whole and agree before it is opened
    /// or fetched; accepting says that they agreed, not that they are done.
    ///
    /// ```
    /// # async fn person_agrees(_: &str) -> bool { false }
    /// use mcp::model::{ElicitAction, ElicitParams, ElicitResult};
    /// use mcp::{Asked, Client};
    ///
    /// let client = Client::builder("desk", "1.0.0").on_elicit_url(async |asked: Asked, question: ElicitParams| {
    ///     let server = asked.server().map(|server| server.info.name.clone()).unwrap_or_default();
    ///     let url = question.url.unwrap_or_default();
    ///     match person_agrees(&format!("{server}: {}\nOpen {url} ?", question.message)).await {
    ///         true => ElicitResult::new(ElicitAction::Accept),
    ///         false => ElicitResult::decline(),
    ///     }
    /// });
    /// # drop(client);
    /// ```
    pub fn on_elicit_url<M>(mut self, ask: impl Callback<ElicitParams, ElicitResult, M>) -> Self {
        self.callbacks.elicit_url = Some(answering(ask));
        self
    }

    /// Answers when the server asks a language model (specification: client/sampling). A person should have a say.
    pub fn on_sample<M>(mut self, sample: impl Callback<CreateMessageParams, CreateMessageResult, M>) -> Self {
        self.callbacks.sample = Some(answering(sample));
        self
    }

    /// Declares that what is behind [`on_sample`](Self::on_sample) lets the model use tools (2025-11-25 and later). Without
    /// this, questions with tools are refused.
    ///
    /// ```
    /// # async fn ask_the_model(_: CreateMessageParams) -> Result<CreateMessageResult, ErrorObject> { Err(ErrorObject::internal("")) }
    /// use mcp::model::{CreateMessageParams, CreateMessageResult};
    /// use mcp::{Client, ErrorObject};
    ///
    /// let client = Client::builder("desk", "1.0.0")
    ///     .on_sample(async |question: CreateMessageParams| {
    ///         println!("{} tools may be used", question.tools.as_ref().map_or(0, Vec::len));
    ///         ask_the_model(question).await
    ///     })
    ///     .sample_tools();
    /// # drop(client);
    /// ```
    pub fn sample_tools(mut self) -> Self {
        self.callbacks.sampling.tools = Some(Supported::default());
        self
    }

    /// Declares that what is behind [`on_sample`](Self::on_sample) includes context when asked to (2025-11-25 and later).
    pub fn sample_context(mut self) -> Self {
        self.callbacks.sampling.context = Some(Supported::default());
        self
    }

    /// Tells the server of a directory that it may work in (specification: client/roots). `uri` begins with `file://`.
    pub fn root(mut self, uri: impl Into<String>, name: impl Into<String>) -> Self {
        let uri = uri.into();
        if !is_file(&uri) {
            self.faults.push(format!("the URI of the root {uri:?} must begin with file://"));
        }
        self.callbacks.roots.push(Root::new(uri).with_name(name));
        self
    }

    /// Answers when the server asks which directories it may work in, if they change while the client runs; it replaces
    /// [`root`](Self::root). Tell of changes with [`Client::roots_changed`].
    pub fn on_roots<M>(mut self, list: impl Callback<NoParams, Vec<Root>, M>) -> Self {
        self.callbacks.on_roots = Some(answering_roots(list));
        self
    }

    /// Answers requests of a method that is not the protocol's (until 2025-11-25; servers of later revisions send none).
    ///
    /// ```
    /// # use mcp::Client;
    /// use serde_json::{Map, Value, json};
    ///
    /// let client = Client::builder("desk", "1.0.0")
    ///     .on_request("vendor/size", async |_, params: Map<String, Value>| Ok(json!({ "size": params.len() })));
    /// # drop(client);
    /// ```
    pub fn on_request<P, R, Fut>(
        mut self,
        method: impl Into<String>,
        answer: impl Fn(Asked, P) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned,
        R: Serialize + Send + 'static,
        Fut: Future<Output = Result<R, ErrorObject>> + Send + 'static,
    {
        let method = method.into();
        if ProtocolVersion::V2025_11_25.has_method(&method).is_some() {
            self.faults.push(format!("{method} is a method of the protocol, which has a callback of its own or none"));
        }
        self.callbacks.requests.insert(method, answering_any(answer));
        self
    }
}

/// What the server tells.
impl ClientBuilder {
    /// Hears the server's log messages.
    pub fn on_log(mut self, hear: impl Fn(LogParams) + Send + Sync + 'static) -> Self {
        self.callbacks.log = Some(Arc::new(hear));
        self
    }

    /// Hears that the list of tools has changed. In the stateless era (2026-07-28) the client listens for it by itself, from before
    /// connecting is over; if that breaks off and is taken up again, everything counts as changed.
    pub fn on_tools_changed<Fut>(mut self, hear: impl Fn(Client) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.tools_changed = Some(Arc::new(move |client| Box::pin(hear(client))));
        self
    }

    /// Hears that the list of prompts has changed. As with [`on_tools_changed`](Self::on_tools_changed).
    pub fn on_prompts_changed<Fut>(mut self, hear: impl Fn(Client) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.prompts_changed = Some(Arc::new(move |client| Box::pin(hear(client))));
        self
    }

    /// Hears that the list of resources has changed. As with [`on_tools_changed`](Self::on_tools_changed).
    pub fn on_resources_changed<Fut>(mut self, hear: impl Fn(Client) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.resources_changed = Some(Arc::new(move |client| Box::pin(hear(client))));
        self
    }

    /// Hears that a resource has changed, by its URI or that of a part of it, which the client has
    /// [subscribed](Client::subscribe) to (until 2025-11-25). [`Client::listen`] hears of it in every revision.
    pub fn on_resource_updated<Fut>(mut self, hear: impl Fn(Client, String) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.resource_updated = Some(Arc::new(move |client, uri| Box::pin(hear(client, uri))));
        self
    }

    /// Hears that what the person did at a URL is done, by the `elicitation_id` of the question (2025-11-25 only). An id that
    /// is not known must be ignored.
    pub fn on_elicitation_complete<Fut>(mut self, hear: impl Fn(Client, String) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.elicitation_complete = Some(Arc::new(move |client, id| Box::pin(hear(client, id))));
        self
    }

    /// Hears every notification that no other callback is there for, and progress, of which the callback of its call hears
    /// as well.
    ///
    /// ```
    /// use mcp::{Client, Notification};
    /// use serde_json::Value;
    ///
    /// let client = Client::builder("desk", "1.0.0").on_notification(async |told: Notification| {
    ///     if told.method() == "acme/weather"
    ///         && let Ok(weather) = told.params::<Value>()
    ///     {
    ///         println!("{weather}");
    ///     }
    /// });
    /// # drop(client);
    /// ```
    pub fn on_notification<Fut>(mut self, hear: impl Fn(Notification) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.notification = Some(Arc::new(move |notification| Box::pin(hear(notification))));
        self
    }
}

impl ClientBuilder {
    /// What is declared: what the callbacks mean, then what the user says.
    fn declared(&self) -> ClientCapabilities {
        let Self { callbacks, config, .. } = self;
        let supported = |callback: &Option<_>| callback.as_ref().map(|_: &Answering| Supported::default());
        let mut capabilities = config.capabilities.clone();
        if callbacks.elicit.is_some() || callbacks.elicit_url.is_some() {
            let mut elicitation = ElicitationCapability::default();
            elicitation.form = supported(&callbacks.elicit);
            elicitation.url = supported(&callbacks.elicit_url);
            capabilities.elicitation = Some(elicitation);
        }
        capabilities.sampling = callbacks.sample.as_ref().map(|_| callbacks.sampling.clone());
        capabilities.roots = match (&callbacks.on_roots, callbacks.roots.is_empty()) {
            (Some(_), _) => Some(RootsCapability::default().with_list_changed(true)),
            (None, false) => Some(RootsCapability::default()),
            (None, true) => None,
        };
        self.declare.iter().for_each(|change| change(&mut capabilities));
        capabilities
    }

    pub(crate) fn into_setup(mut self) -> Result<Setup> {
        if !self.faults.is_empty() {
            return Err(Error::Definition(self.faults));
        }
        self.config.capabilities = self.declared();
        let Self { config, callbacks, deadlines, log_level, caching, budget, tracer, .. } = self;
        let (config, callbacks) = (Arc::new(*config), Arc::new(*callbacks));
        Ok(Setup { config, callbacks, deadlines, log_level, caching, budget, tracer })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A client that is about to be connected.
pub(crate) struct Setup {
    pub(crate) config: Arc<ClientConfig>,
    pub(super) callbacks: Arc<Callbacks>,
    pub(super) deadlines: Deadlines,
    pub(super) log_level: Option<LoggingLevel>,
    pub(super) caching: Option<Caching>,
    pub(crate) budget: Budget,
    pub(crate) tracer: Tracer,
}

impl Setup {
    /// What answers the server on this connection.
    pub(crate) fn service(&self, client: &Client) -> Arc<dyn Service> {
        Arc::new(Answerer { callbacks: Arc::clone(&self.callbacks), client: client.without_lease() })
    }

    /// Once connected: what is done in front of, and beside, what the application does.
    pub(crate) async fn settle(&self, runtime: &impl Spawn, client: &Client) {
        self.ask_for_logs(client, None).await;
        let Some((client, filter)) = self.listener(client) else { return };
        let mut opening = listen::open_for_callbacks(&client, &filter);
        // So that what changes from now on is told. A server that does not even say whether it will tell is not waited for.
        let session = client.inner.link.current();
        let opened = async { Some((&mut opening).await) };
        let patience = async {
            session.sleep(self.config.probe_deadline).await;
            None
        };
        let opened = future::or(opened, patience).await;
        if let Some(opened) = opened {
            opening = Box::pin(std::future::ready(opened));
        }
        runtime.spawn(listen::for_callbacks(client, filter, opening, Time::First));
    }

    /// Once connected: asks a server of the legacy era for log messages.
    pub(super) async fn ask_for_logs(&self, client: &Client, level: Option<LoggingLevel>) {
        if let Some(level) = level.or(self.log_level)
            && client.era() == Era::Legacy
            && client.has_logging()
            && let Err(error) = client.set_log_level(level).await
        {
            tracing::debug!(%error, "asking for log messages");
        }
    }

    /// Once connected again: listens for changes as before.
    pub(super) fn listen_again(&self, runtime: &impl Spawn, client: &Client) {
        if let Some((client, filter)) = self.listener(client) {
            let opening = listen::open_for_callbacks(&client, &filter);
            runtime.spawn(listen::for_callbacks(client, filter, opening, Time::Again));
        }
    }

    /// Who listens for changes by itself, and for which, where the server tells them only to who does.
    fn listener(&self, client: &Client) -> Option<(Client, SubscriptionFilter)> {
        let filter = self.heard_lists();
        let listens = client.era() == Era::Modern && !filter.is_empty();
        listens.then(|| (client.without_lease(), filter))
    }

    /// Of which lists the callbacks want to hear.
    pub(super) fn heard_lists(&self) -> SubscriptionFilter {
        let Callbacks { tools_changed, prompts_changed, resources_changed, .. } = &*self.callbacks;
        let mut filter = SubscriptionFilter::new();
        filter.tools_list_changed = tools_changed.as_ref().map(|_| true);
        filter.prompts_list_changed = prompts_changed.as_ref().map(|_| true);
        filter.resources_list_changed = resources_changed.as_ref().map(|_| true);
        filter
    }

    /// The same, for a server that does not survive being asked which era it speaks.
    pub(crate) fn legacy_only(&mut self) {
        let config = Arc::make_mut(&mut self.config);
        config.versions.retain(|version| version.era() == Era::Legacy);
    }
}
