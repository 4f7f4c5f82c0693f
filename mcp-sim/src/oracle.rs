//! The naive oracle: what must come of what, said again in the simplest way, without the code that it judges.

use mcp_proto::{Connection, Timestamp};
use serde_json::{Value, json};

use crate::seen::{Hash, Seen};
use crate::workload::{Plan, TEXT};

/// What a handler answers to a request with this tag.
#[must_use]
pub(crate) fn result(tag: &str, plan: Plan) -> Value {
    let pad = if let Plan::Big(size) = plan { "é".repeat(size / 2) } else { String::new() };
    json!({ "content": [], "structuredContent": { "tag": tag, "text": TEXT, "pad": pad } })
}

/// Whether this result answers the request with this tag.
pub(crate) fn is_result(found: &Value, tag: &str, plan: Plan) -> bool {
    found["structuredContent"] == result(tag, plan)["structuredContent"]
}

/// Cuts bytes into lines, one byte after the other, whatever their size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8], lines: &mut Vec<Vec<u8>>) {
        for byte in bytes {
            if *byte == b'\n' {
                self.finish(lines);
            } else {
                self.line.push(*byte);
            }
        }
    }

    pub(crate) fn finish(&mut self, lines: &mut Vec<Vec<u8>>) {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line).trim_ascii();
        if !line.is_empty() {
            lines.push(line.to_vec());
        }
    }
}

/// Takes the same bytes again, one at a time: what differs from taking them at once, if anything does.
pub(crate) fn chunking_differs(
    mut before: Connection,
    after: &Connection,
    now: Timestamp,
    bytes: &[u8],
) -> Option<String> {
    for byte in bytes {
        if before.handle_input(now, std::slice::from_ref(byte)) == 0 {
            break;
        }
    }
    let (by_bytes, at_once) = (outputs(before), outputs(after.clone()));
    if by_bytes == at_once {
        return None;
    }
    let common = by_bytes.iter().zip(&at_once).take_while(|(one, other)| one == other).count();
    Some(format!("{} outputs byte by byte, {} at once; {common} are the same", by_bytes.len(), at_once.len()))
}

/// Everything that a connection has to say, and when it wants to be woken: a hash of each, since it may be much, and often.
fn outputs(mut conn: Connection) -> Vec<Hash> {
    let of = |add: &dyn Fn(&mut Hash)| {
        let mut hash = Hash::START;
        add(&mut hash);
        hash
    };
    let state = format!("{:?} {} {:?}", conn.poll_timeout(), conn.buffered_bytes(), conn.stats());
    let mut all = vec![of(&|hash| hash.add(0, state.as_bytes()))];
    while let Some(transmit) = conn.poll_transmit() {
        all.push(of(&|hash| hash.add(3, &transmit.frame)));
    }
    while let Some(event) = conn.poll_event() {
        all.push(of(&|hash| Seen::Told(&event).digest(hash)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        lines.push(b"\xEF\xBB\xBFa\r\n\n b", &mut found);
        lines.finish(&mut found);
        assert_eq!(found, [b"a".to_vec(), b"b".to_vec()]);
    }

    #[test]
    fn an_answer_is_known_by_its_tag() {
        let answer = result("a", Plan::Big(10));
        assert!(is_result(&answer, "a", Plan::Big(10)));
        assert!(!is_result(&answer, "b", Plan::Big(10)) && !is_result(&answer, "a", Plan::Echo));
    }
}
