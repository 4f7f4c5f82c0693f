//! Spans, the trace in `_meta`, metrics: what a subscriber of the program sees, and what goes over the wire.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::scripted::{self, Scripted};
use common::spans::{Seen, Spans, TRACE};
use common::{call, modern, serve, soon};
use mcp::local::Local;
use mcp::model::{CallToolResult, ElicitParams, ElicitResult, LoggingLevel, SubscriptionFilter};
use mcp::net::ListenOptions;
use mcp::trace::{Propagation, Propagator, TraceContext, Transport};
use mcp::{
    Client, ClientBuilder, Context, Era, Form, HandlerError, Interceptor, Prompt, ProtocolVersion, Resource, Server,
    Tool, ToolError,
};
use serde_json::{Value, json};
use tracing::{Instrument, Level};

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    #[allow(dead_code, reason = "what a form asks for")]
    name: String,
}

fn version(era: Era) -> &'static str {
    match era {
        Era::Legacy => "2025-11-25",
        Era::Modern => "2026-07-28",
    }
}

fn builder(era: Era) -> ClientBuilder {
    Client::builder("c", "1").era(era)
}

/// A client and a server whose messages carry the numbers of their spans.
async fn pair(spans: &Spans, era: Era, server: Server, client: ClientBuilder) -> Client {
    let (server, client) = (server.propagation(spans.clone()), client.propagation(spans.clone()));
    soon(mcp_tokio::pair_with(server, client)).await.unwrap_or_else(|error| panic!("{era:?}: {error}"))
}

fn failed(span: &Seen) -> (&str, &str) {
    (span.field("otel.status_code"), span.field("error.type"))
}

/// Both sides of a call, by their titles.
async fn both(spans: &Spans, title: &'static str) -> (Seen, Seen) {
    let client = spans.one("mcp.client", title).await;
    (client, spans.one("mcp.server", title).await)
}

/// Names, kinds and attributes are those of the conventions; the server's span is a child of the client's, over the wire, and
/// the client's of where it was awaited.
#[tokio::test]
async fn a_call_is_a_span_on_either_side() {
    for era in ERAS {
        let (spans, _guard) = Spans::of_this_thread(Level::INFO);
        let server = Server::new("s", "1")
            .tool(Tool::new("add", "", async || 3))
            .prompt(Prompt::new("review", "", async || "Review this"))
            .resource(Resource::new("notes://today", "today", async || "nothing"));
        let client = pair(&spans, era, server, builder(era)).await;
        let outer = tracing::info_span!(target: "trace_test", "outer");
        let calling = async {
            client.call_tool("add", ()).await.unwrap();
            client.get_prompt("review", [("a", "b"); 0]).await.unwrap();
            client.read_resource("notes://today").await.unwrap();
            client.list_tools().await.unwrap();
            client.request::<Value>("tools/call", &json!({ "name": "add", "arguments": {} })).await.unwrap();
        };
        soon(calling.instrument(outer.clone())).await;

        let adds = [spans.named("mcp.client", "tools/call add"), spans.named("mcp.server", "tools/call add")];
        let [[first, again], [served, _]] = [&adds[0][..], &adds[1][..]] else { panic!("two of each: {adds:#?}") };
        for (span, kind) in [(first, "client"), (again, "client"), (served, "server")] {
            assert_eq!(span.level, Some(Level::INFO));
            for (field, value) in [
                ("otel.kind", kind),
                ("mcp.method.name", "tools/call"),
                ("mcp.protocol.version", version(era)),
                ("gen_ai.tool.name", "add"),
                ("gen_ai.operation.name", "execute_tool"),
                ("otel.status_code", ""),
                ("error.type", ""),
                ("rpc.response.status_code", ""),
                ("mcp.resource.uri", ""),
            ] {
                assert_eq!(span.field(field), value, "{era:?} {field}: {span:#?}");
            }
        }
        assert_eq!(first.field("jsonrpc.request.id"), served.field("jsonrpc.request.id"));
        assert!(!first.field("jsonrpc.request.id").is_empty());
        assert_eq!(first.parent, outer.id().map(|id| id.into_u64()));
        assert_eq!((served.parent, served.remote), (None, Some(first.id)));
        let [session] = &spans.named("mcp.server.session", "mcp.server.session")[..] else { panic!("one session") };
        assert_eq!(served.links, [session.id], "what is around it is linked");

        let (got, gives) = both(&spans, "prompts/get review").await;
        assert_eq!((got.field("gen_ai.prompt.name"), gives.field("gen_ai.prompt.name")), ("review", "review"));
        assert_eq!((got.field("gen_ai.operation.name"), gives.remote), ("", Some(got.id)));
        // A URI is no part of a name: there are too many of them.
        let (read, served) = both(&spans, "resources/read").await;
        assert_eq!(
            (read.field("mcp.resource.uri"), served.field("mcp.resource.uri")),
            ("notes://today", "notes://today")
        );
        let (asked, lists) = both(&spans, "tools/list").await;
        assert_eq!((asked.parent, lists.remote), (outer.id().map(|id| id.into_u64()), Some(asked.id)));
    }
}

#[tokio::test]
async fn the_span_says_how_it_ended() {
    for era in ERAS {
        let (spans, _guard) = Spans::of_this_thread(Level::INFO);
        let server = Server::new("s", "1")
            .tool(Tool::new("says", "", async || CallToolResult::error("no luck")))
            .tool(Tool::new("fails", "", async || Err::<String, _>(ToolError::new("no luck"))))
            .tool(Tool::new("panics", "", async || -> String { panic!("inside") }))
            .tool(Tool::new("sleeps", "", async || pending::<String>().await))
            .prompt(Prompt::new("reserved", "", async || Err::<String, _>(HandlerError::rpc(-32050, "not here"))))
            .prompt(Prompt::new("refuses", "", async || Err::<String, _>(HandlerError::rpc(1234, "not today"))));
        let client = pair(&spans, era, server, builder(era)).await;
        client.call_tool("says", ()).await.unwrap();
        client.call_tool("fails", ()).await.unwrap();
        client.call_tool("panics", ()).await.unwrap_err();
        client.call_tool("unknown", ()).await.unwrap_err();
        client.get_prompt("refuses", [("a", "b"); 0]).await.unwrap_err();
        client.request::<Value>("acme/unknown", &json!({})).await.unwrap_err();

        for title in ["tools/call says", "tools/call fails"] {
            let (called, served) = both(&spans, title).await;
            for span in [called, served] {
                assert_eq!(failed(&span), ("ERROR", "tool_error"), "{era:?}: {span:#?}");
                assert_eq!(span.field("rpc.response.status_code"), "");
            }
        }
        let (called, served) = both(&spans, "tools/call panics").await;
        for span in [&called, &served] {
            assert_eq!((failed(span), span.field("rpc.response.status_code")), (("ERROR", "-32603"), "-32603"));
            assert_eq!(span.field("otel.status_description"), "the handler panicked");
        }
        let [told] = &spans.said("a handler panicked")[..] else { panic!("once: {:?}", spans.events()) };
        assert_eq!((told.span, told.level), (Some(served.id), Level::ERROR), "in the request's span");
        let (called, served) = both(&spans, "prompts/get refuses").await;
        for span in [called, served] {
            assert_eq!((failed(&span), span.field("rpc.response.status_code")), (("ERROR", "1234"), "1234"));
            assert_eq!(span.field("otel.status_description"), "not today");
        }
        // A code that the revision reserves goes out as another, and is told as it goes out.
        client.get_prompt("reserved", [("a", "b"); 0]).await.unwrap_err();
        let (called, served) = both(&spans, "prompts/get reserved").await;
        let code = if era == Era::Legacy { "-32050" } else { "-32603" };
        assert_eq!((failed(&called), failed(&served)), (("ERROR", code), ("ERROR", code)));
        // What the peer makes up is no part of the server's names; what we ask for ourselves is.
        let called = spans.one("mcp.client", "tools/call unknown").await;
        let served = spans.one("mcp.server", "tools/call").await;
        assert_eq!((failed(&called), failed(&served)), (("ERROR", "-32602"), ("ERROR", "-32602")), "{era:?}");
        assert_eq!((served.field("gen_ai.tool.name"), served.remote), ("unknown", Some(called.id)));
        let called = spans.one("mcp.client", "acme/unknown").await;
        let served = spans.one("mcp.server", "_OTHER").await;
        assert_eq!((failed(&called), failed(&served)), (("ERROR", "-32601"), ("ERROR", "-32601")));
        assert_eq!(served.field("mcp.method.name"), "acme/unknown");

        let error = client.call_tool("sleeps", ()).idle(Duration::from_millis(50)).await.unwrap_err();
        assert!(error.is_timeout());
        let (called, served) = both(&spans, "tools/call sleeps").await;
        assert_eq!((failed(&called), failed(&served)), (("ERROR", "timeout"), ("ERROR", "cancelled")));
        assert!(called.field("otel.status_description").contains("timed out"));
    }
}

/// Given up by the caller, on both sides; refused before it was sent; and lost with the connection.
#[tokio::test]
async fn what_gets_no_answer_says_why() {
    for era in ERAS {
        let (spans, _guard) = Spans::of_this_thread(Level::INFO);
        let begun = Arc::new(tokio::sync::Notify::new());
        let begins = Arc::clone(&begun);
        let sleeps = Tool::new("sleeps", "", move || {
            let begins = Arc::clone(&begins);
            async move {
                begins.notify_one();
                pending::<String>().await
            }
        });
        let client = pair(&spans, era, Server::new("s", "1").tool(sleeps), builder(era)).await;
        {
            let mut calling = std::pin::pin!(client.call_tool("sleeps", ()).into_future());
            tokio::select! {
                answer = &mut calling => panic!("it sleeps: {answer:?}"),
                () = begun.notified() => {}
            }
        }
        let (called, served) = both(&spans, "tools/call sleeps").await;
        assert_eq!((failed(&called), failed(&served)), (("ERROR", "cancelled"), ("ERROR", "cancelled")), "{era:?}");

        client.get_prompt("none", [("a", "b"); 0]).await.unwrap_err();
        assert_eq!(failed(&spans.one("mcp.client", "prompts/get none").await), ("ERROR", "not_sent"));
        assert!(spans.named("mcp.server", "prompts/get").is_empty());

        let version = version(era).parse().unwrap();
        let (lonely, stage) = Scripted::new(version).connect(builder(era), |_| Vec::new()).await;
        let calling = lonely.call_tool("lost", ());
        let calling = tokio::spawn(async move { calling.await });
        stage.hears("tools/call", 1).await;
        stage.end();
        assert!(soon(calling).await.unwrap().unwrap_err().is_closed());
        let lost = spans.one("mcp.client", "tools/call lost").await;
        assert_eq!(failed(&lost), ("ERROR", "closed"));
    }
}

/// An answer that is none fails the request on this side alone.
#[tokio::test]
async fn a_result_of_the_wrong_shape_is_a_failure() {
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let answer = |message: &Value| match message["method"].as_str() {
        Some("tools/call") => vec![json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "content": 5 } })],
        _ => Vec::new(),
    };
    let (client, _stage) = Scripted::new(ProtocolVersion::V2025_11_25).connect(builder(Era::Legacy), answer).await;
    client.call_tool("odd", ()).await.unwrap_err();
    let span = spans.one("mcp.client", "tools/call odd").await;
    assert_eq!(failed(&span), ("ERROR", "invalid_result"));
    assert!(span.field("otel.status_description").contains("content"), "{span:?}");
}

/// What a handler says and does stands in its request's span: before and after an await, in a task of its own that asks for it, and
/// on a thread of its own.
#[tokio::test]
async fn what_a_handler_does_is_in_its_requests_span() {
    for era in ERAS {
        let (spans, _guard) = Spans::of_this_thread(Level::INFO);
        let works = async |ctx: Context| {
            tracing::info!(target: "trace_test", "before");
            tokio::task::yield_now().await;
            tracing::info!(target: "trace_test", "after");
            let beside = async { tracing::info!(target: "trace_test", "beside") };
            tokio::spawn(beside.instrument(ctx.span().clone())).await.unwrap();
            "done"
        };
        let blocks = async |ctx: Context| {
            // This thread has no subscriber of its own, as it would in a program.
            let here = ctx.span().with_subscriber(|(_, subscriber)| {
                tracing::dispatcher::with_default(subscriber, || tracing::info!(target: "trace_test", "blocking"));
            });
            here.expect("somebody looks");
            "done"
        };
        let server =
            Server::new("s", "1").tool(Tool::new("works", "", works)).tool(Tool::new("blocks", "", blocks).blocking());
        let client = pair(&spans, era, server, builder(era)).await;
        soon(client.call_tool("works", ())).await.unwrap();
        soon(client.call_tool("blocks", ())).await.unwrap();
        let served = spans.one("mcp.server", "tools/call works").await;
        for said in ["before", "after", "beside"] {
            let [event] = &spans.said(said)[..] else { panic!("{said} once") };
            assert_eq!(event.span, Some(served.id), "{era:?} {said}");
        }
        let served = spans.one("mcp.server", "tools/call blocks").await;
        assert_eq!(spans.said("blocking")[0].span, Some(served.id), "{era:?}");
    }
}

/// Also where the handler stays on one thread that knows nothing of the request.
#[tokio::test]
async fn a_local_handler_is_in_its_requests_span() {
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let local = Local::new();
    let works = local.handler(async || {
        tracing::info!(target: "trace_test", "before");
        tokio::task::yield_now().await;
        tracing::info!(target: "trace_test", "after");
        "done"
    });
    let server = Server::new("s", "1").tool(Tool::new("works", "", works));
    let calling = async {
        let client = pair(&spans, Era::Modern, server, builder(Era::Modern)).await;
        soon(client.call_tool("works", ())).await.unwrap();
    };
    local.run(calling).await;
    let served = spans.one("mcp.server", "tools/call works").await;
    for said in ["before", "after"] {
        assert_eq!(spans.said(said)[0].span, Some(served.id), "{said}");
    }
}

/// In the legacy era a question is a request of the server's: a child of the request, also from a task of the handler's that knows
/// nothing of spans; the client's callback is its child over the wire.
#[tokio::test]
async fn a_question_is_a_child_of_its_request() {
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let asks = Tool::new("asks", "", async |ctx: Context| {
        let asking = async move { ctx.elicit("who", Form::of::<Name>("Who?")).await.map(|_| "done") };
        tokio::spawn(asking).await.unwrap()
    });
    let client = builder(Era::Legacy).on_elicit(async |_: ElicitParams| {
        tracing::info!(target: "trace_test", "asked");
        ElicitResult::decline()
    });
    let client = pair(&spans, Era::Legacy, Server::new("s", "1").tool(asks), client).await;
    soon(client.call_tool("asks", ())).await.unwrap();
    let (called, served) = both(&spans, "tools/call asks").await;
    let (asked, answered) = both(&spans, "elicitation/create").await;
    assert_eq!((served.remote, asked.parent, answered.remote), (Some(called.id), Some(served.id), Some(asked.id)));
    assert_eq!((asked.field("otel.kind"), answered.field("otel.kind")), ("client", "server"));
    assert_eq!(failed(&asked), ("", ""));
    assert_eq!(spans.said("asked")[0].span, Some(answered.id));
}

/// In the stateless era a request has rounds: one span at the client, in which the questions are answered, and one for each round at
/// the server, all in the same trace.
#[tokio::test]
async fn the_rounds_of_a_request_are_children_of_one_span() {
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let asks = Tool::new("asks", "", async |ctx: Context| {
        tracing::info!(target: "trace_test", "a round");
        ctx.elicit("who", Form::of::<Name>("Who?")).await?;
        ctx.elicit("why", Form::of::<Name>("Why?")).await?;
        Ok::<_, mcp::Error>("done")
    });
    let client = builder(Era::Modern).on_elicit(async |_: ElicitParams| {
        tracing::info!(target: "trace_test", "asked");
        ElicitResult::decline()
    });
    let client = pair(&spans, Era::Modern, Server::new("s", "1").tool(asks), client).await;
    soon(client.call_tool("asks", ())).await.unwrap();
    let called = spans.one("mcp.client", "tools/call asks").await;
    assert_eq!(failed(&called), ("", ""));
    let rounds = spans.named("mcp.server", "tools/call asks");
    assert_eq!(rounds.iter().map(|round| round.remote).collect::<Vec<_>>(), [Some(called.id); 3], "{rounds:#?}");
    assert_eq!(rounds.iter().map(failed).collect::<Vec<_>>(), [("", ""); 3], "a question is no failure");
    let ids = |said| spans.said(said).iter().map(|event| event.span).collect::<Vec<_>>();
    assert_eq!(ids("a round"), rounds.iter().map(|round| Some(round.id)).collect::<Vec<_>>());
    let answered = spans.named("mcp.server", "elicitation/create");
    assert_eq!(answered.iter().map(|question| question.parent).collect::<Vec<_>>(), [Some(called.id); 2]);
    assert_eq!(ids("asked"), answered.iter().map(|question| Some(question.id)).collect::<Vec<_>>());
}

/// basic, `_meta`: the keys of a trace stand in it without a prefix; basic, requests: what a client writes there MUST NOT replace what
/// the user writes. Either era, handshake and notifications included.
#[tokio::test]
async fn the_trace_goes_over_the_wire() {
    for era in ERAS {
        let (spans, _guard) = Spans::of_this_thread(Level::INFO);
        let answer = |message: &Value| {
            let result = json!({ "resultType": "complete", "content": [], "x": message["params"]["_meta"] });
            if message["id"].is_null() {
                vec![]
            } else {
                vec![json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })]
            }
        };
        let client = builder(era).propagation(spans.clone()).root("file:///", "all");
        let outer = tracing::info_span!(target: "trace_test", "outer");
        let connecting = Scripted::new(version(era).parse().unwrap()).connect(client, answer).instrument(outer.clone());
        let (client, stage) = connecting.await;
        let traceparent = |span: &Seen| format!("00-{TRACE}-{:016x}-01", span.id);
        client.call_tool("plain", ()).await.unwrap();
        let sent = &stage.heard_of("tools/call")[0];
        let span = spans.one("mcp.client", "tools/call plain").await;
        assert_eq!(sent["params"]["_meta"]["traceparent"], traceparent(&span));

        let theirs = json!({ "traceparent": PARENT, "baggage": "k=v", "x": 1 });
        client.call_tool("mine", ()).meta(theirs.as_object().unwrap().clone()).await.unwrap();
        let sent = &stage.heard_of("tools/call")[1];
        for (key, value) in theirs.as_object().unwrap() {
            assert_eq!(sent["params"]["_meta"][key], *value, "{era:?}");
        }
        let lonely =
            client.call_tool("passed on", ()).trace([("traceparent", PARENT)].into_iter().collect::<TraceContext>());
        lonely.await.unwrap();
        let sent = &stage.heard_of("tools/call")[2];
        assert_ne!(sent["params"]["_meta"]["traceparent"], PARENT, "the propagator has a trace of its own");

        let told = json!({ "requestId": "none", "x": 1 });
        client.notify("notifications/acme", &told, None).unwrap();
        // No span of its own at this level: it belongs to the one around it, and here is none.
        assert_eq!(stage.hears("notifications/acme", 1).await[0]["params"].get("_meta"), None);
        outer.in_scope(|| client.notify("notifications/acme2", &told, None).unwrap());
        let around = format!("00-{TRACE}-{:016x}-01", outer.id().unwrap().into_u64());
        assert_eq!(stage.hears("notifications/acme2", 1).await[0]["params"]["_meta"]["traceparent"], around);
    }
}

/// A propagator is the application's code: if it panics, that is logged, and the request goes on without a trace.
#[tokio::test]
async fn a_propagator_that_panics_harms_nobody() {
    struct Panics;
    impl Propagator for Panics {
        fn inject(&self, _: &tracing::Span) -> TraceContext {
            panic!("inside")
        }
        fn extract(&self, _: &tracing::Span, _: &TraceContext) {
            panic!("inside")
        }
    }
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let server = Server::new("s", "1").tool(Tool::new("t", "", async || "t")).propagation(Panics);
    let client = soon(mcp_tokio::pair_with(server, builder(Era::Modern).propagation(Panics))).await.unwrap();
    let trace = [("traceparent", PARENT)].into_iter().collect::<TraceContext>();
    assert_eq!(client.call_tool("t", ()).trace(trace).await.unwrap().joined_text(), "t");
    let (called, served) = both(&spans, "tools/call t").await;
    assert_eq!((failed(&called), failed(&served)), (("", ""), ("", "")));
    let told = spans.said("a callback panicked");
    assert!(told.len() >= 2 && told.iter().all(|event| event.fields["method"].contains("propagator")), "{told:?}");
}

/// Outside of a handler, and without a propagator, a request is part of the trace that it is given.
#[tokio::test]
async fn a_request_can_be_given_a_trace() {
    for era in ERAS {
        let answer =
            |message: &Value| vec![scripted::result(message, json!({ "resultType": "complete", "content": [] }))];
        let (client, stage) = Scripted::new(version(era).parse().unwrap()).connect(builder(era), answer).await;
        let trace = [("traceparent", PARENT), ("baggage", "k=v")].into_iter().collect::<TraceContext>();
        client.call_tool("t", ()).trace(trace.clone()).await.unwrap();
        let mine = json!({ "baggage": "mine=1" });
        client.call_tool("t", ()).meta(mine.as_object().unwrap().clone()).trace(trace).await.unwrap();
        let metas = stage.heard_of("tools/call").into_iter().map(|call| call["params"]["_meta"].clone());
        let found = metas.map(|meta| (meta["traceparent"].clone(), meta["baggage"].clone())).collect::<Vec<_>>();
        assert_eq!(found, [(json!(PARENT), json!("k=v")), (json!(PARENT), json!("mine=1"))], "{era:?}");
    }
}

/// The handshake is a span at the client, named by what settled it, and goes over the wire as well.
#[tokio::test]
async fn the_handshake_is_a_span() {
    for era in ERAS {
        for dual in [builder(era), Client::builder("both", "1")] {
            let (spans, _guard) = Spans::of_this_thread(Level::INFO);
            let heard = Arc::new(Mutex::new(Vec::new()));
            let server = Server::new("s", "1").versions([version(era).parse().unwrap()]).intercept(LooksOn);
            let server = server.propagation(spans.clone());
            let outer = tracing::info_span!(target: "trace_test", "outer");
            let client = soon(relayed(server, dual.propagation(spans.clone()), &heard).instrument(outer.clone())).await;
            let title = if era == Era::Legacy { "initialize" } else { "server/discover" };
            let span = spans.one("mcp.client", title).await;
            assert_eq!((span.field("mcp.method.name"), span.field("otel.kind")), (title, "client"));
            assert_eq!((span.field("mcp.protocol.version"), failed(&span)), (version(era), ("", "")));
            assert_eq!(span.parent, outer.id().map(|id| id.into_u64()));
            // The server answers it by itself; an interceptor sees it, and so does who looks at spans.
            assert_eq!(spans.one("mcp.server", title).await.remote, Some(span.id));
            let heard = heard.lock().unwrap().clone();
            let asked = heard.iter().find(|message| message["method"] == title).unwrap();
            let traceparent = format!("00-{TRACE}-{:016x}-01", span.id);
            assert_eq!(asked["params"]["_meta"]["traceparent"], traceparent, "{asked}");
            drop(client);
        }
    }
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let legacy = Server::new("s", "1").versions([ProtocolVersion::V2025_11_25]);
    let error = soon(mcp_tokio::pair_with(legacy, builder(Era::Modern))).await.unwrap_err();
    let span = spans.one("mcp.client", "server/discover").await;
    assert_eq!(span.field("otel.status_code"), "ERROR", "{error}");
    let session = spans.one("mcp.client.session", "mcp.client.session").await;
    assert_eq!(failed(&session).0, "ERROR");
}

struct LooksOn;

impl Interceptor for LooksOn {}

/// A connection of which everything that the client says is heard.
async fn relayed(server: Server, client: ClientBuilder, heard: &Arc<Mutex<Vec<Value>>>) -> Client {
    use futures_lite::AsyncWriteExt;
    use futures_lite::io::{AsyncBufReadExt, BufReader};

    let (near, far) = mcp::memory::duplex(64 * 1024);
    let (relay, end) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = end.into_split();
    tokio::spawn(mcp_tokio::serve_stream(reader, writer, server));
    let (from_client, mut to_client) = far.into_split();
    let (from_server, mut to_server) = relay.into_split();
    let heard = Arc::clone(heard);
    tokio::spawn(async move {
        let mut lines = BufReader::new(from_client);
        let mut line = String::new();
        while lines.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            to_server.write_all(line.as_bytes()).await.unwrap();
            line.clear();
        }
    });
    tokio::spawn(async move {
        let _ = futures_lite::io::copy(from_server, &mut to_client).await;
    });
    let (reader, writer) = near.into_split();
    mcp_tokio::connect_stream(reader, writer, client).await.unwrap()
}

/// Without a propagator the trace of a request goes on with what its handler sends, unless that is switched off; the handler sees it
/// in any case. A malformed one is none.
#[tokio::test]
async fn without_a_propagator_the_trace_is_passed_on() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let asks = Tool::new("asks", "", move |ctx: Context| {
        sees.lock().unwrap().push(ctx.trace().clone());
        async move {
            ctx.log(LoggingLevel::Error, "said")?;
            let mine = json!({ "traceparent": PARENT.replace("-00f0", "-11f0") });
            ctx.notify("notifications/acme", &json!({}), mine.as_object().cloned())?;
            ctx.roots("roots").await.map(|_| "done")
        }
    });
    let server = Server::new("s", "1").logging().tool(asks);
    let full = json!({ "traceparent": PARENT, "tracestate": "a=b", "baggage": "k=v", "progressToken": 1, "x": 2 });
    let half = json!({ "traceparent": "garbage", "tracestate": "a=b", "baggage": "k=v" });
    for (server, sent, passed) in [
        (&server, &full, json!({ "traceparent": PARENT, "tracestate": "a=b", "baggage": "k=v" })),
        (&server, &half, json!({ "baggage": "k=v" })),
        (&server, &json!({}), Value::Null),
        (&server.clone().propagation(Propagation::Off), &full, Value::Null),
    ] {
        let mut raw = serve(server);
        raw.initialize_with("2025-11-25", json!({ "roots": {} })).await;
        let mut asking = call(1, "asks", json!({}));
        asking["params"]["_meta"] = sent.clone();
        raw.send(asking).await;
        let said = raw.heard().await;
        assert_eq!((&said["method"], &said["params"]["_meta"]), (&json!("notifications/message"), &passed));
        let told = raw.heard().await;
        assert_eq!(told["params"]["_meta"]["traceparent"], PARENT.replace("-00f0", "-11f0"), "its own words stay");
        let question = raw.heard().await;
        assert_eq!((&question["method"], &question["params"]["_meta"]), (&json!("roots/list"), &passed), "{sent}");
        raw.send(json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "roots": [] } })).await;
        assert_eq!(raw.heard().await["result"]["content"][0]["text"], "done");
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let parents = seen.iter().map(|trace| trace.get("traceparent")).collect::<Vec<_>>();
    assert_eq!(parents, [Some(PARENT), None, None, Some(PARENT)]);
    assert_eq!(seen[1].get("baggage"), Some("k=v"));

    // The stateless era: what is told within the request.
    let mut raw = serve(&server);
    let mut asking = modern(1, "tools/call", json!({ "name": "asks" }));
    asking["params"]["_meta"]["traceparent"] = PARENT.into();
    asking["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = "debug".into();
    asking["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "roots": {} });
    raw.send(asking).await;
    assert_eq!(raw.heard().await["params"]["_meta"]["traceparent"], PARENT);
}

#[tokio::test]
async fn a_malformed_trace_is_told_of_and_makes_a_root() {
    let (spans, _guard) = Spans::of_this_thread(Level::DEBUG);
    let server = Server::new("s", "1").tool(Tool::new("t", "", async || "t")).propagation(spans.clone());
    let mut raw = serve(&server);
    raw.initialize("2025-11-25").await;
    for (id, broken) in
        (1..).zip([json!("garbage"), json!("x".repeat(1 << 20)), json!(5), json!(PARENT.to_uppercase())])
    {
        let mut asking = call(id, "t", json!({}));
        asking["params"]["_meta"] = json!({ "traceparent": broken });
        assert_eq!(raw.ask(asking).await["result"]["content"][0]["text"], "t");
    }
    let served = spans.named("mcp.server", "tools/call t");
    assert_eq!(served.iter().map(|span| (span.parent, span.remote)).collect::<Vec<_>>(), [(None, None); 4]);
    let told = spans.said("a part of a trace was left out");
    assert_eq!(
        told.iter().map(|event| event.span).collect::<Vec<_>>(),
        served.iter().map(|span| Some(span.id)).collect::<Vec<_>>()
    );
    assert!(told.iter().all(|event| event.level == Level::DEBUG && event.fields["fault"].contains("traceparent")));
    assert!(told.iter().all(|event| event.fields["fault"].len() < 100), "whatever a peer sends, the log is short");
}

/// Notifications that do not belong to a request are spans of their own, for whoever looks that closely.
#[tokio::test]
async fn notifications_are_spans_of_level_debug() {
    let (spans, _guard) = Spans::of_this_thread(Level::DEBUG);
    let server = Server::new("s", "1")
        .on_roots_changed(async |_| tracing::info!(target: "trace_test", "heard"))
        .on_notification("notifications/panics", async |_, _: Value| panic!("inside"));
    let client = builder(Era::Legacy).on_roots(async || Vec::new());
    let client = pair(&spans, Era::Legacy, server, client).await;
    client.roots_changed().unwrap();
    let (told, heard) = both(&spans, "notifications/roots/list_changed").await;
    assert_eq!((told.level, heard.level), (Some(Level::DEBUG), Some(Level::DEBUG)));
    assert_eq!((told.field("otel.kind"), heard.field("otel.kind")), ("client", "server"));
    assert_eq!((heard.remote, heard.field("jsonrpc.request.id")), (Some(told.id), ""));
    assert_eq!(spans.said("heard")[0].span, Some(heard.id));
    // A panic is told in the span, and the connection lives.
    client.notify("notifications/panics", &json!({}), None).unwrap();
    let heard = spans.one("mcp.server", "notifications/panics").await;
    assert_eq!(failed(&heard), ("ERROR", "panic"));
    assert_eq!(spans.said("a callback panicked")[0].span, Some(heard.id));
    client.notify("notifications/initialized", &json!({}), None).unwrap_err();
    let refused = spans.one("mcp.client", "notifications/initialized").await;
    assert_eq!(failed(&refused), ("ERROR", "not_sent"));
}

/// A connection is a span from its begin to its end, and says what was wrong if it ended in another way than by being closed.
#[tokio::test]
async fn a_connection_is_a_span() {
    for era in ERAS {
        let (spans, _guard) = Spans::of_this_thread(Level::DEBUG);
        let client = pair(&spans, era, Server::new("s", "1"), builder(era)).await;
        for name in ["mcp.client.session", "mcp.server.session"] {
            let [span] = &spans.named(name, name)[..] else { panic!("one {name}") };
            assert!(!span.is_closed());
        }
        soon(client.close()).await;
        for name in ["mcp.client.session", "mcp.server.session"] {
            let span = spans.one(name, name).await;
            assert_eq!((failed(&span), span.field("otel.kind")), (("", ""), "internal"));
            let agreed = if name == "mcp.client.session" || era == Era::Legacy { version(era) } else { "" };
            assert_eq!(span.field("mcp.protocol.version"), agreed, "{name}");
        }
    }
    let (spans, _guard) = Spans::of_this_thread(Level::DEBUG);
    let mut raw = serve(&Server::new("s", "1").limits(|limits| limits.strikes = 1));
    for _ in 0..3 {
        raw.line("no JSON").await;
    }
    let span = spans.one("mcp.server.session", "mcp.server.session").await;
    assert_eq!(failed(&span), ("ERROR", "misbehaved"));
    let odd = spans.said("the peer did something odd");
    assert!(!odd.is_empty() && odd.iter().all(|event| event.span == Some(span.id)), "in the connection's span");
}

/// What a connection runs over is told by whoever knows: the adapters, or the application.
#[tokio::test]
async fn spans_say_what_the_connection_runs_over() {
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let server = Server::new("s", "1").tool(Tool::new("t", "", async || "t"));
    let (here, there) = (server.clone().over(Transport::Unix), builder(Era::Modern).over(Transport::Tcp));
    let client = soon(mcp_tokio::pair_with(here, there)).await.unwrap();
    client.call_tool("t", ()).await.unwrap();
    assert_eq!(server.connections(), 1, "the handle is another, the server is not");
    let (called, served) = both(&spans, "tools/call t").await;
    assert_eq!((called.field("network.transport"), served.field("network.transport")), ("tcp", "unix"));

    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let listening = mcp_tokio::listen_tcp(0, server, ListenOptions::default()).await.unwrap();
    let client = soon(mcp_tokio::connect_tcp(listening.address().tcp().unwrap())).await.unwrap();
    client.call_tool("t", ()).await.unwrap();
    let (called, served) = both(&spans, "tools/call t").await;
    assert_eq!((called.field("network.transport"), served.field("network.transport")), ("tcp", "tcp"));
    soon(client.close()).await;

    let child = common::spawn([env!("CARGO_BIN_EXE_peer"), "serve"]).await.unwrap();
    child.list_tools().await.unwrap();
    let listed = spans.one("mcp.client", "tools/list").await;
    assert_eq!(listed.field("network.transport"), "pipe");
    soon(child.close()).await;
}

/// A subscription stays open for days; its span ends with the acknowledgement, at both sides.
#[tokio::test]
async fn the_span_of_a_subscription_ends_when_it_is_open() {
    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let server = Server::new("s", "1").tool(Tool::new("t", "", async || "t"));
    let client = pair(&spans, Era::Modern, server, builder(Era::Modern)).await;
    let changes = soon(client.listen(SubscriptionFilter::new().with_tools_list_changed(true))).await.unwrap();
    let (asked, granted) = both(&spans, "subscriptions/listen").await;
    assert_eq!((failed(&asked), failed(&granted), granted.remote), (("", ""), ("", ""), Some(asked.id)));
    assert!(changes.ended().is_none());
}

/// The metrics of the conventions are events in the form that a metrics layer takes.
#[tokio::test]
async fn durations_are_told_as_metrics() {
    for era in ERAS {
        let (spans, _guard) = Spans::of_this_thread(Level::TRACE);
        let server = Server::new("s", "1").tool(Tool::new("fails", "", async || CallToolResult::error("no")));
        let client = pair(&spans, era, server, builder(era)).await;
        client.call_tool("fails", ()).await.unwrap();
        client.call_tool("made up", ()).await.unwrap_err();
        soon(client.close()).await;
        spans.one("mcp.server.session", "mcp.server.session").await;
        let metrics = spans.events().into_iter().filter(|event| event.target == "mcp::metrics").collect::<Vec<_>>();
        assert!(metrics.iter().all(|event| event.span.is_none() && event.level == Level::TRACE));
        let of = |name: &str, with: [(&str, &str); 3]| {
            let found = metrics.iter().filter(|event| {
                let took = event.fields.get(name).map(|took| took.parse::<f64>().expect("seconds"));
                let has = |(key, value): (&str, &str)| event.fields.get(key).map_or(value.is_empty(), |it| it == value);
                took.is_some_and(|took| (0.0..20.0).contains(&took)) && with.into_iter().all(has)
            });
            found.count()
        };
        let call = ("mcp.method.name", "tools/call");
        for side in ["client", "server"] {
            let operation = format!("histogram.mcp.{side}.operation.duration");
            let failed = [call, ("gen_ai.tool.name", "fails"), ("error.type", "tool_error")];
            assert_eq!(of(&operation, failed), 1, "{era:?} {side}: {metrics:#?}");
            let session = format!("histogram.mcp.{side}.session.duration");
            assert_eq!(of(&session, [("error.type", ""), ("gen_ai.tool.name", ""), ("mcp.method.name", "")]), 1);
        }
        let unknown = |name| [call, ("gen_ai.tool.name", name), ("error.type", "-32602")];
        assert_eq!(of("histogram.mcp.client.operation.duration", unknown("made up")), 1);
        assert_eq!(of("histogram.mcp.server.operation.duration", unknown("")), 1, "a peer makes up no attributes");
    }
}

/// Whoever is not interested is not asked: no span, no event, no propagator's work beyond the writing.
#[tokio::test]
async fn who_wants_warnings_only_sees_no_spans() {
    let (spans, _guard) = Spans::of_this_thread(Level::WARN);
    let server = Server::new("s", "1").tool(Tool::new("t", "", async || "t"));
    for era in ERAS {
        let client = pair(&spans, era, server.clone(), builder(era)).await;
        soon(client.call_tool("t", ())).await.unwrap();
        soon(client.close()).await;
    }
    assert!(spans.all().is_empty() && spans.events().is_empty(), "{:?} {:?}", spans.all(), spans.events());
}

/// What the connections of a server have counted, together: those that are open, and those that are over.
#[tokio::test]
async fn a_server_sums_up_what_its_connections_count() {
    let server = Server::new("s", "1").tool(Tool::new("t", "", async || "t"));
    assert_eq!((server.stats().received, server.connections()), (0, 0));
    let mut first = serve(&server);
    first.initialize("2025-11-25").await;
    first.ask(call(1, "t", json!({}))).await;
    assert_eq!((server.stats().received, server.stats().sent, server.connections()), (3, 2, 1));
    let mut second = serve(&server);
    second.ask(modern(1, "tools/list", json!({}))).await;
    second.line("{").await;
    assert_eq!(second.heard().await["error"]["code"], -32700);
    second.ask(modern(2, "tools/list", json!({}))).await;
    let stats = server.stats();
    assert_eq!((stats.received, stats.broken_rules, server.connections()), (6, 1, 2));
    first.end().await;
    assert_eq!(first.hear().await, None);
    common::until(|| server.connections() == 1).await;
    assert_eq!(server.stats(), stats, "nothing is lost with a connection");
    let fork = server.clone().tool(Tool::new("u", "", async || "u"));
    assert_eq!(fork.stats().received, 0, "another server");
}

/// Over HTTP each request is a span, and one whose client is gone was cancelled.
#[cfg(feature = "http")]
#[tokio::test]
async fn a_request_over_http_is_a_span_also_if_it_is_given_up() {
    use common::web::{Web, modern_post};
    use std::sync::atomic::{AtomicBool, Ordering};

    let (spans, _guard) = Spans::of_this_thread(Level::INFO);
    let waits = Arc::new(AtomicBool::new(false));
    let begun = Arc::clone(&waits);
    let server =
        Server::new("s", "1").tool(Tool::new("fast", "", async || "done")).tool(Tool::new("wait", "", move || {
            begun.store(true, Ordering::SeqCst);
            async {
                pending::<()>().await;
                "never"
            }
        }));
    let listening = soon(mcp_tokio::listen_http(0, server, <_>::default())).await.unwrap();
    let address = listening.address().tcp().unwrap();
    let send = |tool: &str| {
        let call = modern_post(&modern(7, "tools/call", json!({ "name": tool, "arguments": {} })));
        tokio::task::spawn_blocking(move || {
            let mut web = Web::connect(address);
            web.send(call);
            web
        })
    };
    let _answered = soon(send("fast")).await.unwrap();
    let span = spans.one("mcp.server", "tools/call fast").await;
    assert_eq!((span.field("network.transport"), span.field("jsonrpc.request.id")), ("tcp", "7"), "{span:#?}");
    assert_eq!((span.field("mcp.protocol.version"), span.field("error.type")), ("2026-07-28", ""));

    let web = soon(send("wait")).await.unwrap();
    common::until(|| waits.load(Ordering::SeqCst)).await;
    drop(web);
    let span = spans.one("mcp.server", "tools/call wait").await;
    assert_eq!(span.field("error.type"), "cancelled", "{span:#?}");
    assert!(spans.events().iter().all(|event| event.level > Level::WARN), "{:#?}", spans.events());
}
