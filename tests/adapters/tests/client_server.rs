//! Both halves together, in every revision: the client's verbs against our own server, and the news of its changes.
#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{soon, until};
use mcp::model::{CacheScope, CompletionRef, PromptArgument, SubscriptionFilter};
use mcp::{
    Cached, Caching, Change, Client, ClientBuilder, ClientGroup, Context, Item, Partial, Prompt, ProtocolVersion,
    Resource, ResourceTemplate, Server, Tool,
};
use tokio::sync::mpsc::unbounded_channel;

fn client(version: ProtocolVersion) -> ClientBuilder {
    Client::builder("both", "1").versions([version])
}

fn tool(name: &'static str) -> Tool {
    Tool::new(name, "", move || async move { name })
}

fn server() -> Server {
    let cities = async |partial: Partial| {
        let all = if partial.arguments.contains_key("country") { vec!["Paris", "Pau"] } else { vec!["Paris", "Pisa"] };
        all.into_iter().filter(|city| city.starts_with(&partial.value)).collect::<Vec<_>>()
    };
    let greet = Prompt::new("greet", "Greet", async |args: std::collections::BTreeMap<String, String>| {
        format!("Hello from {}", args["city"])
    });
    Server::new("both", "1")
        .page_size(2)
        .tool(tool("a"))
        .tool(tool("b"))
        .tool(tool("c"))
        .prompt(greet.argument(PromptArgument::new("city").with_required(true)).complete("city", cities))
        .resource(Resource::text("file:///a", "a", "text of a"))
        .resource(Resource::blob("file:///b", "b", *b"\0\x01"))
        .resource_template(ResourceTemplate::new("notes://{id}", "notes", async || "a note"))
}

/// Everything that a server offers can be listed, used and completed, in every revision.
#[tokio::test]
async fn what_a_server_offers_a_client_can_use() {
    for version in ProtocolVersion::ALL {
        let client = soon(mcp_tokio::pair_with(server(), client(version))).await.unwrap();
        assert_eq!(client.version(), version);
        let names = soon(client.list_tools()).await.unwrap().into_iter().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(names, ["a", "b", "c"], "two pages");
        assert!(soon(client.list_tools_page(None)).await.unwrap().next_cursor.is_some());
        assert_eq!(soon(client.list_prompts()).await.unwrap().len(), 1);
        assert_eq!(soon(client.list_resources()).await.unwrap().len(), 2);
        assert_eq!(soon(client.list_resource_templates()).await.unwrap()[0].uri_template, "notes://{id}");
        assert_eq!(soon(client.call_tool("b", ())).await.unwrap().joined_text(), "b");
        let prompt = soon(client.get_prompt("greet", [("city", "Pisa")])).await.unwrap();
        assert_eq!(prompt.messages[0].content.as_text(), Some("Hello from Pisa"));
        for uri in ["file:///a", "file:///b", "notes://7"] {
            assert_eq!(soon(client.read_resource(uri)).await.unwrap().contents[0].uri(), uri);
        }
        let missing = soon(client.read_resource("file:///none")).await.unwrap_err();
        assert_eq!(missing.rpc().unwrap().code, version.rules().resource_not_found, "{version}");
        let known = [("country", "France")];
        let completed = soon(client.complete(CompletionRef::prompt("greet"), "city", "Pa", known)).await.unwrap();
        assert_eq!((completed.values, completed.total), (vec!["Paris".to_owned(), "Pau".to_owned()], Some(2)));
        soon(client.close()).await;
    }
}

/// The same verbs for news of changes in both eras.
#[tokio::test]
async fn changes_on_a_server_reach_whoever_listens() {
    for version in ProtocolVersion::ALL {
        let server = server();
        let (heard, mut notes) = unbounded_channel();
        let (tools, prompts) = (heard.clone(), heard);
        let builder = client(version)
            .on_tools_changed(move |client: Client| {
                let tools = tools.clone();
                async move { tools.send(client.list_tools().await.unwrap().len()).unwrap() }
            })
            .on_prompts_changed(move |_| {
                let prompts = prompts.clone();
                async move { prompts.send(0).unwrap() }
            });
        let client = soon(mcp_tokio::pair_with(server.clone(), builder)).await.unwrap();
        let wanted = SubscriptionFilter::new()
            .with_tools_list_changed(true)
            .with_resources_list_changed(true)
            .with_resource_subscriptions(vec![
                "file:///a".to_owned(),
                "notes://1".to_owned(),
                "file:///none".to_owned(),
            ]);
        let mut changes = soon(client.listen(wanted)).await.unwrap();
        let granted = changes.granted();
        assert_eq!(granted.resource_subscriptions.unwrap(), ["file:///a", "notes://1"], "{version}");
        let mut watched = soon(client.watch_tools()).await.unwrap();
        assert_eq!(watched.items().len(), 3);

        server.changed(Change::Resource("file:///b".into()));
        server.changed(Change::Resource("notes://1".into()));
        assert_eq!(soon(changes.next()).await, Some(Change::Resource("notes://1".into())), "{version}");
        server.update(|edit| _ = edit.remove(Item::Tool("a"))).unwrap();
        assert_eq!(soon(changes.next()).await, Some(Change::Tools));
        assert_eq!(soon(watched.next()).await.unwrap().unwrap().len(), 2);
        assert_eq!(soon(notes.recv()).await, Some(2), "{version}");
        server.update(|edit| _ = edit.prompt(Prompt::new("p", "", async || "p"))).unwrap();
        assert_eq!(soon(notes.recv()).await, Some(0), "{version}");
        server.update(|edit| _ = edit.resource(Resource::text("file:///c", "c", "c"))).unwrap();
        assert_eq!(soon(changes.next()).await, Some(Change::Resources));
        // Once it is dropped nothing more comes, and the server holds nothing.
        drop((changes, watched));
        server.changed(Change::Resource("notes://1".into()));
        assert_eq!(soon(client.call_tool("b", ())).await.unwrap().joined_text(), "b");
        soon(client.close()).await;
        until(|| server.connections() == 0).await;
    }
}

/// A server that closes its side ends what listens; a client in a group loses that server only.
#[tokio::test]
async fn groups_of_real_servers() {
    let group = ClientGroup::new();
    let pair = |version| async move { mcp_tokio::pair_with(server(), client(version)).await };
    let servers = ProtocolVersion::ALL.map(|version| (version.as_str(), pair(version)));
    assert!(soon(group.connect(2, servers)).await.iter().all(|(_, added)| added.is_ok()));
    assert_eq!(group.tools().len(), 5 * 3);
    for version in ProtocolVersion::ALL {
        let said = soon(group.call_tool(&format!("{version}_a"), ())).await.unwrap();
        assert_eq!(said.joined_text(), "a");
    }
    soon(group.remove("2026-07-28").unwrap().close()).await;
    assert_eq!(group.prompts().len(), 4);
}

/// What a server says is fresh is not asked for again, until it says that it has changed.
#[tokio::test]
async fn a_client_keeps_what_its_server_says_is_fresh() {
    for version in ProtocolVersion::ALL {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reads);
        let counted = Resource::new("file:///n", "n", move |_: Context| {
            let n = count.fetch_add(1, Ordering::SeqCst);
            async move { n.to_string() }
        });
        let hour = Duration::from_secs(3600);
        let server = server().resource(counted).cache(Cached::Reads, hour, CacheScope::Private);
        let builder = client(version).cache(Caching::new().legacy(hour));
        let client = soon(mcp_tokio::pair_with(server.clone(), builder)).await.unwrap();
        let wanted = SubscriptionFilter::new().with_resource_subscriptions(vec!["file:///n".to_owned()]);
        let mut changes = soon(client.listen(wanted)).await.unwrap();
        for _ in 0..3 {
            soon(client.read_resource("file:///n")).await.unwrap();
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1, "{version}");
        server.changed(Change::Resource("file:///n".into()));
        soon(changes.next()).await.unwrap();
        soon(client.read_resource("file:///n")).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 2, "{version}");
    }
}
