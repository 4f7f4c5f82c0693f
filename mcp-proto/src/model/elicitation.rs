//! Asking the user; mirrors the specification's Elicitation page.

use alloc::string::String;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::elicitation_form::FormSchema;
use super::tasks::TaskMetadata;
use super::wire::{wire_enum, wire_struct};

wire_struct! {
    /// The parameters of `elicitation/create`: a form (2025-06-18 and later) or a URL (2025-11-25 and later).
    pub struct ElicitParams {
        /// What the user is asked.
        required message: String = "message",
        /// Which of the two it is. Absent means a form.
        optional(with_mode) mode: ElicitMode = "mode",
        /// The JSON Schema of the form: a flat object of primitive values. [`ElicitParams::form_schema`] reads it.
        optional(with_requested_schema) requested_schema: Map<String, Value> = "requestedSchema",
        /// The URL to open.
        optional(with_url) url: String = "url",
        /// By what `notifications/elicitation/complete` refers to the URL (2025-11-25 only).
        optional(with_elicitation_id) elicitation_id: String = "elicitationId",
        /// The wish to answer by a task (2025-11-25 only).
        optional(with_task) task: TaskMetadata = "task",
    }
}

impl ElicitParams {
    /// Asks the user to fill in a form. The mode is left out, as 2025-06-18 does not know it.
    #[must_use]
    pub fn form(message: impl Into<String>, requested_schema: impl Into<Map<String, Value>>) -> Self {
        Self::new(message).with_requested_schema(requested_schema)
    }

    /// Asks the user to open a URL. 2025-11-25 requires the id, 2026-07-28 has none.
    #[must_use]
    pub fn url(message: impl Into<String>, url: impl Into<String>, elicitation_id: Option<String>) -> Self {
        Self { elicitation_id, ..Self::new(message).with_mode(ElicitMode::Url).with_url(url) }
    }

    /// The form, typed; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the schema is no form: no object, or with a property whose kind is known but whose members do not fit it.
    pub fn form_schema(&self) -> Option<Result<FormSchema, serde_json::Error>> {
        self.requested_schema.as_ref().map(FormSchema::deserialize)
    }

    /// The values that the form begins with: those of its fields that have a default.
    ///
    /// A client fills them in before the user looks at the form.
    #[must_use]
    pub fn defaults(&self) -> Map<String, Value> {
        let fields =
            self.requested_schema.as_ref().and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        let default = |(name, field): (&String, &Value)| Some((name.clone(), field.get("default")?.clone()));
        fields.into_iter().flatten().filter_map(default).collect()
    }

    /// Which mode it is: a form, if the member is absent.
    #[must_use]
    pub fn mode(&self) -> &ElicitMode {
        self.mode.as_ref().unwrap_or(&ElicitMode::Form)
    }
}

wire_enum! {
    /// How the user is asked.
    pub enum ElicitMode {
        /// By a form in the client.
        Form = "form",
        /// By a page that the user opens; what they do there is not seen by the client.
        Url = "url",
    }
}

wire_struct! {
    /// The result of `elicitation/create`.
    pub struct ElicitResult {
        /// What the user did.
        required action: ElicitAction = "action",
        /// The form as filled in: only if it was accepted, and never for a URL.
        optional(with_content) content: Map<String, Value> = "content",
    }
}

impl ElicitResult {
    /// The user has sent the form.
    #[must_use]
    pub fn accept(content: impl Into<Map<String, Value>>) -> Self {
        Self::new(ElicitAction::Accept).with_content(content)
    }

    /// The user has said no.
    #[must_use]
    pub fn decline() -> Self {
        Self::new(ElicitAction::Decline)
    }

    /// The user has not chosen.
    #[must_use]
    pub fn cancel() -> Self {
        Self::new(ElicitAction::Cancel)
    }
}

wire_struct! {
    /// The parameters of `notifications/elicitation/complete` (2025-11-25 only): what the user did at a URL is done.
    pub struct ElicitationCompleteParams {
        /// The `elicitationId` of the question.
        required elicitation_id: String = "elicitationId",
    }
}

wire_enum! {
    /// What the user did when asked.
    pub enum ElicitAction {
        /// Sent the form, or agreed to open the URL.
        Accept = "accept",
        /// Said no.
        Decline = "decline",
        /// Went away without a choice.
        Cancel = "cancel",
    }
}
