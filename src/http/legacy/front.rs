//! What stands between the connection of a session and its responses.

use std::sync::Arc;

use mcp_proto::http::Activity;
use mcp_proto::{Channel, Message, Origin, Timestamp, Transmit};

use super::live::PostStream;
use crate::http::caller::Caller;
use crate::stream::Shared;

/// A session as its driver sees it: where messages come from, and where frames go.
pub(super) trait Front: Send + Sync + 'static {
    /// The connection.
    fn shared(&self) -> &Arc<Shared>;

    /// What has come since it was last asked.
    fn take_came(&self) -> Vec<Came>;

    /// How much may be sent now, and whether there is a way to the client for what belongs to no request.
    fn outlook(&self) -> Outlook;

    /// Takes what the connection has to say, and tells when it has to be looked at again, and what it holds in memory. Whoever waits for it
    /// is woken.
    fn deliver(&self, now: Timestamp, delivery: Delivery) -> Next;

    /// The server is ending: what needs not stay open is closed.
    fn begin_end(&self, now: Timestamp);

    /// The connection is over, and so is everything here.
    fn over(&self, now: Timestamp);
}

/// A message that has come.
pub(super) struct Came {
    pub(super) origin: Origin,
    /// The number of the POST, which its message has as an attachment, and by which its sender is found again.
    pub(super) number: u64,
    pub(super) message: Message,
    pub(super) caller: Arc<Caller>,
    pub(super) stream: Option<PostStream>,
}

/// See [`Front::outlook`].
pub(super) struct Outlook {
    /// Bytes, roughly.
    pub(super) room: usize,
    pub(super) channel: Channel,
}

/// See [`Front::deliver`].
pub(super) struct Delivery {
    pub(super) frames: Vec<Transmit>,
    /// On these nothing is open any more.
    pub(super) ended: Vec<Origin>,
    /// Whether a call is in work.
    pub(super) activity: Activity,
}

/// See [`Front::deliver`].
pub(super) struct Next {
    pub(super) timeout: Option<Timestamp>,
    pub(super) bytes: usize,
}
