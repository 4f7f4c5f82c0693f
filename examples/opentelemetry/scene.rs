//! What is traced: a tool that asks back, called inside a span of the client's own.

use mcp::model::{ElicitParams, ElicitResult};
use mcp::{Client, Context, Era, Form, Server, Tool, accepted};
use serde_json::{Map, Value};
use tracing::Instrument;

use super::otel::Otel;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Guest {
    /// The name to be greeted by.
    name: String,
}

/// A server whose handler logs, works in a span of its own, and asks the person at the client.
pub(crate) fn server() -> Server {
    let greet = Tool::new("greet", "Greet the person at the client", async |ctx: Context| {
        let answer = ctx.elicit("name", Form::of::<Guest>("Who are you?")).await?;
        let guest = accepted::<Guest>(&answer)?.map_or_else(|| "stranger".to_owned(), |guest| guest.name);
        let looking_up = async { tracing::info!("looked up") };
        looking_up.instrument(tracing::info_span!("look up", guest)).await;
        Ok::<_, mcp::Error>(format!("Hello, {guest}!"))
    });
    let fail = Tool::new("fail", "Fail", async || Err::<String, _>("not today"));
    Server::new("greeter", "1.0.0").tool(greet).tool(fail).propagation(Otel::default())
}

/// One session in one of the eras, in which the first call succeeds and the second does not.
pub(crate) async fn play(era: Era, server: Server) -> mcp::Result<()> {
    let builder = Client::builder("guest", "1.0.0").era(era).propagation(Otel::default());
    let builder = builder.on_elicit(async |_: ElicitParams| {
        ElicitResult::accept(Map::from_iter([("name".to_owned(), Value::from("Ada"))]))
    });
    let visiting = async {
        let client = mcp_tokio::pair_with(server, builder).await?;
        println!("{era:?}: {}", client.call_tool("greet", ()).await?.joined_text());
        println!("{era:?}: {}", client.call_tool("fail", ()).await?.joined_text());
        client.close().await;
        Ok(())
    };
    visiting.instrument(tracing::info_span!("visit")).await
}
