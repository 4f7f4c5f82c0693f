//! Connections over byte streams: one driver, generic over the stream and the runtime, for servers and clients alike.
//!
//! Whatever carries messages in order becomes such a stream with a few lines: a message is a line. `examples/custom_transport` in the
//! repository does that for a channel of messages, and is the guide for authors of transports: when to join here and when at
//! [`mcp_proto::Connection`], what to feed, what to drain, and what to do at the end.
//!
//! Adapters hand their runtime and opened streams to these functions:
//!
//! ```
//! use mcp::runtime::Spawn;
//! use mcp::{ClientBuilder, Server, Tool, stream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mcp::Result<()> {
//! let runtime = mcp_tokio::Tokio::current()?; // Or your own.
//! let (here, there) = mcp::memory::duplex(1024);
//!
//! let server = Server::new("s", "1.0.0").tool(Tool::new("t", "Do it", async || "done"));
//! let (reader, writer) = there.into_split();
//! let serving = stream::serve(runtime.clone(), reader, writer, None, server);
//! runtime.spawn(async move {
//!     if let Err(error) = serving.await {
//!         eprintln!("{error}");
//!     }
//! });
//!
//! let (reader, writer) = here.into_split();
//! let client = stream::connect(runtime, reader, writer, None, ClientBuilder::default()).await?;
//! assert_eq!(client.call_tool("t", ()).await?.joined_text(), "done");
//! # Ok(()) }
//! ```

mod alarm;
mod budget;
mod call;
mod dispatch;
mod driver;
mod handling;
mod input;
mod link;
mod listeners;
mod notifications;
mod questions;
mod routing;
mod screening;
mod shared;
mod waiting;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use mcp_proto::{CloseReason, Connection, Start};
use tracing::Instrument;
use tracing::instrument::Instrumented;

#[cfg(feature = "http")]
pub(crate) use self::alarm::Alarm;
pub use self::budget::Budget;
#[cfg(feature = "http")]
pub(crate) use self::budget::{Held, Load};
pub(crate) use self::call::{Answered, Call, OnProgress, Sent, notify, reserve_id};
#[cfg(feature = "http")]
pub(crate) use self::dispatch::dispatch;
use self::driver::Driver;
pub(crate) use self::driver::{Parts, Role};
pub(crate) use self::handling::{
    Answer, BoxFuture, Handling, Reply, Service, contain, contain_callback, drop_contained, handle_contained,
};
#[cfg(feature = "http")]
pub(crate) use self::handling::{Begins, Begun, Work, begin, size, start};
pub(crate) use self::link::{Lesson, Link, NotRestarted, Succession};
pub(crate) use self::listeners::{Key, Sink};
#[cfg(feature = "http")]
pub(crate) use self::notifications::Notifications;
pub(crate) use self::routing::Routers;
pub use self::routing::{ResponseRouter, Routed};
#[cfg(feature = "http")]
pub(crate) use self::screening::screen;
#[cfg(feature = "http")]
pub(crate) use self::shared::Turn;
pub(crate) use self::shared::{Cancel, Facts, Inbound, Shared, State};
use crate::client::{Client, ClientBuilder, Setup};
pub use crate::client::{connect_restarting, spawn_restarting};
use crate::process::{Child, Command};
use crate::runtime::Spawn;
use crate::server::Server;
use crate::trace::{Operation, Session, Tracer, Transport};
use crate::{Error, Result};

/// Serves one connection until its end.
///
/// `hangup`, if given, is ready when the peer is gone although writing to it still seems to work. It is asked once the
/// input has ended, so that a server whose client was killed does not work on for nobody.
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When the server is not well defined, its start hook fails, or the connection ends in any other way than by being
/// closed on either side.
pub async fn serve<R, Rd, Wr>(
    runtime: R,
    reader: Rd,
    writer: Wr,
    hangup: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    server: Server,
) -> Result<()>
where
    R: Spawn,
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
{
    let lease = server.enter().await?;
    let (_, serving) = begin_server(runtime, reader, writer, hangup, &server);
    let served = serving.await;
    lease.leave().await;
    served
}

/// Prepares one connection of a server that is started. The future serves it to its end; it is `Send` if the stream is.
pub(crate) fn begin_server<R, Rd, Wr>(
    runtime: R,
    reader: Rd,
    writer: Wr,
    hangup: Option<BoxFuture<()>>,
    server: &Server,
) -> (Arc<Shared>, impl Future<Output = Result<()>> + use<R, Rd, Wr>)
where
    R: Spawn,
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
{
    let (config, service) = (server.config(), server.service());
    let limits = config.limits.clone();
    let tracer = server.tracer();
    let session = Session::begin(Role::Server, &tracer, runtime.now());
    let shared = share(&runtime, tracer, |now| Connection::server(config, Start::Handshake, now));
    let account = server.shared_budget().open(&shared);
    let ending = Arc::clone(&service);
    let parts = Parts { runtime, shared: Arc::clone(&shared), service, limits, account, hangup, role: Role::Server };
    let place = server.tell(&shared);
    // Boxed: a future that waits for another has room for it twice, and this one is large.
    let driver = Box::pin(Driven::new(Driver::new(parts, reader, writer), session, &shared));
    let theirs = Arc::clone(&shared);
    let serving = async move {
        driver.await;
        drop(place);
        if let Some(ended) = ending.ended() {
            ended.await;
        }
        match theirs.with(|state| state.closed.clone()) {
            None | Some(CloseReason::PeerClosed | CloseReason::LocallyClosed) => Ok(()),
            Some(reason) => Err(Error::Closed(reason)),
        }
    };
    (shared, serving)
}

/// Connects a client over a stream: starts its driver as a task and waits for the handshake.
///
/// `child` is the process at the other end, if there is one; it is shut down with the client.
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When the handshake fails or does not end in time.
pub async fn connect<R, Rd, Wr>(
    runtime: R,
    reader: Rd,
    writer: Wr,
    child: Option<Child>,
    client: ClientBuilder,
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
{
    let task = runtime.clone();
    connect_by(runtime, Opened { reader, writer, child }, client, move |driver| task.spawn(driver)).await
}

/// The same, with `start` to start the driver.
pub(crate) fn connect_by<R, Rd, Wr>(
    runtime: R,
    opened: Opened<Rd, Wr>,
    client: ClientBuilder,
    start: impl FnOnce(Driven<Driver<Rd, Wr, R>>),
) -> Pin<Box<impl Future<Output = Result<Client>>>>
where
    R: Spawn,
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
{
    // Boxed, since what it makes of the builder is large and callers hold this future.
    Box::pin(async move {
        let setup = client.into_setup()?;
        // A drop of this future closes the connection and ends the child.
        let client = open_by(&runtime, opened, &setup, Link::One, start).await?;
        setup.settle(&runtime, &client).await;
        Ok(client)
    })
}

/// A connection to a server, opened and not used yet, and the process at its other end, if there is one.
pub(crate) struct Opened<Rd, Wr> {
    pub(crate) reader: Rd,
    pub(crate) writer: Wr,
    pub(crate) child: Option<Child>,
}

/// Makes an opened connection a client's first, and waits for the handshake.
pub(crate) async fn open<R, Rd, Wr>(
    runtime: &R,
    opened: Opened<Rd, Wr>,
    setup: &Setup,
    link: fn(Arc<Shared>, Option<Child>) -> Link,
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
{
    open_by(runtime, opened, setup, link, |driver| runtime.spawn(driver)).await
}

/// The same, with `start` to start the driver.
async fn open_by<R, Rd, Wr>(
    runtime: &R,
    opened: Opened<Rd, Wr>,
    setup: &Setup,
    link: fn(Arc<Shared>, Option<Child>) -> Link,
    start: impl FnOnce(Driven<Driver<Rd, Wr, R>>),
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
{
    let (shared, handshake) = share_client(runtime, setup, opened.child.as_ref());
    let client = Client::new(link(Arc::clone(&shared), opened.child.clone()), setup);
    let child = opened.child.clone();
    start(driver(runtime, opened, &shared, setup, &client));
    ready(&shared, child, handshake).await?;
    Ok(client)
}

/// Waits for the handshake.
pub(crate) async fn ready(shared: &Shared, child: Option<Child>, handshake: Operation) -> Result<Facts> {
    let ready = match (shared.ready().await, child) {
        // How it ended says more than that it did.
        (Err(Error::Closed(CloseReason::PeerClosed)), Some(child)) => Err(Error::ServerEnded(child.shutdown().await)),
        (ready, _) => ready,
    };
    handshake.shaken(shared.now(), ready.as_ref().map(|facts| facts.version));
    ready
}

/// A client's connection, which begins with the handshake.
pub(crate) fn share_client<R: Spawn>(runtime: &R, setup: &Setup, child: Option<&Child>) -> (Arc<Shared>, Operation) {
    let (mut config, mut tracer) = (Arc::clone(&setup.config), setup.tracer.clone());
    tracer.transport = tracer.transport.or(child.map(|_| Transport::Pipe));
    let handshake = Operation::handshake(runtime.now(), &tracer, &mut config);
    (share(runtime, tracer, |now| Connection::client(config, now)), handshake)
}

/// The driver of a client's connection, to be run.
pub(crate) fn driver<R, Rd, Wr>(
    runtime: &R,
    opened: Opened<Rd, Wr>,
    shared: &Arc<Shared>,
    setup: &Setup,
    client: &Client,
) -> Driven<Driver<Rd, Wr, R>>
where
    R: Spawn,
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
{
    let session = Session::begin(Role::Client, shared.tracer(), runtime.now());
    let parts = Parts {
        runtime: runtime.clone(),
        shared: Arc::clone(shared),
        service: setup.service(client),
        limits: setup.config.limits.clone(),
        account: setup.budget.open(shared),
        hangup: None,
        role: Role::Client,
    };
    Driven::new(Driver::new(parts, opened.reader, opened.writer), session, shared)
}

/// A driver at work, in its connection's span.
pub(crate) struct Driven<D> {
    driver: Instrumented<D>,
    shared: Arc<Shared>,
    session: Session,
}

impl<D: Future<Output = ()>> Driven<D> {
    pub(crate) fn new(driver: D, session: Session, shared: &Arc<Shared>) -> Self {
        Self { driver: driver.instrument(session.span().clone()), shared: Arc::clone(shared), session }
    }
}

impl<D: Future<Output = ()> + Unpin> Future for Driven<D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = Pin::new(&mut self.driver).poll(cx);
        if polled.is_ready() {
            self.session.end(&self.shared);
        }
        polled
    }
}

/// Starts a server as a child process and connects a client to it. `pipes` makes the child's pipes asynchronous.
///
/// A server of the legacy era that ends at the question which era it speaks is started once more and not asked.
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When the child cannot be started, or the handshake fails or does not end in time.
pub async fn spawn<R, Rd, Wr>(
    runtime: R,
    command: Command,
    client: ClientBuilder,
    pipes: impl Fn(ChildStdin, ChildStdout) -> io::Result<(Rd, Wr)>,
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(async move {
        let mut setup = client.into_setup()?;
        let client = match open(&runtime, open_child(&command, &pipes)?, &setup, Link::One).await {
            Err(Error::DiedOfProbe) => {
                setup.legacy_only();
                open(&runtime, open_child(&command, &pipes)?, &setup, Link::One).await?
            }
            opened => opened?,
        };
        setup.settle(&runtime, &client).await;
        Ok(client)
    })
    .await
}

/// Starts a server as a child process.
pub(crate) fn open_child<Rd, Wr>(
    command: &Command,
    pipes: impl Fn(ChildStdin, ChildStdout) -> io::Result<(Rd, Wr)>,
) -> io::Result<Opened<Rd, Wr>> {
    let (child, stdin, stdout) = command.spawn()?;
    let (reader, writer) = pipes(stdin, stdout)?;
    Ok(Opened { reader, writer, child: Some(child) })
}

/// A server and a client of it, joined in memory; the server runs as a task until either of them has had enough.
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When either is not well defined, the start hook fails, or the two do not come to terms.
pub async fn pair<R: Spawn>(runtime: R, server: Server, client: ClientBuilder) -> Result<Client> {
    /// What either side may be ahead of the other.
    const BUFFER: usize = 64 * 1024;

    // Boxed, as in `connect`.
    Box::pin(async move {
        // Told here, where somebody hears it.
        server.check()?;
        let (here, there) = crate::memory::duplex(BUFFER);
        let (reader, writer) = there.into_split();
        let serving = serve(runtime.clone(), reader, writer, None, server);
        runtime.spawn(async move {
            // Whatever ends the server ends the stream, and so the client, which has somebody to tell.
            let _ = serving.await;
        });
        let (reader, writer) = here.into_split();
        connect(runtime, reader, writer, None, client).await
    })
    .await
}

/// What a connection's driver and its handles share, with the runtime's clock.
pub(crate) fn share<R: Spawn>(
    runtime: &R,
    tracer: Tracer,
    connection: impl FnOnce(crate::Timestamp) -> Connection,
) -> Arc<Shared> {
    let clock = runtime.clone();
    Shared::new(connection(runtime.now()), tracer, move || clock.now())
}

impl Shared {
    /// What the handshake brought, once it did.
    pub(crate) async fn ready(&self) -> Result<Facts> {
        self.watch(|state| match (&state.facts, &state.closed) {
            (Some(facts), _) => Some(Ok(facts.clone())),
            (None, Some(_)) if state.died_of_probe => Some(Err(Error::DiedOfProbe)),
            (None, Some(reason)) => Some(Err(Error::Closed(reason.clone()))),
            (None, None) => None,
        })
        .await
    }

    /// Waits until the connection is over and its output closed.
    pub(crate) async fn ended(&self) -> CloseReason {
        self.watch(|state| state.closed.clone().filter(|_| state.output_closed)).await
    }

    /// Waits for so long, or until the connection is over.
    pub(crate) async fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        poll_fn(|cx| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            let dropped = self.command(|state, _| match state.closed {
                Some(_) => Err(waker),
                None => Ok(state.wait_for_room(Some(until), waker)),
            });
            if dropped.is_err() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits until `look` finds something.
    pub(crate) async fn watch<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        let mut watching = Watching { shared: self, key: None };
        poll_fn(|cx| {
            let mut waker = Some(cx.waker().clone());
            let found = self.with(|state| {
                let found = look(state);
                if found.is_none() {
                    waker = waker.take().and_then(|waker| state.watch(&mut watching.key, waker));
                }
                found
            });
            found.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// A place among those who wait for the handshake or for the end, given back on drop.
struct Watching<'a> {
    shared: &'a Shared,
    key: Option<u64>,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            drop(self.shared.with(|state| state.watchers.remove(&key)));
        }
    }
}
