//! A request that stands alone: it has a connection of its own, and its handler lives in the response.
//!
//! In the modern era every request is one (specification 2026-07-28: basic/transports, Streamable HTTP). Whoever closes the response
//! has cancelled it: the response is dropped, and the handler with it. Until 2025-11-25 they are those of clients without a session;
//! closing the response means nothing there, so what is in work goes on as a task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use mcp_proto::http::{Exchange, Head, Output, Preference};
use mcp_proto::{Channel, Connection, Era, InboundId, Message, Origin, Start, Timestamp};

use super::body::{Body, Source};
use super::caller::Caller;
use super::open::Entry;
use super::service::Web;
use crate::runtime::Spawn;
use crate::server::Place;
use crate::stream::{Alarm, Begun, Load, Notifications, Parts, Reply, Role, Turn, Work, begin, screen, share, size};

/// The one exchange of its connection.
const EXCHANGE: Origin = Origin::new(1);
/// Turns in one poll before other tasks get a chance.
const TURNS: usize = 32;

/// Answers a message that stands alone: one of the modern era, or one of a client without a session. The future ends with the head of
/// the response, and may be dropped at any time.
pub(super) async fn answer<R: Spawn>(
    web: &Web<R>,
    start: Start,
    message: Message,
    caller: Arc<Caller>,
) -> Response<Body> {
    // Boxed, so that connections that wait for a request do not keep room for it.
    let mut serving = Attended(Some(Box::new(Serving::new(web, start, message, caller))));
    let head = poll_fn(|cx| serving.poll_head(cx)).await;
    let mut response = Response::new(serving.into_body());
    (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
    response
}

/// One exchange at work: what the stream driver is for streams.
struct Serving<R: Spawn> {
    parts: Parts<R>,
    caller: Arc<Caller>,
    era: Era,
    exchange: Exchange,
    /// The handlers at work, but for those that block.
    works: Vec<Work>,
    /// What came of handlers that have ended, until there is room for it.
    replies: VecDeque<(InboundId, Option<Reply>)>,
    notifications: Notifications,
    alarm: Alarm<R>,
    /// It is told of changes, and of the end.
    _places: (Place, Entry),
}

impl<R: Spawn> Serving<R> {
    fn new(web: &Web<R>, start: Start, message: Message, caller: Arc<Caller>) -> Self {
        let Web { runtime, server, endpoint, open, .. } = web;
        let era = if let Start::Assume(version) = start { version.era() } else { Era::Legacy };
        let (config, service) = (server.config(), server.service());
        let limits = config.limits.clone();
        let shared = share(runtime, server.tracer(), |now| {
            let mut connection = Connection::server(config, start, now);
            // There is no way to the client but the response.
            connection.handle_channel(now, Channel::Closed);
            connection
        });
        let exchange = Exchange::new(era, &message, &endpoint.config().limits, shared.now())
            .preferring(Preference::of(caller.headers()));
        let place = server.tell(&shared);
        let account = server.shared_budget().open(&shared);
        let runtime = runtime.clone();
        let parts = Parts { runtime, shared, service, limits, account, hangup: None, role: Role::Server };
        if let Some(message) = screen(&parts, message) {
            let now = parts.runtime.now();
            parts.shared.with(|state| state.connection.handle_message(now, EXCHANGE, message));
        }
        // After that: it may be told to end at once, which finishes what has come.
        let entry = open.enter(caller.address(), &parts.shared);
        Self {
            parts,
            caller,
            era,
            exchange,
            works: Vec::new(),
            replies: VecDeque::new(),
            notifications: Notifications::default(),
            alarm: Alarm::default(),
            _places: (place, entry),
        }
    }

    /// Does all that can be done now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let replaced = self.parts.shared.with(|state| state.driver.replace(waker));
        drop(replaced);
        for _ in 0..TURNS {
            let mut busy = self.work(cx);
            let (turn, deadline) = self.carry();
            self.account(turn.load);
            busy |= self.dispatch(turn);
            let deadlines = [deadline, self.exchange.poll_timeout()];
            let next = deadlines.into_iter().flatten().min().filter(|_| !self.exchange.is_ended());
            busy |= self.alarm.poll(&self.parts.runtime, next, cx);
            if !busy {
                self.parts.account.relieve();
                return;
            }
        }
        self.parts.account.relieve();
        cx.waker().wake_by_ref();
    }

    /// Polls the handlers; true if one has ended.
    fn work(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { works, replies, .. } = self;
        let before = works.len();
        works.retain_mut(|work| match work.poll_reply(cx) {
            Poll::Pending => true,
            Poll::Ready(reply) => {
                replies.push_back((work.id(), reply));
                false
            }
        });
        works.len() < before
    }

    /// The one time the lock is held in a turn: between the connection and the exchange.
    fn carry(&mut self) -> (Turn, Option<Timestamp>) {
        let mut turn = Turn::default();
        let now = self.parts.runtime.now();
        let Self { parts, exchange, replies, .. } = self;
        let deadline = parts.shared.with(|state| {
            while !state.connection.is_output_full()
                && let Some((id, reply)) = replies.pop_front()
            {
                turn.ended.extend(match reply {
                    Some(reply) => state.answer(now, id, reply),
                    None => state.handler_ended(id, now),
                });
            }
            state.connection.handle_timeout(now);
            exchange.handle_timeout(now);
            while exchange.has_room()
                && let Some(transmit) = state.connection.poll_transmit()
            {
                // What belongs to no exchange has no way to the client.
                if transmit.origin == EXCHANGE {
                    exchange.push(now, transmit);
                }
            }
            state.take_events(&mut turn);
            state.expire_waiting(now, &mut turn);
            if !state.connection.is_open(EXCHANGE) {
                // Whatever was to be said about it is said.
                exchange.finish();
            }
            turn.load = state.load();
            state.next_timeout()
        });
        (turn, deadline)
    }

    /// Wakes and begins what the turn brought.
    fn dispatch(&mut self, turn: Turn) -> bool {
        let busy = !turn.requests.is_empty();
        turn.wakers.into_iter().for_each(Waker::wake);
        for remark in turn.remarks {
            tracing::debug!(?remark, "the peer did something odd");
        }
        let Self { parts, caller, works, replies, notifications, .. } = self;
        notifications.handle(&parts.runtime, &parts.shared, &parts.service, turn.notifications);
        for mut request in turn.requests {
            request.caller = Some(Arc::clone(caller));
            let id = request.id;
            match begin(parts, request) {
                Begun::Answered(reply) => replies.push_back((id, Some(reply))),
                Begun::Work(work) => works.push(work),
                Begun::Blocking(work) => work.block(&parts.runtime),
            }
        }
        for gone in turn.gone.into_iter().filter_map(|id| parts.service.gone(id)) {
            parts.runtime.spawn(gone);
        }
        busy
    }

    /// Tells the budget what the exchange holds.
    fn account(&self, load: Load) {
        let replies = self.replies.iter().filter_map(|(_, reply)| reply.as_ref()).map(size).sum::<usize>();
        let here = self.exchange.buffered() + replies + self.notifications.bytes();
        self.parts.account.set(Load { bytes: load.bytes + here, ..load });
    }

    /// The next part of the response.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Output>> {
        // What is there is given away first, so that there is room for more.
        if let Some(output) = self.exchange.poll_output() {
            return Poll::Ready(Some(output));
        }
        if self.exchange.is_over() {
            return Poll::Ready(None);
        }
        self.drive(cx);
        self.exchange.poll_output().map_or(Poll::Pending, |output| Poll::Ready(Some(output)))
    }

    /// Whether its client may have gone while it goes on.
    fn outlives_its_client(&self) -> bool {
        self.era == Era::Legacy && !self.exchange.is_ended()
    }
}

/// Ends what is left of it: in the modern era the client has cancelled what is still in work.
impl<R: Spawn> Drop for Serving<R> {
    fn drop(&mut self) {
        let Parts { runtime, shared, service, .. } = &self.parts;
        shared.end_by(|connection, now| connection.handle_disconnect(now, EXCHANGE));
        // They know by now that it was cancelled.
        self.works.clear();
        shared.end_by(|connection, now| connection.close(now, Duration::ZERO));
        if let Some(ended) = service.ended() {
            runtime.spawn(ended);
        }
    }
}

/// An exchange whose client is there. Dropped before its end it means that the client is gone.
struct Attended<R: Spawn>(Option<Box<Serving<R>>>);

impl<R: Spawn> Attended<R> {
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Output>> {
        self.0.as_mut().map_or(Poll::Ready(None), |serving| serving.poll_output(cx))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Head> {
        match self.poll_output(cx) {
            Poll::Ready(Some(Output::Head(head))) => Poll::Ready(head),
            // Whatever it is, it comes first and once.
            _ => Poll::Pending,
        }
    }

    /// The rest of the response: with its length, if all of it is there.
    fn into_body(mut self) -> Body {
        match self.0.as_mut().and_then(|serving| serving.exchange.take_rest()) {
            Some(rest) => Body::full(rest),
            None => Body::from_source(self),
        }
    }
}

impl<R: Spawn> Source for Attended<R> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll_output(cx).map(|output| match output {
            Some(Output::Data(data)) => Some(data),
            Some(Output::Head(_) | Output::End) | None => None,
        })
    }
}

impl<R: Spawn> Drop for Attended<R> {
    fn drop(&mut self) {
        if let Some(mut serving) = self.0.take()
            && serving.outlives_its_client()
        {
            let runtime = serving.parts.runtime.clone();
            runtime.spawn(poll_fn(move |cx| {
                loop {
                    match serving.poll_output(cx) {
                        // Nobody is there to read it.
                        Poll::Ready(Some(_)) => {}
                        polled => return polled.map(drop),
                    }
                }
            }));
        }
    }
}

#[cfg(test)]
mod tests;
