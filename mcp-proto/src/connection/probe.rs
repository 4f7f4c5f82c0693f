//! The client's probe: which era a server is of, by its answer to `server/discover`.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calls::Purpose;
use super::error::{CloseReason, RequestError};
use super::event::{CallOptions, Deadlines, Peer, PeerCapabilities};
use super::lifecycle::Phase;
use super::mismatch::handshake_failed;
use super::{Connection, Side};
use crate::jsonrpc::{Body, ErrorCode, Message};
use crate::model::{DiscoverResult, Era, Implementation, ProtocolVersion, RequestMetaObject, UnsupportedVersionData};

/// What the client's probe has brought.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Probe {
    /// How many were sent.
    pub(super) sent: u32,
    /// The wire id of one that timed out: its answer may still come.
    pub(super) late: Option<i64>,
    /// A late answer that was modern.
    #[serde(with = "super::freeze::kept")]
    pub(super) kept: Option<(ProtocolVersion, Arc<Peer>)>,
}

/// Probes before giving up: the first, one in a revision that the server lists, one after `initialize` was refused as too old.
pub(super) const PROBES: u32 = 3;

impl Connection {
    pub(super) fn begin_handshake(&mut self) {
        match self.newest(Era::Modern) {
            Some(version) => self.discover(version),
            None => self.initialize(),
        }
    }

    pub(super) fn discover(&mut self, version: ProtocolVersion) {
        let Side::Client(config) = &self.side else { return };
        let falls_back = self.newest(Era::Legacy).is_some() && self.lifecycle.probe.sent == 0;
        let patience = if falls_back { config.probe_deadline } else { config.initialize_deadline };
        self.lifecycle.phase = Phase::Probing;
        self.lifecycle.probe.sent += 1;
        if let Ok(body) = Body::empty("server/discover") {
            let deadlines = Deadlines::Call { idle: patience, cap: patience };
            let options = CallOptions { deadlines, meta: config.handshake_meta.clone(), ..<_>::default() };
            self.open_call(body, Purpose::Discover(version), options);
        }
    }

    /// Draws the verdict from the answer to `server/discover`.
    pub(super) fn on_discover_answer(&mut self, wire: i64, answer: Result<&Message, RequestError>) {
        let legacy = self.newest(Era::Legacy);
        match answer {
            Ok(message) => match self.read_discovery(message) {
                Some((version, peer)) => self.operate(version, Some(peer)),
                None if legacy.is_some() => self.initialize(),
                None => self.die(self.incompatible("the server offers no revision of the modern era")),
            },
            Err(RequestError::Rpc(error)) if error.code == ErrorCode::UNSUPPORTED_PROTOCOL_VERSION => {
                let supported = error.typed_data::<UnsupportedVersionData>().map(|data| data.supported);
                match self.mutual(&supported.unwrap_or_default()) {
                    Some(version) if version.era() == Era::Legacy => self.initialize(),
                    // Also the one that it has just refused, if it says that it speaks it.
                    Some(version) if self.lifecycle.probe.sent < PROBES => self.discover(version),
                    _ => self.die(self.incompatible(&error.to_string())),
                }
            }
            Err(RequestError::Rpc(error)) if error.code.is_modern() => self.die(CloseReason::HandshakeRefused(error)),
            Err(RequestError::Closed(reason)) => self.die(reason),
            Err(error) if legacy.is_some() && self.lifecycle.probe.sent == 1 => {
                self.lifecycle.probe.late = matches!(error, RequestError::TimedOut(_)).then_some(wire);
                self.initialize();
            }
            Err(error) => self.die(handshake_failed("server/discover", error)),
        }
    }

    /// Takes the answer to a probe that had timed out; true if it was that. It counts if `initialize` fails.
    pub(super) fn on_late_discovery(&mut self, message: &Message) -> bool {
        let is_late = self.lifecycle.probe.late.is_some()
            && message.id().and_then(crate::jsonrpc::RequestId::as_number) == self.lifecycle.probe.late;
        if is_late {
            self.lifecycle.probe.late = None;
            self.lifecycle.probe.kept = self.read_discovery(message);
        }
        is_late
    }

    /// The newest modern revision that both sides speak, and who the server is; `None` if it is no modern answer.
    pub(super) fn read_discovery(&self, message: &Message) -> Option<(ProtocolVersion, Arc<Peer>)> {
        let result = message.result()?.decode::<DiscoverResult>().ok()?;
        let version = self.mutual(&result.supported_versions).filter(|version| version.era() == Era::Modern)?;
        let meta = message.meta().and_then(|meta| RequestMetaObject::read(meta.as_str()).ok()).unwrap_or_default();
        let info = meta.server_info.unwrap_or_else(|| Implementation::new("", ""));
        let capabilities = PeerCapabilities::Server(result.capabilities);
        Some((version, Arc::new(Peer { info, capabilities, instructions: result.instructions })))
    }

    fn mutual(&self, theirs: &[String]) -> Option<ProtocolVersion> {
        let ours = self.versions();
        theirs.iter().filter_map(|version| version.parse().ok()).filter(|version| ours.contains(version)).max()
    }
}
