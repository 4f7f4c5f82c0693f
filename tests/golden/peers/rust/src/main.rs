//! Peers built on the official Rust SDK: `golden-rmcp server` and `golden-rmcp client REVISION SCENARIO COMMAND ...`.
//!
//! The SDK's types are filled from JSON, because most of them cannot be built field by field from outside.

#![allow(deprecated)]

mod client;
mod server;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A type of the SDK with the content of `value`.
pub fn model<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a value of the SDK's type")
}

/// A result of the SDK with the content of `value`. The SDK's own constructors set the result type, so this does too.
pub fn complete<T: DeserializeOwned>(mut value: Value) -> T {
    value["resultType"] = "complete".into();
    model(value)
}

/// Lets the other side, or a task, go on.
pub async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await; // slow on purpose
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((kind, rest)) if kind == "client" && rest.len() > 2 => client::run(&rest[0], &rest[1], &rest[2..]).await,
        Some((kind, rest)) if kind == "server" => server::run(rest).await,
        _ => anyhow::bail!("client REVISION SCENARIO COMMAND ... | server [legacy-only|modern-only]"),
    }
}
