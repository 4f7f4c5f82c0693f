//! What the application wants to know or decide besides serving requests.

use std::sync::Arc;

use super::context::Context;
use super::handler::{HandlerError, Outcome};

/// A hook that is told a URI.
pub(super) type UriHook = Arc<dyn Fn(Context, String) -> Outcome<()> + Send + Sync>;

/// The hooks of a server.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) subscribe: Option<UriHook>,
    pub(super) unsubscribe: Option<UriHook>,
}

/// Forgets the types of a hook.
pub(super) fn uri_hook<E, Fut>(hook: impl Fn(Context, String) -> Fut + Send + Sync + 'static) -> UriHook
where
    E: Into<HandlerError>,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
{
    Arc::new(move |context, uri| {
        let running = hook(context, uri);
        Box::pin(async move { running.await.map_err(Into::into) })
    })
}
