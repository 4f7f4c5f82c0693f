//! Handlers that stay on one thread, so that neither they nor their futures need be `Send`, on any runtime or next to none.
//!
//! A [`Server`] and its [`Context`](crate::Context)s may be shared by threads, and so must its handlers. What cannot be shared (an `Rc`, an
//! interpreter, a window, anything of a browser's) lives in a [`Local`]: [`Local::handler`] makes of a function that stays here one that
//! may go anywhere, and that sends each call back to where the function is. Its arguments and its result travel; the function and the
//! future that it gives do not.
//!
//! ```
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! use mcp::local::Local;
//! use mcp::{Server, Tool};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Add { n: i64 }
//!
//! let local = Local::new();
//! let total = Rc::new(Cell::new(0));
//! let add = local.handler(async move |args: Add| {
//!     total.set(total.get() + args.n);
//!     total.get()
//! });
//! let server = Server::new("sum", "1.0.0").tool(Tool::new("add", "Add to the sum", add));
//! # drop(server);
//! ```
//!
//! Whatever is in a [`Local`] runs where [`Local::run`] is awaited, and only meanwhile. Around it may be a runtime with many threads, with
//! the connections on those: then only the handlers are here. Or there is nothing but a clock and a timer ([`Runtime`]): then
//! [`Local::serve`] and [`Local::connect`] keep the connections here as well, over streams that need not be `Send` either.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use tracing::{Instrument, Span};

use self::call::{Asked, Call};
use self::inbox::{Inbox, Job, TaskWaker};
use crate::client::{Client, ClientBuilder};
use crate::runtime::{Runtime, Spawn};
use crate::server::Server;
use crate::stream::{Opened, contain, drop_contained};
use crate::{Result, Timestamp, stream};

mod call;
mod inbox;

pub use self::call::Away;

/// What stays on one thread, and runs there; see the [module](self).
///
/// When it is dropped, what is in it is dropped; calls that come later are answered with an error (−32603).
pub struct Local {
    home: Home,
}

/// What calls find when they have come back.
struct Home {
    /// What reaches this place from anywhere.
    inbox: Arc<Inbox>,
    /// The functions, by the order in which they came.
    handlers: RefCell<Vec<Rc<dyn Any>>>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    next_task: Cell<u64>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Arc<TaskWaker>,
}

/// Polls of tasks in one poll of [`Local::run`], before others get a chance.
const POLLS: usize = 64;

impl Local {
    /// A place with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        let (inbox, handlers, tasks) = (Arc::default(), RefCell::default(), RefCell::default());
        Self { home: Home { inbox, handlers, tasks, next_task: Cell::new(0) } }
    }

    /// Makes of an async function that stays here one that may go anywhere: into a tool, prompt, resource, completion, hook or method of a
    /// [`Server`], or a callback of a [`ClientBuilder`]. It takes what they take, and gives what they give.
    ///
    /// A call whose request is cancelled is dropped here as well, at one of its awaits. If it panics, that goes on where it was called, and
    /// nothing else here ends. There are as many at once as there are requests in work.
    pub fn handler<Args, H: LocalHandler<Args>>(&self, handler: H) -> H::Remote {
        handler.into_remote(self)
    }

    /// Runs a task here, detached. It begins when, and goes on while, [`run`](Self::run) is awaited.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.home.start(Box::pin(task));
    }

    /// A runtime that has no tasks of its own, with this place for them.
    ///
    /// What blocks runs on a thread, where the platform has those.
    pub fn runtime<R: Runtime>(&self, runtime: R) -> LocalRuntime<R> {
        LocalRuntime { runtime, inbox: Arc::clone(&self.home.inbox) }
    }

    /// Runs what is in here until `main` has ended, and gives its value. What is not done by then stands still.
    ///
    /// One of these at a time drives it: in a second one beside it, only `main` is sure to go on.
    pub async fn run<F: Future>(&self, main: F) -> F::Output {
        let mut main = pin!(main);
        poll_fn(|cx| {
            self.home.inbox.wake_by(cx.waker());
            if let Poll::Ready(value) = main.as_mut().poll(cx) {
                return Poll::Ready(value);
            }
            if self.home.turn() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// Serves one connection here until its end, with a runtime that need have no tasks: [`stream::serve`], [run](Self::run).
    ///
    /// # Errors
    ///
    /// As with [`stream::serve`].
    pub async fn serve<R, Rd, Wr>(&self, runtime: R, reader: Rd, writer: Wr, server: Server) -> Result<()>
    where
        R: Runtime,
        Rd: AsyncRead + Unpin,
        Wr: AsyncWrite + Unpin,
    {
        let runtime = self.runtime(runtime);
        self.run(Box::pin(stream::serve(runtime, reader, writer, None, server))).await
    }

    /// Connects a client whose connection is driven here: [`stream::connect`] for a stream that need not be `Send`. This, and all that is
    /// done with the client, goes on while [`run`](Self::run) is awaited.
    ///
    /// # Errors
    ///
    /// As with [`stream::connect`].
    pub async fn connect<R, Rd, Wr>(&self, runtime: R, reader: Rd, writer: Wr, client: ClientBuilder) -> Result<Client>
    where
        R: Runtime,
        Rd: AsyncRead + Unpin + 'static,
        Wr: AsyncWrite + Unpin + 'static,
    {
        let runtime = self.runtime(runtime);
        stream::connect_by(runtime, Opened { reader, writer, child: None }, client, |driver| self.spawn(driver)).await
    }

    /// Takes in a function; how it is called from elsewhere.
    fn take_in<H: 'static>(&self, handler: H) -> (usize, Arc<Inbox>) {
        let mut handlers = self.home.handlers.borrow_mut();
        handlers.push(Rc::new(handler));
        (handlers.len() - 1, Arc::clone(&self.home.inbox))
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        drop_contained(self.home.inbox.close());
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("tasks", &self.home.tasks.borrow().len()).finish_non_exhaustive()
    }
}

impl Home {
    fn start(&self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let id = self.next_task.replace(self.next_task.get() + 1);
        let waker = TaskWaker::new(id, &self.inbox);
        self.tasks.borrow_mut().insert(id, Task { future, waker: Arc::clone(&waker) });
        waker.wake();
    }

    /// Takes in what has come, and polls what is ready; whether there is more of that.
    fn turn(&self) -> bool {
        for _ in 0..POLLS {
            for job in self.inbox.jobs() {
                match job {
                    Job::Task(future) => self.start(future),
                    Job::Call(begin) => self.start(begin(self)),
                }
            }
            let Some(id) = self.inbox.next_ready() else { return false };
            // Out of the table while it is polled: it may start others.
            let task = self.tasks.borrow_mut().remove(&id);
            let Some(mut task) = task else { continue };
            task.waker.polled();
            let waker = Waker::from(Arc::clone(&task.waker));
            let polled = contain(|| task.future.as_mut().poll(&mut Context::from_waker(&waker)));
            if matches!(polled, Ok(Poll::Pending)) {
                self.tasks.borrow_mut().insert(id, task);
            } else {
                drop_contained(task);
            }
        }
        true
    }

    fn handler<H: 'static>(&self, at: usize) -> Option<Rc<H>> {
        Rc::clone(self.handlers.borrow().get(at)?).downcast().ok()
    }
}

/// A runtime, with a [`Local`] to run its tasks; see [`Local::runtime`].
#[derive(Clone, Debug)]
pub struct LocalRuntime<R> {
    runtime: R,
    inbox: Arc<Inbox>,
}

impl<R: Runtime> Runtime for LocalRuntime<R> {
    type Sleep = R::Sleep;

    fn now(&self) -> Timestamp {
        self.runtime.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> R::Sleep {
        self.runtime.sleep_until(deadline)
    }
}

impl<R: Runtime> Spawn for LocalRuntime<R> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inbox.push(Job::Task(Box::pin(task)));
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        // Where there are no threads the work is dropped, which whoever waits for it sees.
        let _ = std::thread::Builder::new().name("mcp-blocking".into()).spawn(work);
    }
}

/// An async function that can stay in a [`Local`]: over nothing, over one thing, or over two; `Args` tells which, and is inferred. What it
/// takes and gives is `Send`, nothing else is.
pub trait LocalHandler<Args>: Sized + 'static {
    /// The function that calls it from anywhere.
    type Remote: Send + Sync + 'static;

    /// Leaves it in that place.
    fn into_remote(self, local: &Local) -> Self::Remote;
}

impl<F, T> LocalHandler<()> for F
where
    F: AsyncFn() -> T + 'static,
    T: Send + 'static,
{
    type Remote = Box<dyn Fn() -> Away<T> + Send + Sync>;

    fn into_remote(self, local: &Local) -> Self::Remote {
        let (at, inbox) = local.take_in(self);
        Box::new(move || send(&inbox, at, async |handler: Rc<F>| handler().await))
    }
}

impl<F, A, T> LocalHandler<(A,)> for F
where
    F: AsyncFn(A) -> T + 'static,
    A: Send + 'static,
    T: Send + 'static,
{
    type Remote = Box<dyn Fn(A) -> Away<T> + Send + Sync>;

    fn into_remote(self, local: &Local) -> Self::Remote {
        let (at, inbox) = local.take_in(self);
        Box::new(move |a| send(&inbox, at, async move |handler: Rc<F>| handler(a).await))
    }
}

impl<F, A, B, T> LocalHandler<(A, B)> for F
where
    F: AsyncFn(A, B) -> T + 'static,
    A: Send + 'static,
    B: Send + 'static,
    T: Send + 'static,
{
    type Remote = Box<dyn Fn(A, B) -> Away<T> + Send + Sync>;

    fn into_remote(self, local: &Local) -> Self::Remote {
        let (at, inbox) = local.take_in(self);
        Box::new(move |a, b| send(&inbox, at, async move |handler: Rc<F>| handler(a, b).await))
    }
}

/// Sends a call home; what is awaited there is the future that `begin` makes of the function.
fn send<H, T>(inbox: &Arc<Inbox>, at: usize, begin: impl AsyncFnOnce(Rc<H>) -> T + Send + 'static) -> Away<T>
where
    H: 'static,
    T: Send + 'static,
{
    let (asked, away) = Asked::new();
    // What is done for a request is in its span, also here.
    let span = Span::current();
    inbox.push(Job::Call(Box::new(move |home: &Home| {
        let handler = home.handler::<H>(at);
        let running = async move {
            match handler {
                Some(handler) => begin(handler).await,
                // It was taken in under this number, and nothing is ever taken out.
                None => unreachable!("a handler has changed its place"),
            }
        };
        Box::pin(Call::new(asked, running.instrument(span)))
    })));
    away
}
