//! Tools that change what the server offers while it serves; whoever asked for that is told.

use std::sync::atomic::{AtomicU32, Ordering};

use mcp::{Change, Context, Prompt, Resource, Server, Tool};

use crate::resources::WATCHED;

/// How often something was changed, so that each change makes a difference.
#[derive(Default)]
struct Changes(AtomicU32);

pub(crate) fn offer(server: Server) -> Server {
    server
        .state(Changes::default())
        .tool(Tool::new("test_trigger_tool_change", "Changes the list of tools", async |ctx: Context| {
            let description = description(&ctx);
            ctx.server().update(|edit| {
                edit.tool(Tool::new("test_dynamic_tool", description, async || "Dynamic tool response"));
            })?;
            Ok::<_, mcp::Error>("Mutation triggered")
        }))
        .tool(Tool::new("test_trigger_prompt_change", "Changes the list of prompts", async |ctx: Context| {
            let description = description(&ctx);
            ctx.server().update(|edit| {
                edit.prompt(Prompt::new("test_dynamic_prompt", description, async || "Dynamic prompt message"));
            })?;
            Ok::<_, mcp::Error>("Mutation triggered")
        }))
        .tool(Tool::new("test_trigger_resource_change", "Changes the list of resources", async |ctx: Context| {
            let description = description(&ctx);
            ctx.server().update(|edit| {
                let resource =
                    Resource::text("test://dynamic-resource", "dynamic-resource", "Dynamic resource content");
                edit.resource(resource.description(description));
            })?;
            Ok::<_, mcp::Error>("Mutation triggered")
        }))
        .tool(Tool::new(
            "test_trigger_resource_update",
            "Tells those who subscribed to it that the watched resource has changed",
            async |ctx: Context| {
                ctx.server().changed(Change::Resource(WATCHED.to_owned()));
                "Mutation triggered"
            },
        ))
}

fn description(ctx: &Context) -> String {
    format!("What change number {} has put here", ctx.state::<Changes>().0.fetch_add(1, Ordering::Relaxed) + 1)
}
