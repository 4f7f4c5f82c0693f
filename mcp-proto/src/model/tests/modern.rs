//! What came with 2026-07-28: discovery, subscriptions, multi round-trip requests, caching, and errors with data.

use core::time::Duration;

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use super::{decode, encode, keeps, refusal, survives};
use crate::jsonrpc::{ErrorCode, ErrorObject};
use crate::model::{
    AcknowledgedParams, CacheScope, CallToolParams, Capability, ClientCapabilities, CreateMessageParams,
    CreateMessageRequest, DiscoverResult, ElicitAction, ElicitMode, ElicitParams, ElicitRequest, ElicitResult,
    ElicitationCompleteParams, InputRequest, InputRequests, InputRequiredResult, InputResponses, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListRootsRequest, ListRootsResult, ListToolsResult, ListenParams,
    MissingCapabilityData, ProtocolVersion, ReadResourceResult, ResourceNotFoundData, ServerCapabilities,
    SubscriptionFilter, UnsupportedVersionData, UrlElicitationData,
};

#[test]
fn discovery() {
    keeps::<DiscoverResult>(
        r#"{"supportedVersions":["2026-07-28","2031-01-01","2025-11-25"],"capabilities":{"tools":{}},"instructions":"i","ttlMs":5,"cacheScope":"public"}"#,
        r#"{"supportedVersions":[],"capabilities":{}}"#,
    );
    let result =
        DiscoverResult::new(["2026-07-28".into(), "2031-01-01".into(), "2025-11-25".into()], ServerCapabilities::new());
    let known: Vec<_> = result.known_versions().collect();
    assert_eq!(known, [ProtocolVersion::V2026_07_28, ProtocolVersion::V2025_11_25]);
}

#[test]
fn subscriptions() {
    keeps::<SubscriptionFilter>(
        r#"{"toolsListChanged":true,"promptsListChanged":false,"resourcesListChanged":true,"resourceSubscriptions":["a:b"],"taskIds":["1"]}"#,
        "{}",
    );
    keeps::<ListenParams>(r#"{"notifications":{"toolsListChanged":true}}"#, r#"{"notifications":{}}"#);
    keeps::<AcknowledgedParams>(r#"{"notifications":{"x":1}}"#, r#"{"notifications":{}}"#);
    let asked = SubscriptionFilter::new()
        .with_tools_list_changed(true)
        .with_prompts_list_changed(false)
        .with_resource_subscriptions(["a:b".into(), "a:c".into()]);
    assert!(!asked.is_empty() && SubscriptionFilter::new().with_task_ids([]).with_tools_list_changed(false).is_empty());
    let all = SubscriptionFilter::new()
        .with_tools_list_changed(true)
        .with_prompts_list_changed(true)
        .with_resources_list_changed(true)
        .with_resource_subscriptions(["a:c".into(), "a:d".into()])
        .with_task_ids(["1".into()]);
    for granted in [asked.intersection(&all), all.intersection(&asked)] {
        assert_eq!(encode(&granted), json!({"toolsListChanged": true, "resourceSubscriptions": ["a:c"]}));
    }
    assert!(asked.intersection(&SubscriptionFilter::new()).is_empty());
}

#[test]
fn input_requests() {
    keeps::<ElicitRequest>(
        r#"{"method":"elicitation/create","params":{"message":"m","mode":"url","url":"https://a.b"}}"#,
        r#"{"method":"elicitation/create","params":{"message":"m"}}"#,
    );
    keeps::<CreateMessageRequest>(
        r#"{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"x":1}}"#,
        r#"{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}"#,
    );
    keeps::<ListRootsRequest>(r#"{"method":"roots/list","params":{}}"#, r#"{"method":"roots/list"}"#);
    let vendor = survives::<InputRequest>(r#"{"method":"vendor/ask","params":[1]}"#);
    assert_eq!((vendor.kind(), vendor.needs()), ("vendor/ask", None));
    keeps::<InputRequiredResult>(
        r#"{"inputRequests":{"b":{"method":"roots/list"},"a":{"params":{"message":"m"},"method":"elicitation/create"}},"requestState":"s"}"#,
        "{}",
    );
    let result: InputRequiredResult = decode(r#"{"resultType":"input_required","requestState":""}"#);
    assert!(result.is_valid() && !InputRequiredResult::new().is_valid());
    let form = ElicitParams::form("m", Map::new());
    let requests = InputRequests::from([("who", InputRequest::from(form)), ("where", InputRequest::list_roots())]);
    assert_eq!(
        encode(&InputRequiredResult::new().with_input_requests(requests)),
        json!({"inputRequests": {
            "where": {"method": "roots/list"},
            "who": {"method": "elicitation/create", "params": {"message": "m", "requestedSchema": {}}},
        }})
    );
    assert_eq!(
        refusal::<InputRequiredResult>(
            r#"{"inputRequests":{"a":{"method":"roots/list"},"a":{"method":"roots/list"}}}"#
        ),
        "inputRequests: duplicate field `a`"
    );
    assert_eq!(
        refusal::<InputRequiredResult>(r#"{"inputRequests":{"a":{"method":"elicitation/create","params":{}}}}"#),
        "inputRequests: a: params: missing field `message`"
    );
}

/// What a question needs of the client, down to the mode.
#[test]
fn input_requests_need_capabilities() {
    let mut sampling = CreateMessageParams::new([], 1);
    for (request, needs, declared) in [
        (ElicitParams::form("m", Map::new()).into(), Capability::ElicitationForm, json!({"elicitation": {"form": {}}})),
        (ElicitParams::url("m", "a:b", None).into(), Capability::ElicitationUrl, json!({"elicitation": {"url": {}}})),
        (
            ElicitParams::new("m").with_mode(ElicitMode::Other("voice".into())).into(),
            Capability::Elicitation,
            json!({"elicitation": {}}),
        ),
        (sampling.clone().into(), Capability::Sampling, json!({"sampling": {}})),
        (
            {
                sampling.tools = Some(vec![]);
                InputRequest::from(sampling)
            },
            Capability::SamplingTools,
            json!({"sampling": {"tools": {}}}),
        ),
        (InputRequest::list_roots(), Capability::Roots, json!({"roots": {}})),
    ] {
        assert_eq!(request.needs(), Some(needs));
        let least = ClientCapabilities::of(needs);
        assert_eq!(encode(&least), declared);
        assert!(least.offers(needs) && !ClientCapabilities::new().offers(needs));
    }
}

#[test]
fn answers_are_bare_results() {
    let mut responses = InputResponses::new();
    responses.answer("who", &ElicitResult::decline()).expect("it encodes");
    responses.answer("where", &ListRootsResult::new()).expect("it encodes");
    let params = CallToolParams::new("n").with_input_responses(responses).with_request_state("s\u{1}\"");
    assert_eq!(
        encode(&params),
        json!({"name": "n", "inputResponses": {"where": {"roots": []}, "who": {"action": "decline"}}, "requestState": "s\u{1}\""})
    );
    let params: CallToolParams = survives(&encode(&params).to_string());
    let responses = params.input_responses.expect("they are there");
    let answer = responses.decode::<ElicitResult>("who").expect("it is there").expect("it decodes");
    assert_eq!(answer.action, ElicitAction::Decline);
    assert!(responses.decode::<ElicitResult>("why").is_none());
    assert!(responses.decode::<ElicitResult>("where").expect("it is there").is_err());
}

/// server/utilities/caching: absent and negative mean not fresh at all; only `public` is public.
#[test]
fn freshness() {
    fn of(json: &str) -> [(Duration, bool); 6] {
        let tools: ListToolsResult = decode(json);
        let resources: ListResourcesResult = decode(json);
        let templates: ListResourceTemplatesResult = decode(json);
        let prompts: ListPromptsResult = decode(json);
        let contents: ReadResourceResult = decode(json);
        let mut discovered = DiscoverResult::new([], ServerCapabilities::new());
        (discovered.ttl_ms, discovered.cache_scope) = (tools.ttl_ms, tools.cache_scope.clone());
        [
            (tools.ttl(), tools.is_public()),
            (resources.ttl(), resources.is_public()),
            (templates.ttl(), templates.is_public()),
            (prompts.ttl(), prompts.is_public()),
            (contents.ttl(), contents.is_public()),
            (discovered.ttl(), discovered.is_public()),
        ]
    }
    for (json, ttl, public) in [
        ("{}", 0, false),
        (r#"{"ttlMs":-1,"cacheScope":"private"}"#, 0, false),
        (r#"{"ttlMs":60000.0,"cacheScope":"public"}"#, 60000, true),
        (r#"{"ttlMs":null,"cacheScope":"team"}"#, 0, false),
        (r#"{"ttlMs":9223372036854775807}"#, 9_223_372_036_854_775_807, false),
    ] {
        assert_eq!(of(json), [(Duration::from_millis(ttl), public); 6], "{json}");
    }
    let kept: ListToolsResult = survives(r#"{"tools":[],"ttlMs":-1,"cacheScope":"team"}"#);
    assert_eq!(kept.cache_scope, Some(CacheScope::Other("team".into())));
    let cached = ListToolsResult::new().cached(Duration::from_micros(1500), CacheScope::Private);
    assert_eq!(encode(&cached), json!({"tools": [], "ttlMs": 1, "cacheScope": "private"}));
    assert_eq!(ListToolsResult::new().cached(Duration::MAX, CacheScope::Public).ttl_ms, Some(i64::MAX));
}

#[test]
fn errors_with_data() {
    keeps::<UrlElicitationData>(r#"{"elicitations":[{"message":"m"}]}"#, r#"{"elicitations":[]}"#);
    keeps::<MissingCapabilityData>(r#"{"requiredCapabilities":{"x":{}}}"#, r#"{"requiredCapabilities":{}}"#);
    keeps::<UnsupportedVersionData>(r#"{"supported":["a"],"requested":"b"}"#, r#"{"supported":["a"],"requested":"b"}"#);
    keeps::<ResourceNotFoundData>(r#"{"uri":"a:b"}"#, r#"{"uri":"a:b"}"#);
    keeps::<ElicitationCompleteParams>(r#"{"elicitationId":"1"}"#, r#"{"elicitationId":"1"}"#);

    let error = ErrorObject::url_elicitation_required([ElicitParams::url("m", "a:b", Some("1".into()))]);
    assert_eq!(error.code, ErrorCode(-32042));
    let error: ErrorObject = survives(&encode(&error).to_string());
    let data: UrlElicitationData = error.typed_data().expect("it has its shape");
    assert_eq!(data.elicitations[0].elicitation_id.as_deref(), Some("1"));
    assert_eq!(error.typed_data::<UnsupportedVersionData>(), None);

    let error = ErrorObject::missing_client_capability(ClientCapabilities::of(Capability::TasksExtension));
    assert_eq!(
        error.data,
        Some(json!({"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}))
    );
    let error = ErrorObject::unsupported_protocol_version(["2026-07-28".into()], "2031-01-01");
    assert_eq!(
        (error.code.0, error.data),
        (-32022, Some(json!({"supported": ["2026-07-28"], "requested": "2031-01-01"})))
    );
    assert_eq!(ErrorObject::internal("m").typed_data::<Value>().map(|data| data.to_string()), None);
}
