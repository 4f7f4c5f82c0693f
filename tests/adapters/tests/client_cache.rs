//! Answers that a client keeps: for how long, what makes them old, what is never kept.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::scripted::{Scripted, Stage, acknowledge, error, note, on, result};
use common::{soon, until};
use mcp::model::SubscriptionFilter;
use mcp::{Caching, Client, ClientBuilder, ProtocolVersion};
use serde_json::{Value, json};

use ProtocolVersion::{V2025_11_25 as D, V2026_07_28 as E};

const LONG: Duration = Duration::from_secs(3600);

fn caching(caching: Caching) -> ClientBuilder {
    Client::builder("caches", "1").cache(caching)
}

/// Answers everything that may be kept, fresh for so long.
fn fresh_for(ttl: Value) -> impl FnMut(&Value) -> Vec<Value> + Send + 'static {
    move |message| {
        let mut answer = match message["method"].as_str().unwrap() {
            "subscriptions/listen" => {
                return vec![acknowledge(message, message["params"]["notifications"].clone())];
            }
            "resources/read" => json!({ "contents": [{ "uri": message["params"]["uri"], "text": "t" }] }),
            "server/discover" => json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} }),
            _ => json!({ "tools": [], "prompts": [], "resources": [], "resourceTemplates": [] }),
        };
        answer["ttlMs"] = ttl.clone();
        answer["cacheScope"] = json!("private");
        vec![result(message, answer)]
    }
}

async fn ask_all(client: &Client) {
    soon(client.list_tools().into_future()).await.unwrap();
    soon(client.list_prompts().into_future()).await.unwrap();
    soon(client.list_resources().into_future()).await.unwrap();
    soon(client.list_resource_templates().into_future()).await.unwrap();
    soon(client.read_resource("file:///a").into_future()).await.unwrap();
    soon(client.read_resource("file:///b").into_future()).await.unwrap();
}

const ALL: usize = 6;

/// server/utilities/caching (2026-07-28): fresh for `ttlMs`; zero, negative and absent are not at all.
#[tokio::test]
async fn what_is_fresh_is_not_asked_for_again() {
    for (ttl, asked) in [(json!(3_600_000), ALL), (json!(0), 2 * ALL), (json!(-1), 2 * ALL), (Value::Null, 2 * ALL)] {
        let (client, stage) = Scripted::new(E).connect(caching(Caching::new()), fresh_for(ttl.clone())).await;
        ask_all(&client).await;
        ask_all(&client).await;
        assert_eq!(stage.heard().len(), asked, "{ttl}");
    }
    // Without a cache, always.
    let (client, stage) = Scripted::new(E).connect(Client::builder("asks", "1"), fresh_for(json!(3_600_000))).await;
    ask_all(&client).await;
    ask_all(&client).await;
    assert_eq!(stage.heard().len(), 2 * ALL);
    // Unless it is wanted fresh; that answer is kept again.
    let (client, stage) = Scripted::new(E).connect(caching(Caching::new()), fresh_for(json!(3_600_000))).await;
    soon(client.list_tools().into_future()).await.unwrap();
    soon(client.list_tools().fresh().into_future()).await.unwrap();
    soon(client.read_resource("f").fresh().into_future()).await.unwrap();
    soon(client.read_resource("f").into_future()).await.unwrap();
    soon(client.discover().into_future()).await.unwrap();
    soon(client.discover().into_future()).await.unwrap();
    assert_eq!(stage.heard().len(), 3, "the handshake's server/discover is the script's own");
}

/// Answers of a legacy server say nothing of it: kept only if the user says for how long.
#[tokio::test]
async fn answers_of_a_legacy_server_are_kept_for_as_long_as_the_user_says() {
    for (how, asked) in [(Caching::new(), 2 * ALL), (Caching::new().legacy(LONG), ALL)] {
        let (client, stage) = Scripted::new(D).connect(caching(how), fresh_for(Value::Null)).await;
        // In that era the member means nothing.
        ask_all(&client).await;
        ask_all(&client).await;
        assert_eq!(stage.heard().len(), asked, "{how:?}");
    }
}

/// server/utilities/caching: the matching notification makes it old, in both eras.
#[tokio::test]
async fn what_has_changed_is_asked_for_again() {
    for version in [D, E] {
        let builder = caching(Caching::new().legacy(LONG));
        let (client, stage) = Scripted::new(version).connect(builder, fresh_for(json!(3_600_000))).await;
        let wanted = SubscriptionFilter::new()
            .with_tools_list_changed(true)
            .with_resource_subscriptions(vec!["file:///a".to_owned()]);
        let mut changes = soon(client.listen(wanted).into_future()).await.unwrap();
        ask_all(&client).await;
        let before = stage.heard().len();
        let say = |method: &str, params: Value| match version {
            E => stage.say(on(&stage.heard_of("subscriptions/listen")[0], method, params)),
            _ => stage.say(note(method, params)),
        };
        say("notifications/tools/list_changed", json!({}));
        say("notifications/resources/updated", json!({ "uri": "file:///a" }));
        soon(changes.next()).await.unwrap();
        soon(changes.next()).await.unwrap();
        ask_all(&client).await;
        let asked = stage.heard().split_off(before);
        let asked = asked.iter().map(|message| message["method"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(asked, ["tools/list", "resources/read"], "{version}");
    }
}

/// server/utilities/caching: what was asked again with answers to questions MUST NOT be kept.
#[tokio::test]
async fn an_answer_that_took_questions_is_not_kept() {
    for with_question in [true, false] {
        let answer = move |message: &Value| {
            let params = &message["params"];
            let mut answer = json!({ "resultType": "input_required", "requestState": "s" });
            if with_question {
                answer["inputRequests"] = json!({ "k": { "method": "roots/list" } });
            }
            if params.get("requestState").is_some() {
                answer = json!({ "contents": [], "ttlMs": 3_600_000, "cacheScope": "public" });
            }
            vec![result(message, answer)]
        };
        let builder = caching(Caching::new()).root("file:///a", "a");
        let (client, stage) = Scripted::new(E).connect(builder, answer).await;
        for reads in 1..=2 {
            soon(client.read_resource("f").into_future()).await.unwrap();
            assert_eq!(stage.heard().len(), 2 * reads, "{with_question}");
        }
    }
}

/// An answer that is not fresh any more stands in for one that does not come, if asked for; never for an error of the server.
#[tokio::test]
async fn an_old_answer_stands_in_where_that_is_wanted() {
    let count = Arc::new(AtomicUsize::new(0));
    let script = |answers: &'static [&'static str]| {
        let count = Arc::clone(&count);
        count.store(0, Ordering::SeqCst);
        move |message: &Value| match message["id"].is_i64().then(|| answers[count.fetch_add(1, Ordering::SeqCst)]) {
            Some("fresh") => vec![result(message, json!({ "tools": [], "ttlMs": 0, "cacheScope": "public" }))],
            Some("error") => vec![error(message, -32603, "broken")],
            _ => Vec::new(),
        }
    };
    let short = Duration::from_millis(30);
    let stale = || caching(Caching::new().stale(LONG));
    let (client, _) = Scripted::new(E).connect(stale(), script(&["fresh", "silence", "error", "silence"])).await;
    soon(client.list_tools().into_future()).await.unwrap();
    soon(client.list_tools().idle(short).into_future()).await.unwrap();
    assert_eq!(soon(client.list_tools().into_future()).await.unwrap_err().rpc().unwrap().message, "broken");
    assert!(soon(client.list_tools().fresh().idle(short).into_future()).await.unwrap_err().is_timeout());

    let (client, stage) = Scripted::new(E).connect(stale(), script(&["fresh"])).await;
    soon(client.list_tools().into_future()).await.unwrap();
    stage.end();
    soon(client.closed()).await;
    soon(client.list_tools().into_future()).await.unwrap();
    assert!(soon(client.list_prompts().into_future()).await.unwrap_err().is_closed());

    let (client, _) = Scripted::new(E).connect(caching(Caching::new()), script(&["fresh", "silence"])).await;
    soon(client.list_tools().into_future()).await.unwrap();
    assert!(soon(client.list_tools().idle(short).into_future()).await.unwrap_err().is_timeout());
}

/// Pages are kept each by itself; a cursor that leads nowhere takes all along.
#[tokio::test]
async fn a_bad_cursor_takes_all_pages_along() {
    let answer = |message: &Value| {
        let page = |next: Value| {
            result(message, json!({ "tools": [], "nextCursor": next, "ttlMs": 3_600_000, "cacheScope": "public" }))
        };
        vec![match message["params"]["cursor"].as_str() {
            None => page(json!("2")),
            Some("2") => page(Value::Null),
            Some(_) => error(message, -32602, "unknown cursor"),
        }]
    };
    let (client, stage) = Scripted::new(E).connect(caching(Caching::new()), answer).await;
    let asked = |stage: &Stage| stage.heard().len();
    soon(client.list_tools().into_future()).await.unwrap();
    soon(client.list_tools().into_future()).await.unwrap();
    assert_eq!(asked(&stage), 2);
    soon(client.list_tools_page(Some("bad".into())).into_future()).await.unwrap_err();
    soon(client.list_tools().into_future()).await.unwrap();
    assert_eq!(asked(&stage), 5);
}

/// Bounded, whatever a server sends.
#[tokio::test]
async fn the_cache_stays_within_its_bounds() {
    let builder = caching(Caching::new().limits(|limits| limits.entries = 10));
    let (client, stage) = Scripted::new(E).connect(builder, fresh_for(json!(3_600_000))).await;
    for n in 0..30 {
        soon(client.read_resource(format!("file:///{n}")).into_future()).await.unwrap();
    }
    for n in 20..30 {
        soon(client.read_resource(format!("file:///{n}")).into_future()).await.unwrap();
    }
    assert_eq!(stage.heard().len(), 30);
    soon(client.read_resource("file:///0").into_future()).await.unwrap();
    until(|| stage.heard().len() == 31).await;
}
