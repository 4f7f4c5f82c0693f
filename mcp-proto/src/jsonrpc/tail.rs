//! What the core itself writes into the parameters or the result of an outbound message.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{escape_line_ends, write_id, write_json, write_text};
use super::id::RequestId;
use crate::model::meta_key;

/// The members that the core writes into `params` or `result`, as JSON without the braces around them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    /// A `_meta` object with the user's keys and a progress token; nothing at all when both are missing.
    #[cfg(test)]
    pub(crate) fn meta(user: Option<&Map<String, Value>>, token: Option<&RequestId>) -> Self {
        Self::default().with_meta(user, |meta| {
            if let Some(token) = token {
                meta.put_id("progressToken", token);
            }
        })
    }

    /// With one more member, a string.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.begin(key);
        write_text(&mut self.0, value);
        self
    }

    /// With one more member whose value is JSON already.
    pub(crate) fn with_json(mut self, key: &str, json: &str) -> Self {
        self.begin(key);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// With a `_meta` object: the core's keys, which win, and then the user's. Nothing if there are neither.
    pub(crate) fn with_meta(self, user: Option<&Map<String, Value>>, own: impl FnOnce(&mut MetaKeys)) -> Self {
        let mut keys = MetaKeys { out: self, own: [""; MetaKeys::MOST], count: 0, any: false };
        own(&mut keys);
        let (own, count) = (keys.own, keys.count);
        // What belongs to the connection is not the user's to say, also where the core has nothing to say itself.
        let is_ours = |key: &str| own[..count].contains(&key) || meta_key::OF_THE_CONNECTION.contains(&key);
        for (key, value) in user.into_iter().flatten().filter(|(key, _)| !is_ours(key)) {
            keys.begin(key);
            write_json(&mut keys.out.0, value);
        }
        if keys.any {
            keys.out.0.push(b'}');
        }
        Self(escape_line_ends(keys.out.0))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn begin(&mut self, key: &str) {
        if self.0.is_empty() {
            self.0.reserve(ROOM);
        } else {
            self.0.push(b',');
        }
        write_text(&mut self.0, key);
        self.0.push(b':');
    }
}

/// What a tail has room for before it grows: the terms of a modern request fit.
const ROOM: usize = 256;

/// The core's keys of a `_meta` object that is being written.
pub(crate) struct MetaKeys {
    out: Tail,
    own: [&'static str; Self::MOST],
    count: usize,
    /// Whether any key was written, the user's included.
    any: bool,
}

impl MetaKeys {
    /// No message has more keys of the core than this.
    const MOST: usize = 8;

    pub(crate) fn put(&mut self, key: &'static str, value: &impl Serialize) {
        if self.own(key) {
            write_json(&mut self.out.0, value);
        }
    }

    pub(crate) fn put_text(&mut self, key: &'static str, value: &str) {
        if self.own(key) {
            write_text(&mut self.out.0, value);
        }
    }

    pub(crate) fn put_id(&mut self, key: &'static str, value: &RequestId) {
        if self.own(key) {
            write_id(&mut self.out.0, value);
        }
    }

    /// Begins with a key of the core; false if there are too many.
    fn own(&mut self, key: &'static str) -> bool {
        let Some(slot) = self.own.get_mut(self.count) else { return false };
        *slot = key;
        self.count += 1;
        self.begin(key);
        true
    }

    fn begin(&mut self, key: &str) {
        if core::mem::replace(&mut self.any, true) {
            self.out.0.push(b',');
        } else {
            self.out.begin("_meta");
            self.out.0.push(b'{');
        }
        write_text(&mut self.out.0, key);
        self.out.0.push(b':');
    }
}
