//! JSON schemas made from Rust types: 2020-12, without formats that only Rust knows, so that strict clients take them.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// The schema of a tool's arguments: always an object.
pub(crate) fn of_arguments<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = object(generate::<T>());
    // `()` and the like say null; the specification wants an object in any case.
    if schema.get("type").and_then(Value::as_str) != Some("object") && !schema.contains_key("properties") {
        let is_empty = schema.get("type").and_then(Value::as_str) == Some("null") || schema.is_empty();
        if is_empty {
            return no_arguments();
        }
    }
    schema.insert("type".into(), "object".into());
    schema.entry("properties").or_insert_with(|| json!({}));
    schema
}

/// The schema of a tool without arguments.
pub(crate) fn no_arguments() -> Map<String, Value> {
    object(json!({ "type": "object", "properties": {} }))
}

/// The schema of a tool's structured content: always an object.
pub(crate) fn of_output<T: JsonSchema>() -> Schema {
    let mut schema = generate::<T>();
    let schema = if is_object(&schema) {
        // A choice of objects does not say so itself.
        schema["type"] = "object".into();
        schema
    } else {
        json!({ "type": "object", "properties": { "result": schema }, "required": ["result"] })
    };
    Schema::try_from(schema).unwrap_or_default()
}

/// The schema of values of this one, each wrapped as `{"result": value}`.
pub(crate) fn wrapped(schema: &Map<String, Value>) -> Map<String, Value> {
    let mut inner = schema.clone();
    let dialect = inner.remove("$schema");
    // What has a name of its own refers to that, and not to the whole that it now is a part of.
    if !inner.contains_key("$id") {
        inner.iter_mut().for_each(|(key, value)| move_references(key, value));
    }
    let mut outer = object(json!({ "type": "object", "properties": { "result": inner }, "required": ["result"] }));
    if let Some(dialect) = dialect {
        outer.insert("$schema".into(), dialect);
    }
    outer
}

/// A schema of objects that says so in so many words, as the revisions that know no others want it.
pub(crate) fn said_to_be_object(mut schema: Map<String, Value>) -> Map<String, Value> {
    schema.insert("type".into(), "object".into());
    schema
}

/// Where [`wrapped`] puts a schema.
const INSIDE: &str = "#/properties/result";

/// Makes what refers to the root refer to where the root has gone.
fn move_references(key: &str, value: &mut Value) {
    match (key, value) {
        ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
            if let Some(path) = reference.strip_prefix('#').filter(|path| path.is_empty() || path.starts_with('/')) {
                *reference = format!("{INSIDE}{path}");
            }
        }
        // Data, whatever it looks like.
        ("const" | "enum" | "default" | "examples", _) => {}
        ("properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas", Value::Object(named)) => {
            named.values_mut().for_each(|schema| move_references("", schema));
        }
        (_, Value::Object(members)) if !members.contains_key("$id") => {
            members.iter_mut().for_each(|(key, value)| move_references(key, value));
        }
        (_, Value::Array(schemas)) => schemas.iter_mut().for_each(|schema| move_references("", schema)),
        _ => {}
    }
}

/// Whether what a schema describes is always an object, as far as the schema says so itself.
pub(crate) fn describes_object(schema: &Map<String, Value>) -> bool {
    says_object(schema.get("type"), schema.get("anyOf").or(schema.get("oneOf")))
}

/// Whether values of this type are wrapped as `{"result": value}`, because they are not always objects.
pub(crate) fn wraps<T: JsonSchema>() -> bool {
    !is_object(&generate::<T>())
}

/// The schema of an elicitation's form.
pub(crate) fn of_form<T: JsonSchema>() -> Map<String, Value> {
    of_arguments::<T>()
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        // `true` and `false` are schemas as well; as an object, "anything" is the empty one.
        _ => Map::new(),
    }
}

fn is_object(schema: &Value) -> bool {
    schema.as_object().is_some_and(describes_object)
}

/// By its type, or as an enum of structs.
fn says_object(of_type: Option<&Value>, choices: Option<&Value>) -> bool {
    let choices = choices.and_then(Value::as_array);
    of_type.and_then(Value::as_str) == Some("object")
        || choices.is_some_and(|choices| !choices.is_empty() && choices.iter().all(is_object))
}

fn generate<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.with_transform(Plain).into_generator().into_root_schema_for::<T>();
    // The name of a Rust type tells a model nothing.
    schema.remove("title");
    schema.to_value()
}

/// Takes out the formats that are names of Rust types (`uint32`, `double`): strict validators refuse unknown formats, and
/// the bounds that they mean are written as `minimum` and `maximum`.
#[derive(Clone, Debug)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        let bits = |format: &str| {
            let unsigned = format.strip_prefix("uint");
            let signed = format.strip_prefix("int");
            unsigned.or(signed).is_some_and(|bits| bits.is_empty() || bits.parse::<u8>().is_ok())
        };
        let format = schema.get("format").and_then(Value::as_str);
        if format.is_some_and(|format| bits(format) || matches!(format, "float" | "double")) {
            schema.remove("format");
        }
        transform_subschemas(self, schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Args {
        count: u32,
        ratio: f64,
        note: Option<String>,
        nested: Vec<Nested>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Nested {
        byte: u8,
    }

    #[test]
    fn schemas_have_no_rust_only_formats_and_no_nullable() {
        let schema = of_arguments::<Args>();
        let text = serde_json::to_string(&schema).unwrap();
        assert!(!text.contains("format") && !text.contains("nullable") && !text.contains("$schema"), "{text}");
        assert!(!text.contains("$ref") && !text.contains("title"), "{text}");
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], json!(["count", "ratio", "nested"]));
        assert_eq!(schema["properties"]["count"]["minimum"], 0);
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    enum Choice {
        One(Nested),
        Other { text: String },
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    enum Mixed {
        One(Nested),
        Number(u8),
    }

    #[test]
    fn an_enum_of_structs_is_an_object() {
        assert!(!wraps::<Choice>() && wraps::<Mixed>());
        let schema = of_output::<Choice>();
        assert_eq!((schema.get("type"), schema.get("anyOf").is_some()), (Some(&json!("object")), true));
        assert_eq!(of_output::<Mixed>().get("required"), Some(&json!(["result"])));
    }

    #[test]
    fn a_wrapped_schema_refers_to_itself_where_it_stands() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "array",
            "items": { "anyOf": [{ "$ref": "#/$defs/leaf" }, { "$ref": "#" }, { "$ref": "#named" }, { "$ref": "https://e.org/x" }] },
            "default": { "$ref": "#/data" },
            "$defs": {
                "leaf": { "type": "object", "properties": { "$ref": { "$ref": "#/$defs/leaf" }, "default": { "$ref": "#" } } },
                "apart": { "$id": "https://e.org/apart", "items": { "$ref": "#" } },
            },
        });
        let inside = json!({
            "type": "array",
            "items": { "anyOf": [
                { "$ref": "#/properties/result/$defs/leaf" },
                { "$ref": "#/properties/result" },
                { "$ref": "#named" },
                { "$ref": "https://e.org/x" },
            ] },
            "default": { "$ref": "#/data" },
            "$defs": {
                "leaf": { "type": "object", "properties": {
                    "$ref": { "$ref": "#/properties/result/$defs/leaf" },
                    "default": { "$ref": "#/properties/result" },
                } },
                "apart": { "$id": "https://e.org/apart", "items": { "$ref": "#" } },
            },
        });
        let expected = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": { "result": inside },
            "required": ["result"],
        });
        assert_eq!(Value::Object(wrapped(&object(schema))), expected);
        let named = json!({ "$id": "https://e.org/list", "items": { "$ref": "#/$defs/x" }, "$defs": { "x": {} } });
        assert_eq!(wrapped(&object(named.clone()))["properties"]["result"], named);
    }

    #[test]
    fn what_is_no_object_is_wrapped() {
        assert!(wraps::<i64>() && wraps::<Vec<Nested>>() && !wraps::<Nested>());
        assert_eq!(of_output::<i64>().get("required"), Some(&json!(["result"])));
        assert_eq!(of_arguments::<()>(), no_arguments());
    }
}
