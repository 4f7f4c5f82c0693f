//! What is for the program's own log: failures whose text no client sees, and advice about names.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use common::log::Log;
use common::{call, request, serve};
use mcp::{HandlerError, Lenient, Prompt, Resource, Server, Tool};
use serde_json::json;

fn locked() -> Result<String, HandlerError> {
    Err(std::io::Error::other("/secret/path is locked").into())
}

/// What failed inside is in the log, with what was asked for; the client reads one sentence, which does not say why.
#[tokio::test]
async fn failures_are_in_the_log_and_not_in_the_answer() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = Server::new("s", "1")
        .resource(Resource::new("a://1", "1", async || locked()))
        .prompt(Prompt::new("p", "", async || locked()))
        .method("acme/m", async || locked());
    let mut raw = serve(&server);
    raw.initialize("2025-11-25").await;
    for (method, params, said) in [
        ("resources/read", json!({ "uri": "a://1" }), "Error reading resource a://1"),
        ("prompts/get", json!({ "name": "p" }), "Error rendering prompt p"),
        ("acme/m", json!({}), "Error in acme/m"),
    ] {
        let answer = raw.ask(request(1, method, params)).await;
        assert_eq!(answer["error"], json!({ "code": -32603, "message": said }), "{answer}");
        let [line] = &log.take()[..] else { panic!("one line for {method}") };
        assert!(line.starts_with("ERROR") && line.contains(said) && line.contains("/secret/path is locked"), "{line}");
    }
}

/// server/tools, tool names: what is legal and still confuses clients is only warned of, and so is what the application is lenient about.
#[tokio::test]
async fn advice_and_relaxed_rules_are_warnings() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let tool = |name: &str| Tool::new(name, "", async || "x");
    for name in ["-a", "a-", ".a", "a."] {
        let mut raw = serve(&Server::new("s", "1").tool(tool(name)));
        raw.initialize("2025-11-25").await;
        assert_eq!(raw.ask(call(1, name, json!({}))).await["result"]["content"][0]["text"], "x");
        let logged = log.take();
        assert!(logged.iter().any(|line| line.starts_with("WARN") && line.contains(name)), "{name}: {logged:?}");
    }
    let server = Server::new("s", "1").tool(tool("two words")).tool(tool("a")).tool(tool("a"));
    let mut raw = serve(&server.lenient(Lenient::Names).lenient(Lenient::Duplicates));
    raw.initialize("2025-11-25").await;
    let logged = log.take();
    for relaxed in ["two words", "two of the tool \"a\""] {
        assert!(logged.iter().any(|line| line.starts_with("WARN") && line.contains(relaxed)), "{logged:?}");
    }
    let mut raw = serve(&Server::new("s", "1").tool(tool("a-b.c_9")));
    raw.initialize("2025-11-25").await;
    assert_eq!(log.take(), [""; 0]);
}
