//! The one-pass scanner: checks that a text is one JSON value and notes where the members stand that the protocol needs.
//!
//! No recursion, no tree: nesting is a counter and a bit per level. Keys are compared exactly, after undoing escapes, and
//! a member that the protocol needs may stand only once, so that no two readers can disagree about a message.

use alloc::borrow::Cow;
use core::fmt;

use super::text::{self, Span};

/// Why a text is not a message that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes are not UTF-8; valid up to this byte.
    NotUtf8(usize),
    /// Not JSON; the byte where it went wrong.
    NotJson(usize),
    /// Nested deeper than `Limits::depth`.
    TooDeep,
    /// The line was longer than `Limits::frame`; its length in bytes.
    TooLong(u64),
    /// JSON, but not an object. Arrays are batches, which only 2025-03-26 knows.
    NotAnObject,
    /// A member that may stand only once stands twice.
    DuplicateMember(&'static str),
    /// `jsonrpc` is missing or is not `"2.0"`.
    NotJsonRpc2,
    /// `id` is neither a string of at most 1 KiB nor an integer of at most 64 bits.
    BadId,
    /// `method` is not a string.
    BadMethod,
    /// `params` is not an object.
    BadParams,
    /// A member inside `params` has the wrong type.
    BadParam(&'static str),
    /// `result` is not an object.
    BadResult,
    /// A member inside `result` that the protocol needs is not what it must be.
    BadResultMember(&'static str),
    /// `error` is not an object with an integer `code` and a string `message`.
    BadError,
    /// Neither a request nor a notification nor a response: no `method`, and not exactly one of `result` and `error`.
    NotAMessage,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8(at) => write!(f, "not UTF-8 at byte {at}"),
            Self::NotJson(at) => write!(f, "not JSON at byte {at}"),
            Self::TooDeep => f.write_str("nested too deeply"),
            Self::TooLong(bytes) => write!(f, "the message of {bytes} bytes is longer than the limit"),
            Self::NotAnObject => f.write_str("not a JSON object (batches exist only in 2025-03-26)"),
            Self::DuplicateMember(key) => write!(f, "the member {key:?} stands twice"),
            Self::NotJsonRpc2 => f.write_str("the member \"jsonrpc\" must be \"2.0\""),
            Self::BadId => f.write_str("the member \"id\" must be a short string or an integer of at most 64 bits"),
            Self::BadMethod => f.write_str("the member \"method\" must be a string"),
            Self::BadParams => f.write_str("the member \"params\" must be an object"),
            Self::BadParam(key) => write!(f, "the member params.{key} has the wrong type"),
            Self::BadResultMember(key) => write!(f, "the member result.{key} is not what it must be"),
            Self::BadResult => f.write_str("the member \"result\" must be an object"),
            Self::BadError => {
                f.write_str("the member \"error\" must have an integer \"code\" and a string \"message\"")
            }
            Self::NotAMessage => f.write_str("needs either \"method\", or exactly one of \"result\" and \"error\""),
        }
    }
}

impl core::error::Error for Fault {}

/// Where the members of a message stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans {
    pub(super) jsonrpc: Span,
    pub(super) id: Span,
    pub(super) method: Span,
    pub(super) params: Span,
    pub(super) result: Span,
    pub(super) error: Span,
    /// Of `params`.
    pub(super) meta: Span,
    /// Members of `result`.
    pub(super) result_meta: Span,
    pub(super) result_type: Span,
    pub(super) input_requests: Span,
    pub(super) request_state: Span,
    /// The rest are members of `params`.
    pub(super) name: Span,
    pub(super) uri: Span,
    pub(super) arguments: Span,
}

/// Finds the members of the message in `text`.
pub(super) fn scan(text: &str, depth: u8) -> Result<Spans, Fault> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, depth: 0, limit: u32::from(depth.min(MAX_DEPTH)) };
    let mut spans = Spans::default();
    scanner.space();
    if scanner.peek() != Some(b'{') {
        // An array or a bare value is told apart from text that is no JSON at all.
        scanner.value()?;
        scanner.end()?;
        return Err(Fault::NotAnObject);
    }
    scanner.members(|scanner, key| {
        let (slot, name) = match key {
            "jsonrpc" => (&mut spans.jsonrpc, "jsonrpc"),
            "id" => (&mut spans.id, "id"),
            "method" => (&mut spans.method, "method"),
            "error" => (&mut spans.error, "error"),
            "params" => {
                scanner.once(&mut spans.params, "params", |scanner| {
                    scanner.object_or_value(|scanner, key| match key {
                        "_meta" => scanner.once(&mut spans.meta, "params._meta", Scanner::value),
                        "name" => scanner.once(&mut spans.name, "params.name", Scanner::value),
                        "uri" => scanner.once(&mut spans.uri, "params.uri", Scanner::value),
                        "arguments" => scanner.once(&mut spans.arguments, "params.arguments", Scanner::value),
                        _ => scanner.value(),
                    })
                })?;
                return Ok(());
            }
            "result" => {
                let Spans { result, result_meta, result_type, input_requests, request_state, .. } = &mut spans;
                scanner.once(result, "result", |scanner| {
                    scanner.object_or_value(|scanner, key| match key {
                        "_meta" => scanner.once(result_meta, "result._meta", Scanner::value),
                        "resultType" => scanner.once(result_type, "result.resultType", Scanner::value),
                        "inputRequests" => scanner.once(input_requests, "result.inputRequests", Scanner::value),
                        "requestState" => scanner.once(request_state, "result.requestState", Scanner::value),
                        _ => scanner.value(),
                    })
                })?;
                return Ok(());
            }
            _ => return scanner.value(),
        };
        scanner.once(slot, name, Scanner::value)
    })?;
    scanner.end()?;
    Ok(spans)
}

/// Calls `member` with the key and the text of the value of each member of the object `text`.
pub(crate) fn members<'a>(text: &'a str, mut member: impl FnMut(&str, &'a str)) -> Result<(), Fault> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, depth: 0, limit: MAX_DEPTH.into() };
    scanner.space();
    if scanner.peek() != Some(b'{') {
        scanner.value()?;
        scanner.end()?;
        return Err(Fault::NotAnObject);
    }
    scanner.members(|scanner, key| {
        let start = scanner.at;
        scanner.value()?;
        member(key, text.get(start..scanner.at).unwrap_or_default());
        Ok(())
    })?;
    scanner.end()
}

/// The texts of the elements of `text`, if it is an array.
#[cfg(feature = "http")]
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    Elements::of(text).into_iter().flatten()
}

/// The elements of an array, one after the other, without a list of them: a hostile array has millions.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a> {
    scanner: Scanner<'a>,
    ended: bool,
}

impl<'a> Elements<'a> {
    /// Of `text`, if it is an array.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, depth: 0, limit: MAX_DEPTH.into() };
        scanner.space();
        if scanner.take().ok()? != b'[' {
            return None;
        }
        scanner.space();
        let ended = scanner.peek() == Some(b']');
        Some(Self { scanner, ended })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.ended {
            return None;
        }
        self.scanner.space();
        let start = self.scanner.at;
        // The text was scanned before, so this cannot fail; if it does, the array ends here.
        self.ended = self.scanner.value().is_err();
        let element = self.scanner.text.get(start..self.scanner.at);
        self.scanner.space();
        self.ended |= self.scanner.take() != Ok(b',');
        element
    }
}

/// A bit per level is kept in a `u128`.
const MAX_DEPTH: u8 = 128;

#[derive(Clone, Debug)]
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many containers are open around `at`.
    depth: u32,
    limit: u32,
}

impl<'a> Scanner<'a> {
    fn once(
        &mut self,
        slot: &mut Span,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if *slot != Span::default() {
            return Err(Fault::DuplicateMember(name));
        }
        let start = self.at;
        read(self)?;
        *slot = Span::new(start..self.at);
        Ok(())
    }

    /// Reads an object's members, calling `member` in front of each value; it must read that value.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Result<(), Fault>) -> Result<(), Fault> {
        self.open()?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            member(self, &key)?;
            self.space();
            match self.take()? {
                b',' => {}
                b'}' => break,
                _ => return Err(Fault::NotJson(self.at - 1)),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn object_or_value(&mut self, member: impl FnMut(&mut Self, &str) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.peek() == Some(b'{') { self.members(member) } else { self.value() }
    }

    /// Reads one value of any kind without noting anything.
    fn value(&mut self) -> Result<(), Fault> {
        let base = self.depth;
        // Bit n tells whether the container at level n is an object; levels never pass 128.
        let mut objects = 0u128;
        loop {
            self.space();
            match self.peek().ok_or(Fault::NotJson(self.at))? {
                b'"' => self.string()?,
                b'{' => {
                    self.open()?;
                    self.space();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        objects |= 1 << (self.depth - 1);
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.open()?;
                    self.space();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        self.depth -= 1;
                    } else {
                        objects &= !(1 << (self.depth - 1));
                        continue;
                    }
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number()?,
            }
            // A value has ended: go on in its container, or end containers until one goes on.
            loop {
                if self.depth == base {
                    return Ok(());
                }
                let in_object = objects >> (self.depth - 1) & 1 == 1;
                self.space();
                match (self.take()?, in_object) {
                    (b',', true) => {
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => self.depth -= 1,
                    _ => return Err(Fault::NotJson(self.at - 1)),
                }
            }
        }
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.depth == self.limit {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Reads a member's key and the colon behind it, and stands at the value.
    fn key(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(Fault::NotJson(self.at));
        }
        self.string()?;
        let quoted = self.text.get(start..self.at).ok_or(Fault::NotJson(start))?;
        self.space();
        if self.take()? != b':' {
            return Err(Fault::NotJson(self.at - 1));
        }
        self.space();
        Ok(text::key(quoted))
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.plain()?;
            if self.take()? == b'"' {
                return Ok(());
            }
            match self.take()? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                b'u' => {
                    for _ in 0..4 {
                        if !self.take()?.is_ascii_hexdigit() {
                            return Err(Fault::NotJson(self.at - 1));
                        }
                    }
                }
                _ => return Err(Fault::NotJson(self.at - 1)),
            }
        }
    }

    /// Reads on to the next quote or backslash. Most of a large message is here, so long runs go many bytes at a time.
    fn plain(&mut self) -> Result<(), Fault> {
        const SHORT: usize = 32;
        let rest = &self.bytes[self.at..];
        let ends = |byte: u8| byte == b'"' || byte == b'\\';
        let short = rest.iter().take(SHORT).position(|byte| ends(*byte));
        let run = match short {
            Some(run) => run,
            None => {
                let skipped = rest.len().min(SHORT);
                skipped + memchr::memchr2(b'"', b'\\', &rest[skipped..]).unwrap_or(rest.len() - skipped)
            }
        };
        // Control characters must be escaped. Asked of the whole run first, which the compiler does in wide steps.
        if rest[..run].iter().fold(false, |found, byte| found | (*byte < 0x20)) {
            let control = rest[..run].iter().position(|byte| *byte < 0x20).unwrap_or(run);
            return Err(Fault::NotJson(self.at + control));
        }
        self.at += run;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Fault::NotJson(self.at)) } else { Ok(()) }
    }

    fn literal(&mut self, word: &str) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Fault::NotJson(self.at));
        }
        self.at += word.len();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(Fault::NotJson(self.at)) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self) -> Result<u8, Fault> {
        let byte = self.peek().ok_or(Fault::NotJson(self.at))?;
        self.at += 1;
        Ok(byte)
    }
}
