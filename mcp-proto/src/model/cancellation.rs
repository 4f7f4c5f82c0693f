//! Giving up a request; mirrors the specification's Cancellation page.

use alloc::string::String;

use crate::jsonrpc::RequestId;

use super::wire::wire_struct;

wire_struct! {
    /// The parameters of `notifications/cancelled`.
    #[derive(Default)]
    pub struct CancelledParams {
        /// The request to give up. Only the schema of 2025-11-25 lets it be absent, for tasks.
        optional(with_request_id) request_id: RequestId = "requestId",
        /// Why, for people.
        optional(with_reason) reason: String = "reason",
    }
}
