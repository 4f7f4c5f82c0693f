//! Which sessions there are: whose they are, how many there may be, and when they expire.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::ids::SessionId;
use super::limits::HttpLimits;
use super::status::Reason;
use crate::Timestamp;

/// The sessions of a server, each with what a driver keeps of it.
///
/// A session has one owner, the principal for which it was opened: to anybody else it does not exist. One that is idle for too long
/// expires, and goes when there are too many; one that is busy does neither. There is one way out of the table, and whoever leaves by it
/// is handed back to be ended.
///
/// ```
/// use mcp_proto::Timestamp;
/// use mcp_proto::http::{HttpLimits, SessionId, Sessions};
///
/// let mut limits = HttpLimits::default();
/// limits.sessions = 2;
/// let mut sessions = Sessions::new(&limits);
/// let id = |seed| SessionId::from_entropy([seed; 16]);
/// for seed in [1, 2] {
///     assert_eq!(sessions.insert(Timestamp::EPOCH, id(seed), Some("alice"), seed), Ok(None));
/// }
/// // No room: the one that is idle longest goes.
/// assert_eq!(sessions.insert(Timestamp::from_nanos(1), id(3), Some("alice"), 3), Ok(Some(1)));
/// // Only its owner finds it.
/// assert!(sessions.find(Timestamp::from_nanos(2), &id(2), Some("bob")).is_err());
/// assert_eq!(sessions.find(Timestamp::from_nanos(2), &id(2), Some("alice")), Ok(&mut 2));
/// // And nobody came back to these.
/// assert_eq!(sessions.expire(Timestamp::EPOCH + limits.session_idle * 2).len(), 2);
/// assert!(sessions.is_empty() && sessions.poll_timeout().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Sessions<T> {
    open: BTreeMap<SessionId, Entry<T>>,
    /// When idle sessions expire. The first of them is also the first that goes for want of room.
    idle: BTreeSet<(Timestamp, SessionId)>,
    limit: usize,
    idle_time: Duration,
    uninitialized_time: Duration,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    principal: Option<String>,
    progress: Progress,
    /// When it expires; `None` while it is busy.
    expires: Option<Timestamp>,
}

/// How far a session's client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It has sent `initialize`, and nothing since.
    Opened,
    /// It has come back.
    Used,
}

/// Whether somebody is at work in a session: a call is, or a response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Nobody. Its time runs.
    Idle,
    /// Somebody. It neither expires nor goes for want of room.
    Busy,
}

impl<T> Sessions<T> {
    /// None yet.
    #[must_use]
    pub fn new(limits: &HttpLimits) -> Self {
        Self {
            open: BTreeMap::new(),
            idle: BTreeSet::new(),
            limit: limits.sessions,
            idle_time: limits.session_idle,
            uninitialized_time: limits.session_uninitialized,
        }
    }

    /// Opens a session, idle at first. If there are as many as there may be, the one that would expire first goes, and is handed out to be
    /// ended: of those whose clients came back, the one that is idle longest; one whose client never came back goes sooner.
    ///
    /// # Errors
    ///
    /// [`Reason::TooManyExchanges`] if all of them are busy.
    pub fn insert(
        &mut self,
        now: Timestamp,
        id: SessionId,
        principal: Option<&str>,
        value: T,
    ) -> Result<Option<T>, Reason> {
        // Ids are random. If one comes twice all the same, nobody is led into somebody else's session.
        let mut gone = self.take(&id);
        if self.open.len() >= self.limit {
            let (_, first) = self.idle.first().cloned().ok_or(Reason::TooManyExchanges)?;
            gone = self.take(&first);
        }
        let expires = now + self.uninitialized_time;
        let principal = principal.map(String::from);
        self.idle.insert((expires, id.clone()));
        self.open.insert(id, Entry { value, principal, progress: Progress::Opened, expires: Some(expires) });
        Ok(gone)
    }

    /// The session of this id, for this principal. Its time begins anew.
    ///
    /// # Errors
    ///
    /// [`Reason::SessionUnknown`] if there is none, or it is somebody else's; nobody can tell the two apart.
    pub fn find(&mut self, now: Timestamp, id: &SessionId, principal: Option<&str>) -> Result<&mut T, Reason> {
        let idle_time = self.idle_time;
        let entry = self.open.get_mut(id).filter(|entry| entry.principal.as_deref() == principal);
        let entry = entry.ok_or(Reason::SessionUnknown)?;
        entry.progress = Progress::Used;
        if let Some(expires) = &mut entry.expires {
            self.idle.remove(&(*expires, id.clone()));
            *expires = now + idle_time;
            self.idle.insert((*expires, id.clone()));
        }
        Ok(&mut entry.value)
    }

    /// Whether somebody is at work in a session now. Once nobody is, its time begins anew. Ignored if it is gone.
    pub fn set_activity(&mut self, now: Timestamp, id: &SessionId, activity: Activity) {
        let Some(entry) = self.open.get_mut(id) else { return };
        let time = match entry.progress {
            Progress::Opened => self.uninitialized_time,
            Progress::Used => self.idle_time,
        };
        let expires = match (activity, entry.expires) {
            (Activity::Busy, _) => None,
            (Activity::Idle, Some(expires)) => Some(expires),
            (Activity::Idle, None) => Some(now + time),
        };
        let before = core::mem::replace(&mut entry.expires, expires);
        if before != expires {
            if let Some(before) = before {
                self.idle.remove(&(before, id.clone()));
            }
            self.idle.extend(expires.map(|expires| (expires, id.clone())));
        }
    }

    /// Ends a session for its owner, also a busy one.
    ///
    /// # Errors
    ///
    /// As with [`find`](Self::find).
    pub fn remove(&mut self, id: &SessionId, principal: Option<&str>) -> Result<T, Reason> {
        let is_owner = self.open.get(id).is_some_and(|entry| entry.principal.as_deref() == principal);
        let removed = if is_owner { self.take(id) } else { None };
        removed.ok_or(Reason::SessionUnknown)
    }

    /// Ends a session that is over by itself.
    pub fn forget(&mut self, id: &SessionId) -> Option<T> {
        self.take(id)
    }

    /// Ends those that have expired.
    pub fn expire(&mut self, now: Timestamp) -> Vec<T> {
        let mut expired = Vec::new();
        while let Some((due, id)) = self.idle.first()
            && *due <= now
        {
            let id = id.clone();
            expired.extend(self.take(&id));
        }
        expired
    }

    /// Ends all of them.
    pub fn drain(&mut self) -> Vec<T> {
        let ids: Vec<SessionId> = self.open.keys().cloned().collect();
        ids.iter().filter_map(|id| self.take(id)).collect()
    }

    /// When the next one expires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.idle.first().map(|(due, _)| *due)
    }

    /// All of them, by their ids.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.open.values().map(|entry| &entry.value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The one way out.
    fn take(&mut self, id: &SessionId) -> Option<T> {
        let (id, entry) = self.open.remove_entry(id)?;
        if let Some(expires) = entry.expires {
            self.idle.remove(&(expires, id));
        }
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests;
