//! The scenarios that the official conformance suite plays with a client, by its names for them. They are the same over any
//! transport, even those that are about what only HTTP has. Those about authorization are not here.

use std::pin::Pin;

use mcp::Client;
use serde_json::{Map, Value, json};

use crate::connect::Outcome;
use crate::transcript::check;

type Playing<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Plays one with what the suite tells of it, which is empty for most.
pub(crate) type Scenario = for<'a> fn(&'a Client, &'a str) -> Playing<'a>;

const SCENARIOS: [(&str, Scenario); 12] = [
    ("initialize", |client, _| Box::pin(basic(client))),
    ("tools_call", |client, _| Box::pin(basic(client))),
    ("tools-call", |client, _| Box::pin(basic(client))),
    ("request-metadata", |client, _| Box::pin(list(client))),
    ("json-schema-ref-no-deref", |client, _| Box::pin(list(client))),
    ("json-schema-2020-12-preservation", |client, _| Box::pin(preserve(client))),
    ("elicitation-sep1034-client-defaults", |client, _| Box::pin(defaults(client))),
    ("sse-retry", |client, _| Box::pin(reconnect(client))),
    ("sep-2322-client-request-state", |client, _| Box::pin(request_state(client))),
    ("http-standard-headers", |client, _| Box::pin(standard_headers(client))),
    ("http-custom-headers", |client, context| Box::pin(custom_headers(client, context))),
    ("http-invalid-tool-headers", |client, _| Box::pin(call_all(client))),
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

/// The server ends the stream of the call, and answers on the one by which the client comes back.
async fn reconnect(client: &Client) -> Outcome {
    client.list_tools().await?;
    let result = client.call_tool("test_reconnection", ()).await?;
    check(result.joined_text().contains("completed"), "another answer than the one that was waited for")
}

/// Each method whose requests have a name in their headers, and the lists that these come from.
async fn standard_headers(client: &Client) -> Outcome {
    for tool in client.list_tools().await? {
        client.call_tool(&tool.name, ()).await?;
    }
    for resource in client.list_resources().await? {
        client.read_resource(&resource.uri).await?;
    }
    for prompt in client.list_prompts().await? {
        client.get_prompt(&prompt.name, None::<(&str, &str)>).await?;
    }
    Ok(())
}

/// Calls what the suite says, after the tools have told which arguments go into headers.
async fn custom_headers(client: &Client, context: &str) -> Outcome {
    let context: Value = serde_json::from_str(context)?;
    let calls = context["toolCalls"].as_array().ok_or("the context has no toolCalls")?;
    client.list_tools().await?;
    for call in calls {
        let name = call["name"].as_str().ok_or("a call without a name")?;
        client.call_tool(name, call["arguments"].clone()).await?;
    }
    Ok(())
}

/// Calls every tool of the list; those whose schema breaks the rules of headers are not in it.
async fn call_all(client: &Client) -> Outcome {
    for tool in client.list_tools().await? {
        let required = tool.input_schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let arguments = required.filter_map(Value::as_str).map(|name| (name.to_owned(), json!("any")));
        client.call_tool(&tool.name, arguments.collect::<Map<_, _>>()).await?;
    }
    Ok(())
}
