//! Cutting streams into lines: the same however they are split, and in bounded memory (specification: basic/transports, stdio).

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{Line, LineBuffer};
use crate::connection::Limits;
use crate::jsonrpc::{Kind, Message};

/// What a line was.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Whole(Vec<u8>),
    /// Its length, and the id that was read in passing.
    TooLong(u64, Option<String>),
}

fn see(line: Line<'_>) -> Seen {
    match line {
        Line::Whole(bytes) => Seen::Whole(bytes.to_vec()),
        Line::TooLong(oversize) => {
            let bytes = oversize.bytes;
            let message = Message::scan_line(Line::TooLong(oversize), &Limits::default());
            assert_eq!(message.kind(), Kind::Malformed);
            Seen::TooLong(bytes, message.echo().map(String::from))
        }
    }
}

/// Pushes the stream in these pieces.
fn lines<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
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
    assert_eq!(buffer.finish().map(see), None, "the last line comes once");
    seen
}

/// Splits on LF, slowly. What it says of lines that are too long is their length.
fn oracle(limit: usize, stream: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (number, line) in stream.split(|byte| *byte == b'\n').enumerate() {
        if line.len() > limit {
            seen.push(Seen::TooLong(line.len() as u64, None));
            continue;
        }
        let line = if number == 0 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
        let line = line.trim_ascii();
        if !line.is_empty() {
            seen.push(Seen::Whole(line.to_vec()));
        }
    }
    seen
}

fn without_ids(seen: Vec<Seen>) -> Vec<Seen> {
    let strip = |seen| if let Seen::TooLong(bytes, _) = seen { Seen::TooLong(bytes, None) } else { seen };
    seen.into_iter().map(strip).collect()
}

fn whole(text: &str) -> Seen {
    Seen::Whole(text.as_bytes().to_vec())
}

/// Streams that are awkward to cut.
fn corpus() -> Vec<Vec<u8>> {
    let long = "x".repeat(40);
    [
        String::new(),
        "\n".into(),
        "\n\n\r\n \t\r\n".into(),
        "a".into(),
        "a\n".into(),
        "a\r\nb\r\n\r\nc".into(),
        "a\rb\n\rc\r\r\n".into(),
        "\u{feff}{\"a\":1}\n{\"b\":2}\n".into(),
        "\u{feff}\n\u{feff}x\n".into(),
        "\n\u{feff}x\n".into(),
        "\u{feff}".into(),
        "\u{feff}\u{feff}a\n\u{feff}".into(),
        "{\"s\":\"\u{2028}\u{2029}\u{85}\u{b}\u{c}\"}\n{\"é\":\"😀\"}\r\n".into(),
        format!("{long}\nb\n{long}"),
        format!("a\n{{\"id\":7,\"method\":\"{long}\"}}\r\nb"),
        format!("{{\"method\":\"{long}\",\"id\":\"é\"}}\n{{\"method\":\"{long}\",\"params\":{{\"id\":1}}}}\n"),
        format!("\u{feff}{{\"i\\u0064\":-3,\"x\":\"\\\"}}{long}\"}}\n"),
        format!("{{\"id\":1,\"id\":2,\"m\":\"{long}\"}}\n{{\"id\":{{\"id\":1}},\"m\":\"{long}\"}}\n"),
        "0123456789abcdef\n0123456789abcdefg\n0123456789abcde\r\n0123456789abcdef\r\n".into(),
        format!("{}\n", " ".repeat(50)),
    ]
    .into_iter()
    .map(String::into_bytes)
    .chain([b"\xEF\xBB\n\xEF\xBB\xBF\n".to_vec(), b"\xFF\xFE{}\n\0\n".to_vec()])
    .collect()
}

const LIMIT: usize = 16;

/// Under Miri everything takes a thousand times as long, so only some of the places to cut at are tried. No number of bytes that one
/// character or word of the streams has.
const STEP: usize = if cfg!(miri) { 11 } else { 1 };

/// "Messages are delimited by newlines, and MUST NOT contain embedded newlines": a line ends at LF and nowhere else,
/// wherever the bytes happen to be split.
#[test]
fn every_split_gives_the_same_lines() {
    for stream in corpus() {
        for limit in if cfg!(miri) { &[LIMIT][..] } else { &[0, 1, LIMIT, 1000] }.iter().copied() {
            let expected = lines(limit, [&stream[..]]);
            assert_eq!(without_ids(expected.clone()), oracle(limit, &stream), "{:?}", String::from_utf8_lossy(&stream));
            for at in (0..=stream.len()).step_by(STEP) {
                let (head, tail) = stream.split_at(at);
                assert_eq!(lines(limit, [head, tail]), expected, "at {at}: {:?}", String::from_utf8_lossy(&stream));
                assert_eq!(lines(limit, [head, b"", tail, b""]), expected);
            }
            assert_eq!(lines(limit, stream.chunks(1)), expected, "{:?}", String::from_utf8_lossy(&stream));
        }
    }
}

/// Three pieces, everywhere, of one short stream of all kinds of lines.
#[test]
fn every_split_in_three_gives_the_same_lines() {
    let stream = "\u{feff}a\r\n\n{\"id\":1,\"m\":\"xxxxxxxxxxxx\"}\r\nb\u{2028}\nc".as_bytes();
    let expected = lines(LIMIT, [stream]);
    assert_eq!(expected, [whole("a"), Seen::TooLong(28, Some("1".into())), whole("b\u{2028}"), whole("c"),]);
    for first in (0..=stream.len()).step_by(STEP) {
        for second in (first..=stream.len()).step_by(STEP) {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(lines(LIMIT, pieces), expected, "{first} {second}");
        }
    }
}

/// Readers that were given up in the middle of a line lost it, or the next one: all ways to cut a stream give the same lines.
#[test]
fn pain_6_all_ways_to_cut_a_stream_give_the_same_lines() {
    let stream = "\u{feff}a\r\n{\"id\":1}\nb\r\n".as_bytes();
    let expected = lines(8, [stream]);
    assert_eq!(expected, [whole("a"), whole("{\"id\":1}"), whole("b")]);
    for cuts in 0..1_u32 << (stream.len() - 1) {
        let mut rest = stream;
        let mut pieces = Vec::new();
        for at in (1..stream.len()).rev().filter(|at| cuts >> (at - 1) & 1 == 1) {
            let (head, tail) = rest.split_at(at);
            pieces.push(tail);
            rest = head;
        }
        pieces.push(rest);
        assert_eq!(lines(8, pieces.into_iter().rev()), expected, "{cuts:b}");
    }
}

/// A line of 64 MB took the square of its length when it came in small pieces: what was there was looked through, or copied, again.
#[test]
fn pain_38_a_large_line_takes_steps_in_proportion_to_its_length() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let line = vec![b'x'; LENGTH];
    // One that is kept, and one that is longer than the limit.
    for (size, limit) in [(1, LENGTH), (64 * 1024, LENGTH), (64 * 1024, LENGTH / 8)] {
        let mut buffer = LineBuffer::new(limit);
        for mut piece in line.chunks(size) {
            assert!(buffer.next(&mut piece).is_none());
        }
        let Some(seen) = buffer.next(&mut &b"\n"[..]) else { panic!("no line") };
        assert_eq!(matches!(seen, Line::Whole(bytes) if bytes.len() == LENGTH), limit == LENGTH);
        // Each byte is looked at once and copied once, and copied again once, all told, while the buffer doubles.
        assert!(buffer.steps.0 <= 4 * LENGTH as u64, "{} steps in pieces of {size}", buffer.steps.0);
    }
}

/// CRLF, blank lines and a missing last line end are tolerated; a byte order mark only where a stream begins.
#[test]
fn what_is_tolerated_is_tolerated() {
    assert_eq!(lines(LIMIT, [&b"a\r\n\r\n\n  \r\nb"[..]]), [whole("a"), whole("b")]);
    assert_eq!(lines(LIMIT, ["\u{feff}a\n\u{feff}b\n".as_bytes()]), [whole("a"), whole("\u{feff}b")]);
    assert_eq!(lines(LIMIT, ["\n\u{feff}b\n".as_bytes()]), [whole("\u{feff}b")]);
    assert_eq!(lines(LIMIT, [&b" \t"[..]]), []);
    assert_eq!(lines(LIMIT, ["{\"a\":\"\u{2028}\u{85}\"}".as_bytes()]), [whole("{\"a\":\"\u{2028}\u{85}\"}")]);
}

/// A line of exactly the limit is whole, one byte more is not, and the next line is read from its start.
#[test]
fn the_limit_is_exact() {
    for pieces in [1, 3, 1000] {
        let stream = format!("{}\n{}\nok\n{}", "x".repeat(LIMIT), "y".repeat(LIMIT + 1), "z".repeat(LIMIT));
        let seen = lines(LIMIT, stream.as_bytes().chunks(pieces));
        let expected =
            [whole(&"x".repeat(LIMIT)), Seen::TooLong(LIMIT as u64 + 1, None), whole("ok"), whole(&"z".repeat(LIMIT))];
        assert_eq!(seen, expected);
        let stream = "z".repeat(LIMIT + 1);
        let seen = lines(LIMIT, stream.as_bytes().chunks(pieces));
        assert_eq!(seen, [Seen::TooLong(LIMIT as u64 + 1, None)], "the last line, too");
    }
}

/// The id of a line that is too long is read in passing, wherever it stands, if it is the message's own and only one.
#[test]
fn the_id_of_a_line_that_is_too_long_is_kept() {
    let pad = "x".repeat(300);
    for (line, id) in [
        (format!(r#"{{"id":1,"method":"{pad}"}}"#), Some("1")),
        (format!(r#"{{"method":"{pad}","id":2}}"#), Some("2")),
        (format!(r#"{{"method":"{pad}" , "id" : "a\"b" , "params":{{}}}}"#), Some(r#""a\"b""#)),
        (format!(r#"{{"params":{{"id":9,"a":[{{"id":8}}]}},"id":3,"method":"{pad}"}}"#), Some("3")),
        (format!(r#"{{"method":"{pad}","params":{{"id":4}}}}"#), None),
        (format!(r#"{{"method":"{pad}","params":[{{"id":4}}],"x":"\"id\":4,"}}"#), None),
        (format!(r#"{{"a":"\\","id":5,"method":"{pad}"}}"#), Some("5")),
        (format!(r#"{{"id":6,"method":"{pad}","id":7}}"#), None),
        (format!(r#"{{"id":null,"method":"{pad}"}}"#), None),
        (format!(r#"{{"id":1.5,"method":"{pad}"}}"#), None),
        (format!(r#"{{"id":{{"id":1}},"method":"{pad}"}}"#), None),
        (format!(r#"[{{"id":1,"method":"{pad}"}}]"#), None),
        (format!(r#"{{"id":"{pad}","method":"{pad}"}}"#), Some(&*format!("\"{pad}\""))),
        (String::from("no object ") + &pad, None),
    ] {
        for stream in [line.clone(), format!("{line}\n"), format!("{line}\r\n")] {
            for pieces in if cfg!(miri) { &[7][..] } else { &[1, 7, 10_000] }.iter().copied() {
                let seen = lines(LIMIT, stream.as_bytes().chunks(pieces));
                let [Seen::TooLong(_, found)] = &seen[..] else { panic!("{seen:?}") };
                assert_eq!(found.as_deref(), id, "{line}");
            }
        }
    }
}

/// 200 MB without a line end cost no more than the limit, and the next line is served.
#[test]
fn a_line_without_an_end_costs_no_memory() {
    let limit = 100_000;
    let mut buffer = LineBuffer::new(limit);
    let chunk = vec![b'x'; 64 * 1024];
    let mut bytes = 0u64;
    // Under Miri what is not held shows as well with little.
    let enough = if cfg!(miri) { 300_000 } else { 200_000_000 };
    while bytes < enough {
        let mut input = &chunk[..];
        assert!(buffer.next(&mut input).is_none() && input.is_empty());
        assert!(buffer.buffered() <= limit);
        bytes += chunk.len() as u64;
    }
    assert_eq!(buffer.buffered(), 0, "what is known to be too long is not held");
    let mut input = &b"\nok\n"[..];
    assert_eq!(buffer.next(&mut input).map(see), Some(Seen::TooLong(bytes, None)));
    assert_eq!(buffer.next(&mut input).map(see), Some(whole("ok")));
    assert_eq!(buffer.next(&mut input).map(see), None);
}

/// What was handed out is not held any more.
#[test]
fn a_line_that_was_handed_out_is_not_held() {
    let mut buffer = LineBuffer::new(1000);
    assert!(buffer.next(&mut &b"0123456789"[..]).is_none());
    assert_eq!(buffer.buffered(), 10);
    assert_eq!(buffer.next(&mut &b"ab\n"[..]).map(see), Some(whole("0123456789ab")));
    assert_eq!(buffer.buffered(), 0);
    assert!(buffer.next(&mut &b""[..]).is_none());
    assert_eq!(buffer.finish().map(see), None);
}

/// The same cases every time.
const SEED: RngSeed = RngSeed::Fixed(1);
/// Under Miri each takes a thousand times as long.
const CASES: u32 = if cfg!(miri) { 2 } else { 1024 };

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(&b"\n\r {}[]\",:\\id123x"[..]).prop_map(|byte| vec![byte]),
        1 => Just("\u{feff}".as_bytes().to_vec()),
        1 => Just("\u{2028}\u{85}".as_bytes().to_vec()),
        1 => Just(b"{\"id\":1,\"method\":\"m\"}".to_vec()),
        1 => Just(b"\"id\":".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: SEED, ..ProptestConfig::with_cases(CASES) })]

    /// Any stream, in any pieces, gives the lines that a naive reader finds.
    #[test]
    fn any_pieces_of_any_stream_give_its_lines(
        stream in stream(),
        limit in 0..60usize,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        let seen = lines(limit, pieces);
        prop_assert_eq!(&seen, &lines(limit, [&stream[..]]));
        prop_assert_eq!(without_ids(seen), oracle(limit, &stream));
    }
}

/// A connection that has had a message in two pieces holds nothing of it while it is idle; one in the middle of a message loses nothing.
#[test]
fn released_storage_holds_no_bytes_and_loses_none() {
    let mut buffer = LineBuffer::new(1024);
    assert!(buffer.next(&mut &b"{\"a\""[..]).is_none());
    buffer.release();
    let mut input = &b":1}\n"[..];
    assert_eq!(buffer.next(&mut input).map(see), Some(Seen::Whole(b"{\"a\":1}".to_vec())));
    assert!(buffer.tail.capacity() > 0);
    buffer.release();
    assert_eq!(buffer.tail.capacity(), 0);
    let mut input = &b"{}\n"[..];
    assert_eq!(buffer.next(&mut input).map(see), Some(Seen::Whole(b"{}".to_vec())));
}
