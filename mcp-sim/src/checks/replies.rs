//! Checks of answers on the wire: each is for a request then open, and every request gets its own.

use std::collections::{BTreeMap, BTreeSet};

use mcp_proto::{About, Event};
use serde_json::Value;

use super::{Check, PerNode, require};
use crate::Side;
use crate::hostile::{Due, NO_REQUEST};
use crate::seen::{Deed, End, Facts, Milestone, Seen};

/// What one request, by its id on the wire, still waits for.
#[derive(Clone, Debug, Default)]
struct Open {
    /// Requests taken and not answered.
    waiting: u32,
    /// Whether the latest of them was not cancelled.
    live: bool,
    listens: bool,
    /// Whether nothing else was on its way out since it was taken.
    in_work: bool,
    /// Taken although the id was in flight: to be refused at once.
    to_refuse: u32,
}

/// An answer is for a request then open, and every request gets one.
#[derive(Default)]
pub(crate) struct Replies(PerNode<State>);

#[derive(Default)]
struct State {
    open: BTreeMap<String, Open>,
    /// Whether a line came that is no JSON: its id may have been read all the same.
    unreadable: bool,
    over: bool,
}

impl Check for Replies {
    fn name(&self) -> &'static str {
        "replies"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let state = self.0.at(facts);
        match seen {
            Seen::Took { value: None | Some(Value::Array(_)), .. } => state.unreadable = true,
            Seen::Took { value: Some(value), .. } => {
                if let Some(id) = request_id(value) {
                    let open = state.open.entry(id).or_default();
                    open.waiting += 1;
                    open.live = true;
                    open.listens = value["method"] == "subscriptions/listen";
                } else if let Some(id) = cancelled_id(value)
                    && let Some(open) = state.open.get_mut(&id)
                {
                    // Of two with one id the newer is cancelled; the answer to the older may be on its way.
                    open.live = open.waiting > 1;
                }
            }
            Seen::Sent { transmit, value } if !value["method"].is_string() => {
                let id = value["id"].to_string();
                let is_refusal = transmit.about == About::Refusal;
                // That is about a line that is no JSON, also if its id is that of a request that still has its answer to come.
                if is_refusal && state.unreadable && !facts.honest && value["error"]["code"] == -32700 {
                    return Ok(());
                }
                let Some(open) = state.open.get_mut(&id).filter(|open| open.waiting > 0 || !facts.honest && is_refusal)
                else {
                    let nameless = value["id"].is_null();
                    let tolerated = is_refusal && (nameless || state.unreadable) && !facts.honest;
                    require!(tolerated, "an answer to nobody: {value}");
                    return Ok(());
                };
                open.waiting = open.waiting.saturating_sub(1);
                require!(open.live || is_refusal, "an answer to a cancelled request: {value}");
            }
            Seen::Told(Event::Closed { .. }) | Seen::Did(Deed::Closed(_)) | Seen::Ended(_) => state.over = true,
            Seen::Reached(Milestone::Settled | Milestone::Judged) => {
                let judged = facts.honest && !state.over && facts.side == Side::Server;
                let forgotten = state.open.iter().find(|(_, open)| open.waiting > 0 && open.live && !open.listens);
                if let (true, Some((id, _))) = (judged, forgotten) {
                    return Err(format!("the request {id} was never answered"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// An id in flight is not taken a second time.
#[derive(Default)]
pub(crate) struct ReusedIds(PerNode<BTreeMap<String, Open>>);

impl Check for ReusedIds {
    fn name(&self) -> &'static str {
        "reused ids"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let all = self.0.at(facts);
        match seen {
            Seen::Took { value: Some(value), .. } => {
                if let Some(id) = request_id(value) {
                    let open = all.entry(id).or_default();
                    if open.waiting > 0 && open.live && open.in_work {
                        open.to_refuse += 1;
                    } else {
                        *open = Open { waiting: 1, live: true, ..Open::default() };
                    }
                } else if let Some(id) = cancelled_id(value) {
                    all.remove(&id);
                }
            }
            Seen::Sent { transmit, value } if !value["method"].is_string() => {
                let id = value["id"].to_string();
                let Some(open) = all.get_mut(&id) else { return Ok(()) };
                if open.to_refuse > 0 && transmit.about == About::Refusal {
                    open.to_refuse -= 1;
                    require!(value["error"]["code"] == -32600, "refused otherwise: {value}");
                } else {
                    require!(open.to_refuse == 0, "the id was in flight, and was taken again: {value}");
                    all.remove(&id);
                }
            }
            // While nothing is on its way out, what has not been answered is in somebody's hands.
            Seen::Stepped(conn) => {
                let in_work = conn.buffered_bytes() == 0;
                all.values_mut().for_each(|open| open.in_work = in_work);
            }
            Seen::Told(Event::Closed { .. }) => all.clear(),
            _ => {}
        }
        Ok(())
    }
}

/// Whatever has a readable id is answered with it, once, by an error; what is no request is not answered.
#[derive(Default)]
pub(crate) struct Recoverable(PerNode<Waiting>);

#[derive(Default)]
struct Waiting {
    errors: BTreeMap<String, u32>,
    answered: BTreeSet<String>,
    /// Answers that were cut off before anybody could see that they are answers.
    cut: u32,
    over: bool,
}

impl Check for Recoverable {
    fn name(&self) -> &'static str {
        "recoverable"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let Waiting { errors, answered, cut, over } = self.0.at(facts);
        match seen {
            Seen::Took { due: Some(Due::Error(id)), .. } if !*over => *errors.entry(id.clone()).or_default() += 1,
            Seen::Took { line, value: None, .. } if line.windows(9).any(|part| part == NO_REQUEST.as_bytes()) => {
                *cut += 1;
            }
            Seen::Sent { value, .. } if !value["method"].is_string() => {
                let id = value["id"].to_string();
                if id == NO_REQUEST {
                    require!(*cut > 0, "an answer was answered: {value}");
                    *cut -= 1;
                }
                if let Some(waiting) = errors.get_mut(&id) {
                    require!(value["error"].is_object(), "it is no request, and was served: {value}");
                    require!(*waiting > 0, "answered twice: {value}");
                    *waiting -= 1;
                    answered.insert(id);
                }
            }
            Seen::Ended(End::Eof | End::Broken) | Seen::Told(Event::Closed { .. }) | Seen::Did(Deed::Closed(_)) => {
                *over = true;
                errors.retain(|id, _| answered.contains(id));
            }
            Seen::Reached(Milestone::Settled) => {
                let forgotten = errors.iter().find(|(_, waiting)| **waiting > 0 && !*over);
                require!(forgotten.is_none(), "never answered, although its id can be read: {forgotten:?}");
            }
            _ => {}
        }
        Ok(())
    }
}

/// The id of a request, as JSON text.
pub(super) fn request_id(value: &Value) -> Option<String> {
    let id = value.get("id").filter(|id| !id.is_null())?;
    value.get("method").map(|_| id.to_string())
}

/// The id of the request that a message cancels, likewise.
pub(super) fn cancelled_id(value: &Value) -> Option<String> {
    let id = &value["params"]["requestId"];
    (value["method"] == "notifications/cancelled" && !id.is_null()).then(|| id.to_string())
}
