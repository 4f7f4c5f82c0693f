//! For this room's unit tests: a runtime whose time passes when the test says so, whose tasks run when it lets them, and clients on it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::Timestamp;
use crate::memory::{Duplex, Reader, Writer, duplex};
use crate::net::{Accepted, Guest};
use crate::runtime::{Runtime, Spawn};
use crate::stream::BoxFuture;

/// A runtime.
#[derive(Clone, Default)]
pub(super) struct Paused(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: AtomicU64,
    sleepers: Mutex<Vec<Waker>>,
    tasks: Mutex<Vec<BoxFuture<()>>>,
    woken: AtomicBool,
}

impl Paused {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Lets so much time pass, then everybody do what is due.
    pub(super) fn pass(&self, time: Duration) {
        self.0.now.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.0.sleepers.lock().unwrap());
        sleepers.into_iter().for_each(Waker::wake);
        self.settle();
    }

    /// Lets the tasks run until none of them has anything to do.
    pub(super) fn settle(&self) {
        let waker = Waker::from(Arc::clone(&self.0));
        let mut cx = Context::from_waker(&waker);
        let mut tasks = Vec::new();
        loop {
            self.0.woken.store(false, Ordering::SeqCst);
            tasks.append(&mut self.0.tasks.lock().unwrap());
            tasks.retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
            if !self.0.woken.load(Ordering::SeqCst) && self.0.tasks.lock().unwrap().is_empty() {
                break;
            }
        }
        *self.0.tasks.lock().unwrap() = tasks;
    }

    /// How many tasks have not ended.
    pub(super) fn tasks(&self) -> usize {
        self.0.tasks.lock().unwrap().len()
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
    }
}

impl Runtime for Paused {
    type Sleep = Sleep;

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Sleep { runtime: self.clone(), deadline }
    }
}

impl Spawn for Paused {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.lock().unwrap().push(Box::pin(task));
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

pub(super) struct Sleep {
    runtime: Paused,
    deadline: Timestamp,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.runtime.now() >= self.deadline {
            return Poll::Ready(());
        }
        self.runtime.0.sleepers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }
}

/// A connection by which the test says and hears bytes.
pub(super) struct Client {
    pub(super) runtime: Paused,
    /// What the listener knows of it.
    pub(super) guest: Arc<dyn Guest>,
    pub(super) end: Duplex,
}

impl Client {
    pub(super) fn connect<Fut: Future<Output = ()> + Send + 'static>(
        runtime: &Paused,
        receive: impl FnOnce(Accepted<Reader, Writer>) -> (Arc<dyn Guest>, Fut),
    ) -> Self {
        let (here, end) = duplex(64 * 1024);
        let (reader, writer) = here.into_split();
        let (guest, serving) = receive(Accepted::new(reader, writer, None));
        runtime.spawn(serving);
        runtime.settle();
        Self { runtime: runtime.clone(), guest, end }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        block_on(self.end.write_all(bytes.as_ref())).unwrap();
        self.runtime.settle();
    }

    pub(super) fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }

    /// What has come by now; and whether that was the end.
    pub(super) fn hear(&mut self) -> (String, bool) {
        let (mut heard, mut buffer) = (Vec::new(), vec![0; 4096]);
        loop {
            match block_on(poll_once(self.end.read(&mut buffer))).transpose().unwrap() {
                Some(0) => return (String::from_utf8(heard).unwrap(), true),
                Some(len) => heard.extend_from_slice(&buffer[..len]),
                None => return (String::from_utf8(heard).unwrap(), false),
            }
            self.runtime.settle();
        }
    }

    /// The same of a single response, and its status.
    pub(super) fn answer(&mut self) -> (u16, String) {
        let (heard, _) = self.hear();
        let status = heard.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no response: {heard:?}")), heard)
    }

    /// Whether all tasks have ended.
    pub(super) fn is_over(&self) -> bool {
        self.runtime.tasks() == 0
    }
}
