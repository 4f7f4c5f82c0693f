//! TCP and Unix sockets: what a runtime's adapter does not have to do, since it is the same on all of them.
//!
//! An adapter accepts and connects; everything else is here, once: where a server listens ([`Bind`]), the loop that accepts and
//! survives errors, the limits ([`ListenOptions`]), the orderly end ([`Listening::shutdown`]), the care for socket files and options.
//! With an adapter at hand, call its functions (`serve_tcp`, `connect_tcp` and so on); with another runtime or another kind of socket,
//! implement [`Listener`] and call [`listen`].
//!
//! The framing is that of stdio: one message a line. Nothing is encrypted and nobody is asked who they are, so a server listens on this
//! machine only unless it is told otherwise: [`Bind`]. Whoever does not begin with JSON is disconnected at once: any web page can have a
//! browser on this machine send HTTP here, with messages in its body.

mod address;
#[cfg(any(unix, windows))]
mod bind;
mod connect;
mod hall;
mod host;
mod keeper;
mod opening;
mod options;
#[cfg(any(unix, windows))]
mod socket;
mod split;
#[cfg(unix)]
mod unix;

use std::io;
use std::net::SocketAddr;

pub use self::address::Address;
#[cfg(any(unix, windows))]
pub use self::bind::Bind;
pub use self::connect::connect_tcp;
#[cfg(unix)]
pub use self::connect::connect_unix;
#[cfg(feature = "http")]
pub(crate) use self::connect::reach;
pub use self::hall::{Cut, Drained, Listening};
#[cfg(feature = "http")]
pub(crate) use self::host::{Guest, Host};
#[cfg(feature = "http")]
pub(crate) use self::keeper::keep;
pub use self::keeper::listen;
pub use self::options::ListenOptions;
#[cfg(any(unix, windows))]
#[cfg(feature = "http")]
pub(crate) use self::socket::bind_socket;
#[cfg(any(unix, windows))]
pub use self::socket::{listen_tcp, tune};
pub use self::split::{ReadHalf, WriteHalf, split};
#[cfg(unix)]
pub use self::unix::listen_unix;

/// A bound socket that clients come to.
///
/// ```
/// use std::io;
/// use mcp::memory::{Duplex, Reader, Writer};
/// use mcp::net::{Accepted, Address, ListenOptions, Listener, listen};
/// use mcp::{ClientBuilder, Server, Tool};
/// use tokio::sync::mpsc;
///
/// /// Clients of this process.
/// struct Door(mpsc::Receiver<Duplex>);
///
/// impl Listener for Door {
///     type Reader = Reader;
///     type Writer = Writer;
///
///     async fn accept(&mut self) -> io::Result<Accepted<Reader, Writer>> {
///         let Some(client) = self.0.recv().await else {
///             // Nobody can come any more, which is no error.
///             return std::future::pending().await;
///         };
///         let (reader, writer) = client.into_split();
///         Ok(Accepted::new(reader, writer, None))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mcp::Result<()> {
/// let (come, door) = mpsc::channel(16);
/// let server = Server::new("s", "1.0.0").tool(Tool::new("t", "Do it", async || "done"));
/// let (runtime, address) = (mcp_tokio::Tokio::current()?, Address::Other("the door".into()));
/// let listening = listen(runtime, Door(door), address, server, ListenOptions::default()).await?;
///
/// let (here, there) = mcp::memory::duplex(1024);
/// come.send(there).await.expect("the door is open");
/// let (reader, writer) = here.into_split();
/// let client = mcp_tokio::connect_stream(reader, writer, ClientBuilder::default()).await?;
/// assert_eq!(client.call_tool("t", ()).await?.joined_text(), "done");
/// assert_eq!(listening.connections(), 1);
/// # Ok(()) }
/// ```
pub trait Listener: Send + 'static {
    /// Reads what a client sends.
    type Reader: futures_io::AsyncRead + Send + Unpin + 'static;
    /// Writes to a client. Closing it tells the client so, while reading goes on: a socket is shut down for writing.
    type Writer: futures_io::AsyncWrite + Send + Unpin + 'static;

    /// Waits for the next client. The future may be dropped at any time, and no client may get lost by that.
    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Reader, Self::Writer>>> + Send;
}

/// A client that has just come.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<Rd, Wr> {
    /// What it sends.
    pub reader: Rd,
    /// What is sent to it.
    pub writer: Wr,
    /// Where it comes from, if it has an address; for logs and reports.
    pub peer: Option<SocketAddr>,
}

impl<Rd, Wr> Accepted<Rd, Wr> {
    /// A client, and its address if it has one.
    #[must_use]
    pub fn new(reader: Rd, writer: Wr, peer: Option<SocketAddr>) -> Self {
        Self { reader, writer, peer }
    }
}
