//! What goes over the pipes of real processes: many calls, noise, floods, endless lines, and the environment.
#![cfg(target_os = "linux")]

mod common;

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Raw, call, soon, until, within};
use mcp::process::{Command, INHERITED_ENV, Stderr};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// Lines of a child's standard error, as they come.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn stderr(&self) -> Stderr {
        let lines = self.clone();
        Stderr::Lines(Arc::new(move |line: &str| lines.lock().push(line.to_owned())))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().expect("no panic under the lock")
    }

    fn have(&self, wanted: &str) -> bool {
        self.lock().iter().any(|line| line == wanted)
    }
}

/// 10 000 calls lose no answer, and neither side grows by a MiB.
async fn many_calls(at_once: &str) {
    let child = tokio::process::Command::new(PEER).args(["many", at_once]).kill_on_drop(true).output();
    let output = within(Duration::from_secs(50), child).await.expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let growth: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    println!("{at_once} at a time, KiB after 1 000 and 10 000 calls: {growth}");
    for side in ["own", "server"] {
        let [warm, hot] = [0, 1].map(|at| growth[side][at].as_u64().expect("KiB"));
        assert!(hot < warm + 1024, "{side}: {growth}");
    }
}

#[tokio::test]
async fn ten_thousand_calls_in_a_row_are_answered_in_constant_memory() {
    many_calls("1").await;
}

#[tokio::test]
async fn ten_thousand_calls_64_at_a_time_are_answered_in_constant_memory() {
    many_calls("64").await;
}

/// Specification: basic/transports (stdio): the server writes nothing to its stdout that is no message.
#[tokio::test]
async fn what_a_server_prints_goes_to_stderr_and_not_onto_the_wire() {
    let lines = Lines::default();
    let client = soon(common::spawn(Command::new(PEER).arg("chatty").stderr(lines.stderr()))).await.unwrap();
    assert_eq!(soon(client.call_tool("print", ()).into_future()).await.unwrap().joined_text(), "printed");
    let printed =
        ["printed at the start", "printed by a tool", "printed without a line end", "printed by the child of a tool"];
    for line in printed {
        until(|| lines.have(line)).await;
    }
    soon(client.close()).await.unwrap();

    // And nothing of it is on the wire: here every line must be JSON.
    let mut child = tokio::process::Command::new(PEER)
        .arg("chatty")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut raw = Raw::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    raw.initialize("2025-11-25").await;
    let answer = raw.ask(call(1, "print", json!({}))).await;
    assert_eq!(answer["result"]["content"][0]["text"], "printed", "{answer}");
    raw.is_served().await;
    raw.end().await;
    assert_eq!(raw.hear().await, None);
}

#[tokio::test]
async fn noise_on_a_childs_stdout_is_survived() {
    let client = soon(common::spawn([PEER, "noise"])).await.unwrap();
    let answer = soon(client.call_tool("echo", json!({ "text": "clear" })).into_future()).await.unwrap();
    assert_eq!(answer.joined_text(), "clear");
    assert_eq!(client.stats().broken_rules, 3, "{:?}", client.stats());
    assert!(soon(client.close()).await.unwrap().status.unwrap().success());
}

/// The peak of a process's resident memory in KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[tokio::test]
async fn a_line_without_end_costs_a_bounded_amount_of_memory() {
    let mut child = tokio::process::Command::new(PEER)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut raw = Raw::new(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    raw.initialize("2025-11-25").await;
    let megabyte = vec![b'x'; 1_000_000];
    for _ in 0..200 {
        raw.bytes(&megabyte).await;
    }
    raw.bytes(b"\n").await;
    // No id can be read from it.
    let refusal = raw.heard().await;
    assert!(refusal["error"]["code"].is_i64() && refusal.get("id").is_none(), "{refusal}");
    raw.is_served().await;
    let peak = peak(child.id().unwrap());
    println!("peak after 200 MB without a line end: {peak} KiB");
    assert!(peak < 64 * 1024, "{peak} KiB");

    // The same inside a request whose id came first: it is answered with that id.
    raw.bytes(br#"{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"text":""#).await;
    for _ in 0..20 {
        raw.bytes(&megabyte).await;
    }
    raw.bytes(b"\"}}}\n").await;
    let refusal = raw.heard().await;
    assert_eq!(refusal["id"], 77, "{refusal}");
    assert!(refusal["error"]["code"].is_i64(), "{refusal}");
    raw.is_served().await;
}

/// 10 MB in lines of 100 bytes.
const FLOOD: usize = 100_000;

#[tokio::test]
async fn a_flood_on_stderr_is_captured_line_by_line() {
    let lines = Lines::default();
    let command = Command::new(PEER).args(["flood", &FLOOD.to_string()]).stderr(lines.stderr());
    let client = soon(common::spawn(command)).await.unwrap();
    soon(client.ping().into_future()).await.unwrap();
    until(|| lines.lock().len() == FLOOD).await;
    for (n, line) in lines.lock().iter().enumerate() {
        assert!(line.len() == 99 && line.starts_with(&format!("{n:06} x")), "{line}");
    }
    soon(client.close()).await.unwrap();
}

#[tokio::test]
async fn a_flood_on_stderr_is_inherited() {
    let mut client = tokio::process::Command::new(PEER)
        .args(["client", &format!("flood {FLOOD}"), "close"])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut heard = String::new();
    soon(client.stderr.take().unwrap().read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard.lines().filter(|line| line.len() == 99 && line.ends_with('x')).count(), FLOOD);
    assert!(soon(client.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_stderr_that_nobody_captures_holds_nothing_up() {
    let command = Command::new(PEER).args(["flood", &FLOOD.to_string()]).stderr(Stderr::Null);
    let client = soon(common::spawn(command)).await.unwrap();
    soon(client.ping().into_future()).await.unwrap();
    assert!(soon(client.close()).await.unwrap().status.unwrap().success());
}

async fn environment(command: Command) -> Vec<String> {
    let client = soon(common::spawn(command)).await.expect("a server");
    let result = soon(client.call_tool("environment", ()).into_future()).await.expect("an answer");
    result
        .structured::<std::collections::BTreeMap<String, Vec<String>>>()
        .expect("names")
        .remove("result")
        .expect("names")
}

#[tokio::test]
async fn a_child_gets_the_variables_of_the_list_and_what_it_was_given() {
    let is_set = |name: &&&str| std::env::var_os(name).is_some();
    let listed = INHERITED_ENV.iter().filter(is_set).map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // cargo gives a test many more, or this proves nothing.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && listed.contains(&"PATH".to_owned()));

    let mut plain = environment(Command::new(PEER).arg("serve")).await;
    plain.sort();
    assert_eq!(plain, listed, "the list is sorted");

    let command =
        Command::new(PEER).arg("serve").env("API_KEY", "secret").env_remove("HOME").inherit_env("CARGO_MANIFEST_DIR");
    let given = environment(command).await;
    assert!(given.contains(&"API_KEY".to_owned()) && given.contains(&"CARGO_MANIFEST_DIR".to_owned()), "{given:?}");
    assert!(!given.contains(&"HOME".to_owned()), "{given:?}");
}
