//! Multi round-trip requests of the modern era: a server answers with a question, the client asks again with the answers.
//!
//! Specification (2026-07-28): multi round-trip requests. Nothing is held on the server between two rounds; what it has to
//! remember travels in `requestState`, which the client sends back byte for byte.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::Connection;
use super::Side;
use super::calls::{Again, Step, keys_size};
use super::error::{RequestError, RespondError, Rule};
use super::event::{
    About, Event, InboundId, InputRequired, Origin, OutboundId, PeerCapabilities, ResultKind, Transmit,
};
use crate::jsonrpc::{Body, ErrorObject, Fault, Kind, Message, Tail, members};
use crate::model::{ClientCapabilities, INPUT_REQUESTS, InputRequest};

/// How long a request without a question is held back before it is sent again; doubled with each round.
const HOLD_BACK: Duration = Duration::from_millis(50);

/// The client's half.
impl Connection {
    pub(super) fn on_input_required(&mut self, id: OutboundId, message: Message) {
        let Side::Client(config) = &self.side else { return };
        let limit = config.rounds;
        let Some(call) = self.calls.get_mut(id) else { return };
        let wire = call.wire;
        let Some(again) = &mut call.again else {
            // Asked for by the application, which passes questions on; or a method that knows none.
            let passed_on = call.returns_questions;
            let fault = RequestError::InvalidResult(Fault::BadResultMember("resultType"));
            return self.end_call(id, if passed_on { Ok((ResultKind::InputRequired, message)) } else { Err(fault) });
        };
        again.rounds += 1;
        if again.rounds > limit {
            return self.end_call(id, Err(RequestError::TooManyRounds(limit)));
        }
        let requests = match self.read_questions(&message) {
            Ok(requests) => requests,
            Err(error) => {
                let rule = match error {
                    RequestError::InvalidResult(fault) => Rule::Malformed(fault),
                    _ => Rule::Malformed(Fault::BadResultMember("inputRequests")),
                };
                self.misbehaved(rule, message.text());
                return self.end_call(id, Err(error));
            }
        };
        let kept = message.request_state().map_or(0, |state| state.as_str().len());
        if self.calls.kept_of_rounds(id) + kept + keys_size(requests.keys()) > self.limits.events {
            return self.end_call(id, Err(RequestError::TooLarge));
        }
        let (now, state) = (self.now, message.request_state().map(|state| String::from(state.as_str())));
        self.calls.take_off_wire(wire);
        let Some(Again { step, state: kept, asked, rounds, .. }) =
            self.calls.get_mut(id).and_then(|call| call.again.as_deref_mut())
        else {
            return;
        };
        *kept = state;
        *asked = requests.keys().cloned().collect();
        if requests.is_empty() {
            *step = Step::HeldBack(now + HOLD_BACK * 2u32.saturating_pow((*rounds - 1).min(10)));
        } else {
            *step = Step::Asked(now);
            self.events.push(Event::InputRequired { id, requests });
        }
        self.calls.find_earliest();
    }

    /// The questions of a result, each as a message of its own. All must be such that we declared to answer.
    fn read_questions(&self, message: &Message) -> Result<BTreeMap<String, Message>, RequestError> {
        const FAULT: RequestError = RequestError::InvalidResult(Fault::BadResultMember("inputRequests"));
        let Side::Client(config) = &self.side else { return Err(FAULT) };
        let mut questions = BTreeMap::new();
        let mut error = None;
        if message.request_state().is_some_and(|state| !state.as_str().starts_with('"')) {
            return Err(RequestError::InvalidResult(Fault::BadResultMember("requestState")));
        }
        let Some(requests) = message.input_requests() else {
            // Without a question there must be a state, or the server has said nothing at all.
            return if message.request_state().is_some() { Ok(questions) } else { Err(FAULT) };
        };
        let read = members(requests.as_str(), |key, value| {
            let inner = value.strip_prefix('{').unwrap_or_default();
            let question = Message::scan(format!(r#"{{"jsonrpc":"2.0","id":0,{inner}"#).as_bytes(), &self.limits);
            if question.kind() != Kind::Request || questions.contains_key(key) {
                error.get_or_insert(FAULT);
            }
            let needs = serde_json::from_str::<InputRequest>(value).map(|request| request.needs());
            match needs {
                Ok(Some(needs)) if config.capabilities.offers(needs) => {}
                Ok(needs) => {
                    let (key, method) = (shortened(key), shortened(question.method()));
                    error.get_or_insert(RequestError::Undeclared { key, method, needs });
                }
                Err(_) => {
                    error.get_or_insert(FAULT);
                }
            }
            questions.insert(key.into(), question);
        });
        read.map_err(RequestError::InvalidResult)?;
        error.map_or(Ok(questions), Err)
    }

    pub(super) fn send_input(
        &mut self,
        id: OutboundId,
        responses: &BTreeMap<String, Body>,
    ) -> Result<(), RespondError> {
        let now = self.now;
        let call = self.calls.get_mut(id).ok_or(RespondError::Gone)?;
        let Some(Step::Asked(since)) = call.again.as_ref().map(|again| again.step) else {
            return Err(RespondError::Gone);
        };
        let asked = call.again.as_ref().map(|again| &*again.asked).unwrap_or_default();
        if asked.iter().any(|key| !responses.contains_key(key)) {
            // Specification: all questions are answered before the request is sent again.
            return Err(RespondError::Incomplete);
        }
        if responses.values().any(|body| !body.method().is_empty()) {
            return Err(RespondError::NotAResult);
        }
        call.shift(since, now);
        let mut answers = String::from("{");
        for (key, body) in responses {
            if answers.len() > 1 {
                answers.push(',');
            }
            answers.push_str(&serde_json::Value::from(key.as_str()).to_string());
            answers.push(':');
            answers.push_str(&body.as_input_response());
        }
        answers.push('}');
        self.calls.make_ready(id, Tail::default().with_json("inputResponses", &answers));
        self.send_ready();
        Ok(())
    }

    /// Sends again what is to be sent again, as far as there is room: many at once are no reason to take the server for one that does
    /// not read.
    pub(super) fn send_ready(&mut self) {
        while !self.output.is_full()
            && let Some((id, tail)) = self.calls.take_ready()
        {
            self.send_again(id, tail);
        }
    }

    /// Sends a request again: the same parameters, a new wire id, the state that came, fresh `_meta`.
    fn send_again(&mut self, id: OutboundId, mut tail: Tail) {
        let now = self.now;
        let Some(again) = self.calls.get_mut(id).and_then(|call| {
            call.hear(now);
            call.again.as_deref_mut()
        }) else {
            return;
        };
        again.step = Step::Sent;
        let (body, options) = (again.body.clone(), again.options.clone());
        if let Some(state) = &again.state {
            tail = tail.with_json("requestState", state);
        }
        let Some(wire) = self.calls.rewire(id) else { return };
        let tail = self.request_tail(tail, self.version(), &options, &wire);
        self.calls.find_earliest();
        match body.finish_within(self.limits.frame, &tail, Some(&wire)) {
            Ok(frame) => {
                let attachment = options.attachment;
                self.put_out(Transmit { attachment, ..Transmit::new(Origin::STREAM, About::Call(id), frame) });
            }
            Err(_) => self.end_call(id, Err(RequestError::TooLarge)),
        }
    }
}

/// What the peer has written, for an error's text.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The server's half.
impl Connection {
    pub(super) fn send_input_required(&mut self, id: InboundId, input: &InputRequired) -> Result<(), RespondError> {
        let request = match self.requests.live(id) {
            Some(request) => request,
            // As with any other answer, a cancelled request gives its place back.
            None => return self.take_request(id).map(drop),
        };
        let is_empty = input.requests.is_empty() && input.state.is_none();
        if !request.may_require_input() || is_empty {
            return Err(RespondError::NotInThisRevision);
        }
        let Some(PeerCapabilities::Client(offered)) = request.peer.as_ref().map(|peer| &peer.capabilities) else {
            return Err(RespondError::PeerLacks);
        };
        let mut questions = String::from("{");
        let mut lacking = Vec::new();
        for (key, body) in &input.requests {
            let question = body.as_input_request();
            let needs = serde_json::from_str::<InputRequest>(&question).ok().and_then(|request| request.needs());
            let Some(needs) = needs.filter(|_| INPUT_REQUESTS.iter().any(|(method, _)| *method == body.method()))
            else {
                return Err(RespondError::NotInThisRevision);
            };
            if !offered.offers(needs) {
                lacking.push(needs);
            }
            if questions.len() > 1 {
                questions.push(',');
            }
            questions.push_str(&serde_json::Value::from(key.as_str()).to_string());
            questions.push(':');
            questions.push_str(&question);
        }
        if !lacking.is_empty() {
            // All at once, so that a client that declares what it lacks is not refused again for the next one.
            let lacking = ClientCapabilities::of_all(lacking);
            self.send_error(id, &ErrorObject::missing_client_capability(lacking))?;
            return Err(RespondError::PeerLacks);
        }
        questions.push('}');
        let mut tail = Tail::default();
        if !input.requests.is_empty() {
            tail = tail.with_json("inputRequests", &questions);
        }
        if let Some(state) = &input.state {
            tail = tail.with("requestState", state);
        }
        self.send_finished(id, "input_required", Body::empty_result(), tail, &None)
    }
}
