//! A response that reads a stream of its session.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Response, StatusCode};
use mcp_proto::http::{Output, StreamKey};

use super::live::Live;
use crate::http::body::{Body, Source};

/// See the module. Dropped before its end it means that the client is gone, which means nothing to the request: the stream goes on.
pub(super) struct Reading {
    live: Arc<Live>,
    key: StreamKey,
    /// Taken and not yet given.
    ahead: Option<Bytes>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

impl Reading {
    pub(super) fn new(live: Arc<Live>, key: StreamKey) -> Self {
        Self { live, key, ahead: None, state: State::Reading }
    }

    /// The response: ready with its head, and whole if it is no stream.
    pub(super) async fn respond(mut self) -> Response<Body> {
        let Output::Head(head) = poll_fn(|cx| self.poll_next(cx)).await else {
            // Its stream is gone with its session.
            let mut gone = Response::new(Body::full(""));
            *gone.status_mut() = StatusCode::NOT_FOUND;
            return gone;
        };
        let whole = self.take_whole();
        let body = whole.map_or_else(|| Body::from_source(self), Body::full);
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
        response
    }

    /// The whole body, if all of it is there.
    fn take_whole(&mut self) -> Option<Bytes> {
        let cx = Context::from_waker(Waker::noop());
        if self.state == State::Ended {
            return Some(Bytes::new());
        }
        match self.poll_next(&cx) {
            Poll::Ready(Output::Data(data)) => match self.poll_next(&cx) {
                Poll::Ready(Output::End) => return Some(data),
                Poll::Ready(Output::Data(more)) => self.ahead = Some([data, more].concat().into()),
                Poll::Ready(Output::Head(_)) | Poll::Pending => self.ahead = Some(data),
            },
            Poll::Ready(Output::End) => return Some(Bytes::new()),
            Poll::Ready(Output::Head(_)) | Poll::Pending => {}
        }
        None
    }

    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Output> {
        let polled = self.live.poll_output(self.key, cx);
        if polled == Poll::Ready(Output::End) {
            self.state = State::Ended;
        }
        polled
    }
}

impl Source for Reading {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Some(ahead));
        }
        if self.state == State::Ended {
            return Poll::Ready(None);
        }
        self.poll_next(cx).map(|output| match output {
            Output::Data(data) => Some(data),
            Output::Head(_) | Output::End => None,
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.state == State::Reading {
            self.live.detach(self.key);
        }
    }
}
