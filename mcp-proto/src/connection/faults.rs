//! What the peer does wrong: answered where possible, surfaced, counted, and fatal when it happens too often.

use alloc::string::ToString;
use core::time::Duration;

use super::Connection;
use super::error::{CloseReason, Rule};
use super::event::{About, Event, Origin};
use crate::jsonrpc::{ErrorObject, Message, refusal};
use crate::model::UnreadableId;

impl Connection {
    /// Takes a batch (specification 2025-03-26: basic, Batching): each message by itself, each reply by itself. True if it
    /// was one that this revision allows.
    pub(super) fn on_batch(&mut self, origin: Origin, message: &Message) -> bool {
        let limits = self.limits.clone();
        let Some(mut batch) = message.batch(&limits) else { return false };
        if !self.version().is_some_and(|version| version.rules().batches) {
            return false;
        }
        // An empty array is no batch, but an invalid request.
        let Some(first) = batch.next() else { return false };
        for message in core::iter::once(first).chain(batch) {
            if self.closed {
                break;
            }
            self.on_message(origin, message);
        }
        true
    }

    pub(super) fn on_malformed(&mut self, origin: Origin, message: &Message) {
        let Some(fault) = message.fault() else { return };
        if message.is_malformed_response() {
            self.on_malformed_response(message, fault);
        } else if message.may_be_answered() && (self.is_server() || message.echo().is_some()) {
            // A client does not answer what has no id: on a child's stdout that is somebody's stray print.
            self.refuse(origin, message.echo(), &ErrorObject::new(fault.code(), fault.to_string()));
        }
        // So is a line of JSON that was never meant as a message, as structured logs are.
        let is_noise = !self.is_server() && !message.is_malformed_response() && message.echo().is_none();
        let rule = if is_noise { Rule::Noise(fault) } else { Rule::Malformed(fault) };
        self.misbehaved(rule, message.text());
    }

    /// Surfaces a broken rule, counts it, and closes when the bucket is full.
    pub(super) fn misbehaved(&mut self, rule: Rule, detail: &str) {
        self.stats.broken_rules += 1;
        if self.closed {
            // What broke the rule has ended the connection already; nothing comes after `Closed`.
            return;
        }
        let is_noise = matches!(rule, Rule::Noise(_));
        self.events.push(Event::Misbehaved { rule, detail: detail.chars().take(200).collect() });
        if is_noise {
            return;
        }
        let minute = Duration::from_secs(60);
        self.strikes_until = self.strikes_until.max(self.now) + minute / self.limits.strikes.max(1);
        if self.strikes_until > self.now + minute {
            self.die(CloseReason::Misbehaved);
        }
    }

    /// Answers something that did not become a request. `id` is JSON text.
    pub(super) fn refuse(&mut self, origin: Origin, id: Option<&str>, error: &ErrorObject) {
        let omits = match self.version() {
            Some(version) => version.rules().unreadable_id == UnreadableId::Omitted,
            None => self.is_modern_only(),
        };
        let unreadable = if omits { None } else { Some("null") };
        let id = id.or(unreadable);
        let mut frame = refusal(id, error);
        if frame.len() > self.limits.frame {
            // It quotes something overlong of the peer's: the text goes first, then the id.
            let short = ErrorObject::new(error.code, "refused");
            frame = refusal(id, &short);
            if frame.len() > self.limits.frame {
                frame = refusal(unreadable, &short);
            }
        }
        self.transmit_error(origin, About::Refusal, error.code, frame);
    }
}
