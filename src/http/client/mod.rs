//! Clients over HTTP: one driver for each, over connections that are kept for the next request.

mod driver;
mod exchange;
mod pool;
mod target;
mod under_way;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_io::{AsyncRead, AsyncWrite};
use mcp_proto::http::client::HttpClient;

use self::driver::Driver;
use self::pool::Pool;
pub use self::target::HttpTarget;
use crate::Result;
use crate::client::{Client, ClientBuilder};
use crate::runtime::Spawn;
use crate::stream::{Driven, Link, Parts, Role, ready, share_client};
use crate::trace::{Session, Transport};

/// Connects a client to a server over HTTP: finds out which revision and which form of the transport it speaks, and begins a session if
/// it has such. `open` connects to one address; those of a name are tried in turn, within 30 seconds.
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When the URL is none of a server, nobody answers there, or the handshake fails or does not end in time.
pub async fn connect_http<R, Rd, Wr, Fut>(
    runtime: R,
    target: HttpTarget,
    client: ClientBuilder,
    open: impl Fn(SocketAddr) -> Fut + Send + Sync + 'static,
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
    Fut: Future<Output = io::Result<(Rd, Wr)>> + Send + 'static,
{
    let connecting: Pin<Box<dyn Future<Output = Result<Client>> + Send>> = Box::pin(async move {
        let setup = Arc::new(client.over(Transport::Tcp).into_setup()?);
        let (config, hooks) = target.into_config(&setup.config)?;
        let pool = Pool::new(&runtime, config.url(), open)?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        let mut http = HttpClient::new(Arc::new(config), u64::from_le_bytes(seed));
        if let Some(credentials) = hooks.credentials.clone() {
            http.handle_credentials(runtime.now(), Some(credentials));
        }
        let (shared, handshake) = share_client(&runtime, &setup, None);
        // A server may forget a session, and the connection goes on with the next one.
        shared.with(|state| state.renews = true);
        let client = Client::new(Link::One(Arc::clone(&shared), None), &setup);
        let parts = Parts {
            runtime: runtime.clone(),
            shared: Arc::clone(&shared),
            service: setup.service(&client),
            limits: setup.config.limits.clone(),
            account: setup.budget.open(&shared),
            hangup: None,
            role: Role::Client,
        };
        let session = Session::begin(Role::Client, shared.tracer(), runtime.now());
        let renewed = (client.without_lease(), Arc::clone(&setup));
        let driver = Box::pin(Driver::new(parts, http, pool, hooks, renewed));
        runtime.spawn(Driven::new(driver, session, &shared));
        ready(&shared, None, handshake).await?;
        setup.settle(&runtime, &client).await;
        Ok(client)
    });
    connecting.await
}
