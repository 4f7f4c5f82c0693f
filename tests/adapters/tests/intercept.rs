//! What stands before handlers and callbacks: interceptors on both sides, and callbacks that fail.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::{Arc, Mutex};

use common::scripted::{Scripted, acknowledge, note, on, result};
use common::{call, modern, request, serve, soon, until};
use mcp::model::{ElicitParams, ElicitResult, SubscriptionFilter};
use mcp::{
    Change, Client, Context, ErrorObject, Incoming, Interceptor, Message, Next, Outcome, ProtocolVersion, Server, Tool,
};
use serde_json::{Value, json};

use ProtocolVersion::{V2025_03_26 as B, V2025_11_25 as D, V2026_07_28 as E};

type Notes = Arc<Mutex<Vec<String>>>;

fn take(notes: &Notes) -> Vec<String> {
    std::mem::take(&mut *notes.lock().unwrap())
}

/// Writes down all that passes, and lets it pass.
struct Watch(Notes);

impl Interceptor for Watch {
    async fn request(&self, request: Incoming, next: Next) -> Outcome {
        let who = request.peer().map_or_else(|| "nobody".to_owned(), |peer| peer.info.name.clone());
        let asked = format!("{} {} {who}", request.method(), request.version());
        let outcome = next.run(request).await;
        let end = match (outcome.to_result(), outcome.as_error()) {
            (Some(result), _) => result.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(","),
            (_, Some(error)) => error.code.to_string(),
            _ => "neither".to_owned(),
        };
        self.0.lock().unwrap().push(format!("{asked}: {end}"));
        outcome
    }

    fn notification(&self, message: Message) -> Option<Message> {
        self.0.lock().unwrap().push(message.method().to_owned());
        Some(message)
    }
}

/// An interceptor for requests.
struct Requests<F>(F);

impl<F: Fn(&mut Incoming) -> Option<Outcome> + Send + Sync + 'static> Interceptor for Requests<F> {
    async fn request(&self, mut request: Incoming, next: Next) -> Outcome {
        match self.0(&mut request) {
            Some(outcome) => outcome,
            None => next.run(request).await,
        }
    }
}

/// An interceptor for notifications.
struct Notifications<F>(F);

impl<F: Fn(Message) -> Option<Message> + Send + Sync + 'static> Interceptor for Notifications<F> {
    fn notification(&self, message: Message) -> Option<Message> {
        self.0(message)
    }
}

fn scan(message: Value) -> Message {
    Message::scan(message.to_string().as_bytes(), &mcp::Limits::default())
}

fn ping(id: i64) -> Value {
    request(id, "ping", json!({}))
}

/// Everything that the connection answers itself passes the interceptors, in both eras, with who asks and what is answered.
#[tokio::test]
async fn what_the_connection_answers_itself_is_seen() {
    let notes = Notes::default();
    let server = Server::new("s", "1").logging().intercept(Watch(Arc::clone(&notes)));
    let mut raw = serve(&server);
    raw.is_served().await;
    raw.ask(modern(1, "server/discover", json!({}))).await;
    raw.initialize("2025-06-18").await;
    raw.ask(request(2, "logging/setLevel", json!({ "level": "debug" }))).await;
    raw.is_served().await;
    assert_eq!(
        take(&notes),
        [
            "ping 2024-11-05 nobody: ",
            "server/discover 2026-07-28 raw: cacheScope,capabilities,supportedVersions,ttlMs",
            "initialize 2025-06-18 raw: capabilities,protocolVersion,serverInfo",
            "notifications/initialized",
            "logging/setLevel 2025-06-18 raw: ",
            "ping 2025-06-18 raw: ",
        ]
    );
    // What is refused before does not come by.
    raw.ask(request(3, "initialize", json!({}))).await;
    raw.ask(request(4, "tools/list", json!({}))).await;
    assert_eq!(take(&notes), Vec::<String>::new());
}

/// A client that is not welcome has no session; another handshake on the same stream may have one.
#[tokio::test]
async fn a_client_may_be_refused() {
    let server =
        Server::new("s", "1").tool(Tool::new("t", "", async || "x")).intercept(Requests(|it: &mut Incoming| {
            let is_wanted = it.peer().is_some_and(|peer| peer.info.version != "0");
            (it.method() == "initialize" && !is_wanted).then(|| Outcome::error(ErrorObject::new(-7, "update first")))
        }));
    let mut raw = serve(&server);
    let hello = |version: &str| json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "raw", "version": version } });
    // Sent at once: what follows is judged by what becomes of the handshake.
    let lines = format!(
        "{}\n{}\n{}\n{}\n",
        request(1, "initialize", hello("0")),
        call(2, "t", json!({})),
        request(3, "initialize", hello("1")),
        call(4, "t", json!({})),
    );
    raw.bytes(lines.as_bytes()).await;
    let mut answers = Vec::new();
    while answers.len() < 4 {
        answers.push(raw.heard().await);
    }
    answers.sort_by_key(|answer| answer["id"].as_i64());
    assert_eq!((&answers[0]["error"]["code"], &answers[0]["error"]["message"]), (&json!(-7), &json!("update first")));
    assert_eq!(answers[1]["error"]["code"], -32600, "there is no session");
    assert_eq!(answers[2]["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(answers[3]["result"]["content"][0]["text"], "x");

    let builder = common::legacy("old");
    let refused = mcp_tokio::pair_with(
        Server::new("s", "1")
            .intercept(Requests(|_: &mut Incoming| Some(Outcome::error(ErrorObject::new(-7, "closed today"))))),
        builder,
    );
    let error = soon(refused).await.unwrap_err();
    assert!(error.to_string().contains("closed today"), "{error}");
}

/// The answer of the handshake is the application's to change, for one client and not another.
#[tokio::test]
async fn the_answer_of_the_handshake_may_be_another() {
    struct Instructs;
    impl Interceptor for Instructs {
        async fn request(&self, request: Incoming, next: Next) -> Outcome {
            let is_handshake = request.method() == "initialize";
            // The verdict may take its time.
            tokio::task::yield_now().await;
            let outcome = next.run(request).await;
            match outcome.to_result() {
                Some(mut result) if is_handshake => {
                    result["instructions"] = json!("just for you");
                    Outcome::result(&result)
                }
                _ => outcome,
            }
        }
    }
    let server = Server::new("s", "1").intercept(Instructs);
    let client = soon(common::pair(server)).await.unwrap();
    assert_eq!(client.instructions().as_deref(), Some("just for you"));
    soon(client.ping().into_future()).await.unwrap();
}

/// A result that is replaced keeps its `_meta`, or gets one.
#[tokio::test]
async fn a_replaced_result_keeps_its_meta() {
    struct Mark;
    impl Interceptor for Mark {
        async fn request(&self, request: Incoming, next: Next) -> Outcome {
            let outcome = next.run(request).await;
            let Some(mut result) = outcome.to_result() else { return outcome };
            result["marked"] = json!(true);
            if result["_meta"].is_null() {
                result["_meta"] = json!({ "io.modelcontextprotocol/serverInfo": "forged", "own": 1 });
            }
            Outcome::result(&result)
        }
    }
    let server = Server::new("s", "1")
        .tool(Tool::new("t", "", async || "x"))
        .method("acme/with", async || Ok::<_, mcp::HandlerError>(json!({ "_meta": { "kept": "yes" }, "n": 1 })))
        .method("acme/wrong", async || Ok::<_, mcp::HandlerError>(json!({ "_meta": 7 })))
        .intercept(Mark);
    let mut raw = serve(&server);
    let answer = raw.ask(modern(1, "acme/with", json!({}))).await;
    assert_eq!((&answer["result"]["n"], &answer["result"]["marked"]), (&json!(1), &json!(true)), "{answer}");
    assert_eq!(answer["result"]["_meta"]["kept"], "yes", "{answer}");
    assert_eq!(answer["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "s");
    let answer = raw.ask(modern(2, "tools/call", json!({ "name": "t" }))).await;
    assert_eq!(answer["result"]["_meta"]["own"], 1, "{answer}");
    assert_eq!(answer["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "s", "the core's keys win");
    let answer = raw.ask(modern(3, "acme/wrong", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
}

/// Notifications are seen before the connection acts on them, and one that is kept back never happened; nothing passes in the
/// company of others.
#[tokio::test]
async fn a_notification_may_be_kept_back_or_rewritten() {
    let (heard, go) = (Notes::default(), Arc::new(tokio::sync::Semaphore::new(0)));
    let (hears, wait) = (Arc::clone(&heard), Arc::clone(&go));
    let keep = Notifications(|message: Message| match message.method() {
        "acme/rewritten" => Some(scan(note("acme/heard", json!({ "n": 2 })))),
        "acme/made-something-else" => Some(scan(ping(9))),
        "acme/panics" => panic!("as announced"),
        "acme/dropped" | "notifications/cancelled" => None,
        _ => Some(message),
    });
    let server = Server::new("s", "1")
        .tool(Tool::new("t", "", move || {
            let wait = Arc::clone(&wait);
            async move { wait.acquire().await.map(|_| "went on") }
        }))
        .intercept(keep)
        .on_notification("acme/heard", move |_, params: Value| {
            hears.lock().unwrap().push(params["n"].to_string());
            std::future::ready(())
        });
    let mut raw = serve(&server);
    raw.initialize(B.as_str()).await;
    raw.send(note("acme/heard", json!({ "n": 1 }))).await;
    for method in ["acme/rewritten", "acme/made-something-else", "acme/panics", "acme/dropped"] {
        raw.send(note(method, json!({ "n": "never" }))).await;
    }
    raw.send(note("acme/heard", json!({ "n": 3 }))).await;
    until(|| heard.lock().unwrap().len() == 3).await;
    assert_eq!(take(&heard), ["1", "2", "3"]);
    let batch = json!([
        note("acme/dropped", json!({ "n": "never" })),
        note("acme/heard", json!({ "n": 4 })),
        ping(5),
        note("notifications/cancelled", json!({ "requestId": 5 })),
        { "jsonrpc": "2.0", "id": 6, "x": "y".repeat(2000) },
    ]);
    raw.send(batch).await;
    // What is malformed is answered as ever.
    let mut answers = [raw.heard().await, raw.heard().await];
    answers.sort_by_key(|answer| answer["error"].is_object());
    assert_eq!((&answers[0]["id"], &answers[1]["error"]["code"]), (&json!(5), &json!(-32600)), "{answers:?}");
    raw.send(json!([note("acme/dropped", json!({}))])).await;
    raw.send(json!([])).await;
    assert_eq!(
        raw.heard().await["error"]["code"],
        -32600,
        "an empty batch is refused, and one that was emptied is gone"
    );
    until(|| heard.lock().unwrap().len() == 1).await;
    assert_eq!(take(&heard), ["4"]);
    raw.send(call(7, "t", json!({}))).await;
    raw.send(note("notifications/cancelled", json!({ "requestId": 7 }))).await;
    raw.is_served().await;
    go.add_permits(1);
    assert_eq!(raw.heard().await["result"]["content"][0]["text"], "went on");
}

/// A client whose callback for forms answers, and everything that its server asks and tells written down.
fn watched(notes: &Notes) -> mcp::ClientBuilder {
    Client::builder("watched", "1")
        .intercept(Watch(Arc::clone(notes)))
        .on_elicit(async |_: ElicitParams| ElicitResult::decline())
}

fn question() -> Value {
    json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } })
}

/// A client sees what its server asks: by requests, pings among them, and instead of answers.
#[tokio::test]
async fn a_client_sees_what_its_server_asks() {
    let notes = Notes::default();
    let (client, stage) = Scripted::new(D).connect(watched(&notes), |_| Vec::new()).await;
    stage.say(ping(1));
    stage.say(request(2, "elicitation/create", question()));
    stage.say(request(3, "roots/list", json!({})));
    until(|| stage.heard().len() == 3).await;
    let mut seen = take(&notes);
    seen.sort();
    // What was not declared was refused before.
    assert_eq!(seen, ["elicitation/create 2025-11-25 scripted: action", "ping 2025-11-25 scripted: "]);
    drop(client);

    let answer = |message: &Value| match message["params"].get("inputResponses") {
        None => {
            let question = json!({ "k": { "method": "elicitation/create", "params": question() } });
            vec![result(message, json!({ "resultType": "input_required", "inputRequests": question }))]
        }
        Some(answers) => {
            vec![result(message, json!({ "resultType": "complete", "content": [], "structuredContent": answers["k"] }))]
        }
    };
    let (client, _stage) = Scripted::new(E).connect(watched(&notes), answer).await;
    let called = soon(client.call_tool("t", ()).into_future()).await.unwrap();
    assert_eq!(called.structured_content, Some(json!({ "action": "decline" })));
    assert_eq!(take(&notes), ["elicitation/create 2026-07-28 scripted: action"]);
}

/// A client refuses, rewrites and answers before its callbacks hear of a question.
#[tokio::test]
async fn a_client_refuses_rewrites_and_answers() {
    let builder = Client::builder("c", "1")
        .on_elicit(async |asked: ElicitParams| {
            ElicitResult::accept(serde_json::Map::from_iter([("said".to_owned(), json!(asked.message))]))
        })
        .intercept(Requests(|it: &mut Incoming| {
            let params: Value = serde_json::from_str(it.message().params().as_str()).unwrap();
            match params["message"].as_str()? {
                "refused" => Some(Outcome::error(ErrorObject::new(-8, "not that"))),
                "answered" => Some(Outcome::result(&json!({ "action": "cancel", "_meta": { "by": "interceptor" } }))),
                "panics" => panic!("as announced"),
                _ => {
                    let mut other = question();
                    other["message"] = json!("rewritten");
                    it.set_params(&other).unwrap();
                    None
                }
            }
        }));
    let (_client, stage) = Scripted::new(D).connect(builder, |_| Vec::new()).await;
    let mut asked = 0;
    let mut ask = async |message: &str| {
        asked += 1;
        let mut params = question();
        params["message"] = json!(message);
        stage.say(request(asked, "elicitation/create", params));
        until(|| stage.heard().len() == usize::try_from(asked).unwrap()).await;
        stage.heard().pop().unwrap()
    };
    assert_eq!(ask("refused").await["error"]["code"], -8);
    let answered = ask("answered").await["result"].clone();
    assert_eq!(answered, json!({ "action": "cancel", "_meta": { "by": "interceptor" } }));
    assert_eq!(ask("else").await["result"]["content"]["said"], "rewritten");
    assert_eq!(ask("panics").await["error"]["code"], -32603);
}

/// A client sees all that its server tells, whoever it is for, before whoever it is for, and may keep it back.
#[tokio::test]
async fn a_client_sees_what_its_server_tells() {
    let (notes, heard) = (Notes::default(), Notes::default());
    let hears = Arc::clone(&heard);
    let builder = Client::builder("c", "1")
        .intercept(Watch(Arc::clone(&notes)))
        .intercept(Notifications(|message: Message| {
            let params: Value = serde_json::from_str(message.params().as_str()).unwrap();
            (params["progress"] != 2 && params["uri"] != "acme:secret").then_some(message)
        }))
        .on_notification(move |it| {
            hears.lock().unwrap().push(format!("{} {}", it.method(), it.message().params().as_str()));
            std::future::ready(())
        });
    let listening = Arc::new(Mutex::new(Value::Null));
    let listens = Arc::clone(&listening);
    let answer = move |message: &Value| match message["method"].as_str().unwrap() {
        "subscriptions/listen" => {
            *listens.lock().unwrap() = message.clone();
            let granted = json!({ "resourceSubscriptions": ["acme:open", "acme:secret"] });
            vec![acknowledge(message, granted)]
        }
        "tools/call" => {
            let token = &message["params"]["_meta"]["progressToken"];
            let progress = |n: u32| note("notifications/progress", json!({ "progressToken": token, "progress": n }));
            vec![progress(1), progress(2), progress(3), result(message, json!({ "resultType": "complete" }))]
        }
        _ => Vec::new(),
    };
    let (client, stage) = Scripted::new(E).connect(builder, answer).await;
    let wanted = vec!["acme:open".to_owned(), "acme:secret".to_owned()];
    let filter = SubscriptionFilter::new().with_resource_subscriptions(wanted);
    let mut changes = soon(client.listen(filter).into_future()).await.unwrap();
    let listen = listening.lock().unwrap().clone();
    for uri in ["acme:secret", "acme:open"] {
        stage.say(on(&listen, "notifications/resources/updated", json!({ "uri": uri })));
    }
    assert_eq!(soon(changes.next()).await, Some(Change::Resource("acme:open".into())));
    let progress = Arc::new(Mutex::new(Vec::new()));
    let reports = Arc::clone(&progress);
    let call = client.call_tool("t", ()).on_progress(move |it| reports.lock().unwrap().push(it.progress));
    soon(call.into_future()).await.unwrap();
    assert_eq!(*progress.lock().unwrap(), [1.0, 3.0]);
    let told = "notifications/progress";
    assert_eq!(
        take(&notes),
        [
            "notifications/subscriptions/acknowledged",
            "notifications/resources/updated",
            "notifications/resources/updated",
            told,
            told,
            told,
        ]
    );
    // Progress reaches the general callback as well as its call's.
    until(|| heard.lock().unwrap().len() == 2).await;
    let general = take(&heard);
    assert!(general[0].starts_with(told) && general[0].contains("\"progress\":1"), "{general:?}");
    assert!(general[1].starts_with(told) && general[1].contains("\"progress\":3"), "{general:?}");
}

/// A callback for progress that panics harms nobody: the call goes on, and so does its progress.
#[tokio::test]
async fn a_call_goes_on_when_its_progress_callback_panics() {
    let tool = Tool::new("count", "", async |ctx: Context| {
        for n in 1..=3 {
            ctx.progress(n, 3)?;
        }
        Ok::<_, mcp::Error>("counted")
    });
    for version in [D, E] {
        let log = common::log::Log::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        let server = Server::new("s", "1").tool(tool.clone());
        let client = mcp_tokio::pair_with(server, Client::builder("c", "1").versions([version]));
        let client = soon(client).await.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = Arc::clone(&seen);
        let call = client.call_tool("count", ()).on_progress(move |progress| {
            sees.lock().unwrap().push(progress.progress);
            assert!(progress.progress > 2.0, "as announced");
        });
        let result = soon(call.into_future()).await.unwrap();
        assert_eq!(result.joined_text(), "counted");
        assert_eq!(*seen.lock().unwrap(), [1.0, 2.0, 3.0]);
        let lines = log.take();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in lines {
            assert!(
                line.contains("tools/call count") && line.contains(" id=") && line.contains("as announced"),
                "{line}"
            );
        }
    }
}

/// Nor does any other callback that only hears: what it panics about is logged by the notification's method.
#[tokio::test]
async fn callbacks_that_panic_harm_no_others() {
    let log = common::log::Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let heard = Notes::default();
    let hears = Arc::clone(&heard);
    let builder = Client::builder("c", "1")
        .on_log(|entry| assert_eq!(entry.data, "harmless", "as announced"))
        .on_tools_changed(|_| -> std::future::Ready<()> { panic!("as announced") })
        .on_prompts_changed(async |_| panic!("as announced"))
        .on_notification(move |it| {
            hears.lock().unwrap().push(it.method().to_owned());
            std::future::ready(())
        });
    let (client, stage) = Scripted::new(D).connect(builder, |message| vec![result(message, json!({}))]).await;
    for data in ["harmful", "harmless"] {
        stage.say(note("notifications/message", json!({ "level": "info", "data": data })));
    }
    stage.say(note("notifications/tools/list_changed", json!({})));
    stage.say(note("notifications/prompts/list_changed", json!({})));
    stage.say(note("acme/last", json!({})));
    until(|| heard.lock().unwrap().len() == 1).await;
    soon(client.ping().into_future()).await.unwrap();
    let lines = log.take();
    let methods = ["notifications/tools/list_changed", "notifications/message", "notifications/prompts/list_changed"];
    assert_eq!(lines.len(), 3, "{lines:?}");
    for method in methods {
        assert!(lines.iter().any(|line| line.contains(&format!("method=\"{method}\""))), "{method}: {lines:?}");
    }
}

/// Changes that nobody has looked at yet are one: a slow callback hears of each kind once more, not of every notification.
#[tokio::test]
async fn changes_that_wait_for_a_callback_are_one() {
    let (heard, go) = (Notes::default(), Arc::new(tokio::sync::Semaphore::new(0)));
    let (tools, resources, last, wait) = (Arc::clone(&heard), Arc::clone(&heard), Arc::clone(&heard), Arc::clone(&go));
    let builder = Client::builder("c", "1")
        .on_tools_changed(move |_| {
            let (heard, wait) = (Arc::clone(&tools), Arc::clone(&wait));
            async move {
                heard.lock().unwrap().push("tools".to_owned());
                wait.acquire().await.unwrap().forget();
            }
        })
        .on_resource_updated(move |_, uri| {
            let heard = Arc::clone(&resources);
            async move { heard.lock().unwrap().push(uri) }
        })
        .on_notification(move |it| {
            let heard = Arc::clone(&last);
            async move { heard.lock().unwrap().push(it.method().to_owned()) }
        });
    let (_client, stage) = Scripted::new(D).connect(builder, |_| Vec::new()).await;
    let changed = || note("notifications/tools/list_changed", json!({}));
    stage.say(changed());
    until(|| heard.lock().unwrap().len() == 1).await;
    for _ in 0..5000 {
        stage.say(changed());
        for uri in ["acme:a", "acme:b"] {
            stage.say(note("notifications/resources/updated", json!({ "uri": uri })));
        }
    }
    stage.say(note("acme/last", json!({})));
    let before = stage.heard().len();
    stage.say(ping(1));
    until(|| stage.heard().len() > before).await;
    go.add_permits(2);
    until(|| heard.lock().unwrap().iter().any(|it| it == "acme/last")).await;
    assert_eq!(take(&heard), ["tools", "tools", "acme:a", "acme:b", "acme/last"]);
}
