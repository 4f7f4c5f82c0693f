//! A tool whose schema uses what JSON Schema 2020-12 has, all of which must reach the client.

use mcp::{Server, Tool};
use serde_json::{Map, Value, json};

pub(crate) fn offer(server: Server) -> Server {
    let tool = Tool::new(
        "json_schema_2020_12_tool",
        "Tool with JSON Schema 2020-12 features for conformance testing (SEP-1613)",
        async |args: Map<String, Value>| format!("JSON Schema 2020-12 tool called with: {}", Value::Object(args)),
    );
    server.tool(tool.input_schema(schema()))
}

fn schema() -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let requires = |name: &str| json!({ "required": [name] });
    let members = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": text(), "city": text() },
            },
        },
        "properties": {
            "name": text(),
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": text(),
            "email": text(),
        },
        "allOf": [{ "anyOf": [requires("phone"), requires("email")] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": requires("phone"),
        "else": requires("email"),
        "additionalProperties": false,
    });
    match members {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
