//! Resources, prompts, and the completion of what is typed for them.

use mcp::model::{CompletionRef, ResourceContents, StringArguments};
use mcp::{Client, ErrorCode};

use super::Walk;
use crate::connect::Outcome;
use crate::transcript::{Transcript, check, same};

const NOTHING: [(&str, &str); 0] = [];

pub(super) async fn take(walk: Walk<'_>, transcript: &mut Transcript) {
    let client = walk.client;
    transcript.step("resources/list", resources(client)).await;
    transcript.step("resources/templates/list", templates(client)).await;
    let text = "This is the content of the static text resource.";
    transcript.step("a text that is read", read(client, "test://static-text", text)).await;
    let data = r#"{"data":"Data for ID: 123","id":"123","templateTest":true}"#;
    transcript.step("a template that is read", template(client, "test://template/123/data", data)).await;
    transcript.step("bytes that are read", bytes(client)).await;
    transcript.step("what is not there", missing(client)).await;
    transcript.step("what need not be asked for again", kept(client)).await;
    transcript.step("prompts/list", prompts(client)).await;
    let simple = "This is a simple prompt for testing.";
    transcript.step("a prompt", prompt(client, "test_simple_prompt", &[], &[Some(simple)])).await;
    let arguments = [("arg1", "hello"), ("arg2", "world")];
    let filled_in = [Some("Prompt with arguments: arg1='hello', arg2='world'")];
    transcript.step("a prompt filled in", prompt(client, "test_prompt_with_arguments", &arguments, &filled_in)).await;
    let resource = [None, Some("Please process the embedded resource above.")];
    let uri = [("resourceUri", "test://example-resource")];
    let name = "test_prompt_with_embedded_resource";
    transcript.step("a prompt with a resource", prompt(client, name, &uri, &resource)).await;
    let image = [None, Some("Please analyze the image above.")];
    transcript.step("a prompt with an image", prompt(client, "test_prompt_with_image", &[], &image)).await;
    transcript.step("a prompt that nobody has", unknown_prompt(client)).await;
    transcript.step("completion", completion(client)).await;
}

async fn resources(client: &Client) -> Outcome<String> {
    let page = client.list_resources_page(None).await?.resources.len();
    let resources = client.list_resources().await?;
    check(resources.len() >= page && page > 0, "fewer than on the first page")?;
    let uris = ["test://static-text", "test://static-binary", "test://watched-resource"];
    let has = |uri: &&str| resources.iter().any(|resource| resource.uri == **uri);
    check(uris.iter().all(has), "one is missing")?;
    Ok(format!("{} resources", resources.len()))
}

async fn templates(client: &Client) -> Outcome<String> {
    let page = client.list_resource_templates_page(None).await?.resource_templates.len();
    let templates = client.list_resource_templates().await?;
    same(page, templates.len())?;
    same(templates.first().map(|template| template.uri_template.as_str()), Some("test://template/{id}/data"))?;
    Ok("test://template/{id}/data".to_owned())
}

async fn text_of(client: &Client, uri: &str) -> Outcome<String> {
    match client.read_resource(uri).await?.contents.as_slice() {
        [ResourceContents::Text(contents)] => {
            same(contents.uri.as_str(), uri)?;
            Ok(contents.text.clone())
        }
        other => Err(format!("{other:?}").into()),
    }
}

async fn read(client: &Client, uri: &str, wanted: &str) -> Outcome<String> {
    let found = text_of(client, uri).await?;
    same(found.as_str(), wanted)?;
    Ok(found)
}

/// As `read`, for JSON whose members may stand in any order.
async fn template(client: &Client, uri: &str, wanted: &str) -> Outcome<String> {
    let found = text_of(client, uri).await?;
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    same(value(&found)?, value(wanted)?)?;
    Ok(found)
}

async fn bytes(client: &Client) -> Outcome<String> {
    match client.read_resource("test://static-binary").await?.contents.as_slice() {
        [ResourceContents::Blob(contents)] => {
            same(contents.mime_type.as_deref(), Some("image/png"))?;
            // Base64 of the eight bytes by which a PNG is known.
            check(contents.blob.starts_with("iVBORw0KGg"), "no PNG")?;
            Ok(format!("{} characters of base64", contents.blob.len()))
        }
        other => Err(format!("{other:?}").into()),
    }
}

async fn missing(client: &Client) -> Outcome<String> {
    let uri = "test://nonexistent-resource-for-conformance-testing";
    let error = client.read_resource(uri).await.err().ok_or("it is there")?;
    let code = error.rpc().map(|error| error.code);
    check(matches!(code, Some(ErrorCode::RESOURCE_NOT_FOUND | ErrorCode::INVALID_PARAMS)), &error.to_string())?;
    Ok(error.to_string())
}

/// A second read is answered from here, one that insists is not.
async fn kept(client: &Client) -> Outcome<String> {
    let uri = "test://static-text";
    client.read_resource(uri).await?;
    let before = client.stats().sent;
    client.read_resource(uri).await?;
    same(client.stats().sent, before)?;
    client.read_resource(uri).fresh().await?;
    check(client.stats().sent > before, "it was not asked")?;
    Ok("asked for once, and once more when it had to be fresh".to_owned())
}

async fn prompts(client: &Client) -> Outcome<String> {
    let page = client.list_prompts_page(None).await?.prompts.len();
    let prompts = client.list_prompts().await?;
    check(prompts.len() >= page && page > 0, "fewer than on the first page")?;
    Ok(format!("{} prompts", prompts.len()))
}

/// `wanted` are the texts of the messages, `None` for one that is no text.
async fn prompt(client: &Client, name: &str, arguments: &[(&str, &str)], wanted: &[Option<&str>]) -> Outcome<String> {
    let prompt = client.get_prompt(name, arguments.iter().copied()).await?;
    let found = prompt.messages.iter().map(|message| message.content.as_text()).collect::<Vec<_>>();
    same(found.as_slice(), wanted)?;
    Ok(format!("{} messages", found.len()))
}

async fn unknown_prompt(client: &Client) -> Outcome<String> {
    let error = client.get_prompt("test_no_such_prompt", StringArguments::new()).await.err().ok_or("it exists")?;
    same(error.rpc().map(|error| error.code), Some(ErrorCode::INVALID_PARAMS))?;
    Ok(error.to_string())
}

async fn completion(client: &Client) -> Outcome<String> {
    let prompt = || CompletionRef::prompt("test_prompt_with_arguments");
    let places = client.complete(prompt(), "arg1", "par", NOTHING).await?;
    same(places.values, ["paris", "park", "party"].map(str::to_owned).to_vec())?;
    let within = client.complete(prompt(), "arg2", "", [("arg1", "rome")]).await?;
    same(within.values, ["monti", "trastevere"].map(str::to_owned).to_vec())?;
    let template = CompletionRef::resource("test://template/{id}/data");
    let ids = client.complete(template, "id", "", NOTHING).await?;
    same((ids.values.len(), ids.total, ids.has_more), (100, Some(150), Some(true)))?;
    Ok("of a prompt, with what is known already, and of a template".to_owned())
}
