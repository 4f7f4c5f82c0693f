//! The mechanism, on types made for it.

#![allow(unreachable_pub, dead_code, reason = "the macros declare public items")]

use core::fmt;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{decode, encode, refusal, survives};
use crate::model::wire::{Integer, wire_enum, wire_struct, wire_union};

wire_struct! {
    /// Every presence, and a nested type.
    pub struct Everything {
        /// Required.
        required name: String = "name",
        /// Optional.
        optional(with_long_name) long_name: String = "longName",
        /// Defaulted.
        defaulted(with_items) items: Vec<Bare> = "items",
        /// Nullable.
        nullable(with_data) data: Value = "data",
        /// Converted.
        optional(with_count) count: i64 as Integer = "count",
        /// Of any JSON, and yet optional.
        optional(with_any) any: Value = "any",
    }
}

wire_struct! {
    /// Nothing.
    #[derive(Default)]
    pub struct Bare {}
}

wire_struct! {
    /// Metadata of its own.
    #[derive(Default)]
    pub struct WithMeta {
        /// Metadata.
        optional(with_meta) meta: Map<String, Value> = "_meta",
    }
}

wire_enum! {
    /// Colours.
    pub enum Colour {
        /// Red.
        Red = "red",
        /// Dark blue.
        DarkBlue = "darkBlue",
    }
}

wire_struct! {
    /// A branch.
    pub struct Branch tagged "type" = "branch" {
        /// Branches and leaves.
        required of: Vec<Tree> = "of",
    }
}

wire_struct! {
    /// A leaf.
    #[derive(Default)]
    pub struct Leaf tagged "type" = "leaf" {
        /// Its size.
        optional(with_size) size: f64 = "size",
    }
}

wire_union! {
    /// A tree.
    pub enum Tree by "type" {
        /// A branch.
        Branch(Branch) = "branch",
        /// A leaf.
        Leaf(Leaf) = "leaf",
    }
}

#[test]
fn every_member_survives() {
    let value: Everything = survives(
        r#"{"name":"n","longName":"l","items":[{},{"x":1}],"data":{"a":[1,2.5,"three",null]},"count":7,"any":[],"zebra":1.5,"ant":{"_meta":{}}}"#,
    );
    assert_eq!(value.long_name.as_deref(), Some("l"));
    assert_eq!(value.items.len(), 2);
    assert_eq!(value.items[1].extra["x"], json!(1));
    assert_eq!(value.count, Some(7));
    assert_eq!(value.extra.len(), 2);
}

#[test]
fn absent_members_stay_absent_except_defaulted_ones() {
    let value: Everything = decode(r#"{"name":"n"}"#);
    assert_eq!(value, Everything::new("n"));
    assert_eq!(encode(&value), json!({"name": "n", "items": []}));
    survives::<Bare>("{}");
}

#[test]
fn null_is_absence_except_where_it_is_a_value() {
    let value: Everything =
        decode(r#"{"name":"n","longName":null,"items":null,"data":null,"count":null,"any":null,"other":null}"#);
    assert_eq!(value.long_name, None);
    assert_eq!(value.items, []);
    assert_eq!(value.data, Some(Value::Null));
    assert_eq!(value.count, None);
    assert_eq!(value.any, None);
    assert_eq!(encode(&value), json!({"name": "n", "items": [], "data": null, "other": null}));
    assert_eq!(refusal::<Everything>(r#"{"name":null}"#), "name: invalid type: null, expected a string");
}

#[test]
fn members_are_written_in_the_order_of_the_declaration() {
    let value = Everything::new("n").with_any(true).with_data(Value::Null).with_long_name("l").with_count(1);
    let text = serde_json::to_string(&value).expect("it encodes");
    assert_eq!(text, r#"{"name":"n","longName":"l","items":[],"data":null,"count":1,"any":true}"#);
}

#[test]
fn a_member_twice_is_refused() {
    for (json, key) in [
        (r#"{"name":"a","name":"a"}"#, "name"),
        (r#"{"name":"a","n\u0061me":"a"}"#, "name"),
        (r#"{"name":"a","longName":null,"longName":"l"}"#, "longName"),
        (r#"{"name":"a","items":null,"items":[]}"#, "items"),
        (r#"{"name":"a","data":null,"data":null}"#, "data"),
        (r#"{"name":"a","x":1,"x":1}"#, "x"),
        (r#"{"name":"a","x":1,"\u0078":1}"#, "x"),
    ] {
        assert_eq!(refusal::<Everything>(json), format!("duplicate field `{key}`"), "{json}");
    }
}

#[test]
fn refusals_name_the_member() {
    assert_eq!(refusal::<Everything>("{}"), "missing field `name`");
    assert_eq!(refusal::<Everything>("[]"), "invalid type: sequence, expected object Everything");
    assert_eq!(refusal::<Everything>(r#"{"longName":5}"#), "longName: invalid type: integer `5`, expected a string");
    assert_eq!(refusal::<Everything>(r#"{"items":[{},7]}"#), "items: invalid type: integer `7`, expected object Bare");
    assert_eq!(
        refusal::<Tree>(r#"{"type":"branch","of":[{"type":"leaf","size":"big"}]}"#),
        "of: size: invalid type: string \"big\", expected f64"
    );
}

#[test]
fn the_position_of_an_error_is_kept() {
    let error = serde_json::from_str::<Tree>("{\"type\":\"branch\",\n\"of\":[{\"type\":\"leaf\",\n\"size\":true}]}");
    let error = error.expect_err("it is wrong");
    assert_eq!((error.line(), error.column()), (3, 11));
    assert_eq!(error.to_string(), "of: size: invalid type: boolean `true`, expected f64 at line 3 column 11");
}

#[test]
fn refusals_do_not_grow_with_what_they_quote() {
    let long = "\u{e9}".repeat(10_000);
    for json in [
        format!(r#"{{"name":"n","items":["{long}"]}}"#),
        format!(r#"{{"{long}":1,"{long}":2}}"#),
        format!(r#"{{"count":"{long}"}}"#),
    ] {
        assert!(refusal::<Everything>(&json).len() < 1024);
    }
    let wrong = refusal::<Everything>(&format!(r#"{{"count":"{long}"}}"#));
    assert!(wrong.starts_with("count: invalid type: string") && wrong.ends_with("\u{e9}..."), "{wrong}");
}

#[test]
fn escaped_keys_and_values_are_understood() {
    let value: Everything = decode(r#"{"n\u0061me":"\u0061\n","\u006congName":"l","\u0078":1}"#);
    assert_eq!(value.name, "a\n");
    assert_eq!(value.long_name.as_deref(), Some("l"));
    assert_eq!(value.extra.keys().collect::<Vec<_>>(), ["x"]);
    assert_eq!(decode::<Tree>(r#"{"t\u0079pe":"le\u0061f"}"#), Leaf::new().into());
}

#[test]
fn meta_belongs_to_the_core_unless_declared() {
    let value: Bare = decode(r#"{"_meta":{"progressToken":1},"x":1,"_\u006deta":2}"#);
    assert_eq!(encode(&value), json!({"x": 1}));
    let value = survives::<WithMeta>(r#"{"_meta":{"a":1}}"#);
    assert_eq!(value.meta.expect("it is declared")["a"], json!(1));
}

#[test]
fn extra_never_doubles_a_member() {
    let mut value = Everything::new("n");
    for key in ["name", "data", "_meta", "fine"] {
        value.extra.insert(key.into(), json!(1));
    }
    assert_eq!(encode(&value), json!({"name": "n", "items": [], "fine": 1}));
    let text = serde_json::to_string(&value).expect("it encodes");
    assert_eq!(text.matches("name").count(), 1);
    let mut leaf = Leaf::new();
    leaf.extra.insert("type".into(), json!("other"));
    assert_eq!(encode(&leaf), json!({"type": "leaf"}));
    let tree = Tree::Other { kind: "twig".into(), members: leaf.extra };
    assert_eq!(encode(&tree), json!({"type": "twig"}));
}

#[test]
fn an_integer_may_be_written_as_a_fraction_of_nothing() {
    let count = |json: &str| decode::<Everything>(&format!(r#"{{"name":"n","count":{json}}}"#)).count;
    assert_eq!(count("100.0"), Some(100));
    assert_eq!(count("1e3"), Some(1000));
    assert_eq!(count("-2"), Some(-2));
    assert_eq!(count("9223372036854775807"), Some(i64::MAX));
    let refused = |json: &str| refusal::<Everything>(&format!(r#"{{"name":"n","count":{json}}}"#));
    assert_eq!(refused("1.5"), "count: 1.5 is not an integer");
    assert_eq!(refused("9223372036854775808"), "count: the integer is too large");
    assert!(refused("1e300").starts_with("count: "));
    assert_eq!(refused("\"1\""), "count: invalid type: string \"1\", expected an integer");
}

#[test]
fn open_enums_keep_what_they_do_not_know() {
    assert_eq!(survives::<Colour>("\"darkBlue\""), Colour::DarkBlue);
    assert_eq!(survives::<Colour>("\"mauve\""), Colour::Other("mauve".into()));
    assert_eq!(decode::<Colour>(r#""r\u0065d""#), Colour::Red);
    assert_eq!(Colour::from("red"), Colour::Red);
    assert_eq!(Colour::from(String::from("red")), Colour::Red);
    assert_eq!(Colour::from("Red"), Colour::Other("Red".into()));
    assert_eq!(format!("{:>5}", Colour::Red), "  red");
    assert!(Colour::Red < Colour::DarkBlue);
    assert_eq!(refusal::<Colour>("3"), "invalid type: integer `3`, expected a string");
}

#[test]
fn a_tag_may_stand_anywhere() {
    let leaf = Tree::from(Leaf::new().with_size(2.0));
    for json in [
        r#"{"type":"leaf","size":2}"#,
        r#"{"size":2,"type":"leaf"}"#,
        r#"{"size":2.0,"type":"leaf"}"#,
        r#"{"\u0073ize":2e0,"t\u0079pe":"leaf"}"#,
    ] {
        assert_eq!(decode::<Tree>(json), leaf, "{json}");
        assert_eq!(Tree::Leaf(decode(json)), leaf, "{json}");
        assert_eq!(
            decode::<Tree>(&format!(r#"{{"of":[{json},{json}],"type":"branch"}}"#)),
            Tree::from(Branch::new(vec![leaf.clone(), leaf.clone()]))
        );
    }
    survives::<Tree>(
        r#"{"of":[{"of":[],"x":[1],"type":"branch"},{"of":1,"size":[2.5],"type":"twig"}],"y":{},"type":"branch"}"#,
    );
}

#[test]
fn faults_of_a_tag_are_named() {
    assert_eq!(refusal::<Tree>("{}"), "missing field `type`");
    assert_eq!(refusal::<Tree>(r#"{"size":1}"#), "missing field `type`");
    assert_eq!(refusal::<Tree>(r#"{"type":1}"#), "type: invalid type: integer `1`, expected a string");
    assert_eq!(refusal::<Tree>(r#"{"type":null}"#), "type: invalid type: null, expected a string");
    assert_eq!(refusal::<Tree>("7"), "invalid type: integer `7`, expected object Tree");
    for json in [
        r#"{"type":"leaf","type":"leaf"}"#,
        r#"{"size":1,"type":"leaf","type":"branch"}"#,
        r#"{"type":"twig","type":"twig"}"#,
    ] {
        assert_eq!(refusal::<Tree>(json), "duplicate field `type`", "{json}");
    }
    assert_eq!(refusal::<Tree>(r#"{"size":1,"size":1,"type":"leaf"}"#), "duplicate field `size`");
    assert_eq!(refusal::<Tree>(r#"{"x":1,"x":1,"type":"twig"}"#), "duplicate field `x`");
    assert_eq!(refusal::<Tree>(r#"{"of":[{}],"type":"branch"}"#), "of: missing field `type`");
    assert_eq!(refusal::<Leaf>("{}"), "missing field `type`");
    assert_eq!(refusal::<Leaf>(r#"{"type":"branch"}"#), "type: expected `leaf`, found `branch`");
}

/// The key that a visitor of an object sees first.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstKey(String);

impl Serialize for FirstKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FirstKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstKeyVisitor;

        impl<'de> Visitor<'de> for FirstKeyVisitor {
            type Value = FirstKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FirstKey, A::Error> {
                let first = map.next_key::<String>()?.unwrap_or_default();
                map.next_value::<IgnoredAny>()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(FirstKey(first))
            }
        }

        deserializer.deserialize_map(FirstKeyVisitor)
    }
}

wire_struct! {
    /// Looks at how it is read.
    pub struct Probe tagged "type" = "probe" {
        /// Objects inside.
        required of: Vec<Option<FirstKey>> = "of",
    }
}

wire_union! {
    /// A probe.
    pub enum Probes by "type" {
        /// A probe.
        Probe(Probe) = "probe",
    }
}

#[test]
fn an_object_held_for_its_tag_is_not_held_again_inside() {
    let first_keys = |json| match decode(json) {
        Probes::Probe(probe) => probe.of,
        Probes::Other { kind, .. } => panic!("{kind} is no probe"),
    };
    let keys = |names: [&str; 2]| names.map(|name| Some(FirstKey(name.into())));
    let [tag_first, no_tag] = keys(["type", "a"]);
    assert_eq!(
        first_keys(r#"{"of":[{"a":1,"type":"t","z":2},null,{"a":1}],"type":"probe"}"#),
        [tag_first, None, no_tag]
    );
    let [as_written, _] = keys(["a", ""]);
    assert_eq!(first_keys(r#"{"type":"probe","of":[{"a":1,"type":"t"}]}"#), [as_written]);
}

#[test]
fn a_tag_that_comes_last_may_do_so_at_every_level() {
    let json =
        [&r#"{"of":["#.repeat(60), r#"{"size":[1,2.5],"type":"twig"}"#, &r#"],"type":"branch"}"#.repeat(60)].concat();
    let mut tree = survives::<Tree>(&json);
    let mut depth = 0;
    while let Tree::Branch(mut branch) = tree {
        depth += 1;
        tree = branch.of.remove(0);
    }
    assert_eq!((depth, tree.kind()), (60, "twig"));
}
