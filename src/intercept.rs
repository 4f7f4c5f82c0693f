//! Interceptors: what an application puts around every request and notification of its peer, on either side.

use std::fmt;
use std::sync::Arc;

use mcp_proto::jsonrpc::Kind;
use mcp_proto::{ErrorObject, Limits, Message, Peer, ProtocolVersion};
use serde::Serialize;
use serde_json::{Value, json};

use crate::stream::{Answer, BoxFuture, Reply};
use crate::{Error, Result};

/// Stands around every request and notification of the peer: looks on, refuses, rewrites, answers. For servers
/// ([`Server::intercept`](crate::Server::intercept)) and clients ([`ClientBuilder::intercept`](crate::ClientBuilder::intercept))
/// alike.
///
/// Those that were added first stand outermost. All requests come by that the connection lets pass: also those that it answers
/// itself (`initialize`, `ping`, `server/discover`, `logging/setLevel`), and on a client the questions that a server asks
/// instead of answering. What is malformed, not offered or not in this revision was refused before. Who sends an error to
/// `initialize` has no session with that client, which may try again; the handler of nothing else runs meanwhile.
///
/// ```
/// use mcp::{ErrorObject, Incoming, Interceptor, Next, Outcome};
///
/// struct NoDeleting;
///
/// impl Interceptor for NoDeleting {
///     async fn request(&self, request: Incoming, next: Next) -> Outcome {
///         if request.message().name() == Some("delete") {
///             return Outcome::error(ErrorObject::invalid_params("nothing is deleted here"));
///         }
///         let method = request.method().to_owned();
///         let outcome = next.run(request).await;
///         println!("{method}: {}", if outcome.as_error().is_some() { "refused" } else { "served" });
///         outcome
///     }
/// }
///
/// let server = mcp::Server::new("careful", "1").intercept(NoDeleting);
/// # drop(server);
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Handles a request, usually by letting it [go on](Next::run).
    fn request(&self, request: Incoming, next: Next) -> impl Future<Output = Outcome> + Send {
        next.run(request)
    }

    /// Looks at a notification: gives it back, or another one, or `None` if nobody is to hear of it. Must not block.
    ///
    /// Called with each in the order in which they come, before the connection itself hears of it: who keeps
    /// `notifications/cancelled` or `notifications/progress` back, or one that comes on a subscription, keeps it from whatever
    /// it is for. It may come before the connection has judged it, so before any handshake, or about what there is not.
    fn notification(&self, message: Message) -> Option<Message> {
        Some(message)
    }
}

/// A request on its way to its handler.
pub struct Incoming {
    message: Message,
    peer: Option<Arc<Peer>>,
    version: ProtocolVersion,
}

impl Incoming {
    pub(crate) fn new(message: Message, peer: Option<Arc<Peer>>, version: ProtocolVersion) -> Self {
        Self { message, peer, version }
    }

    /// Its method.
    pub fn method(&self) -> &str {
        self.message.method()
    }

    /// The request as it came, or as it was rewritten. A question that came instead of an answer has no id of its own: it is 0.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Who asks, as it says of itself: for display, never for decisions about trust. `None` before the handshake, but
    /// for `initialize`.
    pub fn peer(&self) -> Option<&Arc<Peer>> {
        self.peer.as_ref()
    }

    /// The revision in which it asks; of `initialize` the one in which it will be answered.
    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Puts other parameters in the place of those that came; `_meta` stays. What the connection itself has understood of the
    /// request (who gets progress, which resource is subscribed to, who begins a session) stays as well.
    ///
    /// # Errors
    ///
    /// When the parameters are no JSON object.
    pub fn set_params(&mut self, params: &impl Serialize) -> Result<()> {
        let wrong = |error| Error::Result { what: format!("{} (rewritten)", self.method()), error };
        let mut params = serde_json::to_value(params).map_err(wrong)?;
        let Value::Object(members) = &mut params else {
            return Err(wrong(serde::de::Error::custom("parameters must be an object")));
        };
        if let Some(meta) = self.message.meta() {
            members.insert("_meta".to_owned(), serde_json::from_str(meta.as_str()).map_err(wrong)?);
        }
        let text = json!({ "jsonrpc": "2.0", "id": self.message.id(), "method": self.method(), "params": params });
        self.message = Message::scan(text.to_string().as_bytes(), &Limits::default());
        Ok(())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Incoming").field(&self.message).finish()
    }
}

/// What a request came to.
pub struct Outcome(Reply);

impl Outcome {
    /// A result. Its member `_meta`, if it has one, goes with it; keys of the connection's own win.
    ///
    /// A value that is no JSON object becomes the error −32603, since results are objects.
    pub fn result(result: &impl Serialize) -> Self {
        let failed = |error| ErrorObject::internal(format!("the result cannot be encoded: {error}"));
        Self(Answer::of(result).map_err(failed))
    }

    /// An error.
    pub fn error(error: ErrorObject) -> Self {
        Self(Err(error))
    }

    /// The result with its `_meta`, if it is one; what the connection adds is not in it yet. A question to the client and an
    /// opened subscription are none.
    pub fn to_result(&self) -> Option<Value> {
        let Ok(Answer::Result { body, meta }) = &self.0 else { return None };
        let mut result: Value = serde_json::from_str(&body.result_json()?).ok()?;
        if let Some(meta) = meta {
            result["_meta"] = Value::Object(meta.clone());
        }
        Some(result)
    }

    /// The error, if it is one.
    pub fn as_error(&self) -> Option<&ErrorObject> {
        self.0.as_ref().err()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(Answer::Result { body, .. }) => f.debug_tuple("Result").field(body).finish(),
            Ok(Answer::Question(input)) => f.debug_tuple("Question").field(input).finish(),
            Ok(Answer::Grant(granted)) => f.debug_tuple("Grant").field(granted).finish(),
            Err(error) => f.debug_tuple("Error").field(error).finish(),
        }
    }
}

/// The rest of the way: the further interceptors, then the handler.
pub struct Next {
    chain: Arc<[Link]>,
    at: usize,
    serve: Box<dyn FnOnce(Message) -> BoxFuture<Reply> + Send + Sync>,
}

/// An interceptor without its type.
pub(crate) type Link = Arc<dyn Intercept>;

impl Next {
    /// Goes on with the request.
    pub async fn run(mut self, request: Incoming) -> Outcome {
        match self.chain.get(self.at).cloned() {
            Some(link) => {
                self.at += 1;
                link.request(request, self).await
            }
            None => Outcome((self.serve)(request.message).await),
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("interceptors", &self.chain.len().saturating_sub(self.at)).finish_non_exhaustive()
    }
}

/// Leads a request past all interceptors; `serve` is what stands at the end.
pub(crate) fn lead(
    chain: &Arc<[Link]>,
    request: Incoming,
    serve: impl FnOnce(Message) -> BoxFuture<Reply> + Send + Sync + 'static,
) -> BoxFuture<Reply> {
    let next = Next { chain: Arc::clone(chain), at: 0, serve: Box::new(serve) };
    Box::pin(async move { next.run(request).await.0 })
}

/// Shows a notification to all interceptors: what is left of it.
pub(crate) fn show(chain: &[Link], message: Message) -> Option<Message> {
    let shown = chain.iter().try_fold(message, |message, link| link.notification(message))?;
    let is_one = shown.kind() == Kind::Notification;
    if !is_one {
        tracing::error!(kind = ?shown.kind(), "an interceptor made something else of a notification, which is dropped");
    }
    is_one.then_some(shown)
}

/// See [`Link`].
pub(crate) trait Intercept: Send + Sync {
    fn request(self: Arc<Self>, request: Incoming, next: Next) -> BoxFuture<Outcome>;
    fn notification(&self, message: Message) -> Option<Message>;
}

impl<I: Interceptor> Intercept for I {
    fn request(self: Arc<Self>, request: Incoming, next: Next) -> BoxFuture<Outcome> {
        Box::pin(async move { Interceptor::request(&*self, request, next).await })
    }

    fn notification(&self, message: Message) -> Option<Message> {
        Interceptor::notification(self, message)
    }
}
