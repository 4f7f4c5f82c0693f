//! Checks of invariants 1 and 2, as the application sees them.

use std::collections::BTreeSet;

use mcp_proto::{About, Event, InboundId, OutboundId};

use super::{Check, PerNode, require};
use crate::seen::{Deed, Facts, Seen};

/// Each call gets exactly one response.
#[derive(Default)]
pub(crate) struct OneResponse(PerNode<BTreeSet<OutboundId>>);

impl Check for OneResponse {
    fn name(&self) -> &'static str {
        "one response"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let open = self.0.at(facts);
        match seen {
            Seen::Did(Deed::Called(id, ..) | Deed::Listened(id) | Deed::Asked(id, _)) => {
                open.insert(*id);
            }
            Seen::Told(Event::Response { id, .. }) => require!(open.remove(id), "{id:?} has no call that is open"),
            Seen::Told(Event::Progress { id, .. } | Event::InputRequired { id, .. }) => {
                require!(open.contains(id), "told about {id:?}, which is not open");
            }
            Seen::Told(Event::Closed { .. }) => require!(open.is_empty(), "closed with open calls: {open:?}"),
            _ => {}
        }
        Ok(())
    }
}

/// The end is told once, as the last event.
#[derive(Default)]
pub(crate) struct ClosedLast(PerNode<bool>);

impl Check for ClosedLast {
    fn name(&self) -> &'static str {
        "closed last"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let closed = self.0.at(facts);
        match seen {
            Seen::Told(event) => {
                require!(!*closed, "told after the end: {event:?}");
                *closed = matches!(event, Event::Closed { .. });
            }
            Seen::Sent { transmit, .. } => require!(!*closed, "sent after the end: {transmit:?}"),
            _ => {}
        }
        Ok(())
    }
}

/// Each request is answered at most once, and not after it was cancelled.
#[derive(Default)]
pub(crate) struct OneAnswer(PerNode<Requests>);

#[derive(Default)]
struct Requests {
    live: BTreeSet<InboundId>,
    replied: BTreeSet<InboundId>,
}

impl Check for OneAnswer {
    fn name(&self) -> &'static str {
        "one answer"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let Requests { live, replied } = self.0.at(facts);
        match seen {
            Seen::Told(Event::Request { id, .. }) => {
                live.insert(*id);
            }
            Seen::Told(Event::Cancelled { id, .. }) => {
                require!(live.remove(id), "{id:?} was cancelled, and is not open");
            }
            Seen::Told(Event::Closed { .. }) => require!(live.is_empty(), "closed with open requests: {live:?}"),
            Seen::Did(Deed::Answered(id, Ok(()))) => require!(live.remove(id), "{id:?} was answered, and is not open"),
            Seen::Did(Deed::Answered(
                id,
                Err(mcp_proto::RespondError::TooLarge | mcp_proto::RespondError::PeerLacks),
            )) => {
                live.remove(id);
            }
            Seen::Sent { transmit, .. } => {
                if let About::Reply(id) = transmit.about {
                    require!(replied.insert(id), "{id:?} is answered twice");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Handles are never reused.
#[derive(Default)]
pub(crate) struct FreshHandles(PerNode<(Option<OutboundId>, Option<InboundId>)>);

impl Check for FreshHandles {
    fn name(&self) -> &'static str {
        "fresh handles"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let (call, request) = self.0.at(facts);
        match seen {
            Seen::Did(Deed::Called(id, ..) | Deed::Listened(id) | Deed::Asked(id, _)) => {
                require!(call.is_none_or(|last| last < *id), "{id:?} comes after {call:?}");
                *call = Some(*id);
            }
            Seen::Told(Event::Request { id, .. }) => {
                require!(request.is_none_or(|last| last < *id), "{id:?} comes after {request:?}");
                *request = Some(*id);
            }
            _ => {}
        }
        Ok(())
    }
}
