//! Interop with the official SDKs: `mcp-interop --python PYTHON` runs all cells; `mcp-interop serve` is our server.
//!
//! A cell is one thing that two peers do with each other. Each prints `cell NAME ok` or `cell NAME FAILED: why`.

mod cells;
mod server;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => match mcp_tokio::serve_stdio(server::server()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("mcp-interop serve: {error}");
                ExitCode::FAILURE
            }
        },
        ["--python", python] => cells::run(python).await,
        _ => {
            eprintln!("usage: mcp-interop --python PYTHON | mcp-interop serve");
            ExitCode::FAILURE
        }
    }
}
