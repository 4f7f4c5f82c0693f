//! Worlds of exchanges: clients and a server over HTTP, as the pure half of it decides, without sockets.
//!
//! Naive clients of all revisions that have exchanges send requests, which overtake each other; the responses break at any byte, pass proxies
//! with habits, or are read slowly. The server is the pure half of HTTP with the simplest driver. Nothing of the client's half is shared
//! with what is tested: it finds events byte by byte, and JSON by `serde_json`.

mod checks;
mod client;
mod host;
mod mutants;
mod path;
mod seen;
mod served;
mod work;
mod world;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::checks::{Complaint as ExchangeComplaint, RULES as EXCHANGE_RULES};
use self::mutants::{MUTANTS, Mutant};
use self::work::{ClientOptions, Item, Options};
use self::world::{Manner, run};
use crate::report::{Caught, PATIENCE, beside_each_other};
use crate::stage::Traced;
use crate::{Counts, Hash};

/// A world of exchanges in which a check turned red.
#[derive(Clone, Debug)]
pub struct ExchangeFailure {
    /// Its seed.
    pub seed: u64,
    /// What was wrong.
    pub complaint: ExchangeComplaint,
    /// What the world was made of.
    options: Box<Options>,
    /// The last things that were seen.
    pub trace: Vec<String>,
}

/// What came of many worlds of exchanges.
#[derive(Clone, Debug, Default)]
pub struct ExchangeTally {
    /// How many seeds.
    pub seeds: u64,
    /// How many worlds; each seed runs twice.
    pub worlds: u64,
    /// What happened in the first run of each seed. Faults are responses that broke.
    pub counts: Counts,
    /// The failures, in the order of their seeds.
    pub failures: Vec<ExchangeFailure>,
}

/// Runs so many worlds of exchanges, from this seed on, each twice.
#[must_use]
pub fn run_exchanges(base: u64, runs: u64, threads: usize) -> ExchangeTally {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut tally = ExchangeTally::default();
        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < runs) {
            run_seed(base.wrapping_add(number), &mut tally);
        }
        tally
    };
    let mut tally = ExchangeTally::default();
    beside_each_other(threads, worker).into_iter().for_each(|part| tally.add(part));
    tally.failures.sort_by_key(|failure| failure.seed.wrapping_sub(base));
    tally
}

fn run_seed(seed: u64, tally: &mut ExchangeTally) {
    let options = Options::draw(seed);
    let first = run(&options, Manner::default());
    tally.seeds += 1;
    tally.worlds += 2;
    tally.counts.add(Counts { steps: first.steps, messages: first.messages, faults: first.broken, nanos: first.nanos });
    let Hash(again) = run(&options, Manner::default()).hash;
    let differs = || ExchangeComplaint { check: "repeats", why: "the same seed gave two different runs".into() };
    if let Some(complaint) = first.complaint.or_else(|| (first.hash.0 != again).then(differs)) {
        let trace = run(&options, Manner { traced: Traced::Yes, ..Manner::default() }).trace;
        tally.failures.push(ExchangeFailure { seed, complaint, options: Box::new(options), trace });
    }
}

/// Plants every fault that is known, and looks whether its check turns red. Seeds from `base` on are tried.
pub fn run_exchange_mutants(base: u64) -> impl Iterator<Item = Caught> {
    MUTANTS.iter().map(move |(mutant, planted, about, check)| {
        let is_red = |number: &u64| turns_red(*mutant, base.wrapping_add(*number), check);
        let red = (0..PATIENCE).find(is_red).map(|number| (base.wrapping_add(number), number + 1));
        Caught { planted, about, check, red }
    })
}

fn turns_red(mutant: Mutant, seed: u64, check: &str) -> bool {
    let manner = Manner { mutant: Some(mutant), ..Manner::default() };
    run(&Options::draw(seed), manner).complaint.is_some_and(|complaint| complaint.check == check)
}

impl ExchangeTally {
    /// Adds what further seeds came to.
    pub fn add(&mut self, part: Self) {
        self.seeds += part.seeds;
        self.worlds += part.worlds;
        self.counts.add(part.counts);
        self.failures.extend(part.failures);
    }
}

impl fmt::Display for ExchangeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, complaint, options, trace } = self;
        writeln!(f, "exchanges of seed {seed:#x} failed: {complaint}")?;
        for (number, ClientOptions { version, principal, same_ids, weather }) in options.clients.iter().enumerate() {
            writeln!(f, "  client {number}: {version}, {principal}, the same ids: {same_ids}, {weather:?}")?;
        }
        writeln!(f, "  {:?}", options.limits)?;
        for Item { at, client, what } in &options.items {
            writeln!(f, "  after {at:?} client {client}: {what:?}")?;
        }
        writeln!(f, "the last things that were seen:")?;
        for line in trace {
            writeln!(f, "  {line}")?;
        }
        write!(f, "to repeat it: MCP_SIM_SEED={seed:#x} cargo xtask sim --runs 1")
    }
}

#[cfg(test)]
mod tests;
