//! Asking the client in the middle of a request of the modern era; mirrors the specification's page on multi round-trip
//! requests (2026-07-28 and later).
//!
//! The server answers with an [`InputRequiredResult`]; the client sends the same request again, with the answers.

use alloc::string::String;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::elicitation::{ElicitMode, ElicitParams};
use super::revisions::Capability;
use super::sampling::CreateMessageParams;
use super::wire::{wire_map, wire_struct, wire_union};

wire_union! {
    /// What a server asks of the client before it can go on: a request without `jsonrpc` and `id`.
    pub enum InputRequest by "method" {
        /// To ask the user.
        Elicit(ElicitRequest) = "elicitation/create",
        /// To ask the language model.
        CreateMessage(CreateMessageRequest) = "sampling/createMessage",
        /// For the roots.
        ListRoots(ListRootsRequest) = "roots/list",
    }
}

impl InputRequest {
    /// For the roots.
    #[must_use]
    pub fn list_roots() -> Self {
        ListRootsRequest::new().into()
    }

    /// What the client must have declared on the request; `None` if nobody knows the method.
    #[must_use]
    pub fn needs(&self) -> Option<Capability> {
        Some(match self {
            Self::Elicit(request) => match request.params.mode() {
                ElicitMode::Form => Capability::ElicitationForm,
                ElicitMode::Url => Capability::ElicitationUrl,
                ElicitMode::Other(_) => Capability::Elicitation,
            },
            Self::CreateMessage(request) if request.params.tools.is_some() || request.params.tool_choice.is_some() => {
                Capability::SamplingTools
            }
            Self::CreateMessage(_) => Capability::Sampling,
            Self::ListRoots(_) => Capability::Roots,
            Self::Other { .. } => return None,
        })
    }
}

impl From<ElicitParams> for InputRequest {
    fn from(params: ElicitParams) -> Self {
        ElicitRequest::new(params).into()
    }
}

impl From<CreateMessageParams> for InputRequest {
    fn from(params: CreateMessageParams) -> Self {
        CreateMessageRequest::new(params).into()
    }
}

wire_struct! {
    /// The wish that the client ask the user. The answer is an [`ElicitResult`](super::ElicitResult).
    pub struct ElicitRequest tagged "method" = "elicitation/create" {
        /// What to ask.
        required params: ElicitParams = "params",
    }
}

wire_struct! {
    /// The wish that the client ask the language model. The answer is a
    /// [`CreateMessageResult`](super::CreateMessageResult).
    pub struct CreateMessageRequest tagged "method" = "sampling/createMessage" {
        /// What to ask.
        required params: CreateMessageParams = "params",
    }
}

wire_struct! {
    /// The wish for the roots. The answer is a [`ListRootsResult`](super::ListRootsResult).
    #[derive(Default)]
    pub struct ListRootsRequest tagged "method" = "roots/list" {
        /// Nothing that the specification names.
        optional(with_params) params: Map<String, Value> = "params",
    }
}

wire_map! {
    /// What a server asks, by keys of its own choice.
    pub struct InputRequests of InputRequest;
}

wire_map! {
    /// What a client answers, by the keys of the questions: each value is the bare result. There is no place for errors:
    /// a client that cannot answer does not send the request again.
    pub struct InputResponses of Value;
}

impl InputResponses {
    /// Adds the answer to the question of this key.
    ///
    /// # Errors
    ///
    /// When the result does not encode.
    pub fn answer(&mut self, key: impl Into<String>, result: &impl Serialize) -> Result<(), serde_json::Error> {
        self.0.insert(key.into(), serde_json::to_value(result)?);
        Ok(())
    }

    /// The answer to the question of this key; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the answer is no `T`.
    pub fn decode<T: DeserializeOwned>(&self, key: &str) -> Option<Result<T, serde_json::Error>> {
        self.0.get(key).map(T::deserialize)
    }
}

wire_struct! {
    /// The result of `tools/call`, `prompts/get` or `resources/read` if the server needs more before it can go on.
    #[derive(Default)]
    pub struct InputRequiredResult except "resultType" {
        /// What the client must answer when it sends the request again. If absent, it may do so at once.
        optional(with_input_requests) input_requests: InputRequests = "inputRequests",
        /// What the client must send back, byte for byte. It comes from the client's hands then: whoever trusts it must seal
        /// it first.
        optional(with_request_state) request_state: String = "requestState",
    }
}

impl InputRequiredResult {
    /// Whether it has at least one of its two members, as it must.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.input_requests.is_some() || self.request_state.is_some()
    }
}
