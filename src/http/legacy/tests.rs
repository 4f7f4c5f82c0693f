//! Sessions in time that passes when the test says so.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use futures_lite::future::{block_on, poll_once};
use http::Request;
use mcp_proto::Limits;
use serde_json::{Value, json};

use super::super::listen::web;
use super::super::testing::Paused;
use super::*;
use crate::net::Address;
use crate::server::Server;
use crate::{Budget, Tool};

/// A server with sessions.
struct Site {
    runtime: Paused,
    web: Arc<Web<Paused>>,
}

impl Site {
    fn new() -> Self {
        let (runtime, memory) = (Paused::new(), Address::Other("memory".into()));
        let echo = Tool::new("echo", "", async || "echo");
        let server = Server::new("site", "1").tool(echo).budget(Budget::new(1 << 30));
        let web = web(runtime.clone(), server, &memory, HttpOptions::default()).unwrap();
        Self { web: Arc::new(web), runtime }
    }

    fn post(&self, session: Option<&str>, message: &Value) -> Response<Body> {
        let message = Message::scan(message.to_string().as_bytes(), &Limits::default());
        let (head, ()) = Request::post("/mcp")
            .header("accept", "application/json, text/event-stream")
            .body(())
            .unwrap()
            .into_parts();
        let call = match session {
            None => LegacyCall::Initialize(message),
            Some(id) => LegacyCall::InSession { session: SessionId::parse(id).unwrap(), version: None, message },
        };
        let mut answering = Box::pin(post(&self.web, call, Arc::new(Caller::new(None, head))));
        for _ in 0..10 {
            if let Some(response) = block_on(poll_once(&mut answering)) {
                return response;
            }
            self.runtime.settle();
        }
        panic!("no response");
    }

    /// Opens a session, and uses it.
    fn open(&self) -> String {
        let client = json!({ "name": "some-client", "version": "1.0.0" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let request = |id: u32, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self.post(None, &request(0, "initialize", params));
        let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        drop(response);
        self.post(Some(&id), &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        let response = self.post(Some(&id), &request(1, "tools/call", json!({ "name": "echo" })));
        assert_eq!(response.status(), 200);
        drop(response);
        self.runtime.settle();
        id
    }
}

/// What an idle session holds: its connection, its handles, its task, its places in the tables.
#[test]
fn an_idle_session_costs_less_than_4_kib() {
    const COUNT: usize = 200;
    let site = Site::new();
    let warm: Vec<String> = (0..COUNT).map(|_| site.open()).collect();
    let mut ids = Vec::with_capacity(COUNT);
    let info = measure(|| ids.extend((0..COUNT).map(|_| site.open())));
    // The test remembers their ids.
    let own: usize = ids.iter().map(String::len).sum();
    let each = (usize::try_from(info.bytes_current).unwrap() - own) / COUNT;
    println!("{each} bytes");
    drop(warm);
    assert!(each < 4096, "{each} bytes for each idle session");
    assert_eq!(site.web.server.connections(), 2 * COUNT);
    // And they are gone in time.
    site.runtime.pass(Duration::from_secs(30 * 60));
    assert_eq!((site.web.server.connections(), site.runtime.tasks()), (0, 0));
}
