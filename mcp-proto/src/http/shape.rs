//! How the response to one POST takes shape: JSON if the answer comes first, a stream of events at the first other message, or
//! once the answer takes long.

use core::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Head, Preference};
use crate::{About, Timestamp, Transmit};

/// What was decided about one response, and when it has to show a sign of life.
///
/// An [`Exchange`](super::exchange::Exchange) has one, and so has every stream of a [`Session`](super::session::Session).
#[derive(Clone, Debug)]
pub(super) struct Shape {
    state: State,
    keep_alive: Duration,
    preference: Preference,
}

/// Comments do not follow each other any sooner, whatever the limits say: what is due again at once would never be done.
const BREATH: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is committed. At this moment a stream of events is.
    Open { until: Timestamp },
    /// One JSON text, which is all of it.
    Json,
    /// Events. At this moment a comment is due, so that no proxy takes the stream for dead.
    Events { comment: Timestamp },
}

/// What a frame becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// The whole body, as JSON.
    Body,
    /// The first event: the head of the stream comes before it.
    FirstEvent,
    /// Another event.
    Event,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The head of a stream of events.
    Events,
    /// A comment.
    Comment,
}

impl Shape {
    /// Nothing is decided yet; after `patience` it will be a stream of events.
    pub(super) fn open(now: Timestamp, patience: Duration, keep_alive: Duration) -> Self {
        let keep_alive = keep_alive.max(BREATH);
        Self { state: State::Open { until: now + patience }, keep_alive, preference: Preference::Json }
    }

    /// A stream of events from the beginning.
    pub(super) fn events(now: Timestamp, keep_alive: Duration) -> Self {
        let keep_alive = keep_alive.max(BREATH);
        Self { state: State::Events { comment: now + keep_alive }, keep_alive, preference: Preference::Events }
    }

    /// For a client that would rather have this. Until an answer is there nothing is committed all the same.
    pub(super) fn preferring(self, preference: Preference) -> Self {
        Self { preference, ..self }
    }

    /// Decides what a frame becomes, if that is still open.
    pub(super) fn take(&mut self, now: Timestamp, frame: &Transmit) -> Becomes {
        let is_answer = frame.last && matches!(frame.about, About::Reply(_) | About::Refusal);
        let was_open = matches!(self.state, State::Open { .. });
        let is_result = frame.error.is_none();
        if was_open && is_answer && !(is_result && self.preference == Preference::Events) {
            self.state = State::Json;
            return Becomes::Body;
        }
        self.commit(now);
        if was_open { Becomes::FirstEvent } else { Becomes::Event }
    }

    /// It is a stream of events now, and something has just been sent on it.
    pub(super) fn commit(&mut self, now: Timestamp) {
        self.state = State::Events { comment: now + self.keep_alive };
    }

    /// Whether nothing is decided.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether it is a stream of events.
    pub(super) fn is_events(&self) -> bool {
        matches!(self.state, State::Events { .. })
    }

    /// When something is due.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        match self.state {
            State::Open { until } => Some(until),
            State::Json => None,
            State::Events { comment } => Some(comment),
        }
    }

    /// What is due; the next of it is due later.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Due> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        let due = if self.is_open() { Due::Events } else { Due::Comment };
        self.commit(now);
        Some(due)
    }
}

/// The head of a response that is one JSON text.
pub(super) fn json_head(status: StatusCode) -> Head {
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Head { status, headers }
}

/// The head of a stream of events. Proxies are asked to pass on what comes when it comes.
pub(super) fn events_head() -> Head {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Head { status: StatusCode::OK, headers }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::Origin;

    const EPOCH: Timestamp = Timestamp::EPOCH;
    const SECOND: Duration = Duration::from_secs(1);

    fn frame(about: About, is_last: bool) -> Transmit {
        let mut transmit = Transmit::new(Origin::new(1), about, Vec::new());
        transmit.last = is_last;
        transmit
    }

    #[test]
    fn the_first_thing_that_happens_decides() {
        let open = || Shape::open(EPOCH, SECOND * 5, SECOND * 15);
        for (about, is_last, becomes) in [
            (About::Refusal, true, Becomes::Body),
            (About::Refusal, false, Becomes::FirstEvent),
            (About::Notice, true, Becomes::FirstEvent),
            (About::Notice, false, Becomes::FirstEvent),
        ] {
            let mut shape = open();
            assert!(shape.is_open());
            assert_eq!(shape.take(EPOCH, &frame(about, is_last)), becomes, "{about:?} {is_last}");
            assert_eq!(shape.is_events(), becomes == Becomes::FirstEvent);
            assert_eq!(shape.poll_timeout().is_some(), shape.is_events());
        }
        let mut shape = open();
        assert_eq!(shape.poll_timeout(), Some(EPOCH + SECOND * 5));
        assert_eq!(shape.take_due(EPOCH + SECOND * 4), None);
        assert_eq!(shape.take_due(EPOCH + SECOND * 5), Some(Due::Events));
        assert_eq!(shape.take(EPOCH + SECOND * 6, &frame(About::Refusal, true)), Becomes::Event);
        // What is sent is a sign of life; a comment is due only 15 s after it.
        assert_eq!(shape.poll_timeout(), Some(EPOCH + SECOND * 21));
        assert_eq!(shape.take_due(EPOCH + SECOND * 21), Some(Due::Comment));
        assert_eq!(shape.take_due(EPOCH + SECOND * 21), None);
    }
}
