//! `message`: the scanner against serde_json and a slow reader: what is JSON, how deep, what the members are, what is wrong.

use std::fmt;

use mcp_proto::jsonrpc::{Fault, Json, Kind, Message, RequestId};
use mcp_proto::model::Implementation;
use mcp_proto::{Connection, Limits, Origin, ServerConfig, Start, Timestamp};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The bytes: limits, and the text of a message.
pub fn message(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let mut limits = Limits::default();
    limits.depth = [128, 3, 1, 0][usize::from(choice & 3)];
    limits.frame = [16 << 20, 40][usize::from(choice >> 2 & 1)];
    let message = Message::scan(bytes, &limits);
    let expected = read(bytes, &limits);
    match &expected {
        Expected::Faults(faults) => {
            assert_eq!(message.kind(), Kind::Malformed, "{faults:?}");
            let fault = message.fault().expect("a malformed message has a fault");
            let is_one = faults.iter().any(|known| match (known, fault) {
                (Fault::DuplicateMember(_), Fault::DuplicateMember(_)) | (Fault::NotJson(_), Fault::NotJson(_)) => true,
                (known, fault) => *known == fault,
            });
            assert!(is_one, "{fault:?} is none of {faults:?}");
        }
        Expected::Message(members) => members.compare(&message),
        Expected::Unknown => {}
    }
    is_answered(&message, bytes, &limits);
}

/// What a text is to a slow reader.
enum Expected<'a> {
    /// Malformed: one of these is told.
    Faults(Vec<Fault>),
    Message(Box<Members<'a>>),
    /// It has a key that spells no Unicode text, which serde_json does not read.
    Unknown,
}

/// The members that the protocol knows, as they stand in the text.
#[derive(Default)]
struct Members<'a> {
    top: Object<'a>,
    params: Object<'a>,
    result: Object<'a>,
}

/// The members of an object, in order, duplicates included.
#[derive(Default)]
struct Object<'a>(Vec<(String, &'a str)>);

impl<'a> Object<'a> {
    fn of(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn member(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }

    fn stands_twice(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.0.iter().filter(|(known, _)| known == key).count() > 1)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Expected<'a> {
    if bytes.len() > limits.frame {
        return Expected::Faults(vec![Fault::TooLong(bytes.len() as u64)]);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Expected::Faults(vec![Fault::NotUtf8(error.valid_up_to())]),
    };
    let mut faults = Vec::new();
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        // What comes first is told; a text that is no JSON has no members to compare.
        return Expected::Faults(vec![Fault::NotJson(0), Fault::TooDeep, Fault::DuplicateMember("")]);
    }
    if depth(text) > usize::from(limits.depth) {
        return Expected::Faults(vec![Fault::TooDeep, Fault::DuplicateMember("")]);
    }
    if !text.trim_start().starts_with('{') {
        return Expected::Faults(vec![Fault::NotAnObject]);
    }
    let Ok(top) = Object::of(text) else {
        assert!(text.contains("\\u"), "serde_json reads the object");
        return Expected::Unknown;
    };
    let inner = |key| match top.member(key) {
        Some(value) if value.starts_with('{') => Object::of(value).ok(),
        _ => Some(Object::default()),
    };
    let (Some(params), Some(result)) = (inner("params"), inner("result")) else { return Expected::Unknown };
    let is_double = top.stands_twice(&["jsonrpc", "id", "method", "params", "result", "error"])
        || params.stands_twice(&["_meta", "name", "uri", "arguments"])
        || result.stands_twice(&["_meta", "resultType", "inputRequests", "requestState"]);
    let members = Members { top, params, result };
    if is_double {
        return Expected::Faults(vec![Fault::DuplicateMember("")]);
    }
    members.faults(&mut faults);
    if faults.is_empty() { Expected::Message(Box::new(members)) } else { Expected::Faults(faults) }
}

/// How deep brackets nest outside strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

fn id(text: &str) -> Option<RequestId> {
    match text.parse::<i64>() {
        Ok(number) => (number.to_string() == text).then_some(RequestId::Number(number)),
        Err(_) => string(text).filter(|_| text.len() <= RequestId::LONGEST).map(RequestId::String),
    }
}

impl<'a> Members<'a> {
    fn kind(&self) -> Option<Kind> {
        let has = |key| self.top.member(key).is_some();
        match (has("method"), has("result"), has("error"), has("id")) {
            (true, false, false, true) => Some(Kind::Request),
            (true, false, false, false) => Some(Kind::Notification),
            (false, true, false, _) => Some(Kind::Result),
            (false, false, true, _) => Some(Kind::Error),
            _ => None,
        }
    }

    /// A member of an object; `null` is as good as none.
    fn some(object: &Object<'a>, key: &str) -> Option<&'a str> {
        object.member(key).filter(|value| *value != "null")
    }

    fn faults(&self, faults: &mut Vec<Fault>) {
        let mut check = |holds: bool, fault| faults.extend((!holds).then_some(fault));
        let is = |value: Option<&str>, start: char| value.is_none_or(|value| value.starts_with(start));
        check(self.top.member("jsonrpc").and_then(string).as_deref() == Some("2.0"), Fault::NotJsonRpc2);
        check(self.top.member("method").is_none_or(|text| string(text).is_some()), Fault::BadMethod);
        check(is(Self::some(&self.top, "params"), '{'), Fault::BadParams);
        let kind = self.kind();
        check(kind.is_some(), Fault::NotAMessage);
        let written = self.top.member("id").filter(|id| kind != Some(Kind::Error) || *id != "null");
        check(written.is_none_or(|text| id(text).is_some()), Fault::BadId);
        match kind {
            Some(Kind::Result) => {
                check(written.is_some(), Fault::BadId);
                check(is(self.top.member("result"), '{'), Fault::BadResult);
                check(is(Self::some(&self.result, "_meta"), '{'), Fault::BadResultMember("_meta"));
            }
            Some(Kind::Error) => check(is(self.top.member("error"), '{'), Fault::BadError),
            Some(_) => check(is(Self::some(&self.params, "_meta"), '{'), Fault::BadParam("_meta")),
            None => {}
        }
    }

    fn compare(&self, message: &Message) {
        assert_eq!((Some(message.kind()), message.fault()), (self.kind(), None));
        let object = |value: Option<&'a str>| value.filter(|value| value.starts_with('{'));
        let text = |value: Option<&str>| value.and_then(string);
        let (top, params, result) = (&self.top, &self.params, &self.result);
        assert_eq!(message.method(), text(top.member("method")).unwrap_or_default());
        assert_eq!(message.id(), top.member("id").and_then(id).as_ref());
        assert_eq!(message.params().as_str(), object(top.member("params")).unwrap_or("{}"));
        assert_eq!(message.name().map(str::to_owned), text(params.member("name")));
        assert_eq!(message.uri().map(str::to_owned), text(params.member("uri")));
        assert_eq!(message.arguments().map(Json::as_str), object(params.member("arguments")));
        let meta = match message.kind() {
            Kind::Result => object(result.member("_meta")),
            Kind::Error => None,
            _ => object(params.member("_meta")),
        };
        assert_eq!(message.meta().map(Json::as_str), meta);
        assert_eq!(message.result().map(Json::as_str), top.member("result"));
        assert_eq!(message.error().map(Json::as_str), top.member("error"));
        // What only the modern era knows is given as it stands, be it what it should be or not.
        let kind = result.member("resultType").map(|kind| string(kind).unwrap_or_else(|| kind.to_owned()));
        assert_eq!(message.result_type().map(str::to_owned), kind);
        assert_eq!(message.input_requests().map(Json::as_str), result.member("inputRequests"));
        assert_eq!(message.request_state().map(Json::as_str), result.member("requestState"));
    }
}

/// What was meant as a request and has a readable id is answered with that id, whatever is wrong with it; what was meant as a
/// notification or a response is not answered at all.
fn is_answered(message: &Message, bytes: &[u8], limits: &Limits) {
    let mut config = ServerConfig::new(Implementation::new("s", "1"));
    config.limits.frame = limits.frame.max(4096);
    let mut server = Connection::server(config.into(), Start::Handshake, Timestamp::EPOCH);
    server.handle_message(Timestamp::EPOCH, Origin::STREAM, message.clone());
    let mut out = Vec::new();
    server.drain_lines(&mut out, usize::MAX);
    let answers: Vec<&[u8]> = out.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(answers.len() <= 1, "at most one answer");
    match message.kind() {
        Kind::Notification | Kind::Result | Kind::Error => assert!(answers.is_empty(), "no answer to {message:?}"),
        _ => {
            let Some(top) = std::str::from_utf8(bytes).ok().and_then(|text| Object::of(text).ok()) else { return };
            let [answer] = answers[..] else {
                let is_response =
                    top.member("method").is_none() && (top.member("result").is_some() || top.member("error").is_some());
                let is_notification = top.member("method").is_some() && top.member("id").is_none();
                assert!(is_response || is_notification, "an answer to {message:?}");
                return;
            };
            let answer = std::str::from_utf8(answer).expect("an answer is text");
            let answer = Object::of(answer).expect("an answer is an object");
            let is_single = top.0.iter().filter(|(key, _)| key == "id").count() == 1;
            if let Some(own) = top.member("id").filter(|own| is_single && is_echoed(own)) {
                // Escapes may be written otherwise, numbers not.
                let spelled = |id: &str| string(id).unwrap_or_else(|| id.to_owned());
                assert_eq!(
                    answer.member("id").map(spelled),
                    Some(spelled(own)),
                    "the answer has the id of {message:?}"
                );
            }
        }
    }
}

/// Whether an id is one that can be echoed: a string, or an integer of whatever size.
fn is_echoed(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= RequestId::LONGEST && (string(text).is_some() || is_integer)
}
