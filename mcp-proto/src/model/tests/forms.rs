//! The forms of elicitation: every shape of a field.

use alloc::string::ToString;

use serde_json::{Map, Number, Value, json};

use super::{decode, encode, keeps, refusal, survives};
use crate::model::{
    BooleanSchema, ElicitParams, EnumOption, FormSchema, LegacyTitledEnumSchema, NumberSchema, PrimitiveSchema,
    ProtocolVersion, StringFormat, StringSchema, TitledItems, TitledMultiSelectEnumSchema,
    TitledSingleSelectEnumSchema, UntitledItems, UntitledMultiSelectEnumSchema, UntitledSingleSelectEnumSchema,
};

use ProtocolVersion::{V2025_06_18, V2025_11_25, V2026_07_28};

/// One field of each shape with everything it can have, and what the shape is called.
const FIELDS: [(&str, &str); 9] = [
    (
        "string",
        r#"{"type":"string","title":"t","description":"d","minLength":1,"maxLength":9,"format":"email","default":"v"}"#,
    ),
    ("number", r#"{"type":"number","title":"t","description":"d","minimum":0.5,"maximum":9,"default":1.5}"#),
    ("integer", r#"{"type":"integer","title":"t","description":"d","minimum":0,"maximum":9,"default":1}"#),
    ("boolean", r#"{"type":"boolean","title":"t","description":"d","default":false}"#),
    ("enum", r#"{"type":"string","enum":["a","b"],"title":"t","description":"d","default":"a"}"#),
    (
        "oneOf",
        r#"{"type":"string","oneOf":[{"const":"a","title":"A","x":1}],"title":"t","description":"d","default":"a"}"#,
    ),
    (
        "items.enum",
        r#"{"type":"array","items":{"type":"string","enum":["a","b"],"x":1},"title":"t","description":"d","minItems":1,"maxItems":2,"default":["a"]}"#,
    ),
    (
        "items.anyOf",
        r#"{"type":"array","items":{"anyOf":[{"const":"a","title":"A"}],"x":1},"title":"t","description":"d","minItems":1,"maxItems":2,"default":["a"]}"#,
    ),
    ("enumNames", r#"{"type":"string","enum":["a"],"enumNames":["A"],"title":"t","description":"d","default":"a"}"#),
];

#[test]
fn every_shape_survives_and_is_told_apart() {
    for (form, json) in FIELDS {
        let schema: PrimitiveSchema = survives(json);
        assert_eq!(schema.form(), Some(form));
        survives::<PrimitiveSchema>(&json.replacen('{', r#"{"x":{"type":"array"},"#, 1));
        // The order of members says nothing.
        let reordered = [&json[..json.len() - 1], r#","type":"#].concat().replacen(r#""type":"#, r#""x":"#, 1);
        let Value::Object(members) = decode(json) else { panic!("it is an object") };
        let reordered = [&reordered, &members["type"].to_string(), "}"].concat();
        assert_eq!(decode::<PrimitiveSchema>(&reordered).form(), Some(form), "{reordered}");
    }
    let [string, number, _, boolean, single, titled, multi, titled_multi, legacy] = FIELDS.map(|(_, json)| json);
    keeps::<StringSchema>(string, r#"{"type":"string"}"#);
    keeps::<NumberSchema>(number, r#"{"type":"number"}"#);
    keeps::<BooleanSchema>(boolean, r#"{"type":"boolean"}"#);
    keeps::<UntitledSingleSelectEnumSchema>(single, r#"{"type":"string","enum":[]}"#);
    keeps::<TitledSingleSelectEnumSchema>(titled, r#"{"type":"string","oneOf":[]}"#);
    keeps::<UntitledMultiSelectEnumSchema>(multi, r#"{"type":"array","items":{"type":"string","enum":[]}}"#);
    keeps::<TitledMultiSelectEnumSchema>(titled_multi, r#"{"type":"array","items":{"anyOf":[]}}"#);
    keeps::<LegacyTitledEnumSchema>(legacy, r#"{"type":"string","enum":[],"enumNames":[]}"#);
    keeps::<UntitledItems>(r#"{"type":"string","enum":["a"]}"#, r#"{"type":"string","enum":[]}"#);
    keeps::<TitledItems>(r#"{"anyOf":[]}"#, r#"{"anyOf":[]}"#);
    keeps::<EnumOption>(r#"{"const":"a","title":"A"}"#, r#"{"const":"a","title":"A"}"#);
}

#[test]
fn what_no_form_may_have_survives() {
    for json in [
        r#"{"type":"object","properties":{}}"#,
        r#"{"type":"array","items":{"type":"object"}}"#,
        r#"{"type":"array"}"#,
        r#"{"type":["string","null"]}"#,
        r##"{"$ref":"#/$defs/a"}"##,
        "{}",
    ] {
        let schema: PrimitiveSchema = survives(json);
        assert!(matches!(schema, PrimitiveSchema::Other(_)), "{json}");
        assert_eq!(schema.form(), None);
    }
    assert_eq!(refusal::<PrimitiveSchema>("true"), "invalid type: boolean `true`, expected a map");
    assert_eq!(
        refusal::<FormSchema>(r#"{"type":"object","properties":{"a":{"type":"string","enum":[true]}}}"#),
        "properties: a: enum: invalid type: boolean `true`, expected a string"
    );
}

#[test]
fn forms() {
    keeps::<FormSchema>(
        r#"{"type":"object","$schema":"s","properties":{"a":{"type":"string"}},"required":["a"]}"#,
        r#"{"type":"object","properties":{}}"#,
    );
    let form = FormSchema::new()
        .required_property("email", StringSchema::new().with_format(StringFormat::Email))
        .optional_property("age", NumberSchema::integer().with_minimum(0))
        .optional_property("share", NumberSchema::number().with_maximum(Number::from_f64(0.5).expect("it is finite")))
        .optional_property("news", BooleanSchema::new().with_default(true))
        .optional_property("size", UntitledSingleSelectEnumSchema::new(["s".into(), "l".into()]))
        .optional_property("old", LegacyTitledEnumSchema::new(["r".into()], ["Red".into()]));
    assert_eq!(form.unknown_in(V2025_06_18), None);
    assert_eq!(form.unknown_in(ProtocolVersion::V2025_03_26), Some("age"), "there were no forms yet");
    let form = form
        .required_property("color", TitledSingleSelectEnumSchema::new([EnumOption::new("r", "Red")]))
        .optional_property("tags", UntitledMultiSelectEnumSchema::of(["a".into()]).with_max_items(1))
        .optional_property("teams", TitledMultiSelectEnumSchema::of([EnumOption::new("x", "X")]));
    let expected = json!({"type": "object", "required": ["email", "color"], "properties": {
        "email": {"type": "string", "format": "email"},
        "age": {"type": "integer", "minimum": 0},
        "share": {"type": "number", "maximum": 0.5},
        "news": {"type": "boolean", "default": true},
        "size": {"type": "string", "enum": ["s", "l"]},
        "old": {"type": "string", "enum": ["r"], "enumNames": ["Red"]},
        "color": {"type": "string", "oneOf": [{"const": "r", "title": "Red"}]},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a"]}, "maxItems": 1},
        "teams": {"type": "array", "items": {"anyOf": [{"const": "x", "title": "X"}]}},
    }});
    assert_eq!(encode(&form), expected);
    assert_eq!(form.unknown_in(V2025_06_18), Some("color"));
    assert_eq!((form.unknown_in(V2025_11_25), form.unknown_in(V2026_07_28)), (None, None));

    let params = ElicitParams::form("m", form.clone());
    assert_eq!(params.form_schema().expect("it is there").expect("it is a form"), form);
    assert!(ElicitParams::new("m").form_schema().is_none());
    assert!(ElicitParams::form("m", Map::new()).form_schema().expect("it is there").is_err());
}
