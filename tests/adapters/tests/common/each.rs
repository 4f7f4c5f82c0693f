//! One test body for all runtimes: what an adapter can do, as a trait; [`on_each_runtime`], and the table of [`scenarios`].

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite, future};
#[cfg(feature = "http")]
use mcp::http::{HttpOptions, HttpTarget};
use mcp::net::{Bind, ListenOptions, Listening};
use mcp::process::Command;
use mcp::runtime::{Runtime, Spawn};
use mcp::{Client, ClientBuilder, Restart, Server};

/// The bound of a whole body on one runtime.
const BODY: Duration = Duration::from_secs(60);

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The two ends of a stream.
pub(crate) type Ends = (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);

/// How such a stream is opened.
pub(crate) type Open = Box<dyn Fn() -> Boxed<io::Result<Ends>> + Send + Sync>;

/// An adapter, so that a test can be given one.
pub(crate) trait Adapter: Sync {
    fn name(&self) -> &'static str;
    fn block_on(&self, body: Pin<Box<dyn Future<Output = ()> + '_>>);
    fn sleep(&self, time: Duration) -> Boxed<()>;
    fn start(&self, task: Boxed<()>);
    fn pair(&self, server: Server, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn spawn(&self, command: Command, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn spawn_restarting(&self, command: Command, client: ClientBuilder, restart: Restart)
    -> Boxed<mcp::Result<Client>>;
    fn serve_stream(&self, ends: Ends, server: Server) -> Boxed<mcp::Result<()>>;
    fn connect_stream(&self, ends: Ends, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn connect_restarting(&self, open: Open, client: ClientBuilder, restart: Restart) -> Boxed<mcp::Result<Client>>;
    fn serve_tcp_at(&self, bind: Bind, server: Server) -> Boxed<mcp::Result<()>>;
    fn listen_tcp(&self, server: Server, options: ListenOptions) -> Boxed<mcp::Result<Listening>>;
    #[cfg(feature = "http")]
    fn listen_http_at(&self, bind: Bind, server: Server, options: HttpOptions) -> Boxed<mcp::Result<Listening>>;
    #[cfg(feature = "http")]
    fn listen_http(&self, server: Server, options: HttpOptions) -> Boxed<mcp::Result<Listening>> {
        self.listen_http_at(0.into(), server, options)
    }
    #[cfg(feature = "http")]
    fn connect_http(&self, target: HttpTarget, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn connect_tcp(&self, address: SocketAddr, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    fn connect_tcp_by_name(&self, address: String, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
    #[cfg(unix)]
    fn listen_unix(&self, path: &Path, server: Server, options: ListenOptions) -> Boxed<mcp::Result<Listening>>;
    #[cfg(unix)]
    fn connect_unix(&self, path: &Path, client: ClientBuilder) -> Boxed<mcp::Result<Client>>;
}

macro_rules! adapter {
    ($type:ident, $name:literal, $crate_:ident, $runtime:path, |$body:ident| $block_on:expr) => {
        pub(crate) struct $type;

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

            fn spawn_restarting(
                &self,
                command: Command,
                client: ClientBuilder,
                restart: Restart,
            ) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::spawn_restarting(command, client, restart))
            }

            fn serve_stream(&self, (reader, writer): Ends, server: Server) -> Boxed<mcp::Result<()>> {
                Box::pin($crate_::serve_stream(reader, writer, server))
            }

            fn connect_stream(&self, (reader, writer): Ends, client: ClientBuilder) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::connect_stream(reader, writer, client))
            }

            fn connect_restarting(
                &self,
                open: Open,
                client: ClientBuilder,
                restart: Restart,
            ) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::connect_restarting(open, client, restart))
            }

            fn serve_tcp_at(&self, bind: Bind, server: Server) -> Boxed<mcp::Result<()>> {
                Box::pin($crate_::serve_tcp(bind, server))
            }

            fn listen_tcp(&self, server: Server, options: ListenOptions) -> Boxed<mcp::Result<Listening>> {
                Box::pin($crate_::listen_tcp(0, server, options))
            }

            #[cfg(feature = "http")]
            fn listen_http_at(
                &self,
                bind: Bind,
                server: Server,
                options: HttpOptions,
            ) -> Boxed<mcp::Result<Listening>> {
                Box::pin($crate_::listen_http(bind, server, options))
            }

            #[cfg(feature = "http")]
            fn connect_http(&self, target: HttpTarget, client: ClientBuilder) -> Boxed<mcp::Result<Client>> {
                Box::pin($crate_::connect_http_with(target, client))
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
        run(on, body(on));
    }
}

/// Runs a body on a runtime, but not for ever.
pub(crate) fn run(on: &'static dyn Adapter, body: impl Future<Output = ()>) {
    on.block_on(Box::pin(async {
        let late = async {
            on.sleep(BODY).await;
            panic!("on {}: not done after {BODY:?}", on.name());
        };
        future::or(body, late).await;
    }));
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

/// Asks until it is so.
#[track_caller]
pub(crate) fn until<'a>(on: &'a dyn Adapter, mut is_so: impl FnMut() -> bool + 'a) -> impl Future<Output = ()> + 'a {
    soon(on, async move {
        while !is_so() {
            on.sleep(Duration::from_millis(2)).await;
        }
    })
}

/// Starts something beside the test, and waits for what comes of it when the result is polled.
#[track_caller]
pub(crate) fn start<T: Send + 'static>(
    on: &dyn Adapter,
    work: impl IntoFuture<Output = T, IntoFuture: Send + 'static>,
) -> impl Future<Output = T> {
    let (tell, told) = smol::channel::bounded(1);
    let work = work.into_future();
    // The test may not want to know any more.
    on.start(Box::pin(async move { drop(tell.send(work.await).await) }));
    let told = soon(on, async move { told.recv().await });
    async { told.await.expect("it did not panic") }
}

/// Runs blocking code beside the runtime under test.
pub(crate) async fn beside<T: Send + 'static>(on: &dyn Adapter, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = smol::channel::bounded(1);
    let thread = std::thread::spawn(move || drop(done.send_blocking(work())));
    let result = soon(on, result.recv()).await;
    thread.join().expect("no panic");
    result.expect("a result")
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

/// What the table says of a scenario.
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) over: &'static [&'static str],
    /// Where it is not played, and why.
    pub(crate) absent: &'static [(&'static str, &'static str)],
}

/// Makes a table of scenarios, `TABLE`, and a test of each row on each runtime over each of its transports, such as
/// `on_smol::half_close::tcp`. A scenario is a function in a module of that name, of a runtime and a transport; `play` at the root of the
/// program plays it.
#[allow(unused_macros, reason = "two test binaries have a table")]
macro_rules! scenarios {
    ($($home:ident::$scenario:ident over $($over:ident)+ $(, not $absent:ident: $reason:literal)*;)+) => {
        const TABLE: &[$crate::common::each::Row] = &[$($crate::common::each::Row {
            scenario: stringify!($scenario),
            over: &[$(stringify!($over)),+],
            absent: &[$((stringify!($absent), $reason)),*],
        }),+];

        mod on_tokio {
            $($crate::common::each::scenarios!(@OnTokio $home $scenario $($over)+);)+
        }
        mod on_smol {
            $($crate::common::each::scenarios!(@OnSmol $home $scenario $($over)+);)+
        }
        mod on_async_std {
            $($crate::common::each::scenarios!(@OnAsyncStd $home $scenario $($over)+);)+
        }
    };
    (@$on:ident $home:ident $scenario:ident $($over:ident)+) => {
        mod $scenario {
            $(#[test]
            fn $over() {
                use $crate::common::{each, place::Transport};

                $crate::play(&each::$on, $crate::$home::$scenario(&each::$on, Transport::named(stringify!($over))));
            })+
        }
    };
}
#[allow(unused_imports, reason = "two test binaries have a table")]
pub(crate) use scenarios;

/// Whether the tests of this program are those of the table, and every scenario is played over every transport or says why not.
pub(crate) fn is_whole(table: &[Row]) {
    let listed = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--list", "--format", "terse"])
        .output()
        .expect("it starts");
    let listed = String::from_utf8(listed.stdout).expect("names");
    let listed = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect::<Vec<_>>();
    let mut pairs = 0;
    for Row { scenario, over, absent } in table {
        for transport in super::place::Transport::ALL {
            let name = transport.name();
            match (over.contains(&name), absent.iter().find(|(absent, _)| *absent == name)) {
                (true, None) => {}
                (false, Some((_, reason))) => {
                    assert!(reason.len() > 20, "{scenario} over {name}: {reason:?} is no reason");
                    continue;
                }
                (true, Some(_)) => panic!("{scenario} is and is not played over {name}"),
                (false, None) => panic!("{scenario} is not played over {name}, and nothing says why"),
            }
            for on in RUNTIMES {
                let test = format!("on_{}::{scenario}::{name}", on.name().replace('-', "_"));
                assert!(listed.contains(&test.as_str()), "there is no test {test}");
                pairs += 1;
            }
        }
        assert_eq!(over.len() + absent.len(), super::place::Transport::ALL.len(), "{scenario} names a transport twice");
    }
    let made = listed.iter().filter(|test| test.starts_with("on_")).count();
    assert_eq!(made, pairs, "tests that the table does not have");
}
