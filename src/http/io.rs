//! Lets hyper read and write any stream of `futures_io`, in safe code, and bounds what a peer can make it wait for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::connection::Visitor;
use crate::runtime::Runtime;

/// Read at once as long as little comes: on the stack, so that an idle connection holds none of it.
const SCRATCH: usize = 8 * 1024;
/// Read at once while much comes.
const LARGE: usize = 64 * 1024;
/// How long to wait for a peer to close its end after the last response ...
const LINGER: Duration = Duration::from_secs(2);
/// ... and how much of what it still sends is read past meanwhile.
const READ_PAST: usize = 1024 * 1024;

/// The two directions of a connection.
pub(super) struct Io<Rd, Wr, R: Runtime> {
    reader: Rd,
    writer: Wr,
    runtime: R,
    /// Empty unless the reads before filled all that there was room for.
    scratch: Vec<u8>,
    /// How long writing may make no progress.
    stalled: Duration,
    /// Armed while it makes none.
    patience: Option<Pin<Box<R::Sleep>>>,
    visitor: Arc<Visitor>,
    end: End<R>,
}

/// The end of a connection, in this order.
enum End<R: Runtime> {
    NotYet,
    /// Our direction is closed. What the peer still sends is read past for a while: to close a socket with something unread breaks the
    /// connection, and the peer may lose our last answer by that.
    Lingering {
        until: Pin<Box<R::Sleep>>,
        left: usize,
    },
    Over,
}

impl<Rd, Wr, R: Runtime> Io<Rd, Wr, R> {
    pub(super) fn new(reader: Rd, writer: Wr, runtime: R, stalled: Duration, visitor: Arc<Visitor>) -> Self {
        Self { reader, writer, runtime, scratch: Vec::new(), stalled, patience: None, visitor, end: End::NotYet }
    }

    /// An error once the peer has not taken anything for too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.patience.get_or_insert_with(|| {
            let until = self.runtime.now() + self.stalled;
            Box::pin(self.runtime.sleep_until(until))
        });
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }

    /// Progress, or else patience.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_pending() {
            return self.wait(cx);
        }
        self.patience = None;
        done
    }
}

impl<Rd: AsyncRead + Unpin, Wr: Unpin, R: Runtime> Read for Io<Rd, Wr, R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut small = [0; SCRATCH];
        let scratch = if this.scratch.is_empty() { &mut small[..] } else { &mut this.scratch[..] };
        let room = scratch.len().min(buf.remaining());
        let read = Pin::new(&mut this.reader).poll_read(cx, &mut scratch[..room]);
        let len = match read {
            Poll::Ready(Ok(len)) => len,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                this.scratch = Vec::new();
                return Poll::Pending;
            }
        };
        buf.put_slice(&scratch[..len]);
        if len == SCRATCH && this.scratch.is_empty() {
            this.scratch = vec![0; LARGE];
        }
        Poll::Ready(Ok(()))
    }
}

impl<Rd: AsyncRead + Unpin, Wr: AsyncWrite + Unpin, R: Runtime> Write for Io<Rd, Wr, R> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.writer).poll_write(cx, bytes);
        this.bounded(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.writer).poll_flush(cx);
        this.bounded(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.end {
                End::NotYet => {
                    let closed = Pin::new(&mut this.writer).poll_close(cx);
                    ready!(this.bounded(cx, closed))?;
                    let until = Box::pin(this.runtime.sleep_until(this.runtime.now() + LINGER));
                    this.end = End::Lingering { until, left: READ_PAST };
                }
                End::Lingering { until, left } => {
                    let mut past = [0; SCRATCH];
                    match Pin::new(&mut this.reader).poll_read(cx, &mut past) {
                        Poll::Ready(Ok(len @ 1..)) if len < *left => {
                            *left -= len;
                            this.visitor.unread.store(true, Ordering::Relaxed);
                        }
                        // It may send on, and be heard to the end of what nobody has read.
                        Poll::Pending if this.visitor.unread.load(Ordering::Relaxed) => {
                            ready!(until.as_mut().poll(cx));
                            this.end = End::Over;
                        }
                        Poll::Ready(_) | Poll::Pending => this.end = End::Over,
                    }
                }
                End::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_lite::future::{block_on, poll_once};
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    use hyper::rt::ReadBuf;

    use super::super::testing::Paused;
    use super::*;
    use crate::memory::{Duplex, Reader, Writer, duplex};

    const STALLED: Duration = Duration::from_secs(60);

    fn io(capacity: usize, runtime: &Paused) -> (Io<Reader, Writer, Paused>, Duplex) {
        let (here, there) = duplex(capacity);
        let (reader, writer) = here.into_split();
        (Io::new(reader, writer, runtime.clone(), STALLED, Arc::default()), there)
    }

    async fn read(io: &mut Io<Reader, Writer, Paused>, room: usize) -> Vec<u8> {
        let mut raw = vec![0; room];
        let mut buf = ReadBuf::new(&mut raw);
        poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, buf.unfilled())).await.unwrap();
        buf.filled().to_vec()
    }

    #[test]
    fn what_is_read_grows_with_what_comes_and_an_idle_connection_holds_nothing() {
        block_on(async {
            let (mut io, mut there) = io(1 << 20, &Paused::new());
            let sent = (0..200_000u32).map(|n| (n % 251) as u8).collect::<Vec<_>>();
            there.write_all(&sent).await.unwrap();
            let mut got = read(&mut io, sent.len()).await;
            assert_eq!((got.len(), io.scratch.len()), (SCRATCH, LARGE));
            got.extend(read(&mut io, 10).await);
            while got.len() < sent.len() {
                got.extend(read(&mut io, sent.len()).await);
            }
            assert!(got == sent);
            assert!(poll_once(read(&mut io, 10)).await.is_none());
            assert_eq!(io.scratch.capacity(), 0);
        });
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up_and_one_that_reads_slowly_is_not() {
        block_on(async {
            let runtime = Paused::new();
            let (mut io, mut there) = io(4, &runtime);
            let mut write = async |bytes: &'static [u8]| {
                poll_once(poll_fn(|cx| Pin::new(&mut io).poll_write(cx, bytes))).await.transpose()
            };
            assert_eq!(write(b"abcdef").await.unwrap(), Some(4));
            for _ in 0..3 {
                assert_eq!(write(b"e").await.unwrap(), None);
                runtime.pass(STALLED - Duration::from_secs(1));
                there.read_exact(&mut [0]).await.unwrap();
                assert_eq!(write(b"e").await.unwrap(), Some(1));
            }
            assert_eq!(write(b"f").await.unwrap(), None);
            runtime.pass(STALLED);
            assert_eq!(write(b"f").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
    }

    async fn shut(io: &mut Io<Reader, Writer, Paused>) -> bool {
        poll_once(poll_fn(|cx| Pin::new(&mut *io).poll_shutdown(cx))).await.is_some()
    }

    #[test]
    fn at_the_end_what_still_comes_is_read_past_but_not_for_ever() {
        block_on(async {
            let runtime = Paused::new();
            // Nothing is left unread.
            let (mut idle, mut there) = io(64, &runtime);
            assert!(shut(&mut idle).await);
            assert_eq!(there.read(&mut [0]).await.unwrap(), 0, "our end is closed");
            // Something is, and the peer closes as well.
            let (mut closing, mut there) = io(64, &runtime);
            there.write_all(b"more").await.unwrap();
            assert!(!shut(&mut closing).await);
            there.close().await.unwrap();
            assert!(shut(&mut closing).await);
            // It may come later, and does not.
            let (mut silent, _there) = io(64, &runtime);
            silent.visitor.unread.store(true, Ordering::Relaxed);
            assert!(!shut(&mut silent).await);
            runtime.pass(LINGER);
            assert!(shut(&mut silent).await);
            // It comes on and on.
            let (mut flooded, mut there) = io(READ_PAST * 2, &runtime);
            there.write_all(&vec![0; READ_PAST * 2]).await.unwrap();
            assert!(shut(&mut flooded).await);
        });
    }
}
