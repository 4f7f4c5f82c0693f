//! A child and what it has started, on Windows: in a job object, which ends with its last handle, so also with this process.
//!
//! There is no asking, only killing. The child is put into the job right after it was started: what it might start before that, in its very first
//! moments, is out of reach.

use std::os::windows::io::AsRawHandle;
use std::process::{self, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use win32job::{ExtendedLimitInfo, Job, JobError};

use super::portable;

pub(super) struct Leader {
    alone: portable::Leader,
    /// None once all of it was killed, or if there was none to be had.
    job: Mutex<Option<Job>>,
}

impl Leader {
    pub(super) const CAN_TERMINATE: bool = false;

    pub(super) fn new(child: process::Child) -> Self {
        let job = employ(&child)
            .inspect_err(|error| {
                tracing::warn!(%error, "a child process got no job object: what it starts may outlive it");
            })
            .ok();
        Self { alone: portable::Leader::new(child), job: Mutex::new(job) }
    }

    pub(super) fn id(&self) -> u32 {
        self.alone.id()
    }

    /// Blocks until it has exited. None: there is no telling how.
    pub(super) fn wait(&self) -> Option<ExitStatus> {
        self.alone.wait()
    }

    pub(super) fn has_exited(&self) -> bool {
        self.alone.has_exited()
    }

    /// Waiting has done that.
    pub(super) fn reap(&self) {}

    /// Nobody can be asked here.
    pub(super) fn terminate(&self) {}

    /// Kills it and all that it has started.
    pub(super) fn kill(&self) {
        self.alone.kill();
        // The end of the job is the end of all in it.
        drop(self.lock().take());
    }

    /// Whether anything lives in the job.
    pub(super) fn has_company(&self) -> bool {
        // One that cannot list its processes has too many.
        self.lock().as_ref().is_some_and(|job| !job.query_process_id_list().is_ok_and(|processes| processes.is_empty()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a child into a job of its own.
fn employ(child: &process::Child) -> Result<Job, JobError> {
    let job = Job::create_with_limit_info(ExtendedLimitInfo::new().limit_kill_on_job_close())?;
    // The handle as the number that the crate takes.
    job.assign_process(child.as_raw_handle().addr().cast_signed())?;
    Ok(job)
}
