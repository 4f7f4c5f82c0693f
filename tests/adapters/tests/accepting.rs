//! What accepting comes up with besides clients: scripted, in virtual time.

mod common;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Raw, soon};
use mcp::Server;
use mcp::memory::{Reader, Writer, duplex};
use mcp::net::{Accepted, Address, ListenOptions, Listener, Listening};
use mcp_tokio::Tokio;
use tokio::time::Instant;

/// A listener that gives what the test wrote down, then nobody.
struct Script {
    next: Arc<dyn Fn(usize) -> Option<io::Error> + Send + Sync>,
    asked: Arc<AtomicUsize>,
    there: Arc<Mutex<Vec<Raw>>>,
    most: usize,
}

impl Listener for Script {
    type Reader = Reader;
    type Writer = Writer;

    async fn accept(&mut self) -> io::Result<Accepted<Reader, Writer>> {
        if self.there.lock().expect("no panic").len() == self.most {
            std::future::pending::<()>().await;
        }
        if let Some(error) = (self.next)(self.asked.fetch_add(1, Ordering::SeqCst)) {
            return Err(error);
        }
        let (here, there) = duplex(4096);
        self.there.lock().expect("no panic").push(Raw::memory(there));
        let (reader, writer) = here.into_split();
        Ok(Accepted::new(reader, writer, None))
    }
}

/// Listens by a script until so many clients were let in.
async fn listen(
    most: usize,
    next: impl Fn(usize) -> Option<io::Error> + Send + Sync + 'static,
) -> (Listening, Arc<AtomicUsize>, Arc<Mutex<Vec<Raw>>>) {
    let (asked, there) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let script = Script { next: Arc::new(next), asked: Arc::clone(&asked), there: Arc::clone(&there), most };
    let runtime = Tokio::current().expect("tokio");
    let address = Address::Other("a script".into());
    let listening = mcp::net::listen(runtime, script, address, Server::new("s", "1"), ListenOptions::default());
    (listening.await.expect("it starts"), asked, there)
}

/// Waits for a client to be let in; how long that took.
async fn let_in(there: &Mutex<Vec<Raw>>) -> (Raw, Duration) {
    let began = Instant::now();
    let raw = loop {
        if let Some(raw) = there.lock().expect("no panic").pop() {
            break raw;
        }
        tokio::time::advance(Duration::from_millis(1)).await;
    };
    (raw, began.elapsed())
}

/// Too many open files: the listener tries again, but not in a busy loop, and when there are files again it goes on.
#[tokio::test(start_paused = true)]
async fn errors_that_last_are_waited_out_without_spinning() {
    // EMFILE, as it comes from the system.
    let too_many_files = |asked| (asked < 12).then(|| io::Error::from_raw_os_error(24));
    let (listening, asked, there) = listen(1, too_many_files).await;
    let (mut raw, took) = let_in(&there).await;
    // 10, 20, 40 ms and so on up to a second.
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 13);
    raw.initialize("2025-11-25").await;
    raw.is_served().await;
    assert_eq!(listening.connections(), 1);
}

/// A client that is gone before it was accepted holds up nobody.
#[tokio::test(start_paused = true)]
async fn errors_of_one_client_are_nothing_to_the_next() {
    let gone = |asked| (asked < 100).then(|| io::ErrorKind::ConnectionAborted.into());
    let (_listening, asked, there) = listen(1, gone).await;
    let (mut raw, took) = let_in(&there).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 101);
    raw.initialize("2025-11-25").await;
}

/// A pause is no reason not to end.
#[tokio::test(start_paused = true)]
async fn a_listener_ends_in_the_middle_of_a_pause() {
    let (listening, asked, _there) = listen(1, |_| Some(io::Error::from_raw_os_error(24))).await;
    while asked.load(Ordering::SeqCst) < 10 {
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let began = Instant::now();
    let drained = soon(listening.shutdown(Duration::from_secs(10))).await;
    assert_eq!((drained.connections, drained.cut.len()), (0, 0));
    assert!(began.elapsed() < Duration::from_millis(10), "{:?}", began.elapsed());
}

/// Whoever connects and says nothing, a port scanner for one, does not keep its place.
#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_disconnected() {
    let (listening, _, there) = listen(2, |_| None).await;
    let (mut silent, _) = let_in(&there).await;
    let (mut good, _) = let_in(&there).await;
    good.initialize("2025-11-25").await;
    let began = Instant::now();
    assert_eq!(silent.hear_within(Duration::from_secs(70)).await, None);
    assert!(began.elapsed() >= Duration::from_secs(59), "{:?}", began.elapsed());
    // Time enough for the other's deadline, too.
    tokio::time::advance(Duration::from_secs(100)).await;
    good.is_served().await;
    assert_eq!(listening.connections(), 1);
}
