//! A few worlds of exchanges with every `cargo test`; `cargo xtask sim` runs many.

use mcp_sim::{ExchangeTally, run_exchange_mutants, run_exchanges};

#[test]
fn a_few_worlds_of_exchanges_keep_all_rules() {
    let ExchangeTally { seeds, worlds, counts, failures } = run_exchanges(1, 60, 2);
    let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} of {seeds}:\n{}", failures.len(), failures.join("\n\n"));
    assert_eq!((seeds, worlds), (60, 120), "each twice");
    assert!(counts.messages > 1000 && counts.faults > 100, "{counts:?}");
}

/// Checks that cannot fail prove nothing.
#[test]
fn every_fault_that_is_planted_in_exchanges_is_caught() {
    let green: Vec<String> = run_exchange_mutants(1)
        .inspect(|caught| println!("{caught}"))
        .filter(|caught| caught.red.is_none())
        .map(|caught| caught.to_string())
        .collect();
    assert!(green.is_empty(), "{}", green.join("\n"));
}
