//! Requests that the transport has lost, and sessions that the server does not know any more: what a driver knows where each request is
//! an exchange of its own, as over HTTP.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Connection;
use super::calls::Purpose;
use super::error::{CloseReason, RequestError};
use super::event::OutboundId;
use super::lifecycle::Phase;
use crate::Timestamp;
use crate::jsonrpc::ErrorObject;
use crate::model::Era;

/// Why no answer to a request comes any more, although the connection goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Lost {
    /// The request has not reached the server; the driver's words. It may be sent again.
    NotSent(String),
    /// The exchange broke after the request was sent; the driver's words. Nobody knows whether it was executed.
    MaybeExecuted(String),
    /// The server answered with an HTTP status instead of a response, or beside an error.
    Refused {
        /// The status.
        status: u16,
        /// The error of JSON-RPC in the body, if there was one.
        error: Option<Box<ErrorObject>>,
        /// For a person: what else there was to see.
        detail: String,
    },
}

impl Lost {
    /// Whether the server may have executed the request all the same, so that sending it again may do harm: an exchange that broke, or
    /// a status of the 500s, which anybody between here and there may have given.
    pub fn may_have_been_executed(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::MaybeExecuted(_) => true,
            Self::Refused { status, .. } => !(400..500).contains(status),
        }
    }

    /// Whether it tells which era the server is of. A server that cannot be reached, is overloaded or wants to know first who asks has
    /// not said so.
    fn tells_era(&self) -> bool {
        const OF_NO_ERA: [u16; 9] = [401, 402, 403, 407, 408, 421, 425, 429, 451];
        matches!(self, Self::Refused { status, .. } if *status < 500 && !OF_NO_ERA.contains(status))
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(cause) => write!(f, "not sent: {cause}"),
            Self::MaybeExecuted(cause) => write!(f, "lost, and it may have been executed: {cause}"),
            Self::Refused { status, error, detail } => {
                write!(f, "the server answered with status {status}")?;
                if let Some(error) = error {
                    write!(f, ": {error}")?;
                }
                if detail.is_empty() { Ok(()) } else { write!(f, " ({detail})") }
            }
        }
    }
}

impl core::error::Error for Lost {}

/// Whether calls can go on; see [`handle_hold`](Connection::handle_hold).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// They cannot from now on.
    Begins,
    /// They can again.
    Ends,
}

/// How many sessions may be forgotten in a minute, one after the other. A server that restarts, or that is moved to another node, does it
/// once; one behind a proxy that sends every request to another node forgets each session as soon as it has begun, and would be asked
/// for new ones for ever.
const FORGOTTEN: u32 = 5;

impl Connection {
    /// An input: a request of ours gets no answer any more. It ends with [`RequestError::Lost`], or with the error that came along with
    /// a status. A handle that is not open is ignored.
    ///
    /// What became of `server/discover` or `initialize` says which era the server is of, or ends the connection with the reason
    /// (specification 2026-07-28: basic/transports/streamable-http, Backwards Compatibility): statuses of the 400s are those of a server
    /// of the legacy era, unless an error of the modern era comes along; 401, 403, 429 and the like, the 500s and a network that
    /// fails tell nothing.
    pub fn handle_lost(&mut self, now: Timestamp, id: OutboundId, lost: Lost) {
        self.advance(now);
        self.output.take_back(id);
        let purpose = self.calls.purpose(id);
        let is_ours = purpose.is_some_and(|purpose| purpose != Purpose::Application);
        // What refuses `initialize` is told with its status, unless it is the answer to another question.
        let counts = |error: &ErrorObject| purpose != Some(Purpose::Initialize) || error.code.is_modern();
        let error = match lost {
            Lost::Refused { error: Some(error), .. } if !is_ours => RequestError::Rpc(*error),
            Lost::Refused { error: Some(ref error), .. } if lost.tells_era() && counts(error) => {
                RequestError::Rpc((**error).clone())
            }
            lost if is_ours && !lost.tells_era() => {
                self.lose_handshake(id, lost);
                return self.settle();
            }
            lost => RequestError::Lost(lost),
        };
        self.end_call(id, Err(error));
        self.settle();
    }

    /// An input: whether the transport waits for a person, who has to say who it is that asks. Meanwhile the clocks of all calls stand
    /// still, those of the handshake as well. Whoever waits so has a deadline of its own.
    pub fn handle_hold(&mut self, now: Timestamp, hold: Hold) {
        self.advance(now);
        self.is_held = hold == Hold::Begins;
        match hold {
            Hold::Begins => self.calls.pause(self.now),
            Hold::Ends => self.resume_clocks(),
        }
    }

    /// Nobody can tell which era the server is of. A late answer to the probe may have told it already.
    fn lose_handshake(&mut self, id: OutboundId, lost: Lost) {
        self.calls.remove(id);
        if self.lifecycle.phase == Phase::Initializing
            && let Some((version, peer)) = self.lifecycle.probe.kept.take()
        {
            return self.operate(version, Some(peer));
        }
        self.die(CloseReason::HandshakeLost(lost));
    }

    /// An input: the server does not know our session any more (specification, 2025-03-26 to 2025-11-25: basic/transports, Session
    /// Management). The handshake begins anew inside this connection, and [`Event::Ready`](super::Event::Ready) comes again. Until then
    /// requests are refused as before the first one.
    ///
    /// Our open requests end with [`RequestError::Lost`]: [`Lost::NotSent`] if they were still here, else [`Lost::MaybeExecuted`].
    /// Those in `kept` stay open: the driver knows that the server has not executed them, and sends them again in the new session, or
    /// still waits for their answers. What the server asked in the old session is cancelled. Subscriptions are gone with it: whoever
    /// holds them asks for them again at the next `Ready`.
    ///
    /// The connection ends with [`CloseReason::Forgotten`] if that happens more than five times a minute. Without a session of the legacy
    /// era it does nothing.
    pub fn handle_session_gone(&mut self, now: Timestamp, kept: &BTreeSet<OutboundId>) {
        self.advance(now);
        let is_in_session = self.lifecycle.phase == Phase::Operating && self.era() == Some(Era::Legacy);
        if self.closed || self.is_server() || !is_in_session {
            return;
        }
        for id in self.requests.live_ids() {
            self.cancel_request(id, Some("the session is gone".into()));
        }
        self.requests.unpark_all(|_| true);
        self.calls.tasks.clear();
        for id in self.calls.open.keys().copied().collect::<BTreeSet<_>>().difference(kept) {
            let lost = if self.output.take_back(*id) {
                Lost::NotSent("the session ended first".into())
            } else {
                Lost::MaybeExecuted("the session ended before the answer came".into())
            };
            self.end_call(*id, Err(RequestError::Lost(lost)));
        }
        // Answers and notices for a session that nobody knows.
        self.stats.dropped += self.output.discard();
        let minute = Duration::from_secs(60);
        let forgotten_until = self.lifecycle.forgotten_until.max(self.now) + minute / FORGOTTEN;
        self.lifecycle.forgotten_until = forgotten_until;
        if let Some(reason) = self.ending.clone() {
            // Nothing new begins any more.
            self.fail_calls(&reason);
        } else if forgotten_until > self.now + minute {
            self.die(CloseReason::Forgotten(FORGOTTEN));
        } else {
            (self.lifecycle.version, self.lifecycle.peer) = (None, None);
            self.initialize();
        }
        self.settle();
    }
}
