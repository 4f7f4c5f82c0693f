//! What a hook answers a request with that it turns away.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

/// The response to a request that is turned away: see [`HttpOptions::authenticate`](super::HttpOptions::authenticate). Any other is made of
/// a [`Response`].
///
/// ```
/// use mcp::http::{Bytes, Denied, Response};
///
/// let busy = Response::builder().status(429).header("retry-after", "60").body(Bytes::from("come back later"));
/// let denied = Denied::from(busy.expect("a status and a header"));
/// # drop(denied);
/// ```
#[derive(Clone, Debug)]
pub struct Denied(Response<Bytes>);

impl Denied {
    /// 401: whoever it is has to say so, and how is in the challenge, which goes into `WWW-Authenticate`. Bytes that no header may have
    /// are left out of it.
    #[must_use]
    pub fn unauthorized(challenge: &str) -> Self {
        let challenge = challenge.bytes().filter(|byte| (b' '..=b'~').contains(byte)).collect::<Vec<_>>();
        let mut denied = Self::of(StatusCode::UNAUTHORIZED, "say who you are");
        if let Ok(challenge) = HeaderValue::from_bytes(&challenge) {
            denied.0.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        denied
    }

    /// 403: whoever it is may not.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::of(StatusCode::FORBIDDEN, "you may not")
    }

    fn of(status: StatusCode, text: &'static str) -> Self {
        let mut response = Response::new(Bytes::from_static(text.as_bytes()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Self(response)
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        self.0
    }
}

impl From<Response<Bytes>> for Denied {
    fn from(response: Response<Bytes>) -> Self {
        Self(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_one_header() {
        let response = Denied::unauthorized("Bearer realm=\"x\"\r\nSet-Cookie: y\0é").into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"x\"Set-Cookie: y");
        assert!(!response.headers().contains_key("set-cookie"));
    }
}
