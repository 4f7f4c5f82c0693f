//! The metrics of the conventions, as events that a metrics layer of `tracing` understands.

use std::time::Duration;

use tracing::Level;

use super::about::About;
use super::operation::Side;

/// Where they are to be found by filters.
const TARGET: &str = "mcp::metrics";

/// Whether somebody looks at how long operations take.
pub(super) fn are_wanted(side: Side) -> bool {
    match side {
        Side::Sender => {
            tracing::event_enabled!(target: TARGET, Level::TRACE, histogram.mcp.client.operation.duration)
        }
        Side::Receiver => {
            tracing::event_enabled!(target: TARGET, Level::TRACE, histogram.mcp.server.operation.duration)
        }
    }
}

/// A request or notification has ended. Belongs to no span, so that it is not taken for something that happened in one.
pub(super) fn operation(side: Side, about: &About, took: Duration, error: Option<&str>, code: Option<&str>) {
    macro_rules! measure {
        ($($name:ident).+) => {
            tracing::event!(
                target: TARGET,
                parent: None,
                Level::TRACE,
                $($name).+ = took.as_secs_f64(),
                mcp.method.name = about.low_method(),
                mcp.protocol.version = about.revision(),
                gen_ai.operation.name = about.is_tool_call().then_some("execute_tool"),
                gen_ai.tool.name = about.low(&about.tool),
                gen_ai.prompt.name = about.low(&about.prompt),
                network.transport = about.transport,
                error.type = error,
                rpc.response.status_code = code,
            )
        };
    }
    match side {
        Side::Sender => measure!(histogram.mcp.client.operation.duration),
        Side::Receiver => measure!(histogram.mcp.server.operation.duration),
    }
}

/// A connection has ended.
pub(super) fn session(side: Side, took: Duration, version: Option<&str>, transport: Option<&str>, error: Option<&str>) {
    macro_rules! measure {
        ($($name:ident).+) => {
            tracing::event!(
                target: TARGET,
                parent: None,
                Level::TRACE,
                $($name).+ = took.as_secs_f64(),
                mcp.protocol.version = version,
                network.transport = transport,
                error.type = error,
            )
        };
    }
    match side {
        Side::Sender => measure!(histogram.mcp.client.session.duration),
        Side::Receiver => measure!(histogram.mcp.server.session.duration),
    }
}
