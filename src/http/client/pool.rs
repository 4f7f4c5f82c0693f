//! The connections of one client to one server: opened when there is none to spare, and kept for the next request.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use mcp_proto::http::client::Failure;

use super::super::body::Body;
use super::super::connection::Visitor;
use super::super::io::Io;
use crate::Timestamp;
use crate::net::reach;
use crate::runtime::Spawn;
use crate::stream::BoxFuture;

/// Connections that are kept although nobody uses them.
const SPARE: usize = 64;
/// How long they are kept. Most servers keep them for about a minute.
const KEPT: Duration = Duration::from_secs(50);
/// How long a server may take nothing of what is sent to it.
const STALLED: Duration = Duration::from_secs(60);
/// What hyper may gather of a head that is read.
const HEAD: usize = 64 * 1024;

/// See the module.
pub(super) struct Pool {
    open: Opener,
    host: HeaderValue,
    spare: Mutex<Vec<(Timestamp, SendRequest<Body>)>>,
}

/// A response, and by which connection its body comes.
pub(super) type Begun = (Response<Incoming>, SendRequest<Body>);

type Opener = Box<dyn Fn() -> BoxFuture<io::Result<SendRequest<Body>>> + Send + Sync>;

impl Pool {
    /// To the server of this URL.
    pub(super) fn new<R, Rd, Wr, Fut>(
        runtime: &R,
        url: &Uri,
        open: impl Fn(SocketAddr) -> Fut + Send + Sync + 'static,
    ) -> io::Result<Arc<Self>>
    where
        R: Spawn,
        Rd: AsyncRead + Unpin + Send + 'static,
        Wr: AsyncWrite + Unpin + Send + 'static,
        Fut: Future<Output = io::Result<(Rd, Wr)>> + Send + 'static,
    {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
        if url.scheme() != Some(&Scheme::HTTP) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "only http:// is spoken: nothing here encrypts"));
        }
        let authority = url.authority().ok_or_else(|| invalid("the URL names no host"))?;
        // An address of IPv6 stands in brackets in a URL, and nowhere else.
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = (name, url.port_u16().unwrap_or(80));
        let host = HeaderValue::try_from(authority.as_str()).map_err(|_| invalid("the URL names no host"))?;
        let (runtime, open) = (runtime.clone(), Arc::new(open));
        let open: Opener = Box::new(move || {
            let (runtime, open, address) = (runtime.clone(), Arc::clone(&open), address.clone());
            Box::pin(async move {
                let (reader, writer) = reach(&runtime, address, |address| open(address)).await?;
                let io = Io::new(reader, writer, runtime.clone(), STALLED, Arc::new(Visitor::default()));
                let opened = http1::Builder::new().max_buf_size(HEAD).handshake::<_, Body>(io).await;
                let (sender, connection) = opened.map_err(io::Error::other)?;
                runtime.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection to a server has failed");
                    }
                });
                Ok(sender)
            })
        });
        Ok(Arc::new(Self { open, host, spare: Mutex::default() }))
    }

    /// Sends a request by a connection that is spare, or by a new one; and by which, once its head is there.
    pub(super) async fn send(self: Arc<Self>, request: Request<Bytes>) -> Result<Begun, Failure> {
        let mut request = self.prepare(request);
        loop {
            let (mut sender, is_new) = match self.take() {
                // It is ready once it is done with the response before, unless the server has closed it meanwhile.
                Some(mut spare) => match spare.ready().await {
                    Ok(()) => (spare, false),
                    Err(_) => continue,
                },
                None => ((self.open)().await.map_err(|error| Failure::NotSent(error.to_string()))?, true),
            };
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(error) => error,
            };
            match error.take_message() {
                // Closed under our hands: nothing has left.
                Some(unsent) if !is_new => request = unsent,
                Some(_) => return Err(Failure::NotSent(shown(error.error()))),
                None => return Err(Failure::Broken(shown(error.error()))),
            }
        }
    }

    /// As it stands on the wire.
    fn prepare(&self, request: Request<Bytes>) -> Request<Body> {
        let (mut head, body) = request.into_parts();
        head.headers.insert(header::HOST, self.host.clone());
        let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        head.uri = Uri::from(path);
        Request::from_parts(head, Body::full(body))
    }

    fn take(&self) -> Option<SendRequest<Body>> {
        // The one that was used last is the least likely to have been closed.
        self.lock().pop().map(|(_, sender)| sender)
    }

    /// Takes a connection back that has done its work.
    pub(super) fn put(&self, now: Timestamp, sender: SendRequest<Body>) {
        if sender.is_closed() {
            return;
        }
        let mut spare = self.lock();
        spare.push((now, sender));
        let too_many = spare.len().saturating_sub(SPARE);
        let dropped = spare.drain(..too_many).collect::<Vec<_>>();
        drop(spare);
        drop(dropped);
    }

    /// Closes what nobody has used for long, and says when to look again.
    pub(super) fn tidy(&self, now: Timestamp) -> Option<Timestamp> {
        let mut spare = self.lock();
        let old = spare.partition_point(|(since, _)| *since + KEPT <= now);
        let dropped = spare.drain(..old).collect::<Vec<_>>();
        let next = spare.first().map(|(since, _)| *since + KEPT);
        drop(spare);
        drop(dropped);
        next
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Timestamp, SendRequest<Body>)>> {
        // Nothing can panic while it is held.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error of hyper with what is behind it.
pub(super) fn shown(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
