//! The runtimes that our side is played on.

use std::time::Duration;

use mcp::http::{HttpOptions, HttpTarget};
use mcp::net::Listening;
use mcp::process::Command;
use mcp::{Client, ClientBuilder, Server};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    Tokio,
    AsyncStd,
    Smol,
}

impl Runtime {
    pub(crate) const ALL: [Self; 3] = [Self::Tokio, Self::AsyncStd, Self::Smol];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
            Self::Smol => "smol",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    pub(crate) fn block_on<T>(self, work: impl Future<Output = T>) -> std::io::Result<T> {
        match self {
            Self::Tokio => Ok(tokio::runtime::Runtime::new()?.block_on(work)),
            Self::AsyncStd => Ok(async_std::task::block_on(work)),
            Self::Smol => Ok(smol::block_on(work)),
        }
    }

    pub(crate) async fn serve(self, server: Server) -> mcp::Result<()> {
        match self {
            Self::Tokio => mcp_tokio::serve_stdio(server).await,
            Self::AsyncStd => mcp_asyncstd::serve_stdio(server).await,
            Self::Smol => mcp_smol::serve_stdio(server).await,
        }
    }

    /// Over HTTP, on a port of its own.
    pub(crate) async fn listen(self, server: Server) -> mcp::Result<Listening> {
        let options = HttpOptions::default().sse("/sse", "/messages/");
        match self {
            Self::Tokio => mcp_tokio::listen_http(0, server, options).await,
            Self::AsyncStd => mcp_asyncstd::listen_http(0, server, options).await,
            Self::Smol => mcp_smol::listen_http(0, server, options).await,
        }
    }

    pub(crate) async fn spawn(self, command: Command, client: ClientBuilder) -> mcp::Result<Client> {
        match self {
            Self::Tokio => mcp_tokio::spawn_with(command, client).await,
            Self::AsyncStd => mcp_asyncstd::spawn_with(command, client).await,
            Self::Smol => mcp_smol::spawn_with(command, client).await,
        }
    }

    pub(crate) async fn connect(self, target: HttpTarget, client: ClientBuilder) -> mcp::Result<Client> {
        match self {
            Self::Tokio => mcp_tokio::connect_http_with(target, client).await,
            Self::AsyncStd => mcp_asyncstd::connect_http_with(target, client).await,
            Self::Smol => mcp_smol::connect_http_with(target, client).await,
        }
    }
}

/// Takes its time, on any of them.
pub(crate) async fn sleep(time: Duration) {
    smol::Timer::after(time).await; // slow on purpose
}
