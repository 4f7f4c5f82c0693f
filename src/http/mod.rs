//! Servers over HTTP: one endpoint for all revisions that have it, on every runtime, by hyper.

mod body;
mod caller;
mod connection;
mod count;
mod denied;
mod io;
mod options;
#[cfg(test)]
mod testing;
mod timer;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
pub use bytes::Bytes;

pub use self::caller::Caller;
pub use self::denied::Denied;
pub use self::options::HttpOptions;
