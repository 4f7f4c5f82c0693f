//! The way in: bytes from the stream to scanned messages, and what all of it holds in memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use mcp_proto::Message;

use super::super::budget::Load;
use super::super::handling::size;
use super::super::screening::screen;
use super::{BATCH, Driver, Eof, READ};
use crate::runtime::Spawn;

impl<Rd, Wr, R> Driver<Rd, Wr, R>
where
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
    R: Spawn,
{
    /// Reads and scans, unless scanned messages still wait to be fed.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.scanned.is_empty() || self.eof.is_some() {
            return false;
        }
        if self.unread.is_empty() {
            if !self.wants_input && self.linger.is_none() {
                return false;
            }
            match Pin::new(&mut self.reader).poll_read(cx, &mut self.input) {
                Poll::Pending => return false,
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => return true,
                Poll::Ready(Err(error)) => self.eof = Some(Eof::Pending(Some(error.to_string()))),
                Poll::Ready(Ok(0)) => self.eof = Some(Eof::Pending(None)),
                Poll::Ready(Ok(read)) => self.unread = 0..read.min(self.input.len()),
            }
        }
        let limits = &self.parts.limits;
        let mut bytes = &self.input[self.unread.clone()];
        while self.scanned.len() < BATCH {
            let Some(line) = self.lines.next(&mut bytes) else { break };
            self.scanned.extend(screen(&self.parts, Message::scan_line(line, limits)));
        }
        self.unread.start = self.unread.end - bytes.len();
        if let Some(Eof::Pending(None)) = self.eof
            && let Some(line) = self.lines.finish()
        {
            self.scanned.extend(screen(&self.parts, Message::scan_line(line, limits)));
        }
        if self.unread.is_empty() {
            self.fit_input();
        }
        // Also when that gave no whole line: only a reader that was asked in vain knows whom to wake.
        true
    }

    /// Makes the input buffer fit the traffic, so that an idle connection is small and a busy one reads much at once.
    fn fit_input(&mut self) {
        let (size, read) = (self.input.len(), self.unread.end);
        if read == size && size < *READ.end() {
            self.input = vec![0; size * 2];
        } else if read < size / 8 && size > *READ.start() {
            self.input = vec![0; size / 2];
        }
        self.unread = 0..0;
    }

    /// Tells the budget what the connection holds: `load`, and what is here.
    pub(super) fn account(&self, load: Load) {
        let scanned = self.scanned.iter().map(Message::size).sum::<usize>();
        let replies = self.replies.iter().map(|(_, reply)| size(reply)).sum::<usize>();
        let here = self.input.len() + self.lines.buffered() + self.output.capacity() + self.notifications.bytes();
        self.parts.account.set(Load { bytes: load.bytes + scanned + replies + here, ..load });
    }
}
