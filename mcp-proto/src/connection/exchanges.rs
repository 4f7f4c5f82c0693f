//! Exchanges: where a connection is carried by many (over HTTP, each POST is one), when one is over, and what reaches the peer outside
//! of them.

use alloc::string::String;
use alloc::vec::Vec;

use super::Connection;
use super::event::{Channel, Event, InboundId, Origin};
use super::requests::Effect;
use crate::Timestamp;
use crate::jsonrpc::RequestId;
use crate::model::{Era, ProtocolVersion};

impl Connection {
    /// An input: the peer has given up one exchange; its response was closed. In the modern era this cancels what came by it
    /// (specification 2026-07-28: basic/utilities/cancellation). In the legacy era it means nothing: the peer may come back for the
    /// answer (2025-11-25: basic/transports, Multiple Connections).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use mcp_proto::{Connection, Event, Limits, Message, Origin, ProtocolVersion, ServerConfig, Start, Timestamp};
    /// # use mcp_proto::model::{Implementation, ServerCapabilities, ToolsCapability};
    /// # let mut config = ServerConfig::new(Implementation::new("s", "1"));
    /// # config.versions = ProtocolVersion::ALL.to_vec();
    /// # config.capabilities = ServerCapabilities::default().with_tools(ToolsCapability::default());
    /// # let now = Timestamp::EPOCH;
    /// let mut exchange = Connection::server(Arc::new(config), Start::Assume(ProtocolVersion::V2026_07_28), now);
    /// let request = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{
    ///     "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    /// exchange.handle_message(now, Origin::new(1), Message::scan(request, &Limits::default()));
    /// exchange.handle_disconnect(now, Origin::new(1));
    /// let events: Vec<Event> = std::iter::from_fn(|| exchange.poll_event()).collect();
    /// assert!(matches!(events.last(), Some(Event::Cancelled { .. })));
    /// ```
    pub fn handle_disconnect(&mut self, now: Timestamp, origin: Origin) {
        self.advance(now);
        self.requests.unpark_all(|parked| parked.origin == origin && is_modern(parked.terms.version));
        for id in self.requests.open_on(origin).collect::<Vec<_>>() {
            if self.requests.version(id).is_some_and(is_modern) {
                self.cancel_request(id, Some("the client has closed the response".into()));
            }
        }
        self.settle();
    }

    /// An input: whether there is a way to the peer for what belongs to none of its requests. A new connection has one; a driver
    /// that has none says so at once, and tells every change.
    ///
    /// While there is none, changes that the peer subscribed to are kept until there is one, logs outside of requests are dropped and
    /// counted, and everything else is refused with [`Why::NoChannel`](super::Why).
    pub fn handle_channel(&mut self, now: Timestamp, channel: Channel) {
        self.advance(now);
        self.channel = channel;
        self.settle();
    }

    /// Whether something that came by this exchange is still to be answered, or something is still to be sent by it.
    pub fn is_open(&self, origin: Origin) -> bool {
        self.requests.is_open_on(origin) || self.output.has_for(origin)
    }

    /// By which way something leaves that was to leave by this one.
    pub(super) fn way_of(&self, origin: Origin) -> Option<Origin> {
        (origin != Origin::STREAM || self.channel == Channel::Open).then_some(origin)
    }

    /// The exchange by which a request of the peer came, given the id that it has on the wire. `None` if two use that id.
    pub(super) fn exchange_of(&self, wire: &RequestId) -> Option<Origin> {
        let mut origins = self.requests.exchanges_using(wire);
        let first = origins.next().unwrap_or(Origin::STREAM);
        origins.next().is_none().then_some(first)
    }

    /// The peer, or its going away, ends a request: nothing more is said about it.
    pub(super) fn cancel_request(&mut self, id: InboundId, reason: Option<String>) {
        let Some(request) = self.requests.open.get_mut(&id) else { return };
        let key = (request.origin, request.wire.clone());
        request.cancelled = true;
        self.stats.dropped += u64::from(request.waiting_progress.take().is_some());
        let (nested, is_subscription) = (request.nested, matches!(request.effect, Effect::Listen(_)));
        self.requests.by_wire.remove(&key);
        self.stats.dropped += self.output.drop_within(id) as u64;
        self.changes.end(id);
        if nested > 0 {
            self.end_nested(id);
        }
        self.events.push(Event::Cancelled { id, reason });
        if is_subscription {
            // Nobody works on it, so nobody releases it.
            self.requests.remove(id);
        }
        self.resume_clocks();
    }
}

fn is_modern(version: ProtocolVersion) -> bool {
    version.era() == Era::Modern
}
