//! What a tool may return, and how it becomes a result.

use std::any::Any;
use std::fmt;

use mcp_proto::model::{CallToolResult, ClientCapabilities, ContentBlock, ElicitParams};
use mcp_proto::{ErrorCode, ErrorObject};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Error, schema};

/// What a tool may return.
///
/// Text (`String`, `&'static str`), nothing (`()`), content blocks, an [`Image`](crate::Image) or [`Audio`](crate::Audio), a number or truth value (structured), any
/// serializable value in [`Json`] (structured, with an output schema), a whole [`CallToolResult`], or a `Result` of any of
/// these, whose error becomes a tool error that the model sees (`isError`).
///
/// A type of your own becomes one by what it is made of:
///
/// ```
/// use mcp::model::{CallToolResult, ContentBlock};
/// use mcp::{ErrorObject, Tool, ToolOutput};
///
/// struct Page { title: String, link: String }
///
/// impl ToolOutput for Page {
///     fn into_result(self) -> Result<CallToolResult, ErrorObject> {
///         vec![ContentBlock::text(self.title), ContentBlock::text(self.link)].into_result()
///     }
/// }
///
/// let look_up = Tool::new("look_up", "Look something up", async || {
///     Page { title: "Walden".into(), link: "https://example.com/walden".into() }
/// });
/// # drop(look_up);
/// ```
pub trait ToolOutput: Send + 'static {
    /// The schema of its structured content, if it has any.
    fn schema() -> Option<Schema> {
        None
    }

    /// The result.
    ///
    /// # Errors
    ///
    /// The JSON-RPC error that is to be answered instead of a result.
    fn into_result(self) -> Result<CallToolResult, ErrorObject>;
}

/// A value that becomes structured content, with an output schema made from its type, and the same as text.
///
/// A value that is no JSON object is wrapped as `{"result": value}`. Until 2025-11-25 structured content must be an object; later it
/// may be anything, but a tool keeps one output schema whoever asks, so it is wrapped there as well. An enum whose variants are all
/// objects is one. Who wants to send something else in 2026-07-28 returns a [`CallToolResult`], with [`Tool::output_schema`](crate::Tool::output_schema).
///
/// ```
/// use mcp::{Json, Tool};
///
/// #[derive(serde::Serialize, schemars::JsonSchema)]
/// struct Weather { celsius: f64 }
///
/// let tool = Tool::new("weather", "The weather", async || Json(Weather { celsius: 21.5 }));
/// assert!(tool.definition().output_schema.is_some());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + JsonSchema + Send + 'static> ToolOutput for Json<T> {
    fn schema() -> Option<Schema> {
        Some(schema::of_output::<T>())
    }

    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        let value = serde_json::to_value(&self.0)
            .map_err(|error| ErrorObject::internal(format!("the tool's result cannot be encoded: {error}")))?;
        let object = match value {
            Value::Object(object) if !schema::wraps::<T>() => object,
            value => Map::from_iter([("result".to_owned(), value)]),
        };
        // Clients that do not know structured content read the same as text. A wrapped value reads as itself.
        let text = match object.get("result") {
            Some(value) if schema::wraps::<T>() => value.to_string(),
            _ => Value::Object(object.clone()).to_string(),
        };
        Ok(CallToolResult::text(text).with_structured_content(Value::Object(object)))
    }
}

macro_rules! structured {
    ($($ty:ty),*) => {$(
        impl ToolOutput for $ty {
            fn schema() -> Option<Schema> {
                <Json<$ty> as ToolOutput>::schema()
            }

            fn into_result(self) -> Result<CallToolResult, ErrorObject> {
                Json(self).into_result()
            }
        }
    )*};
}

structured!(bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64);

impl ToolOutput for () {
    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        Ok(CallToolResult::new())
    }
}

impl ToolOutput for String {
    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        Ok(CallToolResult::text(self))
    }
}

impl ToolOutput for &'static str {
    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        Ok(CallToolResult::text(self))
    }
}

impl ToolOutput for ContentBlock {
    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        vec![self].into_result()
    }
}

impl ToolOutput for Vec<ContentBlock> {
    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        Ok(CallToolResult::new().with_content(self))
    }
}

impl ToolOutput for CallToolResult {
    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        Ok(self)
    }
}

/// The error may be anything that can be shown, so `?` works on whatever a handler uses; its text is what the model sees.
/// A [`ToolError`] says more, and an [`ErrorObject`] is answered as it is. A question that the client lacks the capability for
/// ([`Error::ClientLacks`](crate::Error::ClientLacks)) and whose error the handler passes on was indispensable: then the client
/// is told what it lacks (−32021), in the revisions that can say so.
impl<T: ToolOutput, E: fmt::Display + Send + 'static> ToolOutput for Result<T, E> {
    fn schema() -> Option<Schema> {
        T::schema()
    }

    fn into_result(self) -> Result<CallToolResult, ErrorObject> {
        match self {
            Ok(output) => output.into_result(),
            Err(error) => match rpc_error(&error) {
                Some(error) => Err(error),
                // The alternate form shows the chain of causes where an error type has one.
                None => Ok(CallToolResult::error(format!("{error:#}"))),
            },
        }
    }
}

/// The JSON-RPC error that a handler's error stands for, if it does.
pub(super) fn rpc_error(error: &dyn Any) -> Option<ErrorObject> {
    if let Some(ToolError { kind: Kind::Rpc(error) }) = error.downcast_ref() {
        return Some(error.clone());
    }
    match error.downcast_ref() {
        Some(error @ Error::ClientLacks { needs, .. }) => {
            let mut told = ErrorObject::missing_client_capability(ClientCapabilities::of(*needs));
            told.message = error.to_string();
            Some(told)
        }
        _ => error.downcast_ref().cloned(),
    }
}

/// An error of a tool: shown to the model, or answered as a JSON-RPC error.
///
/// Made from any error by `?`:
///
/// ```
/// use mcp::{Tool, ToolError};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Read { path: String }
///
/// let tool = Tool::new("read", "Read a file", async |args: Read| -> Result<String, ToolError> {
///     if args.path.contains("..") {
///         return Err(ToolError::new("only files below the root can be read"));
///     }
///     Ok(std::fs::read_to_string(args.path)?)
/// });
/// ```
#[derive(Clone, Debug)]
pub struct ToolError {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Shown(String),
    Rpc(ErrorObject),
}

impl ToolError {
    /// An error that the model sees as the tool's result, with `isError`, so that it can do something about it.
    pub fn new(text: impl Into<String>) -> Self {
        Self { kind: Kind::Shown(text.into()) }
    }

    /// An error of the protocol, for the client and not for the model. One with data is made of an [`ErrorObject`].
    pub fn rpc(code: impl Into<ErrorCode>, message: impl Into<String>) -> Self {
        Self { kind: Kind::Rpc(ErrorObject::new(code, message)) }
    }

    /// The person must have done something at a URL before the tool can do anything; then the client may call it again.
    ///
    /// In 2025-11-25 this is the error −32042 (specification: client/elicitation). In 2026-07-28 it is a question under the
    /// key `id`, and once the person has agreed the handler is run again; it gives this error again as long as it has to. A
    /// client that sends nobody to URLs, and a person who declines, is told as with [`new`](Self::new); 2026-07-28 tells the
    /// former by −32021.
    ///
    /// `id` and URL are as with [`Context::elicit_url`](crate::Context::elicit_url).
    ///
    /// ```
    /// # async fn is_signed_in() -> bool { false }
    /// use mcp::{Tool, ToolError};
    ///
    /// let mail = Tool::new("mail", "Read the mail", async || {
    ///     if !is_signed_in().await {
    ///         return Err(ToolError::url_required("Sign in to read your mail", "https://mail.example.com", "sign-in"));
    ///     }
    ///     Ok("no mail")
    /// });
    /// # drop(mail);
    /// ```
    pub fn url_required(message: impl Into<String>, url: impl Into<String>, id: impl Into<String>) -> Self {
        let url = ElicitParams::url(message, url, Some(id.into()));
        Self { kind: Kind::Rpc(ErrorObject::url_elicitation_required([url])) }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Shown(text) => f.write_str(text),
            Kind::Rpc(error) => error.fmt(f),
        }
    }
}

// Not an `Error` itself, or this conversion from every error would overlap with the one from itself.
impl<E: std::error::Error + 'static> From<E> for ToolError {
    fn from(error: E) -> Self {
        let kind = rpc_error(&error).map_or_else(|| Kind::Shown(error.to_string()), Kind::Rpc);
        Self { kind }
    }
}
