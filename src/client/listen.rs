//! Hearing of changes on the server, in both eras by one verb.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mcp_proto::model::{Capability, ListenParams, SubscriptionFilter};
use mcp_proto::{Body, Change, Deadlines, Era, Limits, Lost, Message, Meta, RequestError, Why};
use serde_json::{Map, Value};

use super::Client;
use super::request::set_idle;
use crate::stream::{Answered, BoxFuture, Call, Key, Shared, Sink};
use crate::{Error, Result};

/// The wish to hear of changes, which is sent when it is awaited; see [`Client::listen`].
///
/// ```
/// # async fn example(client: mcp::Client) -> mcp::Result<()> {
/// use std::time::Duration;
/// use mcp::model::SubscriptionFilter;
///
/// let wanted = SubscriptionFilter::new().with_prompts_list_changed(true);
/// let changes = client.listen(wanted).idle(Duration::from_secs(5)).await?;
/// if changes.granted().is_empty() {
///     println!("the server tells nobody of its prompts");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "it is sent when it is awaited"]
pub struct Listen {
    client: Client,
    filter: SubscriptionFilter,
    deadlines: Deadlines,
    meta: Meta,
}

/// Changes on the server, as they happen.
///
/// Level-triggered: what changes often before it is looked at is told once, and nothing is lost however slow the listener.
/// Whoever needs to know what is now asks for it then.
///
/// Dropping it ends the subscription; the server is told. On a legacy session that means that it is unsubscribed from the
/// resources that nobody else listens to, also if [`Client::subscribe`] asked for them. It keeps the connection open.
#[derive(Debug)]
pub struct Changes {
    client: Client,
    key: Key,
    /// Modern era: the request, which is open as long as this.
    call: Option<Call>,
    /// Legacy era: what was subscribed to for this.
    uris: Vec<String>,
    /// How to listen to the server that follows, if whoever holds this is told of it.
    again: Option<Again>,
    /// Set while it waits before it listens again.
    pause: Option<Pause>,
    /// How long the next such wait is.
    next_pause: Duration,
    ended: Option<Ended>,
}

/// What a request to listen is sent with.
#[derive(Clone, Debug)]
struct Again {
    first: Duration,
    meta: Meta,
}

/// A wait before what was lost is asked for again.
struct Pause(BoxFuture<()>);

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pause")
    }
}

/// How a subscription ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The server has ended it in good order.
    Completed,
    /// The server has cancelled it.
    Cancelled,
    /// It was lost with the connection, or refused.
    Lost(Error),
}

impl Client {
    /// Listens for changes on the server: of its lists, of resources (specification: `subscriptions/listen` from 2026-07-28 on;
    /// before, `resources/subscribe` and the notifications of changed lists, which this does alike).
    ///
    /// It is ready once the server has said what of the wish it [grants](Changes::granted). A legacy server grants the lists
    /// whose changes it declares to tell, and the resources to which it lets the client subscribe.
    ///
    /// ```
    /// # async fn example(client: mcp::Client) -> mcp::Result<()> {
    /// use mcp::Change;
    /// use mcp::model::SubscriptionFilter;
    ///
    /// let notes = vec!["file:///notes.txt".to_owned()];
    /// let wanted = SubscriptionFilter::new().with_tools_list_changed(true).with_resource_subscriptions(notes);
    /// let mut changes = client.listen(wanted).await?;
    /// while let Some(change) = changes.next().await {
    ///     match change {
    ///         Change::Tools => println!("{} tools now", client.list_tools().await?.len()),
    ///         Change::Resource(uri) => println!("{uri} is new"),
    ///         _ => {}
    ///     }
    /// }
    /// println!("{:?}", changes.ended());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the server refuses or does not answer in time.
    pub fn listen(&self, filter: SubscriptionFilter) -> Listen {
        Listen { client: self.clone(), filter, deadlines: self.inner.deadlines, meta: None }
    }
}

impl Listen {
    /// How long the server may take to say what it grants; see [`Request::idle`](super::Request::idle). Once it has, there is
    /// no deadline.
    pub fn idle(mut self, idle: impl Into<Option<Duration>>) -> Self {
        set_idle(&mut self.deadlines, idle.into());
        self
    }

    /// Keys for the request's `_meta`.
    pub fn meta(mut self, meta: Map<String, Value>) -> Self {
        self.meta = Some(meta);
        self
    }

    async fn open(self, sink: Sink) -> Result<Changes> {
        let Self { client, filter, deadlines, meta } = self;
        let key = client.inner.link.with(|state| state.listeners.add(filter.clone(), sink));
        let (Deadlines::Call { idle: first, .. } | Deadlines::Stream { first }) = deadlines;
        // From here on a drop of this future ends what was begun.
        let again = (sink == Sink::Holder).then(|| Again { first, meta: meta.clone() });
        let (uris, pause, next_pause) = (Vec::new(), None, FIRST_PAUSE);
        let mut changes = Changes { client, key, call: None, uris, again, pause, next_pause, ended: None };
        match changes.client.era() {
            Era::Modern => {
                changes.call = Some(changes.listening(filter, Again { first, meta })?);
                poll_fn(|cx| changes.poll_granted(cx)).await?;
            }
            Era::Legacy => changes.subscribe(filter, first).await?,
        }
        Ok(changes)
    }
}

impl IntoFuture for Listen {
    type Output = Result<Changes>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Changes>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open(Sink::Holder))
    }
}

impl Changes {
    /// The next change; `None` once the subscription has [ended](Self::ended). What was told before the end comes first.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same for whoever polls by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        loop {
            let waker = cx.waker().clone();
            let link = &self.client.inner.link;
            let is_over = link.is_over();
            let (change, closed, waker) = link.with(|state| {
                let closed = state.closed.clone();
                let Some(listener) = state.listeners.get_mut(self.key) else { return (None, closed, Some(waker)) };
                match listener.take() {
                    Some(change) => (Some(change), closed, Some(waker)),
                    None => (None, closed, listener.wake(waker)),
                }
            });
            drop(waker);
            if change.is_some() {
                self.next_pause = FIRST_PAUSE;
                return Poll::Ready(change);
            }
            if self.ended.is_some() {
                return Poll::Ready(None);
            }
            if let Some(Pause(pause)) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
                self.call = self.listen_again().and_then(Result::ok);
            }
            let end = match &mut self.call {
                Some(call) => match Pin::new(call).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(_)) => Ended::Completed,
                    Poll::Ready(Err(Error::Request { error: RequestError::Cancelled, .. })) => Ended::Cancelled,
                    Poll::Ready(Err(error)) if error.is_closed() && link.goes_on() => match self.listen_again() {
                        Some(Ok(call)) => {
                            self.call = Some(call);
                            continue;
                        }
                        Some(Err(error)) => Ended::Lost(error),
                        None => Ended::Lost(error),
                    },
                    Poll::Ready(Err(error)) if closed.is_none() && is_broken(&error) && self.again.is_some() => {
                        self.call = None;
                        self.rest();
                        continue;
                    }
                    Poll::Ready(Err(error)) => Ended::Lost(error),
                },
                None => match closed {
                    Some(reason) if is_over => Ended::Lost(Error::Closed(reason)),
                    // The end may have come between the first look and the registration.
                    _ if link.is_over() != is_over => continue,
                    None if link.restarts() > 0 && self.client.era() == Era::Modern => {
                        // The server that follows tells only those who listen in the way of its era.
                        self.call = self.listen_again().and_then(Result::ok);
                        if self.call.is_some() {
                            continue;
                        }
                        return Poll::Pending;
                    }
                    _ => return Poll::Pending,
                },
            };
            self.call = None;
            self.ended = Some(end);
            // What was told in front of the end is looked for once more.
        }
    }

    /// Waits before it listens again, each time longer; once that is granted, everything counts as changed.
    fn rest(&mut self) {
        let session = self.client.inner.link.current();
        session.with(|state| {
            if let Some(listener) = state.listeners.get_mut(self.key) {
                listener.begin_anew();
            }
        });
        let pause = self.next_pause;
        self.next_pause = (pause * 2).min(LONGEST_PAUSE);
        self.pause = Some(Pause(Box::pin(async move { session.sleep(pause).await })));
    }

    /// The request of the modern era that is open as long as this.
    fn listening(&self, filter: SubscriptionFilter, Again { first, meta }: Again) -> Result<Call> {
        let body = Body::new("subscriptions/listen", &ListenParams::new(filter));
        let mut call = self.client.call("subscriptions/listen".into(), body)?.heard_by(self.key);
        call.options().deadlines = Deadlines::Stream { first };
        call.options().meta = meta;
        Ok(call)
    }

    /// The same to the server that follows, of what the one before has granted.
    fn listen_again(&self) -> Option<Result<Call>> {
        let again = self.again.clone()?;
        Some(self.listening(self.granted(), again).map(Call::patient))
    }

    /// What of the wish the server has granted: it tells of nothing else.
    pub fn granted(&self) -> SubscriptionFilter {
        let granted =
            |state: &mut crate::stream::State| state.listeners.get_mut(self.key).map(|it| it.granted().clone());
        self.client.inner.link.with(granted).unwrap_or_default()
    }

    /// How it ended, once it has.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Waits for the acknowledgement; an end that comes before it is the answer.
    fn poll_granted(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(call) = &mut self.call else { return Poll::Ready(Ok(())) };
        let answer = Pin::new(&mut *call).poll(cx);
        let waker = cx.waker().clone();
        let (is_granted, waker) = self.client.inner.link.with(|state| match state.listeners.get_mut(self.key) {
            Some(listener) => (listener.is_granted, listener.wake(waker)),
            None => (true, Some(waker)),
        });
        drop(waker);
        match answer {
            Poll::Pending if is_granted => {
                call.granted();
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Answered { operation, message, .. })) => {
                operation.answered(self.client.inner.link.now(), &message);
                self.call = None;
                self.ended = Some(Ended::Completed);
                if !is_granted {
                    self.grant(SubscriptionFilter::new());
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                self.call = None;
                Poll::Ready(Err(error))
            }
        }
    }

    /// The same wish to a legacy server.
    async fn subscribe(&mut self, wanted: SubscriptionFilter, patience: Duration) -> Result<()> {
        let client = self.client.clone();
        let offered = |wanted: Option<bool>, capability| wanted.filter(|_| client.offers(capability));
        let mut granted = SubscriptionFilter::new();
        granted.tools_list_changed = offered(wanted.tools_list_changed, Capability::ToolsListChanged);
        granted.prompts_list_changed = offered(wanted.prompts_list_changed, Capability::PromptsListChanged);
        granted.resources_list_changed = offered(wanted.resources_list_changed, Capability::ResourcesListChanged);
        let mut uris = wanted.resource_subscriptions.unwrap_or_default();
        uris.sort_unstable();
        uris.dedup();
        uris.truncate(Limits::default().subscribed_uris);
        for uri in uris {
            // First, so that giving up in the middle takes it back.
            self.uris.push(uri.clone());
            self.client.inner.link.with(|state| state.listeners.want(&uri));
            match client.subscribe_once(&uri).idle(patience).await {
                Ok(()) => granted.resource_subscriptions.get_or_insert_default().push(uri),
                Err(error) if error.rpc().is_some() || is_lacking(&error) => {
                    tracing::debug!(%error, "a resource that cannot be subscribed to");
                    self.uris.pop();
                    self.client.inner.link.with(|state| state.listeners.refused(&uri));
                }
                Err(error) => return Err(error),
            }
        }
        self.grant(granted);
        Ok(())
    }

    fn grant(&self, granted: SubscriptionFilter) {
        self.client.inner.link.with(|state| {
            if let Some(listener) = state.listeners.get_mut(self.key) {
                listener.grant(granted);
            }
        });
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let (key, uris) = (self.key, std::mem::take(&mut self.uris));
        let link = &self.client.inner.link;
        link.forget(uris.iter());
        let listener = link.command(|state, _| {
            uris.iter().for_each(|uri| state.listeners.unwant(uri));
            state.listeners.remove(key)
        });
        drop(listener);
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("the server ended the subscription"),
            Self::Cancelled => f.write_str("the server cancelled the subscription"),
            Self::Lost(error) => write!(f, "the subscription was lost: {error}"),
        }
    }
}

/// Whether the server does not offer what was asked for.
pub(super) fn is_lacking(error: &Error) -> bool {
    matches!(error, Error::Send { why: Why::PeerLacks | Why::NotInThisRevision, .. })
}

/// Whether the exchange of a subscription has broken, or did not come about: over HTTP each is one, and the client goes on. A server that
/// refuses is not asked again.
fn is_broken(error: &Error) -> bool {
    match error {
        Error::Request { error: RequestError::Lost(Lost::Refused { status, .. }), .. } => *status >= 500,
        Error::Request { error: RequestError::Lost(_), .. } => true,
        _ => false,
    }
}

/// How long to wait before a subscription that the server has ended is taken up again; doubled each time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether changes were listened for before, on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    First,
    Again,
}

/// A subscription of the client's callbacks, as soon as the server has granted it.
pub(super) type Opening = BoxFuture<Result<Changes>>;

pub(super) fn open_for_callbacks(client: &Client, filter: &SubscriptionFilter) -> Opening {
    Box::pin(client.listen(filter.clone()).open(Sink::Callbacks))
}

/// Listens on behalf of the client's callbacks, as long as the connection lives and the server wants to be listened to.
pub(super) async fn for_callbacks(client: Client, filter: SubscriptionFilter, mut opening: Opening, mut time: Time) {
    let session = client.inner.link.current();
    let mut pause = FIRST_PAUSE;
    loop {
        match opening.await {
            Ok(changes) if changes.granted().is_empty() && changes.ended.is_none() => {
                tracing::debug!("the server tells of no changes");
                return;
            }
            Ok(mut changes) => {
                if std::mem::replace(&mut time, Time::Again) == Time::Again {
                    tell_all_changed(&session, &changes.granted());
                }
                let began = session.now();
                while changes.next().await.is_some() {}
                tracing::debug!(ended = ?changes.ended, "the server tells of changes no more");
                if session.now().saturating_since(began) > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) if error.is_timeout() || is_broken(&error) => {
                tracing::debug!(%error, "listening for changes");
            }
            Err(error) => {
                tracing::debug!(%error, "the server cannot be listened to");
                return;
            }
        }
        session.sleep(pause).await;
        if session.with(|state| state.closed.is_some()) {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        opening = open_for_callbacks(&client, &filter);
    }
}

/// What happened in between nobody has heard.
pub(super) fn tell_all_changed(session: &Shared, granted: &SubscriptionFilter) {
    let kinds = [
        (granted.tools_list_changed, "notifications/tools/list_changed"),
        (granted.prompts_list_changed, "notifications/prompts/list_changed"),
        (granted.resources_list_changed, "notifications/resources/list_changed"),
    ];
    let limits = Limits::default();
    let lists = kinds
        .into_iter()
        .filter(|(granted, _)| *granted == Some(true))
        .map(|(_, method)| format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#));
    let resources = granted.resource_subscriptions.iter().flatten().map(|uri| {
        let uri = Value::from(uri.as_str());
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":{uri}}}}}"#)
    });
    let mut messages = lists.chain(resources).map(|text| Message::scan(text.as_bytes(), &limits)).collect::<Vec<_>>();
    session.command(|state, _| state.own_notifications.append(&mut messages));
}
