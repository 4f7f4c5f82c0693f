//! What a listener allows its clients.

/// The limits of a listener.
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
            #[cfg(unix)]
            mode: 0o600,
        }
    }
}
