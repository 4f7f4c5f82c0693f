//! The quickstart's own server.

use std::time::Duration;

use mcp::{Context, Form, Server, Tool, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
// It belongs to no runtime, although it comes from tokio.
use tokio::sync::watch;

use crate::runtime::Runtime;

#[derive(Deserialize, JsonSchema)]
struct Pair {
    a: i64,
    b: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Count {
    /// How far to count.
    to: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Sleep {
    /// How long to sleep.
    seconds: f64,
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    /// What shall we call you?
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct AtLeast {
    /// Wait until there are so many.
    at_least: u32,
}

/// How many calls of `sleep` were cancelled: state that all calls share.
struct CancelledCalls(watch::Sender<u32>);

pub(crate) fn server(runtime: Runtime) -> Server {
    Server::new("quickstart-server", env!("CARGO_PKG_VERSION"))
        .instructions("A few tools to try the protocol with.")
        .state(CancelledCalls(watch::Sender::new(0)))
        .state(runtime)
        .tool(Tool::new("add", "Add two numbers", async |args: Pair| args.a + args.b))
        .tool(Tool::new("divide", "Divide one number by another", async |args: Pair| {
            args.a.checked_div(args.b).ok_or(ToolError::new("division by zero"))
        }))
        .tool(Tool::new("count", "Count, and tell how far", count))
        .tool(Tool::new("greet", "Ask for a name and greet", greet))
        .tool(Tool::new("sleep", "Sleep for a while", sleep))
        .tool(Tool::new("cancelled_calls", "How many calls of sleep were cancelled", cancelled_calls))
}

async fn count(ctx: Context, args: Count) -> mcp::Result<String> {
    let mut steps = ctx.steps(args.to);
    for n in 1..=args.to {
        ctx.state::<Runtime>().sleep(Duration::from_millis(25)).await;
        steps.advance(1, format!("at {n}"))?;
    }
    Ok(format!("counted to {}", args.to))
}

async fn greet(ctx: Context) -> mcp::Result<String> {
    let answer = ctx.elicit("name", Form::of::<Name>("Who are you?")).await?;
    Ok(match mcp::accepted::<Name>(&answer)? {
        Some(Name { name }) => format!("Hello, {name}!"),
        None => "Hello, whoever you are!".to_owned(),
    })
}

async fn sleep(ctx: Context, args: Sleep) -> &'static str {
    let asleep = async {
        ctx.state::<Runtime>().sleep(Duration::from_secs_f64(args.seconds.clamp(0.0, 3600.0))).await;
        "slept well"
    };
    let cancelled = async {
        ctx.cancelled().await;
        ctx.state::<CancelledCalls>().0.send_modify(|count| *count += 1);
        "woken up"
    };
    futures_lite::future::or(asleep, cancelled).await
}

async fn cancelled_calls(ctx: Context, args: AtLeast) -> Result<u32, watch::error::RecvError> {
    let mut count = ctx.state::<CancelledCalls>().0.subscribe();
    // Named, because what it borrows must end before the receiver does.
    let reached = *count.wait_for(|count| *count >= args.at_least).await?;
    Ok(reached)
}
