//! The stream driver: one hand-written future that carries bytes between a stream and a connection.
//!
//! A turn does each of these once, and turns repeat while one of them got something done, up to a bound:
//!
//! 1. **read** into the input buffer and **scan** whole lines (no lock);
//! 2. under the lock: **feed** the messages, hand in finished answers, tell the time, take events and output;
//! 3. wake whoever waits, start handlers (no lock);
//! 4. **write** (no lock).
//!
//! The waker is stored before the first step, so a handle that changes the connection meanwhile wakes the next poll.
//!
//! The ends: a write error discards output and reads on to the end of input; a read error breaks the connection; after the
//! connection's end the output is flushed, closed and dropped (half-close really closes), and a client reads on to the
//! peer's end so that the peer is never stuck in a write; all of that within [`LINGER`]. Dropping the driver fails every
//! call and wakes it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use mcp_proto::{InboundId, Limits, Message, Origin, Timestamp};

use super::alarm::Alarm;
use super::budget::{Account, Load};
use super::dispatch::dispatch;
use super::handling::{BoxFuture, Reply, Service, size};
use super::input::Input;
use super::notifications::Notifications;
use super::screening::screen;
use super::shared::{Shared, Turn};
use crate::runtime::Spawn;

/// Turns in one poll before other tasks get a chance.
const TURNS: usize = 32;
/// Bytes taken from the connection before they are written.
const WRITE: usize = 64 * 1024;
/// Messages scanned before they are fed, so that the lock is taken once for a burst.
const BATCH: usize = 64;
/// How long flushing, closing and reading to the peer's end may take once the connection is over.
const LINGER: Duration = Duration::from_secs(2);

/// What the driver needs besides a reader and a writer.
pub(crate) struct Parts<R> {
    pub(crate) runtime: R,
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: Arc<dyn Service>,
    pub(crate) limits: Limits,
    pub(crate) account: Account,
    /// Ready when the peer is gone although the output still takes bytes; asked once the input has ended.
    pub(crate) hangup: Option<BoxFuture<()>>,
    pub(crate) role: Role,
}

/// What happens after the connection's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads on to the peer's end.
    Client,
    /// Ends once its output is closed.
    Server,
}

/// See the module.
pub(crate) struct Driver<Rd, Wr, R: Spawn> {
    parts: Parts<R>,
    reader: Rd,
    writer: Option<Wr>,
    input: Input,
    /// Messages scanned and not yet fed, because the connection does not want any now.
    scanned: VecDeque<Message>,
    eof: Option<Eof>,
    /// Whether the connection wanted input when last asked.
    wants_input: bool,
    /// Bytes taken from the connection, `written` of them already on the stream.
    output: Vec<u8>,
    written: usize,
    flushed: bool,
    /// Answers of handlers that were finished in place, until there is room for them.
    replies: VecDeque<(InboundId, Reply)>,
    notifications: Notifications,
    alarm: Alarm<R>,
    /// Set at the connection's end: when patience ends, too.
    linger: Option<Timestamp>,
}

/// How the input ended; told to the connection once everything before it was fed.
enum Eof {
    Pending(Option<String>),
    Told,
}

impl<Rd, Wr, R> Future for Driver<Rd, Wr, R>
where
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
    R: Spawn,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let waker = cx.waker().clone();
        let replaced = this.parts.shared.with(|state| state.driver.replace(waker));
        drop(replaced);
        for _ in 0..TURNS {
            let mut busy = this.read(cx);
            let (turn, closed, deadline) = this.exchange();
            this.account(turn.load);
            busy |= this.dispatch(turn, cx);
            busy |= this.write(cx);
            if closed && this.end(cx) {
                return Poll::Ready(());
            }
            busy |= this.watch_hangup(cx);
            let next = [deadline, this.linger].into_iter().flatten().min();
            busy |= this.alarm.poll(&this.parts.runtime, next, cx);
            if !busy {
                this.parts.account.relieve();
                this.rest();
                return Poll::Pending;
            }
        }
        this.parts.account.relieve();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<Rd, Wr, R> Driver<Rd, Wr, R>
where
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
    R: Spawn,
{
    pub(crate) fn new(parts: Parts<R>, reader: Rd, writer: Wr) -> Self {
        Self {
            input: Input::new(parts.limits.frame),
            parts,
            reader,
            writer: Some(writer),
            scanned: VecDeque::new(),
            eof: None,
            wants_input: true,
            output: Vec::new(),
            written: 0,
            flushed: true,
            replies: VecDeque::new(),
            notifications: Notifications::default(),
            alarm: Alarm::default(),
            linger: None,
        }
    }

    /// Reads and scans, unless scanned messages still wait to be fed.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.scanned.is_empty() || self.eof.is_some() {
            return false;
        }
        if self.input.is_used_up() {
            if !self.wants_input && self.linger.is_none() {
                return false;
            }
            match self.input.poll_read(&mut self.reader, cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => return true,
                Poll::Ready(Err(error)) => self.eof = Some(Eof::Pending(Some(error.to_string()))),
                Poll::Ready(Ok(0)) => self.eof = Some(Eof::Pending(None)),
                Poll::Ready(Ok(_)) => {}
            }
        }
        while self.scanned.len() < BATCH {
            let Some(line) = self.input.next_line() else { break };
            self.scanned.extend(screen(&self.parts, Message::scan_line(line, &self.parts.limits)));
        }
        if let Some(Eof::Pending(None)) = self.eof
            && let Some(line) = self.input.last_line()
        {
            self.scanned.extend(screen(&self.parts, Message::scan_line(line, &self.parts.limits)));
        }
        if self.input.is_used_up() {
            self.input.fit();
        }
        // Also when that gave no whole line: only a reader that was asked in vain knows whom to wake.
        true
    }

    /// The one time the lock is held in a turn.
    fn exchange(&mut self) -> (Turn, bool, Option<Timestamp>) {
        let mut turn = Turn::default();
        let now = self.parts.runtime.now();
        let Self { parts, replies, scanned, eof, output, written, writer, .. } = self;
        let held_back = !scanned.is_empty();
        let (closed, wants_input, deadline) = parts.shared.with(|state| {
            while !state.connection.is_output_full()
                && let Some((id, reply)) = replies.pop_front()
            {
                turn.ended.extend(state.answer(now, id, reply));
            }
            // Also while answers wait for room: whether that holds up the input is for the connection to say.
            while state.connection.wants_input()
                && let Some(message) = scanned.pop_front()
            {
                state.connection.handle_message(now, Origin::STREAM, message);
            }
            if scanned.is_empty()
                && let Some(Eof::Pending(cause)) = eof
            {
                match cause {
                    None => state.connection.handle_eof(now),
                    Some(cause) => state.connection.handle_broken(now, cause),
                }
                *eof = Some(Eof::Told);
            }
            state.connection.handle_timeout(now);
            state.send_unsent(now);
            if *written == output.len() {
                output.clear();
                *written = 0;
            }
            if writer.is_some() {
                if output.len() < WRITE {
                    state.connection.drain_lines(output, WRITE);
                }
            } else {
                // Nobody takes it any more; the connection must not wait for that.
                while state.connection.poll_transmit().is_some() {}
            }
            state.take_events(&mut turn);
            state.expire_waiting(now, &mut turn);
            turn.load = state.load();
            (state.closed.is_some(), state.connection.wants_input(), state.next_timeout())
        });
        // Reading may go on: that takes another turn, so that the reader is asked and knows whom to wake.
        turn.resumed = wants_input && (!self.wants_input || held_back && self.scanned.is_empty());
        self.wants_input = wants_input;
        if closed {
            // Whatever still comes is read past, not scanned into a connection that is over.
            self.scanned.clear();
            self.input = Input::new(0);
        }
        (turn, closed, deadline)
    }

    /// Wakes and starts what the turn brought.
    fn dispatch(&mut self, turn: Turn, cx: &mut Context<'_>) -> bool {
        let busy = turn.resumed || !turn.requests.is_empty() || !turn.notifications.is_empty();
        self.replies.extend(dispatch(&self.parts, &self.notifications, turn, cx));
        busy
    }

    /// Tells the budget what the connection holds: `load`, and what is here.
    fn account(&self, load: Load) {
        let scanned = self.scanned.iter().map(Message::size).sum::<usize>();
        let replies = self.replies.iter().map(|(_, reply)| size(reply)).sum::<usize>();
        let here = self.input.held() + self.output.len() + self.notifications.bytes();
        self.parts.account.set(Load { bytes: load.bytes + scanned + replies + here, ..load });
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        while let Some(writer) = &mut self.writer {
            if self.written == self.output.len() {
                if !self.flushed {
                    match Pin::new(writer).poll_flush(cx) {
                        Poll::Pending => {}
                        Poll::Ready(Ok(())) => self.flushed = true,
                        Poll::Ready(Err(error)) => self.output_failed(&error),
                    }
                }
                break;
            }
            match Pin::new(writer).poll_write(cx, &self.output[self.written..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.output_failed(&io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.written += written;
                    self.flushed = false;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => self.output_failed(&error),
            }
            busy = true;
        }
        if self.written == self.output.len() && self.output.capacity() > WRITE * 2 {
            // One large message must not pin its size.
            self.output = Vec::new();
            self.written = 0;
        }
        busy
    }

    fn output_failed(&mut self, error: &io::Error) {
        tracing::debug!(%error, "the output failed; reading on to the end of input");
        self.writer = None;
        self.output = Vec::new();
        self.written = 0;
        self.flushed = true;
        if matches!(self.eof, Some(Eof::Told)) {
            // Neither end is left.
            self.break_off("the peer does not read any more");
        }
    }

    fn break_off(&self, cause: &str) {
        self.parts.shared.command(|state, now| state.connection.handle_broken(now, cause));
    }

    /// After the connection's end: closes the output, and on a client reads to the peer's end. True when all is done.
    fn end(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.parts.runtime.now();
        let patience = *self.linger.get_or_insert(now + LINGER);
        let out_of_patience = now >= patience;
        if let Some(writer) = &mut self.writer {
            let flushed = self.written == self.output.len() && self.flushed;
            if out_of_patience || flushed && Pin::new(writer).poll_close(cx).is_ready() {
                self.writer = None;
            }
        }
        if self.writer.is_none() {
            self.parts
                .shared
                .with(|state| (std::mem::replace(&mut state.output_closed, true), std::mem::take(&mut state.watchers)))
                .1
                .into_values()
                .for_each(std::task::Waker::wake);
        }
        self.writer.is_none() && (self.parts.role == Role::Server || self.eof.is_some() || out_of_patience)
    }

    fn watch_hangup(&mut self, cx: &mut Context<'_>) -> bool {
        let (Some(Eof::Told), Some(hangup), None) = (&self.eof, &mut self.parts.hangup, self.linger) else {
            return false;
        };
        if hangup.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.parts.hangup = None;
        self.break_off("the peer is gone");
        true
    }

    /// Gives back what an idle connection does not need.
    fn rest(&mut self) {
        if self.written == self.output.len() {
            (self.output, self.written) = (Vec::new(), 0);
        }
        if self.scanned.is_empty() {
            self.scanned = VecDeque::new();
        }
        if self.replies.is_empty() {
            self.replies = VecDeque::new();
        }
    }
}

impl<Rd, Wr, R: Spawn> Drop for Driver<Rd, Wr, R> {
    fn drop(&mut self) {
        self.parts.shared.abandon();
    }
}
