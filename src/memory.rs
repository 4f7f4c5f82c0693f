//! Byte streams in memory: bounded, for any runtime or none, to join a client and a server in one process, and threads to tasks.
//!
//! A stream in memory behaves like a pipe of the operating system, so that tests over it prove something about pipes: a full buffer holds
//! the writer back, a writer that is gone is the end of the stream after the bytes that it left, and writing for nobody is
//! [`BrokenPipe`](io::ErrorKind::BrokenPipe).

use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::{fmt, mem};

use futures_io::{AsyncRead, AsyncWrite};

/// Two joined ends: what is written to one is read from the other. `capacity` bounds the unread bytes of each direction (at least 1).
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt, future::block_on};
///
/// let (mut here, mut there) = mcp::memory::duplex(1024);
/// block_on(async {
///     here.write_all(b"ping").await?;
///     here.close().await?;
///     let mut heard = Vec::new();
///     there.read_to_end(&mut heard).await?;
///     assert_eq!(heard, b"ping");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn duplex(capacity: usize) -> (Duplex, Duplex) {
    let (there_writer, here_reader) = pipe(capacity);
    let (here_writer, there_reader) = pipe(capacity);
    (Duplex { reader: here_reader, writer: here_writer }, Duplex { reader: there_reader, writer: there_writer })
}

/// One direction: what goes into the [`Writer`] comes out of the [`Reader`]. `capacity` bounds the unread bytes (at least 1).
#[must_use]
pub fn pipe(capacity: usize) -> (Writer, Reader) {
    let pipe = Arc::new(Pipe { capacity: capacity.max(1), state: Mutex::default() });
    (Writer { pipe: Arc::clone(&pipe) }, Reader { pipe })
}

/// One end of [`duplex`]. Closing it ends what it writes; it can still read.
#[derive(Debug)]
pub struct Duplex {
    reader: Reader,
    writer: Writer,
}

impl Duplex {
    /// The two directions, each for itself.
    #[must_use]
    pub fn into_split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

/// The end of a [`pipe`] that is read. Dropping it makes every further write fail.
pub struct Reader {
    pipe: Arc<Pipe>,
}

/// The end of a [`pipe`] that is written. Closing or dropping it ends the stream after the bytes that are in it.
///
/// Flushing has nothing to do: what is written is already where the reader looks.
pub struct Writer {
    pipe: Arc<Pipe>,
}

impl Writer {
    /// Ends the stream with `error`, which the reader gets once, after the bytes that are in it.
    pub(crate) fn fail(self, error: io::Error) {
        self.pipe.lock().error = Some(error);
    }
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut fresh = None;
        loop {
            let mut state = self.pipe.lock();
            if !state.bytes.is_empty() {
                // The buffer is a ring: two reads take what wraps around its end.
                let mut taken = state.bytes.read(buf)?;
                taken += state.bytes.read(&mut buf[taken..])?;
                let writer = state.writer.take();
                drop(state);
                wake(writer);
                return Poll::Ready(Ok(taken));
            }
            if let Some(error) = state.error.take() {
                return Poll::Ready(Err(error));
            }
            if state.ended {
                return Poll::Ready(Ok(0));
            }
            match park(&mut state.reader, &mut fresh, cx) {
                Parked::Yes(old) => {
                    drop(state);
                    drop(old);
                    return Poll::Pending;
                }
                Parked::NeedsWaker => {
                    drop(state);
                    fresh = Some(cx.waker().clone());
                }
            }
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut fresh = None;
        loop {
            let mut state = self.pipe.lock();
            if state.abandoned {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if state.ended {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    "the stream was closed for writing",
                )));
            }
            let room = self.pipe.capacity - state.bytes.len();
            if room > 0 || buf.is_empty() {
                let taken = room.min(buf.len());
                state.bytes.extend(&buf[..taken]);
                let reader = if taken > 0 { state.reader.take() } else { None };
                drop(state);
                wake(reader);
                return Poll::Ready(Ok(taken));
            }
            match park(&mut state.writer, &mut fresh, cx) {
                Parked::Yes(old) => {
                    drop(state);
                    drop(old);
                    return Poll::Pending;
                }
                Parked::NeedsWaker => {
                    drop(state);
                    fresh = Some(cx.waker().clone());
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.end();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Duplex {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_close(cx)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        state.abandoned = true;
        // Nobody reads them any more: give the memory back now, not when the writer goes too.
        let bytes = mem::take(&mut state.bytes);
        let wakers = (state.reader.take(), state.writer.take());
        drop(state);
        drop(bytes);
        drop(wakers.0);
        wake(wakers.1);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.pipe.end();
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pipe.describe("Reader", f)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pipe.describe("Writer", f)
    }
}

/// What the two ends share. Wakers are foreign code: they are cloned, woken and dropped only while the lock is free.
struct Pipe {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Written and not yet read: never more than `Pipe::capacity`.
    bytes: VecDeque<u8>,
    /// Why the writer gave up, until the reader was told.
    error: Option<io::Error>,
    /// The writer closed, or is gone: after `bytes` comes the end.
    ended: bool,
    /// The reader is gone: `bytes` is empty and stays so.
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock, and every state of it is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let wakers = (state.reader.take(), state.writer.take());
        drop(state);
        wake(wakers.0);
        drop(wakers.1);
    }

    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let (buffered, ended, abandoned) = (state.bytes.len(), state.ended, state.abandoned);
        drop(state);
        f.debug_struct(name)
            .field("capacity", &self.capacity)
            .field("buffered", &buffered)
            .field("ended", &ended)
            .field("abandoned", &abandoned)
            .finish()
    }
}

enum Parked {
    /// The slot holds the right waker. What it held before comes back, to be dropped after unlocking.
    Yes(Option<Waker>),
    /// The slot needs a clone, to be made after unlocking.
    NeedsWaker,
}

fn park(slot: &mut Option<Waker>, fresh: &mut Option<Waker>, cx: &Context<'_>) -> Parked {
    if slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        return Parked::Yes(fresh.take());
    }
    match fresh.take() {
        Some(waker) => Parked::Yes(slot.replace(waker)),
        None => Parked::NeedsWaker,
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;
    use std::thread;

    use futures_lite::future::{block_on, poll_once};
    use futures_lite::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn bytes_come_out_in_order_whatever_the_sizes() {
        for (capacity, write, read) in [(1, 1, 1), (1, 7, 3), (5, 3, 4), (64, 100, 7), (4096, 1000, 4096)] {
            let (mut writer, mut reader) = pipe(capacity);
            let sent: Vec<u8> = (0..10_000u32).map(|n| (n * 31 % 251) as u8).collect();
            let copy = sent.clone();
            let thread = thread::spawn(move || {
                block_on(async {
                    for piece in copy.chunks(write) {
                        writer.write_all(piece).await.unwrap();
                    }
                });
            });
            let mut got = Vec::new();
            let mut buffer = vec![0; read];
            loop {
                let taken = block_on(reader.read(&mut buffer)).unwrap();
                if taken == 0 {
                    break;
                }
                got.extend_from_slice(&buffer[..taken]);
            }
            thread.join().unwrap();
            assert!(got == sent, "capacity {capacity}, write {write}, read {read}");
        }
    }

    #[test]
    fn a_full_pipe_holds_the_writer_back() {
        let (mut writer, mut reader) = pipe(4);
        block_on(async {
            assert_eq!(writer.write(b"abcdef").await.unwrap(), 4);
            assert!(poll_once(writer.write(b"ef")).await.is_none());
            let mut two = [0; 2];
            reader.read_exact(&mut two).await.unwrap();
            assert_eq!(writer.write(b"efg").await.unwrap(), 2);
            assert_eq!(writer.write(b"").await.unwrap(), 0);
        });
    }

    #[test]
    fn closing_and_dropping_the_writer_end_the_stream_after_its_bytes() {
        for close in [true, false] {
            let (mut writer, mut reader) = pipe(64);
            block_on(async {
                writer.write_all(b"last words").await.unwrap();
                if close {
                    writer.close().await.unwrap();
                    let late = writer.write(b"more").await.unwrap_err();
                    assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
                } else {
                    drop(writer);
                }
                let mut heard = String::new();
                reader.read_to_string(&mut heard).await.unwrap();
                assert_eq!(heard, "last words");
                assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
            });
        }
    }

    #[test]
    fn without_a_reader_writing_is_a_broken_pipe_also_for_one_who_waits() {
        let (mut writer, reader) = pipe(1);
        block_on(writer.write_all(b"x")).unwrap();
        let thread = thread::spawn(move || block_on(writer.write(b"y")).unwrap_err());
        drop(reader);
        assert_eq!(thread.join().unwrap().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_failure_comes_once_and_after_the_bytes() {
        let (mut writer, mut reader) = pipe(8);
        block_on(async {
            writer.write_all(b"ok").await.unwrap();
            writer.fail(io::ErrorKind::PermissionDenied.into());
            assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 2);
            assert_eq!(reader.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
        });
    }

    #[test]
    fn the_halves_of_a_duplex_are_independent() {
        let (here, mut there) = duplex(16);
        let (mut reader, writer) = here.into_split();
        block_on(async {
            drop(writer);
            assert_eq!(there.read(&mut [0]).await.unwrap(), 0);
            there.write_all(b"still here").await.unwrap();
            there.close().await.unwrap();
            let mut heard = String::new();
            reader.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "still here");
        });
    }

    /// A waker that uses the pipe itself when it is woken or dropped: a deadlock if that happened under the lock.
    struct Meddler(Arc<Pipe>);

    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock());
        }
    }

    impl Drop for Meddler {
        fn drop(&mut self) {
            drop(self.0.lock());
        }
    }

    #[test]
    fn wakers_run_and_drop_outside_the_lock() {
        let (mut writer, mut reader) = pipe(1);
        for _ in 0..2 {
            for _ in 0..2 {
                let waker = Waker::from(Arc::new(Meddler(Arc::clone(&reader.pipe))));
                let mut cx = Context::from_waker(&waker);
                assert!(Pin::new(&mut reader).poll_read(&mut cx, &mut [0]).is_pending());
                drop(waker);
            }
            let waker = Waker::from(Arc::new(Meddler(Arc::clone(&reader.pipe))));
            let mut cx = Context::from_waker(&waker);
            assert!(Pin::new(&mut writer).poll_write(&mut cx, b"a").is_ready());
            assert!(Pin::new(&mut writer).poll_write(&mut cx, b"b").is_pending());
            assert!(Pin::new(&mut reader).poll_read(&mut cx, &mut [0]).is_ready());
            assert!(Pin::new(&mut reader).poll_read(&mut cx, &mut [0]).is_pending());
        }
        drop(reader);
        drop(writer);
    }
}
