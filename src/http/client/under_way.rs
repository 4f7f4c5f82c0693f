//! The exchanges of a client that are under way, each polled only when it has something to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use mcp_proto::http::client::ExchangeId;

use super::exchange::{Came, Exchange};

/// See the module.
#[derive(Default)]
pub(super) struct UnderWay {
    all: BTreeMap<ExchangeId, (Exchange, Waker)>,
    stirred: Arc<Stirred>,
    /// Those to be polled, bodies among them only while they are read.
    next: BTreeSet<ExchangeId>,
}

/// Who has been woken since the driver last looked, and the driver.
#[derive(Default)]
struct Stirred(Mutex<(BTreeSet<ExchangeId>, Option<Waker>)>);

struct Of {
    exchange: ExchangeId,
    stirred: Arc<Stirred>,
}

impl Wake for Of {
    fn wake(self: Arc<Self>) {
        let driver = {
            let mut stirred = self.stirred.lock();
            stirred.0.insert(self.exchange);
            stirred.1.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl Stirred {
    fn lock(&self) -> MutexGuard<'_, (BTreeSet<ExchangeId>, Option<Waker>)> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    pub(super) fn add(&mut self, id: ExchangeId, exchange: Exchange) {
        let waker = Waker::from(Arc::new(Of { exchange: id, stirred: Arc::clone(&self.stirred) }));
        self.all.insert(id, (exchange, waker));
        self.next.insert(id);
    }

    pub(super) fn remove(&mut self, id: ExchangeId) {
        self.next.remove(&id);
        self.all.remove(&id);
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// Has the driver woken when one of them has something to tell.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let replaced = self.stirred.lock().1.replace(waker);
        drop(replaced);
    }

    /// What the next one has to tell; `None` if none has anything now. Bodies are asked only while `reads`.
    pub(super) fn next(&mut self, reads: impl Fn() -> bool) -> Option<(ExchangeId, Came)> {
        let mut woken = std::mem::take(&mut self.stirred.lock().0);
        self.next.append(&mut woken);
        let mut held = BTreeSet::new();
        let mut found = None;
        while found.is_none()
            && let Some(id) = self.next.pop_first()
        {
            let Some((exchange, waker)) = self.all.get_mut(&id) else { continue };
            if exchange.is_reading() && !reads() {
                held.insert(id);
                continue;
            }
            let Poll::Ready(came) = exchange.poll_next(&mut Context::from_waker(waker)) else { continue };
            if matches!(came, Came::End(_) | Came::Failed(_)) {
                self.all.remove(&id);
            } else {
                // There may be more.
                self.next.insert(id);
            }
            found = Some((id, came));
        }
        self.next.append(&mut held);
        found
    }
}
