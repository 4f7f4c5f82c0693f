//! No async at all: a server and a client on `mcp-proto` alone, with blocking threads over the pipes of a process.
//!
//! `cargo run --example blocking` starts itself as a server, in a child process, and uses it. What each side does is in
//! `server.rs` and `client.rs`; what both need, the loop around a connection, is in `wire.rs`.

mod client;
mod server;
mod wire;

use std::process::ExitCode;

/// The argument by which this program, started as a child, knows that it is the server.
const SERVE: &str = "--serve";

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some(SERVE) => server::run(),
        _ => client::run(SERVE),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blocking: {error}");
            ExitCode::FAILURE
        }
    }
}
