//! What the fuzzers have learned, on stable Rust: the committed seeds, and bytes that a generator draws.

use mcp_fuzz_bodies::{TARGETS, replay};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

/// Every committed seed, as `cargo xtask test corpus` replays them.
#[test]
fn every_seed_is_replayed() {
    for target in TARGETS {
        let seeds = replay::seeds(target).expect("a folder of seeds");
        assert!(!seeds.is_empty(), "{} has seeds", target.name);
        for seed in seeds {
            replay::file(target, &seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        }
    }
}

/// The same cases every time: what always holds, whatever happens in whatever order.
#[test]
fn what_always_holds_always_holds() {
    for target in TARGETS {
        let config = ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::with_cases(512)
        };
        let bytes =
            prop_oneof![proptest::collection::vec(any::<u8>(), 0..400), proptest::collection::vec(0..20u8, 0..400)];
        let run = |bytes: Vec<u8>| {
            (target.run)(&bytes);
            Ok(())
        };
        TestRunner::new(config).run(&bytes, run).unwrap_or_else(|failure| panic!("{}: {failure}", target.name));
    }
}
