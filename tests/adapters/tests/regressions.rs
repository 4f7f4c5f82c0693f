//! Faults that were found by reading, each with the test that would have found it.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Wake, Waker};

use common::{Raw, soon, until};
use mcp::model::{ElicitParams, ElicitResult};
use mcp::{Client, Context, Form, ProtocolVersion, Server, Tool};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

async fn ask(ctx: &Context, key: &str) -> mcp::Result<String> {
    let answer = ctx.elicit(key, Form::of::<Name>(key)).await?;
    Ok(mcp::accepted::<Name>(&answer)?.map_or_else(|| "nobody".to_owned(), |form| form.name))
}

/// A stateless client and server, in which `answer` answers the questions.
async fn modern<Fut>(server: Server, answer: impl Fn(ElicitParams) -> Fut + Send + Sync + 'static) -> Client
where
    Fut: Future<Output = ElicitResult> + Send + 'static,
{
    let builder = Client::builder("modern", "1").versions(ProtocolVersion::ALL).on_elicit(answer);
    let client = soon(mcp_tokio::pair_with(server, builder)).await.unwrap();
    assert_eq!(client.version(), ProtocolVersion::V2026_07_28);
    client
}

fn named(name: &str) -> ElicitResult {
    ElicitResult::accept(Map::from_iter([("name".to_owned(), Value::from(name))]))
}

/// The driver cut a full batch of lines, then the unfinished one behind them, and went to sleep without asking for more.
#[tokio::test]
async fn an_unfinished_line_behind_a_full_batch_is_read_to_its_end() {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = there.into_split();
    let serving = tokio::spawn(mcp_tokio::serve_stream(reader, writer, Server::new("s", "1")));
    let mut raw = Raw::memory(here);
    raw.initialize("2025-11-25").await;
    raw.is_served().await;
    // In one read: 64 lines are scanned at once.
    let mut burst = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n".repeat(64);
    burst.push_str("{\"jsonrpc\":\"2.0\",\"id\":1,\"meth");
    raw.bytes(burst.as_bytes()).await;
    // The driver has taken all of that: another task runs only when it sleeps.
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    raw.bytes(b"od\":\"ping\"}\n").await;
    assert_eq!(raw.heard().await["id"], 1);
    raw.end().await;
    soon(serving).await.unwrap().unwrap();
}

/// An answer that waited for room in a client's output stopped its reading, while its server wrote and did not read: for ever.
#[tokio::test]
async fn a_client_reads_on_while_an_answer_waits_for_room() {
    let (here, there) = mcp::memory::duplex(1024);
    let (reader, writer) = there.into_split();
    let builder = common::legacy("c").root("file:///srv", "srv").limits(|limits| limits.output = 1024);
    let connecting = tokio::spawn(mcp_tokio::connect_stream(reader, writer, builder));
    let mut raw = Raw::memory(here);
    let init = raw.heard().await;
    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": { "name": "s", "version": "1" } });
    raw.send(json!({ "jsonrpc": "2.0", "id": init["id"], "result": result })).await;
    assert_eq!(raw.heard().await["method"], "notifications/initialized");
    let client = soon(connecting).await.unwrap().unwrap();
    let calling = tokio::spawn(client.call_tool("t", ()).into_future());
    let call = raw.heard().await;
    // Nobody reads this: the first fills the pipe, the others the queue.
    let text = "x".repeat(100 * 1024);
    client.notify("notifications/first", &json!({ "text": text }), None).unwrap();
    let more = json!({ "text": "x".repeat(1000) });
    until(|| client.notify("notifications/more", &more, None).is_ok()).await;
    while client.notify("notifications/more", &more, None).is_ok() {}
    raw.send(json!({ "jsonrpc": "2.0", "id": "roots", "method": "roots/list" })).await;
    // More than the pipe holds: it gets through only if the client reads.
    raw.send(json!({ "jsonrpc": "2.0", "method": "notifications/x", "params": { "text": "x".repeat(4096) } })).await;
    raw.send(json!({ "jsonrpc": "2.0", "id": call["id"], "result": { "content": [] } })).await;
    soon(calling).await.unwrap().unwrap();
    while raw.heard().await["id"] != "roots" {}
}

/// A question that a task of the handler asked was never sent.
#[tokio::test]
async fn a_task_of_a_handler_may_ask() {
    let tool = Tool::new("greet", "", async |ctx: Context| {
        let task = async move {
            // Its handler is a task of its own by then, and asleep.
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            ask(&ctx, "Ada").await
        };
        tokio::spawn(task).await.unwrap()
    });
    let client = modern(Server::new("s", "1").tool(tool), async |question| named(&question.message)).await;
    let result = soon(client.call_tool("greet", ()).into_future()).await.unwrap();
    assert_eq!(result.joined_text(), "Ada");
}

/// That task waited for ever, since its handler is run again and nobody answers the first one.
#[tokio::test]
async fn a_question_of_a_round_that_is_over_ends() {
    let (tell, mut told) = unbounded_channel();
    let tool = Tool::new("greet", "", move |ctx: Context| {
        let tell = tell.clone();
        async move {
            let task = tokio::spawn(async move {
                let answer = ask(&ctx, "Ada").await;
                tell.send(answer.is_ok()).unwrap();
            });
            task.await.unwrap();
        }
    });
    let client = modern(Server::new("s", "1").tool(tool), async |question| named(&question.message)).await;
    soon(client.call_tool("greet", ()).into_future()).await.unwrap();
    let both = [soon(told.recv()).await.unwrap(), soon(told.recv()).await.unwrap()];
    assert!(both.contains(&true) && both.contains(&false), "{both:?}");
}

/// Tells when it goes.
struct Goes(UnboundedSender<()>);

impl Drop for Goes {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

/// A person was still asked on behalf of a call that nobody waited for any more.
#[tokio::test]
async fn a_callback_ends_with_the_call_that_it_answers_for() {
    let (begins, mut begun) = unbounded_channel();
    let (ends, mut ended) = unbounded_channel();
    let tool = Tool::new("greet", "", async |ctx: Context| ask(&ctx, "Ada").await);
    let client = modern(Server::new("s", "1").tool(tool), move |_| {
        let (goes, begins) = (Goes(ends.clone()), begins.clone());
        async move {
            begins.send(()).unwrap();
            let _goes = goes;
            pending().await
        }
    })
    .await;
    for _ in 0..2 {
        let calling = tokio::spawn(client.call_tool("greet", ()).into_future());
        soon(begun.recv()).await.unwrap();
        calling.abort();
        soon(ended.recv()).await.unwrap();
    }
    // So it is with the end of the connection.
    let calling = tokio::spawn(client.call_tool("greet", ()).into_future());
    soon(begun.recv()).await.unwrap();
    drop(client);
    soon(calling).await.unwrap().unwrap_err();
    soon(ended.recv()).await.unwrap();
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a bomb");
        }
    }
}

/// A callback that panicked while it was dropped took the answer to its call along, which then waited for ever.
#[tokio::test]
async fn a_callback_that_panics_when_dropped_does_not_hang_its_call() {
    let tool = Tool::new("both", "", async |ctx: Context| {
        let (a, b) = tokio::join!(ask(&ctx, "a waits"), ask(&ctx, "b panics"));
        Ok::<_, mcp::Error>(format!("{} {}", a?, b?))
    });
    let client = modern(Server::new("s", "1").tool(tool), async |question: ElicitParams| {
        if question.message == "b panics" {
            panic!("as announced");
        }
        let _bomb = Bomb;
        pending().await
    })
    .await;
    soon(client.call_tool("both", ()).into_future()).await.unwrap_err();
}

/// Counts how often it is kept.
#[derive(Default)]
struct Kept;

impl Wake for Kept {
    fn wake(self: Arc<Self>) {}
}

/// Every look at `closed()` left a waker behind until the end of the connection.
#[tokio::test]
async fn waiting_for_the_end_keeps_nothing_that_has_gone() {
    let client = soon(common::pair(Server::new("s", "1"))).await.unwrap();
    let kept = Arc::new(Kept);
    {
        let waker = Waker::from(Arc::clone(&kept));
        let mut cx = TaskContext::from_waker(&waker);
        for _ in 0..10 {
            let mut closed = pin!(client.closed());
            for _ in 0..10 {
                assert!(closed.as_mut().poll(&mut cx).is_pending());
            }
        }
    }
    assert_eq!(Arc::strong_count(&kept), 1);
}

/// A call that waits for a place left a waker behind with each look at it.
#[tokio::test]
async fn waiting_for_a_place_keeps_one_waker() {
    let tool = Tool::new("wait", "", async || pending::<&str>().await);
    let builder = common::legacy("c").limits(|limits| limits.outbound_requests = 1);
    let client = soon(mcp_tokio::pair_with(Server::new("s", "1").tool(tool), builder)).await.unwrap();
    let kept = Arc::new(Kept);
    let waker = Waker::from(Arc::clone(&kept));
    let mut cx = TaskContext::from_waker(&waker);
    let mut first = pin!(client.call_tool("wait", ()).into_future());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    let before = Arc::strong_count(&kept);
    let mut second = pin!(client.call_tool("wait", ()).into_future());
    for _ in 0..10 {
        assert!(second.as_mut().poll(&mut cx).is_pending());
    }
    assert!(Arc::strong_count(&kept) <= before + 1);
}

/// An answer that waited for room was not told of it as long as there was no place for a call.
#[tokio::test]
async fn an_answer_that_waits_for_room_does_not_wait_for_a_place_for_calls() {
    let (here, there) = mcp::memory::duplex(1024);
    let (reader, writer) = there.into_split();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = Mutex::new(Some(wait));
    let builder = common::legacy("c")
        .limits(|limits| {
            limits.output = 1024;
            limits.outbound_requests = 1;
        })
        .on_elicit(move |_| {
            let wait = wait.lock().unwrap().take().unwrap();
            async move {
                wait.await.unwrap();
                ElicitResult::decline()
            }
        });
    let connecting = tokio::spawn(mcp_tokio::connect_stream(reader, writer, builder));
    let mut raw = Raw::memory(here);
    let init = raw.heard().await;
    let info = json!({ "name": "s", "version": "1" });
    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": info });
    raw.send(json!({ "jsonrpc": "2.0", "id": init["id"], "result": result })).await;
    assert_eq!(raw.heard().await["method"], "notifications/initialized");
    let client = soon(connecting).await.unwrap().unwrap();
    let calling = tokio::spawn(client.call_tool("t", ()).into_future());
    let call = raw.heard().await;
    let form = json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } });
    raw.send(json!({ "jsonrpc": "2.0", "id": "ask", "method": "elicitation/create", "params": form })).await;
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    client.notify("notifications/first", &json!({ "text": "x".repeat(100 * 1024) }), None).unwrap();
    let more = json!({ "text": "x".repeat(1000) });
    until(|| client.notify("notifications/more", &more, None).is_ok()).await;
    while client.notify("notifications/more", &more, None).is_ok() {}
    go.send(()).unwrap();
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    while raw.heard().await["id"] != "ask" {}
    raw.send(json!({ "jsonrpc": "2.0", "id": call["id"], "result": { "content": [] } })).await;
    soon(calling).await.unwrap().unwrap();
}
