//! Quickstart: starts an MCP server as a child process, connects to it over real stdio, and shows what the two can do.
//!
//! - `cargo run --example quickstart` starts its own server (`server.rs` beside this file).
//! - `cargo run --example quickstart -- COMMAND ARGS...` starts any other one: lists its tools, then calls the first that
//!   needs no arguments.
//! - `cargo run --example quickstart -- COMMAND ARGS... --call NAME JSON` calls that tool with these arguments.
//! - `cargo run --example quickstart -- --runtime smol ...` does any of that on another runtime: tokio, async-std or smol.

mod runtime;
mod server;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use mcp::model::{ElicitParams, ElicitResult};
use mcp::process::Command;
use mcp::{Client, ClientBuilder};
use runtime::Runtime;
use serde_json::{Value, json};

/// The argument by which this program, started as a child, knows that it is the server.
const SERVE: &str = "--serve";

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let (runtime, arguments) = match arguments.as_slice() {
        ["--runtime", name, arguments @ ..] => (Runtime::named(name), arguments),
        arguments => (Some(Runtime::Tokio), arguments),
    };
    let Some(runtime) = runtime else {
        show::usage();
        return ExitCode::FAILURE;
    };
    let done = match arguments {
        [SERVE] => runtime.run(runtime.serve_stdio(server::server(runtime))),
        [] => runtime.run(tour(runtime)),
        ["--help" | "-h"] => {
            show::usage();
            Ok(())
        }
        ["--call", name, arguments, command @ ..] | [command @ .., "--call", name, arguments]
            if !command.is_empty() =>
        {
            match serde_json::from_str(arguments) {
                Ok(arguments) => runtime.run(visit(runtime, command, Some((name, arguments)))),
                Err(error) => {
                    eprintln!("the arguments for {name} are not JSON: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
        ["--call", ..] | [.., "--call"] | [.., "--call", _] => {
            show::usage();
            return ExitCode::FAILURE;
        }
        command => runtime.run(visit(runtime, command, None)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All that the own server offers.
async fn tour(runtime: Runtime) -> mcp::Result<()> {
    let command = Command::new(std::env::current_exe()?).args(["--runtime", runtime.name(), SERVE]);
    let client = connect(runtime, command).await?;

    show::heading("A call with a structured result");
    let sum: i64 = client.call_tool("add", json!({ "a": 1, "b": 2 })).await?.structured()?;
    show::line("add {a: 1, b: 2}", sum);

    show::heading("A call with live progress");
    let bar = show::Bar::new();
    let counting = client.call_tool("count", json!({ "to": 20 })).on_progress(bar.follow());
    let result = counting.await?;
    bar.finish();
    show::line("count {to: 20}", result.joined_text());

    show::heading("A tool that asks the person");
    let result = client.call_tool("greet", json!({})).await?;
    show::line("greet {}", result.joined_text());

    show::heading("A tool that fails: a result for the model to read, not an error of the connection");
    let result = client.call_tool("divide", json!({ "a": 1, "b": 0 })).await?;
    show::line("divide {a: 1, b: 0}", format!("isError={}, {:?}", result.is_error(), result.joined_text()));
    let result = client.call_tool("divide", json!({ "a": "one", "b": 2 })).await?;
    show::line("divide {a: \"one\", b: 2}", format!("isError={}, {:?}", result.is_error(), result.joined_text()));

    show::heading("A call that is given up after 300 ms: the server is told, and the connection lives");
    let error = client.call_tool("sleep", json!({ "seconds": 60.0 })).idle(Duration::from_millis(300)).await;
    show::line("sleep {seconds: 60}", error.map_or_else(|error| error.to_string(), |result| result.joined_text()));
    let cancelled: u32 = client.call_tool("cancelled_calls", json!({ "at_least": 1 })).await?.structured()?;
    show::line("calls that the server saw cancelled", cancelled);

    close(client).await;
    Ok(())
}

/// Somebody else's server.
async fn visit(runtime: Runtime, command: &[&str], call: Option<(&str, Value)>) -> mcp::Result<()> {
    let client = connect(runtime, Command::from(command)).await?;
    let chosen = match call {
        Some((name, arguments)) => Some((name.to_owned(), arguments)),
        None if client.has_tools() => {
            let tools = client.list_tools().await?;
            let free = tools
                .into_iter()
                .find(|tool| tool.input_schema.get("required").and_then(Value::as_array).is_none_or(Vec::is_empty));
            free.map(|tool| (tool.name, json!({})))
        }
        None => None,
    };
    if let Some((name, arguments)) = chosen {
        show::heading(&format!("A call of {name}"));
        let bar = show::Bar::new();
        let result = client.call_tool(&name, &arguments).on_progress(bar.follow()).await?;
        bar.finish();
        show::result(&result);
    } else {
        show::heading("No tool can be called without arguments; choose one with --call NAME JSON");
    }
    close(client).await;
    Ok(())
}

async fn connect(runtime: Runtime, command: Command) -> mcp::Result<Client> {
    let client = runtime.spawn_with(command, builder()).await?;
    show::line("runtime", runtime.name());
    show::negotiated(&client);
    if client.has_tools() {
        show::tools(&client.list_tools().await?);
    }
    Ok(client)
}

/// A client that lets itself be asked, and listens to the server's log.
fn builder() -> ClientBuilder {
    Client::builder("quickstart", env!("CARGO_PKG_VERSION"))
        .on_elicit(async |question: ElicitParams| {
            show::line("the server asks", format!("{:?} (answered with \"Ada\")", question.message));
            let name = ("name".to_owned(), Value::from("Ada"));
            ElicitResult::accept(serde_json::Map::from_iter([name]))
        })
        .on_log(|entry| eprintln!("  log, {}: {}", entry.level, entry.data))
}

async fn close(client: Client) {
    if let Some(exit) = client.close().await {
        show::heading(&format!("The server has ended: {exit}"));
    }
}
