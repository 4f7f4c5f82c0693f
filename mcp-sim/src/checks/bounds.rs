//! Checks of invariants 8, 9 and 14: time, memory, and that nothing is left.

use mcp_proto::Event;

use super::{Check, PerNode, require};
use crate::seen::{Facts, Milestone, Seen};

/// After it was told the time it wants to be woken later.
#[derive(Default)]
pub(crate) struct Timeouts;

impl Check for Timeouts {
    fn name(&self) -> &'static str {
        "timeouts"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if let Seen::Woken(Some(next)) = seen {
            require!(*next > facts.now, "it was told {}, and wants to be woken at {next}", facts.now);
        }
        Ok(())
    }
}

/// Memory stays within the limits, whatever the peer does.
#[derive(Default)]
pub(crate) struct Bounds;

/// What one message takes beside its text, and what is said of one request at the end.
const EXTRA: usize = 1024;

impl Check for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        if let Seen::Stepped(conn) = seen {
            let limits = &facts.limits;
            let last_words = EXTRA * (limits.inbound_requests + limits.outbound_requests + limits.subscriptions + 8);
            // An unfinished line, one message more in each queue, and requests that wait for a place.
            let bound = 4 * (limits.frame + EXTRA) + 2 * limits.events + 2 * limits.output + last_words;
            let held = conn.buffered_bytes();
            require!(held <= bound, "{held} bytes are held, at most {bound}");
        }
        Ok(())
    }
}

/// A world that has come to rest holds nothing.
#[derive(Default)]
pub(crate) struct Quiet(PerNode<Rest>);

#[derive(Default)]
struct Rest {
    closed: bool,
    held: usize,
    waits: bool,
}

impl Check for Quiet {
    fn name(&self) -> &'static str {
        "quiet"
    }

    fn see(&mut self, facts: &Facts, seen: &Seen<'_>) -> Result<(), String> {
        let rest = self.0.at(facts);
        match seen {
            Seen::Told(Event::Closed { .. }) => rest.closed = true,
            Seen::Stepped(conn) => (rest.held, rest.waits) = (conn.buffered_bytes(), conn.poll_timeout().is_some()),
            Seen::Reached(Milestone::Quiet) => {
                require!(rest.closed, "the world is silent, and this connection was never closed");
                require!(
                    rest.held == 0 && !rest.waits,
                    "at the end it holds {} bytes; waits: {}",
                    rest.held,
                    rest.waits
                );
            }
            _ => {}
        }
        Ok(())
    }
}
