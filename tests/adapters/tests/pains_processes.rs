//! Faults that users of many SDKs have suffered from, each by its number in the manifest (`tests/manifest/pains.txt`): processes that
//! outlive each other, print where they should not, or do not end.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use common::{BOUND, Raw, call, raw_server, soon, until, within};
use mcp::process::{Command, Shutdown, Stderr};
use mcp::{Client, ProtocolVersion};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// How soon somebody must have noticed that nobody needs them any more.
const NOTICED: Duration = Duration::from_secs(2);

/// Whether a process runs. One that nobody has reaped yet does not: whoever adopts it takes their time.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The processor time that a process has used, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit_once(") ").expect("a name").1.split(' ').skip(11).take(2);
    fields.map(|field| field.parse::<u64>().expect("a number")).sum()
}

/// Kills a client that has started a server and called `slow`, and waits until everybody who was started is gone.
async fn killed_clients_take_along(mode: &str, tool: &str) {
    let mut client = tokio::process::Command::new(PEER)
        .args(["client", mode, tool])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut stderr = BufReader::new(client.stderr.take().expect("piped"));
    let mut heard = String::new();
    // The gateway has its own server say that the call arrived, too.
    while heard.matches("in flight\n").count() < if mode == "gateway" { 2 } else { 1 } {
        assert_ne!(soon(stderr.read_line(&mut heard)).await.expect("readable"), 0, "{heard}");
    }
    let pids = heard.lines().filter_map(|line| line.strip_prefix("server ").or_else(|| line.strip_prefix("behind ")));
    let pids = pids.map(|pid| pid.parse().expect("a process id")).collect::<Vec<u32>>();
    assert_eq!(pids.len(), if mode == "gateway" { 2 } else { 1 }, "{heard}");
    assert!(pids.iter().all(|pid| runs(*pid)));
    let killed = Instant::now();
    client.kill().await.expect("it runs");
    // All of them have this pipe as their standard error: it ends with the last.
    within(BOUND, stderr.read_to_string(&mut heard)).await.expect("readable");
    let took = killed.elapsed();
    assert!(took < NOTICED * 2, "{mode} {tool}: {took:?}");
    until(|| !pids.iter().any(|pid| runs(*pid))).await;
}

/// Servers stayed for ever when their client was killed, by the hundreds, and so did the helpers that they had started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_4_a_killed_client_leaves_no_process_of_its_tree() {
    killed_clients_take_along("serve", "slow").await;
    killed_clients_take_along("gateway", "slow").await;
}

/// And some of them spun at full speed meanwhile.
#[tokio::test]
async fn pain_4_a_server_at_the_end_of_its_input_does_not_spin() {
    let (server, mut raw) = raw_server("serve");
    let pid = server.id().unwrap();
    raw.initialize("2025-11-25").await;
    let before = ticks(pid);
    raw.send(call(1, "slow", json!({ "ms": 1500 }))).await;
    raw.end().await;
    let answer = raw.heard().await;
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    // The process is there until its standard output is closed, which we have not heard yet, or it is a zombie that still tells.
    let used = ticks(pid) - before;
    assert!(used < 50, "{used} hundredths of a second of work in 1.5 s");
    assert_eq!(raw.hear().await, None);
}

/// A wrapper such as `npx` that has started the real server, which has started helpers: closing the client ends all of them.
#[tokio::test]
async fn pain_4_a_closed_client_ends_the_whole_tree_of_its_server() {
    for end in ["close", "drop"] {
        let (tell, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let stderr = Stderr::Lines(Arc::new(move |line: &str| drop(tell.send(line.to_owned()))));
        let script = format!("sleep 120 & echo helper $! >&2; '{PEER}' serve; wait");
        let shutdown = Shutdown { term_after: Duration::from_millis(200), ..Shutdown::default() };
        let command = Command::new("sh").args(["-c", &script]).stderr(stderr).shutdown(shutdown);
        let client = soon(mcp_tokio::spawn(command)).await.unwrap();
        let line = soon(lines.recv()).await.unwrap();
        let helper = line.strip_prefix("helper ").unwrap().parse().unwrap();
        let wrapper = client.child().unwrap().id();
        assert!(runs(helper) && runs(wrapper));
        if end == "close" {
            soon(client.close()).await.unwrap();
            assert!(!Path::new(&format!("/proc/{wrapper}")).exists(), "reaped");
        } else {
            drop(client);
        }
        until(|| !runs(helper) && !Path::new(&format!("/proc/{wrapper}")).exists()).await;
    }
}

/// A runtime that ends, or the thread of a client that panics, leaves no child: not one that runs, and no zombie.
#[test]
fn pain_4_the_end_of_a_runtime_and_a_panic_leave_no_child() {
    let shutdown = Shutdown { term_after: Duration::from_millis(100), kill_after: Duration::from_millis(100) };
    let mut pids = Vec::new();
    for end in ["shutdown", "background", "panic"] {
        for mode in ["serve", "stubborn"] {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let command = Command::new(PEER).arg(mode).shutdown(shutdown);
            let client = runtime.block_on(common::spawn(command)).unwrap();
            pids.push(client.child().unwrap().id());
            match end {
                "shutdown" => {
                    runtime.spawn(async move { client.closed().await });
                    runtime.shutdown_timeout(BOUND);
                }
                "background" => {
                    runtime.spawn(async move { client.closed().await });
                    runtime.shutdown_background();
                }
                _ => {
                    let panicked = std::thread::spawn(move || {
                        runtime.block_on(async move {
                            let _client = client;
                            panic!("in the middle of everything");
                        });
                    });
                    panicked.join().unwrap_err();
                }
            }
        }
    }
    let start = Instant::now();
    while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        assert!(start.elapsed() < BOUND, "left behind: {pids:?}");
        std::thread::yield_now();
    }
}

/// What a server prints on the wire, in front of, between and behind its messages, broke clients or ended them.
#[tokio::test]
async fn pain_20_noise_at_every_position_is_passed_over() {
    for version in [D, E] {
        // It speaks the legacy era only: a client of both eras finds out through the noise.
        let versions = if version == D { vec![D] } else { vec![D, E] };
        let client = Client::builder("c", "1").versions(versions);
        let client = soon(mcp_tokio::spawn_with([PEER, "noisy"], client)).await.unwrap();
        for n in 0..100 {
            let text = format!("call {n}");
            let answer = soon(client.call_tool("echo", json!({ "text": text })).into_future()).await.unwrap();
            assert_eq!(answer.joined_text(), text);
        }
        assert!(client.stats().broken_rules > 1000, "{:?}", client.stats());
        let exit = soon(client.close()).await.unwrap();
        assert!(exit.status.unwrap().success(), "{exit}");
    }
}

/// A standard error that nobody read filled up, and the server stood still in the middle of its log.
#[tokio::test]
async fn pain_20_a_flood_on_stderr_holds_up_no_call_however_slow_its_reader() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let stuck = Stderr::Lines(Arc::new(move |_: &str| {
        let _ = gate.lock().unwrap().recv();
    }));
    for stderr in [stuck, Stderr::Null] {
        let client = soon(common::spawn(Command::new(PEER).arg("serve").stderr(stderr))).await.unwrap();
        // 10 MB.
        let answer = soon(client.call_tool("flood", json!({ "lines": 100_000 })).into_future()).await.unwrap();
        assert_eq!(answer.joined_text(), "written");
        soon(client.ping().into_future()).await.unwrap();
        assert!(soon(client.close()).await.unwrap().status.unwrap().success());
    }
    drop(open);
}

/// What a server is in the middle of when it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    InALine,
    Idle,
    Working,
    Blocked,
    Asking,
    Unread,
    Listened,
}

/// How it is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// SIGTERM.
    Term,
    /// The end of its input; somebody still reads its output.
    Eof,
    /// Nobody is there any more.
    Gone,
}

async fn bring_into(state: State, raw: &mut Raw) {
    match state {
        State::Fresh => {}
        State::InALine => raw.bytes(br#"{"jsonrpc":"2.0","id":1,"meth"#).await,
        State::Idle => drop(raw.initialize("2025-11-25").await),
        State::Working | State::Blocked => {
            raw.initialize("2025-11-25").await;
            let tool = if state == State::Working { "slow" } else { "block" };
            raw.send(call(1, tool, json!({ "ms": 60_000 }))).await;
            raw.is_served().await;
        }
        State::Asking => {
            raw.initialize_with("2025-11-25", json!({ "elicitation": {} })).await;
            raw.send(call(1, "ask", json!({}))).await;
            assert_eq!(raw.heard().await["method"], "elicitation/create");
        }
        State::Unread => {
            raw.initialize("2025-11-25").await;
            let text = "x".repeat(1 << 20);
            for id in 0..6 {
                raw.send(call(id, "echo", json!({ "text": text }))).await;
            }
        }
        State::Listened => {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            let params = json!({ "notifications": { "toolsListChanged": true }, "_meta": meta });
            raw.send(json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params })).await;
            assert_eq!(raw.heard().await["method"], "notifications/subscriptions/acknowledged");
        }
    }
}

/// Servers hung when they were to end, or cut off the answers that they still owed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pain_24_a_server_ends_by_its_deadline_whatever_it_is_in_the_middle_of() {
    let states = [
        State::Fresh,
        State::InALine,
        State::Idle,
        State::Working,
        State::Blocked,
        State::Asking,
        State::Unread,
        State::Listened,
    ];
    let mut cases = tokio::task::JoinSet::new();
    for state in states {
        for stop in [Stop::Term, Stop::Eof, Stop::Gone] {
            cases.spawn(async move {
                let (mut server, mut raw) = raw_server("brisk");
                bring_into(state, &mut raw).await;
                let start = Instant::now();
                let _held = match stop {
                    Stop::Term => {
                        let pid = Pid::from_raw(server.id().unwrap().try_into().unwrap()).unwrap();
                        kill_process(pid, Signal::TERM).unwrap();
                        Some(raw)
                    }
                    Stop::Eof => {
                        raw.end().await;
                        Some(raw)
                    }
                    Stop::Gone => {
                        drop(raw);
                        None
                    }
                };
                let ended = tokio::time::timeout(BOUND, server.wait()).await;
                ended.unwrap_or_else(|_| panic!("{state:?} {stop:?}: still there")).unwrap();
                // What is in work has a second here, and the output two more to be closed.
                let has_work = matches!(state, State::Working | State::Blocked | State::Unread);
                let deadline = if stop == Stop::Eof && has_work { Duration::from_secs(3) } else { Duration::ZERO };
                let took = start.elapsed();
                assert!(took < deadline + NOTICED, "{state:?} {stop:?}: {took:?}");
            });
        }
    }
    while let Some(done) = soon(cases.join_next()).await {
        done.unwrap();
    }
}

/// Clients hung in their own end: on a call that is not answered, on a server that does not read, or does not go.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pain_24_a_client_ends_by_its_deadline_whatever_its_server_does() {
    let brisk = Shutdown { term_after: Duration::from_millis(200), kill_after: Duration::from_millis(200) };
    let mut cases = tokio::task::JoinSet::new();
    for (mode, tool) in [("serve", ""), ("serve", "slow"), ("serve", "block"), ("deaf", "echo"), ("stubborn", "slow")] {
        cases.spawn(async move {
            let client = soon(common::spawn(Command::new(PEER).arg(mode).shutdown(brisk))).await.unwrap();
            let pid = client.child().unwrap().id();
            let mut calls = tokio::task::JoinSet::new();
            if !tool.is_empty() {
                // The last ones do not fit into the pipe.
                for _ in 0..4 {
                    let arguments = json!({ "ms": 60_000, "text": "x".repeat(1 << 20) });
                    calls.spawn(client.call_tool(tool, arguments).into_future());
                }
                tokio::task::yield_now().await;
            }
            let start = Instant::now();
            soon(client.close()).await.unwrap();
            let took = start.elapsed();
            // Two seconds for the calls, two to write and close, and the ladder.
            assert!(took < Duration::from_secs(5) + NOTICED, "{mode} {tool}: {took:?}");
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{mode} {tool}");
            while let Some(ended) = soon(calls.join_next()).await {
                let error = ended.unwrap().unwrap_err();
                assert!(error.is_closed(), "{mode} {tool}: {error:?}");
            }
        });
    }
    while let Some(done) = soon(cases.join_next()).await {
        done.unwrap();
    }
}

/// What a server still owes at the end of its input is answered, also when it comes late.
#[tokio::test]
async fn pain_24_answers_that_are_owed_are_not_cut_off() {
    let (mut server, mut raw) = raw_server("serve");
    raw.initialize("2025-11-25").await;
    let text = "x".repeat(1 << 20);
    for id in 0..8 {
        raw.send(call(id, "slow", json!({ "ms": 100 * id }))).await;
    }
    raw.send(call(8, "echo", json!({ "text": text }))).await;
    raw.end().await;
    let mut answered = Vec::new();
    while let Some(answer) = raw.hear().await {
        assert!(answer["result"]["content"][0]["text"].is_string(), "{}", answer["id"]);
        answered.push(answer["id"].as_u64().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..9).collect::<Vec<_>>());
    assert!(soon(server.wait()).await.unwrap().success());
}
