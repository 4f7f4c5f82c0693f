//! What a client sees: a request goes in as its head and its body, a response comes out.

mod any_order;
mod exchange;
mod ladder;
mod screening;
mod statuses;

use std::boxed::Box;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};

use super::security::Security;
use super::*;
use crate::model::{CallToolResult, Implementation, Progress, ServerCapabilities, SubscriptionFilter, ToolsCapability};
use crate::{
    Body, Connection, Era, ErrorCode, ErrorObject, Event, InboundId, InputRequired, Limits, Message, Origin,
    ProtocolVersion, ResultKind, ServerConfig, Start, Timestamp, Transmit,
};

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);

/// An endpoint, and what serves its requests.
struct Server {
    endpoint: Endpoint,
    config: Arc<ServerConfig>,
}

/// A whole response.
#[derive(Debug)]
struct Response {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The messages of a stream of events.
    fn events(&self) -> Vec<Value> {
        assert_eq!(self.header("content-type"), Some("text/event-stream"), "{self:?}");
        let (mut decoder, mut input) = (sse::Decoder::new(1 << 20), self.body.as_bytes());
        let mut events = Vec::new();
        while let Some(event) = decoder.next(&mut input).unwrap() {
            events.push(serde_json::from_slice(event.data).unwrap());
        }
        events
    }

    /// What a refusal says: its status, and of the error in its body the id and the code.
    fn refusal(&self) -> (u16, Value, i64) {
        let body = self.json();
        assert_eq!((body["jsonrpc"].as_str(), body.get("result")), (Some("2.0"), None), "{body}");
        (self.status, body["id"].clone(), body["error"]["code"].as_i64().unwrap())
    }
}

impl Server {
    fn new(versions: &[ProtocolVersion], sessions: Keeping) -> Self {
        let mut server = ServerConfig::new(Implementation::new("s", "1"));
        server.versions = versions.to_vec();
        server.capabilities =
            ServerCapabilities::default().with_tools(ToolsCapability::default().with_list_changed(true));
        let mut config = EndpointConfig::new(Security::of("127.0.0.1:80".parse().unwrap())).serving(&server);
        config.sessions = sessions;
        config.limits.body = 1000;
        Self { endpoint: Endpoint::new(config), config: Arc::new(server) }
    }

    /// Of both eras, with sessions.
    fn dual() -> Self {
        Self::new(&ProtocolVersion::ALL, Keeping::Sessions)
    }

    fn modern_only() -> Self {
        Self::new(&[ProtocolVersion::V2026_07_28], Keeping::Sessions)
    }

    fn legacy_only() -> Self {
        Self::new(&ProtocolVersion::LEGACY, Keeping::Sessions)
    }

    /// Of both eras, without sessions.
    fn sessionless() -> Self {
        Self::new(&ProtocolVersion::ALL, Keeping::Nothing)
    }

    fn screen(&self, head: &Parts) -> Result<Screened, Box<Response>> {
        self.endpoint.screen(head).map_err(|refusal| Box::new(refused(refusal)))
    }

    fn classify(&self, head: &Parts, body: &str) -> Result<Classified, Box<Response>> {
        self.endpoint.classify(head, message(body)).map_err(|refusal| Box::new(refused(refusal)))
    }

    /// The whole way of a POST that stands alone.
    fn post(&self, head: &Parts, body: &str) -> Response {
        if let Err(refused) = self.screen(head) {
            return *refused;
        }
        let (start, message) = match self.classify(head, body) {
            Err(refused) => return *refused,
            Ok(Classified::Modern { version, message }) => (Start::Assume(version), message),
            Ok(Classified::Legacy(LegacyCall::Sessionless { version, message })) => (Start::Assume(version), message),
            Ok(Classified::Legacy(LegacyCall::Initialize(message))) => (Start::Handshake, message),
            Ok(Classified::Legacy(in_session)) => panic!("{in_session:?}"),
        };
        let era = if let Start::Assume(version) = start { version.era() } else { Era::Legacy };
        let mut exchange = Exchange::new(era, &message, &HttpLimits::default(), NOW);
        let mut connection = Connection::server(Arc::clone(&self.config), start, NOW);
        connection.handle_message(NOW, Origin::new(1), message);
        while let Some(event) = connection.poll_event() {
            if let Event::Request { id, message, .. } = event {
                serve(&mut connection, id, &message);
            }
        }
        while let Some(transmit) = connection.poll_transmit() {
            exchange.push(NOW, transmit);
        }
        if !connection.is_open(Origin::new(1)) {
            exchange.finish();
        }
        read(&mut exchange)
    }
}

/// The application: a tool for each way in which a call can end.
fn serve(connection: &mut Connection, id: InboundId, message: &Message) {
    let reject = |connection: &mut Connection, error: &ErrorObject| connection.reject(NOW, id, error).unwrap();
    let text = Body::result(&CallToolResult::text("done")).unwrap();
    match (message.method(), message.name().unwrap_or_default()) {
        ("subscriptions/listen", _) => {
            connection.grant(NOW, id, &SubscriptionFilter::new().with_tools_list_changed(true)).unwrap();
        }
        (_, "progress") => {
            connection.progress(NOW, id, Progress::new(1.0)).unwrap();
            connection.respond(NOW, id, ResultKind::Complete, text, None).unwrap();
        }
        (_, "progress, then an error") => {
            connection.progress(NOW, id, Progress::new(1.0)).unwrap();
            reject(connection, &ErrorObject::invalid_params("no"));
        }
        (_, "asks") => {
            let input = InputRequired { state: Some("state".into()), ..InputRequired::default() };
            connection.require_input(NOW, id, &input).unwrap();
        }
        (_, "busy") => reject(connection, &ErrorObject::internal("busy").with_data(json!({ "retryable": true }))),
        (_, "gone") => connection.close(NOW, core::time::Duration::ZERO),
        ("tools/call" | "tools/list", name) => match name.parse() {
            Ok(code) => reject(connection, &ErrorObject::new(ErrorCode(code), "no")),
            Err(_) => connection.respond(NOW, id, ResultKind::Complete, text, None).unwrap(),
        },
        (method, _) => reject(connection, &ErrorObject::method_not_found(method)),
    }
}

fn message(body: &str) -> Message {
    Message::scan(body.as_bytes(), &Limits::default())
}

fn refused(refusal: Refusal) -> Response {
    let status = refusal.status();
    let (head, body) = refusal.into_response().into_parts();
    assert_eq!(head.status, status);
    response(head.status, head.headers, &body)
}

fn response(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Response {
    Response { status: status.as_u16(), headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// All that an exchange has to say by now, which is a head, and data.
fn read(exchange: &mut Exchange) -> Response {
    let Some(Output::Head(head)) = exchange.poll_output() else { panic!("no head: {exchange:?}") };
    let mut body = Vec::new();
    while let Some(output) = exchange.poll_output() {
        match output {
            Output::Head(_) => panic!("a second head"),
            Output::Data(data) => body.extend_from_slice(&data),
            Output::End => assert_eq!((exchange.poll_output(), exchange.is_over()), (None, true)),
        }
    }
    assert_eq!(exchange.buffered(), 0);
    response(head.status, head.headers, &body)
}

/// The head of a request that is let in, with these headers in place of the usual ones; an empty value takes one away.
fn head(method: Method, headers: &[(&str, &str)]) -> Parts {
    let usual = [
        ("host", "localhost"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
    ];
    let mut request = Request::builder().method(method).uri("/mcp");
    for (name, value) in usual.iter().filter(|(name, _)| headers.iter().all(|(other, _)| name != other)).chain(headers)
    {
        if !value.is_empty() {
            request = request.header(*name, *value);
        }
    }
    request.body(()).unwrap().into_parts().0
}

fn post_head(headers: &[(&str, &str)]) -> Parts {
    head(Method::POST, headers)
}

/// The head that belongs to a modern request of this method, which is about `name`.
fn modern_head(method: &str, name: &str) -> Parts {
    post_head(&[("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", name)])
}

/// A modern request.
fn modern(method: &str, params: &Value) -> String {
    let mut body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    body["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": 1,
    });
    body.to_string()
}

fn call(name: &str) -> String {
    modern("tools/call", &json!({ "name": name, "arguments": {} }))
}

/// Calls a tool in the modern era.
fn call_tool(name: &str) -> Response {
    Server::dual().post(&modern_head("tools/call", name), &call(name))
}

fn legacy(method: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": {} }).to_string()
}

fn initialize(version: &str) -> String {
    let params =
        json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    json!({ "jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params }).to_string()
}
