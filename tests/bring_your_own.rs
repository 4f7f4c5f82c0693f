//! The examples for whoever brings a runtime, threads or a transport of their own: each runs to its end and says what it should.

mod common;

use std::process::Command;

use common::example;

/// What an example prints.
fn run(name: &str) -> Vec<String> {
    let output = Command::new(example(name)).output().expect("it runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed.lines().map(str::to_owned).collect()
}

/// A server and a client on an executor of its own: tasks, timers, threads, real pipes, and a process that ends.
#[test]
fn a_fourth_runtime() {
    let printed = run("own_runtime");
    let [connected, progress @ .., counted, squared, waited, ended] = printed.as_slice() else { panic!("{printed:?}") };
    assert_eq!(connected, "connected in 2026-07-28");
    assert_eq!(progress, ["at 1", "at 2", "at 3"]);
    assert_eq!((counted.as_str(), squared.as_str()), ("counted to 3", "squared: 144"));
    assert!(waited.contains("timed out"), "{waited}");
    assert!(ended.starts_with("the server has ended: exit status: 0"), "{ended}");
}

/// Handlers and callbacks that are not `Send`, and both ends of a connection, on one thread.
#[test]
fn handlers_that_stay() {
    let printed = run("local_handlers");
    let wanted = [
        "wrote page 1",
        "wrote page 2",
        "Tear out the last page? There are 2 pages.",
        "torn out: second",
        "left in the notebook: [\"first\"]",
    ];
    assert_eq!(printed, wanted);
}

/// The core alone, with blocking threads over the pipes of a process.
#[test]
fn no_async_at_all() {
    let printed = run("blocking");
    let [head @ .., hurried, ended] = printed.as_slice() else { panic!("{printed:?}") };
    let wanted =
        ["connected in 2026-07-28", "it has add and count", "add: 3", "at 1", "at 2", "at 3", "count: counted to 3"];
    assert_eq!(head, wanted);
    assert!(hurried.contains("timed out"), "{hurried}");
    assert!(ended.starts_with("the server has ended: exit status: 0"), "{ended}");
}

/// A channel of messages, as a stream on one side and by hand on the other.
#[test]
fn a_transport_of_ones_own() {
    let wanted = [
        "connected in 2026-07-28",
        "at 1",
        "at 2",
        "at 3",
        "repeat: hello hello hello",
        "the end: the connection was closed on this side",
        "the server has seen the end",
    ];
    assert_eq!(run("custom_transport"), wanted);
}
