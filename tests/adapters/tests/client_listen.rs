//! Hearing of changes: listening in both eras, lists that stay up to date, and the typed callbacks for what a server tells.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::scripted::{Scripted, acknowledge, error, note, on, result};
use common::{soon, until};
use futures_lite::future::poll_once;
use mcp::model::SubscriptionFilter;
use mcp::{Change, Changes, Client, ClientBuilder, Ended, Error, ProtocolVersion, RequestError};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

/// Says a notification of this method with these parameters.
type Say<'a> = Box<dyn Fn(&str, Value) + 'a>;

fn client() -> ClientBuilder {
    Client::builder("listens", "1")
}

fn uris<const N: usize>(uris: [&str; N]) -> Vec<String> {
    uris.map(str::to_owned).to_vec()
}

fn everything() -> SubscriptionFilter {
    SubscriptionFilter::new()
        .with_tools_list_changed(true)
        .with_prompts_list_changed(true)
        .with_resources_list_changed(true)
        .with_resource_subscriptions(uris(["file:///a", "file:///b"]))
}

/// Grants whatever is asked for, and answers everything else with nothing.
fn granting(message: &Value) -> Vec<Value> {
    match message["method"].as_str().unwrap() {
        "subscriptions/listen" => vec![acknowledge(message, message["params"]["notifications"].clone())],
        method if method.starts_with("notifications/") => Vec::new(),
        _ => vec![result(message, json!({}))],
    }
}

/// What has been told and not yet been looked at.
async fn told(changes: &mut Changes) -> Vec<Change> {
    let mut told = Vec::new();
    while let Some(change) = poll_once(changes.next()).await {
        told.extend(change);
    }
    told
}

/// server/utilities/subscriptions (2026-07-28): the first message is the acknowledgement, with what of the wish was granted.
#[tokio::test]
async fn a_server_grants_a_part_and_tells_of_that() {
    let granted = json!({ "toolsListChanged": true, "resourceSubscriptions": ["file:///a", "file:///not-asked"] });
    let answer = move |message: &Value| match message["method"].as_str().unwrap() {
        "subscriptions/listen" => vec![acknowledge(message, granted.clone())],
        _ => Vec::new(),
    };
    let (client, stage) = Scripted::new(E).connect(client(), answer).await;
    let mut changes = soon(client.listen(everything()).into_future()).await.unwrap();
    let expected =
        SubscriptionFilter::new().with_tools_list_changed(true).with_resource_subscriptions(uris(["file:///a"]));
    assert_eq!(changes.granted(), expected);
    let listen = &stage.heard_of("subscriptions/listen")[0];
    assert_eq!(listen["params"]["notifications"], serde_json::to_value(everything()).unwrap());
    for (method, params) in [
        ("notifications/prompts/list_changed", json!({})),
        ("notifications/tools/list_changed", json!({})),
        ("notifications/resources/updated", json!({ "uri": "file:///a" })),
    ] {
        stage.say(on(listen, method, params));
    }
    // What was not granted is not told, whatever the server says.
    assert_eq!(soon(changes.next()).await, Some(Change::Tools));
    assert_eq!(soon(changes.next()).await, Some(Change::Resource("file:///a".into())));
    assert!(poll_once(changes.next()).await.is_none() && changes.ended().is_none());
}

/// Level-triggered: whatever the server tells before anybody looks is told once, and held in a bounded space.
#[tokio::test]
async fn a_slow_listener_hears_of_each_change_once() {
    for version in [D, E] {
        let (heard, mut last) = unbounded_channel();
        let builder = client().on_notification(move |notification| {
            let heard = heard.clone();
            async move { drop(heard.send(notification.method().to_owned())) }
        });
        let (client, stage) = Scripted::new(version).connect(builder, granting).await;
        let mut changes = soon(client.listen(everything()).into_future()).await.unwrap();
        assert_eq!(changes.granted(), everything(), "{version}");
        let say = |method: &str, params: Value| match version {
            E => stage.say(on(&stage.heard_of("subscriptions/listen")[0], method, params)),
            _ => stage.say(note(method, params)),
        };
        for n in 0..1000 {
            say("notifications/tools/list_changed", json!({}));
            say("notifications/resources/list_changed", json!({}));
            say("notifications/resources/updated", json!({ "uri": format!("file:///a/{}", n % 3) }));
        }
        stage.say(note("notifications/last", json!({})));
        while soon(last.recv()).await.unwrap() != "notifications/last" {}
        let mut expected = vec![Change::Tools, Change::Resources];
        expected.extend((0..3).map(|n| Change::Resource(format!("file:///a/{n}"))));
        assert_eq!(told(&mut changes).await, expected, "{version}");
        // Parts without end, of the server's own choice: all that was subscribed to counts as changed.
        for n in 0..2000 {
            let long = format!("file:///a/{n}/{}", "x".repeat(1000));
            say("notifications/resources/updated", json!({ "uri": long }));
        }
        stage.say(note("notifications/last", json!({})));
        while soon(last.recv()).await.unwrap() != "notifications/last" {}
        let told = told(&mut changes).await;
        assert!(told.len() < 300, "{version}: {}", told.len());
        assert!(told.contains(&Change::Resource("file:///b".into())), "{version}");
        drop(client);
    }
}

/// Two listeners of one connection each hear their own.
#[tokio::test]
async fn subscriptions_are_told_apart() {
    let (client, stage) = Scripted::new(E).connect(client(), granting).await;
    let tools = SubscriptionFilter::new().with_tools_list_changed(true);
    let mut one = soon(client.listen(tools.clone()).into_future()).await.unwrap();
    let mut two = soon(client.listen(tools).into_future()).await.unwrap();
    let listens = stage.heard_of("subscriptions/listen");
    stage.say(on(&listens[1], "notifications/tools/list_changed", json!({})));
    assert_eq!(soon(two.next()).await, Some(Change::Tools));
    assert!(poll_once(one.next()).await.is_none());
    drop(two);
    // basic/utilities/cancellation: on a stream the client says so.
    let cancelled = stage.hears("notifications/cancelled", 1).await;
    assert_eq!(cancelled[0]["params"]["requestId"], listens[1]["id"]);
    stage.say(on(&listens[0], "notifications/tools/list_changed", json!({})));
    assert_eq!(soon(one.next()).await, Some(Change::Tools));
}

/// server/utilities/subscriptions: the server ends it by its result, or cancels it; or it is lost with the connection.
#[tokio::test]
async fn the_end_of_a_subscription_says_why() {
    for end in ["result", "cancelled", "lost", "error"] {
        let (client, stage) = Scripted::new(E).connect(client(), granting).await;
        let mut changes = soon(client.listen(everything()).into_future()).await.unwrap();
        let listen = stage.heard_of("subscriptions/listen")[0].clone();
        stage.say(on(&listen, "notifications/tools/list_changed", json!({})));
        match end {
            "result" => stage.say(result(&listen, json!({ "resultType": "complete" }))),
            "cancelled" => stage.say(note("notifications/cancelled", json!({ "requestId": listen["id"] }))),
            "error" => stage.say(error(&listen, -32603, "restarting")),
            _ => stage.end(),
        }
        // What was told before the end comes before it.
        assert_eq!(soon(changes.next()).await, Some(Change::Tools), "{end}");
        assert_eq!(soon(changes.next()).await, None, "{end}");
        match (end, changes.ended().unwrap()) {
            ("result", Ended::Completed) | ("cancelled", Ended::Cancelled) => {}
            ("lost", Ended::Lost(error)) => assert!(error.is_closed()),
            ("error", Ended::Lost(error)) => assert_eq!(error.rpc().unwrap().code.0, -32603),
            (end, ended) => panic!("{end}: {ended:?}"),
        }
        assert_eq!(soon(changes.next()).await, None, "{end}: once more");
    }
    let (client, stage) = Scripted::new(D).connect(client(), granting).await;
    let mut changes = soon(client.listen(everything()).into_future()).await.unwrap();
    stage.say(note("notifications/tools/list_changed", json!({})));
    stage.end();
    assert_eq!(soon(changes.next()).await, Some(Change::Tools));
    assert_eq!(soon(changes.next()).await, None);
    assert!(matches!(changes.ended(), Some(Ended::Lost(Error::Closed(_)))));
}

/// A refusal and a silence are errors of listening itself; what stays open has no deadline after that.
#[tokio::test]
async fn listening_that_does_not_come_about_is_an_error() {
    let refusing = |message: &Value| vec![error(message, -32603, "too many")];
    let (one, _) = Scripted::new(E).connect(client(), refusing).await;
    let refused = soon(one.listen(everything()).into_future()).await.unwrap_err();
    assert_eq!(refused.rpc().unwrap().message, "too many");
    let (two, stage) = Scripted::new(E).connect(client(), |_| Vec::new()).await;
    let short = Duration::from_millis(30);
    let silent = soon(two.listen(everything()).idle(short).into_future()).await.unwrap_err();
    assert!(silent.is_timeout() && silent.to_string().contains("subscriptions/listen"), "{silent}");
    stage.hears("notifications/cancelled", 1).await;
    // Given up in the middle.
    let waiting = tokio::spawn(two.listen(everything()).into_future());
    stage.hears("subscriptions/listen", 2).await;
    waiting.abort();
    stage.hears("notifications/cancelled", 2).await;
    // Granted, and then silent for longer than any request of this client may be.
    let granting = |message: &Value| match message["method"].as_str().unwrap() {
        "subscriptions/listen" => granting(message),
        _ => Vec::new(),
    };
    let (three, stage) = Scripted::new(E).connect(client().idle(short).cap(short), granting).await;
    let mut changes = soon(three.listen(everything()).into_future()).await.unwrap();
    for _ in 0..3 {
        let slow = soon(three.request::<Value>("vendor/slow", &json!({})).into_future()).await;
        assert!(slow.unwrap_err().is_timeout());
    }
    stage.say(on(&stage.heard_of("subscriptions/listen")[0], "notifications/tools/list_changed", json!({})));
    assert_eq!(soon(changes.next()).await, Some(Change::Tools));
}

/// A result in place of the acknowledgement: granted nothing, and ended.
#[tokio::test]
async fn a_subscription_that_ends_before_it_begins_is_over() {
    let answer = |message: &Value| vec![result(message, json!({ "resultType": "complete" }))];
    let (client, _) = Scripted::new(E).connect(client(), answer).await;
    let mut changes = soon(client.listen(everything()).into_future()).await.unwrap();
    assert!(changes.granted().is_empty());
    assert_eq!(soon(changes.next()).await, None);
    assert!(matches!(changes.ended(), Some(Ended::Completed)));
}

/// The same verb on a legacy session: resources are subscribed to, and unsubscribed from when nobody listens any more.
#[tokio::test]
async fn a_legacy_session_subscribes_and_unsubscribes() {
    let answer = |message: &Value| match message["params"]["uri"].as_str() {
        Some("file:///missing") => vec![error(message, -32002, "no such resource")],
        _ => vec![result(message, json!({}))],
    };
    let (client, stage) = Scripted::new(D).connect(client(), answer).await;
    let of = |wanted: &[&str]| {
        SubscriptionFilter::new()
            .with_resource_subscriptions(wanted.iter().map(|uri| (*uri).into()).collect::<Vec<_>>())
    };
    let mut one = soon(client.listen(of(&["file:///a", "file:///missing", "file:///a"])).into_future()).await.unwrap();
    assert_eq!(one.granted(), of(&["file:///a"]));
    let mut two = soon(client.listen(of(&["file:///a", "file:///b"]))).await.unwrap();
    stage.say(note("notifications/resources/updated", json!({ "uri": "file:///a" })));
    stage.say(note("notifications/tools/list_changed", json!({})));
    assert_eq!(soon(one.next()).await, Some(Change::Resource("file:///a".into())));
    assert!(poll_once(one.next()).await.is_none(), "tools were not asked for");
    // Parts of a resource are its own; what belongs to nobody may be everybody's.
    assert_eq!(soon(two.next()).await, Some(Change::Resource("file:///a".into())));
    for (uri, is_ones, is_twos) in [
        ("file:///b", false, true),
        ("file:///b/part", false, true),
        ("file:///a#x", true, true),
        ("other:///", true, true),
    ] {
        stage.say(note("notifications/resources/updated", json!({ "uri": uri })));
        let expected = |is_its: bool| is_its.then(|| Change::Resource(uri.into()));
        assert_eq!(soon(two.next()).await, expected(is_twos));
        assert_eq!(poll_once(one.next()).await.flatten(), expected(is_ones), "{uri}");
    }
    drop(two);
    let gone = stage.hears("resources/unsubscribe", 1).await;
    assert_eq!(gone[0]["params"]["uri"], "file:///b");
    drop(one);
    let gone = stage.hears("resources/unsubscribe", 2).await;
    assert_eq!(gone[1]["params"]["uri"], "file:///a");
    // What the server does not offer is not granted, and nothing is sent for it.
    let poor = json!({ "resources": {}, "tools": {} });
    let (client, stage) = Scripted::new(D).capabilities(poor).connect(client_of_nothing(), granting).await;
    let changes = soon(client.listen(everything()).into_future()).await.unwrap();
    assert!(changes.granted().is_empty() && stage.heard().is_empty());
}

/// A legacy session has one stream of changes for all its listeners: each hears of the resources that it subscribed to, and of
/// what nobody subscribed to by that URI, since it may be a part of its own.
#[tokio::test]
async fn legacy_listeners_hear_of_their_own_resources() {
    let (client, stage) = Scripted::new(D).connect(client(), granting).await;
    let of = |uri: &str| SubscriptionFilter::new().with_resource_subscriptions(uris([uri]));
    let mut one = soon(client.listen(of("file:///a")).into_future()).await.unwrap();
    let mut two = soon(client.listen(of("file:///b")).into_future()).await.unwrap();
    for uri in ["file:///b", "file:///a", "file:///c/part"] {
        stage.say(note("notifications/resources/updated", json!({ "uri": uri })));
    }
    let heard = |uri: &str| Change::Resource(uri.into());
    for (changes, own) in [(&mut one, "file:///a"), (&mut two, "file:///b")] {
        assert_eq!(soon(changes.next()).await, Some(heard(own)));
        assert_eq!(soon(changes.next()).await, Some(heard("file:///c/part")));
        assert!(poll_once(changes.next()).await.is_none());
    }
}

fn client_of_nothing() -> ClientBuilder {
    Client::builder("nothing", "1")
}

/// What listens keeps the connection; what is closed ends what listens.
#[tokio::test]
async fn listening_keeps_the_connection_open() {
    let (client, stage) = Scripted::new(E).connect(client(), granting).await;
    let mut changes = soon(client.listen(everything()).into_future()).await.unwrap();
    drop(client);
    stage.say(on(&stage.heard_of("subscriptions/listen")[0], "notifications/tools/list_changed", json!({})));
    assert_eq!(soon(changes.next()).await, Some(Change::Tools));
}

/// Lists that stay up to date, in both eras.
#[tokio::test]
async fn a_watched_list_is_asked_for_anew_when_it_has_changed() {
    for version in [D, E] {
        let names = Arc::new(Mutex::new(vec!["a"]));
        let listed = Arc::clone(&names);
        let answer = move |message: &Value| match message["method"].as_str().unwrap() {
            "tools/list" => {
                let tool = |name| json!({ "name": name, "inputSchema": { "type": "object" } });
                let tools = listed.lock().unwrap().iter().map(tool).collect::<Vec<_>>();
                if tools.is_empty() {
                    return vec![error(message, -32603, "not now")];
                }
                vec![result(message, json!({ "tools": tools, "ttlMs": 60_000, "cacheScope": "private" }))]
            }
            _ => granting(message),
        };
        let caching = mcp::Caching::new().legacy(Duration::from_secs(60));
        let (client, stage) = Scripted::new(version).connect(client().cache(caching), answer).await;
        let mut tools = soon(client.watch_tools()).await.unwrap();
        let changed = || match version {
            E => {
                stage.say(on(
                    &stage.heard_of("subscriptions/listen")[0],
                    "notifications/tools/list_changed",
                    json!({}),
                ));
            }
            _ => stage.say(note("notifications/tools/list_changed", json!({}))),
        };
        let names_of = |tools: &[mcp::model::Tool]| tools.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        assert!(tools.is_live());
        assert_eq!(names_of(tools.items()), ["a"]);
        names.lock().unwrap().push("b");
        (0..100).for_each(|_| changed());
        assert_eq!(names_of(&soon(tools.next()).await.unwrap().unwrap()), ["a", "b"]);
        assert!(stage.heard_of("tools/list").len() < 100, "many changes are few lists");
        // A failure is told, and the change is not forgotten.
        let kept = std::mem::take(&mut *names.lock().unwrap());
        changed();
        let failed = async {
            loop {
                if let Err(error) = tools.next().await.unwrap() {
                    return error;
                }
            }
        };
        assert_eq!(soon(failed).await.rpc().unwrap().message, "not now");
        *names.lock().unwrap() = kept;
        assert_eq!(names_of(&soon(tools.next()).await.unwrap().unwrap()), ["a", "b"]);
        stage.end();
        assert!(soon(tools.next()).await.is_none());
    }
}

/// A server that tells of no changes can be watched in vain.
#[tokio::test]
async fn a_list_without_news_is_still_a_list() {
    for version in [D, E] {
        let answer = |message: &Value| match message["method"].as_str().unwrap() {
            "prompts/list" => vec![result(message, json!({ "prompts": [{ "name": "p" }] }))],
            _ => vec![error(message, -32601, "no such method")],
        };
        let poor = json!({ "prompts": {} });
        let (client, stage) = Scripted::new(version).capabilities(poor).connect(client(), answer).await;
        let mut prompts = soon(client.watch_prompts()).await.unwrap();
        assert!(!prompts.is_live() && prompts.items().len() == 1);
        stage.end();
        assert!(soon(prompts.next()).await.is_none());
    }
}

/// The callbacks for what a server tells, in its order; in the stateless era the client listens by itself.
#[tokio::test]
async fn typed_callbacks_hear_what_the_server_tells_in_order() {
    for version in [D, E] {
        let (heard, mut notes) = unbounded_channel::<String>();
        let tell = move |what: &'static str| {
            let heard = heard.clone();
            move |about: String| drop(heard.send(format!("{what} {about}")))
        };
        let (log, updated, complete, other) = (tell("log"), tell("updated"), tell("complete"), tell("other"));
        let (tools, prompts, resources) = (tell("tools"), tell("prompts"), tell("resources"));
        let builder = client()
            .on_log(move |entry| log(entry.level.to_string()))
            .on_tools_changed(move |client: Client| {
                let tools = tools.clone();
                // A callback that asks the server: nothing waits for it but what comes after it.
                async move { tools(client.request::<Value>("vendor/x", &json!({})).await.is_ok().to_string()) }
            })
            .on_prompts_changed(move |_| {
                let prompts = prompts.clone();
                async move { prompts(String::new()) }
            })
            .on_resources_changed(move |_| {
                let resources = resources.clone();
                async move { resources(String::new()) }
            })
            .on_resource_updated(move |_, uri| {
                let updated = updated.clone();
                async move { updated(uri) }
            })
            .on_elicitation_complete(move |_, id| {
                let complete = complete.clone();
                async move { complete(id) }
            })
            .on_notification(move |notification| {
                let other = other.clone();
                async move { other(notification.method().to_owned()) }
            });
        let (client, stage) = Scripted::new(version).connect(builder, granting).await;
        let say: Say<'_> = match version {
            E => {
                let listen = stage.hears("subscriptions/listen", 1).await[0].clone();
                assert_eq!(
                    listen["params"]["notifications"],
                    json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true })
                );
                let stage = stage.clone();
                Box::new(move |method, params| stage.say(on(&listen, method, params)))
            }
            _ => Box::new(|method, params| stage.say(note(method, params))),
        };
        say("notifications/tools/list_changed", json!({}));
        say("notifications/prompts/list_changed", json!({}));
        say("notifications/resources/list_changed", json!({}));
        stage.say(note("notifications/message", json!({ "level": "error", "data": 1 })));
        stage.say(note("notifications/resources/updated", json!({ "uri": "file:///a" })));
        stage.say(note("notifications/elicitation/complete", json!({ "elicitationId": "e-1" })));
        stage.say(note("notifications/vendor", json!({})));
        stage.say(note("notifications/message", json!({ "level": "shouting", "data": 1 })));
        stage.say(note("notifications/last", json!({})));
        for expected in [
            "tools true",
            "prompts ",
            "resources ",
            "log error",
            "updated file:///a",
            "complete e-1",
            "other notifications/vendor",
            "other notifications/last",
        ] {
            assert_eq!(soon(notes.recv()).await.unwrap(), expected, "{version}");
        }
        drop(client);
    }
}

/// What a server of the stateless era ended is taken up again; everything counts as changed then.
#[tokio::test]
async fn the_clients_own_listening_is_taken_up_again() {
    let (heard, mut notes) = unbounded_channel();
    let builder = client().on_tools_changed(move |_| {
        let heard = heard.clone();
        async move { heard.send(()).unwrap() }
    });
    let (client, stage) = Scripted::new(E).connect(builder, granting).await;
    let listen = stage.hears("subscriptions/listen", 1).await[0].clone();
    stage.say(result(&listen, json!({ "resultType": "complete" })));
    let again = stage.hears("subscriptions/listen", 2).await[1].clone();
    soon(notes.recv()).await.unwrap();
    stage.say(on(&again, "notifications/tools/list_changed", json!({})));
    soon(notes.recv()).await.unwrap();
    drop(client);
}

/// It is not, where the server does not know it or grants nothing; and it ends with the connection.
#[tokio::test]
async fn the_clients_own_listening_knows_when_it_is_in_vain() {
    for refuses in [true, false] {
        let answer = move |message: &Value| match message["method"].as_str().unwrap() {
            "subscriptions/listen" if refuses => vec![error(message, -32601, "no such method")],
            "subscriptions/listen" => vec![acknowledge(message, json!({}))],
            _ => granting(message),
        };
        let (client, stage) = Scripted::new(E).connect(client().on_tools_changed(async |_| ()), answer).await;
        stage.hears("subscriptions/listen", 1).await;
        if !refuses {
            stage.hears("notifications/cancelled", 1).await;
        }
        soon(client.request::<Value>("vendor/x", &json!({})).into_future()).await.unwrap();
        drop(client);
        until(|| stage.heard_of("subscriptions/listen").len() == 1).await;
    }
    // A client that hears of nothing does not listen.
    let (client, stage) = Scripted::new(E).connect(client().on_log(|_| ()), granting).await;
    soon(client.request::<Value>("vendor/x", &json!({})).into_future()).await.unwrap();
    assert!(stage.heard_of("subscriptions/listen").is_empty());
    // Cancelling is the caller's: an error of the call, and not a subscription's.
    let call = client.request::<Value>("vendor/x", &json!({})).idle(Duration::ZERO);
    let error = soon(call.into_future()).await.unwrap_err();
    assert!(matches!(error, Error::Request { error: RequestError::TimedOut(_), id: None, .. }));
}

/// basic/utilities/subscriptions: what was lost with its server says so, and a client asks for it anew on its next connection.
#[tokio::test]
async fn a_subscription_lost_with_its_server_is_opened_on_the_next_connection() {
    let builder = client().on_tools_changed(async |_| ());
    for _ in 0..2 {
        let (client, stage) = Scripted::new(E).connect(builder.clone(), granting).await;
        let own = stage.hears("subscriptions/listen", 1).await;
        assert_eq!(own[0]["params"]["notifications"], json!({ "toolsListChanged": true }));
        let mut changes = soon(client.listen(everything())).await.unwrap();
        stage.end();
        assert_eq!(soon(changes.next()).await, None);
        assert!(matches!(changes.ended(), Some(Ended::Lost(error)) if error.is_closed()));
    }
}

/// A client is connected once its own subscription is granted; a server that leaves that open is waited for no longer than for its era,
/// and heard when it does grant.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_grant_is_not_waited_for_long() {
    let (tell, mut told) = unbounded_channel();
    let builder = client().on_tools_changed(move |_| {
        let _ = tell.send(());
        async {}
    });
    let builder = builder.handshake(Duration::from_secs(30), Duration::from_secs(3));
    let began = tokio::time::Instant::now();
    let (client, stage) = Scripted::new(E).connect(builder, |_| Vec::new()).await;
    assert!((3..5).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let listen = stage.heard_of("subscriptions/listen").remove(0);
    for message in granting(&listen) {
        stage.say(message);
    }
    stage.say(on(&listen, "notifications/tools/list_changed", json!({})));
    soon(told.recv()).await.expect("it is told");
    client.close().await;
}
