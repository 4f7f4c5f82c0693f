//! How what is known in the middle of a request travels through the client's hands: sealed with the feature `seal`, as it is
//! without.
//!
//! Without it a client can write what it likes into the state, and so choose what [`Context::once`](crate::Context::once)
//! gives and what was answered to earlier questions. It could have given those answers anyway; of results kept by `once` only
//! rely on what a client may choose, or switch the feature on. Who starts a server over stdio can do worse to it.

use mcp_proto::{ErrorObject, Message, Timestamp};

#[cfg(feature = "seal")]
use crate::seal::{Bound, KeyRing, Sealer};
#[cfg(feature = "seal")]
use crate::server::Server;

/// The longest state that is sent or read, in bytes.
const LONGEST: usize = 256 * 1024;

/// See the module. Clones carry alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Carrier {
    #[cfg(feature = "seal")]
    sealer: Sealer,
}

impl Carrier {
    /// Makes a text ready to be sent out as the state of this request.
    ///
    /// # Errors
    ///
    /// −32603 when it is too long, or cannot be sealed.
    pub(super) fn pack(&self, request: &Message, now: Timestamp, text: String) -> Result<String, ErrorObject> {
        let state = self.close(request, now, text)?;
        if state.len() > LONGEST {
            return Err(ErrorObject::internal(format!(
                "the answers and results so far are too long to be carried on: {} of {LONGEST} bytes",
                state.len()
            )));
        }
        Ok(state)
    }

    /// The text of a state that came back with this request.
    ///
    /// # Errors
    ///
    /// −32602, which does not tell the client what is wrong with it.
    pub(super) fn unpack(&self, request: &Message, now: Timestamp, state: &str) -> Result<String, ErrorObject> {
        if state.len() > LONGEST {
            tracing::debug!(bytes = state.len(), "a requestState was refused: too long to be one of ours");
            return Err(refusal());
        }
        self.open(request, now, state)
    }
}

/// The one answer to a state that is not good, whatever is wrong with it.
pub(super) fn refusal() -> ErrorObject {
    ErrorObject::invalid_params(
        "params.requestState is not one that was given out for this request and is still valid: send the request again \
         without requestState and inputResponses",
    )
}

#[cfg(feature = "seal")]
impl Carrier {
    fn close(&self, request: &Message, now: Timestamp, text: String) -> Result<String, ErrorObject> {
        self.sealer.seal(bound(request), now, &text).map_err(|error| {
            tracing::error!(%error, "the state of a request cannot be sealed");
            ErrorObject::internal("the state of the request cannot be sealed")
        })
    }

    fn open(&self, request: &Message, now: Timestamp, state: &str) -> Result<String, ErrorObject> {
        self.sealer.open(bound(request), now, state).map_err(|why| {
            tracing::debug!(?why, method = request.method(), "a requestState was refused");
            refusal()
        })
    }
}

#[cfg(feature = "seal")]
fn bound(request: &Message) -> Bound<'_> {
    // A stream has one caller, and does not know who it is.
    Bound { principal: None, request }
}

#[cfg(not(feature = "seal"))]
impl Carrier {
    fn close(&self, _: &Message, _: Timestamp, text: String) -> Result<String, ErrorObject> {
        Ok(text)
    }

    fn open(&self, _: &Message, _: Timestamp, state: &str) -> Result<String, ErrorObject> {
        Ok(state.to_owned())
    }
}

/// What is kept between two rounds of a request.
#[cfg(feature = "seal")]
impl Server {
    /// Seals it with these keys, which other nodes may share. A random key of this process unless set. See
    /// [`seal`](crate::seal).
    #[must_use]
    pub fn seal(mut self, keys: KeyRing) -> Self {
        let carrier = &mut self.live_mut().carrier;
        carrier.sealer = std::mem::take(&mut carrier.sealer).with_keys(keys);
        self
    }

    /// How long a client may take from one round of a request to the next, which may include asking a person. An hour
    /// unless set.
    #[must_use]
    pub fn state_ttl(mut self, ttl: std::time::Duration) -> Self {
        let carrier = &mut self.live_mut().carrier;
        carrier.sealer = std::mem::take(&mut carrier.sealer).with_ttl(ttl);
        self
    }
}
