//! Clients over HTTP and our own server, on every runtime.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use common::descriptors::connected;
use common::each::{Adapter, on_each_runtime, soon, until};
use common::fixture;
use mcp::http::{Caller, Denied, HttpOptions, HttpTarget};
use mcp::model::{ElicitParams, ElicitResult, SubscriptionFilter};
use mcp::net::Listening;
use mcp::{Change, Client, ClientBuilder, Error, ProtocolVersion, RequestError, Server, Tool};
use serde_json::{Map, Value, json};

/// How long a client tries to tell the server of the end.
const PATIENCE: Duration = Duration::from_secs(2);

fn url(listening: &Listening) -> String {
    format!("http://{}/mcp", listening.address())
}

async fn serve(on: &dyn Adapter, server: Server) -> Listening {
    soon(on, on.listen_http(server, HttpOptions::default())).await.expect("a port")
}

async fn connect(on: &dyn Adapter, listening: &Listening) -> Client {
    let target = HttpTarget::new(url(listening));
    soon(on, on.connect_http(target, ClientBuilder::default())).await.expect("a client")
}

#[test]
fn calls_are_answered_and_a_slow_one_holds_up_nobody() {
    on_each_runtime(async |on| {
        let listening = serve(on, fixture::server()).await;
        let client = connect(on, &listening).await;
        assert_eq!(client.era(), mcp::Era::Modern);
        let slow = client.call_tool("later", json!({"n": 400}));
        let mut slow = Box::pin(slow.into_future());
        assert!(futures_lite::future::poll_once(&mut slow).await.is_none());
        for _ in 0..20 {
            let answer = soon(on, client.call_tool("echo", json!({"text": "hi"}))).await.expect("an answer");
            assert_eq!(answer.joined_text(), "hi");
        }
        soon(on, slow).await.expect("an answer");
        let error = soon(on, client.call_tool("nothing", ())).await.unwrap_err();
        assert!(error.rpc().is_some(), "{error}");
        let other = client.clone();
        soon(on, client.close()).await;
        assert!(matches!(other.call_tool("echo", ()).await, Err(Error::Send { .. })));
    });
}

/// Every answer finds its call, over no more connections than there are calls at once.
#[test]
fn many_calls_share_few_connections() {
    on_each_runtime(async |on| {
        let listening = serve(on, fixture::server()).await;
        let client = connect(on, &listening).await;
        for at in 0..1000 {
            let answer = soon(on, client.call_tool("echo", json!({"text": at.to_string()}))).await.expect("an answer");
            assert_eq!(answer.joined_text(), at.to_string());
        }
        assert_eq!(listening.connections(), 1, "one after the other");
        let mut calls = Vec::new();
        for at in 0..64 {
            calls.push(Box::pin(client.call_tool("meet", json!({"text": at.to_string(), "n": 64})).into_future()));
        }
        let mut most = 0;
        for call in &mut calls {
            assert!(futures_lite::future::poll_once(call).await.is_none());
        }
        for (at, call) in calls.into_iter().enumerate() {
            most = most.max(listening.connections());
            assert_eq!(soon(on, call).await.expect("an answer").joined_text(), at.to_string());
        }
        assert!(most <= 64 && listening.connections() <= 64, "{most}");
    });
}

/// Nothing that a client sends waits for the acknowledgement of what it sent before.
#[cfg(target_os = "linux")]
#[test]
fn pain_21_what_a_client_connects_sends_at_once() {
    on_each_runtime(async |on| {
        let listening = serve(on, fixture::server()).await;
        let port = listening.address().tcp().expect("an address").port();
        let client = connect(on, &listening).await;
        let mut took = Vec::new();
        for _ in 0..100 {
            let began = Instant::now();
            soon(on, client.call_tool("echo", json!({"text": "x"}))).await.expect("an answer");
            took.push(began.elapsed());
        }
        let sockets = connected().into_iter().filter(|(_, there, _)| there.port() == port).collect::<Vec<_>>();
        // Some runtimes have two descriptors of one socket.
        assert!(!sockets.is_empty() && sockets.iter().all(|(here, ..)| *here == sockets[0].0), "{sockets:?}");
        assert!(sockets.iter().all(|(.., socket)| socket.tcp_nodelay().expect("a socket")));
        took.sort();
        println!("half of the calls within {:?}", took[50]);
        assert!(took[50] < Duration::from_millis(25), "{took:?}");
    });
}

#[test]
fn large_answers_and_large_questions_arrive_whole() {
    on_each_runtime(async |on| {
        let server = Server::new("s", "1").tool(Tool::new("text", "", async || "x".repeat(3_000_000))).tool(Tool::new(
            "length",
            "",
            async |given: Map<String, Value>| given["text"].as_str().map_or(0, str::len),
        ));
        let listening = serve(on, server).await;
        let client = connect(on, &listening).await;
        let answer = soon(on, client.call_tool("text", ())).await.expect("an answer");
        assert_eq!(answer.joined_text().len(), 3_000_000);
        let question = json!({"text": "y".repeat(2_000_000)});
        let answer = soon(on, client.call_tool("length", question)).await.expect("an answer");
        assert_eq!(answer.joined_text(), "2000000");
    });
}

#[test]
fn progress_comes_before_its_answer() {
    on_each_runtime(async |on| {
        let listening = serve(on, fixture::server()).await;
        let client = connect(on, &listening).await;
        let (heard, steps) = smol::channel::unbounded();
        let call = client.call_tool("count", json!({"n": 5})).on_progress(move |progress| {
            heard.try_send(progress.progress).expect("room");
        });
        soon(on, call).await.expect("an answer");
        let steps: Vec<f64> = std::iter::from_fn(|| steps.try_recv().ok()).collect();
        assert_eq!(steps, [1.0, 2.0, 3.0, 4.0, 5.0]);
    });
}

/// The future of a call is dropped: the server's handler ends, and the connection does with it.
#[test]
fn a_call_that_is_given_up_is_cancelled() {
    on_each_runtime(async |on| {
        let listening = serve(on, fixture::server()).await;
        let client = connect(on, &listening).await;
        let mut call = Box::pin(client.call_tool("wait", ()).into_future());
        assert!(futures_lite::future::poll_once(&mut call).await.is_none());
        until(on, || listening.connections() >= 1).await;
        drop(call);
        let answer = soon(on, client.call_tool("echo", json!({"text": "on"}))).await.expect("an answer");
        assert_eq!(answer.joined_text(), "on");
        until(on, || listening.connections() == 1).await;
    });
}

#[test]
fn changes_are_heard_of() {
    on_each_runtime(async |on| {
        let server = fixture::server();
        let listening = serve(on, server.clone()).await;
        let client = connect(on, &listening).await;
        let wanted = SubscriptionFilter::new().with_tools_list_changed(true);
        let mut changes = soon(on, client.listen(wanted)).await.expect("a subscription");
        assert_eq!(changes.granted().tools_list_changed, Some(true));
        server.update(|edit| _ = edit.tool(Tool::new("another", "", async || ""))).expect("a change");
        assert_eq!(soon(on, changes.next()).await, Some(Change::Tools));
        drop(changes);
        until(on, || listening.connections() <= 1).await;
    });
}

/// Nobody is there, or nobody who speaks the protocol.
#[test]
fn whoever_is_no_server_is_told_so() {
    on_each_runtime(async |on| {
        let refused = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let connecting = on.connect_http(HttpTarget::new(format!("http://{refused}/mcp")), ClientBuilder::default());
        let error = soon(on, connecting).await.unwrap_err();
        assert!(error.to_string().contains("not sent") && error.to_string().contains(&refused.to_string()), "{error}");
        for url in ["ftp://x/", "http://", "http://u:p@localhost/", "https://localhost/mcp", "localhost"] {
            soon(on, on.connect_http(HttpTarget::new(url), ClientBuilder::default())).await.unwrap_err();
        }
        for (name, value) in [("mcp-name", "x"), ("authorization", "x"), ("a b", "x"), ("x", "a\nb")] {
            let target = HttpTarget::new("http://localhost/").header(name, value);
            let error = soon(on, on.connect_http(target, ClientBuilder::default())).await.unwrap_err();
            assert!(matches!(error, Error::Definition(_)), "{error}");
        }
        let listening = serve(on, fixture::server()).await;
        let elsewhere = HttpTarget::new(format!("http://{}/elsewhere", listening.address()));
        let error = soon(on, on.connect_http(elsewhere, ClientBuilder::default())).await.unwrap_err();
        assert!(error.to_string().contains("404"), "{error}");
    });
}

/// A server that goes away fails what is under way, and the client works again when another is there.
#[test]
fn a_server_that_comes_back_is_spoken_to_again() {
    on_each_runtime(async |on| {
        let listening = serve(on, fixture::server()).await;
        let address = listening.address().tcp().expect("an address");
        let client = connect(on, &listening).await;
        let mut call = Box::pin(client.call_tool("wait", ()).into_future());
        assert!(futures_lite::future::poll_once(&mut call).await.is_none());
        soon(on, client.call_tool("echo", json!({"text": "x"}))).await.expect("an answer");
        let wanted = SubscriptionFilter::new().with_tools_list_changed(true);
        let mut changes = soon(on, client.listen(wanted)).await.expect("a subscription");
        soon(on, listening.shutdown(Duration::ZERO)).await;
        let error = soon(on, call).await.unwrap_err();
        assert!(
            matches!(&error, Error::Request { error: RequestError::Lost(_) | RequestError::Rpc(_), .. }),
            "{error}"
        );
        let error = soon(on, client.call_tool("echo", json!({"text": "x"}))).await.unwrap_err();
        assert!(!error.is_lost() && !error.is_closed(), "{error}");
        let options = HttpOptions::default();
        let again = soon(on, on.listen_http_at(mcp::net::Bind::from(address), fixture::server(), options)).await;
        let _again = again.expect("the same port");
        let answer = soon(on, client.call_tool("echo", json!({"text": "back"}))).await.expect("an answer");
        assert_eq!(answer.joined_text(), "back");
        // What happened meanwhile nobody has told, so all of it counts as changed.
        assert_eq!(soon(on, changes.next()).await, Some(Change::Tools), "{changes:?}");
    });
}

/// A token that the server does not take is replaced by another, asked for once, and everything waits for that.
#[test]
fn whoever_asks_is_asked_who_it_is() {
    on_each_runtime(async |on| {
        let options = HttpOptions::default().authenticate(async |caller: Caller| {
            match caller.headers().get("authorization").map(|token| token.as_bytes().to_vec()) {
                Some(token) if token == b"Bearer good" => Ok(caller.with_principal("ann")),
                _ => Err(Denied::unauthorized("Bearer")),
            }
        });
        let server = Server::new("s", "1").tool(Tool::new("agent", "", async |ctx: mcp::Context| {
            let caller = ctx.caller().map(|caller| caller.headers().clone()).unwrap_or_default();
            let text = |name: &str| caller.get(name).and_then(|it| it.to_str().ok()).unwrap_or("-").to_owned();
            format!("{} {}", text("user-agent"), text("x-tenant"))
        }));
        let listening = soon(on, on.listen_http(server, options)).await.expect("a port");
        let asked = Arc::new(AtomicUsize::new(0));
        let times = Arc::clone(&asked);
        let target =
            HttpTarget::new(url(&listening)).bearer("old").header("x-tenant", "acme").authorize(move |challenge| {
                times.fetch_add(1, Ordering::SeqCst);
                async move { (challenge.challenges == ["Bearer"]).then(|| "good".to_owned()) }
            });
        let client = Client::builder("my client", "1.0");
        let client = soon(on, on.connect_http(target, client)).await.expect("a client");
        let answer = soon(on, client.call_tool("agent", ())).await.expect("an answer").joined_text();
        assert!(answer.starts_with("my-client/1.0 mcp-rust/") && answer.ends_with(" acme"), "{answer}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let without = HttpTarget::new(url(&listening)).bearer("bad");
        let error = soon(on, on.connect_http(without, ClientBuilder::default())).await.unwrap_err();
        assert!(error.to_string().contains("401"), "{error}");
    });
}

async fn connect_as(on: &dyn Adapter, target: HttpTarget, client: ClientBuilder) -> Client {
    soon(on, on.connect_http(target, client)).await.expect("a client")
}

/// Every revision of the legacy era, in a session and without: what a client does there it does over HTTP as well.
#[test]
fn sessions_of_every_revision_work_in_both_directions() {
    on_each_runtime(async |on| {
        for version in ProtocolVersion::LEGACY {
            let server = fixture::server();
            let listening = serve(on, server.clone()).await;
            let asked = Arc::new(AtomicUsize::new(0));
            let (times, (heard, changes)) = (Arc::clone(&asked), smol::channel::unbounded());
            let client = Client::builder("c", "1").versions([version]).on_elicit(move |_: ElicitParams| {
                times.fetch_add(1, Ordering::SeqCst);
                async { ElicitResult::accept(Map::from_iter([("text".to_owned(), json!("yes"))])) }
            });
            let client = client.on_tools_changed(move |_| {
                let heard = heard.clone();
                async move { _ = heard.send(()).await }
            });
            let client = connect_as(on, url(&listening).into(), client).await;
            assert_eq!((client.era(), client.version()), (mcp::Era::Legacy, version));
            let answer = soon(on, client.call_tool("echo", json!({"text": "hi"}))).await.expect("an answer");
            assert_eq!(answer.joined_text(), "hi");
            let (told, steps) = smol::channel::unbounded();
            let call = client.call_tool("count", json!({"n": 3})).on_progress(move |it| _ = told.try_send(it.progress));
            soon(on, call).await.expect("an answer");
            assert_eq!(steps.len(), 3);
            if version >= ProtocolVersion::V2025_06_18 {
                soon(on, client.call_tool("ask", json!({"text": "x"}))).await.expect("an answer");
                assert_eq!(asked.load(Ordering::SeqCst), 2, "{version}");
            }
            // By the stream of the session.
            until(on, || {
                let name = format!("tool-{}", heard_so_far());
                server.update(|edit| _ = edit.tool(Tool::new(name, "", async || ""))).expect("a change");
                !changes.is_empty()
            })
            .await;
            let closing = Instant::now();
            soon(on, client.close()).await;
            assert!(closing.elapsed() < PATIENCE, "the server is told of the end, which it takes at once");
            soon(on, listening.shutdown(Duration::from_secs(5))).await;
        }
    });
}

/// A number that was never there before.
fn heard_so_far() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

/// A server that has forgotten the session, as after a restart, is begun anew with: no call fails that it has not seen, and what was
/// subscribed to is subscribed to again.
#[test]
fn a_session_that_is_gone_is_begun_anew_inside_the_client() {
    on_each_runtime(async |on| {
        let client = ClientBuilder::default().versions([ProtocolVersion::V2025_11_25]);
        let listening = serve(on, fixture::server()).await;
        let address = listening.address().tcp().expect("an address");
        let client = connect_as(on, url(&listening).into(), client).await;
        soon(on, client.call_tool("echo", json!({"text": "x"}))).await.expect("an answer");
        let wanted = SubscriptionFilter::new().with_tools_list_changed(true);
        let mut changes = soon(on, client.listen(wanted)).await.expect("a subscription");
        soon(on, listening.shutdown(Duration::ZERO)).await;
        let options = HttpOptions::default();
        let again = soon(on, on.listen_http_at(mcp::net::Bind::from(address), fixture::server(), options)).await;
        let again = again.expect("the same port");
        let mut calls = Vec::new();
        for at in 0..5 {
            calls.push(Box::pin(client.call_tool("echo", json!({"text": at.to_string()})).into_future()));
        }
        for call in &mut calls {
            assert!(futures_lite::future::poll_once(call).await.is_none());
        }
        for (at, call) in calls.into_iter().enumerate() {
            assert_eq!(soon(on, call).await.expect("an answer").joined_text(), at.to_string());
        }
        assert_eq!(soon(on, changes.next()).await, Some(Change::Tools), "all of it may have changed");
        drop(changes);
        soon(on, client.close()).await;
        let drained = soon(on, again.shutdown(Duration::from_secs(5))).await;
        assert!(drained.cut.is_empty(), "{drained:?}");
    });
}
