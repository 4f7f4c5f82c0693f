//! Calls that are given up or run out of time: what their handlers notice, and what the connection has left.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Raw, call, soon, until};
use mcp::model::{ElicitParams, ElicitResult};
use mcp::{Client, Context, Form, Server, Tool};
use serde_json::{Map, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a handler tells the test, in order.
struct Events(UnboundedReceiver<&'static str>);

impl Events {
    fn channel() -> (UnboundedSender<&'static str>, Self) {
        let (tell, told) = unbounded_channel();
        (tell, Self(told))
    }

    #[track_caller]
    fn next(&mut self) -> impl Future<Output = &'static str> {
        let next = soon(self.0.recv());
        async { next.await.expect("the handler tells something") }
    }
}

/// Tells when it is dropped.
struct Guard(UnboundedSender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// A tool that waits for ever at an await and does not look whether it is wanted.
fn waits(tell: &UnboundedSender<&'static str>) -> Tool {
    let tell = tell.clone();
    Tool::new("waits", "", move || {
        let guard = Guard(tell.clone());
        async move {
            guard.0.send("started").expect("the test listens");
            std::future::pending::<()>().await;
            drop(guard);
        }
    })
}

/// A tool that watches for its cancellation, then takes until the gate opens.
fn watches(tell: &UnboundedSender<&'static str>, gate: &Arc<tokio::sync::Semaphore>) -> Tool {
    let (tell, gate) = (tell.clone(), Arc::clone(gate));
    Tool::new("watches", "", move |ctx: Context| {
        let (guard, gate) = (Guard(tell.clone()), Arc::clone(&gate));
        async move {
            guard.0.send("started").expect("the test listens");
            ctx.cancelled().await;
            assert!(ctx.is_cancelled());
            guard.0.send("told").expect("the test listens");
            gate.acquire().await.expect("open").forget();
            assert!(ctx.progress(1, 1).is_err(), "nothing can be said about a call that is over");
            guard.0.send("ended").expect("the test listens");
        }
    })
}

/// Polls a call until its handler has started, then drops it.
async fn give_up(client: &Client, tool: &str, events: &mut Events) {
    tokio::select! {
        answer = client.call_tool(tool, ()).into_future() => panic!("{answer:?}"),
        event = events.next() => assert_eq!(event, "started"),
    }
}

/// Specification: basic/utilities/cancellation: the receiver stops and frees what it has.
async fn dropping() {
    let (tell, mut events) = Events::channel();
    let client = soon(common::pair(Server::new("waits", "1").tool(waits(&tell)))).await.expect("a pair");
    for _ in 0..3 {
        give_up(&client, "waits", &mut events).await;
        assert_eq!(events.next().await, "dropped");
    }
    soon(client.ping().into_future()).await.expect("the connection lives");
}

#[tokio::test]
async fn dropping_a_call_drops_its_handler_at_its_await() {
    dropping().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropping_a_call_drops_its_handler_at_its_await_on_many_threads() {
    dropping().await;
}

/// Specification: basic/utilities/cancellation (a cancelled request is not answered); the place stays taken meanwhile.
#[tokio::test]
async fn a_handler_that_watches_ends_in_its_own_time_and_keeps_its_place() {
    let (tell, mut events) = Events::channel();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let fine = Tool::new("fine", "", async || "fine");
    let server = Server::new("watches", "1").tool(watches(&tell, &gate)).tool(fine);
    let server = server.tool(waits(&tell)).limits(|limits| limits.inbound_requests = 2);
    let client = soon(common::pair(server)).await.unwrap();
    give_up(&client, "watches", &mut events).await;
    assert_eq!(events.next().await, "told");
    let other = client.clone();
    let waiting = tokio::spawn(async move { other.call_tool("waits", ()).await });
    assert_eq!(events.next().await, "started");
    // The places are taken, one of them by a call that nobody waits for any more: the next one waits.
    let mut next = Box::pin(client.call_tool("fine", ()).into_future());
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut next).await.is_err());
    gate.add_permits(1);
    assert_eq!((events.next().await, events.next().await), ("ended", "dropped"));
    assert_eq!(soon(next).await.unwrap().joined_text(), "fine");
    waiting.abort();
    assert_eq!(events.next().await, "dropped");
}

/// Specification: basic/utilities/cancellation: SHOULD NOT answer; MAY ignore what is unknown or finished.
#[tokio::test]
async fn a_cancelled_request_is_not_answered_and_odd_cancellations_are_ignored() {
    let (tell, mut events) = Events::channel();
    let gate = Arc::new(tokio::sync::Semaphore::new(1));
    let server = Server::new("raw", "1").tool(waits(&tell)).tool(watches(&tell, &gate));
    let (here, there) = mcp::memory::duplex(4096);
    let (reader, writer) = here.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server));
    let mut raw = Raw::memory(there);
    raw.initialize("2025-11-25").await;
    let cancel = |id| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    for (id, tool) in [(json!(0), "waits"), (json!("0"), "waits"), (json!(1), "watches")] {
        raw.send(call(id.clone(), tool, json!({}))).await;
        assert_eq!(events.next().await, "started");
        raw.send(cancel(json!("somebody else's"))).await;
        raw.send(cancel(json!(99))).await;
        raw.send(cancel(id.clone())).await;
        raw.send(cancel(id)).await;
        while events.next().await != "dropped" {}
        raw.is_served().await;
    }
    for params in [json!({}), json!({ "requestId": null }), json!({ "requestId": [1] })] {
        raw.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })).await;
    }
    raw.is_served().await;
}

#[tokio::test]
async fn a_blocking_handler_can_ask_whether_it_is_wanted() {
    let (tell, mut events) = Events::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let stopped = std::sync::Mutex::new(stopped);
    let tool = Tool::new("blocks", "", move |ctx: Context| {
        tell.send("started").expect("the test listens");
        let _ = stopped.lock().expect("once").recv();
        tell.send(if ctx.is_cancelled() { "told" } else { "not told" }).expect("the test listens");
        async {}
    });
    let client = soon(common::pair(Server::new("blocks", "1").tool(tool.blocking()))).await.unwrap();
    give_up(&client, "blocks", &mut events).await;
    // The ping comes behind the cancellation.
    soon(client.ping().into_future()).await.unwrap();
    drop(stop);
    assert_eq!(events.next().await, "told");
}

/// Specification: basic/lifecycle (timeouts): the sender cancels what it does not wait for any longer.
#[tokio::test]
async fn silence_ends_a_call_and_its_handler_after_the_idle_deadline() {
    let (tell, mut events) = Events::channel();
    let client = soon(common::pair(Server::new("waits", "1").tool(waits(&tell)))).await.unwrap();
    let start = Instant::now();
    let idle = Duration::from_millis(200);
    let error = soon(client.call_tool("waits", ()).idle(idle).into_future()).await.unwrap_err();
    assert!(error.is_timeout() && !error.is_closed(), "{error:?}");
    assert!(error.to_string().contains("tools/call waits"), "{error}");
    assert!(start.elapsed() >= idle, "{:?}", start.elapsed());
    assert_eq!((events.next().await, events.next().await), ("started", "dropped"));
    soon(client.ping().into_future()).await.unwrap();
}

/// Reports progress as often as it is let.
fn reports(ticks: u64) -> Tool {
    Tool::new("reports", "", move |ctx: Context| async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for n in 0..ticks {
            tick.tick().await;
            ctx.report(mcp::model::Progress::new(n as f64))?;
        }
        Ok::<_, mcp::Error>("done")
    })
}

/// Specification: basic/lifecycle (timeouts): progress MAY reset the clock, but a maximum is always enforced.
#[tokio::test]
async fn progress_keeps_a_call_alive_until_its_cap() {
    let client = soon(common::pair(Server::new("reports", "1").tool(reports(40)))).await.unwrap();
    // 800 ms in all, never silent for 400 ms.
    let call = client.call_tool("reports", ()).idle(Duration::from_millis(400)).on_progress(drop);
    assert_eq!(soon(call.into_future()).await.unwrap().joined_text(), "done");

    let start = Instant::now();
    let cap = Duration::from_millis(300);
    let call = client.call_tool("reports", ()).cap(cap).on_progress(drop);
    let error = soon(call.into_future()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(start.elapsed() >= cap, "{:?}", start.elapsed());
}

/// While the client's own person is at work, the client's deadline for the call stands still.
#[tokio::test]
async fn no_deadline_runs_while_the_client_owes_an_answer() {
    let ask = Tool::new("ask", "", async |ctx: Context| {
        let answer = ctx.elicit("k", Form::with_schema("?", Map::new())).await?;
        Ok::<_, mcp::Error>(answer.action.to_string())
    });
    let client = common::legacy("slow").on_elicit(async |_: ElicitParams| {
        tokio::time::sleep(Duration::from_millis(700)).await; // slow on purpose
        ElicitResult::decline()
    });
    let (tell, _events) = Events::channel();
    let client =
        soon(mcp_tokio::pair_with(Server::new("asks", "1").tool(ask).tool(waits(&tell)), client)).await.unwrap();
    let call = client.call_tool("ask", ()).idle(Duration::from_millis(250)).cap(Duration::from_millis(400));
    assert_eq!(soon(call.into_future()).await.unwrap().joined_text(), "decline");
    // And afterwards they run again.
    let call = client.call_tool("waits", ()).idle(Duration::from_millis(100));
    assert!(soon(call.into_future()).await.unwrap_err().is_timeout());
}

/// Specification: basic/utilities/cancellation: what was asked within a call is given up with it.
#[tokio::test]
async fn a_question_within_a_call_that_is_given_up_is_given_up_too() {
    let (tell, mut events) = Events::channel();
    let ask = Tool::new("ask", "", async |ctx: Context| {
        ctx.elicit("k", Form::with_schema("?", Map::new())).await.map(|answer| answer.action.to_string())
    });
    let client = common::legacy("asked").on_elicit(move |_| {
        let guard = Guard(tell.clone());
        async move {
            guard.0.send("started").expect("the test listens");
            std::future::pending::<()>().await;
            drop(guard);
            ElicitResult::decline()
        }
    });
    let client = soon(mcp_tokio::pair_with(Server::new("asks", "1").tool(ask), client)).await.unwrap();
    give_up(&client, "ask", &mut events).await;
    assert_eq!(events.next().await, "dropped");
    soon(client.ping().into_future()).await.unwrap();
}

/// Calls that are opened and given up as fast as can be: every handler is told, none is lost, all places come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_given_up_calls_leaves_nothing() {
    let (begun, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (counts, ends) = (Arc::clone(&begun), Arc::clone(&gone));
    let waits = Tool::new("waits", "", move || {
        counts.fetch_add(1, Ordering::SeqCst);
        let count = Count(Arc::clone(&ends));
        async move {
            std::future::pending::<()>().await;
            drop(count);
        }
    });
    let fine = Tool::new("fine", "", async || "fine");
    let client = soon(common::pair(Server::new("flood", "1").tool(waits).tool(fine))).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16u64 {
        let client = client.clone();
        tasks.spawn(async move {
            for round in 0..50u64 {
                let patience = Duration::from_micros((n * 37 + round * 101) % 1500);
                let call = client.call_tool("waits", ()).into_future();
                assert!(tokio::time::timeout(patience, call).await.is_err());
                assert_eq!(client.call_tool("fine", ()).await.expect("an answer").joined_text(), "fine");
            }
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    until(|| begun.load(Ordering::SeqCst) == gone.load(Ordering::SeqCst)).await;
    assert!(begun.load(Ordering::SeqCst) > 0);
    // All places are free: as many calls as there are get one.
    let before = begun.load(Ordering::SeqCst);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..255 {
        let client = client.clone();
        calls.spawn(async move { client.call_tool("waits", ()).await });
    }
    until(|| begun.load(Ordering::SeqCst) == before + 255).await;
    calls.shutdown().await;
    until(|| gone.load(Ordering::SeqCst) == before + 255).await;
}

/// Specification: basic/utilities/ping (MUST respond promptly), basic/utilities/cancellation.
#[tokio::test]
async fn with_all_places_taken_pings_and_cancellations_are_still_served() {
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (begun, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counts, ends) = (Arc::clone(&begun), Arc::clone(&gone));
    let waits = Tool::new("waits", "", move || {
        counts.fetch_add(1, Ordering::SeqCst);
        let count = Count(Arc::clone(&ends));
        async move {
            std::future::pending::<()>().await;
            drop(count);
        }
    });
    let client = soon(common::pair(Server::new("full", "1").tool(waits))).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..256 {
        let client = client.clone();
        calls.spawn(async move { client.call_tool("waits", ()).await });
    }
    until(|| begun.load(Ordering::SeqCst) == 256).await;
    let ping = soon(client.ping().idle(Duration::from_secs(2)).into_future()).await;
    assert!(ping.is_ok(), "{ping:?}");
    calls.shutdown().await;
    until(|| gone.load(Ordering::SeqCst) == 256).await;
}
