//! Asking the client's language model; mirrors the specification's Sampling page.

use core::{fmt, ops};

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::content::{ContentBlock, Role};
use super::tasks::TaskMetadata;
use super::tools::Tool;
use super::wire::{Integer, wire_enum, wire_struct};

wire_struct! {
    /// The parameters of `sampling/createMessage`.
    pub struct CreateMessageParams {
        /// The conversation so far.
        required messages: Vec<SamplingMessage> = "messages",
        /// At most so many tokens.
        required max_tokens: i64 as Integer = "maxTokens",
        /// Which model is wanted.
        optional(with_model_preferences) model_preferences: ModelPreferences = "modelPreferences",
        /// The system prompt that is wanted; the client may change it.
        optional(with_system_prompt) system_prompt: String = "systemPrompt",
        /// What context to include. All but `none` need `sampling.context` from 2025-11-25 on.
        optional(with_include_context) include_context: IncludeContext = "includeContext",
        /// How freely the model may choose.
        optional(with_temperature) temperature: f64 = "temperature",
        /// Texts at which the model stops.
        optional(with_stop_sequences) stop_sequences: Vec<String> = "stopSequences",
        /// Anything for the provider of the model.
        optional(with_metadata) metadata: Map<String, Value> = "metadata",
        /// The tools that the model may use; needs `sampling.tools` (2025-11-25 and later).
        optional(with_tools) tools: Vec<Tool> = "tools",
        /// Whether the model uses them; needs `sampling.tools` (2025-11-25 and later).
        optional(with_tool_choice) tool_choice: ToolChoice = "toolChoice",
        /// The wish to answer by a task (2025-11-25 only).
        optional(with_task) task: TaskMetadata = "task",
    }
}

wire_struct! {
    /// The result of `sampling/createMessage`.
    pub struct CreateMessageResult {
        /// Who speaks: the model.
        required role: Role = "role",
        /// What it says.
        required content: SamplingContent = "content",
        /// Which model it is.
        required model: String = "model",
        /// Why it stopped, if that is known.
        optional(with_stop_reason) stop_reason: StopReason = "stopReason",
    }
}

wire_struct! {
    /// One message of a conversation.
    pub struct SamplingMessage {
        /// Who speaks.
        required role: Role = "role",
        /// What they say.
        required content: SamplingContent = "content",
        /// Metadata of this message.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

impl SamplingMessage {
    /// What the user says.
    #[must_use]
    pub fn user(content: impl Into<SamplingContent>) -> Self {
        Self::new(Role::User, content)
    }

    /// What the model says.
    #[must_use]
    pub fn assistant(content: impl Into<SamplingContent>) -> Self {
        Self::new(Role::Assistant, content)
    }
}

/// The content of a message in sampling: one block, or an array of blocks from 2025-11-25 on.
///
/// One block is always written as itself, which every revision reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingContent(pub Vec<ContentBlock>);

impl ops::Deref for SamplingContent {
    type Target = Vec<ContentBlock>;

    fn deref(&self) -> &Vec<ContentBlock> {
        &self.0
    }
}

impl ops::DerefMut for SamplingContent {
    fn deref_mut(&mut self) -> &mut Vec<ContentBlock> {
        &mut self.0
    }
}

impl IntoIterator for SamplingContent {
    type Item = ContentBlock;
    type IntoIter = vec::IntoIter<ContentBlock>;

    fn into_iter(self) -> vec::IntoIter<ContentBlock> {
        self.0.into_iter()
    }
}

impl From<Vec<ContentBlock>> for SamplingContent {
    fn from(blocks: Vec<ContentBlock>) -> Self {
        Self(blocks)
    }
}

impl<T: Into<ContentBlock>> From<T> for SamplingContent {
    fn from(block: T) -> Self {
        Self(vec![block.into()])
    }
}

impl<'de> Deserialize<'de> for SamplingContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;

        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = SamplingContent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("object ContentBlock or an array of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SamplingContent, A::Error> {
                ContentBlock::deserialize(MapAccessDeserializer::new(map)).map(SamplingContent::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<SamplingContent, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(SamplingContent)
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}

impl Serialize for SamplingContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [block] => block.serialize(serializer),
            blocks => blocks.serialize(serializer),
        }
    }
}

wire_struct! {
    /// Which model a server wants, in its own order of importance.
    #[derive(Default)]
    pub struct ModelPreferences {
        /// Names of models, the most wanted first.
        optional(with_hints) hints: Vec<ModelHint> = "hints",
        /// How much a low price matters, from 0 to 1.
        optional(with_cost_priority) cost_priority: f64 = "costPriority",
        /// How much speed matters, from 0 to 1.
        optional(with_speed_priority) speed_priority: f64 = "speedPriority",
        /// How much ability matters, from 0 to 1.
        optional(with_intelligence_priority) intelligence_priority: f64 = "intelligencePriority",
    }
}

wire_struct! {
    /// A hint at a model.
    #[derive(Default)]
    pub struct ModelHint {
        /// A part of the name of a model, or of a family of models.
        optional(with_name) name: String = "name",
    }
}

wire_struct! {
    /// Whether the model uses tools.
    #[derive(Default)]
    pub struct ToolChoice {
        /// Absent means `auto`.
        optional(with_mode) mode: ToolChoiceMode = "mode",
    }
}

wire_enum! {
    /// Whether the model uses tools.
    pub enum ToolChoiceMode {
        /// As the model likes.
        Auto = "auto",
        /// At least one.
        Required = "required",
        /// None.
        None = "none",
    }
}

wire_enum! {
    /// What context a client includes.
    pub enum IncludeContext {
        /// None.
        None = "none",
        /// That of the server that asks.
        ThisServer = "thisServer",
        /// That of all servers of the client.
        AllServers = "allServers",
    }
}

wire_enum! {
    /// Why a model stopped.
    pub enum StopReason {
        /// It had said all.
        EndTurn = "endTurn",
        /// It came to a stop sequence.
        StopSequence = "stopSequence",
        /// It came to the limit of tokens.
        MaxTokens = "maxTokens",
        /// It wants to use a tool (2025-11-25 and later).
        ToolUse = "toolUse",
    }
}
