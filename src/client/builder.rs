//! Who a client is, and what its server may ask of it.

use std::fmt;
use std::sync::Arc;

use mcp_proto::model::{
    ClientCapabilities, CreateMessageParams, CreateMessageResult, ElicitParams, ElicitResult, ElicitationCapability,
    Implementation, ListRootsResult, LogParams, Root, RootsCapability, SamplingCapability, Supported,
};
use mcp_proto::{Body, ClientConfig, ErrorObject, Limits, Message, ProtocolVersion};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::stream::{BoxFuture, Handling, Inbound, Reply, Service, Shared};

/// Says who a client is, what its server may ask of it, and who hears what the server tells.
///
/// What a callback is given for is declared as a capability; a server asks for nothing else. Callbacks run beside each
/// other and beside the client's own calls.
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
///     .on_log(|entry| eprintln!("{}: {}", entry.level, entry.data));
/// # drop(client);
/// ```
#[derive(Clone)]
#[must_use = "connect it"]
pub struct ClientBuilder {
    config: ClientConfig,
    callbacks: Callbacks,
}

type Answering = Arc<dyn Fn(&Message) -> Result<BoxFuture<Reply>, ErrorObject> + Send + Sync>;
type Telling = Arc<dyn Fn(Notification) -> BoxFuture<()> + Send + Sync>;

#[derive(Clone, Default)]
struct Callbacks {
    elicit: Option<Answering>,
    sample: Option<Answering>,
    roots: Vec<Root>,
    log: Option<Arc<dyn Fn(LogParams) + Send + Sync>>,
    notification: Option<Telling>,
}

/// Something that the server tells.
#[derive(Clone, Debug)]
pub struct Notification {
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
}

impl Default for ClientBuilder {
    /// A client that calls itself by this crate's name.
    fn default() -> Self {
        Self::new(Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")))
    }
}

impl ClientBuilder {
    /// A client that offers its server nothing.
    pub fn new(info: Implementation) -> Self {
        Self { config: ClientConfig::new(info), callbacks: Callbacks::default() }
    }

    /// Answers when the server asks the person something (specification: client/elicitation). Forms only; other modes are
    /// refused.
    pub fn on_elicit<Fut>(mut self, ask: impl Fn(ElicitParams) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ElicitResult> + Send + 'static,
    {
        self.capabilities().elicitation = Some(ElicitationCapability::default().with_form(Supported::default()));
        self.callbacks.elicit = Some(Arc::new(move |message| {
            let params: ElicitParams = params(message)?;
            if *params.mode() != mcp_proto::model::ElicitMode::Form {
                let mode = params.mode();
                return Err(ErrorObject::invalid_params(format!("elicitation mode {mode} was not declared")));
            }
            let answer = ask(params);
            Ok(Box::pin(async move { encode(&answer.await) }))
        }));
        self
    }

    /// Answers when the server asks a language model (specification: client/sampling).
    pub fn on_sample<Fut>(mut self, sample: impl Fn(CreateMessageParams) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Result<CreateMessageResult, ErrorObject>> + Send + 'static,
    {
        self.capabilities().sampling = Some(SamplingCapability::default());
        self.callbacks.sample = Some(Arc::new(move |message| {
            let answer = sample(params(message)?);
            Ok(Box::pin(async move { encode(&answer.await?) }))
        }));
        self
    }

    /// Tells the server of a directory that it may work in (specification: client/roots). `uri` begins with `file://`.
    pub fn root(mut self, uri: impl Into<String>, name: impl Into<String>) -> Self {
        self.capabilities().roots = Some(RootsCapability::default());
        self.callbacks.roots.push(Root::new(uri).with_name(name));
        self
    }

    /// Hears the server's log messages, in order.
    pub fn on_log(mut self, hear: impl Fn(LogParams) + Send + Sync + 'static) -> Self {
        self.callbacks.log = Some(Arc::new(hear));
        self
    }

    /// Hears every other notification, in order: each is handled to its end before the next.
    pub fn on_notification<Fut>(mut self, hear: impl Fn(Notification) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.notification = Some(Arc::new(move |notification| Box::pin(hear(notification))));
        self
    }

    /// The revisions that are acceptable, of one era or of both. With both, a server that does not know the question which it
    /// speaks is taken for a legacy one. Those of the legacy era unless set.
    pub fn versions(mut self, versions: impl IntoIterator<Item = ProtocolVersion>) -> Self {
        self.config.versions = versions.into_iter().collect();
        self
    }

    /// Other bounds than the usual ones.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.config.limits);
        self
    }

    /// The same client, for a server that does not survive being asked which era it speaks.
    pub(crate) fn legacy_only(mut self) -> Self {
        self.config.versions.retain(|version| version.era() == mcp_proto::Era::Legacy);
        self
    }

    pub(crate) fn into_parts(self) -> (Arc<ClientConfig>, Arc<dyn Service>) {
        (Arc::new(self.config), Arc::new(self.callbacks))
    }

    fn capabilities(&mut self) -> &mut ClientCapabilities {
        &mut self.config.capabilities
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Service for Callbacks {
    fn handle(&self, _: &Arc<Shared>, request: Inbound) -> Handling {
        match self.answer(&request.message) {
            Ok(future) => Handling::InPlace(future),
            Err(error) => Handling::Now(Err(error)),
        }
    }

    fn answer(&self, question: &Message) -> Result<BoxFuture<Reply>, ErrorObject> {
        let answering = match question.method() {
            "elicitation/create" => &self.elicit,
            "sampling/createMessage" => &self.sample,
            "roots/list" if !self.roots.is_empty() => {
                let reply = encode(&ListRootsResult::new().with_roots(self.roots.clone()));
                return Ok(Box::pin(std::future::ready(reply)));
            }
            _ => &None,
        };
        answering.as_ref().ok_or_else(|| ErrorObject::method_not_found(question.method()))?(question)
    }

    fn notified(&self, _: &Arc<Shared>, message: Message) -> Option<BoxFuture<()>> {
        if message.method() == "notifications/message"
            && let Some(hear) = &self.log
        {
            let hear = Arc::clone(hear);
            return match message.params().decode() {
                Ok(entry) => Some(Box::pin(async move { hear(entry) })),
                Err(error) => {
                    tracing::debug!(%error, "a log message that cannot be read");
                    None
                }
            };
        }
        let hear = self.notification.as_ref()?;
        Some(hear(Notification { message }))
    }
}

fn params<T: DeserializeOwned>(message: &Message) -> Result<T, ErrorObject> {
    serde_json::from_str(message.params().as_str())
        .map_err(|error| ErrorObject::invalid_params(format!("{}: {error}", message.method())))
}

fn encode(result: &impl Serialize) -> Reply {
    Body::result(result).map(Into::into).map_err(|error| ErrorObject::internal(error.to_string()))
}
