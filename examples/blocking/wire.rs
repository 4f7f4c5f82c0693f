//! The loop around a connection, with blocking reads and writes: what comes in is told to it, what it says is done.
//!
//! One thread reads and one writes, so that neither holds up the other: two sides that both write and do not read would wait for
//! each other for ever. Neither is ahead of the loop by more than one piece, so a slow peer, or a slow application, holds back
//! the other one, and nothing grows.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use mcp::runtime::Clock;
use mcp_proto::{Connection, Event, Timestamp};

/// What the loop hears of. `W` is what threads of the application's have to say.
pub(crate) enum Heard<W> {
    /// Some bytes have come; none at the end.
    Read(Vec<u8>),
    /// Some bytes have gone, or could not go.
    Written(std::io::Result<()>),
    Work(W),
}

/// What there is to do next.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nobody keeps it")]
pub(crate) enum Next<W> {
    Event(Event),
    Work(W),
    /// The connection is over, and all about it is done.
    Over,
}

/// A connection between two pipes.
pub(crate) struct Wire<W> {
    pub(crate) connection: Connection,
    clock: Clock,
    heard: Receiver<Heard<W>>,
    sender: SyncSender<Heard<W>>,
    /// Has the reader read on; `None` once it has come to the end.
    read_on: Option<SyncSender<()>>,
    /// What has come and was not taken yet.
    input: Vec<u8>,
    /// What is to go; `None` once nobody takes it any more.
    output: Option<SyncSender<Vec<u8>>>,
    /// Whether the writer is at it.
    is_writing: bool,
}

/// What is read and written at once.
const PIECE: usize = 64 * 1024;
/// How long the last bytes may take once the connection is over.
const LINGER: Duration = Duration::from_secs(2);

impl<W: Send + 'static> Wire<W> {
    /// `connection` makes it, told the time.
    pub(crate) fn new(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        connection: impl FnOnce(Timestamp) -> Connection,
    ) -> Self {
        let (sender, heard) = sync_channel(0);
        let (read_on, may_read) = sync_channel(1);
        let (to_write, lines) = sync_channel(1);
        let (reading, writing) = (sender.clone(), sender.clone());
        std::thread::spawn(move || read(input, &reading, &may_read));
        std::thread::spawn(move || write(output, &writing, &lines));
        let clock = Clock::new();
        Self {
            connection: connection(clock.now()),
            clock,
            heard,
            sender,
            read_on: Some(read_on),
            input: Vec::new(),
            output: Some(to_write),
            is_writing: false,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// By which a thread of the application's says something. It waits until the loop hears it.
    pub(crate) fn sender(&self) -> SyncSender<Heard<W>> {
        self.sender.clone()
    }

    /// Waits for what there is to do next, and keeps the connection going meanwhile.
    pub(crate) fn next(&mut self) -> Next<W> {
        loop {
            // First what the connection has to say, as after every call of its methods ...
            self.drain();
            if let Some(event) = self.connection.poll_event() {
                return Next::Event(event);
            }
            let is_over = self.connection.is_drained();
            if is_over && !self.is_writing {
                // Closed, so that the peer sees the end.
                self.output = None;
                return Next::Over;
            }
            // ... then what it has not taken yet ...
            if !self.input.is_empty() && self.connection.wants_input() {
                self.feed();
                continue;
            }
            // ... and when nothing is left to do, time passes, but not more of it than the connection allows.
            let timeout = self.connection.poll_timeout().map(|at| at.saturating_since(self.clock.now()));
            let patience = if is_over { LINGER } else { timeout.unwrap_or(Duration::from_secs(3600)) };
            match self.heard.recv_timeout(patience) {
                Ok(Heard::Work(work)) => return Next::Work(work),
                Ok(Heard::Read(bytes)) if bytes.is_empty() => {
                    self.read_on = None;
                    self.connection.handle_eof(self.clock.now());
                }
                Ok(Heard::Read(bytes)) => self.input = bytes,
                Ok(Heard::Written(written)) => self.written(written.is_ok()),
                // The peer has not taken even the last bytes.
                Err(RecvTimeoutError::Timeout) if is_over => self.is_writing = false,
                Err(_) => {}
            }
            self.connection.handle_timeout(self.clock.now());
        }
    }

    /// Hands over what has come, as much as is wanted.
    fn feed(&mut self) {
        let taken = self.connection.handle_input(self.clock.now(), &self.input);
        self.input.drain(..taken);
        if self.input.is_empty()
            && let Some(read_on) = &self.read_on
        {
            // There is room for it, since the reader waits for this one. If it is gone, it has said so.
            let _ = read_on.send(());
        }
    }

    /// Has the next piece written, once the one before is.
    fn drain(&mut self) {
        let mut lines = Vec::new();
        if self.output.is_none() {
            // Nobody takes it any more; the connection must not wait for that.
            while self.connection.poll_transmit().is_some() {}
        } else if !self.is_writing && self.connection.drain_lines(&mut lines, PIECE) {
            self.is_writing = self.output.as_ref().is_some_and(|output| output.send(lines).is_ok());
        }
    }

    fn written(&mut self, is_fine: bool) {
        self.is_writing = false;
        if !is_fine {
            // The peer may still have said something: that is read on, to its end. If that has come, neither end is left.
            self.output = None;
            if self.read_on.is_none() {
                self.connection.handle_broken(self.clock.now(), "nobody is there any more");
            }
        }
    }
}

fn read<W>(mut input: impl Read, to: &SyncSender<Heard<W>>, may_read: &Receiver<()>) {
    let mut piece = vec![0; PIECE];
    loop {
        let read = match input.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        if to.send(Heard::Read(piece[..read].to_vec())).is_err() || read == 0 || may_read.recv().is_err() {
            return;
        }
    }
}

fn write<W>(mut output: impl Write, to: &SyncSender<Heard<W>>, lines: &Receiver<Vec<u8>>) {
    while let Ok(lines) = lines.recv() {
        let written = output.write_all(&lines).and_then(|()| output.flush());
        if to.send(Heard::Written(written)).is_err() {
            return;
        }
    }
}
