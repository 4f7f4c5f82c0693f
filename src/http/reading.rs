//! The body of a request, read within bounds: of size, of time, and of what all bodies together may hold.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;

use bytes::{Buf, Bytes};
use futures_lite::future;
use http_body::Body;

use crate::stream::{Budget, Held};

/// Why a body is not read, or not to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is longer than may be.
    TooLarge,
    /// It takes too long to come.
    TooSlow,
    /// All connections together hold too much.
    NoRoom,
    /// It does not come as HTTP wants it, or its sender has left.
    Broken(String),
}

/// What was read, and its part of the budget.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) bytes: Bytes,
    /// Given back once the bytes have been taken in.
    pub(super) held: Held,
}

/// Reads a body of at most `limit` bytes, for no longer than `too_long` takes.
pub(super) async fn read<B>(
    body: B,
    limit: usize,
    too_long: impl Future<Output = ()>,
    budget: &Budget,
) -> Result<Read, Unreadable>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
{
    let reading = async {
        let mut body = pin!(body);
        let (mut whole, mut held) = (Vec::new(), budget.hold());
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame.map_err(|error| Unreadable::Broken(error.to_string()))?;
            // What follows the body is of no use here.
            let Ok(data) = frame.into_data() else { continue };
            if data.remaining() > limit - whole.len() {
                return Err(Unreadable::TooLarge);
            }
            if !held.grow(data.remaining()) {
                return Err(Unreadable::NoRoom);
            }
            if whole.is_empty() && body.is_end_stream() {
                // All of it came at once, as most do.
                return Ok(Read { bytes: data, held });
            }
            // Gathered, since each piece may be of one byte and hold a buffer in memory.
            whole.extend_from_slice(&data);
        }
        Ok(Read { bytes: whole.into(), held })
    };
    let too_slow = async {
        too_long.await;
        Err(Unreadable::TooSlow)
    };
    future::or(reading, too_slow).await
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use futures_lite::future::{block_on, pending, poll_once};
    use http::HeaderMap;
    use http_body::Frame;

    use super::*;

    /// A body of these frames, which then breaks, ends, or goes on for ever.
    struct Scripted(VecDeque<Frame<Bytes>>, Then);

    #[derive(Clone, Copy)]
    enum Then {
        Ends,
        Breaks,
        Waits,
    }

    impl Body for Scripted {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            match (self.0.pop_front(), self.1) {
                (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
                (None, Then::Ends) => Poll::Ready(None),
                (None, Then::Breaks) => Poll::Ready(Some(Err("broken off"))),
                (None, Then::Waits) => Poll::Pending,
            }
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty() && matches!(self.1, Then::Ends)
        }
    }

    fn body(pieces: &[&'static str], then: Then) -> Scripted {
        Scripted(pieces.iter().map(|piece| Frame::data(Bytes::from_static(piece.as_bytes()))).collect(), then)
    }

    fn read(body: Scripted, limit: usize) -> Result<Bytes, Unreadable> {
        block_on(super::read(body, limit, pending(), &Budget::new(1000))).map(|read| read.bytes)
    }

    #[test]
    fn a_body_may_come_in_any_pieces() {
        for pieces in [&["abcd"][..], &["ab", "cd"], &["", "a", "", "bcd", ""], &["abcd", ""]] {
            let mut scripted = body(pieces, Then::Ends);
            assert_eq!(read(body(pieces, Then::Ends), 4).unwrap(), "abcd");
            scripted.0.push_back(Frame::trailers(HeaderMap::new()));
            assert_eq!(read(scripted, 4).unwrap(), "abcd");
        }
        assert_eq!(read(body(&[], Then::Ends), 0).unwrap(), "");
    }

    /// What is too much is not read on.
    #[test]
    fn a_body_over_the_limit_is_given_up() {
        for pieces in [&["abcde"][..], &["abcd", "e"]] {
            assert_eq!(read(body(pieces, Then::Waits), 4).unwrap_err(), Unreadable::TooLarge);
        }
    }

    #[test]
    fn a_body_that_breaks_off_or_takes_too_long_is_none() {
        assert_eq!(read(body(&["ab"], Then::Breaks), 4).unwrap_err(), Unreadable::Broken("broken off".into()));
        let budget = Budget::new(1000);
        let late = block_on(super::read(body(&["ab"], Then::Waits), 4, async {}, &budget));
        assert_eq!(late.unwrap_err(), Unreadable::TooSlow);
        assert_eq!(budget.used(), 0);
        assert!(block_on(poll_once(super::read(body(&["ab"], Then::Waits), 4, pending(), &budget))).is_none());
    }

    /// Thousands of bodies that are sent halfway must not fill the memory, nor keep small ones out.
    #[test]
    fn all_bodies_together_are_bounded_and_small_ones_are_always_read() {
        let budget = Budget::new(1 << 20);
        let large = |budget: &Budget| {
            let whole = vec![b'x'; 200 << 10];
            let scripted = Scripted([Frame::data(whole.into())].into(), Then::Ends);
            block_on(super::read(scripted, 1 << 20, pending(), budget))
        };
        let read = [large(&budget).unwrap(), large(&budget).unwrap()];
        assert_eq!(budget.used(), 400 << 10);
        assert_eq!(large(&budget).unwrap_err(), Unreadable::NoRoom);
        let small = block_on(super::read(body(&["ab"], Then::Ends), 4, pending(), &budget)).unwrap();
        drop((read, small));
        assert_eq!(budget.used(), 0);
        large(&budget).unwrap();
    }
}
