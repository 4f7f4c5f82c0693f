//! Changing what a server offers while it serves.

use std::fmt;

use super::definition::Definition;
use super::registry::{Listed, Visible};
use super::tool::{IntoTool, Tool};

/// Names something that a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// The tool of this name.
    Tool(&'a str),
}

/// The changes of one [`Server::update`](crate::Server::update). They are made together, in this order, or not at all.
#[derive(Debug, Default)]
pub struct Edit {
    steps: Vec<Step>,
}

enum Step {
    Tool(Tool),
    Remove(Key),
    Show(Key, Visible),
}

/// An [`Item`] of its own.
#[derive(Clone, Debug)]
enum Key {
    Tool(String),
}

impl Edit {
    /// Offers a tool. One of the same name is replaced where it stands in the list.
    pub fn tool(&mut self, tool: impl IntoTool) -> &mut Self {
        self.step(Step::Tool(tool.into_tool()))
    }

    /// Takes something back. Requests that are in work with it go on.
    pub fn remove(&mut self, item: Item<'_>) -> &mut Self {
        self.step(Step::Remove(item.into()))
    }

    /// Hides something: it is not listed, and using it is as if it were unknown.
    pub fn disable(&mut self, item: Item<'_>) -> &mut Self {
        self.step(Step::Show(item.into(), Visible::No))
    }

    /// Shows again what was hidden.
    pub fn enable(&mut self, item: Item<'_>) -> &mut Self {
        self.step(Step::Show(item.into(), Visible::Yes))
    }

    fn step(&mut self, step: Step) -> &mut Self {
        self.steps.push(step);
        self
    }

    /// Makes the changes. What is wrong with them is among the definition's faults then.
    pub(super) fn apply(&self, definition: &mut Definition) {
        for step in &self.steps {
            match step {
                Step::Tool(tool) => definition.put_tool(tool.clone()),
                Step::Remove(key) => match key {
                    Key::Tool(name) => {
                        let removed = definition.tools.remove(name);
                        definition.expect_known(removed, Tool::WHAT, name);
                    }
                },
                Step::Show(key, visible) => match key {
                    Key::Tool(name) => {
                        let shown = definition.tools.show(name, *visible);
                        definition.expect_known(shown, Tool::WHAT, name);
                    }
                },
            }
        }
    }
}

impl From<Item<'_>> for Key {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Tool(name) => Self::Tool(name.to_owned()),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(tool) => tool.fmt(f),
            Self::Remove(key) => write!(f, "remove {key:?}"),
            Self::Show(key, visible) => write!(f, "{key:?} visible: {visible:?}"),
        }
    }
}
