//! A request's way: its path, its head, who sent it, its body, and then to what serves it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use mcp_proto::http::{Classified, Endpoint, Reason, Screened, SsePart};
use mcp_proto::{Message, Start};

use super::body::Body;
use super::caller::Caller;
use super::connection::Visitor;
use super::count::Count;
use super::open::Open;
use super::options::{Cors, Health, HttpOptions};
use super::reading::{Unreadable, read};
use super::{cors, legacy, modern};
use crate::runtime::Spawn;
use crate::server::Server;
use crate::stream::{contain, drop_contained};

/// What all requests to a server share.
pub(super) struct Web<R> {
    pub(super) runtime: R,
    pub(super) server: Server,
    pub(super) endpoint: Endpoint,
    pub(super) options: HttpOptions,
    /// Exchanges and sessions.
    pub(super) open: Arc<Open>,
    /// Requests in work.
    pub(super) count: Arc<Count>,
    /// Sessions of the revisions until 2025-11-25.
    pub(super) sessions: legacy::Sessions,
    /// HTTP with SSE of 2024-11-05, if it is served.
    pub(super) sse: Option<legacy::sse::Door>,
}

/// What is served.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// What all revisions from 2025-03-26 on have.
    Endpoint,
    /// What there was before.
    Sse(&'a legacy::sse::Door, SsePart),
}

impl<R: Spawn> Web<R> {
    /// Answers a request. The future ends with the head of the response; its body is read after that.
    pub(super) async fn answer<B>(self: &Arc<Self>, visitor: &Visitor, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: fmt::Display,
    {
        let (head, body) = request.into_parts();
        visitor.unread.store(!body.is_end_stream(), Ordering::Relaxed);
        let origin = self.origin(&head);
        let answered = if let Some(part) = self.part(&head) {
            let place = visitor.count.take();
            let answered = self.serve(visitor, part, head, body).await;
            answered.map(|response| response.map(|body| body.holding(place)))
        } else {
            Err(self.elsewhere(&head))
        };
        let mut response = answered.unwrap_or_else(|refusal| refusal.map(Body::full));
        if let Some(origin) = origin {
            cors::let_hear(origin, response.headers_mut());
        }
        if self.open.is_ending() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The origin of a web page that is let in, and may hear the answer.
    fn origin(&self, head: &Parts) -> Option<HeaderValue> {
        let is_let_in = self.options.cors == Cors::On && self.endpoint.config().security.check(head).is_ok();
        if is_let_in { cors::origin(head) } else { None }
    }

    /// What is at the path of a request.
    fn part(&self, head: &Parts) -> Option<Part<'_>> {
        let path = head.uri.path();
        if path == self.options.path {
            return Some(Part::Endpoint);
        }
        let door = self.sse.as_ref()?;
        door.at(path).map(|part| Part::Sse(door, part))
    }

    /// A request to the endpoint. An error is a response as well.
    async fn serve<B>(
        self: &Arc<Self>,
        visitor: &Visitor,
        part: Part<'_>,
        head: Parts,
        body: B,
    ) -> Result<Response<Body>, Response<Bytes>>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: fmt::Display,
    {
        if self.origin(&head).is_some()
            && let Some(preflight) = cors::preflight(&head)
        {
            return Err(preflight);
        }
        let screened = match part {
            Part::Endpoint => self.endpoint.screen(&head),
            Part::Sse(_, part) => self.endpoint.screen_sse(part, &head).map(|body_limit| Screened::Post { body_limit }),
        };
        let screened = screened.map_err(|refusal| refusal.into_response())?;
        if self.count.get() > self.options.exchanges {
            return Err(self.refuse(&head, Reason::TooManyExchanges));
        }
        let caller = self.authenticate(Caller::new(visitor.address, head)).await?;
        if let Part::Sse(door, SsePart::Stream) = part {
            return Ok(legacy::sse::open(self, door, caller).await);
        }
        let body_limit = match screened {
            Screened::Post { body_limit } => body_limit,
            Screened::Get(get) => return Ok(legacy::get(self, get, caller).await),
            Screened::Delete(session) => return Ok(legacy::delete(self, session, caller).await),
        };
        let message = self.read(visitor, &caller, body, body_limit).await?;
        if let Part::Sse(door, _) = part {
            return Ok(legacy::sse::post(self, door, message, caller));
        }
        match self.endpoint.classify(caller.head(), message).map_err(|refusal| refusal.into_response())? {
            Classified::Modern { version, message } => {
                Ok(modern::answer(self, Start::Assume(version), message, caller).await)
            }
            Classified::Legacy(call) => Ok(legacy::post(self, call, caller).await),
        }
    }

    /// Whoever the hook says that it is.
    async fn authenticate(&self, caller: Caller) -> Result<Arc<Caller>, Response<Bytes>> {
        let Some(hook) = &self.options.authenticate else { return Ok(Arc::new(caller)) };
        // Kept, since a hook that panics takes the caller with it.
        let failed = self.refuse(caller.head(), Reason::Failed);
        let Ok(mut asking) = contain(|| hook(caller)) else { return Err(failed) };
        let told = poll_fn(|cx| match contain(|| asking.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(told)) => Poll::Ready(Some(told)),
            Err(_) => Poll::Ready(None),
        });
        let told = told.await;
        drop_contained(asking);
        match told {
            Some(Ok(caller)) => Ok(Arc::new(caller)),
            Some(Err(denied)) => Err(denied.into_response()),
            None => Err(failed),
        }
    }

    /// The message in the body of a POST.
    async fn read<B>(
        &self,
        visitor: &Visitor,
        caller: &Caller,
        body: B,
        limit: usize,
    ) -> Result<Message, Response<Bytes>>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        // Boxed, so that it is gone once the body is read.
        let too_long = Box::pin(self.runtime.sleep_until(self.runtime.now() + self.options.body_within));
        let reason = match read(body, limit, too_long, self.server.shared_budget()).await {
            Ok(read) => {
                visitor.unread.store(false, Ordering::Relaxed);
                let message = Message::scan(&read.bytes, &self.server.config().limits);
                drop(read.held);
                return Ok(message);
            }
            Err(Unreadable::TooLarge) => Reason::BodyTooLarge { limit },
            Err(Unreadable::TooSlow) => Reason::BodyTooSlow,
            Err(Unreadable::NoRoom) => Reason::NoRoom,
            Err(Unreadable::Broken(error)) => {
                tracing::debug!(peer = ?visitor.address, %error, "a body has broken off");
                Reason::BodyBroken
            }
        };
        Err(self.refuse(caller.head(), reason))
    }

    fn refuse(&self, head: &Parts, reason: Reason) -> Response<Bytes> {
        self.endpoint.refusal(&head.headers, reason).into_response()
    }

    /// A path that is not the endpoint's.
    fn elsewhere(&self, head: &Parts) -> Response<Bytes> {
        let fine = match (self.options.health, head.uri.path()) {
            (Health::Shown, "/livez") => true,
            (Health::Shown, "/readyz") => self.is_ready(),
            _ => return self.refuse(head, Reason::NotFound),
        };
        let (status, text) = match (&head.method, fine) {
            (&Method::GET | &Method::HEAD, true) => (StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, false) => (StatusCode::SERVICE_UNAVAILABLE, "not now\n"),
            _ => (StatusCode::METHOD_NOT_ALLOWED, ""),
        };
        let mut response = Response::new(Bytes::from_static(text.as_bytes()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    /// Whether new work is welcome.
    fn is_ready(&self) -> bool {
        let has_room = self.count.get() < self.options.exchanges && !self.server.shared_budget().is_exceeded();
        has_room && !self.open.is_ending()
    }
}

#[cfg(test)]
mod tests;
