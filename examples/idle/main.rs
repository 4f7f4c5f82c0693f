//! What an idle connection costs a server: thousands of clients connect over TCP, say nothing, and are still answered afterwards.
//!
//! - `cargo run --release --example idle` measures 5000 connections on each runtime in turn.
//! - `cargo run --release --example idle -- --runtime smol --connections 1000` measures on one.
//!
//! The server is a process of its own; its resident memory is what is measured. What the kernel holds for each socket is not in it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use mcp::net::{ListenOptions, Listening};
use mcp::{Client, Server, Tool};
use serde_json::json;

/// By this argument the program knows that it is the server.
const SERVE: &str = "--serve";

/// Descriptors that a process needs besides one for each connection.
const SPARE: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Tokio,
    AsyncStd,
    Smol,
}

impl Runtime {
    const ALL: [Self; 3] = [Self::Tokio, Self::AsyncStd, Self::Smol];

    fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
            Self::Smol => "smol",
        }
    }

    fn run<T>(self, program: impl Future<Output = mcp::Result<T>>) -> mcp::Result<T> {
        match self {
            Self::Tokio => tokio::runtime::Runtime::new()?.block_on(program),
            Self::AsyncStd => async_std::task::block_on(program),
            Self::Smol => smol::block_on(program),
        }
    }

    async fn listen(self, server: Server, options: ListenOptions) -> mcp::Result<Listening> {
        match self {
            Self::Tokio => mcp_tokio::listen_tcp(0, server, options).await,
            Self::AsyncStd => mcp_asyncstd::listen_tcp(0, server, options).await,
            Self::Smol => mcp_smol::listen_tcp(0, server, options).await,
        }
    }

    async fn connect(self, address: SocketAddr) -> mcp::Result<Client> {
        match self {
            Self::Tokio => mcp_tokio::connect_tcp(address).await,
            Self::AsyncStd => mcp_asyncstd::connect_tcp(address).await,
            Self::Smol => mcp_smol::connect_tcp(address).await,
        }
    }
}

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let (mut runtimes, mut connections, mut serves) = (Runtime::ALL.to_vec(), 5000, false);
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        let known = match argument {
            SERVE => {
                serves = true;
                Some(())
            }
            "--runtime" => {
                let name = rest.next();
                runtimes.retain(|runtime| Some(runtime.name()) == name);
                (!runtimes.is_empty()).then_some(())
            }
            "--connections" => {
                rest.next().and_then(|number| number.parse().ok()).map(|number: usize| connections = number.max(1))
            }
            _ => None,
        };
        if known.is_none() {
            eprintln!("usage: idle [--runtime tokio|async-std|smol] [--connections NUMBER]");
            return ExitCode::FAILURE;
        }
    }
    let mut done = allow_descriptors(connections + SPARE);
    for runtime in runtimes {
        done = done.and_then(|()| match serves {
            true => runtime.run(serve(runtime, connections)),
            false => runtime.run(measure(runtime, connections)),
        });
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The server: tells its address on standard output, and its memory when asked.
async fn serve(runtime: Runtime, connections: usize) -> mcp::Result<()> {
    let server = Server::new("idle", "1")
        .tool(Tool::new("echo", "Gives the text back", async |args: std::collections::BTreeMap<String, String>| {
            args.get("text").cloned().unwrap_or_default()
        }))
        .tool(Tool::new("resident", "The resident memory in KiB", async || resident_kib()));
    let options = ListenOptions::default().connections(connections + 1);
    let listening = runtime.listen(server, options).await?;
    println!("{}", listening.address());
    listening.ended().await;
    Ok(())
}

async fn measure(runtime: Runtime, connections: usize) -> mcp::Result<()> {
    let server = Started::new(runtime, connections)?;
    let control = runtime.connect(server.address).await?;
    // The first of everything is not what one more costs.
    exercise(&control, 100).await?;
    let before = resident(&control).await?;
    let began = Instant::now();
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(runtime.connect(server.address).await?);
    }
    let connected = began.elapsed();
    let idle = resident(&control).await?;
    for client in &clients {
        exercise(client, 1).await?;
    }
    let called = resident(&control).await?;
    let each = |resident: u64| (resident.saturating_sub(before) * 1024) / connections as u64;
    println!(
        "{:9}  {connections} connections in {connected:.1?}: {} bytes each while idle, {} bytes after a call on each",
        runtime.name(),
        each(idle),
        each(called),
    );
    Ok(())
}

async fn exercise(client: &Client, calls: usize) -> mcp::Result<()> {
    for n in 0..calls {
        let text = format!("call {n}");
        let answer = client.call_tool("echo", json!({ "text": text })).await?;
        assert_eq!(answer.joined_text(), text, "somebody else's answer");
    }
    Ok(())
}

async fn resident(client: &Client) -> mcp::Result<u64> {
    Ok(client.call_tool("resident", ()).await?.structured()?)
}

#[cfg(target_os = "linux")]
fn resident_kib() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    number.ok_or_else(|| std::io::Error::other("no VmRSS in /proc/self/status"))
}

#[cfg(not(target_os = "linux"))]
fn resident_kib() -> std::io::Result<u64> {
    Err(std::io::Error::other("the memory of a process is read from /proc, which is Linux only"))
}

/// The server's process, which ends with this.
struct Started {
    process: Child,
    address: SocketAddr,
}

impl Started {
    fn new(runtime: Runtime, connections: usize) -> mcp::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([SERVE, "--runtime", runtime.name(), "--connections", &connections.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().parse().map_err(|_| std::io::Error::other("the server told no address"))?;
        Ok(Self { process, address })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Raises the limit of open files as far as that is needed and allowed.
#[cfg(unix)]
fn allow_descriptors(wanted: usize) -> mcp::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = wanted as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        let text = format!("{wanted} files have to be open at once, and {:?} are allowed (ulimit -Hn)", limit.maximum);
        return Err(std::io::Error::other(text).into());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })
        .map_err(|error| std::io::Error::from(error).into())
}

#[cfg(not(unix))]
fn allow_descriptors(_wanted: usize) -> mcp::Result<()> {
    Ok(())
}
