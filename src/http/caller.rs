//! Who has sent a request, as far as HTTP knows.

use std::fmt;
use std::net::SocketAddr;

use http::HeaderMap;
use http::request::Parts;

/// Who has sent a request: where it came from, its headers, and what a hook has found out about who is behind it
/// ([`HttpOptions::authenticate`](super::HttpOptions::authenticate)). Handlers have it from [`Context::caller`](crate::Context::caller).
///
/// ```
/// use mcp::{Context, HandlerError, Tool};
///
/// async fn whoami(ctx: Context) -> Result<String, HandlerError> {
///     // Without the hook, or over another transport, nobody is known.
///     let principal = ctx.caller().and_then(|caller| caller.principal());
///     Ok(principal.ok_or(HandlerError::invalid("log in first"))?.to_owned())
/// }
/// # drop(Tool::new("whoami", "Who is calling", whoami));
/// ```
#[derive(Clone)]
pub struct Caller {
    principal: Option<String>,
    address: Option<SocketAddr>,
    head: Parts,
}

impl Caller {
    pub(super) fn new(address: Option<SocketAddr>, head: Parts) -> Self {
        Self { principal: None, address, head }
    }

    pub(super) fn head(&self) -> &Parts {
        &self.head
    }

    /// Who it is, by a name that is nobody else's: what the hook has found out. A session belongs to the principal that began it; to others
    /// it does not exist.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// Where the connection came from, if it has an address. Behind a proxy that is the proxy's.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The headers as they came: words of whoever sent them, or of proxies on the way.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// What the hook has left for handlers: the value of type `T`.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.head.extensions.get()
    }

    /// The same caller, found out to be this principal.
    #[must_use]
    pub fn with_principal(mut self, principal: impl Into<String>) -> Self {
        self.principal = Some(principal.into());
        self
    }

    /// The same caller with something left for handlers; one value of each type.
    #[must_use]
    pub fn with_extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.head.extensions.insert(value);
        self
    }
}

/// Without the values of headers, which may be secrets.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("principal", &self.principal)
            .field("address", &self.address)
            .field("headers", &self.head.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let request = http::Request::get("/?sesame").header("authorization", "Bearer sesame").body(()).unwrap();
        let caller = Caller::new(None, request.into_parts().0).with_principal("ann").with_extension("also sesame");
        let shown = format!("{caller:?}");
        assert!(shown.contains("ann") && shown.contains("authorization") && !shown.contains("sesame"), "{shown}");
        assert_eq!(caller.extension::<&str>(), Some(&"also sesame"));
    }
}
