//! How the bytes of a line come: at once, one by one, or in every possible pair of pieces.

use std::fmt;

use mcp_proto::{Connection, Timestamp};

/// How the bytes of a line come.
#[derive(Clone, Copy)]
pub(crate) enum Chunks {
    Whole,
    Bytes,
    EveryPair,
}

impl Chunks {
    /// Feeds one line to a connection.
    pub(crate) fn feed(self, conn: &mut Connection, now: Timestamp, line: &str) {
        let line = format!("{line}\n");
        let before = conn.clone();
        let take = |conn: &mut Connection, piece: &[u8]| assert_eq!(conn.handle_input(now, piece), piece.len());
        match self {
            Self::Whole => take(conn, line.as_bytes()),
            Self::Bytes => line.as_bytes().chunks(1).for_each(|byte| take(conn, byte)),
            Self::EveryPair => {
                take(conn, line.as_bytes());
                let whole = Outcome::of(conn.clone(), now);
                let split = |at| {
                    let mut conn = before.clone();
                    let (head, tail) = line.as_bytes().split_at(at);
                    take(&mut conn, head);
                    take(&mut conn, tail);
                    conn
                };
                for at in 1..line.len() {
                    if !whole.is_that_of(split(at), now) {
                        assert_eq!(Outcome::of(split(at), now), whole, "split at {at}: {line}");
                    }
                }
            }
        }
    }
}

/// What has become of a connection: what it says, what it tells, and what is left in it, by which everything that it will
/// ever say is decided.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    said: Vec<u8>,
    rest: String,
}

impl Outcome {
    fn of(mut conn: Connection, now: Timestamp) -> Self {
        let mut outcome = Self { said: Vec::new(), rest: String::new() };
        outcome.said = drain(&mut conn, now);
        describe(conn, &mut outcome.rest);
        outcome
    }

    fn is_that_of(&self, mut conn: Connection, now: Timestamp) -> bool {
        let mut rest = Same { expected: self.rest.as_bytes(), is_same: self.said == drain(&mut conn, now) };
        describe(conn, &mut rest);
        rest.is_same && rest.expected.is_empty()
    }
}

fn drain(conn: &mut Connection, now: Timestamp) -> Vec<u8> {
    // Nothing more has come; a line that had to be put together is forgotten by that.
    conn.handle_input(now, b"");
    let mut said = Vec::new();
    conn.drain_lines(&mut said, usize::MAX);
    said
}

fn describe(mut conn: Connection, out: &mut impl fmt::Write) {
    while let Some(event) = conn.poll_event() {
        write!(out, "{event:?}").unwrap();
    }
    write!(out, "{conn:?}").unwrap();
}

/// Compares what is written with what should be, without keeping it.
struct Same<'a> {
    expected: &'a [u8],
    is_same: bool,
}

impl fmt::Write for Same<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.expected.strip_prefix(text.as_bytes()) {
            Some(rest) => self.expected = rest,
            None => self.is_same = false,
        }
        Ok(())
    }
}
