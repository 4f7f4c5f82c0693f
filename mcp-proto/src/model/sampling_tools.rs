//! Whether the uses of tools in a conversation and their results belong together; mirrors the specification's Sampling page,
//! Tool Use (2025-11-25 and later).

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt;

use super::content::{ContentBlock, Role};
use super::sampling::{CreateMessageParams, SamplingMessage};

/// What is wrong with the uses of tools in a conversation: which message, counted from 0, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolUseFault {
    /// A message has results of tools and something else beside them.
    Mixed(usize),
    /// A message of the assistant has results of tools.
    ResultOfAssistant(usize),
    /// A message of the user uses a tool.
    UseOfUser(usize),
    /// The use with this id has no result in the next message.
    Unanswered(usize, String),
    /// The result with this id belongs to no use in the message before.
    Unasked(usize, String),
}

impl fmt::Display for ToolUseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mixed(at) => write!(f, "messages[{at}] has results of tools and other content"),
            Self::ResultOfAssistant(at) => write!(f, "messages[{at}]: only the user gives results of tools"),
            Self::UseOfUser(at) => write!(f, "messages[{at}]: only the assistant uses tools"),
            Self::Unanswered(at, id) => write!(f, "messages[{at}] uses a tool ({id}) whose result does not follow"),
            Self::Unasked(at, id) => write!(f, "messages[{at}] has the result of a use ({id}) that is not before it"),
        }
    }
}

impl core::error::Error for ToolUseFault {}

impl CreateMessageParams {
    /// Whether each use of a tool is followed by its result, and results stand by themselves.
    ///
    /// # Errors
    ///
    /// The first message that is not so. A client answers it with −32602.
    pub fn check_tool_use(&self) -> Result<(), ToolUseFault> {
        let mut open: BTreeSet<&str> = BTreeSet::new();
        for (at, message) in self.messages.iter().enumerate() {
            let results: BTreeSet<&str> = results(message).collect();
            let uses: BTreeSet<&str> = uses(message).collect();
            if !results.is_empty() && message.role == Role::Assistant {
                return Err(ToolUseFault::ResultOfAssistant(at));
            }
            if !uses.is_empty() && message.role == Role::User {
                return Err(ToolUseFault::UseOfUser(at));
            }
            if !results.is_empty() && message.content.len() != results_of(message) {
                return Err(ToolUseFault::Mixed(at));
            }
            if let Some(id) = open.difference(&results).next() {
                return Err(ToolUseFault::Unanswered(at - 1, (*id).into()));
            }
            if let Some(id) = results.difference(&open).next() {
                return Err(ToolUseFault::Unasked(at, (*id).into()));
            }
            open = uses;
        }
        match open.first() {
            Some(id) => Err(ToolUseFault::Unanswered(self.messages.len() - 1, (*id).into())),
            None => Ok(()),
        }
    }
}

fn uses(message: &SamplingMessage) -> impl Iterator<Item = &str> {
    message.content.iter().filter_map(|block| match block {
        ContentBlock::ToolUse(it) => Some(it.id.as_str()),
        _ => None,
    })
}

fn results(message: &SamplingMessage) -> impl Iterator<Item = &str> {
    message.content.iter().filter_map(|block| match block {
        ContentBlock::ToolResult(it) => Some(it.tool_use_id.as_str()),
        _ => None,
    })
}

fn results_of(message: &SamplingMessage) -> usize {
    results(message).count()
}
