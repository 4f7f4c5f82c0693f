//! The Model Context Protocol on smol: servers over stdio, HTTP, TCP and Unix sockets, servers as child processes, any
//! stream.
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

use std::net::ToSocketAddrs;
#[cfg(unix)]
use std::path::Path;

use futures_io::{AsyncRead, AsyncWrite};
#[cfg(feature = "http")]
use mcp::http::{HttpOptions, HttpTarget};
use mcp::net::{Bind, ListenOptions, Listening};
use mcp::process::Command;
use mcp::trace::Transport;
use mcp::{Client, ClientBuilder, Restart, Server};

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
    mcp::stream::serve(runtime, reader, writer, Some(hangup), server.over(Transport::Pipe)).await
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

/// Starts a server as a child process, and again whenever it has ended: [`Restart`] says how often, and what becomes of calls and
/// subscriptions.
///
/// ```no_run
/// use mcp::{Client, Restart};
///
/// # async fn example() -> mcp::Result<()> {
/// let client = mcp_smol::spawn_restarting(["python3", "server.py"], Client::builder("desk", "1.0.0"), Restart::new()).await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As with [`spawn`], the first time.
pub async fn spawn_restarting(
    command: impl Into<Command>,
    client: ClientBuilder,
    restart: Restart,
) -> mcp::Result<Client> {
    let runtime = Smol::current()?;
    let open = |stdin, stdout| Ok((open::child_output(stdout)?, open::child_input(stdin)?));
    mcp::stream::spawn_restarting(runtime, command.into(), client, open, restart).await
}

/// Connects to a server over the stream that `open` opens, and again whenever that has ended; see [`Restart`].
///
/// ```no_run
/// use mcp::{Client, Restart};
///
/// # async fn example() -> mcp::Result<()> {
/// let open = || async {
///     let stream = smol::net::TcpStream::connect("127.0.0.1:4000").await?;
///     Ok((stream.clone(), stream))
/// };
/// let client = mcp_smol::connect_restarting(open, Client::builder("desk", "1.0.0"), Restart::new()).await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As with [`connect_stream`], the first time.
pub async fn connect_restarting<Rd, Wr, Fut>(
    open: impl Fn() -> Fut + Send + Sync + 'static,
    client: ClientBuilder,
    restart: Restart,
) -> mcp::Result<Client>
where
    Rd: AsyncRead + Send + Unpin + 'static,
    Wr: AsyncWrite + Send + Unpin + 'static,
    Fut: Future<Output = std::io::Result<(Rd, Wr)>> + Send + 'static,
{
    mcp::stream::connect_restarting(Smol::current()?, open, client, restart).await
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

/// Serves whoever connects over TCP, for as long as the future lives.
///
/// A port alone is one of this machine only; [`Bind`] says how to be reached from elsewhere. What a client does wrong, or an error of
/// accepting, ends no more than one connection.
///
/// ```no_run
/// # async fn example() -> mcp::Result<()> {
/// mcp_smol::serve_tcp(4000, mcp::Server::new("calculator", "1.0.0")).await
/// # }
/// ```
///
/// # Errors
///
/// When the server is not well defined, its start hook fails, or the address cannot be bound.
pub async fn serve_tcp(bind: impl Into<Bind>, server: Server) -> mcp::Result<()> {
    listen_tcp(bind, server, ListenOptions::default()).await?.ended().await;
    Ok(())
}

/// The same in the background, with limits of your making and a handle to end it in good order.
///
/// ```no_run
/// use std::time::Duration;
///
/// use mcp::net::ListenOptions;
///
/// # async fn example() -> mcp::Result<()> {
/// let server = mcp::Server::new("calculator", "1.0.0");
/// let listening = mcp_smol::listen_tcp(0, server, ListenOptions::default().connections(100)).await?;
/// println!("listening on {}", listening.address());
/// let drained = listening.shutdown(Duration::from_secs(10)).await;
/// println!("{} clients, {} of them cut off", drained.connections, drained.cut.len());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As with [`serve_tcp`].
pub async fn listen_tcp(bind: impl Into<Bind>, server: Server, options: ListenOptions) -> mcp::Result<Listening> {
    mcp::net::listen_tcp(Smol::current()?, bind.into(), server, options, open::TcpSocket::new).await
}

/// Connects to a server over TCP.
///
/// ```no_run
/// # async fn example() -> mcp::Result<()> {
/// let client = mcp_smol::connect_tcp("localhost:4000").await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When nobody answers at any address of that name within 30 seconds, or when what answers does not speak the protocol.
pub async fn connect_tcp(address: impl ToSocketAddrs + Send + 'static) -> mcp::Result<Client> {
    connect_tcp_with(address, ClientBuilder::default()).await
}

/// The same with a client of your making.
///
/// # Errors
///
/// As with [`connect_tcp`].
pub async fn connect_tcp_with(
    address: impl ToSocketAddrs + Send + 'static,
    client: ClientBuilder,
) -> mcp::Result<Client> {
    mcp::net::connect_tcp(Smol::current()?, address, client, open::connect_tcp).await
}

/// Serves whoever comes over HTTP, at the path `/mcp`, for as long as the future lives.
///
/// A port alone is one of this machine only; [`Bind`] says how to be reached from elsewhere. [`mcp::http`] tells who is let in, and what is
/// kept of whom.
///
/// ```no_run
/// # async fn example() -> mcp::Result<()> {
/// mcp_smol::serve_http(8000, mcp::Server::new("calculator", "1.0.0")).await
/// # }
/// ```
///
/// # Errors
///
/// When the server is not well defined, its start hook fails, or the address cannot be bound.
#[cfg(feature = "http")]
pub async fn serve_http(bind: impl Into<Bind>, server: Server) -> mcp::Result<()> {
    listen_http(bind, server, HttpOptions::default()).await?.ended().await;
    Ok(())
}

/// The same in the background, with options of your making and a handle to end it in good order.
///
/// ```no_run
/// use std::time::Duration;
///
/// use mcp::http::HttpOptions;
///
/// # async fn example() -> mcp::Result<()> {
/// let server = mcp::Server::new("calculator", "1.0.0");
/// let listening = mcp_smol::listen_http(0, server, HttpOptions::default().path("/calculator").health()).await?;
/// println!("listening on {}", listening.address());
/// let drained = listening.shutdown(Duration::from_secs(10)).await;
/// println!("{} clients, {} of them cut off", drained.connections, drained.cut.len());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As with [`serve_http`], and when the options name a path, a host or an origin that is none.
#[cfg(feature = "http")]
pub async fn listen_http(bind: impl Into<Bind>, server: Server, options: HttpOptions) -> mcp::Result<Listening> {
    mcp::http::listen_http(Smol::current()?, bind.into(), server, options, open::TcpSocket::new).await
}

/// Connects to a server over HTTP, of whatever revision: `http://host:port/path`.
///
/// ```no_run
/// # async fn example() -> mcp::Result<()> {
/// let client = mcp_smol::connect_http("http://localhost:8000/mcp").await?;
/// println!("{}", client.call_tool("now", ()).await?.joined_text());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the URL is none of a server, nobody answers there within 30 seconds, or what answers does not speak the protocol.
#[cfg(feature = "http")]
pub async fn connect_http(url: impl Into<HttpTarget>) -> mcp::Result<Client> {
    connect_http_with(url, ClientBuilder::default()).await
}

/// The same with a client of your making; [`HttpTarget`] says what goes along with every request, such as a token.
///
/// ```no_run
/// use mcp::http::HttpTarget;
///
/// # async fn example() -> mcp::Result<()> {
/// let server = HttpTarget::new("http://localhost:8000/mcp").bearer("sesame");
/// let client = mcp_smol::connect_http_with(server, mcp::Client::builder("desk", "1.0.0")).await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As with [`connect_http`].
#[cfg(feature = "http")]
pub async fn connect_http_with(target: impl Into<HttpTarget>, client: ClientBuilder) -> mcp::Result<Client> {
    mcp::http::connect_http(Smol::current()?, target.into(), client, open::connect_tcp).await
}

/// Serves whoever connects to a Unix socket, for as long as the future lives.
///
/// Only this user may connect. The file of a server that has died is replaced, that of one that lives is not, and at the end the file is
/// removed. For Windows there are named pipes, opened by other means and given to [`serve_stream`].
///
/// ```no_run
/// # async fn example() -> mcp::Result<()> {
/// mcp_smol::serve_unix("/run/user/1000/calculator", mcp::Server::new("calculator", "1.0.0")).await
/// # }
/// ```
///
/// # Errors
///
/// When the server is not well defined, its start hook fails, or the path cannot be bound.
#[cfg(unix)]
pub async fn serve_unix(path: impl AsRef<Path>, server: Server) -> mcp::Result<()> {
    listen_unix(path, server, ListenOptions::default()).await?.ended().await;
    Ok(())
}

/// The same in the background, with limits of your making and a handle to end it in good order.
///
/// # Errors
///
/// As with [`serve_unix`].
#[cfg(unix)]
pub async fn listen_unix(path: impl AsRef<Path>, server: Server, options: ListenOptions) -> mcp::Result<Listening> {
    mcp::net::listen_unix(Smol::current()?, path.as_ref(), server, options, open::UnixSocket::new).await
}

/// Connects to a server over a Unix socket.
///
/// # Errors
///
/// When nobody listens there, or when what answers does not speak the protocol.
#[cfg(unix)]
pub async fn connect_unix(path: impl AsRef<Path>) -> mcp::Result<Client> {
    connect_unix_with(path, ClientBuilder::default()).await
}

/// The same with a client of your making.
///
/// # Errors
///
/// As with [`connect_unix`].
#[cfg(unix)]
pub async fn connect_unix_with(path: impl AsRef<Path>, client: ClientBuilder) -> mcp::Result<Client> {
    mcp::net::connect_unix(Smol::current()?, path.as_ref().to_owned(), client, open::connect_unix).await
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

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
