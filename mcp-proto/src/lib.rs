//! The Model Context Protocol as a pure state machine: no I/O, no clock, no randomness, no async, no threads.
//!
//! A [`Connection`] is one side of one MCP session, client or server. It is told what came and when, and it says what to
//! send, what the application has to know, and when it wants to be woken. Everything that the protocol decides is decided
//! here, by a function of (state, input, now); so it runs under any executor or none, in a browser or on a
//! microcontroller, and a test replays it byte for byte.
//!
//! # The tour
//!
//! - [`Connection`]: start here; its page sorts its methods and shows the run loop.
//! - [`jsonrpc::Message`] is what comes in, scanned once and decoded by whoever knows its type;
//!   [`jsonrpc::Body`] is what goes out, encoded by the caller. Both are made outside any lock.
//! - [`model`] has the types of the wire, one file per page of the specification, and the tables of what differs between
//!   revisions.
//! - [`uri_template::UriTemplate`] reads, expands and matches templates of resources.
//! - [`line::LineBuffer`] cuts a byte stream into messages, for drivers that scan outside their lock.
//! - [`Pages`] follows a list page by page, and is not led in circles.
//! - [`Cache`] keeps answers for as long as the server says that they are fresh.
//! - [`Limits`] holds every bound, each with what it costs.
//!
//! # A server, by hand
//!
//! Usually the crate `mcp` does this. Underneath it is no more than:
//!
//! ```
//! use std::sync::Arc;
//! use mcp_proto::model::{CallToolResult, Implementation, ServerCapabilities, ToolsCapability};
//! use mcp_proto::{Body, Connection, Event, ResultKind, ServerConfig, Start, Timestamp};
//!
//! let mut config = ServerConfig::new(Implementation::new("echo", "1.0.0"));
//! config.capabilities = ServerCapabilities::default().with_tools(ToolsCapability::default());
//! let now = Timestamp::EPOCH;
//! let mut server = Connection::server(Arc::new(config), Start::Handshake, now);
//!
//! server.handle_input(now, br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",
//!     "capabilities":{},"clientInfo":{"name":"me","version":"1"}}}"#.map(|byte| if byte == b'\n' { b' ' } else { byte }).as_slice());
//! server.handle_input(now, b"\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
//! server.handle_input(now, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\"}}\n");
//! while let Some(event) = server.poll_event() {
//!     if let Event::Request { id, message, .. } = event {
//!         assert_eq!(message.name(), Some("echo"));
//!         let result = Body::result(&CallToolResult::text("hello"))?;
//!         server.respond(now, id, ResultKind::Complete, result, None)?;
//!     }
//! }
//! let mut wire = Vec::new();
//! server.drain_lines(&mut wire, usize::MAX);
//! assert!(String::from_utf8_lossy(&wire).contains("hello"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "http"))]
extern crate std;

mod cache;
mod connection;
#[cfg(feature = "http")]
pub mod http;
pub mod jsonrpc;
pub mod line;
pub mod model;
mod pages;
mod time;
pub mod uri_template;

pub use cache::{Asking, Cache, CacheLimits, Found, Question};
pub use connection::{
    About, Attachment, CallOptions, Change, Channel, ClientConfig, CloseReason, Connection, Deadlines, Event,
    Extension, FreezeError, Hold, InboundId, InputRequired, Limits, Lost, Meta, Origin, OutboundId, OwnAnswers, Peer,
    PeerCapabilities, RequestError, RequestMeta, RespondError, ResultKind, Rounds, Rule, Scope, SendError,
    ServerConfig, Start, Stats, ThawError, TimedOut, Transmit, Wanted, Why,
};
pub use jsonrpc::{Body, EncodeError, ErrorCode, ErrorObject, Message};
pub use model::{Era, ProtocolVersion};
pub use pages::{PageFault, Pages, Turn};
pub use time::Timestamp;
