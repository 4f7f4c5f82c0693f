//! `pair`: a client and a server of ours on a wire that loses nothing, in whatever order things happen.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_proto::model::{LogParams, LoggingLevel, Progress, SubscriptionFilter};
use mcp_proto::{
    Body, CallOptions, Change, CloseReason, Deadlines, ErrorObject, Event, InboundId, InputRequired, OutboundId,
    RequestError, RespondError, ResultKind, Scope, Wanted,
};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::setup;
use crate::side::Side;

/// No input is worth more steps than this.
const MOST_STEPS: usize = 200;

/// The bytes: how the two are set up, and what happens when.
pub fn pair(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::new(setup::pair(&mut choices));
    for _ in 0..MOST_STEPS {
        if choices.are_over() {
            break;
        }
        world.step(&mut choices);
        world.check();
    }
    world.run_to_the_end();
    for side in &mut world.sides {
        side.finish();
    }
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

struct World {
    /// The client and the server.
    sides: [Side; 2],
    /// What each has sent and the other has not read.
    wires: [Vec<u8>; 2],
    /// The number that each open call asks to have back.
    numbers: [BTreeMap<OutboundId, u64>; 2],
    next: u64,
    /// Whether each knows that the other has ended.
    eof: [bool; 2],
    /// Whether so much time has passed that calls may run out of it.
    was_long: bool,
    /// Whether a side was ended on purpose, so that what was open may be lost.
    was_ended: bool,
}

impl World {
    fn new(sides: [Side; 2]) -> Self {
        let (wires, numbers) = (Default::default(), Default::default());
        Self { sides, wires, numbers, next: 0, eof: [false; 2], was_long: false, was_ended: false }
    }

    fn check(&self) {
        self.sides.iter().for_each(Side::check);
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let at = choices.below(2);
        match choices.below(16) {
            0..3 => self.call(choices, at),
            3..6 => self.work(choices, at),
            6 => {
                let open: Vec<OutboundId> = self.sides[at].open.iter().copied().collect();
                if let Some(call) = choices.any(&open) {
                    let side = &mut self.sides[at];
                    side.conn.cancel(side.now, call, "enough");
                }
            }
            7..9 => self.transmit(at, [usize::MAX, 1][choices.below(2)]),
            9..11 => self.deliver(at, choices.any(&[usize::MAX, 1, 40, 700]).unwrap_or_default()),
            11 => self.take_events(at, [usize::MAX, 1][choices.below(2)]),
            12 => self.wait(Duration::from_millis(choices.below(50) as u64)),
            13 => self.sides[at].replace(),
            14 => {
                let server = &mut self.sides[SERVER];
                let change = [Change::Tools, Change::Resource("a://0".into())][choices.below(2)].clone();
                server.conn.changed(server.now, &change);
            }
            _ => match choices.below(32) {
                0 => self.end(choices, at),
                1 => {
                    self.was_long = true;
                    self.wait(Duration::from_secs(700));
                }
                _ => {}
            },
        }
    }

    /// One of the two asks the other for something, and for its number back.
    fn call(&mut self, choices: &mut Choices<'_>, at: usize) {
        let methods: &[&str] = match at {
            CLIENT => {
                &["tools/call", "prompts/get", "resources/subscribe", "subscriptions/listen", "ping", "tools/list"]
            }
            _ => &["roots/list", "elicitation/create", "sampling/createMessage", "ping"],
        };
        let method = choices.of(methods);
        let size = choices.any(&[0, 0, 0, 200, 2000]).unwrap_or_default();
        let side = &mut self.sides[at];
        let number = self.next;
        self.next += 1;
        let mut params = json!({"name": "t", "uri": "a://0", "n": number, "text": "x".repeat(size)});
        if method == "subscriptions/listen" {
            params["notifications"] = json!({"toolsListChanged": true, "resourceSubscriptions": ["a://0"]});
        }
        let mut options = CallOptions::default();
        options.progress = if choices.one_in(2) { Wanted::Yes } else { Wanted::No };
        options.within = choices.any(&side.working()).filter(|_| choices.one_in(2));
        options.log_level = choices.one_in(2).then_some(LoggingLevel::Info);
        if method == "subscriptions/listen" {
            options.deadlines = Deadlines::Stream { first: Duration::from_secs(60) };
        }
        if let Ok(call) = side.conn.request(side.now, Body::new(method, &params).expect("a body"), options) {
            side.called(call);
            self.numbers[at].insert(call, number);
        }
    }

    /// An application does something about a request that it has.
    fn work(&mut self, choices: &mut Choices<'_>, at: usize) {
        let side = &mut self.sides[at];
        let working = side.working();
        let Some(id) = choices.any(&working) else {
            // One that was cancelled has ended.
            let over: Vec<InboundId> = side.requests.keys().rev().take(4).copied().collect();
            if let Some(id) = choices.any(&over) {
                side.conn.release(side.now, id);
            }
            return;
        };
        match choices.below(8) {
            0 => {
                let progress = Progress::new(choices.below(20) as f64);
                let _ = side.conn.progress(side.now, id, progress);
            }
            1 => {
                let log = Body::log(&LogParams::new(LoggingLevel::Error, json!("x"))).expect("a log message");
                let _ = side.conn.notify(side.now, log, Scope::Within(id), None);
            }
            2 => {
                if side.conn.reject(side.now, id, &ErrorObject::internal("no")).is_ok() {
                    side.answered(id, false);
                }
            }
            3 => {
                let mut input = InputRequired::default();
                if choices.one_in(2) {
                    input.requests.insert("r".into(), Body::empty("roots/list").expect("a body"));
                }
                input.state = choices.one_in(2).then(|| "state".into());
                let asked = side.conn.require_input(side.now, id, &input);
                if matches!(asked, Ok(()) | Err(RespondError::PeerLacks | RespondError::TooLarge)) {
                    side.answered(id, false);
                }
            }
            _ => answer(side, id, choices.any(&[0, 0, 100, 2000]).unwrap_or_default()),
        }
    }

    fn transmit(&mut self, at: usize, frames: usize) {
        self.sides[at].transmit(frames, &mut self.wires[at]);
    }

    /// What the other side has sent comes here.
    fn deliver(&mut self, at: usize, bytes: usize) {
        self.sides[at].feed(&mut self.wires[1 - at], bytes);
    }

    fn wait(&mut self, time: Duration) {
        self.sides.iter_mut().for_each(|side| side.wait(time));
    }

    fn take_events(&mut self, at: usize, at_most: usize) {
        for event in self.sides[at].events(at_most) {
            match event {
                Event::Response { id, result } => self.check_response(at, id, result),
                Event::Misbehaved { rule, detail } => {
                    // A handshake that ran out of time may leave the two of different minds about the era.
                    assert!(self.was_ended || self.was_long, "4: one of us breaks a rule: {rule:?} {detail}");
                }
                Event::Closed { reason, .. } => self.check_end(&reason),
                _ => {}
            }
        }
    }

    /// Without being told to, a side ends only because the two have no revision in common, or because what it sends is not taken.
    fn check_end(&mut self, reason: &CloseReason) {
        let is_strange = matches!(reason, CloseReason::Misbehaved);
        let is_in_order = match reason {
            CloseReason::NotReading | CloseReason::Incompatible(_) | CloseReason::HandshakeRefused(_) => true,
            CloseReason::HandshakeTimedOut(_) => self.was_long,
            _ => self.was_ended,
        };
        assert!(is_in_order && !is_strange, "12: ended: {reason:?}");
        self.was_ended = true;
    }

    fn check_response(
        &mut self,
        at: usize,
        id: OutboundId,
        result: Result<(ResultKind, mcp_proto::Message), RequestError>,
    ) {
        let number = self.numbers[at].remove(&id).expect("1: a call of ours");
        match result {
            Ok((_, message)) => {
                let result: Value = message.result().expect("a result").decode().expect("an object");
                if let Some(theirs) = result.get("n") {
                    assert_eq!(theirs, &json!(number), "2: the answer to another call");
                }
            }
            Err(RequestError::TimedOut(_)) => assert!(self.was_long, "12: timed out although nothing was slow"),
            Err(RequestError::InvalidResult(fault)) => panic!("3: an answer that cannot be read: {fault}"),
            Err(_) => {}
        }
    }

    fn end(&mut self, choices: &mut Choices<'_>, at: usize) {
        self.was_ended = true;
        let side = &mut self.sides[at];
        match choices.below(3) {
            0 => side.conn.close(side.now, Duration::from_secs(choices.below(10) as u64)),
            1 => side.conn.handle_eof(side.now),
            _ => side.conn.handle_broken(side.now, "broken"),
        }
    }

    /// Everything is delivered and answered: then every call ends, and not because its time is over.
    fn run_to_the_end(&mut self) {
        for _ in 0..2000 {
            let before = self.numbers.iter().map(BTreeMap::len).sum::<usize>();
            let mut moved = false;
            for at in [CLIENT, SERVER] {
                let held = self.wires[at].len();
                self.transmit(at, usize::MAX);
                moved |= self.wires[at].len() > held;
                let held = self.wires[1 - at].len();
                self.deliver(at, usize::MAX);
                moved |= self.wires[1 - at].len() < held;
                self.take_events(at, usize::MAX);
                moved |= self.answer_all(at);
                let is_over = self.sides[at].conn.is_drained() && self.wires[at].is_empty();
                if is_over && !std::mem::replace(&mut self.eof[1 - at], true) {
                    moved = true;
                    let other = &mut self.sides[1 - at];
                    other.conn.handle_eof(other.now);
                }
                self.check();
            }
            let open = self.numbers.iter().map(BTreeMap::len).sum::<usize>();
            if moved || open != before {
                continue;
            }
            // A request that the server wants to have again without a question waits a moment.
            let next = self.sides.iter().filter_map(|side| side.conn.poll_timeout()).min();
            // So does the end of a side that waits for what is in work.
            self.was_long |= self.was_ended;
            let patience = Duration::from_secs(if self.was_long { 1000 } else { 2 });
            let soon = next.filter(|at| *at <= self.sides[CLIENT].now + patience);
            match soon.filter(|_| open > 0) {
                Some(at) => self.wait(at.saturating_since(self.sides[CLIENT].now)),
                None => break,
            }
        }
        for (at, numbers) in self.numbers.iter().enumerate() {
            let left = numbers.keys().filter(|call| !self.is_listening(at, **call)).collect::<Vec<_>>();
            assert!(left.is_empty(), "12: calls without an end: {left:?} {:?}", self.sides[at].conn);
        }
    }

    /// Whether this call is a subscription, which does not end by itself.
    fn is_listening(&self, at: usize, call: OutboundId) -> bool {
        let wire = self.sides[at].conn.wire_id(call);
        let sent = &self.sides[at].sent;
        sent.iter().any(|(id, method)| Some(id) == wire.as_ref() && method == "subscriptions/listen")
    }

    /// The applications answer what they know of; whether there was anything.
    fn answer_all(&mut self, at: usize) -> bool {
        let side = &mut self.sides[at];
        let mut any = false;
        for (id, keys) in std::mem::take(&mut side.asked) {
            let answer = |key: String| (key, Body::result(&json!({"roots": []})).expect("a result"));
            any |= side.conn.supply_input(side.now, id, &keys.into_iter().map(answer).collect()).is_ok();
        }
        for id in side.working() {
            let is_listen = side.requests[&id].method == "subscriptions/listen";
            if is_listen {
                any |= side.grant(id, &everything());
            } else {
                answer(side, id, 0);
                any = true;
            }
        }
        let over: Vec<InboundId> =
            side.requests.iter().filter(|(_, asked)| !asked.is_open).map(|(id, _)| *id).collect();
        for id in over {
            side.conn.release(side.now, id);
        }
        any
    }
}

fn everything() -> SubscriptionFilter {
    let filter = json!({"toolsListChanged": true, "resourceSubscriptions": ["a://0"]});
    serde_json::from_value(filter).expect("a filter")
}

/// Answers with the number of the request, and as many bytes more.
fn answer(side: &mut Side, id: InboundId, size: usize) {
    if side.grant(id, &everything()) {
        return;
    }
    let params: Value = side.requests[&id].message.params().decode().expect("an object");
    let result = json!({"n": params["n"], "text": "x".repeat(size)});
    let own = side.requests[&id].meta.own_answer.clone();
    let body = own.unwrap_or_else(|| Body::result(&result).expect("a result"));
    let sent = side.conn.respond(side.now, id, ResultKind::Complete, body, None);
    if matches!(sent, Ok(()) | Err(RespondError::TooLarge)) {
        side.answered(id, false);
    }
}
