//! The server of the scenarios: in the process of the test or as a child, on any runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp::{Context, Form, Json, Server, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest line that it takes and sends, in bytes.
pub(crate) const FRAME: usize = 256 * 1024;

/// How long it goes on with what is in work when its client has had enough.
const DRAIN: Duration = Duration::from_millis(500);

#[derive(Deserialize, Serialize, JsonSchema)]
pub(crate) struct Text {
    pub(crate) text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Number {
    n: usize,
}

#[derive(Deserialize, JsonSchema)]
struct Met {
    text: String,
    n: usize,
}

/// What became of the calls of `wait`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Waits {
    pub(crate) begun: usize,
    pub(crate) ended: usize,
}

/// What the server remembers.
struct Memory {
    begun: AtomicUsize,
    ended: AtomicUsize,
    met: AtomicUsize,
    gate: (smol::channel::Sender<()>, smol::channel::Receiver<()>),
}

/// A call of `wait`, which ends with its handler.
struct Waiting<'a>(&'a Memory);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// The server, with nothing remembered yet.
pub(crate) fn server() -> Server {
    let [begun, ended, met] = std::array::from_fn(|_| AtomicUsize::new(0));
    let memory = Memory { begun, ended, met, gate: smol::channel::bounded(1) };
    Server::new("fixture", "1.0.0")
        .limits(|limits| (limits.frame, limits.drain) = (FRAME, DRAIN))
        .state(memory)
        .tool(Tool::new("echo", "Gives the text back", async |args: Text| args.text))
        .tool(Tool::new("length", "The length of the text", async |args: Text| args.text.len()))
        .tool(Tool::new("text", "A text of n bytes", async |args: Number| "x".repeat(args.n)))
        .tool(Tool::new("count", "Counts to n, and tells of each", count))
        .tool(Tool::new("later", "Answers n milliseconds later", async |args: Number| {
            smol::Timer::after(Duration::from_millis(args.n as u64)).await; // slow on purpose
            "late"
        }))
        .tool(Tool::new("wait", "Never ends by itself", async |ctx: Context| {
            let memory = ctx.state::<Memory>();
            memory.begun.fetch_add(1, Ordering::SeqCst);
            let _waiting = Waiting(&memory);
            std::future::pending::<&'static str>().await
        }))
        .tool(Tool::new("waits", "What became of the calls of `wait`", async |ctx: Context| {
            let memory = ctx.state::<Memory>();
            let [begun, ended] = [&memory.begun, &memory.ended].map(|count| count.load(Ordering::SeqCst));
            Json(Waits { begun, ended })
        }))
        .tool(Tool::new("meet", "Gives the text back when n calls have come together", meet))
        .tool(Tool::new("ask", "Asks for a text twice, and gives both back", ask))
        .tool(Tool::new("grow", "Adds a tool of that name", async |ctx: Context, args: Text| {
            ctx.server().update(|edit| _ = edit.tool(Tool::new(args.text, "", async || "grown")))?;
            Ok::<_, mcp::Error>("grown")
        }))
}

async fn count(ctx: Context, args: Number) -> mcp::Result<&'static str> {
    let mut steps = ctx.steps(args.n as f64);
    for n in 1..=args.n {
        steps.advance(1, format!("step {n}"))?;
        // A sender of progress that lets others have their turn: what is not taken in time is conflated.
        futures_lite::future::yield_now().await;
    }
    Ok("counted")
}

async fn meet(ctx: Context, args: Met) -> String {
    let memory = ctx.state::<Memory>();
    if memory.met.fetch_add(1, Ordering::SeqCst) + 1 == args.n {
        memory.gate.0.close();
    }
    // Closed by the last to come: there is nothing to receive.
    let _ = memory.gate.1.recv().await;
    args.text
}

async fn ask(ctx: Context, args: Text) -> mcp::Result<String> {
    let mut told = Vec::new();
    for turn in ["first", "second"] {
        let answer = ctx.elicit(turn, Form::of::<Text>(format!("{turn} of {}", args.text))).await?;
        told.push(mcp::accepted::<Text>(&answer)?.map(|form| form.text).unwrap_or_default());
    }
    Ok(told.join(", "))
}
