//! Server-sent events: writing them, and reading them however their bytes are split.
//!
//! The stream of events of an HTTP response (specification: basic/transports; HTML, 9.2 Server-sent events). A message is the data of
//! one event. Reading is bounded and takes time in proportion to what is read.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::time::Duration;
use std::io::Write as _;

use memchr::{memchr, memchr2};

/// One event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What kind of event it is. None means `message`, which is what carries the messages of MCP.
    pub name: Option<&'a str>,
    /// Where a stream goes on that breaks after this event; of an event that was read, the last such place, whichever event it came with.
    pub id: Option<&'a str>,
    /// How long a client waits before it comes back, in whole milliseconds.
    pub retry: Option<Duration>,
    /// The message. Empty in events that only tell the id or the time to wait.
    pub data: &'a [u8],
}

impl<'a> Event<'a> {
    /// An event with this data.
    pub const fn new(data: &'a [u8]) -> Self {
        Self { name: None, id: None, retry: None, data }
    }

    /// The same event with a name.
    #[must_use]
    pub const fn with_name(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// The same event with an id.
    #[must_use]
    pub const fn with_id(self, id: &'a str) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The same event with a time to wait before coming back.
    #[must_use]
    pub const fn with_retry(self, retry: Duration) -> Self {
        Self { retry: Some(retry), ..self }
    }
}

/// Writes an event.
///
/// Nothing breaks out of it: data goes into as many lines as it has, and is read as the same data with LF for each line end.
/// Line ends and NUL in names and ids are left out.
///
/// ```
/// use mcp_proto::http::sse::{Event, event};
///
/// let mut out = Vec::new();
/// event(&mut out, &Event::new(b"{}").with_id("7"));
/// assert_eq!(out, b"id: 7\ndata: {}\n\n");
/// ```
pub fn event(out: &mut Vec<u8>, event: &Event<'_>) {
    if let Some(name) = event.name {
        field(out, b"event", name);
    }
    if let Some(id) = event.id {
        field(out, b"id", id);
    }
    if let Some(retry) = event.retry {
        // Writing into memory does not fail.
        let _ = writeln!(out, "retry: {}", retry.as_millis().min(u64::MAX.into()));
    }
    let mut rest = event.data;
    loop {
        out.extend_from_slice(b"data: ");
        let Some(end) = memchr2(b'\n', b'\r', rest) else { break };
        out.extend_from_slice(&rest[..end]);
        out.push(b'\n');
        rest = if rest[end..].starts_with(b"\r\n") { &rest[end + 2..] } else { &rest[end + 1..] };
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\n\n");
}

/// Writes a comment, which nobody reads, and which keeps a stream from being idle.
///
/// ```
/// let mut out = Vec::new();
/// mcp_proto::http::sse::comment(&mut out, "here");
/// assert_eq!(out, b": here\n\n");
/// ```
pub fn comment(out: &mut Vec<u8>, text: &str) {
    field(out, b"", text);
    out.push(b'\n');
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend(value.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)));
    out.push(b'\n');
}

/// Reads events from a stream that comes in pieces.
///
/// Lines end with LF, CR or CRLF. A byte order mark at the start, comments, and fields that are not known are passed over; so is what
/// stands at the end without a blank line behind it. Events without data are no messages: what they tell is in
/// [`last_event_id`](Self::last_event_id) and [`retry`](Self::retry).
///
/// It holds no more than its limit, and the last id.
///
/// ```
/// use mcp_proto::http::sse::Decoder;
///
/// let mut decoder = Decoder::default();
/// let mut input = &b"id: 1\ndata\n\nid: 2\nda"[..];
/// assert!(decoder.next(&mut input)?.is_none());
/// assert_eq!(decoder.last_event_id(), Some("1"));
///
/// let mut input = &b"ta: {}\r\n\r\n"[..];
/// let event = decoder.next(&mut input)?.expect("one event");
/// assert_eq!((event.id, event.data), (Some("2"), &b"{}"[..]));
/// # Ok::<(), mcp_proto::http::sse::EventTooLong>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    limit: usize,
    place: Place,
    /// A line that has begun, without its end.
    line: Vec<u8>,
    /// What the lines of this event say.
    name: String,
    data: Vec<u8>,
    /// What its lines say of the id, which counts once it is whole.
    id: Option<String>,
    event_retry: Option<Duration>,
    /// Bytes of the lines of this event that were kept, and that count for the limit.
    kept: usize,
    /// The event was longer than the limit: the rest of it is passed over.
    passing: bool,
    /// The event was handed out by the last call, and has to go before the next.
    spent: bool,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    /// How many bytes were looked at or copied: the tests prove that it grows with the stream, whatever its pieces.
    #[cfg(test)]
    steps: u64,
}

/// Where in the stream the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Behind this many bytes of a byte order mark.
    Start(u8),
    /// Behind a CR, so that an LF is part of the same line end.
    AfterCr,
    Elsewhere,
    /// In a line that is not kept: a comment, or part of an event that is too long.
    Skipping,
}

/// An event was longer than the limit of its reader. It is passed over, and the next call goes on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventTooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

impl fmt::Display for EventTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the event is longer than the limit of {} bytes", self.limit)
    }
}

impl core::error::Error for EventTooLong {}

const BOM: &[u8; 3] = b"\xEF\xBB\xBF";

/// Kept of the storage between events, so that ordinary ones reuse it and a large one does not pin it.
const KEEP: usize = 64 * 1024;

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Self::LIMIT)
    }
}

impl Decoder {
    /// The limit unless told otherwise: a message of 16 MiB, with what stands around it.
    pub const LIMIT: usize = 16 * 1024 * 1024 + 4096;

    /// A reader of events of which all lines together, without their ends and without comments, have up to `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            place: Place::Start(0),
            line: Vec::new(),
            name: String::new(),
            data: Vec::new(),
            id: None,
            event_retry: None,
            kept: 0,
            passing: false,
            spent: false,
            last_event_id: None,
            retry: None,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next event, and returns that event; `None` when `input` is used up.
    ///
    /// # Errors
    ///
    /// When an event is longer than the limit, once for each.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event<'_>>, EventTooLong> {
        self.forget_spent();
        while let Some(first) = input.first() {
            match self.place {
                Place::Start(matched) if *first == BOM[usize::from(matched)] => {
                    *input = &input[1..];
                    self.place = if matched == 2 { Place::Elsewhere } else { Place::Start(matched + 1) };
                    continue;
                }
                Place::Start(matched) => {
                    // It was none: what looked like it begins the first line.
                    self.place = Place::Elsewhere;
                    self.keep(&BOM[..usize::from(matched)])?;
                }
                Place::AfterCr => {
                    self.place = Place::Elsewhere;
                    if *first == b'\n' {
                        *input = &input[1..];
                        continue;
                    }
                }
                Place::Elsewhere | Place::Skipping => {}
            }
            let end = memchr2(b'\n', b'\r', input);
            let (part, rest) = input.split_at(end.unwrap_or(input.len()));
            self.look(part.len() + 1);
            let Some(ending) = rest.first() else {
                *input = rest;
                return self.keep(part).map(|()| None);
            };
            *input = &rest[1..];
            let skipped = self.place == Place::Skipping;
            self.place = if *ending == b'\r' { Place::AfterCr } else { Place::Elsewhere };
            if skipped {
                continue;
            }
            if self.line.is_empty() && part.is_empty() {
                if self.dispatch() {
                    return Ok(Some(self.event()));
                }
                continue;
            }
            self.whole_line(part)?;
        }
        Ok(None)
    }

    /// Where the stream goes on if it breaks now: the id of the last event that came whole, with or without data. An event with an
    /// empty id takes it back.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// How long the server wants a client to wait before it comes back, if it ever said so.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Bytes held of an event that is not whole.
    pub fn buffered(&self) -> usize {
        if self.spent {
            0
        } else {
            self.line.len() + self.name.len() + self.data.len() + self.id.as_ref().map_or(0, String::len)
        }
    }

    /// Forgets what has not come whole, and reads on at the start of another stream, which goes on where this one broke.
    pub fn begin_anew(&mut self) {
        *self = Self { last_event_id: self.last_event_id.take(), retry: self.retry, ..Self::new(self.limit) };
    }

    /// Keeps a part of a line whose end has not come.
    fn keep(&mut self, part: &[u8]) -> Result<(), EventTooLong> {
        if self.place == Place::Skipping || part.is_empty() {
            return Ok(());
        }
        let is_comment = self.line.is_empty() && part.starts_with(b":");
        let fits = self.fits(part);
        if is_comment || !fits {
            self.place = Place::Skipping;
            return if is_comment { Ok(()) } else { self.too_long() };
        }
        self.look(if self.line.len() + part.len() > self.line.capacity() { self.line.len() } else { 0 } + part.len());
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// Reads the line that ends with `part`.
    fn whole_line(&mut self, part: &[u8]) -> Result<(), EventTooLong> {
        if self.line.is_empty() && part.starts_with(b":") {
            return Ok(());
        }
        if !self.fits(part) {
            return self.too_long();
        }
        self.kept += self.line.len() + part.len();
        if self.line.is_empty() {
            self.field(part);
            return Ok(());
        }
        self.line.extend_from_slice(part);
        let mut line = mem::take(&mut self.line);
        self.field(&line);
        line.clear();
        line.shrink_to(KEEP);
        self.line = line;
        Ok(())
    }

    fn fits(&self, part: &[u8]) -> bool {
        self.kept + self.line.len() + part.len() <= self.limit
    }

    /// The event is over the limit: what was kept of it goes but for the id, and the error comes once.
    fn too_long(&mut self) -> Result<(), EventTooLong> {
        self.line = Vec::new();
        self.data = Vec::new();
        self.name = String::new();
        // The id stays: a stream that is resumed goes on behind this event, and not before it again.
        self.kept = self.id.as_ref().map_or(0, String::len);
        if mem::replace(&mut self.passing, true) { Ok(()) } else { Err(EventTooLong { limit: self.limit }) }
    }

    fn field(&mut self, line: &[u8]) {
        self.look(line.len());
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            // Of an event that is too long, only what the next ones need is read.
            b"data" if !self.passing => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // A name that is no text is not one that anybody knows, and an id that is none could not be sent back.
            b"event" => self.name = str::from_utf8(value).unwrap_or("\u{FFFD}").into(),
            b"id" if memchr(0, value).is_none() => {
                if let Ok(id) = str::from_utf8(value) {
                    self.id = Some(id.into());
                }
            }
            b"retry" => {
                if let Some(wait) = milliseconds(value) {
                    self.retry = Some(wait);
                    self.event_retry = Some(wait);
                }
            }
            _ => {}
        }
    }

    /// At a blank line: whether there is a message.
    fn dispatch(&mut self) -> bool {
        if let Some(id) = self.id.take() {
            self.last_event_id = Some(id).filter(|id| !id.is_empty());
        }
        // Each line of the data has ended with an LF; between them it belongs to the data, at the end it does not.
        self.data.pop();
        self.kept = 0;
        let is_message = !self.data.is_empty();
        self.spent = true;
        if !is_message {
            self.forget_spent();
        }
        is_message
    }

    fn event(&self) -> Event<'_> {
        let name = Some(&*self.name).filter(|name| !name.is_empty() && *name != "message");
        Event { name, id: self.last_event_id(), retry: self.event_retry, data: &self.data }
    }

    fn forget_spent(&mut self) {
        if mem::take(&mut self.spent) {
            self.name.clear();
            self.data.clear();
            self.data.shrink_to(KEEP);
            self.event_retry = None;
            self.passing = false;
        }
    }

    #[cfg(test)]
    fn look(&mut self, bytes: usize) {
        self.steps += bytes as u64;
    }

    #[cfg(not(test))]
    fn look(&mut self, _bytes: usize) {}
}

/// A number of milliseconds in ASCII digits; one that is too large is the largest.
fn milliseconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number =
        digits.iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some(Duration::from_millis(number))
}

#[cfg(test)]
mod tests;
