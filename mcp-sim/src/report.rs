//! Many worlds, one after the other or beside each other, and what came of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::checks::{self, Complaint};
use crate::mutants::{MUTANTS, Mutant};
use crate::seen::Hash;
use crate::stage::{Counts, Traced};
use crate::workload::{self, Item};
use crate::world::{self, Manner, Outcome};
use crate::{Items, Options};

/// What many runs came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Seeds that were run, each at least twice.
    pub seeds: u64,
    /// Worlds that were run.
    pub worlds: u64,
    /// What was counted in the first run of each seed.
    pub counts: Counts,
    /// What failed, in the order of the seeds; at most a few.
    pub failures: Vec<Failure>,
}

/// A seed whose world broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What is wrong.
    pub complaint: Complaint,
    /// What the world was made of.
    pub options: Options,
    /// The items without which it does not fail, of how many.
    pub items: Vec<(usize, Item)>,
    /// How many items there were before.
    pub of: usize,
    /// At which step.
    pub step: u64,
    /// The last lines.
    pub trace: Vec<String>,
}

/// After so many failures nothing is gained by more.
const MOST_FAILURES: usize = 3;

/// Runs so many worlds from this seed on, on so many threads.
#[must_use]
pub fn run_many(base: u64, runs: u64, threads: usize) -> Tally {
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let worker = || {
        let mut tally = Tally::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs || failed.load(Ordering::Relaxed) >= MOST_FAILURES as u64 {
                break;
            }
            if let Err(failure) = run_seed(base.wrapping_add(number), &|_| true, &mut tally) {
                failed.fetch_add(1, Ordering::Relaxed);
                tally.failures.push(*failure);
            }
        }
        tally
    };
    let mut tally = Tally::default();
    beside_each_other(threads, worker).into_iter().for_each(|part| tally.add(part));
    tally.failures.sort_by_key(|failure| failure.seed.wrapping_sub(base));
    tally
}

/// What so many workers on threads of their own have to show.
pub(crate) fn beside_each_other<T: Send>(threads: usize, worker: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(&worker)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Runs the world of one seed with some of its items only: what a failure was made smaller to.
#[must_use]
pub fn run_some(seed: u64, items: &Items) -> Tally {
    let mut tally = Tally::default();
    if let Err(failure) = run_seed(seed, &|number| items.contains(number), &mut tally) {
        tally.failures.push(*failure);
    }
    tally
}

/// Runs one seed twice, and in one case of eight a third time with every connection replaced now and then.
fn run_seed(seed: u64, keeps: &dyn Fn(usize) -> bool, tally: &mut Tally) -> Result<(), Box<Failure>> {
    let options = Arc::new(Options::draw(seed));
    let all = workload::draw(&options);
    let of = all.len();
    let numbered: Vec<(usize, Item)> = all.into_iter().enumerate().filter(|(number, _)| keeps(*number)).collect();
    let items: Arc<[Item]> = numbered.iter().map(|(_, item)| item.clone()).collect();
    let first = world::run(&options, &items, Manner::PLAIN);
    tally.seeds += 1;
    tally.worlds += 2;
    tally.counts.add(first.counts);
    if first.complaint.is_some() {
        return Err(Box::new(crate::shrink::failure(&options, numbered, of, Manner::PLAIN)));
    }
    let again = world::run(&options, &items, Manner::PLAIN);
    same(&options, &items, &first, &again, "the same seed gave two different runs")?;
    if seed.is_multiple_of(8) {
        tally.worlds += 1;
        let replaced = world::run(&options, &items, Manner { replaced: true, ..Manner::PLAIN });
        same(&options, &items, &first, &replaced, "a connection replaced by its clone went on otherwise")?;
    }
    Ok(())
}

fn same(
    options: &Arc<Options>,
    items: &Arc<[Item]>,
    first: &Outcome,
    second: &Outcome,
    why: &str,
) -> Result<(), Box<Failure>> {
    let (Hash(one), Hash(other)) = (first.hash, second.hash);
    if one == other && second.complaint.is_none() {
        return Ok(());
    }
    let why = format!("{why}: {one:x} and {other:x}; {:?}", second.complaint);
    let complaint =
        Complaint { check: "repeats", source: checks::source_of("repeats"), pair: 0, side: crate::Side::Client, why };
    let trace = world::run(options, items, Manner { traced: Traced::Yes, ..Manner::PLAIN }).trace;
    let shown: Vec<(usize, Item)> = items.iter().cloned().enumerate().collect();
    let (options, of) = (Options::clone(options), items.len());
    Err(Box::new(Failure {
        seed: options.seed,
        complaint,
        options,
        of,
        items: shown,
        step: second.counts.steps,
        trace,
    }))
}

/// What came of a planted fault.
#[derive(Clone, Debug)]
pub struct Caught {
    /// What was planted, and what it is about.
    pub planted: &'static str,
    /// The invariant or pain that it is about.
    pub about: &'static str,
    /// The check that had to turn red.
    pub check: &'static str,
    /// The seed where it did, after so many; `None` if it stayed green.
    pub red: Option<(u64, u64)>,
}

/// After so many worlds a check that is still green counts as one that cannot fail.
pub(crate) const PATIENCE: u64 = 4000;

/// Plants every fault that is known, and looks whether its check turns red. Seeds from `base` on are tried.
pub fn run_mutants(base: u64) -> impl Iterator<Item = Caught> {
    MUTANTS.iter().map(move |(mutant, planted, about, check)| {
        let is_red = |number: &u64| turns_red(*mutant, base.wrapping_add(*number), check);
        let red = (0..PATIENCE).find(is_red).map(|number| (base.wrapping_add(number), number + 1));
        Caught { planted, about, check, red }
    })
}

fn turns_red(mutant: Mutant, seed: u64, check: &str) -> bool {
    let options = Arc::new(Options::draw(seed));
    let items: Arc<[Item]> = workload::draw(&options).into();
    let manner = Manner { mutant: Some(mutant), ..Manner::PLAIN };
    let first = world::run(&options, &items, manner);
    if check != "repeats" {
        return first.complaint.is_some_and(|complaint| complaint.check == check);
    }
    let replaced = mutant == Mutant::ForgetfulClone;
    world::run(&options, &items, Manner { replaced, ..manner }).hash != first.hash
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { planted, about, check, red } = self;
        match red {
            Some((seed, tries)) => write!(f, "red    {check:<18} {planted} ({about}); seed {seed:#x}, world {tries}"),
            None => write!(f, "GREEN  {check:<18} {planted} ({about}); it stayed green in {PATIENCE} worlds"),
        }
    }
}

impl Tally {
    /// Adds what further seeds came to.
    pub fn add(&mut self, part: Self) {
        self.seeds += part.seeds;
        self.worlds += part.worlds;
        self.counts.add(part.counts);
        self.failures.extend(part.failures);
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.messages += other.messages;
        self.faults += other.faults;
        self.nanos = self.nanos.saturating_add(other.nanos);
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, complaint, options, items, of, step, trace } = self;
        writeln!(f, "seed {seed:#x} failed at step {step}: {complaint}")?;
        write!(f, "options:\n{options}")?;
        writeln!(f, "the last lines:")?;
        for line in trace {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "what happens in it ({} of {of} items are needed):", items.len())?;
        for (number, item) in items {
            writeln!(f, "  {number:>3} {item}")?;
        }
        let command = format!("MCP_SIM_SEED={seed:#x} cargo xtask sim");
        let numbers: Items = items.iter().map(|(number, _)| *number).collect();
        if items.is_empty() || items.len() == *of {
            return write!(f, "to repeat it: {command} --runs 1");
        }
        write!(f, "to repeat it: {command} --items {numbers}\nthe whole world: {command} --runs 1")
    }
}
