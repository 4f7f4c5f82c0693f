//! The scanner against serde_json as a naive oracle, on messages that are nearly right (specification: basic, Messages).

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::super::Tail;
use super::super::{Body, Fault, Json, Kind, Message};
use super::scan;
use crate::connection::Limits;

/// The same cases every time.
const SEED: RngSeed = RngSeed::Fixed(1);
/// Under Miri each takes a thousand times as long.
const CASES: u32 = if cfg!(miri) { 2 } else { 1024 };

/// Text of JSON that is close to being a message.
fn near_message() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        (-1e9..1e9f64).prop_map(|n| json!(n)),
        "\\PC{0,6}".prop_map(Value::from),
        prop_oneof!["tools/call", "ping", "\u{2028}\u{85}\\\\\"", "2.0"].prop_map(Value::from),
    ];
    let key = prop_oneof![
        3 => prop_oneof![Just("jsonrpc"), Just("id"), Just("method"), Just("params"), Just("result"), Just("error"),
            Just("_meta"), Just("name"), Just("uri"), Just("arguments"), Just("Method"), Just("x")].prop_map(String::from),
        1 => "\\PC{0,4}",
    ];
    let value = scalar.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let id =
        prop_oneof![4 => (-5..5i64).prop_map(|n| json!(n)), 1 => "\\PC{0,3}".prop_map(Value::from), 1 => value.clone()];
    let object = proptest::collection::vec(("[a-z]{1,9}|_meta|name|uri|arguments", value.clone()), 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()));
    let shape = (
        prop_oneof![8 => Just(Some(json!("2.0"))), 1 => Just(None), 1 => value.clone().prop_map(Some)],
        proptest::option::of(id),
        proptest::option::weighted(0.7, prop_oneof![6 => "[a-z/]{1,12}".prop_map(Value::from), 1 => value.clone()]),
        proptest::option::of(prop_oneof![5 => object.clone(), 1 => value.clone()]),
        proptest::option::weighted(0.3, prop_oneof![5 => object.clone(), 1 => value.clone()]),
        proptest::option::weighted(0.2, prop_oneof![5 => object, 1 => value.clone()]),
        proptest::option::of(("[a-zA-Z]{1,6}", value)),
    );
    (shape, any::<bool>()).prop_map(|((jsonrpc, id, method, params, result, error, extra), pretty)| {
        let mut members = Map::new();
        for (key, value) in [
            ("jsonrpc", jsonrpc),
            ("id", id),
            ("method", method),
            ("params", params),
            ("result", result),
            ("error", error),
        ] {
            if let Some(value) = value {
                members.insert(key.into(), value);
            }
        }
        if let Some((key, value)) = extra {
            members.entry(key).or_insert(value);
        }
        let value = Value::Object(members);
        if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() }
    })
}

/// Which one reader may take for an integer and another for a fraction.
fn is_minus_zero(id: &Value) -> bool {
    id.to_string().starts_with("-0")
}

/// What the message is by the letter of the specification, decided slowly.
fn oracle(value: &Value) -> Option<Kind> {
    let object = value.as_object()?;
    let is = |key: &str| object.contains_key(key);
    let id_fits = |id: &Value| id.is_string() || id.as_i64().is_some() && !is_minus_zero(id);
    if object.get("jsonrpc")? != "2.0" || object.get("method").is_some_and(|method| !method.is_string()) {
        return None;
    }
    let params = object.get("params").filter(|params| !params.is_null());
    // What stands where nothing belongs, as `params` beside a result, matters only if it is no object.
    let bad_meta = |params: &Value| params.get("_meta").is_some_and(|meta| !meta.is_object() && !meta.is_null());
    if params.is_some_and(|params| !params.is_object() || is("method") && bad_meta(params)) {
        return None;
    }
    match (is("method"), is("result"), is("error"), object.get("id")) {
        (true, false, false, None) => Some(Kind::Notification),
        (true, false, false, Some(id)) if id_fits(id) => Some(Kind::Request),
        (false, true, false, Some(id)) if id_fits(id) => {
            let result = object["result"].as_object()?;
            result.get("_meta").is_none_or(|meta| meta.is_object() || meta.is_null()).then_some(Kind::Result)
        }
        (false, false, true, id) if id.is_none_or(|id| id.is_null() || id_fits(id)) => {
            object["error"].is_object().then_some(Kind::Error)
        }
        _ => None,
    }
}

fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    let message = scan(bytes);
    let grammar = std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    if !grammar {
        prop_assert_eq!(message.kind(), Kind::Malformed, "what is no JSON is no message");
        return Ok(());
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return Ok(()) };
    if matches!(message.fault(), Some(Fault::DuplicateMember(_))) {
        return Ok(());
    }
    let kind = oracle(&value);
    prop_assert_eq!(message.kind(), kind.unwrap_or(Kind::Malformed), "{}", value);
    if kind.is_none() {
        return Ok(());
    }
    let decoded = |json: Option<Json<'_>>| json.map(|json| json.decode::<Value>().unwrap());
    let params = value.get("params").filter(|params| !params.is_null()).cloned();
    let member = |key: &str| params.as_ref().and_then(|params| params.get(key));
    prop_assert_eq!(message.text().as_bytes(), bytes);
    prop_assert_eq!(message.method(), value.get("method").and_then(Value::as_str).unwrap_or_default());
    prop_assert_eq!(message.params().decode::<Value>().unwrap(), params.clone().unwrap_or_else(|| json!({})));
    prop_assert_eq!(message.name(), member("name").and_then(Value::as_str));
    prop_assert_eq!(message.uri(), member("uri").and_then(Value::as_str));
    prop_assert_eq!(decoded(message.arguments()), member("arguments").filter(|it| it.is_object()).cloned());
    let id = message.id().map(|id| serde_json::to_value(id).unwrap());
    prop_assert_eq!(id, value.get("id").filter(|id| !id.is_null()).cloned());
    prop_assert_eq!(decoded(message.result()), value.get("result").cloned());
    prop_assert_eq!(decoded(message.error()), value.get("error").cloned());
    let meta = match kind {
        Some(Kind::Result) => value["result"].get("_meta"),
        Some(Kind::Error) => None,
        _ => member("_meta"),
    };
    let meta = meta.filter(|meta| !meta.is_null());
    prop_assert_eq!(decoded(message.meta()), meta.cloned());
    Ok(())
}

/// A change of bytes.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, u8, u8)> {
    let byte = prop_oneof![3 => prop::sample::select(&b"{}[]\",:\\ue0123456789.+-tfn \t\n\r"[..]), 1 => any::<u8>()];
    (any::<prop::sample::Index>(), byte, 0..4u8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: SEED, ..ProptestConfig::with_cases(CASES) })]

    /// The scanner and a naive reader agree about every message that is nearly one.
    #[test]
    fn the_scanner_agrees_with_the_oracle(text in near_message()) {
        agrees(text.as_bytes())?;
    }

    /// The same after bytes of it were changed, added, doubled or lost; and it never panics.
    #[test]
    fn the_scanner_agrees_with_the_oracle_on_mutations(
        text in near_message(),
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let mut bytes = text.into_bytes();
        for (index, byte, what) in mutations {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes.truncate(at),
                _ => drop(bytes.remove(at)),
            }
        }
        agrees(&bytes)?;
    }

    /// Any bytes at all.
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        agrees(&bytes)?;
        let limits = Limits { frame: 10, depth: 1, ..Limits::default() };
        let _: Box<Message> = Box::new(Message::scan(&bytes, &limits));
    }

    /// The id that is read in passing from a message that is too long is the one that it has at its top.
    #[test]
    fn the_salvaged_id_is_the_messages_own(text in near_message()) {
        let value: Value = serde_json::from_str(&text).unwrap();
        let message = Message::scan(text.as_bytes(), &Limits { frame: 1, ..Limits::default() });
        let own = value.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64());
        let echo = message.echo().map(|echo| serde_json::from_str::<Value>(echo).unwrap());
        prop_assert_eq!(echo.as_ref(), own);
    }

    /// Whatever the application hands over arrives at the other side.
    #[test]
    fn every_object_survives_the_wire(
        members in proptest::collection::btree_map("\\PC{0,5}|_meta", "\\PC{0,9}|[\u{80}-\u{90}\u{2020}-\u{2030}]{0,4}", 0..5),
        id in any::<i64>(),
    ) {
        let params = serde_json::to_value(&members).unwrap();
        match Body::new("m", &params) {
            Ok(body) => {
                let frame = body.finish(&Tail::default(), Some(&id.into()));
                let message = scan(&frame);
                prop_assert_eq!(message.kind(), Kind::Request);
                prop_assert_eq!(message.params().decode::<Value>().unwrap(), params);
                let splits = message.text().contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
                prop_assert!(!splits, "one line");
            }
            Err(_) => prop_assert!(members.contains_key("_meta")),
        }
    }
}
