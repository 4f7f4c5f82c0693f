//! The queues against vectors: order, bytes, and what is taken back.

use std::format;
use std::vec;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::connection::Rule;
use crate::jsonrpc::Fault;

/// The same cases every time.
const SEED: RngSeed = RngSeed::Fixed(1);
/// Under Miri each takes a thousand times as long.
const CASES: u32 = if cfg!(miri) { 2 } else { 512 };

/// Something that happens to the output.
#[derive(Clone, Debug)]
enum Step {
    Push(Of, usize),
    Pop,
    /// The driver takes so many bytes.
    Drain(usize),
    TakeBack(u64),
    DropWithin(u64),
    DropReply(u64),
    Clear,
}

/// What a frame is about.
#[derive(Clone, Copy, Debug)]
enum Of {
    Call(u64),
    Reply(u64),
    Within(u64),
    Notice,
}

use Step::*;

fn transmit(of: Of, size: usize) -> Transmit {
    let padding = "x".repeat(size);
    let (about, frame) = match of {
        Of::Call(id) => (About::Call(OutboundId(id)), format!(r#"{{"method":"{padding}","id":{id}}}"#)),
        Of::Reply(id) => (About::Reply(InboundId(id)), format!(r#"{{"result":{{"a":"{padding}"}},"id":{id}}}"#)),
        Of::Within(id) => (About::Within(InboundId(id)), format!(r#"{{"method":"{padding}"}}"#)),
        Of::Notice => (About::Notice, format!(r#"{{"method":"{padding}"}}"#)),
    };
    Transmit::new(Origin::STREAM, about, frame.into_bytes())
}

/// What is expected of `retain`: the frames that stay, and how many go.
fn without(frames: &mut Vec<Transmit>, goes: impl Fn(About) -> bool) -> usize {
    let before = frames.len();
    frames.retain(|frame| !goes(frame.about));
    before - frames.len()
}

fn step() -> impl Strategy<Value = Step> {
    let of = prop_oneof![
        (0..3u64).prop_map(Of::Call),
        (0..3u64).prop_map(Of::Reply),
        (0..3u64).prop_map(Of::Within),
        Just(Of::Notice),
    ];
    prop_oneof![
        8 => (of, 0..40usize).prop_map(|(of, size)| Push(of, size)),
        2 => Just(Pop),
        3 => (0..200usize).prop_map(Drain),
        1 => (0..3u64).prop_map(TakeBack),
        1 => (0..3u64).prop_map(DropWithin),
        1 => (0..3u64).prop_map(DropReply),
        1 => Just(Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: SEED, ..ProptestConfig::with_cases(CASES) })]

    /// Frames leave in the order in which they came, each once, and every byte is counted.
    #[test]
    fn the_output_is_a_list(steps in proptest::collection::vec(step(), 0..40)) {
        const LIMIT: usize = 100;
        let mut output = Output::new(LIMIT);
        let mut naive = Vec::new();
        for step in steps {
            match step {
                Push(of, size) => {
                    output.push(transmit(of, size));
                    naive.push(transmit(of, size));
                }
                Pop => {
                    let first = if naive.is_empty() { None } else { Some(naive.remove(0)) };
                    prop_assert_eq!(output.pop(), first);
                }
                Drain(at_most) => {
                    let mut out = Vec::new();
                    let mut left = Vec::new();
                    let drained = output.drain_lines(&mut out, at_most, |about| left.push(about)) as usize;
                    prop_assert!(drained > 0 || naive.is_empty());
                    prop_assert!(left.iter().eq(naive[..drained].iter().map(|it| &it.about)));
                    let lines: Vec<u8> = naive.drain(..drained).flat_map(|it| [it.frame, vec![b'\n']].concat()).collect();
                    prop_assert!(lines.len() <= at_most.max(1) || drained == 1, "no more than was asked for, but one");
                    prop_assert_eq!(out, lines);
                }
                TakeBack(id) => {
                    let taken = without(&mut naive, |about| about == About::Call(OutboundId(id)));
                    prop_assert_eq!(output.take_back(OutboundId(id)), taken > 0);
                }
                DropWithin(id) => {
                    let ids = [About::Within(InboundId(id)), About::Reply(InboundId(id))];
                    prop_assert_eq!(output.drop_within(InboundId(id)), without(&mut naive, |about| ids.contains(&about)));
                }
                DropReply(id) => {
                    let reply = About::Reply(InboundId(id));
                    let dropped = output.drop_reply_to(Origin::STREAM, &format!("{id}"));
                    // With what was to be said before it.
                    let is_there = naive.iter().any(|it| it.about == reply);
                    let ids = [About::Within(InboundId(id)), reply];
                    let expected = without(&mut naive, |about| is_there && ids.contains(&about));
                    prop_assert_eq!(dropped, expected);
                }
                Clear => {
                    output.clear();
                    naive.clear();
                }
            }
            let bytes: usize = naive.iter().map(|it| it.frame.len() + 1).sum();
            prop_assert_eq!((output.bytes(), output.is_empty()), (bytes, naive.is_empty()));
            prop_assert_eq!((output.is_full(), output.is_writable()), (bytes > LIMIT, bytes <= LIMIT / 2));
            let newest = naive.last().map_or(0, |it| it.frame.len() + 1);
            prop_assert_eq!(output.is_twice_full(), bytes - newest > 2 * LIMIT);
        }
    }

    /// So do events, whether they find the queue empty or not.
    #[test]
    fn events_are_a_list(steps in proptest::collection::vec(proptest::option::of(0..50usize), 0..60)) {
        let event = |size: usize| Event::Misbehaved { rule: Rule::Malformed(Fault::BadId), detail: "x".repeat(size) };
        let mut events = Events::new(500);
        let mut naive = Vec::new();
        for step in steps {
            match step {
                Some(length) => {
                    events.push(event(length));
                    naive.push(event(length));
                }
                None => {
                    let first = if naive.is_empty() { None } else { Some(naive.remove(0)) };
                    prop_assert_eq!(format!("{:?}", events.pop()), format!("{first:?}"));
                }
            }
            let bytes: usize = naive.iter().map(size).sum();
            prop_assert_eq!((events.bytes(), events.is_empty()), (bytes, naive.is_empty()));
            prop_assert_eq!(events.is_full(), bytes > 500);
        }
    }
}

/// A burst does not pin its memory: once it is over, the queue is as small as before.
#[test]
fn a_queue_that_was_long_is_small_again() {
    let mut output = Output::new(usize::MAX);
    (0..1000).for_each(|id| output.push(transmit(Of::Call(id), 1)));
    assert_eq!(output.drain_lines(&mut Vec::new(), usize::MAX, |_| {}), 1000);
    assert!(output.frames.capacity() <= KEEP && output.bytes() == 0);
}
