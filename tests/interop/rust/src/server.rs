//! The fixture, served over stdio or HTTP: all revisions.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use rmcp::model::*;
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler, ServiceExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast};

use crate::{bytes, model};

const PAGE: usize = 10;
const NOTES: &[&str] = &["1", "10", "11", "12", "2", "3"];
const STYLES: &[&str] = &["formal", "friendly", "frank", "short"];

/// Parameters and their types.
type Parameters = &'static [(&'static str, &'static str)];

/// Each tool, what it does, and what it takes.
const TOOLS: &[(&str, &str, Parameters)] = &[
    ("echo", "Gives the text back.", &[("text", "string")]),
    ("add", "Adds two integers.", &[("a", "integer"), ("b", "integer")]),
    ("weather", "Tells the weather: always the same.", &[("city", "string")]),
    ("content", "One block of each kind that the revision has.", &[]),
    (
        "count",
        "Counts to n and reports each step; then, if it is to hold, waits for `release`.",
        &[("n", "integer"), ("hold", "boolean")],
    ),
    ("release", "Lets `count` end.", &[]),
    ("fail", "Always fails.", &[("message", "string")]),
    ("slow", "Tells that it has begun, takes its time, and remembers if it was cancelled.", &[("seconds", "number")]),
    ("was_cancelled", "Whether a call of `slow` was ever cancelled.", &[]),
    ("ask", "Asks the person, and tells what came back.", &[("question", "string")]),
    ("ask_url", "Sends the person to a page, and tells what they did.", &[("url", "string")]),
    ("sample", "Has the client's model say something, and tells which model said what.", &[("prompt", "string")]),
    ("roots", "The client's roots: their URIs, with a blank between them.", &[]),
    ("interview", "Asks for a name, has the model say something about it, and counts the roots.", &[]),
    (
        "log",
        "Sends two log messages, an info and an error, unless the client asked for graver ones only.",
        &[("text", "string")],
    ),
    ("touch", "Tells those who subscribed to the resource that it changed.", &[("uri", "string")]),
    ("grow", "Adds the tool `grown`, the resource memo://grown and the prompt `grown`, and tells of it.", &[]),
];

#[derive(Clone)]
enum Event {
    Grown,
    Touched(String),
}

/// One process serves one client, so the server's state is the connection's too.
struct Fixture {
    slow_was_cancelled: AtomicBool,
    grown: AtomicBool,
    released: Notify,
    level: Mutex<LoggingLevel>,
    subscribed: Mutex<HashSet<String>>,
    events: broadcast::Sender<Event>,
    /// For listens that are acknowledged: the SDK does that before it calls the handler, which would miss the first events.
    ears: Mutex<VecDeque<broadcast::Receiver<Event>>>,
}

fn fixture() -> Arc<Fixture> {
    Arc::new(Fixture {
        slow_was_cancelled: AtomicBool::new(false),
        grown: AtomicBool::new(false),
        released: Notify::new(),
        level: Mutex::new(LoggingLevel::Debug),
        subscribed: Mutex::default(),
        events: broadcast::channel(64).0,
        ears: Mutex::default(),
    })
}

pub async fn over_stdio() -> anyhow::Result<()> {
    let running = fixture().serve(rmcp::transport::stdio()).await?;
    running.waiting().await?;
    Ok(())
}

/// Listens on a port of its own, prints its URL, and ends when the input does.
pub async fn over_http() -> anyhow::Result<()> {
    let fixture = fixture();
    let sessions = Arc::<LocalSessionManager>::default();
    let service = StreamableHttpService::new(move || Ok(Arc::clone(&fixture)), sessions, Default::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/mcp", listener.local_addr()?);
    let serving = async {
        loop {
            let (socket, _) = listener.accept().await?;
            let service = hyper_util::service::TowerToHyperService::new(service.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(socket), service);
            // How a connection ends is between the two.
            tokio::spawn(async { connection.await.ok() });
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        ended = serving => ended,
        read = async { tokio::io::stdin().read_to_end(&mut rest).await } => Ok(read.map(drop)?),
    }
}

/// Why a handler that asks cannot go on.
enum Stop {
    /// This round has no answer to the question.
    Unanswered(Box<InputRequiredResult>),
    Failed(ErrorData),
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(ErrorData::internal_error(error.to_string(), None))
    }
}

/// Asks the client: by a request in the handshake era, by rounds in the modern one.
struct Asker<'a> {
    peer: &'a Peer<RoleServer>,
    modern: bool,
    /// Of all rounds so far: those of earlier ones come back in the state.
    answers: Map<String, Value>,
}

impl<'a> Asker<'a> {
    fn new(
        context: &'a RequestContext<RoleServer>,
        state: Option<&str>,
        responses: Option<&InputResponses>,
    ) -> Result<Self, ErrorData> {
        let invalid = |error: serde_json::Error| ErrorData::invalid_params(error.to_string(), None);
        let mut answers: Map<String, Value> = state.map_or(Ok(Map::new()), serde_json::from_str).map_err(invalid)?;
        for (key, answer) in responses.into_iter().flatten() {
            answers.insert(key.clone(), answer.clone());
        }
        Ok(Self { peer: &context.peer, modern: revision(context) >= ProtocolVersion::V_2026_07_28, answers })
    }

    async fn ask(&self, key: &str, method: &str, params: Value) -> Result<Value, Stop> {
        if !self.modern {
            return Ok(match method {
                "elicitation/create" => serde_json::to_value(self.peer.create_elicitation(model(params)).await?)?,
                "sampling/createMessage" => serde_json::to_value(self.peer.create_message(model(params)).await?)?,
                _ => serde_json::to_value(self.peer.list_roots().await?)?,
            });
        }
        if let Some(answer) = self.answers.get(key) {
            return Ok(answer.clone());
        }
        let request = if method == "roots/list" {
            json!({"method": method})
        } else {
            json!({"method": method, "params": params})
        };
        let state = serde_json::to_string(&self.answers)?;
        let required = InputRequiredResult::new(model(json!({key: request})), Some(state));
        Err(Stop::Unanswered(Box::new(required)))
    }

    async fn form(&self, key: &str, message: &str) -> Result<Value, Stop> {
        let schema = json!({
            "type": "object",
            "properties": {"ok": {"type": "boolean"}, "name": {"type": "string"}},
            "required": ["ok", "name"]
        });
        let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
        self.ask(key, "elicitation/create", params).await
    }

    /// The form, as `ask` tells what came of it.
    async fn told(&self, message: &str) -> Result<String, Stop> {
        let answer = self.form("answer", message).await?;
        Ok(match string(&answer["action"]) {
            "accept" => format!("accept:{}", string(&answer["content"]["name"])),
            action => action.to_owned(),
        })
    }

    async fn sample(&self, prompt: &str) -> Result<String, Stop> {
        let params = json!({
            "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
            "systemPrompt": "Be brief.",
            "maxTokens": 100
        });
        let said = self.ask("said", "sampling/createMessage", params).await?;
        // One block, which the SDK holds as a list of one.
        let content = if said["content"].is_array() { &said["content"][0] } else { &said["content"] };
        Ok(format!("{}: {}", string(&said["model"]), string(&content["text"])))
    }

    async fn roots(&self) -> Result<Vec<String>, Stop> {
        let roots = self.ask("roots", "roots/list", Value::Null).await?;
        Ok(roots["roots"].as_array().into_iter().flatten().map(|root| string(&root["uri"]).to_owned()).collect())
    }
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn revision(context: &RequestContext<RoleServer>) -> ProtocolVersion {
    context.protocol_version().unwrap_or(ProtocolVersion::V_2025_11_25)
}

/// A result of the SDK. Its own constructors set the result type, so this does too.
fn complete<T: DeserializeOwned>(mut value: Value) -> T {
    value["resultType"] = "complete".into();
    model(value)
}

fn text(value: impl std::fmt::Display) -> Value {
    json!({"content": [{"type": "text", "text": value.to_string()}]})
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// The level by its number, gravest last.
fn gravity(level: LoggingLevel) -> usize {
    let all = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    let name = serde_json::to_value(level).unwrap_or_default();
    all.iter().position(|one| name == *one).unwrap_or(all.len())
}

/// A page of ten, and the cursor of the next.
fn page(member: &str, items: Vec<Value>, request: Option<PaginatedRequestParams>) -> Result<Value, ErrorData> {
    let cursor = request.and_then(|request| request.cursor);
    let start: usize = match cursor.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(start)) => start,
        Some(Err(_)) => return Err(ErrorData::invalid_params("no such page", None)),
    };
    let mut result = json!({member: items.iter().skip(start).take(PAGE).collect::<Vec<_>>()});
    if start + PAGE < items.len() {
        result["nextCursor"] = (start + PAGE).to_string().into();
    }
    Ok(result)
}

impl Fixture {
    fn grown(&self) -> bool {
        self.grown.load(Ordering::SeqCst)
    }

    fn tools(&self) -> Vec<Value> {
        let mut tools = Vec::new();
        for (name, description, parameters) in TOOLS {
            let properties: Map<String, Value> =
                parameters.iter().map(|(name, kind)| ((*name).to_owned(), json!({"type": kind}))).collect();
            let required = parameters.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            let schema = json!({"type": "object", "properties": properties, "required": required});
            let mut tool = json!({"name": name, "description": description, "inputSchema": schema});
            if *name == "weather" {
                tool["inputSchema"]["properties"]["city"]["x-mcp-header"] = "City".into();
                tool["annotations"] = json!({"title": "Weather", "readOnlyHint": true});
                tool["outputSchema"] = json!({
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "celsius": {"type": "number"}},
                    "required": ["city", "celsius"]
                });
            }
            tools.push(tool);
        }
        if self.grown() {
            tools.push(json!({"name": "grown", "description": "New.", "inputSchema": {"type": "object"}}));
        }
        tools
    }

    async fn call(&self, request: &CallToolRequestParams, context: &RequestContext<RoleServer>) -> Result<Value, Stop> {
        let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
        let peer = &context.peer;
        let modern = revision(context) >= ProtocolVersion::V_2026_07_28;
        let asker = Asker::new(context, request.request_state.as_deref(), request.input_responses.as_ref())
            .map_err(Stop::Failed)?;
        Ok(match &*request.name {
            "echo" => match arguments["text"].as_str() {
                Some(said) => text(said),
                None if revision(context) >= ProtocolVersion::V_2025_11_25 => {
                    let mut result = text("text has to be a string");
                    result["isError"] = true.into();
                    result
                }
                None => return Err(Stop::Failed(ErrorData::invalid_params("text has to be a string", None))),
            },
            "add" => {
                let sum = arguments["a"].as_i64().unwrap_or_default() + arguments["b"].as_i64().unwrap_or_default();
                let mut result = text(sum);
                result["structuredContent"] = json!({"result": sum});
                result
            }
            "weather" => {
                let found = json!({"city": arguments["city"], "celsius": 21.5});
                let mut result = text(&found);
                result["structuredContent"] = found;
                result
            }
            "content" => json!({"content": blocks(&revision(context))}),
            "count" => {
                let n = arguments["n"].as_u64().unwrap_or_default();
                if let Some(token) = context.meta.get_progress_token() {
                    for step in 1..=n {
                        let note = json!({
                            "progressToken": token,
                            "progress": step,
                            "total": n,
                            "message": format!("step {step} of {n}")
                        });
                        peer.notify_progress(model(note)).await?;
                    }
                }
                if arguments["hold"] == true {
                    self.released.notified().await;
                }
                text(format!("counted to {n}"))
            }
            "release" => {
                self.released.notify_one();
                text("released")
            }
            "fail" => {
                let mut result = text(string(&arguments["message"]));
                result["isError"] = true.into();
                result
            }
            "slow" => {
                if let Some(token) = context.meta.get_progress_token() {
                    peer.notify_progress(model(json!({"progressToken": token, "progress": 1}))).await?;
                }
                let time = Duration::from_secs_f64(arguments["seconds"].as_f64().unwrap_or_default());
                tokio::select! {
                    () = tokio::time::sleep(time) => text("done"), // slow on purpose
                    () = context.ct.cancelled() => {
                        self.slow_was_cancelled.store(true, Ordering::SeqCst);
                        text("cancelled")
                    }
                }
            }
            "was_cancelled" => text(self.slow_was_cancelled.load(Ordering::SeqCst)),
            "ask" => text(asker.told(string(&arguments["question"])).await?),
            "ask_url" => {
                let mut params = json!({"mode": "url", "message": "Please sign in", "url": arguments["url"]});
                // The SDK's type has the member in both eras; the modern one has no use for it.
                params["elicitationId"] = "elicitation-1".into();
                text(string(&asker.ask("page", "elicitation/create", params).await?["action"]))
            }
            "sample" => text(asker.sample(string(&arguments["prompt"])).await?),
            "roots" => text(asker.roots().await?.join(" ")),
            "interview" => {
                let answer = asker.form("who", "accept").await?;
                let name = string(&answer["content"]["name"]);
                let said = asker.sample(name).await?;
                let roots = asker.roots().await?.len();
                text(format!("{name}, {said}, {roots} roots"))
            }
            "log" => {
                let asked = if modern { context.meta.log_level() } else { Some(*self.level.lock().expect("no panic")) };
                for level in [LoggingLevel::Info, LoggingLevel::Error] {
                    if asked.is_some_and(|asked| gravity(level) >= gravity(asked)) {
                        let note = json!({"level": level, "logger": "interop", "data": arguments["text"]});
                        peer.notify_logging_message(model(note)).await?;
                    }
                }
                text("logged")
            }
            "touch" => {
                let uri = string(&arguments["uri"]).to_owned();
                let subscribed = self.subscribed.lock().expect("no panic").contains(&uri);
                if modern {
                    let _ = self.events.send(Event::Touched(uri));
                } else if subscribed {
                    peer.notify_resource_updated(model(json!({"uri": uri}))).await?;
                }
                text("touched")
            }
            "grow" => {
                self.grown.store(true, Ordering::SeqCst);
                if modern {
                    let _ = self.events.send(Event::Grown);
                } else {
                    peer.notify_tool_list_changed().await?;
                    peer.notify_resource_list_changed().await?;
                    peer.notify_prompt_list_changed().await?;
                }
                text("grown")
            }
            name => return Err(Stop::Failed(ErrorData::invalid_params(format!("Unknown tool: {name}"), None))),
        })
    }
}

fn blocks(revision: &ProtocolVersion) -> Vec<Value> {
    let blob = BASE64_STANDARD.encode(bytes());
    let mut blocks = vec![
        json!({"type": "text", "text": "hello"}),
        json!({"type": "image", "data": blob, "mimeType": "image/png"}),
        json!({"type": "resource", "resource": {"uri": "memo://text", "mimeType": "text/plain", "text": "hello"}}),
        json!({"type": "resource", "resource": {
            "uri": "memo://blob", "mimeType": "application/octet-stream", "blob": blob
        }}),
    ];
    if *revision >= ProtocolVersion::V_2025_03_26 {
        blocks.push(json!({"type": "audio", "data": blob, "mimeType": "audio/wav"}));
    }
    if *revision >= ProtocolVersion::V_2025_06_18 {
        blocks.push(json!({"type": "resource_link", "name": "text", "uri": "memo://text", "mimeType": "text/plain"}));
    }
    blocks
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        model(json!({
            "protocolVersion": ProtocolVersion::V_2025_11_25,
            "capabilities": {
                "tools": {"listChanged": true},
                "prompts": {"listChanged": true},
                "resources": {"listChanged": true, "subscribe": true},
                "completions": {},
                "logging": {}
            },
            "serverInfo": {"name": "interop-rmcp", "version": "1.0"},
            "instructions": "Call tools, read resources, get prompts."
        }))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(complete(page("tools", self.tools(), request)?))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match self.call(&request, &context).await {
            Ok(result) => Ok(complete::<CallToolResult>(result).into()),
            Err(Stop::Unanswered(required)) => Ok(CallToolResponse::InputRequired(*required)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut resources = vec![
            json!({"name": "text", "uri": "memo://text", "mimeType": "text/plain", "description": "Says hello."}),
            json!({"name": "blob", "uri": "memo://blob", "mimeType": "application/octet-stream"}),
        ];
        resources.extend((1..=10).map(|number| {
            json!({"name": format!("leaf {number}"), "uri": format!("memo://leaf/{number}"), "mimeType": "text/plain"})
        }));
        if self.grown() {
            resources.push(json!({"name": "grown", "uri": "memo://grown", "mimeType": "text/plain"}));
        }
        Ok(complete(page("resources", resources, request)?))
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = vec![
            json!({"name": "note", "uriTemplate": "memo://notes/{id}", "mimeType": "text/plain"}),
            json!({"name": "asked", "uriTemplate": "memo://asked/{question}", "mimeType": "text/plain"}),
        ];
        Ok(complete(page("resourceTemplates", templates, request)?))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let said = match uri.split_once("://").map(|(_, path)| path.split_once('/').unwrap_or((path, ""))) {
            Some(("text", "")) => "hello".to_owned(),
            Some(("blob", "")) => {
                let blob = BASE64_STANDARD.encode(bytes());
                let part = json!({"uri": uri, "mimeType": "application/octet-stream", "blob": blob});
                let result: ReadResourceResult = complete(json!({"contents": [part]}));
                return Ok(result.into());
            }
            Some(("leaf", number)) => format!("leaf {number}"),
            Some(("notes", id)) => format!("note {id}"),
            Some(("asked", question)) => {
                let asker = Asker::new(&context, request.request_state.as_deref(), request.input_responses.as_ref())?;
                match asker.told(question).await {
                    Ok(told) => told,
                    Err(Stop::Unanswered(required)) => return Ok(ReadResourceResponse::InputRequired(*required)),
                    Err(Stop::Failed(error)) => return Err(error),
                }
            }
            _ => return Err(ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri})))),
        };
        let part = json!({"uri": uri, "mimeType": "text/plain", "text": said});
        let result: ReadResourceResult = complete(json!({"contents": [part]}));
        Ok(result.into())
    }

    async fn subscribe(&self, request: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.subscribed.lock().map_err(failed)?.insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribed.lock().map_err(failed)?.remove(&request.uri);
        Ok(())
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        *self.level.lock().map_err(failed)? = request.level;
        Ok(())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut prompts = vec![
            json!({"name": "greet", "description": "A greeting.", "arguments": [
                {"name": "name", "required": true}, {"name": "style", "required": false}
            ]}),
            json!({"name": "picture", "description": "A picture and a text."}),
            json!({"name": "asked", "description": "Asks first.", "arguments": [{"name": "question", "required": true}]}),
        ];
        if self.grown() {
            prompts.push(json!({"name": "grown"}));
        }
        Ok(complete(page("prompts", prompts, request)?))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = serde_json::to_value(&request.arguments).map_err(failed)?;
        let user = |text: String| json!({"role": "user", "content": {"type": "text", "text": text}});
        let result = match request.name.as_str() {
            "greet" => {
                let style = arguments["style"].as_str().map(|style| format!(" Be {style}.")).unwrap_or_default();
                let message = user(format!("Greet {}.{style}", string(&arguments["name"])));
                json!({"description": "A greeting.", "messages": [message]})
            }
            "picture" => {
                let blocks = blocks(&ProtocolVersion::V_2024_11_05);
                json!({"messages": [
                    {"role": "assistant", "content": blocks[1]},
                    {"role": "user", "content": blocks[2]}
                ]})
            }
            "asked" => {
                let asker = Asker::new(&context, request.request_state.as_deref(), request.input_responses.as_ref())?;
                match asker.told(string(&arguments["question"])).await {
                    Ok(told) => json!({"messages": [user(told)]}),
                    Err(Stop::Unanswered(required)) => return Ok(GetPromptResponse::InputRequired(*required)),
                    Err(Stop::Failed(error)) => return Err(error),
                }
            }
            name => return Err(ErrorData::invalid_params(format!("Unknown prompt: {name}"), None)),
        };
        Ok(complete::<GetPromptResult>(result).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let context = serde_json::to_value(&request.context).map_err(failed)?;
        let known: &[&str] = match (&request.r#ref, request.argument.name.as_str()) {
            (Reference::Resource(_), _) => NOTES,
            (_, "style") => STYLES,
            _ if context["arguments"]["style"] == "formal" => &["Ms Lovelace"],
            _ => &["Ada", "Alan"],
        };
        let values: Vec<&&str> = known.iter().filter(|known| known.starts_with(&request.argument.value)).collect();
        Ok(complete(json!({"completion": {"values": values, "total": values.len(), "hasMore": false}})))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.ears.lock().expect("no panic").push_back(self.events.subscribe());
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let ear = self.ears.lock().map_err(failed)?.pop_front();
        let mut events = ear.ok_or_else(|| failed("a listen that was not accepted"))?;
        let sink = context.sink().clone();
        loop {
            // What the client did not ask for, the sink refuses.
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                event = events.recv() => match event {
                    Ok(Event::Grown) => {
                        let _ = sink.notify_tool_list_changed().await;
                        let _ = sink.notify_resource_list_changed().await;
                        let _ = sink.notify_prompt_list_changed().await;
                    }
                    Ok(Event::Touched(uri)) => {
                        let _ = sink.notify_resource_updated(uri).await;
                    }
                    Err(_) => return Ok(()),
                },
            }
        }
    }
}
