//! The Model Context Protocol on smol: servers over stdio, servers as child processes, both in one process, any stream.
//!
//! A server, whole:
//!
//! ```no_run
//! use mcp::Server;
//!
//! fn main() -> mcp::Result<()> {
//!     smol::block_on(mcp_smol::serve_stdio(Server::new("calculator", "1.0.0")))
//! }
//! ```
//!
//! And a client that starts one:
//!
//! ```no_run
//! fn main() -> mcp::Result<()> {
//!     smol::block_on(async {
//!         let client = mcp_smol::spawn(["python3", "server.py"]).await?;
//!         # drop(client);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! This crate only opens things: the protocol, and all async code, is in [`mcp`], which knows no runtime. The other adapters have the same
//! functions with the same signatures. Tasks run on smol's global executor, which needs no set-up: `smol::block_on` is enough, and so is any
//! executor of yours. The environment variable `SMOL_THREADS` says how many threads it has, one by default. smol's own streams fit those for
//! any stream as they are.

use futures_io::{AsyncRead, AsyncWrite};
use mcp::process::Command;
use mcp::{Client, ClientBuilder, Server};

mod open;
mod runtime;

pub use runtime::Smol;

/// Serves the process that has started this one, over standard input and output, until it has had enough.
///
/// Both then carry the protocol only: on Unix what this process or its children print goes to standard error
/// ([`mcp::stdio::claim`] has the details). It can be done once per process.
///
/// ```no_run
/// # async fn example() -> mcp::Result<()> {
/// mcp_smol::serve_stdio(mcp::Server::new("calculator", "1.0.0")).await
/// # }
/// ```
///
/// # Errors
///
/// A second time, or when the connection fails.
pub async fn serve_stdio(server: Server) -> mcp::Result<()> {
    let runtime = Smol::current()?;
    let stdio = mcp::stdio::claim()?;
    let hangup = Box::pin(mcp::stdio::hangup(&stdio.output));
    let (reader, writer) = (open::input(stdio.input)?, open::output(stdio.output)?);
    mcp::stream::serve(runtime, reader, writer, Some(hangup), server).await
}

/// Starts a server as a child process and connects to it.
///
/// A command is a program and its arguments, never a line for a shell. The child sees little of our environment, and it ends with the
/// client: [`Command`] says how to change either.
///
/// ```no_run
/// use mcp::process::{Command, Stderr};
///
/// # async fn example() -> mcp::Result<()> {
/// let local = mcp_smol::spawn(["python3", "server.py"]).await?;
/// let quiet = Command::new("npx").args(["-y", "some-server"]).env("API_KEY", "...").stderr(Stderr::Null);
/// let remote = mcp_smol::spawn(quiet).await?;
/// # drop((local, remote));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the child cannot be started (the error says what to look at), or when it does not speak the protocol.
pub async fn spawn(command: impl Into<Command>) -> mcp::Result<Client> {
    spawn_with(command, ClientBuilder::default()).await
}

/// The same with a client of your making.
///
/// # Errors
///
/// As with [`spawn`].
pub async fn spawn_with(command: impl Into<Command>, client: ClientBuilder) -> mcp::Result<Client> {
    let runtime = Smol::current()?;
    let open = |stdin, stdout| Ok((open::child_output(stdout)?, open::child_input(stdin)?));
    mcp::stream::spawn(runtime, command.into(), client, open).await
}

/// A server and a client of it in one process, joined in memory: for tests, and for tools that need no process of their own.
///
/// ```no_run
/// # async fn example() -> mcp::Result<()> {
/// let client = mcp_smol::pair(mcp::Server::new("calculator", "1.0.0")).await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the two do not come to terms.
pub async fn pair(server: Server) -> mcp::Result<Client> {
    pair_with(server, ClientBuilder::default()).await
}

/// The same with a client of your making.
///
/// # Errors
///
/// As with [`pair`].
pub async fn pair_with(server: Server, client: ClientBuilder) -> mcp::Result<Client> {
    mcp::stream::pair(Smol::current()?, server, client).await
}

/// Serves one client over any stream, until that has had enough.
///
/// ```no_run
/// # async fn example(stream: smol::net::TcpStream) -> mcp::Result<()> {
/// mcp_smol::serve_stream(stream.clone(), stream, mcp::Server::new("calculator", "1.0.0")).await
/// # }
/// ```
///
/// # Errors
///
/// When the connection fails.
pub async fn serve_stream(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    server: Server,
) -> mcp::Result<()> {
    mcp::stream::serve(Smol::current()?, reader, writer, None, server).await
}

/// Connects to a server over any stream.
///
/// # Errors
///
/// When the connection fails, or when the server does not speak the protocol.
pub async fn connect_stream(
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    client: ClientBuilder,
) -> mcp::Result<Client> {
    mcp::stream::connect(Smol::current()?, reader, writer, None, client).await
}
