//! The real driver of `mcp` in simulated worlds: servers and clients as users write them, over links with faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcp::runtime::Runtime;
use mcp::{ClientBuilder, Context, Server, Timestamp, Tool};
use mcp_sim::{Faults, Sim, explore, find, try_seed};
use serde_json::json;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Say {
    text: String,
}

/// A server with a tool for each way in which a handler may behave.
fn server(sim: &Sim) -> Server {
    let slow = sim.clone();
    let slow = Tool::new("slow", "Answers later", move |args: Say| {
        let sim = slow.clone();
        async move {
            sim.sleep(Duration::from_secs(sim.below(20))).await;
            args.text
        }
    });
    let counting = sim.clone();
    let counting = Tool::new("count", "Reports progress", move |context: Context, args: Say| {
        let sim = counting.clone();
        async move {
            for step in 1..5u32 {
                let _ = context.progress(step, 4);
                sim.give_way().await;
            }
            args.text
        }
    });
    let panics = Tool::new("panic", "Panics", async |args: Say| -> String { panic!("{}", args.text) });
    let blocks = Tool::new("block", "Blocks", async |args: Say| args.text).blocking();
    Server::new("simulated", "1.0.0").tool(slow).tool(counting).tool(panics).tool(blocks)
}

async fn everybody_gets_his_own_answer(sim: Sim) -> Result<(), String> {
    let server = server(&sim);
    let mut clients = Vec::new();
    for _ in 0..1 + sim.below(3) {
        // A link may stand still for longer than a call may take, and that is no fault of anybody here.
        let mut faults = sim.faults();
        faults.stalls = 0;
        clients
            .push(sim.pair_with(&server, ClientBuilder::default(), &faults).await.map_err(|error| error.to_string())?);
    }
    for (number, client) in clients.iter().enumerate() {
        for tool in ["slow", "count", "block", "panic"] {
            let said = format!("{number} {tool} ä\u{2028}");
            let result = client.call_tool(tool, json!({ "text": said })).into_future().await;
            match (tool, result) {
                ("panic", Err(_)) => {}
                ("panic", Ok(result)) => return Err(format!("a panic gave {}", result.joined_text())),
                (_, Ok(result)) if result.joined_text() == said => {}
                (_, Ok(result)) => return Err(format!("{said} became {}", result.joined_text())),
                (_, Err(error)) => return Err(format!("{said}: {error}")),
            }
        }
    }
    Ok(())
}

#[test]
fn real_servers_and_clients_live_with_bad_links() {
    explore(40, everybody_gets_his_own_answer);
}

#[test]
fn hours_take_no_time_and_are_the_same_for_all() {
    let sim = Sim::new(1);
    let took = sim.run(async {
        let start = sim.now();
        sim.sleep(Duration::from_secs(3 * 3600)).await;
        sim.now().saturating_since(start)
    });
    assert_eq!(took, Ok(Duration::from_secs(3 * 3600)));
    assert_eq!(sim.now(), Timestamp::EPOCH + Duration::from_secs(3 * 3600));
}

#[test]
fn a_call_that_nobody_answers_runs_out_of_time() {
    let waits_for_ever = |sim: Sim| async move {
        let silent = Tool::new("silent", "Never answers", async |_: Say| -> String { std::future::pending().await });
        let server = Server::new("silent", "1.0.0").tool(silent);
        let client = sim.pair(&server).await.map_err(|error| error.to_string())?;
        let before = sim.now();
        let error = client.call_tool("silent", json!({ "text": "" })).into_future().await.err().ok_or("it answered")?;
        let took = sim.now().saturating_since(before);
        if took > Duration::from_secs(61) { Err(format!("{error} after {took:?}")) } else { Ok(()) }
    };
    explore(3, waits_for_ever);
}

#[test]
fn a_scenario_that_waits_for_nothing_is_stuck() {
    let finding = try_seed(1, &|_: Sim| async { std::future::pending::<Result<(), String>>().await });
    assert!(finding.is_some_and(|finding| finding.why.starts_with("stuck at 0.0")));
}

#[test]
fn what_is_not_drawn_from_the_seed_is_noticed() {
    let elsewhere = Arc::new(AtomicU64::new(0));
    let moody = move |sim: Sim| {
        let elsewhere = Arc::clone(&elsewhere);
        async move {
            let server = server(&sim);
            let client =
                sim.pair_with(&server, ClientBuilder::default(), &Faults::none()).await.map_err(|it| it.to_string())?;
            let said = format!("{}", elsewhere.fetch_add(1, Ordering::Relaxed));
            client
                .call_tool("block", json!({ "text": said }))
                .into_future()
                .await
                .map(drop)
                .map_err(|it| it.to_string())
        }
    };
    let finding = find(1..2, &moody);
    assert!(finding.is_some_and(|finding| finding.why.contains("not drawn from it")));
}

#[test]
fn a_panic_in_a_scenario_is_a_finding_with_its_words() {
    let panics = |sim: Sim| async move {
        assert!(sim.below(4) != 0, "unlucky");
        Ok::<(), String>(())
    };
    let finding = find(1..100, &panics).expect("one in four");
    assert_eq!(finding.why, "unlucky");
    assert!(finding.to_string().contains(&format!("MCP_SIM_SEED={:#x}", finding.seed)));
}
