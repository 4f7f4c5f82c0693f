//! The tables of the page about what each verb does in each revision: every cell is tried with a server and a client.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp::model::{
    CallToolResult, Capability, CompletionRef, ContentBlock, CreateMessageParams, CreateMessageResult, ElicitAction,
    ElicitParams, ElicitResult, InputResponses, LoggingLevel, Role, Root, SamplingMessage, StringArguments,
    SubscriptionFilter, Supported, TaskRequests, TasksCapability, ToolsTaskRequests,
};
use mcp::{
    Client, ClientBuilder, Context, Error, Extension, Form, HandlerError, Notification, Prompt, ProtocolVersion,
    Resource, Server, Session, Tool, ToolError, Why,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// It does what it is for.
const DONE: &str = "●";
/// It is an error, and nothing is sent.
const REFUSED: &str = "refused";
/// It is no error, and nobody hears of it.
const NOTHING: &str = "nothing";

/// Compares a table of the page with what comes of its rows.
async fn every_cell<Fut>(first: &str, rows: &[&str], outcome: impl Fn(String, ProtocolVersion) -> Fut)
where
    Fut: Future<Output = String>,
{
    let table = super::table(first);
    assert_eq!(table.iter().map(|row| row[0]).collect::<Vec<_>>(), rows, "the rows of the table");
    for row in table {
        let mut outcomes = Vec::new();
        for version in ProtocolVersion::ALL {
            let trying = outcome(row[0].to_owned(), version);
            let tried = tokio::time::timeout(Duration::from_secs(20), trying).await;
            outcomes.push(tried.unwrap_or_else(|_| panic!("{} in {version} takes too long", row[0])));
        }
        assert_eq!(row[1..], outcomes, "{}", row[0]);
    }
}

/// What a refusal on our own side, or its absence, is called on the page.
fn sent<T>(result: mcp::Result<T>) -> String {
    match result {
        // On a stream that has seen no handshake one may still come, as far as a server of both eras knows.
        Err(Error::Send { why: Why::NotInThisRevision | Why::NotReady, .. }) => REFUSED.to_owned(),
        Err(error) if error.rpc().is_none() => panic!("{error}"),
        // An error that the peer answered with was sent for.
        _ => DONE.to_owned(),
    }
}

/// A notification that nobody else knows: what was told before it is told.
const END: &str = "acme/end";

/// What the client's callbacks hear, each by a word.
type Heard = UnboundedReceiver<String>;

/// A client that can do everything, and what it hears.
fn client(version: ProtocolVersion) -> (ClientBuilder, Heard) {
    let (tell, heard) = unbounded_channel::<String>();
    let (logs, completions, others) = (tell.clone(), tell.clone(), tell);
    let builder = Client::builder("everything", "1")
        .versions([version])
        .tasks()
        .on_elicit(async |_: ElicitParams| ElicitResult::accept(Map::new()))
        .on_elicit_url(async |_: ElicitParams| ElicitResult::new(ElicitAction::Accept))
        .on_sample(async |_: CreateMessageParams| {
            CreateMessageResult::new(Role::Assistant, ContentBlock::text("Paris"), "model")
        })
        .on_roots(async || vec![Root::new("file:///srv")])
        .on_request("acme/ask", async |_, _: Map<String, Value>| Ok(json!({})))
        // The test may be over when these are called.
        .on_log(move |_| drop(logs.send("log".to_owned())))
        .on_elicitation_complete(move |_, _| {
            let tell = completions.clone();
            async move { drop(tell.send("complete".to_owned())) }
        })
        .on_notification(move |told: Notification| {
            let tell = others.clone();
            async move { drop(tell.send(told.method().to_owned())) }
        });
    (builder, heard)
}

/// A server that offers everything, and whose tools and hooks tell what comes of what they do.
fn server() -> (Server, Heard) {
    let (tell, heard) = unbounded_channel::<String>();
    let (asked, unsubscribed, subscribed) = (tell.clone(), tell.clone(), tell);
    let server = Server::new("everything", "1")
        .tool(Tool::new("try", "", attempt))
        .tool(Tool::new("sign", "", async || Err::<(), _>(ToolError::url_required("Sign", "https://a.b", "sign"))))
        .tool(Tool::new("draw", "", async |ctx: Context| {
            Ok::<_, ToolError>(ctx.require([Capability::SamplingContext])?)
        }))
        .tool(Tool::new("runs", "", runs))
        .tool(Tool::new("list", "", async || CallToolResult::text("[1]").with_structured_content(json!([1]))))
        .state(Runs::default())
        .resource(Resource::text("a://1", "one", "one"))
        .resource(Resource::new("a://2", "two", async || Err::<String, _>(HandlerError::not_found("gone"))))
        .prompt(Prompt::new("p", "", async |_: Name| "p").complete("name", async |_: String| vec!["n"]))
        .logging()
        .extension(Extension::tasks())
        .capabilities(|declared| {
            let call = ToolsTaskRequests::new().with_call(Supported::new());
            let requests = TaskRequests::new().with_tools(call);
            let all = TasksCapability::new().with_requests(requests);
            declared.tasks = Some(all.with_list(Supported::new()).with_cancel(Supported::new()));
        })
        .on_subscribe(move |_, _| {
            drop(subscribed.send("`Server::on_subscribe`".to_owned()));
            async { Ok::<_, HandlerError>(()) }
        })
        .on_unsubscribe(move |_, _| {
            drop(unsubscribed.send("`Server::on_unsubscribe`".to_owned()));
            async { Ok::<_, HandlerError>(()) }
        })
        .on_notification("acme/told", move |session: Session, _: Map<String, Value>| {
            let asked = asked.clone();
            async move {
                let known = if session.peer().is_some() && session.version().is_some() { "known" } else { "`None`" };
                let request = sent(session.request::<Value>("roots/list", &json!({})).await);
                drop(asked.send(format!("{known}, {request}")));
            }
        });
    (server, heard)
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    #[allow(dead_code, reason = "only its schema is looked at")]
    name: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Verb {
    verb: String,
}

/// Does what the row of the page is about, and says whether it was refused.
async fn attempt(ctx: Context, args: Verb) -> mcp::Result<String> {
    let question = || CreateMessageParams::new([SamplingMessage::user(ContentBlock::text("Where?"))], 10);
    let outcome = match args.verb.as_str() {
        "`elicit`" => sent(ctx.elicit("form", Form::of::<()>("Yes?")).await),
        "`elicit_url`" => sent(ctx.elicit_url("url", "Sign", "https://a.b", "sign").await),
        "`elicitation_complete`" => sent(ctx.elicitation_complete("sign")),
        "`sample`" => sent(ctx.sample("model", question()).await),
        "`roots`" => sent(ctx.roots("roots").await),
        "`ask`, a method of your own" => sent(ctx.ask::<Value>("own", "acme/ask", &json!({})).await),
        "`log`, to a client that did not ask" | "`log`, to one that did" => sent(ctx.log(LoggingLevel::Info, "hello")),
        "`notify`" => sent(ctx.notify("acme/told", &json!({}), None)),
        "`progress`" | "`progress`, its message" => sent(ctx.steps(1).advance(1, "one")),
        other => panic!("the page has a row for {other}"),
    };
    ctx.notify(END, &json!({}), None)?;
    Ok(outcome)
}

/// How often the handler was run.
#[derive(Default)]
struct Runs(Mutex<u32>);

/// Asks two questions, one after the other, and tells how often that took a run.
async fn runs(ctx: Context) -> mcp::Result<String> {
    *ctx.state::<Runs>().0.lock().expect("no panic") += 1;
    ctx.roots("one").await?;
    ctx.roots("two").await?;
    let runs = *ctx.state::<Runs>().0.lock().expect("no panic");
    Ok(runs.to_string())
}

const OF_A_HANDLER: [&str; 16] = [
    "`elicit`",
    "`elicit_url`",
    "`elicitation_complete`",
    "`sample`",
    "`roots`",
    "`ask`, a method of your own",
    "runs of a handler that asks twice",
    "`progress`",
    "`progress`, its message",
    "`log`, to a client that did not ask",
    "`log`, to one that did",
    "`notify`",
    "`require`, of something that the client lacks",
    "`ToolError::url_required`",
    "`HandlerError::not_found`, of a resource",
    "structured content that is no object, `[1]`",
];

#[tokio::test]
async fn what_a_handler_does() {
    every_cell("in a handler", &OF_A_HANDLER, |row, version| async move {
        let (builder, mut heard) = client(version);
        let asks = if row == "`log`, to one that did" { builder.log_level(LoggingLevel::Debug) } else { builder };
        let client = mcp_tokio::pair_with(server().0, asks).await.expect("the two come to terms");
        let of_error = |error: Error| error.rpc().expect("an answer").code.to_string().replace('-', "−");
        let of_tool = |result: mcp::Result<CallToolResult>| match result {
            Ok(result) if result.is_error() => "`isError`".to_owned(),
            Ok(result) => result.joined_text(),
            Err(error) => of_error(error),
        };
        match row.as_str() {
            "runs of a handler that asks twice" => return of_tool(client.call_tool("runs", ()).await),
            "`require`, of something that the client lacks" => return of_tool(client.call_tool("draw", ()).await),
            "`ToolError::url_required`" => {
                // It is asked again and again, until this side has had enough.
                return match client.call_tool("sign", ()).await {
                    Err(Error::Request { error: mcp::RequestError::TooManyRounds(_), .. }) => "question".to_owned(),
                    result => of_tool(result),
                };
            }
            "`HandlerError::not_found`, of a resource" => {
                return client.read_resource("a://2").await.map_or_else(of_error, |_| DONE.to_owned());
            }
            "structured content that is no object, `[1]`" => {
                let content = client.call_tool("list", ()).await.expect("a list").structured_content;
                return format!("`{}`", content.expect("structured content"));
            }
            _ => {}
        }
        let progress = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&progress);
        let call = client.call_tool("try", json!({ "verb": row }));
        let call = call.on_progress(move |progress| *seen.lock().expect("no panic") = Some(progress));
        let outcome = of_tool(call.await);
        let mut told = Vec::new();
        while let Some(word) = heard.recv().await
            && word != END
        {
            told.push(word);
        }
        let reached = |it: bool| if it { outcome.clone() } else { NOTHING.to_owned() };
        let progress = progress.lock().expect("no panic").take();
        match row.as_str() {
            "`elicitation_complete`" => reached(told == ["complete"]),
            "`log`, to a client that did not ask" | "`log`, to one that did" => reached(told == ["log"]),
            "`notify`" => reached(told == ["acme/told"]),
            "`progress`" => reached(progress.is_some()),
            "`progress`, its message" => reached(progress.is_some_and(|progress| progress.message.is_some())),
            _ => outcome,
        }
    })
    .await;
}

const OF_A_SERVER: [&str; 5] = [
    "`Session::peer`, `Session::version`",
    "`Session::request`",
    "`Server::on_roots_changed`",
    "`Server::on_subscribe`",
    "`Server::on_unsubscribe`",
];

#[tokio::test]
async fn what_a_server_hears() {
    every_cell("outside of requests", &OF_A_SERVER, |row, version| async move {
        let (server, mut heard) = server();
        let (tell, mut roots) = unbounded_channel();
        let server = server.on_roots_changed(move |_| {
            let _ = tell.send(());
            async {}
        });
        let client = mcp_tokio::pair_with(server, client(version).0).await.expect("the two come to terms");
        match row.as_str() {
            "`Session::peer`, `Session::version`" | "`Session::request`" => {
                // A server takes no notification for the end of a handshake.
                client.list_tools().await.expect("tools");
                client.notify("acme/told", &json!({}), None).expect("sent");
                let facts = heard.recv().await.expect("told");
                let (known, request) = facts.split_once(", ").expect("two facts");
                if row.contains("request") { request.to_owned() } else { known.to_owned() }
            }
            "`Server::on_roots_changed`" => match sent(client.roots_changed()).as_str() {
                REFUSED => NOTHING.to_owned(),
                _ => roots.recv().await.map_or(NOTHING, |()| DONE).to_owned(),
            },
            "`Server::on_subscribe`" | "`Server::on_unsubscribe`" => {
                let wanted = SubscriptionFilter::new().with_resource_subscriptions(["a://1".to_owned()]);
                let changes = client.listen(wanted).await.expect("granted");
                assert_eq!(heard.recv().await.as_deref(), Some("`Server::on_subscribe`"));
                if row == "`Server::on_subscribe`" {
                    return DONE.to_owned();
                }
                drop(changes);
                if heard.recv().await.as_ref() == Some(&row) { DONE } else { NOTHING }.to_owned()
            }
            other => panic!("the page has a row for {other}"),
        }
    })
    .await;
}

const OF_A_CLIENT: [&str; 20] = [
    "`list_tools`, and the other lists",
    "`call_tool`",
    "`read_resource`",
    "`get_prompt`",
    "`complete`",
    "`listen`, `watch_tools`, and the other `watch_*`",
    "`request`, a method of your own",
    "`notify`, a method of your own",
    "`discover`",
    "`ping`",
    "`set_log_level`",
    "`subscribe`, `unsubscribe`",
    "`roots_changed`",
    "`start_tool`",
    "`get_task`",
    "`cancel_task`",
    "`task_result`",
    "`list_tasks`",
    "`update_task`",
    "`Request::log_level`",
];

#[tokio::test]
async fn what_a_client_does() {
    every_cell("a client's verb", &OF_A_CLIENT, |row, version| async move {
        let (builder, mut heard) = client(version);
        let client = mcp_tokio::pair_with(server().0, builder).await.expect("the two come to terms");
        let none = StringArguments::new;
        match row.as_str() {
            "`list_tools`, and the other lists" => {
                client.list_prompts().await.expect("prompts");
                client.list_resources().await.expect("resources");
                client.list_resource_templates().await.expect("templates");
                sent(client.list_tools().await)
            }
            "`call_tool`" => sent(client.call_tool("runs", ()).await),
            "`read_resource`" => sent(client.read_resource("a://1").await),
            "`get_prompt`" => sent(client.get_prompt("p", [("name", "n")]).await),
            "`complete`" => sent(client.complete(CompletionRef::prompt("p"), "name", "", none()).await),
            "`listen`, `watch_tools`, and the other `watch_*`" => {
                client.watch_tools().await.expect("tools");
                client.watch_prompts().await.expect("prompts");
                client.watch_resources().await.expect("resources");
                client.watch_resource_templates().await.expect("templates");
                sent(client.listen(SubscriptionFilter::new().with_tools_list_changed(true)).await)
            }
            "`request`, a method of your own" => sent(client.request::<Value>("acme/ask", &json!({})).await),
            "`notify`, a method of your own" => sent(client.notify("acme/other", &json!({}), None)),
            "`discover`" => sent(client.discover().await),
            "`ping`" => sent(client.ping().await),
            "`set_log_level`" => sent(client.set_log_level(LoggingLevel::Error).await),
            "`subscribe`, `unsubscribe`" => {
                let (on, off) = (sent(client.subscribe("a://1").await), sent(client.unsubscribe("a://1").await));
                assert_eq!(on, off);
                on
            }
            "`roots_changed`" => sent(client.roots_changed()),
            "`start_tool`" => sent(client.start_tool("runs", (), None).await),
            "`get_task`" => sent(client.get_task("t").await),
            "`cancel_task`" => sent(client.cancel_task("t").await),
            "`task_result`" => sent(client.task_result("t").await),
            "`list_tasks`" => sent(client.list_tasks().await),
            "`update_task`" => sent(client.update_task("t", InputResponses::new()).await),
            "`Request::log_level`" => {
                let call = client.call_tool("try", json!({ "verb": "`log`, to one that did" }));
                // Higher than what is logged, so that it shows whether it is looked at.
                call.log_level(LoggingLevel::Error).await.expect("logged");
                let first = heard.recv().await.expect("told");
                if first == "log" { NOTHING } else { DONE }.to_owned()
            }
            other => panic!("the page has a row for {other}"),
        }
    })
    .await;
}
