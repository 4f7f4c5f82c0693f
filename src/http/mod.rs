//! Servers over HTTP: one endpoint for all revisions that have it, on every runtime, by hyper.

mod body;
mod caller;
mod connection;
mod cors;
mod count;
mod denied;
mod io;
mod legacy;
mod listen;
mod modern;
mod open;
mod options;
mod reading;
mod service;
#[cfg(test)]
mod testing;
mod timer;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
pub use bytes::Bytes;
pub use mcp_proto::http::{HttpLimits, Keeping};

pub use self::caller::Caller;
pub use self::denied::Denied;
pub use self::listen::{listen, listen_http};
pub use self::options::HttpOptions;
