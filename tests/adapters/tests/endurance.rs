//! Many processes and many connections, one after the other: nothing is left of them. A program of its own, since it counts what the process has;
//! its tests wait for each other.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::time::Duration;

use common::openers::{Memory, Opener, Tcp};
use common::{soon, until, within};
use mcp::process::{Command, Shutdown, Stderr};
use mcp::{Client, Restart, Server, Tool};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// One at a time: each counts what the whole process has.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What a process has.
#[derive(Clone, Copy, Debug)]
struct Has {
    descriptors: usize,
    threads: usize,
    /// Those that it has started and not reaped, too.
    children: usize,
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
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
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
async fn leaves_nothing(what: &str, warm: usize, times: usize, kib: usize, mut once: impl AsyncFnMut(usize)) {
    for n in 0..warm {
        once(n).await;
    }
    // What the first ones have left to threads of their own goes in its own time.
    let mut before = Has::now();
    for _ in 0..100 {
        tokio::task::yield_now().await;
        let now = Has::now();
        if now.is_no_more_than(&before) {
            before = now;
        }
    }
    for n in 0..times {
        once(warm + n).await;
    }
    let mut after = Has::now();
    until(|| {
        after = Has::now();
        after.is_no_more_than(&before)
    })
    .await;
    println!("{times} {what}: {before:?} before, {after:?} after");
    assert!(after.kib < before.kib + kib, "{what}: {before:?} before, {after:?} after");
}

async fn used(client: &Client) {
    let echoed = soon(client.call_tool("echo", json!({ "text": "x" })).into_future()).await.expect("an answer");
    assert_eq!(echoed.joined_text(), "x");
}

/// With and without captured standard error, ended in good order, dropped, or killed.
#[tokio::test]
async fn a_hundred_child_processes_in_a_row_leave_nothing() {
    let _alone = ALONE.lock().await;
    let shutdown = Shutdown { term_after: Duration::from_millis(500), ..Shutdown::default() };
    leaves_nothing("child processes", 12, 100, 2048, async |n| {
        let stderr = if n % 2 == 0 { Stderr::Null } else { Stderr::Lines(std::sync::Arc::new(|_: &str| {})) };
        let command = Command::new(PEER).arg("serve").stderr(stderr).shutdown(shutdown);
        let client = soon(common::spawn(command)).await.expect("a server");
        used(&client).await;
        match n % 3 {
            0 => drop(soon(client.close()).await),
            1 => drop(client),
            _ => {
                let pid = client.child().expect("a child").id();
                kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
                soon(client.closed()).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn restarts_of_a_child_leave_nothing() {
    let _alone = ALONE.lock().await;
    let restart =
        Restart::new().backoff(Duration::from_millis(1), Duration::from_millis(1)).at_most(1000, Duration::MAX);
    let client = soon(mcp_tokio::spawn_restarting([PEER, "serve"], Client::builder("c", "1"), restart)).await.unwrap();
    leaves_nothing("restarts", 3, 30, 2048, async |_| {
        used(&client).await;
        let (child, before) = (client.child().expect("a child"), client.restarts());
        kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        until(|| client.restarts() > before).await;
        used(&client).await;
    })
    .await;
    assert_eq!(client.restarts(), 33);
    soon(client.close()).await;
}

async fn connections(what: &str, over: &impl Opener, times: usize) {
    let _alone = ALONE.lock().await;
    let echo = Tool::new("echo", "", async |args: std::collections::BTreeMap<String, String>| args["text"].clone());
    let server = Server::new("s", "1").tool(echo);
    leaves_nothing(what, 100, times, 1024, async |n| {
        let client = over.open(&server, Client::builder("c", "1")).await;
        used(&client).await;
        match n % 2 {
            0 => drop(soon(client.close()).await),
            _ => drop(client),
        }
    })
    .await;
    within(Duration::from_secs(20), until(|| server.connections() == 0)).await;
}

#[tokio::test]
async fn two_thousand_connections_in_a_row_leave_nothing() {
    connections("connections", &Tcp, 2000).await;
    connections("pairs in memory", &Memory(64 * 1024), 2000).await;
}
