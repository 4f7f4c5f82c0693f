//! Changing what a server offers while it serves.

use std::fmt;

use super::definition::Definition;
use super::prompt::Prompt;
use super::registry::{Added, Listed, Visible};
use super::resource::{Resource, ResourceTemplate};
use super::tool::{IntoTool, Tool};

/// Names something that a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// The tool of this name.
    Tool(&'a str),
    /// The prompt of this name.
    Prompt(&'a str),
    /// The resource of this URI.
    Resource(&'a str),
    /// The template that is written so.
    ResourceTemplate(&'a str),
}

/// The changes of one [`Server::update`](crate::Server::update). They are made together, in this order, or not at all.
#[derive(Default)]
pub struct Edit {
    steps: Vec<Step>,
}

type Step = Box<dyn Fn(&mut Definition)>;

impl Edit {
    /// Offers a tool. One of the same name is replaced where it stands in the list.
    pub fn tool(&mut self, tool: impl IntoTool) -> &mut Self {
        self.put(tool.into_tool())
    }

    /// Offers a prompt. One of the same name is replaced where it stands in the list.
    pub fn prompt(&mut self, prompt: Prompt) -> &mut Self {
        self.put(prompt)
    }

    /// Offers a resource. One of the same URI is replaced where it stands in the list.
    pub fn resource(&mut self, resource: Resource) -> &mut Self {
        self.put(resource)
    }

    /// Offers a template of resources. One that is written the same is replaced where it stands in the list.
    pub fn resource_template(&mut self, template: ResourceTemplate) -> &mut Self {
        self.put(template)
    }

    /// Takes something back. Requests that are in work with it go on.
    pub fn remove(&mut self, item: Item<'_>) -> &mut Self {
        match item {
            Item::Tool(name) => self.take::<Tool>(name),
            Item::Prompt(name) => self.take::<Prompt>(name),
            Item::Resource(uri) => self.take::<Resource>(uri),
            Item::ResourceTemplate(template) => self.take::<ResourceTemplate>(template),
        }
    }

    /// Hides something: it is not listed, and using it is as if it were unknown.
    pub fn disable(&mut self, item: Item<'_>) -> &mut Self {
        self.show_item(item, Visible::No)
    }

    /// Shows again what was hidden.
    pub fn enable(&mut self, item: Item<'_>) -> &mut Self {
        self.show_item(item, Visible::Yes)
    }

    fn show_item(&mut self, item: Item<'_>, visible: Visible) -> &mut Self {
        match item {
            Item::Tool(name) => self.show::<Tool>(name, visible),
            Item::Prompt(name) => self.show::<Prompt>(name, visible),
            Item::Resource(uri) => self.show::<Resource>(uri, visible),
            Item::ResourceTemplate(template) => self.show::<ResourceTemplate>(template, visible),
        }
    }

    fn put<T: Listed + Clone>(&mut self, item: T) -> &mut Self {
        self.step(move |definition| {
            let (Added::New | Added::Replaced) = definition.put(item.clone());
        })
    }

    fn take<T: Listed>(&mut self, key: &str) -> &mut Self {
        let key = key.to_owned();
        self.step(move |definition| {
            let removed = T::registry(definition).remove(&key);
            definition.expect_known(removed, T::WHAT, &key);
        })
    }

    fn show<T: Listed>(&mut self, key: &str, visible: Visible) -> &mut Self {
        let key = key.to_owned();
        self.step(move |definition| {
            let shown = T::registry(definition).show(&key, visible);
            definition.expect_known(shown, T::WHAT, &key);
        })
    }

    fn step(&mut self, step: impl Fn(&mut Definition) + 'static) -> &mut Self {
        self.steps.push(Box::new(step));
        self
    }

    /// Makes the changes. What is wrong with them is among the definition's faults then.
    pub(super) fn apply(&self, definition: &mut Definition) {
        self.steps.iter().for_each(|step| step(definition));
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit").field("steps", &self.steps.len()).finish()
    }
}
