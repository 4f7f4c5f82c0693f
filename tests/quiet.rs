//! What the crate does not do by itself: log to its peer, or touch the program's own logging.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp::model::LoggingLevel;
use mcp::{Client, Context, Server, Tool};
use serde_json::json;

/// What a handler says, a client hears; nothing else, however much goes wrong. So no secret of the server gets into a log of the
/// client unless the handler puts it there (server/utilities/logging: log messages MUST NOT contain secrets).
///
/// And the program's own logging is its own: only the first may set the global subscriber, and nobody has.
#[tokio::test]
async fn nothing_is_logged_but_what_a_handler_logs() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let server = Server::new("s", "1")
        .logging()
        .tool(Tool::new("says", "", async |ctx: Context| ctx.log(LoggingLevel::Debug, "said")))
        .tool(Tool::new("fails", "", async || Err::<(), _>("secret of the tool")))
        .tool(Tool::new("panics", "", async || -> &'static str { panic!("secret of the panic") }));
    let builder = Client::builder("c", "1").on_log(move |entry| notes.lock().expect("no panic").push(entry.data));
    let client = mcp_tokio::pair_with(server, builder).await.expect("a pair");
    client.set_log_level(LoggingLevel::Debug).await.expect("the server logs");
    for _ in 0..3 {
        assert!(client.call_tool("fails", ()).await.expect("a result").is_error());
        client.call_tool("panics", ()).await.expect_err("it panics");
        client.call_tool("nothing", ()).await.expect_err("no such tool");
        client.request::<serde_json::Value>("no/such", &json!({})).await.expect_err("no such method");
    }
    client.call_tool("says", ()).await.expect("a result");
    // Notifications are handled in order, so what is heard by then is all there was before that one.
    let said = async {
        while heard.lock().expect("no panic").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), said).await.expect("it is heard");
    client.close().await;
    assert_eq!(*heard.lock().expect("no panic"), [json!("said")]);

    let nobody = tracing::subscriber::NoSubscriber::new();
    tracing::subscriber::set_global_default(nobody).expect("the first to set it is this test");
}
