//! What a client has with a server of the legacy era: a session, its stream, its end; and the transport of 2024-11-05.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::cursor::Cursor;
use super::job::{CallKind, Job, Notice, Step, What};
use super::{HttpClient, Incoming, JobId, OldTransport, Standalone, url};
use crate::Timestamp;
use crate::connection::Lost;
use crate::http::headers;

/// How messages get to the server.
#[derive(Debug)]
pub(super) enum Transport {
    /// Each is answered by its own response.
    Streamable,
    /// The stream of 2024-11-05 is being opened; everything else waits.
    Opening,
    /// Answers come by one stream.
    Old { endpoint: Uri },
}

/// A session of the legacy era.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// As the server gave it; marked as sensitive.
    pub(super) id: Option<HeaderValue>,
    pub(super) phase: Phase,
    /// How many there were.
    pub(super) serial: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    #[default]
    None,
    /// `initialize` was sent.
    Initializing,
    /// `notifications/initialized` was sent, and is not accepted yet.
    Acknowledging,
    /// The stream of the session was asked for. Until it is there, or until then, calls wait: what the server asks on their behalf
    /// while there is no such stream, some servers lose.
    Listening(Timestamp),
    Ready,
}

/// The longest id of a session that is taken: it goes along with every request.
const LONGEST: usize = 4096;

impl HttpClient {
    /// Takes the id of the session from the response to `initialize`; an error if it is none that may be sent.
    pub(super) fn take_session_id(&mut self, headers: &HeaderMap) -> Result<(), String> {
        let id = match headers::single(headers, &headers::SESSION_ID) {
            Ok(id) => id,
            Err(fault) => return Err(format!("{}: {fault}", headers::SESSION_ID)),
        };
        let Some(id) = id else { return Ok(()) };
        let is_visible = id.as_bytes().iter().all(|byte| (0x21..=0x7E).contains(byte));
        if id.is_empty() || id.len() > LONGEST || !is_visible {
            return Err(format!("{}: it has to be 1 to {LONGEST} characters of visible ASCII", headers::SESSION_ID));
        }
        let mut id = id.clone();
        id.set_sensitive(true);
        self.session.id = Some(id);
        Ok(())
    }

    /// `initialize` goes out: whatever was before is over.
    pub(super) fn begin_initialize(&mut self) {
        let serial = self.session.serial + 1;
        self.session = Session { id: None, phase: Phase::Initializing, serial };
    }

    /// The server has taken `notifications/initialized`, or it was long enough.
    pub(super) fn begin_session(&mut self) {
        self.session.phase = Phase::Ready;
        self.is_stirred = true;
        let is_streamable = matches!(self.transport, Transport::Streamable);
        if is_streamable && self.config.stream == Standalone::Opened && !self.is_closing {
            self.session.phase = Phase::Listening(self.now + self.config.limits.listening);
            self.add(What::Listen(Cursor::default()), Bytes::new());
        }
    }

    /// The stream of the session has begun, or nothing came of it: calls need not wait any more.
    pub(super) fn end_listening(&mut self) {
        if let Phase::Listening(_) = self.session.phase {
            self.session.phase = Phase::Ready;
            self.is_stirred = true;
        }
    }

    /// The server does not know the session any more, as it said to this job. What it has not executed is sent again in the next
    /// session; what it is answering is lost with this one.
    pub(super) fn lose_session(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.tries.sessions += 1;
        let is_known = job.sent.session != Some(self.session.serial) || self.session.phase == Phase::None;
        if job.tries.sessions > 2 {
            let detail = "the session is unknown, as were others before".into();
            return self.lose(id, Lost::Refused { status: StatusCode::NOT_FOUND.as_u16(), error: None, detail });
        }
        if is_known {
            // Another job has found out before, or the next session has begun already.
            if job.call().is_some() {
                self.put_back(id, self.now);
            } else {
                self.drop_job(id);
            }
            return;
        }
        let is_unheard = |job: &Job| matches!(job.step, Step::Waiting | Step::Sent(_)) && !job.is_resumed();
        let kept = |(at, job): (&JobId, &Job)| Some((job.call()?.id, *at == id || is_unheard(job)));
        let kept: BTreeSet<_> = self.jobs.iter().filter_map(kept).filter(|(_, it)| *it).map(|(id, _)| id).collect();
        let is_kept = |job: &Job| job.call().is_some_and(|call| kept.contains(&call.id));
        for other in self.jobs.iter().filter(|(_, job)| !is_kept(job)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.drop_job(other);
        }
        self.put_back(id, self.now);
        self.session = Session { id: None, phase: Phase::None, serial: self.session.serial };
        self.incoming.push_back(Incoming::SessionGone(kept));
    }

    /// The server is of the modern era, although these were written for a session of before.
    pub(super) fn lose_legacy(&mut self) {
        let is_legacy = |job: &Job| {
            let call = job.call();
            matches!(job.step, Step::Waiting)
                && call.is_some_and(|it| it.modern.is_none() && it.kind == CallKind::Other)
        };
        for id in self.jobs.iter().filter(|(_, job)| is_legacy(job)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.lose(id, Lost::NotSent("the server speaks another revision now".into()));
        }
    }

    /// The era is known: nobody waits for an answer to the probe any more.
    pub(super) fn forget_probe(&mut self) {
        let is_probe = |job: &Job| job.call().is_some_and(|call| call.kind == CallKind::Discover && !call.is_answered);
        if let Some(id) = self.jobs.iter().find(|(_, job)| is_probe(job)).map(|(id, _)| *id) {
            self.drop_job(id);
        }
    }

    /// Tells the server that the session has ended (specification, 2025-03-26 to 2025-11-25: basic/transports, Session Management).
    pub(super) fn end_session(&mut self) {
        if self.session.id.is_some() && matches!(self.transport, Transport::Streamable) {
            let id = self.add(What::Delete, Bytes::new());
            if let Some(job) = self.jobs.get_mut(&id) {
                job.deadline = Some(self.now + self.config.limits.ending);
            }
        }
    }
}

/// The transport of 2024-11-05.
impl HttpClient {
    /// Whether `initialize` was refused in a way that leads there (specification 2025-11-25: basic/transports, Backwards
    /// Compatibility). If so, the job waits for it.
    pub(super) fn falls_back(&mut self, id: JobId, lost: &Lost) -> bool {
        let is_old = match lost {
            Lost::Refused { status: 400 | 404 | 405, error, .. } => {
                !error.as_ref().is_some_and(|error| error.code.is_modern())
            }
            _ => false,
        };
        is_old && self.open_old(id, lost)
    }

    /// Opens the stream of the old transport for `initialize`, unless that was tried or is not wanted.
    fn open_old(&mut self, id: JobId, lost: &Lost) -> bool {
        let may = self.config.old_transport == OldTransport::Tried && matches!(self.transport, Transport::Streamable);
        let Some(job) = self.jobs.get_mut(&id).filter(|_| may) else { return false };
        if job.call().is_none_or(|call| call.kind != CallKind::Initialize) {
            return false;
        }
        (job.step, job.deadline, job.refusal) = (Step::Opening, None, Some(lost.clone()));
        self.transport = Transport::Opening;
        let stream = self.add(What::Endpoint, Bytes::new());
        if let Some(job) = self.jobs.get_mut(&stream) {
            job.target = self.config.url().clone();
        }
        true
    }

    /// A POST was answered as if it were the GET of the old transport, as by a server that does not look at the method.
    pub(super) fn on_endpoint_of_post(&mut self, id: JobId) {
        let Some(exchange) = self.jobs.get(&id).and_then(Job::exchange) else { return };
        self.abort(exchange);
        let detail = "it answers with an endpoint, as servers of 2024-11-05 answer a GET".into();
        let lost = Lost::Refused { status: StatusCode::OK.as_u16(), error: None, detail };
        if !self.open_old(id, &lost) {
            self.lose(id, lost);
        }
    }

    /// The first event of the stream: where messages go.
    pub(super) fn take_endpoint(&mut self, id: JobId, name: Option<&str>, data: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let base = job.target.clone();
        let endpoint = match (name, url::resolve(&base, data)) {
            (Some("endpoint"), Some(endpoint)) if url::is_same_origin(&base, &endpoint) => endpoint,
            (Some("endpoint"), _) => {
                let shown: String = data.chars().take(100).collect();
                let cause = format!("its stream leads to {shown:?}, which is not of the origin of {base}");
                return self.lose(id, Lost::MaybeExecuted(cause));
            }
            _ => {
                let cause = "its stream does not begin with an endpoint".into();
                return self.lose(id, Lost::MaybeExecuted(cause));
            }
        };
        job.deadline = None;
        self.transport = Transport::Old { endpoint: endpoint.clone() };
        let opening = |job: &Job| matches!(job.step, Step::Opening);
        for id in self.jobs.iter().filter(|(_, job)| opening(job)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.put_back(id, self.now);
        }
        for job in self.jobs.values_mut().filter(|job| !matches!(job.what, What::Endpoint)) {
            job.target = endpoint.clone();
        }
    }

    /// The stream of 2024-11-05 is over: with it the session, or the hope for one.
    pub(super) fn lose_endpoint(&mut self, lost: &Lost) {
        if matches!(self.transport, Transport::Old { .. }) {
            self.incoming.push_back(Incoming::Broken(format!("the stream of events has ended: {lost}")));
            return;
        }
        self.transport = Transport::Streamable;
        let opening = |(id, job): (&JobId, &Job)| matches!(job.step, Step::Opening).then(|| (*id, job.refusal.clone()));
        for (id, refusal) in self.jobs.iter().filter_map(opening).collect::<Vec<_>>() {
            let refusal = match refusal {
                Some(Lost::Refused { status, error, detail }) => {
                    let also = format!("nor does it speak HTTP with SSE of 2024-11-05: {lost}");
                    let detail = if detail.is_empty() { also } else { format!("{detail}; {also}") };
                    Lost::Refused { status, error, detail }
                }
                _ => lost.clone(),
            };
            self.lose(id, refusal);
        }
    }

    /// Whether it may be sent, as far as the session goes.
    pub(super) fn session_allows(&self, job: &Job) -> bool {
        match &job.what {
            What::Call(call) => {
                let begins = matches!(call.kind, CallKind::Initialize | CallKind::Discover);
                begins || call.modern.is_some() || self.session.phase == Phase::Ready
            }
            What::Notice(Notice::Other) => !matches!(self.session.phase, Phase::Initializing | Phase::Acknowledging),
            _ => true,
        }
    }
}
