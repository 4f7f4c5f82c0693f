//! A few worlds of bare connections with every `cargo test`; `cargo xtask sim` runs many.

use mcp_sim::{Tally, run_many};

#[test]
fn a_few_worlds_keep_all_rules() {
    let Tally { seeds, worlds, counts, failures } = run_many(1, 24, 2);
    let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!((seeds, worlds), (24, 2 * 24 + 3), "each twice, and one in eight with clones");
    assert!(counts.messages > 1000 && counts.faults > 100, "{counts:?}");
}
