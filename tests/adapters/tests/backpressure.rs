//! Peers that do not read and handlers that flood: what is held stays within its bounds, and nothing is lost that was promised. The bodies
//! are generic over how a server is reached.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::openers::{Memory, Opener, Tcp};
use common::{call, soon, until, within};
use mcp::model::{LoggingLevel, Progress};
use mcp::{Budget, Change, Client, CloseReason, Context, Resource, Server, Session, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

/// A server of small limits, and what it holds at most: a line, its events, twice its output and a message in each queue, and with each of 4
/// requests in work its text and its answer.
fn small(name: &str, budget: &Budget) -> Server {
    Server::new(name, "1").budget(budget.clone()).limits(|limits| {
        limits.frame = 2 * MIB;
        limits.output = MIB;
        limits.events = MIB;
        limits.inbound_requests = 4;
    })
}

const BOUND: usize = (2 + 1 + 2 + 2 * 2 + 4 * 2 * 2) * MIB;

/// Looks how much is held, as often as it can, on a thread that nobody holds up, and remembers the most.
struct Peak(Arc<AtomicUsize>);

impl Peak {
    fn of(budget: &Budget) -> Self {
        let (most, budget) = (Arc::new(AtomicUsize::new(0)), budget.clone());
        let theirs = Arc::downgrade(&most);
        std::thread::spawn(move || {
            while let Some(most) = theirs.upgrade() {
                most.fetch_max(budget.used(), Ordering::SeqCst);
                // Not to take the processor from those it looks at.
                std::thread::park_timeout(Duration::from_micros(100));
            }
        });
        Self(most)
    }

    fn most(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A peer that sends 32 MiB of calls and hears nothing for a while, then everything.
async fn what_is_not_read_is_bounded(over: &impl Opener) {
    const CALLS: u64 = 32;
    let budget = Budget::new(usize::MAX);
    let server = small("s", &budget).tool(Tool::new("echo", "", async |args: Text| args.text));
    let mut raw = over.raw(&server).await;
    raw.initialize("2025-11-25").await;
    let peak = Peak::of(&budget);
    let (mut sender, mut hearer) = raw.split();
    let text = "x".repeat(MIB);
    let sending = tokio::spawn(async move {
        for id in 0..CALLS {
            sender.send(call(id, "echo", json!({ "text": text }))).await;
        }
        sender
    });
    // All that fits has come.
    until(|| budget.used() > 2 * MIB).await;
    let mut answered = Vec::new();
    while answered.len() < CALLS as usize {
        let answer = hearer.heard().await;
        assert_eq!(answer["result"]["content"][0]["text"].as_str().map(str::len), Some(MIB), "{}", answer["error"]);
        answered.push(answer["id"].as_u64().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..CALLS).collect::<Vec<_>>());
    println!("at most {} KiB of 64 MiB", peak.most() / 1024);
    assert!(peak.most() < BOUND, "{} bytes", peak.most());
    drop((soon(sending).await.unwrap(), hearer));
    until(|| budget.used() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_does_not_read_makes_nobody_hold_more_than_the_limits() {
    what_is_not_read_is_bounded(&Memory(64 * 1024)).await;
    what_is_not_read_is_bounded(&Tcp).await;
}

/// Handlers that send all that there is to send, as fast as they can, to a peer that does not read.
async fn floods_are_bounded(over: &impl Opener) {
    let budget = Budget::new(usize::MAX);
    let text = Arc::new("x".repeat(100_000));
    let (logs, progress) = (Arc::clone(&text), Arc::clone(&text));
    let server = small("s", &budget)
        .logging()
        .resource(Resource::text("a://1", "1", "one"))
        .tool(Tool::new("logs", "", move |ctx: Context| {
            let text = Arc::clone(&logs);
            async move {
                // What does not fit is an error, and nothing is held of it.
                let refused = (0..100).filter(|_| ctx.log(LoggingLevel::Error, text.as_str()).is_err()).count();
                format!("{refused} refused")
            }
        }))
        .tool(Tool::new("progress", "", move |ctx: Context| {
            let text = Arc::clone(&progress);
            async move {
                for n in 1..=200 {
                    // What does not fit is replaced by what comes next.
                    ctx.report(Progress::new(n).with_message(text.as_str())).expect("taken");
                }
                "reported"
            }
        }))
        .tool(Tool::new("changes", "", async |ctx: Context| {
            for _ in 0..2000 {
                ctx.server().changed(Change::Resource("a://1".into()));
            }
            "changed"
        }))
        .tool(Tool::new("huge", "", move || std::future::ready(text.repeat(10))));
    let mut raw = over.raw(&server).await;
    raw.initialize("2025-11-25").await;
    raw.ask(json!({ "jsonrpc": "2.0", "id": "s", "method": "resources/subscribe", "params": { "uri": "a://1" } }))
        .await;
    let peak = Peak::of(&budget);
    let tools = ["logs", "changes", "progress", "huge", "huge", "huge", "huge", "huge"];
    for (id, tool) in tools.into_iter().enumerate() {
        let params = json!({ "name": tool, "arguments": {}, "_meta": { "progressToken": id } });
        raw.send(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })).await;
    }
    until(|| budget.used() > MIB / 2).await;
    let (mut answered, mut updates) = (0, 0);
    while answered < tools.len() {
        let heard = raw.heard().await;
        answered += usize::from(heard["id"].is_u64());
        updates += usize::from(heard["method"] == "notifications/resources/updated");
        assert!(heard["error"].is_null(), "{}", heard["error"]);
    }
    // One told of all changes while there was room for it; at least one of the last.
    assert!((1..=2000).contains(&updates), "{updates}");
    println!("at most {} KiB of 38 MB", peak.most() / 1024);
    assert!(peak.most() < BOUND, "{} bytes", peak.most());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_floods_holds_no_more_than_the_limits() {
    floods_are_bounded(&Memory(64 * 1024)).await;
    floods_are_bounded(&Tcp).await;
}

/// A peer that never reads again is given up after the time that it has, and all that was held for it is free.
#[tokio::test]
async fn a_peer_that_never_reads_is_given_up() {
    let budget = Budget::new(usize::MAX);
    let server = small("s", &budget).limits(|limits| limits.stall = Duration::from_millis(200)).tool(Tool::new(
        "echo",
        "",
        async |args: Text| args.text,
    ));
    let mut raw = Tcp.raw(&server).await;
    raw.initialize("2025-11-25").await;
    let text = "x".repeat(MIB);
    let (mut sender, _silent) = raw.split();
    // What it still sends is taken while the end is under way, and then no more.
    let sending = tokio::spawn(async move {
        let mut id = 0;
        while sender.try_send(call(id, "echo", json!({ "text": text }))).await.is_ok() {
            id += 1;
        }
    });
    soon(sending).await.unwrap();
    until(|| budget.used() == 0 && server.connections() == 0).await;
}

/// A notification is handled after the other; those that wait for a slow handler are bounded in bytes, too.
#[tokio::test]
async fn notifications_for_a_slow_handler_are_bounded() {
    let budget = Budget::new(usize::MAX);
    let (open, gate) = tokio::sync::watch::channel(());
    let handled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handled);
    let server = Server::new("s", "1").budget(budget.clone()).on_notification("acme/n", move |_: Session, _: Value| {
        let (mut gate, count) = (gate.clone(), Arc::clone(&count));
        async move {
            let _ = gate.changed().await;
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut raw = Memory(64 * 1024).raw(&server).await;
    raw.initialize("2025-11-25").await;
    let text = "x".repeat(MIB);
    for _ in 0..64 {
        raw.send(json!({ "jsonrpc": "2.0", "method": "acme/n", "params": { "text": text } })).await;
    }
    raw.is_served().await;
    assert!(budget.used() > 4 * MIB && budget.used() < 10 * MIB, "{}", budget.used());
    drop(open);
    until(|| budget.used() < MIB).await;
    let handled = handled.load(Ordering::SeqCst);
    assert!((4..=9).contains(&handled), "{handled}: the newest, and the one at work");
}

/// Many connections, each within its own limits: together they hold no more than the budget, and who holds little notices nothing.
async fn all_together_are_bounded(over: &impl Opener) {
    const LIMIT: usize = 8 * MIB;
    let budget = Budget::new(LIMIT);
    let (open, gate) = tokio::sync::watch::channel(());
    let wait = Tool::new("wait", "", move || {
        let mut gate = gate.clone();
        async move {
            let _ = gate.changed().await;
            "waited"
        }
    });
    let server =
        Server::new("s", "1")
            .budget(budget.clone())
            .tool(wait)
            .tool(Tool::new("echo", "", async |args: Text| args.text));
    let builder = || Client::builder("good", "1");
    let (idle, working) = (over.open(&server, builder()).await, over.open(&server, builder()).await);
    let waiting = tokio::spawn(working.call_tool("wait", ()).into_future());
    let peak = Peak::of(&budget);
    let mut others = tokio::task::JoinSet::new();
    for n in 0..32 {
        let raw = over.raw(&server).await;
        others.spawn(async move {
            let (mut sender, hearer) = raw.split();
            let half = vec![b'x'; 64 * 1024];
            for _ in 0..16 {
                if sender.try_bytes(&half).await.is_err() {
                    return (n, None);
                }
            }
            (n, Some((sender, hearer)))
        });
    }
    let mut held = Vec::new();
    while let Some(done) = within(Duration::from_secs(60), others.join_next()).await {
        held.push(done.unwrap());
    }
    // 8 of 32 fit.
    until(|| budget.closed() >= 24 && budget.used() <= LIMIT).await;
    assert!(budget.closed() <= 32, "{}", budget.closed());
    println!("at most {} KiB of {}", peak.most() / 1024, LIMIT / 1024);
    // What a connection reads before somebody else goes: a few pieces.
    assert!(peak.most() < LIMIT + 4 * MIB, "{}", peak.most());
    // And who holds little is as before.
    let echoed = soon(idle.call_tool("echo", json!({ "text": "still here" })).into_future()).await.unwrap();
    assert_eq!(echoed.joined_text(), "still here");
    drop(open);
    assert_eq!(soon(waiting).await.unwrap().unwrap().joined_text(), "waited");
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_together_hold_no_more_than_the_budget() {
    all_together_are_bounded(&Memory(64 * 1024)).await;
    all_together_are_bounded(&Tcp).await;
}

/// A request that is too much is refused in words that say that it may be sent again; nobody has to go for it.
#[tokio::test]
async fn a_request_over_the_budget_is_refused_and_may_be_sent_again() {
    let budget = Budget::new(MIB);
    let (open, gate) = tokio::sync::watch::channel(());
    let wait = Tool::new("wait", "", move |_: Text| {
        let mut gate = gate.clone();
        async move {
            let _ = gate.changed().await;
            "waited"
        }
    });
    let server = Server::new("s", "1").budget(budget.clone()).tool(wait);
    let client = Memory(64 * 1024).open(&server, Client::builder("c", "1")).await;
    let wait = || client.call_tool("wait", json!({ "text": "x".repeat(20 * 1024) })).into_future();
    let mut waiting = tokio::task::JoinSet::new();
    let refused = loop {
        let before = budget.used();
        waiting.spawn(wait());
        tokio::select! {
            done = waiting.join_next() => break done.unwrap().unwrap().unwrap_err(),
            () = until(|| budget.used() > before + 10 * 1024) => {}
        }
    };
    assert_eq!(refused.rpc().unwrap().data, Some(json!({ "retryable": true })), "{refused}");
    assert!(refused.to_string().contains("tools/call was refused"), "{refused}");
    assert!(waiting.len() > 30, "{} were not too much", waiting.len());
    drop(open);
    while let Some(done) = soon(waiting.join_next()).await {
        done.unwrap().unwrap();
    }
    soon(wait()).await.unwrap();
    assert_eq!(budget.closed(), 0);
}

/// The same for clients: a server that makes them hold too much is closed, and says so.
#[tokio::test]
async fn a_client_whose_server_makes_it_hold_too_much_is_closed() {
    use common::scripted::Scripted;

    let budget = Budget::new(2 * MIB);
    let builder = Client::builder("c", "1").budget(budget.clone()).on_notification(|_| std::future::pending());
    let (client, stage) =
        Scripted::new(mcp::ProtocolVersion::V2025_11_25).connect(builder, |_: &Value| Vec::new()).await;
    for _ in 0..4 {
        stage.say(json!({ "jsonrpc": "2.0", "method": "acme/n", "params": { "text": "x".repeat(MIB) } }));
    }
    assert_eq!(soon(client.closed()).await, CloseReason::Overloaded);
    assert_eq!(budget.closed(), 1);
}

/// The same from outside: the memory of a process whose client asks for much and hears nothing.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_process_whose_client_does_not_read_stays_small() {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_peer"))
        .arg("serve")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut raw = common::Raw::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    raw.initialize("2025-11-25").await;
    let (mut sender, mut hearer) = raw.split();
    let text = "x".repeat(MIB);
    let sending = tokio::spawn(async move {
        for id in 0..64 {
            sender.send(call(id, "echo", json!({ "text": text }))).await;
        }
        sender
    });
    let status = format!("/proc/{}/status", child.id().unwrap());
    let resident = |field: &str| {
        let status = std::fs::read_to_string(&status).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(field)).expect("a field").to_owned();
        line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number")
    };
    // Its output is at its limit of 8 MiB, so that it reads no more.
    until(|| resident("VmRSS:") > 8 * 1024).await;
    for _ in 0..64 {
        assert!(hearer.heard().await["result"].is_object());
    }
    let peak = resident("VmHWM:");
    println!("peak after 64 MiB of calls and as much of answers: {peak} KiB");
    assert!(peak < 96 * 1024, "{peak} KiB");
    drop(soon(sending).await.unwrap());
    assert!(soon(child.wait()).await.unwrap().success());
}
