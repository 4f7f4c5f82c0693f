//! Functions that can be handlers, in four forms, and the error by which they choose what the client sees.

use std::collections::BTreeMap;
use std::fmt;

use mcp_proto::{ErrorCode, ErrorObject};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::output::rpc_error;
use super::tool::{Plain, WithArguments, WithBoth, WithContext};
use crate::stream::BoxFuture;

/// A function that can be the handler of a resource, a template, a prompt, a completion or a method: an async closure or
/// function over nothing, an input, a [`Context`], or both in the order `(context, input)`. `M` tells the forms apart and is
/// inferred.
pub trait Handler<M>: Send + Sync + 'static {
    /// What it takes besides the context; `()` if it takes nothing.
    type Input;
    /// What it gives.
    type Output;

    /// Calls it.
    fn call(&self, context: Context, input: Self::Input) -> impl Future<Output = Self::Output> + Send + 'static;
}

impl<F, Fut> Handler<Plain> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
{
    type Input = ();
    type Output = Fut::Output;

    fn call(&self, _: Context, (): ()) -> impl Future<Output = Fut::Output> + Send + 'static {
        self()
    }
}

impl<F, A, Fut> Handler<WithArguments<A>> for F
where
    F: Fn(A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned,
    Fut: Future + Send + 'static,
{
    type Input = A;
    type Output = Fut::Output;

    fn call(&self, _: Context, input: A) -> impl Future<Output = Fut::Output> + Send + 'static {
        self(input)
    }
}

impl<F, Fut> Handler<WithContext> for F
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
{
    type Input = ();
    type Output = Fut::Output;

    fn call(&self, context: Context, (): ()) -> impl Future<Output = Fut::Output> + Send + 'static {
        self(context)
    }
}

impl<F, A, Fut> Handler<WithBoth<A>> for F
where
    F: Fn(Context, A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned,
    Fut: Future + Send + 'static,
{
    type Input = A;
    type Output = Fut::Output;

    fn call(&self, context: Context, input: A) -> impl Future<Output = Fut::Output> + Send + 'static {
        self(context, input)
    }
}

/// What a handler was filled in with: strings by name.
pub(super) type Strings = BTreeMap<String, String>;

/// What a handler leads to, its types forgotten.
pub(super) type Outcome<T> = BoxFuture<Result<T, HandlerError>>;

/// An error of a handler of a resource, prompt, completion or method: what of it the client sees.
///
/// `?` makes one of any error. Then the client is told in one sentence that it failed, and the error goes to the log only, since
/// it may name files or hosts. The other constructors choose what the client sees.
///
/// ```
/// use mcp::{HandlerError, Resource};
///
/// let notes = Resource::new("notes://today", "today", async || -> Result<String, HandlerError> {
///     if !std::fs::exists("today.md")? {
///         return Err(HandlerError::not_found("nothing was noted today"));
///     }
///     Ok(std::fs::read_to_string("today.md")?)
/// });
/// ```
#[derive(Clone, Debug)]
pub struct HandlerError {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Hidden(String),
    NotFound(String),
    Rpc(ErrorObject),
}

impl HandlerError {
    /// What was asked for is not there: for a resource the error code of its revision for that, else −32602.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { kind: Kind::NotFound(message.into()) }
    }

    /// What was asked makes no sense: −32602.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: Kind::Rpc(ErrorObject::invalid_params(message)) }
    }

    /// An error of the protocol as it stands.
    pub fn rpc(code: impl Into<ErrorCode>, message: impl Into<String>) -> Self {
        Self { kind: Kind::Rpc(ErrorObject::new(code, message)) }
    }

    /// The same with data, where it is an error that the client sees as it stands.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        if let Kind::Rpc(error) = &mut self.kind {
            error.data = Some(data.into());
        }
        self
    }

    /// A failure whose text goes to the log only.
    pub fn hidden(text: impl fmt::Display) -> Self {
        // The alternate form shows the chain of causes where an error type has one.
        Self { kind: Kind::Hidden(format!("{text:#}")) }
    }

    /// What the client is told. `what` names what failed, as in "Error reading resource x"; `missing` is the code for what is not
    /// there, and its data.
    pub(super) fn tell(self, what: &str, missing: (ErrorCode, Option<Value>)) -> ErrorObject {
        match self.kind {
            Kind::Rpc(error) => error,
            Kind::NotFound(message) => {
                let mut error = ErrorObject::new(missing.0, message);
                error.data = missing.1;
                error
            }
            Kind::Hidden(text) => {
                tracing::error!(error = text, "{what}");
                ErrorObject::internal(what)
            }
        }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Hidden(text) | Kind::NotFound(text) => f.write_str(text),
            Kind::Rpc(error) => error.fmt(f),
        }
    }
}

// Not an `Error` itself, or this conversion from every error would overlap with the one from itself.
impl<E: std::error::Error + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        if let Some(error) = rpc_error(&error) {
            return Self { kind: Kind::Rpc(error) };
        }
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self { kind: Kind::Hidden(text) }
    }
}
