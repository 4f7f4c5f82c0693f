//! The types of the wire, one file per page of the specification, and the tables of what differs between revisions.
//!
//! Types only: no rule about when something may be sent lives here, except as data in the tables. Every object keeps the
//! members that it does not know in `extra`, every string enum has an `Other`, every union keeps unknown kinds; so what a
//! newer peer sends survives a round trip. The member `_meta` of parameters and results is not here: it belongs to the
//! [`Connection`](crate::Connection).

mod cancellation;
mod content;
mod elicitation;
mod lifecycle;
mod logging;
mod progress;
mod resources;
mod revisions;
mod roots;
mod sampling;
mod tools;
mod version;
pub(crate) mod wire;

pub use cancellation::*;
pub use content::*;
pub use elicitation::*;
pub use lifecycle::*;
pub use logging::*;
pub use progress::*;
pub use resources::*;
pub(crate) use revisions::method_rule;
pub use revisions::{ArgumentFaults, Capability, METHODS, MethodRule, Rules, Sender, UnreadableId};
pub use roots::*;
pub use sampling::*;
pub use tools::*;
pub use version::{Era, ProtocolVersion, UnknownVersion};

#[cfg(test)]
mod tests;
