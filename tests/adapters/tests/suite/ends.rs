//! Connections that end, one way or the other.

use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use mcp::{ProtocolVersion, Restart};
use serde_json::json;

use super::calls::{client, echoes, reached};
use crate::common::each::{Adapter, beside, soon, start, until};
use crate::common::place::{Place, Transport};
use crate::common::{BOUND, call};

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

/// How soon somebody must have noticed that the other is gone.
const NOTICED: Duration = Duration::from_secs(3);

/// A server that is gone fails the calls that are open, and those that come later, at once.
pub(crate) async fn server_killed(on: &'static dyn Adapter, over: Transport) {
    for version in [D, E] {
        let mut place = Place::new(on, over).await;
        let client = place.client(client().versions([version])).await;
        let open = [(); 8].map(|()| start(on, client.call_tool("wait", ())));
        reached(on, &client, 8, 0).await;
        let killed = Instant::now();
        place.kill(&client);
        for call in open {
            let error = call.await.expect_err("its server is gone");
            assert!(error.is_closed() && error.to_string().contains("tools/call wait"), "{version}: {error:?}");
        }
        let later = soon(on, client.call_tool("echo", json!({ "text": "?" }))).await.expect_err("nobody is there");
        assert!(later.is_closed() && later.to_string().contains("tools/call echo"), "{version}: {later:?}");
        soon(on, client.closed()).await;
        assert!(killed.elapsed() < NOTICED, "{version}: {:?}", killed.elapsed());
        let exit = soon(on, client.close()).await;
        assert!(exit.is_none_or(|exit| exit.status.is_some_and(|status| !status.success())), "{version}");
    }
}

/// A client that is gone ends what is in work for it, and its connection; a child has no other, and ends as well.
pub(crate) async fn client_gone(on: &'static dyn Adapter, over: Transport) {
    let place = Place::new(on, over).await;
    let other = place.client(client()).await;
    let mut wire = place.wire();
    let gone = Instant::now();
    beside(on, move || {
        wire.initialize();
        for id in 0..4 {
            wire.says.say(&call(id, "wait", json!({}))).expect("it is there");
        }
        // The calls have arrived: this one came after them.
        wire.ask(&call(4, "waits", json!({})));
        drop((wire.says, wire.hears));
        if let Some(mut child) = wire.child {
            child.wait().expect("a child");
        }
    })
    .await;
    until(on, || over == Transport::Child || place.server.connections() == 1).await;
    assert!(gone.elapsed() < NOTICED, "{:?}", gone.elapsed());
    if over != Transport::Child {
        reached(on, &other, 4, 4).await;
    }
    echoes(on, &other, "still here").await;
}

/// A client that has said all it has to say still hears the answers, and then the end.
pub(crate) async fn half_close(on: &'static dyn Adapter, over: Transport) {
    let place = Place::new(on, over).await;
    let mut wire = place.wire();
    beside(on, move || {
        wire.initialize();
        wire.says.say(&call(1, "later", json!({ "n": 300 }))).expect("it is there");
        wire.says.say(&call(2, "text", json!({ "n": 200_000 }))).expect("it is there");
        wire.says.end();
        let [first, second] = [(); 2].map(|()| wire.hears.message().expect("an answer"));
        assert_eq!((&first["id"], &second["id"]), (&json!(2), &json!(1)));
        assert_eq!(second["result"]["content"][0]["text"], "late");
        assert_eq!(wire.hears.line(), None);
        if let Some(mut child) = wire.child {
            assert!(child.wait().expect("a child").success());
        }
    })
    .await;
    until(on, || place.server.connections() == 0).await;
}

/// A client that closes waits for what is open, for as long as is due, and for nothing else.
pub(crate) async fn closing(on: &'static dyn Adapter, over: Transport) {
    for version in [D, E] {
        let place = Place::new(on, over).await;
        let client = place.client(client().versions([version])).await;
        let soon_over = sent(on, client.call_tool("later", json!({ "n": 200 }))).await;
        // One of the two eras is enough to wait for.
        let never = (version == E).then(|| start(on, client.call_tool("wait", ())));
        reached(on, &client, usize::from(never.is_some()), 0).await;
        let began = Instant::now();
        let exit = soon(on, client.close()).await;
        assert_eq!(soon_over.await.expect("an answer").joined_text(), "late", "{version}");
        // Two seconds for open calls; the rest is at once.
        let mut patience = NOTICED;
        if let Some(never) = never {
            let error = never.await.expect_err("it never ends");
            assert!(error.is_closed(), "{version}: {error:?}");
            patience += Duration::from_secs(2);
        }
        assert!(began.elapsed() < patience, "{version}: {:?}", began.elapsed());
        assert!(exit.is_none_or(|exit| exit.status.is_some_and(|status| status.success())), "{version}");
        until(on, || place.server.connections() == 0).await;
    }
}

/// Calls in work finish, then everything is closed; nobody new gets in.
pub(crate) async fn pain_24_a_server_that_shuts_down_finishes_what_it_has_begun(
    on: &'static dyn Adapter,
    over: Transport,
) {
    let mut place = Place::new(on, over).await;
    let (busy, idle) = (place.client(client()).await, place.client(client()).await);
    let waiting = sent(on, busy.call_tool("later", json!({ "n": 500 }))).await;
    echoes(on, &busy, "behind them").await;
    let listening = place.listening.take().expect("it listens");
    let address = listening.address().clone();
    let mut shutdown = Box::pin(listening.shutdown(BOUND));
    assert!(poll_once(&mut shutdown).await.is_none());
    soon(on, async {
        // What comes too late is refused, not lost.
        while busy.call_tool("echo", json!({ "text": "x" })).await.is_ok() {
            on.sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    match address.tcp() {
        Some(address) => {
            let refused = soon(on, on.connect_tcp(address, client())).await;
            refused.expect_err("it does not listen any more");
        }
        None => assert!(!std::path::Path::new(&address.to_string()).exists(), "the file is gone"),
    }
    assert_eq!(waiting.await.expect("an answer").joined_text(), "late");
    let drained = soon(on, shutdown).await;
    assert_eq!((drained.connections, drained.cut.len()), (2, 0));
    for client in [busy, idle] {
        soon(on, client.closed()).await;
    }
    until(on, || place.server.connections() == 0).await;
}

/// Work that does not end in time is cut, and told of.
pub(crate) async fn pain_24_a_server_that_shuts_down_does_not_wait_for_ever(on: &'static dyn Adapter, over: Transport) {
    let mut place = Place::new(on, over).await;
    let (busy, idle) = (place.client(client()).await, place.client(client()).await);
    let open = [(); 2].map(|()| start(on, busy.call_tool("wait", ())));
    reached(on, &busy, 2, 0).await;
    let began = Instant::now();
    let listening = place.listening.take().expect("it listens");
    let drained = soon(on, listening.shutdown(Duration::from_millis(100))).await;
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!(drained.connections, 2);
    let [cut] = &drained.cut[..] else { panic!("{drained:?}") };
    assert_eq!((cut.calls, cut.peer.is_some()), (2, over == Transport::Tcp));
    for call in open {
        call.await.expect_err("it was cut");
    }
    for client in [busy, idle] {
        soon(on, client.closed()).await;
    }
    until(on, || place.server.connections() == 0).await;
}

/// A server that ends is started or opened once more: what was open is lost and not sent again, what follows is answered, and who
/// wants to hear of changes does.
pub(crate) async fn restart(on: &'static dyn Adapter, over: Transport) {
    for version in [D, E] {
        let mut place = Place::new(on, over).await;
        let restart = Restart::new().backoff(Duration::from_millis(1), Duration::from_millis(1));
        let (tell, told) = smol::channel::unbounded();
        let builder = client().versions([version]).on_tools_changed(move |_| {
            let tell = tell.clone();
            async move { _ = tell.send(()).await }
        });
        let client = place.restarting(builder, restart).await;
        for round in 1..=3 {
            let open = start(on, client.call_tool("wait", ()));
            // What a stream leads to is the same server as before; a child is a new one.
            let before = if over == Transport::Child { 0 } else { round - 1 };
            reached(on, &client, before + 1, before).await;
            place.kill(&client);
            let lost = open.await.expect_err("its server is gone");
            assert!(lost.is_lost(), "{version}: {lost:?}");
            echoes(on, &client, "once more").await;
            assert_eq!(client.restarts(), round as u64, "{version}");
            // All counts as changed; and so does what changes from now on.
            soon(on, told.recv()).await.expect("it is told");
            while told.try_recv().is_ok() {}
            let name = format!("grown{round}");
            soon(on, client.call_tool("grow", json!({ "text": name }))).await.expect("an answer");
            soon(on, told.recv()).await.expect("it is told");
        }
        soon(on, client.close()).await;
    }
}

/// Starts a call, which has been handed to its connection when this returns.
async fn sent<T: Send + 'static>(
    on: &dyn Adapter,
    call: impl IntoFuture<Output = T, IntoFuture: Send + 'static>,
) -> impl Future<Output = T> {
    let mut call = Box::pin(call.into_future());
    assert!(poll_once(&mut call).await.is_none(), "nobody can have answered yet");
    start(on, call)
}
