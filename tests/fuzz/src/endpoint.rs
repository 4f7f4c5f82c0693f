//! `endpoint`: what a request is and whether it is let in, against a reader that goes down the ladder of the specification.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use mcp_proto::http::headers::check_routing;
use mcp_proto::http::security::Security;
use mcp_proto::http::{Classified, Endpoint, EndpointConfig, Keeping, LegacyCall, Refusal, Screened};
use mcp_proto::jsonrpc::{Fault, Kind, Message};
use mcp_proto::model::meta_key;
use mcp_proto::{Era, Limits, ProtocolVersion};
use serde_json::Value;

/// What a POST is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Modern,
    Initialize,
    InSession,
    Sessionless,
}

/// The bytes: which server, then lines: the method, headers, an empty line, and the body.
pub fn endpoint(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let security = Security::of(([127, 0, 0, 1], 8000).into());
    let mut config = EndpointConfig::new(security.clone());
    config.sessions = if choice & 1 == 1 { Keeping::Nothing } else { Keeping::Sessions };
    config.versions = match choice >> 1 & 3 {
        0 => ProtocolVersion::ALL.to_vec(),
        1 => vec![ProtocolVersion::V2026_07_28],
        2 => ProtocolVersion::LEGACY.to_vec(),
        _ => vec![ProtocolVersion::V2025_06_18, ProtocolVersion::V2026_07_28],
    };
    config.limits.body = 1000;
    let endpoint = Endpoint::new(config.clone());
    let Some((head, body)) = request(rest) else { return };

    let screened = endpoint.screen(&head);
    if let Err(forbidden) = security.check(&head) {
        let status = screened.as_ref().err().map(Refusal::status);
        assert_eq!(status, Some(forbidden.status()), "who may not come in does not, whatever he wants");
    }
    match screened {
        Err(refusal) => told(refusal, None),
        Ok(Screened::Post { body_limit }) => {
            assert_eq!((&head.method, body_limit), (&Method::POST, 1000));
            assert!(has_one(&head.headers, "content-type"), "a body that is said to be JSON");
        }
        Ok(Screened::Get(_) | Screened::Delete(_)) => {
            assert!(config.sessions == Keeping::Sessions && has_one(&head.headers, "mcp-session-id"), "{head:?}");
            assert!(config.versions.iter().any(|version| version.era() == Era::Legacy), "{head:?}");
        }
    }

    let message = Message::scan(body, &Limits::default());
    let classified = endpoint.classify(&head, message.clone());
    let found = match &classified {
        Ok(Classified::Modern { version, message: same }) => {
            assert!(version.era() == Era::Modern && config.versions.contains(version));
            assert_eq!(same.text(), message.text());
            Some(Way::Modern)
        }
        Ok(Classified::Legacy(LegacyCall::Initialize(_))) => Some(Way::Initialize),
        Ok(Classified::Legacy(LegacyCall::InSession { .. })) => Some(Way::InSession),
        Ok(Classified::Legacy(LegacyCall::Sessionless { version, .. })) => {
            assert!(version.era() == Era::Legacy && config.versions.contains(version));
            Some(Way::Sessionless)
        }
        _ => None,
    };
    if let Err(refusal) = classified {
        told(refusal, Some(&message));
    }
    // A tree does not show what stands twice, nor what an escape hides.
    let times = |word: &str| message.text().matches(word).count();
    if times("\\") == 0 && times(meta_key::PROTOCOL_VERSION) < 2 && times(meta_key::CLIENT_CAPABILITIES) < 2 {
        assert_eq!(found, naive(&config, &head, &message), "{head:?} {}", message.text());
    }
}

fn request(bytes: &[u8]) -> Option<(Parts, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = (&bytes[..end], &bytes[end + 2..]);
    let mut lines = head.split(|byte| *byte == b'\n');
    let method = Method::from_bytes(lines.next()?).ok()?;
    let mut request = Request::builder().method(method).uri("/mcp").body(()).ok()?;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?);
    }
    Some((request.into_parts().0, body))
}

fn has_one(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).iter().count() == 1
}

/// A refusal has a status of its kind, says why in JSON, and to whom.
fn told(refusal: Refusal, message: Option<&Message>) {
    let response = refusal.into_response();
    let status = response.status();
    assert!(status.is_client_error() || status.is_server_error(), "{status}");
    assert_eq!(status == 405, response.headers().contains_key("allow"), "405 tells what there is");
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    assert!(body["error"]["code"].is_i64() && body["error"]["message"].is_string(), "{body}");
    if let Some(message) = message.filter(|message| message.kind() == Kind::Request) {
        let id = message.id().and_then(|id| serde_json::to_value(id).ok()).unwrap_or_default();
        assert_eq!(body["id"], id, "whoever can be told apart is");
    }
}

/// Down the ladder, by a tree.
fn naive(config: &EndpointConfig, head: &Parts, message: &Message) -> Option<Way> {
    let headers = &head.headers;
    let is_served = |version: &str| config.versions.iter().any(|served| served.as_str() == version);
    let serves_modern = is_served("2026-07-28");
    let serves_legacy = config.versions.iter().any(|version| version.era() == Era::Legacy);
    // None is a header that nobody can read; none inside is none.
    let read = |name: &str| -> Option<Option<String>> {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        match &values[..] {
            [] => Some(None),
            [one] => one.to_str().ok().map(|text| Some(text.trim_matches([' ', '\t']).to_owned())),
            _ => None,
        }
    };
    let value: Value = serde_json::from_str(message.text()).unwrap_or_default();
    let says_modern = |value: &Value| !value["params"]["_meta"][meta_key::PROTOCOL_VERSION].is_null();
    let is_request = message.kind() == Kind::Request;
    let is_initialize = is_request && value["method"] == "initialize";
    let routed = || check_routing(headers, message).is_ok().then_some(Way::Modern);
    let named = read("mcp-protocol-version");

    let elements = value.as_array().filter(|_| message.fault() == Some(Fault::NotAnObject));
    if let Some(elements) = elements {
        let fits = is_served("2025-03-26") && named.as_ref()?.as_ref().is_none_or(|named| named == "2025-03-26");
        if !fits || (serves_modern && elements.iter().any(says_modern)) {
            return None;
        }
    } else if message.kind() == Kind::Malformed {
        return None;
    } else if serves_modern && says_modern(&value) {
        let meta = &value["params"]["_meta"];
        let is_complete =
            meta[meta_key::PROTOCOL_VERSION].is_string() && meta[meta_key::CLIENT_CAPABILITIES].is_object();
        return if is_request && !is_complete { Some(Way::Modern) } else { routed() };
    }
    let named = named?;
    let session = read("mcp-session-id");
    let keeps = serves_legacy && config.sessions == Keeping::Sessions;
    if elements.is_none() {
        let is_modern = match &named {
            Some(named) if is_served(named) => named == "2026-07-28" || !serves_legacy,
            Some(_) => {
                let may_be = is_request && !is_initialize && !(keeps && headers.contains_key("mcp-session-id"));
                if !(serves_modern && may_be) {
                    return None;
                }
                true
            }
            None => !serves_legacy,
        };
        if is_modern {
            return match message.kind() {
                Kind::Request => Some(Way::Modern),
                Kind::Notification => routed(),
                _ => None,
            };
        }
    }
    if is_initialize {
        let said = value["params"]["protocolVersion"].as_str();
        if named.as_deref().is_some_and(|named| said.is_some_and(|said| said != named)) {
            return None;
        }
    }
    if keeps {
        let is_id = |id: &String| !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
        return match session? {
            Some(id) => is_id(&id).then_some(Way::InSession),
            None => is_initialize.then_some(Way::Initialize),
        };
    }
    match named {
        _ if is_initialize => Some(Way::Initialize),
        Some(_) => Some(Way::Sessionless),
        None => is_served("2025-03-26").then_some(Way::Sessionless),
    }
}
