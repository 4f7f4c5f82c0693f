//! The scenarios that the official conformance suite plays with a client, by its names for them. They are the same over any
//! transport; those that are about one transport or about authorization are not here.

use std::pin::Pin;

use mcp::Client;
use serde_json::json;

use crate::connect::Outcome;

type Playing<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;
pub(crate) type Scenario = fn(&Client) -> Playing<'_>;

const SCENARIOS: [(&str, Scenario); 8] = [
    ("initialize", |client| Box::pin(basic(client))),
    ("tools_call", |client| Box::pin(basic(client))),
    ("tools-call", |client| Box::pin(basic(client))),
    ("request-metadata", |client| Box::pin(list(client))),
    ("json-schema-ref-no-deref", |client| Box::pin(list(client))),
    ("json-schema-2020-12-preservation", |client| Box::pin(preserve(client))),
    ("elicitation-sep1034-client-defaults", |client| Box::pin(defaults(client))),
    ("sep-2322-client-request-state", |client| Box::pin(request_state(client))),
];

pub(crate) fn find(name: &str) -> Option<Scenario> {
    SCENARIOS.iter().find(|(known, _)| *known == name).map(|(_, scenario)| *scenario)
}

pub(crate) fn names() -> String {
    SCENARIOS.map(|(name, _)| name).join(", ")
}

/// Lists the tools, if there are any, and calls the first.
async fn basic(client: &Client) -> Outcome {
    if client.has_tools()
        && let Some(tool) = client.list_tools().await?.first()
    {
        client.call_tool(&tool.name, json!({ "a": 2, "b": 3 })).await?;
    }
    Ok(())
}

/// Lists the tools, if there are any. Whatever a schema refers to is left where it is.
async fn list(client: &Client) -> Outcome {
    if client.has_tools() {
        client.list_tools().await?;
    }
    Ok(())
}

/// Sends a schema back as it came, which tells whether anything was lost on the way.
async fn preserve(client: &Client) -> Outcome {
    let tools = client.list_tools().await?;
    let tool = tools.iter().find(|tool| tool.name == "json_schema_2020_12_tool").ok_or("there is no such tool")?;
    client.call_tool("json_schema_echo", json!({ "schema": tool.input_schema })).await?;
    Ok(())
}

/// The server asks by a form whose fields all have defaults; the callback takes them.
async fn defaults(client: &Client) -> Outcome {
    client.list_tools().await?;
    let result = client.call_tool("test_client_elicitation_defaults", ()).await?;
    if result.is_error() { Err(result.joined_text().into()) } else { Ok(()) }
}

/// Questions instead of answers: the state comes back as it was given, and to nobody else.
async fn request_state(client: &Client) -> Outcome {
    client.list_tools().await?;
    client.call_tool("test_mrtr_echo_state", ()).await?;
    client.call_tool("test_mrtr_unrelated", ()).await?;
    client.call_tool("test_mrtr_no_state", ()).await?;
    client.call_tool("test_mrtr_no_result_type", ()).await?;
    Ok(())
}
