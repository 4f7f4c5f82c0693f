//! The peer's notifications: handled one after the other, in order, beside everything else and never awaited by the driver.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_proto::{Change, Message};
use tracing::Instrument;

use super::handling::{BoxFuture, Service, contain_callback, drop_contained, handle_contained};
use super::shared::Shared;
use crate::runtime::Spawn;
use crate::trace::{Operation, Outcome};

/// Notifications that wait for a slow handler; then the oldest goes.
const MOST: usize = 1024;
/// Bytes of them; likewise. A single one may be larger.
const MOST_BYTES: usize = 8 << 20;

/// The queue of one connection.
#[derive(Default)]
pub(crate) struct Notifications(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// What they hold, and what the one at work holds.
    bytes: usize,
    at_work: bool,
}

/// What a notification leads to, once those before it are done.
struct Waiting {
    /// The change that it tells of: one that waits stands for all that come meanwhile.
    change: Option<Change>,
    method: String,
    handling: BoxFuture<()>,
    bytes: usize,
    operation: Operation,
}

impl Queue {
    /// Makes room for one more; what has to go is to be dropped outside the lock.
    fn make_room(&mut self, bytes: usize) -> Vec<Waiting> {
        let mut dropped = Vec::new();
        while (self.waiting.len() >= MOST || self.bytes + bytes > MOST_BYTES)
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.bytes -= oldest.bytes;
            dropped.push(oldest);
        }
        dropped
    }
}

impl Notifications {
    /// Queues what these lead to, and starts the one task that handles the queue if it is not at work.
    pub(crate) fn handle(
        &self,
        runtime: &impl Spawn,
        shared: &Arc<Shared>,
        service: &Arc<dyn Service>,
        messages: Vec<Message>,
    ) {
        for message in messages {
            let bytes = message.size();
            let (change, method) = (Change::of(&message), message.method().to_owned());
            if change.is_some() && lock(&self.0).waiting.iter().any(|waiting| waiting.change == change) {
                continue;
            }
            let operation = Operation::hear(shared, &message, || service.knows(&message));
            let begin = || contain_callback(&method, None, || service.notified(shared, message));
            let handling = match operation.span().in_scope(begin) {
                Some(Some(handling)) => handling,
                heard => {
                    operation.heard(shared.now(), heard.map(drop));
                    continue;
                }
            };
            let (dropped, idle) = {
                let mut queue = lock(&self.0);
                let dropped = queue.make_room(bytes);
                queue.waiting.push_back(Waiting { change, method, handling, bytes, operation });
                queue.bytes += bytes;
                (dropped, !std::mem::replace(&mut queue.at_work, true))
            };
            for dropped in dropped {
                let told = "a notification was dropped: its handler does not keep up";
                dropped.operation.end(shared.now(), &Outcome::Failed("dropped", told.to_owned()));
                drop_contained(dropped.handling);
                tracing::warn!("{told}");
            }
            if idle {
                runtime.spawn(work(Arc::clone(&self.0), Arc::clone(shared)));
            }
        }
    }

    /// What those hold that are not handled yet.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.0).bytes
    }
}

async fn work(queue: Arc<Mutex<Queue>>, shared: Arc<Shared>) {
    loop {
        let next = {
            let mut queue = lock(&queue);
            let next = queue.waiting.pop_front();
            queue.at_work = next.is_some();
            next
        };
        let Some(Waiting { method, handling, bytes, operation, .. }) = next else { return };
        let heard = handle_contained(&method, handling).instrument(operation.span().clone()).await;
        operation.heard(shared.now(), heard);
        lock(&queue).bytes -= bytes;
        shared.freed(bytes);
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // Nothing can panic while it is held.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
