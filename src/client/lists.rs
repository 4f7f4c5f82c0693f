//! Lists: all pages of them, or one.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_proto::model::{
    ListPromptsParams, ListPromptsResult, ListResourceTemplatesParams, ListResourceTemplatesResult,
    ListResourcesParams, ListResourcesResult, ListTasksParams, ListTasksResult, ListToolsParams, ListToolsResult,
    LoggingLevel, Progress, Prompt, Resource, ResourceTemplate, Task, Tool,
};
use mcp_proto::{Pages, Turn};
use serde_json::{Map, Value};

use super::{Client, Request};
use crate::{Error, Result};

/// A whole list, page after page, which is asked for when it is awaited: a `Vec` of its items.
///
/// The options are those of each page's [`Request`]. Following ends with an error if the server leads in circles or to more
/// pages than allowed ([`pages`](Self::pages)).
///
/// ```
/// # async fn example(client: mcp::Client) -> mcp::Result<()> {
/// for tool in client.list_tools().idle(std::time::Duration::from_secs(5)).await? {
///     println!("{}", tool.display_name());
/// }
/// # Ok(()) }
/// ```
#[must_use = "a list is asked for when it is awaited"]
pub struct List<P> {
    client: Client,
    pages: Pages,
    /// What each page's request is given.
    options: Vec<Options<P>>,
}

/// One page of a list: the result of a `list` method.
pub trait Page: Send + 'static + sealed::Fetch<<Self as Page>::Item> {
    /// What is listed.
    type Item: Send + Sync + 'static;
}

mod sealed {
    use super::{Client, Request};

    pub trait Fetch<Item>: Sized {
        const METHOD: &'static str;
        fn ask(client: &Client, cursor: Option<String>) -> Request<Self>;
        fn into_parts(self) -> (Vec<Item>, Option<String>);
    }
}

macro_rules! pages {
    ($($page:ident of $item:ident: $method:literal with $params:ident in $items:ident as $verb:ident;)*) => {
        $(
            impl Page for $page {
                type Item = $item;
            }

            impl sealed::Fetch<$item> for $page {
                const METHOD: &'static str = $method;

                fn ask(client: &Client, cursor: Option<String>) -> Request<Self> {
                    let mut params = $params::new();
                    params.cursor = cursor;
                    client.$verb($method, "", &params)
                }

                fn into_parts(self) -> (Vec<$item>, Option<String>) {
                    (self.$items, self.next_cursor)
                }
            }
        )*
    };
}

pages! {
    ListToolsResult of Tool: "tools/list" with ListToolsParams in tools as kept_verb;
    ListPromptsResult of Prompt: "prompts/list" with ListPromptsParams in prompts as kept_verb;
    ListResourcesResult of Resource: "resources/list" with ListResourcesParams in resources as kept_verb;
    ListResourceTemplatesResult of ResourceTemplate: "resources/templates/list" with ListResourceTemplatesParams
        in resource_templates as kept_verb;
    ListTasksResult of Task: "tasks/list" with ListTasksParams in tasks as verb;
}

/// Lists.
impl Client {
    /// All tools of the server.
    pub fn list_tools(&self) -> List<ListToolsResult> {
        List::of(self)
    }

    /// One page of the server's tools: the first, or the one that an earlier page's `next_cursor` leads to.
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// let first = client.list_tools_page(None).await?;
    /// if first.next_cursor.is_some() {
    ///     let second = client.list_tools_page(first.next_cursor).await?;
    ///     println!("{} and {} tools", first.tools.len(), second.tools.len());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn list_tools_page(&self, cursor: Option<String>) -> Request<ListToolsResult> {
        sealed::Fetch::ask(self, cursor)
    }

    /// All resources of the server that have a URI of their own.
    pub fn list_resources(&self) -> List<ListResourcesResult> {
        List::of(self)
    }

    /// One page of them.
    pub fn list_resources_page(&self, cursor: Option<String>) -> Request<ListResourcesResult> {
        sealed::Fetch::ask(self, cursor)
    }

    /// All templates of resources.
    pub fn list_resource_templates(&self) -> List<ListResourceTemplatesResult> {
        List::of(self)
    }

    /// One page of them.
    pub fn list_resource_templates_page(&self, cursor: Option<String>) -> Request<ListResourceTemplatesResult> {
        sealed::Fetch::ask(self, cursor)
    }

    /// All prompts of the server.
    pub fn list_prompts(&self) -> List<ListPromptsResult> {
        List::of(self)
    }

    /// One page of them.
    pub fn list_prompts_page(&self, cursor: Option<String>) -> Request<ListPromptsResult> {
        sealed::Fetch::ask(self, cursor)
    }

    /// All tasks of this client (2025-11-25 only).
    pub fn list_tasks(&self) -> List<ListTasksResult> {
        List::of(self)
    }

    /// One page of them.
    pub fn list_tasks_page(&self, cursor: Option<String>) -> Request<ListTasksResult> {
        sealed::Fetch::ask(self, cursor)
    }
}

/// A change of each page's request.
type Options<P> = Arc<dyn Fn(Request<P>) -> Request<P> + Send + Sync>;

impl<P: Page> List<P> {
    pub(super) fn of(client: &Client) -> Self {
        Self { client: client.clone(), pages: Pages::new(), options: Vec::new() }
    }

    fn with(mut self, option: impl Fn(Request<P>) -> Request<P> + Send + Sync + 'static) -> Self {
        self.options.push(Arc::new(option));
        self
    }

    /// How many pages are followed at most; 64 unless set. One is always read.
    pub fn pages(mut self, most: usize) -> Self {
        self.pages = Pages::up_to(most);
        self
    }

    /// See [`Request::idle`].
    pub fn idle(self, idle: impl Into<Option<Duration>>) -> Self {
        let idle = idle.into();
        self.with(move |request| request.idle(idle))
    }

    /// See [`Request::cap`]. It is each page's.
    pub fn cap(self, cap: impl Into<Option<Duration>>) -> Self {
        let cap = cap.into();
        self.with(move |request| request.cap(cap))
    }

    /// See [`Request::on_progress`]. Each page begins anew.
    pub fn on_progress(self, on_progress: impl FnMut(Progress) + Send + 'static) -> Self {
        let on_progress = Arc::new(Mutex::new(on_progress));
        self.with(move |request| {
            let on_progress = Arc::clone(&on_progress);
            request.on_progress(move |progress| {
                // It is called for one page at a time; after a panic of its own it is called on.
                let mut on_progress = on_progress.lock().unwrap_or_else(PoisonError::into_inner);
                on_progress(progress);
            })
        })
    }

    /// See [`Request::log_level`].
    pub fn log_level(self, level: LoggingLevel) -> Self {
        self.with(move |request| request.log_level(level))
    }

    /// See [`Request::meta`].
    pub fn meta(self, meta: Map<String, Value>) -> Self {
        self.with(move |request| request.meta(meta.clone()))
    }

    /// See [`Request::fresh`].
    pub fn fresh(self) -> Self {
        self.with(Request::fresh)
    }

    async fn read(self) -> Result<Vec<P::Item>> {
        let Self { client, mut pages, options } = self;
        let mut items = Vec::new();
        loop {
            let request = P::ask(&client, pages.cursor().map(str::to_owned));
            let (page, next) = options.iter().fold(request, |request, option| option(request)).await?.into_parts();
            items.extend(page);
            match pages.turn(next) {
                Ok(Turn::More) => {}
                Ok(Turn::Last) => return Ok(items),
                Err(fault) => return Err(Error::Pages { what: P::METHOD, fault }),
            }
        }
    }
}

impl<P: Page> IntoFuture for List<P> {
    type Output = Result<Vec<P::Item>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}

impl<P> fmt::Debug for List<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("pages", &self.pages).finish_non_exhaustive()
    }
}
