//! What a server can do, and calling it; mirrors the specification's Tools page.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use core::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::caching::CacheScope;
use super::content::ContentBlock;
use super::lifecycle::Icon;
use super::multi_round_trip::InputResponses;
use super::tasks::TaskMetadata;
use super::wire::{Integer, wire_enum, wire_struct};

wire_struct! {
    /// A tool that a server offers.
    pub struct Tool {
        /// The name by which the tool is called.
        required name: String = "name",
        /// The JSON Schema of the arguments.
        required input_schema: Map<String, Value> = "inputSchema",
        /// The name for people; `annotations.title` and then `name` stand in for it.
        optional(with_title) title: String = "title",
        /// What the tool does, for a language model.
        optional(with_description) description: String = "description",
        /// The JSON Schema of `structuredContent` in the result.
        optional(with_output_schema) output_schema: Map<String, Value> = "outputSchema",
        /// Hints about how the tool behaves.
        optional(with_annotations) annotations: ToolAnnotations = "annotations",
        /// How the tool runs (2025-11-25 only).
        optional(with_execution) execution: ToolExecution = "execution",
        /// Images that stand for the tool.
        optional(with_icons) icons: Vec<Icon> = "icons",
        /// Metadata of this tool.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

impl Tool {
    /// The name for people: the title, else that of the annotations, else the name for programs.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let annotated = || self.annotations.as_ref().and_then(|annotations| annotations.title.as_deref());
        self.title.as_deref().or_else(annotated).unwrap_or(&self.name)
    }

    /// Whether a call may be a task (2025-11-25 only): forbidden, unless the tool says otherwise.
    #[must_use]
    pub fn task_support(&self) -> &TaskSupport {
        self.execution.as_ref().and_then(|it| it.task_support.as_ref()).unwrap_or(&TaskSupport::Forbidden)
    }
}

wire_struct! {
    /// How a tool runs (2025-11-25 only).
    #[derive(Default)]
    pub struct ToolExecution {
        /// Whether a call may be a task. Absent means `forbidden`.
        optional(with_task_support) task_support: TaskSupport = "taskSupport",
    }
}

wire_enum! {
    /// Whether a call of a tool may be a task (2025-11-25 only).
    pub enum TaskSupport {
        /// It may not.
        Forbidden = "forbidden",
        /// It may.
        Optional = "optional",
        /// It must.
        Required = "required",
    }
}

wire_struct! {
    /// Hints about how a tool behaves. A client must not trust those of a server that it does not trust.
    #[derive(Default)]
    pub struct ToolAnnotations {
        /// The name for people.
        optional(with_title) title: String = "title",
        /// The tool changes nothing. Absent means false.
        optional(with_read_only_hint) read_only_hint: bool = "readOnlyHint",
        /// The tool may destroy something. Absent means true.
        optional(with_destructive_hint) destructive_hint: bool = "destructiveHint",
        /// The same call once more changes nothing more. Absent means false.
        optional(with_idempotent_hint) idempotent_hint: bool = "idempotentHint",
        /// The tool reaches into a world that is not closed, such as the web. Absent means true.
        optional(with_open_world_hint) open_world_hint: bool = "openWorldHint",
    }
}

/// What the hints say, the worst assumed of those that are missing. They are the server's word: not to be trusted unless the
/// server is.
impl ToolAnnotations {
    /// Whether the tool changes nothing.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only_hint == Some(true)
    }

    /// Whether it may destroy something.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        !self.is_read_only() && self.destructive_hint != Some(false)
    }

    /// Whether the same call once more changes nothing more.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.is_read_only() || self.idempotent_hint == Some(true)
    }

    /// Whether it reaches into a world that is not closed.
    #[must_use]
    pub fn is_open_world(&self) -> bool {
        self.open_world_hint != Some(false)
    }
}

wire_struct! {
    /// The parameters of `tools/list`.
    #[derive(Default)]
    pub struct ListToolsParams {
        /// The page to give; the first if absent.
        optional(with_cursor) cursor: String = "cursor",
    }
}

wire_struct! {
    /// The result of `tools/list`.
    #[derive(Default)]
    pub struct ListToolsResult except "resultType" {
        /// The tools of this page.
        defaulted(with_tools) tools: Vec<Tool> = "tools",
        /// The next page, if there is one.
        optional(with_next_cursor) next_cursor: String = "nextCursor",
        /// For how many milliseconds the result is fresh (2026-07-28 and later); read it with `ttl`.
        optional(with_ttl_ms) ttl_ms: i64 as Integer = "ttlMs",
        /// Who may keep the result (2026-07-28 and later).
        optional(with_cache_scope) cache_scope: CacheScope = "cacheScope",
    }
}

wire_struct! {
    /// The parameters of `tools/call`.
    pub struct CallToolParams {
        /// The tool to call.
        required name: String = "name",
        /// Its arguments.
        optional(with_arguments) arguments: Map<String, Value> = "arguments",
        /// The wish to run the call as a task (2025-11-25 only).
        optional(with_task) task: TaskMetadata = "task",
        /// The answers to what the server asked when this request was last sent (2026-07-28 and later).
        optional(with_input_responses) input_responses: InputResponses = "inputResponses",
        /// What the server gave to be sent back, byte for byte (2026-07-28 and later).
        optional(with_request_state) request_state: String = "requestState",
    }
}

wire_struct! {
    /// The result of `tools/call`.
    #[derive(Default)]
    pub struct CallToolResult except "resultType" {
        /// What the tool says. Peers that leave it out are tolerated; it is always written.
        defaulted(with_content) content: Vec<ContentBlock> = "content",
        /// What the tool says, as JSON that `outputSchema` describes. `Some(Value::Null)` is a result, `None` is none.
        nullable(with_structured_content) structured_content: Value = "structuredContent",
        /// Whether the call has failed. Absent means false.
        optional(with_is_error) is_error: bool = "isError",
    }
}

impl CallToolResult {
    /// A result of one text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new().with_content(vec![ContentBlock::text(text)])
    }

    /// A failure that the language model may read and mend.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::text(text).with_is_error(true)
    }

    /// Whether the call has failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.is_error == Some(true)
    }

    /// All texts of the content, one line each; what is no text is left out.
    #[must_use]
    pub fn joined_text(&self) -> String {
        self.content.iter().filter_map(ContentBlock::as_text).collect::<Vec<_>>().join("\n")
    }

    /// The structured content as a `T`. Servers wrap what is no object as `{"result": value}`; that is undone if `T` asks
    /// for the value itself.
    ///
    /// # Errors
    ///
    /// When the call has failed, has no structured content, or it is no `T`.
    pub fn structured<T: DeserializeOwned>(&self) -> Result<T, StructuredError> {
        if self.is_error() {
            return Err(StructuredError::ToolFailed(self.joined_text()));
        }
        let value = self.structured_content.as_ref().ok_or(StructuredError::Absent)?;
        let direct = T::deserialize(value);
        match (direct, value.get("result")) {
            (Err(_), Some(inner)) if value.as_object().is_some_and(|object| object.len() == 1) => {
                T::deserialize(inner).map_err(StructuredError::Mismatch)
            }
            (direct, _) => direct.map_err(StructuredError::Mismatch),
        }
    }
}

/// Why a tool's result has no structured value of the wanted type.
#[derive(Debug)]
#[non_exhaustive]
pub enum StructuredError {
    /// The tool failed; what it says about that.
    ToolFailed(String),
    /// The result has no structured content.
    Absent,
    /// The structured content is of another shape.
    Mismatch(serde_json::Error),
}

impl fmt::Display for StructuredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToolFailed(text) => write!(f, "the tool failed: {text}"),
            Self::Absent => f.write_str("the result has no structured content"),
            Self::Mismatch(error) => write!(f, "the structured content is of another shape: {error}"),
        }
    }
}

impl core::error::Error for StructuredError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Mismatch(error) => Some(error),
            Self::ToolFailed(_) | Self::Absent => None,
        }
    }
}
