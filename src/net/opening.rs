//! How a client begins: whoever does not begin with JSON is none, and may be a browser that was talked into connecting.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::AsyncRead;

/// A reader that lets nothing through of a stream that does not begin with a JSON object or array.
///
/// A web page can have its browser send a request with a body of the page's choosing to any port of this machine. Its head
/// would be some lines that are no messages; its body would be messages. The end of a stream is the one answer to the first byte of that.
pub(super) struct Opening<R> {
    reader: R,
    has_begun: bool,
}

impl<R> Opening<R> {
    pub(super) fn of(reader: R) -> Self {
        Self { reader, has_begun: false }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Opening<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.reader).poll_read(cx, buffer))?;
        if !self.has_begun {
            match buffer.iter().take(read).find(|byte| !may_precede(**byte)) {
                None => {}
                Some(b'{' | b'[') => self.has_begun = true,
                Some(_) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin with JSON")));
                }
            }
        }
        Poll::Ready(Ok(read))
    }
}

/// White space, and the bytes of the mark that some put before UTF-8.
fn may_precede(byte: u8) -> bool {
    byte.is_ascii_whitespace() || [0xEF, 0xBB, 0xBF].contains(&byte)
}
