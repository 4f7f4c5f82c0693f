//! Resources and templates of resources: what a server offers to read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mcp_proto::model::{
    self, Annotations, BlobResourceContents, CacheScope, ListResourceTemplatesResult, ListResourcesResult,
    ReadResourceResult, ResourceContents, TextResourceContents,
};
use mcp_proto::uri_template::UriTemplate;
use mcp_proto::{Body, EncodeError};
use serde::de::DeserializeOwned;

use super::completion::{Completer, Completers, CompletionOutput, Partial};
use super::context::Context;
use super::definition::{Definition, Fault};
use super::described::described;
use super::handler::{Handler, HandlerError, Outcome, Strings};
use super::registry::{Cache, Listed, Registry};
use super::serving::Threading;
use super::strings;

/// Something that clients can read: a URI, a name, and an async function that gives what is there.
///
/// ```
/// use mcp::{Context, Resource};
///
/// let config = Resource::text("config://app", "app", "debug = false").mime_type("text/plain");
/// let clock = Resource::new("time://now", "now", async || format!("{:?}", std::time::SystemTime::now()));
/// let mine = Resource::new("user://me", "me", async |ctx: Context| format!("{:?}", ctx.peer()));
/// # drop((config, clock, mine));
/// ```
///
/// What the handler may return is told by [`ResourceOutput`].
#[derive(Clone)]
pub struct Resource {
    definition: model::Resource,
    handler: Reader,
}

/// A family of resources, by a template of their URIs (RFC 6570, levels 1 to 3).
///
/// ```
/// use mcp::ResourceTemplate;
///
/// #[derive(serde::Deserialize)]
/// struct Issue { owner: String, repo: String, number: u32 }
///
/// let issues = ResourceTemplate::new("github://repos/{owner}/{repo}/issues/{number}", "issue", async |issue: Issue| {
///     format!("issue {} of {}/{}", issue.number, issue.owner, issue.repo)
/// });
/// ```
///
/// The variables are decoded and safe to be taken for names: see [`UriTemplate::matches`]. A handler that takes none of them, or a
/// map of them, may do so.
#[derive(Clone)]
pub struct ResourceTemplate {
    definition: model::ResourceTemplate,
    template: Result<UriTemplate, String>,
    pub(super) completers: Completers,
    handler: Reader,
}

type Read = dyn Fn(Context, At<'_>, &Strings) -> Result<Outcome<ReadResourceResult>, HandlerError> + Send + Sync;

/// What both have: a function and how its result may be kept.
#[derive(Clone)]
pub(super) struct Reader {
    read: Arc<Read>,
    pub(super) threading: Threading,
    pub(super) cache: Option<Cache>,
}

impl Reader {
    fn new<M, H>(handler: H) -> Self
    where
        H: Handler<M, Output: ResourceOutput>,
        H::Input: DeserializeOwned,
    {
        let read = move |context, at: At<'_>, variables: &Strings| {
            let input = strings::decode(variables).map_err(HandlerError::not_found)?;
            let running = handler.call(context, input);
            let (uri, mime_type) = (at.uri.to_owned(), at.mime_type.map(str::to_owned));
            Ok(Box::pin(async move { running.await.into_contents(At { uri: &uri, mime_type: mime_type.as_deref() }) })
                as Outcome<_>)
        };
        Self { read: Arc::new(read), threading: Threading::Async, cache: None }
    }

    pub(super) fn read(
        &self,
        context: Context,
        at: At<'_>,
        variables: &Strings,
    ) -> Result<Outcome<ReadResourceResult>, HandlerError> {
        (self.read)(context, at, variables)
    }
}

/// The setters that only these two have.
macro_rules! of_both {
    ($name:ident) => {
        impl $name {
            /// What it is, for a language model.
            #[must_use]
            pub fn description(mut self, description: impl Into<String>) -> Self {
                self.definition.description = Some(description.into());
                self
            }

            /// The media type; contents of this resource that say none of their own get it.
            #[must_use]
            pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
                self.definition.mime_type = Some(mime_type.into());
                self
            }

            /// For whom it is, and how much it matters.
            #[must_use]
            pub fn annotations(mut self, annotations: Annotations) -> Self {
                self.definition.annotations = Some(annotations);
                self
            }

            /// For how long what was read is fresh, and for whom (2026-07-28 and later). [The server's own](crate::Server::cache)
            /// if not said.
            #[must_use]
            pub fn cache(mut self, ttl: Duration, scope: CacheScope) -> Self {
                self.handler.cache = Some(Cache { ttl, scope });
                self
            }

            /// For a handler that blocks: it runs on a thread of its own, off the executor.
            #[must_use]
            pub fn blocking(mut self) -> Self {
                self.handler.threading = Threading::Blocking;
                self
            }

            pub(super) fn reader(&self) -> &Reader {
                &self.handler
            }

            pub(super) fn declared_mime_type(&self) -> Option<&str> {
                self.definition.mime_type.as_deref()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("definition", &self.definition).finish_non_exhaustive()
            }
        }
    };
}

of_both!(Resource);
described!(Resource);
of_both!(ResourceTemplate);
described!(ResourceTemplate);

impl Resource {
    /// A resource. `name` is for programs, and need not be unique.
    pub fn new<M, H>(uri: impl Into<String>, name: impl Into<String>, handler: H) -> Self
    where
        H: Handler<M, Input = (), Output: ResourceOutput>,
    {
        Self { definition: model::Resource::new(uri, name), handler: Reader::new(handler) }
    }

    /// A text that does not change.
    pub fn text(uri: impl Into<String>, name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let size = i64::try_from(text.len()).ok();
        let mut resource = Self::new(uri, name, move || std::future::ready(text.clone()));
        resource.definition.size = size;
        resource
    }

    /// Bytes that do not change.
    pub fn blob(uri: impl Into<String>, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let size = i64::try_from(bytes.len()).ok();
        let mut resource = Self::new(uri, name, move || std::future::ready(bytes.clone()));
        resource.definition.size = size;
        resource
    }

    /// The size in bytes, before any encoding.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.definition.size = i64::try_from(bytes).ok();
        self
    }

    /// What clients are told about it.
    pub fn definition(&self) -> &model::Resource {
        &self.definition
    }
}

impl ResourceTemplate {
    /// A template. A text that is none is a fault of the server's definition. `name` is for programs.
    pub fn new<M, H>(uri_template: impl Into<String>, name: impl Into<String>, handler: H) -> Self
    where
        H: Handler<M, Output: ResourceOutput>,
        H::Input: DeserializeOwned,
    {
        let text = uri_template.into();
        let template = text.parse().map_err(|error| format!("the URI template {text:?} cannot be used: {error}"));
        let definition = model::ResourceTemplate::new(text, name);
        Self { definition, template, completers: Completers::default(), handler: Reader::new(handler) }
    }

    /// Completes a variable while it is typed; see [`Prompt::complete`](crate::Prompt::complete).
    #[must_use]
    pub fn complete<M, H>(mut self, variable: impl Into<String>, handler: H) -> Self
    where
        H: Handler<M, Input: From<Partial>, Output: CompletionOutput>,
    {
        self.completers.insert(variable.into(), Completer::new(handler));
        self
    }

    /// What clients are told about it.
    pub fn definition(&self) -> &model::ResourceTemplate {
        &self.definition
    }

    pub(super) fn matches(&self, uri: &str) -> Option<Strings> {
        self.template.as_ref().ok()?.matches(uri)
    }

    pub(super) fn has(&self, variable: &str) -> bool {
        self.template.as_ref().is_ok_and(|template| template.variables().any(|known| known == variable))
    }
}

impl Listed for Resource {
    type Wire = model::Resource;
    const WHAT: &'static str = "resource";
    const LIST: &'static str = "resources/list";

    fn wire(&self) -> &model::Resource {
        &self.definition
    }

    fn key(&self) -> &str {
        &self.definition.uri
    }

    fn registry(definition: &mut Definition) -> &mut Registry<Self> {
        &mut definition.resources
    }

    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    fn page(items: Vec<model::Resource>, next: Option<String>, cache: Option<&Cache>) -> Result<Body, EncodeError> {
        let mut page = ListResourcesResult::new().with_resources(items);
        page.next_cursor = next;
        match cache {
            Some(cache) => Body::result(&page.cached(cache.ttl, cache.scope.clone())),
            None => Body::result(&page),
        }
    }
}

impl Listed for ResourceTemplate {
    type Wire = model::ResourceTemplate;
    const WHAT: &'static str = "resource template";
    const LIST: &'static str = "resources/templates/list";

    fn wire(&self) -> &model::ResourceTemplate {
        &self.definition
    }

    fn key(&self) -> &str {
        &self.definition.uri_template
    }

    fn registry(definition: &mut Definition) -> &mut Registry<Self> {
        &mut definition.templates
    }

    fn faults(&self) -> Vec<Fault> {
        match &self.template {
            Err(fault) => vec![(None, fault.clone())],
            Ok(template) => {
                let unknown = self.completers.keys().filter(|name| !self.has(name));
                let fault = |name| format!("the URI template {:?} has no variable {name:?}", template.as_str());
                unknown.map(|name| (None, fault(name))).collect()
            }
        }
    }

    fn page(
        items: Vec<model::ResourceTemplate>,
        next: Option<String>,
        cache: Option<&Cache>,
    ) -> Result<Body, EncodeError> {
        let mut page = ListResourceTemplatesResult::new().with_resource_templates(items);
        page.next_cursor = next;
        match cache {
            Some(cache) => Body::result(&page.cached(cache.ttl, cache.scope.clone())),
            None => Body::result(&page),
        }
    }
}

/// The resource that is read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct At<'a> {
    /// The URI that was asked for.
    pub uri: &'a str,
    /// The media type that the resource or template declares.
    pub mime_type: Option<&'a str>,
}

impl<'a> At<'a> {
    pub(super) fn new(uri: &'a str, mime_type: Option<&'a str>) -> Self {
        Self { uri, mime_type }
    }
}

/// What a resource's handler may return.
///
/// Text (`String`, `&'static str`), bytes (`Vec<u8>`), contents ([`ResourceContents`], or several), a whole
/// [`ReadResourceResult`], or a `Result` of any of these, whose error becomes a [`HandlerError`].
///
/// ```
/// use mcp::model::{ReadResourceResult, ResourceContents};
/// use mcp::{At, HandlerError, Resource, ResourceOutput};
///
/// /// A folder: each of its files under a URI of its own.
/// struct Folder(Vec<(&'static str, String)>);
///
/// impl ResourceOutput for Folder {
///     fn into_contents(self, at: At<'_>) -> Result<ReadResourceResult, HandlerError> {
///         let file = |(name, text)| ResourceContents::text(format!("{}/{name}", at.uri), text);
///         self.0.into_iter().map(file).collect::<Vec<_>>().into_contents(at)
///     }
/// }
///
/// let notes = Resource::new("notes://all", "all", async || Folder(vec![("today.md", "rest".into())]));
/// # drop(notes);
/// ```
pub trait ResourceOutput: Send + 'static {
    /// The result.
    ///
    /// # Errors
    ///
    /// What is to be answered instead.
    fn into_contents(self, at: At<'_>) -> Result<ReadResourceResult, HandlerError>;
}

impl ResourceOutput for String {
    fn into_contents(self, at: At<'_>) -> Result<ReadResourceResult, HandlerError> {
        let mut contents = TextResourceContents::new(at.uri, self);
        contents.mime_type = at.mime_type.map(Into::into);
        ResourceContents::from(contents).into_contents(at)
    }
}

impl ResourceOutput for &'static str {
    fn into_contents(self, at: At<'_>) -> Result<ReadResourceResult, HandlerError> {
        self.to_owned().into_contents(at)
    }
}

impl ResourceOutput for Vec<u8> {
    fn into_contents(self, at: At<'_>) -> Result<ReadResourceResult, HandlerError> {
        let mut contents = BlobResourceContents::new(at.uri, BASE64_STANDARD.encode(self));
        contents.mime_type = at.mime_type.map(Into::into);
        ResourceContents::from(contents).into_contents(at)
    }
}

impl ResourceOutput for ResourceContents {
    fn into_contents(self, at: At<'_>) -> Result<ReadResourceResult, HandlerError> {
        vec![self].into_contents(at)
    }
}

impl ResourceOutput for Vec<ResourceContents> {
    fn into_contents(self, _: At<'_>) -> Result<ReadResourceResult, HandlerError> {
        Ok(ReadResourceResult::new().with_contents(self))
    }
}

impl ResourceOutput for ReadResourceResult {
    fn into_contents(self, _: At<'_>) -> Result<ReadResourceResult, HandlerError> {
        Ok(self)
    }
}

impl<T: ResourceOutput, E: Into<HandlerError> + Send + 'static> ResourceOutput for Result<T, E> {
    fn into_contents(self, at: At<'_>) -> Result<ReadResourceResult, HandlerError> {
        self.map_err(Into::into)?.into_contents(at)
    }
}
