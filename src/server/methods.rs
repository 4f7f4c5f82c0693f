//! Methods and notifications that the specification does not have.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcp_proto::model::METHODS;
use mcp_proto::{ErrorCode, ErrorObject, Message};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::context::Context;
use super::definition::{Fault, Lenient};
use super::handler::{Handler, HandlerError};
use super::session::Session;
use super::tool::Started;
use crate::stream::{Answer, BoxFuture};

/// Serves a request of a custom method.
pub(super) type Method = Arc<dyn Fn(Context) -> Started + Send + Sync>;

/// Handles a notification.
pub(super) type OnNotification = Arc<dyn Fn(Session, &Message) -> Option<BoxFuture<()>> + Send + Sync>;

/// The notification that is not custom and still the application's.
pub(super) const ROOTS_CHANGED: &str = "notifications/roots/list_changed";

pub(super) fn method<M, H, R, E>(handler: H) -> Method
where
    H: Handler<M, Output = Result<R, E>>,
    H::Input: DeserializeOwned,
    R: Serialize + Send + 'static,
    E: Into<HandlerError> + Send + 'static,
{
    Arc::new(move |context| {
        let name = context.message().method().to_owned();
        let input = decode(context.message())
            .map_err(|error| Err(ErrorObject::invalid_params(format!("{name:.200}: params.{error}"))))?;
        let running = handler.call(context, input);
        Ok(Box::pin(async move {
            let result = running.await.map_err(|error| {
                error.into().tell(&format!("Error in {name:.200}"), (ErrorCode::INVALID_PARAMS, None))
            })?;
            Answer::of(&result).map_err(|error| ErrorObject::internal(format!("the result cannot be encoded: {error}")))
        }))
    })
}

pub(super) fn notification<P, Fut>(handler: impl Fn(Session, P) -> Fut + Send + Sync + 'static) -> OnNotification
where
    P: DeserializeOwned + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |session, message| match decode(message) {
        Ok(params) => {
            // Called only when those before it have ended.
            let handler = Arc::clone(&handler);
            Some(Box::pin(async move { handler(session, params).await }))
        }
        Err(error) => {
            // Nobody waits for an answer to a notification.
            tracing::debug!(method = message.method(), error, "a notification has parameters that cannot be read");
            None
        }
    })
}

/// Decodes parameters; `Err` says where and why not.
fn decode<T: DeserializeOwned>(message: &Message) -> Result<T, String> {
    let text = message.params().as_str();
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).or_else(|error| {
        // `()` and the like take no parameters, whatever stands in `_meta`.
        let none = has_no_parameters(text).then(|| T::deserialize(serde_json::Value::Null).ok());
        none.flatten().ok_or_else(|| format!("{}: {}", error.path(), error.inner()))
    })
}

/// Whether there are none, or an object that is empty but for `_meta`.
fn has_no_parameters(text: &str) -> bool {
    let members: serde_json::Result<BTreeMap<String, IgnoredAny>> = serde_json::from_str(text);
    text.is_empty() || members.is_ok_and(|members| members.keys().all(|key| key == "_meta"))
}

/// Why a method or notification of this name cannot be custom.
pub(super) fn fault(name: &str) -> Option<Fault> {
    if METHODS.iter().any(|rule| rule.method == name) {
        return Some((None, format!("{name:?} is of the protocol: it cannot be given another meaning")));
    }
    let is_legal = !name.is_empty()
        && !name.starts_with("rpc.")
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    (!is_legal).then(|| (None, format!("{name:?} cannot be a method: it is empty, reserved, or not printable ASCII")))
}

/// There is one already.
pub(super) fn repeated(name: &str) -> Fault {
    (Some(Lenient::Duplicates), format!("there are two handlers of {name:?}"))
}
