//! What a handler is told about its request and its server.

mod common;

use std::sync::Arc;

use common::soon;
use mcp::model::{CallToolResult, LogParams, LoggingLevel};
use mcp::{Client, Context, ProtocolVersion, Server, Tool};
use serde_json::{Map, Value, json};

/// A tool that tells everything that it sees.
fn looking() -> Server {
    let look = Tool::new("look", "", async |ctx: Context| {
        let meta: Option<Value> = ctx.meta()?;
        Ok::<_, mcp::Error>(CallToolResult::new().with_structured_content(json!({
            "id": ctx.message().id(),
            "method": ctx.message().method(),
            "tool": ctx.message().name(),
            "mine": meta.map(|meta| meta["com.example/mine"].clone()),
            "version": ctx.version().as_str(),
            "peer": ctx.peer().map(|peer| peer.info.name.clone()),
            "given": *ctx.state::<u32>(),
            "started": ctx.state::<String>().as_str(),
        })))
    });
    Server::new("looking", "1").state(7u32).on_start(async || Ok::<_, String>(String::from("up"))).tool(look)
}

/// The request's id, method and `_meta`, who asks and in which revision, and the server's state by its type; in both eras.
#[tokio::test]
async fn a_handler_sees_its_request_and_its_server() {
    for version in ProtocolVersion::ALL {
        let builder = Client::builder("asker", "1").versions([version]);
        let client = soon(mcp_tokio::pair_with(looking(), builder)).await.unwrap();
        let mut ids = Vec::new();
        for meta in [None, Some(Map::from_iter([("com.example/mine".to_owned(), json!([1]))]))] {
            let mut call = client.call_tool("look", ());
            if let Some(meta) = meta.clone() {
                call = call.meta(meta);
            }
            let mut seen: Value = soon(call.into_future()).await.unwrap().structured().unwrap();
            ids.push(seen["id"].take());
            let mine = seen["mine"].take();
            assert_eq!(mine, if meta.is_some() { json!([1]) } else { Value::Null }, "{version}");
            let expected = json!({ "id": null, "method": "tools/call", "tool": "look", "mine": null,
                "version": version.as_str(), "peer": "asker", "given": 7, "started": "up" });
            assert_eq!(seen, expected, "{version}");
        }
        assert!(ids[0].is_i64() && ids[0] != ids[1], "{ids:?}");
    }
}

/// A state that the server does not have is the program's mistake: the call gets an error, and no one else notices.
#[tokio::test]
async fn a_state_that_is_not_there_is_an_internal_error() {
    let tool = Tool::new("lost", "", async |ctx: Context| Arc::strong_count(&ctx.state::<Vec<u8>>()) as u64);
    let client = soon(mcp_tokio::pair(looking().tool(tool))).await.unwrap();
    let error = soon(client.call_tool("lost", ()).into_future()).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32603, "{error}");
    soon(client.call_tool("look", ()).into_future()).await.unwrap();
}

/// A result of another shape than asked for is an error of this side, which names the call; it is none of the peer's.
#[tokio::test]
async fn a_result_of_another_shape_names_its_call() {
    let client = soon(mcp_tokio::pair(looking())).await.unwrap();
    let call = client.request::<Vec<u8>>("tools/call", &json!({ "name": "look" }));
    let error = soon(call.into_future()).await.unwrap_err();
    assert!(matches!(&error, mcp::Error::Result { what, .. } if what == "tools/call"), "{error:?}");
    assert!(error.rpc().is_none() && error.to_string().contains("tools/call"), "{error}");
}

/// server/utilities/logging: a log message may say which part of the server says it.
#[tokio::test]
async fn a_log_message_may_name_its_logger() {
    let tool = Tool::new("says", "", async |ctx: Context| {
        ctx.log_entry(&LogParams::new(LoggingLevel::Error, json!({ "slow": true })).with_logger("database"))?;
        ctx.log(LoggingLevel::Error, "plain")
    });
    for version in ProtocolVersion::ALL {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let builder = Client::builder("c", "1")
            .versions([version])
            .log_level(LoggingLevel::Debug)
            .on_log(move |entry| drop(tell.send((entry.logger, entry.data))));
        let server = Server::new("s", "1").logging().tool(tool.clone());
        let client = soon(mcp_tokio::pair_with(server, builder)).await.unwrap();
        soon(client.call_tool("says", ()).into_future()).await.unwrap();
        assert_eq!(soon(told.recv()).await.unwrap(), (Some("database".to_owned()), json!({ "slow": true })));
        assert_eq!(soon(told.recv()).await.unwrap(), (None, json!("plain")));
    }
}
