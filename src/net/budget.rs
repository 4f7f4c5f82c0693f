//! What all connections together may buffer, and who has to go when that is too much.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::stream::Shared;

/// A bound on the bytes that connections buffer together: unfinished messages, requests that wait or are in work, answers that nobody
/// has read yet. Clones are the same budget, so several listeners can have one.
///
/// Each connection has its own limits ([`Limits`](crate::Limits)), but thousands that all go to them would be too much. While the budget is
/// exceeded, new clients are disconnected and new requests get an error that says to try again. And one connection is closed after the other
/// until there is room: always the one that holds most of those for which no call is in work. Only if none of them holds 64 KiB it is the one
/// that holds most of all.
#[derive(Clone)]
pub struct Budget(Arc<Ledger>);

struct Ledger {
    limit: usize,
    used: AtomicUsize,
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    open: BTreeMap<u64, (Arc<Account>, Weak<Shared>)>,
    next: u64,
}

/// What one connection holds.
#[derive(Default)]
struct Account {
    bytes: AtomicUsize,
    is_working: AtomicBool,
    /// It was told to go, and what it holds soon does.
    is_going: AtomicBool,
}

/// What an idle connection must hold before closing it is worth it.
const WORTH_IT: usize = 64 * 1024;

/// What the connections of a process may buffer if nobody says otherwise.
const OF_A_PROCESS: usize = 256 * 1024 * 1024;

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Ledger { limit: bytes, used: AtomicUsize::new(0), accounts: Mutex::default() }))
    }

    /// The budget of all listeners of this process that are given no other: 256 MiB.
    #[must_use]
    pub fn of_this_process() -> Self {
        static BUDGET: OnceLock<Budget> = OnceLock::new();
        BUDGET.get_or_init(|| Self::new(OF_A_PROCESS)).clone()
    }

    /// How many bytes are buffered now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.used() > self.0.limit
    }

    /// Counts a connection in.
    pub(super) fn enter(&self, shared: &Arc<Shared>) -> Meter {
        let account = Arc::new(Account::default());
        let mut accounts = self.accounts();
        let number = accounts.next;
        accounts.next += 1;
        accounts.open.insert(number, (Arc::clone(&account), Arc::downgrade(shared)));
        drop(accounts);
        Meter { budget: self.clone(), account, number }
    }

    /// Closes connections until there is room. Not to be called under a connection's lock.
    pub(crate) fn relieve(&self) {
        while let Some((shared, bytes)) = self.choose() {
            tracing::warn!(
                bytes,
                limit = self.0.limit,
                "too much is buffered: the connection that holds most is closed"
            );
            shared.command(|state, now| state.connection.close(now, Duration::ZERO));
        }
    }

    /// The connection that has to go next, unless enough are already going.
    fn choose(&self) -> Option<(Arc<Shared>, usize)> {
        let accounts = self.accounts();
        let staying = || accounts.open.values().filter(|(account, _)| !account.is_going.load(Ordering::Relaxed));
        let held = |account: &Account| account.bytes.load(Ordering::Relaxed);
        if staying().map(|(account, _)| held(account)).sum::<usize>() <= self.0.limit {
            return None;
        }
        let is_idle = |account: &Account| !account.is_working.load(Ordering::Relaxed) && held(account) >= WORTH_IT;
        let (account, shared) = staying().max_by_key(|(account, _)| (is_idle(account), held(account)))?;
        account.is_going.store(true, Ordering::Relaxed);
        // An account is closed before its connection goes, or it is just about to be.
        Some((shared.upgrade()?, held(account)))
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        // Nothing can panic while it is held.
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.0.limit).field("used", &self.used()).finish_non_exhaustive()
    }
}

/// A connection's account, closed when it is dropped.
pub(crate) struct Meter {
    budget: Budget,
    account: Arc<Account>,
    number: u64,
}

impl Meter {
    /// Tells what the connection holds now; whether that is more than before. Only the connection's driver tells.
    pub(crate) fn tell(&self, bytes: usize, is_working: bool) -> bool {
        let Self { budget, account, .. } = self;
        account.is_working.store(is_working, Ordering::Relaxed);
        let before = account.bytes.swap(bytes, Ordering::Relaxed);
        if bytes > before {
            budget.0.used.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            budget.0.used.fetch_sub(before - bytes, Ordering::Relaxed);
        }
        bytes > before
    }

    /// The budget, if it is exceeded.
    pub(crate) fn exceeded(&self) -> Option<Budget> {
        self.budget.is_exceeded().then(|| self.budget.clone())
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.account.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        let account = self.budget.accounts().open.remove(&self.number);
        drop(account);
    }
}
