//! What every request is answered with.

use std::time::Duration;

use mcp_proto::model::{
    CacheScope, CallToolResult, CompleteResult, Completion, CreateMessageResult, CreateTaskResult, ElicitResult,
    EmptyResult, ExtTask, GetPromptResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListRootsResult, ListTasksResult, ListToolsResult, PromptMessage, ReadResourceResult, Role, SamplingContent,
    TaskStatus,
};
use mcp_proto::{Body, ResultKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::parts::{C, D, E, Maker, TIME, object};
use crate::requests;

fn body(result: &impl Serialize) -> Body {
    Body::result(result).unwrap_or_else(|error| panic!("{error}"))
}

/// What an application gives to `respond`. Several, if the method has several shapes.
pub(crate) fn results(make: Maker, method: &str) -> Vec<(ResultKind, Body)> {
    let task_kind = ResultKind::Task;
    let mut results: Vec<(ResultKind, Body)> = Vec::new();
    let mut add = |body: Body| results.push((ResultKind::Complete, body));
    macro_rules! page {
        ($result:ident $field:ident $items:expr) => {{
            let mut result = $result::new();
            if make.full {
                result.$field = $items;
            }
            result.next_cursor = make.always("page-3");
            add(body(&page!(cached result)));
        }};
        (cached $result:expr) => {
            if make.version.rules().result_type {
                let scope = if make.full { CacheScope::Public } else { CacheScope::Private };
                $result.cached(Duration::from_secs(u64::from(make.full) * 60), scope)
            } else {
                $result
            }
        };
    }
    match method {
        "tools/list" => page!(ListToolsResult tools vec![make.tool(), Maker { full: false, ..make }.tool()]),
        "resources/list" => {
            page!(ListResourcesResult resources vec![make.resource(), Maker { full: false, ..make }.resource()]);
        }
        "resources/templates/list" => {
            page!(ListResourceTemplatesResult resource_templates vec![make.template(), Maker { full: false, ..make }.template()]);
        }
        "prompts/list" => page!(ListPromptsResult prompts vec![make.prompt(), Maker { full: false, ..make }.prompt()]),
        "tools/call" => {
            add(body(&called(make)));
            if make.full {
                add(body(&CallToolResult::error("it failed")));
            }
            if make.version.rules().any_structured_content && make.full {
                for value in [json!([1, 2]), json!("text"), json!(1.5), Value::Null] {
                    let result = CallToolResult::text(value.to_string()).with_structured_content(value);
                    add(body(&result));
                }
            }
            if make.version == D {
                add(body(&CreateTaskResult::new(requests::tasks(make).swap_remove(0))));
            }
            if make.version >= E {
                let mut task = ExtTask::new("task-1", TaskStatus::Working, TIME, TIME, make.always(60_000i64));
                task.status_message = make.always("half done");
                task.poll_interval_ms = make.always(500);
                results.push((task_kind, body(&task)));
            }
        }
        "resources/read" => {
            let result = ReadResourceResult::new().with_contents(make.contents());
            add(body(&page!(cached result)));
        }
        "resources/subscribe" | "resources/unsubscribe" | "tasks/update" | "subscriptions/listen" => {
            add(body(&EmptyResult::new()));
        }
        "prompts/get" => {
            let mut result = GetPromptResult::new();
            result.description = make.always("What it is for");
            let by_user = make.content().into_iter().map(PromptMessage::user);
            result.messages = by_user.chain([PromptMessage::assistant("Yes?")]).collect();
            add(body(&result));
        }
        "completion/complete" => {
            let mut completion = Completion::new().with_values(["en".to_owned(), "eo".to_owned()]);
            (completion.total, completion.has_more) = (make.always(2), make.always(false));
            add(body(&CompleteResult::new(completion)));
            if make.full {
                let many = Completion::of((0..150).map(|number| number.to_string()));
                add(body(&CompleteResult::new(many)));
            }
        }
        "sampling/createMessage" => {
            for result in sampled(make) {
                add(body(&result));
            }
            if make.version == D {
                add(body(&CreateTaskResult::new(requests::tasks(make).swap_remove(0))));
            }
        }
        "roots/list" => {
            let roots = if make.full { vec![make.root(), Maker { full: false, ..make }.root()] } else { vec![] };
            add(body(&ListRootsResult::new().with_roots(roots)));
        }
        "elicitation/create" => {
            for result in elicited(make) {
                add(body(&result));
            }
            if make.version == D {
                add(body(&CreateTaskResult::new(requests::tasks(make).swap_remove(0))));
            }
        }
        "tasks/get" if make.version == D => requests::tasks(make).iter().for_each(|task| add(body(task))),
        "tasks/get" => requests::detailed_tasks(make).iter().for_each(|task| add(body(task))),
        "tasks/cancel" if make.version == D => {
            let mut task = requests::tasks(make).swap_remove(0);
            task.status = TaskStatus::Cancelled;
            add(body(&task));
        }
        "tasks/cancel" => add(body(&EmptyResult::new())),
        "tasks/list" => {
            let mut result = ListTasksResult::new().with_tasks(requests::tasks(make));
            result.next_cursor = make.always("page-3");
            add(body(&result));
        }
        "tasks/result" => {
            add(body(&called(make)));
            add(body(&sampled(make).swap_remove(0)));
            add(body(&elicited(make).swap_remove(0)));
        }
        other => panic!("no result for {other}"),
    }
    results
}

/// Content of every kind.
pub(crate) fn called(make: Maker) -> CallToolResult {
    let mut result = CallToolResult::new().with_content(if make.full { make.content() } else { vec![] });
    result.structured_content = make.since(C, json!({ "sum": 3, "parts": [1, 2] }));
    result.is_error = make.always(false);
    result
}

/// One answer of the model for each kind of content that it may give, and one with several blocks.
pub(crate) fn sampled(make: Maker) -> Vec<CreateMessageResult> {
    let mut contents: Vec<SamplingContent> = make
        .sampling_content()
        .into_iter()
        .filter(|block| block.kind() != "tool_result")
        .map(SamplingContent::from)
        .collect();
    if make.version.rules().sampling_arrays {
        contents.push(SamplingContent::from(make.sampling_content().into_iter().take(2).collect::<Vec<_>>()));
    }
    let reasons = ["endTurn", "stopSequence", "maxTokens", "a reason of its own"];
    let result = |(content, reason): (SamplingContent, &&str)| {
        let reason = if content.iter().any(|block| block.kind() == "tool_use") { "toolUse" } else { reason };
        let mut result = CreateMessageResult::new(Role::Assistant, content, "small-1");
        result.stop_reason = make.always(reason);
        result
    };
    contents.into_iter().zip(reasons.iter().cycle()).map(result).collect()
}

/// All that a user can do.
pub(crate) fn elicited(make: Maker) -> Vec<ElicitResult> {
    let mut form = object(json!({ "name": "Ada", "age": 36, "sure": true }));
    if make.version >= D {
        form.insert("choices".into(), json!(["a", "b"]));
    }
    let mut accepted = ElicitResult::accept(form);
    if !make.full {
        // What was asked had no fields, or was a URL.
        accepted.content = None;
    }
    vec![accepted, ElicitResult::decline(), ElicitResult::cancel()]
}
