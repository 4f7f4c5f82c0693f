//! Who serves the clients of a listener: the contract with the task that accepts, and what it means for streams of lines.

use std::future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::or;

use super::opening::Opening;
use super::{Accepted, Cut};
use crate::runtime::Spawn;
use crate::server::Server;
use crate::stream::{Budget, Shared, begin_server};

/// Serves whoever is let in.
pub(crate) trait Host: Send + Sync + 'static {
    /// Whom to tell that it has to leave, and the task that serves it to its end.
    fn receive<Rd, Wr>(
        &self,
        accepted: Accepted<Rd, Wr>,
    ) -> (Arc<dyn Guest>, impl Future<Output = ()> + Send + 'static)
    where
        Rd: AsyncRead + Send + Unpin + 'static,
        Wr: AsyncWrite + Send + Unpin + 'static;

    /// Asked before somebody is let in.
    fn budget(&self) -> &Budget;

    /// The listener ends: what outlives its clients ends as well, once its calls have finished or the grace is over. Said again for a
    /// shorter grace.
    fn close(&self, grace: Duration) {
        let _ = grace;
    }

    /// What of it did not finish in time; asked once the end is over, or has taken too long.
    fn take_cut(&self) -> Vec<Cut> {
        Vec::new()
    }

    /// Ready once that is over.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

/// A client that was let in.
pub(crate) trait Guest: Send + Sync {
    /// Has to leave once its calls have finished or the grace is over. Said again for a shorter grace.
    fn see_out(&self, grace: Duration);

    /// How many of its calls are in work.
    fn working(&self) -> usize;

    /// How many were when it had to leave before they had finished.
    fn cut(&self) -> usize;
}

impl Guest for Shared {
    fn see_out(&self, grace: Duration) {
        self.command(|state, now| state.connection.close(now, grace));
    }

    fn working(&self) -> usize {
        self.with(|state| state.working())
    }

    fn cut(&self) -> usize {
        self.with(|state| state.cut)
    }
}

/// Serves clients that speak in lines: each is a connection of its own.
pub(super) struct Streams<R> {
    pub(super) runtime: R,
    pub(super) server: Server,
    /// How long one may say nothing at the beginning.
    pub(super) silence: Duration,
}

impl<R: Spawn> Host for Streams<R> {
    fn receive<Rd, Wr>(&self, accepted: Accepted<Rd, Wr>) -> (Arc<dyn Guest>, impl Future<Output = ()> + Send + 'static)
    where
        Rd: AsyncRead + Send + Unpin + 'static,
        Wr: AsyncWrite + Send + Unpin + 'static,
    {
        let Accepted { reader, writer, peer, .. } = accepted;
        let Self { runtime, server, silence } = self;
        let (shared, serving) = begin_server(runtime.clone(), Opening::of(reader), writer, None, server);
        // Boxed, so that it is gone once it is over.
        let too_long = Box::pin(runtime.sleep_until(runtime.now() + *silence));
        let unheard = disconnect_unheard(too_long, Arc::clone(&shared), peer);
        let serving = async move {
            if let Err(error) = or(serving, unheard).await {
                tracing::debug!(?peer, %error, "a connection has failed");
            }
        };
        (shared, serving)
    }

    fn budget(&self) -> &Budget {
        self.server.shared_budget()
    }
}

/// Disconnects a client that has not said anything until then. Never ends.
async fn disconnect_unheard<T>(until: impl Future<Output = ()>, shared: Arc<Shared>, peer: Option<SocketAddr>) -> T {
    until.await;
    shared.command(|state, now| {
        if state.connection.stats().received == 0 {
            tracing::debug!(?peer, "a client is disconnected: it has not said anything");
            state.connection.close(now, Duration::ZERO);
        }
    });
    drop(shared);
    future::pending().await
}
