//! A process to be tested against: a server or a client, well-behaved or not, chosen by the first argument.

mod fixture;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcp::process::Command;
use mcp::{Client, Context, Form, Json, Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many calls `peer many` makes, and after how many of them it first looks at the memory.
const MANY: usize = 10_000;
const WARM: usize = 1_000;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let done = match arguments.as_slice() {
        ["serve"] => mcp_tokio::serve_stdio(server()).await,
        ["brisk"] => mcp_tokio::serve_stdio(server().limits(|limits| limits.drain = Duration::from_secs(1))).await,
        ["gateway"] => gateway().await,
        ["noisy"] => noisy(),
        ["serve-on", runtime] => serve_on(runtime, server()).await,
        ["fixture-on", runtime] => serve_on(runtime, fixture::server()).await,
        ["chatty"] => mcp_tokio::serve_stdio(chatty()).await,
        ["noise"] => {
            println!("Listening on nothing at all ...\n[debug] {{not json}}\n\n\u{1f980}");
            mcp_tokio::serve_stdio(server()).await
        }
        ["flood", lines] => {
            flood(lines.parse().expect("a number of lines"));
            mcp_tokio::serve_stdio(server()).await
        }
        ["touchy"] => touchy(),
        ["deaf"] => deaf().await,
        ["stubborn"] => stubborn().await,
        ["client", mode, tool] => client(mode, tool).await,
        #[cfg(unix)]
        ["few-files", runtime] => few_files(runtime).await,
        ["many", at_once] => many(at_once.parse().expect("a number of calls")).await,
        _ => {
            eprintln!("peer: unknown arguments {arguments:?}");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A server that has one of its own, as a child.
async fn gateway() -> mcp::Result<()> {
    let behind = start("serve").await?;
    eprintln!("behind {}", behind.child().map_or(0, |child| child.id()));
    let ask = behind.clone();
    let passed_on = Tool::new("slow", "Has another server take its time", move |args: Millis| {
        eprintln!("in flight");
        let call = ask.call_tool("slow", json!({ "ms": args.ms }));
        async move { call.await.map(|result| result.joined_text()) }
    });
    mcp_tokio::serve_stdio(Server::new("gateway", "1.0.0").tool(passed_on)).await
}

/// Speaks the protocol, and much else on the same channel: in front of, between and behind all messages.
fn noisy() -> mcp::Result<()> {
    let mut out = std::io::stdout();
    let noise = |out: &mut std::io::Stdout| {
        out.write_all(
            b"[debug] {not json}\n\n42\n\"text\"\n\xff\xfe\n{\"level\":\"info\"}\r\n   \n[]\n\xf0\x9f\xa6\x80\n",
        )
    };
    noise(&mut out)?;
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?).expect("a line of JSON");
        noise(&mut out)?;
        let result = match message["method"].as_str() {
            Some("initialize") => json!({ "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": { "tools": {} }, "serverInfo": { "name": "noisy", "version": "1" } }),
            Some("tools/call") => {
                json!({ "content": [{ "type": "text", "text": message["params"]["arguments"]["text"] }] })
            }
            _ => continue,
        };
        writeln!(out, "{}", json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))?;
        noise(&mut out)?;
    }
    noise(&mut out)?;
    Ok(())
}

/// Ends at a first line that is not `initialize`, as some servers of the legacy era do; else answers every call.
fn touchy() -> mcp::Result<()> {
    let mut out = std::io::stdout();
    for (at, line) in std::io::stdin().lock().lines().enumerate() {
        let message: Value = serde_json::from_str(&line?).expect("a line of JSON");
        if at == 0 && message["method"] != "initialize" {
            break;
        }
        let result = match message["method"].as_str() {
            Some("initialize") => json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                "serverInfo": { "name": "touchy", "version": "1" } }),
            Some("tools/call") => json!({ "content": [] }),
            _ => continue,
        };
        writeln!(out, "{}", json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))?;
    }
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Millis {
    ms: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Lines {
    lines: usize,
}

fn server() -> Server {
    Server::new("peer", "1.0.0")
        .tool(Tool::new("echo", "Gives the text back", async |args: Text| args.text))
        .tool(Tool::new("slow", "Takes its time", async |args: Millis| {
            eprintln!("in flight");
            // A timer that works on every runtime.
            smol::Timer::after(Duration::from_millis(args.ms)).await; // slow on purpose
            "done"
        }))
        .tool(
            Tool::new("block", "Takes its time and a thread", async |args: Millis| {
                eprintln!("in flight");
                std::thread::sleep(Duration::from_millis(args.ms)); // slow on purpose
                "done"
            })
            .blocking(),
        )
        .tool(Tool::new("counted", "Takes its time and tells of it", async |ctx: Context, args: Millis| {
            eprintln!("in flight");
            ctx.progress(1, 2)?;
            smol::Timer::after(Duration::from_millis(args.ms)).await; // slow on purpose
            ctx.progress(2, 2)?;
            Ok::<_, mcp::Error>("done")
        }))
        .tool(Tool::new("flood", "Writes many lines to standard error", async |args: Lines| {
            flood(args.lines);
            "written"
        }))
        .tool(Tool::new("ask", "Asks the person, and waits", async |ctx: Context| {
            eprintln!("in flight");
            let answer = ctx.elicit("text", Form::of::<Text>("Say something")).await?;
            Ok::<_, mcp::Error>(format!("{:?}", answer.action))
        }))
        .tool(Tool::new("print", "Prints to standard output, and lets a child do so", async || {
            println!("printed by a tool");
            print!("printed without a line end");
            std::io::stdout().flush()?;
            std::process::Command::new("sh").args(["-c", "echo; echo printed by the child of a tool"]).status()?;
            std::io::Result::Ok("printed")
        }))
        .tool(Tool::new("environment", "The names of the variables in the environment", async || {
            let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
            Json(names.collect::<Vec<_>>())
        }))
}

/// Serves on one of the runtimes, with no other around it.
async fn serve_on(runtime: &str, server: Server) -> mcp::Result<()> {
    let serving = match runtime {
        "tokio" => return mcp_tokio::serve_stdio(server).await,
        "smol" => std::thread::spawn(|| smol::block_on(mcp_smol::serve_stdio(server))),
        "async-std" => std::thread::spawn(|| async_std::task::block_on(mcp_asyncstd::serve_stdio(server))),
        other => panic!("no such runtime: {other}"),
    };
    serving.join().expect("no panic")
}

fn chatty() -> Server {
    server().on_start(async || {
        println!("printed at the start");
        std::io::Result::Ok(())
    })
}

fn flood(lines: usize) {
    let mut stderr = std::io::stderr().lock();
    let filling = "x".repeat(92);
    for n in 0..lines {
        // 100 bytes with the line end.
        let _ = writeln!(stderr, "{n:06} {filling}");
    }
}

/// A server that reads nothing after the handshake.
async fn deaf() -> mcp::Result<()> {
    handshake()?;
    linger().await
}

/// A server that reads nothing after the handshake and does not end when asked to.
async fn stubborn() -> mcp::Result<()> {
    #[cfg(unix)]
    let _term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    handshake()?;
    linger().await
}

/// A TCP server, on one of the runtimes, in a process that may have few files open.
#[cfg(unix)]
async fn few_files(runtime: &str) -> mcp::Result<()> {
    use mcp::net::ListenOptions;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).map_err(std::io::Error::from)?;
    let options = ListenOptions::default();
    let listening = match runtime {
        "tokio" => mcp_tokio::listen_tcp(0, server(), options).await?,
        "smol" => mcp_smol::listen_tcp(0, server(), options).await?,
        "async-std" => mcp_asyncstd::listen_tcp(0, server(), options).await?,
        other => panic!("no such runtime: {other}"),
    };
    println!("{}", listening.address());
    linger().await
}

/// Stays until it is killed, but not for ever, so that a test that fails leaves nothing behind.
async fn linger() -> mcp::Result<()> {
    tokio::time::sleep(Duration::from_secs(120)).await; // slow on purpose
    Ok(())
}

/// Answers `initialize` by hand and hears `notifications/initialized`.
fn handshake() -> std::io::Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let request: Value = serde_json::from_str(&lines.next().expect("initialize")?)?;
    let result = json!({
        "protocolVersion": request["params"]["protocolVersion"],
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "by hand", "version": "1" },
    });
    println!("{}", json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
    lines.next().expect("notifications/initialized").map(drop)
}

async fn start(mode: &str) -> mcp::Result<Client> {
    let mut words = mode.split(' ');
    let command = Command::new(std::env::current_exe()?).args(words.by_ref());
    mcp_tokio::spawn(command).await
}

/// A client that starts a server, perhaps calls a tool that takes a minute, and stays until it is killed.
async fn client(mode: &str, tool: &str) -> mcp::Result<()> {
    let client = start(mode).await?;
    eprintln!("server {}", client.child().map_or(0, |child| child.id()));
    match tool {
        "idle" => eprintln!("in flight"),
        "close" => {
            client.close().await;
            return Ok(());
        }
        tool => drop(client.call_tool(tool, json!({ "ms": 60_000 })).await),
    }
    linger().await
}

/// A client that makes many calls, so many at once, and tells how its memory and that of its server grew meanwhile.
async fn many(at_once: usize) -> mcp::Result<()> {
    let client = start("serve").await?;
    let server = client.child().map_or(0, |child| child.id());
    let start = Instant::now();
    calls(&client, at_once, 0..WARM).await?;
    let warm = [resident("self"), resident(&server.to_string())];
    calls(&client, at_once, WARM..MANY).await?;
    let hot = [resident("self"), resident(&server.to_string())];
    let growth = json!({
        "own": [warm[0], hot[0]],
        "server": [warm[1], hot[1]],
        "milliseconds": start.elapsed().as_millis() as u64,
    });
    println!("{growth}");
    client.close().await;
    Ok(())
}

async fn calls(client: &Client, at_once: usize, range: std::ops::Range<usize>) -> mcp::Result<()> {
    let next = Arc::new(AtomicUsize::new(range.start));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (client, next, end) = (client.clone(), Arc::clone(&next), range.end);
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= end {
                    return Ok::<_, mcp::Error>(());
                }
                let text = format!("call {n}");
                let answer = client.call_tool("echo", json!({ "text": text })).await?;
                assert_eq!(answer.joined_text(), text, "somebody else's answer");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no task panics")?;
    }
    Ok(())
}

/// The resident memory of a process in KiB.
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}
