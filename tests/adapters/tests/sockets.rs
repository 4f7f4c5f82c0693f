//! Servers over TCP and Unix sockets, on every runtime: who gets in, what ends a connection, and what ends the server.

mod common;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::BOUND;
use common::each::{Adapter, beside, on_each_runtime, soon, until};
use mcp::net::{Bind, ListenOptions, Listening};
use mcp::{Budget, Client, ClientBuilder, Context, Era, Server, Tool};
use serde_json::{Value, json};

/// A server with a tool that answers at once, and one that answers when the test lets it.
fn server(gate: &Gate) -> Server {
    let gate = gate.clone();
    Server::new("sockets", "1")
        .tool(Tool::new("echo", "", async |args: std::collections::BTreeMap<String, String>| args["text"].clone()))
        .tool(Tool::new("wait", "", move |_: Context| {
            let gate = gate.clone();
            async move {
                gate.started.fetch_add(1, Ordering::SeqCst);
                // Closed by the test: there is nothing to receive.
                let _ = gate.wait.recv().await;
                "waited"
            }
        }))
}

/// What holds back calls of `wait`.
#[derive(Clone)]
struct Gate {
    started: Arc<AtomicUsize>,
    wait: smol::channel::Receiver<()>,
    open: smol::channel::Sender<()>,
}

impl Gate {
    fn new() -> Self {
        let (open, wait) = smol::channel::bounded(1);
        Self { started: Arc::default(), wait, open }
    }

    fn open(&self) {
        self.open.close();
    }

    /// Waits until so many calls are in work.
    async fn reached(&self, on: &dyn Adapter, calls: usize) {
        until(on, || self.started.load(Ordering::SeqCst) >= calls).await;
    }
}

fn tcp(listening: &Listening) -> SocketAddr {
    listening.address().tcp().expect("a TCP address")
}

fn builder() -> ClientBuilder {
    Client::builder("sockets", "1")
}

/// A client of the test's own, with blocking calls: it owes nothing to any runtime.
struct Plain {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Plain {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(BOUND)).expect("a socket");
        let lines = BufReader::new(stream.try_clone().expect("a socket"));
        Self { stream, lines }
    }

    fn send(&mut self, message: &Value) {
        self.stream.write_all(format!("{message}\n").as_bytes()).expect("it is there");
    }

    /// The next message, or `None` at the end.
    fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => None,
            // Closed with something unread on the other side.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            read => {
                read.expect("readable");
                Some(serde_json::from_str(&line).expect("JSON"))
            }
        }
    }
}

/// Closing the output is a FIN on the wire although the input stays open: the server hears of the end at once, and what it still
/// says arrives.
#[test]
fn a_client_that_closes_ends_its_output_at_once_and_reads_on() {
    on_each_runtime(async |on| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (said, heard) = smol::channel::bounded(1);
        let serving = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            socket2::SockRef::from(&stream).set_send_buffer_size(64 * 1024).expect("a socket");
            let mut plain = Plain::new(stream);
            let hello = plain.hear().expect("initialize");
            let result = json!({
                "protocolVersion": hello["params"]["protocolVersion"],
                "capabilities": {},
                "serverInfo": { "name": "plain", "version": "1" },
            });
            plain.send(&json!({ "jsonrpc": "2.0", "id": hello["id"], "result": result }));
            assert_eq!(plain.hear().expect("a notification")["method"], "notifications/initialized");
            assert_eq!(plain.hear(), None, "the end comes while this side is open");
            // More than the buffers on the way hold: it goes through because the client reads on.
            let filling = json!({ "jsonrpc": "2.0", "method": "notifications/x", "params": "x".repeat(16 * 1024) });
            for _ in 0..128 {
                plain.send(&filling);
            }
            said.send_blocking(()).expect("the test waits");
        });
        let client = on.connect_tcp(address, builder().era(Era::Legacy)).await.expect("a client");
        soon(on, client.close()).await;
        soon(on, heard.recv()).await.expect("the server has said everything");
        serving.join().expect("no panic");
    });
}

#[test]
fn too_many_clients_are_turned_away_and_the_others_notice_nothing() {
    on_each_runtime(async |on| {
        let gate = Gate::new();
        let options = ListenOptions::default().connections(2);
        let listening = on.listen_tcp(server(&gate), options).await.expect("a port");
        let first = on.connect_tcp(tcp(&listening), builder()).await.expect("the first");
        let second = on.connect_tcp(tcp(&listening), builder()).await.expect("the second");
        let began = Instant::now();
        soon(on, on.connect_tcp(tcp(&listening), builder())).await.expect_err("one too many");
        assert!(began.elapsed() < Duration::from_secs(4), "it is told at once");
        assert_eq!(listening.connections(), 2);
        soon(on, first.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
        soon(on, second.close()).await;
        until(on, || listening.connections() < 2).await;
        let third = soon(on, on.connect_tcp(tcp(&listening), builder())).await.expect("a place");
        soon(on, third.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
    });
}

#[test]
fn a_dropped_handle_ends_the_server_and_its_connections() {
    on_each_runtime(async |on| {
        let listening = on.listen_tcp(server(&Gate::new()), ListenOptions::default()).await.expect("a port");
        let address = tcp(&listening);
        let client = on.connect_tcp(address, builder()).await.expect("a client");
        drop(listening);
        soon(on, client.closed()).await;
        // The port is free again, also for a server that is started right away.
        until(on, || TcpListener::bind(address).is_ok()).await;
    });
}

/// The start hook and the stop hook run once for a listener, however many clients come and go.
#[test]
fn the_hooks_run_once() {
    on_each_runtime(async |on| {
        let (starts, stops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counts, ends) = (Arc::clone(&starts), Arc::clone(&stops));
        let server = server(&Gate::new())
            .on_start(move || {
                counts.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Ok::<_, String>(0u8))
            })
            .on_stop(move |_: Arc<u8>| {
                ends.fetch_add(1, Ordering::SeqCst);
                std::future::ready(())
            });
        let listening = on.listen_tcp(server, ListenOptions::default()).await.expect("a port");
        for _ in 0..3 {
            let client = on.connect_tcp(tcp(&listening), builder()).await.expect("a client");
            soon(on, client.close()).await;
            until(on, || listening.connections() == 0).await;
        }
        soon(on, listening.shutdown(BOUND)).await;
        assert_eq!((starts.load(Ordering::SeqCst), stops.load(Ordering::SeqCst)), (1, 1));
    });
}

/// Whatever one client sends, or however it leaves, is nothing to the others.
#[test]
fn bad_clients_end_nothing_but_their_own_connection() {
    on_each_runtime(async |on| {
        let listening = on.listen_tcp(server(&Gate::new()), ListenOptions::default()).await.expect("a port");
        let address = tcp(&listening);
        let good = on.connect_tcp(address, builder()).await.expect("a client");
        beside(on, move || {
            for garbage in
                [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\0\xff\n", b"", b"{\"jsonrpc\":\"2.0\",\"id\":1"]
            {
                let mut stream = TcpStream::connect(address).expect("it listens");
                stream.write_all(garbage).expect("it takes it");
            }
        })
        .await;
        until(on, || listening.connections() == 1).await;
        soon(on, good.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
    });
}

/// A server that cannot open any more files serves those who are in, and goes on when there are files again.
#[cfg(unix)]
#[test]
fn too_few_files_end_nothing() {
    on_each_runtime(async |on| {
        let mut peer = std::process::Command::new(env!("CARGO_BIN_EXE_peer"))
            .args(["few-files", on.name()])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(peer.stdout.take().expect("piped")).read_line(&mut line).expect("an address");
        let address: SocketAddr = line.trim().parse().expect("an address");
        let first = soon(on, on.connect_tcp(address, builder())).await.expect("a client");
        // The system takes them all, the server does not get at most of them.
        let crowd = (0..200).map(|_| TcpStream::connect(address).expect("the system takes it")).collect::<Vec<_>>();
        #[cfg(target_os = "linux")]
        until(on, || std::fs::read_dir(format!("/proc/{}/fd", peer.id())).expect("it runs").count() >= 64).await;
        soon(on, first.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
        drop(crowd);
        let last = soon(on, on.connect_tcp(address, builder())).await.expect("a client");
        soon(on, last.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
        peer.kill().expect("it runs");
        peer.wait().expect("it was started");
    });
}

/// Bytes that clients make the server hold are counted; when they are too many, the idle connection with most of them goes.
#[test]
fn what_idle_clients_make_the_server_hold_is_bounded() {
    on_each_runtime(async |on| {
        let budget = Budget::new(512 * 1024);
        let gate = Gate::new();
        let server = server(&gate).budget(budget.clone());
        let listening = on.listen_tcp(server, ListenOptions::default()).await.expect("a port");
        let address = tcp(&listening);
        let good = on.connect_tcp(address, builder()).await.expect("a client");
        let mut waiting = Box::pin(good.call_tool("wait", ()).into_future());
        assert!(futures_lite::future::poll_once(&mut waiting).await.is_none());
        gate.reached(on, 1).await;
        let held = budget.clone();
        let others = beside(on, move || {
            let before = held.used();
            let half_a_line = |kib: usize| {
                let mut stream = TcpStream::connect(address).expect("it listens");
                stream.write_all(&vec![b'['; kib * 1024]).expect("it takes it");
                stream.set_read_timeout(Some(BOUND)).expect("a socket");
                stream
            };
            let small = half_a_line(100);
            let mut large = half_a_line(400);
            let until = Instant::now() + BOUND;
            while held.used() < before + 500 * 1024 && Instant::now() < until {
                std::thread::yield_now();
            }
            // Now it is too much.
            let third = half_a_line(100);
            let end = large.read(&mut [0]).map_err(|error| error.kind());
            assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
            (small, large, third)
        })
        .await;
        until(on, || listening.connections() == 3).await;
        until(on, || budget.used() < 512 * 1024).await;
        gate.open();
        soon(on, waiting).await.expect("an answer");
        soon(on, good.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
        assert_eq!(listening.connections(), 3, "one has gone, and only one");
        drop(others);
        until(on, || listening.connections() == 1).await;
        until(on, || budget.used() == 0).await;
    });
}

/// A web page can have a browser send HTTP to any port of the machine, with a body of its own: its messages must reach no tool.
#[test]
fn a_browser_that_posts_messages_to_a_socket_calls_nothing() {
    on_each_runtime(async |on| {
        let gate = Gate::new();
        let listening = on.listen_tcp(server(&gate), ListenOptions::default()).await.expect("a port");
        let address = tcp(&listening);
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "wait", "arguments": {}, "_meta": meta },
        });
        let said = beside(on, move || {
            [
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\r\n",
                "\u{16}\u{3}\u{1}\0",
                "\n hello\n",
            ]
            .map(|head| {
                let mut browser = TcpStream::connect(address).expect("it listens");
                browser.set_read_timeout(Some(BOUND)).expect("an option");
                // It may be cut off before all is sent.
                let _ = browser.write_all(format!("{head}{call}\n").as_bytes());
                let mut said = Vec::new();
                let end = browser.read_to_end(&mut said).map_err(|error| error.kind());
                assert!(matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)), "{end:?}");
                said
            })
        })
        .await;
        assert!(said.iter().all(Vec::is_empty), "{said:?}");
        assert_eq!(gate.started.load(Ordering::SeqCst), 0, "nothing is called");
        until(on, || listening.connections() == 0).await;
        // Blank lines and a mark in front are no offence, and a message in pieces is one.
        let answer = beside(on, move || {
            let mut client = TcpStream::connect(address).expect("it listens");
            client.set_read_timeout(Some(BOUND)).expect("an option");
            for piece in ["\r\n", "\u{feff}", " {", "\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"] {
                client.write_all(piece.as_bytes()).expect("it reads");
            }
            let mut line = String::new();
            BufReader::new(client).read_line(&mut line).expect("an answer");
            line
        })
        .await;
        assert!(answer.contains("\"id\":1"), "{answer}");
    });
}

/// What would be too much is refused, and the rest goes on.
#[test]
fn a_request_that_would_be_too_much_is_refused() {
    on_each_runtime(async |on| {
        let budget = Budget::new(45 * 1024);
        let gate = Gate::new();
        let server = server(&gate).budget(budget.clone());
        let listening = on.listen_tcp(server, ListenOptions::default()).await.expect("a port");
        let one = on.connect_tcp(tcp(&listening), builder()).await.expect("a client");
        let other = on.connect_tcp(tcp(&listening), builder()).await.expect("a client");
        let filling = |kib: usize| json!({ "filling": "x".repeat(kib * 1024) });
        let mut waiting = Box::pin(one.call_tool("wait", filling(40)).into_future());
        assert!(futures_lite::future::poll_once(&mut waiting).await.is_none());
        gate.reached(on, 1).await;
        // Together they would hold too much.
        let error = soon(on, other.call_tool("wait", filling(6))).await.expect_err("refused");
        assert_eq!(error.rpc().expect("an answer").data, Some(json!({ "retryable": true })), "{error}");
        assert_eq!(listening.connections(), 2, "that was enough");
        soon(on, other.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
        gate.open();
        soon(on, waiting).await.expect("an answer");
        soon(on, other.call_tool("wait", filling(6))).await.expect("there is room again");
    });
}

#[test]
fn other_machines_are_let_in_only_on_purpose() {
    on_each_runtime(async |on| {
        let error = soon(on, on.serve_tcp_at("0.0.0.0:0".into(), server(&Gate::new()))).await.expect_err("refused");
        assert!(error.to_string().contains("Bind::public"), "{error}");
        let serving = on.serve_tcp_at(Bind::public(([0, 0, 0, 0], 0)), server(&Gate::new()));
        assert!(futures_lite::future::poll_once(serving).await.is_none());
    });
}

/// A name may have several addresses, and the server listens on one of them.
#[test]
fn a_server_is_found_by_its_name() {
    on_each_runtime(async |on| {
        let listening = on.listen_tcp(server(&Gate::new()), ListenOptions::default()).await.expect("a port");
        let name = format!("localhost:{}", tcp(&listening).port());
        let client = soon(on, on.connect_tcp_by_name(name, builder())).await.expect("a client");
        soon(on, client.call_tool("echo", json!({ "text": "x" }))).await.expect("an answer");
        let error = soon(on, on.connect_tcp_by_name("no port".into(), builder())).await.expect_err("no address");
        assert!(matches!(error, mcp::Error::Io(_)), "{error}");
    });
}

#[test]
fn nobody_there_is_an_error_that_says_where() {
    on_each_runtime(async |on| {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let error = soon(on, on.connect_tcp(free, builder())).await.expect_err("nobody listens");
        assert!(error.to_string().contains(&free.to_string()), "{error}");
        #[cfg(unix)]
        {
            let path = common::each::SocketPath::new();
            let error = soon(on, on.connect_unix(&path.0, builder())).await.expect_err("nobody listens");
            assert!(error.to_string().contains(&path.0.display().to_string()), "{error}");
        }
    });
}
