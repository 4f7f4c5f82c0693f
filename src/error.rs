//! The one error type of the crate, sorted by whose fault it is.

use std::fmt;
use std::io;
use std::num::NonZeroI64;
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::model::{Capability, ElicitParams, StructuredError, UrlElicitationData};
use mcp_proto::{CloseReason, EncodeError, ErrorCode, ErrorObject, PageFault, RequestError, RespondError, Why};

use crate::client::GroupError;
use crate::process::Exit;
use crate::stream::NotRestarted;

/// What can go wrong with a client, a server, or a call. The [guide](crate::guide::errors) tells what to do about each.
///
/// ```
/// use mcp::{Error, RequestError};
///
/// fn advice(error: &Error) -> &'static str {
///     match error {
///         Error::Request { error: RequestError::Rpc(_), .. } => "the server says no",
///         Error::Request { error: RequestError::Closed(_), .. } => "it may have been done; look before you try again",
///         error if error.is_timeout() => "try again, or wait longer",
///         error if error.is_closed() => "connect again",
///         _ => "tell somebody",
///     }
/// }
/// # assert_eq!(advice(&std::io::Error::other("disk").into()), "tell somebody");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A request failed: the peer answered with an error, or no answer came.
    Request {
        /// The request's method, and what it was about: the name of the tool or prompt, the URI of the resource.
        what: String,
        /// The id that it had on the wire; `None` if it was never sent.
        id: Option<NonZeroI64>,
        /// How it failed.
        error: RequestError,
    },
    /// A request or notification could not be sent.
    Send {
        /// Its method.
        what: String,
        /// Why not.
        why: Why,
    },
    /// The client did not declare the capability that a question to it needs. It was not asked.
    ClientLacks {
        /// The question's method and key.
        what: String,
        /// What it should have declared.
        needs: Capability,
    },
    /// A question goes to the client when this run of the handler is over, and the handler is run again with the answer
    /// (2026-07-28). Handlers that block see this, and tasks that outlive their handler; it needs no handling.
    Asked {
        /// The question's method and key.
        what: String,
    },
    /// The peer's result does not have the shape that its method prescribes.
    Result {
        /// The request's method, and what it was about.
        what: String,
        /// Where and why.
        error: serde_json::Error,
    },
    /// A value of ours cannot be sent as JSON.
    Encode(EncodeError),
    /// A tool's result has no structured content of the wanted shape, or the tool failed.
    Structured(StructuredError),
    /// Something was said about a request that is over, or progress did not rise.
    Respond(RespondError),
    /// The connection ended, and not in the ordinary way.
    Closed(CloseReason),
    /// The server ended at the question which era it speaks, and was not asked again without.
    DiedOfProbe,
    /// The server, a child process, ended before the handshake was done.
    ServerEnded(Exit),
    /// The connection ended, and was [restarted](crate::Restart) as often as it may be. What failed with this was not sent.
    NotRestarted {
        /// The request's method, and what it was about.
        what: String,
        /// How often it was restarted, or tried to be ...
        restarts: usize,
        /// ... in how long.
        within: Duration,
        /// What went wrong last.
        last: Arc<Error>,
    },
    /// The server or the client is not well defined; each line says what to change.
    Definition(Vec<String>),
    /// A start hook failed.
    Start(String),
    /// The pages of a list do not end.
    Pages {
        /// The list's method.
        what: &'static str,
        /// How.
        fault: PageFault,
    },
    /// Something about a group of servers.
    Group(GroupError),
    /// The operating system refused something.
    Io(io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error object that the peer answered with, if that is what happened.
    pub fn rpc(&self) -> Option<&ErrorObject> {
        match self {
            Self::Request { error: RequestError::Rpc(error), .. } => Some(error),
            _ => None,
        }
    }

    /// The URLs that the person must open before the request is sent again, if a server of 2025-11-25 answered with that
    /// (specification: client/elicitation). Later servers ask instead.
    pub fn url_elicitations(&self) -> Option<Vec<ElicitParams>> {
        let error = self.rpc().filter(|error| error.code == ErrorCode::URL_ELICITATION_REQUIRED)?;
        error.typed_data::<UrlElicitationData>().map(|data| data.elicitations)
    }

    /// Whether the call ran out of time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Request { error: RequestError::TimedOut(_), .. })
    }

    /// Whether the connection, or the request's own exchange, ended while the peer had the request: nobody knows whether it was
    /// executed, and it was not sent again. Whoever sends it again must know that it does no harm twice.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Request { error: RequestError::Closed(_), .. } => true,
            Self::Request { error: RequestError::Lost(lost), .. } => lost.may_have_been_executed(),
            _ => false,
        }
    }

    pub(crate) fn not_restarted(what: &str, why: NotRestarted) -> Self {
        let NotRestarted { restarts, within, last } = why;
        Self::NotRestarted { what: what.to_owned(), restarts, within, last }
    }

    /// Whether the connection had ended.
    pub fn is_closed(&self) -> bool {
        matches!(
            self,
            Self::Closed(_)
                | Self::ServerEnded(_)
                | Self::NotRestarted { .. }
                | Self::Request { error: RequestError::Closed(_), .. }
                | Self::Send { why: Why::Closed, .. }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { what, id: Some(id), error } => write!(f, "{what} (id {id}): {error}"),
            Self::Request { what, id: None, error } => write!(f, "{what} (not sent): {error}"),
            Self::Send { what, why } => write!(f, "{what} was not sent: {why}"),
            Self::ClientLacks { what, .. } => {
                write!(f, "{what} was not sent: the client did not declare the capability that this needs")
            }
            Self::Asked { what } => write!(f, "{what} is asked; the handler is run again when the answer is there"),
            Self::Result { what, error } => write!(f, "the result of {what} has the wrong shape: {error}"),
            Self::Encode(error) => error.fmt(f),
            Self::Structured(error) => error.fmt(f),
            Self::Respond(error) => error.fmt(f),
            Self::Closed(reason) => reason.fmt(f),
            Self::DiedOfProbe => f.write_str("the server ended when it was asked which protocol revisions it speaks"),
            Self::ServerEnded(exit) => {
                write!(f, "the server ended before the handshake ({exit}); what it wrote to standard error may say why")
            }
            Self::NotRestarted { what, restarts, within, last } => write!(
                f,
                "{what} was not sent: the connection ended and was restarted {restarts} times within {within:?}, which is enough; \
                 the last time: {last}"
            ),
            Self::Definition(faults) => write!(f, "not well defined: {}", faults.join("; ")),
            Self::Start(error) => write!(f, "the start hook failed: {error}"),
            Self::Pages { what, fault } => write!(f, "{what} does not end: {fault}"),
            Self::Group(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Request { error, .. } => Some(error),
            Self::Result { error, .. } => Some(error),
            Self::Encode(error) => Some(error),
            Self::Structured(error) => Some(error),
            Self::Respond(error) => Some(error),
            Self::Closed(reason) => Some(reason),
            Self::Pages { fault, .. } => Some(fault),
            Self::Group(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::NotRestarted { last, .. } => Some(last),
            Self::Send { .. }
            | Self::ClientLacks { .. }
            | Self::Asked { .. }
            | Self::DiedOfProbe
            | Self::ServerEnded(_)
            | Self::Definition(_)
            | Self::Start(_) => None,
        }
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<StructuredError> for Error {
    fn from(error: StructuredError) -> Self {
        Self::Structured(error)
    }
}

impl From<RespondError> for Error {
    fn from(error: RespondError) -> Self {
        Self::Respond(error)
    }
}

/// What the peer is told when our handler failed so: the error of a peer of ours passes on, of anything else only that it was
/// one, since the text may hold what that peer must not see.
impl From<Error> for ErrorObject {
    fn from(error: Error) -> Self {
        match error {
            Error::Request { error: RequestError::Rpc(error), .. } => error,
            error => {
                tracing::warn!(%error, "a callback failed");
                Self::internal("the callback failed")
            }
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
