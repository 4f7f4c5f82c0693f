//! What a server of the modern era tells of itself; mirrors the specification's Discovery page (2026-07-28 and later).

use alloc::string::String;
use alloc::vec::Vec;

use super::ProtocolVersion;
use super::caching::CacheScope;
use super::lifecycle::ServerCapabilities;
use super::wire::{Integer, wire_struct};

wire_struct! {
    /// The result of `server/discover`. Who the server is stands in `_meta`.
    pub struct DiscoverResult except "resultType" {
        /// The revisions that the server speaks, as it wrote them: some may be ones that this crate does not know.
        required supported_versions: Vec<String> = "supportedVersions",
        /// What the server supports.
        required capabilities: ServerCapabilities = "capabilities",
        /// How to use the server, for a language model.
        optional(with_instructions) instructions: String = "instructions",
        /// For how many milliseconds the result is fresh (2026-07-28 and later); read it with `ttl`.
        optional(with_ttl_ms) ttl_ms: i64 as Integer = "ttlMs",
        /// Who may keep the result (2026-07-28 and later).
        optional(with_cache_scope) cache_scope: CacheScope = "cacheScope",
    }
}

impl DiscoverResult {
    /// The revisions that the server speaks and this crate knows, in the server's order.
    pub fn known_versions(&self) -> impl Iterator<Item = ProtocolVersion> {
        self.supported_versions.iter().filter_map(|version| version.parse().ok())
    }
}
