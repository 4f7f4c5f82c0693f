//! What a client keeps of a server's answers, for as long as the server says that they are fresh.
//!
//! Specification (2026-07-28): server/utilities/caching.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::Timestamp;
use crate::connection::Change;
use crate::jsonrpc::{Message, members};
use crate::model::CACHEABLE;
use crate::model::wire::Integer;

/// Answers of one server, by what was asked.
///
/// Time is an argument, so it works under any clock. What it holds is bounded in entries and bytes; the oldest entry makes
/// room.
///
/// ```
/// use core::time::Duration;
/// use mcp_proto::{Cache, CacheLimits, Change, Found, Limits, Message, Question, Timestamp};
///
/// let mut cache = Cache::new(CacheLimits::default());
/// let question = Question::new("tools/list", "{}");
/// let now = Timestamp::EPOCH;
///
/// let asking = cache.ask(&question).expect("this method's answers may be kept");
/// let answer = br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"ttlMs":5000,"cacheScope":"public"}}"#;
/// cache.keep(now, asking, Message::scan(answer, &Limits::default()), Duration::ZERO);
///
/// assert!(matches!(cache.look(now + Duration::from_secs(4), &question), Found::Fresh(_)));
/// assert!(matches!(cache.look(now + Duration::from_secs(5), &question), Found::Nothing));
/// cache.invalidate(&Change::Tools);
/// assert!(matches!(cache.look(now, &question), Found::Nothing));
/// ```
#[derive(Clone)]
pub struct Cache {
    limits: CacheLimits,
    entries: BTreeMap<Arc<Slot>, Entry>,
    /// The same, the oldest first.
    by_age: BTreeMap<u64, Arc<Slot>>,
    bytes: usize,
    /// Counts everything that happens, so that an answer that was asked for before a change is known to be old.
    clock: u64,
    /// When answers to a method were last found to be old.
    invalidated: BTreeMap<&'static str, u64>,
}

/// The bounds of a [`Cache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Answers kept at once. Default 1024.
    pub entries: usize,
    /// Bytes of answers and of what was asked. Default 16 MiB. A larger answer is not kept.
    pub bytes: usize,
    /// For how long an answer is fresh at most, whatever the server says. Default one day.
    pub longest: Duration,
    /// For how long after that it may [stand in](Found::Stale) for one that cannot be had. Default not at all.
    pub stale: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        let longest = Duration::from_secs(24 * 60 * 60);
        Self { entries: 1024, bytes: 16 << 20, longest, stale: Duration::ZERO }
    }
}

/// A request whose answer may be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    method: &'a str,
    params: &'a str,
    authorization: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// A request by its method and the JSON text of those parameters that its result depends on, so without `_meta`. The same
    /// request must be written in the same way.
    #[must_use]
    pub const fn new(method: &'a str, params: &'a str) -> Self {
        Self { method, params, authorization: None }
    }

    /// The same request, asked with this authorization: who asks with another one does not see what is private. It is a name
    /// for the authorization and not the token itself, which has no business here.
    #[must_use]
    pub const fn authorized(self, authorization: &'a str) -> Self {
        Self { authorization: Some(authorization), ..self }
    }
}

/// A request under way whose answer is to be [kept](Cache::keep).
#[derive(Clone, Debug)]
pub struct Asking {
    method: &'static str,
    slot: Slot,
    at: u64,
}

/// What a cache has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found {
    /// An answer that need not be asked for again.
    Fresh(Message),
    /// An answer that was fresh, for want of a better one.
    Stale(Message),
    /// None.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    method: &'static str,
    params: String,
    /// Whose it is; `None` for everybody's.
    owner: Option<Owner>,
}

/// For whom an answer is, if not for everybody.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Owner(Option<String>);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(..)")
    }
}

#[derive(Clone)]
struct Entry {
    message: Message,
    fresh_until: Timestamp,
    age: u64,
    bytes: usize,
}

impl Cache {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            by_age: BTreeMap::new(),
            bytes: 0,
            clock: 0,
            invalidated: BTreeMap::new(),
        }
    }

    /// The answer to a request, if there is one that this asker may have.
    #[must_use]
    pub fn look(&self, now: Timestamp, question: &Question<'_>) -> Found {
        let Some(asking) = self.asking(question) else { return Found::Nothing };
        let Slot { method, params, owner } = asking.slot;
        let private = self.entries.get(&Slot { method, params: params.clone(), owner });
        let Some(entry) = private.or_else(|| self.entries.get(&Slot { method, params, owner: None })) else {
            return Found::Nothing;
        };
        if now < entry.fresh_until {
            Found::Fresh(entry.message.clone())
        } else if now < entry.fresh_until + self.limits.stale {
            Found::Stale(entry.message.clone())
        } else {
            Found::Nothing
        }
    }

    /// Notes that a request is sent now. `None` if answers to its method are not to be kept.
    #[must_use]
    pub fn ask(&mut self, question: &Question<'_>) -> Option<Asking> {
        self.clock += 1;
        self.asking(question)
    }

    fn asking(&self, question: &Question<'_>) -> Option<Asking> {
        let method = CACHEABLE.into_iter().find(|method| *method == question.method)?;
        let owner = Some(Owner(question.authorization.map(ToOwned::to_owned)));
        Some(Asking { method, slot: Slot { method, params: question.params.into(), owner }, at: self.clock })
    }

    /// Takes the complete answer to a request, received now. It replaces the one before, and is fresh for as long as it says
    /// itself; one that says nothing, for as long as `otherwise`. An answer to a request that was sent again with answers to
    /// a question of the server must not be kept: do not give it.
    ///
    /// An answer that was asked for before something about it [changed](Self::invalidate) is not kept.
    pub fn keep(&mut self, now: Timestamp, asking: Asking, message: Message, otherwise: Duration) {
        let Asking { method, mut slot, at } = asking;
        self.remove(&slot);
        let owner = slot.owner.take();
        self.remove(&slot);
        if self.invalidated.get(method).is_some_and(|changed| *changed > at) {
            return;
        }
        let Some(result) = message.result() else { return };
        let terms = Terms::read(result.as_str());
        if !terms.is_public {
            slot.owner = owner;
        }
        let ttl = terms.ttl.unwrap_or(otherwise).min(self.limits.longest);
        let bytes = message.size() + slot.params.len() + size_of::<Entry>() + size_of::<Slot>();
        if (ttl + self.limits.stale).is_zero() || bytes > self.limits.bytes || self.limits.entries == 0 {
            return;
        }
        while self.entries.len() >= self.limits.entries || self.bytes + bytes > self.limits.bytes {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.remove(&oldest);
        }
        self.clock += 1;
        let slot = Arc::new(slot);
        self.by_age.insert(self.clock, Arc::clone(&slot));
        self.bytes += bytes;
        self.entries.insert(slot, Entry { message, fresh_until: now + ttl, age: self.clock, bytes });
    }

    /// Forgets, fresh or not, what a change on the server makes old, and what is under way of it.
    pub fn invalidate(&mut self, change: &Change) {
        let (methods, uri): (&[&'static str], _) = match change {
            Change::Tools => (&["tools/list"], None),
            Change::Prompts => (&["prompts/list"], None),
            Change::Resources => (&["resources/list", "resources/templates/list"], None),
            Change::Resource(uri) => (&["resources/read"], Some(uri)),
        };
        self.clock += 1;
        for method in methods {
            self.invalidated.insert(method, self.clock);
        }
        self.retain(|slot| {
            let is_about = uri.is_none_or(|uri| read_uri(&slot.params).is_none_or(|read| are_related(&read, uri)));
            !(methods.contains(&slot.method) && is_about)
        });
    }

    /// Forgets all pages of a list: one of their cursors turned out to lead nowhere, so the others are of no more use.
    pub fn forget_pages(&mut self, method: &str) {
        self.retain(|slot| slot.method != method);
    }

    /// Forgets everything, and what is under way: the server is another one now.
    pub fn forget_all(&mut self) {
        self.clock += 1;
        for method in CACHEABLE {
            self.invalidated.insert(method, self.clock);
        }
        self.retain(|_| false);
    }

    /// Forgets what is private to an authorization, for instance since it has ended.
    pub fn forget_private(&mut self, authorization: Option<&str>) {
        self.retain(|slot| slot.owner.as_ref().is_none_or(|owner| owner.0.as_deref() != authorization));
    }

    /// How many answers it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes it has; never more than [`CacheLimits::bytes`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        let old = self.entries.keys().filter(|slot| !keep(slot)).cloned().collect::<Vec<_>>();
        for slot in old {
            self.remove(&slot);
        }
    }

    fn remove(&mut self, slot: &Slot) {
        if let Some(entry) = self.entries.remove(slot) {
            self.by_age.remove(&entry.age);
            self.bytes -= entry.bytes;
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, bytes) = (self.entries.len(), self.bytes);
        f.debug_struct("Cache").field("entries", &entries).field("bytes", &bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("method", &self.method).field("params", &self.params).finish_non_exhaustive()
    }
}

/// What a result says about being kept.
#[derive(Clone, Copy, Debug, Default)]
struct Terms {
    /// `None` if it does not say; what cannot be read, and less than nothing, is nothing.
    ttl: Option<Duration>,
    is_public: bool,
}

impl Terms {
    fn read(result: &str) -> Self {
        let mut terms = Self::default();
        // A fault cannot be: the message was scanned.
        let _ = members(result, |key, value| match key {
            "ttlMs" => {
                let ms = serde_json::from_str::<Option<Integer>>(value);
                let read = |ms: Integer| Duration::from_millis(i64::from(ms).try_into().unwrap_or(0));
                terms.ttl = ms.map_or(Some(Duration::ZERO), |ms| ms.map(read));
            }
            "cacheScope" => terms.is_public = value == r#""public""#,
            _ => {}
        });
        terms
    }
}

/// The resource that was read.
fn read_uri(params: &str) -> Option<String> {
    let mut uri = None;
    let _ = members(params, |key, value| {
        if key == "uri" {
            uri = serde_json::from_str(value).ok();
        }
    });
    uri
}

/// Whether one is the other or a part of it.
fn are_related(one: &str, other: &str) -> bool {
    let (whole, part) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    part.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || whole.ends_with('/') || rest.starts_with(['/', '?', '#']))
}

#[cfg(test)]
mod tests;
