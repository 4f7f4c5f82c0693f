//! `bytes`: whatever comes over the wire, to either role in either era; in pieces it means the same.

use std::time::Duration;

use mcp_proto::{Body, ErrorObject, Event, InboundId, ResultKind};
use serde_json::json;

use crate::choices::Choices;
use crate::setup;
use crate::side::Side;

/// The bytes: a side, the length of the pieces, and what its peer sends.
pub fn bytes(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut sides = [data, data].map(|data| setup::any(&mut Choices::new(data)));
    setup::any(&mut choices);
    let length = choices.below(40) + 1;
    let stream = choices.rest();
    let [whole, pieces] = &mut sides;
    let expected = read(whole, [stream]);
    assert_eq!(read(pieces, stream.chunks(length)), expected, "10: pieces of {length} give the same output");
    for side in &mut sides {
        side.conn.handle_eof(side.now);
        side.check();
        side.finish();
    }
}

/// What the side sends and tells, if it is looked at after each line.
fn read<'a>(side: &mut Side, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<String>) {
    let (mut out, mut told) = (Vec::new(), Vec::new());
    look(side, &mut out, &mut told);
    for piece in pieces {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = part.to_vec();
            while !rest.is_empty() && side.conn.wants_input() {
                side.feed(&mut rest, usize::MAX);
                look(side, &mut out, &mut told);
                side.check();
            }
        }
    }
    side.wait(Duration::from_secs(1));
    look(side, &mut out, &mut told);
    (out, told)
}

/// Takes all that there is, and answers some of it.
fn look(side: &mut Side, out: &mut Vec<u8>, told: &mut Vec<String>) {
    loop {
        let events = side.events(usize::MAX);
        let taken = side.transmit(usize::MAX, out);
        if events.is_empty() && taken == 0 {
            return;
        }
        for event in events {
            told.push(format!("{event:?}"));
            match event {
                Event::Request { id, message, .. } => answer(side, id, message.text().len()),
                Event::InputRequired { id, requests } => {
                    let answer = |key: String| (key, Body::result(&json!({"roots": []})).expect("a result"));
                    let answers = requests.into_keys().map(answer).collect();
                    side.asked.remove(&id);
                    side.conn.supply_input(side.now, id, &answers).expect("it was asked for");
                }
                Event::Ready { .. } if !side.is_server() => {
                    let body = Body::new("tools/call", &json!({"name": "t"})).expect("a body");
                    if let Ok(call) = side.conn.request(side.now, body, mcp_proto::CallOptions::default()) {
                        side.called(call);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Answers a request or leaves it, by how long it is, which does not depend on the pieces.
fn answer(side: &mut Side, id: InboundId, length: usize) {
    let sent = match length % 4 {
        0 => return,
        1 => side.conn.reject(side.now, id, &ErrorObject::internal("no")),
        2 if side.grant(id, &Default::default()) => return,
        _ => {
            let body = Body::result(&json!({"content": []})).expect("a result");
            side.conn.respond(side.now, id, ResultKind::Complete, body, None)
        }
    };
    if sent.is_ok() {
        side.answered(id, false);
    }
}
