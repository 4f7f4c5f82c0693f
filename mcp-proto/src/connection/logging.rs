//! From which severity on the peer wants log messages (specification: server/utilities/logging).

use alloc::format;

use super::requests::Effect;
use super::{Connection, Side};
use crate::jsonrpc::{Body, ErrorObject, Message};
use crate::model::{LoggingLevel, SetLevelParams};

impl Connection {
    /// Answers `logging/setLevel`.
    pub(super) fn on_set_level(&self, message: &Message) -> Result<(Body, Effect), ErrorObject> {
        let params: SetLevelParams = message
            .params()
            .decode()
            .map_err(|error| ErrorObject::invalid_params(format!("logging/setLevel: {error}")))?;
        Ok((Body::empty_result(), Effect::SetLevel(params.level)))
    }

    /// From which severity on the client wants log messages, in the legacy era.
    pub(super) fn log_level(&self) -> LoggingLevel {
        self.lifecycle.log_level.unwrap_or(match &self.side {
            Side::Server(config) => config.log_level,
            Side::Client(_) => LoggingLevel::Debug,
        })
    }
}
