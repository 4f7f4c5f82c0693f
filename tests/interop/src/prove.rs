//! Shows that cells can fail: makes our side answer wrong in one way after the other, and looks whether the step turns red.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::run::{self, Peers};
use crate::table::{self, Cell, How, Party, Transport};

/// What our server can be told to answer wrong (`--wrong`); each is called as the step that has to notice.
pub(crate) const SERVER: [&str; 25] = [
    "negotiate",
    "list",
    "call",
    "content",
    "structured",
    "tool_error",
    "progress",
    "cancel",
    "read",
    "template",
    "prompt",
    "completion",
    "completion_context",
    "elicitation",
    "elicitation_url",
    "sampling",
    "roots",
    "interview",
    "prompt_asks",
    "read_asks",
    "logging",
    "subscription",
    "list_changed",
    "clean",
    "shutdown",
];

/// The same of our client.
pub(crate) const CLIENT: [&str; 3] = ["elicitation", "sampling", "roots"];

/// What the relay can be told to pass on in place of what our server said.
pub(crate) const WIRE: [&str; 7] = ["session", "status", "headers", "own_stream", "delete", "resume", "resume_call"];

/// Plays each wrong answer with one peer after the other, over one transport after the other.
pub(crate) async fn run(peers: &Peers) -> ExitCode {
    let failed = AtomicBool::new(false);
    for (side, answers) in [("server", &SERVER[..]), ("client", &CLIENT), ("wire", &WIRE)] {
        let able = |cell: &Cell, answer: &str| {
            let ours = if side == "client" { cell.client } else { cell.server };
            // What is no message goes to stdout; over HTTP that is no part of what is said.
            let fits = match cell.transport {
                Transport::Stdio => side != "wire",
                Transport::Http => answer != "clean",
                Transport::Sse => side != "wire" && answer != "clean",
            };
            ours == Party::Ours && cell.how == How::Pinned && fits && cell.checks(answer)
        };
        let proofs = answers.iter().enumerate().map(|(turn, answer)| {
            let cells = table::cells().into_iter().filter(|cell| able(cell, answer)).collect::<Vec<_>>();
            (cells[turn % cells.len()], *answer)
        });
        run::each(proofs.collect(), async |(cell, answer)| {
            let outcome = run::one(peers, &cell, Some(answer)).await;
            let noticed = outcome.failed.iter().any(|(step, _)| step == answer);
            failed.fetch_or(!noticed, Ordering::Relaxed);
            println!(
                "proof {side} {answer}: in {cell} it {}",
                if noticed { "turns red ok" } else { "FAILED to turn red" }
            );
        })
        .await;
    }
    if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
