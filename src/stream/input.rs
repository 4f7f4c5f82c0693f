//! What a driver has read: bytes, cut into lines, in a buffer that fits the traffic and is gone while there is none.

use std::io;
use std::ops::{Range, RangeInclusive};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::AsyncRead;
use mcp_proto::line::{Line, LineBuffer};

/// Bytes read at once: the buffer grows while reads fill it, and shrinks while they do not.
const READ: RangeInclusive<usize> = 4 * 1024..=64 * 1024;

/// See the module.
pub(super) struct Input {
    /// Empty while nothing comes, so that an idle connection costs little.
    buffer: Vec<u8>,
    /// How large it is made next.
    size: usize,
    /// What is still to be cut into lines.
    unread: Range<usize>,
    lines: LineBuffer,
}

impl Input {
    /// Lines may have up to `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), size: *READ.start(), unread: 0..0, lines: LineBuffer::new(limit) }
    }

    /// Whether everything read has been cut into lines, so that more may be read.
    pub(super) fn is_used_up(&self) -> bool {
        self.unread.is_empty()
    }

    /// Reads once; 0 is the end.
    pub(super) fn poll_read(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; self.size];
        }
        let read = Pin::new(reader).poll_read(cx, &mut self.buffer);
        match read {
            Poll::Ready(Ok(read)) => self.unread = 0..read.min(self.buffer.len()),
            _ => {
                self.buffer = Vec::new();
                self.lines.release();
            }
        }
        read
    }

    /// The next whole line of what was read.
    pub(super) fn next_line(&mut self) -> Option<Line<'_>> {
        let Self { buffer, unread, lines, .. } = self;
        let mut bytes = &buffer[unread.clone()];
        let line = lines.next(&mut bytes);
        unread.start = unread.end - bytes.len();
        line
    }

    /// The last line of a stream that ended without a line end.
    pub(super) fn last_line(&mut self) -> Option<Line<'_>> {
        self.lines.finish()
    }

    /// Makes the buffer fit the traffic, once what was read is used up.
    pub(super) fn fit(&mut self) {
        let (size, read) = (self.size, self.unread.end);
        if read == size && size < *READ.end() {
            self.size = size * 2;
        } else if read < size / 8 && size > *READ.start() {
            self.size = size / 2;
        }
        if self.size != self.buffer.len() {
            self.buffer = Vec::new();
        }
        self.unread = 0..0;
    }

    /// The bytes that are held between two polls.
    pub(super) fn held(&self) -> usize {
        let buffer = if self.is_used_up() { 0 } else { self.buffer.len() };
        buffer + self.lines.buffered()
    }
}
