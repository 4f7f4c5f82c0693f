//! Sockets as the operating system has them: binding, and the options that every TCP connection gets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{Address, Bind, ListenOptions, Listener, Listening, listen};
use crate::Result;
use crate::runtime::Spawn;
use crate::server::Server;
use crate::trace::Transport;

/// Clients that have come and are not accepted yet. The system may have a lower limit of its own.
pub(super) const BACKLOG: i32 = 1024;
/// After so much silence a peer is asked whether it is still there ...
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// ... and again so often; how many times is for the system to say.
const KEEP_ALIVE_AGAIN: Duration = Duration::from_secs(15);

/// Listens on TCP. `open` makes the bound socket, which does not block, the runtime's own.
///
/// # Errors
///
/// When the server is not well defined, its start hook fails, or the address cannot be bound.
pub async fn listen_tcp<R: Spawn, L: Listener>(
    runtime: R,
    bind: Bind,
    server: Server,
    options: ListenOptions,
    open: impl FnOnce(TcpListener) -> io::Result<L>,
) -> Result<Listening> {
    let socket = bind_socket(bind.address()?)?;
    let address = Address::Tcp(socket.local_addr()?);
    listen(runtime, open(socket)?, address, server.over(Transport::Tcp), options).await
}

/// A listening socket that does not block.
pub(crate) fn bind_socket(address: SocketAddr) -> io::Result<TcpListener> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // So that a server that is restarted gets its port back. On Windows the option means something else.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    open().map_err(|error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// Sets the options that a TCP connection needs: small messages leave at once, and a peer whose machine is gone is noticed.
///
/// For whoever opens connections by other means than an adapter's. It cannot fail: a connection that is already broken says so when it is
/// used.
#[cfg(unix)]
pub fn tune(stream: &impl std::os::fd::AsFd) {
    set_options(&SockRef::from(stream));
}

/// Sets the options that a TCP connection needs: small messages leave at once, and a peer whose machine is gone is noticed.
///
/// For whoever opens connections by other means than an adapter's. It cannot fail: a connection that is already broken says so when it is
/// used.
#[cfg(windows)]
pub fn tune(stream: &impl std::os::windows::io::AsSocket) {
    set_options(&SockRef::from(stream));
}

fn set_options(socket: &SockRef<'_>) {
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE_AGAIN);
    for set in [socket.set_tcp_nodelay(true), socket.set_tcp_keepalive(&keep_alive)] {
        if let Err(error) = set {
            tracing::debug!(%error, "an option of a connection could not be set");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn connections_send_at_once_and_are_kept_alive() {
        let listener = bind_socket(([127, 0, 0, 1], 0).into()).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tune(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_that_names_it() {
        let first = bind_socket(([127, 0, 0, 1], 0).into()).unwrap();
        let taken = first.local_addr().unwrap();
        let error = bind_socket(taken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
}
