//! `headers`: values, mirrored arguments and routing headers, against readers that go by `serde_json::Value`.

use std::collections::BTreeMap;

use mcp_proto::http::headers::{self, HeaderFault, ParamHeaders, check_routing, decode_value, encode_value};
use mcp_proto::jsonrpc::{ErrorCode, Kind, Message};
use mcp_proto::model::meta_key;
use mcp_proto::{ErrorObject, Limits};
use serde_json::{Map, Value};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The bytes: which part, and what it is given.
pub fn headers(data: &[u8]) {
    let Some((part, rest)) = data.split_first() else { return };
    match part % 4 {
        0 => value(rest),
        1 => integers(rest),
        2 => arguments(rest),
        _ => routing(rest),
    }
}

/// A value that a peer has sent, and text that we send.
fn value(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        assert_eq!(decode_value(&value).map(Into::into), decoded(bytes), "the value as a naive reader sees it");
    }
    let text = String::from_utf8_lossy(bytes);
    let sent = encode_value(&text);
    assert!(sent.as_bytes().iter().all(|byte| (0x20..0x7F).contains(byte)), "nothing breaks out of a header");
    assert_eq!(decode_value(&sent).as_deref(), Ok(&*text), "what was sent arrives");
    let is_plain = text.bytes().all(|byte| (0x20..0x7F).contains(&byte)) && text.trim() == text;
    assert_eq!(
        sent == *text,
        is_plain && !(text.starts_with("=?base64?") && text.ends_with("?=")),
        "encoded where it has to be"
    );
}

fn decoded(bytes: &[u8]) -> Result<String, HeaderFault> {
    if !bytes.iter().all(|byte| *byte == b'\t' || (0x20..0x7F).contains(byte)) {
        return Err(HeaderFault::Character);
    }
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let text = text.trim_matches([' ', '\t']);
    if text.len() < 11 || !text.starts_with("=?base64?") || !text.ends_with("?=") {
        return Ok(text.into());
    }
    let bytes = from_base64(&text[9..text.len() - 2]).ok_or(HeaderFault::Base64)?;
    String::from_utf8(bytes).map_err(|_| HeaderFault::Utf8)
}

/// Bit by bit.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bits = Vec::new();
    for digit in digits.chars() {
        let number = ALPHABET.find(digit)?;
        bits.extend((0..6).rev().map(|bit| number >> bit & 1 == 1));
    }
    let bytes: Vec<u8> =
        bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect();
    // What fills the last digit is zeros, and less than a digit.
    let rest = &bits[bytes.len() * 8..];
    (rest.len() < 6 && rest.iter().all(|bit| !bit)).then_some(bytes)
}

/// A number as an argument, and what a header says of it.
fn integers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some((argument, said)) = text.split_once('\n') else { return };
    let schema = serde_json::json!({ "properties": { "i": { "type": "integer", "x-mcp-header": "I" } } });
    let mirrored = ParamHeaders::of_schema(&schema).expect("a fine schema");
    let message = call(&format!("{{\"i\":{argument}}}"));
    let (Some(arguments), Ok(value)) = (message.arguments(), HeaderValue::from_str(said)) else { return };
    let Ok(Value::Object(object)) = arguments.decode::<Value>() else { return };
    if object.len() != 1 || object.get("i").is_none_or(Value::is_null) {
        return;
    }
    let verdict = mirrored
        .check(&HeaderMap::from_iter([(HeaderName::from_static("mcp-param-i"), value.clone())]), Some(arguments));
    let decoded = decode_value(&value).ok();
    let same = integer(argument.trim()).is_some_and(|number| decoded.and_then(|text| integer(&text)) == Some(number));
    assert_eq!(verdict.is_ok(), same, "{argument} {said}");
}

/// By moving the point one place at a time, on paper.
fn integer(text: &str) -> Option<i64> {
    // What is no number of JSON is none here. Its value is not looked at: a float would round.
    serde_json::from_str::<&serde_json::value::RawValue>(text).ok().filter(|raw| raw.get() == text)?;
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or((1, whole), |whole| (-1, whole));
    if whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0') {
        return Some(0);
    }
    let exponent: i64 = exponent.parse().ok().filter(|exponent| (-5000..5000).contains(exponent))?;
    let (mut whole, mut fraction) = (whole.as_bytes().to_vec(), fraction.as_bytes().to_vec());
    for _ in 0..exponent.unsigned_abs() {
        if exponent > 0 {
            whole.push(if fraction.is_empty() { b'0' } else { fraction.remove(0) });
        } else {
            fraction.insert(0, whole.pop().unwrap_or(b'0'));
        }
    }
    if fraction.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let digits = String::from_utf8(whole).ok()?;
    let number: i64 = if digits.is_empty() { 0 } else { digits.trim_start_matches('0').parse().unwrap_or(i64::MAX) };
    (number <= 9_007_199_254_740_991).then_some(sign * number)
}

fn call(arguments: &str) -> Message {
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#);
    Message::scan(body.as_bytes(), &Limits::default())
}

/// A schema, arguments, and headers, a line each.
fn arguments(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let Ok(schema) = serde_json::from_str::<Value>(lines.next().unwrap_or_default()) else { return };
    let mut annotated = Some(BTreeMap::new());
    walk(&schema, Some(&mut Vec::new()), true, &mut annotated);
    let mirrored = match ParamHeaders::of_schema(&schema) {
        Ok(mirrored) => mirrored,
        Err(fault) => {
            assert!(annotated.is_none(), "{fault}: a naive reader finds {annotated:?}");
            return;
        }
    };
    let annotated = annotated.expect("a naive reader finds a fault");
    let names: Vec<&str> = mirrored.names().map(HeaderName::as_str).collect();
    assert!(names.iter().all(|name| annotated.contains_key(*name)) && names.len() == annotated.len(), "{names:?}");

    let Ok(arguments) = serde_json::from_str::<Map<String, Value>>(lines.next().unwrap_or_default()) else { return };
    let message = call(&Value::Object(arguments.clone()).to_string());
    let Some(raw) = message.arguments() else { return };
    let expected: Option<BTreeMap<&str, String>> = annotated
        .iter()
        .filter_map(|(name, (path, kind))| {
            let value =
                path[1..].iter().try_fold(arguments.get(&path[0])?, |value, key| value.as_object()?.get(key))?;
            if value.is_null() { None } else { Some(said(value, kind).map(|said| (&**name, said))) }
        })
        .collect();
    let sent = mirrored.encode(Some(raw)).ok();
    let decoded = sent.as_ref().map(|sent| {
        let pairs =
            sent.iter().map(|(name, value)| (name.as_str(), decode_value(value).expect("what we send").into_owned()));
        pairs.collect::<BTreeMap<&str, String>>()
    });
    assert_eq!(decoded, expected, "what is mirrored");
    if let Some(sent) = &sent {
        let map: HeaderMap = sent.iter().cloned().collect();
        assert_eq!(mirrored.check(&map, Some(raw)), Ok(()), "what we send is what we take");
        assert_eq!(mirrored.check(&HeaderMap::new(), Some(raw)).is_ok(), map.is_empty(), "none is missing");
        assert_eq!(mirrored.check(&map, None).is_ok(), map.is_empty(), "none is too many");
    }
    // Whatever else a peer may say.
    let map = map(lines);
    if mirrored.check(&map, Some(raw)).is_ok() {
        for (name, said) in expected.expect("all can be said") {
            let values: Vec<_> = map.get_all(name).iter().collect();
            assert_eq!(values.len(), 1, "{name}");
            let heard = decode_value(values[0]).expect("what was taken");
            assert!(*heard == *said || integer(&heard) == integer(&said), "{name}: {heard:?} for {said:?}");
        }
    }
}

/// The annotations of a schema: header, path and type; none if one of them breaks a rule.
fn walk(
    schema: &Value,
    path: Option<&mut Vec<String>>,
    is_root: bool,
    found: &mut Option<BTreeMap<String, (Vec<String>, String)>>,
) {
    if let Value::Array(elements) = schema {
        elements.iter().for_each(|element| walk(element, None, false, found));
    }
    let Value::Object(members) = schema else { return };
    if let Some(annotation) = members.get("x-mcp-header") {
        *found = found.take().and_then(|mut map| {
            let path = path.as_ref().filter(|_| !is_root)?;
            let name = annotation.as_str().filter(|name| !name.is_empty() && name.len() < 1000)?;
            let is_token = |sign: char| sign.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(sign);
            let kind = members.get("type")?.as_str().filter(|kind| ["string", "integer", "boolean"].contains(kind))?;
            if !name.chars().all(is_token) {
                return None;
            }
            let header = format!("mcp-param-{name}").to_lowercase();
            let is_new = map.insert(header, ((*path).clone(), kind.to_owned())).is_none();
            is_new.then_some(map)
        });
    }
    let mut path = path;
    for (key, value) in members {
        match key.as_str() {
            "x-mcp-header" | "const" | "default" | "enum" | "example" | "examples" => {}
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependencies" | "dependentSchemas" => {
                let Value::Object(named) = value else {
                    walk(value, None, false, found);
                    continue;
                };
                for (name, value) in named {
                    if let Some(path) = path.as_deref_mut().filter(|_| key == "properties") {
                        path.push(name.clone());
                        walk(value, Some(path), false, found);
                        path.pop();
                    } else {
                        walk(value, None, false, found);
                    }
                }
            }
            _ => walk(value, None, false, found),
        }
    }
}

/// What a header says of an argument of this type; none if it cannot.
fn said(value: &Value, kind: &str) -> Option<String> {
    match (value, kind) {
        (Value::String(text), "string") => Some(text.clone()),
        (Value::Bool(fact), "boolean") => Some(fact.to_string()),
        (Value::Number(number), "integer") => integer(&number.to_string()).map(|number| number.to_string()),
        _ => None,
    }
}

/// `name: value`, a line each.
fn map<'a>(lines: impl Iterator<Item = &'a str>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    map
}

/// A message, and headers, a line each.
fn routing(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let message = Message::scan(lines.next().unwrap_or_default().as_bytes(), &Limits::default());
    let Ok(body) = serde_json::from_str::<Value>(message.text()) else { return };
    if !matches!(message.kind(), Kind::Request | Kind::Notification) {
        return;
    }
    let map = map(lines);
    let verdict: Result<(), ErrorObject> = check_routing(&map, &message);
    if let Err(error) = &verdict {
        assert_eq!(error.code, ErrorCode::HEADER_MISMATCH);
        assert!(error.message.len() < 2000, "{error}");
    }
    let agrees = |name: &HeaderName, said: Option<&str>, is_needed: bool, read: fn(&HeaderValue) -> Option<String>| {
        let values: Vec<_> = map.get_all(name).iter().collect();
        match (&values[..], said) {
            ([], said) => !is_needed || (said.is_none() && *name == headers::NAME),
            ([one], Some(said)) => read(one).as_deref() == Some(said),
            // What no body has to say, no header may say; but a body without revision is refused elsewhere.
            ([one], None) => read(one).is_some() && *name != headers::NAME,
            _ => false,
        }
    };
    let plain = |value: &HeaderValue| value.to_str().ok().map(|text| text.trim_matches([' ', '\t']).to_owned());
    let decoded = |value: &HeaderValue| decoded(value.as_bytes()).ok();
    let params = body.get("params");
    let version = params.and_then(|it| it.get("_meta")?.get(meta_key::PROTOCOL_VERSION)?.as_str());
    let member = match message.method() {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    };
    let fine = agrees(&headers::PROTOCOL_VERSION, version, true, plain)
        && agrees(&headers::METHOD, body["method"].as_str(), message.kind() == Kind::Request, plain)
        && member
            .is_none_or(|member| agrees(&headers::NAME, params.and_then(|it| it.get(member)?.as_str()), true, decoded));
    // Members that stand twice are refused; a tree does not show them.
    if verdict.is_ok() || message.text().matches("taskId").count() + message.text().matches('\\').count() < 2 {
        let is_doubled = message.text().matches(meta_key::PROTOCOL_VERSION).count() > 1;
        assert!(verdict.is_ok() == fine || (is_doubled && verdict.is_err()), "{verdict:?} {map:?}");
    }
}
