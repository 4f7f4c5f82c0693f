//! stub
use super::{body::Body, caller::Caller, service::Web};
use http::Response;
use mcp_proto::{Message, ProtocolVersion};
use std::sync::Arc;
pub(super) async fn answer<R>(
    _: &Arc<Web<R>>,
    version: ProtocolVersion,
    message: Message,
    caller: Arc<Caller>,
) -> Response<Body> {
    Response::new(Body::full(format!("{version} {} {:?}", message.method(), caller.principal())))
}
