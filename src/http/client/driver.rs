//! The driver of a client over HTTP: one future, between its connection, the protocol's half of HTTP, and hyper.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;
use mcp_proto::http::client::{Command, HttpClient};
use mcp_proto::{InboundId, Timestamp};

use super::exchange::{Came, Exchange};
use super::pool::Pool;
use super::target::{Hooks, credentials};
use super::under_way::UnderWay;
use crate::client::{Client, Setup, ask_again};
use crate::runtime::Spawn;
use crate::stream::{
    Alarm, BoxFuture, Load, Notifications, Parts, Reply, Turn, contain_callback, dispatch, drop_contained, screen, size,
};

/// Turns in one poll before other tasks get a chance.
const TURNS: usize = 32;
/// What exchanges tell in one turn, so that the lock is taken once for a burst.
const BATCH: usize = 64;
/// How long the server may take to hear of the end once the connection is over.
const LINGER: Duration = Duration::from_secs(2);
/// What the log calls the hook.
const AUTHORIZE: &str = "authorize";

/// See the module.
pub(super) struct Driver<R: Spawn> {
    parts: Parts<R>,
    http: HttpClient,
    pool: Arc<Pool>,
    under_way: UnderWay,
    hooks: Hooks,
    /// The hook at work.
    authorizing: Option<BoxFuture<Option<String>>>,
    /// Answers of handlers that were finished in place, until there is room for them.
    replies: VecDeque<(InboundId, Reply)>,
    notifications: Notifications,
    /// What asks again for everything in a session that follows.
    renewed: (Client, Arc<Setup>),
    /// Whether bodies were read when last asked.
    reads: bool,
    alarm: Alarm<R>,
    /// Set at the connection's end: when patience ends, too.
    linger: Option<Timestamp>,
}

impl<R: Spawn> Future for Driver<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let waker = cx.waker().clone();
        let replaced = this.parts.shared.with(|state| state.driver.replace(waker));
        drop(replaced);
        this.under_way.watch(cx);
        for _ in 0..TURNS {
            let mut busy = this.hear();
            busy |= this.authorize(cx);
            let (turn, closed, deadline) = this.carry();
            this.account(turn.load);
            busy |= this.dispatch(turn, cx);
            if closed {
                this.http.close(this.parts.runtime.now());
            }
            busy |= this.obey();
            if closed && this.end() {
                return Poll::Ready(());
            }
            let spare = this.pool.tidy(this.parts.runtime.now());
            let deadlines = [deadline, this.http.poll_timeout(), spare, this.linger];
            busy |= this.alarm.poll(&this.parts.runtime, deadlines.into_iter().flatten().min(), cx);
            if !busy {
                this.parts.account.relieve();
                return Poll::Pending;
            }
        }
        this.parts.account.relieve();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Spawn> Driver<R> {
    pub(super) fn new(
        parts: Parts<R>,
        http: HttpClient,
        pool: Arc<Pool>,
        hooks: Hooks,
        renewed: (Client, Arc<Setup>),
    ) -> Self {
        Self {
            parts,
            http,
            pool,
            under_way: UnderWay::default(),
            hooks,
            authorizing: None,
            replies: VecDeque::new(),
            notifications: Notifications::default(),
            renewed,
            reads: true,
            alarm: Alarm::default(),
            linger: None,
        }
    }

    /// Takes what the exchanges have to tell.
    fn hear(&mut self) -> bool {
        let now = self.parts.runtime.now();
        let mut heard = 0;
        while heard < BATCH
            && let Some((id, came)) = self.under_way.next(|| self.http.wants_data())
        {
            heard += 1;
            match came {
                Came::Head(head) => self.http.handle_head(now, id, head.status, &head.headers),
                Came::Data(data) => self.http.handle_data(now, id, &data),
                Came::End(sender) => {
                    if let Some(sender) = sender {
                        self.pool.put(now, sender);
                    }
                    self.http.handle_end(now, id);
                }
                Came::Failed(failure) => self.http.handle_failure(now, id, &failure),
            }
        }
        self.http.handle_timeout(now);
        let Self { http, parts, .. } = self;
        http.screen(|message| screen(parts, message));
        heard > 0
    }

    /// The one time the lock is held in a turn.
    fn carry(&mut self) -> (Turn, bool, Option<Timestamp>) {
        let mut turn = Turn::default();
        let now = self.parts.runtime.now();
        let Self { parts, http, replies, .. } = self;
        let (closed, deadline) = parts.shared.with(|state| {
            while !state.connection.is_output_full()
                && let Some((id, reply)) = replies.pop_front()
            {
                turn.ended.extend(state.answer(now, id, reply));
            }
            state.connection.handle_timeout(now);
            state.send_unsent(now);
            http.drive(now, &mut state.connection);
            state.take_events(&mut turn);
            state.expire_waiting(now, &mut turn);
            turn.load = state.load();
            (state.closed.is_some(), state.next_timeout())
        });
        // Reading may go on: that takes another turn, so that the bodies are asked and know whom to wake.
        let reads = self.http.wants_data();
        turn.resumed = reads && !std::mem::replace(&mut self.reads, reads);
        (turn, closed, deadline)
    }

    /// Wakes and starts what the turn brought.
    fn dispatch(&mut self, turn: Turn, cx: &mut Context<'_>) -> bool {
        let busy = turn.resumed || !turn.requests.is_empty() || !turn.notifications.is_empty();
        if turn.renewed {
            let (runtime, (client, setup)) = (self.parts.runtime.clone(), self.renewed.clone());
            self.parts.runtime.spawn(async move { ask_again(&runtime, &client, &setup).await });
        }
        self.replies.extend(dispatch(&self.parts, &self.notifications, turn, cx));
        while let Some(remark) = self.http.poll_remark() {
            tracing::warn!(%remark, "the server did something odd");
        }
        busy
    }

    /// Does what the protocol's half wants done.
    fn obey(&mut self) -> bool {
        let mut busy = false;
        while let Some(command) = self.http.poll_command() {
            busy = true;
            match command {
                Command::Send { exchange, mut request } => {
                    for (name, value) in &self.hooks.headers {
                        request.headers_mut().append(name, value.clone());
                    }
                    self.under_way.add(exchange, Exchange::new(&self.pool, request));
                }
                Command::Abort(exchange) => self.under_way.remove(exchange),
                Command::Authorize(challenge) => {
                    let ask = self.hooks.authorize.clone();
                    self.authorizing = ask.and_then(|ask| contain_callback(AUTHORIZE, None, || ask(challenge)));
                    if self.authorizing.is_none() {
                        self.http.handle_credentials(self.parts.runtime.now(), None);
                    }
                }
                _ => {}
            }
        }
        busy
    }

    /// Polls the hook that finds out who asks.
    fn authorize(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(authorizing) = &mut self.authorizing else { return false };
        let polled = contain_callback(AUTHORIZE, None, || authorizing.as_mut().poll(cx));
        let token = match polled {
            Some(Poll::Pending) => return false,
            Some(Poll::Ready(token)) => token,
            None => None,
        };
        drop_contained(self.authorizing.take());
        let credentials: Option<HeaderValue> = token.and_then(|token| credentials(&token));
        self.http.handle_credentials(self.parts.runtime.now(), credentials);
        true
    }

    /// Tells the budget what the client holds: `load`, and what is here.
    fn account(&self, load: Load) {
        let replies = self.replies.iter().map(|(_, reply)| size(reply)).sum::<usize>();
        let here = self.http.buffered() + replies + self.notifications.bytes();
        self.parts.account.set(Load { bytes: load.bytes + here, ..load });
    }

    /// After the connection's end, of which the server is told: true when that is done, or was tried for long enough.
    fn end(&mut self) -> bool {
        let now = self.parts.runtime.now();
        let patience = *self.linger.get_or_insert(now + LINGER);
        let is_over = self.http.is_over() || now >= patience;
        if is_over {
            self.under_way.clear();
            self.tell_end();
        }
        is_over
    }

    fn tell_end(&self) {
        let watchers = self.parts.shared.with(|state| {
            state.output_closed = true;
            std::mem::take(&mut state.watchers)
        });
        watchers.into_values().for_each(Waker::wake);
    }
}

impl<R: Spawn> Drop for Driver<R> {
    fn drop(&mut self) {
        self.parts.shared.abandon();
    }
}
