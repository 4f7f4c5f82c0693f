//! Rounds of a request as a client sees them that does not mean well, or knows what it does: what goes over the wire.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Raw;
use futures_lite::future::block_on;
use mcp::model::{Capability, CreateMessageParams, ElicitResult, SamplingMessage};
use mcp::{Context, Error, Form, Server, Tool, ToolError};
use serde_json::{Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

/// Any arguments.
type Anything = serde_json::Map<String, Value>;

async fn ask(ctx: &Context, key: &str) -> mcp::Result<String> {
    let answer = ctx.elicit(key, Form::of::<Name>(key)).await?;
    Ok(mcp::accepted::<Name>(&answer)?.map_or_else(|| "nobody".to_owned(), |form| form.name))
}

/// Asks for `a`, then `b`, then `c`, and does something once in between.
fn asking(name: &str) -> (Tool, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    let tool = Tool::new(name, "", move |ctx: Context, _: Anything| {
        let count = Arc::clone(&counts);
        async move {
            let a = ask(&ctx, "a").await?;
            let n = ctx.once("secret", async { format!("kept {}", count.fetch_add(1, Ordering::SeqCst) + 1) }).await?;
            Ok::<_, Error>(format!("{a} {} {} {n}", ask(&ctx, "b").await?, ask(&ctx, "c").await?))
        }
    });
    (tool, count)
}

fn server() -> Server {
    Server::new("s", "1").tool(asking("t").0).tool(asking("u").0)
}

fn serve(server: Server) -> Raw {
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = here.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server));
    Raw::memory(there)
}

/// Everything that a client can offer.
fn capabilities() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": { "tools": {} }, "roots": {} })
}

/// A call of a tool in the stateless era, with more parameters.
fn call(tool: &str, arguments: Value, more: Value) -> Value {
    let mut params = json!({
        "name": tool,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": capabilities(),
        },
    });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let id = NEXT.fetch_add(1, Ordering::SeqCst);
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

fn named(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

/// The questions and the state of a result that asks.
fn asked(answer: &Value) -> (Vec<&str>, &str) {
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    let keys = result["inputRequests"].as_object().unwrap().keys().map(String::as_str).collect();
    (keys, result["requestState"].as_str().unwrap())
}

fn text(answer: &Value) -> &str {
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

fn refused(answer: &Value) -> &str {
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    answer["error"]["message"].as_str().unwrap()
}

/// The first two rounds of `t`: the state after the second holds an answer and a kept result.
async fn two_rounds(raw: &mut Raw) -> (String, String) {
    let first = raw.ask(call("t", json!({}), json!({}))).await;
    let (keys, one) = asked(&first);
    assert_eq!(keys, ["a"]);
    let more = json!({ "requestState": one, "inputResponses": { "a": named("Ada") } });
    let second = raw.ask(call("t", json!({}), more)).await;
    let (keys, two) = asked(&second);
    assert_eq!(keys, ["b"]);
    (one.to_owned(), two.to_owned())
}

#[cfg(feature = "seal")]
mod sealed {
    use std::time::Duration;

    use mcp::seal::{Key, KeyRing};

    use super::*;

    /// basic/patterns (2026-07-28), multi round-trip requests: a state that cannot be verified is refused, and its holder does
    /// not learn why.
    #[tokio::test]
    async fn a_state_is_good_for_its_own_request_only() {
        let mut raw = serve(server());
        let (one, two) = two_rounds(&mut raw).await;
        assert!(!two.contains("Ada") && !two.contains("kept"), "{two}");
        let retry = |tool, arguments, state: &str| {
            call(tool, arguments, json!({ "requestState": state, "inputResponses": { "b": named("Bob") } }))
        };
        let mut flipped = two.clone().into_bytes();
        flipped[60] = if flipped[60] == b'A' { b'B' } else { b'A' };
        let mut texts = Vec::new();
        for attack in [
            retry("u", json!({}), &two),
            retry("t", json!({ "x": 1 }), &two),
            retry("t", json!({}), &two[..two.len() - 1]),
            retry("t", json!({}), &format!("{one}{two}")),
            retry("t", json!({}), &String::from_utf8(flipped).unwrap()),
            retry("t", json!({}), ""),
            retry("t", json!({}), r#"{"asked":["b"],"answers":{},"kept":{"secret":"\"mine\""}}"#),
            retry("t", json!({}), &"A".repeat(300 * 1024)),
            retry("t", json!({}), &"A".repeat(200 * 1024)),
        ] {
            let answer = raw.ask(attack).await;
            texts.push(refused(&answer).to_owned());
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        // It is still good for its own, written in another way.
        let answer = raw.ask(retry("t", json!(null), &two)).await;
        assert_eq!(asked(&answer).0, ["c"]);
    }

    #[tokio::test]
    async fn nodes_that_share_keys_take_up_each_others_requests() {
        let key = |secret| Key::new([secret; 32]);
        let (mut old, mut both, mut new) = (
            serve(server().seal(KeyRing::new(key(1)))),
            serve(server().seal(KeyRing::new(key(2)).opening(key(1)))),
            serve(server().seal(KeyRing::new(key(2)))),
        );
        let (_, state) = two_rounds(&mut old).await;
        let more = json!({ "requestState": state, "inputResponses": { "b": named("Bob") } });
        let answer = both.ask(call("t", json!({}), more.clone())).await;
        let (_, state) = asked(&answer);
        let last = json!({ "requestState": state, "inputResponses": { "c": named("Cyd") } });
        refused(&new.ask(call("t", json!({}), more)).await);
        let answer = new.ask(call("t", json!({}), last)).await;
        assert_eq!(text(&answer), "Ada Bob Cyd kept 1", "done on the first node");
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_expires() {
        let mut raw = serve(server().state_ttl(Duration::from_secs(60)));
        let (_, state) = two_rounds(&mut raw).await;
        let retry = || call("t", json!({}), json!({ "requestState": state, "inputResponses": { "b": named("Bob") } }));
        tokio::time::advance(Duration::from_secs(60)).await;
        let answer = raw.ask(retry()).await;
        assert_eq!(asked(&answer).0, ["c"], "each round has its own time");
        tokio::time::advance(Duration::from_millis(1)).await;
        refused(&raw.ask(retry()).await);
    }
}

/// What was answered once stays, and what was not asked is not looked at.
#[tokio::test]
async fn answers_count_for_what_was_asked() {
    let mut raw = serve(server());
    let (_, state) = two_rounds(&mut raw).await;
    let responses = json!({ "a": named("Eve"), "b": named("Bob"), "c": named("Eve"), "d": named("Eve"), "secret": 1 });
    let answer = raw.ask(call("t", json!({}), json!({ "requestState": state, "inputResponses": responses }))).await;
    let (keys, state) = asked(&answer);
    assert_eq!(keys, ["c"]);
    let last = json!({ "requestState": state, "inputResponses": { "c": named("Cyd") } });
    for _ in 0..2 {
        // Sent again, the last round gives the same again.
        let answer = raw.ask(call("t", json!({}), last.clone())).await;
        assert_eq!(text(&answer), "Ada Bob Cyd kept 1");
    }
}

/// basic/patterns (2026-07-28), multi round-trip requests: single use is the server's own affair. What was done when a state
/// was given out is not done again for it; what was not yet is done for each client that goes on from there.
#[tokio::test]
async fn a_state_that_is_sent_twice_goes_on_from_there_twice() {
    let (tool, count) = asking("t");
    let mut raw = serve(Server::new("s", "1").tool(tool));
    let (one, two) = two_rounds(&mut raw).await;
    let again = |state: &str, key: &str| {
        call("t", json!({}), json!({ "requestState": state, "inputResponses": { key: named("Eve") } }))
    };
    for _ in 0..3 {
        assert_eq!(asked(&raw.ask(again(&two, "b")).await).0, ["c"]);
    }
    assert_eq!(count.load(Ordering::SeqCst), 1, "it was done before");
    assert_eq!(asked(&raw.ask(again(&one, "a")).await).0, ["b"]);
    assert_eq!(count.load(Ordering::SeqCst), 2, "it was not done then");
}

/// basic/patterns (2026-07-28), multi round-trip requests: what is still needed SHOULD be asked again.
#[tokio::test]
async fn a_missing_answer_is_asked_again() {
    let mut raw = serve(server());
    let (one, two) = two_rounds(&mut raw).await;
    for (state, more, key) in [
        (&one, json!({}), "a"),
        (&one, json!({ "inputResponses": null }), "a"),
        (&one, json!({ "inputResponses": {} }), "a"),
        (&two, json!({ "inputResponses": { "other": named("Eve") } }), "b"),
    ] {
        let mut request = call("t", json!({}), more);
        request["params"]["requestState"] = json!(state);
        let answer = raw.ask(request).await;
        assert_eq!(asked(&answer).0, [key]);
    }
}

/// A client that answers without being asked, or has lost the state, is taken at its word.
#[tokio::test]
async fn answers_may_come_without_a_state() {
    let mut raw = serve(server());
    let responses = json!({ "a": named("Ada"), "b": named("Bob"), "unknown": "x".repeat(1 << 20) });
    let answer = raw.ask(call("t", json!({}), json!({ "inputResponses": responses, "requestState": null }))).await;
    let (keys, state) = asked(&answer);
    assert_eq!(keys, ["c"]);
    assert!(state.len() < 1024, "what was not asked is not carried on: {}", state.len());
    let last = json!({ "requestState": state, "inputResponses": { "c": named("Cyd") } });
    assert_eq!(text(&raw.ask(call("t", json!({}), last)).await), "Ada Bob Cyd kept 1");
}

/// basic/patterns (2026-07-28), multi round-trip requests: malformed answers SHOULD be a JSON-RPC error.
#[tokio::test]
async fn answers_of_the_wrong_shape_are_errors_that_name_the_key() {
    let sampling = Tool::new("sample", "", async |ctx: Context| {
        let params = CreateMessageParams::new([SamplingMessage::user(mcp::model::ContentBlock::text("?"))], 1);
        ctx.sample("s", params).await.map(|answer| answer.model)
    });
    let blocking = Tool::new("block", "", |ctx: Context| {
        std::future::ready(block_on(ask(&ctx, "a")).unwrap_or_else(|_| "something else".to_owned()))
    });
    let roots = Tool::new("roots", "", async |ctx: Context| {
        ctx.roots("r").await.map(|roots| roots.iter().map(|root| root.uri.clone()).collect::<String>())
    });
    let mut raw = serve(server().tool(sampling).tool(roots).tool(blocking.blocking()));
    for (tool, responses, at) in [
        ("t", json!({ "a": { "content": {} } }), r#"params.inputResponses["a"] does not answer elicitation/create"#),
        ("t", json!({ "a": { "action": 1 } }), "action"),
        ("t", json!({ "a": "Ada" }), r#"["a"]"#),
        ("t", json!({ "a": null }), r#"["a"]"#),
        ("t", json!({ "a": { "action": "accept", "content": [] } }), "content"),
        ("block", json!({ "a": [] }), r#"["a"]"#),
        ("sample", json!({ "s": { "role": "assistant", "content": [{}], "model": "m" } }), "content"),
        ("roots", json!({ "r": { "roots": [{ "uri": "file:///" }, {}] } }), "roots[1]"),
        ("t", json!([]), "params.inputResponses must be an object"),
        ("t", json!("a"), "params.inputResponses must be an object"),
    ] {
        let first = raw.ask(call(tool, json!({}), json!({}))).await;
        let (_, state) = asked(&first);
        let more = json!({ "inputResponses": responses, "requestState": state });
        let answer = raw.ask(call(tool, json!({}), more)).await;
        assert!(refused(&answer).contains(at), "{at}: {answer}");
    }
    for state in [json!(1), json!({}), json!([])] {
        let answer = raw.ask(call("t", json!({}), json!({ "requestState": state }))).await;
        assert!(refused(&answer).contains("params.requestState a text"), "{answer}");
    }
}

/// Megabytes of answers: what was not asked costs nothing, and what is too long to be carried on is an error.
#[tokio::test]
async fn answers_may_be_long_but_not_too_long() {
    let long = "x".repeat(1 << 20);
    let (last, _) = asking("t");
    let one = Tool::new("one", "", async |ctx: Context| ask(&ctx, "a").await.map(|said| said.len().to_string()));
    let mut raw = serve(Server::new("s", "1").tool(last).tool(one));
    let (_, state) = two_rounds(&mut raw).await;
    let more = json!({ "requestState": state, "inputResponses": { "b": named("Bob"), "z": long } });
    let answer = raw.ask(call("t", json!({}), more)).await;
    let (keys, state) = asked(&answer);
    assert!(keys == ["c"] && state.len() < 1024, "{}", state.len());

    let more = |key: &str, state: &str| json!({ "requestState": state, "inputResponses": { key: named(&long) } });
    let answer = raw.ask(call("t", json!({}), more("c", state))).await;
    assert!(text(&answer).len() > long.len(), "nothing has to be carried on");
    let first = raw.ask(call("one", json!({}), json!({}))).await;
    let answer = raw.ask(call("one", json!({}), more("a", asked(&first).1))).await;
    assert_eq!(text(&answer), long.len().to_string());
    let first = raw.ask(call("t", json!({}), json!({}))).await;
    let answer = raw.ask(call("t", json!({}), more("a", asked(&first).1))).await;
    assert_eq!(answer["error"]["code"], -32603);
    assert!(answer["error"]["message"].as_str().unwrap().contains("of 262144 bytes"), "{answer}");
}

/// Whatever a handler that blocks makes of the errors that its questions are, the questions are the reply.
#[tokio::test]
async fn a_handler_that_blocks_is_not_heard_until_it_has_its_answers() {
    let returns = Tool::new("returns", "", |ctx: Context| {
        let (a, b) = (block_on(ask(&ctx, "a")), block_on(ask(&ctx, "b")));
        std::future::ready(if a.is_err() && b.is_err() { "nothing".to_owned() } else { a.unwrap() + &b.unwrap() })
    });
    let fails = Tool::new("fails", "", |ctx: Context| {
        std::future::ready(block_on(ask(&ctx, "a")).map_err(|_| ToolError::rpc(-1, "on purpose")))
    });
    let panics = Tool::new("panics", "", |ctx: Context| std::future::ready(block_on(ask(&ctx, "a")).unwrap()));
    let server = Server::new("s", "1");
    let mut raw = serve(server.tool(returns.blocking()).tool(fails.blocking()).tool(panics.blocking()));
    for (tool, questions) in [("returns", &["a", "b"][..]), ("fails", &["a"]), ("panics", &["a"])] {
        let first = raw.ask(call(tool, json!({}), json!({}))).await;
        let (keys, state) = asked(&first);
        assert_eq!(keys, questions, "{tool}");
        let responses = json!({ "a": named("Ada"), "b": named("Bob") });
        let more = json!({ "requestState": state, "inputResponses": responses });
        let answer = raw.ask(call(tool, json!({}), more)).await;
        assert!(text(&answer).starts_with("Ada"), "{answer}");
    }
}

/// All questions of a round are in one result.
#[tokio::test]
async fn questions_of_all_kinds_go_out_together() {
    let tool = Tool::new("t", "", async |ctx: Context| {
        let params = CreateMessageParams::new([SamplingMessage::user(mcp::model::ContentBlock::text("?"))], 1);
        let (form, url, sample, roots) = tokio::join!(
            ask(&ctx, "form"),
            ctx.elicit_url("url", "Sign in", "https://example.com/", "id"),
            ctx.sample("sample", params.with_tools(Vec::new())),
            ctx.roots("roots"),
        );
        Ok::<_, Error>(format!("{} {} {} {}", form?, url?.action, sample?.model, roots?.len()))
    });
    let mut raw = serve(Server::new("s", "1").tool(tool));
    let first = raw.ask(call("t", json!({}), json!({}))).await;
    let (keys, state) = asked(&first);
    assert_eq!(keys, ["form", "roots", "sample", "url"]);
    let requests = &first["result"]["inputRequests"];
    let url = json!({ "mode": "url", "message": "Sign in", "url": "https://example.com/" });
    assert_eq!(requests["url"], json!({ "method": "elicitation/create", "params": url }), "without an id");
    let responses = json!({
        "form": named("Ada"),
        "url": { "action": "accept" },
        "sample": { "role": "assistant", "content": { "type": "text", "text": "!" }, "model": "m" },
        "roots": { "roots": [] },
    });
    let more = json!({ "requestState": state, "inputResponses": responses });
    assert_eq!(text(&raw.ask(call("t", json!({}), more)).await), "Ada accept m 0");
}

/// client/elicitation (2025-11-25), URL mode: with an id, and told when it is done, to the end of the connection.
#[tokio::test]
async fn a_person_is_sent_to_a_url() {
    let (late, mut lately) = tokio::sync::mpsc::unbounded_channel();
    let tool = Tool::new("t", "", move |ctx: Context| {
        let late = late.clone();
        async move {
            let answer: ElicitResult = ctx.elicit_url("u", "Sign in", "https://example.com/", "the id").await?;
            late.send(ctx).unwrap();
            Ok::<_, Error>(answer.action.to_string())
        }
    });
    let mut raw = serve(Server::new("s", "1").tool(tool));
    raw.initialize_with("2025-11-25", capabilities()).await;
    raw.send(common::call(1, "t", json!({}))).await;
    let question = raw.heard().await;
    let params =
        json!({ "mode": "url", "message": "Sign in", "url": "https://example.com/", "elicitationId": "the id" });
    assert_eq!((&question["method"], &question["params"]), (&json!("elicitation/create"), &params));
    raw.send(json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept" } })).await;
    assert_eq!(raw.heard().await["result"]["content"][0]["text"], "accept");
    let ctx = lately.recv().await.unwrap();
    ctx.elicitation_complete("the id").unwrap();
    let complete = raw.heard().await;
    assert_eq!(complete["method"], "notifications/elicitation/complete");
    assert_eq!(complete["params"], json!({ "elicitationId": "the id" }));
}

/// 2026-07-28 has no such notification.
#[tokio::test]
async fn no_completion_is_told_where_there_is_none() {
    let tool = Tool::new("t", "", async |ctx: Context| ctx.elicitation_complete("the id").map(|()| "told"));
    let mut raw = serve(Server::new("s", "1").tool(tool));
    assert_eq!(text(&raw.ask(call("t", json!({}), json!({}))).await), "told");
}

/// client/elicitation (2025-11-25), URL mode required: an error there, a question in 2026-07-28, a text for the model for
/// everybody else.
#[tokio::test]
async fn a_url_may_be_required_first() {
    let signed_in = Arc::new(AtomicUsize::new(0));
    let asks = Arc::clone(&signed_in);
    let server = || {
        let asks = Arc::clone(&asks);
        let tool = Tool::new("t", "", move || {
            let done = asks.load(Ordering::SeqCst) > 0;
            async move {
                if done { Ok("in") } else { Err(ToolError::url_required("Sign in", "https://example.com/", "the id")) }
            }
        });
        Server::new("s", "1").tool(tool)
    };
    let shown = "the user must open a URL first\nSign in: https://example.com/";
    for (version, capabilities) in [
        ("2025-06-18", capabilities()),
        ("2024-11-05", json!({})),
        ("2025-11-25", json!({})),
        ("2025-11-25", json!({ "elicitation": {} })),
    ] {
        let mut raw = serve(server());
        raw.initialize_with(version, capabilities).await;
        let answer = raw.ask(common::call(1, "t", json!({}))).await;
        let result = &answer["result"];
        assert_eq!((&result["isError"], &result["content"][0]["text"]), (&json!(true), &json!(shown)), "{answer}");
    }

    let mut raw = serve(server());
    raw.initialize_with("2025-11-25", capabilities()).await;
    let answer = raw.ask(common::call(1, "t", json!({}))).await;
    let elicitation =
        json!({ "mode": "url", "message": "Sign in", "url": "https://example.com/", "elicitationId": "the id" });
    assert_eq!(answer["error"]["code"], -32042);
    assert_eq!(answer["error"]["data"], json!({ "elicitations": [elicitation] }));

    let mut raw = serve(server());
    let first = raw.ask(call("t", json!({}), json!({}))).await;
    let (keys, state) = asked(&first);
    assert_eq!(keys, ["the id"]);
    let question = json!({ "mode": "url", "message": "Sign in", "url": "https://example.com/" });
    assert_eq!(first["result"]["inputRequests"]["the id"]["params"], question);
    let more = |action: &str, state: &str| json!({ "requestState": state, "inputResponses": { "the id": { "action": action } } });
    let answer = raw.ask(call("t", json!({}), more("decline", state))).await;
    assert_eq!(text(&answer), shown);
    let again = raw.ask(call("t", json!({}), more("accept", state))).await;
    let (keys, state) = asked(&again);
    assert_eq!(keys, ["the id"], "agreed, but not done yet");
    signed_in.store(1, Ordering::SeqCst);
    let answer = raw.ask(call("t", json!({}), more("accept", state))).await;
    assert_eq!(text(&answer), "in");

    signed_in.store(0, Ordering::SeqCst);
    let mut request = call("t", json!({}), json!({}));
    request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let answer = raw.ask(request).await;
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    assert_eq!(answer["error"]["data"]["requiredCapabilities"], json!({ "elicitation": { "url": {} } }));
}

/// A handler sees all that its client has declared, in either era.
#[tokio::test]
async fn a_handler_sees_what_the_client_has_declared() {
    let tool = Tool::new("t", "", async |ctx: Context| {
        let declared = ctx.capabilities().expect("it is known");
        let experimental = declared.experimental.as_ref().and_then(|map| map.get("x")).map(Value::to_string);
        let can = [
            ctx.can_elicit(),
            ctx.can_elicit_url(),
            ctx.can_sample(),
            ctx.can_sample_with_tools(),
            ctx.can_tell_roots(),
            ctx.can(Capability::RootsListChanged),
            ctx.can(Capability::SamplingContext),
        ];
        format!("{} {can:?}", experimental.unwrap_or_default())
    });
    let mut declared = capabilities();
    declared["experimental"] = json!({ "x": [1] });
    declared["roots"] = json!({ "listChanged": true });
    let expected = "[1] [true, true, true, true, true, true, false]";
    let mut raw = serve(Server::new("s", "1").tool(tool.clone()));
    raw.initialize_with("2025-11-25", declared.clone()).await;
    assert_eq!(raw.ask(common::call(1, "t", json!({}))).await["result"]["content"][0]["text"], expected);
    let mut raw = serve(Server::new("s", "1").tool(tool));
    let mut request = call("t", json!({}), json!({}));
    request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = declared;
    assert_eq!(text(&raw.ask(request).await), expected);
}

/// basic/utilities/progress: the side that answers a question may tell how far it is, to whoever has given it a token.
#[tokio::test]
async fn a_handler_hears_of_its_clients_progress() {
    let tool = Tool::new("t", "", async |ctx: Context| {
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let hear = Arc::clone(&heard);
        let on_progress = move |progress: mcp::model::Progress| hear.lock().unwrap().push(progress.progress);
        let answer: Value = ctx.ask_with_progress("r", "roots/list", &json!({}), on_progress).await?;
        let heard = heard.lock().unwrap();
        Ok::<_, Error>(format!("{heard:?} {answer}"))
    });
    let mut raw = serve(Server::new("s", "1").tool(tool.clone()));
    raw.initialize_with("2025-11-25", capabilities()).await;
    raw.send(common::call(1, "t", json!({}))).await;
    let question = raw.heard().await;
    let token = &question["params"]["_meta"]["progressToken"];
    for progress in [1, 2] {
        let params = json!({ "progressToken": token, "progress": progress });
        raw.send(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })).await;
    }
    raw.send(json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "roots": [] } })).await;
    assert_eq!(raw.heard().await["result"]["content"][0]["text"], r#"[1.0, 2.0] {"roots":[]}"#);

    let mut raw = serve(Server::new("s", "1").tool(tool));
    let first = raw.ask(call("t", json!({}), json!({}))).await;
    let more = json!({ "requestState": asked(&first).1, "inputResponses": { "r": { "roots": [] } } });
    assert_eq!(text(&raw.ask(call("t", json!({}), more)).await), r#"[] {"roots":[]}"#);
}
