//! Who the peers are and what they can do, and the `initialize` exchange; mirrors the specification's Lifecycle page.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::tasks::TasksCapability;
use super::wire::{wire_enum, wire_struct};

wire_struct! {
    /// A client or a server, as it names itself.
    pub struct Implementation {
        /// The name for programs.
        required name: String = "name",
        /// The version, in whatever scheme the implementation uses.
        required version: String = "version",
        /// The name for people; `name` stands in for it.
        optional(with_title) title: String = "title",
        /// What the implementation is for.
        optional(with_description) description: String = "description",
        /// Where people can read about it.
        optional(with_website_url) website_url: String = "websiteUrl",
        /// Images that stand for it.
        optional(with_icons) icons: Vec<Icon> = "icons",
    }
}

wire_struct! {
    /// An image that stands for something in a user interface.
    pub struct Icon {
        /// An `http`, `https` or `data` URI.
        required src: String = "src",
        /// The media type, if the one that the source declares is missing or too general.
        optional(with_mime_type) mime_type: String = "mimeType",
        /// The sizes it suits: `48x48` and the like, or `any`.
        optional(with_sizes) sizes: Vec<String> = "sizes",
        /// The theme it is drawn for; any theme if it is absent.
        optional(with_theme) theme: IconTheme = "theme",
    }
}

impl Icon {
    /// Whether the source has a scheme that a client may load: `https`, `http` or `data`. Any other (`javascript`, `file`, ...) is
    /// refused, and what is loaded is loaded without credentials.
    #[must_use]
    pub fn has_safe_source(&self) -> bool {
        let scheme = self.src.split_once(':').map_or("", |(scheme, _)| scheme);
        ["https", "http", "data"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
    }
}

wire_enum! {
    /// The background that an icon is drawn for.
    pub enum IconTheme {
        /// A light background.
        Light = "light",
        /// A dark background.
        Dark = "dark",
    }
}

wire_struct! {
    /// The object by whose presence a peer says that it supports something that has no further choices.
    #[derive(Default)]
    pub struct Supported {}
}

wire_struct! {
    /// What a client supports. The set is open.
    #[derive(Default)]
    pub struct ClientCapabilities {
        /// Capabilities outside the specification, by name.
        optional(with_experimental) experimental: Map<String, Value> = "experimental",
        /// The server may ask for the roots.
        optional(with_roots) roots: RootsCapability = "roots",
        /// The server may ask for messages from a language model.
        optional(with_sampling) sampling: SamplingCapability = "sampling",
        /// The server may ask the user.
        optional(with_elicitation) elicitation: ElicitationCapability = "elicitation",
        /// The requests to this client that may become tasks (2025-11-25 only).
        optional(with_tasks) tasks: TasksCapability = "tasks",
        /// Extensions of the specification, with their settings by identifier.
        optional(with_extensions) extensions: Map<String, Value> = "extensions",
    }
}

wire_struct! {
    /// How a client supports roots.
    #[derive(Default)]
    pub struct RootsCapability {
        /// Whether the client tells when the list changes.
        optional(with_list_changed) list_changed: bool = "listChanged",
    }
}

wire_struct! {
    /// How a client supports sampling.
    #[derive(Default)]
    pub struct SamplingCapability {
        /// The client honours `includeContext`.
        optional(with_context) context: Supported = "context",
        /// The client honours `tools` and `toolChoice`.
        optional(with_tools) tools: Supported = "tools",
    }
}

wire_struct! {
    /// How a client supports elicitation. With neither member, it supports forms.
    #[derive(Default)]
    pub struct ElicitationCapability {
        /// The client shows forms.
        optional(with_form) form: Supported = "form",
        /// The client sends the user to a URL.
        optional(with_url) url: Supported = "url",
    }
}

impl ElicitationCapability {
    /// Whether the client shows forms: it says so, or it says nothing of either mode.
    #[must_use]
    pub fn supports_form(&self) -> bool {
        self.form.is_some() || self.url.is_none()
    }

    /// Whether the client sends the user to a URL.
    #[must_use]
    pub fn supports_url(&self) -> bool {
        self.url.is_some()
    }
}

wire_struct! {
    /// What a server supports. The set is open.
    #[derive(Default)]
    pub struct ServerCapabilities {
        /// Capabilities outside the specification, by name.
        optional(with_experimental) experimental: Map<String, Value> = "experimental",
        /// The server sends log messages.
        optional(with_logging) logging: Supported = "logging",
        /// The server has prompts.
        optional(with_prompts) prompts: PromptsCapability = "prompts",
        /// The server has resources.
        optional(with_resources) resources: ResourcesCapability = "resources",
        /// The server has tools.
        optional(with_tools) tools: ToolsCapability = "tools",
        /// The server completes arguments.
        optional(with_completions) completions: Supported = "completions",
        /// The requests to this server that may become tasks (2025-11-25 only).
        optional(with_tasks) tasks: TasksCapability = "tasks",
        /// Extensions of the specification, with their settings by identifier.
        optional(with_extensions) extensions: Map<String, Value> = "extensions",
    }
}

wire_struct! {
    /// How a server supports prompts.
    #[derive(Default)]
    pub struct PromptsCapability {
        /// Whether the server tells when the list changes.
        optional(with_list_changed) list_changed: bool = "listChanged",
    }
}

wire_struct! {
    /// How a server supports resources.
    #[derive(Default)]
    pub struct ResourcesCapability {
        /// Whether a client can subscribe to a resource.
        optional(with_subscribe) subscribe: bool = "subscribe",
        /// Whether the server tells when the list changes.
        optional(with_list_changed) list_changed: bool = "listChanged",
    }
}

wire_struct! {
    /// How a server supports tools.
    #[derive(Default)]
    pub struct ToolsCapability {
        /// Whether the server tells when the list changes.
        optional(with_list_changed) list_changed: bool = "listChanged",
    }
}

wire_struct! {
    /// The result of requests that tell nothing but that they were served: `ping`, `logging/setLevel` and others.
    #[derive(Default)]
    pub struct EmptyResult except "resultType" {}
}

wire_struct! {
    /// The parameters of `initialize`.
    pub struct InitializeParams {
        /// The newest revision that the client speaks, as it wrote it: it may be one that this crate does not know.
        required protocol_version: String = "protocolVersion",
        /// What the client supports.
        required capabilities: ClientCapabilities = "capabilities",
        /// Who the client is.
        required client_info: Implementation = "clientInfo",
    }
}

wire_struct! {
    /// The result of `initialize`.
    pub struct InitializeResult {
        /// The revision that the server has chosen, as it wrote it: it may be one that this crate does not know.
        required protocol_version: String = "protocolVersion",
        /// What the server supports.
        required capabilities: ServerCapabilities = "capabilities",
        /// Who the server is.
        required server_info: Implementation = "serverInfo",
        /// How to use the server, for a language model.
        optional(with_instructions) instructions: String = "instructions",
    }
}
