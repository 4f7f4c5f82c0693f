//! The way of requests until something serves them, byte by byte over connections in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future::{block_on, pending};

use super::super::connection::{self, settings};
use super::super::denied::Denied;
use super::super::listen::web;
use super::super::testing::{Client, Paused};
use super::*;
use crate::net::Address;
use crate::runtime::Runtime;
use crate::{Budget, Context, HandlerError, Tool};

const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":7,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"whoami","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// A server, and connections to it.
struct Site {
    runtime: Paused,
    web: Arc<Web<Paused>>,
}

impl Site {
    fn new(options: HttpOptions) -> Self {
        Self::of(server(), options)
    }

    fn of(server: Server, options: HttpOptions) -> Self {
        let (runtime, memory) = (Paused::new(), Address::Other("memory".into()));
        Self { web: Arc::new(web(runtime.clone(), server, &memory, options).unwrap()), runtime }
    }

    fn connect(&self) -> Client {
        let Web { runtime, options, count, .. } = &*self.web;
        Client::connect(runtime, |accepted| {
            let web = Arc::clone(&self.web);
            let call = move |visitor: Arc<Visitor>, request| {
                let web = Arc::clone(&web);
                async move { web.answer(&visitor, request).await }
            };
            let http = settings(runtime, options);
            let (visit, serving) = connection::serve(&http, runtime.clone(), accepted, options.stalled, count, call);
            (visit, serving)
        })
    }

    /// The status and the whole of the answer to one request on a connection of its own.
    fn ask(&self, request: impl AsRef<[u8]>) -> (u16, String) {
        let mut client = self.connect();
        client.send(request);
        client.answer()
    }
}

fn server() -> Server {
    let whoami = Tool::new("whoami", "", async |ctx: Context| {
        let caller = ctx.caller().ok_or(HandlerError::invalid("not over HTTP"))?;
        let number = caller.extension::<u32>().copied().unwrap_or_default();
        Ok::<_, HandlerError>(format!("{:?} {number}", caller.principal()))
    });
    Server::new("s", "1").tool(whoami)
}

/// A POST with more or other headers; without a body, which is said to have this length.
fn head(length: usize, headers: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
}

fn discover(headers: &str) -> String {
    head(DISCOVER.len(), &format!("Host: localhost\r\nMcp-Method: server/discover\r\n{headers}")) + DISCOVER
}

fn call() -> String {
    head(CALL.len(), "Host: localhost\r\nMcp-Method: tools/call\r\nMcp-Name: whoami\r\n") + CALL
}

#[test]
fn the_endpoint_is_at_its_path_and_nothing_elsewhere() {
    let site = Site::new(HttpOptions::default().path("/a/b"));
    for (target, status) in [("/a/b", 200), ("/a/b?x=y", 200), ("/mcp", 404), ("/a/b/", 404), ("/A/b", 404), ("/", 404)]
    {
        let (found, answer) = site.ask(discover("").replace("/mcp", target));
        assert_eq!(found, status, "{target}: {answer}");
    }
}

/// Browsers, scanners and load balancers ask in every way.
#[test]
fn other_methods_are_told_which_there_are() {
    let site = Site::new(HttpOptions::default());
    for method in ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "BREW"] {
        let (status, answer) = site.ask(format!("{method} /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(status == 405 && answer.contains("allow: ") && answer.contains("POST"), "{method}: {answer}");
    }
}

/// MUST (specification: basic/transports, Security Warning): servers validate `Origin`, on every method; nobody waits for a body
/// that is not wanted.
#[test]
fn pain_11_forged_hosts_and_origins_are_refused_on_every_method_before_the_body() {
    let site = Site::new(HttpOptions::default());
    for method in ["POST", "GET", "DELETE", "PUT", "OPTIONS", "HEAD"] {
        for (headers, status) in [
            ("Host: evil.example\r\n", 421),
            ("Host: localhost.evil.example\r\n", 421),
            ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
            ("Host: localhost\r\nOrigin: null\r\n", 403),
        ] {
            let (found, answer) = site.ask(head(1000, headers).replace("POST", method));
            assert_eq!(found, status, "{method} {headers:?}: {answer}");
        }
    }
    let (status, answer) = site.ask(discover("Origin: http://localhost:5173\r\n"));
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn a_body_is_asked_for_only_if_it_is_wanted() {
    let site = Site::new(HttpOptions::default());
    let (status, answer) = site.ask(head(10, "Host: evil.example\r\nExpect: 100-continue\r\n"));
    assert!(status == 421 && !answer.contains("100 Continue"), "{answer}");
    let mut client = site.connect();
    client.send(discover("Expect: 100-continue\r\n").strip_suffix(DISCOVER).unwrap());
    assert_eq!(client.hear().0, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(DISCOVER);
    assert_eq!(client.answer().0, 200);
}

#[test]
fn a_body_that_is_too_long_is_not_read_to_its_end() {
    let mut limits = mcp_proto::http::HttpLimits::default();
    limits.body = 1000;
    let site = Site::new(HttpOptions::default().limits(limits));
    let (status, answer) = site.ask(head(1001, "Host: localhost\r\n"));
    assert!(status == 413 && answer.contains("1000"), "{answer}");
    // In pieces whose sum nobody has told.
    let mut client = site.connect();
    client.send(head(0, "Host: localhost\r\nTransfer-Encoding: chunked\r\n").replace("Content-Length: 0\r\n", ""));
    for _ in 0..11 {
        assert_eq!(client.hear().0, "");
        client.send(format!("64\r\n{}\r\n", "x".repeat(100)));
    }
    let (status, answer) = client.answer();
    assert!(status == 413 && answer.contains("1000"), "{answer}");
    // What is still on its way is read past, so that the answer is not lost; and then that is enough.
    client.send("64\r\n");
    assert!(!client.is_over());
    client.runtime.pass(Duration::from_secs(2));
    assert!(client.is_over());
}

#[test]
fn a_body_that_comes_byte_by_byte_is_given_up() {
    let site = Site::new(HttpOptions::default());
    let mut client = site.connect();
    client.send(head(1000, "Host: localhost\r\n"));
    for second in 0..30 {
        assert_eq!(client.hear().0, "", "{second}");
        client.send(" ");
        client.runtime.pass(Duration::from_secs(1));
    }
    let (status, answer) = client.answer();
    assert_eq!(status, 408, "{answer}");
    client.runtime.pass(Duration::from_secs(2));
    assert!(client.is_over());
}

#[test]
fn a_body_that_breaks_off_is_no_message() {
    let site = Site::new(HttpOptions::default());
    let chunked = head(0, "Host: localhost\r\nTransfer-Encoding: chunked\r\n").replace("Content-Length: 0\r\n", "");
    let (status, answer) = site.ask(chunked + "zz\r\n");
    assert_eq!(status, 400, "{answer}");
    let mut client = site.connect();
    client.send(head(1000, "Host: localhost\r\n") + "{");
    drop(client.end);
    client.runtime.settle();
    assert_eq!((client.runtime.tasks(), site.web.count.get()), (0, 0));
}

#[test]
fn bodies_that_are_sent_halfway_do_not_fill_the_memory() {
    let budget = Budget::new(400 << 10);
    let site = Site::of(server().budget(budget.clone()), HttpOptions::default());
    let mut halfway = site.connect();
    halfway.send(head(1 << 20, "Host: localhost\r\n"));
    for _ in 0..3 {
        halfway.send([b' '; 60 << 10]);
    }
    assert_eq!(budget.used(), 180 << 10);
    // One more has no room ...
    let mut other = site.connect();
    other.send(head(1 << 20, "Host: localhost\r\n"));
    other.send([b' '; 60 << 10]);
    other.send([b' '; 60 << 10]);
    let (status, answer) = other.answer();
    assert!(status == 503 && answer.contains("retry-after: "), "{answer}");
    // ... but small requests are served all the same.
    assert_eq!(site.ask(discover("")).0, 200);
    drop((halfway, other));
    site.runtime.settle();
    assert_eq!(budget.used(), 0);
}

/// The one who is known is known to the handler, and nobody else is let in.
#[test]
fn a_hook_finds_out_who_it_is_before_the_body_is_read() {
    let options = HttpOptions::default().authenticate(async |caller: Caller| {
        let token = caller.headers().get("authorization").and_then(|value| value.to_str().ok());
        match token {
            Some("Bearer sesame") => Ok(caller.with_principal("ann").with_extension(17_u32)),
            Some("Bearer expired") => Err(Denied::forbidden()),
            Some("Bearer panic") => panic!("the hook fails"),
            _ => Err(Denied::unauthorized("Bearer realm=\"x\"")),
        }
    });
    let site = Site::new(options);
    for (headers, status) in [
        ("Host: localhost\r\n", 401),
        ("Host: localhost\r\nAuthorization: Bearer expired\r\n", 403),
        ("Host: localhost\r\nAuthorization: Bearer panic\r\n", 500),
        ("Host: evil.example\r\nAuthorization: Bearer panic\r\n", 421),
    ] {
        let (found, answer) = site.ask(head(1000, headers));
        assert_eq!(found, status, "{headers:?}: {answer}");
        assert_eq!(answer.contains("www-authenticate: Bearer realm=\"x\"\r\n"), status == 401, "{answer}");
        assert!(!answer.contains("the hook fails"), "{answer}");
    }
    let (status, answer) = site.ask(call().replace("Host", "Authorization: Bearer sesame\r\nHost"));
    assert!(status == 200 && answer.contains("ann") && answer.contains("17"), "{answer}");
}

#[test]
fn a_hook_that_panics_before_it_is_asked_fails_only_that_request() {
    fn fails(_: Caller) -> std::future::Ready<Result<Caller, Denied>> {
        panic!("it fails")
    }
    let site = Site::new(HttpOptions::default().authenticate(fails));
    let mut client = site.connect();
    for _ in 0..2 {
        client.send(discover(""));
        assert_eq!(client.answer().0, 500);
        // The body was not read, so that this connection is over.
        client = site.connect();
    }
}

/// Nobody waits for what nobody wants to know any more.
#[test]
fn a_hook_ends_with_the_connection() {
    static ASKING: AtomicUsize = AtomicUsize::new(0);
    struct Asking;
    impl Drop for Asking {
        fn drop(&mut self) {
            ASKING.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let site = Site::new(HttpOptions::default().authenticate(async |_: Caller| {
        ASKING.fetch_add(1, Ordering::SeqCst);
        let _asking = Asking;
        pending().await
    }));
    let mut client = site.connect();
    client.send(discover(""));
    assert_eq!((ASKING.load(Ordering::SeqCst), site.web.count.get()), (1, 1));
    drop(client.end);
    site.runtime.settle();
    assert_eq!((ASKING.load(Ordering::SeqCst), site.web.count.get()), (0, 0));
}

#[test]
fn more_requests_at_once_than_may_be_are_put_off() {
    let site = Site::new(HttpOptions::default().exchanges(2));
    let mut waiting = [site.connect(), site.connect()];
    for client in &mut waiting {
        client.send(head(10, "Host: localhost\r\n"));
    }
    let (status, answer) = site.ask(discover(""));
    assert!(status == 503 && answer.contains("retry-after: ") && answer.contains("\"retryable\":true"), "{answer}");
    drop(waiting);
    site.runtime.settle();
    assert_eq!(site.ask(discover("")).0, 200);
}

/// Health checks cost nothing, are asked without a session or a principal, and tell that a server is about to end.
#[test]
fn pain_53_health_is_asked_for_outside_of_everything() {
    let budget = Budget::new(1000);
    let options = HttpOptions::default().authenticate(async |_: Caller| Err(Denied::forbidden())).exchanges(0);
    let hidden = Site::new(options.clone());
    let site = Site::of(server().budget(budget.clone()), options.health().exchanges(1));
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
    for path in ["/livez", "/readyz"] {
        assert_eq!(hidden.ask(get(path)).0, 404);
        let (status, answer) = site.ask(get(path));
        assert!(status == 200 && answer.ends_with("ok\n"), "{answer}");
        let (status, answer) = site.ask(get(path).replace("GET", "HEAD"));
        assert!(status == 200 && answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(site.ask(get(path).replace("GET", "POST")).0, 405);
    }
    let both = |site: &Site| (site.ask(get("/livez")).0, site.ask(get("/readyz")).0);
    let mut held = budget.hold();
    assert!(held.grow(1001));
    assert_eq!(both(&site), (200, 503));
    drop(held);
    assert_eq!(both(&site), (200, 200));
    let place = site.web.count.take();
    assert_eq!(both(&site), (200, 503));
    drop(place);
    site.web.open.close(site.web.runtime.now(), Duration::from_secs(10));
    assert_eq!(both(&site), (200, 503));
}

/// A client that is answered while the server ends does not send its next request into a connection that is about to close.
#[test]
fn at_the_end_answers_say_that_the_connection_closes() {
    let site = Site::new(HttpOptions::default());
    assert!(!site.ask(discover("")).1.contains("connection: close"));
    site.web.open.close(site.web.runtime.now(), Duration::from_secs(10));
    assert!(site.ask(discover("")).1.contains("connection: close"));
    block_on(poll_fn(|cx| site.web.open.poll_closed(cx)));
}

/// A browser asks first whether a page may ask; only pages that are let in may, and only with this option.
#[test]
fn web_pages_that_are_let_in_hear_answers_where_that_is_wanted() {
    let (closed, site) = (Site::new(HttpOptions::default()), Site::new(HttpOptions::default().cors()));
    let preflight = |origin: &str| {
        format!(
            "OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: content-type,mcp-param-region\r\n\r\n"
        )
    };
    let (here, evil) = ("http://localhost:5173", "http://evil.example");
    let (status, answer) = site.ask(preflight(here));
    assert_eq!(status, 204, "{answer}");
    for line in [
        "access-control-allow-origin: http://localhost:5173\r\n",
        "access-control-allow-methods: GET, POST, DELETE\r\n",
        "access-control-allow-headers: content-type,mcp-param-region\r\n",
        "vary: origin\r\n",
    ] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    let (status, answer) = site.ask(discover(&format!("Origin: {here}\r\n")));
    assert!(status == 200 && answer.contains("access-control-allow-origin: http://localhost:5173\r\n"), "{answer}");
    assert!(answer.contains("access-control-expose-headers: mcp-session-id"), "{answer}");
    for (site, request, wanted) in [
        (&site, preflight(evil), 403),
        (&site, discover(&format!("Origin: {evil}\r\n")), 403),
        (&site, discover(""), 200),
        (&closed, preflight(here), 405),
        (&closed, discover(&format!("Origin: {here}\r\n")), 200),
    ] {
        let (status, answer) = site.ask(request);
        assert!(status == wanted && !answer.contains("access-control"), "{answer}");
    }
}
