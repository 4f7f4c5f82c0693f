//! The server's side of its connections: how a request finds its handler.

use std::sync::Arc;

use mcp_proto::{Body, ErrorObject, InboundId, Message};

use super::context::Context;
use super::definition::Definition;
use super::rounds::Round;
use super::session::Session;
use super::subscribed::Subscribed;
use super::tool::Started;
use super::{Live, Server};
use crate::Result;
use crate::intercept::{self, Incoming, Link};
use crate::stream::{BoxFuture, Handling, Inbound, Reply, Routers, Service, Shared};
use crate::trace::Known;

/// See the module. Shared by all connections of a server.
pub(super) struct Serving {
    live: Arc<Live>,
    /// Those of the beginning: no change of what is offered changes them.
    interceptors: Arc<[Link]>,
    subscribed: Subscribed,
}

impl Service for Serving {
    fn routers(&self) -> &Routers {
        &self.live.routers
    }

    fn intercepts(&self) -> bool {
        !self.interceptors.is_empty()
    }

    fn arrived(&self, notification: Message) -> Option<Message> {
        intercept::show(&self.interceptors, notification)
    }

    fn handle(&self, shared: &Arc<Shared>, request: Inbound) -> Handling {
        let definition = self.live.definition();
        #[cfg(feature = "http")]
        if let Err(mismatch) = definition.check_headers(&request) {
            return Handling::Now(Err(mismatch));
        }
        if self.intercepts() {
            return self.intercepted(shared, definition, request);
        }
        let subscribed = &self.subscribed;
        Serve { live: &self.live, definition: &definition, shared, subscribed }.handle(request)
    }

    fn knows(&self, message: &Message) -> Known {
        if self.live.definition().knows(message) { Known::Here } else { Known::Nowhere }
    }

    fn answer(&self, question: &Message) -> Result<BoxFuture<Reply>, ErrorObject> {
        // A server's own requests are answered or not; no client asks back.
        Err(ErrorObject::method_not_found(question.method()))
    }

    fn notified(&self, shared: &Arc<Shared>, message: Message) -> Option<BoxFuture<()>> {
        let definition = self.live.definition();
        let Some(handler) = definition.notifications.get(message.method()) else {
            tracing::trace!(method = message.method(), "a notification that nobody waits for");
            return None;
        };
        handler(Session::new(shared, Server::of(&self.live)), &message)
    }

    fn gone(&self, request: InboundId) -> Option<BoxFuture<()>> {
        let hook = self.live.definition().hooks.unsubscribe.clone()?;
        self.subscribed.has(request).then(|| self.subscribed.end(request, hook))
    }

    fn ended(&self) -> Option<BoxFuture<()>> {
        let hook = self.live.definition().hooks.unsubscribe.clone()?;
        Some(self.subscribed.end_all(hook))
    }
}

impl Serving {
    pub(super) fn new(live: &Arc<Live>) -> Self {
        let interceptors = Arc::clone(&live.definition().interceptors);
        Self { live: Arc::clone(live), interceptors, subscribed: Subscribed::default() }
    }

    /// The way through the interceptors, with the handler at its end.
    fn intercepted(&self, shared: &Arc<Shared>, definition: Arc<Definition>, request: Inbound) -> Handling {
        let threading = definition.threading(&request);
        let (live, shared, subscribed) = (Arc::clone(&self.live), Arc::clone(shared), self.subscribed.clone());
        let incoming = Incoming::new(request.message.clone(), request.meta.peer.clone(), request.meta.version);
        let running = intercept::lead(&self.interceptors, incoming, move |message| {
            let request = Inbound { message, ..request };
            let serve = Serve { live: &live, definition: &definition, shared: &shared, subscribed: &subscribed };
            match serve.handle(request) {
                Handling::Now(reply) => Box::pin(std::future::ready(reply)),
                Handling::InPlace(future) | Handling::Blocking(future) => future,
            }
        });
        match threading {
            Threading::Async => Handling::InPlace(running),
            // All of it, since the handler cannot move to another thread in the middle.
            Threading::Blocking => Handling::Blocking(running),
        }
    }
}

/// How a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threading {
    /// On the executor.
    Async,
    /// On a thread of its own, since it blocks.
    Blocking,
}

/// One request, and the snapshot by which it is served to its end.
pub(super) struct Serve<'a> {
    pub(super) live: &'a Arc<Live>,
    pub(super) definition: &'a Definition,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) subscribed: &'a Subscribed,
}

impl Serve<'_> {
    pub(super) fn handle(&self, mut request: Inbound) -> Handling {
        if let Some(answer) = request.meta.own_answer.take() {
            // The connection's own business, which only interceptors want to see.
            return Handling::Now(Ok(answer.into()));
        }
        let list = |body: Result<Body, ErrorObject>| body.map(|body| Handling::Now(Ok(body.into())));
        let definition = self.definition;
        let handled = match request.message.method() {
            "tools/list" => list(definition.tools.list(&request)),
            "tools/call" => self.call_tool(request),
            "resources/list" => list(definition.resources.list(&request)),
            "resources/templates/list" => list(definition.templates.list(&request)),
            "resources/read" => self.read_resource(request),
            "resources/subscribe" => self.subscribe(request),
            "resources/unsubscribe" => self.unsubscribe(request),
            "prompts/list" => list(definition.prompts.list(&request)),
            "prompts/get" => self.get_prompt(request),
            "completion/complete" => self.complete(request),
            "subscriptions/listen" => self.listen(request),
            method => match definition.methods.get(method).cloned() {
                Some(method) => self.run(request, Threading::Async, move |context| method(context)),
                None => Err(ErrorObject::method_not_found(method)),
            },
        };
        handled.unwrap_or_else(|error| Handling::Now(Err(error)))
    }

    /// Runs a handler that may not ask in the stateless era, since its method cannot be answered with a question there.
    pub(super) fn run(
        &self,
        request: Inbound,
        threading: Threading,
        start: impl FnOnce(Context) -> Started + Send + 'static,
    ) -> Result<Handling, ErrorObject> {
        Ok(begin(self.context(request, None), threading, start, |handler| handler))
    }

    pub(super) fn context(&self, request: Inbound, round: Option<Round>) -> Context {
        Context::new(self.shared, request, Server::of(self.live), round)
    }
}

/// Starts a handler; `wrap` is what it runs in.
pub(super) fn begin(
    context: Context,
    threading: Threading,
    start: impl FnOnce(Context) -> Started + Send + 'static,
    wrap: impl FnOnce(BoxFuture<Reply>) -> BoxFuture<Reply>,
) -> Handling {
    if threading == Threading::Blocking {
        // Also the decoding of its arguments happens over there; it may be user code that blocks.
        return Handling::Blocking(wrap(Box::pin(async move {
            match start(context) {
                Ok(future) => future.await,
                Err(reply) => reply,
            }
        })));
    }
    match start(context) {
        Ok(future) => Handling::InPlace(wrap(future)),
        Err(reply) => Handling::Now(reply),
    }
}
