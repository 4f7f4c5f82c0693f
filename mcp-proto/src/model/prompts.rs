//! Templates of messages that a server offers; mirrors the specification's Prompts page.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::caching::CacheScope;
use super::content::{ContentBlock, Role};
use super::lifecycle::Icon;
use super::multi_round_trip::InputResponses;
use super::wire::{Integer, wire_map, wire_struct};

wire_struct! {
    /// A prompt that a server offers.
    pub struct Prompt {
        /// The name by which the prompt is got.
        required name: String = "name",
        /// The name for people; `name` stands in for it.
        optional(with_title) title: String = "title",
        /// What the prompt is for.
        optional(with_description) description: String = "description",
        /// What the prompt can be filled in with.
        optional(with_arguments) arguments: Vec<PromptArgument> = "arguments",
        /// Images that stand for the prompt.
        optional(with_icons) icons: Vec<Icon> = "icons",
        /// Metadata of this prompt.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_struct! {
    /// Something that a prompt can be filled in with.
    pub struct PromptArgument {
        /// The name for programs.
        required name: String = "name",
        /// The name for people; `name` stands in for it.
        optional(with_title) title: String = "title",
        /// What the argument is.
        optional(with_description) description: String = "description",
        /// Whether it must be given. Absent means false.
        optional(with_required) required: bool = "required",
    }
}

wire_struct! {
    /// One message of a prompt.
    pub struct PromptMessage {
        /// Who speaks.
        required role: Role = "role",
        /// What they say: one block, never an array.
        required content: ContentBlock = "content",
    }
}

impl PromptMessage {
    /// What the user says.
    #[must_use]
    pub fn user(content: impl Into<ContentBlock>) -> Self {
        Self::new(Role::User, content)
    }

    /// What the model says.
    #[must_use]
    pub fn assistant(content: impl Into<ContentBlock>) -> Self {
        Self::new(Role::Assistant, content)
    }
}

wire_struct! {
    /// The parameters of `prompts/list`.
    #[derive(Default)]
    pub struct ListPromptsParams {
        /// The page to give; the first if absent.
        optional(with_cursor) cursor: String = "cursor",
    }
}

wire_struct! {
    /// The result of `prompts/list`.
    #[derive(Default)]
    pub struct ListPromptsResult except "resultType" {
        /// The prompts of this page.
        defaulted(with_prompts) prompts: Vec<Prompt> = "prompts",
        /// The next page, if there is one.
        optional(with_next_cursor) next_cursor: String = "nextCursor",
        /// For how many milliseconds the result is fresh (2026-07-28 and later); read it with `ttl`.
        optional(with_ttl_ms) ttl_ms: i64 as Integer = "ttlMs",
        /// Who may keep the result (2026-07-28 and later).
        optional(with_cache_scope) cache_scope: CacheScope = "cacheScope",
    }
}

wire_map! {
    /// What a prompt or a template is filled in with: strings by the name of the argument.
    pub struct StringArguments of String;
}

wire_struct! {
    /// The parameters of `prompts/get`.
    pub struct GetPromptParams {
        /// The prompt to get.
        required name: String = "name",
        /// What to fill it in with.
        optional(with_arguments) arguments: StringArguments = "arguments",
        /// The answers to what the server asked when this request was last sent (2026-07-28 and later).
        optional(with_input_responses) input_responses: InputResponses = "inputResponses",
        /// What the server gave to be sent back, byte for byte (2026-07-28 and later).
        optional(with_request_state) request_state: String = "requestState",
    }
}

wire_struct! {
    /// The result of `prompts/get`.
    #[derive(Default)]
    pub struct GetPromptResult except "resultType" {
        /// What the prompt is for.
        optional(with_description) description: String = "description",
        /// The messages of the prompt.
        defaulted(with_messages) messages: Vec<PromptMessage> = "messages",
    }
}
