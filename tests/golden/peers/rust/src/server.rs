//! A server with everything of the protocol that the SDK can serve over stdio, in both eras.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::Duration,
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::*,
    service::{NotificationContext, PeerRequestOptions, RequestContext, SubscriptionContext},
    task_manager::{TaskExit, TaskManager, TaskOptions},
};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{complete, model, pause};

const PIXEL: &str = "bm90IHJlYWxseSBhIHBpY3R1cmU=";
const TOOLS: &[&str] = &[
    "content",
    "array",
    "fail",
    "crash",
    "mismatch",
    "count",
    "wait",
    "log",
    "ask_form",
    "ask_url",
    "url_required",
    "sample",
    "sample_tools",
    "roots",
    "all",
    "impatient",
    "ping",
    "change",
    "touch",
    "end_listens",
    "task",
    "task_ask",
    "task_wait",
    "task_fail",
];

#[derive(Clone)]
enum Event {
    Changed,
    Touched(String),
    End,
}

#[derive(Clone)]
struct Golden {
    versions: &'static [ProtocolVersion],
    extra: Arc<Mutex<Vec<Value>>>,
    events: broadcast::Sender<Event>,
    tasks: TaskManager,
}

pub async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let known = ProtocolVersion::KNOWN_VERSIONS;
    let versions = match arguments.first().map(String::as_str) {
        Some("legacy-only") => &known[..known.len() - 1],
        Some("modern-only") => &known[known.len() - 1..],
        _ => known,
    };
    let server =
        Golden { versions, extra: Default::default(), events: broadcast::channel(64).0, tasks: TaskManager::new() };
    let running = server.serve(rmcp::transport::stdio()).await?;
    running.waiting().await?;
    Ok(())
}

fn form() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "title": "Name", "minLength": 1, "maxLength": 40},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "subscribed": {"type": "boolean", "default": false},
            "color": {"type": "string", "enum": ["red", "green"]}
        },
        "required": ["name"]
    })
}

fn elicitation(message: &str) -> Value {
    json!({"mode": "form", "message": message, "requestedSchema": form()})
}

fn sampling() -> Value {
    json!({
        "messages": [{"role": "user", "content": {"type": "text", "text": "Add 1 and 2"}}],
        "modelPreferences": {"hints": [{"name": "claude"}], "costPriority": 0.25, "intelligencePriority": 1.0},
        "systemPrompt": "Be brief.",
        "includeContext": "none",
        "temperature": 0.5,
        "maxTokens": 100,
        "stopSequences": ["END"],
        "metadata": {"example": true}
    })
}

fn sampling_tools() -> Value {
    let mut request = sampling();
    let messages = request["messages"].as_array_mut().expect("messages");
    messages.push(json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "call-1", "name": "add", "input": {"a": 1, "b": 1}}
    ]}));
    messages.push(json!({"role": "user", "content": [
        {"type": "tool_result", "toolUseId": "call-1", "content": [{"type": "text", "text": "2"}]}
    ]}));
    request["tools"] = json!([{"name": "add", "description": "Adds", "inputSchema": {"type": "object"}}]);
    request["toolChoice"] = json!({"mode": "auto"});
    request
}

fn blocks(version: &ProtocolVersion) -> Value {
    let mut found = vec![
        json!({"type": "text", "text": "Grüße, 漢字 😀\u{2028}\n", "annotations": {"audience": ["user"], "priority": 0.5}}),
        json!({"type": "image", "data": PIXEL, "mimeType": "image/png"}),
        json!({"type": "resource", "resource": {"uri": "memo://text", "mimeType": "text/plain", "text": "hello"}}),
        json!({"type": "resource", "resource": {"uri": "memo://blob", "blob": PIXEL}}),
    ];
    if *version > ProtocolVersion::V_2024_11_05 {
        found.push(json!({"type": "audio", "data": PIXEL, "mimeType": "audio/wav"}));
    }
    if *version >= ProtocolVersion::V_2025_06_18 {
        found
            .push(json!({"type": "resource_link", "name": "text", "uri": "memo://text", "title": "A text", "size": 5}));
    }
    Value::Array(found)
}

fn text(value: impl std::fmt::Display) -> CallToolResponse {
    let result: CallToolResult = complete(json!({"content": [{"type": "text", "text": value.to_string()}]}));
    result.into()
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn required(requests: Value, state: &str) -> CallToolResponse {
    CallToolResponse::InputRequired(InputRequiredResult::new(model(requests), Some(state.to_owned())))
}

impl Golden {
    async fn ask(
        &self,
        name: &str,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        modern: bool,
    ) -> Result<CallToolResponse, ErrorData> {
        let url = json!({"mode": "url", "message": "Please sign in", "url": "https://example.com/sign-in", "elicitationId": "elicitation-1"});
        if modern {
            if let Some(answers) = &request.input_responses {
                return Ok(text(serde_json::to_string(answers).map_err(failed)?));
            }
            let asked = match name {
                "ask_form" => json!({"method": "elicitation/create", "params": elicitation("Who are you?")}),
                "ask_url" => json!({"method": "elicitation/create", "params": url}),
                "sample" => json!({"method": "sampling/createMessage", "params": sampling()}),
                "sample_tools" => json!({"method": "sampling/createMessage", "params": sampling_tools()}),
                _ => json!({"method": "roots/list"}),
            };
            return Ok(required(json!({"asked": asked}), "state"));
        }
        let peer = &context.peer;
        let answer = match name {
            "ask_form" => {
                serde_json::to_value(peer.create_elicitation(model(elicitation("Who are you?"))).await.map_err(failed)?)
            }
            "ask_url" => {
                let given = peer.create_elicitation(model(url)).await.map_err(failed)?;
                let done = CustomNotification::new(
                    "notifications/elicitation/complete",
                    Some(json!({"elicitationId": "elicitation-1"})),
                );
                peer.send_notification(ServerNotification::CustomNotification(done)).await.map_err(failed)?;
                serde_json::to_value(given)
            }
            "sample" => serde_json::to_value(peer.create_message(model(sampling())).await.map_err(failed)?),
            "sample_tools" => serde_json::to_value(peer.create_message(model(sampling_tools())).await.map_err(failed)?),
            _ => serde_json::to_value(peer.list_roots().await.map_err(failed)?),
        };
        Ok(text(answer.map_err(failed)?))
    }

    fn task(&self, name: &str) -> CallToolResponse {
        let name = name.to_owned();
        let options = TaskOptions::new().with_poll_interval_ms(100).with_status_message("begun");
        let task = self.tasks.spawn(options, move |context| {
            Box::pin(async move {
                match name.as_str() {
                    "task_ask" => {
                        let asked = json!({"method": "elicitation/create", "params": elicitation("Who?")});
                        let answer = context.request_input("who", model(asked)).await?;
                        return Ok(complete(json!({"content": [{"type": "text", "text": answer.to_string()}]})));
                    }
                    "task_wait" => {
                        context.cancelled().await;
                        return Err(TaskExit::Cancelled);
                    }
                    "task_fail" => return Err(TaskExit::Error(ErrorData::internal_error("no such luck", None))),
                    _ => pause(250).await,
                }
                Ok(complete(json!({"content": [{"type": "text", "text": "done"}], "structuredContent": {"sum": 3}})))
            })
        });
        CallToolResponse::Task(CreateTaskResult::new(task))
    }
}

impl ServerHandler for Golden {
    fn get_info(&self) -> ServerConfig {
        model(json!({
            "protocolVersion": self.versions.last().filter(|version| !version.has_initialize()).unwrap_or(&ProtocolVersion::V_2025_11_25),
            "capabilities": {
                "tools": {"listChanged": true},
                "prompts": {"listChanged": true},
                "resources": {"listChanged": true, "subscribe": true},
                "completions": {},
                "logging": {},
                "experimental": {"example.com/try": {"on": true}},
                "extensions": {"io.modelcontextprotocol/tasks": {}}
            },
            "serverInfo": {"name": "golden-rmcp", "version": "1.0", "title": "Golden", "websiteUrl": "https://example.com/"},
            "instructions": "Ask me anything."
        }))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(self.versions)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        match request.and_then(|request| request.cursor).as_deref() {
            None => Ok(complete(json!({"tools": [{
                "name": "weather",
                "title": "Weather",
                "description": "Tells the weather",
                "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                "outputSchema": {"type": "object", "properties": {"city": {"type": "string"}, "celsius": {"type": "number"}}},
                "annotations": {"title": "Weather", "readOnlyHint": true},
                "icons": [{"src": "https://example.com/i.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "light"}],
                "_meta": {"example.com/key": "value"}
            }], "nextCursor": "page-2", "ttlMs": 1000, "cacheScope": "public"}))),
            Some("page-2") => {
                let mut tools: Vec<Value> =
                    TOOLS.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
                tools.extend(self.extra.lock().expect("no panic").iter().cloned());
                Ok(complete(json!({"tools": tools})))
            }
            Some(_) => Err(ErrorData::invalid_params("no such page", None)),
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let version = context.protocol_version().unwrap_or(ProtocolVersion::V_2025_11_25);
        let modern = version >= ProtocolVersion::V_2026_07_28;
        let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
        let peer = &context.peer;
        let result: CallToolResult = match &*request.name {
            "content" => complete(json!({"content": blocks(&version)})),
            "weather" => match arguments["city"].as_str() {
                Some(city) => {
                    let found = json!({"city": city, "celsius": 21.5});
                    complete(
                        json!({"content": [{"type": "text", "text": found.to_string()}], "structuredContent": found}),
                    )
                }
                None => {
                    complete(json!({"content": [{"type": "text", "text": "city has to be a string"}], "isError": true}))
                }
            },
            "array" => complete(json!({"content": [], "structuredContent": [1, 2, 3]})),
            "fail" => CallToolResult::error(vec![ContentBlock::text("no such luck")]),
            "mismatch" => {
                return Err(ErrorData::new(ErrorCode::HEADER_MISMATCH, "Mcp-Param-City does not match the body", None));
            }
            "crash" => return Err(failed("a bug")),
            "count" => {
                if let Some(token) = context.meta.get_progress_token() {
                    for step in 1..=3 {
                        let note = json!({"progressToken": token, "progress": f64::from(step) / 2.0, "total": 1.5, "message": format!("step {step}")});
                        peer.notify_progress(model(note)).await.map_err(failed)?;
                    }
                }
                return Ok(text("counted"));
            }
            "wait" => {
                if let Some(token) = context.meta.get_progress_token() {
                    peer.notify_progress(model(json!({"progressToken": token, "progress": 1.0})))
                        .await
                        .map_err(failed)?;
                }
                context.ct.cancelled().await;
                return Ok(text("never seen"));
            }
            "log" => {
                for level in ["info", "error"] {
                    let message = json!({"level": level, "logger": "golden", "data": {"text": level, "n": 1}});
                    peer.notify_logging_message(model(message)).await.map_err(failed)?;
                }
                return Ok(text("logged"));
            }
            "url_required" => {
                let data = json!({"elicitations": [{"mode": "url", "message": "Sign in", "url": "https://example.com/in", "elicitationId": "needed-1"}]});
                return Err(ErrorData::new(ErrorCode(-32042), "Sign in first", Some(data)));
            }
            name @ ("ask_form" | "ask_url" | "sample" | "sample_tools" | "roots") => {
                return self.ask(name, &request, &context, modern).await;
            }
            "all" => {
                return Ok(match request.request_state.as_deref() {
                    None if request.input_responses.is_some() => text("done"),
                    None => required(
                        json!({
                            "who": {"method": "elicitation/create", "params": elicitation("Who?")},
                            "said": {"method": "sampling/createMessage", "params": sampling()},
                            "roots": {"method": "roots/list"}
                        }),
                        "round-1",
                    ),
                    Some("round-1") => {
                        CallToolResponse::InputRequired(InputRequiredResult::from_request_state("round-2"))
                    }
                    Some(_) => CallToolResponse::InputRequired(InputRequiredResult::from_input_requests(model(
                        json!({"sure": {"method": "elicitation/create", "params": elicitation("Sure?")}}),
                    ))),
                });
            }
            "impatient" => {
                let asked = json!({"method": "sampling/createMessage", "params": {
                    "messages": [{"role": "user", "content": {"type": "text", "text": "wait"}}], "maxTokens": 1
                }});
                let mut options = PeerRequestOptions::no_options();
                options.timeout = Some(Duration::from_millis(300));
                let handle = peer
                    .send_request_with_option(ServerRequest::CreateMessageRequest(model(asked)), options)
                    .await
                    .map_err(failed)?;
                let outcome = handle.await_response().await;
                return Ok(text(format!("gave up: {}", outcome.is_err())));
            }
            "ping" => {
                peer.send_request(ServerRequest::PingRequest(Default::default())).await.map_err(failed)?;
                return Ok(text("pong"));
            }
            "change" => {
                let mut extra = self.extra.lock().expect("no panic").clone();
                extra.push(json!({"name": format!("extra_{}", extra.len() + 1), "inputSchema": {"type": "object"}}));
                *self.extra.lock().expect("no panic") = extra;
                if modern {
                    let _ = self.events.send(Event::Changed);
                } else {
                    peer.notify_tool_list_changed().await.map_err(failed)?;
                    peer.notify_prompt_list_changed().await.map_err(failed)?;
                    peer.notify_resource_list_changed().await.map_err(failed)?;
                }
                return Ok(text("changed"));
            }
            "touch" => {
                let uri = arguments["uri"].as_str().unwrap_or_default().to_owned();
                if modern {
                    let _ = self.events.send(Event::Touched(uri));
                } else {
                    peer.notify_resource_updated(model(json!({"uri": uri}))).await.map_err(failed)?;
                }
                return Ok(text("touched"));
            }
            "end_listens" => {
                let _ = self.events.send(Event::End);
                return Ok(text("ended"));
            }
            name if name.starts_with("task") => return Ok(self.task(name)),
            name => return Err(ErrorData::invalid_params(format!("Unknown tool: {name}"), None)),
        };
        Ok(result.into())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)?;
        pause(50).await;
        // The SDK has the notification, but no way to subscribe to it; it goes out on its own.
        let task = self.tasks.get_task(&request.task_id)?;
        let changed = TaskStatusNotification::new(TaskStatusNotificationParams::from(task));
        context.peer.send_notification(ServerNotification::TaskStatusNotification(changed)).await.map_err(failed)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(match request.and_then(|request| request.cursor) {
            None => complete(json!({"resources": [{
                "name": "text", "title": "A text", "uri": "memo://text", "description": "Says hello",
                "mimeType": "text/plain", "size": 5,
                "annotations": {"audience": ["user"], "priority": 1.0, "lastModified": "2025-01-12T15:00:58Z"},
                "_meta": {"example.com/key": 1}
            }], "nextCursor": "page-2"})),
            Some(_) => complete(json!({"resources": [{"name": "blob", "uri": "memo://blob"}]})),
        })
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(complete(
            json!({"resourceTemplates": [{"name": "note", "title": "Note", "uriTemplate": "memo://notes/{id}", "mimeType": "text/plain"}]}),
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = &request.uri;
        let result: ReadResourceResult = match uri.as_str() {
            "memo://text" => complete(
                json!({"contents": [{"uri": uri, "mimeType": "text/plain", "text": "hello"}], "ttlMs": 60000, "cacheScope": "public"}),
            ),
            "memo://blob" => complete(
                json!({"contents": [{"uri": uri, "mimeType": "application/octet-stream", "blob": PIXEL}, {"uri": "memo://blob/1", "text": "a part"}]}),
            ),
            "memo://ask" if request.input_responses.is_none() => {
                let sure = json!({"sure": {"method": "elicitation/create", "params": elicitation("Sure?")}});
                return Ok(ReadResourceResponse::InputRequired(InputRequiredResult::from_input_requests(model(sure))));
            }
            "memo://ask" => complete(json!({"contents": [{"uri": uri, "text": "asked"}]})),
            _ if uri.starts_with("memo://notes/") => complete(json!({"contents": [{"uri": uri, "text": "a note"}]})),
            _ => return Err(ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri})))),
        };
        Ok(result.into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(complete(json!({"prompts": [
            {"name": "greet", "title": "Greeting", "description": "Greets", "arguments": [
                {"name": "name", "title": "Name", "description": "Whom", "required": true}, {"name": "style"}
            ]},
            {"name": "plain"}
        ]})))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name == "ask" && request.input_responses.is_none() {
            let said = json!({"said": {"method": "sampling/createMessage", "params": sampling()}});
            return Ok(GetPromptResponse::InputRequired(InputRequiredResult::new(
                model(said),
                Some("prompt-state".to_owned()),
            )));
        }
        if request.name != "greet" && request.name != "ask" {
            return Err(ErrorData::invalid_params(format!("Unknown prompt: {}", request.name), None));
        }
        let version = context.protocol_version().unwrap_or(ProtocolVersion::V_2025_11_25);
        let mut messages = vec![json!({"role": "user", "content": {"type": "text", "text": "Hello"}})];
        for block in blocks(&version).as_array().into_iter().flatten() {
            messages.push(json!({"role": "assistant", "content": block}));
        }
        let result: GetPromptResult = complete(json!({"description": "A greeting", "messages": messages}));
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Ok(complete(match request.r#ref {
            Reference::Resource(_) => json!({"completion": {"values": ["1", "12"], "total": 120, "hasMore": true}}),
            _ => json!({"completion": {"values": [request.argument.value]}}),
        }))
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        let _ = context.peer.list_roots().await;
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut events = self.events.subscribe();
        let sink = context.sink().clone();
        loop {
            // What the client did not ask for, the sink refuses.
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                event = events.recv() => match event {
                    Ok(Event::Changed) => {
                        let _ = sink.notify_tool_list_changed().await;
                        let _ = sink.notify_prompt_list_changed().await;
                        let _ = sink.notify_resource_list_changed().await;
                    }
                    Ok(Event::Touched(uri)) => {
                        let _ = sink.notify_resource_updated(uri).await;
                    }
                    Ok(Event::End) | Err(_) => return Ok(()),
                },
            }
        }
    }
}
