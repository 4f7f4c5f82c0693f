//! A listener's handle, and what it shares with the task that accepts: who is connected, and how it is to end.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Address;
use super::host::Guest;

/// A server that listens. Dropping it closes the port and all connections at once; [`shutdown`](Self::shutdown) does it in good order.
pub struct Listening {
    address: Address,
    hall: Arc<Hall>,
}

impl Listening {
    pub(super) fn new(address: Address, hall: Arc<Hall>) -> Self {
        Self { address, hall }
    }

    /// Where it listens; of a TCP server with the port that it got.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many clients are connected now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.hall.len()
    }

    /// Ends in good order: takes no new clients and no new requests, lets the calls in work finish for `grace`, and closes every
    /// connection once it has nothing left to do. Then the server's stop hook runs, if it serves nobody else.
    ///
    /// Flushing and closing may take up to 3 seconds beyond the grace. Dropping the future ends what is left at once.
    pub async fn shutdown(self, grace: Duration) -> Drained {
        self.hall.stop(grace);
        self.hall.ended().await
    }

    /// Waits for an end that nobody asked for: that of the runtime.
    pub async fn ended(&self) -> Drained {
        self.hall.ended().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.hall.stop(Duration::ZERO);
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("address", &self.address)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// How a listener ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// How many clients were connected when the end began.
    pub connections: usize,
    /// Those whose calls did not finish in time.
    pub cut: Vec<Cut>,
}

/// A connection that was closed although calls were in work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// Where the client was connected from, if it has an address.
    pub peer: Option<SocketAddr>,
    /// How many of its calls got no answer.
    pub calls: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Hall(Mutex<State>);

#[derive(Default)]
struct State {
    guests: BTreeMap<u64, (Option<SocketAddr>, Arc<dyn Guest>)>,
    next: u64,
    /// Set once it is to end: how long calls may still take.
    stop: Option<Duration>,
    report: Drained,
    ended: bool,
    /// The task that accepts.
    keeper: Option<Waker>,
    /// Whoever waits for the end.
    waiting: Vec<Waker>,
}

impl Hall {
    pub(super) fn len(&self) -> usize {
        self.lock().guests.len()
    }

    /// Asks for the end. A shorter grace than an earlier one counts.
    fn stop(&self, grace: Duration) {
        let keeper = {
            let mut state = self.lock();
            state.stop = Some(state.stop.map_or(grace, |stop| stop.min(grace)));
            state.keeper.take()
        };
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }

    /// For the keeper: the grace, once it is asked for and less than `known`.
    pub(super) fn poll_stop(&self, known: Option<Duration>, cx: &Context<'_>) -> Poll<Duration> {
        self.poll_as_keeper(cx, |state| state.stop.filter(|stop| known.is_none_or(|known| *stop < known)))
    }

    /// For the keeper: all clients are gone.
    pub(super) fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_as_keeper(cx, |state| state.guests.is_empty().then_some(()))
    }

    fn poll_as_keeper<T>(&self, cx: &Context<'_>, look: impl FnOnce(&State) -> Option<T>) -> Poll<T> {
        // Cloned before the lock, and what it replaces is dropped after it: wakers are foreign code.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let found = look(&state);
        let replaced = state.keeper.replace(waker);
        drop(state);
        drop(replaced);
        found.map_or(Poll::Pending, Poll::Ready)
    }

    /// For the keeper: the end begins; who is there.
    pub(super) fn begin_end(&self) -> Vec<Arc<dyn Guest>> {
        let mut state = self.lock();
        state.report.connections = state.report.connections.max(state.guests.len());
        state.guests.values().map(|(_, guest)| Arc::clone(guest)).collect()
    }

    /// For the keeper: what was cut beside the clients.
    pub(super) fn add_cut(&self, cut: Vec<Cut>) {
        self.lock().report.cut.extend(cut);
    }

    /// For the keeper: it is over. Whoever is still there is cut.
    pub(super) fn end(&self) {
        let left = std::mem::take(&mut self.lock().guests);
        let cut = left.into_values().map(|(peer, guest)| Cut { peer, calls: guest.working() });
        let cut = cut.collect::<Vec<_>>();
        let waiting = {
            let mut state = self.lock();
            state.report.cut.extend(cut);
            state.ended = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    async fn ended(&self) -> Drained {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = self.lock();
            if state.ended {
                return Poll::Ready(state.report.clone());
            }
            // One for each task, however often it looks.
            let known = state.waiting.iter().any(|known| known.will_wake(&waker));
            let mut waker = Some(waker);
            if !known {
                state.waiting.extend(waker.take());
            }
            drop(state);
            drop(waker);
            Poll::Pending
        })
        .await
    }

    /// Lets a client in, until the result is dropped.
    pub(super) fn enter(self: &Arc<Self>, peer: Option<SocketAddr>, guest: Arc<dyn Guest>) -> Seat {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.guests.insert(number, (peer, guest));
        drop(state);
        Seat { hall: Arc::clone(self), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place.
pub(super) struct Seat {
    hall: Arc<Hall>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((peer, guest)) = self.hall.lock().guests.get(&self.number).cloned() else { return };
        let calls = guest.cut();
        let mut state = self.hall.lock();
        if state.stop.is_some() && calls > 0 {
            state.report.cut.push(Cut { peer, calls });
        }
        let left = state.guests.remove(&self.number);
        let keeper = if state.guests.is_empty() { state.keeper.take() } else { None };
        drop(state);
        drop((left, guest));
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }
}
