//! The one timer of a driver, whatever it waits for.

use std::fmt;
use std::pin::Pin;
use std::task::Context;

use crate::Timestamp;
use crate::runtime::Runtime;

/// The armed sleep and when it ends. Re-armed only for an earlier moment, so that a call that comes and goes costs none.
pub(crate) struct Alarm<R: Runtime>(Option<(Timestamp, Pin<Box<R::Sleep>>)>);

impl<R: Runtime> Alarm<R> {
    /// Makes sure that the task is polled at `deadline`; true if that is already now.
    pub(crate) fn poll(&mut self, runtime: &R, deadline: Option<Timestamp>, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else { return false };
        if self.0.as_ref().is_none_or(|(until, _)| deadline < *until) {
            self.0 = Some((deadline, Box::pin(runtime.sleep_until(deadline))));
        }
        let Some((_, sleep)) = &mut self.0 else { return false };
        if sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.0 = None;
        true
    }

    /// Gives back what waits for nothing: for whoever stays idle for long.
    #[cfg(feature = "http")]
    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl<R: Runtime> Default for Alarm<R> {
    fn default() -> Self {
        Self(None)
    }
}

impl<R: Runtime> fmt::Debug for Alarm<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.0.as_ref().map(|(until, _)| until)).finish()
    }
}
