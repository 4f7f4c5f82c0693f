//! A connection of the server, what carries it, and what its handlers do.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_proto::http::{Exchange, Session};
use mcp_proto::{
    About, Channel, Connection, ErrorCode, ErrorObject, Event, InboundId, Limits, Message, Origin, OutboundId,
    Timestamp, Transmit,
};
use serde_json::{Value, json};

use super::host::Job;
use super::mutants::Mutant;
use super::seen::{Place, Seen};
use super::work::Plan;

/// A connection and what carries it.
pub(super) struct Served {
    pub(super) connection: Connection,
    pub(super) carrier: Carrier,
    pub(super) work: BTreeMap<InboundId, Work>,
    pub(super) questions: BTreeMap<OutboundId, InboundId>,
    /// Where a reply went last that had this id on the wire: what a mutant goes by.
    pub(super) by_id: BTreeMap<String, Origin>,
    pub(super) initialized: bool,
    /// Streams whose responses are gone: what a mutant forgets.
    pub(super) left: Vec<Origin>,
}

pub(super) enum Carrier {
    /// One POST.
    Exchange(Box<Exchange>),
    /// Many.
    Session(Box<Session>),
}

pub(super) struct Work {
    pub(super) tag: String,
    pub(super) plan: Plan,
    pub(super) done: u32,
    pub(super) origin: Origin,
}

/// The exchange by which the request of a modern client comes.
pub(super) const ALONE: Origin = Origin::new(1);

impl Served {
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        let carrier = match &self.carrier {
            Carrier::Exchange(exchange) => exchange.poll_timeout(),
            Carrier::Session(session) => session.poll_timeout(),
        };
        self.connection.poll_timeout().into_iter().chain(carrier).min()
    }

    pub(super) fn tell_channel(&mut self, now: Timestamp) {
        if let Carrier::Session(session) = &self.carrier {
            let channel = if session.wants_notices() { Channel::Open } else { Channel::Closed };
            self.connection.handle_channel(now, channel);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        match &self.carrier {
            Carrier::Exchange(exchange) => exchange.has_room(),
            Carrier::Session(_) => true,
        }
    }

    pub(super) fn carry(
        &mut self,
        now: Timestamp,
        at: usize,
        mut transmit: Transmit,
        mutant: Option<Mutant>,
        seen: &mut Vec<Seen>,
    ) {
        let place = Place { served: at, origin: transmit.origin };
        seen.push(Seen::Said { place, frame: transmit.frame.clone() });
        let is_reply = matches!(transmit.about, About::Reply(_));
        match mutant {
            Some(Mutant::AnswersById) if is_reply => {
                let value: Value = serde_json::from_slice(&transmit.frame).unwrap_or_default();
                transmit.origin = self.by_id.get(&value["id"].to_string()).copied().unwrap_or(transmit.origin);
            }
            Some(Mutant::EndlessResponse) if is_reply => transmit.last = false,
            Some(Mutant::LostAnswer) if is_reply && self.left.contains(&transmit.origin) => return,
            _ => {}
        }
        match &mut self.carrier {
            Carrier::Exchange(exchange) => exchange.push(now, transmit),
            Carrier::Session(session) => {
                let others = session.open_origins().filter(|origin| *origin != transmit.origin);
                let others: Vec<Origin> = others.filter(|_| mutant == Some(Mutant::Broadcasts)).collect();
                for origin in others {
                    let mut copy = transmit.clone();
                    (copy.origin, copy.last) = (origin, false);
                    session.push(now, copy);
                }
                session.push(now, transmit);
            }
        }
    }

    pub(super) fn on_event(
        &mut self,
        now: Timestamp,
        at: usize,
        event: Event,
        mutant: Option<Mutant>,
        seen: &mut Vec<Seen>,
        jobs: &mut Vec<(Duration, Job)>,
    ) {
        match event {
            Event::Request { id, .. }
                if mutant == Some(Mutant::StrictInitialized)
                    && matches!(self.carrier, Carrier::Session(_))
                    && !self.initialized =>
            {
                let error = ErrorObject::new(ErrorCode::INVALID_REQUEST, "not initialized");
                let _ = self.connection.reject(now, id, &error);
            }
            Event::Request { id, message, .. } => {
                let params: Value = message.params().decode().unwrap_or_default();
                let (tag, plan) = Plan::read(&params["arguments"]);
                let newest = |carrier: &Carrier| match carrier {
                    Carrier::Exchange(_) => ALONE,
                    Carrier::Session(session) => session.open_origins().last().unwrap_or(Origin::STREAM),
                };
                // A request is told in the same step in which its POST came, which is the newest.
                let origin = newest(&self.carrier);
                seen.push(Seen::Began { tag: tag.clone() });
                let job = Job { served: at, id };
                jobs.push((plan.begins_after(), job));
                self.work.insert(id, Work { tag, plan, done: 0, origin });
            }
            Event::Cancelled { id, .. } => {
                if let Some(work) = self.work.remove(&id) {
                    seen.push(Seen::Cancelled { tag: work.tag });
                }
                self.connection.release(now, id);
            }
            Event::Response { id, result } => {
                let Some(mut within) = self.questions.remove(&id) else { return };
                if let Some(other) =
                    self.questions.values_mut().next().filter(|_| mutant == Some(Mutant::CrossedQuestions))
                {
                    std::mem::swap(&mut within, other);
                }
                if let (Ok((_, message)), Some(work)) = (&result, self.work.get(&within)) {
                    let found: Value = message.result().and_then(|result| result.decode().ok()).unwrap_or_default();
                    let answer = found["content"]["text"].as_str().unwrap_or_default().to_owned();
                    seen.push(Seen::Supplied { tag: work.tag.clone(), answer });
                }
                jobs.push((Duration::ZERO, Job { served: at, id: within }));
            }
            _ => {}
        }
    }

    /// What a mutant does in the legacy era when a response is gone.
    pub(super) fn cancel(&mut self, now: Timestamp, origin: Origin) {
        let ids: Vec<String> = self.by_id.iter().filter(|(_, of)| **of == origin).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let text =
                format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
            self.connection.handle_message(now, origin, Message::scan(text.as_bytes(), &Limits::default()));
        }
    }
}

/// What a handler answers.
pub(super) fn result(tag: &str, plan: Plan) -> Value {
    let pad = if let Plan::Big(size) = plan { "x".repeat(size as usize) } else { String::new() };
    json!({ "content": [], "structuredContent": { "tag": tag, "pad": pad } })
}
