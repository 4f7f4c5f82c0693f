//! What the specification does not have: methods and notifications of one's own, and interceptors around everything.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::{Arc, Mutex};

use common::{call, modern, request, serve, until};
use mcp::{Context, ErrorObject, HandlerError, Incoming, Interceptor, Message, Next, Outcome, Server, Session, Tool};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Sum {
    a: u32,
    b: u32,
}

fn server() -> Server {
    Server::new("s", "1")
        .method("acme/sum", async |sum: Sum| Ok::<_, HandlerError>(json!({ "sum": sum.a + sum.b })))
        .method("acme/version", async |ctx: Context| {
            Ok::<_, HandlerError>(json!({ "version": ctx.version().as_str() }))
        })
        .method("acme/nothing", async |_: Context, (): ()| Ok::<_, HandlerError>(json!({})))
        .method("acme/fail", async || std::fs::read_to_string("/no/such/file").map(|text| json!({ "text": text })))
        .method("acme/text", async || Ok::<_, HandlerError>("no object"))
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Args {
    a: u32,
}

/// Custom methods are served in both eras, and their faults are told like those of others.
#[tokio::test]
async fn custom_methods_are_served() {
    let mut raw = serve(&server());
    let answer = raw.ask(modern(1, "acme/sum", json!({ "a": 1, "b": 2 }))).await;
    assert_eq!(
        (&answer["result"]["sum"], &answer["result"]["resultType"]),
        (&json!(3), &json!("complete")),
        "{answer}"
    );
    // `_meta` is no parameter.
    let answer = raw.ask(modern(2, "acme/nothing", json!({}))).await;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    let answer = raw.ask(modern(3, "acme/nothing", json!({ "a": 1 }))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    raw.initialize("2025-06-18").await;
    for (method, params, result) in [
        ("acme/sum", json!({ "a": 1, "b": 2 }), json!({ "sum": 3 })),
        ("acme/version", json!({}), json!({ "version": "2025-06-18" })),
        ("acme/nothing", json!({}), json!({})),
    ] {
        assert_eq!(raw.ask(request(1, method, params)).await["result"], result);
    }
    for (method, params, code, text) in [
        ("acme/sum", json!({ "a": 1, "b": "x" }), -32602, "acme/sum: params.b: "),
        ("acme/fail", json!({}), -32603, "Error in acme/fail"),
        ("acme/text", json!({}), -32603, "cannot be encoded"),
        ("acme/none", json!({}), -32601, "acme/none"),
    ] {
        let error = raw.ask(request(1, method, params)).await["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(text), "{error}");
    }
}

/// Nobody gives a method of the protocol another meaning by mistake.
#[test]
fn methods_of_the_protocol_are_not_shadowed() {
    let done = async || Ok::<_, HandlerError>(json!({}));
    let server = Server::new("s", "1")
        .method("tools/call", done)
        .method("rpc.discover", done)
        .method("a\"b", done)
        .method("acme/x", done)
        .method("acme/x", done)
        .on_notification("notifications/cancelled", async |_, _: Value| ());
    let error = server.check().unwrap_err().to_string();
    for name in ["tools/call", "rpc.discover", "a\\\"b", "two handlers of \"acme/x\"", "notifications/cancelled"] {
        assert!(error.contains(name), "{error}");
    }
}

/// client/roots: a server that is told that the roots have changed asks for them.
#[tokio::test]
async fn notifications_find_their_handlers() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (roots, custom) = (Arc::clone(&heard), Arc::clone(&heard));
    let server = Server::new("s", "1")
        .on_roots_changed(move |session: Session| {
            let heard = Arc::clone(&roots);
            async move {
                let roots: Value = session.request("roots/list", &json!({})).await.unwrap();
                heard.lock().unwrap().push(roots["roots"][0]["uri"].clone());
            }
        })
        .on_notification("acme/told", move |session: Session, sum: Sum| {
            session.notify("acme/heard", &json!({ "sum": sum.a + sum.b })).unwrap();
            custom.lock().unwrap().push(json!(session.peer().map(|peer| peer.info.name.clone())));
            std::future::ready(())
        });
    let mut raw = serve(&server);
    let client = json!({ "name": "raw", "version": "1" });
    let capabilities = json!({ "roots": { "listChanged": true } });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": client });
    raw.ask(request(0, "initialize", params)).await;
    let tell = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
    raw.send(tell("notifications/initialized", json!({}))).await;
    raw.send(tell("notifications/roots/list_changed", json!({}))).await;
    let question = raw.heard().await;
    assert_eq!(question["method"], "roots/list", "{question}");
    let roots = json!({ "roots": [{ "uri": "file:///here" }] });
    raw.send(json!({ "jsonrpc": "2.0", "id": question["id"], "result": roots })).await;
    raw.send(tell("acme/told", json!({ "a": "not a number" }))).await;
    raw.send(tell("acme/told", json!({ "a": 2, "b": 3 }))).await;
    assert_eq!(raw.heard().await, tell("acme/heard", json!({ "sum": 5 })));
    until(|| heard.lock().unwrap().len() == 2).await;
    assert_eq!(*heard.lock().unwrap(), [json!("file:///here"), json!("raw")]);
}

/// Writes down what passes, and under which name.
struct Watch(&'static str, Arc<Mutex<Vec<String>>>);

impl Interceptor for Watch {
    async fn request(&self, request: Incoming, next: Next) -> Outcome {
        let entry = format!("{} {} {}", self.0, request.method(), request.version());
        self.1.lock().unwrap().push(entry);
        let outcome = next.run(request).await;
        let end = match (outcome.to_result(), outcome.as_error()) {
            (Some(result), _) => result["content"][0]["text"].to_string(),
            (None, Some(error)) => error.code.to_string(),
            (None, None) => "neither".to_owned(),
        };
        self.1.lock().unwrap().push(format!("{} {end}", self.0));
        outcome
    }

    fn notification(&self, message: Message) -> Option<Message> {
        self.1.lock().unwrap().push(format!("{} {}", self.0, message.method()));
        (message.method() != "acme/dropped").then_some(message)
    }
}

/// Refuses, answers and rewrites.
struct Meddle;

impl Interceptor for Meddle {
    async fn request(&self, mut request: Incoming, next: Next) -> Outcome {
        let Some(name) = request.message().name().map(str::to_owned) else { return next.run(request).await };
        match &*name {
            "refused" => Outcome::error(ErrorObject::new(-9, "not today")),
            "answered" => Outcome::result(&mcp::model::CallToolResult::text("cached")),
            "rewritten" => {
                request.set_params(&json!({ "name": "t", "arguments": { "a": 40 } })).unwrap();
                next.run(request).await
            }
            _ => {
                let outcome = next.run(request).await;
                let Some(mut result) = outcome.to_result() else { return outcome };
                result["content"][0]["text"] = json!("replaced");
                Outcome::result(&result)
            }
        }
    }
}

/// Interceptors stand around each other in the order in which they were added.
#[tokio::test]
async fn interceptors_observe_refuse_rewrite_and_answer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tool = |name: &str| {
        Tool::new(name, "", async |ctx: Context, args: Args| {
            let token: Option<Value> = ctx.meta().unwrap();
            format!("{} {}", args.a, token.is_some_and(|meta| meta.get("progressToken").is_some()))
        })
    };
    let server = Server::new("s", "1")
        .intercept(Watch("outer", Arc::clone(&seen)))
        .intercept(Meddle)
        .intercept(Watch("inner", Arc::clone(&seen)))
        .tool(tool("t"))
        .tool(tool("slow").blocking());
    let mut raw = serve(&server);
    raw.initialize("2025-11-25").await;
    raw.is_served().await;
    seen.lock().unwrap().clear();
    let mut passed = async |name: &str| {
        let mut request = call(name, name, json!({ "a": 2 }));
        request["params"]["_meta"] = json!({ "progressToken": 1 });
        let answer = raw.ask(request).await;
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        (answer["result"]["content"][0]["text"].clone(), answer["error"]["code"].clone(), seen.join(", "))
    };
    let begun = "outer tools/call 2025-11-25";
    assert_eq!(passed("refused").await, (Value::Null, json!(-9), format!("{begun}, outer -9")));
    assert_eq!(passed("answered").await, (json!("cached"), Value::Null, format!("{begun}, outer \"cached\"")));
    let through = |end: &str, all: &str| format!("{begun}, inner tools/call 2025-11-25, inner {end}, outer {all}");
    let rewritten = through("\"40 true\"", "\"40 true\"");
    assert_eq!(passed("rewritten").await, (json!("40 true"), Value::Null, rewritten));
    for name in ["t", "slow"] {
        let replaced = through("\"2 true\"", "\"replaced\"");
        assert_eq!(passed(name).await, (json!("replaced"), Value::Null, replaced));
    }
}

/// Notifications pass the interceptors before their handler, which may never hear of them.
#[tokio::test]
async fn interceptors_see_notifications() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (dropped, heard) = (Arc::clone(&seen), Arc::clone(&seen));
    let note = |seen: Arc<Mutex<Vec<String>>>, text: &'static str| {
        move |_: Session, _: Value| {
            seen.lock().unwrap().push(text.to_owned());
            std::future::ready(())
        }
    };
    let server = Server::new("s", "1")
        .intercept(Watch("w", Arc::clone(&seen)))
        .on_notification("acme/dropped", note(dropped, "must not be"))
        .on_notification("acme/heard", note(heard, "heard"));
    let mut raw = serve(&server);
    raw.initialize("2025-11-25").await;
    raw.is_served().await;
    seen.lock().unwrap().clear();
    for method in ["acme/dropped", "acme/heard"] {
        raw.send(json!({ "jsonrpc": "2.0", "method": method })).await;
    }
    until(|| seen.lock().unwrap().len() == 3).await;
    assert_eq!(*seen.lock().unwrap(), ["w acme/dropped", "w acme/heard", "heard"]);
}
