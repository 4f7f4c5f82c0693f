//! Finding and reaching a server, in bounded time.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt, future};

use crate::client::{Client, ClientBuilder};
use crate::memory;
use crate::runtime::{Runtime, Spawn};
use crate::trace::Transport;
use crate::{Result, Timestamp};

/// How long it may take until somebody answers at any of the addresses, finding them included.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one address may take of that, so that others get a chance.
const PATIENCE_EACH: Duration = Duration::from_secs(10);

/// Connects to a server over TCP. `open` connects to one address; those of a name are tried in turn.
///
/// # Errors
///
/// When the name has no address, none of them answers within 30 seconds, or what answers does not speak the protocol.
pub async fn connect_tcp<R, Rd, Wr, Fut>(
    runtime: R,
    address: impl ToSocketAddrs + Send + 'static,
    client: ClientBuilder,
    open: impl Fn(SocketAddr) -> Fut,
) -> Result<Client>
where
    R: Spawn,
    Fut: Future<Output = io::Result<(Rd, Wr)>>,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
{
    let (reader, writer) = reach(&runtime, address, open).await?;
    crate::stream::connect(runtime, reader, writer, None, client.over(Transport::Tcp)).await
}

/// Connects to one of the addresses of a name, in bounded time.
pub(crate) async fn reach<R, C, Fut>(
    runtime: &R,
    address: impl ToSocketAddrs + Send + 'static,
    open: impl Fn(SocketAddr) -> Fut,
) -> io::Result<C>
where
    R: Spawn,
    Fut: Future<Output = io::Result<C>>,
{
    let deadline = runtime.now() + PATIENCE;
    let addresses = until(runtime, deadline, resolve(runtime, address)).await?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the server's name has no address");
    for address in addresses {
        let opened = until(runtime, deadline.min(runtime.now() + PATIENCE_EACH), open(address)).await;
        match opened {
            Ok(connection) => return Ok(connection),
            Err(error) => last = io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")),
        }
    }
    Err(last)
}

/// Connects to a server over a Unix socket. `open` connects to its path.
///
/// # Errors
///
/// When nobody listens there, or what answers does not speak the protocol.
#[cfg(unix)]
pub async fn connect_unix<R, Rd, Wr, Fut>(
    runtime: R,
    path: std::path::PathBuf,
    client: ClientBuilder,
    open: impl FnOnce(std::path::PathBuf) -> Fut,
) -> Result<Client>
where
    R: Spawn,
    Fut: Future<Output = io::Result<(Rd, Wr)>>,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
{
    let deadline = runtime.now() + PATIENCE_EACH;
    match until(&runtime, deadline, open(path.clone())).await {
        Ok((reader, writer)) => {
            crate::stream::connect(runtime, reader, writer, None, client.over(Transport::Unix)).await
        }
        Err(error) => {
            Err(io::Error::new(error.kind(), format!("cannot connect to {}: {error}", path.display())).into())
        }
    }
}

/// The addresses of a name. Asking for them blocks, so a thread does it.
async fn resolve(runtime: &impl Spawn, name: impl ToSocketAddrs + Send + 'static) -> io::Result<Vec<SocketAddr>> {
    let found = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&found);
    let (over, mut wait) = memory::pipe(1);
    runtime.spawn_blocking(Box::new(move || {
        let addresses = name.to_socket_addrs().map(Vec::from_iter);
        *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(addresses);
        drop(over);
    }));
    // The pipe ends with the thread, also if there never was one.
    wait.read(&mut [0]).await?;
    let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    found.unwrap_or_else(|| Err(io::Error::other("no thread could be started to look up the server's address")))
}

async fn until<T>(
    runtime: &impl Runtime,
    deadline: Timestamp,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = async {
        runtime.sleep_until(deadline).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "nobody has answered in time"))
    };
    future::or(work, late).await
}
