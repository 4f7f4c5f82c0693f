//! A naive client over HTTP: what it sends, and what it makes of what it reads. It shares no code with what it tests.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use mcp_proto::Era;
use serde_json::{Value, json};

use super::host::{Number, Request};
use super::path::Part;
use super::seen::{Outcome, Seen};
use super::work::{ClientOptions, Plan};

/// What a client wants done.
#[derive(Debug)]
pub(crate) enum Todo {
    /// Sends a request, so long after now.
    Send {
        after: Duration,
        request: Request,
        purpose: Purpose,
    },
    /// Closes a response.
    Close(Number),
    See(Seen),
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Initialize,
    /// A notification or an answer.
    Remark,
    /// A call: its first request, or one of those that come back to it.
    Call(usize),
    Listen,
    Delete,
    Theft,
}

/// Who has come back so often in vain waits for ever.
const MOST_RETURNS: u32 = 40;

pub(crate) struct Client {
    number: usize,
    options: ClientOptions,
    session: Option<String>,
    /// Calls that wait for the session.
    early: Vec<usize>,
    calls: Vec<Call>,
    responses: BTreeMap<Number, Response>,
    next_id: i64,
    /// Whether it wants the stream of GET, where that goes on, and how often it has come back to it.
    listens: bool,
    last_heard: Option<String>,
    listen_returns: u32,
    is_gone: bool,
}

/// A call.
struct Call {
    tag: String,
    plan: Plan,
    id: i64,
    state: State,
    /// Where its stream goes on.
    last_id: Option<String>,
    retry: Duration,
    /// How often the client has come back.
    returns: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nobody waits for it.
    Dropped,
    Over,
}

struct Response {
    purpose: Purpose,
    status: u16,
    body: Vec<u8>,
    reader: Option<Reader>,
}

impl Client {
    pub(crate) fn new(number: usize, options: &ClientOptions) -> Self {
        Self {
            number,
            options: options.clone(),
            session: None,
            early: Vec::new(),
            calls: Vec::new(),
            responses: BTreeMap::new(),
            next_id: 1,
            listens: false,
            last_heard: None,
            listen_returns: 0,
            is_gone: false,
        }
    }

    fn is_modern(&self) -> bool {
        self.options.version.era() == Era::Modern
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    pub(crate) fn principal(&self) -> &'static str {
        self.options.principal
    }

    /// Calls whose end it waits for.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().filter(|call| call.state == State::Open).map(|call| &*call.tag)
    }

    /// How often it has come back to what this is about.
    pub(crate) fn returns(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Call(at) => self.calls[at].returns,
            Purpose::Listen => self.listen_returns,
            _ => 0,
        }
    }

    pub(crate) fn begin(&mut self, todos: &mut Vec<Todo>) {
        if self.is_modern() {
            return;
        }
        let params = json!({ "protocolVersion": self.options.version.as_str(), "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "naive", "version": "1" } });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        self.post(todos, &body, Purpose::Initialize);
    }

    pub(crate) fn call(&mut self, todos: &mut Vec<Todo>, plan: Plan) {
        if self.is_gone {
            return;
        }
        let at = self.calls.len();
        let tag = format!("c{}.{at}", self.number);
        let id = if self.options.same_ids { 1 } else { self.next_id };
        self.next_id += 1;
        let retry = Duration::from_secs(1);
        self.calls.push(Call { tag, plan, id, state: State::Open, last_id: None, retry, returns: 0 });
        if self.is_modern() || self.session.is_some() {
            self.ask(todos, at);
        } else {
            self.early.push(at);
        }
    }

    fn ask(&mut self, todos: &mut Vec<Todo>, at: usize) {
        let Call { tag, plan, id, .. } = &self.calls[at];
        let mut meta = json!({ "progressToken": tag });
        if self.is_modern() {
            meta["io.modelcontextprotocol/protocolVersion"] = self.options.version.as_str().into();
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
            meta["io.modelcontextprotocol/logLevel"] = "debug".into();
        }
        let params = json!({ "name": "t", "arguments": plan.write(tag), "_meta": meta });
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        self.post(todos, &body, Purpose::Call(at));
    }

    /// The world has sent what this client wanted sent.
    pub(crate) fn sent(&mut self, number: Number, purpose: Purpose) -> Option<Seen> {
        self.responses.insert(number, Response { purpose, status: 0, body: Vec::new(), reader: None });
        let Purpose::Call(at) = purpose else { return None };
        let Call { tag, plan, returns, .. } = &self.calls[at];
        let asked = Seen::Asked {
            client: self.number,
            tag: tag.clone(),
            number,
            plan: *plan,
            modern: self.options.version.era() == Era::Modern,
        };
        (*returns == 0).then_some(asked)
    }

    /// It closes the response of a call and does not come back; or it cancels it, in the way of its era.
    pub(crate) fn take_back(&mut self, todos: &mut Vec<Todo>, says_so: SaysSo) {
        let Some(at) = self.calls.iter().position(|call| call.state == State::Open) else { return };
        if self.early.contains(&at) {
            return;
        }
        let says_so = says_so == SaysSo::Yes && !self.is_modern() && !self.options.same_ids;
        let Call { tag, id, state, .. } = &mut self.calls[at];
        *state = State::Dropped;
        let (tag, id) = (tag.clone(), *id);
        if says_so {
            todos.push(Todo::See(Seen::Cancels { tag }));
            let body = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
            self.post(todos, &body, Purpose::Remark);
            return;
        }
        todos.push(Todo::See(Seen::GaveUp { tag }));
        let of_it = self.responses.iter().filter(|(_, response)| response.purpose == Purpose::Call(at));
        todos.extend(of_it.map(|(number, _)| Todo::Close(*number)));
    }

    /// It opens the stream of GET.
    pub(crate) fn listen(&mut self, todos: &mut Vec<Todo>) {
        if !self.is_gone && self.session.is_some() && !self.listens {
            self.listens = true;
            self.get(todos, Duration::ZERO, None, Purpose::Listen);
        }
    }

    /// It tries what belongs to somebody else.
    pub(crate) fn steal(&mut self, todos: &mut Vec<Todo>, session: &str, how: u64) {
        let method = [Method::POST, Method::GET, Method::DELETE][how as usize % 3].clone();
        let ping = json!({ "jsonrpc": "2.0", "id": 77, "method": "ping" }).to_string().into_bytes();
        let body = if method == Method::POST { ping } else { Vec::new() };
        let mut request = self.request(method, Some(session), None, body);
        // As a client of the era that has sessions.
        request.parts.headers.remove("mcp-protocol-version");
        todos.push(Todo::Send { after: Duration::ZERO, request, purpose: Purpose::Theft });
    }

    pub(crate) fn delete(&mut self, todos: &mut Vec<Todo>) {
        if let Some(session) = self.session.clone() {
            let request = self.request(Method::DELETE, Some(&session), None, Vec::new());
            todos.push(Todo::Send { after: Duration::ZERO, request, purpose: Purpose::Delete });
            self.drop_all();
        }
    }

    /// It is gone, without a word.
    pub(crate) fn vanish(&mut self, todos: &mut Vec<Todo>) {
        self.drop_all();
        todos.extend(self.responses.keys().map(|number| Todo::Close(*number)));
        self.responses.clear();
    }

    fn drop_all(&mut self) {
        self.is_gone = true;
        for call in self.calls.iter_mut().filter(|call| call.state == State::Open) {
            call.state = State::Dropped;
        }
    }

    /// A part of a response has come.
    pub(crate) fn read(&mut self, todos: &mut Vec<Todo>, number: Number, part: Part) {
        let Some(response) = self.responses.get_mut(&number) else { return };
        match part {
            Part::Head(status, headers) => {
                response.status = status.as_u16();
                let is_events = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
                response.reader = is_events.then(Reader::default);
                if let (Purpose::Initialize, Some(id)) = (response.purpose, headers.get("mcp-session-id")) {
                    self.session = id.to_str().ok().map(Into::into);
                }
            }
            Part::Bytes(bytes) => {
                let Some(reader) = &mut response.reader else { return response.body.extend(bytes) };
                let (events, purpose) = (reader.push(&bytes), response.purpose);
                for event in events {
                    self.on_event(todos, number, purpose, event);
                }
            }
            Part::End => self.on_end(todos, number, Ended::Well),
            Part::Broken => self.on_end(todos, number, Ended::Badly),
        }
    }

    fn on_event(&mut self, todos: &mut Vec<Todo>, number: Number, purpose: Purpose, event: ReadEvent) {
        match purpose {
            Purpose::Call(at) => {
                self.calls[at].last_id = event.id.or(self.calls[at].last_id.take());
                self.calls[at].retry = event.retry.unwrap_or(self.calls[at].retry);
            }
            Purpose::Listen => self.last_heard = event.id.or(self.last_heard.take()),
            _ => {}
        }
        if event.data.is_empty() {
            return;
        }
        let is_message = event.name.is_none();
        todos.push(Todo::See(Seen::Heard { number, status: 200, name: event.name, data: event.data.clone() }));
        if is_message {
            self.on_message(todos, purpose, &event.data);
        }
    }

    fn on_end(&mut self, todos: &mut Vec<Todo>, number: Number, ended: Ended) {
        let Some(response) = self.responses.remove(&number) else { return };
        let Response { purpose, status, body, reader } = response;
        if reader.is_none() && ended == Ended::Well && !body.is_empty() {
            todos.push(Todo::See(Seen::Heard { number, status, name: None, data: body.clone() }));
            self.on_message(todos, purpose, &body);
        }
        match purpose {
            Purpose::Theft if ended == Ended::Well => todos.push(Todo::See(Seen::Stolen { status })),
            Purpose::Initialize => self.opened(todos),
            Purpose::Listen if self.listens && status == 200 && !self.is_gone => {
                let last = self.last_heard.clone();
                self.listen_returns += 1;
                self.get(todos, Duration::from_secs(1), last, Purpose::Listen);
            }
            Purpose::Call(at) if self.calls[at].state == State::Open => {
                let Call { tag, last_id, retry, returns, .. } = &mut self.calls[at];
                // Whoever has an event comes back; but not to somebody who says that there is nothing, and not for ever.
                if *returns > MOST_RETURNS {
                    return;
                }
                if let Some(id) = last_id.clone().filter(|_| status == 200 || status == 0) {
                    *returns += 1;
                    let retry = *retry;
                    self.get(todos, retry, Some(id), Purpose::Call(at));
                    return;
                }
                let outcome = if status == 200 || status == 0 { Outcome::Broken } else { Outcome::Status(status) };
                todos.push(Todo::See(Seen::Finished { tag: tag.clone(), outcome }));
                self.calls[at].state = State::Over;
            }
            _ => {}
        }
    }

    /// The answer to `initialize` is there, or lost.
    fn opened(&mut self, todos: &mut Vec<Todo>) {
        if self.session.is_none() {
            // Without a session there is nothing to wait for.
            self.drop_all();
            return;
        }
        for at in std::mem::take(&mut self.early) {
            if self.calls[at].state == State::Open {
                self.ask(todos, at);
            }
        }
        // It may well arrive after them.
        self.post(todos, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }), Purpose::Remark);
    }

    fn on_message(&mut self, todos: &mut Vec<Todo>, purpose: Purpose, data: &[u8]) {
        let value: Value = serde_json::from_slice(data).unwrap_or_default();
        if value["method"].is_string() {
            if !value["id"].is_null() {
                let content = json!({ "text": value["params"]["message"] });
                let result = json!({ "action": "accept", "content": content });
                self.post(todos, &json!({ "jsonrpc": "2.0", "id": value["id"], "result": result }), Purpose::Remark);
            }
            return;
        }
        let Purpose::Call(at) = purpose else { return };
        let call = &mut self.calls[at];
        if call.state != State::Open {
            return;
        }
        let outcome = match (&value["result"], &value["error"]) {
            _ if value["id"] != call.id && !value["id"].is_null() => {
                Outcome::Error(0, format!("of another id: {value}"))
            }
            (Value::Object(result), _) => {
                let found = result.get("structuredContent").cloned().unwrap_or_default();
                let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
                Outcome::Result(text("tag"), text("pad").len())
            }
            (_, error) => Outcome::Error(
                error["code"].as_i64().unwrap_or_default(),
                error["message"].as_str().unwrap_or_default().into(),
            ),
        };
        call.state = State::Over;
        todos.push(Todo::See(Seen::Finished { tag: call.tag.clone(), outcome }));
    }

    fn get(&mut self, todos: &mut Vec<Todo>, after: Duration, last: Option<String>, purpose: Purpose) {
        let session = self.session.clone();
        let request = self.request(Method::GET, session.as_deref(), last.as_deref(), Vec::new());
        todos.push(Todo::Send { after, request, purpose });
    }

    fn post(&mut self, todos: &mut Vec<Todo>, body: &Value, purpose: Purpose) {
        let mut request = self.request(Method::POST, self.session.as_deref(), None, body.to_string().into_bytes());
        if self.is_modern() {
            let headers = &mut request.parts.headers;
            for (name, value) in [("mcp-method", &body["method"]), ("mcp-name", &body["params"]["name"])] {
                let value = value.as_str().and_then(|text| text.parse().ok());
                headers.extend(value.map(|value| (http::HeaderName::from_static(name), value)));
            }
        }
        todos.push(Todo::Send { after: Duration::ZERO, request, purpose });
    }

    fn request(&self, method: Method, session: Option<&str>, last: Option<&str>, body: Vec<u8>) -> Request {
        let mut builder = http::Request::builder()
            .method(method)
            .uri("/mcp")
            .header("host", "localhost:8000")
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json");
        let is_told = self.is_modern() || (session.is_some() && self.options.version.as_str() >= "2025-06-18");
        if is_told {
            builder = builder.header("mcp-protocol-version", self.options.version.as_str());
        }
        for (name, value) in [("mcp-session-id", session), ("last-event-id", last)] {
            builder = value.into_iter().fold(builder, |builder, value| builder.header(name, value));
        }
        let parts = builder.body(()).unwrap_or_default().into_parts().0;
        Request { parts, principal: self.options.principal.into(), body }
    }
}

/// Whether a client that waits no longer tells the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaysSo {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
}

/// An event, as a naive reader finds it.
#[derive(Debug, Default)]
struct ReadEvent {
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    data: Vec<u8>,
}

/// Reads events byte by byte.
#[derive(Debug, Default)]
struct Reader {
    line: Vec<u8>,
    event: ReadEvent,
}

impl Reader {
    fn push(&mut self, bytes: &[u8]) -> Vec<ReadEvent> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            let (field, value) = line.split_once(": ").unwrap_or((&line, ""));
            match field {
                "" if line.is_empty() => events.push(std::mem::take(&mut self.event)),
                "event" => self.event.name = Some(value.into()),
                "id" => self.event.id = Some(value.into()),
                "retry" => self.event.retry = value.parse().ok().map(Duration::from_millis),
                "data" => self.event.data = value.into(),
                _ => {}
            }
        }
        events
    }
}
