//! A running child: its handle, the thread that waits for it, and the ladder that ends it.
//!
//! ```text
//!             the leader exits                its group is empty, the leader is reaped
//! Running ──────────────────────▶ Exited ──────────────────────────────────────────────▶ Gone
//!    │ begin_shutdown: term_after, TERM, kill_after, KILL
//! ```
//!
//! The *keeper* thread makes both transitions. It waits without reaping: as long as the exited leader is not reaped its number, which is
//! the group's too, cannot be given to another process, so a signal cannot hit a stranger. The *ladder* thread exists only while a child is
//! being ended, and signals only under the lock and only in `Running`, where the keeper has not reaped.

use std::process::{self, ExitStatus};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{fmt, io, pin::Pin, thread};

use super::Shutdown;
use super::leader::Leader;

/// A running child process: a cheap handle, all clones of which mean the same child.
///
/// Dropping the last one begins the [shutdown](Self::begin_shutdown), anywhere, also outside of every async runtime. The waits happen on
/// threads of their own: a program that ends at once cuts them short, and a child that then ignores the end of its input lives on. Await
/// [`shutdown`](Self::shutdown) where that matters.
#[derive(Clone)]
pub struct Child {
    owner: Arc<Owner>,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Its exit status. None if there is none to be had: the child was [abandoned](How::Abandoned), or other code in this process waited for
    /// all children of it (or ignores SIGCHLD) and has the status.
    pub status: Option<ExitStatus>,
    /// What it took.
    pub how: How,
}

/// What it took to end a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// Nothing, or no more than closing its input.
    ByItself,
    /// It was asked to: SIGTERM.
    Terminated,
    /// It was killed: SIGKILL.
    Killed,
    /// It still runs, although it was killed: another user's process, say, or one that hangs in a broken device. It was left to itself.
    Abandoned,
}

impl Child {
    /// The operating system's number for it. On Unix that of its process group too.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.owner.shared.leader.id()
    }

    /// Resolves as soon as the child has exited, for whatever reason. What it started may still be about to end.
    ///
    /// The future keeps no handle: it does not keep the child running.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + Unpin + use<> {
        self.owner.shared.wait_for(|state| match state.phase {
            Phase::Running => None,
            Phase::Exited(exit) | Phase::Gone(exit) => Some(exit),
        })
    }

    /// How it ended, if it has exited.
    #[must_use]
    pub fn try_exit(&self) -> Option<Exit> {
        match self.owner.shared.lock().phase {
            Phase::Running => None,
            Phase::Exited(exit) | Phase::Gone(exit) => Some(exit),
        }
    }

    /// Ends the child, and resolves when it is gone with all of its process group, and reaped.
    ///
    /// Close its standard input first: that is how a server is asked to go. It has [`Shutdown::term_after`] to do so, then SIGTERM goes to its
    /// group, and [`Shutdown::kill_after`] later SIGKILL. A child that has left its process group on purpose is out of reach.
    ///
    /// This runs on even when the future is dropped. It always resolves, at the latest a second or two after the kill.
    pub fn shutdown(&self) -> impl Future<Output = Exit> + Send + Unpin + use<> {
        self.begin_shutdown();
        self.owner.shared.wait_for(|state| match state.phase {
            Phase::Gone(exit) => Some(exit),
            _ if state.abandoned => Some(Exit { status: None, how: How::Abandoned }),
            _ => None,
        })
    }

    /// The same without waiting for it. More than once is like once.
    pub fn begin_shutdown(&self) {
        begin_shutdown(&self.owner.shared);
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).field("exit", &self.try_exit()).finish()
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.how, &self.status) {
            (How::Abandoned, _) => return f.write_str("still running although killed"),
            (_, Some(status)) => write!(f, "{status}")?,
            (_, None) => f.write_str("unknown exit status")?,
        }
        match self.how {
            How::ByItself | How::Abandoned => Ok(()),
            How::Terminated => f.write_str(", after being asked to end"),
            How::Killed => f.write_str(", after being killed"),
        }
    }
}

/// What the handles share, and nobody else: its end is the end of the last handle.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        begin_shutdown(&self.shared);
    }
}

/// The thread that is to wait for a child, started before the child so that no child can be without one.
pub(super) struct Keeper(Sender<Arc<Shared>>);

impl Keeper {
    pub(super) fn start() -> io::Result<Self> {
        let (give, take) = mpsc::channel::<Arc<Shared>>();
        thread::Builder::new().name("mcp-child".into()).spawn(move || {
            if let Ok(shared) = take.recv() {
                keep(&shared);
            }
        })?;
        Ok(Self(give))
    }

    pub(super) fn keep(self, child: process::Child, shutdown: Shutdown) -> Child {
        let shared = Arc::new(Shared {
            leader: Leader::new(child),
            shutdown,
            state: Mutex::new(State {
                phase: Phase::Running,
                how: How::ByItself,
                asked: None,
                ending: false,
                abandoned: false,
                waiting: Vec::new(),
                next_key: 0,
            }),
            changed: Condvar::new(),
        });
        // The thread waits for exactly this, so it cannot have gone.
        let _ = self.0.send(Arc::clone(&shared));
        Child { owner: Arc::new(Owner { shared }) }
    }
}

struct Shared {
    leader: Leader,
    shutdown: Shutdown,
    state: Mutex<State>,
    /// Told when `phase` changes, for the ladder.
    changed: Condvar,
}

struct State {
    phase: Phase,
    /// The hardest means used so far, while it was still running.
    how: How,
    /// When its group was sent SIGTERM, if it was.
    asked: Option<Instant>,
    /// The ladder has been begun.
    ending: bool,
    /// The ladder has come to its end in vain. The keeper still waits.
    abandoned: bool,
    /// Futures that wait, each once, each under a key of its own.
    waiting: Vec<(u64, Waker)>,
    /// Never given out twice: a future that was woken still knows its key, and must not find somebody else's waker under it.
    next_key: u64,
}

#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// The leader has exited and is not reaped, so its number is still its own.
    Exited(Exit),
    Gone(Exit),
}

/// What the kernel needs to end a process after SIGKILL, with plenty to spare on a busy machine.
const DEATH: Duration = Duration::from_secs(1);

fn keep(shared: &Shared) {
    let status = shared.leader.wait();
    let (exit, asked) = shared.change(|state| {
        let exit = Exit { status, how: state.how };
        state.phase = Phase::Exited(exit);
        (exit, state.asked)
    });
    tracing::debug!(pid = shared.leader.id(), %exit, "a child process has exited");
    // Without a status somebody else has reaped it: its number may be anybody's by now, and the rest of the group is out of reach.
    if status.is_some() {
        clear(&shared.leader, asked, shared.shutdown.kill_after);
    }
    shared.change(|state| {
        if status.is_some() {
            // Whoever was started while we looked cannot get away from this: a signal to a group reaches all of it at once.
            shared.leader.kill();
            shared.leader.reap();
        }
        state.phase = Phase::Gone(exit);
    });
}

/// Ends what an exited leader has left in its group. It is asked at once: what a dead server had started serves nobody. It may be in the
/// middle of cleaning up, though (a wrapper is often gone before the server it wraps), so it has the same time as anybody who was asked.
fn clear(leader: &Leader, asked: Option<Instant>, patience: Duration) {
    if !leader.has_company() {
        return;
    }
    let left = match asked {
        // The whole group was asked, and a second time would make some programs skip their cleaning up.
        Some(when) => patience.saturating_sub(when.elapsed()),
        None => {
            leader.terminate();
            patience
        }
    };
    if !alone_within(leader, left) {
        leader.kill();
        alone_within(leader, DEATH);
    }
}

/// Waits for the group to empty. No system call does that for processes that are not our children, so this looks, ever less often.
fn alone_within(leader: &Leader, patience: Duration) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while leader.has_company() {
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return false;
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    true
}

fn begin_shutdown(shared: &Arc<Shared>) {
    {
        let mut state = shared.lock();
        if state.ending || !matches!(state.phase, Phase::Running) {
            return;
        }
        state.ending = true;
    }
    let theirs = Arc::clone(shared);
    let thread = thread::Builder::new().name("mcp-child-end".into()).spawn(move || climb(&theirs));
    if thread.is_err() {
        // No thread to be patient on: rather a killed child than one that stays.
        shared.signal(How::Killed);
    }
}

/// The ladder. The caller has closed the child's input, or is about to.
fn climb(shared: &Shared) {
    let patience = shared.shutdown;
    if shared.exits_within(patience.term_after) {
        return;
    }
    if Leader::CAN_TERMINATE {
        shared.signal(How::Terminated);
        if shared.exits_within(patience.kill_after) {
            return;
        }
    }
    shared.signal(How::Killed);
    if !shared.exits_within(DEATH) {
        tracing::warn!(
            pid = shared.leader.id(),
            "a child process does not end although it was killed; it is left behind"
        );
        shared.change(|state| state.abandoned = true);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock, and every state of it is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells everybody, after unlocking.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        for (_, waker) in waiting {
            waker.wake();
        }
        result
    }

    fn signal(&self, how: How) {
        let mut state = self.lock();
        // It may have exited a moment ago, before the keeper could say so: then it needed no signal.
        if matches!(state.phase, Phase::Running) && !self.leader.has_exited() {
            state.how = how;
            if how == How::Terminated {
                state.asked = Some(Instant::now());
                self.leader.terminate();
            } else {
                self.leader.kill();
            }
        }
    }

    fn exits_within(&self, patience: Duration) -> bool {
        let running = |state: &mut State| matches!(state.phase, Phase::Running);
        let (state, _) =
            self.changed.wait_timeout_while(self.lock(), patience, running).unwrap_or_else(PoisonError::into_inner);
        !matches!(state.phase, Phase::Running)
    }

    fn wait_for(self: &Arc<Self>, outcome: fn(&State) -> Option<Exit>) -> Wait {
        Wait { shared: Arc::clone(self), outcome, key: None }
    }
}

/// The future of a change: knows the child, but does not keep it.
struct Wait {
    shared: Arc<Shared>,
    outcome: fn(&State) -> Option<Exit>,
    /// Under which our waker waits, once it does.
    key: Option<u64>,
}

impl Future for Wait {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Exit> {
        // Cloned before the lock, and what it replaces is dropped after it: wakers are foreign code.
        let waker = cx.waker().clone();
        let mut state = self.shared.lock();
        if let Some(exit) = (self.outcome)(&state) {
            drop(state);
            return Poll::Ready(exit);
        }
        let known = state.waiting.iter_mut().find(|(key, _)| Some(*key) == self.key);
        let old = match known {
            Some((_, slot)) => Some(std::mem::replace(slot, waker)),
            None => {
                let key = state.next_key;
                state.next_key += 1;
                state.waiting.push((key, waker));
                drop(state);
                self.key = Some(key);
                return Poll::Pending;
            }
        };
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(mine) = self.key {
            let mut state = self.shared.lock();
            let place = state.waiting.iter().position(|(key, _)| *key == mine);
            let waker = place.map(|place| state.waiting.swap_remove(place));
            drop(state);
            drop(waker);
        }
    }
}
