//! Handlers that stay on one thread: what they keep there, how they are called from elsewhere, and how their calls end.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};
use mcp::local::Local;
use mcp::model::{ElicitParams, ElicitResult, StringArguments};
use mcp::{Client, Context, Era, ErrorCode, Form, Partial, Prompt, Resource, Server, Tool};
use mcp_tokio::Tokio;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize, JsonSchema)]
struct Add {
    n: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

/// A stream that cannot leave its thread.
struct Here<S>(S, #[allow(dead_code, reason = "it is there to be no Send")] Rc<()>);

impl<S: AsyncRead + Unpin> AsyncRead for Here<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Here<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

fn code<T: std::fmt::Debug>(answer: mcp::Result<T>) -> ErrorCode {
    answer.expect_err("an error").rpc().expect("of the peer").code
}

/// Runs `session` on this thread, with the tools' connections on others.
async fn with_local<T>(
    local: &Local,
    server: Server,
    client: mcp::ClientBuilder,
    session: impl AsyncFnOnce(Client) -> T,
) -> T {
    local
        .run(async {
            let client = mcp_tokio::pair_with(server, client).await.expect("a pair");
            session(client).await
        })
        .await
}

#[tokio::test]
async fn a_whole_connection_and_its_handlers_stay_on_one_thread() {
    let local = Local::new();
    let total = Rc::new(Cell::new(0));
    let kept = Rc::clone(&total);
    let add = local.handler(async move |args: Add| {
        kept.set(kept.get() + args.n);
        kept.get()
    });
    let server = Server::new("s", "1").tool(Tool::new("add", "", add));
    let (here, there) = mcp::memory::duplex(1024);
    let ((reader, writer), (to_read, to_write)) = (there.into_split(), here.into_split());
    let anchor = || Rc::new(());
    // Asked of the runtime is its clock and its timer only.
    let runtime = Tokio::current().expect("a runtime");
    let serving = local.serve(runtime.clone(), Here(reader, anchor()), Here(writer, anchor()), server);
    let using = async {
        let builder = Client::builder("c", "1");
        let client = local.connect(runtime, Here(to_read, anchor()), Here(to_write, anchor()), builder).await?;
        for n in 1..=3 {
            let sum: i64 = client.call_tool("add", json!({ "n": n })).await?.structured()?;
            assert_eq!(sum, (1..=n).sum::<i64>());
        }
        client.close().await;
        Ok::<_, mcp::Error>(())
    };
    let (served, used) = futures_lite::future::zip(serving, using).await;
    used.expect("the session");
    served.expect("the connection");
    assert_eq!(total.get(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_stay_here_while_connections_are_elsewhere() {
    let local = Local::new();
    let home = std::thread::current().id();
    let calls = Rc::new(Cell::new(0));
    let seen = Rc::clone(&calls);
    let tool = Tool::new(
        "here",
        "",
        local.handler(async move |args: Add| {
            // Not done at the first poll.
            futures_lite::future::yield_now().await;
            assert_eq!(std::thread::current().id(), home);
            seen.set(seen.get() + 1);
            args.n
        }),
    );
    let server = Server::new("s", "1").tool(tool);
    with_local(&local, server, Client::builder("c", "1"), async |client| {
        let asking = (0..200).map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let answer: i64 = client.call_tool("here", json!({ "n": n })).await?.structured()?;
                assert_eq!(answer, n);
                Ok::<_, mcp::Error>(())
            })
        });
        for asked in asking.collect::<Vec<_>>() {
            asked.await.expect("no panic").expect("an answer");
        }
    })
    .await;
    assert_eq!(calls.get(), 200);
}

/// Each form of a handler, each kind of thing that has one.
#[tokio::test]
async fn every_kind_of_handler_can_stay() {
    let local = Local::new();
    let said = Rc::new(RefCell::new(Vec::<String>::new()));
    let note = |what: &'static str| {
        let said = Rc::clone(&said);
        move || said.borrow_mut().push(what.to_owned())
    };
    let (one, two, three, four, five, six, seven) = (
        note("nothing"),
        note("context"),
        note("both"),
        note("prompt"),
        note("resource"),
        note("completion"),
        note("method"),
    );
    let prompt = Prompt::new(
        "p",
        "",
        local.handler(async move |args: Name| {
            four();
            format!("hello {}", args.name)
        }),
    );
    let prompt = prompt.complete(
        "name",
        local.handler(async move |_: Partial| {
            six();
            vec!["Ada"]
        }),
    );
    let server = Server::new("s", "1")
        .tool(Tool::new("nothing", "", local.handler(async move || one())))
        .tool(Tool::new(
            "context",
            "",
            local.handler(async move |ctx: Context| {
                two();
                ctx.version().as_str()
            }),
        ))
        .tool(Tool::new(
            "both",
            "",
            local.handler(async move |ctx: Context, args: Add| {
                three();
                ctx.progress(1, 1)?;
                Ok::<_, mcp::Error>(args.n)
            }),
        ))
        .prompt(prompt)
        .resource(Resource::new(
            "test://r",
            "r",
            local.handler(async move || {
                five();
                "read"
            }),
        ))
        .method(
            "test/method",
            local.handler(async move |args: Add| {
                seven();
                Ok::<_, mcp::HandlerError>(json!({ "n": args.n }))
            }),
        );
    let answers = Rc::new(Cell::new(0));
    let asked = Rc::clone(&answers);
    let builder = Client::builder("c", "1").on_elicit(local.handler(async move |_: ElicitParams| {
        asked.set(asked.get() + 1);
        ElicitResult::decline()
    }));
    let server = server.tool(Tool::new("asks", "", async |ctx: Context| {
        ctx.elicit("name", Form::of::<Name>("Who?")).await.map(|answer| answer.action.to_string())
    }));
    with_local(&local, server, builder, async |client| {
        for tool in ["nothing", "context"] {
            assert!(!client.call_tool(tool, ()).await.expect("a result").is_error());
        }
        let both: i64 =
            client.call_tool("both", json!({ "n": 7 })).await.expect("a result").structured().expect("a number");
        assert_eq!(both, 7);
        client.get_prompt("p", [("name", "Ada")]).await.expect("a prompt");
        client.read_resource("test://r").await.expect("a text");
        let reference = mcp::model::CompletionRef::prompt("p");
        client.complete(reference, "name", "", StringArguments::new()).await.expect("values");
        client.request::<Map<String, Value>>("test/method", &json!({ "n": 1 })).await.expect("an object");
        assert_eq!(client.call_tool("asks", ()).await.expect("a result").joined_text(), "decline");
    })
    .await;
    let wanted = ["nothing", "context", "both", "prompt", "resource", "completion", "method"];
    assert_eq!(*said.borrow(), wanted);
    assert_eq!(answers.get(), 1);
}

/// A handler that asks is dropped at its question in the stateless era, and waits there in the other; here as anywhere.
#[tokio::test]
async fn a_handler_that_stays_asks_in_both_eras() {
    for (era, runs) in [(Era::Legacy, 1), (Era::Modern, 2)] {
        let local = Local::new();
        let begun = Rc::new(Cell::new(0));
        let counted = Rc::clone(&begun);
        let greet = local.handler(async move |ctx: Context| {
            counted.set(counted.get() + 1);
            let answer = ctx.elicit("name", Form::of::<Name>("Who?")).await?;
            Ok::<_, mcp::Error>(mcp::accepted::<Name>(&answer)?.map_or_else(String::new, |name| name.name))
        });
        let server = Server::new("s", "1").tool(Tool::new("greet", "", greet));
        let builder = Client::builder("c", "1").era(era).on_elicit(async |_: ElicitParams| {
            ElicitResult::accept(Map::from_iter([("name".to_owned(), json!("Ada"))]))
        });
        let greeting = async |client: Client| client.call_tool("greet", ()).await.expect("a result").joined_text();
        assert_eq!(with_local(&local, server, builder, greeting).await, "Ada");
        assert_eq!(begun.get(), runs, "{era:?}");
    }
}

/// What tells when a handler that stays is dropped.
struct Told(Rc<Cell<u32>>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[tokio::test]
async fn a_cancelled_call_is_dropped_where_it_stays() {
    let local = Local::new();
    let dropped = Rc::new(Cell::new(0));
    let counted = Rc::clone(&dropped);
    let waits = local.handler(async move || {
        let _told = Told(Rc::clone(&counted));
        std::future::pending::<()>().await;
    });
    let server = Server::new("s", "1").tool(Tool::new("waits", "", waits));
    with_local(&local, server, Client::builder("c", "1"), async |client| {
        let error = client.call_tool("waits", ()).idle(Duration::from_millis(50)).await.expect_err("nobody answers");
        assert!(error.is_timeout());
        while dropped.get() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(dropped.get(), 1);
}

#[tokio::test]
async fn a_panic_ends_its_own_call_only() {
    let local = Local::new();
    let panics = local.handler(async |args: Add| if args.n > 0 { panic!("no") } else { args.n });
    let server = Server::new("s", "1").tool(Tool::new("panics", "", panics));
    with_local(&local, server, Client::builder("c", "1"), async |client| {
        assert_eq!(code(client.call_tool("panics", json!({ "n": 1 })).await), ErrorCode::INTERNAL_ERROR);
        let fine: i64 = client.call_tool("panics", json!({ "n": 0 })).await.expect("a result").structured().expect("0");
        assert_eq!(fine, 0);
    })
    .await;
}

#[tokio::test]
async fn when_the_place_is_gone_calls_are_answered_with_an_error() {
    let (local, other) = (Local::new(), Local::new());
    let gone = other.handler(async || "never");
    let waits = local.handler(async || std::future::pending::<()>().await);
    let tools = [Tool::new("gone", "", gone), Tool::new("waits", "", waits)];
    let server = tools.into_iter().fold(Server::new("s", "1"), Server::tool);
    drop(other);
    let client = mcp_tokio::pair(server).await.expect("a pair");
    assert_eq!(code(client.call_tool("gone", ()).await), ErrorCode::INTERNAL_ERROR);
    // It was called, and is at work or still to be begun, when its place goes.
    let waiting = tokio::spawn(client.call_tool("waits", ()).into_future());
    let sent = client.stats().sent;
    local
        .run(async {
            while client.stats().sent <= sent {
                tokio::task::yield_now().await;
            }
        })
        .await;
    drop(local);
    assert_eq!(code(waiting.await.expect("no panic")), ErrorCode::INTERNAL_ERROR);
}

#[tokio::test]
async fn a_task_that_is_woken_often_is_queued_once() {
    let local = Local::new();
    let polls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&polls);
    local.spawn(std::future::poll_fn(move |cx| {
        counted.set(counted.get() + 1);
        if counted.get() == 1 {
            (0..1000).for_each(|_| cx.waker().wake_by_ref());
        }
        Poll::Pending
    }));
    local
        .run(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    assert_eq!(polls.get(), 2);
}
