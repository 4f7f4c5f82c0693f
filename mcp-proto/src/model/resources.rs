//! Data that a server offers to read; mirrors the specification's Resources page.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::caching::CacheScope;
use super::content::Annotations;
use super::lifecycle::Icon;
use super::multi_round_trip::InputResponses;
use super::wire::{Integer, wire_codec, wire_struct};

wire_struct! {
    /// A resource that a server offers.
    pub struct Resource {
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

wire_struct! {
    /// A family of resources that a server offers.
    pub struct ResourceTemplate {
        /// Where the resources are, as a template of RFC 6570.
        required uri_template: String = "uriTemplate",
        /// The name for programs.
        required name: String = "name",
        /// The name for people; `name` stands in for it.
        optional(with_title) title: String = "title",
        /// What the resources are, for a language model.
        optional(with_description) description: String = "description",
        /// The media type, if all of them have the same.
        optional(with_mime_type) mime_type: String = "mimeType",
        /// For whom they are, and how much they matter.
        optional(with_annotations) annotations: Annotations = "annotations",
        /// Images that stand for the resources.
        optional(with_icons) icons: Vec<Icon> = "icons",
        /// Metadata of this template.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// The parameters of `resources/list`.
    #[derive(Default)]
    pub struct ListResourcesParams {
        /// The page to give; the first if absent.
        optional(with_cursor) cursor: String = "cursor",
    }
}

wire_struct! {
    /// The result of `resources/list`.
    #[derive(Default)]
    pub struct ListResourcesResult except "resultType" {
        /// The resources of this page.
        defaulted(with_resources) resources: Vec<Resource> = "resources",
        /// The next page, if there is one.
        optional(with_next_cursor) next_cursor: String = "nextCursor",
        /// For how many milliseconds the result is fresh (2026-07-28 and later); read it with `ttl`.
        optional(with_ttl_ms) ttl_ms: i64 as Integer = "ttlMs",
        /// Who may keep the result (2026-07-28 and later).
        optional(with_cache_scope) cache_scope: CacheScope = "cacheScope",
    }
}

wire_struct! {
    /// The parameters of `resources/templates/list`.
    #[derive(Default)]
    pub struct ListResourceTemplatesParams {
        /// The page to give; the first if absent.
        optional(with_cursor) cursor: String = "cursor",
    }
}

wire_struct! {
    /// The result of `resources/templates/list`.
    #[derive(Default)]
    pub struct ListResourceTemplatesResult except "resultType" {
        /// The templates of this page.
        defaulted(with_resource_templates) resource_templates: Vec<ResourceTemplate> = "resourceTemplates",
        /// The next page, if there is one.
        optional(with_next_cursor) next_cursor: String = "nextCursor",
        /// For how many milliseconds the result is fresh (2026-07-28 and later); read it with `ttl`.
        optional(with_ttl_ms) ttl_ms: i64 as Integer = "ttlMs",
        /// Who may keep the result (2026-07-28 and later).
        optional(with_cache_scope) cache_scope: CacheScope = "cacheScope",
    }
}

wire_struct! {
    /// The parameters of `resources/read`.
    pub struct ReadResourceParams {
        /// The resource to read.
        required uri: String = "uri",
        /// The answers to what the server asked when this request was last sent (2026-07-28 and later).
        optional(with_input_responses) input_responses: InputResponses = "inputResponses",
        /// What the server gave to be sent back, byte for byte (2026-07-28 and later).
        optional(with_request_state) request_state: String = "requestState",
    }
}

wire_struct! {
    /// The result of `resources/read`.
    #[derive(Default)]
    pub struct ReadResourceResult except "resultType" {
        /// What the resource contains: of a directory, say, a part for each entry. A missing resource is an error, not an empty
        /// array.
        defaulted(with_contents) contents: Vec<ResourceContents> = "contents",
        /// For how many milliseconds the result is fresh (2026-07-28 and later); read it with `ttl`.
        optional(with_ttl_ms) ttl_ms: i64 as Integer = "ttlMs",
        /// Who may keep the result (2026-07-28 and later).
        optional(with_cache_scope) cache_scope: CacheScope = "cacheScope",
    }
}

wire_struct! {
    /// The parameters of `resources/subscribe` (until 2025-11-25).
    pub struct SubscribeParams {
        /// The resource of whose changes the client wants to hear.
        required uri: String = "uri",
    }
}

wire_struct! {
    /// The parameters of `resources/unsubscribe` (until 2025-11-25).
    pub struct UnsubscribeParams {
        /// The resource of whose changes the client has heard enough.
        required uri: String = "uri",
    }
}

wire_struct! {
    /// The parameters of `notifications/resources/updated`.
    pub struct ResourceUpdatedParams {
        /// What has changed: the resource that the client asked about, or a part of it.
        required uri: String = "uri",
    }
}

/// What a resource, or a part of it, contains. The member `text` or `blob` tells which it is; if a peer sends both, `text` does
/// and `blob` is kept among the unknown members.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResourceContents {
    /// Text.
    Text(TextResourceContents),
    /// Bytes.
    Blob(BlobResourceContents),
    /// Contents of a form that this revision of the crate does not know; they survive a round trip.
    Other(UnknownResourceContents),
}

impl ResourceContents {
    /// A text.
    #[must_use]
    pub fn text(uri: impl Into<String>, text: impl Into<String>) -> Self {
        TextResourceContents::new(uri, text).into()
    }

    /// Bytes, in base64.
    #[must_use]
    pub fn blob(uri: impl Into<String>, blob: impl Into<String>) -> Self {
        BlobResourceContents::new(uri, blob).into()
    }

    /// Where the contents are.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::Text(contents) => &contents.uri,
            Self::Blob(contents) => &contents.uri,
            Self::Other(contents) => &contents.uri,
        }
    }

    /// Their media type, if it is known.
    #[must_use]
    pub fn mime_type(&self) -> Option<&str> {
        match self {
            Self::Text(contents) => contents.mime_type.as_deref(),
            Self::Blob(contents) => contents.mime_type.as_deref(),
            Self::Other(contents) => contents.mime_type.as_deref(),
        }
    }
}

wire_struct! {
    /// Contents that are text.
    pub struct TextResourceContents {
        /// Where the contents are.
        required uri: String = "uri",
        /// The text.
        required text: String = "text",
        /// The media type, if it is known.
        optional(with_mime_type) mime_type: String = "mimeType",
        /// Metadata of these contents.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// Contents that are bytes.
    pub struct BlobResourceContents {
        /// Where the contents are.
        required uri: String = "uri",
        /// The bytes, in base64.
        required blob: String = "blob",
        /// The media type, if it is known.
        optional(with_mime_type) mime_type: String = "mimeType",
        /// Metadata of these contents.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// Contents that are neither text nor bytes.
    pub struct UnknownResourceContents {
        /// Where the contents are.
        required uri: String = "uri",
        /// The media type, if it is known.
        optional(with_mime_type) mime_type: String = "mimeType",
        /// Metadata of these contents.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

impl From<TextResourceContents> for ResourceContents {
    fn from(contents: TextResourceContents) -> Self {
        Self::Text(contents)
    }
}

impl From<BlobResourceContents> for ResourceContents {
    fn from(contents: BlobResourceContents) -> Self {
        Self::Blob(contents)
    }
}

impl From<UnknownResourceContents> for ResourceContents {
    fn from(contents: UnknownResourceContents) -> Self {
        Self::Other(contents)
    }
}

impl<'de> Deserialize<'de> for ResourceContents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let AnyContents { uri, mime_type, text, blob, meta, mut extra } = AnyContents::deserialize(deserializer)?;
        Ok(match (text, blob) {
            (Some(text), blob) => {
                extra.extend(blob.map(|blob| ("blob".into(), Value::String(blob))));
                Self::Text(TextResourceContents { uri, text, mime_type, meta, extra })
            }
            (None, Some(blob)) => Self::Blob(BlobResourceContents { uri, blob, mime_type, meta, extra }),
            (None, None) => Self::Other(UnknownResourceContents { uri, mime_type, meta, extra }),
        })
    }
}

impl Serialize for ResourceContents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(contents) => contents.serialize(serializer),
            Self::Blob(contents) => contents.serialize(serializer),
            Self::Other(contents) => contents.serialize(serializer),
        }
    }
}

/// Contents of which it is not yet known what they are.
struct AnyContents {
    uri: String,
    mime_type: Option<String>,
    text: Option<String>,
    blob: Option<String>,
    meta: Option<Map<String, Value>>,
    extra: Map<String, Value>,
}

wire_codec! {
    AnyContents []
    required uri: String = "uri",
    optional mime_type: String = "mimeType",
    optional text: String = "text",
    optional blob: String = "blob",
    optional meta: Map<String, Value> = "_meta",
}
