//! The standard streams of real processes, and threads that pump real pipes.

use std::env;
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::process::{Command, Stdio as To};
use std::thread;
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::{block_on, poll_once};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use super::{End, Output, claim, hangup, read_in_thread, write_in_thread};

fn file(end: impl Into<OwnedFd>) -> File {
    File::from(end.into())
}

/// A bounded wait, for what must not happen by luck: fails the test instead of hanging it.
fn soon<T>(future: impl Future<Output = T> + Send) -> T {
    let (mut tell, late) = crate::memory::pipe(1);
    let (give, done) = std::sync::mpsc::channel::<()>();
    thread::spawn(move || {
        if done
            .recv_timeout(Duration::from_secs(30))
            .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            let _ = block_on(tell.write(b"!"));
        }
    });
    let mut late = late;
    let result = block_on(futures_lite::future::or(async { Some(future.await) }, async {
        let _ = late.read(&mut [0]).await;
        None
    }));
    drop(give);
    result.expect("this should have come soon")
}

#[test]
fn a_thread_reads_everything_then_the_end() {
    let (theirs, mut ours): (PipeReader, PipeWriter) = io::pipe().unwrap();
    let mut reader = read_in_thread(file(theirs));
    assert!(block_on(poll_once(reader.read(&mut [0]))).is_none());
    let sent = vec![7; 1_000_000];
    let copy = sent.clone();
    let thread = thread::spawn(move || ours.write_all(&copy).unwrap());
    let mut got = Vec::new();
    soon(reader.read_to_end(&mut got)).unwrap();
    thread.join().unwrap();
    assert!(got == sent);
}

#[test]
fn what_reading_fails_with_comes_through() {
    let mut reader = read_in_thread(File::open("/").unwrap());
    assert_eq!(soon(reader.read(&mut [0])).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    assert_eq!(soon(reader.read(&mut [0])).unwrap(), 0);
}

#[test]
fn flushing_waits_for_the_file_and_closing_closes_it() {
    let (mut ours, theirs) = io::pipe().unwrap();
    let mut writer = write_in_thread(file(theirs));
    // More than a pipe of the system holds, less than it and our own buffer hold together.
    let sent = vec![7; 100_000];
    soon(writer.write_all(&sent)).unwrap();
    assert!(block_on(poll_once(writer.flush())).is_none());
    let mut got = vec![0; sent.len()];
    ours.read_exact(&mut got).unwrap();
    soon(writer.flush()).unwrap();
    assert!(got == sent);
    soon(writer.write_all(b"end")).unwrap();
    soon(writer.close()).unwrap();
    let mut rest = String::new();
    ours.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "end");
    assert_eq!(soon(writer.write(b"late")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_dropped_writer_still_writes_what_it_took() {
    let (mut ours, theirs) = io::pipe().unwrap();
    let mut writer = write_in_thread(file(theirs));
    soon(writer.write_all(b"last words")).unwrap();
    drop(writer);
    let mut got = String::new();
    ours.read_to_string(&mut got).unwrap();
    assert_eq!(got, "last words");
}

#[test]
fn what_writing_fails_with_comes_through_every_call() {
    let (ours, theirs) = io::pipe().unwrap();
    let mut writer = write_in_thread(file(theirs));
    drop(ours);
    soon(writer.write_all(b"for nobody")).unwrap();
    assert_eq!(soon(writer.flush()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(soon(writer.write(b"more")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(soon(writer.close()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);

    if cfg!(target_os = "linux") {
        let mut writer = write_in_thread(File::options().write(true).open("/dev/full").unwrap());
        soon(writer.write_all(b"too much")).unwrap();
        assert_eq!(soon(writer.flush()).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn a_file_that_somebody_made_nonblocking_is_waited_for() {
    let (theirs, ours) = io::pipe().unwrap();
    for end in [&file(theirs.try_clone().unwrap()), &file(ours.try_clone().unwrap())] {
        rustix::fs::fcntl_setfl(end, rustix::fs::OFlags::NONBLOCK).unwrap();
    }
    let (mut reader, mut writer) = (read_in_thread(file(theirs)), write_in_thread(file(ours)));
    assert!(block_on(poll_once(reader.read(&mut [0]))).is_none());
    let sent = vec![7; 1_000_000];
    let copy = sent.clone();
    let thread = thread::spawn(move || {
        block_on(async {
            writer.write_all(&copy).await.unwrap();
            writer.close().await.unwrap();
        });
    });
    let mut got = Vec::new();
    soon(reader.read_to_end(&mut got)).unwrap();
    thread.join().unwrap();
    assert!(got == sent);
}

#[test]
fn the_pumps_are_send_and_unpin() {
    fn check(_: impl AsyncRead + Send + Unpin, _: impl AsyncWrite + Send + Unpin) {}
    let (reader, writer) = io::pipe().unwrap();
    check(read_in_thread(file(reader)), write_in_thread(file(writer)));
}

#[test]
fn a_hangup_is_noticed_without_writing() {
    let (reader, writer) = io::pipe().unwrap();
    let output = Output(End::Blocking(file(writer)));
    let mut gone = pin!(hangup(&output));
    assert!(block_on(poll_once(&mut gone)).is_none());
    let thread = thread::spawn(move || drop(reader));
    soon(gone);
    thread.join().unwrap();

    let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let output = Output(End::Blocking(file(writer)));
    let mut gone = pin!(hangup(&output));
    assert!(block_on(poll_once(&mut gone)).is_none());
    drop(reader);
    soon(gone);
}

#[test]
fn an_unwanted_hangup_holds_nothing_open() {
    let (mut reader, writer) = io::pipe().unwrap();
    let output = Output(End::Blocking(file(writer)));
    let (mut polled, unpolled) = (hangup(&output), hangup(&output));
    assert!(block_on(poll_once(Pin::new(&mut polled))).is_none());
    drop((polled, unpolled, output));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_regular_file_never_hangs_up() {
    let null = File::options().write(true).open("/dev/null").unwrap();
    let mut gone = hangup(&Output(End::Blocking(null)));
    assert!(block_on(poll_once(Pin::new(&mut gone))).is_none());
}

/// The other process of the tests below: this same test program, told so by its environment.
#[test]
fn claimed() {
    let Ok(role) = env::var("MCP_STDIO_ROLE") else { return };
    println!("before");
    let stdio = claim().unwrap();
    assert_eq!(claim().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    println!("stray print");
    assert!(Command::new("sh").args(["-c", "echo stray child; cat"]).status().unwrap().success());
    let gone = hangup(&stdio.output);
    let (mut input, mut output) = match (stdio.input.into_end(), stdio.output.into_end()) {
        (End::NonBlocking(input), End::NonBlocking(output)) => {
            assert_eq!(role, "pipes");
            for fd in [&input, &output] {
                assert!(rustix::fs::fcntl_getfl(fd).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
            }
            (file(input), file(output))
        }
        (End::Blocking(input), End::Blocking(output)) => {
            assert!(role != "pipes" || !cfg!(target_os = "linux"));
            (input, output)
        }
        ends => panic!("one of each: {ends:?}"),
    };
    let mut reader: Pin<Box<dyn AsyncRead>> = Box::pin(read_in_thread(input.try_clone().unwrap()));
    let mut line = [0; 5];
    block_on(reader.read_exact(&mut line)).unwrap();
    super::write_all(&mut output, &line).unwrap();
    assert_eq!(block_on(reader.read(&mut line)).unwrap(), 0);
    if cfg!(target_os = "linux") {
        assert!(input.read(&mut line).is_ok_and(|taken| taken == 0));
    }
    // The input has ended, a slow call is in flight: only the hangup ends this process.
    block_on(gone);
    eprintln!("hung up");
}

fn other_process(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    let name = module_path!().split_once("::").unwrap().1.to_owned() + "::claimed";
    command.args([&name, "--exact", "--nocapture", "--test-threads=1"]).env("MCP_STDIO_ROLE", role).stderr(To::piped());
    command
}

/// Reads up to what the process says before it claims, among what the test harness says.
fn skip_to_claim(output: &mut impl BufRead) {
    let mut line = String::new();
    while !line.ends_with("before\n") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
}

#[test]
fn a_claimed_pipe_carries_the_protocol_only() {
    let mut child = other_process("pipes").stdin(To::piped()).stdout(To::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    skip_to_claim(&mut output);
    input.write_all(b"wire\n").unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "wire\n");
    drop(input);
    // Our ends were never touched: the child's flag is on a description of its own.
    assert!(!rustix::fs::fcntl_getfl(output.get_ref()).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    drop(output);
    let end = child.wait_with_output().unwrap();
    let log = String::from_utf8(end.stderr).unwrap();
    assert!(end.status.success(), "{log}");
    for stray in ["stray print", "stray child", "hung up"] {
        assert!(log.contains(stray), "{stray} in {log}");
    }
}

#[test]
fn a_claimed_socket_carries_the_protocol_only() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (input, output): (OwnedFd, OwnedFd) = (theirs.try_clone().unwrap().into(), theirs.into());
    let mut command = other_process("socket");
    let child = command.stdin(input).stdout(output).spawn().unwrap();
    drop(command);
    let mut output = BufReader::new(ours.try_clone().unwrap());
    skip_to_claim(&mut output);
    (&ours).write_all(b"wire\n").unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "wire\n");
    let start = Instant::now();
    drop((ours, output));
    let end = child.wait_with_output().unwrap();
    let log = String::from_utf8(end.stderr).unwrap();
    assert!(end.status.success() && start.elapsed() < Duration::from_secs(20), "{log}");
    assert!(log.contains("hung up"), "{log}");
}
