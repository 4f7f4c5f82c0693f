//! What we send, of every method in every revision: made by two real connections, with every optional member that the
//! revision knows, and with none.
//!
//! Strangers' types read it in the tests; `cargo xtask samples` prints it for whoever has other means.

mod exchanges;
mod pair;
mod parts;
mod requests;
mod results;

use std::collections::BTreeSet;
use std::fmt;

use mcp_proto::ProtocolVersion;
use mcp_proto::model::Sender;

/// One message as we send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The revision that the connection speaks.
    pub revision: ProtocolVersion,
    /// Which side has sent it: `Client` or `Server`.
    pub sender: Sender,
    /// The method that it belongs to, and `request`, `notification`, `result` or `error` behind a blank. What cannot be
    /// traced to a method belongs to `unreadable`.
    pub kind: String,
    /// The text on the wire: a JSON object, on one line.
    pub message: String,
}

impl fmt::Display for Sample {
    /// As `cargo xtask samples` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, sender, kind, message } = self;
        let sender = if *sender == Sender::Client { "client" } else { "server" };
        write!(f, r#"{{"revision":"{revision}","sender":"{sender}","kind":"{kind}","message":{message}}}"#)
    }
}

/// Every sample, the oldest revision first; none twice.
///
/// # Panics
///
/// When a connection refuses to send something that its revision has.
#[must_use]
pub fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for revision in ProtocolVersion::ALL {
        let mut seen = BTreeSet::new();
        for (sender, kind, message) in exchanges::all(revision) {
            if seen.insert((sender == Sender::Client, kind.clone(), message.clone())) {
                samples.push(Sample { revision, sender, kind, message });
            }
        }
    }
    samples
}
