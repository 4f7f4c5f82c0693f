//! The Model Context Protocol for Rust, on any async runtime: servers and clients over a sans-IO core.
//!
//! - A **server** is a [`Server`] with [`Tool`]s, served by an adapter: `mcp_tokio::serve_stdio(server)`.
//! - A **client** is a [`Client`], connected by an adapter: `mcp_tokio::spawn(["python3", "server.py"])`.
//! - A **test** puts both into one process: `mcp_tokio::pair(server)`.
//!
//! Another runtime is another adapter crate with the same functions; [`runtime`] tells how to write one, and
//! [`stream::serve`] and [`stream::connect`] are what it calls. The protocol itself is in the crate [`mcp_proto`], whose
//! types are re-exported here as [`model`].
//!
//! This crate names no runtime and starts no tasks by itself except through [`runtime::Spawn`]. It logs through `tracing`
//! and never configures logging; what carries the protocol on stdout carries nothing else.

mod client;
mod error;
pub mod memory;
pub mod process;
pub mod runtime;
mod schema;
mod server;
pub mod stdio;
pub mod stream;

pub use client::{
    Asked, Caching, Callback, CallbackOutput, Changes, Client, ClientBuilder, ClientGroup, Ended, GroupError, Grouped,
    List, Listen, NoParams, Notification, Page, Pending, Request, Started, TaskState, Watch,
};
pub use error::{Error, Result};
pub use mcp_proto::model;
pub use mcp_proto::{
    CacheLimits, Change, CloseReason, Era, ErrorCode, ErrorObject, Extension, Limits, Message, Meta, PageFault, Peer,
    PeerCapabilities, ProtocolVersion, RequestError, RespondError, TimedOut, Timestamp, Why,
};
pub use server::{Context, Form, IntoTool, Json, Server, Steps, Tool, ToolError, ToolHandler, ToolOutput, accepted};

/// The README's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
