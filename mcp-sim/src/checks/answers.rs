//! The check of invariant 13 against the [oracle](crate::oracle): everybody gets the answer to his own question.

use std::collections::{BTreeMap, BTreeSet};

use mcp_proto::{Event, OutboundId, RequestError};
use serde_json::Value;

use super::{Check, PerNode, require};
use crate::oracle;
use crate::seen::{Deed, Facts, Seen};
use crate::workload::{Call, Plan};

/// Everybody gets the answer to his own question.
#[derive(Default)]
pub(crate) struct Answers(PerNode<Open>);

#[derive(Default)]
struct Open {
    calls: BTreeMap<OutboundId, (String, Call)>,
    given_up: BTreeSet<OutboundId>,
}

impl Check for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let open = self.0.at(facts);
        match seen {
            Seen::Did(Deed::Called(id, tag, call)) => {
                open.calls.insert(*id, (tag.clone(), call.clone()));
            }
            Seen::Did(Deed::GaveUp(id)) => {
                open.given_up.insert(*id);
            }
            Seen::Told(Event::Response { id, result }) => {
                let Some((tag, call)) = open.calls.remove(id) else { return Ok(()) };
                if !facts.honest {
                    return Ok(());
                }
                let ours = tag.is_empty() || call.method == "ping";
                match result {
                    _ if call.plan == Plan::Fail && !ours => {
                        require!(result.is_err(), "a handler failed, and this is its result: {result:?}");
                    }
                    Ok((_, message)) => {
                        let found: Value = message.result().and_then(|result| result.decode().ok()).unwrap_or_default();
                        require!(
                            ours || oracle::is_result(&found, &tag, call.plan),
                            "{tag} asked, and got {}",
                            crate::seen::short(found.to_string().as_bytes())
                        );
                    }
                    Err(error) => return explained(facts, &call, error, open.given_up.contains(id)),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Bytes of the states and keys of all calls that may be open at once.
const MANY_ROUNDS: usize = 20_000;

/// Whether a call may have failed so.
fn explained(facts: &Facts, call: &Call, error: &RequestError, given_up: bool) -> Result<(), String> {
    let rounds = if let Plan::Ask(times) | Plan::HoldBack(times) = call.plan { times } else { 0 };
    let large = match call.plan {
        Plan::Big(size) => size + 1000,
        // Questions and their answers travel together.
        Plan::Ask(_) => 4000,
        _ => 2000,
    };
    let is_explained = match error {
        RequestError::Rpc(error) => {
            let retryable = error.data.as_ref().is_some_and(|data| data["retryable"] == true);
            retryable || large > facts.limits.frame.min(facts.peer_limits.frame) || call.method == "vendor/x"
        }
        // The clocks of a call that nobody disturbs and whose handler answers do not run out.
        RequestError::TimedOut(_) => !facts.fresh,
        RequestError::Cancelled => given_up,
        RequestError::TooManyRounds(most) => rounds > u64::from(*most),
        RequestError::InvalidResult(_) => large > facts.limits.frame,
        // What is kept of many rounds at once counts as events do.
        RequestError::TooLarge => large > facts.limits.frame || rounds > 0 && facts.limits.events < MANY_ROUNDS,
        RequestError::Closed(_) => true,
        _ => false,
    };
    require!(is_explained, "{:?} failed for no reason: {error}", call.plan);
    Ok(())
}
