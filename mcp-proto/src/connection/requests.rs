//! The table of the peer's requests: those in work, those that wait for a place, and when a slot is free.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::event::{InboundId, Origin, Peer};
use super::lifecycle::Terms;
use crate::jsonrpc::{Message, ProgressToken, RequestId};
use crate::model::{Era, LoggingLevel, Progress, ProtocolVersion, SubscriptionFilter};

/// The table of the peer's requests in work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Requests {
    /// Cancelled ones included, until their handler has ended; and subscriptions, until they end.
    pub(super) open: BTreeMap<InboundId, Request>,
    /// Only those that can still be answered. The exchange is part of the key: over HTTP two POSTs may use one id.
    #[serde(skip)]
    pub(super) by_wire: BTreeMap<(Origin, RequestId), InboundId>,
    /// How many of `open` are subscriptions, which have a limit of their own.
    #[serde(skip)]
    pub(super) subscriptions: usize,
    /// The bytes of their filters, as JSON.
    #[serde(skip)]
    pub(super) subscribed_bytes: usize,
    /// Requests of 2025-11-25 that have become tasks: their progress goes on until `release`. Bounded; the oldest goes first.
    pub(super) tasks: BTreeMap<InboundId, Request>,
    /// Those whose progress waits for room in the output.
    #[serde(skip)]
    pub(super) waiting_progress: BTreeSet<InboundId>,
    /// Admitted, but waiting for a place; in the order in which they came.
    pub(super) parked: VecDeque<Parked>,
    #[serde(skip)]
    pub(super) parked_bytes: usize,
    pub(super) next: u64,
    #[serde(skip)]
    pub(super) limit: usize,
    #[serde(skip)]
    pub(super) subscription_limit: usize,
    #[serde(skip)]
    pub(super) parked_limit: usize,
    #[serde(skip)]
    pub(super) task_limit: usize,
}

/// A request that waits for a place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parked {
    pub(super) origin: Origin,
    #[serde(with = "super::freeze::message")]
    pub(super) message: Message,
    pub(super) terms: Terms,
    pub(super) token: Option<ProgressToken>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) origin: Origin,
    pub(super) wire: RequestId,
    /// The revision it is served in.
    pub(super) version: ProtocolVersion,
    #[serde(with = "super::freeze::peer")]
    pub(super) peer: Option<Arc<Peer>>,
    /// From which severity on its sender wants log messages about it.
    pub(super) log_level: Option<LoggingLevel>,
    pub(super) token: Option<ProgressToken>,
    #[serde(with = "super::freeze::bits")]
    pub(super) last_progress: Option<f64>,
    /// The latest progress, while there is no room for it.
    #[serde(skip)]
    pub(super) waiting_progress: Option<Progress>,
    /// How many calls of ours were made within it and are open.
    pub(super) nested: u32,
    /// Whether it was cancelled: nothing more is said about it.
    pub(super) cancelled: bool,
    /// Whether its result may say that it has become a task.
    pub(super) may_be_task: bool,
    /// What its answer changes here.
    pub(super) effect: Effect,
}

/// What a request means to the connection itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// It may be answered with a question.
    MayRequireInput,
    /// Its result subscribes to a resource.
    Subscribe(String),
    /// Its result ends such a subscription.
    Unsubscribe(String),
    /// Its result is the handshake: in this revision, with this client.
    Initialize(ProtocolVersion, #[serde(with = "super::freeze::peer")] Option<Arc<Peer>>),
    /// Its result says from which severity on log messages are wanted.
    SetLevel(LoggingLevel),
    /// It is a subscription itself.
    Listen(#[serde(with = "super::freeze::text")] SubscriptionFilter),
}

impl Effect {
    fn filter_size(&self) -> usize {
        match self {
            Self::Listen(filter) => serde_json::to_string(filter).map_or(0, |text| text.len()),
            _ => 0,
        }
    }
}

impl Request {
    pub(super) fn may_require_input(&self) -> bool {
        self.version.era() == Era::Modern && self.effect == Effect::MayRequireInput
    }
}

impl Requests {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            open: BTreeMap::new(),
            by_wire: BTreeMap::new(),
            subscriptions: 0,
            subscribed_bytes: 0,
            tasks: BTreeMap::new(),
            waiting_progress: BTreeSet::new(),
            parked: VecDeque::new(),
            parked_bytes: 0,
            next: 0,
            limit: limits.inbound_requests,
            subscription_limit: limits.subscriptions,
            parked_limit: limits.events,
            task_limit: limits.tasks,
        }
    }

    /// What is not frozen, but follows from the rest, from the session and from the limits.
    pub(super) fn restore(&mut self, limits: &Limits, session: Option<&Arc<Peer>>) {
        let fresh = Self::new(limits);
        (self.limit, self.subscription_limit) = (fresh.limit, fresh.subscription_limit);
        (self.parked_limit, self.task_limit) = (fresh.parked_limit, fresh.task_limit);
        for request in self.open.values_mut().chain(self.tasks.values_mut()) {
            restore_peer(&mut request.peer, request.version, session);
            if let Effect::Initialize(_, peer) = &request.effect {
                request.peer.clone_from(peer);
            }
        }
        for parked in &mut self.parked {
            restore_peer(&mut parked.terms.peer, parked.terms.version, session);
        }
        let live = self.open.iter().filter(|(_, request)| !request.cancelled);
        self.by_wire = live.map(|(id, request)| ((request.origin, request.wire.clone()), *id)).collect();
        self.subscriptions = self.open.values().filter(|it| matches!(it.effect, Effect::Listen(_))).count();
        self.subscribed_bytes = self.open.values().map(|it| it.effect.filter_size()).sum();
        self.parked_bytes = self.parked.iter().map(|parked| parked.message.size()).sum();
        self.forget_old_tasks();
    }

    /// Leaves out what [`restore`](Self::restore) knows: requests of the legacy era are all of the session's peer.
    pub(super) fn strip(&mut self) {
        for request in self.open.values_mut().chain(self.tasks.values_mut()) {
            request.peer.take_if(|_| request.version.era() == Era::Legacy);
        }
        for parked in &mut self.parked {
            parked.terms.peer.take_if(|_| parked.terms.version.era() == Era::Legacy);
        }
    }

    /// A table that is empty keeps its first node, which has room for several requests.
    pub(super) fn shrink(&mut self) {
        if self.open.is_empty() {
            (self.open, self.by_wire) = (BTreeMap::new(), BTreeMap::new());
        }
        if self.tasks.is_empty() {
            self.tasks = BTreeMap::new();
        }
        if self.waiting_progress.is_empty() {
            self.waiting_progress = BTreeSet::new();
        }
        if self.parked.is_empty() {
            self.parked = VecDeque::new();
        }
    }

    /// Whether nothing is in work. A subscription is no work.
    pub(super) fn is_idle(&self) -> bool {
        self.open.len() == self.subscriptions && self.parked.is_empty()
    }

    /// Whether no further request can be taken, not even to wait for a place.
    pub(super) fn is_full(&self) -> bool {
        self.has_no_place() && self.parked_bytes > self.parked_limit
    }

    pub(super) fn bytes(&self) -> usize {
        self.parked_bytes
    }

    pub(super) fn has_no_place(&self) -> bool {
        self.open.len() - self.subscriptions >= self.limit
    }

    /// Whether no further subscription can be taken.
    pub(super) fn has_no_subscription(&self) -> bool {
        self.subscriptions >= self.subscription_limit || self.subscribed_bytes > self.parked_limit
    }

    /// One that can still be answered.
    pub(super) fn live(&self, id: InboundId) -> Option<&Request> {
        self.open.get(&id).filter(|request| !request.cancelled)
    }

    /// Whether it can still be answered.
    pub(super) fn is_live(&self, id: InboundId) -> bool {
        self.live(id).is_some()
    }

    pub(super) fn origin(&self, id: InboundId) -> Origin {
        self.open.get(&id).map_or(Origin::STREAM, |request| request.origin)
    }

    /// The wire id of a subscription, which is the tag of whatever is told on it.
    pub(super) fn subscription(&self, id: InboundId) -> Option<&RequestId> {
        let request = self.open.get(&id).filter(|request| matches!(request.effect, Effect::Listen(_)))?;
        Some(&request.wire)
    }

    pub(super) fn version(&self, id: InboundId) -> Option<ProtocolVersion> {
        self.open.get(&id).map(|request| request.version)
    }

    pub(super) fn peer(&self, id: InboundId) -> Option<&Arc<Peer>> {
        self.open.get(&id)?.peer.as_ref()
    }

    pub(super) fn log_level(&self, id: InboundId) -> Option<LoggingLevel> {
        self.open.get(&id)?.log_level
    }

    pub(super) fn nest(&mut self, id: InboundId) {
        if let Some(request) = self.open.get_mut(&id) {
            request.nested += 1;
        }
    }

    pub(super) fn unnest(&mut self, id: InboundId) {
        if let Some(request) = self.open.get_mut(&id) {
            request.nested = request.nested.saturating_sub(1);
        }
    }

    /// One that may still report progress: it can be answered, or it has become a task.
    pub(super) fn reporting_mut(&mut self, id: InboundId) -> Option<&mut Request> {
        match self.open.get_mut(&id) {
            Some(request) => Some(request).filter(|request| !request.cancelled),
            None => self.tasks.get_mut(&id),
        }
    }

    /// Keeps a request that was answered with a task, so that its progress goes on.
    pub(super) fn keep_task(&mut self, id: InboundId, request: Request) {
        if request.token.is_none() {
            return;
        }
        if request.waiting_progress.is_some() {
            self.waiting_progress.insert(id);
        }
        // By the exchange that it came by nothing more is told after its answer.
        self.tasks.insert(id, Request { origin: Origin::STREAM, ..request });
        self.forget_old_tasks();
    }

    /// Of a task that its client will never hear of nothing is reported.
    pub(super) fn forget_task_of(&mut self, key: &(Origin, RequestId)) {
        // An id may be used again after its answer, so the latest is meant.
        let of_key = |task: &Request| task.origin == key.0 && task.wire == key.1;
        if let Some(id) = self.tasks.iter().rev().find(|(_, task)| of_key(task)).map(|(id, _)| *id) {
            self.tasks.remove(&id);
        }
    }

    fn forget_old_tasks(&mut self) {
        while self.tasks.len() > self.task_limit {
            self.tasks.pop_first();
        }
    }

    pub(super) fn release(&mut self, id: InboundId) {
        self.tasks.remove(&id);
        if self.open.get(&id).is_some_and(|request| request.cancelled) {
            self.remove(id);
        }
    }

    /// Forgets everything; returns those that somebody still works on, oldest first.
    pub(super) fn end_all(&mut self) -> Vec<InboundId> {
        self.by_wire.clear();
        self.parked.clear();
        self.parked_bytes = 0;
        self.subscriptions = 0;
        self.subscribed_bytes = 0;
        self.tasks.clear();
        self.waiting_progress.clear();
        let open = core::mem::take(&mut self.open);
        open.into_iter().filter(|(_, request)| !request.cancelled).map(|(id, _)| id).collect()
    }

    pub(super) fn uses(&self, key: &(Origin, RequestId)) -> bool {
        self.by_wire.contains_key(key) || self.parked_at(key.0, &key.1).is_some()
    }

    /// Those that came by this exchange and can still be answered.
    pub(super) fn open_on(&self, origin: Origin) -> impl Iterator<Item = InboundId> {
        let all = (origin, RequestId::Number(i64::MIN))..;
        self.by_wire.range(all).take_while(move |((at, _), _)| *at == origin).map(|(_, id)| *id)
    }

    /// Whether something that came by this exchange is still to be answered.
    pub(super) fn is_open_on(&self, origin: Origin) -> bool {
        self.open_on(origin).next().is_some() || self.parked.iter().any(|parked| parked.origin == origin)
    }

    /// The exchanges by which requests with this id came that are in work or wait for a place.
    pub(super) fn exchanges_using(&self, wire: &RequestId) -> impl Iterator<Item = Origin> {
        let open = self.by_wire.keys().filter(move |(_, used)| used == wire).map(|(origin, _)| *origin);
        open.chain(self.parked.iter().filter(move |it| it.message.id() == Some(wire)).map(|it| it.origin))
    }

    /// Forgets those that wait for a place and are of this kind.
    pub(super) fn unpark_all(&mut self, is_meant: impl Fn(&Parked) -> bool) {
        while let Some(at) = self.parked.iter().position(&is_meant) {
            self.unpark(at);
        }
    }

    pub(super) fn parked_at(&self, origin: Origin, wire: &RequestId) -> Option<usize> {
        self.parked.iter().position(|parked| parked.origin == origin && parked.message.id() == Some(wire))
    }

    pub(super) fn unpark(&mut self, at: usize) -> Option<Parked> {
        let parked = self.parked.remove(at)?;
        self.parked_bytes -= parked.message.size();
        Some(parked)
    }

    pub(super) fn add(&mut self, request: Request) -> InboundId {
        let id = InboundId(self.next);
        self.next += 1;
        self.subscriptions += usize::from(matches!(request.effect, Effect::Listen(_)));
        self.subscribed_bytes += request.effect.filter_size();
        self.by_wire.insert((request.origin, request.wire.clone()), id);
        self.open.insert(id, request);
        id
    }

    pub(super) fn remove(&mut self, id: InboundId) -> Option<Request> {
        let request = self.open.remove(&id)?;
        self.subscriptions -= usize::from(matches!(request.effect, Effect::Listen(_)));
        self.subscribed_bytes -= request.effect.filter_size();
        self.waiting_progress.remove(&id);
        Some(request)
    }

    /// Those that wait for an answer.
    pub(super) fn live_ids(&self) -> Vec<InboundId> {
        self.open.iter().filter(|(_, request)| !request.cancelled).map(|(id, _)| *id).collect()
    }

    /// Whether at least one of them waits for an answer.
    pub(super) fn any_live(&self) -> bool {
        !self.by_wire.is_empty()
    }
}

fn restore_peer(peer: &mut Option<Arc<Peer>>, version: ProtocolVersion, session: Option<&Arc<Peer>>) {
    if version.era() == Era::Legacy {
        *peer = session.cloned();
    }
}
