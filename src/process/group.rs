//! The leader of a process group, on Unix: waiting for it without reaping it, signalling its group, reaping it.

use std::os::unix::process::ExitStatusExt;
use std::process::{self, ExitStatus};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group, waitid};

/// A child that leads a process group with its own number. Whoever signals it makes sure that [`reap`](Self::reap) has not been called yet.
pub(super) struct Leader {
    id: u32,
    /// None would be a number that no process has.
    pid: Option<Pid>,
}

impl Leader {
    pub(super) const CAN_TERMINATE: bool = true;

    #[expect(clippy::needless_pass_by_value, reason = "it is ours from now on: nobody else is to wait for it")]
    pub(super) fn new(child: process::Child) -> Self {
        let id = child.id();
        Self { id, pid: i32::try_from(id).ok().and_then(Pid::from_raw) }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Blocks until it has exited, and leaves it unreaped. None: somebody else in this process has reaped it.
    pub(super) fn wait(&self) -> Option<ExitStatus> {
        self.look(WaitIdOptions::NOWAIT).map(|status| status_of(&status))
    }

    pub(super) fn has_exited(&self) -> bool {
        let Some(pid) = self.pid else { return true };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        // An error too means that there is nobody to signal: somebody else has reaped it.
        !matches!(retry_on_intr(|| waitid(WaitId::Pid(pid), options)), Ok(None))
    }

    pub(super) fn reap(&self) {
        self.look(WaitIdOptions::empty());
    }

    /// SIGTERM to the group.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGKILL to the group.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Whether anything lives in the group. A zombie, such as the exited leader, does not.
    #[cfg(target_os = "linux")]
    pub(super) fn has_company(&self) -> bool {
        // The kernel counts zombies as members, so asking it with a signal 0 says nothing.
        let Ok(processes) = std::fs::read_dir("/proc") else { return true };
        let group = self.id.to_string();
        processes.flatten().any(|process| {
            let name = process.file_name();
            name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
                && std::fs::read_to_string(process.path().join("stat")).is_ok_and(|stat| lives_in(&stat, &group))
        })
    }

    /// Whether anything lives in the group. A zombie, such as the exited leader, does not; where the system counts it nevertheless, those who
    /// wait for the group to empty wait as long as they have patience.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn has_company(&self) -> bool {
        self.pid.is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok())
    }

    fn look(&self, how: WaitIdOptions) -> Option<WaitIdStatus> {
        let pid = self.pid?;
        retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | how)).ok().flatten()
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid else { return };
        // It may have moved to another group; it cannot have got another number.
        if kill_process_group(pid, signal).is_err() {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Reads `/proc/N/stat`: number, (name), state, parent, group. The name may contain anything, so what counts is after the last parenthesis.
#[cfg(target_os = "linux")]
fn lives_in(stat: &str, group: &str) -> bool {
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let mut fields = rest.split_ascii_whitespace();
    let alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X" | "x"));
    alive && fields.nth(1) == Some(group)
}

/// `waitid` and `waitpid` write a status in two different ways. The standard library reads the latter.
fn status_of(status: &WaitIdStatus) -> ExitStatus {
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) if status.dumped() => signal | 0x80,
        (None, Some(signal)) => signal,
        (None, None) => 0,
    };
    ExitStatus::from_raw(raw)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::lives_in;

    #[test]
    fn the_stat_file_is_read_from_its_last_parenthesis() {
        assert!(lives_in("7 (sh) S 1 42 42 0 -1", "42"));
        assert!(!lives_in("7 (sh) Z 1 42 42 0 -1", "42"));
        assert!(!lives_in("7 (sh) S 42 4 42 0 -1", "42"));
        assert!(lives_in("7 (a) Z 1 4 (b) R 1 42 42", "42"));
        assert!(!lives_in("", "42"));
    }
}
