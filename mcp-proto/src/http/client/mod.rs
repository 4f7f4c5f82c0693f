//! The client's half of HTTP: between a client [`Connection`] and an HTTP library.
//!
//! Specification: basic/transports (Streamable HTTP of 2025-03-26 to 2025-11-25, with sessions and streams that are resumed; of
//! 2026-07-28, without), and HTTP with SSE of 2024-11-05. See [`HttpClient`].

mod auth;
mod command;
mod config;
mod cursor;
mod head;
mod job;
mod read;
mod retry_after;
mod send;
mod session;
mod tools;
mod url;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use http::{HeaderValue, Uri};

use self::auth::Auth;
pub use self::command::{Challenge, Command, ExchangeId, Failure, Remark};
pub use self::config::{ClientLimits, HttpClientConfig, OldTransport, Standalone, Unauthorized, UrlFault};
use self::job::{Job, Notice, Step, What};
use self::session::{Phase, Session, Transport};
pub use self::tools::InvalidTool;
use self::tools::Tools;
use crate::Timestamp;
use crate::connection::{About, Connection, Hold, Lost, Origin, OutboundId, Transmit};
use crate::jsonrpc::Message;
use crate::model::{Era, ProtocolVersion};

/// One client over HTTP, as a pure function of what it is told and when. It sits beside a client [`Connection`] and carries that one's
/// messages: each is a POST of its own, answers come as JSON or as events, and which era and transport the server has is found on the way.
///
/// Like a [`Connection`] it has
///
/// - **inputs**, which are infallible: [`handle_head`](Self::handle_head), [`handle_data`](Self::handle_data),
///   [`handle_end`](Self::handle_end), [`handle_failure`](Self::handle_failure) tell what an exchange has brought;
///   [`handle_credentials`](Self::handle_credentials) who asks; [`handle_timeout`](Self::handle_timeout) that time has passed. What comes
///   for an exchange that is over is ignored;
/// - **outputs**: [`poll_command`](Self::poll_command) and [`poll_timeout`](Self::poll_timeout);
/// - [`drive`](Self::drive), which moves what there is between it and its connection. Call it after any of these, and after whatever
///   changes the connection; then poll.
///
/// Whatever a server does, each call ends, with the deadlines of the [`Connection`] or before, and memory stays within
/// [`ClientLimits`] and the limits of messages. Credentials, and everything else, go to the origin of the configured URL and nowhere else.
///
/// ```
/// use std::sync::Arc;
/// use mcp_proto::http::client::{Command, HttpClient, HttpClientConfig};
/// use mcp_proto::model::Implementation;
/// use mcp_proto::{ClientConfig, Connection, Event, Timestamp};
///
/// let now = Timestamp::EPOCH;
/// let mut connection = Connection::client(Arc::new(ClientConfig::new(Implementation::new("c", "1"))), now);
/// let config = HttpClientConfig::new("http://localhost:8080/mcp")?;
/// let mut http = HttpClient::new(Arc::new(config), 42);
///
/// http.drive(now, &mut connection);
/// let Some(Command::Send { exchange, request }) = http.poll_command() else { panic!("the handshake") };
/// assert_eq!(request.method(), "POST");
///
/// // An HTTP library sends it, and this is what comes back.
/// let head = http::Response::builder().header("content-type", "application/json").body(())?.into_parts().0;
/// http.handle_head(now, exchange, head.status, &head.headers);
/// http.handle_data(now, exchange, br#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25",
///     "capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#);
/// http.handle_end(now, exchange);
/// http.drive(now, &mut connection);
/// assert!(matches!(connection.poll_event(), Some(Event::Ready { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HttpClient {
    config: Arc<HttpClientConfig>,
    /// The latest moment seen.
    now: Timestamp,
    /// What spreads the pauses of many clients.
    seed: u64,
    transport: Transport,
    session: Session,
    /// The negotiated revision, as the connection last said.
    version: Option<ProtocolVersion>,
    auth: Auth,
    tools: Tools,
    jobs: BTreeMap<JobId, Job>,
    /// Those that wait to be sent, oldest first.
    waiting: BTreeSet<JobId>,
    exchanges: BTreeMap<ExchangeId, JobId>,
    /// Those that the connection still wants an answer to.
    calls: BTreeMap<OutboundId, JobId>,
    next_job: u64,
    next_exchange: u64,
    /// Whether something has changed that may let a job be sent.
    is_stirred: bool,
    commands: VecDeque<Command>,
    incoming: VecDeque<Incoming>,
    /// How many of them, from the front, somebody has seen; see `screen`.
    screened: usize,
    remarks: VecDeque<Remark>,
    /// Whether the connection was told that nothing can be sent now.
    is_holding: bool,
    is_closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct JobId(u64);

/// What the connection has to be told.
#[derive(Debug)]
enum Incoming {
    Message(Origin, Message),
    Lost(OutboundId, Lost),
    SessionGone(BTreeSet<OutboundId>),
    Broken(String),
}

/// Remarks that nobody has taken.
const REMARKS: usize = 64;

impl HttpClient {
    /// A client that has sent nothing yet. `seed` spreads the pauses of those who were cut off at the same moment; any number does.
    pub fn new(config: Arc<HttpClientConfig>, seed: u64) -> Self {
        Self {
            now: Timestamp::EPOCH,
            seed,
            transport: Transport::Streamable,
            session: Session::default(),
            version: None,
            auth: Auth::default(),
            tools: Tools::new(config.limits.tools),
            jobs: BTreeMap::new(),
            waiting: BTreeSet::new(),
            exchanges: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_job: 0,
            next_exchange: 0,
            is_stirred: false,
            commands: VecDeque::new(),
            incoming: VecDeque::new(),
            screened: 0,
            remarks: VecDeque::new(),
            is_holding: false,
            is_closing: false,
            config,
        }
    }

    /// Moves what there is in both directions between this and its connection, until neither has more for the other.
    pub fn drive(&mut self, now: Timestamp, connection: &mut Connection) {
        self.advance(now);
        loop {
            let mut moved = false;
            while let Some(incoming) = self.next_incoming(connection) {
                moved = true;
                match incoming {
                    Incoming::Message(origin, message) => connection.handle_message(now, origin, message),
                    Incoming::Lost(id, lost) => connection.handle_lost(now, id, lost),
                    Incoming::SessionGone(kept) => connection.handle_session_gone(now, &kept),
                    Incoming::Broken(cause) => connection.handle_broken(now, &cause),
                }
            }
            self.agree_on(connection.version());
            while self.wants_output()
                && let Some(transmit) = connection.poll_transmit()
            {
                moved = true;
                self.take(transmit);
            }
            self.send_waiting();
            if !moved {
                break;
            }
        }
        if core::mem::replace(&mut self.is_holding, self.auth.is_asking()) != self.auth.is_asking() {
            connection.handle_hold(now, if self.is_holding { Hold::Begins } else { Hold::Ends });
        }
    }

    /// The response's head has come.
    pub fn handle_head(
        &mut self,
        now: Timestamp,
        exchange: ExchangeId,
        status: http::StatusCode,
        headers: &http::HeaderMap,
    ) {
        self.advance(now);
        if let Some(id) = self.exchanges.get(&exchange).copied() {
            self.on_head(id, exchange, status, headers);
        }
    }

    /// A part of the response's body has come. Nothing is to be read while [`wants_data`](Self::wants_data) says no.
    pub fn handle_data(&mut self, now: Timestamp, exchange: ExchangeId, data: &[u8]) {
        self.advance(now);
        if let Some(id) = self.exchanges.get(&exchange).copied() {
            self.on_data(id, exchange, data);
        }
    }

    /// The response has ended in good order.
    pub fn handle_end(&mut self, now: Timestamp, exchange: ExchangeId) {
        self.advance(now);
        if let Some(id) = self.exchanges.remove(&exchange) {
            self.is_stirred = true;
            self.on_end(id);
        }
    }

    /// The exchange has failed, before or after its head.
    pub fn handle_failure(&mut self, now: Timestamp, exchange: ExchangeId, failure: &Failure) {
        self.advance(now);
        if let Some(id) = self.exchanges.remove(&exchange) {
            self.is_stirred = true;
            self.on_failure(id, failure);
        }
    }

    /// What goes into `Authorization` from now on: the answer to [`Command::Authorize`], or by whoever knows before. `None` if there is
    /// nothing: whoever waits for it fails with what the server said.
    pub fn handle_credentials(&mut self, now: Timestamp, credentials: Option<HeaderValue>) {
        self.advance(now);
        self.on_credentials(credentials);
    }

    /// Lets somebody see the messages that have come, each once and before the connection does: what `keep` returns goes on.
    pub fn screen(&mut self, mut keep: impl FnMut(Message) -> Option<Message>) {
        for incoming in self.incoming.split_off(self.screened.min(self.incoming.len())) {
            self.incoming.extend(match incoming {
                Incoming::Message(origin, message) => keep(message).map(|message| Incoming::Message(origin, message)),
                other => Some(other),
            });
        }
        self.screened = self.incoming.len();
    }

    /// Time has passed. Due is what `now` says.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        if self.auth.is_overdue(now) {
            self.on_credentials(None);
        }
        if self.listening().is_some_and(|until| until <= now) {
            self.end_listening();
        }
        let due = |job: &Job| job.deadline.is_some_and(|deadline| deadline <= now);
        for id in self.jobs.iter().filter(|(_, job)| due(job)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.on_deadline(id);
        }
        self.is_stirred |= self.waiting.iter().any(|id| self.jobs.get(id).is_some_and(|job| job.not_before <= now));
    }

    /// The connection is over. What is open is aborted, and the server is told that the session has ended; until
    /// [`is_over`](Self::is_over), for no longer than two seconds.
    pub fn close(&mut self, now: Timestamp) {
        self.advance(now);
        if core::mem::replace(&mut self.is_closing, true) {
            return;
        }
        self.incoming.clear();
        for id in self.jobs.keys().copied().collect::<Vec<_>>() {
            self.drop_job(id);
        }
        self.end_session();
        self.send_waiting();
    }

    /// What the HTTP library has to do next.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Something for a person to know. Nobody has to ask for it.
    pub fn poll_remark(&mut self) -> Option<Remark> {
        self.remarks.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while nothing waits.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let deadlines = self.jobs.values().filter_map(|job| job.deadline);
        let waiting = self.waiting.iter().filter_map(|id| Some(self.jobs.get(id)?.not_before));
        let waiting = waiting.filter(|at| *at > self.now);
        deadlines.chain(waiting).chain(self.auth.deadline()).chain(self.listening()).min()
    }

    /// Whether bodies are to be read on: not while the connection has not taken what they have brought.
    pub fn wants_data(&self) -> bool {
        self.incoming.is_empty()
    }

    /// Bytes held of messages in either direction.
    pub fn buffered(&self) -> usize {
        let incoming = self.incoming.iter().map(|incoming| match incoming {
            Incoming::Message(_, message) => message.size(),
            _ => 0,
        });
        self.jobs.values().map(Job::held).sum::<usize>() + incoming.sum::<usize>()
    }

    /// Whether everything is done after [`close`](Self::close).
    pub fn is_over(&self) -> bool {
        self.is_closing && self.jobs.is_empty()
    }
}

/// What the connection has for the server.
impl HttpClient {
    fn wants_output(&self) -> bool {
        self.jobs.values().map(|job| job.frame.len()).sum::<usize>() < self.config.limits.output
    }

    fn next_incoming(&mut self, connection: &Connection) -> Option<Incoming> {
        // What is lost is told in any case; what was said waits until it is wanted.
        let waits = matches!(self.incoming.front()?, Incoming::Message(..)) && !connection.wants_input();
        self.screened = self.screened.saturating_sub(usize::from(!waits));
        if waits { None } else { self.incoming.pop_front() }
    }

    fn take(&mut self, transmit: Transmit) {
        if self.is_closing {
            return;
        }
        let frame = Bytes::from(transmit.frame);
        match transmit.about {
            About::Call(id) => self.take_call(id, frame),
            About::Cancel(id) => self.take_cancel(id, frame),
            About::Reply(id) | About::Within(id) => self.take_notice(Notice::About(id), frame),
            _ => {
                let message = Message::scan(&frame, &self.config.messages);
                let is_initialized = message.method() == "notifications/initialized";
                self.take_notice(if is_initialized { Notice::Initialized } else { Notice::Other }, frame);
            }
        }
    }

    fn take_notice(&mut self, notice: Notice, frame: Bytes) {
        self.add(What::Notice(notice), frame);
    }

    /// A call was given up: in the modern era the end of its response says so, before a message of its own does.
    fn take_cancel(&mut self, id: OutboundId, frame: Bytes) {
        let job = self.calls.get(&id).copied();
        let was_sent = job.and_then(|job| self.jobs.get(&job)).is_none_or(Job::was_sent);
        if let Some(job) = job {
            self.drop_job(job);
        }
        if was_sent && self.version.map(ProtocolVersion::era) == Some(Era::Legacy) {
            self.take_notice(Notice::Other, frame);
        }
    }

    fn agree_on(&mut self, version: Option<ProtocolVersion>) {
        if self.version == version {
            return;
        }
        self.version = version;
        self.is_stirred = true;
        if version.is_some() {
            self.forget_probe();
        }
        if version.map(ProtocolVersion::era) == Some(Era::Modern) {
            self.lose_legacy();
        }
    }
}

/// Jobs.
impl HttpClient {
    fn add(&mut self, what: What, frame: Bytes) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        self.jobs.insert(id, Job::new(what, frame, self.target()));
        self.waiting.insert(id);
        self.is_stirred = true;
        id
    }

    /// Where messages go.
    fn target(&self) -> Uri {
        match &self.transport {
            Transport::Old { endpoint, .. } => endpoint.clone(),
            Transport::Streamable | Transport::Opening => self.config.url().clone(),
        }
    }

    /// Until when calls wait for the stream of the session.
    fn listening(&self) -> Option<Timestamp> {
        match self.session.phase {
            Phase::Listening(until) => Some(until),
            _ => None,
        }
    }

    /// Takes a job out, and ends its exchange if that goes on.
    fn drop_job(&mut self, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        self.waiting.remove(&id);
        self.is_stirred = true;
        if let Some(call) = job.call()
            && self.calls.get(&call.id) == Some(&id)
        {
            self.calls.remove(&call.id);
        }
        if let What::Listen(_) = job.what {
            self.end_listening();
        }
        if let Some(exchange) = job.exchange() {
            self.abort(exchange);
        }
    }

    fn abort(&mut self, exchange: ExchangeId) {
        if self.exchanges.remove(&exchange).is_none() {
            return;
        }
        let is_sent = |command: &Command| matches!(command, Command::Send { exchange: sent, .. } if *sent == exchange);
        match self.commands.iter().position(is_sent) {
            // The library has not heard of it yet.
            Some(at) => drop(self.commands.remove(at)),
            None => self.commands.push_back(Command::Abort(exchange)),
        }
    }

    /// Has a job wait to be sent once more, and ends its exchange if that goes on.
    fn put_back(&mut self, id: JobId, not_before: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let exchange = job.exchange();
        (job.step, job.not_before, job.deadline) = (Step::Waiting, not_before, None);
        self.waiting.insert(id);
        self.is_stirred = true;
        if let Some(exchange) = exchange {
            self.abort(exchange);
        }
    }

    /// A job has failed for good.
    fn lose(&mut self, id: JobId, lost: Lost) {
        let Some(job) = self.jobs.get(&id) else { return };
        match &job.what {
            What::Call(call) => {
                let is_resumed = call.cursor.is_resuming();
                let (call, is_answered) = (call.id, call.is_answered);
                self.drop_job(id);
                let lost = if is_resumed && !lost.may_have_been_executed() {
                    Lost::MaybeExecuted(format!("its stream broke and could not be resumed: {lost}"))
                } else {
                    lost
                };
                if !is_answered {
                    self.incoming.push_back(Incoming::Lost(call, lost));
                }
            }
            What::Notice(Notice::Initialized) => {
                self.drop_job(id);
                self.remark(Remark::Refused(lost));
                self.begin_session();
            }
            What::Notice(_) => {
                self.drop_job(id);
                self.remark(Remark::Refused(lost));
            }
            What::Listen(_) => self.drop_job(id),
            What::Endpoint => {
                self.drop_job(id);
                self.lose_endpoint(&lost);
            }
            What::Refresh { call, .. } => {
                let call = *call;
                self.drop_job(id);
                self.refreshed(call);
            }
            What::Delete => self.drop_job(id),
        }
    }

    fn remark(&mut self, remark: Remark) {
        if self.remarks.len() >= REMARKS {
            self.remarks.pop_front();
        }
        self.remarks.push_back(remark);
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// A number from 0 to 1 that nobody needs to guess.
    fn jitter(&mut self) -> f64 {
        // SplitMix64.
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from((mixed ^ (mixed >> 31)) as u32) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
