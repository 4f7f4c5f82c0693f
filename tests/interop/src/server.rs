//! Our server for foreign clients: the same tools as `python/server.py`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp::model::LoggingLevel;
use mcp::{Context, Form, Json, Server, Tool, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Echo {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Deserialize, JsonSchema)]
struct City {
    city: String,
}

#[derive(Serialize, JsonSchema)]
struct Weather {
    city: String,
    celsius: f64,
}

#[derive(Deserialize, JsonSchema)]
struct Count {
    n: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Fail {
    message: String,
}

#[derive(Deserialize, JsonSchema)]
struct Slow {
    seconds: f64,
}

#[derive(Deserialize, JsonSchema)]
struct Ask {
    question: String,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "the person fills it in, nobody reads it")]
struct Answer {
    ok: bool,
    name: String,
}

/// Whether a call of `slow` was ever cancelled.
#[derive(Default)]
struct SlowWasCancelled(AtomicBool);

pub(crate) fn server() -> Server {
    Server::new("rust-peer", "1.0")
        .instructions("A peer to test against.")
        .logging()
        .state(SlowWasCancelled::default())
        .tool(Tool::new("echo", "Gives the text back.", async |args: Echo| args.text))
        .tool(Tool::new("add", "Adds two integers.", async |args: Add| args.a + args.b))
        .tool(Tool::new("weather", "Tells the weather: always the same.", async |args: City| {
            Json(Weather { city: args.city, celsius: 21.5 })
        }))
        .tool(Tool::new("count", "Counts to n and reports each step.", count))
        .tool(Tool::new("fail", "Always fails.", async |args: Fail| Err::<String, _>(ToolError::new(args.message))))
        .tool(Tool::new("slow", "Takes its time, and remembers if it was cancelled.", slow))
        .tool(Tool::new("was_cancelled", "Whether a call of `slow` was ever cancelled.", async |ctx: Context| {
            ctx.state::<SlowWasCancelled>().0.load(Ordering::SeqCst)
        }))
        .tool(Tool::new("ask", "Asks the user, and tells what came back.", ask))
        .tool(Tool::new("log", "Sends a log message at level info.", async |ctx: Context, args: Echo| {
            ctx.log(LoggingLevel::Info, args.text)?;
            Ok::<_, mcp::Error>("logged")
        }))
}

async fn count(ctx: Context, args: Count) -> mcp::Result<String> {
    let mut steps = ctx.steps(args.n);
    for n in 1..=args.n {
        steps.advance(1, format!("step {n} of {}", args.n))?;
    }
    Ok(format!("counted to {}", args.n))
}

async fn slow(ctx: Context, args: Slow) -> &'static str {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs_f64(args.seconds)) => "done", // slow on purpose
        () = ctx.cancelled() => {
            ctx.state::<SlowWasCancelled>().0.store(true, Ordering::SeqCst);
            "cancelled"
        }
    }
}

async fn ask(ctx: Context, args: Ask) -> mcp::Result<String> {
    let answer = ctx.elicit("question", Form::of::<Answer>(args.question)).await?;
    Ok(match mcp::accepted::<Answer>(&answer)? {
        Some(answer) => format!("accept:{}", answer.name),
        None => answer.action.to_string(),
    })
}
