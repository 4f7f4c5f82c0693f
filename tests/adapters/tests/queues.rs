//! What waits for a slow handler is bounded.

mod common;

use std::sync::{Arc, Mutex};

use common::{Raw, soon, until};
use mcp::Client;
use serde_json::{Value, json};

/// As many notifications as a client keeps for a handler that does not keep up.
const KEPT: usize = 1024;

/// Notifications come faster than they are handled: the newest are kept, in order, and everything else goes on.
#[tokio::test]
async fn of_notifications_that_wait_the_oldest_go() {
    const SENT: usize = 3 * KEPT;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (notes, gates) = (Arc::clone(&heard), Arc::clone(&gate));
    let builder = Client::builder("slow", "1").on_notification(move |notification| {
        let (notes, gate) = (Arc::clone(&notes), Arc::clone(&gates));
        async move {
            gate.acquire().await.expect("open").forget();
            let number: Value = notification.params().expect("parameters");
            notes.lock().expect("no panic").push(number["n"].as_u64().expect("a number") as usize);
        }
    });
    let (here, there) = mcp::memory::duplex(64 * 1024);
    let (reader, writer) = there.into_split();
    let mut raw = Raw::memory(here);
    let handshake = async {
        let request = raw.heard().await;
        let info = json!({ "name": "raw", "version": "1" });
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info });
        raw.send(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
        assert_eq!(raw.heard().await["method"], "notifications/initialized");
    };
    let builder = builder.versions([mcp::ProtocolVersion::V2025_11_25]);
    let connecting = mcp_tokio::connect_stream(reader, writer, builder);
    let (client, ()) = soon(async { tokio::join!(connecting, handshake) }).await;
    let client = client.unwrap();
    for n in 0..SENT {
        raw.send(json!({ "jsonrpc": "2.0", "method": "notifications/number", "params": { "n": n } })).await;
    }
    // The ping comes behind them all, so they have been taken when it is answered.
    raw.is_served().await;
    gate.add_permits(SENT);
    until(|| heard.lock().unwrap().last() == Some(&(SENT - 1))).await;
    let heard = heard.lock().unwrap().clone();
    // One may have been at work already.
    let newest = &heard[heard.len() - KEPT..];
    assert!(newest.iter().copied().eq(SENT - KEPT..SENT), "the newest, in order");
    assert!(heard.len() <= KEPT + 1 && heard.is_sorted(), "{} were kept", heard.len());
    drop(client);
}
