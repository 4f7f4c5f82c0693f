//! The start and the end of a session, and what is too large for it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Raw, call, soon, until, within};
use mcp::{Client, Context, Error, Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

/// What `close` allows open calls, and what its output has to leave in.
const CLOSED: Duration = Duration::from_secs(2 + 2 + 2);

#[derive(Default)]
struct Hooks {
    started: AtomicUsize,
    stopped: AtomicUsize,
}

fn with_hooks(hooks: &Arc<Hooks>) -> Server {
    let (starts, stops) = (Arc::clone(hooks), Arc::clone(hooks));
    Server::new("hooks", "1")
        .on_start(move || {
            let starts = Arc::clone(&starts);
            async move {
                tokio::task::yield_now().await;
                Ok::<_, std::io::Error>(starts.started.fetch_add(1, Ordering::SeqCst) + 1)
            }
        })
        .on_stop(move |_: Arc<usize>| {
            let stops = Arc::clone(&stops);
            async move {
                tokio::task::yield_now().await;
                stops.stopped.fetch_add(1, Ordering::SeqCst);
            }
        })
        .tool(Tool::new("started", "", async |ctx: Context| *ctx.state::<usize>()))
}

async fn hooks_run_once() {
    let hooks = Arc::new(Hooks::default());
    let server = with_hooks(&hooks);
    for round in 1..=2 {
        let (one, other) =
            soon(async { tokio::join!(common::pair(server.clone()), common::pair(server.clone())) }).await;
        let (one, other) = (one.expect("a pair"), other.expect("a pair"));
        assert_eq!((hooks.started.load(Ordering::SeqCst), hooks.stopped.load(Ordering::SeqCst)), (round, round - 1));
        for client in [&one, &other] {
            let started = soon(client.call_tool("started", ()).into_future()).await.expect("an answer");
            assert_eq!(started.structured::<usize>().expect("a number"), round);
        }
        soon(one.close()).await;
        soon(other.ping().into_future()).await.expect("the other lives");
        assert_eq!(hooks.stopped.load(Ordering::SeqCst), round - 1);
        soon(other.close()).await;
        until(|| hooks.stopped.load(Ordering::SeqCst) == round).await;
    }
}

#[tokio::test]
async fn hooks_run_once_for_connections_at_the_same_time() {
    hooks_run_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hooks_run_once_for_connections_at_the_same_time_on_many_threads() {
    hooks_run_once().await;
}

/// Serves over one end of a stream in memory; the other end is for the test.
fn serve(server: Server, capacity: usize) -> (tokio::task::JoinHandle<mcp::Result<()>>, mcp::memory::Duplex) {
    let (here, there) = mcp::memory::duplex(capacity);
    let (reader, writer) = here.into_split();
    (tokio::spawn(mcp_tokio::serve_stream(reader, writer, server)), there)
}

#[tokio::test]
async fn a_start_hook_that_fails_is_the_error_of_serving() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let server = Server::new("fails", "1").on_start(move || {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { Err("the database is gone") } else { Ok(()) } }
    });
    let (serving, _end) = serve(server.clone(), 1024);
    let error = soon(serving).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Start(_)), "{error:?}");
    assert!(error.to_string().contains("the database is gone"), "{error}");
    // A server whose start failed is not started: the next one tries again.
    let client = soon(common::pair(server)).await.unwrap();
    soon(client.ping().into_future()).await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
}

/// Specification: server/tools (tool names).
#[tokio::test]
async fn all_faults_of_a_definition_are_told_at_once() {
    let tool = |name: &str| Tool::new(name, "", async || ());
    let long = "x".repeat(129);
    let server = ["good", "", "with space", "good", &long, "umlaut-ä", "also.good_2-"];
    let server = server.into_iter().fold(Server::new("faulty", "1"), |server, name| server.tool(tool(name)));
    let (serving, _end) = serve(server, 1024);
    let error = soon(serving).await.unwrap().unwrap_err();
    let Error::Definition(faults) = &error else { panic!("{error:?}") };
    assert_eq!(faults.len(), 5, "{faults:#?}");
    for named in ["with space", "\"good\"", &long, "umlaut", "\"\""] {
        assert!(faults.iter().any(|fault| fault.contains(named)), "{named}: {faults:#?}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let longest = Server::new("fine", "1").tool(tool(&"x".repeat(128)));
    soon(common::pair(longest)).await.unwrap();
}

/// Specification: basic/lifecycle (shutdown).
#[tokio::test]
async fn dropping_the_last_client_ends_the_server() {
    let (serving, end) = serve(Server::new("ends", "1"), 1024);
    let (reader, writer) = end.into_split();
    let client = soon(mcp_tokio::connect_stream(reader, writer, common::legacy("c"))).await.unwrap();
    let clone = client.clone();
    drop(client);
    soon(clone.ping().into_future()).await.unwrap();
    drop(clone);
    soon(serving).await.unwrap().unwrap();
}

/// A tool that tells when it has started and waits for ever.
fn waits() -> (Server, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let (tell, started) = unbounded_channel();
    let tool = Tool::new("waits", "", move || {
        let tell = tell.clone();
        async move {
            tell.send(()).expect("the test listens");
            std::future::pending::<()>().await;
        }
    });
    (Server::new("waits", "1").tool(tool), started)
}

#[tokio::test]
async fn closing_ends_open_calls_with_an_error_that_says_so() {
    let (server, mut started) = waits();
    let client = soon(common::pair(server)).await.unwrap();
    let other = client.clone();
    let open = tokio::spawn(async move { other.call_tool("waits", ()).await });
    soon(started.recv()).await.unwrap();
    let start = Instant::now();
    assert!(within(CLOSED, client.close()).await.is_none(), "there is no child");
    let error = soon(open).await.unwrap().unwrap_err();
    assert!(error.is_closed() && error.to_string().contains("tools/call waits"), "{error}");
    assert!(start.elapsed() < CLOSED, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_call_in_flight_may_end_while_the_client_closes() {
    let (tell, mut started) = unbounded_channel();
    let tool = Tool::new("soon", "", move || {
        let tell = tell.clone();
        async move {
            tell.send(()).expect("the test listens");
            tokio::time::sleep(Duration::from_millis(300)).await; // slow on purpose
            "done"
        }
    });
    let client = soon(common::pair(Server::new("soon", "1").tool(tool))).await.unwrap();
    let other = client.clone();
    let open = tokio::spawn(async move { other.call_tool("soon", ()).await });
    soon(started.recv()).await.unwrap();
    within(CLOSED, client.close()).await;
    assert_eq!(soon(open).await.unwrap().unwrap().joined_text(), "done");
}

#[tokio::test]
async fn calls_after_the_end_say_that_the_connection_is_closed() {
    let (server, _started) = waits();
    let client = soon(common::pair(server)).await.unwrap();
    let other = client.clone();
    within(CLOSED, client.close()).await;
    let error = soon(other.call_tool("waits", ()).into_future()).await.unwrap_err();
    assert!(error.is_closed() && error.to_string().contains("tools/call waits"), "{error}");
    assert!(error.to_string().contains("closed"), "{error}");
    let error = soon(other.ping().into_future()).await.unwrap_err();
    assert!(error.is_closed() && error.to_string().contains("ping"), "{error}");
    assert!(soon(other.list_tools().into_future()).await.unwrap_err().is_closed());
    assert!(other.notify("notifications/x", &json!({}), None).unwrap_err().is_closed());
    assert_eq!(soon(other.closed()).await, mcp::CloseReason::LocallyClosed);
}

/// A server by hand that reads nothing after the handshake.
async fn deaf() -> (Client, Raw) {
    let (here, there) = mcp::memory::duplex(4096);
    let (reader, writer) = here.into_split();
    let mut raw = Raw::memory(there);
    let handshake = async {
        let request = raw.heard().await;
        let result = json!({
            "protocolVersion": request["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "raw", "version": "1" },
        });
        raw.send(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
        assert_eq!(raw.heard().await["method"], "notifications/initialized");
    };
    let client = mcp_tokio::connect_stream(reader, writer, common::legacy("c"));
    let (client, ()) = soon(async { tokio::join!(client, handshake) }).await;
    (client.expect("connected"), raw)
}

#[tokio::test]
async fn closing_does_not_wait_for_a_peer_that_does_not_read() {
    let (client, raw) = deaf().await;
    let other = client.clone();
    let open = tokio::spawn(async move { other.call_tool("x", json!({ "text": "x".repeat(100_000) })).await });
    tokio::task::yield_now().await;
    let start = Instant::now();
    within(CLOSED, client.close()).await;
    println!("closed after {:?}", start.elapsed());
    assert!(soon(open).await.unwrap().unwrap_err().is_closed());
    drop(raw);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up() {
    let (here, there) = mcp::memory::duplex(1024);
    let (reader, writer) = here.into_split();
    let large = Tool::new("large", "", async || "x".repeat(10_000));
    let server = Server::new("large", "1").tool(large).limits(|limits| {
        limits.output = 100_000;
        limits.stall = Duration::from_millis(300);
    });
    let serving = tokio::spawn(mcp_tokio::serve_stream(reader, writer, server));
    let mut raw = Raw::memory(there);
    raw.initialize("2025-11-25").await;
    // More than its stream, its buffers and its queue hold.
    for n in 0..60 {
        raw.send(call(n, "large", json!({}))).await;
    }
    let error = soon(serving).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed(mcp::CloseReason::NotReading)), "{error:?}");
}

#[tokio::test]
async fn the_peers_end_fails_open_calls_at_once() {
    let (client, raw) = deaf().await;
    let other = client.clone();
    let open = tokio::spawn(async move { other.call_tool("x", ()).await });
    tokio::task::yield_now().await;
    drop(raw);
    let error = soon(open).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    soon(client.closed()).await;
}

#[derive(Deserialize, JsonSchema)]
struct Size {
    bytes: usize,
}

fn sized() -> Server {
    Server::new("sized", "1").tool(Tool::new("sized", "", async |size: Size| {
        // So that many of them come to an end at the same time, as tasks.
        tokio::task::yield_now().await;
        "x".repeat(size.bytes)
    }))
}

#[tokio::test]
async fn large_results_arrive_and_too_large_ones_are_an_error() {
    // Both sides refuse to send what is longer than this.
    const FRAME: usize = 2 << 20;
    let client = common::legacy("small").limits(|limits| limits.frame = FRAME);
    let client = soon(mcp_tokio::pair_with(sized().limits(|limits| limits.frame = FRAME), client)).await.unwrap();
    let sized = |bytes: usize| soon(client.call_tool("sized", json!({ "bytes": bytes })).into_future());
    for bytes in [0, 1 << 20, FRAME - 1000] {
        assert_eq!(sized(bytes).await.unwrap().joined_text().len(), bytes);
    }
    let error = sized(FRAME + 1).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32603, "{error}");
    assert!(error.to_string().contains("limit"), "{error}");
    // The other way.
    let error = soon(client.call_tool("sized", json!({ "x": "x".repeat(FRAME) })).into_future()).await.unwrap_err();
    assert!(error.to_string().contains("tools/call") && error.to_string().contains("limit"), "{error}");
    assert_eq!(sized(5).await.unwrap().joined_text(), "xxxxx");
}

/// The server may send more than the client takes: the client reads past it.
#[tokio::test]
async fn a_result_beyond_the_clients_limit_is_an_error_and_not_a_hang() {
    let client = common::legacy("small").limits(|limits| limits.frame = 100_000);
    let client = soon(mcp_tokio::pair_with(sized(), client)).await.unwrap();
    let error = soon(client.call_tool("sized", json!({ "bytes": 200_000 })).into_future()).await.unwrap_err();
    assert!(error.to_string().contains("tools/call sized"), "{error}");
    assert!(!error.is_timeout() && !error.is_closed(), "{error:?}");
    soon(client.ping().into_future()).await.unwrap();
}

async fn many_large() {
    let client = soon(common::pair(sized())).await.expect("a pair");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        calls.spawn(async move { client.call_tool("sized", json!({ "bytes": 512 << 10 })).await });
    }
    while let Some(done) = soon(calls.join_next()).await {
        assert_eq!(done.expect("no panic").expect("an answer").joined_text().len(), 512 << 10);
    }
}

#[tokio::test]
async fn many_large_answers_at_once_all_arrive() {
    many_large().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_large_answers_at_once_all_arrive_on_many_threads() {
    many_large().await;
}

/// Results that are there at once do not go through a task.
#[tokio::test]
async fn many_large_answers_that_are_there_at_once_all_arrive() {
    let server = Server::new("sized", "1").tool(Tool::new("sized", "", async || "x".repeat(512 << 10)));
    let client = soon(common::pair(server)).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        calls.spawn(async move { client.call_tool("sized", ()).await });
    }
    while let Some(done) = soon(calls.join_next()).await {
        assert_eq!(done.unwrap().unwrap().joined_text().len(), 512 << 10);
    }
}

#[tokio::test]
async fn clients_of_one_server_do_not_hear_each_other() {
    let server = Server::new("shared", "1").tool(Tool::new("who", "", async |ctx: Context| {
        tokio::task::yield_now().await;
        ctx.peer().map(|peer| peer.info.name.clone()).unwrap_or_default()
    }));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        let server = server.clone();
        tasks.spawn(async move {
            let name = format!("client {n}");
            let client = mcp_tokio::pair_with(server, Client::builder(&name, "1")).await.expect("a pair");
            for _ in 0..20 {
                assert_eq!(client.call_tool("who", ()).await.expect("an answer").joined_text(), name);
            }
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
}
