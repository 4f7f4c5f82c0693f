//! Changes on the server, and how the client hears of them.

use futures_lite::future::zip;
use mcp::model::SubscriptionFilter;
use mcp::{Change, Changes, Client, Page, Watch};

use super::Walk;
use crate::connect::Outcome;
use crate::transcript::{Transcript, check, same};

const WATCHED: &str = "test://watched-resource";

pub(super) async fn take(walk: Walk<'_>, transcript: &mut Transcript) {
    let client = walk.client;
    transcript.step("a callback hears of tools", callback(walk, "tools", "test_trigger_tool_change")).await;
    transcript.step("a callback hears of prompts", callback(walk, "prompts", "test_trigger_prompt_change")).await;
    transcript.step("a callback hears of resources", callback(walk, "resources", "test_trigger_resource_change")).await;
    if !walk.is_modern() {
        transcript.step("resources/subscribe", subscribed(walk)).await;
    }
    transcript.step("listening to lists", lists(client)).await;
    transcript.step("listening to a resource", resource(client)).await;
    transcript.step("a list that is watched", watched(walk)).await;
}

/// In 2026-07-28 the client listens by itself, since it has such callbacks.
async fn callback(walk: Walk<'_>, what: &str, trigger: &str) -> Outcome<String> {
    let before = walk.heard.now().changed.iter().filter(|changed| *changed == what).count();
    let changing = async {
        walk.client.call_tool(trigger, ()).await?;
        Outcome::Ok(())
    };
    let heard = walk.heard.until(|notes| notes.changed.iter().filter(|changed| *changed == what).count() > before);
    let (changed, heard) = zip(changing, heard).await;
    changed?;
    heard?;
    Ok(format!("after {trigger}"))
}

async fn subscribed(walk: Walk<'_>) -> Outcome<String> {
    walk.client.subscribe(WATCHED).await?;
    walk.client.call_tool("test_trigger_resource_update", ()).await?;
    walk.heard.until(|notes| notes.changed.iter().any(|changed| changed == WATCHED)).await?;
    walk.client.unsubscribe(WATCHED).await?;
    Ok(format!("{WATCHED} was updated"))
}

async fn next(changes: &mut Changes) -> Outcome<Change> {
    Ok(changes.next().await.ok_or("it has ended")?)
}

async fn lists(client: &Client) -> Outcome<String> {
    let wanted = SubscriptionFilter::new().with_tools_list_changed(true);
    let mut changes = client.listen(wanted.clone()).await?;
    same(changes.granted(), wanted)?;
    // Not asked for, so not heard of; the first that is heard is the other one.
    client.call_tool("test_trigger_prompt_change", ()).await?;
    client.call_tool("test_trigger_tool_change", ()).await?;
    same(next(&mut changes).await?, Change::Tools)?;
    Ok("only what was asked for".to_owned())
}

async fn resource(client: &Client) -> Outcome<String> {
    let wanted = SubscriptionFilter::new().with_resource_subscriptions(vec![WATCHED.to_owned()]);
    let mut changes = client.listen(wanted).await?;
    client.call_tool("test_trigger_resource_update", ()).await?;
    same(next(&mut changes).await?, Change::Resource(WATCHED.to_owned()))?;
    // The second is told by the server's clock.
    same(next(&mut changes).await?, Change::Resource(WATCHED.to_owned()))?;
    Ok("by a tool, and by itself".to_owned())
}

async fn watched(walk: Walk<'_>) -> Outcome<String> {
    let client = walk.client;
    let mut tools = client.watch_tools().await?;
    news(client, &mut tools, "test_trigger_tool_change").await?;
    let mut prompts = client.watch_prompts().await?;
    news(client, &mut prompts, "test_trigger_prompt_change").await?;
    let mut resources = client.watch_resources().await?;
    news(client, &mut resources, "test_trigger_resource_change").await?;
    let templates = client.watch_resource_templates().await?;
    same(templates.items().len(), 1)?;
    Ok("tools, prompts, resources and templates".to_owned())
}

async fn news<P: Page>(client: &Client, watch: &mut Watch<P>, trigger: &str) -> Outcome {
    check(watch.is_live(), "the server does not tell")?;
    client.call_tool(trigger, ()).await?;
    let items = watch.next().await.ok_or("the connection has ended")??;
    check(!items.is_empty(), "nothing is left")
}
