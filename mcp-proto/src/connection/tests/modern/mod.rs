//! The modern era (specification 2026-07-28), in virtual time: no handshake, every request on its own terms.

mod client;
mod extensions;
mod lifecycle;
mod requests;
mod rounds;
mod subscriptions;

use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use serde_json::{Value, json};

use super::harness::*;
use crate::connection::{
    CallOptions, ClientConfig, InboundId, InputRequired, OutboundId, RequestError, RespondError, ResultKind,
    ServerConfig,
};
use crate::jsonrpc::Body;
use crate::model::{Capability, ClientCapabilities, Era, ProtocolVersion, meta_key};

use ProtocolVersion::V2026_07_28;

/// Deadlines may be rounded up by as much as this.
const SLACK: std::time::Duration = std::time::Duration::from_millis(65);
const MILLI: std::time::Duration = std::time::Duration::from_millis(1);

const fn secs(secs: u64) -> std::time::Duration {
    std::time::Duration::from_secs(secs)
}

/// A client that speaks both eras.
fn dual_client() -> ClientConfig {
    let mut config = client_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    config
}

/// A client that speaks nothing but the modern era.
fn modern_client_config() -> ClientConfig {
    let mut config = client_config();
    config.versions = [V2026_07_28].to_vec();
    config
}

/// A server that speaks both eras and offers everything.
fn dual_server() -> ServerConfig {
    let mut config = server_config();
    config.versions = ProtocolVersion::ALL.to_vec();
    config
}

/// A server that speaks nothing but the modern era and offers everything.
fn modern_server() -> ServerConfig {
    let mut config = server_config();
    config.versions = [V2026_07_28].to_vec();
    config
}

/// What a server with these revisions answers to `server/discover`.
fn discovered(id: &Value, versions: &[&str]) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {
        "resultType": "complete", "supportedVersions": versions, "ttlMs": 0, "cacheScope": "private",
        "capabilities": {"tools": {}, "prompts": {}, "logging": {}, "completions": {}, "resources": {"subscribe": true}},
        "_meta": {meta_key::SERVER_INFO: {"name": "s", "version": "1"}},
    }})
}

/// A client whose probe has found a server of the modern era that offers everything.
fn modern_client(tweak: impl FnOnce(&mut ClientConfig)) -> Node {
    let mut config = dual_client();
    tweak(&mut config);
    let mut node = Node::client(config);
    let asked = node.frames();
    assert_eq!(asked[0]["method"], "server/discover");
    node.tell(&discovered(&asked[0]["id"], &["2026-07-28"]));
    assert_eq!(kinds(&node.events()), ["ready"]);
    assert_eq!(node.conn.era(), Some(Era::Modern));
    assert!(node.frames().is_empty(), "the modern era has no handshake");
    node
}

/// The `_meta` of a client with these capabilities.
fn meta_of(capabilities: &Value) -> Value {
    json!({
        meta_key::PROTOCOL_VERSION: "2026-07-28",
        meta_key::CLIENT_CAPABILITIES: capabilities,
        meta_key::CLIENT_INFO: {"name": "c", "version": "1"},
    })
}

/// A request of the modern era from a client with these capabilities.
fn modern_with(id: &Value, method: &str, mut params: Value, capabilities: &Value) -> Value {
    params["_meta"] = meta_of(capabilities);
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A request of the modern era from a client without capabilities.
fn modern(id: i64, method: &str, params: Value) -> Value {
    modern_with(&json!(id), method, params, &json!({}))
}

/// The answer to the request that was just told, from a node that has nothing else to say.
fn answer(node: &mut Node) -> Value {
    let mut frames = node.frames();
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames.remove(0)
}

/// The code of the error that is the only thing a node has to say, and that answers `id`.
fn refused(node: &mut Node, id: &Value) -> i64 {
    let frame = answer(node);
    assert_eq!(&frame["id"], id, "{frame}");
    frame["error"]["code"].as_i64().unwrap_or_else(|| panic!("an error: {frame}"))
}

/// How the one call that has ended ended, with the type of its result.
fn take_end(node: &mut Node) -> (OutboundId, Result<(ResultKind, Value), RequestError>) {
    let mut found = None;
    for event in node.events() {
        if let crate::connection::Event::Response { id, result } = event {
            let result = result.map(|(kind, message)| (kind, message.result().unwrap().decode().unwrap()));
            assert!(found.replace((id, result)).is_none(), "one response");
        }
    }
    found.expect("a response")
}

impl Node {
    fn supply(&mut self, id: OutboundId, answers: &[(&str, Value)]) -> Result<(), RespondError> {
        let answers: BTreeMap<String, Body> =
            answers.iter().map(|(key, value)| ((*key).into(), result(value))).collect();
        self.step(|conn, now| conn.supply_input(now, id, &answers))
    }

    fn require(
        &mut self,
        id: InboundId,
        questions: &[(&str, &str, Value)],
        state: Option<&str>,
    ) -> Result<(), RespondError> {
        let question = |(key, method, params): &(&str, &str, Value)| (String::from(*key), body(method, params));
        let input =
            InputRequired { requests: questions.iter().map(question).collect(), state: state.map(String::from) };
        let sent = self.step(|conn, now| conn.require_input(now, id, &input));
        if sent == Err(RespondError::PeerLacks) {
            return self.answered(id, Ok(())).and(sent);
        }
        self.answered(id, sent)
    }
}

/// The params of a form.
fn form() -> Value {
    json!({"message": "name?", "requestedSchema": {"type": "object", "properties": {"n": {"type": "string"}}}})
}

impl Pair {
    /// Runs until the client has found a server of the modern era.
    fn run_ready(mut self) -> Self {
        let mut ready = false;
        let on_client = |_: &mut Node, event| {
            assert!(matches!(event, crate::connection::Event::Ready { era: Era::Modern, .. }), "{event:?}");
            ready = true;
        };
        self.run(on_client, |_, event| panic!("{event:?}"));
        assert!(ready);
        self
    }
}
