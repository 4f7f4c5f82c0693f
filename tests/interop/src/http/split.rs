//! Takes one direction of an HTTP/1.1 connection apart into heads, data and ends, as the bytes come by.

/// A head, as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// What comes first: the method of a request, the status of a response.
    pub(crate) start: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The media type, without its parameters.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.header("content-type").and_then(|value| value.split(';').next()).map(str::trim)
    }
}

/// A part of a message, with the bytes that it came as.
#[derive(Debug)]
pub(crate) enum Piece {
    Head { raw: Vec<u8>, head: Head },
    Data { raw: Vec<u8>, data: Vec<u8> },
    End,
}

/// Which direction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Requests,
    Responses,
}

/// How much is left of a body.
#[derive(Debug)]
enum Body {
    Length(usize),
    /// Of a chunk: its data and the line end after it; none before its size is read.
    Chunk(Option<usize>),
    /// The lines after the last chunk.
    Trailer,
    UntilClosed,
}

#[derive(Debug)]
pub(crate) struct Splitter {
    side: Side,
    pending: Vec<u8>,
    body: Option<Body>,
}

impl Splitter {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, pending: Vec::new(), body: None }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next piece, if it is there.
    ///
    /// # Errors
    ///
    /// If this is not HTTP/1.1.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, String> {
        let Some(body) = &mut self.body else { return self.head() };
        let (raw, data, left) = match body {
            Body::Length(0) => return Ok(Some(self.end())),
            Body::Length(left) => {
                let taken = self.pending.len().min(*left);
                (taken, 0..taken, Body::Length(*left - taken))
            }
            Body::UntilClosed => (self.pending.len(), 0..self.pending.len(), Body::UntilClosed),
            Body::Chunk(Some(left)) => {
                // The two last are the line end.
                let taken = self.pending.len().min(*left);
                let data = taken.min(left.saturating_sub(2));
                let left = Some(*left - taken).filter(|left| *left > 0);
                (taken, 0..data, Body::Chunk(left))
            }
            Body::Chunk(None) => {
                let Some(line) = line(&self.pending) else { return Ok(None) };
                let size = std::str::from_utf8(&self.pending[..line]).unwrap_or_default();
                let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
                let size = size.map_err(|error| format!("a size of a chunk: {error}"))?;
                (line, 0..0, if size == 0 { Body::Trailer } else { Body::Chunk(Some(size + 2)) })
            }
            Body::Trailer => {
                let Some(line) = line(&self.pending) else { return Ok(None) };
                (line, 0..0, if line == 2 { Body::Length(0) } else { Body::Trailer })
            }
        };
        if raw == 0 {
            return Ok(None);
        }
        self.body = Some(left);
        let data = self.pending[data].to_vec();
        Ok(Some(Piece::Data { raw: self.pending.drain(..raw).collect(), data }))
    }

    fn end(&mut self) -> Piece {
        self.body = None;
        Piece::End
    }

    fn head(&mut self) -> Result<Option<Piece>, String> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let read = |headers: &[httparse::Header<'_>], start: String| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = headers.iter().map(|header| (header.name.to_ascii_lowercase(), text(header.value)));
            Head { start, headers: headers.collect() }
        };
        let (parsed, head) = match self.side {
            Side::Requests => {
                let mut request = httparse::Request::new(&mut headers);
                let parsed = request.parse(&self.pending);
                (parsed, read(request.headers, request.method.unwrap_or_default().to_owned()))
            }
            Side::Responses => {
                let mut response = httparse::Response::new(&mut headers);
                let parsed = response.parse(&self.pending);
                (parsed, read(response.headers, response.code.unwrap_or_default().to_string()))
            }
        };
        let httparse::Status::Complete(length) = parsed.map_err(|error| format!("a head: {error}"))? else {
            return Ok(None);
        };
        self.body = Some(self.framing(&head));
        Ok(Some(Piece::Head { raw: self.pending.drain(..length).collect(), head }))
    }

    fn framing(&self, head: &Head) -> Body {
        let has_none =
            self.side == Side::Responses && (head.start.starts_with('1') || ["204", "304"].contains(&&*head.start));
        let length = head.header("content-length").and_then(|length| length.parse().ok());
        match (head.header("transfer-encoding"), length) {
            _ if has_none => Body::Length(0),
            (Some(_), _) => Body::Chunk(None),
            (None, Some(length)) => Body::Length(length),
            (None, None) if self.side == Side::Requests => Body::Length(0),
            (None, None) => Body::UntilClosed,
        }
    }
}

/// The length of the first line, with its end.
fn line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n").map(|at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads' starts, the data and the ends, however the bytes are cut; and that no byte is lost or changed.
    fn split(side: Side, bytes: &[u8], step: usize) -> Vec<String> {
        let (mut splitter, mut told, mut passed) = (Splitter::new(side), vec![String::new()], Vec::new());
        for part in bytes.chunks(step) {
            splitter.push(part);
            while let Some(piece) = splitter.next().expect("HTTP") {
                match piece {
                    Piece::Head { raw, head } => {
                        passed.extend(raw);
                        told.push(format!("{}: ", head.start));
                    }
                    Piece::Data { raw, data } => {
                        passed.extend(raw);
                        *told.last_mut().expect("a head") += &String::from_utf8(data).expect("text");
                    }
                    Piece::End => *told.last_mut().expect("a head") += "|",
                }
            }
        }
        assert_eq!(passed, bytes);
        told.split_off(1)
    }

    #[test]
    fn messages_come_apart_at_any_cut() {
        let requests = b"POST /mcp HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n\
            POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\na\r\n\r\n2\r\nbc\r\n0\r\nT: 1\r\n\r\n";
        let responses = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 200 OK\r\n\r\nuntil the end";
        for step in 1..requests.len() {
            assert_eq!(split(Side::Requests, requests, step), ["POST: hello|", "GET: |", "POST: a\r\nbc|"]);
            assert_eq!(split(Side::Responses, responses, step), ["202: |", "204: |", "200: until the end"]);
        }
    }

    #[test]
    fn what_is_no_http_is_an_error() {
        let mut splitter = Splitter::new(Side::Responses);
        splitter.push(b"nonsense\r\n\r\n");
        assert!(splitter.next().is_err());
    }
}
