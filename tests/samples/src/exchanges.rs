//! One exchange for each method and shape: who asks, who answers, and what is said meanwhile.

use std::collections::BTreeMap;

use mcp_proto::model::{
    Capability, ClientCapabilities, ERRORS, ElicitParams, Era, INPUT_REQUESTS, LoggingLevel, MAY_REQUIRE_INPUT,
    METHODS, MethodRule, Progress, PromptsCapability, ResourceNotFoundData, ResourcesCapability, Sender,
    ServerCapabilities, Supported, TASKS_EXTENSION, TasksCapability, ToolsCapability, meta_key,
};
use mcp_proto::{
    Body, CallOptions, Change, ErrorCode, ErrorObject, InboundId, InputRequired, OutboundId, ProtocolVersion,
    ResultKind, Scope, Wanted,
};
use serde_json::{Map, json};

use crate::pair::{NOW, Pair, Selves, Sent};
use crate::parts::{D, Maker, URI, object};
use crate::{requests, results};

/// The requests that the core asks or answers by itself.
const OF_THE_CORE: [&str; 4] = ["initialize", "ping", "logging/setLevel", "server/discover"];

/// Every frame of every exchange in a revision.
pub(crate) fn all(version: ProtocolVersion) -> Vec<Sent> {
    let mut sent = Vec::new();
    for full in [false, true] {
        let make = Maker { version, full };
        sent.extend(handshake(make));
        for rule in METHODS.iter().filter(|rule| (rule.since..=rule.until).contains(&version)) {
            for sender in [Sender::Client, Sender::Server] {
                if rule.sender != sender && rule.sender != Sender::Both {
                    continue;
                }
                if rule.is_notification() {
                    sent.extend(notification(make, rule, sender));
                } else {
                    sent.extend(request(make, rule, sender));
                }
            }
        }
        sent.extend(errors(make));
    }
    sent
}

fn other(side: Sender) -> Sender {
    if side == Sender::Client { Sender::Server } else { Sender::Client }
}

/// Connections whose sides offer everything, or only what a rule needs.
fn pair(make: Maker, needs: Capability) -> Pair {
    Pair::new(make.version, selves(make, needs))
}

fn selves(make: Maker, needs: Capability) -> Selves {
    let (client_capabilities, server_capabilities) = if make.full {
        (make.client_capabilities(), make.server_capabilities())
    } else {
        // What a method needs, and both modes of a question to the person.
        let modes = [Capability::ElicitationForm, Capability::ElicitationUrl];
        let both = needs == Capability::Elicitation && make.version >= D;
        let needed = [needs].into_iter().chain(modes.into_iter().filter(|_| both));
        (ClientCapabilities::of_all(needed), server_capabilities_of(needs))
    };
    Selves {
        client: make.implementation("client"),
        client_capabilities,
        server: make.implementation("server"),
        server_capabilities,
        instructions: make.always("How to use it"),
    }
}

/// The least that declares a capability.
fn server_capabilities_of(needs: Capability) -> ServerCapabilities {
    let it = ServerCapabilities::new();
    let tasks = TasksCapability::new;
    match needs {
        Capability::Tools => it.with_tools(ToolsCapability::new()),
        Capability::ToolsListChanged => it.with_tools(ToolsCapability::new().with_list_changed(true)),
        Capability::Resources => it.with_resources(ResourcesCapability::new()),
        Capability::ResourcesSubscribe => it.with_resources(ResourcesCapability::new().with_subscribe(true)),
        Capability::ResourcesListChanged => it.with_resources(ResourcesCapability::new().with_list_changed(true)),
        Capability::Prompts => it.with_prompts(PromptsCapability::new()),
        Capability::PromptsListChanged => it.with_prompts(PromptsCapability::new().with_list_changed(true)),
        Capability::Logging => it.with_logging(Supported::new()),
        Capability::Completions => it.with_completions(Supported::new()),
        Capability::Tasks => it.with_tasks(tasks()),
        Capability::TasksList => it.with_tasks(tasks().with_list(Supported::new())),
        Capability::TasksCancel => it.with_tasks(tasks().with_cancel(Supported::new())),
        Capability::TasksExtension => it.with_extensions(object(json!({ TASKS_EXTENSION: {} }))),
        _ => it,
    }
}

/// `initialize` or `server/discover`, with what follows of itself.
fn handshake(make: Maker) -> Vec<Sent> {
    pair(make, Capability::None).sent
}

/// One request of each shape, answered in each way that there is.
fn request(make: Maker, rule: &MethodRule, sender: Sender) -> Vec<Sent> {
    if OF_THE_CORE.contains(&rule.method) {
        return of_the_core(make, rule, sender);
    }
    let bodies = requests::requests(make, rule.method);
    let answers = results::results(make, rule.method);
    let mut sent = Vec::new();
    for number in 0..bodies.len().max(answers.len()) {
        let (body, (kind, answer)) = (&bodies[number % bodies.len()], &answers[number % answers.len()]);
        let mut selves = selves(make, rule.needs);
        if *kind == ResultKind::Task {
            // Only between two sides that have the extension.
            let extension = object(json!({ TASKS_EXTENSION: {} }));
            selves.client_capabilities.extensions.get_or_insert_with(|| extension.clone());
            selves.server_capabilities.extensions.get_or_insert(extension);
        }
        let mut pair = Pair::new(make.version, selves);
        ask(make, &mut pair, sender, body.clone());
        let id = pair.asked(other(sender)).unwrap_or_else(|| panic!("{body:?} did not arrive: {}", pair.events()));
        pair.side(other(sender))
            .respond(NOW, id, kind.clone(), answer.clone(), make.meta())
            .unwrap_or_else(|error| panic!("{answer:?}: {error}"));
        pair.pump();
        sent.extend(pair.sent);
    }
    let error = if make.full {
        ErrorObject::invalid_params("it is wrong").with_data(json!({ "why": ["a", 1] }))
    } else {
        ErrorObject::internal("it failed")
    };
    sent.extend(rejected(make, rule.method, sender, rule.needs, &error));
    if make.version.era() == Era::Modern && MAY_REQUIRE_INPUT.contains(&rule.method) {
        sent.extend(rounds(make, rule));
    }
    sent
}

fn ask(make: Maker, pair: &mut Pair, sender: Sender, body: Body) -> OutboundId {
    let mut options = CallOptions::default();
    options.meta = make.meta();
    if make.full {
        options.progress = Wanted::Yes;
        options.log_level = Some(LoggingLevel::Debug);
    }
    let id = pair.side(sender).request(NOW, body, options).unwrap_or_else(|error| panic!("{error:?}"));
    pair.pump();
    id
}

/// A request that is answered with an error.
fn rejected(make: Maker, method: &str, sender: Sender, needs: Capability, error: &ErrorObject) -> Vec<Sent> {
    let mut pair = pair(make, needs);
    ask(make, &mut pair, sender, requests::requests(make, method).swap_remove(0));
    let id = pair.asked(other(sender)).unwrap_or_else(|| panic!("{method} did not arrive: {}", pair.events()));
    pair.side(other(sender)).reject(NOW, id, error).unwrap_or_else(|error| panic!("{method}: {error}"));
    pair.pump();
    pair.sent
}

/// Requests that the core answers: well, and with the one fault that each of them can have.
fn of_the_core(make: Maker, rule: &MethodRule, sender: Sender) -> Vec<Sent> {
    let mut sent = Vec::new();
    if !["initialize", "server/discover"].contains(&rule.method) {
        for body in requests::requests(make, rule.method) {
            let mut pair = pair(make, rule.needs);
            ask(make, &mut pair, sender, body);
            sent.extend(pair.sent);
        }
    }
    let mut pair = if rule.method == "initialize" {
        let mut pair = Pair::before_handshake(make.version, selves(make, rule.needs));
        // What the client has to say of itself is of no interest here.
        pair.side(Sender::Client).drain_lines(&mut Vec::new(), usize::MAX);
        pair
    } else {
        pair(make, rule.needs)
    };
    let params = json!({ "_meta": { "progressToken": [], meta_key::PROTOCOL_VERSION: make.version.as_str() } });
    let params = if make.version.era() == Era::Modern { params } else { json!({ "_meta": { "progressToken": [] } }) };
    let line = json!({ "jsonrpc": "2.0", "id": 7, "method": rule.method, "params": params });
    pair.inject(other(sender), &line.to_string());
    sent.extend(pair.sent);
    sent
}

/// A server of the modern era asks back, twice: with all questions, and with a state only.
fn rounds(make: Maker, rule: &MethodRule) -> Vec<Sent> {
    let asking = Maker { full: true, ..make };
    let mut questions: Vec<(String, Body)> = Vec::new();
    if make.full {
        let add = |(number, body): (usize, Body)| (format!("question {number}"), body);
        let bodies = INPUT_REQUESTS.iter().flat_map(|(method, _)| requests::requests(asking, method));
        questions.extend(bodies.enumerate().map(add));
    }
    let mut input = InputRequired::default();
    input.requests = questions.into_iter().collect();
    input.state = if make.full { Some("sealed \"state\"".into()) } else { None };
    if !make.full {
        input.requests.insert("q".into(), requests::requests(make, "roots/list").swap_remove(0));
    }

    let mut selves = selves(make, rule.needs);
    selves.client_capabilities.roots = Some(mcp_proto::model::RootsCapability::new());
    let mut pair = Pair::new(make.version, selves);
    ask(make, &mut pair, Sender::Client, requests::requests(make, rule.method).swap_remove(0));
    require(&mut pair, &input);
    let (id, keys) = pair.questions().unwrap_or_else(|| panic!("no questions: {}", pair.events()));
    let mut responses: BTreeMap<String, Body> = BTreeMap::new();
    for (key, answered) in keys.into_iter().zip((0..).cycle()) {
        let question: &Body = &input.requests[&key];
        let answers = results::results(make, question.method());
        responses.insert(key, answers[answered % answers.len()].1.clone());
    }
    pair.side(Sender::Client).supply_input(NOW, id, &responses).unwrap_or_else(|error| panic!("{error}"));
    pair.pump();
    let mut only_state = InputRequired::default();
    only_state.state = Some("sealed".into());
    require(&mut pair, &only_state);
    pair.sent
}

fn require(pair: &mut Pair, input: &InputRequired) {
    let id = pair.asked(Sender::Server).unwrap_or_else(|| panic!("no request: {}", pair.events()));
    pair.side(Sender::Server).require_input(NOW, id, input).unwrap_or_else(|error| panic!("{error}"));
    pair.pump();
}

/// One notification of each shape, with what must come before it.
fn notification(make: Maker, rule: &MethodRule, sender: Sender) -> Vec<Sent> {
    let mut pair = pair(make, rule.needs);
    match rule.method {
        // The handshake has it.
        "notifications/initialized" => {}
        "notifications/cancelled" => return cancelled(make, sender),
        "notifications/progress" => return progress(make, sender),
        "notifications/tools/list_changed" => return changed(make, rule, &Change::Tools),
        "notifications/prompts/list_changed" => return changed(make, rule, &Change::Prompts),
        "notifications/resources/list_changed" => return changed(make, rule, &Change::Resources),
        "notifications/resources/updated" => return changed(make, rule, &Change::Resource(URI.into())),
        // The answer to a subscription.
        "notifications/subscriptions/acknowledged" => drop(subscribe(make, &mut pair)),
        method => {
            let scope = if method == "notifications/message" && make.version.era() == Era::Modern {
                let mut selves = selves(make, rule.needs);
                selves.server_capabilities = selves.server_capabilities.with_tools(ToolsCapability::new());
                pair = Pair::new(make.version, selves);
                let mut options = CallOptions::default();
                options.log_level = Some(LoggingLevel::Debug);
                let body = requests::requests(make, "tools/call").swap_remove(0);
                pair.side(Sender::Client).request(NOW, body, options).unwrap_or_else(|error| panic!("{error:?}"));
                pair.pump();
                Scope::Within(pair.asked(sender).unwrap_or_else(|| panic!("no request: {}", pair.events())))
            } else if method == "notifications/tasks" {
                Scope::Within(subscribe(make, &mut pair))
            } else {
                Scope::Connection
            };
            for body in requests::notifications(make, method) {
                pair.side(sender).notify(NOW, body, scope, make.meta()).unwrap_or_else(|error| panic!("{error:?}"));
                pair.pump();
            }
        }
    }
    pair.sent
}

/// Asks something of the other side that it does not answer at once.
fn open(make: Maker, sender: Sender) -> (Pair, OutboundId) {
    let (method, needs) = if sender == Sender::Client {
        ("tools/call", Capability::Tools)
    } else {
        ("sampling/createMessage", Capability::Sampling)
    };
    let mut pair = pair(make, needs);
    let mut options = CallOptions::default();
    options.progress = Wanted::Yes;
    let body = requests::requests(make, method).swap_remove(0);
    let id = pair.side(sender).request(NOW, body, options).unwrap_or_else(|error| panic!("{error:?}"));
    pair.pump();
    (pair, id)
}

fn cancelled(make: Maker, sender: Sender) -> Vec<Sent> {
    if sender == Sender::Server && make.version.era() == Era::Modern {
        // Of a server only the end of a subscription could be told so. Ours answers the request instead.
        return Vec::new();
    }
    let (mut pair, id) = open(make, sender);
    // A reason that is too long for the wire is left out.
    let reason = if make.full { "the user is gone".to_owned() } else { " ".repeat(4 << 20) };
    pair.side(sender).cancel(NOW, id, &reason);
    pair.pump();
    pair.sent
}

fn progress(make: Maker, sender: Sender) -> Vec<Sent> {
    let (mut pair, _) = open(make, other(sender));
    let id = pair.asked(sender).unwrap_or_else(|| panic!("no request: {}", pair.events()));
    for step in [0.5, 1.0] {
        let mut progress = Progress::new(step);
        (progress.total, progress.message) = (make.always(2.0), make.always("half done"));
        pair.side(sender).progress(NOW, id, progress).unwrap_or_else(|error| panic!("{error}"));
        pair.pump();
    }
    pair.sent
}

fn subscribe(make: Maker, pair: &mut Pair) -> InboundId {
    let filter = requests::filter(make);
    ask(make, pair, Sender::Client, requests::requests(make, "subscriptions/listen").swap_remove(0));
    let id = pair.asked(Sender::Server).unwrap_or_else(|| panic!("no request: {}", pair.events()));
    pair.side(Sender::Server).grant(NOW, id, &filter).unwrap_or_else(|error| panic!("{error}"));
    pair.pump();
    id
}

fn changed(make: Maker, rule: &MethodRule, change: &Change) -> Vec<Sent> {
    let mut pair = pair(make, rule.needs);
    if make.version.era() == Era::Modern {
        // Without a wish nothing is told.
        let _ = subscribe(Maker { full: true, ..make }, &mut pair);
    } else if matches!(change, Change::Resource(_)) {
        ask(make, &mut pair, Sender::Client, requests::requests(make, "resources/subscribe").swap_remove(0));
        let id = pair.asked(Sender::Server).unwrap_or_else(|| panic!("no request: {}", pair.events()));
        let answer = pair.side(Sender::Server).respond(NOW, id, ResultKind::Complete, Body::empty_result(), None);
        answer.unwrap_or_else(|error| panic!("{error}"));
        pair.pump();
    }
    pair.side(Sender::Server).changed(NOW, change);
    pair.pump();
    assert!(pair.sent.iter().any(|(_, kind, _)| kind.starts_with(rule.method)), "{} was not told", rule.method);
    pair.sent
}

/// Every error code that the revision has, and what is said about lines that are no requests.
fn errors(make: Maker) -> Vec<Sent> {
    let version = make.version;
    let mut sent = Vec::new();
    for rule in ERRORS.iter().filter(|rule| (rule.since..=rule.until).contains(&version)) {
        let error = error(make, rule.code);
        if rule.sender != Sender::Client {
            sent.extend(rejected(make, "tools/call", Sender::Client, Capability::Tools, &error));
            sent.extend(rejected(make, "resources/read", Sender::Client, Capability::Resources, &error));
        }
        if rule.sender != Sender::Server && version.era() == Era::Legacy {
            sent.extend(rejected(make, "sampling/createMessage", Sender::Server, Capability::Sampling, &error));
        }
    }
    let mut pair = pair(make, Capability::None);
    for line in
        ["{", "[]", "7", r#"{"jsonrpc":"2.0","id":8,"method":9}"#, r#"{"jsonrpc":"2.0","id":"s","method":"x/y"}"#]
    {
        pair.inject(Sender::Server, line);
    }
    let meta = [(meta_key::PROTOCOL_VERSION.to_owned(), json!("1900-01-01"))];
    let mut meta: Map<_, _> = meta.into_iter().collect();
    meta.insert(meta_key::CLIENT_CAPABILITIES.into(), json!({}));
    let line = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": { "_meta": meta } });
    if version.era() == Era::Modern {
        pair.inject(Sender::Server, &line.to_string());
        sent.extend(missing_capability(make));
    } else {
        pair.inject(Sender::Client, r#"{"jsonrpc":"2.0","id":8,"method":"x/y"}"#);
    }
    sent.extend(pair.sent);
    sent
}

/// The error with the data that belongs to it.
fn error(make: Maker, code: ErrorCode) -> ErrorObject {
    match code {
        ErrorCode::URL_ELICITATION_REQUIRED => {
            let url = ElicitParams::url("Sign in", "https://example.com/sign-in", Some("elicitation-1".into()));
            ErrorObject::url_elicitation_required([url])
        }
        ErrorCode::MISSING_CLIENT_CAPABILITY => {
            ErrorObject::missing_client_capability(ClientCapabilities::of(Capability::Sampling))
        }
        ErrorCode::UNSUPPORTED_PROTOCOL_VERSION => {
            ErrorObject::unsupported_protocol_version([make.version.to_string()], "1900-01-01")
        }
        ErrorCode::RESOURCE_NOT_FOUND if make.full => {
            let data = serde_json::to_value(ResourceNotFoundData::new(URI)).unwrap_or_else(|error| panic!("{error}"));
            ErrorObject::new(code, "resource not found").with_data(data)
        }
        _ => ErrorObject::new(code, "it is wrong"),
    }
}

/// A question to a client that cannot answer it.
fn missing_capability(make: Maker) -> Vec<Sent> {
    let bare = Maker { full: false, ..make };
    let mut pair = pair(bare, Capability::Tools);
    ask(make, &mut pair, Sender::Client, requests::requests(bare, "tools/call").swap_remove(0));
    let mut input = InputRequired::default();
    input.requests.insert("user".into(), requests::requests(bare, "elicitation/create").swap_remove(0));
    let id = pair.asked(Sender::Server).unwrap_or_else(|| panic!("no request: {}", pair.events()));
    let refused = pair.side(Sender::Server).require_input(NOW, id, &input);
    assert!(refused.is_err(), "the client has not declared that it asks the user");
    pair.pump();
    pair.sent
}
