//! The two examples that have everything, against each other: each revision, runtime and transport.

mod common;

use std::io::{BufRead, BufReader};
#[cfg(unix)]
use std::io::{Read, Write};
#[cfg(unix)]
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
#[cfg(unix)]
use std::time::Duration;

use common::example;

/// What runs the server, and what the client where the two meet over a socket.
const RUNTIMES: [(&str, &str); 3] = [("tokio", "smol"), ("smol", "async-std"), ("async-std", "tokio")];
const ERAS: [&str; 2] = ["2026-07-28", "2025-11-25"];

fn client(runtime: &str, revision: &str) -> Command {
    let mut client = Command::new(example("everything_client"));
    client.args(["--runtime", runtime, "--revision", revision]);
    client
}

/// Has the client take all the steps that this revision has; what it printed.
fn walk(client: &mut Command, revision: &str) -> String {
    let Output { status, stdout, stderr } = client.output().expect("the client runs");
    let (transcript, remarks) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{client:?}: {status}\n{transcript}\n{remarks}");
    assert!(transcript.lines().last().is_some_and(|last| last.ends_with(" ok, 0 failed")), "{client:?}: {transcript}");
    assert!(transcript.contains(&format!("in {revision}")), "{client:?}: {transcript}");
    transcript.into_owned()
}

fn walk_over_stdio(runtime: &str, revision: &str) -> String {
    let mut client = client(runtime, revision);
    client.arg("--spawn").arg(example("everything_server")).args(["--runtime", runtime, "--stdio"]);
    walk(&mut client, revision)
}

/// A server that listens, until this is dropped.
struct Listener {
    child: Child,
    address: String,
}

impl Listener {
    fn open(runtime: &str, transport: &[&str]) -> Self {
        let mut command = Command::new(example("everything_server"));
        let mut child = command
            .args(["--runtime", runtime])
            .args(transport)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says where it listens");
        let told = line.trim().strip_prefix("listening on ").expect("an address");
        let address = told.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        Self { child, address }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Whether it has ended by itself is seen by the client.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs these side by side: a step of each waits for the server's clock.
fn side_by_side(walks: impl IntoIterator<Item = impl FnOnce() + Send>) {
    thread::scope(|scope| {
        let walks = walks.into_iter().map(|walk| scope.spawn(walk)).collect::<Vec<_>>();
        for walk in walks {
            walk.join().expect("every step is fine");
        }
    });
}

#[test]
fn every_step_over_stdio_on_each_runtime_in_both_eras() {
    let pairs = RUNTIMES.iter().flat_map(|(runtime, _)| ERAS.map(|era| (runtime, era)));
    side_by_side(pairs.map(|(runtime, era)| {
        move || {
            let transcript = walk_over_stdio(runtime, era);
            assert!(transcript.contains("Multi-round complete for Ada who likes blue"), "{transcript}");
            assert!(transcript.contains("the server has ended: exit status: 0"), "{transcript}");
        }
    }));
}

/// One server for the clients of these eras, each on another runtime than the server.
fn over_sockets(transport: &str, eras: &[&'static str], place: impl Fn(&str) -> String + Sync) {
    let place = &place;
    side_by_side(RUNTIMES.map(|(server, other)| {
        move || {
            let listener = Listener::open(server, &[transport, &place(server)]);
            let address = &listener.address;
            let reach = match transport {
                "--http" => vec![format!("http://{address}/mcp")],
                _ => vec![transport.to_owned(), address.clone()],
            };
            let reach = &reach;
            side_by_side(eras.iter().map(|era| move || drop(walk(client(other, era).args(reach), era))));
        }
    }));
}

/// In the modern era every request over HTTP stands alone, and steps that count what a session has seen have nothing to count.
#[test]
fn every_step_over_http_between_all_runtimes_in_the_handshake_era() {
    over_sockets("--http", &["2025-11-25"], |_| "127.0.0.1:0".to_owned());
}

#[test]
fn every_step_over_tcp_between_all_runtimes_in_both_eras() {
    over_sockets("--tcp", &ERAS, |_| "127.0.0.1:0".to_owned());
}

#[cfg(unix)]
#[test]
fn every_step_over_a_unix_socket_between_all_runtimes_in_both_eras() {
    let folder = std::env::temp_dir().join(format!("mcp-everything-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the sockets");
    over_sockets("--unix", &ERAS, |runtime| {
        folder.join(runtime).into_os_string().into_string().expect("a path in UTF-8")
    });
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

#[test]
fn every_step_that_the_older_revisions_have() {
    let revisions = ["2025-06-18", "2025-03-26", "2024-11-05"];
    side_by_side(revisions.map(|revision| move || drop(walk_over_stdio("tokio", revision))));
}

/// As the conformance suite runs a client: the scenario and the revision stand in the environment.
#[test]
fn a_scenario_is_chosen_by_the_environment() {
    let play = |scenario: &str| {
        let mut client = Command::new(example("everything_client"));
        client.env("MCP_CONFORMANCE_SCENARIO", scenario).env("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25");
        client.arg("--spawn").arg(example("everything_server")).arg("--stdio").output().expect("the client runs")
    };
    let known = play("tools_call");
    assert!(known.status.success(), "{known:?}");
    let unknown = play("no-such-scenario");
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("tools_call"), "it tells which there are: {unknown:?}");
}

#[test]
fn a_client_without_its_server_fails() {
    let output = Command::new(example("everything_client")).args(["--spawn", "/no/such/server"]).output();
    let output = output.expect("the client runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/server"), "{output:?}");
}

/// A tool that reports progress, called over HTTP; the revision stands in `_meta` and in a header.
#[cfg(unix)]
fn call_with_progress(address: &str) -> BufReader<TcpStream> {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_tool_with_progress","arguments":{},"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}}}"#;
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: test_tool_with_progress\r\nContent-Length: {}\r\n\r\n",
        call.len()
    );
    stream.write_all((head + call).as_bytes()).expect("it is read");
    BufReader::new(stream)
}

/// SIGTERM while calls are in work: each is answered, and then the server is gone, long before its grace is over.
#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_end_finishes_what_it_has_begun() {
    const CALLS: usize = 20;

    side_by_side(RUNTIMES.map(|(runtime, _)| {
        move || {
            let mut listener = Listener::open(runtime, &["--http", "127.0.0.1:0"]);
            let mut calls = (0..CALLS).map(|_| call_with_progress(&listener.address)).collect::<Vec<_>>();
            // Each has begun once its first progress has come.
            for call in &mut calls {
                let mut line = String::new();
                while !line.contains("notifications/progress") {
                    line.clear();
                    assert_ne!(call.read_line(&mut line).expect("readable"), 0, "progress comes before the end");
                }
            }
            let server = rustix::process::Pid::from_child(&listener.child);
            rustix::process::kill_process(server, rustix::process::Signal::TERM).expect("it lives");
            for call in &mut calls {
                let mut rest = String::new();
                call.read_to_string(&mut rest).expect("readable");
                assert!(rest.contains("\"result\""), "{runtime}: {rest}");
            }
            let status = listener.child.wait().expect("it ends");
            assert!(status.success(), "{runtime}: {status}");
            TcpStream::connect(&listener.address).expect_err("nobody listens");
        }
    }));
}
