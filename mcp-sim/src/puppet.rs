//! A peer in place of one of ours: it opens in one of several ways, asks and answers in its [style](Style), keeps no rules.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client_app::answer;
use crate::hostile::Style;
use crate::stage::Stage;
use crate::workload::Call;
use crate::{Cut, Prng, Side, oracle};

/// A peer that is not one of ours.
pub(crate) struct Puppet {
    id: usize,
    side: Side,
    style: Style,
    modern: bool,
    /// The revision that a client of the legacy era begins with.
    version: &'static str,
    opens: Opens,
    next_id: u64,
    input: oracle::Lines,
}

/// How a client begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Opens {
    /// By the handshake.
    #[default]
    Properly,
    /// By the first half of it, and goes on without the second.
    Eagerly,
    /// Not at all: it just asks.
    Not,
}

impl Puppet {
    pub(crate) fn new(id: usize, side: Side, prng: &mut Prng) -> Self {
        let opens = prng.pick(&[Opens::Properly, Opens::Eagerly, Opens::Eagerly, Opens::Not]);
        let (style, modern) = (Style::draw(prng), prng.percent(40));
        let version = prng.pick(&["2025-06-18", "2025-03-26"]);
        Self { id, side, style, modern, version, opens, next_id: 1, input: oracle::Lines::default() }
    }

    pub(crate) fn begin(&mut self, stage: &mut Stage) {
        if self.side == Side::Server || self.modern || self.opens == Opens::Not {
            return;
        }
        let params = json!({
            "protocolVersion": self.version,
            "capabilities": { "elicitation": {}, "roots": {} },
            "clientInfo": { "name": "puppet", "version": "1" },
        });
        let id = self.fresh_id();
        self.say(stage, &json!({ "jsonrpc": "2.0", "id": id, "method": "initialize", "params": params }));
        if self.opens == Opens::Properly {
            self.say(stage, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        }
    }

    /// A client asks. What it gives up, it gives up at once: the same again and again is what makes a flood.
    pub(crate) fn call(&mut self, stage: &mut Stage, tag: &str, call: &Call, times: u32) {
        if self.side == Side::Server {
            return;
        }
        for _ in 0..times {
            let id = self.fresh_id();
            let mut params =
                json!({ "name": "t", "uri": "sim://1", "arguments": call.plan.arguments(tag), "_meta": {} });
            if call.progress {
                params["_meta"]["progressToken"] = id.into();
            }
            if self.modern {
                params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
                params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
            }
            self.say(stage, &json!({ "jsonrpc": "2.0", "id": id, "method": call.method, "params": params }));
            if call.cancel.is_some_and(|after| after < Duration::from_millis(100)) {
                let params = json!({ "requestId": id, "reason": "rapid" });
                self.say(stage, &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
            }
        }
    }

    /// Reads what has arrived, unless it is deaf.
    pub(crate) fn arrive(&mut self, stage: &mut Stage) {
        if self.style == Style::Deaf && !stage.healed {
            return stage.wants(self.id ^ 1, false);
        }
        let (from, now) = (self.id ^ 1, stage.now());
        let mut lines = Vec::new();
        loop {
            let piece = stage.links[from].piece(now, &mut stage.prng).to_vec();
            if piece.is_empty() {
                break;
            }
            stage.links[from].take(piece.len());
            self.input.push(&piece, &mut lines);
        }
        for line in lines {
            if let Ok(message) = serde_json::from_slice::<Value>(&line) {
                self.hear(stage, &message);
            }
        }
        stage.arrange(from);
    }

    /// Whether there is no use in offering it anything.
    pub(crate) fn leave(&mut self, stage: &mut Stage) {
        stage.links[self.id].cut(Cut::Closed);
        stage.arrange(self.id);
        stage.wants(self.id ^ 1, true);
    }

    fn hear(&mut self, stage: &mut Stage, message: &Value) {
        let (Some(method), id) = (message["method"].as_str(), &message["id"]) else { return };
        if id.is_null() {
            return;
        }
        let result = match (method, self.modern) {
            ("server/discover", true) => json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
                "capabilities": { "tools": {}, "resources": { "subscribe": true } },
            }),
            ("server/discover", false) => {
                let error = json!({ "code": -32601, "message": "what?" });
                if self.style == Style::Proper {
                    return self.say(stage, &json!({ "jsonrpc": "2.0", "id": id, "error": error }));
                }
                json!({})
            }
            ("initialize", _) => json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": { "tools": {}, "logging": {} },
                "serverInfo": { "name": "puppet", "version": "1" },
            }),
            ("elicitation/create" | "roots/list" | "sampling/createMessage", _) => answer(method),
            _ => json!({ "resultType": "complete", "content": [] }),
        };
        let reply = json!({ "jsonrpc": "2.0", "id": id, "result": result });
        match self.style {
            Style::Proper | Style::Deaf => self.say(stage, &reply),
            Style::Silent => {}
            Style::Refusing => {
                let error = json!({ "code": -32600, "message": "no" });
                self.say(stage, &json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            }
            Style::Double => {
                self.say(stage, &reply);
                self.say(stage, &reply);
            }
            Style::WrongId => self.say(stage, &json!({ "jsonrpc": "2.0", "id": "nobody's", "result": result })),
            Style::Garbage => self.say(stage, &json!({ "jsonrpc": "2.0", "id": id, "result": result, "error": 7 })),
            Style::Dying => self.leave(stage),
        }
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn say(&self, stage: &mut Stage, message: &Value) {
        stage.inject(self.id ^ 1, message.to_string().as_bytes());
    }
}
