//! Requests that stand alone, over sockets and on every runtime: each is an exchange of its own. All of 2026-07-28 do, and whoever closes
//! one has cancelled it; before that those of servers do that keep no sessions. Every byte by hand.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::each::{Adapter, beside, on_each_runtime, until};
use common::web::{Web, modern_post, request};
use common::{modern, request as legacy};
use mcp::http::{HttpLimits, HttpOptions, Keeping};
use mcp::model::{ElicitResult, LoggingLevel};
use mcp::net::Listening;
use mcp::{Budget, Change, Context, Error, Form, Item, Server, Tool, ToolError};
use serde_json::{Map, Value, json};

/// How many handlers are at work, and what holds them.
#[derive(Clone)]
struct Work {
    alive: Arc<AtomicUsize>,
    /// How many were not given up.
    done: Arc<AtomicUsize>,
    /// Closed by the test: there is nothing to receive.
    wait: smol::channel::Receiver<()>,
    open: smol::channel::Sender<()>,
}

/// A handler at work; one that is dropped is none.
struct Alive(Work);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Work {
    fn new() -> Self {
        let (open, wait) = smol::channel::bounded(1);
        Self { alive: Arc::default(), done: Arc::default(), wait, open }
    }

    fn begin(&self) -> Alive {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Alive(self.clone())
    }

    fn count(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// Until the test lets it end.
    async fn opened(&self) {
        let _ = self.wait.recv().await;
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

fn server(work: &Work, budget: &Budget) -> Server {
    let (waits, tells, blocks) = (work.clone(), work.clone(), work.clone());
    let schema = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" }, "text": { "type": "string" } } });
    let Value::Object(schema) = schema else { unreachable!("an object") };
    Server::new("s", "1")
        .budget(budget.clone())
        .logging()
        .tool(Tool::new("fast", "", async || "done"))
        .tool(Tool::new("fails", "", async || Err::<String, _>(ToolError::new("no"))))
        .tool(Tool::new("large", "", async || "x".repeat(200_000)))
        .tool(Tool::new("placed", "", async |_: Map<String, Value>| "placed").input_schema(schema))
        .tool(Tool::new("wait", "", move || {
            let work = waits.clone();
            let alive = work.begin();
            async move {
                work.opened().await;
                drop(alive);
                "waited"
            }
        }))
        .tool(Tool::new("tell", "", move |ctx: Context| {
            let work = tells.clone();
            let alive = work.begin();
            async move {
                ctx.progress(1, 3)?;
                ctx.log(LoggingLevel::Info, "going on")?;
                ctx.progress(2, 3)?;
                work.opened().await;
                drop(alive);
                Ok::<_, Error>("told")
            }
        }))
        .tool(
            Tool::new("block", "", move |ctx: Context| {
                let alive = blocks.begin();
                async move {
                    while !ctx.is_cancelled() {
                        std::thread::yield_now();
                    }
                    drop(alive);
                    "blocked"
                }
            })
            .blocking(),
        )
        .tool(Tool::new("ask", "", async |ctx: Context| {
            let answer: ElicitResult = ctx.elicit("name", Form::of::<Name>("Who are you?")).await?;
            let name = mcp::accepted::<Name>(&answer)?.map_or_else(|| "nobody".to_owned(), |form| form.name);
            Ok::<_, Error>(format!("hello {name}"))
        }))
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

/// A server at work.
struct Site {
    server: Server,
    work: Work,
    budget: Budget,
    listening: Listening,
    address: SocketAddr,
}

impl Site {
    async fn open(on: &dyn Adapter, options: HttpOptions) -> Self {
        let (work, budget) = (Work::new(), Budget::new(64 << 20));
        let server = server(&work, &budget);
        let listening = on.listen_http(server.clone(), options).await.expect("a port");
        let address = listening.address().tcp().expect("a TCP address");
        Self { server, work, budget, listening, address }
    }

    /// Nothing is left of any exchange, and the next one is served.
    async fn is_clean(&self, on: &dyn Adapter) {
        until(on, || self.work.count() == 0).await;
        until(on, || self.server.connections() == 0 && self.budget.used() == 0).await;
        let address = self.address;
        beside(on, move || {
            let mut web = Web::connect(address);
            web.send(call("fast"));
            assert_eq!(web.answer().message()["result"]["content"][0]["text"], "done");
        })
        .await;
    }
}

fn call(tool: &str) -> String {
    modern_post(&call_with(tool, json!({})))
}

fn call_with(tool: &str, arguments: Value) -> Value {
    let mut call = modern(7, "tools/call", json!({ "name": tool, "arguments": arguments }));
    let meta = &mut call["params"]["_meta"];
    meta["progressToken"] = json!("token");
    meta["io.modelcontextprotocol/logLevel"] = json!("info");
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": { "form": {} } });
    call
}

/// The messages in pieces of a stream of events.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

/// basic/transports/streamable-http: "MUST return HTTP 404" for an unknown method, 400 for what is missing, unsupported or says two
/// things; and the error has the id of its request.
#[test]
fn every_outcome_has_its_status() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default()).await;
        let address = site.address;
        beside(on, move || {
            let mut web = Web::connect(address);
            let without_meta = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {} }).to_string();
            let unknown = modern(7, "tools/list", json!({})).to_string().replace("2026-07-28", "2099-01-01");
            let in_2026 = ("MCP-Protocol-Version", "2026-07-28");
            let list = ("Mcp-Method", "tools/list");
            for (request, status, code) in [
                (call("fast"), 200, None),
                (call("fails"), 200, None),
                (call("nobody"), 400, Some(-32602)),
                (modern_post(&modern(7, "no/such", json!({}))), 404, Some(-32601)),
                (modern_post(&modern(7, "ping", json!({}))), 404, Some(-32601)),
                (modern_post(&modern(7, "initialize", json!({}))), 404, Some(-32601)),
                (request("POST", &[in_2026], &without_meta), 400, Some(-32602)),
                (request("POST", &[in_2026, list], &call_with("fast", json!({})).to_string()), 400, Some(-32020)),
                (request("POST", &[("MCP-Protocol-Version", "2099-01-01"), list], &unknown), 400, Some(-32022)),
                (request("POST", &[in_2026, list], &unknown), 400, Some(-32020)),
            ] {
                web.send(&request);
                let answer = web.answer();
                let body = answer.json();
                assert_eq!((answer.status(), body["error"]["code"].as_i64()), (status, code), "{request}\n{body}");
                assert_eq!(body["id"], 7, "{body}");
            }
            web.send(request("POST", &[in_2026], r#"{"jsonrpc":"2.0","method":"notifications/anything"}"#));
            let accepted = web.answer();
            assert_eq!((accepted.status(), accepted.body.as_str()), (202, ""));
            for method in ["GET", "DELETE"] {
                web.send(request(method, &[in_2026], ""));
                let refused = web.answer();
                assert_eq!((refused.status(), refused.header("allow")), (405, Some("POST")), "{method}");
            }
        })
        .await;
        site.is_clean(on).await;
    });
}

/// Everything in its order, on the one stream of its request; the reply is the last.
#[test]
fn what_a_handler_says_comes_on_the_stream_of_its_request() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default()).await;
        site.work.open.close();
        let address = site.address;
        beside(on, move || {
            let mut web = Web::connect(address);
            for _ in 0..3 {
                web.send(call("tell"));
                let answer = web.answer();
                assert_eq!(answer.header("content-type"), Some("text/event-stream"));
                assert_eq!(answer.header("cache-control"), Some("no-cache"));
                assert_eq!(answer.header("x-accel-buffering"), Some("no"));
                let events = events(&answer.body);
                let said = events.iter().map(|event| event["method"].as_str()).collect::<Vec<_>>();
                let (progress, log) = (Some("notifications/progress"), Some("notifications/message"));
                assert_eq!(said, [progress, log, progress, None]);
                assert_eq!(events[3]["result"]["content"][0]["text"], "told");
            }
            web.send(call("large"));
            assert!(
                web.answer().message()["result"]["content"][0]["text"].as_str().is_some_and(|it| it.len() == 200_000)
            );
        })
        .await;
        site.is_clean(on).await;
    });
}

/// "Servers MUST treat a closed response as cancellation": before the head and after it, of handlers that wait, and of those that block.
#[test]
fn whoever_closes_the_response_has_cancelled_the_request() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default()).await;
        for tool in ["wait", "block", "tell"] {
            let address = site.address;
            let mut web = beside(on, move || {
                let mut web = Web::connect(address);
                web.send(call(tool));
                web
            })
            .await;
            until(on, || site.work.count() == 1).await;
            if tool == "tell" {
                web = beside(on, move || {
                    assert_eq!(web.head().status, 200);
                    assert!(!web.piece().is_empty());
                    web
                })
                .await;
            }
            drop(web);
            until(on, || site.work.count() == 0).await;
            site.is_clean(on).await;
        }
    });
}

/// A slow answer is not taken for a dead one: the stream is opened in time, and shows that it lives.
#[test]
fn pain_15_signs_of_life_come_in_time() {
    on_each_runtime(async |on| {
        let mut limits = HttpLimits::default();
        (limits.late_commit, limits.keep_alive) = (Duration::from_millis(20), Duration::from_millis(20));
        let site = Site::open(on, HttpOptions::default().limits(limits)).await;
        let (address, work) = (site.address, site.work.clone());
        beside(on, move || {
            let mut web = Web::connect(address);
            web.send(call("wait"));
            assert_eq!(web.head().headers["content-type"], "text/event-stream");
            for _ in 0..3 {
                let piece = web.piece();
                assert!(piece.starts_with(b":") && piece.ends_with(b"\n\n"), "{:?}", String::from_utf8_lossy(&piece));
            }
            work.open.close();
            let reply = events(&web.rest()).pop().expect("the reply");
            assert_eq!(reply["result"]["content"][0]["text"], "waited");
        })
        .await;
        site.is_clean(on).await;
    });
}

/// A subscription hears of every change that is made while its client is there, and of nothing else; at the end of the server it ends with
/// its result.
#[test]
fn a_subscription_is_a_stream_until_either_side_ends_it() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default()).await;
        let address = site.address;
        let listen = || {
            let filter = json!({ "notifications": { "toolsListChanged": true } });
            modern_post(&modern("sub", "subscriptions/listen", filter))
        };
        let server = site.server.clone();
        let web = beside(on, move || {
            let mut web = Web::connect(address);
            web.send(listen());
            assert_eq!(web.head().status, 200);
            let mut heard = String::new();
            while !heard.contains("acknowledged") {
                heard += &String::from_utf8(web.piece()).expect("UTF-8");
            }
            assert!(heard.starts_with(':'), "a sign of life comes first: {heard}");
            server
                .update(|edit| {
                    edit.disable(Item::Tool("large"));
                })
                .expect("a change");
            server.changed(Change::Prompts);
            let told = events(&String::from_utf8(web.piece()).expect("UTF-8"));
            assert_eq!(told[0]["method"], "notifications/tools/list_changed");
            assert_eq!(told[0]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "sub");
            web
        })
        .await;
        assert_eq!(site.server.connections(), 1);
        drop(web);
        site.is_clean(on).await;

        let Site { server, listening, .. } = site;
        let web = beside(on, move || {
            let mut web = Web::connect(address);
            web.send(listen());
            assert_eq!(web.head().status, 200);
            web
        })
        .await;
        let ending = beside(on, move || {
            let mut web = web;
            events(&web.rest()).pop().expect("a result")
        });
        let (result, _) = futures_lite::future::zip(ending, listening.shutdown(common::BOUND)).await;
        assert_eq!((&result["id"], &result["result"]["resultType"]), (&json!("sub"), &json!("complete")));
        assert_eq!(server.connections(), 0);
    });
}

/// Whenever a client breaks off, in its request or in the response, nothing of the exchange is left.
#[test]
fn a_client_that_breaks_off_at_any_moment_leaves_nothing() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default()).await;
        let address = site.address;
        beside(on, move || {
            for tool in ["fast", "wait", "tell", "block", "large"] {
                let call = call(tool);
                for cut in (0..call.len()).step_by(61).chain([call.len() - 1, call.len()]) {
                    Web::connect(address).send(&call[..cut]);
                }
                if tool == "wait" || tool == "block" {
                    continue;
                }
                for pieces in 0..4 {
                    let mut web = Web::connect(address);
                    web.send(&call);
                    web.head();
                    for _ in 0..pieces.min(if tool == "tell" { 3 } else { 1 }) {
                        web.piece();
                    }
                }
            }
        })
        .await;
        site.is_clean(on).await;
    });
}

/// A question is the answer to the request, and its answer comes with the next one: nothing is held in between.
#[test]
fn a_question_is_asked_and_answered_in_two_exchanges() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default()).await;
        let address = site.address;
        beside(on, move || {
            let mut web = Web::connect(address);
            web.send(call("ask"));
            let asked = web.answer().message();
            assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
            drop(web);
            let mut again = call_with("ask", json!({}));
            again["id"] = json!(8);
            again["params"]["requestState"] = asked["result"]["requestState"].clone();
            again["params"]["inputResponses"] = json!({ "name": { "action": "accept", "content": { "name": "Ann" } } });
            let mut web = Web::connect(address);
            web.send(modern_post(&again));
            assert_eq!(web.answer().message()["result"]["content"][0]["text"], "hello Ann");
        })
        .await;
        site.is_clean(on).await;
    });
}

/// server/tools, `x-mcp-header`: "Servers MUST reject" a header that is missing, malformed, or says something else than its argument.
#[test]
fn mirrored_arguments_say_what_their_headers_say() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default()).await;
        let address = site.address;
        beside(on, move || {
            let mut web = Web::connect(address);
            for (region, arguments, is_right) in [
                (Some("eu"), json!({ "region": "eu" }), true),
                (Some("=?base64?w6k=?="), json!({ "region": "é" }), true),
                (None, json!({ "text": "x" }), true),
                (Some("us"), json!({ "region": "eu" }), false),
                (None, json!({ "region": "eu" }), false),
                (Some("eu"), json!({}), false),
                (Some("=?base64?***?="), json!({ "region": "eu" }), false),
                (Some("=?base64?ZXU?="), json!({ "region": "eu" }), false),
            ] {
                let body = call_with("placed", arguments.clone()).to_string();
                let headers = [
                    ("MCP-Protocol-Version", "2026-07-28"),
                    ("Mcp-Method", "tools/call"),
                    ("Mcp-Name", "placed"),
                    ("Mcp-Param-Region", region.unwrap_or_default()),
                ];
                let answer = web.ask("POST", &headers, &body);
                let code = answer.json()["error"]["code"].as_i64();
                let expected = if is_right { (200, None) } else { (400, Some(-32020)) };
                assert_eq!((answer.status(), code), expected, "{region:?} {arguments} {}", answer.body);
            }
        })
        .await;
        site.is_clean(on).await;
    });
}

/// A server whose connections hold too much says so with a status of its own, and when to come again.
#[test]
fn who_comes_when_there_is_no_room_may_come_again() {
    on_each_runtime(async |on| {
        let server = Server::new("s", "1").budget(Budget::new(0)).tool(Tool::new("fast", "", async || "done"));
        let listening = on.listen_http(server, HttpOptions::default()).await.expect("a port");
        let address = listening.address().tcp().expect("a TCP address");
        beside(on, move || {
            let mut web = Web::connect(address);
            web.send(call("fast"));
            let refused = web.answer();
            assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")), "{refused:?}");
            assert_eq!(refused.json()["error"]["data"]["retryable"], true);
        })
        .await;
    });
}

/// A server that keeps nothing: it gives no session, each message says its revision, and there is no stream beside those of requests.
#[test]
fn without_sessions_every_message_says_its_revision() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default().sessions(Keeping::Nothing)).await;
        let address = site.address;
        beside(on, move || {
            let mut web = Web::connect(address);
            let client = json!({ "name": "c", "version": "1" });
            let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
            let answer = web.ask("POST", &[], &legacy(1, "initialize", params).to_string());
            assert_eq!((answer.status(), answer.header("mcp-session-id")), (200, None));
            assert_eq!(answer.json()["result"]["protocolVersion"], "2025-06-18");
            for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
                // An id of before means nothing here.
                let headers = [("MCP-Protocol-Version", version), ("Mcp-Session-Id", "old")];
                let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
                assert_eq!(web.ask("POST", &headers, initialized).status(), 202);
                let call = |id: u32, tool: &str| legacy(id, "tools/call", json!({ "name": tool }));
                let answer = web.ask("POST", &headers, &call(2, "fast").to_string());
                assert_eq!((answer.status(), &answer.json()["id"]), (200, &json!(2)));
                // Errors are answers.
                assert_eq!(web.ask("POST", &headers, &call(3, "nobody").to_string()).status(), 200);
                let batch = web.ask("POST", &headers, &json!([call(4, "fast"), call(5, "fast")]).to_string());
                match version {
                    "2025-03-26" => assert_eq!((batch.status(), events(&batch.body).len()), (200, 2)),
                    _ => assert_eq!((batch.status(), &batch.json()["error"]["code"]), (400, &json!(-32600))),
                }
            }
            let unknown =
                web.ask("POST", &[("MCP-Protocol-Version", "1999-01-01")], &legacy(6, "ping", json!({})).to_string());
            assert_eq!((unknown.status(), &unknown.json()["id"]), (400, &json!(6)));
            for method in ["GET", "DELETE"] {
                let refused = web.ask(method, &[("Mcp-Session-Id", "old")], "");
                assert_eq!((refused.status(), refused.header("allow")), (405, Some("POST")), "{method}");
            }
        })
        .await;
        site.is_clean(on).await;
    });
}

/// basic/transports (until 2025-11-25): "Disconnection SHOULD NOT be interpreted as the client cancelling its request".
#[test]
fn a_client_without_a_session_that_leaves_has_cancelled_nothing() {
    on_each_runtime(async |on| {
        let site = Site::open(on, HttpOptions::default().sessions(Keeping::Nothing)).await;
        let address = site.address;
        let web = beside(on, move || {
            let mut web = Web::connect(address);
            let call = legacy(1, "tools/call", json!({ "name": "wait" })).to_string();
            web.send(request("POST", &[("MCP-Protocol-Version", "2025-11-25")], &call));
            web
        })
        .await;
        until(on, || site.work.count() == 1).await;
        drop(web);
        // Its connection is gone, and the call is not.
        until(on, || site.listening.connections() == 0).await;
        assert_eq!(site.work.count(), 1);
        site.work.open.close();
        site.is_clean(on).await;
        assert_eq!(site.work.done(), 1);
    });
}
