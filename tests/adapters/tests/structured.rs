//! Structured output of every shape, held against the schema that the tool is listed with.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::collections::BTreeMap;

use common::scripted::{Scripted, result};
use common::soon;
use mcp::model::{CallToolResult, Dialect};
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
        let tools = soon(client.list_tools().into_future()).await.unwrap();
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

/// A tool that gives this as it is, and describes it so.
fn raw(name: &str, content: Value, schema: Option<Value>) -> Tool {
    let tool = Tool::new(name, "", move || {
        std::future::ready(CallToolResult::text("as text").with_structured_content(content.clone()))
    });
    match schema {
        Some(Value::Object(schema)) => tool.output_schema(schema),
        _ => tool,
    }
}

/// server/tools, Structured Content: until 2025-11-25 it MUST be an object, later it may be anything, and null is something.
/// What the list says and what the call gives fit each other in every revision, and nothing is lost.
#[tokio::test]
async fn structured_content_is_an_object_where_it_must_be() {
    let object = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let choice = json!({ "anyOf": [object, { "type": "array" }] });
    let tools = [
        ("choice of objects", json!({ "a": 1 }), Some(json!({ "anyOf": [object] }))),
        ("list", json!([1, 2]), Some(json!({ "type": "array", "items": { "type": "integer" } }))),
        ("null", Value::Null, Some(json!({ "type": "null" }))),
        ("object", json!({ "a": 1 }), Some(object)),
        ("choice", json!({ "a": 1 }), Some(choice.clone())),
        ("choice of list", json!([]), Some(choice)),
        ("undescribed list", json!([1]), None),
        ("undescribed null", Value::Null, None),
        ("undescribed object", json!({ "a": 1 }), None),
    ];
    let mut server = Server::new("s", "1").lenient(mcp::Lenient::Names).page_size(3);
    for (name, content, schema) in tools.clone() {
        server = server.tool(raw(name, content, schema));
    }
    for version in ProtocolVersion::ALL {
        let builder = Client::builder("c", "1").versions([version]);
        let client = soon(mcp_tokio::pair_with(server.clone(), builder)).await.unwrap();
        let listed = soon(client.list_tools().into_future()).await.unwrap();
        for ((name, content, schema), listed) in tools.iter().zip(listed) {
            let called = soon(client.call_tool(*name, ()).into_future()).await.unwrap();
            let given = called.structured_content.clone().unwrap_or_else(|| panic!("{version} {name}: absent"));
            let is_wrapped = given != *content;
            assert_eq!(called.joined_text(), "as text");
            assert_eq!(called.structured::<Value>().unwrap(), given);
            if version == ProtocolVersion::V2026_07_28 {
                assert!(!is_wrapped, "{name}: {given}");
                assert_eq!(listed.output_schema.clone().map(Value::Object), *schema, "{name}");
            } else {
                assert!(given.is_object(), "{version} {name}: {given}");
                let stays = ["object", "undescribed object", "choice of objects"].contains(name);
                assert_eq!(is_wrapped, !stays, "{version} {name}: {given}");
                assert!(!is_wrapped || given == json!({ "result": content }), "{version} {name}: {given}");
            }
            if let Some(schema) = listed.output_schema {
                let says_object = schema.get("type") == Some(&json!("object"));
                assert_eq!(says_object, version != ProtocolVersion::V2026_07_28 || *name == "object");
                assert!(fits(&given, &Value::Object(schema)), "{version} {name}: {given}");
            }
        }
        let list: Vec<i64> = soon(client.call_tool("list", ()).into_future()).await.unwrap().structured().unwrap();
        assert_eq!(list, [1, 2], "what is wrapped is read as itself");
    }
}

/// What a server sends is taken as it is, also where it should have been an object; null is there, and absent is not.
#[tokio::test]
async fn a_client_takes_any_structured_content() {
    for version in [ProtocolVersion::V2025_06_18, ProtocolVersion::V2026_07_28] {
        for content in [json!([1]), json!("x"), json!(false), json!(7), Value::Null, json!({}), json!("absent")] {
            let mut sent = json!({ "content": [], "structuredContent": content });
            let is_absent = content == "absent";
            if is_absent {
                sent.as_object_mut().unwrap().remove("structuredContent");
            }
            let (client, _) = Scripted::new(version)
                .connect(Client::builder("c", "1"), move |asked| vec![result(asked, sent.clone())])
                .await;
            let called = soon(client.call_tool("t", ()).into_future()).await.unwrap();
            assert_eq!(called.structured_content, (!is_absent).then_some(content), "{version}");
        }
    }
}

/// basic, JSON Schema Usage: a schema that names no dialect is one of 2020-12, and a dialect that is not supported MUST fail
/// with a clear error: for whoever defines such a tool, and for whoever derives something from such a schema.
#[tokio::test]
async fn a_dialect_that_is_not_supported_fails_clearly() {
    let with = |dialect: Value| Map::from_iter([("type".to_owned(), json!("object")), ("$schema".to_owned(), dialect)]);
    let strange = || with(json!("https://example.com/dialect"));
    let input = || Tool::new("takes", "", async |_: Value| "x").input_schema(strange());
    let output = || Tool::new("gives", "", async || "x").output_schema(with(json!(7)));
    let server = Server::new("s", "1").tool(input()).tool(output());
    let error = server.check().unwrap_err().to_string();
    for part in [
        "input schema of the tool \"takes\"",
        "https://example.com/dialect",
        "output schema of the tool \"gives\"",
        "2020-12",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let plain = Server::new("s", "1").tool(Tool::new("plain", "", async || "x"));
    assert!(plain.update(|edit| _ = edit.tool(input())).is_err());

    // Whoever insists may offer it; the other side cannot read it all the same.
    let server = server.lenient(mcp::Lenient::Dialects);
    for (dialect, known) in [
        ("http://json-schema.org/draft-07/schema", Dialect::Draft7),
        ("http://json-schema.org/draft-07/schema#", Dialect::Draft7),
        ("https://json-schema.org/draft/2019-09/schema", Dialect::Draft2019_09),
        ("https://json-schema.org/draft/2020-12/schema", Dialect::Draft2020_12),
    ] {
        let tool = Tool::new("known", "", async |_: Value| "x").input_schema(with(json!(dialect)));
        assert_eq!(tool.definition().input_dialect(), Ok(known));
        Server::new("s", "1").tool(tool).check().unwrap();
    }
    let server = server.tool(Tool::new("silent", "", async || true));
    let client = soon(mcp_tokio::pair(server)).await.unwrap();
    let tools = soon(client.list_tools().into_future()).await.unwrap();
    let [takes, gives, silent] = &tools[..] else { panic!("three tools") };
    let error = takes.input_dialect().unwrap_err().to_string();
    assert!(error.contains("https://example.com/dialect") && error.contains("not supported"), "{error}");
    assert_eq!((takes.output_dialect(), gives.input_dialect()), (Ok(None), Ok(Dialect::Draft2020_12)));
    assert!(gives.output_dialect().is_err());
    assert_eq!(silent.output_dialect(), Ok(Some(Dialect::Draft2020_12)), "generated schemas are of the default");
}
