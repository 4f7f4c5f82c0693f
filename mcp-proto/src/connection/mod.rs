//! The connection: one side of one MCP session as a state machine.

mod calls;
mod config;
mod end;
mod error;
mod event;
mod exchanges;
mod extension;
mod faults;
mod freeze;
mod inbound;
mod lifecycle;
mod logging;
mod lost;
mod mismatch;
mod outbound;
mod own;
mod probe;
mod progress;
mod queue;
mod requests;
mod reserved;
mod rounds;
mod stats;
mod subscription;
mod task;
mod timer;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub use config::{ClientConfig, Limits, OwnAnswers, ServerConfig};
pub use error::{CloseReason, RequestError, RespondError, Rule, SendError, TimedOut, Why};
pub use event::{
    About, Attachment, CallOptions, Change, Channel, Deadlines, Event, InboundId, InputRequired, Meta, Origin,
    OutboundId, Peer, PeerCapabilities, RequestMeta, ResultKind, Rounds, Scope, Start, Transmit, Wanted,
};
pub use extension::Extension;
pub use freeze::{FreezeError, ThawError};
pub use lost::{Hold, Lost};
pub use stats::Stats;

use self::calls::Calls;
use self::lifecycle::{Lifecycle, Phase};
use self::queue::{Events, Output};
use self::requests::Requests;
use self::subscription::Changes;
use self::timer::{Timer, Timers};
use crate::Timestamp;
use crate::jsonrpc::{Body, ErrorObject, Kind, Message};
use crate::line::LineBuffer;
use crate::model::{Era, Progress, ProtocolVersion, SubscriptionFilter};

/// One side of one MCP connection: a pure function of what it is told and when.
///
/// It does no I/O, has no clock and never calls back. Its methods are of four kinds:
///
/// - **Inputs** tell what came from outside: [`handle_input`](Self::handle_input),
///   [`handle_message`](Self::handle_message), [`handle_eof`](Self::handle_eof),
///   [`handle_broken`](Self::handle_broken), [`handle_disconnect`](Self::handle_disconnect),
///   [`handle_channel`](Self::handle_channel), [`handle_lost`](Self::handle_lost),
///   [`handle_session_gone`](Self::handle_session_gone), [`handle_hold`](Self::handle_hold), [`handle_timeout`](Self::handle_timeout). They are infallible: whatever the
///   peer sends becomes a reply, a counter or an event. Late, early and spurious calls do nothing.
/// - **Commands** tell what the application wants: [`request`](Self::request), [`cancel`](Self::cancel),
///   [`notify`](Self::notify), [`progress`](Self::progress), [`respond`](Self::respond), [`require_input`](Self::require_input),
///   [`grant`](Self::grant), [`changed`](Self::changed), [`supply_input`](Self::supply_input), [`reject`](Self::reject),
///   [`release`](Self::release), [`close`](Self::close). They are safe back to back. What is refused comes back with the
///   reason.
/// - **Outputs** tell what to do next: [`poll_transmit`](Self::poll_transmit) (or [`drain_lines`](Self::drain_lines)),
///   [`poll_event`](Self::poll_event), [`poll_timeout`](Self::poll_timeout). After any input or command, and after
///   taking output, poll the first two until both return `None`, then read the third. Polling twice yields nothing new.
/// - **Getters** change nothing.
///
/// Two promises hold for every call order, and whatever the peer does: each [`OutboundId`] gets exactly one
/// [`Event::Response`], and [`Event::Closed`] comes exactly once, last. Memory stays within [`Limits`].
///
/// The run loop, with a client and a server in one process and a wire made of two vectors:
///
/// ```
/// use std::sync::Arc;
/// use mcp_proto::{Body, CallOptions, ClientConfig, Connection, Event, ServerConfig, Start, Timestamp};
/// use mcp_proto::model::Implementation;
///
/// let now = Timestamp::EPOCH;
/// let mut client = Connection::client(Arc::new(ClientConfig::new(Implementation::new("client", "1"))), now);
/// let config = Arc::new(ServerConfig::new(Implementation::new("server", "1")));
/// let mut server = Connection::server(config, Start::Handshake, now);
/// let mut answer = None;
/// while answer.is_none() {
///     let mut wire = Vec::new();
///     client.drain_lines(&mut wire, usize::MAX);
///     server.handle_input(now, &wire);
///     while let Some(event) = server.poll_event() {
///         // A real server answers `Event::Request` here. The core itself answers `initialize` and `ping`.
///     }
///     let mut wire = Vec::new();
///     server.drain_lines(&mut wire, usize::MAX);
///     client.handle_input(now, &wire);
///     while let Some(event) = client.poll_event() {
///         match event {
///             Event::Ready { .. } => {
///                 client.request(now, Body::empty("ping")?, CallOptions::default())?;
///             }
///             Event::Response { result, .. } => answer = Some(result),
///             _ => {}
///         }
///     }
/// }
/// let (_, message) = answer.expect("the loop ran until then")?;
/// assert_eq!(message.result().map(|result| result.as_str()), Some("{}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    side: Side,
    limits: Limits,
    /// The latest moment seen; time never goes back.
    now: Timestamp,
    lifecycle: Lifecycle,
    lines: LineBuffer,
    calls: Calls,
    requests: Requests,
    changes: Changes,
    output: Output,
    events: Events,
    timers: Timers,
    channel: Channel,
    /// Whether somebody was refused as `Full`, or waits for room in the output only; told by `Event::Writable`.
    wants_writable: bool,
    wants_room: bool,
    /// Whether the clocks of all calls stand still, since nothing can be sent now.
    is_held: bool,
    /// Set once the end has begun: why. Requests in work may still be answered.
    ending: Option<CloseReason>,
    /// Set with `Event::Closed`.
    closed: bool,
    /// Whether the peer has ended its output.
    input_ended: bool,
    /// The leaky bucket of broken rules: the moment at which it will be empty again.
    strikes_until: Timestamp,
    stats: Stats,
}

#[derive(Clone, Debug)]
enum Side {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

/// Construction.
impl Connection {
    /// A client's side. Its `initialize` is queued at once; [`Event::Ready`] tells when requests may be sent.
    pub fn client(config: Arc<ClientConfig>, now: Timestamp) -> Self {
        let limits = config.limits.clone();
        let mut connection = Self::new(Side::Client(config), limits, now);
        connection.begin_handshake();
        connection
    }

    /// A server's side.
    pub fn server(config: Arc<ServerConfig>, start: Start, now: Timestamp) -> Self {
        let limits = config.limits.clone();
        let mut connection = Self::new(Side::Server(config), limits, now);
        if let Start::Assume(version) = start {
            connection.assume(version);
        }
        connection
    }

    fn new(side: Side, limits: Limits, now: Timestamp) -> Self {
        Self {
            side,
            now,
            lifecycle: Lifecycle::default(),
            lines: LineBuffer::new(limits.frame),
            calls: Calls::new(&limits),
            requests: Requests::new(&limits),
            changes: Changes::default(),
            output: Output::new(limits.output),
            events: Events::new(limits.events),
            limits,
            timers: Timers::default(),
            channel: Channel::default(),
            wants_writable: false,
            wants_room: false,
            is_held: false,
            ending: None,
            closed: false,
            input_ended: false,
            strikes_until: now,
            stats: Stats::default(),
        }
    }
}

/// Inputs.
impl Connection {
    /// Takes bytes of a stream transport; returns how many. Fewer than all only when
    /// [`wants_input`](Self::wants_input) became false: offer the rest again later.
    pub fn handle_input(&mut self, now: Timestamp, bytes: &[u8]) -> usize {
        self.advance(now);
        let mut rest = bytes;
        while self.wants_input() {
            let Some(line) = self.lines.next(&mut rest) else { break };
            let message = Message::scan_line(line, &self.limits);
            self.handle_message(now, Origin::STREAM, message);
        }
        // After the end nobody reads any more: everything counts as taken.
        if self.closed { bytes.len() } else { bytes.len() - rest.len() }
    }

    /// Takes one message that came by `origin`, scanned by the caller.
    pub fn handle_message(&mut self, now: Timestamp, origin: Origin, message: Message) {
        self.advance(now);
        if self.closed || self.input_ended {
            return;
        }
        self.stats.received += 1;
        if !self.on_batch(origin, &message) {
            self.on_message(origin, message);
        }
        self.settle();
    }

    /// The peer has ended its output. Our open requests fail at once. A server may still answer what is in work, for
    /// `Limits::drain`; a client has nobody left to answer.
    pub fn handle_eof(&mut self, now: Timestamp) {
        self.advance(now);
        if !self.closed && !self.input_ended {
            self.on_eof();
        }
        self.settle();
    }

    /// The transport has failed in both directions. Everything open ends at once.
    pub fn handle_broken(&mut self, now: Timestamp, cause: &str) {
        self.advance(now);
        if !self.closed {
            self.die(CloseReason::Broken(cause.into()));
        }
    }

    /// Time has passed. Due is what `now` says, so a spurious or early call does nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        while !self.closed {
            let Some(timer) = self.timers.take_due(self.now) else { break };
            let reason = match timer {
                Timer::Stall => CloseReason::NotReading,
                Timer::Drain => self.ending.clone().unwrap_or(CloseReason::LocallyClosed),
                Timer::Verdict => {
                    self.overdue_verdict();
                    continue;
                }
            };
            self.die(reason);
        }
        self.expire_calls();
        self.settle();
    }
}

/// Commands.
impl Connection {
    /// Sends a request; its end comes as [`Event::Response`].
    ///
    /// # Errors
    ///
    /// When it cannot be sent now ([`Why::Full`], [`Why::NotReady`]) or at all; the body comes back.
    pub fn request(&mut self, now: Timestamp, body: Body, options: CallOptions) -> Result<OutboundId, SendError> {
        self.advance(now);
        let sent = self.send_request(body, options);
        self.settle();
        sent
    }

    /// Gives up a request of ours: its [`Event::Response`] comes at once with [`RequestError::Cancelled`], and the peer is
    /// told unless the request had not left yet. An empty reason is left out. A handle that is not open is ignored.
    pub fn cancel(&mut self, now: Timestamp, id: OutboundId, reason: &str) {
        self.advance(now);
        self.abandon_call(id, reason, RequestError::Cancelled);
        self.settle();
    }

    /// Sends a notification. A log message below the level that the peer has chosen is taken and dropped.
    ///
    /// # Errors
    ///
    /// When it cannot be sent now or at all; the body comes back.
    pub fn notify(&mut self, now: Timestamp, body: Body, scope: Scope, meta: Meta) -> Result<(), SendError> {
        self.advance(now);
        let sent = self.send_notification(body, scope, &meta);
        self.settle();
        sent
    }

    /// Reports progress on a request of the peer. Taken and dropped if the peer does not want any, or does not keep up.
    ///
    /// # Errors
    ///
    /// When the request is over, or the progress does not rise.
    pub fn progress(&mut self, now: Timestamp, id: InboundId, progress: Progress) -> Result<(), RespondError> {
        self.advance(now);
        let sent = self.send_progress(id, progress);
        self.settle();
        sent
    }

    /// Answers a request of the peer with a result.
    ///
    /// # Errors
    ///
    /// When the request is over, or the result is too large for a frame; then the peer gets an error instead.
    pub fn respond(
        &mut self,
        now: Timestamp,
        id: InboundId,
        kind: ResultKind,
        body: Body,
        meta: Meta,
    ) -> Result<(), RespondError> {
        self.advance(now);
        let sent = self.send_result(id, &kind, body, &meta);
        self.settle();
        sent
    }

    /// Answers a question of the server ([`Event::InputRequired`]): the request is sent again with the answers, each a result
    /// under the question's key.
    ///
    /// # Errors
    ///
    /// When the request is over, or waits for no input.
    pub fn supply_input(
        &mut self,
        now: Timestamp,
        id: OutboundId,
        responses: &BTreeMap<String, Body>,
    ) -> Result<(), RespondError> {
        self.advance(now);
        let sent = self.send_input(id, responses);
        self.settle();
        sent
    }

    /// Answers a request of the modern era with a question; the client asks again with the answers. The request is over with
    /// that on this side.
    ///
    /// # Errors
    ///
    /// When the request is over, its method or era knows no questions, or the client did not declare what it needs to
    /// answer; then the client got −32021.
    pub fn require_input(&mut self, now: Timestamp, id: InboundId, input: &InputRequired) -> Result<(), RespondError> {
        self.advance(now);
        let sent = self.send_input_required(id, input);
        self.settle();
        sent
    }

    /// Opens the subscription that the peer asked for with `subscriptions/listen`, for what of it `granted` allows.
    ///
    /// # Errors
    ///
    /// When the request is over or is none of that kind, or the acknowledgement would be too large; then the peer gets an error.
    pub fn grant(&mut self, now: Timestamp, id: InboundId, granted: &SubscriptionFilter) -> Result<(), RespondError> {
        self.advance(now);
        let sent = self.open_subscription(id, granted);
        self.settle();
        sent
    }

    /// Tells that something has changed. Whoever subscribed to it hears of it when the output has room, once for any number
    /// of changes meanwhile; so this is never refused.
    pub fn changed(&mut self, now: Timestamp, change: &Change) {
        self.advance(now);
        self.note_change(change);
        self.settle();
    }

    /// Answers a request of the peer with an error.
    ///
    /// # Errors
    ///
    /// When the request is over.
    pub fn reject(&mut self, now: Timestamp, id: InboundId, error: &ErrorObject) -> Result<(), RespondError> {
        self.advance(now);
        let sent = self.send_error(id, error);
        self.settle();
        sent
    }

    /// The handler of a cancelled request has ended: its slot is free. Or a task has ended: its progress is over. Ignored for
    /// a request that is still to be answered.
    pub fn release(&mut self, now: Timestamp, id: InboundId) {
        self.advance(now);
        self.requests.release(id);
        self.settle();
    }

    /// Ends the connection: takes no new requests in either direction, lets what is open finish for `grace`, then closes.
    /// With no grace it closes at once.
    pub fn close(&mut self, now: Timestamp, grace: Duration) {
        self.advance(now);
        if self.closed {
            return;
        }
        if grace.is_zero() {
            self.die(CloseReason::LocallyClosed);
        } else {
            self.begin_end(CloseReason::LocallyClosed, grace);
        }
        self.settle();
    }
}

/// Outputs.
impl Connection {
    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let mut transmit = self.output.pop()?;
        self.calls.note_left(transmit.about);
        self.stats.sent += 1;
        self.output_moved();
        transmit.last = transmit.origin != Origin::STREAM && !self.is_open(transmit.origin);
        Some(transmit)
    }

    /// The same for stream transports: appends frames, each with its line end, until `out` holds about `at_most` bytes.
    /// Returns whether any were appended.
    pub fn drain_lines(&mut self, out: &mut Vec<u8>, at_most: usize) -> bool {
        let drained = self.output.drain_lines(out, at_most, |about| self.calls.note_left(about));
        if drained > 0 {
            self.stats.sent += drained;
            self.output_moved();
        }
        drained > 0
    }

    /// The next thing that the application has to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while nothing waits.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.closed {
            return None;
        }
        [self.timers.next(), self.calls.next_deadline()].into_iter().flatten().min()
    }
}

/// Getters.
impl Connection {
    /// Whether the driver should read on. False for backpressure and after the end.
    ///
    /// Reading stops while events are not taken, while the application decides about an `initialize`, while a server's output
    /// is over its limit, and while as many requests of
    /// the peer wait for a place as the limits allow. The last does not apply while we wait for the peer ourselves: its
    /// answer has to be read, or both sides would wait for ever; requests that come meanwhile are refused.
    pub fn wants_input(&self) -> bool {
        let ended = self.closed || self.input_ended;
        let output_stuck = self.is_server() && self.output.is_full();
        let saturated = self.requests.is_full() && !self.calls.await_peer();
        let undecided = self.lifecycle.phase == Phase::AwaitingVerdict;
        !(ended || output_stuck || saturated || undecided || self.events.is_full())
    }

    /// The era of the session, once known.
    pub fn era(&self) -> Option<Era> {
        self.version().map(ProtocolVersion::era)
    }

    /// The negotiated revision, once known.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.lifecycle.version
    }

    /// Who the peer is, once known.
    pub fn peer(&self) -> Option<&Arc<Peer>> {
        self.lifecycle.peer.as_ref()
    }

    /// Whether the end has come and everything about it was taken: the connection may be dropped.
    pub fn is_drained(&self) -> bool {
        self.closed && self.events.is_empty() && self.output.is_empty()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}

/// What all the rooms share.
impl Connection {
    fn on_message(&mut self, origin: Origin, message: Message) {
        match message.kind() {
            Kind::Request => self.on_request(origin, message),
            Kind::Notification => self.on_notification(message),
            Kind::Result | Kind::Error => self.on_response(message),
            Kind::Malformed => self.on_malformed(origin, &message),
        }
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    fn is_server(&self) -> bool {
        matches!(self.side, Side::Server(_))
    }
}

#[cfg(test)]
mod tests;
