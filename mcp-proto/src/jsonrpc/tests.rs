//! Reading and writing one message (specification: basic, Messages).

mod oracle;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::Tail;
use super::{Body, ErrorCode, ErrorObject, Fault, Kind, Message, RequestId};
use crate::connection::Limits;

fn scan(text: impl AsRef<[u8]>) -> Message {
    Message::scan(text.as_ref(), &Limits::default())
}

fn fault_of(text: impl AsRef<[u8]>) -> Option<Fault> {
    scan(text).fault()
}

fn with_id(id: &str) -> Message {
    scan(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#))
}

/// basic, Requests: "Requests MUST include a string or integer ID. Unlike base JSON-RPC, the ID MUST NOT be null."
#[test]
fn an_id_is_a_string_or_an_integer() {
    for (text, id) in [
        ("0", RequestId::Number(0)),
        ("-1", RequestId::Number(-1)),
        ("9223372036854775807", RequestId::Number(i64::MAX)),
        ("-9223372036854775808", RequestId::Number(i64::MIN)),
        (r#""1""#, "1".into()),
        (r#""""#, "".into()),
        (r#""\u0061\/\ud83d\ude00""#, "a/😀".into()),
    ] {
        let message = with_id(text);
        assert_eq!((message.kind(), message.id()), (Kind::Request, Some(&id)), "{text}");
    }
    for text in
        ["null", "1.5", "1.0", "true", "false", "-0", "1e3", "9223372036854775808", "{}", "[]", "[1]", r#""\ud800""#]
    {
        let message = with_id(text);
        assert_eq!((message.kind(), message.fault()), (Kind::Malformed, Some(Fault::BadId)), "{text}");
        assert_eq!(message.id(), None);
    }
}

/// Decided by the presence of the key: a request with a null id is a malformed request and never a notification.
#[test]
fn kinds_are_told_apart_by_the_presence_of_keys() {
    for (members, kind) in [
        (r#""id":1,"method":"m""#, Kind::Request),
        (r#""method":"m""#, Kind::Notification),
        (r#""method":"m","params":{}"#, Kind::Notification),
        (r#""id":1,"result":{}"#, Kind::Result),
        (r#""id":1,"error":{"code":1,"message":"m"}"#, Kind::Error),
        (r#""id":null,"error":{"code":1,"message":"m"}"#, Kind::Error),
        (r#""error":{"code":1,"message":"m"}"#, Kind::Error),
        (r#""id":1,"method":"","METHOD":7,"Result":1,"x":[]"#, Kind::Request),
    ] {
        assert_eq!(scan(format!(r#"{{"jsonrpc":"2.0",{members}}}"#)).kind(), kind, "{members}");
    }
    for (members, fault) in [
        (r#""id":null,"method":"m""#, Fault::BadId),
        (r#""id":null,"result":{}"#, Fault::BadId),
        (r#""result":{}"#, Fault::BadId),
        (r#""id":1"#, Fault::NotAMessage),
        (r#""id":1,"METHOD":"m""#, Fault::NotAMessage),
        (r#""id":1,"\u004dethod":"m""#, Fault::NotAMessage),
        (r#""id":1,"method":"m","result":{}"#, Fault::NotAMessage),
        (r#""id":1,"method":"m","error":{}"#, Fault::NotAMessage),
        (r#""id":1,"result":{},"error":{}"#, Fault::NotAMessage),
        (r#""id":1,"method":null"#, Fault::BadMethod),
        (r#""id":1,"method":["m"]"#, Fault::BadMethod),
        (r#""id":1,"method":"\ud800""#, Fault::BadMethod),
        (r#""id":1,"result":null"#, Fault::BadResult),
        (r#""id":1,"result":[]"#, Fault::BadResult),
        (r#""id":1,"error":"text""#, Fault::BadError),
        (r#""id":1,"method":"m","params":[]"#, Fault::BadParams),
        (r#""id":1,"method":"m","params":"text""#, Fault::BadParams),
        (r#""id":1,"method":"m","params":{"_meta":1}"#, Fault::BadParam("_meta")),
    ] {
        assert_eq!(fault_of(format!(r#"{{"jsonrpc":"2.0",{members}}}"#)), Some(fault), "{members}");
    }
    for version in ["", r#""jsonrpc":"2""#, r#""jsonrpc":2.0"#, r#""jsonrpc":null"#, r#""JSONRPC":"2.0""#] {
        let comma = if version.is_empty() { "" } else { "," };
        let text = format!(r#"{{{version}{comma}"id":1,"method":"m"}}"#);
        assert_eq!(fault_of(&text), Some(Fault::NotJsonRpc2), "{text}");
    }
}

/// Every other string may be written with escapes, and a reader that undoes them takes this one for what it is.
#[test]
fn an_escaped_version_of_json_rpc_is_the_same() {
    let text = r#"{"jsonrpc":"\u0032\u002e0","id":1,"method":"m"}"#;
    assert_eq!((fault_of(text), scan(text).kind()), (None, Kind::Request));
}

/// `"params": null` is what some encoders write for none; absent ones read as `{}` too.
#[test]
fn absent_and_null_parameters_are_empty() {
    for params in ["", r#","params":null"#, r#","params":{}"#] {
        let message = scan(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m"{params}}}"#));
        assert_eq!(message.params().decode::<Value>().unwrap(), json!({}));
    }
}

/// No two readers may disagree about a message: a member that is needed may stand only once, however it is spelled.
#[test]
fn a_member_that_stands_twice_is_refused() {
    for (text, member) in [
        (r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"m"}"#, "jsonrpc"),
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"m"}"#, "id"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","method":"m"}"#, "method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","m\u0065thod":"n"}"#, "method"),
        (r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"m","\u006d\u0065thod":"n"}"#, "method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{},"params":{}}"#, "params"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#, "result"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{},"error":{}}"#, "error"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a","name":"b"}}"#, "params.name"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a","n\u0061me":"b"}}"#, "params.name"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{},"_meta":{}}}"#, "params._meta"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"uri":"a","uri":"a"}}"#, "params.uri"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{},"arguments":{}}}"#, "params.arguments"),
    ] {
        assert_eq!(fault_of(text), Some(Fault::DuplicateMember(member)), "{text}");
    }
    // Deeper than that they are the application's.
    let deeper =
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"name":1,"name":2,"id":3,"method":4}}}"#;
    assert_eq!(scan(deeper).kind(), Kind::Request);
    // The id that stands in an argument is not the message's.
    let id = scan(r#"{"jsonrpc":"2.0","method":"m","params":{"id":7,"arguments":{"id":8}}}"#);
    assert_eq!((id.kind(), id.id()), (Kind::Notification, None));
}

/// Escapes in keys and in the method mean what they spell.
#[test]
fn escapes_are_undone_before_comparing() {
    let message = scan(
        r#"{"jsonrpc":"2.0","i\u0064":1,"m\u0065thod":"tools\/call","p\u0061rams":{"n\u0061me":"\u0061\"b","\u0075ri":"a:\\b"}}"#,
    );
    assert_eq!((message.kind(), message.method()), (Kind::Request, "tools/call"));
    assert_eq!((message.name(), message.uri()), (Some("a\"b"), Some("a:\\b")));
    // Keys that are alike but not the same, and keys with a NUL, are other members.
    let other = scan(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"method\\u0000\":\"b\",\"\\u017fmethod\":1,\"Method\":2}",
    );
    assert_eq!((other.kind(), other.method()), (Kind::Request, "a"));
}

/// What is no JSON is refused where it goes wrong.
#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "nul",
        "{}{}",
        "{} x",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "01",
        "-01",
        "1.",
        ".5",
        "1.e3",
        "1e",
        "1e+",
        "+1",
        "-",
        "--1",
        "0x1",
        "NaN",
        "Infinity",
        "tru",
        "nulll",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "\"\u{0}\"",
        "\"\u{1f}\"",
        "[",
        "[1",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "\u{feff}{}",
        "{}\u{feff}",
        "\u{a0}{}",
        "\u{c}{}",
        "{}\u{b}",
        "// c\n{}",
        "{\"a\":[}",
    ] {
        assert!(serde_json::from_str::<IgnoredAny>(text).is_err(), "{text:?}");
        assert!(
            matches!(fault_of(text), Some(Fault::NotJson(at)) if at <= text.len()),
            "{text:?} {:?}",
            fault_of(text)
        );
    }
    for text in ["[]", "1", "\"x\"", "null", "true", " [ { } ] ", "-0.5e-7"] {
        assert_eq!(fault_of(text), Some(Fault::NotAnObject), "{text}");
    }
    let bad = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xC3\x28\"}";
    assert_eq!(fault_of(bad), Some(Fault::NotUtf8(34)));
    for bytes in [&b"\xED\xA0\x80"[..], b"\xC0\x80", b"\xF5\x80\x80\x80", b"\xFF"] {
        assert_eq!(fault_of(bytes), Some(Fault::NotUtf8(0)));
    }
}

/// Nesting costs nothing and is bounded; 100 000 levels overflow no stack.
#[test]
fn nesting_is_bounded() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        // Under Miri everything takes a thousand times as long.
        for levels in if cfg!(miri) { [500, 1000] } else { [100_000, 1_000_000] } {
            let closed = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            assert!(matches!(fault_of(&closed), Some(Fault::TooDeep)), "{open}");
            let open = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{}"#, open.repeat(levels));
            assert!(matches!(fault_of(&open), Some(Fault::TooDeep)));
        }
    }
    for depth in [1, 2, 7, 127, 128] {
        let limits = Limits { depth, ..Limits::default() };
        let nested = |levels: usize| {
            let inner = levels.saturating_sub(1);
            format!(r#"{{"jsonrpc":"2.0","method":"m","x":{}{}}}"#, "[".repeat(inner), "]".repeat(inner))
                .replace(r#""x":}"#, r#""x":0}"#)
        };
        let at = usize::from(depth);
        assert_eq!(Message::scan(nested(at).as_bytes(), &limits).kind(), Kind::Notification, "{depth}");
        assert_eq!(Message::scan(nested(at + 1).as_bytes(), &limits).fault(), Some(Fault::TooDeep), "{depth}");
    }
}

/// Strings are free in what they say; whether a lone surrogate is text is decided by whoever decodes it.
#[test]
fn strings_may_say_anything() {
    for text in [
        "\\u0000",
        "\u{2028}\u{2029}\u{85}",
        "\u{10ffff}",
        "\\ud83d\\ude00",
        "\\/\\b\\f\\n\\r\\t\\\"\\\\",
        "\u{7f}",
        "{[,:]}",
    ] {
        let line =
            format!(r#"{{"jsonrpc":"2.0","id":"{text}","method":"m","params":{{"name":"{text}","a":["{text}"]}}}}"#);
        let message = scan(&line);
        assert_eq!(message.kind(), Kind::Request, "{line}");
        let said: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!((message.name(), message.id()), (Some(&*said), Some(&said.as_str().into())));
    }
    for lone in ["\\ud800", "\\udc00", "\\ud800\\u0061", "\\udc00\\ud800"] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"name":"{lone}","a":1}}}}"#);
        let message = scan(&line);
        assert_eq!((message.kind(), message.name()), (Kind::Request, None), "not shown as a name: {line}");
        assert!(message.params().decode::<Value>().is_err(), "and refused to whoever decodes it");
    }
}

/// Space around and inside a message is allowed, but none that JSON does not know.
#[test]
fn space_is_allowed_where_json_allows_it() {
    let message = scan(" \t\r\n{ \"jsonrpc\" :\n\"2.0\" , \"id\"\t:\r1 , \"method\" : \"m\" , \"params\" : { } } \n");
    assert_eq!((message.kind(), message.params().as_str()), (Kind::Request, "{ }"));
}

/// Codes of JSON-RPC 2.0, section 5.1: what is no JSON is a parse error, what is no message an invalid request.
#[test]
fn faults_have_the_codes_of_json_rpc() {
    for (text, code) in [
        ("{", ErrorCode::PARSE_ERROR),
        ("[]", ErrorCode::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, ErrorCode::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":1}"#, ErrorCode::INVALID_PARAMS),
    ] {
        assert_eq!(fault_of(text).unwrap().code(), code);
    }
    assert_eq!(fault_of(b"\xFF").unwrap().code(), ErrorCode::PARSE_ERROR);
}

/// A message over the limit is not read at all, except for its id.
#[test]
fn a_message_over_the_limit_is_too_long() {
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"m"}"#;
    let at = Limits { frame: text.len(), ..Limits::default() };
    assert_eq!(Message::scan(text, &at).kind(), Kind::Request);
    let under = Limits { frame: text.len() - 1, ..Limits::default() };
    assert_eq!(Message::scan(text, &under).fault(), Some(Fault::TooLong(text.len() as u64)));
    assert_eq!(Message::scan(text, &under).echo(), Some("1"));
}

fn tail() -> Tail {
    Tail::meta(json!({"k": "\u{2028}"}).as_object(), Some(&7.into()))
}

/// Everything that a `Body` produces is read again as the message that was meant, with and without members of the core.
#[test]
fn what_is_written_is_read_again() {
    for params in [json!({}), json!({"a": 1}), json!({"a": {}, "b": [{}]}), json!({"a": "}}"}), json!({"": {"": {}}})] {
        for (tail, meta) in [(Tail::default(), None), (tail(), Some(json!({"progressToken": 7, "k": "\u{2028}"})))] {
            let numbers = [-3, 0, 9, 10, 100, i64::MIN, i64::MAX].map(RequestId::from);
            let strings = ["", "plain", "\u{7F}", "\u{1}", "é", "\u{2029}", "\u{2029}\"", "\\"].map(RequestId::from);
            for id in numbers.into_iter().chain(strings).step_by(if cfg!(miri) { 4 } else { 1 }) {
                let body = Body::new("tools/call", &params).unwrap();
                let length = body.finished_len(&tail, Some(&id));
                let frame = body.finish(&tail, Some(&id));
                assert_eq!(frame.len(), length, "the length is known before");
                let message = scan(&frame);
                assert_eq!((message.kind(), message.method()), (Kind::Request, "tools/call"));
                assert_eq!(message.id(), Some(&id));
                let mut expected = params.clone();
                if let Some(meta) = &meta {
                    expected["_meta"] = meta.clone();
                }
                assert_eq!(message.params().decode::<Value>().unwrap(), expected);
                assert_eq!(message.meta().map(|meta| meta.decode().unwrap()), meta);

                let message = scan(Body::result(&params).unwrap().finish(&tail, Some(&id)));
                assert_eq!((message.kind(), message.id()), (Kind::Result, Some(&id)));
                assert_eq!(message.result().unwrap().decode::<Value>().unwrap(), expected);
            }
            let message = scan(Body::new("notifications/x", &params).unwrap().finish(&tail, None));
            assert_eq!((message.kind(), message.method(), message.id()), (Kind::Notification, "notifications/x", None));
        }
    }
    let message = scan(Body::empty("ping").unwrap().finish(&Tail::default(), Some(&0.into())));
    assert_eq!((message.kind(), message.params().as_str()), (Kind::Request, "{}"));
    let message = scan(Body::empty_result().finish(&tail(), Some(&0.into())));
    assert_eq!((message.kind(), message.meta().is_some()), (Kind::Result, true));
}

/// basic, Responses: an error has a code and a message; its text cannot break the line either.
#[test]
fn refusals_are_errors() {
    let error = ErrorObject::new(-5, "a\"\n\u{2028}\u{85}b").with_data(json!({"x": "\u{2029}"}));
    for (id, expected) in
        [(Some("1"), Some(1.into())), (Some("null"), None), (None, None), (Some(r#""é""#), Some("é".into()))]
    {
        let frame = super::refusal(id, &error);
        let text = String::from_utf8(frame).unwrap();
        assert!(!text.contains(['\n', '\u{2028}', '\u{2029}', '\u{85}']));
        let message = scan(&text);
        assert_eq!((message.kind(), message.id()), (Kind::Error, expected.as_ref()));
        assert_eq!(message.error().unwrap().decode::<ErrorObject>().unwrap(), error);
    }
}

/// basic: params and results are objects; `_meta` belongs to the core, at the top and nowhere else.
#[test]
fn a_body_refuses_what_is_no_object_and_what_has_its_own_meta() {
    for value in [json!([]), json!([{}]), json!(1), json!("}}"), json!("{}"), Value::Null, json!(true)] {
        assert!(Body::new("m", &value).is_err(), "{value}");
        assert!(Body::result(&value).is_err(), "{value}");
    }
    for own in [json!({"_meta": {}}), json!({"a": {"b": [1]}, "_meta": null}), json!({"a": "\"{[", "_meta": 1, "z": 2})]
    {
        assert!(Body::new("m", &own).is_err(), "{own}");
        assert!(Body::result(&own).unwrap_err().to_string().contains("_meta"), "{own}");
    }
    for nested in [
        json!({"a": {"_meta": {}}}),
        json!({"a": [{"_meta": {}}]}),
        json!({"a": "\"_meta\":"}),
        json!({"a": "\\", "b": "{\"_meta\":1}"}),
        json!({"_metadata": 1, "x_meta": 2, "\"_meta": 3}),
        json!({"a": "_meta"}),
    ] {
        assert!(Body::new("m", &nested).is_ok(), "{nested}");
    }
}

/// A method that would need escapes is refused; an ordinary one is shown as it is.
#[test]
fn a_method_is_printable_ascii() {
    for method in ["a\"b", "a\\b", "a\nb", "\u{0}", "é", "\u{7f}", "\u{2028}"] {
        assert!(Body::empty(method).is_err(), "{method:?}");
    }
    for method in ["ping", "tools/call", "vendor.com/a-b_c d:{}[],", "~!@#$%^&*()'"] {
        let body = Body::empty(method).unwrap();
        assert_eq!(body.method(), method);
        assert_eq!(scan(body.finish(&Tail::default(), None)).method(), method);
    }
}

/// U+0085, U+2028 and U+2029 are legal in JSON, and line ends to some readers: they are written as escapes, everywhere.
#[test]
fn line_ends_of_unicode_are_escaped() {
    let every = "\u{85}\u{2028}\u{2029}\u{c2}\u{84}\u{86}\u{2027}\u{202a}\n\r";
    let meta: Map<String, Value> = [(String::from(every), json!(every))].into_iter().collect();
    let body = Body::new("m", &json!({every: every, "a": [every]})).unwrap();
    let text = String::from_utf8(body.finish(&Tail::meta(Some(&meta), None), Some(&every.into()))).unwrap();
    assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\n', '\r']), "{text}");
    assert!(text.contains("\u{c2}\u{84}\u{86}\u{2027}\u{202a}"), "others stay as they are");
    let message = scan(&text);
    assert_eq!(message.id(), Some(&every.into()));
    assert_eq!(message.params().decode::<Value>().unwrap()[every], every);
}

/// The keys of the core win over the same keys of the user, who keeps the rest.
#[test]
fn the_cores_keys_of_meta_win() {
    let user = json!({"progressToken": "mine", "other": 1});
    let frame = Body::empty("m").unwrap().finish(&Tail::meta(user.as_object(), Some(&5.into())), Some(&1.into()));
    let text = String::from_utf8(frame).unwrap();
    assert_eq!(text.matches("progressToken").count(), 1);
    assert_eq!(scan(&text).meta().unwrap().decode::<Value>().unwrap(), json!({"progressToken": 5, "other": 1}));
}

/// The length of a method, id or name does not matter, and neither does where it stands.
#[test]
fn the_id_of_a_malformed_message_is_read_if_it_is_unambiguous() {
    for (text, echo) in [
        (r#"{"id":1,"method":01}"#, Some("1")),
        (r#"{"method":01,"id":"a\"b"}"#, Some(r#""a\"b""#)),
        (r#"{"method":01, "id" : -7 }"#, Some("-7")),
        (r#"{"method":01,"i\u0064":2}"#, Some("2")),
        (r#"{"method":01,"params":{"id":2}}"#, None),
        (r#"{"method":01,"params":[{"id":2}],"id":null}"#, None),
        (r#"{"method":01,"a":"\"id\":3,"}"#, None),
        (r#"{"id":1,"id":1,"method":01}"#, None),
        (r#"{"method":01,"ID":1}"#, None),
        (r#"{"method":01,"id":1.5}"#, None),
        (r#"{"method":01,"id":01}"#, None),
        (r#"[{"id":1,"method":"m"}]"#, None),
        (r#"x{"id":1}"#, None),
        (r#""id":1"#, None),
    ] {
        assert_eq!(scan(text).echo(), echo, "{text}");
    }
}

/// A value of the Body's length is a promise that limits rely on.
#[test]
fn the_length_of_a_closed_message_is_known_before() {
    let lengths: Vec<usize> = [Tail::default(), tail()]
        .iter()
        .map(|tail| {
            let body = Body::empty_result();
            let length = body.finished_len(tail, None);
            assert_eq!(body.finish(tail, None).len(), length);
            length
        })
        .collect();
    assert!(lengths[0] < lengths[1]);
}

/// A gateway hands on what it does not know: every member and its very text, but for what belongs to the connection.
#[test]
fn a_forwarded_message_loses_no_member() {
    let text = r#"{"vendor":1,"jsonrpc":"2.0","method":"tools\/call","id":"x","params":{"n\u0061me":"t","_meta":{"progressToken":5,
        "io.modelcontextprotocol/logLevel":"info","traceparent":"00","a/b":[1]},"arguments":{"_meta":{"kept":1},"n":1.0e+2},"?":[null]}}"#;
    let (body, meta) = Body::forward(&scan(text.replace('\n', " "))).unwrap();
    let frame = String::from_utf8(body.finish(&Tail::default(), Some(&3.into()))).unwrap();
    assert_eq!(
        frame,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"t","arguments":{"_meta":{"kept":1},"n":1.0e+2},"?":[null]},"id":3}"#
    );
    assert!(
        meta.is_none_or(|meta| meta.len() == 2 && ["a/b", "traceparent"].iter().all(|key| meta.contains_key(*key))),
        "what belongs to the connection stays there"
    );

    let result =
        r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[],"x":{"resultType":"kept"}}}"#;
    let (body, meta) = Body::forward(&scan(result)).unwrap();
    assert_eq!(meta, None);
    let frame = String::from_utf8(body.finish(&Tail::default(), Some(&3.into()))).unwrap();
    assert_eq!(frame, r#"{"jsonrpc":"2.0","result":{"content":[],"x":{"resultType":"kept"}},"id":3}"#);
    assert!(Body::forward(&scan(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}"#)).is_err());
}

#[test]
fn what_a_body_says_can_be_looked_at() {
    let request = Body::new("tools/call", &json!({"name": "add"})).unwrap();
    assert_eq!(request.params_json().as_deref(), Some(r#"{"name":"add"}"#));
    assert_eq!(Body::empty("ping").unwrap().params_json().as_deref(), Some("{}"));
    assert_eq!((request.result_json(), Body::empty_result().params_json()), (None, None));
    assert_eq!(Body::empty_result().result_json().as_deref(), Some("{}"));
}
