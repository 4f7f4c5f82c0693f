//! The two directions of a socket, each for itself, so that one can be closed while the other goes on.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// Splits a stream that can be used through a reference, as many runtimes have them. `shut` ends its output: for a socket that is
/// `shutdown(Shutdown::Write)`. It is called when the writer is closed or dropped, so that the peer learns of it at once.
///
/// Both directions are to be polled by one task, as a connection does.
pub fn split<S>(stream: S, shut: fn(&S, Shutdown) -> io::Result<()>) -> (ReadHalf<S>, WriteHalf<S>) {
    let stream = Arc::new(stream);
    (ReadHalf(Arc::clone(&stream)), WriteHalf { stream, shut, is_shut: Shut::No })
}

/// What is read of a stream that was [`split`].
#[derive(Debug)]
pub struct ReadHalf<S>(Arc<S>);

/// What is written of a stream that was [`split`].
#[derive(Debug)]
pub struct WriteHalf<S> {
    stream: Arc<S>,
    shut: fn(&S, Shutdown) -> io::Result<()>,
    is_shut: Shut,
}

#[derive(Debug, PartialEq, Eq)]
enum Shut {
    No,
    Yes,
}

impl<S> AsyncRead for ReadHalf<S>
where
    for<'a> &'a S: AsyncRead,
{
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_read(cx, buf)
    }
}

impl<S> AsyncWrite for WriteHalf<S>
where
    for<'a> &'a S: AsyncWrite,
{
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.as_mut().poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(self.shut()),
            other => other,
        }
    }
}

impl<S> WriteHalf<S> {
    fn shut(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.is_shut, Shut::Yes) {
            Shut::No => (self.shut)(&self.stream, Shutdown::Write),
            Shut::Yes => Ok(()),
        }
    }
}

impl<S> Drop for WriteHalf<S> {
    fn drop(&mut self) {
        // A connection that is already gone has nothing to be told.
        let _ = self.shut();
    }
}
