//! Messages as large as they may be, and more of them than fit anywhere.

use std::time::Duration;

use mcp::Budget;
use serde_json::{Value, json};

use super::calls::{client, echoes};
use crate::common::call;
use crate::common::each::{Adapter, beside, soon, until};
use crate::common::fixture::FRAME;
use crate::common::place::{Place, Transport};

/// A call whose line is as long as wanted.
fn call_of(id: u64, bytes: usize) -> String {
    let empty = call(id, "length", json!({ "text": "" })).to_string();
    let text = "x".repeat(bytes - empty.len());
    let line = call(id, "length", json!({ "text": text })).to_string();
    assert_eq!(line.len(), bytes);
    line
}

/// A line of the limit passes in both directions, one byte more does not, and whoever asked is told so.
pub(crate) async fn big_messages(on: &'static dyn Adapter, over: Transport) {
    let place = Place::new(on, over).await;
    let mut wire = place.wire();
    beside(on, move || {
        wire.initialize();
        let overhead = call(1, "length", json!({ "text": "" })).to_string().len();
        for (id, bytes) in [(1, FRAME - 1), (2, FRAME)] {
            let answer: Value = serde_json::from_str(&wire.ask_line(&call_of(id, bytes))).expect("JSON");
            assert_eq!(answer["result"]["content"][0]["text"], (bytes - overhead).to_string(), "{answer}");
        }
        let refused: Value = serde_json::from_str(&wire.ask_line(&call_of(3, FRAME + 1))).expect("JSON");
        assert_eq!(refused["id"], 3, "{refused}");
        assert!(refused["error"]["message"].as_str().is_some_and(|text| text.contains("limit")), "{refused}");
        // The other way: how long is the line around a text?
        let around = wire.ask_line(&call(4, "text", json!({ "n": 1 })).to_string()).len() - 1;
        for (id, bytes) in [(5, FRAME - 1), (6, FRAME)] {
            let line = wire.ask_line(&call(id, "text", json!({ "n": bytes - around })).to_string());
            assert_eq!(line.len(), bytes);
        }
        let refused = wire.ask(&call(7, "text", json!({ "n": FRAME + 1 - around })));
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32603)), "{refused}");
        assert_eq!(wire.ask(&call(8, "length", json!({ "text": "x" })))["result"]["content"][0]["text"], "1");
        wire.says.end();
        assert_eq!(wire.hears.line(), None);
        wire.child.map(|mut child| child.wait().expect("a child"))
    })
    .await;
    // A client refuses what is too long for itself, and reads past what is too long for it.
    let client = place.client(client().limits(|limits| limits.frame = FRAME / 2)).await;
    let error = soon(on, client.call_tool("length", json!({ "text": "x".repeat(FRAME / 2) }))).await;
    assert!(error.expect_err("too long").to_string().contains("limit"));
    let error = soon(on, client.call_tool("text", json!({ "n": FRAME / 2 }))).await.expect_err("too long");
    assert!(!error.is_timeout() && !error.is_closed(), "{error:?}");
    echoes(on, &client, "still here").await;
}

/// A client that asks for far more than fits between the two, and hears nothing of it until it has said it all or cannot say more:
/// the server holds a bounded part, others notice nothing, and in the end every call is answered.
pub(crate) async fn slow_reader(on: &'static dyn Adapter, over: Transport) {
    const CALLS: u64 = 160;
    const TEXT: usize = 128 * 1024;
    /// What the server's limits are about: its output, its events, and what is in work and in the pipes.
    const HELD: usize = 8 << 20;

    let budget = Budget::new(usize::MAX);
    let place = Place::changed(on, over, |server| {
        let limits = server.limits(|limits| (limits.output, limits.events) = (HELD / 8, HELD / 8));
        limits.budget(budget.clone())
    })
    .await;
    let other = place.client(client()).await;
    let mut wire = place.wire();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let text = "x".repeat(TEXT);
    let (said, full) = smol::channel::unbounded();
    let saying = std::thread::spawn(move || {
        wire.initialize();
        let (mut says, mut hears) = (wire.says, wire.hears);
        let hearing = std::thread::spawn(move || {
            // Dropped by the test, which has nothing to say.
            let _ = gate.recv();
            let mut answered = Vec::new();
            while let Some(answer) = hears.message() {
                assert_eq!(
                    answer["result"]["content"][0]["text"].as_str().map(str::len),
                    Some(TEXT),
                    "{}",
                    answer["id"]
                );
                answered.push(answer["id"].as_u64().expect("a number"));
            }
            answered
        });
        for id in 0..CALLS {
            says.say(&call(id, "echo", json!({ "text": text }))).expect("it takes it, in its own time");
            // Counted by the test.
            let _ = said.send_blocking(());
        }
        says.end();
        let mut answered = hearing.join().expect("no panic");
        answered.sort_unstable();
        assert!(answered.into_iter().eq(0..CALLS), "an answer is missing");
        if let Some(mut child) = wire.child {
            assert!(child.wait().expect("a child").success());
        }
    });
    // It has said as much as fits: nothing more is taken for a while.
    let mut before = usize::MAX;
    while before != full.len() {
        before = full.len();
        on.sleep(Duration::from_millis(100)).await;
        assert!(budget.used() < HELD, "{} bytes", budget.used());
    }
    assert!(before < CALLS as usize, "everything fits: {before}");
    echoes(on, &other, "nothing noticed").await;
    drop(open);
    beside(on, move || saying.join().expect("no panic")).await;
    soon(on, other.close()).await;
    until(on, || budget.used() == 0).await;
}
