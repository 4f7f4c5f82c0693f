//! Many processes and many connections, one after the other, on every runtime: nothing is left of them. A program of its own, since it
//! counts what the process has; its tests wait for each other.
#![cfg(target_os = "linux")]

mod common;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::each::{self, Adapter, soon, until};
use common::place::{Place, Transport};
use mcp::process::{Command, Shutdown, Stderr};
use mcp::{Client, ClientBuilder, Restart};
use serde_json::json;

common::each::scenarios! {
    scenarios::connections over memory tcp unix stream,
        not child: "each connection of a child is a process, which `children` is about";
    scenarios::children over child,
        not memory: "it is about processes, and a pair has none",
        not tcp: "it is about processes: whoever connects starts none",
        not unix: "it is about processes: whoever connects starts none",
        not stream: "it is about processes: whoever opens a stream starts none";
    scenarios::restarts over child stream,
        not memory: "a pair cannot be opened again: the way to do so is a stream in memory, which is a stream",
        not tcp: "what restarts is given a function that opens a stream; over TCP it is the one of `stream`",
        not unix: "what restarts is given a function that opens a stream, whatever is behind it";
}

mod scenarios {
    pub(crate) use super::{children, connections, restarts};
}

#[test]
fn every_scenario_is_played_on_every_runtime_over_every_transport_or_says_why_not() {
    each::is_whole(TABLE);
}

/// One at a time: each counts what the whole process has.
fn play(on: &'static dyn Adapter, body: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());

    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    each::run(on, body);
}

/// What a process has.
#[derive(Clone, Copy, Debug)]
struct Has {
    descriptors: usize,
    threads: usize,
    /// Those that it has started and not reaped, too.
    children: usize,
    /// Of tokio; the others do not count theirs.
    tasks: usize,
    kib: usize,
}

impl Has {
    fn now() -> Self {
        let count = |folder: &str| std::fs::read_dir(folder).expect("readable").count();
        let status = std::fs::read_to_string("/proc/self/status").expect("readable");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let own = format!(" {} ", std::process::id());
        let stats = std::fs::read_dir("/proc").expect("readable").flatten();
        let stats = stats.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            // State, parent: behind the name in parentheses.
            children: stats.filter(|stat| stat.rsplit_once(") ").is_some_and(|it| it.1[1..].starts_with(&own))).count(),
            tasks: tokio::runtime::Handle::try_current().map_or(0, |tokio| tokio.metrics().num_alive_tasks()),
            kib: line.split_whitespace().nth(1).expect("a number").parse().expect("a number"),
        }
    }

    fn is_no_more_than(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.threads <= before.threads
            && self.children <= before.children
            && self.tasks <= before.tasks
    }
}

/// Does something so often, and looks whether that leaves anything behind.
async fn leaves_nothing(
    on: &'static dyn Adapter,
    warm: usize,
    times: usize,
    kib: usize,
    mut once: impl AsyncFnMut(usize),
) {
    for n in 0..warm {
        once(n).await;
    }
    // What the first ones have left to threads of their own goes in its own time.
    let mut before = Has::now();
    for _ in 0..50 {
        on.sleep(Duration::from_millis(2)).await;
        let now = Has::now();
        if now.is_no_more_than(&before) {
            before = now;
        }
    }
    for n in 0..times {
        once(warm + n).await;
    }
    let mut after = Has::now();
    until(on, || {
        after = Has::now();
        after.is_no_more_than(&before)
    })
    .await;
    println!("{times} on {}: {before:?} before, {after:?} after", on.name());
    assert!(after.kib < before.kib + kib, "{before:?} before, {after:?} after");
}

async fn used(on: &dyn Adapter, client: &Client) {
    let echoed = soon(on, client.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
    assert_eq!(echoed.joined_text(), "x");
}

/// A client that holds something for as long as anything of it is there, such as a task.
fn holding(held: &Arc<()>) -> ClientBuilder {
    let held = Arc::clone(held);
    Client::builder("c", "1").on_log(move |_| _ = &held)
}

/// Closed in good order or dropped.
pub(crate) async fn connections(on: &'static dyn Adapter, over: Transport) {
    let (place, held) = (Place::new(on, over).await, Arc::new(()));
    leaves_nothing(on, 200, 2000, 1024, async |n| {
        let client = place.client(holding(&held)).await;
        used(on, &client).await;
        match n % 2 {
            0 => _ = soon(on, client.close()).await,
            _ => drop(client),
        }
    })
    .await;
    until(on, || place.server.connections() == 0 && Arc::strong_count(&held) == 1).await;
}

/// With and without captured standard error, ended in good order, dropped, or killed.
pub(crate) async fn children(on: &'static dyn Adapter, over: Transport) {
    let (mut place, held) = (Place::new(on, over).await, Arc::new(()));
    let shutdown = Shutdown { term_after: Duration::from_millis(500), ..Shutdown::default() };
    leaves_nothing(on, 12, 100, 2048, async |n| {
        let stderr = if n % 2 == 0 { Stderr::Null } else { Stderr::Lines(Arc::new(|_: &str| {})) };
        let command = Command::new(env!("CARGO_BIN_EXE_peer")).args(["fixture-on", on.name()]);
        let client = on.spawn(command.stderr(stderr).shutdown(shutdown), holding(&held));
        let client = soon(on, client).await.expect("a server");
        used(on, &client).await;
        match n % 3 {
            0 => _ = soon(on, client.close()).await,
            1 => drop(client),
            _ => {
                place.kill(&client);
                soon(on, client.closed()).await;
            }
        }
    })
    .await;
    until(on, || Arc::strong_count(&held) == 1).await;
}

/// A server that ends again and again.
pub(crate) async fn restarts(on: &'static dyn Adapter, over: Transport) {
    let (mut place, held) = (Place::new(on, over).await, Arc::new(()));
    let restart =
        Restart::new().backoff(Duration::from_millis(1), Duration::from_millis(1)).at_most(1000, Duration::MAX);
    let client = place.restarting(holding(&held), restart).await;
    leaves_nothing(on, 3, 30, 2048, async |_| {
        used(on, &client).await;
        let before = client.restarts();
        place.kill(&client);
        until(on, || client.restarts() > before).await;
        used(on, &client).await;
    })
    .await;
    assert_eq!(client.restarts(), 33);
    soon(on, client.close()).await;
    until(on, || Arc::strong_count(&held) == 1).await;
}
