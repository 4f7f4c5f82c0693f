use mcp::{Server, Tool};

#[tokio::test]
async fn greets() -> mcp::Result<()> {
    let greet = Tool::new("greet", "Say hello", async || "hello");
    let client = mcp_tokio::pair(Server::new("greeter", "1.0.0").tool(greet)).await?;
    assert_eq!(client.call_tool("greet", ()).await?.joined_text(), "hello");
    Ok(())
}
