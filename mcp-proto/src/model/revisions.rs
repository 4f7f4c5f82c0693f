//! What differs between the revisions, as tables: a new difference is a row or a column here and a test.
//!
//! Nothing else in the project compares versions; it asks for a rule.

use super::{ClientCapabilities, ProtocolVersion, ServerCapabilities};

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
}

/// How arguments that do not fit a tool's schema are told (SEP-1303).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentFaults {
    /// As the JSON-RPC error −32602.
    ProtocolError,
    /// As a tool result with `isError`, so that the model can correct itself.
    ToolResult,
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
        };
        const B: Rules = Rules { progress_message: true, ..A };
        const C: Rules = Rules { structured_output: true, ..B };
        const D: Rules =
            Rules { argument_faults: ArgumentFaults::ToolResult, unreadable_id: UnreadableId::Omitted, ..C };
        const E: Rules = Rules { ..D };
        match self {
            Self::V2024_11_05 => &A,
            Self::V2025_03_26 => &B,
            Self::V2025_06_18 => &C,
            Self::V2025_11_25 => &D,
            Self::V2026_07_28 => &E,
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

/// What the receiver of a method must have declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the capability of that name")]
pub enum Capability {
    /// None: always there.
    None,
    Tools,
    Resources,
    ResourcesSubscribe,
    Prompts,
    Logging,
    Completions,
    Tasks,
    Sampling,
    Roots,
    Elicitation,
}

/// One request method or notification of the core protocol.
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

/// Every method of the core protocol; a method that is not here is an extension's or the application's own.
#[rustfmt::skip]
pub const METHODS: &[MethodRule] = &[
    row("initialize",                         Sender::Client, A, D, Needs::None),
    row("ping",                               Sender::Both,   A, D, Needs::None),
    row("tools/list",                         Sender::Client, A, E, Needs::Tools),
    row("tools/call",                         Sender::Client, A, E, Needs::Tools),
    row("resources/list",                     Sender::Client, A, E, Needs::Resources),
    row("resources/templates/list",           Sender::Client, A, E, Needs::Resources),
    row("resources/read",                     Sender::Client, A, E, Needs::Resources),
    row("resources/subscribe",                Sender::Client, A, D, Needs::ResourcesSubscribe),
    row("resources/unsubscribe",              Sender::Client, A, D, Needs::ResourcesSubscribe),
    row("prompts/list",                       Sender::Client, A, E, Needs::Prompts),
    row("prompts/get",                        Sender::Client, A, E, Needs::Prompts),
    row("completion/complete",                Sender::Client, A, A, Needs::None),
    row("completion/complete",                Sender::Client, B, E, Needs::Completions),
    row("logging/setLevel",                   Sender::Client, A, D, Needs::Logging),
    row("sampling/createMessage",             Sender::Server, A, D, Needs::Sampling),
    row("roots/list",                         Sender::Server, A, D, Needs::Roots),
    row("elicitation/create",                 Sender::Server, C, D, Needs::Elicitation),
    row("tasks/get",                          Sender::Both,   D, D, Needs::Tasks),
    row("tasks/result",                       Sender::Both,   D, D, Needs::Tasks),
    row("tasks/list",                         Sender::Both,   D, D, Needs::Tasks),
    row("tasks/cancel",                       Sender::Both,   D, D, Needs::Tasks),
    row("server/discover",                    Sender::Client, E, E, Needs::None),
    row("subscriptions/listen",               Sender::Client, E, E, Needs::None),
    row("notifications/message",              Sender::Server, A, E, Needs::Logging),
    row("notifications/elicitation/complete", Sender::Server, D, D, Needs::None),
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
        match capability {
            Needs::None => true,
            Needs::Tools => self.tools.is_some(),
            Needs::Resources => self.resources.is_some(),
            Needs::ResourcesSubscribe => self.resources.as_ref().is_some_and(|it| it.subscribe == Some(true)),
            Needs::Prompts => self.prompts.is_some(),
            Needs::Logging => self.logging.is_some(),
            Needs::Completions => self.completions.is_some(),
            Needs::Tasks => self.tasks.is_some(),
            Needs::Sampling | Needs::Roots | Needs::Elicitation => false,
        }
    }
}

impl ClientCapabilities {
    /// Whether this capability is declared. What only servers declare is not.
    pub fn offers(&self, capability: Capability) -> bool {
        match capability {
            Needs::None => true,
            Needs::Sampling => self.sampling.is_some(),
            Needs::Roots => self.roots.is_some(),
            Needs::Elicitation => self.elicitation.is_some(),
            Needs::Tasks => self.tasks.is_some(),
            Needs::Tools
            | Needs::Resources
            | Needs::ResourcesSubscribe
            | Needs::Prompts
            | Needs::Logging
            | Needs::Completions => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_at_most_one_rule_in_a_revision() {
        for version in ProtocolVersion::ALL {
            for rule in METHODS {
                let same = METHODS
                    .iter()
                    .filter(|other| other.method == rule.method && (other.since..=other.until).contains(&version));
                assert!(same.count() <= 1, "{} in {version}", rule.method);
            }
        }
    }

    #[test]
    fn elicitation_came_with_2025_06_18_and_unknown_methods_are_open() {
        assert_eq!(method_rule("elicitation/create", B).map(|rule| rule.is_ok()), Some(false));
        assert_eq!(method_rule("elicitation/create", C).map(|rule| rule.is_ok()), Some(true));
        assert!(method_rule("vendor/thing", C).is_none());
    }
}
