//! How the body of a test reaches a server: bodies are generic over it, so that one body runs over every transport.

use mcp::{Client, ClientBuilder, Server};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use super::{Raw, soon};

/// Opens connections to a server in this process.
pub(crate) trait Opener {
    /// A client of it.
    async fn open(&self, server: &Server, client: ClientBuilder) -> Client;

    /// A peer that sends and hears lines. What it does not hear fills up what is between the two.
    async fn raw(&self, server: &Server) -> Raw;
}

/// A stream in memory, with so many bytes between the two.
pub(crate) struct Memory(pub(crate) usize);

/// A TCP connection on this machine.
pub(crate) struct Tcp;

impl Opener for Memory {
    async fn open(&self, server: &Server, client: ClientBuilder) -> Client {
        let (reader, writer) = self.serve(server).into_split();
        soon(mcp_tokio::connect_stream(reader, writer, client)).await.expect("a handshake")
    }

    async fn raw(&self, server: &Server) -> Raw {
        Raw::memory(self.serve(server))
    }
}

impl Memory {
    fn serve(&self, server: &Server) -> mcp::memory::Duplex {
        let (here, there) = mcp::memory::duplex(self.0);
        let (reader, writer) = there.into_split();
        let server = server.clone();
        tokio::spawn(async move { drop(mcp_tokio::serve_stream(reader, writer, server).await) });
        here
    }
}

impl Opener for Tcp {
    async fn open(&self, server: &Server, client: ClientBuilder) -> Client {
        let (reader, writer) = serve(server).await.into_split();
        soon(mcp_tokio::connect_stream(reader.compat(), writer.compat_write(), client)).await.expect("a handshake")
    }

    async fn raw(&self, server: &Server) -> Raw {
        let (reader, writer) = serve(server).await.into_split();
        Raw::new(reader, writer)
    }
}

/// The client's end of a connection that is served.
async fn serve(server: &Server) -> tokio::net::TcpStream {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let connecting = tokio::net::TcpStream::connect(listener.local_addr().expect("bound"));
    let (accepted, connected) = tokio::join!(listener.accept(), connecting);
    let (reader, writer) = accepted.expect("a client").0.into_split();
    let server = server.clone();
    tokio::spawn(async move { drop(mcp_tokio::serve_stream(reader.compat(), writer.compat_write(), server).await) });
    connected.expect("it listens")
}
