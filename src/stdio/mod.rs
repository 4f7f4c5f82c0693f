//! The standard input and output of this process as a channel of the protocol, and blocking files as async streams.
//!
//! Adapters call [`claim`], open each end in the best way that their runtime has, and give [`hangup`] to the driver. On Linux a pipe becomes
//! a non-blocking descriptor; everything else (a terminal, a socket, a file, another operating system) is pumped by a thread.

use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::block_on;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::memory;

#[cfg(unix)]
mod hangup;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use hangup::hangup;

/// What [`claim`] took. Closing an end is up to whoever opens it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stdio {
    /// What was file descriptor 0: messages from the client.
    pub input: Input,
    /// What was file descriptor 1: messages to the client.
    pub output: Output,
}

/// The claimed standard input.
#[derive(Debug)]
pub struct Input(End);

/// The claimed standard output.
#[derive(Debug)]
pub struct Output(End);

/// How an adapter is to open one end.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// A pipe whose open file description is ours alone, with `O_NONBLOCK` set: for the runtime's own readiness.
    #[cfg(unix)]
    NonBlocking(std::os::fd::OwnedFd),
    /// Anything else: for [`read_in_thread`] or [`write_in_thread`].
    Blocking(File),
}

impl Input {
    /// What it is, to be opened.
    #[must_use]
    pub fn into_end(self) -> End {
        self.0
    }
}

impl Output {
    /// What it is, to be opened.
    #[must_use]
    pub fn into_end(self) -> End {
        self.0
    }
}

/// Takes standard input and output for the protocol, once per process.
///
/// On Unix file descriptor 0 then is `/dev/null` and 1 is standard error, for this process and for the children that it starts: a stray
/// `println!`, or a tool's child that prints, ends up in the log and not between two messages; and no child keeps the channel open. On Windows
/// there is no safe way to do that, so there a server must not print to standard output by itself.
///
/// Call it before anything reads [`std::io::stdin`]: what that has buffered does not come back.
///
/// # Errors
///
/// A second claim in one process is an error of kind [`AlreadyExists`](io::ErrorKind::AlreadyExists).
pub fn claim() -> io::Result<Stdio> {
    static CLAIMED: AtomicBool = AtomicBool::new(false);
    if CLAIMED.swap(true, Ordering::SeqCst) {
        let error = "stdin and stdout already carry the protocol: a process can serve one client over stdio, once";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, error));
    }
    #[cfg(unix)]
    let taken = unix::take();
    #[cfg(windows)]
    let taken = windows::take();
    #[cfg(not(any(unix, windows)))]
    let taken = Err(io::Error::new(io::ErrorKind::Unsupported, "this platform has no stdin and stdout to serve"));
    taken.map_err(|error| {
        CLAIMED.store(false, Ordering::SeqCst);
        io::Error::new(error.kind(), format!("cannot take stdin and stdout for the protocol: {error}"))
    })
}

/// Resolves when nobody reads the output any more. It never does on this platform, which cannot tell.
#[cfg(not(unix))]
pub fn hangup(_output: &Output) -> impl Future<Output = ()> + Send + Unpin + use<> {
    std::future::pending()
}

/// A file that a thread reads, as an async stream.
///
/// The thread reads ahead by a bounded amount. It is detached: once the stream is dropped it ends with the read that it is in, or with the
/// process, whichever comes first, and the file is closed then.
#[must_use]
pub fn read_in_thread(file: File) -> impl AsyncRead + Send + Unpin + 'static {
    let (writer, reader) = memory::pipe(READ_AHEAD);
    // The way in waits in a slot: if there is no thread to take it, the stream ends with the reason.
    let slot = Arc::new(Mutex::new(Some(writer)));
    let theirs = Arc::clone(&slot);
    let thread = thread::Builder::new().name("mcp-read".into()).spawn(move || {
        if let Some(writer) = take(&theirs) {
            pump_in(file, writer);
        }
    });
    if let Err(error) = thread
        && let Some(writer) = take(&slot)
    {
        writer.fail(error);
    }
    reader
}

/// A file that a thread writes, as an async stream.
///
/// A write is accepted into a bounded buffer. Flushing waits until the file has taken everything; closing does too, and then closes the
/// file. What the file refuses comes back as the error of the next write, flush or close. The thread is detached: when the stream is dropped
/// without closing, the thread still writes what was accepted and then closes the file.
#[must_use]
pub fn write_in_thread(file: File) -> impl AsyncWrite + Send + Unpin + 'static {
    let (writer, reader) = memory::pipe(WRITE_AHEAD);
    let progress = Arc::new(Mutex::new(Progress::default()));
    let theirs = Arc::clone(&progress);
    let thread = thread::Builder::new().name("mcp-write".into()).spawn(move || pump_out(file, reader, &theirs));
    if let Err(error) = thread {
        update(&progress, |progress| progress.failed = Some(error));
    }
    ThreadWriter { pipe: writer, accepted: 0, progress }
}

/// The most that is read from a file before somebody asks for it, besides one piece in the thread's hands.
const READ_AHEAD: usize = 64 * 1024;
/// The most that is accepted before the file takes it, besides one piece in the thread's hands.
const WRITE_AHEAD: usize = 64 * 1024;
/// What goes in or out in one system call.
const PIECE: usize = 64 * 1024;

fn pump_in(mut file: File, mut pipe: memory::Writer) {
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return,
            Ok(taken) => {
                if block_on(pipe.write_all(&piece[..taken])).is_err() {
                    return;
                }
            }
            Err(error) => {
                if let Err(error) = wait_out(error, &file, Direction::In) {
                    pipe.fail(error);
                    return;
                }
            }
        }
    }
}

fn pump_out(mut file: File, mut pipe: memory::Reader, progress: &Mutex<Progress>) {
    let mut piece = vec![0; PIECE];
    loop {
        let taken = match block_on(pipe.read(&mut piece)) {
            Ok(0) | Err(_) => break,
            Ok(taken) => taken,
        };
        if let Err(error) = write_all(&mut file, &piece[..taken]) {
            drop(file);
            update(progress, |progress| progress.failed = Some(error));
            // Dropping the pipe only now: whoever is held back by it is to find the reason.
            return;
        }
        update(progress, |progress| progress.written += taken as u64);
    }
    drop(file);
    update(progress, |progress| progress.closed = true);
}

fn write_all(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) => wait_out(error, file, Direction::Out)?,
        }
    }
    file.flush()
}

#[derive(Clone, Copy)]
enum Direction {
    In,
    Out,
}

/// Gives back what is really an error. Some other process that shares the file may have made it non-blocking: then this waits.
fn wait_out(error: io::Error, file: &File, direction: Direction) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        #[cfg(unix)]
        io::ErrorKind::WouldBlock => unix::wait_ready(file, matches!(direction, Direction::Out)),
        _ => {
            let _ = (file, direction);
            Err(error)
        }
    }
}

/// The writing end of [`write_in_thread`].
struct ThreadWriter {
    pipe: memory::Writer,
    /// How many bytes the pipe took.
    accepted: u64,
    progress: Arc<Mutex<Progress>>,
}

/// How far the thread is.
#[derive(Default)]
struct Progress {
    /// How many bytes the file took: never more than were accepted.
    written: u64,
    /// The thread has written everything and closed the file.
    closed: bool,
    /// The thread has given up.
    failed: Option<io::Error>,
    /// Who waits for any of these to change.
    waker: Option<Waker>,
}

impl ThreadWriter {
    /// Waits until `done`, or until there is an error to give.
    fn poll_until(&self, cx: &mut Context<'_>, done: impl Fn(&Progress) -> bool) -> Poll<io::Result<()>> {
        // Cloned before the lock, and what it replaces is dropped after it: wakers are foreign code.
        let mut waker = Some(cx.waker().clone());
        let mut progress = lock(&self.progress);
        let outcome = if done(&progress) {
            Poll::Ready(Ok(()))
        } else if let Some(error) = &progress.failed {
            Poll::Ready(Err(again(error)))
        } else {
            std::mem::swap(&mut progress.waker, &mut waker);
            Poll::Pending
        };
        drop(progress);
        drop(waker);
        outcome
    }
}

impl AsyncWrite for ThreadWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = &lock(&self.progress).failed {
            return Poll::Ready(Err(again(error)));
        }
        match Pin::new(&mut self.pipe).poll_write(cx, buf) {
            Poll::Ready(Ok(taken)) => {
                self.accepted += taken as u64;
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(broken)) => {
                let reason = lock(&self.progress).failed.as_ref().map(again);
                Poll::Ready(Err(reason.unwrap_or(broken)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_until(cx, |progress| progress.written == self.accepted)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.pipe).poll_close(cx) {
            Poll::Ready(Ok(())) => self.poll_until(cx, |progress| progress.closed),
            other => other,
        }
    }
}

fn update(progress: &Mutex<Progress>, change: impl FnOnce(&mut Progress)) {
    let mut progress = lock(progress);
    change(&mut progress);
    let waker = progress.waker.take();
    drop(progress);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The same error once more: the thread fails once, and every later call is to say why.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    lock(slot).take()
}

#[cfg(windows)]
mod windows {
    use std::fs::File;
    use std::io;
    use std::os::windows::io::AsHandle;

    use super::{End, Input, Output, Stdio};

    pub(super) fn take() -> io::Result<Stdio> {
        let input = File::from(io::stdin().as_handle().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_handle().try_clone_to_owned()?);
        Ok(Stdio { input: Input(End::Blocking(input)), output: Output(End::Blocking(output)) })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
