//! Extensions of the protocol: what one adds, and whether both sides have it (specification: basic, Extensions).
//!
//! An extension is off unless this side declares it. It is active for a message only if the peer declares it as well: in the
//! legacy era in the handshake, in the modern era on each request.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::event::{Peer, PeerCapabilities};
use super::{ClientConfig, Connection, ServerConfig, Side};
use crate::jsonrpc::ErrorObject;
use crate::model::{
    Capability, ClientCapabilities, Era, ProtocolVersion, Sender, SubscriptionFilter, TASKS_EXTENSION, method_rule,
};

/// An extension that this side supports, and what it adds to the protocol.
///
/// ```
/// use mcp_proto::{ClientConfig, Extension, model::{Implementation, Sender}};
///
/// let skills = Extension::new("io.modelcontextprotocol/skills").method("skills/list", Sender::Client);
/// let config = ClientConfig::new(Implementation::new("desk", "1")).with_extension(skills);
/// assert!(config.capabilities.extensions.unwrap().contains_key("io.modelcontextprotocol/skills"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Extension {
    /// Its identifier: a prefix with dots, a slash, a name.
    pub id: String,
    /// What this side declares with it; often nothing.
    pub settings: Map<String, Value>,
    /// The requests and notifications that it adds, and who may send them.
    pub methods: Vec<(String, Sender)>,
    /// The values of `resultType` that it adds (modern era).
    pub result_types: Vec<String>,
    /// The members that it adds to the filter of `subscriptions/listen` (modern era).
    pub filter_fields: Vec<String>,
    /// Of its requests, the member of the parameters that names what the request is about: over HTTP it is sent as the header
    /// `Mcp-Name` too.
    pub name_fields: Vec<(String, String)>,
}

impl Extension {
    /// One that adds nothing but its declaration.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            settings: Map::new(),
            methods: Vec::new(),
            result_types: Vec::new(),
            filter_fields: Vec::new(),
            name_fields: Vec::new(),
        }
    }

    /// The extension for tasks of 2026-07-28. Its methods are in the table of [`METHODS`](crate::model::METHODS).
    #[must_use]
    pub fn tasks() -> Self {
        let named = |method: Self, name: &str| method.named_by(name, "taskId");
        let base = Self::new(TASKS_EXTENSION).result_type("task").filter_field("taskIds");
        ["tasks/get", "tasks/update", "tasks/cancel"].into_iter().fold(base, named)
    }

    /// With this setting.
    #[must_use]
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// With this request or notification, which only `sender` may send.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>, sender: Sender) -> Self {
        self.methods.push((method.into(), sender));
        self
    }

    /// With this value of `resultType`.
    #[must_use]
    pub fn result_type(mut self, result_type: impl Into<String>) -> Self {
        self.result_types.push(result_type.into());
        self
    }

    /// With this member of the filter of `subscriptions/listen`.
    #[must_use]
    pub fn filter_field(mut self, field: impl Into<String>) -> Self {
        self.filter_fields.push(field.into());
        self
    }

    /// With this member of the parameters of `method` as what names its object.
    #[must_use]
    pub fn named_by(mut self, method: impl Into<String>, field: impl Into<String>) -> Self {
        self.name_fields.push((method.into(), field.into()));
        self
    }

    /// The capabilities of a client that has it, to tell one that lacks it.
    pub(super) fn required(&self) -> ClientCapabilities {
        let extensions = Map::from_iter([(self.id.clone(), Value::Object(Map::new()))]);
        ClientCapabilities::new().with_extensions(extensions)
    }
}

impl ClientConfig {
    /// Declares an extension.
    #[must_use]
    pub fn with_extension(mut self, extension: Extension) -> Self {
        declare(&mut self.capabilities.extensions, &extension);
        self.extensions.push(extension);
        self
    }
}

impl ServerConfig {
    /// Declares an extension.
    #[must_use]
    pub fn with_extension(mut self, extension: Extension) -> Self {
        declare(&mut self.capabilities.extensions, &extension);
        self.extensions.push(extension);
        self
    }
}

fn declare(declared: &mut Option<Map<String, Value>>, extension: &Extension) {
    let settings = Value::Object(extension.settings.clone());
    declared.get_or_insert_with(Map::new).insert(extension.id.clone(), settings);
}

impl Peer {
    /// Whether it declares the extension.
    #[must_use]
    pub fn has_extension(&self, id: &str) -> bool {
        let declared = match &self.capabilities {
            PeerCapabilities::Client(offered) => &offered.extensions,
            PeerCapabilities::Server(offered) => &offered.extensions,
        };
        declared.as_ref().is_some_and(|declared| declared.contains_key(id))
    }
}

/// Filters of subscriptions.
impl Connection {
    /// Whether `peer` may ask to hear of these; the error that answers it if not. What no extension of ours knows is left out
    /// of the grant.
    pub(super) fn check_filter(&self, asked: &SubscriptionFilter, peer: Option<&Peer>) -> Result<(), ErrorObject> {
        let asks = |field: &String| asked.extra.contains_key(field) || field == TASK_IDS && asked.task_ids.is_some();
        for extension in self.extensions() {
            let lacks = !peer.is_some_and(|peer| peer.has_extension(&extension.id));
            if lacks && extension.filter_fields.iter().any(asks) {
                return Err(ErrorObject::missing_client_capability(extension.required()));
            }
        }
        Ok(())
    }

    /// What of `asked` is told if the application allows `granted`.
    pub(super) fn grant_of(&self, asked: &SubscriptionFilter, granted: &SubscriptionFilter) -> SubscriptionFilter {
        let mut both = asked.intersection(granted);
        for field in self.extensions().iter().flat_map(|extension| &extension.filter_fields) {
            if let (Some(asked), Some(granted)) = (asked.extra.get(field), granted.extra.get(field))
                && let Some(shared) = shared(asked, granted)
            {
                both.extra.insert(field.clone(), shared);
            }
        }
        both
    }
}

/// What stands in both: of lists the common entries, of anything else the value if it is the same.
fn shared(asked: &Value, granted: &Value) -> Option<Value> {
    match (asked, granted) {
        (Value::Array(asked), Value::Array(granted)) => {
            Some(asked.iter().filter(|entry| granted.contains(entry)).cloned().collect())
        }
        (asked, granted) => (asked == granted).then(|| granted.clone()),
    }
}

/// The member of the filter that has a field of its own in [`SubscriptionFilter`].
const TASK_IDS: &str = "taskIds";

impl Connection {
    pub(super) fn extensions(&self) -> &[Extension] {
        match &self.side {
            Side::Client(config) => &config.extensions,
            Side::Server(config) => &config.extensions,
        }
    }

    /// The extension of ours that adds this method, and who may send it.
    pub(super) fn extension_of(&self, method: &str) -> Option<(&Extension, Sender)> {
        let adds = |extension: &Extension| extension.methods.iter().find(|(added, _)| added == method).map(|it| it.1);
        self.extensions().iter().find_map(|extension| Some((extension, adds(extension)?)))
    }

    /// Whether `peer` may send a request of an extension of ours; the error that answers it if not.
    pub(super) fn check_extension(
        &self,
        method: &str,
        version: ProtocolVersion,
        peer: Option<&Peer>,
    ) -> Result<(), ErrorObject> {
        if let Some(Ok(rule)) = method_rule(method, version)
            && rule.needs == Capability::TasksExtension
            && !peer.is_some_and(|peer| peer.has_extension(TASKS_EXTENSION))
        {
            let required = ClientCapabilities::of(Capability::TasksExtension);
            return Err(ErrorObject::missing_client_capability(required));
        }
        let Some((extension, sender)) = self.extension_of(method) else { return Ok(()) };
        if self.is_ours(sender) && sender != Sender::Both {
            return Err(ErrorObject::method_not_found(method));
        }
        if peer.is_some_and(|peer| peer.has_extension(&extension.id)) {
            return Ok(());
        }
        Err(match version.era() {
            Era::Modern => ErrorObject::missing_client_capability(extension.required()),
            Era::Legacy => ErrorObject::method_not_found(method),
        })
    }
}
