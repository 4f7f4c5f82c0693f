//! Questions that a server asks instead of answering (stateless era): all are answered side by side by the client's callbacks,
//! then the request goes on.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use mcp_proto::{Body, ErrorObject, Message, OutboundId};

use super::handling::{Answer, BoxFuture, Reply, Service, contain, drop_contained};
use super::shared::{Cancel, Shared};
use crate::trace::{Operation, Outcome};

/// What one request needs to be answered before it goes on.
pub(crate) struct Questions {
    pub(crate) call: OutboundId,
    pub(crate) requests: BTreeMap<String, Message>,
    /// Tells that the request is over, answered or not.
    pub(crate) over: Arc<Cancel>,
    /// The request.
    pub(crate) operation: Operation,
}

/// A question on its way to an answer.
struct Open {
    key: String,
    operation: Operation,
    /// `None` once it is answered.
    future: Option<BoxFuture<Reply>>,
}

/// Answers the questions and sends the request again; if one of them gets no answer, the request is given up.
pub(super) async fn answer(shared: Arc<Shared>, service: Arc<dyn Service>, questions: Questions) {
    let Questions { call, requests, over, operation: request } = questions;
    let mut open = Vec::new();
    let mut answers = BTreeMap::new();
    let mut refused = None;
    for (key, message) in &requests {
        let operation = Operation::question(&shared, message, || service.knows(message), &request);
        let begin = || contain(|| service.answer(message)).and_then(|answer| answer);
        match operation.span().in_scope(begin) {
            Ok(future) => open.push(Open { key: key.clone(), operation, future: Some(future) }),
            Err(error) => {
                operation.end(shared.now(), &Outcome::Rpc(&error));
                refused = Some(error);
            }
        }
    }
    drop(request);
    if refused.is_none() {
        refused = poll_fn(|cx| {
            if over.poll_cancelled(cx).is_ready() {
                return Poll::Ready(Some(ErrorObject::internal("the request is over")));
            }
            for Open { key, operation, future: slot } in &mut open {
                let Some(future) = slot else { continue };
                let polled = operation.span().in_scope(|| contain(|| future.as_mut().poll(cx)));
                let reply = match polled {
                    Ok(Poll::Pending) => continue,
                    Ok(Poll::Ready(reply)) => reply,
                    Err(error) => Err(error),
                };
                operation.replied(shared.now(), &reply);
                operation.span().in_scope(|| drop_contained(slot.take()));
                match reply {
                    Ok(Answer::Result { body, .. }) => {
                        answers.insert(std::mem::take(key), body);
                    }
                    Ok(Answer::Question(_) | Answer::Grant(_)) => return Poll::Ready(Some(unanswerable())),
                    Err(error) => return Poll::Ready(Some(error)),
                }
            }
            if open.iter().all(|open| open.future.is_none()) { Poll::Ready(None) } else { Poll::Pending }
        })
        .await;
    }
    // One by one, so that one that panics takes no other along.
    for Open { operation, future, .. } in open {
        operation.span().in_scope(|| drop_contained(future));
        operation.end(shared.now(), &Outcome::Cancelled);
    }
    supply(&shared, call, &answers, refused);
}

fn supply(shared: &Shared, call: OutboundId, answers: &BTreeMap<String, Body>, refused: Option<ErrorObject>) {
    let over = shared.command(|state, now| {
        match refused {
            None => drop(state.connection.supply_input(now, call, answers)),
            Some(error) => state.connection.cancel(now, call, &error.message),
        }
        state.answered(call)
    });
    drop(over);
}

fn unanswerable() -> ErrorObject {
    ErrorObject::internal("a question cannot be answered with a question")
}
