//! Structured output of every shape, held against the schema that the tool is listed with.

mod common;

use std::collections::BTreeMap;

use common::soon;
use mcp::{Client, Json, ProtocolVersion, Server, Tool, ToolOutput};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

#[derive(Clone, Serialize, JsonSchema)]
struct Plain {
    name: String,
    /// Bounded by its type.
    byte: u8,
    maybe: Option<i64>,
    list: Vec<Option<bool>>,
    map: BTreeMap<String, f64>,
    nested: Option<Box<Plain2>>,
    /// Anything.
    any: Value,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Plain2 {
    pair: (u16, String),
}

#[derive(Clone, Serialize, JsonSchema)]
enum Choice {
    First,
    Second,
}

#[derive(Clone, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Tagged {
    Circle { radius: f64 },
    Nothing,
}

/// What another language writes as `A | B | C`.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(untagged)]
enum OneOfMany {
    Number(i64),
    Text(String),
    Object { a: bool },
    List(Vec<u8>),
}

fn plain() -> Plain {
    Plain {
        name: "n".into(),
        byte: 255,
        maybe: None,
        list: vec![Some(true), None],
        map: BTreeMap::from([("half".into(), 0.5)]),
        nested: Some(Box::new(Plain2 { pair: (1, "one".into()) })),
        any: json!({ "x": [null] }),
    }
}

/// Whether a value fits a schema, as far as the keywords go that are generated here; any other keyword is a fault of the test.
fn fits(value: &Value, schema: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema == &Value::Bool(true) };
    keywords.iter().all(|(keyword, rule)| keyword_holds(value, keywords, keyword, rule))
}

fn keyword_holds(value: &Value, keywords: &Map<String, Value>, keyword: &str, rule: &Value) -> bool {
    let schemas = || rule.as_array().expect("an array of schemas").iter();
    let at_least = |size: usize| size as u64 >= rule.as_u64().expect("a size");
    match keyword {
        "description" | "default" => true,
        "type" => match rule {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(value, kind)),
            kind => is_of(value, kind),
        },
        "const" => value == rule,
        "enum" => schemas().any(|allowed| allowed == value),
        "anyOf" => schemas().any(|schema| fits(value, schema)),
        "oneOf" => schemas().filter(|schema| fits(value, schema)).count() == 1,
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a number")),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().expect("a number")),
        "required" => value
            .as_object()
            .is_none_or(|members| schemas().all(|key| members.contains_key(key.as_str().expect("a key")))),
        "properties" => value.as_object().is_none_or(|members| {
            let properties = rule.as_object().expect("an object of schemas");
            members.iter().all(|(key, member)| properties.get(key).is_none_or(|schema| fits(member, schema)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let known = keywords.get("properties").and_then(Value::as_object);
            members.iter().all(|(key, member)| known.is_some_and(|known| known.contains_key(key)) || fits(member, rule))
        }),
        "prefixItems" => {
            value.as_array().is_none_or(|items| schemas().zip(items).all(|(schema, item)| fits(item, schema)))
        }
        "items" => value.as_array().is_none_or(|items| {
            let before = keywords.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
            items.iter().skip(before).all(|item| fits(item, rule))
        }),
        "minItems" => value.as_array().is_none_or(|items| at_least(items.len())),
        "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().expect("a size")),
        other => panic!("what does {other:?} mean? {keywords:#?}"),
    }
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().expect("the name of a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("there is no type {other:?}"),
    }
}

/// The reader above can tell what does not fit.
#[test]
fn what_does_not_fit_is_told() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": ["integer", "null"], "maximum": 9 },
        "b": { "items": { "enum": ["x"] } }, "c": { "oneOf": [{ "const": 1 }, { "type": "integer" }] } } });
    for (value, good) in [
        (json!({ "a": 9 }), true),
        (json!({ "a": null, "b": ["x"], "c": 2, "d": 1 }), true),
        (json!([]), false),
        (json!({}), false),
        (json!({ "a": 10 }), false),
        (json!({ "a": 1.5 }), false),
        (json!({ "a": 1, "b": ["x", "y"] }), false),
        (json!({ "a": 1, "c": 1 }), false),
    ] {
        assert_eq!(fits(&value, &schema), good, "{value}");
    }
}

/// A tool that gives one of these.
fn gives<T: Clone + Send + Sync + 'static>(name: &str, value: T) -> Tool
where
    Json<T>: ToolOutput,
{
    Tool::new(name, "", move || std::future::ready(Json(value.clone())))
}

/// server/tools, Structured Content: what a tool with an output schema gives MUST fit that schema, and stands in the text as well.
#[tokio::test]
async fn every_structured_output_fits_its_schema() {
    let server = Server::new("structured", "1")
        .tool(gives("plain", plain()))
        .tool(gives("first", Choice::First))
        .tool(gives("second", Choice::Second))
        .tool(gives("circle", Tagged::Circle { radius: 1.5 }))
        .tool(gives("nothing", Tagged::Nothing))
        .tool(gives("number", OneOfMany::Number(-1)))
        .tool(gives("text", OneOfMany::Text("t".into())))
        .tool(gives("object", OneOfMany::Object { a: true }))
        .tool(gives("list", OneOfMany::List(vec![1, 2])))
        .tool(gives("some", Some(plain())))
        .tool(gives("none", None::<Plain>))
        .tool(gives("many", vec![plain(), plain()]))
        .tool(gives("empty", Vec::<Plain>::new()))
        .tool(gives("map", BTreeMap::from([("k", 1u8)])))
        .tool(gives("pair", (1u8, "two")))
        .tool(gives("unit", ()))
        .tool(gives("any", json!([1, { "a": null }])))
        .tool(Tool::new("bool", "", async || true))
        .tool(Tool::new("i64", "", async || i64::MIN))
        .tool(Tool::new("f32", "", async || 0.5f32));
    for version in [ProtocolVersion::V2025_06_18, ProtocolVersion::V2025_11_25, ProtocolVersion::V2026_07_28] {
        let client =
            soon(mcp_tokio::pair_with(server.clone(), Client::builder("c", "1").versions([version]))).await.unwrap();
        let tools = soon(client.list_tools()).await.unwrap();
        assert_eq!(tools.len(), 20);
        for tool in tools {
            let schema = Value::Object(tool.output_schema.expect("every one of them has a schema"));
            let result = soon(client.call_tool(&tool.name, ()).into_future()).await.unwrap();
            let content = result.structured_content.as_ref().expect("structured");
            assert!(fits(content, &schema), "{version} {}: {content} in {schema:#}", tool.name);
            let text: Value = serde_json::from_str(&result.joined_text()).unwrap();
            let wrapped = content.get("result").filter(|_| text != *content);
            assert_eq!(wrapped.unwrap_or(content), &text, "{version} {}", tool.name);
        }
    }
}
