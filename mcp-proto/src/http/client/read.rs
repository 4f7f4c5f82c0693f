//! The body of a response: messages, one or many, and the reasons for a status.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use http::StatusCode;

use super::command::{ExchangeId, Remark};
use super::job::{Body, CallKind, Job, Reader, Step, What};
use super::session::Transport;
use super::{HttpClient, Incoming, JobId};
use crate::connection::{Lost, Origin};
use crate::jsonrpc::{ErrorCode, ErrorObject, Fault, Kind, Message, RequestId};

impl HttpClient {
    pub(super) fn on_data(&mut self, id: JobId, exchange: ExchangeId, mut data: &[u8]) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Step::Reading(_, reader) = &mut job.step else { return };
        match reader {
            Reader::Answer(body) => {
                if !body.push(data) {
                    let cause = format!("the answer is longer than the limit of {} bytes", body.limit);
                    self.lose(id, Lost::MaybeExecuted(cause));
                }
            }
            Reader::Refusal(status, body) => {
                if !body.push(data) {
                    let (status, detail) = (status.as_u16(), "with a body that is too long to read".into());
                    self.refuse(id, Lost::Refused { status, error: None, detail });
                }
            }
            Reader::Nothing(rest) => match rest.checked_sub(data.len()) {
                Some(less) => *rest = less,
                None => self.drop_job(id),
            },
            Reader::Events(_) => while !data.is_empty() && self.on_events(id, exchange, &mut data) {},
        }
    }

    /// Reads up to the end of the next event; false when there is nobody any more to read for.
    fn on_events(&mut self, id: JobId, exchange: ExchangeId, data: &mut &[u8]) -> bool {
        let limits = self.config.messages.clone();
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        let Step::Reading(_, Reader::Events(decoder)) = &mut job.step else { return false };
        let mut decoder = core::mem::take(decoder);
        let event = decoder.next(data);
        let is_endpoint = matches!((&job.what, &self.transport), (What::Endpoint, Transport::Opening));
        let is_handshake =
            matches!(&job.what, What::Call(call) if matches!(call.kind, CallKind::Discover | CallKind::Initialize));
        if is_handshake && matches!(&event, Ok(Some(event)) if event.name == Some("endpoint")) {
            self.on_endpoint_of_post(id);
            return false;
        }
        let (message, is_too_long, endpoint) = match &event {
            Ok(Some(event)) if is_endpoint => {
                let data = String::from_utf8_lossy(event.data).into_owned();
                (None, false, Some((event.name.map(String::from), data)))
            }
            // Events of other names are for others.
            Ok(Some(event)) if event.name.is_none() => (Some(Message::scan(event.data, &limits)), false, None),
            Ok(_) => (None, false, None),
            Err(_) => (None, true, None),
        };
        let came_before = match job.cursor_mut() {
            // One event may have moved it twice, and only the last place counts.
            Some(cursor) => cursor.follow(decoder.last_event_id(), decoder.retry()),
            None => false,
        };
        if let Step::Reading(_, Reader::Events(place)) = &mut job.step {
            *place = decoder;
        }
        if let Some((name, data)) = endpoint {
            self.take_endpoint(id, name.as_deref(), &data);
        } else if is_too_long {
            self.on_long_event(id);
        } else if let Some(message) = message.filter(|_| !came_before) {
            if let Some(cursor) = self.jobs.get_mut(&id).and_then(|job| match &mut job.what {
                What::Listen(cursor) => Some(cursor),
                _ => None,
            }) {
                // A stream without ids goes on with whatever comes next.
                cursor.moved();
            }
            self.on_message(id, message);
        }
        self.exchanges.contains_key(&exchange)
    }

    /// Nobody can tell what was in it: the answer, perhaps.
    fn on_long_event(&mut self, id: JobId) {
        self.remark(Remark::TooLong);
        let is_shared = self.jobs.get(&id).is_some_and(|job| matches!(job.what, What::Listen(_) | What::Endpoint));
        if !is_shared {
            let limit = self.config.messages.frame;
            self.lose(id, Lost::MaybeExecuted(format!("an event is longer than the limit of {limit} bytes")));
        }
    }

    /// A body has ended in good order.
    pub(super) fn on_end(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let step = core::mem::replace(&mut job.step, Step::Refreshing);
        let (reader, status) = match step {
            Step::Reading(_, Reader::Refusal(status, body)) => (Some(body), Some(status)),
            Step::Reading(_, Reader::Answer(body)) => (Some(body), None),
            Step::Reading(_, Reader::Events(_)) => {
                return match &job.what {
                    What::Call(call) if call.is_answered => self.drop_job(id),
                    What::Endpoint => self.lose(id, Lost::MaybeExecuted("the server has ended it".into())),
                    What::Refresh { .. } => self.lose(id, Lost::MaybeExecuted("it ended without an answer".into())),
                    _ => self.broke(id, "it ended without an answer"),
                };
            }
            Step::Reading(_, Reader::Nothing(_)) => return self.drop_job(id),
            _ => return self.lose(id, Lost::MaybeExecuted("the response has no head".into())),
        };
        let Some(body) = reader else { return };
        if !body.is_whole() {
            let cause = "the body is shorter than its head says";
            return match status {
                Some(status) => self.refuse(id, refused(status, None, cause.into())),
                None => self.lose(id, Lost::MaybeExecuted(cause.into())),
            };
        }
        match status {
            Some(status) => self.on_refused(id, status, &body),
            None => self.on_answer(id, &body),
        }
    }

    /// A whole body that should be the answer.
    fn on_answer(&mut self, id: JobId, body: &Body) {
        let limits = self.config.messages.clone();
        let message = Message::scan(&body.bytes, &limits);
        // What was cut off is no offence, and what is no answer at all fails the call below.
        let is_message = |message: &Message| match message.fault() {
            None => true,
            Some(fault) => message.is_malformed_response() && !matches!(fault, Fault::NotJson(_) | Fault::NotUtf8(_)),
        };
        match message.batch(&limits) {
            Some(batch) => batch.filter(is_message).for_each(|message| self.on_message(id, message)),
            None if is_message(&message) => self.on_message(id, message.clone()),
            None => {}
        }
        let is_open = self.jobs.get(&id).is_some_and(|job| !job.call().is_some_and(|call| call.is_answered));
        if is_open {
            let cause = match message.fault() {
                Some(fault) => format!("the body is no answer: {fault}"),
                None => "the body answers something else".into(),
            };
            return self.lose(id, Lost::MaybeExecuted(cause));
        }
        self.drop_job(id);
    }

    /// One message of a response.
    fn on_message(&mut self, id: JobId, message: Message) {
        let Some(job) = self.jobs.get(&id) else { return };
        let is_response = matches!(message.kind(), Kind::Result | Kind::Error) || message.is_malformed_response();
        match &job.what {
            What::Refresh { call, pages } if is_response => {
                let (call, pages) = (*call, *pages);
                self.on_refreshed(id, call, pages, message);
            }
            What::Listen(_) | What::Endpoint => self.incoming.push_back(Incoming::Message(Origin::STREAM, message)),
            What::Call(_) if is_response => self.on_response(id, message),
            What::Call(_) => self.incoming.push_back(Incoming::Message(Origin::new(id.0 + 1), message)),
            _ => {}
        }
    }

    /// A response on the exchange of a call.
    fn on_response(&mut self, id: JobId, message: Message) {
        let Some(call) = self.jobs.get(&id).and_then(Job::call) else { return };
        let wire = message.id().and_then(RequestId::as_number);
        // An error about what it could not read names nothing; on this exchange only this request can be meant.
        let is_anonymous = message.kind() == Kind::Error && message.id().is_none();
        if call.is_answered || (wire != call.wire && !is_anonymous) {
            return self.remark(Remark::Misplaced);
        }
        if is_anonymous {
            let error = message.error().and_then(|error| error.decode::<ErrorObject>().ok());
            return self.lose(id, refused(StatusCode::OK, error, "with an error that names no request".into()));
        }
        let lists_tools = call.kind == CallKind::ToolsList && call.modern.is_some();
        let call_id = call.id;
        let message = if lists_tools { self.learn_tools(message) } else { message };
        if let Some(job) = self.jobs.get_mut(&id) {
            job.deadline = Some(self.now + self.config.limits.ending);
            if let Some(call) = job.call_mut() {
                call.is_answered = true;
            }
        }
        if self.calls.get(&call_id) == Some(&id) {
            self.calls.remove(&call_id);
        }
        self.incoming.push_back(Incoming::Message(Origin::new(id.0 + 1), message));
    }

    /// A page of the tools that were asked for on behalf of a call.
    fn on_refreshed(&mut self, id: JobId, call: JobId, pages: u32, message: Message) {
        let listed = self.tools.learn(&message, &self.config.messages);
        self.drop_job(id);
        let name = self.jobs.get(&call).and_then(|job| job.call()?.tool.clone());
        let is_found = name.is_some_and(|name| self.tools.get(&name).is_some());
        match listed.next.filter(|_| !is_found && pages < self.config.limits.pages) {
            Some(next) => self.refresh(call, pages + 1, Some(&next)),
            None => self.refreshed(call),
        }
    }

    /// The whole body of a response with a status that is none of success.
    fn on_refused(&mut self, id: JobId, status: StatusCode, body: &Body) {
        let message = Message::scan(&body.bytes, &self.config.messages);
        let wire = self.jobs.get(&id).and_then(Job::call).and_then(|call| call.wire);
        let is_ours = message.id().is_none() || message.id().and_then(RequestId::as_number) == wire;
        let error = message.error().filter(|_| is_ours).and_then(|error| error.decode::<ErrorObject>().ok());
        let detail = if error.is_some() { String::new() } else { excerpt(&body.bytes) };
        self.refuse(id, refused(status, error, detail));
    }

    /// A status that is none of success, with all that came along: there may be another way.
    pub(super) fn refuse(&mut self, id: JobId, lost: Lost) {
        if let Some(exchange) = self.jobs.get(&id).and_then(Job::exchange) {
            self.abort(exchange);
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(call) = job.call() {
            let is_mismatch = matches!(&lost, Lost::Refused { status: 400, error: Some(error), .. }
                if error.code == ErrorCode::HEADER_MISMATCH);
            if is_mismatch && call.tool.is_some() && job.tries.mismatches == 0 {
                // The tool may want other arguments mirrored than when it was last seen.
                job.tries.mismatches += 1;
                (job.step, job.deadline, job.refusal) = (Step::Refreshing, None, Some(lost));
                return self.refresh(id, 1, None);
            }
        }
        if !self.falls_back(id, &lost) {
            self.lose(id, lost);
        }
    }
}

fn refused(status: StatusCode, error: Option<ErrorObject>, detail: String) -> Lost {
    Lost::Refused { status: status.as_u16(), error: error.map(Box::new), detail }
}

/// The beginning of a text, for a person.
fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
    let text = text.split_whitespace().collect::<alloc::vec::Vec<_>>().join(" ");
    text.chars().filter(|it| !it.is_control()).take(SHOWN).collect()
}
