//! Who is told of changes: every connection of a server, and by the bus every connection of the other nodes.
//!
//! There is no queue anywhere on the way: a connection keeps what has changed as a set until its output has room, so telling it
//! never waits and is never refused.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mcp_proto::{Change, Stats};

use crate::stream::Shared;

/// Carries changes between servers that offer the same, so that a client hears of a change wherever it is connected.
///
/// What an implementation must keep:
///
/// - What one node [publishes](Self::publish) is [delivered](Node::deliver) to every other node that joined and still lives,
///   but never to the node that published it. A node does not publish what it was delivered, so nothing goes round.
/// - Delivering may be late and may conflate equal changes, since all that a change says is "look again"; it must not lose the last
///   one of its kind. Duplicates do no harm.
/// - `publish` is called by whoever changes the server, maybe from async code: it must not block. What it keeps must be bounded.
///
/// [`LocalBus`] joins servers of one process. One that goes through a message queue keeps what it has to send, each change once:
///
/// ```
/// use std::sync::Mutex;
///
/// use mcp::{Bus, Change, Node, Server};
///
/// /// Between a queue and the one server of this process; a task of its own sends and receives.
/// #[derive(Default)]
/// struct Queue {
///     outgoing: Mutex<Vec<Change>>,
///     node: Mutex<Option<Node>>,
/// }
///
/// impl Queue {
///     fn take_outgoing(&self) -> Vec<Change> {
///         std::mem::take(&mut self.outgoing.lock().unwrap())
///     }
///
///     fn received(&self, change: &Change) {
///         if let Some(node) = &*self.node.lock().unwrap() {
///             node.deliver(change);
///         }
///     }
/// }
///
/// impl Bus for &'static Queue {
///     fn join(&self, node: Node) {
///         *self.node.lock().unwrap() = Some(node);
///     }
///
///     fn publish(&self, _: &Node, change: &Change) {
///         let mut outgoing = self.outgoing.lock().unwrap();
///         if !outgoing.contains(change) {
///             outgoing.push(change.clone());
///         }
///     }
/// }
///
/// let queue: &'static Queue = Box::leak(Box::default());
/// let server = Server::new("one", "1").bus(queue);
/// server.changed(Change::Tools);
/// server.changed(Change::Tools);
/// assert_eq!(queue.take_outgoing(), [Change::Tools]);
/// queue.received(&Change::Prompts); // Its clients hear of it.
/// ```
pub trait Bus: Send + Sync + 'static {
    /// A server wants to be told what the others publish, until it is gone.
    fn join(&self, node: Node);

    /// Something has changed at `from`.
    fn publish(&self, from: &Node, change: &Change);
}

/// A server on a [`Bus`].
#[derive(Clone)]
pub struct Node(Weak<Hub>);

impl Node {
    /// Tells the server's clients that something has changed elsewhere. Does not block.
    pub fn deliver(&self, change: &Change) {
        if let Some(hub) = self.0.upgrade() {
            hub.tell(change);
        }
    }

    /// Whether the server is gone, so that the bus may forget it.
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Eq for Node {}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("is_gone", &self.is_gone()).finish_non_exhaustive()
    }
}

/// The bus of one process: delivers at once and keeps nothing but who has joined. Clones are the same bus.
///
/// ```
/// use mcp::{LocalBus, Server};
///
/// let bus = LocalBus::default();
/// let one = Server::new("one", "1").bus(bus.clone());
/// let two = Server::new("two", "1").bus(bus);
/// one.changed(mcp::Change::Resource("config://app".into())); // The clients of `two` hear of it, too.
/// # drop(two);
/// ```
#[derive(Clone, Debug, Default)]
pub struct LocalBus(Arc<Mutex<Vec<Node>>>);

impl LocalBus {
    fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for LocalBus {
    fn join(&self, node: Node) {
        let mut nodes = self.nodes();
        nodes.retain(|known| !known.is_gone());
        nodes.push(node);
    }

    fn publish(&self, from: &Node, change: &Change) {
        let others: Vec<Node> = self.nodes().iter().filter(|node| *node != from).cloned().collect();
        others.iter().for_each(|node| node.deliver(change));
    }
}

/// The connections of one server, and its place on the bus.
pub(super) struct Hub {
    connections: Mutex<Connections>,
    bus: Option<Arc<dyn Bus>>,
}

#[derive(Default)]
struct Connections {
    open: BTreeMap<u64, Arc<Shared>>,
    next: u64,
    /// What those counted that are over.
    past: Stats,
}

impl Hub {
    pub(super) fn new(bus: Option<Arc<dyn Bus>>) -> Arc<Self> {
        let hub = Arc::new(Self { connections: Mutex::default(), bus });
        if let Some(bus) = &hub.bus {
            bus.join(Node(Arc::downgrade(&hub)));
        }
        hub
    }

    pub(super) fn bus(&self) -> Option<Arc<dyn Bus>> {
        self.bus.clone()
    }

    /// Tells everybody, here and elsewhere.
    pub(super) fn publish(self: &Arc<Self>, change: &Change) {
        self.tell(change);
        if let Some(bus) = &self.bus {
            bus.publish(&Node(Arc::downgrade(self)), change);
        }
    }

    fn tell(&self, change: &Change) {
        let open: Vec<Arc<Shared>> = self.connections().open.values().cloned().collect();
        for shared in open {
            shared.command(|state, now| state.connection.changed(now, change));
        }
    }

    /// Has a connection told of changes, until the place is dropped.
    pub(super) fn enter(self: &Arc<Self>, shared: &Arc<Shared>) -> Place {
        let mut connections = self.connections();
        let number = connections.next;
        connections.next += 1;
        connections.open.insert(number, Arc::clone(shared));
        drop(connections);
        Place { hub: Arc::clone(self), number }
    }

    /// What all connections have counted, open or over.
    pub(super) fn stats(&self) -> Stats {
        let (mut sum, open) = {
            let connections = self.connections();
            (connections.past, connections.open.values().cloned().collect::<Vec<_>>())
        };
        open.into_iter().for_each(|shared| sum += shared.stats());
        sum
    }

    pub(super) fn len(&self) -> usize {
        self.connections().open.len()
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // Nothing can panic while it is held.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the hub.
pub(crate) struct Place {
    hub: Arc<Hub>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.hub.connections();
        let shared = connections.open.remove(&self.number);
        // Nothing is counted any more. Under both locks, so that nobody counts it twice or not at all.
        connections.past += shared.as_ref().map(|shared| shared.stats()).unwrap_or_default();
        drop(connections);
        drop(shared);
    }
}
