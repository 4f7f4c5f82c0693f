//! Bring your own runtime: a server and a client on an executor that nobody has heard of (`executor.rs`), over real stdio.
//!
//! `cargo run --example own_runtime` starts itself as a server, in a child process, and connects to it.
//!
//! An adapter is what stands here: a type that implements [`Runtime`](mcp::runtime::Runtime) and
//! [`Spawn`](mcp::runtime::Spawn), and functions that open things and hand them to [`mcp::stream`]. This executor cannot wait for
//! pipes, so that threads of `mcp`'s do that; one that can opens them itself.

mod executor;

use std::io;
use std::process::{ChildStdin, ChildStdout, ExitCode};
use std::time::Duration;

use executor::Executor;
use futures_io::{AsyncRead, AsyncWrite};
use mcp::process::Command;
use mcp::runtime::Runtime;
use mcp::stdio::{End, read_in_thread, write_in_thread};
use mcp::{Client, ClientBuilder, Context, Server, Tool};
use serde_json::json;

/// The argument by which this program, started as a child, knows that it is the server.
const SERVE: &str = "--serve";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Count {
    /// How far to count.
    to: u32,
}

fn main() -> ExitCode {
    let executor = Executor::new();
    let done = match std::env::args().nth(1).as_deref() {
        Some(SERVE) => executor.block_on(serve_stdio(&executor, server(executor.clone()))),
        _ => executor.block_on(tour(&executor)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("own_runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

fn server(executor: Executor) -> Server {
    let count = Tool::new("count", "Count, and tell how far", move |ctx: Context, args: Count| {
        let executor = executor.clone();
        async move {
            for n in 1..=args.to {
                executor.sleep_until(executor.now() + Duration::from_millis(10)).await;
                ctx.progress(n, args.to)?;
            }
            Ok::<_, mcp::Error>(format!("counted to {}", args.to))
        }
    });
    let wait = Tool::new("wait", "Wait for ever", async || std::future::pending::<()>().await);
    let square = Tool::new("square", "Square a number, on a thread of its own", async |args: Count| args.to * args.to);
    Server::new("own-runtime", "1.0.0").tool(count).tool(wait).tool(square.blocking())
}

async fn tour(executor: &Executor) -> mcp::Result<()> {
    let command = Command::new(std::env::current_exe()?).arg(SERVE);
    let client = spawn_with(executor, command, Client::builder("own-runtime", "1.0.0")).await?;
    println!("connected in {}", client.version());
    let counting = client.call_tool("count", json!({ "to": 3 }));
    let counted = counting.on_progress(|progress| println!("at {}", progress.progress)).await?;
    println!("{}", counted.joined_text());
    let squared: u32 = client.call_tool("square", json!({ "to": 12 })).await?.structured()?;
    println!("squared: {squared}");
    // A deadline needs a timer, and its end a message to the server.
    let error = client.call_tool("wait", ()).idle(Duration::from_millis(100)).await.err();
    println!("{}", error.map_or_else(|| "it has ended".to_owned(), |error| error.to_string()));
    if let Some(exit) = client.close().await {
        println!("the server has ended: {exit}");
    }
    Ok(())
}

/// What an adapter calls so.
async fn serve_stdio(executor: &Executor, server: Server) -> mcp::Result<()> {
    let stdio = mcp::stdio::claim()?;
    let hangup = Box::pin(mcp::stdio::hangup(&stdio.output));
    let reader = read_in_thread(file(stdio.input.into_end())?);
    let writer = write_in_thread(file(stdio.output.into_end())?);
    mcp::stream::serve(executor.clone(), reader, writer, Some(hangup), server).await
}

/// And what it calls so.
async fn spawn_with(executor: &Executor, command: Command, client: ClientBuilder) -> mcp::Result<Client> {
    mcp::stream::spawn(executor.clone(), command, client, open).await
}

fn file(end: End) -> io::Result<std::fs::File> {
    match end {
        #[cfg(unix)]
        End::NonBlocking(fd) => Ok(fd.into()),
        End::Blocking(file) => Ok(file),
        end => Err(io::Error::new(io::ErrorKind::Unsupported, format!("{end:?} is not known here"))),
    }
}

#[cfg(unix)]
fn open(stdin: ChildStdin, stdout: ChildStdout) -> io::Result<(impl AsyncRead, impl AsyncWrite)> {
    use std::os::fd::OwnedFd;
    Ok((read_in_thread(OwnedFd::from(stdout).into()), write_in_thread(OwnedFd::from(stdin).into())))
}

#[cfg(windows)]
fn open(stdin: ChildStdin, stdout: ChildStdout) -> io::Result<(impl AsyncRead, impl AsyncWrite)> {
    use std::os::windows::io::OwnedHandle;
    Ok((read_in_thread(OwnedHandle::from(stdout).into()), write_in_thread(OwnedHandle::from(stdin).into())))
}
