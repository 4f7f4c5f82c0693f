//! Tools that say something before their result: logs, progress, and errors instead of one.

use std::time::Duration;

use mcp::model::{LoggingLevel, Progress};
use mcp::{Context, Server, Tool, ToolError};
use serde_json::{Map, Value};

use crate::pause::Pause;

/// So that a client sees that it comes bit by bit.
const BEAT: Duration = Duration::from_millis(50);
/// For what a client has to come back for.
const ABSENCE: Duration = Duration::from_millis(100);

pub(crate) fn offer(server: Server) -> Server {
    server
        .tool(Tool::new("test_tool_with_logging", "Tests tool that emits log messages during execution", with_logging))
        .tool(Tool::new("test_tool_with_progress", "Tests tool that reports progress notifications", with_progress))
        .tool(Tool::new("test_error_handling", "Tests error response handling", async || {
            Err::<(), _>(ToolError::new("This tool intentionally returns an error for testing"))
        }))
        .tool(Tool::new(
            "test_reconnection",
            "Tests SSE stream disconnection and client reconnection (SEP-1699). Server will close the stream mid-call \
             and send the result after client reconnects.",
            reconnection,
        ))
        .tool(Tool::new("test_logging_tool", "Diagnostic logging validator tool", async |ctx: Context| {
            // Sent to whoever asked for it, and to nobody else.
            ctx.log(LoggingLevel::Info, "Diagnostic trace logging activated")?;
            Ok::<_, mcp::Error>("Logging evaluated")
        }))
}

async fn with_logging(ctx: Context) -> mcp::Result<&'static str> {
    let pause = ctx.state::<Pause>();
    ctx.log(LoggingLevel::Info, "Tool execution started")?;
    pause.wait(BEAT).await;
    ctx.log(LoggingLevel::Info, "Tool processing data")?;
    pause.wait(BEAT).await;
    ctx.log(LoggingLevel::Info, "Tool execution completed")?;
    Ok("Tool with logging executed successfully")
}

/// Tells in its result by which token it has reported.
async fn with_progress(ctx: Context) -> mcp::Result<String> {
    let pause = ctx.state::<Pause>();
    for done in [0, 50, 100] {
        let message = format!("Completed step {done} of 100");
        ctx.report(Progress::new(done).with_total(100).with_message(message))?;
        if done < 100 {
            pause.wait(BEAT).await;
        }
    }
    let meta = ctx.meta::<Map<String, Value>>()?.unwrap_or_default();
    Ok(match meta.get("progressToken") {
        Some(Value::String(token)) => token.clone(),
        Some(token) => token.to_string(),
        None => "0".to_owned(),
    })
}

/// Sends the client away and answers when it has come back. Over anything but a session over HTTP nobody can leave, and it is
/// simply still there.
async fn reconnection(ctx: Context) -> &'static str {
    ctx.suspend_stream(ABSENCE);
    ctx.state::<Pause>().wait(ABSENCE).await;
    "Reconnection test completed successfully. If you received this, the client properly reconnected after stream closure."
}
