//! Images and sounds out of bytes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_proto::ErrorObject;
use mcp_proto::model::{CallToolResult, ContentBlock, GetPromptResult};

use super::handler::HandlerError;
use super::output::ToolOutput;
use super::prompt::PromptOutput;

macro_rules! media {
    ($(#[$doc:meta])* $name:ident $block:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            bytes: Vec<u8>,
            mime_type: String,
        }

        impl $name {
            /// From bytes, as they stand in a file of this media type.
            pub fn new(bytes: impl Into<Vec<u8>>, mime_type: impl Into<String>) -> Self {
                Self { bytes: bytes.into(), mime_type: mime_type.into() }
            }
        }

        impl From<$name> for ContentBlock {
            fn from(media: $name) -> Self {
                Self::$block(BASE64_STANDARD.encode(media.bytes), media.mime_type)
            }
        }

        impl ToolOutput for $name {
            fn into_result(self) -> Result<CallToolResult, ErrorObject> {
                ContentBlock::from(self).into_result()
            }
        }

        impl PromptOutput for $name {
            fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
                ContentBlock::from(self).into_prompt()
            }
        }
    };
}

media! {
    /// An image that a tool or prompt gives; one block among others through `ContentBlock::from`.
    ///
    /// ```
    /// use mcp::{Image, Tool, model::ContentBlock};
    ///
    /// let plot = Tool::new("plot", "Plot something", async || Image::new(vec![0x89, b'P', b'N', b'G'], "image/png"));
    /// let both = Tool::new("both", "Plot and tell", async || {
    ///     vec![ContentBlock::text("here"), Image::new(vec![0x89], "image/png").into()]
    /// });
    /// ```
    Image image
}

media! {
    /// A sound that a tool or prompt gives; see [`Image`].
    Audio audio
}
