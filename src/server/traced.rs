//! How a server takes part in traces, and what it counts.

use mcp_proto::Stats;

use super::Server;
use crate::trace::{Propagation, Tracer, Transport};

/// Traces and counters.
impl Server {
    /// How traces go on from message to message, by a [`Propagator`](crate::trace::Propagator) usually.
    /// [`trace`](crate::trace) tells it all.
    #[must_use]
    pub fn propagation(mut self, propagation: impl Into<Propagation>) -> Self {
        self.live_mut().propagation = propagation.into();
        self
    }

    /// What the connections run over that are served with this handle, for their spans; it stays the same server. Adapters say
    /// so where they know.
    #[must_use]
    pub fn over(mut self, transport: Transport) -> Self {
        self.over = Some(transport);
        self
    }

    /// How many connections it serves now.
    pub fn connections(&self) -> usize {
        self.live.hub.len()
    }

    /// What all its connections have counted since it was made, those that are over included: for operators and tests. As metrics:
    /// see [`trace`](crate::trace).
    pub fn stats(&self) -> Stats {
        self.live.hub.stats()
    }

    pub(crate) fn tracer(&self) -> Tracer {
        Tracer { propagation: self.live.propagation.clone(), transport: self.over }
    }
}
