//! How much all connections of a process may hold in memory together, and who has to go when it is too much.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use mcp_proto::{ErrorObject, Message};

use super::shared::Shared;

/// A bound on the bytes that connections buffer together: lines that have not ended, messages in work, answers that the peer
/// does not read. A cheap handle: clones mean the same budget.
///
/// Each connection has bounds of its own ([`Limits`](crate::Limits)), but thousands of them may be at theirs at once. So they
/// also share a budget: [that of the process](Self::process), unless [`Server::budget`](crate::Server::budget) or
/// [`ClientBuilder::budget`](crate::ClientBuilder::budget) gives them another. While it is exceeded,
///
/// - listeners refuse connections, and requests that come are answered with an error that says that they may be sent again
///   (−32603 with `data.retryable`), but for those of connections that hold no more than their share while an idle one that
///   holds more can go instead;
/// - connections are closed ([`CloseReason::Overloaded`](crate::CloseReason::Overloaded)) until what is left fits: the one
///   that holds most of those that are idle, and if no idle one holds more than its share, the one that holds most of all.
///   A share is the budget divided by the number of connections: whoever holds no more is never closed.
///
/// What handlers and callers keep for themselves is not counted.
///
/// ```
/// let budget = mcp::Budget::new(64 << 20);
/// let server = mcp::Server::new("calculator", "1.0.0").budget(budget.clone());
/// assert!(budget.used() == 0 && !budget.is_exceeded());
/// # drop(server);
/// ```
#[derive(Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

struct Inner {
    limit: usize,
    /// What all accounts hold.
    used: AtomicUsize,
    /// What of it is held beside any connection.
    #[cfg(feature = "http")]
    beside: AtomicUsize,
    /// How many connections had to go.
    closed: AtomicU64,
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    open: BTreeMap<u64, Arc<Entry>>,
    next: u64,
}

/// What one connection holds, written by its driver.
struct Entry {
    shared: Weak<Shared>,
    bytes: AtomicUsize,
    idle: AtomicBool,
    /// It was told to go, and will give back what it holds.
    leaving: AtomicBool,
}

impl Budget {
    /// The budget of the process, in bytes: 256 MiB.
    pub const PROCESS: usize = 256 << 20;

    /// A budget of its own, in bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                limit: bytes,
                used: AtomicUsize::new(0),
                #[cfg(feature = "http")]
                beside: AtomicUsize::new(0),
                closed: AtomicU64::new(0),
                accounts: Mutex::default(),
            }),
        }
    }

    /// The one that all connections share unless they are given another: [`PROCESS`](Self::PROCESS) bytes.
    #[must_use]
    pub fn process() -> Self {
        static PROCESS: OnceLock<Budget> = OnceLock::new();
        PROCESS.get_or_init(|| Self::new(Self::PROCESS)).clone()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.inner.limit
    }

    /// How many bytes the connections hold now. Each is counted anew whenever it is at work.
    #[must_use]
    pub fn used(&self) -> usize {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// Whether that is too much, so that connections and requests are refused.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.used() > self.inner.limit
    }

    /// How many connections were closed because it was exceeded.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.inner.closed.load(Ordering::Relaxed)
    }

    /// An account for one connection.
    pub(crate) fn open(&self, shared: &Arc<Shared>) -> Account {
        let entry = Arc::new(Entry {
            shared: Arc::downgrade(shared),
            bytes: AtomicUsize::new(0),
            idle: AtomicBool::new(true),
            leaving: AtomicBool::new(false),
        });
        let mut accounts = self.inner.lock();
        let key = accounts.next;
        accounts.next += 1;
        accounts.open.insert(key, Arc::clone(&entry));
        drop(accounts);
        Account { budget: self.clone(), key, entry }
    }

    /// For what is held before there is a connection: nothing at first.
    #[cfg(feature = "http")]
    pub(crate) fn hold(&self) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }
}

impl Default for Budget {
    /// [That of the process](Self::process).
    fn default() -> Self {
        Self::process()
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit()).field("used", &self.used()).finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Accounts> {
        // Changed by single steps only, so it is right in any state.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each of so many connections may hold, whatever the others do.
    fn share(&self, connections: usize) -> usize {
        self.limit / connections.max(1)
    }

    /// Who has to go so that the rest fits; each is named once.
    fn choose(&self) -> Vec<Weak<Shared>> {
        let accounts = self.lock();
        let mut staying = Vec::new();
        for entry in accounts.open.values().filter(|entry| !entry.leaving.load(Ordering::Relaxed)) {
            staying.push((entry, entry.bytes.load(Ordering::Relaxed)));
        }
        let share = self.share(staying.len());
        let mut held = staying.iter().map(|(_, bytes)| bytes).sum::<usize>();
        staying.retain(|(_, bytes)| *bytes > share);
        staying.sort_unstable_by_key(|(entry, bytes)| (entry.idle.load(Ordering::Relaxed), *bytes));
        let mut leaving = Vec::new();
        while held > self.limit
            && let Some((entry, bytes)) = staying.pop()
        {
            held -= bytes;
            entry.leaving.store(true, Ordering::Relaxed);
            leaving.push(Weak::clone(&entry.shared));
        }
        leaving
    }
}

/// One connection's part of a budget, given back on drop.
pub(crate) struct Account {
    budget: Budget,
    key: u64,
    entry: Arc<Entry>,
}

/// What a connection holds in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) bytes: usize,
    pub(crate) busy: Busy,
}

/// Whether a connection has something in work for either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Busy {
    Yes,
    #[default]
    No,
}

impl Account {
    /// Says what the connection holds now.
    pub(crate) fn set(&self, Load { bytes, busy }: Load) {
        let used = &self.budget.inner.used;
        self.entry.idle.store(busy == Busy::No, Ordering::Relaxed);
        let before = self.entry.bytes.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            used.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            used.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    /// Closes connections until the rest fits. Not to be called under a connection's lock.
    pub(crate) fn relieve(&self) {
        let inner = &self.budget.inner;
        if !self.budget.is_exceeded() {
            return;
        }
        for shared in inner.choose().iter().filter_map(Weak::upgrade) {
            inner.closed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(used = self.budget.used(), limit = inner.limit, "a connection is closed: all hold too much");
            shared.command(|state, now| state.connection.handle_overload(now));
        }
    }

    /// Whether nothing new is to be begun here. Who holds no more than its share is served all the same while somebody idle
    /// holds more, who goes for it: [`relieve`](Self::relieve).
    pub(super) fn refuses(&self) -> bool {
        let inner = &self.budget.inner;
        if !self.budget.is_exceeded() {
            return false;
        }
        let accounts = inner.lock();
        let share = inner.share(accounts.open.len());
        let goes = |entry: &Entry| entry.leaving.load(Ordering::Relaxed) || entry.idle.load(Ordering::Relaxed);
        let is_over = |entry: &Entry| entry.bytes.load(Ordering::Relaxed) > share;
        is_over(&self.entry) || !accounts.open.values().any(|entry| is_over(entry) && goes(entry))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let inner = &self.budget.inner;
        inner.lock().open.remove(&self.key);
        inner.used.fetch_sub(self.entry.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// So much may be held beside any connection whatever else is.
#[cfg(feature = "http")]
const SMALL: usize = 64 * 1024;

/// Bytes that are held beside any connection, given back on drop: bodies of requests that are being read. All of them together may
/// hold half of the budget, so that however many are sent halfway, connections have the rest.
#[cfg(feature = "http")]
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    bytes: usize,
}

#[cfg(feature = "http")]
impl Held {
    /// Holds so much more, if there is room.
    #[must_use]
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let inner = &self.budget.inner;
        let beside = inner.beside.fetch_add(more, Ordering::Relaxed) + more;
        let is_allowed = self.bytes + more <= SMALL || beside <= inner.limit / 2 && !self.budget.is_exceeded();
        if is_allowed {
            self.bytes += more;
            inner.used.fetch_add(more, Ordering::Relaxed);
        } else {
            inner.beside.fetch_sub(more, Ordering::Relaxed);
        }
        is_allowed
    }
}

#[cfg(feature = "http")]
impl Drop for Held {
    fn drop(&mut self) {
        self.budget.inner.beside.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.inner.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What whoever sent a request is told when nothing new is begun.
pub(super) fn refused(request: &Message) -> ErrorObject {
    let asked = request.method();
    let text = format!("{asked:.100} was refused: all connections together hold too much in memory; try again later");
    ErrorObject::internal(text).with_data(serde_json::json!({ "retryable": true }))
}
