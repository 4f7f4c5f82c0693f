//! Our client: takes the steps with any server that offers the fixture, and prints a line for each.

mod steps;

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};

use mcp::http::HttpTarget;
use mcp::model::{CreateMessageParams, CreateMessageResult, ElicitAction, ElicitParams, ElicitResult, LogParams};
use mcp::process::{Command, How};
use mcp::{Client, ClientBuilder, ErrorObject, ProtocolVersion};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::runtime::Runtime;

/// What the server asked, and said of its own accord.
#[derive(Debug, Default)]
struct Heard {
    notes: Mutex<Notes>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Notes {
    /// Level and data of each message.
    logs: Vec<Value>,
    updates: Vec<String>,
    changes: BTreeSet<&'static str>,
    /// The fields of each form.
    forms: Vec<Value>,
    pages: Vec<String>,
}

impl Heard {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("no panic under it")
    }

    fn note(&self, write: impl FnOnce(&mut Notes)) {
        write(&mut self.notes());
        self.news.notify_one();
    }

    /// Waits until what was heard is enough.
    async fn until<T>(&self, enough: impl Fn(&Notes) -> Option<T>) -> T {
        loop {
            if let Some(found) = enough(&self.notes()) {
                return found;
            }
            self.news.notified().await;
        }
    }
}

/// How it is called, read from the command line.
struct Options<'a> {
    revision: ProtocolVersion,
    pinned: bool,
    steps: Vec<&'a str>,
    wrong: Option<&'a str>,
    server: Place<'a>,
}

/// Where its server is.
enum Place<'a> {
    /// It is started: a program and its arguments.
    Command(&'a str, &'a [String]),
    /// It listens there, over either HTTP.
    Url(&'a str),
}

pub(crate) async fn run(runtime: Runtime, arguments: &[String]) -> ExitCode {
    let Some(options) = read(arguments) else {
        eprintln!(
            "usage: client --runtime RUNTIME --revision REVISION --how HOW --steps NAMES [--wrong ANSWER] \
             --http URL | --sse URL | COMMAND ARGS..."
        );
        return ExitCode::FAILURE;
    };
    let heard = Arc::new(Heard::default());
    let connected = match options.server {
        Place::Command(program, arguments) => {
            runtime.spawn(Command::new(program).args(arguments), builder(&options, &heard)).await
        }
        Place::Url(url) => runtime.connect(HttpTarget::new(url), builder(&options, &heard)).await,
    };
    let client = match connected {
        Ok(client) => client,
        Err(error) => {
            eprintln!("cannot connect: {error}");
            return ExitCode::FAILURE;
        }
    };
    let failed = steps::take(&client, &heard, options.revision, &options.steps).await;
    let exit = client.close().await;
    let was_started = matches!(options.server, Place::Command(..));
    if was_started && !exit.as_ref().is_some_and(|exit| exit.how == How::ByItself) {
        eprintln!("the server ended otherwise than by itself: {exit:?}");
        return ExitCode::FAILURE;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn read(arguments: &[String]) -> Option<Options<'_>> {
    let [revision_flag, revision, how_flag, how, steps_flag, steps, rest @ ..] = arguments else { return None };
    if (revision_flag.as_str(), how_flag.as_str(), steps_flag.as_str()) != ("--revision", "--how", "--steps") {
        return None;
    }
    let (wrong, rest) = match rest {
        [flag, wrong, rest @ ..] if flag == "--wrong" => (Some(wrong.as_str()), rest),
        rest => (None, rest),
    };
    let server = match rest {
        [flag, url] if flag == "--http" || flag == "--sse" => Place::Url(url),
        [program, arguments @ ..] => Place::Command(program, arguments),
        [] => return None,
    };
    let revision = ProtocolVersion::ALL.into_iter().find(|known| known.as_str() == revision)?;
    Some(Options { revision, pinned: how == "pinned", steps: steps.split(',').collect(), wrong, server })
}

/// What the client answers and hears.
fn builder(options: &Options<'_>, heard: &Arc<Heard>) -> ClientBuilder {
    let (wrong_form, wrong_model) = (options.wrong == Some("elicitation"), options.wrong == Some("sampling"));
    let [forms, pages, logs, updates] = [(); 4].map(|()| Arc::clone(heard));
    let second = if options.wrong == Some("roots") { "file:///interop/three" } else { "file:///interop/two" };
    let builder = Client::builder("interop-ours-client", "1.0")
        .on_elicit(move |question: ElicitParams| {
            let answer = elicited(&forms, &question, wrong_form);
            async move { answer }
        })
        .on_sample(move |asked: CreateMessageParams| {
            let answer = sampled(&asked, wrong_model);
            async move { answer }
        })
        .root("file:///interop/one", "One")
        .root(second, "Two")
        .on_log(move |entry: LogParams| {
            logs.note(|notes| notes.logs.push(json!([entry.level, entry.data])));
        })
        .on_elicit_url(move |question: ElicitParams| {
            let answer = shown(&pages, &question);
            async move { answer }
        })
        .on_resource_updated(move |_, uri| {
            updates.note(|notes| notes.updates.push(uri));
            async {}
        })
        .on_tools_changed(changed(heard, "tools"))
        .on_resources_changed(changed(heard, "resources"))
        .on_prompts_changed(changed(heard, "prompts"));
    if options.pinned { builder.versions([options.revision]) } else { builder }
}

fn elicited(heard: &Heard, question: &ElicitParams, wrong: bool) -> ElicitResult {
    let question = serde_json::to_value(question).unwrap_or_default();
    heard.note(|notes| notes.forms.push(question["requestedSchema"]["properties"].clone()));
    let name = if wrong { "Bob" } else { "Ada" };
    match question["message"].as_str() {
        Some("accept") => {
            ElicitResult::accept(Map::from_iter([("ok".to_owned(), true.into()), ("name".to_owned(), name.into())]))
        }
        Some("decline") => ElicitResult::decline(),
        _ => ElicitResult::cancel(),
    }
}

fn sampled(asked: &CreateMessageParams, wrong: bool) -> Result<CreateMessageResult, ErrorObject> {
    let asked = serde_json::to_value(asked).unwrap_or_default();
    if asked["systemPrompt"] != "Be brief." || asked["maxTokens"] != 100 {
        return Err(ErrorObject::invalid_params(format!("asked differently: {asked}")));
    }
    // One block, which some write as a list of one.
    let content = &asked["messages"][0]["content"];
    let content = if content.is_array() { &content[0] } else { content };
    let said = format!("You said {}", content["text"].as_str().unwrap_or_default());
    let model = if wrong { "another-model" } else { "interop-model" };
    let answer = json!({
        "role": "assistant",
        "content": { "type": "text", "text": said },
        "model": model,
        "stopReason": "endTurn",
    });
    serde_json::from_value(answer).map_err(|error| ErrorObject::internal(error.to_string()))
}

fn shown(heard: &Heard, question: &ElicitParams) -> ElicitResult {
    let question = serde_json::to_value(question).unwrap_or_default();
    heard.note(|notes| notes.pages.push(question["url"].as_str().unwrap_or_default().to_owned()));
    ElicitResult::new(ElicitAction::Accept)
}

/// The callback for a list that has changed.
fn changed(heard: &Arc<Heard>, list: &'static str) -> impl Fn(Client) -> Ready<()> + Send + Sync + 'static {
    let heard = Arc::clone(heard);
    move |_| {
        heard.note(|notes| notes.changes.extend([list]));
        ready(())
    }
}
