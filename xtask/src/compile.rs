//! The steps that are one cargo command: form, lints, documentation, tests, oldest compiler, other platforms.

use std::time::Duration;

use crate::command::Run;
use crate::report::{Failure, Outcome};
use crate::toolchain;
use crate::workspace::Workspace;

pub(crate) fn fmt() -> Result<Outcome, Failure> {
    toolchain::component("rustfmt")?;
    Run::new("cargo fmt --all --check").stdout()?;
    Ok(Outcome::held("formatted"))
}

pub(crate) fn clippy() -> Result<Outcome, Failure> {
    toolchain::component("clippy")?;
    Run::new("cargo clippy --workspace --all-targets --locked -- -D warnings").stdout()?;
    Ok(Outcome::held("no warnings"))
}

pub(crate) fn docs() -> Result<Outcome, Failure> {
    Run::new("cargo doc --workspace --no-deps --locked").env("RUSTDOCFLAGS", "-D warnings").stdout()?;
    Ok(Outcome::held("no warnings"))
}

/// Every test, documentation test and example of the workspace.
pub(crate) fn tests() -> Result<Outcome, Failure> {
    test(Run::new("cargo test --workspace --no-fail-fast --locked"))
}

/// The adapters on their three runtimes alone, for whoever wants to know how long that takes.
pub(crate) fn adapters() -> Result<Outcome, Failure> {
    test(Run::new("cargo test --package mcp-adapters-tests --no-fail-fast --locked"))
}

/// Anyone in a program can turn on features of `serde_json` that change what its values hold. The core must not care.
pub(crate) fn serde_features() -> Result<Outcome, Failure> {
    test(Run::new(
        "cargo test --package mcp-proto --package mcp-fuzz-bodies --features hostile-serde-features --no-fail-fast --locked",
    ))
}

/// What has to hold without optional features as well: the workspace's tests have all of them.
pub(crate) fn bare_features() -> Result<Outcome, Failure> {
    test(Run::new(
        "cargo test --package mcp-adapters-tests --no-default-features --test session_modern --test rounds \
         --test rounds_raw --no-fail-fast --locked",
    ))
}

/// The oldest compiler that the manifests promise.
pub(crate) fn msrv() -> Result<Outcome, Failure> {
    let workspace = Workspace::read()?;
    let promised = workspace.libraries().find_map(|package| package.rust_version.as_deref());
    let version = toolchain::of_rust_version(promised.ok_or("no library has a rust-version")?);
    toolchain::toolchain(&version)?;
    Run::new("rustup run").arg(&version).args("cargo check --workspace --lib --bins --locked".split(' ')).stdout()?;
    Ok(Outcome::held(format!("Rust {version}")))
}

pub(crate) fn cross_windows() -> Result<Outcome, Failure> {
    cross("x86_64-pc-windows-gnu")
}

pub(crate) fn cross_macos() -> Result<Outcome, Failure> {
    cross("aarch64-apple-darwin")
}

fn cross(triple: &str) -> Result<Outcome, Failure> {
    toolchain::target(triple)?;
    // The libraries with all that they can, since the MSRV check has them without.
    let features = "mcp-asyncstd/http,mcp-smol/http,mcp-tokio/http";
    Run::new("cargo check --workspace --exclude xtask --locked")
        .args(["--features", features, "--target", triple])
        .stdout()?;
    Ok(Outcome::held(triple))
}

/// What is said of tests that did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// That they should have.
    MustRun,
    /// Nothing: the command names some tests only.
    IsNotMeant,
}

fn test(run: Run) -> Result<Outcome, Failure> {
    test_some(run, Rest::MustRun)
}

/// Runs tests and counts them one by one.
pub(crate) fn test_some(run: Run, rest: Rest) -> Result<Outcome, Failure> {
    let telling =
        |line: &str| line.contains("Running ") || line.contains("Doc-tests ") || line.starts_with("test result:");
    let finished = run.show(telling).finish()?;
    let Counts { passed, mut failed, skipped, ran } = count(&finished.stdout);
    let mut detail = format!("{passed} passed, {failed} failed; {:.0} s without compiling", ran.as_secs_f64());
    if let (Some(fault), 0) = (finished.fault, failed) {
        // Not a test: it did not compile, or a process died.
        (detail, failed) = (fault, 1);
    }
    if skipped > 0 && rest == Rest::MustRun {
        // Left out by #[ignore], by a filter, or as a documentation test marked `ignore`.
        detail = format!("{detail}; {skipped} skipped: nothing may be");
        failed += skipped;
    }
    if passed + failed == 0 {
        return Err("no test ran".into());
    }
    let quiet = |line: &&str| !(line.starts_with("test ") && line.ends_with(" ok"));
    let output = finished.output.lines().filter(quiet).collect::<Vec<_>>().join("\n");
    Ok(Outcome { passed, failed, detail, output })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// How long the programs ran in all.
    ran: Duration,
}

/// Adds up lines such as `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0s`.
fn count(stdout: &str) -> Counts {
    let mut counts = Counts::default();
    for line in stdout.lines().filter_map(|line| line.strip_prefix("test result:")) {
        let seconds = line.split_once("finished in ").and_then(|(_, rest)| rest.split_once('s')?.0.parse().ok());
        counts.ran += seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default();
        let words: Vec<&str> = line.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<usize>() else { continue };
            match pair[1] {
                "passed" => counts.passed += number,
                "failed" => counts.failed += number,
                "ignored" | "filtered" => counts.skipped += number,
                _ => {}
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let stdout = "\
running 4 tests
test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.03s
test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 1 filtered out; finished in 0.00s
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s; merged doctests compilation took 2.20s
";
        let ran = Duration::from_millis(1030);
        assert_eq!(count(stdout), Counts { passed: 16, failed: 1, skipped: 3, ran });
        assert_eq!(count("error: could not compile"), Counts::default());
    }
}
