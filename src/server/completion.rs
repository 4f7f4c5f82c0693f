//! Completing arguments of prompts and variables of templates while they are typed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mcp_proto::model::Completion;
use serde::Deserialize;

use super::context::Context;
use super::handler::{Handler, HandlerError, Outcome, Strings};

/// What is known while an argument is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Partial {
    /// What was typed so far.
    pub value: String,
    /// The arguments that have their values already, as far as the client tells.
    pub arguments: BTreeMap<String, String>,
}

impl Partial {
    pub(super) fn new(value: String, arguments: Strings) -> Self {
        Self { value, arguments }
    }
}

impl From<Partial> for String {
    fn from(partial: Partial) -> Self {
        partial.value
    }
}

impl From<Partial> for () {
    fn from(_: Partial) {}
}

/// By the name of the argument.
pub(super) type Completers = BTreeMap<String, Completer>;

/// A handler that completes.
#[derive(Clone)]
pub(super) struct Completer(Arc<dyn Fn(Context, Partial) -> Outcome<Completion> + Send + Sync>);

impl Completer {
    pub(super) fn new<M, H>(handler: H) -> Self
    where
        H: Handler<M, Input: From<Partial>, Output: CompletionOutput>,
    {
        Self(Arc::new(move |context, partial| {
            let running = handler.call(context, partial.into());
            Box::pin(async move { running.await.into_completion().map(fit) })
        }))
    }

    pub(super) fn complete(&self, context: Context, partial: Partial) -> Outcome<Completion> {
        (self.0)(context, partial)
    }
}

impl fmt::Debug for Completer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer").finish_non_exhaustive()
    }
}

/// As many values as may be sent; that there are more is told.
fn fit(mut completion: Completion) -> Completion {
    let given = completion.values.len();
    if given > Completion::MOST {
        completion.values.truncate(Completion::MOST);
        let given = i64::try_from(given).unwrap_or(i64::MAX);
        completion.total = Some(completion.total.map_or(given, |total| total.max(given)));
        completion.has_more = Some(true);
    }
    completion
}

/// What a completion's handler may return: the values, the most relevant first; a whole [`Completion`]; or an `Option` or
/// `Result` of these, where `None` is no values.
pub trait CompletionOutput: Send + 'static {
    /// The completion.
    ///
    /// # Errors
    ///
    /// What is to be answered instead.
    fn into_completion(self) -> Result<Completion, HandlerError>;
}

impl<T: Into<String> + Send + 'static> CompletionOutput for Vec<T> {
    fn into_completion(self) -> Result<Completion, HandlerError> {
        Ok(Completion::of(self))
    }
}

impl CompletionOutput for Completion {
    fn into_completion(self) -> Result<Completion, HandlerError> {
        Ok(self)
    }
}

impl<T: CompletionOutput> CompletionOutput for Option<T> {
    fn into_completion(self) -> Result<Completion, HandlerError> {
        self.map_or_else(|| Vec::<String>::new().into_completion(), T::into_completion)
    }
}

impl<T: CompletionOutput, E: Into<HandlerError> + Send + 'static> CompletionOutput for Result<T, E> {
    fn into_completion(self) -> Result<Completion, HandlerError> {
        self.map_err(Into::into)?.into_completion()
    }
}
