//! Sessions over HTTP, on every runtime, by raw HTTP: whose they are, what a client that lost a stream gets, and what clients leave behind.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::BOUND;
use common::each::{Adapter, beside, on_each_runtime, until};
use common::web::{Answer, Head, Web, request};
use common::{call, request as message};
use mcp::http::{Caller, HttpLimits, HttpOptions};
use mcp::model::Progress;
use mcp::net::Listening;
use mcp::{Change, Context, HandlerError, Server, Tool};
use serde_json::{Value, json};

/// What the tools of the server share with the test.
#[derive(Clone, Default)]
struct Gate {
    /// Calls of `wait` that have begun ...
    begun: Arc<AtomicUsize>,
    /// ... and those that were cancelled.
    cancelled: Arc<AtomicUsize>,
    door: Arc<Mutex<Door>>,
}

#[derive(Default)]
struct Door {
    is_open: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    async fn wait(&self) {
        let mut call = Call { gate: self.clone(), finished: false };
        self.begun.fetch_add(1, Ordering::SeqCst);
        poll_fn(|cx| {
            let mut door = self.door.lock().expect("no panic");
            if door.is_open {
                return Poll::Ready(());
            }
            door.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
        call.finished = true;
    }

    fn open(&self) {
        let waiting = {
            let mut door = self.door.lock().expect("no panic");
            door.is_open = true;
            std::mem::take(&mut door.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn shut(&self) {
        self.door.lock().expect("no panic").is_open = false;
    }

    /// Waits until so many calls have begun; beside the runtime.
    fn reached(&self, calls: usize) {
        let since = Instant::now();
        while self.begun.load(Ordering::SeqCst) < calls {
            assert!(since.elapsed() < BOUND, "not {calls} calls");
            std::thread::yield_now();
        }
    }
}

/// A call of `wait`. One that goes away unfinished was cancelled.
struct Call {
    gate: Gate,
    finished: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.gate.cancelled.fetch_add(usize::from(!self.finished), Ordering::SeqCst);
    }
}

fn server(gate: &Gate) -> Server {
    let (wait, report, flood) = (gate.clone(), gate.clone(), gate.clone());
    Server::new("web", "1")
        .tool(Tool::new("echo", "", async |args: BTreeMap<String, String>| args["text"].clone()))
        .tool(Tool::new("wait", "", move |_: Context| {
            let gate = wait.clone();
            async move {
                gate.wait().await;
                "waited"
            }
        }))
        .tool(Tool::new("report", "Forty reports, then the answer.", move |ctx: Context| {
            let gate = report.clone();
            async move {
                for step in 1..=20 {
                    ctx.report(Progress::new(f64::from(step)))?;
                }
                gate.wait().await;
                for step in 21..=40 {
                    ctx.report(Progress::new(f64::from(step)))?;
                }
                Ok::<_, HandlerError>("reported")
            }
        }))
        .tool(Tool::new("flood", "Says much, then waits.", move |ctx: Context| {
            let gate = flood.clone();
            async move {
                for step in 1..=3000 {
                    ctx.report(Progress::new(f64::from(step)).with_message("x".repeat(1000)))?;
                }
                gate.wait().await;
                Ok::<_, HandlerError>("flooded")
            }
        }))
        .tool(Tool::new("suspend", "", async |ctx: Context| {
            let suspended = ctx.suspend_stream(Duration::from_millis(50));
            format!("suspended: {suspended}")
        }))
        .tool(Tool::new("whoami", "", async |ctx: Context| {
            ctx.caller().and_then(|caller| caller.principal()).unwrap_or("nobody").to_owned()
        }))
}

async fn listen(on: &dyn Adapter, gate: &Gate, options: HttpOptions) -> (Listening, Server, SocketAddr) {
    let server = server(gate);
    let listening = on.listen_http(server.clone(), options).await.expect("a port");
    let address = listening.address().tcp().expect("a TCP address");
    (listening, server, address)
}

fn limits(change: impl FnOnce(&mut HttpLimits)) -> HttpOptions {
    let mut limits = HttpLimits::default();
    change(&mut limits);
    HttpOptions::default().limits(limits)
}

/// A client's side of a session.
#[derive(Clone, Debug)]
struct Session {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

impl Session {
    fn open(address: SocketAddr, version: &str) -> Self {
        Self::open_as(address, version, "")
    }

    fn open_as(address: SocketAddr, version: &str, token: &str) -> Self {
        let mut session = Self { address, headers: vec![("Authorization".to_owned(), token.to_owned())] };
        let answer = session.post(&initialize(version));
        assert_eq!(answer.message()["result"]["protocolVersion"], version, "{answer:?}");
        let id = answer.header("mcp-session-id").expect("a session").to_owned();
        session.headers.push(("Mcp-Session-Id".to_owned(), id));
        session.headers.push(("MCP-Protocol-Version".to_owned(), version.to_owned()));
        let answer = session.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        assert_eq!((answer.status(), answer.body.as_str()), (202, ""), "{answer:?}");
        session
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.retain(|(known, _)| known != name);
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    fn bytes(&self, method: &str, body: &str) -> String {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>();
        request(method, &headers, body)
    }

    fn ask(&self, method: &str, body: &str) -> Answer {
        let mut web = Web::connect(self.address);
        web.send(self.bytes(method, body));
        web.answer()
    }

    fn post(&self, message: &Value) -> Answer {
        self.ask("POST", &message.to_string())
    }

    /// Sends a message; its answer is not waited for.
    fn begin(&self, message: &Value) -> Web {
        let mut web = Web::connect(self.address);
        web.send(self.bytes("POST", &message.to_string()));
        web
    }

    /// The stream of GET, or the rest of one that was lost.
    fn get(&self, last: Option<&str>) -> (Web, Head) {
        let mut web = Web::connect(self.address);
        web.send(self.with("Last-Event-ID", last.unwrap_or_default()).bytes("GET", ""));
        let head = web.head();
        (web, head)
    }
}

fn initialize(version: &str) -> Value {
    let client = json!({ "name": "raw", "version": "1" });
    let capabilities = json!({ "elicitation": {}, "sampling": {} });
    message(1, "initialize", json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": client }))
}

fn text(message: &Value) -> &str {
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {message}"))
}

fn with_progress(mut call: Value) -> Value {
    call["params"]["_meta"] = json!({ "progressToken": "p" });
    call
}

/// Whole events of a stream: their ids and data. What is unfinished at its end is no event.
fn events(body: &str) -> Vec<(String, String)> {
    let whole = body.rfind("\n\n").map_or("", |end| &body[..end]);
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    whole.split("\n\n").filter_map(|block| Some((field(block, "id:")?, field(block, "data:")?))).collect()
}

/// Reads a stream until it has this many events; what it read, and whether it has ended.
fn read_events(web: &mut Web, least: usize) -> (String, bool) {
    let mut body = String::new();
    while events(&body).len() < least {
        let piece = web.piece();
        if piece.is_empty() {
            return (body, true);
        }
        body.push_str(std::str::from_utf8(&piece).expect("whole characters"));
    }
    (body, false)
}

/// Servers MUST answer requests without a session with 400, of a session that is over with 404, and a session ends with DELETE
/// (specification: basic/transports, Session Management).
#[test]
fn a_session_is_asked_for_by_its_id_until_it_ends() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let (_listening, _, address) = listen(on, &gate, HttpOptions::default()).await;
        let calls = gate.clone();
        beside(on, move || {
            let session = Session::open(address, "2025-11-25");
            let ping = json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" });
            let nobodys = Session { address, headers: session.headers[2..].to_vec() };
            let answer = nobodys.post(&ping);
            assert_eq!((answer.status(), &answer.json()["id"]), (400, &json!(7)), "{answer:?}");
            assert_eq!(nobodys.ask("GET", "").status(), 400);
            assert_eq!(nobodys.ask("DELETE", "").status(), 400);
            let strange = session.with("Mcp-Session-Id", &"0".repeat(32));
            let answer = strange.post(&ping);
            assert_eq!((answer.status(), &answer.json()["id"]), (404, &json!(7)), "{answer:?}");
            assert_eq!((strange.ask("GET", "").status(), strange.ask("DELETE", "").status()), (404, 404));
            assert_eq!(session.post(&ping).json()["result"], json!({}));
            // A second handshake leaves the session as it is.
            let again = session.post(&initialize("2025-06-18"));
            assert_eq!(again.json()["error"]["code"], -32600, "{again:?}");
            assert_eq!(session.post(&ping).status(), 200);

            // It ends with whatever is open in it.
            let (mut stream, head) = session.get(None);
            assert_eq!(head.status, 200);
            let mut waiting = session.begin(&call(8, "wait", json!({})));
            calls.reached(1);
            let answer = session.ask("DELETE", "");
            assert_eq!((answer.status(), answer.body.as_str()), (204, ""), "{answer:?}");
            let answer = waiting.answer();
            assert_eq!((answer.status(), &answer.json()["id"]), (404, &json!(8)), "{answer:?}");
            stream.rest();
            for method in ["POST", "GET", "DELETE"] {
                assert_eq!(session.ask(method, &ping.to_string()).status(), 404, "{method}");
            }
        })
        .await;
        until(on, || gate.cancelled.load(Ordering::SeqCst) == 1).await;
    });
}

/// One id in two POSTs of a session at once, and in two sessions: each has its own answer.
#[test]
fn pain_1_ids_that_are_used_twice_cross_no_answers_over_http() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let (_listening, _, address) = listen(on, &gate, HttpOptions::default()).await;
        beside(on, move || {
            let sessions = [Session::open(address, "2025-11-25"), Session::open(address, "2025-03-26")];
            let mut waiting = Vec::new();
            for session in &sessions {
                for _ in 0..3 {
                    waiting.push(session.begin(&call(1, "wait", json!({}))));
                }
            }
            gate.reached(6);
            for session in &sessions {
                for at in 0..5 {
                    let answer = session.post(&call(1, "echo", json!({ "text": format!("{at}") })));
                    assert_eq!(text(&answer.message()), format!("{at}"));
                }
            }
            gate.open();
            for mut web in waiting {
                let answer = web.answer().message();
                assert_eq!((&answer["id"], text(&answer)), (&json!(1), "waited"));
            }
        })
        .await;
    });
}

/// Whoever knows the id of a session is not whoever opened it.
#[test]
fn pain_12_another_principal_does_not_find_a_session_over_http() {
    on_each_runtime(async |on| {
        let options = HttpOptions::default().authenticate(async |caller: Caller| {
            let token = caller.headers().get("authorization").and_then(|token| token.to_str().ok()).map(str::to_owned);
            Ok(match token {
                Some(name) => caller.with_principal(name),
                None => caller,
            })
        });
        let (_listening, _, address) = listen(on, &Gate::default(), options).await;
        beside(on, move || {
            let anns = Session::open_as(address, "2025-06-18", "ann");
            let ask = call(2, "whoami", json!({}));
            assert_eq!(text(&anns.post(&ask).message()), "ann");
            for stranger in ["bob", ""] {
                let other = anns.with("Authorization", stranger);
                assert_eq!(other.post(&ask).status(), 404, "{stranger}");
                assert_eq!((other.ask("GET", "").status(), other.ask("DELETE", "").status()), (404, 404));
            }
            // Of whom each call is, is a matter of the call.
            assert_eq!(text(&anns.post(&ask).message()), "ann");
            assert_eq!(anns.ask("DELETE", "").status(), 204);
        })
        .await;
    });
}

/// Cut at twenty places, and taken up again at each: what comes is what was sent, in order, and nothing twice.
#[test]
fn pain_16_a_stream_that_is_cut_at_many_places_is_delivered_whole() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let (_listening, _, address) = listen(on, &gate, HttpOptions::default()).await;
        beside(on, move || {
            for (at, cut) in (0..20).map(|at| (at, 150 + at * 337)) {
                gate.shut();
                let version = if at % 2 == 0 { "2025-11-25" } else { "2025-06-18" };
                let session = Session::open(address, version);
                let mut web = session.begin(&with_progress(call(2, "report", json!({}))));
                let head = web.head();
                assert_eq!((head.status, head.headers["content-type"].as_str()), (200, "text/event-stream"));
                // Up to the place, which may be in the middle of an event; then the connection is gone.
                let mut body = String::new();
                while body.len() < cut && events(&body).len() < 20 {
                    body.push_str(std::str::from_utf8(&web.piece()).expect("whole characters"));
                }
                drop(web);
                body.truncate(cut);
                let mut got = events(&body);
                gate.open();
                let mut turns = 0;
                while !got.last().is_some_and(|(_, data)| data.contains("\"result\"")) {
                    let last = got.last().map(|(id, _)| id.clone()).expect("an event to go on from");
                    let (mut web, head) = session.get(Some(&last));
                    assert_eq!(head.status, 200, "{last}");
                    // In small steps, so that it is lost again and again.
                    let (more, _) = read_events(&mut web, 7);
                    got.extend(events(&more));
                    turns += 1;
                    assert!(turns < 50, "{got:?}");
                }
                let messages = got.iter().filter(|(_, data)| !data.is_empty());
                let progress =
                    |data: &str| serde_json::from_str::<Value>(data).expect("JSON")["params"]["progress"].as_f64();
                let told: Vec<Option<f64>> = messages.map(|(_, data)| progress(data)).collect();
                let sent: Vec<Option<f64>> = (1..=40).map(|step| Some(f64::from(step))).chain([None]).collect();
                assert_eq!(told, sent, "cut at {cut}");
            }
        })
        .await;
    });
}

/// Connections overtake each other: what comes before `notifications/initialized` is served once `initialize` is answered.
#[test]
fn pain_18_requests_that_overtake_initialized_are_served() {
    on_each_runtime(async |on| {
        let (_listening, _, address) = listen(on, &Gate::default(), HttpOptions::default()).await;
        beside(on, move || {
            let mut session = Session { address, headers: Vec::new() };
            let answer = session.post(&initialize("2025-11-25"));
            let id = answer.header("mcp-session-id").expect("a session").to_owned();
            session.headers.push(("Mcp-Session-Id".to_owned(), id));
            for at in 2..5 {
                let answer = session.post(&call(at, "echo", json!({ "text": "early" })));
                assert_eq!(text(&answer.message()), "early");
            }
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            assert_eq!(session.post(&note).status(), 202);
        })
        .await;
    });
}

#[test]
fn an_event_that_is_not_known_is_no_place_to_go_on_from() {
    on_each_runtime(async |on| {
        let (_listening, _, address) = listen(on, &Gate::default(), HttpOptions::default()).await;
        beside(on, move || {
            let session = Session::open(address, "2025-11-25");
            for nonsense in ["1-0", "99-1", "x", "../../etc/passwd", &"9".repeat(100)] {
                let (_, head) = session.get(Some(nonsense));
                assert_eq!(head.status, 400, "{nonsense}");
            }
            assert_eq!(session.get(None).1.status, 200);
        })
        .await;
    });
}

/// A client that never reads one of its streams holds up none of the others, and loses nothing that is kept.
#[test]
fn a_stream_that_is_not_read_holds_nobody_up() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let options = limits(|limits| limits.stream_output = 64 * 1024);
        let (_listening, _, address) = listen(on, &gate, options).await;
        beside(on, move || {
            let session = Session::open(address, "2025-11-25");
            let mut unread = session.begin(&with_progress(call(1, "flood", json!({}))));
            let head = unread.head();
            assert_eq!(head.status, 200);
            let (body, _) = read_events(&mut unread, 1);
            for at in 2..50 {
                let answer = session.post(&call(at, "echo", json!({ "text": "x" })));
                assert_eq!(text(&answer.message()), "x");
            }
            gate.open();
            // It comes back: the answer is there, and what is missing is told.
            let mut rest = unread.rest();
            let place = events(&rest).pop().expect("an event").0;
            let (mut web, head) = session.get(Some(&place));
            assert_eq!(head.status, 200);
            rest.push_str(&web.rest());
            assert!(rest.contains("\"result\""));
            let lost = rest.lines().filter_map(|line| line.strip_prefix("data: {\"lost\":"));
            let lost: usize = lost.map(|count| count.trim_end_matches('}').parse::<usize>().expect("a number")).sum();
            let told = rest.matches("notifications/progress").count();
            assert_eq!(told + lost + body.matches("notifications/progress").count(), 3000);
            assert!(lost > 0, "no more is kept than may be");
        })
        .await;
    });
}

/// A disconnection is no cancellation, and nobody needs to be there for a call to go on.
#[test]
fn a_client_that_is_gone_has_cancelled_nothing() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let theirs = gate.clone();
        let (_listening, _, address) = listen(on, &gate, HttpOptions::default()).await;
        beside(on, move || {
            let session = Session::open(address, "2025-11-25");
            let mut web = session.begin(&with_progress(call(1, "report", json!({}))));
            web.head();
            let (body, _) = read_events(&mut web, 5);
            let waiting = session.begin(&call(2, "wait", json!({})));
            gate.reached(2);
            drop((web, waiting));
            for at in 3..20 {
                session.post(&call(at, "echo", json!({ "text": "x" })));
            }
            assert_eq!(gate.cancelled.load(Ordering::SeqCst), 0);
            gate.open();
            let (mut web, _) = session.get(Some(&events(&body)[4].0));
            assert!(web.rest().contains("reported"));
            // What cancels is a notification, by whichever POST it comes.
            gate.shut();
            let mut web = session.begin(&call(21, "wait", json!({})));
            gate.reached(3);
            let params = json!({ "requestId": 21 });
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
            assert_eq!(session.post(&note).status(), 202);
            let answer = web.answer();
            assert_eq!((answer.status(), &answer.json()["error"]["code"]), (200, &json!(-32800)), "{answer:?}");
        })
        .await;
        until(on, || theirs.cancelled.load(Ordering::SeqCst) == 1).await;
    });
}

/// The stream of GET: one at a time, for what belongs to no request.
#[test]
fn changes_come_by_the_stream_of_get() {
    on_each_runtime(async |on| {
        let (_listening, server, address) = listen(on, &Gate::default(), HttpOptions::default()).await;
        beside(on, move || {
            let session = Session::open(address, "2025-11-25");
            // It waits for a stream.
            server.changed(Change::Tools);
            let (mut stream, head) = session.get(None);
            assert_eq!(head.headers["content-type"], "text/event-stream");
            let (body, _) = read_events(&mut stream, 2);
            assert!(body.contains("notifications/tools/list_changed"), "{body}");
            assert_eq!(session.get(None).1.status, 409);
            let mut call = session.begin(&with_progress(call(1, "report", json!({}))));
            server.changed(Change::Tools);
            let (body, _) = read_events(&mut stream, 1);
            assert!(body.contains("list_changed") && !body.contains("progress"), "{body}");
            assert_eq!(call.head().status, 200);
            let (body, _) = read_events(&mut call, 21);
            assert!(body.contains("progress") && !body.contains("list_changed"), "{body}");
        })
        .await;
    });
}

/// A tool that lets its client come back later (SEP-1699).
#[test]
fn a_response_is_closed_on_purpose_and_the_client_comes_back() {
    on_each_runtime(async |on| {
        let (_listening, _, address) = listen(on, &Gate::default(), HttpOptions::default()).await;
        beside(on, move || {
            let session = Session::open(address, "2025-11-25");
            let answer = session.post(&call(1, "suspend", json!({})));
            assert_eq!(
                (answer.status(), answer.header("content-type")),
                (200, Some("text/event-stream")),
                "{answer:?}"
            );
            assert!(answer.body.contains("retry: 50\n") && !answer.body.contains("\"result\""), "{answer:?}");
            let place = events(&answer.body).pop().expect("an event").0;
            let (mut web, _) = session.get(Some(&place));
            let rest = web.rest();
            assert!(rest.contains("suspended: true"), "{rest}");
            // Before, a client would take that for the end of its request.
            let session = Session::open(address, "2025-06-18");
            assert_eq!(text(&session.post(&call(1, "suspend", json!({}))).json()), "suspended: false");
        })
        .await;
    });
}

/// Batches of 2025-03-26, and only of it.
#[test]
fn batches_are_those_of_the_session() {
    on_each_runtime(async |on| {
        let (_listening, _, address) = listen(on, &Gate::default(), HttpOptions::default()).await;
        beside(on, move || {
            let calls = (1..4).map(|at| call(at, "echo", json!({ "text": format!("{at}") }))).collect::<Value>();
            let session = Session::open(address, "2025-03-26");
            // That revision knows no header for itself.
            let session = session.with("MCP-Protocol-Version", "");
            let answer = session.post(&calls);
            assert_eq!(answer.header("content-type"), Some("text/event-stream"));
            let mut ids: Vec<u64> = events(&answer.body)
                .iter()
                .map(|(_, data)| serde_json::from_str::<Value>(data).expect("JSON")["id"].as_u64().expect("an id"))
                .collect();
            ids.sort_unstable();
            assert_eq!(ids, [1, 2, 3]);
            let note = json!([{ "jsonrpc": "2.0", "method": "notifications/initialized" }]);
            assert_eq!((session.post(&note).status(), session.post(&note).body.as_str()), (202, ""));
            let later = Session::open(address, "2025-06-18").with("MCP-Protocol-Version", "");
            let answer = later.post(&calls);
            assert_eq!((answer.status(), &answer.json()["error"]["code"]), (400, &json!(-32600)), "{answer:?}");
        })
        .await;
    });
}

/// Opens so many sessions, many of them on one connection before it hears of the first. Their ids.
fn crowd(address: SocketAddr, count: usize) -> Vec<String> {
    let mut web = Web::connect(address);
    let one = request("POST", &[], &initialize("2025-11-25").to_string());
    let mut ids = Vec::with_capacity(count);
    while ids.len() < count {
        web.send(one.repeat(50));
        for _ in 0..50 {
            let answer = web.answer();
            assert_eq!(answer.status(), 200, "{answer:?}");
            ids.push(answer.header("mcp-session-id").expect("a session").to_owned());
        }
    }
    ids
}

/// How much of this process is in memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap_or(0) * 1024
}

/// Ten thousand clients that open a session and are never heard of again: after a while nothing of them is left.
#[test]
fn pain_3_ten_thousand_abandoned_sessions_leave_nothing() {
    const COUNT: usize = 10_000;
    on_each_runtime(async |on| {
        // What one costs while it is there ...
        let (listening, server, address) = listen(on, &Gate::default(), HttpOptions::default()).await;
        drop(beside(on, move || crowd(address, 500)).await);
        let before = resident();
        drop(beside(on, move || crowd(address, COUNT / 2)).await);
        let each = resident().saturating_sub(before) / (COUNT / 2);
        println!("on {}: {each} bytes for each idle session", on.name());
        assert!(each < 6 * 1024, "{each} bytes for each session");
        listening.shutdown(Duration::ZERO).await;
        assert_eq!(server.connections(), 0);
        let before = resident();

        // ... and that it costs nothing any more.
        let options = limits(|limits| limits.session_uninitialized = Duration::from_millis(100));
        let (_listening, server, address) = listen(on, &Gate::default(), options).await;
        let ids = beside(on, move || crowd(address, COUNT)).await;
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), COUNT, "every id is another one");
        until(on, || server.connections() == 0).await;
        let left = resident().saturating_sub(before);
        assert!(left < COUNT * 1024, "{left} bytes are left of {COUNT} sessions");
    });
}

/// Twenty thousand sessions where there is room for a few: the idle ones go, one that is at work does not. What a crowd does to the table
/// is the same on every runtime, so it is smaller on the others.
#[test]
fn a_crowd_does_not_drive_out_who_is_at_work() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let options = limits(|limits| limits.sessions = 100);
        let (_listening, server, address) = listen(on, &gate, options).await;
        let session = beside(on, move || Session::open(address, "2025-11-25")).await;
        let (waiting, mut web) = (gate.clone(), session.begin(&call(1, "wait", json!({}))));
        until(on, move || waiting.begun.load(Ordering::SeqCst) == 1).await;
        let count = if on.name() == "tokio" { 20_000 } else { 2000 };
        for _ in 0..count / 1000 {
            beside(on, move || crowd(address, 1000)).await;
        }
        until(on, || server.connections() == 100).await;
        gate.open();
        beside(on, move || {
            assert_eq!(text(&web.answer().message()), "waited");
            assert_eq!(session.post(&json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" })).status(), 200);
        })
        .await;
    });
}

/// At the end clients are told to come back later, calls in work finish, and there are no new sessions.
#[test]
fn at_the_end_streams_end_and_calls_finish() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let (listening, server, address) = listen(on, &gate, HttpOptions::default()).await;
        let open = beside(on, move || {
            let session = Session::open(address, "2025-11-25");
            let (mut stream, _) = session.get(None);
            read_events(&mut stream, 1);
            (session.begin(&call(1, "wait", json!({}))), stream)
        })
        .await;
        until(on, || gate.begun.load(Ordering::SeqCst) == 1).await;
        let ending = common::each::start(on, listening.shutdown(Duration::from_secs(20)));
        let finish = gate.clone();
        beside(on, move || {
            let (mut call, mut stream) = open;
            let told = stream.rest();
            assert!(told.contains("retry: 1000\n"), "{told:?}");
            finish.open();
            assert_eq!(text(&call.answer().message()), "waited");
        })
        .await;
        let drained = ending.await;
        assert!(drained.cut.is_empty(), "{drained:?}");
        assert_eq!(server.connections(), 0);
    });
}

/// HTTP with SSE of 2024-11-05, by hand: the first event MUST be the endpoint (specification 2024-11-05: basic/transports).
#[test]
fn clients_of_2024_11_05_have_a_stream_and_a_path_for_messages() {
    on_each_runtime(async |on| {
        let gate = Gate::default();
        let options = HttpOptions::default().sse("/sse", "messages/").authenticate(async |caller: Caller| {
            let name = caller.headers().get("x-name").and_then(|name| name.to_str().ok()).map(str::to_owned);
            Ok(match name {
                Some(name) => caller.with_principal(name),
                None => caller,
            })
        });
        let (_listening, server, address) = listen(on, &gate, options).await;
        let calls = gate.clone();
        let stream = beside(on, move || {
            let at = |path: &str, bytes: String| bytes.replacen("/mcp", path, 1);
            let mut stream = Web::connect(address);
            stream.send(at("/sse", request("GET", &[("X-Name", "ann")], "")));
            let head = stream.head();
            assert_eq!((head.status, head.headers["content-type"].as_str()), (200, "text/event-stream"));
            let first = String::from_utf8(stream.piece()).expect("UTF-8");
            let path = first.strip_prefix("event: endpoint\ndata: ").expect("the endpoint first").trim().to_owned();
            assert!(path.starts_with("/messages/?session_id="), "{path}");

            let post = |headers: &[(&str, &str)], path: &str, message: &Value| {
                let mut web = Web::connect(address);
                web.send(at(path, request("POST", headers, &message.to_string())));
                web.answer()
            };
            let ann = [("X-Name", "ann"), ("Accept", "application/json")];
            let hear = |stream: &mut Web| {
                let event = String::from_utf8(stream.piece()).expect("UTF-8");
                let data = event.strip_prefix("event: message\ndata: ").unwrap_or_else(|| panic!("{event:?}"));
                serde_json::from_str::<Value>(data.trim()).expect("JSON")
            };
            let answer = post(&ann, &path, &initialize("2024-11-05"));
            assert_eq!((answer.status(), answer.body.as_str()), (202, "Accepted"), "{answer:?}");
            assert_eq!(hear(&mut stream)["result"]["protocolVersion"], "2024-11-05");
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            assert_eq!(post(&ann, &path, &note).status(), 202);
            assert_eq!(post(&ann, &path, &call(2, "echo", json!({ "text": "hello" }))).status(), 202);
            assert_eq!(text(&hear(&mut stream)), "hello");
            assert_eq!(post(&ann, &path, &call(3, "whoami", json!({}))).status(), 202);
            assert_eq!(text(&hear(&mut stream)), "ann");

            // Not a message, not a session, not whose it is, not how one asks.
            assert_eq!(post(&ann, "/messages/", &note).status(), 400);
            let strange = format!("/messages/?session_id={}", "0".repeat(32));
            assert_eq!(post(&ann, &strange, &note).status(), 404);
            assert_eq!(post(&[("X-Name", "bob")], &path, &note).status(), 404);
            assert_eq!(post(&[("X-Name", "ann"), ("Host", "evil.example")], &path, &note).status(), 421);
            // A web page is turned away on both paths (security warning of that page).
            let page = [("X-Name", "ann"), ("Origin", "https://evil.example")];
            assert_eq!(post(&page, &path, &note).status(), 403);
            let mut web = Web::connect(address);
            web.send(at("/sse", request("GET", &page, "")));
            assert_eq!(web.answer().status(), 403);
            let wrong = [("X-Name", "ann"), ("Content-Type", "text/plain")];
            assert_eq!(post(&wrong, &path, &note).status(), 415);
            let mut web = Web::connect(address);
            web.send(at(&path, request("POST", &ann, "{")));
            assert_eq!(web.answer().status(), 400);
            let mut web = Web::connect(address);
            web.send(at("/sse", request("POST", &ann, &note.to_string())));
            let answer = web.answer();
            assert_eq!((answer.status(), answer.header("allow")), (405, Some("GET")), "{answer:?}");

            assert_eq!(post(&ann, &path, &call(4, "wait", json!({}))).status(), 202);
            calls.reached(1);
            stream
        })
        .await;
        // The end of the stream is the end of the session.
        assert_eq!(server.connections(), 1);
        drop(stream);
        until(on, || server.connections() == 0).await;
        until(on, || gate.cancelled.load(Ordering::SeqCst) == 1).await;
    });
}

/// Nobody gets these paths who did not ask for them, and none that would lead clients elsewhere.
#[test]
fn http_with_sse_is_off_unless_somebody_wants_it() {
    on_each_runtime(async |on| {
        let (_listening, _, address) = listen(on, &Gate::default(), HttpOptions::default()).await;
        beside(on, move || {
            let mut web = Web::connect(address);
            web.send(request("GET", &[], "").replacen("/mcp", "/sse", 1));
            assert_eq!(web.answer().status(), 404);
        })
        .await;
        for bad in ["http://evil.example/messages/", "//evil.example/", "/messages/?a=b", "/messages/#a"] {
            let options = HttpOptions::default().sse("/sse", bad);
            let refused = on.listen_http(server(&Gate::default()), options).await;
            assert!(refused.expect_err(bad).to_string().contains("relative to the server"), "{bad}");
        }
    });
}
