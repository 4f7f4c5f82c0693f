//! Progress in both directions (specification: basic/utilities/progress): strictly rising, only while its request is in
//! work, only for whoever asked for it, and conflated while there is no room.

use super::Connection;
use super::error::{RespondError, Rule};
use super::event::{About, Event, InboundId, OutboundId, Wanted};
use crate::jsonrpc::{Body, Fault, Message, Tail};
use crate::model::{Progress, ProgressParams};

/// The longest text of a progress that waits for room, in bytes: one is kept for each request in work.
const LONGEST_WAITING: usize = 1024;

/// What we tell the peer.
impl Connection {
    pub(super) fn send_progress(&mut self, id: InboundId, progress: Progress) -> Result<(), RespondError> {
        let is_full = self.output.is_full();
        let request = self.requests.reporting_mut(id).ok_or(RespondError::Gone)?;
        if !progress.progress.is_finite() || request.last_progress.is_some_and(|last| progress.progress <= last) {
            return Err(RespondError::ProgressNotRising);
        }
        request.last_progress = Some(progress.progress);
        if request.token.is_none() {
            return Ok(());
        }
        if is_full {
            // The latest is all that a peer that does not keep up has to know.
            let short = |text: &alloc::string::String| text.len() <= LONGEST_WAITING;
            let message = progress.message.filter(short);
            let replaced = request.waiting_progress.replace(Progress { message, ..progress });
            self.stats.dropped += u64::from(replaced.is_some());
            self.requests.waiting_progress.insert(id);
            return Ok(());
        }
        // It overtakes what waits, which is older.
        self.stats.dropped += u64::from(request.waiting_progress.take().is_some());
        self.tell_progress(id, progress);
        Ok(())
    }

    /// Sends the progress that has waited, while there is room.
    pub(super) fn tell_waiting_progress(&mut self) {
        while !self.output.is_full()
            && let Some(id) = self.requests.waiting_progress.pop_first()
        {
            let waiting = self.requests.reporting_mut(id).and_then(|request| request.waiting_progress.take());
            if let Some(progress) = waiting {
                self.tell_progress(id, progress);
            }
        }
    }

    fn tell_progress(&mut self, id: InboundId, progress: Progress) {
        let Some(request) = self.requests.reporting_mut(id) else { return };
        let Some(token) = request.token.clone() else { return };
        let (origin, rules) = (request.origin, request.version.rules());
        let mut params = ProgressParams::new(token, progress.progress);
        params.total = progress.total.filter(|total| total.is_finite());
        params.message = progress.message.filter(|_| rules.progress_message);
        let fits = |body: &Body| body.finished_len(&Tail::default(), None) <= self.limits.frame;
        let mut body = Body::new("notifications/progress", &params).ok();
        if !body.as_ref().is_some_and(fits) {
            params.message = None;
            body = Body::new("notifications/progress", &params).ok().filter(fits);
        }
        match body {
            Some(body) if self.way_of(origin).is_some() => {
                self.transmit(origin, About::Within(id), body.finish(&Tail::default(), None));
            }
            _ => self.stats.dropped += 1,
        }
    }
}

/// What the peer tells us.
impl Connection {
    pub(super) fn on_progress(&mut self, message: Message) {
        let Ok(params) = message.params().decode::<ProgressParams>() else {
            return self.misbehaved(Rule::BadNotification(Fault::BadParams), message.text());
        };
        let token = params.progress_token.0.as_number();
        let Some((id, last)) = token.and_then(|token| self.reporting_call(token)) else {
            self.stats.strays += 1;
            self.events.push(Event::Stray { message });
            return;
        };
        if !params.progress.is_finite() || last.is_some_and(|last| params.progress <= last) {
            return self.misbehaved(Rule::ProgressNotRising, message.text());
        }
        *last = Some(params.progress);
        let now = self.now;
        if let Some(call) = self.calls.get_mut(id) {
            call.hear(now);
        }
        let progress = Progress { progress: params.progress, total: params.total, message: params.message };
        self.events.push(Event::Progress { id, progress, message });
    }

    /// The call of ours that reports under this token, and how far it was: one that is open, or that has become a task.
    fn reporting_call(&mut self, token: i64) -> Option<(OutboundId, &mut Option<f64>)> {
        match self.calls.by_wire.get(&token).copied() {
            Some(id) => {
                let call = self.calls.open.get_mut(&id).filter(|call| call.wants_progress == Wanted::Yes)?;
                Some((id, &mut call.last_progress))
            }
            None => self.calls.tasks.get_mut(&token).map(|task| (task.call, &mut task.last_progress)),
        }
    }
}
