//! Interceptors: what the application puts around every request and notification.

use std::fmt;
use std::sync::Arc;

use mcp_proto::{Body, ErrorObject, Limits, Message, Peer, ProtocolVersion};
use serde::Serialize;
use serde_json::{Value, json};

use crate::stream::{Answer, BoxFuture, Inbound, Reply};
use crate::{Error, Result};

/// Stands around every request and notification that the application serves: looks on, refuses, rewrites, answers.
///
/// Those that were added first stand outermost. What the core answers itself (`initialize`, `ping`, `server/discover`,
/// `logging/setLevel`) does not come by, nor does what was refused as malformed or not offered.
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
    fn notification(&self, message: Message) -> Option<Message> {
        Some(message)
    }
}

/// A request on its way to its handler.
pub struct Incoming(pub(super) Inbound);

impl Incoming {
    /// Its method.
    pub fn method(&self) -> &str {
        self.0.message.method()
    }

    /// The request as it came, or as it was rewritten.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// Who asks, as it says of itself: for display, never for decisions about trust.
    pub fn peer(&self) -> Option<&Arc<Peer>> {
        self.0.meta.peer.as_ref()
    }

    /// The revision in which it asks.
    pub fn version(&self) -> ProtocolVersion {
        self.0.meta.version
    }

    /// Puts other parameters in the place of those that came; `_meta` stays. What the connection itself has understood of the
    /// request (who gets progress, which resource is subscribed to) stays as well.
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
        if let Some(meta) = self.0.message.meta() {
            members.insert("_meta".to_owned(), serde_json::from_str(meta.as_str()).map_err(wrong)?);
        }
        let text = json!({ "jsonrpc": "2.0", "id": self.0.message.id(), "method": self.method(), "params": params });
        self.0.message = Message::scan(text.to_string().as_bytes(), &Limits::default());
        Ok(())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Incoming").field(&self.0.message).finish()
    }
}

/// What a request came to.
pub struct Outcome(pub(super) Reply);

impl Outcome {
    /// A result.
    ///
    /// A value that is no JSON object becomes the error −32603, since results are objects.
    pub fn result(result: &impl Serialize) -> Self {
        let failed = |error| ErrorObject::internal(format!("the result cannot be encoded: {error}"));
        Self(Body::result(result).map(Answer::from).map_err(failed))
    }

    /// An error.
    pub fn error(error: ErrorObject) -> Self {
        Self(Err(error))
    }

    /// The result, if it is one. A question to the client and an opened subscription are none.
    pub fn to_result(&self) -> Option<Value> {
        match &self.0 {
            Ok(Answer::Result { body, .. }) => serde_json::from_str(&body.result_json()?).ok(),
            _ => None,
        }
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
    serve: Arc<dyn Fn(Inbound) -> BoxFuture<Reply> + Send + Sync>,
}

/// An interceptor without its type.
pub(super) type Link = Arc<dyn Intercept>;

impl Next {
    pub(super) fn new(chain: Arc<[Link]>, serve: impl Fn(Inbound) -> BoxFuture<Reply> + Send + Sync + 'static) -> Self {
        Self { chain, at: 0, serve: Arc::new(serve) }
    }

    /// Goes on with the request.
    pub async fn run(mut self, request: Incoming) -> Outcome {
        match self.chain.get(self.at).cloned() {
            Some(link) => {
                self.at += 1;
                link.request(request, self).await
            }
            None => Outcome((self.serve)(request.0).await),
        }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("interceptors", &self.chain.len().saturating_sub(self.at)).finish_non_exhaustive()
    }
}

/// See [`Link`].
pub(super) trait Intercept: Send + Sync {
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
