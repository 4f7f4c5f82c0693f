//! The first level: a channel of messages as a pair of streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use mcp::Server;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::PollSender;

use crate::End;

/// Serves one client over the transport, until that has had enough.
pub(crate) async fn serve(end: End, server: Server) -> mcp::Result<()> {
    let (reader, writer) = (Incoming::new(end.receiver), Outgoing::new(PollSender::new(end.sender)));
    mcp_tokio::serve_stream(reader, writer, server).await
}

/// What comes, each message a line.
struct Incoming {
    messages: Receiver<Vec<u8>>,
    line: Vec<u8>,
    /// How much of it is read.
    read: usize,
}

impl Incoming {
    fn new(messages: Receiver<Vec<u8>>) -> Self {
        Self { messages, line: Vec::new(), read: 0 }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.read == this.line.len() {
            // Only now, so that what nobody wants yet stays in the channel, which holds back the peer.
            let Some(message) = ready!(this.messages.poll_recv(cx)) else { return Poll::Ready(Ok(0)) };
            this.line = message;
            // In JSON a line end is white space, wherever a peer may have put one: inside of a text it must be escaped.
            this.line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
            this.line.push(b'\n');
            this.read = 0;
        }
        let piece = &this.line[this.read..];
        let length = piece.len().min(buf.len());
        buf[..length].copy_from_slice(&piece[..length]);
        this.read += length;
        Poll::Ready(Ok(length))
    }
}

/// What goes, each line a message.
struct Outgoing {
    messages: PollSender<Vec<u8>>,
    /// The beginning of a line whose end is still to come. It is no longer than a frame may be.
    line: Vec<u8>,
}

impl Outgoing {
    fn new(messages: PollSender<Vec<u8>>) -> Self {
        Self { messages, line: Vec::new() }
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let Some(end) = buf.iter().position(|byte| *byte == b'\n') else {
            this.line.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        };
        // Nothing is taken before there is room for it.
        if ready!(this.messages.poll_reserve(cx)).is_err() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        this.line.extend_from_slice(&buf[..end]);
        let message = std::mem::take(&mut this.line);
        if this.messages.send_item(message).is_err() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Poll::Ready(Ok(end + 1))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A message that was sent is where the peer looks.
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was sent arrives before the end does.
        self.messages.close();
        Poll::Ready(Ok(()))
    }
}
