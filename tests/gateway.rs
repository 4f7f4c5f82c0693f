//! The gateway example in front of the quickstart's server: whatever passes between a client and a server passes through it.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::example;
use mcp::model::{ElicitParams, ElicitResult};
use mcp::process::{Command, How};
use mcp::{Client, ProtocolVersion};
use serde_json::{Map, Value, json};

async fn through_the_gateway(options: &[&str], version: ProtocolVersion) -> mcp::Result<()> {
    let quickstart = example("quickstart").into_os_string().into_string().expect("a path in UTF-8");
    let command = Command::new(example("gateway")).args(options).arg(quickstart).arg("--serve");
    let builder = Client::builder("test", "1").versions(ProtocolVersion::ALL).on_elicit(async |_: ElicitParams| {
        ElicitResult::accept(Map::from_iter([("name".to_owned(), Value::from("Ada"))]))
    });
    let client = mcp_tokio::spawn_with(command, builder).await?;
    assert_eq!(client.version(), version);
    assert_eq!(client.server().expect("who it is").info.name, "quickstart-server");
    assert_eq!(client.list_tools().await?.len(), 6);

    let sum: i64 = client.call_tool("add", json!({ "a": 1, "b": 2 })).await?.structured()?;
    assert_eq!(sum, 3);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let counting = client.call_tool("count", json!({ "to": 3 })).on_progress(move |progress| {
        seen.lock().expect("no panic under it").push((progress.progress, progress.message));
    });
    counting.await?;
    let expected = (1..=3).map(|n| (f64::from(n), Some(format!("at {n}")))).collect::<Vec<_>>();
    assert_eq!(*steps.lock().expect("no panic under it"), expected);
    assert_eq!(client.call_tool("greet", ()).await?.joined_text(), "Hello, Ada!");
    let failed = client.call_tool("divide", json!({ "a": 1, "b": 0 })).await?;
    assert!(failed.is_error() && failed.joined_text() == "division by zero");

    let error = client.call_tool("sleep", json!({ "seconds": 60.0 })).idle(Duration::from_millis(100)).await;
    assert!(error.expect_err("it sleeps for a minute").is_timeout());
    let cancelled: u32 = client.call_tool("cancelled_calls", json!({ "at_least": 1 })).await?.structured()?;
    assert_eq!(cancelled, 1, "the server was told");
    let unknown = client.call_tool("nothing", ()).await.expect_err("no such tool");
    assert_eq!(unknown.rpc().map(|error| error.code.0), Some(-32602));
    let exit = client.close().await.expect("the gateway is a child");
    assert_eq!(exit.how, How::ByItself);
    Ok(())
}

#[tokio::test]
async fn a_session_of_the_stateless_era_passes_through() -> mcp::Result<()> {
    through_the_gateway(&[], ProtocolVersion::V2026_07_28).await
}

#[tokio::test]
async fn a_session_with_a_handshake_passes_through() -> mcp::Result<()> {
    through_the_gateway(&["--legacy"], ProtocolVersion::V2025_11_25).await
}
