//! Runs a scenario of yours under many seeds.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Sim, seed_of_environment};

/// What was wrong with a scenario, and in the world of which seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The seed.
    pub seed: u64,
    /// What.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, why } = self;
        write!(f, "seed {seed:#x}: {why}\nto repeat it: MCP_SIM_SEED={seed:#x} cargo test THIS_TEST")
    }
}

/// Runs a scenario in the worlds of the seeds from 1 on, so many of them; with `MCP_SIM_SEED` set, in the world of that seed alone. Each runs
/// twice, and both runs must be the same.
///
/// # Panics
///
/// With the seed and what is wrong: the scenario panicked or gave an error, nothing could go on any more, or something in it is not drawn from
/// the seed (real time, real randomness, the order of a `HashMap`).
pub fn explore<F, E>(worlds: u64, scenario: impl Fn(Sim) -> F)
where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let only = seed_of_environment().unwrap_or_else(|complaint| panic!("{complaint}"));
    let found = match only {
        Some(seed) => try_seed(seed, &scenario),
        None => find(1..=worlds, &scenario),
    };
    if let Some(finding) = found {
        panic!("{finding}");
    }
}

/// The first of these seeds in whose world the scenario fails.
pub fn find<F, E>(seeds: impl IntoIterator<Item = u64>, scenario: &impl Fn(Sim) -> F) -> Option<Finding>
where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    seeds.into_iter().find_map(|seed| try_seed(seed, scenario))
}

/// What is wrong with a scenario in the world of this seed, if anything is.
pub fn try_seed<F, E>(seed: u64, scenario: &impl Fn(Sim) -> F) -> Option<Finding>
where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let run = || {
        let sim = Sim::new(seed);
        let ended = catch_unwind(AssertUnwindSafe(|| sim.run(scenario(sim.clone()))));
        let why = match ended {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(error.to_string()),
            Ok(Err(stuck)) => Some(stuck.to_string()),
            Err(panic) => Some(words(&*panic)),
        };
        (why, sim.hash())
    };
    let (first, second) = (run(), run());
    let why = match first {
        (Some(why), _) => why,
        (None, hash) if second != (None, hash) => {
            "the same seed gave two different runs: something is not drawn from it".into()
        }
        (None, _) => return None,
    };
    Some(Finding { seed, why })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked").to_owned()
}
