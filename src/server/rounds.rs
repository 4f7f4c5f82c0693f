//! Asking the client in the middle of a request, in the stateless era: the handler is dropped, the questions are the answer,
//! and the client's next try runs it again with the answers at hand (specification 2026-07-28: multi round-trip requests).
//!
//! Nothing is held here between two rounds. The answers of earlier rounds travel in `requestState`. They came from the client,
//! so it could as well have given other ones: the state tells nothing that it must not change, and is not sealed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mcp_proto::{Body, ErrorObject, InputRequired, Message, ProtocolVersion};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::stream::{Answer, BoxFuture, Reply};

/// One round of a request: what is answered, and what the handler asks.
#[derive(Debug)]
pub(crate) struct Round {
    answers: Map<String, Value>,
    asked: Mutex<Asked>,
}

/// What the handler and its tasks have asked, and who waits for what.
#[derive(Debug, Default)]
struct Asked {
    questions: BTreeMap<String, Body>,
    /// The handler, which has to be dropped once something is asked.
    handler: Option<Waker>,
    /// Those who have asked, to be told that there will be no answer: the handler's tasks, which outlive it.
    waiting: Vec<Waker>,
    is_over: bool,
}

/// The longest state that is sent, in bytes.
const LONGEST_STATE: usize = 256 * 1024;

impl Round {
    /// The round that a request opens; `None` in an era in which the client can be asked directly.
    pub(crate) fn of(message: &Message, version: ProtocolVersion) -> Result<Option<Arc<Self>>, ErrorObject> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Brought {
            input_responses: Option<Map<String, Value>>,
            request_state: Option<String>,
        }
        if !version.rules().result_type {
            return Ok(None);
        }
        // Most requests are first tries; what they hold is not looked through a second time.
        let is_retry = ["\"requestState\"", "\"inputResponses\""].iter().any(|key| message.text().contains(key));
        let brought: Brought = if is_retry { decode(message.params().as_str())? } else { Brought::default() };
        let mut answers: Map<String, Value> = match &brought.request_state {
            Some(state) => decode(state)?,
            None => Map::new(),
        };
        answers.extend(brought.input_responses.unwrap_or_default());
        Ok(Some(Arc::new(Self { answers, asked: Mutex::default() })))
    }

    /// What the client answered to this question, if it was asked already.
    pub(crate) fn answer(&self, key: &str) -> Option<&Value> {
        self.answers.get(key)
    }

    /// Asks the client. The handler must not go on; what ends this is the round.
    pub(crate) async fn ask(&self, key: &str, question: Body) {
        let (replaced, handler) = {
            let mut asked = self.asked();
            (asked.questions.insert(key.to_owned(), question), asked.handler.take())
        };
        drop(replaced);
        // It may be asleep, if this is a task that it waits for.
        handler.into_iter().for_each(Waker::wake);
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut asked = self.asked();
            if asked.is_over {
                return Poll::Ready(());
            }
            if !asked.waiting.iter().any(|known| known.will_wake(&waker)) {
                asked.waiting.push(waker);
            }
            Poll::Pending
        })
        .await;
    }

    fn handle(&self, handler: Waker) {
        let replaced = self.asked().handler.replace(handler);
        drop(replaced);
    }

    fn end(&self) {
        let (handler, waiting) = {
            let mut asked = self.asked();
            asked.is_over = true;
            (asked.handler.take(), std::mem::take(&mut asked.waiting))
        };
        drop(handler);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// What is to be asked, once the handler cannot go on without it.
    fn question(&self) -> Option<Result<InputRequired, ErrorObject>> {
        let asked = std::mem::take(&mut self.asked().questions);
        if asked.is_empty() {
            return None;
        }
        let mut input = InputRequired::default();
        input.requests = asked;
        if !self.answers.is_empty() {
            let state = Value::Object(self.answers.clone()).to_string();
            if state.len() > LONGEST_STATE {
                return Some(Err(ErrorObject::internal("the answers so far are too long to be carried on")));
            }
            input.state = Some(state);
        }
        Some(Ok(input))
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        // Nothing can panic while it is held.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ErrorObject> {
    serde_json::from_str(text).map_err(|_| ErrorObject::invalid_params("inputResponses or requestState cannot be read"))
}

/// A handler that may ask. When it is pending with questions asked, it is dropped, and all of them are the reply: so
/// questions that are asked side by side go out together.
pub(crate) struct Asking {
    /// `None` once it has ended.
    handler: Option<BoxFuture<Reply>>,
    round: Arc<Round>,
}

impl Asking {
    pub(crate) fn new(handler: BoxFuture<Reply>, round: Arc<Round>) -> Self {
        Self { handler: Some(handler), round }
    }
}

impl Future for Asking {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let Some(handler) = &mut this.handler else { return Poll::Pending };
        this.round.handle(cx.waker().clone());
        if let Poll::Ready(reply) = handler.as_mut().poll(cx) {
            this.handler = None;
            return Poll::Ready(reply);
        }
        match this.round.question() {
            None => Poll::Pending,
            Some(question) => {
                this.handler = None;
                Poll::Ready(question.map(Answer::Question))
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.round.end();
    }
}
