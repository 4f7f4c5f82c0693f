//! Cuts a byte stream into lines: bounded memory, linear time, and the same lines however the bytes are split.
//!
//! The framing of stdio, TCP and Unix sockets (specification: basic/transports, stdio): one message a line, ended by LF.
//! A CR before the LF, blank lines and a byte order mark at the start of the stream are tolerated.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use memchr::memchr;

use crate::jsonrpc::Salvage;

/// Splits pushed bytes into lines.
///
/// Whole lines are handed out in place; only an unfinished tail is copied, and never more than the limit.
///
/// ```
/// use mcp_proto::line::{Line, LineBuffer};
///
/// let mut lines = LineBuffer::new(1024);
/// let mut input = &b"{\"a\":1}\r\n\n{\"b\""[..];
/// assert!(matches!(lines.next(&mut input), Some(Line::Whole(b"{\"a\":1}"))));
/// assert!(lines.next(&mut input).is_none());
/// let mut input = &b":2}\n"[..];
/// assert!(matches!(lines.next(&mut input), Some(Line::Whole(b"{\"b\":2}"))));
/// ```
#[derive(Clone, Debug)]
pub struct LineBuffer {
    /// The line begun by earlier pushes; holds no LF and never more than `limit` bytes.
    tail: Vec<u8>,
    /// The bytes of a line that passed the limit, read for its id as they go by and then forgotten. Boxed, so that idle connections
    /// keep no room for it.
    oversize: Option<Box<Oversize>>,
    /// Whether `tail` was handed out by the last call and has to go before the next one.
    spent: bool,
    /// Whether nothing has been read yet: only there may a byte order mark stand.
    at_start: bool,
    limit: usize,
    /// How many bytes were looked at or copied: the tests prove that it grows with the stream, whatever its pieces.
    #[cfg(test)]
    steps: Steps,
}

/// A count that is not shown, since tests compare what is shown of a connection and of its copy: a copy has no room to spare, and so
/// moves its bytes sooner.
#[cfg(test)]
#[derive(Clone, Copy)]
struct Steps(u64);

#[cfg(test)]
impl core::fmt::Debug for Steps {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Steps")
    }
}

/// One line of the stream.
#[derive(Debug)]
pub enum Line<'a> {
    /// A line without its end; never blank.
    Whole(&'a [u8]),
    /// A line that was longer than the limit. Its bytes are gone, but what could be read in passing was kept.
    TooLong(Oversize),
}

/// What is known of a line that passed the limit.
#[derive(Clone, Debug)]
pub struct Oversize {
    pub(crate) salvage: Salvage,
    /// How many bytes the line had, without its end.
    pub bytes: u64,
}

/// Kept of a tail's storage between lines, so that ordinary messages reuse it and one large message does not pin it.
const KEEP: usize = 64 * 1024;

impl LineBuffer {
    /// A buffer that accepts lines of up to `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self {
            tail: Vec::new(),
            oversize: None,
            spent: false,
            at_start: true,
            limit,
            #[cfg(test)]
            steps: Steps(0),
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next line, and returns that line; `None` when
    /// `input` is used up.
    pub fn next<'a, 'b: 'a>(&'a mut self, input: &mut &'b [u8]) -> Option<Line<'a>> {
        self.forget_spent();
        while let Some(end) = self.find_end(input) {
            let (head, rest) = input.split_at(end);
            *input = &rest[1..];
            if self.oversize.is_some() || self.tail.len() + head.len() > self.limit {
                self.pass_over(head);
            } else if self.tail.is_empty() {
                let line = trim(head, mem::take(&mut self.at_start));
                if line.is_empty() {
                    continue;
                }
                return Some(Line::Whole(line));
            } else {
                self.append(head);
            }
            if let Some(line) = self.take_unfinished() {
                return match line {
                    Unfinished::TooLong(oversize) => Some(Line::TooLong(oversize)),
                    Unfinished::Tail(at_start) => Some(Line::Whole(trim(&self.tail, at_start))),
                };
            }
        }
        let rest = mem::take(input);
        if self.oversize.is_some() || self.tail.len() + rest.len() > self.limit {
            self.pass_over(rest);
        } else {
            self.append(rest);
        }
        None
    }

    /// The last line of a stream that ended without LF, if there is one.
    pub fn finish(&mut self) -> Option<Line<'_>> {
        self.forget_spent();
        match self.take_unfinished()? {
            Unfinished::TooLong(oversize) => Some(Line::TooLong(oversize)),
            Unfinished::Tail(at_start) => Some(Line::Whole(trim(&self.tail, at_start))),
        }
    }

    /// Bytes held of an unfinished line; never more than the limit.
    pub fn buffered(&self) -> usize {
        if self.spent { 0 } else { self.tail.len() }
    }

    /// Gives back storage that holds no bytes, for when nothing comes for a while.
    pub fn release(&mut self) {
        self.forget_spent();
        if self.tail.is_empty() {
            self.tail = Vec::new();
        }
    }

    /// Whether the stream is still to begin; `None` inside a line.
    pub(crate) fn at_start_if_between_lines(&self) -> Option<bool> {
        (self.buffered() == 0 && self.oversize.is_none()).then_some(self.at_start)
    }

    /// Goes on between two lines of a stream, or at its start.
    pub(crate) fn begin_anew(&mut self, at_start: bool) {
        *self = Self { at_start, ..Self::new(self.limit) };
    }

    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        let end = memchr(b'\n', input);
        #[cfg(test)]
        {
            self.steps.0 += end.unwrap_or(input.len()) as u64;
        }
        end
    }

    fn append(&mut self, bytes: &[u8]) {
        #[cfg(test)]
        {
            let grows = self.tail.len() + bytes.len() > self.tail.capacity();
            self.steps.0 += bytes.len() as u64 + if grows { self.tail.len() as u64 } else { 0 };
        }
        self.tail.extend_from_slice(bytes);
    }

    fn forget_spent(&mut self) {
        if mem::take(&mut self.spent) {
            self.tail.clear();
            self.tail.shrink_to(KEEP);
        }
    }

    fn take_unfinished(&mut self) -> Option<Unfinished> {
        if let Some(oversize) = self.oversize.take() {
            self.at_start = false;
            return Some(Unfinished::TooLong(*oversize));
        }
        if self.tail.is_empty() {
            return None;
        }
        let at_start = mem::take(&mut self.at_start);
        if trim(&self.tail, at_start).is_empty() {
            self.tail.clear();
            return None;
        }
        self.spent = true;
        Some(Unfinished::Tail(at_start))
    }

    fn pass_over(&mut self, bytes: &[u8]) {
        let tail = mem::take(&mut self.tail);
        let oversize = self.oversize.get_or_insert_with(|| {
            let mut salvage = Salvage::new();
            salvage.read(&tail);
            Box::new(Oversize { salvage, bytes: tail.len() as u64 })
        });
        oversize.salvage.read(bytes);
        oversize.bytes += bytes.len() as u64;
    }
}

enum Unfinished {
    TooLong(Oversize),
    Tail(bool),
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

fn trim(line: &[u8], at_start: bool) -> &[u8] {
    let line = if at_start { line.strip_prefix(BOM).unwrap_or(line) } else { line };
    line.trim_ascii()
}

#[cfg(test)]
mod tests;
