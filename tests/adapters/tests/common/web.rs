//! An HTTP client of the tests' own, which writes every byte by hand: blocking, so that it owes nothing to any runtime.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::BOUND;

/// A connection.
pub(crate) struct Web {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
    /// How much of a response's body is still to come.
    rest: Rest,
}

#[derive(Clone, Copy, Debug)]
enum Rest {
    Length(usize),
    Chunks,
    ToTheEnd,
}

/// The head of a response.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// By their names in lower case; several of one name are joined.
    pub(crate) headers: BTreeMap<String, String>,
}

/// A response whose body has come whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(String::as_str)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The message of a JSON answer, or the last of a stream of events.
    #[track_caller]
    pub(crate) fn message(&self) -> Value {
        if self.header("content-type") == Some("text/event-stream") {
            let mut data = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
            let last = data.rfind(|data| !data.trim().is_empty());
            return serde_json::from_str(last.unwrap_or_else(|| panic!("no event: {self:?}"))).expect("JSON");
        }
        self.json()
    }
}

impl Web {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        Self::of(stream).expect("a socket")
    }

    /// Over a connection; `None` if that has ended by now.
    pub(crate) fn of(stream: TcpStream) -> Option<Self> {
        stream.set_read_timeout(Some(BOUND)).ok()?;
        stream.set_write_timeout(Some(BOUND)).ok()?;
        stream.set_nodelay(true).ok()?;
        let reader = BufReader::new(stream.try_clone().ok()?);
        Some(Self { stream, reader, rest: Rest::Length(0) })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("it is there");
    }

    /// Sends bytes that the server may not want any more.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a request.
    pub(crate) fn request(&mut self, method: &str, headers: &[(&str, &str)], body: &str) {
        self.send(request(method, headers, body));
    }

    /// The head of the next response; the body of the one before is read past.
    pub(crate) fn head(&mut self) -> Head {
        self.try_head().expect("a response")
    }

    /// The same, or `None` if the connection has ended.
    pub(crate) fn try_head(&mut self) -> Option<Head> {
        self.rest();
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no response: {line:?}"));
        let mut headers = BTreeMap::<String, String>::new();
        loop {
            let line = self.line().expect("the rest of a head");
            let Some((name, value)) = line.split_once(':') else { break };
            let known = headers.entry(name.to_lowercase()).or_default();
            *known = if known.is_empty() { value.trim().to_owned() } else { format!("{known}, {}", value.trim()) };
        }
        self.rest = match (headers.get("content-length"), headers.get("transfer-encoding")) {
            _ if status == 100 || status == 204 => Rest::Length(0),
            (Some(length), _) => Rest::Length(length.parse().expect("a number")),
            (None, Some(_)) => Rest::Chunks,
            (None, None) => Rest::ToTheEnd,
        };
        if status == 100 { self.try_head() } else { Some(Head { status, headers }) }
    }

    /// The next piece of the body; empty at its end.
    pub(crate) fn piece(&mut self) -> Vec<u8> {
        let (length, is_chunk) = match self.rest {
            Rest::Length(0) => return Vec::new(),
            Rest::Length(length) => (length, false),
            Rest::Chunks => {
                let line = self.line().expect("a chunk");
                (usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk: {line:?}")), true)
            }
            Rest::ToTheEnd => (usize::MAX, false),
        };
        let mut piece = Vec::new();
        self.reader.by_ref().take(length as u64).read_to_end(&mut piece).expect("readable");
        assert!(length == usize::MAX || piece.len() == length, "cut off: {:?}", String::from_utf8_lossy(&piece));
        if is_chunk {
            assert_eq!(self.line().as_deref(), Some(""), "a chunk ends");
        }
        if !is_chunk || length == 0 {
            self.rest = Rest::Length(0);
        }
        piece
    }

    /// The whole rest of the body.
    pub(crate) fn rest(&mut self) -> String {
        let mut body = Vec::new();
        loop {
            let piece = self.piece();
            if piece.is_empty() {
                return String::from_utf8(body).expect("UTF-8");
            }
            body.extend(piece);
        }
    }

    /// The next response, whole.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let head = self.head();
        Answer { head, body: self.rest() }
    }

    /// Sends a request and hears its answer.
    pub(crate) fn ask(&mut self, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.request(method, headers, body);
        self.answer()
    }

    /// Whether the server closes the connection now, in whatever way.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.line().is_none()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => None,
            read => {
                read.expect("readable");
                Some(line.trim_end().to_owned())
            }
        }
    }
}

/// A request to the endpoint with the headers that every one has, unless it brings its own: one with an empty value is left out.
pub(crate) fn request(method: &str, headers: &[(&str, &str)], body: &str) -> String {
    let length = body.len().to_string();
    let usual = [
        ("Host", "localhost"),
        ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"),
        ("Content-Length", &length),
    ];
    let is_own = |name: &str| headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let usual = usual.iter().filter(|(name, _)| !is_own(name));
    let all = usual.chain(headers).filter(|(_, value)| !value.is_empty());
    let lines = all.map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    format!("{method} /mcp HTTP/1.1\r\n{lines}\r\n{body}")
}

/// A POST of a request of 2026-07-28, with the headers that mirror it.
pub(crate) fn modern_post(message: &Value) -> String {
    let method = message["method"].as_str().expect("a request");
    let name = message["params"]["name"].as_str().or(message["params"]["uri"].as_str()).unwrap_or_default();
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method), ("Mcp-Name", name)];
    request("POST", &headers, &message.to_string())
}
