//! What tools may return: enums, images and sounds, links.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use common::{call, request, serve};
use mcp::model::ContentBlock;
use mcp::{Audio, Image, Json, Server, Tool};
use serde_json::json;

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Circle {
    radius: f64,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Square {
    side: f64,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
#[serde(untagged)]
enum Shape {
    Circle(Circle),
    Square(Square),
    Point { x: f64 },
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Pick {
    which: u8,
}

/// server/tools, structured content: one of several structs, under one schema of type object.
#[tokio::test]
async fn an_enum_of_structs_is_structured_content() {
    let shape = Tool::new("shape", "", async |pick: Pick| {
        Json(match pick.which {
            0 => Shape::Circle(Circle { radius: 1.5 }),
            1 => Shape::Square(Square { side: 2.5 }),
            _ => Shape::Point { x: 3.5 },
        })
    });
    let mut raw = serve(&Server::new("s", "1").tool(shape));
    raw.initialize("2025-11-25").await;
    let listed = raw.ask(request(1, "tools/list", json!({}))).await;
    let schema = &listed["result"]["tools"][0]["outputSchema"];
    assert_eq!((&schema["type"], schema["anyOf"].as_array().unwrap().len()), (&json!("object"), 3), "{schema}");
    for (which, content) in [(0, json!({ "radius": 1.5 })), (1, json!({ "side": 2.5 })), (2, json!({ "x": 3.5 }))] {
        let answer = raw.ask(call(1, "shape", json!({ "which": which }))).await;
        assert_eq!(answer["result"]["structuredContent"], content, "{answer}");
    }
}

/// server/tools, tool result: images, audio and resource links.
#[tokio::test]
async fn bytes_and_links_are_content() {
    let image = Tool::new("image", "", async || Image::new(vec![1, 2, 3], "image/png"));
    let more = Tool::new("more", "", async || {
        vec![Audio::new(vec![255], "audio/wav").into(), ContentBlock::resource_link("a://1", "one")]
    });
    let mut raw = serve(&Server::new("s", "1").tool(image).tool(more));
    raw.initialize("2025-11-25").await;
    let answer = raw.ask(call(1, "image", json!({}))).await;
    let image = json!([{ "type": "image", "data": "AQID", "mimeType": "image/png" }]);
    assert_eq!(answer["result"]["content"], image, "{answer}");
    let answer = raw.ask(call(2, "more", json!({}))).await;
    let audio = json!({ "type": "audio", "data": "/w==", "mimeType": "audio/wav" });
    let link = json!({ "type": "resource_link", "uri": "a://1", "name": "one" });
    assert_eq!(answer["result"]["content"], json!([audio, link]), "{answer}");
}
