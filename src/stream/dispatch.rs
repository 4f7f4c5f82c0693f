//! What one turn of a driver leads to once the lock is free: who is woken, what is started.

use std::sync::Arc;
use std::task::{Context, Waker};

use mcp_proto::InboundId;

use super::driver::Parts;
use super::handling::{Begins, Reply, start};
use super::notifications::Notifications;
use super::shared::Turn;
use crate::runtime::Spawn;

/// Wakes and starts what a turn brought. The answers of handlers that are there at once.
pub(crate) fn dispatch<R: Spawn>(
    parts: &Parts<R>,
    notifications: &Notifications,
    turn: Turn,
    cx: &mut Context<'_>,
) -> Vec<(InboundId, Reply)> {
    let Parts { runtime, shared, service, .. } = parts;
    turn.wakers.into_iter().for_each(Waker::wake);
    for remark in turn.remarks {
        tracing::debug!(?remark, "the peer did something odd");
    }
    for questions in turn.questions {
        runtime.spawn(super::questions::answer(Arc::clone(shared), Arc::clone(service), questions));
    }
    notifications.handle(runtime, shared, service, turn.notifications);
    // When several are ready at once, all but one are started beside each other.
    let last = turn.requests.len().saturating_sub(1);
    let mut replies = Vec::new();
    for (at, request) in turn.requests.into_iter().enumerate() {
        let (id, place) = (request.id, if at == last { Begins::Here } else { Begins::Elsewhere });
        replies.extend(start(parts, request, place, cx).map(|reply| (id, reply)));
    }
    for gone in turn.gone.into_iter().filter_map(|id| service.gone(id)) {
        runtime.spawn(gone);
    }
    replies
}
