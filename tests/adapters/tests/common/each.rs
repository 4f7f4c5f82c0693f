//! One test body for all runtimes and transports: [`on_each_runtime`] and [`on_each`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_lite::future;
use mcp::net::{Bind, ListenOptions, Listening};
use mcp::process::Command;
use mcp::runtime::{Runtime, Spawn};
use mcp::{Client, ClientBuilder, Server};

/// The bound of a whole body on one runtime.
const BODY: Duration = Duration::from_secs(60);

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An adapter, so that a test can be given one.
pub(crate) trait Adapter: Sync {
    fn name(&self) -> &'static str;
    fn block_on(&self, body: Pin<Box<dyn Future<Output = ()> + '_>>);
    fn sleep(&self, time: Duration) -> Boxed<()>;
    fn start(&self, task: Boxed<()>);
    fn pair(&self, server: Server, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn spawn(&self, command: Command, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn serve_tcp_at(&self, bind: Bind, server: Server) -> Boxed<mcp::Result<()>>;
    fn listen_tcp(&self, server: Server, options: ListenOptions) -> Boxed<mcp::Result<Listening>>;
    fn connect_tcp(&self, address: SocketAddr, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn connect_tcp_by_name(&self, address: String, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    #[cfg(unix)]
    fn listen_unix(&self, path: &Path, server: Server, options: ListenOptions) -> Boxed<mcp::Result<Listening>>;
    #[cfg(unix)]
    fn connect_unix(&self, path: &Path, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
}

macro_rules! adapter {
    ($type:ident, $name:literal, $crate_:ident, $runtime:path, |$body:ident| $block_on:expr) => {
        struct $type;

        impl Adapter for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn block_on(&self, $body: Pin<Box<dyn Future<Output = ()> + '_>>) {
                $block_on
            }

            fn sleep(&self, time: Duration) -> Boxed<()> {
                let runtime = <$runtime>::current().expect("a runtime");
                Box::pin(async move { runtime.sleep_until(runtime.now() + time).await })
            }

            fn start(&self, task: Boxed<()>) {
                <$runtime>::current().expect("a runtime").spawn(task);
            }

            fn pair(&self, server: Server, client: ClientBuilder) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::pair_with(server, client))
            }

            fn spawn(&self, command: Command, client: ClientBuilder) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::spawn_with(command, client))
            }

            fn serve_tcp_at(&self, bind: Bind, server: Server) -> Boxed<mcp::Result<()>> {
                Box::pin($crate_::serve_tcp(bind, server))
            }

            fn listen_tcp(&self, server: Server, options: ListenOptions) -> Boxed<mcp::Result<Listening>> {
                Box::pin($crate_::listen_tcp(0, server, options))
            }

            fn connect_tcp(&self, address: SocketAddr, client: ClientBuilder) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::connect_tcp_with(address, client))
            }

            fn connect_tcp_by_name(&self, address: String, client: ClientBuilder) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::connect_tcp_with(address, client))
            }

            #[cfg(unix)]
            fn listen_unix(
                &self,
                path: &Path,
                server: Server,
                options: ListenOptions,
            ) -> Boxed<mcp::Result<Listening>> {
                Box::pin($crate_::listen_unix(path.to_owned(), server, options))
            }

            #[cfg(unix)]
            fn connect_unix(&self, path: &Path, client: ClientBuilder) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::connect_unix_with(path.to_owned(), client))
            }
        }
    };
}

adapter!(OnTokio, "tokio", mcp_tokio, mcp_tokio::Tokio, |body| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(body);
});
adapter!(OnSmol, "smol", mcp_smol, mcp_smol::Smol, |body| smol::block_on(body));
adapter!(OnAsyncStd, "async-std", mcp_asyncstd, mcp_asyncstd::AsyncStd, |body| async_std::task::block_on(body));

/// All of them.
pub(crate) static RUNTIMES: [&dyn Adapter; 3] = [&OnTokio, &OnSmol, &OnAsyncStd];

/// Runs a body on one runtime after the other. Bodies bound their waits with [`soon`]; the whole has a bound as well.
pub(crate) fn on_each_runtime(body: impl AsyncFn(&'static dyn Adapter)) {
    for on in RUNTIMES {
        // Shown if the test fails.
        println!("on {}", on.name());
        on.block_on(Box::pin(async {
            let late = async {
                on.sleep(BODY).await;
                panic!("on {}: not done after {BODY:?}", on.name());
            };
            future::or(body(on), late).await;
        }));
    }
}

/// Waits on that runtime, but not for ever.
#[track_caller]
pub(crate) fn soon<T>(on: &dyn Adapter, work: impl IntoFuture<Output = T>) -> impl Future<Output = T> {
    let at = std::panic::Location::caller();
    let (name, bound) = (on.name(), on.sleep(super::BOUND));
    async move {
        let late = async {
            bound.await;
            panic!("{at}: on {name}: not done after {:?}", super::BOUND);
        };
        future::or(work.into_future(), late).await
    }
}

/// How a client and a server in one process are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Memory,
    Tcp,
    #[cfg(unix)]
    Unix,
}

pub(crate) const TRANSPORTS: &[Transport] = &[
    Transport::Memory,
    Transport::Tcp,
    #[cfg(unix)]
    Transport::Unix,
];

/// Runs a body on every runtime over every transport.
pub(crate) fn on_each(body: impl AsyncFn(&'static dyn Adapter, Transport)) {
    on_each_runtime(async |on| {
        for &over in TRANSPORTS {
            println!("over {over:?}");
            body(on, over).await;
        }
    });
}

/// A server and a client of it. The server ends with the second part.
pub(crate) async fn join(
    on: &dyn Adapter,
    over: Transport,
    server: Server,
    client: ClientBuilder,
) -> (Client, Option<Listening>) {
    match over {
        Transport::Memory => (soon(on, on.pair(server, client)).await.expect("a pair"), None),
        Transport::Tcp => {
            let listening = soon(on, on.listen_tcp(server, ListenOptions::default())).await.expect("a port");
            let address = listening.address().tcp().expect("a TCP address");
            (soon(on, on.connect_tcp(address, client)).await.expect("a connection"), Some(listening))
        }
        #[cfg(unix)]
        Transport::Unix => {
            let path = SocketPath::new();
            let listening = soon(on, on.listen_unix(&path.0, server, ListenOptions::default())).await.expect("a path");
            (soon(on, on.connect_unix(&path.0, client)).await.expect("a connection"), Some(listening))
        }
    }
}

/// A path for a Unix socket that nothing else has.
pub(crate) struct SocketPath(pub(crate) PathBuf);

impl SocketPath {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mcp-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}
