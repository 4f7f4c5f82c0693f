//! Web pages of other origins: what a browser has to be told before it lets a page ask, and hear the answer.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};

/// How long a browser may keep what it was told, in seconds: two hours, which no browser exceeds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// The methods of the endpoint.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// What a page may read of an answer beside what it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static("mcp-session-id, www-authenticate, retry-after");

/// The origin of the page that asks, if one does.
pub(super) fn origin(head: &Parts) -> Option<HeaderValue> {
    head.headers.get(ORIGIN).cloned()
}

/// The answer to a browser that asks whether a page may ask, if that is what it is.
pub(super) fn preflight(head: &Parts) -> Option<Response<Bytes>> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    // Whichever those are: arguments of tools have headers of their own, and a hook may want others.
    if let Some(wanted) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    Some(response)
}

/// Lets a page of this origin hear an answer.
pub(super) fn let_hear(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    // Another origin has another answer, which caches on the way have to know.
    headers.append(VARY, HeaderValue::from_static("origin"));
}
