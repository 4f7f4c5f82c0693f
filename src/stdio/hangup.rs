//! Learning that nobody reads our output any more, without writing to it.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_io::AsyncRead;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::{End, Output};
use crate::memory;

/// Resolves when nobody reads the output any more: its other end was closed, or the client died.
///
/// The end of the input alone does not tell that: a client may close its side and still wait for answers. A server that polls this after the
/// end of the input stops at once when the client was killed, even though a slow call is in flight, and still answers everybody else.
///
/// It costs nothing until it is polled, then one thread that sleeps in `poll(2)`. Dropping it ends the thread. Until then it holds the
/// output open. Where the system cannot tell (a regular file, say), it never resolves.
pub fn hangup(output: &Output) -> impl Future<Output = ()> + Send + Unpin + use<> {
    let fd = match &output.0 {
        End::NonBlocking(fd) => fd.as_fd(),
        End::Blocking(file) => file.as_fd(),
    };
    match fcntl_dupfd_cloexec(fd, 3) {
        Ok(fd) => Hangup::Idle(fd),
        Err(_) => Hangup::Never,
    }
}

enum Hangup {
    /// Not polled yet.
    Idle(OwnedFd),
    /// A thread watches. It writes a byte when it happens, and it stops when the second field is dropped.
    Watched(memory::Reader, #[expect(dead_code, reason = "held to be dropped")] PipeWriter),
    /// Nobody can tell.
    Never,
}

impl Future for Hangup {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Idle(_) = &*self {
            let idle = std::mem::replace(&mut *self, Self::Never);
            if let Self::Idle(fd) = idle {
                *self = Self::watch(fd).unwrap_or(Self::Never);
            }
        }
        let Self::Watched(news, _) = &mut *self else { return Poll::Pending };
        match Pin::new(news).poll_read(cx, &mut [0]) {
            Poll::Ready(Ok(1)) => Poll::Ready(()),
            Poll::Ready(_) => {
                *self = Self::Never;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Hangup {
    fn watch(fd: OwnedFd) -> io::Result<Self> {
        let (stop, guard) = io::pipe()?;
        let (mut tell, news) = memory::pipe(1);
        thread::Builder::new().name("mcp-hangup".into()).spawn(move || {
            if gone(&fd, &stop) {
                // Closed first: whoever wakes up is to find no trace of this thread.
                drop(fd);
                let _ = futures_lite::future::block_on(futures_lite::AsyncWriteExt::write(&mut tell, b"!"));
            }
        })?;
        Ok(Self::Watched(news, guard))
    }
}

/// Blocks until the other end of `fd` is gone (true), or nobody wants to know any more, or it cannot be told (false).
fn gone(fd: &OwnedFd, stop: &PipeReader) -> bool {
    loop {
        // Errors and hang-ups are reported without asking, except by macOS, where one must ask for the latter.
        let mut fds = [PollFd::new(fd, PollFlags::HUP), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let (output, stop) = (fds[0].revents(), fds[1].revents());
        if !stop.is_empty() || output.contains(PollFlags::NVAL) {
            return false;
        }
        if output.intersects(PollFlags::ERR | PollFlags::HUP) {
            return true;
        }
        // Interrupted, or a platform that wakes for no reason: never a busy loop.
        thread::sleep(Duration::from_millis(10));
    }
}
