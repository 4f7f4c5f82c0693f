//! JSON-RPC 2.0: ids, errors, reading one message, writing one message (specification: basic, Messages).

mod body;
mod error;
mod id;
mod message;
mod salvage;
mod scan;
mod tail;
mod text;

pub(crate) use body::refusal;
pub use body::{Body, EncodeError};
pub use error::{ErrorCode, ErrorObject};
pub use id::{ProgressToken, RequestId};
pub use message::{Json, Kind, Message};
pub(crate) use salvage::Salvage;
pub use scan::Fault;
#[cfg(feature = "http")]
pub(crate) use scan::elements;
pub(crate) use scan::members;
pub(crate) use tail::Tail;

#[cfg(test)]
mod tests;
