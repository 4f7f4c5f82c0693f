//! A client's application: it asks, gives up, listens, and answers what it is asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mcp_proto::model::{ListenParams, SubscriptionFilter};
use mcp_proto::{
    Body, CallOptions, Deadlines, Era, Event, InboundId, Message, OutboundId, ProtocolVersion, RequestError, Wanted,
    Why,
};
use serde_json::{Value, json};

use crate::node::Hand;
use crate::seen::Deed;
use crate::stage::Job;
use crate::workload::{Call, Plan, TEXT};

/// A client's application.
#[derive(Default)]
pub(crate) struct ClientApp {
    version: Option<ProtocolVersion>,
    calls: BTreeMap<OutboundId, Asked>,
    /// What found no room, or came before the handshake was done.
    waiting: VecDeque<Want>,
    /// What was refused for now, and is sent again a little later.
    again: VecDeque<Want>,
    /// The server's requests that are to be answered.
    requests: BTreeMap<InboundId, Message>,
    listens: BTreeSet<OutboundId>,
    /// Undisturbed calls that have succeeded.
    succeeded: usize,
    over: bool,
}

struct Asked {
    tag: String,
    call: Call,
    answers: Option<Duration>,
    questions: Vec<(String, String)>,
}

enum Want {
    Call(String, Call),
    Listen(Option<Duration>),
    SetLevel(&'static str),
    RootsChanged,
}

/// In the tags of calls that nothing disturbs.
pub(crate) const LIVELY: &str = ".lively.";
/// More than this nobody waits for.
const MOST_WAITING: usize = 200;

impl ClientApp {
    pub(crate) fn waiting(&self) -> usize {
        if self.version.is_some() { self.waiting.len() } else { 0 }
    }

    /// How many of the undisturbed calls have succeeded.
    pub(crate) fn succeeded(&self) -> usize {
        self.succeeded
    }

    /// Gives up whatever stays open by itself, and would.
    pub(crate) fn stop_listening(&mut self, hand: &mut Hand<'_>) {
        self.waiting.retain(|want| !matches!(want, Want::Listen(_)));
        for id in std::mem::take(&mut self.listens) {
            hand.give_up(id);
        }
    }

    pub(crate) fn call(&mut self, hand: &mut Hand<'_>, tag: String, call: Call) {
        self.want(hand, Want::Call(tag, call));
    }

    pub(crate) fn listen(&mut self, hand: &mut Hand<'_>, until: Option<Duration>) {
        self.want(hand, Want::Listen(until));
    }

    pub(crate) fn set_level(&mut self, hand: &mut Hand<'_>, level: &'static str) {
        self.want(hand, Want::SetLevel(level));
    }

    pub(crate) fn roots_changed(&mut self, hand: &mut Hand<'_>) {
        self.want(hand, Want::RootsChanged);
    }

    fn want(&mut self, hand: &mut Hand<'_>, want: Want) {
        if self.over || self.waiting.len() >= MOST_WAITING {
            return;
        }
        // Nobody overtakes those who wait.
        if !self.waiting.is_empty() {
            return self.waiting.push_back(want);
        }
        if let Err(want) = self.try_want(hand, want) {
            self.waiting.push_back(want);
        }
    }

    /// Gives back what has to wait.
    fn try_want(&mut self, hand: &mut Hand<'_>, want: Want) -> Result<(), Want> {
        if self.version.is_none() {
            return Err(want);
        }
        let modern = self.version.is_some_and(|version| version.era() == Era::Modern);
        match want {
            Want::Call(tag, call) => {
                let params = match call.method {
                    "resources/read" => json!({ "uri": "sim://1", "arguments": call.plan.arguments(&tag) }),
                    "ping" => json!({}),
                    _ => json!({ "name": "t", "arguments": call.plan.arguments(&tag) }),
                };
                let options = options(&call);
                match self.send(hand, call.method, &params, options) {
                    Ok(Some(id)) => {
                        hand.did(&Deed::Called(id, tag.clone(), call.clone()));
                        if let Some(after) = call.cancel {
                            hand.later(after, Job::Cancel(id));
                        }
                        let answers = call.answers;
                        self.calls.insert(id, Asked { tag, call, answers, questions: Vec::new() });
                        Ok(())
                    }
                    Ok(None) => Ok(()),
                    Err(()) => Err(Want::Call(tag, call)),
                }
            }
            Want::Listen(until) => {
                let filter = SubscriptionFilter::default()
                    .with_tools_list_changed(true)
                    .with_resources_list_changed(true)
                    .with_resource_subscriptions(vec!["sim://1".into()]);
                let mut options = CallOptions::default();
                options.deadlines = Deadlines::Stream { first: Duration::from_secs(60) };
                let sent = match (modern, until) {
                    (true, _) => {
                        let params = serde_json::to_value(ListenParams::new(filter)).unwrap_or_default();
                        self.send(hand, "subscriptions/listen", &params, options)
                    }
                    (false, None) => {
                        self.send(hand, "resources/subscribe", &json!({ "uri": "sim://1" }), CallOptions::default())
                    }
                    (false, Some(_)) => {
                        self.send(hand, "resources/unsubscribe", &json!({ "uri": "sim://1" }), CallOptions::default())
                    }
                };
                match sent {
                    Ok(Some(id)) if modern => {
                        hand.did(&Deed::Listened(id));
                        self.listens.insert(id);
                        if let Some(until) = until {
                            hand.later(until, Job::Cancel(id));
                        }
                        Ok(())
                    }
                    Ok(Some(id)) => {
                        hand.did(&Deed::Called(id, String::new(), Call::plain(Plan::Echo)));
                        Ok(())
                    }
                    Ok(None) => Ok(()),
                    Err(()) => Err(Want::Listen(until)),
                }
            }
            Want::SetLevel(_) if modern => Ok(()),
            Want::SetLevel(level) => {
                match self.send(hand, "logging/setLevel", &json!({ "level": level }), CallOptions::default()) {
                    Ok(Some(id)) => {
                        hand.did(&Deed::Called(id, String::new(), Call::plain(Plan::Echo)));
                        Ok(())
                    }
                    Ok(None) => Ok(()),
                    Err(()) => Err(Want::SetLevel(level)),
                }
            }
            Want::RootsChanged => {
                let Ok(body) = Body::empty("notifications/roots/list_changed") else { return Ok(()) };
                match hand.notify(body, mcp_proto::Scope::Connection) {
                    Err(error) if error.why == Why::Full => Err(want),
                    Err(error) => {
                        hand.did(&Deed::Refused(error.why, "notifications/roots/list_changed"));
                        Ok(())
                    }
                    Ok(()) => Ok(()),
                }
            }
        }
    }

    /// `Err` if it has to wait, `Ok(None)` if it was refused for good.
    fn send(
        &mut self,
        hand: &mut Hand<'_>,
        method: &'static str,
        params: &Value,
        options: CallOptions,
    ) -> Result<Option<OutboundId>, ()> {
        let Ok(body) = Body::new(method, params) else { return Ok(None) };
        match hand.request(body, options) {
            Ok(id) => Ok(Some(id)),
            Err(error) if matches!(error.why, Why::Full | Why::NotReady) => Err(()),
            Err(error) => {
                hand.did(&Deed::Refused(error.why, method));
                Ok(None)
            }
        }
    }

    fn retry(&mut self, hand: &mut Hand<'_>) {
        while let Some(want) = self.waiting.pop_front() {
            if let Err(want) = self.try_want(hand, want) {
                self.waiting.push_front(want);
                break;
            }
        }
    }

    pub(crate) fn on_event(&mut self, hand: &mut Hand<'_>, event: Event) {
        match event {
            Event::Ready { version, .. } => {
                self.version = Some(version);
                self.retry(hand);
            }
            Event::Writable => self.retry(hand),
            Event::Request { id, message, .. } => {
                let params: Value = message.params().decode().unwrap_or_default();
                let within =
                    params["message"].as_str().and_then(|tag| self.calls.values().find(|call| call.tag == tag));
                let answers = within.map_or(Some(Duration::from_millis(10)), |call| call.answers);
                self.requests.insert(id, message);
                if let Some(after) = answers {
                    hand.later(after, Job::Answer(id));
                }
            }
            Event::Cancelled { id, .. } => {
                self.requests.remove(&id);
                let delay = hand.stage.prng.below(50);
                hand.later(Duration::from_millis(delay), Job::Release(id));
            }
            Event::InputRequired { id, requests } => {
                let Some(call) = self.calls.get_mut(&id) else { return };
                call.questions =
                    requests.into_iter().map(|(key, question)| (key, question.method().to_owned())).collect();
                if let Some(after) = call.answers {
                    hand.later(after, Job::Supply(id));
                }
            }
            Event::Response { id, result } => {
                self.listens.remove(&id);
                let Some(call) = self.calls.remove(&id).filter(|call| is_lively(&call.tag)) else { return };
                match result {
                    Ok(_) => self.succeeded += 1,
                    // Too many at once: it may be sent again.
                    Err(RequestError::Rpc(error)) if error.data.is_some() => {
                        self.again.push_back(Want::Call(call.tag, call.call));
                        hand.later(Duration::from_millis(50), Job::Retry);
                    }
                    Err(_) => {}
                }
            }
            Event::Closed { .. } => {
                self.over = true;
                self.waiting.clear();
            }
            _ => {}
        }
    }

    pub(crate) fn perform(&mut self, hand: &mut Hand<'_>, job: Job) {
        match job {
            Job::Cancel(id) => hand.give_up(id),
            Job::Release(id) => hand.release(id),
            Job::Retry => {
                self.waiting.append(&mut self.again);
                self.retry(hand);
            }
            Job::Answer(id) => {
                if let Some(message) = self.requests.remove(&id) {
                    let _ = hand.respond(id, &answer(message.method()));
                }
            }
            Job::Supply(id) => {
                let Some(call) = self.calls.get_mut(&id) else { return };
                let questions = std::mem::take(&mut call.questions);
                let body = |method: &str| Body::result(&answer(method)).unwrap_or_else(|_| Body::empty_result());
                let responses = questions.into_iter().map(|(key, method)| (key, body(&method))).collect();
                hand.supply(id, &responses);
            }
            _ => {}
        }
    }
}

/// Whether a call is one of those that nothing disturbs.
fn is_lively(tag: &str) -> bool {
    tag.contains(LIVELY)
}

fn options(call: &Call) -> CallOptions {
    let mut options = CallOptions::default();
    let (idle, cap) = call.deadlines;
    options.deadlines = Deadlines::Call { idle, cap };
    options.progress = if call.progress { Wanted::Yes } else { Wanted::No };
    options
}

/// What a person, a model or the file system says.
pub(crate) fn answer(method: &str) -> Value {
    match method {
        "elicitation/create" => json!({ "action": "accept", "content": { "text": TEXT } }),
        "roots/list" => json!({ "roots": [] }),
        "sampling/createMessage" => {
            json!({ "role": "assistant", "content": { "type": "text", "text": TEXT }, "model": "m" })
        }
        _ => json!({}),
    }
}
