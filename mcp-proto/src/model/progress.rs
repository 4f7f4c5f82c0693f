//! How far a request has come; mirrors the specification's Progress page.

use alloc::string::String;

use crate::jsonrpc::ProgressToken;

use super::wire::wire_struct;

/// How far a request has come.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// How much is done: more at every notification, even if the total is not known.
    pub progress: f64,
    /// How much there is to do, if it is known.
    pub total: Option<f64>,
    /// What is going on, for people (2025-03-26 and later).
    pub message: Option<String>,
}

impl Progress {
    /// So much is done.
    #[must_use]
    pub fn new(progress: impl Into<f64>) -> Self {
        Self { progress: progress.into(), total: None, message: None }
    }

    /// The same progress, out of this much.
    #[must_use]
    pub fn with_total(mut self, total: impl Into<f64>) -> Self {
        self.total = Some(total.into());
        self
    }

    /// The same progress, with a word for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

wire_struct! {
    /// The parameters of `notifications/progress`.
    pub struct ProgressParams {
        /// The token that the request carried.
        required progress_token: ProgressToken = "progressToken",
        /// How much is done.
        required progress: f64 = "progress",
        /// How much there is to do, if it is known.
        optional(with_total) total: f64 = "total",
        /// What is going on, for people (2025-03-26 and later).
        optional(with_message) message: String = "message",
    }
}

impl ProgressParams {
    /// The progress of the request that carried this token.
    #[must_use]
    pub fn of(progress_token: ProgressToken, progress: Progress) -> Self {
        let Progress { progress, total, message } = progress;
        Self { total, message, ..Self::new(progress_token, progress) }
    }
}

impl From<ProgressParams> for Progress {
    fn from(params: ProgressParams) -> Self {
        Self { progress: params.progress, total: params.total, message: params.message }
    }
}
