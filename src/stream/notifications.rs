//! The peer's notifications: handled one after the other, in order, beside everything else and never awaited by the driver.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_proto::Message;

use super::handling::{BoxFuture, Service, contain, drop_contained, handle_contained};
use super::shared::Shared;
use crate::runtime::Spawn;

/// Notifications that wait for a slow handler; then the oldest goes.
const MOST: usize = 1024;

/// The queue of one connection.
#[derive(Default)]
pub(super) struct Notifications(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<BoxFuture<()>>,
    at_work: bool,
}

impl Notifications {
    /// Queues what these lead to, and starts the one task that handles the queue if it is not at work.
    pub(super) fn handle(
        &self,
        runtime: &impl Spawn,
        shared: &Arc<Shared>,
        service: &Arc<dyn Service>,
        messages: Vec<Message>,
    ) {
        for message in messages {
            let Ok(Some(handling)) = contain(|| service.notified(shared, message)) else { continue };
            let (dropped, idle) = {
                let mut queue = lock(&self.0);
                let dropped = if queue.waiting.len() >= MOST { queue.waiting.pop_front() } else { None };
                queue.waiting.push_back(handling);
                (dropped, !std::mem::replace(&mut queue.at_work, true))
            };
            if let Some(dropped) = dropped {
                drop_contained(dropped);
                tracing::warn!("a notification was dropped: its handler does not keep up");
            }
            if idle {
                runtime.spawn(work(Arc::clone(&self.0)));
            }
        }
    }
}

async fn work(queue: Arc<Mutex<Queue>>) {
    loop {
        let next = {
            let mut queue = lock(&queue);
            let next = queue.waiting.pop_front();
            queue.at_work = next.is_some();
            next
        };
        let Some(handling) = next else { return };
        handle_contained(handling).await;
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // Nothing can panic while it is held.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
