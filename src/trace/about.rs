//! What a message is about, as far as the conventions have attributes for it.

use std::borrow::Cow;

use mcp_proto::jsonrpc::RequestId;
use mcp_proto::model::METHODS;
use mcp_proto::{Body, Message, ProtocolVersion};
use serde::Deserialize;

/// The most characters that are recorded of a method, a name or a text.
const LONGEST: usize = 128;
/// The most of a URI or an id.
const LONGEST_URI: usize = 1024;
/// What stands for a method that a peer made up.
const OTHER: &str = "_OTHER";

/// See the module. Bounded, whoever chose it.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) method: String,
    pub(super) tool: Option<String>,
    pub(super) prompt: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) id: Option<String>,
    pub(super) version: Option<ProtocolVersion>,
    pub(super) transport: Option<&'static str>,
    /// Whether what it is about exists on this side, so that its name may be part of others.
    known: Known,
}

/// Whose words they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Known {
    /// This side's, or such as this side offers.
    #[default]
    Here,
    /// A peer's.
    Nowhere,
}

/// Whether the specification has this method.
pub(crate) fn is_method(method: &str) -> bool {
    METHODS.iter().any(|rule| rule.method == method)
}

impl About {
    pub(super) fn method(method: &str) -> Self {
        Self { method: cut(method, LONGEST), ..Self::default() }
    }

    /// What a message of ours is about.
    pub(super) fn sent(body: &Body) -> Self {
        #[derive(Default, Deserialize)]
        struct Params<'a> {
            #[serde(borrow)]
            name: Option<Cow<'a, str>>,
            #[serde(borrow)]
            uri: Option<Cow<'a, str>>,
        }
        let about = Self::method(body.method());
        if !matches!(about.subject(), Subject::None) {
            let params = body.params_json().unwrap_or_default();
            let params = serde_json::from_str::<Params<'_>>(&params).unwrap_or_default();
            return about.about(params.name.as_deref(), params.uri.as_deref());
        }
        about
    }

    /// What a message of the peer is about.
    pub(super) fn received(message: &Message, known: Known) -> Self {
        let mut about = Self::method(message.method()).about(message.name(), message.uri());
        about.id = message.id().map(id);
        about.known = known;
        about
    }

    fn about(mut self, name: Option<&str>, uri: Option<&str>) -> Self {
        match self.subject() {
            Subject::Tool => self.tool = name.map(|name| cut(name, LONGEST)),
            Subject::Prompt => self.prompt = name.map(|name| cut(name, LONGEST)),
            Subject::Resource => self.uri = uri.map(|uri| cut(uri, LONGEST_URI)),
            Subject::None => {}
        }
        self
    }

    pub(super) fn on(mut self, version: Option<ProtocolVersion>, transport: Option<&'static str>) -> Self {
        (self.version, self.transport) = (version, transport);
        self
    }

    /// The revision in which it is written.
    pub(super) fn revision(&self) -> Option<&'static str> {
        self.version.map(ProtocolVersion::as_str)
    }

    fn subject(&self) -> Subject {
        match self.method.as_str() {
            "tools/call" => Subject::Tool,
            "prompts/get" => Subject::Prompt,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" | "notifications/resources/updated" => {
                Subject::Resource
            }
            _ => Subject::None,
        }
    }

    pub(super) fn is_tool_call(&self) -> bool {
        matches!(self.subject(), Subject::Tool)
    }

    /// `{method} {target}`; of few different values, also where a peer chooses the words.
    pub(super) fn span_name(&self) -> String {
        match self.tool.as_deref().or(self.prompt.as_deref()).filter(|_| self.known == Known::Here) {
            Some(target) => format!("{} {target}", self.method),
            None => self.low_method().to_owned(),
        }
    }

    /// The method, if it is one that exists.
    pub(super) fn low_method(&self) -> &str {
        let exists = self.known == Known::Here || is_method(&self.method);
        if exists { &self.method } else { OTHER }
    }

    /// A name, if it is one that exists.
    pub(super) fn low<'a>(&self, name: &'a Option<String>) -> Option<&'a str> {
        name.as_deref().filter(|_| self.known == Known::Here)
    }
}

/// Of what kind it is what a request is about.
enum Subject {
    Tool,
    Prompt,
    Resource,
    None,
}

/// As it stands on the wire, without quotes.
pub(super) fn id(id: &RequestId) -> String {
    match id {
        RequestId::Number(number) => number.to_string(),
        RequestId::String(text) => cut(text, LONGEST_URI),
    }
}

/// A text that somebody else may have written, for a person to read.
pub(super) fn text(text: &str) -> String {
    cut(text, 8 * LONGEST)
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}
