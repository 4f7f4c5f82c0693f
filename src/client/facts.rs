//! What a connected client knows of its server.

use std::sync::Arc;

use mcp_proto::model::{Capability, Implementation, ServerCapabilities};
use mcp_proto::{Era, Peer, PeerCapabilities, ProtocolVersion};

use super::{Client, UNKNOWN};

/// What the handshake brought. It stays the same as long as the connection lives.
impl Client {
    /// The negotiated revision.
    pub fn version(&self) -> ProtocolVersion {
        self.facts().map_or(UNKNOWN, |facts| facts.version)
    }

    /// The era that the negotiated revision belongs to.
    pub fn era(&self) -> Era {
        self.version().era()
    }

    /// Who the server is, as it says of itself: for display, never for decisions about trust.
    pub fn server(&self) -> Option<Arc<Peer>> {
        self.facts()?.peer
    }

    /// The server's name, version and more, as it says of itself; see [`server`](Self::server). A server of 2026-07-28 need
    /// not say: then the name is empty.
    pub fn server_info(&self) -> Option<Implementation> {
        self.server().map(|server| server.info.clone())
    }

    /// What the server declares to offer.
    pub fn capabilities(&self) -> Option<ServerCapabilities> {
        match &self.server()?.capabilities {
            PeerCapabilities::Server(offered) => Some(offered.clone()),
            PeerCapabilities::Client(_) => None,
        }
    }

    /// The server's hints for the model on how to use it.
    pub fn instructions(&self) -> Option<String> {
        self.server()?.instructions.clone()
    }

    /// Whether the server offers tools.
    pub fn has_tools(&self) -> bool {
        self.offers(Capability::Tools)
    }

    /// Whether the server offers resources.
    pub fn has_resources(&self) -> bool {
        self.offers(Capability::Resources)
    }

    /// Whether the server offers prompts.
    pub fn has_prompts(&self) -> bool {
        self.offers(Capability::Prompts)
    }

    /// Whether the server completes arguments. One of 2024-11-05 cannot say: try it.
    pub fn has_completions(&self) -> bool {
        self.offers(Capability::Completions)
    }

    /// Whether the server sends log messages.
    pub fn has_logging(&self) -> bool {
        self.offers(Capability::Logging)
    }

    /// Whether the server declares this capability, or this part of one.
    pub fn offers(&self, capability: Capability) -> bool {
        self.server().is_some_and(
            |server| matches!(&server.capabilities, PeerCapabilities::Server(offered) if offered.offers(capability)),
        )
    }
}
