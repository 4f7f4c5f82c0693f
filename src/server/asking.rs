//! What a handler may ask its client in the middle of a request, in every revision with the same words.
//!
//! In the legacy era the question is a request of its own, which is waited for. In the stateless era it ends the handler; see
//! `rounds.rs`.

use std::sync::Arc;

use mcp_proto::model::{
    CallToolResult, Capability, ClientCapabilities, CreateMessageParams, CreateMessageResult, ElicitAction, ElicitMode,
    ElicitParams, ElicitResult, ElicitationCompleteParams, INPUT_REQUESTS, InputRequest, ListRootsResult, Progress,
    Root, Union, UrlElicitationData,
};
use mcp_proto::{Body, Deadlines, ErrorCode, ErrorObject, PeerCapabilities, Scope, Why};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::context::Context;
use super::rounds::Round;
use crate::client::Request;
use crate::schema;
use crate::stream::{Call, Link, OnProgress, notify};
use crate::{Error, Result};

/// What the client can be asked. It may differ from request to request.
impl Context {
    /// Whether the client has declared this, for whatever a question needs.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities().is_some_and(|declared| declared.offers(capability))
    }

    /// All that the client has declared, with what is experimental and the settings of extensions; `None` if nobody knows.
    pub fn capabilities(&self) -> Option<&ClientCapabilities> {
        match &self.peer()?.capabilities {
            PeerCapabilities::Client(declared) => Some(declared),
            PeerCapabilities::Server(_) => None,
        }
    }

    /// Whether the client can show a form to a person: [`elicit`](Self::elicit).
    pub fn can_elicit(&self) -> bool {
        self.has_mode(&ElicitMode::Form) && self.can(Capability::ElicitationForm)
    }

    /// Whether the client can send a person to a URL: [`elicit_url`](Self::elicit_url).
    pub fn can_elicit_url(&self) -> bool {
        self.has_mode(&ElicitMode::Url) && self.can(Capability::ElicitationUrl)
    }

    /// Whether the client can ask a language model: [`sample`](Self::sample).
    pub fn can_sample(&self) -> bool {
        self.can(Capability::Sampling)
    }

    /// Whether that model may be given tools.
    pub fn can_sample_with_tools(&self) -> bool {
        self.can(Capability::SamplingTools)
    }

    /// Whether the client tells its roots: [`roots`](Self::roots).
    pub fn can_tell_roots(&self) -> bool {
        self.can(Capability::Roots)
    }

    /// Insists that the client has declared all of these; for a handler that can do nothing without.
    ///
    /// ```
    /// # use mcp::{Context, Tool, ToolError, model::Capability};
    /// let tool = Tool::new("review", "Review the roots", async |ctx: Context| {
    ///     ctx.require([Capability::Roots, Capability::Sampling])?;
    ///     Ok::<_, ToolError>(format!("{} roots", ctx.roots("roots").await?.len()))
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// What the request is to be answered with, if something is missing: −32021, with all that is missing
    /// (specification 2026-07-28: basic, error codes). A tool of an older revision shows it to the model instead, as those
    /// do not have this error.
    pub fn require(&self, capabilities: impl IntoIterator<Item = Capability>) -> Result<(), ErrorObject> {
        let missing: Vec<_> = capabilities.into_iter().filter(|needs| !self.can(*needs)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ErrorObject::missing_client_capability(ClientCapabilities::of_all(missing)))
    }

    fn has_mode(&self, mode: &ElicitMode) -> bool {
        // A mode that no revision has is an extension's.
        self.version().has_variant(Union::ElicitMode, mode.as_str()).unwrap_or(true)
    }
}

/// Asking the client.
///
/// A question has a key, which names it within its request: a handler that asks twice uses two keys, and one that asks again
/// under the same key gets the same answer.
///
/// With a client of the stateless era (2026-07-28) the handler ends at the question and is run again from its beginning when
/// the answer is there. What it does before asking must bear to be done twice, or stand in [`once`](Self::once). Questions
/// asked side by side go out together. A handler that blocks its thread ([`Tool::blocking`](crate::Tool::blocking)) gets
/// [`Error::Asked`] instead and returns, whatever it returns; then it is run again as well.
impl Context {
    /// Asks the person at the client to fill in a form; waits up to an hour for that (specification: client/elicitation).
    ///
    /// ```
    /// # async fn example(ctx: mcp::Context) -> mcp::Result<String> {
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Confirm {
    ///     /// Really delete it?
    ///     sure: bool,
    /// }
    /// let answer = ctx.elicit("confirm", mcp::Form::of::<Confirm>("Delete the file?")).await?;
    /// Ok(match mcp::accepted::<Confirm>(&answer)? {
    ///     Some(Confirm { sure: true }) => "deleted".into(),
    ///     _ => "kept".into(),
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ClientLacks`] when the client cannot show forms, an [`Error::Send`] when its revision has none (they came with
    /// 2025-06-18) or the request is over; others when the answer does not come.
    pub async fn elicit(&self, key: &str, form: impl Into<ElicitParams>) -> Result<ElicitResult> {
        self.ask(key, "elicitation/create", &form.into()).await
    }

    /// Asks the person to open a URL, for what must not go through the client: passwords, keys, payments. That they accept
    /// means that they agreed, not that they are done (specification: client/elicitation, URL mode; 2025-11-25 and later).
    ///
    /// `id` is unique among all such questions of the server; [`elicitation_complete`](Self::elicitation_complete) refers to
    /// it. Whoever opens the URL must be made sure to be who was asked.
    ///
    /// ```
    /// # async fn start_payment() -> u64 { 7 }
    /// # async fn wait_for_payment(_: u64) {}
    /// use mcp::model::ElicitAction;
    ///
    /// async fn pay(ctx: mcp::Context) -> mcp::Result<&'static str> {
    ///     let payment = ctx.once("payment", start_payment()).await?;
    ///     let (url, id) = (format!("https://pay.example.com/{payment}"), format!("payment-{payment}"));
    ///     let answer = ctx.elicit_url("pay", "Pay for the seat", url, &*id).await?;
    ///     if answer.action != ElicitAction::Accept {
    ///         return Ok("not paid");
    ///     }
    ///     wait_for_payment(payment).await;
    ///     ctx.elicitation_complete(&*id)?;
    ///     Ok("paid")
    /// }
    /// # drop(mcp::Tool::new("pay", "Pay", pay));
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`elicit`](Self::elicit).
    pub async fn elicit_url(
        &self,
        key: &str,
        message: impl Into<String>,
        url: impl Into<String>,
        id: impl Into<String>,
    ) -> Result<ElicitResult> {
        let id = self.version().rules().elicitation_id.then(|| id.into());
        self.ask(key, "elicitation/create", &ElicitParams::url(message, url, id)).await
    }

    /// Tells the client that what the person was to do at a URL is done; also when the request is long over. Does nothing in a
    /// revision that does not have it: only 2025-11-25 does.
    ///
    /// # Errors
    ///
    /// When the connection is over, or does not take it now.
    pub fn elicitation_complete(&self, id: impl Into<String>) -> Result<()> {
        if !self.version().rules().elicitation_id {
            return Ok(());
        }
        let body = Body::new("notifications/elicitation/complete", &ElicitationCompleteParams::new(id))?;
        notify(self.shared(), body, Scope::Connection, None)
    }

    /// Asks the client's language model (specification: client/sampling). Waits up to an hour, since a person may have a say.
    ///
    /// ```
    /// use mcp::model::{ContentBlock, CreateMessageParams, SamplingMessage};
    ///
    /// # async fn example(ctx: mcp::Context) -> mcp::Result<()> {
    /// let question = SamplingMessage::user(ContentBlock::text("What is the capital of France?"));
    /// let answer = ctx.sample("capital", CreateMessageParams::new([question], 100)).await?;
    /// # drop(answer);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ClientLacks`] when the client cannot sample, or not with tools if the question has some; others when the
    /// request is over or the answer does not come.
    pub async fn sample(&self, key: &str, params: CreateMessageParams) -> Result<CreateMessageResult> {
        self.ask(key, "sampling/createMessage", &params).await
    }

    /// Asks the client for the places that this server may work in (specification: client/roots).
    ///
    /// # Errors
    ///
    /// [`Error::ClientLacks`] when the client has none; others when the request is over or the answer does not come.
    pub async fn roots(&self, key: &str) -> Result<Vec<Root>> {
        let listed: ListRootsResult = self.ask(key, "roots/list", &json!({})).await?;
        Ok(listed.roots)
    }

    /// Asks the client something, whatever it is: one of the above, or in the legacy era a method of your own.
    ///
    /// # Errors
    ///
    /// As with [`elicit`](Self::elicit), and when the answer is no `T`. In the stateless era such an answer is the client's
    /// error, and the handler is not run on.
    pub async fn ask<T: DeserializeOwned>(&self, key: &str, method: &str, params: &impl Serialize) -> Result<T> {
        self.question(key, method, params, None).await
    }

    /// The same, and hears how far the client has come with it: in order, before the answer. In the stateless era clients do
    /// not tell.
    ///
    /// # Errors
    ///
    /// As with [`ask`](Self::ask).
    pub async fn ask_with_progress<T: DeserializeOwned>(
        &self,
        key: &str,
        method: &str,
        params: &impl Serialize,
        on_progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<T> {
        self.question(key, method, params, Some(Box::new(on_progress))).await
    }

    async fn question<T: DeserializeOwned>(
        &self,
        key: &str,
        method: &str,
        params: &impl Serialize,
        on_progress: Option<OnProgress>,
    ) -> Result<T> {
        let what = format!("{method} ({key})");
        let body = Body::new(method, params)?;
        let Some(round) = self.round() else {
            self.may_ask(&what, method, params)?;
            let answer = self.answers().once(key, self.ask_directly(what.clone(), body, on_progress)).await?;
            return read(&answer).map_err(|(error, _)| Error::Result { what, error });
        };
        let Some(answer) = round.answer(key) else {
            self.may_ask(&what, method, params)?;
            round.ask([(key.to_owned(), body)]).await;
            return Err(Error::Asked { what });
        };
        match read(answer) {
            Ok(answer) => Ok(answer),
            Err((error, path)) => {
                let of = format!("params.inputResponses[{key:?}] does not answer {method}");
                round.reject(ErrorObject::invalid_params(format!("{of}: {path}: {error}"))).await;
                Err(Error::Result { what, error })
            }
        }
    }

    async fn ask_directly(&self, what: String, body: Body, on_progress: Option<OnProgress>) -> Result<Box<RawValue>> {
        let link = Link::One(Arc::clone(self.shared()), None);
        let mut call = Call::new(link, what, body).within(self.as_within());
        if let Some(on_progress) = on_progress {
            call.on_progress(on_progress);
        }
        let mut request = Request::new(Ok(call));
        request.options(|options| {
            options.within = Some(self.id());
            options.deadlines = Deadlines::PERSON;
        });
        request.await
    }

    /// Whether the client may be asked this, so that both eras refuse alike, and before anything is sent.
    fn may_ask(&self, what: &str, method: &str, params: &impl Serialize) -> Result<()> {
        let refuse = |why| Err(Error::Send { what: what.to_owned(), why });
        let Some((_, capability)) = INPUT_REQUESTS.iter().find(|(known, _)| *known == method) else {
            // A method of the application's own. In the legacy era the connection decides.
            return if self.round().is_some() { refuse(Why::NotInThisRevision) } else { Ok(()) };
        };
        let request = json!({ "method": method, "params": serde_json::to_value(params).unwrap_or_default() });
        let request = serde_json::from_value::<InputRequest>(request).ok();
        if let Some(InputRequest::Elicit(request)) = &request
            && !self.has_mode(request.params.mode())
        {
            return refuse(Why::NotInThisRevision);
        }
        let needs = request.and_then(|request| request.needs()).unwrap_or(*capability);
        if self.capabilities().is_some_and(|declared| !declared.offers(needs)) {
            return Err(Error::ClientLacks { what: what.to_owned(), needs });
        }
        Ok(())
    }
}

/// Doing things once.
impl Context {
    /// Runs `future` once for the whole request, however often the handler is run, and gives its result each time.
    ///
    /// With a client of the stateless era a handler is run again after each of its questions
    /// ([how asking works](Self::ask)), and what it does between two questions would be done again. The result is kept as JSON
    /// in what the client carries from round to round, sealed with the feature `seal`; it must fit in there: 256 KiB hold all
    /// results and answers of a request. What is given is always read back from the JSON, so fields that are skipped are
    /// skipped in every run.
    ///
    /// A second `once` with the same key waits for the first and gives its result, so none may stand inside itself. Keys of
    /// questions are another matter: the two do not meet. If the handler ends at a question that is asked beside it while
    /// `future` is still running, it is begun again in the next run, as if it had not been; so is what runs in a task of its
    /// own that has not ended by then. A client that sends the state of an earlier round again has the handler go on from
    /// there again, with what was done until then: what must never happen twice, whatever a client does, needs a record on
    /// this side, by a key that is itself kept by `once`.
    ///
    /// ```
    /// # async fn reserve() -> u64 { 7 }
    /// # async fn example(ctx: mcp::Context) -> mcp::Result<()> {
    /// let seat: u64 = ctx.once("seat", reserve()).await?;
    /// let answer = ctx.elicit("pay", mcp::Form::of::<Pay>(format!("Pay for seat {seat}?"))).await?;
    /// # drop(answer);
    /// # Ok(()) }
    /// # #[derive(schemars::JsonSchema)]
    /// # struct Pay { card: String }
    /// ```
    ///
    /// # Errors
    ///
    /// When the result is not to be had as JSON, or cannot be read back.
    pub async fn once<T>(&self, key: &str, future: impl Future<Output = T>) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
    {
        self.try_once(key, async { Ok(future.await) }).await
    }

    /// The same for what may fail. An error is given back and not kept: the next run tries again.
    ///
    /// # Errors
    ///
    /// That of `future`, or as with [`once`](Self::once).
    pub async fn try_once<T, E>(&self, key: &str, future: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
    {
        self.kept().once(key, future).await
    }
}

/// What becomes of errors that only some revisions have.
impl Context {
    /// What a tool's error is to this client. One that its revision does not have is shown to the model; that a URL must be
    /// opened first is a question in the stateless era.
    pub(super) async fn tell(&self, error: ErrorObject) -> Result<CallToolResult, ErrorObject> {
        match error.code {
            ErrorCode::URL_ELICITATION_REQUIRED => {
                let urls = error.typed_data::<UrlElicitationData>().map(|data| data.elicitations).unwrap_or_default();
                if let Some(round) = self.round() {
                    self.require([Capability::ElicitationUrl])?;
                    self.send_to(round, &urls).await?;
                } else if self.can_elicit_url() {
                    return Err(error);
                }
                Ok(CallToolResult::error(show(&error, &urls)))
            }
            ErrorCode::MISSING_CLIENT_CAPABILITY if !self.version().may_send_error(error.code) => {
                Ok(CallToolResult::error(error.message))
            }
            _ => Err(error),
        }
    }

    /// Asks the person to open these, again if need be, unless they have said no. Comes back only if they have.
    async fn send_to(&self, round: &Round, urls: &[ElicitParams]) -> Result<(), ErrorObject> {
        let key = |params: &ElicitParams| params.elicitation_id.clone().unwrap_or_default();
        let said_no = |params: &ElicitParams| {
            let answer = round.answer(&key(params)).and_then(|answer| read::<ElicitResult>(answer).ok());
            answer.is_some_and(|answer| answer.action != ElicitAction::Accept)
        };
        if urls.iter().any(said_no) {
            return Ok(());
        }
        let questions = urls.iter().map(|params| {
            let mut question = params.clone();
            question.elicitation_id = None;
            Ok((key(params), Body::new("elicitation/create", &question)?))
        });
        let questions: Result<Vec<_>> = questions.collect();
        round.ask(questions.map_err(|error| ErrorObject::internal(error.to_string()))?).await;
        Ok(())
    }
}

fn show(error: &ErrorObject, urls: &[ElicitParams]) -> String {
    let mut text = error.message.clone();
    for ElicitParams { message, url, .. } in urls {
        text.push_str(&format!("\n{message}: {}", url.as_deref().unwrap_or_default()));
    }
    text
}

/// Decodes an answer; an error tells where it is wrong.
fn read<T: DeserializeOwned>(answer: &RawValue) -> Result<T, (serde_json::Error, String)> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(answer.get())).map_err(|error| {
        let path = error.path().to_string();
        (error.into_inner(), path)
    })
}

/// A form for [`Context::elicit`].
#[derive(Clone, Debug, PartialEq)]
pub struct Form(ElicitParams);

impl Form {
    /// A form with a field for each field of `T`, which must be text, numbers, truth values or choices: forms are flat.
    /// Doc comments on the fields are shown to the person.
    pub fn of<T: JsonSchema>(message: impl Into<String>) -> Self {
        Self(ElicitParams::form(message, schema::of_form::<T>()))
    }

    /// A form with a schema written by hand: an object of flat properties.
    ///
    /// ```
    /// use mcp::Form;
    /// use mcp::model::{BooleanSchema, FormSchema, StringSchema};
    ///
    /// let schema = FormSchema::new()
    ///     .required_property("name", StringSchema::new().with_max_length(40))
    ///     .optional_property("news", BooleanSchema::new().with_default(false));
    /// let form = Form::with_schema("Sign up", schema.into());
    /// # drop(form);
    /// ```
    pub fn with_schema(message: impl Into<String>, schema: Map<String, Value>) -> Self {
        Self(ElicitParams::form(message, schema))
    }
}

impl From<Form> for ElicitParams {
    fn from(form: Form) -> Self {
        form.0
    }
}

/// What the person filled in, `None` if they declined or cancelled.
///
/// # Errors
///
/// When what they filled in is no `T`.
pub fn accepted<T: DeserializeOwned>(answer: &ElicitResult) -> Result<Option<T>> {
    if answer.action != ElicitAction::Accept {
        return Ok(None);
    }
    let content = Value::Object(answer.content.clone().unwrap_or_default());
    let decoded = serde_json::from_value(content);
    decoded.map(Some).map_err(|error| Error::Result { what: "elicitation/create".into(), error })
}
