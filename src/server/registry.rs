//! One kind of what a server offers: kept in the order of registration, found by key, listed in pages.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mcp_proto::model::{CacheScope, Rules};
use mcp_proto::{Body, EncodeError, ErrorObject};
use serde::Deserialize;

use super::definition::{Definition, Fault};
use crate::stream::Inbound;

/// Something that a server lists.
pub(super) trait Listed: Sized + Send + Sync + 'static {
    /// What clients are told about it.
    type Wire: Clone + PartialEq;
    /// What it is called in messages to people.
    const WHAT: &'static str;
    /// The method that lists it.
    const LIST: &'static str;

    fn wire(&self) -> &Self::Wire;

    /// What clients of a revision with these rules are told about it.
    fn wire_by(&self, _: &Rules) -> Self::Wire {
        self.wire().clone()
    }

    fn key(&self) -> &str;

    /// Where a server keeps them.
    fn registry(definition: &mut Definition) -> &mut Registry<Self>;

    /// What is wrong with it.
    fn faults(&self) -> Vec<Fault>;

    /// The result of the list's method.
    fn page(items: Vec<Self::Wire>, next: Option<String>, cache: Option<&Cache>) -> Result<Body, EncodeError>;
}

/// The answers that say how long they may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cached {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// The list of templates of resources.
    ResourceTemplates,
    /// What is read, of resources that do not say it themselves.
    Reads,
}

/// For how long a result is fresh, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cache {
    pub(super) ttl: Duration,
    pub(super) scope: CacheScope,
}

impl Default for Cache {
    /// Fresh for no time, since whatever a server offers may come and go.
    fn default() -> Self {
        Self { ttl: Duration::ZERO, scope: CacheScope::Private }
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Registry<T> {
    /// By a serial that is never reused, so that a cursor stays right whatever comes and goes between two pages.
    entries: BTreeMap<u64, Entry<T>>,
    by_key: BTreeMap<String, u64>,
    next: u64,
    page_size: Option<usize>,
    cache: Cache,
    /// The whole list where it fits one page, encoded once for each of its [forms](form).
    whole: [OnceLock<Result<Body, String>>; FORMS],
}

struct Entry<T> {
    item: Arc<T>,
    visible: Visible,
}

// Not derived: that would ask for `T: Clone`.
impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { item: Arc::clone(&self.item), visible: self.visible }
    }
}

/// How many forms a list has.
const FORMS: usize = 4;

/// The form of a list: everything in which the rules of revisions make lists differ.
fn form(rules: &Rules) -> usize {
    usize::from(rules.result_type) + 2 * usize::from(rules.any_structured_content)
}

/// Whether clients see an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visible {
    Yes,
    /// Not listed, and using it is as if it were unknown.
    No,
}

/// Whether something was there before under the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Added {
    New,
    Replaced,
}

/// There is no item of this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next: 0,
            page_size: None,
            cache: Cache::default(),
            whole: Default::default(),
        }
    }
}

impl<T: Listed> Registry<T> {
    /// Adds an item; one of the same key is replaced where it stands.
    pub(super) fn add(&mut self, item: T) -> Added {
        self.whole = Default::default();
        let entry = Entry { item: Arc::new(item), visible: Visible::Yes };
        let key = entry.item.key();
        if let Some(serial) = self.by_key.get(key) {
            self.entries.insert(*serial, entry);
            return Added::Replaced;
        }
        self.by_key.insert(key.to_owned(), self.next);
        self.entries.insert(self.next, entry);
        self.next += 1;
        Added::New
    }

    pub(super) fn remove(&mut self, key: &str) -> Result<(), Unknown> {
        self.whole = Default::default();
        let serial = self.by_key.remove(key).ok_or(Unknown)?;
        self.entries.remove(&serial);
        Ok(())
    }

    pub(super) fn show(&mut self, key: &str, visible: Visible) -> Result<(), Unknown> {
        self.whole = Default::default();
        let entry = self.by_key.get(key).and_then(|serial| self.entries.get_mut(serial)).ok_or(Unknown)?;
        entry.visible = visible;
        Ok(())
    }

    pub(super) fn set_page_size(&mut self, size: usize) {
        self.whole = Default::default();
        self.page_size = Some(size.max(1));
    }

    pub(super) fn set_cache(&mut self, cache: Cache) {
        self.whole = Default::default();
        self.cache = cache;
    }

    /// One that clients see.
    pub(super) fn find(&self, key: &str) -> Option<&Arc<T>> {
        let entry = self.entries.get(self.by_key.get(key)?)?;
        (entry.visible == Visible::Yes).then_some(&entry.item)
    }

    /// Those that clients see, in the order of registration.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Arc<T>> {
        self.after(None).map(|(_, item)| item)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.values().map(|entry| entry.item.key())
    }

    /// Whether there was ever anything in it.
    pub(super) fn is_used(&self) -> bool {
        self.next > 0
    }

    /// Whether clients see the same list.
    pub(super) fn lists_the_same(&self, other: &Self) -> bool {
        self.visible().map(|item| item.wire()).eq(other.visible().map(|item| item.wire()))
    }

    fn after(&self, last: Option<u64>) -> impl Iterator<Item = (u64, &Arc<T>)> {
        let first = last.map_or(0, |last| last.saturating_add(1));
        let shown = self.entries.range(first..).filter(|(_, entry)| entry.visible == Visible::Yes);
        shown.map(|(serial, entry)| (*serial, &entry.item))
    }

    /// Answers the list's method (specification: server/utilities/pagination).
    pub(super) fn list(&self, request: &Inbound) -> Result<Body, ErrorObject> {
        #[derive(Deserialize)]
        struct Asked {
            cursor: Option<String>,
        }
        let asked: Asked = request
            .message
            .params()
            .decode()
            .map_err(|error| ErrorObject::invalid_params(format!("{}: {error}", T::LIST)))?;
        let rules = request.meta.version.rules();
        let body = match asked.cursor {
            None => {
                let whole = self.whole[form(rules)]
                    .get_or_init(|| self.page_after(None, rules).map_err(|error| error.to_string()));
                whole.clone()
            }
            Some(cursor) => {
                let last = self.serial_of(&cursor).ok_or_else(|| {
                    ErrorObject::invalid_params(format!("{}: params.cursor is not one of this server's", T::LIST))
                })?;
                self.page_after(Some(last), rules).map_err(|error| error.to_string())
            }
        };
        body.map_err(ErrorObject::internal)
    }

    fn page_after(&self, last: Option<u64>, rules: &Rules) -> Result<Body, EncodeError> {
        let mut rest = self.after(last).peekable();
        let (mut items, mut end) = (Vec::new(), None);
        while items.len() < self.page_size.unwrap_or(usize::MAX)
            && let Some((serial, item)) = rest.next()
        {
            items.push(item.wire_by(rules));
            end = Some(serial);
        }
        let next = end.filter(|_| rest.peek().is_some()).map(cursor::<T>);
        T::page(items, next, rules.result_type.then_some(&self.cache))
    }

    /// The item after which the page of this cursor begins. It need not be there any more.
    fn serial_of(&self, text: &str) -> Option<u64> {
        let (_, serial) = text.rsplit_once('.')?;
        let serial = u64::from_str_radix(serial, 16).ok()?;
        (serial < self.next && cursor::<T>(serial) == text).then_some(serial)
    }
}

/// Means nothing to a client. Names the list, so that it is taken by no other.
fn cursor<T: Listed>(last: u64) -> String {
    format!("{}.{last:x}", T::WHAT.replace(' ', "-"))
}
