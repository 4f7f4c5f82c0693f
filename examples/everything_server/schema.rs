//! Tools whose schemas say more than most: what JSON Schema 2020-12 has, all of which must reach the client, and an argument that
//! is sent as a header as well.

use mcp::{Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize, JsonSchema)]
struct Located {
    /// Where to run it; over HTTP also in the header `Mcp-Param-Region`, for whoever stands in between.
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
}

pub(crate) fn offer(server: Server) -> Server {
    let tool = Tool::new(
        "json_schema_2020_12_tool",
        "Tool with JSON Schema 2020-12 features for conformance testing (SEP-1613)",
        async |args: Map<String, Value>| format!("JSON Schema 2020-12 tool called with: {}", Value::Object(args)),
    );
    server.tool(tool.input_schema(schema())).tool(Tool::new(
        "test_header_parameter",
        "Takes an argument that is sent as a header as well (SEP-2243)",
        async |args: Located| format!("Run in {}", args.region),
    ))
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
