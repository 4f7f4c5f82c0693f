//! A server with something for every feature of the protocol, under the names that the official conformance suite asks for.
//!
//! `cargo run --example everything_server -- [--runtime tokio|async-std|smol] --stdio | --http ADDRESS | --tcp ADDRESS | --unix PATH`
//!
//! What it offers is in `server.rs` and the rooms beside it, one for each feature; none of them knows a runtime or a transport.
//! How it is served is in `serve.rs`.

mod asking;
mod changes;
mod content;
mod counted;
mod extras;
mod pause;
mod prompts;
mod resources;
mod rounds;
mod runtime;
mod schema;
mod serve;
mod server;
mod signal;
mod talk;

use std::process::ExitCode;

use runtime::Runtime;
use serve::Transport;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    if let ["--help" | "-h"] = arguments.as_slice() {
        println!("{}", serve::USAGE);
        return ExitCode::SUCCESS;
    }
    let (runtime, transport) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(fault) => {
            eprintln!("everything_server: {fault}\n{}", serve::USAGE);
            return ExitCode::FAILURE;
        }
    };
    match serve::run(runtime, transport) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("everything_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[&str]) -> Result<(Runtime, Transport), String> {
    let (mut runtime, mut transport) = (Runtime::Tokio, None);
    let mut rest = arguments;
    loop {
        let chosen;
        (chosen, rest) = match rest {
            [] => return Ok((runtime, transport.ok_or("say how to serve it")?)),
            ["--runtime", name, rest @ ..] => {
                runtime = name.parse()?;
                (None, rest)
            }
            ["--stdio", rest @ ..] => (Some(Transport::Stdio), rest),
            ["--http", address, rest @ ..] => (Some(Transport::Http((*address).to_owned())), rest),
            ["--tcp", address, rest @ ..] => (Some(Transport::Tcp((*address).to_owned())), rest),
            #[cfg(unix)]
            ["--unix", path, rest @ ..] => (Some(Transport::Unix(path.into())), rest),
            [unknown, ..] => return Err(format!("{unknown:?} is not known here, or lacks its value")),
        };
        if chosen.is_some() && transport.is_some() {
            return Err("only one way to serve it at a time".to_owned());
        }
        transport = transport.or(chosen);
    }
}
