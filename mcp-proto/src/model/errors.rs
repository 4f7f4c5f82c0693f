//! What stands in the `data` of errors whose shape the specification gives.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::jsonrpc::{ErrorCode, ErrorObject};

use super::elicitation::ElicitParams;
use super::lifecycle::ClientCapabilities;
use super::wire::wire_struct;

wire_struct! {
    /// The data of [`ErrorCode::URL_ELICITATION_REQUIRED`] (2025-11-25 only).
    #[derive(Default)]
    pub struct UrlElicitationData {
        /// What the user must open before the request may be sent again; all by URL, with ids.
        defaulted(with_elicitations) elicitations: Vec<ElicitParams> = "elicitations",
    }
}

wire_struct! {
    /// The data of [`ErrorCode::MISSING_CLIENT_CAPABILITY`] (2026-07-28 and later).
    pub struct MissingCapabilityData {
        /// What the client should have declared.
        required required_capabilities: ClientCapabilities = "requiredCapabilities",
    }
}

wire_struct! {
    /// The data of [`ErrorCode::UNSUPPORTED_PROTOCOL_VERSION`] (2026-07-28 and later), and of the error that answers
    /// `initialize` if no revision suits.
    pub struct UnsupportedVersionData {
        /// The revisions that the server speaks, as it wrote them.
        required supported: Vec<String> = "supported",
        /// The revision that was asked for.
        required requested: String = "requested",
    }
}

wire_struct! {
    /// The data of the error about a resource that is not there.
    pub struct ResourceNotFoundData {
        /// The resource.
        required uri: String = "uri",
    }
}

impl ErrorObject {
    /// The user must open these URLs first; only 2025-11-25 has this error.
    #[must_use]
    pub fn url_elicitation_required(elicitations: impl Into<Vec<ElicitParams>>) -> Self {
        let data = UrlElicitationData::new().with_elicitations(elicitations);
        Self::new(ErrorCode::URL_ELICITATION_REQUIRED, "the user must open a URL first").with_typed_data(&data)
    }

    /// The client should have declared these; only 2026-07-28 and later have this error.
    #[must_use]
    pub fn missing_client_capability(required: impl Into<ClientCapabilities>) -> Self {
        let data = MissingCapabilityData::new(required);
        Self::new(ErrorCode::MISSING_CLIENT_CAPABILITY, "the client has not declared a capability that this needs")
            .with_typed_data(&data)
    }

    /// The server speaks these revisions, not the one asked for; only 2026-07-28 and later have this error.
    #[must_use]
    pub fn unsupported_protocol_version(supported: impl Into<Vec<String>>, requested: impl Into<String>) -> Self {
        let data = UnsupportedVersionData::new(supported, requested);
        Self::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, "unsupported protocol version").with_typed_data(&data)
    }

    /// The data as a `T`; `None` if there is none, or it is no `T`.
    #[must_use]
    pub fn typed_data<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(self.data.as_ref()?).ok()
    }

    fn with_typed_data(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::to_value(data).ok();
        self
    }
}
