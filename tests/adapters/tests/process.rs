//! Real processes that end, are killed, or will not go: who notices, how soon, and what is left behind.
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{BOUND, call, raw_server, soon, until, within};
use mcp::process::{Command, How, Shutdown};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// How soon a server must have noticed that its client was killed.
const NOTICED: Duration = Duration::from_secs(2);

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Kills a client with `tool` in flight and measures how long its server lives on: the server has the client's standard
/// error, so that pipe ends when both are gone.
async fn server_outlives_its_client_by(tool: &str) -> Duration {
    let mut client = tokio::process::Command::new(PEER)
        .args(["client", "serve", tool])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut stderr = BufReader::new(client.stderr.take().expect("piped"));
    let mut heard = String::new();
    while !heard.ends_with("in flight\n") {
        assert_ne!(soon(stderr.read_line(&mut heard)).await.expect("readable"), 0, "{heard}");
    }
    let server = heard.lines().find_map(|line| line.strip_prefix("server ")?.parse().ok()).expect("its process id");
    assert!(is_there(server));
    let killed = Instant::now();
    client.kill().await.expect("it runs");
    within(BOUND, stderr.read_to_string(&mut heard)).await.expect("readable");
    let took = killed.elapsed();
    until(|| !is_there(server) || is_zombie(server)).await;
    println!("with {tool} in flight the server lived on for {took:?}");
    took
}

/// A process whose parent was killed is reaped by whoever adopts it, in its own time.
fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// Specification: basic/transports (stdio), basic/lifecycle (shutdown).
#[tokio::test]
async fn a_killed_client_takes_its_idle_server_along() {
    assert!(server_outlives_its_client_by("idle").await < NOTICED);
}

/// Specification: basic/lifecycle (shutdown).
#[tokio::test]
async fn a_killed_client_takes_its_working_server_along() {
    assert!(server_outlives_its_client_by("slow").await < NOTICED);
    assert!(server_outlives_its_client_by("counted").await < NOTICED);
}

/// Specification: basic/lifecycle (shutdown).
#[tokio::test]
async fn a_killed_client_takes_its_blocked_server_along() {
    assert!(server_outlives_its_client_by("block").await < NOTICED);
}

/// Specification: basic/lifecycle (shutdown): the client closes the input, the server exits.
#[tokio::test]
async fn at_the_end_of_input_what_is_in_work_is_still_answered() {
    let (mut server, mut raw) = raw_server("serve");
    raw.initialize("2025-11-25").await;
    raw.send(call(1, "slow", json!({ "ms": 300 }))).await;
    raw.send(call(2, "block", json!({ "ms": 300 }))).await;
    raw.send(call(3, "echo", json!({ "text": "x" }))).await;
    raw.end().await;
    let mut answered = Vec::new();
    while let Some(answer) = raw.hear().await {
        assert_eq!(answer["result"]["content"][0]["type"], "text", "{answer}");
        answered.push(answer["id"].as_u64().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3]);
    let status = soon(server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}

/// Specification: basic/lifecycle (shutdown).
#[tokio::test]
async fn the_end_of_input_ends_a_server_with_nothing_in_work_at_once() {
    for handshake in [true, false] {
        let (mut server, mut raw) = raw_server("serve");
        if handshake {
            raw.initialize("2024-11-05").await;
        }
        raw.end().await;
        assert_eq!(raw.hear().await, None);
        let status = within(NOTICED, server.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

const BRISK: Shutdown = Shutdown { term_after: Duration::from_millis(200), kill_after: Duration::from_millis(300) };

/// Specification: basic/lifecycle (shutdown): close the input, SIGTERM, SIGKILL.
#[tokio::test]
async fn a_child_that_will_not_go_is_killed() {
    let client = soon(common::spawn(Command::new(PEER).arg("stubborn").shutdown(BRISK))).await.unwrap();
    let pid = client.child().unwrap().id();
    let start = Instant::now();
    let exit = soon(client.close()).await.unwrap();
    let took = start.elapsed();
    println!("killed after {took:?}");
    assert_eq!(exit.how, How::Killed, "{exit}");
    assert!(took >= BRISK.term_after + BRISK.kill_after, "{took:?}");
    assert!(took < BRISK.term_after + BRISK.kill_after + NOTICED, "{took:?}");
    assert!(!is_there(pid), "a zombie is left");
}

#[tokio::test]
async fn the_usual_ladder_takes_two_seconds_a_step() {
    let client = soon(common::spawn([PEER, "stubborn"])).await.unwrap();
    let start = Instant::now();
    let exit = soon(client.close()).await.unwrap();
    let took = start.elapsed();
    assert_eq!(exit.how, How::Killed, "{exit}");
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_child_that_never_reads_holds_up_neither_deadlines_nor_the_end() {
    let client = soon(common::spawn(Command::new(PEER).arg("deaf").shutdown(BRISK))).await.unwrap();
    let pid = client.child().unwrap().id();
    let text = "x".repeat(1 << 20);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (client, text) = (client.clone(), text.clone());
        let idle = Duration::from_millis(300);
        calls.spawn(async move { client.call_tool("echo", json!({ "text": text })).idle(idle).await });
    }
    while let Some(call) = soon(calls.join_next()).await {
        let error = call.unwrap().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
    }
    let start = Instant::now();
    let exit = soon(client.close()).await.unwrap();
    println!("closed after {:?}: {exit}", start.elapsed());
    // 2 s for open calls to end, 2 s for the output to leave, the ladder.
    assert!(start.elapsed() < Duration::from_secs(4) + BRISK.term_after + BRISK.kill_after + NOTICED);
    assert_eq!(exit.how, How::Terminated, "{exit}");
    assert!(!is_there(pid), "a zombie is left");
}

/// More than the queue holds: also a call that cannot even be queued has its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_wait_for_room_have_deadlines_too() {
    let client = soon(common::spawn(Command::new(PEER).arg("deaf").shutdown(BRISK))).await.unwrap();
    let text = "x".repeat(1 << 20);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, text) = (client.clone(), text.clone());
        let idle = Duration::from_millis(300);
        calls.spawn(async move { client.call_tool("echo", json!({ "text": text })).idle(idle).await });
    }
    while let Some(call) = soon(calls.join_next()).await {
        let error = call.unwrap().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
    }
    soon(client.close()).await.unwrap();
}

#[tokio::test]
async fn dropping_the_client_ends_the_child_and_leaves_no_zombie() {
    let client = soon(common::spawn([PEER, "serve"])).await.unwrap();
    let pid = client.child().unwrap().id();
    let clone = client.clone();
    drop(client);
    soon(clone.ping().into_future()).await.unwrap();
    assert!(is_there(pid));
    drop(clone);
    within(NOTICED, until(|| !is_there(pid))).await;
}

#[tokio::test]
async fn dropping_a_connection_under_way_ends_the_child() {
    // `cat` gives our own `initialize` back, which is no answer.
    let mut connecting = Box::pin(common::spawn(Command::new("cat").shutdown(BRISK)));
    tokio::select! {
        biased;
        _ = &mut connecting => panic!("cat is no server"),
        () = until(|| children_called("cat") > 0) => {}
    }
    drop(connecting);
    until(|| children_called("cat") == 0).await;
}

/// How many children of this process have that name, zombies included.
fn children_called(name: &str) -> usize {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").expect("readable").flatten();
    let stats = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let (head, rest) = stat.rsplit_once(") ").unwrap_or_default();
            head.ends_with(&format!("({name}")) && rest.split(' ').nth(1) == Some(&own)
        })
        .count()
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    for program in ["no-such-program-anywhere", "/no/such/program"] {
        let error = soon(common::spawn([program, "argument"])).await.unwrap_err();
        assert!(matches!(error, mcp::Error::Io(_)), "{error:?}");
        assert!(error.to_string().contains(program), "{error}");
    }
}

#[tokio::test]
async fn a_child_that_dies_before_the_handshake_is_an_error() {
    let error = soon(common::spawn(["false"])).await.unwrap_err();
    assert!(error.is_closed() && error.to_string().contains("exit status: 1"), "{error:?}");
}

#[test]
fn outside_of_a_runtime_is_an_error_and_no_panic() {
    use std::task::{Context, Poll, Waker};

    let mut spawning = std::pin::pin!(common::spawn([PEER, "serve"]));
    let Poll::Ready(Err(error)) = spawning.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("neither a runtime nor an error");
    };
    assert!(error.to_string().contains("runtime"), "{error}");
}

/// The queue is full of calls that have a minute; a call behind them has not.
#[tokio::test]
async fn a_call_behind_a_full_queue_has_its_deadline() {
    use std::task::{Context, Waker};

    let client = soon(common::spawn(Command::new(PEER).arg("deaf").shutdown(BRISK))).await.unwrap();
    let text = "x".repeat(1 << 20);
    let mut calls = Vec::new();
    for _ in 0..16 {
        let mut call = Box::pin(client.call_tool("echo", json!({ "text": text })).into_future());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        calls.push(call);
        tokio::task::yield_now().await;
    }
    let error = soon(client.ping().idle(Duration::from_millis(300)).into_future()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    soon(client.close()).await.unwrap();
    for call in calls {
        assert!(soon(call).await.unwrap_err().is_closed());
    }
}
