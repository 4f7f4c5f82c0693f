//! Several servers as one: merged lists, calls that find their server, servers that come, go and fail.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use common::scripted::{Scripted, Stage, error, result};
use common::{soon, until};
use mcp::model::StringArguments;
use mcp::{Client, ClientGroup, Error, GroupError, ProtocolVersion};
use serde_json::{Value, json};

use ProtocolVersion::{V2025_06_18 as C, V2026_07_28 as E};

type Names = Arc<Mutex<Vec<String>>>;

/// A server that has a tool, a prompt, a resource and a template of each of these names, and echoes who it is.
async fn server(version: ProtocolVersion, who: &'static str, names: &[&str]) -> (Client, Stage, Names) {
    let names: Names = Arc::new(Mutex::new(names.iter().map(|name| (*name).to_owned()).collect()));
    let listed = Arc::clone(&names);
    let answer = move |message: &Value| {
        let names = listed.lock().unwrap().clone();
        let list = |item: &dyn Fn(&str) -> Value| names.iter().map(|name| item(name)).collect::<Vec<_>>();
        let uri = |name: &str| format!("{who}:///{name}");
        let answer = match message["method"].as_str().unwrap() {
            "tools/list" => json!({ "tools": list(&|it| json!({ "name": it, "inputSchema": { "type": "object" } })) }),
            "prompts/list" => json!({ "prompts": list(&|it| json!({ "name": it })) }),
            "resources/list" => json!({ "resources": list(&|it| json!({ "name": it, "uri": uri(it) })) }),
            "resources/templates/list" if version == C => return vec![error(message, -32601, "no such method")],
            "resources/templates/list" => {
                json!({ "resourceTemplates": list(&|it| json!({ "name": it, "uriTemplate": uri(it) })) })
            }
            "tools/call" => {
                let said = format!("{who} {} {}", message["params"]["name"], message["params"]["arguments"]);
                json!({ "content": [{ "type": "text", "text": said }] })
            }
            "prompts/get" => json!({ "description": format!("{who} {}", message["params"]["name"]), "messages": [] }),
            "resources/read" => json!({ "contents": [{ "uri": message["params"]["uri"], "text": who }] }),
            _ => return Vec::new(),
        };
        vec![result(message, answer)]
    };
    let (client, stage) = Scripted::new(version).connect(Client::builder("grouped", "1"), answer).await;
    (client, stage, names)
}

fn tools(group: &ClientGroup) -> Vec<String> {
    group.tools().into_iter().map(|tool| tool.name).collect()
}

fn fault(outcome: mcp::Result<()>) -> GroupError {
    match outcome {
        Err(Error::Group(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn lists_are_merged_and_calls_find_their_server() {
    let group = ClientGroup::new();
    let (one, _, _) = server(C, "one", &["read", "list"]).await;
    let (two, _, _) = server(E, "two", &["read"]).await;
    soon(group.add("a", one)).await.unwrap();
    soon(group.add("b", two)).await.unwrap();
    assert_eq!(group.servers(), ["a", "b"]);
    assert_eq!(tools(&group), ["a_read", "a_list", "b_read"]);
    let found = group.tools().pop().unwrap();
    assert_eq!((found.name.as_str(), found.server.as_str(), found.item.name.as_str()), ("b_read", "b", "read"));
    assert_eq!(group.prompts().len(), 3);
    assert_eq!(
        group.resources().iter().map(|it| it.item.uri.as_str()).collect::<Vec<_>>(),
        ["one:///read", "one:///list", "two:///read"]
    );
    assert_eq!(group.resource_templates().len(), 1);

    let said = soon(group.call_tool("b_read", json!({ "n": 1 }))).await.unwrap();
    assert_eq!(said.joined_text(), r#"two "read" {"n":1}"#);
    let said = soon(group.call_tool("a_list", ())).await.unwrap();
    assert_eq!(said.joined_text(), r#"one "list" null"#);
    let prompt = soon(group.get_prompt("a_read", StringArguments::new())).await.unwrap();
    assert_eq!(prompt.description.as_deref(), Some(r#"one "read""#));
    let read = soon(group.read_resource("b_read")).await.unwrap();
    assert_eq!(read.contents[0].uri(), "two:///read");
    let unknown = soon(group.call_tool("read", ())).await.unwrap_err();
    assert_eq!(fault(Err(unknown)), GroupError::Unknown { kind: "tool", name: "read".into() });
    assert!(soon(group.read_resource("c_read")).await.unwrap_err().to_string().contains("c_read"));
}

#[tokio::test]
async fn two_things_of_one_name_are_an_error_and_nothing_changes() {
    let group = ClientGroup::new().naming(|_, item| item.to_owned());
    let (one, _, _) = server(E, "one", &["read", "list"]).await;
    let (two, _, names) = server(E, "two", &["write", "read"]).await;
    soon(group.add("a", one)).await.unwrap();
    let collision = GroupError::Collision { name: "read".into(), server: "a".into(), other: "b".into() };
    assert_eq!(fault(soon(group.add("b", two.clone())).await), collision);
    assert_eq!((tools(&group), group.servers()), (vec!["read".to_owned(), "list".to_owned()], vec!["a".to_owned()]));
    names.lock().unwrap().pop();
    soon(group.add("b", two.clone())).await.unwrap();
    assert_eq!(tools(&group), ["read", "list", "write"]);
    // Later it would have that name after all: it keeps what it had, and the others are told apart.
    names.lock().unwrap().push("read".into());
    let refreshed = soon(group.refresh(8)).await;
    assert!(refreshed[0].1.is_ok());
    let (server, outcome) = refreshed.into_iter().nth(1).unwrap();
    assert_eq!((server.as_str(), fault(outcome)), ("b", collision));
    assert_eq!(tools(&group), ["read", "list", "write"]);
    assert_eq!(fault(soon(group.add("a", two)).await), GroupError::Taken { server: "a".into() });
    // A hook that makes one name of two of one server.
    let lossy = ClientGroup::new().naming(|server, _| server.to_owned());
    let (three, _, _) = self::server(E, "three", &["a", "b"]).await;
    assert!(matches!(fault(soon(lossy.add("x", three)).await), GroupError::Collision { .. }));
    assert!(lossy.servers().is_empty());
}

/// Resources are told apart by their URIs; a server may give many of them one name.
#[tokio::test]
async fn resources_of_one_name_go_by_their_uris() {
    let answer = |message: &Value| match message["method"].as_str().unwrap() {
        "resources/list" => {
            let of = |uri: &str, name: &str| json!({ "uri": uri, "name": name });
            vec![result(
                message,
                json!({ "resources": [of("x:///1", "log"), of("x:///2", "log"), of("x:///3", "map")] }),
            )]
        }
        _ => vec![result(message, json!({}))],
    };
    let scripted = Scripted::new(E).capabilities(json!({ "resources": {} }));
    let (client, _) = scripted.connect(Client::builder("grouped", "1"), answer).await;
    let group = ClientGroup::new();
    soon(group.add("x", client)).await.unwrap();
    assert_eq!(group.resources().into_iter().map(|it| it.name).collect::<Vec<_>>(), ["x_x:///1", "x_x:///2", "x_map"]);
}

#[tokio::test]
async fn servers_come_and_go_while_others_stay() {
    let group = ClientGroup::new();
    let (one, stage, _) = server(E, "one", &["read"]).await;
    let (two, _, names) = server(E, "two", &["read"]).await;
    soon(group.add("a", one.clone())).await.unwrap();
    soon(group.add("b", two)).await.unwrap();
    // One breaks down: what it offered is gone, and calling it says why.
    stage.end();
    soon(one.closed()).await;
    assert_eq!(tools(&group), ["b_read"]);
    assert!(soon(group.call_tool("a_read", ())).await.unwrap_err().is_closed());
    assert!(soon(group.call_tool("b_read", ())).await.is_ok());
    let refreshed = soon(group.refresh(8)).await;
    assert!(refreshed[0].1.as_ref().unwrap_err().is_closed() && refreshed[1].1.is_ok());
    // It comes back under its name.
    let (again, _, _) = server(E, "again", &["read"]).await;
    soon(group.add("a", again)).await.unwrap();
    assert_eq!(soon(group.call_tool("a_read", ())).await.unwrap().joined_text(), r#"again "read" null"#);
    // Lists are as they were until they are asked for again.
    names.lock().unwrap().push("write".into());
    assert_eq!(tools(&group), ["a_read", "b_read"]);
    assert!(soon(group.refresh(1)).await.iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(tools(&group), ["a_read", "b_read", "b_write"]);
    // Taking one out gives its connection back.
    let taken = group.remove("b").unwrap();
    assert_eq!((tools(&group), group.servers()), (vec!["a_read".to_owned()], vec!["a".to_owned()]));
    assert!(group.remove("b").is_none() && group.client("b").is_none() && !taken.is_closed());
    assert!(group.clone().client("a").is_some());
    let last = group.client("a").unwrap();
    drop(group);
    assert!(!last.is_closed());
}

/// Side by side, but never more than allowed; those that fail say so.
#[tokio::test]
async fn servers_are_connected_side_by_side_within_a_bound() {
    for at_once in [0, 1, 3, 100] {
        let group = ClientGroup::new();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let servers = (0..10).map(|n| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            let connecting = async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let mut turns = 0;
                poll_fn(|cx| {
                    turns += 1;
                    cx.waker().wake_by_ref();
                    if turns > 20 - n { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                let client = server(E, "any", &["read"]).await.0;
                now.fetch_sub(1, Ordering::SeqCst);
                if n % 3 == 0 { Err(Error::DiedOfProbe) } else { Ok(client) }
            };
            (format!("s{n}"), connecting)
        });
        let outcomes = soon(group.connect(at_once, servers)).await;
        for (n, (name, outcome)) in outcomes.iter().enumerate() {
            assert_eq!((name.as_str(), outcome.is_err()), (format!("s{n}").as_str(), n % 3 == 0));
        }
        assert_eq!((outcomes.len(), group.tools().len()), (10, 6));
        assert!(most.load(Ordering::SeqCst) <= at_once.max(1), "{at_once}");
        assert!(at_once < 2 || most.load(Ordering::SeqCst) > 1, "{at_once}");
        until(|| now.load(Ordering::SeqCst) == 0).await;
    }
}
