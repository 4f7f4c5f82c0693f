//! A server that clients come to, on any runtime over any transport: the fixture, in this process or as a child.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};

use futures_lite::future;
use futures_lite::io::BlockOn;
use mcp::memory::{Duplex, duplex};
use mcp::net::{ListenOptions, Listening};
use mcp::process::Command;
use mcp::{Client, ClientBuilder, Server};
use serde_json::{Value, json};

use super::each::{Adapter, Boxed, Ends, SocketPath, soon};
use super::{BOUND, fixture};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// How many bytes a stream in memory holds.
const HELD: usize = 64 * 1024;

/// What is between a client and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Both in this process.
    Memory,
    /// The pipes of a child process that serves over stdio.
    Child,
    Tcp,
    Unix,
    /// A stream that the test opens, and the adapters know nothing of.
    Stream,
}

impl Transport {
    pub(crate) const ALL: [Self; 5] = [Self::Memory, Self::Child, Self::Tcp, Self::Unix, Self::Stream];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Child => "child",
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::Stream => "stream",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.unwrap_or_else(|| panic!("there is no transport {name}"))
    }
}

/// The streams that are served: each ends when the channel behind it is closed.
#[derive(Clone, Default)]
struct Served(Arc<Mutex<Vec<smol::channel::Sender<()>>>>);

impl Served {
    fn begin(&self, on: &dyn Adapter, ends: Ends, server: &Server) {
        let (alive, dead) = smol::channel::bounded(1);
        let mut served = self.0.lock().expect("no panic");
        served.retain(|alive| !alive.is_closed());
        served.push(alive);
        drop(served);
        let serving = on.serve_stream(ends, server.clone());
        let killed = async move { _ = dead.recv().await };
        on.start(Box::pin(future::or(async move { drop(serving.await) }, killed)));
    }

    fn kill(&self) {
        self.0.lock().expect("no panic").clear();
    }
}

/// The fixture, to be reached over one transport. Each client of a child has a child of its own.
pub(crate) struct Place {
    pub(crate) on: &'static dyn Adapter,
    pub(crate) over: Transport,
    /// The server, unless it is a child.
    pub(crate) server: Server,
    pub(crate) listening: Option<Listening>,
    path: SocketPath,
    served: Served,
}

impl Place {
    pub(crate) async fn new(on: &'static dyn Adapter, over: Transport) -> Self {
        Self::changed(on, over, |server| server).await
    }

    /// The same with other settings, which a child does not have.
    pub(crate) async fn changed(
        on: &'static dyn Adapter,
        over: Transport,
        change: impl FnOnce(Server) -> Server,
    ) -> Self {
        let (server, path) = (change(fixture::server()), SocketPath::new());
        let options = ListenOptions::default();
        let listening = match over {
            Transport::Tcp => Some(soon(on, on.listen_tcp(server.clone(), options)).await.expect("a port")),
            #[cfg(unix)]
            Transport::Unix => Some(soon(on, on.listen_unix(&path.0, server.clone(), options)).await.expect("a path")),
            _ => None,
        };
        Self { on, over, server, listening, path, served: Served::default() }
    }

    fn command(&self) -> Command {
        Command::new(PEER).args(["fixture-on", self.on.name()])
    }

    fn tcp(&self) -> std::net::SocketAddr {
        self.listening.as_ref().expect("it listens").address().tcp().expect("a TCP address")
    }

    /// A client of it, or why there is none.
    pub(crate) async fn connect(&self, client: ClientBuilder) -> mcp::Result<Client> {
        let connecting = match self.over {
            Transport::Memory => self.on.pair(self.server.clone(), client),
            Transport::Child => self.on.spawn(self.command(), client),
            Transport::Tcp => self.on.connect_tcp(self.tcp(), client),
            #[cfg(unix)]
            Transport::Unix => self.on.connect_unix(&self.path.0, client),
            #[cfg(not(unix))]
            Transport::Unix => panic!("there are no Unix sockets here"),
            Transport::Stream => self.on.connect_stream(ends(self.stream().expect("a stream")), client),
        };
        soon(self.on, connecting).await
    }

    pub(crate) async fn client(&self, client: ClientBuilder) -> Client {
        self.connect(client).await.expect("a client")
    }

    /// A client that restarts its child, or opens a stream again.
    pub(crate) async fn restarting(&self, client: ClientBuilder, restart: mcp::Restart) -> Client {
        let connecting = match self.over {
            Transport::Child => self.on.spawn_restarting(self.command(), client, restart),
            Transport::Stream => {
                let (on, server, served) = (self.on, self.server.clone(), self.served.clone());
                let open = move || -> Boxed<io::Result<Ends>> {
                    Box::pin(std::future::ready(stream(on, &server, &served).map(ends)))
                };
                self.on.connect_restarting(Box::new(open), client, restart)
            }
            other => panic!("nobody restarts what is reached over {}", other.name()),
        };
        soon(self.on, connecting).await.expect("a client")
    }

    /// As if the server had crashed.
    pub(crate) fn kill(&mut self, client: &Client) {
        self.listening = None;
        self.served.kill();
        #[cfg(unix)]
        if let Some(child) = client.child() {
            let id = child.id().try_into().ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
            rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("it runs");
        }
    }

    /// The client's end of a stream that is served.
    fn stream(&self) -> io::Result<TcpStream> {
        stream(self.on, &self.server, &self.served)
    }

    /// A client that blocks, and owes nothing to any runtime.
    pub(crate) fn wire(&self) -> Wire {
        match self.over {
            Transport::Memory => {
                let (here, there) = duplex(HELD);
                let (reader, writer) = there.into_split();
                self.served.begin(self.on, (Box::new(reader), Box::new(writer)), &self.server);
                Wire::memory(here)
            }
            Transport::Child => Wire::child(self.on),
            Transport::Tcp => Wire::tcp(TcpStream::connect(self.tcp()).expect("it listens")),
            #[cfg(unix)]
            Transport::Unix => Wire::unix(UnixStream::connect(&self.path.0).expect("it listens")),
            #[cfg(not(unix))]
            Transport::Unix => panic!("there are no Unix sockets here"),
            Transport::Stream => Wire::tcp(self.stream().expect("a stream")),
        }
    }
}

/// Opens a stream, serves one end of it and gives the other.
fn stream(on: &dyn Adapter, server: &Server, served: &Served) -> io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let here = TcpStream::connect(listener.local_addr()?)?;
    served.begin(on, ends(listener.accept()?.0), server);
    Ok(here)
}

/// A stream for any runtime: what waits for the socket has a thread of its own.
fn ends(stream: TcpStream) -> Ends {
    let stream = smol::net::TcpStream::from(smol::Async::new(stream).expect("a socket"));
    (Box::new(stream.clone()), Box::new(stream))
}

/// A client of the test's own, with blocking calls. Its two halves may be used on two threads.
pub(crate) struct Wire {
    pub(crate) says: Says,
    pub(crate) hears: Hears,
    /// The server, if that is a child.
    pub(crate) child: Option<Child>,
}

/// What it says.
pub(crate) enum Says {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Pipe(ChildStdin),
    Memory(BlockOn<mcp::memory::Writer>),
}

/// What it hears.
pub(crate) struct Hears(BufReader<Box<dyn Read + Send>>);

impl Wire {
    fn new(says: Says, hears: impl Read + Send + 'static) -> Self {
        Self { says, hears: Hears(BufReader::new(Box::new(hears))), child: None }
    }

    fn memory(end: Duplex) -> Self {
        let (reader, writer) = end.into_split();
        Self::new(Says::Memory(BlockOn::new(writer)), BlockOn::new(reader))
    }

    fn tcp(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(BOUND)).expect("a socket");
        let hears = stream.try_clone().expect("a socket");
        Self::new(Says::Tcp(stream), hears)
    }

    #[cfg(unix)]
    fn unix(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(BOUND)).expect("a socket");
        let hears = stream.try_clone().expect("a socket");
        Self::new(Says::Unix(stream), hears)
    }

    fn child(on: &dyn Adapter) -> Self {
        let mut child = std::process::Command::new(PEER)
            .args(["fixture-on", on.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child: Some(child), ..Self::new(Says::Pipe(stdin), stdout) }
    }

    /// Asks and hears the answer, which must be the next message; as it is written, without its line end.
    pub(crate) fn ask_line(&mut self, request: &str) -> String {
        self.says.line(request).expect("it is there");
        self.hears.line().expect("an answer")
    }

    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        serde_json::from_str(&self.ask_line(&request.to_string())).expect("JSON")
    }

    /// The handshake of a client that offers nothing.
    pub(crate) fn initialize(&mut self) {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "wire", "version": "1" },
        });
        let answer = self.ask(&json!({ "jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params }));
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        self.says.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).expect("it is there");
    }
}

impl Says {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_all(bytes),
            Self::Pipe(pipe) => pipe.write_all(bytes),
            Self::Memory(writer) => writer.write_all(bytes),
        }
    }

    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    pub(crate) fn say(&mut self, message: &Value) -> io::Result<()> {
        self.line(&message.to_string())
    }

    /// Ends it; what the other side says is still heard.
    pub(crate) fn end(self) {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write).expect("open"),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Write).expect("open"),
            Self::Pipe(pipe) => drop(pipe),
            Self::Memory(writer) => drop(writer),
        }
    }
}

impl Hears {
    /// The next line, or `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            // Closed with something unread on the other side.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            read => {
                read.expect("readable");
                assert!(line.ends_with('\n'), "an unfinished line: {line:?}");
                line.truncate(line.len() - 1);
                Some(line)
            }
        }
    }

    /// The next message, or `None` at the end.
    pub(crate) fn message(&mut self) -> Option<Value> {
        self.line().map(|line| serde_json::from_str(&line).expect("JSON"))
    }
}
