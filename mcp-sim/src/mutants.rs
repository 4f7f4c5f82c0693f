//! Faults planted on purpose, each with the check that must catch it: a check that cannot fail is worthless.

use mcp_proto::{ClientConfig, Connection, Event, ServerConfig, Timestamp, Transmit};

use crate::node::{App, Config};
use crate::seen::Facts;

/// A fault that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    DoubleResponse,
}

impl Mutant {
    pub(crate) fn caught_by(self) -> &'static str {
        "one response"
    }

    pub(crate) fn configure(self, _client: &mut ClientConfig, _server: &mut ServerConfig) {}
}

/// Plants a fault.
pub(crate) struct Saboteur {
    mutant: Mutant,
}

impl Saboteur {
    pub(crate) fn new(mutant: Mutant, _seed: u64) -> Self {
        Self { mutant }
    }

    pub(crate) fn transmits(&mut self, facts: &Facts, transmit: Transmit) -> Vec<(usize, Transmit)> {
        vec![(facts.node, transmit)]
    }

    pub(crate) fn events(&mut self, _facts: &Facts, _conn: &mut Connection, event: Event) -> Vec<Event> {
        match (self.mutant, &event) {
            (Mutant::DoubleResponse, Event::Response { .. }) => vec![event.clone(), event],
            _ => vec![event],
        }
    }

    pub(crate) fn bytes(&mut self, _facts: &Facts, _conn: &mut Connection, _config: &Config, _now: Timestamp, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    pub(crate) fn stops_reading(&self, _facts: &Facts, _app: &App) -> bool {
        false
    }

    pub(crate) fn stops_clocks(&self, _facts: &Facts, _conn: &Connection) -> bool {
        false
    }

    pub(crate) fn wakes(&self, next: Option<Timestamp>, _now: Timestamp) -> Option<Timestamp> {
        next
    }
}
