//! The end of a connection, and the conclusions that are drawn after every change.

use alloc::format;
use alloc::string::ToString;
use core::time::Duration;

use super::error::{CloseReason, Rule};
use super::event::{Event, Origin};
use super::lifecycle::Phase;
use super::subscription::Changes;
use super::timer::{Timer, Timers};
use super::{Connection, Side};
use crate::Timestamp;
use crate::jsonrpc::{ErrorObject, Message};
use crate::line::LineBuffer;

impl Connection {
    /// An input: this side holds too much in memory, over all its connections, and has chosen this one to go. Everything open
    /// ends at once, with [`CloseReason::Overloaded`].
    pub fn handle_overload(&mut self, now: Timestamp) {
        self.advance(now);
        self.die(CloseReason::Overloaded);
    }

    /// The peer's output has ended. See `handle_eof`.
    pub(super) fn on_eof(&mut self) {
        if let Some(line) = self.lines.finish() {
            let message = Message::scan_line(line, &self.limits);
            match message.fault() {
                // A last line without its line end is served like any other.
                None => self.handle_message(self.now, Origin::STREAM, message),
                Some(fault) => {
                    // A server's output may still be open: whoever sent this with an id that can be read is told.
                    if self.is_server() && message.may_be_answered() && message.echo().is_some() {
                        self.refuse(Origin::STREAM, message.echo(), &ErrorObject::new(fault.code(), fault.to_string()));
                    }
                    self.misbehaved(Rule::EndedInMessage(fault), message.text());
                }
            }
        }
        if self.closed {
            return;
        }
        self.input_ended = true;
        self.fail_calls(&CloseReason::PeerClosed);
        match self.side {
            Side::Server(_) => self.begin_end(CloseReason::PeerClosed, self.limits.drain),
            Side::Client(_) => self.die(CloseReason::PeerClosed),
        }
    }

    pub(super) fn begin_end(&mut self, reason: CloseReason, grace: Duration) {
        // The first reason is the true one, and the first deadline holds unless a nearer one comes.
        let reason = self.ending.get_or_insert(reason).clone();
        self.end_subscriptions(&reason);
        self.timers.set_earlier(Timer::Drain, self.now + grace);
    }

    /// Ends everything at once.
    pub(super) fn die(&mut self, reason: CloseReason) {
        if self.closed {
            return;
        }
        let reason = self.ending.take().unwrap_or(reason);
        self.output.clear();
        self.fail_calls(&reason);
        self.finish(reason);
    }

    fn finish(&mut self, reason: CloseReason) {
        self.closed = true;
        // Subscriptions are no work, so some may be open even if everything else has finished.
        for id in self.requests.end_all() {
            self.events.push(Event::Cancelled { id, reason: Some(format!("{reason}")) });
        }
        self.changes = Changes::default();
        self.lines = LineBuffer::new(self.limits.frame);
        self.timers = Timers::default();
        let while_probing = self.lifecycle.phase == Phase::Probing;
        self.events.push(Event::Closed { reason, while_probing });
    }

    pub(super) fn output_moved(&mut self) {
        self.timers.stop(Timer::Stall);
        self.settle();
    }

    /// Draws the conclusions of whatever has just changed.
    pub(super) fn settle(&mut self) {
        if self.closed {
            return;
        }
        if self.output.is_twice_full() {
            return self.die(CloseReason::NotReading);
        }
        self.take_on_parked();
        self.send_ready();
        self.tell_waiting_progress();
        self.tell_changes();
        if !self.output.is_full() {
            self.timers.stop(Timer::Stall);
        } else if !self.timers.is_set(Timer::Stall) {
            self.timers.set(Timer::Stall, self.now + self.limits.stall);
        }
        let wanted = self.wants_room || self.wants_writable && !self.calls.is_full();
        if wanted && self.output.is_writable() {
            (self.wants_room, self.wants_writable) = (false, false);
            self.events.push(Event::Writable);
        }
        if self.requests.is_idle()
            && self.calls.is_empty()
            && self.output.is_empty()
            && let Some(reason) = self.ending.take()
        {
            self.finish(reason);
        }
    }
}
