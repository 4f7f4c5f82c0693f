//! The server's side of its connections: how a request finds its handler.

use std::sync::Arc;

use mcp_proto::{ErrorObject, Message};

use super::Live;
use super::context::Context;
use super::definition::Definition;
use super::rounds::{Asking, Round};
use super::tool::Started;
use crate::Result;
use crate::stream::{BoxFuture, Handling, Inbound, Reply, Service, Shared};

/// See the module. Shared by all connections of a server.
pub(super) struct Serving {
    pub(super) live: Arc<Live>,
}

impl Service for Serving {
    fn handle(&self, shared: &Arc<Shared>, request: Inbound) -> Handling {
        let definition = self.live.definition();
        Serve { live: &self.live, definition: &definition, shared }.handle(request)
    }

    fn answer(&self, question: &Message) -> Result<BoxFuture<Reply>, ErrorObject> {
        // A server's own requests are answered or not; no client asks back.
        Err(ErrorObject::method_not_found(question.method()))
    }

    fn notified(&self, _: &Arc<Shared>, message: Message) -> Option<BoxFuture<()>> {
        tracing::trace!(method = message.method(), "a notification that nobody waits for");
        None
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
    pub(super) live: &'a Live,
    pub(super) definition: &'a Definition,
    pub(super) shared: &'a Arc<Shared>,
}

impl Serve<'_> {
    pub(super) fn handle(&self, request: Inbound) -> Handling {
        let handled = match request.message.method() {
            "tools/list" => self.definition.tools.list(&request).map(|body| Handling::Now(Ok(body.into()))),
            "tools/call" => self.call_tool(request),
            method => Err(ErrorObject::method_not_found(method)),
        };
        handled.unwrap_or_else(|error| Handling::Now(Err(error)))
    }

    fn call_tool(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let name = named(&request)?;
        let Some(tool) = self.definition.tools.find(name) else {
            return Err(ErrorObject::invalid_params(format!("unknown tool: {name:.200}")));
        };
        let (tool, threading) = (Arc::clone(tool), tool.threading());
        self.ask_and_run(request, threading, move |context| tool.run(context))
    }

    /// Runs a handler that may ask the client.
    fn ask_and_run(
        &self,
        request: Inbound,
        threading: Threading,
        start: impl FnOnce(Context) -> Started + Send + 'static,
    ) -> Result<Handling, ErrorObject> {
        let round = Round::of(&request.message, request.meta.version)?;
        let asking = |handler: BoxFuture<Reply>| match &round {
            Some(round) => Box::pin(Asking::new(handler, Arc::clone(round))),
            None => handler,
        };
        let context = self.context(request, round.clone());
        if threading == Threading::Blocking {
            // Also the decoding of its arguments happens over there; it may be user code that blocks.
            return Ok(Handling::Blocking(asking(Box::pin(async move {
                match start(context) {
                    Ok(future) => future.await,
                    Err(reply) => reply,
                }
            }))));
        }
        Ok(match start(context) {
            Ok(future) => Handling::InPlace(asking(future)),
            Err(reply) => Handling::Now(reply),
        })
    }

    fn context(&self, request: Inbound, round: Option<Arc<Round>>) -> Context {
        Context::new(self.shared, request, Arc::clone(self.live.life.states()), round)
    }
}

/// The name that a request is about.
fn named(request: &Inbound) -> Result<&str, ErrorObject> {
    let message = &request.message;
    let missing = || ErrorObject::invalid_params(format!("{}: params.name must be a string", message.method()));
    message.name().ok_or_else(missing)
}
