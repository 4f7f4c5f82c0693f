//! What the client answers when the server asks, and what it notes when the server tells.

use std::time::Duration;

use mcp::model::{
    ContentBlock, CreateMessageParams, CreateMessageResult, ElicitParams, ElicitResult, LogParams, Role, Root,
    StopReason,
};
use mcp::{Caching, Client, ClientBuilder, Incoming, Interceptor, Message, Next, Notification, Outcome as Answer};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::connect::Outcome;

/// What was asked and told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) questions: Vec<String>,
    pub(crate) pages: Vec<String>,
    pub(crate) completed: Vec<String>,
    pub(crate) prompts: Vec<String>,
    pub(crate) logs: Vec<LogParams>,
    pub(crate) told: Vec<String>,
    pub(crate) changed: Vec<String>,
    pub(crate) roots: Vec<String>,
    /// The methods of all questions and notifications, whoever they were for.
    pub(crate) passed: Vec<String>,
}

/// A handle on the notes. The channel is tokio's, and needs no runtime of tokio's.
#[derive(Clone, Debug)]
pub(crate) struct Heard(watch::Sender<Notes>);

/// Stands around everything that the server asks and tells.
impl Interceptor for Heard {
    async fn request(&self, request: Incoming, next: Next) -> Answer {
        self.note(|notes| notes.passed.push(request.method().to_owned()));
        next.run(request).await
    }

    fn notification(&self, message: Message) -> Option<Message> {
        self.note(|notes| notes.passed.push(message.method().to_owned()));
        Some(message)
    }
}

impl Default for Heard {
    fn default() -> Self {
        let notes = Notes { roots: vec!["file:///everything/one".to_owned()], ..Notes::default() };
        Self(watch::Sender::new(notes))
    }
}

impl Heard {
    fn note(&self, note: impl FnOnce(&mut Notes)) {
        self.0.send_modify(note);
    }

    /// The notes as they are now.
    pub(crate) fn now(&self) -> Notes {
        self.0.borrow().clone()
    }

    /// Waits until the notes say so; whoever calls this sees to it that it does not wait for ever.
    pub(crate) async fn until(&self, said: impl FnMut(&Notes) -> bool) -> Outcome<Notes> {
        let mut notes = self.0.subscribe();
        // Named, because what it borrows must end before the receiver does.
        let reached = notes.wait_for(said).await?.clone();
        Ok(reached)
    }

    /// From now on the client has these roots.
    pub(crate) fn move_to(&self, root: &str) {
        self.note(|notes| notes.roots = vec![root.to_owned()]);
    }

    /// A client with every callback there is.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let (asked, page, sampled, roots) = (self.clone(), self.clone(), self.clone(), self.clone());
        let (completed, logs, told) = (self.clone(), self.clone(), self.clone());
        let changed = |what: &'static str| {
            let heard = self.clone();
            move |_: Client| {
                heard.note(|notes| notes.changed.push(what.to_owned()));
                std::future::ready(())
            }
        };
        let updated = self.clone();
        Client::builder("everything-client", env!("CARGO_PKG_VERSION"))
            .intercept(self.clone())
            .cache(Caching::new().legacy(Duration::from_secs(60)))
            .on_elicit(move |question: ElicitParams| {
                asked.note(|notes| notes.questions.push(question.message.clone()));
                std::future::ready(fill_in(&question))
            })
            .on_elicit_url(move |question: ElicitParams| {
                page.note(|notes| notes.pages.extend(question.url));
                std::future::ready(ElicitResult::new(mcp::model::ElicitAction::Accept))
            })
            .on_sample(move |question: CreateMessageParams| {
                let text = question.messages.iter().flat_map(|message| message.content.iter());
                let text = text.filter_map(ContentBlock::as_text).collect::<String>();
                let answer = format!("You said: {text}");
                sampled.note(|notes| notes.prompts.push(text));
                let answer = CreateMessageResult::new(Role::Assistant, ContentBlock::text(answer), "everything-model");
                std::future::ready(answer.with_stop_reason(StopReason::EndTurn))
            })
            .on_roots(move || {
                let roots = roots.now().roots.into_iter().map(Root::new).collect::<Vec<_>>();
                std::future::ready(roots)
            })
            .on_request("everything/size", async |_, asked: Map<String, Value>| {
                Ok(json!({ "of": asked.get("of"), "width": 80, "height": 24 }))
            })
            .on_log(move |entry| logs.note(|notes| notes.logs.push(entry)))
            .on_tools_changed(changed("tools"))
            .on_prompts_changed(changed("prompts"))
            .on_resources_changed(changed("resources"))
            .on_resource_updated(move |_, uri| {
                updated.note(|notes| notes.changed.push(uri));
                std::future::ready(())
            })
            .on_elicitation_complete(move |_, id| {
                completed.note(|notes| notes.completed.push(id));
                std::future::ready(())
            })
            .on_notification(move |notification: Notification| {
                told.note(|notes| notes.told.push(notification.method().to_owned()));
                std::future::ready(())
            })
    }
}

/// The person at this client: takes what a form suggests and fills in the rest, unless asked not to.
fn fill_in(question: &ElicitParams) -> ElicitResult {
    if question.message.contains("decline") {
        return ElicitResult::decline();
    }
    let mut content = question.defaults();
    let schema = question.requested_schema.as_ref();
    let fields = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    for (name, field) in fields.into_iter().flatten() {
        content.entry(name.clone()).or_insert_with(|| value_for(name, field));
    }
    ElicitResult::accept(content)
}

fn value_for(name: &str, field: &Value) -> Value {
    let first = |options: &Value| options.get(0).map(|option| option.get("const").unwrap_or(option).clone());
    let choice = |of: &Value| ["enum", "oneOf", "anyOf"].iter().find_map(|key| first(&of[*key]));
    match field["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer" | "number") => field.get("minimum").cloned().unwrap_or(json!(1)),
        Some("array") => json!(choice(&field["items"]).into_iter().collect::<Vec<_>>()),
        _ => choice(field).unwrap_or_else(|| match name {
            "name" => json!("Ada"),
            "color" => json!("blue"),
            _ => json!("fine"),
        }),
    }
}
