//! Real children: how they end, what they see, what they leave behind.
//!
//! Nothing here sleeps and hopes. A child says when it is where the test wants it, its end is awaited, and the times of the ladder are either
//! short, because they are to run out, or far longer than the test, because they are not.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use futures_lite::future::{block_on, poll_once};
use rustix::process::Pid;

use super::{Child, Command, Exit, How, INHERITED_ENV, Shutdown, Stderr, find_script};

const SHORT: Duration = Duration::from_millis(50);
/// Longer than any test may take: a step that the test must not come to.
const LONG: Duration = Duration::from_secs(60);

fn sh(script: &str, term_after: Duration, kill_after: Duration) -> Command {
    Command::from(["sh", "-c", script]).shutdown(Shutdown { term_after, kill_after })
}

type Output = BufReader<ChildStdout>;

/// Starts a child and waits until it has said something: then its traps are set and its own children are there.
fn start(command: &Command) -> (Child, ChildStdin, Output, String) {
    let (child, input, output) = command.spawn().unwrap();
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    (child, input, output, line.trim().to_owned())
}

/// Whether there is a process with that number, be it a zombie.
fn exists(pid: impl std::fmt::Display) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether a process lives. What outlives its parents becomes a zombie of whoever adopts it, and how soon that one looks is not our business.
fn lives(pid: &str) -> bool {
    if cfg!(target_os = "linux") {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    } else {
        rustix::process::test_kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap()).is_ok()
    }
}

fn end(child: &Child) -> Exit {
    let start = Instant::now();
    let exit = block_on(child.shutdown());
    assert!(start.elapsed() < LONG / 2, "{exit} took too long");
    assert_eq!(child.try_exit(), Some(exit));
    assert_eq!(block_on(child.exited()), exit);
    assert!(!cfg!(target_os = "linux") || !exists(child.id()), "{exit} left a zombie");
    exit
}

#[test]
fn a_server_that_sees_the_end_of_its_input_is_left_in_peace() {
    let (child, input, mut output, said) = start(&sh("echo up; cat; exit 3", LONG, LONG));
    assert_eq!(said, "up");
    assert_eq!(child.try_exit(), None);
    drop(input);
    let exit = end(&child);
    assert_eq!((exit.how, exit.status.unwrap().code()), (How::ByItself, Some(3)));
    assert_eq!(exit.to_string(), "exit status: 3");
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
    // Once more changes nothing.
    assert_eq!(end(&child), exit);
}

#[test]
fn a_server_that_stays_is_asked_to_go() {
    let (child, input, _output, _) = start(&sh("echo up; while :; do sleep 1; done", SHORT, LONG));
    drop(input);
    let exit = end(&child);
    assert_eq!(exit.how, How::Terminated);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&exit.status.unwrap()), Some(15));
    assert!(exit.to_string().ends_with("after being asked to end"), "{exit}");
}

#[test]
fn a_server_that_cleans_up_when_asked_may_finish() {
    let script = "trap 'echo cleaned; exit 7' TERM; echo up; while :; do sleep 0.01; done";
    let (child, input, mut output, _) = start(&sh(script, SHORT, LONG));
    drop(input);
    let exit = end(&child);
    assert_eq!((exit.how, exit.status.unwrap().code()), (How::Terminated, Some(7)));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "cleaned\n");
}

#[test]
fn a_server_that_ignores_that_is_killed() {
    let (child, input, _output, _) = start(&sh("trap '' TERM; echo up; while :; do sleep 1; done", SHORT, SHORT));
    drop(input);
    let exit = end(&child);
    assert_eq!(exit.how, How::Killed);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&exit.status.unwrap()), Some(9));
}

#[test]
fn a_wrapped_server_goes_with_its_wrapper() {
    // The wrapper waits for the server that it has started, as npx does; neither looks at the input.
    let script = "sleep 1000 & echo $!; wait";
    let (child, input, _output, grandchild) = start(&sh(script, SHORT, LONG));
    assert!(lives(&grandchild));
    drop(input);
    assert_eq!(end(&child).how, How::Terminated);
    assert!(!lives(&grandchild));
}

#[test]
fn a_stubborn_wrapped_server_goes_too() {
    let script = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait";
    let (child, _input, _output, grandchild) = start(&sh(script, SHORT, SHORT));
    // The wrapper goes at the SIGTERM, the server it wraps only at the SIGKILL.
    assert_eq!(end(&child).how, How::Terminated);
    assert!(!lives(&grandchild));
}

#[test]
fn what_a_dead_server_has_started_is_ended() {
    let script = "sleep 1000 & echo $!; exit 5";
    let (child, _input, _output, grandchild) = start(&sh(script, LONG, LONG));
    // Nobody asked for a shutdown: that the leader exits is enough.
    assert_eq!(block_on(child.exited()).how, How::ByItself);
    let exit = end(&child);
    assert_eq!(exit.status.unwrap().code(), Some(5));
    assert!(!lives(&grandchild));
}

#[test]
fn what_a_dead_server_has_started_may_clean_up() {
    let script = "(trap 'echo cleaned; exit' TERM; echo up; while :; do sleep 0.01; done) & read line; exit 0";
    let (child, input, mut output, _) = start(&sh(script, LONG, LONG));
    drop(input);
    assert_eq!(end(&child).how, How::ByItself);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "cleaned\n");
}

#[test]
fn a_crash_is_seen_without_asking() {
    let (child, mut input, _output, _) = start(&sh("echo up; read line; kill -SEGV $$", LONG, LONG));
    let mut exited = child.exited();
    assert!(block_on(poll_once(&mut exited)).is_none());
    input.write_all(b"go\n").unwrap();
    let exit = block_on(exited);
    assert_eq!(exit.how, How::ByItself);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&exit.status.unwrap()), Some(11));
    end(&child);
}

#[test]
fn many_may_wait_and_some_may_stop_waiting() {
    let (child, input, _output, _) = start(&sh("echo up; cat", LONG, LONG));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn({
                let exited = child.exited();
                move || block_on(exited)
            })
        })
        .collect();
    let mut dropped = child.exited();
    let mut kept = child.exited();
    assert!(block_on(poll_once(&mut dropped)).is_none());
    assert!(block_on(poll_once(&mut kept)).is_none());
    drop(dropped);
    drop(input);
    let exit = block_on(kept);
    for thread in threads {
        assert_eq!(thread.join().unwrap(), exit);
    }
}

#[test]
fn dropping_the_last_handle_ends_the_child_anywhere() {
    let (child, input, _output, _) = start(&sh("trap '' TERM; echo up; while :; do sleep 1; done", SHORT, SHORT));
    let other = child.clone();
    let exited = child.exited();
    drop(child);
    assert_eq!(other.try_exit(), None);
    drop(other);
    assert_eq!(block_on(exited).how, How::Killed);
    drop(input);
}

#[test]
fn a_dropped_shutdown_goes_on() {
    let (child, _input, _output, _) = start(&sh("echo up; while :; do sleep 1; done", SHORT, LONG));
    drop(child.shutdown());
    assert_eq!(block_on(child.exited()).how, How::Terminated);
}

#[test]
fn a_child_that_somebody_else_reaps_is_not_waited_for_in_vain() {
    let (child, input, _output, _) = start(&sh("echo up; cat", LONG, LONG));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let thief = thread::spawn(move || rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()));
    drop(input);
    // Whoever comes first: there is an end either way.
    let exit = end(&child);
    assert_eq!(exit.how, How::ByItself);
    assert!(exit.status.is_none_or(|status| status.success()));
    assert!(exit.status.is_some() || exit.to_string() == "unknown exit status");
    let _ = thief.join().unwrap();
}

#[test]
fn what_fits_on_the_way_is_heard_and_a_flood_is_drained() {
    for (bytes, all) in [(500_000, true), (10_000_000, false)] {
        let heard = Arc::new(AtomicUsize::new(0));
        let (tell, done) = mpsc::channel();
        let listener = Arc::clone(&heard);
        let stderr = Stderr::Lines(Arc::new(move |line| {
            if line.len() != 99 {
                tell.send(line.to_owned()).unwrap();
            }
            listener.fetch_add(line.len() + 1, Ordering::SeqCst);
        }));
        let script = format!("yes \"$(printf %099d 7)\" | head -c {bytes} >&2; echo survived");
        let (child, _input, _output, said) = start(&sh(&script, LONG, LONG).stderr(stderr));
        assert_eq!(said, "survived");
        end(&child);
        // No line was broken, and the listener is dropped after the last one.
        assert_eq!(done.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
        let heard = heard.load(Ordering::SeqCst);
        assert!(if all { heard == bytes } else { heard > 0 }, "{heard} of {bytes}");
    }
}

#[test]
fn a_listener_that_hangs_or_panics_holds_nobody_up() {
    let (block, blocked) = mpsc::channel::<()>();
    let (block, blocked) = (Mutex::new(Some(block)), Mutex::new(blocked));
    let hangs = Stderr::Lines(Arc::new(move |_| {
        let _ = blocked.lock().unwrap().recv();
    }));
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let panics = Stderr::Lines(Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::panic::resume_unwind(Box::new("a listener's own fault"));
    }));
    for stderr in [hangs, panics, Stderr::Null] {
        let script = "yes | head -c 3000000 >&2; echo survived";
        let (child, _input, _output, said) = start(&sh(script, LONG, LONG).stderr(stderr));
        assert_eq!(said, "survived");
        end(&child);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    drop(block.lock().unwrap().take());
}

/// What a child sees, as sorted lines.
fn environment(command: &Command) -> Vec<String> {
    let (child, _input, mut output) = command.spawn().unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    end(&child);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_child_sees_the_allowed_environment_and_what_it_is_given() {
    let allowed = |name: &&&str| env::var(name).is_ok_and(|value| !value.starts_with("()"));
    let mut expected: Vec<_> =
        INHERITED_ENV.iter().filter(allowed).map(|name| format!("{name}={}", env::var(name).unwrap())).collect();
    expected.sort();
    // The test program has far more than that.
    assert!(env::var("CARGO_MANIFEST_DIR").is_ok());
    assert_eq!(environment(&Command::new("env")), expected);

    let given = Command::new("/usr/bin/env")
        .env("API_KEY", "s3cret")
        .env("HOME", "/elsewhere")
        .inherit_env("CARGO_MANIFEST_DIR")
        .inherit_env("SURELY_NOT_SET")
        .env_remove("PATH");
    let lines = environment(&given);
    assert!(lines.contains(&"API_KEY=s3cret".into()) && lines.contains(&"HOME=/elsewhere".into()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("CARGO_MANIFEST_DIR=/")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("PATH=") || line.starts_with("SURELY")), "{lines:?}");
}

#[test]
fn arguments_and_directory_arrive_as_they_are() {
    let script = "pwd; for word; do echo \"<$word>\"; done";
    let command = Command::from(["sh", "-c", script, "sh"]).arg("two words").args(["$HOME", "*", ""]).current_dir("/");
    let (child, _input, mut output) = command.spawn().unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "/\n<two words>\n<$HOME>\n<*>\n<>\n");
    end(&child);
}

#[test]
fn what_cannot_start_says_what_to_look_at() {
    let error = |command: &Command| {
        let error = command.spawn().unwrap_err();
        (error.kind(), error.to_string())
    };
    let (kind, text) = error(&Command::new("no-such-server"));
    assert_eq!(kind, io::ErrorKind::NotFound);
    assert!(text.starts_with("cannot start `no-such-server`: ") && text.contains("installed"), "{text}");

    let (_, text) = error(&Command::new("/no/such/server"));
    assert!(text.contains("check the path"), "{text}");
    let (_, text) = error(&Command::from("python3 server.py"));
    assert!(text.contains("no shell splits"), "{text}");
    let (kind, text) = error(&Command::new("sh").current_dir("/no/such/dir"));
    assert_eq!(kind, io::ErrorKind::NotFound);
    assert!(text.contains("in `/no/such/dir`") && text.contains("directory does not exist"), "{text}");
    let (kind, text) = error(&Command::new("/etc/passwd"));
    assert_eq!(kind, io::ErrorKind::PermissionDenied);
    assert!(text.contains("executable"), "{text}");

    for empty in [
        Command::from(Vec::<String>::new()),
        Command::from([""; 0]),
        Command::from(""),
        Command::from(&[] as &[&OsStr]),
    ] {
        let (kind, text) = error(&empty);
        assert_eq!(kind, io::ErrorKind::InvalidInput);
        assert!(text.contains("empty"), "{text}");
    }
}

#[test]
fn debug_shows_no_value_of_a_variable() {
    let command = Command::from(vec!["server"]).env("TOKEN", "s3cret").stderr(Stderr::Lines(Arc::new(|_| ())));
    let text = format!("{command:?}");
    assert!(text.contains("TOKEN") && text.contains("server") && !text.contains("s3cret"), "{text}");
}

#[test]
fn scripts_are_found_where_windows_would_look() {
    let files = ["/tools/npx.cmd", "/tools/npx", "/here/run.bat"];
    let find = |program: &str| {
        let path = env::join_paths(["/empty", "/tools"]).unwrap();
        let is_file = |path: &Path| files.iter().any(|file| Path::new(file) == path);
        find_script(OsStr::new(program), Some(&path), ".EXE;.CMD;;.BAT", is_file)
    };
    assert_eq!(find("npx").unwrap(), "/tools/npx.cmd");
    assert_eq!(find("/here/run").unwrap(), "/here/run.bat");
    assert_eq!(find("npx.cmd"), None);
    assert_eq!(find("node"), None);
    assert_eq!(find_script(OsStr::new("npx"), None, ".CMD", |_| true), None);
}
