//! One handler body for both eras: the same handlers give the same results in every revision, however often they are run.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{soon, until};
use futures_lite::future::block_on;
use mcp::model::{
    CallToolResult, Capability, ContentBlock, CreateMessageParams, CreateMessageResult, ElicitParams, ElicitResult,
    Role, SamplingMessage, Union,
};
use mcp::{Client, ClientBuilder, Context, Error, ErrorCode, Form, ProtocolVersion, Server, Tool, Why};
use serde_json::{Map, Value, json};

const ALL: [ProtocolVersion; 5] = ProtocolVersion::ALL;

fn is_modern(version: ProtocolVersion) -> bool {
    version.rules().result_type
}

fn has_forms(version: ProtocolVersion) -> bool {
    version.has_variant(Union::ElicitMode, "form") == Some(true)
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name {
    name: String,
}

/// Whom a handler asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Person,
    Model,
}

/// What a case shares with its handlers: whom they ask, and what they count.
#[derive(Clone, Debug)]
struct Case {
    whom: Whom,
    count: Arc<AtomicUsize>,
}

impl Case {
    /// Asks in such a way that the answer is the question, but for "decline".
    async fn ask(&self, ctx: &Context, key: &str, question: &str) -> mcp::Result<String> {
        match self.whom {
            Whom::Person => {
                let answer = ctx.elicit(key, Form::of::<Name>(question)).await?;
                Ok(mcp::accepted::<Name>(&answer)?.map_or_else(|| "nobody".to_owned(), |form| form.name))
            }
            Whom::Model => {
                let message = SamplingMessage::user(ContentBlock::text(question));
                let answer = ctx.sample(key, CreateMessageParams::new([message], 10)).await?;
                Ok(text_of(&answer.content))
            }
        }
    }

    fn count(&self) -> usize {
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }
}

fn text_of(blocks: &[ContentBlock]) -> String {
    CallToolResult::new().with_content(blocks.to_vec()).joined_text()
}

/// A client of one revision that answers every question with the question, and counts them.
fn answering(version: ProtocolVersion, questions: &Arc<AtomicUsize>) -> ClientBuilder {
    let (elicited, sampled) = (Arc::clone(questions), Arc::clone(questions));
    Client::builder("answers", "1")
        .versions([version])
        .on_elicit(move |question: ElicitParams| {
            elicited.fetch_add(1, Ordering::SeqCst);
            async move {
                match question.message.as_str() {
                    "decline" => ElicitResult::decline(),
                    text => named(text),
                }
            }
        })
        .on_sample(move |question: CreateMessageParams| {
            sampled.fetch_add(1, Ordering::SeqCst);
            async move {
                let said = match text_of(&question.messages[0].content).as_str() {
                    "decline" => ContentBlock::text("nobody"),
                    text => ContentBlock::text(text),
                };
                Ok(CreateMessageResult::new(Role::Assistant, said, "echo"))
            }
        })
        .root("file:///a", "a")
}

fn named(name: &str) -> ElicitResult {
    ElicitResult::accept(Map::from_iter([("name".to_owned(), Value::from(name))]))
}

async fn connect(builder: ClientBuilder, tool: Tool) -> Client {
    soon(mcp_tokio::pair_with(Server::new("s", "1").tool(tool), builder)).await.unwrap()
}

/// What came of a call: a result of the tool, or a JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Text(String),
    ToolError(String),
    Rpc(ErrorCode, String),
}

async fn call(client: &Client) -> Outcome {
    match soon(client.call_tool("t", ()).on_progress(drop).into_future()).await {
        Ok(result) if result.is_error == Some(true) => Outcome::ToolError(result.joined_text()),
        Ok(result) => Outcome::Text(result.joined_text()),
        Err(error) => {
            let error = error.rpc().unwrap_or_else(|| panic!("{error}"));
            Outcome::Rpc(error.code, error.message.clone())
        }
    }
}

/// Calls a handler in every revision, asking everybody who can be asked there. The result must be the same everywhere, and so
/// must the number of questions and of what the handler counts.
async fn everywhere(tool: fn(Case) -> Tool, expected: Outcome, questions: usize, counts: usize) {
    for version in ALL {
        for whom in [Whom::Person, Whom::Model] {
            if whom == Whom::Person && !has_forms(version) {
                continue;
            }
            let (asked, count) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
            let case = Case { whom, count: Arc::clone(&count) };
            let client = connect(answering(version, &asked), tool(case)).await;
            assert_eq!(call(&client).await, expected, "{whom:?} in {version}");
            assert_eq!(asked.load(Ordering::SeqCst), questions, "questions to the {whom:?} in {version}");
            assert_eq!(count.load(Ordering::SeqCst), counts, "counted, asking the {whom:?} in {version}");
        }
    }
}

fn text(text: &str) -> Outcome {
    Outcome::Text(text.to_owned())
}

#[tokio::test]
async fn questions_one_after_the_other() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let (a, b) = (case.ask(&ctx, "a", "one").await?, case.ask(&ctx, "b", "decline").await?);
                Ok::<_, Error>(format!("{a} {b} {}", case.ask(&ctx, "c", "three").await?))
            }
        })
    };
    everywhere(tool, text("one nobody three"), 3, 0).await;
}

#[tokio::test]
async fn questions_side_by_side() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let (a, b, c) =
                    tokio::join!(case.ask(&ctx, "a", "x"), case.ask(&ctx, "b", "y"), case.ask(&ctx, "c", "z"));
                Ok::<_, Error>(format!("{}{}{}", a?, b?, c?))
            }
        })
    };
    everywhere(tool, text("xyz"), 3, 0).await;
}

/// Chains side by side get on independently: what was answered stays answered while others are asked.
#[tokio::test]
async fn chains_of_questions_side_by_side() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let long = async {
                    let a = case.ask(&ctx, "a", "a").await?;
                    let b = case.ask(&ctx, "b", "b").await?;
                    Ok::<_, Error>(a + &b + &case.ask(&ctx, "c", "c").await?)
                };
                let late = async {
                    // Comes to its question only when the others are at theirs.
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    case.ask(&ctx, "d", "d").await
                };
                let (long, late) = tokio::join!(long, late);
                Ok::<_, Error>(long? + &late?)
            }
        })
    };
    everywhere(tool, text("abcd"), 4, 0).await;
}

#[tokio::test]
async fn a_question_of_a_task() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let task = tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    case.ask(&ctx, "a", "task").await
                });
                task.await.unwrap()
            }
        })
    };
    everywhere(tool, text("task"), 1, 0).await;
}

#[tokio::test]
async fn a_question_after_progress_and_logs() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                ctx.progress(1, 3)?;
                let a = case.ask(&ctx, "a", "a").await?;
                ctx.progress(2, 3)?;
                let b = case.ask(&ctx, "b", "b").await?;
                ctx.progress(3, 3)?;
                Ok::<_, Error>(a + &b)
            }
        })
    };
    everywhere(tool, text("ab"), 2, 0).await;
}

/// Ten rounds are what a client of ours goes along with.
#[tokio::test]
async fn questions_in_a_loop() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let mut said = String::new();
                for n in 0..10 {
                    said += &case.ask(&ctx, &format!("the {n}th"), &n.to_string()).await?;
                }
                Ok::<_, Error>(said)
            }
        })
    };
    everywhere(tool, text("0123456789"), 10, 0).await;
}

/// The eleventh round is one too many for the client, which says so.
#[tokio::test]
async fn an_endless_loop_of_questions_ends() {
    let case = Case { whom: Whom::Person, count: Arc::default() };
    let counts = Arc::clone(&case.count);
    let tool = Tool::new("t", "", move |ctx: Context| {
        let case = case.clone();
        case.count();
        async move {
            let mut n = 0;
            loop {
                n += 1;
                case.ask(&ctx, &n.to_string(), "more").await?;
            }
            #[allow(unreachable_code, reason = "tells the type")]
            Ok::<(), Error>(())
        }
    });
    let client = connect(answering(ProtocolVersion::V2026_07_28, &Arc::default()), tool).await;
    let error = soon(client.call_tool("t", ()).into_future()).await.unwrap_err();
    assert!(matches!(&error, Error::Request { error: mcp::RequestError::TooManyRounds(10), .. }), "{error}");
    assert_eq!(counts.load(Ordering::SeqCst), 11);
}

/// A key names one question: asked again, also by a task at the same time, it has the same answer.
#[tokio::test]
async fn one_key_is_one_question() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let (a, b) = tokio::join!(case.ask(&ctx, "k", "same"), case.ask(&ctx, "k", "same"));
                let c = case.ask(&ctx, "k", "another").await?;
                Ok::<_, Error>(format!("{} {} {c}", a?, b?))
            }
        })
    };
    everywhere(tool, text("same same same"), 1, 0).await;
}

#[tokio::test]
async fn once_is_once() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let first: usize = ctx.once("n", async { case.count() }).await?;
                let a = case.ask(&ctx, "a", "a").await?;
                let again: usize = ctx.once("n", async { case.count() }).await?;
                let b = case.ask(&ctx, "n", "b").await?;
                let (other, same) =
                    tokio::join!(ctx.once("m", async { case.count() }), ctx.once("m", async { case.count() }));
                case.ask(&ctx, "c", "c").await?;
                Ok::<_, Error>(format!("{first}{a}{again}{b}{}{}", other?, same?))
            }
        })
    };
    everywhere(tool, text("1a1b22"), 3, 2).await;
}

/// What takes its time is waited for by whoever wants the same, and is given back when it is given up.
#[tokio::test]
async fn once_waits_for_itself() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let slowly = || {
                    ctx.once("n", async {
                        tokio::task::yield_now().await;
                        case.count()
                    })
                };
                {
                    // Begun, and dropped again; unless it was done in an earlier run.
                    let is_done = case.count.load(Ordering::SeqCst) > 0;
                    let mut given_up = std::pin::pin!(slowly());
                    assert_eq!(futures_lite::future::poll_once(&mut given_up).await.is_some(), is_done);
                }
                let (a, b) = tokio::join!(slowly(), slowly());
                case.ask(&ctx, "a", "a").await?;
                Ok::<_, Error>(format!("{}{}", a?, b?))
            }
        })
    };
    everywhere(tool, text("11"), 1, 1).await;
}

/// An error is not kept: it is tried again, in the same run or in the next one.
#[tokio::test]
async fn once_tries_again_what_failed() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let attempt = || async {
                    match case.count() {
                        1 => Err(mcp::ToolError::new("not yet")),
                        n => Ok(n),
                    }
                };
                let failed = ctx.try_once("n", attempt()).await.unwrap_or(0);
                let worked = ctx.try_once("n", attempt()).await?;
                case.ask(&ctx, "a", "a").await?;
                Ok::<_, mcp::ToolError>(format!("{worked} {}", failed == 0 || failed == worked))
            }
        })
    };
    everywhere(tool, text("2 true"), 1, 2).await;
}

/// Results come back as they were written, also those that JSON has trouble with.
#[tokio::test]
async fn once_gives_the_same_in_every_run() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let pi: f64 = ctx.once("f", async { 0.1 + 0.2 }).await?;
                let big: u64 = ctx.once("u", async { u64::MAX }).await?;
                let said: String = ctx.once("s", async { "\u{2028}\"\\\n\u{85}".to_owned() }).await?;
                let keys: std::collections::BTreeMap<u8, Option<()>> =
                    ctx.once("m", async { [(1, None)].into() }).await?;
                case.ask(&ctx, "a", "a").await?;
                case.ask(&ctx, "b", "b").await?;
                Ok::<_, Error>(format!("{pi} {big} {said:?} {keys:?}"))
            }
        })
    };
    everywhere(tool, text(r#"0.30000000000000004 18446744073709551615 "\u{2028}\"\\\n\u{85}" {1: None}"#), 2, 0).await;
}

/// Bad keys and results are errors of the handler.
#[tokio::test]
async fn once_keeps_only_json() {
    let tool = |_: Case| {
        Tool::new("t", "", async |ctx: Context| {
            let error = ctx.once("nan", async { f64::NAN }).await.unwrap_err();
            Ok::<_, Error>(matches!(error, Error::Result { what, .. } if what == "once \"nan\"").to_string())
        })
    };
    everywhere(tool, text("true"), 0, 0).await;
}

#[tokio::test]
async fn a_panic_after_an_answer() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let said = case.ask(&ctx, "a", "a").await?;
                assert_ne!(said, "a", "on purpose");
                Ok::<_, Error>("not reached")
            }
        })
    };
    let expected = Outcome::Rpc(ErrorCode::INTERNAL_ERROR, "the handler panicked".to_owned());
    everywhere(tool, expected, 1, 0).await;
}

/// A handler on a thread of its own is run again as well. In the stateless era its questions are errors to it at first, which
/// it passes on, unwraps, or forgets.
#[tokio::test]
async fn handlers_that_block() {
    let passes_on = |case: Case| {
        let tool = Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let (a, b) = block_on(async { tokio::join!(case.ask(&ctx, "a", "a"), case.ask(&ctx, "b", "b")) });
                let n: usize = block_on(ctx.once("n", async { case.count() }))?;
                Ok::<_, Error>(format!("{}{}{}{n}", a?, b?, block_on(case.ask(&ctx, "c", "c"))?))
            }
        });
        tool.blocking()
    };
    everywhere(passes_on, text("abc1"), 3, 1).await;
    let unwraps = |case: Case| {
        let ask = move |ctx: Context| {
            let said = block_on(case.ask(&ctx, "a", "a")).unwrap();
            std::future::ready(said)
        };
        Tool::new("t", "", ask).blocking()
    };
    everywhere(unwraps, text("a"), 1, 0).await;
    let forgets = |case: Case| {
        let tool = Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move { case.ask(&ctx, "a", "a").await.unwrap_or_else(|_| "an answer of its own".to_owned()) }
        });
        tool.blocking()
    };
    everywhere(forgets, text("a"), 1, 0).await;
}

/// A thread that waits for a person is free again when the call is given up.
#[tokio::test]
async fn a_handler_that_blocks_on_a_question_ends_with_its_request() {
    for version in ALL.into_iter().filter(|version| has_forms(*version)) {
        let (asked, ended) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (count, end) = (Arc::clone(&asked), Arc::clone(&ended));
        let builder = Client::builder("waits", "1").versions([version]).on_elicit(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<ElicitResult>()
        });
        let tool = Tool::new("t", "", move |ctx: Context| {
            let answer = block_on(ctx.elicit("a", Form::of::<Name>("?")));
            end.fetch_add(1, Ordering::SeqCst);
            std::future::ready(answer.is_ok())
        });
        let client = connect(builder, tool.blocking()).await;
        {
            let mut call = std::pin::pin!(client.call_tool("t", ()).into_future());
            tokio::select! {
                _ = &mut call => panic!("answered"),
                () = until(|| asked.load(Ordering::SeqCst) == 1) => {}
            }
        }
        until(|| ended.load(Ordering::SeqCst) == 1).await;
    }
}

/// What a client cannot be asked is the same error in both eras, before anything is sent: the handler may do without.
#[tokio::test]
async fn a_client_that_cannot_be_asked() {
    for version in ALL {
        let tool = Tool::new("t", "", async |ctx: Context| {
            let message = SamplingMessage::user(ContentBlock::text("?"));
            let plain = CreateMessageParams::new([message], 10);
            let with_tools = plain.clone().with_tools(Vec::new());
            let can = [
                ctx.can_elicit(),
                ctx.can_elicit_url(),
                ctx.can_sample(),
                ctx.can_sample_with_tools(),
                ctx.can_tell_roots(),
                ctx.can(Capability::Tools),
            ];
            assert_eq!(can, [false; 6]);
            let lacks = |error: Error| match error {
                Error::ClientLacks { what, needs } => format!("{what}: {needs:?}"),
                Error::Send { what, why: Why::NotInThisRevision } => format!("{what}: not in this revision"),
                error => panic!("{error}"),
            };
            [
                lacks(ctx.elicit("f", Form::of::<Name>("?")).await.unwrap_err()),
                lacks(ctx.elicit_url("u", "?", "https://example.com", "1").await.unwrap_err()),
                lacks(ctx.sample("s", plain).await.unwrap_err()),
                lacks(ctx.sample("t", with_tools).await.unwrap_err()),
                lacks(ctx.roots("r").await.unwrap_err()),
            ]
            .join("\n")
        });
        let client = connect(Client::builder("plain", "1").versions([version]), tool).await;
        let has = |mode| version.has_variant(Union::ElicitMode, mode) == Some(true);
        let missing = |is_there, needs| if is_there { needs } else { "not in this revision" };
        let expected = [
            format!("elicitation/create (f): {}", missing(has("form"), "ElicitationForm")),
            format!("elicitation/create (u): {}", missing(has("url"), "ElicitationUrl")),
            "sampling/createMessage (s): Sampling".to_owned(),
            "sampling/createMessage (t): SamplingTools".to_owned(),
            "roots/list (r): Roots".to_owned(),
        ];
        assert_eq!(call(&client).await, Outcome::Text(expected.join("\n")), "{version}");
    }
}

/// A client that declares a capability need not have all of it.
#[tokio::test]
async fn a_client_that_cannot_be_asked_everything() {
    for version in ALL {
        let tool = Tool::new("t", "", async |ctx: Context| {
            let can = [ctx.can_elicit(), ctx.can_elicit_url(), ctx.can_sample(), ctx.can_sample_with_tools()];
            let params = CreateMessageParams::new([SamplingMessage::user(ContentBlock::text("?"))], 10);
            let sampled = ctx.sample("s", params.with_tools(Vec::new())).await.unwrap_err();
            let sent = ctx.elicit_url("u", "?", "https://example.com", "1").await.unwrap_err();
            assert!(matches!(sampled, Error::ClientLacks { needs: Capability::SamplingTools, .. }), "{sampled}");
            assert!(matches!(sent, Error::ClientLacks { .. } | Error::Send { .. }), "{sent}");
            assert!(ctx.can_tell_roots());
            let roots = ctx.roots("r").await?;
            Ok::<_, Error>(format!("{can:?} {}", roots[0].uri))
        });
        let client = connect(answering(version, &Arc::default()), tool).await;
        let expected = format!("[{}, false, true, false] file:///a", has_forms(version));
        assert_eq!(call(&client).await, Outcome::Text(expected), "{version}");
    }
}

/// basic (2026-07-28), error codes: a handler that insists has the client told all that it lacks. Older revisions have no such
/// error, so the model is told.
#[tokio::test]
async fn a_handler_that_insists() {
    for version in ALL {
        let tool = Tool::new("t", "", async |ctx: Context| {
            ctx.require([Capability::Roots, Capability::SamplingTools, Capability::ElicitationUrl])?;
            Ok::<_, mcp::ToolError>("not reached")
        });
        let client = connect(Client::builder("plain", "1").versions([version]).root("file:///a", "a"), tool).await;
        let result = soon(client.call_tool("t", ()).into_future()).await;
        let text = "the client has not declared a capability that this needs";
        match result {
            Err(error) if is_modern(version) => {
                let error = error.rpc().unwrap();
                assert_eq!((error.code, error.message.as_str()), (ErrorCode::MISSING_CLIENT_CAPABILITY, text));
                let required = json!({ "elicitation": { "url": {} }, "sampling": { "tools": {} } });
                assert_eq!(error.data.as_ref().unwrap()["requiredCapabilities"], required);
            }
            Ok(result) if !is_modern(version) => {
                assert_eq!((result.is_error, result.joined_text().as_str()), (Some(true), text));
            }
            result => panic!("{version}: {result:?}"),
        }
    }
}

/// A task that outlives its handler learns that there will be no answer for it.
#[tokio::test]
async fn a_task_that_outlives_its_round_is_told() {
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let tool = Tool::new("t", "", move |ctx: Context| {
        let told = told.clone();
        async move {
            let task = tokio::spawn(async move {
                let answer = ctx.elicit("a", Form::of::<Name>("a")).await;
                told.send(answer.as_ref().map(|_| ()).map_err(ToString::to_string)).unwrap();
                answer
            });
            task.await.unwrap().map(|_| "answered")
        }
    });
    let client = connect(answering(ProtocolVersion::V2026_07_28, &Arc::default()), tool).await;
    assert_eq!(call(&client).await, text("answered"));
    let asked = "elicitation/create (a) is asked; the handler is run again when the answer is there";
    // The two tasks end in either order.
    let mut heard = [soon(hears.recv()).await.unwrap(), soon(hears.recv()).await.unwrap()];
    heard.sort();
    assert_eq!(heard, [Ok(()), Err(asked.to_owned())]);
}

/// A wait with an end, so that a hang of what is tested is not one of the test.
#[tokio::test]
async fn what_hangs_in_a_round_is_cancelled_with_it() {
    let tool = |case: Case| {
        Tool::new("t", "", move |ctx: Context| {
            let case = case.clone();
            async move {
                let hang = tokio::time::timeout(Duration::from_secs(3600), std::future::pending::<()>());
                let (a, ()) = tokio::select! {
                    a = case.ask(&ctx, "a", "a") => (a, ()),
                    _ = hang => panic!("an hour has passed"),
                };
                a
            }
        })
    };
    everywhere(tool, text("a"), 1, 0).await;
}
