//! Several servers as one: their lists merged under names of their own, calls routed to whose they are.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use mcp_proto::model::{
    CallToolResult, GetPromptResult, Prompt, ReadResourceResult, Resource, ResourceTemplate, StringArguments, Tool,
};
use serde::Serialize;

use super::{Client, Request};
use crate::{Error, Result};

/// Several servers, each under a name, whose tools, prompts and resources are one list each.
///
/// In that list an item is called as a hook says, `server_item` unless [set](Self::naming); two of one name are an error when
/// the second is added, and nothing is added then. A server that fails or goes away takes no other along: what it offered is
/// no longer listed.
///
/// A cheap handle: clones share the group.
///
/// ```
/// # async fn example(files: mcp::Client, web: mcp::Client) -> mcp::Result<()> {
/// use serde_json::json;
///
/// let group = mcp::ClientGroup::new();
/// group.add("files", files).await?;
/// group.add("web", web).await?;
/// for tool in group.tools() {
///     println!("{}: {}", tool.name, tool.item.display_name());
/// }
/// group.call_tool("files_read", json!({ "path": "a.txt" })).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientGroup {
    naming: Naming,
    members: Arc<Mutex<BTreeMap<String, Member>>>,
}

type Naming = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// One item of a merged list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Grouped<T> {
    /// What it is called in the group.
    pub name: String,
    /// The server it belongs to, by its name in the group.
    pub server: String,
    /// The item, as its server describes it.
    pub item: T,
}

/// What is wrong with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// There is a server of this name already, and it has not ended.
    Taken {
        /// The name.
        server: String,
    },
    /// Two items of one kind would have one name.
    Collision {
        /// The name.
        name: String,
        /// The server that has it.
        server: String,
        /// The server that would have it too.
        other: String,
    },
    /// There is nothing of this name.
    Unknown {
        /// What was looked for: a tool, a prompt, a resource.
        kind: &'static str,
        /// The name.
        name: String,
    },
}

#[derive(Clone)]
struct Member {
    client: Client,
    lists: Arc<Lists>,
}

/// What one server offers, each under its name in the group.
#[derive(Default)]
struct Lists {
    tools: Vec<(String, Tool)>,
    prompts: Vec<(String, Prompt)>,
    resources: Vec<(String, Resource)>,
    templates: Vec<(String, ResourceTemplate)>,
}

impl ClientGroup {
    /// A group without servers.
    #[must_use]
    pub fn new() -> Self {
        Self { naming: Arc::new(|server, item| format!("{server}_{item}")), members: Arc::default() }
    }

    /// The same group, in which an item is called what this makes of its server's name and its own.
    #[must_use]
    pub fn naming(self, name: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        Self { naming: Arc::new(name), ..self }
    }

    /// Adds a server: asks for its lists, and takes it in if no name is in the way. A server of the same name that has ended
    /// is replaced.
    ///
    /// # Errors
    ///
    /// When the name is taken, a name of an item is, or the lists cannot be had; the group is as before.
    pub async fn add(&self, server: impl Into<String>, client: Client) -> Result<()> {
        let server = server.into();
        let taken = || Error::Group(GroupError::Taken { server: server.clone() });
        let is_taken = |members: &BTreeMap<_, Member>| members.get(&server).is_some_and(|it| !it.client.is_closed());
        if is_taken(&self.lock()) {
            return Err(taken());
        }
        let lists = self.read(&server, &client).await?;
        let replaced = {
            let mut members = self.lock();
            if is_taken(&members) {
                return Err(taken());
            }
            check(&members, &server, &lists)?;
            members.insert(server, Member { client, lists: Arc::new(lists) })
        };
        // The last handle on a connection closes it: not under the lock.
        drop(replaced);
        Ok(())
    }

    /// Connects to servers and adds them, up to `at_once` side by side. Each says what came of it; one that fails takes no
    /// other along.
    ///
    /// ```no_run
    /// # async fn connect(command: &str) -> mcp::Result<mcp::Client> { unimplemented!() }
    /// # async fn example() {
    /// let group = mcp::ClientGroup::new();
    /// let servers = ["files", "web", "mail"].map(|name| (name, connect(name)));
    /// for (server, added) in group.connect(8, servers).await {
    ///     if let Err(error) = added {
    ///         eprintln!("{server}: {error}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn connect<F>(
        &self,
        at_once: usize,
        servers: impl IntoIterator<Item = (impl Into<String>, F)>,
    ) -> impl Future<Output = Vec<(String, Result<()>)>>
    where
        F: IntoFuture<Output = Result<Client>>,
    {
        let servers = servers.into_iter().map(|(server, connecting)| {
            let server = server.into();
            // Boxed here, so that whoever holds many servers in an array holds no large future.
            Box::pin(async move {
                let added = match connecting.await {
                    Ok(client) => self.add(server.clone(), client).await,
                    Err(error) => Err(error),
                };
                (server, added)
            })
        });
        side_by_side(at_once, servers.collect())
    }

    /// Takes a server out; its connection is the caller's then, and closes if it is dropped.
    pub fn remove(&self, server: &str) -> Option<Client> {
        self.lock().remove(server).map(|member| member.client)
    }

    /// Asks all servers for their lists again, up to `at_once` side by side. One that cannot be asked, or now has a name that
    /// is taken, keeps its old lists, and says why.
    pub async fn refresh(&self, at_once: usize) -> Vec<(String, Result<()>)> {
        let members = self.lock().iter().map(|(name, it)| (name.clone(), it.client.clone())).collect::<Vec<_>>();
        let refreshed = members.into_iter().map(|(server, client)| {
            Box::pin(async move {
                let refreshed = self.read_again(&server, &client).await;
                (server, refreshed)
            })
        });
        side_by_side(at_once, refreshed.collect()).await
    }

    /// The names of the servers, also of those that have ended.
    pub fn servers(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// The connection to a server.
    pub fn client(&self, server: &str) -> Option<Client> {
        self.lock().get(server).map(|member| member.client.clone())
    }

    /// The tools of all servers: server by server, each in its own order.
    pub fn tools(&self) -> Vec<Grouped<Tool>> {
        self.merged(|lists| &lists.tools)
    }

    /// The prompts of all servers.
    pub fn prompts(&self) -> Vec<Grouped<Prompt>> {
        self.merged(|lists| &lists.prompts)
    }

    /// The resources of all servers.
    pub fn resources(&self) -> Vec<Grouped<Resource>> {
        self.merged(|lists| &lists.resources)
    }

    /// The templates of resources of all servers.
    pub fn resource_templates(&self) -> Vec<Grouped<ResourceTemplate>> {
        self.merged(|lists| &lists.templates)
    }

    /// Calls a tool by its name in the group; see [`Client::call_tool`].
    pub fn call_tool(&self, name: &str, arguments: impl Serialize) -> Request<CallToolResult> {
        match self.find("tool", name, |lists| &lists.tools) {
            Ok((client, tool)) => client.call_tool(tool.name, arguments),
            Err(error) => Request::new(Err(error)),
        }
    }

    /// Gets a prompt by its name in the group; see [`Client::get_prompt`].
    pub fn get_prompt(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Request<GetPromptResult> {
        match self.find("prompt", name, |lists| &lists.prompts) {
            Ok((client, prompt)) => client.get_prompt(prompt.name, arguments.into_iter().collect::<StringArguments>()),
            Err(error) => Request::new(Err(error)),
        }
    }

    /// Reads a resource by its name in the group; see [`Client::read_resource`].
    pub fn read_resource(&self, name: &str) -> Request<ReadResourceResult> {
        match self.find("resource", name, |lists| &lists.resources) {
            Ok((client, resource)) => client.read_resource(resource.uri),
            Err(error) => Request::new(Err(error)),
        }
    }

    async fn read(&self, server: &str, client: &Client) -> Result<Lists> {
        let mut lists = Lists::default();
        let name = |item: &str| (self.naming)(server, item);
        if client.has_tools() {
            let tools = client.list_tools().await?;
            lists.tools = tools.into_iter().map(|tool| (name(&tool.name), tool)).collect();
        }
        if client.has_prompts() {
            let prompts = client.list_prompts().await?;
            lists.prompts = prompts.into_iter().map(|prompt| (name(&prompt.name), prompt)).collect();
        }
        if client.has_resources() {
            let resources = client.list_resources().await?;
            lists.resources = distinct(resources, |it| &it.name, |it| &it.uri, name);
            // Many servers with resources do not know this method.
            let templates = match client.list_resource_templates().await {
                Err(error) if error.rpc().is_some() => Vec::new(),
                templates => templates?,
            };
            lists.templates = distinct(templates, |it| &it.name, |it| &it.uri_template, name);
        }
        Ok(lists)
    }

    async fn read_again(&self, server: &str, client: &Client) -> Result<()> {
        let lists = self.read(server, client).await?;
        let mut members = self.lock();
        // It may have been taken out or replaced meanwhile.
        if members.get(server).is_some_and(|member| Arc::ptr_eq(&member.client.inner, &client.inner)) {
            check(&members, server, &lists)?;
            if let Some(member) = members.get_mut(server) {
                member.lists = Arc::new(lists);
            }
        }
        Ok(())
    }

    fn merged<T: Clone>(&self, list: impl Fn(&Lists) -> &Vec<(String, T)>) -> Vec<Grouped<T>> {
        let members = self.lock();
        let open = members.iter().filter(|(_, member)| !member.client.is_closed());
        let items = open.flat_map(|(server, member)| {
            let grouped = |(name, item): &(String, T)| (name.clone(), server.clone(), item.clone());
            list(&member.lists).iter().map(grouped)
        });
        items.map(|(name, server, item)| Grouped { name, server, item }).collect()
    }

    fn find<T: Clone>(
        &self,
        kind: &'static str,
        name: &str,
        list: impl Fn(&Lists) -> &Vec<(String, T)>,
    ) -> Result<(Client, T)> {
        let members = self.lock();
        let found = members.values().filter_map(|member| {
            let (_, item) = list(&member.lists).iter().find(|(known, _)| known == name)?;
            Some((member.client.clone(), item.clone()))
        });
        // One that has ended says so, unless another has taken over the name.
        if let Some(found) = found.min_by_key(|(client, _)| client.is_closed()) {
            return Ok(found);
        }
        Err(Error::Group(GroupError::Unknown { kind, name: name.to_owned() }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Member>> {
        // Changed by single steps only, so it is right in any state.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ClientGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ClientGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientGroup").field("servers", &self.servers()).finish_non_exhaustive()
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { server } => write!(f, "there is a server of the name {server:?} already"),
            Self::Collision { name, server, other } => {
                write!(f, "{name:?} would be both of {server:?} and of {other:?}: name one of the servers otherwise")
            }
            Self::Unknown { kind, name } => write!(f, "there is no {kind} of the name {name:?}"),
        }
    }
}

impl std::error::Error for GroupError {}

/// Items under their names in the group. Unlike tools and prompts, resources are told apart by their URIs: those of one server
/// that have one name are called by these.
fn distinct<T>(
    items: Vec<T>,
    name: impl Fn(&T) -> &String,
    uri: impl Fn(&T) -> &String,
    in_group: impl Fn(&str) -> String,
) -> Vec<(String, T)> {
    let mut many = BTreeMap::<String, usize>::new();
    items.iter().for_each(|item| *many.entry(name(item).clone()).or_default() += 1);
    let called = |item: &T| {
        if many.get(name(item)).is_some_and(|many| *many > 1) { uri(item).clone() } else { name(item).clone() }
    };
    items.into_iter().map(|item| (in_group(&called(&item)), item)).collect()
}

/// Whether the names of a server's items are free.
fn check(members: &BTreeMap<String, Member>, server: &str, lists: &Lists) -> Result<()> {
    fn names<T>(list: &[(String, T)]) -> impl Iterator<Item = &str> {
        list.iter().map(|(name, _)| name.as_str())
    }
    let kinds = |lists: &Lists| -> [Vec<String>; 4] {
        [
            names(&lists.tools).map(str::to_owned).collect(),
            names(&lists.prompts).map(str::to_owned).collect(),
            names(&lists.resources).map(str::to_owned).collect(),
            names(&lists.templates).map(str::to_owned).collect(),
        ]
    };
    let mut taken: [BTreeMap<String, &str>; 4] = Default::default();
    for (other, member) in members.iter().filter(|(other, member)| *other != server && !member.client.is_closed()) {
        for (taken, names) in taken.iter_mut().zip(kinds(&member.lists)) {
            taken.extend(names.into_iter().map(|name| (name, other.as_str())));
        }
    }
    for (taken, names) in taken.iter_mut().zip(kinds(lists)) {
        for name in names {
            if let Some(owner) = taken.get(&name) {
                let (server, other) = ((*owner).to_owned(), server.to_owned());
                return Err(Error::Group(GroupError::Collision { name, server, other }));
            }
            taken.insert(name, server);
        }
    }
    Ok(())
}

/// Runs futures to their ends, up to `at_once` of them side by side; their outcomes in the order in which they were given.
async fn side_by_side<F: Future>(at_once: usize, futures: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut waiting = futures.into_iter().enumerate();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut done = BTreeMap::new();
    poll_fn(|cx| {
        loop {
            let room = at_once.max(1) - running.len();
            running.extend(waiting.by_ref().take(room));
            let before = running.len();
            running.retain_mut(|(at, future)| match future.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(outcome) => {
                    done.insert(*at, outcome);
                    false
                }
            });
            if running.is_empty() && before == 0 {
                return Poll::Ready(());
            }
            // With room again, more begin at once; else whoever is ready next wakes.
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    done.into_values().collect()
}
