//! The Model Context Protocol for Rust, on any async runtime: servers and clients over a sans-IO core.
//!
//! - A **server** is a [`Server`] with [`Tool`]s, served by an adapter: `mcp_tokio::serve_stdio(server)`.
//! - A **client** is a [`Client`], connected by an adapter: `mcp_tokio::spawn(["python3", "server.py"])`.
//! - A **test** puts both into one process: `mcp_tokio::pair(server)`.
//!
//! The [`guide`] goes through all of it in the order in which one needs it. What differs between the revisions of the protocol
//! stands in one place, [`guide::eras`].
//!
//! Another runtime is another adapter crate with the same functions; [`runtime`] tells how to write one, and
//! [`stream::serve`] and [`stream::connect`] are what it calls. Handlers that are not `Send` live in a [`local::Local`].
//! The protocol itself is in the crate [`mcp_proto`], whose types are re-exported here as [`model`].
//!
//! With the feature `seal`, what handlers keep between two rounds of a request is sealed before it goes through the client's
//! hands. A server that others can reach than who started it wants that: [`Context::once`] tells why.
//!
//! This crate names no runtime and starts no tasks by itself except through [`runtime::Spawn`]. It logs and traces through
//! `tracing` ([`trace`] says what) and never configures logging; what carries the protocol on stdout carries nothing else.

mod client;
mod error;
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
mod intercept;
pub mod local;
pub mod memory;
pub mod net;
pub mod process;
pub mod runtime;
mod schema;
#[cfg(feature = "seal")]
pub mod seal;
mod server;
pub mod stdio;
pub mod stream;
pub mod trace;

pub use client::{
    Asked, Caching, Callback, CallbackOutput, Changes, Client, ClientBuilder, ClientGroup, Ended, GroupError, Grouped,
    List, Listen, NoParams, Notification, Page, Pending, Request, Restart, Restarted, Run, Started, TaskState, Watch,
};
pub use error::{Error, Result};
pub use intercept::{Incoming, Interceptor, Next, Outcome};
pub use mcp_proto::model;
pub use mcp_proto::uri_template::{TemplateError, UriTemplate};
pub use mcp_proto::{
    CacheLimits, Change, CloseReason, Era, ErrorCode, ErrorObject, Extension, Limits, Lost, Message, Meta, PageFault,
    Peer, PeerCapabilities, ProtocolVersion, RequestError, RespondError, Stats, TimedOut, Timestamp, Why,
};
pub use server::{
    At, Audio, Bus, Cached, CompletionOutput, Context, Edit, Form, Handler, HandlerError, Image, IntoTool, Item, Json,
    Lenient, LocalBus, Node, Partial, Prompt, PromptOutput, Resource, ResourceOutput, ResourceTemplate, Server,
    Session, Steps, Tool, ToolError, ToolHandler, ToolOutput, accepted,
};
pub use stream::{Budget, ResponseRouter, Routed};

/// The README's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
