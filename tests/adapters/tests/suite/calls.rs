//! Clients that call, and servers that answer, tell and ask.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcp::model::{ElicitParams, ElicitResult};
use mcp::{Client, ClientBuilder, ProtocolVersion};
use serde_json::{Map, Value, json};

use crate::common::each::{Adapter, soon, start, until};
use crate::common::fixture::Waits;
use crate::common::place::{Place, Transport};

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

pub(crate) fn client() -> ClientBuilder {
    Client::builder("suite", "1")
}

pub(crate) async fn echoes(on: &dyn Adapter, client: &Client, text: &str) {
    let answer = soon(on, client.call_tool("echo", json!({ "text": text }))).await.expect("an answer");
    assert_eq!(answer.joined_text(), text);
}

/// Waits until so many calls of `wait` have begun, and so many have ended.
pub(crate) async fn reached(on: &dyn Adapter, client: &Client, begun: usize, ended: usize) {
    soon(on, async {
        let wanted = Waits { begun, ended };
        while client.call_tool("waits", ()).await.expect("an answer").structured::<Waits>().expect("counts") != wanted {
            on.sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// From the handshake to the end, in every revision, and as both are by default.
pub(crate) async fn lifecycle(on: &'static dyn Adapter, over: Transport) {
    let place = Place::new(on, over).await;
    let pinned = ProtocolVersion::ALL.map(|version| (version, client().versions([version])));
    for (version, builder) in pinned.into_iter().chain([(E, client())]) {
        let client = place.client(builder).await;
        let server = client.server().expect("the handshake is over");
        assert_eq!((server.info.name.as_str(), client.version()), ("fixture", version));
        let tools = soon(on, client.list_tools()).await.expect("a list");
        assert!(tools.iter().any(|tool| tool.name == "echo"), "{version}");
        echoes(on, &client, "from the handshake to the end").await;
        let error = soon(on, client.call_tool("nobody", ())).await.expect_err("there is no such tool");
        assert!(error.rpc().is_some() && !error.is_closed(), "{version}: {error:?}");
        let other = client.clone();
        let exit = soon(on, client.close()).await;
        assert_eq!(exit.is_some(), over == Transport::Child);
        assert!(exit.is_none_or(|exit| exit.status.is_some_and(|status| status.success())), "{version}");
        assert!(soon(on, other.call_tool("echo", ())).await.expect_err("it is over").is_closed(), "{version}");
    }
    until(on, || place.server.connections() == 0).await;
}

/// A thousand calls of ten clients at once: each gets its own answer, and none before all have come.
pub(crate) async fn concurrency(on: &'static dyn Adapter, over: Transport) {
    const CLIENTS: usize = 10;
    const CALLS: usize = 100;

    for version in [D, E] {
        let place = Place::new(on, over).await;
        // Each client of a child has one of its own, which hears of no other.
        let n = if over == Transport::Child { CALLS } else { CLIENTS * CALLS };
        let (mut clients, mut calls) = (Vec::new(), Vec::new());
        for c in 0..CLIENTS {
            let client = place.client(client().versions([version])).await;
            for k in 0..CALLS {
                let text = format!("call {k} of client {c}");
                let call = client.call_tool("meet", json!({ "text": text, "n": n }));
                calls.push((text, start(on, call)));
            }
            clients.push(client);
        }
        for (text, call) in calls {
            assert_eq!(call.await.expect("an answer").joined_text(), text, "{version}");
        }
    }
}

/// A call that nobody waits for any more ends where it is worked on, and nothing else does.
pub(crate) async fn cancellation(on: &'static dyn Adapter, over: Transport) {
    for version in [D, E] {
        let place = Place::new(on, over).await;
        let client = place.client(client().versions([version])).await;
        let mut calls = (0..8).map(|_| Box::pin(client.call_tool("wait", ()).into_future())).collect::<Vec<_>>();
        for call in &mut calls {
            assert!(futures_lite::future::poll_once(call).await.is_none());
        }
        reached(on, &client, 8, 0).await;
        drop(calls.drain(..4));
        reached(on, &client, 8, 4).await;
        drop(calls);
        reached(on, &client, 8, 8).await;
        echoes(on, &client, "still here").await;
        assert_eq!(client.stats().broken_rules, 0, "{version}");
    }
}

/// A call that takes too long ends in time, on both sides; what tells of itself goes on until its cap.
pub(crate) async fn deadlines(on: &'static dyn Adapter, over: Transport) {
    const IDLE: Duration = Duration::from_millis(150);

    for version in [D, E] {
        let place = Place::new(on, over).await;
        let client = place.client(client().versions([version])).await;
        for (n, call) in [
            client.call_tool("wait", ()).idle(IDLE),
            client.call_tool("wait", ()).idle(Duration::from_secs(60)).cap(IDLE),
        ]
        .into_iter()
        .enumerate()
        {
            let began = Instant::now();
            let error = soon(on, call).await.expect_err("it takes too long");
            assert!(error.is_timeout(), "{version}: {error:?}");
            assert!(began.elapsed() >= IDLE, "{version}: too early: {:?}", began.elapsed());
            reached(on, &client, n + 1, n + 1).await;
        }
        echoes(on, &client, "still here").await;
    }
}

/// All that a call tells of itself comes, in order, and before its result.
pub(crate) async fn progress(on: &'static dyn Adapter, over: Transport) {
    const STEPS: usize = 40;

    for version in [D, E] {
        let place = Place::new(on, over).await;
        let client = place.client(client().versions([version])).await;
        let calls = [(); 4].map(|()| {
            let told = Arc::new(Mutex::new(Vec::new()));
            let hear = Arc::clone(&told);
            let call = client.call_tool("count", json!({ "n": STEPS })).on_progress(move |at| {
                hear.lock().expect("no panic").push((at.progress, at.message));
            });
            (start(on, call), told)
        });
        for (call, told) in calls {
            assert_eq!(call.await.expect("an answer").joined_text(), "counted");
            let told = std::mem::take(&mut *told.lock().expect("no panic"));
            let expected = (1..=STEPS).map(|n| (n as f64, Some(format!("step {n}"))));
            assert_eq!(told, expected.collect::<Vec<_>>(), "{version}");
        }
    }
}

/// Tools that ask the client in the middle of their work, many at a time: each gets the answers to its own questions.
pub(crate) async fn questions(on: &'static dyn Adapter, over: Transport) {
    for version in [D, E] {
        let place = Place::new(on, over).await;
        let answer = |question: ElicitParams| {
            let text = Value::from(format!("answer to {}", question.message));
            std::future::ready(ElicitResult::accept(Map::from_iter([("text".to_owned(), text)])))
        };
        let client = place.client(client().versions([version]).on_elicit(answer)).await;
        let calls = (0..32).map(|n| start(on, client.call_tool("ask", json!({ "text": n.to_string() }))));
        for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            let told = call.await.expect("an answer").joined_text();
            assert_eq!(told, format!("answer to first of {n}, answer to second of {n}"), "{version}");
        }
    }
}

/// Whoever hears that a list has changed asks for it from within: the connection goes on meanwhile.
pub(crate) async fn list_changed(on: &'static dyn Adapter, over: Transport) {
    for version in [D, E] {
        let place = Place::new(on, over).await;
        let (tell, told) = smol::channel::unbounded();
        let builder = client().versions([version]).on_tools_changed(move |client| {
            let tell = tell.clone();
            async move {
                let tools = client.list_tools().await.expect("a list");
                let called = client.call_tool("echo", json!({ "text": "from within" })).await.expect("an answer");
                let names = tools.into_iter().map(|tool| tool.name).collect::<Vec<_>>();
                let _ = tell.send((names, called.joined_text())).await;
            }
        });
        let client = place.client(builder).await;
        // In 2026-07-28 the client has to ask to be told, and has done so once it is connected.
        for name in ["grown1", "grown2", "grown3"] {
            soon(on, client.call_tool("grow", json!({ "text": name }))).await.expect("an answer");
            loop {
                let (names, called) = soon(on, told.recv()).await.expect("the handler tells");
                assert_eq!(called, "from within");
                // Changes at about the same time may be told of once or twice.
                if names.iter().any(|tool| tool == name) {
                    break;
                }
            }
        }
        soon(on, client.close()).await;
    }
}
