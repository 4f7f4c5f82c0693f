//! Who asks: credentials, and the one request for them that everybody waits for.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::command::{Challenge, Command};
use super::job::Step;
use super::{HttpClient, JobId, Unauthorized};
use crate::Timestamp;
use crate::connection::Lost;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Auth {
    /// For `Authorization`; marked as sensitive.
    pub(super) credentials: Option<HeaderValue>,
    /// How many there were before.
    pub(super) serial: u32,
    /// Set while somebody is asked: until when.
    asked_until: Option<Timestamp>,
}

impl Auth {
    pub(super) fn is_asking(&self) -> bool {
        self.asked_until.is_some()
    }

    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.asked_until.is_some_and(|until| until <= now)
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.asked_until
    }
}

/// Whether a head asks who it is that asks.
pub(super) fn is_challenge(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED
        || status == StatusCode::FORBIDDEN && headers.contains_key(header::WWW_AUTHENTICATE)
}

impl HttpClient {
    /// Whether a request that was answered with a challenge is sent once more, sooner or later.
    pub(super) fn on_challenge(&mut self, id: JobId, status: StatusCode, headers: &HeaderMap) -> bool {
        let limits = &self.config.limits;
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        if self.config.unauthorized == Unauthorized::Fails || job.tries.unauthorized >= limits.authorizations {
            return false;
        }
        job.tries.unauthorized += 1;
        let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenges: Vec<_> = challenges.filter_map(|it| it.to_str().ok().map(ToOwned::to_owned)).collect();
        job.refusal = Some(Lost::Refused { status: status.as_u16(), error: None, detail: challenges.join(", ") });
        let (is_stale, url) = (job.sent.credentials != self.auth.serial, job.target.clone());
        if !is_stale && !self.auth.is_asking() {
            self.auth.asked_until = Some(self.now + limits.authorization);
            self.commands.push_back(Command::Authorize(Challenge { status, challenges, url }));
        }
        self.put_back(id, self.now);
        true
    }

    pub(super) fn on_credentials(&mut self, credentials: Option<HeaderValue>) {
        self.auth.asked_until = None;
        self.is_stirred = true;
        if let Some(mut credentials) = credentials {
            credentials.set_sensitive(true);
            self.auth.credentials = Some(credentials);
            self.auth.serial += 1;
            return;
        }
        let waits = |id: &JobId| {
            let job = self.jobs.get(id)?;
            (matches!(job.step, Step::Waiting) && job.tries.unauthorized > 0).then(|| job.refusal.clone())?
        };
        let refused: Vec<_> = self.waiting.iter().filter_map(|id| waits(id).map(|lost| (*id, lost))).collect();
        for (id, lost) in refused {
            self.lose(id, lost);
        }
    }
}
