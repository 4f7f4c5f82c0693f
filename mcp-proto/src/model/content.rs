//! What messages and results are made of; mirrors the content types of the specification's Tools, Prompts and Sampling pages.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::lifecycle::Icon;
use super::resources::{Resource, ResourceContents};
use super::wire::{Integer, wire_enum, wire_struct, wire_union};

wire_union! {
    /// One piece of content.
    pub enum ContentBlock by "type" {
        /// Text.
        Text(TextContent) = "text",
        /// An image.
        Image(ImageContent) = "image",
        /// A sound (2025-03-26 and later).
        Audio(AudioContent) = "audio",
        /// The contents of a resource.
        EmbeddedResource(EmbeddedResource) = "resource",
        /// A resource that the client may read (2025-06-18 and later).
        ResourceLink(ResourceLink) = "resource_link",
        /// A model's wish to use a tool (2025-11-25 and later, in sampling only).
        ToolUse(ToolUseContent) = "tool_use",
        /// What the tool said (2025-11-25 and later, in sampling only).
        ToolResult(ToolResultContent) = "tool_result",
    }
}

impl ContentBlock {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        TextContent::new(text).into()
    }

    /// An image, its data in base64.
    #[must_use]
    pub fn image(data: impl Into<String>, mime_type: impl Into<String>) -> Self {
        ImageContent::new(data, mime_type).into()
    }

    /// A sound, its data in base64.
    #[must_use]
    pub fn audio(data: impl Into<String>, mime_type: impl Into<String>) -> Self {
        AudioContent::new(data, mime_type).into()
    }

    /// The contents of a resource.
    #[must_use]
    pub fn resource(resource: impl Into<ResourceContents>) -> Self {
        EmbeddedResource::new(resource).into()
    }

    /// A resource that the client may read.
    #[must_use]
    pub fn resource_link(uri: impl Into<String>, name: impl Into<String>) -> Self {
        ResourceLink::new(uri, name).into()
    }

    /// A model's wish to use a tool.
    #[must_use]
    pub fn tool_use(id: impl Into<String>, name: impl Into<String>, input: impl Into<Map<String, Value>>) -> Self {
        ToolUseContent::new(id, name, input).into()
    }

    /// What a tool said to the wish of this id.
    #[must_use]
    pub fn tool_result(tool_use_id: impl Into<String>, content: impl Into<Vec<ContentBlock>>) -> Self {
        ToolResultContent::new(tool_use_id).with_content(content).into()
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.text),
            _ => None,
        }
    }
}

impl From<&str> for ContentBlock {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for ContentBlock {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

wire_struct! {
    /// Text.
    pub struct TextContent tagged "type" = "text" {
        /// The text.
        required text: String = "text",
        /// For whom it is, and how much it matters.
        optional(with_annotations) annotations: Annotations = "annotations",
        /// Metadata of this block.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// An image.
    pub struct ImageContent tagged "type" = "image" {
        /// The image, in base64.
        required data: String = "data",
        /// Its media type.
        required mime_type: String = "mimeType",
        /// For whom it is, and how much it matters.
        optional(with_annotations) annotations: Annotations = "annotations",
        /// Metadata of this block.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// A sound.
    pub struct AudioContent tagged "type" = "audio" {
        /// The sound, in base64.
        required data: String = "data",
        /// Its media type.
        required mime_type: String = "mimeType",
        /// For whom it is, and how much it matters.
        optional(with_annotations) annotations: Annotations = "annotations",
        /// Metadata of this block.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// The contents of a resource, within a message.
    pub struct EmbeddedResource tagged "type" = "resource" {
        /// The contents.
        required resource: ResourceContents = "resource",
        /// For whom it is, and how much it matters.
        optional(with_annotations) annotations: Annotations = "annotations",
        /// Metadata of this block.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// A resource that the client may read. It need not be in the list of resources.
    pub struct ResourceLink tagged "type" = "resource_link" {
        /// Where the resource is.
        required uri: String = "uri",
        /// The name for programs.
        required name: String = "name",
        /// The name for people; `name` stands in for it.
        optional(with_title) title: String = "title",
        /// What the resource is, for a language model.
        optional(with_description) description: String = "description",
        /// The media type, if it is known.
        optional(with_mime_type) mime_type: String = "mimeType",
        /// The size in bytes, before any encoding, if it is known.
        optional(with_size) size: i64 as Integer = "size",
        /// For whom it is, and how much it matters.
        optional(with_annotations) annotations: Annotations = "annotations",
        /// Images that stand for the resource.
        optional(with_icons) icons: Vec<Icon> = "icons",
        /// Metadata of this resource.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

impl From<Resource> for ResourceLink {
    fn from(resource: Resource) -> Self {
        let Resource { uri, name, title, description, mime_type, size, annotations, icons, meta, extra } = resource;
        Self { uri, name, title, description, mime_type, size, annotations, icons, meta, extra }
    }
}

wire_struct! {
    /// A model's wish to use a tool.
    pub struct ToolUseContent tagged "type" = "tool_use" {
        /// By what the result refers to this wish.
        required id: String = "id",
        /// The tool.
        required name: String = "name",
        /// Its arguments.
        required input: Map<String, Value> = "input",
        /// Metadata of this block.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// What a tool said to a model's wish.
    pub struct ToolResultContent tagged "type" = "tool_result" {
        /// The `id` of the wish.
        required tool_use_id: String = "toolUseId",
        /// What the tool said. Peers that leave it out are tolerated; it is always written.
        defaulted(with_content) content: Vec<ContentBlock> = "content",
        /// The same as JSON. `Some(Value::Null)` is a result, `None` is none.
        nullable(with_structured_content) structured_content: Value = "structuredContent",
        /// Whether the tool has failed. Absent means false.
        optional(with_is_error) is_error: bool = "isError",
        /// Metadata of this block.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// For whom something is, and how much it matters.
    #[derive(Default)]
    pub struct Annotations {
        /// For whom it is.
        optional(with_audience) audience: Vec<Role> = "audience",
        /// How much it matters: from 0, of no importance, to 1, required.
        optional(with_priority) priority: f64 = "priority",
        /// When it changed last, in ISO 8601 (2025-06-18 and later).
        optional(with_last_modified) last_modified: String = "lastModified",
    }
}

wire_enum! {
    /// One side of a conversation.
    pub enum Role {
        /// The user, and what speaks for them.
        User = "user",
        /// The language model.
        Assistant = "assistant",
    }
}
