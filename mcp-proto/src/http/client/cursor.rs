//! Where a stream of events goes on when it breaks, when it is opened again, and when that is given up
//! (specification, 2025-03-26 to 2025-11-25: basic/transports, Resumability and Redelivery).

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::time::Duration;

use super::config::ClientLimits;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    /// The id of the last event.
    last: Option<String>,
    /// How long the server wants to be left alone.
    retry: Option<Duration>,
    /// How often in a row it was opened again and brought nothing new.
    failures: u32,
    /// Whether it is being opened again.
    is_resuming: bool,
    /// The event behind which it goes on, until the next one has come: it may come once more.
    behind: Option<String>,
    /// Whether it was ever open.
    pub(super) was_open: bool,
}

impl Cursor {
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    pub(super) fn is_resuming(&self) -> bool {
        self.is_resuming
    }

    /// Something that was never there before has come.
    pub(super) fn moved(&mut self) {
        self.failures = 0;
    }

    /// What the stream has said of ids and waits; whether the event that brought it is one that came before.
    pub(super) fn follow(&mut self, id: Option<&str>, retry: Option<Duration>) -> bool {
        self.retry = retry.or(self.retry);
        let Some(id) = id else { return false };
        if self.behind.take().is_some_and(|behind| behind == id) {
            return true;
        }
        if self.last.as_deref() != Some(id) {
            self.last = Some(id.to_owned());
            self.failures = 0;
        }
        false
    }

    /// The stream has broken: how long to wait before it is opened again; `None` if that was tried often enough. `jitter` is between 0
    /// and 1, and spreads those who were all cut at once.
    pub(super) fn broke(&mut self, limits: &ClientLimits, jitter: f64) -> Option<Duration> {
        if self.failures >= limits.reconnects {
            return None;
        }
        let pause = limits.pause.saturating_mul(2_u32.saturating_pow(self.failures)).min(limits.longest_pause);
        let pause = pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        let wait = match self.retry {
            // The first time exactly as long as the server wants.
            Some(retry) if self.failures == 0 => retry,
            Some(retry) => retry.max(pause),
            None => pause,
        };
        self.failures += 1;
        self.is_resuming = true;
        self.behind.clone_from(&self.last);
        Some(wait)
    }

    /// The stream is open.
    pub(super) fn opened(&mut self) {
        self.was_open = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> ClientLimits = ClientLimits::default;

    #[test]
    fn pauses_grow_to_a_bound_and_end_unless_the_cursor_moves() {
        let mut cursor = Cursor::default();
        cursor.follow(Some("1"), None);
        let waits: [Option<Duration>; 6] = core::array::from_fn(|_| cursor.broke(&LIMITS(), 1.0));
        assert_eq!(waits.map(|wait| wait.map(|it| it.as_secs())), [Some(1), Some(2), Some(4), Some(8), Some(16), None]);
        cursor.follow(Some("1"), None);
        assert_eq!(cursor.broke(&LIMITS(), 1.0), None, "the same place is no progress");
        cursor.follow(Some("2"), None);
        assert_eq!(cursor.broke(&LIMITS(), 0.0), Some(Duration::from_millis(500)));
    }

    #[test]
    fn what_the_server_wants_is_waited_for_exactly_and_later_at_least() {
        let mut cursor = Cursor::default();
        cursor.follow(Some("1"), Some(Duration::from_millis(1500)));
        assert_eq!(cursor.broke(&LIMITS(), 0.3), Some(Duration::from_millis(1500)));
        assert_eq!(cursor.broke(&LIMITS(), 1.0), Some(Duration::from_secs(2)));
        cursor.follow(None, Some(Duration::from_secs(100)));
        assert_eq!(cursor.broke(&LIMITS(), 1.0), Some(Duration::from_secs(100)));
    }

    #[test]
    fn the_event_behind_which_a_stream_goes_on_may_come_again() {
        let mut cursor = Cursor::default();
        assert!(!cursor.follow(Some("1"), None));
        assert!(!cursor.follow(Some("1"), None), "ids that do not change are odd, and harm nothing");
        cursor.broke(&LIMITS(), 0.0);
        assert!(cursor.follow(Some("1"), None));
        assert!(!cursor.follow(Some("1"), None), "once");
        cursor.broke(&LIMITS(), 0.0);
        assert!(!cursor.follow(Some("2"), None));
    }
}
