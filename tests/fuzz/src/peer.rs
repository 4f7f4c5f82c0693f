//! What a peer could say: messages that are nearly right, about what is really open.

use mcp_proto::Connection;
use mcp_proto::model::METHODS;
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::setup;
use crate::side::{Side, VERSIONS};

/// One line, or a piece of one, for this side to read.
pub(crate) fn line(choices: &mut Choices<'_>, side: &Side) -> Vec<u8> {
    let mut text = match choices.below(16) {
        0..4 => response(choices, side),
        4..8 => request(choices),
        8..12 => notification(choices, side),
        12 => handshake(choices, &side.conn),
        13 => {
            let (one, other) = (request(choices), response(choices, side));
            if choices.one_in(4) { "[]".into() } else { format!("[{one},{other}]") }
        }
        14 => match choices.below(4) {
            0 => "{\"a\":".repeat(choices.below(200)),
            1 => format!(r#"{{"id":{},"method":"m","params":{{"a":"{}"}}}}"#, choices.below(5), "x".repeat(6000)),
            2 => "noise".into(),
            _ => r#"{"jsonrpc":"2.0","id":1,"method":"ping","id":2}"#.into(),
        },
        _ => return choices.bytes(60).to_vec(),
    };
    if !choices.one_in(20) {
        text.push('\n');
    }
    text.into_bytes()
}

/// What makes the connection ready, if it waits for that.
fn handshake(choices: &mut Choices<'_>, conn: &Connection) -> String {
    let version = VERSIONS[choices.below(VERSIONS.len())].as_str();
    if conn.version().is_none() && choices.one_in(2) {
        return r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.into();
    }
    let params = json!({"protocolVersion": version, "capabilities": *setup::CLIENT, "clientInfo": {"name": "c", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": id(choices), "method": "initialize", "params": params}).to_string()
}

fn id(choices: &mut Choices<'_>) -> Value {
    let strange = [json!("1"), json!("x"), json!(null), json!(1.5), json!(u64::MAX), json!({}), json!(-1)];
    if choices.one_in(6) { choices.any(&strange).unwrap_or_default() } else { choices.below(5).into() }
}

fn method(choices: &mut Choices<'_>) -> &'static str {
    const OTHERS: [&str; 5] = ["vendor/do", "vendor/none", "notifications/vendor/x", "", "tools/call"];
    let choice = choices.below(METHODS.len() + OTHERS.len());
    METHODS.get(choice).map_or_else(|| OTHERS[choice - METHODS.len()], |row| row.method)
}

fn request(choices: &mut Choices<'_>) -> String {
    let method = method(choices);
    let mut params = params(choices);
    if choices.one_in(2) {
        params["_meta"] = meta(choices);
    }
    json!({"jsonrpc": "2.0", "id": id(choices), "method": method, "params": params}).to_string()
}

/// Parameters that mean something to one method or another.
fn params(choices: &mut Choices<'_>) -> Value {
    let size = choices.any(&[0, 0, 0, 300, 3000]).unwrap_or_default();
    match choices.below(13) {
        0 => json!({"name": "t", "arguments": {"text": "x".repeat(size)}}),
        1 => json!({}),
        2 => json!({"uri": format!("a://{}", choices.below(4))}),
        3 => json!({"uri": format!("a://{}", "\u{2028}".repeat(size / 3))}),
        4 => json!({"level": "debug"}),
        5 => json!({"level": "error"}),
        6 => json!({"name": "t", "task": {"ttl": 1000}}),
        7 => json!({"taskId": "t1"}),
        8 => json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["a://0", "a://1"]}}),
        9 => {
            json!({"notifications": {"resourceSubscriptions": [format!("a://{}", "\u{2028}".repeat(size / 3))], "taskIds": ["t1"]}})
        }
        10 => json!({"notifications": {"resourcesListChanged": true, "promptsListChanged": true, "vendor": [1, 2]}}),
        11 => json!({"name": "t", "requestState": "s", "inputResponses": {"q": {"action": "accept", "content": {}}}}),
        _ => json!({"mode": "form", "message": "m", "requestedSchema": {"type": "object", "properties": {}}}),
    }
}

fn meta(choices: &mut Choices<'_>) -> Value {
    match choices.below(10) {
        0 => return json!({"progressToken": 7}),
        1 => return json!({"progressToken": "t"}),
        2 => return json!({}),
        3 => return json!(3),
        _ => {}
    }
    let version = VERSIONS[VERSIONS.len() - 1 - choices.below(VERSIONS.len())].as_str();
    let mut capabilities = setup::CLIENT.clone();
    if choices.one_in(2) {
        capabilities["extensions"] = json!({"vendor/x": {}, "io.modelcontextprotocol/tasks": {}});
    }
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": if choices.one_in(8) { json!({}) } else { capabilities },
        "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
    });
    if choices.one_in(2) {
        meta["progressToken"] = id(choices);
    }
    if choices.one_in(3) {
        meta["io.modelcontextprotocol/logLevel"] =
            choices.any(&[json!("debug"), json!("error"), json!(3)]).unwrap_or_default();
    }
    meta
}

/// An answer to what was really asked, mostly.
fn response(choices: &mut Choices<'_>, side: &Side) -> String {
    let latest = side.sent.len().saturating_sub(8);
    let (wire, method) = match choices.any(&side.sent[latest..]) {
        Some((wire, method)) if !choices.one_in(10) => (serde_json::to_value(wire).expect("JSON"), method),
        _ => match choices.any(&side.reserved) {
            Some(wire) => (serde_json::to_value(wire).expect("JSON"), String::new()),
            None => (id(choices), String::new()),
        },
    };
    let wire = if choices.one_in(12) { Value::from(wire.to_string()) } else { wire };
    if choices.one_in(4) {
        return json!({"jsonrpc": "2.0", "id": wire, "error": error(choices)}).to_string();
    }
    let result = match (method.as_str(), choices.below(6)) {
        ("initialize", 0..5) => json!({
            "protocolVersion": VERSIONS[choices.below(VERSIONS.len())].as_str(),
            "capabilities": *setup::SERVER, "serverInfo": {"name": "s", "version": "1"},
        }),
        ("server/discover", 0..5) => json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            "supportedVersions": [VERSIONS[VERSIONS.len() - 1 - choices.below(VERSIONS.len())].as_str()],
            "capabilities": *setup::SERVER,
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}},
        }),
        _ => result(choices),
    };
    json!({"jsonrpc": "2.0", "id": wire, "result": result}).to_string()
}

fn error(choices: &mut Choices<'_>) -> Value {
    let supported = VERSIONS[choices.below(VERSIONS.len())].as_str();
    match choices.below(7) {
        0 => json!({"code": -32601, "message": "no such method"}),
        1 => json!({"code": -32022, "message": "unsupported", "data": {"supported": [supported], "requested": "x"}}),
        2 => json!({"code": -32021, "message": "missing capability", "data": {"requiredCapabilities": {}}}),
        3 => json!({"code": -32020, "message": "header mismatch"}),
        4 => json!({"code": -32602, "message": "x".repeat(choices.below(3) * 900), "data": [1, {"a": "b"}]}),
        5 => json!({"code": "x"}),
        _ => json!(null),
    }
}

fn result(choices: &mut Choices<'_>) -> Value {
    let form = || {
        let schema = json!({"type": "object", "properties": {}});
        json!({"method": "elicitation/create", "params": {"mode": "form", "message": "m", "requestedSchema": schema}})
    };
    let state = "s".repeat(choices.below(4) * 700);
    match choices.below(13) {
        0 => json!({"resultType": "complete", "content": []}),
        1 => json!({}),
        2 => {
            json!({"resultType": "input_required", "inputRequests": {"a": form(), "b": {"method": "roots/list"}}, "requestState": state})
        }
        3 => json!({"resultType": "input_required", "inputRequests": {"a": form()}}),
        4 => json!({"resultType": "input_required", "requestState": state}),
        5 => json!({"resultType": "input_required"}),
        6 => json!({"resultType": "input_required", "inputRequests": {"a": {"method": "vendor/x"}}}),
        7 => {
            json!({"resultType": "task", "taskId": "t1", "status": "working", "createdAt": "", "lastUpdatedAt": "", "ttlMs": null})
        }
        8 => json!({"task": {"taskId": "t1", "status": "working", "createdAt": "", "lastUpdatedAt": "", "ttl": null}}),
        9 => json!({"resultType": "vendor"}),
        10 => json!({"resultType": "strange"}),
        11 => json!({"resultType": 3, "_meta": {}}),
        _ => json!([]),
    }
}

fn notification(choices: &mut Choices<'_>, side: &Side) -> String {
    let latest = side.sent.len().saturating_sub(8);
    let token = match choices.any(&side.sent[latest..]) {
        Some((wire, _)) if !choices.one_in(6) => serde_json::to_value(wire).expect("JSON"),
        _ => id(choices),
    };
    let progress =
        choices.any(&[json!(1), json!(2.5), json!(3), json!(-1), json!("x"), json!(1e300)]).unwrap_or_default();
    let tag = json!({"io.modelcontextprotocol/subscriptionId": token});
    let (method, params) = match choices.below(11) {
        0 => ("notifications/progress", json!({"progressToken": token, "progress": progress, "message": "m"})),
        1 => ("notifications/cancelled", json!({"requestId": id(choices), "reason": "r"})),
        2 => ("notifications/cancelled", json!({"requestId": token})),
        3 => ("notifications/cancelled", json!({})),
        4 => ("notifications/initialized", json!({})),
        5 => ("notifications/tools/list_changed", json!({"_meta": tag})),
        6 => ("notifications/subscriptions/acknowledged", json!({"notifications": {}, "_meta": tag})),
        7 => ("notifications/resources/updated", json!({"uri": "a://0", "_meta": tag})),
        8 => ("notifications/message", json!({"level": "info", "data": 1})),
        9 => (
            "notifications/tasks/status",
            json!({"taskId": "t1", "status": "completed", "createdAt": "", "lastUpdatedAt": "", "ttl": null}),
        ),
        _ => ("notifications/vendor/x", json!({"_meta": 3})),
    };
    json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string()
}
