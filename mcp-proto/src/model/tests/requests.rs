//! Parameters and results of requests, and notifications.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use super::{decode, encode, refusal, survives};
use crate::jsonrpc::ProgressToken;
use crate::model::{
    CacheScope, CallToolParams, CallToolResult, CancelledParams, ContentBlock, CreateMessageParams,
    CreateMessageResult, ElicitAction, ElicitMode, ElicitParams, ElicitResult, Icon, InputResponses, ListRootsResult,
    ListToolsParams, ListToolsResult, LogParams, LoggingLevel, Progress, ProgressParams, Role, SamplingContent,
    SamplingMessage, SetLevelParams, StopReason, TaskSupport, Tool, ToolAnnotations, ToolUseFault,
};

#[test]
fn tools_survive() {
    let page: ListToolsResult = survives(
        r#"{"tools":[{"name":"n","inputSchema":{"type":"object","$defs":{}},"title":"t","description":"d","outputSchema":{"type":"array"},"annotations":{"title":"t","readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false,"x":1},"execution":{"taskSupport":"optional"},"icons":[{"src":"data:,"}],"_meta":{"k":1},"x":1},{"name":"n","inputSchema":{}}],"nextCursor":"c","ttlMs":5,"cacheScope":"public"}"#,
    );
    assert_eq!(page.tools[0].annotations.as_ref().and_then(|hints| hints.destructive_hint), Some(false));
    assert_eq!(page.tools[1], Tool::new("n", Map::new()));
    assert_eq!((page.ttl_ms, page.cache_scope), (Some(5), Some(CacheScope::Public)));
    assert_eq!(
        (page.tools[0].task_support(), page.tools[1].task_support()),
        (&TaskSupport::Optional, &TaskSupport::Forbidden)
    );
    assert_eq!((page.tools[0].display_name(), page.tools[1].display_name()), ("t", "n"));
    assert_eq!(decode::<ListToolsResult>(r#"{"tools":null}"#), ListToolsResult::new());
    assert_eq!(encode(&ListToolsResult::new()), json!({"tools": []}));
    assert_eq!(encode(&ListToolsParams::new().with_cursor("c")), json!({"cursor": "c"}));
    survives::<ListToolsParams>("{}");
}

#[test]
fn calls_survive() {
    survives::<CallToolParams>(r#"{"name":"n"}"#);
    let call: CallToolParams = survives(
        r#"{"name":"n","arguments":{"a":1.25,"b":[{}]},"task":{"ttl":1},"requestState":"s","inputResponses":{}}"#,
    );
    assert_eq!((call.request_state.as_deref(), call.input_responses), (Some("s"), Some(InputResponses::new())));
    assert_eq!((call.task.and_then(|task| task.ttl), call.extra.len()), (Some(1), 0));
    assert_eq!(refusal::<CallToolParams>(r#"{"arguments":{}}"#), "missing field `name`");
    assert_eq!(
        refusal::<CallToolParams>(r#"{"name":"n","arguments":[1]}"#),
        "arguments: invalid type: sequence, expected a map"
    );
}

#[test]
fn results_of_calls_survive() {
    survives::<CallToolResult>(r#"{"content":[{"type":"text","text":"t"}],"structuredContent":[1],"isError":false}"#);
    let null: CallToolResult = survives(r#"{"content":[],"structuredContent":null}"#);
    assert_eq!(null.structured_content, Some(Value::Null));
    let nothing: CallToolResult = decode(r#"{"_meta":{},"isError":null}"#);
    assert_eq!(nothing, CallToolResult::new());
    assert_eq!(encode(&nothing), json!({"content": []}));
    let error = CallToolResult::error("no");
    assert!(error.is_error() && !CallToolResult::text("yes").is_error());
    assert_eq!(encode(&error), json!({"content": [{"type": "text", "text": "no"}], "isError": true}));
    assert_eq!(
        refusal::<CallToolResult>(r#"{"content":[{"type":"image","data":"AAAA"}]}"#),
        "content: missing field `mimeType`"
    );
}

#[test]
fn progress_survives() {
    let params: ProgressParams = survives(r#"{"progressToken":"t","progress":0.5,"total":1.5,"message":"m"}"#);
    assert_eq!(Progress::from(params), Progress::new(0.5).with_total(1.5).with_message("m"));
    let params: ProgressParams = decode(r#"{"progressToken":7,"progress":3,"_meta":{}}"#);
    assert_eq!(params.progress, 3.0);
    let token: ProgressToken = decode("7");
    assert_eq!(params, ProgressParams::of(token, Progress::new(3)));
    assert_eq!(encode(&params), json!({"progressToken": 7, "progress": 3.0}));
    assert_eq!(refusal::<ProgressParams>(r#"{"progressToken":7}"#), "missing field `progress`");
}

#[test]
fn cancellation_survives() {
    survives::<CancelledParams>(r#"{"requestId":1,"reason":"r","x":1}"#);
    survives::<CancelledParams>(r#"{"requestId":"1"}"#);
    survives::<CancelledParams>("{}");
}

#[test]
fn levels_are_ordered_and_closed() {
    assert!(LoggingLevel::ALL.is_sorted());
    assert!(LoggingLevel::Debug < LoggingLevel::Info && LoggingLevel::Alert < LoggingLevel::Emergency);
    for level in LoggingLevel::ALL {
        assert_eq!(level.as_str().parse(), Ok(level));
        assert_eq!(decode::<LoggingLevel>(&encode(&level).to_string()), level);
    }
    assert_eq!(refusal::<SetLevelParams>(r#"{"level":"warn"}"#), "level: unknown logging level `warn`");
    assert_eq!(refusal::<SetLevelParams>(r#"{"level":"DEBUG"}"#), "level: unknown logging level `DEBUG`");
    assert!("".parse::<LoggingLevel>().is_err());
}

#[test]
fn log_messages_survive() {
    survives::<SetLevelParams>(r#"{"level":"notice"}"#);
    for data in ["null", "\"text\"", "1.5", "[1,2]", r#"{"a":{"b":null}}"#] {
        survives::<LogParams>(&[r#"{"level":"error","logger":"l","data":"#, data, "}"].concat());
    }
    assert_eq!(encode(&LogParams::new(LoggingLevel::Info, "t")), json!({"level": "info", "data": "t"}));
    assert_eq!(refusal::<LogParams>(r#"{"level":"error"}"#), "missing field `data`");
}

#[test]
fn elicitation_survives() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let Value::Object(schema) = schema else { panic!("it is an object") };
    let form = ElicitParams::form("m", schema);
    assert_eq!(form.mode(), &ElicitMode::Form);
    let form = encode(&form);
    assert!(form.get("mode").is_none());
    survives::<ElicitParams>(&form.to_string());
    let url: ElicitParams = survives(
        r#"{"message":"m","mode":"url","url":"https://a.b","elicitationId":"1","task":{"ttl":1},"requestedSchema":{},"x":1}"#,
    );
    assert_eq!(url.mode(), &ElicitMode::Url);
    let url = ElicitParams::url("m", "https://a.b", Some("1".into()));
    assert_eq!(encode(&url), json!({"mode": "url", "message": "m", "url": "https://a.b", "elicitationId": "1"}));
    assert_eq!(encode(&ElicitParams::url("m", "https://a.b", None)).as_object().map(Map::len), Some(3));

    survives::<ElicitResult>(r#"{"action":"accept","content":{"a":"b","c":[1,true]},"x":1}"#);
    assert_eq!(survives::<ElicitResult>(r#"{"action":"snooze"}"#).action, ElicitAction::Other("snooze".into()));
    assert_eq!(encode(&ElicitResult::accept(Map::new())), json!({"action": "accept", "content": {}}));
    assert_eq!(encode(&ElicitResult::decline()), json!({"action": "decline"}));
    assert_eq!(encode(&ElicitResult::cancel()), json!({"action": "cancel"}));
}

#[test]
fn sampling_survives() {
    survives::<CreateMessageParams>(
        r#"{"messages":[{"role":"user","content":{"type":"text","text":"t"},"_meta":{"k":1}},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"n","input":{}},{"type":"text","text":"t"}],"x":1}],"maxTokens":100,"modelPreferences":{"hints":[{"name":"n","x":1},{}],"costPriority":0.25,"speedPriority":0.5,"intelligencePriority":0.75},"systemPrompt":"s","includeContext":"thisServer","temperature":0.5,"stopSequences":["."],"metadata":{"a":{}},"tools":[{"name":"n","inputSchema":{}}],"toolChoice":{"mode":"required"},"task":{"ttl":1},"x":1}"#,
    );
    survives::<CreateMessageParams>(r#"{"messages":[],"maxTokens":1}"#);
    let params: CreateMessageParams = decode(r#"{"messages":[],"maxTokens":100.0,"temperature":1}"#);
    assert_eq!((params.max_tokens, params.temperature), (100, Some(1.0)));
    let built = CreateMessageParams::new([SamplingMessage::user("hi")], 100).with_temperature(1.0);
    assert_eq!(
        encode(&built),
        json!({"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 100, "temperature": 1.0})
    );

    let result: CreateMessageResult =
        survives(r#"{"role":"assistant","content":{"type":"text","text":"t"},"model":"m","stopReason":"refusal"}"#);
    assert_eq!(result.stop_reason, Some(StopReason::Other("refusal".into())));
    let result: CreateMessageResult = decode(
        r#"{"_meta":{},"role":"assistant","content":{"text":"t","type":"text"},"model":"m","stopReason":"endTurn"}"#,
    );
    assert_eq!(result, CreateMessageResult::new(Role::Assistant, "t", "m").with_stop_reason("endTurn"));
}

#[test]
fn one_block_is_written_as_itself() {
    let one = json!({"type": "text", "text": "t"});
    assert_eq!(encode(&decode::<SamplingContent>(&one.to_string())), one);
    assert_eq!(encode(&decode::<SamplingContent>(&json!([one]).to_string())), one);
    survives::<SamplingContent>("[]");
    let two = survives::<SamplingContent>(&json!([one, one]).to_string());
    assert_eq!((two.len(), two[1].as_text()), (2, Some("t")));
    assert_eq!(SamplingContent::from(vec![ContentBlock::text("t")]), SamplingContent::from(String::from("t")));
    for (json, fault) in [
        ("null", "content: invalid type: null, expected object ContentBlock or an array of them"),
        (r#"[{"text":"t"}]"#, "content: missing field `type`"),
        (r#"{"text":"t"}"#, "content: missing field `type`"),
        (r#"[7]"#, "content: invalid type: integer `7`, expected object ContentBlock"),
    ] {
        assert_eq!(refusal::<SamplingMessage>(&[r#"{"role":"user","content":"#, json, "}"].concat()), fault);
    }
}

#[test]
fn roots_survive() {
    let list: ListRootsResult =
        survives(r#"{"roots":[{"uri":"file:///a","name":"n","_meta":{"k":1},"x":1},{"uri":"file:///b"}],"x":1}"#);
    assert_eq!(list.roots.len(), 2);
    assert_eq!(encode(&ListRootsResult::new()), json!({"roots": []}));
}

/// server/tools, Annotations: what a server leaves out is taken for the worst.
#[test]
fn hints_that_are_missing_are_the_worst() {
    let told = |it: &ToolAnnotations| [it.is_read_only(), it.is_destructive(), it.is_idempotent(), it.is_open_world()];
    assert_eq!(told(&ToolAnnotations::new()), [false, true, false, true]);
    assert_eq!(told(&ToolAnnotations::new().with_read_only_hint(true)), [true, false, true, true]);
    let mild =
        ToolAnnotations::new().with_destructive_hint(false).with_idempotent_hint(true).with_open_world_hint(false);
    assert_eq!(told(&mild), [false, false, true, false]);
}

/// basic, Icons: "Consumers MUST … reject icon URIs that use unsafe schemes".
#[test]
fn icons_with_unsafe_schemes_are_told() {
    for safe in ["https://x.example/i.png", "http://x.example/i.png", "data:image/png;base64,AAAA", "HTTPS://x.example"]
    {
        assert!(Icon::new(safe).has_safe_source(), "{safe}");
    }
    for unsafe_source in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://x",
        "ws://x",
        " https://x",
        "i.png",
        "",
        "//x.example/i.png",
    ] {
        assert!(!Icon::new(unsafe_source).has_safe_source(), "{unsafe_source}");
    }
}

/// client/sampling, Tool Use: "messages that contain `tool_result` … MUST contain only" those, and "every … `tool_use` … MUST
/// be followed by … `tool_result`".
#[test]
fn every_use_of_a_tool_has_its_result() {
    let used = |ids: &[&str]| {
        let uses = ids.iter().map(|id| ContentBlock::tool_use(*id, "n", Map::new())).collect::<Vec<_>>();
        SamplingMessage::assistant(uses)
    };
    let done = |ids: &[&str]| {
        let results =
            ids.iter().map(|id| ContentBlock::tool_result(*id, [ContentBlock::text("r")])).collect::<Vec<_>>();
        SamplingMessage::user(results)
    };
    let mixed = SamplingMessage::user(vec![ContentBlock::tool_result("a", []), ContentBlock::text("and")]);
    let check = |messages: Vec<SamplingMessage>| CreateMessageParams::new(messages, 1).check_tool_use();
    assert_eq!(check(vec![]), Ok(()));
    assert_eq!(check(vec![SamplingMessage::user("hi"), SamplingMessage::assistant("ho")]), Ok(()));
    assert_eq!(check(vec![used(&["a", "b"]), done(&["b", "a"]), used(&["c"]), done(&["c"])]), Ok(()));
    assert_eq!(check(vec![used(&["a"]), mixed]), Err(ToolUseFault::Mixed(1)));
    assert_eq!(check(vec![used(&["a"])]), Err(ToolUseFault::Unanswered(0, "a".into())));
    assert_eq!(check(vec![used(&["a", "b"]), done(&["a"])]), Err(ToolUseFault::Unanswered(0, "b".into())));
    assert_eq!(check(vec![used(&["a"]), SamplingMessage::user("no")]), Err(ToolUseFault::Unanswered(0, "a".into())));
    assert_eq!(check(vec![done(&["a"])]), Err(ToolUseFault::Unasked(0, "a".into())));
    assert_eq!(check(vec![used(&["a"]), done(&["a", "z"])]), Err(ToolUseFault::Unasked(1, "z".into())));
    let backwards = SamplingMessage::user(ContentBlock::tool_use("a", "n", Map::new()));
    assert_eq!(check(vec![backwards]), Err(ToolUseFault::UseOfUser(0)));
    let backwards = SamplingMessage::assistant(ContentBlock::tool_result("a", []));
    assert_eq!(check(vec![backwards]), Err(ToolUseFault::ResultOfAssistant(0)));
}
