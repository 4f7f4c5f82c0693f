//! What is open beside connections: exchanges and sessions, which have to end when their listener does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::Timestamp;
use crate::net::{Cut, Guest};
use crate::stream::Shared;

/// See the module.
#[derive(Default)]
pub(super) struct Open(Mutex<State>);

#[derive(Default)]
struct State {
    all: BTreeMap<u64, (Option<SocketAddr>, Arc<Shared>)>,
    next: u64,
    /// Set once all is to end: by when.
    until: Option<Timestamp>,
    /// What did not finish in time.
    cut: Vec<Cut>,
    /// Who waits for it.
    waiting: Option<Waker>,
}

impl Open {
    /// Has an exchange or a session told of the end, until the entry is dropped; `peer` is where its client is, if that is one place. If
    /// the end has begun, it is told at once.
    pub(super) fn enter(self: &Arc<Self>, peer: Option<SocketAddr>, shared: &Arc<Shared>) -> Entry {
        let (number, until) = {
            let mut state = self.lock();
            let number = state.next;
            state.next += 1;
            state.all.insert(number, (peer, Arc::clone(shared)));
            (number, state.until)
        };
        if let Some(until) = until {
            shared.see_out(until.saturating_since(shared.now()));
        }
        Entry { open: Arc::clone(self), number }
    }

    /// Whether the end has begun, so that nothing should be begun that lasts.
    pub(super) fn is_ending(&self) -> bool {
        self.lock().until.is_some()
    }

    /// Everything ends once its calls have finished or the grace is over. Again for a shorter grace.
    pub(super) fn close(&self, now: Timestamp, grace: Duration) {
        let all = {
            let mut state = self.lock();
            let until = now + grace;
            state.until = Some(state.until.map_or(until, |known| known.min(until)));
            state.all.values().map(|(_, shared)| Arc::clone(shared)).collect::<Vec<_>>()
        };
        for shared in all {
            shared.see_out(grace);
        }
    }

    /// What did not finish in time, also of what is still there.
    pub(super) fn take_cut(&self) -> Vec<Cut> {
        let (mut cut, left) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.cut), state.all.values().cloned().collect::<Vec<_>>())
        };
        let left = left.into_iter().map(|(peer, shared)| Cut { peer, calls: shared.working() });
        cut.extend(left.filter(|cut| cut.calls > 0));
        cut
    }

    /// Ready once nothing is open.
    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        // Cloned before the lock, and what it replaces is dropped after it: wakers are foreign code.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let is_empty = state.all.is_empty();
        let replaced = state.waiting.replace(waker);
        drop(state);
        drop(replaced);
        if is_empty { Poll::Ready(()) } else { Poll::Pending }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is open.
pub(super) struct Entry {
    open: Arc<Open>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some((peer, shared)) = self.open.lock().all.get(&self.number).cloned() else { return };
        let calls = shared.cut();
        let mut state = self.open.lock();
        if state.until.is_some() && calls > 0 {
            state.cut.push(Cut { peer, calls });
        }
        let left = state.all.remove(&self.number);
        let waiting = if state.all.is_empty() { state.waiting.take() } else { None };
        drop(state);
        drop((left, shared));
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};
    use mcp_proto::model::Implementation;
    use mcp_proto::{Connection, ProtocolVersion, ServerConfig, Start};

    use super::*;
    use crate::trace::Tracer;

    const NOW: Timestamp = Timestamp::EPOCH;
    const GRACE: Duration = Duration::from_secs(10);

    fn shared() -> Arc<Shared> {
        let config = Arc::new(ServerConfig::new(Implementation::new("s", "1")));
        let connection = Connection::server(config, Start::Assume(ProtocolVersion::V2026_07_28), NOW);
        Shared::new(connection, Tracer::default(), || NOW)
    }

    fn is_closed(shared: &Shared) -> bool {
        shared.with(|state| {
            state.take_events(&mut Default::default());
            state.closed.is_some()
        })
    }

    #[test]
    fn whatever_is_open_is_told_of_the_end_and_waited_for() {
        let open = Arc::<Open>::default();
        let closed = || block_on(poll_once(std::future::poll_fn(|cx| open.poll_closed(cx)))).is_some();
        assert!(closed() && !open.is_ending());
        let (early, late) = (shared(), shared());
        let entry = open.enter(None, &early);
        assert!(!closed() && !is_closed(&early));
        open.close(NOW, GRACE);
        assert!(open.is_ending() && is_closed(&early));
        // Also what is opened after that.
        let other = open.enter(None, &late);
        assert!(is_closed(&late));
        drop(entry);
        assert!(!closed());
        drop(other);
        assert!(closed());
    }
}
