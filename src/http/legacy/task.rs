//! The task of a session: what the stream driver is for a stream, without bytes. It ends with the session's connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mcp_proto::http::Activity;
use mcp_proto::{Attachment, InboundId, Origin, Start, Timestamp};
use tracing::Instrument;

use super::front::{Came, Delivery, Front};
use super::live::PostStream;
use crate::http::caller::Caller;
use crate::http::open::{Entry, Open};
use crate::http::service::Web;
use crate::runtime::Spawn;
use crate::stream::{Alarm, Begins, Load, Notifications, Parts, Reply, Role, Shared, Turn, screen, share, size, start};
use crate::trace::Session;

/// Turns in one poll before other tasks get a chance.
const TURNS: usize = 32;
/// Senders that are remembered, beyond which the oldest is forgotten.
const SENDERS: usize = 2048;

/// What the driver and the handles of a new session share.
pub(super) fn shared<R: Spawn>(web: &Web<R>) -> Arc<Shared> {
    let config = web.server.config();
    share(&web.runtime, web.server.tracer(), |now| mcp_proto::Connection::server(config, Start::Handshake, now))
}

/// The task of a session that is entered where the end of the listener and changes of the server are told.
pub(super) fn run<R: Spawn, F: Front>(web: &Web<R>, front: Arc<F>) -> impl Future<Output = ()> + Send + use<R, F> {
    let shared = Arc::clone(front.shared());
    let entry = web.open.enter(None, &shared);
    let place = web.server.tell(&shared);
    let session = Session::begin(Role::Server, shared.tracer(), web.runtime.now());
    let parts = Parts {
        runtime: web.runtime.clone(),
        shared: Arc::clone(&shared),
        service: web.server.service(),
        limits: web.server.config().limits.clone(),
        account: web.server.shared_budget().open(&shared),
        hangup: None,
        role: Role::Server,
    };
    let service = Arc::clone(&parts.service);
    let span = session.span().clone();
    // Boxed, since an idle session is mostly this.
    let task = Box::pin(Task::new(parts, front, Arc::clone(&web.open)).instrument(span));
    async move {
        task.await;
        session.end(&shared);
        drop(place);
        if let Some(ended) = service.ended() {
            ended.await;
        }
        drop::<Entry>(entry);
    }
}

/// See the module.
struct Task<R: Spawn, F: Front> {
    parts: Parts<R>,
    front: Arc<F>,
    open: Arc<Open>,
    /// What has come and is not fed, because the connection does not want any now.
    came: VecDeque<(Sender, Option<mcp_proto::Message>)>,
    /// Who sent what is in work, or may be.
    senders: Vec<Sender>,
    /// Answers of handlers that were finished in place, until there is room for them.
    replies: VecDeque<(InboundId, Reply)>,
    notifications: Notifications,
    alarm: Alarm<R>,
    end: End,
}

/// Whether responses were told of the listener's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotBegun,
    Told,
}

struct Sender {
    number: u64,
    origin: Origin,
    caller: Arc<Caller>,
    stream: Option<PostStream>,
}

/// What one look at the connection brought.
#[derive(Default)]
struct Looked {
    turn: Turn,
    delivery: Option<Delivery>,
    /// Whose requests are over; dropped after the turn.
    gone: Vec<Sender>,
    closed: bool,
    moved: bool,
    timeout: Option<Timestamp>,
}

impl<R: Spawn, F: Front> Future for Task<R, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let waker = cx.waker().clone();
        let replaced = this.parts.shared.with(|state| state.driver.replace(waker));
        drop(replaced);
        for _ in 0..TURNS {
            this.take_came();
            let mut looked = this.look();
            let now = this.parts.runtime.now();
            let mut busy = looked.moved;
            let mut next = None;
            if let Some(delivery) = looked.delivery.take() {
                let told = this.front.deliver(now, delivery);
                this.account(looked.turn.load, told.bytes);
                next = told.timeout;
            }
            let timeout = looked.timeout;
            let closed = looked.closed;
            busy |= this.dispatch(looked, cx);
            if closed {
                this.front.over(now);
                this.parts.account.relieve();
                return Poll::Ready(());
            }
            let next = [timeout, next].into_iter().flatten().min();
            if next.is_none() {
                this.alarm.disarm();
            }
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

impl<R: Spawn, F: Front> Task<R, F> {
    fn new(parts: Parts<R>, front: Arc<F>, open: Arc<Open>) -> Self {
        Self {
            parts,
            front,
            open,
            came: VecDeque::new(),
            senders: Vec::new(),
            replies: VecDeque::new(),
            notifications: Notifications::default(),
            alarm: Alarm::default(),
            end: End::NotBegun,
        }
    }

    fn take_came(&mut self) {
        for Came { origin, number, message, caller, stream } in self.front.take_came() {
            // Whoever looks at messages first may keep this one.
            let message = screen(&self.parts, message).map(|message| message.attach(Attachment(number)));
            self.came.push_back((Sender { number, origin, caller, stream }, message));
        }
        if self.end == End::NotBegun && self.open.is_ending() {
            self.end = End::Told;
            self.front.begin_end(self.parts.runtime.now());
        }
    }

    /// The one time the lock is held in a turn.
    fn look(&mut self) -> Looked {
        let mut looked = Looked::default();
        let now = self.parts.runtime.now();
        let outlook = self.front.outlook();
        let Self { parts, came, senders, replies, .. } = self;
        let Looked { turn, gone, .. } = &mut looked;
        let (mut frames, mut room) = (Vec::new(), outlook.room);
        let (closed, moved, timeout, working) = parts.shared.with(|state| {
            let mut moved = false;
            state.connection.handle_channel(now, outlook.channel);
            while !state.connection.is_output_full()
                && let Some((id, reply)) = replies.pop_front()
            {
                turn.ended.extend(state.answer(now, id, reply));
            }
            while state.connection.wants_input()
                && let Some((sender, message)) = came.pop_front()
            {
                if let Some(message) = message {
                    state.connection.handle_message(now, sender.origin, message);
                }
                senders.push(sender);
                moved = true;
            }
            state.connection.handle_timeout(now);
            state.send_unsent(now);
            while room > 0
                && let Some(frame) = state.connection.poll_transmit()
            {
                room = room.saturating_sub(frame.frame.len());
                frames.push(frame);
            }
            moved |= !frames.is_empty();
            state.take_events(turn);
            state.expire_waiting(now, turn);
            gone.extend(senders.extract_if(.., |sender| !state.connection.is_open(sender.origin)));
            turn.load = state.load();
            (state.closed.is_some(), moved, state.next_timeout(), state.working())
        });
        // Those of whom nobody says whether they are still needed.
        let over = senders.len().saturating_sub(SENDERS);
        gone.extend(senders.drain(..over));
        let is_busy = working > 0 || !senders.is_empty() || !came.is_empty();
        let activity = if is_busy { Activity::Busy } else { Activity::Idle };
        // At the end of the connection they all are, and are told so together.
        let ended = gone.iter().filter(|_| !closed).map(|sender| sender.origin).collect();
        looked.delivery = Some(Delivery { frames, ended, activity });
        Looked { closed, moved, timeout, ..looked }
    }

    /// Wakes and starts what a look brought.
    fn dispatch(&mut self, looked: Looked, cx: &mut Context<'_>) -> bool {
        let Looked { turn, gone, .. } = looked;
        let busy = !turn.requests.is_empty() || !turn.notifications.is_empty();
        turn.wakers.into_iter().for_each(Waker::wake);
        for remark in turn.remarks {
            tracing::debug!(?remark, "the peer did something odd");
        }
        let Parts { runtime, shared, service, .. } = &self.parts;
        self.notifications.handle(runtime, shared, service, turn.notifications);
        // When several are ready at once, all but one are started beside each other.
        let last = turn.requests.len().saturating_sub(1);
        for (at, mut request) in turn.requests.into_iter().enumerate() {
            let number = request.message.attachment().map(|attachment| attachment.0);
            let sender = self.senders.iter().chain(&gone).find(|sender| Some(sender.number) == number);
            request.caller = sender.map(|sender| Arc::clone(&sender.caller));
            request.stream = sender.and_then(|sender| sender.stream.clone());
            let (id, begins) = (request.id, if at == last { Begins::Here } else { Begins::Elsewhere });
            self.replies.extend(start(&self.parts, request, begins, cx).map(|reply| (id, reply)));
        }
        for gone in turn.gone.into_iter().filter_map(|id| self.parts.service.gone(id)) {
            self.parts.runtime.spawn(gone);
        }
        busy
    }

    /// Tells the budget what the session holds.
    fn account(&self, load: Load, front: usize) {
        let came = self.came.iter().filter_map(|(_, message)| Some(message.as_ref()?.size())).sum::<usize>();
        let replies = self.replies.iter().map(|(_, reply)| size(reply)).sum::<usize>();
        let here = came + replies + front + self.notifications.bytes();
        self.parts.account.set(Load { bytes: load.bytes + here, ..load });
    }

    /// Gives back what an idle session does not need.
    fn rest(&mut self) {
        if self.came.is_empty() {
            self.came = VecDeque::new();
        }
        if self.replies.is_empty() {
            self.replies = VecDeque::new();
        }
        if self.senders.is_empty() {
            self.senders = Vec::new();
            self.parts.shared.with(|state| state.shrink());
        }
    }
}

/// A task that goes away with its runtime fails what is open, and ends its responses.
impl<R: Spawn, F: Front> Drop for Task<R, F> {
    fn drop(&mut self) {
        self.parts.shared.abandon();
        self.front.over(self.parts.runtime.now());
    }
}
