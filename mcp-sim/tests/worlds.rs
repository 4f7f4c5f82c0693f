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

/// Seeds that once failed, and what was wrong then. The faults of the core have their own tests as well; the checks have only these.
const ONCE_FAILED: [(u64, &str); 9] = [
    (0x0100_0de6, "a log level that was refused counted for the check of logs as if it had been granted"),
    (0x0100_144c, "an answer that was cut off could not be seen to be one, and the check wanted silence about it"),
    (0x0100_3fb7, "a question was taken for the answer to a request that had not left yet, which then went out twice"),
    (
        0x0200_25eb,
        "a client whose application answered many questions at once took the server for one that does not read",
    ),
    (0x0200_4f6a, "two lines that nobody has sent drew the same id of their own"),
    (0x0200_a033, "the clocks of a client whose application never answered a question stood still for ever"),
    (0x0200_ce76, "the check of answers did not know that what is kept of rounds is bounded"),
    (0x0401_d874, "a call that was sent again in the moment of a timeout was due in that very moment"),
    (0x0402_10d1, "the check of reasons did not know that a server with as much in work as it takes may stop reading"),
];

#[test]
fn seeds_that_once_failed_fail_no_more() {
    for (seed, why) in ONCE_FAILED {
        let failures = run_many(seed, 1, 1).failures;
        assert!(failures.is_empty(), "again? {why}\n{}", failures[0]);
    }
}
