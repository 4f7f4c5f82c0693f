//! The verbs: one for each request of the protocol about a single thing.

use mcp_proto::model::{
    CallToolResult, CompleteParams, CompleteResult, Completion, CompletionArgument, CompletionContext, CompletionRef,
    DiscoverResult, EmptyResult, GetPromptParams, GetPromptResult, LoggingLevel, ReadResourceParams,
    ReadResourceResult, SetLevelParams, StringArguments, SubscribeParams, TaskMetadata, UnsubscribeParams,
};
use mcp_proto::{Body, Message, ResultKind, Scope};
use serde::Serialize;

use super::request::decode;
use super::{Client, Request, what};
use crate::Result;
use crate::stream::{Lesson, notify};

/// Using what the server offers.
impl Client {
    /// Calls a tool. `arguments` is anything that serializes to a JSON object; `()` and null are no arguments.
    ///
    /// A tool that fails is not an error here: the result says so ([`CallToolResult::is_error`]), for the model to read.
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// use serde_json::json;
    ///
    /// let sum: i64 = client.call_tool("add", json!({ "a": 1, "b": 2 })).await?.structured()?;
    /// # drop(sum);
    /// # Ok(()) }
    /// ```
    pub fn call_tool(&self, name: impl AsRef<str>, arguments: impl Serialize) -> Request<CallToolResult> {
        let name = name.as_ref();
        self.verb("tools/call", name, &ToolCall { name, arguments: &arguments, task: None })
    }

    /// Reads a resource (specification: server/resources).
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// for part in client.read_resource("file:///notes.txt").await?.contents {
    ///     println!("{} is of type {:?}", part.uri(), part.mime_type());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn read_resource(&self, uri: impl AsRef<str>) -> Request<ReadResourceResult> {
        let uri = uri.as_ref();
        self.kept_verb("resources/read", uri, &ReadResourceParams::new(uri))
    }

    /// Gets a prompt, filled in with these arguments: all are strings on the wire (specification: server/prompts).
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// let prompt = client.get_prompt("review", [("language", "Rust"), ("style", "terse")]).await?;
    /// let plain = client.get_prompt("greeting", mcp::model::StringArguments::new()).await?;
    /// # drop((prompt, plain));
    /// # Ok(()) }
    /// ```
    pub fn get_prompt(
        &self,
        name: impl AsRef<str>,
        arguments: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Request<GetPromptResult> {
        let name = name.as_ref();
        let arguments = arguments.into_iter().collect::<StringArguments>();
        let mut params = GetPromptParams::new(name);
        params.arguments = (!arguments.is_empty()).then_some(arguments);
        self.verb("prompts/get", name, &params)
    }

    /// Completes what was typed of an argument of a prompt or a resource template (specification: server/utilities/completion).
    ///
    /// `known` are the arguments that have their values already; servers before 2025-06-18 pay no attention to them.
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// use mcp::model::{CompletionRef, StringArguments};
    ///
    /// let prompt = CompletionRef::prompt("review");
    /// let languages = client.complete(prompt, "language", "Ru", StringArguments::new()).await?.values;
    /// let file = CompletionRef::resource("repo://{owner}/{name}");
    /// let names = client.complete(file, "name", "m", [("owner", "rust-lang")]).await?.values;
    /// # drop((languages, names));
    /// # Ok(()) }
    /// ```
    pub fn complete(
        &self,
        reference: CompletionRef,
        argument: impl AsRef<str>,
        value: impl Into<String>,
        known: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Request<Completion> {
        let argument = argument.as_ref();
        let known = known.into_iter().collect::<StringArguments>();
        let mut params = CompleteParams::new(reference, CompletionArgument::new(argument, value));
        params.context = (!known.is_empty()).then(|| CompletionContext::new().with_arguments(known));
        let body = Body::new("completion/complete", &params);
        Request::decoded(self.call(what("completion/complete", argument), body), |kind, message| {
            decode::<CompleteResult>(kind, message).map(|result| result.completion)
        })
    }
}

/// About the connection as a whole.
impl Client {
    /// Asks whether the server is still there (until 2025-11-25).
    pub fn ping(&self) -> Request<()> {
        self.acknowledged("ping", "", &EmptyResult::new())
    }

    /// Tells the server from which severity on it shall send log messages (until 2025-11-25; later each request
    /// [says so](Request::log_level)).
    pub fn set_log_level(&self, level: LoggingLevel) -> Request<()> {
        let request = self.acknowledged("logging/setLevel", level.as_str(), &SetLevelParams::new(level));
        request.teaches(Lesson::LogLevel(level))
    }

    /// Asks what the server offers now, and in which revisions (2026-07-28 and later). [`capabilities`](Self::capabilities)
    /// and its siblings keep telling what it said at first.
    pub fn discover(&self) -> Request<DiscoverResult> {
        self.kept_verb("server/discover", "", &EmptyResult::new())
    }

    /// Subscribes to a resource (until 2025-11-25): the callback
    /// [`on_resource_updated`](super::ClientBuilder::on_resource_updated) hears of its changes. [`listen`](Self::listen) does
    /// it in every revision.
    pub fn subscribe(&self, uri: impl AsRef<str>) -> Request<()> {
        let uri = uri.as_ref();
        self.subscribe_once(uri).teaches(Lesson::Subscribed(uri.to_owned()))
    }

    /// Ends such a subscription.
    pub fn unsubscribe(&self, uri: impl AsRef<str>) -> Request<()> {
        let uri = uri.as_ref();
        let request = self.acknowledged("resources/unsubscribe", uri, &UnsubscribeParams::new(uri));
        request.teaches(Lesson::Unsubscribed(uri.to_owned()))
    }

    /// Tells the server that the client's roots are others now (until 2025-11-25): it asks
    /// [`on_roots`](super::ClientBuilder::on_roots) again.
    ///
    /// # Errors
    ///
    /// When the client has no such callback, the revision does not have this, or it cannot be sent now.
    pub fn roots_changed(&self) -> Result<()> {
        notify(&self.inner.link.current(), Body::empty("notifications/roots/list_changed")?, Scope::Connection, None)
    }

    /// A subscription that is not remembered for the next connection.
    pub(super) fn subscribe_once(&self, uri: &str) -> Request<()> {
        self.acknowledged("resources/subscribe", uri, &SubscribeParams::new(uri))
    }

    /// A request whose result says no more than that it was served.
    pub(super) fn acknowledged(&self, method: &str, about: &str, params: &impl Serialize) -> Request<()> {
        Request::decoded(self.call(what(method, about), Body::new(method, params)), nothing)
    }
}

/// The parameters of `tools/call`, with arguments that are encoded as they are.
#[derive(Serialize)]
pub(super) struct ToolCall<'a, A> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "is_nothing")]
    pub(super) arguments: &'a A,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task: Option<TaskMetadata>,
}

/// Reads a result that says nothing.
pub(super) fn nothing(kind: &ResultKind, message: &Message) -> Result<(), serde_json::Error> {
    decode::<EmptyResult>(kind, message).map(drop)
}

/// Whether a value serializes to null, and so is no arguments at all.
fn is_nothing(value: &impl Serialize) -> bool {
    // Only `()` and null have a text this short and these letters; a larger value is given up on after a few bytes.
    struct Null(usize);
    impl std::io::Write for Null {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let fits = b"null".get(self.0..).is_some_and(|rest| rest.starts_with(bytes));
            self.0 += bytes.len();
            if fits { Ok(bytes.len()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    serde_json::to_writer(Null(0), value).is_ok()
}
