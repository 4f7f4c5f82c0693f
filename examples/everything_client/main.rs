//! A client that uses every verb of the protocol against a server like `everything_server`, answers whatever that asks, and
//! tells step by step what came of it; it fails if one step does.
//!
//! `cargo run --example everything_client -- [--runtime tokio|async-std|smol] [--revision REVISION]
//! URL | --tcp ADDRESS | --unix PATH | --spawn COMMAND ARGS...`
//!
//! With `MCP_CONFORMANCE_SCENARIO` set, as the official conformance suite does for the clients that it tests, it plays that
//! scenario instead (`scenarios.rs`), in the revision that `MCP_CONFORMANCE_PROTOCOL_VERSION` names, with what
//! `MCP_CONFORMANCE_CONTEXT` tells of it.
//!
//! What it does is in `walk/` and `scenarios.rs`, what it answers in `heard.rs`; none of them knows a runtime or a transport.
//! How it is connected is in `connect.rs`.

mod connect;
mod heard;
#[path = "../everything_server/pause.rs"]
mod pause;
#[path = "../everything_server/runtime.rs"]
mod runtime;
mod scenarios;
mod transcript;
mod walk;

use std::process::ExitCode;

use connect::{Options, Outcome};
use mcp::Client;
use pause::Pause;
use transcript::Transcript;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    if let [help] = arguments.as_slice()
        && (help == "--help" || help == "-h")
    {
        println!("{}", connect::USAGE);
        return ExitCode::SUCCESS;
    }
    let variable = |name| std::env::var(name).ok();
    let scenario = variable("MCP_CONFORMANCE_SCENARIO");
    let options = match Options::parse(&arguments, variable("MCP_CONFORMANCE_PROTOCOL_VERSION").as_deref()) {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("everything_client: {fault}\n{}", connect::USAGE);
            return ExitCode::FAILURE;
        }
    };
    let done = match scenario {
        None => connect::run(options, everything),
        Some(name) => match scenarios::find(&name) {
            Some(scenario) => {
                let context = variable("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
                connect::run(options, async move |client, _, _| {
                    let played = scenario(&client, &context).await;
                    client.close().await;
                    played
                })
            }
            None => Err(format!("the scenario {name:?} is not known here; these are: {}", scenarios::names()).into()),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("everything_client: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All steps, and the end.
async fn everything(client: Client, heard: heard::Heard, pause: Pause) -> Outcome {
    let mut transcript = Transcript::new(pause);
    walk::take(&client, &heard, &mut transcript).await;
    if let Some(exit) = client.close().await {
        transcript.remark(&format!("the server has ended: {exit}"));
    }
    transcript.end()
}
