//! One inbound message: its text, scanned once, and where the parts stand, or what is wrong with it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use serde::Deserialize;

use super::error::ErrorCode;
use super::id::RequestId;
use super::salvage::Salvage;
use super::scan::{self, Elements, Fault, Spans};
use super::text::{Span, Text};
use crate::connection::{Attachment, Limits};
use crate::line::Line;

/// One inbound JSON-RPC message, scanned once.
///
/// Scanning needs no [`Connection`](crate::Connection) and no lock. A message owns its text and knows where the members
/// stand that the protocol needs; [`params`](Self::params) and [`result`](Self::result) are decoded once, by whoever
/// knows their type. Cloning shares the text.
///
/// Nothing is refused here: a text that is no message becomes a [`Message`] of kind [`Kind::Malformed`] with its
/// [`Fault`], and with the id if one can be read, so that its sender can be answered.
///
/// ```
/// use mcp_proto::{Limits, jsonrpc::{Kind, Message}};
///
/// let limits = Limits::default();
/// let message = Message::scan(br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add"}}"#, &limits);
/// assert_eq!(message.kind(), Kind::Request);
/// assert_eq!(message.method(), "tools/call");
/// assert_eq!(message.name(), Some("add"));
/// ```
#[derive(Clone)]
pub struct Message {
    text: Arc<str>,
    kind: Kind,
    id: Option<RequestId>,
    method: Text,
    params: Span,
    meta: Span,
    name: Text,
    uri: Text,
    arguments: Span,
    outcome: Span,
    result_type: Text,
    input_requests: Span,
    request_state: Span,
    attachment: Option<Attachment>,
    malformed: Option<Box<Malformed>>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Has a method and an id: wants an answer.
    Request,
    /// Has a method and no id: gets no answer, ever.
    Notification,
    /// The answer to a request of ours, with a result.
    Result,
    /// The answer to a request of ours, with an error; or an error about something that had no readable id.
    Error,
    /// None of these; see [`Message::fault`].
    Malformed,
}

#[derive(Clone, Debug)]
struct Malformed {
    fault: Fault,
    /// The id's JSON text, if one was readable.
    echo: Option<Box<str>>,
    /// Whether it was meant as a response, which is never answered.
    is_response: bool,
    /// Whether it had a method and no id: such a thing is never answered either.
    is_notification: bool,
}

impl Message {
    /// Scans one message. `bytes` is the whole JSON text; space around it is allowed.
    pub fn scan(bytes: &[u8], limits: &Limits) -> Self {
        // Positions in the text are kept as 32 bits.
        if bytes.len() > limits.frame.min(u32::MAX as usize) {
            return Self::malformed(bytes, Fault::TooLong(bytes.len() as u64));
        }
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Self::malformed(bytes, Fault::NotUtf8(error.valid_up_to())),
        };
        match scan::scan(text, limits.depth).and_then(|spans| Self::from_spans(text, &spans)) {
            Ok(message) => message,
            // An array may be a batch, which only the connection can judge: its text is kept whole.
            Err(fault @ Fault::NotAnObject) => Self::salvaged(&Salvage::new(), text, fault),
            Err(fault) => Self::malformed(bytes, fault),
        }
    }

    /// Scans a line of a [`LineBuffer`](crate::line::LineBuffer).
    pub fn scan_line(line: Line<'_>, limits: &Limits) -> Self {
        match line {
            Line::Whole(bytes) => Self::scan(bytes, limits),
            Line::TooLong(oversize) => Self::salvaged(&oversize.salvage, "", Fault::TooLong(oversize.bytes)),
        }
    }

    /// The same message with what the driver knows about it; see [`Attachment`].
    #[must_use]
    pub fn attach(self, attachment: Attachment) -> Self {
        Self { attachment: Some(attachment), ..self }
    }

    /// What the driver knows about it.
    pub fn attachment(&self) -> Option<Attachment> {
        self.attachment
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The whole text. Of a malformed message at most the first 1 KiB is kept, with replacement characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The id of a request or response.
    pub fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// The method of a request or notification; empty for anything else.
    pub fn method(&self) -> &str {
        self.method.of(&self.text).unwrap_or_default()
    }

    /// The parameters, `{}` if there are none.
    pub fn params(&self) -> Json<'_> {
        Json(self.params.of(&self.text).unwrap_or("{}"))
    }

    /// The `_meta` object of the parameters or the result, if there is one.
    pub fn meta(&self) -> Option<Json<'_>> {
        self.meta.of(&self.text).map(Json)
    }

    /// The member `name` of the parameters, if it is there and a string.
    pub fn name(&self) -> Option<&str> {
        self.name.of(&self.text)
    }

    /// The member `uri` of the parameters, if it is there and a string.
    pub fn uri(&self) -> Option<&str> {
        self.uri.of(&self.text)
    }

    /// The member `arguments` of the parameters, if it is there and an object.
    pub fn arguments(&self) -> Option<Json<'_>> {
        self.arguments.of(&self.text).map(Json)
    }

    /// The result of a [`Kind::Result`].
    pub fn result(&self) -> Option<Json<'_>> {
        if self.kind == Kind::Result { self.outcome.of(&self.text).map(Json) } else { None }
    }

    /// The member `resultType` of a [`Kind::Result`], if there is one. Absent means complete. One that is no string, as only
    /// results of the legacy era may have, is given as it stands.
    pub fn result_type(&self) -> Option<&str> {
        self.result_type.of(&self.text)
    }

    /// The member `inputRequests` of a [`Kind::Result`], if there is one; in the legacy era it may be anything.
    pub fn input_requests(&self) -> Option<Json<'_>> {
        self.input_requests.of(&self.text).map(Json)
    }

    /// The member `requestState` of a [`Kind::Result`] as it stands, quotes and escapes included; in the legacy era it may be
    /// anything.
    pub fn request_state(&self) -> Option<Json<'_>> {
        self.request_state.of(&self.text).map(Json)
    }

    /// The messages of a batch, each scanned when it is asked for; `None` if this is no array. Batches exist only in
    /// 2025-03-26.
    pub fn batch<'a>(&'a self, limits: &'a Limits) -> Option<impl Iterator<Item = Self> + 'a> {
        let is_array = self.fault() == Some(Fault::NotAnObject);
        let elements = Elements::of(&self.text).filter(|_| is_array)?;
        // What is attached to all of it is attached to each.
        let attachment = self.attachment;
        Some(elements.map(move |element| Self { attachment, ..Self::scan(element.as_bytes(), limits) }))
    }

    /// The error of a [`Kind::Error`].
    pub fn error(&self) -> Option<Json<'_>> {
        if self.kind == Kind::Error { self.outcome.of(&self.text).map(Json) } else { None }
    }

    /// What is wrong with a [`Kind::Malformed`].
    pub fn fault(&self) -> Option<Fault> {
        self.malformed.as_ref().map(|malformed| malformed.fault)
    }

    /// Bytes of memory that the message holds, roughly; what limits count.
    pub fn size(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }

    /// The id of a malformed message as JSON text, to be echoed in the answer.
    pub(crate) fn echo(&self) -> Option<&str> {
        self.malformed.as_ref()?.echo.as_deref()
    }

    /// Whether a malformed message may be answered: notifications and responses never are.
    pub(crate) fn may_be_answered(&self) -> bool {
        self.malformed.as_ref().is_some_and(|malformed| !malformed.is_response && !malformed.is_notification)
    }

    /// Whether a malformed message was meant as a response.
    pub(crate) fn is_malformed_response(&self) -> bool {
        self.malformed.as_ref().is_some_and(|malformed| malformed.is_response)
    }

    fn from_spans(text: &str, spans: &Spans) -> Result<Self, Fault> {
        // Read as a string, since an escape may spell it: another reader would take it for the same.
        if string(text, spans.jsonrpc).and_then(|version| version.of(text).map(|it| it == "2.0")) != Some(true) {
            return Err(Fault::NotJsonRpc2);
        }
        let method = string(text, spans.method).ok_or(Fault::BadMethod)?;
        let has_method = method != Text::Absent;
        let outcome = spans.result.of(text).or(spans.error.of(text));
        let (kind, outcome_span) = match (has_method, spans.result.of(text), spans.error.of(text)) {
            (true, None, None) if spans.id.of(text).is_some() => (Kind::Request, Span::default()),
            (true, None, None) => (Kind::Notification, Span::default()),
            (false, Some(_), None) => (Kind::Result, spans.result),
            (false, None, Some(_)) => (Kind::Error, spans.error),
            _ => return Err(Fault::NotAMessage),
        };
        // A null id on an error is what JSON-RPC prescribes for an unreadable request; everywhere else it is no id.
        let id = match spans.id.of(text) {
            None if kind == Kind::Result => return Err(Fault::BadId),
            None => None,
            Some("null") if kind == Kind::Error => None,
            Some(id) => Some(request_id(id).ok_or(Fault::BadId)?),
        };
        if outcome.is_some_and(|outcome| !outcome.starts_with('{')) {
            return Err(if kind == Kind::Result { Fault::BadResult } else { Fault::BadError });
        }
        // `"params": null` is read as no parameters: some encoders write it for an absent value.
        let params = if spans.params.of(text) == Some("null") { Span::default() } else { spans.params };
        if params.of(text).is_some_and(|params| !params.starts_with('{')) {
            return Err(Fault::BadParams);
        }
        let meta = match kind {
            Kind::Result => spans.result_meta,
            Kind::Error => Span::default(),
            _ => spans.meta,
        };
        let meta = if meta.of(text) == Some("null") { Span::default() } else { meta };
        if meta.of(text).is_some_and(|meta| !meta.starts_with('{')) {
            return Err(if kind == Kind::Result { Fault::BadResultMember("_meta") } else { Fault::BadParam("_meta") });
        }
        // The members of results that only the modern era knows are for it to judge: before, a result may have any.
        let result_type = string(text, spans.result_type).unwrap_or_else(|| Text::as_it_stands(spans.result_type));
        let arguments = if spans.arguments.of(text) == Some("null") { Span::default() } else { spans.arguments };
        Ok(Self {
            text: text.into(),
            kind,
            id,
            method,
            params,
            meta,
            // Whether these must be strings and objects depends on the method; whoever needs them says so.
            name: string(text, spans.name).unwrap_or_default(),
            uri: string(text, spans.uri).unwrap_or_default(),
            arguments: if arguments.of(text).is_some_and(|text| text.starts_with('{')) {
                arguments
            } else {
                Span::default()
            },
            outcome: outcome_span,
            result_type,
            input_requests: spans.input_requests,
            request_state: spans.request_state,
            attachment: None,
            malformed: None,
        })
    }

    fn malformed(bytes: &[u8], fault: Fault) -> Self {
        let mut salvage = Salvage::new();
        salvage.read(bytes);
        let shown = &bytes[..bytes.len().min(SHOWN)];
        Self::salvaged(&salvage, &alloc::string::String::from_utf8_lossy(shown), fault)
    }

    fn salvaged(salvage: &Salvage, shown: &str, fault: Fault) -> Self {
        let echo = salvage.id();
        // A result or error that also has a method is meant as a request by nobody, yet whoever sent it waits: answered.
        let is_response = salvage.is_response();
        let id = if is_response { echo.as_deref().and_then(request_id) } else { None };
        Self {
            text: shown.into(),
            kind: Kind::Malformed,
            id,
            method: Text::Absent,
            params: Span::default(),
            meta: Span::default(),
            name: Text::Absent,
            uri: Text::Absent,
            arguments: Span::default(),
            outcome: Span::default(),
            result_type: Text::Absent,
            input_requests: Span::default(),
            request_state: Span::default(),
            attachment: None,
            malformed: Some(Box::new(Malformed {
                fault,
                echo,
                is_response,
                is_notification: salvage.is_notification(),
            })),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Message");
        shown.field("kind", &self.kind).field("text", &self.text);
        if let Some(fault) = self.fault() {
            shown.field("fault", &fault);
        }
        shown.finish()
    }
}

/// How much of a malformed text is kept for a person to look at.
const SHOWN: usize = 1024;

/// A JSON text inside a [`Message`], decoded once by whoever knows its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(pub(crate) &'a str);

impl<'a> Json<'a> {
    /// Decodes it, borrowing from the message where the type allows.
    ///
    /// # Errors
    ///
    /// When the text does not fit `T`; the error tells the line and column within this text.
    pub fn decode<T: Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0)
    }

    /// The text itself.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl Fault {
    /// The JSON-RPC code that answers it.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotUtf8(_) | Self::NotJson(_) => ErrorCode::PARSE_ERROR,
            Self::BadParams | Self::BadParam(_) => ErrorCode::INVALID_PARAMS,
            _ => ErrorCode::INVALID_REQUEST,
        }
    }
}

/// `None` if the member is there but no string.
fn string(text: &str, span: Span) -> Option<Text> {
    match span.of(text) {
        None => Some(Text::Absent),
        Some(quoted) if quoted.starts_with('"') => Text::new(text, span),
        Some(_) => None,
    }
}

fn request_id(text: &str) -> Option<RequestId> {
    if text.starts_with('"') {
        // Ids are kept in tables, so their size is bounded.
        let bounded = text.len() <= RequestId::LONGEST;
        return serde_json::from_str(text).ok().filter(|_| bounded).map(RequestId::String);
    }
    // Only the one spelling of an integer that we would write ourselves, so that the echo is verbatim.
    let number: i64 = text.parse().ok()?;
    (!text.starts_with('+') && text != "-0").then_some(RequestId::Number(number))
}
