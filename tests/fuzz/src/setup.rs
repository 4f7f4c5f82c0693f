//! The sides that the targets begin with: which revisions, which capabilities, which limits.

use std::sync::LazyLock;
use std::time::Duration;

use mcp_proto::model::{ClientCapabilities, Implementation, ProtocolVersion, ServerCapabilities};
use mcp_proto::{ClientConfig, Extension, Limits, OwnAnswers, ServerConfig, Start};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::side::Side;

/// A side of either role.
pub(crate) fn any(choices: &mut Choices<'_>) -> Side {
    if choices.one_in(2) { client(choices) } else { server(choices) }
}

fn client(choices: &mut Choices<'_>) -> Side {
    let limits = limits(choices);
    client_within(choices, limits)
}

fn client_within(choices: &mut Choices<'_>, limits: Limits) -> Side {
    let mut config = ClientConfig::new(Implementation::new("client", "1"));
    config.versions = versions(choices);
    if !choices.one_in(8) {
        config.capabilities = TYPED.0.clone();
    }
    if choices.one_in(2) {
        config = config.with_extension(extension()).with_extension(Extension::tasks());
    }
    config.own_answers = own_answers(choices);
    config.limits = limits;
    config.rounds = 3;
    Side::client(config)
}

fn server(choices: &mut Choices<'_>) -> Side {
    let limits = limits(choices);
    let config = server_within(choices, limits);
    let start = if choices.one_in(8) { Start::Assume(config.versions[0]) } else { Start::Handshake };
    Side::server(config, start)
}

/// A client and a server with the same limits, since a longer message than the other side takes is no fault of the core's.
pub(crate) fn pair(choices: &mut Choices<'_>) -> [Side; 2] {
    let limits = limits(choices);
    let client = client_within(choices, limits.clone());
    [client, Side::server(server_within(choices, limits), Start::Handshake)]
}

fn server_within(choices: &mut Choices<'_>, limits: Limits) -> ServerConfig {
    let mut config = ServerConfig::new(Implementation::new("server", "1"));
    config.versions = versions(choices);
    if !choices.one_in(8) {
        config.capabilities = TYPED.1.clone();
    }
    if choices.one_in(2) {
        config = config.with_extension(extension()).with_extension(Extension::tasks());
    }
    config.own_answers = own_answers(choices);
    config.limits = limits;
    config
}

/// Everything that a client can offer, extensions aside.
pub(crate) static CLIENT: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "roots": { "listChanged": true }, "sampling": { "tools": {}, "context": {} },
        "elicitation": { "form": {}, "url": {} },
        "tasks": { "list": {}, "cancel": {},
            "requests": { "sampling": { "createMessage": {} }, "elicitation": { "create": {} } } },
    })
});

/// Everything that a server can offer, extensions aside.
pub(crate) static SERVER: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "tools": { "listChanged": true }, "prompts": { "listChanged": true }, "logging": {}, "completions": {},
        "resources": { "listChanged": true, "subscribe": true },
        "tasks": { "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } },
    })
});

/// The same as types.
static TYPED: LazyLock<(ClientCapabilities, ServerCapabilities)> = LazyLock::new(|| {
    let client = ClientCapabilities::deserialize(&*CLIENT).expect("a client's capabilities");
    (client, ServerCapabilities::deserialize(&*SERVER).expect("a server's capabilities"))
});

fn extension() -> Extension {
    use mcp_proto::model::Sender;
    Extension::new("vendor/x")
        .method("vendor/do", Sender::Client)
        .method("notifications/vendor/x", Sender::Server)
        .result_type("vendor")
        .filter_field("vendor")
}

fn versions(choices: &mut Choices<'_>) -> Vec<ProtocolVersion> {
    use ProtocolVersion::{V2024_11_05, V2025_03_26, V2025_11_25, V2026_07_28};
    let sets: [&[ProtocolVersion]; 6] = [
        &ProtocolVersion::ALL,
        &ProtocolVersion::LEGACY,
        &[V2026_07_28],
        &[V2025_11_25],
        &[V2025_03_26],
        &[V2024_11_05, V2026_07_28],
    ];
    sets[choices.below(6)].to_vec()
}

/// Whether the application is shown what the connection answers itself.
fn own_answers(choices: &mut Choices<'_>) -> OwnAnswers {
    if choices.one_in(4) { OwnAnswers::Shown } else { OwnAnswers::AtOnce }
}

/// Small ones, so that they are met; or middling ones, so that everything else is.
fn limits(choices: &mut Choices<'_>) -> Limits {
    let is_small = choices.one_in(2);
    let mut limits = Limits::default();
    (limits.frame, limits.output, limits.events) = if is_small { (4000, 3000, 3000) } else { (20_000, 50_000, 50_000) };
    (limits.inbound_requests, limits.outbound_requests) = if is_small { (3, 4) } else { (20, 20) };
    (limits.subscriptions, limits.subscribed_uris, limits.tasks) = if is_small { (2, 2, 2) } else { (10, 10, 10) };
    limits.strikes = if is_small { 10 } else { 1000 };
    limits.drain = Duration::from_secs(5);
    limits
}
