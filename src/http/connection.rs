//! One connection: hyper over its stream, from the first request to the last, and how it leaves when the listener ends.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::HttpOptions;
use super::body::Body;
use super::count::Count;
use super::io::Io;
use super::timer::HyperTimer;
use crate::Timestamp;
use crate::net::{Accepted, Guest};
use crate::runtime::Runtime;

/// What hyper may gather of a head that is read, or of a response that is written; the least that it takes is 8 KiB.
const BUFFER: usize = 64 * 1024;

/// How long after the grace a connection may still take to send what its requests were answered with at the end of it.
const FLUSH: Duration = Duration::from_secs(2);

/// What a request's way through the service needs to know of the connection by which it came.
#[derive(Debug, Default)]
pub(super) struct Visitor {
    pub(super) address: Option<SocketAddr>,
    /// Its requests in work.
    pub(super) count: Arc<Count>,
    /// Set once it may still send what nobody will read.
    pub(super) unread: AtomicBool,
}

/// The settings of a listener's connections.
pub(super) fn settings<R: Runtime>(runtime: &R, options: &HttpOptions) -> http1::Builder {
    let mut http = http1::Builder::new();
    // Without a timer the other would be off.
    http.timer(HyperTimer::new(runtime.clone()))
        .header_read_timeout(options.silence)
        .max_buf_size(options.head.max(BUFFER))
        .max_header_size(options.head);
    http
}

/// Serves the requests of a client with `call`. Who it is to the hall, and its task.
pub(super) fn serve<Rd, Wr, R, Call, Fut>(
    http: &http1::Builder,
    runtime: R,
    accepted: Accepted<Rd, Wr>,
    stalled: Duration,
    all: &Arc<Count>,
    call: Call,
) -> (Arc<Visit<R>>, impl Future<Output = ()> + use<Rd, Wr, R, Call, Fut>)
where
    Rd: AsyncRead + Unpin,
    Wr: AsyncWrite + Unpin,
    R: Runtime,
    Call: Fn(Arc<Visitor>, Request<Incoming>) -> Fut,
    Fut: Future<Output = Response<Body>>,
{
    let Accepted { reader, writer, peer, .. } = accepted;
    let count = Arc::new(Count::part_of(all));
    let visitor = Arc::new(Visitor { address: peer, count: Arc::clone(&count), unread: AtomicBool::new(false) });
    let visit =
        Arc::new(Visit { runtime: runtime.clone(), count, leaving: Mutex::default(), cut: AtomicUsize::new(0) });
    let io = Io::new(reader, writer, runtime.clone(), stalled, Arc::clone(&visitor));
    let service = service_fn(move |request| {
        let answer = call(Arc::clone(&visitor), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http.serve_connection(io, service);
    let theirs = Arc::clone(&visit);
    let serving = async move {
        let mut connection = pin!(connection);
        let mut leave = None;
        poll_fn(|cx| {
            loop {
                // First, so that what has come by now is answered.
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    if let Err(error) = ended {
                        tracing::debug!(?peer, %error, "a connection has failed");
                    }
                    return Poll::Ready(());
                }
                let Poll::Ready(until) = theirs.poll_leave(leave.as_ref().map(|(until, _)| *until), cx) else { break };
                leave = Some((until, Box::pin(runtime.sleep_until(until))));
                connection.as_mut().graceful_shutdown();
            }
            if let Some((_, over)) = &mut leave
                && over.as_mut().poll(cx).is_ready()
            {
                theirs.cut.store(theirs.count.get(), Ordering::Relaxed);
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    };
    (visit, serving)
}

/// A connection, as far as the hall is concerned.
pub(super) struct Visit<R> {
    runtime: R,
    count: Arc<Count>,
    leaving: Mutex<Leaving>,
    cut: AtomicUsize,
}

/// When it has to be gone, and who has to know.
#[derive(Default)]
struct Leaving {
    until: Option<Timestamp>,
    task: Option<Waker>,
}

impl<R: Runtime> Guest for Visit<R> {
    fn see_out(&self, grace: Duration) {
        let until = self.runtime.now() + grace + FLUSH;
        let task = {
            let mut leaving = self.lock();
            leaving.until = Some(leaving.until.map_or(until, |known| known.min(until)));
            leaving.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    fn working(&self) -> usize {
        self.count.get()
    }

    fn cut(&self) -> usize {
        self.cut.load(Ordering::Relaxed)
    }
}

impl<R> Visit<R> {
    /// For the task: until when it may stay, once that is shorter than `known`.
    fn poll_leave(&self, known: Option<Timestamp>, cx: &Context<'_>) -> Poll<Timestamp> {
        // Cloned before the lock, and what it replaces is dropped after it: wakers are foreign code.
        let waker = cx.waker().clone();
        let mut leaving = self.lock();
        let until = leaving.until.filter(|until| known.is_none_or(|known| *until < known));
        let replaced = leaving.task.replace(waker);
        drop(leaving);
        drop(replaced);
        until.map_or(Poll::Pending, Poll::Ready)
    }

    fn lock(&self) -> MutexGuard<'_, Leaving> {
        // Nothing can panic while it is held.
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_lite::AsyncWriteExt;
    use futures_lite::future::{block_on, pending, poll_once};

    use super::super::body::Source;
    use super::super::testing::{Client, Paused};
    use super::*;

    /// `/large` is answered with this much.
    const LARGE: usize = 1 << 20;
    const SILENCE: Duration = Duration::from_secs(60);

    async fn answer(visitor: Arc<Visitor>, request: Request<Incoming>) -> Response<Body> {
        let place = visitor.count.take();
        let body = match request.uri().path() {
            "/wait" => pending().await,
            "/large" => Body::full(vec![b'x'; LARGE]),
            "/stream" => Body::from_source(Endless),
            path => Body::full(path.to_owned()),
        };
        Response::new(body.holding(place))
    }

    /// Never yields anything.
    struct Endless;

    impl Source for Endless {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
            Poll::Pending
        }
    }

    /// A client of a service that knows some paths.
    fn connected() -> Client {
        let (runtime, options) = (Paused::new(), HttpOptions::default());
        let http = settings(&runtime, &options);
        Client::connect(&runtime, |accepted| {
            let (visit, serving) = serve(&http, runtime.clone(), accepted, options.stalled, &Arc::default(), answer);
            (visit, serving)
        })
    }

    #[test]
    fn requests_in_a_row_are_answered_in_that_order() {
        let mut client = connected();
        client.send(
            b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n",
        );
        let (heard, ended) = client.hear();
        assert_eq!(heard.matches("HTTP/1.1 200 OK").count(), 3, "{heard}");
        let at = |path| heard.find(path).unwrap();
        assert!(at("\r\n\r\n/a") < at("\r\n\r\n/b") && at("/b") < at("\r\n\r\n/c") && !ended, "{heard}");
        assert_eq!(client.guest.working(), 0);
    }

    #[test]
    fn an_answer_of_any_size_arrives_whole() {
        let mut client = connected();
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let (heard, ended) = client.hear();
        assert!(heard.contains("content-length: 1048576") && ended);
        assert_eq!(heard.bytes().filter(|byte| *byte == b'x').count(), LARGE);
        assert!(client.is_over());
    }

    /// Slow loris: whoever says nothing, or a byte now and then, is disconnected, and an idle connection is as well.
    #[test]
    fn nobody_may_take_long_to_say_what_it_wants() {
        let mut silent = connected();
        silent.runtime.pass(SILENCE - Duration::from_secs(1));
        assert!(!silent.is_over());
        silent.runtime.pass(Duration::from_secs(1));
        assert!(silent.is_over() && silent.hear().1);

        let mut slow = connected();
        slow.send(b"GET / HTTP/1.1\r\nX: ");
        for second in 0..60 {
            assert!(!slow.is_over(), "{second}");
            slow.send(b"x");
            slow.runtime.pass(Duration::from_secs(1));
        }
        assert!(slow.is_over() && slow.hear().1);

        let mut idle = connected();
        idle.runtime.pass(SILENCE / 2);
        idle.get("/a");
        assert!(!idle.hear().1);
        idle.runtime.pass(SILENCE - Duration::from_secs(1));
        idle.get("/b");
        assert!(!idle.hear().1);
        idle.runtime.pass(SILENCE);
        assert!(idle.is_over());
    }

    /// The time that a request takes is its own.
    #[test]
    fn whoever_waits_for_an_answer_may_be_silent() {
        let mut client = connected();
        client.get("/wait");
        client.runtime.pass(SILENCE * 10);
        assert!(!client.is_over());
        assert_eq!(client.guest.working(), 1);
    }

    #[test]
    fn heads_are_bounded_in_size_and_in_number_of_headers() {
        let mut many = connected();
        let headers = (0..101).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
        many.send(format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes());
        let (heard, ended) = many.hear();
        assert!(heard.starts_with("HTTP/1.1 431 ") && ended, "{heard}");

        let mut large = connected();
        large.send(b"GET / HTTP/1.1\r\nX: ");
        for _ in 0..5 {
            // It may be gone already.
            let _ = block_on(poll_once(large.end.write_all(&[b'x'; 16 * 1024])));
            large.runtime.settle();
        }
        let (heard, ended) = large.hear();
        assert!(heard.starts_with("HTTP/1.1 431 ") && ended, "{heard}");
    }

    #[test]
    fn what_is_no_http_is_answered_and_ends() {
        for head in [
            &b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
            b"GET / HTTP/1.1\r\nX a: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n\r\n",
            b"\0\xFF\r\n\r\n",
        ] {
            let mut client = connected();
            client.send(head);
            let (heard, ended) = client.hear();
            assert!(heard.starts_with("HTTP/1.1 400 ") && ended, "{:?}: {heard}", String::from_utf8_lossy(head));
            assert!(client.is_over());
        }
    }

    #[test]
    fn a_peer_that_does_not_read_is_disconnected() {
        let mut client = connected();
        client.get("/large");
        assert_eq!(client.guest.working(), 1);
        client.runtime.pass(Duration::from_secs(59));
        assert!(!client.is_over());
        client.runtime.pass(Duration::from_secs(1));
        assert!(client.is_over());
        assert_eq!(client.guest.working(), 0);
    }

    /// Whoever has left gets no answer, and nothing goes on for it.
    #[test]
    fn work_ends_with_the_connection() {
        for path in ["/wait", "/stream"] {
            let mut client = connected();
            client.get(path);
            assert_eq!(client.guest.working(), 1);
            drop(client.end);
            client.runtime.settle();
            assert_eq!((client.guest.working(), client.runtime.tasks()), (0, 0), "{path}");
        }
    }

    #[test]
    fn at_the_end_idle_connections_close_at_once() {
        for requests in [0, 1] {
            let mut client = connected();
            for _ in 0..requests {
                client.get("/a");
                client.hear();
            }
            client.guest.see_out(SILENCE);
            client.runtime.settle();
            assert!(client.is_over() && client.hear().1);
            assert_eq!(client.guest.cut(), 0);
        }
    }

    #[test]
    fn at_the_end_what_is_in_work_is_finished_and_what_has_come_is_answered() {
        let mut client = connected();
        client.get("/large");
        // Sent before it was told to leave, read after.
        block_on(client.end.write_all(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
        client.guest.see_out(SILENCE);
        client.runtime.settle();
        let (heard, ended) = client.hear();
        assert!(heard.len() > LARGE && ended && client.is_over());
        assert_eq!(client.guest.cut(), 0);

        let mut client = connected();
        block_on(client.end.write_all(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
        client.guest.see_out(SILENCE);
        client.runtime.settle();
        let (heard, ended) = client.hear();
        assert!(heard.ends_with("/b") && ended, "{heard}");
    }

    #[test]
    fn what_is_not_finished_in_time_is_cut_and_counted() {
        let mut client = connected();
        client.get("/wait");
        client.guest.see_out(SILENCE);
        client.runtime.pass(SILENCE / 2);
        assert!(!client.is_over());
        // A shorter grace counts.
        client.guest.see_out(Duration::from_secs(1));
        client.guest.see_out(SILENCE);
        client.runtime.pass(Duration::from_secs(1));
        assert!(!client.is_over());
        client.runtime.pass(FLUSH);
        assert!(client.is_over());
        assert_eq!((client.guest.cut(), client.guest.working()), (1, 0));
    }
}
