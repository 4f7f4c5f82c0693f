//! The server's side: what a driver does around the pure half of HTTP, in the simplest way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::http::security::Security;
use mcp_proto::http::{
    Activity, Classified, Endpoint, EndpointConfig, EventId, EventPlace, Exchange, HttpLimits, LegacyCall, Output,
    Preference, Reason, Refusal, Screened, Session, SessionConfig, SessionId, Sessions, StreamKey,
};
use mcp_proto::model::{
    Implementation, LogParams, LoggingLevel, Progress, ServerCapabilities, Supported, ToolsCapability,
};
use mcp_proto::{
    Body, CallOptions, Channel, Connection, ErrorObject, InboundId, Limits, Message, Origin, ResultKind, Scope,
    ServerConfig, Start, Timestamp,
};
use serde_json::json;

use super::mutants::Mutant;
use super::path::Part;
use super::seen::{Place, Seen};
use super::served::{ALONE, Carrier, Served, result};
use super::work::Plan;
use crate::Prng;

/// The number of an exchange: of a request, and of its response.
pub(crate) type Number = usize;

/// A request, as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) parts: http::request::Parts,
    /// Who sends it, as somebody in front of the server has found out.
    pub(crate) principal: String,
    pub(crate) body: Vec<u8>,
}

/// A server.
pub(crate) struct Host {
    endpoint: Endpoint,
    server: Arc<ServerConfig>,
    config: Arc<SessionConfig>,
    /// By their ids, each the number of what serves it.
    sessions: Sessions<usize>,
    served: BTreeMap<usize, Served>,
    next: usize,
    /// Which way each response that is not over comes from.
    ways: BTreeMap<Number, Way>,
    entropy: Prng,
    mutant: Option<Mutant>,
    /// The tag of the call that was begun last: what a mutant takes for its own.
    newest: String,
    /// What has been seen and not been judged yet.
    seen: Vec<Seen>,
    /// What handlers do later.
    jobs: Vec<(Duration, Job)>,
}

/// A handler goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(super) served: usize,
    pub(super) id: InboundId,
}

enum Way {
    /// It was known at once.
    Known(VecDeque<Part>),
    Exchange(usize),
    Stream(usize, StreamKey),
}

impl Host {
    pub(crate) fn new(seed: u64, limits: &HttpLimits, mutant: Option<Mutant>) -> Self {
        let mut server = ServerConfig::new(Implementation::new("simulated", "1"));
        server.versions = mcp_proto::ProtocolVersion::ALL.to_vec();
        server.capabilities =
            ServerCapabilities::default().with_tools(ToolsCapability::default()).with_logging(Supported::default());
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 8000));
        let mut limits = limits.clone();
        if mutant == Some(Mutant::NoLimits) {
            (limits.stream_output, limits.replay, limits.sessions) = (1 << 30, 1 << 30, 1 << 30);
        }
        let mut endpoint = EndpointConfig::new(Security::of(address)).serving(&server);
        endpoint.limits = limits.clone();
        let mut config = SessionConfig::default();
        config.limits = limits.clone();
        Self {
            endpoint: Endpoint::new(endpoint),
            server: Arc::new(server),
            config: Arc::new(config),
            sessions: Sessions::new(&limits),
            served: BTreeMap::new(),
            next: 0,
            ways: BTreeMap::new(),
            entropy: Prng::of(seed, "entropy"),
            mutant,
            newest: String::new(),
            seen: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// A request has arrived, whole.
    pub(crate) fn arrive(&mut self, now: Timestamp, number: Number, request: Request) {
        if let Err(refusal) = self.serve(now, number, request) {
            let (head, body) = refusal.into_response().into_parts();
            let body = Some(Part::Bytes(body.into())).filter(|body| *body != Part::Bytes(Vec::new()));
            let parts = std::iter::once(Part::Head(head.status, head.headers)).chain(body).chain([Part::End]);
            self.ways.insert(number, Way::Known(parts.collect()));
        }
    }

    fn serve(&mut self, now: Timestamp, number: Number, request: Request) -> Result<(), Refusal> {
        let Request { parts, principal, body } = request;
        let refuse = |host: &Self, reason| host.endpoint.refusal(&parts.headers, reason);
        let Screened::Post { .. } = self.endpoint.screen(&parts)? else {
            let session = match self.endpoint.screen(&parts)? {
                Screened::Delete(id) => {
                    let owner = self.principal(&id, &principal);
                    let at = self.sessions.remove(&id, Some(&owner)).map_err(|reason| refuse(self, reason))?;
                    self.end(now, at);
                    let head = Part::Head(http::StatusCode::OK, http::HeaderMap::new());
                    self.ways.insert(number, Way::Known(VecDeque::from([head, Part::End])));
                    return Ok(());
                }
                Screened::Get(get) => get,
                Screened::Post { .. } => return Ok(()),
            };
            let owner = self.principal(&session.session, &principal);
            let found = self.sessions.find(now, &session.session, Some(&owner)).copied();
            let at = found.map_err(|reason| refuse(self, reason))?;
            let resume = session.last_event_id.as_ref().map(|id| self.mistaken(id));
            let opened = self.served.get_mut(&at).map(|served| {
                let version = served.connection.version();
                let Carrier::Session(it) = &mut served.carrier else { return Err(Reason::SessionUnknown) };
                it.open_get(now, version, resume.as_ref())
            });
            let key = opened.unwrap_or(Err(Reason::SessionUnknown)).map_err(|reason| refuse(self, reason))?;
            let place = Place { served: at, origin: key.origin() };
            self.seen.push(Seen::Opened { number, place, anew: session.last_event_id.is_none() });
            self.ways.insert(number, Way::Stream(at, key));
            self.settle(now, at);
            return Ok(());
        };
        let message = Message::scan(&body, &Limits::default());
        match self.endpoint.classify(&parts, message)? {
            Classified::Modern { version, message } => {
                let era = version.era();
                let exchange = Exchange::new(era, &message, &self.config.limits, now);
                let connection = Connection::server(Arc::clone(&self.server), Start::Assume(version), now);
                let at = self.begin(connection, Carrier::Exchange(Box::new(exchange)));
                self.ways.insert(number, Way::Exchange(at));
                self.seen.push(Seen::Opened { number, place: Place { served: at, origin: ALONE }, anew: false });
                self.feed(now, at, ALONE, message);
            }
            Classified::Legacy(LegacyCall::Initialize(message)) => {
                let mut connection = Connection::server(Arc::clone(&self.server), Start::Handshake, now);
                connection.handle_channel(now, Channel::Closed);
                let entropy = (u128::from(self.entropy.any()) << 64 | u128::from(self.entropy.any())).to_be_bytes();
                let id = SessionId::from_entropy(entropy);
                let session = Session::new(id.clone(), Arc::clone(&self.config));
                let at = self.next;
                let evicted =
                    self.sessions.insert(now, id, Some(&principal), at).map_err(|reason| refuse(self, reason))?;
                let at = self.begin(connection, Carrier::Session(Box::new(session)));
                if let Some(evicted) = evicted {
                    self.end(now, evicted);
                }
                self.post(now, number, at, message, &parts).map_err(|reason| refuse(self, reason))?;
            }
            Classified::Legacy(LegacyCall::InSession { session, message, .. }) => {
                let owner = self.principal(&session, &principal);
                let found = self.sessions.find(now, &session, Some(&owner)).copied();
                let at = found.map_err(|reason| refuse(self, reason).of(&message))?;
                let refused = message.clone();
                self.post(now, number, at, message, &parts).map_err(|reason| refuse(self, reason).of(&refused))?;
            }
            Classified::Legacy(LegacyCall::Sessionless { message, .. }) => {
                return Err(refuse(self, Reason::SessionMissing).of(&message));
            }
        }
        Ok(())
    }

    /// For whom a session is looked up.
    fn principal(&self, id: &SessionId, principal: &str) -> String {
        // A mutant lets everybody in: it asks for the owner whoever comes.
        let owners = ["alice", "bob"].into_iter();
        let mut owners = owners.filter(|owner| self.mutant == Some(Mutant::AnyPrincipal) && *owner != principal);
        let is_theirs = |owner: &&str| self.sessions.clone().find(Timestamp::EPOCH, id, Some(owner)).is_ok();
        owners.find(is_theirs).unwrap_or(principal).to_owned()
    }

    /// Where a stream is resumed.
    fn mistaken(&self, id: &EventId) -> EventId {
        let Some(place) = EventPlace::of(id) else { return id.clone() };
        match self.mutant {
            Some(Mutant::LosesOneOnResume) => EventPlace { number: place.number + 1, ..place }.id(),
            Some(Mutant::RepeatsOneOnResume) => EventPlace { number: place.number.saturating_sub(1), ..place }.id(),
            _ => id.clone(),
        }
    }

    fn begin(&mut self, connection: Connection, carrier: Carrier) -> usize {
        let at = self.next;
        self.next += 1;
        let (work, questions, by_id) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        self.served
            .insert(at, Served { connection, carrier, work, questions, by_id, initialized: false, left: Vec::new() });
        at
    }

    fn post(
        &mut self,
        now: Timestamp,
        number: Number,
        at: usize,
        message: Message,
        parts: &http::request::Parts,
    ) -> Result<(), Reason> {
        let served = self.served.get_mut(&at).ok_or(Reason::SessionUnknown)?;
        let version = served.connection.version();
        let Carrier::Session(session) = &mut served.carrier else { return Err(Reason::SessionUnknown) };
        let key = session.open_post(now, version, &message, Preference::of(&parts.headers))?;
        if let Some(id) = message.id().filter(|_| !message.method().is_empty()) {
            served.by_id.insert(serde_json::to_string(id).unwrap_or_default(), key.origin());
        }
        served.initialized |= message.method() == "notifications/initialized";
        let place = Place { served: at, origin: key.origin() };
        self.seen.push(Seen::Opened { number, place, anew: false });
        self.ways.insert(number, Way::Stream(at, key));
        self.feed(now, at, key.origin(), message);
        Ok(())
    }

    fn feed(&mut self, now: Timestamp, at: usize, origin: Origin, message: Message) {
        if let Some(served) = self.served.get_mut(&at) {
            served.connection.handle_message(now, origin, message);
        }
        self.settle(now, at);
    }

    /// The client of a response is gone.
    pub(crate) fn gone(&mut self, now: Timestamp, number: Number) {
        let Some(way) = self.ways.remove(&number) else { return };
        self.seen.push(Seen::Gone { number });
        match way {
            Way::Known(_) => {}
            Way::Exchange(at) => {
                let Some(served) = self.served.get_mut(&at) else { return };
                if self.mutant != Some(Mutant::RunsOn) {
                    served.connection.handle_disconnect(now, ALONE);
                }
                self.settle(now, at);
                if self.mutant != Some(Mutant::RunsOn) {
                    self.served.remove(&at);
                }
            }
            Way::Stream(at, key) => {
                let Some(served) = self.served.get_mut(&at) else { return };
                if let Carrier::Session(session) = &mut served.carrier {
                    session.detach(now, key);
                }
                served.left.push(key.origin());
                if self.mutant == Some(Mutant::DisconnectCancels) {
                    served.cancel(now, key.origin());
                }
                self.settle(now, at);
            }
        }
        self.seen.push(Seen::HeardOfIt { number });
    }

    /// A handler goes on.
    pub(crate) fn work(&mut self, now: Timestamp, job: Job) {
        let Some(served) = self.served.get_mut(&job.served) else { return };
        let Some(work) = served.work.get_mut(&job.id) else { return };
        let (tag, version) = (work.tag.clone(), served.connection.version());
        let again = |millis: u32| Some((Duration::from_millis(millis.into()), job));
        let more = work.done < work.plan.steps();
        work.done += 1;
        match work.plan {
            Plan::Progress(_, millis) if more => {
                let progress = Progress::new(f64::from(work.done)).with_message(format!("{tag} {}", work.done));
                let _ = served.connection.progress(now, job.id, progress);
                self.jobs.extend(again(millis));
            }
            Plan::Flood(_) if more => {
                let params =
                    LogParams::new(LoggingLevel::Error, json!(format!("{tag} {} {}", work.done, "x".repeat(3000))));
                if let Ok(body) = Body::log(&params) {
                    let _ = served.connection.notify(now, body, Scope::Within(job.id), None);
                }
                self.jobs.extend(again(20));
            }
            Plan::Suspend(_) if more => {
                let origin = work.origin;
                let progress = Progress::new(f64::from(work.done)).with_message(format!("{tag} {}", work.done));
                let _ = served.connection.progress(now, job.id, progress);
                self.settle(now, job.served);
                if let Some(Served { carrier: Carrier::Session(session), .. }) = self.served.get_mut(&job.served) {
                    // Before 2025-11-25 this is refused, and the response stays as it is.
                    let _ = session.suspend(now, origin, Duration::from_millis(700));
                }
                self.jobs.extend(again(400));
            }
            Plan::Ask if more && version.is_some_and(|version| version.era() == mcp_proto::Era::Legacy) => {
                let params = json!({ "message": tag, "requestedSchema": { "type": "object", "properties": {} } });
                let mut options = CallOptions::default();
                options.within = Some(job.id);
                let asked = Body::new("elicitation/create", &params)
                    .ok()
                    .map(|body| served.connection.request(now, body, options));
                match asked {
                    Some(Ok(asked)) => drop(served.questions.insert(asked, job.id)),
                    // Before 2025-06-18 nobody can be asked.
                    _ => self.jobs.push((Duration::ZERO, job)),
                }
            }
            Plan::Fail => {
                served.work.remove(&job.id);
                let _ = served.connection.reject(now, job.id, &ErrorObject::internal("it failed on purpose"));
                self.seen.push(Seen::Answered { tag });
            }
            plan => {
                served.work.remove(&job.id);
                let tag = if self.mutant == Some(Mutant::SharedState) { self.newest.clone() } else { tag };
                if let Ok(body) = Body::result(&result(&tag, plan)) {
                    let _ = served.connection.respond(now, job.id, ResultKind::Complete, body, None);
                }
                self.seen.push(Seen::Answered { tag });
            }
        }
        self.settle(now, job.served);
    }

    /// Something to say that belongs to no request, to every session.
    pub(crate) fn log(&mut self, now: Timestamp, text: &str) {
        for at in self.served.keys().copied().collect::<Vec<_>>() {
            let Some(served) = self.served.get_mut(&at) else { continue };
            if matches!(served.carrier, Carrier::Session(_))
                && let Ok(body) = Body::log(&LogParams::new(LoggingLevel::Error, json!(text)))
            {
                // Without a stream for it, it is dropped.
                let _ = served.connection.notify(now, body, Scope::Connection, None);
                self.settle(now, at);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        for at in self.served.keys().copied().collect::<Vec<_>>() {
            let Some(served) = self.served.get_mut(&at) else { continue };
            if served.poll_timeout().is_none_or(|due| due > now) {
                continue;
            }
            served.connection.handle_timeout(now);
            match &mut served.carrier {
                Carrier::Exchange(exchange) => exchange.handle_timeout(now),
                Carrier::Session(session) => session.handle_timeout(now),
            }
            self.settle(now, at);
        }
        if self.mutant != Some(Mutant::NeverExpires) {
            for expired in self.sessions.expire(now) {
                self.end(now, expired);
            }
        }
    }

    /// When it wants to be woken.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let expiry = self.sessions.poll_timeout().filter(|_| self.mutant != Some(Mutant::NeverExpires));
        self.served.values().filter_map(Served::poll_timeout).chain(expiry).min()
    }

    /// What a response is told next.
    pub(crate) fn poll_output(&mut self, now: Timestamp, number: Number) -> Option<Part> {
        let way = self.ways.get_mut(&number)?;
        let (part, at) = match way {
            Way::Known(parts) => (parts.pop_front(), None),
            Way::Exchange(at) | Way::Stream(at, _) => {
                let at = *at;
                let output = match (self.served.get_mut(&at).map(|served| &mut served.carrier), &*way) {
                    (Some(Carrier::Exchange(exchange)), _) => exchange.poll_output(),
                    (Some(Carrier::Session(session)), Way::Stream(_, key)) => session.poll_output(now, *key),
                    _ => Some(Output::End),
                };
                (output.map(Part::from), Some(at))
            }
        };
        let part = part?;
        if part == Part::End {
            self.ways.remove(&number);
        }
        if let Some(at) = at {
            self.settle(now, at);
        }
        Some(part)
    }

    /// Responses that are not over.
    pub(crate) fn open(&self) -> Vec<Number> {
        self.ways.keys().copied().collect()
    }

    pub(crate) fn take_jobs(&mut self) -> Vec<(Duration, Job)> {
        std::mem::take(&mut self.jobs)
    }

    pub(crate) fn take_seen(&mut self) -> Vec<Seen> {
        for seen in &self.seen {
            if let Seen::Began { tag } = seen {
                self.newest.clone_from(tag);
            }
        }
        std::mem::take(&mut self.seen)
    }

    /// How much of everything there is.
    pub(crate) fn holds(&self) -> Holds {
        let buffered = |served: &Served| match &served.carrier {
            Carrier::Exchange(exchange) => exchange.buffered(),
            Carrier::Session(session) => session.buffered(),
        };
        Holds {
            sessions: self.sessions.len(),
            served: self.served.len(),
            ways: self.ways.len(),
            work: self.served.values().map(|served| served.work.len()).sum(),
            largest: self.served.values().map(buffered).max().unwrap_or(0),
            is_timed: self.poll_timeout().is_some(),
        }
    }

    /// A session is over.
    fn end(&mut self, now: Timestamp, at: usize) {
        let Some(served) = self.served.get_mut(&at) else { return };
        served.connection.close(now, Duration::ZERO);
        if let Carrier::Session(session) = &mut served.carrier {
            self.seen.push(Seen::SessionOver { served: at });
            session.close(now);
        }
        served.work.clear();
        self.settle(now, at);
    }

    /// Carries everything where it belongs, until nothing moves.
    fn settle(&mut self, now: Timestamp, at: usize) {
        let Some(served) = self.served.get_mut(&at) else { return };
        loop {
            served.tell_channel(now);
            let mut moved = false;
            while let Some(event) = served.connection.poll_event() {
                moved = true;
                served.on_event(now, at, event, self.mutant, &mut self.seen, &mut self.jobs);
            }
            while served.has_room()
                && let Some(transmit) = served.connection.poll_transmit()
            {
                moved = true;
                served.carry(now, at, transmit, self.mutant, &mut self.seen);
            }
            if !moved {
                break;
            }
        }
        let is_over = match &mut served.carrier {
            Carrier::Exchange(exchange) => {
                if !served.connection.is_open(ALONE) && self.mutant != Some(Mutant::EndlessResponse) {
                    exchange.finish();
                }
                exchange.is_over()
            }
            Carrier::Session(session) => {
                let open: Vec<Origin> = session.open_origins().collect();
                let is_forgotten = |origin: &Origin| match self.mutant {
                    Some(Mutant::EndlessResponse) => true,
                    Some(Mutant::LostAnswer) => served.left.contains(origin),
                    _ => false,
                };
                let is_over = |origin: &Origin| !served.connection.is_open(*origin) && !is_forgotten(origin);
                for origin in open.into_iter().filter(is_over) {
                    session.ended(now, origin);
                }
                let is_busy = session.is_read() || !served.work.is_empty();
                let activity = if is_busy { Activity::Busy } else { Activity::Idle };
                self.sessions.set_activity(now, session.id(), activity);
                served.connection.is_drained() && !session.is_read()
            }
        };
        if is_over {
            self.served.remove(&at);
        }
    }
}

/// How much of everything a host has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    pub(crate) sessions: usize,
    pub(crate) served: usize,
    pub(crate) ways: usize,
    pub(crate) work: usize,
    /// Bytes that the largest session or exchange holds.
    pub(crate) largest: usize,
    pub(crate) is_timed: bool,
}
