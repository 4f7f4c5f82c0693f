//! The body of a response: bytes that are there, or a source that yields them as they come.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::count::Place;

/// The largest piece that is handed out at once: hyper gathers pieces in a buffer that it keeps, so that a piece of the size of a large
/// answer would stay in the memory of an idle connection.
const PIECE: usize = 32 * 1024;

/// What yields a body as it comes. Dropped before its end it means that the client is gone.
pub(crate) trait Source: Send {
    /// The next bytes, or the end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

/// See the module.
pub(crate) struct Body {
    content: Content,
    /// Held to the end, so that it counts among what is in work.
    place: Option<Place>,
}

enum Content {
    /// The whole rest.
    Full(Bytes),
    /// Some bytes, and whoever yields more.
    Source(Bytes, Box<dyn Source>),
}

impl Body {
    /// Of bytes that are there; of none, too.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Full(bytes.into()), place: None }
    }

    /// Of bytes that come.
    pub(crate) fn from_source(source: impl Source + 'static) -> Self {
        Self { content: Content::Source(Bytes::new(), Box::new(source)), place: None }
    }

    /// Keeps a place taken until the body has ended, or is dropped.
    pub(super) fn holding(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let (Content::Full(bytes) | Content::Source(bytes, _)) = &mut self.content;
            if !bytes.is_empty() {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                return Poll::Ready(Some(piece));
            }
            let Content::Source(bytes, source) = &mut self.content else { break };
            match source.poll_data(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(more)) => *bytes = more,
                Poll::Ready(None) => self.content = Content::Full(Bytes::new()),
            }
        }
        self.place = None;
        Poll::Ready(None)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_piece(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Full(rest) if rest.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(rest) => SizeHint::with_exact(rest.len() as u64),
            Content::Source(rest, _) => {
                let mut hint = SizeHint::new();
                hint.set_lower(rest.len() as u64);
                hint
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Full(rest) => f.debug_tuple("Body").field(&rest.len()).finish(),
            Content::Source(..) => f.write_str("Body(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_lite::future::block_on;
    use http_body::Body as _;

    use super::*;

    /// Yields these.
    struct Pieces(Vec<&'static [u8]>);

    impl Source for Pieces {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
            let next = (!self.0.is_empty()).then(|| self.0.remove(0));
            Poll::Ready(next.map(Bytes::from_static))
        }
    }

    fn pieces(mut body: Body) -> Vec<Bytes> {
        block_on(async {
            let mut pieces = Vec::new();
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                pieces.push(frame.unwrap().into_data().unwrap());
            }
            pieces
        })
    }

    #[test]
    fn a_large_answer_is_handed_out_in_pieces() {
        let body = Body::full(vec![b'x'; PIECE * 2 + 1]);
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(PIECE as u64 * 2 + 1), false));
        assert_eq!(pieces(body).iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, PIECE, 1]);
        assert!(Body::full("").is_end_stream());
    }

    #[test]
    fn a_source_is_asked_to_its_end() {
        let body = Body::from_source(Pieces(vec![b"a", b"", b"bc"]));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (None, false));
        assert_eq!(pieces(body), ["a", "bc"]);
    }
}
