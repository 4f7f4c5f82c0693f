//! Handlers that cannot leave their thread: they keep an `Rc`, as one that embeds an interpreter or a window would.
//!
//! `cargo run --example local_handlers`: a server and a client in one process, all of it on one thread: the handlers, what they
//! keep, and both ends of the connection. Of the runtime ([`executor.rs`](../own_runtime/executor.rs)) only the clock and the
//! timer are used, since [`Local`] runs the tasks; so this is also the way into a browser.
//!
//! With a runtime of many threads around it, [`Local::run`] beside the server is enough: then the connections are anywhere, and
//! only the handlers stay.

#[allow(dead_code, reason = "tasks are not asked of it here")]
#[path = "../own_runtime/executor.rs"]
mod executor;

use std::cell::RefCell;
use std::rc::Rc;

use executor::Executor;
use futures_lite::future::{yield_now, zip};
use mcp::local::Local;
use mcp::model::{ElicitParams, ElicitResult};
use mcp::{Client, Context, Form, Server, Tool};
use serde_json::{Map, Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Line {
    /// What to write down.
    text: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Sure {
    /// Really tear it out?
    sure: bool,
}

/// What is not `Send`: pages that several handlers share without a lock.
type Notebook = Rc<RefCell<Vec<String>>>;

fn main() -> mcp::Result<()> {
    let executor = Executor::new();
    let local = Local::new();
    let notebook = Notebook::default();
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = there.into_split();
    let serving = local.serve(executor.clone(), reader, writer, server(&local, &notebook));
    let (reader, writer) = here.into_split();
    let using = async {
        let client = local.connect(executor.clone(), reader, writer, builder(&local, &notebook)).await?;
        tour(client).await
    };
    // Serving is what runs everything that stays here, the client's connection and callbacks as well.
    let (served, used) = executor.block_on(zip(serving, using));
    used?;
    served?;
    println!("left in the notebook: {:?}", notebook.borrow());
    Ok(())
}

fn server(local: &Local, notebook: &Notebook) -> Server {
    let (writing, tearing) = (Rc::clone(notebook), Rc::clone(notebook));
    let write = local.handler(async move |line: Line| {
        // Held over no await: whoever else is at work here finds it free.
        writing.borrow_mut().push(line.text);
        yield_now().await;
        writing.borrow().len()
    });
    let tear = local.handler(async move |ctx: Context| {
        let answer = ctx.elicit("sure", Form::of::<Sure>("Tear out the last page?")).await?;
        let is_sure = mcp::accepted::<Sure>(&answer)?.is_some_and(|answer| answer.sure);
        let page = if is_sure { tearing.borrow_mut().pop() } else { None };
        Ok::<_, mcp::Error>(page.unwrap_or_else(|| "nothing is torn out".to_owned()))
    });
    Server::new("notebook", "1.0.0").tool(Tool::new("write", "Write a page", write)).tool(Tool::new(
        "tear",
        "Tear out the last page",
        tear,
    ))
}

/// The client's callbacks may stay as well; this one looks into the notebook before it agrees.
fn builder(local: &Local, notebook: &Notebook) -> mcp::ClientBuilder {
    let notebook = Rc::clone(notebook);
    Client::builder("reader", "1.0.0").on_elicit(local.handler(async move |question: ElicitParams| {
        println!("{} There are {} pages.", question.message, notebook.borrow().len());
        ElicitResult::accept(Map::from_iter([("sure".to_owned(), Value::from(true))]))
    }))
}

async fn tour(client: Client) -> mcp::Result<()> {
    for text in ["first", "second"] {
        let pages: u32 = client.call_tool("write", json!({ "text": text })).await?.structured()?;
        println!("wrote page {pages}");
    }
    println!("torn out: {}", client.call_tool("tear", ()).await?.joined_text());
    client.close().await;
    Ok(())
}
