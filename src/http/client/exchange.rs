//! One request and its response, as far as they have come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http::response::Parts;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use mcp_proto::http::client::Failure;

use super::super::body::Body;
use super::pool::{Begun, Pool, shown};
use crate::stream::BoxFuture;

/// See the module. Dropping it ends it: its connection is closed, unless the response has come whole.
pub(super) enum Exchange {
    Sending(BoxFuture<Result<Begun, Failure>>),
    Reading(Incoming, SendRequest<Body>),
    Over,
}

/// What has come.
pub(super) enum Came {
    Head(Box<Parts>),
    Data(Bytes),
    /// The end, and the connection, which is spare now.
    End(Option<SendRequest<Body>>),
    Failed(Failure),
}

impl Exchange {
    pub(super) fn new(pool: &Arc<Pool>, request: Request<Bytes>) -> Self {
        Self::Sending(Box::pin(Arc::clone(pool).send(request)))
    }

    /// Whether what comes next is a part of a body.
    pub(super) fn is_reading(&self) -> bool {
        matches!(self, Self::Reading(..))
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Came> {
        loop {
            return Poll::Ready(match self {
                Self::Sending(sending) => match ready!(sending.as_mut().poll(cx)) {
                    Ok((response, sender)) => {
                        let (head, body) = response.into_parts();
                        *self = Self::Reading(body, sender);
                        Came::Head(Box::new(head))
                    }
                    Err(failure) => {
                        *self = Self::Over;
                        Came::Failed(failure)
                    }
                },
                Self::Reading(body, _) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => Came::Data(data),
                        // Trailers, which tell nothing here.
                        Err(_) => continue,
                    },
                    Some(Err(error)) => {
                        *self = Self::Over;
                        Came::Failed(Failure::Broken(shown(&error)))
                    }
                    None => match std::mem::replace(self, Self::Over) {
                        Self::Reading(_, sender) => Came::End(Some(sender)),
                        _ => Came::End(None),
                    },
                },
                Self::Over => return Poll::Pending,
            });
        }
    }
}
