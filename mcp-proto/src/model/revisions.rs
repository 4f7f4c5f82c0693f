//! What differs between the revisions, as tables: a new difference is a row or a column here and a test.
//!
//! Nothing else in the project compares versions; it asks for a rule.

use super::{
    ClientCapabilities, ElicitationCapability, ProtocolVersion, RootsCapability, SamplingCapability,
    ServerCapabilities, Supported, TASKS_EXTENSION, TasksCapability,
};
use crate::jsonrpc::ErrorCode;

use serde_json::{Map, Value};

/// The rules of one revision that are not about single methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether `notifications/progress` may carry a `message`.
    pub progress_message: bool,
    /// How arguments that do not fit a tool's schema are told.
    pub argument_faults: ArgumentFaults,
    /// How an error about a request without a readable id is written.
    pub unreadable_id: UnreadableId,
    /// Whether tools have `outputSchema`, `title` and results `structuredContent`.
    pub structured_output: bool,
    /// Whether `structuredContent` may be any JSON; if not, it is an object.
    pub any_structured_content: bool,
    /// Whether a message in sampling may have several blocks; if not, it has one.
    pub sampling_arrays: bool,
    /// Whether a question by URL must have an `elicitationId`.
    pub elicitation_id: bool,
    /// Whether every result says its `resultType`; the results of [`CACHEABLE`] then also say `ttlMs` and `cacheScope`.
    pub result_type: bool,
    /// What requests that outlive their response look like.
    pub tasks: TasksRule,
    /// Whether a line may hold an array of messages.
    pub batches: bool,
    /// Over HTTP, whether a stream begins with an event without data, from which it can be resumed, so that the server may close it and
    /// the client comes back (SEP-1699).
    pub primed_streams: bool,
    /// The error about a resource that is not there.
    pub resource_not_found: ErrorCode,
    /// From which error code to which one only those may be sent that [`ERRORS`] has for this revision.
    pub reserved_errors: Option<(ErrorCode, ErrorCode)>,
}

/// How arguments that do not fit a tool's schema are told (SEP-1303).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentFaults {
    /// As the JSON-RPC error −32602.
    ProtocolError,
    /// As a tool result with `isError`, so that the model can correct itself.
    ToolResult,
}

/// What requests that outlive their response look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TasksRule {
    /// There are none.
    None,
    /// A request asks for it, on either side; its progress goes on until the task ends.
    Core,
    /// The server decides, if both sides have declared the extension for tasks.
    Extension,
}

/// How an error about a request without a readable id is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableId {
    /// `"id": null`, as JSON-RPC 2.0 says.
    Null,
    /// Without the member, as the schema says from 2025-11-25 on.
    Omitted,
}

impl ProtocolVersion {
    /// The rules of this revision.
    pub const fn rules(self) -> &'static Rules {
        const A: Rules = Rules {
            progress_message: false,
            argument_faults: ArgumentFaults::ProtocolError,
            unreadable_id: UnreadableId::Null,
            structured_output: false,
            any_structured_content: false,
            sampling_arrays: false,
            elicitation_id: false,
            result_type: false,
            tasks: TasksRule::None,
            batches: false,
            primed_streams: false,
            resource_not_found: ErrorCode::RESOURCE_NOT_FOUND,
            reserved_errors: None,
        };
        const B: Rules = Rules { progress_message: true, batches: true, ..A };
        const C: Rules = Rules { structured_output: true, batches: false, ..B };
        const D: Rules = Rules {
            argument_faults: ArgumentFaults::ToolResult,
            unreadable_id: UnreadableId::Omitted,
            sampling_arrays: true,
            elicitation_id: true,
            tasks: TasksRule::Core,
            primed_streams: true,
            ..C
        };
        const E: Rules = Rules {
            any_structured_content: true,
            elicitation_id: false,
            result_type: true,
            tasks: TasksRule::Extension,
            primed_streams: false,
            resource_not_found: ErrorCode::INVALID_PARAMS,
            reserved_errors: Some((ErrorCode(-32099), ErrorCode(-32000))),
            ..D
        };
        match self {
            Self::V2024_11_05 => &A,
            Self::V2025_03_26 => &B,
            Self::V2025_06_18 => &C,
            Self::V2025_11_25 => &D,
            Self::V2026_07_28 => &E,
        }
    }

    /// Whether this revision has a method; `None` for one that no revision has.
    pub fn has_method(self, method: &str) -> Option<bool> {
        method_rule(method, self).map(|rule| rule.is_ok())
    }

    /// Whether this revision has a variant of a union; `None` for one that no revision has.
    pub fn has_variant(self, union: Union, name: &str) -> Option<bool> {
        let mut rules = VARIANTS.iter().filter(|rule| rule.union == union && rule.name == name).peekable();
        rules.peek()?;
        Some(rules.any(|rule| (rule.since..=rule.until).contains(&self)))
    }

    /// Whether an error of this code may be sent in this revision: those of [`ERRORS`] only where it has them, and any other
    /// outside the codes that the revision reserves.
    pub fn may_send_error(self, code: ErrorCode) -> bool {
        match ERRORS.iter().find(|rule| rule.code == code) {
            Some(rule) => (rule.since..=rule.until).contains(&self),
            None => self.rules().reserved_errors.is_none_or(|(from, to)| !(from..=to).contains(&code)),
        }
    }

    /// The code with which an error of this code is sent in this revision. Of one that another revision has, the meaning stays; of
    /// any other that [may not be sent](Self::may_send_error), only that it was an error.
    pub fn error_code(self, code: ErrorCode) -> ErrorCode {
        match code {
            code if self.may_send_error(code) => code,
            ErrorCode::RESOURCE_NOT_FOUND => self.rules().resource_not_found,
            _ => ErrorCode::INTERNAL_ERROR,
        }
    }
}

/// Who may send a request or notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Only the client.
    Client,
    /// Only the server.
    Server,
    /// Either side.
    Both,
}

/// What a side must have declared, for a method or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the capability of that name")]
pub enum Capability {
    /// None: always there.
    None,
    Tools,
    ToolsListChanged,
    Resources,
    ResourcesSubscribe,
    ResourcesListChanged,
    Prompts,
    PromptsListChanged,
    Logging,
    Completions,
    Tasks,
    TasksList,
    TasksCancel,
    /// The extension `io.modelcontextprotocol/tasks`.
    TasksExtension,
    Sampling,
    SamplingTools,
    SamplingContext,
    Roots,
    RootsListChanged,
    Elicitation,
    ElicitationForm,
    ElicitationUrl,
}

/// One request method or notification.
#[derive(Clone, Copy, Debug)]
pub struct MethodRule {
    /// Its name on the wire.
    pub method: &'static str,
    /// Who may send it.
    pub sender: Sender,
    /// The first revision that has it.
    pub since: ProtocolVersion,
    /// The last revision that has it.
    pub until: ProtocolVersion,
    /// For a request: what its receiver must have declared. For a notification: what its sender must have declared.
    pub needs: Capability,
}

impl MethodRule {
    /// Whether it is a notification; if not, it is a request.
    pub fn is_notification(&self) -> bool {
        self.method.starts_with("notifications/")
    }
}

use Capability as Needs;
use ProtocolVersion::{V2024_11_05 as A, V2025_03_26 as B, V2025_06_18 as C, V2025_11_25 as D, V2026_07_28 as E};

const fn row(
    method: &'static str,
    sender: Sender,
    since: ProtocolVersion,
    until: ProtocolVersion,
    needs: Capability,
) -> MethodRule {
    MethodRule { method, sender, since, until, needs }
}

/// Every method of the core protocol and of the extension for tasks, which shares names with the core of 2025-11-25. A method
/// that is not here is another extension's or the application's own.
#[rustfmt::skip]
pub const METHODS: &[MethodRule] = &[
    row("initialize",                               Sender::Client, A, D, Needs::None),
    row("ping",                                     Sender::Both,   A, D, Needs::None),
    row("tools/list",                               Sender::Client, A, E, Needs::Tools),
    row("tools/call",                               Sender::Client, A, E, Needs::Tools),
    row("resources/list",                           Sender::Client, A, E, Needs::Resources),
    row("resources/templates/list",                 Sender::Client, A, E, Needs::Resources),
    row("resources/read",                           Sender::Client, A, E, Needs::Resources),
    row("resources/subscribe",                      Sender::Client, A, D, Needs::ResourcesSubscribe),
    row("resources/unsubscribe",                    Sender::Client, A, D, Needs::ResourcesSubscribe),
    row("prompts/list",                             Sender::Client, A, E, Needs::Prompts),
    row("prompts/get",                              Sender::Client, A, E, Needs::Prompts),
    row("completion/complete",                      Sender::Client, A, A, Needs::None),
    row("completion/complete",                      Sender::Client, B, E, Needs::Completions),
    row("logging/setLevel",                         Sender::Client, A, D, Needs::Logging),
    row("sampling/createMessage",                   Sender::Server, A, D, Needs::Sampling),
    row("roots/list",                               Sender::Server, A, D, Needs::Roots),
    row("elicitation/create",                       Sender::Server, C, D, Needs::Elicitation),
    row("tasks/get",                                Sender::Both,   D, D, Needs::Tasks),
    row("tasks/get",                                Sender::Client, E, E, Needs::TasksExtension),
    row("tasks/result",                             Sender::Both,   D, D, Needs::Tasks),
    row("tasks/list",                               Sender::Both,   D, D, Needs::TasksList),
    row("tasks/cancel",                             Sender::Both,   D, D, Needs::TasksCancel),
    row("tasks/cancel",                             Sender::Client, E, E, Needs::TasksExtension),
    row("tasks/update",                             Sender::Client, E, E, Needs::TasksExtension),
    row("server/discover",                          Sender::Client, E, E, Needs::None),
    row("subscriptions/listen",                     Sender::Client, E, E, Needs::None),
    row("notifications/initialized",                Sender::Client, A, D, Needs::None),
    row("notifications/cancelled",                  Sender::Both,   A, E, Needs::None),
    row("notifications/progress",                   Sender::Both,   A, D, Needs::None),
    row("notifications/progress",                   Sender::Server, E, E, Needs::None),
    row("notifications/message",                    Sender::Server, A, E, Needs::Logging),
    row("notifications/tools/list_changed",         Sender::Server, A, E, Needs::ToolsListChanged),
    row("notifications/prompts/list_changed",       Sender::Server, A, E, Needs::PromptsListChanged),
    row("notifications/resources/list_changed",     Sender::Server, A, E, Needs::ResourcesListChanged),
    row("notifications/resources/updated",          Sender::Server, A, E, Needs::ResourcesSubscribe),
    row("notifications/roots/list_changed",         Sender::Client, A, D, Needs::RootsListChanged),
    row("notifications/elicitation/complete",       Sender::Server, D, D, Needs::None),
    row("notifications/tasks/status",               Sender::Both,   D, D, Needs::Tasks),
    row("notifications/tasks",                      Sender::Server, E, E, Needs::TasksExtension),
    row("notifications/subscriptions/acknowledged", Sender::Server, E, E, Needs::None),
];

/// The requests that a server may answer with an [`InputRequiredResult`](super::InputRequiredResult), in the revisions that
/// have it.
pub const MAY_REQUIRE_INPUT: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

/// What a server may ask by such a result, and what the client must have declared for it. Parts of these need more:
/// [`InputRequest::needs`](super::InputRequest::needs).
pub const INPUT_REQUESTS: [(&str, Capability); 3] = [
    ("elicitation/create", Needs::Elicitation),
    ("sampling/createMessage", Needs::Sampling),
    ("roots/list", Needs::Roots),
];

/// The requests whose complete results say how long they are fresh, in the revisions where results have a `resultType`.
pub const CACHEABLE: [&str; 6] =
    ["server/discover", "tools/list", "resources/list", "resources/templates/list", "resources/read", "prompts/list"];

/// A set of alternatives of which an older revision has fewer, so that a sender must not use those it lacks. Members that
/// it lacks do no harm, since objects are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Union {
    /// The kinds of content in results of tools and in messages of prompts.
    Content,
    /// The kinds of content in messages of sampling.
    SamplingContent,
    /// The shapes of a field in a form, by the members that tell them apart.
    Form,
    /// How the user is asked.
    ElicitMode,
    /// The types of results.
    ResultType,
}

/// One alternative.
#[derive(Clone, Copy, Debug)]
pub struct VariantRule {
    /// Of what.
    pub union: Union,
    /// Its name on the wire.
    pub name: &'static str,
    /// The first revision that has it.
    pub since: ProtocolVersion,
    /// The last revision that has it.
    pub until: ProtocolVersion,
}

const fn variant(union: Union, name: &'static str, since: ProtocolVersion, until: ProtocolVersion) -> VariantRule {
    VariantRule { union, name, since, until }
}

/// Every alternative of every such set.
#[rustfmt::skip]
pub const VARIANTS: &[VariantRule] = &[
    variant(Union::Content,         "text",           A, E),
    variant(Union::Content,         "image",          A, E),
    variant(Union::Content,         "audio",          B, E),
    variant(Union::Content,         "resource",       A, E),
    variant(Union::Content,         "resource_link",  C, E),
    variant(Union::SamplingContent, "text",           A, E),
    variant(Union::SamplingContent, "image",          A, E),
    variant(Union::SamplingContent, "audio",          B, E),
    variant(Union::SamplingContent, "tool_use",       D, E),
    variant(Union::SamplingContent, "tool_result",    D, E),
    variant(Union::Form,            "string",         C, E),
    variant(Union::Form,            "number",         C, E),
    variant(Union::Form,            "integer",        C, E),
    variant(Union::Form,            "boolean",        C, E),
    variant(Union::Form,            "enum",           C, E),
    variant(Union::Form,            "enumNames",      C, E),
    variant(Union::Form,            "oneOf",          D, E),
    variant(Union::Form,            "items.enum",     D, E),
    variant(Union::Form,            "items.anyOf",    D, E),
    variant(Union::ElicitMode,      "form",           C, E),
    variant(Union::ElicitMode,      "url",            D, E),
    variant(Union::ResultType,      "complete",       E, E),
    variant(Union::ResultType,      "input_required", E, E),
    // Of the extension for tasks: only to a client that has declared it.
    variant(Union::ResultType,      "task",           E, E),
];

/// One error code with a meaning of its own.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRule {
    /// The code.
    pub code: ErrorCode,
    /// Who may send it.
    pub sender: Sender,
    /// The first revision that has it.
    pub since: ProtocolVersion,
    /// The last revision in which it may be sent.
    pub until: ProtocolVersion,
}

const fn error(code: ErrorCode, sender: Sender, since: ProtocolVersion, until: ProtocolVersion) -> ErrorRule {
    ErrorRule { code, sender, since, until }
}

/// Every error code that the specification names.
#[rustfmt::skip]
pub const ERRORS: &[ErrorRule] = &[
    error(ErrorCode::PARSE_ERROR,                  Sender::Both,   A, E),
    error(ErrorCode::INVALID_REQUEST,              Sender::Both,   A, E),
    error(ErrorCode::METHOD_NOT_FOUND,             Sender::Both,   A, E),
    error(ErrorCode::INVALID_PARAMS,               Sender::Both,   A, E),
    error(ErrorCode::INTERNAL_ERROR,               Sender::Both,   A, E),
    error(ErrorCode::RESOURCE_NOT_FOUND,           Sender::Server, A, D),
    error(ErrorCode::USER_REJECTED,                Sender::Client, A, D),
    error(ErrorCode::URL_ELICITATION_REQUIRED,     Sender::Server, D, D),
    error(ErrorCode::HEADER_MISMATCH,              Sender::Server, E, E),
    error(ErrorCode::MISSING_CLIENT_CAPABILITY,    Sender::Server, E, E),
    error(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, Sender::Server, E, E),
];

/// The rule of `method` in `version`: `None` for a method that the protocol does not know at all, `Err` for one that
/// this revision does not have.
pub(crate) fn method_rule(
    method: &str,
    version: ProtocolVersion,
) -> Option<Result<&'static MethodRule, NotInRevision>> {
    let mut known = None;
    for rule in METHODS.iter().filter(|rule| rule.method == method) {
        if (rule.since..=rule.until).contains(&version) {
            return Some(Ok(rule));
        }
        known = Some(Err(NotInRevision));
    }
    known
}

/// The method exists, but not in this revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotInRevision;

impl ServerCapabilities {
    /// Whether this capability is declared. What only clients declare is not.
    pub fn offers(&self, capability: Capability) -> bool {
        let tools = self.tools.as_ref();
        let resources = self.resources.as_ref();
        let prompts = self.prompts.as_ref();
        match capability {
            Needs::None => true,
            Needs::Tools => tools.is_some(),
            Needs::ToolsListChanged => tools.is_some_and(|it| it.list_changed == Some(true)),
            Needs::Resources => resources.is_some(),
            Needs::ResourcesSubscribe => resources.is_some_and(|it| it.subscribe == Some(true)),
            Needs::ResourcesListChanged => resources.is_some_and(|it| it.list_changed == Some(true)),
            Needs::Prompts => prompts.is_some(),
            Needs::PromptsListChanged => prompts.is_some_and(|it| it.list_changed == Some(true)),
            Needs::Logging => self.logging.is_some(),
            Needs::Completions => self.completions.is_some(),
            Needs::Tasks => self.tasks.is_some(),
            Needs::TasksList => self.tasks.as_ref().is_some_and(|it| it.list.is_some()),
            Needs::TasksCancel => self.tasks.as_ref().is_some_and(|it| it.cancel.is_some()),
            Needs::TasksExtension => self.extensions.as_ref().is_some_and(|it| it.contains_key(TASKS_EXTENSION)),
            Needs::Sampling
            | Needs::SamplingTools
            | Needs::SamplingContext
            | Needs::Roots
            | Needs::RootsListChanged
            | Needs::Elicitation
            | Needs::ElicitationForm
            | Needs::ElicitationUrl => false,
        }
    }
}

impl ClientCapabilities {
    /// Whether this capability is declared. What only servers declare is not.
    pub fn offers(&self, capability: Capability) -> bool {
        match capability {
            Needs::None => true,
            Needs::Sampling => self.sampling.is_some(),
            Needs::SamplingTools => self.sampling.as_ref().is_some_and(|it| it.tools.is_some()),
            Needs::SamplingContext => self.sampling.as_ref().is_some_and(|it| it.context.is_some()),
            Needs::Roots => self.roots.is_some(),
            Needs::RootsListChanged => self.roots.as_ref().is_some_and(|it| it.list_changed == Some(true)),
            Needs::Elicitation => self.elicitation.is_some(),
            Needs::ElicitationForm => self.elicitation.as_ref().is_some_and(ElicitationCapability::supports_form),
            Needs::ElicitationUrl => self.elicitation.as_ref().is_some_and(ElicitationCapability::supports_url),
            Needs::Tasks => self.tasks.is_some(),
            Needs::TasksList => self.tasks.as_ref().is_some_and(|it| it.list.is_some()),
            Needs::TasksCancel => self.tasks.as_ref().is_some_and(|it| it.cancel.is_some()),
            Needs::TasksExtension => self.extensions.as_ref().is_some_and(|it| it.contains_key(TASKS_EXTENSION)),
            Needs::Tools
            | Needs::ToolsListChanged
            | Needs::Resources
            | Needs::ResourcesSubscribe
            | Needs::ResourcesListChanged
            | Needs::Prompts
            | Needs::PromptsListChanged
            | Needs::Logging
            | Needs::Completions => false,
        }
    }

    /// The least that declares all of these, to tell a client what it lacks.
    #[must_use]
    pub fn of_all(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        let mut all = Value::Object(Map::new());
        for capability in capabilities {
            // Objects of objects and true always encode.
            merge(&mut all, serde_json::to_value(Self::of(capability)).unwrap_or_default());
        }
        serde_json::from_value(all).unwrap_or_default()
    }

    /// The least that declares this capability, to tell a client what it lacks. What only servers declare adds nothing.
    #[must_use]
    pub fn of(capability: Capability) -> Self {
        let sampling = SamplingCapability::new;
        let elicitation = ElicitationCapability::new;
        let tasks = TasksCapability::new;
        let supported = Supported::new;
        match capability {
            Needs::Sampling => Self::new().with_sampling(sampling()),
            Needs::SamplingTools => Self::new().with_sampling(sampling().with_tools(supported())),
            Needs::SamplingContext => Self::new().with_sampling(sampling().with_context(supported())),
            Needs::Roots => Self::new().with_roots(RootsCapability::new()),
            Needs::RootsListChanged => Self::new().with_roots(RootsCapability::new().with_list_changed(true)),
            Needs::Elicitation => Self::new().with_elicitation(elicitation()),
            Needs::ElicitationForm => Self::new().with_elicitation(elicitation().with_form(supported())),
            Needs::ElicitationUrl => Self::new().with_elicitation(elicitation().with_url(supported())),
            Needs::Tasks => Self::new().with_tasks(tasks()),
            Needs::TasksList => Self::new().with_tasks(tasks().with_list(supported())),
            Needs::TasksCancel => Self::new().with_tasks(tasks().with_cancel(supported())),
            Needs::TasksExtension => {
                let settings = Value::Object(Map::new());
                Self::new().with_extensions([(TASKS_EXTENSION.into(), settings)].into_iter().collect::<Map<_, _>>())
            }
            Needs::None
            | Needs::Tools
            | Needs::ToolsListChanged
            | Needs::Resources
            | Needs::ResourcesSubscribe
            | Needs::ResourcesListChanged
            | Needs::Prompts
            | Needs::PromptsListChanged
            | Needs::Logging
            | Needs::Completions => Self::new(),
        }
    }
}

/// Puts the members of one JSON object into another, and theirs into theirs.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
