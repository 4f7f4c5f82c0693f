//! `cargo xtask miri`: the tests of what handles bytes and queues, interpreted, so that undefined behaviour of a dependency shows.

use crate::command::Run;
use crate::compile::{Rest, test_some};
use crate::report::{Failure, Outcome};
use crate::toolchain;

/// The tests of ids, lines, the scanner and the queues: where the core and its dependencies work on raw bytes. All of the tests would
/// take hours.
const TESTS: [&str; 5] = ["line::", "jsonrpc::", "connection::queue::", "uri_template::", "time::"];

/// Of these, those that go through millions of cases or bytes, and two whose cases are drawn by regular expressions, which take longer
/// than the cases: the others do the same with fewer.
const TOO_LONG: [&str; 4] =
    ["pain_6_all_ways_to_cut", "pain_38_a_large_line", "expanding_and_matching_are_inverse", "no_text_does_harm"];

pub(crate) fn step() -> Result<Outcome, Failure> {
    toolchain::toolchain("nightly")?;
    for component in ["miri", "rust-src"] {
        toolchain::component_of("nightly", component)?;
    }
    let run = Run::new("rustup run nightly cargo miri test --package mcp-proto --lib --locked --")
        .args(TESTS)
        .args(TOO_LONG.iter().flat_map(|name| ["--skip", name]));
    test_some(run, Rest::IsNotMeant)
}
