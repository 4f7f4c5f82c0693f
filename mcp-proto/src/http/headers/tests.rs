//! Values of headers, and whether they say what the body says (specification: basic/transports/streamable-http; server/tools, x-mcp-header).

use alloc::borrow::Cow;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{Annotation, HeaderFault, ParamHeaders, check_routing, decode_value, encode_value};
use crate::Limits;
use crate::jsonrpc::{ErrorCode, ErrorObject, Message};

/// Headers, in this order.
type Pairs = [(&'static str, &'static str)];

/// Text, and how it travels.
const VALUES: &Pairs = &[
    ("", ""),
    ("us-west1", "us-west1"),
    ("two words", "two words"),
    ("a  b", "a  b"),
    ("~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}", "~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}"),
    ("=?base64?", "=?base64?"),
    ("=?base64?x", "=?base64?x"),
    ("x?=", "x?="),
    ("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="),
    ("=?utf-8?q?x?=", "=?utf-8?q?x?="),
    ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
    (" padded ", "=?base64?IHBhZGRlZCA=?="),
    (" ", "=?base64?IA==?="),
    ("a ", "=?base64?YSA=?="),
    ("\ta", "=?base64?CWE=?="),
    ("a\tb", "=?base64?YQli?="),
    ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
    ("a\r\nX: y", "=?base64?YQ0KWDogeQ==?="),
    ("\0", "=?base64?AA==?="),
    ("\u{7f}", "=?base64?fw==?="),
    ("\u{80}", "=?base64?woA=?="),
    ("é", "=?base64?w6k=?="),
    ("=?base64?SGVsbG8=?=", "=?base64?PT9iYXNlNjQ/U0dWc2JHOD0/PQ==?="),
    ("=?base64??=", "=?base64?PT9iYXNlNjQ/Pz0=?="),
    ("=?base64?=", "=?base64?PT9iYXNlNjQ/PQ==?="),
    ("=?base64?no base64?=", "=?base64?PT9iYXNlNjQ/bm8gYmFzZTY0Pz0=?="),
];

/// "When a value cannot be safely represented as a plain ASCII header value, clients MUST use Base64 encoding" (specification:
/// basic/transports/streamable-http, Value Encoding).
#[test]
fn pain_42_values_are_encoded_where_a_header_cannot_carry_them() {
    for (text, expected) in VALUES {
        let value = encode_value(text);
        assert_eq!(value, *expected, "{text:?}");
        assert!(value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
        assert_eq!(decode_value(&value).as_deref(), Ok(*text));
    }
}

#[test]
fn values_that_say_nothing_are_told_apart() {
    let table: &[(&[u8], Result<&str, HeaderFault>)] = &[
        (b" a\t", Ok("a")),
        (b"a\tb", Ok("a\tb")),
        (b"=?base64??=", Ok("")),
        (b" =?base64?w6k=?= ", Ok("é")),
        (b"=?base64?w6k=?=x", Ok("=?base64?w6k=?=x")),
        (b"=?Base64?w6k=?=", Ok("=?Base64?w6k=?=")),
        (b"=?base64?DQo=?=", Ok("\r\n")),
        (b"caf\xE9", Err(HeaderFault::Character)),
        (b"caf\xC3\xA9", Err(HeaderFault::Character)),
        (b"=?base64?\xFF?=", Err(HeaderFault::Character)),
        // Base64 with padding, and nothing beside it.
        (b"=?base64?w6k?=", Err(HeaderFault::Base64)),
        (b"=?base64?w6k==?=", Err(HeaderFault::Base64)),
        (b"=?base64?w6l=?=", Err(HeaderFault::Base64)),
        (b"=?base64? w6k=?=", Err(HeaderFault::Base64)),
        (b"=?base64?w6k=\t?=", Err(HeaderFault::Base64)),
        (b"=?base64?-_-_?=", Err(HeaderFault::Base64)),
        (b"=?base64?%%%?=", Err(HeaderFault::Base64)),
        (b"=?base64?w6k=w6k=?=", Err(HeaderFault::Base64)),
        (b"=?base64?w6k=?=?=", Err(HeaderFault::Base64)),
        (b"=?base64?/w==?=", Err(HeaderFault::Utf8)),
        (b"=?base64?7aCA?=", Err(HeaderFault::Utf8)),
        (b"=?base64?wIA=?=", Err(HeaderFault::Utf8)),
    ];
    for (bytes, expected) in table {
        let value = HeaderValue::from_bytes(bytes).unwrap();
        assert_eq!(decode_value(&value), expected.map(Cow::Borrowed), "{:?}", String::from_utf8_lossy(bytes));
    }
    // Line ends and NUL do not even come here.
    for bytes in [&b"a\r\nb"[..], b"a\nb", b"a\rb", b"a\0b", b"\x7F"] {
        assert!(HeaderValue::from_bytes(bytes).is_err());
    }
}

fn scan(body: &str) -> Message {
    Message::scan(body.as_bytes(), &Limits::default())
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        map.append::<HeaderName>(name, value);
    }
    map
}

/// The verdict, which is −32020 or nothing, and the header that its message begins with.
fn blamed(verdict: Result<(), ErrorObject>) -> Option<String> {
    let error = verdict.err()?;
    assert_eq!(error.code, ErrorCode::HEADER_MISMATCH, "{error}");
    assert!(error.message.len() < 400, "{error}");
    Some(error.message.split(':').next().unwrap_or_default().into())
}

const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

/// A request with this method and these members of `params` beside `_meta`.
fn request(method: &str, members: &str) -> Message {
    scan(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":{},"params":{{{members}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#,
        json!(method)
    ))
}

/// "Servers ... MUST reject requests where the values specified in the headers do not match the values in the request body"
/// (specification: basic/transports/streamable-http, Server Validation): method, members of the body, headers, and which of them is at
/// fault.
#[test]
fn pain_27_routing_headers_say_what_the_body_says() {
    const METHOD: &str = "mcp-method";
    const NAME: &str = "mcp-name";
    let call = r#""name":"add","#;
    let table: &[(&str, &str, &Pairs, Option<&str>)] = &[
        ("tools/list", "", &[VERSION, (METHOD, "tools/list")], None),
        ("tools/list", "", &[("MCP-PROTOCOL-VERSION", "2026-07-28"), ("Mcp-Method", " tools/list\t")], None),
        // The revision.
        ("tools/list", "", &[(METHOD, "tools/list")], Some("mcp-protocol-version")),
        ("tools/list", "", &[VERSION, VERSION, (METHOD, "tools/list")], Some("mcp-protocol-version")),
        (
            "tools/list",
            "",
            &[("mcp-protocol-version", "2025-11-25"), (METHOD, "tools/list")],
            Some("mcp-protocol-version"),
        ),
        ("tools/list", "", &[("mcp-protocol-version", ""), (METHOD, "tools/list")], Some("mcp-protocol-version")),
        (
            "tools/list",
            "",
            &[("mcp-protocol-version", "2026-07-28, 2026-07-28"), (METHOD, "tools/list")],
            Some("mcp-protocol-version"),
        ),
        (
            "tools/list",
            "",
            &[("mcp-protocol-version", "=?base64?MjAyNi0wNy0yOA==?="), (METHOD, "tools/list")],
            Some("mcp-protocol-version"),
        ),
        // The method: with regard to case, and never encoded, or a gateway that forbids a method would not see it.
        ("tools/list", "", &[VERSION], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "")], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "Tools/List")], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "tools/call")], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "tools/list"), (METHOD, "tools/list")], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "tools/list"), (METHOD, "tools/call")], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "tools/list, tools/list")], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "=?base64?dG9vbHMvbGlzdA==?=")], Some(METHOD)),
        ("tools/list", "", &[VERSION, (METHOD, "tools/list\u{e9}")], Some(METHOD)),
        ("é", "", &[VERSION, (METHOD, "é")], Some(METHOD)),
        // The name.
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "add")], None),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "=?base64?YWRk?=")], None),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "Add")], Some(NAME)),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "sub")], Some(NAME)),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "=?base64?YWRk?")], Some(NAME)),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "=?base64?YWR?=")], Some(NAME)),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "")], Some(NAME)),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call")], Some(NAME)),
        ("tools/call", call, &[VERSION, (METHOD, "tools/call"), (NAME, "add"), (NAME, "add")], Some(NAME)),
        ("tools/call", r#""name":"a\u0064d","#, &[VERSION, (METHOD, "tools/call"), (NAME, "add")], None),
        ("tools/call", r#""name":"café","#, &[VERSION, (METHOD, "tools/call"), (NAME, "=?base64?Y2Fmw6k=?=")], None),
        ("tools/call", r#""name":"café","#, &[VERSION, (METHOD, "tools/call"), (NAME, "café")], Some(NAME)),
        ("tools/call", r#""name":"","#, &[VERSION, (METHOD, "tools/call"), (NAME, "")], None),
        ("tools/call", r#""name":"","#, &[VERSION, (METHOD, "tools/call")], Some(NAME)),
        ("prompts/get", r#""name":"p","uri":"x","#, &[VERSION, (METHOD, "prompts/get"), (NAME, "p")], None),
        ("resources/read", r#""name":"p","uri":"x:y","#, &[VERSION, (METHOD, "resources/read"), (NAME, "x:y")], None),
        (
            "resources/read",
            r#""name":"p","uri":"x:y","#,
            &[VERSION, (METHOD, "resources/read"), (NAME, "p")],
            Some(NAME),
        ),
        ("tasks/get", r#""taskId":"t","#, &[VERSION, (METHOD, "tasks/get"), (NAME, "t")], None),
        ("tasks/update", r#""taskId":"t","#, &[VERSION, (METHOD, "tasks/update"), (NAME, "u")], Some(NAME)),
        ("tasks/cancel", r#""taskId":"t","#, &[VERSION, (METHOD, "tasks/cancel")], Some(NAME)),
        ("tasks/get", r#""taskId":"t","taskId":"u","#, &[VERSION, (METHOD, "tasks/get"), (NAME, "u")], Some(NAME)),
        ("tasks/get", r#""taskId":"t","t\u0061skId":1,"#, &[VERSION, (METHOD, "tasks/get"), (NAME, "t")], Some(NAME)),
        // Where the body has none, whoever decodes the parameters says so; but then the header may say nothing either.
        ("tools/call", "", &[VERSION, (METHOD, "tools/call")], None),
        ("tools/call", r#""name":1,"#, &[VERSION, (METHOD, "tools/call")], None),
        ("tools/call", r#""name":1,"#, &[VERSION, (METHOD, "tools/call"), (NAME, "1")], Some(NAME)),
        ("tools/call", r#""nam\u0065":"x","Name":"y","#, &[VERSION, (METHOD, "tools/call"), (NAME, "x")], None),
        // Others have no name.
        ("tools/list", call, &[VERSION, (METHOD, "tools/list"), (NAME, "x")], None),
        ("completion/complete", r#""name":"x","#, &[VERSION, (METHOD, "completion/complete")], None),
    ];
    for (method, members, pairs, expected) in table {
        let verdict = check_routing(&headers(pairs), &request(method, members));
        assert_eq!(blamed(verdict).as_deref(), *expected, "{method} {members} {pairs:?}");
    }
}

/// A notification need not say its method, but may not say another one.
#[test]
fn routing_headers_of_notifications() {
    let message = scan(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    let table: &[(&Pairs, Option<&str>)] = &[
        (&[VERSION], None),
        (&[VERSION, ("mcp-method", "notifications/cancelled")], None),
        (&[VERSION, ("mcp-method", "notifications/progress")], Some("mcp-method")),
        (&[], Some("mcp-protocol-version")),
    ];
    for (pairs, expected) in table {
        assert_eq!(blamed(check_routing(&headers(pairs), &message)).as_deref(), *expected, "{pairs:?}");
    }
}

/// What an error tells is short and shows both sides.
#[test]
fn what_is_told_of_a_mismatch() {
    let message = request("tools/call", r#""name":"add","#);
    let told = |name: &str| {
        let map = headers(&[VERSION, ("mcp-method", "tools/call"), ("mcp-name", name)]);
        check_routing(&map, &message).unwrap_err().message
    };
    assert_eq!(told("sub"), r#"mcp-name: the header says "sub", params.name says "add""#);
    assert_eq!(told("=?base64?AA==?="), r#"mcp-name: the header says "\0", params.name says "add""#);
    assert!(told(&"x".repeat(5000)).len() < 200);
}

/// A schema with these properties.
fn schema(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties })
}

/// Annotations, and which rule they break where.
#[test]
fn annotations_that_break_a_rule_are_refused() {
    let annotated = || json!({ "type": "string", "x-mcp-header": "A" });
    let named = |name: Value| schema(json!({ "a": { "type": "string", "x-mcp-header": name } }));
    let typed = |kind: Value| schema(json!({ "a": { "type": kind, "x-mcp-header": "A" } }));
    let a = "inputSchema.properties.a";
    let mut table = Vec::from([
        (named(json!("")), a, Annotation::NotAName),
        (named(json!(1)), a, Annotation::NotAString),
        (named(Value::Null), a, Annotation::NotAString),
        (named(json!(["A"])), a, Annotation::NotAString),
        (named(json!("x".repeat(100_000))), a, Annotation::TooLong),
        (typed(json!("number")), a, Annotation::WrongType),
        (typed(json!("object")), a, Annotation::WrongType),
        (typed(json!("array")), a, Annotation::WrongType),
        (typed(json!("null")), a, Annotation::WrongType),
        (typed(json!("String")), a, Annotation::WrongType),
        (typed(json!(["string"])), a, Annotation::WrongType),
        (typed(json!(["string", "null"])), a, Annotation::WrongType),
        (typed(Value::Null), a, Annotation::WrongType),
        (schema(json!({ "a": { "x-mcp-header": "A" } })), a, Annotation::WrongType),
        (schema(json!({ "a": { "x-mcp-header": "A", "$ref": "#/$defs/s" } })), a, Annotation::WrongType),
        (
            schema(json!({ "a": annotated(), "b": { "type": "string", "x-mcp-header": "a" } })),
            "inputSchema.properties.b",
            Annotation::Repeated,
        ),
        (
            schema(json!({ "a": annotated(), "b": { "properties": { "c": annotated() } } })),
            "inputSchema.properties.b.properties.c",
            Annotation::Repeated,
        ),
        (json!({ "type": "string", "x-mcp-header": "A" }), "inputSchema", Annotation::OutOfReach),
        (json!([annotated()]), "inputSchema.0", Annotation::OutOfReach),
        (
            schema(json!({ "a": { "properties": { "b": { "items": { "properties": { "c": annotated() } } } } } })),
            "inputSchema.properties.a.properties.b.items.properties.c",
            Annotation::OutOfReach,
        ),
        (json!({ "properties": [annotated()] }), "inputSchema.properties.0", Annotation::OutOfReach),
        (json!({ "properties": { "a": [annotated()] } }), "inputSchema.properties.a.0", Annotation::OutOfReach),
        (json!({ "x-unknown": { "y": annotated() } }), "inputSchema.x-unknown.y", Annotation::OutOfReach),
    ]);
    for wrong in [
        "a b", "a:b", "a\r\nb", "a\0", "é", "a/b", "a(b)", "\"a\"", "a,b", "a\u{7f}", "{a}", "a;", "a=", "a@b", "[a]",
        "a\\b", "\t",
    ] {
        table.push((named(json!(wrong)), a, Annotation::NotAName));
    }
    for keyword in [
        "items",
        "additionalProperties",
        "additionalItems",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    ] {
        let place = format!("inputSchema.{keyword}");
        table.push((json!({ keyword: annotated() }), String::leak(place), Annotation::OutOfReach));
    }
    for keyword in ["oneOf", "anyOf", "allOf", "prefixItems", "items"] {
        let place = format!("inputSchema.{keyword}.1");
        table.push((json!({ keyword: [{}, annotated()] }), String::leak(place), Annotation::OutOfReach));
    }
    for keyword in ["$defs", "definitions", "patternProperties", "dependentSchemas", "dependencies"] {
        let place = format!("inputSchema.{keyword}.x");
        table.push((json!({ keyword: { "x": annotated() } }), String::leak(place), Annotation::OutOfReach));
        // Also where arguments are reached from.
        let place = format!("inputSchema.properties.a.{keyword}.x");
        let nested = schema(json!({ "a": { keyword: { "x": annotated() } } }));
        table.push((nested, String::leak(place), Annotation::OutOfReach));
    }
    for (schema, place, broken) in table {
        let fault = ParamHeaders::of_schema(&schema).unwrap_err();
        assert_eq!((&*fault.place, fault.broken), (place, broken), "{schema}");
        assert!(fault.to_string().contains("x-mcp-header"), "{fault}");
    }
}

#[test]
fn annotations_that_are_fine() {
    let table = [
        (json!({}), 0),
        (json!(true), 0),
        (schema(json!({ "a": true, "b": { "type": "string" } })), 0),
        (schema(json!({ "a": { "type": "string", "x-mcp-header": "Method" } })), 1),
        (schema(json!({ "a": { "type": "string", "x-mcp-header": "!#$%&'*+-.^_`|~09Az" } })), 1),
        (
            schema(
                json!({ "a": { "type": "integer", "x-mcp-header": "A" }, "b": { "type": "boolean", "x-mcp-header": "B" } }),
            ),
            2,
        ),
        (
            schema(
                json!({ "o": { "type": "object", "properties": { "p": { "properties": { "q": { "type": "string", "x-mcp-header": "Q" } } } } } }),
            ),
            1,
        ),
        (
            schema(
                json!({ "a": { "type": "string", "x-mcp-header": "A", "properties": { "b": { "type": "string", "x-mcp-header": "B" } } } }),
            ),
            2,
        ),
        (
            schema(
                json!({ "a": { "type": "string", "x-mcp-header": "A", "enum": ["x"], "anyOf": [{}], "minLength": 1 } }),
            ),
            1,
        ),
        // The keyword's name as the name of something else.
        (schema(json!({ "x-mcp-header": { "type": "string" } })), 0),
        (schema(json!({ "x-mcp-header": { "type": "string", "x-mcp-header": "A" } })), 1),
        (json!({ "$defs": { "x-mcp-header": { "type": "string" } }, "patternProperties": { "x-mcp-header": {} } }), 0),
        (
            json!({ "default": { "x-mcp-header": "A" }, "const": { "x-mcp-header": 1 }, "examples": [{ "x-mcp-header": 1 }] }),
            0,
        ),
        (json!({ "enum": [{ "x-mcp-header": "A" }], "required": ["x-mcp-header"] }), 0),
        // Names of keywords as names of properties.
        (schema(json!({ "items": { "properties": { "properties": { "type": "string", "x-mcp-header": "A" } } } })), 1),
        (
            schema(
                json!({ "default": { "type": "string", "x-mcp-header": "A" }, "properties": { "type": "string", "x-mcp-header": "B" } }),
            ),
            2,
        ),
    ];
    for (schema, count) in table {
        let mirrored = ParamHeaders::of_schema(&schema).unwrap();
        assert_eq!(mirrored.names().count(), count, "{schema}");
        assert_eq!(mirrored.is_empty(), count == 0);
    }
}

/// A schema that is nested deeper than any text may be is read all the same, as one that was built by hand might be.
#[test]
fn deep_schemas_end_in_a_fault_and_not_in_a_stack_overflow() {
    let mut deep = json!({ "type": "string", "x-mcp-header": "A" });
    for _ in 0..128 {
        deep = schema(json!({ "a": deep }));
    }
    let mirrored = ParamHeaders::of_schema(&deep).unwrap();
    assert_eq!(mirrored.names().count(), 1);
    deep = schema(json!({ "a": deep }));
    assert_eq!(ParamHeaders::of_schema(&deep).unwrap_err().broken, Annotation::TooDeep);
}

fn call(arguments: &str) -> Message {
    scan(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#
    ))
}

fn mirrored() -> ParamHeaders {
    ParamHeaders::of_schema(&schema(json!({
        "s": { "type": "string", "x-mcp-header": "S" },
        "i": { "type": "integer", "x-mcp-header": "I" },
        "b": { "type": "boolean", "x-mcp-header": "B" },
        "o": { "type": "object", "properties": { "p": { "type": "object", "properties": {
            "s": { "type": "string", "x-mcp-header": "Deep" },
            "t": { "type": "string", "x-mcp-header": "Deep-T" },
        }}}},
        "free": { "type": "string" },
    })))
    .unwrap()
}

/// "Servers MUST reject requests with missing, malformed or mismatched parameter headers" (specification:
/// basic/transports/streamable-http, Server Validation): arguments, headers, and which of them is at fault.
#[test]
fn mirrored_headers_say_what_the_arguments_say() {
    const S: &str = "mcp-param-s";
    const I: &str = "mcp-param-i";
    const B: &str = "mcp-param-b";
    const DEEP: &str = "mcp-param-deep";
    let table: &[(&str, &Pairs, Option<&str>)] = &[
        ("{}", &[], None),
        ("null", &[], None),
        (r#"{"free":"x","S":"x"}"#, &[], None),
        ("{}", &[("mcp-param-free", "x"), ("mcp-param-unknown", "y"), ("mcp-param-unknown", "z")], None),
        // Strings: exactly.
        (r#"{"s":"x"}"#, &[(S, "x")], None),
        (r#"{"s":"x"}"#, &[("Mcp-Param-S", " x ")], None),
        (r#"{"s":"x"}"#, &[(S, "=?base64?eA==?=")], None),
        (r#"{"s":" x"}"#, &[(S, "=?base64?IHg=?=")], None),
        (r#"{"s":""}"#, &[(S, "")], None),
        (r#"{"\u0073":"\u0078"}"#, &[(S, "x")], None),
        (r#"{"s":"x"}"#, &[(S, "X")], Some(S)),
        (r#"{"s":" x"}"#, &[(S, " x")], Some(S)),
        (r#"{"s":"x"}"#, &[], Some(S)),
        (r#"{"s":""}"#, &[], Some(S)),
        (r#"{"s":"x"}"#, &[(S, "x"), (S, "x")], Some(S)),
        (r#"{"s":"x"}"#, &[(S, "x, x")], Some(S)),
        (r#"{"s":"é"}"#, &[(S, "é")], Some(S)),
        (r#"{"s":"x"}"#, &[(S, "=?base64?eA?=")], Some(S)),
        (r#"{"s":"\ud800"}"#, &[(S, "x")], Some(S)),
        (r#"{"s":"null"}"#, &[(S, "null")], None),
        // None for what is absent or null, at the exact path.
        (r#"{"s":null}"#, &[], None),
        (r#"{"s":null}"#, &[(S, "null")], Some(S)),
        (r#"{"s":null}"#, &[(S, "")], Some(S)),
        ("{}", &[(S, "x")], Some(S)),
        ("null", &[(S, "x")], Some(S)),
        (r#"{"o":{"s":"x"}}"#, &[(S, "x")], Some(S)),
        (r#"{"s":"x","s":"y"}"#, &[(S, "x")], Some(S)),
        (r#"{"s":"x","s":"y"}"#, &[(S, "y")], Some(S)),
        (r#"{"s":"x","\u0073":"x"}"#, &[(S, "x")], Some(S)),
        (r#"{"s":null,"s":"x"}"#, &[(S, "x")], Some(S)),
        // Integers: as numbers.
        (r#"{"i":42}"#, &[(I, "42")], None),
        (r#"{"i":42.0}"#, &[(I, "42")], None),
        (r#"{"i":42}"#, &[(I, "42.0")], None),
        (r#"{"i":4.2e1}"#, &[(I, "420e-1")], None),
        (r#"{"i":-0}"#, &[(I, "0")], None),
        (r#"{"i":42}"#, &[(I, "=?base64?NDI=?=")], None),
        (r#"{"i":9007199254740991}"#, &[(I, "9007199254740991")], None),
        (r#"{"i":-9007199254740991}"#, &[(I, "-9007199254740991.0")], None),
        (r#"{"i":42}"#, &[(I, "43")], Some(I)),
        (r#"{"i":42}"#, &[(I, "+42")], Some(I)),
        (r#"{"i":42}"#, &[(I, "0x2a")], Some(I)),
        (r#"{"i":42}"#, &[(I, "042")], Some(I)),
        (r#"{"i":42}"#, &[(I, "")], Some(I)),
        (r#"{"i":42}"#, &[(I, "42.00000000000000000001")], Some(I)),
        (r#"{"i":42}"#, &[], Some(I)),
        (r#"{"i":9007199254740991}"#, &[(I, "9007199254740991.1")], Some(I)),
        (r#"{"i":9007199254740992}"#, &[(I, "9007199254740992")], Some(I)),
        (r#"{"i":1e400}"#, &[(I, "1e400")], Some(I)),
        (r#"{"i":4.5}"#, &[(I, "4.5")], Some(I)),
        (r#"{"i":"42"}"#, &[(I, "42")], Some(I)),
        // Booleans.
        (r#"{"b":true}"#, &[(B, "true")], None),
        (r#"{"b":false}"#, &[(B, "false")], None),
        (r#"{"b":true}"#, &[(B, "false")], Some(B)),
        (r#"{"b":true}"#, &[(B, "True")], Some(B)),
        (r#"{"b":true}"#, &[(B, "1")], Some(B)),
        (r#"{"b":false}"#, &[], Some(B)),
        // What no header can say.
        (r#"{"s":{"x":1}}"#, &[], Some(S)),
        (r#"{"s":["x"]}"#, &[(S, "x")], Some(S)),
        (r#"{"s":1}"#, &[(S, "1")], Some(S)),
        (r#"{"s":true}"#, &[(S, "true")], Some(S)),
        // Deeper.
        (r#"{"o":{"p":{"s":"x"}}}"#, &[(DEEP, "x")], None),
        (r#"{"o":{"p":{"s":"x","t":"y"}}}"#, &[("mcp-param-deep-t", "y"), (DEEP, "x")], None),
        (r#"{"o":{"p":{"s":"x","t":"y"}}}"#, &[("mcp-param-deep-t", "x"), (DEEP, "x")], Some("mcp-param-deep-t")),
        (r#"{"o":{"p":{"s":"x"}}}"#, &[], Some(DEEP)),
        (r#"{"o":{"s":"x"},"p":{"s":"x"}}"#, &[], None),
        (r#"{"o":[{"p":{"s":"x"}}]}"#, &[], None),
        (r#"{"o":"p"}"#, &[], None),
        (r#"{"o":null}"#, &[(DEEP, "x")], Some(DEEP)),
        (r#"{"o":{},"o":{"p":{"s":"x"}}}"#, &[(DEEP, "x")], Some(DEEP)),
        (r#"{"o":{"p":{"s":"x"}},"o":{}}"#, &[(DEEP, "x")], Some(DEEP)),
        (r#"{"o":{"p":{"s":"x"},"p":{"s":"x"}}}"#, &[(DEEP, "x")], Some(DEEP)),
    ];
    for (arguments, pairs, expected) in table {
        let verdict = mirrored().check(&headers(pairs), call(arguments).arguments());
        assert_eq!(blamed(verdict).as_deref(), *expected, "{arguments} {pairs:?}");
    }
    let told = |arguments: &str| mirrored().check(&HeaderMap::new(), call(arguments).arguments()).unwrap_err().message;
    assert_eq!(told(r#"{"s":"x"}"#), "mcp-param-s: the header is missing, though there is params.arguments.s");
    let integer = "mcp-param-i: params.arguments.i has to be an integer between -(2^53-1) and 2^53-1, since the header mirrors it";
    assert_eq!(told(r#"{"i":0.5}"#), integer);
}

/// "The client MUST ... omit the header if the parameter is absent or null" (specification: server/tools, x-mcp-header): arguments, and
/// the headers that go with them, which the server then finds to be right.
#[test]
fn arguments_are_mirrored_as_the_schema_says() {
    let table: &[(&str, &Pairs)] = &[
        ("{}", &[]),
        ("null", &[]),
        (r#"{"s":null,"o":null,"free":"x"}"#, &[]),
        (r#"{"s":"us west"}"#, &[("mcp-param-s", "us west")]),
        (r#"{"s":""}"#, &[("mcp-param-s", "")]),
        (r#"{"s":"a\nb"}"#, &[("mcp-param-s", "=?base64?YQpi?=")]),
        (r#"{"s":"=?base64?x?="}"#, &[("mcp-param-s", "=?base64?PT9iYXNlNjQ/eD89?=")]),
        (r#"{"b":true,"i":4.20e1,"s":"x"}"#, &[("mcp-param-b", "true"), ("mcp-param-i", "42"), ("mcp-param-s", "x")]),
        (r#"{"i":-9007199254740991}"#, &[("mcp-param-i", "-9007199254740991")]),
        (r#"{"i":-0.0e9}"#, &[("mcp-param-i", "0")]),
        (r#"{"o":{"p":{"t":"y","s":"x"}}}"#, &[("mcp-param-deep", "x"), ("mcp-param-deep-t", "y")]),
    ];
    for (arguments, expected) in table {
        let message = call(arguments);
        let map: HeaderMap = mirrored().encode(message.arguments()).unwrap().into_iter().collect();
        assert_eq!(map, headers(expected), "{arguments}");
        assert_eq!(mirrored().check(&map, message.arguments()), Ok(()));
    }
    for arguments in [
        r#"{"s":1}"#,
        r#"{"s":["x"]}"#,
        r#"{"i":1.5}"#,
        r#"{"i":9007199254740992}"#,
        r#"{"b":"true"}"#,
        r#"{"s":"x","s":"x"}"#,
    ] {
        let fault = mirrored().encode(call(arguments).arguments()).unwrap_err();
        assert!(fault.to_string().starts_with("mcp-param-"), "{fault}");
    }
}

/// A property with an annotation that has properties with annotations: the schema is odd, and yet read as it stands.
#[test]
fn a_path_may_begin_with_another() {
    let b = json!({ "b": { "type": "string", "x-mcp-header": "B" } });
    let odd =
        ParamHeaders::of_schema(&schema(json!({ "a": { "type": "string", "x-mcp-header": "A", "properties": b } })))
            .unwrap();
    let blame =
        |arguments: &str, pairs: &[(&str, &str)]| blamed(odd.check(&headers(pairs), call(arguments).arguments()));
    assert_eq!(blame(r#"{"a":"x"}"#, &[("mcp-param-a", "x")]), None);
    assert_eq!(blame(r#"{"a":{"b":"x"}}"#, &[("mcp-param-b", "x")]).as_deref(), Some("mcp-param-a"));
    assert_eq!(blame("{}", &[]), None);
}

#[test]
fn numbers_are_integers_whatever_their_spelling() {
    let table: &[(&str, Option<i64>)] = &[
        ("0", Some(0)),
        ("-0.000e99999999999999999999", Some(0)),
        ("-0.000e99", Some(0)),
        ("0e99999", Some(0)),
        ("1e15", Some(1_000_000_000_000_000)),
        ("1e16", None),
        ("9007199254740991", Some(9_007_199_254_740_991)),
        ("9007199254740992", None),
        ("90071992547409.91e2", Some(9_007_199_254_740_991)),
        ("90071992547409910e-1", Some(9_007_199_254_740_991)),
        ("0.00000000000000000000042e22", None),
        ("0.00000000000000000000042e23", Some(42)),
        ("4200E-2", Some(42)),
        ("4200E-3", None),
        ("1e-1", None),
        ("10e-1", Some(1)),
        ("1e4294967296", None),
        ("1e-4294967295", None),
        ("", None),
        ("-", None),
        ("1.", None),
        (".5", None),
        ("1e", None),
        ("1e+", None),
        ("1e5e5", None),
        ("1.5.5", None),
        ("1.0e+1", Some(10)),
        ("01", None),
        ("00", None),
        ("--1", None),
        ("1 ", None),
        ("١", None),
        ("NaN", None),
        ("Infinity", None),
    ];
    for (text, expected) in table {
        assert_eq!(super::params::integer(text), *expected, "{text}");
    }
}
