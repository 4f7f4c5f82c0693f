//! Tests of the wire types: what they keep, what they refuse, and what they say when they refuse.

mod content;
mod forms;
mod lifecycle;
mod meta;
mod modern;
mod pages;
mod requests;
mod revisions;
mod tasks;
mod trace_context;
mod wire;

use core::fmt::Debug;

use alloc::string::{String, ToString};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn decode<T: DeserializeOwned>(json: &str) -> T {
    match serde_json::from_str(json) {
        Ok(value) => value,
        Err(error) => panic!("{error} in {json}"),
    }
}

fn encode(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("wire types encode")
}

/// The error that decoding ends with, without the position.
fn refusal<T: DeserializeOwned + Debug>(json: &str) -> String {
    let text = serde_json::from_str::<T>(json).expect_err(json).to_string();
    text.split(" at line ").next().unwrap_or_default().into()
}

/// Decodes from text and from a tree, and encodes what came in.
fn survives<T>(json: &str) -> T
where
    T: Serialize + DeserializeOwned + Debug + PartialEq,
{
    let value: T = decode(json);
    let tree: Value = decode(json);
    assert_eq!(encode(&value), tree, "encoding what was decoded from {json}");
    assert_eq!(serde_json::from_value::<T>(tree).expect(json), value, "decoding from a tree");
    let text = serde_json::to_string(&value).expect("wire types encode");
    assert_eq!(decode::<T>(&text), value, "decoding what was encoded");
    value
}

/// All there is to know about an object with these members at most and those at least: both survive, with a member that
/// nobody knows too; `null` is absence for what need not be there; and what must be there is missed by name.
fn keeps<T>(full: &str, least: &str)
where
    T: Serialize + DeserializeOwned + Debug + PartialEq,
{
    survives::<T>(full);
    survives::<T>(least);
    let (Value::Object(full), Value::Object(least)) = (decode(full), decode(least)) else { panic!("not objects") };
    let mut strange = full.clone();
    strange.insert("x-strange".into(), serde_json::json!({"a": [null, 1.5]}));
    survives::<T>(&Value::Object(strange).to_string());
    for key in full.keys() {
        let mut without = full.clone();
        without.remove(key);
        let without = Value::Object(without).to_string();
        if least.contains_key(key) {
            match serde_json::from_str::<T>(&without) {
                // A list or a map that is left out is an empty one.
                Ok(value) => assert!(["[]", "{}"].contains(&&*encode(&value)[key].to_string()), "{key}: {without}"),
                Err(error) => assert!(error.to_string().contains(key), "{error} without {key}"),
            }
        } else {
            let mut null = full.clone();
            null.insert(key.clone(), Value::Null);
            let null: T = decode(&Value::Object(null).to_string());
            assert_eq!(null, survives::<T>(&without), "{key} is null");
        }
    }
}
