//! Reading a child's standard error by line, so that it can never fill up and hold the child.
//!
//! Two threads, because the function that takes the lines is the user's: one only reads, and never stops; the other only calls. Between them
//! is a bounded queue. A function that is a little late holds the child back a little; one that is slow or hangs loses lines.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ChildStderr;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest line that comes in one piece.
const LINE: usize = 16 * 1024;
/// What may wait for the function, in bytes, each line counted with its upkeep.
const QUEUE: usize = 1024 * 1024;
/// What a line costs besides its text.
const UPKEEP: usize = 64;
/// How long the child may be held back from when the queue was full to when it is half empty again.
const PATIENCE: Duration = Duration::from_secs(1);

type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

/// The threads, started before the child so that no child can be without them.
pub(super) struct Reader(Sender<ChildStderr>);

impl Reader {
    pub(super) fn start(on_line: &OnLine) -> io::Result<Self> {
        let (give, take) = mpsc::channel::<ChildStderr>();
        let receiver = Arc::new(Queue::default());
        let sender = EndOnDrop(Arc::clone(&receiver));
        thread::Builder::new().name("mcp-stderr".into()).spawn(move || {
            if let Ok(stderr) = take.recv() {
                drain(stderr, |line| sender.0.push(line));
            }
        })?;
        let on_line = Arc::clone(on_line);
        thread::Builder::new().name("mcp-stderr-lines".into()).spawn(move || {
            while let Some(line) = receiver.pop() {
                if catch_unwind(AssertUnwindSafe(|| on_line(&line))).is_err() {
                    tracing::warn!("the function for a child's stderr has panicked and is not called any more");
                    break;
                }
            }
            receiver.close();
            receiver.lock().lines.clear();
        })?;
        Ok(Self(give))
    }

    pub(super) fn read(self, stderr: ChildStderr) {
        // The thread waits for exactly this, so it cannot have gone.
        let _ = self.0.send(stderr);
    }
}

/// Reads to the end, whatever comes, and gives the lines to `push`.
fn drain(mut from: impl Read, mut push: impl FnMut(String)) {
    let mut piece = [0; 8 * 1024];
    let mut line = Vec::new();
    loop {
        let mut rest = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(taken) => &piece[..taken],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n');
            let (text, after) = rest.split_at(end.unwrap_or(rest.len()).min(LINE - line.len()));
            line.extend_from_slice(text);
            rest = after;
            if let Some(b'\n') = rest.first() {
                rest = &rest[1..];
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                push(String::from_utf8_lossy(&line).into_owned());
                line.clear();
            } else if line.len() == LINE {
                // A character that the cut would split goes to the next piece.
                let whole = LINE - unfinished(&line);
                push(String::from_utf8_lossy(&line[..whole]).into_owned());
                line.drain(..whole);
            }
        }
    }
    if !line.is_empty() {
        push(String::from_utf8_lossy(&line).into_owned());
    }
}

/// How many bytes at the end are the beginning of a character: at most 3.
fn unfinished(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needed = match bytes[bytes.len() - back] {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

/// The lines between the two threads.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Told when there is more to take, more room, or an end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// What `lines` costs: over [`QUEUE`] by at most one line.
    cost: usize,
    /// Since when the queue has been full, or nearly: until it is half empty again, all waiting for room counts against [`PATIENCE`].
    full_since: Option<Instant>,
    dropped: u64,
    /// No more lines will come, or none will be taken.
    closed: bool,
}

impl Queue {
    fn push(&self, line: String) {
        let full = |state: &mut State| state.cost >= QUEUE && !state.closed;
        let mut state = self.lock();
        if full(&mut state) {
            let left = PATIENCE.saturating_sub(state.full_since.get_or_insert_with(Instant::now).elapsed());
            state = self.changed.wait_timeout_while(state, left, full).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.closed {
            return;
        }
        if full(&mut state) {
            state.dropped += 1;
            return;
        }
        state.cost += line.len() + UPKEEP;
        state.lines.push_back(line);
        let dropped = std::mem::take(&mut state.dropped);
        drop(state);
        self.changed.notify_all();
        if dropped > 0 {
            tracing::warn!(dropped, "lines of a child's stderr were dropped: the function for them is too slow");
        }
    }

    fn pop(&self) -> Option<String> {
        let empty = |state: &mut State| state.lines.is_empty() && !state.closed;
        let mut state = self.changed.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner);
        let line = state.lines.pop_front()?;
        state.cost -= line.len() + UPKEEP;
        if state.cost < QUEUE / 2 {
            state.full_since = None;
        }
        drop(state);
        self.changed.notify_all();
        Some(line)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock, and every state of it is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the thread that reads: however that ends, also unstarted, the other one learns of it.
struct EndOnDrop(Arc<Queue>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        drain(bytes, |line| lines.push(line));
        lines
    }

    #[test]
    fn lines_come_without_their_ends_and_the_last_may_have_none() {
        assert_eq!(lines(b"one\r\n\ntwo\nthree"), ["one", "", "two", "three"]);
        assert_eq!(lines(b"bad \xff byte\n"), ["bad \u{fffd} byte"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_split_no_character() {
        let text = "x".to_owned() + &"\u{20ac}".repeat(20_000);
        let pieces = lines(text.as_bytes());
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() <= LINE));
        assert_eq!(pieces.concat(), text);
        // What can never become a character does not stay behind for ever.
        let noise = vec![0x80; 3 * LINE];
        assert_eq!(lines(&noise).concat().chars().count(), 3 * LINE);
    }

    #[test]
    fn a_full_queue_drops_and_recovers() {
        let queue = Queue::default();
        let line = "x".repeat(LINE);
        let start = Instant::now();
        for _ in 0..QUEUE / LINE * 3 {
            queue.push(line.clone());
        }
        // It was waited for once, not for each line.
        assert!(start.elapsed() >= PATIENCE && start.elapsed() < PATIENCE * 20);
        assert!(queue.lock().dropped >= (QUEUE / LINE) as u64 && queue.lock().cost < QUEUE + LINE + UPKEEP);
        assert_eq!(queue.pop().as_deref(), Some(&*line));
        assert!(queue.lock().full_since.is_some());
        queue.push("after".into());
        assert_eq!(queue.lock().dropped, 0);
        queue.close();
        let mut last = None;
        while let Some(line) = queue.pop() {
            last = Some(line);
        }
        assert_eq!(last.as_deref(), Some("after"));
        assert!(queue.lock().full_since.is_none() && queue.lock().cost == 0);
    }
}
