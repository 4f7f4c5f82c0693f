//! Whatever an exchange is told and in whatever order: a head, data, the end, and every message once.

use core::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::About;

/// The same cases every time.
const SEED: RngSeed = RngSeed::Fixed(1);
/// Under Miri each takes a thousand times as long.
const CASES: u32 = if cfg!(miri) { 2 } else { 512 };

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Something that is said on the way.
    Says,
    /// The reply to one request of several.
    Replies,
    /// The last that its connection sends: a result, or an error of this code.
    Ends(Option<i64>),
    Finish,
    /// So many milliseconds go by.
    Passes(u64),
    /// The driver is late, or early.
    Wakes,
    Takes,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Says),
        2 => Just(Step::Replies),
        1 => Just(Step::Ends(None)),
        1 => prop_oneof![Just(-32601), Just(-32603), Just(-32602)].prop_map(|code| Step::Ends(Some(code))),
        1 => Just(Step::Finish),
        4 => (0..20_000_u64).prop_map(Step::Passes),
        2 => Just(Step::Wakes),
        6 => Just(Step::Takes),
    ]
}

/// What came out so far, checked as it comes.
#[derive(Default)]
struct Told {
    head: Option<Head>,
    body: Vec<u8>,
    ended: bool,
}

impl Told {
    fn take(&mut self, exchange: &mut Exchange) {
        let before = exchange.buffered();
        match exchange.poll_output() {
            None => return assert_eq!(before, 0, "bytes that nobody is given"),
            Some(_) if self.ended => panic!("something after the end"),
            Some(Output::Head(head)) => assert_eq!(self.head.replace(head), None, "a second head"),
            Some(Output::Data(data)) => {
                assert!(self.head.is_some() && !data.is_empty(), "data before the head, or none");
                assert_eq!(exchange.buffered(), before - data.len());
                self.body.extend_from_slice(&data);
            }
            Some(Output::End) => {
                assert!(self.head.is_some(), "an end without a head");
                self.ended = true;
            }
        }
        assert_eq!(exchange.is_over(), self.ended, "the end is the last");
    }

    /// The messages in it, in their order.
    fn messages(&self) -> Vec<String> {
        let Some(head) = &self.head else { return Vec::new() };
        let text = String::from_utf8(self.body.clone()).unwrap();
        match head.headers.get("content-type").map(|value| value.as_bytes()) {
            Some(b"application/json") => [text].into_iter().filter(|text| !text.is_empty()).collect(),
            Some(b"text/event-stream") => {
                assert_eq!(head.status, 200, "a stream is committed before anything can fail");
                let (mut decoder, mut input, mut messages) = (sse::Decoder::new(1 << 20), text.as_bytes(), Vec::new());
                while let Some(event) = decoder.next(&mut input).unwrap() {
                    messages.push(String::from_utf8(event.data.to_vec()).unwrap());
                }
                messages
            }
            other => {
                assert_eq!((other, head.status.as_u16(), text.as_str()), (None, 202, ""));
                Vec::new()
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: SEED, failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn an_exchange_is_a_head_data_and_an_end(
        body in prop_oneof![Just(call("x")), Just("[]".into()), Just(r#"{"jsonrpc":"2.0","method":"x"}"#.into())],
        era in prop_oneof![Just(Era::Modern), Just(Era::Legacy)],
        preference in prop_oneof![Just(Preference::Json), Just(Preference::Events)],
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let body: String = body;
        let mut now = NOW;
        let mut exchange = Exchange::new(era, &message(&body), &HttpLimits::default(), now).preferring(preference);
        let is_accepted = exchange.is_ended();
        let (mut response, mut told) = (Told::default(), Vec::new());
        for (n, step) in steps.into_iter().enumerate() {
            let is_open = !exchange.is_ended();
            let mut push = |about, last, error: Option<i64>| {
                let frame = std::format!(r#"{{"n":{n}}}"#);
                let error = error.map(ErrorCode);
                if is_open {
                    told.push(frame.clone());
                }
                let frame = frame.into_bytes();
                exchange.push(now, Transmit { origin: Origin::new(1), about, last, error, attachment: None, frame });
            };
            match step {
                Step::Says => push(About::Notice, false, None),
                Step::Replies => push(About::Refusal, false, None),
                Step::Ends(error) => push(About::Refusal, true, error),
                Step::Finish => exchange.finish(),
                Step::Passes(millis) => now = now + Duration::from_millis(millis),
                Step::Wakes => exchange.handle_timeout(now),
                Step::Takes => response.take(&mut exchange),
            }
            // After it was told the time, nothing is due that was.
            exchange.handle_timeout(now);
            prop_assert!(exchange.poll_timeout().is_none_or(|due| due > now));
            prop_assert_eq!(exchange.poll_timeout().is_none(), exchange.is_ended());
        }
        let was_ended = exchange.is_ended();
        exchange.finish();
        while !response.ended {
            response.take(&mut exchange);
        }
        response.take(&mut exchange);
        let messages = response.messages();
        prop_assert_eq!(&messages[..told.len().min(messages.len())], &told[..], "each once, in order");
        // What it says of its own accord is that it ended unanswered.
        let own = &messages[told.len()..];
        prop_assert!(own.len() <= 1 && own.iter().all(|own| own.contains("-32603")), "{:?}", own);
        prop_assert!(!is_accepted || messages.is_empty());
        prop_assert!(was_ended || response.ended);
    }
}
