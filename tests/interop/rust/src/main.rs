//! The fixture of `../README.md` and the steps through it, by the official Rust SDK: `interop-rmcp server [--http]` and
//! `interop-rmcp client --revision REVISION --how pinned|default|auto --steps NAME,NAME... COMMAND ARGS... | --http URL`.
//!
//! The SDK's types are filled from JSON, because most of them cannot be built field by field from outside. All runs on one
//! thread: the SDK spawns a task for each notification, and on more threads they would change places.

#![allow(deprecated)]

mod client;
mod server;
mod steps;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A type of the SDK with the content of `value`.
pub fn model<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a value of the SDK's type")
}

/// 0 to 255: what the fixture's blobs and pictures hold.
pub fn bytes() -> Vec<u8> {
    (0..=255).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((role, rest)) if role == "client" => client::run(rest).await,
        Some((role, [])) if role == "server" => server::over_stdio().await,
        Some((role, [http])) if role == "server" && http == "--http" => server::over_http().await,
        _ => anyhow::bail!("server [--http] | client --revision REVISION --how HOW --steps NAMES COMMAND ..."),
    }
}
