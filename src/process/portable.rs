//! A child by the standard library's means alone, for systems that are not Unix.
//!
//! There is no asking, only killing, and no group: what the child has started is its own business. The system keeps the number until the handle in here is closed, so a signal cannot hit a stranger.

use std::process::{self, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub(super) struct Leader {
    id: u32,
    child: Mutex<process::Child>,
}

/// How often to look whether it has exited: the standard library cannot wait for a child and be ready to kill it too.
const LOOK: Duration = Duration::from_millis(20);

impl Leader {
    pub(super) const CAN_TERMINATE: bool = false;

    pub(super) fn new(child: process::Child) -> Self {
        Self { id: child.id(), child: Mutex::new(child) }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Blocks until it has exited. None: there is no telling how.
    pub(super) fn wait(&self) -> Option<ExitStatus> {
        loop {
            match self.lock().try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => {}
                Err(_) => return None,
            }
            thread::sleep(LOOK);
        }
    }

    pub(super) fn has_exited(&self) -> bool {
        !matches!(self.lock().try_wait(), Ok(None))
    }

    /// Waiting has done that.
    pub(super) fn reap(&self) {}

    pub(super) fn terminate(&self) {
        self.kill();
    }

    pub(super) fn kill(&self) {
        // Once it has exited the standard library knows that, and does nothing.
        let _ = self.lock().kill();
    }

    pub(super) fn has_company(&self) -> bool {
        false
    }

    fn lock(&self) -> MutexGuard<'_, process::Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_that_stays_is_killed() {
        let child = Command::new("sh")
            .args(["-c", "trap '' TERM; read line; read line"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let leader = Leader::new(child);
        assert!(leader.id() > 0 && !leader.has_exited() && !leader.has_company() && !Leader::CAN_TERMINATE);
        leader.terminate();
        assert!(!leader.wait().unwrap().success());
        assert!(leader.has_exited());
        leader.kill();
        leader.reap();
    }
}
