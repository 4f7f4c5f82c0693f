//! The two examples that have everything, against each other: each revision, each transport.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Where cargo has built an example, beside the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a test has a path");
    let built = tests.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples").join(name);
    assert!(built.exists(), "{} is missing: run `cargo build --examples`", built.display());
    built
}

/// Has the client take all the steps that this revision has; what it printed.
fn walk(revision: &str) -> String {
    let mut client = Command::new(example("everything_client"));
    client.args(["--revision", revision, "--spawn"]).arg(example("everything_server")).arg("--stdio");
    let Output { status, stdout, stderr } = client.output().expect("the client runs");
    let (transcript, remarks) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{transcript}\n{remarks}");
    assert!(transcript.lines().last().is_some_and(|last| last.ends_with(" ok, 0 failed")), "{transcript}");
    assert!(transcript.contains(&format!("in {revision}")), "{transcript}");
    transcript.into_owned()
}

#[test]
fn every_step_in_the_stateless_era() {
    let transcript = walk("2026-07-28");
    assert!(transcript.contains("Multi-round complete for Ada who likes blue"), "{transcript}");
}

#[test]
fn every_step_in_the_era_with_a_handshake() {
    let transcript = walk("2025-11-25");
    assert!(transcript.contains("Multi-round complete for Ada who likes blue"), "{transcript}");
}

#[test]
fn what_2025_06_18_has() {
    walk("2025-06-18");
}

#[test]
fn what_2025_03_26_has() {
    walk("2025-03-26");
}

#[test]
fn what_2024_11_05_has() {
    walk("2024-11-05");
}

/// As the conformance suite runs a client: the scenario and the revision stand in the environment.
#[test]
fn a_scenario_is_chosen_by_the_environment() {
    let play = |scenario: &str| {
        let mut client = Command::new(example("everything_client"));
        client.env("MCP_CONFORMANCE_SCENARIO", scenario).env("MCP_CONFORMANCE_PROTOCOL_VERSION", "2025-11-25");
        client.arg("--spawn").arg(example("everything_server")).arg("--stdio").output().expect("the client runs")
    };
    let known = play("tools_call");
    assert!(known.status.success(), "{known:?}");
    let unknown = play("no-such-scenario");
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("tools_call"), "it tells which there are: {unknown:?}");
}

#[test]
fn a_client_without_its_server_fails() {
    let output = Command::new(example("everything_client")).args(["--spawn", "/no/such/server"]).output();
    let output = output.expect("the client runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/server"), "{output:?}");
}
