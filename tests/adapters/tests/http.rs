//! Servers over HTTP, on every runtime: who gets in, what a request is answered with, what ends the server. Every byte by hand.

mod common;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::BOUND;
#[cfg(target_os = "linux")]
use common::descriptors::connected;
use common::each::{Adapter, beside, on_each_runtime, soon, until};
use common::web::{Web, modern_post, request};
use common::{call, modern, request as legacy_request};
use mcp::http::{Caller, Denied, HttpOptions};
use mcp::net::{Bind, Listening};
use mcp::{Context, Server, Tool};
use serde_json::{Value, json};

/// A server with a tool that answers at once, one that answers when the test lets it, and one that tells who asks.
fn server(gate: &Gate) -> Server {
    let gate = gate.clone();
    Server::new("web", "1")
        .tool(Tool::new("echo", "", async |args: BTreeMap<String, String>| args["text"].clone()))
        .tool(Tool::new("wait", "", move |_: Context| {
            let gate = gate.clone();
            async move {
                gate.started.fetch_add(1, Ordering::SeqCst);
                // Closed by the test: there is nothing to receive.
                let _ = gate.wait.recv().await;
                gate.ended.fetch_add(1, Ordering::SeqCst);
                "waited"
            }
        }))
        .tool(Tool::new("whoami", "", async |ctx: Context| {
            let caller = ctx.caller().expect("it came over HTTP");
            format!("{:?} from {}", caller.principal(), caller.address().expect("over TCP").ip())
        }))
}

/// What holds back calls of `wait`.
#[derive(Clone)]
struct Gate {
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    wait: smol::channel::Receiver<()>,
    open: smol::channel::Sender<()>,
}

impl Gate {
    fn new() -> Self {
        let (open, wait) = smol::channel::bounded(1);
        Self { started: Arc::default(), ended: Arc::default(), wait, open }
    }

    fn open(&self) {
        self.open.close();
    }

    /// Waits until so many calls are in work.
    async fn reached(&self, on: &dyn Adapter, calls: usize) {
        until(on, || self.started.load(Ordering::SeqCst) >= calls).await;
    }
}

async fn listen(on: &dyn Adapter, gate: &Gate, options: HttpOptions) -> (Listening, SocketAddr) {
    let listening = on.listen_http(server(gate), options).await.expect("a port");
    let address = listening.address().tcp().expect("a TCP address");
    (listening, address)
}

fn modern_call(id: u32, tool: &str, arguments: Value) -> String {
    modern_post(&modern(id, "tools/call", json!({ "name": tool, "arguments": arguments })))
}

fn text(message: &Value) -> &str {
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {message}"))
}

/// One connection carries requests of both eras, one after the other.
#[test]
fn a_session_by_hand_and_requests_that_need_none() {
    on_each_runtime(async |on| {
        let (_listening, address) = listen(on, &Gate::new(), HttpOptions::default()).await;
        beside(on, move || {
            let mut web = Web::connect(address);
            web.send(modern_post(&modern(1, "server/discover", json!({}))));
            let answer = web.answer();
            assert_eq!((answer.status(), answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
            assert_eq!(answer.json()["result"]["resultType"], "complete", "{answer:?}");

            let answer = web.ask("POST", &[], &initialize("2025-11-25"));
            assert_eq!(answer.message()["result"]["protocolVersion"], "2025-11-25", "{answer:?}");
            let session = answer.header("mcp-session-id").expect("a session").to_owned();
            let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
            let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            let answer = web.ask("POST", &headers, &initialized.to_string());
            assert_eq!((answer.status(), answer.body.as_str()), (202, ""), "{answer:?}");
            let answer = web.ask("POST", &headers, &call(2, "echo", json!({ "text": "hello" })).to_string());
            assert_eq!((answer.message()["id"].as_u64(), text(&answer.message())), (Some(2), "hello"), "{answer:?}");

            web.send(modern_call(3, "echo", json!({ "text": "again" })));
            assert_eq!(text(&web.answer().message()), "again");

            let answer = web.ask("DELETE", &headers, "");
            assert!((200..300).contains(&answer.status()), "{answer:?}");
            let answer = web.ask("POST", &headers, &call(4, "echo", json!({ "text": "x" })).to_string());
            assert_eq!(answer.status(), 404, "{answer:?}");
        })
        .await;
    });
}

/// The beginning of a session.
fn initialize(version: &str) -> String {
    let client = json!({ "name": "raw", "version": "1" });
    let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
    legacy_request(1, "initialize", params).to_string()
}

#[test]
fn who_asks_is_known_to_handlers_in_both_eras() {
    on_each_runtime(async |on| {
        let options = HttpOptions::default().authenticate(async |caller: Caller| {
            let name = caller.headers().get("authorization").and_then(|token| token.to_str().ok()).map(str::to_owned);
            match name.as_deref().and_then(|token| token.strip_prefix("Bearer ")) {
                Some(name) => Ok(caller.with_principal(name)),
                None => Err(Denied::unauthorized("Bearer")),
            }
        });
        let (_listening, address) = listen(on, &Gate::new(), options).await;
        beside(on, move || {
            let mut web = Web::connect(address);
            let whoami = modern_call(1, "whoami", json!({}));
            web.send(&whoami);
            let answer = web.answer();
            assert_eq!((answer.status(), answer.header("www-authenticate")), (401, Some("Bearer")), "{answer:?}");
            let mut web = Web::connect(address);
            for name in ["ann", "bob"] {
                web.send(whoami.replace("Host:", &format!("Authorization: Bearer {name}\r\nHost:")));
                assert_eq!(text(&web.answer().message()), format!("Some(\"{name}\") from 127.0.0.1"));
            }
            let token = ("Authorization", "Bearer ann");
            let answer = web.ask("POST", &[token], &initialize("2025-06-18"));
            let session = answer.header("mcp-session-id").expect("a session").to_owned();
            let headers = [token, ("Mcp-Session-Id", session.as_str())];
            let answer = web.ask("POST", &headers, &call(2, "whoami", json!({})).to_string());
            assert_eq!(text(&answer.message()), "Some(\"ann\") from 127.0.0.1");
        })
        .await;
    });
}

/// Only this machine gets in unless somebody says otherwise, and then web pages do not.
#[test]
fn who_gets_in_follows_from_where_it_listens() {
    on_each_runtime(async |on| {
        let all: SocketAddr = ([0, 0, 0, 0], 0).into();
        let refused = on.listen_http_at(all.into(), server(&Gate::new()), HttpOptions::default()).await;
        assert!(refused.expect_err("not by itself").to_string().contains("Bind::public"));
        let options = HttpOptions::default().allow_origin("https://app.example");
        let public = on.listen_http_at(Bind::public(all), server(&Gate::new()), options).await.expect("a port");
        let port = public.address().tcp().expect("a TCP address").port();
        let (_listening, local) = listen(on, &Gate::new(), HttpOptions::default()).await;
        beside(on, move || {
            let echo = modern_call(1, "echo", json!({ "text": "x" }));
            let ask = |address: SocketAddr, headers: &str| {
                let mut web = Web::connect(address);
                web.send(echo.replace("Host: localhost\r\n", headers));
                web.answer().status()
            };
            let public = SocketAddr::from(([127, 0, 0, 1], port));
            for (headers, to_local, to_public) in [
                ("Host: localhost\r\n", 200, 200),
                ("Host: mcp.example\r\n", 421, 200),
                ("Host: localhost\r\nOrigin: http://localhost:5173\r\n", 200, 403),
                ("Host: localhost\r\nOrigin: https://app.example\r\n", 403, 200),
                ("Host: mcp.example\r\nOrigin: https://evil.example\r\n", 421, 403),
            ] {
                assert_eq!((ask(local, headers), ask(public, headers)), (to_local, to_public), "{headers:?}");
            }
        })
        .await;
    });
}

#[test]
fn options_that_make_no_sense_are_errors() {
    on_each_runtime(async |on| {
        for (options, about) in [
            (HttpOptions::default().path("mcp"), "\"mcp\""),
            (HttpOptions::default().path("/mcp?x"), "\"/mcp?x\""),
            (HttpOptions::default().path("/m cp"), "\"/m cp\""),
            (HttpOptions::default().allow_host("a/b"), "a/b"),
            (HttpOptions::default().allow_origin("app.example"), "app.example"),
        ] {
            let error = on.listen_http(server(&Gate::new()), options).await.expect_err(about);
            assert!(error.to_string().contains(about), "{error}");
        }
    });
}

/// The sockets that this process has accepted at that port, as the system knows them: by who is at their other end.
#[cfg(target_os = "linux")]
fn accepted(port: u16) -> BTreeMap<SocketAddr, socket2::Socket> {
    let at_port = connected().into_iter().filter(|(here, ..)| here.port() == port);
    at_port.map(|(_, there, socket)| (there, socket)).collect()
}

/// 40 ms for every call is what Nagle's algorithm and delayed acknowledgements make of small responses.
#[cfg(target_os = "linux")]
#[test]
fn pain_21_what_is_accepted_sends_at_once() {
    on_each_runtime(async |on| {
        let (listening, address) = listen(on, &Gate::new(), HttpOptions::default()).await;
        let clients = beside(on, move || {
            let mut clients = (0..3).map(|_| Web::connect(address)).collect::<Vec<_>>();
            for web in &mut clients {
                web.send(modern_call(1, "echo", json!({ "text": "x" })));
                assert_eq!(web.answer().status(), 200);
            }
            clients
        })
        .await;
        let accepted = accepted(address.port());
        assert_eq!((accepted.len(), listening.connections()), (3, 3));
        for socket in accepted.into_values() {
            assert!(socket.tcp_nodelay().expect("a socket") && socket.keepalive().expect("a socket"));
        }
        drop(clients);
    });
}

/// And so calls one after the other take no time worth mentioning.
#[test]
fn pain_21_calls_in_a_row_do_not_wait_for_each_other() {
    on_each_runtime(async |on| {
        let (_listening, address) = listen(on, &Gate::new(), HttpOptions::default()).await;
        let mut took = beside(on, move || {
            let mut web = Web::connect(address);
            let calls = (0..100).map(|id| {
                let began = Instant::now();
                web.send(modern_call(id, "echo", json!({ "text": "x" })));
                assert_eq!(web.answer().status(), 200);
                began.elapsed()
            });
            calls.collect::<Vec<_>>()
        })
        .await;
        took.sort();
        println!("half of the calls within {:?}", took[50]);
        assert!(took[50] < Duration::from_millis(25), "{took:?}");
    });
}

#[test]
fn a_slow_call_does_not_delay_a_fast_one() {
    on_each_runtime(async |on| {
        let gate = Gate::new();
        let (_listening, address) = listen(on, &gate, HttpOptions::default()).await;
        let mut slow = Web::connect(address);
        slow.send(modern_call(1, "wait", json!({})));
        gate.reached(on, 1).await;
        beside(on, move || {
            let mut fast = Web::connect(address);
            fast.send(modern_call(1, "echo", json!({ "text": "x" })));
            assert_eq!(text(&fast.answer().message()), "x");
        })
        .await;
        gate.open();
        beside(on, move || assert_eq!(text(&slow.answer().message()), "waited")).await;
    });
}

/// What is in work is answered, idle connections close at once, and nobody comes in any more.
#[test]
fn the_end_in_good_order() {
    on_each_runtime(async |on| {
        let gate = Gate::new();
        let (listening, address) = listen(on, &gate, HttpOptions::default()).await;
        let mut idle = beside(on, move || {
            let mut idle = Web::connect(address);
            idle.send(modern_call(1, "echo", json!({ "text": "x" })));
            assert_eq!(idle.answer().status(), 200);
            idle
        })
        .await;
        let mut busy = Web::connect(address);
        busy.send(modern_call(1, "wait", json!({})));
        gate.reached(on, 1).await;
        let shutdown = common::each::start(on, listening.shutdown(BOUND));
        beside(on, move || assert!(idle.is_closed())).await;
        until(on, || TcpStream::connect(address).is_err()).await;
        gate.open();
        let answer = beside(on, move || busy.answer()).await;
        assert_eq!(text(&answer.message()), "waited");
        let drained = soon(on, shutdown).await;
        assert_eq!((drained.connections, drained.cut), (2, Vec::new()));
    });
}

#[test]
fn what_does_not_finish_in_time_is_cut_and_reported() {
    on_each_runtime(async |on| {
        let gate = Gate::new();
        let (listening, address) = listen(on, &gate, HttpOptions::default()).await;
        let mut in_session = beside(on, move || {
            let mut web = Web::connect(address);
            let answer = web.ask("POST", &[], &initialize("2025-11-25"));
            let session = answer.header("mcp-session-id").expect("a session").to_owned();
            web.request("POST", &[("Mcp-Session-Id", &session)], &call(2, "wait", json!({})).to_string());
            web
        })
        .await;
        let mut alone = Web::connect(address);
        let from = alone.stream.local_addr().expect("connected");
        alone.send(modern_call(1, "wait", json!({})));
        gate.reached(on, 2).await;
        let drained = soon(on, listening.shutdown(Duration::from_millis(100))).await;
        let mut cut = drained.cut.iter().map(|cut| (cut.peer, cut.calls)).collect::<Vec<_>>();
        cut.sort();
        // A session is at no one place.
        assert_eq!((drained.connections, cut), (2, vec![(None, 1), (Some(from), 1)]), "on {}", on.name());
        // They are told so, or disconnected.
        beside(on, move || {
            for web in [&mut alone, &mut in_session] {
                if web.try_head().is_some() {
                    assert!(!web.rest().contains("waited"));
                }
            }
        })
        .await;
        assert_eq!(gate.ended.load(Ordering::SeqCst), 0);
    });
}

/// Streams that would go on for ever end, whole, and nobody waits for them.
#[test]
fn open_streams_end_with_the_server() {
    on_each_runtime(async |on| {
        let (listening, address) = listen(on, &Gate::new(), HttpOptions::default()).await;
        let mut streams = beside(on, move || {
            let mut web = Web::connect(address);
            let answer = web.ask("POST", &[], &initialize("2025-11-25"));
            let session = answer.header("mcp-session-id").expect("a session").to_owned();
            let headers = [("Mcp-Session-Id", session.as_str())];
            let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            assert_eq!(web.ask("POST", &headers, &initialized.to_string()).status(), 202);
            web.request("GET", &headers, "");
            let mut subscription = Web::connect(address);
            let filter = json!({ "notifications": { "toolsListChanged": true } });
            subscription.send(modern_post(&modern(1, "subscriptions/listen", filter)));
            let mut streams = [web, subscription];
            for stream in &mut streams {
                let head = stream.head();
                assert_eq!(head.headers["content-type"], "text/event-stream", "{head:?}");
                assert!(!stream.piece().is_empty());
            }
            streams
        })
        .await;
        let drained = soon(on, listening.shutdown(BOUND)).await;
        assert_eq!((drained.connections, drained.cut), (2, Vec::new()));
        beside(on, move || {
            for stream in &mut streams {
                // To the end of the last chunk.
                stream.rest();
                assert!(stream.is_closed());
            }
        })
        .await;
    });
}

/// How a client under load asks.
#[derive(Clone, Copy)]
enum Asks {
    /// In requests that stand alone.
    Alone,
    /// In a session.
    InASession,
}

/// Asks again and again until the port is closed; how many answers came. An answer that has begun comes whole.
fn ask_on_and_on(address: SocketAddr, asks: Asks, answered: &AtomicUsize) {
    while let Some(mut web) = TcpStream::connect(address).ok().and_then(Web::of) {
        let mut request = modern_call(1, "count", json!({}));
        if matches!(asks, Asks::InASession) {
            if web.try_send(common::web::request("POST", &[], &initialize("2025-06-18"))).is_err() {
                return;
            }
            let Some(head) = web.try_head() else { return };
            let Some(session) = head.headers.get("mcp-session-id").cloned() else {
                // No session is begun at the end.
                assert_eq!(head.status, 503, "{head:?}");
                return;
            };
            web.rest();
            let headers = [("Mcp-Session-Id", session.as_str())];
            request = common::web::request("POST", &headers, &call(1, "count", json!({})).to_string());
        }
        while web.try_send(&request).is_ok() {
            let Some(head) = web.try_head() else { break };
            if head.status != 200 {
                // It came when the session was over; its handler has not run.
                assert!([404, 503].contains(&head.status), "{head:?}");
                break;
            }
            assert!(web.rest().len() > 50_000);
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Under load: whatever has begun is answered, whole.
#[test]
fn no_answer_is_lost_at_the_end() {
    on_each_runtime(async |on| {
        let begun = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&begun);
        let server = Server::new("web", "1").tool(Tool::new("count", "", move || {
            counts.fetch_add(1, Ordering::SeqCst);
            async { "x".repeat(50_000) }
        }));
        let listening = on.listen_http(server, HttpOptions::default()).await.expect("a port");
        let address = listening.address().tcp().expect("a TCP address");
        let answered = Arc::new(AtomicUsize::new(0));
        let clients = [Asks::Alone, Asks::InASession].repeat(4).into_iter().map(|asks| {
            let answered = Arc::clone(&answered);
            thread::spawn(move || ask_on_and_on(address, asks, &answered))
        });
        let clients = clients.collect::<Vec<_>>();
        until(on, || answered.load(Ordering::SeqCst) > 50).await;
        let drained = soon(on, listening.shutdown(BOUND)).await;
        assert_eq!(drained.cut, Vec::new());
        beside(on, move || clients.into_iter().for_each(|client| client.join().expect("no panic"))).await;
        assert_eq!(begun.load(Ordering::SeqCst), answered.load(Ordering::SeqCst));
    });
}

/// One server, at once over HTTP and in memory: what changes, changes for both.
#[test]
fn one_server_on_two_transports() {
    on_each_runtime(async |on| {
        let server = server(&Gate::new());
        let listening = on.listen_http(server.clone(), HttpOptions::default()).await.expect("a port");
        let address = listening.address().tcp().expect("a TCP address");
        let client = on.pair(server.clone(), mcp::Client::builder("memory", "1")).await.expect("a client");
        let new = Tool::new("new", "", async || "new");
        let add = |edit: &mut mcp::Edit| {
            edit.tool(new);
        };
        server.update(add).expect("a name of its own");
        assert_eq!(soon(on, client.call_tool("new", ())).await.expect("an answer").joined_text(), "new");
        beside(on, move || {
            let mut web = Web::connect(address);
            web.send(modern_call(1, "new", json!({})));
            assert_eq!(text(&web.answer().message()), "new");
        })
        .await;
    });
}

/// Proxies and load balancers send request after request without waiting.
#[test]
fn requests_in_a_row_are_answered_in_a_row() {
    on_each_runtime(async |on| {
        let (_listening, address) = listen(on, &Gate::new(), HttpOptions::default()).await;
        beside(on, move || {
            let mut web = Web::connect(address);
            let calls = (0..20).map(|id| modern_call(id, "echo", json!({ "text": format!("{id}") })));
            web.send(calls.collect::<String>());
            for id in 0..20 {
                let message = web.answer().message();
                assert_eq!((&message["id"], text(&message)), (&json!(id), id.to_string().as_str()));
            }
        })
        .await;
    });
}

#[test]
fn health_is_asked_for_beside_the_endpoint() {
    on_each_runtime(async |on| {
        let (_listening, address) = listen(on, &Gate::new(), HttpOptions::default().health()).await;
        beside(on, move || {
            let mut web = Web::connect(address);
            for path in ["/livez", "/readyz"] {
                web.send(request("GET", &[], "").replace("/mcp", path));
                assert_eq!(web.answer().body, "ok\n");
            }
        })
        .await;
    });
}
