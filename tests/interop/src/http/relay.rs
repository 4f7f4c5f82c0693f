//! Stands between a client and a server: passes on each byte as it is, and writes down what both said.
//!
//! It can do two things more. A call of `echo` with the text [`CUT`] makes it cut all event streams that are open, before the
//! server hears of that call; so a client can see whether it gets what it would have missed. And it can be told to pass on
//! something wrong in place of what the server said, for `prove.rs`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::split::{Head, Piece, Side, Splitter};

/// What a client says to `echo` to have its streams cut.
const CUT: &str = "\"cut the streams\"";

/// Two calls of the step `concurrent`, whose answers change places if they are to be wrong.
const SWAPPED: [&str; 2] = ["\"number 7\"", "\"number 8\""];

/// A request, and what came back.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) request: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) response: Option<Head>,
    /// The body of the response, as far as it came.
    pub(crate) data: Vec<u8>,
    pub(crate) end: End,
}

/// How far an exchange came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// One of the two hung up before it was done.
    #[default]
    Open,
    Whole,
    /// We cut it.
    Cut,
}

impl Exchange {
    /// The body of the request, or null if it is no JSON.
    pub(crate) fn message(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.response.as_ref().is_some_and(|head| head.kind() == Some("text/event-stream"))
    }

    /// Both sides of it, for whoever looks for a fault.
    pub(crate) fn shown(&self) -> String {
        let headers =
            |head: &Head| head.headers.iter().map(|(name, value)| format!("\n    {name}: {value}")).collect::<String>();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(1000).collect::<String>();
        let (asked, body) = (headers(&self.request), text(&self.body));
        let (status, told) = match &self.response {
            Some(head) => (head.start.as_str(), headers(head)),
            None => ("nothing", String::new()),
        };
        format!("{}{asked}\n{body}\n{status}, {:?}{told}\n{}", self.request.start, self.end, text(&self.data))
    }

    fn says(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// Whether an event stream is taken up again by it.
    pub(crate) fn resumes(&self) -> bool {
        self.request.start == "GET" && self.request.header("last-event-id").is_some()
    }
}

pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    server: SocketAddr,
    wrong: Option<String>,
    exchanges: Mutex<Vec<Exchange>>,
    links: Mutex<Vec<Link>>,
    /// The answer that waits for the one that it changes places with.
    waiting: Mutex<Option<(Answer, oneshot::Sender<Answer>)>>,
}

/// A connection of the client, with the one to the server that belongs to it.
struct Link {
    /// Which exchange is in work on it.
    current: Option<usize>,
    task: Option<JoinHandle<()>>,
}

/// A whole response that is held back.
#[derive(Default)]
struct Answer {
    raw: Vec<u8>,
    data: Vec<u8>,
}

impl Relay {
    /// Listens, and passes on to the server; with `wrong`, something else than the server said.
    pub(crate) async fn start(server: SocketAddr, wrong: Option<&str>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shared = Arc::new(Shared {
            server,
            wrong: wrong.map(str::to_owned),
            exchanges: Mutex::default(),
            links: Mutex::default(),
            waiting: Mutex::default(),
        });
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections, and tells what was said on them, in order.
    pub(crate) async fn stop(self) -> Vec<Exchange> {
        self.accepting.abort();
        let tasks = lock(&self.shared.links).iter_mut().filter_map(|link| link.task.take()).collect::<Vec<_>>();
        end(tasks).await;
        std::mem::take(&mut *lock(&self.shared.exchanges))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut links = lock(&shared.links);
        let link = links.len();
        let task = tokio::spawn(serve(Arc::clone(&shared), link, client));
        links.push(Link { current: None, task: Some(task) });
    }
}

/// Passes on in both directions until one of the two hangs up, or says what is no HTTP; then hangs up on both.
async fn serve(shared: Arc<Shared>, link: usize, client: TcpStream) {
    let Ok(server) = TcpStream::connect(shared.server).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // What was said until then is written down, and whoever misses something tells.
    tokio::select! {
        _ = shared.requests(link, from_client, to_server) => {}
        _ = shared.responses(link, from_server, to_client) => {}
    }
}

impl Shared {
    async fn requests(&self, link: usize, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) -> io::Result<()> {
        let mut splitter = Splitter::new(Side::Requests);
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = client.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            splitter.push(&buffer[..read]);
            while let Some(piece) = splitter.next().map_err(io::Error::other)? {
                match piece {
                    Piece::Head { head, .. } => {
                        let mut exchanges = lock(&self.exchanges);
                        lock(&self.links)[link].current = Some(exchanges.len());
                        exchanges.push(Exchange { request: head, ..Exchange::default() });
                    }
                    Piece::Data { data, .. } => {
                        self.current(link, |exchange| exchange.body.extend(data));
                    }
                    Piece::End => {
                        if self.current(link, |exchange| exchange.says(CUT)) == Some(true) {
                            self.cut().await;
                        }
                    }
                }
            }
            server.write_all(&buffer[..read]).await?;
        }
    }

    async fn responses(&self, link: usize, mut server: OwnedReadHalf, mut client: OwnedWriteHalf) -> io::Result<()> {
        let mut splitter = Splitter::new(Side::Responses);
        let mut buffer = vec![0; 16 * 1024];
        let mut answer = Answer::default();
        loop {
            let read = server.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            splitter.push(&buffer[..read]);
            let mut out = Vec::new();
            while let Some(piece) = splitter.next().map_err(io::Error::other)? {
                match piece {
                    // Whoever says `100 Continue` has not answered yet.
                    Piece::Head { raw, head } if head.start.starts_with('1') => out.extend(raw),
                    Piece::Head { raw, mut head } => {
                        let altered = self.current(link, |exchange| {
                            let altered = self.alter(exchange, &mut head);
                            exchange.response = Some(head.clone());
                            altered
                        });
                        answer.raw = if altered == Some(true) { written(&head) } else { raw };
                    }
                    Piece::Data { raw, data } => {
                        answer.raw.extend(raw);
                        answer.data.extend(data);
                    }
                    Piece::End if self.current(link, |exchange| exchange.response.is_none()) == Some(true) => {}
                    Piece::End => {
                        if self.current(link, |exchange| self.swaps(exchange)) == Some(true) {
                            answer = self.swap(std::mem::take(&mut answer)).await?;
                        }
                        out.extend(self.told(link, &mut answer));
                        self.current(link, |exchange| exchange.end = End::Whole);
                        lock(&self.links)[link].current = None;
                    }
                }
            }
            if self.current(link, |exchange| self.swaps(exchange)) != Some(true) {
                out.extend(self.told(link, &mut answer));
            }
            client.write_all(&out).await?;
        }
    }

    /// Does something with the exchange that is in work on a connection.
    fn current<T>(&self, link: usize, work: impl FnOnce(&mut Exchange) -> T) -> Option<T> {
        let mut exchanges = lock(&self.exchanges);
        let at = lock(&self.links)[link].current?;
        Some(work(&mut exchanges[at]))
    }

    /// Writes down what the client is told of an answer, and gives the bytes.
    fn told(&self, link: usize, answer: &mut Answer) -> Vec<u8> {
        let Answer { raw, data } = std::mem::take(answer);
        self.current(link, |exchange| {
            if exchange.resumes() && self.is_wrong(&["resume", "resume_call"]) && !data.is_empty() {
                return Vec::new();
            }
            exchange.data.extend(data);
            raw
        })
        .unwrap_or_default()
    }

    /// Cuts each connection on which an event stream is open, and comes back when that is done.
    async fn cut(&self) {
        let tasks = {
            let mut exchanges = lock(&self.exchanges);
            let mut links = lock(&self.links);
            let streams = links.iter_mut().filter_map(|link| {
                let exchange = &mut exchanges[link.current?];
                let task = if exchange.is_stream() { link.task.take() } else { None }?;
                exchange.end = End::Cut;
                Some(task)
            });
            streams.collect::<Vec<_>>()
        };
        end(tasks).await;
    }

    fn is_wrong(&self, answers: &[&str]) -> bool {
        self.wrong.as_deref().is_some_and(|wrong| answers.contains(&wrong))
    }

    /// Makes a head wrong, if it is the one that is to be.
    fn alter(&self, exchange: &Exchange, head: &mut Head) -> bool {
        let asked = |method: &str| exchange.says(&format!("\"{method}\""));
        match self.wrong.as_deref() {
            Some("session") if asked("tools/list") => head.set("mcp-session-id", "another"),
            // The start would fail without this one.
            Some("status") if asked("notifications/initialized") => return false,
            Some("status") if head.start == "202" || asked("interop/unknown") => "200".clone_into(&mut head.start),
            Some("headers") if asked("resources/templates/list") => head.set("content-type", "text/plain"),
            Some("delete") if exchange.request.start == "DELETE" => "500".clone_into(&mut head.start),
            _ => return false,
        }
        true
    }

    fn swaps(&self, exchange: &Exchange) -> bool {
        self.is_wrong(&["own_stream"]) && SWAPPED.iter().any(|text| exchange.says(text))
    }

    /// Gives the one answer for the other.
    async fn swap(&self, mut answer: Answer) -> io::Result<Answer> {
        let other = {
            let mut waiting = lock(&self.waiting);
            match waiting.take() {
                Some((other, sender)) => {
                    // Nobody waits if that client has hung up.
                    let _ = sender.send(std::mem::replace(&mut answer, other));
                    return Ok(answer);
                }
                None => {
                    let (sender, other) = oneshot::channel();
                    *waiting = Some((answer, sender));
                    other
                }
            }
        };
        other.await.map_err(io::Error::other)
    }
}

/// A head that is not as it was read.
fn written(head: &Head) -> Vec<u8> {
    let lines = head.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    format!("HTTP/1.1 {} Altered\r\n{lines}\r\n", head.start).into_bytes()
}

async fn end(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.abort();
        // It was aborted, or had ended.
        let _ = task.await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under it")
}
