//! The client: what it is asked, what it hears, and how it connects.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rmcp::model::*;
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, RequestContext, RunningService};
use rmcp::transport::{IntoTransport, StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ErrorData, RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Notify;

use crate::{model, steps};

pub type Client = RunningService<RoleClient, Arc<Heard>>;

/// What the server asked, and said of its own accord.
#[derive(Default)]
pub struct Heard {
    pub revision: String,
    pub pinned: bool,
    pub news: Notify,
    pub notes: Mutex<Notes>,
}

#[derive(Default)]
pub struct Notes {
    pub logs: Vec<Value>,
    pub updates: Vec<String>,
    pub changes: BTreeSet<&'static str>,
    pub progress: Vec<Value>,
    pub forms: Vec<Value>,
    pub pages: Vec<Value>,
}

impl Heard {
    fn note(&self, write: impl FnOnce(&mut Notes)) {
        write(&mut self.notes.lock().expect("no panic under it"));
        self.news.notify_one();
    }

    /// Waits until what was heard is enough.
    pub async fn until<T>(&self, mut enough: impl FnMut(&Notes) -> Option<T>) -> T {
        loop {
            if let Some(found) = enough(&self.notes.lock().expect("no panic under it")) {
                return found;
            }
            self.news.notified().await;
        }
    }

    pub fn modern(&self) -> bool {
        self.revision == "2026-07-28"
    }
}

impl ClientHandler for Heard {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = json!({"roots": {}, "sampling": {}});
        if self.revision.as_str() >= "2025-11-25" {
            capabilities["elicitation"] = json!({"form": {}, "url": {}});
        } else if self.revision.as_str() >= "2025-06-18" {
            capabilities["elicitation"] = json!({});
        }
        let info = json!({"name": "interop-rmcp-client", "version": "1.0"});
        let mut config = ClientConfig::new(model(capabilities), model(info));
        if self.pinned {
            config.protocol_version = model(json!(self.revision));
        }
        config
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let asked = serde_json::to_value(&params).unwrap_or_default();
        if asked["systemPrompt"] != "Be brief." || asked["maxTokens"] != 100 {
            return Err(ErrorData::invalid_params(format!("asked differently: {asked}"), None));
        }
        // One block, which the SDK holds as a list of one.
        let content = &asked["messages"][0]["content"];
        let content = if content.is_array() { &content[0] } else { content };
        let said = format!("You said {}", content["text"].as_str().unwrap_or_default());
        Ok(model(json!({
            "role": "assistant",
            "content": {"type": "text", "text": said},
            "model": "interop-model",
            "stopReason": "endTurn"
        })))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(model(json!({"roots": [{"uri": "file:///interop/one", "name": "One"}, {"uri": "file:///interop/two"}]})))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let asked = serde_json::to_value(&request).unwrap_or_default();
        if asked["mode"] == "url" {
            self.note(|notes| notes.pages.push(asked["url"].clone()));
            return Ok(model(json!({"action": "accept"})));
        }
        self.note(|notes| notes.forms.push(asked["requestedSchema"]["properties"].clone()));
        Ok(model(if asked["message"] == "accept" {
            json!({"action": "accept", "content": {"ok": true, "name": "Ada"}})
        } else {
            json!({"action": asked["message"]})
        }))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.note(|notes| notes.progress.push(json!([params.progress, params.total, params.message])));
    }

    async fn on_logging_message(&self, params: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        self.note(|notes| notes.logs.push(json!([params.level, params.data])));
    }

    async fn on_resource_updated(&self, params: ResourceUpdatedNotificationParam, _: NotificationContext<RoleClient>) {
        self.note(|notes| notes.updates.push(params.uri));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note(|notes| notes.changes.extend(["tools"]));
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note(|notes| notes.changes.extend(["resources"]));
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note(|notes| notes.changes.extend(["prompts"]));
    }
}

pub async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let ["--revision", revision, "--how", how, "--steps", names, command, arguments @ ..] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        anyhow::bail!("client --revision REVISION --how HOW --steps NAMES COMMAND ... | --http URL")
    };
    let heard = Arc::new(Heard { revision: (*revision).to_owned(), pinned: *how == "pinned", ..Heard::default() });
    let client = match (*command, arguments) {
        ("--http", [url]) => connect(heard, how, StreamableHttpClientTransport::from_uri(*url)).await?,
        _ => {
            let mut process = Command::new(command);
            process.args(arguments);
            connect(heard, how, TokioChildProcess::new(process)?).await?
        }
    };
    let failed = steps::take(&client, &names.split(',').collect::<Vec<_>>()).await;
    client.cancel().await?;
    anyhow::ensure!(failed == 0, "{failed} steps failed");
    Ok(())
}

async fn connect<E, A>(
    heard: Arc<Heard>,
    how: &str,
    transport: impl IntoTransport<RoleClient, E, A>,
) -> anyhow::Result<Client>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let version: ProtocolVersion = model(json!(heard.revision));
    Ok(match how {
        // The SDK's own default: a handshake with its newest revision of that era.
        "default" => heard.serve(transport).await?,
        "auto" => {
            let lifecycle = ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: None,
            };
            heard.serve_with_lifecycle(transport, lifecycle).await?
        }
        _ if heard.modern() => {
            let lifecycle = ClientLifecycleMode::Discover { preferred_versions: vec![version] };
            heard.serve_with_lifecycle(transport, lifecycle).await?
        }
        _ => heard.serve_with_lifecycle(transport, ClientLifecycleMode::Initialize).await?,
    })
}
