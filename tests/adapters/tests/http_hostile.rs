//! What strangers do to a server over HTTP, on every runtime: whatever it is, it ends their own connection at most, in time, and
//! nothing of it is left.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::each::{Adapter, beside, on_each_runtime, soon, until};
use common::web::{Web, modern_post, request};
use common::{BOUND, modern};
use mcp::http::{HttpLimits, HttpOptions};
use mcp::net::Listening;
use mcp::{Budget, Server, Tool};
use serde_json::json;

/// Short times, so that tests see their end.
fn options() -> HttpOptions {
    let soon = Duration::from_millis(300);
    HttpOptions::default().silence(soon).body_within(soon).stalled(soon)
}

fn server() -> Server {
    Server::new("web", "1").tool(Tool::new("large", "", async || "x".repeat(4 << 20)))
}

async fn listen(on: &dyn Adapter, server: Server, options: HttpOptions) -> (Listening, SocketAddr) {
    let listening = on.listen_http(server, options).await.expect("a port");
    let address = listening.address().tcp().expect("a TCP address");
    (listening, address)
}

fn discover() -> String {
    modern_post(&modern(1, "server/discover", json!({})))
}

fn large() -> String {
    modern_post(&modern(1, "tools/call", json!({ "name": "large", "arguments": {} })))
}

/// That others are served as if nothing were.
fn is_served(address: SocketAddr) {
    let mut web = Web::connect(address);
    web.send(discover());
    assert_eq!(web.answer().status(), 200);
}

/// Nobody may occupy a place with nothing, or a byte now and then.
#[test]
fn who_says_nothing_or_too_slowly_is_disconnected() {
    on_each_runtime(async |on| {
        let (listening, address) = listen(on, server(), options()).await;
        beside(on, move || {
            let mut silent = Web::connect(address);
            let mut slow = Web::connect(address);
            let mut slow_body = Web::connect(address);
            slow.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: ");
            slow_body.send(request("POST", &[("Content-Length", "100000")], ""));
            is_served(address);
            let mut idle = Web::connect(address);
            idle.send(discover());
            assert_eq!(idle.answer().status(), 200);
            // Until each is disconnected, or answered.
            let mut dripping = [&mut slow, &mut slow_body];
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_millis(600) {
                for web in &mut dripping {
                    let _ = web.try_send("x");
                }
                std::thread::sleep(Duration::from_millis(20)); // slow on purpose
            }
            assert!(silent.is_closed() && slow.is_closed() && idle.is_closed());
            assert_eq!(slow_body.answer().status(), 408);
            is_served(address);
        })
        .await;
        until(on, || listening.connections() == 0).await;
    });
}

/// Answers that nobody takes are not kept for ever.
#[test]
fn who_never_reads_is_disconnected() {
    on_each_runtime(async |on| {
        let budget = Budget::new(64 << 20);
        let (listening, address) = listen(on, server().budget(budget.clone()), options()).await;
        let clients = beside(on, move || {
            let clients = (0..4).map(|_| {
                let mut web = Web::connect(address);
                web.send(large());
                web
            });
            clients.collect::<Vec<_>>()
        })
        .await;
        until(on, || listening.connections() == 0).await;
        until(on, || budget.used() == 0).await;
        drop(clients);
        beside(on, move || is_served(address)).await;
    });
}

/// Whoever asks again and again without reading is not read on.
#[test]
fn who_only_asks_is_held_back_and_then_disconnected() {
    on_each_runtime(async |on| {
        let begun = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&begun);
        let server = Server::new("web", "1").tool(Tool::new("large", "", move || {
            counts.fetch_add(1, Ordering::SeqCst);
            async { "x".repeat(1 << 20) }
        }));
        let (listening, address) = listen(on, server, options()).await;
        beside(on, move || {
            let mut web = Web::connect(address);
            let asked = large().repeat(20);
            while web.try_send(&asked).is_ok() {}
        })
        .await;
        until(on, || listening.connections() == 0).await;
        // What fits into the sockets on the way, and no more.
        let begun = begun.load(Ordering::SeqCst);
        assert!(begun < 40, "{begun} calls for one who does not read");
    });
}

#[test]
fn pain_11_forged_names_get_nowhere_on_any_method() {
    on_each_runtime(async |on| {
        let (_listening, address) = listen(on, server(), HttpOptions::default()).await;
        beside(on, move || {
            for method in ["POST", "GET", "DELETE", "PUT", "OPTIONS"] {
                for (headers, status) in [
                    (&[("Host", "evil.example")][..], 421),
                    (&[("Host", "127.0.0.1.evil.example:8000")], 421),
                    (&[("Host", "localhost@evil.example")], 400),
                    (&[("Host", "localhost"), ("Host", "evil.example")], 400),
                    (&[("Host", "")], 400),
                    (&[("Origin", "http://evil.example")], 403),
                    (&[("Origin", "http://localhost.evil.example")], 403),
                    (&[("Origin", "null")], 403),
                ] {
                    // The body that is told of never comes.
                    let length = [("Content-Length", "1000")];
                    let headers = [headers, &length].concat();
                    let answer = Web::connect(address).ask(method, &headers, "");
                    assert_eq!(answer.status(), status, "{method} {headers:?}: {answer:?}");
                }
            }
            // A target that is a whole URL is one more place for a name.
            let mut web = Web::connect(address);
            web.send(discover().replace("POST /mcp", "POST http://evil.example/mcp"));
            assert!([400, 421].contains(&web.answer().status()));
        })
        .await;
    });
}

#[test]
fn pain_42_no_line_end_and_no_nul_gets_into_a_header() {
    on_each_runtime(async |on| {
        let (_listening, address) = listen(on, server(), HttpOptions::default()).await;
        beside(on, move || {
            for name in ["Mcp-Session-Id", "Last-Event-ID", "Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "X-Other"]
            {
                for value in ["a\0b", "a\rb", "a\nb", "a\u{b}b", "\u{7f}"] {
                    let mut web = Web::connect(address);
                    web.send(discover().replacen("Host:", &format!("{name}: {value}\r\nHost:"), 1));
                    let answer = web.answer();
                    assert_eq!(answer.status(), 400, "{name}: {value:?}: {answer:?}");
                    assert!(!answer.body.contains(value), "{answer:?}");
                }
            }
            // A header of the body's own making: two requests in one, for whoever reads them differently.
            for smuggled in [
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "Content-Length: +5\r\n",
                "Content-Length: 5, 5\r\n",
                "Transfer-Encoding: chunked, identity\r\n",
                "Transfer-Encoding: xchunked\r\n",
            ] {
                let mut web = Web::connect(address);
                let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n";
                web.send(format!("{head}{smuggled}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"));
                let answer = web.answer();
                assert!((400..500).contains(&answer.status()), "{smuggled:?}: {answer:?}");
                assert!(web.try_head().is_none_or(|head| head.status >= 400), "{smuggled:?}: one request");
            }
            is_served(address);
        })
        .await;
    });
}

/// What is too large is refused by its right name, and its sender hears so although it is still sending.
#[test]
fn pain_23_what_is_too_large_is_refused() {
    on_each_runtime(async |on| {
        let mut limits = HttpLimits::default();
        limits.body = 100_000;
        let (listening, address) = listen(on, server(), HttpOptions::default().limits(limits)).await;
        beside(on, move || {
            let body = "x".repeat(1 << 20);
            let mut told = Web::connect(address);
            let _ = told.try_send(request("POST", &[], &body));
            assert_eq!(told.answer().status(), 413);
            let mut untold = Web::connect(address);
            let headers = [("Content-Length", ""), ("Transfer-Encoding", "chunked")];
            untold.send(request("POST", &headers, ""));
            let _ = untold.try_send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
            assert_eq!(untold.answer().status(), 413);
            let mut head = Web::connect(address);
            let _ = head.try_send(request("POST", &[("X", &"x".repeat(100_000))], ""));
            assert_eq!(head.answer().status(), 431);
            let mut many = Web::connect(address);
            let _ = many.try_send(request("POST", &[("X", "y"); 200], ""));
            assert_eq!(many.answer().status(), 431);
            is_served(address);
        })
        .await;
        until(on, || listening.connections() == 0).await;
    });
}

/// More connections than there may be: the ones too many are closed at once, and the others notice nothing.
#[test]
fn pain_23_connections_are_bounded() {
    on_each_runtime(async |on| {
        let (listening, address) = listen(on, server(), HttpOptions::default().connections(3)).await;
        let mut clients = beside(on, move || {
            let clients = (0..3).map(|_| {
                let mut web = Web::connect(address);
                web.send(discover());
                assert_eq!(web.answer().status(), 200);
                web
            });
            clients.collect::<Vec<_>>()
        })
        .await;
        let mut clients = beside(on, move || {
            assert!(Web::connect(address).is_closed());
            for web in &mut clients {
                web.send(discover());
                assert_eq!(web.answer().status(), 200);
            }
            clients
        })
        .await;
        clients.pop();
        until(on, || listening.connections() < 3).await;
        beside(on, move || is_served(address)).await;
    });
}

/// Whoever breaks off at any byte leaves nothing behind.
#[test]
fn a_request_that_breaks_off_anywhere_leaves_nothing() {
    on_each_runtime(async |on| {
        let budget = Budget::new(64 << 20);
        let (listening, address) = listen(on, server().budget(budget.clone()), HttpOptions::default()).await;
        beside(on, move || {
            let whole = discover();
            for end in 0..whole.len() {
                Web::connect(address).send(&whole[..end]);
            }
            is_served(address);
        })
        .await;
        until(on, || listening.connections() == 0 && budget.used() == 0).await;
        let drained = soon(on, listening.shutdown(BOUND)).await;
        assert_eq!(drained.cut, Vec::new());
    });
}
