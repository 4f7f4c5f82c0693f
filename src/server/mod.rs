//! Servers: what is offered, and how a connection's requests find their handlers.

mod asking;
mod carrier;
mod context;
mod life;
mod once;
mod output;
mod rounds;
mod tool;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use mcp_proto::model::{
    Implementation, ListToolsParams, ListToolsResult, ServerCapabilities, Supported, ToolsCapability,
};
use mcp_proto::{Body, ErrorObject, Limits, Message, ProtocolVersion, ServerConfig};

pub use self::asking::{Form, accepted};
use self::carrier::Carrier;
pub(crate) use self::context::States;
pub use self::context::{Context, Steps};
pub(crate) use self::life::Lease;
use self::life::Life;
pub use self::output::{Json, ToolError, ToolOutput};
use self::rounds::Place;
pub use self::tool::{IntoTool, Tool, ToolHandler};
use crate::stream::{BoxFuture, Handling, Inbound, Reply, Service, Shared};
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
    definition: Arc<Definition>,
    life: Life,
    carrier: Carrier,
}

#[derive(Clone)]
struct Definition {
    config: Arc<ServerConfig>,
    tools: Vec<Arc<Tool>>,
    /// Where each tool stands, by its name.
    by_name: BTreeMap<String, usize>,
    faults: Vec<String>,
    /// The answers to `tools/list`, encoded once: for revisions without and with caching fields.
    list: [OnceLock<Result<Body, String>>; 2],
}

/// Building.
impl Server {
    /// A server that offers nothing yet.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        let mut config = ServerConfig::new(Implementation::new(name, version));
        config.versions = ProtocolVersion::ALL.to_vec();
        let config = Arc::new(config);
        let definition = Definition {
            config,
            tools: Vec::new(),
            by_name: BTreeMap::new(),
            faults: Vec::new(),
            list: Default::default(),
        };
        Self { definition: Arc::new(definition), life: Life::default(), carrier: Carrier::default() }
    }

    /// Offers a tool. They are listed in the order in which they are added.
    #[must_use]
    pub fn tool(mut self, tool: impl IntoTool) -> Self {
        let tool = tool.into_tool();
        let definition = self.definition_mut();
        definition.list = Default::default();
        let name = tool.definition().name.clone();
        definition.faults.extend(tool::name_fault(&name));
        if definition.by_name.insert(name.clone(), definition.tools.len()).is_some() {
            definition.faults.push(format!("there are two tools of the name {name:?}"));
        }
        definition.tools.push(Arc::new(tool));
        Arc::make_mut(&mut definition.config).capabilities.tools.get_or_insert_with(ToolsCapability::default);
        self
    }

    /// Offers log messages; see [`Context::log`].
    #[must_use]
    pub fn logging(mut self) -> Self {
        self.config_mut().capabilities.logging = Some(Supported::default());
        self
    }

    /// How the model is to use this server.
    #[must_use]
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.config_mut().instructions = Some(instructions.into());
        self
    }

    /// A name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.config_mut().info.title = Some(title.into());
        self
    }

    /// A value that handlers reach by its type; see [`Context::state`].
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        drop(self.life.states().insert(Arc::new(value)));
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
        self.life.on_start(start);
        self
    }

    /// Runs when the last connection has ended, with the state of type `T`.
    #[must_use]
    pub fn on_stop<T, Fut>(mut self, stop: impl Fn(Arc<T>) -> Fut + Send + Sync + 'static) -> Self
    where
        T: Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.life.on_stop(stop);
        self
    }

    /// Other bounds than the usual ones, for each connection.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.config_mut().limits);
        self
    }

    /// What this server declares to its clients.
    pub fn capabilities(&self) -> &ServerCapabilities {
        &self.definition.config.capabilities
    }

    fn definition_mut(&mut self) -> &mut Definition {
        Arc::make_mut(&mut self.definition)
    }

    fn config_mut(&mut self) -> &mut ServerConfig {
        Arc::make_mut(&mut self.definition_mut().config)
    }
}

/// Serving.
impl Server {
    /// Starts the server if it is not started yet. It stops when every lease is gone.
    pub(crate) async fn enter(&self) -> Result<Lease> {
        if !self.definition.faults.is_empty() {
            return Err(Error::Definition(self.definition.faults.clone()));
        }
        self.life.enter().await
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.definition.config)
    }

    pub(crate) fn service(&self) -> Arc<dyn Service> {
        Arc::new(Serving {
            definition: Arc::clone(&self.definition),
            states: Arc::clone(self.life.states()),
            carrier: self.carrier.clone(),
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("info", &self.definition.config.info)
            .field("tools", &self.definition.by_name.keys())
            .finish_non_exhaustive()
    }
}

/// The server's side of its connections.
struct Serving {
    definition: Arc<Definition>,
    states: Arc<States>,
    carrier: Carrier,
}

impl Service for Serving {
    fn handle(&self, shared: &Arc<Shared>, request: Inbound) -> Handling {
        match request.message.method() {
            "tools/list" => Handling::Now(self.definition.list_tools(&request).map(Into::into)),
            "tools/call" => self.call_tool(shared, request),
            method => Handling::Now(Err(ErrorObject::method_not_found(method))),
        }
    }

    fn answer(&self, question: &Message) -> Result<BoxFuture<Reply>, ErrorObject> {
        // A server's own requests are answered or not; no client asks back.
        Err(ErrorObject::method_not_found(question.method()))
    }

    fn notified(&self, _: &Arc<Shared>, message: Message) -> Option<BoxFuture<()>> {
        tracing::trace!(method = message.method(), "a notification that nobody waits for");
        None
    }
}

impl Serving {
    fn call_tool(&self, shared: &Arc<Shared>, request: Inbound) -> Handling {
        let Some(name) = request.message.name() else {
            return Handling::Now(Err(ErrorObject::invalid_params("tools/call: params.name must be a string")));
        };
        let Some(tool) = self.definition.by_name.get(name).and_then(|at| self.definition.tools.get(*at)) else {
            return Handling::Now(Err(ErrorObject::invalid_params(format!("unknown tool: {name}"))));
        };
        let place = if tool.is_blocking() { Place::Thread } else { Place::Executor };
        let tool = Arc::clone(tool);
        self.run(shared, request, place, move |context| tool.run(context))
    }
}

impl Definition {
    fn list_tools(&self, request: &Inbound) -> Result<Body, ErrorObject> {
        let message = &request.message;
        let params: ListToolsParams =
            message.params().decode().map_err(|error| ErrorObject::invalid_params(format!("tools/list: {error}")))?;
        if params.cursor.is_some() {
            // All tools fit on one page, so no cursor ever came from here.
            return Err(ErrorObject::invalid_params("tools/list: params.cursor is not one of this server's"));
        }
        let caches = request.meta.version.rules().result_type;
        let list = self.list[usize::from(caches)].get_or_init(|| {
            let tools = self.tools.iter().map(|tool| tool.definition().clone()).collect::<Vec<_>>();
            let mut result = ListToolsResult::new().with_tools(tools);
            if caches {
                // Required from 2026-07-28 on; fresh for no time, since tools may come and go.
                result = result.with_ttl_ms(0).with_cache_scope("private");
            }
            Body::result(&result).map_err(|error| error.to_string())
        });
        list.clone().map_err(ErrorObject::internal)
    }
}
