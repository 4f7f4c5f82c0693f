//! What a server offers, as one immutable snapshot, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcp_proto::model::{
    Implementation, PromptsCapability, ResourcesCapability, ServerCapabilities, Supported, ToolsCapability,
};
use mcp_proto::{Change, OwnAnswers, ProtocolVersion, ServerConfig};
use serde_json::{Map, Value};

use super::hooks::Hooks;
use super::methods::{self, Method, OnNotification};
use super::prompt::Prompt;
use super::registry::{Added, Cache, Listed, Registry, Unknown};
use super::resource::{Resource, ResourceTemplate};
use super::tool::Tool;
use crate::intercept::Link;

/// A change that the application makes to what is declared.
type Adjust = Arc<dyn Fn(&mut ServerCapabilities) + Send + Sync>;

/// See the module.
#[derive(Clone)]
pub(super) struct Definition {
    /// What the core is told; its capabilities are made of what is registered.
    pub(super) config: Arc<ServerConfig>,
    adjust: Vec<Adjust>,
    lenient: Vec<Lenient>,
    pub(super) tools: Registry<Tool>,
    pub(super) prompts: Registry<Prompt>,
    pub(super) resources: Registry<Resource>,
    pub(super) templates: Registry<ResourceTemplate>,
    /// How long what was read may be kept, unless the resource says.
    pub(super) reads: Cache,
    pub(super) hooks: Hooks,
    pub(super) methods: BTreeMap<String, Method>,
    pub(super) notifications: BTreeMap<String, OnNotification>,
    pub(super) interceptors: Arc<[Link]>,
    faults: Vec<Fault>,
}

/// What is wrong, and the rule that may be relaxed, if it can be.
pub(super) type Fault = (Option<Lenient>, String);

/// A rule about definitions that can be relaxed to a warning; see [`Server::lenient`](crate::Server::lenient).
///
/// ```
/// use mcp::{Lenient, Server, Tool};
///
/// let server = Server::new("s", "1.0.0").tool(Tool::new("make tea", "Make tea", async || "tea"));
/// assert!(server.clone().check().is_err());
/// server.lenient(Lenient::Names).check()?;
/// # Ok::<(), mcp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lenient {
    /// Tools may have names that the specification advises against: characters other than `A-Z a-z 0-9 _ - .`, or more than
    /// 128 of them. An empty name stays a fault.
    Names,
    /// Of two items of one name or URI, the second replaces the first.
    Duplicates,
    /// The schemas of tools may be in dialects of JSON Schema that this crate does not know (see
    /// [`Dialect`](crate::model::Dialect)); clients that do not know them either cannot use such a tool.
    Dialects,
}

impl Definition {
    pub(super) fn new(name: String, version: String) -> Self {
        let mut config = ServerConfig::new(Implementation::new(name, version));
        config.versions = ProtocolVersion::ALL.to_vec();
        Self {
            config: Arc::new(config),
            adjust: Vec::new(),
            lenient: Vec::new(),
            tools: Registry::default(),
            prompts: Registry::default(),
            resources: Registry::default(),
            templates: Registry::default(),
            reads: Cache::default(),
            hooks: Hooks::default(),
            methods: BTreeMap::new(),
            notifications: BTreeMap::new(),
            interceptors: Arc::default(),
            faults: Vec::new(),
        }
    }

    /// Offers something new.
    pub(super) fn add<T: Listed>(&mut self, item: T) {
        let key = item.key().to_owned();
        if self.put(item) == Added::Replaced {
            self.faults.push((Some(Lenient::Duplicates), format!("there are two of the {} {key:?}", T::WHAT)));
        }
    }

    /// Offers something, in place of what has the same key if there is one.
    pub(super) fn put<T: Listed>(&mut self, item: T) -> Added {
        self.faults.extend(item.faults());
        T::registry(self).add(item)
    }

    pub(super) fn add_method(&mut self, name: String, method: Method) {
        self.faults.extend(methods::fault(&name));
        if self.methods.contains_key(&name) {
            self.faults.push(methods::repeated(&name));
        }
        self.methods.insert(name, method);
    }

    pub(super) fn add_notification(&mut self, name: String, handler: OnNotification) {
        self.faults.extend(methods::fault(&name).filter(|_| name != methods::ROOTS_CHANGED));
        if self.notifications.contains_key(&name) {
            self.faults.push(methods::repeated(&name));
        }
        self.notifications.insert(name, handler);
    }

    pub(super) fn intercept(&mut self, link: Link) {
        self.interceptors = self.interceptors.iter().cloned().chain([link]).collect();
        self.config_mut().own_answers = OwnAnswers::Shown;
    }

    pub(super) fn expect_known(&mut self, found: Result<(), Unknown>, what: &str, key: &str) {
        if let Err(Unknown) = found {
            self.faults.push((None, format!("there is no {what} {key:?} to change")));
        }
    }

    pub(super) fn config_mut(&mut self) -> &mut ServerConfig {
        Arc::make_mut(&mut self.config)
    }

    pub(super) fn adjust(&mut self, adjust: Adjust) {
        self.adjust.push(adjust);
    }

    pub(super) fn relax(&mut self, rule: Lenient) {
        self.lenient.push(rule);
    }

    /// Declares what is registered. A kind that was offered once stays declared when the last of it is gone.
    pub(super) fn declare(&mut self) {
        let mut capabilities = ServerCapabilities::default();
        if self.tools.is_used() {
            capabilities.tools = Some(ToolsCapability::default().with_list_changed(true));
        }
        if self.prompts.is_used() {
            capabilities.prompts = Some(PromptsCapability::default().with_list_changed(true));
        }
        if self.resources.is_used() || self.templates.is_used() {
            capabilities.resources = Some(ResourcesCapability::default().with_list_changed(true).with_subscribe(true));
        }
        let completes = self.prompts.visible().any(|prompt| !prompt.completers.is_empty())
            || self.templates.visible().any(|template| !template.completers.is_empty());
        if completes {
            capabilities.completions = Some(Supported::default());
        }
        self.adjust.iter().for_each(|adjust| adjust(&mut capabilities));
        let extensions = self.config.extensions.iter().map(|it| (it.id.clone(), Value::Object(it.settings.clone())));
        let extensions = extensions.collect::<Map<_, _>>();
        if !extensions.is_empty() {
            capabilities.extensions.get_or_insert_default().extend(extensions);
        }
        self.config_mut().capabilities = capabilities;
    }

    /// What is wrong with it. What the application is lenient about is only logged.
    pub(super) fn faults(&self) -> Vec<String> {
        let (relaxed, faults): (Vec<_>, Vec<_>) =
            self.faults.iter().partition(|(rule, _)| rule.is_some_and(|rule| self.lenient.contains(&rule)));
        for (_, fault) in relaxed {
            tracing::warn!("{fault}");
        }
        faults.into_iter().map(|(_, fault)| fault.clone()).collect()
    }

    /// Which lists look different to clients.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if !self.tools.lists_the_same(&before.tools) {
            changes.push(Change::Tools);
        }
        if !self.prompts.lists_the_same(&before.prompts) {
            changes.push(Change::Prompts);
        }
        if !self.resources.lists_the_same(&before.resources) || !self.templates.lists_the_same(&before.templates) {
            changes.push(Change::Resources);
        }
        changes
    }
}
