//! What a listener allows its clients.

use std::time::Duration;

/// The limits of a listener. What all connections may buffer together is the server's: [`Server::budget`](crate::Server::budget).
///
/// ```
/// use mcp::net::ListenOptions;
///
/// let options = ListenOptions::default().connections(100);
/// # drop(options);
/// ```
#[derive(Clone, Debug)]
pub struct ListenOptions {
    pub(super) connections: usize,
    pub(super) silence: Duration,
    #[cfg(unix)]
    pub(super) mode: u32,
}

impl ListenOptions {
    /// How many clients may be connected at once: 4096 by default. Whoever comes then is disconnected at once, and so knows it at once;
    /// the others notice nothing.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// How long a client may be connected without having said anything: 60 seconds by default. Then it is disconnected, so that its place
    /// is free for others. After its first message it may be silent for as long as it likes.
    #[must_use]
    pub fn silence(mut self, longest: Duration) -> Self {
        self.silence = longest;
        self
    }

    /// The permissions of a Unix socket's file, such as `0o660` for the group to connect, too. By default `0o600`: only this user.
    #[cfg(unix)]
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            connections: 4096,
            silence: Duration::from_secs(60),
            #[cfg(unix)]
            mode: 0o600,
        }
    }
}
