//! Subscriptions: who wants to hear of which changes, and what they have not been told yet.
//!
//! Specification: `subscriptions/listen` (2026-07-28), `resources/subscribe` and the list-changed notifications before. Both
//! are level-triggered: what has changed is a set, encoded only when the output has room, so it is never lost and never grows
//! beyond what was subscribed to.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::error::{CloseReason, RequestError, RespondError};
use super::event::{About, Change, Channel, Event, InboundId, Origin, OutboundId};
use super::lifecycle::Phase;
use super::requests::Effect;
use super::{Connection, Limits, Side};
use crate::jsonrpc::{Body, ErrorObject, Message, RequestId, Tail};
use crate::model::{
    AcknowledgedParams, Capability, Era, RequestMetaObject, ResourceUpdatedParams, SubscriptionFilter, meta_key,
};

/// What is subscribed to on this connection, and what has changed of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Changes {
    /// Opened by `subscriptions/listen`, with what was granted.
    listens: BTreeMap<InboundId, Listen>,
    /// The legacy era's session as a whole.
    session: Pending,
    /// What `resources/subscribe` asked for.
    uris: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listen {
    wire: RequestId,
    origin: Origin,
    #[serde(with = "super::freeze::text")]
    granted: SubscriptionFilter,
    pending: Pending,
}

/// What has changed and was not told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pending {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: BTreeSet<String>,
}

impl Pending {
    fn note(&mut self, change: &Change) {
        match change {
            Change::Tools => self.tools = true,
            Change::Prompts => self.prompts = true,
            Change::Resources => self.resources = true,
            Change::Resource(uri) => {
                self.uris.insert(uri.clone());
            }
        }
    }

    fn take(&mut self) -> Option<Body> {
        for (pending, method) in [
            (&mut self.tools, "notifications/tools/list_changed"),
            (&mut self.prompts, "notifications/prompts/list_changed"),
            (&mut self.resources, "notifications/resources/list_changed"),
        ] {
            if core::mem::take(pending) {
                return Body::empty(method).ok();
            }
        }
        let uri = self.uris.pop_first()?;
        Body::new("notifications/resources/updated", &ResourceUpdatedParams::new(uri)).ok()
    }
}

impl Changes {
    /// Whether another resource of the legacy era may be subscribed to: by their number, and by the bytes of their URIs.
    pub(super) fn has_room_for(&self, uri: &str, limits: &Limits) -> bool {
        let bytes: usize = self.uris.iter().map(String::len).sum();
        self.uris.contains(uri) || self.uris.len() < limits.subscribed_uris && bytes + uri.len() <= limits.events
    }

    /// Whether its changes can be told of within the limit of a frame.
    pub(super) fn can_be_told(uri: &str, limits: &Limits) -> bool {
        let told = Body::new("notifications/resources/updated", &ResourceUpdatedParams::new(uri));
        told.is_ok_and(|body| body.finished_len(&Tail::default(), None) <= limits.frame)
    }

    /// Whether the request is a subscription that was granted.
    pub(super) fn is_granted(&self, id: InboundId) -> bool {
        self.listens.contains_key(&id)
    }

    /// What was granted of it.
    pub(super) fn granted(&self, id: InboundId) -> Option<&SubscriptionFilter> {
        self.listens.get(&id).map(|listen| &listen.granted)
    }

    /// Forgets a subscription, if the request was one.
    pub(super) fn end(&mut self, id: InboundId) {
        self.listens.remove(&id);
    }
}

impl Connection {
    pub(super) fn open_subscription(
        &mut self,
        id: InboundId,
        granted: &SubscriptionFilter,
    ) -> Result<(), RespondError> {
        let request = self.requests.live(id).ok_or(RespondError::Gone)?;
        let Effect::Listen(asked) = &request.effect else { return Err(RespondError::NotInThisRevision) };
        if self.changes.listens.contains_key(&id) {
            return Err(RespondError::Gone);
        }
        let granted = self.grant_of(asked, granted);
        let (wire, origin) = (request.wire.clone(), request.origin);
        let acknowledged = AcknowledgedParams::new(granted.clone());
        if let Ok(body) = Body::new("notifications/subscriptions/acknowledged", &acknowledged) {
            // Whatever is told later has a part of this in it, and so is shorter.
            let Ok(frame) = body.finish_within(self.limits.frame, &subscription_tail(&wire), None) else {
                self.send_error(id, &ErrorObject::internal("what was granted is too long to be acknowledged"))?;
                return Err(RespondError::TooLarge);
            };
            self.transmit(origin, About::Within(id), frame);
        }
        self.changes.listens.insert(id, Listen { wire, origin, granted, pending: Pending::default() });
        Ok(())
    }

    pub(super) fn note_change(&mut self, change: &Change) {
        let Side::Server(config) = &self.side else { return };
        for listen in self.changes.listens.values_mut() {
            let granted = &listen.granted;
            let wanted = match change {
                Change::Tools => granted.tools_list_changed == Some(true),
                Change::Prompts => granted.prompts_list_changed == Some(true),
                Change::Resources => granted.resources_list_changed == Some(true),
                Change::Resource(uri) => granted.resource_subscriptions.as_ref().is_some_and(|uris| uris.contains(uri)),
            };
            if wanted {
                listen.pending.note(change);
            }
        }
        let declared = match change {
            Change::Tools => config.capabilities.offers(Capability::ToolsListChanged),
            Change::Prompts => config.capabilities.offers(Capability::PromptsListChanged),
            Change::Resources => config.capabilities.offers(Capability::ResourcesListChanged),
            Change::Resource(uri) => self.changes.uris.contains(uri),
        };
        if declared && self.lifecycle.version.is_some_and(|version| version.era() == Era::Legacy) {
            self.changes.session.note(change);
        }
    }

    /// Ends all subscriptions from our side. Each of the peer's gets its result, so that a client knows that it was no accident;
    /// our own are given up, since they would not end by themselves.
    pub(super) fn end_subscriptions(&mut self, reason: &CloseReason) {
        for id in self.calls.listens() {
            self.abandon_call(id, "this side is closing", RequestError::Closed(reason.clone()));
        }
        for id in self.changes.listens.keys().copied().collect::<Vec<_>>() {
            if self.send_finished(id, "complete", Body::empty_result(), Tail::default(), &None).is_ok() {
                self.events.push(Event::Cancelled { id, reason: Some("this side is closing".into()) });
            }
        }
    }

    /// Puts what has changed into the output while that has room.
    pub(super) fn tell_changes(&mut self) {
        if self.lifecycle.phase == Phase::Operating && self.channel == Channel::Open {
            while !self.output.is_full()
                && let Some(body) = self.changes.session.take()
            {
                self.transmit(Origin::STREAM, About::Notice, body.finish(&Tail::default(), None));
            }
        }
        for (id, listen) in &mut self.changes.listens {
            while !self.output.is_full()
                && let Some(body) = listen.pending.take()
            {
                let frame = body.finish(&subscription_tail(&listen.wire), None);
                self.output.push(super::Transmit::new(listen.origin, About::Within(*id), frame));
            }
        }
    }

    /// What the answer to a request changes here.
    pub(super) fn note_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Subscribe(uri) if self.changes.has_room_for(&uri, &self.limits) => {
                self.changes.uris.insert(uri);
            }
            Effect::Unsubscribe(uri) => {
                self.changes.uris.remove(&uri);
                self.changes.session.uris.remove(&uri);
            }
            Effect::Initialize(version, peer) => self.begin_session(version, peer),
            Effect::SetLevel(level) => self.lifecycle.log_level = Some(level),
            Effect::Subscribe(_) | Effect::None | Effect::MayRequireInput | Effect::Listen(_) => {}
        }
    }

    /// The call of ours that a notification belongs to: the `subscriptions/listen` whose id it carries.
    pub(super) fn subscription_of(&mut self, message: &Message) -> Option<OutboundId> {
        if self.is_server() || self.era() != Some(Era::Modern) {
            return None;
        }
        let meta = RequestMetaObject::read(message.meta()?.as_str()).ok()?;
        let id = self.call_of(&meta.subscription_id?)?;
        let now = self.now;
        self.calls.get_mut(id)?.hear(now);
        Some(id)
    }
}

fn subscription_tail(wire: &RequestId) -> Tail {
    Tail::default().with_meta(None, |meta| meta.put_id(meta_key::SUBSCRIPTION_ID, wire))
}
