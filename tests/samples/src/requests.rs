//! The parameters of every request and notification that an application sends.

use mcp_proto::Body;
use mcp_proto::model::{
    CallToolParams, CancelTaskParams, CompleteParams, CompletionArgument, CompletionContext, CompletionRef,
    CreateMessageParams, DetailedTask, ElicitParams, ElicitationCompleteParams, GetPromptParams, GetTaskParams,
    InputResponses, ListPromptsParams, ListResourceTemplatesParams, ListResourcesParams, ListTasksParams,
    ListToolsParams, ListenParams, LogParams, LoggingLevel, ModelHint, ModelPreferences, PromptReference,
    ReadResourceParams, ResourceTemplateReference, SamplingContent, SamplingMessage, SetLevelParams, StringArguments,
    SubscribeParams, SubscriptionFilter, Task, TaskResultParams, TaskStatus, ToolChoice, UnsubscribeParams,
    UpdateTaskParams,
};
use mcp_proto::{ErrorCode, ErrorObject};
use serde::Serialize;
use serde_json::{Value, json};

use crate::parts::{C, D, Maker, TIME, URI, object};

fn body(method: &str, params: &impl Serialize) -> Body {
    Body::new(method, params).unwrap_or_else(|error| panic!("{error}"))
}

/// What an application gives to `request`. Several, if the method has several shapes.
pub(crate) fn requests(make: Maker, method: &str) -> Vec<Body> {
    let cursor = || make.always("page-2");
    let one = |params: Body| vec![params];
    macro_rules! page {
        ($params:ident) => {{
            let mut params = $params::new();
            params.cursor = cursor();
            one(body(method, &params))
        }};
    }
    match method {
        "ping" | "roots/list" => one(Body::empty(method).unwrap_or_else(|error| panic!("{error}"))),
        "tools/list" => page!(ListToolsParams),
        "resources/list" => page!(ListResourcesParams),
        "resources/templates/list" => page!(ListResourceTemplatesParams),
        "prompts/list" => page!(ListPromptsParams),
        "tasks/list" => page!(ListTasksParams),
        "tools/call" => {
            let mut params = CallToolParams::new("add");
            params.arguments = make.always(object(json!({ "a": 1, "nested": { "b": [1.5, null, "c"] } })));
            params.task = make.task_wish();
            one(body(method, &params))
        }
        "resources/read" => one(body(method, &ReadResourceParams::new(URI))),
        "resources/subscribe" => one(body(method, &SubscribeParams::new(URI))),
        "resources/unsubscribe" => one(body(method, &UnsubscribeParams::new(URI))),
        "prompts/get" => {
            let mut params = GetPromptParams::new("review");
            params.arguments = make.always(strings());
            one(body(method, &params))
        }
        "completion/complete" => {
            let mut prompt = PromptReference::new("review");
            prompt.title = make.since(C, "A title");
            let template: CompletionRef = ResourceTemplateReference::new("file:///notes/{name}").into();
            let complete = |reference: CompletionRef| {
                let mut params = CompleteParams::new(reference, CompletionArgument::new("language", "en"));
                params.context = make.since(C, CompletionContext::new().with_arguments(strings()));
                body(method, &params)
            };
            vec![complete(prompt.into()), complete(template)]
        }
        "logging/setLevel" => {
            let levels = if make.full { &LoggingLevel::ALL[..] } else { &[LoggingLevel::Debug] };
            levels.iter().map(|level| body(method, &SetLevelParams::new(*level))).collect()
        }
        "sampling/createMessage" => sampling(make).iter().map(|params| body(method, params)).collect(),
        "elicitation/create" => elicitation(make).iter().map(|params| body(method, params)).collect(),
        "tasks/get" => one(body(method, &GetTaskParams::new("task-1"))),
        "tasks/result" => one(body(method, &TaskResultParams::new("task-1"))),
        "tasks/cancel" => one(body(method, &CancelTaskParams::new("task-1"))),
        "tasks/update" => {
            let mut responses = InputResponses::default();
            let answer = crate::results::elicited(make).swap_remove(0);
            responses.answer("user", &answer).unwrap_or_else(|error| panic!("{error}"));
            one(body(method, &UpdateTaskParams::new("task-1", responses)))
        }
        "subscriptions/listen" => one(body(method, &ListenParams::new(filter(make)))),
        other => panic!("no parameters for {other}"),
    }
}

fn strings() -> StringArguments {
    let mut strings = StringArguments::default();
    strings.insert("language".into(), "en".into());
    strings
}

pub(crate) fn filter(make: Maker) -> SubscriptionFilter {
    let mut filter = SubscriptionFilter::new();
    filter.tools_list_changed = make.always(true);
    filter.prompts_list_changed = make.always(true);
    filter.resources_list_changed = make.always(true);
    filter.resource_subscriptions = make.always([URI.to_owned()]);
    filter.task_ids = make.always(["task-1".to_owned()]);
    filter
}

/// What a server asks the model.
pub(crate) fn sampling(make: Maker) -> Vec<CreateMessageParams> {
    let message = |content: SamplingContent| {
        let by_model = content.iter().any(|block| block.kind() == "tool_use");
        let mut it = if by_model { SamplingMessage::assistant(content) } else { SamplingMessage::user(content) };
        it.meta = make.inner_meta(D);
        it
    };
    let mut messages: Vec<_> =
        make.sampling_content().into_iter().map(|block| message(SamplingContent::from(block))).collect();
    if make.version.rules().sampling_arrays {
        let texts = make.sampling_content().into_iter().take(2).collect::<Vec<_>>();
        messages.push(message(SamplingContent::from(texts)));
    }
    if !make.full {
        messages.truncate(1);
    }
    let contexts = if make.full { &["none", "thisServer", "allServers"][..] } else { &[""] };
    let params = |context: &&str| {
        let mut it = CreateMessageParams::new(messages.clone(), 100);
        let hints = vec![ModelHint::new().with_name("small"), ModelHint::new()];
        let preferences = ModelPreferences::new()
            .with_hints(hints)
            .with_cost_priority(0.25)
            .with_speed_priority(0.5)
            .with_intelligence_priority(1.0);
        it.model_preferences = make.always(preferences);
        it.system_prompt = make.always("Be brief");
        it.include_context = make.always(*context);
        it.temperature = make.always(0.5);
        it.stop_sequences = make.always(["END".to_owned()]);
        it.metadata = make.always(object(json!({ "provider": { "a": 1 } })));
        it.tools = make.since(D, [make.tool()]);
        it.tool_choice = make.since(D, ToolChoice::new().with_mode("required"));
        it.task = make.task_wish();
        it
    };
    contexts.iter().map(params).collect()
}

/// What a server asks the user: by a form, by a URL.
pub(crate) fn elicitation(make: Maker) -> Vec<ElicitParams> {
    let mut form = ElicitParams::form("Who are you?", make.form());
    form.mode = make.since(D, "form");
    form.task = make.task_wish();
    let mut params = vec![form];
    if make.version >= D {
        let id = make.version.rules().elicitation_id.then(|| "elicitation-1".to_owned());
        let mut url = ElicitParams::url("Sign in", "https://example.com/sign-in", id);
        url.task = make.task_wish();
        params.push(url);
    }
    params
}

/// What an application gives to `notify`. Several, if the method has several shapes.
pub(crate) fn notifications(make: Maker, method: &str) -> Vec<Body> {
    match method {
        "notifications/message" => {
            let data: [Value; 3] = [json!({ "a": [1, null] }), json!("text"), Value::Null];
            let levels = if make.full { &LoggingLevel::ALL[..] } else { &[LoggingLevel::Emergency] };
            let log = |level: &LoggingLevel, data: &Value| {
                let mut params = LogParams::new(*level, data.clone());
                params.logger = make.always("db");
                Body::log(&params).unwrap_or_else(|error| panic!("{error}"))
            };
            levels.iter().flat_map(|level| data.iter().map(move |data| log(level, data))).collect()
        }
        "notifications/roots/list_changed" => vec![Body::empty(method).unwrap_or_else(|error| panic!("{error}"))],
        "notifications/elicitation/complete" => {
            vec![body(method, &ElicitationCompleteParams::new("elicitation-1"))]
        }
        "notifications/tasks/status" => tasks(make).iter().map(|task| body(method, task)).collect(),
        "notifications/tasks" => detailed_tasks(make).iter().map(|task| body(method, task)).collect(),
        other => panic!("no parameters for {other}"),
    }
}

/// The tasks of 2025-11-25, one in each state.
pub(crate) fn tasks(make: Maker) -> Vec<Task> {
    states(make)
        .into_iter()
        .map(|status| {
            let mut task = Task::new("task-1", status, TIME, TIME, make.always(60_000i64));
            task.status_message = make.always("half done");
            task.poll_interval = make.always(500);
            task
        })
        .collect()
}

/// The tasks of the extension, one in each state.
pub(crate) fn detailed_tasks(make: Maker) -> Vec<DetailedTask> {
    states(make)
        .into_iter()
        .map(|status| {
            let mut task = DetailedTask::new("task-1", status.clone(), TIME, TIME, make.always(60_000i64));
            task.status_message = make.always("half done");
            task.poll_interval_ms = make.always(500);
            match status {
                TaskStatus::Completed => {
                    let result = serde_json::to_value(crate::results::called(make));
                    let mut result = object(result.unwrap_or_else(|error| panic!("{error}")));
                    result.insert("resultType".into(), "complete".into());
                    task.result = Some(result);
                }
                TaskStatus::Failed => task.error = Some(ErrorObject::new(ErrorCode::INTERNAL_ERROR, "it failed")),
                TaskStatus::InputRequired => {
                    let mut questions = mcp_proto::model::InputRequests::default();
                    questions.insert("user".into(), elicitation(make).swap_remove(0).into());
                    task.input_requests = Some(questions);
                }
                _ => {}
            }
            task
        })
        .collect()
}

fn states(make: Maker) -> Vec<TaskStatus> {
    use TaskStatus::{Cancelled, Completed, Failed, InputRequired, Working};
    if make.full { vec![Working, InputRequired, Completed, Failed, Cancelled] } else { vec![Working] }
}
