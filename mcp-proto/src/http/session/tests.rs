//! A session beside its connection, in virtual time, as a driver plays it.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use serde_json::{Value, json};

use super::*;
use crate::http::Output;
use crate::http::ids::EventId;
use crate::model::{Implementation, LogParams, LoggingLevel, Progress, ServerCapabilities, Supported, ToolsCapability};
use crate::{
    Body, CallOptions, Change, Channel, Connection, Event, InboundId, Limits, Meta, ResultKind, Scope, ServerConfig,
    Start, Why,
};

mod broken;
mod responses;

const EPOCH: Timestamp = Timestamp::EPOCH;

/// A server's side of one session, and what its handlers were asked.
struct Host {
    conn: Connection,
    session: Session,
    now: Timestamp,
    asked: Vec<InboundId>,
    prefers: Preference,
}

/// What a response was told.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: String,
    ended: bool,
}

/// One event, as it was read.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    name: Option<String>,
    id: Option<String>,
    retry: Option<String>,
    data: String,
}

impl Told {
    fn events(&self) -> Vec<Read> {
        assert_eq!(self.headers["content-type"], "text/event-stream", "{self:?}");
        let mut events = Vec::new();
        for block in self.body.split_terminator("\n\n") {
            let field = |name: &str| {
                let prefix = format!("{name}:");
                block.lines().find_map(|line| Some(line.strip_prefix(&prefix)?.trim_start().to_string()))
            };
            if block.lines().all(|line| line.starts_with(':')) {
                continue;
            }
            let (name, id, retry) = (field("event"), field("id"), field("retry"));
            events.push(Read { name, id, retry, data: field("data").unwrap_or_default() });
        }
        events
    }

    /// The messages among the events.
    fn messages(&self) -> Vec<Value> {
        let is_message = |event: &Read| event.name.is_none() && !event.data.is_empty();
        self.events().iter().filter(|it| is_message(it)).map(|it| serde_json::from_str(&it.data).unwrap()).collect()
    }

    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        assert!(self.ended, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    fn last_id(&self) -> EventId {
        let id = self.events().iter().rev().find_map(|event| event.id.clone());
        EventId::parse(&id.expect("an event with an id")).unwrap()
    }
}

impl Host {
    fn with(version: ProtocolVersion, tweak: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::default();
        tweak(&mut config);
        let mut server = ServerConfig::new(Implementation::new("server", "1"));
        server.capabilities = ServerCapabilities::default()
            .with_tools(ToolsCapability::default().with_list_changed(true))
            .with_logging(Supported::default());
        let mut conn = Connection::server(Arc::new(server), Start::Handshake, EPOCH);
        conn.handle_channel(EPOCH, Channel::Closed);
        let session = Session::new(SessionId::from_entropy([5; 16]), Arc::new(config));
        let mut host = Self { conn, session, now: EPOCH, asked: Vec::new(), prefers: Preference::Json };
        let key = host.post(&initialize(version.as_str()));
        let told = host.read(key);
        assert_eq!(told.json()["result"]["protocolVersion"], version.as_str(), "{told:?}");
        let key = host.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        assert_eq!(host.read(key).status, Some(202));
        host
    }

    fn new(version: ProtocolVersion) -> Self {
        Self::with(version, |_| {})
    }

    /// A client's POST.
    fn post(&mut self, body: &Value) -> StreamKey {
        self.try_post(body).expect("there is room")
    }

    fn try_post(&mut self, body: &Value) -> Result<StreamKey, Reason> {
        let message = Message::scan(body.to_string().as_bytes(), &Limits::default());
        let key = self.session.open_post(self.now, self.conn.version(), &message, self.prefers)?;
        self.conn.handle_message(self.now, key.origin(), message);
        self.settle();
        Ok(key)
    }

    fn call(&mut self, id: impl Into<Value>) -> StreamKey {
        self.post(&json!({ "jsonrpc": "2.0", "id": id.into(), "method": "tools/call",
            "params": { "name": "t", "_meta": { "progressToken": "p" } } }))
    }

    fn get(&mut self, resume: Option<&EventId>) -> Result<StreamKey, Reason> {
        let key = self.session.open_get(self.now, self.conn.version(), resume)?;
        self.settle();
        Ok(key)
    }

    /// What a driver does after every change.
    fn settle(&mut self) {
        loop {
            let channel = if self.session.wants_notices() { Channel::Open } else { Channel::Closed };
            self.conn.handle_channel(self.now, channel);
            while let Some(event) = self.conn.poll_event() {
                match event {
                    Event::Request { id, .. } => self.asked.push(id),
                    Event::Cancelled { id, .. } => {
                        self.asked.retain(|asked| *asked != id);
                        self.conn.release(self.now, id);
                    }
                    _ => {}
                }
            }
            let mut moved = false;
            while let Some(transmit) = self.conn.poll_transmit() {
                moved = true;
                self.session.push(self.now, transmit);
            }
            if !moved {
                break;
            }
        }
        let open: Vec<Origin> = self.session.open_origins().collect();
        for origin in open {
            if !self.conn.is_open(origin) {
                self.session.ended(self.now, origin);
            }
        }
        assert!(self.session.poll_timeout().is_none_or(|due| due > self.now), "due things are done");
    }

    fn read(&mut self, key: StreamKey) -> Told {
        self.read_some(key, usize::MAX)
    }

    fn read_some(&mut self, key: StreamKey, outputs: usize) -> Told {
        let mut told = Told::default();
        self.read_into(&mut told, key, outputs);
        told
    }

    fn read_into(&mut self, told: &mut Told, key: StreamKey, outputs: usize) {
        for _ in 0..outputs {
            match self.session.poll_output(self.now, key) {
                None => break,
                Some(_) if told.ended => panic!("something after the end: {told:?}"),
                Some(Output::Head(head)) => {
                    assert_eq!(told.status.replace(head.status.as_u16()), None, "two heads");
                    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                        (name.to_string(), value.to_str().unwrap().to_string())
                    };
                    told.headers = head.headers.iter().map(header).collect();
                }
                Some(Output::Data(data)) => told.body.push_str(core::str::from_utf8(&data).unwrap()),
                Some(Output::End) => {
                    told.ended = true;
                    break;
                }
            }
        }
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.conn.handle_timeout(self.now);
        self.session.handle_timeout(self.now);
        self.settle();
    }

    fn progress(&mut self, id: InboundId, progress: f64) {
        self.conn.progress(self.now, id, Progress::new(progress)).unwrap();
        self.settle();
    }

    fn log(&mut self, within: InboundId, text: &str) {
        let body = Body::log(&LogParams::new(LoggingLevel::Error, json!(text))).unwrap();
        self.conn.notify(self.now, body, Scope::Within(within), Meta::None).unwrap();
        self.settle();
    }

    fn answer(&mut self, id: InboundId, result: &Value) {
        self.asked.retain(|asked| *asked != id);
        self.conn.respond(self.now, id, ResultKind::Complete, Body::result(result).unwrap(), None).unwrap();
        self.settle();
    }
}

fn initialize(version: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": version,
        "capabilities": { "sampling": {}, "elicitation": {} }, "clientInfo": { "name": "c", "version": "1" } } })
}

fn id(text: &str) -> EventId {
    EventId::parse(text).unwrap()
}
