//! Answers that need not be asked for again: the core's cache between a client's requests and its connection.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_proto::{Asking, Cache, CacheLimits, Change, ErrorCode, Found, Message, Question, Timestamp};

use crate::Error;
use crate::stream::Sent;

/// How answers are kept; see [`ClientBuilder::cache`](crate::ClientBuilder::cache).
///
/// ```
/// use std::time::Duration;
/// use mcp::{Caching, Client};
///
/// let caching = Caching::new()
///     .legacy(Duration::from_secs(30))
///     .stale(Duration::from_secs(3600))
///     .limits(|limits| limits.entries = 100);
/// let client = Client::builder("desk", "1.0.0").cache(caching);
/// # drop(client);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Caching {
    limits: CacheLimits,
    legacy: Duration,
}

impl Caching {
    /// For as long as the server says (2026-07-28 and later); servers before say nothing, and of theirs nothing is kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// For how long answers of a legacy server are fresh, which does not say so itself. What the server tells to have changed
    /// is asked for again all the same.
    pub fn legacy(mut self, fresh: Duration) -> Self {
        self.legacy = fresh;
        self
    }

    /// For how long after that an answer may stand in for one that does not come: the server does not answer in time, or the
    /// connection has ended. An error that the server answers with is told.
    pub fn stale(mut self, stale: Duration) -> Self {
        self.limits.stale = stale;
        self
    }

    /// Other bounds than the usual ones.
    pub fn limits(mut self, change: impl FnOnce(&mut CacheLimits)) -> Self {
        change(&mut self.limits);
        self
    }
}

/// The answers of one server. The lock is a leaf: nothing else is locked, woken or called under it.
#[derive(Clone)]
pub(crate) struct Kept {
    cache: Arc<Mutex<Cache>>,
    legacy: Duration,
}

impl Kept {
    pub(crate) fn new(caching: Caching) -> Self {
        Self { cache: Arc::new(Mutex::new(Cache::new(caching.limits))), legacy: caching.legacy }
    }

    pub(crate) fn changed(&self, change: &Change) {
        self.lock().invalidate(change);
    }

    pub(crate) fn forget_all(&self) {
        self.lock().forget_all();
    }

    /// For one request, in a revision in which answers say how long they are fresh or not.
    pub(crate) fn one(&self, method: &'static str, params: String, says: Freshness) -> OneAnswer {
        let otherwise = match says {
            Freshness::Said => Duration::ZERO,
            Freshness::Unsaid => self.legacy,
        };
        OneAnswer { kept: self.clone(), method, params, otherwise, step: Step::Look, stale: None }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        // A cache is right in any state: at worst it has less.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}

/// Whether answers of a revision say how long they are fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Said,
    Unsaid,
}

/// The answer to one request: looked for before it is sent, kept when it comes.
pub(crate) struct OneAnswer {
    kept: Kept,
    method: &'static str,
    params: String,
    otherwise: Duration,
    step: Step,
    stale: Option<Message>,
}

enum Step {
    Look,
    /// Asks, whatever is kept.
    Insist,
    Asked(Option<Asking>),
}

impl OneAnswer {
    pub(crate) fn insist(&mut self) {
        self.step = Step::Insist;
    }

    /// A fresh answer, if there is one; looked for once. Without one the request is about to be sent.
    pub(crate) fn look(&mut self, now: Timestamp) -> Option<Message> {
        if matches!(self.step, Step::Asked(_)) {
            return None;
        }
        let question = Question::new(self.method, &self.params);
        let mut cache = self.kept.lock();
        let (fresh, stale) = match (cache.look(now, &question), &self.step) {
            (Found::Fresh(message), Step::Look) => (Some(message), None),
            (Found::Stale(message), Step::Look) => (None, Some(message)),
            _ => (None, None),
        };
        if fresh.is_none() {
            self.step = Step::Asked(cache.ask(&question));
            self.stale = stale;
        }
        fresh
    }

    /// Keeps what came.
    pub(crate) fn keep(self, now: Timestamp, message: Message, sent: Sent) {
        // Specification (2026-07-28), caching: not what was asked again with answers to questions.
        if let (Step::Asked(Some(asking)), Sent::Once) = (self.step, sent) {
            self.kept.lock().keep(now, asking, message, self.otherwise);
        }
    }

    /// What stands in for an answer that did not come.
    pub(crate) fn stand_in(self, error: &Error) -> Option<Message> {
        match error.rpc() {
            None => self.stale,
            Some(error) => {
                if error.code == ErrorCode::INVALID_PARAMS && self.params.contains("\"cursor\"") {
                    self.kept.lock().forget_pages(self.method);
                }
                None
            }
        }
    }
}
