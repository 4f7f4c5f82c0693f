//! The head of a response: what it says, and what that means for whoever has waited for it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode};

use super::auth::is_challenge;
use super::command::{ExchangeId, Failure};
use super::job::{Body, CallKind, Job, Notice, Reader, Step, What};
use super::retry_after::retry_after;
use super::session::Transport;
use super::{HttpClient, JobId, url};
use crate::connection::Lost;
use crate::http::sse::Decoder;

/// Bytes of a body that nobody wants, to be read past so that the connection can be used once more.
const IGNORED: usize = 64 * 1024;

/// What the body of a response is, as its head says.
#[derive(Debug, PartialEq)]
enum Media {
    Json,
    Events,
    /// Something else: how a person would call it.
    Other(String),
}

impl HttpClient {
    pub(super) fn on_head(&mut self, id: JobId, exchange: ExchangeId, status: StatusCode, headers: &HeaderMap) {
        if status.is_informational() {
            return;
        }
        let Some(job) = self.jobs.get(&id).filter(|job| matches!(job.step, Step::Sent(_))) else { return };
        let (busy, speaks_for_session) = (job.tries.busy, job.sent.session.is_some() && speaks_for_session(job));
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED && headers.contains_key(LOCATION) {
            return self.on_redirection(id, status, headers);
        }
        if is_challenge(status, headers) && self.on_challenge(id, status, headers) {
            return;
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            && let Some(wait) = retry_after(headers, self.now)
            && busy < self.config.limits.retries
            && wait <= self.config.limits.longest_wait
        {
            return self.on_busy(id, wait);
        }
        if status == StatusCode::NOT_FOUND && speaks_for_session {
            return self.lose_session(id);
        }
        if let Err(coding) = codings(headers) {
            // Nobody asked for it, and nobody here decodes it.
            let detail = format!("its body is encoded as {coding}, which was not asked for");
            return self.lose(id, Lost::Refused { status: status.as_u16(), error: None, detail });
        }
        if let Some(What::Listen(_)) = self.jobs.get(&id).map(|job| &job.what) {
            self.end_listening();
        }
        if !status.is_success() {
            return self.on_refusal(id, exchange, status, headers);
        }
        self.on_success(id, exchange, status, headers);
    }

    /// Only within the origin, and only where method and body stay the same: nothing that is meant for one server gets to another.
    fn on_redirection(&mut self, id: JobId, status: StatusCode, headers: &HeaderMap) {
        let limit = self.config.limits.redirects;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let location = headers.get(LOCATION).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let target = url::resolve(&job.target, location);
        let keeps = method(job) == Method::GET
            || matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let target = target.filter(|target| url::is_same_origin(target, &job.target));
        let shown: String = location.chars().take(200).collect();
        let why = match target {
            None => "is not of the same origin",
            Some(_) if !keeps => "is no place for a POST with this status",
            Some(_) if job.tries.redirects >= limit => "is one redirection too many",
            Some(target) => {
                job.tries.redirects += 1;
                job.target = target;
                return self.put_back(id, self.now);
            }
        };
        let detail = format!("it leads to {shown:?}, which {why}");
        self.lose(id, Lost::Refused { status: status.as_u16(), error: None, detail });
    }

    /// The server says when to come back: it has not executed anything.
    fn on_busy(&mut self, id: JobId, wait: Duration) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.tries.busy += 1;
        }
        self.put_back(id, self.now + wait);
    }

    fn on_refusal(&mut self, id: JobId, exchange: ExchangeId, status: StatusCode, headers: &HeaderMap) {
        let limit = self.config.limits.refusal;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match &mut job.what {
            What::Call(call) if call.cursor.is_resuming() => {
                if status.is_server_error() {
                    return self.broke(id, &format!("status {status}"));
                }
                self.lose(id, Lost::Refused { status: status.as_u16(), error: None, detail: String::new() });
            }
            // 405 is how most servers say that they have no such stream; others find other words.
            What::Listen(cursor) => {
                let was_open = cursor.was_open;
                if status.is_server_error() && was_open || status == StatusCode::CONFLICT {
                    return self.broke(id, &format!("status {status}"));
                }
                job.step = Step::Reading(exchange, Reader::Nothing(IGNORED));
            }
            What::Delete => job.step = Step::Reading(exchange, Reader::Nothing(IGNORED)),
            _ => {
                job.step = Step::Reading(exchange, Reader::Refusal(status, Body::new(headers, limit)));
                // What can be judged by it alone need not be waited for.
                job.deadline.get_or_insert(self.now + self.config.limits.acceptance);
            }
        }
    }

    fn on_success(&mut self, id: JobId, exchange: ExchangeId, status: StatusCode, headers: &HeaderMap) {
        let is_old = matches!(self.transport, Transport::Old { .. });
        let messages = self.config.messages.frame;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let media = media(headers);
        let is_stream = method(job) == Method::GET;
        match &mut job.what {
            What::Notice(notice) => {
                let is_initialized = *notice == Notice::Initialized;
                job.step = Step::Reading(exchange, Reader::Nothing(IGNORED));
                job.frame = Bytes::new();
                if is_initialized {
                    self.begin_session();
                }
            }
            What::Delete => job.step = Step::Reading(exchange, Reader::Nothing(IGNORED)),
            What::Listen(_) if media != Some(Media::Events) => self.drop_job(id),
            What::Endpoint | What::Call(_) if is_stream && media != Some(Media::Events) => {
                let detail = format!("{} instead of events", shown(media.as_ref()));
                self.lose(id, Lost::Refused { status: status.as_u16(), error: None, detail });
            }
            What::Listen(cursor) => {
                cursor.opened();
                job.deadline = None;
                job.step = Step::Reading(exchange, Reader::Events(Decoder::new(messages)));
            }
            What::Endpoint => job.step = Step::Reading(exchange, Reader::Events(Decoder::new(messages))),
            What::Call(_) if is_old => {
                // Its answer comes by the stream. Until the body has ended the connection is of no use to others.
                job.step = Step::Reading(exchange, Reader::Nothing(IGNORED));
                job.frame = Bytes::new();
                job.deadline = Some(self.now + self.config.limits.acceptance);
                self.let_go(id);
            }
            What::Call(call) => {
                let is_initialize = call.kind == CallKind::Initialize;
                if is_initialize && let Err(fault) = self.take_session_id(headers) {
                    return self.lose(id, Lost::MaybeExecuted(fault));
                }
                self.read_answer(id, exchange, status, headers, media);
            }
            What::Refresh { .. } => self.read_answer(id, exchange, status, headers, media),
        }
    }

    fn read_answer(
        &mut self,
        id: JobId,
        exchange: ExchangeId,
        status: StatusCode,
        headers: &HeaderMap,
        media: Option<Media>,
    ) {
        let limit = self.config.messages.frame;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        // `initialize` may still have to go another way.
        let is_final = job.call().is_some_and(|call| call.kind != CallKind::Initialize);
        let is_call = job.call().is_some();
        let body = Body::new(headers, limit);
        job.step = match media {
            Some(Media::Json) if body.is_too_long() => {
                let cause = format!("the answer is longer than the limit of {limit} bytes");
                return self.lose(id, Lost::MaybeExecuted(cause));
            }
            Some(Media::Json) => Step::Reading(exchange, Reader::Answer(body)),
            Some(Media::Events) => Step::Reading(exchange, Reader::Events(Decoder::new(limit))),
            media => {
                let detail = format!("{} instead of an answer", shown(media.as_ref()));
                return self.lose(id, Lost::Refused { status: status.as_u16(), error: None, detail });
            }
        };
        if is_call {
            job.deadline = None;
        }
        if is_final {
            // Nothing is refused any more, so it is not sent once more.
            job.frame = Bytes::new();
        }
    }

    /// The exchange has failed.
    pub(super) fn on_failure(&mut self, id: JobId, failure: &Failure) {
        let Some(job) = self.jobs.get(&id) else { return };
        let is_stream = method(job) == Method::GET;
        match (&job.step, &job.what) {
            (_, What::Call(call)) if call.is_answered => self.drop_job(id),
            (Step::Reading(_, Reader::Nothing(_)), _) => self.drop_job(id),
            (_, What::Call(_) | What::Listen(_)) if is_stream => self.broke(id, failure.cause()),
            (Step::Reading(_, Reader::Events(_)), What::Call(_)) => self.broke(id, failure.cause()),
            (Step::Reading(_, Reader::Refusal(status, _)), _) => {
                let (status, detail) = (status.as_u16(), failure.cause().to_string());
                self.refuse(id, Lost::Refused { status, error: None, detail });
            }
            _ => self.lose(
                id,
                match failure {
                    Failure::NotSent(cause) => Lost::NotSent(cause.clone()),
                    Failure::Broken(cause) => Lost::MaybeExecuted(cause.clone()),
                },
            ),
        }
    }

    /// A stream has broken: it is opened again where it can go on, or what it was for is lost.
    pub(super) fn broke(&mut self, id: JobId, cause: &str) {
        let jitter = self.jitter();
        let limits = &self.config.limits;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let is_listen = matches!(job.what, What::Listen(_));
        let url = self.config.url();
        let wait = match job.cursor_mut() {
            Some(cursor) if is_listen || cursor.last().is_some() => cursor.broke(limits, jitter),
            _ => None,
        };
        match wait {
            Some(wait) => {
                job.target = url.clone();
                self.put_back(id, self.now + wait);
                if is_listen {
                    self.end_listening();
                }
            }
            None => self.lose(id, Lost::MaybeExecuted(format!("its stream broke: {cause}"))),
        }
    }

    /// Patience with a step has ended.
    pub(super) fn on_deadline(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.deadline = None;
        let late = || Lost::MaybeExecuted("nothing came in time".into());
        match (&job.step, &job.what) {
            (_, What::Call(call)) if call.is_answered => self.drop_job(id),
            (Step::Reading(_, Reader::Nothing(_)), _) | (_, What::Delete) => self.drop_job(id),
            (_, What::Call(call)) if call.cursor.is_resuming() => self.broke(id, "nothing came in time"),
            (Step::Reading(_, Reader::Refusal(status, _)), _) => {
                let status = status.as_u16();
                self.refuse(id, Lost::Refused { status, error: None, detail: "its body did not end in time".into() });
            }
            (_, What::Listen(_)) => self.broke(id, "nothing came in time"),
            _ => self.lose(id, late()),
        }
    }

    /// The connection wants nothing of this call's exchange any more.
    fn let_go(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id)
            && let What::Call(call) = &mut job.what
        {
            call.is_answered = true;
            self.calls.remove(&call.id);
        }
    }
}

/// With which method it is sent.
fn method(job: &Job) -> Method {
    match &job.what {
        What::Listen(_) | What::Endpoint => Method::GET,
        What::Call(call) if call.cursor.is_resuming() => Method::GET,
        What::Delete => Method::DELETE,
        _ => Method::POST,
    }
}

/// Whether a 404 to it says that there is no such session. A server without a stream of its own may not know that path.
fn speaks_for_session(job: &Job) -> bool {
    match &job.what {
        What::Call(call) => !call.cursor.is_resuming(),
        What::Notice(_) => true,
        What::Listen(cursor) => cursor.was_open,
        What::Endpoint | What::Refresh { .. } | What::Delete => false,
    }
}

fn media(headers: &HeaderMap) -> Option<Media> {
    let value = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("an unreadable type");
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match &*essence {
        "application/json" => Media::Json,
        "text/event-stream" => Media::Events,
        _ => Media::Other(essence.chars().take(100).collect()),
    })
}

fn shown(media: Option<&Media>) -> String {
    match media {
        None => "nothing".into(),
        Some(Media::Json) => "application/json".into(),
        Some(Media::Events) => "text/event-stream".into(),
        Some(Media::Other(other)) => other.clone(),
    }
}

/// An error if the body is encoded: how.
fn codings(headers: &HeaderMap) -> Result<(), String> {
    let values = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
    let codings = values.flat_map(|value| value.split(',')).map(str::trim);
    let foreign: Vec<_> = codings.filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case("identity")).collect();
    if foreign.is_empty() { Ok(()) } else { Err(foreign.join(", ").chars().take(100).collect()) }
}
