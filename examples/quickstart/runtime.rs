//! The runtime that the quickstart runs on. This file is all that knows it: everything else is the same on each.

use std::time::Duration;

use mcp::process::Command;
use mcp::{Client, ClientBuilder, Server};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Tokio,
    AsyncStd,
    Smol,
}

impl Runtime {
    const ALL: [Self; 3] = [Self::Tokio, Self::AsyncStd, Self::Smol];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|runtime| runtime.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
            Self::Smol => "smol",
        }
    }

    pub(crate) fn run<T>(self, program: impl Future<Output = mcp::Result<T>>) -> mcp::Result<T> {
        match self {
            Self::Tokio => tokio::runtime::Runtime::new()?.block_on(program),
            Self::AsyncStd => async_std::task::block_on(program),
            Self::Smol => smol::block_on(program),
        }
    }

    pub(crate) async fn serve_stdio(self, server: Server) -> mcp::Result<()> {
        match self {
            Self::Tokio => mcp_tokio::serve_stdio(server).await,
            Self::AsyncStd => mcp_asyncstd::serve_stdio(server).await,
            Self::Smol => mcp_smol::serve_stdio(server).await,
        }
    }

    pub(crate) async fn spawn_with(self, command: Command, client: ClientBuilder) -> mcp::Result<Client> {
        match self {
            Self::Tokio => mcp_tokio::spawn_with(command, client).await,
            Self::AsyncStd => mcp_asyncstd::spawn_with(command, client).await,
            Self::Smol => mcp_smol::spawn_with(command, client).await,
        }
    }

    pub(crate) async fn sleep(self, time: Duration) {
        match self {
            Self::Tokio => tokio::time::sleep(time).await, // slow on purpose
            Self::AsyncStd => async_std::task::sleep(time).await,
            Self::Smol => drop(smol::Timer::after(time).await), // slow on purpose
        }
    }
}
