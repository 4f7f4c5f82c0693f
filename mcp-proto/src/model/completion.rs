//! Completing arguments while the user types; mirrors the specification's Completion page.

use alloc::string::String;
use alloc::vec::Vec;

use super::prompts::StringArguments;
use super::wire::{Integer, wire_struct, wire_union};

wire_union! {
    /// What an argument belongs to.
    pub enum CompletionRef by "type" {
        /// A prompt.
        Prompt(PromptReference) = "ref/prompt",
        /// A resource or a template of resources.
        Resource(ResourceTemplateReference) = "ref/resource",
    }
}

impl CompletionRef {
    /// The prompt of this name.
    #[must_use]
    pub fn prompt(name: impl Into<String>) -> Self {
        PromptReference::new(name).into()
    }

    /// The resource of this URI, or the template that is written so.
    #[must_use]
    pub fn resource(uri: impl Into<String>) -> Self {
        ResourceTemplateReference::new(uri).into()
    }
}

wire_struct! {
    /// A prompt, by its name.
    pub struct PromptReference tagged "type" = "ref/prompt" {
        /// The name for programs.
        required name: String = "name",
        /// The name for people (2025-06-18 and later).
        optional(with_title) title: String = "title",
    }
}

wire_struct! {
    /// A resource or a template of resources, by its URI.
    pub struct ResourceTemplateReference tagged "type" = "ref/resource" {
        /// The URI, or the template of RFC 6570.
        required uri: String = "uri",
    }
}

wire_struct! {
    /// The parameters of `completion/complete`.
    pub struct CompleteParams {
        /// What the argument belongs to.
        required reference: CompletionRef = "ref",
        /// The argument, as far as it was typed.
        required argument: CompletionArgument = "argument",
        /// What is known besides (2025-06-18 and later).
        optional(with_context) context: CompletionContext = "context",
    }
}

wire_struct! {
    /// An argument, as far as it was typed.
    pub struct CompletionArgument {
        /// The name of the argument.
        required name: String = "name",
        /// What was typed so far.
        required value: String = "value",
    }
}

wire_struct! {
    /// What is known while an argument is typed.
    #[derive(Default)]
    pub struct CompletionContext {
        /// The arguments that have their values already.
        optional(with_arguments) arguments: StringArguments = "arguments",
    }
}

wire_struct! {
    /// The result of `completion/complete`.
    #[derive(Default)]
    pub struct CompleteResult except "resultType" {
        /// The completions.
        required completion: Completion = "completion",
    }
}

wire_struct! {
    /// What an argument can become.
    #[derive(Default)]
    pub struct Completion {
        /// The values, the most relevant first: at most [`Completion::MOST`] of them. More are read, but must not be sent;
        /// [`Completion::of`] sees to it.
        defaulted(with_values) values: Vec<String> = "values",
        /// How many there are in all; may be more than `values` has.
        optional(with_total) total: i64 as Integer = "total",
        /// Whether there are more, even if it is not known how many.
        optional(with_has_more) has_more: bool = "hasMore",
    }
}

impl Completion {
    /// How many values a result may have.
    pub const MOST: usize = 100;

    /// Of all values, the most relevant first, as many as may be sent, with how many there are.
    #[must_use]
    pub fn of<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        let mut values = values.into_iter();
        let first: Vec<String> = values.by_ref().take(Self::MOST).map(Into::into).collect();
        let total = first.len() + values.count();
        let has_more = total > first.len();
        Self::new().with_values(first).with_total(i64::try_from(total).unwrap_or(i64::MAX)).with_has_more(has_more)
    }
}
