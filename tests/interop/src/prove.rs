//! Shows that cells can fail: makes our side answer wrong in one way after the other, and looks whether the step turns red.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::run::{self, Peers};
use crate::table::{self, Cell, How, Party};

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

/// Plays each wrong answer with one peer after the other.
pub(crate) async fn run(peers: &Peers) -> ExitCode {
    let failed = AtomicBool::new(false);
    for (side, answers) in [("server", &SERVER[..]), ("client", &CLIENT)] {
        let ours = |cell: &Cell| side == if cell.server == Party::Ours { "server" } else { "client" };
        let cells = table::cells().into_iter().filter(|cell| ours(cell) && cell.how == How::Pinned).collect::<Vec<_>>();
        let proofs = answers.iter().enumerate().map(|(turn, answer)| {
            let able = cells.iter().filter(|cell| cell.checks(answer)).collect::<Vec<_>>();
            (*able[turn % able.len()], *answer)
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
