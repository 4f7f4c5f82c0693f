//! How the server is served: on which runtime, and over what.

use std::str::FromStr;

use mcp::runtime::Spawn;

use crate::pause::Pause;
use crate::{resources, server};

pub(crate) const USAGE: &str = "usage: everything_server [--runtime tokio] --stdio";

/// What runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runtime {
    Tokio,
}

impl FromStr for Runtime {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "tokio" => Ok(Self::Tokio),
            _ => Err(format!("there is no runtime {name:?}")),
        }
    }
}

/// What carries it.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Stdio,
}

/// The adapters have the same functions, so that one body serves for all of them.
macro_rules! serve_on {
    ($adapter:ident, $runtime:expr, $transport:expr) => {{
        let server = everything($runtime);
        match $transport {
            Transport::Stdio => $adapter::serve_stdio(server).await,
        }
    }};
}

pub(crate) fn run(runtime: Runtime, transport: Transport) -> mcp::Result<()> {
    match runtime {
        Runtime::Tokio => {
            let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            tokio.block_on(async { serve_on!(mcp_tokio, mcp_tokio::Tokio::current()?, transport) })
        }
    }
}

/// The server, and beside it what changes by itself.
fn everything(runtime: impl Spawn) -> mcp::Server {
    let pause = Pause::on(runtime.clone());
    let server = server::server(pause.clone());
    runtime.spawn(resources::update_watched(server.clone(), pause));
    server
}
