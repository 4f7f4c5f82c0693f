//! A client with everything of the protocol that the SDK can send over stdio.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::*,
    service::{
        ClientLifecycleMode, ClientServiceExt, PeerRequestOptions, RequestContext, RunningService, ServiceError,
    },
    transport::TokioChildProcess,
};
use serde_json::{Value, json};
use tokio::{process::Command, sync::Notify};

use crate::{model, pause};

const URI: &str = "memo://text";

#[derive(Clone)]
struct Asked {
    revision: String,
    capabilities: Value,
    progressed: Arc<Notify>,
}

type Client = RunningService<RoleClient, Asked>;

impl ClientHandler for Asked {
    fn get_info(&self) -> ClientConfig {
        model(json!({
            "protocolVersion": self.revision,
            "capabilities": self.capabilities,
            "clientInfo": {"name": "golden-rmcp-client", "version": "1.0", "title": "Golden client"}
        }))
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let asked = serde_json::to_value(&params).unwrap_or_default();
        if asked.to_string().contains("\"wait\"") {
            context.ct.cancelled().await;
            return Err(ErrorData::internal_error("cancelled", None));
        }
        if let (Some(token), true) = (context.meta.get_progress_token(), self.revision != "2026-07-28") {
            let note = json!({"progressToken": token, "progress": 0.5, "total": 1.0, "message": "thinking"});
            let _ = context.peer.notify_progress(model(note)).await;
        }
        Ok(model(if params.tools.is_some() {
            json!({
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I will add."},
                    {"type": "tool_use", "id": "call-2", "name": "add", "input": {"a": 1, "b": 2}}
                ],
                "model": "golden-model",
                "stopReason": "toolUse"
            })
        } else {
            json!({"role": "assistant", "content": {"type": "text", "text": "3"}, "model": "golden-model", "stopReason": "endTurn"})
        }))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(model(json!({"roots": [{"uri": "file:///tmp/x", "name": "x"}, {"uri": "file:///tmp/y"}]})))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let asked = serde_json::to_value(&request).unwrap_or_default();
        Ok(model(if asked["mode"] == "url" {
            json!({"action": "accept"})
        } else if asked["message"] == "Sure?" {
            json!({"action": "decline"})
        } else {
            json!({"action": "accept", "content": {"name": "Zoë", "age": 42, "subscribed": true, "color": "red"}})
        }))
    }

    async fn on_progress(&self, _: ProgressNotificationParam, _: rmcp::service::NotificationContext<RoleClient>) {
        self.progressed.notify_one();
    }
}

fn report<T>(result: Result<T, ServiceError>) -> Option<T> {
    result.map_err(|error| eprintln!("  refused: {error}")).ok()
}

async fn call(client: &Client, name: &str, arguments: Value) {
    let params = json!({"name": name, "arguments": arguments});
    report(client.call_tool(model(params)).await);
}

fn tool_call(name: &str) -> ClientRequest {
    ClientRequest::CallToolRequest(model(json!({"method": "tools/call", "params": {"name": name, "arguments": {}}})))
}

async fn custom(client: &Client, method: &str, params: Value) {
    report(client.send_request(ClientRequest::CustomRequest(CustomRequest::new(method, Some(params)))).await);
}

pub async fn run(revision: &str, scenario: &str, command: &[String]) -> anyhow::Result<()> {
    let modern = revision == "2026-07-28";
    let version: ProtocolVersion = model(json!(revision));
    let mut capabilities = match scenario {
        "asking" => json!({"roots": {"listChanged": true}, "sampling": {}}),
        "tasks" => json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}),
        _ => json!({}),
    };
    if scenario == "asking" && revision >= "2025-06-18" {
        capabilities["elicitation"] = json!({});
    }
    if scenario == "asking" && revision >= "2025-11-25" {
        capabilities["elicitation"] = json!({"form": {}, "url": {}});
        capabilities["sampling"] = json!({"tools": {}});
    }
    let lifecycle = match scenario {
        "fallback" | "refused" if modern => ClientLifecycleMode::Auto {
            preferred_versions: vec![version],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        },
        _ if modern => ClientLifecycleMode::Discover { preferred_versions: vec![version] },
        _ => ClientLifecycleMode::Initialize,
    };
    let asked = Asked { revision: revision.to_owned(), capabilities, progressed: Arc::new(Notify::new()) };
    let progressed = asked.progressed.clone();
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]);
    let client = match asked.serve_with_lifecycle(TokioChildProcess::new(process)?, lifecycle).await {
        Ok(client) => client,
        Err(error) if scenario == "refused" => {
            eprintln!("  refused: {error}");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    match scenario {
        "tools" => {
            report(client.list_all_tools().await);
            report(client.list_tools(Some(model(json!({"cursor": "no such cursor"})))).await);
            for name in ["content", "array", "fail", "crash", "no_such_tool"] {
                if name != "array" || modern {
                    call(&client, name, json!({})).await;
                }
            }
            call(&client, "weather", json!({"city": "Kraków"})).await;
            call(&client, "weather", json!({"city": 17})).await;
        }
        "resources" => {
            report(client.list_all_resources().await);
            report(client.list_resource_templates(None).await);
            for uri in [URI, "memo://blob", "memo://notes/7", "memo://no/such"] {
                report(client.read_resource(model(json!({"uri": uri}))).await);
            }
            if !modern {
                report(client.subscribe(model(json!({"uri": URI}))).await);
                call(&client, "touch", json!({"uri": URI})).await;
                report(client.unsubscribe(model(json!({"uri": URI}))).await);
            }
        }
        "prompts" => {
            report(client.list_prompts(None).await);
            report(client.get_prompt(model(json!({"name": "greet", "arguments": {"name": "Zoë"}}))).await);
            report(client.get_prompt(model(json!({"name": "no_such_prompt"}))).await);
            report(client.complete_prompt_simple("greet", "style", "s").await);
            report(client.complete_resource_simple("memo://notes/{id}", "id", "1").await);
        }
        "utilities" => {
            if !modern {
                report(client.send_request(ClientRequest::PingRequest(Default::default())).await);
                call(&client, "ping", json!({})).await;
                report(client.set_level(model(json!({"level": "warning"}))).await);
            }
            let logging = json!({"name": "log", "_meta": {"io.modelcontextprotocol/logLevel": "info"}});
            report(client.call_tool(model(if modern { logging } else { json!({"name": "log"}) })).await);
            call(&client, "count", json!({})).await;
            pause(100).await;
            while tokio::time::timeout(Duration::ZERO, progressed.notified()).await.is_ok() {}
            let handle = client.send_cancellable_request(tool_call("wait"), PeerRequestOptions::no_options()).await?;
            progressed.notified().await;
            report(handle.cancel(Some("enough".to_owned())).await);
            let mut options = PeerRequestOptions::no_options();
            options.timeout = Some(Duration::from_millis(300));
            let handle = client.send_cancellable_request(tool_call("wait"), options).await?;
            report(handle.await_response().await);
            if !modern {
                call(&client, "change", json!({})).await;
                report(client.list_all_tools().await);
            }
            custom(&client, "no/such", json!({"a": 1})).await;
        }
        "asking" => {
            let mut names = vec!["roots", "sample"];
            names.extend((revision >= "2025-06-18").then_some("ask_form"));
            if revision >= "2025-11-25" {
                names.extend(["sample_tools", "ask_url", if modern { "all" } else { "url_required" }]);
            }
            for name in names {
                call(&client, name, json!({})).await;
            }
            if modern {
                report(client.read_resource(model(json!({"uri": "memo://ask"}))).await);
                report(client.get_prompt(model(json!({"name": "ask"}))).await);
            } else {
                call(&client, "impatient", json!({})).await;
                report(client.notify_roots_list_changed().await);
                pause(300).await; // the server asks for the roots anew
                call(&client, "fail", json!({})).await;
            }
        }
        "unable" => {
            for name in ["roots", "sample", "sample_tools", "ask_form", "task"] {
                call(&client, name, json!({})).await;
            }
        }
        "listen" => {
            let everything = json!({
                "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": [URI]
            });
            let mut first = client.listen(model(everything)).await?;
            let mut second = client.listen(model(json!({"toolsListChanged": true}))).await?;
            call(&client, "change", json!({})).await;
            call(&client, "touch", json!({"uri": URI})).await;
            call(&client, "touch", json!({"uri": "memo://blob"})).await;
            report(second.cancel().await);
            call(&client, "end_listens", json!({})).await;
            while let Some(event) = first.next().await? {
                eprintln!("  {}", serde_json::to_value(&event)?["method"]);
            }
        }
        "tasks" => {
            for name in ["task", "task_ask", "task_wait", "task_fail"] {
                let params = json!({"name": name, "arguments": {}});
                let Some(CallToolResponse::Task(created)) = report(client.call_tool_once(model(params)).await) else {
                    continue;
                };
                let id = json!({"taskId": created.task.task_id});
                report(client.get_task(model(id.clone())).await);
                if name == "task_ask" {
                    let answers = json!({"who": {"action": "accept", "content": {"name": "Zoë"}}});
                    report(client.update_task(model(json!({"taskId": id["taskId"], "inputResponses": answers}))).await);
                }
                if name == "task_wait" {
                    report(client.cancel_task(model(id.clone())).await);
                }
                pause(400).await;
                report(client.get_task(model(id)).await);
            }
            report(client.get_task(model(json!({"taskId": "no-such-task"}))).await);
            custom(&client, "tasks/list", json!({})).await;
        }
        "errors" => {
            call(&client, "mismatch", json!({})).await;
            report(client.send_request(ClientRequest::PingRequest(Default::default())).await);
            report(client.set_level(model(json!({"level": "info"}))).await);
            report(client.subscribe(model(json!({"uri": URI}))).await);
            report(client.get_task(model(json!({"taskId": "no-such-task"}))).await);
            custom(&client, "no/such", json!({})).await;
        }
        "skills" => {
            let listed = report(client.list_skills(None).await);
            let uri = listed.and_then(|listed| Some(listed.skills.first()?.uri.clone()));
            report(client.get_skill(model(json!({"uri": uri}))).await);
            report(client.get_skill(model(json!({"uri": "skill://no/such/SKILL.md"}))).await);
            report(client.read_resource_directory(model(json!({"uri": "skill://greeting"}))).await);
        }
        _ => {
            report(client.list_all_tools().await);
        }
    }
    client.cancel().await?;
    Ok(())
}
