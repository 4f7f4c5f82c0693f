//! Exchanges without sockets, in time that passes when the test says so.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocation_counter::measure;
use futures_lite::future::{block_on, pending, poll_once};
use http::Request;
use http_body::Body as _;
use mcp_proto::{Limits, ProtocolVersion};
use serde_json::{Value, json};

use super::super::listen::web;
use super::super::options::HttpOptions;
use super::super::testing::Paused;
use super::*;
use crate::net::Address;
use crate::server::Server;
use crate::{Budget, Change, Context, Tool};

const MODERN: Start = Start::Assume(ProtocolVersion::V2026_07_28);
const SECOND: Duration = Duration::from_secs(1);

/// What is served, and on what.
struct Site {
    runtime: Paused,
    web: Web<Paused>,
    budget: Budget,
}

impl Site {
    fn new(server: Server) -> Self {
        let (runtime, memory, budget) = (Paused::new(), Address::Other("memory".into()), Budget::new(1 << 20));
        let server = server.budget(budget.clone());
        Self { web: web(runtime.clone(), server, &memory, HttpOptions::default()).unwrap(), runtime, budget }
    }

    fn answer(&self, start: Start, message: &Value) -> impl Future<Output = Response<Body>> + '_ {
        self.answer_to(start, message, &[])
    }

    /// The same for a request with these headers.
    fn answer_to(
        &self,
        start: Start,
        message: &Value,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = Response<Body>> + '_ {
        let message = Message::scan(message.to_string().as_bytes(), &Limits::default());
        let request =
            headers.iter().fold(Request::post("/mcp"), |request, (name, value)| request.header(*name, *value));
        let caller = Caller::new(None, request.body(()).unwrap().into_parts().0);
        answer(&self.web, start, message, Arc::new(caller))
    }

    /// The status and the body of what is answered without anybody waiting for anything.
    fn ask(&self, start: Start, message: &Value) -> (u16, String) {
        let mut response = block_on(poll_once(self.answer(start, message))).expect("a head");
        let (body, ended) = read(response.body_mut());
        assert!(ended, "{body}");
        (response.status().as_u16(), body)
    }

    /// Nothing of any exchange is left: no connection, no task, no bytes.
    #[track_caller]
    fn is_clean(&self) {
        self.runtime.settle();
        assert_eq!((self.web.server.connections(), self.runtime.tasks(), self.budget.used()), (0, 0, 0));
        let cx = std::task::Context::from_waker(Waker::noop());
        assert!(self.web.open.poll_closed(&cx).is_ready());
    }
}

fn modern(method: &str, params: &Value) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": 7,
    });
    message
}

fn call(tool: &str) -> Value {
    modern("tools/call", &json!({ "name": tool, "arguments": {} }))
}

/// What the body yields by now, and whether that was all of it.
fn read(body: &mut Body) -> (String, bool) {
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    loop {
        match Pin::new(&mut *body).poll_frame(&mut cx) {
            Poll::Pending => return (String::from_utf8(all).unwrap(), false),
            Poll::Ready(None) => return (String::from_utf8(all).unwrap(), true),
            Poll::Ready(Some(frame)) => all.extend_from_slice(&frame.unwrap().into_data().unwrap()),
        }
    }
}

/// Counts how many of it there are.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Life(Alive);

impl Alive {
    fn begin(&self) -> Life {
        self.0.fetch_add(1, Ordering::SeqCst);
        Life(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl std::ops::Deref for Alive {
    type Target = AtomicUsize;

    fn deref(&self) -> &AtomicUsize {
        &self.0
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A tool that never ends, one that tells how far it is before that, and one that is done at once.
fn server(alive: &Alive) -> Server {
    let (waiting, telling) = (alive.clone(), alive.clone());
    Server::new("s", "1")
        .tool(Tool::new("fast", "", async || "done"))
        .tool(Tool::new("wait", "", move || {
            let life = waiting.begin();
            async move {
                pending::<()>().await;
                drop(life);
                "never"
            }
        }))
        .tool(Tool::new("tell", "", move |ctx: Context| {
            let life = telling.begin();
            async move {
                ctx.progress(1, 2)?;
                pending::<()>().await;
                drop(life);
                Ok::<_, crate::Error>("never")
            }
        }))
}

#[test]
fn a_fast_call_is_json_with_its_length_and_costs_no_task() {
    let site = Site::new(server(&Alive::default()));
    let mut response = block_on(poll_once(site.answer(MODERN, &call("fast")))).expect("in the first poll");
    assert_eq!(response.status(), 200);
    assert!(response.body().size_hint().exact().is_some_and(|length| length > 0));
    let (body, ended) = read(response.body_mut());
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["result"]["content"][0]["text"], ended), (&json!("done"), true));
    site.is_clean();
}

/// "The server MUST treat a closed response as cancellation": whether the head was sent or not, the handler is gone with it, at once.
#[test]
fn whoever_closes_the_response_has_cancelled_the_call() {
    let alive = Alive::default();
    let site = Site::new(server(&alive));

    let mut waiting = Box::pin(site.answer(MODERN, &call("wait")));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    assert_eq!((alive.count(), site.web.server.connections()), (1, 1));
    drop(waiting);
    assert_eq!(alive.count(), 0);
    site.is_clean();

    let mut response = block_on(poll_once(site.answer(MODERN, &call("tell")))).expect("a head");
    let (told, ended) = read(response.body_mut());
    assert!(told.contains("notifications/progress") && !ended, "{told}");
    assert_eq!(alive.count(), 1);
    drop(response);
    assert_eq!(alive.count(), 0);
    site.is_clean();
}

/// In the legacy era a closed response cancels nothing: what is in work is done, though nobody hears of it.
#[test]
fn without_a_session_what_was_begun_before_goes_on_without_its_client() {
    let (open, gate) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(None::<Waker>)));
    let done = Arc::new(AtomicUsize::new(0));
    let (is_open, wakes, counts) = (Arc::clone(&open), Arc::clone(&gate), Arc::clone(&done));
    let site = Site::new(Server::new("s", "1").tool(Tool::new("wait", "", move || {
        let (is_open, wakes, counts) = (Arc::clone(&is_open), Arc::clone(&wakes), Arc::clone(&counts));
        async move {
            poll_fn(|cx| {
                *wakes.lock().unwrap() = Some(cx.waker().clone());
                if *is_open.lock().unwrap() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            counts.fetch_add(1, Ordering::SeqCst);
            "done"
        }
    })));
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "wait" } });
    let mut waiting = Box::pin(site.answer(Start::Assume(ProtocolVersion::V2025_11_25), &call));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    drop(waiting);
    site.runtime.settle();
    assert_eq!((site.runtime.tasks(), done.load(Ordering::SeqCst)), (1, 0));
    *open.lock().unwrap() = true;
    gate.lock().unwrap().take().unwrap().wake();
    site.runtime.settle();
    assert_eq!(done.load(Ordering::SeqCst), 1);
    site.is_clean();
}

/// A subscription is told of changes for as long as its client is there, and shows in silence that it is alive.
#[test]
fn a_subscription_is_told_of_changes_and_says_that_it_is_alive() {
    let site = Site::new(server(&Alive::default()));
    let listen = modern("subscriptions/listen", &json!({ "notifications": { "toolsListChanged": true } }));
    let mut response = block_on(poll_once(site.answer(MODERN, &listen))).expect("a head");
    let (told, _) = read(response.body_mut());
    assert!(told.starts_with(':') && told.contains("acknowledged") && !told.contains("list_changed"), "{told}");
    site.web.server.changed(Change::Tools);
    let (told, ended) = read(response.body_mut());
    assert_eq!((told.matches("list_changed").count(), ended), (1, false), "{told}");
    for _ in 0..3 {
        site.runtime.pass(SECOND * 15);
        assert_eq!(read(response.body_mut()), (": \n\n".to_owned(), false));
    }
    drop(response);
    site.is_clean();
}

/// At the end of the listener subscriptions end with their result, and calls have the grace to finish.
#[test]
fn at_the_end_streams_end_in_good_order() {
    let alive = Alive::default();
    let site = Site::new(server(&alive));
    let listen = modern("subscriptions/listen", &json!({ "notifications": { "toolsListChanged": true } }));
    let mut subscribed = block_on(poll_once(site.answer(MODERN, &listen))).expect("a head");
    let mut telling = block_on(poll_once(site.answer(MODERN, &call("tell")))).expect("a head");
    read(subscribed.body_mut());
    read(telling.body_mut());
    site.web.open.close(crate::runtime::Runtime::now(&site.runtime), SECOND * 10);
    let (told, ended) = read(subscribed.body_mut());
    assert!(told.contains(r#""resultType":"complete""#) && ended, "{told}");
    assert_eq!(read(telling.body_mut()), (String::new(), false));
    site.runtime.pass(SECOND * 11);
    assert!(read(telling.body_mut()).1, "the grace is over");
    assert_eq!(alive.count(), 0);
    drop((subscribed, telling));
    site.is_clean();
}

/// A client that takes nothing holds up its own exchange only, and that within a bound.
#[test]
fn what_is_not_read_is_bounded() {
    let site = Site::new(Server::new("s", "1").tool(Tool::new("flood", "", async |ctx: Context| {
        for n in 0..10_000 {
            ctx.progress(n, 10_000)?;
        }
        pending::<()>().await;
        Ok::<_, crate::Error>("never")
    })));
    let response = block_on(poll_once(site.answer(MODERN, &call("flood")))).expect("a head");
    assert!(site.budget.used() < 10 << 20, "{}", site.budget.used());
    drop(response);
    site.is_clean();
}

/// Nothing is built anew for a request but its exchange: what one call costs does not depend on what the server offers.
#[test]
fn pain_35_a_call_costs_the_same_however_much_is_offered() {
    let cost = |tools: usize| {
        let server = (0..tools).fold(server(&Alive::default()), |server, n| {
            server.tool(Tool::new(format!("tool-{n}"), "One of many", async || "done"))
        });
        let site = Site::new(server);
        let message = call("fast");
        drop(block_on(site.answer(MODERN, &message)));
        let future = site.answer(MODERN, &message);
        measure(|| drop(block_on(future))).count_total
    };
    let (few, many) = (cost(1), cost(500));
    assert_eq!(few, many);
    assert!(few < 50, "allocations of one call: {few}");
}

/// Clients of the legacy era without sessions: each message by itself, in the revision that it says; nobody can be asked.
#[test]
fn without_sessions_every_message_is_served_by_itself() {
    let site = Site::new(server(&Alive::default()).tool(Tool::new("ask", "", async |ctx: Context| {
        match ctx.elicit("who", crate::Form::of::<Who>("Who?")).await {
            Ok(_) => "answered".to_owned(),
            Err(error) => error.to_string(),
        }
    })));
    let json = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": { "elicitation": {} }, "clientInfo": { "name": "c", "version": "1" } });
    let (status, body) =
        site.ask(Start::Handshake, &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }));
    assert_eq!((status, &json(&body)["result"]["protocolVersion"]), (200, &json!("2025-06-18")));
    for version in ProtocolVersion::LEGACY {
        let start = Start::Assume(version);
        let ask = |message: Value| site.ask(start, &message);
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(ask(initialized), (202, String::new()), "{version}");
        let (status, body) = ask(json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }));
        assert_eq!((status, json(&body)["result"]["tools"].as_array().map(Vec::len)), (200, Some(4)), "{version}");
        let call =
            |tool: &str| json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": tool } });
        let (_, body) = ask(call("ask"));
        let told = json(&body)["result"]["content"][0]["text"].clone();
        assert!(told.as_str().is_some_and(|told| told != "answered"), "{version}: {body}");
        let (status, body) = ask(json!([call("fast"), { "jsonrpc": "2.0", "id": 4, "method": "ping" }]));
        let is_batch = version.rules().batches;
        assert_eq!(status, if is_batch { 200 } else { 400 }, "{version}: {body}");
        assert_eq!(body.matches("data: ").count(), if is_batch { 2 } else { 0 }, "{version}: {body}");
    }
    site.is_clean();
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Who {
    #[expect(dead_code, reason = "its name is asked for")]
    name: String,
}

/// What a client sends is compared with its headers as it came: what interceptors make of it is their business.
#[test]
fn interceptors_may_change_what_headers_mirror() {
    struct Moves;

    impl crate::Interceptor for Moves {
        async fn request(&self, mut request: crate::Incoming, next: crate::Next) -> crate::Outcome {
            if request.method() == "tools/call" {
                let moved = json!({ "name": "place", "arguments": { "region": "moon" } });
                request.set_params(&moved).expect("they can be encoded");
            }
            next.run(request).await
        }
    }

    let tool = |name: &str, header: &str| {
        let schema =
            json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": header } } });
        let Value::Object(schema) = schema else { unreachable!("an object") };
        Tool::new(name, "", async |args: serde_json::Map<String, Value>| args["region"].to_string())
            .input_schema(schema)
    };
    let site = Site::new(Server::new("s", "1").intercept(Moves).tool(tool("place", "Region")));
    let call = modern("tools/call", &json!({ "name": "place", "arguments": { "region": "eu" } }));
    for (region, status) in [("eu", 200), ("moon", 400)] {
        let answer = site.answer_to(MODERN, &call, &[("mcp-param-region", region)]);
        let mut response = block_on(poll_once(answer)).expect("a head");
        let (body, _) = read(response.body_mut());
        assert_eq!((response.status().as_u16(), body.contains("moon")), (status, true), "{body}");
    }
    site.is_clean();

    // Clients leave out a tool that breaks a rule, so a server does not begin with one.
    let refused = Server::new("s", "1").tool(tool("wrong", "not a name")).check();
    let Err(crate::Error::Definition(faults)) = refused else { panic!("{refused:?}") };
    assert!(faults[0].contains("wrong") && faults[0].contains("x-mcp-header"), "{faults:?}");
}
