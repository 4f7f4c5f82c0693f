//! Content blocks and the contents of resources.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::{decode, encode, refusal, survives};
use crate::model::{
    Annotations, BlobResourceContents, ContentBlock, Resource, ResourceContents, ResourceLink, Role, TextContent,
    TextResourceContents,
};

const ANNOTATIONS: &str =
    r#"{"audience":["user","assistant","critic"],"priority":0.5,"lastModified":"2025-01-12T15:00:58Z","tone":"dry"}"#;

/// One of each kind, with every member that the specification gives it and one that it does not.
fn all_kinds() -> Vec<String> {
    [
        r#"{"type":"text","text":"hello","annotations":A,"_meta":{"k":1},"x":1}"#,
        r#"{"type":"image","data":"AAAA","mimeType":"image/png","annotations":A,"_meta":{"k":1},"x":1}"#,
        r#"{"type":"audio","data":"AAAA","mimeType":"audio/wav","annotations":A,"_meta":{"k":1},"x":1}"#,
        r#"{"type":"resource","resource":{"uri":"a:b","mimeType":"text/plain","text":"t","_meta":{"k":1},"x":1},"annotations":A,"_meta":{"k":1},"x":1}"#,
        r#"{"type":"resource","resource":{"uri":"a:b","blob":"AAAA"}}"#,
        r#"{"type":"resource_link","uri":"a:b","name":"n","title":"t","description":"d","mimeType":"text/plain","size":1024,"annotations":A,"icons":[{"src":"data:,","mimeType":"image/png","sizes":["48x48","any"],"theme":"dark"}],"_meta":{"k":1},"x":1}"#,
        r#"{"type":"tool_use","id":"1","name":"n","input":{"a":[1,2.5]},"_meta":{"k":1},"x":1}"#,
        r#"{"type":"tool_result","toolUseId":"1","content":[{"type":"text","text":"t"},{"type":"video","fps":25}],"structuredContent":{"a":1},"isError":true,"_meta":{"k":1},"x":1}"#,
        r#"{"type":"video","text":7,"data":{"frames":[1,2.5]},"resource":"none","content":null,"annotations":[],"_meta":{"k":1}}"#,
    ]
    .into_iter()
    .map(|json| json.replace(":A", &[":", ANNOTATIONS].concat()))
    .collect()
}

#[test]
fn every_kind_survives() {
    let kinds = ["text", "image", "audio", "resource", "resource", "resource_link", "tool_use", "tool_result", "video"];
    for (json, kind) in all_kinds().iter().zip(kinds) {
        assert_eq!(survives::<ContentBlock>(json).kind(), kind);
    }
}

#[test]
fn the_order_of_members_does_not_matter() {
    for json in all_kinds() {
        let expected: ContentBlock = decode(&json);
        let Value::Object(members) = decode(&json) else { panic!("a block is an object") };
        let mut members: Vec<_> =
            members.iter().map(|(key, value)| [json!(key).to_string(), value.to_string()].join(":")).collect();
        for _ in 0..members.len() {
            members.rotate_left(1);
            let rotated = ["{", &members.join(","), "}"].concat();
            assert_eq!(decode::<ContentBlock>(&rotated), expected, "{rotated}");
        }
    }
}

#[test]
fn a_member_of_another_kind_is_unknown_whatever_its_type() {
    for json in [
        r#"{"type":"text","text":"t","size":"large","content":7,"resource":{},"isError":"no"}"#,
        r#"{"size":"large","content":7,"resource":{},"isError":"no","text":"t","type":"text"}"#,
    ] {
        let ContentBlock::Text(text) = survives(json) else { panic!("it is a text") };
        assert_eq!(text.extra["size"], json!("large"));
        assert_eq!(text.extra.len(), 4);
    }
}

#[test]
fn unknown_kinds_keep_everything() {
    let block: ContentBlock = decode(r#"{"a":1,"type":"video","_meta":{},"text":null}"#);
    let ContentBlock::Other { kind, members } = block else { panic!("nobody knows it") };
    assert_eq!(kind, "video");
    assert_eq!(Value::Object(members), json!({"a": 1, "_meta": {}, "text": null}));
}

#[test]
fn faults_are_named_before_and_after_the_type() {
    assert_eq!(refusal::<ContentBlock>(r#"{"text":"t"}"#), "missing field `type`");
    assert_eq!(refusal::<ContentBlock>(r#"{"type":"text"}"#), "missing field `text`");
    for json in [r#"{"type":"text","text":5}"#, r#"{"text":5,"type":"text"}"#] {
        assert_eq!(refusal::<ContentBlock>(json), "text: invalid type: integer `5`, expected a string");
    }
    for json in [r#"{"type":"resource","resource":{"text":"t"}}"#, r#"{"resource":{"text":"t"},"type":"resource"}"#] {
        assert_eq!(refusal::<ContentBlock>(json), "resource: missing field `uri`");
    }
}

#[test]
fn structured_content_tells_null_from_nothing() {
    for json in [
        r#"{"type":"tool_result","toolUseId":"1","structuredContent":null}"#,
        r#"{"structuredContent":null,"toolUseId":"1","type":"tool_result"}"#,
    ] {
        let ContentBlock::ToolResult(result) = decode(json) else { panic!("it is a tool result") };
        assert_eq!(result.structured_content, Some(Value::Null));
        assert_eq!(result.content, []);
        assert_eq!(encode(&result)["content"], json!([]));
    }
}

#[test]
fn contents_are_told_apart_by_their_keys() {
    let text = decode::<ResourceContents>(r#"{"text":"t","uri":"a:b"}"#);
    assert_eq!(text, TextResourceContents::new("a:b", "t").into());
    let blob = decode::<ResourceContents>(r#"{"text":null,"blob":"AAAA","uri":"a:b"}"#);
    assert_eq!(blob, BlobResourceContents::new("a:b", "AAAA").into());
    assert_eq!(
        refusal::<ResourceContents>(r#"{"uri":"a:b","blob":[]}"#),
        "blob: invalid type: sequence, expected a string"
    );

    let both = survives::<ResourceContents>(r#"{"blob":"AAAA","text":"t","uri":"a:b"}"#);
    assert!(matches!(&both, ResourceContents::Text(text) if text.extra["blob"] == json!("AAAA")));
    let neither = survives::<ResourceContents>(r#"{"uri":"a:b","mimeType":"x/y","stream":{"id":1},"_meta":{"k":1}}"#);
    assert!(matches!(&neither, ResourceContents::Other(_)));
    assert_eq!((neither.uri(), neither.mime_type()), ("a:b", Some("x/y")));
}

#[test]
fn constructors_write_the_kinds() {
    let blocks = vec![
        ContentBlock::text("t"),
        ContentBlock::image("AAAA", "image/png"),
        ContentBlock::audio("AAAA", "audio/wav"),
        ContentBlock::resource(ResourceContents::text("a:b", "t")),
        ContentBlock::resource(BlobResourceContents::new("a:b", "AAAA").with_mime_type("x/y")),
        ContentBlock::resource_link("a:b", "n"),
        ContentBlock::tool_use("1", "n", serde_json::Map::new()),
        ContentBlock::tool_result("1", ["t".into()]),
    ];
    let expected = json!([
        {"type": "text", "text": "t"},
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
        {"type": "resource", "resource": {"uri": "a:b", "text": "t"}},
        {"type": "resource", "resource": {"uri": "a:b", "blob": "AAAA", "mimeType": "x/y"}},
        {"type": "resource_link", "uri": "a:b", "name": "n"},
        {"type": "tool_use", "id": "1", "name": "n", "input": {}},
        {"type": "tool_result", "toolUseId": "1", "content": [{"type": "text", "text": "t"}]},
    ]);
    assert_eq!(encode(&blocks), expected);
    assert_eq!(serde_json::from_value::<Vec<ContentBlock>>(expected).expect("it decodes"), blocks);
    assert_eq!(blocks[0].as_text(), Some("t"));
    assert_eq!(blocks[1].as_text(), None);
    assert_eq!(ContentBlock::from("t"), TextContent::new("t").into());
}

#[test]
fn the_type_is_written_first() {
    let text = serde_json::to_string(&ContentBlock::text("t")).expect("it encodes");
    assert_eq!(text, r#"{"type":"text","text":"t"}"#);
}

#[test]
fn a_link_is_made_of_a_resource() {
    let annotations = Annotations::new().with_audience([Role::User]).with_priority(1.0);
    let resource = Resource::new("a:b", "n").with_size(10).with_annotations(annotations);
    let expected =
        json!({"uri": "a:b", "name": "n", "size": 10, "annotations": {"audience": ["user"], "priority": 1.0}});
    assert_eq!(encode(&resource), expected);
    let mut link = encode(&ResourceLink::from(resource));
    assert_eq!(link.as_object_mut().and_then(|link| link.remove("type")), Some(json!("resource_link")));
    assert_eq!(link, expected);
}
