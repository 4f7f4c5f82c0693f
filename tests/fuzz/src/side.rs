//! One side of a connection, its clock, what its application knows, and what has to hold of it at every step.
//!
//! The numbers in the assertions are those of `mcp-proto/INVARIANTS.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_proto::jsonrpc::{Fault, Kind, Message, RequestId};
use mcp_proto::model::{Era, LoggingLevel, ProtocolVersion, SubscriptionFilter};
use mcp_proto::{
    About, ClientConfig, Connection, Event, InboundId, Limits, OutboundId, RequestMeta, RespondError, ResultKind,
    ServerConfig, Start, Timestamp, Transmit,
};
use serde_json::Value;

/// Whether all that comes and goes is printed, for somebody who looks at a single input.
pub(crate) static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// What a side was made from.
pub(crate) enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

pub(crate) struct Side {
    pub(crate) conn: Connection,
    config: Config,
    limits: Limits,
    pub(crate) now: Timestamp,
    /// Every call so far, and those that are still open.
    pub(crate) calls: Vec<OutboundId>,
    pub(crate) open: BTreeSet<OutboundId>,
    /// Calls that have become tasks: they may still report.
    tasks: BTreeSet<OutboundId>,
    /// Calls of which the peer wants to know something, and under which keys.
    pub(crate) asked: BTreeMap<OutboundId, Vec<String>>,
    /// Every request of the peer so far.
    pub(crate) requests: BTreeMap<InboundId, Asked>,
    /// The wire ids and the methods of the requests that have left.
    pub(crate) sent: Vec<(RequestId, String)>,
    wire_ids: BTreeSet<String>,
    /// Requests that were answered before the application had looked at them.
    early: BTreeSet<InboundId>,
    pub(crate) reserved: Vec<RequestId>,
    last_call: Option<OutboundId>,
    closed: bool,
}

/// A request of the peer, as the application knows it.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) meta: RequestMeta,
    pub(crate) message: Message,
    /// Whether it may still be answered, as far as was told.
    pub(crate) is_open: bool,
    /// Whether it keeps its place although it was cancelled.
    cancelled: bool,
    replied: bool,
    /// Whether its answer says that it has become a task.
    became_task: bool,
    last_progress: Option<f64>,
    acknowledged: bool,
}

impl Side {
    pub(crate) fn client(config: ClientConfig) -> Self {
        let (limits, config) = (config.limits.clone(), Arc::new(config));
        Self::new(Connection::client(config.clone(), Timestamp::EPOCH), Config::Client(config), limits)
    }

    pub(crate) fn server(config: ServerConfig, start: Start) -> Self {
        let (limits, config) = (config.limits.clone(), Arc::new(config));
        Self::new(Connection::server(config.clone(), start, Timestamp::EPOCH), Config::Server(config), limits)
    }

    fn new(conn: Connection, config: Config, limits: Limits) -> Self {
        Self {
            conn,
            config,
            limits,
            now: Timestamp::EPOCH,
            calls: Vec::new(),
            open: BTreeSet::new(),
            tasks: BTreeSet::new(),
            asked: BTreeMap::new(),
            requests: BTreeMap::new(),
            sent: Vec::new(),
            wire_ids: BTreeSet::new(),
            early: BTreeSet::new(),
            reserved: Vec::new(),
            last_call: None,
            closed: false,
        }
    }

    pub(crate) fn is_server(&self) -> bool {
        matches!(self.config, Config::Server(_))
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.conn.handle_timeout(self.now);
        let next = self.conn.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "8: the next deadline is ahead, not at {next:?}");
    }

    /// Bytes of the peer; what is left of them is for later.
    pub(crate) fn feed(&mut self, bytes: &mut Vec<u8>, at_most: usize) {
        let offered = bytes.len().min(at_most);
        self.show("reads", &bytes[..offered]);

        let taken = self.conn.handle_input(self.now, &bytes[..offered]);
        assert!(
            taken <= offered && (taken == offered || !self.conn.wants_input()),
            "input is left for backpressure only"
        );
        bytes.drain(..taken);
    }

    /// Notes a call of ours that was taken.
    pub(crate) fn called(&mut self, call: OutboundId) {
        assert!(self.last_call.is_none_or(|last| last < call), "2: handles are never reused");
        self.last_call = Some(call);
        self.calls.push(call);
        self.open.insert(call);
    }

    /// Notes that the application has answered.
    pub(crate) fn answered(&mut self, id: InboundId, with_task: bool) {
        if let Some(asked) = self.requests.get_mut(&id) {
            asked.is_open = false;
            asked.became_task = with_task;
        }
    }

    /// Opens a subscription, if the request is one.
    pub(crate) fn grant(&mut self, id: InboundId, filter: &SubscriptionFilter) -> bool {
        let granted = self.conn.grant(self.now, id, filter);
        if granted == Err(RespondError::TooLarge) {
            self.answered(id, false);
        }
        granted.is_ok()
    }

    /// Requests that were told and may be answered as far as is known.
    pub(crate) fn working(&self) -> Vec<InboundId> {
        self.requests.iter().filter(|(_, asked)| asked.is_open).map(|(id, _)| *id).collect()
    }

    /// Goes on as a copy of the connection, or as one that was thawed: nobody can tell.
    pub(crate) fn replace(&mut self) {
        let twin = self.conn.clone();
        assert_eq!(format!("{twin:?}"), format!("{:?}", self.conn), "16: a copy is the same");
        self.conn = twin;
        let Ok(frozen) = self.conn.freeze() else { return };
        let thawed = match &self.config {
            Config::Client(config) => Connection::thaw_client(Arc::clone(config), &frozen, Timestamp::EPOCH),
            Config::Server(config) => Connection::thaw_server(Arc::clone(config), &frozen, Timestamp::EPOCH),
        };
        let thawed = thawed.expect("16: what was frozen is thawed");
        assert_eq!(thawed.freeze().as_ref(), Ok(&frozen), "16: nothing is lost on the way");
        assert_eq!(thawed.poll_timeout(), self.conn.poll_timeout(), "16: the deadlines stay");
        self.conn = thawed;
    }

    /// Takes up to so many frames.
    pub(crate) fn transmit(&mut self, at_most: usize, wire: &mut Vec<u8>) -> usize {
        for taken in 0..at_most {
            let was_drained = self.conn.is_drained();
            let Some(transmit) = self.conn.poll_transmit() else { return taken };
            assert!(!was_drained, "3: nothing is sent after drained");
            self.check_frame(&transmit);
            self.show("sends", &transmit.frame);
            wire.extend_from_slice(&transmit.frame);
            wire.push(b'\n');
        }
        at_most
    }

    /// Takes up to so many events; the application hears of each.
    pub(crate) fn events(&mut self, at_most: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < at_most
            && let Some(event) = self.conn.poll_event()
        {
            self.check_event(&event);
            events.push(event);
        }
        events
    }

    /// What holds between any two steps.
    pub(crate) fn check(&self) {
        let limits = &self.limits;
        // One message more in each queue, an unfinished line, and the last words about what was open.
        let last_words = 1000 * (limits.inbound_requests + limits.outbound_requests + limits.subscriptions + 5);
        let messages = 4 * (limits.frame + 1000);
        let bound = messages + 2 * limits.events + 2 * limits.output + last_words;
        assert!(self.conn.buffered_bytes() <= bound, "9: {} bytes are held", self.conn.buffered_bytes());
        if self.conn.is_drained() {
            assert!(self.conn.poll_timeout().is_none() && !self.conn.wants_input(), "3: nothing happens after drained");
        }
    }

    /// After a close with grace, once the time is over and the outputs are taken, everything has ended.
    pub(crate) fn finish(&mut self) {
        self.conn.close(self.now, Duration::from_secs(10));
        self.wait(Duration::from_secs(10_000));
        self.transmit(usize::MAX, &mut Vec::new());
        self.events(usize::MAX);
        self.wait(Duration::ZERO);
        assert!(self.conn.is_drained() && self.closed, "12: drained after close: {:?}", self.conn);
        assert!(self.open.is_empty(), "1: every call has ended: {:?}", self.open);
        assert!(self.working().is_empty(), "1: every request has ended");
        assert_eq!(self.conn.buffered_bytes(), 0, "9: nothing is held after the end");
        assert!(
            self.conn.poll_transmit().is_none() && self.conn.poll_event().is_none(),
            "10: polling yields nothing new"
        );
        self.check();
    }

    fn show(&self, what: &str, bytes: &[u8]) {
        if !bytes.is_empty() && IS_SHOWN.load(Ordering::Relaxed) {
            let side = if self.is_server() { "server" } else { "client" };
            println!("{} {side} {what} {}", self.now, String::from_utf8_lossy(bytes).trim_end());
        }
    }

    fn check_frame(&mut self, transmit: &Transmit) {
        let frame = &transmit.frame;
        assert!(frame.len() <= self.limits.frame, "9: a frame of {} bytes", frame.len());
        assert!(!frame.contains(&b'\n') && !transmit.last, "3: a frame is one line");
        let message = Message::scan(frame, &Limits::default());
        // An integer beyond 64 bits is echoed as it came, although we could not read it ourselves.
        let is_echo = message.fault() == Some(Fault::BadId) && transmit.about == About::Refusal;
        assert!(message.kind() != Kind::Malformed || is_echo, "3: {message:?}");
        let is_request = message.kind() == Kind::Request;
        match transmit.about {
            About::Call(_) => self.check_request(&message),
            About::Reply(id) => self.check_reply(id, &message),
            About::Within(id) => self.check_within(id, &message),
            About::Refusal => assert!(!is_request && message.kind() != Kind::Notification, "3: {message:?}"),
            About::Notice => {
                assert_eq!(message.kind(), Kind::Notification, "3: {message:?}");
                assert_ne!(message.method(), "notifications/cancelled", "1: the call is named");
            }
            About::Cancel(_) => {
                assert_eq!(message.method(), "notifications/cancelled", "3: {message:?}");
                let id = member(&message, "requestId").to_string();
                assert!(self.wire_ids.contains(&id), "1: only what was sent is cancelled, not {id}");
            }
            other => panic!("a frame about {other:?}"),
        }
    }

    fn check_request(&mut self, message: &Message) {
        assert_eq!(message.kind(), Kind::Request, "3: {message:?}");
        let id = message.id().expect("a request has an id").clone();
        let text = serde_json::to_string(&id).expect("an id is JSON");
        assert!(self.wire_ids.insert(text), "2: an id is used once: {message:?}");
        assert!(!self.reserved.contains(&id), "2: an id that others use is not ours: {message:?}");
        let is_modern = self.conn.era() == Some(Era::Modern) || message.method() == "server/discover";
        if self.is_server() {
            assert!(!is_modern, "4: a modern server sends no requests: {message:?}");
        } else if is_modern {
            let meta: Value = message.meta().expect("4: a modern request has _meta").decode().expect("an object");
            for key in ["protocolVersion", "clientCapabilities"] {
                assert!(meta.get(format!("io.modelcontextprotocol/{key}")).is_some(), "4: {key} in {message:?}");
            }
        }
        self.sent.push((id, message.method().into()));
    }

    fn check_reply(&mut self, id: InboundId, message: &Message) {
        assert!(matches!(message.kind(), Kind::Result | Kind::Error), "3: {message:?}");
        let Some(asked) = self.requests.get_mut(&id) else {
            // The application has taken too long over it without even having looked.
            assert!(message.kind() == Kind::Error && self.early.insert(id), "1: an answer unasked: {message:?}");
            return;
        };
        assert_eq!(message.id(), Some(&asked.meta.wire_id), "2: the answer has its request's id");
        assert!(!std::mem::replace(&mut asked.replied, true), "1: answered twice: {message:?}");
        assert!(!asked.cancelled, "1: answered after its cancellation: {message:?}");
        if message.kind() == Kind::Result {
            let is_modern = asked.meta.era == Era::Modern;
            assert_eq!(message.result_type().is_some(), is_modern, "4: resultType in {message:?}");
        }
    }

    fn check_within(&mut self, id: InboundId, message: &Message) {
        let is_server = self.is_server();
        let asked = self.requests.get_mut(&id).expect("5: about a request that was told");
        assert_eq!(message.kind(), Kind::Notification, "3: {message:?}");
        assert!(!asked.cancelled, "5: told after the cancellation: {message:?}");
        let is_listen = asked.method == "subscriptions/listen" && asked.meta.era == Era::Modern;
        let is_legacy_task = asked.became_task && asked.meta.era == Era::Legacy;
        assert!(!asked.replied || is_legacy_task, "5: told after the answer: {message:?}");
        match message.method() {
            "notifications/progress" => {
                let token = asked.meta.token.as_ref().expect("5: progress only for those who asked for it");
                assert_eq!(
                    member(message, "progressToken"),
                    serde_json::to_value(token).expect("JSON"),
                    "5: the token"
                );
                let progress = member(message, "progress").as_f64().expect("5: a number");
                assert!(asked.last_progress.is_none_or(|last| last < progress), "5: progress rises: {message:?}");
                assert!(!is_listen, "6: no progress on a subscription");
                asked.last_progress = Some(progress);
            }
            "notifications/message" if asked.meta.era == Era::Modern && is_server => {
                let level: LoggingLevel = serde_json::from_value(member(message, "level")).expect("5: a level");
                assert!(asked.meta.log_level.is_some_and(|wanted| level >= wanted), "5: no log unasked: {message:?}");
            }
            method if is_listen => {
                let is_first = !std::mem::replace(&mut asked.acknowledged, true);
                assert_eq!(
                    method.ends_with("acknowledged"),
                    is_first,
                    "6: the acknowledgement comes first: {message:?}"
                );
                let meta: Value = message.meta().expect("6: _meta").decode().expect("an object");
                let tag = &meta["io.modelcontextprotocol/subscriptionId"];
                assert_eq!(tag, &serde_json::to_value(&asked.meta.wire_id).expect("JSON"), "6: the id: {message:?}");
            }
            _ => {}
        }
    }

    fn check_event(&mut self, event: &Event) {
        assert!(!self.closed, "1: nothing after Closed: {event:?}");
        match event {
            Event::Request { id, message, meta } => {
                assert!(self.requests.keys().next_back().is_none_or(|last| last < id), "2: handles are never reused");
                let is_ours = self.is_server() || meta.era == Era::Legacy;
                assert!(is_ours, "4: a modern client serves nothing: {message:?}");
                let asked = Asked {
                    method: message.method().into(),
                    meta: (**meta).clone(),
                    message: message.clone(),
                    is_open: true,
                    cancelled: false,
                    replied: self.early.remove(id),
                    became_task: false,
                    last_progress: None,
                    acknowledged: false,
                };
                self.requests.insert(*id, asked);
            }
            Event::Cancelled { id, reason } => {
                let asked = self.requests.get_mut(id).expect("1: only what was told is cancelled");
                assert!(asked.is_open, "1: cancelled once, and only what is open");
                asked.is_open = false;
                // What this side has ended itself has its answer, which may not have left yet.
                let has_answer = matches!(reason.as_deref(), Some("this side is closing" | "it took too long"));
                asked.cancelled = !has_answer;
            }
            Event::Progress { id, progress, .. } => {
                assert!(self.open.contains(id) || self.tasks.contains(id), "5: progress of what is open");
                assert!(progress.progress.is_finite(), "5: {progress:?}");
            }
            Event::InputRequired { id, requests } => {
                assert!(self.open.contains(id), "7: asked about what is open");
                assert!(self.asked.insert(*id, requests.keys().cloned().collect()).is_none(), "7: one round at a time");
            }
            Event::Notification { related: Some(id), .. } => {
                assert!(self.open.contains(id), "6: about a subscription that is open");
            }
            Event::Response { id, result } => {
                assert!(self.open.remove(id), "1: exactly one Response: {event:?}");
                self.asked.remove(id);
                if matches!(result, Ok((ResultKind::Task, _))) {
                    self.tasks.insert(*id);
                }
            }
            Event::Routed { message } => {
                let id = message.id().expect("a routed answer has an id");
                let id = id.as_number().map_or_else(|| id.clone(), RequestId::Number);
                assert!(self.reserved.contains(&id), "2: routed is what is reserved: {message:?}");
                self.reserved.retain(|reserved| *reserved != id);
            }
            Event::Closed { .. } => {
                self.closed = true;
                assert!(self.open.is_empty() && self.working().is_empty(), "1: all ends before Closed");
            }
            _ => {}
        }
    }
}

/// A member of the parameters.
fn member(message: &Message, key: &str) -> Value {
    let params: Value = message.params().decode().expect("parameters are an object");
    params.get(key).cloned().unwrap_or_default()
}

/// The revisions in the order in which they came.
pub(crate) const VERSIONS: [ProtocolVersion; 5] = [
    ProtocolVersion::V2024_11_05,
    ProtocolVersion::V2025_03_26,
    ProtocolVersion::V2025_06_18,
    ProtocolVersion::V2025_11_25,
    ProtocolVersion::V2026_07_28,
];
