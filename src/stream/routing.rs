//! Answers that belong to somebody else: they are offered to routers before the connection matches them with its own requests.

use std::fmt;
use std::sync::Arc;

use mcp_proto::Message;
use mcp_proto::jsonrpc::Kind;

use super::handling::contain;

/// Takes answers of the peer, results and errors alike, before they are matched with the requests of the connection.
///
/// For whoever sends requests in the connection's name by other means: through a queue, or as part of the answer to
/// `tasks/result`. Their ids come from [`Session::reserve_id`](crate::Session::reserve_id) or
/// [`Client::reserve_id`](crate::Client::reserve_id), so that no request of the connection has the same.
///
/// ```
/// use mcp::{Message, Routed, Server};
///
/// let server = Server::new("queue", "1.0.0").route_responses(|response: &Message| {
///     // Look up `response.id()` among what was sent ...
///     # let _ = response.id();
///     Routed::PassedOn
/// });
/// # drop(server);
/// ```
pub trait ResponseRouter: Send + Sync + 'static {
    /// Takes the answer, or passes it on. Called in the connection's own task: must not block.
    fn route(&self, response: &Message) -> Routed;
}

impl<F: Fn(&Message) -> Routed + Send + Sync + 'static> ResponseRouter for F {
    fn route(&self, response: &Message) -> Routed {
        self(response)
    }
}

/// What a [`ResponseRouter`] did with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// It was for the router; nobody else sees it.
    Taken,
    /// It goes on to the next router, and then to the connection.
    PassedOn,
}

/// The routers of a server or client, asked in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct Routers(Vec<Arc<dyn ResponseRouter>>);

impl Routers {
    pub(crate) fn push(&mut self, router: impl ResponseRouter) {
        self.0.push(Arc::new(router));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a router took the message, which may be any.
    pub(super) fn take(&self, message: &Message) -> bool {
        let is_answer = !self.0.is_empty() && matches!(message.kind(), Kind::Result | Kind::Error);
        // One that panics has not taken it.
        is_answer && self.0.iter().any(|router| contain(|| router.route(message)) == Ok(Routed::Taken))
    }
}

impl fmt::Debug for Routers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Routers({})", self.0.len())
    }
}
