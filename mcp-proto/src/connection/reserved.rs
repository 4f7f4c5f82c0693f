//! The ids of our requests on the wire, and requests that somebody else sends in our name: their ids, and the way of their answers.
//!
//! A task of 2025-11-25 asks its questions through the answer to `tasks/result`, and a store-and-forward queue sends requests
//! when it likes; the answers come back on the connection all the same. An id that was reserved here is never used for a
//! request of our own, and its answer comes out as [`Event::Routed`](super::Event::Routed) instead of as a stray.

use super::error::Why;
use super::{Connection, Event, OutboundId};
use crate::jsonrpc::{Message, RequestId};

impl Connection {
    /// The id that a request of ours has on the wire now, for logs. It has another one after each time it was sent again with
    /// answers to a question of the server; none once it has ended.
    pub fn wire_id(&self, id: OutboundId) -> Option<RequestId> {
        self.calls.wire_id(id)
    }

    /// Reserves a wire id for a request that is sent by other means than [`request`](Self::request).
    ///
    /// # Errors
    ///
    /// When as many are reserved as `Limits::outbound_requests` allows, or the connection has ended.
    pub fn reserve_id(&mut self) -> Result<RequestId, Why> {
        if self.closed {
            return Err(Why::Closed);
        }
        if self.calls.reserved.len() >= self.limits.outbound_requests {
            return Err(Why::Full);
        }
        let wire = self.calls.next_wire;
        self.calls.next_wire += 1;
        self.calls.reserved.insert(wire);
        Ok(RequestId::Number(wire))
    }

    /// Gives a reserved id back: an answer that comes all the same is a stray. Ids that are not reserved are ignored.
    pub fn release_id(&mut self, id: &RequestId) {
        if let Some(wire) = id.as_number() {
            self.calls.reserved.remove(&wire);
        }
    }

    /// Hands out an answer whose id is reserved; gives back any other.
    pub(super) fn route(&mut self, message: Message) -> Option<Message> {
        let wire = message.id().and_then(RequestId::as_number);
        if !wire.is_some_and(|wire| self.calls.reserved.remove(&wire)) {
            return Some(message);
        }
        self.events.push(Event::Routed { message });
        None
    }
}
