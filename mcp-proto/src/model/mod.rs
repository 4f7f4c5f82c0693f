//! The types of the wire, one file per page of the specification, and the tables of what differs between revisions.
//!
//! Types only: no rule about when something may be sent lives here, except as data in the tables. Every object keeps the
//! members that it does not know in `extra`, every string enum has an `Other`, every union keeps unknown kinds; so what a
//! newer peer sends survives a round trip. The members `_meta` of parameters and results and `resultType` of results are not
//! here: they belong to the [`Connection`](crate::Connection), which reads the former as [`RequestMetaObject`].
//!
//! ```
//! use mcp_proto::model::{Resource, Tool};
//!
//! let notes = Resource::new("file:///notes.txt", "notes").with_title("Notes").with_mime_type("text/plain");
//! assert_eq!(notes.title.as_deref(), Some("Notes"));
//!
//! let text = r#"{"name":"add","inputSchema":{"type":"object"},"fromTheFuture":1}"#;
//! let tool: Tool = serde_json::from_str(text)?;
//! assert_eq!(serde_json::to_value(&tool)?["fromTheFuture"], 1);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod caching;
mod cancellation;
mod completion;
mod content;
mod dialect;
mod discover;
mod elicitation;
mod elicitation_form;
mod errors;
mod lifecycle;
mod logging;
mod meta;
mod multi_round_trip;
mod progress;
mod prompts;
mod resources;
mod revisions;
mod roots;
mod sampling;
mod sampling_tools;
mod subscriptions;
mod tasks;
mod tasks_extension;
mod tools;
mod trace_context;
mod version;
pub(crate) mod wire;

pub use caching::*;
pub use cancellation::*;
pub use completion::*;
pub use content::*;
pub use dialect::*;
pub use discover::*;
pub use elicitation::*;
pub use elicitation_form::*;
pub use errors::*;
pub use lifecycle::*;
pub use logging::*;
pub use meta::*;
pub use multi_round_trip::*;
pub use progress::*;
pub use prompts::*;
pub use resources::*;
pub(crate) use revisions::method_rule;
pub use revisions::{
    ArgumentFaults, CACHEABLE, Capability, ERRORS, ErrorRule, INPUT_REQUESTS, MAY_REQUIRE_INPUT, METHODS, MethodRule,
    Rules, Sender, TasksRule, Union, UnreadableId, VARIANTS, VariantRule,
};
pub use roots::*;
pub use sampling::*;
pub use sampling_tools::*;
pub use subscriptions::*;
pub use tasks::*;
pub use tasks_extension::*;
pub use tools::*;
pub use trace_context::*;
pub use version::{Era, ProtocolVersion, UnknownVersion};

#[cfg(test)]
mod tests;
