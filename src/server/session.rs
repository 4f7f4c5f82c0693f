//! The client of a connection, as what handles its notifications sees it.

use std::fmt;
use std::sync::Arc;

use mcp_proto::jsonrpc::RequestId;
use mcp_proto::{Body, Peer, ProtocolVersion, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Server;
use crate::client::Request;
use crate::stream::{Call, Facts, Link, Shared, notify, reserve_id};
use crate::{Error, Result};

/// One connected client, outside of any request of it: what handlers of notifications are given.
///
/// Cheap to clone. It does not keep the connection open.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    server: Server,
}

impl Session {
    pub(super) fn new(shared: &Arc<Shared>, server: Server) -> Self {
        Self { shared: Arc::clone(shared), server }
    }

    /// Asks the client something: `roots/list`, say. Only clients until 2025-11-25 can be asked outside of a request.
    ///
    /// The request fails when the client did not declare what it needs, or the answer does not come or is no `T`.
    pub fn request<T: DeserializeOwned>(&self, method: &str, params: &impl Serialize) -> Request<T> {
        let body = Body::new(method, params).map_err(Error::from);
        Request::new(body.map(|body| Call::new(Link::One(Arc::clone(&self.shared), None), method.to_owned(), body)))
    }

    /// Tells the client something.
    ///
    /// # Errors
    ///
    /// When the notification cannot be sent now or at all.
    pub fn notify(&self, method: &str, params: &impl Serialize) -> Result<()> {
        notify(&self.shared, Body::new(method, params)?, Scope::Connection, None)
    }

    /// An id for a request that reaches the client by other means than [`request`](Self::request); its answer goes to a
    /// [`ResponseRouter`](crate::ResponseRouter).
    ///
    /// # Errors
    ///
    /// When too many are in use, or the connection is over.
    pub fn reserve_id(&self) -> Result<RequestId> {
        reserve_id(&self.shared)
    }

    /// Who it is, as it says of itself; `None` if there was no handshake.
    pub fn peer(&self) -> Option<Arc<Peer>> {
        self.facts()?.peer
    }

    /// The revision that was agreed on; `None` if there was no handshake.
    pub fn version(&self) -> Option<ProtocolVersion> {
        Some(self.facts()?.version)
    }

    /// The server's state of type `T`, if it has one; see [`Server::state`](crate::Server::state).
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.server.states().find()
    }

    /// The server that serves it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    fn facts(&self) -> Option<Facts> {
        self.shared.with(|state| state.facts.clone())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("peer", &self.peer()).finish_non_exhaustive()
    }
}
