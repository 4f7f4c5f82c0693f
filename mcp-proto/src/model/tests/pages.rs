//! Resources, prompts and completion.

use alloc::string::ToString;
use alloc::vec::Vec;

use serde_json::json;

use super::{decode, encode, keeps, refusal, survives};
use crate::model::{
    CompleteParams, CompleteResult, Completion, CompletionArgument, CompletionContext, CompletionRef, ContentBlock,
    EmptyResult, GetPromptParams, GetPromptResult, ListPromptsParams, ListPromptsResult, ListResourceTemplatesParams,
    ListResourceTemplatesResult, ListResourcesParams, ListResourcesResult, Prompt, PromptArgument, PromptMessage,
    PromptReference, ReadResourceParams, ReadResourceResult, ResourceContents, ResourceTemplate,
    ResourceTemplateReference, ResourceUpdatedParams, SubscribeParams, UnsubscribeParams,
};

#[test]
fn resources() {
    keeps::<ResourceTemplate>(
        r#"{"uriTemplate":"a:{b}","name":"n","title":"t","description":"d","mimeType":"x/y","annotations":{"priority":0.5},"icons":[{"src":"data:,"}],"_meta":{"k":1}}"#,
        r#"{"uriTemplate":"a:{b}","name":"n"}"#,
    );
    keeps::<ListResourcesParams>(r#"{"cursor":""}"#, "{}");
    keeps::<ListResourcesResult>(
        r#"{"resources":[{"uri":"a:b","name":"n"}],"nextCursor":"c","ttlMs":5,"cacheScope":"private"}"#,
        r#"{"resources":[]}"#,
    );
    keeps::<ListResourceTemplatesParams>(r#"{"cursor":"c"}"#, "{}");
    keeps::<ListResourceTemplatesResult>(
        r#"{"resourceTemplates":[{"uriTemplate":"a:{b}","name":"n"}],"nextCursor":"c","ttlMs":5,"cacheScope":"public"}"#,
        r#"{"resourceTemplates":[]}"#,
    );
    keeps::<ReadResourceParams>(
        r#"{"uri":"a:b","inputResponses":{"k":{"action":"accept"}},"requestState":"s"}"#,
        r#"{"uri":"a:b"}"#,
    );
    keeps::<ReadResourceResult>(
        r#"{"contents":[{"uri":"a:b","text":"t"},{"uri":"a:b","blob":"AAAA"}],"ttlMs":5,"cacheScope":"public"}"#,
        r#"{"contents":[]}"#,
    );
    keeps::<SubscribeParams>(r#"{"uri":"a:b"}"#, r#"{"uri":"a:b"}"#);
    keeps::<UnsubscribeParams>(r#"{"uri":"a:b"}"#, r#"{"uri":"a:b"}"#);
    keeps::<ResourceUpdatedParams>(r#"{"uri":"a:b"}"#, r#"{"uri":"a:b"}"#);
    let read = ReadResourceResult::new().with_contents([ResourceContents::text("a:b", "t")]);
    assert_eq!(encode(&read), json!({"contents": [{"uri": "a:b", "text": "t"}]}));
    assert_eq!(refusal::<ReadResourceParams>(r#"{"uri":["a:b"]}"#), "uri: invalid type: sequence, expected a string");
}

#[test]
fn prompts() {
    keeps::<Prompt>(
        r#"{"name":"n","title":"t","description":"d","arguments":[{"name":"a","x":1}],"icons":[{"src":"data:,"}],"_meta":{"k":1}}"#,
        r#"{"name":"n"}"#,
    );
    keeps::<PromptArgument>(r#"{"name":"n","title":"t","description":"d","required":true}"#, r#"{"name":"n"}"#);
    keeps::<PromptMessage>(
        r#"{"role":"user","content":{"type":"text","text":"t"}}"#,
        r#"{"role":"user","content":{"type":"text","text":"t"}}"#,
    );
    keeps::<ListPromptsParams>(r#"{"cursor":"c"}"#, "{}");
    keeps::<ListPromptsResult>(
        r#"{"prompts":[{"name":"n"}],"nextCursor":"c","ttlMs":5,"cacheScope":"public"}"#,
        r#"{"prompts":[]}"#,
    );
    keeps::<GetPromptParams>(
        r#"{"name":"n","arguments":{"a":"b"},"inputResponses":{},"requestState":"s"}"#,
        r#"{"name":"n"}"#,
    );
    keeps::<GetPromptResult>(
        r#"{"description":"d","messages":[{"role":"assistant","content":{"type":"new","k":1}}]}"#,
        r#"{"messages":[]}"#,
    );
    let params = GetPromptParams::new("n").with_arguments([("a", "b")]);
    assert_eq!(encode(&params), json!({"name": "n", "arguments": {"a": "b"}}));
    let result = GetPromptResult::new().with_messages([PromptMessage::user("q"), PromptMessage::assistant("a")]);
    assert_eq!(result.messages[1].content, ContentBlock::text("a"));
    assert_eq!(encode(&result)["messages"][0], json!({"role": "user", "content": {"type": "text", "text": "q"}}));
}

/// server/prompts: arguments are strings, and a message has one block, never an array.
#[test]
fn what_prompts_are_not() {
    assert_eq!(
        refusal::<GetPromptParams>(r#"{"name":"n","arguments":{"a":1}}"#),
        "arguments: a: invalid type: integer `1`, expected a string"
    );
    assert_eq!(
        refusal::<GetPromptParams>(r#"{"name":"n","arguments":{"a":"1","\u0061":"2"}}"#),
        "arguments: duplicate field `a`"
    );
    assert_eq!(
        refusal::<PromptMessage>(r#"{"role":"user","content":[{"type":"text","text":"t"}]}"#),
        "content: invalid type: sequence, expected object ContentBlock"
    );
}

#[test]
fn completion() {
    keeps::<CompleteParams>(
        r#"{"ref":{"type":"ref/prompt","name":"n"},"argument":{"name":"a","value":""},"context":{"arguments":{"b":"c"}}}"#,
        r#"{"ref":{"type":"ref/resource","uri":"a:{b}"},"argument":{"name":"b","value":"v"}}"#,
    );
    keeps::<PromptReference>(r#"{"type":"ref/prompt","name":"n","title":"t"}"#, r#"{"type":"ref/prompt","name":"n"}"#);
    keeps::<ResourceTemplateReference>(
        r#"{"type":"ref/resource","uri":"a:b"}"#,
        r#"{"type":"ref/resource","uri":"a:b"}"#,
    );
    keeps::<CompletionArgument>(r#"{"name":"a","value":"v"}"#, r#"{"name":"a","value":"v"}"#);
    keeps::<CompletionContext>(r#"{"arguments":{}}"#, "{}");
    keeps::<CompleteResult>(
        r#"{"completion":{"values":["a"],"total":7,"hasMore":true,"x":1}}"#,
        r#"{"completion":{"values":[]}}"#,
    );
    keeps::<Completion>(r#"{"values":["a"],"total":7,"hasMore":false}"#, r#"{"values":[]}"#);
    assert_eq!(survives::<CompletionRef>(r#"{"type":"ref/tool","name":"n"}"#).kind(), "ref/tool");
    let params = CompleteParams::new(CompletionRef::prompt("n"), CompletionArgument::new("a", "v"));
    assert_eq!(
        encode(&params),
        json!({"ref": {"type": "ref/prompt", "name": "n"}, "argument": {"name": "a", "value": "v"}})
    );
    assert_eq!(CompletionRef::resource("a:b").kind(), "ref/resource");
}

/// server/utilities/completion: at most 100 values, the total and whether there are more.
#[test]
fn more_than_a_hundred_completions_are_cut() {
    for (given, sent) in [(0, 0), (1, 1), (100, 100), (101, 100), (250, 100)] {
        let completion = Completion::of((0..given).map(|number| alloc::format!("{number}")));
        assert_eq!(completion.values.len(), sent);
        assert_eq!((completion.total, completion.has_more), (Some(given), Some(given > 100)));
        assert_eq!(completion.values.first().map(|value| &**value), (given > 0).then_some("0"));
    }
    let many: Vec<_> = (0..101).map(|number| alloc::format!("{number}")).collect();
    let read: Completion = decode(&json!({"values": many}).to_string());
    assert_eq!(read.values.len(), 101, "what a peer sends in excess is kept");
}

#[test]
fn the_type_of_a_result_belongs_to_the_core() {
    let empty: EmptyResult = decode(r#"{"resultType":"complete","_meta":{"k":1},"x":1}"#);
    assert_eq!(encode(&empty), json!({"x": 1}));
    let mut page: ListPromptsResult = decode(r#"{"resultType":"complete","prompts":[]}"#);
    assert!(page.extra.is_empty());
    page.extra.insert("resultType".into(), json!("complete"));
    assert_eq!(encode(&page), json!({"prompts": []}));
    // What is no result may have a member of that name.
    survives::<Prompt>(r#"{"name":"n","resultType":"complete"}"#);
}
