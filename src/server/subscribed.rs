//! What the client of one connection is subscribed to, as far as the application wants to hear of the end of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_proto::InboundId;

use super::context::Context;
use super::hooks::UriHook;
use crate::stream::{BoxFuture, handle_contained};

/// By what a resource is subscribed to: by a `subscriptions/listen`, or by the session (until 2025-11-25).
pub(super) type By = Option<InboundId>;

/// Shared by the handlers of one connection. Each subscription is taken out once, so its end is told once.
#[derive(Clone, Default)]
pub(super) struct Subscribed(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// With the context of the request that subscribed.
    open: BTreeMap<(By, String), Context>,
    is_over: bool,
}

impl Subscribed {
    /// Remembers a subscription; false if the connection is over, so that nobody else will tell its end.
    pub(super) fn begin(&self, by: By, uri: String, context: Context) -> bool {
        let mut held = self.held();
        let is_over = held.is_over;
        let replaced = held.open.insert((by, uri), context);
        drop(held);
        drop(replaced);
        !is_over
    }

    /// Takes the session's subscription to a resource out.
    pub(super) fn take(&self, uri: &str) -> Option<Context> {
        self.held().open.remove(&(None, uri.to_owned()))
    }

    /// Whether a request is a listen that has subscribed to something.
    pub(super) fn has(&self, request: InboundId) -> bool {
        self.held().open.keys().any(|(by, _)| *by == Some(request))
    }

    /// Tells the end of a listen.
    pub(super) fn end(&self, listen: InboundId, hook: UriHook) -> BoxFuture<()> {
        self.tell(hook, move |by| *by == Some(listen))
    }

    /// The same of everything, at the connection's end.
    pub(super) fn end_all(&self, hook: UriHook) -> BoxFuture<()> {
        self.held().is_over = true;
        self.tell(hook, |_| true)
    }

    fn tell(&self, hook: UriHook, is_meant: impl Fn(&By) -> bool + Send + 'static) -> BoxFuture<()> {
        let held = self.clone();
        Box::pin(async move {
            while let Some(((_, uri), context)) = held.take_one(&is_meant) {
                let hook = Arc::clone(&hook);
                let told = async move {
                    if let Err(error) = hook(context, uri.clone()).await {
                        tracing::debug!(%error, uri, "telling the end of a subscription");
                    }
                };
                // One by one, so that one that panics takes no other along.
                handle_contained("resources/unsubscribe", Box::pin(told)).await;
            }
        })
    }

    fn take_one(&self, is_meant: impl Fn(&By) -> bool) -> Option<((By, String), Context)> {
        let mut held = self.held();
        let key = held.open.keys().find(|(by, _)| is_meant(by)).cloned()?;
        held.open.remove_entry(&key)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
