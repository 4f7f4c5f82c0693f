//! Capabilities and the `initialize` exchange.

use serde_json::json;

use super::{decode, encode, refusal, survives};
use crate::model::{
    ClientCapabilities, ElicitationCapability, Implementation, InitializeParams, InitializeResult, ServerCapabilities,
    Supported,
};

#[test]
fn every_member_survives() {
    let params: InitializeParams = survives(
        r#"{"protocolVersion":"2025-11-25","capabilities":{"experimental":{"e":{}},"roots":{"listChanged":true},"sampling":{"context":{},"tools":{"x":1}},"elicitation":{"form":{},"url":{}},"tasks":{"list":{}},"extensions":{"a/b":{"c":1}},"new":{"d":{}}},"clientInfo":{"name":"n","version":"1","title":"t","description":"d","websiteUrl":"https://a.b","icons":[{"src":"https://a.b/c","mimeType":"image/png","sizes":["48x48"],"theme":"light"}],"x":1},"x":1}"#,
    );
    let elicitation = params.capabilities.elicitation.expect("it is there");
    assert!(elicitation.supports_form() && elicitation.supports_url());
    survives::<InitializeResult>(
        r#"{"protocolVersion":"2025-11-25","capabilities":{"experimental":{"e":{}},"logging":{},"prompts":{"listChanged":true},"resources":{"subscribe":false,"listChanged":true},"tools":{"listChanged":false},"completions":{},"tasks":{"requests":{"tools":{"call":{}}}},"extensions":{"a/b":{}},"new":true},"serverInfo":{"name":"n","version":"1"},"instructions":"i"}"#,
    );
}

#[test]
fn the_least_survives() {
    survives::<InitializeParams>(
        r#"{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"n","version":"1"}}"#,
    );
    let result: InitializeResult =
        survives(r#"{"protocolVersion":"2030-01-01","capabilities":{},"serverInfo":{"name":"n","version":"1"}}"#);
    assert_eq!(result.protocol_version, "2030-01-01");
    assert_eq!(result.capabilities, ServerCapabilities::new());
}

#[test]
fn an_empty_object_is_support_and_absence_or_null_is_none() {
    let capabilities: ServerCapabilities = decode(r#"{"logging":{},"tools":{},"prompts":null}"#);
    assert_eq!(capabilities.logging, Some(Supported::new()));
    assert_eq!(capabilities.tools.as_ref().and_then(|tools| tools.list_changed), None);
    assert!(capabilities.tools.is_some() && capabilities.prompts.is_none() && capabilities.completions.is_none());
    assert_eq!(encode(&capabilities), json!({"logging": {}, "tools": {}}));
}

#[test]
fn elicitation_without_a_mode_is_by_form() {
    let supports = |json| {
        let capability: ElicitationCapability = decode(json);
        (capability.supports_form(), capability.supports_url())
    };
    assert_eq!(supports("{}"), (true, false));
    assert_eq!(supports(r#"{"form":{}}"#), (true, false));
    assert_eq!(supports(r#"{"url":{}}"#), (false, true));
    assert_eq!(supports(r#"{"form":{},"url":{}}"#), (true, true));
}

#[test]
fn meta_of_params_and_results_is_not_kept() {
    let params: InitializeParams = decode(
        r#"{"_meta":{"progressToken":1},"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"n","version":"1"}}"#,
    );
    assert!(params.extra.is_empty());
    assert!(encode(&params).get("_meta").is_none());
}

#[test]
fn builders_and_faults() {
    let params = InitializeParams::new("2025-11-25", ClientCapabilities::new(), Implementation::new("n", "1"));
    assert_eq!(
        encode(&params),
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}})
    );
    assert_eq!(refusal::<InitializeParams>(r#"{"capabilities":{}}"#), "missing field `protocolVersion`");
    assert_eq!(refusal::<InitializeParams>(r#"{"clientInfo":{"name":"n"}}"#), "clientInfo: missing field `version`");
    assert_eq!(
        refusal::<ClientCapabilities>(r#"{"roots":{"listChanged":"yes"}}"#),
        "roots: listChanged: invalid type: string \"yes\", expected a boolean"
    );
}
