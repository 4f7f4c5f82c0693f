//! What the conformance suite does not ask for and the protocol has: structured content, links, threads, cancellation, pages to
//! open, roots, and methods and notifications of one's own.

use std::sync::{Mutex, PoisonError};

use mcp::model::{ContentBlock, ListRootsResult, ToolAnnotations};
use mcp::{Context, HandlerError, Json, Server, Session, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

#[derive(Deserialize, JsonSchema)]
struct UpTo {
    /// How far to look.
    n: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    /// The page to open.
    url: String,
}

#[derive(Deserialize, JsonSchema)]
struct AtLeast {
    /// Wait until there are so many.
    at_least: u32,
}

#[derive(Deserialize, Serialize)]
struct Echo {
    text: String,
}

/// What the server has seen of its clients.
#[derive(Default)]
struct Seen {
    /// How many calls of `test_cancellation` were cancelled. A channel of tokio's, which needs no runtime of tokio's.
    cancelled: watch::Sender<u32>,
    roots: Mutex<Vec<String>>,
    /// The last `notifications/everything/note`.
    note: Mutex<Option<String>>,
}

pub(crate) fn offer(server: Server) -> Server {
    let sum = Tool::new("test_structured_content", "Adds two numbers", async |args: Add| {
        args.a.checked_add(args.b).map(|sum| Json(Sum { sum })).ok_or("the sum is too large")
    });
    let primes = Tool::new("test_blocking", "Counts the primes up to n, on a thread of its own", primes);
    let server = server
        .state(Seen::default())
        .tool(sum.title("Sum").annotations(ToolAnnotations::new().with_read_only_hint(true)))
        .tool(Tool::new("test_resource_link", "Gives a link to a resource", async || {
            ContentBlock::resource_link("test://static-text", "static-text")
        }))
        .tool(primes.blocking())
        .tool(Tool::new("test_cancellation", "Waits until it is cancelled", async |ctx: Context| {
            ctx.report(mcp::model::Progress::new(1))?;
            ctx.cancelled().await;
            ctx.state::<Seen>().cancelled.send_modify(|count| *count += 1);
            Ok::<_, mcp::Error>("cancelled")
        }))
        .tool(Tool::new("test_cancelled_calls", "How many calls of test_cancellation were cancelled", cancelled_calls));
    methods(asking(server))
}

fn asking(server: Server) -> Server {
    server
        .tool(Tool::new("test_elicitation_url", "Sends the person to a page", async |ctx: Context, args: Page| {
            let answer = ctx.elicit_url("page", "Please sign in", args.url, "everything-page").await?;
            // The page is not ours to look at; whatever the person was to do there counts as done.
            ctx.elicitation_complete("everything-page")?;
            Ok::<_, mcp::Error>(format!("The person said {}", answer.action))
        }))
        .tool(Tool::new("test_known_roots", "The roots as the client told them last", async |ctx: Context| {
            let seen = ctx.state::<Seen>();
            seen.roots.lock().unwrap_or_else(PoisonError::into_inner).join(" ")
        }))
        .tool(Tool::new(
            "test_custom_question",
            "Asks the client by a method of this server's own (until 2025-11-25)",
            async |ctx: Context| {
                let answer: Value = ctx.ask("size", "everything/size", &json!({ "of": "window" })).await?;
                Ok::<_, mcp::Error>(answer.to_string())
            },
        ))
        .tool(Tool::new("test_custom_notification", "Tells the client something of its own", async |ctx: Context| {
            ctx.notify("notifications/everything/told", &json!({ "what": "nothing new" }), None)?;
            Ok::<_, mcp::Error>("told")
        }))
        .tool(Tool::new("test_last_note", "What the client noted last", async |ctx: Context| {
            let seen = ctx.state::<Seen>();
            let note = seen.note.lock().unwrap_or_else(PoisonError::into_inner).clone();
            note.unwrap_or_default()
        }))
}

fn methods(server: Server) -> Server {
    server
        .method("everything/echo", async |echo: Echo| Ok::<_, HandlerError>(echo))
        .on_notification("notifications/everything/note", async |session: Session, echo: Echo| {
            if let Some(seen) = session.state::<Seen>() {
                *seen.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(echo.text);
            }
        })
        .on_roots_changed(async |session: Session| {
            match session.request::<ListRootsResult>("roots/list", &json!({})).await {
                Ok(listed) => {
                    let roots = listed.roots.into_iter().map(|root| root.uri).collect();
                    if let Some(seen) = session.state::<Seen>() {
                        *seen.roots.lock().unwrap_or_else(PoisonError::into_inner) = roots;
                    }
                }
                Err(error) => tracing::warn!(%error, "asking for the roots"),
            }
        })
}

/// Looks up now and then whether anybody still wants to know.
async fn primes(ctx: Context, args: UpTo) -> Result<u32, &'static str> {
    let mut found = 0;
    for n in 2..=args.n.min(1_000_000) {
        if ctx.is_cancelled() {
            return Err("nobody wants to know any more");
        }
        let is_prime = (2..).take_while(|d| d * d <= n).all(|d| n % d != 0);
        found += u32::from(is_prime);
    }
    Ok(found)
}

async fn cancelled_calls(ctx: Context, args: AtLeast) -> Result<u32, watch::error::RecvError> {
    let mut count = ctx.state::<Seen>().cancelled.subscribe();
    // Named, because what it borrows must end before the receiver does.
    let reached = *count.wait_for(|count| *count >= args.at_least).await?;
    Ok(reached)
}
