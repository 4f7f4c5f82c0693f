//! How long results stay fresh, and for whom; mirrors the specification's Caching page (2026-07-28 and later).

use core::time::Duration;

use super::discover::DiscoverResult;
use super::prompts::ListPromptsResult;
use super::resources::{ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult};
use super::tools::ListToolsResult;
use super::wire::wire_enum;

wire_enum! {
    /// Who may keep a result and give it out again.
    pub enum CacheScope {
        /// Anyone, for anyone.
        Public = "public",
        /// Only whoever asked, for the same authorization.
        Private = "private",
    }
}

/// The members `ttlMs` and `cacheScope` mean the same in all six results that have them.
macro_rules! cacheable {
    ($($name:ident)*) => {
        $(
            impl $name {
                /// For how long the result is fresh: not at all, if the server does not say or says less than nothing.
                #[must_use]
                pub fn ttl(&self) -> Duration {
                    Duration::from_millis(self.ttl_ms.and_then(|ms| ms.try_into().ok()).unwrap_or(0))
                }

                /// Whether anyone may have the result: only if the server says so.
                #[must_use]
                pub fn is_public(&self) -> bool {
                    self.cache_scope == Some(CacheScope::Public)
                }

                /// The same result, fresh for this long (in whole milliseconds), for these.
                #[must_use]
                pub fn cached(self, ttl: Duration, scope: CacheScope) -> Self {
                    self.with_ttl_ms(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)).with_cache_scope(scope)
                }
            }
        )*
    };
}

cacheable! {
    DiscoverResult
    ListToolsResult
    ListResourcesResult
    ListResourceTemplatesResult
    ListPromptsResult
    ReadResourceResult
}
