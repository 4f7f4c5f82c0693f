//! The quickstart is the first thing that anybody runs: it comes to its end on each runtime.

mod common;

use std::process::Command;

use common::example;

#[test]
fn the_quickstart_completes_its_session_on_each_runtime() {
    for runtime in ["tokio", "async-std", "smol"] {
        let ran = Command::new(example("quickstart")).args(["--runtime", runtime]).output().expect("it runs");
        let (said, remarks) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{runtime}: {}\n{said}\n{remarks}", ran.status);
        assert!(said.contains("2026-07-28"), "{runtime}: {said}");
    }
}

#[test]
fn a_runtime_that_nobody_knows_is_an_error_that_names_those_that_are() {
    let ran = Command::new(example("quickstart")).args(["--runtime", "carousel"]).output().expect("it runs");
    let remarks = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success());
    assert!(["tokio", "async-std", "smol"].iter().all(|name| remarks.contains(name)), "{remarks}");
}
