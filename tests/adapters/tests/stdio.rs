//! Servers as child processes, on every runtime, on both sides.

mod common;

use std::time::{Duration, Instant};

use common::each::{Adapter, on_each_runtime, soon};
use mcp::process::{Command, How};
use mcp::{Client, ClientBuilder};
use serde_json::json;

const PEER: &str = env!("CARGO_BIN_EXE_peer");

fn builder() -> ClientBuilder {
    Client::builder("stdio", "1")
}

/// A server on the runtime of its client.
async fn start(on: &dyn Adapter) -> Client {
    let command = Command::new(PEER).args(["serve-on", on.name()]);
    soon(on, on.spawn(command, builder())).await.expect("a server")
}

/// Messages of any size pass, far beyond what a pipe holds, in both directions at once.
#[test]
fn large_messages_pass_both_ways() {
    on_each_runtime(async |on| {
        let client = start(on).await;
        let texts = [1, 4095, 4096, 65_536, 1_000_000, 3_000_000].map(|size| "x".repeat(size));
        let calls = texts.each_ref().map(|text| client.call_tool("echo", json!({ "text": text })));
        let tasks = calls.map(|call| Box::pin(call.into_future()));
        for (call, text) in tasks.into_iter().zip(&texts) {
            assert!(soon(on, call).await.expect("an answer").joined_text() == *text, "{} bytes", text.len());
        }
        soon(on, client.close()).await;
    });
}

/// A tool that blocks its thread holds up no other call, and not the end of the server.
#[test]
fn tools_that_block_hold_up_nothing() {
    on_each_runtime(async |on| {
        let client = start(on).await;
        let mut blocked = Box::pin(client.call_tool("block", json!({ "ms": 60_000 })).into_future());
        assert!(futures_lite::future::poll_once(&mut blocked).await.is_none());
        for n in 0..10 {
            let text = format!("text of {n}");
            let answer = soon(on, client.call_tool("echo", json!({ "text": text }))).await.expect("an answer");
            assert_eq!(answer.joined_text(), text);
        }
        drop(blocked);
        let began = Instant::now();
        let exit = soon(on, client.close()).await.expect("a child");
        assert_ne!(exit.how, How::Killed);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}

/// What a tool prints is no message.
#[test]
fn what_a_server_prints_stays_out_of_the_protocol() {
    on_each_runtime(async |on| {
        let client = start(on).await;
        soon(on, client.call_tool("print", ())).await.expect("an answer");
        let answer = soon(on, client.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
        assert_eq!(answer.joined_text(), "x");
        assert_eq!(client.stats().strays, 0);
        soon(on, client.close()).await;
    });
}
