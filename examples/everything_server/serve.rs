//! How the server is served: on which runtime, and over what.

#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use mcp::http::HttpOptions;
use mcp::net::{Address, ListenOptions, Listening};
use mcp::runtime::Spawn;

use crate::pause::Pause;
use crate::runtime::Runtime;
use crate::signal::asked_to_end;
use crate::{resources, server};

pub(crate) const USAGE: &str =
    "usage: everything_server [--runtime tokio|async-std|smol] --stdio | --http ADDRESS | --tcp ADDRESS | --unix PATH";

/// How long calls may still take once the process is asked to end.
const GRACE: Duration = Duration::from_secs(5);

/// What carries it.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Stdio,
    /// At an address as below, and there at the path `/mcp`.
    Http(String),
    /// At an address of this machine, such as `127.0.0.1:4000`; port 0 is any that is free.
    Tcp(String),
    #[cfg(unix)]
    Unix(PathBuf),
}

/// The adapters have the same functions, so that one body serves for all of them.
macro_rules! serve_on {
    ($adapter:ident, $runtime:expr, $transport:expr) => {{
        let (server, options) = (everything($runtime), ListenOptions::default());
        match $transport {
            Transport::Stdio => $adapter::serve_stdio(server).await,
            Transport::Http(address) => {
                let options = HttpOptions::default().health();
                let listening = $adapter::listen_http(address.as_str(), server, options).await?;
                welcome(listening, |address| format!("http://{address}/mcp")).await
            }
            Transport::Tcp(address) => {
                welcome($adapter::listen_tcp(address.as_str(), server, options).await?, Address::to_string).await
            }
            #[cfg(unix)]
            Transport::Unix(path) => {
                welcome($adapter::listen_unix(path, server, options).await?, Address::to_string).await
            }
        }
    }};
}

pub(crate) fn run(runtime: Runtime, transport: Transport) -> mcp::Result<()> {
    match runtime {
        Runtime::Tokio => {
            let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            tokio.block_on(async { serve_on!(mcp_tokio, mcp_tokio::Tokio::current()?, transport) })
        }
        Runtime::AsyncStd => {
            async_std::task::block_on(async { serve_on!(mcp_asyncstd, mcp_asyncstd::AsyncStd::current()?, transport) })
        }
        Runtime::Smol => smol::block_on(async { serve_on!(mcp_smol, mcp_smol::Smol::current()?, transport) }),
    }
}

/// Tells where it listens, and serves whoever comes until the process is asked to end; then calls in work may finish.
async fn welcome(listening: Listening, told: fn(&Address) -> String) -> mcp::Result<()> {
    let end = asked_to_end()?;
    println!("listening on {}", told(listening.address()));
    end.await;
    let drained = listening.shutdown(GRACE).await;
    eprintln!("{} clients were connected, {} of them cut off", drained.connections, drained.cut.len());
    Ok(())
}

/// The server, and beside it what changes by itself.
fn everything(runtime: impl Spawn) -> mcp::Server {
    let pause = Pause::on(runtime.clone());
    let server = server::server(pause.clone());
    runtime.spawn(resources::update_watched(server.clone(), pause));
    server
}
