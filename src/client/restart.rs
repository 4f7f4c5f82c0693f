//! A client whose server may end: it is started, or connected to, once more, so often and no more.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future;
use mcp_proto::model::Capability;
use mcp_proto::{CloseReason, Era, Timestamp};

use super::listen::tell_all_changed;
use super::{Client, ClientBuilder, Setup};
use crate::process::Command;
use crate::runtime::Spawn;
use crate::stream::{
    self, BoxFuture, Link, NotRestarted, Opened, Shared, Succession, contain_callback, driver, handle_contained,
    open_child, ready, share_client,
};
use crate::{Error, Result};

/// How a client goes on when its connection ends by itself: the server crashed, was stopped, or cannot be reached any more.
///
/// It is opened again, at first soon, then less and less eagerly; in the end, when that was done too often in too short a time,
/// it stays closed. Meanwhile, and afterwards:
///
/// - calls that were under way fail ([`Error::is_lost`]): the server may have executed them, and **nothing is sent twice**;
/// - calls that are made while there is no connection wait for the next one, as long as they may wait for an answer
///   ([`Request::idle`](crate::Request::idle)); notifications do not wait;
/// - the cache forgets everything; callbacks stay, and hear that all lists have changed;
/// - subscriptions ([`Client::subscribe`], [`Client::listen`], the `watch_*`) and the log level are asked for again, and
///   whatever they are about counts as changed.
///
/// What the server knew of the session before is gone with it. If the new one speaks another era, subscriptions of
/// 2026-07-28 end.
///
/// ```
/// use std::time::Duration;
/// use mcp::Restart;
///
/// let restart = Restart::new()
///     .at_most(10, Duration::from_secs(300))
///     .on_restart(async |client, restarted| println!("restart {} after {}", client.restarts(), restarted.reason));
/// # drop(restart);
/// ```
#[derive(Clone)]
#[must_use = "hand it to what connects"]
pub struct Restart {
    first: Duration,
    longest: Duration,
    most: usize,
    within: Duration,
    on_restart: Option<OnRestart>,
}

type OnRestart = Arc<dyn Fn(Client, Restarted) -> BoxFuture<()> + Send + Sync>;

/// What [`Restart::on_restart`] is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restarted {
    /// How many restarts that makes.
    pub count: u64,
    /// Why the connection before has ended.
    pub reason: CloseReason,
    /// How often it was tried this time.
    pub tries: usize,
    /// For how long there was no connection.
    pub down: Duration,
}

/// No pause is shorter, whatever is asked for.
const SHORTEST: Duration = Duration::from_millis(1);
/// What the log calls the callback that hears of restarts, where others have the method of a notification.
const RESTARTED: &str = "on_restart";

impl Restart {
    /// At most 5 times within a minute, after pauses of 250 ms, then twice as long each time.
    pub fn new() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(30),
            most: 5,
            within: Duration::from_secs(60),
            on_restart: None,
        }
    }

    /// How long to wait before the first restart, and at most; it doubles with each restart or try that still counts towards
    /// [`at_most`](Self::at_most). 250 ms and 30 s unless set; no less than 1 ms.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first.max(SHORTEST), longest.max(SHORTEST));
        self
    }

    /// How often it is restarted, or tried to be, in any such span of time; beyond that the client is closed. 5 times within
    /// 60 s unless set.
    pub fn at_most(mut self, times: usize, within: Duration) -> Self {
        (self.most, self.within) = (times, within);
        self
    }

    /// Told of each restart, once everything was asked for again.
    pub fn on_restart<Fut>(mut self, hear: impl Fn(Client, Restarted) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_restart = Some(Arc::new(move |client, restarted| Box::pin(hear(client, restarted))));
        self
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restart")
            .field("first", &self.first)
            .field("longest", &self.longest)
            .field("most", &self.most)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

/// Connects a client over what `open` opens, now and again whenever that has ended.
///
/// `open` has as long as the server has to answer `initialize` ([`ClientBuilder::handshake`]).
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When the first connection cannot be opened, or its handshake fails or does not end in time.
pub async fn connect_restarting<R, Rd, Wr, Fut>(
    runtime: R,
    open: impl Fn() -> Fut + Send + Sync + 'static,
    client: ClientBuilder,
    restart: Restart,
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
    Fut: Future<Output = io::Result<(Rd, Wr)>> + Send + 'static,
{
    let open = move || {
        let opening = open();
        async move {
            let (reader, writer) = opening.await?;
            Ok(Opened { reader, writer, child: None })
        }
    };
    restarting(runtime, open, client, restart).await
}

/// The same for whatever is opened.
async fn restarting<R, Rd, Wr, Fut>(
    runtime: R,
    open: impl Fn() -> Fut + Send + Sync + 'static,
    client: ClientBuilder,
    restart: Restart,
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
    Fut: Future<Output = io::Result<Opened<Rd, Wr>>> + Send + 'static,
{
    // Boxed, since it is large and callers hold it.
    Box::pin(async move {
        let mut setup = client.into_setup()?;
        let link = |shared, child| Link::Many(Succession::new(shared, child));
        let opened = in_time(&runtime, &setup, open()).await?;
        let client = match stream::open(&runtime, opened, &setup, link).await {
            Err(Error::DiedOfProbe) => {
                setup.legacy_only();
                stream::open(&runtime, in_time(&runtime, &setup, open()).await?, &setup, link).await?
            }
            opened => opened?,
        };
        setup.settle(&runtime, &client).await;
        if let Link::Many(succession) = client.inner.link.clone() {
            let (client, setup, past) = (client.without_lease(), Arc::new(setup), VecDeque::new());
            let (spawner, succession) = (runtime.clone(), EndOnDrop(succession));
            spawner.spawn(Supervisor { runtime, open, client, setup, restart, succession, past }.supervise());
        }
        Ok(client)
    })
    .await
}

/// Starts a server as a child process, now and again whenever it has ended, and connects a client to it. `pipes` makes the
/// child's pipes asynchronous.
///
/// This is what the adapters are made of; with them at hand, call theirs.
///
/// # Errors
///
/// When the child cannot be started for the first time, or the handshake fails or does not end in time.
pub async fn spawn_restarting<R, Rd, Wr>(
    runtime: R,
    command: Command,
    client: ClientBuilder,
    pipes: impl Fn(ChildStdin, ChildStdout) -> io::Result<(Rd, Wr)> + Send + Sync + 'static,
    restart: Restart,
) -> Result<Client>
where
    R: Spawn,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
{
    let open = move || std::future::ready(open_child(&command, &pipes));
    restarting(runtime, open, client, restart).await
}

/// Looks after the connections of one client: the only one who opens the next.
struct Supervisor<R: Spawn, O> {
    runtime: R,
    open: O,
    /// Without a lease, so that the client does not keep itself open.
    client: Client,
    setup: Arc<Setup>,
    restart: Restart,
    /// However this goes away, also with its runtime and before it began: nobody waits for a connection that will not come.
    succession: EndOnDrop,
    /// When it was tried, as far as that still counts.
    past: VecDeque<Timestamp>,
}

impl<R, O, Rd, Wr, Fut> Supervisor<R, O>
where
    R: Spawn,
    O: Fn() -> Fut + Send + Sync,
    Rd: AsyncRead + Unpin + Send + 'static,
    Wr: AsyncWrite + Unpin + Send + 'static,
    Fut: Future<Output = io::Result<Opened<Rd, Wr>>> + Send,
{
    async fn supervise(mut self) {
        while let Some(next) = self.next().await {
            match next {
                Ok(restarted) => {
                    let (client, setup) = (self.client.clone(), Arc::clone(&self.setup));
                    let told = self.restart.on_restart.clone();
                    let runtime = self.runtime.clone();
                    // Beside this one, since what it asks for waits for the next connection should this one end.
                    self.runtime.spawn(resume(runtime, client, setup, told, restarted));
                }
                Err(failure) => {
                    tracing::warn!(error = %failure.last, restarts = failure.restarts, "a connection is not restarted any more");
                    self.succession.0.end(Some(failure));
                    break;
                }
            }
        }
    }

    /// Waits for the end of a connection and opens the next; `None` once the client is closed.
    async fn next(&mut self) -> Option<Result<Restarted, NotRestarted>> {
        let succession = Arc::clone(&self.succession.0);
        let ended = self.client.inner.link.current();
        let runtime = self.runtime.clone();
        let reason = succession.unless_closed(&runtime, ended.ended()).await?;
        let since = runtime.now();
        succession.down();
        tracing::info!(%reason, "a connection has ended and is restarted");
        // A server that hangs or left something behind goes first: there are never two.
        if let Some(child) = self.client.child() {
            succession.unless_closed(&runtime, child.shutdown()).await?;
        }
        let mut last = Error::Closed(reason.clone());
        let mut tries = 0;
        loop {
            let Some(pause) = self.pause() else {
                let (restarts, within) = (self.past.len(), self.restart.within);
                return Some(Err(NotRestarted { restarts, within, last: Arc::new(last) }));
            };
            succession.unless_closed(&runtime, runtime.sleep_until(runtime.now() + pause)).await?;
            tries += 1;
            match succession.unless_closed(&runtime, self.try_once()).await? {
                Ok(shared) => {
                    if let Some(kept) = &self.client.inner.kept {
                        kept.forget_all();
                        shared.with(|state| state.kept = Some(kept.clone()));
                    }
                    let count = succession.up(shared);
                    return Some(Ok(Restarted { count, reason, tries, down: runtime.now().saturating_since(since) }));
                }
                Err(error) => {
                    tracing::debug!(%error, tries, "a restart failed");
                    last = error;
                }
            }
        }
    }

    /// How long to wait before the next try, which is counted with that; `None` if there were too many.
    fn pause(&mut self) -> Option<Duration> {
        let now = self.runtime.now();
        while self.past.front().is_some_and(|then| now.saturating_since(*then) >= self.restart.within) {
            self.past.pop_front();
        }
        if self.past.len() >= self.restart.most {
            return None;
        }
        let doubled = u32::try_from(self.past.len()).ok().and_then(|many| 2_u32.checked_pow(many)).unwrap_or(u32::MAX);
        self.past.push_back(now);
        Some(self.restart.first.saturating_mul(doubled).min(self.restart.longest))
    }

    async fn try_once(&self) -> Result<Arc<Shared>> {
        let opened = in_time(&self.runtime, &self.setup, (self.open)()).await?;
        let child = opened.child.clone();
        self.succession.0.set_child(child.clone());
        let (shared, handshake) = share_client(&self.runtime, &self.setup, child.as_ref());
        let mut trial = Trial(Some(Arc::clone(&shared)));
        self.runtime.spawn(driver(&self.runtime, opened, &shared, &self.setup, &self.client));
        match ready(&shared, child.clone(), handshake).await {
            Ok(_) => {
                trial.0 = None;
                Ok(shared)
            }
            Err(error) => {
                drop(trial);
                let exit = match child {
                    Some(child) => Some(child.shutdown().await),
                    None => None,
                };
                // It survived that question before, or was not asked: how it ended says more.
                Err(exit.filter(|_| matches!(error, Error::DiedOfProbe)).map_or(error, Error::ServerEnded))
            }
        }
    }
}

/// A connection that is closed again unless its handshake succeeds.
struct Trial(Option<Arc<Shared>>);

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.command(|state, now| state.connection.close(now, Duration::ZERO));
        }
    }
}

struct EndOnDrop(Arc<Succession>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(None);
    }
}

/// Asks the server that follows for what the one before was asked for, and tells that all of it may have changed.
async fn resume(runtime: impl Spawn, client: Client, setup: Arc<Setup>, told: Option<OnRestart>, restarted: Restarted) {
    ask_again(&runtime, &client, &setup).await;
    let told = told.and_then(|told| contain_callback(RESTARTED, None, || told(client, restarted)));
    if let Some(hearing) = told {
        handle_contained(RESTARTED, hearing).await;
    }
}

/// The same where nobody is told.
pub(crate) async fn ask_again(runtime: &impl Spawn, client: &Client, setup: &Setup) {
    let (session, memory) = (client.inner.link.current(), client.inner.link.memory());
    setup.ask_for_logs(client, memory.log_level).await;
    let unheard = match client.era() {
        Era::Modern => session.with(|state| state.listeners.wakers()),
        Era::Legacy => {
            let wanted = session.with(|state| state.listeners.wanted().cloned().collect::<BTreeSet<_>>());
            for uri in memory.uris.union(&wanted) {
                if let Err(error) = client.subscribe_once(uri).await {
                    tracing::debug!(%error, "a subscription was not taken by the server that follows");
                }
            }
            let offered = |wanted: Option<bool>, capability| wanted.filter(|_| client.offers(capability));
            let mut changed = setup.heard_lists();
            changed.tools_list_changed = offered(changed.tools_list_changed, Capability::ToolsListChanged);
            changed.prompts_list_changed = offered(changed.prompts_list_changed, Capability::PromptsListChanged);
            changed.resources_list_changed = offered(changed.resources_list_changed, Capability::ResourcesListChanged);
            changed.resource_subscriptions = Some(memory.uris.into_iter().collect());
            tell_all_changed(&session, &changed);
            session.with(|state| state.listeners.resumed())
        }
    };
    unheard.into_iter().for_each(std::task::Waker::wake);
    setup.listen_again(runtime, client);
}

/// What is opened within the time that the server has for the handshake.
async fn in_time<T>(
    runtime: &impl Spawn,
    setup: &Setup,
    opening: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let patience = setup.config.initialize_deadline;
    future::or(opening, async {
        runtime.sleep_until(runtime.now() + patience).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("the connection was not open after {patience:?}")))
    })
    .await
}
