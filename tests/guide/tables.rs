//! The tables of the page that are those of `model/revisions.rs`, row by row.

use mcp::ProtocolVersion;
use mcp::model::{
    ArgumentFaults, Capability, ERRORS, METHODS, Rules, Sender, TasksRule, Union, UnreadableId, VARIANTS,
};

/// Compares a table of the page with what the code has.
fn is_on_the_page(first: &str, expected: &[Vec<String>]) {
    let rows = super::table(first);
    let written = expected.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect::<String>();
    assert!(rows == expected, "the table of the page that begins with {first:?} should be\n{written}");
}

/// A cell for each revision.
fn marks(has: impl Fn(ProtocolVersion) -> bool) -> impl Iterator<Item = String> {
    ProtocolVersion::ALL.map(|version| if has(version) { "●" } else { "–" }.to_owned()).into_iter()
}

fn sender(sender: Sender) -> String {
    match sender {
        Sender::Client => "client",
        Sender::Server => "server",
        Sender::Both => "both",
    }
    .to_owned()
}

fn capability(capability: Capability) -> String {
    let name = match capability {
        Capability::None => return String::new(),
        Capability::Tools => "tools",
        Capability::ToolsListChanged => "tools.listChanged",
        Capability::Resources => "resources",
        Capability::ResourcesSubscribe => "resources.subscribe",
        Capability::ResourcesListChanged => "resources.listChanged",
        Capability::Prompts => "prompts",
        Capability::PromptsListChanged => "prompts.listChanged",
        Capability::Logging => "logging",
        Capability::Completions => "completions",
        Capability::Tasks => "tasks",
        Capability::TasksList => "tasks.list",
        Capability::TasksCancel => "tasks.cancel",
        Capability::TasksExtension => "io.modelcontextprotocol/tasks",
        Capability::Sampling => "sampling",
        Capability::Roots => "roots",
        Capability::RootsListChanged => "roots.listChanged",
        Capability::Elicitation => "elicitation",
        other => panic!("the page has no word for {other:?}"),
    };
    format!("`{name}`")
}

#[test]
fn methods() {
    let row = |rule: &mcp::model::MethodRule| {
        let head = [format!("`{}`", rule.method), sender(rule.sender), capability(rule.needs)];
        let has = |version| (rule.since..=rule.until).contains(&version);
        head.into_iter().chain(marks(has)).collect::<Vec<_>>()
    };
    is_on_the_page("method", &METHODS.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn error_codes() {
    let row = |rule: &mcp::model::ErrorRule| {
        let name = rule.code.name().expect("the code has a name").to_owned();
        let head = [rule.code.to_string().replace('-', "−"), name, sender(rule.sender)];
        let has = |version| (rule.since..=rule.until).contains(&version);
        head.into_iter().chain(marks(has)).collect::<Vec<_>>()
    };
    is_on_the_page("code", &ERRORS.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn alternatives() {
    let row = |rule: &mcp::model::VariantRule| {
        let of = match rule.union {
            Union::Content => "content of results and prompts",
            Union::SamplingContent => "content in sampling",
            Union::Form => "field of a form",
            Union::ElicitMode => "mode of elicitation",
            Union::ResultType => "`resultType`",
            other => panic!("the page has no word for {other:?}"),
        };
        let has = |version| (rule.since..=rule.until).contains(&version);
        [of.to_owned(), format!("`{}`", rule.name)].into_iter().chain(marks(has)).collect::<Vec<_>>()
    };
    is_on_the_page("alternative of", &VARIANTS.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn rules() {
    let texts = ProtocolVersion::ALL.map(|version| {
        // All of them, so that a new one has to be told here and on the page.
        let Rules {
            progress_message,
            argument_faults,
            unreadable_id,
            structured_output,
            any_structured_content,
            sampling_arrays,
            elicitation_id,
            result_type,
            tasks,
            batches,
            primed_streams,
            resource_not_found,
            reserved_errors,
        } = *version.rules();
        let mark = |has| if has { "●" } else { "–" };
        let faults = match argument_faults {
            ArgumentFaults::ProtocolError => "−32602",
            ArgumentFaults::ToolResult => "`isError`",
        };
        let id = match unreadable_id {
            UnreadableId::Null => "`null`",
            UnreadableId::Omitted => "none",
        };
        let tasks = match tasks {
            TasksRule::None => "–",
            TasksRule::Core => "core",
            TasksRule::Extension => "extension",
        };
        let minus = |code: mcp::ErrorCode| code.to_string().replace('-', "−");
        let reserved = |(from, to)| format!("{} to {}", minus(from), minus(to));
        [
            ("`message` of progress", mark(progress_message).to_owned()),
            ("arguments that do not fit a tool", faults.to_owned()),
            ("id of an error whose request has no readable one", id.to_owned()),
            ("`outputSchema`, `structuredContent`", mark(structured_output).to_owned()),
            ("`structuredContent` that is no object", mark(any_structured_content).to_owned()),
            ("several blocks in one message of sampling", mark(sampling_arrays).to_owned()),
            ("`elicitationId` of a question by URL", mark(elicitation_id).to_owned()),
            ("`resultType`; of the six cacheable results, `ttlMs` and `cacheScope`", mark(result_type).to_owned()),
            ("tasks", tasks.to_owned()),
            ("batches", mark(batches).to_owned()),
            (
                "over HTTP, streams that a client can come back to from their first event",
                mark(primed_streams).to_owned(),
            ),
            ("a resource that is not there", minus(resource_not_found)),
            ("error codes that are reserved", reserved_errors.map_or("–".to_owned(), reserved)),
        ]
    });
    let names = texts[0].iter().map(|(name, _)| (*name).to_owned());
    let rows = names.enumerate().map(|(at, name)| {
        let values = texts.iter().map(|of_version| of_version[at].1.clone());
        [name].into_iter().chain(values).collect::<Vec<_>>()
    });
    is_on_the_page("rule", &rows.collect::<Vec<_>>());
}
