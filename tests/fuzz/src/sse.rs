//! `sse`: any stream in any pieces gives the events that a naive reader finds, within the limit; and what is written is read.

use std::time::Duration;

use arbitrary::Unstructured;
use mcp_proto::http::sse::{Decoder, Event, comment, event};

use crate::choices::cut;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Read {
    events: Vec<Seen>,
    last_id: Option<String>,
    retry: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Event { name: Option<String>, id: Option<String>, retry: Option<Duration>, data: Vec<u8> },
    TooLong,
}

/// The bytes: a limit, how many pieces of which lengths, and the stream.
pub fn sse(data: &[u8]) {
    let mut choices = Unstructured::new(data);
    let limit = choices.choose(&[0, 1, 7, 16, 60, 1000]).copied().unwrap_or_default();
    let pieces = choices.int_in_range(0..=7).unwrap_or_default();
    let lengths: Vec<usize> = (0..pieces).map(|_| choices.int_in_range(0..=100).unwrap_or_default()).collect();
    let stream = choices.take_rest();

    let whole = read(limit, [stream]);
    assert_eq!(whole, naive(limit, stream), "the events of the stream");
    assert_eq!(read(limit, cut(stream, &lengths)), whole, "the same events however the stream is cut");
    assert_eq!(read(limit, stream.chunks(1)), whole, "byte by byte");
    written(stream);
}

/// What is written is read, and nothing else: the stream is what the application says, in three parts.
fn written(stream: &[u8]) {
    let mut parts = stream.splitn(3, |byte| *byte == b'|');
    let mut part = || parts.next().unwrap_or_default();
    let (name, id, data) = (String::from_utf8_lossy(part()), String::from_utf8_lossy(part()), part());
    let retry = Duration::from_millis(stream.len() as u64);
    let mut out = Vec::new();
    event(&mut out, &Event::new(data).with_name(&name).with_id(&id).with_retry(retry));
    comment(&mut out, &name);
    event(&mut out, &Event::new(b"end"));

    let kept = |text: &str| text.replace(['\n', '\r', '\0'], "");
    let (name, id) = (kept(&name), Some(kept(&id)).filter(|id| !id.is_empty()));
    let lines = unix(data);
    let first = Seen::Event {
        name: Some(name).filter(|name| !name.is_empty() && name != "message"),
        id: id.clone(),
        retry: Some(retry),
        data: lines.clone(),
    };
    let last = Seen::Event { name: None, id: id.clone(), retry: None, data: b"end".to_vec() };
    let events = if lines.is_empty() { vec![last] } else { vec![first, last] };
    assert_eq!(read(usize::MAX, [&out[..]]), Read { events, last_id: id, retry: Some(retry) }, "what was written");
}

fn read<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(event)) => events.push(Seen::Event {
                    name: event.name.map(Into::into),
                    id: event.id.map(Into::into),
                    retry: event.retry,
                    data: event.data.into(),
                }),
                Err(_) => events.push(Seen::TooLong),
            }
            assert!(decoder.buffered() <= limit, "never more than the limit");
        }
        assert!(piece.is_empty(), "everything is used up");
        assert!(decoder.buffered() <= limit, "never more than the limit");
    }
    Read { events, last_id: decoder.last_event_id().map(Into::into), retry: decoder.retry() }
}

/// With LF for every line end.
fn unix(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && stream[at - 1] == b'\r' => {}
            b'\r' => out.push(b'\n'),
            _ => out.push(*byte),
        }
    }
    out
}

/// Holds everything, and looks at it line by line.
fn naive(limit: usize, stream: &[u8]) -> Read {
    let mark = "\u{feff}".as_bytes();
    if stream.len() < 3 && mark.starts_with(stream) {
        return Read::default();
    }
    let stream = unix(stream.strip_prefix(mark).unwrap_or(stream));
    let mut lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    // Behind the last line end stands what is not whole; it may be too long already.
    let unfinished = lines.pop().unwrap_or_default();

    let mut read = Read::default();
    let (mut name, mut id, mut retry, mut data) = (String::new(), None::<String>, None, Vec::new());
    let (mut kept, mut is_over) = (0, false);
    for line in lines {
        if line.starts_with(b":") {
            continue;
        }
        if line.is_empty() {
            if let Some(id) = id.take() {
                read.last_id = Some(id).filter(|id| !id.is_empty());
            }
            if data.len() > 1 {
                data.pop();
                let name = Some(name).filter(|name| !name.is_empty() && name != "message");
                read.events.push(Seen::Event { name, id: read.last_id.clone(), retry, data });
            }
            (name, retry, data, kept, is_over) = (String::new(), None, Vec::new(), 0, false);
            continue;
        }
        if kept + line.len() > limit {
            if !is_over {
                read.events.push(Seen::TooLong);
            }
            (name, data, kept, is_over) = (String::new(), Vec::new(), id.as_ref().map_or(0, String::len), true);
            continue;
        }
        kept += line.len();
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, &b""[..]), |colon| (&line[..colon], &line[colon + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = std::str::from_utf8(value);
        match field {
            b"data" if !is_over => data.extend(value.iter().chain(b"\n")),
            b"event" => name = text.unwrap_or("\u{FFFD}").into(),
            b"id" if !value.contains(&0) => id = text.ok().map(Into::into).or(id),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let wait = text.ok().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX);
                (retry, read.retry) = (Some(Duration::from_millis(wait)), Some(Duration::from_millis(wait)));
            }
            _ => {}
        }
    }
    if !unfinished.starts_with(b":") && !is_over && kept + unfinished.len() > limit {
        read.events.push(Seen::TooLong);
    }
    read
}
