//! What a handler and its caller say to each other during a call: progress, logs, questions to the person and the client.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{Raw, call, soon, until};
use mcp::model::{
    ContentBlock, CreateMessageParams, CreateMessageResult, ElicitParams, ElicitResult, ListRootsResult, LoggingLevel,
    Progress, Role, SamplingMessage,
};
use mcp::{Client, ClientBuilder, Context, Form, Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

#[derive(Deserialize, JsonSchema)]
struct Count {
    to: u32,
}

fn counting() -> Server {
    let count = Tool::new("count", "", async |ctx: Context, args: Count| {
        for n in 1..=args.to {
            ctx.progress(n, args.to)?;
            tokio::task::yield_now().await;
        }
        Ok::<_, mcp::Error>("counted")
    });
    let steps = Tool::new("steps", "", async |ctx: Context| {
        let mut steps = ctx.steps(3);
        steps.advance(1, "one")?;
        steps.advance(0.5, "half of two")?;
        steps.advance(1.5, "three")?;
        Ok::<_, mcp::Error>(steps.done())
    });
    let falling = Tool::new("falling", "", async |ctx: Context| {
        ctx.progress(2, 3).expect("it rises");
        [ctx.progress(2, 3).is_err(), ctx.progress(1, 3).is_err(), ctx.progress(f64::NAN, 3).is_err()].contains(&false)
    });
    Server::new("counting", "1").tool(count).tool(steps).tool(falling)
}

/// Specification: basic/utilities/progress: it rises, and stops before the result.
async fn progress() {
    let client = soon(common::pair(counting())).await.expect("a pair");
    let mut calls = JoinSet::new();
    for to in 1..20u32 {
        let client = client.clone();
        calls.spawn(async move {
            let (heard, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
            let (notes, over) = (Arc::clone(&heard), Arc::clone(&ended));
            let call = client.call_tool("count", json!({ "to": to })).on_progress(move |progress| {
                assert!(!over.load(Ordering::SeqCst), "progress after the result");
                notes.lock().expect("no panic").push(progress);
            });
            let result = call.await.expect("an answer");
            ended.store(true, Ordering::SeqCst);
            assert_eq!(result.joined_text(), "counted");
            let expected = (1..=to).map(|n| Progress::new(n).with_total(to)).collect::<Vec<_>>();
            assert_eq!(*heard.lock().expect("no panic"), expected);
        });
    }
    while let Some(done) = soon(calls.join_next()).await {
        done.expect("no panic");
    }
}

#[tokio::test]
async fn each_call_hears_its_own_progress_in_order_and_before_its_result() {
    progress().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_call_hears_its_own_progress_also_on_many_threads() {
    progress().await;
}

#[tokio::test]
async fn steps_add_up_and_carry_their_messages() {
    let client = soon(common::pair(counting())).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let call = client.call_tool("steps", ()).on_progress(move |progress| notes.lock().unwrap().push(progress));
    let done: f64 = soon(call.into_future()).await.unwrap().structured().unwrap();
    assert_eq!(done, 3.0);
    let of = |at: f64, message: &str| Progress::new(at).with_total(3).with_message(message);
    assert_eq!(*heard.lock().unwrap(), [of(1.0, "one"), of(1.5, "half of two"), of(3.0, "three")]);
}

/// Specification: basic/utilities/progress: the value MUST increase.
#[tokio::test]
async fn progress_that_does_not_rise_is_the_handlers_error_and_not_sent() {
    let client = soon(common::pair(counting())).await.unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let call = client.call_tool("falling", ()).on_progress(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert!(!soon(call.into_future()).await.unwrap().structured::<bool>().unwrap());
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}

fn serve_raw(server: Server) -> Raw {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server));
    Raw::memory(there)
}

/// Specification: basic/utilities/progress: only for requests with a token, and with that token.
#[tokio::test]
async fn progress_is_sent_to_who_wants_it_with_the_token_as_it_was() {
    let mut raw = serve_raw(counting());
    raw.initialize("2025-11-25").await;
    let answer = raw.ask(call(1, "count", json!({ "to": 5 }))).await;
    assert_eq!(answer["result"]["content"][0]["text"], "counted");
    for token in [json!("a token"), json!(0), json!(-7)] {
        let mut request = call(2, "count", json!({ "to": 3 }));
        request["params"]["_meta"] = json!({ "progressToken": token });
        raw.send(request).await;
        for n in 1..=3 {
            let note = raw.heard().await;
            assert_eq!(note["method"], "notifications/progress", "{note}");
            assert_eq!(
                (&note["params"]["progressToken"], note["params"]["progress"].as_f64()),
                (&token, Some(n.into()))
            );
        }
        assert_eq!(raw.heard().await["id"], 2);
    }
}

fn logging() -> Server {
    let log = Tool::new("log", "", async |ctx: Context| {
        for level in LEVELS {
            ctx.log(level, json!({ "level": level.as_str() }))?;
        }
        Ok::<_, mcp::Error>("logged")
    });
    Server::new("logging", "1").logging().tool(log)
}

const LEVELS: [LoggingLevel; 8] = [
    LoggingLevel::Debug,
    LoggingLevel::Info,
    LoggingLevel::Notice,
    LoggingLevel::Warning,
    LoggingLevel::Error,
    LoggingLevel::Critical,
    LoggingLevel::Alert,
    LoggingLevel::Emergency,
];

/// Specification: server/utilities/logging: from the chosen severity on, in their order.
#[tokio::test]
async fn log_messages_come_from_the_chosen_level_on_and_in_order() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let client = common::legacy("listener").on_log(move |entry| notes.lock().unwrap().push(entry.level));
    let client = soon(mcp_tokio::pair_with(logging(), client)).await.unwrap();
    for (at, level) in LEVELS.into_iter().enumerate() {
        soon(client.set_log_level(level).into_future()).await.unwrap();
        assert_eq!(soon(client.call_tool("log", ()).into_future()).await.unwrap().joined_text(), "logged");
        until(|| heard.lock().unwrap().len() >= LEVELS.len() - at).await;
        assert_eq!(std::mem::take(&mut *heard.lock().unwrap()), LEVELS[at..]);
    }
}

/// Specification: server/utilities/logging: an invalid level is −32602.
#[tokio::test]
async fn an_unknown_level_is_refused() {
    let client = soon(common::pair(logging())).await.unwrap();
    let asked = client.request::<Value>("logging/setLevel", &json!({ "level": "shouting" }));
    let error = soon(asked.into_future()).await.unwrap_err();
    assert_eq!(error.rpc().unwrap().code.0, -32602, "{error}");
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

fn asking() -> Server {
    let greet = Tool::new("greet", "", async |ctx: Context| {
        let answer = ctx.elicit("name", Form::of::<Name>("Who are you?")).await?;
        Ok::<_, mcp::Error>(match mcp::accepted::<Name>(&answer)? {
            Some(Name { name }) => format!("Hello, {name}!"),
            None => answer.action.to_string(),
        })
    });
    let can = Tool::new("can", "", async |ctx: Context| ctx.can_elicit());
    let sample = Tool::new("sample", "", async |ctx: Context| {
        let asked = vec![SamplingMessage::user(vec![ContentBlock::text("What?")])];
        let params = CreateMessageParams::new(asked, 10);
        let said: CreateMessageResult = ctx.ask("s", "sampling/createMessage", &params).await?;
        Ok::<_, mcp::Error>(format!("{}: {}", said.model, said.content.0[0].as_text().unwrap_or("?")))
    });
    let roots = Tool::new("roots", "", async |ctx: Context| {
        let listed: ListRootsResult = ctx.ask("r", "roots/list", &json!({})).await?;
        Ok::<_, mcp::Error>(listed.roots.iter().map(|root| root.uri.clone()).collect::<Vec<_>>().join(" "))
    });
    Server::new("asking", "1").tool(greet).tool(can).tool(sample).tool(roots)
}

async fn text(client: &Client, tool: &str) -> String {
    soon(client.call_tool(tool, ()).into_future()).await.expect(tool).joined_text()
}

fn answering(answer: impl Fn() -> ElicitResult + Send + Sync + 'static) -> ClientBuilder {
    let answer = Arc::new(answer);
    common::legacy("asked").on_elicit(move |question: ElicitParams| {
        let answer = Arc::clone(&answer);
        async move {
            assert_eq!(question.message, "Who are you?");
            assert_eq!(question.requested_schema.expect("a form")["properties"]["name"]["type"], "string");
            tokio::task::yield_now().await;
            answer()
        }
    })
}

fn ada() -> ElicitResult {
    ElicitResult::accept(Map::from_iter([("name".to_owned(), json!("Ada"))]))
}

/// Specification: client/elicitation (response actions).
#[tokio::test]
async fn a_person_accepts_declines_or_cancels() {
    for (answer, said) in [
        (ada as fn() -> ElicitResult, "Hello, Ada!"),
        (ElicitResult::decline, "decline"),
        (ElicitResult::cancel, "cancel"),
    ] {
        let client = soon(mcp_tokio::pair_with(asking(), answering(answer))).await.unwrap();
        assert_eq!(text(&client, "can").await, "true");
        assert_eq!(text(&client, "greet").await, said);
    }
}

/// Specification: client/elicitation (capabilities): not sent to a client that did not declare it.
#[tokio::test]
async fn a_client_that_cannot_be_asked_is_an_error_of_the_tool() {
    let client = soon(common::pair(asking())).await.unwrap();
    assert_eq!(text(&client, "can").await, "false");
    for (tool, method) in
        [("greet", "elicitation/create"), ("sample", "sampling/createMessage"), ("roots", "roots/list")]
    {
        let result = soon(client.call_tool(tool, ()).into_future()).await.unwrap();
        assert!(result.is_error(), "{tool}");
        assert!(result.joined_text().contains(method), "{}", result.joined_text());
    }
    assert_eq!(text(&client, "can").await, "false");
}

/// Specification: client/sampling, client/roots.
#[tokio::test]
async fn models_and_roots_are_asked_for_and_come_back() {
    let client = common::legacy("asked").root("file:///a", "a").root("file:///b%20c", "b c").on_sample(
        async |params: CreateMessageParams| {
            assert_eq!(params.max_tokens, 10);
            Ok(CreateMessageResult::new(Role::Assistant, vec![ContentBlock::text("That.")], "model-1"))
        },
    );
    let client = soon(mcp_tokio::pair_with(asking(), client)).await.unwrap();
    assert_eq!(text(&client, "sample").await, "model-1: That.");
    assert_eq!(text(&client, "roots").await, "file:///a file:///b%20c");
    let result = soon(client.call_tool("greet", ()).into_future()).await.unwrap();
    assert!(result.is_error(), "what was not declared stays out of reach");
}

#[tokio::test]
async fn a_callback_that_fails_or_panics_is_an_error_of_the_tool_and_no_more() {
    let client = common::legacy("asked")
        .on_elicit(async |_| -> ElicitResult { panic!("secret of the client") })
        .on_sample(async |_| Err(mcp::ErrorObject::new(-1, "User rejected sampling request")))
        .on_log(|_| panic!("in the log"))
        .on_notification(async |_| panic!("in a notification"));
    let say = Tool::new("say", "", async |ctx: Context| {
        ctx.log(LoggingLevel::Error, "x")?;
        ctx.notify("notifications/x", &json!({}), None)
    });
    let client = soon(mcp_tokio::pair_with(asking().logging().tool(say), client)).await.unwrap();
    for _ in 0..2 {
        let result = soon(client.call_tool("greet", ()).into_future()).await.unwrap();
        assert!(result.is_error() && result.joined_text().contains("-32603"), "{}", result.joined_text());
        assert!(!result.joined_text().contains("secret"), "{}", result.joined_text());
        let result = soon(client.call_tool("sample", ()).into_future()).await.unwrap();
        assert!(result.joined_text().contains("User rejected"), "{}", result.joined_text());
        let result = soon(client.call_tool("say", ()).into_future()).await.unwrap();
        assert!(!result.is_error(), "{}", result.joined_text());
    }
    assert_eq!(text(&client, "can").await, "true");
}

#[tokio::test]
async fn notifications_are_handled_in_order_one_after_the_other() {
    let tell = Tool::new("tell", "", async |ctx: Context| {
        for n in 0..100 {
            ctx.notify("notifications/number", &json!({ "n": n }), None)?;
        }
        Ok::<_, mcp::Error>(())
    });
    let (told, mut numbers) = tokio::sync::mpsc::unbounded_channel();
    let client = common::legacy("hears").on_notification(move |notification| {
        let told = told.clone();
        async move {
            let number: Value = notification.params().expect("parameters");
            // Were they handled beside each other, this would mix them.
            for _ in 0..number["n"].as_u64().expect("a number") % 7 {
                tokio::task::yield_now().await;
            }
            told.send((notification.method().to_owned(), number["n"].clone())).expect("the test listens");
        }
    });
    let client = soon(mcp_tokio::pair_with(Server::new("tells", "1").tool(tell), client)).await.unwrap();
    soon(client.call_tool("tell", ()).into_future()).await.unwrap();
    for n in 0..100 {
        assert_eq!(soon(numbers.recv()).await.unwrap(), ("notifications/number".to_owned(), json!(n)));
    }
}

/// As many tools as a connection has places all wait for a person: nothing is stuck.
async fn everybody_waits() {
    const ALL: usize = 256;
    let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    struct Left(Arc<AtomicUsize>);
    impl Drop for Left {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (count, gate) = (Arc::clone(&asked), Arc::clone(&answer));
    let left = Arc::new(AtomicUsize::new(0));
    let leaving = Arc::clone(&left);
    let client = common::legacy("asked").on_elicit(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let (gate, left) = (Arc::clone(&gate), Left(Arc::clone(&leaving)));
        async move {
            let _left = left;
            gate.acquire().await.expect("open").forget();
            ada()
        }
    });
    let client = soon(mcp_tokio::pair_with(asking(), client)).await.expect("a pair");
    let mut calls = JoinSet::new();
    let mut given_up = Vec::new();
    for n in 0..ALL {
        let client = client.clone();
        let call = calls.spawn(async move { client.call_tool("greet", ()).await });
        given_up.extend((n % 64 == 0).then_some(call));
    }
    until(|| asked.load(Ordering::SeqCst) == ALL).await;
    soon(client.ping().into_future()).await.expect("a ping is served");
    // All places are taken: one call more is refused at once.
    let refused = soon(client.call_tool("can", ()).into_future()).await.expect_err("no place is left");
    let refused = refused.rpc().expect("an answer").clone();
    assert_eq!((refused.code.0, refused.data), (-32603, Some(json!({ "retryable": true }))));
    // Giving some up gives up what was asked within them.
    let others = ALL - given_up.len();
    given_up.iter().for_each(tokio::task::AbortHandle::abort);
    until(|| left.load(Ordering::SeqCst) == ALL - others).await;
    soon(client.ping().into_future()).await.expect("a ping is served");
    answer.add_permits(others);
    let mut answered = 0;
    while let Some(done) = soon(calls.join_next()).await {
        match done {
            Ok(done) => assert_eq!(done.expect("an answer").joined_text(), "Hello, Ada!"),
            Err(given_up) => assert!(given_up.is_cancelled(), "no panic"),
        }
        answered += 1;
    }
    assert_eq!((answered, asked.load(Ordering::SeqCst)), (ALL, ALL));
    assert_eq!(text(&client, "can").await, "true");
}

#[tokio::test]
async fn tools_that_all_wait_for_a_person_are_all_answered() {
    everybody_waits().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tools_that_all_wait_for_a_person_are_all_answered_on_many_threads() {
    everybody_waits().await;
}

/// A callback of the client calls the server, whose tool asks the client, with places for few.
async fn nested() {
    let slot = Arc::new(Mutex::new(None::<Client>));
    let own = Arc::clone(&slot);
    let client = common::legacy("nested").limits(|limits| limits.inbound_requests = 8).on_elicit(move |_| {
        let client = own.lock().expect("no panic").clone().expect("connected");
        async move {
            // A call within the answer to a question within a call.
            let roots = client.call_tool("roots", ()).await.expect("an answer").joined_text();
            ElicitResult::accept(Map::from_iter([("name".to_owned(), json!(roots))]))
        }
    });
    let server = asking().limits(|limits| {
        limits.inbound_requests = 8;
        limits.output = 1024;
    });
    let client = soon(mcp_tokio::pair_with(server, client.root("file:///a", "a"))).await.expect("a pair");
    *slot.lock().expect("no panic") = Some(client.clone());
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let client = client.clone();
        calls.spawn(async move { client.call_tool("greet", ()).await });
    }
    while let Some(done) = soon(calls.join_next()).await {
        assert_eq!(done.expect("no panic").expect("an answer").joined_text(), "Hello, file:///a!");
    }
    slot.lock().expect("no panic").take();
}

#[tokio::test]
async fn calls_within_questions_within_calls_end() {
    nested().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_within_questions_within_calls_end_on_many_threads() {
    nested().await;
}
