//! The two queues of a connection, counted in bytes: frames on their way out, events on their way up.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::Connection;
use super::error::RequestError;
use super::event::{About, Event, InboundId, Origin, OutboundId, Transmit};
use crate::jsonrpc::ErrorCode;

/// Frames that the transport has not taken yet.
#[derive(Clone, Debug)]
pub(super) struct Output {
    frames: VecDeque<Transmit>,
    /// The sum of the frames' lengths, each with its line end.
    bytes: usize,
    limit: usize,
}

impl Output {
    pub(super) const fn new(limit: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, limit }
    }

    pub(super) fn push(&mut self, transmit: Transmit) {
        self.bytes += transmit.frame.len() + 1;
        self.frames.push_back(transmit);
    }

    pub(super) fn pop(&mut self) -> Option<Transmit> {
        let transmit = self.frames.pop_front()?;
        self.bytes -= transmit.frame.len() + 1;
        if self.frames.is_empty() && self.frames.capacity() > KEEP {
            self.frames = VecDeque::new();
        }
        Some(transmit)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing more may be added that could also be refused. A single message never is over the limit, so that
    /// an empty queue always admits one.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > self.limit
    }

    /// Whether even an answer was one too many. The newest message does not count: it may be as large as a frame, and a peer
    /// that reads well may have left a little before it.
    pub(super) fn is_twice_full(&self) -> bool {
        let newest = self.frames.back().map_or(0, |transmit| transmit.frame.len() + 1);
        self.bytes - newest > self.limit.saturating_mul(2)
    }

    /// Whether so much has drained that refused senders may try again.
    pub(super) fn is_writable(&self) -> bool {
        self.bytes <= self.limit / 2
    }

    /// Takes back a request that has not left yet; whether it was still here.
    pub(super) fn take_back(&mut self, call: OutboundId) -> bool {
        self.retain(|about| about != About::Call(call)) > 0
    }

    /// Drops the queued reply to the request with this wire id, as JSON text, and what was to be said before it; how many
    /// frames.
    pub(super) fn drop_reply_to(&mut self, origin: Origin, wire: &str) -> usize {
        let (last, first) =
            (alloc::format!(",\"id\":{wire}}}"), alloc::format!("{{\"jsonrpc\":\"2.0\",\"id\":{wire},"));
        let replied = |transmit: &Transmit| match transmit.about {
            About::Reply(id) if transmit.origin == origin => {
                let frame = &transmit.frame;
                (frame.ends_with(last.as_bytes()) || frame.starts_with(first.as_bytes())).then_some(id)
            }
            _ => None,
        };
        let mut dropped = 0;
        while let Some(id) = self.frames.iter().find_map(replied) {
            dropped += self.drop_within(id);
        }
        dropped
    }

    /// Drops everything that belongs to a request of the peer; how many frames.
    pub(super) fn drop_within(&mut self, id: InboundId) -> usize {
        self.retain(|about| about != About::Within(id) && about != About::Reply(id))
    }

    /// Whether something waits that is to leave by this exchange.
    pub(super) fn has_for(&self, origin: Origin) -> bool {
        self.frames.iter().any(|transmit| transmit.origin == origin)
    }

    /// Drops everything; how many frames.
    pub(super) fn discard(&mut self) -> u64 {
        let dropped = self.frames.len() as u64;
        self.clear();
        dropped
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    fn retain(&mut self, keep: impl Fn(About) -> bool) -> usize {
        self.retain_frames(|transmit| keep(transmit.about))
    }

    fn retain_frames(&mut self, keep: impl Fn(&Transmit) -> bool) -> usize {
        let before = self.frames.len();
        let bytes = &mut self.bytes;
        self.frames.retain(|transmit| {
            let keeps = keep(transmit);
            if !keeps {
                *bytes -= transmit.frame.len() + 1;
            }
            keeps
        });
        before - self.frames.len()
    }

    /// Moves frames into `out`, each with its line end, until `out` holds `at_most` bytes; always at least one frame. Tells what
    /// has left.
    pub(super) fn drain_lines(&mut self, out: &mut Vec<u8>, at_most: usize, mut left: impl FnMut(About)) -> u64 {
        let mut drained = 0;
        while let Some(next) = self.frames.front() {
            if drained > 0 && out.len() + next.frame.len() >= at_most {
                break;
            }
            let Some(transmit) = self.pop() else { break };
            left(transmit.about);
            if out.is_empty() && transmit.frame.len() >= at_most {
                *out = transmit.frame;
            } else {
                out.extend_from_slice(&transmit.frame);
            }
            out.push(b'\n');
            drained += 1;
        }
        drained
    }
}

impl Connection {
    /// Whether output is over its limit. Whoever has a large answer should wait for [`Event::Writable`] with it.
    pub fn is_output_full(&mut self) -> bool {
        let full = self.output.is_full() && !self.closed;
        self.wants_room |= full;
        full
    }

    /// Bytes held in the queues and of an unfinished line.
    pub fn buffered_bytes(&self) -> usize {
        self.output.bytes() + self.events.bytes() + self.requests.bytes() + self.lines.buffered()
    }

    /// Gives back the memory that is kept for what is not here now. For drivers of many connections that are mostly idle; nothing else
    /// changes.
    pub fn shrink(&mut self) {
        self.requests.shrink();
        self.calls.shrink();
        if self.output.frames.is_empty() {
            self.output.frames = VecDeque::new();
        }
        if self.events.queue.is_empty() {
            self.events.queue = VecDeque::new();
        }
    }

    pub(super) fn transmit(&mut self, origin: Origin, about: About, frame: Vec<u8>) {
        self.put_out(Transmit::new(origin, about, frame));
    }

    pub(super) fn transmit_error(&mut self, origin: Origin, about: About, code: ErrorCode, frame: Vec<u8>) {
        self.put_out(Transmit { error: Some(code), ..Transmit::new(origin, about, frame) });
    }

    pub(super) fn put_out(&mut self, transmit: Transmit) {
        if self.closed {
            // The last broken rule closed the connection; its answer is not sent any more.
            return;
        }
        self.output.push(transmit);
    }
}

/// Events that the application has not taken yet.
#[derive(Clone, Debug)]
pub(super) struct Events {
    /// The oldest, if it came while nothing else was here: most events are taken before the next one comes, and a
    /// connection that begins with one needs no memory for it.
    first: Option<Event>,
    queue: VecDeque<Event>,
    bytes: usize,
    limit: usize,
}

impl Events {
    pub(super) const fn new(limit: usize) -> Self {
        Self { first: None, queue: VecDeque::new(), bytes: 0, limit }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes += size(&event);
        if self.is_empty() {
            self.first = Some(event);
        } else {
            self.queue.push_back(event);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.first.take().or_else(|| self.queue.pop_front())?;
        self.bytes -= size(&event);
        if self.queue.is_empty() && self.queue.capacity() > KEEP {
            self.queue = VecDeque::new();
        }
        Some(event)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.queue.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes > self.limit
    }
}

/// Slots that an empty queue keeps, so that a burst does not pin its memory.
const KEEP: usize = 64;

fn size(event: &Event) -> usize {
    let held = match event {
        Event::Request { message, .. }
        | Event::Notification { message, .. }
        | Event::Progress { message, .. }
        | Event::Stray { message }
        | Event::Routed { message }
        | Event::Response { result: Ok((_, message)), .. } => message.size(),
        Event::InputRequired { requests, .. } => {
            requests.iter().map(|(key, question)| size_of::<String>() + key.len() + question.size()).sum()
        }
        Event::Response { result: Err(RequestError::Rpc(error)), .. } => {
            error.message.len() + error.data.as_ref().map_or(0, value_size) + members_size(&error.extra)
        }
        Event::Misbehaved { detail, .. } => detail.len(),
        Event::Cancelled { reason, .. } => reason.as_ref().map_or(0, String::len),
        _ => 0,
    };
    held + size_of::<Event>()
}

/// Bytes of memory that a decoded value holds, roughly. As deep as a message may nest.
fn value_size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_size).sum(),
            Value::Object(members) => members_size(members),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

fn members_size(members: &Map<String, Value>) -> usize {
    members.iter().map(|(key, value)| size_of::<String>() + key.len() + value_size(value)).sum()
}

#[cfg(test)]
mod tests;
