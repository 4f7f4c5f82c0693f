//! Our server: the fixture of `README.md`, one body for both eras and both transports. `--wrong ANSWER` makes one thing wrong; see
//! `prove.rs`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp::model::{
    ContentBlock, CreateMessageParams, GetPromptResult, LoggingLevel, Progress, PromptMessage, SamplingMessage,
    ToolAnnotations,
};
use mcp::{
    Change, Context, Form, HandlerError, Json, Partial, Prompt, ProtocolVersion, Resource, ResourceTemplate, Server,
    Tool, ToolError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Notify, oneshot};

use crate::fixture::BYTES;
use crate::runtime::{Runtime, sleep};

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Deserialize, JsonSchema)]
struct City {
    #[schemars(extend("x-mcp-header" = "City"))]
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
    hold: bool,
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
struct Question {
    question: String,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    url: String,
}

#[derive(Deserialize, JsonSchema)]
struct Prompted {
    prompt: String,
}

#[derive(Deserialize, JsonSchema)]
struct Touch {
    uri: String,
}

#[derive(Deserialize, JsonSchema)]
struct Greet {
    name: String,
    style: Option<String>,
}

#[derive(Deserialize)]
struct Note {
    id: String,
}

/// What the person is asked for.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "the person fills it in, nobody reads all of it")]
struct Answer {
    ok: bool,
    name: String,
}

/// What the server remembers. One process serves one client, so this is the client's state too.
#[derive(Default)]
struct Memory {
    slow_was_cancelled: Arc<AtomicBool>,
    released: Notify,
}

/// The switch of the test: whether something is to be answered wrong.
#[derive(Clone, Copy)]
struct Wrong(Option<&'static str>);

impl Wrong {
    fn is(self, answer: &str) -> bool {
        self.0 == Some(answer)
    }

    /// The text, or another one.
    fn or(self, answer: &str, text: impl Into<String>) -> String {
        if self.is(answer) { "something else".to_owned() } else { text.into() }
    }
}

pub(crate) async fn run(runtime: Runtime, arguments: &[String]) -> ExitCode {
    let value = |flag: &str| {
        let mut pairs = arguments.windows(2).filter(|pair| pair[0] == flag);
        pairs.next().map(|pair| pair[1].clone())
    };
    let wrong = Wrong(value("--wrong").map(|answer| &*answer.leak()));
    let mut server = server(wrong);
    if let Some(only) = value("--only") {
        server = server.versions(ProtocolVersion::ALL.into_iter().filter(|known| known.as_str() == only));
    }
    if wrong.is("clean") {
        println!("{}", json!({ "jsonrpc": "2.0", "neither": "request nor answer" }));
    }
    let ended = match arguments.iter().any(|argument| argument == "--http") {
        true => over_http(runtime, server).await,
        false => runtime.serve(server).await,
    };
    match ended {
        Ok(()) if wrong.is("shutdown") => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mcp-interop server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Listens on a port of its own, prints its URL, and ends when the input does.
async fn over_http(runtime: Runtime, server: Server) -> mcp::Result<()> {
    let listening = runtime.listen(server).await?;
    println!("http://{}/mcp", listening.address());
    let (sender, ended) = oneshot::channel();
    // No runtime of ours reads the input of its own process without a thread.
    std::thread::spawn(move || sender.send(std::io::copy(&mut std::io::stdin(), &mut std::io::sink())));
    // Whether it ends or cannot be read: nobody is there.
    let _ = ended.await;
    let drained = listening.shutdown(Duration::from_secs(2)).await;
    match drained.cut.is_empty() {
        true => Ok(()),
        false => Err(mcp::Error::from(std::io::Error::other(format!("calls were in work: {:?}", drained.cut)))),
    }
}

fn server(wrong: Wrong) -> Server {
    let name = if wrong.is("negotiate") { "another" } else { "interop-ours" };
    let server = Server::new(name, "1.0")
        .instructions("Call tools, read resources, get prompts.")
        .logging()
        .page_size(if wrong.is("list") { 100 } else { 10 })
        .state(Memory::default());
    let server = asking(calling(server, wrong), wrong);
    prompts(resources(server, wrong), wrong)
}

/// The tools that need no client.
fn calling(server: Server, wrong: Wrong) -> Server {
    let celsius = if wrong.is("structured") { 0.0 } else { 21.5 };
    let weather = Tool::new("weather", "Tells the weather: always the same.", move |args: City| async move {
        Json(Weather { city: args.city, celsius })
    });
    server
        .tool(Tool::new("echo", "Gives the text back.", move |args: Text| async move { wrong.or("call", args.text) }))
        .tool(Tool::new("add", "Adds two integers.", async |args: Add| args.a + args.b))
        .tool(weather.title("Weather").annotations(ToolAnnotations::new().with_read_only_hint(true)))
        .tool(Tool::new("content", "One block of each kind that the revision has.", move |ctx: Context| async move {
            let mut blocks = blocks(ctx.version());
            blocks.truncate(if wrong.is("content") { 2 } else { blocks.len() });
            blocks
        }))
        .tool(Tool::new(
            "count",
            "Counts to n and reports each step; then, if it is to hold, waits for `release`.",
            move |ctx: Context, args: Count| count(ctx, args, wrong),
        ))
        .tool(Tool::new("release", "Lets `count` end.", async |ctx: Context| {
            ctx.state::<Memory>().released.notify_one();
            "released"
        }))
        .tool(Tool::new("fail", "Always fails.", move |args: Fail| async move {
            if wrong.is("tool_error") { Ok("all is well") } else { Err(ToolError::new(args.message)) }
        }))
        .tool(Tool::new("slow", "Tells that it has begun, takes its time, and remembers if it was cancelled.", slow))
        .tool(Tool::new(
            "was_cancelled",
            "Whether a call of `slow` was ever cancelled.",
            move |ctx: Context| async move {
                let was_cancelled = ctx.state::<Memory>().slow_was_cancelled.load(Ordering::SeqCst);
                (was_cancelled || wrong.is("cancel")).to_string()
            },
        ))
        .tool(Tool::new(
            "log",
            "Sends two log messages, an info and an error, unless the client asked for graver ones only.",
            move |ctx: Context, args: Text| async move {
                ctx.log(LoggingLevel::Info, wrong.or("logging", &args.text))?;
                ctx.log(LoggingLevel::Error, wrong.or("logging", &args.text))?;
                Ok::<_, mcp::Error>("logged")
            },
        ))
        .tool(Tool::new(
            "touch",
            "Tells those who subscribed to the resource that it changed.",
            move |ctx: Context, args: Touch| async move {
                ctx.server().changed(Change::Resource(wrong.or("subscription", args.uri)));
                "touched"
            },
        ))
        .tool(Tool::new(
            "grow",
            "Adds the tool `grown`, the resource memo://grown and the prompt `grown`, and tells of it.",
            move |ctx: Context| async move {
                ctx.server().update(|edit| {
                    if !wrong.is("list_changed") {
                        edit.tool(Tool::new("grown", "What was not there at first.", async || "grown"));
                    }
                    edit.resource(Resource::text("memo://grown", "grown", "grown")).prompt(Prompt::new(
                        "grown",
                        "What was not there at first.",
                        async || "grown",
                    ));
                })?;
                Ok::<_, mcp::Error>("grown")
            },
        ))
}

/// The tools that ask the client.
fn asking(server: Server, wrong: Wrong) -> Server {
    server
        .tool(Tool::new(
            "ask",
            "Asks the person, and tells what came back.",
            move |ctx: Context, args: Question| async move {
                told(&ctx, &args.question).await.map(|told| wrong.or("elicitation", told))
            },
        ))
        .tool(Tool::new(
            "ask_url",
            "Sends the person to a page, and tells what they did.",
            move |ctx: Context, args: Page| async move {
                let answer = ctx.elicit_url("page", "Please sign in", args.url, "elicitation-1").await?;
                Ok::<_, mcp::Error>(wrong.or("elicitation_url", answer.action.to_string()))
            },
        ))
        .tool(Tool::new(
            "sample",
            "Has the client's model say something, and tells which model said what.",
            move |ctx: Context, args: Prompted| async move {
                sampled(&ctx, &args.prompt).await.map(|said| wrong.or("sampling", said))
            },
        ))
        .tool(Tool::new(
            "roots",
            "The client's roots: their URIs, with a blank between them.",
            move |ctx: Context| async move { roots(&ctx).await.map(|roots| wrong.or("roots", roots.join(" "))) },
        ))
        .tool(Tool::new(
            "interview",
            "Asks for a name, has the model say something about it, and counts the roots.",
            move |ctx: Context| async move {
                let answer = ctx.elicit("who", Form::of::<Answer>("accept")).await?;
                let name = mcp::accepted::<Answer>(&answer)?.map(|answer| answer.name).unwrap_or_default();
                let said = sampled(&ctx, &name).await?;
                let roots = roots(&ctx).await?.len();
                Ok::<_, mcp::Error>(wrong.or("interview", format!("{name}, {said}, {roots} roots")))
            },
        ))
}

fn resources(mut server: Server, wrong: Wrong) -> Server {
    let text = if wrong.is("read") { "bye" } else { "hello" };
    let text = Resource::text("memo://text", "text", text).mime_type("text/plain").description("Says hello.");
    let bytes = (0..=255).collect::<Vec<u8>>();
    let blob = Resource::blob("memo://blob", "blob", bytes).mime_type("application/octet-stream");
    server = server.resource(text).resource(blob);
    for number in 1..=10 {
        let (uri, name) = (format!("memo://leaf/{number}"), format!("leaf {number}"));
        server = server.resource(Resource::text(uri, name.clone(), name).mime_type("text/plain"));
    }
    let note = ResourceTemplate::new("memo://notes/{id}", "note", move |note: Note| async move {
        wrong.or("template", format!("note {}", note.id))
    });
    let asked =
        ResourceTemplate::new("memo://asked/{question}", "asked", move |ctx: Context, asked: Question| async move {
            told(&ctx, &asked.question).await.map(|told| wrong.or("read_asks", told)).map_err(HandlerError::hidden)
        });
    let notes = async |partial: Partial| starting(&["1", "10", "11", "12", "2", "3"], &partial);
    server
        .resource_template(note.mime_type("text/plain").complete("id", notes))
        .resource_template(asked.mime_type("text/plain"))
}

fn prompts(server: Server, wrong: Wrong) -> Server {
    let greet = Prompt::new("greet", "A greeting.", move |args: Greet| async move {
        let style = args.style.map(|style| format!(" Be {style}.")).unwrap_or_default();
        let text = wrong.or("prompt", format!("Greet {}.{style}", args.name));
        GetPromptResult::new()
            .with_messages(vec![PromptMessage::user(ContentBlock::text(text))])
            .with_description("A greeting.")
    });
    let styles = move |partial: Partial| async move {
        let known = if wrong.is("completion") { &["frilly"][..] } else { &["formal", "friendly", "frank", "short"] };
        starting(known, &partial)
    };
    let names = move |partial: Partial| async move {
        let formal = partial.arguments.get("style").is_some_and(|style| style == "formal");
        let formal = formal && !wrong.is("completion_context");
        starting(if formal { &["Ms Lovelace"] } else { &["Ada", "Alan"] }, &partial)
    };
    let picture = Prompt::new("picture", "A picture and a text.", async || {
        let blocks = blocks(ProtocolVersion::V2024_11_05);
        vec![PromptMessage::assistant(blocks[1].clone()), PromptMessage::user(blocks[2].clone())]
    });
    let asked = Prompt::new("asked", "Asks first.", move |ctx: Context, args: Question| async move {
        told(&ctx, &args.question).await.map(|told| wrong.or("prompt_asks", told)).map_err(HandlerError::hidden)
    });
    server.prompt(greet.complete("style", styles).complete("name", names)).prompt(picture).prompt(asked)
}

fn starting(known: &[&'static str], partial: &Partial) -> Vec<&'static str> {
    known.iter().copied().filter(|known| known.starts_with(&partial.value)).collect()
}

fn blocks(revision: ProtocolVersion) -> Vec<ContentBlock> {
    let mut blocks = vec![
        json!({ "type": "text", "text": "hello" }),
        json!({ "type": "image", "data": BYTES, "mimeType": "image/png" }),
        json!({ "type": "resource", "resource": { "uri": "memo://text", "mimeType": "text/plain", "text": "hello" } }),
        json!({ "type": "resource", "resource": {
            "uri": "memo://blob", "mimeType": "application/octet-stream", "blob": BYTES
        } }),
    ];
    if revision >= ProtocolVersion::V2025_03_26 {
        blocks.push(json!({ "type": "audio", "data": BYTES, "mimeType": "audio/wav" }));
    }
    if revision >= ProtocolVersion::V2025_06_18 {
        blocks.push(json!({ "type": "resource_link", "name": "text", "uri": "memo://text", "mimeType": "text/plain" }));
    }
    blocks.into_iter().map(|block| serde_json::from_value(block).expect("a block of the protocol")).collect()
}

async fn count(ctx: Context, args: Count, wrong: Wrong) -> mcp::Result<String> {
    let mut steps = ctx.steps(args.n);
    for n in 1..=args.n {
        steps.advance(1, wrong.or("progress", format!("step {n} of {}", args.n)))?;
    }
    if args.hold {
        ctx.state::<Memory>().released.notified().await;
    }
    Ok(format!("counted to {}", args.n))
}

async fn slow(ctx: Context, args: Slow) -> mcp::Result<&'static str> {
    /// Remembers that it was dropped: where a response holds the handler, that is what becomes of one that is cancelled.
    struct Unfinished(Option<Arc<AtomicBool>>);

    impl Drop for Unfinished {
        fn drop(&mut self) {
            if let Some(was_cancelled) = &self.0 {
                was_cancelled.store(true, Ordering::SeqCst);
            }
        }
    }

    ctx.report(Progress::new(1))?;
    let mut unfinished = Unfinished(Some(Arc::clone(&ctx.state::<Memory>().slow_was_cancelled)));
    Ok(tokio::select! {
        () = sleep(Duration::from_secs_f64(args.seconds)) => {
            unfinished.0 = None;
            "done"
        }
        () = ctx.cancelled() => "cancelled",
    })
}

/// Asks the person for the form, and tells what came back.
async fn told(ctx: &Context, question: &str) -> mcp::Result<String> {
    let answer = ctx.elicit("answer", Form::of::<Answer>(question)).await?;
    Ok(match mcp::accepted::<Answer>(&answer)? {
        Some(answer) => format!("accept:{}", answer.name),
        None => answer.action.to_string(),
    })
}

async fn sampled(ctx: &Context, prompt: &str) -> mcp::Result<String> {
    let message = SamplingMessage::user(ContentBlock::text(prompt));
    let params = CreateMessageParams::new([message], 100).with_system_prompt("Be brief.");
    let said = ctx.sample("said", params).await?;
    let text = said.content.iter().filter_map(ContentBlock::as_text).collect::<String>();
    Ok(format!("{}: {text}", said.model))
}

async fn roots(ctx: &Context) -> mcp::Result<Vec<String>> {
    Ok(ctx.roots("roots").await?.into_iter().map(|root| root.uri).collect())
}
