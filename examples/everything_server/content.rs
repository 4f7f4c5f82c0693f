//! Tools that give each kind of content.

use mcp::model::{ContentBlock, ResourceContents, TextResourceContents};
use mcp::{Server, Tool};
use serde_json::json;

/// A red pixel as PNG, in base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A WAV file without a sound in it, in base64.
const SILENCE: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

pub(crate) fn offer(server: Server) -> Server {
    server
        .tool(Tool::new(
            "test_simple_text",
            "Tests simple text content response",
            async || "This is a simple text response for testing.",
        ))
        .tool(Tool::new("test_image_content", "Tests image content response", async || {
            ContentBlock::image(PIXEL, "image/png")
        }))
        .tool(Tool::new("test_audio_content", "Tests audio content response", async || {
            ContentBlock::audio(SILENCE, "audio/wav")
        }))
        .tool(Tool::new("test_embedded_resource", "Tests embedded resource content response", async || {
            embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
        }))
        .tool(Tool::new(
            "test_multiple_content_types",
            "Tests response with multiple content types (text, image, resource)",
            async || {
                let data = json!({ "test": "data", "value": 123 }).to_string();
                vec![
                    ContentBlock::text("Multiple content types test:"),
                    ContentBlock::image(PIXEL, "image/png"),
                    embedded("test://mixed-content-resource", "application/json", data),
                ]
            },
        ))
}

/// A resource whose text comes with it.
pub(crate) fn embedded(uri: impl Into<String>, mime_type: &str, text: impl Into<String>) -> ContentBlock {
    ContentBlock::resource(ResourceContents::from(TextResourceContents::new(uri, text).with_mime_type(mime_type)))
}
