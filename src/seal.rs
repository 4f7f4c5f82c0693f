//! Seals what a server has to remember between two rounds of a request, since it travels through the client's hands
//! (feature `seal`; specification 2026-07-28: multi round-trip requests, `requestState`).
//!
//! A sealed state cannot be read or changed by whoever carries it, and is good for one request of one caller for a limited
//! time: it is bound to the caller's identity, the method, and the name, URI and arguments of the request. Within its time it
//! can be sent again with the same request, which then goes on from where the state was given out.
//!
//! A server has a random key of its own unless it is told otherwise: then its states are good for the process that gave them
//! out. Several nodes that share a [`KeyRing`] take up each other's requests, and a restarted one its own:
//!
//! ```
//! use mcp::Server;
//! use mcp::seal::{Key, KeyRing};
//!
//! # fn secret(_: &str) -> [u8; 32] { [7; 32] }
//! let keys = KeyRing::new(Key::new(secret("of this month"))).opening(Key::new(secret("of last month")));
//! let server = Server::new("desk", "1.0.0").seal(keys);
//! # drop(server);
//! ```

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use mcp_proto::{Message, Timestamp};
use serde_json::Value;

/// How a sealed state is laid out; its first byte. What follows: the key's id, the nonce, what is sealed, all in base64url.
const LAYOUT: u8 = 1;
const NONCE: usize = 24;
const HEAD: usize = 1 + size_of::<KeyId>();

/// Tells keys apart without telling them.
type KeyId = [u8; 4];

/// A secret key of 32 bytes, for XChaCha20-Poly1305. Overwritten in memory when it is dropped, and never shown.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

impl Key {
    /// How long a key is, in bytes.
    pub const LENGTH: usize = 32;

    /// A key from a secret, which must be random: a password is none.
    pub fn new(secret: [u8; Self::LENGTH]) -> Self {
        let cipher = XChaCha20Poly1305::new(&secret.into());
        // The tag over a text that is sealed with this nonce and no other is as good as random to whoever lacks the key.
        let named = cipher.encrypt(&XNonce::default(), Payload { msg: b"", aad: b"the id of a key" });
        let mut id = KeyId::default();
        if let Some(tag) = named.ok().and_then(|tag| tag.first_chunk().copied()) {
            id = tag;
        }
        Self { id, cipher }
    }

    /// A random key.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub fn random() -> io::Result<Self> {
        random().map(Self::new)
    }
}

/// From a slice, such as a decoded environment variable.
impl TryFrom<&[u8]> for Key {
    type Error = KeyLength;

    fn try_from(secret: &[u8]) -> Result<Self, KeyLength> {
        secret.try_into().map(Self::new).map_err(|_| KeyLength(secret.len()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A secret has another length than the 32 bytes of a [`Key`]: it has this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLength(pub usize);

impl fmt::Display for KeyLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key has exactly {} bytes, this has {}", Key::LENGTH, self.0)
    }
}

impl std::error::Error for KeyLength {}

/// The keys of a server: the first one seals, each of them opens.
///
/// To change keys without losing requests in work, first let every node open the new key, then seal with it, then, once the
/// lifetime of a state is over, leave the old one out.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Arc<Vec<Key>>,
}

impl KeyRing {
    /// One key that seals and opens.
    pub fn new(key: Key) -> Self {
        Self { keys: Arc::new(vec![key]) }
    }

    /// Opens what this key has sealed, too.
    #[must_use]
    pub fn opening(mut self, key: Key) -> Self {
        Arc::make_mut(&mut self.keys).push(key);
        self
    }

    /// A ring of one random key.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub fn random() -> io::Result<Self> {
        Key::random().map(Self::new)
    }
}

/// Seals and opens states. Clones share the keys.
#[derive(Clone, Debug)]
pub(crate) struct Sealer {
    /// Made when first needed, unless given.
    keys: Arc<OnceLock<KeyRing>>,
    ttl: Duration,
}

impl Default for Sealer {
    fn default() -> Self {
        // A person may be asked, who has an hour.
        Self { keys: Arc::default(), ttl: Duration::from_secs(3600) }
    }
}

/// What a state is bound to: the caller and the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    /// Who calls, if the transport knows; never what a client says of itself.
    pub(crate) principal: Option<&'a str>,
    /// The request, of which the method, the name, the URI and the arguments count.
    pub(crate) request: &'a Message,
}

/// Why a state was refused. For our log only: to the client all are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not of the layout that is given out here.
    Unknown,
    /// Sealed with a key that is not on the ring.
    OtherKey,
    /// Changed on its way, or given out for another request or caller.
    NotBound,
    /// Too old.
    Expired,
}

impl Sealer {
    /// The same with these keys.
    pub(crate) fn with_keys(self, keys: KeyRing) -> Self {
        Self { keys: Arc::new(OnceLock::from(keys)), ..self }
    }

    /// The same with another lifetime of states.
    pub(crate) fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Seals a text.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give, or the arguments of the request cannot be read.
    pub(crate) fn seal(&self, bound: Bound<'_>, now: Timestamp, text: &str) -> io::Result<String> {
        let key = self.sealing_key()?;
        let nonce: [u8; NONCE] = random()?;
        let mut sealed = vec![LAYOUT];
        sealed.extend_from_slice(&key.id);
        let aad = associated(&sealed, bound)?;
        let mut content = (now + self.ttl).as_nanos().to_be_bytes().to_vec();
        content.extend_from_slice(text.as_bytes());
        let cipher = key.cipher.encrypt(&nonce.into(), Payload { msg: &content, aad: &aad });
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&cipher.map_err(|_| io::Error::other("too long to be sealed"))?);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what was sealed for the same request of the same caller, not too long ago.
    pub(crate) fn open(&self, bound: Bound<'_>, now: Timestamp, state: &str) -> Result<String, Refused> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(state).map_err(|_| Refused::Unknown)?;
        let (head, rest) = sealed.split_at_checked(HEAD).ok_or(Refused::Unknown)?;
        let (nonce, cipher) = rest.split_first_chunk::<NONCE>().ok_or(Refused::Unknown)?;
        let [LAYOUT, id @ ..] = head else { return Err(Refused::Unknown) };
        let aad = associated(head, bound).map_err(|_| Refused::NotBound)?;
        let keys = self.keys.get().map(|ring| &**ring.keys).unwrap_or_default();
        let mut refused = Refused::OtherKey;
        // Ids are short; should two keys share one, both are tried.
        for key in keys.iter().filter(|key| key.id == id) {
            match key.cipher.decrypt(&(*nonce).into(), Payload { msg: cipher, aad: &aad }) {
                Ok(content) => return unpack(content, now),
                Err(_) => refused = Refused::NotBound,
            }
        }
        Err(refused)
    }

    fn sealing_key(&self) -> io::Result<&Key> {
        let ring = match self.keys.get() {
            Some(ring) => ring,
            None => {
                let random = KeyRing::random()?;
                self.keys.get_or_init(|| random)
            }
        };
        ring.keys.first().ok_or_else(|| io::Error::other("there is no key"))
    }
}

fn unpack(content: Vec<u8>, now: Timestamp) -> Result<String, Refused> {
    let (until, text) = content.split_first_chunk().ok_or(Refused::Unknown)?;
    if Timestamp::from_nanos(u64::from_be_bytes(*until)) < now {
        return Err(Refused::Expired);
    }
    String::from_utf8(text.to_vec()).map_err(|_| Refused::Unknown)
}

/// What is authenticated and not sent: the head, and what the state is bound to, in a form that does not depend on how a
/// client or a gateway writes the same arguments.
fn associated(head: &[u8], bound: Bound<'_>) -> io::Result<Vec<u8>> {
    let Bound { principal, request } = bound;
    // Absent and null are no arguments, as they are to the handler.
    let arguments = request.arguments().map_or(Ok(Value::Object(Default::default())), |json| json.decode())?;
    let mut text = serde_json::to_string(&(principal, request.method(), request.name(), request.uri()))?;
    write_canonical(&arguments, &mut text);
    Ok([head, text.as_bytes()].concat())
}

/// Writes JSON so that equal values are equal texts, whatever the order of their members and the features of `serde_json`.
/// Recursion is bounded by the depth of a message.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in members {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for element in elements {
                write_canonical(element, out);
                out.push(',');
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
