//! Every bound of HTTP, beside those of a connection.

use core::time::Duration;

/// Every bound of the pure half of HTTP. Each says what it costs at worst.
///
/// ```
/// use mcp_proto::http::HttpLimits;
///
/// // For a machine with little memory.
/// let mut limits = HttpLimits::default();
/// (limits.body, limits.sessions, limits.replay) = (64 << 10, 100, 64 << 10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// Bytes of a request's body. Default 4 MiB. A longer one is refused (413), before it is read where its length is told.
    pub body: usize,
    /// How long an answer may take until its response becomes a stream of events, so that no proxy gives it up. Default 5 s.
    /// Until then the status is open, so that an error can have its own.
    pub late_commit: Duration,
    /// How long a stream of events may be silent until a comment is sent. Default 15 s, at least 1 ms. One is also sent at once when a stream
    /// is opened, since some proxies hold the head back until the first byte of the body.
    pub keep_alive: Duration,
    /// How long clients are asked to wait that are refused for want of room (503, `Retry-After`). Default 1 s.
    pub retry_after: Duration,
    /// Bytes that wait for one response and are not taken. Default 1 MiB. Over it, an exchange that stands alone takes no more from its
    /// connection, which has limits of its own, and a stream of a session is cut, to be resumed. One message is always taken.
    pub stream_output: usize,
    /// Sessions at once. Default 10 000. Over it, the one that was idle longest goes.
    pub sessions: usize,
    /// How long a session may be idle. Default 30 min. With a call in work it is not idle.
    pub session_idle: Duration,
    /// How long a session may be without `notifications/initialized` or anything else after `initialize`. Default 60 s.
    pub session_uninitialized: Duration,
    /// Streams of one session that are known, those included that have ended and are kept for replay. Default 1024.
    pub session_streams: usize,
    /// Bytes that one session keeps for replay. Default 1 MiB. A larger answer is kept alone.
    pub replay: usize,
    /// How long what was sent is kept for replay. Default 5 min.
    pub replay_age: Duration,
    /// How long a client is asked to wait before it comes back to a stream that was closed on purpose. Default 1 s.
    pub retry: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            late_commit: Duration::from_secs(5),
            keep_alive: Duration::from_secs(15),
            retry_after: Duration::from_secs(1),
            stream_output: 1 << 20,
            sessions: 10_000,
            session_idle: Duration::from_secs(30 * 60),
            session_uninitialized: Duration::from_secs(60),
            session_streams: 1024,
            replay: 1 << 20,
            replay_age: Duration::from_secs(5 * 60),
            retry: Duration::from_secs(1),
        }
    }
}
