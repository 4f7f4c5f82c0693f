//! Prompts: messages that a server offers as templates.

use std::fmt;
use std::sync::Arc;

use mcp_proto::model::{self, ContentBlock, GetPromptResult, ListPromptsResult, PromptArgument, PromptMessage};
use mcp_proto::{Body, EncodeError, ErrorObject};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::completion::{Completer, Completers, CompletionOutput, Partial};
use super::context::Context;
use super::definition::{Definition, Fault};
use super::described::described;
use super::handler::{Handler, HandlerError, Outcome, Strings};
use super::registry::{Cache, Listed, Registry};
use super::serving::Threading;
use super::strings;
use crate::schema;

type Get = Arc<dyn Fn(Context, &Strings) -> Result<Outcome<GetPromptResult>, HandlerError> + Send + Sync>;

/// Messages for the model that a person picks and fills in: a name, a description, and an async function over a typed argument
/// struct.
///
/// ```
/// use mcp::Prompt;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Review {
///     /// The language of the code.
///     language: String,
///     /// How many remarks at most.
///     most: Option<u32>,
/// }
///
/// let review = Prompt::new("review", "Review some code", async |args: Review| {
///     format!("Review this {} code; at most {} remarks.", args.language, args.most.unwrap_or(10))
/// });
/// assert_eq!(review.definition().arguments.as_ref().map(Vec::len), Some(2));
/// ```
///
/// Arguments are strings on the wire; numbers, truth values and choices are read from them. The handler takes nothing, the
/// arguments, a [`Context`], or both. What it may return is told by [`PromptOutput`].
#[derive(Clone)]
pub struct Prompt {
    definition: model::Prompt,
    get: Get,
    threading: Threading,
    pub(super) completers: Completers,
}

impl Prompt {
    /// A prompt. `name` is what a client gets it by.
    pub fn new<M, H>(name: impl Into<String>, description: impl Into<String>, handler: H) -> Self
    where
        H: Handler<M, Output: PromptOutput>,
        H::Input: DeserializeOwned + JsonSchema,
    {
        let mut definition = model::Prompt::new(name).with_description(description);
        let arguments = arguments_of::<H::Input>();
        definition.arguments = (!arguments.is_empty()).then_some(arguments);
        let get = move |context, arguments: &Strings| {
            let input = strings::decode(arguments)
                .map_err(|fault| HandlerError::invalid(format!("prompts/get: params.arguments.{fault}")))?;
            let running = handler.call(context, input);
            Ok(Box::pin(async move { running.await.into_prompt() }) as Outcome<_>)
        };
        Self { definition, get: Arc::new(get), threading: Threading::Async, completers: Completers::default() }
    }

    /// Declares an argument by hand, in place of the one of its name: for handlers that take a map, or to say more than the type
    /// does.
    #[must_use]
    pub fn argument(mut self, argument: PromptArgument) -> Self {
        let arguments = self.definition.arguments.get_or_insert_default();
        match arguments.iter_mut().find(|known| known.name == argument.name) {
            Some(known) => *known = argument,
            None => arguments.push(argument),
        }
        self
    }

    /// Completes an argument while it is typed. The handler takes what was typed (`String`), or with it the arguments that have
    /// their values already ([`Partial`]), and maybe a [`Context`]. At most 100 values are sent; how many there are is told.
    ///
    /// ```
    /// use mcp::{Partial, Prompt};
    ///
    /// let prompt = Prompt::new("greet", "Greet", async |args: std::collections::BTreeMap<String, String>| format!("{args:?}"))
    ///     .argument(mcp::model::PromptArgument::new("city"))
    ///     .complete("city", async |partial: Partial| {
    ///         let cities = ["Paris", "Pisa", "Rome"].into_iter();
    ///         cities.filter(|city| city.starts_with(&partial.value)).collect::<Vec<_>>()
    ///     });
    /// # drop(prompt);
    /// ```
    #[must_use]
    pub fn complete<M, H>(mut self, argument: impl Into<String>, handler: H) -> Self
    where
        H: Handler<M, Input: From<Partial>, Output: CompletionOutput>,
    {
        self.completers.insert(argument.into(), Completer::new(handler));
        self
    }

    /// For a handler that blocks: it runs on a thread of its own, off the executor.
    #[must_use]
    pub fn blocking(mut self) -> Self {
        self.threading = Threading::Blocking;
        self
    }

    /// What clients are told about it.
    pub fn definition(&self) -> &model::Prompt {
        &self.definition
    }

    pub(super) fn threading(&self) -> Threading {
        self.threading
    }

    pub(super) fn has(&self, argument: &str) -> bool {
        self.arguments().any(|known| known.name == argument)
    }

    /// What is missing of these arguments, if anything is.
    pub(super) fn check(&self, given: &Strings) -> Result<(), ErrorObject> {
        let missing = self.arguments().find(|it| it.required == Some(true) && !given.contains_key(&it.name));
        let Some(missing) = missing else { return Ok(()) };
        let text = format!("the prompt {:?} needs the argument {:?}", self.definition.name, missing.name);
        Err(ErrorObject::invalid_params(text))
    }

    fn arguments(&self) -> impl Iterator<Item = &PromptArgument> {
        self.definition.arguments.iter().flatten()
    }

    pub(super) fn get(&self, context: Context, arguments: &Strings) -> Result<Outcome<GetPromptResult>, HandlerError> {
        (self.get)(context, arguments)
    }
}

/// An argument for each field.
fn arguments_of<T: JsonSchema>() -> Vec<PromptArgument> {
    let schema = schema::of_arguments::<T>();
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let argument = |(name, field): (&String, &Value)| {
        let text = |key| field.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut argument = PromptArgument::new(name);
        argument.title = text("title");
        argument.description = text("description");
        argument.required = Some(required.contains(&name.as_str()));
        argument
    };
    fields.map(argument).collect()
}

described!(Prompt);

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt").field("definition", &self.definition).finish_non_exhaustive()
    }
}

impl Listed for Prompt {
    type Wire = model::Prompt;
    const WHAT: &'static str = "prompt";
    const LIST: &'static str = "prompts/list";

    fn wire(&self) -> &model::Prompt {
        &self.definition
    }

    fn key(&self) -> &str {
        &self.definition.name
    }

    fn registry(definition: &mut Definition) -> &mut Registry<Self> {
        &mut definition.prompts
    }

    fn faults(&self) -> Vec<Fault> {
        let unknown = self.completers.keys().filter(|name| !self.has(name));
        unknown.map(|name| (None, format!("the prompt {:?} has no argument {name:?}", self.definition.name))).collect()
    }

    fn page(items: Vec<model::Prompt>, next: Option<String>, cache: Option<&Cache>) -> Result<Body, EncodeError> {
        let mut page = ListPromptsResult::new().with_prompts(items);
        page.next_cursor = next;
        match cache {
            Some(cache) => Body::result(&page.cached(cache.ttl, cache.scope.clone())),
            None => Body::result(&page),
        }
    }
}

/// What a prompt's handler may return.
///
/// Text (`String`, `&'static str`) or a content block, which is what the user says; messages; a whole [`GetPromptResult`]; or a
/// `Result` of any of these, whose error becomes a [`HandlerError`].
///
/// ```
/// use mcp::Prompt;
/// use mcp::model::{ContentBlock, PromptMessage};
///
/// let review = Prompt::new("review", "Review like this", async || {
///     vec![
///         PromptMessage::user(ContentBlock::text("What do you think of `let x = x;`?")),
///         PromptMessage::assistant(ContentBlock::text("It does nothing. Leave it out.")),
///         PromptMessage::user(ContentBlock::text("And of this?")),
///     ]
/// });
/// # drop(review);
/// ```
pub trait PromptOutput: Send + 'static {
    /// The result.
    ///
    /// # Errors
    ///
    /// What is to be answered instead.
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError>;
}

impl PromptOutput for String {
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
        ContentBlock::text(self).into_prompt()
    }
}

impl PromptOutput for &'static str {
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
        ContentBlock::text(self).into_prompt()
    }
}

impl PromptOutput for ContentBlock {
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
        PromptMessage::user(self).into_prompt()
    }
}

impl PromptOutput for PromptMessage {
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
        vec![self].into_prompt()
    }
}

impl PromptOutput for Vec<PromptMessage> {
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
        Ok(GetPromptResult::new().with_messages(self))
    }
}

impl PromptOutput for GetPromptResult {
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
        Ok(self)
    }
}

impl<T: PromptOutput, E: Into<HandlerError> + Send + 'static> PromptOutput for Result<T, E> {
    fn into_prompt(self) -> Result<GetPromptResult, HandlerError> {
        self.map_err(Into::into)?.into_prompt()
    }
}
