//! What the sessions hold, held against the tables of the model: all that a revision has is in some session of it.

use std::collections::BTreeSet;

use mcp_proto::ProtocolVersion;
use mcp_proto::model::{ERRORS, METHODS, Sender, Union, VARIANTS, meta_key};
use serde_json::Value;

use crate::session::{Session, Side};

/// What the tables have and no session does, each in words.
pub(crate) fn missing(sessions: &[Session]) -> Vec<String> {
    let mut seen = Seen::default();
    sessions.iter().for_each(|session| seen.session(session));
    let mut missing = Vec::new();
    for (version, from, method) in methods() {
        if !seen.methods.contains(&(version, from, method.to_string())) {
            missing.push(format!("{version}: no {method} from a {from:?}"));
        }
    }
    for rule in ERRORS {
        for version in revisions(rule.since, rule.until) {
            let froms = sides(rule.sender);
            if !froms.iter().any(|from| seen.errors.contains(&(version, *from, rule.code.0))) {
                missing.push(format!("{version}: no error {} from a {froms:?}", rule.code));
            }
        }
    }
    for rule in VARIANTS {
        for version in revisions(rule.since, rule.until) {
            if !seen.variants.contains(&(version, union_number(rule.union), rule.name.to_string())) {
                missing.push(format!("{version}: no {:?} of the kind {}", rule.union, rule.name));
            }
        }
    }
    missing
}

/// Every method and notification, in every revision that has it, from every side that may send it.
fn methods() -> impl Iterator<Item = (ProtocolVersion, Side, &'static str)> {
    METHODS.iter().flat_map(|rule| {
        let versions = revisions(rule.since, rule.until);
        versions.flat_map(move |version| sides(rule.sender).iter().map(move |from| (version, *from, rule.method)))
    })
}

fn revisions(since: ProtocolVersion, until: ProtocolVersion) -> impl Iterator<Item = ProtocolVersion> {
    ProtocolVersion::ALL.into_iter().filter(move |version| (since..=until).contains(version))
}

fn sides(sender: Sender) -> &'static [Side] {
    match sender {
        Sender::Client => &[Side::Client],
        Sender::Server => &[Side::Server],
        Sender::Both => &[Side::Client, Side::Server],
    }
}

#[derive(Default)]
struct Seen {
    methods: BTreeSet<(ProtocolVersion, Side, String)>,
    errors: BTreeSet<(ProtocolVersion, Side, i64)>,
    variants: BTreeSet<(ProtocolVersion, &'static str, String)>,
}

impl Seen {
    fn session(&mut self, session: &Session) {
        for from in [Side::Client, Side::Server] {
            for message in session.messages(from) {
                let told = message["params"]["_meta"].get(meta_key::PROTOCOL_VERSION);
                let version = told.and_then(|told| told.as_str()?.parse().ok()).unwrap_or(session.revision);
                if let Some(method) = message["method"].as_str() {
                    self.methods.insert((version, from, method.into()));
                }
                if let Some(code) = message["error"]["code"].as_i64() {
                    self.errors.insert((version, from, code));
                }
                self.message(version, message);
            }
        }
    }

    /// The kinds of content, forms and results in a message.
    fn message(&mut self, version: ProtocolVersion, message: &Value) {
        let (params, result) = (&message["params"], &message["result"]);
        if let Some(kind) = result["resultType"].as_str() {
            self.variant(version, Union::ResultType, kind);
        }
        blocks(&result["content"]).for_each(|block| self.kind(version, Union::Content, block));
        items(&result["messages"]).for_each(|message| self.kind(version, Union::Content, &message["content"]));
        self.question(version, &message["method"], params);
        if result.get("model").is_some() {
            blocks(&result["content"]).for_each(|block| self.kind(version, Union::SamplingContent, block));
        }
        for question in result["inputRequests"].as_object().into_iter().flat_map(|questions| questions.values()) {
            self.question(version, &question["method"], &question["params"]);
        }
        for answer in params["inputResponses"].as_object().into_iter().flat_map(|answers| answers.values()) {
            blocks(&answer["content"]).for_each(|block| self.kind(version, Union::SamplingContent, block));
        }
    }

    /// What a server asks of the client.
    fn question(&mut self, version: ProtocolVersion, method: &Value, params: &Value) {
        if method == "sampling/createMessage" {
            for message in items(&params["messages"]) {
                blocks(&message["content"]).for_each(|block| self.kind(version, Union::SamplingContent, block));
            }
        }
        if method == "elicitation/create" {
            self.variant(version, Union::ElicitMode, params["mode"].as_str().unwrap_or("form"));
            let fields = params["requestedSchema"]["properties"].as_object();
            fields.into_iter().flat_map(|fields| fields.values()).for_each(|field| {
                self.variant(version, Union::Form, shape(field));
            });
        }
    }

    fn kind(&mut self, version: ProtocolVersion, union: Union, block: &Value) {
        self.variant(version, union, block["type"].as_str().unwrap_or_default());
    }

    fn variant(&mut self, version: ProtocolVersion, union: Union, name: &str) {
        self.variants.insert((version, union_number(union), name.into()));
    }
}

/// The shape of a field, by the members that tell them apart.
fn shape(field: &Value) -> &str {
    let members = ["enumNames", "enum", "oneOf"].into_iter().find(|member| field.get(*member).is_some());
    let of_items = ["enum", "anyOf"].into_iter().find(|member| field["items"].get(*member).is_some());
    match (members, of_items) {
        (Some(member), _) => member,
        (None, Some("enum")) => "items.enum",
        (None, Some(_)) => "items.anyOf",
        (None, None) => field["type"].as_str().unwrap_or_default(),
    }
}

/// One block, or an array of blocks.
fn blocks(content: &Value) -> impl Iterator<Item = &Value> {
    let one = if content.is_object() { std::slice::from_ref(content) } else { &[] };
    items(content).chain(one)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Unions have no order of their own.
fn union_number(union: Union) -> &'static str {
    match union {
        Union::Content => "content",
        Union::SamplingContent => "sampling",
        Union::Form => "form",
        Union::ElicitMode => "mode",
        Union::ResultType => "result",
        _ => "another",
    }
}
