//! Asking the client in the middle of a request, in the stateless era: the handler is dropped, the questions are the answer,
//! and the client's next try runs it again with the answers at hand (specification 2026-07-28: multi round-trip requests).
//!
//! Nothing is held here between two rounds. What was answered and done in earlier rounds travels in `requestState`.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Waker};

use mcp_proto::{Body, ErrorObject, InputRequired, Message, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::carrier::{Carrier, refusal};
use super::context::Context;
use super::once::Kept;
use super::serving::{Serve, Threading, begin};
use super::tool::Started;
use crate::stream::{Answer, BoxFuture, Handling, Inbound, Reply, contain};

impl Serve<'_> {
    /// Runs the handler of a request during which the client may be asked: `tools/call`, `prompts/get`, `resources/read`.
    ///
    /// One on the executor is dropped where it waits for an answer. One on a thread of its own cannot be taken out of there,
    /// so a question is an error to it, and the questions are the reply whatever it makes of that.
    pub(super) fn ask_and_run(
        &self,
        request: Inbound,
        threading: Threading,
        start: impl FnOnce(Context) -> Started + Send + 'static,
    ) -> Result<Handling, ErrorObject> {
        let asks = request.meta.version.rules().result_type;
        // In the other revisions the client can be asked directly.
        let round = asks.then(|| Round::open(&self.live.carrier, self.shared.now(), &request.message, threading));
        let context = self.context(request, round.transpose()?);
        let asking = {
            let context = context.clone();
            move |handler| if asks { Box::pin(Asking { handler: Some(handler), context }) } else { handler }
        };
        Ok(begin(context, threading, start, asking))
    }
}

/// One round of a request: what is answered, and what the handler asks.
#[derive(Debug)]
pub(super) struct Round {
    carrier: Carrier,
    threading: Threading,
    /// What was answered in this round and in earlier ones, as it came.
    answers: BTreeMap<String, Box<RawValue>>,
    /// What came without a state, so that it is not known whether it was asked. Only what the handler asks is looked at.
    unasked: BTreeMap<String, Box<RawValue>>,
    kept: Kept,
    asked: Mutex<Asked>,
}

/// What the handler and its tasks have asked, and who waits for what.
#[derive(Debug, Default)]
struct Asked {
    questions: BTreeMap<String, Body>,
    /// The keys of `unasked` that turned out to be asked.
    used: BTreeSet<String>,
    /// Instead of questions: what is wrong with an answer.
    fault: Option<ErrorObject>,
    /// The handler, which has to be dropped once something is asked.
    handler: Option<Waker>,
    /// Those who have asked, to be told that there will be no answer: the handler's tasks, which outlive it.
    waiting: Vec<Waker>,
    is_over: bool,
}

/// What travels in `requestState`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// What this round asks: answers to anything else are not looked at.
    asked: BTreeSet<String>,
    answers: BTreeMap<String, Box<RawValue>>,
    kept: BTreeMap<String, Box<RawValue>>,
}

impl Round {
    /// The round that a request opens.
    ///
    /// # Errors
    ///
    /// −32602 when what the client brings of earlier rounds cannot be read, or is not what it was given.
    fn open(carrier: &Carrier, now: Timestamp, request: &Message, threading: Threading) -> Result<Self, ErrorObject> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Brought<'a> {
            #[serde(borrow)]
            input_responses: Option<BTreeMap<String, &'a RawValue>>,
            request_state: Option<String>,
        }
        // Most requests are first tries; what they hold is not looked through a second time.
        let is_retry = ["\"requestState\"", "\"inputResponses\""].iter().any(|key| request.text().contains(key));
        let brought = if is_retry { request.params().decode() } else { Ok(Brought::default()) };
        let brought = brought.map_err(|error| {
            let rule = "params.inputResponses must be an object and params.requestState a text";
            ErrorObject::invalid_params(format!("{}: {rule}: {error}", request.method()))
        })?;
        let responses = brought.input_responses.unwrap_or_default().into_iter();
        let mut responses = responses.map(|(key, answer)| (key, answer.to_owned()));
        let (state, unasked) = match brought.request_state {
            None => (State::default(), responses.collect()),
            Some(state) => {
                let text = carrier.unpack(request, now, &state)?;
                let mut state: State = serde_json::from_str(&text).map_err(|error| {
                    tracing::debug!(%error, "a requestState was refused");
                    refusal()
                })?;
                let asked = std::mem::take(&mut state.asked);
                state.answers.extend(responses.by_ref().filter(|(key, _)| asked.contains(key)));
                (state, BTreeMap::new())
            }
        };
        Ok(Self {
            carrier: carrier.clone(),
            threading,
            answers: state.answers,
            unasked,
            kept: Kept::of(state.kept),
            asked: Mutex::default(),
        })
    }

    /// What is kept over all rounds.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What the client answered to this question, if it was asked already.
    pub(super) fn answer(&self, key: &str) -> Option<&RawValue> {
        if let Some(answer) = self.answers.get(key) {
            return Some(answer);
        }
        let answer = self.unasked.get(key)?;
        self.asked().used.insert(key.to_owned());
        Some(answer)
    }

    /// Asks the client, all under keys of their own. There is no answer in this round: the handler must not go on, and is
    /// dropped unless it blocks.
    pub(super) async fn ask(&self, questions: impl IntoIterator<Item = (String, Body)>) {
        self.asked().questions.extend(questions);
        self.suspend().await;
    }

    /// Tells the client that an answer does not fit its question. The handler must not go on, as with `ask`.
    pub(super) async fn reject(&self, fault: ErrorObject) {
        let replaced = self.asked().fault.replace(fault);
        drop(replaced);
        self.suspend().await;
    }

    /// Waits for the end of the round.
    async fn suspend(&self) {
        if self.threading == Threading::Blocking {
            return;
        }
        // It may be asleep, if this is a task that it waits for.
        let handler = self.asked().handler.take();
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

    /// The reply, once the handler cannot go on without the client.
    fn reply(&self, request: &Message, now: Timestamp) -> Option<Reply> {
        let (questions, fault) = {
            let mut asked = self.asked();
            (std::mem::take(&mut asked.questions), asked.fault.take())
        };
        if let Some(fault) = fault {
            return Some(Err(fault));
        }
        if questions.is_empty() {
            return None;
        }
        Some(self.pack(request, now, &questions).map(|state| {
            let mut input = InputRequired::default();
            input.requests = questions;
            input.state = Some(state);
            Answer::Question(input)
        }))
    }

    /// What has to be known in the next round.
    fn pack(
        &self,
        request: &Message,
        now: Timestamp,
        questions: &BTreeMap<String, Body>,
    ) -> Result<String, ErrorObject> {
        let used = self.asked().used.clone();
        let mut answers = self.answers.clone();
        let unasked = self.unasked.iter().filter(|(key, _)| used.contains(*key));
        answers.extend(unasked.map(|(key, answer)| (key.clone(), answer.clone())));
        let state = State { asked: questions.keys().cloned().collect(), answers, kept: self.kept.done() };
        let text = serde_json::to_string(&state).map_err(|error| ErrorObject::internal(error.to_string()))?;
        self.carrier.pack(request, now, text)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        // Nothing can panic while it is held.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handler that may ask. When it is pending with questions asked, it is dropped, and all of them are the reply: so
/// questions that are asked side by side go out together.
struct Asking {
    /// `None` once it has ended.
    handler: Option<BoxFuture<Reply>>,
    context: Context,
}

impl Future for Asking {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Reply> {
        let Self { handler: slot, context } = &mut *self;
        let (Some(handler), Some(round)) = (slot.as_mut(), context.round()) else { return Poll::Pending };
        round.handle(cx.waker().clone());
        let polled = match round.threading {
            Threading::Async => handler.as_mut().poll(cx),
            // To panic at the error that a question gives is one way to make something of it.
            Threading::Blocking => {
                contain(|| handler.as_mut().poll(cx)).unwrap_or_else(|error| Poll::Ready(Err(error)))
            }
        };
        let reply = match polled {
            Poll::Ready(reply) if round.threading == Threading::Async => Some(reply),
            Poll::Ready(reply) => Some(round.reply(context.message(), context.now()).unwrap_or(reply)),
            Poll::Pending => round.reply(context.message(), context.now()),
        };
        let Some(reply) = reply else { return Poll::Pending };
        *slot = None;
        Poll::Ready(reply)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(round) = self.context.round() {
            round.end();
        }
    }
}
