//! Faults that users of many SDKs have suffered from, each by its number in the manifest (`tests/manifest/pains.txt`): what streams and
//! those who talk over them do to each other. The bodies are generic over how a server is reached.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::openers::{Memory, Opener, Tcp};
use common::{soon, until, within};
use futures_lite::future;
use mcp::model::{
    ContentBlock, CreateMessageParams, CreateMessageResult, ElicitParams, ElicitResult, LoggingLevel, Progress, Role,
    SamplingMessage,
};
use mcp::{Asked, Client, ClientBuilder, Context, Form, ProtocolVersion, Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

fn echo() -> Tool {
    Tool::new("echo", "", async |args: Text| args.text)
}

fn builder(version: ProtocolVersion) -> ClientBuilder {
    Client::builder("c", "1").versions([version])
}

/// Calls that are given up in the middle lose nothing of those that are not.
async fn nothing_is_lost(over: &impl Opener, most: usize, size: usize) {
    let slowly = Tool::new("slowly", "", async |args: Text| {
        future::yield_now().await;
        args.text
    });
    let server = Server::new("s", "1").tool(echo()).tool(slowly);
    for version in [D, E] {
        let client = over.open(&server, builder(version)).await;
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..most {
            let client = client.clone();
            calls.spawn(async move {
                let text = format!("{n} ").repeat(size / 4);
                let tool = if n % 2 == 0 { "echo" } else { "slowly" };
                let call = client.call_tool(tool, json!({ "text": text })).into_future();
                if n % 3 == 0 {
                    // Dropped after it was polled so many times, wherever that is.
                    let mut left = n % 17;
                    let patience = future::poll_fn(move |cx| {
                        left = left.saturating_sub(1);
                        cx.waker().wake_by_ref();
                        if left == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
                    });
                    future::or(async { drop(call.await) }, patience).await;
                } else {
                    assert!(call.await.expect("an answer").joined_text() == text, "call {n} has another's answer");
                }
            });
        }
        while let Some(done) = within(Duration::from_secs(60), calls.join_next()).await {
            done.unwrap();
        }
        assert_eq!(client.stats().broken_rules, 0, "{:?}", client.stats());
        soon(client.close()).await;
    }
}

/// A read that was given up took half a line with it, and the answers in it were lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pain_6_no_message_is_lost_whatever_is_given_up_meanwhile() {
    nothing_is_lost(&Memory(1), 40, 64).await;
    nothing_is_lost(&Memory(7), 60, 512).await;
    nothing_is_lost(&Memory(64 * 1024), 200, 16 * 1024).await;
    nothing_is_lost(&Tcp, 200, 64 * 1024).await;
}

/// A server whose tools talk to their client while it waits for them, and a client that talks back in all its callbacks.
async fn both_talk_back(over: &impl Opener, version: ProtocolVersion) {
    let talk = Tool::new("talk", "", async |ctx: Context, args: Text| {
        for n in 1..=20 {
            ctx.report(Progress::new(n).with_message(args.text.clone()))?;
        }
        ctx.log(LoggingLevel::Info, &args.text)?;
        let answer = ctx.elicit("who", Form::of::<Text>(args.text.clone())).await?;
        let said = mcp::accepted::<Text>(&answer)?.map(|form| form.text).unwrap_or_default();
        let message = SamplingMessage::new(Role::User, ContentBlock::text(said.clone()));
        ctx.sample("model", CreateMessageParams::new(vec![message], 10)).await?;
        ctx.log(LoggingLevel::Info, &said)?;
        Ok::<_, mcp::Error>(said)
    });
    let server = Server::new("s", "1").logging().tool(talk).tool(echo());
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let echoed = async |client: &Client, text: &str| {
        client.call_tool("echo", json!({ "text": text })).await.expect("an answer").joined_text()
    };
    let client = builder(version)
        .log_level(LoggingLevel::Info)
        .on_elicit(move |asked: Asked, question: ElicitParams| async move {
            let text = echoed(asked.client(), &question.message).await;
            ElicitResult::accept(Map::from_iter([("text".to_owned(), json!(text))]))
        })
        .on_sample(move |asked: Asked, _: CreateMessageParams| async move {
            let tools = asked.client().list_tools().await.expect("a list").len();
            CreateMessageResult::new(Role::Assistant, vec![ContentBlock::text(format!("{tools} tools"))], "model")
        })
        .on_tools_changed(move |client| {
            let tell = tell.clone();
            async move {
                let text = echoed(&client, "from a notification").await;
                let tools = client.list_tools().await.expect("a list").len();
                let _ = tell.send((text, tools));
            }
        });
    let client = over.open(&server, client).await;
    let mut number = 0;
    let mut change = || {
        number += 1;
        let more = Tool::new(format!("more{number}"), "", async || "more");
        server.update(|edit| _ = edit.tool(more)).unwrap();
        number
    };
    // Until it listens; from then on nothing is missed.
    while tokio::time::timeout(Duration::from_millis(20), heard.recv()).await.is_err() {
        change();
    }
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..6 {
        let client = client.clone();
        calls.spawn(async move {
            let (text, inner) = (format!("call {n}"), client.clone());
            let progress = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&progress);
            let call = client.call_tool("talk", json!({ "text": text })).on_progress(move |_| {
                count.fetch_add(1, Ordering::SeqCst);
                // Begun here, and not waited for: this callback cannot wait.
                let _ = future::block_on(future::poll_once(inner.list_tools().into_future()));
            });
            assert_eq!(call.await.expect("an answer").joined_text(), text);
            assert!(progress.load(Ordering::SeqCst) > 0);
        });
        change();
    }
    while let Some(done) = within(Duration::from_secs(60), calls.join_next()).await {
        done.unwrap();
    }
    let all = change() + 2;
    loop {
        let (text, tools) = soon(heard.recv()).await.unwrap();
        assert_eq!(text, "from a notification");
        if tools == all {
            break;
        }
    }
    soon(client.close()).await;
}

/// Progress, questions and calls from inside of handlers and callbacks filled a queue that nobody emptied, and everybody waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn pain_8_handlers_and_callbacks_may_talk_back_at_any_time() {
    // Threads to spare: even if some of them wait for each other, the bounds are kept.
    for version in [D, E] {
        both_talk_back(&Memory(1), version).await;
        both_talk_back(&Memory(64 * 1024), version).await;
        both_talk_back(&Tcp, version).await;
    }
}

async fn blocked_tools_stall_nothing(over: &impl Opener, version: ProtocolVersion) {
    const BLOCKED: usize = 32;
    let (open, gate) = mpsc::channel::<()>();
    let (gate, begun) = (Arc::new(Mutex::new(gate)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&begun);
    let block = Tool::new("block", "", move || {
        let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = gate.lock().unwrap().recv();
            "unblocked"
        }
    });
    let server = Server::new("s", "1").tool(block.blocking()).tool(echo());
    let client = over.open(&server, builder(version)).await;
    let mut blocked = tokio::task::JoinSet::new();
    for _ in 0..BLOCKED {
        blocked.spawn(client.call_tool("block", ()).into_future());
    }
    until(|| begun.load(Ordering::SeqCst) == BLOCKED).await;
    for _ in 0..100 {
        if version == D {
            soon(client.ping().into_future()).await.unwrap();
        }
        let echoed = soon(client.call_tool("echo", json!({ "text": "quick" })).into_future()).await.unwrap();
        assert_eq!(echoed.joined_text(), "quick");
    }
    drop(open);
    while let Some(done) = soon(blocked.join_next()).await {
        assert_eq!(done.unwrap().unwrap().joined_text(), "unblocked");
    }
}

/// A tool that blocks its thread held up all other calls, and the pings that would have told that the server lives.
#[tokio::test]
async fn pain_36_tools_that_block_stall_nothing_else() {
    for version in [D, E] {
        blocked_tools_stall_nothing(&Memory(64 * 1024), version).await;
        blocked_tools_stall_nothing(&Tcp, version).await;
    }
}

/// Large messages in both directions at once, over a stream that holds little: nobody waits for the other to read first.
async fn large_messages_pass_each_other(over: &impl Opener) {
    let server = Server::new("s", "1").tool(echo());
    let client = over.open(&server, builder(E)).await;
    let text = "0123456789abcdef".repeat(256 * 1024);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (client, text) = (client.clone(), text.clone());
        calls.spawn(async move {
            let echoed = client.call_tool("echo", json!({ "text": text })).await.expect("an answer");
            assert!(echoed.joined_text() == text);
        });
    }
    while let Some(done) = within(Duration::from_secs(60), calls.join_next()).await {
        done.unwrap();
    }
}

/// A write that was larger than the pipe waited for a reader that waited for its own write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_38_large_messages_both_ways_do_not_wait_for_each_other() {
    large_messages_pass_each_other(&Memory(4 * 1024)).await;
    large_messages_pass_each_other(&Tcp).await;
}
