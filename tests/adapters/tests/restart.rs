//! Servers that end and are started or connected to once more: what becomes of calls, subscriptions, caches and callbacks.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{soon, until};
use mcp::model::{ElicitParams, ElicitResult, SubscriptionFilter};
use mcp::{
    Caching, Change, Client, ClientBuilder, Context, Ended, Form, ProtocolVersion, Resource, Restart, Restarted,
    Server, Tool,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

/// A server that is reached by opening a stream in memory, as often as one likes unless it is away.
#[derive(Clone)]
struct Stage {
    server: Arc<Mutex<Server>>,
    away: Arc<AtomicBool>,
    /// When it was opened, or tried to be.
    opened: Arc<Mutex<Vec<Instant>>>,
    serving: Arc<Mutex<Option<tokio::task::AbortHandle>>>,
}

impl Stage {
    fn new(server: Server) -> Self {
        Self {
            server: Arc::new(Mutex::new(server)),
            away: Arc::default(),
            opened: Arc::default(),
            serving: Arc::default(),
        }
    }

    fn open(&self) -> io::Result<(mcp::memory::Reader, mcp::memory::Writer)> {
        self.opened.lock().unwrap().push(Instant::now());
        if self.away.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody is there"));
        }
        let (here, there) = mcp::memory::duplex(1 << 16);
        let (reader, writer) = there.into_split();
        let server = self.server.lock().unwrap().clone();
        let serving = tokio::spawn(async move { drop(mcp_tokio::serve_stream(reader, writer, server).await) });
        *self.serving.lock().unwrap() = Some(serving.abort_handle());
        Ok(here.into_split())
    }

    async fn connect(&self, client: ClientBuilder, restart: Restart) -> Client {
        let stage = self.clone();
        let open = move || std::future::ready(stage.open());
        soon(mcp_tokio::connect_restarting(open, client, restart)).await.unwrap()
    }

    /// As if the server had crashed.
    fn crash(&self) {
        self.serving.lock().unwrap().take().expect("it serves").abort();
    }

    /// The same, in paused time: everybody has noticed.
    async fn has_crashed(&self) {
        self.crash();
        // Time goes on only when nobody has anything to do.
        tokio::time::sleep(Duration::from_nanos(1)).await; // slow on purpose
    }

    fn times_opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }
}

fn builder(version: ProtocolVersion) -> ClientBuilder {
    Client::builder("c", "1").versions([version])
}

/// Restarts at once, and says so.
fn telling() -> (Restart, tokio::sync::mpsc::UnboundedReceiver<Restarted>) {
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let restart = Restart::new().backoff(Duration::from_millis(1), Duration::from_millis(1)).on_restart(
        move |_: Client, restarted: Restarted| {
            let _ = tell.send(restarted);
            std::future::ready(())
        },
    );
    (restart, told)
}

/// A tool that begins, and does not end.
fn stuck(begun: &Arc<AtomicUsize>) -> Tool {
    let begun = Arc::clone(begun);
    Tool::new("stuck", "", move || {
        begun.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<&'static str>()
    })
}

fn echo() -> Tool {
    Tool::new("echo", "", async || "echo")
}

#[tokio::test]
async fn what_was_under_way_is_lost_and_not_sent_again() {
    for version in [D, E] {
        let begun = Arc::new(AtomicUsize::new(0));
        let stage = Stage::new(Server::new("s", "1").tool(stuck(&begun)).tool(echo()));
        let (restart, mut told) = telling();
        let client = stage.connect(builder(version), restart).await;
        let calls = [(); 8].map(|()| {
            let client = client.clone();
            tokio::spawn(async move { client.call_tool("stuck", ()).await })
        });
        until(|| begun.load(Ordering::SeqCst) == 8).await;
        stage.crash();
        for call in calls {
            let error = soon(call).await.unwrap().unwrap_err();
            assert!(error.is_lost() && error.is_closed(), "{error:?}");
            let text = error.to_string();
            assert!(text.starts_with("tools/call stuck (id ") && text.contains("may have been executed"), "{text}");
        }
        let restarted = soon(told.recv()).await.unwrap();
        assert_eq!((restarted.count, restarted.tries), (1, 1), "{restarted:?}");
        assert_eq!(restarted.reason, mcp::CloseReason::PeerClosed);
        assert_eq!(soon(client.call_tool("echo", ()).into_future()).await.unwrap().joined_text(), "echo");
        assert_eq!((begun.load(Ordering::SeqCst), client.restarts(), stage.times_opened()), (8, 1, 2));
        assert!(!client.is_closed());
        soon(client.close()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_made_meanwhile_waits_within_its_deadline() {
    let stage = Stage::new(Server::new("s", "1").tool(echo()));
    let restart = Restart::new().backoff(Duration::from_secs(1), Duration::from_secs(1)).at_most(100, Duration::MAX);
    let client = stage.connect(builder(E), restart).await;
    stage.away.store(true, Ordering::SeqCst);
    let start = Instant::now();
    stage.has_crashed().await;
    let patient = tokio::spawn(client.call_tool("echo", ()).idle(Duration::from_secs(60)).into_future());
    let hasty = client.call_tool("echo", ()).idle(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 5);
    assert!(hasty.is_timeout() && !hasty.is_lost(), "{hasty:?}");
    assert!(hasty.to_string().contains("not sent"), "{hasty}");
    let capped =
        client.call_tool("echo", ()).idle(Duration::from_secs(60)).cap(Duration::from_secs(3)).await.unwrap_err();
    assert!(capped.is_timeout(), "{capped:?}");
    assert_eq!(start.elapsed().as_secs(), 8);
    stage.away.store(false, Ordering::SeqCst);
    assert_eq!(patient.await.unwrap().unwrap().joined_text(), "echo");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_pauses_grow_and_a_quiet_time_ends_that() {
    let stage = Stage::new(Server::new("s", "1").tool(echo()));
    let restart =
        Restart::new().backoff(Duration::from_secs(1), Duration::from_secs(6)).at_most(9, Duration::from_secs(60));
    let client = stage.connect(builder(D), restart).await;
    stage.away.store(true, Ordering::SeqCst);
    let start = Instant::now();
    stage.has_crashed().await;
    tokio::time::sleep(Duration::from_secs(20)).await; // slow on purpose
    let since = |start: Instant| {
        let opened = stage.opened.lock().unwrap();
        opened.iter().filter(|at| **at > start).map(|at| at.duration_since(start).as_secs()).collect::<Vec<_>>()
    };
    assert_eq!(since(start), [1, 3, 7, 13, 19]);
    stage.away.store(false, Ordering::SeqCst);
    soon(client.call_tool("echo", ()).into_future()).await.unwrap();
    // A minute later nothing of that counts any more.
    tokio::time::sleep(Duration::from_secs(61)).await; // slow on purpose
    let start = Instant::now();
    stage.has_crashed().await;
    soon(client.call_tool("echo", ()).into_future()).await.unwrap();
    assert_eq!(since(start), [1]);
    assert_eq!(client.restarts(), 2);
}

#[tokio::test(start_paused = true)]
async fn too_many_restarts_are_given_up_and_whoever_waits_is_told() {
    let stage = Stage::new(Server::new("s", "1").tool(echo()));
    let restart = Restart::new().at_most(3, Duration::from_secs(60));
    let client = stage.connect(builder(E), restart).await;
    let mut changes = client.listen(SubscriptionFilter::new().with_tools_list_changed(true)).await.unwrap();
    stage.away.store(true, Ordering::SeqCst);
    stage.has_crashed().await;
    let error = client.call_tool("echo", ()).await.unwrap_err();
    assert!(error.is_closed() && !error.is_lost(), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("tools/call echo was not sent") && text.contains("3 times"), "{text}");
    assert!(text.ends_with("nobody is there"), "{text}");
    assert_eq!(stage.times_opened(), 4);
    assert_eq!(soon(client.closed()).await, mcp::CloseReason::PeerClosed);
    assert!(client.is_closed());
    assert_eq!(soon(changes.next()).await, None);
    assert!(matches!(changes.ended(), Some(Ended::Lost(error)) if error.is_closed()), "{:?}", changes.ended());
    drop(changes);
    soon(client.close()).await;
    assert_eq!(stage.times_opened(), 4);
}

/// What `changes` tells until all of these were told.
async fn hears(changes: &mut mcp::Changes, wanted: &[Change]) {
    let mut wanted = wanted.to_vec();
    while !wanted.is_empty() {
        let change = soon(changes.next()).await.unwrap_or_else(|| panic!("ended: {:?}", changes.ended()));
        wanted.retain(|it| *it != change);
    }
}

#[tokio::test]
async fn subscriptions_are_asked_for_again_and_all_they_are_about_counts_as_changed() {
    for version in [D, E] {
        let server = Server::new("s", "1").tool(echo()).resource(Resource::text("a://1", "1", "one"));
        let stage = Stage::new(server.clone());
        let (restart, mut told) = telling();
        let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let builder = builder(version).on_resource_updated(move |_, uri| {
            let _ = tell.send(uri);
            std::future::ready(())
        });
        let client = stage.connect(builder, restart).await;
        let filter =
            SubscriptionFilter::new().with_tools_list_changed(true).with_resource_subscriptions(vec!["a://1".into()]);
        let mut changes = soon(client.listen(filter).into_future()).await.unwrap();
        let mut watch = soon(client.watch_tools()).await.unwrap();
        assert_eq!(watch.items().len(), 1);
        if version == D {
            soon(client.subscribe("a://1").into_future()).await.unwrap();
        }
        for round in 1..=3 {
            stage.crash();
            // The holder and the watch look for it whenever they like; what they missed is told then.
            assert_eq!(soon(told.recv()).await.unwrap().count, round);
            hears(&mut changes, &[Change::Tools, Change::Resource("a://1".into())]).await;
            assert_eq!(soon(watch.next()).await.unwrap().unwrap().len(), round as usize, "{version}");
            if version == D {
                assert_eq!(soon(heard.recv()).await.unwrap(), "a://1");
            }
            // And it is told of what changes from now on.
            let more = Tool::new(format!("more{round}"), "", async || "more");
            server.update(|edit| _ = edit.tool(more)).unwrap();
            server.changed(Change::Resource("a://1".into()));
            hears(&mut changes, &[Change::Tools, Change::Resource("a://1".into())]).await;
            assert_eq!(soon(watch.next()).await.unwrap().unwrap().len(), round as usize + 1, "{version}");
            if version == D {
                assert_eq!(soon(heard.recv()).await.unwrap(), "a://1");
            }
        }
        // Whoever has had enough is not subscribed to the next one.
        drop((changes, watch));
        if version == D {
            soon(client.unsubscribe("a://1").into_future()).await.unwrap();
            stage.crash();
            soon(told.recv()).await.unwrap();
            server.changed(Change::Resource("a://1".into()));
            soon(client.ping().into_future()).await.unwrap();
            assert!(heard.try_recv().is_err());
        }
    }
}

#[tokio::test]
async fn the_cache_forgets_and_callbacks_stay_and_hear_of_it() {
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Name {
        name: String,
    }

    for version in [D, E] {
        let ask = Tool::new("ask", "", async |ctx: Context| {
            let answer = ctx.elicit("who", Form::of::<Name>("Who?")).await?;
            Ok::<_, mcp::Error>(format!("{:?}", answer.action))
        });
        let one = Server::new("s", "1").tool(ask).cache(
            mcp::Cached::Tools,
            Duration::from_secs(3600),
            mcp::model::CacheScope::Private,
        );
        let stage = Stage::new(one.clone());
        let (restart, mut told) = telling();
        let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let builder = builder(version)
            .cache(Caching::new().legacy(Duration::from_secs(3600)))
            .on_elicit(async |_: ElicitParams| ElicitResult::decline())
            .on_tools_changed(move |client| {
                let tell = tell.clone();
                async move {
                    let _ = tell.send(client.list_tools().await.map(|tools| tools.len()));
                }
            });
        let client = stage.connect(builder, restart).await;
        assert_eq!(soon(client.list_tools().into_future()).await.unwrap().len(), 1);
        // What follows is another program.
        *stage.server.lock().unwrap() = one.tool(echo());
        assert_eq!(soon(client.list_tools().into_future()).await.unwrap().len(), 1, "kept");
        stage.crash();
        soon(told.recv()).await.unwrap();
        assert_eq!(soon(client.list_tools().into_future()).await.unwrap().len(), 2, "{version}");
        assert_eq!(soon(heard.recv()).await.unwrap().unwrap(), 2, "{version}");
        let asked = soon(client.call_tool("ask", ()).into_future()).await.unwrap().joined_text();
        assert_eq!(asked, "Decline", "{version}");
    }
}

#[tokio::test]
async fn the_log_level_is_asked_for_again() {
    let say = Tool::new("say", "", async |ctx: Context| {
        ctx.log(mcp::model::LoggingLevel::Debug, "said")?;
        Ok::<_, mcp::Error>("done")
    });
    let stage = Stage::new(Server::new("s", "1").logging().tool(say));
    let (restart, mut told) = telling();
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let client = stage.connect(builder(D).on_log(move |entry| drop(tell.send(entry.data))), restart).await;
    soon(client.set_log_level(mcp::model::LoggingLevel::Debug).into_future()).await.unwrap();
    stage.crash();
    soon(told.recv()).await.unwrap();
    soon(client.call_tool("say", ()).into_future()).await.unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap(), json!("said"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_closed_or_dropped_meanwhile_is_not_restarted() {
    for end in ["close", "drop"] {
        let stage = Stage::new(Server::new("s", "1").tool(echo()));
        let restart = Restart::new().backoff(Duration::from_secs(10), Duration::from_secs(10));
        let client = stage.connect(builder(E), restart).await;
        stage.has_crashed().await;
        let waiting = tokio::spawn(client.call_tool("echo", ()).into_future());
        tokio::time::sleep(Duration::from_secs(1)).await; // slow on purpose
        let start = Instant::now();
        if end == "close" {
            soon(client.clone().close()).await;
            assert!(client.is_closed());
        }
        drop(client);
        let error = soon(waiting).await.unwrap().unwrap_err();
        assert!(error.is_closed() && !error.is_lost(), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(1));
        // Whoever opens is gone as well: nothing but this test holds the stage.
        until(|| Arc::strong_count(&stage.away) == 1).await;
        assert_eq!(stage.times_opened(), 1);
    }
}

/// The runtime that would restart it is gone: nobody waits for that.
#[test]
fn the_end_of_the_runtime_is_the_end_of_the_client() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = Stage::new(Server::new("s", "1").tool(echo()));
    let client = runtime.block_on(stage.connect(builder(E), Restart::new()));
    let waiting = client.call_tool("echo", ());
    runtime.shutdown_timeout(Duration::from_secs(20));
    let error = futures_lite::future::block_on(waiting.into_future()).unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    assert!(client.is_closed());
}

#[tokio::test]
async fn an_opening_that_hangs_is_a_failed_try() {
    let stage = Stage::new(Server::new("s", "1").tool(echo()));
    let hangs = Arc::new(AtomicUsize::new(0));
    let (theirs, count) = (stage.clone(), Arc::clone(&hangs));
    let open = move || {
        let stage = theirs.clone();
        let hangs =
            (stage.times_opened() == 1 && count.fetch_add(1, Ordering::SeqCst) == 0).then(std::future::pending::<()>);
        async move {
            if let Some(hangs) = hangs {
                hangs.await;
            }
            stage.open()
        }
    };
    let builder = builder(D).handshake(Duration::from_millis(50), Duration::from_millis(50));
    let (restart, mut told) = telling();
    let client = soon(mcp_tokio::connect_restarting(open, builder, restart)).await.unwrap();
    stage.crash();
    assert_eq!(soon(told.recv()).await.unwrap().tries, 2);
    soon(client.call_tool("echo", ()).into_future()).await.unwrap();
}

#[tokio::test]
async fn the_first_connection_is_not_tried_twice() {
    let stage = Stage::new(Server::new("s", "1"));
    stage.away.store(true, Ordering::SeqCst);
    let theirs = stage.clone();
    let open = move || std::future::ready(theirs.open());
    let error = soon(mcp_tokio::connect_restarting(open, builder(E), Restart::new())).await.unwrap_err();
    assert!(matches!(error, mcp::Error::Io(_)), "{error:?}");
    assert_eq!(stage.times_opened(), 1);
}

#[cfg(target_os = "linux")]
mod processes {
    use mcp::process::{Command, How};
    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    const PEER: &str = env!("CARGO_BIN_EXE_peer");

    fn kill(pid: u32) {
        let pid = Pid::from_raw(pid.try_into().expect("a process id")).expect("not 0");
        kill_process(pid, Signal::KILL).expect("it still runs");
    }

    #[tokio::test]
    async fn a_killed_child_is_started_again_and_leaves_nothing_behind() {
        for version in [D, E] {
            let (restart, mut told) = telling();
            let restart = restart.at_most(10, Duration::from_secs(60));
            let command = Command::new(PEER).arg("serve");
            let client = soon(mcp_tokio::spawn_restarting(command, builder(version), restart)).await.unwrap();
            let mut pids = Vec::new();
            for round in 1..=4 {
                let child = client.child().unwrap();
                pids.push(child.id());
                let call = tokio::spawn(client.call_tool("slow", json!({ "ms": 60_000 })).into_future());
                soon(client.call_tool("echo", json!({ "text": "before" })).into_future()).await.unwrap();
                kill(child.id());
                let error = soon(call).await.unwrap().unwrap_err();
                assert!(error.is_lost(), "{error:?}");
                let echoed = soon(client.call_tool("echo", json!({ "text": "after" })).into_future()).await.unwrap();
                assert_eq!(echoed.joined_text(), "after");
                assert_eq!(soon(told.recv()).await.unwrap().count, round);
                // Reaped, and not by us.
                assert_eq!(child.try_exit().unwrap().how, How::ByItself);
                assert!(!std::path::Path::new(&format!("/proc/{}", child.id())).exists());
            }
            pids.dedup();
            assert_eq!(pids.len(), 4);
            let exit = soon(client.close()).await.unwrap();
            assert!(exit.status.unwrap().success(), "{exit}");
        }
    }

    /// A server that ends at the question which era it speaks is not asked again, at any restart.
    #[tokio::test]
    async fn a_child_that_dies_of_the_probe_is_restarted_without() {
        let (restart, mut told) = telling();
        let client = Client::builder("c", "1");
        let client = soon(mcp_tokio::spawn_restarting([PEER, "touchy"], client, restart)).await.unwrap();
        assert_eq!(client.version(), D);
        kill(client.child().unwrap().id());
        assert_eq!(soon(told.recv()).await.unwrap().tries, 1);
        soon(client.call_tool("any", ()).into_future()).await.unwrap();
    }

    #[tokio::test]
    async fn a_child_that_always_dies_is_given_up_with_how_it_died() {
        let (restart, _told) = telling();
        let folder = std::env::temp_dir().join(format!("mcp-restart-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let once = folder.join("once");
        let script = format!("[ -e '{0}' ] && exit 7; touch '{0}'; exec '{PEER}' serve", once.display());
        let command = Command::new("sh").args(["-c", &script]);
        let client =
            soon(mcp_tokio::spawn_restarting(command, builder(E), restart.at_most(3, Duration::from_secs(60))))
                .await
                .unwrap();
        kill(client.child().unwrap().id());
        soon(client.closed()).await;
        let error = soon(client.call_tool("echo", json!({ "text": "?" })).into_future()).await.unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(error.to_string().contains("exit status: 7"), "{error}");
    }

    /// Closing while the next child is being started leaves none.
    #[tokio::test]
    async fn closing_in_the_middle_of_a_restart_leaves_no_child() {
        let (restart, _told) = telling();
        let folder = std::env::temp_dir().join(format!("mcp-restarting-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (once, second) = (folder.join("once"), folder.join("second"));
        // The second says nothing, and does not end when its input does.
        let script = format!(
            "if [ -e '{0}' ]; then echo $$ > '{1}.new'; mv '{1}.new' '{1}'; exec sleep 60; fi; touch '{0}'; exec '{PEER}' serve",
            once.display(),
            second.display()
        );
        let shutdown =
            mcp::process::Shutdown { term_after: Duration::from_millis(50), kill_after: Duration::from_secs(2) };
        let command = Command::new("sh").args(["-c", &script]).shutdown(shutdown);
        let client = soon(mcp_tokio::spawn_restarting(command, builder(E), restart)).await.unwrap();
        kill(client.child().unwrap().id());
        until(|| second.exists()).await;
        let pid = std::fs::read_to_string(&second).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        soon(client.close()).await;
        assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
    }
}
