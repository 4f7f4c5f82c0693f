//! The steps, on one connection.

use std::fmt::{Debug, Display};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_lite::future;
use mcp::model::{Capability, CompletionRef, LoggingLevel, SubscriptionFilter};
use mcp::{Change, Changes, Client, ErrorCode, ProtocolVersion};
use serde_json::{Value, json};

use super::Heard;
use crate::fixture::BYTES;
use crate::runtime::sleep;

/// What a step may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Each tool and its parameters, in order.
const TOOLS: [(&str, &[&str]); 17] = [
    ("add", &["a", "b"]),
    ("ask", &["question"]),
    ("ask_url", &["url"]),
    ("content", &[]),
    ("count", &["hold", "n"]),
    ("echo", &["text"]),
    ("fail", &["message"]),
    ("grow", &[]),
    ("interview", &[]),
    ("log", &["text"]),
    ("release", &[]),
    ("roots", &[]),
    ("sample", &["prompt"]),
    ("slow", &["seconds"]),
    ("touch", &["uri"]),
    ("was_cancelled", &[]),
    ("weather", &["city"]),
];

type Outcome = Result<(), String>;

/// A client, what it heard, and the revision that it is to speak.
struct Walk<'a> {
    client: &'a Client,
    heard: &'a Heard,
    revision: ProtocolVersion,
}

/// Takes the steps; whether one failed.
pub(super) async fn take(client: &Client, heard: &Heard, revision: ProtocolVersion, names: &[&str]) -> bool {
    let walk = Walk { client, heard, revision };
    let mut failed = false;
    for name in names {
        let late = async {
            sleep(PATIENCE).await;
            Err("not done in time".to_owned())
        };
        match future::or(Box::pin(walk.step(name)), late).await {
            Ok(()) => println!("step {name} ok"),
            Err(why) => {
                failed = true;
                println!("step {name} FAILED: {}", why.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    failed
}

impl Walk<'_> {
    async fn step(&self, name: &str) -> Outcome {
        match name {
            "negotiate" => self.negotiate(),
            "list" => self.list().await,
            "bad_cursor" => {
                let page = self.client.list_tools_page(Some("no such page".to_owned())).await;
                same("code", &refused(page)?, &ErrorCode::INVALID_PARAMS)
            }
            "call" => self.call().await,
            "content" => self.content().await,
            "structured" => self.structured().await,
            "tool_error" => {
                let result = self.client.call_tool("fail", json!({ "message": "no such luck" })).await.map_err(text)?;
                check(result.is_error(), "isError is not set")?;
                check(result.joined_text().contains("no such luck"), "another text")
            }
            "bad_arguments" => self.bad_arguments().await,
            "unknown_tool" => {
                let called = self.client.call_tool("no_such_tool", json!({})).await;
                same("code", &refused(called)?, &ErrorCode::INVALID_PARAMS)
            }
            "unknown_method" => {
                let answer = self.client.request::<Value>("interop/unknown", &json!({})).await;
                same("code", &refused(answer)?, &ErrorCode::METHOD_NOT_FOUND)?;
                self.still_answers().await
            }
            "progress" => self.progress().await,
            "cancel" => self.cancel().await,
            "timeout" => {
                let slow = self.client.call_tool("slow", json!({ "seconds": 30 }));
                match slow.idle(Duration::from_millis(300)).await {
                    Err(error) if error.is_timeout() => self.still_answers().await,
                    other => Err(format!("not a time-out: {other:?}")),
                }
            }
            "concurrent" => self.concurrent().await,
            "ping" => self.client.ping().await.map(drop).map_err(text),
            "read" => self.read().await,
            "missing_resource" => {
                let code = refused(self.read_resource("memo://no/such").await)?;
                let legacy = code == ErrorCode::RESOURCE_NOT_FOUND && !self.modern();
                check(legacy || code == ErrorCode::INVALID_PARAMS, format!("code {code:?}"))
            }
            "template" => self.template().await,
            "prompt" => self.prompt().await,
            "unknown_prompt" => {
                let got = self.get_prompt("no_such_prompt", &[]).await;
                same("code", &refused(got)?, &ErrorCode::INVALID_PARAMS)
            }
            "completion" => {
                let styles = self.complete(CompletionRef::prompt("greet"), "style", "f", &[]).await?;
                same("styles", &styles, &["formal", "friendly", "frank"].map(str::to_owned).to_vec())?;
                let notes = self.complete(CompletionRef::resource("memo://notes/{id}"), "id", "1", &[]).await?;
                same("notes", &notes, &["1", "10", "11", "12"].map(str::to_owned).to_vec())
            }
            "completion_context" => {
                let greet = || CompletionRef::prompt("greet");
                let names = self.complete(greet(), "name", "", &[]).await?;
                same("names", &names, &["Ada", "Alan"].map(str::to_owned).to_vec())?;
                let formal = self.complete(greet(), "name", "", &[("style", "formal")]).await?;
                same("formal names", &formal, &vec!["Ms Lovelace".to_owned()])
            }
            "elicitation" => self.elicitation().await,
            "elicitation_url" => {
                let url = "https://example.com/sign-in";
                same("told", &self.told("ask_url", json!({ "url": url })).await?.as_str(), &"accept")?;
                let pages = self.heard.notes().pages.clone();
                same("pages", &pages, &vec![url.to_owned()])
            }
            "sampling" => {
                let said = self.told("sample", json!({ "prompt": "tea" })).await?;
                same("told", &said.as_str(), &"interop-model: You said tea")
            }
            "roots" => {
                let roots = self.told("roots", json!({})).await?;
                same("told", &roots.as_str(), &"file:///interop/one file:///interop/two")
            }
            "interview" => {
                let said = self.told("interview", json!({})).await?;
                same("told", &said.as_str(), &"Ada, interop-model: You said Ada, 2 roots")
            }
            "prompt_asks" => {
                let got = self.get_prompt("asked", &[("question", "accept")]).await.map_err(text)?;
                same("message", &got["messages"][0]["content"]["text"], &json!("accept:Ada"))
            }
            "read_asks" => {
                let read = self.read_resource("memo://asked/decline").await.map_err(text)?;
                same("part", &read["contents"][0]["text"], &json!("decline"))
            }
            "logging" => self.logging().await,
            "subscription" => {
                if !self.modern() {
                    self.subscription().await?;
                }
                self.listening().await
            }
            "list_changed" => self.list_changed().await,
            "resume" => self.resume().await,
            "resume_call" => self.resume_call().await,
            "clean" => same("rules that the server broke", &self.client.stats().broken_rules, &0),
            name => Err(format!("there is no step {name}")),
        }
    }

    fn modern(&self) -> bool {
        self.revision == ProtocolVersion::V2026_07_28
    }

    fn negotiate(&self) -> Outcome {
        same("revision", &self.client.version(), &self.revision)?;
        let server = self.client.server().ok_or("nothing known of the server")?;
        check(server.info.name.starts_with("interop-"), format!("another name: {:?}", server.info))?;
        same("version", &server.info.version.as_str(), &"1.0")?;
        same("instructions", &server.instructions.as_deref(), &Some("Call tools, read resources, get prompts."))?;
        use Capability::{
            Completions, Logging, Prompts, PromptsListChanged, Resources, ResourcesListChanged, ResourcesSubscribe,
            Tools, ToolsListChanged,
        };
        let mut wanted = vec![Tools, Resources, Prompts, Logging, ResourcesSubscribe];
        wanted.extend([ToolsListChanged, ResourcesListChanged, PromptsListChanged]);
        wanted.extend((self.revision >= ProtocolVersion::V2025_03_26).then_some(Completions));
        wanted.retain(|capability| !self.client.offers(*capability));
        same("what is not offered", &wanted, &Vec::new())
    }

    /// A whole list, and how long its pages were.
    async fn pages(&self, method: &str, member: &str) -> Result<(Vec<Value>, Vec<usize>), String> {
        let (mut items, mut lengths, mut cursor) = (Vec::new(), Vec::new(), None);
        loop {
            check(lengths.len() < 5, "pages without end")?;
            let params = cursor.map_or_else(|| json!({}), |cursor: Value| json!({ "cursor": cursor }));
            let page: Value = self.client.request(method, &params).await.map_err(text)?;
            let found = page[member].as_array().cloned().unwrap_or_default();
            lengths.push(found.len());
            items.extend(found);
            match &page["nextCursor"] {
                Value::Null => return Ok((items, lengths)),
                next => cursor = Some(next.clone()),
            }
        }
    }

    async fn list(&self) -> Outcome {
        let (_, lengths) = self.pages("tools/list", "tools").await?;
        same("pages", &lengths, &vec![10, 7])?;
        let mut tools = self.client.list_tools().await.map_err(text)?;
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        same("tools", &tools.len(), &TOOLS.len())?;
        for (tool, (name, parameters)) in tools.iter().zip(TOOLS) {
            same("name", &tool.name.as_str(), &name)?;
            let schema = &tool.input_schema;
            same(name, &schema["type"], &json!("object"))?;
            let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            let mut properties = properties.map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            properties.sort_unstable();
            same(name, &properties, &parameters.to_vec())?;
            check(tool.description.is_some(), format!("{name} has no description"))?;
        }
        let weather = serde_json::to_value(tools.last()).map_err(text)?;
        let hinted = weather["annotations"]["readOnlyHint"] == true;
        check(hinted || self.revision < ProtocolVersion::V2025_03_26, "no hint")?;
        let (resources, lengths) = self.pages("resources/list", "resources").await?;
        same("pages", &lengths, &vec![10, 2])?;
        let mut found = resources.iter().filter_map(|one| one["uri"].as_str()).map(str::to_owned).collect::<Vec<_>>();
        found.sort_unstable();
        let mut wanted = (1..=10).map(|number| format!("memo://leaf/{number}")).collect::<Vec<_>>();
        wanted.extend(["memo://text", "memo://blob"].map(str::to_owned));
        wanted.sort_unstable();
        same("resources", &found, &wanted)
    }

    async fn call(&self) -> Outcome {
        let long = "x".repeat(200_000);
        let texts = [
            "plain",
            "",
            "Grüße, Ωmega, 漢字",
            "👩\u{200d}👩\u{200d}👧 😀",
            "a\u{2028}b\u{2029}c",
            "two\nlines\r\n",
            "quote \" backslash \\ nul \u{0} del \u{7f}",
            &long,
        ];
        for said in texts {
            let answer = self.told("echo", json!({ "text": said })).await?;
            check(answer == said, format!("{said:.40} came back as {answer:.40}"))?;
        }
        Ok(())
    }

    async fn content(&self) -> Outcome {
        let result = self.called("content", json!({})).await?;
        let blocks = result["content"].as_array().cloned().unwrap_or_default();
        let mut kinds = vec!["text", "image", "resource", "resource"];
        kinds.extend((self.revision >= ProtocolVersion::V2025_03_26).then_some("audio"));
        kinds.extend((self.revision >= ProtocolVersion::V2025_06_18).then_some("resource_link"));
        let found = blocks.iter().map(|block| block["type"].as_str().unwrap_or_default()).collect::<Vec<_>>();
        same("kinds", &found, &kinds)?;
        same("image", &blocks[1]["data"], &json!(BYTES))?;
        same("text", &blocks[2]["resource"]["text"], &json!("hello"))?;
        same("blob", &blocks[3]["resource"]["blob"], &json!(BYTES))
    }

    async fn structured(&self) -> Outcome {
        let total = self.client.call_tool("add", json!({ "a": 2, "b": 3 })).await.map_err(text)?;
        let sum: i64 = total.structured().map_err(text)?;
        same("sum", &sum, &5)?;
        let weather = self.client.call_tool("weather", json!({ "city": "Kraków" })).await.map_err(text)?;
        let found: Value = weather.structured().map_err(text)?;
        same("weather", &found, &json!({ "city": "Kraków", "celsius": 21.5 }))?;
        let told: Value = serde_json::from_str(&weather.joined_text()).map_err(text)?;
        same("text of it", &told, &found)
    }

    async fn bad_arguments(&self) -> Outcome {
        match self.client.call_tool("echo", json!({ "text": 17 })).await {
            Err(error) => {
                check(self.revision < ProtocolVersion::V2025_11_25, format!("an error, not a result: {error}"))?;
                same("code", &refused(Err::<(), _>(error))?, &ErrorCode::INVALID_PARAMS)?;
            }
            Ok(result) => {
                check(result.is_error(), "isError is not set")?;
                check(result.joined_text().contains("text"), "the parameter is not named")?;
            }
        }
        self.still_answers().await
    }

    async fn progress(&self) -> Outcome {
        let steps = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&steps);
        let counting = self.client.call_tool("count", json!({ "n": 5, "hold": false })).on_progress(move |progress| {
            seen.lock().expect("no panic under it").push((progress.progress, progress.total, progress.message));
        });
        counting.await.map_err(text)?;
        // Messages came with 2025-03-26; a server may leave them out before.
        let mut steps = steps.lock().expect("no panic under it").clone();
        if self.revision < ProtocolVersion::V2025_03_26 {
            for (n, _, message) in &mut steps {
                message.get_or_insert(format!("step {n} of 5"));
            }
        }
        let wanted = (1..=5).map(|n| (f64::from(n), Some(5.0), Some(format!("step {n} of 5")))).collect::<Vec<_>>();
        same("progress before the result", &steps, &wanted)?;

        let (all, mut last) = tokio::sync::mpsc::unbounded_channel();
        let holding = self.client.call_tool("count", json!({ "n": 3, "hold": true })).on_progress(move |progress| {
            if progress.total == Some(progress.progress) {
                let _ = all.send(());
            }
        });
        let releasing = async {
            last.recv().await.ok_or("no last step")?;
            self.called("release", json!({})).await
        };
        let (held, released) = tokio::join!(holding.into_future(), releasing);
        released?;
        held.map(drop).map_err(text)
    }

    async fn cancel(&self) -> Outcome {
        same("before", &self.told("was_cancelled", json!({})).await?.as_str(), &"false")?;
        let (begins, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let slow = self.client.call_tool("slow", json!({ "seconds": 30 })).on_progress(move |_| {
            let _ = begins.send(());
        });
        tokio::select! {
            ended = slow.into_future() => return Err(format!("slow ended by itself: {ended:?}")),
            // Its handler is at work. Here the call is dropped, which cancels it.
            _ = begun.recv() => {}
        }
        self.still_answers().await?;
        while self.told("was_cancelled", json!({})).await? != "true" {}
        Ok(())
    }

    async fn concurrent(&self) -> Outcome {
        let calls = (0..50).map(|number| {
            Box::pin(async move {
                let said = format!("number {number}");
                let result = self.client.call_tool("echo", json!({ "text": said })).await.map_err(text)?;
                same("echo", &result.joined_text(), &said)
            })
        });
        let (mut open, mut outcome) = (calls.collect::<Vec<_>>(), Ok(()));
        poll_fn(|cx| {
            open.retain_mut(|call| match call.as_mut().poll(cx) {
                Poll::Ready(ended) => {
                    outcome = std::mem::replace(&mut outcome, Ok(())).and(ended);
                    false
                }
                Poll::Pending => true,
            });
            if open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        outcome
    }

    async fn read(&self) -> Outcome {
        let read = self.read_resource("memo://text").await.map_err(text)?;
        let wanted = json!([{ "uri": "memo://text", "mimeType": "text/plain", "text": "hello" }]);
        same("text", &read["contents"], &wanted)?;
        let read = self.read_resource("memo://blob").await.map_err(text)?;
        let wanted = json!([{ "uri": "memo://blob", "mimeType": "application/octet-stream", "blob": BYTES }]);
        same("blob", &read["contents"], &wanted)
    }

    async fn template(&self) -> Outcome {
        let (templates, _) = self.pages("resources/templates/list", "resourceTemplates").await?;
        let mut found = templates.iter().map(|one| json!([one["name"], one["uriTemplate"]])).collect::<Vec<_>>();
        found.sort_by_key(Value::to_string);
        let wanted = json!([["asked", "memo://asked/{question}"], ["note", "memo://notes/{id}"]]);
        same("templates", &Value::Array(found), &wanted)?;
        let note = self.read_resource("memo://notes/7").await.map_err(text)?;
        same("uri", &note["contents"][0]["uri"], &json!("memo://notes/7"))?;
        same("note", &note["contents"][0]["text"], &json!("note 7"))
    }

    async fn prompt(&self) -> Outcome {
        let (prompts, _) = self.pages("prompts/list", "prompts").await?;
        let mut found = Vec::new();
        for prompt in &prompts {
            let arguments = prompt["arguments"].as_array().into_iter().flatten();
            let arguments = arguments.map(|one| json!([one["name"], one["required"] == true])).collect::<Vec<_>>();
            found.push(json!([prompt["name"], arguments]));
        }
        found.sort_by_key(Value::to_string);
        let wanted =
            json!([["asked", [["question", true]]], ["greet", [["name", true], ["style", false]]], ["picture", []],]);
        same("prompts", &Value::Array(found), &wanted)?;
        let greeting = self.get_prompt("greet", &[("name", "Zoë"), ("style", "brief")]).await.map_err(text)?;
        same("description", &greeting["description"], &json!("A greeting."))?;
        same("role", &greeting["messages"][0]["role"], &json!("user"))?;
        same("message", &greeting["messages"][0]["content"]["text"], &json!("Greet Zoë. Be brief."))?;
        let plain = self.get_prompt("greet", &[("name", "Zoë")]).await.map_err(text)?;
        same("without style", &plain["messages"][0]["content"]["text"], &json!("Greet Zoë."))?;
        let picture = self.get_prompt("picture", &[]).await.map_err(text)?;
        same("image", &picture["messages"][0]["content"]["data"], &json!(BYTES))?;
        same("text", &picture["messages"][1]["content"]["resource"]["text"], &json!("hello"))
    }

    async fn elicitation(&self) -> Outcome {
        for (question, wanted) in [("accept", "accept:Ada"), ("decline", "decline"), ("cancel", "cancel")] {
            self.heard.notes().forms.clear();
            same(question, &self.told("ask", json!({ "question": question })).await?.as_str(), &wanted)?;
            let forms = self.heard.notes().forms.clone();
            let fields = forms.iter().map(|form| json!([form["ok"]["type"], form["name"]["type"]]));
            same("forms", &fields.collect::<Vec<_>>(), &vec![json!(["boolean", "string"])])?;
        }
        Ok(())
    }

    async fn logging(&self) -> Outcome {
        self.heard.notes().logs.clear();
        for (level, said) in [(LoggingLevel::Error, "one"), (LoggingLevel::Info, "two")] {
            let call = self.client.call_tool("log", json!({ "text": said }));
            if self.modern() {
                self.called("log", json!({ "text": "unasked" })).await?;
                call.log_level(level).await.map_err(text)?;
            } else {
                self.client.set_log_level(level).await.map_err(text)?;
                call.await.map_err(text)?;
            }
        }
        let logs = self.heard.until(|notes| (notes.logs.len() >= 3).then(|| notes.logs.clone())).await;
        let wanted = [("error", "one"), ("info", "two"), ("error", "two")];
        same("logs", &logs, &wanted.map(|(level, said)| json!([level, said])).to_vec())
    }

    async fn touch(&self, uris: &[&str]) -> Outcome {
        for uri in uris {
            self.called("touch", json!({ "uri": uri })).await?;
        }
        Ok(())
    }

    /// The handshake era's own verbs.
    async fn subscription(&self) -> Outcome {
        self.client.subscribe("memo://text").await.map_err(text)?;
        self.touch(&["memo://leaf/1", "memo://blob", "memo://text"]).await?;
        let updates = self.heard.until(|notes| (!notes.updates.is_empty()).then(|| notes.updates.clone())).await;
        same("updates", &updates, &vec!["memo://text".to_owned()])?;
        self.client.unsubscribe("memo://text").await.map_err(text)?;
        self.client.subscribe("memo://blob").await.map_err(text)?;
        self.touch(&["memo://text", "memo://blob"]).await?;
        let updates = self.heard.until(|notes| (notes.updates.len() > 1).then(|| notes.updates.clone())).await;
        same("updates", &updates, &["memo://text", "memo://blob"].map(str::to_owned).to_vec())?;
        self.client.unsubscribe("memo://blob").await.map_err(text)
    }

    /// The verb of both eras.
    async fn listening(&self) -> Outcome {
        let wish = |uri: &str| SubscriptionFilter::new().with_resource_subscriptions(vec![uri.to_owned()]);
        let mut first = self.client.listen(wish("memo://text")).await.map_err(text)?;
        same("granted", &first.granted(), &wish("memo://text"))?;
        let mut second = self.client.listen(wish("memo://blob")).await.map_err(text)?;
        self.touch(&["memo://leaf/1", "memo://blob", "memo://text"]).await?;
        same("of the first", &next(&mut first).await?, &Change::Resource("memo://text".to_owned()))?;
        same("of the second", &next(&mut second).await?, &Change::Resource("memo://blob".to_owned()))?;
        drop(second);
        self.touch(&["memo://blob", "memo://text"]).await?;
        let mut change = next(&mut first).await?;
        if !self.modern() && change == Change::Resource("memo://blob".to_owned()) {
            // The server may have told of it before it heard that nobody wants to know; whose it was cannot be seen any more.
            change = next(&mut first).await?;
        }
        same("after the second", &change, &Change::Resource("memo://text".to_owned()))
    }

    async fn list_changed(&self) -> Outcome {
        let lists = SubscriptionFilter::new()
            .with_tools_list_changed(true)
            .with_resources_list_changed(true)
            .with_prompts_list_changed(true);
        let mut listen = self.client.listen(lists).await.map_err(text)?;
        self.called("grow", json!({})).await?;
        let mut changes = Vec::new();
        for _ in 0..3 {
            changes.push(next(&mut listen).await?);
        }
        let all = [Change::Tools, Change::Resources, Change::Prompts];
        check(all.iter().all(|change| changes.contains(change)), format!("not all three: {changes:?}"))?;
        // The callbacks hear of it beside the listener.
        self.heard.until(|notes| (notes.changes.len() == 3).then_some(())).await;
        let tools = self.client.list_tools().await.map_err(text)?;
        check(tools.iter().any(|tool| tool.name == "grown"), "no new tool")?;
        let resources = self.client.list_resources().await.map_err(text)?;
        check(resources.iter().any(|resource| resource.uri == "memo://grown"), "no new resource")?;
        let prompts = self.client.list_prompts().await.map_err(text)?;
        check(prompts.iter().any(|prompt| prompt.name == "grown"), "no new prompt")
    }

    /// The stream of the session is cut: what changed meanwhile is told once.
    async fn resume(&self) -> Outcome {
        let uri = "memo://text";
        self.client.subscribe(uri).await.map_err(text)?;
        self.heard.notes().updates.clear();
        self.cut().await?;
        for times in 1..=2 {
            self.touch(&[uri]).await?;
            let updates = self.heard.until(|notes| (notes.updates.len() >= times).then(|| notes.updates.clone())).await;
            same("updates", &updates, &vec![uri.to_owned(); times])?;
        }
        self.client.unsubscribe(uri).await.map_err(text)
    }

    /// The stream of a call is cut after its last progress: the answer comes all the same, and no progress twice.
    async fn resume_call(&self) -> Outcome {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, mut last) = tokio::sync::mpsc::unbounded_channel();
        let noted = Arc::clone(&seen);
        let holding = self.client.call_tool("count", json!({ "n": 3, "hold": true })).on_progress(move |progress| {
            noted.lock().expect("no panic under it").push(progress.progress);
            if progress.total == Some(progress.progress) {
                let _ = all.send(());
            }
        });
        let releasing = async {
            last.recv().await.ok_or("no last step")?;
            self.cut().await?;
            self.called("release", json!({})).await
        };
        let (held, released) = tokio::join!(holding.into_future(), releasing);
        released?;
        same("answer", &held.map_err(text)?.joined_text().as_str(), &"counted to 3")?;
        same("progress", &*seen.lock().expect("no panic under it"), &vec![1.0, 2.0, 3.0])
    }

    /// Has the relay cut all streams that are open.
    async fn cut(&self) -> Outcome {
        self.told("echo", json!({ "text": "cut the streams" })).await.map(drop)
    }

    async fn read_resource(&self, uri: &str) -> mcp::Result<Value> {
        let read = self.client.read_resource(uri).await?;
        Ok(serde_json::to_value(read).expect("what was read can be written"))
    }

    async fn get_prompt(&self, name: &str, arguments: &[(&str, &str)]) -> mcp::Result<Value> {
        let got = self.client.get_prompt(name, arguments.iter().copied()).await?;
        Ok(serde_json::to_value(got).expect("what was read can be written"))
    }

    async fn complete(
        &self,
        reference: CompletionRef,
        argument: &str,
        value: &str,
        known: &[(&str, &str)],
    ) -> Result<Vec<String>, String> {
        let known = known.iter().copied();
        Ok(self.client.complete(reference, argument, value, known).await.map_err(text)?.values)
    }

    /// The result of a tool that has to succeed.
    async fn called(&self, name: &str, arguments: Value) -> Result<Value, String> {
        let result = self.client.call_tool(name, arguments).await.map_err(text)?;
        check(!result.is_error(), format!("{name} failed: {}", result.joined_text()))?;
        serde_json::to_value(result).map_err(text)
    }

    /// Its text, which is one block.
    async fn told(&self, name: &str, arguments: Value) -> Result<String, String> {
        let result = self.called(name, arguments).await?;
        match result["content"].as_array().map(Vec::as_slice) {
            Some([block]) if block["type"] == "text" => Ok(block["text"].as_str().unwrap_or_default().to_owned()),
            _ => Err(format!("one block of text, not {}", result["content"])),
        }
    }

    async fn still_answers(&self) -> Outcome {
        same("echo", &self.told("echo", json!({ "text": "still here" })).await?.as_str(), &"still here")
    }
}

async fn next(changes: &mut Changes) -> Result<Change, String> {
    changes.next().await.ok_or_else(|| format!("no more changes: {:?}", changes.ended()))
}

/// The code of the error that the request has to end with.
fn refused<T: Debug>(result: mcp::Result<T>) -> Result<ErrorCode, String> {
    match result {
        Err(error) => error.rpc().map(|rpc| rpc.code).ok_or_else(|| error.to_string()),
        Ok(result) => Err(format!("a result, not an error: {result:?}")),
    }
}

fn same<T: PartialEq + Debug>(what: &str, found: &T, wanted: &T) -> Outcome {
    check(found == wanted, format!("{what}: got {found:?}, wanted {wanted:?}"))
}

fn check(holds: bool, otherwise: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
