//! A server that a test plays: it shakes hands in one revision, then answers as the test says.
#![allow(dead_code, reason = "every test binary uses its part")]

use std::sync::{Arc, Mutex};

use mcp::{Client, ClientBuilder, ProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::compat::{FuturesAsyncReadCompatExt, FuturesAsyncWriteCompatExt};

use super::{soon, until};

/// A server that a test plays.
pub(crate) struct Scripted {
    version: ProtocolVersion,
    capabilities: Value,
    instructions: Option<String>,
    buffer: usize,
}

/// The other side of a client that is connected to it.
#[derive(Clone)]
pub(crate) struct Stage {
    heard: Arc<Mutex<Vec<Value>>>,
    say: UnboundedSender<Option<Value>>,
}

/// Everything that a server can declare.
pub(crate) fn all_capabilities() -> Value {
    json!({
        "completions": {},
        "logging": {},
        "prompts": { "listChanged": true },
        "resources": { "subscribe": true, "listChanged": true },
        "tools": { "listChanged": true },
        "tasks": { "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } },
        "extensions": { "io.modelcontextprotocol/tasks": {} },
    })
}

impl Scripted {
    /// One that declares everything.
    pub(crate) fn new(version: ProtocolVersion) -> Self {
        Self { version, capabilities: all_capabilities(), instructions: None, buffer: 64 * 1024 }
    }

    pub(crate) fn capabilities(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    pub(crate) fn instructions(mut self, instructions: &str) -> Self {
        self.instructions = Some(instructions.to_owned());
        self
    }

    /// How many bytes either side may be ahead.
    pub(crate) fn buffer(mut self, buffer: usize) -> Self {
        self.buffer = buffer;
        self
    }

    /// Connects a client. `answer` is called with each message after the handshake, and says what to send.
    pub(crate) async fn connect(
        self,
        client: ClientBuilder,
        answer: impl FnMut(&Value) -> Vec<Value> + Send + 'static,
    ) -> (Client, Stage) {
        let (client, stage) = self.try_connect(client, answer).await;
        (client.expect("the handshake succeeds"), stage)
    }

    /// The same, whatever comes of it.
    pub(crate) async fn try_connect(
        self,
        client: ClientBuilder,
        mut answer: impl FnMut(&Value) -> Vec<Value> + Send + 'static,
    ) -> (mcp::Result<Client>, Stage) {
        let (here, there) = mcp::memory::duplex(self.buffer);
        let (reader, writer) = there.into_split();
        let (say, mut said) = unbounded_channel::<Option<Value>>();
        let stage = Stage { heard: Arc::default(), say: say.clone() };
        tokio::spawn(async move {
            let mut writer = writer.compat_write();
            while let Some(Some(message)) = said.recv().await {
                if writer.write_all(format!("{message}\n").as_bytes()).await.is_err() {
                    break;
                }
            }
        });
        let heard = Arc::clone(&stage.heard);
        tokio::spawn(async move {
            let mut lines = BufReader::new(reader.compat()).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let message: Value = serde_json::from_str(&line).expect("a message");
                let answers = match self.shake_hands(&message) {
                    Some(answer) => answer,
                    None => {
                        heard.lock().expect("no panic").push(message.clone());
                        answer(&message)
                    }
                };
                // The test may be over.
                answers.into_iter().for_each(|answer| drop(say.send(Some(answer))));
            }
        });
        let (reader, writer) = here.into_split();
        (soon(mcp_tokio::connect_stream(reader, writer, client)).await, stage)
    }

    fn shake_hands(&self, message: &Value) -> Option<Vec<Value>> {
        let info = json!({ "name": "scripted", "version": "7" });
        let is_modern = self.version == ProtocolVersion::V2026_07_28;
        let result = match message["method"].as_str()? {
            "server/discover" if message["params"]["again"].is_null() && is_modern => {
                let mut result = json!({
                    "resultType": "complete",
                    "supportedVersions": [self.version.as_str()],
                    "capabilities": self.capabilities,
                    "ttlMs": 0,
                    "cacheScope": "private",
                    "_meta": { "io.modelcontextprotocol/serverInfo": info },
                });
                if let Some(instructions) = &self.instructions {
                    result["instructions"] = json!(instructions);
                }
                result
            }
            "initialize" if !is_modern => {
                let mut result = json!({ "protocolVersion": self.version.as_str(), "capabilities": self.capabilities,
                    "serverInfo": info });
                if let Some(instructions) = &self.instructions {
                    result["instructions"] = json!(instructions);
                }
                result
            }
            "server/discover" | "initialize" => return Some(vec![error(message, -32601, "no such method")]),
            "notifications/initialized" => return Some(Vec::new()),
            _ => return None,
        };
        Some(vec![json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })])
    }
}

impl Stage {
    /// Sends a message.
    pub(crate) fn say(&self, message: Value) {
        self.say.send(Some(message)).expect("the server is there");
    }

    /// Ends what the server sends.
    pub(crate) fn end(&self) {
        self.say.send(None).expect("the server is there");
    }

    /// Everything heard since the handshake.
    pub(crate) fn heard(&self) -> Vec<Value> {
        self.heard.lock().expect("no panic").clone()
    }

    /// What was heard of one method.
    pub(crate) fn heard_of(&self, method: &str) -> Vec<Value> {
        self.heard().into_iter().filter(|message| message["method"] == method).collect()
    }

    /// Waits until so many messages of a method were heard, and gives them.
    #[track_caller]
    pub(crate) fn hears(&self, method: &'static str, many: usize) -> impl Future<Output = Vec<Value>> {
        let waiting = until({
            let stage = self.clone();
            move || stage.heard_of(method).len() >= many
        });
        let stage = self.clone();
        async move {
            waiting.await;
            stage.heard_of(method)
        }
    }
}

/// The answer to a request.
pub(crate) fn result(request: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
}

/// The error that answers a request.
pub(crate) fn error(request: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": message } })
}

/// A notification.
pub(crate) fn note(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

/// A notification on the subscription that this request opened.
pub(crate) fn on(listen: &Value, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({ "io.modelcontextprotocol/subscriptionId": listen["id"] });
    note(method, params)
}

/// The first message on a subscription: this much is granted.
pub(crate) fn acknowledge(listen: &Value, granted: Value) -> Value {
    on(listen, "notifications/subscriptions/acknowledged", json!({ "notifications": granted }))
}
