//! Errors, sorted by whose fault they are: the peer's, our caller's, or the connection's end.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::lost::Lost;
use crate::jsonrpc::{Body, ErrorObject, Fault};
use crate::model::{Capability, ClientCapabilities};

/// Why a connection ended. Reported once, by [`Event::Closed`](super::Event::Closed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer ended its output.
    PeerClosed,
    /// [`Connection::close`](super::Connection::close) was called.
    LocallyClosed,
    /// The transport failed; the driver's words.
    Broken(String),
    /// The peer does not read: our output stayed over its limit.
    NotReading,
    /// All connections together held too much in memory, and this one had to go.
    Overloaded,
    /// The peer broke more rules than `Limits::strikes` allows.
    Misbehaved,
    /// The server did not answer `initialize` in time.
    HandshakeTimedOut(Duration),
    /// The server answered `initialize` with an error.
    HandshakeRefused(ErrorObject),
    /// The server chose a revision that we do not speak, or its answer to `initialize` could not be read.
    Incompatible(String),
    /// The handshake got no answer that says which era the server is of: it could not be reached, wants to know first who asks, or
    /// fails.
    HandshakeLost(Lost),
    /// The server forgot its sessions as soon as they had begun, so often in a minute.
    Forgotten(u32),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::LocallyClosed => f.write_str("the connection was closed on this side"),
            Self::Broken(cause) => write!(f, "the transport failed: {cause}"),
            Self::NotReading => f.write_str("the peer does not read what is sent to it"),
            Self::Overloaded => f.write_str("all connections together held too much in memory, and this one had to go"),
            Self::Misbehaved => f.write_str("the peer broke the rules of the protocol too often"),
            Self::HandshakeTimedOut(after) => write!(f, "the server did not answer initialize within {after:?}"),
            Self::HandshakeRefused(error) => write!(f, "the server refused initialize: {error}"),
            Self::Incompatible(why) => write!(f, "no common protocol revision: {why}"),
            Self::HandshakeLost(lost) => write!(f, "the handshake failed: {lost}"),
            Self::Forgotten(times) => write!(f, "the server forgot its sessions more than {times} times in a minute"),
        }
    }
}

impl core::error::Error for CloseReason {}

/// How a request of ours failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// The peer answered with an error. All other variants are ours and never came over the wire.
    Rpc(ErrorObject),
    /// No answer in time; the peer was told to stop.
    TimedOut(TimedOut),
    /// Cancelled on this side.
    Cancelled,
    /// The peer's answer is no valid response.
    InvalidResult(Fault),
    /// The server asks instead of answering, for something that we did not declare to give.
    Undeclared {
        /// The server's key of the question; its first 100 characters.
        key: String,
        /// The method of the question, as the server wrote it; likewise.
        method: String,
        /// What would have to be declared; `None` if it is nothing that may be asked so.
        needs: Option<Capability>,
    },
    /// The server asked for input more often than `ClientConfig::rounds` allows; how often.
    TooManyRounds(u32),
    /// The request with the answers that the server asked for is longer than `Limits::frame`; or what the server wants kept
    /// until then is, together with that of other calls, more than `Limits::events`.
    TooLarge,
    /// The transport has lost it, and the connection goes on.
    Lost(Lost),
    /// The connection ended first. The peer may have executed the request all the same.
    Closed(CloseReason),
}

/// Which of a call's two clocks ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedOut {
    /// Nothing was heard of the request for this long.
    Idle(Duration),
    /// The request took this long, progress or not.
    Cap(Duration),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpc(error) => write!(f, "the peer answered with an error: {error}"),
            Self::TimedOut(TimedOut::Idle(after)) => write!(f, "timed out: nothing heard for {after:?}"),
            Self::TimedOut(TimedOut::Cap(after)) => write!(f, "timed out: not finished after {after:?}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::InvalidResult(fault) => write!(f, "the peer's answer is no valid response: {fault}"),
            Self::Undeclared { key, method, needs: Some(needs) } => {
                let needed = serde_json::to_string(&ClientCapabilities::of(*needs)).unwrap_or_default();
                write!(f, "the server asks for {key:?} by {method}, and this client did not declare {needed}")
            }
            Self::Undeclared { key, method, needs: None } => {
                write!(f, "the server asks for {key:?} by {method}, which may not be asked so")
            }
            Self::TooManyRounds(rounds) => write!(f, "gave up: the server asked for input {rounds} times"),
            Self::TooLarge => {
                f.write_str("the request with the wanted input is too long, or the server wants too much kept for it")
            }
            Self::Lost(lost) => lost.fmt(f),
            Self::Closed(reason) => write!(f, "{reason} before the answer came; it may have been executed"),
        }
    }
}

impl core::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Rpc(error) => Some(error),
            Self::InvalidResult(fault) => Some(fault),
            Self::Lost(lost) => Some(lost),
            Self::Closed(reason) => Some(reason),
            Self::TimedOut(_) | Self::Cancelled | Self::Undeclared { .. } | Self::TooManyRounds(_) | Self::TooLarge => {
                None
            }
        }
    }
}

/// A request or notification was not taken. The body comes back, unchanged.
#[derive(Clone, Debug)]
pub struct SendError {
    /// Why.
    pub why: Why,
    /// What was to be sent.
    pub body: Body,
}

/// Why a request or notification was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The handshake is not finished: only `ping` may be sent. Wait for [`Event::Ready`](super::Event::Ready), or on a
    /// server for the client's first request.
    NotReady,
    /// A queue is full. [`Event::Writable`](super::Event::Writable) tells when to try again.
    Full,
    /// The message is longer than `Limits::frame`.
    TooLarge,
    /// The negotiated revision does not have this method, or it is not ours to send.
    NotInThisRevision,
    /// The peer did not declare the capability that this method needs.
    PeerLacks,
    /// We did not declare the capability or the extension that this needs.
    WeLack,
    /// It is of a kind that is told on subscriptions only, and this is none, or none for that.
    NotAsked,
    /// It belongs to no request of the peer's, and there is no way to the peer but by the answers to those: over HTTP no GET
    /// stream is open, or no sessions are kept.
    NoChannel,
    /// The request that it belongs to is answered or cancelled.
    Gone,
    /// The core sends this by itself, or it is a result and no message.
    NotYours,
    /// The connection is closing or closed.
    Closed,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the handshake is not finished yet",
            Self::Full => "the queue is full; try again when it is writable",
            Self::TooLarge => "the message is longer than the frame limit",
            Self::NotInThisRevision => "the negotiated protocol revision does not have this method on this side",
            Self::PeerLacks => "the peer did not declare the capability that this needs",
            Self::WeLack => "this side did not declare the capability that this needs",
            Self::NotAsked => "no subscription asks for this here",
            Self::NoChannel => "the peer can only be reached by way of its own requests now",
            Self::Gone => "the request that it belongs to is over",
            Self::NotYours => "the core sends this by itself, or it is a result and no message",
            Self::Closed => "the connection is closed",
        })
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was not sent: {}", self.body.method(), self.why)
    }
}

impl core::error::Error for SendError {}

/// An answer, or something said about a request of the peer, was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RespondError {
    /// The request is already answered, was cancelled, or died with the connection. Nothing is lost by ignoring this.
    Gone,
    /// The result is longer than `Limits::frame`. The peer got −32603 instead, so that it does not wait.
    TooLarge,
    /// This kind of result does not exist in the negotiated revision. The request is still open.
    NotInThisRevision,
    /// The body is a request or notification and no result. The request is still open.
    NotAResult,
    /// A question of the server has no answer among these. The request still waits.
    Incomplete,
    /// The client did not declare, with this request, the capability that the input needs; it got −32021 instead.
    PeerLacks,
    /// Progress must be finite and must rise.
    ProgressNotRising,
}

impl fmt::Display for RespondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the request is already answered or cancelled",
            Self::TooLarge => "the result is longer than the frame limit",
            Self::NotInThisRevision => "the negotiated protocol revision does not have this kind of result",
            Self::Incomplete => "a question of the server has no answer",
            Self::PeerLacks => "the client did not declare the capability that the input needs",
            Self::NotAResult => "the body is a request or notification and no result",
            Self::ProgressNotRising => "progress must be finite and greater than before",
        })
    }
}

impl core::error::Error for RespondError {}

/// A rule that the peer broke. One variant per rule; each is answered where an answer is possible, and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// A message must be a JSON-RPC message.
    Malformed(Fault),
    /// A child's stdout carries protocol only; a line that is no message is noise. Counted, but never held against it.
    Noise(Fault),
    /// The stream ended inside a message.
    EndedInMessage(Fault),
    /// A request must not reuse the id of one still in work.
    ReusedId,
    /// `initialize` comes once.
    SecondInitialize,
    /// Nothing but `ping` comes before the handshake.
    NotInitialized,
    /// In the modern era servers send no requests. Not answered: clients send no responses there.
    RequestFromServer,
    /// A notification's parameters must fit its method.
    BadNotification(Fault),
    /// Progress must be finite and must rise.
    ProgressNotRising,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(fault) => write!(f, "malformed message: {fault}"),
            Self::Noise(fault) => write!(f, "a line that is no message: {fault}"),
            Self::EndedInMessage(fault) => write!(f, "the stream ended inside a message: {fault}"),
            Self::ReusedId => f.write_str("a request reuses the id of one still in work"),
            Self::SecondInitialize => f.write_str("initialize came a second time"),
            Self::RequestFromServer => f.write_str("a server of the modern era sent a request"),
            Self::NotInitialized => f.write_str("came before the handshake"),
            Self::BadNotification(fault) => write!(f, "malformed notification: {fault}"),
            Self::ProgressNotRising => f.write_str("progress did not rise"),
        }
    }
}
