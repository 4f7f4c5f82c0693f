//! The task that accepts: lets clients in while there is room, survives whatever accepting comes up with, and sees all of them out.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;

use super::hall::{Hall, Listening};
use super::host::{Host, Streams};
use super::{Accepted, Address, ListenOptions, Listener};
use crate::Result;
use crate::runtime::Spawn;
use crate::server::{Lease, Server};

/// How long to wait after an error of accepting that will not go away by itself, such as too many open files; twice as long each time.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(1);
/// How many clients may be lost in a row before that counts as an error that lasts.
const LOST: u32 = 64;
/// What flushing and closing may take once a connection is over: what the driver gives them, and a little.
const CLOSING: Duration = Duration::from_secs(3);

/// Serves whoever comes to a listener, in a task of its own, until the handle is dropped or shut down.
///
/// An error of accepting is logged and survived: one that concerns a single client at once, any other after a pause of at most a second,
/// for as long as it lasts. What goes wrong on a connection is logged and ends that connection.
///
/// This is what the adapters are made of; with them at hand, call theirs. [`Listener`] shows how to let clients come by
/// another way.
///
/// # Errors
///
/// When the server is not well defined or its start hook fails.
pub async fn listen<R: Spawn, L: Listener>(
    runtime: R,
    listener: L,
    address: Address,
    server: Server,
    options: ListenOptions,
) -> Result<Listening> {
    let lease = server.enter().await?;
    let ListenOptions { connections, silence, .. } = options;
    let host = Streams { runtime: runtime.clone(), server, silence };
    Ok(keep(runtime, listener, address, host, connections, lease))
}

/// Has a host serve whoever comes to a listener, at most so many at once. The lease is held as long as it listens, so that the server's
/// hooks run once and not whenever the last client leaves.
pub(crate) fn keep<R: Spawn, L: Listener>(
    runtime: R,
    listener: L,
    address: Address,
    host: impl Host,
    connections: usize,
    lease: Lease,
) -> Listening {
    let hall = Arc::new(Hall::default());
    tracing::info!(%address, "listening");
    let keeper =
        Keeper { runtime: runtime.clone(), hall: Hosting(Arc::clone(&hall)), host, connections, turned_away: 0 };
    let listening = Listening::new(address, hall);
    runtime.spawn(keeper.keep(listener, lease));
    listening
}

struct Keeper<R, H> {
    runtime: R,
    hall: Hosting,
    host: H,
    /// How many clients there may be.
    connections: usize,
    /// How many clients were turned away since the last was let in.
    turned_away: u64,
}

/// Tells whoever waits for the end of it, also if the task is dropped by its runtime.
struct Hosting(Arc<Hall>);

impl Drop for Hosting {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<R: Spawn, H: Host> Keeper<R, H> {
    async fn keep<L: Listener>(mut self, mut listener: L, lease: Lease) {
        let (mut pause, mut lost) = (*PAUSES.start(), 0);
        let grace = loop {
            let stop = async { Err(poll_fn(|cx| self.hall.0.poll_stop(None, cx)).await) };
            let came = match future::or(stop, async { Ok(listener.accept().await) }).await {
                Err(grace) => break grace,
                Ok(came) => came,
            };
            match came {
                Ok(accepted) => {
                    (pause, lost) = (*PAUSES.start(), 0);
                    self.admit(accepted);
                    // However many come, those who are in get their turn.
                    future::yield_now().await;
                }
                // Whoever it was has left before it was let in.
                Err(error) if is_of_one_client(&error) && lost < LOST => {
                    tracing::debug!(%error, "a client was lost on its way in");
                    lost += 1;
                }
                Err(error) => {
                    lost = 0;
                    tracing::warn!(%error, ?pause, "clients cannot be accepted now");
                    let over = self.runtime.sleep_until(self.runtime.now() + pause);
                    let stop = poll_fn(|cx| self.hall.0.poll_stop(None, cx).map(|_| ()));
                    future::or(stop, over).await;
                    pause = (pause * 2).min(*PAUSES.end());
                }
            }
        };
        drop(listener);
        self.see_out(grace).await;
        self.hall.0.add_cut(self.host.take_cut());
        lease.leave().await;
    }

    /// Closes all connections, each when its calls have finished or the grace is over.
    async fn see_out(&self, mut grace: Duration) {
        loop {
            // First, so that whoever is told to leave finds that nothing new is begun.
            self.host.close(grace);
            for guest in self.hall.0.begin_end() {
                guest.see_out(grace);
            }
            let over = self.runtime.sleep_until(self.runtime.now() + grace + CLOSING);
            let hurried = async { Some(poll_fn(|cx| self.hall.0.poll_stop(Some(grace), cx)).await) };
            let gone = async {
                let empty = async {
                    poll_fn(|cx| self.hall.0.poll_empty(cx)).await;
                    poll_fn(|cx| self.host.poll_closed(cx)).await;
                };
                future::or(empty, over).await;
                None
            };
            match future::or(gone, hurried).await {
                None => return,
                Some(shorter) => grace = shorter,
            }
        }
    }

    fn admit<Rd, Wr>(&mut self, accepted: Accepted<Rd, Wr>)
    where
        Rd: futures_io::AsyncRead + Send + Unpin + 'static,
        Wr: futures_io::AsyncWrite + Send + Unpin + 'static,
    {
        let Self { runtime, hall: Hosting(hall), host, connections, turned_away } = self;
        let peer = accepted.peer;
        let too_much = if hall.len() >= *connections {
            Some("too many are connected")
        } else {
            host.budget().is_exceeded().then_some("all connections together hold too much in memory")
        };
        if let Some(too_much) = too_much {
            // Once, since whoever floods a server with connections should not flood its log.
            if *turned_away == 0 {
                tracing::warn!(?peer, "clients are turned away: {too_much}");
            }
            *turned_away += 1;
            return;
        }
        if *turned_away > 0 {
            tracing::warn!(number = std::mem::take(turned_away), "clients were turned away; now they are let in again");
        }
        let (guest, serving) = host.receive(accepted);
        let seat = hall.enter(peer, guest);
        runtime.spawn(async move {
            serving.await;
            drop(seat);
        });
    }
}

/// Whether an error of accepting is about the client that would have come, so that the next may be accepted at once.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkUnreachable, NotConnected, TimedOut,
    };

    matches!(
        error.kind(),
        BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkUnreachable
            | NotConnected
            | TimedOut
    )
}
