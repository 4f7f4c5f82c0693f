//! Checks of what goes over the wire, frame by frame.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Check, PerNode, require};
use crate::seen::{Facts, Seen};

/// The ids that we mint are unique.
#[derive(Default)]
pub(crate) struct WireIds(PerNode<BTreeSet<String>>);

impl Check for WireIds {
    fn name(&self) -> &'static str {
        "wire ids"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if let Seen::Sent { value, .. } = seen
            && value["method"].is_string()
            && !value["id"].is_null()
        {
            let id = value["id"].to_string();
            require!(self.0.at(facts).insert(id), "the id {} is used twice", value["id"]);
        }
        Ok(())
    }
}

/// Every frame is one valid message on one line, within its limit.
#[derive(Default)]
pub(crate) struct Frames;

impl Check for Frames {
    fn name(&self) -> &'static str {
        "frames"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let Seen::Sent { transmit, value } = seen else { return Ok(()) };
        let frame = &transmit.frame;
        require!(frame.len() <= facts.limits.frame, "{} bytes are more than {}", frame.len(), facts.limits.frame);
        require!(!transmit.last, "a stream has one exchange, which never ends");
        let text = std::str::from_utf8(frame).map_err(|error| error.to_string())?;
        let ends = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
        require!(!text.contains(ends), "a line end inside a line: {text:.300}");
        is_message(value).map_err(|why| format!("{why}: {text:.300}"))
    }
}

/// What keeps a value from being one message of JSON-RPC, in the simplest words.
fn is_message(value: &Value) -> Result<(), &'static str> {
    let Some(members) = value.as_object() else { return Err("no object") };
    if value["jsonrpc"] != "2.0" {
        return Err("no JSON-RPC 2.0");
    }
    let known = ["jsonrpc", "id", "method", "params", "result", "error"];
    if members.keys().any(|key| !known.contains(&key.as_str())) {
        return Err("a member that no message has");
    }
    let has = |key| members.contains_key(key);
    // An id that we could not read ourselves is echoed as it came.
    let has_id = value["id"].is_string() || value["id"].is_number();
    match (has("method"), has("result"), has("error")) {
        (true, false, false) => {
            let proper = value["method"].is_string() && (!has("params") || value["params"].is_object());
            if proper && (!has("id") || has_id) { Ok(()) } else { Err("an improper request or notification") }
        }
        (false, true, false) if has_id && value["result"].is_object() => Ok(()),
        (false, false, true) => {
            let error = &value["error"];
            let proper = error["code"].is_i64() && error["message"].is_string();
            let id = has_id || value["id"].is_null();
            if proper && id { Ok(()) } else { Err("an improper error") }
        }
        _ => Err("neither a request nor an answer"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_a_message() {
        let good = [
            json!({"jsonrpc": "2.0", "id": 1, "method": "m"}),
            json!({"jsonrpc": "2.0", "method": "m", "params": {}}),
            json!({"jsonrpc": "2.0", "id": "a", "result": {}}),
            json!({"jsonrpc": "2.0", "error": {"code": 1, "message": ""}}),
        ];
        let bad = [
            json!([]),
            json!({"id": 1, "method": "m"}),
            json!({"jsonrpc": "2.0", "id": 1, "method": "m", "params": []}),
            json!({"jsonrpc": "2.0", "id": null, "result": {}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": ""}}),
            json!({"jsonrpc": "2.0", "id": 1, "method": "m", "more": 1}),
        ];
        assert!(good.iter().all(|value| is_message(value).is_ok()));
        assert!(bad.iter().all(|value| is_message(value).is_err()));
    }
}
