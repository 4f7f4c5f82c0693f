//! Reads the id out of a text that is no message, so that its sender gets an answer instead of silence.
//!
//! Works byte by byte in constant memory, also on lines that are thrown away for their length, and trusts only what
//! stands at the top level of the object: an id quoted inside an argument is never taken for the message's own.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::id::RequestId;

/// What could be read so far.
#[derive(Clone, Debug)]
pub(crate) struct Salvage {
    depth: u32,
    place: Place,
    in_string: bool,
    escaped: bool,
    /// The bytes of the key, or of the value of `id`, that is being read.
    held: Vec<u8>,
    /// Whether the value being read is the id's.
    reads_id: bool,
    /// The id's JSON text, once its value has ended.
    id: Option<Vec<u8>>,
    /// Whether a second id makes the first worthless.
    ambiguous: bool,
    has_id: bool,
    has_method: bool,
    has_outcome: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Key,
    Colon,
    Value,
    /// Behind the object, or in something that never was one.
    Lost,
}

impl Salvage {
    pub(crate) const fn new() -> Self {
        Self {
            depth: 0,
            place: Place::Before,
            in_string: false,
            escaped: false,
            held: Vec::new(),
            reads_id: false,
            id: None,
            ambiguous: false,
            has_id: false,
            has_method: false,
            has_outcome: false,
        }
    }

    /// Reads on.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.place == Place::Lost {
                return;
            }
            self.step(byte);
        }
    }

    /// The id as JSON text, if the object has exactly one and it is a string or an integer.
    pub(crate) fn id(&self) -> Option<Box<str>> {
        let id = core::str::from_utf8(self.id.as_deref()?).ok()?.trim();
        (!self.ambiguous && is_id(id)).then(|| id.into())
    }

    /// Whether the object was meant as a response: it has an outcome and no method.
    pub(crate) fn is_response(&self) -> bool {
        self.has_outcome && !self.has_method
    }

    /// Whether the object was meant as a notification: it ended, has a method, and nowhere an id.
    pub(crate) fn is_notification(&self) -> bool {
        self.place == Place::Lost && self.has_method && !self.has_outcome && !self.has_id
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.hold(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    if self.depth == 1 && self.place == Place::Key {
                        self.place = Place::Colon;
                    }
                }
                _ => {}
            }
            return;
        }
        match byte {
            b'{' | b'[' => {
                if self.depth == 0 {
                    self.place = if byte == b'{' { Place::Key } else { Place::Lost };
                }
                self.depth = self.depth.saturating_add(1);
                self.hold(byte);
            }
            b'}' | b']' => {
                if self.depth == 1 {
                    self.end_value();
                    self.place = Place::Lost;
                }
                self.depth = self.depth.saturating_sub(1);
                self.hold(byte);
            }
            b',' if self.depth == 1 => {
                self.end_value();
                self.held.clear();
                self.place = Place::Key;
            }
            b':' if self.depth == 1 && self.place == Place::Colon => self.begin_value(),
            b'"' => {
                if self.place == Place::Before {
                    self.place = Place::Lost;
                }
                self.in_string = true;
                if self.depth == 1 && self.place == Place::Key {
                    self.held.clear();
                }
                self.hold(byte);
            }
            _ if byte.is_ascii_whitespace() => self.hold(byte),
            // A byte order mark, perhaps cut in pieces: tolerated or not elsewhere, here it hides no id.
            0xEF | 0xBB | 0xBF if self.place == Place::Before => {}
            _ if self.place == Place::Before => self.place = Place::Lost,
            _ => self.hold(byte),
        }
    }

    fn hold(&mut self, byte: u8) {
        let wanted = self.place == Place::Key || self.place == Place::Value && self.reads_id;
        if wanted && self.held.len() <= RequestId::LONGEST {
            self.held.push(byte);
        }
    }

    fn begin_value(&mut self) {
        self.place = Place::Value;
        let key = core::str::from_utf8(&self.held).map_or_else(|_| "".into(), super::text::key);
        self.reads_id = key == "id";
        self.has_id |= self.reads_id;
        self.has_method |= key == "method";
        self.has_outcome |= key == "result" || key == "error";
        self.held.clear();
    }

    fn end_value(&mut self) {
        if self.place == Place::Value && core::mem::take(&mut self.reads_id) {
            self.ambiguous |= self.id.is_some();
            self.id = Some(core::mem::take(&mut self.held));
        }
    }
}

/// Whether a JSON text is a string or an integer, of whatever size.
fn is_id(text: &str) -> bool {
    if text.len() > RequestId::LONGEST {
        return false;
    }
    if text.starts_with('"') {
        return serde_json::from_str::<String>(text).is_ok();
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}
