//! What is sent, when, and with which headers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};

use super::command::{Command, ExchangeId, Remark};
use super::cursor::Cursor;
use super::job::{Call, CallKind, Job, Notice, Sent, Step, What};
use super::session::{Phase, Transport};
use super::{HttpClient, Incoming, JobId};
use crate::connection::{Lost, OutboundId};
use crate::http::headers::{self, encode_value, name_member};
use crate::jsonrpc::{Message, members};
use crate::model::{Era, meta_key};

/// For a POST: an answer may come in either form.
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Nobody here decodes bodies.
const AS_IT_IS: HeaderValue = HeaderValue::from_static("identity");

impl HttpClient {
    /// A request of the connection.
    pub(super) fn take_call(&mut self, id: OutboundId, frame: Bytes) {
        let message = Message::scan(&frame, &self.config.messages);
        let kind = match message.method() {
            "server/discover" => CallKind::Discover,
            "initialize" => CallKind::Initialize,
            "subscriptions/listen" => CallKind::Listen,
            "tools/list" => CallKind::ToolsList,
            _ => CallKind::Other,
        };
        let modern = message.meta().and_then(|meta| revision(meta.as_str()));
        let modern = modern.and_then(|version| HeaderValue::from_str(&version).ok());
        let tool = message.name().filter(|_| modern.is_some() && message.method() == "tools/call").map(String::from);
        let wire = message.id().and_then(crate::jsonrpc::RequestId::as_number);
        let mut mirrored = HeaderMap::new();
        if modern.is_some()
            && let Err(why) = self.mirror(&message, &mut mirrored)
        {
            return self.incoming.push_back(Incoming::Lost(id, Lost::NotSent(why)));
        }
        let (is_answered, cursor) = (false, Cursor::default());
        let call = Call { id, wire, kind, modern, headers: mirrored, tool, is_answered, cursor };
        let job = self.add(What::Call(call), frame);
        // One that is asked again with answers to a question has another job each time.
        self.calls.insert(id, job);
    }

    /// What of a modern request its headers say as well (specification 2026-07-28: basic/transports/streamable-http, Request Metadata).
    fn mirror(&self, message: &Message, headers: &mut HeaderMap) -> Result<(), String> {
        if let Ok(method) = HeaderValue::from_str(message.method()) {
            headers.insert(headers::METHOD, method);
        }
        let name = match name_member(message.method()) {
            None => None,
            Some("name") => message.name().map(String::from),
            Some("uri") => message.uri().map(String::from),
            Some(member) => text_member(message.params().as_str(), member),
        };
        if let Some(name) = name {
            headers.insert(headers::NAME, encode_value(&name));
        }
        if message.method() == "tools/call"
            && let Some(mirrored) = message.name().and_then(|name| self.tools.get(name))
        {
            let params = mirrored.encode(message.arguments()).map_err(|fault| fault.to_string())?;
            headers.extend(params);
        }
        Ok(())
    }

    /// The tools were listed anew: the call that this was for is sent once more, if that makes a difference.
    pub(super) fn refreshed(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id).filter(|job| matches!(job.step, Step::Refreshing)) else { return };
        let message = Message::scan(&job.frame, &self.config.messages);
        let mut mirrored = HeaderMap::new();
        let is_mirrored = self.mirror(&message, &mut mirrored).is_ok();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let refusal = job.refusal.take();
        let Some(call) = job.call_mut() else { return };
        if is_mirrored && call.headers != mirrored {
            call.headers = mirrored;
            return self.put_back(id, self.now);
        }
        // It was not for want of a header.
        let lost = refusal.unwrap_or_else(|| Lost::MaybeExecuted("refused".into()));
        self.lose(id, lost);
    }

    /// Lists the tools anew for a call, from where `cursor` says.
    pub(super) fn refresh(&mut self, call: JobId, pages: u32, cursor: Option<&str>) {
        let Some(job) = self.jobs.get(&call) else { return };
        let message = Message::scan(&job.frame, &self.config.messages);
        // What every request says of its sender; nothing else of it is for this one.
        let mut meta = Vec::new();
        let own = [meta_key::PROTOCOL_VERSION, meta_key::CLIENT_CAPABILITIES, meta_key::CLIENT_INFO];
        let _ = members(message.meta().map_or("{}", |meta| meta.as_str()), |key, value| {
            if own.contains(&key) {
                meta.push(format!("\"{key}\":{value}"));
            }
        });
        let cursor = cursor.map(|cursor| format!("\"cursor\":{cursor},")).unwrap_or_default();
        let (number, meta) = (self.next_job, meta.join(","));
        // A string, so that it is none of the connection's ids.
        let frame = format!(
            r#"{{"jsonrpc":"2.0","id":"tools-{number}","method":"tools/list","params":{{{cursor}"_meta":{{{meta}}}}}}}"#
        );
        self.add(What::Refresh { call, pages }, Bytes::from(frame));
    }

    /// Sends all that may be sent now.
    pub(super) fn send_waiting(&mut self) {
        while core::mem::take(&mut self.is_stirred) {
            let mut calls = self.jobs.values().filter(|job| counts(job) && job.exchange().is_some()).count();
            for id in self.waiting.iter().copied().collect::<Vec<_>>() {
                let Some(job) = self.jobs.get(&id) else { continue };
                let counts = counts(job);
                if (!counts || calls < self.config.limits.calls) && self.may_send(id, job) {
                    calls += usize::from(counts);
                    self.send(id);
                }
            }
        }
    }

    fn may_send(&self, id: JobId, job: &Job) -> bool {
        let is_time = job.not_before <= self.now && !self.auth.is_asking();
        let is_reachable = !matches!(self.transport, Transport::Opening) || matches!(job.what, What::Endpoint);
        if !is_time || !is_reachable || !self.session_allows(job) {
            return false;
        }
        match &job.what {
            // Progress comes before the answer that it is about.
            What::Notice(Notice::About(request)) => {
                let is_about = |job: &Job| matches!(&job.what, What::Notice(Notice::About(other)) if other == request);
                !self.jobs.range(..id).any(|(_, job)| is_about(job))
            }
            _ => true,
        }
    }

    fn send(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let is_initialize = job.call().is_some_and(|call| call.kind == CallKind::Initialize);
        if is_initialize {
            self.begin_initialize();
        }
        let exchange = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        let request = self.request(id);
        let (now, limits) = (self.now, &self.config.limits);
        let session = (self.session.id.is_some() && !is_initialize).then_some(self.session.serial);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.sent = Sent { credentials: self.auth.serial, session };
        job.step = Step::Sent(exchange);
        job.deadline = match &job.what {
            What::Call(call) if call.cursor.is_resuming() => Some(now + limits.opening),
            What::Call(_) => None,
            What::Listen(_) | What::Endpoint => Some(now + limits.opening),
            What::Notice(_) | What::Refresh { .. } => Some(now + limits.acceptance),
            What::Delete => job.deadline,
        };
        if let What::Notice(Notice::Initialized) = job.what {
            self.session.phase = Phase::Acknowledging;
        }
        self.waiting.remove(&id);
        self.exchanges.insert(exchange, id);
        self.commands.push_back(Command::Send { exchange, request });
    }

    fn request(&self, id: JobId) -> http::Request<Bytes> {
        let mut request = http::Request::new(Bytes::new());
        let Some(job) = self.jobs.get(&id) else { return request };
        *request.uri_mut() = job.target.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, AS_IT_IS);
        if let Some(credentials) = &self.auth.credentials {
            headers.insert(AUTHORIZATION, credentials.clone());
        }
        let modern = match &job.what {
            What::Call(call) => call.modern.clone(),
            What::Refresh { call, .. } => {
                headers.insert(headers::METHOD, HeaderValue::from_static("tools/list"));
                self.jobs.get(call).and_then(|job| job.call()?.modern.clone())
            }
            What::Notice(_) => self.version.filter(|version| version.era() == Era::Modern).map(version_value),
            What::Listen(_) | What::Endpoint | What::Delete => None,
        };
        let is_handshake = job.call().is_some_and(|call| call.kind == CallKind::Initialize);
        let is_legacy = modern.is_none() && !is_handshake;
        if let Some(version) = modern.or(self.version.filter(|_| is_legacy).map(version_value)) {
            headers.insert(headers::PROTOCOL_VERSION, version);
        }
        if let Some(session) = self.session.id.as_ref().filter(|_| is_legacy) {
            headers.insert(headers::SESSION_ID, session.clone());
        }
        let cursor = match &job.what {
            What::Call(call) => call.cursor.is_resuming().then_some(&call.cursor),
            What::Listen(cursor) => Some(cursor),
            _ => None,
        };
        if let Some(last) = cursor.and_then(Cursor::last)
            && let Ok(last) = HeaderValue::from_str(last)
        {
            headers.insert(headers::LAST_EVENT_ID, last);
        }
        let (method, accept) = match &job.what {
            What::Delete => (Method::DELETE, None),
            What::Listen(_) | What::Endpoint => (Method::GET, Some(EVENTS)),
            What::Call(call) if call.cursor.is_resuming() => (Method::GET, Some(EVENTS)),
            What::Call(_) | What::Notice(_) | What::Refresh { .. } => (Method::POST, Some(EITHER)),
        };
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept);
        }
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, JSON);
            match &job.what {
                What::Call(call) => headers.extend(call.headers.clone()),
                What::Notice(_) if self.version.is_some_and(|version| version.era() == Era::Modern) => {
                    let message = Message::scan(&job.frame, &self.config.messages);
                    headers.extend(HeaderValue::from_str(message.method()).ok().map(|it| (headers::METHOD, it)));
                }
                _ => {}
            }
            *request.body_mut() = job.frame.clone();
        }
        *request.method_mut() = method;
        request
    }

    /// Takes note of a list of tools; the list without those that break a rule.
    pub(super) fn learn_tools(&mut self, message: Message) -> Message {
        let listed = self.tools.learn(&message, &self.config.messages);
        for invalid in listed.invalid {
            self.remark(Remark::InvalidTool(invalid));
        }
        listed.mended.unwrap_or(message)
    }
}

/// Whether a job is one of those of which only so many are under way at once. Others are not held up by calls, since calls may wait for
/// them; nor is what was begun already.
fn counts(job: &Job) -> bool {
    job.call().is_some_and(|call| call.kind != CallKind::Listen && !call.cursor.is_resuming())
}

fn version_value(version: crate::model::ProtocolVersion) -> HeaderValue {
    HeaderValue::from_static(version.as_str())
}

/// The revision that a request of the modern era says in its `_meta`.
fn revision(meta: &str) -> Option<String> {
    text_member(meta, meta_key::PROTOCOL_VERSION)
}

fn text_member(object: &str, name: &str) -> Option<String> {
    let mut found = None;
    let _ = members(object, |key, value| {
        if key == name {
            found = serde_json::from_str::<String>(value).ok();
        }
    });
    found
}
