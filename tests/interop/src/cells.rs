//! The cells: our client against a foreign server one by one, then a foreign client against ours.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp::model::{ElicitParams, ElicitResult, LoggingLevel};
use mcp::process::{Command, How};
use mcp::{Client, ClientBuilder, ErrorCode, ProtocolVersion};
use serde_json::{Map, Value, json};

/// No cell takes longer than this, whatever the peer does.
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome = Result<(), String>;

/// Runs all cells; fails if one does.
pub(crate) async fn run(python: &str) -> ExitCode {
    let mut failed = report("rust-client/python-server", Box::pin(python_server(python)).await);
    failed |= report("rust-client-modern/python-server", Box::pin(modern_python_server(python)).await);
    failed |= !python_client(python, &[]);
    failed |= !python_client(python, &["--modern"]);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints the cells of one pair of peers; whether one has failed.
fn report(peers: &str, cells: Vec<(&'static str, Outcome)>) -> bool {
    let mut failed = false;
    for (name, outcome) in cells {
        match outcome {
            Ok(()) => println!("cell {peers}/{name} ok"),
            Err(why) => {
                println!("cell {peers}/{name} FAILED: {}", why.replace('\n', " "));
                failed = true;
            }
        }
    }
    failed
}

/// A Python client against our server. It prints its cells itself.
fn python_client(python: &str, options: &[&str]) -> bool {
    let ours = std::env::current_exe().unwrap_or_else(|_| "mcp-interop".into());
    let status = std::process::Command::new(python)
        .arg("tests/interop/python/client.py")
        .args(options)
        .arg(&ours)
        .arg("serve")
        .status();
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            println!("cell python-client FAILED: {python} cannot be started: {error}");
            false
        }
    }
}

/// Our client against the Python server, on one connection from handshake to shutdown.
async fn python_server(python: &str) -> Vec<(&'static str, Outcome)> {
    let logs = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&logs);
    let builder = Client::builder("interop", "1.0")
        .on_elicit(async |question: ElicitParams| match question.message.as_str() {
            "accept" => ElicitResult::accept(Map::from_iter([
                ("ok".to_owned(), Value::Bool(true)),
                ("name".to_owned(), "Ada".into()),
            ])),
            "decline" => ElicitResult::decline(),
            _ => ElicitResult::cancel(),
        })
        .on_log(move |entry| heard.lock().expect("no panic under it").push(entry.data));
    let mut cells = Vec::new();
    let client = match within(connect(python, builder)).await {
        Ok(client) => {
            cells.push(("initialize", initialized(&client)));
            client
        }
        Err(why) => return vec![("initialize", Err(why))],
    };
    cells.push(("list", within(list(&client)).await));
    cells.push(("call", within(call(&client)).await));
    cells.push(("structured", within(structured(&client)).await));
    cells.push(("progress", within(progress(&client)).await));
    cells.push(("tool_error", within(tool_error(&client)).await));
    cells.push(("invalid_arguments", within(invalid_arguments(&client)).await));
    cells.push(("cancellation", within(cancellation(&client)).await));
    cells.push(("deadline", within(deadline(&client)).await));
    cells.push(("elicitation", within(elicitation(&client)).await));
    cells.push(("logging", within(logging(&client, &logs)).await));
    cells.push(("ping", within(async { client.ping().await.map(drop).map_err(text) }).await));
    cells.push(("unknown_method", within(unknown_method(&client)).await));
    cells.push(("concurrent", within(concurrent(&client)).await));
    cells.push(("shutdown", within(shutdown(client)).await));
    for version in ProtocolVersion::LEGACY {
        cells.push((version.as_str(), within(negotiates(python, version)).await));
    }
    cells
}

/// The same in the stateless era, as far as it has it: no ping, no level of the session, and the Python server's `ask` does
/// not know how to ask there.
async fn modern_python_server(python: &str) -> Vec<(&'static str, Outcome)> {
    let logs = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&logs);
    let builder = Client::builder("interop", "1.0")
        .versions(ProtocolVersion::ALL)
        .on_log(move |entry| heard.lock().expect("no panic under it").push(entry.data));
    let client = match within(connect(python, builder)).await {
        Ok(client) => client,
        Err(why) => return vec![("discover", Err(why))],
    };
    let mut cells = vec![("discover", expect("revision", &client.version(), &ProtocolVersion::V2026_07_28))];
    cells.push(("list", within(list(&client)).await));
    cells.push(("call", within(call(&client)).await));
    cells.push(("structured", within(structured(&client)).await));
    cells.push(("progress", within(progress(&client)).await));
    cells.push(("tool_error", within(tool_error(&client)).await));
    cells.push(("invalid_arguments", within(invalid_arguments(&client)).await));
    cells.push(("cancellation", within(cancellation(&client)).await));
    cells.push(("deadline", within(deadline(&client)).await));
    cells.push(("logging", within(logging_of_a_request(&client, &logs)).await));
    cells.push(("unknown_method", within(unknown_method(&client)).await));
    cells.push(("concurrent", within(concurrent(&client)).await));
    cells.push(("shutdown", within(shutdown(client)).await));
    cells
}

async fn logging_of_a_request(client: &Client, logs: &Mutex<Vec<Value>>) -> Outcome {
    client.call_tool("log", json!({ "text": "not asked for" })).await.map_err(text)?;
    client.call_tool("log", json!({ "text": "hi" })).log_level(LoggingLevel::Info).await.map_err(text)?;
    while logs.lock().expect("no panic under it").is_empty() {
        tokio::task::yield_now().await;
    }
    expect("logs", &*logs.lock().expect("no panic under it"), &vec![json!("hi")])
}

async fn connect(python: &str, builder: ClientBuilder) -> Result<Client, String> {
    let command = Command::new(python).arg("tests/interop/python/server.py");
    mcp_tokio::spawn_with(command, builder).await.map_err(text)
}

fn initialized(client: &Client) -> Outcome {
    let server = client.server().ok_or("no server info")?;
    expect("server name", &server.info.name, &"python-peer".to_owned())?;
    expect("instructions", &server.instructions.as_deref(), &Some("A peer to test against."))?;
    expect("revision", &client.version(), &ProtocolVersion::V2025_11_25)
}

async fn list(client: &Client) -> Outcome {
    let tools = client.list_tools().await.map_err(text)?;
    let mut names = tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>();
    names.sort_unstable();
    let wanted = ["add", "ask", "count", "echo", "fail", "log", "slow", "was_cancelled", "weather"];
    expect("tools", &names, &wanted.to_vec())?;
    let echo = tools.iter().find(|tool| tool.name == "echo").ok_or("no echo")?;
    expect("input schema", &echo.input_schema["properties"]["text"]["type"], &json!("string"))
}

async fn call(client: &Client) -> Outcome {
    let said = "grüße, 世界 🦀 \u{2028}line\nnext \"quoted\" \u{0}";
    let result = client.call_tool("echo", json!({ "text": said })).await.map_err(text)?;
    expect("echo", &result.joined_text().as_str(), &said)
}

async fn structured(client: &Client) -> Outcome {
    let sum: i64 =
        client.call_tool("add", json!({ "a": 2, "b": 3 })).await.map_err(text)?.structured().map_err(text)?;
    expect("add", &sum, &5)?;
    let weather: Value =
        client.call_tool("weather", json!({ "city": "Oslo" })).await.map_err(text)?.structured().map_err(text)?;
    expect("weather", &weather, &json!({ "city": "Oslo", "celsius": 21.5 }))
}

async fn progress(client: &Client) -> Outcome {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let request = client.call_tool("count", json!({ "n": 5 })).on_progress(move |progress| {
        seen.lock().expect("no panic under it").push((progress.progress, progress.total, progress.message));
    });
    request.await.map_err(text)?;
    let wanted = (1..=5).map(|n| (f64::from(n), Some(5.0), Some(format!("step {n} of 5")))).collect::<Vec<_>>();
    expect("progress before the result", &*steps.lock().expect("no panic under it"), &wanted)
}

async fn tool_error(client: &Client) -> Outcome {
    let result = client.call_tool("fail", json!({ "message": "out of tea" })).await.map_err(text)?;
    expect("isError", &result.is_error(), &true)?;
    expect("text", &result.joined_text().contains("out of tea"), &true)
}

async fn invalid_arguments(client: &Client) -> Outcome {
    let result = client.call_tool("echo", json!({ "text": 17 })).await.map_err(text)?;
    expect("isError", &result.is_error(), &true)
}

async fn cancellation(client: &Client) -> Outcome {
    let call = client.call_tool("slow", json!({ "seconds": 30 })).into_future();
    // The first poll sends it; the call behind it proves that the server has read it. Dropping the first cancels it.
    let mut call = Box::pin(call);
    tokio::select! {
        biased;
        ended = &mut call => return Err(format!("slow ended by itself: {ended:?}")),
        echoed = client.call_tool("echo", json!({ "text": "read?" })).into_future() => drop(echoed.map_err(text)?),
    }
    drop(call);
    // The server's handler ends a moment after the notification; it is asked until it has.
    loop {
        let cancelled: bool = client.call_tool("was_cancelled", ()).await.map_err(text)?.structured().map_err(text)?;
        if cancelled {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

async fn deadline(client: &Client) -> Outcome {
    let ended = client.call_tool("slow", json!({ "seconds": 30 })).idle(Duration::from_millis(200)).await;
    match ended {
        Err(error) if error.is_timeout() => {}
        other => return Err(format!("not a time-out: {other:?}")),
    }
    client.call_tool("echo", json!({ "text": "still there?" })).await.map(drop).map_err(text)
}

async fn elicitation(client: &Client) -> Outcome {
    for (question, wanted) in [("accept", "accept:Ada"), ("decline", "decline"), ("cancel", "cancel")] {
        let result = client.call_tool("ask", json!({ "question": question })).await.map_err(text)?;
        expect(question, &result.joined_text().as_str(), &wanted)?;
    }
    Ok(())
}

async fn logging(client: &Client, logs: &Mutex<Vec<Value>>) -> Outcome {
    client.set_log_level(LoggingLevel::Info).await.map_err(text)?;
    client.call_tool("log", json!({ "text": "hi" })).await.map_err(text)?;
    // Notifications are handled beside the calls, in order; the message came before the result.
    while logs.lock().expect("no panic under it").is_empty() {
        tokio::task::yield_now().await;
    }
    expect("logs", &*logs.lock().expect("no panic under it"), &vec![json!("hi")])
}

async fn unknown_method(client: &Client) -> Outcome {
    let error = client.request::<Value>("vendor/unknown", &json!({})).await.err().ok_or("it succeeded")?;
    expect("code", &error.rpc().map(|error| error.code), &Some(ErrorCode::METHOD_NOT_FOUND))
}

async fn concurrent(client: &Client) -> Outcome {
    let calls = (0..64).map(|n| {
        let client = client.clone();
        tokio::spawn(async move {
            let said = format!("call {n}");
            let result = client.call_tool("echo", json!({ "text": said })).await.map_err(text)?;
            expect("echo", &result.joined_text(), &said)
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.map_err(text)??;
    }
    Ok(())
}

async fn shutdown(client: Client) -> Outcome {
    let exit = client.close().await.ok_or("there is no child")?;
    expect("how", &exit.how, &How::ByItself)
}

async fn negotiates(python: &str, version: ProtocolVersion) -> Outcome {
    let builder = Client::builder("interop", "1.0").versions([version]);
    let client = connect(python, builder).await?;
    expect("revision", &client.version(), &version)?;
    client.call_tool("echo", json!({ "text": "hi" })).await.map_err(text)?;
    client.close().await;
    Ok(())
}

async fn within<T>(cell: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(PATIENCE, Box::pin(cell))
        .await
        .unwrap_or_else(|_| Err(format!("did not end within {PATIENCE:?}")))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, wanted: &T) -> Outcome {
    if is == wanted { Ok(()) } else { Err(format!("{what}: got {is:?}, wanted {wanted:?}")) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
