//! Requests of the legacy era: sessions, the responses that carry them, and how they are found again.

mod front;
mod live;
mod respond;
pub(super) mod sse;
mod table;
mod task;

use std::sync::Arc;

use http::{Response, StatusCode};
use mcp_proto::http::headers::SESSION_ID;
use mcp_proto::http::{Get, Keeping, LegacyCall, Reason, SessionConfig, SessionId};
use mcp_proto::{Message, Start};

use self::live::Live;
pub(crate) use self::live::PostStream;
use self::respond::Reading;
use self::table::Table;
use super::body::Body;
use super::caller::Caller;
use super::modern;
use super::options::HttpOptions;
use super::service::Web;
use crate::runtime::Spawn;

/// The sessions of a listener.
pub(super) struct Sessions {
    config: Arc<SessionConfig>,
    table: Arc<Table<Live>>,
}

impl Sessions {
    /// None yet.
    pub(super) fn new(options: &HttpOptions) -> Self {
        let mut config = SessionConfig::default();
        config.limits = options.limits.clone();
        config.cancelled = options.cancelled;
        Self { table: Arc::new(Table::new(&config.limits)), config: Arc::new(config) }
    }
}

/// Answers a POST.
pub(super) async fn post<R: Spawn>(web: &Arc<Web<R>>, call: LegacyCall, caller: Arc<Caller>) -> Response<Body> {
    match call {
        LegacyCall::Initialize(message) if web.endpoint.config().sessions == Keeping::Nothing => {
            modern::answer(web, Start::Handshake, message, caller).await
        }
        LegacyCall::Sessionless { version, message } => {
            modern::answer(web, Start::Assume(version), message, caller).await
        }
        LegacyCall::Initialize(message) => match open(web, &caller) {
            Ok(live) => initialize(web, &live, message, caller).await,
            Err(reason) => refuse(web, &caller, reason, Some(&message)),
        },
        LegacyCall::InSession { session, message, .. } => match find(web, &session, &caller) {
            Ok(live) => answer(web, &live, message, caller).await,
            Err(reason) => refuse(web, &caller, reason, Some(&message)),
        },
    }
}

/// Answers a GET: the stream of a session, or the rest of a stream that was lost.
pub(super) async fn get<R: Spawn>(web: &Arc<Web<R>>, get: Get, caller: Arc<Caller>) -> Response<Body> {
    let opened = find(web, &get.session, &caller).and_then(|live| {
        let key = live.open_get(get.last_event_id.as_ref())?;
        Ok(Reading::new(live, key))
    });
    match opened {
        Ok(reading) => reading.respond().await,
        Err(reason) => refuse(web, &caller, reason, None),
    }
}

/// Answers a DELETE.
pub(super) async fn delete<R: Spawn>(web: &Arc<Web<R>>, session: SessionId, caller: Arc<Caller>) -> Response<Body> {
    match web.sessions.table.remove(&session, caller.principal()) {
        Ok(live) => {
            live.close();
            let mut response = Response::new(Body::full(""));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(reason) => refuse(web, &caller, reason, None),
    }
}

/// Begins a session, whose client has still to be agreed with.
fn open<R: Spawn>(web: &Arc<Web<R>>, caller: &Caller) -> Result<Arc<Live>, Reason> {
    if web.open.is_ending() {
        return Err(Reason::ShuttingDown);
    }
    let id = fresh_id()?;
    let (live, task) = Live::new(web, id.clone(), &web.sessions.config);
    let table = &web.sessions.table;
    let evicted = table.insert(&web.runtime, id, caller.principal(), Arc::clone(&live))?;
    web.runtime.spawn(task);
    if let Some(evicted) = evicted {
        tracing::debug!("a session that was idle longest had to go for a new one");
        evicted.close();
    }
    Ok(live)
}

fn fresh_id() -> Result<SessionId, Reason> {
    let mut entropy = [0; 16];
    getrandom::fill(&mut entropy).map_err(|error| {
        tracing::error!(%error, "there is no entropy for the id of a session");
        Reason::Failed
    })?;
    Ok(SessionId::from_entropy(entropy))
}

fn find<R: Spawn>(web: &Web<R>, session: &SessionId, caller: &Caller) -> Result<Arc<Live>, Reason> {
    web.sessions.table.find(web.runtime.now(), session, caller.principal())
}

async fn initialize<R: Spawn>(
    web: &Arc<Web<R>>,
    live: &Arc<Live>,
    message: Message,
    caller: Arc<Caller>,
) -> Response<Body> {
    let response = answer(web, live, message.clone(), Arc::clone(&caller)).await;
    if response.headers().contains_key(SESSION_ID) {
        return response;
    }
    // Its client was refused, and was told of no session.
    web.sessions.table.forget(live.id());
    live.close();
    match response.status() {
        // The session was over before its first message was looked at: it has ended with the listener.
        StatusCode::NOT_FOUND => refuse(web, &caller, Reason::ShuttingDown, Some(&message)),
        _ => response,
    }
}

/// Hands a message to its session, and answers what comes of it.
async fn answer<R: Spawn>(
    web: &Arc<Web<R>>,
    live: &Arc<Live>,
    message: Message,
    caller: Arc<Caller>,
) -> Response<Body> {
    // Kept, since a message that is refused is gone by then.
    let refusal = |reason| web.endpoint.refusal(caller.headers(), reason).of(&message);
    if live.is_foreign_batch(&message) {
        return refusal(Reason::Batch).into_response().map(Body::full);
    }
    let busy = refusal(Reason::TooManyExchanges);
    let gone = refusal(Reason::SessionUnknown);
    match live.open_post(message, Arc::clone(&caller)) {
        Ok(key) => Reading::new(Arc::clone(live), key).respond().await,
        Err(Reason::TooManyExchanges) => busy.into_response().map(Body::full),
        Err(_) => gone.into_response().map(Body::full),
    }
}

fn refuse<R: Spawn>(web: &Web<R>, caller: &Caller, reason: Reason, message: Option<&Message>) -> Response<Body> {
    let refusal = web.endpoint.refusal(caller.headers(), reason);
    let refusal = match message {
        Some(message) => refusal.of(message),
        None => refusal,
    };
    refusal.into_response().map(Body::full)
}

#[cfg(test)]
mod tests;
