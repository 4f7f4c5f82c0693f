//! Events as they are written and read, however the bytes are split (specification: basic/transports; HTML, 9.2.6).

use std::string::{String, ToString as _};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use super::{Decoder, Event, EventTooLong, comment, event};
use crate::Limits;

/// An event that was read, or the error for one that was too long.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Event { name: Option<String>, id: Option<String>, retry: Option<u64>, data: String },
    TooLong,
}

fn message(data: &str) -> Seen {
    Seen::Event { name: None, id: None, retry: None, data: data.into() }
}

fn with_id(data: &str, id: &str) -> Seen {
    Seen::Event { name: None, id: Some(id.into()), retry: None, data: data.into() }
}

/// Reads the stream in these pieces: its events, and where it goes on.
fn read<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<String>, Option<Duration>) {
    let mut decoder = Decoder::new(limit);
    let mut seen = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(event)) => seen.push(Seen::Event {
                    name: event.name.map(Into::into),
                    id: event.id.map(Into::into),
                    retry: event.retry.map(|wait| u64::try_from(wait.as_millis()).unwrap()),
                    data: String::from_utf8_lossy(event.data).into(),
                }),
                Err(EventTooLong { limit: told }) => {
                    assert_eq!(told, limit);
                    seen.push(Seen::TooLong);
                }
            }
            assert!(decoder.buffered() <= limit, "never more than the limit");
        }
        assert!(piece.is_empty(), "everything is used up");
        assert!(decoder.buffered() <= limit, "never more than the limit");
    }
    (seen, decoder.last_event_id().map(Into::into), decoder.retry())
}

const LIMIT: usize = 60;

/// Streams, and what is in them.
fn table() -> Vec<(&'static [u8], Vec<Seen>)> {
    vec![
        (b"", vec![]),
        (b"data: a\n\n", vec![message("a")]),
        // Line ends of all kinds, also mixed.
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", vec![message("a"), message("b"), message("c")]),
        (b"data: a\n\rdata: b\r\n\ndata: c\r\r\n", vec![message("a"), message("b"), message("c")]),
        (b"data: a\n\r\ndata: b\r\n\r", vec![message("a"), message("b")]),
        (b"\n\n\r\r\ndata: a\n\n\n\n\r\n", vec![message("a")]),
        // One space behind the colon belongs to the field.
        (b"data:a\n\ndata:  a\n\ndata: a \n\ndata:\ta\n\n", vec![message("a"), message(" a"), message("a "), message("\ta")]),
        // Lines of data.
        (b"data: a\ndata: b\n\n", vec![message("a\nb")]),
        (b"data\ndata: b\ndata\n\n", vec![message("\nb\n")]),
        (b"data:\ndata:\n\n", vec![message("\n")]),
        (b"data: a\nevent: x\ndata: b\n\n", vec![Seen::Event { name: Some("x".into()), id: None, retry: None, data: "a\nb".into() }]),
        // A byte order mark, but only where the stream begins.
        (b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n", vec![message("a")]),
        (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n", vec![]),
        (b"\xEF\xBBdata: a\n\ndata: b\n\n", vec![message("b")]),
        (b"\xEF\xBB\xBF\ndata: a\n\n", vec![message("a")]),
        // Comments, unknown fields, fields that only look like known ones.
        (b": ka\n\n:\n:data: x\ndata: a\n: in between\ndata: b\n\n", vec![message("a\nb")]),
        (b"dat: x\nDATA: x\n data: x\ndata : x\ndatas: x\nx\ndata: a\n\n", vec![message("a")]),
        // Without data there is no message, whatever else there is.
        (b"data\n\ndata:\n\ndata: \n\nevent: message\n\nid: 1\n\n", vec![]),
        (b"event: x\n\ndata: a\n\n", vec![message("a")]),
        (b"event: x\nevent: message\ndata: a\n\nevent: x\nevent:\ndata: b\n\n", vec![message("a"), message("b")]),
        (b"event: \xFF\ndata: a\n\n", vec![Seen::Event { name: Some("\u{FFFD}".into()), id: None, retry: None, data: "a".into() }]),
        // Ids stay until there is another.
        (b"id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\n", vec![with_id("a", "1"), with_id("b", "1"), with_id("c", "2")]),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\nid: 2\ndata: c\n\nid:\ndata: d\n\n", vec![with_id("a", "1"), message("b"), with_id("c", "2"), message("d")]),
        (b"id: 1\nid: 2\ndata: a\n\nid: x\0y\ndata: b\n\nid: \xFF\ndata: c\n\n", vec![with_id("a", "2"), with_id("b", "2"), with_id("c", "2")]),
        (b"id:  1 \ndata: a\n\n", vec![with_id("a", " 1 ")]),
        // How long to wait: digits only.
        (
            b"retry: 5\ndata: a\n\nretry: +5\ndata: b\n\nretry: 5s\nretry:\nretry: 99999999999999999999\ndata: c\n\n",
            vec![
                Seen::Event { name: None, id: None, retry: Some(5), data: "a".into() },
                message("b"),
                Seen::Event { name: None, id: None, retry: Some(u64::MAX), data: "c".into() },
            ],
        ),
        // What is not whole is discarded.
        (b"data: a", vec![]),
        (b"data: a\n", vec![]),
        (b"data: a\n\ndata: b\nid: 9\n", vec![message("a")]),
        // Text outside of ASCII, and line ends that are none here.
        ("data: é\u{2028}\u{2029}\u{85}\u{b}\u{c}😀\n\n".as_bytes(), vec![message("é\u{2028}\u{2029}\u{85}\u{b}\u{c}😀")]),
        (b"data: a\0b\n\n", vec![message("a\0b")]),
        // The limit: 54 bytes of data and the name of the field are the most.
        (b"data: 123456789012345678901234567890123456789012345678901234\n\n", vec![message("123456789012345678901234567890123456789012345678901234")]),
        (b"data: 1234567890123456789012345678901234567890123456789012345\n\ndata: b\n\n", vec![Seen::TooLong, message("b")]),
        (b"id: 7\ndata: 12345678901234567890123456789\ndata: 12345678901234567890\nid: 8\ndata: x\n\ndata: b\n\n", vec![Seen::TooLong, with_id("b", "8")]),
        (b"1234567890123456789012345678901234567890123456789012345678901\n1234567890123456789012345678901234567890123456789012345678901\n\n", vec![Seen::TooLong]),
        (b"id: 7\ndata: 1234567890123456789012345678901234567890123456789012345\n\ndata: b\n\n", vec![Seen::TooLong, with_id("b", "7")]),
        // Comments do not count, however many and long.
        (b":1234567890123456789012345678901234567890123456789012345678901234567890\n: 12345678901234567890123456789012345678901234\ndata: a\n\n", vec![message("a")]),
    ]
}

/// The stream says the same however its bytes happen to be split: in the middle of CRLF, of a character, of the mark at its start.
#[test]
fn pain_6_every_split_gives_the_same_events() {
    for (stream, expected) in table() {
        let shown = String::from_utf8_lossy(stream);
        let whole = read(LIMIT, [stream]);
        assert_eq!(whole.0, expected, "{shown:?}");
        assert_eq!(read(LIMIT, stream.chunks(1)), whole, "{shown:?}");
        for first in 0..=stream.len() {
            let (head, tail) = stream.split_at(first);
            assert_eq!(read(LIMIT, [head, tail]), whole, "at {first}: {shown:?}");
            if stream.len() < 40 && !cfg!(miri) {
                for second in first..=stream.len() {
                    let pieces = [head, &stream[first..second], b"", &stream[second..]];
                    assert_eq!(read(LIMIT, pieces), whole, "at {first} and {second}: {shown:?}");
                }
            }
        }
    }
}

/// Events that only tell an id were given to the parser of JSON, which ended the stream; and clients forgot where they were when a stream
/// broke before its first message.
#[test]
fn pain_16_an_event_without_data_is_no_message_but_tells_where_to_go_on() {
    let mut decoder = Decoder::default();
    let priming = b"id: 7\nretry: 500\ndata: \n\n";
    assert_eq!(decoder.next(&mut &priming[..]), Ok(None));
    assert_eq!(decoder.last_event_id(), Some("7"));
    assert_eq!(decoder.retry(), Some(Duration::from_millis(500)));

    // What is not whole says nothing; and the next stream goes on where this one was.
    assert_eq!(decoder.next(&mut &b"id: 8\ndata: {"[..]), Ok(None));
    assert_eq!(decoder.last_event_id(), Some("7"));
    decoder.begin_anew();
    assert_eq!((decoder.last_event_id(), decoder.retry()), (Some("7"), Some(Duration::from_millis(500))));
    assert_eq!(decoder.buffered(), 0);
    let mut input = &b"\xEF\xBB\xBFdata: {}\n\n"[..];
    assert_eq!(decoder.next(&mut input), Ok(Some(Event::new(b"{}").with_id("7"))));
}

/// Where the stream goes on after each stream of the table.
#[test]
fn the_last_id_is_the_one_of_the_last_whole_event() {
    let table: &[(&[u8], Option<&str>)] = &[
        (b"", None),
        (b"id: 1\n", None),
        (b"id: 1\n\n", Some("1")),
        (b"id: 1\n\nid: 2", Some("1")),
        (b"id: 1\n\nid: 2\n", Some("1")),
        (b"id: 1\n\nid\n\n", None),
        (b"id: 1\n\nid:\n\nid: a\0\n\n", None),
        (b"id: 1\n\n: comment\n\n", Some("1")),
    ];
    for (stream, expected) in table {
        assert_eq!(read(LIMIT, [*stream]).1.as_deref(), *expected, "{:?}", String::from_utf8_lossy(stream));
    }
}

/// What is written is read, with LF for every line end, and nothing else is read: no event breaks out of another.
#[test]
fn no_data_breaks_out_of_its_event() {
    let datas: &[&str] = &[
        "{}",
        "{\"s\":\"\u{2028}\u{2029}\u{85}é😀\"}",
        " leading",
        "a\nb",
        "a\rb",
        "a\r\nb",
        "a\n\rb",
        "\n",
        "\r\n",
        "a\n\nevent: x\ndata: b\n\n",
        "a\r\rid: x\r\r",
        ": no comment",
        "data: data",
        "a\n",
        "\u{feff}a",
        "a\0b",
    ];
    for data in datas {
        let mut out = b": at once\n\n".to_vec();
        event(&mut out, &Event::new(data.as_bytes()).with_id("1"));
        comment(&mut out, "a\n\ndata: comment");
        event(&mut out, &Event::new(b"end"));
        let read_back = data.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(read(1000, [&out[..]]).0, [with_id(&read_back, "1"), with_id("end", "1")], "{data:?}");
        assert!(!out.contains(&b'\r'));
    }
    // Names and ids come out of one line too.
    for text in ["a\nb", "a\r\nb", "a\0b", "\n\ndata: x\n\n"] {
        let mut out = Vec::new();
        event(&mut out, &Event::new(b"x").with_name(text).with_id(text));
        let kept: String = text.chars().filter(|it| !matches!(it, '\n' | '\r' | '\0')).collect();
        let expected = Seen::Event { name: Some(kept.clone()), id: Some(kept), retry: None, data: "x".into() };
        assert_eq!(read(1000, [&out[..]]).0, [expected], "{text:?}");
    }
}

#[test]
fn golden_bytes() {
    let table = [
        (Event::new(b"{}"), "data: {}\n\n"),
        (Event::new(b"{}").with_name("message").with_id("s/1"), "event: message\nid: s/1\ndata: {}\n\n"),
        (Event::new(b"").with_id("s/0").with_retry(Duration::from_millis(1500)), "id: s/0\nretry: 1500\ndata: \n\n"),
        (Event::new(b"/messages?session=1").with_name("endpoint"), "event: endpoint\ndata: /messages?session=1\n\n"),
        (Event::new(b"").with_retry(Duration::MAX), "retry: 18446744073709551615\ndata: \n\n"),
        (Event::new(b"").with_retry(Duration::from_micros(999)), "retry: 0\ndata: \n\n"),
    ];
    for (written, expected) in table {
        let mut out = Vec::new();
        event(&mut out, &written);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
    let mut out = Vec::new();
    comment(&mut out, "");
    assert_eq!(out, b": \n\n");
}

/// A large event takes steps in proportion to its length, in pieces of whatever size; also if it is passed over, and also if it is
/// made of many lines.
#[test]
fn pain_38_a_large_event_takes_steps_in_proportion_to_its_length() {
    const LENGTH: usize = 2 * 1024 * 1024;
    let one_line = [b"data: ".to_vec(), vec![b'x'; LENGTH]].concat();
    let many_lines: Vec<u8> = b"data: x\n".iter().copied().cycle().take(LENGTH).collect();
    let comments: Vec<u8> = b":xxxx\r\n".iter().copied().cycle().take(LENGTH).collect();
    for stream in [&one_line, &many_lines, &comments] {
        for (size, limit) in
            [(1, Decoder::LIMIT), (64 * 1024, Decoder::LIMIT), (64 * 1024, LENGTH / 8), (LENGTH * 2, Decoder::LIMIT)]
        {
            let mut decoder = Decoder::new(limit);
            let mut errors = 0;
            for mut piece in stream.chunks(size) {
                while !piece.is_empty() {
                    match decoder.next(&mut piece) {
                        Ok(event) => assert_eq!(event, None),
                        Err(EventTooLong { .. }) => errors += 1,
                    }
                }
            }
            assert!(errors <= 1, "the error comes once");
            let steps = decoder.steps;
            assert!(steps <= 6 * LENGTH as u64, "{steps} steps in pieces of {size}");
        }
    }
}

/// What a frame may be is what the data of an event may be.
#[test]
fn an_event_of_16_mib_is_read_and_one_byte_more_than_the_limit_is_not() {
    let frame = Limits::default().frame;
    let mut decoder = Decoder::default();
    assert_eq!(decoder.next(&mut &[b"data: ".to_vec(), vec![b'x'; frame]].concat()[..]), Ok(None));
    let event = decoder.next(&mut &b"\n\n"[..]).unwrap().unwrap();
    assert_eq!(event.data.len(), frame);

    let data = vec![b'x'; Decoder::LIMIT - 5];
    assert_eq!(read(Decoder::LIMIT, [&b"data:"[..], &data, b"\n\n"]).0.len(), 1);
    assert_eq!(read(Decoder::LIMIT, [&b"data: "[..], &data, b"\n\n"]).0, [Seen::TooLong]);
    assert_eq!(EventTooLong { limit: 5 }.to_string(), "the event is longer than the limit of 5 bytes");
}
