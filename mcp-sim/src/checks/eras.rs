//! Checks of invariant 4: what each era allows.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_proto::{Era, Event, Timestamp};
use serde_json::Value;

use super::replies::{cancelled_id, request_id};
use super::{Check, PerNode, require};
use crate::Side;
use crate::seen::{Facts, Seen};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// Before the handshake only what the specification allows.
#[derive(Default)]
pub(crate) struct Handshake(PerNode<Begun>);

#[derive(Default)]
struct Begun {
    /// A client has the answer to its first question; a server was asked in some revision.
    answered: bool,
    sent: bool,
}

impl Check for Handshake {
    fn name(&self) -> &'static str {
        "handshake"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let begun = self.0.at(facts);
        match (seen, facts.side) {
            (Seen::Took { value: Some(value), .. }, Side::Client) => begun.answered |= value["method"].is_null(),
            (Seen::Took { value: Some(value), .. }, Side::Server) => {
                begun.answered |= value["method"] == "initialize" || value["params"]["_meta"][VERSION].is_string();
            }
            (Seen::Took { value: None, .. }, _) => begun.answered = true,
            (Seen::Sent { value, .. }, _) => {
                let Some(method) = value["method"].as_str() else { return Ok(()) };
                let opens = ["initialize", "server/discover"].contains(&method);
                let first = !begun.sent;
                begun.sent = true;
                match facts.side {
                    Side::Client => {
                        require!(opens || begun.answered, "{method} before any answer");
                        require!(!first || opens, "the first message is {method}");
                    }
                    Side::Server => {
                        // A server may ping at any time, if its client must be of the legacy era, and give a ping up.
                        let may_ping = ["ping", "notifications/cancelled"].contains(&method) && !facts.modern_server;
                        require!(begun.answered || may_ping, "{method} before the client has begun");
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A client's handshake ends, one way or the other.
#[derive(Default)]
pub(crate) struct HandshakeInTime(PerNode<Option<Shaking>>);

enum Shaking {
    Since(Timestamp),
    Done,
}

/// A probe, `initialize`, another probe, and an application that takes its time.
const LONGEST: Duration = Duration::from_secs(5 + 30 + 30 + 10);

impl Check for HandshakeInTime {
    fn name(&self) -> &'static str {
        "handshake in time"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if facts.side == Side::Server {
            return Ok(());
        }
        let shaking = self.0.at(facts);
        match (&*shaking, seen) {
            (_, Seen::Told(Event::Ready { .. } | Event::Closed { .. })) => *shaking = Some(Shaking::Done),
            (None, _) => *shaking = Some(Shaking::Since(facts.now)),
            (Some(Shaking::Since(since)), _) => {
                let took = facts.now.saturating_since(*since);
                require!(took <= LONGEST, "neither ready nor closed after {took:?}");
            }
            (Some(Shaking::Done), _) => {}
        }
        Ok(())
    }
}

/// The modern era: no requests by servers, required `_meta`, a `resultType`.
#[derive(Default)]
pub(crate) struct Modern(PerNode<Terms>);

#[derive(Default)]
struct Terms {
    modern: bool,
    initialized: bool,
    /// Requests taken that said a modern version, by id.
    asked: BTreeMap<String, bool>,
}

impl Check for Modern {
    fn name(&self) -> &'static str {
        "modern"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let terms = self.0.at(facts);
        match (seen, facts.side) {
            (Seen::Told(Event::Ready { era, .. }), Side::Client) => terms.modern = *era == Era::Modern,
            (Seen::Took { value: Some(value), .. }, Side::Server) => {
                terms.initialized |= value["method"] == "initialize";
                if let Some(id) = request_id(value) {
                    let modern = value["params"]["_meta"][VERSION].is_string();
                    // Of two with one id it cannot be told which is answered.
                    terms.asked.entry(id).and_modify(|all| *all &= modern).or_insert(modern);
                }
            }
            (Seen::Sent { value, .. }, Side::Client) if value["method"].is_string() && !value["id"].is_null() => {
                let meta = &value["params"]["_meta"];
                let needs = terms.modern || value["method"] == "server/discover";
                let has = meta[VERSION].is_string() && meta[CAPABILITIES].is_object();
                require!(!needs || has, "a request without its terms: {value}");
            }
            (Seen::Sent { value, .. }, Side::Server) => {
                let is_request = value["method"].is_string() && !value["id"].is_null();
                let legacy = terms.initialized || value["method"] == "ping" && !facts.modern_server;
                require!(!is_request || legacy, "a request of a server: {value}");
                let modern = terms.asked.get(&value["id"].to_string()) == Some(&true);
                let is_result = value["result"].is_object();
                require!(!(modern && is_result) || value["result"]["resultType"].is_string(), "no resultType: {value}");
            }
            _ => {}
        }
        Ok(())
    }
}

/// A connection has one handshake.
#[derive(Default)]
pub(crate) struct OneHandshake(PerNode<(u32, u32)>);

impl Check for OneHandshake {
    fn name(&self) -> &'static str {
        "one handshake"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let (ready, results) = self.0.at(facts);
        match seen {
            Seen::Told(Event::Ready { version, .. }) => {
                *ready += 1;
                require!(*ready == 1, "ready again, in {version}");
            }
            Seen::Sent { value, .. } => {
                *results += u32::from(value["result"]["serverInfo"].is_object());
                require!(*results <= 1, "initialized again: {value}");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Requests after the initialize result are served, whether or not the client has said that it is initialized.
#[derive(Default)]
pub(crate) struct EagerRequests(PerNode<Eager>);

#[derive(Default)]
struct Eager {
    initialized: bool,
    /// What was taken, by id: 1 is a single call since then.
    taken: BTreeMap<String, u32>,
}

impl Check for EagerRequests {
    fn name(&self) -> &'static str {
        "eager requests"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if facts.side == Side::Client {
            return Ok(());
        }
        let eager = self.0.at(facts);
        match seen {
            Seen::Took { value: Some(value), .. } => {
                if let Some(id) = request_id(value) {
                    let is_call = eager.initialized && is_legacy_call(value);
                    // What is no proper call, or comes twice, may be refused.
                    *eager.taken.entry(id).or_default() += if is_call { 1 } else { 10 };
                } else if let Some(id) = cancelled_id(value) {
                    *eager.taken.entry(id).or_default() += 10;
                }
            }
            Seen::Sent { value, .. } => {
                eager.initialized |= value["result"]["serverInfo"].is_object();
                let once = eager.taken.get(&value["id"].to_string()) == Some(&1);
                require!(!once || value["error"]["code"] != -32600, "refused although initialized: {value}");
            }
            _ => {}
        }
        Ok(())
    }
}

fn is_legacy_call(value: &Value) -> bool {
    let proper = value["jsonrpc"] == "2.0" && value["id"].is_u64() && value["params"]["arguments"].is_object();
    proper && value["method"] == "tools/call" && value["params"]["_meta"][VERSION].is_null()
}
