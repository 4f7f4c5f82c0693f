//! What lies between a client and the server for one exchange: delay, pieces, a break at any byte, and proxies with habits.

use std::collections::VecDeque;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mcp_proto::Timestamp;
use mcp_proto::http::Output;

use crate::Prng;

/// What exchanges of a client meet.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// The longest delay of a request or a piece of a response; each has its own, so exchanges overtake each other.
    pub(crate) delay: Duration,
    /// How many of a hundred responses break, and at which byte of their bodies at the latest.
    pub(crate) breaks: u64,
    pub(crate) break_before: u64,
    /// Whether a proxy holds the head back until the body begins, and cuts whoever is idle.
    pub(crate) proxy: bool,
    /// How many of a hundred responses are read slowly.
    pub(crate) slow: u64,
}

impl Weather {
    pub(crate) const CALM: Self = Self { delay: Duration::ZERO, breaks: 0, break_before: 0, proxy: false, slow: 0 };

    pub(crate) fn draw(prng: &mut Prng) -> Self {
        if prng.percent(25) {
            return Self::CALM;
        }
        Self {
            delay: Duration::from_millis(prng.pick(&[0, 1, 30, 3_000])),
            breaks: prng.pick(&[0, 20, 60, 90]),
            break_before: prng.pick(&[1, 10, 200, 2_000]),
            proxy: prng.percent(50),
            slow: prng.pick(&[0, 0, 15]),
        }
    }
}

/// A part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Head(StatusCode, HeaderMap),
    Bytes(Vec<u8>),
    End,
    /// There was more, and it does not come.
    Broken,
}

impl From<Output> for Part {
    fn from(output: Output) -> Self {
        match output {
            Output::Head(head) => Self::Head(head.status, head.headers),
            Output::Data(bytes) => Self::Bytes(bytes.into()),
            Output::End => Self::End,
        }
    }
}

/// The way of one exchange.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    delay: Duration,
    /// How many bytes of the body come through.
    rest: Option<u64>,
    proxy: bool,
    is_slow: bool,
    /// What a proxy holds back.
    held: Option<Part>,
    flying: VecDeque<(Timestamp, Part)>,
    /// When the last piece arrives: they do not overtake each other.
    last: Timestamp,
    /// When the server said something last.
    heard: Timestamp,
    over: bool,
}

/// How long a proxy lets nothing happen.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// How many pieces are on their way before nothing more fits.
const WINDOW: usize = 4;

impl Path {
    pub(crate) fn new(weather: &Weather, prng: &mut Prng, now: Timestamp) -> Self {
        let delay = Duration::from_nanos(prng.below(weather.delay.as_nanos() as u64 + 1));
        let rest = prng.percent(weather.breaks).then(|| prng.below(weather.break_before));
        let is_slow = prng.percent(weather.slow);
        Self {
            delay,
            rest,
            proxy: weather.proxy,
            is_slow,
            held: None,
            flying: VecDeque::new(),
            last: now,
            heard: now,
            over: false,
        }
    }

    /// It breaks behind so many bytes of the body.
    pub(crate) fn breaking_at(mut self, bytes: u64) -> Self {
        self.rest = Some(bytes);
        self
    }

    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether more fits.
    pub(crate) fn has_room(&self) -> bool {
        !self.over && self.flying.len() < WINDOW
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// The server says this. When what comes of it arrives.
    pub(crate) fn put(&mut self, now: Timestamp, part: Part) -> Vec<Timestamp> {
        self.heard = now;
        let mut parts = Vec::new();
        match part {
            Part::Head(..) if self.proxy => self.held = Some(part),
            Part::Head(..) => parts.push(part),
            Part::Bytes(bytes) => {
                parts.extend(self.held.take());
                match &mut self.rest {
                    Some(rest) if (bytes.len() as u64) >= *rest => {
                        parts.push(Part::Bytes(bytes[..*rest as usize].to_vec()));
                        parts.push(Part::Broken);
                        self.over = true;
                    }
                    rest => {
                        if let Some(rest) = rest {
                            *rest -= bytes.len() as u64;
                        }
                        // In two pieces, wherever that is.
                        let (one, two) = bytes.split_at(bytes.len() / 3);
                        let pieces = [one, two].into_iter().filter(|piece| !piece.is_empty());
                        parts.extend(pieces.map(|piece| Part::Bytes(piece.into())));
                    }
                }
            }
            Part::End | Part::Broken => {
                parts.extend(self.held.take());
                parts.push(part);
                self.over = true;
            }
        }
        parts.into_iter().map(|part| self.fly(now, part)).collect()
    }

    /// It breaks now, for both sides.
    pub(crate) fn cut(&mut self, now: Timestamp) -> Timestamp {
        self.over = true;
        self.fly(now, Part::Broken)
    }

    /// The client has closed it.
    pub(crate) fn close(&mut self) {
        self.over = true;
        self.flying.clear();
    }

    /// What arrives now.
    pub(crate) fn land(&mut self, now: Timestamp) -> Option<Part> {
        let (at, _) = self.flying.front()?;
        if *at > now { None } else { self.flying.pop_front().map(|(_, part)| part) }
    }

    /// When a proxy loses its patience; it never does with somebody who reads slowly.
    pub(crate) fn impatient_at(&self) -> Option<Timestamp> {
        (self.proxy && !self.over && self.flying.is_empty()).then(|| self.heard + IDLE)
    }

    fn fly(&mut self, now: Timestamp, part: Part) -> Timestamp {
        let slowness = if self.is_slow { Duration::from_secs(2) } else { Duration::ZERO };
        self.last = self.last.max(now + self.delay) + slowness;
        self.flying.push_back((self.last, part));
        self.last
    }
}
