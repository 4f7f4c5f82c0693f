//! The tables: no row contradicts another, and each says what the specification says.

use alloc::vec::Vec;

use super::{decode, survives};
use crate::jsonrpc::ErrorCode;
use crate::model::{
    CACHEABLE, Capability, ClientCapabilities, ContentBlock, ERRORS, INPUT_REQUESTS, MAY_REQUIRE_INPUT, METHODS,
    ProtocolVersion, Sender, ServerCapabilities, Union, VARIANTS, method_rule,
};

use ProtocolVersion::{V2024_11_05 as A, V2025_03_26 as B, V2025_06_18 as C, V2025_11_25 as D, V2026_07_28 as E};

#[test]
fn a_method_has_at_most_one_rule_in_a_revision() {
    for (place, rule) in METHODS.iter().enumerate() {
        assert!(rule.since <= rule.until, "{}", rule.method);
        for other in METHODS[..place].iter().filter(|other| other.method == rule.method) {
            assert!(other.until < rule.since, "{} has overlapping rows, or not in order", rule.method);
        }
    }
}

#[test]
fn the_other_tables_have_no_row_twice() {
    for (place, rule) in VARIANTS.iter().enumerate() {
        assert!(rule.since <= rule.until);
        assert!(VARIANTS[..place].iter().all(|other| (other.union, other.name) != (rule.union, rule.name)), "{rule:?}");
    }
    for (place, rule) in ERRORS.iter().enumerate() {
        assert!(rule.since <= rule.until);
        assert!(ERRORS[..place].iter().all(|other| other.code != rule.code), "{rule:?}");
        assert!(rule.code.name().is_some(), "{rule:?} has no name");
    }
}

/// How many requests and notifications each side may send in each revision, counted in the schemas of the specification. The
/// extension for tasks adds three requests and a notification to the last.
#[test]
fn every_revision_has_as_many_methods_as_its_schema() {
    let count = |version, notification, wrong| {
        METHODS
            .iter()
            .filter(|rule| rule.is_notification() == notification && rule.sender != wrong)
            .filter(|rule| (rule.since..=rule.until).contains(&version))
            .filter(|rule| rule.needs != Capability::TasksExtension)
            .count()
    };
    let counts = |version| {
        [
            count(version, false, Sender::Server),
            count(version, true, Sender::Server),
            count(version, false, Sender::Client),
            count(version, true, Sender::Client),
        ]
    };
    assert_eq!(
        ProtocolVersion::ALL.map(counts),
        [[13, 4, 3, 7], [13, 4, 3, 7], [13, 4, 4, 7], [17, 5, 8, 9], [10, 1, 0, 8],]
    );
}

#[test]
fn methods_come_and_go() {
    for (method, revisions) in [
        ("initialize", &[A, B, C, D][..]),
        ("ping", &[A, B, C, D]),
        ("tools/call", &[A, B, C, D, E]),
        ("completion/complete", &[A, B, C, D, E]),
        ("resources/subscribe", &[A, B, C, D]),
        ("logging/setLevel", &[A, B, C, D]),
        ("elicitation/create", &[C, D]),
        ("tasks/get", &[D, E]),
        ("tasks/result", &[D]),
        ("tasks/list", &[D]),
        ("tasks/cancel", &[D, E]),
        ("tasks/update", &[E]),
        ("server/discover", &[E]),
        ("subscriptions/listen", &[E]),
        ("notifications/initialized", &[A, B, C, D]),
        ("notifications/cancelled", &[A, B, C, D, E]),
        ("notifications/roots/list_changed", &[A, B, C, D]),
        ("notifications/resources/updated", &[A, B, C, D, E]),
        ("notifications/elicitation/complete", &[D]),
        ("notifications/tasks/status", &[D]),
        ("notifications/tasks", &[E]),
        ("notifications/subscriptions/acknowledged", &[E]),
    ] {
        for version in ProtocolVersion::ALL {
            let has = method_rule(method, version).map(|rule| rule.is_ok());
            assert_eq!(has, Some(revisions.contains(&version)), "{method} in {version}");
        }
    }
    assert!(method_rule("vendor/thing", C).is_none());
    // In the modern era nothing but a client asks.
    assert!(
        METHODS.iter().filter(|rule| rule.until == E && !rule.is_notification()).all(|it| it.sender == Sender::Client)
    );
}

#[test]
fn the_lists_of_methods_name_methods() {
    for method in MAY_REQUIRE_INPUT.into_iter().chain(CACHEABLE) {
        assert!(method_rule(method, E).is_some_and(|rule| rule.is_ok()), "{method}");
    }
    for (method, needs) in INPUT_REQUESTS {
        assert!(method_rule(method, E).is_some_and(|rule| rule.is_err()), "{method} is no request any more");
        let Some(Ok(rule)) = method_rule(method, D) else { panic!("{method}") };
        assert_eq!(rule.needs, needs);
    }
}

/// A boolean within a capability is declared by `true` only, and each side declares what is its own.
#[test]
fn parts_of_capabilities() {
    let all: ServerCapabilities = survives(
        r#"{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"prompts":{"listChanged":true},"logging":{},"completions":{},"tasks":{"list":{},"cancel":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
    );
    let some: ServerCapabilities =
        survives(r#"{"tools":{"listChanged":false},"resources":{},"prompts":{},"tasks":{},"extensions":{"a/b":{}}}"#);
    let parts = [
        Capability::ToolsListChanged,
        Capability::ResourcesListChanged,
        Capability::ResourcesSubscribe,
        Capability::PromptsListChanged,
        Capability::TasksList,
        Capability::TasksCancel,
        Capability::TasksExtension,
    ];
    assert_eq!(parts.map(|part| (all.offers(part), some.offers(part))), [(true, false); 7]);
    let wholes = [Capability::Tools, Capability::Resources, Capability::Prompts, Capability::Tasks];
    assert_eq!(wholes.map(|whole| (all.offers(whole), some.offers(whole))), [(true, true); 4]);

    let all: ClientCapabilities = survives(
        r#"{"roots":{"listChanged":true},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"tasks":{"list":{},"cancel":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
    );
    let some: ClientCapabilities =
        survives(r#"{"roots":{},"sampling":{},"elicitation":{},"tasks":{},"extensions":{}}"#);
    let parts = [
        Capability::RootsListChanged,
        Capability::SamplingTools,
        Capability::SamplingContext,
        Capability::ElicitationUrl,
        Capability::TasksList,
        Capability::TasksCancel,
        Capability::TasksExtension,
    ];
    assert_eq!(parts.map(|part| (all.offers(part), some.offers(part))), [(true, false); 7]);
    let wholes = [
        Capability::Roots,
        Capability::Sampling,
        Capability::Elicitation,
        Capability::ElicitationForm,
        Capability::Tasks,
    ];
    assert_eq!(wholes.map(|whole| (all.offers(whole), some.offers(whole))), [(true, true); 5]);

    for rule in METHODS.iter().filter(|rule| rule.needs != Capability::None && rule.sender != Sender::Both) {
        // A request needs its receiver's declaration, a notification its sender's.
        let server_declares = (rule.sender == Sender::Server) == rule.is_notification();
        let least = ClientCapabilities::of(rule.needs);
        if server_declares {
            assert!(rule.needs == Capability::TasksExtension || least == ClientCapabilities::new(), "{}", rule.method);
        } else {
            assert!(least.offers(rule.needs), "{}", rule.method);
        }
    }
}

#[test]
fn kinds_of_content_and_other_variants_come_and_stay() {
    for (union, name, since) in [
        (Union::Content, "text", A),
        (Union::Content, "audio", B),
        (Union::Content, "resource_link", C),
        (Union::SamplingContent, "audio", B),
        (Union::SamplingContent, "tool_use", D),
        (Union::Form, "enumNames", C),
        (Union::Form, "oneOf", D),
        (Union::Form, "items.anyOf", D),
        (Union::ElicitMode, "url", D),
        (Union::ResultType, "input_required", E),
    ] {
        for version in ProtocolVersion::ALL {
            assert_eq!(version.has_variant(union, name), Some(version >= since), "{name} in {version}");
        }
    }
    for (union, name) in [(Union::Content, "tool_use"), (Union::SamplingContent, "resource"), (Union::Content, "video")]
    {
        assert_eq!(E.has_variant(union, name), None, "{name}");
    }
    // Every kind that the model knows has a row.
    let known: Vec<&str> = VARIANTS
        .iter()
        .filter(|rule| matches!(rule.union, Union::Content | Union::SamplingContent))
        .map(|rule| rule.name)
        .collect();
    for block in [
        ContentBlock::text("t"),
        ContentBlock::image("", ""),
        ContentBlock::audio("", ""),
        ContentBlock::resource_link("a:b", "n"),
        ContentBlock::tool_result("1", []),
        decode(r#"{"type":"tool_use","id":"1","name":"n","input":{}}"#),
        decode(r#"{"type":"resource","resource":{"uri":"a:b","text":"t"}}"#),
    ] {
        assert!(!matches!(block, ContentBlock::Other { .. }) && known.contains(&block.kind()), "{}", block.kind());
    }
}

#[test]
fn error_codes_come_and_go() {
    for (code, revisions) in [
        (-32700, &[A, B, C, D, E][..]),
        (-32602, &[A, B, C, D, E]),
        (-32002, &[A, B, C, D]),
        (-1, &[A, B, C, D]),
        (-32042, &[D]),
        (-32020, &[E]),
        (-32021, &[E]),
        (-32022, &[E]),
        // Implementations had these to themselves; the last revision takes them away, and reserves the rest.
        (-32000, &[A, B, C, D]),
        (-32001, &[A, B, C, D]),
        (-32050, &[A, B, C, D]),
        (-32099, &[A, B, C, D]),
        (-32100, &[A, B, C, D, E]),
        (7, &[A, B, C, D, E]),
    ] {
        for version in ProtocolVersion::ALL {
            let may = version.may_send_error(ErrorCode(code));
            assert_eq!(may, revisions.contains(&version), "{code} in {version}");
        }
    }
    for version in ProtocolVersion::ALL {
        assert!(version.may_send_error(version.rules().resource_not_found), "{version}");
    }
}

#[test]
fn rules() {
    let of = |rule: fn(&crate::model::Rules) -> bool| ProtocolVersion::ALL.map(|version| rule(version.rules()));
    assert_eq!(of(|rules| rules.batches), [false, true, false, false, false]);
    assert_eq!(of(|rules| rules.progress_message), [false, true, true, true, true]);
    assert_eq!(of(|rules| rules.structured_output), [false, false, true, true, true]);
    assert_eq!(of(|rules| rules.any_structured_content), [false, false, false, false, true]);
    assert_eq!(of(|rules| rules.sampling_arrays), [false, false, false, true, true]);
    assert_eq!(of(|rules| rules.elicitation_id), [false, false, false, true, false]);
    assert_eq!(of(|rules| rules.result_type), [false, false, false, false, true]);
}
