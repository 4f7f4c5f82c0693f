//! Where a server listens: the sockets are those of the other transports, what is done with clients is this room's.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use mcp_proto::http::security::Security;
use mcp_proto::http::{Endpoint, EndpointConfig};

use super::connection::{self, Visitor, settings};
use super::legacy::Sessions;
use super::legacy::sse::Door;
use super::options::{Allowed, HttpOptions};
use super::service::Web;
use crate::Result;
use crate::net::{Accepted, Address, Bind, Cut, Guest, Host, Listener, Listening, bind_socket, keep};
use crate::runtime::Spawn;
use crate::server::Server;
use crate::stream::Budget;
use crate::trace::Transport;

/// Serves over HTTP at a TCP address. `open` makes the bound socket, which does not block, the runtime's own.
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When the server is not well defined, its start hook fails, the address cannot be bound, or the options name a path, a host or an origin
/// that is none.
pub async fn listen_http<R: Spawn, L: Listener>(
    runtime: R,
    bind: Bind,
    server: Server,
    options: HttpOptions,
    open: impl FnOnce(TcpListener) -> io::Result<L>,
) -> Result<Listening> {
    let socket = bind_socket(bind.address()?)?;
    let address = Address::Tcp(socket.local_addr()?);
    listen(runtime, open(socket)?, address, server.over(Transport::Tcp), options).await
}

/// Serves over HTTP whoever comes to a listener, in a task of its own, until the handle is dropped or shut down.
///
/// It is [`net::listen`](crate::net::listen) for HTTP: see there what becomes of errors. Which hosts and origins are let in follows from
/// the address, unless the options say more; what is no TCP address counts as one of this machine.
///
/// # Errors
///
/// When the server is not well defined or its start hook fails, or the options name a path, a host or an origin that is none.
pub async fn listen<R: Spawn, L: Listener>(
    runtime: R,
    listener: L,
    address: Address,
    server: Server,
    options: HttpOptions,
) -> Result<Listening> {
    let web = web(runtime.clone(), server, &address, options)?;
    let lease = web.server.enter().await?;
    let (http, connections) = (settings(&runtime, &web.options), web.options.connections);
    let site = Site { web: Arc::new(web), http };
    Ok(keep(runtime, listener, address, site, connections, lease))
}

/// What serves at that address.
pub(super) fn web<R: Spawn>(runtime: R, server: Server, address: &Address, options: HttpOptions) -> io::Result<Web<R>> {
    let mut config = EndpointConfig::new(security(address, &options)?).serving(&server.config());
    (config.limits, config.sessions) = (options.limits.clone(), options.sessions);
    check_path(&options.path)?;
    let door = |(stream, messages): &(String, String)| {
        check_path(stream)?;
        Door::new(stream, messages, &options.limits).map_err(invalid)
    };
    Ok(Web {
        sse: options.sse.as_ref().map(door).transpose()?,
        sessions: Sessions::new(&options),
        endpoint: Endpoint::new(config),
        runtime,
        server,
        options,
        open: Arc::default(),
        count: Arc::default(),
    })
}

/// Who is let in.
fn security(address: &Address, options: &HttpOptions) -> io::Result<Security> {
    let this_machine = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut security = Security::of(address.tcp().unwrap_or(this_machine));
    for allowed in &options.allowed {
        security = match allowed {
            Allowed::Host(host) => security.allow_host(host),
            Allowed::Origin(origin) => security.allow_origin(origin),
            Allowed::AnyHost => Ok(security.allow_any_host()),
            Allowed::AnyOrigin => Ok(security.allow_any_origin()),
        }
        .map_err(invalid)?;
    }
    Ok(security)
}

fn check_path(path: &str) -> io::Result<()> {
    let is_path = path.starts_with('/') && path.parse::<http::Uri>().is_ok_and(|uri| uri.path() == path);
    if is_path { Ok(()) } else { Err(invalid(format!("{path:?} is no path: say /mcp, for instance"))) }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// A server, to whoever comes to a listener.
struct Site<R> {
    web: Arc<Web<R>>,
    http: http1::Builder,
}

impl<R: Spawn> Host for Site<R> {
    fn receive<Rd, Wr>(&self, accepted: Accepted<Rd, Wr>) -> (Arc<dyn Guest>, impl Future<Output = ()> + Send + 'static)
    where
        Rd: AsyncRead + Send + Unpin + 'static,
        Wr: AsyncWrite + Send + Unpin + 'static,
    {
        let Self { web, http } = self;
        let theirs = Arc::clone(web);
        let call = move |visitor: Arc<Visitor>, request: Request<Incoming>| {
            let web = Arc::clone(&theirs);
            async move { web.answer(&visitor, request).await }
        };
        let (runtime, stalled) = (web.runtime.clone(), web.options.stalled);
        let (visit, serving) = connection::serve(http, runtime, accepted, stalled, &web.count, call);
        (visit, serving)
    }

    fn budget(&self) -> &Budget {
        self.web.server.shared_budget()
    }

    fn close(&self, grace: Duration) {
        self.web.open.close(self.web.runtime.now(), grace);
    }

    fn take_cut(&self) -> Vec<Cut> {
        self.web.open.take_cut()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.web.open.poll_closed(cx)
    }
}
