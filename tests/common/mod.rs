//! What the tests share: where the examples are.

use std::path::PathBuf;

/// Where cargo has built an example, beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a test has a path");
    let built = tests.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples").join(name);
    assert!(built.exists(), "{} is missing: run `cargo build --examples`", built.display());
    built
}
