//! Interop with the official SDKs; `README.md` beside this folder tells what the cells and steps are.
//!
//! ```text
//! mcp-interop table --python PYTHON --rmcp RMCP [--pairs] [--show] [--wrong ANSWER] [TEXT]
//!                                                                                   runs cells whose name has TEXT in it
//! mcp-interop prove --python PYTHON --rmcp RMCP                                     that wrong answers of ours are noticed
//! mcp-interop server --runtime RUNTIME [--http] [--only REVISION] [--wrong ANSWER]  our server with the fixture
//! mcp-interop client --runtime RUNTIME --revision REVISION --how HOW --steps NAMES [--wrong ANSWER]
//!                    --http URL | --sse URL | COMMAND ARGS...
//! mcp-interop watch FILE COMMAND ARGS...                                            tells how a server ends
//! ```

mod client;
mod fixture;
mod http;
mod prove;
mod run;
mod runtime;
mod server;
mod table;
mod watch;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use run::{Outcome, Peers};
use runtime::Runtime;
use table::Cell;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let done = match arguments.split_first() {
        Some((mode, rest)) if mode == "table" || mode == "prove" => Runtime::Tokio.block_on(play(mode, rest)),
        Some((mode, rest)) if mode == "client" || mode == "server" => ours(mode, rest),
        Some((mode, [record, command @ ..])) if mode == "watch" => Ok(watch::run(record, command)),
        _ => Err(std::io::Error::other("usage: mcp-interop table | prove | server | client | watch")),
    };
    done.unwrap_or_else(|error| {
        eprintln!("mcp-interop: {error}");
        ExitCode::FAILURE
    })
}

/// Our side, on the runtime that is named first.
fn ours(mode: &str, arguments: &[String]) -> std::io::Result<ExitCode> {
    let (runtime, rest) = match arguments {
        [flag, runtime, rest @ ..] if flag == "--runtime" => (Runtime::named(runtime), rest),
        _ => (None, arguments),
    };
    let runtime = runtime.ok_or_else(|| std::io::Error::other("the first option is --runtime, and names one"))?;
    match mode {
        "client" => runtime.block_on(client::run(runtime, rest)),
        _ => runtime.block_on(server::run(runtime, rest)),
    }
}

/// Whether all that was said over HTTP is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

/// Runs the cells of the table, or shows that they can fail.
async fn play(mode: &str, arguments: &[String]) -> ExitCode {
    let mut peers = Peers { python: "python3".to_owned(), rmcp: "interop-rmcp".to_owned() };
    let (mut cells, mut wrong, mut wanted) = (table::cells(), None, "");
    let mut shown = Shown::No;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().map(String::as_str).unwrap_or_default();
        match argument.as_str() {
            "--pairs" => cells = table::pairs(),
            "--show" => shown = Shown::Yes,
            "--python" => peers.python = value().to_owned(),
            "--rmcp" => peers.rmcp = value().to_owned(),
            "--wrong" => wrong = Some(value()),
            text => wanted = text,
        }
    }
    if mode == "prove" {
        return prove::run(&peers).await;
    }
    cells.retain(|cell| cell.to_string().contains(wanted));
    table::absences(&cells).for_each(|line| println!("left out: {line}"));
    let failed = AtomicBool::new(cells.is_empty());
    run::each(cells, async |cell| {
        let outcome = run::one(&peers, &cell, wrong).await;
        failed.fetch_or(!tell(&cell, &outcome), Ordering::Relaxed);
        if shown == Shown::Yes {
            outcome.said.iter().enumerate().for_each(|(at, exchange)| println!("{at}: {exchange}\n"));
        }
    })
    .await;
    if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints what came of a cell; whether all is well.
fn tell(cell: &Cell, outcome: &Outcome) -> bool {
    if outcome.failed.is_empty() {
        println!("cell {cell}: {} steps ok", outcome.steps);
        return true;
    }
    let failed = outcome.failed.iter().map(|(step, why)| format!("{step}: {why}")).collect::<Vec<_>>().join("; ");
    println!("cell {cell}: {} of {} steps FAILED: {failed}", outcome.failed.len(), outcome.steps);
    for line in outcome.noise.lines().take(40) {
        println!("    {line}");
    }
    false
}
