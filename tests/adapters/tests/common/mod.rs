//! What the tests share: a bound on every wait, and a raw peer that speaks in lines.
#![allow(dead_code, reason = "every test binary uses its part")]

#[cfg(target_os = "linux")]
pub(crate) mod descriptors;
pub(crate) mod each;
#[path = "../../src/fixture.rs"]
pub(crate) mod fixture;
pub(crate) mod log;
pub(crate) mod openers;
pub(crate) mod place;
pub(crate) mod scripted;
pub(crate) mod spans;
pub(crate) mod web;

use std::panic::Location;
use std::process::Stdio;
use std::time::Duration;

use mcp::process::Command;
use mcp::{Client, ClientBuilder, Era, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_util::compat::{FuturesAsyncReadCompatExt, FuturesAsyncWriteCompatExt};

/// The usual bound of a wait: far more than anything takes, also on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
#[track_caller]
pub(crate) fn soon<T>(future: impl IntoFuture<Output = T>) -> impl Future<Output = T> {
    within(BOUND, future)
}

/// Waits, but not longer than `bound`.
#[track_caller]
pub(crate) fn within<T>(bound: Duration, future: impl IntoFuture<Output = T>) -> impl Future<Output = T> {
    let at = Location::caller();
    async move {
        match tokio::time::timeout(bound, future).await {
            Ok(done) => done,
            Err(_) => panic!("{at}: not done after {bound:?}"),
        }
    }
}

/// Asks until it is so.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    soon(async move {
        let mut again = tokio::time::interval(Duration::from_millis(2));
        while !is_so() {
            again.tick().await;
        }
    })
}

/// A client of the legacy era, for tests of what only that has, and for peers that speak nothing else.
pub(crate) fn legacy(name: &str) -> ClientBuilder {
    Client::builder(name, "1").era(Era::Legacy)
}

/// A server and such a client of it.
pub(crate) async fn pair(server: Server) -> mcp::Result<Client> {
    mcp_tokio::pair_with(server, legacy("pair")).await
}

/// Such a client of a child process.
pub(crate) async fn spawn(command: impl Into<Command>) -> mcp::Result<Client> {
    mcp_tokio::spawn_with(command, legacy("spawn")).await
}

/// A peer that sends and hears lines.
pub(crate) struct Raw {
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    writer: Option<Box<dyn AsyncWrite + Send + Unpin>>,
}

impl Raw {
    pub(crate) fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self { reader: BufReader::new(Box::new(reader)), writer: Some(Box::new(writer)) }
    }

    /// One end of a stream in memory.
    pub(crate) fn memory(end: mcp::memory::Duplex) -> Self {
        let (reader, writer) = end.into_split();
        Self::new(reader.compat(), writer.compat_write())
    }

    /// Two peers of one connection: one that sends, one that hears.
    pub(crate) fn split(self) -> (Self, Self) {
        let nothing: Box<dyn AsyncRead + Send + Unpin> = Box::new(tokio::io::empty());
        let sender = Self { reader: BufReader::new(nothing), writer: self.writer };
        (sender, Self { reader: self.reader, writer: None })
    }

    /// Sends bytes, which the peer may not take any more.
    pub(crate) async fn try_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        soon(self.writer.as_mut().expect("not ended yet").write_all(bytes)).await
    }

    /// Sends one message, which the peer may not take any more.
    pub(crate) async fn try_send(&mut self, message: Value) -> std::io::Result<()> {
        self.try_bytes(format!("{message}\n").as_bytes()).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        let writer = self.writer.as_mut().expect("not ended yet");
        soon(writer.write_all(bytes)).await.expect("the peer takes it");
        soon(writer.flush()).await.expect("the peer takes it");
    }

    /// Sends one line.
    pub(crate) async fn line(&mut self, line: impl AsRef<[u8]>) {
        let mut bytes = line.as_ref().to_vec();
        bytes.push(b'\n');
        self.bytes(&bytes).await;
    }

    /// Sends one message.
    pub(crate) async fn send(&mut self, message: Value) {
        self.line(message.to_string()).await;
    }

    /// Ends what it sends.
    pub(crate) async fn end(&mut self) {
        let mut writer = self.writer.take().expect("not ended yet");
        soon(writer.shutdown()).await.expect("the peer is there");
    }

    /// The next message, or `None` at the end.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        self.hear_within(BOUND).await
    }

    /// The same, for what takes its time.
    pub(crate) async fn hear_within(&mut self, bound: Duration) -> Option<Value> {
        let mut line = String::new();
        let read = within(bound, self.reader.read_line(&mut line)).await.expect("readable");
        if read == 0 {
            return None;
        }
        assert!(line.ends_with('\n'), "an unfinished line: {line:?}");
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: not JSON: {line:?}")))
    }

    /// The next message, which must be there.
    pub(crate) async fn heard(&mut self) -> Value {
        self.hear().await.expect("the peer is still there")
    }

    /// Asks and hears the answer, which must be the next message.
    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        let id = request["id"].clone();
        self.send(request).await;
        let answer = self.heard().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Proves that nothing else was said: the next message is the answer to a ping.
    pub(crate) async fn is_served(&mut self) {
        let answer = self.ask(json!({ "jsonrpc": "2.0", "id": "still there?", "method": "ping" })).await;
        assert_eq!(answer["result"], json!({}), "{answer}");
    }

    /// The handshake of a client that offers nothing.
    pub(crate) async fn initialize(&mut self, version: &str) -> Value {
        self.initialize_with(version, json!({})).await
    }

    /// The handshake of a client.
    pub(crate) async fn initialize_with(&mut self, version: &str, capabilities: Value) -> Value {
        let params = json!({
            "protocolVersion": version,
            "capabilities": capabilities,
            "clientInfo": { "name": "raw", "version": "1" },
        });
        let answer =
            self.ask(json!({ "jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params })).await;
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        self.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        answer
    }
}

/// A call of a tool.
pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params })
}

/// Serves one connection, and gives its other end.
pub(crate) fn serve(server: &Server) -> Raw {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server.clone()));
    Raw::memory(there)
}

/// A request of the revision 2026-07-28.
pub(crate) fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// A request of a session.
pub(crate) fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// A process to be tested against, started by these words, and the way to talk to it.
pub(crate) fn raw_server(mode: &str) -> (tokio::process::Child, Raw) {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_peer"))
        .args(mode.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let raw = Raw::new(child.stdout.take().expect("piped"), child.stdin.take().expect("piped"));
    (child, raw)
}
