//! Lists that stay up to date.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_proto::model::{
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, SubscriptionFilter,
};

use super::listen::{FIRST_PAUSE, LONGEST_PAUSE, is_lacking};
use super::{Changes, Client, Ended, List, Page};
use crate::Result;

/// A list of the server with news of its changes: [`next`](Self::next) gives it anew each time it has changed.
///
/// It works in both eras. Many changes at once are one, and it is asked for only when it is looked at.
///
/// ```
/// # async fn example(client: mcp::Client) -> mcp::Result<()> {
/// let mut tools = client.watch_tools().await?;
/// println!("{} tools", tools.items().len());
/// while let Some(now) = tools.next().await {
///     println!("{} tools now", now?.len());
/// }
/// # Ok(()) }
/// ```
pub struct Watch<P: Page> {
    client: Client,
    filter: SubscriptionFilter,
    /// `None` if the server tells of no changes.
    changes: Option<Changes>,
    items: Arc<Vec<P::Item>>,
    /// Whether it may have changed since it was last asked for.
    is_old: bool,
    /// The restarts that its list may be older than.
    restarts: u64,
    /// How long to wait before the next try, after one that came to nothing.
    pause: Option<Duration>,
}

impl Client {
    /// The list of tools, and news of it.
    ///
    /// # Errors
    ///
    /// When the list cannot be had.
    pub async fn watch_tools(&self) -> Result<Watch<ListToolsResult>> {
        Watch::open(self, SubscriptionFilter::new().with_tools_list_changed(true)).await
    }

    /// The list of prompts, and news of it.
    ///
    /// # Errors
    ///
    /// When the list cannot be had.
    pub async fn watch_prompts(&self) -> Result<Watch<ListPromptsResult>> {
        Watch::open(self, SubscriptionFilter::new().with_prompts_list_changed(true)).await
    }

    /// The list of resources, and news of it.
    ///
    /// # Errors
    ///
    /// When the list cannot be had.
    pub async fn watch_resources(&self) -> Result<Watch<ListResourcesResult>> {
        Watch::open(self, SubscriptionFilter::new().with_resources_list_changed(true)).await
    }

    /// The list of templates of resources, and news of it.
    ///
    /// # Errors
    ///
    /// When the list cannot be had.
    pub async fn watch_resource_templates(&self) -> Result<Watch<ListResourceTemplatesResult>> {
        Watch::open(self, SubscriptionFilter::new().with_resources_list_changed(true)).await
    }
}

impl<P: Page> Watch<P> {
    async fn open(client: &Client, filter: SubscriptionFilter) -> Result<Self> {
        // Before the list, so that no change falls in between.
        let restarts = client.restarts();
        let changes = match client.listen(filter.clone()).await {
            Ok(changes) if changes.granted().is_empty() && changes.ended().is_none() => None,
            Ok(changes) => Some(changes),
            Err(error) if error.rpc().is_some() || is_lacking(&error) => None,
            Err(error) => return Err(error),
        };
        let items = Arc::new(List::<P>::of(client).await?);
        Ok(Self { client: client.clone(), filter, changes, items, is_old: false, restarts, pause: None })
    }

    /// The list as it was when last asked for.
    pub fn items(&self) -> &Arc<Vec<P::Item>> {
        &self.items
    }

    /// Whether the server tells of changes at all. If not, [`next`](Self::next) waits for its
    /// [restart](crate::Restart) or the end of the connection.
    pub fn is_live(&self) -> bool {
        self.changes.is_some()
    }

    /// The list once it has changed; `None` at the end of the connection.
    ///
    /// An error says that it has changed but could not be asked for; the next call tries again, after a pause. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Arc<Vec<P::Item>>>> {
        loop {
            if let Some(pause) = self.pause {
                self.client.inner.link.current().sleep(pause).await;
            }
            if self.client.is_closed() {
                return None;
            }
            if self.is_old {
                return self.refresh().await;
            }
            let Some(changes) = &mut self.changes else {
                // Nobody tells of changes, but a server that was restarted may offer something else.
                self.restarts = self.client.inner.link.next_restart(self.restarts).await?;
                self.is_old = true;
                continue;
            };
            if changes.next().await.is_some() {
                self.is_old = true;
                continue;
            }
            if matches!(changes.ended(), Some(Ended::Lost(error)) if error.is_closed()) {
                return None;
            }
            // Taken up again; what happened in between nobody has heard.
            self.client.inner.link.current().sleep(FIRST_PAUSE).await;
            match self.client.listen(self.filter.clone()).await {
                Ok(changes) => {
                    self.changes = Some(changes);
                    self.is_old = true;
                }
                Err(error) if error.is_closed() => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    async fn refresh(&mut self) -> Option<Result<Arc<Vec<P::Item>>>> {
        match List::<P>::of(&self.client).fresh().await {
            Ok(items) => {
                self.items = Arc::new(items);
                self.is_old = false;
                self.pause = None;
                Some(Ok(Arc::clone(&self.items)))
            }
            Err(error) if error.is_closed() => None,
            Err(error) => {
                self.lengthen_pause();
                Some(Err(error))
            }
        }
    }

    fn lengthen_pause(&mut self) {
        self.pause = Some(self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE)));
    }
}

impl<P: Page> fmt::Debug for Watch<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("changes", &self.changes)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}
