//! Tests of the wire types: what they keep, what they refuse, and what they say when they refuse.

mod content;
mod lifecycle;
mod requests;
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
