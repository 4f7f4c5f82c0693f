//! `line`: any stream in any pieces gives the lines that a naive reader finds, and holds no more than the limit.

use arbitrary::Unstructured;
use mcp_proto::Limits;
use mcp_proto::jsonrpc::Message;
use mcp_proto::line::{Line, LineBuffer};

use crate::choices::cut;

/// What a line was.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Whole(Vec<u8>),
    /// How many bytes it had.
    TooLong(u64),
}

/// The bytes: a limit, how many pieces of which lengths, and the stream.
pub fn line(data: &[u8]) {
    let mut choices = Unstructured::new(data);
    let limit = choices.choose(&[0, 1, 7, 16, 60, 1000]).copied().unwrap_or_default();
    let pieces = choices.int_in_range(0..=7).unwrap_or_default();
    let lengths: Vec<usize> = (0..pieces).map(|_| choices.int_in_range(0..=200).unwrap_or_default()).collect();
    let stream = choices.take_rest();

    let whole = read(limit, [stream]);
    assert_eq!(whole, naive(limit, stream), "the lines of the stream");
    assert_eq!(read(limit, cut(stream, &lengths)), whole, "the same lines however the stream is cut");
    assert_eq!(read(limit, stream.chunks(1)), whole, "byte by byte");
}

fn read<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut buffer = LineBuffer::new(limit);
    let mut seen = Vec::new();
    for mut piece in pieces {
        while let Some(line) = buffer.next(&mut piece) {
            seen.push(see(line));
        }
        assert!(piece.is_empty(), "everything is used up");
        assert!(buffer.buffered() <= limit, "never more than the limit");
    }
    seen.extend(buffer.finish().map(see));
    assert!(buffer.finish().is_none(), "the last line comes once");
    seen
}

fn see(line: Line<'_>) -> Seen {
    match line {
        Line::Whole(bytes) => Seen::Whole(bytes.to_vec()),
        Line::TooLong(oversize) => {
            let bytes = oversize.bytes;
            // What was read of it in passing is looked at as well.
            let message = Message::scan_line(Line::TooLong(oversize), &Limits::default());
            assert!(message.fault().is_some());
            Seen::TooLong(bytes)
        }
    }
}

/// Byte by byte, holding everything.
fn naive(limit: usize, stream: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut line = Vec::new();
    let mut is_first = true;
    for byte in stream.iter().copied().chain([b'\n']) {
        if byte != b'\n' {
            line.push(byte);
            continue;
        }
        let mut text = std::mem::take(&mut line);
        let length = text.len();
        if std::mem::take(&mut is_first) && text.starts_with("\u{feff}".as_bytes()) {
            text.drain(..3);
        }
        if length > limit {
            seen.push(Seen::TooLong(length as u64));
        } else if !text.trim_ascii().is_empty() {
            seen.push(Seen::Whole(text.trim_ascii().to_vec()));
        }
    }
    seen
}
