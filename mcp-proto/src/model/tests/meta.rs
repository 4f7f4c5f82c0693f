//! The reserved keys of `_meta`, and the grammar of its keys.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use crate::jsonrpc::{Fault, ProgressToken, RequestId};
use crate::model::{
    Implementation, LoggingLevel, MetaKeyError, RelatedTask, RequestMetaObject, check_meta_key, meta_key,
};

#[test]
fn every_reserved_key_is_read() {
    let text = r#"{"progressToken":"t","io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{"roots":{},"x":{}},
        "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},
        "io.modelcontextprotocol/logLevel":"error",
        "io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"},
        "io.modelcontextprotocol/subscriptionId":7,
        "io.modelcontextprotocol/related-task":{"taskId":"1"},
        "io.modelcontextprotocol/model-immediate-response":"wait",
        "traceparent":"00-a-b-01","tracestate":"k=v","baggage":"user=\u0061",
        "com.example/mine":{"a":[1,{"progressToken":2}]},"":null}"#;
    let meta = RequestMetaObject::read(text).unwrap();
    assert_eq!(meta.malformed, []);
    assert_eq!(meta.progress_token, Some(ProgressToken("t".into())));
    assert!(matches!(&meta.protocol_version, Some(Cow::Borrowed("2026-07-28"))), "it is borrowed");
    assert!(meta.client_capabilities.as_ref().unwrap().roots.is_some());
    assert_eq!(meta.client_info, Some(Implementation::new("c", "1")));
    assert_eq!(meta.log_level, Some(LoggingLevel::Error));
    assert_eq!(meta.server_info, Some(Implementation::new("s", "1")));
    assert_eq!(meta.subscription_id, Some(RequestId::Number(7)));
    assert_eq!(meta.related_task, Some(RelatedTask::new("1")));
    assert_eq!(meta.model_immediate_response.as_deref(), Some("wait"));
    assert_eq!((meta.traceparent.as_deref(), meta.tracestate.as_deref()), (Some("00-a-b-01"), Some("k=v")));
    assert_eq!(meta.baggage.as_deref(), Some("user=a"));
}

#[test]
fn nothing_and_null_are_absence() {
    assert_eq!(RequestMetaObject::read("{}"), Ok(RequestMetaObject::default()));
    let nulls: Map<String, Value> = meta_key::ALL.into_iter().map(|key| (key.into(), Value::Null)).collect();
    assert_eq!(RequestMetaObject::read(&Value::Object(nulls).to_string()), Ok(RequestMetaObject::default()));
    // An escaped key is the same key.
    let meta = RequestMetaObject::read(r#" { "progress\u0054oken" : 1 } "#).unwrap();
    assert_eq!(meta.progress_token, Some(ProgressToken(1.into())));
}

/// Each key by itself: what is malformed is named, and the others are read all the same.
#[test]
fn a_malformed_key_harms_no_other() {
    for key in meta_key::ALL {
        for wrong in [json!(true), json!([{"a": 1}]), json!(1.5), json!({"a": {"b": 2}})] {
            let anything = key == meta_key::CLIENT_CAPABILITIES && wrong.is_object();
            let other = if key == meta_key::TRACESTATE { meta_key::BAGGAGE } else { meta_key::TRACESTATE };
            let text = json!({key: wrong, other: "fine"}).to_string();
            let meta = RequestMetaObject::read(&text).unwrap();
            let faults: Vec<_> = meta.malformed.iter().map(|malformed| malformed.key).collect();
            let expected: &[&str] = if anything { &[] } else { &[key] };
            assert_eq!(faults, expected, "{text}");
            assert_eq!(meta.fault(key).is_some(), !anything);
            assert_eq!(meta.tracestate.or(meta.baggage).as_deref(), Some("fine"));
        }
    }
    let meta = RequestMetaObject::read(
        r#"{"io.modelcontextprotocol/logLevel":"loud","io.modelcontextprotocol/clientInfo":{"name":"n"},
            "io.modelcontextprotocol/protocolVersion":"2031-01-01"}"#,
    )
    .unwrap();
    let told: Vec<_> = meta.malformed.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            r#"_meta["io.modelcontextprotocol/logLevel"]: unknown logging level `loud`"#,
            r#"_meta["io.modelcontextprotocol/clientInfo"]: missing field `version`"#,
        ]
    );
    assert_eq!(meta.protocol_version.as_deref(), Some("2031-01-01"));
}

#[test]
fn a_reserved_key_twice_is_malformed() {
    for second in ["2", "null", "[]"] {
        let text = [r#"{"progressToken":1,"a":1,"a":2,"progressToken":"#, second, "}"].concat();
        let meta = RequestMetaObject::read(&text).unwrap();
        assert_eq!(meta.malformed.len(), 1);
        assert_eq!(meta.fault(meta_key::PROGRESS_TOKEN).unwrap().detail, "it stands twice");
    }
}

#[test]
fn what_is_told_and_kept_is_bounded() {
    let long = "x".repeat(5000);
    let meta = json!({"progressToken": long, "io.modelcontextprotocol/subscriptionId": long,
        "io.modelcontextprotocol/logLevel": long, "io.modelcontextprotocol/related-task": long})
    .to_string();
    let meta = RequestMetaObject::read(&meta).unwrap();
    assert_eq!((meta.malformed.len(), &meta.progress_token, &meta.subscription_id), (4, &None, &None));
    assert!(meta.malformed.iter().all(|malformed| malformed.detail.len() <= 300));
}

#[test]
fn only_objects_are_read() {
    assert_eq!(RequestMetaObject::read("[]"), Err(Fault::NotAnObject));
    assert_eq!(RequestMetaObject::read("null"), Err(Fault::NotAnObject));
    for text in ["", "{", "{}{}", r#"{"a"}"#, r#"{"progressToken":01}"#, "nul"] {
        assert!(matches!(RequestMetaObject::read(text), Err(Fault::NotJson(_))), "{text}");
    }
    assert_eq!(RequestMetaObject::read(&["{\"a\":", &"[".repeat(500)].concat()), Err(Fault::TooDeep));
}

/// basic, `_meta`: the grammar of keys, and the prefixes that are reserved.
#[test]
fn keys_that_users_give() {
    for key in [
        "a",
        "A1",
        "a-b_c.d",
        "",
        "1",
        "com.example/",
        "com.example/a",
        "com.example.mcp/a",
        "a/b",
        "a1.b-c/d",
        "mcp/a",
        "modelcontextprotocol/a",
        "ui",
        "traceparent",
        "tracestate",
        "baggage",
        "com.mcpx/a",
    ] {
        assert_eq!(check_meta_key(key), Ok(()), "{key}");
    }
    for key in ["-a", "a-", ".a", "a_", "a b", "a/b/c", "ä", "com.example/-", "a/ä", "a\n", "$schema"] {
        assert_eq!(check_meta_key(key), Err(MetaKeyError::Name), "{key}");
    }
    for key in ["/a", "1a/b", "a..b/c", ".a/b", "a./b", "a-/b", "-a/b", "a_b/c", "ä.b/c", "a b/c"] {
        assert_eq!(check_meta_key(key), Err(MetaKeyError::Prefix), "{key}");
    }
    for key in [
        "io.modelcontextprotocol/x",
        "dev.mcp/",
        "com.mcp.tools/x",
        "progressToken",
        "com.modelcontextprotocol/a",
        "org.modelcontextprotocol.api/a",
    ] {
        assert_eq!(check_meta_key(key), Err(MetaKeyError::Reserved), "{key}");
    }
    for key in meta_key::ALL {
        let trace = [meta_key::TRACEPARENT, meta_key::TRACESTATE, meta_key::BAGGAGE].contains(&key);
        assert_eq!(check_meta_key(key).is_ok(), trace, "{key}");
    }
}
