//! What can be read: a text, a picture, a template, and something that changes by itself.

use std::time::Duration;

use mcp::model::ResourceContents;
use mcp::{Change, Partial, Resource, ResourceTemplate, Server};
use serde::Deserialize;
use serde_json::json;

use crate::content::PIXEL;
use crate::pause::Pause;

/// The resource that changes by itself.
pub(crate) const WATCHED: &str = "test://watched-resource";
const BINARY: &str = "test://static-binary";

#[derive(Deserialize)]
struct Item {
    id: String,
}

pub(crate) fn offer(server: Server) -> Server {
    let text = Resource::text("test://static-text", "static-text", "This is the content of the static text resource.");
    let binary = Resource::new(BINARY, "static-binary", async || {
        let ResourceContents::Blob(contents) = ResourceContents::blob(BINARY, PIXEL) else { return Vec::new() };
        vec![ResourceContents::from(contents.with_mime_type("image/png"))]
    });
    let stateless = Resource::text(
        "test://stateless-static-text",
        "Stateless Static Text",
        "Static text content from the stateless draft path.",
    );
    let watched = Resource::text(WATCHED, "watched-resource", "Watched resource content");
    let template = ResourceTemplate::new("test://template/{id}/data", "template", async |item: Item| {
        let data = format!("Data for ID: {}", item.id);
        json!({ "id": item.id, "templateTest": true, "data": data }).to_string()
    });
    server
        .resource(
            text.title("Static Text Resource")
                .description("A static text resource for testing")
                .mime_type("text/plain"),
        )
        .resource(
            binary
                .title("Static Binary Resource")
                .description("A static binary resource (image) for testing")
                .mime_type("image/png"),
        )
        .resource(
            watched
                .title("Watched Resource")
                .description("A resource that auto-updates every 3 seconds")
                .mime_type("text/plain"),
        )
        .resource(stateless.description("A static text resource served on the draft path").mime_type("text/plain"))
        .resource_template(
            template
                .title("Resource Template")
                .description("A resource template with parameter substitution")
                .mime_type("application/json")
                .complete("id", async |partial: Partial| {
                    let known = (1..=150).map(|id| id.to_string());
                    known.filter(|id| id.starts_with(&partial.value)).collect::<Vec<_>>()
                }),
        )
}

/// Tells every three seconds that the watched resource has changed; whoever is not subscribed to it hears nothing.
pub(crate) async fn update_watched(server: Server, pause: Pause) {
    loop {
        pause.wait(Duration::from_secs(3)).await;
        server.changed(Change::Resource(WATCHED.to_owned()));
    }
}
