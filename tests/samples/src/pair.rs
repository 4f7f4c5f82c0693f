//! A client and a server that talk to each other in memory, and a record of what each of them has sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mcp_proto::model::{ClientCapabilities, Implementation, LoggingLevel, Sender, ServerCapabilities};
use mcp_proto::{
    ClientConfig, Connection, Event, InboundId, OutboundId, ProtocolVersion, ServerConfig, Start, Timestamp,
};
use serde_json::Value;

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp::EPOCH;

/// What the two sides say of themselves.
#[derive(Debug)]
pub(crate) struct Selves {
    pub(crate) client: Implementation,
    pub(crate) client_capabilities: ClientCapabilities,
    pub(crate) server: Implementation,
    pub(crate) server_capabilities: ServerCapabilities,
    pub(crate) instructions: Option<String>,
}

/// One frame: who sent it, what it is, its text.
pub(crate) type Sent = (Sender, String, String);

#[derive(Debug)]
pub(crate) struct Pair {
    client: Connection,
    server: Connection,
    client_events: VecDeque<Event>,
    server_events: VecDeque<Event>,
    /// The methods of the requests that either side has sent, by their ids.
    asked: BTreeMap<(bool, String), String>,
    pub(crate) sent: Vec<Sent>,
}

impl Pair {
    /// Both sides, with their handshake done.
    pub(crate) fn new(version: ProtocolVersion, selves: Selves) -> Self {
        let mut pair = Self::before_handshake(version, selves);
        pair.pump();
        pair
    }

    /// Both sides; the client's first message has not left yet.
    pub(crate) fn before_handshake(version: ProtocolVersion, selves: Selves) -> Self {
        let mut client = ClientConfig::new(selves.client);
        client.capabilities = selves.client_capabilities;
        client.versions = vec![version];
        let mut server = ServerConfig::new(selves.server);
        server.capabilities = selves.server_capabilities;
        server.versions = vec![version];
        server.instructions = selves.instructions;
        server.log_level = LoggingLevel::Debug;
        Self {
            client: Connection::client(Arc::new(client), NOW),
            server: Connection::server(Arc::new(server), Start::Handshake, NOW),
            client_events: VecDeque::new(),
            server_events: VecDeque::new(),
            asked: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    pub(crate) fn side(&mut self, side: Sender) -> &mut Connection {
        if side == Sender::Client { &mut self.client } else { &mut self.server }
    }

    /// Carries frames to and fro until there are none.
    pub(crate) fn pump(&mut self) {
        loop {
            let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
            let any_from_client = self.client.drain_lines(&mut from_client, usize::MAX);
            let any_from_server = self.server.drain_lines(&mut from_server, usize::MAX);
            if !any_from_client && !any_from_server {
                return;
            }
            self.record(Sender::Client, &from_client);
            self.record(Sender::Server, &from_server);
            self.server.handle_input(NOW, &from_client);
            self.client.handle_input(NOW, &from_server);
            self.client_events.extend(std::iter::from_fn(|| self.client.poll_event()));
            self.server_events.extend(std::iter::from_fn(|| self.server.poll_event()));
        }
    }

    /// Lets a side read a line that we did not write.
    pub(crate) fn inject(&mut self, to: Sender, line: &str) {
        if let Ok(message) = serde_json::from_str::<Value>(line) {
            self.note_asked(to == Sender::Server, &message);
        }
        self.side(to).handle_input(NOW, format!("{line}\n").as_bytes());
        self.pump();
    }

    /// The oldest request that this side has not answered.
    pub(crate) fn asked(&mut self, side: Sender) -> Option<InboundId> {
        self.take(side, |event| if let Event::Request { id, .. } = event { Some(*id) } else { None })
    }

    /// The request of this client that waits for answers to questions of the server, and the keys of the questions.
    pub(crate) fn questions(&mut self) -> Option<(OutboundId, Vec<String>)> {
        self.take(Sender::Client, |event| match event {
            Event::InputRequired { id, requests } => Some((*id, requests.keys().cloned().collect())),
            _ => None,
        })
    }

    /// What the connection ended of, or an answer that was an error: for complaints.
    pub(crate) fn events(&self) -> String {
        format!("client {:?}\nserver {:?}", self.client_events, self.server_events)
    }

    fn take<T>(&mut self, side: Sender, pick: impl Fn(&Event) -> Option<T>) -> Option<T> {
        let events = if side == Sender::Client { &mut self.client_events } else { &mut self.server_events };
        let (at, found) = events.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?)))?;
        events.remove(at);
        Some(found)
    }

    fn record(&mut self, sender: Sender, lines: &[u8]) {
        for line in String::from_utf8_lossy(lines).lines() {
            let message = serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let kind = match (message["method"].as_str(), message.get("id")) {
                (Some(method), Some(_)) => format!("{method} request"),
                (Some(method), None) => format!("{method} notification"),
                (None, id) => {
                    let key = (sender == Sender::Server, id.map(Value::to_string).unwrap_or_default());
                    let method = self.asked.get(&key).map_or("unreadable", String::as_str);
                    format!("{method} {}", if message.get("result").is_some() { "result" } else { "error" })
                }
            };
            self.note_asked(sender == Sender::Client, &message);
            self.sent.push((sender, kind, line.to_owned()));
        }
    }

    fn note_asked(&mut self, by_client: bool, message: &Value) {
        if let (Some(method), Some(id)) = (message["method"].as_str(), message.get("id")) {
            self.asked.insert((by_client, id.to_string()), method.to_owned());
        }
    }
}
