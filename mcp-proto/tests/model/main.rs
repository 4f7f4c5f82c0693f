//! The connection against naive oracles, which keep lists where it keeps tables, and count time down where it keeps deadlines:
//! every order of short scripts, and long sequences that a generator draws. After each step both must have said the same.
//!
//! The numbers in the names and comments are those of `mcp-proto/INVARIANTS.md`.

mod client;
mod handshake;
mod orders;
mod server;
mod watch;
