//! stub
use super::{body::Body, caller::Caller, service::Web};
use http::Response;
use mcp_proto::http::{Get, LegacyCall, SessionId};
use std::sync::Arc;
pub(super) async fn post<R>(_: &Arc<Web<R>>, call: LegacyCall, _: Arc<Caller>) -> Response<Body> {
    Response::new(Body::full(format!("{call:?}")))
}
pub(super) async fn get<R>(_: &Arc<Web<R>>, call: Get, _: Arc<Caller>) -> Response<Body> {
    Response::new(Body::full(format!("{call:?}")))
}
pub(super) async fn delete<R>(_: &Arc<Web<R>>, call: SessionId, _: Arc<Caller>) -> Response<Body> {
    Response::new(Body::full(format!("{call:?}")))
}
