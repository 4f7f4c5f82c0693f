//! Servers: what is offered, and how a connection's requests find their handlers.

mod asking;
mod carrier;
mod completion;
mod context;
mod definition;
mod described;
mod handler;
mod hooks;
mod hub;
mod life;
mod media;
mod methods;
mod once;
mod output;
mod prompt;
mod registry;
mod requests;
mod resource;
mod rounds;
mod serving;
mod session;
mod strings;
mod subscribed;
mod tool;
mod traced;
mod update;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_proto::model::{CacheScope, Icon, ServerCapabilities, Supported};
use mcp_proto::{Change, Extension, Limits, ProtocolVersion, ServerConfig};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub use self::asking::{Form, accepted};
use self::carrier::Carrier;
pub use self::completion::{CompletionOutput, Partial};
use self::context::States;
pub use self::context::{Context, Steps};
use self::definition::Definition;
pub use self::definition::Lenient;
pub use self::handler::{Handler, HandlerError};
use self::hub::Hub;
pub(crate) use self::hub::Place;
pub use self::hub::{Bus, LocalBus, Node};
pub(crate) use self::life::Lease;
use self::life::Life;
pub use self::media::{Audio, Image};
pub use self::output::{Json, ToolError, ToolOutput};
pub use self::prompt::{Prompt, PromptOutput};
use self::registry::Cache;
pub use self::registry::Cached;
pub use self::resource::{At, Resource, ResourceOutput, ResourceTemplate};
use self::serving::Serving;
pub use self::session::Session;
pub use self::tool::{IntoTool, Tool, ToolHandler};
pub use self::update::{Edit, Item};
use crate::intercept::Interceptor;
use crate::stream::{Budget, ResponseRouter, Routers, Service, Shared};
use crate::trace::{Propagation, Transport};
use crate::{Error, Result};

/// What a server offers. A cheap handle: clones share it, and one may serve any number of connections.
///
/// ```
/// use mcp::{Server, Tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add { a: i64, b: i64 }
///
/// let add = Tool::new("add", "Add two numbers", async |args: Add| args.a + args.b);
/// let server = Server::new("calculator", "1.0.0").tool(add);
/// # drop(server);
/// ```
///
/// Mistakes in the definition (two tools of one name, an illegal name) are told, all at once, when it is served.
#[derive(Clone)]
pub struct Server {
    live: Arc<Live>,
    /// What the next connections of this handle run over.
    over: Option<Transport>,
}

/// What the clones of a server and its connections share.
struct Live {
    definition: Mutex<Arc<Definition>>,
    life: Life,
    /// How what is known in the middle of a request travels through the client's hands.
    carrier: Carrier,
    routers: Routers,
    budget: Budget,
    propagation: Propagation,
    hub: Arc<Hub>,
}

/// A server of its own that offers the same: what happens when a handle that others share is built further.
impl Clone for Live {
    fn clone(&self) -> Self {
        let definition = self.definition();
        Self {
            definition: Mutex::new(definition),
            life: self.life.fork(),
            carrier: self.carrier.clone(),
            routers: self.routers.clone(),
            budget: self.budget.clone(),
            propagation: self.propagation.clone(),
            hub: Hub::new(self.hub.bus()),
        }
    }
}

impl Live {
    /// The snapshot of now.
    fn definition(&self) -> Arc<Definition> {
        // Nothing of the user's runs while it is held, and a snapshot is right in any state.
        Arc::clone(&self.definition.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `next` in the place of `before`, unless something else stands there by now.
    fn replace(&self, before: &Arc<Definition>, next: Definition) -> bool {
        let mut next = Arc::new(next);
        let mut current = self.definition.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = Arc::ptr_eq(&current, before);
        if is_current {
            std::mem::swap(&mut *current, &mut next);
        }
        drop(current);
        // Whichever it holds now is dropped without the lock.
        drop(next);
        is_current
    }
}

/// Building.
impl Server {
    /// A server that offers nothing yet.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        let definition = Mutex::new(Arc::new(Definition::new(name.into(), version.into())));
        Self {
            live: Arc::new(Live {
                definition,
                life: Life::default(),
                carrier: Carrier::default(),
                routers: Routers::default(),
                budget: Budget::process(),
                propagation: Propagation::default(),
                hub: Hub::new(None),
            }),
            over: None,
        }
    }

    fn of(live: &Arc<Live>) -> Self {
        Self { live: Arc::clone(live), over: None }
    }

    /// Offers a tool. They are listed in the order in which they are added.
    #[must_use]
    pub fn tool(self, tool: impl IntoTool) -> Self {
        let tool = tool.into_tool();
        self.define(|definition| definition.add(tool))
    }

    /// Offers a prompt.
    #[must_use]
    pub fn prompt(self, prompt: Prompt) -> Self {
        self.define(|definition| definition.add(prompt))
    }

    /// Offers a resource.
    #[must_use]
    pub fn resource(self, resource: Resource) -> Self {
        self.define(|definition| definition.add(resource))
    }

    /// Offers the resources of a template. A resource of its own wins over templates, and of several templates that fit the
    /// one that was added first.
    #[must_use]
    pub fn resource_template(self, template: ResourceTemplate) -> Self {
        self.define(|definition| definition.add(template))
    }

    /// How many items a list's answer has at most; all by default.
    #[must_use]
    pub fn page_size(self, most: usize) -> Self {
        self.define(|definition| {
            definition.tools.set_page_size(most);
            definition.prompts.set_page_size(most);
            definition.resources.set_page_size(most);
            definition.templates.set_page_size(most);
        })
    }

    /// For how long a client may keep an answer of this kind, and whether for everybody (2026-07-28 and later). By default for
    /// no time, and only for whoever asked.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mcp::{Cached, Server, model::CacheScope};
    ///
    /// let server = Server::new("s", "1").cache(Cached::Tools, Duration::from_secs(300), CacheScope::Public);
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn cache(self, kind: Cached, ttl: Duration, scope: CacheScope) -> Self {
        let cache = Cache { ttl, scope };
        self.define(|definition| match kind {
            Cached::Tools => definition.tools.set_cache(cache),
            Cached::Prompts => definition.prompts.set_cache(cache),
            Cached::Resources => definition.resources.set_cache(cache),
            Cached::ResourceTemplates => definition.templates.set_cache(cache),
            Cached::Reads => definition.reads = cache,
        })
    }

    /// Asked before a client is subscribed to a resource, in either era: an error refuses it. Without this hook every resource
    /// that is offered can be subscribed to, and no other can with it.
    ///
    /// ```
    /// use mcp::{Context, HandlerError, Server};
    ///
    /// let server = Server::new("s", "1").on_subscribe(async |_: Context, uri: String| match uri.as_str() {
    ///     "noise://all" => Err(HandlerError::invalid("it changes all the time")),
    ///     _ => Ok(()),
    /// });
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn on_subscribe<E, Fut>(self, hook: impl Fn(Context, String) -> Fut + Send + Sync + 'static) -> Self
    where
        E: Into<HandlerError>,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.define(|definition| definition.hooks.subscribe = Some(hooks::uri_hook(hook)))
    }

    /// Told when a client is not subscribed to a resource any more, which it was before: it asked to be unsubscribed
    /// (`resources/unsubscribe`, until 2025-11-25), its `subscriptions/listen` has ended (later), or its connection has. Only
    /// the first can be refused, by an error; otherwise the context is that of the request that subscribed, which is over.
    ///
    /// Serving ends when all that is to be told at the end of a connection has been told.
    #[must_use]
    pub fn on_unsubscribe<E, Fut>(self, hook: impl Fn(Context, String) -> Fut + Send + Sync + 'static) -> Self
    where
        E: Into<HandlerError>,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.define(|definition| definition.hooks.unsubscribe = Some(hooks::uri_hook(hook)))
    }

    /// Serves a method that the specification does not have: `vendor/name`. The handler takes nothing, the parameters, a
    /// [`Context`] or both, and gives a result that is a JSON object, or an error.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Ask { by: u32 }
    /// # #[derive(serde::Serialize)] struct Told { sum: u32 }
    /// let server = mcp::Server::new("s", "1")
    ///     .method("acme/add", async |ask: Ask| Ok::<_, mcp::HandlerError>(Told { sum: ask.by + 1 }));
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn method<M, H, R, E>(self, name: impl Into<String>, handler: H) -> Self
    where
        H: Handler<M, Output = Result<R, E>>,
        H::Input: DeserializeOwned,
        R: Serialize + Send + 'static,
        E: Into<HandlerError> + Send + 'static,
    {
        self.define(|definition| definition.add_method(name.into(), methods::method(handler)))
    }

    /// Handles a notification that the specification does not have. Those of one connection are handled one after the other.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Position { line: u32 }
    /// let server = mcp::Server::new("s", "1")
    ///     .on_notification("acme/cursor", async |_: mcp::Session, at: Position| println!("line {}", at.line));
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn on_notification<P, Fut>(
        self,
        method: impl Into<String>,
        handler: impl Fn(Session, P) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.define(|definition| definition.add_notification(method.into(), methods::notification(handler)))
    }

    /// Runs when a client tells that its roots have changed (until 2025-11-25); ask it for them with
    /// [`Session::request`].
    ///
    /// ```
    /// use mcp::model::ListRootsResult;
    /// use mcp::{Server, Session};
    /// use serde_json::json;
    ///
    /// let server = Server::new("s", "1").on_roots_changed(async |client: Session| {
    ///     match client.request::<ListRootsResult>("roots/list", &json!({})).await {
    ///         Ok(listed) => println!("{} roots now", listed.roots.len()),
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// });
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn on_roots_changed<Fut>(self, handler: impl Fn(Session) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_notification(methods::ROOTS_CHANGED, move |session, _: IgnoredAny| handler(session))
    }

    /// Puts an interceptor around every request and notification of the clients, inside of those that were added before.
    #[must_use]
    pub fn intercept(self, interceptor: impl Interceptor) -> Self {
        self.define(|definition| definition.intercept(Arc::new(interceptor)))
    }

    /// Offers log messages; see [`Context::log`].
    #[must_use]
    pub fn logging(self) -> Self {
        self.capabilities(|declared| declared.logging = Some(Supported::default()))
    }

    /// Declares something else than what follows from what is registered: that nobody is told of changes, say, or tools that will
    /// come only later. A connection keeps what was declared when it began.
    ///
    /// ```
    /// use mcp::{Server, model::ToolsCapability};
    ///
    /// let server = Server::new("late", "1").capabilities(|declared| {
    ///     declared.tools = Some(ToolsCapability::default().with_list_changed(true));
    /// });
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn capabilities(self, adjust: impl Fn(&mut ServerCapabilities) + Send + Sync + 'static) -> Self {
        self.define(|definition| definition.adjust(Arc::new(adjust)))
    }

    /// Declares an extension, and what it adds to the protocol: its methods, types of results, members of filters. Its requests
    /// are served by [`method`](Self::method), for clients that declare it too.
    ///
    /// ```
    /// use mcp::{Extension, HandlerError, Server, model::Sender};
    /// use serde_json::{Value, json};
    ///
    /// let clock = Extension::new("com.example/clock").method("clock/now", Sender::Client);
    /// let server = Server::new("s", "1")
    ///     .extension(clock)
    ///     .method("clock/now", async || Ok::<Value, HandlerError>(json!({ "hour": 12 })));
    /// # drop(server);
    /// ```
    #[must_use]
    pub fn extension(self, extension: Extension) -> Self {
        self.define(|definition| definition.config_mut().extensions.push(extension))
    }

    /// Offers the clients' answers to a router before they are matched with requests; routers are asked in the order in which they
    /// are added.
    #[must_use]
    pub fn route_responses(mut self, router: impl ResponseRouter) -> Self {
        self.live_mut().routers.push(router);
        self
    }

    /// Relaxes a rule about definitions: what breaks it is logged as a warning and no fault.
    #[must_use]
    pub fn lenient(self, rule: Lenient) -> Self {
        self.define(|definition| definition.relax(rule))
    }

    /// Tells changes to the other servers on this bus, and their changes to the clients of this one.
    #[must_use]
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.live_mut().hub = Hub::new(Some(Arc::new(bus)));
        self
    }

    /// The revisions that it serves, of one era or of both. All of them unless set.
    ///
    /// A client that asks for another one in the handshake is answered with the newest of these that has a handshake
    /// (specification: basic/lifecycle, Version Negotiation).
    #[must_use]
    pub fn versions(self, versions: impl IntoIterator<Item = ProtocolVersion>) -> Self {
        self.configure(|config| config.versions = versions.into_iter().collect())
    }

    /// How the model is to use this server.
    #[must_use]
    pub fn instructions(self, instructions: impl Into<String>) -> Self {
        self.configure(|config| config.instructions = Some(instructions.into()))
    }

    /// A name for people.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        self.configure(|config| config.info.title = Some(title.into()))
    }

    /// What it is, for people.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        self.configure(|config| config.info.description = Some(description.into()))
    }

    /// Where people read more about it.
    #[must_use]
    pub fn website_url(self, url: impl Into<String>) -> Self {
        self.configure(|config| config.info.website_url = Some(url.into()))
    }

    /// Images that stand for it.
    #[must_use]
    pub fn icons(self, icons: impl IntoIterator<Item = Icon>) -> Self {
        self.configure(|config| config.info.icons = Some(icons.into_iter().collect()))
    }

    /// A value that handlers reach by its type; see [`Context::state`].
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        drop(self.live_mut().life.states().insert(Arc::new(value)));
        self
    }

    /// Runs when the first connection is about to be served, once however many follow; its value becomes the state of
    /// its type. If it fails, serving fails with [`Error::Start`].
    ///
    /// ```
    /// # struct Database;
    /// # impl Database { async fn open() -> std::io::Result<Self> { Ok(Self) } async fn close(&self) {} }
    /// let server = mcp::Server::new("store", "1.0.0")
    ///     .on_start(async || Database::open().await)
    ///     .on_stop(|database: std::sync::Arc<Database>| async move { database.close().await });
    /// ```
    #[must_use]
    pub fn on_start<T, E, Fut>(mut self, start: impl Fn() -> Fut + Send + Sync + 'static) -> Self
    where
        T: Send + Sync + 'static,
        E: fmt::Display,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.live_mut().life.on_start(start);
        self
    }

    /// Runs when the last connection has ended, with the state of type `T`.
    #[must_use]
    pub fn on_stop<T, Fut>(mut self, stop: impl Fn(Arc<T>) -> Fut + Send + Sync + 'static) -> Self
    where
        T: Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.live_mut().life.on_stop(stop);
        self
    }

    /// Other bounds than the usual ones, for each connection.
    #[must_use]
    pub fn limits(self, change: impl FnOnce(&mut Limits)) -> Self {
        self.configure(|config| change(&mut config.limits))
    }

    /// The budget that bounds what all its connections buffer together: [that of the process](Budget::process) unless set.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.live_mut().budget = budget;
        self
    }

    fn configure(self, change: impl FnOnce(&mut ServerConfig)) -> Self {
        self.define(|definition| change(definition.config_mut()))
    }

    fn define(mut self, change: impl FnOnce(&mut Definition)) -> Self {
        let definition = self.live_mut().definition.get_mut().unwrap_or_else(PoisonError::into_inner);
        let definition = Arc::make_mut(definition);
        change(definition);
        definition.declare();
        self
    }

    /// For this handle alone: whoever shares it keeps what there was.
    fn live_mut(&mut self) -> &mut Live {
        Arc::make_mut(&mut self.live)
    }
}

/// Changing while serving.
impl Server {
    /// Changes what is offered, for all clones of this handle and all its connections at once. Clients that asked for it are
    /// told which lists have changed, if any has. Requests in work end with what they began with.
    ///
    /// ```
    /// use mcp::{Item, Server, Tool};
    ///
    /// let server = Server::new("s", "1").tool(Tool::new("open", "Open the door", async || "open"));
    /// server.update(|edit| {
    ///     edit.tool(Tool::new("close", "Close the door", async || "closed")).disable(Item::Tool("open"));
    /// })?;
    /// # Ok::<(), mcp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Definition`] with everything that is wrong with the changes; then none of them is made.
    pub fn update(&self, change: impl FnOnce(&mut Edit)) -> Result<()> {
        let mut edit = Edit::default();
        change(&mut edit);
        loop {
            // Made without the lock, since dropping and declaring run user code; somebody else may be quicker.
            let before = self.live.definition();
            let mut next = Definition::clone(&before);
            edit.apply(&mut next);
            next.declare();
            let faults = next.faults();
            if !faults.is_empty() {
                return Err(Error::Definition(faults));
            }
            let changes = next.changes_since(&before);
            if self.live.replace(&before, next) {
                changes.into_iter().for_each(|change| self.changed(change));
                return Ok(());
            }
        }
    }

    /// Tells the clients that subscribed to it that something has changed: the content of a resource, usually. That a list
    /// has changed, [`update`](Self::update) tells by itself.
    pub fn changed(&self, change: Change) {
        self.live.hub.publish(&change);
    }

    /// What it declares to clients that connect now.
    pub fn declares(&self) -> ServerCapabilities {
        self.live.definition().config.capabilities.clone()
    }
}

/// Serving.
impl Server {
    /// Looks whether the server is well defined, as serving it does first.
    ///
    /// # Errors
    ///
    /// [`Error::Definition`] with everything that is wrong.
    pub fn check(&self) -> Result<()> {
        let faults = self.live.definition().faults();
        if faults.is_empty() { Ok(()) } else { Err(Error::Definition(faults)) }
    }

    /// Starts the server if it is not started yet. It stops when every lease is gone.
    pub(crate) async fn enter(&self) -> Result<Lease> {
        self.check()?;
        self.live.life.enter().await
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.live.definition().config)
    }

    pub(crate) fn service(&self) -> Arc<dyn Service> {
        Arc::new(Serving::new(&self.live))
    }

    /// The budget in force: listeners ask it whether to take another connection.
    pub(crate) fn shared_budget(&self) -> &Budget {
        &self.live.budget
    }

    fn states(&self) -> &Arc<States> {
        self.live.life.states()
    }

    /// Has a connection told of changes, until the place is dropped.
    pub(crate) fn tell(&self, shared: &Arc<Shared>) -> Place {
        self.live.hub.enter(shared)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let definition = self.live.definition();
        f.debug_struct("Server")
            .field("info", &definition.config.info)
            .field("tools", &definition.tools.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
