//! What a side is, read from what it said of itself.

use mcp_proto::model::{
    DiscoverResult, Era, Implementation, InitializeParams, InitializeResult, LoggingLevel, UnsupportedVersionData,
    meta_key,
};
use mcp_proto::{ClientConfig, Extension, ProtocolVersion, ServerConfig};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::session::{Session, Side};

/// The recorded server. What it never said is what the recorded peers offer.
pub(crate) fn server(session: &Session) -> ServerConfig {
    let mut config = ServerConfig::new(Implementation::new("not recorded", "0"));
    config.capabilities = read(&json!({
        "tools": {"listChanged": true}, "prompts": {"listChanged": true}, "logging": {}, "completions": {},
        "resources": {"subscribe": true, "listChanged": true},
    }))
    .unwrap();
    // Until the client chooses, the recorded servers log everything.
    config.log_level = LoggingLevel::Debug;
    let answers = || session.messages(Side::Server);
    if let Some(info) = answers().find_map(|answer| read(answer["result"]["_meta"].get(meta_key::SERVER_INFO)?)) {
        config.info = info;
    }
    let (mut legacy, mut modern) = (false, answers().any(|answer| answer.pointer("/result/resultType").is_some()));
    let mut told =
        answers().find_map(|answer| read::<UnsupportedVersionData>(&answer["error"]["data"])).map(|it| it.supported);
    for answer in answers() {
        if let Some(result) = read::<InitializeResult>(&answer["result"]) {
            legacy = true;
            config.info = result.server_info;
            config.capabilities = result.capabilities;
            config.instructions = result.instructions;
        }
        if let Some(result) = read::<DiscoverResult>(&answer["result"]) {
            told = Some(result.supported_versions);
            config.capabilities = result.capabilities;
            config.instructions = result.instructions;
        }
    }
    modern |= !legacy && answers().all(|answer| answer.get("error").is_none());
    config.versions = match told {
        Some(told) => told.iter().filter_map(|version| version.parse().ok()).collect(),
        None => versions(!modern, modern, ProtocolVersion::V2025_11_25),
    };
    config.extensions = extensions(config.capabilities.extensions.as_ref());
    config
}

/// The recorded client.
pub(crate) fn client(session: &Session) -> ClientConfig {
    let mut config = ClientConfig::new(Implementation::new("not recorded", "0"));
    let requests = || session.messages(Side::Client);
    let stamped = requests().find_map(|request| {
        let meta = request.pointer("/params/_meta")?;
        Some((meta.get(meta_key::CLIENT_INFO).and_then(read), read(meta.get(meta_key::CLIENT_CAPABILITIES)?)?))
    });
    if let Some((info, capabilities)) = stamped {
        let info: Option<Implementation> = info;
        config.info = info.unwrap_or(config.info);
        config.capabilities = capabilities;
    }
    // Behind the probe, if there is one; what comes later is no handshake.
    let is_probe = |request: &&Value| request["method"] == "server/discover";
    let probes = requests().next().as_ref().is_some_and(is_probe);
    let handshake = requests().find(|request| !is_probe(request)).filter(|request| request["method"] == "initialize");
    let mut newest = ProtocolVersion::V2025_11_25;
    if let Some(params) = handshake.and_then(|request| read::<InitializeParams>(&request["params"])) {
        newest = params.protocol_version.parse().unwrap_or(newest);
        config.info = params.client_info;
        config.capabilities = params.capabilities;
    }
    config.versions = versions(handshake.is_some(), handshake.is_none() || probes, newest);
    config.extensions = extensions(config.capabilities.extensions.as_ref());
    config
}

/// Of the extensions that a side declares, those with rules of their own. The one for skills has none: the recorded clients use
/// it without declaring it.
fn extensions(declared: Option<&Map<String, Value>>) -> Vec<Extension> {
    let tasks = Extension::tasks();
    let has_tasks = declared.is_some_and(|declared| declared.contains_key(&tasks.id));
    if has_tasks { vec![tasks] } else { Vec::new() }
}

fn versions(legacy: bool, modern: bool, newest: ProtocolVersion) -> Vec<ProtocolVersion> {
    let speaks = |version: &ProtocolVersion| match version.era() {
        Era::Legacy => legacy && *version <= newest,
        Era::Modern => modern,
    };
    ProtocolVersion::ALL.into_iter().filter(speaks).collect()
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}
