//! How each request of a client is served by what the server offers.

use std::sync::Arc;

use mcp_proto::model::{
    Capability, CompleteParams, CompleteResult, Completion, CompletionRef, GetPromptParams, ListenParams,
    ReadResourceResult, SubscribeParams, SubscriptionFilter,
};
use mcp_proto::{Body, EncodeError, ErrorCode, ErrorObject, Message};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::completion::Partial;
use super::definition::Definition;
use super::handler::{HandlerError, Strings};
use super::registry::Cache;
use super::resource::{At, Reader};
use super::serving::{Serve, Threading};
use crate::stream::{Answer, Handling, Inbound, Reply};
use crate::trace::is_method;

impl Definition {
    /// Whether what a message is about exists: its method, and the tool or prompt that it names.
    pub(super) fn knows(&self, message: &Message) -> bool {
        let name = message.name().unwrap_or_default();
        match message.method() {
            "tools/call" => self.tools.find(name).is_some(),
            "prompts/get" => self.prompts.find(name).is_some(),
            method => is_method(method) || self.methods.contains_key(method) || self.notifications.contains_key(method),
        }
    }

    /// Whether the headers of a call in the modern era say what its arguments say. Asked before interceptors, which may change these.
    #[cfg(feature = "http")]
    pub(super) fn check_headers(&self, request: &Inbound) -> Result<(), ErrorObject> {
        let Some(caller) = request.caller.as_ref().filter(|_| request.meta.era == mcp_proto::Era::Modern) else {
            return Ok(());
        };
        if request.message.method() != "tools/call" {
            return Ok(());
        }
        let tool = request.message.name().and_then(|name| self.tools.find(name));
        tool.map_or(Ok(()), |tool| tool.check_headers(caller.headers(), &request.message))
    }

    /// How the handler of a request runs.
    pub(super) fn threading(&self, request: &Inbound) -> Threading {
        let message = &request.message;
        let name = message.name().unwrap_or_default();
        let threading = match message.method() {
            "tools/call" => self.tools.find(name).map(|tool| tool.threading()),
            "prompts/get" => self.prompts.find(name).map(|prompt| prompt.threading()),
            "resources/read" => self.find_resource(message.uri().unwrap_or_default()).map(|(it, ..)| it.threading),
            _ => None,
        };
        threading.unwrap_or(Threading::Async)
    }

    /// A resource by its URI, else the first template that gives it.
    fn find_resource(&self, uri: &str) -> Option<(Reader, Option<String>, Strings)> {
        if let Some(resource) = self.resources.find(uri) {
            let mime_type = resource.declared_mime_type().map(str::to_owned);
            return Some((resource.reader().clone(), mime_type, Strings::new()));
        }
        self.templates.visible().find_map(|template| {
            let variables = template.matches(uri)?;
            Some((template.reader().clone(), template.declared_mime_type().map(str::to_owned), variables))
        })
    }
}

impl Serve<'_> {
    pub(super) fn call_tool(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let name = named(&request)?;
        let Some(tool) = self.definition.tools.find(name) else {
            return Err(ErrorObject::invalid_params(format!("unknown tool: {name:.200}")));
        };
        let (tool, threading) = (Arc::clone(tool), tool.threading());
        self.ask_and_run(request, threading, move |context| tool.run(context))
    }

    pub(super) fn read_resource(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let Some(uri) = request.message.uri().map(str::to_owned) else {
            return Err(ErrorObject::invalid_params("resources/read: params.uri must be a string"));
        };
        let (reader, mime_type, variables) = self.definition.find_resource(&uri).ok_or_else(|| no_resource(&uri))?;
        let threading = reader.threading;
        let cache = request
            .meta
            .version
            .rules()
            .result_type
            .then(|| reader.cache.clone().unwrap_or_else(|| self.definition.reads.clone()));
        self.ask_and_run(request, threading, move |context| {
            let at = At::new(&uri, mime_type.as_deref());
            let running = reader.read(context, at, &variables);
            let failed = move |error: HandlerError| {
                let missing = (ErrorCode::RESOURCE_NOT_FOUND, Some(json!({ "uri": uri })));
                error.tell(&format!("Error reading resource {uri:.500}"), missing)
            };
            match running {
                Ok(running) => {
                    Ok(Box::pin(
                        async move { reply(running.await.map_err(failed).map(|result| keep_for(result, cache))) },
                    ))
                }
                Err(error) => Err(Err(failed(error))),
            }
        })
    }

    fn knows(&self, uri: &str) -> bool {
        self.definition.find_resource(uri).is_some()
    }

    pub(super) fn get_prompt(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let params: GetPromptParams = params(&request)?;
        let name = params.name;
        let Some(prompt) = self.definition.prompts.find(&name) else {
            return Err(ErrorObject::invalid_params(format!("unknown prompt: {name:.200}")));
        };
        let arguments: Strings = params.arguments.unwrap_or_default().0.into_iter().collect();
        prompt.check(&arguments)?;
        let prompt = Arc::clone(prompt);
        self.ask_and_run(request, prompt.threading(), move |context| {
            let running = prompt.get(context, &arguments);
            let failed = move |error: HandlerError| {
                error.tell(&format!("Error rendering prompt {name:.200}"), (ErrorCode::INVALID_PARAMS, None))
            };
            match running {
                Ok(running) => Ok(Box::pin(async move { reply(running.await.map_err(failed)) })),
                Err(error) => Err(Err(failed(error))),
            }
        })
    }

    pub(super) fn complete(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let CompleteParams { reference, argument, context, .. } = params(&request)?;
        let unknown = |what: String| ErrorObject::invalid_params(format!("completion/complete: {what:.300}"));
        let no_argument = || unknown(format!("params.argument.name: there is no argument {:?}", argument.name));
        let completer = match &reference {
            CompletionRef::Prompt(reference) => {
                let prompt = self.definition.prompts.find(&reference.name);
                let prompt =
                    prompt.ok_or_else(|| unknown(format!("params.ref.name: unknown prompt {:?}", reference.name)))?;
                if !prompt.has(&argument.name) {
                    return Err(no_argument());
                }
                prompt.completers.get(&argument.name)
            }
            CompletionRef::Resource(reference) => {
                let template = self.definition.templates.find(&reference.uri);
                if template.is_none() && self.definition.resources.find(&reference.uri).is_none() {
                    return Err(unknown(format!("params.ref.uri: unknown resource {:?}", reference.uri)));
                }
                if !template.is_some_and(|template| template.has(&argument.name)) {
                    return Err(no_argument());
                }
                template.and_then(|template| template.completers.get(&argument.name))
            }
            _ => return Err(unknown("params.ref.type: neither ref/prompt nor ref/resource".to_owned())),
        };
        let Some(completer) = completer.cloned() else {
            // It can be typed, but nobody knows how it might go on.
            let nothing = CompleteResult::new(Completion::of(Vec::<String>::new()));
            return Ok(Handling::Now(reply(Ok(nothing))));
        };
        let arguments = context.and_then(|context| context.arguments).unwrap_or_default().0.into_iter().collect();
        let failed = format!("Error completing {:.200}", argument.name);
        self.run(request, Threading::Async, move |context| {
            let running = completer.complete(context, Partial::new(argument.value, arguments));
            Ok(Box::pin(async move {
                let completion = running.await.map_err(|error| error.tell(&failed, (ErrorCode::INVALID_PARAMS, None)));
                reply(completion.map(CompleteResult::new))
            }))
        })
    }

    /// Confirms a `resources/subscribe`; the connection keeps what is subscribed to.
    pub(super) fn subscribe(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let SubscribeParams { uri, .. } = params(&request)?;
        if !self.knows(&uri) {
            return Err(no_resource(&uri));
        }
        let hooks = &self.definition.hooks;
        if hooks.subscribe.is_none() && hooks.unsubscribe.is_none() {
            return Ok(Handling::Now(Ok(Body::empty_result().into())));
        }
        let (confirm, tell, subscribed) = (hooks.subscribe.clone(), hooks.unsubscribe.clone(), self.subscribed.clone());
        self.run(request, Threading::Async, move |context| {
            Ok(Box::pin(async move {
                if let Some(confirm) = confirm {
                    confirm(context.clone(), uri.clone()).await.map_err(|error| not_subscribed(error, &uri))?;
                }
                if let Some(tell) = tell
                    && !subscribed.begin(None, uri, context)
                {
                    subscribed.end_all(tell).await;
                }
                Ok(Body::empty_result().into())
            }))
        })
    }

    pub(super) fn unsubscribe(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let SubscribeParams { uri, .. } = params(&request)?;
        let Some(hook) = self.definition.hooks.unsubscribe.clone() else {
            return Ok(Handling::Now(Ok(Body::empty_result().into())));
        };
        let subscribed = self.subscribed.clone();
        self.run(request, Threading::Async, move |context| {
            Ok(Box::pin(async move {
                // Before the hook, so that the end of the connection does not tell it as well.
                let held = subscribed.take(&uri);
                if let Err(error) = hook(context, uri.clone()).await {
                    let refused = not_subscribed(error, &uri);
                    if let Some(context) = held {
                        // It goes on; if the connection is over by now, the application knows all that there is to know.
                        subscribed.begin(None, uri, context);
                    }
                    return Err(refused);
                }
                Ok(Body::empty_result().into())
            }))
        })
    }

    /// Grants of what a `subscriptions/listen` asks for what this server offers.
    pub(super) fn listen(&self, request: Inbound) -> Result<Handling, ErrorObject> {
        let ListenParams { notifications: asked, .. } = params(&request)?;
        let offers = |wanted: Option<bool>, capability| {
            (wanted == Some(true) && self.definition.config.capabilities.offers(capability)).then_some(true)
        };
        let mut granted = SubscriptionFilter::new();
        granted.tools_list_changed = offers(asked.tools_list_changed, Capability::ToolsListChanged);
        granted.prompts_list_changed = offers(asked.prompts_list_changed, Capability::PromptsListChanged);
        granted.resources_list_changed = offers(asked.resources_list_changed, Capability::ResourcesListChanged);
        let may_subscribe = offers(Some(true), Capability::ResourcesSubscribe).is_some();
        let mut uris = asked.resource_subscriptions.filter(|_| may_subscribe).unwrap_or_default();
        uris.retain(|uri| self.knows(uri));
        let hooks = &self.definition.hooks;
        if uris.is_empty() || hooks.subscribe.is_none() && hooks.unsubscribe.is_none() {
            granted.resource_subscriptions = (!uris.is_empty()).then_some(uris);
            return Ok(Handling::Now(Ok(Answer::Grant(granted))));
        }
        let (confirm, tell, subscribed) = (hooks.subscribe.clone(), hooks.unsubscribe.clone(), self.subscribed.clone());
        self.run(request, Threading::Async, move |context| {
            Ok(Box::pin(async move {
                let (mut confirmed, mut is_over) = (Vec::new(), false);
                for uri in uris {
                    if let Some(confirm) = &confirm
                        && let Err(error) = confirm(context.clone(), uri.clone()).await
                    {
                        tracing::debug!(%error, uri, "a subscription was not granted");
                        continue;
                    }
                    if tell.is_some() {
                        is_over |= !subscribed.begin(Some(context.id()), uri.clone(), context.clone());
                    }
                    confirmed.push(uri);
                }
                if let Some(tell) = tell
                    && (is_over || context.is_cancelled())
                {
                    // Its end has come before it began, and nobody else has seen that there was something to tell.
                    subscribed.end(context.id(), tell).await;
                }
                granted.resource_subscriptions = (!confirmed.is_empty()).then_some(confirmed);
                Ok(Answer::Grant(granted))
            }))
        })
    }
}

/// The name that a request is about.
fn named(request: &Inbound) -> Result<&str, ErrorObject> {
    let message = &request.message;
    let missing = || ErrorObject::invalid_params(format!("{}: params.name must be a string", message.method()));
    message.name().ok_or_else(missing)
}

fn params<T: DeserializeOwned>(request: &Inbound) -> Result<T, ErrorObject> {
    let message = &request.message;
    message.params().decode().map_err(|error| ErrorObject::invalid_params(format!("{}: {error}", message.method())))
}

/// What a client is told whose subscription, or the end of it, the application does not want.
fn not_subscribed(error: HandlerError, uri: &str) -> ErrorObject {
    let missing = (ErrorCode::RESOURCE_NOT_FOUND, Some(json!({ "uri": uri })));
    error.tell(&format!("Error subscribing to {uri:.500}"), missing)
}

/// Its code is that of the revision in which it is sent.
fn no_resource(uri: &str) -> ErrorObject {
    ErrorObject::new(ErrorCode::RESOURCE_NOT_FOUND, "Resource not found").with_data(json!({ "uri": uri }))
}

/// Says how long the result may be kept, where the revision has that and the handler did not say.
fn keep_for(mut result: ReadResourceResult, cache: Option<Cache>) -> ReadResourceResult {
    if let Some(cache) = cache {
        let (said_ttl, said_scope) = (result.ttl_ms, result.cache_scope.take());
        result = result.cached(cache.ttl, said_scope.unwrap_or(cache.scope));
        result.ttl_ms = said_ttl.or(result.ttl_ms);
    }
    result
}

fn reply(result: Result<impl serde::Serialize, ErrorObject>) -> Reply {
    let encoded = |error: EncodeError| ErrorObject::internal(format!("the result cannot be encoded: {error}"));
    Body::result(&result?).map(Into::into).map_err(encoded)
}
