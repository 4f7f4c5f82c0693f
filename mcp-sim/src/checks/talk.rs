//! Checks of invariants 5, 6 and 7: progress, logs, subscriptions, and questions instead of answers.

use std::collections::{BTreeMap, BTreeSet};

use mcp_proto::model::{LoggingLevel, SubscriptionFilter};
use mcp_proto::{About, Change, Event, OutboundId};
use serde_json::Value;

use super::replies::{cancelled_id, request_id};
use super::{Check, PerNode, require};
use crate::Side;
use crate::seen::{Deed, Facts, Milestone, Seen};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Progress rises, only for open requests with a token, before the reply.
#[derive(Default)]
pub(crate) struct ProgressRises(PerNode<Reporting>);

#[derive(Default)]
struct Reporting {
    /// What the peer wants to hear of: the token, and its request's id.
    tokens: BTreeMap<String, (String, Option<f64>)>,
    /// What our application was told.
    told: BTreeMap<OutboundId, f64>,
}

impl Check for ProgressRises {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let Reporting { tokens, told } = self.0.at(facts);
        match seen {
            Seen::Took { value: Some(value), .. } => {
                let token = &value["params"]["_meta"]["progressToken"];
                if let Some(id) = request_id(value) {
                    if !token.is_null() {
                        tokens.insert(token.to_string(), (id, None));
                    }
                } else if let Some(id) = cancelled_id(value) {
                    tokens.retain(|_, (of, _)| *of != id || !facts.honest);
                }
            }
            Seen::Sent { value, .. } if value["method"] == "notifications/progress" => {
                let token = value["params"]["progressToken"].to_string();
                let Some((_, last)) = tokens.get_mut(&token) else {
                    return Err(format!("progress that nobody wants: {value}"));
                };
                let now = value["params"]["progress"].as_f64().ok_or("progress that is no number")?;
                require!(last.is_none_or(|last| last < now), "progress does not rise: {last:?}, then {value}");
                *last = Some(now);
            }
            Seen::Sent { value, .. } if value["method"].is_null() && facts.honest => {
                let id = value["id"].to_string();
                tokens.retain(|_, (of, _)| *of != id);
            }
            Seen::Told(Event::Progress { id, progress, .. }) => {
                // A request that is sent again begins anew.
                let last = told.insert(*id, progress.progress).unwrap_or(f64::MIN);
                require!(last < progress.progress, "told {} after {last}", progress.progress);
            }
            Seen::Told(Event::InputRequired { id, .. }) => {
                told.remove(id);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Logs only if asked for, from the level asked for.
#[derive(Default)]
pub(crate) struct Logs(PerNode<Level>);

#[derive(Default)]
struct Level {
    initialized: bool,
    /// What was asked for and not answered yet, by the request's id.
    asked: BTreeMap<String, LoggingLevel>,
    chosen: Option<LoggingLevel>,
    /// A level that held when what is still on its way out was said.
    before: Option<LoggingLevel>,
}

impl Level {
    /// It was granted. What was said before that may still be on its way, if somebody else's answer was taken for this one.
    fn choose(&mut self, chosen: LoggingLevel) {
        let before = self.chosen.replace(chosen).unwrap_or(LoggingLevel::Info);
        self.before = Some(self.before.map_or(before, |earlier| earlier.min(before)));
    }
}

impl Check for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if facts.side == Side::Client {
            return Ok(());
        }
        let level = self.0.at(facts);
        match seen {
            Seen::Took { value: Some(value), .. } => {
                level.initialized |= value["method"] == "initialize";
                if value["method"] == "logging/setLevel"
                    && let Some(id) = request_id(value)
                    && let Ok(chosen) = serde_json::from_value(value["params"]["level"].clone())
                {
                    level.asked.insert(id, chosen);
                } else if let Some(id) = cancelled_id(value)
                    && let Some(chosen) = level.asked.remove(&id)
                {
                    // It was granted at once, and only the answer is taken back.
                    level.choose(chosen);
                }
            }
            // One that is refused, say for an id that somebody else has put into the world, changes nothing.
            Seen::Sent { value, .. } if value["method"].is_null() => {
                if let Some(chosen) = level.asked.remove(&value["id"].to_string())
                    && value["error"].is_null()
                {
                    level.choose(chosen);
                }
            }
            Seen::Sent { value, .. } if value["method"] == "notifications/message" => {
                require!(level.initialized, "a log that nobody asked for: {value}");
                let said = serde_json::from_value::<LoggingLevel>(value["params"]["level"].clone());
                let said = said.map_err(|error| error.to_string())?;
                let from = level.chosen.unwrap_or(LoggingLevel::Info);
                let from = level.before.map_or(from, |before| before.min(from));
                require!(said >= from, "{said:?} is below {from:?}");
            }
            Seen::Stepped(conn) if conn.buffered_bytes() == 0 => level.before = None,
            _ => {}
        }
        Ok(())
    }
}

/// Subscriptions: acknowledged first, only what was granted, nothing after the end, no change lost.
#[derive(Default)]
pub(crate) struct Subscriptions(PerNode<Listens>);

#[derive(Default)]
struct Listens {
    /// Those that are open, by id on the wire.
    open: BTreeMap<String, Listen>,
    over: bool,
}

#[derive(Default)]
struct Listen {
    acknowledged: bool,
    granted: SubscriptionFilter,
    /// What has changed and was not told.
    pending: BTreeSet<(String, String)>,
}

impl Check for Subscriptions {
    fn name(&self) -> &'static str {
        "subscriptions"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if facts.side == Side::Client {
            return Ok(());
        }
        let Listens { open, over } = self.0.at(facts);
        match seen {
            Seen::Took { value: Some(value), .. } => {
                if value["method"] == "subscriptions/listen"
                    && let Some(id) = request_id(value)
                {
                    open.entry(id).or_default();
                } else if let Some(id) = cancelled_id(value) {
                    open.remove(&id);
                }
            }
            Seen::Sent { value, .. } if value["method"].is_string() => {
                let method = value["method"].as_str().unwrap_or_default();
                let tag = &value["params"]["_meta"][SUBSCRIPTION];
                if tag.is_null() {
                    require!(method != "notifications/subscriptions/acknowledged", "acknowledged to nobody: {value}");
                    return Ok(());
                }
                let Some(listen) = open.get_mut(&tag.to_string()) else {
                    return Err(format!("told on a subscription that is not open: {value}"));
                };
                if method == "notifications/subscriptions/acknowledged" {
                    require!(!listen.acknowledged, "acknowledged twice: {value}");
                    listen.acknowledged = true;
                    let granted = value["params"]["notifications"].clone();
                    listen.granted = serde_json::from_value(granted).map_err(|error| error.to_string())?;
                    return Ok(());
                }
                require!(listen.acknowledged, "told before it was acknowledged: {value}");
                let told = (method.to_owned(), value["params"]["uri"].as_str().unwrap_or_default().to_owned());
                require!(is_granted(&listen.granted, &told), "told although not granted: {value}");
                listen.pending.remove(&told);
            }
            // Of a client that uses an id twice the other request may be meant.
            Seen::Sent { transmit, value }
                if matches!(transmit.about, About::Reply(_))
                    && (facts.honest || !value["result"]["_meta"][SUBSCRIPTION].is_null()) =>
            {
                open.remove(&value["id"].to_string());
            }
            Seen::Did(Deed::Changed(change)) => {
                let changed = told_by(change);
                for listen in open.values_mut().filter(|listen| is_granted(&listen.granted, &changed)) {
                    listen.pending.insert(changed.clone());
                }
            }
            Seen::Ended(_) | Seen::Told(Event::Closed { .. }) | Seen::Did(Deed::Closed(_)) => *over = true,
            Seen::Reached(Milestone::Settled | Milestone::Judged) if !*over => {
                let lost = open.iter().find(|(_, listen)| !listen.pending.is_empty());
                require!(lost.is_none(), "a change was not told: {:?}", lost.map(|(id, listen)| (id, &listen.pending)));
            }
            _ => {}
        }
        Ok(())
    }
}

fn told_by(change: &Change) -> (String, String) {
    let (method, uri) = match change {
        Change::Tools => ("notifications/tools/list_changed", ""),
        Change::Prompts => ("notifications/prompts/list_changed", ""),
        Change::Resources => ("notifications/resources/list_changed", ""),
        Change::Resource(uri) => ("notifications/resources/updated", uri.as_str()),
        _ => ("", ""),
    };
    (method.to_owned(), uri.to_owned())
}

fn is_granted(granted: &SubscriptionFilter, (method, uri): &(String, String)) -> bool {
    match method.as_str() {
        "notifications/tools/list_changed" => granted.tools_list_changed == Some(true),
        "notifications/prompts/list_changed" => granted.prompts_list_changed == Some(true),
        "notifications/resources/list_changed" => granted.resources_list_changed == Some(true),
        "notifications/resources/updated" => {
            granted.resource_subscriptions.as_ref().is_some_and(|uris| uris.contains(uri))
        }
        _ => false,
    }
}

/// A retry has a new id and the same state.
#[derive(Default)]
pub(crate) struct Rounds(PerNode<Asking>);

#[derive(Default)]
struct Asking {
    /// Our requests on the wire: their handle.
    wire: BTreeMap<String, OutboundId>,
    /// Sent before: the state that the next try must bring.
    states: BTreeMap<OutboundId, Value>,
}

impl Check for Rounds {
    fn name(&self) -> &'static str {
        "rounds"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let Asking { wire, states } = self.0.at(facts);
        match (seen, facts.side) {
            (Seen::Sent { transmit, value }, Side::Client) if value["method"].is_string() => {
                let About::Call(call) = transmit.about else { return Ok(()) };
                wire.insert(value["id"].to_string(), call);
                let state = &value["params"]["requestState"];
                let expected = states.remove(&call).unwrap_or(Value::Null);
                require!(*state == expected, "the state is {state}, not {expected}");
            }
            (Seen::Took { value: Some(value), .. }, Side::Client) => {
                if value["result"]["resultType"] == "input_required"
                    && let Some(call) = wire.remove(&value["id"].to_string())
                {
                    states.insert(call, value["result"]["requestState"].clone());
                }
            }
            (Seen::Sent { value, .. }, Side::Server) => {
                let result = &value["result"];
                if result["resultType"] == "input_required" {
                    let says = result["inputRequests"].is_object() || result["requestState"].is_string();
                    require!(says, "a question that asks nothing: {value}");
                }
            }
            _ => {}
        }
        Ok(())
    }
}
