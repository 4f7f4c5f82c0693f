//! Who hears what has changed on the server: subscriptions of both eras, each with what it was not told yet.
//!
//! Level-triggered like the server's side: what has changed is a set, taken by whoever listens when it looks. So it is never
//! lost, and never grows beyond a bound, however slow the listener and however quick the server.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use mcp_proto::model::{AcknowledgedParams, SubscribeParams, SubscriptionFilter};
use mcp_proto::{Body, CallOptions, Change, Connection, Message, OutboundId, Timestamp, Why};

/// One listener. Never reused within a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

/// Bytes of URIs that wait for a listener. Over it, all that it subscribed to counts as changed.
const MOST_BYTES: usize = 256 * 1024;

/// See the module.
#[derive(Default)]
pub(crate) struct Listeners {
    open: BTreeMap<Key, Listener>,
    /// The subscriptions of the modern era, by their requests.
    calls: BTreeMap<OutboundId, Key>,
    next: u64,
    /// Legacy era: how many listeners want each URI.
    wanted: BTreeMap<String, usize>,
    /// Legacy era: URIs that nobody wants any more, until there is room to say so.
    unwanted: BTreeSet<String>,
}

/// What one listener was told, and what not yet.
pub(crate) struct Listener {
    sink: Sink,
    /// What it asked for; once granted, what of it was granted.
    filter: SubscriptionFilter,
    pub(crate) is_granted: bool,
    /// Its server was followed by another: once that has granted it too, everything counts as changed.
    is_anew: bool,
    pending: Pending,
    waker: Option<Waker>,
}

/// Where changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// To whoever holds the listener.
    Holder,
    /// To the client's callbacks, in order with everything else that the server tells.
    Callbacks,
}

/// Whether a notification has found its listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    ByListener,
    /// It is for the callbacks.
    ByNobody,
}

/// What has changed and was not told.
#[derive(Default)]
struct Pending {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: BTreeSet<String>,
    bytes: usize,
}

impl Pending {
    fn note(&mut self, change: Change, filter: &SubscriptionFilter) {
        match change {
            Change::Tools => self.tools = true,
            Change::Prompts => self.prompts = true,
            Change::Resources => self.resources = true,
            Change::Resource(uri) => {
                // A server may tell of parts of what was subscribed to, so these URIs are of its own choice.
                if self.bytes.saturating_add(uri.len()) > MOST_BYTES {
                    self.uris = filter.resource_subscriptions.iter().flatten().cloned().collect();
                    self.bytes = self.uris.iter().map(String::len).sum();
                } else if !self.uris.contains(&uri) {
                    self.bytes += uri.len();
                    self.uris.insert(uri);
                }
            }
            // What a later revision of the core tells is nothing that was asked for here.
            _ => {}
        }
    }

    fn take(&mut self) -> Option<Change> {
        for (pending, change) in [
            (&mut self.tools, Change::Tools),
            (&mut self.prompts, Change::Prompts),
            (&mut self.resources, Change::Resources),
        ] {
            if std::mem::take(pending) {
                return Some(change);
            }
        }
        let uri = self.uris.pop_first()?;
        self.bytes = self.bytes.saturating_sub(uri.len());
        Some(Change::Resource(uri))
    }
}

impl Listener {
    fn wants(&self, change: &Change) -> bool {
        match change {
            Change::Tools => self.filter.tools_list_changed == Some(true),
            Change::Prompts => self.filter.prompts_list_changed == Some(true),
            Change::Resources => self.filter.resources_list_changed == Some(true),
            // May be a part of what was subscribed to, and only the server knows what that is.
            Change::Resource(_) => self.filter.resource_subscriptions.as_ref().is_some_and(|uris| !uris.is_empty()),
            _ => false,
        }
    }

    /// Whether a change is one of a list, or of a resource that stands below one that it subscribed to.
    fn covers(&self, change: &Change) -> bool {
        let Change::Resource(uri) = change else { return true };
        let is_below = |wanted: &String| {
            let rest = uri.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || wanted.ends_with('/') || rest.starts_with(['/', '?', '#']))
        };
        self.filter.resource_subscriptions.iter().flatten().any(is_below)
    }

    fn hear(&mut self, message: &Message, wakers: &mut Vec<Waker>) -> Heard {
        if message.method() == "notifications/subscriptions/acknowledged" {
            if let Ok(AcknowledgedParams { notifications, .. }) = message.params().decode() {
                self.filter = self.filter.intersection(&notifications);
            }
            self.is_granted = true;
            if std::mem::take(&mut self.is_anew) && self.sink == Sink::Holder {
                self.note_all();
            }
            wakers.extend(self.waker.take());
            return Heard::ByListener;
        }
        let Some(change) = Change::of(message) else { return Heard::ByNobody };
        // A server that tells without having acknowledged has granted what was asked for.
        self.is_granted = true;
        if !self.wants(&change) {
            tracing::debug!(?change, "the server tells of a change that was not asked for");
            return Heard::ByListener;
        }
        if self.sink == Sink::Callbacks {
            return Heard::ByNobody;
        }
        self.pending.note(change, &self.filter);
        wakers.extend(self.waker.take());
        Heard::ByListener
    }

    /// Everything that it listens for may have changed.
    fn note_all(&mut self) {
        self.is_anew = false;
        self.pending.tools |= self.filter.tools_list_changed == Some(true);
        self.pending.prompts |= self.filter.prompts_list_changed == Some(true);
        self.pending.resources |= self.filter.resources_list_changed == Some(true);
        for uri in self.filter.resource_subscriptions.iter().flatten() {
            self.pending.note(Change::Resource(uri.clone()), &self.filter);
        }
    }

    /// It is listened for anew: once that is granted, everything counts as changed.
    pub(crate) fn begin_anew(&mut self) {
        self.is_anew = true;
    }

    pub(crate) fn granted(&self) -> &SubscriptionFilter {
        &self.filter
    }

    pub(crate) fn grant(&mut self, granted: SubscriptionFilter) {
        self.filter = granted;
        self.is_granted = true;
    }

    pub(crate) fn take(&mut self) -> Option<Change> {
        self.pending.take()
    }

    /// What it returns is to be dropped outside the lock.
    #[must_use]
    pub(crate) fn wake(&mut self, waker: Waker) -> Option<Waker> {
        self.waker.replace(waker)
    }
}

impl Listeners {
    pub(crate) fn add(&mut self, filter: SubscriptionFilter, sink: Sink) -> Key {
        let key = Key(self.next);
        self.next += 1;
        let listener =
            Listener { sink, filter, is_granted: false, is_anew: false, pending: Pending::default(), waker: None };
        self.open.insert(key, listener);
        key
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Listener> {
        self.open.get_mut(&key)
    }

    /// Modern era: what belongs to this request is for that listener.
    pub(crate) fn hear_on(&mut self, key: Key, call: OutboundId) {
        self.calls.insert(call, key);
    }

    /// Legacy era: a listener subscribes to this URI.
    pub(crate) fn want(&mut self, uri: &str) {
        self.unwanted.remove(uri);
        *self.wanted.entry(uri.to_owned()).or_default() += 1;
    }

    /// Legacy era: the server did not take the subscription.
    pub(crate) fn refused(&mut self, uri: &str) {
        if let Some(wanted) = self.wanted.get_mut(uri) {
            *wanted -= 1;
            if *wanted == 0 {
                self.wanted.remove(uri);
            }
        }
    }

    /// Legacy era: a listener does not want it any more.
    pub(crate) fn unwant(&mut self, uri: &str) {
        self.refused(uri);
        if !self.wanted.contains_key(uri) {
            self.unwanted.insert(uri.to_owned());
        }
    }

    /// Forgets a listener. What it returns is to be dropped outside the lock.
    #[must_use]
    pub(crate) fn remove(&mut self, key: Key) -> Option<Listener> {
        self.calls.retain(|_, listener| *listener != key);
        self.open.remove(&key)
    }

    /// Takes what the server tells, if it is for a listener. In the legacy era it is for the callbacks as well.
    pub(crate) fn hear(&mut self, call: Option<OutboundId>, message: &Message, wakers: &mut Vec<Waker>) -> Heard {
        if let Some(call) = call {
            let listener = self.calls.get(&call).and_then(|key| self.open.get_mut(key));
            return listener.map_or(Heard::ByNobody, |listener| listener.hear(message, wakers));
        }
        let Some(change) = Change::of(message) else { return Heard::ByNobody };
        let on_calls = self.calls.values().copied().collect::<BTreeSet<_>>();
        let session = |key: &Key| !on_calls.contains(key);
        // Whose resource it is part of, if one can tell; which parts a resource has is for the server to say.
        let is_told_apart = self.open.iter().any(|(key, listener)| session(key) && listener.covers(&change));
        for (_, listener) in self.open.iter_mut().filter(|(key, _)| session(key)) {
            if listener.wants(&change) && (!is_told_apart || listener.covers(&change)) {
                listener.pending.note(change.clone(), &listener.filter);
                wakers.extend(listener.waker.take());
            }
        }
        Heard::ByNobody
    }

    /// The same listeners on the connection that follows: what they have subscribed to, nobody knows there yet.
    pub(crate) fn taken_over(mut self) -> Self {
        self.begin_anew();
        self
    }

    /// The same in a session that follows within the connection.
    pub(super) fn begin_anew(&mut self) {
        self.calls.clear();
        self.unwanted.clear();
        self.open.values_mut().for_each(Listener::begin_anew);
    }

    /// Legacy era: what listeners want to hear of.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &String> {
        self.wanted.keys()
    }

    /// Legacy era: the session that follows another tells of everything again, so all of it may have changed.
    #[must_use]
    pub(crate) fn resumed(&mut self) -> Vec<Waker> {
        let on_calls = self.calls.values().copied().collect::<BTreeSet<_>>();
        let session = self.open.iter_mut().filter(|(key, it)| it.is_anew && !on_calls.contains(key));
        let mut wakers = Vec::new();
        for (_, listener) in session {
            listener.note_all();
            wakers.extend(listener.waker.take());
        }
        wakers
    }

    /// Everyone who waits for a change.
    pub(crate) fn wakers(&mut self) -> Vec<Waker> {
        self.open.values_mut().filter_map(|listener| listener.waker.take()).collect()
    }

    /// Tells the server what nobody wants to hear of any more. Its answers interest nobody.
    pub(crate) fn unsubscribe(&mut self, connection: &mut Connection, now: Timestamp) {
        while let Some(uri) = self.unwanted.pop_first() {
            let Ok(body) = Body::new("resources/unsubscribe", &SubscribeParams::new(uri.clone())) else { continue };
            if let Err(refused) = connection.request(now, body, CallOptions::default())
                && refused.why == Why::Full
            {
                self.unwanted.insert(uri);
                return;
            }
        }
    }
}
