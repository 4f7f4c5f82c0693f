//! What the core itself writes into the parameters or the result of an outbound message.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{escape_line_ends, write_json};
use super::id::RequestId;

/// The members that the core writes into `params` or `result`, as JSON without the braces around them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    /// A `_meta` object with the user's keys and a progress token; nothing at all when both are missing.
    pub(crate) fn meta(user: Option<&Map<String, Value>>, token: Option<&RequestId>) -> Self {
        Self::default().with_meta(user, |meta| {
            if let Some(token) = token {
                meta.put("progressToken", token);
            }
        })
    }

    /// With one more member.
    pub(crate) fn with(mut self, key: &str, value: &impl Serialize) -> Self {
        self.begin(key);
        write_json(&mut self.0, value);
        self
    }

    /// With one more member whose value is JSON already.
    pub(crate) fn with_json(mut self, key: &str, json: &str) -> Self {
        self.begin(key);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// With a `_meta` object: the core's keys, which win, and then the user's. Nothing if there are neither.
    pub(crate) fn with_meta(mut self, user: Option<&Map<String, Value>>, own: impl FnOnce(&mut MetaKeys)) -> Self {
        let before = self.0.len();
        self.begin("_meta");
        self.0.push(b'{');
        let mut keys = MetaKeys { out: self.0, own: [""; MetaKeys::MOST], count: 0 };
        own(&mut keys);
        let MetaKeys { mut out, own, count } = keys;
        let mut any = count > 0;
        for (key, value) in user.into_iter().flatten().filter(|(key, _)| !own[..count].contains(&key.as_str())) {
            if any {
                out.push(b',');
            }
            any = true;
            write_json(&mut out, key);
            out.push(b':');
            write_json(&mut out, value);
        }
        out.push(b'}');
        if !any {
            out.truncate(before);
        }
        Self(escape_line_ends(out))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn begin(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        write_json(&mut self.0, &key);
        self.0.push(b':');
    }
}

/// The core's keys of a `_meta` object that is being written.
pub(crate) struct MetaKeys {
    out: Vec<u8>,
    own: [&'static str; Self::MOST],
    count: usize,
}

impl MetaKeys {
    /// No message has more keys of the core than this.
    const MOST: usize = 8;

    pub(crate) fn put(&mut self, key: &'static str, value: &impl Serialize) {
        let Some(slot) = self.own.get_mut(self.count) else { return };
        *slot = key;
        if self.count > 0 {
            self.out.push(b',');
        }
        self.count += 1;
        write_json(&mut self.out, &key);
        self.out.push(b':');
        write_json(&mut self.out, value);
    }
}
