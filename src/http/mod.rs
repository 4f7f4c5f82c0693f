//! Servers over HTTP: one endpoint for every revision that has it, on every runtime, by hyper.
//!
//! With an adapter at hand, call its `serve_http` or `listen_http`:
//!
//! ```no_run
//! use mcp::http::{Caller, Denied, HttpOptions};
//! use mcp::{Server, Tool};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mcp::Result<()> {
//! let server = Server::new("calculator", "1.0.0").tool(Tool::new("zero", "The number 0", async || 0));
//! let options = HttpOptions::default().health().authenticate(async |caller: Caller| {
//!     match caller.headers().get("authorization").map(|token| token.as_bytes()) {
//!         Some(b"Bearer sesame") => Ok(caller.with_principal("ann")),
//!         _ => Err(Denied::unauthorized("Bearer")),
//!     }
//! });
//! let listening = mcp_tokio::listen_http(8000, server, options).await?;
//! println!("http://{}/mcp", listening.address());
//! # Ok(()) }
//! ```
//!
//! Another runtime joins with [`listen`], and whatever clients come by is a [`Listener`](crate::net::Listener).
//!
//! **Both eras at one path.** A client of 2026-07-28 sends requests that stand alone: a handler lives in the response to its request, and is
//! dropped when the client closes the connection. A client of the revisions before begins a session, which lives on between its
//! requests, belongs to the principal that began it, and ends when it is idle for long. Which it is, each request says itself.
//!
//! **Who gets in.** By default only this machine ([`Bind`](crate::net::Bind)), and no web page but one of this machine: `Host` and `Origin`
//! are checked on every request before anything else ([`HttpOptions::allow_host`], [`HttpOptions::allow_origin`]). Who it is that asks, a hook
//! finds out ([`HttpOptions::authenticate`]), and handlers learn it from [`Context::caller`](crate::Context::caller). Nothing is encrypted here:
//! what other machines reach belongs behind a proxy that does that.
//!
//! **Everything has a bound**: what a client may send and how long it may take, how many there may be, what they may hold
//! ([`HttpOptions`], [`HttpLimits`], [`Budget`](crate::Budget)).
//!
//! **The end in good order** is [`Listening::shutdown`](crate::net::Listening::shutdown): no new connections, idle ones close at once, requests
//! in work are answered, streams end, and what is not done by the end of the grace is cut and reported. Meanwhile `/readyz` says no
//! ([`HttpOptions::health`]).

mod body;
mod caller;
mod client;
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
pub use mcp_proto::http::{CancelledPost, HttpLimits, Keeping};

pub use self::caller::Caller;
pub use self::client::{HttpTarget, connect_http};
pub use self::denied::Denied;
pub(crate) use self::legacy::PostStream;
pub use self::listen::{listen, listen_http};
pub use self::options::HttpOptions;
pub use mcp_proto::http::client::{Challenge, ClientLimits, OldTransport, Standalone};
