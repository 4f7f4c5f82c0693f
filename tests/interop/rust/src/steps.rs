//! The steps, taken on one connection; each prints `step NAME ok` or `step NAME FAILED: why`.

use std::fmt::{Debug, Display};
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use rmcp::model::*;
use rmcp::service::{PeerRequestOptions, ServiceError, Subscription};
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::{bytes, model};

/// What a step may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Each tool and its parameters, in order.
const TOOLS: &[(&str, &[&str])] = &[
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

const STEPS: &[&str] = &[
    "negotiate",
    "list",
    "bad_cursor",
    "call",
    "content",
    "structured",
    "tool_error",
    "bad_arguments",
    "unknown_tool",
    "unknown_method",
    "progress",
    "cancel",
    "timeout",
    "concurrent",
    "ping",
    "read",
    "missing_resource",
    "template",
    "prompt",
    "unknown_prompt",
    "completion",
    "completion_context",
    "elicitation",
    "elicitation_url",
    "sampling",
    "roots",
    "interview",
    "prompt_asks",
    "read_asks",
    "logging",
    "subscription",
    "list_changed",
    "resume",
    "resume_call",
];

type Outcome = Result<(), String>;

/// Takes the steps, and tells how many failed.
pub async fn take(client: &Client, names: &[&str]) -> usize {
    let mut failed = 0;
    for name in STEPS.iter().filter(|name| names.contains(*name)) {
        let outcome = tokio::time::timeout(PATIENCE, Box::pin(step(client, name))).await;
        match outcome.unwrap_or_else(|_| Err("not done in time".to_owned())) {
            Ok(()) => println!("step {name} ok"),
            Err(why) => {
                failed += 1;
                println!("step {name} FAILED: {}", why.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    failed
}

async fn step(client: &Client, name: &str) -> Outcome {
    match name {
        "negotiate" => negotiate(client),
        "list" => list(client).await,
        "bad_cursor" => {
            let listed = client.list_tools(Some(model(json!({"cursor": "no such page"})))).await;
            same("code", &refused(listed)?, &ErrorCode::INVALID_PARAMS)
        }
        "call" => call(client).await,
        "content" => content(client).await,
        "structured" => structured(client).await,
        "tool_error" => {
            let result = value(client.call_tool(tool("fail", json!({"message": "no such luck"}))).await)?;
            same("isError", &result["isError"], &true.into())?;
            check(text_of(&result)?.contains("no such luck"), "another text")
        }
        "bad_arguments" => bad_arguments(client).await,
        "unknown_tool" => {
            let called = client.call_tool(tool("no_such_tool", json!({}))).await;
            same("code", &refused(called)?, &ErrorCode::INVALID_PARAMS)
        }
        "unknown_method" => {
            let request = CustomRequest::new("interop/unknown", Some(json!({})));
            let sent = client.send_request(ClientRequest::CustomRequest(request)).await;
            same("code", &refused(sent)?, &ErrorCode::METHOD_NOT_FOUND)?;
            still_answers(client).await
        }
        "progress" => progress(client).await,
        "cancel" => cancel(client).await,
        "timeout" => timeout(client).await,
        "concurrent" => concurrent(client).await,
        "ping" => client.send_request(ClientRequest::PingRequest(Default::default())).await.map(drop).map_err(told_by),
        "read" => read(client).await,
        "missing_resource" => {
            let code = refused(client.read_resource(model(json!({"uri": "memo://no/such"}))).await)?;
            let legacy = code == ErrorCode::RESOURCE_NOT_FOUND && !client.service().modern();
            check(legacy || code == ErrorCode::INVALID_PARAMS, format!("code {code:?}"))
        }
        "template" => template(client).await,
        "prompt" => prompt(client).await,
        "unknown_prompt" => {
            let got = client.get_prompt(model(json!({"name": "no_such_prompt"}))).await;
            same("code", &refused(got)?, &ErrorCode::INVALID_PARAMS)
        }
        "completion" => {
            let styles = client.complete_prompt_simple("greet", "style", "f").await.map_err(told_by)?;
            same("styles", &styles, &["formal", "friendly", "frank"].map(str::to_owned).to_vec())?;
            let notes = client.complete_resource_simple("memo://notes/{id}", "id", "1").await.map_err(told_by)?;
            same("notes", &notes, &["1", "10", "11", "12"].map(str::to_owned).to_vec())
        }
        "completion_context" => {
            let names = client.complete_prompt_simple("greet", "name", "").await.map_err(told_by)?;
            same("names", &names, &["Ada", "Alan"].map(str::to_owned).to_vec())?;
            let known = model(json!({"arguments": {"style": "formal"}}));
            let completed = client.complete_prompt_argument("greet", "name", "", Some(known)).await;
            same("formal names", &value(completed)?["values"], &json!(["Ms Lovelace"]))
        }
        "elicitation" => elicitation(client).await,
        "elicitation_url" => {
            let url = "https://example.com/sign-in";
            same("told", &told(client, "ask_url", json!({"url": url})).await?, &"accept".to_owned())?;
            same("pages", &client.service().notes.lock().expect("no panic").pages, &vec![json!(url)])
        }
        "sampling" => {
            let said = told(client, "sample", json!({"prompt": "tea"})).await?;
            same("told", &said, &"interop-model: You said tea".to_owned())
        }
        "roots" => {
            let roots = told(client, "roots", json!({})).await?;
            same("told", &roots, &"file:///interop/one file:///interop/two".to_owned())
        }
        "interview" => {
            let said = told(client, "interview", json!({})).await?;
            same("told", &said, &"Ada, interop-model: You said Ada, 2 roots".to_owned())
        }
        "prompt_asks" => {
            let params = json!({"name": "asked", "arguments": {"question": "accept"}});
            let got = value(client.get_prompt(model(params)).await)?;
            same("message", &got["messages"][0]["content"]["text"], &json!("accept:Ada"))
        }
        "read_asks" => {
            let read = value(client.read_resource(model(json!({"uri": "memo://asked/decline"}))).await)?;
            same("part", &read["contents"][0]["text"], &json!("decline"))
        }
        "logging" => logging(client).await,
        "subscription" if client.service().modern() => listen(client).await,
        "subscription" => subscription(client).await,
        "list_changed" => list_changed(client).await,
        "resume" => resume(client).await,
        "resume_call" => resume_call(client).await,
        name => Err(format!("there is no step {name}")),
    }
}

fn negotiate(client: &Client) -> Outcome {
    let heard = client.service();
    let info = value(Ok::<_, String>(client.peer_info().ok_or("nothing known of the server")?))?;
    same("revision", &info["protocolVersion"], &json!(heard.revision))?;
    let name = info["serverInfo"]["name"].as_str().unwrap_or_default();
    check(name.starts_with("interop-"), format!("another name: {info}"))?;
    same("version", &info["serverInfo"]["version"], &json!("1.0"))?;
    same("instructions", &info["instructions"], &json!("Call tools, read resources, get prompts."))?;
    for name in ["tools", "resources", "prompts", "completions", "logging"] {
        let newer = name == "completions" && heard.revision.as_str() < "2025-03-26";
        check(info["capabilities"][name].is_object() || newer, format!("no capability {name}"))?;
    }
    check(info["capabilities"]["resources"]["subscribe"] == true, "no subscriptions")?;
    for name in ["tools", "resources", "prompts"] {
        check(info["capabilities"][name]["listChanged"] == true, format!("no listChanged of {name}"))?;
    }
    Ok(())
}

async fn list(client: &Client) -> Outcome {
    let first = value(client.list_tools(None).await)?;
    let cursor = first["nextCursor"].as_str().ok_or("no second page")?;
    let second = value(client.list_tools(Some(model(json!({"cursor": cursor})))).await)?;
    let lengths = [&first, &second].map(|page| page["tools"].as_array().map_or(0, Vec::len));
    same("pages", &lengths, &[10, 7])?;
    check(second.get("nextCursor").is_none_or(Value::is_null), "a third page")?;
    let listed = value(client.list_all_tools().await)?;
    let mut tools = listed.as_array().cloned().unwrap_or_default();
    tools.sort_by_key(|tool| tool["name"].to_string());
    same("tools", &tools.len(), &TOOLS.len())?;
    for (tool, (name, parameters)) in tools.iter().zip(TOOLS) {
        same("name", &tool["name"], &json!(name))?;
        let schema = &tool["inputSchema"];
        same(name, &schema["type"], &json!("object"))?;
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut properties = properties.map(|(name, _)| name.clone()).collect::<Vec<_>>();
        properties.sort();
        same(name, &properties, &parameters.iter().map(|one| (*one).to_owned()).collect())?;
        check(tool["description"].is_string(), format!("{name} has no description"))?;
    }
    let hint = &tools[TOOLS.len() - 1]["annotations"]["readOnlyHint"];
    check(*hint == true || client.service().revision.as_str() < "2025-03-26", "no hint")?;
    let resources = client.list_all_resources().await.map_err(told_by)?;
    same("resources", &resources.len(), &12)
}

async fn call(client: &Client) -> Outcome {
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
    for text in texts {
        let answer = told(client, "echo", json!({"text": text})).await?;
        check(answer == text, format!("{:.40} came back as {answer:.40}", text))?;
    }
    Ok(())
}

async fn content(client: &Client) -> Outcome {
    let result = called(client, "content", json!({})).await?;
    let blocks = result["content"].as_array().cloned().unwrap_or_default();
    let revision = client.service().revision.as_str();
    let mut kinds = vec!["text", "image", "resource", "resource"];
    kinds.extend((revision >= "2025-03-26").then_some("audio"));
    kinds.extend((revision >= "2025-06-18").then_some("resource_link"));
    let found = blocks.iter().map(|block| block["type"].as_str().unwrap_or_default()).collect::<Vec<_>>();
    same("kinds", &found, &kinds)?;
    same("image", &decoded(&blocks[1]["data"])?, &bytes())?;
    same("text", &blocks[2]["resource"]["text"], &json!("hello"))?;
    same("blob", &decoded(&blocks[3]["resource"]["blob"])?, &bytes())
}

async fn structured(client: &Client) -> Outcome {
    let total = called(client, "add", json!({"a": 2, "b": 3})).await?;
    let found = &total["structuredContent"];
    let alone = found.as_object().map(|object| object.values().cloned().collect::<Vec<_>>());
    check(*found == 5 || alone == Some(vec![json!(5)]), format!("2 + 3 gave {found}"))?;
    let text: Value = serde_json::from_str(&text_of(&total)?).map_err(told_by)?;
    check(text == 5 || text == *found, format!("the text is {text}"))?;
    let weather = called(client, "weather", json!({"city": "Kraków"})).await?;
    same("weather", &weather["structuredContent"], &json!({"city": "Kraków", "celsius": 21.5}))?;
    let text: Value = serde_json::from_str(&text_of(&weather)?).map_err(told_by)?;
    same("text of it", &text, &weather["structuredContent"])
}

async fn bad_arguments(client: &Client) -> Outcome {
    match client.call_tool(tool("echo", json!({"text": 17}))).await {
        Err(ServiceError::McpError(error)) => {
            check(client.service().revision.as_str() < "2025-11-25", format!("an error, not a result: {error}"))?;
            same("code", &error.code, &ErrorCode::INVALID_PARAMS)?;
        }
        result => {
            let result = value(result)?;
            same("isError", &result["isError"], &true.into())?;
            check(text_of(&result)?.contains("text"), "the parameter is not named")?;
        }
    }
    still_answers(client).await
}

async fn progress(client: &Client) -> Outcome {
    // The SDK calls handlers beside the result, so that one has to wait.
    let heard = client.service();
    let counting = async { called(client, "count", json!({"n": 5, "hold": true})).await };
    let releasing = async {
        heard.until(|notes| (notes.progress.len() >= 5).then_some(())).await;
        called(client, "release", json!({})).await
    };
    let (counted, released) = tokio::join!(counting, releasing);
    counted.and(released)?;
    let mut seen = heard.notes.lock().expect("no panic").progress.clone();
    // Messages came with 2025-03-26; a server may leave them out before.
    if heard.revision.as_str() < "2025-03-26" {
        for (note, n) in seen.iter_mut().zip(1..).filter(|(note, _)| note[2].is_null()) {
            note[2] = format!("step {n} of 5").into();
        }
    }
    let wanted = (1..=5).map(|n| json!([f64::from(n), 5.0, format!("step {n} of 5")])).collect::<Vec<_>>();
    same("progress", &seen, &wanted)
}

async fn cancel(client: &Client) -> Outcome {
    same("before", &told(client, "was_cancelled", json!({})).await?, &"false".to_owned())?;
    let heard = client.service();
    heard.notes.lock().expect("no panic").progress.clear();
    let request = slow_call();
    let handle = client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.map_err(told_by)?;
    heard.until(|notes| (!notes.progress.is_empty()).then_some(())).await; // it has begun
    handle.cancel(Some("enough".to_owned())).await.map_err(told_by)?;
    still_answers(client).await?;
    while told(client, "was_cancelled", json!({})).await? != "true" {}
    Ok(())
}

async fn timeout(client: &Client) -> Outcome {
    let options = PeerRequestOptions::with_timeout(Duration::from_millis(300));
    let handle = client.send_cancellable_request(slow_call(), options).await.map_err(told_by)?;
    match handle.await_response().await {
        Err(ServiceError::Timeout { .. }) => still_answers(client).await,
        other => Err(format!("not a time-out: {other:?}")),
    }
}

async fn concurrent(client: &Client) -> Outcome {
    let calls = (0..50).map(|number| {
        let peer = client.peer().clone();
        tokio::spawn(async move {
            let said = format!("number {number}");
            match peer.call_tool_once(tool("echo", json!({"text": said}))).await {
                Ok(CallToolResponse::Complete(result)) => {
                    same("echo", &text_of(&value(Ok::<_, String>(result))?)?, &said)
                }
                other => Err(format!("no result: {other:?}")),
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.map_err(told_by)??;
    }
    Ok(())
}

async fn read(client: &Client) -> Outcome {
    let text = value(client.read_resource(model(json!({"uri": "memo://text"}))).await)?;
    same("text", &text["contents"], &json!([{"uri": "memo://text", "mimeType": "text/plain", "text": "hello"}]))?;
    let blob = value(client.read_resource(model(json!({"uri": "memo://blob"}))).await)?;
    let blob = &blob["contents"][0];
    same("uri", &blob["uri"], &json!("memo://blob"))?;
    same("kind", &blob["mimeType"], &json!("application/octet-stream"))?;
    same("blob", &decoded(&blob["blob"])?, &bytes())
}

async fn template(client: &Client) -> Outcome {
    let listed = value(client.list_all_resource_templates().await)?;
    let mut found = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| format!("{} {}", one["name"], one["uriTemplate"]).replace('"', ""))
        .collect::<Vec<_>>();
    found.sort();
    let wanted = ["asked memo://asked/{question}", "note memo://notes/{id}"].map(str::to_owned).to_vec();
    same("templates", &found, &wanted)?;
    let note = value(client.read_resource(model(json!({"uri": "memo://notes/7"}))).await)?;
    same("uri", &note["contents"][0]["uri"], &json!("memo://notes/7"))?;
    same("note", &note["contents"][0]["text"], &json!("note 7"))
}

async fn prompt(client: &Client) -> Outcome {
    let listed = value(client.list_all_prompts().await)?;
    let mut found = Vec::new();
    for prompt in listed.as_array().into_iter().flatten() {
        let arguments = prompt["arguments"].as_array().cloned().unwrap_or_default();
        let arguments = arguments.iter().map(|one| json!([one["name"], one["required"] == true])).collect::<Vec<_>>();
        found.push(json!([prompt["name"], arguments]));
    }
    found.sort_by_key(Value::to_string);
    let wanted = [
        json!(["asked", [["question", true]]]),
        json!(["greet", [["name", true], ["style", false]]]),
        json!(["picture", []]),
    ];
    same("prompts", &found, &wanted.to_vec())?;
    let params = json!({"name": "greet", "arguments": {"name": "Zoë", "style": "brief"}});
    let greeting = value(client.get_prompt(model(params)).await)?;
    same("description", &greeting["description"], &json!("A greeting."))?;
    same("role", &greeting["messages"][0]["role"], &json!("user"))?;
    same("message", &greeting["messages"][0]["content"]["text"], &json!("Greet Zoë. Be brief."))?;
    let plain = value(client.get_prompt(model(json!({"name": "greet", "arguments": {"name": "Zoë"}}))).await)?;
    same("without style", &plain["messages"][0]["content"]["text"], &json!("Greet Zoë."))?;
    let picture = value(client.get_prompt(model(json!({"name": "picture"}))).await)?;
    let messages = &picture["messages"];
    same("image", &decoded(&messages[0]["content"]["data"])?, &bytes())?;
    same("text", &messages[1]["content"]["resource"]["text"], &json!("hello"))
}

async fn elicitation(client: &Client) -> Outcome {
    let heard = client.service();
    for (question, wanted) in [("accept", "accept:Ada"), ("decline", "decline"), ("cancel", "cancel")] {
        heard.notes.lock().expect("no panic").forms.clear();
        same(question, &told(client, "ask", json!({"question": question})).await?, &wanted.to_owned())?;
        let notes = heard.notes.lock().expect("no panic");
        same("forms", &notes.forms.len(), &1)?;
        same("ok", &notes.forms[0]["ok"]["type"], &json!("boolean"))?;
        same("name", &notes.forms[0]["name"]["type"], &json!("string"))?;
    }
    Ok(())
}

async fn logging(client: &Client) -> Outcome {
    let heard = client.service();
    heard.notes.lock().expect("no panic").logs.clear();
    for (level, said) in [("error", "one"), ("info", "two")] {
        if heard.modern() {
            called(client, "log", json!({"text": "unasked"})).await?;
            let mut params = json!({"name": "log", "arguments": {"text": said}});
            params["_meta"] = json!({"io.modelcontextprotocol/logLevel": level});
            value(client.call_tool(model(params)).await)?;
        } else {
            client.set_level(model(json!({"level": level}))).await.map_err(told_by)?;
            called(client, "log", json!({"text": said})).await?;
        }
    }
    let logs = heard.until(|notes| (notes.logs.len() >= 3).then(|| notes.logs.clone())).await;
    let wanted = [("error", "one"), ("info", "two"), ("error", "two")];
    same("logs", &logs, &wanted.map(|(level, said)| json!([level, said])).to_vec())
}

async fn touch(client: &Client, uris: &[&str]) -> Outcome {
    for uri in uris {
        called(client, "touch", json!({"uri": uri})).await?;
    }
    Ok(())
}

async fn subscription(client: &Client) -> Outcome {
    let (heard, text, blob) = (client.service(), json!({"uri": "memo://text"}), json!({"uri": "memo://blob"}));
    client.subscribe(model(text.clone())).await.map_err(told_by)?;
    touch(client, &["memo://leaf/1", "memo://blob", "memo://text"]).await?;
    let updates = heard.until(|notes| (!notes.updates.is_empty()).then(|| notes.updates.clone())).await;
    same("updates", &updates, &vec!["memo://text".to_owned()])?;
    client.unsubscribe(model(text)).await.map_err(told_by)?;
    client.subscribe(model(blob.clone())).await.map_err(told_by)?;
    touch(client, &["memo://text", "memo://blob"]).await?;
    let updates = heard.until(|notes| (notes.updates.len() > 1).then(|| notes.updates.clone())).await;
    same("updates", &updates, &["memo://text", "memo://blob"].map(str::to_owned).to_vec())?;
    client.unsubscribe(model(blob)).await.map_err(told_by)
}

async fn next(listen: &mut Subscription) -> Result<Value, String> {
    value(listen.next().await)
}

async fn listen(client: &Client) -> Outcome {
    let mut first = client.listen(model(json!({"resourceSubscriptions": ["memo://text"]}))).await.map_err(told_by)?;
    same("honoured", &value(Ok::<_, String>(first.acknowledged()))?["resourceSubscriptions"], &json!(["memo://text"]))?;
    let mut second = client.listen(model(json!({"resourceSubscriptions": ["memo://blob"]}))).await.map_err(told_by)?;
    touch(client, &["memo://leaf/1", "memo://blob", "memo://text"]).await?;
    same("of the first", &next(&mut first).await?["params"]["uri"], &json!("memo://text"))?;
    same("of the second", &next(&mut second).await?["params"]["uri"], &json!("memo://blob"))?;
    second.cancel().await.map_err(told_by)?;
    touch(client, &["memo://blob", "memo://text"]).await?;
    same("after the second", &next(&mut first).await?["params"]["uri"], &json!("memo://text"))?;
    first.cancel().await.map_err(told_by)
}

async fn list_changed(client: &Client) -> Outcome {
    let heard = client.service();
    if heard.modern() {
        let watched = json!({"toolsListChanged": true, "resourcesListChanged": true, "promptsListChanged": true});
        let mut listen = client.listen(model(watched)).await.map_err(told_by)?;
        called(client, "grow", json!({})).await?;
        let mut events = Vec::new();
        for _ in 0..3 {
            events.push(next(&mut listen).await?["method"].as_str().unwrap_or_default().to_owned());
        }
        events.sort();
        let wanted = ["prompts", "resources", "tools"].map(|list| format!("notifications/{list}/list_changed"));
        same("events", &events, &wanted.to_vec())?;
        listen.cancel().await.map_err(told_by)?;
    } else {
        called(client, "grow", json!({})).await?;
        heard.until(|notes| (notes.changes.len() == 3).then_some(())).await;
    }
    let tools = client.list_all_tools().await.map_err(told_by)?;
    check(tools.iter().any(|tool| tool.name == "grown"), "no new tool")?;
    let resources = value(client.list_all_resources().await)?;
    check(resources.to_string().contains("\"memo://grown\""), "no new resource")?;
    let prompts = client.list_all_prompts().await.map_err(told_by)?;
    check(prompts.iter().any(|prompt| prompt.name == "grown"), "no new prompt")
}

/// Has all open event streams cut, by the relay that is between client and server.
async fn cut(client: &Client) -> Outcome {
    called(client, "echo", json!({"text": "cut the streams"})).await.map(drop)
}

async fn resume(client: &Client) -> Outcome {
    let (heard, uri) = (client.service(), json!({"uri": "memo://text"}));
    client.subscribe(model(uri.clone())).await.map_err(told_by)?;
    heard.notes.lock().expect("no panic").updates.clear();
    cut(client).await?;
    for times in 1..=2 {
        touch(client, &["memo://text"]).await?;
        let updates = heard.until(|notes| (notes.updates.len() >= times).then(|| notes.updates.clone())).await;
        same("updates", &updates, &vec!["memo://text".to_owned(); times])?;
    }
    client.unsubscribe(model(uri)).await.map_err(told_by)
}

async fn resume_call(client: &Client) -> Outcome {
    let heard = client.service();
    heard.notes.lock().expect("no panic").progress.clear();
    let counting = async { told(client, "count", json!({"n": 3, "hold": true})).await };
    let releasing = async {
        heard.until(|notes| (notes.progress.len() >= 3).then_some(())).await;
        cut(client).await?;
        called(client, "release", json!({})).await
    };
    let (counted, released) = tokio::join!(counting, releasing);
    released?;
    same("answer", &counted?, &"counted to 3".to_owned())?;
    let seen = heard.notes.lock().expect("no panic").progress.iter().map(|note| note[0].clone()).collect::<Vec<_>>();
    same("progress", &seen, &vec![json!(1.0), json!(2.0), json!(3.0)])
}

fn tool<T: serde::de::DeserializeOwned>(name: &str, arguments: Value) -> T {
    model(json!({"name": name, "arguments": arguments}))
}

fn slow_call() -> ClientRequest {
    let params = json!({"name": "slow", "arguments": {"seconds": 30}});
    ClientRequest::CallToolRequest(model(json!({"method": "tools/call", "params": params})))
}

/// The result of a tool that has to succeed.
async fn called(client: &Client, name: &str, arguments: Value) -> Result<Value, String> {
    let result = value(client.call_tool(tool(name, arguments)).await)?;
    check(result["isError"] != true, format!("{name} failed: {result}"))?;
    Ok(result)
}

/// Its text, which is one block.
async fn told(client: &Client, name: &str, arguments: Value) -> Result<String, String> {
    text_of(&called(client, name, arguments).await?)
}

async fn still_answers(client: &Client) -> Outcome {
    same("echo", &told(client, "echo", json!({"text": "still here"})).await?, &"still here".to_owned())
}

fn text_of(result: &Value) -> Result<String, String> {
    match result["content"].as_array().map(Vec::as_slice) {
        Some([block]) if block["type"] == "text" => Ok(block["text"].as_str().unwrap_or_default().to_owned()),
        _ => Err(format!("one block of text, not {}", result["content"])),
    }
}

fn decoded(base64: &Value) -> Result<Vec<u8>, String> {
    BASE64_STANDARD.decode(base64.as_str().unwrap_or_default()).map_err(told_by)
}

/// What the SDK gave, as JSON.
fn value<T: Serialize, E: Display>(result: Result<T, E>) -> Result<Value, String> {
    serde_json::to_value(result.map_err(told_by)?).map_err(told_by)
}

/// The code of the error that the request has to end with.
fn refused<T: Debug>(result: Result<T, ServiceError>) -> Result<ErrorCode, String> {
    match result {
        Err(ServiceError::McpError(error)) => Ok(error.code),
        Err(error) => Err(error.to_string()),
        Ok(result) => Err(format!("a result, not an error: {result:?}")),
    }
}

fn same<T: PartialEq + Debug>(what: &str, found: &T, wanted: &T) -> Outcome {
    check(found == wanted, format!("{what}: got {found:?}, wanted {wanted:?}"))
}

fn check(holds: bool, otherwise: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn told_by(error: impl Display) -> String {
    error.to_string()
}
