//! Makes a failing world smaller: items are left out as long as the same check still fails.

use std::sync::Arc;

use crate::Options;
use crate::report::Failure;
use crate::stage::Traced;
use crate::workload::Item;
use crate::world::{self, Manner};

/// Steps of all worlds that are tried to make one smaller.
const STEPS: u64 = 3_000_000;

/// What is wrong with a world that fails, with as few items as can be found.
pub(crate) fn failure(options: &Arc<Options>, numbered: Vec<(usize, Item)>, of: usize, manner: Manner) -> Failure {
    let check = outcome(options, &numbered, manner).complaint.map(|complaint| complaint.check);
    let mut steps = 0;
    let fails = |items: &[(usize, Item)]| {
        if steps > STEPS {
            return false;
        }
        let outcome = outcome(options, items, manner);
        steps += outcome.counts.steps;
        outcome.complaint.map(|complaint| complaint.check) == check
    };
    let kept = smallest(numbered, fails);
    let outcome = outcome(options, &kept, Manner { traced: Traced::Yes, ..manner });
    let complaint = outcome.complaint.unwrap_or_else(|| crate::checks::Complaint {
        check: "repeats",
        source: crate::checks::source_of("repeats"),
        pair: 0,
        side: crate::Side::Client,
        why: "it failed once and then not any more".into(),
    });
    let (options, step) = (Options::clone(options), outcome.counts.steps);
    Failure { seed: options.seed, complaint, options, items: kept, of, step, trace: outcome.trace }
}

fn outcome(options: &Arc<Options>, items: &[(usize, Item)], manner: Manner) -> world::Outcome {
    let items: Arc<[Item]> = items.iter().map(|(_, item)| item.clone()).collect();
    world::run(options, &items, manner)
}

/// Leaves out halves, quarters and so on as long as what is left still fails.
fn smallest<T: Clone>(mut items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = items.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let mut shrunk = false;
        while at < items.len() {
            let mut fewer = items.clone();
            fewer.drain(at..(at + size).min(items.len()));
            if fails(&fewer) {
                items = fewer;
                shrunk = true;
            } else {
                at += size;
            }
        }
        if !shrunk || size > 1 {
            size /= 2;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::Mutant;
    use crate::{Items, workload};

    /// A planted fault, since there should be no other.
    #[test]
    fn a_world_that_was_made_smaller_fails_by_the_items_that_its_failure_names() {
        let manner = Manner { mutant: Some(Mutant::NoRefusals), ..Manner::PLAIN };
        let options = Arc::new(Options::draw(1));
        let all: Vec<(usize, Item)> = workload::draw(&options).into_iter().enumerate().collect();
        let failure = failure(&options, all.clone(), all.len(), manner);
        let text = failure.to_string();
        let (_, named) = text.split_once("--items ").expect("the command names the items");
        let named: Items = named.lines().next().unwrap().parse().unwrap();
        assert!(failure.items.len() < all.len() && failure.items.iter().all(|(number, _)| named.contains(*number)));
        let kept: Vec<_> = all.into_iter().filter(|(number, _)| named.contains(*number)).collect();
        let complaint = outcome(&options, &kept, manner).complaint.expect("it fails again");
        assert_eq!(complaint, failure.complaint);
    }

    #[test]
    fn only_what_is_needed_is_kept() {
        let needed = |items: &[u32]| items.contains(&7) && items.contains(&42);
        assert_eq!(smallest((0..100).collect(), needed), [7, 42]);
        assert_eq!(smallest(vec![1, 2, 3], |_| true), Vec::<i32>::new());
    }
}
