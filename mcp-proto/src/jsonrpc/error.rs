//! The error that travels in a response, and the codes of all revisions.

use alloc::string::String;
use core::fmt;

use serde_json::Value;

use crate::model::wire::wire_struct;

/// What a JSON-RPC error is about. Any integer is a legal code; the known ones have names here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i64);

impl ErrorCode {
    /// The text is not JSON.
    pub const PARSE_ERROR: Self = Self(-32700);
    /// JSON, but not a message that may stand here.
    pub const INVALID_REQUEST: Self = Self(-32600);
    /// No such method, or its capability was not offered.
    pub const METHOD_NOT_FOUND: Self = Self(-32601);
    /// The parameters do not fit the method; also an unknown tool, prompt, cursor or log level.
    pub const INVALID_PARAMS: Self = Self(-32602);
    /// The receiver failed.
    pub const INTERNAL_ERROR: Self = Self(-32603);
    /// No such resource; until 2025-11-25 (from 2026-07-28 it is [`INVALID_PARAMS`](Self::INVALID_PARAMS)).
    pub const RESOURCE_NOT_FOUND: Self = Self(-32002);
    /// The HTTP headers say something else than the body; from 2026-07-28 on.
    pub const HEADER_MISMATCH: Self = Self(-32020);
    /// The client has not declared what serving the request needs; from 2026-07-28 on. The data is a
    /// [`MissingCapabilityData`](crate::model::MissingCapabilityData).
    pub const MISSING_CLIENT_CAPABILITY: Self = Self(-32021);
    /// The server does not speak the revision of the request; from 2026-07-28 on. The data is an
    /// [`UnsupportedVersionData`](crate::model::UnsupportedVersionData).
    pub const UNSUPPORTED_PROTOCOL_VERSION: Self = Self(-32022);
    /// The user must open a URL first; only in 2025-11-25. The data is a
    /// [`UrlElicitationData`](crate::model::UrlElicitationData).
    pub const URL_ELICITATION_REQUIRED: Self = Self(-32042);
    /// The user has refused the sampling; from a client, until 2025-11-25.
    pub const USER_REJECTED: Self = Self(-1);

    /// Whether only a peer of the modern era answers with it.
    pub(crate) const fn is_modern(self) -> bool {
        matches!(self.0, -32022..=-32020)
    }

    /// The specification's name of the code, where it has one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::PARSE_ERROR => "parse error",
            Self::INVALID_REQUEST => "invalid request",
            Self::METHOD_NOT_FOUND => "method not found",
            Self::INVALID_PARAMS => "invalid params",
            Self::INTERNAL_ERROR => "internal error",
            Self::RESOURCE_NOT_FOUND => "resource not found",
            Self::HEADER_MISMATCH => "header mismatch",
            Self::MISSING_CLIENT_CAPABILITY => "missing required client capability",
            Self::UNSUPPORTED_PROTOCOL_VERSION => "unsupported protocol version",
            Self::URL_ELICITATION_REQUIRED => "URL elicitation required",
            Self::USER_REJECTED => "rejected by the user",
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<i64> for ErrorCode {
    fn from(code: i64) -> Self {
        Self(code)
    }
}

impl serde::Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

wire_struct! {
    /// The `error` member of a response: what went wrong, as the answering side tells it.
    ///
    /// Specification: basic, Responses.
    ///
    /// ```
    /// use mcp_proto::model::ResourceNotFoundData;
    /// use mcp_proto::{ErrorCode, ErrorObject};
    ///
    /// let plain = ErrorObject::invalid_params("params.name: there is no such tool");
    /// let data = serde_json::json!({ "uri": "file:///gone.txt" });
    /// let more = ErrorObject::new(ErrorCode::RESOURCE_NOT_FOUND, "Resource not found").with_data(data);
    /// assert_eq!(more.typed_data::<ResourceNotFoundData>().unwrap().uri, "file:///gone.txt");
    /// assert_eq!(plain.to_string(), "params.name: there is no such tool (code -32602)");
    /// ```
    pub struct ErrorObject {
        /// What kind of error it is.
        required code: ErrorCode = "code",
        /// One short sentence for a person.
        required message: String = "message",
        /// Whatever else the sender wants to tell; its shape belongs to the code.
        nullable(with_data) data: Value = "data",
    }
}

impl ErrorObject {
    /// −32601 for `method`.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(ErrorCode::METHOD_NOT_FOUND, alloc::format!("method not found: {method}"))
    }

    /// −32602 with what is wrong with the parameters.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_PARAMS, message)
    }

    /// −32603 with what may be told about the failure.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INTERNAL_ERROR, message)
    }
}

impl fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl core::error::Error for ErrorObject {}
