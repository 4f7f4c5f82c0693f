//! HTTP with SSE of 2024-11-05: one stream of events for everything that a server says, and a path to which its client posts.
//!
//! Specification: basic/transports (2024-11-05), HTTP with SSE. Deprecated since 2025-03-26, and still what old clients speak.
//!
//! A client opens the stream with GET. The first event names where it posts its messages; each POST is answered with 202, and what comes of
//! it is an event of the stream. The end of the stream ends the session.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Output;
use super::ids::SessionId;
use super::limits::HttpLimits;
use super::shape::{Shape, events_head};
use super::sse::{self, Event};
use crate::{Timestamp, Transmit};

/// The parameter of the query that names a session.
const SESSION: &str = "session_id";

/// Where clients post their messages: a path on the server that they have opened the stream of.
///
/// ```
/// use mcp_proto::http::{MessagePath, SessionId};
///
/// let path = MessagePath::new("messages/")?;
/// let id = SessionId::from_entropy([1; 16]);
/// let told = path.for_session(&id);
/// assert_eq!(told, "/messages/?session_id=01010101010101010101010101010101");
/// assert_eq!(MessagePath::session_in(told.split_once('?').map(|(_, query)| query)), Some(id));
/// # Ok::<(), mcp_proto::http::PathFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePath(String);

/// What is wrong with a path for messages. A client resolves it against where it opened the stream, so it must not lead anywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathFault {
    /// It names a scheme: it is a whole URL.
    Scheme,
    /// It begins with `//`, which names another server.
    Authority,
    /// It has a query; the session's id becomes one.
    Query,
    /// It has a fragment.
    Fragment,
    /// It has something else that stands in no path: white space, a control character, a backslash, or what is not ASCII.
    Character(char),
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path for messages must be relative to the server: ")?;
        match self {
            Self::Scheme => f.write_str("it names a scheme"),
            Self::Authority => f.write_str("it begins with //, which names another server"),
            Self::Query => f.write_str("it has a query"),
            Self::Fragment => f.write_str("it has a fragment"),
            Self::Character(found) => write!(f, "it has {found:?}"),
        }
    }
}

impl core::error::Error for PathFault {}

impl MessagePath {
    /// This path; a `/` is put before it if it lacks one.
    ///
    /// # Errors
    ///
    /// When it would lead a client elsewhere.
    pub fn new(path: &str) -> Result<Self, PathFault> {
        let is_foreign = |character: &char| !character.is_ascii_graphic() || *character == '\\';
        let fault = if path.contains("://") {
            Some(PathFault::Scheme)
        } else if path.starts_with("//") {
            Some(PathFault::Authority)
        } else if path.contains('?') {
            Some(PathFault::Query)
        } else if path.contains('#') {
            Some(PathFault::Fragment)
        } else {
            path.chars().find(is_foreign).map(PathFault::Character)
        };
        match fault {
            Some(fault) => Err(fault),
            None if path.starts_with('/') => Ok(Self(path.into())),
            None => Ok(Self(format!("/{path}"))),
        }
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a client is told: the path, and the session in the query.
    #[must_use]
    pub fn for_session(&self, session: &SessionId) -> String {
        // Ours are hexadecimal, so nothing in it needs to be escaped.
        format!("{}?{SESSION}={}", self.0, session.as_str())
    }

    /// The session that the query of a POST names, once.
    #[must_use]
    pub fn session_in(query: Option<&str>) -> Option<SessionId> {
        let named =
            |pair: &str| pair.split_once('=').filter(|(key, _)| *key == SESSION).map(|(_, id)| SessionId::parse(id));
        let mut ids = query?.split('&').filter_map(named);
        let first = ids.next().flatten();
        if ids.next().is_some() { None } else { first }
    }
}

/// The one stream of such a session, as its response reads it.
///
/// Its [`Connection`](crate::Connection) is like that of any other stream: everything comes and goes by
/// [`Origin::STREAM`](crate::Origin::STREAM), and what is not taken yet waits there. So take from the connection only while
/// [`wants_frames`](Self::wants_frames).
#[derive(Clone, Debug)]
pub struct SseStream {
    queue: VecDeque<Output>,
    /// Bytes in the queue.
    queued: usize,
    limit: usize,
    shape: Shape,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ending,
}

impl SseStream {
    /// The response to the GET that has opened this session.
    #[must_use]
    pub fn new(now: Timestamp, session: &SessionId, path: &MessagePath, limits: &HttpLimits) -> Self {
        let mut stream = Self {
            queue: VecDeque::new(),
            queued: 0,
            limit: limits.stream_output,
            shape: Shape::events(now, limits.keep_alive),
            state: State::Open,
        };
        stream.queue.push_back(Output::Head(events_head()));
        let (mut text, told) = (Vec::new(), path.for_session(session));
        sse::event(&mut text, &Event::new(told.as_bytes()).with_name("endpoint"));
        stream.push_data(text);
        stream
    }

    /// The connection wants this sent.
    pub fn push(&mut self, now: Timestamp, transmit: &Transmit) {
        if self.state == State::Open {
            let mut text = Vec::with_capacity(transmit.frame.len() + 24);
            sse::event(&mut text, &Event::new(&transmit.frame).with_name("message"));
            self.push_data(text);
            self.shape.commit(now);
        }
    }

    /// The session is over: the response ends once what is queued was taken.
    pub fn end(&mut self) {
        if self.state == State::Open {
            self.state = State::Ending;
            self.queue.push_back(Output::End);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.state == State::Open && self.shape.take_due(now).is_some() && self.queue.is_empty() {
            let mut text = Vec::new();
            sse::comment(&mut text, "");
            self.push_data(text);
        }
    }

    /// What the response is told next.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.queue.pop_front()?;
        if let Output::Data(data) = &output {
            self.queued -= data.len();
        }
        Some(output)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.state == State::Open { self.shape.poll_timeout() } else { None }
    }

    /// Whether the response takes what it is told, so that there is room for more.
    #[must_use]
    pub fn wants_frames(&self) -> bool {
        self.queued <= self.limit
    }

    /// Bytes that wait for the response.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.queued
    }

    fn push_data(&mut self, text: Vec<u8>) {
        self.queued += text.len();
        self.queue.push_back(Output::Data(text.into()));
    }
}

#[cfg(test)]
mod tests;
