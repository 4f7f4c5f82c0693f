//! What the fuzzers do with the bytes they are given: a function for each target, which panics at a finding.
//!
//! The shells for `cargo fuzz` are one line each, in `fuzz/fuzz_targets`. Here is everything else, on stable Rust, so that the
//! ordinary tests compile it and [replay] the committed seeds. The invariants are those of `mcp-proto/INVARIANTS.md`,
//! and have its numbers in the messages of the assertions.

#![allow(clippy::missing_panics_doc, reason = "to panic is how a target tells of a finding")]

mod bytes;
mod choices;
mod endpoint;
mod headers;
mod line;
mod message;
mod ops;
mod pair;
mod peer;
pub mod replay;
mod security;
mod setup;
mod side;
mod sse;
mod uri_template;

pub use bytes::bytes;
pub use endpoint::endpoint;
pub use headers::headers;
pub use line::line;
pub use message::message;
pub use ops::ops;
pub use pair::pair;
pub use security::security;
pub use sse::sse;
pub use uri_template::uri_template;

/// A target: its name, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As `cargo fuzz run` knows it; its seeds are in the folder of this name.
    pub name: &'static str,
    /// Its body.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 10] = [
    Target { name: "line", run: line },
    Target { name: "message", run: message },
    Target { name: "bytes", run: bytes },
    Target { name: "ops", run: ops },
    Target { name: "pair", run: pair },
    Target { name: "uri_template", run: uri_template },
    Target { name: "sse", run: sse },
    Target { name: "headers", run: headers },
    Target { name: "security", run: security },
    Target { name: "endpoint", run: endpoint },
];
