//! A [`Link`] as a byte stream, for the real driver.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use mcp::runtime::Runtime;

use crate::{Cut, Faults, Link, Prng, Sim};

/// The end of a simulated pipe that is written. Closing or dropping it ends the stream after the bytes that are in it.
#[derive(Debug)]
pub struct PipeWriter {
    pipe: Arc<Mutex<Pipe>>,
    sim: Sim,
}

/// The end of a simulated pipe that is read. Dropping it makes every further write fail.
#[derive(Debug)]
pub struct PipeReader {
    pipe: Arc<Mutex<Pipe>>,
    sim: Sim,
}

#[derive(Debug)]
struct Pipe {
    link: Link,
    prng: Prng,
    reader: Option<Waker>,
    writer: Option<Waker>,
    abandoned: bool,
}

pub(crate) fn new(sim: Sim, faults: Faults, seed: u64) -> (PipeWriter, PipeReader) {
    let pipe = Pipe { link: Link::new(faults), prng: Prng::new(seed), reader: None, writer: None, abandoned: false };
    let pipe = Arc::new(Mutex::new(pipe));
    (PipeWriter { pipe: Arc::clone(&pipe), sim: sim.clone() }, PipeReader { pipe, sim })
}

impl PipeWriter {
    /// Cuts the pipe: the peer is gone, or the network is.
    pub fn cut(&self, cut: Cut) {
        let wakers = {
            let mut pipe = lock(&self.pipe);
            pipe.link.cut(cut);
            [pipe.reader.take(), pipe.writer.take()]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let now = self.sim.now();
        let (waker, taken) = {
            let mut pipe = lock(&self.pipe);
            let Pipe { link, prng, reader, writer, abandoned } = &mut *pipe;
            if *abandoned || link.was_cut() == Some(Cut::Reset) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if !link.has_room() {
                let replaced = writer.replace(cx.waker().clone());
                drop(pipe);
                drop(replaced);
                return Poll::Pending;
            }
            let taken = buf.len().min(1 + prng.below(buf.len() as u64) as usize);
            link.send(now, &buf[..taken], prng);
            (reader.take(), taken)
        };
        self.sim.saw(&buf[..taken]);
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut(Cut::Closed);
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.cut(Cut::Closed);
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let now = self.sim.now();
        let mut pipe = lock(&self.pipe);
        let Pipe { link, prng, reader, writer, .. } = &mut *pipe;
        let piece = link.piece(now, prng);
        let taken = piece.len().min(buf.len());
        if taken > 0 {
            buf[..taken].copy_from_slice(&piece[..taken]);
            link.take(taken);
            let writer = writer.take();
            drop(pipe);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Ok(taken));
        }
        if link.has_ended() {
            let reset = link.was_cut() == Some(Cut::Reset);
            return Poll::Ready(if reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(0) });
        }
        let due = link.due();
        let replaced = reader.replace(cx.waker().clone());
        drop(pipe);
        drop(replaced);
        if let Some(due) = due {
            self.sim.wake_at(due, cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let waker = {
            let mut pipe = lock(&self.pipe);
            pipe.abandoned = true;
            pipe.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    // Nothing of anybody else's runs under the lock.
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}
