//! Tools: what a server offers, and the handlers behind it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::OnceLock;

#[cfg(feature = "http")]
use mcp_proto::http::headers::{ParamHeaders, SchemaFault};
use mcp_proto::model::{self, ArgumentFaults, CallToolResult, ListToolsResult, Rules, ToolAnnotations, UnknownDialect};
use mcp_proto::{Body, EncodeError, ErrorObject};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::context::Context;
use super::definition::{Definition, Fault, Lenient};
use super::described::described;
use super::output::ToolOutput;
use super::registry::{Cache, Listed, Registry};
use super::serving::Threading;
use crate::schema;
use crate::stream::{BoxFuture, Reply};

/// Something that the model can call: a name, a description, and an async function over a typed argument struct.
///
/// ```
/// use mcp::{Context, Tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Count {
///     /// How far to count.
///     to: u32,
/// }
///
/// let plain = Tool::new("double", "Double a number", async |args: Count| args.to * 2);
/// let with_context = Tool::new("count", "Count, and tell how far", async |ctx: Context, args: Count| {
///     for n in 1..=args.to {
///         ctx.progress(n, args.to)?;
///     }
///     Ok::<_, mcp::Error>(format!("counted to {}", args.to))
/// });
/// ```
///
/// The handler is an async closure or function over nothing, the arguments, a [`Context`], or both in the order
/// `(context, arguments)`. Doc comments on the argument struct's fields reach the model. What it may return is told by
/// [`ToolOutput`].
#[derive(Clone)]
pub struct Tool {
    definition: model::Tool,
    run: Arc<dyn Run>,
    threading: Threading,
    /// The arguments that calls over HTTP have in headers, too; read from the schema once somebody calls.
    #[cfg(feature = "http")]
    mirrored: OnceLock<ParamHeaders>,
}

impl Tool {
    /// A tool. `name` is what the model calls: 1 to 128 of `A-Z a-z 0-9 _ - .`.
    pub fn new<M: 'static>(
        name: impl Into<String>,
        description: impl Into<String>,
        handler: impl ToolHandler<M>,
    ) -> Self {
        let (input_schema, output_schema) = handler.schemas();
        let mut definition = model::Tool::new(name, input_schema).with_description(description);
        definition.output_schema = output_schema;
        Self {
            definition,
            run: Arc::new(Typed { handler, marker: PhantomData }),
            threading: Threading::Async,
            #[cfg(feature = "http")]
            mirrored: OnceLock::new(),
        }
    }

    /// For a handler that blocks (computes long, or waits without `await`): it runs on a thread of its own, off the
    /// executor, so that the connection stays responsive.
    ///
    /// Such a handler cannot be stopped from outside; it may ask [`Context::is_cancelled`].
    #[must_use]
    pub fn blocking(mut self) -> Self {
        self.threading = Threading::Blocking;
        self
    }

    /// Hints about what it does to the world.
    ///
    /// ```
    /// use mcp::{Tool, model::ToolAnnotations};
    ///
    /// let hints = ToolAnnotations::new().with_read_only_hint(true).with_open_world_hint(false);
    /// let count = Tool::new("count", "Count the files", async || 3).title("Count files").annotations(hints);
    /// # drop(count);
    /// ```
    #[must_use]
    pub fn annotations(mut self, annotations: ToolAnnotations) -> Self {
        self.definition.annotations = Some(annotations);
        self
    }

    /// Another schema for the arguments than the one made from their type. One that does not say `"type": "object"` is a fault of
    /// the server's definition.
    ///
    /// What of the arguments is annotated with `x-mcp-header` clients also send in headers, over HTTP (2026-07-28), so that whoever stands in
    /// between can read it there: never a secret. With the feature `http`, annotations that break the rules are a fault as well, and
    /// calls whose headers say something else than their arguments are refused.
    ///
    /// ```
    /// use mcp::Tool;
    /// use serde_json::{Map, Value, json};
    ///
    /// let schema = json!({ "type": "object", "properties": { "path": { "type": "string", "pattern": "^/srv/" } } });
    /// let Value::Object(schema) = schema else { unreachable!() };
    /// let read = Tool::new("read", "Read a file", async |args: Map<String, Value>| format!("{args:?}")).input_schema(schema);
    /// # drop(read);
    /// ```
    #[must_use]
    pub fn input_schema(mut self, schema: Map<String, Value>) -> Self {
        self.definition.input_schema = schema;
        #[cfg(feature = "http")]
        drop(self.mirrored.take());
        self
    }

    /// Another schema for the structured content than the one made from the handler's type: for handlers that return a
    /// [`CallToolResult`], say.
    ///
    /// Until 2025-11-25 structured content must be an object. To clients of these revisions, content that is none goes as
    /// `{"result": content}`, and so does all content if the schema is not one of objects; the schema goes likewise.
    ///
    /// ```
    /// use mcp::model::CallToolResult;
    /// use mcp::{ProtocolVersion, Tool};
    /// use serde_json::{Map, json};
    ///
    /// let numbers = Map::from_iter([("type".to_owned(), json!("array"))]);
    /// let tool = Tool::new("primes", "The first prime numbers", async || {
    ///     CallToolResult::text("[2,3,5]").with_structured_content(json!([2, 3, 5]))
    /// })
    /// .output_schema(numbers);
    /// ```
    #[must_use]
    pub fn output_schema(mut self, schema: Map<String, Value>) -> Self {
        self.definition.output_schema = Some(schema);
        self
    }

    /// What clients are told about it, in revisions that can say it all.
    pub fn definition(&self) -> &model::Tool {
        &self.definition
    }

    pub(super) fn threading(&self) -> Threading {
        self.threading
    }

    /// Whether the headers of a call say what its arguments say, where the schema wants some of these in headers
    /// (specification 2026-07-28: server/tools, `x-mcp-header`).
    #[cfg(feature = "http")]
    pub(super) fn check_headers(
        &self,
        headers: &http::HeaderMap,
        message: &mcp_proto::Message,
    ) -> Result<(), ErrorObject> {
        // A schema that breaks the rules of these is a fault of the server's, which is not served then.
        let mirrored = self.mirrored.get_or_init(|| mirrored(&self.definition).unwrap_or_default());
        if mirrored.is_empty() { Ok(()) } else { mirrored.check(headers, message.arguments()) }
    }

    /// Starts a call whose arguments stand in the context's message.
    pub(super) fn run(&self, context: Context) -> Started {
        let structure = self.structure(context.version().rules());
        self.run.run(context, structure)
    }

    /// How its structured content goes to clients of a revision (specification: server/tools, Structured Content).
    fn structure(&self, rules: &Rules) -> Structure {
        match &self.definition.output_schema {
            _ if rules.any_structured_content => Structure::Any,
            Some(schema) if !schema::describes_object(schema) => Structure::Wrapped,
            _ => Structure::Object,
        }
    }
}

/// How structured content goes to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Structure {
    /// As it is.
    Any,
    /// As it is if it is an object, else as `{"result": content}`.
    Object,
    /// As `{"result": content}` in any case, since the schema that the client knows says so.
    Wrapped,
}

impl Structure {
    fn fit(self, mut result: CallToolResult) -> CallToolResult {
        let wraps = |content: &Value| match self {
            Self::Any => false,
            Self::Object => !content.is_object(),
            Self::Wrapped => true,
        };
        result.structured_content = result.structured_content.map(|content| match wraps(&content) {
            true => Value::Object(Map::from_iter([("result".to_owned(), content)])),
            false => content,
        });
        result
    }
}

described!(Tool);

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("definition", &self.definition).field("threading", &self.threading).finish()
    }
}

/// Whatever can become a [`Tool`].
///
/// ```
/// use mcp::{IntoTool, Server, Tool};
///
/// /// Gives the same answer each time.
/// struct Always(&'static str, &'static str);
///
/// impl IntoTool for Always {
///     fn into_tool(self) -> Tool {
///         let Self(name, answer) = self;
///         Tool::new(name, format!("Says {answer:?}"), move || async move { answer })
///     }
/// }
///
/// let server = Server::new("oracle", "1.0.0").tool(Always("weather", "rain")).tool(Always("mood", "fine"));
/// # drop(server);
/// ```
pub trait IntoTool {
    /// The tool.
    fn into_tool(self) -> Tool;
}

impl IntoTool for Tool {
    fn into_tool(self) -> Tool {
        self
    }
}

/// A function that can be a tool's handler; see [`Tool`] for the forms. `M` tells the forms apart and is inferred.
pub trait ToolHandler<M>: Send + Sync + 'static {
    /// The schemas of its arguments and of its structured output.
    fn schemas(&self) -> (Map<String, Value>, Option<Map<String, Value>>);

    /// Calls it. `Err` is the text of what is wrong with the arguments.
    ///
    /// # Errors
    ///
    /// When the arguments of the call are not what the handler takes.
    fn call(&self, context: Context) -> Result<impl Future<Output = impl ToolOutput> + Send + 'static, String>;
}

/// The form without arguments.
#[derive(Debug)]
pub struct Plain;
/// The form with arguments.
#[derive(Debug)]
pub struct WithArguments<A>(PhantomData<A>);
/// The form with a context.
#[derive(Debug)]
pub struct WithContext;
/// The form with both.
#[derive(Debug)]
pub struct WithBoth<A>(PhantomData<A>);

impl<F, Fut> ToolHandler<Plain> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output: ToolOutput> + Send + 'static,
{
    fn schemas(&self) -> (Map<String, Value>, Option<Map<String, Value>>) {
        (schema::no_arguments(), output_schema::<Fut>())
    }

    fn call(&self, _: Context) -> Result<impl Future<Output = impl ToolOutput> + Send + 'static, String> {
        Ok(self())
    }
}

impl<F, A, Fut> ToolHandler<WithArguments<A>> for F
where
    F: Fn(A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema,
    Fut: Future<Output: ToolOutput> + Send + 'static,
{
    fn schemas(&self) -> (Map<String, Value>, Option<Map<String, Value>>) {
        (schema::of_arguments::<A>(), output_schema::<Fut>())
    }

    fn call(&self, context: Context) -> Result<impl Future<Output = impl ToolOutput> + Send + 'static, String> {
        Ok(self(arguments(&context)?))
    }
}

impl<F, Fut> ToolHandler<WithContext> for F
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: ToolOutput> + Send + 'static,
{
    fn schemas(&self) -> (Map<String, Value>, Option<Map<String, Value>>) {
        (schema::no_arguments(), output_schema::<Fut>())
    }

    fn call(&self, context: Context) -> Result<impl Future<Output = impl ToolOutput> + Send + 'static, String> {
        Ok(self(context))
    }
}

impl<F, A, Fut> ToolHandler<WithBoth<A>> for F
where
    F: Fn(Context, A) -> Fut + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema,
    Fut: Future<Output: ToolOutput> + Send + 'static,
{
    fn schemas(&self) -> (Map<String, Value>, Option<Map<String, Value>>) {
        (schema::of_arguments::<A>(), output_schema::<Fut>())
    }

    fn call(&self, context: Context) -> Result<impl Future<Output = impl ToolOutput> + Send + 'static, String> {
        let arguments = arguments(&context)?;
        Ok(self(context, arguments))
    }
}

fn output_schema<Fut: Future<Output: ToolOutput>>() -> Option<Map<String, Value>> {
    <Fut::Output as ToolOutput>::schema().map(|schema| schema::object(schema.to_value()))
}

/// Decodes the arguments once, from where they stand in the message. Only a fault is decoded a second time, for its path.
fn arguments<A: DeserializeOwned>(context: &Context) -> Result<A, String> {
    let text = match context.message().arguments() {
        Some(arguments) => arguments.as_str(),
        // Absent and null are no arguments; anything else that is no object is told apart here.
        None => match context.message().params().decode::<NotAnObject>() {
            Ok(NotAnObject { arguments: None }) => "{}",
            _ => return Err("arguments: must be an object".to_owned()),
        },
    };
    serde_json::from_str(text).map_err(|_| {
        let error = serde_path_to_error::deserialize::<_, A>(&mut serde_json::Deserializer::from_str(text));
        match error {
            // The path says where; the line and column of a text that nobody sees say nothing more.
            Err(error) => {
                let inner = error.inner().to_string();
                let what = inner.rsplit_once(" at line ").map_or(inner.as_str(), |(what, _)| what);
                format!("arguments.{}: {what}", error.path())
            }
            // It fits after all, but for something behind it; scanned JSON has nothing behind it.
            Ok(_) => "arguments: not JSON".to_owned(),
        }
    })
}

#[derive(serde::Deserialize)]
struct NotAnObject {
    arguments: Option<serde::de::IgnoredAny>,
}

/// The answer to a call, which may be there at once.
pub(super) type Started = Result<BoxFuture<Reply>, Reply>;

/// A [`ToolHandler`] without its type.
trait Run: Send + Sync {
    fn run(&self, context: Context, structure: Structure) -> Started;
}

struct Typed<H, M> {
    handler: H,
    // A function, so that `M` does not decide about `Send`.
    marker: PhantomData<fn() -> M>,
}

impl<H: ToolHandler<M>, M> Run for Typed<H, M> {
    fn run(&self, context: Context, structure: Structure) -> Started {
        let faults = context.version().rules().argument_faults;
        match self.handler.call(context.clone()) {
            Ok(future) => Ok(Box::pin(async move {
                let result = match future.await.into_result() {
                    Err(error) => context.tell(error).await,
                    result => result,
                };
                encode(result.map(|result| structure.fit(result)))
            })),
            Err(fault) => Err(match faults {
                ArgumentFaults::ToolResult => encode(Ok(CallToolResult::error(fault))),
                ArgumentFaults::ProtocolError => Err(ErrorObject::invalid_params(fault)),
            }),
        }
    }
}

fn encode(result: Result<CallToolResult, ErrorObject>) -> Reply {
    let body = Body::result(&result?);
    body.map(Into::into).map_err(|error| ErrorObject::internal(format!("the tool's result cannot be encoded: {error}")))
}

/// What is wrong with a tool's name, if anything, and the rule that can be relaxed (specification: server/tools, tool names).
fn name_fault(name: &str) -> Option<Fault> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() {
        return Some((None, "the tool name \"\" must not be empty".to_owned()));
    }
    if name.len() > 128 || !name.chars().all(legal) {
        return Some((Some(Lenient::Names), format!("the tool name {name:?} must be 1 to 128 of A-Z a-z 0-9 _ - .")));
    }
    None
}

/// What is wrong with a schema for arguments that was written by hand, if anything (specification: server/tools, data types).
fn schema_fault(tool: &model::Tool) -> Option<Fault> {
    let is_object = tool.input_schema.get("type").is_some_and(|it| it == "object");
    let fault = || format!("the input schema of the tool {:?} must say \"type\": \"object\"", tool.name);
    (!is_object).then(|| (None, fault()))
}

/// What of its arguments is to stand in headers.
#[cfg(feature = "http")]
fn mirrored(tool: &model::Tool) -> Result<ParamHeaders, SchemaFault> {
    ParamHeaders::of_schema(&Value::Object(tool.input_schema.clone()))
}

/// Clients over HTTP leave out a tool whose schema breaks the rules of what stands in headers, so nobody could call it.
#[cfg(feature = "http")]
fn header_fault(tool: &model::Tool) -> Option<Fault> {
    let fault = mirrored(tool).err()?;
    Some((None, format!("the schema of tool {:?} cannot be mirrored in headers: {fault}", tool.name)))
}

/// What is wrong with the dialects of its schemas, if anything (specification: basic, JSON Schema Usage).
fn dialect_faults(tool: &model::Tool) -> impl Iterator<Item = Fault> {
    let fault = |which: &str, error: UnknownDialect| {
        (Some(Lenient::Dialects), format!("the {which} schema of the tool {:?}: {error}", tool.name))
    };
    let input = tool.input_dialect().err().map(|error| fault("input", error));
    let output = tool.output_dialect().err().map(|error| fault("output", error));
    input.into_iter().chain(output)
}

/// What is legal in a tool's name and still confuses some clients.
fn name_advice(name: &str) -> Option<String> {
    let ends_badly = name.starts_with(['-', '.']) || name.ends_with(['-', '.']);
    ends_badly.then(|| format!("the tool name {name:?} begins or ends with a dash or dot, which confuses some clients"))
}

impl Listed for Tool {
    type Wire = model::Tool;
    const WHAT: &'static str = "tool";
    const LIST: &'static str = "tools/list";

    fn wire(&self) -> &model::Tool {
        &self.definition
    }

    fn wire_by(&self, rules: &Rules) -> model::Tool {
        let mut told = self.definition.clone();
        told.output_schema = told.output_schema.map(|schema| match self.structure(rules) {
            Structure::Any => schema,
            Structure::Object => schema::said_to_be_object(schema),
            Structure::Wrapped => schema::wrapped(&schema),
        });
        told
    }

    fn key(&self) -> &str {
        &self.definition.name
    }

    fn registry(definition: &mut Definition) -> &mut Registry<Self> {
        &mut definition.tools
    }

    fn faults(&self) -> Vec<Fault> {
        if let Some(advice) = name_advice(self.key()) {
            tracing::warn!("{advice}");
        }
        let tool = &self.definition;
        let faults = name_fault(self.key()).into_iter().chain(schema_fault(tool)).chain(dialect_faults(tool));
        #[cfg(feature = "http")]
        let faults = faults.chain(header_fault(tool));
        faults.collect()
    }

    fn page(items: Vec<model::Tool>, next: Option<String>, cache: Option<&Cache>) -> Result<Body, EncodeError> {
        let mut page = ListToolsResult::new().with_tools(items);
        page.next_cursor = next;
        match cache {
            Some(cache) => Body::result(&page.cached(cache.ttl, cache.scope.clone())),
            None => Body::result(&page),
        }
    }
}
